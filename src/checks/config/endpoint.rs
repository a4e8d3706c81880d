//! Where spans are sent, and over what: `OTEL_EXPORTER_OTLP_[TRACES_]ENDPOINT` and `…_PROTOCOL`, as Python's exporters read them.

use super::CONFIG;
use super::lint::{bare, is_complete, is_open, lint, write};
use crate::checks::scene::{Scope, ScopeKind};
use crate::checks::{Check, Failure, Scene, Severity, Verdict, page};

const DOC: &str = "https://signoz.io/docs/ingestion/signoz-cloud/overview/";

/// An endpoint, taken apart without judging it.
struct Parts<'a> {
    /// Variable that it was set by.
    name: String,
    whole: &'a str,
    scheme: Option<&'a str>,
    host: &'a str,
    port: Option<u16>,
    path: &'a str,
}

impl Parts<'_> {
    /// The traces' own variable is used as it is, without a path of the exporter's.
    fn own(&self) -> bool {
        self.name.contains("_TRACES_")
    }

    fn is_cloud(&self) -> bool {
        self.host == "signoz.cloud" || self.host.ends_with(".signoz.cloud")
    }

    fn with(&self, scheme: &str, host: &str, port: Option<u16>, path: &str) -> String {
        let port = port.map(|port| format!(":{port}")).unwrap_or_default();
        format!("{scheme}://{host}{port}{path}")
    }
}

/// The endpoint that this scope gives the traces exporter; `None` when it is open or unset.
fn endpoint(scope: &Scope) -> Option<Parts<'_>> {
    let (name, value) = scope.traces("ENDPOINT")?;
    let whole = bare(value);
    if whole.is_empty() || is_open(whole) {
        return None;
    }
    let (scheme, rest) = whole.split_once("://").map_or((None, whole), |(scheme, rest)| (Some(scheme), rest));
    let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
    let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port.parse().ok()),
        _ => (authority, None),
    };
    Some(Parts {
        name,
        whole,
        scheme,
        host,
        port,
        path,
    })
}

/// The protocol, or Python's default where all variables are known; `None` where another place may set it.
fn protocol(scope: &Scope) -> Option<&str> {
    match scope.traces("PROTOCOL") {
        Some((_, value)) => Some(bare(value)),
        None => (scope.kind != ScopeKind::File).then_some("grpc"),
    }
}

fn is_loopback(host: &str) -> bool {
    matches!(host, "localhost" | "[::1]" | "host.docker.internal") || host.starts_with("127.")
}

fn wrong(scope: &Scope, parts: &Parts<'_>, detail: impl AsRef<str>, better: &str) -> Failure {
    Failure::new(detail.as_ref())
        .remedy(write(scope, &parts.name, better))
        .because(scope.evidence(&parts.name))
}

pub(super) const SET: Check = Check {
    id: "config.endpoint-set",
    title: "the exporter is told where to send",
    why: "without an endpoint Python's exporter sends to localhost:4317, where mostly nobody listens",
    remedy: "set OTEL_EXPORTER_OTLP_ENDPOINT",
    doc: DOC,
    page: page!("config.endpoint-set"),
    covers: &["D09"],
    run: set,
    ..CONFIG
};

fn set(scene: &Scene<'_>) -> Verdict {
    if !scene.configured().any(is_complete) {
        return Verdict::Skip("no run script and no running app: nobody has all the variables".to_owned());
    }
    let named = scene.destination().map(|(endpoint, _)| endpoint.to_string());
    let better = named.or_else(|| scene.answered_endpoint().map(|endpoint| endpoint.to_string()));
    let better = better.unwrap_or_else(|| "https://ingest.REGION.signoz.cloud:443".to_owned());
    lint(scene, "an endpoint is set", |scope| {
        let exports = scope.get("OTEL_TRACES_EXPORTER").is_none_or(|value| bare(value).contains("otlp"));
        if !is_complete(scope) || !exports || scope.traces("ENDPOINT").is_some() || scope.get("OTEL_CONFIG_FILE").is_some() {
            return None;
        }
        let failure = Failure::new("OTEL_EXPORTER_OTLP_ENDPOINT is not set: spans go to localhost:4317")
            .remedy(write(scope, "OTEL_EXPORTER_OTLP_ENDPOINT", &better))
            .because([super::lint::absent(scope, "OTEL_EXPORTER_OTLP_ENDPOINT")]);
        // A process may mean the collector beside it.
        Some(if scope.kind == ScopeKind::Process {
            failure.mild()
        } else {
            failure
        })
    })
}

