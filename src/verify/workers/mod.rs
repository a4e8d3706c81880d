//! Level `workers`, the rehearsal: the real app under its run script, real requests, and the kernel as the witness of
//! which process served each; the ledger then says which of them exported its span, lost it, or sent it twice.
//!
//! May never send anything but to loopback, never hand the real key to the app, never leave a process behind.

mod app;
mod command;
mod drive;
pub(crate) mod output;
mod tally;
mod tasks;
mod verdict;

use crate::domain::detection::{Server, ServerKind, StartMethod};
use crate::domain::event::{Event, Observer};
use crate::domain::plan::Content;
use crate::domain::report::{Level, LevelReport, Outcome, WorkerRow};
use crate::domain::target::{Endpoint, Protocol};
use crate::error::Result;
use crate::system::{Invocation, System};
use crate::tap::{Ledger, SpanKind, Tap};
use app::{App, LOOK};
use drive::Drive;
use std::collections::BTreeSet;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tally::{Served, Tally};

/// A receiver on this machine that fills a ledger: where the app's spans go during a rehearsal.
#[derive(Debug, Clone)]
pub struct Receiver {
    /// Where it listens, for the protocol that the app uses.
    pub endpoint: Endpoint,
    /// What it received.
    pub ledger: Arc<Ledger>,
}

impl Receiver {
    /// The door of a running tap for a protocol.
    #[must_use]
    pub fn of(tap: &Tap, protocol: Protocol) -> Self {
        Self {
            endpoint: tap.endpoint(protocol),
            ledger: tap.ledger(),
        }
    }
}

/// What is to be rehearsed.
#[derive(Debug, Clone)]
pub struct RehearsalRequest<'a> {
    /// Folder in which the command runs.
    pub directory: &'a Path,
    /// The start command, as words.
    pub command: &'a [String],
    /// What the command is known to be.
    pub server: &'a Server,
    /// `.signoz/run.sh`.
    pub run_script: &'a Path,
    /// The app's interpreter; sends the tasks of a Celery rehearsal.
    pub python: &'a Path,
    /// The transport that the app's exporter is told to use.
    pub protocol: Protocol,
    /// Where spans go.
    pub receiver: &'a Receiver,
    /// `service.name` that the spans must carry; `None` to accept any.
    pub service_name: Option<&'a str>,
    /// What is asked for with GET, usually `/`.
    pub path: &'a str,
    /// How many requests each worker has to serve.
    pub requests_per_worker: u32,
    /// How many worker processes there must be; `None` when the server decides.
    pub expected_workers: Option<u32>,
    /// How long start and requests may take together.
    pub time_limit: Duration,
    /// How long spans are waited for after the last request; twice that is given to the app to end after SIGTERM.
    pub settle: Duration,
}

impl RehearsalRequest<'_> {
    /// How long the app may take to end before it is killed.
    fn grace(&self) -> Duration {
        self.settle * 2
    }
}

/// What a rehearsal saw.
#[derive(Debug, Clone, PartialEq)]
pub struct Rehearsed {
    /// The level.
    pub level: LevelReport,
    /// One row for each worker process.
    pub workers: Vec<WorkerRow>,
    /// Requests served just before SIGTERM whose span never came; `None` when not asked (reloaders, failed starts).
    pub lost_at_stop: Option<u64>,
}

/// Sent instead of the ingestion key, so that the real one never reaches the receiver of a rehearsal.
pub const THROW_AWAY_KEY: &str = "rehearsal";

/// Batch delay of the app's exporter during a rehearsal, in milliseconds (the SDK's own is 5000).
const BATCH_DELAY: &str = "500";

/// How long a span that was sent may take to be in the ledger once its process is gone.
const AFTERMATH: Duration = Duration::from_secs(2);

