//! Passing on what arrived. Never makes a sender wait: what does not fit the queue is dropped and counted.

use super::Forward;
use crate::domain::target::Protocol;
use crate::system::net::http::{Session, Talk};
use crate::system::net::otlp::{self, Signal};
use crate::system::net::proxy::{self, Choice, Proxy};
use crate::system::net::trust::Trust;
use crate::system::net::{Route, client, dial, shown};
use bytes::Bytes;
use std::fmt::Display;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, mpsc};

/// Export calls that may wait, and bytes that they may hold.
const QUEUE: usize = 1_024;
const QUEUE_BYTES: usize = 64 * 1024 * 1024;
/// How long one attempt may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How much of an answer is read.
const ANSWER: usize = 64 * 1024;
/// Pauses between attempts; then the call is given up.
const PAUSES: [Duration; 3] = [Duration::from_millis(500), Duration::from_secs(2), Duration::from_secs(5)];

/// How forwarding goes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Forwarded {
    /// Export calls that the endpoint accepted.
    pub accepted: u64,
    /// Export calls that it refused, or that did not reach it.
    pub failed: u64,
    /// Export calls that did not fit the queue, or of which nothing was known yet when the receiver ended.
    pub dropped: u64,
    /// Export calls that are queued or under way.
    pub waiting: u64,
    /// What the last failure was.
    pub last_failure: Option<String>,
}

/// The receiver's end of forwarding.
#[derive(Debug)]
pub(super) struct Queue {
    sender: mpsc::Sender<(Signal, Bytes)>,
    state: Arc<Mutex<State>>,
    closed: Arc<Notify>,
}

#[derive(Debug, Default)]
struct State {
    forwarded: Forwarded,
    /// What waits, in bytes.
    bytes: usize,
}

impl Queue {
    /// Puts a message in the queue, or drops it.
    pub(super) fn push(&self, signal: Signal, message: Bytes) {
        let mut state = lock(&self.state);
        let bytes = state.bytes + message.len();
        if bytes <= QUEUE_BYTES && self.sender.try_send((signal, message)).is_ok() {
            state.bytes = bytes;
            state.forwarded.waiting += 1;
        } else {
            state.drop_calls(1, "more arrived than the endpoint took");
        }
    }

    /// How it goes.
    pub(super) fn state(&self) -> Forwarded {
        lock(&self.state).forwarded.clone()
    }

    /// Takes no more; the work ends when the queue is empty.
    pub(super) fn close(&self) {
        self.closed.notify_one();
    }

    /// Counts what still waits as dropped, after the work was ended.
    pub(super) fn give_up(&self) {
        let mut state = lock(&self.state);
        let waiting = std::mem::take(&mut state.forwarded.waiting);
        state.drop_calls(waiting, "they still waited when the receiver ended");
    }
}

impl State {
    fn drop_calls(&mut self, count: u64, why: &str) {
        self.forwarded.dropped += count;
        if count > 0 {
            self.forwarded.last_failure.get_or_insert_with(|| why.to_owned());
        }
    }

    /// One call has ended.
    fn settle(&mut self, size: usize, ended: Result<(), String>) {
        self.forwarded.waiting -= 1;
        self.bytes -= size;
        match ended {
            Ok(()) => self.forwarded.accepted += 1,
            Err(failure) => {
                self.forwarded.failed += 1;
                self.forwarded.last_failure = Some(failure);
            }
        }
    }
}

/// A queue and the work that empties it.
pub(super) fn start(forward: Forward) -> (Queue, impl Future<Output = ()> + Send) {
    let (sender, receiver) = mpsc::channel(QUEUE);
    let queue = Queue {
        sender,
        state: Arc::default(),
        closed: Arc::default(),
    };
    let work = empty(forward, receiver, Arc::clone(&queue.state), Arc::clone(&queue.closed));
    (queue, work)
}

async fn empty(forward: Forward, mut queue: mpsc::Receiver<(Signal, Bytes)>, state: Arc<Mutex<State>>, closed: Arc<Notify>) {
    let mut line = Line::to(&forward);
    loop {
        let next = tokio::select! {
            next = queue.recv() => next,
            () = closed.notified() => {
                queue.close();
                continue;
            }
        };
        let Some((signal, message)) = next else { return };
        let ended = match &mut line {
            Ok(line) => deliver(line, signal, &message, &state).await,
            Err(why) => Err(why.clone()),
        };
        lock(&state).settle(message.len(), ended);
    }
}

