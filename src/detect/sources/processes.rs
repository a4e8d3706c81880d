//! Servers that are running now, from `/proc`: those whose folder, script or arguments lie in the project.
//!
//! Worker processes are told from their masters by their ancestors; only masters are reported.

use super::super::program::{Program, is_python, program, python_flags, python_target};
use super::super::shell::{self, Variables};
use super::super::wrappers::{base, unwrap};
use super::{Gathered, Origin, Raw, module_file};
use crate::domain::detection::ServerKind;
use crate::system::System;
use crate::system::process::{self, Process};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Variables of a process that say how it was started; no other is looked at.
const TELLING: &[&str] = &[
    "WEB_CONCURRENCY",
    "GUNICORN_CMD_ARGS",
    "FLASK_DEBUG",
    "FLASK_ENV",
    "UVICORN_WORKERS",
    "UVICORN_RELOAD",
    "DJANGO_SETTINGS_MODULE",
];

/// The process table, without this program and those above it, and which of it serves the project.
fn look(system: &System, project: &Path) -> (BTreeMap<u32, Process>, BTreeMap<u32, Seen>) {
    let table: BTreeMap<u32, Process> = process::list(&system.root)
        .into_iter()
        .map(|process| (process.pid, process))
        .collect();
    let ours = if system.root == Path::new("/") {
        ancestors(&table, std::process::id())
    } else {
        Vec::new()
    };
    let real = project.canonicalize().unwrap_or_else(|_| project.to_path_buf());
    let inside = |path: &Path| path.starts_with(project) || path.starts_with(&real);
    let matching: BTreeMap<u32, Seen> = table
        .values()
        .filter(|process| process.state != 'Z' && !ours.contains(&process.pid))
        .filter_map(|process| Some((process.pid, Seen::of(process, &inside)?)))
        .collect();
    (table, matching)
}

/// Processes that serve the project, and those that a server spawned; true for one that has a server above it.
pub(in super::super) fn all(system: &System, project: &Path) -> Vec<(Process, ServerKind, bool)> {
    let (table, matching) = look(system, project);
    let spawned = |process: &Process| process.argv.iter().any(|word| word.contains("multiprocessing.spawn"));
    table
        .values()
        .filter(|process| process.state != 'Z')
        .filter_map(|process| {
            let above = ancestors(&table, process.pid);
            let server = above.iter().skip(1).find_map(|pid| matching.get(pid));
            match matching.get(&process.pid) {
                Some(seen) => Some((process.clone(), seen.kind, server.is_some_and(|server| server.kind == seen.kind))),
                None if spawned(process) => server.map(|server| (process.clone(), server.kind, true)),
                None => None,
            }
        })
        .collect()
}

/// Looks through the process table.
pub(super) fn read(system: &System, project: &Path, found: &mut Gathered) {
    let (table, matching) = look(system, project);
    let real = project.canonicalize().unwrap_or_else(|_| project.to_path_buf());
    let inside = |path: &Path| path.starts_with(project) || path.starts_with(&real);
    for (pid, seen) in &matching {
        let above = ancestors(&table, *pid);
        let master = above
            .iter()
            .skip(1)
            .any(|above| matching.get(above).is_some_and(|other| other.kind == seen.kind));
        if master {
            continue;
        }
        let Some(process) = table.get(pid) else { continue };
        let children = table
            .values()
            .filter(|child| child.parent == *pid && child.state != 'Z')
            .filter(|child| matching.contains_key(&child.pid) || child.argv.iter().any(|word| word.contains("multiprocessing.spawn")))
            .count();
        let variables: Variables = process::variables(&system.root, *pid)
            .unwrap_or_default()
            .into_iter()
            .filter(|(name, _)| name.starts_with("OTEL_") || TELLING.contains(&name.as_str()))
            .collect();
        let source = format!("pid {pid}");
        for (name, value) in &variables {
            found.set(name, value, &source);
        }
        let mut words = seen.words.clone();
        if seen.titled && seen.kind == ServerKind::Gunicorn && children > 0 {
            words.extend(["--workers".to_owned(), children.to_string()]);
        }
        let with = match children {
            0 => String::new(),
            1 => " (1 child process)".to_owned(),
            many => format!(" ({many} child processes)"),
        };
        found.commands.push(Raw {
            origin: Origin::Process,
            words,
            variables,
            directory: process.directory.clone().filter(|folder| inside(folder)).map_or_else(
                || project.to_path_buf(),
                |folder| folder.strip_prefix(&real).map(|inner| project.join(inner)).unwrap_or(folder),
            ),
            source,
            fact: format!("{}{with}", process.argv.join(" ")),
            interpreter: interpreter(system, process),
        });
    }
}

