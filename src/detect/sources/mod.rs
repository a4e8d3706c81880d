//! Where start commands are written down: one file for each format, all giving the same raw material.
//!
//! They read and report; what a command means is decided in `invocation`.

mod compose;
mod dockerfile;
pub(super) mod ini;
mod processes;
mod pyproject;
mod scripts;
mod systemd;

use super::program::program;
use super::shell::{self, Variables, assignment};
use super::text;
use super::walk::{Kind, Tree, is_aside};
use super::wrappers::unwrap;
use crate::domain::detection::ServerKind;
use crate::system::System;
use std::path::{Path, PathBuf};

/// The kind of place a command was found in; the order is how much it says about what really runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Origin {
    Process,
    Procfile,
    Service,
    Container,
    Script,
    Makefile,
    Guess,
}

/// A command as it was found.
#[derive(Debug, Clone)]
pub(super) struct Raw {
    pub(super) origin: Origin,
    pub(super) words: Vec<String>,
    /// Variables that are set around it.
    pub(super) variables: Variables,
    /// Absolute.
    pub(super) directory: PathBuf,
    /// `Procfile:1`, `pid 4711`.
    pub(super) source: String,
    /// The line itself.
    pub(super) fact: String,
    /// Interpreter that runs it, where that is seen (a running process).
    pub(super) interpreter: Option<PathBuf>,
}

/// A variable that some file or process sets for the app.
#[derive(Debug, Clone)]
pub(super) struct Setting {
    pub(super) name: String,
    pub(super) value: String,
    pub(super) source: String,
}

/// Everything that the sources gave.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    pub(super) commands: Vec<Raw>,
    pub(super) settings: Vec<Setting>,
    pub(super) notes: Vec<String>,
}

/// Reads all sources of the project and the machine.
pub(super) fn gather(system: &System, project: &Path, tree: &Tree) -> Gathered {
    let mut found = Gathered::default();
    processes::read(system, project, &mut found);
    let dotenv = scripts::dotenv(project, &mut found);
    for (kind, read) in READERS {
        for path in tree.of(*kind).filter(|path| !is_aside(path)) {
            let file = File {
                project,
                path,
                dotenv: &dotenv,
            };
            match text::read(&project.join(path)) {
                Ok(content) => read(&file, &content, &mut found),
                Err(error) => found.note_unread(path, &error),
            }
        }
    }
    systemd::installed(system, project, &mut found);
    ini::installed(system, project, &mut found);
    found
}

pub(super) use dockerfile::instructions;
pub(super) use processes::all as app_processes;

type Reader = fn(&File<'_>, &str, &mut Gathered);

const READERS: &[(Kind, Reader)] = &[
    (Kind::Procfile, scripts::procfile),
    (Kind::Unit, systemd::project_unit),
    (Kind::Ini, ini::project_file),
    (Kind::Compose, compose::read),
    (Kind::Dockerfile, dockerfile::read),
    (Kind::Pyproject, pyproject::read),
    (Kind::Pipfile, pyproject::pipfile),
    (Kind::SetupCfg, pyproject::setup_cfg),
    (Kind::Shell, scripts::shell_script),
    (Kind::Makefile, scripts::makefile),
];

/// The file that a reader is given.
pub(super) struct File<'a> {
    project: &'a Path,
    /// Relative to the project.
    path: &'a Path,
    /// Variables of the project's `.env`.
    dotenv: &'a Variables,
}

impl File<'_> {
    /// `Procfile:3`.
    fn at(&self, line: usize) -> String {
        format!("{}:{line}", self.path.display())
    }

    /// The folder that the file lies in, absolute.
    fn folder(&self) -> PathBuf {
        self.project.join(self.path.parent().unwrap_or(Path::new("")))
    }
}

impl Gathered {
    fn note_unread(&mut self, path: &Path, error: &std::io::Error) {
        let why = match error.kind() {
            std::io::ErrorKind::InvalidInput => "it is not a regular file".to_owned(),
            std::io::ErrorKind::FileTooLarge => format!("it is larger than {} KiB", text::LIMIT >> 10),
            _ => error.to_string().split(" (os error").next().unwrap_or_default().to_lowercase(),
        };
        self.notes.push(text::clean(&format!("`{}` was not read: {why}", path.display())));
    }

    fn set(&mut self, name: &str, value: &str, source: &str) {
        self.settings.push(Setting {
            name: name.to_owned(),
            value: value.to_owned(),
            source: source.to_owned(),
        });
    }

    fn command(&mut self, origin: Origin, words: Vec<String>, place: &Place, source: String, fact: &str) {
        self.commands.push(Raw {
            origin,
            words,
            variables: place.variables.clone(),
            directory: place.directory.clone(),
            source,
            fact: fact.trim().to_owned(),
            interpreter: None,
        });
    }

    /// Takes the server starts out of a shell line, following `cd` and `export`.
    fn shell_line(&mut self, origin: Origin, line: &str, place: &mut Place, source: &str) {
        for words in shell::commands(line, &place.variables) {
            let words = match words[0].as_str() {
                "cd" | "pushd" => {
                    if let Some(folder) = words.get(1).filter(|folder| !folder.contains('$')) {
                        place.directory = text::tidy(&place.directory.join(folder));
                    }
                    continue;
                }
                "export" | "declare" | "local" | "readonly" => words[1..].to_vec(),
                _ => words,
            };
            let assigned = words.iter().map_while(|word| assignment(word)).collect::<Vec<_>>();
            if assigned.len() == words.len() {
                for (name, value) in assigned {
                    self.set(name, value, source);
                    place.variables.insert(name.to_owned(), value.to_owned());
                }
                continue;
            }
            if is_start(&words, &place.variables) {
                self.command(origin, words, place, source.to_owned(), line);
            }
        }
    }
}

/// Whether a command starts something that we know or that is Python.
fn is_start(words: &[String], variables: &Variables) -> bool {
    let context = super::invocation::Context {
        variables: variables.clone(),
        config: None,
    };
    super::invocation::parse(words, &context, Path::new("/"), Path::new("/")).kind != ServerKind::Unknown
}

/// Where a line of a script stands.
#[derive(Debug, Clone)]
struct Place {
    variables: Variables,
    directory: PathBuf,
}

/// Whether a command looks like an app's own start and not like one of many scripts: a server, or Python running an entry file.
fn is_likely_app(words: &[String], directory: &Path, project: &Path) -> bool {
    let inner = unwrap(words).words;
    let program = program(&inner);
    if program.kind != ServerKind::Python {
        return true;
    }
    let target = inner
        .get(program.arguments.saturating_sub(1))
        .map(String::as_str)
        .unwrap_or_default();
    let path = directory.join(target);
    let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    if target.ends_with(".py") {
        return matches!(
            stem,
            "app" | "main" | "server" | "run" | "wsgi" | "asgi" | "application" | "worker" | "bot" | "serve" | "web" | "api" | "manage"
        );
    }
    // `python -m package`: the project's own package, not a tool.
    path.starts_with(project) && module_file(directory, target).is_some()
}

/// The file behind `-m name` in a folder.
pub(super) fn module_file(directory: &Path, module: &str) -> Option<PathBuf> {
    let path = directory.join(module.replace('.', "/"));
    [path.join("__main__.py"), path.with_extension("py")]
        .into_iter()
        .find(|file| file.is_file())
}
