//! A healthy project on a small machine of its own, to be broken by a test: files, installed packages, variables, running
//! processes, log lines. What set-up writes is written by the planner itself.
#![allow(clippy::unwrap_used, clippy::panic, dead_code, unreachable_pub)]

use signoz_setup::checks::{self, Scene, Selection};
use signoz_setup::domain::answers::{Answers, Destination};
use signoz_setup::domain::detection::Evidence;
use signoz_setup::domain::plan::Change;
use signoz_setup::domain::report::Finding;
use signoz_setup::domain::{IngestionKey, InstrumentationSet, Outcome, Protocol, Resolution, Target};
use signoz_setup::planner::{self, Input};
use signoz_setup::system::{Cancel, RealCommands, RealFiles, System};
use signoz_setup::{coverage, detect};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use tempfile::TempDir;

/// Stands wherever a key stands; must never be shown.
pub const CANARY: &str = "canary-6f1e-4a52-9b0c";

/// What the pinned set and a small Flask app have installed.
const INSTALLED: &[(&str, &str, &[&str])] = &[
    ("pip", "23.2.1", &[]),
    ("setuptools", "80.10.2", &[]),
    ("flask", "2.3.3", &["Werkzeug>=2.3.7"]),
    ("werkzeug", "2.3.8", &[]),
    ("gunicorn", "23.0.0", &[]),
    ("requests", "2.32.3", &[]),
    ("protobuf", "4.25.9", &[]),
    ("grpcio", "1.85.3", &[]),
    ("googleapis-common-protos", "1.75.0", &["protobuf>=4.25.8,<8.0.0"]),
    ("wrapt", "1.17.3", &[]),
    ("deprecated", "1.3.1", &["wrapt<3,>=1.10"]),
    ("importlib-metadata", "6.0.1", &[]),
    ("backoff", "2.2.1", &[]),
    (
        "opentelemetry-api",
        "1.17.0",
        &["deprecated>=1.2.6", "importlib-metadata~=6.0.0", "setuptools>=16.0"],
    ),
    (
        "opentelemetry-sdk",
        "1.17.0",
        &["opentelemetry-api==1.17.0", "opentelemetry-semantic-conventions==0.38b0"],
    ),
    ("opentelemetry-semantic-conventions", "0.38b0", &[]),
    ("opentelemetry-proto", "1.17.0", &["protobuf<5.0,>=3.19"]),
    (
        "opentelemetry-exporter-otlp",
        "1.17.0",
        &[
            "opentelemetry-exporter-otlp-proto-grpc==1.17.0",
            "opentelemetry-exporter-otlp-proto-http==1.17.0",
        ],
    ),
    (
        "opentelemetry-exporter-otlp-proto-grpc",
        "1.17.0",
        &["grpcio<2.0.0,>=1.0.0", "opentelemetry-proto==1.17.0", "opentelemetry-sdk~=1.17.0"],
    ),
    (
        "opentelemetry-exporter-otlp-proto-http",
        "1.17.0",
        &["requests~=2.7", "opentelemetry-proto==1.17.0", "opentelemetry-sdk~=1.17.0"],
    ),
    (
        "opentelemetry-distro",
        "0.38b0",
        &["opentelemetry-instrumentation==0.38b0", "opentelemetry-sdk~=1.13"],
    ),
    (
        "opentelemetry-instrumentation",
        "0.38b0",
        &["wrapt<2.0.0,>=1.0.0", "setuptools>=16.0"],
    ),
    (
        "opentelemetry-instrumentation-flask",
        "0.38b0",
        &["opentelemetry-instrumentation==0.38b0"],
    ),
    (
        "opentelemetry-instrumentation-wsgi",
        "0.38b0",
        &["opentelemetry-instrumentation==0.38b0"],
    ),
    (
        "opentelemetry-instrumentation-requests",
        "0.38b0",
        &["opentelemetry-instrumentation==0.38b0"],
    ),
    (
        "opentelemetry-instrumentation-logging",
        "0.38b0",
        &["opentelemetry-instrumentation==0.38b0"],
    ),
    (
        "opentelemetry-instrumentation-urllib",
        "0.38b0",
        &["opentelemetry-instrumentation==0.38b0"],
    ),
    (
        "opentelemetry-instrumentation-sqlite3",
        "0.38b0",
        &["opentelemetry-instrumentation==0.38b0"],
    ),
    (
        "opentelemetry-instrumentation-dbapi",
        "0.38b0",
        &["opentelemetry-instrumentation==0.38b0"],
    ),
    ("opentelemetry-util-http", "0.38b0", &[]),
];

