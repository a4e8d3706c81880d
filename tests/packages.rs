//! Environments that must not be installed into, tools that are missing, and what costs nothing: without the network.

#![allow(clippy::unwrap_used)]

#[path = "support/machine.rs"]
mod machine;
#[path = "support/package_tools.rs"]
mod package_tools;

use machine::{Machine, quiet};
use package_tools::environment;
use signoz_setup::domain::detection::PythonEnvironment;
use signoz_setup::domain::{Change, PackageTool, Requirement, Resolution, StepState};
use signoz_setup::error::Kind;
use signoz_setup::packages::preflight::{ResolveRequest, resolve};
use signoz_setup::packages::tools::{TABLE, install_argv, program};
use signoz_setup::system::{Commands, Finished, Invocation, Running, System};
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex};

/// Answers every command with the same text, and keeps what was asked.
struct Scripted {
    answer: Finished,
    asked: Mutex<Vec<Vec<String>>>,
}

impl Commands for Scripted {
    fn run(&self, invocation: &Invocation, line: &mut dyn FnMut(&str)) -> io::Result<Finished> {
        self.asked.lock().unwrap().push(invocation.argv.clone());
        self.answer.stderr.lines().for_each(line);
        Ok(self.answer.clone())
    }
    fn spawn(&self, _: &Invocation) -> io::Result<Running> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

fn scripted(machine: &Machine, code: i32, stdout: &str, stderr: &str) -> (System, Arc<Scripted>) {
    let commands = Arc::new(Scripted {
        answer: Finished {
            code: Some(code),
            signal: None,
            stdout: stdout.to_owned(),
            stderr: stderr.to_owned(),
            timed_out: false,
        },
        asked: Mutex::default(),
    });
    let mut system = machine.system.clone();
    system.commands = commands.clone();
    system.env.insert("PATH".into(), "/nonexistent".into());
    (system, commands)
}

/// An environment of folders only: pip 23.2.1 and the given distributions.
fn fake_environment(machine: &Machine, pip: Option<&str>, rows: &[(&str, &str, &str)]) -> PythonEnvironment {
    let folder = machine.project().join(".venv");
    let site = folder.join("lib/python3.11/site-packages");
    fs::create_dir_all(&site).unwrap();
    fs::write(folder.join("pyvenv.cfg"), "home = /usr/bin\nversion = 3.11.7\n").unwrap();
    let info = |name: &str, version: &str, requires: &str| {
        let info = site.join(format!("{name}-{version}.dist-info"));
        fs::create_dir(&info).unwrap();
        let requires: String = requires.lines().map(|line| format!("Requires-Dist: {line}\n")).collect();
        fs::write(info.join("METADATA"), format!("Name: {name}\nVersion: {version}\n{requires}")).unwrap();
    };
    if let Some(version) = pip {
        fs::create_dir(site.join("pip")).unwrap();
        fs::write(site.join("pip/__main__.py"), "").unwrap();
        info("pip", version, "");
    }
    for (name, version, requires) in rows {
        info(name, version, requires);
    }
    environment(&folder, PackageTool::Pip)
}

fn want(system: &System, machine: &Machine, python: &PythonEnvironment, texts: &[&str]) -> signoz_setup::error::Result<Resolution> {
    let requirements: Vec<Requirement> = texts
        .iter()
        .map(|text| Requirement {
            text: (*text).to_owned(),
            why: String::new(),
        })
        .collect();
    let project = machine.project();
    let request = ResolveRequest {
        python,
        project: &project,
        requirements: &requirements,
        offline: false,
    };
    resolve(system, &request, &quiet)
}

#[test]
fn what_is_there_already_starts_no_process() {
    let machine = Machine::new();
    let python = fake_environment(
        &machine,
        Some("23.2.1"),
        &[("a", "1.0b0", "b~=1.0\nc; extra == 'x'"), ("b", "1.4", "")],
    );
    let (system, commands) = scripted(&machine, 1, "", "");
    assert_eq!(want(&system, &machine, &python, &["a==1.0b0"]).unwrap(), Resolution::default());
    assert!(commands.asked.lock().unwrap().is_empty());
    // One that is missing further down is resolved.
    fs::remove_dir_all(python.site_packages[0].join("b-1.4.dist-info")).unwrap();
    assert!(want(&system, &machine, &python, &["a==1.0b0"]).is_err());
    assert_eq!(commands.asked.lock().unwrap().len(), 1);
}

#[test]
fn pips_report_becomes_moves_and_conflicts() {
    let machine = Machine::new();
    let python = fake_environment(
        &machine,
        Some("23.2.1"),
        &[
            ("protobuf", "7.36.2", ""),
            ("grpcio_status", "1.85.1", "protobuf<8.0.0,>=6.33.5"),
            ("same", "1", ""),
        ],
    );
    let report = r#"{"version":"1","install":[
        {"metadata":{"name":"Protobuf","version":"4.25.9"}},
        {"metadata":{"name":"opentelemetry.distro","version":"0.38b0"}},
        {"metadata":{"name":"same","version":"1"}}]}"#;
    let (system, commands) = scripted(&machine, 0, report, "");
    let resolution = want(&system, &machine, &python, &["opentelemetry-distro==0.38b0"]).unwrap();
    let moves: Vec<(&str, Option<&str>, &str)> = resolution
        .moves
        .iter()
        .map(|step| (step.name.as_str(), step.from.as_deref(), step.to.as_str()))
        .collect();
    assert_eq!(
        moves,
        [("opentelemetry-distro", None, "0.38b0"), ("protobuf", Some("7.36.2"), "4.25.9")]
    );
    assert_eq!(resolution.conflicts.len(), 1);
    let conflict = &resolution.conflicts[0];
    assert_eq!(
        (
            conflict.package.as_str(),
            conflict.requires.as_str(),
            conflict.would_get.as_str(),
            &conflict.way_out
        ),
        ("grpcio-status", "protobuf<8.0.0,>=6.33.5", "protobuf 4.25.9", &None)
    );
    let asked = &commands.asked.lock().unwrap()[0];
    assert!(
        asked.contains(&"--dry-run".to_owned()) && asked[0].ends_with("/.venv/bin/python"),
        "{asked:?}"
    );
}