/// Starts the app under its run script, sends real requests until every worker has served, and stops it.
///
/// # Errors
/// `Interrupted` when the run was cancelled; everything else is in the level's outcome.
pub fn rehearse(system: &System, request: &RehearsalRequest<'_>, observer: Observer<'_>) -> Result<Rehearsed> {
    if request.server.kind == ServerKind::Celery {
        return tasks::rehearse(system, request, observer);
    }
    let started = Instant::now();
    let end = started + request.time_limit;
    let port = match command::free_port() {
        Ok(port) => port,
        Err(error) => return Ok(verdict::no_port(request, &error)),
    };
    let moved = command::moved(request.server.kind, request.command, port);
    observer(Event::Stage {
        title: format!("starting `{}` for a rehearsal", output::clean(&moved.argv.join(" "))),
    });
    let mut invocation = invocation(system, request, &moved.argv).env("PORT", port.to_string());
    // Gunicorn 25 and later put a control socket there, which would take the place of the running server's.
    let private = match request.server.kind {
        ServerKind::Gunicorn => tempfile::tempdir().ok(),
        _ => None,
    };
    if let Some(folder) = &private {
        invocation = invocation.env("XDG_RUNTIME_DIR", folder.path().display().to_string());
    }
    let mut app = match App::start(system, invocation, observer) {
        Ok(app) => app,
        Err(error) => return Ok(verdict::not_started(request, &error)),
    };
    let Some(address) = wait_for_address(&mut app, request, moved.told.then_some(port), port, end)? else {
        return Ok(verdict::never_listened(request, &mut app));
    };
    observer(Event::Stage {
        title: format!("sending requests to {address}"),
    });

    let kind = SpanKind::Server;
    let server = request.server.kind.as_str();
    let mut drive = Drive::new(address, request.path);
    let mut shown = Instant::now();
    let each = u64::from(request.requests_per_worker.max(1));
    let expected = request.expected_workers.map(|count| count as usize);
    let all_reached = drive.reach_all(&mut app, each, expected, end, &mut |drive| {
        if shown.elapsed() >= Duration::from_millis(100) {
            shown = Instant::now();
            show(observer, request, kind, &drive.workers, &drive.served);
        }
    })?;
    if drive.served.is_empty() {
        return Ok(verdict::never_answered(request, &mut app, address));
    }
    let died = app.ended();
    settle(&mut app, request, kind, &drive.served)?;
    show(observer, request, kind, &drive.workers, &drive.served);

    // A reloader is a tool for development: its child is killed on every change, and nobody counts its last spans.
    let asserted = request.server.start != StartMethod::Reload && died.is_none();
    if asserted {
        let count = (drive.workers.len().max(1) * 3).clamp(8, 24);
        drive.burst(&mut app, count, Instant::now() + Duration::from_secs(20))?;
        app.terminate();
    } else {
        app.terminate_group();
    }
    let ended_by_itself = stop(&mut app, request, kind, &drive.served)?;
    let tally = look(request, |spans| tally::count(server, kind, &drive.workers, &drive.served, spans));
    observer(Event::Workers { rows: tally.rows.clone() });
    let seen = verdict::Seen {
        all_reached,
        blind: drive.blind,
        unanswered: drive.unanswered,
        died,
        ended_by_itself,
        asserted_at_stop: asserted,
        elapsed: started.elapsed(),
    };
    Ok(verdict::of(request, &seen, &tally, &drive.served, &app.tail))
}

/// The run script with the command, and the variables that send its spans to the receiver: set outside, they win over the
/// environment file.
fn invocation(system: &System, request: &RehearsalRequest<'_>, argv: &[String]) -> Invocation {
    let mut words = vec![request.run_script.display().to_string()];
    words.extend_from_slice(argv);
    let mut invocation = Invocation::new(words).within(request.directory);
    // As in the run script: what is set outside wins, and a masked secret is no value.
    for (name, value) in &request.server.variables {
        if system.var(name).is_none() && !value.contains(Content::MASK) {
            invocation = invocation.env(name, value);
        }
    }
    exporting_to(system, request.receiver, request.protocol, invocation)
        .env("OTEL_BSP_SCHEDULE_DELAY", BATCH_DELAY)
        .env("PYTHONUNBUFFERED", "1")
}

