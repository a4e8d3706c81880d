//! The program from outside: bad input gets a clear error, the contract's exit code, and changes nothing.

mod support;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Output;
use support::program::{Program, stderr, stdout};

const CANARY: &str = "canary-6f1e-4a52-9b0c";

/// A project with a start command and an environment that looks real enough for everything before the install.
fn project() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("app.py"), "from flask import Flask\napp = Flask(__name__)\n").unwrap();
    fs::write(folder.path().join("Procfile"), "web: gunicorn app:app --workers 4\n").unwrap();
    folder
}

fn refused(output: &Output, code: i32, words: &[&str]) {
    let text = stderr(output);
    assert_eq!(output.status.code(), Some(code), "{text}\n{}", stdout(output));
    for word in words {
        assert!(text.contains(word), "`{word}` is missing in: {text}");
    }
    assert!(
        !text.contains(CANARY) && !stdout(output).contains(CANARY),
        "the key is shown: {text}"
    );
    assert!(
        text.contains("hint:") || text.contains("try '--help'"),
        "no way out is named: {text}"
    );
}

fn unchanged(folder: &Path) {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names.retain(|name| name != ".venv");
    assert_eq!(names, ["Procfile", "app.py"], "something was written");
}

#[test]
fn a_key_that_cannot_be_sent_is_refused_without_being_shown() {
    for (key, why) in [
        (format!("{CANARY} x"), "white space at character 22"),
        (format!("\"{CANARY}\""), "quote at character 1"),
        (format!("{CANARY}é"), "outside printable ASCII"),
        (format!("{CANARY}\n\n"), "white space"),
        (format!("{CANARY},a=b"), "header separator"),
        (format!("signoz-ingestion-key={CANARY}"), "paste only the key itself"),
        ("<your-ingestion-key>".to_owned(), "placeholder"),
        (String::new(), "it is empty"),
    ] {
        let folder = project();
        let by_variable = Program::new(folder.path())
            .env("SIGNOZ_INGESTION_KEY", &key)
            .run(["--yes", "--region", "us"]);
        refused(&by_variable, 2, &["SIGNOZ_INGESTION_KEY", why]);
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), &key).unwrap();
        let by_file = Program::new(folder.path()).run(["--yes", "--region", "us", "--ingestion-key-file", file.path().to_str().unwrap()]);
        refused(&by_file, 2, &["--ingestion-key-file", why]);
        unchanged(folder.path());
    }
}

