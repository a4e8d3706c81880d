//! `--tap`: the embedded receiver with a view of the spans as they come.

use super::{Context, answers};
use crate::domain::answers::{Destination, Draft};
use crate::domain::report::{Report, TapReport};
use crate::domain::{Event, Protocol};
use crate::error::{Error, Result};
use crate::tap::{Forward, SpanRecord, Tap, TapOptions};
use std::time::Duration;

/// Ports that exporters use when nothing else is said (OTLP specification).
const GRPC: u16 = 4317;
const HTTP: u16 = 4318;

/// How long one look at the ledger may wait, so that Ctrl-C is answered at once.
const LOOK: Duration = Duration::from_millis(100);

/// Receives until it is interrupted.
pub(super) fn run(context: &Context) -> Result<Report> {
    let forward = if context.cli.forward { Some(forward(answers::given(context, &answers::project(&context.cli)?)?)?) } else { None };
    let tap = Tap::start(&context.system.runtime, TapOptions { grpc_port: GRPC, http_port: HTTP, required_key: None, forward })?;
    context.progress.line(&format!("receiving OTLP on {} (gRPC) and {} (HTTP); Ctrl-C ends it", tap.grpc_endpoint(), tap.http_endpoint()));
    let ledger = tap.ledger();
    let mut seen = 0;
    while context.system.cancel.signal().is_none() {
        for span in ledger.since(&mut seen, LOOK) {
            context.progress.line(&line(&span));
        }
    }
    let mut report = Report::new("tap");
    let counts = ledger.counts();
    if counts.forward_failed > 0 {
        (context.progress).event(&Event::Warning { text: format!("{} exports could not be passed on", counts.forward_failed) });
    }
    report.tap = Some(TapReport { spans: counts.spans, unique_spans: counts.unique_spans, duplicated: counts.duplicated, refused: counts.refused, forwarded: counts.forwarded, forward_failed: counts.forward_failed });
    Ok(report)
}

fn forward(draft: Draft) -> Result<Forward> {
    let destination = match (draft.endpoint, draft.region) {
        (Some(endpoint), _) => Destination::Endpoint(endpoint),
        (None, Some(region)) => Destination::Region(region),
        (None, None) => {
            return Err(Error::usage("--forward does not know where to").remedy("pass --region or --endpoint, or set SIGNOZ_REGION or SIGNOZ_ENDPOINT"));
        }
    };
    if draft.key.is_none() && matches!(destination, Destination::Region(_)) {
        return Err(Error::usage("--forward to SigNoz Cloud needs the ingestion key").remedy("pass --ingestion-key-file or set SIGNOZ_INGESTION_KEY"));
    }
    Ok(Forward { endpoint: destination.endpoint(), key: draft.key, protocol: draft.protocol.unwrap_or(Protocol::Grpc) })
}

/// `shop  GET /cart  server  12.3 ms  pid 4711  trace 4bf9…`. Names come from outside: control characters are dropped.
fn line(span: &SpanRecord) -> String {
    let clean = |text: &str| text.chars().filter(|character| !character.is_control()).take(80).collect::<String>();
    let pid = span.process.map(|pid| format!("  pid {pid}")).unwrap_or_default();
    let trace: String = span.trace_id.iter().map(|byte| format!("{byte:02x}")).collect();
    let nanoseconds = span.end_ns.saturating_sub(span.start_ns);
    format!(
        "{}  {}  {}  {}.{:03} ms{pid}  trace {trace}",
        clean(&span.service),
        clean(&span.name),
        format!("{:?}", span.kind).to_lowercase(),
        nanoseconds / 1_000_000,
        nanoseconds / 1_000 % 1_000,
    )
}
