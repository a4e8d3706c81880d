//! What the SDK does with the spans: exporter, sampler, limits, batches, timeouts, propagators, other signals.

use super::CONFIG;
use super::lint::{absent, bare, is_complete, is_open, lint, remove, write};
use crate::checks::scene::{Scope, ScopeKind};
use crate::checks::{Check, Failure, Scene, Severity, Verdict, page};
use crate::detect::survey::{FileKind, masked_text};
use crate::domain::detection::Evidence;

const SPEC: &str = "https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/";

fn about(scope: &Scope, name: &str, detail: impl AsRef<str>, remedy: String) -> Failure {
    Failure::new(detail.as_ref()).remedy(remedy).because(scope.evidence(name))
}

/// A set value, bare; `None` when it is unset or open.
fn value<'a>(scope: &'a Scope, name: &str) -> Option<&'a str> {
    scope.get(name).map(bare).filter(|value| !value.is_empty() && !is_open(value))
}

pub(super) const ENABLED: Check = Check {
    id: "config.sdk-enabled",
    title: "the SDK is not disabled",
    why: "with OTEL_SDK_DISABLED=true releases from 1.24 on make no span, without a word",
    remedy: "unset OTEL_SDK_DISABLED",
    doc: SPEC,
    page: page!("config.sdk-enabled"),
    covers: &["D21"],
    run: |scene| {
        lint(scene, "OTEL_SDK_DISABLED is not true", |scope| {
            let name = "OTEL_SDK_DISABLED";
            if !value(scope, name)?.eq_ignore_ascii_case("true") {
                return None;
            }
            let old = scene.is("opentelemetry-sdk", "<1.24");
            let effect = if old {
                "the installed release ignores it, newer ones make no span"
            } else {
                "no span is made"
            };
            let failure = about(scope, name, format!("{name} is true: {effect}"), remove(scope, name));
            Some(if old { failure.mild() } else { failure })
        })
    },
    ..CONFIG
};

pub(super) const TRACES_EXPORTER: Check = Check {
    id: "config.traces-exporter",
    title: "the traces exporter is otlp",
    why: "none and console send nothing to SigNoz, without a word; a name that is not installed stops the SDK at the start",
    remedy: "set OTEL_TRACES_EXPORTER=otlp",
    doc: SPEC,
    page: page!("config.traces-exporter"),
    covers: &["D19", "D20"],
    run: |scene| {
        lint(scene, "otlp", |scope| {
            let name = "OTEL_TRACES_EXPORTER";
            let text = value(scope, name)?;
            let known = ["otlp", "otlp_proto_grpc", "otlp_proto_http"];
            let parts: Vec<&str> = text.split(',').map(str::trim).collect();
            let detail = match parts.iter().find(|part| !known.contains(part)) {
                None => return None,
                Some(part) if matches!(*part, "none" | "console") => {
                    if parts.iter().any(|part| known.contains(part)) && *part == "console" {
                        return None;
                    }
                    format!("{name} is `{text}`: nothing is sent to SigNoz")
                }
                Some(part) if part.eq_ignore_ascii_case("otlp") => format!("{name} is `{part}`; the name is written in lower case"),
                Some(part) if part.starts_with("otlp") => format!("{name} is `{part}`, which no exporter is called"),
                Some(part) => format!("{name} names `{part}`, which does not send to SigNoz"),
            };
            Some(about(scope, name, detail, write(scope, name, "otlp")))
        })
    },
    ..CONFIG
};

const SAMPLERS: &[&str] = &[
    "always_on",
    "always_off",
    "traceidratio",
    "parentbased_always_on",
    "parentbased_always_off",
    "parentbased_traceidratio",
];

