//! Requests against spans: who served, what arrived, what did not, what came twice. Pure.
//!
//! The server's span of a request is the one with our trace id whose parent is the span id that we sent.

use crate::domain::report::WorkerRow;
use crate::tap::{SpanKind, SpanRecord};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// A request (or task) that was sent and served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Served {
    /// Its trace.
    pub(super) trace: [u8; 16],
    /// The parent that we gave it.
    pub(super) parent: [u8; 8],
    /// The process that the kernel saw accepting it; `None` where that cannot be seen.
    pub(super) worker: Option<u32>,
    /// HTTP status of the answer.
    pub(super) status: Option<u16>,
    /// It was part of the last burst before SIGTERM.
    pub(super) at_stop: bool,
}

/// What the ledger says about the requests.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Tally {
    /// One row for each worker, by process id.
    pub(super) rows: Vec<WorkerRow>,
    /// Requests without a span, last burst excluded.
    pub(super) lost: u64,
    /// Requests of the last burst without a span.
    pub(super) lost_at_stop: u64,
    /// Spans of our requests that arrived more than once.
    pub(super) duplicated: u64,
    /// Spans in our traces that are not the server's.
    pub(super) others_in_our_traces: u64,
    /// Server spans in traces that are not ours.
    pub(super) foreign: u64,
    /// Everything that arrived, copies included.
    pub(super) arrived: u64,
    /// Requests whose worker the kernel did not show.
    pub(super) unattributed: u64,
    /// `service.name` of the spans of our requests.
    pub(super) services: BTreeSet<String>,
}

/// Whether each served request has its span.
pub(super) fn complete(served: &[Served], kind: SpanKind, spans: &[SpanRecord]) -> bool {
    let arrived: BTreeSet<([u8; 16], [u8; 8])> = spans
        .iter()
        .filter(|span| span.kind == kind)
        .map(|span| (span.trace_id, span.parent_id))
        .collect();
    served.iter().all(|request| arrived.contains(&(request.trace, request.parent)))
}

/// Counts. `workers` get a row even when they served nothing.
pub(super) fn count(server: &str, kind: SpanKind, workers: &BTreeSet<u32>, served: &[Served], spans: &[SpanRecord]) -> Tally {
    let mut tally = Tally {
        arrived: spans.len() as u64,
        ..Tally::default()
    };
    let ours: HashMap<[u8; 16], &Served> = served.iter().map(|request| (request.trace, request)).collect();
    let mut of_request: HashMap<[u8; 16], Vec<&SpanRecord>> = HashMap::new();
    for span in spans {
        match ours.get(&span.trace_id) {
            Some(request) if span.kind == kind && span.parent_id == request.parent => {
                tally.services.insert(span.service.clone());
                of_request.entry(span.trace_id).or_default().push(span);
            }
            Some(_) => tally.others_in_our_traces += 1,
            None if span.kind == kind => tally.foreign += 1,
            None => {}
        }
    }
    let mut rows: BTreeMap<u32, WorkerRow> = workers.iter().map(|pid| (*pid, row(server, *pid))).collect();
    for request in served {
        let arrived = of_request.get(&request.trace).map_or(&[][..], Vec::as_slice);
        let exporter = arrived.iter().find_map(|span| span.process);
        if request.worker.is_none() {
            tally.unattributed += 1;
        }
        // Where nobody knows, process id 0 stands for it.
        let pid = request.worker.or(exporter).unwrap_or(0);
        let row = rows.entry(pid).or_insert_with(|| row(server, pid));
        let ids: BTreeSet<[u8; 8]> = arrived.iter().map(|span| span.span_id).collect();
        let twice = ids
            .iter()
            .filter(|id| arrived.iter().filter(|span| span.span_id == **id).count() > 1)
            .count() as u64;
        row.requests += 1;
        row.spans += arrived.len() as u64;
        row.unique_spans += ids.len() as u64;
        // A second span of the same request from a second instrumentation is a copy to whoever reads the traces.
        row.duplicated += twice + (ids.len() as u64).saturating_sub(1);
        if ids.is_empty() {
            row.lost += 1;
            if request.at_stop {
                tally.lost_at_stop += 1;
            } else {
                tally.lost += 1;
            }
        }
    }
    tally.duplicated = rows.values().map(|row| row.duplicated).sum();
    tally.rows = rows.into_values().collect();
    tally
}

fn row(server: &str, pid: u32) -> WorkerRow {
    WorkerRow {
        pid,
        server: server.to_owned(),
        ..WorkerRow::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn served(trace: u8, worker: Option<u32>, at_stop: bool) -> Served {
        Served {
            trace: [trace; 16],
            parent: [9; 8],
            worker,
            status: Some(200),
            at_stop,
        }
    }

    fn span(trace: u8, id: u8, kind: SpanKind, parent: u8) -> SpanRecord {
        SpanRecord {
            trace_id: [trace; 16],
            span_id: [id; 8],
            parent_id: [parent; 8],
            name: "/".to_owned(),
            kind,
            service: "shop".to_owned(),
            scope: String::new(),
            start_ns: 0,
            end_ns: 0,
            attributes: Vec::new(),
            process: Some(77),
        }
    }

    #[test]
    fn lost_twice_and_silent_workers_are_told_apart() {
        let requests = [
            served(1, Some(10), false),
            served(2, Some(10), false),
            served(3, Some(11), false),
            served(4, Some(11), true),
            served(5, None, false),
        ];
        let spans = [
            span(1, 1, SpanKind::Server, 9),
            span(1, 1, SpanKind::Server, 9),
            // The app called itself: a server span of our trace, but not of our request.
            span(1, 8, SpanKind::Server, 7),
            span(3, 3, SpanKind::Internal, 9),
            span(5, 5, SpanKind::Server, 9),
            span(6, 6, SpanKind::Server, 0),
        ];
        let tally = count("gunicorn", SpanKind::Server, &BTreeSet::from([10, 11, 12]), &requests, &spans);
        let short: Vec<_> = tally
            .rows
            .iter()
            .map(|row| (row.pid, row.requests, row.spans, row.unique_spans, row.lost, row.duplicated))
            .collect();
        assert_eq!(
            short,
            [(10, 2, 2, 1, 1, 1), (11, 2, 0, 0, 2, 0), (12, 0, 0, 0, 0, 0), (77, 1, 1, 1, 0, 0)]
        );
        assert_eq!((tally.lost, tally.lost_at_stop, tally.duplicated, tally.unattributed), (2, 1, 1, 1));
        assert_eq!((tally.others_in_our_traces, tally.foreign, tally.arrived), (2, 1, 6));
        assert!(!complete(&requests, SpanKind::Server, &spans));
        assert!(complete(&requests[..1], SpanKind::Server, &spans));
    }

    #[test]
    fn a_request_instrumented_by_two_libraries_counts_as_duplicated() {
        let spans = [span(1, 1, SpanKind::Server, 9), span(1, 2, SpanKind::Server, 9)];
        let tally = count("uvicorn", SpanKind::Server, &BTreeSet::new(), &[served(1, Some(10), false)], &spans);
        assert_eq!((tally.rows[0].unique_spans, tally.duplicated), (2, 1));
    }
}
