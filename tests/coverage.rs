//! The verdicts that a person sees, for apps as they are found today: what each set traces, what it does not, and why.

use signoz_setup::coverage::{beyond_range, silence, table};
use signoz_setup::domain::{Coverage, CoverageStatus, Distribution, InstrumentationSet};
use signoz_setup::planner::requirements;
use std::collections::BTreeMap;
use std::path::PathBuf;

use CoverageStatus::{Conflict, NoInstrumentation, OutOfRange, Traced};
use InstrumentationSet::{Current, Pinned};

/// An environment from `name version` words, with `name version -> requirement, requirement`.
fn environment(lines: &[&str]) -> BTreeMap<String, Distribution> {
    let parse = |line: &&str| {
        let (head, requires) = line.split_once(" -> ").unwrap_or((line, ""));
        let (name, version) = head.split_once(' ').unwrap();
        let distribution = Distribution {
            name: name.to_owned(),
            version: version.to_owned(),
            requires: requires.split(", ").filter(|text| !text.is_empty()).map(str::to_owned).collect(),
            location: PathBuf::new(),
        };
        (name.to_owned(), distribution)
    };
    lines.iter().map(parse).collect()
}

fn row(lines: &[&str], set: InstrumentationSet, python: &str, library: &str) -> Coverage {
    let rows = table(&environment(lines), set, python);
    let found = rows.iter().find(|row| row.library == library);
    found.unwrap_or_else(|| panic!("no row for {library} in {rows:#?}")).clone()
}

fn texts(lines: &[&str], set: InstrumentationSet, python: &str) -> Vec<String> {
    requirements(&environment(lines), set, python)
        .into_iter()
        .map(|one| one.text)
        .collect()
}

#[test]
fn measured_verdicts() {
    // library, version, pinned: status and beyond, current: status and beyond; as measured on real apps.
    let cases = [
        ("flask", "3.1.3", (Traced, true), (Traced, false)),
        ("flask", "3.0.0", (Traced, true), (Traced, false)),
        ("flask", "2.3.3", (Traced, false), (Traced, false)),
        ("flask", "3.2.0", (OutOfRange, false), (Traced, false)),
        ("starlette", "1.10.0", (Traced, true), (Traced, false)),
        ("starlette", "0.13.8", (Traced, false), (Traced, false)),
        ("fastapi", "0.141.1", (Traced, false), (Traced, false)),
        ("falcon", "4.4.0", (Traced, true), (Traced, false)),
        ("falcon", "3.1.3", (Traced, false), (Traced, false)),
        ("falcon", "5.0.0", (OutOfRange, false), (OutOfRange, false)),
        ("django", "5.2.19", (Traced, false), (Traced, false)),
        ("pyramid", "2.1", (Traced, false), (Traced, false)),
        ("tornado", "6.6.1", (Traced, false), (Traced, false)),
        ("celery", "5.7.0", (Traced, false), (Traced, false)),
        ("celery", "6.0.0", (OutOfRange, false), (OutOfRange, false)),
        ("requests", "2.34.0", (Traced, false), (Traced, false)),
        ("httpx", "0.28.1", (OutOfRange, false), (Traced, false)),
        ("httpx", "0.23.0", (Traced, false), (Traced, false)),
        ("urllib3", "2.8.0", (Traced, true), (Traced, false)),
        ("urllib3", "1.26.20", (Traced, false), (Traced, false)),
        ("psycopg", "3.3.9", (NoInstrumentation, false), (Traced, false)),
        ("psycopg2-binary", "2.9.13", (Traced, true), (Traced, false)),
        ("psycopg2", "2.9.13", (Traced, false), (Traced, false)),
        ("mysqlclient", "2.2.7", (NoInstrumentation, false), (Traced, false)),
        ("aiokafka", "0.12.0", (NoInstrumentation, false), (Traced, false)),
        ("confluent-kafka", "2.4.0", (OutOfRange, false), (Traced, false)),
        ("pymemcache", "4.0.0", (OutOfRange, false), (Traced, false)),
        ("redis", "8.1.0", (Traced, false), (Traced, false)),
        ("pymongo", "4.20.0", (Traced, false), (Traced, false)),
        ("sqlalchemy", "2.1.9", (Traced, false), (Traced, true)),
        ("sqlalchemy", "2.0.58", (Traced, false), (Traced, false)),
        ("sanic", "25.3.0", (NoInstrumentation, false), (NoInstrumentation, false)),
    ];
    for (library, version, pinned, current) in cases {
        for (set, (status, beyond)) in [(Pinned, pinned), (Current, current)] {
            let row = row(&[&format!("{library} {version}")], set, "3.12.1", library);
            assert_eq!(
                (row.status, row.beyond_declared_range),
                (status, beyond),
                "{library} {version} {set}: {}",
                row.note
            );
            assert_eq!(
                row.note.starts_with("traced"),
                status == Traced,
                "{library} {version}: {}",
                row.note
            );
            assert_eq!(row.version, version);
        }
    }
}

