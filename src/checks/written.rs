//! What is written down on containers, clusters and collectors: each file read and parsed once, for all checks on it.
//!
//! A file that is a template or no YAML is left out, a collector's configuration apart: that it cannot be read is a finding.

use crate::detect::survey::{FileKind, Survey, instructions, is_aside, masked_text, read_text};
use crate::domain::detection::Evidence;
use crate::system::System;
use serde_json::Value;
use std::path::Path;

/// YAML files that are read.
const MOST: usize = 400;

/// Places where a collector's configuration is looked for besides the project.
const MACHINE: &[&str] = &["/etc/otelcol-contrib/config.yaml", "/etc/otelcol/config.yaml"];

/// Everything that was found.
#[derive(Default)]
pub(super) struct Written {
    /// Configurations of collectors.
    pub(super) collectors: Vec<Collector>,
    /// Collector configurations that are no YAML, with the parser's words.
    pub(super) unreadable: Vec<(String, String)>,
    /// Compose files.
    pub(super) composes: Vec<Document>,
    /// Kubernetes objects.
    pub(super) objects: Vec<Document>,
    /// Values of the k8s-infra chart.
    pub(super) values: Vec<Document>,
    /// Dockerfiles.
    pub(super) dockerfiles: Vec<Dockerfile>,
}

/// A YAML document.
#[derive(Clone)]
pub(super) struct Document {
    /// As it is shown.
    pub(super) path: String,
    /// Its own text.
    pub(super) text: String,
    /// Lines of the file before it.
    before: usize,
    /// What it says.
    pub(super) value: Value,
}

/// A collector's configuration.
pub(super) struct Collector {
    /// The configuration.
    pub(super) document: Document,
    /// On this machine, outside of any container.
    pub(super) machine: bool,
    /// A compose service or a pod of its own runs it: its localhost is not the app's.
    pub(super) contained: bool,
    /// In a cluster.
    pub(super) cluster: bool,
    /// Minor version of the image, where a compose file or an object names it: 139 of `0.139.0`.
    pub(super) minor: Option<u32>,
    /// The Docker socket is there.
    pub(super) docker_socket: bool,
}

/// A Dockerfile.
pub(super) struct Dockerfile {
    /// Relative to the project.
    pub(super) path: String,
    /// Line, keyword in upper case, the rest.
    pub(super) steps: Vec<(usize, String, String)>,
}

impl Document {
    /// The first line that holds a text, secrets left out.
    pub(super) fn at(&self, needle: &str) -> Evidence {
        let found = self.text.lines().enumerate().find(|(_, line)| line.contains(needle));
        let (index, line) = found.unwrap_or((0, needle));
        let lower = line.to_ascii_lowercase();
        let secret = ["key", "token", "header", "secret", "password", "authorization"]
            .iter()
            .any(|word| lower.contains(word));
        let fact = match line.split_once([':', '=']) {
            Some((name, _)) if secret => format!("{}: …", name.trim()),
            _ => masked_text(line.trim()),
        };
        Evidence::new(format!("{}:{}", self.path, self.before + index + 1), fact)
    }

    /// `file:line` of a text.
    pub(super) fn place(&self, needle: &str) -> String {
        self.at(needle).source
    }
}

impl Dockerfile {
    /// A step as evidence.
    pub(super) fn at(&self, line: usize, fact: &str) -> Evidence {
        Evidence::new(format!("{}:{line}", self.path), masked_text(fact))
    }
}

impl Written {
    /// Reads the files that the survey found.
    pub(super) fn read(system: &System, project: &Path, survey: &Survey) -> Self {
        let mut written = Self::default();
        let mut read = 0;
        let mut configs = Vec::new();
        for file in survey.files.iter().filter(|file| !is_aside(&file.path)) {
            if !matches!(
                file.kind,
                FileKind::Dockerfile | FileKind::Compose | FileKind::Manifest | FileKind::Yaml
            ) {
                continue;
            }
            if read == MOST {
                break;
            }
            read += 1;
            let Some(text) = read_text(&project.join(&file.path)) else {
                continue;
            };
            let path = file.path.display().to_string();
            if file.kind == FileKind::Dockerfile {
                written.dockerfiles.push(dockerfile(path, &text));
                continue;
            }
            written.yaml(&path, &text, file.kind == FileKind::Compose, &mut configs);
        }
        let own = ".signoz/collector/config.yaml";
        if let Some(text) = read_text(&project.join(own)) {
            written.yaml(own, &text, false, &mut configs);
        }
        let project_configs = configs.len();
        for place in MACHINE {
            if let Some(text) = read_text(&system.at(place)) {
                written.yaml(place, &text, false, &mut configs);
            }
        }
        let socket = system.at("/var/run/docker.sock").exists();
        for (index, (document, cluster)) in configs.into_iter().enumerate() {
            let name = document.path.rsplit('/').next().unwrap_or_default().to_owned();
            let runs = written.composes.iter().find_map(|compose| {
                let services = compose.value.get("services")?.as_object()?;
                services.values().find(|service| {
                    service["image"].as_str().is_some_and(|image| image.contains("collector")) && service.to_string().contains(&name)
                })
            });
            let machine = index >= project_configs || document.path == own;
            written.collectors.push(Collector {
                machine: machine && runs.is_none(),
                contained: !machine && (cluster || runs.is_some_and(|service| service["network_mode"] != "host")),
                cluster,
                minor: runs.and_then(|service| minor(service["image"].as_str()?)),
                docker_socket: runs.map_or(socket, |service| service.to_string().contains("docker.sock")),
                document,
            });
        }
        written
    }

