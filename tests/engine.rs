//! The engine on real files: write ahead, undo exactly, never destroy an edit.

#![allow(clippy::unwrap_used)]

#[path = "support/faulty_files.rs"]
mod faulty_files;
#[path = "support/machine.rs"]
mod machine;

use faulty_files::{ERRORS, Fault, FaultyFiles};
use machine::{KEY, Machine, quiet, run, step, tree};
use signoz_setup::domain::packages::{Conflict, Resolution};
use signoz_setup::domain::{Change, Content, IngestionKey, Plan, StepState};
use signoz_setup::engine;
use signoz_setup::error::{Kind, Signal};
use signoz_setup::system::{Files, RealFiles};
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

fn one(step: signoz_setup::domain::Step) -> Plan {
    Plan { steps: vec![step] }
}

fn all(states: &[StepState], state: StepState) -> bool {
    !states.is_empty() && states.iter().all(|is| *is == state)
}

#[test]
fn everything_is_applied_and_undone_to_the_last_bit() {
    let machine = Machine::new();
    let before = machine.tree();
    let plan = machine.plan();
    let applied = machine.run(&plan).unwrap();
    assert!(all(&applied.states, StepState::Applied), "{:?}", applied.states);
    assert!(machine.read(".signoz/otel.env").contains(KEY));
    assert_eq!(fs::metadata(machine.path(".signoz/otel.env")).unwrap().mode() & 0o777, 0o600);
    assert_eq!(fs::metadata(machine.path(".signoz/run.sh")).unwrap().mode() & 0o777, 0o755);
    assert_eq!(
        machine.read("gunicorn.conf.py"),
        "workers = 4\r\nbind = ':8000'\r\n# >>> signoz-setup >>>\r\nhook = 1\r\n# <<< signoz-setup <<<\r\n"
    );
    assert!(machine.root.path().join("venv/site/protobuf-4.25.9.dist-info").is_dir());

    let report = machine.undo();
    assert_eq!((report.kept.len(), report.failed.len()), (0, 0), "{report:?}");
    assert!(
        report
            .restored
            .iter()
            .any(|line| line == "put back protobuf 5.29.5" || line.contains("put back protobuf 5.29.5")),
        "{report:?}"
    );
    assert_eq!(machine.tree(), before);
    assert!(machine.undo().is_empty(), "a second undo has nothing to do");
    assert_eq!(machine.tree(), before);
}

#[test]
fn twice_is_nothing() {
    let machine = Machine::new();
    let mut plan = machine.plan();
    machine.run(&plan).unwrap();
    let after = machine.tree();
    // The second run's dry resolve finds nothing to move.
    if let Change::InstallPackages { resolution, .. } = &mut plan.steps[0].change {
        *resolution = Resolution::default();
    }
    let diffs = machine.diff(&plan).unwrap();
    let states: Vec<StepState> = diffs.iter().map(|diff| diff.state).collect();
    assert!(all(&states, StepState::Satisfied), "{states:?}");
    let journals = machine.journals().len();
    machine.run(&plan).unwrap();
    assert_eq!((machine.tree(), machine.journals().len()), (after, journals));
}

#[test]
fn what_was_already_right_is_never_undone() {
    let machine = Machine::new();
    fs::create_dir(machine.path(".signoz")).unwrap();
    fs::write(machine.path(".signoz/.gitignore"), "otel.env\n").unwrap();
    let before = machine.tree();
    let applied = machine.run(&machine.plan()).unwrap();
    assert_eq!(applied.states[1], StepState::Satisfied);
    machine.undo();
    assert_eq!(machine.tree(), before);
}

