//! The server matrix: real servers from PyPI under the written run script, real requests, the embedded receiver's ledger.
//!
//! Every row asserts that each worker process exported what it served, once, also when it was told to end right after
//! its last request. Rows under the documentation's own commands stand beside them, so that the difference is seen.
//! `MATRIX_ONLY=TEXT` runs the rows whose line contains the text.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/apps.rs"]
mod apps;
#[path = "support/pythons.rs"]
mod pythons;
#[path = "support/written.rs"]
mod written;

use apps::App;
use pythons::{Environment, Making};
use signoz_setup::detect;
use signoz_setup::domain::detection::{ServerKind, StartMethod};
use signoz_setup::domain::report::Outcome;
use signoz_setup::domain::target::Protocol;
use signoz_setup::system::{Cancel, System, process};
use signoz_setup::tap::{Tap, TapOptions};
use signoz_setup::verify::workers::{Receiver, RehearsalRequest, Rehearsed, rehearse};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const SERVICE: &str = "matrix shop";

/// What the pinned set needs in every environment.
const PINNED: &[&str] = &[
    "opentelemetry-distro==0.38b0",
    "opentelemetry-exporter-otlp==1.17.0",
    "setuptools<81",
    "opentelemetry-instrumentation-asgi==0.38b0",
    "opentelemetry-instrumentation-dbapi==0.38b0",
    "opentelemetry-instrumentation-grpc==0.38b0",
    "opentelemetry-instrumentation-logging==0.38b0",
    "opentelemetry-instrumentation-requests==0.38b0",
    "opentelemetry-instrumentation-sqlite3==0.38b0",
    "opentelemetry-instrumentation-urllib==0.38b0",
    "opentelemetry-instrumentation-wsgi==0.38b0",
];

/// A sample app: its folder, its own packages, its instrumentation.
struct Sample {
    folder: &'static str,
    packages: &'static [&'static str],
    instrumentation: &'static str,
}

const FLASK: Sample = Sample {
    folder: "flask",
    // The last Flask that the documentation's commands trace.
    packages: &["flask==2.3.3", "gunicorn", "gevent", "packaging"],
    instrumentation: "opentelemetry-instrumentation-flask==0.38b0",
};

/// Beyond the range that the instrumentation declares: the documentation's commands leave it out without a word.
const FLASK_3: Sample = Sample {
    folder: "flask",
    packages: &["flask==3.1.3", "gunicorn"],
    instrumentation: "opentelemetry-instrumentation-flask==0.38b0",
};

const FASTAPI: Sample = Sample {
    folder: "fastapi",
    // Later ones need an API release that the pinned set does not allow.
    packages: &["fastapi<=0.141.1", "uvicorn", "gunicorn", "uvicorn-worker"],
    instrumentation: "opentelemetry-instrumentation-fastapi==0.38b0",
};

const DJANGO: Sample = Sample {
    folder: "django",
    packages: &["django", "gunicorn"],
    instrumentation: "opentelemetry-instrumentation-django==0.38b0",
};

const CELERY: Sample = Sample {
    folder: "celery",
    packages: &["celery"],
    instrumentation: "opentelemetry-instrumentation-celery==0.38b0",
};

/// A way to start an app.
struct Case {
    command: &'static str,
    sample: &'static Sample,
    kind: ServerKind,
    start: StartMethod,
    preload: bool,
    workers: u32,
}

const fn gunicorn(command: &'static str, sample: &'static Sample, preload: bool) -> Case {
    Case {
        command,
        sample,
        kind: ServerKind::Gunicorn,
        start: StartMethod::Fork,
        preload,
        workers: 4,
    }
}

const fn one(command: &'static str, sample: &'static Sample, kind: ServerKind, start: StartMethod) -> Case {
    Case {
        command,
        sample,
        kind,
        start,
        preload: false,
        workers: 1,
    }
}

const SYNC: Case = gunicorn("gunicorn app:app --workers 4", &FLASK, false);

const SYNC_FLASK_3: Case = gunicorn("gunicorn app:app --workers 4", &FLASK_3, false);

