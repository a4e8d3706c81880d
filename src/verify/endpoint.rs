//! Level `endpoint`: one span sent from here, every stage on the way named, every refusal explained.
//!
//! Says `accepted`, never `stored`. May never send anything but its own verification span, or show the key.

pub mod answers;
pub mod clock;
mod codes;
mod log;
mod obstacles;
mod span;

use crate::domain::event::Observer;
use crate::domain::target::Scheme;
use crate::domain::{Endpoint, IngestionKey, Level, LevelReport, Outcome, Protocol, Region, ServiceName};
use crate::system::System;
use crate::system::net::http::{Answer, NoAnswer, Session, Talk};
use crate::system::net::otlp::{self, Signal};
use crate::system::net::proxy::{self, Choice, Proxy};
use crate::system::net::sniff::{self, Speaks};
use crate::system::net::trust::Trust;
use crate::system::net::{Route, Seen, dial};
use answers::Judgement;
use log::Log;
use std::time::{Duration, Instant, SystemTime};

pub use span::NAME as SPAN_NAME;

/// How long a probe may take unless told otherwise.
pub const DEADLINE: Duration = Duration::from_secs(15);

/// The stages in order; those that were not reached are reported as such.
pub const STAGES: [&str; 8] = ["dns", "tcp", "proxy", "tls", "http2", "auth", "accepted", "partial_success"];

/// What to probe.
#[derive(Debug, Clone, Copy)]
pub struct ProbeRequest<'a> {
    /// Where.
    pub endpoint: &'a Endpoint,
    /// With which key.
    pub key: Option<&'a IngestionKey>,
    /// How.
    pub protocol: Protocol,
    /// The span's `service.name`.
    pub service_name: &'a ServiceName,
    /// The region that the person chose; otherwise told from the endpoint's host.
    pub region: Option<&'a Region>,
    /// When to give up.
    pub deadline: Duration,
}

/// Why a stage failed and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// One of [`STAGES`].
    pub stage: &'static str,
    /// Seen to be wrong, or could not be found out.
    pub outcome: Outcome,
    /// What happened and why, one sentence.
    pub detail: String,
    /// What to do next.
    pub remedy: String,
}

/// Sends the verification span and reports each stage; each is also told to the observer as it ends.
///
/// Blocks; must not be called on the runtime itself. Returns at the deadline, or soon after the run is cancelled.
pub fn probe(system: &System, request: &ProbeRequest<'_>, observer: Observer<'_>) -> LevelReport {
    let mut log = Log::new(observer);
    let message = span::Message::new(request.service_name);
    let cancelled = async {
        while system.cancel.signal().is_none() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let ended = system.runtime.block_on(async {
        tokio::select! {
            biased;
            () = cancelled => None,
            ended = run(system, request, &message, &mut log) => Some(ended),
        }
    });
    let (outcome, detail, remedy, latency) = match ended {
        Some(Ok(answer)) => {
            let worst = log.stages.iter().find(|stage| stage.outcome == Outcome::Warn);
            let accepted = format!(
                "a span was accepted by {} over {} in {} ms",
                request.endpoint,
                request.protocol,
                answer.took.as_millis()
            );
            match worst {
                Some(stage) => (
                    Outcome::Warn,
                    format!("{accepted}, but: {}", stage.detail),
                    answer.remedy,
                    Some(answer.took),
                ),
                None => (Outcome::Pass, accepted, None, Some(answer.took)),
            }
        }
        Some(Err(verdict)) => {
            log.end(verdict.stage, verdict.outcome, verdict.detail.clone());
            (verdict.outcome, verdict.detail, Some(verdict.remedy), None)
        }
        None => (Outcome::Unknown, "interrupted before the endpoint answered".to_owned(), None, None),
    };
    let sent = log.stages.iter().any(|stage| stage.name == "auth" || stage.name == "accepted");
    LevelReport {
        level: Level::Endpoint,
        outcome,
        trace_id: sent.then(|| message.trace_id()),
        protocol: Some(request.protocol),
        detail,
        remedy,
        latency_ms: latency.map(|took| u64::try_from(took.as_millis()).unwrap_or(u64::MAX)),
        stages: log.complete(),
    }
}

/// An accepted span.
struct Accepted {
    took: Duration,
    /// What to do about a warning.
    remedy: Option<String>,
}

/// What all stages of one probe share.
struct Probe<'a> {
    request: &'a ProbeRequest<'a>,
    trust: Trust,
    proxy: Option<Proxy>,
    note: Option<String>,
    certificate_named: bool,
    /// When dialling gives up: some time is left to find out why.
    dial_until: Instant,
    until: Instant,
}