/// A uv that notes how it was called, leaves its empty lock, and says one thing from its cache and another with the network.
fn scripted_uv(machine: &Machine, cached: &str, fresh: &str) -> (System, PythonEnvironment) {
    let mut python = fake_environment(
        machine,
        None,
        &[("protobuf", "7.36.2", ""), ("grpcio_status", "1.85.1", "protobuf>=6.33.5")],
    );
    python.package_manager = PackageTool::Uv;
    let uv = machine.root.path().join("bin/uv");
    fs::create_dir_all(uv.parent().unwrap()).unwrap();
    let script = format!(
        "#!/bin/sh\necho \"$*\" >> '{log}'\n: > '{lock}'\ncase \" $* \" in\n*' --offline '*) {cached} ;;\n*) {fresh} ;;\nesac\n",
        log = machine.root.path().join("uv.log").display(),
        lock = machine.project().join(".venv/.lock").display(),
    );
    fs::write(&uv, script).unwrap();
    fs::set_permissions(&uv, fs::Permissions::from_mode(0o755)).unwrap();
    let mut system = machine.system.clone();
    system.env.insert("PATH".into(), uv.parent().unwrap().display().to_string());
    (system, python)
}

/// Whether each call of the scripted uv was without a network, in their order.
fn calls(machine: &Machine) -> Vec<bool> {
    let log = fs::read_to_string(machine.root.path().join("uv.log")).unwrap_or_default();
    log.lines().map(|line| line.contains(" --offline ")).collect()
}

#[test]
fn uv_is_asked_for_what_it_has_in_its_cache_first() {
    let cached = "echo ' + opentelemetry-distro==0.38b0' >&2";
    let refused = "echo 'error: the network was asked' >&2; exit 1";
    let machine = Machine::new();
    let (system, python) = scripted_uv(&machine, cached, refused);
    let resolution = want(&system, &machine, &python, &["opentelemetry-distro==0.38b0"]).unwrap();
    assert_eq!(resolution.moves.len(), 1, "{resolution:?}");
    assert_eq!(calls(&machine), [true]);
    assert!(!machine.project().join(".venv/.lock").exists());
}

