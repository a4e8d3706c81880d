//! `--check` from outside: selection, exit codes, one document, and that it changes nothing.

mod support;

use serde_json::Value;
use std::fs;
use std::path::Path;
use support::program::{Program, stderr, stdout};
use tempfile::TempDir;

const CANARY: &str = "canary-6f1e-4a52-9b0c";

fn project() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("app.py"), "from flask import Flask\napp = Flask(__name__)\n").unwrap();
    fs::write(folder.path().join("Procfile"), "web: gunicorn app:app --workers 4\n").unwrap();
    folder
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn a_family_that_does_not_exist_is_a_usage_error_that_lists_them() {
    let folder = project();
    let output = Program::new(folder.path()).run(["--check", "--only", "networks"]);
    assert_eq!(output.status.code(), Some(2));
    let text = stderr(&output);
    assert!(text.contains("`networks`") && text.contains("network, ingest, collector"), "{text}");
}

#[test]
fn a_broken_variable_is_named_with_its_place_and_fails_the_run_and_nothing_is_written() {
    let folder = project();
    fs::create_dir(folder.path().join(".signoz")).unwrap();
    let file = format!(
        "OTEL_EXPORTER_OTLP_ENDPOINT=localhost:4317\nOTEL_EXPORTER_OTLP_HEADERS=signoz-ingestion-key={CANARY}\nOTEL_TRACES_EXPORTER=otlp\n"
    );
    fs::write(folder.path().join(".signoz/otel.env"), file).unwrap();
    let program = Program::new(folder.path());
    let before = names(folder.path());
    let output = program.run(["--check", "--offline", "--json", "--only", "config"]);
    let document = json(&stdout(&output));
    assert_eq!(output.status.code(), Some(1), "{document}");
    let found = document["findings"].as_array().unwrap();
    assert!(found.iter().all(|finding| finding["family"] == "config"), "{document}");
    let finding = found.iter().find(|finding| finding["id"] == "config.endpoint-scheme").unwrap();
    assert_eq!(finding["outcome"], "fail");
    assert_eq!(finding["evidence"][0]["source"], ".signoz/otel.env:1");
    assert_eq!(
        document["summary"]["fail"].as_u64().unwrap(),
        found.iter().filter(|finding| finding["outcome"] == "fail").count() as u64
    );

    let text = program.run(["--check", "--offline"]);
    let shown = stdout(&text);
    assert!(shown.contains("config.endpoint-scheme") && shown.contains("hint:"), "{shown}");
    assert!(
        !shown.contains("canary") && !stderr(&text).contains("canary"),
        "the key is shown: {shown}"
    );
    assert_eq!(names(folder.path()), before, "--check wrote something");
    assert!(names(program.state()).is_empty(), "--check wrote state");
}

#[test]
fn what_is_skipped_is_seen_with_its_reason() {
    let folder = project();
    let output = Program::new(folder.path()).run(["--check", "--offline", "--json", "--only", "network,kubernetes"]);
    let document = json(&stdout(&output));
    let found = document["findings"].as_array().unwrap();
    assert!(found.len() > 10, "{document}");
    assert!(
        found
            .iter()
            .all(|finding| finding["outcome"] != "skip" || !finding["detail"].as_str().unwrap().is_empty()),
        "{document}"
    );
    assert_eq!(output.status.code(), Some(0), "{document}");
}

#[test]
fn a_log_is_read_and_its_lines_are_explained() {
    let folder = project();
    let log = folder.path().join("app.log");
    fs::write(&log, "fine\nFailed to export traces, error code: StatusCode.UNAUTHENTICATED\n").unwrap();
    let output = Program::new(folder.path()).run(["--check", "--offline", "--only", "process.log-messages", "--log", "app.log"]);
    assert_eq!(output.status.code(), Some(1), "{}", stdout(&output));
    assert!(
        stdout(&output).contains("app.log:2") && stdout(&output).contains("refused the key"),
        "{}",
        stdout(&output)
    );
}

#[test]
fn every_id_that_is_shown_has_a_page() {
    let folder = project();
    let program = Program::new(folder.path());
    let document = json(&stdout(&program.run(["--check", "--offline", "--json"])));
    let list = stdout(&program.run(["--explain"]));
    for finding in document["findings"].as_array().unwrap() {
        let id = finding["id"].as_str().unwrap();
        assert!(list.lines().any(|line| line.starts_with(id)), "--explain does not list {id}");
    }
}
