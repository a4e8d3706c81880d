//! The whole job through the real program: real packages, a real gunicorn, the embedded receiver; and taking it back.

#[path = "support/program.rs"]
mod program;
#[path = "support/real.rs"]
mod real;

use program::{Program, stderr, stdout};
use real::{Receiver, picture};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const CANARY: &str = "canary-6f1e-4a52-9b0c";

/// A project with an environment of its own that holds these packages.
fn project(packages: &[&str], files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    let venv = folder.path().join(".venv");
    run("python3", &["-m", "venv", venv.to_str().unwrap()]);
    let python = venv.join("bin/python");
    let mut arguments = match which::which("uv") {
        Ok(uv) => vec![
            uv.display().to_string(),
            "pip".into(),
            "install".into(),
            "--quiet".into(),
            "--python".into(),
            python.display().to_string(),
        ],
        Err(_) => vec![
            python.display().to_string(),
            "-m".into(),
            "pip".into(),
            "install".into(),
            "--quiet".into(),
        ],
    };
    arguments.extend(packages.iter().map(|package| (*package).to_owned()));
    let words: Vec<&str> = arguments.iter().skip(1).map(String::as_str).collect();
    run(&arguments[0], &words);
    folder
}

fn shop() -> tempfile::TempDir {
    let app = "from flask import Flask\n\napp = Flask(__name__)\n\n\n@app.route('/')\ndef index():\n    return 'ok'\n";
    let conf = "# theirs\nworkers = 3\n\n\ndef post_fork(server, worker):\n    server.log.info('their hook ran in %s', worker.pid)\n";
    project(
        &["flask", "gunicorn"],
        &[("app.py", app), ("gunicorn.conf.py", conf), ("Procfile", "web: gunicorn app:app\n")],
    )
}

