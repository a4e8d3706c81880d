//! Real requests, each with a trace id that we know, spread until every worker has served its share.
//!
//! The kernel is the witness: a connection is opened first, and only when it shows which process accepted it is the
//! request sent. Servers do not share evenly (on a quiet machine the same worker wins the race for nearly every
//! connection), so workers that have served enough are kept from running for the moment in which others may accept.

use super::app::{App, LOOK};
use super::tally::Served;
use crate::error::Result;
use crate::system::process;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// How many connections in a row may go to workers that have served enough before those are paused.
const MISSES: u32 = 3;

/// How long workers are paused at most: far below any server's worker timeout.
const PAUSE: Duration = Duration::from_millis(1000);

/// How long a look at the set of workers is good for.
const FRESH: Duration = Duration::from_millis(300);

/// How much of an answer is read.
const LONGEST_ANSWER: u64 = 1 << 20;

/// How long the set of workers must stay the same when nobody said how many there are.
const STABLE: Duration = Duration::from_millis(1500);

/// What one connection came to.
enum Answer {
    /// An HTTP status.
    Status(u16),
    /// Nothing that could be read as one.
    None,
}

/// Requests to one address, and what came of them.
pub(super) struct Drive<'r> {
    /// Where the app listens.
    pub(super) address: SocketAddr,
    /// What is asked for, `/`.
    pub(super) path: &'r str,
    /// Requests that were answered.
    pub(super) served: Vec<Served>,
    /// Requests without an answer.
    pub(super) unanswered: u64,
    /// Every worker that was seen.
    pub(super) workers: BTreeSet<u32>,
    /// The kernel showed no acceptor although the request was answered.
    pub(super) blind: bool,
}

impl<'r> Drive<'r> {
    /// Nothing sent yet.
    pub(super) fn new(address: SocketAddr, path: &'r str) -> Self {
        Self {
            address,
            path,
            served: Vec::new(),
            unanswered: 0,
            workers: BTreeSet::new(),
            blind: false,
        }
    }

    /// Sends until each worker has served `each` requests (true), or `end` comes or the app dies (false).
    ///
    /// # Errors
    /// `Interrupted` when the run was cancelled.
    pub(super) fn reach_all(
        &mut self,
        app: &mut App<'_>,
        each: u64,
        expected: Option<usize>,
        end: Instant,
        progress: &mut dyn FnMut(&Self),
    ) -> Result<bool> {
        let (mut looked, mut changed) = (None::<Instant>, Instant::now());
        let mut misses = 0;
        loop {
            app.look(Duration::ZERO)?;
            if looked.is_none_or(|looked| looked.elapsed() >= FRESH) {
                let workers = app.workers(self.address);
                looked = Some(Instant::now());
                if workers != self.workers {
                    changed = Instant::now();
                    self.workers = workers;
                }
            }
            let share = self.share();
            let done = |pid: &u32| share.get(pid).is_some_and(|count| *count >= each);
            if self.enough(each, expected, changed, &done) {
                // Only a fresh look ends it: a worker may have been born since.
                if looked.is_some_and(|looked| looked.elapsed() < LOOK) {
                    return Ok(true);
                }
                looked = None;
                continue;
            }
            if Instant::now() >= end || app.ended().is_some() {
                return Ok(false);
            }
            // Nobody is paused while all have enough and only the number of workers is still awaited.
            let hungry = self.workers.iter().any(|pid| !done(pid));
            let paused = (misses >= MISSES && hungry).then(|| process::pause(self.workers.iter().copied().filter(done)));
            if misses >= MISSES && !hungry {
                app.look(LOOK)?;
            }
            let Ok(stream) = TcpStream::connect_timeout(&self.address, Duration::from_secs(1)) else {
                app.look(LOOK)?;
                continue;
            };
            let patience = if paused.is_some() {
                PAUSE
            } else {
                end.saturating_duration_since(Instant::now())
            };
            let who = self.witness(app, &stream, patience)?;
            let was_paused = paused.is_some();
            drop(paused);
            match who {
                Some(who) if done(&who) => misses += 1,
                Some(who) => {
                    self.ask(app, stream, Some(who), false, end)?;
                    if !self.workers.contains(&who) {
                        looked = None;
                    }
                }
                None if app.sees() => {
                    // The hungry one is not ready to accept yet.
                    if was_paused {
                        misses = 0;
                    }
                }
                None => {
                    self.blind = true;
                    self.ask(app, stream, None, false, end)?;
                }
            }
            progress(self);
        }
    }

