//! THE table: how each server makes its workers, and what the run script adds to its command so that every worker's
//! spans leave it.
//!
//! One way serves all: the loader (`auto/sitecustomize.py`) starts tracing in every Python process. What differs from
//! server to server is only what is added here. May never hold a row whose effect was not measured without saying so.

use crate::domain::detection::{Server, ServerKind, StartMethod};

/// A file that a server needs besides the loader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hook {
    /// `.signoz/gunicorn.conf.py`, chained over the app's own configuration.
    Gunicorn,
}

impl Hook {
    /// Its name in `.signoz`.
    #[must_use]
    pub const fn file(self) -> &'static str {
        match self {
            Self::Gunicorn => "gunicorn.conf.py",
        }
    }

    /// Why it is written, one sentence.
    #[must_use]
    pub const fn why(self) -> &'static str {
        match self {
            Self::Gunicorn => {
                "each worker gets an exporter of its own after the fork and sends its last spans before it ends; your own configuration and hooks still run"
            }
        }
    }

    /// What it holds.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Gunicorn => super::templates::GUNICORN_CONF,
        }
    }
}

/// A word that the run script adds to the command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    /// As it is.
    Text(&'static str),
    /// The path of a hook.
    Hook(Hook),
}

/// How sure the row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// The server matrix drives it with real requests.
    Matrix,
    /// Not yet.
    NotYet,
}

/// One row.
#[derive(Debug, Clone, Copy)]
pub struct Launch {
    /// The server.
    pub server: ServerKind,
    /// How its workers come into being; `None` for any way.
    pub start: Option<StartMethod>,
    /// The app is imported before the fork; `None` when it makes no difference.
    pub preload: Option<bool>,
    /// Worker classes (gunicorn's `-k`, Celery's `--pool`) by their last part, lower case; empty for any.
    pub worker_classes: &'static [&'static str],
    /// Programs and `python -m` modules that are this server; empty where nothing is added to the command.
    pub programs: &'static [&'static str],
    /// What the run script adds at the end of the command.
    pub adds: &'static [Word],
    /// Variables that the run script sets unless they are set already.
    pub variables: &'static [(&'static str, &'static str)],
    /// Shown to the person: why it is started this way.
    pub why: &'static str,
    /// Shown to the person: what stays imperfect.
    pub caveat: Option<&'static str>,
    /// How sure it is.
    pub proof: Proof,
}

const ANY: Launch = Launch {
    server: ServerKind::Unknown,
    start: None,
    preload: None,
    worker_classes: &[],
    programs: &[],
    adds: &[],
    variables: &[],
    why: "",
    caveat: None,
    proof: Proof::Matrix,
};

const GUNICORN: Launch = Launch {
    server: ServerKind::Gunicorn,
    programs: &["gunicorn", "gunicorn.app.wsgiapp"],
    adds: &[Word::Text("-c"), Word::Hook(Hook::Gunicorn)],
    ..ANY
};

const UNPROVED: Option<&str> =
    Some("this server is not in the project's test matrix yet: run `signoz-setup --rehearse` to see what its workers send");
const RELOADER: Option<&str> = Some(
    "the watcher kills its child at each reload, so the spans of the last seconds before a reload are lost; use no reloader in production",
);

