//! One start command → which server it is, how many workers it starts and how. Pure: looks at nothing but its arguments.

use super::shell::{self, Variables};
use super::text::{mask_value, mask_words, relative};
use super::wrappers::{Unwrapped, base, unwrap};
use crate::domain::detection::{Server, ServerKind, StartMethod};
use std::path::{Path, PathBuf};

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

/// What is known around a command.
#[derive(Default)]
pub(super) struct Context<'a> {
    /// Variables that are set where it runs, besides its own prefixes.
    pub(super) variables: Variables,
    pub(super) config: Option<&'a Config>,
}

/// Recognises a start command given as words, prefixes and wrappers included.
///
/// `directory` is where it runs. `because` is left empty: only the caller knows where the command stands.
#[must_use]
pub fn parse_command(words: &[String], directory: &Path, project: &Path) -> Server {
    parse(words, &Context::default(), directory, project)
}

/// The same, with the variables and the config file that apply.
pub(super) fn parse(words: &[String], context: &Context<'_>, directory: &Path, project: &Path) -> Server {
    let mut unwrapped = unwrap(words);
    if let Some(inner) = shell_command(&unwrapped.words, &context.variables) {
        let nested = unwrap(&inner);
        unwrapped.variables.extend(nested.variables);
        unwrapped.runner.extend(nested.runner);
        unwrapped.agents.extend(nested.agents);
        unwrapped.reloads |= nested.reloads;
        unwrapped.words = nested.words;
    }
    let mut program = program(&unwrapped.words);
    if program.kind == ServerKind::Unknown
        && let Some(at) = unwrapped.words.iter().position(|word| word == "--")
    {
        // `wait-for-it.sh db:5432 -- gunicorn …`: whatever waits in front, the command comes after the dashes.
        let behind = unwrap(&unwrapped.words[at + 1..]);
        let later = self::program(&behind.words);
        if later.kind != ServerKind::Unknown {
            program = later;
            unwrapped.variables.extend(behind.variables);
            unwrapped.runner.extend(behind.runner);
            unwrapped.words = behind.words;
        }
    }
    let mut variables = context.variables.clone();
    variables.extend(unwrapped.variables.iter().cloned());
    let config = config_file(program.kind, &mut unwrapped.words, program.arguments);
    let arguments = unwrapped.words.get(program.arguments..).unwrap_or_default();
    let shape = shape(program.kind, program.subcommand, arguments, &variables, context.config);
    describe(&unwrapped, program.kind, shape, config.as_deref(), directory, project)
}

fn describe(unwrapped: &Unwrapped, kind: ServerKind, shape: Shape, config: Option<&str>, directory: &Path, project: &Path) -> Server {
    let folder = if directory.is_absolute() {
        directory.to_path_buf()
    } else {
        project.join(directory)
    };
    let command: Vec<String> = unwrapped.runner.iter().chain(&unwrapped.words).cloned().collect();
    Server {
        kind,
        command: mask_words(&command),
        variables: unwrapped
            .variables
            .iter()
            .map(|(name, value)| (name.clone(), mask_value(name, value)))
            .collect(),
        workers: match shape.workers {
            Workers::Count(count) => Some(count),
            Workers::Machine => None,
        },
        worker_class: shape.worker_class,
        start: if unwrapped.reloads { StartMethod::Reload } else { shape.start },
        preload: shape.preload,
        directory: relative(&folder, project),
        config: config.map(|path| relative(&folder.join(path), project)),
        because: Vec::new(),
    }
}

/// `sh -c "…"`: the one command in it that starts a server.
fn shell_command(words: &[String], variables: &Variables) -> Option<Vec<String>> {
    let (shell, rest) = words.split_first()?;
    if !matches!(base(shell), "sh" | "bash" | "dash" | "ash" | "zsh") {
        return None;
    }
    let flag = rest.iter().position(|word| word.starts_with('-') && word.ends_with('c'))?;
    let commands = shell::commands(rest.get(flag + 1)?, variables);
    let rank = |command: &Vec<String>| match program(&unwrap(command).words).kind {
        ServerKind::Unknown => 0,
        ServerKind::Python => 1,
        _ => 2,
    };
    commands
        .into_iter()
        .filter(|command| rank(command) > 0)
        .max_by_key(|command| rank(command))
}

/// The server's own program within a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Program {
    pub(super) kind: ServerKind,
    /// Index of the first word that belongs to the server as an argument.
    pub(super) arguments: usize,
    /// `worker`, `beat`, `runserver`, `dev`, `run`, …
    subcommand: &'static str,
}

