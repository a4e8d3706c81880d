//! The rehearsal and the Python probe, as a person meets them when something is wrong.
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
use signoz_setup::domain::IngestionKey;
use signoz_setup::domain::event::Event;
use signoz_setup::domain::report::{LevelReport, Outcome};
use signoz_setup::domain::target::Protocol;
use signoz_setup::error::{Kind, Signal};
use signoz_setup::planner::templates::VERIFY_SPAN;
use signoz_setup::system::{Cancel, System, process};
use signoz_setup::tap::{Tap, TapOptions};
use signoz_setup::verify::python::{PythonRequest, probe};
use signoz_setup::verify::workers::{Receiver, RehearsalRequest, Rehearsed, THROW_AWAY_KEY, rehearse};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// A machine, a receiver, and an app in a folder of its own.
struct Stage {
    system: System,
    tap: Tap,
    // Behind the tap, so that it is dropped after it.
    _runtime: tokio::runtime::Runtime,
    app: App,
    events: Mutex<Vec<Event>>,
    time_limit: Duration,
    settle: Duration,
}

impl Stage {
    fn new(sample: &str) -> Self {
        Self::with(sample, TapOptions::default())
    }

    fn with(sample: &str, options: TapOptions) -> Self {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let system = System::real(runtime.handle().clone(), Cancel::default());
        let tap = Tap::start(runtime.handle(), options).unwrap();
        Self {
            system,
            tap,
            app: App::copy(sample),
            _runtime: runtime,
            events: Mutex::default(),
            time_limit: Duration::from_secs(90),
            settle: Duration::from_secs(20),
        }
    }

    /// A run script that starts its arguments as they are.
    fn bare_script(&self) -> PathBuf {
        self.app.script("run.sh", "exec \"$@\"")
    }

    fn rehearse(&self, run_script: &Path, command: &[&str]) -> signoz_setup::error::Result<Rehearsed> {
        self.rehearse_watched(run_script, command, &|_| {})
    }

    fn rehearse_watched(
        &self,
        run_script: &Path,
        command: &[&str],
        watch: &(dyn Fn(&Event) + Send + Sync),
    ) -> signoz_setup::error::Result<Rehearsed> {
        let command: Vec<String> = command.iter().map(|word| (*word).to_owned()).collect();
        let server = detect::parse_command(&command, Path::new("."), self.app.path());
        rehearse(
            &self.system,
            &RehearsalRequest {
                directory: self.app.path(),
                command: &command,
                server: &server,
                run_script,
                python: &interpreter(),
                protocol: Protocol::Grpc,
                receiver: &Receiver::of(&self.tap, Protocol::Grpc),
                service_name: None,
                path: "/",
                requests_per_worker: 3,
                expected_workers: None,
                time_limit: self.time_limit,
                settle: self.settle,
            },
            &|event| {
                watch(&event);
                self.events.lock().unwrap().push(event);
            },
        )
    }

    /// Processes that still work in the app's folder.
    fn left_behind(&self) -> Vec<String> {
        let folder = self.app.path().canonicalize().unwrap();
        process::list(Path::new("/"))
            .into_iter()
            .filter(|process| process.state != 'Z')
            .filter(|process| process.directory.as_deref().is_some_and(|directory| directory.starts_with(&folder)))
            .map(|process| format!("{} {}", process.pid, process.argv.join(" ")))
            .collect()
    }
}

fn interpreter() -> PathBuf {
    pythons::interpreters()
        .into_values()
        .next_back()
        .expect("no Python on this machine")
}

fn flask() -> Environment {
    let interpreters = pythons::interpreters();
    let (version, interpreter) = interpreters.iter().next_back().expect("no Python on this machine");
    let packages = [
        "opentelemetry-distro==0.38b0",
        "opentelemetry-exporter-otlp==1.17.0",
        "setuptools<81",
        "flask==2.3.3",
        "opentelemetry-instrumentation-flask==0.38b0",
    ];
    pythons::environment(
        &format!("rehearse-{}{}", version.0, version.1),
        interpreter,
        Making::Venv,
        &packages,
    )
}

fn assert_failed(level: &LevelReport, says: &[&str]) {
    assert_eq!(level.outcome, Outcome::Fail, "{level:?}");
    for text in says {
        assert!(level.detail.contains(text), "`{text}` is not in: {}", level.detail);
    }
    assert!(level.remedy.as_ref().is_some_and(|remedy| !remedy.is_empty()), "{level:?}");
}

#[test]
fn a_command_that_dies_at_once_is_shown_with_its_last_words_and_without_its_secrets() {
    let stage = Stage::new("plain");
    let python = interpreter();
    let seen = stage
        .rehearse(&stage.bare_script(), &[python.to_str().unwrap(), "serve.py", "dies"])
        .unwrap();
    assert_failed(
        &seen.level,
        &["exit code 3", "before it listened", "cannot connect to redis://shop:••••••••@db"],
    );
    assert!(!seen.level.detail.contains('\u{1b}') && !seen.level.detail.contains('\u{7}'));
    let said = format!("{:?}", stage.events.lock().unwrap());
    assert!(
        said.contains("cannot connect") && !said.contains("canary") && !said.contains("u{1b}"),
        "{said}"
    );
    assert_eq!((seen.workers.len(), seen.lost_at_stop), (0, None));
    assert_eq!(stage.left_behind(), [""; 0]);
}

