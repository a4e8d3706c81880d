//! Plans for projects that exist only in a test, and what they write.
#![allow(clippy::unwrap_used, clippy::panic, dead_code, unreachable_pub)]

use signoz_setup::coverage;
use signoz_setup::domain::answers::{Answers, Destination};
use signoz_setup::domain::detection::{EnvironmentKind, PythonEnvironment, Server, ServerKind, StartMethod};
use signoz_setup::domain::plan::{Change, Plan};
use signoz_setup::domain::{Detection, Distribution, IngestionKey, InstrumentationSet, PackageTool, Protocol, Resolution, Target};
use signoz_setup::error::Result;
use signoz_setup::planner::{self, Input};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Everything that goes into a plan, ready to be changed by a test.
pub struct Scenario {
    pub project: PathBuf,
    pub detection: Detection,
    pub answers: Answers,
    pub server: Server,
    pub python: PythonEnvironment,
    pub resolution: Resolution,
}

pub const KEY: &str = "canary-4711";

/// A Flask app under gunicorn with an environment in `.venv`.
pub fn scenario(project: &Path) -> Scenario {
    let command: Vec<String> = ["gunicorn", "app:app", "--workers", "4"].map(str::to_owned).into();
    Scenario {
        project: project.to_path_buf(),
        detection: Detection::default(),
        answers: Answers {
            target: Target::Direct,
            destination: Destination::Region("eu".parse().unwrap()),
            key: Some(IngestionKey::parse(KEY).unwrap()),
            api_key: None,
            service_name: "shop".parse().unwrap(),
            deployment_environment: None,
            protocol: Protocol::Grpc,
            instrumentation: InstrumentationSet::Pinned,
            accept_gaps: false,
            command: command.clone(),
        },
        server: server(ServerKind::Gunicorn, command),
        python: PythonEnvironment {
            interpreter: project.join(".venv/bin/python"),
            version: "3.12.1".to_owned(),
            virtualenv: Some(project.join(".venv")),
            kind: EnvironmentKind::Venv,
            package_manager: PackageTool::Pip,
            site_packages: vec![project.join(".venv/lib/python3.12/site-packages")],
            has_pip: true,
            externally_managed: false,
            broken: None,
            because: Vec::new(),
        },
        resolution: Resolution::default(),
    }
}

pub fn server(kind: ServerKind, command: Vec<String>) -> Server {
    Server {
        kind,
        command,
        variables: Vec::new(),
        workers: None,
        worker_class: None,
        start: if kind == ServerKind::Gunicorn {
            StartMethod::Fork
        } else {
            StartMethod::Single
        },
        preload: false,
        directory: PathBuf::from("."),
        config: None,
        because: Vec::new(),
    }
}

impl Scenario {
    /// With a distribution installed.
    pub fn with(mut self, name: &str, version: &str) -> Self {
        let distribution = Distribution {
            name: name.to_owned(),
            version: version.to_owned(),
            requires: Vec::new(),
            location: PathBuf::new(),
        };
        self.detection.installed.insert(name.to_owned(), distribution);
        self
    }

    /// Started in another way.
    pub fn started(mut self, kind: ServerKind, start: StartMethod, command: &[&str]) -> Self {
        let command: Vec<String> = command.iter().map(|word| (*word).to_owned()).collect();
        self.answers.command.clone_from(&command);
        self.server = server(kind, command);
        self.server.start = start;
        self
    }

    /// The plan.
    pub fn plan(&self) -> Result<Plan> {
        let set = self.answers.instrumentation;
        let coverage = coverage::table(&self.detection.installed, set, &self.python.version);
        let requirements = planner::requirements(&self.detection.installed, set, &self.python.version);
        planner::build(&Input {
            answers_file: None,
            detection: &self.detection,
            answers: &self.answers,
            server: &self.server,
            coverage: &coverage,
            requirements: &requirements,
            resolution: &self.resolution,
            project: &self.project,
            python: &self.python,
            program: &self.python.interpreter,
            offline: false,
        })
    }

    /// Writes the plan's files, keys and modes included, and returns the run script.
    pub fn write(&self) -> PathBuf {
        for step in self.plan().unwrap().steps {
            if let Change::WriteFile { path, content, mode } = step.change {
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(&path, content.reveal()).unwrap();
                fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            }
        }
        self.project.join(".signoz/run.sh")
    }
}

/// What a plan writes to a file of the project, secrets masked.
pub fn file<'a>(plan: &'a Plan, name: &str) -> Option<(String, u32, &'a Path)> {
    plan.steps.iter().find_map(|step| match &step.change {
        Change::WriteFile { path, content, mode } if path.ends_with(name) => Some((content.masked(), *mode, path.as_path())),
        _ => None,
    })
}