#[test]
fn a_key_file_that_is_not_there_is_named() {
    let folder = project();
    let output = Program::new(folder.path()).run(["--yes", "--region", "us", "--ingestion-key-file", "/no/such/file"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("/no/such/file"), "{}", stderr(&output));
}

#[test]
fn malformed_answers_are_usage_errors() {
    let folder = project();
    for (arguments, words) in [
        (
            vec!["--yes", "--endpoint", "localhost:4317"],
            vec!["no scheme", "http://localhost:4317"],
        ),
        (vec!["--yes", "--endpoint", "https://host/v1/traces"], vec!["leave it off"]),
        (vec!["--yes", "--region", "EUROPE"], vec!["us, us2, eu, eu2, in, in2"]),
        (
            vec!["--yes", "--region", "zz9", "--offline"],
            vec!["us, us2, eu, eu2, in, in2", "--region"],
        ),
        (vec!["--yes", "--service-name", "a\nb"], vec!["line break"]),
        (vec!["--yes", "--protocol", "http"], vec!["grpc", "http/protobuf"]),
        (
            vec!["--yes", "--region", "us", "--endpoint", "http://localhost:4317"],
            vec!["cannot be used with"],
        ),
        (vec!["--yes", "--target", "direct", "/no/such/folder"], vec!["/no/such/folder"]),
        (vec!["--rehearse", "--demo"], vec!["cannot be used with"]),
    ] {
        let output = Program::new(folder.path()).env("SIGNOZ_INGESTION_KEY", CANARY).run(&arguments);
        refused(&output, 2, &words);
    }
    unchanged(folder.path());
}

#[test]
fn a_flag_wins_over_a_variable_that_is_wrong() {
    let folder = project();
    let output = Program::new(folder.path())
        .env("SIGNOZ_REGION", "NOWHERE")
        .env("SIGNOZ_ENDPOINT", "x")
        .run(["--yes", "--region", "us"]);
    refused(&output, 2, &["--ingestion-key-file"]);
    assert!(!stderr(&output).contains("NOWHERE"), "{}", stderr(&output));
}

#[test]
fn a_secret_of_the_start_command_is_never_taken_for_a_word() {
    let folder = project();
    fs::write(
        folder.path().join("Procfile"),
        format!("web: flask --app app run --token {CANARY}\n"),
    )
    .unwrap();
    fs::remove_file(folder.path().join("app.py")).unwrap();
    let output = Program::new(folder.path()).run(["--yes", "--endpoint", "http://127.0.0.1:4317"]);
    refused(&output, 2, &["How is the app started?"]);
}

#[test]
fn a_missing_answer_names_flag_and_variable() {
    let folder = project();
    let output = Program::new(folder.path()).run(["--yes"]);
    refused(
        &output,
        2,
        &["--region", "SIGNOZ_REGION", "--ingestion-key-file", "SIGNOZ_INGESTION_KEY"],
    );
    unchanged(folder.path());
}

#[test]
fn a_malformed_answers_file_names_its_line() {
    let folder = project();
    let answers = folder.path().join("elsewhere.toml");
    for (text, words) in [
        (
            "service-name = \"shop\"\nregoin = \"us\"\n",
            vec!["elsewhere.toml", "line 2", "regoin"],
        ),
        ("service-name = \"shop\"\nprotocol = \"http\"\n", vec!["elsewhere.toml", "line 2"]),
        (
            "region = \"us\"\ningestion-key = \"canary-6f1e-4a52-9b0c\"\n",
            vec!["line 2", "made to be committed"],
        ),
        (
            "region = \"us\"\nendpoint = \"http://localhost:4317\"\n",
            vec!["both `region` and `endpoint`"],
        ),
    ] {
        fs::write(&answers, text).unwrap();
        let output = Program::new(folder.path()).run(["--yes", "--answers", answers.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
        for word in words {
            assert!(stderr(&output).contains(word), "`{word}` is missing in: {}", stderr(&output));
        }
        assert!(!stderr(&output).contains("canary"));
    }
}

#[test]
fn json_is_one_document_also_when_the_flags_are_wrong() {
    let folder = project();
    for arguments in [
        vec!["--json", "--yes", "--endpoint", "nonsense"],
        vec!["--json", "--yes"],
        vec!["--json", "--explain", "no.such-page"],
    ] {
        let output = Program::new(folder.path()).run(&arguments);
        let document: serde_json::Value = serde_json::from_str(&stdout(&output)).unwrap();
        assert_eq!(document["schema_version"], 1);
        assert_eq!(document["exit_code"], 2);
        assert_eq!(document["outcome"], "refused");
        assert!(!document["error"]["remedies"].as_array().unwrap().is_empty(), "{document}");
    }
}

#[test]
fn a_document_that_cannot_be_written_is_not_success() {
    let folder = project();
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = Program::new(folder.path())
        .command(["--explain", "--json"])
        .stdout(full)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(stderr(&output).contains("could not be written"), "{}", stderr(&output));
}

#[test]
fn no_python_is_a_refusal_that_says_how_to_get_one() {
    let folder = project();
    let output = Program::new(folder.path())
        .path("/nowhere")
        .run(["--yes", "--endpoint", "http://127.0.0.1:4317"]);
    refused(&output, 3, &["no Python environment was found", "python3 -m venv", "--python"]);
    unchanged(folder.path());
}

#[test]
fn a_python_that_others_share_is_not_changed_unless_it_is_named() {
    let folder = project();
    let output = Program::new(folder.path()).run(["--yes", "--endpoint", "http://127.0.0.1:4317"]);
    refused(&output, 3, &["no Python environment of its own", "python3 -m venv", "--python"]);
    unchanged(folder.path());
}

#[test]
fn a_broken_environment_is_a_refusal() {
    let folder = project();
    let venv = folder.path().join(".venv");
    fs::create_dir_all(venv.join("bin")).unwrap();
    fs::create_dir_all(venv.join("lib/python3.11/site-packages")).unwrap();
    fs::write(venv.join("pyvenv.cfg"), "home = /gone/bin\nversion = 3.11.7\n").unwrap();
    symlink("/gone/bin/python3.11", venv.join("bin/python")).unwrap();
    let output = Program::new(folder.path()).run(["--yes", "--endpoint", "http://127.0.0.1:4317"]);
    refused(&output, 3, &[".venv", "cannot be used"]);
    unchanged(folder.path());
}

#[test]
fn sudo_with_another_home_is_refused_with_both_paths() {
    let folder = project();
    let output = Program::new(folder.path())
        .env("SUDO_USER", "somebody")
        .env("SUDO_UID", "4711")
        .env("HOME", "/home/somebody")
        .run(["--yes", "--endpoint", "http://127.0.0.1:4317"]);
    if rustix_root() {
        refused(&output, 3, &["/home/somebody", "sudo"]);
        unchanged(folder.path());
    }
}

/// Only root can be in that situation.
fn rustix_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[test]
fn rehearsing_without_a_set_up_says_what_to_run_first() {
    let folder = project();
    refused(
        &Program::new(folder.path()).run(["--rehearse"]),
        2,
        &["no run script", "signoz-setup --yes"],
    );
}

#[test]
fn undo_where_nothing_was_done_is_nothing() {
    let folder = project();
    let output = Program::new(folder.path()).run(["--undo"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(stdout(&output).contains("Nothing to undo"), "{}", stdout(&output));
    unchanged(folder.path());
}

#[test]
fn a_taken_port_is_named_with_its_holder_and_the_flag() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let folder = project();
    for flag in ["--grpc-port", "--http-port"] {
        let other = if flag == "--grpc-port" { "--http-port" } else { "--grpc-port" };
        let output = Program::new(folder.path()).run(["--tap", flag, &port, other, "0"]);
        refused(&output, 3, &[&port, &format!("process {}", std::process::id()), flag]);
    }
}

#[test]
fn completions_and_pages_are_there() {
    let folder = project();
    for shell in ["bash", "zsh", "fish", "powershell"] {
        let output = Program::new(folder.path()).run(["--completions", shell]);
        assert!(output.status.success() && stdout(&output).contains("ingestion-key-file"), "{shell}");
    }
    let list = Program::new(folder.path()).run(["--explain"]);
    assert!(stdout(&list).contains("process.duplicate-hook"));
    let page = Program::new(folder.path()).run(["--explain", "process.duplicate-hook"]);
    assert!(stdout(&page).contains("post_fork"));
}

#[test]
fn no_flag_takes_a_key_as_its_value() {
    let help = stdout(&Program::new(Path::new("/")).run(["--help"]));
    for line in help.lines().map(str::trim).filter(|line| line.starts_with("--")) {
        assert!(!line.contains("key") || line.contains("-file <PATH>"), "{line}");
    }
}