#[test]
fn a_program_that_does_not_exist_is_named() {
    let stage = Stage::new("plain");
    let seen = stage.rehearse(&stage.bare_script(), &["gunicornn", "app:app"]).unwrap();
    assert_failed(&seen.level, &["gunicornn", "exit code 127", "not found"]);
    let seen = stage.rehearse(Path::new("no/such/run.sh"), &["gunicorn", "app:app"]).unwrap();
    assert_failed(&seen.level, &["no/such/run.sh", "cannot be started"]);
    assert!(seen.level.remedy.unwrap().contains("run `signoz-setup` first"));
}

#[test]
fn a_busy_port_is_called_a_busy_port() {
    let stage = Stage::new("plain");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let python = interpreter();
    let seen = stage
        .rehearse(&stage.bare_script(), &[python.to_str().unwrap(), "serve.py", "well", &port])
        .unwrap();
    assert_failed(&seen.level, &["the port that it wants is taken", "Address already in use"]);
    assert!(seen.level.remedy.unwrap().contains("`PORT`"));
}

#[test]
fn an_app_that_never_listens_is_given_up_and_ended() {
    let mut stage = Stage::new("plain");
    stage.time_limit = Duration::from_secs(2);
    let python = interpreter();
    let seen = stage
        .rehearse(&stage.bare_script(), &[python.to_str().unwrap(), "serve.py", "silent"])
        .unwrap();
    assert_failed(&seen.level, &["did not listen on any port within 2 s"]);
    assert_eq!(stage.left_behind(), [""; 0]);
}

#[test]
fn an_app_without_instrumentation_is_silent_and_its_daemons_are_ended_too() {
    let mut stage = Stage::new("plain");
    stage.settle = Duration::from_millis(1500);
    let python = interpreter();
    let seen = stage
        .rehearse(&stage.bare_script(), &[python.to_str().unwrap(), "serve.py", "scatters"])
        .unwrap();
    assert_failed(&seen.level, &["not one span arrived"]);
    // What it served is known all the same: the kernel showed it.
    assert_eq!(seen.workers.len(), 1, "{seen:?}");
    assert!(seen.workers[0].requests >= 3 && seen.workers[0].lost == seen.workers[0].requests);
    assert_eq!(stage.left_behind(), [""; 0]);
}

#[test]
fn an_app_that_ignores_sigterm_is_killed_and_that_is_said() {
    let mut stage = Stage::new("plain");
    stage.settle = Duration::from_millis(1500);
    let python = interpreter();
    let seen = stage
        .rehearse(&stage.bare_script(), &[python.to_str().unwrap(), "serve.py", "stubborn"])
        .unwrap();
    assert!(
        seen.level.detail.contains("did not end within 3 s after SIGTERM and was killed"),
        "{:?}",
        seen.level
    );
    assert_eq!(stage.left_behind(), [""; 0]);
}

#[test]
fn a_cancelled_rehearsal_ends_at_once_and_leaves_nothing_behind() {
    for moment in ["starting", "sending"] {
        let stage = Stage::new("plain");
        let python = interpreter();
        let cancel = stage.system.cancel.clone();
        let started = Instant::now();
        let error = stage
            .rehearse_watched(
                &stage.bare_script(),
                &[python.to_str().unwrap(), "serve.py", "scatters"],
                &|event| {
                    if matches!(event, Event::Stage { title } if title.starts_with(moment)) {
                        cancel.set(Signal::Terminate);
                    }
                },
            )
            .unwrap_err();
        assert_eq!(error.kind, Kind::Interrupted(Signal::Terminate));
        assert!(started.elapsed() < Duration::from_secs(5), "{moment}: {:?}", started.elapsed());
        assert_eq!(stage.left_behind(), [""; 0], "{moment}");
    }
}

#[test]
fn spans_inside_the_app_do_not_pass_for_the_frameworks() {
    let (mut stage, environment) = (Stage::new("flask"), flask());
    let script = stage.app.script(
        "run.sh",
        &format!(
            "export OTEL_PYTHON_DISABLED_INSTRUMENTATIONS=flask OTEL_METRICS_EXPORTER=none\nexec {}/opentelemetry-instrument \"$@\"",
            environment.bin().display()
        ),
    );
    // All that can be waited for is that nothing comes.
    stage.settle = Duration::from_secs(3);
    let python = environment.python();
    let seen = stage.rehearse(&script, &[python.to_str().unwrap(), "manual.py", "inner"]).unwrap();
    assert_failed(&seen.level, &["spans arrived, but none of the framework's own"]);
    assert_eq!(seen.workers.iter().map(|worker| worker.unique_spans).sum::<u64>(), 0);
}

