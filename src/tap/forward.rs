//! Passing on what arrived. Never makes a sender wait: what does not fit the queue is dropped and counted.

use super::Forward;
use crate::domain::target::Protocol;
use crate::system::net::http::{Session, Talk};
use crate::system::net::otlp::{self, Signal};
use crate::system::net::proxy::{self, Choice};
use crate::system::net::trust::Trust;
use crate::system::net::{Route, dial};
use bytes::Bytes;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// Export calls that may wait, and bytes that they may hold.
const QUEUE: usize = 1_024;
const QUEUE_BYTES: usize = 64 * 1024 * 1024;
/// How long one attempt may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Pauses between attempts; then the call is given up.
const PAUSES: [Duration; 3] = [Duration::from_millis(500), Duration::from_secs(2), Duration::from_secs(5)];

/// How forwarding goes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Forwarded {
    /// Export calls that the endpoint accepted.
    pub accepted: u64,
    /// Export calls that it refused, or that did not reach it.
    pub failed: u64,
    /// Export calls that did not fit the queue.
    pub dropped: u64,
    /// What the last failure was.
    pub last_failure: Option<String>,
}

/// The receiver's end of forwarding.
#[derive(Debug)]
pub(super) struct Queue {
    sender: mpsc::Sender<(Signal, Bytes)>,
    waiting: Arc<AtomicUsize>,
    state: Arc<Mutex<Forwarded>>,
}

impl Queue {
    /// Puts a message in the queue, or drops it.
    pub(super) fn push(&self, signal: Signal, message: Bytes) {
        let size = message.len();
        let fits = self.waiting.fetch_add(size, Ordering::Relaxed) + size <= QUEUE_BYTES;
        if !fits || self.sender.try_send((signal, message)).is_err() {
            self.waiting.fetch_sub(size, Ordering::Relaxed);
            lock(&self.state).dropped += 1;
        }
    }

    /// How it goes.
    pub(super) fn state(&self) -> Forwarded {
        lock(&self.state).clone()
    }
}

/// A queue and the work that empties it.
pub(super) fn start(forward: Forward) -> (Queue, impl Future<Output = ()> + Send) {
    let (sender, receiver) = mpsc::channel(QUEUE);
    let queue = Queue {
        sender,
        waiting: Arc::default(),
        state: Arc::default(),
    };
    let work = empty(forward, receiver, Arc::clone(&queue.waiting), Arc::clone(&queue.state));
    (queue, work)
}

async fn empty(forward: Forward, mut queue: mpsc::Receiver<(Signal, Bytes)>, waiting: Arc<AtomicUsize>, state: Arc<Mutex<Forwarded>>) {
    let trust = Trust::of(&forward.env);
    let mut session = None;
    while let Some((signal, message)) = queue.recv().await {
        let mut pauses = PAUSES.iter();
        loop {
            match attempt(&forward, &trust, &mut session, signal, &message).await {
                Ok(()) => {
                    lock(&state).accepted += 1;
                    break;
                }
                Err(failure) => {
                    session = None;
                    let pause = pauses.next().filter(|_| failure.again);
                    note(&state, failure.text, pause.is_none());
                    let Some(pause) = pause else { break };
                    tokio::time::sleep(*pause).await;
                }
            }
        }
        waiting.fetch_sub(message.len(), Ordering::Relaxed);
    }
}

struct Failed {
    text: String,
    /// Worth another attempt.
    again: bool,
}

async fn attempt(forward: &Forward, trust: &Trust, session: &mut Option<Session>, signal: Signal, message: &Bytes) -> Result<(), Failed> {
    let failed = |text: String, again| Failed { text, again };
    let deadline = Instant::now() + PATIENCE;
    let decision = proxy::choose(&forward.env, &forward.endpoint, forward.protocol);
    let proxy = match &decision.choice {
        Choice::Direct => None,
        Choice::Via(proxy) => Some(proxy),
        Choice::Unusable { variable, why } => return Err(failed(format!("`{variable}` cannot be used: {why}"), false)),
    };
    let (talk, alpn) = match forward.protocol {
        Protocol::Grpc => (Talk::Http2, ["h2"]),
        Protocol::HttpProtobuf => (Talk::Http1, ["http/1.1"]),
    };
    let mut open = match session.take() {
        Some(open) => open,
        None => {
            let route = Route {
                endpoint: &forward.endpoint,
                proxy,
                tunnel: true,
                trust,
                alpn: &alpn,
                deadline,
            };
            let connection = dial(&route, &mut |_| {})
                .await
                .map_err(|failure| failed(failure.to_string(), true))?;
            Session::start(connection, talk, deadline)
                .await
                .map_err(|none| failed(none.cause.to_string(), true))?
        }
    };
    let request = otlp::request(&forward.endpoint, forward.protocol, signal, forward.key.as_ref(), message, false)
        .map_err(|error| failed(error.to_string(), false))?;
    let answer = open
        .send(request, deadline, 64 * 1024)
        .await
        .map_err(|none| failed(format!("no answer: {}", none.cause), true))?;
    *session = Some(open);
    let refused = match (answer.status, forward.protocol, otlp::grpc_status(&answer)) {
        (200, Protocol::Grpc, Some(status)) if status.code == 0 => return Ok(()),
        (200, Protocol::Grpc, Some(status)) => failed(
            format!("gRPC status {}: {}", status.code, crate::system::net::shown(&status.message)),
            matches!(status.code, 1 | 4 | 8 | 10 | 11 | 14 | 15),
        ),
        (200..=299, Protocol::HttpProtobuf, _) => return Ok(()),
        (status, _, _) => failed(format!("HTTP status {status}"), matches!(status, 429 | 502 | 503 | 504)),
    };
    Err(refused)
}

fn note(state: &Mutex<Forwarded>, failure: String, given_up: bool) {
    let mut state = lock(state);
    state.last_failure = Some(failure);
    state.failed += u64::from(given_up);
}

fn lock(state: &Mutex<Forwarded>) -> std::sync::MutexGuard<'_, Forwarded> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
