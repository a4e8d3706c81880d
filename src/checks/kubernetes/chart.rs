//! Values of the chart k8s-infra.

use super::pod;
use crate::checks::written::Document;
use crate::checks::{Failure, Scene, Verdict};
use crate::detect::survey::FileKind;
use serde_json::Value;

/// The endpoint of a values file that names one.
fn endpoint_of(document: &Document) -> Option<&str> {
    document.value["otelCollectorEndpoint"]
        .as_str()
        .filter(|text| !text.is_empty() && !text.contains("${") && !text.contains('@'))
}

fn is_cloud(endpoint: &str) -> bool {
    let rest = endpoint.split_once("://").map_or(endpoint, |(_, rest)| rest);
    let host = rest.split([':', '/']).next().unwrap_or(rest);
    host.ends_with(".signoz.cloud")
}

/// Looks at every values file that names an endpoint.
fn judge(scene: &Scene<'_>, well: &str, look: impl Fn(&Document, &str) -> Option<Failure>) -> Verdict {
    let named: Vec<_> = scene
        .written()
        .values
        .iter()
        .filter_map(|document| Some((document, endpoint_of(document)?)))
        .collect();
    if named.is_empty() {
        return Verdict::Skip("the chart's values name no endpoint".to_owned());
    }
    named
        .into_iter()
        .find_map(|(document, endpoint)| look(document, endpoint))
        .map_or_else(|| Verdict::Pass(well.to_owned()), Verdict::Fail)
}

/// Minor version of the chart, where `Chart.yaml` or a `helm` command names it: 16 of `0.16.0`.
fn chart_minor(scene: &Scene<'_>) -> Option<u32> {
    let minor = |version: &str| {
        let version = version.trim_matches(|c: char| !c.is_ascii_digit());
        let mut numbers = version.split('.');
        (numbers.next()? == "0").then_some(())?;
        numbers.next()?.parse().ok()
    };
    scene.survey.files.iter().find_map(|file| {
        if file.path.file_name().is_some_and(|name| name == "Chart.yaml") {
            let chart: Value = serde_saphyr::from_str(&scene.text(&file.path)?).ok()?;
            let mut dependencies = chart["dependencies"].as_array()?.iter();
            return minor(dependencies.find(|one| one["name"] == "k8s-infra")?["version"].as_str()?);
        }
        if !matches!(file.kind, FileKind::Shell | FileKind::Makefile) {
            return None;
        }
        let text = scene.text(&file.path)?.replace("\\\n", " ");
        let line = text.lines().find(|line| line.contains("helm ") && line.contains("k8s-infra"))?;
        let (_, after) = line.split_once("--version")?;
        minor(after.trim_start_matches(['=', ' ']).split_whitespace().next()?)
    })
}

pub(super) fn endpoint(scene: &Scene<'_>) -> Verdict {
    let known = chart_minor(scene);
    judge(scene, "the endpoint fits the exporter", |document, endpoint| {
        let presets = &document.value["presets"];
        let http = presets["otlphttpExporter"]["enabled"]
            .as_bool()
            .unwrap_or_else(|| presets["otlpExporter"]["enabled"] != true && known.is_none_or(|minor| minor >= 16));
        let url = endpoint.contains("://");
        let sure = known.is_some() || presets["otlphttpExporter"]["enabled"].is_boolean();
        if http && !url {
            let scheme = if is_cloud(endpoint) || endpoint.ends_with(":443") {
                "https"
            } else {
                "http"
            };
            let failure = Failure::new(format!(
                "the chart sends HTTP (its default since 0.16.0), and `{endpoint}` is no URL"
            ))
            .remedy(format!(
                "in `{}` write `otelCollectorEndpoint: {scheme}://{endpoint}`",
                document.place(endpoint)
            ))
            .because([document.at(endpoint)]);
            return Some(if sure { failure } else { failure.mild() });
        }
        (!http && endpoint.starts_with("https://")).then(|| {
            let bare = endpoint.trim_start_matches("https://").trim_end_matches('/');
            let bare = if bare.contains(':') {
                bare.to_owned()
            } else {
                format!("{bare}:443")
            };
            Failure::new(format!(
                "the chart sends gRPC (its default before 0.16.0), and `{endpoint}` is a URL"
            ))
            .remedy(format!(
                "in `{}` write `otelCollectorEndpoint: {bare}`, or upgrade the chart to 0.16.0",
                document.place(endpoint)
            ))
            .because([document.at(endpoint)])
        })
    })
}

