//! Why no answer came: what stands between this machine and the endpoint, and the setting that removes it.

use super::answers::{host_hint, region};
use super::clock::about;
use super::{Probe, Verdict};
use crate::domain::target::Scheme;
use crate::domain::{Endpoint, Outcome, Protocol, Region};
use crate::system::net::http::NoAnswer;
use crate::system::net::sniff::{self, Speaks};
use crate::system::net::{Cause, Failure, Route, Stage, dial};

/// What to do when the machine trusts an authority that Python does not.
pub(super) const NAME_THE_AUTHORITY: &str =
    "give the app that authority's certificate: `OTEL_EXPORTER_OTLP_CERTIFICATE=/path/to/ca.pem` in `.signoz/otel.env`";

/// A proxy variable that holds something else.
pub(super) fn unusable_proxy(variable: &str, why: &str) -> Verdict {
    Verdict {
        stage: "proxy",
        outcome: Outcome::Unknown,
        detail: format!("the endpoint could not be probed: `{variable}` is set, and {why}"),
        remedy: format!("set `{variable}` to `http://HOST:PORT`, or unset it"),
    }
}

fn failed(stage: &'static str, detail: impl Into<String>, remedy: impl Into<String>) -> Verdict {
    Verdict {
        stage,
        outcome: Outcome::Fail,
        detail: detail.into(),
        remedy: remedy.into(),
    }
}

