//! The real package tools with the real pinned packages: resolved, installed, and undone to an identical list.
//!
//! Needs the package index. Without it, or without a tool, a test says so and does nothing; with
//! `SIGNOZ_SETUP_REQUIRE_PEERS=1` it fails instead.

#![allow(clippy::unwrap_used)]

#[path = "support/machine.rs"]
mod machine;
#[path = "support/package_tools.rs"]
mod package_tools;

use machine::{quiet, run, step, system, tree};
use package_tools::{environment, interpreter, output, skip, tools};
use signoz_setup::domain::detection::PythonEnvironment;
use signoz_setup::domain::{Change, Event, PackageTool, Plan, Requirement, Resolution, StepState};
use signoz_setup::engine;
use signoz_setup::error::{Error, Kind};
use signoz_setup::packages::preflight::{ResolveRequest, resolve};
use signoz_setup::packages::tools::{listing, program};
use signoz_setup::system::System;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Instant;

const PINNED: [&str; 4] = [
    "opentelemetry-distro==0.38b0",
    "opentelemetry-exporter-otlp==1.17.0",
    "opentelemetry-instrumentation-flask==0.38b0",
    "setuptools<81",
];

struct Case {
    folder: tempfile::TempDir,
    system: System,
}

impl Case {
    fn new() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mut system = system(folder.path());
        fs::create_dir(folder.path().join("project")).unwrap();
        let Some(tools) = tools() else {
            skip("uv, poetry, pdm and pipenv could not be installed from the package index");
            return None;
        };
        let path = std::env::join_paths(
            tools
                .iter()
                .cloned()
                .chain(std::env::split_paths(&std::env::var_os("PATH").unwrap())),
        );
        system.env.insert("PATH".into(), path.unwrap().into_string().unwrap());
        Some(Self { folder, system })
    }

    fn project(&self) -> PathBuf {
        self.folder.path().join("project")
    }

    fn tool(name: &str) -> String {
        tools()
            .unwrap()
            .iter()
            .map(|folder| folder.join(name))
            .find(|path| path.is_file())
            .unwrap()
            .display()
            .to_string()
    }

    /// A `python -m venv` in the project, with packages.
    fn venv(&self, version: &str, packages: &[&str]) -> Option<PythonEnvironment> {
        let Some(python) = interpreter(version) else {
            skip(&format!("there is no Python {version}"));
            return None;
        };
        let folder = self.project().join(".venv");
        output(
            &[&python.to_string_lossy(), "-m", "venv", &folder.to_string_lossy()],
            &self.project(),
        );
        if !packages.is_empty() {
            let python = folder.join("bin/python").display().to_string();
            let words: Vec<&str> = [python.as_str(), "-m", "pip", "install", "-q"]
                .into_iter()
                .chain(packages.iter().copied())
                .collect();
            output(&words, &self.project());
        }
        Some(environment(&folder, PackageTool::Pip))
    }

    fn resolve(&self, python: &PythonEnvironment, requirements: &[&str], offline: bool) -> Result<Resolution, Error> {
        let requirements = wanted(requirements);
        let project = self.project();
        let request = ResolveRequest {
            python,
            project: &project,
            requirements: &requirements,
            offline,
        };
        resolve(&self.system, &request, &quiet)
    }

    fn plan(&self, python: &PythonEnvironment, resolution: Resolution) -> Plan {
        let change = Change::InstallPackages {
            python: python.interpreter.clone(),
            site_packages: python.site_packages.clone(),
            tool: python.package_manager,
            program: program(&self.system, python).unwrap(),
            project: self.project(),
            requirements: PINNED.iter().map(|text| (*text).to_owned()).collect(),
            resolution,
            offline: false,
        };
        Plan {
            steps: vec![step("install.packages", change)],
        }
    }

    /// Resolve, install, look, resolve again, undo, look again.
    fn there_and_back(&self, python: &PythonEnvironment) {
        let before = (listing(&python.site_packages), self.files());
        let (clock, resolution) = (Instant::now(), self.resolve(python, &PINNED, false).unwrap());
        let resolved = clock.elapsed();
        assert!(resolution.conflicts.is_empty(), "{resolution:?}");
        let protobuf = resolution.changed().find(|step| step.name == "protobuf").unwrap();
        assert_eq!(
            (protobuf.from.as_deref(), protobuf.to.split('.').next()),
            (Some("5.29.5"), Some("4")),
            "what moves is shown"
        );
        let plan = self.plan(python, resolution.clone());
        let clock = Instant::now();
        let applied = run(&self.system, &self.project(), &plan).unwrap_or_else(|failure| panic!("{failure:?}"));
        eprintln!(
            "{:?}: resolve {resolved:.2?}, install {:.2?}",
            python.package_manager,
            clock.elapsed()
        );
        assert_eq!(applied.states, [StepState::Applied]);

        let after = listing(&python.site_packages);
        for (name, version) in [
            ("opentelemetry-distro", "0.38b0"),
            ("opentelemetry-exporter-otlp", "1.17.0"),
            ("opentelemetry-instrumentation-flask", "0.38b0"),
        ] {
            assert_eq!(after.get(name).map(String::as_str), Some(version));
        }
        assert!(after["protobuf"].starts_with("4."));
        // The app's interpreter finds them, and the command that the documentation uses starts.
        output(
            &[&python.interpreter.to_string_lossy(), "-c", "import opentelemetry.distro, flask"],
            &self.project(),
        );
        let instrument = python.interpreter.with_file_name("opentelemetry-instrument");
        output(&[&instrument.to_string_lossy(), "--version"], &self.project());

        let again = self.resolve(python, &PINNED, true).unwrap();
        assert_eq!(
            again,
            Resolution::default(),
            "installed once, nothing moves, and no network is asked"
        );
        let diffs = engine::diff(&self.system, &self.project(), &self.plan(python, again)).unwrap();
        assert_eq!(diffs[0].state, StepState::Satisfied);

        let report = engine::undo(&self.system, &self.project(), &quiet).unwrap();
        assert!(report.failed.is_empty() && report.kept.is_empty(), "{report:?}");
        assert_eq!((listing(&python.site_packages), self.files()), before, "{report:?}");
        assert!(engine::undo(&self.system, &self.project(), &quiet).unwrap().is_empty());
    }

    /// The project without its environment.
    fn files(&self) -> BTreeMap<String, (u32, String)> {
        let mut files = tree(&self.project());
        files.retain(|name, _| !name.starts_with(".venv"));
        files
    }
}

