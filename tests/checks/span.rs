//! Fixtures of the family `span`.

use super::Fixture;

pub(super) const FIXTURES: &[Fixture] = &[Fixture {
    id: "span.flushed-at-stop",
    pass: |_| {},
    fail: |lab| lab.file("Procfile", "web: opentelemetry-instrument uvicorn app:app --port 8000\n"),
    says: ".signoz/run.sh uvicorn app:app",
}];