#[test]
fn what_the_person_edited_since_is_kept_and_said() {
    let machine = Machine::new();
    machine.run(&machine.plan()).unwrap();
    fs::write(machine.path(".signoz/run.sh"), "#!/bin/sh\nmine\n").unwrap();
    fs::remove_file(machine.path(".signoz/.gitignore")).unwrap();
    let edited = machine.read("Procfile").replace("release: true", "release: false");
    fs::write(machine.path("Procfile"), &edited).unwrap();
    let elsewhere = format!("{}timeout = 9\r\n", machine.read("gunicorn.conf.py").replace("= 4", "= 8"));
    fs::write(machine.path("gunicorn.conf.py"), elsewhere).unwrap();

    let report = machine.undo();
    assert_eq!(machine.read(".signoz/run.sh"), "#!/bin/sh\nmine\n");
    assert_eq!(machine.read("Procfile"), edited);
    assert_eq!(
        machine.read("gunicorn.conf.py"),
        "workers = 8\r\nbind = ':8000'\r\ntimeout = 9\r\n",
        "the block is taken out, the edit beside it stays"
    );
    assert_eq!(report.kept.len(), 2, "{report:?}");
    let run_sh = machine.path(".signoz/run.sh");
    assert!(
        report
            .kept
            .iter()
            .any(|kept| kept.why == "it was edited since" && kept.by_hand == format!("rm {}", run_sh.display()))
    );
    assert!(
        report
            .kept
            .iter()
            .any(|kept| kept.what.contains("Procfile") && kept.by_hand.contains("markers"))
    );
    assert!(!machine.path(".signoz/otel.env").exists(), "the key is gone");
    assert!(machine.undo().is_empty());
}

#[test]
fn an_edited_or_foreign_file_is_refused_before_any_change() {
    let machine = Machine::new();
    let plan = |text: &str| one(machine.file("signoz-setup.toml", Content::text(text), 0o644));
    fs::write(machine.path("signoz-setup.toml"), "theirs").unwrap();
    let error = machine.diff(&plan("a")).unwrap_err();
    assert_eq!(error.kind, Kind::Refused);
    let text = error.to_string();
    assert!(
        text.contains("signoz-setup.toml") && text.contains("not a file that this program wrote") && text.contains("mv "),
        "{text}"
    );

    fs::remove_file(machine.path("signoz-setup.toml")).unwrap();
    machine.run(&plan("a")).unwrap();
    machine.run(&plan("b")).unwrap();
    assert_eq!(machine.read("signoz-setup.toml"), "b", "ours and unedited may be replaced");
    fs::write(machine.path("signoz-setup.toml"), "edited").unwrap();
    let error = machine.diff(&plan("c")).unwrap_err();
    assert_eq!(error.kind, Kind::Refused);
    assert!(error.to_string().contains("was edited since"), "{error}");
    assert_eq!(machine.read("signoz-setup.toml"), "edited");
}

#[test]
fn undo_walks_all_runs_newest_first() {
    let machine = Machine::new();
    let before = machine.tree();
    for text in ["a", "b", "c"] {
        let plan = Plan {
            steps: vec![
                machine.file("signoz-setup.toml", Content::text(text), 0o644),
                machine.block("Procfile", text),
                machine.block("gunicorn.conf.py", text),
            ],
        };
        machine.run(&plan).unwrap();
    }
    let elsewhere = format!("# mine\r\n{}", machine.read("gunicorn.conf.py"));
    fs::write(machine.path("gunicorn.conf.py"), elsewhere).unwrap();
    let report = machine.undo();
    assert!(report.kept.is_empty() && report.failed.is_empty(), "{report:?}");
    let mut expected = before;
    expected.get_mut("project/gunicorn.conf.py").unwrap().1.insert_str(0, "# mine\r\n");
    assert_eq!(machine.tree(), expected);
}

#[test]
fn a_file_changed_between_diff_and_apply_stops_the_run() {
    let machine = Machine::new();
    let plan = machine.plan();
    let _lock = engine::lock(&machine.system, &machine.project()).unwrap();
    let diffs = machine.diff(&plan).unwrap();
    fs::write(machine.path("settings.ini"), "[x]\na = 2\n").unwrap();
    let before = machine.tree();
    let failure = engine::apply(&machine.system, &machine.project(), &plan, &diffs, &quiet).unwrap_err();
    assert_eq!(failure.error.kind, Kind::StepFailed);
    assert!(failure.error.to_string().contains("settings.ini"), "{}", failure.error);
    assert_eq!(machine.tree(), before);
}

#[test]
fn owner_mode_and_link_of_an_edited_file_are_kept() {
    let machine = Machine::new();
    let target = machine.root.path().join("dotfiles/settings.ini");
    let chowned = std::os::unix::fs::chown(&target, Some(12_345), Some(12_345)).is_ok();
    if !chowned {
        eprintln!("skipped the owner: only root may give a file away");
    }
    let plan = one(machine.block("settings.ini", "[signoz]\n"));
    machine.run(&plan).unwrap();
    assert!(machine.path("settings.ini").is_symlink());
    let look = || {
        let metadata = fs::metadata(&target).unwrap();
        (metadata.mode() & 0o777, chowned.then_some((metadata.uid(), metadata.gid())))
    };
    let expected = (0o600, chowned.then_some((12_345, 12_345)));
    assert!(fs::read_to_string(&target).unwrap().contains("[signoz]"));
    assert_eq!(look(), expected);
    machine.undo();
    assert!(machine.path("settings.ini").is_symlink());
    assert_eq!(look(), expected);
    assert_eq!(fs::read_to_string(&target).unwrap(), "[x]\na = 1\n");
}

