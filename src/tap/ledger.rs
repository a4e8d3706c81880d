//! What arrived: every span with the process that sent it. Counts copies; never drops one.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

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

/// All spans received so far; shared between the receiver and whoever waits for spans.
#[derive(Debug, Default)]
pub struct Ledger {
    inner: Mutex<Inner>,
    arrived: Condvar,
}

#[derive(Debug, Default)]
struct Inner {
    spans: Vec<SpanRecord>,
    /// How often each span id arrived.
    copies: HashMap<[u8; 8], u32>,
    /// Attributes of each service's resource, as last seen.
    resources: BTreeMap<String, BTreeMap<String, String>>,
    /// Export calls that were refused for their key.
    refused: u64,
}

impl Ledger {
    /// Adds what one export call carried.
    pub fn add(&self, spans: Vec<SpanRecord>, resources: Vec<(String, BTreeMap<String, String>)>) {
        let mut inner = self.lock();
        for span in &spans {
            *inner.copies.entry(span.span_id).or_default() += 1;
        }
        inner.spans.extend(spans);
        inner.resources.extend(resources);
        drop(inner);
        self.arrived.notify_all();
    }

    /// Counts an export call without the right key.
    pub fn refuse(&self) {
        self.lock().refused += 1;
        self.arrived.notify_all();
    }

    /// Export calls without the right key.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.lock().refused
    }

    /// A copy of everything received, in order of arrival, repeated spans included.
    #[must_use]
    pub fn spans(&self) -> Vec<SpanRecord> {
        self.lock().spans.clone()
    }

    /// Number of spans received, copies included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lock().spans.len()
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
        self.lock().copies.values().filter(|copies| **copies > 1).count()
    }

    /// Waits until `done` says so, looking again at each arrival; false when the time is up first.
    pub fn wait(&self, limit: Duration, mut done: impl FnMut(&[SpanRecord]) -> bool) -> bool {
        let end = Instant::now() + limit;
        let mut inner = self.lock();
        loop {
            if done(&inner.spans) {
                return true;
            }
            let Some(left) = end.checked_duration_since(Instant::now()) else {
                return false;
            };
            inner = self.arrived.wait_timeout(inner, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