    fn yaml(&mut self, path: &str, text: &str, compose: bool, configs: &mut Vec<(Document, bool)>) {
        let mut before = 0;
        for part in parts(text) {
            let lines = part.lines().count();
            let looks_like_config = part.contains("receivers:") && part.contains("exporters:");
            let telling = compose
                || looks_like_config
                || [
                    "apiVersion:",
                    "otelCollectorEndpoint",
                    "otelInsecure",
                    "signozApiKey",
                    "presets:",
                    "k8s-infra:",
                ]
                .iter()
                .any(|word| part.contains(word));
            if !telling {
                before += lines;
                continue;
            }
            match serde_saphyr::from_str::<Value>(&part) {
                Ok(value) if value.is_object() => {
                    let document = Document {
                        path: path.to_owned(),
                        text: part,
                        before,
                        value,
                    };
                    self.sort(document, compose, configs);
                }
                Ok(_) => {}
                Err(error) => {
                    let template = part.contains("{{") || part.contains("apiVersion:") || part.contains("{%");
                    if looks_like_config && part.contains("pipelines:") && !template {
                        let words = error.to_string();
                        self.unreadable
                            .push((path.to_owned(), masked_text(words.lines().next().unwrap_or_default())));
                    }
                }
            }
            before += lines;
        }
    }

    fn sort(&mut self, document: Document, compose: bool, configs: &mut Vec<(Document, bool)>) {
        let value = &document.value;
        if compose {
            self.composes.push(document);
        } else if value.get("apiVersion").is_some() && value.get("kind").is_some() {
            if value["kind"] == "OpenTelemetryCollector" {
                let config = match &value["spec"]["config"] {
                    Value::String(text) => serde_saphyr::from_str(text).unwrap_or(Value::Null),
                    other => other.clone(),
                };
                if config.is_object() {
                    let mut inner = document.clone();
                    inner.value = config;
                    configs.push((inner, true));
                }
            }
            self.objects.push(document);
        } else if value.get("receivers").is_some() && (value.get("exporters").is_some() || value.get("service").is_some()) {
            configs.push((document, false));
        } else if chart_values(value) {
            self.values.push(document);
        } else if let Some(inner) = value.get("k8s-infra").filter(|inner| chart_values(inner)) {
            let mut own = document.clone();
            own.value = inner.clone();
            self.values.push(own);
        }
    }
}

/// Whether this is (part of) the values of the k8s-infra chart.
fn chart_values(value: &Value) -> bool {
    ["otelCollectorEndpoint", "otelInsecure", "signozApiKey", "apiKeyExistingSecretName"]
        .iter()
        .any(|name| value.get(name).is_some())
        || ["k8sAttributes", "otlphttpExporter", "otlpExporter"]
            .iter()
            .any(|name| value["presets"].get(name).is_some())
}

/// The documents of a file; every line of it is in one of them.
fn parts(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    for line in text.lines() {
        if line == "---" || line.starts_with("--- ") {
            parts.push(String::new());
        }
        if let Some(part) = parts.last_mut() {
            // The marker's line stays, empty, so that lines can be counted.
            if !line.starts_with("---") {
                part.push_str(line);
            }
            part.push('\n');
        }
    }
    parts
}

fn dockerfile(path: String, text: &str) -> Dockerfile {
    let steps = instructions(text)
        .into_iter()
        .map(|(line, step)| {
            let (keyword, rest) = step.split_once(char::is_whitespace).unwrap_or((&step, ""));
            (line, keyword.to_ascii_uppercase(), rest.trim().to_owned())
        })
        .collect();
    Dockerfile { path, steps }
}

/// 139 of `otel/opentelemetry-collector-contrib:0.139.0`.
fn minor(image: &str) -> Option<u32> {
    let tag = image.rsplit_once(':')?.1.trim_start_matches('v');
    let mut numbers = tag.split('.');
    (numbers.next()? == "0").then_some(())?;
    numbers.next()?.parse().ok()
}
