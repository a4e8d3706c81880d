//! What arrived: every span with the process that sent it. Counts copies; never miscounts to save memory.
//!
//! Counters are exact for everything received. The newest messages are kept, so that a receiver that runs for days stays
//! small, and their records are made when somebody looks at them, so that receiving stays cheap.

use super::decode::{self, Arrival, Resource};
use super::recent::Recent;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Spans that are kept, the newest; a message is forgotten as a whole.
pub const KEPT_SPANS: usize = 200_000;
/// Messages and records that are kept, in bytes (about); whichever of the two bounds comes first.
pub const KEPT_BYTES: usize = 128 * 1024 * 1024;
/// Services whose resource is remembered.
const KEPT_RESOURCES: usize = 1_000;

/// The role of a span (OTLP `Span.SpanKind`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SpanKind {
    /// Work inside the app, or unspecified.
    Internal,
    /// A request that the app served.
    Server,
    /// A request that the app made.
    Client,
    /// A message that it sent.
    Producer,
    /// A message (a Celery task) that it worked on.
    Consumer,
}

/// One received span.
#[derive(Debug, Clone)]
pub struct SpanRecord {
    /// 16 bytes.
    pub trace_id: [u8; 16],
    /// 8 bytes.
    pub span_id: [u8; 8],
    /// 8 bytes; zero for a root.
    pub parent_id: [u8; 8],
    /// Span name.
    pub name: String,
    /// Role.
    pub kind: SpanKind,
    /// `service.name` of its resource.
    pub service: String,
    /// Instrumentation scope's name.
    pub scope: String,
    /// Start, in nanoseconds since the epoch.
    pub start_ns: u64,
    /// End, in nanoseconds since the epoch.
    pub end_ns: u64,
    /// Attributes as text.
    pub attributes: Vec<(String, String)>,
    /// The process that holds the other end of the connection; `None` where it cannot be known.
    pub process: Option<u32>,
}

impl SpanRecord {
    /// About how much memory it takes, in bytes.
    fn weight(&self) -> usize {
        let texts: usize = self.attributes.iter().map(|(name, value)| name.len() + value.len() + 48).sum();
        size_of::<Self>() + self.name.len() + self.service.len() + self.scope.len() + texts
    }
}

/// What one process sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ProcessCount {
    /// Spans received from it, copies included.
    pub spans: u64,
    /// Spans that had not been seen before.
    pub unique: u64,
    /// Spans that had: `spans - unique`.
    pub copies: u64,
    /// Spans of the kind `Server` that had not been seen before.
    pub server: u64,
}

/// All counters at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// Spans received, copies included.
    pub spans: u64,
    /// Spans whose record is kept.
    pub kept: u64,
    /// Different spans that arrived more than once.
    pub duplicated: u64,
    /// Arrivals beyond the first of a span.
    pub copies: u64,
    /// Data points of metrics.
    pub metric_points: u64,
    /// Log records.
    pub log_records: u64,
    /// Export calls without the right key.
    pub refused: u64,
    /// Export calls that could not be read: malformed, too large, of an unknown type.
    pub unreadable: u64,
    /// Grows with each arrival of anything.
    pub revision: u64,
}

/// All spans received so far; shared between the receiver and whoever waits for spans.
#[derive(Debug, Default)]
pub struct Ledger {
    inner: Mutex<Inner>,
    arrived: Condvar,
}

#[derive(Debug, Default)]
struct Inner {
    /// Records that somebody looked at; older than all that is unread.
    read: VecDeque<SpanRecord>,
    unread: VecDeque<Unread>,
    /// Spans in `unread`.
    unread_spans: usize,
    /// About how much memory both take, in bytes.
    weight: usize,
    seen: Recent,
    processes: BTreeMap<Option<u32>, ProcessCount>,
    /// Attributes of each service's resource, as last seen.
    resources: BTreeMap<String, BTreeMap<String, String>>,
    totals: Totals,
}

/// A message that nobody has looked at yet.
#[derive(Debug)]
struct Unread {
    content: Content,
    spans: usize,
}