fn run(program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(output.status.success(), "{program} {arguments:?}: {}", stderr(&output));
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn states(document: &Value) -> Vec<&str> {
    document["plan"]["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| step["state"].as_str().unwrap())
        .collect()
}

fn outcomes(document: &Value) -> BTreeMap<&str, &str> {
    let levels = document["verification"]["levels"].as_array().unwrap();
    levels
        .iter()
        .map(|level| (level["level"].as_str().unwrap(), level["outcome"].as_str().unwrap()))
        .collect()
}

/// Files below a folder that hold the canary.
fn leaks(folder: &Path) -> Vec<PathBuf> {
    let found = Command::new("grep")
        .args(["-rl", CANARY, folder.to_str().unwrap()])
        .output()
        .unwrap();
    stdout(&found).lines().map(PathBuf::from).collect()
}

#[test]
fn set_up_is_seen_to_work_repeats_to_nothing_and_is_taken_back() {
    let folder = shop();
    let here = folder.path();
    let program = Program::new(here).env("SIGNOZ_INGESTION_KEY", CANARY);
    let receiver = Receiver::start(&program);
    let before = picture(here);

    let dry = program.run(["--dry-run", "--json", "--endpoint", &receiver.endpoint]);
    assert_eq!(dry.status.code(), Some(0), "{}", stderr(&dry));
    let document = json(&stdout(&dry));
    assert!(states(&document).iter().all(|state| *state == "pending"), "{document}");
    assert!(
        document["plan"]["steps"]
            .as_array()
            .unwrap()
            .iter()
            .any(|step| step["diff"].as_str().is_some_and(|diff| diff.contains("••••")))
    );
    assert_eq!(picture(here), before, "a dry run wrote something");

    let log = here
        .join("../")
        .join(format!("{}.log", here.file_name().unwrap().to_str().unwrap()));
    let set_up = program.run([
        "--yes",
        "--json",
        "-v",
        "--log-file",
        log.to_str().unwrap(),
        "--endpoint",
        &receiver.endpoint,
    ]);
    let document = json(&stdout(&set_up));
    assert_eq!(set_up.status.code(), Some(0), "{document}\n{}", stderr(&set_up));
    assert!(states(&document).iter().all(|state| *state == "applied"), "{document}");
    let outcomes_seen = outcomes(&document);
    assert_eq!(
        (
            outcomes_seen["endpoint"],
            outcomes_seen["python"],
            outcomes_seen["workers"],
            outcomes_seen["stored"]
        ),
        ("pass", "pass", "skip", "skip")
    );
    let mode = |name: &str| fs::metadata(here.join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(".signoz/otel.env"), mode(".signoz/run.sh")), (0o600, 0o755));
    assert_eq!(leaks(here), [here.join(".signoz/otel.env")]);
    assert!(
        leaks(program.state()).is_empty() && leaks(&log).is_empty(),
        "the key is in the state folder or the log"
    );
    for text in [stdout(&dry), stderr(&dry), stdout(&set_up), stderr(&set_up)] {
        assert!(!text.contains(CANARY), "{text}");
    }
    fs::remove_file(&log).unwrap();

    let again = program.run(["--yes", "--json", "--endpoint", &receiver.endpoint]);
    let document = json(&stdout(&again));
    assert!(states(&document).iter().all(|state| *state == "satisfied"), "{document}");

    let rehearsed = program.run(["--rehearse", "--json"]);
    let document = json(&stdout(&rehearsed));
    assert_eq!(rehearsed.status.code(), Some(0), "{document}\n{}", stderr(&rehearsed));
    let workers = document["verification"]["workers"].as_array().unwrap();
    assert_eq!(workers.len(), 3, "their own `workers = 3` counts: {document}");
    for worker in workers {
        assert!(
            worker["requests"].as_u64().unwrap() > 0
                && worker["requests"] == worker["unique_spans"]
                && worker["spans"] == worker["requests"],
            "{worker}"
        );
    }
    assert_eq!(document["verification"]["lost_at_stop"], 0, "{document}");

    let undone = program.run(["--undo", "--json"]);
    assert_eq!(undone.status.code(), Some(0), "{}\n{}", stdout(&undone), stderr(&undone));
    // Python itself leaves bytecode of the app's own modules behind when the app has run.
    let _ = fs::remove_dir_all(here.join("__pycache__"));
    assert_eq!(picture(here), before);
}

#[test]
fn a_run_that_is_ended_at_any_moment_leaves_nothing_or_is_taken_back() {
    let folder = shop();
    let here = folder.path();
    let before = picture(here);
    for (at, signal, code) in [
        ("install ", Signal::INT, Some(130)),
        ("install ", Signal::TERM, Some(143)),
        ("install ", Signal::KILL, None),
        ("write the loader", Signal::KILL, None),
        ("write the run script", Signal::TERM, Some(143)),
        ("sending a span", Signal::INT, Some(130)),
    ] {
        let program = Program::new(here).env("SIGNOZ_INGESTION_KEY", CANARY);
        // Nothing answers there, so that the last row can be ended while it still waits.
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", silent.local_addr().unwrap());
        let mut child = program
            .command(["--yes", "--plain", "--endpoint", &endpoint])
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let mut reader = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        while reader.read_line(&mut line).unwrap() > 0 && !(line.starts_with('…') && line.contains(at)) {
            line.clear();
        }
        kill_process(Pid::from_child(&child), signal).unwrap();
        let mut rest = String::new();
        reader.read_to_string(&mut rest).unwrap();
        let status = child.wait().unwrap();
        assert_eq!(status.code(), code, "{at} {signal:?}: {rest}");
        // Steps that write take two milliseconds: what was done before the signal was heard is done, and stays until undo.
        let done = rest.contains("sending a span");
        if code.is_some() && at != "sending a span" && !done {
            assert_eq!(picture(here), before, "{at} {signal:?} did not put everything back: {rest}");
        }
        let undone = program.run(["--undo"]);
        assert_eq!(undone.status.code(), Some(0), "{at} {signal:?}: {}", stderr(&undone));
        assert_eq!(picture(here), before, "{at} {signal:?}");
    }
}

#[test]
fn two_runs_at_once_are_one() {
    let folder = shop();
    let program = Program::new(folder.path());
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", silent.local_addr().unwrap());
    let mut first = program
        .command(["--yes", "--plain", "--endpoint", &endpoint])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(first.stderr.as_mut().unwrap()).read_line(&mut line).unwrap();
    let second = program.run(["--yes", "--endpoint", &endpoint]);
    kill_process(Pid::from_child(&first), Signal::INT).unwrap();
    first.wait().unwrap();
    assert_eq!(second.status.code(), Some(3), "{}", stderr(&second));
    assert!(stderr(&second).contains(&first.id().to_string()), "{}", stderr(&second));
}

#[test]
fn an_app_that_would_not_be_traced_is_refused_before_any_change() {
    let folder = project(
        &["aiohttp", "gunicorn"],
        &[
            ("Procfile", "web: gunicorn app:app -k aiohttp.GunicornWebWorker\n"),
            ("app.py", "from aiohttp import web\n\napp = web.Application()\n"),
        ],
    );
    let before = picture(folder.path());
    let refused = Program::new(folder.path()).run(["--yes", "--endpoint", "http://127.0.0.1:4317"]);
    assert_eq!(refused.status.code(), Some(3), "{}", stderr(&refused));
    for word in ["aiohttp", "--instrumentation current", "--accept-gaps"] {
        assert!(stderr(&refused).contains(word), "{word}: {}", stderr(&refused));
    }
    assert_eq!(picture(folder.path()), before);
}

#[test]
fn packages_that_would_break_the_app_are_refused_before_any_change() {
    let folder = project(
        &["fastapi==0.165.0", "uvicorn"],
        &[
            ("Procfile", "web: uvicorn app:app\n"),
            ("app.py", "from fastapi import FastAPI\n\napp = FastAPI()\n"),
        ],
    );
    let before = picture(folder.path());
    let refused = Program::new(folder.path()).run(["--yes", "--json", "--endpoint", "http://127.0.0.1:4317"]);
    let document = json(&stdout(&refused));
    assert_eq!(refused.status.code(), Some(3), "{document}");
    let why = document["error"]["why"].as_str().unwrap();
    assert!(
        why.contains("fastapi 0.165.0 requires opentelemetry-api") && why.contains("1.17.0"),
        "{why}"
    );
    let row = document["coverage"]
        .as_array()
        .unwrap()
        .iter()
        .find(|row| row["library"] == "fastapi")
        .unwrap();
    assert_eq!(row["status"], "conflict", "{document}");
    assert_eq!(picture(folder.path()), before);
}
