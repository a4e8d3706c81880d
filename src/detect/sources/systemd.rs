//! systemd units (systemd.service(5), systemd.exec(5)): those of the project and those of the machine that run it.

use super::super::shell::{self, Variables, assignment, logical_lines};
use super::super::text;
use super::{File, Gathered, Origin, Place, is_start};
use crate::system::System;
use std::fs;
use std::path::{Path, PathBuf};

/// What a unit and its drop-ins say in `[Service]`.
#[derive(Debug, Default)]
struct Service {
    /// Command, `file:line`.
    starts: Vec<(String, String)>,
    variables: Variables,
    settings: Vec<(String, String, String)>,
    directory: Option<PathBuf>,
}

impl Service {
    fn read(&mut self, content: &str, shown: &str) {
        let mut section = String::new();
        for (number, line) in logical_lines(content) {
            let line = line.trim();
            if line.starts_with(['#', ';']) {
                continue;
            }
            if line.starts_with('[') {
                line.clone_into(&mut section);
            }
            let Some((key, value)) = line.split_once('=').filter(|_| section == "[Service]") else {
                continue;
            };
            let (value, source) = (value.trim(), format!("{shown}:{number}"));
            match key.trim() {
                // An empty assignment takes back those before it.
                "ExecStart" if value.is_empty() => self.starts.clear(),
                "ExecStart" => self
                    .starts
                    .push((value.trim_start_matches(['@', '-', ':', '+', '!']).to_owned(), source)),
                "WorkingDirectory" => self.directory = Some(PathBuf::from(value.trim_start_matches('-'))),
                "Environment" => {
                    for (name, value) in shell::words(value).iter().filter_map(|word| assignment(word)) {
                        self.settings.push((name.to_owned(), value.to_owned(), source.clone()));
                        self.variables.insert(name.to_owned(), value.to_owned());
                    }
                }
                _ => {}
            }
        }
    }

    fn give(self, fallback: &Path, found: &mut Gathered) {
        let place = Place {
            directory: self
                .directory
                .filter(|folder| folder.is_absolute())
                .unwrap_or_else(|| fallback.to_path_buf()),
            variables: self.variables,
        };
        for (name, value, source) in self.settings {
            found.set(&name, &value, &source);
        }
        for (line, source) in self.starts {
            let words = shell::words(&line);
            if is_start(&words, &place.variables) {
                found.command(Origin::Service, words, &place, source, &format!("ExecStart={line}"));
            }
        }
    }
}

/// A unit file in the project: its WorkingDirectory is often another machine's path.
pub(super) fn project_unit(file: &File<'_>, content: &str, found: &mut Gathered) {
    let mut service = Service::default();
    service.read(content, &file.path.display().to_string());
    service.directory = service.directory.filter(|folder| folder.starts_with(file.project));
    service.give(file.project, found);
}

/// Units of the machine, the person's own included, whose folder or program lies in the project.
pub(super) fn installed(system: &System, project: &Path, found: &mut Gathered) {
    let user = system.home.as_ref().map(|home| home.join(".config/systemd/user"));
    for folder in [Some(system.at("/etc/systemd/system")), user].into_iter().flatten() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
        paths.sort();
        for path in paths
            .iter()
            .filter(|path| path.extension().is_some_and(|extension| extension == "service"))
        {
            let Ok(content) = text::read(path) else { continue };
            let mut service = Service::default();
            service.read(&content, &shown(system, path));
            for extra in drop_ins(path) {
                if let Ok(content) = text::read(&extra) {
                    service.read(&content, &shown(system, &extra));
                }
            }
            let inside = |text: &str| super::ini::points_into(text, project);
            let starts = service.starts.iter().any(|(line, _)| inside(line));
            if starts || service.directory.as_ref().is_some_and(|folder| folder.starts_with(project)) {
                service.give(project, found);
            }
        }
    }
}

fn drop_ins(unit: &Path) -> Vec<PathBuf> {
    let mut folder = unit.as_os_str().to_owned();
    folder.push(".d");
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut found: Vec<_> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "conf"))
        .collect();
    found.sort();
    found
}

/// A path of the machine as it is there, whatever root it was looked up under.
pub(super) fn shown(system: &System, path: &Path) -> String {
    match path.strip_prefix(&system.root) {
        Ok(inner) => format!("/{}", inner.display()),
        Err(_) => path.display().to_string(),
    }
}
