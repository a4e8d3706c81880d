//! The full screen on a real terminal: keys, pastes, sizes, signals; whatever happens, the terminal is given back.

#[path = "support/program.rs"]
mod program;
#[path = "support/pty.rs"]
mod pty;

use program::Program;
use pty::{SANE, Terminal};
use rustix::process::Signal;
use std::fs;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

const CANARY: &str = "canary-6f1e-4a52-9b0c";
const ENTER: &str = "\r";
const ESC: &str = "\x1b";
const CTRL_C: &str = "\x03";
const CTRL_Z: &str = "\x1a";
const SIZE: (u16, u16) = (100, 30);

/// A project whose environment is a real one, with nothing installed.
fn project() -> TempDir {
    let folder = tempfile::Builder::new().prefix("shop").tempdir().unwrap();
    fs::write(folder.path().join("app.py"), "from flask import Flask\napp = Flask(__name__)\n").unwrap();
    fs::write(folder.path().join("Procfile"), "web: gunicorn app:app --workers 4\n").unwrap();
    let made = Command::new("python3")
        .args(["-m", "venv", "--without-pip"])
        .arg(folder.path().join(".venv"))
        .status()
        .unwrap();
    assert!(made.success());
    folder
}

/// The wizard with its first screen up; without the network, since only the screen is looked at.
fn wizard(folder: &Path, arguments: &[&str]) -> (Program, Terminal) {
    let program = Program::new(folder);
    let mut words = vec!["--offline"];
    words.extend(arguments);
    let terminal = Terminal::start(&program.command(words), SIZE);
    terminal.wait_for("set up");
    terminal.wait_for("Procfile:1");
    (program, terminal)
}

fn untouched(folder: &Path) {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, [".venv", "Procfile", "app.py"], "something was written");
}

#[test]
fn ctrl_c_leaves_every_screen_cleanly() {
    let folder = project();
    // Keys that lead to a screen, and what it shows.
    let ways: [(&[&str], &str); 5] = [
        (&[], "set up"),
        (&[ENTER], "region?"),
        (&[ENTER, "?"], "leave at any moment"),
        (&[ENTER, "8", ENTER], "address of your SigNoz"),
        (&[ENTER, ENTER], "ingestion key?"),
    ];
    for (keys, shows) in ways {
        let (_program, terminal) = wizard(folder.path(), &[]);
        for key in keys {
            terminal.send(key);
            // Each key is answered before the next is pressed, as by a person.
            if *key == ENTER {
                terminal.wait_for("?");
            }
        }
        terminal.wait_for(shows);
        terminal.send(CTRL_C);
        assert_eq!(terminal.exit(), 130, "{shows}: {}", terminal.screen());
        terminal.assert_clean();
        assert!(terminal.screen().contains("nothing was changed"), "{}", terminal.screen());
        untouched(folder.path());
    }
}

#[test]
fn signals_leave_it_cleanly() {
    let folder = project();
    for signal in [Signal::TERM, Signal::HUP, Signal::INT] {
        let (_program, terminal) = wizard(folder.path(), &[]);
        terminal.signal(signal);
        let code = if signal == Signal::INT { 130 } else { 143 };
        assert_eq!(terminal.exit(), code, "{signal:?}: {}", terminal.screen());
        terminal.assert_clean();
        untouched(folder.path());
    }
}

#[test]
fn it_can_be_stopped_and_goes_on_where_it_was() {
    let folder = project();
    let (_program, terminal) = wizard(folder.path(), &[]);
    terminal.send(ENTER);
    terminal.wait_for("region?");
    terminal.send(CTRL_Z);
    terminal.wait_for("[stopped]");
    assert_eq!(terminal.flags_while_stopped(), SANE);
    assert!(!terminal.alternate_screen() && !terminal.cursor_hidden() && !terminal.bracketed_paste());
    terminal.go_on();
    terminal.wait_for("region?");
    assert!(terminal.alternate_screen() && terminal.bracketed_paste());
    terminal.send(CTRL_C);
    assert_eq!(terminal.exit(), 130);
    terminal.assert_clean();
}

#[test]
fn a_window_can_have_any_size() {
    let folder = project();
    let (_program, terminal) = wizard(folder.path(), &[]);
    terminal.send(ENTER);
    terminal.wait_for("region?");
    for (columns, rows) in [(60, 16), (200, 60), (61, 40), (140, 17)] {
        terminal.resize(columns, rows);
        terminal.wait_for_new("region?");
    }
    terminal.resize(40, 10);
    terminal.wait_for("60");
    terminal.wait_gone("region?");
    terminal.send(ENTER);
    // Drawn anew on request: what was typed before has been heard by then.
    terminal.send("\x0c");
    terminal.wait_for_new("60");
    terminal.resize(80, 24);
    terminal.wait_for("region?");
    terminal.send(CTRL_C);
    assert_eq!(terminal.exit(), 130);
    terminal.assert_clean();
}

