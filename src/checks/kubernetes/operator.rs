//! The OpenTelemetry operator: its annotations and its Instrumentation objects.

use super::pod::pods;
use crate::checks::written::Document;
use crate::checks::{Failure, Scene, Verdict};
use serde_json::Value;

const INJECT: &str = "instrumentation.opentelemetry.io/inject-python";
const PLATFORM: &str = "instrumentation.opentelemetry.io/otel-python-platform";

fn instrumentations<'a>(scene: &'a Scene<'_>) -> Vec<&'a Document> {
    let objects = scene.written().objects.iter();
    objects
        .filter(|document| {
            document.value["kind"] == "Instrumentation"
                && document.value["apiVersion"]
                    .as_str()
                    .is_some_and(|version| version.starts_with("opentelemetry.io/"))
        })
        .collect()
}

pub(super) fn annotation(scene: &Scene<'_>) -> Verdict {
    let mut seen = false;
    for document in &scene.written().objects {
        let value = &document.value;
        let template = match value["kind"].as_str() {
            Some("Deployment" | "StatefulSet" | "DaemonSet" | "Job" | "ReplicaSet" | "Rollout") => &value["spec"]["template"],
            Some("CronJob") => &value["spec"]["jobTemplate"]["spec"]["template"],
            _ => continue,
        };
        let outside = value["metadata"]["annotations"].get(INJECT).is_some();
        let Some(inside) = template["metadata"]["annotations"].get(INJECT) else {
            if outside {
                return Failure::new(format!(
                    "the annotation stands on the {} itself, where the operator does not look",
                    value["kind"].as_str().unwrap_or("object")
                ))
                .remedy(format!(
                    "move `{INJECT}` from `{}` to `spec.template.metadata.annotations`",
                    document.place(INJECT)
                ))
                .because([document.at(INJECT)])
                .into();
            }
            continue;
        };
        seen = true;
        // "true" asks for the one Instrumentation of the same namespace.
        let namespace = value["metadata"]["namespace"].as_str();
        let all = instrumentations(scene);
        let elsewhere = |other: &&Document| {
            let other = other.value["metadata"]["namespace"].as_str();
            namespace.is_some() && other.is_some() && other != namespace
        };
        if (*inside == "true" || *inside == true) && !all.is_empty() && all.iter().all(elsewhere) {
            let cr = all[0];
            let other = cr.value["metadata"]["namespace"].as_str().unwrap_or_default();
            let name = cr.value["metadata"]["name"].as_str().unwrap_or_default();
            return Failure::new(format!(
                "`\"true\"` asks for an Instrumentation in `{}`, and the only one is in `{other}`",
                namespace.unwrap_or_default()
            ))
            .remedy(format!("in `{}` write `{INJECT}: \"{other}/{name}\"`", document.place(INJECT)))
            .because([document.at(INJECT), cr.at("namespace:")])
            .into();
        }
    }
    if seen {
        Verdict::Pass("the annotation stands on the pod template".to_owned())
    } else {
        Verdict::Skip("no manifest asks the operator for Python".to_owned())
    }
}

