//! What checks look at: the survey of project and machine, the variables that each process of the app sees, log lines, and
//! probes that several checks share and that run once.
//!
//! May never change anything, nor hand out a secret for showing.

use super::written::Written;
use crate::coverage;
use crate::detect::survey::{AppProcess, Setting, StartLine, Survey, masked, read_text};
use crate::domain::answers::Draft;
use crate::domain::detection::{Evidence, PythonEnvironment};
use crate::domain::{Coverage, Detection, Distribution, Endpoint, InstrumentationSet, LevelReport, Protocol};
use crate::error::Result;
use crate::system::System;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

/// Everything that a check may look at.
pub struct Scene<'a> {
    /// The machine.
    pub system: &'a System,
    /// The project folder, absolute.
    pub project: &'a Path,
    /// What was found.
    pub survey: Survey,
    /// The variables that each place gives the app, the run script's first.
    pub scopes: Vec<Scope>,
    /// Lines of the app's log, with where each came from.
    pub log: Vec<Evidence>,
    /// No network.
    pub offline: bool,
    /// What flags, variables and the answers file say.
    pub draft: Draft,
    /// How long one probe of the network may take.
    pub deadline: Duration,
    endpoint: OnceLock<LevelReport>,
    python: OnceLock<Result<LevelReport>>,
    written: OnceLock<Written>,
}

/// The variables that one place gives the app.
#[derive(Clone)]
pub struct Scope {
    /// `the run script`, `this shell`, `pid 4711 (gunicorn)`, `compose.yaml`.
    pub name: String,
    /// What it is.
    pub kind: ScopeKind,
    /// Name → value and where it was set; `OTEL_*`, proxies and other telling names.
    pub variables: BTreeMap<String, Set>,
}

/// What a scope is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScopeKind {
    /// `.signoz/otel.env` under this shell's variables: what the run script gives the app.
    RunScript,
    /// A running process.
    Process,
    /// A file of the project or of the machine: Dockerfile, compose, unit, script, `.env`.
    File,
    /// This shell, where there is no run script yet.
    Shell,
}

/// A variable's value and where it was set.
#[derive(Clone)]
pub struct Set {
    /// As it is; keys included.
    pub value: String,
    /// `.signoz/otel.env:4`, `this shell`, `Dockerfile:7`.
    pub source: String,
}

impl std::fmt::Debug for Scope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({:?}): {:?}", self.name, self.kind, self.variables.keys())
    }
}

impl Scope {
    /// A value; empty counts as unset, as in the OpenTelemetry specification.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.variables
            .get(name)
            .map(|set| set.value.as_str())
            .filter(|value| !value.is_empty())
    }

    /// A signal's own variable if it is set, else the general one: `("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", value)`.
    #[must_use]
    pub fn traces(&self, suffix: &str) -> Option<(String, &str)> {
        [
            format!("OTEL_EXPORTER_OTLP_TRACES_{suffix}"),
            format!("OTEL_EXPORTER_OTLP_{suffix}"),
        ]
        .into_iter()
        .find_map(|name| self.get(&name).map(|value| (name.clone(), value)))
    }

    /// A variable as evidence, secrets masked.
    #[must_use]
    pub fn evidence(&self, name: &str) -> Vec<Evidence> {
        self.variables
            .get(name)
            .map(|set| Evidence::new(set.source.clone(), format!("{name}={}", masked(name, &set.value))))
            .into_iter()
            .collect()
    }

    /// Whether anything in it configures OpenTelemetry.
    #[must_use]
    pub fn is_configured(&self) -> bool {
        self.variables.keys().any(|name| name.starts_with("OTEL_"))
    }
}

/// Variables besides `OTEL_*` that say something about spans.
const TELLING: &[&str] = &[
    "PYTHONPATH",
    "DJANGO_SETTINGS_MODULE",
    "WEB_CONCURRENCY",
    "GUNICORN_CMD_ARGS",
    "FLASK_DEBUG",
    "FLASK_ENV",
    "UVICORN_WORKERS",
    "UVICORN_RELOAD",
    "AWS_LAMBDA_FUNCTION_NAME",
    "GRPC_ENABLE_FORK_SUPPORT",
    "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",
    "GRPC_DNS_RESOLVER",
    "SSL_CERT_FILE",
    "REQUESTS_CA_BUNDLE",
    "SIGNOZ_AUTO",
    "SIGNOZ_INGESTION_KEY",
    "SIGNOZ_REGION",
    "SIGNOZ_ENDPOINT",
    "PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION",
];

