//! `OTEL_*` variables that someone set before and that would silence what is set up now.

use super::hazards::{Scene, places};
use super::text::{self, evidence, is_secret, mask_value};
use super::wrappers::unwrap;
use crate::domain::detection::{Evidence, Hazard};
use std::collections::BTreeMap;

type Hurts = fn(&str) -> bool;

/// Variables that silence tracing, or that win over what the set-up writes (facts measured on 1.17.0; general rule: the
/// signal-specific variable beats the general one, OpenTelemetry specification).
const SILENCING: &[(&str, Hurts, &str)] = &[
    (
        "OTEL_TRACES_EXPORTER",
        |value| !matches!(value, "otlp" | "otlp_proto_grpc" | "otlp_proto_http"),
        "spans go elsewhere or nowhere",
    ),
    (
        "OTEL_TRACES_SAMPLER",
        |value| matches!(value, "always_off" | "parentbased_always_off"),
        "no span is sampled",
    ),
    (
        "OTEL_TRACES_SAMPLER_ARG",
        |value| value.parse::<f64>().is_ok_and(|share| share <= 0.0),
        "no span is sampled",
    ),
    (
        "OTEL_SDK_DISABLED",
        |value| value.eq_ignore_ascii_case("true"),
        "releases from 1.24 on send nothing",
    ),
    (
        "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS",
        |_| true,
        "the libraries named there are not traced",
    ),
    (
        "OTEL_PYTHON_EXCLUDED_URLS",
        |value| matches!(value, ".*" | "/.*" | "*" | "/"),
        "no request is traced",
    ),
    (
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
        |_| true,
        "it wins over the endpoint that is set up",
    ),
    ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", |_| true, "it wins over the key that is set up"),
    (
        "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
        |_| true,
        "it wins over the protocol that is set up",
    ),
    (
        "OTEL_EXPERIMENTAL_CONFIG_FILE",
        |_| true,
        "newer releases read that file and ignore the variables",
    ),
    (
        "OTEL_CONFIG_FILE",
        |_| true,
        "newer releases read that file and ignore the variables",
    ),
    (
        "OTEL_PYTHON_TRACER_PROVIDER",
        |value| value != "sdk_tracer_provider",
        "another provider takes the place of the SDK's",
    ),
];

/// Finds them in this shell, in files and around running processes.
pub(super) fn find(scene: &Scene<'_>) -> Vec<Hazard> {
    let own = scene
        .system
        .env
        .iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| (name.as_str(), value.as_str(), "this shell".to_owned()));
    let prefixes = scene.raws.iter().flat_map(|raw| {
        let variables = unwrap(&raw.words).variables;
        variables.into_iter().map(|(name, value)| (name, value, raw.source.clone()))
    });
    let prefixes: Vec<_> = prefixes.collect();
    let set = own
        .chain(
            scene
                .settings
                .iter()
                .map(|set| (set.name.as_str(), set.value.as_str(), set.source.clone())),
        )
        .chain(
            prefixes
                .iter()
                .map(|(name, value, source)| (name.as_str(), value.as_str(), source.clone())),
        );
    let mut found: BTreeMap<&str, (Vec<Evidence>, &str)> = BTreeMap::new();
    for (name, value, source) in set {
        let Some((name, _, effect)) = SILENCING.iter().find(|(known, hurts, _)| *known == name && hurts(value.trim())) else {
            continue;
        };
        let shown = if is_secret(name) {
            text::MASK.to_owned()
        } else {
            mask_value(name, value)
        };
        let because = evidence(
            if source == "this shell" { (*name).to_owned() } else { source },
            format!("{name}={shown}"),
        );
        let entry = found.entry(*name).or_insert_with(|| (Vec::new(), effect));
        if !entry.0.contains(&because) {
            entry.0.push(because);
        }
    }
    found
        .into_iter()
        .map(|(name, (because, effect))| Hazard {
            id: "config.left-over-environment",
            title: format!("{name} is already set: {effect}"),
            remedy: format!("remove {name}: {}", places(&because)),
            because,
        })
        .collect()
}
