//! What a collector's configuration says.

use crate::checks::written::{Collector, Document};
use crate::checks::{Failure, Scene, Verdict};
use crate::domain::detection::Evidence;
use serde_json::{Map, Value};

const NONE: &str = "no collector configuration was found";

pub(super) fn spared(scene: &Scene<'_>) -> Option<&'static str> {
    scene.written().collectors.is_empty().then_some(NONE)
}

pub(super) fn spared_unless_found(scene: &Scene<'_>) -> Option<&'static str> {
    let written = scene.written();
    (written.collectors.is_empty() && written.unreadable.is_empty()).then_some(NONE)
}

pub(super) fn spared_outside_containers(scene: &Scene<'_>) -> Option<&'static str> {
    let contained = scene.written().collectors.iter().any(|collector| collector.contained);
    (!contained).then_some("no collector runs in a container or a pod")
}

/// The first collector that is not as it should be.
fn judge(scene: &Scene<'_>, well: &str, look: impl Fn(&Collector) -> Option<Failure>) -> Verdict {
    let collectors = &scene.written().collectors;
    collectors.iter().find_map(look).map_or_else(
        || {
            let names: Vec<_> = collectors.iter().map(|collector| collector.document.path.as_str()).collect();
            Verdict::Pass(format!("{well}: {}", names.join(", ")))
        },
        Verdict::Fail,
    )
}

fn map<'a>(value: &'a Value, name: &str) -> impl Iterator<Item = (&'a String, &'a Value)> {
    value.get(name).and_then(Value::as_object).into_iter().flat_map(Map::iter)
}

/// `otlp` of `otlp/signoz`.
fn kind(name: &str) -> &str {
    name.split('/').next().unwrap_or(name)
}

fn list(value: &Value) -> Vec<&str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

/// A part of a configuration; the line of its own name where it has one.
fn at(document: &Document, name: &str) -> Evidence {
    document.at(&format!("{name}:"))
}

pub(super) fn readable(scene: &Scene<'_>) -> Verdict {
    if let Some((path, words)) = scene.written().unreadable.first() {
        return Failure::new(format!("`{path}` is no valid YAML: {words}"))
            .remedy(format!("mend `{path}`, then try it: `otelcol-contrib validate --config {path}`"))
            .because([Evidence::new(path.clone(), words)])
            .into();
    }
    judge(scene, "read", |_| None)
}

const DETECTORS: &[&str] = &[
    "akamai",
    "alibaba_ecs",
    "aks",
    "azure",
    "consul",
    "digitalocean",
    "docker",
    "dynatrace",
    "ec2",
    "ecs",
    "eks",
    "elastic_beanstalk",
    "elasticbeanstalk",
    "env",
    "gcp",
    "gce",
    "gke",
    "heroku",
    "hetzner",
    "k8snode",
    "kubeadm",
    "lambda",
    "nova",
    "openshift",
    "oraclecloud",
    "scaleway",
    "system",
    "upcloud",
    "vultr",
];

pub(super) fn detectors(scene: &Scene<'_>) -> Verdict {
    let in_cluster = !scene.detection().kubernetes.is_empty();
    judge(scene, "all detectors are known", |collector| {
        let document = &collector.document;
        for (name, processor) in map(&document.value, "processors") {
            if !matches!(kind(name), "resourcedetection" | "resource_detection") {
                continue;
            }
            let named: Vec<_> = list(&processor["detectors"])
                .into_iter()
                .filter(|name| !name.contains('$'))
                .collect();
            let failure = |bad: &str, detail: String| {
                let rest: Vec<_> = named
                    .iter()
                    .copied()
                    .filter(|name| *name != bad && DETECTORS.contains(name))
                    .collect();
                let rest = if rest.is_empty() {
                    "env, system".to_owned()
                } else {
                    rest.join(", ")
                };
                Failure::new(detail)
                    .remedy(format!("in `{}` write `detectors: [{rest}]`", document.place("detectors:")))
                    .because([at(document, "detectors")])
            };
            for bad in &named {
                if !DETECTORS.contains(bad) {
                    return Some(failure(
                        bad,
                        format!("`{bad}` is no detector: the collector stops with `invalid detector key: {bad}`"),
                    ));
                }
                if *bad == "k8snode" && !collector.cluster && !in_cluster {
                    return Some(failure(
                        bad,
                        "the detector `k8snode` needs a cluster around the collector".to_owned(),
                    ));
                }
                if *bad == "docker" && !collector.cluster && !collector.docker_socket {
                    return Some(
                        failure(
                            bad,
                            "the detector `docker` needs `/var/run/docker.sock`, which the collector has not".to_owned(),
                        )
                        .mild(),
                    );
                }
            }
        }
        None
    })
}

pub(super) fn removed_keys(scene: &Scene<'_>) -> Verdict {
    judge(scene, "no key that was removed", |collector| {
        let document = &collector.document;
        let metrics = &document.value["service"]["telemetry"]["metrics"];
        // The image's tag, where it is known, says which keys it refuses; `logging` left in 0.111, `address` in 0.123.
        let refuses = |since: u32| collector.minor.is_none_or(|minor| minor >= since);
        if metrics.get("address").is_some() && refuses(123) {
            return Some(
                Failure::new("`service.telemetry.metrics.address` was removed: newer collectors stop at it")
                    .remedy(format!(
                        "in `{}` replace the line by `readers: [{{pull: {{exporter: {{prometheus: {{host: 127.0.0.1, port: 8888}}}}}}}}]`",
                        document.place("address:")
                    ))
                    .because([at(document, "address")]),
            );
        }
        let logging = map(&document.value, "exporters").find(|(name, _)| kind(name) == "logging");
        let (name, _) = logging.filter(|_| refuses(111))?;
        Some(
            Failure::new("the exporter `logging` was removed: newer collectors stop at it")
                .remedy(format!(
                    "in `{}` and in the pipelines write `debug` instead of `{name}`",
                    document.place(&format!("{name}:"))
                ))
                .because([at(document, name)]),
        )
    })
}

/// What an exporter is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Speaks {
    Grpc,
    Http,
}

/// OTLP exporters with the endpoint that is written down; those that variables give are not known.
fn exporters(document: &Document) -> Vec<(&String, Speaks, &str, &Value)> {
    map(&document.value, "exporters")
        .filter_map(|(name, exporter)| {
            let speaks = match kind(name) {
                "otlp" | "otlp_grpc" => Speaks::Grpc,
                "otlphttp" | "otlp_http" => Speaks::Http,
                _ => return None,
            };
            let endpoint = exporter.get("endpoint").or_else(|| exporter.get("traces_endpoint"))?.as_str()?;
            // A variable's value is not known, and a password is not to be shown.
            (!endpoint.starts_with('$') && !endpoint.contains("{{") && !endpoint.contains('@'))
                .then_some((name, speaks, endpoint, exporter))
        })
        .collect()
}

fn host(endpoint: &str) -> &str {
    let rest = endpoint.split_once("://").map_or(endpoint, |(_, rest)| rest);
    let authority = rest.split('/').next().unwrap_or(rest);
    authority.rsplit_once(':').map_or(authority, |(host, _)| host)
}

fn path(endpoint: &str) -> &str {
    let rest = endpoint.split_once("://").map_or(endpoint, |(_, rest)| rest);
    rest.find('/').map_or("", |at| &rest[at..])
}

fn port(endpoint: &str) -> Option<&str> {
    let rest = endpoint.split_once("://").map_or(endpoint, |(_, rest)| rest);
    rest.split('/').next()?.rsplit_once(':').map(|(_, port)| port)
}

fn is_cloud(endpoint: &str) -> bool {
    host(endpoint).ends_with(".signoz.cloud") || host(endpoint).ends_with(".signoz.io")
}

pub(super) fn exporter_endpoint(scene: &Scene<'_>) -> Verdict {
    judge(scene, "every endpoint fits its exporter", |collector| {
        let document = &collector.document;
        for (name, speaks, endpoint, exporter) in exporters(document) {
            let own = exporter.get("endpoint").is_some();
            let (host, port, path) = (host(endpoint), port(endpoint), path(endpoint).trim_end_matches('/'));
            let (trouble, better) = match speaks {
                Speaks::Grpc if !path.is_empty() => ("is gRPC and takes no path", format!("{host}:{}", port.unwrap_or("443"))),
                Speaks::Grpc if port == Some("4318") => ("is gRPC, and 4318 is the port for HTTP", format!("{host}:4317")),
                Speaks::Http if !endpoint.contains("://") => {
                    let scheme = if is_cloud(endpoint) || port == Some("443") {
                        "https"
                    } else {
                        "http"
                    };
                    ("is HTTP and needs a URL with its scheme", format!("{scheme}://{endpoint}"))
                }
                Speaks::Http if own && path.ends_with("/v1/traces") => (
                    "adds `/v1/traces` itself",
                    endpoint.trim_end_matches('/').trim_end_matches("/v1/traces").to_owned(),
                ),
                Speaks::Http if port == Some("4317") => ("is HTTP, and 4317 is the port for gRPC", endpoint.replace(":4317", ":4318")),
                _ => continue,
            };
            return Some(
                Failure::new(format!("the exporter `{name}` {trouble}: `{endpoint}`"))
                    .remedy(format!("in `{}` write `endpoint: {better}`", document.place(endpoint)))
                    .because([document.at(endpoint)]),
            );
        }
        None
    })
}

pub(super) fn exporter_tls(scene: &Scene<'_>) -> Verdict {
    judge(scene, "TLS where it belongs", |collector| {
        let document = &collector.document;
        for (name, speaks, endpoint, exporter) in exporters(document) {
            let insecure = exporter["tls"]["insecure"] == true;
            let cloud = is_cloud(endpoint);
            if cloud && speaks == Speaks::Grpc && insecure {
                return Some(
                    Failure::new(format!(
                        "the exporter `{name}` sends plain text to `{endpoint}`, which takes TLS only"
                    ))
                    .remedy(format!("in `{}` write `insecure: false`", document.place("insecure: true")))
                    .because([at(document, "insecure")]),
                );
            }
            if cloud && endpoint.starts_with("http://") {
                return Some(
                    Failure::new(format!(
                        "the exporter `{name}` sends plain text to `{endpoint}`, which takes TLS only"
                    ))
                    .remedy(format!(
                        "in `{}` write `endpoint: {}`",
                        document.place(endpoint),
                        endpoint.replacen("http://", "https://", 1)
                    ))
                    .because([document.at(endpoint)]),
                );
            }
            let plain = port(endpoint) == Some("4317") && !cloud && exporter.get("tls").is_none();
            if plain && speaks == Speaks::Grpc && !endpoint.starts_with("http://") && !endpoint.starts_with("https://") {
                return Some(
                    Failure::new(format!(
                        "the exporter `{name}` speaks TLS to `{endpoint}`, and 4317 is nearly always a receiver without it"
                    ))
                    .remedy(format!(
                        "below `{}` write `tls: {{insecure: true}}`, unless the receiver has a certificate",
                        document.place(endpoint)
                    ))
                    .because([document.at(endpoint)])
                    .mild(),
                );
            }
        }
        None
    })
}

pub(super) fn key_header(scene: &Scene<'_>) -> Verdict {
    const NAMES: &[&str] = &["signoz-ingestion-key", "signoz-access-token", "authorization"];
    let to_cloud = |collector: &Collector| exporters(&collector.document).iter().any(|(_, _, endpoint, _)| is_cloud(endpoint));
    if !scene.written().collectors.iter().any(to_cloud) {
        return Verdict::Skip("no collector's configuration names SigNoz Cloud".to_owned());
    }
    judge(scene, "the key's header is there", |collector| {
        let document = &collector.document;
        for (name, _, endpoint, exporter) in exporters(document).into_iter().filter(|(_, _, endpoint, _)| is_cloud(endpoint)) {
            if exporter.get("auth").is_some() {
                continue;
            }
            let found = map(exporter, "headers").find(|(header, _)| NAMES.contains(&header.to_ascii_lowercase().as_str()));
            let Some((header, value)) = found else {
                return Some(
                    Failure::new(format!("the exporter `{name}` sends no `signoz-ingestion-key` to `{endpoint}`"))
                        .remedy(format!(
                            "below `{}` write `headers: {{signoz-ingestion-key: \"${{env:SIGNOZ_INGESTION_KEY}}\"}}`",
                            document.place(endpoint)
                        ))
                        .because([document.at(endpoint)]),
                );
            };
            let text = value.as_str().unwrap_or_default();
            let trouble = if text.trim().is_empty() {
                "is empty"
            } else if text.starts_with(['"', '\'']) || text.ends_with(['"', '\'']) {
                "has quotes inside its value, which are sent too"
            } else if text.contains(['<', '>']) || text.contains("{{") || text.to_ascii_lowercase().contains("your") {
                "still holds a placeholder"
            } else if text.starts_with('$') && !text.starts_with("${") && !text.starts_with("$$") {
                "names a variable without braces, which newer collectors do not fill in"
            } else if text != text.trim() {
                "has white space around its value"
            } else if text.starts_with("signoz-ingestion-key") {
                "repeats its name in its value"
            } else {
                continue;
            };
            return Some(
                Failure::new(format!("the header `{header}` of the exporter `{name}` {trouble}"))
                    .remedy(format!(
                        "in `{}` write `{header}: \"${{env:SIGNOZ_INGESTION_KEY}}\"`, and give the collector that variable",
                        document.place(&format!("{header}:"))
                    ))
                    .because([at(document, header)]),
            );
        }
        None
    })
}

pub(super) fn pipelines(scene: &Scene<'_>) -> Verdict {
    judge(scene, "traces go from a receiver to an exporter", |collector| {
        let document = &collector.document;
        let config = &document.value;
        let traces: Vec<_> = map(&config["service"], "pipelines")
            .filter(|(name, _)| kind(name) == "traces")
            .collect();
        let takes_otlp = map(config, "receivers").any(|(name, _)| kind(name) == "otlp");
        // A collector of metrics or logs alone is no concern of spans.
        if traces.is_empty() && !takes_otlp {
            return None;
        }
        if traces.is_empty() {
            return Some(
                Failure::new("there is no traces pipeline: the collector refuses spans")
                    .remedy(format!(
                        "in `{}` below `pipelines:` write `traces: {{receivers: [otlp], exporters: [{}]}}`",
                        document.path,
                        exporters(document).first().map_or("otlphttp", |(name, ..)| name.as_str())
                    ))
                    .because([at(document, "service")]),
            );
        }
        let defined = |section: &str, name: &str| config[section].get(name).is_some() || config["connectors"].get(name).is_some();
        let mut leads_out = false;
        for (name, pipeline) in &traces {
            for section in ["receivers", "processors", "exporters"] {
                let parts = list(&pipeline[section]);
                if parts.is_empty() && section != "processors" {
                    return Some(
                        Failure::new(format!("the pipeline `{name}` has no {section}: the collector does not start"))
                            .remedy(format!("in `{}` list its {section}", document.place(&format!("{name}:"))))
                            .because([at(document, name)]),
                    );
                }
                if let Some(missing) = parts.iter().find(|part| !part.contains('$') && !defined(section, part)) {
                    return Some(
                        Failure::new(format!(
                            "the pipeline `{name}` names `{missing}`, which is not defined below `{section}:`: the collector does not start"
                        ))
                        .remedy(format!(
                            "in `{}` define `{missing}` below `{section}:`, or take it out of `{name}`",
                            document.path
                        ))
                        .because([at(document, name)]),
                    );
                }
            }
            leads_out |= list(&pipeline["exporters"])
                .iter()
                .any(|exporter| !matches!(kind(exporter), "debug" | "logging" | "nop"));
        }
        let receives = traces
            .iter()
            .any(|(_, pipeline)| list(&pipeline["receivers"]).iter().any(|name| kind(name) == "otlp"));
        let (trouble, remedy) = if !leads_out {
            (
                "no traces pipeline has an exporter that sends",
                "add the exporter towards SigNoz to its `exporters`",
            )
        } else if takes_otlp && !receives {
            ("no traces pipeline receives OTLP", "add `otlp` to its `receivers`")
        } else {
            return None;
        };
        Some(
            Failure::new(trouble)
                .remedy(format!("in `{}` {remedy}", document.place("traces")))
                .because([document.at("traces")]),
        )
    })
}

pub(super) fn receiver_address(scene: &Scene<'_>) -> Verdict {
    judge(scene, "the receivers listen to others", |collector| {
        if !collector.contained {
            return None;
        }
        let document = &collector.document;
        for (receiver, value) in map(&document.value, "receivers").filter(|(name, _)| kind(name) == "otlp") {
            for (protocol, settings) in map(value, "protocols") {
                let usual = if protocol == "grpc" { "4317" } else { "4318" };
                let (trouble, port, needle) = match settings.get("endpoint").and_then(Value::as_str) {
                    // The default became localhost in 0.104; the operator fills in addresses itself.
                    None if !collector.cluster && collector.minor.is_none_or(|minor| minor >= 104) => {
                        ("has no `endpoint`, and the default is localhost", usual, protocol)
                    }
                    Some(endpoint) if matches!(host(endpoint), "localhost" | "127.0.0.1" | "[::1]") => {
                        ("listens on localhost", port(endpoint).unwrap_or(usual), protocol)
                    }
                    _ => continue,
                };
                return Some(
                    Failure::new(format!(
                        "the receiver `{receiver}` ({protocol}) {trouble}: no other container reaches it"
                    ))
                    .remedy(format!(
                        "in `{}` below `{protocol}:` write `endpoint: 0.0.0.0:{port}`",
                        document.place(&format!("{needle}:"))
                    ))
                    .because([at(document, needle)]),
                );
            }
        }
        None
    })
}