fn tells(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    let proxy = lower.ends_with("_proxy");
    let agent = ["DD_", "NEW_RELIC_", "ELASTIC_APM_", "LOGFIRE_", "SENTRY_"];
    name.starts_with("OTEL_") || proxy || TELLING.contains(&name) || agent.iter().any(|prefix| name.starts_with(prefix))
}

impl<'a> Scene<'a> {
    /// A scene of a surveyed project.
    #[must_use]
    pub fn new(system: &'a System, project: &'a Path, survey: Survey, offline: bool) -> Self {
        let scopes = scopes(system, project, &survey);
        Self {
            system,
            project,
            survey,
            scopes,
            log: Vec::new(),
            offline,
            draft: Draft::default(),
            deadline: crate::verify::endpoint::DEADLINE,
            endpoint: OnceLock::new(),
            python: OnceLock::new(),
            written: OnceLock::new(),
        }
    }

    /// The facts.
    #[must_use]
    pub fn detection(&self) -> &Detection {
        &self.survey.detection
    }

    /// The app's environment, if one was found and can be used.
    #[must_use]
    pub fn python(&self) -> Option<&PythonEnvironment> {
        self.survey.detection.python.as_ref().filter(|python| python.broken.is_none())
    }

    /// An installed distribution, by normalised name.
    #[must_use]
    pub fn dist(&self, name: &str) -> Option<&Distribution> {
        self.survey.detection.installed.get(name)
    }

    /// Its version.
    #[must_use]
    pub fn version(&self, name: &str) -> Option<pep440_rs::Version> {
        self.dist(name)?.version.parse().ok()
    }

    /// Whether an installed distribution's version is in a PEP 440 range such as `<0.49b0`; false when it is absent.
    #[must_use]
    pub fn is(&self, name: &str, range: &str) -> bool {
        let specifiers: std::result::Result<pep440_rs::VersionSpecifiers, _> = range.parse();
        match (self.version(name), specifiers) {
            (Some(version), Ok(specifiers)) => specifiers.contains(&version),
            _ => false,
        }
    }

    /// Where a distribution's metadata lies, as evidence.
    #[must_use]
    pub fn dist_evidence(&self, name: &str) -> Vec<Evidence> {
        let Some(distribution) = self.dist(name) else { return Vec::new() };
        let place = distribution.location.strip_prefix(self.project).unwrap_or(&distribution.location);
        vec![Evidence::new(
            place.display().to_string(),
            format!("{} {}", distribution.name, distribution.version),
        )]
    }

    /// What the installed set is: pinned when the contrib packages are those of the docs.
    #[must_use]
    pub fn set(&self) -> InstrumentationSet {
        if self.is("opentelemetry-distro", "==0.38b0") || self.dist("opentelemetry-distro").is_none() {
            InstrumentationSet::Pinned
        } else {
            InstrumentationSet::Current
        }
    }

    /// What the installed set traces.
    #[must_use]
    pub fn coverage(&self) -> Vec<Coverage> {
        let version = self.python().map_or("", |python| python.version.as_str());
        coverage::table(&self.survey.detection.installed, self.set(), version)
    }

    /// Start commands, the likeliest first; guesses left out.
    pub fn starts(&self) -> impl Iterator<Item = &StartLine> {
        self.survey
            .commands
            .iter()
            .filter(|start| start.place != crate::detect::survey::Place::Guess)
    }

    /// Running processes of the app.
    #[must_use]
    pub fn processes(&self) -> &[AppProcess] {
        &self.survey.processes
    }

    /// A file of the project as text.
    #[must_use]
    pub fn text(&self, relative: impl AsRef<Path>) -> Option<String> {
        read_text(&self.project.join(relative))
    }

    /// Whether set-up was run here.
    #[must_use]
    pub fn is_set_up(&self) -> bool {
        self.project.join(".signoz/run.sh").is_file()
    }

    /// The run script.
    #[must_use]
    pub fn run_script(&self) -> PathBuf {
        self.project.join(".signoz/run.sh")
    }

    /// What the run script gives the app; this shell's variables where there is none.
    #[must_use]
    pub fn main_scope(&self) -> Option<&Scope> {
        self.scopes.first()
    }

    /// Scopes in which OpenTelemetry is configured.
    pub fn configured(&self) -> impl Iterator<Item = &Scope> {
        self.scopes.iter().filter(|scope| scope.is_configured())
    }