pub(super) const SAMPLER: Check = Check {
    id: "config.sampler",
    title: "the sampler keeps every trace",
    why: "a sampler that is off or at ratio 0 makes no span, without a word; a ratio below 1 keeps only some traces",
    remedy: "set OTEL_TRACES_SAMPLER=parentbased_always_on",
    doc: SPEC,
    page: page!("config.sampler"),
    covers: &["D22", "D23"],
    run: |scene| {
        lint(scene, "every trace is kept", |scope| {
            let (name, arg) = ("OTEL_TRACES_SAMPLER", "OTEL_TRACES_SAMPLER_ARG");
            let sampler = value(scope, name)?.to_ascii_lowercase();
            let on = write(scope, name, "parentbased_always_on");
            if !SAMPLERS.contains(&sampler.as_str()) {
                let detail = format!("{name} is `{sampler}`, which the SDK does not know: it takes parentbased_always_on");
                return Some(about(scope, name, detail, on).mild());
            }
            if sampler.ends_with("always_off") {
                return Some(about(scope, name, format!("{name} is `{sampler}`: no span is made"), on));
            }
            if !sampler.ends_with("traceidratio") {
                return None;
            }
            let text = value(scope, arg)?;
            let Ok(ratio) = text.parse::<f64>() else {
                let detail = format!("{arg} is `{text}`, which is no number: every trace is kept");
                return Some(about(scope, arg, detail, write(scope, arg, "1.0")).mild());
            };
            if ratio <= 0.0 {
                return Some(about(scope, arg, format!("{arg} is {text}: no span is made"), on));
            }
            (ratio < 1.0).then(|| {
                let detail = format!("{arg} is {text}: only that share of the traces is kept, and a first test request may be lost");
                about(scope, arg, detail, format!("{on} until the first traces are seen")).mild()
            })
        })
    },
    ..CONFIG
};

pub(super) const DECLARATIVE: Check = Check {
    id: "config.declarative-file",
    title: "no configuration file takes the place of the variables",
    why: "from 1.43 on a file named by OTEL_CONFIG_FILE is read in place of all other OTEL_* variables",
    remedy: "unset OTEL_CONFIG_FILE, or write endpoint and key into that file",
    doc: SPEC,
    page: page!("config.declarative-file"),
    covers: &["D31"],
    run: |scene| {
        lint(scene, "no such file is named", |scope| {
            let name = ["OTEL_CONFIG_FILE", "OTEL_EXPERIMENTAL_CONFIG_FILE"]
                .into_iter()
                .find(|name| scope.get(name).is_some())?;
            let reads = scene.is("opentelemetry-sdk", ">=1.43");
            let detail = if reads {
                format!("{name} is set: the other OTEL_* variables are ignored")
            } else {
                format!("{name} is set, which the installed release does not read")
            };
            let failure = about(scope, name, detail, remove(scope, name));
            Some(if reads { failure } else { failure.mild() })
        })
    },
    ..CONFIG
};

pub(super) const LIBRARIES: Check = Check {
    id: "config.libraries-enabled",
    title: "neither the framework nor every URL is excluded from tracing",
    why: "an excluded framework or URL gives no server span: the app is missing from the list of services",
    remedy: "take the framework and the patterns that match everything out of the list",
    doc: "https://opentelemetry.io/docs/zero-code/python/configuration/",
    page: page!("config.libraries-enabled"),
    covers: &["B21"],
    run: libraries,
    ..CONFIG
};

fn libraries(scene: &Scene<'_>) -> Verdict {
    let frameworks: Vec<String> = scene
        .detection()
        .frameworks
        .iter()
        .map(|framework| framework.name.to_ascii_lowercase())
        .collect();
    lint(scene, "nothing of the app is excluded", |scope| {
        let name = "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS";
        if let Some(text) = value(scope, name) {
            let listed: Vec<&str> = text.split(',').map(str::trim).collect();
            if listed.contains(&"*") {
                return Some(if scene.is("opentelemetry-instrumentation", "<=0.38b0") {
                    about(
                        scope,
                        name,
                        format!("{name} is `*`, which the installed release does not know"),
                        remove(scope, name),
                    )
                    .mild()
                } else {
                    about(scope, name, format!("{name} is `*`: nothing is traced"), remove(scope, name))
                });
            }
            let hit = listed.iter().find(|item| frameworks.iter().any(|framework| framework == *item));
            if let Some(hit) = hit {
                let rest: Vec<&str> = listed.iter().filter(|item| *item != hit).copied().collect();
                let remedy = if rest.is_empty() {
                    remove(scope, name)
                } else {
                    write(scope, name, &rest.join(","))
                };
                return Some(about(scope, name, format!("{name} names `{hit}`, the app's own framework"), remedy));
            }
        }
        let all = |pattern: &str| {
            matches!(
                pattern.trim(),
                ".*" | "/.*" | "/" | "." | "^" | "^/" | ".+" | "http" | "https?://.*" | ".*/.*"
            )
        };
        let (name, _) = scope.variables.iter().find(|(name, set)| {
            let counts = *name == "OTEL_PYTHON_EXCLUDED_URLS"
                || name
                    .strip_prefix("OTEL_PYTHON_")
                    .and_then(|rest| rest.strip_suffix("_EXCLUDED_URLS"))
                    .is_some_and(|library| frameworks.iter().any(|framework| framework.eq_ignore_ascii_case(library)));
            counts && bare(&set.value).split(',').any(all)
        })?;
        Some(about(
            scope,
            name,
            format!("{name} matches every URL: no request is traced"),
            remove(scope, name),
        ))
    })
}