const CASES: &[Case] = &[
    SYNC,
    SYNC_FLASK_3,
    gunicorn("gunicorn app:app --workers 4 --preload", &FLASK, true),
    gunicorn("gunicorn app:app --workers 4 -k gthread --threads 4", &FLASK, false),
    gunicorn("gunicorn app:app --workers 4 -k gthread --threads 4 --preload", &FLASK, true),
    gunicorn("gunicorn app:app --workers 4 -k gevent", &FLASK, false),
    gunicorn("gunicorn app:app --workers 4 -k gevent --preload", &FLASK, true),
    gunicorn("gunicorn main:app --workers 4 -k uvicorn_worker.UvicornWorker", &FASTAPI, false),
    gunicorn(
        "gunicorn main:app --workers 4 -k uvicorn_worker.UvicornWorker --preload",
        &FASTAPI,
        true,
    ),
    gunicorn("gunicorn shop.wsgi --workers 4", &DJANGO, false),
    gunicorn("gunicorn shop.wsgi --workers 4 --preload", &DJANGO, true),
    one("uvicorn main:app", &FASTAPI, ServerKind::Uvicorn, StartMethod::Single),
    Case {
        command: "uvicorn main:app --workers 4",
        sample: &FASTAPI,
        kind: ServerKind::Uvicorn,
        start: StartMethod::Spawn,
        preload: false,
        workers: 4,
    },
    one("flask run", &FLASK, ServerKind::Flask, StartMethod::Single),
    one("flask run --debug", &FLASK, ServerKind::Flask, StartMethod::Reload),
    one("python app.py", &FLASK, ServerKind::Python, StartMethod::Single),
    one(
        "python manage.py runserver --noreload",
        &DJANGO,
        ServerKind::DjangoRunserver,
        StartMethod::Single,
    ),
    one(
        "python manage.py runserver",
        &DJANGO,
        ServerKind::DjangoRunserver,
        StartMethod::Reload,
    ),
    Case {
        command: "celery -A tasks worker --concurrency 4",
        sample: &CELERY,
        kind: ServerKind::Celery,
        start: StartMethod::Fork,
        preload: false,
        workers: 4,
    },
];

/// Which command line a row uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// The run script that a set-up writes.
    RunScript,
    /// `opentelemetry-instrument COMMAND`, installed by the documentation's three commands.
    Docs,
}

/// A row of the table, before it has run.
struct Row {
    version: (u32, u32),
    interpreter: PathBuf,
    making: Making,
    way: Way,
    protocol: Protocol,
    case: &'static Case,
}

impl Row {
    fn label(&self) -> String {
        let way = match self.way {
            Way::RunScript => "run.sh",
            Way::Docs => "docs",
        };
        let venv = if self.making == Making::Uv { " uv" } else { "" };
        let app = if std::ptr::eq(self.case.sample, &FLASK_3) {
            " (Flask 3)"
        } else {
            ""
        };
        format!(
            "{}.{}{venv} | {way} | {} | `{}`{app}",
            self.version.0, self.version.1, self.protocol, self.case.command
        )
    }

    fn environment(&self) -> Environment {
        let sample = self.case.sample;
        let name = format!("{}-{}{}", sample.folder, self.version.0, self.version.1);
        match self.making {
            Making::Docs => {
                // Without the guard gevent's dependencies bring setuptools 82, and not one row would start. The row for 3.12,
                // whose environments have no setuptools at all, shows that.
                let guard = if self.version == (3, 9) { &["setuptools<81"][..] } else { &[] };
                let packages: Vec<&str> = sample.packages.iter().chain(guard).copied().collect();
                pythons::environment(&format!("docs-{name}"), &self.interpreter, Making::Docs, &packages)
            }
            making => {
                let packages: Vec<&str> = PINNED
                    .iter()
                    .chain(sample.packages)
                    .copied()
                    .chain([sample.instrumentation])
                    .collect();
                pythons::environment(&name, &self.interpreter, making, &packages)
            }
        }
    }
}

/// What a row came to.
struct Seen {
    rehearsed: Rehearsed,
    seconds: f32,
    left_behind: Vec<String>,
}

