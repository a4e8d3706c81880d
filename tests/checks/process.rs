//! Fixtures of the family `process`.

use super::Fixture;

pub(super) const FIXTURES: &[Fixture] = &[Fixture {
    id: "process.log-messages",
    pass: |lab| lab.says("[INFO] Listening at: http://127.0.0.1:8000"),
    fail: |lab| {
        lab.says("[INFO] Listening at: http://127.0.0.1:8000");
        lab.says("Header format invalid! Header values in environment variables must be URL encoded: signoz-ingestion-key: canary-6f1e-4a52-9b0c");
        lab.says("Failed to export traces, error code: StatusCode.UNAUTHENTICATED");
    },
    says: "OTEL_EXPORTER_OTLP_HEADERS is malformed",
}];
