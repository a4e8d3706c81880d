//! Real projects, set up by the program, and a way to break and restore them.
#![allow(clippy::unwrap_used, clippy::panic, dead_code)]

use serde_json::Value;
use signoz_setup::domain::{IngestionKey, Protocol};
use signoz_setup::tap::{Tap, TapOptions};
use std::any::Any;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// Stands wherever the key stands; must never be shown.
pub const CANARY: &str = "canary-6f1e-4a52-9b0c";

/// A kind of project.
pub struct Flavour {
    pub name: &'static str,
    /// `3.11`; empty for the machine's `python3`.
    pub python: &'static str,
    /// The tool that makes the environment.
    pub tool: Tool,
    pub packages: &'static [&'static str],
    pub files: &'static [(&'static str, &'static str)],
    pub command: &'static [&'static str],
    pub protocol: Protocol,
    pub set: &'static str,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Tool {
    Pip,
    Uv,
    Poetry,
}

const FLASK: &str = "from flask import Flask\n\napp = Flask(__name__)\n\n\n@app.route('/')\ndef index():\n    return 'ok'\n";
const FASTAPI: &str = "from fastapi import FastAPI\n\napp = FastAPI()\n\n\n@app.get('/')\ndef index():\n    return {}\n";
const TASKS: &str =
    "from celery import Celery\n\napp = Celery('tasks', broker='memory://')\n\n\n@app.task\ndef add(x, y):\n    return x + y\n";
const MANAGE: &str = "import os\nimport sys\n\nif __name__ == '__main__':\n    os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'shop.settings')\n    from django.core.management import execute_from_command_line\n\n    execute_from_command_line(sys.argv)\n";
const SETTINGS: &str = "SECRET_KEY = 'x'\nDEBUG = False\nALLOWED_HOSTS = ['*']\nROOT_URLCONF = 'shop.urls'\n";
const URLS: &str =
    "from django.http import HttpResponse\nfrom django.urls import path\n\nurlpatterns = [path('', lambda request: HttpResponse('ok'))]\n";
const WSGI: &str = "import os\n\nfrom django.core.wsgi import get_wsgi_application\n\nos.environ.setdefault('DJANGO_SETTINGS_MODULE', 'shop.settings')\napplication = get_wsgi_application()\n";
const POETRY: &str = "[project]\nname = \"shop\"\nversion = \"0.1.0\"\nrequires-python = \">=3.11,<4\"\ndependencies = [\"flask<3\", \"gunicorn==23.0.0\"]\n\n[tool.poetry]\npackage-mode = false\n\n[[tool.poetry.source]]\nname = \"simple\"\nurl = \"https://pypi.org/simple/\"\n\n[build-system]\nrequires = [\"poetry-core>=2\"]\nbuild-backend = \"poetry.core.masonry.api\"\n";

pub const FLAVOURS: &[Flavour] = &[
    Flavour {
        name: "flask, pip",
        python: "",
        tool: Tool::Pip,
        packages: &["flask<3", "gunicorn", "requests"],
        files: &[("app.py", FLASK), ("Procfile", "web: .signoz/run.sh\n")],
        command: &["gunicorn", "app:app", "--workers", "2"],
        protocol: Protocol::Grpc,
        set: "pinned",
    },
    Flavour {
        name: "flask 3, pip, current set",
        python: "3.12",
        tool: Tool::Pip,
        packages: &["flask>=3", "gunicorn", "requests"],
        files: &[("app.py", FLASK), ("Procfile", "web: .signoz/run.sh\n")],
        command: &["gunicorn", "app:app", "--workers", "2"],
        protocol: Protocol::HttpProtobuf,
        set: "current",
    },
    Flavour {
        name: "fastapi, uv, current set",
        python: "3.13",
        tool: Tool::Uv,
        packages: &["fastapi", "uvicorn"],
        files: &[("main.py", FASTAPI), ("Procfile", "web: .signoz/run.sh\n")],
        command: &["uvicorn", "main:app", "--workers", "2"],
        protocol: Protocol::HttpProtobuf,
        set: "current",
    },
    Flavour {
        name: "django, uv",
        python: "3.9",
        tool: Tool::Uv,
        packages: &["django<5", "gunicorn"],
        files: &[
            ("manage.py", MANAGE),
            ("shop/__init__.py", ""),
            ("shop/settings.py", SETTINGS),
            ("shop/urls.py", URLS),
            ("shop/wsgi.py", WSGI),
            ("Procfile", "web: .signoz/run.sh\n"),
        ],
        command: &["gunicorn", "shop.wsgi:application", "--workers", "2"],
        protocol: Protocol::Grpc,
        set: "pinned",
    },
    Flavour {
        name: "celery, pip",
        python: "3.11",
        tool: Tool::Pip,
        packages: &["celery<6"],
        files: &[("tasks.py", TASKS), ("Procfile", "worker: .signoz/run.sh\n")],
        command: &["celery", "-A", "tasks", "worker"],
        protocol: Protocol::Grpc,
        set: "pinned",
    },
    Flavour {
        name: "flask, poetry",
        python: "3.11",
        tool: Tool::Poetry,
        packages: &[],
        files: &[("app.py", FLASK), ("pyproject.toml", POETRY), ("Procfile", "web: .signoz/run.sh\n")],
        command: &["gunicorn", "app:app", "--workers", "2"],
        protocol: Protocol::Grpc,
        set: "pinned",
    },
];