pub(super) fn tls(scene: &Scene<'_>) -> Verdict {
    judge(scene, "TLS is on where it belongs", |document, endpoint| {
        let insecure = &document.value["otelInsecure"];
        if !is_cloud(endpoint) || *insecure == false {
            return None;
        }
        let (seen, at) = if insecure.is_null() {
            ("`otelInsecure` is not set, and its default is true", document.at(endpoint))
        } else {
            ("`otelInsecure` is true", document.at("otelInsecure"))
        };
        Some(
            Failure::new(format!("{seen}: SigNoz Cloud takes TLS only"))
                .remedy(format!("in `{}` write `otelInsecure: false`", at.source))
                .because([at]),
        )
    })
}

pub(super) fn key(scene: &Scene<'_>) -> Verdict {
    judge(scene, "there is a key", |document, endpoint| {
        if !is_cloud(endpoint) {
            return None;
        }
        let text = |name: &str| document.value[name].as_str().unwrap_or_default().trim();
        let (secret, entry, key) = (
            text("apiKeyExistingSecretName"),
            text("apiKeyExistingSecretKey"),
            text("signozApiKey"),
        );
        let mut unset = false;
        let trouble = if !secret.is_empty() && entry.is_empty() {
            "`apiKeyExistingSecretName` is set and `apiKeyExistingSecretKey` is not"
        } else if !secret.is_empty() {
            return None;
        } else if document.value.get("signozApiKey").is_none() {
            unset = true;
            "no key is set (unless the command line adds one)"
        } else if key.is_empty() {
            "`signozApiKey` is empty"
        } else if key.contains(['<', '>']) || key.to_ascii_lowercase().contains("your") {
            "`signozApiKey` still holds a placeholder"
        } else {
            return None;
        };
        let place = if unset { document.at(endpoint) } else { document.at("piKey") };
        let failure = Failure::new(trouble)
            .remedy(format!(
                "make a secret (`kubectl create secret generic signoz-key --from-literal=key=<ingestion key>`), and in `{}` write `apiKeyExistingSecretName: signoz-key` and `apiKeyExistingSecretKey: key`",
                document.path
            ))
            .because([place]);
        Some(if unset { failure.mild() } else { failure })
    })
}

pub(super) fn lists(scene: &Scene<'_>) -> Verdict {
    for document in &scene.written().values {
        let attributes = &document.value["presets"]["k8sAttributes"];
        for (name, wanted) in [
            ("podAssociation", &["k8s.pod.ip", "k8s.pod.uid", "connection"][..]),
            (
                "extractMetadatas",
                &["k8s.namespace.name", "k8s.deployment.name", "k8s.node.name", "k8s.pod.name"][..],
            ),
        ] {
            let Some(list) = attributes.get(name).filter(|list| list.is_array()) else {
                continue;
            };
            let text = list.to_string();
            let missing: Vec<&str> = wanted
                .iter()
                .copied()
                .filter(|entry| !text.contains(&format!("\"{entry}\"")))
                .collect();
            if !missing.is_empty() {
                let at = document.at(&format!("{name}:"));
                return Failure::new(format!(
                    "`presets.k8sAttributes.{name}` replaces the chart's list and lacks {}",
                    missing.join(", ")
                ))
                .remedy(format!("in `{}` add {}, or remove the list", at.source, missing.join(", ")))
                .because([at])
                .into();
            }
        }
    }
    Verdict::Pass("no list of the chart is cut short".to_owned())
}

pub(super) fn node_port(scene: &Scene<'_>) -> Verdict {
    let Some(sends) = pod::pods(scene).iter().find_map(pod::sends_to_node) else {
        return Verdict::Skip("no pod sends to its node".to_owned());
    };
    for document in &scene.written().values {
        let (trouble, at) = if document.value["global"]["cloud"] == "gcp/autogke" {
            ("GKE Autopilot opens no port on the node", document.at("gcp/autogke"))
        } else if document.value["otelAgent"]["enabled"] == false {
            ("the agent is switched off", document.at("otelAgent"))
        } else {
            continue;
        };
        return Failure::new(format!("a pod sends to its node, and {trouble}"))
            .remedy(format!(
                "in `{}` send to the service instead: `http://<release>-k8s-infra-otel-agent.<namespace>.svc:4317`",
                sends.source
            ))
            .because([at, sends])
            .into();
    }
    Verdict::Pass("the agent listens on every node".to_owned())
}
