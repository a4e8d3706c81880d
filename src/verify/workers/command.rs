//! How each server is moved to a free port of this machine's loopback for a rehearsal: one table.
//!
//! Also leaves out what must not happen twice on one machine: going to the background, writing the running
//! server's pid file, answering on its socket. May never change what the app does with a request.

use crate::domain::detection::ServerKind;
use std::io;
use std::net::{Ipv4Addr, TcpListener};

/// An option of a server's command line, and how many words follow it.
struct Switch {
    names: &'static [&'static str],
    values: usize,
}

const fn flag(names: &'static [&'static str]) -> Switch {
    Switch { names, values: 0 }
}

const fn value(names: &'static [&'static str]) -> Switch {
    Switch { names, values: 1 }
}

/// How a server is told its port.
enum Told {
    /// Words right after the program: `{}` is the port.
    AfterProgram(&'static [&'static str]),
    /// Words right after a subcommand.
    AfterWord(&'static [&'static str], &'static [&'static str]),
    /// The address is the subcommand's positional argument.
    Positional(&'static str, &'static str),
    /// Only through the variable `PORT`, which every start gets; what it then listens on is found out.
    Variable,
}

/// One row: what is left out of the command, and how the new port is said.
struct Row {
    kind: ServerKind,
    /// Words by which the program is known on a command line (`gunicorn`, `-m gunicorn`).
    programs: &'static [&'static str],
    leave_out: &'static [Switch],
    told: Told,
}

const ROWS: &[Row] = &[
    Row {
        kind: ServerKind::Gunicorn,
        programs: &["gunicorn", "gunicorn.app.wsgiapp"],
        leave_out: &[
            value(&["-b", "--bind"]),
            value(&["-p", "--pid"]),
            flag(&["-D", "--daemon"]),
            value(&["--certfile"]),
            value(&["--keyfile"]),
            value(&["--log-syslog-to"]),
        ],
        told: Told::AfterProgram(&["--bind", "127.0.0.1:{}"]),
    },
    Row {
        kind: ServerKind::Uvicorn,
        programs: &["uvicorn"],
        leave_out: &[
            value(&["--host"]),
            value(&["--port"]),
            value(&["--uds"]),
            value(&["--fd"]),
            value(&["--ssl-keyfile"]),
            value(&["--ssl-certfile"]),
            value(&["--ssl-keyfile-password"]),
        ],
        told: Told::AfterProgram(&["--host", "127.0.0.1", "--port", "{}"]),
    },
    Row {
        kind: ServerKind::Hypercorn,
        programs: &["hypercorn"],
        leave_out: &[
            value(&["-b", "--bind"]),
            value(&["--insecure-bind"]),
            value(&["--quic-bind"]),
            value(&["-p", "--pid"]),
            flag(&["-d", "--daemon"]),
            value(&["--certfile"]),
            value(&["--keyfile"]),
        ],
        told: Told::AfterProgram(&["--bind", "127.0.0.1:{}"]),
    },
    Row {
        kind: ServerKind::Granian,
        programs: &["granian"],
        leave_out: &[
            value(&["--host"]),
            value(&["--port"]),
            value(&["--uds"]),
            value(&["--pid-file"]),
            value(&["--ssl-certificate"]),
            value(&["--ssl-keyfile"]),
        ],
        told: Told::AfterProgram(&["--host", "127.0.0.1", "--port", "{}"]),
    },
    Row {
        kind: ServerKind::Uwsgi,
        programs: &["uwsgi"],
        leave_out: &[
            value(&["--http"]),
            value(&["--http-socket"]),
            value(&["--http11-socket"]),
            value(&["--https"]),
            value(&["-s", "--socket"]),
            value(&["--uwsgi-socket"]),
            value(&["--pidfile"]),
            value(&["-d", "--daemonize"]),
        ],
        told: Told::AfterProgram(&["--http-socket", "127.0.0.1:{}"]),
    },
    Row {
        kind: ServerKind::Daphne,
        programs: &["daphne"],
        leave_out: &[
            value(&["-b", "--bind"]),
            value(&["-p", "--port"]),
            value(&["-u", "--unix-socket"]),
            value(&["-e", "--endpoint"]),
            value(&["--fd"]),
        ],
        told: Told::AfterProgram(&["-b", "127.0.0.1", "-p", "{}"]),
    },
    Row {
        kind: ServerKind::Waitress,
        programs: &["waitress-serve", "waitress"],
        leave_out: &[
            value(&["--listen"]),
            value(&["--host"]),
            value(&["--port"]),
            value(&["--unix-socket"]),
        ],
        told: Told::AfterProgram(&["--listen=127.0.0.1:{}"]),
    },
    Row {
        kind: ServerKind::Flask,
        programs: &["flask"],
        leave_out: &[
            value(&["-h", "--host"]),
            value(&["-p", "--port"]),
            value(&["--cert"]),
            value(&["--key"]),
        ],
        told: Told::AfterWord(&["run"], &["--host", "127.0.0.1", "--port", "{}"]),
    },
    Row {
        kind: ServerKind::Fastapi,
        programs: &["fastapi"],
        leave_out: &[value(&["--host"]), value(&["--port"])],
        told: Told::AfterWord(&["run", "dev"], &["--host", "127.0.0.1", "--port", "{}"]),
    },
    Row {
        kind: ServerKind::DjangoRunserver,
        programs: &["manage.py", "django-admin", "django"],
        leave_out: &[],
        told: Told::Positional("runserver", "127.0.0.1:{}"),
    },
    Row {
        kind: ServerKind::Celery,
        programs: &["celery"],
        leave_out: &[
            flag(&["-D", "--detach"]),
            value(&["--pidfile"]),
            flag(&["-B", "--beat"]),
            value(&["-s", "--schedule"]),
            value(&["-S", "--statedb"]),
            value(&["-Q", "--queues"]),
            value(&["-X", "--exclude-queues"]),
            value(&["-n", "--hostname"]),
            value(&["-l", "--loglevel"]),
            value(&["-f", "--logfile"]),
            value(&["--autoscale"]),
        ],
        told: Told::Variable,
    },
];