#[test]
fn answers_stay_when_the_person_goes_back_and_the_key_is_never_shown() {
    let folder = project();
    let (program, terminal) = wizard(folder.path(), &[]);
    terminal.send(ENTER);
    terminal.wait_for("region?");
    terminal.send("3");
    terminal.send(ENTER);
    terminal.wait_for("ingestion key?");
    terminal.paste(&format!("{CANARY} x\n"));
    terminal.wait_for("•");
    terminal.send(ENTER);
    terminal.wait_for("white space");
    terminal.send("\x15");
    terminal.paste(&format!("{CANARY}\r\n"));
    terminal.wait_for("•");
    terminal.send(ENTER);
    terminal.wait_for("Under which name");
    terminal.send("\x15it's a shop 日本");
    terminal.wait_for("it's a shop 日本");
    terminal.send(ENTER);
    terminal.wait_for("deployment environment");
    for shows in ["Under which name", "ingestion key?", "region?"] {
        terminal.send(ESC);
        terminal.wait_for(shows);
    }
    for shows in ["ingestion key?", "Under which name"] {
        terminal.send(ENTER);
        terminal.wait_for(shows);
    }
    terminal.wait_for("it's a shop 日本");
    terminal.send(CTRL_C);
    assert_eq!(terminal.exit(), 130);
    terminal.assert_clean();
    assert!(!String::from_utf8_lossy(&terminal.raw()).contains("canary"), "{}", terminal.all());
    let kept = Command::new("grep")
        .args(["-rl", "canary"])
        .arg(program.state())
        .arg(folder.path())
        .output()
        .unwrap();
    assert!(kept.stdout.is_empty(), "{}", String::from_utf8_lossy(&kept.stdout));
    untouched(folder.path());
}

#[test]
fn a_refusal_is_shown_with_its_way_out_and_gives_the_exit_code() {
    let folder = project();
    let key = folder.path().join("../key-of-the-test");
    let key = key.to_str().unwrap();
    fs::write(key, CANARY).unwrap();
    let (_program, terminal) = wizard(
        folder.path(),
        &["--region", "eu", "--ingestion-key-file", key, "--service-name", "shop"],
    );
    fs::remove_file(key).unwrap();
    terminal.send(ENTER);
    terminal.wait_for("deployment environment");
    terminal.send(ENTER);
    terminal.wait_for("releases of OpenTelemetry");
    terminal.send(ENTER);
    terminal.wait_for("How is the app started?");
    terminal.send(ENTER);
    // An environment without pip, without the network and without uv's cache cannot be resolved.
    terminal.wait_for("What helps");
    terminal.send(ESC);
    terminal.wait_for("How is the app started?");
    terminal.send(ENTER);
    terminal.wait_for("What helps");
    terminal.send("q");
    assert_eq!(terminal.exit(), 3, "{}", terminal.screen());
    terminal.assert_clean();
    untouched(folder.path());
}

#[test]
fn another_run_is_named_before_the_screen_is_taken() {
    let folder = project();
    let (program, first) = wizard(folder.path(), &[]);
    let second = Terminal::start(&program.command(["--offline"]), SIZE);
    assert_eq!(second.exit(), 3);
    assert!(second.screen().contains("another run is at work"), "{}", second.screen());
    second.assert_clean();
    first.send(CTRL_C);
    assert_eq!(first.exit(), 130);
}

#[test]
fn the_terminal_is_given_back_after_a_panic_and_an_early_error() {
    let example = Path::new(env!("CARGO_BIN_EXE_signoz-setup")).with_file_name("examples/fullscreen");
    // A run of all tests has built it; a run of this file alone has not.
    let built = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--example", "fullscreen"])
        .status()
        .unwrap();
    assert!(built.success());
    for (how, code, says) in [("panic", 101, "a panic in the thread that draws"), ("error", 1, "an early error")] {
        let mut command = Command::new(&example);
        command.arg(how).env("RUST_BACKTRACE", "0");
        let terminal = Terminal::start(&command, SIZE);
        assert_eq!(terminal.exit(), code, "{}", terminal.screen());
        terminal.assert_clean();
        assert!(terminal.screen().contains(says), "the message is lost: {}", terminal.screen());
        let entered = String::from_utf8_lossy(&terminal.raw()).contains("\x1b[?1049h");
        assert!(entered, "the full screen was never on");
    }
    let mut command = Command::new(&example);
    command.arg("elsewhere");
    let terminal = Terminal::start(&command, SIZE);
    terminal.wait_for("the other thread is gone");
    assert!(terminal.alternate_screen(), "another thread's panic took the screen away");
    terminal.send(ENTER);
    assert_eq!(terminal.exit(), 0);
    terminal.assert_clean();
}