/// A project that was set up, with the receiver that it sends to.
pub struct Base {
    pub folder: TempDir,
    home: TempDir,
    pub tap: Tap,
    pub runtime: Runtime,
    pub protocol: Protocol,
    files: BTreeMap<PathBuf, (u32, Vec<u8>)>,
}

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(output.status.success(), "{command:?}: {text}");
    text
}

/// An interpreter of a version: on `PATH`, or one of pyenv's.
fn interpreter(version: &str) -> Option<PathBuf> {
    if version.is_empty() {
        return which::which("python3").ok();
    }
    let home = std::env::var_os("HOME").map(PathBuf::from)?;
    let versions = fs::read_dir(home.join(".pyenv/versions")).into_iter().flatten().flatten();
    let mut own: Vec<PathBuf> = versions
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(&format!("{version}.")))
        .map(|entry| entry.path().join("bin/python3"))
        .collect();
    own.sort();
    own.into_iter()
        .chain(which::which(format!("python{version}")))
        .find(|path| path.is_file())
}

impl Base {
    /// Makes it; `None` when its Python is not on this machine.
    pub fn make(flavour: &Flavour) -> Option<Self> {
        let python = interpreter(flavour.python)?;
        let folder = tempfile::Builder::new().prefix("cure").tempdir().unwrap();
        let home = tempfile::tempdir().unwrap();
        let here = folder.path();
        for (path, text) in flavour.files {
            let path = here.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let venv = here.join(".venv");
        let uv = which::which("uv").expect("uv");
        match flavour.tool {
            Tool::Pip => {
                run(Command::new(&python).args(["-m", "venv"]).arg(&venv));
                run(Command::new(&uv)
                    .args(["pip", "install", "--quiet", "--python"])
                    .arg(venv.join("bin/python"))
                    .args(flavour.packages));
            }
            Tool::Uv => {
                run(Command::new(&uv).args(["venv", "--quiet", "--python"]).arg(&python).arg(&venv));
                run(Command::new(&uv)
                    .args(["pip", "install", "--quiet", "--python"])
                    .arg(venv.join("bin/python"))
                    .args(flavour.packages));
            }
            Tool::Poetry => {
                let poetry = |arguments: &[&str]| {
                    run(Command::new("poetry")
                        .args(arguments)
                        .current_dir(here)
                        .env("POETRY_VIRTUALENVS_IN_PROJECT", "true")
                        .env_remove("VIRTUAL_ENV"));
                };
                poetry(&["env", "use", python.to_str().unwrap()]);
                poetry(&["install", "--no-interaction"]);
            }
        }
        let runtime = Runtime::new().unwrap();
        let key = IngestionKey::parse(CANARY).unwrap();
        let tap = Tap::start(
            runtime.handle(),
            TapOptions {
                required_key: Some(key),
                ..TapOptions::default()
            },
        )
        .unwrap();
        let endpoint = tap.endpoint(flavour.protocol).to_string();
        let mut base = Self {
            folder,
            home,
            tap,
            runtime,
            protocol: flavour.protocol,
            files: BTreeMap::new(),
        };
        let mut words = vec![
            "--yes",
            "--no-verify",
            "--endpoint",
            &endpoint,
            "--protocol",
            flavour.protocol.as_str(),
        ];
        words.extend(["--instrumentation", flavour.set, "--service-name", "shop", "--"]);
        words.extend(flavour.command);
        let mut set_up = base.program(&BTreeMap::from([("SIGNOZ_INGESTION_KEY".to_owned(), CANARY.to_owned())]));
        run(set_up.args(words));
        base.files = snapshot(base.folder.path());
        Some(base)
    }

    fn program(&self, env: &BTreeMap<String, String>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_signoz-setup"));
        // The person's own environment, package indexes and caches included; nothing of theirs about OpenTelemetry.
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("OTEL_") || name.starts_with("SIGNOZ_")) {
            command.env_remove(name);
        }
        command
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .env_remove("VIRTUAL_ENV")
            .env("POETRY_VIRTUALENVS_IN_PROJECT", "true")
            .env("XDG_STATE_HOME", self.home.path().join("state"))
            .envs(env);
        command
    }

