//! Raw start commands → servers: config files read, equal ones merged, the likeliest first.

use super::gunicorn;
use super::invocation::{Context, key, parse};
use super::program::{is_python, python_target};
use super::shape::{Config, Workers};
use super::shell::Variables;
use super::source::Source;
use super::sources::{Origin, Raw, ini, module_file};
use super::text::{self, evidence, relative};
use super::wrappers::unwrap;
use crate::domain::detection::{Evidence, Server, ServerKind, StartMethod};
use std::path::{Path, PathBuf};

/// Start commands that are kept; a project with more has generated them.
const MOST: usize = 50;

/// Makes the list of start commands, most likely first.
pub(super) fn assemble(raws: &[Raw], project: &Path) -> Vec<(Origin, Server)> {
    let mut found: Vec<(Origin, Server)> = Vec::new();
    let mut ordered: Vec<&Raw> = raws.iter().collect();
    ordered.sort_by_key(|raw| raw.origin);
    for raw in ordered {
        let mut server = complete(raw, project);
        let secrets = text::secrets(&raw.fact);
        let values = server.variables.iter_mut().map(|(_, value)| value);
        for shown in server.command.iter_mut().chain(values) {
            text::hide(shown, &secrets);
        }
        if server.kind == ServerKind::Unknown {
            continue;
        }
        // What the code offers adds nothing where the start is written down: of a server for requests, or of the same queue.
        let task = is_task_worker(server.kind);
        let covers =
            |known: &Server| known.directory == server.directory && (known.kind == server.kind || !task && !is_task_worker(known.kind));
        let written = raw.origin == Origin::Guess && found.iter().any(|(origin, known)| *origin != Origin::Guess && covers(known));
        if written && !found.iter().any(|(_, known)| key(known) == key(&server)) {
            continue;
        }
        let same = key(&server);
        match found.iter_mut().find(|(_, known)| key(known) == same) {
            Some((_, known)) => {
                for evidence in server.because {
                    if !known.because.contains(&evidence) {
                        known.because.push(evidence);
                    }
                }
                for variable in server.variables {
                    if !known.variables.iter().any(|(name, _)| *name == variable.0) {
                        known.variables.push(variable);
                    }
                }
            }
            None => found.push((raw.origin, server)),
        }
    }
    // Within one kind of source what answers requests comes before what works off a queue.
    // Among scripts and guesses, where only one of several is meant, a development start comes last.
    found.sort_by_key(|(origin, server)| {
        let development = *origin >= Origin::Script && server.start == StartMethod::Reload;
        (*origin, is_task_worker(server.kind), development)
    });
    found.truncate(MOST);
    found
}

/// Celery, RQ and Dramatiq serve no requests.
pub(super) fn is_task_worker(kind: ServerKind) -> bool {
    matches!(kind, ServerKind::Celery | ServerKind::Rq | ServerKind::Dramatiq)
}

fn complete(raw: &Raw, project: &Path) -> Server {
    let mut context = Context {
        variables: raw.variables.clone(),
        config: None,
    };
    let mut server = parse(&raw.words, &context, &raw.directory, project);
    server.because.push(evidence(&raw.source, &raw.fact));
    match server.kind {
        ServerKind::Gunicorn => {
            // Gunicorn reads `gunicorn.conf.py` of its folder without being told (its documentation, "config").
            let path = server
                .config
                .clone()
                .unwrap_or_else(|| relative(&raw.directory.join("gunicorn.conf.py"), project));
            let Some((path, config, because)) = gunicorn_config(&path, &raw.directory, project, &raw.variables) else {
                return server;
            };
            context.config = Some(&config);
            let because = server.because.into_iter().chain(because).collect();
            server = Server {
                config: Some(path),
                because,
                ..parse(&raw.words, &context, &raw.directory, project)
            };
        }
        ServerKind::Uwsgi => {
            if let Some(config) = server.config.as_ref().and_then(|path| ini::uwsgi(&project.join(path))) {
                context.config = Some(&config);
                let because = server.because;
                server = Server {
                    because,
                    ..parse(&raw.words, &context, &raw.directory, project)
                };
            }
        }
        ServerKind::Python => {
            if let Some((path, run)) = script(raw).and_then(|path| Some((path.clone(), run_call(&path, &raw.variables)?))) {
                server.start = run.start;
                server.workers = match run.workers {
                    Workers::Count(count) => Some(count),
                    Workers::Machine => None,
                };
                let shown = relative(&path, project);
                server
                    .because
                    .push(evidence(format!("{}:{}", shown.display(), run.line), &run.fact));
            }
        }
        _ => {}
    }
    server
}

