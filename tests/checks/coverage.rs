//! Fixtures of the family `coverage`.

use super::{Fixture, Lab};
use signoz_setup::domain::Outcome;

pub(super) const FIXTURES: &[Fixture] = &[
    Fixture {
        id: "coverage.server-traced",
        pass: |_| {},
        fail: |lab| lab.dist("flask", "0.12.5"),
        says: "flask 0.12.5: not traced",
    },
    Fixture {
        id: "coverage.clients-traced",
        pass: |_| {},
        fail: |lab| lab.dist("httpx", "0.28.1"),
        says: "httpx 0.28.1: not traced",
    },
    Fixture {
        id: "coverage.instrumentation-installed",
        pass: |_| {},
        fail: |lab| lab.no_dist("opentelemetry-instrumentation-flask"),
        says: "'opentelemetry-instrumentation-flask==0.38b0'",
    },
    Fixture {
        id: "coverage.companions",
        pass: |_| {},
        fail: |lab| {
            lab.dist("sqlalchemy", "2.1.9");
            lab.dist("opentelemetry-instrumentation-sqlalchemy", "0.38b0");
        },
        says: "pip install 'greenlet'",
    },
];

#[test]
fn a_client_that_the_set_does_not_know_is_a_warning() {
    let lab = Lab::new();
    lab.dist("psycopg", "3.3.9");
    let finding = lab.finding("coverage.clients-traced");
    assert_eq!(finding.outcome, Outcome::Warn);
    assert!(finding.remedy.contains("--instrumentation current"), "{finding:?}");
}

#[test]
fn before_any_set_up_nothing_is_asked() {
    let lab = Lab::new();
    lab.remove(".signoz");
    lab.file("Procfile", "web: gunicorn app:app\n");
    for name in ["distro", "instrumentation", "sdk", "api", "semantic-conventions"] {
        lab.no_dist(&format!("opentelemetry-{name}"));
    }
    let found = lab.check(&["python", "packages", "coverage"]);
    let bad: Vec<_> = found
        .iter()
        .filter(|finding| !matches!(finding.outcome, Outcome::Pass | Outcome::Skip))
        .collect();
    assert!(bad.is_empty(), "{bad:#?}");
}

#[test]
fn a_healthy_app_with_the_current_set_has_no_complaint() {
    for app in [
        ("flask", "3.1.3"),
        ("fastapi", "0.165.0"),
        ("django", "5.2.19"),
        ("celery", "5.7.0"),
    ] {
        let mut lab = Lab::new();
        lab.current(app);
        let found = lab.check(&["python", "packages", "coverage"]);
        let bad: Vec<_> = found
            .iter()
            .filter(|finding| !matches!(finding.outcome, Outcome::Pass | Outcome::Skip))
            .collect();
        assert!(bad.is_empty(), "{app:?}: {bad:#?}");
        let server = found.iter().find(|finding| finding.id == "coverage.server-traced");
        assert_eq!(server.map(|finding| finding.outcome), Some(Outcome::Pass), "{app:?}");
    }
}

#[test]
fn without_pip_the_remedy_is_uvs() {
    let lab = Lab::new();
    lab.no_dist("pip");
    lab.no_dist("opentelemetry-instrumentation-flask");
    let finding = lab.finding("coverage.instrumentation-installed");
    assert!(finding.remedy.starts_with("uv pip install --python "), "{finding:?}");
}
