//! How a server's workers come into being: one arm for each server. Pure.

use super::shell::{self, Variables};
use crate::domain::detection::{ServerKind, StartMethod};

/// A number of workers as a command or config file gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Workers {
    Count(u32),
    /// As many as the machine has CPUs, or something that only the running app can tell.
    Machine,
}

/// What the server's own config file says; flags win over it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Config {
    pub(super) workers: Option<Workers>,
    pub(super) threads: Option<Workers>,
    pub(super) worker_class: Option<String>,
    pub(super) preload: Option<bool>,
    /// uWSGI's `master`.
    pub(super) master: Option<bool>,
    pub(super) application: Option<String>,
}
/// The value of a flag, in every form: `--name v`, `--name=v`, `-n v`, `-nv`; the last one wins.
pub(super) fn value<'a>(arguments: &'a [String], names: &[&str]) -> Option<&'a str> {
    let mut found = None;
    for (index, word) in arguments.iter().enumerate() {
        for name in names {
            if word == name {
                found = arguments.get(index + 1).map(String::as_str).or(found);
            } else if let Some(rest) = word.strip_prefix(name) {
                if let Some(value) = rest.strip_prefix('=') {
                    found = Some(value);
                } else if name.len() == 2 && !name.starts_with("--") {
                    found = Some(rest);
                }
            }
        }
    }
    found
}

fn given(arguments: &[String], names: &[&str]) -> bool {
    arguments.iter().any(|word| names.contains(&word.as_str()))
}

fn workers(text: &str) -> Workers {
    text.trim().parse().map_or(Workers::Machine, Workers::Count)
}

fn truthy(value: Option<&String>) -> bool {
    value.is_some_and(|value| !matches!(value.to_ascii_lowercase().as_str(), "" | "0" | "false" | "no" | "off"))
}

/// What a command says about its worker processes.
pub(super) struct Shape {
    pub(super) workers: Workers,
    pub(super) worker_class: Option<String>,
    pub(super) start: StartMethod,
    pub(super) preload: bool,
}

impl Shape {
    fn new(workers: Workers, start: StartMethod) -> Self {
        Self {
            workers,
            worker_class: None,
            start,
            preload: false,
        }
    }
}

/// Workers and start method, server by server.
///
/// Fork or spawn as measured: gunicorn's arbiter forks even one worker, Hypercorn spawns even one, Uvicorn spawns above one,
/// Granian forks up to Python 3.13.
pub(super) fn shape(kind: ServerKind, subcommand: &str, arguments: &[String], variables: &Variables, config: Option<&Config>) -> Shape {
    let one = Workers::Count(1);
    let count = |names: &[&str]| value(arguments, names).map(workers);
    let concurrency = || variables.get("WEB_CONCURRENCY").map(|text| workers(text));
    let single = Shape::new(one, StartMethod::Single);
    let by_count = |found: Option<Workers>, many: StartMethod| match found {
        None | Some(Workers::Count(0 | 1)) => Shape::new(one, StartMethod::Single),
        Some(count) => Shape::new(count, many),
    };
    match kind {
        ServerKind::Gunicorn => gunicorn(arguments, variables, config),
        ServerKind::Uvicorn => {
            if given(arguments, &["--reload"]) || truthy(variables.get("UVICORN_RELOAD")) {
                return Shape::new(one, StartMethod::Reload);
            }
            let from_variable = || variables.get("UVICORN_WORKERS").map(|text| workers(text)).or_else(concurrency);
            by_count(count(&["--workers"]).or_else(from_variable), StartMethod::Spawn)
        }
        ServerKind::Hypercorn => {
            let found = count(&["-w", "--workers"]).unwrap_or(one);
            let start = match found {
                _ if given(arguments, &["--reload"]) => StartMethod::Reload,
                Workers::Count(0) => StartMethod::Single,
                _ => StartMethod::Spawn,
            };
            Shape {
                worker_class: value(arguments, &["-k", "--worker-class"]).map(str::to_owned),
                ..Shape::new(if found == Workers::Count(0) { one } else { found }, start)
            }
        }
        ServerKind::Granian => {
            let found = count(&["--workers"]).or_else(|| variables.get("GRANIAN_WORKERS").map(|text| workers(text)));
            let start = if given(arguments, &["--reload"]) {
                StartMethod::Reload
            } else {
                StartMethod::Fork
            };
            Shape::new(found.unwrap_or(one), start)
        }
        ServerKind::Uwsgi => uwsgi(arguments, config),
        ServerKind::Celery => celery(subcommand, arguments),
        ServerKind::Rq => Shape::new(
            if subcommand == "worker-pool" {
                count(&["-n", "--num-workers"]).unwrap_or(one)
            } else {
                one
            },
            StartMethod::Fork,
        ),
        ServerKind::Dramatiq => {
            let start = match () {
                () if given(arguments, &["--watch"]) => StartMethod::Reload,
                () if given(arguments, &["--use-spawn"]) => StartMethod::Spawn,
                () => StartMethod::Fork,
            };
            Shape::new(count(&["-p", "--processes"]).unwrap_or(Workers::Machine), start)
        }
        ServerKind::Flask => {
            let debug = given(arguments, &["--debug", "--reload"])
                || truthy(variables.get("FLASK_DEBUG")) && !given(arguments, &["--no-debug"])
                || variables.get("FLASK_ENV").is_some_and(|value| value == "development");
            let reload = debug && !given(arguments, &["--no-reload"]);
            Shape::new(one, if reload { StartMethod::Reload } else { StartMethod::Single })
        }
        ServerKind::DjangoRunserver => {
            let fixed = given(arguments, &["--noreload"]);
            Shape::new(one, if fixed { StartMethod::Single } else { StartMethod::Reload })
        }
        ServerKind::Fastapi => {
            let reload = subcommand == "dev" && !given(arguments, &["--no-reload"]) || given(arguments, &["--reload"]);
            if reload {
                return Shape::new(one, StartMethod::Reload);
            }
            by_count(count(&["--workers"]).or_else(concurrency), StartMethod::Spawn)
        }
        ServerKind::Daphne | ServerKind::Waitress | ServerKind::Python | ServerKind::Unknown => single,
    }
}