pub(super) fn platform(scene: &Scene<'_>) -> Verdict {
    let pods = pods(scene);
    let asking: Vec<_> = pods
        .iter()
        .filter(|pod| pod.metadata["annotations"].get(INJECT).is_some())
        .collect();
    if asking.is_empty() {
        return Verdict::Skip("no manifest asks the operator for Python".to_owned());
    }
    let mut bases = Vec::new();
    for file in &scene.written().dockerfiles {
        let froms: Vec<_> = file.steps.iter().filter(|(_, keyword, _)| keyword == "FROM").collect();
        let Some((line, _, rest)) = froms.last() else { continue };
        let image = |rest: &str| {
            rest.split_whitespace()
                .find(|word| !word.starts_with("--"))
                .unwrap_or_default()
                .to_owned()
        };
        let mut base = image(rest);
        // A stage that stands on another: its base is that one's.
        for (_, _, rest) in froms.iter().rev().skip(1) {
            let alias = rest.split_whitespace().last().unwrap_or_default();
            if alias.eq_ignore_ascii_case(&base) {
                base = image(rest);
            }
        }
        let glibc = base.starts_with("python:")
            || ["slim", "debian", "ubuntu", "bookworm", "bullseye", "trixie"]
                .iter()
                .any(|word| base.contains(word));
        let musl = base.contains("alpine");
        if !musl && !glibc {
            return Verdict::Skip("the C library of the image is not known from its name".to_owned());
        }
        bases.push((musl, file.at(*line, &format!("FROM {rest}"))));
    }
    let Some((musl, base)) = bases.first() else {
        return Verdict::Skip("there is no Dockerfile that tells the image's C library".to_owned());
    };
    if bases.iter().any(|(other, _)| other != musl) {
        return Verdict::Skip("which of the images the pod runs is not known".to_owned());
    }
    let (wanted, system) = if *musl { ("musl", "Alpine") } else { ("glibc", "no Alpine") };
    for pod in asking {
        let platform = pod.metadata["annotations"][PLATFORM].as_str().unwrap_or("glibc");
        if platform != wanted {
            return Failure::new(format!("the image is {system}, and the operator injects packages for {platform}"))
                .remedy(format!(
                    "in `{}` write `{PLATFORM}: {wanted}` beside it",
                    pod.document.place(INJECT)
                ))
                .because([base.clone(), pod.document.at(INJECT)])
                .into();
        }
    }
    Verdict::Pass(format!("packages for {wanted}"))
}

/// A variable of an Instrumentation: Python's own list first.
fn variable<'a>(spec: &'a Value, name: &str) -> Option<&'a Value> {
    [&spec["python"]["env"], &spec["env"]]
        .into_iter()
        .find_map(|list| list.as_array()?.iter().find(|entry| entry["name"] == name))
}

pub(super) fn port(scene: &Scene<'_>) -> Verdict {
    let all = instrumentations(scene);
    if all.is_empty() {
        return Verdict::Skip("no manifest holds an Instrumentation".to_owned());
    }
    for document in all {
        let spec = &document.value["spec"];
        let own = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"]
            .into_iter()
            .find_map(|name| variable(spec, name)?["value"].as_str());
        let Some(endpoint) = own.or_else(|| spec["exporter"]["endpoint"].as_str()) else {
            continue;
        };
        let protocol = ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"]
            .into_iter()
            .find_map(|name| variable(spec, name)?["value"].as_str())
            .unwrap_or("http/protobuf");
        let (wrong, right) = if protocol == "grpc" {
            (":4318", ":4317")
        } else {
            (":4317", ":4318")
        };
        if endpoint.contains(wrong) && !endpoint.contains('@') {
            return Failure::new(format!("Python sends {protocol}, and `{endpoint}` is the other protocol's port"))
                .remedy(format!(
                    "in `{}` give Python its own: below `python.env` write `{{name: OTEL_EXPORTER_OTLP_ENDPOINT, value: {}}}`, or change the endpoint",
                    document.place(endpoint),
                    endpoint.replace(wrong, right)
                ))
                .because([document.at(endpoint)])
                .into();
        }
    }
    Verdict::Pass("the ports are those of the protocol".to_owned())
}

pub(super) fn metrics(scene: &Scene<'_>) -> Verdict {
    let all = instrumentations(scene);
    if all.is_empty() {
        return Verdict::Skip("no manifest holds an Instrumentation".to_owned());
    }
    for document in all {
        if variable(&document.value["spec"], "OTEL_METRICS_EXPORTER").is_none() {
            return Failure::new("metrics are exported too, whether or not the collector takes them")
                .remedy(format!(
                    "in `{}` below `spec.python.env` write `- {{name: OTEL_METRICS_EXPORTER, value: none}}`",
                    document.path
                ))
                .because([document.at("Instrumentation")])
                .into();
        }
    }
    Verdict::Pass("it is written down where metrics go".to_owned())
}