#[test]
fn links_inside_our_folder_are_refused() {
    let machine = Machine::new();
    let plan = machine.plan();
    fs::create_dir(machine.root.path().join("elsewhere")).unwrap();
    symlink(machine.root.path().join("elsewhere"), machine.path(".signoz")).unwrap();
    let error = machine.diff(&plan).unwrap_err();
    assert_eq!(error.kind, Kind::Refused);
    assert!(
        error.to_string().contains("symlink") && error.to_string().contains(".signoz"),
        "{error}"
    );

    fs::remove_file(machine.path(".signoz")).unwrap();
    fs::create_dir(machine.path(".signoz")).unwrap();
    symlink("/dev/null", machine.path(".signoz/otel.env")).unwrap();
    let error = machine.diff(&plan).unwrap_err();
    assert!(error.to_string().contains("otel.env"), "{error}");
    assert_eq!(error.kind, Kind::Refused);
}

#[test]
fn a_dangling_link_and_a_folder_are_refused() {
    let machine = Machine::new();
    symlink("nowhere", machine.path("dangling.conf")).unwrap();
    let error = machine.diff(&one(machine.block("dangling.conf", "x"))).unwrap_err();
    assert!(
        error.kind == Kind::Refused && error.to_string().contains("does not exist"),
        "{error}"
    );
    fs::create_dir(machine.path("a-folder")).unwrap();
    let error = machine.diff(&one(machine.block("a-folder", "x"))).unwrap_err();
    assert!(
        error.kind == Kind::Refused && error.to_string().contains("is not a file"),
        "{error}"
    );
}

#[test]
fn a_secret_is_never_put_into_a_tracked_file() {
    let machine = Machine::new();
    fs::create_dir(machine.path(".signoz")).unwrap();
    fs::write(machine.path(".signoz/otel.env"), "").unwrap();
    let git = |words: &[&str]| Command::new("git").args(words).current_dir(machine.project()).output();
    if git(&["init", "-q"]).is_err() {
        eprintln!("skipped: there is no git");
        return;
    }
    fs::remove_file(machine.path(".signoz/otel.env")).unwrap();
    assert!(machine.diff(&machine.plan()).is_ok(), "an untracked file is fine");
    fs::write(machine.path(".signoz/otel.env"), "").unwrap();
    assert!(git(&["add", "-f", ".signoz/otel.env"]).unwrap().status.success());
    for with_git in [true, false] {
        let mut system = machine.system.clone();
        if !with_git {
            system.env.insert("PATH".into(), "/nonexistent".into());
        }
        let error = engine::diff(&system, &machine.project(), &machine.plan()).unwrap_err();
        assert_eq!(error.kind, Kind::Refused);
        assert!(error.to_string().contains("git rm --cached .signoz/otel.env"), "{error}");
    }
}

#[test]
fn a_marker_without_its_partner_is_refused_with_its_line() {
    let machine = Machine::new();
    fs::write(machine.path("Procfile"), "web: x\n# >>> signoz-setup >>>\ny\n").unwrap();
    let error = machine.diff(&one(machine.block("Procfile", "x"))).unwrap_err();
    assert_eq!(error.kind, Kind::Refused);
    assert!(error.to_string().contains("Procfile:2"), "{error}");
}