#[test]
fn a_row_names_its_instrumentation_and_range() {
    let row = row(&["flask 3.1.3"], Pinned, "3.11.7", "flask");
    assert_eq!(row.instrumentation.as_deref(), Some("opentelemetry-instrumentation-flask"));
    assert_eq!(row.supported.as_deref(), Some(">=1.0,<3.0"));
    assert_eq!(row.note, "traced; its instrumentation declares >=1.0,<3.0, proved with 3.1");
    assert!(row.server);
}

#[test]
fn what_the_other_set_would_trace_is_said() {
    let note = |lines: &[&str], library| row(lines, Pinned, "3.12.1", library).note;
    assert_eq!(
        note(&["psycopg 3.3.9"], "psycopg"),
        "not traced: the pinned set has no instrumentation for it; the current set traces it"
    );
    assert!(note(&["httpx 0.28.1"], "httpx").contains("<=0.23.0; the current set traces it"));
    assert!(!note(&["sanic 25.3.0"], "sanic").contains("current"));
    // On 3.8 the newest release stops earlier: starlette was not admitted yet.
    assert!(!row(&["starlette 0.44.0"], Current, "3.8.18", "starlette").beyond_declared_range);
    assert_eq!(row(&["starlette 0.44.0"], Current, "3.8.18", "starlette").status, OutOfRange);
    assert_eq!(row(&["starlette 0.44.0"], Current, "3.9.18", "starlette").status, Traced);
}

#[test]
fn fastapi_that_needs_a_newer_api_is_a_conflict_with_the_pinned_set_only() {
    let lines = [
        "fastapi 0.165.0 -> starlette>=0.46.0, opentelemetry-api>=1.44.0, opentelemetry-sdk>=1.44.0; extra == 'standard'",
        "starlette 1.10.0",
    ];
    let pinned = row(&lines, Pinned, "3.12.1", "fastapi");
    assert_eq!(pinned.status, Conflict);
    assert!(
        pinned
            .note
            .contains("requires opentelemetry-api>=1.44.0, and the pinned set brings 1.17.0; the current set traces it"),
        "{}",
        pinned.note
    );
    assert_eq!(row(&lines, Current, "3.12.1", "fastapi").status, Traced);
    // FastAPI is a Starlette: one row, and Starlette's instrumentation is not forced beside it.
    let rows = table(&environment(&lines), Pinned, "3.12.1");
    assert!(rows.iter().all(|row| row.library != "starlette"), "{rows:#?}");
    assert_eq!(beyond_range(&rows), [""; 0]);
    assert_eq!(silence(&rows), None, "a conflict is refused for its own reason");
}

#[test]
fn server_frameworks_come_first_then_names() {
    let lines = [
        "redis 8.1.0",
        "asyncpg 0.32.0",
        "flask 3.1.3",
        "celery 5.7.0",
        "werkzeug 3.1.9",
        "pydantic 2.13.0",
        "asgiref 3.9.0",
        "psutil 7.0",
    ];
    let rows = table(&environment(&lines), Pinned, "3.12.1");
    let order: Vec<_> = rows.iter().map(|row| (row.library.as_str(), row.server)).collect();
    assert_eq!(order, [("celery", true), ("flask", true), ("asyncpg", false), ("redis", false)]);
}

#[test]
fn silence_is_said_when_no_server_framework_is_traced() {
    let silent = |lines: &[&str]| silence(&table(&environment(lines), Pinned, "3.12.1"));
    let reason = silent(&["flask 4.0.0", "redis 8.1.0"]).unwrap();
    assert!(
        reason.starts_with("no request would give a span (flask 4.0.0: not traced: its instrumentation declares >=1.0,<3.0"),
        "{reason}"
    );
    assert!(silent(&["sanic 25.3.0"]).unwrap().contains("no instrumentation"));
    assert_eq!(silent(&["flask 3.1.3"]), None);
    assert_eq!(silent(&["flask 4.0.0", "django 5.2.19"]), None);
    assert_eq!(silent(&["redis 8.1.0"]), None, "a script has no server framework to lose");
    assert_eq!(silent(&[]), None);
}

#[test]
fn aiohttp_is_a_client_until_something_shows_that_it_serves() {
    let client = ["aiohttp 3.14.5"];
    let server = ["aiohttp 3.14.5", "aiohttp-cors 0.8.0"];
    assert!(row(&client, Pinned, "3.12.1", "aiohttp").note.contains("client calls only"));
    assert_eq!(silence(&table(&environment(&client), Pinned, "3.12.1")), None);
    assert!(
        silence(&table(&environment(&server), Pinned, "3.12.1"))
            .unwrap()
            .contains("its server is not traced")
    );
    assert!(silence(&table(&environment(&["aiohttp 3.14.5", "gunicorn 27.0.1"]), Pinned, "3.12.1")).is_some());
    assert_eq!(
        silence(&table(
            &environment(&["aiohttp 3.14.5", "gunicorn 27.0.1", "flask 3.1.3"]),
            Pinned,
            "3.12.1"
        )),
        None
    );
    assert_eq!(silence(&table(&environment(&server), Current, "3.12.1")), None);
}