/// A start command, moved out of the way of the running app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Moved {
    /// The command.
    pub(super) argv: Vec<String>,
    /// The server was told this port on its command line; otherwise only `PORT` says it.
    pub(super) told: bool,
}

/// A port that nothing listens on just now.
///
/// # Errors
/// When loopback has no free port.
pub(super) fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// The command with its port replaced.
pub(super) fn moved(kind: ServerKind, command: &[String], port: u16) -> Moved {
    let untouched = || Moved {
        argv: command.to_vec(),
        told: false,
    };
    let Some(row) = ROWS.iter().find(|row| row.kind == kind) else {
        return untouched();
    };
    let Some(program) = command.iter().position(|word| is_program(row.programs, word)) else {
        return untouched();
    };
    let (before, after) = command.split_at(program + 1);
    let after = without(after, row.leave_out);
    let mut argv = before.to_vec();
    let fill = |words: &[&str]| words.iter().map(|word| word.replace("{}", &port.to_string())).collect::<Vec<_>>();
    let told = match &row.told {
        Told::AfterProgram(words) => {
            argv.extend(fill(words));
            argv.extend(after);
            true
        }
        Told::AfterWord(subcommands, words) => match after.iter().position(|word| subcommands.contains(&word.as_str())) {
            Some(at) => {
                argv.extend_from_slice(&after[..=at]);
                argv.extend(fill(words));
                argv.extend_from_slice(&after[at + 1..]);
                true
            }
            None => {
                argv.extend(after);
                false
            }
        },
        Told::Positional(subcommand, address) => match after.iter().position(|word| word == subcommand) {
            Some(at) => {
                argv.extend_from_slice(&after[..=at]);
                argv.extend(fill(&[address]));
                argv.extend(after[at + 1..].iter().filter(|word| !is_address(word)).cloned());
                true
            }
            None => {
                argv.extend(after);
                false
            }
        },
        Told::Variable => {
            argv.extend(after);
            false
        }
    };
    Moved { argv, told }
}

/// The words of a command up to its program, and those after it.
pub(super) fn split_at_program(kind: ServerKind, command: &[String]) -> Option<(&[String], &[String])> {
    let row = ROWS.iter().find(|row| row.kind == kind)?;
    let program = command.iter().position(|word| is_program(row.programs, word))?;
    Some(command.split_at(program + 1))
}

