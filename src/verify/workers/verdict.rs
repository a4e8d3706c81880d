//! What a rehearsal's figures mean, in words: what was seen, the likely cause, what to do next.

use super::app::{App, said};
use super::output::Tail;
use super::tally::{Served, Tally};
use super::{RehearsalRequest, Rehearsed, report};
use crate::domain::detection::{ServerKind, StartMethod};
use crate::domain::report::Outcome;
use std::fmt::Write;
use std::io;
use std::net::SocketAddr;
use std::process::ExitStatus;
use std::time::Duration;

/// How the rehearsal went, apart from the spans.
pub(super) struct Seen {
    /// Every expected worker served its share.
    pub(super) all_reached: bool,
    /// The kernel did not show who accepted.
    pub(super) blind: bool,
    /// Requests without an answer.
    pub(super) unanswered: u64,
    /// The app ended before it was asked to.
    pub(super) died: Option<ExitStatus>,
    /// It ended after SIGTERM without being killed.
    pub(super) ended_by_itself: bool,
    /// Whether the last burst was sent and counts.
    pub(super) asserted_at_stop: bool,
    /// From start to end.
    pub(super) elapsed: Duration,
}

/// A line that an app prints when something is wrong, with what it means and what helps.
struct Hint {
    says: &'static str,
    means: &'static str,
    remedy: &'static str,
}

/// Looked for in the app's output when it did not start, top first.
const START_HINTS: &[Hint] = &[
    Hint {
        says: "ddress already in use",
        means: "the port that it wants is taken",
        remedy: "stop the process that listens there, or let the app read its port from the variable `PORT`",
    },
    Hint {
        says: "ort is already in use",
        means: "the port that it wants is taken",
        remedy: "stop the process that listens there, or let the app read its port from the variable `PORT`",
    },
    Hint {
        says: "No module named 'pkg_resources'",
        means: "the pinned instrumentation needs `pkg_resources`, which setuptools 82 and later do not have",
        remedy: "run `signoz-setup` again: it installs `setuptools<81` with the pins",
    },
    Hint {
        says: "ModuleNotFoundError",
        means: "a module that the app imports is not there",
        remedy: "check the folder and the environment of the command: give them as `DIR` and `--python`",
    },
    Hint {
        says: "command not found",
        means: "the program is not on `PATH`",
        remedy: "install it into the app's environment, or give its full path in the command after `--`",
    },
    Hint {
        says: "not found",
        means: "the program or the app was not found",
        remedy: "check the command after `--` and the folder `DIR`",
    },
    Hint {
        says: "ermission denied",
        means: "something that it needs may not be read, written or run by you",
        remedy: "run the rehearsal as the user that runs the app",
    },
    Hint {
        says: "You must set settings.ALLOWED_HOSTS if DEBUG is False",
        means: "the Django instrumentation read the settings before `manage.py` named them",
        remedy: "set `DJANGO_SETTINGS_MODULE` in `.signoz/otel.env`",
    },
    Hint {
        says: "ImproperlyConfigured",
        means: "Django has no settings",
        remedy: "set `DJANGO_SETTINGS_MODULE` in `.signoz/otel.env`",
    },
];

/// Looked for in the app's output when spans are missing, top first.
const SPAN_HINTS: &[Hint] = &[
    Hint {
        says: "Failed to auto initialize opentelemetry",
        means: "one instrumentation failed to start and stopped those after it",
        remedy: "see the lines before `Failed to auto initialize opentelemetry` in the app's output and disable that one with OTEL_PYTHON_DISABLED_INSTRUMENTATIONS",
    },
    Hint {
        says: "Unsupported OTLP protocol",
        means: "the value of OTEL_EXPORTER_OTLP_PROTOCOL is not one that the SDK knows",
        remedy: "set OTEL_EXPORTER_OTLP_PROTOCOL to `grpc` or `http/protobuf`",
    },
    Hint {
        says: "No module named 'pkg_resources'",
        means: "the pinned instrumentation needs `pkg_resources`, which setuptools 82 and later do not have",
        remedy: "run `signoz-setup` again: it installs `setuptools<81` with the pins",
    },
    Hint {
        says: "Overriding of current TracerProvider is not allowed",
        means: "the app or a hook sets up a second tracer provider",
        remedy: "remove the app's own `set_tracer_provider` call (usually in a `post_fork` hook): the run script has set one up already",
    },
    Hint {
        says: "while exporting traces",
        means: "the exporter could not deliver",
        remedy: "see the exporter's lines in the app's output, and check that no proxy variable catches connections to 127.0.0.1",
    },
    Hint {
        says: "Failed to export",
        means: "the exporter could not deliver",
        remedy: "see the exporter's lines in the app's output",
    },
];

/// No free port on loopback.
pub(super) fn no_port(request: &RehearsalRequest<'_>, error: &io::Error) -> Rehearsed {
    failed(
        request,
        format!("not rehearsed: no free port on 127.0.0.1, because {error}"),
        Some("check that the loopback interface is up (`ip addr show lo`)".to_owned()),
    )
}