fn rows() -> Vec<Row> {
    let interpreters = pythons::interpreters();
    let full = [(3, 9), (3, 12)];
    let mut rows = Vec::new();
    for version in full {
        let interpreter = interpreters
            .get(&version)
            .unwrap_or_else(|| panic!("the matrix needs Python {}.{} on PATH or from pyenv", version.0, version.1));
        let row = |making, way, protocol, case| Row {
            version,
            interpreter: interpreter.clone(),
            making,
            way,
            protocol,
            case,
        };
        for case in CASES {
            for protocol in [Protocol::Grpc, Protocol::HttpProtobuf] {
                rows.push(row(Making::Venv, Way::RunScript, protocol, case));
            }
            if version == (3, 9) {
                rows.push(row(Making::Docs, Way::Docs, Protocol::Grpc, case));
            }
        }
        rows.push(row(Making::Uv, Way::RunScript, Protocol::Grpc, &SYNC));
        if version != (3, 9) {
            rows.push(row(Making::Docs, Way::Docs, Protocol::Grpc, &SYNC));
        }
    }
    for (version, interpreter) in interpreters.into_iter().filter(|(version, _)| !full.contains(version)) {
        rows.push(Row {
            version,
            interpreter,
            making: Making::Venv,
            way: Way::RunScript,
            protocol: Protocol::Grpc,
            case: &SYNC,
        });
    }
    if let Ok(only) = std::env::var("MATRIX_ONLY") {
        rows.retain(|row| row.label().contains(&only));
    }
    rows
}

fn run(system: &System, row: &Row) -> Seen {
    let started = Instant::now();
    let environment = row.environment();
    let app = App::copy(row.case.sample.folder);
    let command = shlex::split(row.case.command).unwrap();
    let server = detect::parse_command(&command, Path::new("."), app.path());
    assert_eq!(
        (server.kind, server.start, server.preload, server.workers.unwrap_or(1)),
        (row.case.kind, row.case.start, row.case.preload, row.case.workers),
        "what is made of `{}`",
        row.case.command
    );
    let run_script = match row.way {
        Way::RunScript => written::run_script(system, &app, &environment, &server, SERVICE),
        Way::Docs => app.script(
            "docs.sh",
            &format!(
                "export PATH=\"{}:$PATH\" OTEL_RESOURCE_ATTRIBUTES='service.name={SERVICE}'\nexec opentelemetry-instrument \"$@\"",
                environment.bin().display()
            ),
        ),
    };
    let tap = Tap::start(&system.runtime, TapOptions::default()).unwrap();
    let request = RehearsalRequest {
        directory: app.path(),
        command: &command,
        server: &server,
        run_script: &run_script,
        python: &environment.python(),
        protocol: row.protocol,
        receiver: &Receiver::of(&tap, row.protocol),
        service_name: Some(SERVICE),
        path: "/",
        requests_per_worker: 5,
        expected_workers: Some(row.case.workers),
        time_limit: Duration::from_secs(120),
        settle: Duration::from_secs(if row.way == Way::Docs { 5 } else { 20 }),
    };
    let rehearsed = rehearse(system, &request, &|_| {}).unwrap();
    Seen {
        rehearsed,
        seconds: started.elapsed().as_secs_f32(),
        left_behind: processes_in(app.path()),
    }
}

/// Processes that still work in a folder.
fn processes_in(folder: &Path) -> Vec<String> {
    let folder = folder.canonicalize().unwrap();
    process::list(Path::new("/"))
        .into_iter()
        .filter(|process| process.directory.as_deref().is_some_and(|directory| directory.starts_with(&folder)))
        .map(|process| format!("{} {}", process.pid, process.argv.join(" ")))
        .collect()
}

/// What is wrong with a row; empty when all is well.
fn wrong(row: &Row, seen: &Seen) -> Vec<String> {
    let mut wrong = Vec::new();
    if !seen.left_behind.is_empty() {
        wrong.push(format!("left behind: {:?}", seen.left_behind));
    }
    let workers = &seen.rehearsed.workers;
    if row.way == Way::Docs {
        // The difference must be there to be seen: not one span of a spawned worker, a reloader's child, or Flask 3.
        let silent =
            row.case.start != StartMethod::Fork && row.case.start != StartMethod::Single || std::ptr::eq(row.case.sample, &FLASK_3);
        if silent && workers.iter().any(|worker| worker.spans > 0) {
            wrong.push(format!("the documentation's way is no longer silent here: {workers:?}"));
        }
        return wrong;
    }
    if seen.rehearsed.level.outcome != Outcome::Pass {
        wrong.push(format!("outcome {:?}", seen.rehearsed.level.outcome));
    }
    if workers.len() != row.case.workers as usize {
        wrong.push(format!("{} workers instead of {}", workers.len(), row.case.workers));
    }
    // Which child of Celery's pool takes a task is its own choice, so only their sum has a lower bound.
    let least = if row.case.kind == ServerKind::Celery { 1 } else { 5 };
    for worker in workers {
        if worker.requests < least || worker.unique_spans != worker.requests || worker.spans != worker.requests || worker.duplicated > 0 {
            wrong.push(format!("{worker:?}"));
        }
    }
    let at_stop = (row.case.start != StartMethod::Reload).then_some(0);
    if seen.rehearsed.lost_at_stop != at_stop {
        wrong.push(format!("lost at stop: {:?}", seen.rehearsed.lost_at_stop));
    }
    wrong
}

