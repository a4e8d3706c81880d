//! Fixtures of the family `span`.

use super::Fixture;
use super::lab::Lab;

pub(super) const FIXTURES: &[Fixture] = &[
    Fixture {
        id: "span.python",
        pass: |lab| {
            lab.offline = false;
            says(
                lab,
                r#"{"ok": true, "initialised": true, "endpoint": "https://ingest.eu.signoz.cloud:443"}"#,
            );
        },
        fail: |lab| {
            lab.offline = false;
            says(
                lab,
                r#"{"ok": false, "stage": "import", "error": "ModuleNotFoundError: No module named 'pkg_resources'"}"#,
            );
        },
        says: "setuptools",
    },
    Fixture {
        id: "span.flushed-at-stop",
        pass: |_| {},
        fail: |lab| lab.file("Procfile", "web: opentelemetry-instrument uvicorn app:app --port 8000\n"),
        says: ".signoz/run.sh uvicorn app:app",
    },
];

/// An interpreter that prints what the probe in a real one would (`tests/cures.rs` runs the real one).
fn says(lab: &Lab, line: &str) {
    lab.file(
        ".venv/bin/python3",
        &format!("#!/bin/sh\nprintf '%s\\n' '{}'\n", line.replace('\'', "'\\''")),
    );
}