/// Points an exporter at the receiver, whatever else is configured, past every proxy and without the real key.
pub(crate) fn exporting_to(system: &System, receiver: &Receiver, protocol: Protocol, invocation: Invocation) -> Invocation {
    let endpoint = receiver.endpoint.to_string();
    let header = format!("signoz-ingestion-key={THROW_AWAY_KEY}");
    let traces = match protocol {
        Protocol::Grpc => endpoint.clone(),
        Protocol::HttpProtobuf => receiver.endpoint.traces_url(),
    };
    let mut invocation = invocation
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint)
        .env("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", traces)
        .env("OTEL_EXPORTER_OTLP_PROTOCOL", protocol.as_str())
        .env("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", protocol.as_str())
        .env("OTEL_EXPORTER_OTLP_HEADERS", &header)
        .env("OTEL_EXPORTER_OTLP_TRACES_HEADERS", &header);
    let loopback = "127.0.0.1,localhost,::1";
    for name in ["NO_PROXY", "no_proxy", "no_grpc_proxy"] {
        let value = system
            .var(name)
            .map_or_else(|| loopback.to_owned(), |old| format!("{old},{loopback}"));
        invocation = invocation.env(name, value);
    }
    invocation
}

/// Waits until the app listens; `None` when it ended or the time is up.
fn wait_for_address(
    app: &mut App<'_>,
    request: &RehearsalRequest<'_>,
    told: Option<u16>,
    port: u16,
    end: Instant,
) -> Result<Option<SocketAddr>> {
    // A server that was told its port may open others first (a metrics page of the app): patience before those are believed.
    let patience = Instant::now() + request.time_limit / 2;
    loop {
        app.look(LOOK * 2)?;
        let listening = app.listening();
        if let Some(wanted) = listening.iter().find(|socket| socket.address.port() == port) {
            return Ok(Some(wanted.address));
        }
        if !app.sees() && std::net::TcpStream::connect((std::net::Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(Some(SocketAddr::from((std::net::Ipv4Addr::LOCALHOST, port))));
        }
        if let Some(other) = listening.first()
            && (told.is_none() || Instant::now() >= patience)
        {
            return Ok(Some(other.address));
        }
        if app.ended().is_some() && app.processes().is_empty() || Instant::now() >= end {
            app.look(LOOK)?;
            return Ok(None);
        }
    }
}

/// Waits until every request has its span, or the time for that is up.
fn settle(app: &mut App<'_>, request: &RehearsalRequest<'_>, kind: SpanKind, served: &[Served]) -> Result<()> {
    let end = Instant::now() + request.settle;
    let slice = Duration::from_millis(100);
    while Instant::now() < end && !request.receiver.ledger.wait(slice, |spans| tally::complete(served, kind, spans)) {
        app.look(Duration::ZERO)?;
    }
    Ok(())
}

/// Waits for the app's end after SIGTERM and for its last spans; false when it had to be killed.
fn stop(app: &mut App<'_>, request: &RehearsalRequest<'_>, kind: SpanKind, served: &[Served]) -> Result<bool> {
    let by_itself = app.gone(request.grace())?;
    if !by_itself {
        app.kill();
    }
    request
        .receiver
        .ledger
        .wait(AFTERMATH, |spans| tally::complete(served, kind, spans));
    Ok(by_itself)
}

/// Looks at the ledger without copying it.
fn look<T: Default>(request: &RehearsalRequest<'_>, see: impl Fn(&[crate::tap::SpanRecord]) -> T) -> T {
    let mut seen = T::default();
    request.receiver.ledger.wait(Duration::ZERO, |spans| {
        seen = see(spans);
        true
    });
    seen
}

fn show(observer: Observer<'_>, request: &RehearsalRequest<'_>, kind: SpanKind, workers: &BTreeSet<u32>, served: &[Served]) {
    let tally: Tally = look(request, |spans| {
        tally::count(request.server.kind.as_str(), kind, workers, served, spans)
    });
    observer(Event::Workers { rows: tally.rows });
}

/// A level's report with what every one of them shares.
fn report(request: &RehearsalRequest<'_>, outcome: Outcome, detail: String, remedy: Option<String>) -> LevelReport {
    LevelReport {
        level: Level::Workers,
        outcome,
        trace_id: None,
        protocol: Some(request.protocol),
        detail,
        remedy,
        latency_ms: None,
        stages: Vec::new(),
    }
}

/// A number that nobody else has chosen; never 0. The standard library seeds its hash maps from the system's randomness.
fn random() -> u64 {
    RandomState::new().build_hasher().finish().max(1)
}

fn random_trace() -> [u8; 16] {
    let mut trace = [0; 16];
    trace[..8].copy_from_slice(&random().to_be_bytes());
    trace[8..].copy_from_slice(&random().to_be_bytes());
    trace
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
