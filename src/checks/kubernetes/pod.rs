//! Pods and what gives them variables.

use crate::checks::written::Document;
use crate::checks::{Failure, Scene, Verdict};
use crate::domain::detection::Evidence;
use serde_json::Value;

/// A pod, or the template of one.
pub(super) struct Pod<'a> {
    pub(super) document: &'a Document,
    pub(super) metadata: &'a Value,
    pub(super) spec: &'a Value,
}

/// A value of a variable that is written down.
struct Variable<'a> {
    name: &'a str,
    value: &'a str,
}

/// Pods of the project's manifests.
pub(super) fn pods<'a>(scene: &'a Scene<'_>) -> Vec<Pod<'a>> {
    let objects = scene.written().objects.iter();
    objects
        .filter_map(|document| {
            let value = &document.value;
            let template = match value["kind"].as_str()? {
                "Pod" => value,
                "CronJob" => &value["spec"]["jobTemplate"]["spec"]["template"],
                _ => &value["spec"]["template"],
            };
            template["spec"]["containers"].is_array().then(|| Pod {
                document,
                metadata: &template["metadata"],
                spec: &template["spec"],
            })
        })
        .collect()
}

fn containers<'a>(pod: &Pod<'a>) -> impl Iterator<Item = &'a Value> {
    pod.spec["containers"].as_array().into_iter().flatten()
}

fn env(container: &Value) -> Vec<Variable<'_>> {
    let list = container["env"].as_array().into_iter().flatten();
    list.filter_map(|entry| {
        Some(Variable {
            name: entry["name"].as_str()?,
            value: entry["value"].as_str().unwrap_or_default(),
        })
    })
    .collect()
}

fn is_endpoint(name: &str) -> bool {
    matches!(name, "OTEL_EXPORTER_OTLP_ENDPOINT" | "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
}

fn is_local(endpoint: &str) -> bool {
    let rest = endpoint.split_once("://").map_or(endpoint, |(_, rest)| rest);
    ["localhost", "127.0.0.1", "[::1]"].iter().any(|host| rest.starts_with(host))
}

/// Whether a collector is in the pod itself.
fn has_sidecar(pod: &Pod<'_>) -> bool {
    let annotated = pod.metadata["annotations"].get("sidecar.opentelemetry.io/inject").is_some();
    let init = pod.spec["initContainers"].as_array().into_iter().flatten();
    annotated
        || pod.spec["hostNetwork"] == true
        || containers(pod).chain(init).any(|container| {
            let image = container["image"].as_str().unwrap_or_default();
            image.contains("collector") || image.contains("otelcol") || image.contains("alloy")
        })
}

/// Whether a pod sends to its node's address.
pub(super) fn sends_to_node(pod: &Pod<'_>) -> Option<Evidence> {
    let variables: Vec<_> = containers(pod).flat_map(env).collect();
    let node = containers(pod)
        .flat_map(|container| container["env"].as_array().into_iter().flatten())
        .find(|entry| entry["valueFrom"]["fieldRef"]["fieldPath"] == "status.hostIP")?;
    let reference = format!("$({})", node["name"].as_str()?);
    let sends = variables
        .iter()
        .find(|variable| is_endpoint(variable.name) && variable.value.contains(&reference))?;
    Some(pod.document.at(sends.value))
}

/// ConfigMaps with variables for OpenTelemetry: the object, name, value.
fn config_maps<'a>(scene: &'a Scene<'_>) -> Vec<(&'a Document, &'a str, &'a str)> {
    let maps = scene
        .written()
        .objects
        .iter()
        .filter(|document| document.value["kind"] == "ConfigMap");
    maps.flat_map(|document| {
        let data = document.value["data"].as_object().into_iter().flatten();
        data.filter(|(name, _)| name.starts_with("OTEL_"))
            .filter_map(move |(name, value)| Some((document, name.as_str(), value.as_str()?)))
    })
    .collect()
}

const HOST_IP: &str = "{name: HOST_IP, valueFrom: {fieldRef: {fieldPath: status.hostIP}}}";