impl Probe<'_> {
    /// A stage of dialling failed.
    pub(super) async fn explain_failure(&self, failure: &Failure) -> Verdict {
        let mut verdict = match failure.stage {
            Stage::Dns => self.no_address(failure),
            Stage::Tcp => self.no_connection(failure),
            Stage::Proxy => no_tunnel(failure),
            Stage::Tls => match failure.cause {
                Cause::NotTls => self.plain_text(),
                Cause::Closed | Cause::TimedOut | Cause::Handshake(_) => match self.what_listens().await {
                    Some(Speaks::Http1 | Speaks::Http2) => self.plain_text(),
                    _ => self.no_tls(failure),
                },
                _ => self.no_tls(failure),
            },
        };
        let before_tls = matches!(failure.stage, Stage::Dns | Stage::Tcp);
        if let Some(note) = self.note.as_ref().filter(|_| before_tls) {
            verdict.remedy = format!("{note}: set the lower-case variable too; or {}", verdict.remedy);
        }
        verdict
    }

    /// Connected, but no answer came.
    pub(super) async fn explain_silence(&self, none: &NoAnswer) -> Verdict {
        let mut speaks = sniff::language(&none.first);
        // Without TLS the port can be asked what it speaks, and an answer in HTTP/1.1 may say in its body that it wants TLS;
        // with TLS it was asked by ALPN.
        if self.request.endpoint.scheme == Scheme::Http && matches!(speaks, None | Some(Speaks::Http1)) {
            speaks = self.what_listens().await.or(speaks);
        }
        let expected = match self.request.protocol {
            Protocol::Grpc => Speaks::Http2,
            Protocol::HttpProtobuf => Speaks::Http1,
        };
        if let Some(speaks) = speaks.filter(|speaks| *speaks != expected) {
            return self.mismatch(speaks);
        }
        let endpoint = self.request.endpoint;
        match &none.cause {
            Cause::TimedOut => failed(
                "accepted",
                format!(
                    "{endpoint} took the call and gave no answer within {}",
                    about(self.request.deadline)
                ),
                "run this again; if it stays, something between here and the endpoint holds the answer back: try the other protocol with `--protocol`",
            ),
            Cause::Closed => failed(
                "accepted",
                format!("{endpoint} closed the connection without an answer"),
                "check that an OTLP receiver listens there, and try the other protocol with `--protocol`",
            ),
            other => failed(
                "accepted",
                format!("{endpoint} answered with something that cannot be read: {}", other),
                "check that an OTLP receiver listens there, and try the other protocol with `--protocol`",
            ),
        }
    }

    fn no_address(&self, failure: &Failure) -> Verdict {
        let why = match &failure.cause {
            Cause::TimedOut => "the resolver does not answer".to_owned(),
            cause => cause.to_string(),
        };
        let remedy = if let Some(proxy) = &self.proxy {
            format!("correct the host in `{}`", proxy.variable)
        } else if let Some(hint) = host_hint(self.request) {
            hint
        } else if region(self.request).is_some() {
            format!(
                "check the region (`--region`; SigNoz documents {}), then this machine's DNS; where only a proxy has access, set `https_proxy`",
                Region::KNOWN.join(", ")
            )
        } else {
            "correct the host in `--endpoint`, or check this machine's DNS".to_owned()
        };
        failed("dns", format!("`{}` does not resolve: {why}", failure.at), remedy)
    }

    fn no_connection(&self, failure: &Failure) -> Verdict {
        let endpoint = self.request.endpoint;
        let usual = match self.request.protocol {
            Protocol::Grpc => "gRPC is usually on 4317",
            Protocol::HttpProtobuf => "HTTP is usually on 4318",
        };
        let (detail, remedy) = match (&self.proxy, &failure.cause) {
            (Some(proxy), cause) => (
                format!("the proxy {proxy} cannot be reached: {}", cause),
                format!(
                    "correct or unset `{}`, or except the endpoint with `no_proxy={}`",
                    proxy.variable,
                    endpoint.bare_host()
                ),
            ),
            (None, Cause::Refused) if endpoint.is_loopback() => (
                format!("nothing listens at {}", failure.at),
                format!(
                    "start the collector on this machine, or correct the port in `--endpoint` ({usual}); in a container, `localhost` is the container itself"
                ),
            ),
            (None, Cause::Refused) => (
                format!("nothing listens at {}", failure.at),
                format!("correct host and port in `--endpoint` ({usual}), and check that the receiver runs"),
            ),
            (None, cause) => (
                format!(
                    "no connection to {}: {}; a firewall or security group may stop outgoing connections",
                    failure.at, cause
                ),
                format!(
                    "allow outgoing TCP to port {}, or set `https_proxy` where only a proxy has access",
                    endpoint.port
                ),
            ),
        };
        failed("tcp", detail, remedy)
    }

    fn no_tls(&self, failure: &Failure) -> Verdict {
        let endpoint = self.request.endpoint;
        let problems = self.trust.problems.join("; ");
        let problems = if problems.is_empty() { problems } else { format!(" ({problems})") };
        let (detail, remedy) = match &failure.cause {
            Cause::UnknownIssuer { issuer } => {
                let issuer = issuer.as_deref().map_or_else(|| "an unnamed authority".to_owned(), |issuer| format!("`{issuer}`"));
                (
                    format!("the certificate of {} was issued by {issuer}, which is not trusted: a private authority, or a proxy that opens TLS{problems}", failure.at),
                    "get that authority's certificate as PEM from whoever runs it, and name the file in `OTEL_EXPORTER_OTLP_CERTIFICATE` (this program and Python's exporters read it)".to_owned(),
                )
            }
            Cause::WrongName { names } => {
                let names = if names.is_empty() { "other names".to_owned() } else { format!("`{}`", names.join("`, `")) };
                (
                    format!("the certificate of {} is for {names}, not for `{}`", failure.at, endpoint.host),
                    "write the host in `--endpoint` as the certificate names it; for SigNoz Cloud pass `--region` instead".to_owned(),
                )
            }
            Cause::Expired { by } => (
                format!("the certificate of {} expired {} ago, by this machine's clock", failure.at, about(*by)),
                "check this machine's clock first (`date -u`; `timedatectl set-ntp true`); if it is right, the endpoint needs a new certificate".to_owned(),
            ),
            Cause::NotYetValid { by } => (
                format!("the certificate of {} becomes valid in {}, by this machine's clock", failure.at, about(*by)),
                "set this machine's clock (`date -u`; `timedatectl set-ntp true`)".to_owned(),
            ),
            Cause::NoApplicationProtocol => match self.request.protocol {
                Protocol::Grpc => return self.mismatch(Speaks::Http1),
                Protocol::HttpProtobuf => return self.mismatch(Speaks::Http2),
            },
            Cause::NotTls => (
                format!("{} does not speak TLS", failure.at),
                format!("use `--endpoint {}`, if that is your own receiver", with_scheme(endpoint, Scheme::Http)),
            ),
            Cause::TimedOut => (
                format!("{} gave no answer to the TLS handshake", failure.at),
                "a firewall or proxy may stop TLS to it; try from another network, or set `https_proxy`".to_owned(),
            ),
            Cause::Closed => (
                format!("{} closed the connection during the TLS handshake", failure.at),
                "a firewall or proxy may stop TLS to it; check host and port in `--endpoint`".to_owned(),
            ),
            cause => (
                format!("no TLS with {}: {}{problems}", failure.at, cause),
                "check host and port in `--endpoint`; `openssl s_client -connect HOST:PORT` shows the certificate".to_owned(),
            ),
        };
        failed("tls", detail, remedy)
    }

    /// TLS was tried on a port without.
    fn plain_text(&self) -> Verdict {
        let endpoint = self.request.endpoint;
        failed(
            "tls",
            format!(
                "port {} speaks plain text, and the endpoint begins with https:// (Python's exporters say WRONG_VERSION_NUMBER)",
                endpoint.port
            ),
            format!(
                "use `--endpoint {}`, if that is your own receiver",
                with_scheme(endpoint, Scheme::Http)
            ),
        )
    }

    /// What a port without TLS speaks: asked as HTTP/2 first, then as HTTP/1.1.
    async fn what_listens(&self) -> Option<Speaks> {
        let plain = Endpoint {
            scheme: Scheme::Http,
            ..self.request.endpoint.clone()
        };
        let mut speaks = None;
        for greeting in [sniff::HTTP2, sniff::HTTP1] {
            let route = Route {
                tunnel: true,
                deadline: self.until,
                ..self.route(&plain, Protocol::Grpc, &[])
            };
            let mut connection = dial(&route, &mut |_| {}).await.ok()?;
            speaks = sniff::greet(&mut connection, greeting, self.until).await.or(speaks);
            // An HTTP/1.1 server may only say to its own kind that it wants TLS.
            if matches!(speaks, Some(Speaks::Http2 | Speaks::Tls)) {
                break;
            }
        }
        speaks
    }

    /// The port took over HTTP what it did not take over gRPC.
    pub(super) fn http_only(&self) -> Verdict {
        failed(
            "http2",
            format!("port {} takes OTLP over HTTP and not over gRPC", self.request.endpoint.port),
            "use `--protocol http/protobuf`, or the receiver's gRPC port (usually 4317) in `--endpoint`",
        )
    }

    /// The port speaks something else than it was spoken to.
    pub(super) fn mismatch(&self, speaks: Speaks) -> Verdict {
        let endpoint = self.request.endpoint;
        let port = endpoint.port;
        match (endpoint.scheme, speaks) {
            (Scheme::Http, Speaks::Tls) => failed(
                "tls",
                format!("port {port} expects TLS, and the endpoint begins with http://"),
                format!("use `--endpoint {}`", with_scheme(endpoint, Scheme::Https)),
            ),
            (_, Speaks::Http2) => failed(
                "http2",
                format!("port {port} speaks HTTP/2 only, as a gRPC port does, and the protocol is http/protobuf"),
                "use `--protocol grpc`, or the receiver's HTTP port (usually 4318) in `--endpoint`",
            ),
            (_, Speaks::Http1 | Speaks::Tls) => failed(
                "http2",
                format!("port {port} speaks HTTP/1.1 and not HTTP/2, which gRPC needs"),
                "use `--protocol http/protobuf`, or the receiver's gRPC port (usually 4317) in `--endpoint`",
            ),
        }
    }
}

