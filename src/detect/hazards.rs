//! What in the project would break tracing: said before the set-up, with file and line.

use super::commands::is_task_worker;
use super::invocation::{is_python, python_flags};
use super::source::{Function, Source};
use super::sources::{Origin, Raw, Setting};
use super::text::{self, evidence, is_secret, mask_value};
use super::walk::{Kind, Tree, is_aside};
use super::wrappers::unwrap;
use crate::domain::Distribution;
use crate::domain::detection::{Evidence, Hazard, PythonEnvironment, Server, StartMethod};
use crate::system::System;
use std::collections::BTreeMap;
use std::path::Path;

/// Python files that are searched for providers of the app's own, shallow ones first.
const MOST: usize = 3_000;

/// Everything that the hazards are looked for in.
pub(super) struct Scene<'a> {
    pub(super) system: &'a System,
    pub(super) project: &'a Path,
    pub(super) tree: &'a Tree,
    pub(super) raws: &'a [Raw],
    pub(super) settings: &'a [Setting],
    pub(super) servers: &'a [(Origin, Server)],
    pub(super) python: Option<&'a PythonEnvironment>,
    pub(super) installed: &'a BTreeMap<String, Distribution>,
    pub(super) required: &'a BTreeMap<String, Vec<Evidence>>,
}

/// Finds them, in the order of the table of ids.
pub(super) fn find(scene: &Scene<'_>, notes: &mut Vec<String>) -> Vec<Hazard> {
    let (hooks, providers) = in_code(scene, notes);
    let groups = [
        (
            "process.duplicate-hook",
            "a worker hook adds a second span processor: every span would be sent twice",
            "remove the tracing lines from the hook; the run script starts tracing in every worker",
            hooks,
        ),
        (
            "process.own-provider",
            "the app sets a tracer provider of its own, which either replaces ours or is refused",
            "remove the call of `set_tracer_provider` and its set-up, or keep it and do not use this set-up",
            providers,
        ),
        (
            "process.competing-agent",
            "another tracing agent patches the same libraries: spans would be doubled, odd or missing",
            "keep one agent: uninstall the other and take its wrapper out of the start command",
            agents(scene),
        ),
        (
            "process.reloader",
            "the start command reloads on file changes: the app runs in a child process that is restarted",
            "fine while developing; for real use start without `--reload`, `--debug` or `debug=True`, and runserver with `--noreload`",
            reloaders(scene),
        ),
        (
            "process.isolated-python",
            "Python is started with -I, -E or -S, so it never loads the instrumentation: no span and no message",
            "remove the option from the start command or the script's first line",
            isolated(scene),
        ),
    ];
    let mut found: Vec<Hazard> = groups
        .into_iter()
        .filter(|(.., because)| !because.is_empty())
        .map(|(id, title, remedy, because)| Hazard {
            id,
            title: title.to_owned(),
            remedy: format!("{remedy}: {}", places(&because)),
            because,
        })
        .collect();
    found.extend(left_over(scene));
    found
}

fn places(because: &[Evidence]) -> String {
    let named: Vec<_> = because.iter().take(3).map(|evidence| format!("`{}`", evidence.source)).collect();
    named.join(", ")
}

/// Calls that add to or replace the tracer provider, told apart by whether a worker hook makes them.
fn in_code(scene: &Scene<'_>, notes: &mut Vec<String>) -> (Vec<Evidence>, Vec<Evidence>) {
    let (mut hooks, mut providers) = (Vec::new(), Vec::new());
    let files: Vec<_> = scene
        .tree
        .files
        .iter()
        .filter(|found| matches!(found.kind, Kind::Entry | Kind::Python) && !is_aside(&found.path))
        .collect();
    if files.len() > MOST {
        notes.push(format!(
            "{} Python files: the first {MOST} were searched for tracer providers of the app's own",
            files.len()
        ));
    }
    let files: Vec<&Path> = files.into_iter().take(MOST).map(|found| found.path.as_path()).collect();
    for (path, content) in holding(scene.project, &files, &["set_tracer_provider", "add_span_processor"]) {
        let Some(source) = Source::parse(&content) else { continue };
        let hooked = hooked_functions(&source);
        for call in &source.calls {
            let sets = call.method() == "set_tracer_provider";
            if !sets && call.method() != "add_span_processor" {
                continue;
            }
            let line = content.lines().nth(call.line - 1).unwrap_or_default().trim();
            let because = evidence(format!("{}:{}", path.display(), call.line), line);
            if source.around(call).any(|function| hooked.contains(&function.name)) {
                hooks.push(because);
            } else if sets {
                providers.push(because);
            }
        }
    }
    (hooks, providers)
}