pub(super) fn localhost(scene: &Scene<'_>) -> Verdict {
    let pods = pods(scene);
    if pods.is_empty() {
        return Verdict::Skip("no manifest runs a pod".to_owned());
    }
    let failure = |document: &Document, name: &str, value: &str| {
        let rest = value.split_once("://").map_or(value, |(_, rest)| rest);
        let port = rest.rsplit_once(':').map_or("4317", |(_, port)| port);
        Failure::new(format!("`{name}` is `{value}`: the pod itself, in which no collector runs"))
            .remedy(format!(
                "in `{}` put `- {HOST_IP}` above it and write `value: http://$(HOST_IP):{port}`",
                document.place(value)
            ))
            .because([document.at(value)])
    };
    for pod in pods.iter().filter(|pod| !has_sidecar(pod)) {
        if let Some(bad) = containers(pod)
            .flat_map(env)
            .find(|variable| is_endpoint(variable.name) && is_local(variable.value))
        {
            return failure(pod.document, bad.name, bad.value).into();
        }
    }
    if !pods.iter().any(has_sidecar)
        && let Some((document, name, value)) = config_maps(scene)
            .into_iter()
            .find(|(_, name, value)| is_endpoint(name) && is_local(value))
    {
        return failure(document, name, value).into();
    }
    Verdict::Pass("no pod sends to its own localhost".to_owned())
}

/// Names that `$(NAME)` asks for; `$$(NAME)` is text.
fn references(value: &str) -> Vec<&str> {
    let mut found = Vec::new();
    for (at, _) in value.match_indices("$(") {
        if !value[..at].ends_with('$')
            && let Some(name) = value[at + 2..].split(')').next()
        {
            found.push(name);
        }
    }
    found
}

pub(super) fn order(scene: &Scene<'_>) -> Verdict {
    let pods = pods(scene);
    if pods.is_empty() {
        return Verdict::Skip("no manifest runs a pod".to_owned());
    }
    for pod in &pods {
        for container in containers(pod) {
            let variables = env(container);
            for (index, variable) in variables
                .iter()
                .enumerate()
                .filter(|(_, variable)| variable.name.starts_with("OTEL_"))
            {
                for name in references(variable.value) {
                    // Kubernetes gives these itself, one pair for each service.
                    if name.contains("_SERVICE_") || variables[..index].iter().any(|earlier| earlier.name == name) {
                        continue;
                    }
                    let later = variables[index..].iter().any(|later| later.name == name);
                    let (trouble, remedy) = if later {
                        ("is defined below it", format!("move `{name}` above `{}`", variable.name))
                    } else if name == "HOST_IP" {
                        (
                            "is not defined in the same `env` list",
                            format!("put `- {HOST_IP}` above `{}`", variable.name),
                        )
                    } else {
                        (
                            "is not defined in the same `env` list (what `envFrom` gives does not count)",
                            format!("define `{name}` in the same list, above `{}`", variable.name),
                        )
                    };
                    return Failure::new(format!(
                        "`{}` uses `$({name})`, which {trouble}: the app sees the text as it stands",
                        variable.name
                    ))
                    .remedy(format!("in `{}` {remedy}", pod.document.place(&format!("$({name})"))))
                    .because([pod.document.at(&format!("$({name})"))])
                    .into();
                }
            }
        }
    }
    for (document, name, value) in config_maps(scene) {
        if let Some(reference) = references(value).first() {
            return Failure::new(format!(
                "`{name}` uses `$({reference})` in a ConfigMap, where it is never filled in"
            ))
            .remedy(format!(
                "move `{name}` from `{}` into the container's `env` list, below the definition of `{reference}`",
                document.place(name)
            ))
            .because([document.at(name)])
            .into();
        }
    }
    Verdict::Pass("every reference is defined above its use".to_owned())
}