/// The project and its machine.
pub struct Lab {
    folder: TempDir,
    /// Variables of this shell.
    pub env: BTreeMap<String, String>,
    /// Log lines that `--log` would give.
    pub log: Vec<Evidence>,
    /// `--offline`.
    pub offline: bool,
    /// Whatever must live as long as the lab: servers, child processes.
    pub keep: Vec<Box<dyn std::any::Any>>,
    minor: &'static str,
    answers: Answers,
}

impl Lab {
    /// A Flask app under gunicorn on Python 3.11, set up and healthy; nothing runs, and there is no network.
    pub fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("lab").tempdir().unwrap();
        for name in ["project", "home", "root/proc", "root/etc", "bin", "state"] {
            fs::create_dir_all(folder.path().join(name)).unwrap();
        }
        let mut lab = Self {
            env: BTreeMap::from([("PATH".to_owned(), folder.path().join("bin").display().to_string())]),
            folder,
            log: Vec::new(),
            offline: true,
            keep: Vec::new(),
            minor: "3.11",
            answers: Answers {
                target: Target::Direct,
                destination: Destination::Region("eu".parse().unwrap()),
                key: Some(IngestionKey::parse(CANARY).unwrap()),
                api_key: None,
                service_name: "shop".parse().unwrap(),
                deployment_environment: None,
                protocol: Protocol::Grpc,
                instrumentation: InstrumentationSet::Pinned,
                accept_gaps: false,
                command: ["gunicorn", "app:app", "--workers", "4"].map(str::to_owned).into(),
            },
        };
        lab.file("app.py", "from flask import Flask\n\napp = Flask(__name__)\n");
        lab.file("Procfile", "web: .signoz/run.sh\n");
        lab.file("requirements.txt", "flask==2.3.3\ngunicorn\nrequests\n");
        lab.python("3.11.7");
        for (name, version, requires) in INSTALLED {
            lab.dist_with(name, version, requires);
        }
        lab.set_up();
        lab
    }

    pub fn project(&self) -> PathBuf {
        self.folder.path().join("project")
    }

    pub fn root(&self) -> PathBuf {
        self.folder.path().join("root")
    }

    /// Makes the environment anew, with this version and nothing installed.
    pub fn python(&mut self, version: &'static str) {
        let venv = self.project().join(".venv");
        let _ = fs::remove_dir_all(&venv);
        let end = version.rmatch_indices('.').next().unwrap().0;
        self.minor = &version[..end];
        write(&venv.join("pyvenv.cfg"), &format!("home = /usr/bin\nversion = {version}\n"));
        let program = venv.join("bin/python3");
        write(&program, "#!/bin/sh\nexit 0\n");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        symlink("python3", venv.join("bin/python")).unwrap();
        fs::create_dir_all(self.site()).unwrap();
    }

    /// Folder of the installed packages.
    pub fn site(&self) -> PathBuf {
        self.project().join(format!(".venv/lib/python{}/site-packages", self.minor))
    }

    /// Writes what set-up writes for the answers as they stand.
    pub fn set_up(&self) {
        let system = self.system();
        let project = self.project();
        let detection = detect::run(&system, &project, None, &|_| {});
        let python = detection.python.clone().unwrap();
        let server = detect::parse_command(&self.answers.command, Path::new("."), &project);
        let coverage = coverage::table(&detection.installed, self.answers.instrumentation, &python.version);
        let plan = planner::build(&Input {
            answers_file: None,
            detection: &detection,
            answers: &self.answers,
            server: &server,
            coverage: &coverage,
            requirements: &[],
            resolution: &Resolution::default(),
            project: &project,
            python: &python,
            program: &python.interpreter,
            offline: false,
        })
        .unwrap();
        for step in plan.steps {
            if let Change::WriteFile { path, content, mode } = step.change {
                write(&path, &content.reveal());
                fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            }
        }
    }

    /// Changes the answers and sets up again.
    pub fn answer(&mut self, change: impl FnOnce(&mut Answers)) {
        change(&mut self.answers);
        self.set_up();
    }

    pub fn file(&self, path: &str, text: &str) {
        write(&self.project().join(path), text);
    }

    pub fn remove(&self, path: &str) {
        let path = self.project().join(path);
        if path.is_dir() {
            fs::remove_dir_all(path).unwrap()
        } else {
            fs::remove_file(path).unwrap()
        }
    }

    /// A file of the machine: `/etc/systemd/system/shop.service`.
    pub fn machine_file(&self, path: &str, text: &str) {
        write(&self.root().join(path.trim_start_matches('/')), text);
    }

    /// Installs a distribution in place of the version that is there.
    pub fn dist(&self, name: &str, version: &str) {
        self.dist_with(name, version, &[]);
    }

    pub fn dist_with(&self, name: &str, version: &str, requires: &[&str]) {
        self.no_dist(name);
        let mut text = format!("Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n");
        for line in requires {
            text.push_str(&format!("Requires-Dist: {line}\n"));
        }
        write(
            &self.site().join(format!("{}-{version}.dist-info/METADATA", name.replace('-', "_"))),
            &text,
        );
    }

    /// Removes a distribution.
    pub fn no_dist(&self, name: &str) {
        let prefix = format!("{}-", name.replace('-', "_"));
        for entry in fs::read_dir(self.site()).unwrap().flatten() {
            let file = entry.file_name().into_string().unwrap();
            let same = file
                .strip_prefix(&prefix)
                .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
            if same && file.ends_with(".dist-info") {
                fs::remove_dir_all(entry.path()).unwrap();
            }
        }
    }

    /// Sets a variable of `.signoz/otel.env`; `None` removes it.
    pub fn otel(&self, name: &str, value: Option<&str>) {
        let path = self.project().join(".signoz/otel.env");
        let text = fs::read_to_string(&path).unwrap();
        let mut lines: Vec<String> = text
            .lines()
            .filter(|line| !line.starts_with(&format!("{name}=")))
            .map(str::to_owned)
            .collect();
        lines.extend(value.map(|value| format!("{name}={value}")));
        fs::write(path, lines.join("\n") + "\n").unwrap();
    }

    /// A running process of the machine (a folder of its `/proc`).
    pub fn process(&self, pid: u32, parent: u32, argv: &[&str], env: &[(&str, &str)]) {
        let folder = self.root().join(format!("proc/{pid}"));
        fs::create_dir_all(&folder).unwrap();
        fs::write(
            folder.join("stat"),
            format!("{pid} (x) S {parent} {pid} {pid} 0 0 0 0 0 0 0 0 0 0 0 0 20 0 1 0 100 0 0\n"),
        )
        .unwrap();
        fs::write(folder.join("cmdline"), argv.join("\0") + "\0").unwrap();
        let variables: Vec<String> = env.iter().map(|(name, value)| format!("{name}={value}")).collect();
        fs::write(folder.join("environ"), variables.join("\0") + "\0").unwrap();
        symlink(self.project(), folder.join("cwd")).unwrap();
        symlink(self.project().join(".venv/bin/python3"), folder.join("exe")).unwrap();
    }

    /// The current set and one framework in place of the pinned set and Flask, in the versions that the project carries.
    pub fn current(&mut self, (framework, version): (&str, &str)) {
        self.python("3.12.1");
        let release = coverage::data::release(InstrumentationSet::Current, "3.12.1");
        let (core, contrib) = (release.exporter.as_str(), release.distro.as_str());
        let api = format!("opentelemetry-api=={core}");
        for (name, version) in [
            ("pip", "25.3"),
            ("gunicorn", "27.0.1"),
            ("requests", "2.34.0"),
            ("urllib3", "2.8.0"),
        ] {
            self.dist(name, version);
        }
        for (name, version) in [("grpcio", "1.85.1"), ("protobuf", "6.33.5"), ("wrapt", "1.17.3")] {
            self.dist(name, version);
        }
        let needs: &[&str] = if framework == "fastapi" {
            &["opentelemetry-api>=1.44.0"]
        } else {
            &[]
        };
        self.dist_with(framework, version, needs);
        self.dist("opentelemetry-api", core);
        self.dist("opentelemetry-semantic-conventions", contrib);
        self.dist("opentelemetry-util-http", contrib);
        self.dist_with("opentelemetry-sdk", core, &[&api]);
        self.dist_with("opentelemetry-proto", core, &["protobuf<8.0,>=5.0"]);
        self.dist("opentelemetry-exporter-otlp-proto-common", core);
        for name in ["", "-proto-grpc", "-proto-http"] {
            self.dist(&format!("opentelemetry-exporter-otlp{name}"), core);
        }
        self.dist_with("opentelemetry-instrumentation", contrib, &["wrapt<3.0.0,>=1.0.0"]);
        self.dist_with("opentelemetry-distro", contrib, &["opentelemetry-sdk~=1.13"]);
        for library in [framework, "requests", "urllib3", "grpcio"] {
            for row in &release.instrumentations {
                if row.bootstrap.iter().any(|at| at.library == library) {
                    self.dist(&row.instrumentation, &row.version);
                }
            }
        }
        self.answer(|answers| answers.instrumentation = InstrumentationSet::Current);
    }

    /// `opentelemetry-instrument` of the environment, started by this interpreter.
    pub fn launcher(&self, interpreter: &str) {
        let text = format!("#!{interpreter}\nimport sys\n");
        write(&self.project().join(".venv/bin/opentelemetry-instrument"), &text);
    }

    /// The machine's Python on PATH, which its distribution manages (PEP 668).
    pub fn managed_python(&self, minor: &str) {
        let prefix = self.folder.path();
        let program = prefix.join(format!("bin/python{minor}"));
        write(&program, "#!/bin/sh\nexit 0\n");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        symlink(format!("python{minor}"), prefix.join("bin/python3")).unwrap();
        write(
            &prefix.join(format!("lib/python{minor}/EXTERNALLY-MANAGED")),
            "[externally-managed]\n",
        );
        fs::create_dir_all(prefix.join(format!("lib/python{minor}/site-packages"))).unwrap();
    }

    /// A line of the app's log.
    pub fn says(&mut self, line: &str) {
        let number = self.log.len() + 1;
        self.log.push(Evidence::new(format!("app.log:{number}"), line));
    }

    pub fn system(&self) -> System {
        static RUNTIME: OnceLock<tokio::runtime::Runtime> = OnceLock::new();
        let runtime = RUNTIME.get_or_init(|| tokio::runtime::Runtime::new().unwrap());
        let cancel = Cancel::default();
        System {
            env: self.env.clone(),
            root: self.root(),
            home: Some(self.folder.path().join("home")),
            state: self.folder.path().join("state"),
            files: Arc::new(RealFiles),
            commands: Arc::new(RealCommands::new(cancel.clone())),
            runtime: runtime.handle().clone(),
            cancel,
        }
    }

    /// Runs these families or checks (all when empty); a finding that shows the canary is a failure of the test.
    pub fn check(&self, only: &[&str]) -> Vec<Finding> {
        let system = self.system();
        let project = self.project();
        let survey = detect::survey(&system, &project, None, &|_| {});
        let mut scene = Scene::new(&system, &project, survey, self.offline);
        scene.log = self.log.clone();
        scene.deadline = std::time::Duration::from_secs(3);
        let selection = Selection {
            only: only.iter().map(|name| (*name).to_owned()).collect(),
        };
        let findings = checks::run(&scene, &selection, &|_| {});
        let shown = serde_json::to_string(&findings).unwrap();
        assert!(!shown.contains(CANARY), "the key is shown: {shown}");
        findings
    }

    /// What one check finds.
    pub fn finding(&self, id: &str) -> Finding {
        let found = self.check(&[id]);
        found
            .into_iter()
            .find(|finding| finding.id == id)
            .unwrap_or_else(|| panic!("there is no check {id}"))
    }

    /// Everything that is not as it should be.
    pub fn complaints(&self) -> Vec<Finding> {
        let bad = |finding: &Finding| !matches!(finding.outcome, Outcome::Pass | Outcome::Skip);
        self.check(&[]).into_iter().filter(bad).collect()
    }
}

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}