async fn run(system: &System, request: &ProbeRequest<'_>, message: &span::Message, log: &mut Log<'_>) -> Result<Accepted, Verdict> {
    let decision = proxy::choose(&system.env, request.endpoint, request.protocol);
    let proxy = match decision.choice {
        Choice::Direct => None,
        Choice::Via(proxy) => Some(proxy),
        Choice::Unusable { variable, why } => return Err(obstacles::unusable_proxy(&variable, &why)),
    };
    let probe = Probe {
        request,
        trust: Trust::of(&system.env),
        proxy,
        note: decision.note,
        certificate_named: ["OTEL_EXPORTER_OTLP_CERTIFICATE", "OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE"]
            .iter()
            .any(|name| system.var(name).is_some()),
        dial_until: Instant::now() + request.deadline.mul_f32(0.75),
        until: Instant::now() + request.deadline,
    };
    match (&probe.proxy, &probe.note) {
        (None, Some(note)) => log.skip("proxy", note),
        (None, None) => log.skip("proxy", "none is set"),
        (Some(proxy), _) if request.endpoint.scheme == Scheme::Http && request.protocol == Protocol::HttpProtobuf => {
            log.pass("proxy", format!("{proxy} from `{}` passes the request on", proxy.variable));
        }
        (Some(_), _) => {}
    }
    let mut session = probe.open(request.protocol, log).await?;
    let began = SystemTime::now();
    let answer = match exchange(&mut session, &probe, request.protocol, &message.bytes).await {
        Ok(answer) => answer,
        Err(none) => return Err(probe.explain_silence(&none).await),
    };
    if request.endpoint.scheme == Scheme::Http && answer.status == 400 && sniff::asks_for_tls(&answer.body) {
        return Err(probe.mismatch(Speaks::Tls));
    }
    match request.protocol {
        Protocol::Grpc if answer.status == 200 => log.pass("http2", "HTTP/2"),
        Protocol::Grpc => log.pass("http2", format!("HTTP/2, but the answer is HTTP status {}", answer.status)),
        Protocol::HttpProtobuf => log.skip("http2", "not used: the HTTP exporter speaks HTTP/1.1"),
    }
    let mut judgement = answers::judge(request, &answer);
    if let Judgement::Doubtful(verdict) = judgement {
        judgement = Judgement::Refused(probe.ask_over_http(message, verdict).await);
    }
    match judgement {
        Judgement::Accepted(partial) => {
            log.pass(
                "auth",
                match request.key {
                    Some(_) => "the ingestion key was not refused",
                    None => "no key was sent, and none was asked for",
                },
            );
            log.pass(
                "accepted",
                format!("accepted after {} ms; accepted is not yet stored", answer.took.as_millis()),
            );
            if let Some(verdict) = partial.rejected {
                return Err(verdict);
            }
            log.end("partial_success", partial.outcome, partial.detail);
        }
        Judgement::Refused(verdict) | Judgement::Doubtful(verdict) => {
            if verdict.stage == "accepted" && (400..500).contains(&answer.status) {
                log.pass("auth", "the answer does not speak of the key");
            }
            return Err(verdict);
        }
    }
    let mut remedy = log
        .stages
        .iter()
        .any(|stage| stage.name == "tls" && stage.outcome == Outcome::Warn)
        .then(|| obstacles::NAME_THE_AUTHORITY.to_owned());
    if let Some(skew) = answer.header("date").and_then(|date| clock::skew(date, began, SystemTime::now())) {
        if skew.is_too_large() {
            remedy = Some(clock::REMEDY.to_owned());
            log.end("clock", Outcome::Warn, skew.to_string());
        } else {
            log.pass("clock", "this machine's clock agrees with the endpoint's");
        }
    }
    Ok(Accepted { took: answer.took, remedy })
}