pub(super) fn identity(scene: &Scene<'_>) -> Verdict {
    for pod in pods(scene).iter().filter(|pod| pod.spec["hostNetwork"] == true) {
        let variables: Vec<_> = containers(pod).flat_map(env).collect();
        let sends = variables.iter().any(|variable| is_endpoint(variable.name));
        let names = variables.iter().any(|variable| {
            variable.name == "OTEL_RESOURCE_ATTRIBUTES"
                && (variable.value.contains("k8s.pod.uid") || variable.value.contains("k8s.pod.name"))
        });
        if sends && !names {
            return Failure::new("the pod has the node's address, and its spans do not say which pod they are from")
                .remedy(format!(
                    "in `{}` add `- {{name: K8S_POD_UID, valueFrom: {{fieldRef: {{fieldPath: metadata.uid}}}}}}` and, below it, `k8s.pod.uid=$(K8S_POD_UID)` in `OTEL_RESOURCE_ATTRIBUTES`",
                    pod.document.path
                ))
                .because([pod.document.at("hostNetwork")])
                .into();
        }
    }
    Verdict::Pass("no pod on the node's network hides which pod it is".to_owned())
}

pub(super) fn secret(scene: &Scene<'_>) -> Verdict {
    let secrets: Vec<&Document> = scene
        .written()
        .objects
        .iter()
        .filter(|document| document.value["kind"] == "Secret")
        .collect();
    if secrets.is_empty() {
        return Verdict::Skip("no manifest holds a secret".to_owned());
    }
    for document in &secrets {
        let secret = document.value["metadata"]["name"].as_str().unwrap_or("the secret");
        for section in ["data", "stringData"] {
            for (name, value) in document.value[section].as_object().into_iter().flatten() {
                let about = format!("{secret} {name}").to_ascii_lowercase();
                let ours = ["signoz", "otel", "ingestion"].iter().any(|word| about.contains(word));
                let Some(value) = value.as_str().filter(|_| ours) else { continue };
                let decoded = if section == "data" {
                    decode(value)
                } else {
                    Some(value.as_bytes().to_vec())
                };
                if decoded.is_some_and(|bytes| bytes.last().is_some_and(u8::is_ascii_whitespace)) {
                    return Failure::new(format!("`{name}` of the secret `{secret}` ends in a newline, which is sent as part of the key"))
                        .remedy(format!(
                            "make it anew without one: `kubectl create secret generic {secret} --from-literal={name}=<ingestion key> --dry-run=client -o yaml | kubectl apply -f -`, and mend `{}`",
                            document.place(&format!("{name}:"))
                        ))
                        .because([Evidence::new(document.place(&format!("{name}:")), format!("{name}: …"))])
                        .into();
                }
            }
        }
    }
    for pod in pods(scene) {
        let entries = containers(&pod).flat_map(|container| container["env"].as_array().into_iter().flatten());
        for entry in entries {
            let reference = &entry["valueFrom"]["secretKeyRef"];
            let (Some(name), Some(key)) = (reference["name"].as_str(), reference["key"].as_str()) else {
                continue;
            };
            let Some(secret) = secrets.iter().find(|document| document.value["metadata"]["name"] == name) else {
                continue;
            };
            let holds = |section: &str| secret.value[section].get(key).is_some();
            if !holds("data") && !holds("stringData") && reference["optional"] != true {
                return Failure::new(format!("the pod asks the secret `{name}` for `{key}`, which is not in it"))
                    .remedy(format!(
                        "write the same key in `{}` and in `{}`",
                        pod.document.place(name),
                        secret.path
                    ))
                    .because([Evidence::new(pod.document.place(name), format!("secretKeyRef {name}/{key}"))])
                    .into();
            }
        }
    }
    Verdict::Pass("the secrets hold what is asked for".to_owned())
}

/// Base64, as Kubernetes writes it.
fn decode(text: &str) -> Option<Vec<u8>> {
    let mut bits: u32 = 0;
    let mut count = 0;
    let mut bytes = Vec::new();
    for byte in text.bytes().filter(|byte| !byte.is_ascii_whitespace() && *byte != b'=') {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from(bits >> count & 0xff).ok()?);
        }
    }
    Some(bytes)
}