fn wanted(texts: &[&str]) -> Vec<Requirement> {
    texts
        .iter()
        .map(|text| Requirement {
            text: (*text).to_owned(),
            why: "a test".to_owned(),
        })
        .collect()
}

#[test]
fn pip_there_and_back() {
    let Some(case) = Case::new() else { return };
    let Some(python) = case.venv("3.11", &["flask==2.2.5", "protobuf==5.29.5"]) else {
        return;
    };
    case.there_and_back(&python);
}

#[test]
fn pip_on_a_python_without_setuptools_there_and_back() {
    let Some(case) = Case::new() else { return };
    let Some(python) = case.venv("3.12", &["flask==2.2.5", "protobuf==5.29.5"]) else {
        return;
    };
    case.there_and_back(&python);
}

#[test]
fn uv_without_pip_there_and_back() {
    let Some(case) = Case::new() else { return };
    let Some(python) = interpreter("3.12") else {
        return skip("there is no Python 3.12");
    };
    let folder = case.project().join(".venv");
    let uv = Case::tool("uv");
    output(
        &[&uv, "venv", "-q", "--python", &python.to_string_lossy(), &folder.to_string_lossy()],
        &case.project(),
    );
    output(
        &[
            &uv,
            "pip",
            "install",
            "-q",
            "--python",
            &folder.to_string_lossy(),
            "flask==2.2.5",
            "protobuf==5.29.5",
        ],
        &case.project(),
    );
    let python = environment(&folder, PackageTool::Uv);
    assert!(!python.has_pip);
    case.there_and_back(&python);
}

const PYPROJECT: &str = "# a comment that stays\n[project]\nname = \"shop\"\nversion = \"1\"\nrequires-python = \">=3.11,<3.12\"\n\
                         dependencies = [\n    \"flask==2.2.5\",   # odd spacing\n    \"protobuf<6\",\n]\n";

#[test]
fn a_uv_project_there_and_back() {
    let Some(case) = Case::new() else { return };
    let Some(python) = interpreter("3.11") else {
        return skip("there is no Python 3.11");
    };
    fs::write(case.project().join("pyproject.toml"), PYPROJECT).unwrap();
    let uv = Case::tool("uv");
    output(
        &[
            &uv,
            "lock",
            "-q",
            "--python",
            &python.to_string_lossy(),
            "--upgrade-package",
            "protobuf==5.29.5",
        ],
        &case.project(),
    );
    output(&[&uv, "sync", "-q", "--python", &python.to_string_lossy()], &case.project());
    case.there_and_back(&environment(&case.project().join(".venv"), PackageTool::UvProject));
}