fn table(rows: &[Row], seen: &BTreeMap<usize, Option<Seen>>) -> String {
    let mut text = String::from(
        "| Python | way | protocol | command | workers | requests | unique spans | lost | twice | lost at SIGTERM | seconds | verdict |\n|---|---|---|---|---|---|---|---|---|---|---|---|\n",
    );
    for (index, row) in rows.iter().enumerate() {
        let Some(seen) = &seen[&index] else {
            let _ = writeln!(text, "| {} | | | | | | | | not run: see the panic above |", row.label());
            continue;
        };
        let sum = |of: fn(&signoz_setup::domain::report::WorkerRow) -> u64| seen.rehearsed.workers.iter().map(of).sum::<u64>();
        let verdict = if row.way == Way::Docs || seen.rehearsed.level.outcome != Outcome::Pass {
            let environment = row
                .environment()
                .failed
                .map_or_else(String::new, |failed| format!("bootstrap: {failed}; "));
            let detail: String = seen.rehearsed.level.detail.chars().take(400).collect();
            format!("{environment}{detail}")
        } else {
            "pass".to_owned()
        };
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {} | {:.1} | {} |",
            row.label(),
            seen.rehearsed.workers.iter().filter(|worker| worker.requests > 0).count(),
            sum(|worker| worker.requests),
            sum(|worker| worker.unique_spans),
            sum(|worker| worker.lost),
            sum(|worker| worker.duplicated),
            seen.rehearsed
                .lost_at_stop
                .map_or_else(|| "not asked".to_owned(), |lost| lost.to_string()),
            seen.seconds,
            verdict.replace('|', "/"),
        );
    }
    text
}

#[test]
fn every_worker_of_every_server_exports_what_it_served_once() {
    let started = Instant::now();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let system = System::real(runtime.handle().clone(), Cancel::default());
    let rows = rows();
    assert!(!rows.is_empty(), "MATRIX_ONLY matches no row");
    let next = AtomicUsize::new(0);
    let seen = Mutex::new(BTreeMap::new());
    let at_once = std::env::var("MATRIX_JOBS").map_or(3, |jobs| jobs.parse().unwrap());
    std::thread::scope(|scope| {
        for _ in 0..at_once {
            scope.spawn(|| {
                while let Some((index, row)) = Some(next.fetch_add(1, Ordering::SeqCst)).and_then(|index| Some((index, rows.get(index)?))) {
                    // A row that cannot even be set up is a failure of that row; the others still count.
                    let one = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run(&system, row))).ok();
                    let detail = one.as_ref().map_or("not run", |one| one.rehearsed.level.detail.as_str());
                    println!("{:>4.0} s  {}: {detail}", started.elapsed().as_secs_f32(), row.label());
                    seen.lock().unwrap().insert(index, one);
                }
            });
        }
    });
    let seen = seen.into_inner().unwrap();
    let table = table(&rows, &seen);
    println!("{table}");
    println!("{} rows in {:.0} s", rows.len(), started.elapsed().as_secs_f32());
    std::fs::write(Path::new(env!("CARGO_TARGET_TMPDIR")).join("../matrix.md"), &table).unwrap();

    let mut failures = Vec::new();
    for (index, row) in rows.iter().enumerate() {
        match &seen[&index] {
            None => failures.push(format!("{}\n    could not be set up", row.label())),
            Some(seen) => {
                let wrong = wrong(row, seen);
                if !wrong.is_empty() {
                    failures.push(format!(
                        "{}\n    {}\n    {}",
                        row.label(),
                        wrong.join("\n    "),
                        seen.rehearsed.level.detail
                    ));
                }
            }
        }
    }
    assert!(
        failures.is_empty(),
        "{} of {} rows failed:\n{}",
        failures.len(),
        rows.len(),
        failures.join("\n")
    );
}