pub(super) const SCHEME: Check = Check {
    id: "config.endpoint-scheme",
    title: "the endpoint says http:// or https://",
    why: "without a scheme the HTTP exporter sends nothing (InvalidSchema), and the gRPC exporter takes TLS for granted",
    remedy: "begin the endpoint with https://, or with http:// for a collector without TLS",
    doc: DOC,
    page: page!("config.endpoint-scheme"),
    covers: &["D10"],
    run: |scene| {
        lint(scene, "the endpoint has a scheme", |scope| {
            let parts = endpoint(scope)?;
            let plain = is_loopback(parts.host) || matches!(parts.port, Some(4317 | 4318));
            let insecure = scope
                .traces("INSECURE")
                .is_some_and(|(_, value)| bare(value).eq_ignore_ascii_case("true"));
            let scheme = if plain || insecure { "http" } else { "https" };
            let rest = parts.whole.split_once("://").map_or(parts.whole, |(_, rest)| rest);
            let better = format!("{scheme}://{rest}");
            match parts.scheme {
                Some("http" | "https") => None,
                Some(other) => Some(wrong(scope, &parts, format!("{} begins with `{other}://`", parts.name), &better)),
                None if protocol(scope) == Some("grpc") && insecure => None,
                None => {
                    let failure = wrong(scope, &parts, format!("{} has no http:// or https://", parts.name), &better);
                    // gRPC takes TLS, which is right for port 443.
                    let works = protocol(scope) == Some("grpc") && !plain;
                    Some(if works { failure.mild() } else { failure })
                }
            }
        })
    },
    ..CONFIG
};

pub(super) const TLS: Check = Check {
    id: "config.endpoint-tls",
    title: "https goes to a TLS port, http to a plain one",
    why: "TLS spoken to a plain port, or the reverse, never gets as far as the key: every batch is lost",
    remedy: "https:// for SigNoz Cloud, http:// for a collector without TLS",
    doc: DOC,
    page: page!("config.endpoint-tls"),
    covers: &["D11", "D12"],
    run: |scene| {
        lint(scene, "the scheme fits the host", |scope| {
            let parts = endpoint(scope)?;
            match parts.scheme {
                Some("http") if parts.is_cloud() => Some(wrong(
                    scope,
                    &parts,
                    format!("{} is http://, and {} answers only TLS", parts.name, parts.host),
                    &parts.with("https", parts.host, parts.port, parts.path),
                )),
                Some("https") if is_loopback(parts.host) && scope.traces("CERTIFICATE").is_none() => {
                    let failure = wrong(
                        scope,
                        &parts,
                        format!(
                            "{} is https://, but a collector on {} mostly speaks without TLS",
                            parts.name, parts.host
                        ),
                        &parts.with("http", parts.host, parts.port, parts.path),
                    );
                    let usual = matches!(parts.port, Some(4317 | 4318) | None);
                    Some(if usual { failure } else { failure.mild() })
                }
                _ => None,
            }
        })
    },
    ..CONFIG
};

pub(super) const PORT: Check = Check {
    id: "config.endpoint-port",
    title: "the port belongs to the protocol",
    why: "gRPC sent to the HTTP port, or the reverse, is not understood: every batch is lost, and a gRPC app takes a minute to exit",
    remedy: "4317 for grpc, 4318 for http/protobuf, 443 for SigNoz Cloud",
    doc: DOC,
    page: page!("config.endpoint-port"),
    covers: &["D13"],
    run: |scene| {
        lint(scene, "the port fits the protocol", |scope| {
            let parts = endpoint(scope)?;
            let scheme = parts.scheme.unwrap_or("http");
            if let (true, Some(port)) = (parts.is_cloud(), parts.port.filter(|port| *port != 443)) {
                let detail = format!("{} names port {port}, and SigNoz Cloud takes spans on 443 only", parts.name);
                return Some(wrong(
                    scope,
                    &parts,
                    detail,
                    &parts.with("https", parts.host, Some(443), parts.path),
                ));
            }
            let right = match (protocol(scope)?, parts.port?) {
                ("grpc", 4318) => 4317,
                ("http/protobuf", 4317) => 4318,
                _ => return None,
            };
            let (protocol, port) = (protocol(scope)?, parts.port?);
            let detail = format!(
                "the protocol is {protocol}, but {} names port {port}, which is the other protocol's",
                parts.name
            );
            Some(wrong(
                scope,
                &parts,
                detail,
                &parts.with(scheme, parts.host, Some(right), parts.path),
            ))
        })
    },
    ..CONFIG
};