#[test]
fn the_key_is_in_its_file_and_nowhere_else() {
    let machine = Machine::new();
    let plan = machine.plan();
    let shown = serde_json::to_string(&machine.diff(&plan).unwrap()).unwrap();
    assert!(shown.contains(Content::MASK) && !shown.contains(KEY), "{shown}");
    machine.run(&plan).unwrap();
    // The key is rotated: the old one must show neither.
    let rotated = IngestionKey::parse("canary-0815-rotated").unwrap();
    let content = Content::text("OTEL_EXPORTER_OTLP_HEADERS=signoz-ingestion-key=")
        .then_key(rotated)
        .then("\n");
    let plan = one(machine.file(".signoz/otel.env", content, 0o600));
    let shown = serde_json::to_string(&machine.diff(&plan).unwrap()).unwrap();
    assert!(shown.contains("value of now") && !shown.contains("canary"), "{shown}");
    machine.run(&plan).unwrap();
    for (path, text) in machine.journals() {
        assert!(!text.contains("canary"), "{}", path.display());
    }
    let backups: Vec<(String, (u32, String))> = tree(&machine.system.state)
        .into_iter()
        .filter(|(_, (_, text))| text.contains("canary"))
        .collect();
    assert_eq!(backups.len(), 1, "only the backup of the file itself: {backups:?}");
    assert_eq!(backups[0].1.0, 0o600);
    machine.undo();
    let left: Vec<String> = tree(&machine.system.state)
        .into_iter()
        .filter(|(_, (_, text))| text.contains("canary"))
        .map(|(name, _)| name)
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn what_python_compiled_from_our_files_goes_with_them() {
    let machine = Machine::new();
    let before = machine.tree();
    machine.run(&machine.plan()).unwrap();
    let cache = machine.path(".signoz/auto/__pycache__");
    fs::create_dir(&cache).unwrap();
    fs::write(cache.join("sitecustomize.cpython-311.pyc"), "x").unwrap();
    machine.undo();
    assert_eq!(machine.tree(), before);
}

#[test]
fn a_failing_last_step_puts_everything_back_by_itself() {
    let machine = Machine::new();
    let before = machine.tree();
    let mut plan = machine.plan();
    plan.steps.push(step(
        "run.fails",
        Change::RunCommand {
            argv: vec!["sh".into(), "-c".into(), "echo it is broken >&2; exit 3".into()],
            undo: None,
        },
    ));
    let failure = machine.run(&plan).unwrap_err();
    assert_eq!(failure.error.kind, Kind::StepFailed);
    assert!(failure.error.to_string().contains("exit code 3: it is broken"), "{}", failure.error);
    assert!(
        failure.restored.iter().any(|line| line.contains("otel.env")),
        "{:?}",
        failure.restored
    );
    assert!(failure.left.is_empty(), "{:?}", failure.left);
    assert_eq!(failure.states.last(), Some(&StepState::Failed));
    assert!(all(&failure.states[..10], StepState::Reverted), "{:?}", failure.states);
    assert_eq!(machine.tree(), before);
    assert!(machine.undo().is_empty());
}

#[test]
fn an_install_that_fails_half_way_is_put_back() {
    let machine = Machine::new();
    fs::write(machine.root.path().join("venv/bin/fail-after-protobuf==4.25.9"), "").unwrap();
    let before = machine.tree();
    let failure = machine.run(&machine.plan()).unwrap_err();
    let text = failure.error.to_string();
    assert!(
        failure.error.kind == Kind::StepFailed && text.contains("the disk is full"),
        "{text}"
    );
    assert!(text.contains("free some space"), "{text}");
    assert_eq!(machine.tree(), before.clone());
    assert_eq!(failure.states[0], StepState::Failed);
    assert!(all(&failure.states[1..], StepState::Pending), "{:?}", failure.states);
}

#[test]
fn an_installer_that_lies_is_found_out() {
    let machine = Machine::new();
    fs::write(machine.root.path().join("venv/bin/lie"), "").unwrap();
    let before = machine.tree();
    let failure = machine.run(&machine.plan()).unwrap_err();
    let text = failure.error.to_string();
    assert!(
        text.contains("protobuf==4.25.9") && text.contains("opentelemetry-distro==0.38b0"),
        "{text}"
    );
    assert_eq!(machine.tree(), before);
}

#[test]
fn packages_that_the_person_changed_since_are_kept() {
    let machine = Machine::new();
    machine.run(&machine.plan()).unwrap();
    let site = machine.root.path().join("venv/site");
    fs::rename(site.join("protobuf-4.25.9.dist-info"), site.join("protobuf-6.33.0.dist-info")).unwrap();
    fs::write(site.join("protobuf-6.33.0.dist-info/METADATA"), "Name: protobuf\nVersion: 6.33.0\n").unwrap();
    fs::create_dir(site.join("rich-14.dist-info")).unwrap();
    fs::write(site.join("rich-14.dist-info/METADATA"), "Name: rich\nVersion: 14\n").unwrap();
    let report = machine.undo();
    assert!(report.kept.iter().any(|kept| kept.what.contains("protobuf 6.33.0")), "{report:?}");
    assert!(site.join("rich-14.dist-info").is_dir() && !site.join("opentelemetry-distro-0.38b0.dist-info").exists());
}

#[test]
fn an_environment_that_changed_since_the_resolve_is_not_touched() {
    let machine = Machine::new();
    let plan = one(machine.install(&[("protobuf", Some("7.0"), "4.25.9")]));
    let before = machine.tree();
    let failure = machine.run(&plan).unwrap_err();
    assert!(failure.error.to_string().contains("`protobuf` is 5.29.5 now"), "{}", failure.error);
    assert_eq!(machine.tree(), before);
}

#[test]
fn a_dependency_conflict_is_refused_in_words() {
    let machine = Machine::new();
    let mut plan = machine.plan();
    if let Change::InstallPackages { resolution, .. } = &mut plan.steps[0].change {
        resolution.conflicts.push(Conflict {
            package: "fastapi".into(),
            version: "0.165.0".into(),
            requires: "opentelemetry-api>=1.44.0".into(),
            would_get: "opentelemetry-api 1.17.0".into(),
            way_out: Some("fastapi 0.141.1".into()),
        });
    }
    let error = machine.diff(&plan).unwrap_err();
    assert_eq!(error.kind, Kind::Refused);
    assert_eq!(
        error.to_string(),
        "the install would break packages of the app; nothing was changed\n  because: fastapi 0.165.0 requires opentelemetry-api>=1.44.0, but \
         would get opentelemetry-api 1.17.0\n  hint: these versions would fit: fastapi 0.141.1\n  hint: or use the newest set, which may fit \
         fastapi: `--instrumentation current`"
    );
}

#[test]
fn a_signal_ends_the_command_and_puts_everything_back() {
    for (signal, code) in [(Signal::Interrupt, 130), (Signal::Terminate, 143)] {
        let machine = Machine::new();
        let before = machine.tree();
        let mut plan = machine.plan();
        plan.steps.push(step(
            "run.long",
            Change::RunCommand {
                argv: vec!["sh".into(), "-c".into(), "echo begun; sleep 1000".into()],
                undo: None,
            },
        ));
        let _lock = engine::lock(&machine.system, &machine.project()).unwrap();
        let diffs = machine.diff(&plan).unwrap();
        let cancel = machine.system.cancel.clone();
        // The signal comes when the command is known to run.
        let observer = move |event: signoz_setup::domain::Event| {
            if matches!(event, signoz_setup::domain::Event::Line { text } if text == "begun") {
                cancel.set(signal);
            }
        };
        let failure = engine::apply(&machine.system, &machine.project(), &plan, &diffs, &observer).unwrap_err();
        assert_eq!(failure.error.kind.exit_code(), code);
        assert!(failure.left.is_empty(), "{:?}", failure.left);
        assert_eq!(machine.tree(), before);
    }
}

#[test]
fn words_of_a_command_are_never_read_by_a_shell() {
    let machine = Machine::new();
    let odd = machine.path("it's $(touch pwned); *");
    let plan = one(step(
        "run.odd",
        Change::RunCommand {
            argv: vec!["touch".into(), odd.display().to_string()],
            undo: Some(vec!["rm".into(), odd.display().to_string()]),
        },
    ));
    let before = machine.tree();
    machine.run(&plan).unwrap();
    assert!(odd.is_file() && !machine.path("pwned").exists());
    machine.undo();
    assert_eq!(machine.tree(), before);
}

/// Fails every write call once, in every way and with every error; afterwards nothing may be left.
#[test]
fn any_single_failing_write_leaves_no_trace() {
    let [full, denied] = ERRORS;
    for (fault, errno) in [
        (Fault::Once, full),
        (Fault::Once, denied),
        (Fault::AfterItsEffect, full),
        (Fault::FromThenOn, full),
    ] {
        {
            for at in 0.. {
                let machine = Machine::new();
                let before = machine.tree();
                let files = Arc::new(FaultyFiles::new(at, fault, errno));
                let outcome = run(&machine.with(files.clone()), &machine.project(), &machine.plan());
                let case = format!("call {at}, {fault:?}, error {errno}");
                if !files.reached() {
                    assert!(outcome.is_ok(), "{case}");
                    break;
                }
                if let Err(failure) = outcome {
                    let text = failure.error.to_string();
                    assert!(matches!(failure.error.kind, Kind::StepFailed | Kind::Refused), "{case}: {text}");
                    let words = if errno == 28 {
                        "no space left on device"
                    } else {
                        "permission denied"
                    };
                    assert!(text.contains(words) && text.contains("hint: "), "{case}: {text}");
                    if fault == Fault::FromThenOn {
                        // Nothing can be put back while every write fails; afterwards undo finishes it.
                        machine.undo();
                    }
                    assert!(fault == Fault::FromThenOn || failure.left.is_empty(), "{case}: {:?}", failure.left);
                } else {
                    // The call did not matter for the result (a backup being forgotten, say).
                    let report = machine.undo();
                    assert!(report.failed.is_empty() && report.kept.is_empty(), "{case}: {report:?}");
                }
                assert_eq!(machine.tree(), before, "{case}");
            }
        }
    }
}

/// The same for undo: whatever fails, a second undo finishes it.
#[test]
fn an_undo_cut_short_can_be_run_again() {
    for fault in [Fault::Once, Fault::AfterItsEffect, Fault::FromThenOn] {
        for at in 0.. {
            let machine = Machine::new();
            let before = machine.tree();
            machine.run(&machine.plan()).unwrap();
            let files = Arc::new(FaultyFiles::new(at, fault, 28));
            let system = machine.with(files.clone());
            let first = engine::undo(&system, &machine.project(), &quiet);
            if !files.reached() {
                break;
            }
            let report = machine.undo();
            assert!(
                report.failed.is_empty() && report.kept.is_empty(),
                "call {at}, {fault:?}: {first:?} then {report:?}"
            );
            assert_eq!(machine.tree(), before, "call {at}, {fault:?}: {first:?} then {report:?}");
        }
    }
}

/// Writes that stop at the n-th call and wait to be killed there.
struct Mortal {
    at: usize,
    how: &'static str,
    calls: AtomicUsize,
}

impl Mortal {
    fn call<T>(&self, half: impl FnOnce(), work: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        if self.calls.fetch_add(1, Ordering::SeqCst) != self.at {
            return work();
        }
        match self.how {
            "after" => {
                let _ = work();
            }
            "torn" => half(),
            _ => {}
        }
        println!("victim waits");
        io::stdout().flush().unwrap();
        // The other end is never written to: this ends with the kill.
        let _ = io::stdin().read(&mut [0]);
        Err(io::ErrorKind::Interrupted.into())
    }
}

impl Files for Mortal {
    fn write(&self, path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
        // Half of the temporary sibling.
        let half = || {
            let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
            fs::write(target.parent().unwrap().join(".signoz-setup-Ab3xyZ"), "ha").unwrap();
        };
        self.call(half, || RealFiles.write(path, bytes, mode))
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        self.call(|| {}, || RealFiles.remove(path))
    }
    fn create_folder(&self, path: &Path, mode: u32) -> io::Result<Vec<PathBuf>> {
        // The outermost of the folders.
        let half = || {
            if let Some(first) = path.ancestors().take_while(|folder| !folder.exists()).last() {
                fs::create_dir(first).unwrap();
            }
        };
        self.call(half, || RealFiles.create_folder(path, mode))
    }
    fn remove_folder(&self, path: &Path) -> io::Result<bool> {
        self.call(|| {}, || RealFiles.remove_folder(path))
    }
    fn set_mode(&self, path: &Path, mode: u32) -> io::Result<()> {
        self.call(|| {}, || RealFiles.set_mode(path, mode))
    }
}

/// Runs this test program again as the process that will be killed; false when it ended before it came to the call.
fn killed_at(test: &str, machine: &Machine, verb: &str, at: usize, how: &str) -> bool {
    let mut victim = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env("ENGINE_VICTIM", format!("{verb} {at} {how}"))
        .env("ENGINE_ROOT", machine.root.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(victim.stdout.take().unwrap()).lines();
    let waits = lines.map_while(Result::ok).any(|line| line.ends_with("victim waits"));
    victim.kill().unwrap();
    victim.wait().unwrap();
    waits
}

/// What the process that will be killed does.
fn victim(task: &str) {
    let mut words = task.split(' ');
    let (verb, at, how) = (words.next().unwrap(), words.next().unwrap().parse().unwrap(), words.next().unwrap());
    let how = if how == "after" {
        "after"
    } else if how == "torn" {
        "torn"
    } else {
        "before"
    };
    let machine = Machine::open(Path::new(&std::env::var("ENGINE_ROOT").unwrap()));
    let system = machine.with(Arc::new(Mortal {
        at,
        how,
        calls: AtomicUsize::new(0),
    }));
    if verb == "apply" {
        let _ = run(&system, &machine.project(), &machine.plan());
    } else {
        let _lock = engine::lock(&machine.system, &machine.project()).unwrap();
        let _ = engine::undo(&system, &machine.project(), &quiet);
    }
}

#[test]
fn sigkill_at_every_write_of_a_run_is_undone_to_the_last_bit() {
    if let Ok(task) = std::env::var("ENGINE_VICTIM") {
        return victim(&task);
    }
    for how in ["torn", "after"] {
        for at in 0.. {
            let machine = Machine::new();
            let before = machine.tree();
            if !killed_at(
                "sigkill_at_every_write_of_a_run_is_undone_to_the_last_bit",
                &machine,
                "apply",
                at,
                how,
            ) {
                assert!(at > 30, "the run made {at} writes");
                break;
            }
            let report = machine.undo();
            assert!(report.failed.is_empty() && report.kept.is_empty(), "call {at}, {how}: {report:?}");
            assert_eq!(machine.tree(), before, "call {at}, {how}: {report:?}");
        }
    }
}

#[test]
fn sigkill_at_every_write_then_a_second_run_then_undo() {
    if let Ok(task) = std::env::var("ENGINE_VICTIM") {
        return victim(&task);
    }
    for how in ["after"] {
        for at in 0.. {
            let machine = Machine::new();
            let before = machine.tree();
            if !killed_at("sigkill_at_every_write_then_a_second_run_then_undo", &machine, "apply", at, how) {
                break;
            }
            // The second run resolves again: what is there already does not move.
            let mut plan = machine.plan();
            if machine.root.path().join("venv/site/protobuf-4.25.9.dist-info").exists()
                && let Change::InstallPackages { resolution, .. } = &mut plan.steps[0].change
            {
                *resolution = Resolution::default();
            }
            machine
                .run(&plan)
                .unwrap_or_else(|failure| panic!("call {at}, {how}: {}", failure.error));
            assert!(!engine::interrupted_before(&machine.system, &machine.project()).unwrap());
            let report = machine.undo();
            assert!(report.failed.is_empty() && report.kept.is_empty(), "call {at}, {how}: {report:?}");
            assert_eq!(machine.tree(), before, "call {at}, {how}: {report:?}");
        }
    }
}

#[test]
fn sigkill_at_every_write_of_an_undo_and_undo_again() {
    if let Ok(task) = std::env::var("ENGINE_VICTIM") {
        return victim(&task);
    }
    for how in ["torn", "after"] {
        for at in 0.. {
            let machine = Machine::new();
            let before = machine.tree();
            machine.run(&machine.plan()).unwrap();
            if !killed_at("sigkill_at_every_write_of_an_undo_and_undo_again", &machine, "undo", at, how) {
                break;
            }
            let report = machine.undo();
            assert!(report.failed.is_empty() && report.kept.is_empty(), "call {at}, {how}: {report:?}");
            assert_eq!(machine.tree(), before, "call {at}, {how}: {report:?}");
        }
    }
}

#[test]
fn a_second_run_is_refused_while_the_first_is_at_work() {
    let machine = Machine::new();
    let lock = engine::lock(&machine.system, &machine.project()).unwrap();
    let error = engine::lock(&machine.system, &machine.project()).unwrap_err();
    assert_eq!(error.kind, Kind::Refused);
    assert!(error.to_string().contains(&format!("process {}", std::process::id())), "{error}");
    assert!(
        engine::lock(&machine.system, machine.root.path()).is_ok(),
        "another project is free"
    );
    drop(lock);
    assert!(engine::lock(&machine.system, &machine.project()).is_ok());
}

#[test]
fn the_state_folder_is_private_and_ours() {
    let machine = Machine::new();
    machine.run(&machine.plan()).unwrap();
    for (name, (mode, what)) in tree(&machine.system.state) {
        assert_eq!(mode, if what == "/" { 0o700 } else { 0o600 }, "{name}");
    }
    fs::set_permissions(&machine.system.state, fs::Permissions::from_mode(0o755)).unwrap();
    drop(engine::lock(&machine.system, &machine.project()).unwrap());
    assert_eq!(fs::metadata(&machine.system.state).unwrap().mode() & 0o777, 0o700);

    let mut linked = machine.system.clone();
    linked.state = machine.root.path().join("link");
    symlink(&machine.system.state, &linked.state).unwrap();
    let error = engine::lock(&linked, &machine.project()).unwrap_err();
    assert!(
        error.kind == Kind::Refused && error.to_string().contains("XDG_STATE_HOME"),
        "{error}"
    );

    if std::os::unix::fs::chown(&machine.system.state, Some(12_345), None).is_ok() {
        let error = engine::lock(&machine.system, &machine.project()).unwrap_err();
        assert!(
            error.kind == Kind::Refused && error.to_string().contains("belongs to user 12345"),
            "{error}"
        );
    } else {
        eprintln!("skipped the foreign owner: only root may give a folder away");
    }
}

#[test]
fn sudo_with_another_home_is_refused_with_both_paths() {
    let host = signoz_setup::domain::detection::Host {
        foreign_home: Some(("/home/ann".into(), "/root".into())),
        ..Default::default()
    };
    let error = engine::refuse_foreign_home(&host).unwrap_err();
    assert_eq!(error.kind, Kind::Refused);
    assert!(
        error.to_string().contains("/home/ann") && error.to_string().contains("/root"),
        "{error}"
    );
    assert!(engine::refuse_foreign_home(&signoz_setup::domain::detection::Host::default()).is_ok());
}

#[test]
fn a_journal_of_a_newer_program_is_not_guessed_at() {
    let machine = Machine::new();
    machine.run(&machine.plan()).unwrap();
    let (path, text) = machine.journals().remove(0);
    fs::write(
        &path,
        text.replacen("\"schema_version\": 1", "\"schema_version\": 2", 1)
            .replacen("\"version\": \"", "\"version\": \"9.", 1),
    )
    .unwrap();
    let error = engine::undo(&machine.system, &machine.project(), &quiet).unwrap_err();
    assert!(
        error.kind == Kind::Refused && error.to_string().contains("signoz-setup 9."),
        "{error}"
    );
    fs::write(&path, "{").unwrap();
    let error = engine::undo(&machine.system, &machine.project(), &quiet).unwrap_err();
    assert!(error.to_string().contains(&path.display().to_string()), "{error}");
}

/// A file system of 96 KiB, when this user may mount one.
struct Small(PathBuf);

impl Small {
    fn mount(at: &Path) -> Option<Self> {
        fs::create_dir(at).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=96k", "tmpfs"])
            .arg(at)
            .output()
            .is_ok_and(|output| output.status.success());
        mounted.then(|| Self(at.to_path_buf()))
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).output();
    }
}

#[test]
fn a_really_full_disk_is_named_and_leaves_the_project_as_it_was() {
    let machine = Machine::new();
    let Some(small) = Small::mount(&machine.root.path().join("small")) else {
        eprintln!("skipped: this user may not mount a file system");
        return;
    };
    // First the disk of the project is full, then that of the state folder.
    let project = small.0.join("project");
    fs::create_dir(&project).unwrap();
    fs::write(project.join("ours"), "x").unwrap();
    let big = |name: &str| {
        step(
            &format!("write.{name}"),
            Change::WriteFile {
                path: project.join(name),
                content: Content::text("x".repeat(60_000)),
                mode: 0o644,
            },
        )
    };
    let plan = Plan {
        steps: vec![big("new/a"), big("new/b")],
    };
    let before = tree(&small.0);
    let failure = run(&machine.system, &project, &plan).unwrap_err();
    let text = failure.error.to_string();
    assert!(
        failure.error.kind == Kind::StepFailed && text.contains("no space left on device") && text.contains("new/b"),
        "{text}"
    );
    assert!(failure.left.is_empty(), "{:?}", failure.left);
    assert_eq!(tree(&small.0), before);

    let mut system = machine.system.clone();
    system.state = small.0.join("state");
    fs::write(small.0.join("filler"), vec![0; 80_000]).unwrap();
    let mut rest = fs::File::create(small.0.join("rest")).unwrap();
    while rest.write_all(&[0; 512]).is_ok() {}
    let before = tree(&machine.project());
    let failure = run(&system, &machine.project(), &machine.plan()).unwrap_err();
    let text = failure.error.to_string();
    assert!(
        text.contains("no space left on device") && text.contains("free some space"),
        "{text}"
    );
    assert_eq!(tree(&machine.project()), before);
}