/// The gunicorn config with its path as shown; a path of the image or another machine is looked for by its name.
fn gunicorn_config(path: &Path, directory: &Path, project: &Path, variables: &Variables) -> Option<(PathBuf, Config, Vec<Evidence>)> {
    let file = [Some(project.join(path)), path.file_name().map(|name| directory.join(name))]
        .into_iter()
        .flatten()
        .find(|file| file.is_file() && !file.components().any(|part| part.as_os_str() == ".signoz"))?;
    let content = text::read(&file).ok()?;
    let shown = relative(&file, project);
    let source = Source::parse(&content)?;
    let because = [
        "wsgi_app",
        "bind",
        "workers",
        "worker_class",
        "threads",
        "preload_app",
        "max_requests",
    ]
    .iter()
    .filter_map(|name| source.top(name))
    .map(|found| {
        let line = content.lines().nth(found.line - 1).unwrap_or_default();
        evidence(format!("{}:{}", shown.display(), found.line), line.trim())
    })
    .collect();
    Some((shown, gunicorn::settings(&source, variables), because))
}

/// The file that a `python …` command runs.
fn script(raw: &Raw) -> Option<PathBuf> {
    let words = unwrap(&raw.words).words;
    if !is_python(words.first()?) {
        return Some(raw.directory.join(words.first()?)).filter(|path| path.is_file());
    }
    let at = python_target(&words)?;
    if words[at - 1].starts_with('-') && words[at - 1].ends_with('m') {
        return module_file(&raw.directory, &words[at]);
    }
    let path = raw.directory.join(&words[at]);
    path.is_file().then_some(path)
}

/// A call in a script that starts a server.
pub(super) struct RunCall {
    pub(super) start: StartMethod,
    pub(super) workers: Workers,
    pub(super) line: usize,
    pub(super) fact: String,
}

fn run_call(path: &Path, variables: &Variables) -> Option<RunCall> {
    let content = text::read(path).ok()?;
    find_run(&Source::parse(&content)?, &content, variables)
}

/// `uvicorn.run(…)`, `app.run(…)`, `serve(app)` and the like, with what they say about reloading and workers.
pub(super) fn find_run(source: &Source, content: &str, variables: &Variables) -> Option<RunCall> {
    let one = Workers::Count(1);
    for call in &source.calls {
        let truth = |name: &str| call.named(name).and_then(|value| value.truth(variables));
        let (start, workers) = match (call.callee.as_str(), call.method()) {
            ("uvicorn.run", _) => match call.named("workers").map(|value| value.workers(variables)) {
                _ if truth("reload") == Some(true) => (StartMethod::Reload, one),
                None | Some(Workers::Count(0 | 1)) => (StartMethod::Single, one),
                Some(many) => (StartMethod::Spawn, many),
            },
            (_, "run_simple") if truth("use_reloader") == Some(true) => (StartMethod::Reload, one),
            (_, "run_simple" | "serve_forever" | "run_app") | ("serve" | "waitress.serve", _) => (StartMethod::Single, one),
            (callee, "run") if is_app(callee, source) => {
                let owner = callee.trim_end_matches(".run");
                let debug_set = source
                    .assignments
                    .iter()
                    .any(|found| found.name == format!("{owner}.debug") && found.value.truth(variables) == Some(true));
                let from_variable = variables
                    .get("FLASK_DEBUG")
                    .is_some_and(|value| !matches!(value.as_str(), "" | "0" | "false"));
                let debug = truth("debug").unwrap_or(debug_set || from_variable);
                let reloads = truth("use_reloader").unwrap_or(debug);
                (if reloads { StartMethod::Reload } else { StartMethod::Single }, one)
            }
            _ => continue,
        };
        return Some(RunCall {
            start,
            workers,
            line: call.line,
            fact: content.lines().nth(call.line - 1).unwrap_or_default().trim().to_owned(),
        });
    }
    None
}

/// Frameworks whose object has a `run` method that serves.
const APPS: &[&str] = &[
    "Flask",
    "Quart",
    "Sanic",
    "Bottle",
    "SocketIO",
    "Dash",
    "APIFlask",
    "create_app",
    "make_app",
];

fn is_app(callee: &str, source: &Source) -> bool {
    let Some((owner, _)) = callee.rsplit_once('.') else { return false };
    matches!(owner, "app" | "application" | "socketio" | "server" | "api" | "web")
        || source
            .calls
            .iter()
            .any(|call| call.target.as_deref() == Some(owner) && APPS.contains(&call.method()))
}
