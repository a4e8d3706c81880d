//! supervisor's `[program:x]` and uWSGI's `[uwsgi]`: both ini files, told apart by their sections.

use super::super::shape::{Config, Workers};
use super::super::shell::{self, Variables, assignment};
use super::super::text;
use super::systemd::shown;
use super::{File, Gathered, Origin, Place, is_start};
use crate::system::System;
use std::fs;
use std::path::{Path, PathBuf};

/// A section with its entries: (key, value, line).
struct Section<'a> {
    name: &'a str,
    entries: Vec<(String, String, usize)>,
}

impl Section<'_> {
    fn get(&self, keys: &[&str]) -> Option<(&str, usize)> {
        let found = self.entries.iter().rev().find(|(key, _, _)| keys.contains(&key.as_str()));
        found.map(|(_, value, line)| (value.as_str(), *line))
    }
}

fn sections(content: &str) -> Vec<Section<'_>> {
    let mut found: Vec<Section<'_>> = Vec::new();
    for (index, line) in content.lines().enumerate() {
        let trimmed = line.trim();
        if trimmed.is_empty() || trimmed.starts_with(['#', ';']) {
            continue;
        }
        if let Some(name) = trimmed.strip_prefix('[').and_then(|rest| rest.split(']').next()) {
            found.push(Section { name, entries: Vec::new() });
            continue;
        }
        let Some(section) = found.last_mut() else { continue };
        // A line that begins with white space continues the value above it.
        if line.starts_with([' ', '\t'])
            && let Some((_, value, _)) = section.entries.last_mut()
        {
            value.push(' ');
            value.push_str(trimmed);
            continue;
        }
        let (key, value) = trimmed.split_once('=').unwrap_or((trimmed, "true"));
        let value = value.split(" ;").next().unwrap_or_default();
        section.entries.push((key.trim().to_owned(), value.trim().to_owned(), index + 1));
    }
    found
}

/// A `.conf` or `.ini` of the project.
pub(super) fn project_file(file: &File<'_>, content: &str, found: &mut Gathered) {
    if content.contains("[program:") {
        programs(content, &file.path.display().to_string(), file.project, false, found);
    }
    if content.contains("[uwsgi]") {
        let at = sections(content)
            .iter()
            .find(|section| section.name == "uwsgi")
            .and_then(|section| {
                section
                    .get(&["module", "wsgi-file", "mount", "wsgi"])
                    .map(|(value, line)| (value.to_owned(), line))
            });
        if let Some((module, line)) = at {
            let place = Place {
                variables: Variables::new(),
                directory: file.folder(),
            };
            let name = file.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let words = vec!["uwsgi".to_owned(), "--ini".to_owned(), name];
            found.command(Origin::Service, words, &place, file.at(line), &format!("module = {module}"));
        }
    }
}

/// supervisor's files of the machine that run the project.
pub(super) fn installed(system: &System, project: &Path, found: &mut Gathered) {
    let mut paths = vec![system.at("/etc/supervisord.conf"), system.at("/etc/supervisor/supervisord.conf")];
    for folder in ["/etc/supervisor/conf.d", "/etc/supervisord.d"] {
        let entries = fs::read_dir(system.at(folder)).into_iter().flatten().flatten();
        paths.extend(entries.map(|entry| entry.path()));
    }
    paths.sort();
    for path in paths {
        if let Ok(content) = text::read(&path) {
            programs(&content, &shown(system, &path), project, true, found);
        }
    }
}

fn programs(content: &str, shown: &str, project: &Path, only_inside: bool, found: &mut Gathered) {
    for section in sections(content).iter().filter(|section| section.name.starts_with("program:")) {
        let Some((command, line)) = section.get(&["command"]) else {
            continue;
        };
        let directory = section.get(&["directory"]).map(|(value, _)| PathBuf::from(value));
        let inside = directory.as_ref().is_some_and(|folder| folder.starts_with(project));
        if only_inside && !inside && !points_into(command, project) {
            continue;
        }
        let mut variables = Variables::new();
        if let Some((environment, line)) = section.get(&["environment"]) {
            for entry in split_outside_quotes(environment) {
                if let Some((name, value)) = assignment(entry.trim()) {
                    let value = value.trim_matches(['"', '\'']);
                    found.set(name, value, &format!("{shown}:{line}"));
                    variables.insert(name.to_owned(), value.to_owned());
                }
            }
        }
        let place = Place {
            variables,
            directory: directory.filter(|_| inside).unwrap_or_else(|| project.to_path_buf()),
        };
        let words = shell::words(command);
        if is_start(&words, &place.variables) {
            found.command(
                Origin::Service,
                words,
                &place,
                format!("{shown}:{line}"),
                &format!("command={command}"),
            );
        }
    }
}

/// Whether a text names a path inside the project.
pub(super) fn points_into(text: &str, project: &Path) -> bool {
    text.split(|c: char| c.is_whitespace() || matches!(c, '=' | '"' | '\'' | ':' | ','))
        .any(|word| word.starts_with('/') && Path::new(word).starts_with(project))
}

fn split_outside_quotes(text: &str) -> Vec<&str> {
    let mut quote = None;
    let mut parts = Vec::new();
    let mut start = 0;
    for (at, character) in text.char_indices() {
        match (quote, character) {
            (None, '"' | '\'') => quote = Some(character),
            (Some(open), c) if open == c => quote = None,
            (None, ',') => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

/// uWSGI's own settings.
pub(in super::super) fn uwsgi(path: &Path) -> Option<Config> {
    let content = text::read(path).ok()?;
    let sections = sections(&content);
    let section = sections.iter().find(|section| section.name == "uwsgi")?;
    let truth = |keys: &[&str]| section.get(keys).map(|(value, _)| !matches!(value, "false" | "0" | "no" | "off"));
    let count = section.get(&["processes", "workers", "p"]).map(|(value, _)| value);
    Some(Config {
        workers: count.map(|count| count.parse().map_or(Workers::Machine, Workers::Count)),
        preload: truth(&["lazy-apps", "lazy"]).map(|lazy| !lazy),
        master: truth(&["master"]),
        ..Config::default()
    })
}
