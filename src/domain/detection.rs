//! What was found on the machine and in the project: facts, each with its evidence. Never decisions.

use super::packages::{Distribution, PackageTool};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Where a fact was seen: a file with its line, a process id, a variable's name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Evidence {
    /// `Dockerfile:12`, `pid 4711`, `VIRTUAL_ENV`.
    pub source: String,
    /// What stands there, shortened to one line and free of secrets and control characters.
    pub fact: String,
}

impl Evidence {
    /// Makes a piece of evidence; control characters are dropped, so that a project file cannot steer the terminal.
    pub fn new(source: impl Into<String>, fact: impl AsRef<str>) -> Self {
        let fact: String = fact.as_ref().chars().filter(|c| !c.is_control()).take(200).collect();
        let source: String = source.into().chars().filter(|c| !c.is_control()).collect();
        Self { source, fact }
    }
}

/// One way that the app is run, out of the contract's four targets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DetectedTarget {
    /// `vm`, `docker` or `kubernetes`; `workers` when a worker server was found.
    pub kind: TargetKind,
    /// Evidence, strongest first.
    pub because: Vec<Evidence>,
}

/// The kind of place an app runs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TargetKind {
    /// A virtual or real machine.
    Vm,
    /// A container or a project with container files.
    Docker,
    /// A cluster, or a project with manifests.
    Kubernetes,
}

/// An interpreter and its environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PythonEnvironment {
    /// Absolute path to start it with (inside the virtual environment where there is one; symlinks kept).
    pub interpreter: PathBuf,
    /// `3.11.7`; read from `pyvenv.cfg` or the interpreter's folder, so without starting Python where possible.
    pub version: String,
    /// Root of the virtual environment, if it is one.
    pub virtualenv: Option<PathBuf>,
    /// How the environment was made.
    pub kind: EnvironmentKind,
    /// The tool that owns the project's dependencies.
    pub package_manager: PackageTool,
    /// Folder of the installed distributions' metadata.
    pub site_packages: Vec<PathBuf>,
    /// Whether `pip` is installed in it.
    pub has_pip: bool,
    /// PEP 668: the distribution forbids pip to install here.
    pub externally_managed: bool,
    /// Why it cannot be used (missing interpreter, foreign architecture, …), in one clause.
    pub broken: Option<String>,
    /// Evidence, strongest first.
    pub because: Vec<Evidence>,
}

/// How a Python environment was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum EnvironmentKind {
    /// `python -m venv` or virtualenv.
    Venv,
    /// `uv venv`: no pip inside.
    Uv,
    /// Poetry's own folder.
    Poetry,
    /// Pipenv's own folder.
    Pipenv,
    /// PDM's own folder.
    Pdm,
    /// A conda prefix.
    Conda,
    /// No environment: the machine's Python.
    System,
}

/// A web or task framework that the app uses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Framework {
    /// Distribution name, normalised (`flask`, `django`).
    pub name: String,
    /// Installed version, `None` when only required, not installed.
    pub version: Option<String>,
    /// Evidence, strongest first.
    pub because: Vec<Evidence>,
}

/// The server (or plain start) behind a command; rows of the launch table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ServerKind {
    /// Gunicorn with any worker class.
    Gunicorn,
    /// Uvicorn.
    Uvicorn,
    /// Hypercorn.
    Hypercorn,
    /// Granian.
    Granian,
    /// uWSGI.
    Uwsgi,
    /// Daphne.
    Daphne,
    /// Waitress.
    Waitress,
    /// A Celery worker or beat.
    Celery,
    /// An RQ worker.
    Rq,
    /// Dramatiq.
    Dramatiq,
    /// `flask run`.
    Flask,
    /// `manage.py runserver`.
    DjangoRunserver,
    /// `fastapi run` or `fastapi dev`.
    Fastapi,
    /// `python app.py` or `python -m package`.
    Python,
    /// Something that is not a Python start we know.
    Unknown,
}

impl ServerKind {
    /// The name that people type and the JSON carries.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gunicorn => "gunicorn",
            Self::Uvicorn => "uvicorn",
            Self::Hypercorn => "hypercorn",
            Self::Granian => "granian",
            Self::Uwsgi => "uwsgi",
            Self::Daphne => "daphne",
            Self::Waitress => "waitress",
            Self::Celery => "celery",
            Self::Rq => "rq",
            Self::Dramatiq => "dramatiq",
            Self::Flask => "flask",
            Self::DjangoRunserver => "django-runserver",
            Self::Fastapi => "fastapi",
            Self::Python => "python",
            Self::Unknown => "unknown",
        }
    }
}