/// Lowest to highest: WEB_CONCURRENCY, config file, GUNICORN_CMD_ARGS, command line (gunicorn's documentation, "Configuration Overview").
fn gunicorn(arguments: &[String], variables: &Variables, config: Option<&Config>) -> Shape {
    let mut all = variables
        .get("GUNICORN_CMD_ARGS")
        .map(|text| shell::words(text))
        .unwrap_or_default();
    all.extend_from_slice(arguments);
    let fallback = Config::default();
    let config = config.unwrap_or(&fallback);
    let count = value(&all, &["-w", "--workers"])
        .map(workers)
        .or(config.workers)
        .or_else(|| variables.get("WEB_CONCURRENCY").map(|text| workers(text)))
        .unwrap_or(Workers::Count(1));
    let threads = value(&all, &["--threads"]).map(workers).or(config.threads);
    let class = value(&all, &["-k", "--worker-class"])
        .map(str::to_owned)
        .or_else(|| config.worker_class.clone());
    let threaded = !matches!(threads, None | Some(Workers::Count(0 | 1)));
    Shape {
        workers: count,
        // Gunicorn itself turns sync with threads into gthread.
        worker_class: if threaded && class.as_deref().is_none_or(|class| class == "sync") {
            Some("gthread".to_owned())
        } else {
            class
        },
        start: StartMethod::Fork,
        preload: given(&all, &["--preload"]) || config.preload.unwrap_or(false),
    }
}

/// uWSGI loads the app once in the master and forks, unless `lazy-apps` says otherwise.
fn uwsgi(arguments: &[String], config: Option<&Config>) -> Shape {
    let count = value(arguments, &["-p", "--processes", "--workers"])
        .map(workers)
        .or_else(|| config.and_then(|config| config.workers))
        .unwrap_or(Workers::Count(1));
    let master = given(arguments, &["-M", "--master"]) || config.and_then(|config| config.master).unwrap_or(false);
    let lazy = given(arguments, &["--lazy-apps", "--lazy"]) || config.and_then(|config| config.preload) == Some(false);
    let forks = master || count != Workers::Count(1);
    Shape {
        preload: forks && !lazy,
        ..Shape::new(count, if forks { StartMethod::Fork } else { StartMethod::Single })
    }
}

fn celery(subcommand: &str, arguments: &[String]) -> Shape {
    if subcommand == "beat" {
        return Shape::new(Workers::Count(1), StartMethod::Single);
    }
    let pool = value(arguments, &["-P", "--pool"]).map(str::to_owned);
    // Threads and green threads share one process; `prefork` and `processes` are the same pool.
    if pool.as_deref().is_some_and(|pool| !matches!(pool, "prefork" | "processes")) {
        return Shape {
            worker_class: pool,
            ..Shape::new(Workers::Count(1), StartMethod::Single)
        };
    }
    let autoscale = value(arguments, &["--autoscale"]).and_then(|text| text.split(',').next());
    let count = value(arguments, &["-c", "--concurrency"])
        .or(autoscale)
        .map_or(Workers::Machine, workers);
    Shape {
        worker_class: pool,
        ..Shape::new(count, StartMethod::Fork)
    }
}