#[test]
fn the_loader_is_asked_by_entry_point_names() {
    let rows = table(
        &environment(&["flask 3.1.3", "psycopg2-binary 2.9.13", "urllib3 2.8.0", "redis 8.1.0"]),
        Pinned,
        "3.12.1",
    );
    assert_eq!(beyond_range(&rows), ["flask", "psycopg2", "urllib3"]);
    assert_eq!(beyond_range(&table(&environment(&["flask 3.1.3"]), Current, "3.12.1")), [""; 0]);
}

#[test]
fn pinned_requirements_of_a_flask_3_app() {
    let list = requirements(&environment(&["flask 3.1.3", "jinja2 3.1.6", "werkzeug 3.1.9"]), Pinned, "3.12.1");
    let texts: Vec<&str> = list.iter().map(|one| one.text.as_str()).collect();
    assert_eq!(
        texts,
        [
            "opentelemetry-distro==0.38b0",
            "opentelemetry-exporter-otlp==1.17.0",
            "setuptools<81",
            "opentelemetry-instrumentation-aws-lambda==0.38b0",
            "opentelemetry-instrumentation-dbapi==0.38b0",
            "opentelemetry-instrumentation-flask==0.38b0",
            "opentelemetry-instrumentation-grpc==0.38b0",
            "opentelemetry-instrumentation-jinja2==0.38b0",
            "opentelemetry-instrumentation-logging==0.38b0",
            "opentelemetry-instrumentation-requests==0.38b0",
            "opentelemetry-instrumentation-sqlite3==0.38b0",
            "opentelemetry-instrumentation-urllib==0.38b0",
            "opentelemetry-instrumentation-wsgi==0.38b0",
        ]
    );
    let why = |text: &str| list.iter().find(|one| one.text.contains(text)).map(|one| one.why.as_str());
    assert_eq!(
        why("instrumentation-flask"),
        Some("flask 3.1.3 is installed, beyond the declared range but proved")
    );
    assert_eq!(why("instrumentation-grpc"), Some("the exporter brings grpcio"));
    assert!(list.iter().all(|one| !one.why.is_empty()));
}

#[test]
fn a_second_run_asks_for_the_same() {
    let app = ["flask 3.1.3", "jinja2 3.1.6"];
    let mut afterwards = app.to_vec();
    afterwards.extend([
        "opentelemetry-exporter-otlp-proto-http 1.17.0 -> requests~=2.7",
        "requests 2.34.0 -> urllib3<3,>=1.26",
        "urllib3 2.8.0",
        "grpcio 1.85.1",
        "setuptools 80.9.0",
    ]);
    assert_eq!(texts(&afterwards, Pinned, "3.12.1"), texts(&app, Pinned, "3.12.1"));
    // An app with its own urllib3 keeps it in both runs.
    let own = ["flask 3.1.3", "jinja2 3.1.6", "urllib3 2.8.0"];
    afterwards.push("opentelemetry-instrumentation-urllib3 0.38b0");
    assert_eq!(texts(&afterwards, Pinned, "3.12.1"), texts(&own, Pinned, "3.12.1"));
    assert!(texts(&own, Pinned, "3.12.1").contains(&"opentelemetry-instrumentation-urllib3==0.38b0".to_owned()));
}

#[test]
fn sqlalchemy_2_1_gets_the_greenlet_that_its_instrumentation_imports() {
    assert!(texts(&["sqlalchemy 2.1.9"], Pinned, "3.12.1").contains(&"greenlet".to_owned()));
    assert!(texts(&["sqlalchemy 2.1.9"], Current, "3.12.1").contains(&"greenlet".to_owned()));
    assert!(!texts(&["sqlalchemy 2.0.58"], Pinned, "3.12.1").contains(&"greenlet".to_owned()));
    assert!(
        row(&["sqlalchemy 2.1.9"], Pinned, "3.12.1", "sqlalchemy")
            .note
            .ends_with("needs greenlet, which is installed with it")
    );
    assert_eq!(
        row(&["sqlalchemy 2.1.9", "greenlet 3.2.0"], Pinned, "3.12.1", "sqlalchemy").note,
        "traced"
    );
}

#[test]
fn the_current_set_follows_the_python_version() {
    let distro = |python: &str| texts(&["flask 3.0.3"], Current, python)[0].clone();
    assert_eq!(
        ["3.8.18", "3.9.18", "3.10.13", "3.13.0"].map(distro),
        [
            "opentelemetry-distro==0.54b1",
            "opentelemetry-distro==0.62b1",
            "opentelemetry-distro==0.65b0",
            "opentelemetry-distro==0.65b0"
        ]
    );
    assert!(
        !texts(&["flask 3.0.3"], Current, "3.12.1")
            .iter()
            .any(|text| text.starts_with("setuptools"))
    );
    assert!(texts(&["flask 3.0.3"], Pinned, "3.9.18").contains(&"setuptools<81".to_owned()));
}

#[test]
fn an_unreadable_version_is_never_called_traced() {
    assert_eq!(row(&["flask main-branch"], Pinned, "3.12.1", "flask").status, OutOfRange);
}