#[test]
fn a_poetry_project_there_and_back() {
    let Some(case) = Case::new() else { return };
    let Some(python) = case.venv("3.11", &[]) else { return };
    let locked = PYPROJECT.replace("protobuf<6", "protobuf>=4,<5.29.6")
        + "[tool.poetry]\npackage-mode = false\n[[tool.poetry.source]]\nname = \"simple\"\nurl = \"https://pypi.org/simple/\"\n";
    fs::write(case.project().join("pyproject.toml"), locked).unwrap();
    output(&[&Case::tool("poetry"), "install", "-q", "-n"], &case.project());
    let python = environment(python.virtualenv.as_ref().unwrap(), PackageTool::Poetry);
    case.there_and_back(&python);
}

#[test]
fn a_pdm_project_there_and_back() {
    let Some(case) = Case::new() else { return };
    let Some(python) = case.venv("3.11", &[]) else { return };
    let locked = PYPROJECT.replace("protobuf<6", "protobuf>=4,<5.29.6") + "[tool.pdm]\ndistribution = false\n";
    fs::write(case.project().join("pyproject.toml"), locked).unwrap();
    output(
        &[&Case::tool("pdm"), "use", "-q", &python.interpreter.to_string_lossy()],
        &case.project(),
    );
    output(&[&Case::tool("pdm"), "install", "-q"], &case.project());
    let _ = fs::remove_dir_all(case.project().join(".cache"));
    case.there_and_back(&environment(python.virtualenv.as_ref().unwrap(), PackageTool::Pdm));
}

#[test]
fn a_pipenv_project_there_and_back() {
    let Some(case) = Case::new() else { return };
    let Some(python) = case.venv("3.11", &[]) else { return };
    fs::write(
        case.project().join("Pipfile"),
        "[[source]]\nurl = \"https://pypi.org/simple\"\nverify_ssl = true\nname = \"pypi\"\n\n[packages]\nflask = \"==2.2.5\"\nprotobuf = \">=4,<5.29.6\"\n",
    )
    .unwrap();
    let python = environment(python.virtualenv.as_ref().unwrap(), PackageTool::Pipenv);
    output(&[&Case::tool("pipenv"), "install"], &case.project());
    assert_eq!(listing(&python.site_packages).get("protobuf").map(String::as_str), Some("5.29.5"));
    case.there_and_back(&python);
}

#[test]
fn a_new_fastapi_is_a_conflict_with_a_way_out() {
    let Some(case) = Case::new() else { return };
    let Some(python) = case.venv("3.11", &["fastapi==0.165.0"]) else {
        return;
    };
    let before = tree(&case.project());
    let resolution = case.resolve(&python, &PINNED, false).unwrap();
    let error = engine::diff(&case.system, &case.project(), &case.plan(&python, resolution)).unwrap_err();
    assert_eq!(error.kind, Kind::Refused);
    assert_eq!(
        error.why.unwrap(),
        "fastapi 0.165.0 requires opentelemetry-api>=1.44.0, but would get opentelemetry-api 1.17.0"
    );
    assert!(
        error.remedies[0].starts_with("these versions would fit: fastapi 0.1"),
        "{:?}",
        error.remedies
    );
    let names = |tree: &BTreeMap<String, (u32, String)>| -> Vec<String> {
        tree.keys().filter(|name| !name.contains("__pycache__")).cloned().collect()
    };
    assert_eq!(names(&tree(&case.project())), names(&before), "nothing was installed");
}

#[test]
fn why_a_resolver_failed_is_one_line_with_a_remedy() {
    let Some(mut case) = Case::new() else { return };
    let Some(python) = case.venv("3.11", &[]) else { return };
    let mut uv = python.clone();
    uv.package_manager = PackageTool::Uv;
    for python in [&python, &uv] {
        let error = case.resolve(python, &["opentelemetry-distro==0.0.0.1"], false).unwrap_err();
        let text = error.to_string();
        assert!(
            error.kind == Kind::Refused && text.contains("opentelemetry-distro==0.0.0.1"),
            "{text}"
        );
        assert!(
            text.contains("the index has no matching release") && text.contains("PIP_INDEX_URL"),
            "{text}"
        );

        let error = case.resolve(python, &["rich==10.0.1"], true).unwrap_err();
        let text = error.to_string();
        assert!(
            error.kind == Kind::Refused && text.contains("rich") && text.contains("PIP_FIND_LINKS"),
            "{text}"
        );
    }
    // No index: nothing listens on this port.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let project = case.project();
    fs::write(
        project.join(".venv/pip.conf"),
        format!("[global]\nindex-url = http://user:canary@127.0.0.1:{port}/simple\nretries = 1\n"),
    )
    .unwrap();
    fs::write(
        project.join("uv.toml"),
        format!("[[index]]\nurl = \"http://user:canary@127.0.0.1:{port}/simple\"\ndefault = true\n"),
    )
    .unwrap();
    case.system.env.insert("UV_HTTP_RETRIES".into(), "0".into());
    for python in [&python, &uv] {
        let lines = Mutex::new(Vec::new());
        let requirements = wanted(&["rich==10.0.1"]);
        let request = ResolveRequest {
            python,
            project: &project,
            requirements: &requirements,
            offline: false,
        };
        let error = resolve(&case.system, &request, &|event| {
            if let Event::Line { text } = event {
                lines.lock().unwrap().push(text);
            }
        })
        .unwrap_err();
        let text = error.to_string();
        assert!(
            error.kind == Kind::Refused && text.contains("the package index cannot be reached"),
            "{text}"
        );
        assert!(text.contains("HTTPS_PROXY"), "{text}");
        let seen = format!("{text}{:?}", lines.lock().unwrap());
        assert!(!seen.contains("canary"), "{seen}");
    }
}