    /// Where the app's exporter sends, and over what, as the main scope says.
    #[must_use]
    pub fn destination(&self) -> Option<(Endpoint, Protocol)> {
        let scope = self.main_scope()?;
        let protocol = scope
            .traces("PROTOCOL")
            .and_then(|(_, value)| value.trim().parse().ok())
            .unwrap_or_default();
        let (_, text) = scope.traces("ENDPOINT")?;
        let text = text.trim().trim_end_matches('/').trim_end_matches("/v1/traces");
        Some((text.parse().ok()?, protocol))
    }

    /// One span sent from this program to the configured endpoint; sent once, however many checks look at it.
    pub fn endpoint_probe(&self, send: impl FnOnce() -> LevelReport) -> &LevelReport {
        self.endpoint.get_or_init(send)
    }

    /// One span sent from the app's own Python under its run script; sent once.
    pub fn python_probe(&self, send: impl FnOnce() -> Result<LevelReport>) -> &Result<LevelReport> {
        self.python.get_or_init(send)
    }

    /// Where flags, variables and the answers file want spans to go.
    #[must_use]
    pub fn answered_endpoint(&self) -> Option<Endpoint> {
        let region = || self.draft.region.as_ref().map(crate::domain::Region::endpoint);
        self.draft.endpoint.clone().or_else(region)
    }

    /// Files on containers, clusters and collectors, parsed once.
    pub(super) fn written(&self) -> &Written {
        self.written.get_or_init(|| Written::read(self.system, self.project, &self.survey))
    }
}

/// The run script's variables first (or this shell's), then one scope for each place that sets something.
fn scopes(system: &System, project: &Path, survey: &Survey) -> Vec<Scope> {
    let shell = |variables: &mut BTreeMap<String, Set>| {
        for (name, value) in system.env.iter().filter(|(name, _)| tells(name)) {
            let source = "this shell".to_owned();
            variables.insert(
                name.clone(),
                Set {
                    value: value.clone(),
                    source,
                },
            );
        }
    };
    let mut scopes = Vec::new();
    let mut variables = BTreeMap::new();
    match read_text(&project.join(".signoz/otel.env")) {
        Some(text) => {
            for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with('#')) {
                if let Some((name, value)) = line.split_once('=') {
                    let set = Set {
                        value: value.to_owned(),
                        source: format!(".signoz/otel.env:{}", index + 1),
                    };
                    variables.insert(name.trim().to_owned(), set);
                }
            }
            // A variable that is set outside wins over the file, as in the run script.
            shell(&mut variables);
            scopes.push(Scope {
                name: "the run script".to_owned(),
                kind: ScopeKind::RunScript,
                variables,
            });
        }
        None => {
            shell(&mut variables);
            scopes.push(Scope {
                name: "this shell".to_owned(),
                kind: ScopeKind::Shell,
                variables,
            });
        }
    }
    for process in &survey.processes {
        let Some(all) = &process.variables else { continue };
        let source = format!("pid {}", process.process.pid);
        let set = |(name, value): (&String, &String)| {
            let set = Set {
                value: value.clone(),
                source: source.clone(),
            };
            (name.clone(), set)
        };
        scopes.push(Scope {
            name: format!("{source} ({})", process.kind.as_str()),
            kind: ScopeKind::Process,
            variables: all.iter().filter(|(name, _)| tells(name)).map(set).collect(),
        });
    }
    let mut files: BTreeMap<&str, Scope> = BTreeMap::new();
    for setting in survey
        .settings
        .iter()
        .filter(|setting| tells(&setting.name) && !setting.source.starts_with("pid "))
    {
        let file = file_of(setting);
        let scope = files.entry(file).or_insert_with(|| Scope {
            name: file.to_owned(),
            kind: ScopeKind::File,
            variables: BTreeMap::new(),
        });
        let set = Set {
            value: setting.value.clone(),
            source: setting.source.clone(),
        };
        scope.variables.insert(setting.name.clone(), set);
    }
    scopes.extend(files.into_values());
    scopes
}

/// `Dockerfile` of `Dockerfile:7`.
fn file_of(setting: &Setting) -> &str {
    match setting.source.rsplit_once(':') {
        Some((file, line)) if line.bytes().all(|byte| byte.is_ascii_digit()) => file,
        _ => &setting.source,
    }
}