/// All rows; the first that fits is taken, so the particular ones stand before the general ones.
pub static TABLE: &[Launch] = &[
    Launch {
        worker_classes: &["uvicornworker", "uvicornh11worker"],
        why: "UvicornWorker gives up gunicorn's signal handlers and would die with its last spans: the hook sends them first",
        ..GUNICORN
    },
    Launch {
        worker_classes: &["gevent", "gevent_pywsgi", "geventworker"],
        why: "gevent replaces ssl in the workers: the loader lets it do so before the exporters import it, or HTTPS calls would recurse without end",
        ..GUNICORN
    },
    Launch {
        preload: Some(true),
        why: "the app is imported before the fork, so tracing starts in the master; the hook gives each worker its own exporter",
        ..GUNICORN
    },
    Launch {
        why: "workers are forked: the hook gives each its own exporter and sends its last spans when it ends",
        ..GUNICORN
    },
    Launch {
        server: ServerKind::Uvicorn,
        start: Some(StartMethod::Reload),
        why: "the reloader spawns a new interpreter, which the loader instruments",
        caveat: RELOADER,
        ..ANY
    },
    Launch {
        server: ServerKind::Uvicorn,
        start: Some(StartMethod::Spawn),
        // Uvicorn's command line reads its options from variables too (click's prefix): releases that do not know this one
        // ignore it, and the person's own flag wins.
        variables: &[("UVICORN_TIMEOUT_WORKER_HEALTHCHECK", "30")],
        why: "workers are new interpreters that import every instrumented library; uvicorn kills a worker that needs more than 5 s to start, so it gets 30",
        ..ANY
    },
    Launch {
        server: ServerKind::Uvicorn,
        why: "one process: the loader sends its last spans when it is told to end",
        ..ANY
    },
    Launch {
        server: ServerKind::Flask,
        start: Some(StartMethod::Reload),
        why: "the reloader starts the app in a new interpreter, which the loader instruments",
        caveat: RELOADER,
        ..ANY
    },
    Launch {
        server: ServerKind::Flask,
        why: "one process: the loader sends its last spans when it is told to end",
        ..ANY
    },
    Launch {
        server: ServerKind::DjangoRunserver,
        start: Some(StartMethod::Single),
        why: "one process: the loader sends its last spans when it is told to end",
        ..ANY
    },
    Launch {
        server: ServerKind::DjangoRunserver,
        why: "runserver starts the app in a new interpreter to watch its files, which the loader instruments",
        caveat: RELOADER,
        ..ANY
    },
    Launch {
        server: ServerKind::Python,
        start: Some(StartMethod::Reload),
        why: "the app's reloader starts a new interpreter, which the loader instruments",
        caveat: RELOADER,
        ..ANY
    },
    Launch {
        server: ServerKind::Python,
        why: "the loader instruments the process and those that it starts, and sends the last spans when it ends",
        ..ANY
    },
    Launch {
        server: ServerKind::Celery,
        worker_classes: &["prefork", "processes"],
        why: "pool processes are forked: each gets its own exporter and sends its last spans before it leaves",
        ..ANY
    },
    Launch {
        server: ServerKind::Celery,
        why: "pool processes are forked unless `--pool` says otherwise: each gets its own exporter and sends its last spans before it leaves",
        ..ANY
    },
    Launch {
        server: ServerKind::Fastapi,
        start: Some(StartMethod::Reload),
        why: "`fastapi dev` is uvicorn with a reloader, which spawns a new interpreter; the loader instruments it",
        caveat: RELOADER,
        proof: Proof::NotYet,
        ..ANY
    },
    Launch {
        server: ServerKind::Fastapi,
        why: "`fastapi run` is uvicorn: the loader instruments it and its spawned workers",
        caveat: UNPROVED,
        proof: Proof::NotYet,
        ..ANY
    },
    Launch {
        server: ServerKind::Hypercorn,
        why: "hypercorn spawns even a single worker as a new interpreter, which the loader instruments",
        caveat: UNPROVED,
        proof: Proof::NotYet,
        ..ANY
    },
    Launch {
        server: ServerKind::Granian,
        why: "granian's workers leave without running exit handlers: the loader sends their last spans first",
        caveat: UNPROVED,
        proof: Proof::NotYet,
        ..ANY
    },
    Launch {
        server: ServerKind::Uwsgi,
        why: "uWSGI embeds Python, which reads the loader from PYTHONPATH; metrics are off because their reader keeps uWSGI from ending",
        caveat: UNPROVED,
        proof: Proof::NotYet,
        ..ANY
    },
    Launch {
        server: ServerKind::Daphne,
        why: "one process: the loader sends its last spans when it is told to end",
        caveat: UNPROVED,
        proof: Proof::NotYet,
        ..ANY
    },
    Launch {
        server: ServerKind::Waitress,
        why: "one process with threads: the loader sends its last spans when it is told to end",
        caveat: UNPROVED,
        proof: Proof::NotYet,
        ..ANY
    },
    Launch {
        server: ServerKind::Rq,
        why: "RQ forks a process for each job that leaves without running exit handlers: the loader sends its spans first",
        caveat: UNPROVED,
        proof: Proof::NotYet,
        ..ANY
    },
    Launch {
        server: ServerKind::Dramatiq,
        why: "dramatiq's processes are started by multiprocessing: each gets its own exporter and sends its last spans before it leaves",
        caveat: UNPROVED,
        proof: Proof::NotYet,
        ..ANY
    },
    Launch {
        server: ServerKind::Unknown,
        why: "the loader instruments every Python process that this command starts",
        caveat: UNPROVED,
        proof: Proof::NotYet,
        ..ANY
    },
];