pub(super) const PATH: Check = Check {
    id: "config.endpoint-path",
    title: "the endpoint's path is the one that the exporter expects",
    why: "over HTTP the exporter appends /v1/traces to the general endpoint and nothing to the traces' own: a wrong path is answered with 404",
    remedy: "the general endpoint without a path, the traces' own with /v1/traces and no slash at its end",
    doc: "https://signoz.io/docs/ingestion/signoz-cloud/troubleshooting/",
    page: page!("config.endpoint-path"),
    covers: &["D15", "D16", "D17"],
    run: |scene| {
        lint(scene, "the path is right", |scope| {
            if protocol(scope)? != "http/protobuf" {
                return None;
            }
            let parts = endpoint(scope)?;
            let base = parts.path.trim_end_matches('/');
            let scheme = parts.scheme.unwrap_or("https");
            let (detail, path) = if !parts.own() {
                let base = base.strip_suffix("/v1/traces")?;
                (
                    format!("{} holds /v1/traces, which the exporter appends once more", parts.name),
                    base.to_owned(),
                )
            } else if base.is_empty() {
                (
                    format!("{} is used as it is and has no /v1/traces", parts.name),
                    "/v1/traces".to_owned(),
                )
            } else if parts.path.ends_with('/') {
                (
                    format!("{} ends in a slash, which is answered with 404", parts.name),
                    base.to_owned(),
                )
            } else {
                return None;
            };
            Some(wrong(scope, &parts, detail, &parts.with(scheme, parts.host, parts.port, &path)))
        })
    },
    ..CONFIG
};

pub(super) const INGEST_HOST: Check = Check {
    id: "config.ingest-host",
    title: "a SigNoz Cloud endpoint is the ingest host",
    why: "the address of the SigNoz page in the browser takes no spans: it answers with 404, 405 or HTML",
    remedy: "use https://ingest.REGION.signoz.cloud:443",
    doc: DOC,
    page: page!("config.ingest-host"),
    covers: &["E05"],
    run: |scene| {
        lint(scene, "the host is no page for people", |scope| {
            let parts = endpoint(scope)?;
            let own = parts.is_cloud() && !parts.host.starts_with("ingest.");
            let page = own || matches!(parts.host, "app.signoz.io" | "signoz.io" | "cloud.signoz.io");
            if !page {
                return None;
            }
            // `acme.us.signoz.cloud` names its region, `acme.signoz.cloud` does not.
            let labels: Vec<&str> = parts.host.split('.').collect();
            let region = match labels[..] {
                [_, region, "signoz", "cloud"] => region,
                _ => "REGION",
            };
            let path = if parts.own() { parts.path } else { "" };
            let better = parts.with("https", &format!("ingest.{region}.signoz.cloud"), Some(443), path);
            Some(wrong(
                scope,
                &parts,
                format!("{} is the page that people open, not the ingest host", parts.host),
                &better,
            ))
        })
    },
    ..CONFIG
};

pub(super) const CURRENT_HOST: Check = Check {
    id: "config.current-host",
    title: "the ingest host is a current one",
    why: "ingest.signoz.io and its siblings come from old tutorials and are deprecated: they may end at any time",
    remedy: "use https://ingest.REGION.signoz.cloud:443",
    doc: DOC,
    page: page!("config.current-host"),
    severity: Severity::Warning,
    covers: &["E06"],
    run: |scene| {
        lint(scene, "no deprecated host is used", |scope| {
            let parts = endpoint(scope)?;
            let region = match parts.host {
                "ingest.signoz.io" => "us",
                "ingest-in.signoz.io" => "in",
                "ingest-eu.signoz.io" => "eu",
                _ => return None,
            };
            let path = if parts.own() { parts.path } else { "" };
            let better = parts.with("https", &format!("ingest.{region}.signoz.cloud"), Some(443), path);
            Some(wrong(scope, &parts, format!("{} is deprecated", parts.host), &better))
        })
    },
    ..CONFIG
};

pub(super) const PROTOCOL: Check = Check {
    id: "config.protocol",
    title: "the protocol is spelled as Python knows it",
    why: "with any other spelling the SDK stops at the start (Failed to auto initialize) and the app runs untraced",
    remedy: "set OTEL_EXPORTER_OTLP_PROTOCOL to grpc or http/protobuf",
    doc: "https://signoz.io/docs/instrumentation/opentelemetry-python/",
    page: page!("config.protocol"),
    covers: &["D14"],
    run: |scene| {
        lint(scene, "grpc or http/protobuf", |scope| {
            let (name, value) = scope.traces("PROTOCOL")?;
            let value = bare(value);
            if matches!(value, "grpc" | "http/protobuf") || is_open(value) || value.is_empty() {
                return None;
            }
            let right = if value.to_ascii_lowercase().contains("http") || value.contains("json") {
                "http/protobuf"
            } else {
                "grpc"
            };
            let failure = Failure::new(format!("{name} is `{value}`; Python knows grpc and http/protobuf"))
                .remedy(write(scope, &name, right))
                .because(scope.evidence(&name));
            Some(failure)
        })
    },
    ..CONFIG
};