/// A process that serves the project.
struct Seen {
    kind: ServerKind,
    words: Vec<String>,
    /// The command line is one that setproctitle wrote.
    titled: bool,
}

impl Seen {
    fn of(process: &Process, inside: &dyn Fn(&Path) -> bool) -> Option<Self> {
        let (argv, titled) = match title(&process.argv) {
            Some(words) => (words, true),
            None => (process.argv.clone(), false),
        };
        // A shell, sudo or `poetry run` in front is only the parent of the process that counts.
        if unwrap(&argv).words.len() != argv.len() {
            return None;
        }
        let Program { kind, arguments, .. } = program(&argv);
        let directory = process.directory.as_deref().unwrap_or(Path::new("/"));
        let here = process.directory.as_deref().is_some_and(inside);
        let named = argv.iter().any(|word| word.starts_with('/') && inside(Path::new(word)));
        let belongs = match kind {
            ServerKind::Unknown => false,
            ServerKind::Python => {
                let target = argv.get(arguments.saturating_sub(1))?;
                let module = arguments >= 2 && argv[arguments - 2].starts_with('-') && argv[arguments - 2].ends_with('m');
                let file = if module {
                    module_file(directory, target)
                } else {
                    Some(directory.join(target))
                };
                file.is_some_and(|file| inside(&file) && file.is_file() && !in_environment(&file))
            }
            _ => here || named,
        };
        if !belongs {
            return None;
        }
        Some(Self {
            kind,
            words: without_interpreter(argv, kind),
            titled,
        })
    }
}

/// A tool that is installed in the project's own environment is not the project.
fn in_environment(file: &Path) -> bool {
    file.ancestors().skip(1).take(3).any(super::super::walk::is_environment)
        || file.components().any(|part| part.as_os_str() == "site-packages")
}

/// `/venv/bin/python /venv/bin/gunicorn app:app` was typed as `/venv/bin/gunicorn app:app`.
fn without_interpreter(mut argv: Vec<String>, kind: ServerKind) -> Vec<String> {
    let script = python_target(&argv).filter(|_| argv.first().is_some_and(|first| is_python(first)));
    let plain = script == Some(1) && python_flags(&argv).is_empty();
    if plain && !matches!(kind, ServerKind::Python | ServerKind::DjangoRunserver) && !argv[1].ends_with(".py") {
        argv.remove(0);
    }
    argv
}

/// Command lines that setproctitle replaced: `gunicorn: master [app:app]`, `[celeryd: … (-A app worker)]`.
fn title(argv: &[String]) -> Option<Vec<String>> {
    let line = argv.join(" ");
    if let Some(rest) = line.strip_prefix("gunicorn: ") {
        let app = rest.split_once('[')?.1.split_once(']')?.0;
        return Some(vec!["gunicorn".to_owned(), app.to_owned()]);
    }
    if line.starts_with("[celeryd: ") || line.starts_with("[celery beat") {
        let arguments = line.rsplit_once('(')?.1.split(')').next()?;
        let mut words = vec!["celery".to_owned()];
        words.extend(shell::words(arguments));
        return Some(words);
    }
    None
}

/// The interpreter as it was called, so that a virtual environment shows; `/proc/PID/exe` would be the one behind it.
fn interpreter(system: &System, process: &Process) -> Option<PathBuf> {
    let first = process.argv.first().filter(|first| is_python(first))?;
    if first.contains('/') {
        return Some(super::super::text::tidy(&process.directory.as_ref()?.join(first)));
    }
    // A bare `python`: the first one on the process's own PATH is the one that the shell started.
    let variables = process::variables(&system.root, process.pid)?;
    let folders = variables.get("PATH")?.split(':').map(PathBuf::from);
    folders.map(|folder| folder.join(base(first))).find(|path| path.is_file())
}

/// A process and everything above it.
fn ancestors(table: &BTreeMap<u32, Process>, pid: u32) -> Vec<u32> {
    let mut above = vec![pid];
    let mut next = pid;
    while let Some(process) = table.get(&next)
        && process.parent != 0
        && !above.contains(&process.parent)
    {
        above.push(process.parent);
        next = process.parent;
    }
    above
}