#[derive(Debug)]
enum Content {
    /// A checked export in protobuf, and the process that sent it.
    Export(Box<[u8]>, Option<u32>),
    Records(Vec<SpanRecord>),
}

impl Unread {
    fn weight(&self) -> usize {
        size_of::<Self>()
            + match &self.content {
                Content::Export(bytes, _) => bytes.len(),
                Content::Records(records) => records.iter().map(SpanRecord::weight).sum(),
            }
    }
}

/// What fell out of memory.
enum Forgotten {
    Message(#[expect(dead_code, reason = "kept only to be dropped late")] Unread),
    Record(#[expect(dead_code, reason = "kept only to be dropped late")] SpanRecord),
}

impl Ledger {
    /// Adds what one export call carried.
    pub fn add(&self, spans: Vec<SpanRecord>, resources: Vec<Resource>) {
        let arrivals: Vec<(Option<u32>, Arrival)> = spans
            .iter()
            .map(|span| {
                let server = span.kind == SpanKind::Server;
                let span_id = span.span_id;
                (span.process, Arrival { span_id, server })
            })
            .collect();
        self.take(arrivals.into_iter(), resources, Content::Records(spans));
    }

    /// Adds a checked export in protobuf, with what was read of it.
    pub(super) fn add_export(&self, export: Box<[u8]>, process: Option<u32>, spans: &[Arrival], resources: Vec<Resource>) {
        let arrivals = spans.iter().map(|arrival| (process, *arrival));
        self.take(arrivals, resources, Content::Export(export, process));
    }

    fn take(&self, arrivals: impl ExactSizeIterator<Item = (Option<u32>, Arrival)>, resources: Vec<Resource>, content: Content) {
        let message = Unread {
            content,
            spans: arrivals.len(),
        };
        let weight = message.weight();
        let mut inner = self.lock();
        inner.count(arrivals);
        inner.weight += weight;
        inner.unread_spans += message.spans;
        inner.unread.push_back(message);
        let forgotten = inner.forget();
        for (service, attributes) in resources {
            if inner.resources.len() < KEPT_RESOURCES || inner.resources.contains_key(&service) {
                inner.resources.insert(service, attributes);
            }
        }
        drop(inner);
        self.arrived.notify_all();
        // Freeing takes longer than counting: not while others wait for the lock.
        drop(forgotten);
    }

    /// Counts an export call without the right key.
    pub fn refuse(&self) {
        self.count(|totals| totals.refused += 1);
    }

    /// Counts an export call that could not be read.
    pub fn unreadable(&self) {
        self.count(|totals| totals.unreadable += 1);
    }

    /// Counts data points of metrics.
    pub fn add_metrics(&self, points: u64) {
        self.count(|totals| totals.metric_points += points);
    }

    /// Counts log records.
    pub fn add_logs(&self, records: u64) {
        self.count(|totals| totals.log_records += records);
    }

    /// Export calls without the right key.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.lock().totals.refused
    }

    /// A copy of the kept records, in order of arrival, repeated spans included.
    #[must_use]
    pub fn spans(&self) -> Vec<SpanRecord> {
        self.lock().records().to_vec()
    }

    /// A copy of the newest kept records, oldest of them first; cheap, also while much arrives.
    #[must_use]
    pub fn newest(&self, count: usize) -> Vec<SpanRecord> {
        let inner = self.lock();
        let mut newest: VecDeque<SpanRecord> = VecDeque::new();
        for message in inner.unread.iter().rev() {
            if newest.len() >= count {
                break;
            }
            let mut records = Vec::with_capacity(message.spans);
            match &message.content {
                Content::Export(bytes, process) => decode::records(bytes, *process, |record| records.push(record)),
                Content::Records(kept) => records.extend(kept.iter().cloned()),
            }
            records.into_iter().rev().for_each(|record| newest.push_front(record));
        }
        for record in inner.read.iter().rev().take(count.saturating_sub(newest.len())) {
            newest.push_front(record.clone());
        }
        let surplus = newest.len().saturating_sub(count);
        newest.into_iter().skip(surplus).collect()
    }

    /// The kept records of one trace, each span once, by start time.
    #[must_use]
    pub fn trace(&self, trace_id: [u8; 16]) -> Vec<SpanRecord> {
        let mut inner = self.lock();
        let of_trace = inner.records().iter().filter(|span| span.trace_id == trace_id);
        let mut spans: Vec<SpanRecord> = of_trace.cloned().collect();
        drop(inner);
        spans.sort_by_key(|span| (span.start_ns, span.span_id));
        spans.dedup_by_key(|span| span.span_id);
        spans
    }

    /// Number of spans received, copies included.
    #[must_use]
    pub fn len(&self) -> usize {
        usize::try_from(self.lock().totals.spans).unwrap_or(usize::MAX)
    }

    /// Nothing has arrived.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Resource attributes by service name.
    #[must_use]
    pub fn resources(&self) -> BTreeMap<String, BTreeMap<String, String>> {
        self.lock().resources.clone()
    }

    /// How many spans arrived more than once.
    #[must_use]
    pub fn duplicated(&self) -> usize {
        usize::try_from(self.lock().totals.duplicated).unwrap_or(usize::MAX)
    }

    /// What each process sent; `None` holds the spans whose process could not be known.
    #[must_use]
    pub fn by_process(&self) -> BTreeMap<Option<u32>, ProcessCount> {
        self.lock().processes.clone()
    }

    /// All counters.
    #[must_use]
    pub fn totals(&self) -> Totals {
        self.lock().totals()
    }

    /// Waits until `done` says so, looking again at each arrival; false when the time is up first.
    pub fn wait(&self, limit: Duration, mut done: impl FnMut(&[SpanRecord]) -> bool) -> bool {
        let end = Instant::now() + limit;
        let mut inner = self.lock();
        loop {
            if done(inner.records()) {
                return true;
            }
            let Some(left) = end.checked_duration_since(Instant::now()) else {
                return false;
            };
            inner = self.arrived.wait_timeout(inner, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits for anything that came after `revision`, for a live view; the totals at its return.
    pub fn wait_news(&self, limit: Duration, revision: u64) -> Totals {
        let inner = self.lock();
        let (inner, _) = self
            .arrived
            .wait_timeout_while(inner, limit, |inner| inner.totals.revision <= revision)
            .unwrap_or_else(PoisonError::into_inner);
        inner.totals()
    }

    fn count(&self, change: impl FnOnce(&mut Totals)) {
        let mut inner = self.lock();
        change(&mut inner.totals);
        inner.totals.revision += 1;
        drop(inner);
        self.arrived.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn totals(&self) -> Totals {
        Totals {
            kept: (self.read.len() + self.unread_spans) as u64,
            ..self.totals
        }
    }

    fn count(&mut self, arrivals: impl ExactSizeIterator<Item = (Option<u32>, Arrival)>) {
        self.totals.spans += arrivals.len() as u64;
        self.totals.revision += 1;
        for (process, arrival) in arrivals {
            let times = self.seen.count(arrival.span_id);
            let process = self.processes.entry(process).or_default();
            process.spans += 1;
            if times == 1 {
                process.unique += 1;
                process.server += u64::from(arrival.server);
            } else {
                process.copies += 1;
                self.totals.copies += 1;
                self.totals.duplicated += u64::from(times == 2);
            }
        }
    }

    /// Makes room, oldest first; the newest message stays whatever its size.
    fn forget(&mut self) -> Vec<Forgotten> {
        let mut forgotten = Vec::new();
        while (self.read.len() + self.unread_spans > KEPT_SPANS || self.weight > KEPT_BYTES) && self.read.len() + self.unread.len() > 1 {
            if let Some(record) = self.read.pop_front() {
                self.weight -= record.weight();
                forgotten.push(Forgotten::Record(record));
            } else if let Some(message) = self.unread.pop_front() {
                self.weight -= message.weight();
                self.unread_spans -= message.spans;
                forgotten.push(Forgotten::Message(message));
            }
        }
        forgotten
    }

    /// All kept records; makes those of the unread messages first.
    fn records(&mut self) -> &[SpanRecord] {
        while let Some(message) = self.unread.pop_front() {
            self.weight -= message.weight();
            self.unread_spans -= message.spans;
            let before = self.read.len();
            match message.content {
                Content::Export(bytes, process) => decode::records(&bytes, process, |record| self.read.push_back(record)),
                Content::Records(records) => self.read.extend(records),
            }
            self.weight += self.read.range(before..).map(SpanRecord::weight).sum::<usize>();
            // A record takes more memory than its part of a message.
            drop(self.forget());
        }
        self.read.make_contiguous()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(id: u64, process: u32) -> SpanRecord {
        SpanRecord {
            trace_id: [1; 16],
            span_id: id.to_be_bytes(),
            parent_id: [0; 8],
            name: "GET /".to_owned(),
            kind: SpanKind::Server,
            service: "shop".to_owned(),
            scope: String::new(),
            start_ns: id,
            end_ns: id + 1,
            attributes: Vec::new(),
            process: Some(process),
        }
    }

    #[test]
    fn copies_are_counted_for_the_process_that_sent_them() {
        let ledger = Ledger::default();
        ledger.add(vec![span(1, 10), span(2, 10)], Vec::new());
        ledger.add(vec![span(1, 11), span(1, 11), span(3, 11)], Vec::new());
        assert_eq!(ledger.len(), 5);
        assert_eq!(ledger.duplicated(), 1);
        assert_eq!(ledger.totals().copies, 2);
        let by_process = ledger.by_process();
        assert_eq!(
            by_process[&Some(11)],
            ProcessCount {
                spans: 3,
                unique: 1,
                copies: 2,
                server: 1
            }
        );
        assert_eq!(ledger.trace([1; 16]).len(), 3);
    }

    #[test]
    fn records_are_bounded_and_counters_are_not() {
        let ledger = Ledger::default();
        let all = KEPT_SPANS as u64 + 5_000;
        for first in (0..all).step_by(1_000) {
            ledger.add((first..first + 1_000).map(|id| span(id, 1)).collect(), Vec::new());
        }
        let totals = ledger.totals();
        assert_eq!((totals.spans, totals.kept), (all, KEPT_SPANS as u64));
        assert_eq!(ledger.newest(1)[0].start_ns, all - 1);
        assert_eq!(ledger.by_process()[&Some(1)].unique, all);
        let newest = ledger.newest(1_500);
        assert_eq!((newest.len(), newest[0].start_ns), (1_500, all - 1_500));
        assert_eq!(ledger.spans()[0].start_ns, 5_000);
        ledger.add(vec![span(all, 1)], Vec::new());
        let newest: Vec<u64> = ledger.newest(2).iter().map(|span| span.start_ns).collect();
        assert_eq!(newest, [all - 1, all]);
        assert_eq!(ledger.totals().kept, KEPT_SPANS as u64);
    }

    #[test]
    fn large_spans_are_bounded_by_their_bytes() {
        let ledger = Ledger::default();
        for id in 0..300 {
            let mut large = span(id, 1);
            large.attributes.push(("text".to_owned(), "x".repeat(1 << 20)));
            ledger.add(vec![large], Vec::new());
        }
        assert_eq!(ledger.len(), 300);
        assert!(ledger.totals().kept <= 128, "{:?}", ledger.totals());
    }

    #[test]
    fn a_waiter_is_woken_by_what_it_waits_for() {
        let ledger = std::sync::Arc::new(Ledger::default());
        let other = std::sync::Arc::clone(&ledger);
        let waiter = std::thread::spawn(move || other.wait(Duration::from_secs(30), |spans| spans.len() == 2));
        ledger.add(vec![span(1, 1)], Vec::new());
        ledger.refuse();
        ledger.add(vec![span(2, 1)], Vec::new());
        assert!(waiter.join().unwrap());
        assert!(!ledger.wait(Duration::ZERO, |spans| spans.len() == 3));
        assert_eq!(ledger.wait_news(Duration::from_secs(30), 2).refused, 1);
    }
}