#[test]
fn what_is_not_in_uvs_cache_is_asked_with_the_network() {
    let missing = "echo 'error: not in the cache' >&2; exit 1";
    let fresh = "echo ' + opentelemetry-distro==0.38b0' >&2";
    let machine = Machine::new();
    let (system, python) = scripted_uv(&machine, missing, fresh);
    let resolution = want(&system, &machine, &python, &["opentelemetry-distro==0.38b0"]).unwrap();
    assert_eq!(resolution.moves.len(), 1, "{resolution:?}");
    assert_eq!(calls(&machine), [true, false]);
    assert!(!machine.project().join(".venv/.lock").exists());

    // The reason of a failure is that of the call with the network.
    let machine = Machine::new();
    let (system, python) = scripted_uv(&machine, missing, "echo 'error: no such release' >&2; exit 1");
    let text = want(&system, &machine, &python, &["opentelemetry-distro==0.38b0"])
        .unwrap_err()
        .to_string();
    assert!(text.contains("no such release") && !text.contains("cache"), "{text}");
}

#[test]
fn a_conflict_out_of_uvs_cache_is_looked_at_again_with_the_network() {
    let old = "echo ' + protobuf==4.25.9' >&2";
    let machine = Machine::new();
    let (system, python) = scripted_uv(&machine, old, "echo ' + protobuf==7.40.0' >&2");
    let resolution = want(&system, &machine, &python, &["protobuf!=7.36.2"]).unwrap();
    assert_eq!(resolution.moves[0].to, "7.40.0");
    assert!(resolution.conflicts.is_empty(), "{resolution:?}");
    assert_eq!(calls(&machine), [true, false]);

    let machine = Machine::new();
    let (system, python) = scripted_uv(&machine, old, old);
    let resolution = want(&system, &machine, &python, &["protobuf<5"]).unwrap();
    assert_eq!(resolution.conflicts.len(), 1, "{resolution:?}");
    // The third call looks for a way out.
    assert_eq!(calls(&machine), [true, false, false]);
}

#[test]
fn a_cancelled_resolve_asks_no_second_time() {
    let machine = Machine::new();
    let (system, python) = scripted_uv(&machine, "exit 1", "exit 1");
    system.cancel.set(signoz_setup::error::Signal::Interrupt);
    let error = want(&system, &machine, &python, &["a==1"]).unwrap_err();
    assert!(matches!(error.kind, Kind::Interrupted(_)), "{error}");
    assert!(!calls(&machine).contains(&false));
}

#[test]
fn an_unreadable_report_is_refused() {
    let machine = Machine::new();
    let python = fake_environment(&machine, Some("23.2.1"), &[]);
    let (system, _) = scripted(&machine, 0, "not json", "");
    let error = want(&system, &machine, &python, &["a==1"]).unwrap_err();
    assert!(error.kind == Kind::Refused && error.to_string().contains("pip's report"), "{error}");
}

#[test]
fn the_systems_own_python_is_refused_with_the_way_out() {
    let machine = Machine::new();
    let mut python = fake_environment(&machine, Some("23.2.1"), &[]);
    python.externally_managed = true;
    let (system, commands) = scripted(&machine, 0, "", "");
    let error = want(&system, &machine, &python, &["a==1"]).unwrap_err();
    let text = error.to_string();
    assert_eq!(error.kind, Kind::Refused);
    assert!(
        text.contains("PEP 668") && text.contains("python3 -m venv .venv") && text.contains("--python .venv"),
        "{text}"
    );
    assert!(commands.asked.lock().unwrap().is_empty());
    assert_eq!(program(&system, &python).unwrap_err().kind, Kind::Refused);
}