#[test]
fn spans_that_are_exported_twice_are_counted_as_such() {
    let (stage, environment) = (Stage::new("flask"), flask());
    let script = stage.app.script(
        "run.sh",
        &format!(
            "export OTEL_METRICS_EXPORTER=none\nexec {}/opentelemetry-instrument \"$@\"",
            environment.bin().display()
        ),
    );
    let python = environment.python();
    let seen = stage.rehearse(&script, &[python.to_str().unwrap(), "manual.py", "twice"]).unwrap();
    assert_failed(&seen.level, &["sent twice", "exports a second time"]);
    let worker = &seen.workers[0];
    assert!(worker.duplicated >= 3 && worker.spans > worker.unique_spans, "{worker:?}");
}

#[test]
fn the_real_key_and_the_real_endpoint_are_out_of_reach_of_a_rehearsal() {
    let environment = flask();
    // The receiver takes only the throw-away key: spans that arrive were sent with it, and with no other.
    let stage = Stage::with(
        "flask",
        TapOptions {
            required_key: Some(IngestionKey::parse(THROW_AWAY_KEY).unwrap()),
            ..TapOptions::default()
        },
    );
    let command: Vec<String> = ["python", "app.py"].map(str::to_owned).to_vec();
    let server = detect::parse_command(&command, Path::new("."), stage.app.path());
    let script = written::run_script(&stage.system, &stage.app, &environment, &server, "shop");
    let seen = stage.rehearse(&script, &["python", "app.py"]).unwrap();
    assert_eq!(seen.level.outcome, Outcome::Pass, "{:?}", seen.level);
    assert_eq!(stage.tap.ledger().refused(), 0);
    assert!(!format!("{:?}", stage.events.lock().unwrap()).contains(written::KEY));
}

/// The probe under a written run script; `endpoint` instead of the configured one.
fn probed(stage: &Stage, environment: &Environment, protocol: Protocol, variables: &[(&str, String)]) -> LevelReport {
    let command: Vec<String> = ["python", "app.py"].map(str::to_owned).to_vec();
    let server = detect::parse_command(&command, Path::new("."), stage.app.path());
    written::run_script(&stage.system, &stage.app, environment, &server, "it's my shop");
    let exports: String = variables.iter().map(|(name, value)| format!("export {name}='{value}'\n")).collect();
    let script = stage.app.script("outer.sh", &format!("{exports}exec .signoz/run.sh \"$@\""));
    probe(
        &stage.system,
        &PythonRequest {
            directory: stage.app.path(),
            run_script: &script,
            python: &environment.python(),
            protocol,
            service_name: Some("it's my shop"),
            script: VERIFY_SPAN,
            receiver: None,
            deadline: Duration::from_secs(20),
        },
        &|event| stage.events.lock().unwrap().push(event),
    )
    .unwrap()
}

#[test]
fn the_apps_own_interpreter_is_heard_over_both_protocols() {
    let environment = flask();
    for protocol in [Protocol::Grpc, Protocol::HttpProtobuf] {
        let stage = Stage::with(
            "flask",
            TapOptions {
                required_key: Some(IngestionKey::parse(written::KEY).unwrap()),
                ..TapOptions::default()
            },
        );
        let endpoint = stage.tap.endpoint(protocol).to_string();
        let variables = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.clone()),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol.to_string()),
        ];
        let level = probed(&stage, &environment, protocol, &variables);
        assert_eq!(level.outcome, Outcome::Pass, "{level:?}");
        assert!(level.detail.starts_with("accepted by http://127.0.0.1:"), "{level:?}");
        let spans = stage.tap.ledger().spans();
        assert!(
            spans
                .iter()
                .any(|span| Some(hex(&span.trace_id)) == level.trace_id && span.service == "it's my shop"),
            "{spans:?}"
        );

        let mut wrong = variables.to_vec();
        wrong.push(("OTEL_EXPORTER_OTLP_HEADERS", "signoz-ingestion-key=canary-wrong".to_owned()));
        let level = probed(&stage, &environment, protocol, &wrong);
        assert_failed(&level, &["refused the ingestion key"]);
        assert!(!format!("{level:?} {:?}", stage.events.lock().unwrap()).contains("canary"));
    }
}

#[test]
fn a_dead_endpoint_is_not_waited_for_as_long_as_the_sdk_does() {
    let environment = flask();
    let stage = Stage::new("flask");
    for protocol in [Protocol::Grpc, Protocol::HttpProtobuf] {
        // Bound and not listening: refused, and nobody else can take it.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let started = Instant::now();
        let level = probed(
            &stage,
            &environment,
            protocol,
            &[
                ("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://127.0.0.1:{port}")),
                ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol.to_string()),
            ],
        );
        assert_failed(&level, &["127.0.0.1"]);
        assert!(started.elapsed() < Duration::from_secs(22), "{:?}", started.elapsed());
    }
    assert_eq!(stage.left_behind(), [""; 0]);
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