/// The run script could not be started.
pub(super) fn not_started(request: &RehearsalRequest<'_>, error: &io::Error) -> Rehearsed {
    failed(
        request,
        format!("`{}` cannot be started: {error}", request.run_script.display()),
        Some("run `signoz-setup` first: it writes the run script".to_owned()),
    )
}

/// The app ended, or took too long, before it listened anywhere.
pub(super) fn never_listened(request: &RehearsalRequest<'_>, app: &mut App<'_>) -> Rehearsed {
    let command = super::output::clean(&request.command.join(" "));
    let what = match app.ended() {
        Some(status) if app.processes().is_empty() => format!("`{command}` ended with {} before it listened on any port", said(status)),
        _ => format!("`{command}` did not listen on any port within {} s", request.time_limit.as_secs()),
    };
    dead(request, what, &app.tail)
}

/// It listened, but no request was answered.
pub(super) fn never_answered(request: &RehearsalRequest<'_>, app: &mut App<'_>, address: SocketAddr) -> Rehearsed {
    let what = match app.ended() {
        Some(status) => format!("the app ended with {} before it answered a request", said(status)),
        None => format!(
            "the app listens on {address} but answered no request within {} s; it may speak HTTPS or another protocol there",
            request.time_limit.as_secs()
        ),
    };
    dead(request, what, &app.tail)
}

/// A start that failed, with the app's last words.
pub(super) fn dead(request: &RehearsalRequest<'_>, what: String, tail: &Tail) -> Rehearsed {
    let hint = START_HINTS.iter().find(|hint| tail.find(hint.says).is_some());
    let mut detail = what;
    if let Some(hint) = hint {
        let _ = write!(detail, ", because {}", hint.means);
    }
    let last = tail.last(5);
    if last.is_empty() {
        detail.push_str("; it printed nothing");
    } else {
        let _ = write!(detail, "; its last lines: {last}");
    }
    let remedy = hint.map_or_else(
        || {
            format!(
                "run `{} {}` yourself and mend what it says",
                request.run_script.display(),
                super::output::clean(&request.command.join(" "))
            )
        },
        |hint| hint.remedy.to_owned(),
    );
    failed(request, detail, Some(remedy))
}

fn failed(request: &RehearsalRequest<'_>, detail: String, remedy: Option<String>) -> Rehearsed {
    Rehearsed {
        level: report(request, Outcome::Fail, detail, remedy),
        workers: Vec::new(),
        lost_at_stop: None,
    }
}

/// The verdict on a rehearsal that ran.
pub(super) fn of(request: &RehearsalRequest<'_>, seen: &Seen, tally: &Tally, served: &[Served], tail: &Tail) -> Rehearsed {
    let (outcome, detail, remedy) = judge(request, seen, tally, served, tail);
    let mut level = report(request, outcome, detail, remedy);
    level.latency_ms = u64::try_from(seen.elapsed.as_millis()).ok();
    Rehearsed {
        level,
        workers: tally.rows.clone(),
        lost_at_stop: seen.asserted_at_stop.then_some(tally.lost_at_stop),
    }
}