    /// The project as it is, to be broken.
    pub fn case(&self) -> Case<'_> {
        Case {
            base: self,
            env: BTreeMap::new(),
            arguments: Vec::new(),
            packages: Vec::new(),
            children: Vec::new(),
            keep: Vec::new(),
        }
    }
}

/// A project that is being broken.
pub struct Case<'a> {
    pub base: &'a Base,
    /// Variables of the shell in which `--check` runs.
    pub env: BTreeMap<String, String>,
    /// Further arguments of `--check`.
    pub arguments: Vec<String>,
    /// What to install to restore the environment.
    packages: Vec<String>,
    children: Vec<Child>,
    /// Whatever must live as long as the case.
    pub keep: Vec<Box<dyn Any>>,
}

impl Case<'_> {
    pub fn path(&self) -> &Path {
        self.base.folder.path()
    }

    pub fn file(&mut self, path: &str, text: &str) {
        let path = self.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub fn remove(&mut self, path: &str) {
        fs::remove_file(self.path().join(path)).unwrap();
    }

    pub fn mode(&mut self, path: &str, mode: u32) {
        fs::set_permissions(self.path().join(path), fs::Permissions::from_mode(mode)).unwrap();
    }

    /// Sets a variable of `.signoz/otel.env`; `None` removes it.
    pub fn otel(&mut self, name: &str, value: Option<&str>) {
        let path = self.path().join(".signoz/otel.env");
        let text = fs::read_to_string(&path).unwrap();
        let mut lines: Vec<String> = text
            .lines()
            .filter(|line| !line.starts_with(&format!("{name}=")))
            .map(str::to_owned)
            .collect();
        lines.extend(value.map(|value| format!("{name}={value}")));
        fs::write(path, lines.join("\n") + "\n").unwrap();
    }

    pub fn shell(&mut self, name: &str, value: &str) {
        self.env.insert(name.to_owned(), value.to_owned());
    }

    pub fn with(&mut self, arguments: &[&str]) {
        for word in arguments {
            if !self.arguments.iter().any(|known| known == word) {
                self.arguments.push((*word).to_owned());
            }
        }
    }

    /// Installs into the app's environment as somebody else would, dependencies left alone; `restore` brings the versions back.
    pub fn install(&mut self, packages: &[&str]) {
        self.remember();
        self.pip("install", &[&["--no-deps", "--quiet"], packages].concat());
    }

    pub fn uninstall(&mut self, packages: &[&str]) {
        self.remember();
        self.pip("uninstall", &[&["--quiet"], packages].concat());
    }

    fn remember(&mut self) {
        if self.packages.is_empty() {
            let listed = run(Command::new("uv")
                .args(["pip", "freeze", "--python"])
                .arg(self.path().join(".venv/bin/python")));
            self.packages = listed.lines().filter(|line| line.contains("==")).map(str::to_owned).collect();
        }
    }

    fn pip(&self, verb: &str, arguments: &[&str]) {
        run(Command::new("uv")
            .args(["pip", verb, "--python"])
            .arg(self.path().join(".venv/bin/python"))
            .args(arguments));
    }

    /// Starts a process in the project and waits until its output holds a text.
    pub fn start(&mut self, argv: &[&str], env: &[(&str, &str)], says: &str) {
        use std::io::{BufRead, BufReader};
        let mut command = Command::new(argv[0]);
        command
            .args(&argv[1..])
            .current_dir(self.path())
            .env_clear()
            .env(
                "PATH",
                format!("{}:{}", self.path().join(".venv/bin").display(), std::env::var("PATH").unwrap()),
            )
            .env("PYTHONUNBUFFERED", "1")
            .envs(env.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut reader = BufReader::new(child.stderr.take().unwrap());
        let mut seen = String::new();
        while !seen.contains(says) {
            let read = reader.read_line(&mut seen).unwrap();
            assert!(read > 0, "{argv:?} ended: {seen}");
        }
        std::thread::spawn(move || std::io::copy(&mut reader, &mut std::io::sink()));
        self.children.push(child);
    }

    /// What the real program complains of.
    pub fn check(&self) -> super::Complaints {
        let output = self
            .base
            .program(&self.env)
            .args(["--check", "--json"])
            .args(&self.arguments)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!text.contains(CANARY) && !said.contains(CANARY), "the key is shown: {text}{said}");
        let document: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}{said}"));
        let findings = document["findings"].as_array().unwrap_or_else(|| panic!("{document}"));
        let word = |finding: &Value, name: &str| finding[name].as_str().unwrap_or_default().to_owned();
        findings
            .iter()
            .filter(|finding| !["pass", "skip"].contains(&finding["outcome"].as_str().unwrap()))
            .map(|finding| {
                (
                    word(finding, "id"),
                    word(finding, "outcome"),
                    word(finding, "detail"),
                    word(finding, "remedy"),
                )
            })
            .collect()
    }

    /// Puts the project back as it was.
    pub fn restore(mut self) {
        for mut child in self.children.drain(..) {
            let _ = child.kill();
            let _ = child.wait();
        }
        if !self.packages.is_empty() {
            let now = run(Command::new("uv")
                .args(["pip", "freeze", "--python"])
                .arg(self.path().join(".venv/bin/python")));
            let name = |line: &str| line.split("==").next().unwrap_or_default().to_owned();
            let known: Vec<String> = self.packages.iter().map(|line| name(line)).collect();
            let came: Vec<String> = now
                .lines()
                .filter(|line| line.contains("=="))
                .map(name)
                .filter(|line| !known.contains(line))
                .collect();
            if !came.is_empty() {
                let words: Vec<&str> = came.iter().map(String::as_str).collect();
                self.pip("uninstall", &[&["--quiet"], &words[..]].concat());
            }
            let words: Vec<&str> = self.packages.iter().map(String::as_str).collect();
            self.pip("install", &[&["--no-deps", "--quiet"], &words[..]].concat());
        }
        let here = self.path().to_path_buf();
        for path in snapshot(&here).keys().filter(|path| !self.base.files.contains_key(*path)) {
            fs::remove_file(path).unwrap();
        }
        for (path, (mode, bytes)) in &self.base.files {
            if fs::read(path).ok().as_ref() != Some(bytes) {
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, bytes).unwrap();
            }
            fs::set_permissions(path, fs::Permissions::from_mode(*mode)).unwrap();
        }
    }
}

/// Files of the project, the environment's packages left out, its scripts included.
fn snapshot(folder: &Path) -> BTreeMap<PathBuf, (u32, Vec<u8>)> {
    let mut files = BTreeMap::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).unwrap().flatten() {
            let path = entry.path();
            let metadata = fs::symlink_metadata(&path).unwrap();
            let skipped = path.ends_with(".venv/lib") || path.ends_with(".venv/include") || path.ends_with("__pycache__");
            if metadata.is_dir() && !skipped {
                folders.push(path);
            } else if metadata.is_file() {
                files.insert(path.clone(), (metadata.permissions().mode() & 0o7777, fs::read(&path).unwrap()));
            }
        }
    }
    files
}