/// How worker processes come into being.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum StartMethod {
    /// Workers are forked from an initialised parent.
    Fork,
    /// Workers are new interpreters.
    Spawn,
    /// One process serves.
    Single,
    /// A watcher restarts a child on file changes.
    Reload,
}

/// How the app is started today, read from a file, a process or the command line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Server {
    /// Which server.
    #[serde(rename = "name")]
    pub kind: ServerKind,
    /// The start command as words, without variable prefixes and shell syntax; secrets masked.
    pub command: Vec<String>,
    /// `NAME=value` prefixes of the command, in order (`DJANGO_SETTINGS_MODULE=…`).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub variables: Vec<(String, String)>,
    /// Number of worker processes; `None` when the server decides by CPU count.
    pub workers: Option<u32>,
    /// Gunicorn's `-k`, Celery's `--pool`.
    pub worker_class: Option<String>,
    /// How the workers start.
    pub start: StartMethod,
    /// The app is imported before the fork.
    pub preload: bool,
    /// Folder in which the command runs, relative to the project.
    pub directory: PathBuf,
    /// The user's own config file for the server, when there is one (relative to the project).
    pub config: Option<PathBuf>,
    /// Evidence, strongest first.
    pub because: Vec<Evidence>,
}

/// Something in the project that would break tracing and is better said before than after.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Hazard {
    /// Stable id, `family.kebab-name`, such as `process.duplicate-hook`.
    pub id: &'static str,
    /// What would happen, in one sentence.
    pub title: String,
    /// What to do, with file and line.
    pub remedy: String,
    /// Evidence, strongest first.
    pub because: Vec<Evidence>,
}

/// An app inside a monorepo: a folder that holds its own dependencies or start command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct App {
    /// Relative to the project folder; `.` for the folder itself.
    pub directory: PathBuf,
    /// Evidence, strongest first.
    pub because: Vec<Evidence>,
}

/// The machine: operating system, init, privileges, proxies.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Host {
    /// `linux`, `macos`.
    pub os: String,
    /// `x86_64`, `aarch64`.
    pub arch: String,
    /// `glibc` or `musl`, on Linux.
    pub libc: Option<String>,
    /// `systemd` when PID 1 is it.
    pub init: Option<String>,
    /// The effective user is root.
    pub root: bool,
    /// `sudo` runs us with another person's HOME: (HOME, the home of the effective user).
    pub foreign_home: Option<(PathBuf, PathBuf)>,
    /// Names of the proxy variables that are set; never their values.
    pub proxies: Vec<String>,
}

/// Everything that detection found. Serialises as the contract's `environment`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Detection {
    /// Places that the app runs in, most likely first.
    pub targets: Vec<DetectedTarget>,
    /// The environment that is used; `None` when none was found.
    pub python: Option<PythonEnvironment>,
    /// Other environments that could have been meant; never a silent guess.
    pub python_candidates: Vec<PythonEnvironment>,
    /// Frameworks.
    pub frameworks: Vec<Framework>,
    /// Start commands, most likely first.
    pub servers: Vec<Server>,
    /// Apps, when the folder is a monorepo (more than one).
    pub apps: Vec<App>,
    /// `DJANGO_SETTINGS_MODULE` as manage.py, wsgi.py or asgi.py sets it.
    pub django_settings: Option<DjangoSettings>,
    /// What would break tracing.
    pub hazards: Vec<Hazard>,
    /// Container markers of this machine and files of the project.
    pub containers: Vec<Evidence>,
    /// Cluster markers of this machine and files of the project.
    pub kubernetes: Vec<Evidence>,
    /// The machine.
    pub host: Host,
    /// Installed distributions of `python`, by normalised name.
    #[serde(skip)]
    pub installed: BTreeMap<String, Distribution>,
    /// Variables of this process that matter to OpenTelemetry (`OTEL_*`); values of headers masked.
    #[serde(skip)]
    pub otel_variables: BTreeMap<String, String>,
    /// What could not be read, one line each; detection never fails as a whole.
    pub notes: Vec<String>,
}

/// The settings module that Django needs in its environment before instrumentation starts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DjangoSettings {
    /// `project.settings`.
    pub module: String,
    /// Where it was read.
    pub because: Vec<Evidence>,
}
