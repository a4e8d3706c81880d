//! The wizard in lines: prompts on a terminal, numbered lines for plain terminals, screen readers and pipes.

#[path = "support/program.rs"]
mod program;
#[path = "support/pty.rs"]
mod pty;

use program::{Program, stderr, stdout};
use pty::{SANE, Terminal};
use serde_json::Value;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

const CANARY: &str = "canary-6f1e-4a52-9b0c";
const ENTER: &str = "\r";
const ESC: &str = "\x1b";
const CTRL_C: &str = "\x03";
const SIZE: (u16, u16) = (100, 40);

/// A project with a real environment in which nothing is installed.
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

fn untouched(folder: &Path) {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, [".venv", "Procfile", "app.py"], "something was written");
}

/// Answers from a pipe.
fn piped(program: &Program, arguments: &[&str], answers: &str) -> Output {
    let mut child = program.command(arguments).stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(answers.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn prompts_ask_go_back_complain_and_hide_the_key() {
    let folder = project();
    let program = Program::new(folder.path());
    let terminal = Terminal::start(&program.command(["--plain", "--offline"]), SIZE);
    terminal.wait_for("What is your SigNoz Cloud region?");
    terminal.send("\x1b[B\x1b[B");
    terminal.wait_for("> eu ");
    terminal.send(ENTER);
    terminal.wait_for("What is your ingestion key?");
    terminal.send("a b");
    terminal.send(ENTER);
    terminal.wait_for("white space at character 2");
    terminal.send(CANARY);
    terminal.wait_for("*****");
    terminal.send(ENTER);
    terminal.wait_for("Under which name should the app appear?");
    terminal.send(ESC);
    terminal.wait_for("empty keeps the one there is");
    terminal.send(ENTER);
    terminal.wait_for_new("Under which name should the app appear?");
    terminal.send(ENTER);
    terminal.wait_for("Which deployment environment is this?");
    assert!(!terminal.alternate_screen(), "prompts take no full screen");
    terminal.send(CTRL_C);
    assert_eq!(terminal.exit(), 130);
    terminal.assert_clean();
    assert!(terminal.screen().contains("nothing was changed"), "{}", terminal.screen());
    assert!(!String::from_utf8_lossy(&terminal.raw()).contains("canary"), "{}", terminal.all());
    untouched(folder.path());
}

#[test]
fn plain_terminals_and_screen_readers_get_lines_that_never_change() {
    let folder = project();
    for (name, value) in [("ACCESSIBLE", "1"), ("TERM", "dumb")] {
        let program = Program::new(folder.path()).env(name, value);
        let terminal = Terminal::start(&program.command(["--offline"]), SIZE);
        terminal.wait_for("number [1]:");
        terminal.send("?\n");
        terminal.wait_for("type a number from 1 to 8");
        terminal.send("eu\n");
        terminal.wait_for("What is your ingestion key?");
        terminal.wait_for("answer (not shown):");
        assert!(!terminal.flags_now().echo, "the key would be shown while it is typed");
        terminal.send(&format!("{CANARY}\n"));
        terminal.wait_for("answer [shop");
        assert!(terminal.flags_now().echo, "an answer that may be seen is not");
        terminal.send("<\n");
        terminal.wait_for_new("What is your ingestion key?");
        terminal.wait_until("the echo is off", pty::DEADLINE, |seen| seen.since_typed().contains("(not shown)"));
        terminal.send(CTRL_C);
        assert_eq!(terminal.exit(), 130, "{}", terminal.screen());
        assert_eq!(terminal.flags(), SANE, "{name}: the echo is not back");
        let raw = String::from_utf8_lossy(&terminal.raw()).into_owned();
        assert!(!raw.contains("canary"), "{raw}");
        assert!(!raw.contains("\x1b["), "{name}: something is redrawn or coloured: {raw:?}");
        untouched(folder.path());
    }
}

#[test]
fn a_question_that_nobody_answers_gives_the_command_to_paste() {
    let folder = project();
    let program = Program::new(folder.path());
    let nobody = program.run(["--offline"]);
    assert_eq!(nobody.status.code(), Some(2), "{}", stderr(&nobody));
    assert!(
        stderr(&nobody).contains("signoz-setup --yes --region REGION --ingestion-key-file FILE"),
        "{}",
        stderr(&nobody)
    );

    let answers = format!("8\nhttp://127.0.0.1:9\n{CANARY}\nit's mine\nstaging\n2\n");
    let half = piped(&program, &["--offline"], &answers);
    assert_eq!(half.status.code(), Some(2), "{}", stderr(&half));
    let text = stderr(&half);
    assert!(!text.contains("canary"), "{text}");
    let line = text
        .lines()
        .find_map(|line| line.split_once("paste: "))
        .map(|(_, command)| command.to_owned());
    let words = shlex::split(&line.unwrap_or_else(|| panic!("no command to paste: {text}"))).unwrap();
    assert_eq!(
        words,
        [
            "signoz-setup",
            "--yes",
            "--endpoint",
            "http://127.0.0.1:9",
            "--ingestion-key-file",
            "FILE",
            "--service-name",
            "it's mine",
            "--deployment-environment",
            "staging",
            "--instrumentation",
            "current",
            "--",
            "gunicorn",
            "app:app",
            "--workers",
            "4"
        ]
    );
    untouched(folder.path());
}

#[test]
fn with_json_the_questions_stay_off_standard_output() {
    let folder = project();
    let output = piped(&Program::new(folder.path()), &["--offline", "--json"], "3\n");
    assert_eq!(output.status.code(), Some(2));
    let document: Value = serde_json::from_str(&stdout(&output)).unwrap_or_else(|error| panic!("{error}: {}", stdout(&output)));
    assert_eq!(
        (&document["outcome"], &document["exit_code"]),
        (&Value::from("refused"), &Value::from(2))
    );
    assert!(stderr(&output).contains("What is your SigNoz Cloud region?"));
}

#[test]
fn answers_from_a_file_are_read_also_when_somebody_watches() {
    let folder = project();
    let answers = tempfile::NamedTempFile::new().unwrap();
    fs::write(answers.path(), "3\n").unwrap();
    let program = Program::new(folder.path());
    let line = format!(
        "'{}' --offline < '{}'",
        env!("CARGO_BIN_EXE_signoz-setup"),
        answers.path().display()
    );
    let mut command = Command::new("/bin/sh");
    command.args(["-c", &line]).current_dir(folder.path());
    for (name, value) in program.command([] as [&str; 0]).get_envs() {
        if let Some(value) = value {
            command.env(name, value);
        }
    }
    let terminal = Terminal::start(&command, SIZE);
    assert_eq!(terminal.exit(), 2, "{}", terminal.screen());
    assert!(terminal.all().contains("What is your ingestion key?"), "{}", terminal.all());
    assert!(
        terminal.all().contains("paste: signoz-setup --yes --region eu"),
        "{}",
        terminal.all()
    );
    terminal.assert_clean();
}
