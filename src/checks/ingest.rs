//! Checks on what the endpoint says of the key and the span.

use super::{Check, Family, ROW, Scene, Verdict, page, probe};

const INGEST: Check = Check {
    family: Family::Ingest,
    doc: "https://signoz.io/docs/ingestion/signoz-cloud/troubleshooting/",
    network: true,
    spared: probe::no_endpoint,
    needs: &["network.endpoint-reachable"],
    ..ROW
};

/// In their order.
pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "ingest.key-accepted",
        title: "the endpoint does not refuse the ingestion key",
        why: "spans with a wrong, expired or foreign key are refused, every one of them",
        remedy: "copy region and key from SigNoz, Settings, Ingestion, and run set-up again",
        page: page!("ingest.key-accepted"),
        covers: &["E01", "E02", "E04"],
        run: |scene| probe::stage(scene, "auth", "HEADERS"),
        ..INGEST
    },
    Check {
        id: "ingest.accepted",
        title: "the endpoint accepts one verification span",
        why: "what refuses one span refuses those of the app as well",
        remedy: "give the address of an OTLP receiver in OTEL_EXPORTER_OTLP_ENDPOINT",
        page: page!("ingest.accepted"),
        covers: &["E03", "E10", "E11"],
        run: accepted,
        ..INGEST
    },
];

/// A call that succeeds may still have rejected the span.
fn accepted(scene: &Scene<'_>) -> Verdict {
    match probe::stage(scene, "accepted", "ENDPOINT") {
        Verdict::Pass(detail) => match probe::stage(scene, "partial_success", "ENDPOINT") {
            Verdict::Fail(failure) => Verdict::Fail(failure),
            _ => Verdict::Pass(detail),
        },
        other => other,
    }
}