async fn deliver(line: &mut Line<'_>, signal: Signal, message: &Bytes, state: &Mutex<State>) -> Result<(), String> {
    let mut pauses = PAUSES.iter();
    loop {
        let Err(failed) = line.attempt(signal, message).await else {
            return Ok(());
        };
        let Some(pause) = pauses.next().filter(|_| failed.again) else {
            return Err(failed.text);
        };
        lock(state).forwarded.last_failure = Some(failed.text);
        tokio::time::sleep(*pause).await;
    }
}

/// The way to the endpoint.
struct Line<'a> {
    forward: &'a Forward,
    client: Client,
}

enum Client {
    Http(reqwest::Client),
    /// Not tonic: it hands out no HTTP status of a gateway that answers with a web page, and the status decides what follows.
    Grpc {
        trust: Trust,
        proxy: Option<Proxy>,
        session: Option<Session>,
    },
}

struct Failed {
    text: String,
    /// Worth another attempt.
    again: bool,
}

impl<'a> Line<'a> {
    /// Connects later; the error says why nothing can be sent.
    fn to(forward: &'a Forward) -> Result<Self, String> {
        let proxy = match proxy::choose(&forward.env, &forward.endpoint, forward.protocol).choice {
            Choice::Direct => None,
            Choice::Via(proxy) => Some(proxy),
            Choice::Unusable { variable, why } => return Err(format!("`{variable}` cannot be used: {why}")),
        };
        let trust = Trust::of(&forward.env);
        let client = match forward.protocol {
            Protocol::HttpProtobuf => {
                let client = client::make(&trust, proxy.as_ref(), PATIENCE);
                Client::Http(client.map_err(|cause| cause.to_string())?)
            }
            Protocol::Grpc => Client::Grpc {
                trust,
                proxy,
                session: None,
            },
        };
        Ok(Self { forward, client })
    }

    async fn attempt(&mut self, signal: Signal, message: &Bytes) -> Result<(), Failed> {
        let forward = self.forward;
        let request = otlp::request(&forward.endpoint, forward.protocol, signal, forward.key.as_ref(), message, true);
        let request = request.map_err(|error| Failed {
            text: error.to_string(),
            again: false,
        })?;
        match &mut self.client {
            Client::Http(client) => {
                let sent = async { client.execute(request.map(|_| message.clone()).try_into()?).await };
                let response = sent.await.map_err(|error| no_answer(client::reason(&error)))?;
                let status = response.status().as_u16();
                // A connection whose answers are read to the end can be used again.
                let _ = client::body(response, ANSWER).await;
                if (200..=299).contains(&status) {
                    Ok(())
                } else {
                    Err(refused(status))
                }
            }
            Client::Grpc { trust, proxy, session } => {
                let deadline = Instant::now() + PATIENCE;
                let mut open = match session.take() {
                    Some(open) => open,
                    None => {
                        let route = Route {
                            endpoint: &forward.endpoint,
                            proxy: proxy.as_ref(),
                            tunnel: true,
                            trust,
                            alpn: &["h2"],
                            deadline,
                        };
                        let connection = dial(&route, &mut |_| {}).await.map_err(no_answer)?;
                        let started = Session::start(connection, Talk::Http2, deadline).await;
                        started.map_err(|none| no_answer(none.cause))?
                    }
                };
                let answer = open.send(request, deadline, ANSWER).await;
                let answer = answer.map_err(|none| no_answer(none.cause))?;
                *session = Some(open);
                match (answer.status, otlp::grpc_status(&answer)) {
                    (200, Some(status)) if status.code == 0 => Ok(()),
                    (200, Some(status)) => Err(Failed {
                        text: format!("gRPC status {}: {}", status.code, shown(&status.message)),
                        again: matches!(status.code, 1 | 4 | 8 | 10 | 11 | 14 | 15),
                    }),
                    (status, _) => Err(refused(status)),
                }
            }
        }
    }
}

fn no_answer(cause: impl Display) -> Failed {
    Failed {
        text: format!("no answer: {cause}"),
        again: true,
    }
}

fn refused(status: u16) -> Failed {
    Failed {
        text: format!("HTTP status {status}"),
        again: matches!(status, 429 | 502 | 503 | 504),
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