fn judge(request: &RehearsalRequest<'_>, seen: &Seen, tally: &Tally, served: &[Served], tail: &Tail) -> (Outcome, String, Option<String>) {
    let noun = if request.server.kind == ServerKind::Celery {
        "task"
    } else {
        "request"
    };
    let sent = served.len() as u64;
    let lost = tally.lost + tally.lost_at_stop;
    let busy = tally.rows.iter().filter(|row| row.requests > 0).count();
    let who = if busy == 1 {
        "1 worker".to_owned()
    } else {
        format!("{busy} workers")
    };
    let mut detail = format!(
        "{who} served {sent} {noun}s: {} spans received, {lost} lost, {} sent twice",
        sent - lost.min(sent),
        tally.duplicated
    );
    let mut remedy = None;
    let outcome = if lost == sent {
        let (why, what) = silent(request, tally, noun, tail);
        detail = format!("{who} served {sent} {noun}s and {why}");
        remedy = Some(what);
        Outcome::Fail
    } else if lost > 0 || tally.duplicated > 0 {
        let (why, what) = leaky(tally, tail, noun);
        let _ = write!(detail, "; {why}");
        remedy = Some(what);
        Outcome::Fail
    } else if let Some(status) = seen.died {
        let _ = write!(detail, "; then the app ended by itself with {}", said(status));
        remedy = Some(format!("see its last lines: {}", tail.last(3)));
        Outcome::Fail
    } else if !seen.all_reached {
        let want = request.expected_workers.map_or_else(String::new, |count| format!(" of {count}"));
        let _ = write!(
            detail,
            "; only {busy}{want} workers were reached within {} s",
            request.time_limit.as_secs()
        );
        remedy = Some("run `signoz-setup --rehearse` again when the machine is less busy".to_owned());
        Outcome::Unknown
    } else if tally.rows.iter().any(|row| row.pid == 0) {
        detail.push_str("; this system does not show which process served, so workers cannot be told apart");
        Outcome::Unknown
    } else {
        Outcome::Pass
    };
    let worse = |outcome: Outcome| if outcome == Outcome::Pass { Outcome::Warn } else { outcome };
    let mut outcome = outcome;
    if seen.blind || (tally.unattributed > 0 && request.server.kind == ServerKind::Celery) {
        detail.push_str("; who served is known from who exported");
    }
    if let Some(expected) = request.service_name
        && let Some(other) = tally.services.iter().find(|name| *name != expected)
    {
        let _ = write!(
            detail,
            "; spans carry the service name `{}`, not `{expected}`",
            super::output::clean(other)
        );
        remedy.get_or_insert_with(|| "unset OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES outside `.signoz/otel.env`".to_owned());
        outcome = worse(outcome);
    }
    let errors = served
        .iter()
        .filter(|request| request.status.is_some_and(|status| status >= 500))
        .count();
    if errors > 0 {
        let _ = write!(detail, "; {errors} of {sent} answers were server errors (5xx)");
        remedy.get_or_insert_with(|| format!("see what the app prints when `{}` is asked for", request.path));
        outcome = worse(outcome);
    } else if let Some(status) = served.iter().find_map(|request| request.status.filter(|status| *status >= 400)) {
        let _ = write!(detail, "; `{}` answers {status}, which counts as served", request.path);
    }
    if seen.unanswered > 0 {
        let _ = write!(detail, "; {} {noun}s got no answer", seen.unanswered);
        outcome = worse(outcome);
    }
    if !seen.ended_by_itself && seen.died.is_none() {
        let _ = write!(
            detail,
            "; it did not end within {} s after SIGTERM and was killed",
            request.grace().as_secs()
        );
        if request.server.start != StartMethod::Reload {
            remedy.get_or_insert_with(|| {
                "set OTEL_METRICS_EXPORTER=none in `.signoz/otel.env`: a metrics reader can hold uWSGI at its end".to_owned()
            });
            outcome = worse(outcome);
        }
    }
    (outcome, detail, remedy)
}

/// Why nothing at all arrived for our requests.
fn silent(request: &RehearsalRequest<'_>, tally: &Tally, noun: &str, tail: &Tail) -> (String, String) {
    if tally.foreign > 0 {
        return (
            format!(
                "{} spans arrived, but in traces of their own: the trace context of the {noun}s is not read",
                tally.foreign
            ),
            "set OTEL_PROPAGATORS=tracecontext,baggage".to_owned(),
        );
    }
    if let Some(hint) = SPAN_HINTS.iter().find(|hint| tail.find(hint.says).is_some()) {
        return (format!("no span arrived: {}", hint.means), hint.remedy.to_owned());
    }
    if tally.arrived > 0 {
        return (
            format!(
                "{} spans arrived, but none of the framework's own for a {noun}: its instrumentation is missing or does not cover the installed version",
                tally.arrived
            ),
            "see `coverage` in the report for the framework, and run `signoz-setup` again, with `--instrumentation current` if the pinned set does not reach it"
                .to_owned(),
        );
    }
    let again = "start the app through `.signoz/run.sh`, and run `signoz-setup` again if it was edited".to_owned();
    let why = match request.server.start {
        StartMethod::Spawn => "its workers are new interpreters, and instrumentation that only the parent has does not reach them",
        StartMethod::Reload => "the reloader starts the app as a new interpreter, which instrumentation of the parent does not reach",
        StartMethod::Fork if request.server.preload => "the app was imported before instrumentation (preload)",
        StartMethod::Fork | StartMethod::Single => {
            "instrumentation did not start, or the framework is one that the installed set does not cover, or a sampler or exporter variable switches it off"
        }
    };
    (format!("not one span arrived: {why}"), again)
}

/// Why some are missing or double.
fn leaky(tally: &Tally, tail: &Tail, noun: &str) -> (String, String) {
    if let Some(hint) = SPAN_HINTS.iter().find(|hint| tail.find(hint.says).is_some()) {
        return (hint.means.to_owned(), hint.remedy.to_owned());
    }
    if tally.duplicated > 0 {
        return (
            "something exports a second time".to_owned(),
            "remove the app's own BatchSpanProcessor or middleware: the run script instruments it already".to_owned(),
        );
    }
    if tally.lost == 0 {
        return (
            format!("all lost ones are among the last {noun}s before SIGTERM: a worker left without flushing"),
            "start the app through `.signoz/run.sh`, and check that its own signal handlers or server hooks call the earlier ones"
                .to_owned(),
        );
    }
    let silent = tally.rows.iter().filter(|row| row.requests > 0 && row.unique_spans == 0).count();
    (
        if silent > 0 {
            format!("{silent} of the workers exported nothing")
        } else {
            format!("some {noun}s have no span")
        },
        "see the exporter's lines in the app's output; a worker that was started anew in between loses what it had not sent".to_owned(),
    )
}
