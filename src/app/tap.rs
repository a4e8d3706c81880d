//! `--tap`: the embedded receiver with a view of the spans as they come.

use super::{Context, answers};
use crate::domain::answers::{Destination, Draft};
use crate::domain::report::{Report, TapReport};
use crate::error::{Error, Result};
use crate::tap::{Forward, SpanRecord, Tap, TapOptions};
use std::time::Duration;

/// Ports that exporters use when nothing else is said (OTLP specification).
const GRPC: u16 = 4317;
const HTTP: u16 = 4318;

/// How long one look at the ledger may wait, so that Ctrl-C is answered at once.
const LOOK: Duration = Duration::from_millis(100);

/// How long what is queued for `--forward` may take to be passed on at the end.
const LAST: Duration = Duration::from_secs(5);

/// Lines that are printed for one look at most.
const SHOWN_AT_ONCE: usize = 200;

/// Receives until it is interrupted.
pub(super) fn run(context: &Context) -> Result<Report> {
    if context.cli.forward && context.cli.offline {
        return Err(Error::usage("--forward needs the network, and --offline forbids it").remedy("leave one of them out"));
    }
    let forward = if context.cli.forward {
        Some(forward(context, answers::given(context, &answers::project(&context.cli)?)?)?)
    } else {
        None
    };
    let cli = &context.cli;
    let options = TapOptions {
        grpc_port: cli.grpc_port.unwrap_or(GRPC),
        http_port: cli.http_port.unwrap_or(HTTP),
        required_key: None,
        forward,
    };
    let mut tap = Tap::start(&context.system.runtime, options)?;
    context.progress.line(&format!(
        "receiving OTLP on {} (gRPC) and {} (HTTP); Ctrl-C ends it",
        tap.grpc_endpoint(),
        tap.http_endpoint()
    ));
    let ledger = tap.ledger();
    let (mut shown, mut revision) = (0_u64, 0);
    while context.system.cancel.signal().is_none() {
        let totals = ledger.wait_news(LOOK, revision);
        revision = totals.revision;
        // The ledger keeps the newest spans only; under a flood the view skips, the totals do not.
        let new = usize::try_from(totals.spans.saturating_sub(shown)).unwrap_or(usize::MAX);
        shown = totals.spans;
        for span in ledger.newest(new.min(SHOWN_AT_ONCE)) {
            context.progress.line(&line(&span));
        }
    }
    if let Some(waiting) = tap.forwarded().map(|forwarded| forwarded.waiting).filter(|waiting| *waiting > 0) {
        context.progress.line(&format!(
            "passing on the last {waiting} exports, for {} s at most; Ctrl-C ends it at once",
            LAST.as_secs()
        ));
    }
    tap.finish(LAST, &context.system.cancel);
    let totals = ledger.totals();
    let forwarded = tap.forwarded();
    let mut report = Report::new("tap");
    let failed = forwarded.as_ref().map_or(0, |forwarded| forwarded.failed + forwarded.dropped);
    if failed > 0 {
        let why = forwarded
            .as_ref()
            .and_then(|forwarded| forwarded.last_failure.clone())
            .unwrap_or_default();
        report.warnings.push(format!("{failed} exports could not be passed on: {why}"));
    }
    report.tap = Some(TapReport {
        spans: totals.spans,
        unique_spans: totals.spans - totals.copies,
        duplicated: totals.duplicated,
        refused: totals.refused,
        forwarded: forwarded.map_or(0, |forwarded| forwarded.accepted),
        forward_failed: failed,
    });
    if let Some(signal) = context.system.cancel.signal() {
        super::refuse(&mut report, &Error::interrupted(signal));
    }
    Ok(report)
}

fn forward(context: &Context, draft: Draft) -> Result<Forward> {
    let destination = match (draft.endpoint, draft.region) {
        (Some(endpoint), _) => Destination::Endpoint(endpoint),
        (None, Some(region)) => Destination::Region(region),
        (None, None) => {
            return Err(Error::usage("--forward does not know where to")
                .remedy("pass --region or --endpoint, or set SIGNOZ_REGION or SIGNOZ_ENDPOINT"));
        }
    };
    if draft.key.is_none() && matches!(destination, Destination::Region(_)) {
        return Err(Error::usage("--forward to SigNoz Cloud needs the ingestion key")
            .remedy("pass --ingestion-key-file or set SIGNOZ_INGESTION_KEY"));
    }
    Ok(Forward {
        endpoint: destination.endpoint(),
        key: draft.key,
        protocol: draft.protocol.unwrap_or_default(),
        env: context.system.env.clone(),
    })
}

/// `shop  GET /cart  server  12.3 ms  pid 4711  trace 4bf9…`. Names come from outside: control characters are dropped.
fn line(span: &SpanRecord) -> String {
    let clean = |text: &str| {
        text.chars()
            .filter(|character| !character.is_control())
            .take(80)
            .collect::<String>()
    };
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
