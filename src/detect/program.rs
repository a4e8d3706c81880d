//! The server's own program within a command: console scripts, modules, Django commands, plain Python. Pure.

use super::wrappers::base;
use crate::domain::detection::ServerKind;

/// The server's own program within a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Program {
    pub(super) kind: ServerKind,
    /// Index of the first word that belongs to the server as an argument.
    pub(super) arguments: usize,
    /// `worker`, `beat`, `runserver`, `dev`, `run`, …
    pub(super) subcommand: &'static str,
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
