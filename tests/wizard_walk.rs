//! The wizard through the direct way to the end: real packages, a real gunicorn, the embedded receiver; stopped half way
//! and taken up again; and every front end making the same of the same answers.

#[path = "support/program.rs"]
mod program;
#[path = "support/pty.rs"]
mod pty;
#[path = "support/real.rs"]
mod real;

use program::{Program, stderr, stdout};
use pty::Terminal;
use real::{Receiver, picture};
use serde_json::Value;
use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

const CANARY: &str = "canary-6f1e-4a52-9b0c";
const ENTER: &str = "\r";
const ESC: &str = "\x1b";
/// An install over the network, or an app that starts.
const LONG: Duration = Duration::from_secs(180);

fn run(program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(output.status.success(), "{program} {arguments:?}: {}", stderr(&output));
}

/// A Flask app under gunicorn with an environment of its own.
fn shop() -> TempDir {
    let folder = tempfile::Builder::new().prefix("shop").tempdir().unwrap();
    let app = "from flask import Flask\n\napp = Flask(__name__)\n\n\n@app.route('/')\ndef index():\n    return 'ok'\n";
    fs::write(folder.path().join("app.py"), app).unwrap();
    fs::write(folder.path().join("Procfile"), "web: gunicorn app:app --workers 4\n").unwrap();
    let venv = folder.path().join(".venv");
    run("python3", &["-m", "venv", venv.to_str().unwrap()]);
    let python = venv.join("bin/python");
    run(
        python.to_str().unwrap(),
        &[
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "flask",
            "gunicorn",
        ],
    );
    folder
}

fn states(text: &str) -> Vec<String> {
    let document: Value = serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
    let steps = document["plan"]["steps"].as_array().unwrap_or_else(|| panic!("{document}"));
    steps.iter().map(|step| step["state"].as_str().unwrap().to_owned()).collect()
}

/// Through the questions to the plan: another address, this key, this name; Flask 3 needs no other choice than is proposed.
fn answer(terminal: &Terminal, endpoint: &str) {
    terminal.wait_for("region?");
    terminal.send("8");
    terminal.send(ENTER);
    terminal.wait_for("address of your SigNoz");
    terminal.paste(&format!("{endpoint}\n"));
    terminal.send(ENTER);
    terminal.wait_for("ingestion key?");
    terminal.paste(&format!("{CANARY}\r\n"));
    terminal.wait_for("•");
    terminal.send(ENTER);
    terminal.wait_for("Under which name");
    // Back and forth: the answers stay.
    terminal.send(ESC);
    terminal.wait_for("ingestion key?");
    terminal.send(ESC);
    terminal.wait_for("address of your SigNoz");
    terminal.wait_for(endpoint);
    terminal.resize(61, 20);
    terminal.wait_for_new("address of your SigNoz");
    terminal.resize(110, 36);
    terminal.wait_for_new("address of your SigNoz");
    terminal.send(ENTER);
    terminal.wait_for("ingestion key?");
    terminal.send(ENTER);
    terminal.wait_for("Under which name");
    terminal.send("\x15walked");
    terminal.send(ENTER);
    terminal.wait_for("deployment environment");
    terminal.send("test");
    terminal.send(ENTER);
    terminal.wait_for("releases of OpenTelemetry");
    terminal.send(ENTER);
    terminal.wait_for("How is the app started?");
    terminal.send(ENTER);
}

