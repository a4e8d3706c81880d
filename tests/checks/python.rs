//! Fixtures of the family `python`.

use super::{Fixture, Lab};
use signoz_setup::domain::Outcome;

pub(super) const FIXTURES: &[Fixture] = &[
    Fixture {
        id: "python.environment",
        pass: |_| {},
        fail: |lab| {
            lab.remove(".venv/bin/python");
            lab.remove(".venv/bin/python3");
        },
        says: "cannot be used",
    },
    Fixture {
        id: "python.own-environment",
        pass: |_| {},
        fail: |lab| {
            lab.remove(".venv");
            lab.managed_python("3.11");
        },
        says: "managed by its distribution",
    },
    Fixture {
        id: "python.release-fits",
        pass: |_| {},
        fail: |lab| {
            lab.python("3.9.18");
            lab.dist("opentelemetry-distro", "0.65b0");
        },
        says: "needs Python 3.10",
    },
    Fixture {
        id: "python.launcher",
        pass: |lab| lab.launcher(&lab.project().join(".venv/bin/python3").display().to_string()),
        fail: |lab| lab.launcher("/build/venv/bin/python3"),
        says: "/build/venv/bin/python3`, which does not exist",
    },
];

#[test]
fn a_launcher_of_another_python_is_named() {
    let lab = Lab::new();
    lab.file("other/bin/python3", "");
    lab.launcher(&lab.project().join("other/bin/python3").display().to_string());
    let finding = lab.finding("python.launcher");
    assert_eq!(finding.outcome, Outcome::Fail);
    assert!(finding.detail.contains("but the app's Python is"), "{finding:?}");
}

#[test]
fn a_python_newer_than_the_release_is_a_warning() {
    let mut lab = Lab::new();
    lab.python("3.14.0");
    lab.dist("opentelemetry-distro", "0.38b0");
    assert_eq!(lab.finding("python.release-fits").outcome, Outcome::Warn);
}
