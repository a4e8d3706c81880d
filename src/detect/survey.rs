//! The raw material behind a detection, for those who judge rather than set up: every start command, every variable that a
//! file or a process sets, every file worth reading, every process of the app.
//!
//! May never be shown as it is: values are what stands there, keys included. [`Setting`] and [`AppProcess`] print dots.

use super::sources::{Origin, Raw};
use super::text;
use super::walk::{Kind, Tree};
use super::wrappers::unwrap;
use crate::domain::Detection;
use crate::domain::detection::ServerKind;
use crate::system::System;
use crate::system::process::{self, Process};
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

/// A detection and what it was made of.
#[derive(Debug, Clone, Default)]
pub struct Survey {
    /// The facts.
    pub detection: Detection,
    /// Start commands, as they were found.
    pub commands: Vec<StartLine>,
    /// Variables that files and running processes set, in the order in which they were found.
    pub settings: Vec<Setting>,
    /// Files worth reading, relative to the project, shallow ones first.
    pub files: Vec<ProjectFile>,
    /// Processes of the app, masters and workers.
    pub processes: Vec<AppProcess>,
}

/// The kind of place that a start command was found in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Place {
    /// A running process.
    Process,
    /// A Procfile.
    Procfile,
    /// A systemd unit or a supervisor program.
    Service,
    /// A Dockerfile or a compose file.
    Container,
    /// A shell script, a Pipfile's or project's script.
    Script,
    /// A Makefile.
    Makefile,
    /// Nobody wrote it down; the code looks like it.
    Guess,
}

/// A start command.
#[derive(Debug, Clone)]
pub struct StartLine {
    /// Where it was found.
    pub place: Place,
    /// Its words, wrappers (`opentelemetry-instrument`, `poetry run`, `sudo`) included.
    pub words: Vec<String>,
    /// Its words without wrappers.
    pub inner: Vec<String>,
    /// Agents among the wrappers: `opentelemetry-instrument`, `ddtrace-run`, …
    pub agents: Vec<String>,
    /// Variables that are set around it.
    pub variables: BTreeMap<String, String>,
    /// Folder in which it runs, absolute.
    pub directory: PathBuf,
    /// `Procfile:1`, `pid 4711`.
    pub source: String,
    /// The line, secrets masked.
    pub fact: String,
}

/// A variable that some file or process sets for the app.
#[derive(Clone)]
pub struct Setting {
    /// Its name.
    pub name: String,
    /// What stands there, as it is.
    pub value: String,
    /// `Dockerfile:7`, `pid 4711`.
    pub source: String,
}

/// A file worth reading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectFile {
    /// Why.
    pub kind: FileKind,
    /// Relative to the project.
    pub path: PathBuf,
}

/// Why a file is worth reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names say it")]
pub enum FileKind {
    Procfile,
    Unit,
    Ini,
    Compose,
    Dockerfile,
    Pyproject,
    SetupCfg,
    SetupPy,
    Requirements,
    Pipfile,
    CondaFile,
    Makefile,
    Shell,
    Python,
    Manifest,
    Yaml,
}

/// A process of the app.
#[derive(Clone)]
pub struct AppProcess {
    /// The process.
    pub process: Process,
    /// What it serves with.
    pub kind: ServerKind,
    /// An ancestor of it serves the same app: it is a worker, or a reloader's child.
    pub worker: bool,
    /// Its variables; `None` when they may not be read.
    pub variables: Option<BTreeMap<String, String>>,
}

impl fmt::Debug for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={} [{}]", self.name, text::mask_value(&self.name, &self.value), self.source)
    }
}

impl fmt::Debug for AppProcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pid {} ({}, worker: {})", self.process.pid, self.kind.as_str(), self.worker)
    }
}

pub(super) fn start_line(raw: &Raw) -> StartLine {
    let unwrapped = unwrap(&raw.words);
    StartLine {
        place: match raw.origin {
            Origin::Process => Place::Process,
            Origin::Procfile => Place::Procfile,
            Origin::Service => Place::Service,
            Origin::Container => Place::Container,
            Origin::Script => Place::Script,
            Origin::Makefile => Place::Makefile,
            Origin::Guess => Place::Guess,
        },
        words: raw.words.clone(),
        inner: unwrapped.words.clone(),
        agents: unwrapped.agents.iter().map(ToString::to_string).collect(),
        variables: raw.variables.clone(),
        directory: raw.directory.clone(),
        source: raw.source.clone(),
        fact: text::mask_text(&raw.fact),
    }
}

pub(super) fn files(tree: &Tree) -> Vec<ProjectFile> {
    let kind = |kind| match kind {
        Kind::Procfile => FileKind::Procfile,
        Kind::Unit => FileKind::Unit,
        Kind::Ini => FileKind::Ini,
        Kind::Compose => FileKind::Compose,
        Kind::Dockerfile => FileKind::Dockerfile,
        Kind::Pyproject => FileKind::Pyproject,
        Kind::SetupCfg => FileKind::SetupCfg,
        Kind::SetupPy => FileKind::SetupPy,
        Kind::Requirements => FileKind::Requirements,
        Kind::Pipfile => FileKind::Pipfile,
        Kind::CondaFile => FileKind::CondaFile,
        Kind::Makefile => FileKind::Makefile,
        Kind::Shell => FileKind::Shell,
        Kind::Entry | Kind::Python => FileKind::Python,
        Kind::Manifest => FileKind::Manifest,
        Kind::Yaml => FileKind::Yaml,
    };
    let file = |found: &super::walk::Found| ProjectFile {
        kind: kind(found.kind),
        path: found.path.clone(),
    };
    tree.files.iter().map(file).collect()
}

/// Reads a text file of the project, within the limits of detection.
#[must_use]
pub fn read_text(path: &Path) -> Option<String> {
    text::read(path).ok()
}

/// A value as it may be shown under its name.
#[must_use]
pub fn masked(name: &str, value: &str) -> String {
    text::mask_value(name, value)
}

/// Running text with secrets blotted out.
#[must_use]
pub fn masked_text(text: &str) -> String {
    text::mask_text(&text::clean(text))
}

/// Whether a file belongs to tests, docs or examples.
#[must_use]
pub fn is_aside(path: &Path) -> bool {
    super::walk::is_aside(path)
}

/// The instructions of a Dockerfile with the number of their first line.
#[must_use]
pub fn instructions(dockerfile: &str) -> Vec<(usize, String)> {
    super::sources::instructions(dockerfile)
}

/// The app's processes, from `/proc`.
pub(super) fn processes(system: &System, project: &Path) -> Vec<AppProcess> {
    super::sources::app_processes(system, project)
        .into_iter()
        .map(|(process, kind, worker)| AppProcess {
            variables: process::variables(&system.root, process.pid),
            process,
            kind,
            worker,
        })
        .collect()
}