/// Reads files side by side and keeps those that hold one of the words; order as given.
fn holding<'a>(project: &Path, files: &[&'a Path], words: &[&str]) -> Vec<(&'a Path, String)> {
    let threads = std::thread::available_parallelism().map_or(2, std::num::NonZero::get).min(8);
    let size = files.len().div_ceil(threads).max(1);
    std::thread::scope(|scope| {
        let handles: Vec<_> = files
            .chunks(size)
            .map(|chunk| {
                scope.spawn(move || {
                    chunk
                        .iter()
                        .filter_map(|path| Some((*path, text::read(&project.join(path)).ok()?)))
                        .filter(|(_, content)| words.iter().any(|word| content.contains(word)))
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        handles.into_iter().flat_map(|handle| handle.join().unwrap_or_default()).collect()
    })
}

/// Gunicorn's hooks, and functions that a Celery or uWSGI signal calls in each worker; with what these call in the same file.
const HOOKS: &[&str] = &["post_fork", "post_worker_init", "when_ready", "on_starting"];
const SIGNALS: &[&str] = &["worker_process_init", "worker_init", "postfork", "register_after_fork"];

fn hooked_functions(source: &Source) -> Vec<String> {
    let signalled = |function: &Function| {
        function
            .decorators
            .iter()
            .any(|text| SIGNALS.iter().any(|signal| text.contains(signal)))
    };
    let mut hooked: Vec<String> = source
        .functions
        .iter()
        .filter(|function| HOOKS.contains(&function.name.as_str()) || signalled(function))
        .map(|function| function.name.clone())
        .collect();
    // `worker_process_init.connect(start_tracing)`.
    for call in source
        .calls
        .iter()
        .filter(|call| SIGNALS.iter().any(|signal| call.callee.contains(signal)))
    {
        hooked.extend(call.positional.iter().filter_map(|value| match value {
            super::source::Value::Name(name) => Some(name.clone()),
            _ => None,
        }));
    }
    let called: Vec<String> = source
        .calls
        .iter()
        .filter(|call| source.around(call).any(|function| hooked.contains(&function.name)))
        .filter(|call| source.functions.iter().any(|function| function.name == call.callee))
        .map(|call| call.callee.clone())
        .collect();
    hooked.extend(called);
    hooked
}

/// Distributions that are, or bring, another tracing agent.
const AGENTS: &[&str] = &[
    "ddtrace",
    "newrelic",
    "elastic-apm",
    "logfire",
    "azure-monitor-opentelemetry",
    "scout-apm",
    "appdynamics",
    "instana",
    "pinpointpy",
    "signalfx-tracing",
    "splunk-opentelemetry",
    "honeycomb-opentelemetry",
    "aws-opentelemetry-distro",
];

fn agents(scene: &Scene<'_>) -> Vec<Evidence> {
    let mut found = Vec::new();
    for name in AGENTS {
        if let Some(distribution) = scene.installed.get(*name) {
            let path = distribution.location.strip_prefix(scene.project).unwrap_or(&distribution.location);
            found.push(evidence(
                path.display().to_string(),
                format!("{name} {} is installed", distribution.version),
            ));
        } else if let Some(lines) = scene.required.get(*name) {
            found.extend(lines.iter().take(1).cloned());
        }
    }
    // Sentry's own OpenTelemetry mode is an extra of its distribution.
    if let Some(lines) = scene.required.get("sentry-sdk") {
        found.extend(lines.iter().filter(|line| line.fact.contains("opentelemetry")).take(1).cloned());
    }
    for raw in scene.raws {
        let agents = unwrap(&raw.words).agents;
        if agents.iter().any(|agent| agent != "opentelemetry-instrument") {
            found.push(evidence(&raw.source, &raw.fact));
        }
    }
    found
}

/// Only starts that are likely meant: all that are written down together, the first one of scripts and guesses.
fn reloaders(scene: &Scene<'_>) -> Vec<Evidence> {
    let mut serving = scene.servers.iter().filter(|(_, server)| !is_task_worker(server.kind));
    let Some((best, first)) = serving.next() else { return Vec::new() };
    let others = serving
        .filter(|(origin, _)| origin == best && *best < Origin::Script)
        .map(|(_, server)| server);
    std::iter::once(first)
        .chain(others)
        .filter(|server| server.start == StartMethod::Reload)
        .filter_map(|server| server.because.last().cloned())
        .collect()
}

fn isolated(scene: &Scene<'_>) -> Vec<Evidence> {
    let isolates = |words: &[String]| python_flags(words).iter().any(|flag| matches!(flag, 'I' | 'E' | 'S'));
    let mut found: Vec<Evidence> = Vec::new();
    for raw in scene.raws {
        let words = unwrap(&raw.words).words;
        if isolates(&words) {
            found.push(evidence(&raw.source, &raw.fact));
            continue;
        }
        // `/venv/bin/gunicorn` is a script: its first line starts Python.
        let Some(program) = words.first().filter(|program| !is_python(program)) else {
            continue;
        };
        let bin = scene.python.and_then(|python| python.interpreter.parent());
        let path = if program.contains('/') {
            Some(raw.directory.join(program))
        } else {
            bin.map(|bin| bin.join(program))
        };
        let Some(path) = path.filter(|path| path.is_file()) else { continue };
        let Ok(content) = text::read(&path) else { continue };
        let shebang = content.lines().next().and_then(|line| line.strip_prefix("#!"));
        let words: Vec<String> = shebang.into_iter().flat_map(str::split_whitespace).map(str::to_owned).collect();
        if isolates(&words) {
            let because = evidence(format!("{}:1", path.display()), format!("#!{}", shebang.unwrap_or_default()));
            if !found.contains(&because) {
                found.push(because);
            }
        }
    }
    found
}

/// Variables that silence tracing, or that win over what the set-up writes (facts measured on 1.17.0; general rule: the
/// signal-specific variable beats the general one, OpenTelemetry specification).
const SILENCING: &[(&str, fn(&str) -> bool, &str)] = &[
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

fn left_over(scene: &Scene<'_>) -> Vec<Hazard> {
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