/// The row for a way to start an app.
#[must_use]
pub fn row(server: ServerKind, start: StartMethod, preload: bool, worker_class: Option<&str>) -> &'static Launch {
    let class = worker_class.map(|class| class.rsplit(['.', ':']).next().unwrap_or(class).to_lowercase());
    let fits = |row: &&Launch| {
        row.server == server
            && row.start.is_none_or(|wanted| wanted == start)
            && row.preload.is_none_or(|wanted| wanted == preload)
            && (row.worker_classes.is_empty() || class.as_deref().is_some_and(|class| row.worker_classes.contains(&class)))
    };
    // The last row fits everything that has none of its own.
    TABLE.iter().find(fits).unwrap_or(&TABLE[TABLE.len() - 1])
}

/// What a person should know about this way of starting, if there is something.
#[must_use]
pub fn caveat(server: &Server) -> Option<String> {
    let row = row(server.kind, server.start, server.preload, server.worker_class.as_deref());
    row.caveat.map(|caveat| format!("`{}`: {caveat}", server.command.join(" ")))
}

/// The rows that add something to a command, one for each set of programs.
pub fn additions() -> impl Iterator<Item = &'static Launch> {
    TABLE
        .iter()
        .enumerate()
        .filter(|(index, row)| !row.adds.is_empty() && !TABLE[..*index].iter().any(|earlier| earlier.programs == row.programs))
        .map(|(_, row)| row)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVERS: [ServerKind; 15] = [
        ServerKind::Gunicorn,
        ServerKind::Uvicorn,
        ServerKind::Hypercorn,
        ServerKind::Granian,
        ServerKind::Uwsgi,
        ServerKind::Daphne,
        ServerKind::Waitress,
        ServerKind::Celery,
        ServerKind::Rq,
        ServerKind::Dramatiq,
        ServerKind::Flask,
        ServerKind::DjangoRunserver,
        ServerKind::Fastapi,
        ServerKind::Python,
        ServerKind::Unknown,
    ];

    #[test]
    fn every_server_has_a_row_of_its_own_for_every_start() {
        for server in SERVERS {
            for start in [StartMethod::Fork, StartMethod::Spawn, StartMethod::Single, StartMethod::Reload] {
                for preload in [false, true] {
                    let row = row(server, start, preload, None);
                    assert_eq!(row.server, server, "{start:?}");
                    assert!(
                        !row.why.is_empty() && (row.proof == Proof::Matrix || row.caveat.is_some()),
                        "{server:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn the_particular_row_wins() {
        let uvicorn_worker = row(ServerKind::Gunicorn, StartMethod::Fork, true, Some("uvicorn.workers.UvicornWorker"));
        assert!(uvicorn_worker.why.contains("UvicornWorker"));
        assert!(
            row(ServerKind::Gunicorn, StartMethod::Fork, true, Some("sync"))
                .why
                .contains("before the fork")
        );
        assert!(row(ServerKind::Uvicorn, StartMethod::Reload, false, None).caveat.is_some());
        assert_eq!(row(ServerKind::Uvicorn, StartMethod::Spawn, false, None).variables.len(), 1);
    }

    #[test]
    fn no_row_is_dead() {
        for (index, candidate) in TABLE.iter().enumerate() {
            let reached = [StartMethod::Fork, StartMethod::Spawn, StartMethod::Single, StartMethod::Reload]
                .iter()
                .any(|start| {
                    [false, true].iter().any(|preload| {
                        let classes = candidate.worker_classes.iter().map(|class| Some(*class)).chain([None]);
                        classes
                            .into_iter()
                            .any(|class| std::ptr::eq(row(candidate.server, *start, *preload, class), candidate))
                    })
                });
            assert!(reached, "row {index} ({:?}) is never taken", candidate.server);
        }
    }

    #[test]
    fn the_run_script_needs_one_branch_for_each_program() {
        let programs: Vec<_> = additions().flat_map(|row| row.programs).collect();
        assert_eq!(programs, [&"gunicorn", &"gunicorn.app.wsgiapp"]);
    }
}