impl Probe<'_> {
    /// Dials and starts to talk, reporting each stage.
    async fn open(&self, protocol: Protocol, log: &mut Log<'_>) -> Result<Session, Verdict> {
        let (talk, alpn) = match protocol {
            Protocol::Grpc => (Talk::Http2, ["h2"]),
            Protocol::HttpProtobuf => (Talk::Http1, ["http/1.1"]),
        };
        let connection = {
            let mut seen = |seen: Seen| self.note_stage(log, seen);
            dial(&self.route(self.request.endpoint, protocol, &alpn), &mut seen).await
        };
        let connection = match connection {
            Ok(connection) => connection,
            Err(failure) => return Err(self.explain_failure(&failure).await),
        };
        if self.request.endpoint.scheme == Scheme::Http {
            log.skip("tls", "not used: the endpoint begins with http://");
        }
        match Session::start(connection, talk, self.until).await {
            Ok(session) => Ok(session),
            Err(none) => Err(self.explain_silence(&none).await),
        }
    }

    fn route<'a>(&'a self, endpoint: &'a Endpoint, protocol: Protocol, alpn: &'a [&'a str]) -> Route<'a> {
        Route {
            endpoint,
            proxy: self.proxy.as_ref(),
            tunnel: protocol == Protocol::Grpc,
            trust: &self.trust,
            alpn,
            deadline: self.dial_until,
        }
    }

    fn note_stage(&self, log: &mut Log<'_>, seen: Seen) {
        match seen {
            Seen::Dns { host, addresses } => {
                let list: Vec<String> = addresses.iter().take(4).map(|address| address.ip().to_string()).collect();
                let whose = if self.proxy.is_some() { "the proxy " } else { "" };
                log.pass("dns", format!("{whose}{host} is {}", list.join(", ")));
            }
            Seen::Tcp { address, took } => log.pass("tcp", format!("connected to {address} in {} ms", took.as_millis())),
            Seen::Proxy { proxy } => {
                let variable = self.proxy.as_ref().map_or("", |proxy| proxy.variable.as_str());
                let note = self.note.as_ref().map_or_else(String::new, |note| format!("; {note}"));
                log.pass("proxy", format!("{proxy} from `{variable}` opened a tunnel{note}"));
            }
            Seen::Tls {
                version,
                issuer,
                public,
                alpn,
            } => {
                let issuer = issuer.map_or_else(|| "an unnamed issuer".to_owned(), |issuer| format!("`{issuer}`"));
                let alpn = alpn.map_or_else(String::new, |alpn| format!(", {alpn}"));
                if public || self.certificate_named {
                    log.pass("tls", format!("{version}{alpn}, certificate issued by {issuer}"));
                } else {
                    log.end(
                        "tls",
                        Outcome::Warn,
                        format!(
                            "the certificate was issued by {issuer}, which this machine trusts and Python's exporters do not: they bring their own list of authorities"
                        ),
                    );
                }
            }
        }
    }

    /// A gateway's refusal may reach gRPC without its HTTP status, and a port may speak HTTP/2 without gRPC:
    /// the same call over HTTP shows it.
    async fn ask_over_http(&self, message: &span::Message, verdict: Verdict) -> Verdict {
        let mut quiet = Log::new(&|_| {});
        let Ok(mut session) = self.open(Protocol::HttpProtobuf, &mut quiet).await else {
            return verdict;
        };
        match exchange(&mut session, self, Protocol::HttpProtobuf, &message.bytes).await {
            Ok(answer) if (200..=299).contains(&answer.status) && verdict.stage == "accepted" => match answers::takes_otlp(&answer) {
                true => self.http_only(),
                false => verdict,
            },
            Ok(answer) => answers::refused_key_over_http(self.request, answer.status).unwrap_or(verdict),
            Err(_) => verdict,
        }
    }
}

async fn exchange(session: &mut Session, probe: &Probe<'_>, protocol: Protocol, message: &[u8]) -> Result<Answer, NoAnswer> {
    let endpoint = probe.request.endpoint;
    let handed_over = probe
        .proxy
        .as_ref()
        .filter(|_| endpoint.scheme == Scheme::Http && protocol == Protocol::HttpProtobuf);
    let unsendable = |error: hyper::http::Error| NoAnswer {
        cause: crate::system::net::Cause::Io(error.to_string()),
        first: Vec::new(),
    };
    let mut request = otlp::request(
        endpoint,
        protocol,
        Signal::Traces,
        probe.request.key,
        message,
        handed_over.is_some(),
    )
    .map_err(unsendable)?;
    if let Some(value) = handed_over.and_then(Proxy::authorization) {
        let mut value = hyper::header::HeaderValue::from_str(&value).map_err(|error| unsendable(error.into()))?;
        value.set_sensitive(true);
        request.headers_mut().insert(hyper::header::PROXY_AUTHORIZATION, value);
    }
    session.send(request, probe.until, 256 * 1024).await
}