fn is_program(programs: &[&str], word: &str) -> bool {
    let name = word.rsplit('/').next().unwrap_or(word);
    programs.contains(&name)
}

/// `8000`, `0.0.0.0:8000`, `[::]:8000`: what `runserver` takes as its address.
fn is_address(word: &str) -> bool {
    let port = word.rsplit(':').next().unwrap_or(word);
    !word.starts_with('-') && !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit())
}

/// Words without the given options, in all the ways that argument parsers read: `-b x`, `-bx`, `--bind x`, `--bind=x`.
fn without(words: &[String], options: &[Switch]) -> Vec<String> {
    let option = |word: &str| {
        options
            .iter()
            .flat_map(|option| option.names.iter().map(move |name| (name, option.values)))
            .find_map(|(name, values)| matches(word, name, values))
    };
    let mut kept = Vec::new();
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        match option(word) {
            Some(following) => {
                for _ in 0..following {
                    rest.next();
                }
            }
            None => kept.push(word.clone()),
        }
    }
    kept
}

/// How many words follow that belong to the option, when `word` is it.
fn matches(word: &str, name: &str, values: usize) -> Option<usize> {
    if word == name {
        return Some(values);
    }
    let rest = word.strip_prefix(name)?;
    let long = name.starts_with("--");
    let joined = values == 1 && (rest.starts_with('=') || !long);
    joined.then_some(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_server_is_moved_and_nothing_else_of_its_command_changes() {
        for (kind, command, expected) in [
            (
                ServerKind::Gunicorn,
                "gunicorn -b 0.0.0.0:8000 --bind=unix:/run/a.sock -b:80 --daemon -p /run/a.pid app:app --workers 4",
                "gunicorn --bind 127.0.0.1:7 app:app --workers 4",
            ),
            (
                ServerKind::Gunicorn,
                "python -m gunicorn -w 4 app:app --preload",
                "python -m gunicorn --bind 127.0.0.1:7 -w 4 app:app --preload",
            ),
            (
                ServerKind::Uvicorn,
                "/srv/venv/bin/uvicorn main:app --host 0.0.0.0 --port=80 --workers 4",
                "/srv/venv/bin/uvicorn --host 127.0.0.1 --port 7 main:app --workers 4",
            ),
            (
                ServerKind::Hypercorn,
                "hypercorn -w 4 -b 0.0.0.0:80 main:app",
                "hypercorn --bind 127.0.0.1:7 -w 4 main:app",
            ),
            (
                ServerKind::Granian,
                "granian --interface asgi --port 80 main:app",
                "granian --host 127.0.0.1 --port 7 --interface asgi main:app",
            ),
            (
                ServerKind::Uwsgi,
                "uwsgi --http :8000 --master -p 4 -w app:app",
                "uwsgi --http-socket 127.0.0.1:7 --master -p 4 -w app:app",
            ),
            (ServerKind::Daphne, "daphne -p 80 a.asgi:app", "daphne -b 127.0.0.1 -p 7 a.asgi:app"),
            (
                ServerKind::Waitress,
                "waitress-serve --listen=*:80 app:app",
                "waitress-serve --listen=127.0.0.1:7 app:app",
            ),
            (
                ServerKind::Flask,
                "flask --app app run --debug -p 5001",
                "flask --app app run --host 127.0.0.1 --port 7 --debug",
            ),
            (
                ServerKind::Fastapi,
                "fastapi run main.py --port 80",
                "fastapi run --host 127.0.0.1 --port 7 main.py",
            ),
            (
                ServerKind::DjangoRunserver,
                "python manage.py runserver --noreload 0.0.0.0:8000",
                "python manage.py runserver 127.0.0.1:7 --noreload",
            ),
            (
                ServerKind::DjangoRunserver,
                "python manage.py runserver",
                "python manage.py runserver 127.0.0.1:7",
            ),
        ] {
            let words = shlex::split(command).unwrap();
            let moved = moved(kind, &words, 7);
            assert_eq!(moved.argv.join(" "), expected);
            assert!(moved.told, "{command}");
        }
    }

    #[test]
    fn a_plain_script_is_only_told_by_variable() {
        let words = shlex::split("python app.py --port 80").unwrap();
        let moved = moved(ServerKind::Python, &words, 7);
        assert_eq!(moved.argv, words);
        assert!(!moved.told);
    }
}