    /// Whether every worker has served its share. Without a process table the total is all that can be asked for.
    fn enough(&self, each: u64, expected: Option<usize>, changed: Instant, done: &dyn Fn(&u32) -> bool) -> bool {
        if self.workers.is_empty() {
            return self.served.len() as u64 >= each * expected.unwrap_or(1) as u64;
        }
        let known = expected.map_or_else(|| changed.elapsed() >= STABLE, |expected| self.workers.len() >= expected);
        known && self.workers.iter().all(done)
    }

    /// Sends `count` requests as fast as they are answered: the last ones before SIGTERM.
    ///
    /// # Errors
    /// `Interrupted` when the run was cancelled.
    pub(super) fn burst(&mut self, app: &mut App<'_>, count: usize, end: Instant) -> Result<()> {
        for _ in 0..count {
            let Ok(stream) = TcpStream::connect_timeout(&self.address, Duration::from_secs(1)) else {
                break;
            };
            let who = self.witness(app, &stream, Duration::from_secs(2))?;
            self.ask(app, stream, who, true, end)?;
        }
        Ok(())
    }

    /// Answered requests by worker.
    fn share(&self) -> BTreeMap<u32, u64> {
        let mut share = BTreeMap::new();
        for request in &self.served {
            if let Some(worker) = request.worker {
                *share.entry(worker).or_default() += 1;
            }
        }
        share
    }

    /// Waits until the kernel shows who accepted the connection; `None` when the time is up or nothing can be seen.
    fn witness(&self, app: &mut App<'_>, stream: &TcpStream, patience: Duration) -> Result<Option<u32>> {
        if !app.sees() {
            return Ok(None);
        }
        let Ok(client) = stream.local_addr() else { return Ok(None) };
        let end = Instant::now() + patience;
        loop {
            if let Some(pid) = app.acceptor(self.address, client, &self.workers) {
                return Ok(Some(pid));
            }
            if Instant::now() >= end || app.ended().is_some() {
                return Ok(None);
            }
            app.look(Duration::from_millis(2))?;
        }
    }

    /// Sends one request and reads its answer to the end.
    fn ask(&mut self, app: &mut App<'_>, mut stream: TcpStream, worker: Option<u32>, at_stop: bool, end: Instant) -> Result<()> {
        let (trace, parent) = (super::random_trace(), super::random().to_be_bytes());
        let request = format!(
            "GET {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: {}/{}\r\nAccept: */*\r\ntraceparent: 00-{}-{}-01\r\nConnection: close\r\n\r\n",
            self.path,
            self.address,
            env!("CARGO_PKG_NAME"),
            env!("CARGO_PKG_VERSION"),
            super::hex(&trace),
            super::hex(&parent),
        );
        let answer = match stream.write_all(request.as_bytes()) {
            Ok(()) => read_answer(app, &mut stream, end)?,
            Err(_) => Answer::None,
        };
        match answer {
            Answer::Status(status) => self.served.push(Served {
                trace,
                parent,
                worker,
                status: Some(status),
                at_stop,
            }),
            Answer::None => self.unanswered += 1,
        }
        Ok(())
    }
}

/// Reads until the server closes, so that a span that ends with the response has ended.
fn read_answer(app: &mut App<'_>, stream: &mut TcpStream, end: Instant) -> Result<Answer> {
    let mut bytes = Vec::new();
    let mut part = [0_u8; 4096];
    let end = end.min(Instant::now() + Duration::from_secs(15));
    // Not through `set_read_timeout` alone: a cancel must be seen while the app thinks.
    let _ = stream.set_read_timeout(Some(Duration::from_millis(100)));
    loop {
        match stream.read(&mut part) {
            Ok(0) => break,
            Ok(read) => bytes.extend_from_slice(&part[..read]),
            Err(error) if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => {
                app.look(Duration::ZERO)?;
            }
            Err(_) => break,
        }
        // An endless answer (server-sent events) has a status all the same.
        if bytes.len() as u64 >= LONGEST_ANSWER || Instant::now() >= end {
            break;
        }
    }
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(64)]);
    let status = text
        .strip_prefix("HTTP/1.")
        .and_then(|rest| rest.split_whitespace().nth(1))
        .and_then(|status| status.parse().ok());
    Ok(status.map_or(Answer::None, Answer::Status))
}