#[test]
fn the_wizard_sets_up_proves_it_and_is_taken_back() {
    let folder = shop();
    let here = folder.path();
    let temporary = tempfile::tempdir().unwrap();
    let program = Program::new(here).env("TMPDIR", temporary.path().to_str().unwrap());
    let receiver = Receiver::start(&program);
    let before = picture(here);

    let terminal = Terminal::start(&program.command([] as [&str; 0]), (110, 36));
    terminal.wait_for("Procfile:1");
    terminal.send(ENTER);
    answer(&terminal, &receiver.endpoint);
    terminal.wait_for_within("steps to do", LONG);
    terminal.send("e");
    terminal.send("e");
    terminal.send("\x1b[B");
    terminal.wait_for("otel.env");

    // Stopped while pip is at work: everything is put back, and the plan is there again.
    terminal.send(ENTER);
    terminal.wait_for_within("Collecting", LONG);
    terminal.send(ESC);
    terminal.wait_for("again");
    terminal.send(ESC);
    terminal.wait_for_within("steps to do", LONG);
    assert_eq!(picture(here), before, "stopping did not put everything back");

    terminal.send(ENTER);
    terminal.wait_for_within("start the app", LONG);
    terminal.send(ENTER);
    terminal.wait_for_within("0 lost, 0 sent twice", LONG);
    terminal.resize(60, 16);
    terminal.wait_for_new("endpoint");
    terminal.resize(120, 40);
    terminal.wait_for_new("workers");
    terminal.wait_for("total");
    terminal.wait_for("fullest trace");
    terminal.send(ENTER);
    terminal.wait_for(".signoz/run.sh");
    terminal.send(ENTER);
    assert_eq!(terminal.exit(), 0, "{}", terminal.screen());
    terminal.assert_clean();
    let files: Vec<_> = fs::read_dir(temporary.path())
        .unwrap()
        .flatten()
        .map(|entry| entry.path())
        .collect();
    assert!(files.is_empty(), "the stopped installer left {files:?}");
    let left = terminal.screen();
    assert!(
        left.contains("done (exit code 0)") && left.contains("--undo"),
        "the report is not left behind: {left}"
    );
    assert!(!String::from_utf8_lossy(&terminal.raw()).contains("canary"), "the key was shown");

    // What the wizard wrote is what flags write, and what line prompts write: neither finds anything left to do.
    let flags = [
        "--endpoint",
        &receiver.endpoint,
        "--service-name",
        "walked",
        "--deployment-environment",
        "test",
    ];
    let answers = fs::read_to_string(here.join("signoz-setup.toml")).unwrap();
    fs::rename(here.join("signoz-setup.toml"), here.join("../signoz-setup.kept")).unwrap();
    let key = here.join("../key");
    fs::write(&key, CANARY).unwrap();
    let mut words = vec!["--dry-run", "--json", "--ingestion-key-file", key.to_str().unwrap()];
    words.extend(flags);
    let set = answers
        .lines()
        .find_map(|line| line.strip_prefix("instrumentation = "))
        .unwrap()
        .trim_matches('"')
        .to_owned();
    words.extend(["--instrumentation", &set]);
    let dry = program.run(words);
    let mut seen = states(&stdout(&dry));
    // The answers file was put aside, so that nothing of it is read; it alone is missing.
    assert_eq!(seen.pop().as_deref(), Some("pending"), "{}", stdout(&dry));
    assert!(seen.iter().all(|state| state == "satisfied"), "{}", stdout(&dry));
    fs::remove_file(&key).unwrap();
    fs::rename(here.join("../signoz-setup.kept"), here.join("signoz-setup.toml")).unwrap();

    // Line prompts, from a pipe: the same answers by number and text, and the plan that is there already.
    let set_by_number = if set == "current" { "2" } else { "1" };
    let lines = format!("2\n8\n{}\n{CANARY}\nwalked\ntest\n{set_by_number}\n1\n5\n", receiver.endpoint);
    let mut plain = program.command(["--plain"]).stdin(Stdio::piped()).spawn().unwrap();
    plain.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    let plain = plain.wait_with_output().unwrap();
    let said = stderr(&plain);
    assert!(said.contains("nothing to do") && plain.status.code() == Some(130), "{said}");
    assert!(!said.contains("canary"), "{said}");

    // The second time it starts from the answers; the key is kept for this endpoint, so nothing is asked.
    let again = Terminal::start(&program.command([] as [&str; 0]), (100, 30));
    again.wait_for("see what is right");
    again.wait_for("Procfile:1");
    again.send(ENTER);
    again.wait_for_within("nothing to do", LONG);
    again.send("\x03");
    assert_eq!(again.exit(), 130);
    again.assert_clean();

    // And takes it back.
    let undo = Terminal::start(&program.command([] as [&str; 0]), (100, 30));
    undo.wait_for("undo: put everything back");
    undo.wait_for("Procfile:1");
    undo.send("\x1b[B\x1b[B");
    undo.send(ENTER);
    undo.wait_for_within("put back", LONG);
    undo.wait_for_within("leave", LONG);
    undo.send("q");
    assert_eq!(undo.exit(), 0, "{}", undo.screen());
    undo.assert_clean();
    // Python itself leaves bytecode of the app's own modules behind when the app has run.
    let _ = fs::remove_dir_all(here.join("__pycache__"));
    assert_eq!(picture(here), before);
}