pub(super) const TIMEOUT: Check = Check {
    id: "config.timeout",
    title: "the exporter's timeout is in seconds",
    why: "Python reads the timeout as seconds, not as milliseconds: 30000 is more than eight hours, and text stops the SDK",
    remedy: "unset OTEL_EXPORTER_OTLP_TIMEOUT, or write seconds, such as 10",
    doc: SPEC,
    page: page!("config.timeout"),
    covers: &["D27"],
    run: |scene| {
        let whole = scene.is("opentelemetry-sdk", "<1.18");
        lint(scene, "the timeout is sound", |scope| {
            let (name, text) = scope.traces("TIMEOUT")?;
            let text = bare(text);
            if is_open(text) {
                return None;
            }
            let Ok(seconds) = text.parse::<f64>() else {
                let detail = format!("{name} is `{text}`, which is no number: the exporter stops at the start");
                return Some(about(scope, &name, detail, write(scope, &name, "10")));
            };
            if whole && text.parse::<i64>().is_err() {
                let detail = format!("{name} is `{text}`, and the installed release reads whole seconds only: it stops at the start");
                return Some(about(scope, &name, detail, write(scope, &name, "10")));
            }
            if seconds <= 0.0 {
                return Some(about(
                    scope,
                    &name,
                    format!("{name} is {text}: every export ends at once"),
                    write(scope, &name, "10"),
                ));
            }
            (seconds > 300.0).then(|| {
                about(
                    scope,
                    &name,
                    format!("{name} is {text}: Python reads seconds, not milliseconds"),
                    write(scope, &name, "10"),
                )
                .mild()
            })
        })
    },
    ..CONFIG
};

pub(super) const BATCH: Check = Check {
    id: "config.batch-queue",
    title: "the queue of spans holds what the app makes",
    why: "spans are dropped when the queue is full, and the SDK refuses a batch larger than its queue",
    remedy: "set OTEL_BSP_MAX_QUEUE_SIZE=8192",
    doc: SPEC,
    page: page!("config.batch-queue"),
    covers: &["H02"],
    run: batch,
    ..CONFIG
};