/// The CONNECT request failed.
fn no_tunnel(failure: &Failure) -> Verdict {
    let proxy = &failure.at;
    let (detail, remedy) = match &failure.cause {
        Cause::ProxyStatus(407) => (
            format!("the proxy {proxy} asks for a user name and password (HTTP 407)"),
            "put them into the proxy variable: `http://USER:PASSWORD@HOST:PORT`".to_owned(),
        ),
        Cause::ProxyStatus(status @ (403 | 405)) => (
            format!("the proxy {proxy} does not let this machine through to the endpoint (HTTP {status})"),
            "ask whoever runs it to allow CONNECT to the endpoint's host and port".to_owned(),
        ),
        Cause::ProxyStatus(status) => (
            format!("the proxy {proxy} could not reach the endpoint (HTTP {status})"),
            "check the endpoint's host, and that the proxy resolves and reaches it".to_owned(),
        ),
        cause => (
            format!("the proxy {proxy} opened no tunnel: {}", cause),
            "check that an HTTP proxy listens there, or except the endpoint with `no_proxy`".to_owned(),
        ),
    };
    failed("proxy", detail, remedy)
}

fn with_scheme(endpoint: &Endpoint, scheme: Scheme) -> String {
    Endpoint {
        scheme,
        ..endpoint.clone()
    }
    .to_string()
}