/// Console scripts and modules of the servers.
const PROGRAMS: &[(&str, ServerKind)] = &[
    ("gunicorn", ServerKind::Gunicorn),
    ("gunicorn.app.wsgiapp", ServerKind::Gunicorn),
    ("uvicorn", ServerKind::Uvicorn),
    ("hypercorn", ServerKind::Hypercorn),
    ("granian", ServerKind::Granian),
    ("uwsgi", ServerKind::Uwsgi),
    ("pyuwsgi", ServerKind::Uwsgi),
    ("uwsgi_python3", ServerKind::Uwsgi),
    ("daphne", ServerKind::Daphne),
    ("waitress-serve", ServerKind::Waitress),
    ("waitress", ServerKind::Waitress),
    ("celery", ServerKind::Celery),
    ("rq", ServerKind::Rq),
    ("rq.cli", ServerKind::Rq),
    ("dramatiq", ServerKind::Dramatiq),
    ("dramatiq-gevent", ServerKind::Dramatiq),
    ("flask", ServerKind::Flask),
    ("fastapi", ServerKind::Fastapi),
    ("manage.py", ServerKind::DjangoRunserver),
    ("django-admin", ServerKind::DjangoRunserver),
    ("django", ServerKind::DjangoRunserver),
];

/// Programs of which only these subcommands start something that stays.
const SUBCOMMANDS: &[(ServerKind, &[&str])] = &[
    (ServerKind::Celery, &["worker", "beat", "multi"]),
    (ServerKind::Rq, &["worker", "worker-pool"]),
    (ServerKind::Flask, &["run"]),
    (ServerKind::Fastapi, &["run", "dev"]),
];

/// Finds the server in a command without wrappers: `gunicorn`, `/venv/bin/gunicorn`, `python -m gunicorn`, `python app.py`.
pub(super) fn program(words: &[String]) -> Program {
    let unknown = Program {
        kind: ServerKind::Unknown,
        arguments: 0,
        subcommand: "",
    };
    let Some(first) = words.first() else { return unknown };
    let (name, arguments, by_python) = if is_python(first) {
        let Some(script) = python_target(words) else { return unknown };
        (words[script].as_str(), script + 1, true)
    } else {
        (first.as_str(), 1, false)
    };
    let module = arguments >= 2 && words[arguments - 2].ends_with('m') && words[arguments - 2].starts_with('-');
    let row = PROGRAMS.iter().find(|(known, _)| *known == base(name)).map(|(_, kind)| *kind);
    let Some(kind) = row else {
        let starts = by_python && !(module && TOOLS.contains(&name.split('.').next().unwrap_or(name))) && base(name) != "setup.py";
        let kind = if starts || name.ends_with(".py") {
            ServerKind::Python
        } else {
            ServerKind::Unknown
        };
        return Program {
            kind,
            arguments,
            ..unknown
        };
    };
    if kind == ServerKind::DjangoRunserver {
        return django(words, arguments);
    }
    let subcommands = SUBCOMMANDS.iter().find(|(of, _)| *of == kind).map(|(_, names)| *names);
    let Some(subcommands) = subcommands else {
        return Program {
            kind,
            arguments,
            ..unknown
        };
    };
    let named = |word: &String| subcommands.iter().find(|name| **name == word.as_str()).copied();
    match words[arguments..].iter().find_map(named) {
        Some(subcommand) => Program {
            kind,
            arguments,
            subcommand,
        },
        None => unknown,
    }
}

/// `manage.py COMMAND`: the server, an RQ worker, or a command of the project's own.
fn django(words: &[String], arguments: usize) -> Program {
    let command = words[arguments..]
        .iter()
        .find(|word| !word.starts_with('-'))
        .map_or("", String::as_str);
    let (kind, subcommand) = match command {
        "runserver" | "runserver_plus" => (ServerKind::DjangoRunserver, "runserver"),
        "rqworker" => (ServerKind::Rq, "worker"),
        "rqworker-pool" => (ServerKind::Rq, "worker-pool"),
        "" => (ServerKind::Unknown, ""),
        once if ONCE.contains(&once) => (ServerKind::Unknown, ""),
        _ => (ServerKind::Python, ""),
    };
    Program {
        kind,
        arguments,
        subcommand,
    }
}

/// Django commands that end by themselves.
const ONCE: &[&str] = &[
    "migrate",
    "makemigrations",
    "collectstatic",
    "test",
    "shell",
    "shell_plus",
    "check",
    "createsuperuser",
    "loaddata",
    "dumpdata",
    "compilemessages",
    "makemessages",
    "showmigrations",
    "sqlmigrate",
    "flush",
    "dbshell",
    "startapp",
    "startproject",
    "createcachetable",
    "clearsessions",
    "compress",
    "changepassword",
    "help",
    "diffsettings",
    "inspectdb",
    "sendtestemail",
    "squashmigrations",
];