/// Through the prompts to the plan.
fn answer_prompts(terminal: &Terminal, endpoint: &str) {
    terminal.wait_for("What is your SigNoz Cloud region?");
    terminal.send("\x1b[A");
    terminal.wait_for("> another address");
    terminal.send(ENTER);
    terminal.wait_for("What is the address of your SigNoz or collector?");
    terminal.send(endpoint);
    terminal.send(ENTER);
    terminal.wait_for("What is your ingestion key?");
    // Back and forth: the answers stay.
    terminal.send(ESC);
    terminal.wait_for_new("What is the address of your SigNoz or collector?");
    terminal.wait_for(endpoint);
    terminal.send(ENTER);
    terminal.wait_for_new("What is your ingestion key?");
    terminal.paste(&format!("{CANARY}\n"));
    terminal.wait_for("*****");
    terminal.send(ENTER);
    terminal.wait_for("Under which name should the app appear?");
    terminal.send(ENTER);
    terminal.wait_for("Which deployment environment is this?");
    terminal.send(ENTER);
    terminal.wait_for("Which releases of OpenTelemetry?");
    terminal.send(ENTER);
    terminal.wait_for("How is the app started?");
    terminal.send(ENTER);
    terminal.wait_for_within("What shall be done with this plan?", LONG);
}

#[test]
fn prompts_set_up_too_and_put_back_what_was_ended_half_way() {
    let folder = shop();
    let here = folder.path();
    let program = Program::new(here);
    let receiver = Receiver::start(&program);
    let before = picture(here);

    let ended = Terminal::start(&program.command(["--plain"]), (110, 60));
    answer_prompts(&ended, &receiver.endpoint);
    ended.send(ENTER);
    ended.wait_for_within("installing", LONG);
    ended.send("\x03");
    assert_eq!(ended.exit(), 130, "{}", ended.screen());
    ended.assert_clean();
    assert_eq!(picture(here), before, "ending it did not put everything back");

    let terminal = Terminal::start(&program.command(["--plain"]), (110, 60));
    answer_prompts(&terminal, &receiver.endpoint);
    terminal.send(ENTER);
    terminal.wait_for_within("One proof is left", LONG);
    terminal.send(ENTER);
    terminal.wait_for_within("done (exit code 0)", LONG);
    assert_eq!(terminal.exit(), 0, "{}", terminal.screen());
    terminal.assert_clean();
    let screen = terminal.screen();
    assert!(
        screen.contains("0 lost, 0 sent twice") && screen.contains("start the app with"),
        "{screen}"
    );
    assert!(!String::from_utf8_lossy(&terminal.raw()).contains("canary"), "the key was shown");

    let undone = program.run(["--undo"]);
    assert_eq!(undone.status.code(), Some(0), "{}", stderr(&undone));
    let _ = fs::remove_dir_all(here.join("__pycache__"));
    assert_eq!(picture(here), before);
}