#[test]
fn an_old_pip_is_said_and_uv_resolves_instead() {
    let Some(mut case) = Case::new() else { return };
    let Some(python) = case.venv("3.9", &["pip==21.3.1", "protobuf==5.29.5"]) else {
        return;
    };
    let warnings = Mutex::new(Vec::new());
    let requirements = wanted(&PINNED[..1]);
    let project = case.project();
    let request = ResolveRequest {
        python: &python,
        project: &project,
        requirements: &requirements,
        offline: false,
    };
    let resolution = resolve(&case.system, &request, &|event| {
        if let Event::Warning { text } = event {
            warnings.lock().unwrap().push(text);
        }
    })
    .unwrap();
    assert!(resolution.moves.iter().any(|step| step.name == "opentelemetry-distro"));
    assert!(warnings.lock().unwrap()[0].contains("pip 21.3.1 has no dry run"));
    case.system.env.insert("PATH".into(), "/usr/bin:/bin".into());
    case.system.home = None;
    let error = resolve(&case.system, &request, &quiet).unwrap_err();
    assert!(
        error.kind == Kind::Refused && error.to_string().contains("pip install --upgrade pip"),
        "{error}"
    );
}

/// Kills pip itself in the middle, as a power cut would, and looks for what it leaves.
#[test]
fn an_install_that_was_killed_in_the_middle_is_undone() {
    let Some(case) = Case::new() else { return };
    let Some(python) = case.venv("3.11", &["flask==2.2.5", "protobuf==5.29.5"]) else {
        return;
    };
    let names = |site: &Path| -> Vec<String> { tree(site).into_keys().filter(|name| !name.contains("__pycache__")).collect() };
    let site = python.site_packages[0].clone();
    let before = (listing(&python.site_packages), names(&site));
    let resolution = case.resolve(&python, &PINNED, false).unwrap();
    let plan = case.plan(&python, resolution);
    // The moment: the first thing that pip puts into the environment.
    let (stop, stopped) = (std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false)), &site);
    let watcher = {
        let (site, stop, known) = (stopped.clone(), stop.clone(), names(stopped).len());
        std::thread::spawn(move || {
            while !stop.load(std::sync::atomic::Ordering::SeqCst) {
                let now = fs::read_dir(&site).unwrap().count();
                let top = site.join("google/protobuf/__init__.py").exists();
                if !top || now > known {
                    for process in signoz_setup::system::process::list(Path::new("/")) {
                        let ours = process.argv.iter().any(|word| word == "--no-deps")
                            && process.argv[0].starts_with(&*site.ancestors().nth(3).unwrap().to_string_lossy());
                        if ours {
                            let pid = rustix::process::Pid::from_raw(process.pid.cast_signed()).unwrap();
                            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
                            return true;
                        }
                    }
                }
                std::thread::yield_now();
            }
            false
        })
    };
    let outcome = run(&case.system, &case.project(), &plan);
    stop.store(true, std::sync::atomic::Ordering::SeqCst);
    assert!(watcher.join().unwrap(), "pip was killed");
    let failure = outcome.unwrap_err();
    assert!(failure.error.to_string().contains("signal 9"), "{}", failure.error);
    assert!(failure.left.is_empty(), "{:?}", failure.left);
    assert_eq!(listing(&python.site_packages), before.0);
    let left: Vec<String> = names(&site).into_iter().filter(|name| !before.1.contains(name)).collect();
    let only_metadata = |name: &String| name.starts_with("protobuf-") && name.contains(".dist-info");
    assert!(left.iter().all(only_metadata), "{left:?}");
}
