//! What compose files and images give a container as variables.

use crate::checks::written::Document;
use crate::checks::{Failure, Scene, Verdict};
use crate::detect::survey::FileKind;
use crate::domain::detection::Evidence;
use serde_json::Value;

/// Variables of a service, as a mapping or as a list.
pub(super) fn environment(service: &Value) -> Vec<(String, String)> {
    match &service["environment"] {
        Value::Object(map) => map
            .iter()
            .map(|(name, value)| (name.clone(), value.as_str().map_or_else(|| value.to_string(), str::to_owned)))
            .collect(),
        Value::Array(list) => list
            .iter()
            .filter_map(|entry| entry.as_str()?.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
        _ => Vec::new(),
    }
}

/// All services of all compose files.
pub(super) fn services<'a>(scene: &'a Scene<'_>) -> impl Iterator<Item = (&'a Document, &'a String, &'a Value)> {
    scene.written().composes.iter().flat_map(|compose| {
        let services = compose.value["services"].as_object().into_iter().flatten();
        services.map(move |(name, service)| (compose, name, service))
    })
}

fn is_endpoint(name: &str) -> bool {
    matches!(name, "OTEL_EXPORTER_OTLP_ENDPOINT" | "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
}

fn is_local(endpoint: &str) -> bool {
    let endpoint = endpoint.trim_matches(['"', '\'']);
    let rest = endpoint.split_once("://").map_or(endpoint, |(_, rest)| rest);
    ["localhost", "127.0.0.1", "[::1]"].iter().any(|host| {
        rest.strip_prefix(host)
            .is_some_and(|after| after.is_empty() || after.starts_with([':', '/']))
    })
}

/// Shell scripts and Makefiles, where `docker run` is written.
fn scripts<'a>(scene: &'a Scene<'_>) -> impl Iterator<Item = (String, String)> + 'a {
    let files = scene.survey.files.iter();
    files
        .filter(|file| matches!(file.kind, FileKind::Shell | FileKind::Makefile))
        .filter_map(|file| Some((file.path.display().to_string(), scene.text(&file.path)?)))
}

pub(super) fn localhost(scene: &Scene<'_>) -> Verdict {
    let collector = services(scene).find(|(_, _, service)| service["image"].as_str().is_some_and(|image| image.contains("collector")));
    let better = |endpoint: &str| {
        let host = collector.map_or("host.docker.internal", |(_, name, _)| name.as_str());
        let value = ["localhost", "127.0.0.1", "[::1]"]
            .iter()
            .fold(endpoint.to_owned(), |text, local| text.replace(local, host));
        if collector.is_some() {
            format!("`{value}`")
        } else {
            format!("`{value}`, and give the service `extra_hosts: [\"host.docker.internal:host-gateway\"]`")
        }
    };
    let mut host_network = false;
    for (compose, name, service) in services(scene) {
        // Its network is the host's or another container's: localhost may well be right.
        if service.get("network_mode").is_some() {
            host_network = true;
            continue;
        }
        if let Some((variable, value)) = environment(service)
            .iter()
            .find(|(variable, value)| is_endpoint(variable) && is_local(value))
        {
            return Failure::new(format!("the service `{name}` sends to `{value}`: its own container"))
                .remedy(format!("in `{}` set `{variable}` to {}", compose.place(value), better(value)))
                .because([compose.at(value)])
                .into();
        }
    }
    let host_network = host_network
        || scripts(scene)
            .any(|(_, text)| text.contains("--network host") || text.contains("--net=host") || text.contains("--network=host"));
    if host_network {
        return Verdict::Pass("containers with the host's network may send to localhost".to_owned());
    }
    for file in &scene.written().dockerfiles {
        for (line, keyword, rest) in &file.steps {
            let names = rest.contains("OTEL_EXPORTER_OTLP_ENDPOINT") || rest.contains("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT");
            let value = rest
                .split([' ', '='])
                .find(|word| is_local(word) && word.contains(':'))
                .filter(|_| keyword == "ENV" && names);
            let Some(value) = value else { continue };
            // A compose file or a manifest that sets the variable wins over the image.
            let in_pods = scene.written().objects.iter().any(|document| {
                document.text.contains("OTEL_EXPORTER_OTLP_ENDPOINT") || document.text.contains("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
            });
            if in_pods || services(scene).any(|(_, _, service)| environment(service).iter().any(|(name, _)| is_endpoint(name))) {
                continue;
            }
            return Failure::new(format!("the image sends to `{value}`: the container itself"))
                .remedy(format!("in `{}:{line}` write {}", file.path, better(value)))
                .because([file.at(*line, &format!("ENV … {value}"))])
                .into();
        }
    }
    Verdict::Pass("no container sends to localhost".to_owned())
}

fn quoted(value: &str) -> bool {
    value.starts_with(['"', '\'']) || value.ends_with(['"', '\'']) || value.contains("=\"") || value.contains("='")
}

pub(super) fn quotes(scene: &Scene<'_>) -> Verdict {
    for (compose, service_name, service) in services(scene) {
        if !service["environment"].is_array() {
            continue;
        }
        if let Some((name, _)) = environment(service)
            .iter()
            .find(|(name, value)| (name.starts_with("OTEL_") || name.starts_with("SIGNOZ_")) && quoted(value))
        {
            return Failure::new(format!(
                "`{name}` of the service `{service_name}` holds quotes: the list form keeps them"
            ))
            .remedy(format!(
                "in `{}` remove the quotes around the value, or put the whole entry in quotes: `- \"{name}=…\"`",
                compose.place(&format!("{name}="))
            ))
            .because([Evidence::new(compose.place(&format!("{name}=")), format!("{name}=\"…\""))])
            .into();
        }
    }
    for (script, text) in scripts(scene) {
        for (index, line) in text.lines().enumerate().filter(|(_, line)| line.contains("docker run")) {
            let after = line.split_once("--env-file").map(|(_, after)| after.trim_start_matches(['=', ' ']));
            let Some(file) = after.and_then(|after| after.split_whitespace().next()) else {
                continue;
            };
            let Some(variables) = scene.text(file.trim_matches(['"', '\''])) else {
                continue;
            };
            let bad = variables.lines().enumerate().find_map(|(at, line)| {
                let (name, value) = line.split_once('=')?;
                (name.starts_with("OTEL_") && quoted(value.trim())).then(|| (at + 1, name.to_owned()))
            });
            if let Some((at, name)) = bad {
                return Failure::new(format!("`{name}` in `{file}` holds quotes, and `docker run --env-file` keeps them"))
                    .remedy(format!("in `{file}:{at}` remove the quotes around the value"))
                    .because([
                        Evidence::new(format!("{file}:{at}"), format!("{name}=\"…\"")),
                        Evidence::new(format!("{script}:{}", index + 1), "docker run --env-file"),
                    ])
                    .into();
            }
        }
    }
    Verdict::Pass("no variable of a container holds quotes".to_owned())
}
