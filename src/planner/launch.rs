//! The launch table: for each server and way of starting, what makes its workers send every span once.
//!
//! Facts are measured (`tests/matrix.rs` measures them again): the loader reaches every Python process; what a row
//! adds is for servers whose workers end without running Python's exit handlers, or that kill slow starters.

use crate::domain::detection::{Server, ServerKind, StartMethod};

/// A word that the run script appends to the command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    /// As it is.
    Text(&'static str),
    /// The path of a file in `.signoz`.
    Hook(&'static str),
}

/// A file of worker hooks, written into `.signoz`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hook {
    /// Name in `.signoz`.
    pub name: &'static str,
    /// Its text.
    pub text: &'static str,
    /// Why it is needed, one sentence.
    pub why: &'static str,
}

/// Gunicorn's hooks, chained over the app's own configuration.
pub const GUNICORN_HOOK: Hook = Hook {
    name: "gunicorn.conf.py",
    text: include_str!("../../assets/templates/workers/gunicorn.conf.py"),
    why: "each worker gets an exporter of its own after the fork and sends its last spans before it ends; your own configuration and hooks still run",
};

/// One row.
#[derive(Debug, Clone, Copy)]
pub struct Launch {
    /// The server.
    pub server: ServerKind,
    /// Ways of starting that the row is for; empty for all.
    pub start: &'static [StartMethod],
    /// Names of its program, by which the run script knows it.
    pub programs: &'static [&'static str],
    /// Words that the run script appends.
    pub adds: &'static [Word],
    /// Variables that the run script sets unless they are set already.
    pub variables: &'static [(&'static str, &'static str)],
    /// File of worker hooks.
    pub hook: Option<Hook>,
    /// How its workers come to be traced, one sentence for the person.
    pub why: &'static str,
    /// What stays to be known, one sentence.
    pub caveat: Option<&'static str>,
}

/// Nothing but the loader.
const LOADER: Launch = Launch {
    server: ServerKind::Python,
    start: &[],
    programs: &[],
    adds: &[],
    variables: &[],
    hook: None,
    why: "the process starts instrumented, and sends its last spans when it is told to end",
    caveat: None,
};

const UNPROVED: Option<&str> = Some("the loader is made for it, but this version's tests do not run it: prove it with --rehearse");
const RELOADS: Option<&str> =
    Some("it runs under a reloader, which kills its child at each change: the spans of the last second before a reload can be missing");

/// All rows; the first that fits is taken.
pub const TABLE: &[Launch] = &[
    Launch {
        server: ServerKind::Gunicorn,
        programs: &["gunicorn"],
        // The last `-c` wins in gunicorn's parser; the hook file finds the app's own one by itself.
        adds: &[Word::Text("-c"), Word::Hook("gunicorn.conf.py")],
        hook: Some(GUNICORN_HOOK),
        why: "gunicorn forks its workers; each gets an exporter of its own",
        ..LOADER
    },
    Launch {
        server: ServerKind::Uvicorn,
        start: &[StartMethod::Spawn],
        // Uvicorn kills a worker that does not answer within 5 s of its start; importing every instrumented library can
        // take 4 s. Uvicorn's command line reads this variable (click's prefix), and releases without the option ignore it.
        variables: &[("UVICORN_TIMEOUT_WORKER_HEALTHCHECK", "30")],
        why: "uvicorn's workers are new Python processes; the loader instruments each of them",
        ..LOADER
    },
    Launch {
        server: ServerKind::Uvicorn,
        start: &[StartMethod::Reload],
        why: "the reloader's child is a new Python process; the loader instruments it",
        caveat: RELOADS,
        ..LOADER
    },
    Launch { server: ServerKind::Uvicorn, ..LOADER },
    Launch {
        server: ServerKind::Flask,
        start: &[StartMethod::Reload],
        why: "Flask's reloader runs the app in a child process; the loader instruments it",
        caveat: RELOADS,
        ..LOADER
    },
    Launch { server: ServerKind::Flask, ..LOADER },
    Launch {
        server: ServerKind::DjangoRunserver,
        start: &[StartMethod::Reload],
        why: "Django's autoreloader runs the app in a child process; the loader instruments it",
        caveat: RELOADS,
        ..LOADER
    },
    Launch { server: ServerKind::DjangoRunserver, ..LOADER },
    Launch {
        server: ServerKind::Celery,
        why: "Celery forks its pool; each pool process gets an exporter of its own and sends its last spans before it ends",
        ..LOADER
    },
    Launch {
        server: ServerKind::Python,
        start: &[StartMethod::Reload],
        why: "the reloader runs the app in a child process; the loader instruments it",
        caveat: RELOADS,
        ..LOADER
    },
    Launch { server: ServerKind::Python, ..LOADER },
    Launch { server: ServerKind::Hypercorn, why: "hypercorn's workers are new Python processes; the loader instruments each of them", caveat: UNPROVED, ..LOADER },
    Launch { server: ServerKind::Granian, why: "granian's workers are forked or new; the loader reaches both", caveat: UNPROVED, ..LOADER },
    Launch { server: ServerKind::Uwsgi, why: "uWSGI forks its workers; each gets an exporter of its own", caveat: UNPROVED, ..LOADER },
    Launch { server: ServerKind::Daphne, caveat: UNPROVED, ..LOADER },
    Launch { server: ServerKind::Waitress, caveat: UNPROVED, ..LOADER },
    Launch { server: ServerKind::Rq, caveat: UNPROVED, ..LOADER },
    Launch { server: ServerKind::Dramatiq, caveat: UNPROVED, ..LOADER },
    Launch { server: ServerKind::Fastapi, start: &[StartMethod::Reload], caveat: RELOADS, ..LOADER },
    Launch { server: ServerKind::Fastapi, caveat: UNPROVED, ..LOADER },
    Launch {
        server: ServerKind::Unknown,
        why: "every Python process that the command starts is instrumented, as long as it hands PYTHONPATH on",
        caveat: Some("this start command is not one that signoz-setup knows: prove it with --rehearse"),
        ..LOADER
    },
];

/// The row for a start command.
#[must_use]
pub fn row(server: &Server) -> &'static Launch {
    TABLE
        .iter()
        .find(|row| row.server == server.kind && (row.start.is_empty() || row.start.contains(&server.start)))
        .unwrap_or(&LOADER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_server_has_a_row_for_every_way_of_starting() {
        use ServerKind::*;
        for kind in [Gunicorn, Uvicorn, Hypercorn, Granian, Uwsgi, Daphne, Waitress, Celery, Rq, Dramatiq, Flask, DjangoRunserver, Fastapi, Python, Unknown] {
            assert!(TABLE.iter().any(|row| row.server == kind && row.start.is_empty()), "{}", kind.as_str());
        }
    }

    #[test]
    fn a_hook_that_is_appended_is_also_written() {
        for row in TABLE {
            for word in row.adds {
                if let Word::Hook(name) = word {
                    assert_eq!(row.hook.map(|hook| hook.name), Some(*name));
                }
            }
        }
    }
}