fn batch(scene: &Scene<'_>) -> Verdict {
    let full = |line: &str| line.contains("Queue is full, likely spans will be dropped") || line.contains("Queue full, dropping");
    let lines: Vec<_> = scene.log.iter().filter(|line| full(&line.fact)).take(3).cloned().collect();
    if !lines.is_empty() {
        return Failure::new("the app's log says that the queue is full and spans are dropped")
            .remedy("add `OTEL_BSP_MAX_QUEUE_SIZE=8192` and `OTEL_BSP_SCHEDULE_DELAY=1000` to .signoz/otel.env, and start the app anew")
            .because(lines)
            .into();
    }
    lint(scene, "the queue is large enough", |scope| {
        let (queue, size) = ("OTEL_BSP_MAX_QUEUE_SIZE", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE");
        for name in [queue, size, "OTEL_BSP_SCHEDULE_DELAY", "OTEL_BSP_EXPORT_TIMEOUT"] {
            if let Some(text) = value(scope, name)
                && text.parse::<i64>().map_or(true, |number| number <= 0)
            {
                let detail = format!("{name} is `{text}`; a whole number above 0 is wanted");
                return Some(about(scope, name, detail, remove(scope, name)));
            }
        }
        let number = |name: &str, default: i64| value(scope, name).and_then(|text| text.parse().ok()).unwrap_or(default);
        let (capacity, batch) = (number(queue, 2048), number(size, 512));
        if batch > capacity {
            let name = if value(scope, size).is_some() { size } else { queue };
            let detail = format!("a batch of {batch} is larger than the queue of {capacity}: the SDK stops at the start");
            return Some(about(scope, name, detail, remove(scope, name)));
        }
        (capacity < 512).then(|| {
            about(
                scope,
                queue,
                format!("{queue} is {capacity}: spans are dropped under load"),
                write(scope, queue, "2048"),
            )
            .mild()
        })
    })
}

pub(super) const DELAY: Check = Check {
    id: "config.batch-delay",
    title: "spans are sent within a minute",
    why: "spans wait in the app for OTEL_BSP_SCHEDULE_DELAY milliseconds, and are lost if it is killed before",
    remedy: "unset OTEL_BSP_SCHEDULE_DELAY: the default is 5000 (milliseconds)",
    doc: SPEC,
    page: page!("config.batch-delay"),
    severity: Severity::Warning,
    covers: &["H03"],
    run: |scene| {
        lint(scene, "the delay is short; wait 20 seconds for the first spans", |scope| {
            let name = "OTEL_BSP_SCHEDULE_DELAY";
            let delay: u64 = value(scope, name)?.parse().ok()?;
            (delay > 60_000).then(|| {
                about(
                    scope,
                    name,
                    format!("{name} is {delay}: spans wait {} seconds", delay / 1000),
                    write(scope, name, "5000"),
                )
            })
        })
    },
    ..CONFIG
};

/// Limits, with the number below which spans lose what people look for.
const LIMIT: &[(&str, i64)] = &[
    ("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", 64),
    ("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", 64),
    ("OTEL_ATTRIBUTE_COUNT_LIMIT", 32),
    ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", 32),
    ("OTEL_SPAN_EVENT_COUNT_LIMIT", 8),
    ("OTEL_SPAN_LINK_COUNT_LIMIT", 8),
    ("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", 8),
    ("OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", 8),
];

pub(super) const LIMITS: Check = Check {
    id: "config.limits",
    title: "no limit cuts spans short",
    why: "attributes above a limit are dropped and long values cut off; a limit that is no number stops the SDK",
    remedy: "unset the limit: the defaults are 128 and no length",
    doc: SPEC,
    page: page!("config.limits"),
    severity: Severity::Warning,
    covers: &["D35"],
    run: |scene| {
        lint(scene, "no limit is tight", |scope| {
            let (name, least) = LIMIT
                .iter()
                .find(|(name, least)| value(scope, name).is_some_and(|text| text.parse::<i64>().map_or(true, |number| number < *least)))?;
            let text = value(scope, name)?;
            let detail = if text.parse::<u64>().is_ok() {
                format!("{name} is {text}, less than {least}: spans lose what people look for")
            } else {
                format!("{name} is `{text}`; a whole number is wanted, and the SDK stops at the start")
            };
            Some(about(scope, name, detail, remove(scope, name)))
        })
    },
    ..CONFIG
};

/// Propagators that the API brings, and the distribution of each of the others.
const PROPAGATOR: &[(&str, &str)] = &[
    ("tracecontext", "opentelemetry-api"),
    ("baggage", "opentelemetry-api"),
    ("b3", "opentelemetry-propagator-b3"),
    ("b3multi", "opentelemetry-propagator-b3"),
    ("jaeger", "opentelemetry-propagator-jaeger"),
    ("ottrace", "opentelemetry-propagator-ot-trace"),
    ("xray", "opentelemetry-propagator-aws-xray"),
];

pub(super) const PROPAGATORS: Check = Check {
    id: "config.propagators",
    title: "traces are handed on as W3C trace context",
    why: "without tracecontext a trace ends at the service's border; a propagator that is not installed stops the API at import",
    remedy: "set OTEL_PROPAGATORS=tracecontext,baggage",
    doc: SPEC,
    page: page!("config.propagators"),
    covers: &["D36"],
    run: |scene| {
        lint(scene, "tracecontext is among the propagators", |scope| {
            let name = "OTEL_PROPAGATORS";
            let listed: Vec<&str> = value(scope, name)?
                .split(',')
                .map(str::trim)
                .filter(|item| !item.is_empty())
                .collect();
            let good = write(scope, name, "tracecontext,baggage");
            for item in &listed {
                let known = PROPAGATOR.iter().find(|(known, _)| known == item);
                match known {
                    None if *item == "none" => {}
                    None => {
                        let detail = format!(
                            "{name} names `{item}`, which OpenTelemetry does not bring along: if nothing else brings it, the API stops at import"
                        );
                        return Some(about(scope, name, detail, good));
                    }
                    Some((_, dist))
                        if scene.python().is_some() && scene.dist("opentelemetry-api").is_some() && scene.dist(dist).is_none() =>
                    {
                        let detail = format!("{name} names `{item}`, and {dist} is not installed: the API stops at import");
                        return Some(about(scope, name, detail, good));
                    }
                    Some(_) => {}
                }
            }
            (!listed.contains(&"tracecontext")).then(|| {
                let detail = format!(
                    "{name} is `{}`, without tracecontext: traces end where a W3C peer is called",
                    listed.join(",")
                );
                about(scope, name, detail, good).mild()
            })
        })
    },
    ..CONFIG
};

pub(super) const OTHER_SIGNALS: Check = Check {
    id: "config.other-signals",
    title: "metrics and logs are sent only if someone asked for them",
    why: "the distribution switches metrics on by itself (and logs from 0.50b0 on): they cost money, and uwsgi hangs at its end",
    remedy: "set OTEL_METRICS_EXPORTER=none and OTEL_LOGS_EXPORTER=none",
    page: page!("config.other-signals"),
    severity: Severity::Warning,
    covers: &["D30"],
    spared: |scene| {
        scene
            .dist("opentelemetry-distro")
            .is_none()
            .then_some("opentelemetry-distro, which switches them on, is not installed")
    },
    run: |scene| {
        if !scene.configured().any(is_complete) {
            return Verdict::Skip("no run script and no running app: nobody has all the variables".to_owned());
        }
        lint(scene, "both are decided", |scope| {
            if !is_complete(scope) {
                return None;
            }
            let logs = scene.is("opentelemetry-distro", ">=0.50b0");
            let names = [("OTEL_METRICS_EXPORTER", true), ("OTEL_LOGS_EXPORTER", logs)];
            let unset: Vec<&str> = names
                .into_iter()
                .filter(|(name, counts)| *counts && scope.get(name).is_none())
                .map(|(name, _)| name)
                .collect();
            let because: Vec<_> = unset.iter().map(|name| absent(scope, name)).collect();
            let remedies: Vec<String> = unset.iter().map(|name| write(scope, name, "none")).collect();
            (!unset.is_empty()).then(|| {
                Failure::new(format!("{} is not set: the distribution sends them over OTLP", unset.join(" and ")))
                    .remedy(remedies.join("; "))
                    .because(because)
            })
        })
    },
    ..CONFIG
};

pub(super) const ERRORS_SHOWN: Check = Check {
    id: "config.errors-shown",
    title: "an export that fails is said somewhere",
    why: "from 0.61b0 on the logging instrumentation puts a handler on the root logger: failed exports of an app without handlers are never printed",
    remedy: "set OTEL_PYTHON_LOG_AUTO_INSTRUMENTATION=false",
    doc: "https://opentelemetry.io/docs/zero-code/python/logs-example/",
    page: page!("config.errors-shown"),
    severity: Severity::Warning,
    covers: &["D29"],
    spared: |scene| {
        (!scene.is("opentelemetry-instrumentation-logging", ">=0.61b0"))
            .then_some("opentelemetry-instrumentation-logging 0.61b0 or newer is not installed")
    },
    run: |scene| {
        if !scene.configured().any(is_complete) {
            return Verdict::Skip("no run script and no running app: nobody has all the variables".to_owned());
        }
        lint(scene, "the handler is switched off", |scope| {
            let name = "OTEL_PYTHON_LOG_AUTO_INSTRUMENTATION";
            let off = value(scope, name).is_some_and(|text| text.eq_ignore_ascii_case("false"));
            let disabled = value(scope, "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS")
                .is_some_and(|text| text.split(',').any(|item| matches!(item.trim(), "logging" | "*")));
            (is_complete(scope) && !off && !disabled).then(|| {
                Failure::new(format!("{name} is not false: failed exports may not be printed"))
                    .remedy(write(scope, name, "false"))
                    .because([absent(scope, name)])
            })
        })
    },
    ..CONFIG
};

pub(super) const LOG_LEVEL: Check = Check {
    id: "config.log-level",
    title: "the variable for a log level is one that Python reads",
    why: "OTEL_LOG_LEVEL does nothing in Python: who waits for its messages waits in vain",
    remedy: "remove OTEL_LOG_LEVEL; use the app's own logging, or GRPC_VERBOSITY=debug for connections",
    page: page!("config.log-level"),
    severity: Severity::Warning,
    covers: &["D28"],
    run: |scene| {
        lint(scene, "OTEL_LOG_LEVEL is not relied on", |scope| {
            let name = "OTEL_LOG_LEVEL";
            let text = value(scope, name)?;
            let remedy = format!(
                "{}; use the app's own logging, or GRPC_VERBOSITY=debug for connections",
                remove(scope, name)
            );
            // `info` and the like change nothing for anyone.
            matches!(text.to_ascii_lowercase().as_str(), "debug" | "trace" | "verbose" | "all")
                .then(|| about(scope, name, format!("{name}={text} has no effect in Python"), remedy))
        })
    },
    ..CONFIG
};

pub(super) const LOG_CORRELATION: Check = Check {
    id: "config.log-correlation",
    title: "log lines carry the trace's id where that was asked for",
    why: "the ids are added only for OTEL_PYTHON_LOG_CORRELATION=true, by the logging instrumentation",
    remedy: "set OTEL_PYTHON_LOG_CORRELATION=true and leave the logging instrumentation on",
    page: page!("config.log-correlation"),
    severity: Severity::Warning,
    covers: &["H09"],
    spared: |scene| {
        let asked = scene.configured().any(|scope| scope.get("OTEL_PYTHON_LOG_CORRELATION").is_some());
        (!asked).then_some("OTEL_PYTHON_LOG_CORRELATION is not set: set it to true for trace ids in log lines")
    },
    run: |scene| {
        lint(scene, "it is true, and the logging instrumentation is there", |scope| {
            let name = "OTEL_PYTHON_LOG_CORRELATION";
            let text = value(scope, name)?;
            if text.eq_ignore_ascii_case("false") {
                return None;
            }
            if !text.eq_ignore_ascii_case("true") {
                let detail = format!("{name} is `{text}`; only true counts");
                return Some(about(scope, name, detail, write(scope, name, "true")));
            }
            let off = "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS";
            let listed = |text: &str| text.split(',').any(|item| item.trim() == "logging");
            if value(scope, off).is_some_and(listed) {
                let detail = format!("{name} is true, but {off} switches the logging instrumentation off");
                return Some(about(
                    scope,
                    off,
                    detail,
                    format!("take `logging` out of {off}: {}", remove(scope, off)),
                ));
            }
            let missing = scene.python().is_some() && scene.dist("opentelemetry-instrumentation-logging").is_none();
            (missing && scope.kind != ScopeKind::File).then(|| {
                let python = scene
                    .python()
                    .map(|python| python.interpreter.display().to_string())
                    .unwrap_or_default();
                let detail = format!("{name} is true, but opentelemetry-instrumentation-logging is not installed");
                about(
                    scope,
                    name,
                    detail,
                    format!("{python} -m pip install opentelemetry-instrumentation-logging"),
                )
            })
        })
    },
    ..CONFIG
};

pub(super) const HEALTH_CHECKS: Check = Check {
    id: "config.health-checks",
    title: "health checks are left out of the traces",
    why: "a probe every few seconds fills the list of traces: the app's own requests are hard to find, and each one is paid for",
    remedy: "set OTEL_PYTHON_EXCLUDED_URLS to the health check's path",
    doc: "https://opentelemetry.io/docs/zero-code/python/configuration/",
    page: page!("config.health-checks"),
    severity: Severity::Warning,
    covers: &["H07"],
    run: health_checks,
    ..CONFIG
};

/// Paths that Docker or Kubernetes asks for again and again, with where that is written.
fn probes(scene: &Scene<'_>) -> Vec<(String, Evidence)> {
    let mut found = Vec::new();
    for file in &scene.survey.files {
        if !matches!(file.kind, FileKind::Dockerfile | FileKind::Compose | FileKind::Manifest) {
            continue;
        }
        let Some(text) = scene.text(&file.path) else { continue };
        let (mut left, mut probe) = (0_u8, false);
        for (index, line) in text.lines().enumerate() {
            let begins = ["HEALTHCHECK", "healthcheck:", "livenessProbe:", "readinessProbe:", "startupProbe:"]
                .iter()
                .any(|word| line.trim_start().starts_with(word));
            if begins {
                (left, probe) = (8, line.contains("Probe:"));
            }
            if left == 0 {
                continue;
            }
            left -= 1;
            let path = if probe {
                line.trim()
                    .strip_prefix("path:")
                    .map(|path| path.trim().trim_matches(['"', '\'']).to_owned())
            } else {
                url_path(line)
            };
            if let Some(path) = path.filter(|path| path.len() > 1) {
                found.push((
                    path,
                    Evidence::new(format!("{}:{}", file.path.display(), index + 1), masked_text(line.trim())),
                ));
                left = 0;
            }
        }
    }
    found
}

/// `/healthz` of a line with `http://localhost:8000/healthz`.
fn url_path(line: &str) -> Option<String> {
    let rest = &line[line.find("http://")? + "http://".len()..];
    let end = rest
        .find(|c: char| c.is_whitespace() || "\"'|)],;?".contains(c))
        .unwrap_or(rest.len());
    let at = rest[..end].find('/')?;
    Some(rest[at..end].to_owned())
}

fn health_checks(scene: &Scene<'_>) -> Verdict {
    let probes = probes(scene);
    if probes.is_empty() {
        return Verdict::Skip("neither Docker nor Kubernetes asks for a path of the app".to_owned());
    }
    let excludes = |scope: &Scope| {
        let patterns: Vec<String> = scope
            .variables
            .iter()
            .filter(|(name, _)| name.starts_with("OTEL_PYTHON_") && name.ends_with("EXCLUDED_URLS"))
            .flat_map(|(_, set)| bare(&set.value).split(',').map(|part| part.trim().to_owned()).collect::<Vec<_>>())
            .filter(|part| !part.is_empty())
            .collect();
        // Patterns are searched for, so that the plain words of one are enough to know it by.
        let covers = |path: &str| {
            patterns
                .iter()
                .any(|pattern| path.contains(pattern.trim_matches(['^', '$', '/', '.', '*'])))
        };
        probes.iter().all(|(path, _)| covers(path))
    };
    if scene.configured().next().is_none() {
        return Verdict::Skip("no OTEL_* variable is set anywhere".to_owned());
    }
    if scene.configured().any(excludes) {
        return Verdict::Pass("the paths of the health checks are excluded".to_owned());
    }
    let mut names: Vec<&str> = probes.iter().map(|(path, _)| path.trim_start_matches('/')).collect();
    names.sort_unstable();
    names.dedup();
    let value = names.join(",");
    let remedy = scene
        .main_scope()
        .map(|scope| write(scope, "OTEL_PYTHON_EXCLUDED_URLS", &value))
        .unwrap_or_default();
    Failure::new(format!("{value} is asked for again and again, and every time a trace is sent"))
        .remedy(remedy)
        .because(probes.iter().map(|(_, evidence)| evidence.clone()))
        .into()
}
