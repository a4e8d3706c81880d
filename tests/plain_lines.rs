//! Guided set-up in lines: answers from a pipe, and what is said when they end too early.

#![allow(clippy::unwrap_used, clippy::panic)]

#[path = "support/program.rs"]
mod program;
#[path = "support/standin.rs"]
mod standin;

use program::{Program, stderr, stdout};
use serde_json::Value;
use standin::StandIn;
use std::fs;
use std::io::Write;
use std::process::{Output, Stdio};

const CANARY: &str = "canary-6f1e-4a52-9b0c";

/// Runs with these lines on standard input, without the network.
fn run(program: &Program, flags: &[&str], lines: &[&str]) -> Output {
    let mut words = vec!["--offline"];
    words.extend(flags);
    run_with_network(program, &words, lines)
}

fn run_with_network(program: &Program, flags: &[&str], lines: &[&str]) -> Output {
    let mut child = program.command(flags).stdin(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    // It may have ended before it read all of it.
    let _ = input.write_all(text.as_bytes());
    drop(input);
    let output = child.wait_with_output().unwrap();
    let all = format!("{}{}", stdout(&output), stderr(&output));
    assert!(!all.contains("canary"), "the key is shown: {all}");
    assert!(!all.contains('\x1b'), "an escape sequence in a pipe: {all}");
    output
}

fn document(output: &Output) -> Value {
    serde_json::from_str(&stdout(output)).unwrap_or_else(|error| panic!("{error}: {}{}", stdout(output), stderr(output)))
}

/// The command of the refusal, as a shell would read it, with these words in the place of the open ones.
fn command_of(output: &Output, fill_in: &[(&str, &str)]) -> Vec<String> {
    let text = stderr(output);
    let line = text
        .lines()
        .find_map(|line| Some(line.split_once("signoz-setup --yes")?.1))
        .unwrap_or_else(|| panic!("no command in: {text}"));
    let filled = |word: String| {
        let found = fill_in.iter().find(|(open, _)| *open == word);
        found.map_or(word, |(_, answer)| (*answer).to_owned())
    };
    let words = shlex::split(line).unwrap();
    ["--yes".to_owned()].into_iter().chain(words.into_iter().map(filled)).collect()
}

/// Every answer, to the plan: region eu, a key, a name, no environment, the pinned set, the first command.
const ANSWERS: [&str; 6] = ["3", CANARY, "till", "staging", "", "1"];

#[test]
fn answers_from_a_pipe_set_up_and_a_second_run_starts_from_them() {
    let shop = StandIn::new();
    let before = shop.picture();
    let program = shop.program();
    let mut lines = ANSWERS.to_vec();
    lines.push("1");
    let done = run(&program, &[], &lines);
    assert_eq!(done.status.code(), Some(0), "{}{}", stdout(&done), stderr(&done));
    let answers = shop.read("signoz-setup.toml");
    for answer in ["region = \"eu\"", "service-name = \"till\"", "deployment-environment = \"staging\""] {
        assert!(answers.contains(answer), "{answer} in {answers}");
    }
    assert!(shop.read(".signoz/otel.env").contains(CANARY));
    // States are words, not only marks.
    let said = stderr(&done) + &stdout(&done);
    assert!(
        said.contains("to do: write the run script") && said.contains("ok: write the run script"),
        "{said}"
    );
    for glyph in ["✓", "×", "–", "…", "→"] {
        assert!(!said.contains(glyph), "{glyph} in {said}");
    }

    // Nothing is asked again: the answers are kept, and the key is kept for this endpoint.
    let again = run(&program, &["--json"], &["1", "1"]);
    let report = document(&again);
    assert_eq!(report["exit_code"], 0, "{report}");
    let steps = report["plan"]["steps"].as_array().unwrap();
    assert!(steps.iter().all(|step| step["state"] == "satisfied"), "{report}");
    assert!(!stderr(&again).contains("ingestion key?"), "{}", stderr(&again));

    let undone = run(&program, &[], &["3"]);
    assert_eq!(undone.status.code(), Some(0), "{}{}", stdout(&undone), stderr(&undone));
    assert_eq!(shop.picture(), before);
}

#[test]
fn standard_input_that_ends_is_answered_with_the_command_for_a_run_without_questions() {
    let shop = StandIn::new();
    let before = shop.picture();
    let program = shop.program();
    let key = tempfile::NamedTempFile::new().unwrap();
    fs::write(key.path(), CANARY).unwrap();
    let fill_in = [("REGION", "eu"), ("FILE", key.path().to_str().unwrap())];
    for given in 0..=ANSWERS.len() {
        let refused = run(&program, &[], &ANSWERS[..given]);
        assert_eq!(refused.status.code(), Some(2), "{given}: {}", stderr(&refused));
        let text = stderr(&refused);
        assert!(text.contains("has no answer") && text.contains("SIGNOZ_INGESTION_KEY"), "{text}");
        let mut words = command_of(&refused, &fill_in);
        let end = words.iter().position(|word| word == "--").unwrap();
        words.splice(end..end, ["--dry-run".to_owned(), "--json".to_owned()]);
        let planned = program.run(&words);
        assert_eq!(
            planned.status.code(),
            Some(0),
            "{given}: {words:?}\n{}{}",
            stdout(&planned),
            stderr(&planned)
        );
        if given == ANSWERS.len() {
            let asked = run(&program, &["--json"], &ANSWERS);
            assert_eq!(document(&asked)["exit_code"], 2);
            assert_eq!(document(&asked)["plan"], document(&planned)["plan"], "{words:?}");
        }
    }
    assert_eq!(shop.picture(), before);
}

#[test]
fn what_flags_and_variables_answered_is_not_asked_and_stays_as_it_was_given() {
    let shop = StandIn::new();
    let refused = run(
        &shop.program().env("SIGNOZ_INGESTION_KEY", CANARY),
        &[
            "--region",
            "us2",
            "--service-name",
            "a b's",
            "--",
            "gunicorn",
            "app:app",
            "--bind",
            "$HOST:80",
        ],
        &[],
    );
    let text = stderr(&refused);
    assert!(text.contains("Which deployment environment") && !text.contains("region?"), "{text}");
    let words = command_of(&refused, &[]);
    let expected = [
        "--yes",
        "--region",
        "us2",
        "--service-name",
        "a b's",
        "--offline",
        "--",
        "gunicorn",
        "app:app",
        "--bind",
        "$HOST:80",
    ];
    assert_eq!(words, expected);

    let collector = run(&shop.program(), &["--endpoint", "http://127.0.0.1:4317"], &[""]);
    let words = command_of(&collector, &[]);
    assert!(!words.iter().any(|word| word == "--ingestion-key-file"), "{words:?}");
}

#[test]
fn questions_explain_themselves_are_gone_back_to_and_asked_again() {
    let shop = StandIn::new();
    let lines = [
        "?",
        "nonsense",
        "99",
        "",
        "EU", // a value does as well as its number; nothing is taken for a region by itself
        "two words",
        "<",
        "",
        "<",
        "another address",
        "localhost:4317",
        "http://127.0.0.1:4317",
        "",
        "",
        " ",
        "?",
        "current",
        "2",
        "gunicorn app:app && true",
        "gunicorn app:app --workers 2",
    ];
    let refused = run(&shop.program(), &["--json"], &lines);
    let said = stderr(&refused);
    for words in [
        "SigNoz shows it under Settings",
        "Type a number from 1 to 8",
        "white space at character 4",
        "Number [3]: ",
        "has no scheme",
        "the newest that this project has tested",
        "`&&` is the shell's",
        "gunicorn app:app --workers 2",
    ] {
        assert!(said.contains(words), "`{words}` is missing in {said}");
    }
    let plan = document(&refused)["plan"].to_string();
    assert!(plan.contains("http://127.0.0.1:4317") && plan.contains("--workers 2"), "{plan}");
}

#[test]
fn the_key_goes_to_no_region_without_a_yes() {
    let shop = StandIn::new();
    // With the network allowed: nothing is sent for a `no`, and the region is asked.
    let refused = run_with_network(&shop.program(), &[], &["7", CANARY, ""]);
    let said = stderr(&refused);
    assert!(said.contains("Try this key against every region?"), "{said}");
    assert!(!said.contains("trying the key"), "{said}");
    assert_eq!(said.matches("\nWhat is your SigNoz Cloud region?\n").count(), 2, "{said}");
    assert_eq!(refused.status.code(), Some(2));
}

#[test]
fn a_key_is_tried_where_it_would_be_sent_and_the_answer_is_said_in_words() {
    let shop = StandIn::new();
    // Nothing listens there.
    let lines = ["8", "http://127.0.0.1:9", CANARY, "<"];
    let refused = run_with_network(&shop.program(), &[], &lines);
    let said = stderr(&refused);
    assert!(said.contains("failed: nothing listens at 127.0.0.1:9"), "{said}");
    assert!(said.contains("fingerprint"), "the key that was given is not offered again: {said}");
}

#[test]
fn another_python_is_looked_at_before_the_next_question() {
    let shop = StandIn::new();
    let other = shop.environment("other", &[("flask", "2.3.3"), ("fastapi", "0.95.0")]);
    let folder = other.display().to_string();
    let lines = ["3", "/no/such/python", "<", "3", &folder, "3", CANARY, "", "", "1", "1"];
    let refused = run(&shop.program().env("VIRTUAL_ENV", &folder), &["--json"], &lines);
    let said = stderr(&refused);
    assert!(said.contains("Which Python runs the app?"), "{said}");
    assert!(said.contains("`/no/such/python` cannot be used"), "{said}");
    assert!(said.contains("Answer [/no/such/python]: "), "{said}");
    let report = document(&refused);
    assert!(
        report["environment"]["python"]["interpreter"]
            .as_str()
            .unwrap()
            .starts_with(&folder),
        "{report}"
    );
}