/// Modules run with `-m` that are tools, not apps.
const TOOLS: &[&str] = &[
    "pip",
    "venv",
    "virtualenv",
    "pytest",
    "unittest",
    "build",
    "compileall",
    "json",
    "black",
    "mypy",
    "ruff",
    "flake8",
    "pylint",
    "coverage",
    "twine",
    "ensurepip",
    "poetry",
    "uv",
    "pipx",
    "alembic",
    "timeit",
    "cProfile",
    "site",
    "zipapp",
    "http",
    "pip_audit",
    "pre_commit",
    "tox",
    "nox",
    "isort",
    "pdb",
    "sphinx",
    "mkdocs",
    "ipykernel",
    "jupyter",
    "notebook",
    "pylsp",
    "grpc_tools",
    "pipenv",
    "pdm",
    "multiprocessing",
    "debugpy",
    "build_meta",
    "playwright",
    "nltk",
    "spacy",
];

/// `python`, `python3.11`, `/venv/bin/python`, `pypy3`.
pub(super) fn is_python(program: &str) -> bool {
    let name = base(program);
    let version = name.strip_prefix("python").or_else(|| name.strip_prefix("pypy"));
    version.is_some_and(|version| version.bytes().all(|b| b.is_ascii_digit() || b == b'.'))
}

/// Index of the script or module that a Python command line runs; `None` for `-c`, an option alone, or nothing.
pub(super) fn python_target(words: &[String]) -> Option<usize> {
    let mut at = 1;
    while let Some(word) = words.get(at) {
        let Some(flags) = word.strip_prefix('-').filter(|flags| !flags.is_empty()) else {
            return Some(at);
        };
        match flags.as_bytes().last()? {
            _ if flags.starts_with('-') => at += 1 + usize::from(flags == "-check-hash-based-pycs"),
            b'm' => return (at + 1 < words.len()).then_some(at + 1),
            b'c' => return None,
            b'W' | b'X' => at += 2,
            _ => at += 1,
        }
    }
    None
}

/// The single-letter flags given to a Python interpreter itself: `I`, `E` and `S` keep instrumentation out.
pub(super) fn python_flags(words: &[String]) -> Vec<char> {
    if !words.first().is_some_and(|first| is_python(first)) {
        return Vec::new();
    }
    let end = python_target(words).unwrap_or(words.len());
    words[1..end]
        .iter()
        .filter(|word| word.starts_with('-') && !word.starts_with("--") && !word.starts_with("-X") && !word.starts_with("-W"))
        .flat_map(|word| word[1..].chars())
        .collect()
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

struct Shape {
    workers: Workers,
    worker_class: Option<String>,
    start: StartMethod,
    preload: bool,
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
fn shape(kind: ServerKind, subcommand: &str, arguments: &[String], variables: &Variables, config: Option<&Config>) -> Shape {
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

/// The server's config file as the command names it. A file below `.signoz` is ours: it and its flag are taken out of the command.
fn config_file(kind: ServerKind, words: &mut Vec<String>, arguments: usize) -> Option<String> {
    let names: &[&str] = match kind {
        ServerKind::Gunicorn | ServerKind::Hypercorn => &["-c", "--config"],
        ServerKind::Uwsgi => &["--ini", "--yaml", "-i"],
        _ => return None,
    };
    if kind == ServerKind::Gunicorn {
        while let Some(at) = (arguments..words.len()).find(|at| {
            let flag = names.contains(&words[*at].as_str()) && words.get(at + 1).is_some_and(|value| value.contains(".signoz/"));
            flag || (words[*at].contains(".signoz/") && value(&words[*at..=*at], names).is_some())
        }) {
            let two = names.contains(&words[at].as_str());
            words.drain(at..=at + usize::from(two));
        }
    }
    let arguments = words.get(arguments..).unwrap_or_default();
    let positional = || {
        let bare = arguments
            .iter()
            .find(|word| !word.starts_with('-') && (word.ends_with(".ini") || word.ends_with(".yaml")));
        bare.filter(|_| kind == ServerKind::Uwsgi).map(String::as_str)
    };
    let text = value(arguments, names).or_else(positional)?;
    match text.split_once(':') {
        Some(("file", path)) => Some(path.to_owned()),
        Some(("python", module)) => Some(format!("{}.py", module.replace('.', "/"))),
        _ => Some(text.to_owned()),
    }
}

/// What makes two commands the same start: the server, its folder and its own arguments, however it was reached.
pub(super) fn key(server: &Server) -> (ServerKind, PathBuf, Vec<String>) {
    let words = unwrap(&server.command).words;
    let program = program(&words);
    let from = if matches!(server.kind, ServerKind::Python | ServerKind::Unknown | ServerKind::DjangoRunserver) {
        program.arguments.saturating_sub(1)
    } else {
        program.arguments
    };
    let own = words.get(from..).unwrap_or_default();
    (
        server.kind,
        server.directory.clone(),
        own.iter().map(|word| word.trim_start_matches("./").to_owned()).collect(),
    )
}