#[test]
fn a_broken_environment_says_why() {
    let machine = Machine::new();
    let mut python = fake_environment(&machine, Some("23.2.1"), &[]);
    python.broken = Some("its interpreter `/usr/bin/python3.9` does not exist".into());
    let (system, _) = scripted(&machine, 0, "", "");
    let text = want(&system, &machine, &python, &["a==1"]).unwrap_err().to_string();
    assert!(text.contains("/usr/bin/python3.9") && text.contains("--clear"), "{text}");
}

#[test]
fn without_pip_and_without_uv_both_ways_out_are_named() {
    let machine = Machine::new();
    let python = fake_environment(&machine, None, &[]);
    let (mut system, _) = scripted(&machine, 0, "", "");
    for error in [
        program(&system, &python).unwrap_err(),
        want(&system, &machine, &python, &["a==1"]).unwrap_err(),
    ] {
        let text = error.to_string();
        assert_eq!(error.kind, Kind::Refused);
        assert!(text.contains("-m ensurepip") && text.contains("pip install uv"), "{text}");
    }
    // With uv, uv does it, whatever the environment was made with.
    let bin = machine.root.path().join("venv/bin");
    system.env.insert("PATH".into(), bin.display().to_string());
    let uv = program(&system, &python).unwrap();
    assert_eq!(uv, bin.join("uv"));
    let argv = install_argv(PackageTool::Pip, &uv, &python.interpreter, false, &["a==1".into()]);
    assert_eq!(argv[1..3], ["pip", "install"]);
}

#[test]
fn a_managed_project_without_its_tool_is_refused() {
    let machine = Machine::new();
    let mut python = fake_environment(&machine, Some("23.2.1"), &[]);
    let (system, _) = scripted(&machine, 0, "", "");
    for tool in [PackageTool::UvProject, PackageTool::Poetry, PackageTool::Pdm, PackageTool::Pipenv] {
        python.package_manager = tool;
        let error = program(&system, &python).unwrap_err();
        assert_eq!(error.kind, Kind::Refused);
        assert!(error.to_string().contains(&format!("pip install {}", tool.as_str())), "{error}");
    }
}

#[test]
fn a_tool_in_the_home_folder_is_found() {
    let machine = Machine::new();
    let mut python = fake_environment(&machine, Some("23.2.1"), &[]);
    let (system, _) = scripted(&machine, 0, "", "");
    python.package_manager = PackageTool::Poetry;
    let poetry = machine.root.path().join(".local/bin/poetry");
    fs::create_dir_all(poetry.parent().unwrap()).unwrap();
    fs::write(&poetry, "").unwrap();
    assert!(program(&system, &python).is_err(), "not executable");
    fs::set_permissions(&poetry, fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(program(&system, &python).unwrap(), poetry);
}

#[test]
fn no_tool_is_ever_told_to_break_the_system() {
    for row in &TABLE {
        let argv = install_argv(row.tool, Path::new("/bin/tool"), Path::new("/bin/python"), true, &["a==1".into()]);
        assert!(
            argv.iter().all(|word| !word.contains("break-system") && word != "--user"),
            "{argv:?}"
        );
    }
}

/// A package that is installed but not in the project's own file would be removed by the next `sync`.
#[test]
fn a_project_that_does_not_declare_its_packages_is_not_satisfied() {
    let machine = Machine::new();
    let mut step = machine.install(&[("protobuf", Some("5.29.5"), "4.25.9")]);
    if let Change::InstallPackages { resolution, tool, .. } = &mut step.change {
        *resolution = Resolution::default();
        *tool = PackageTool::UvProject;
    }
    let plan = signoz_setup::domain::Plan { steps: vec![step] };
    fs::write(machine.path("pyproject.toml"), "[project]\ndependencies = [\"flask\"]\n").unwrap();
    let diffs = machine.diff(&plan).unwrap();
    assert_eq!(diffs[0].state, StepState::Pending);
    let argv = diffs[0].argv.clone().unwrap();
    assert_eq!(argv[1], "add");
    fs::write(machine.path("pyproject.toml"), "[project]\ndependencies = [\"Protobuf==4.25.9\"]\n").unwrap();
    assert_eq!(machine.diff(&plan).unwrap()[0].state, StepState::Satisfied);
}
