//! The report as text for people. Everything here is also in the JSON document; this only chooses words and order.

use super::findings;
use super::marks;
use super::style::{self, BAD, CARE, DIM, GOOD, TITLE, paint};
use crate::domain::Resolution;
use crate::domain::coverage::Coverage;
use crate::domain::detection::{Detection, PythonEnvironment, Server};
use crate::domain::packages::Conflict;
use crate::domain::plan::StepState;
use crate::domain::report::{
    ErrorReport, LaunchReport, Level, LevelReport, Outcome, Report, RunOutcome, StepRow, UndoReport, Verification, WorkerRow,
};
use std::fmt::Write;

/// The whole report. `whole`: also checks that passed or were skipped, one by one.
#[must_use]
pub fn report(report: &Report, whole: bool) -> String {
    let mut text = String::new();
    if !report.pages.is_empty() {
        for page in &report.pages {
            line(
                &mut text,
                page.text
                    .as_deref()
                    .unwrap_or(&format!("{:<32} {}", page.id, page.title))
                    .trim_end(),
            );
        }
        return text;
    }
    // A doctor's report is about what it found wrong.
    if let Some(detection) = report.environment.as_ref().filter(|_| report.mode != "check" || whole) {
        environment(&mut text, detection);
    }
    if let Some(summary) = &report.summary {
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(&findings::findings(&report.findings, whole));
        line(&mut text, "");
        line(&mut text, &findings::summary(summary));
    }
    coverage(&mut text, &report.coverage);
    if let Some(resolution) = &report.resolution {
        moves(&mut text, resolution);
    }
    if let Some(launch) = &report.launch {
        start(&mut text, launch);
    }
    if let Some(plan) = &report.plan {
        let showing = if report.mode == "dry-run" { Steps::Diffs } else { Steps::Done };
        steps(&mut text, &plan.steps, showing);
    }
    if let Some(tap) = &report.tap {
        title(&mut text, "Received");
        line(
            &mut text,
            &format!(
                "  {} spans, {} different, {} of them more than once",
                tap.spans, tap.unique_spans, tap.duplicated
            ),
        );
        if tap.forwarded + tap.forward_failed > 0 {
            line(
                &mut text,
                &format!("  {} exports passed on, {} could not be", tap.forwarded, tap.forward_failed),
            );
        }
    }
    if let Some(undo) = &report.undo {
        undone(&mut text, undo);
    }
    if let Some(verification) = &report.verification {
        verified(&mut text, verification);
    }
    look_at(&mut text, &report.warnings);
    if !report.next.is_empty() {
        title(&mut text, "Next");
        for next in &report.next {
            line(&mut text, &format!("  {next}"));
        }
    }
    let checked = report.summary.is_some();
    let (style, words) = match report.outcome {
        RunOutcome::Ok if checked => (GOOD, "nothing is wrong, as far as was looked"),
        RunOutcome::Warnings if checked => (CARE, "nothing is broken; there is something to look at"),
        RunOutcome::Failed if checked => (BAD, "something is wrong"),
        RunOutcome::Ok => (GOOD, "done"),
        RunOutcome::Warnings => (CARE, "done, with something to look at"),
        RunOutcome::Failed => (BAD, "failed"),
        RunOutcome::Refused => (BAD, "refused: nothing was changed"),
        RunOutcome::Interrupted => (BAD, "interrupted"),
    };
    line(&mut text, "");
    line(&mut text, &format!("{} (exit code {})", paint(style, words), report.exit_code));
    text
}

/// What was found in a project.
#[must_use]
pub fn found(detection: &Detection) -> String {
    let mut text = String::new();
    environment(&mut text, detection);
    text
}

/// What would be done, before it is: what will be traced, what moves, how the app will start, the steps.
#[must_use]
pub fn plan(report: &Report) -> String {
    let mut text = String::new();
    coverage(&mut text, &report.coverage);
    if let Some(resolution) = &report.resolution {
        moves(&mut text, resolution);
    }
    if let Some(launch) = &report.launch {
        start(&mut text, launch);
    }
    look_at(&mut text, &report.warnings);
    if let Some(plan) = &report.plan {
        steps(&mut text, &plan.steps, Steps::Planned);
    }
    text
}

fn start(text: &mut String, launch: &LaunchReport) {
    title(text, "How it will start");
    line(text, &format!("  {}", launch.command));
    line(text, &format!("  {}", paint(DIM, &launch.why)));
}

/// An error, for standard error.
#[must_use]
pub fn error(error: &ErrorReport) -> String {
    let mut text = format!("{} {}", paint(BAD, "error:"), error.what);
    if let Some(why) = &error.why {
        let _ = write!(text, "\n  because: {why}");
    }
    for remedy in &error.remedies {
        let _ = write!(text, "\n  {} {remedy}", paint(TITLE, "hint:"));
    }
    text
}

fn environment(text: &mut String, detection: &Detection) {
    title(text, "Found");
    match &detection.python {
        Some(python) => {
            fact(
                text,
                "python",
                &interpreter(python),
                python.because.first().map(|evidence| evidence.source.as_str()),
            );
            for other in &detection.python_candidates {
                fact(
                    text,
                    "or",
                    &interpreter(other),
                    other.because.first().map(|evidence| evidence.source.as_str()),
                );
            }
        }
        None => fact(text, "python", "none", None),
    }
    for framework in &detection.frameworks {
        let version = framework.version.as_deref().unwrap_or("required, not installed");
        fact(
            text,
            "library",
            &format!("{} {version}", framework.name),
            framework.because.first().map(|evidence| evidence.source.as_str()),
        );
    }
    for server in &detection.servers {
        fact(
            text,
            "start",
            &command(server),
            server.because.first().map(|evidence| evidence.source.as_str()),
        );
    }
    if detection.apps.len() > 1 {
        for app in &detection.apps {
            fact(
                text,
                "app",
                &app.directory.display().to_string(),
                app.because.first().map(|evidence| evidence.source.as_str()),
            );
        }
    }
    for note in &detection.notes {
        line(text, &format!("  {} {note}", paint(DIM, "note")));
    }
}

fn interpreter(python: &PythonEnvironment) -> String {
    let broken = python.broken.as_ref().map(|why| format!(", broken: {why}")).unwrap_or_default();
    format!(
        "{} ({}, {}{broken})",
        python.interpreter.display(),
        python.version,
        python.package_manager.as_str()
    )
}

fn command(server: &Server) -> String {
    let mut text = server.command.join(" ");
    if let Some(workers) = server.workers.filter(|workers| *workers > 1) {
        let _ = write!(text, "  ({workers} workers)");
    }
    text
}

fn fact(text: &mut String, name: &str, value: &str, source: Option<&str>) {
    let source = source.map(|source| paint(DIM, format!("  {source}"))).unwrap_or_default();
    line(text, &format!("  {name:<8} {value}{source}"));
}

/// The coverage table.
pub fn coverage(text: &mut String, rows: &[Coverage]) {
    if rows.is_empty() {
        return;
    }
    title(text, &format!("What will be traced ({})", rows[0].set));
    let width = rows
        .iter()
        .map(|row| row.library.chars().count() + row.version.chars().count() + 1)
        .max()
        .unwrap_or(0);
    for row in rows {
        let mark = style::coverage(row.status);
        let name = format!("{} {}", row.library, row.version);
        line(text, &format!("  {mark} {name:<width$}  {}", row.note));
    }
}

/// What the install does to versions that are there today; new packages are only counted.
fn moves(text: &mut String, resolution: &Resolution) {
    if resolution.moves.is_empty() {
        return;
    }
    title(text, "What moves in the environment");
    let new = resolution.moves.iter().filter(|step| step.from.is_none()).count();
    line(text, &format!("  {new} packages come"));
    for step in resolution.changed() {
        line(
            text,
            &format!(
                "  {} {} {} {} {}",
                style::mark(marks::CARE),
                step.name,
                step.from.as_deref().unwrap_or_default(),
                style::becomes(),
                step.to
            ),
        );
    }
    for conflict in &resolution.conflicts {
        line(text, &format!("  {} {}", style::mark(marks::BAD), conflict_words(conflict)));
    }
}

/// A conflict, in one clause.
pub(super) fn conflict_words(conflict: &Conflict) -> String {
    format!(
        "{} {} requires {} but would get {}",
        conflict.package, conflict.version, conflict.requires, conflict.would_get
    )
}

/// What is said of steps beside their titles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Steps {
    /// Nothing: they are done, or were not.
    Done,
    /// Nothing: they are planned.
    Planned,
    /// Why each is there, and where.
    Reasons,
    /// Why each is there, and what it would change.
    Diffs,
}

/// Steps, one a line.
pub fn steps(text: &mut String, rows: &[StepRow], showing: Steps) {
    let pending = rows.iter().filter(|row| row.state == StepState::Pending).count();
    let heading = match (showing, pending) {
        (Steps::Done, _) if rows.iter().all(|row| row.state == StepState::Satisfied) => {
            "Steps: nothing to do, everything was as it should be".to_owned()
        }
        (Steps::Done, _) => "Steps".to_owned(),
        (_, 0) => "Plan: nothing to do, everything is as it should be".to_owned(),
        (_, count) => format!("Plan: {count} to do (nothing was written)"),
    };
    title(text, &heading);
    for row in rows {
        line(text, &format!("  {} {}", style::step(row.state), row.title));
        if showing == Steps::Reasons {
            line(text, &format!("      {}", paint(DIM, &row.why)));
            if let Some(path) = &row.path {
                line(text, &format!("      {}", paint(DIM, path)));
            }
        }
        if showing == Steps::Diffs && row.state == StepState::Pending {
            line(text, &format!("      {}", paint(DIM, &row.why)));
            if let Some(argv) = &row.argv {
                line(text, &format!("      $ {}", argv.join(" ")));
            }
            if let Some(diff) = &row.diff {
                for changed in diff.lines() {
                    let style = match changed.chars().next() {
                        Some('+') => GOOD,
                        Some('-') => BAD,
                        _ => DIM,
                    };
                    line(text, &format!("      {}", paint(style, changed)));
                }
            }
        }
    }
}

pub(super) fn undone(text: &mut String, undo: &UndoReport) {
    title(
        text,
        if undo.restored.is_empty() && undo.kept.is_empty() && undo.failed.is_empty() {
            "Nothing to undo"
        } else {
            "Put back"
        },
    );
    for restored in &undo.restored {
        line(text, &format!("  {} {restored}", style::mark(marks::RESTORED)));
    }
    for kept in &undo.kept {
        line(text, &format!("  {} kept {}: {}", style::mark(marks::CARE), kept.what, kept.why));
        line(text, &format!("      {}", kept.manual));
    }
    for failed in &undo.failed {
        line(text, &format!("  {} {failed}", style::mark(marks::BAD)));
    }
}

pub(super) fn verified(text: &mut String, verification: &Verification) {
    title(text, "Verified");
    levels(text, &verification.levels);
    if !verification.workers.is_empty() {
        line(text, "");
        text.push_str(&workers(&verification.workers, usize::MAX));
        if let Some(lost) = verification.lost_at_stop {
            line(text, &format!("  at SIGTERM {lost} of the last requests' spans were lost"));
        }
    }
}

/// What an endpoint answered, and what helps when it did not accept.
#[must_use]
pub fn answered(level: &LevelReport) -> String {
    let mut text = String::new();
    line(&mut text, &format!("  {} {}", style::outcome(level.outcome), level.detail));
    remedy(&mut text, level);
    text
}

fn remedy(text: &mut String, level: &LevelReport) {
    let to_mend = matches!(level.outcome, Outcome::Fail | Outcome::Warn | Outcome::Unknown);
    for remedy in level.remedy.iter().filter(|_| to_mend) {
        line(text, &format!("      {} {remedy}", paint(TITLE, "hint:")));
    }
}

/// Levels of verification, each with what helps when it was not reached.
pub fn levels(text: &mut String, levels: &[LevelReport]) {
    for level in levels {
        let name = level_name(level.level);
        let latency = level.latency_ms.map(|ms| paint(DIM, format!("  {ms} ms"))).unwrap_or_default();
        line(
            text,
            &format!("  {} {name:<9} {}{latency}", style::outcome(level.outcome), level.detail),
        );
        remedy(text, level);
        if let Some(trace) = &level.trace_id {
            line(text, &format!("      {}", paint(DIM, format!("trace {trace}"))));
        }
    }
}

/// The name of a level.
pub(super) const fn level_name(level: Level) -> &'static str {
    match level {
        Level::Endpoint => "endpoint",
        Level::Python => "python",
        Level::Workers => "workers",
        Level::Stored => "stored",
    }
}

/// What deserves a word.
pub(super) fn look_at(text: &mut String, warnings: &[String]) {
    if warnings.is_empty() {
        return;
    }
    title(text, "Look at");
    for warning in warnings {
        line(text, &format!("  {} {warning}", style::mark(marks::CARE)));
    }
}

/// The table of worker processes, in at most `width` columns where that is possible: the server's name is what can be missed.
#[must_use]
pub fn workers(rows: &[WorkerRow], width: usize) -> String {
    const WHOLE: usize = 64;
    let server = |name: &str| if width < WHOLE { String::new() } else { format!(" {name:<10}") };
    let mut text = String::new();
    let header = format!(
        "  {:<8}{} {:>8} {:>8} {:>8} {:>6} {:>6}",
        "worker",
        server("server"),
        "requests",
        "spans",
        "unique",
        "lost",
        "twice"
    );
    line(&mut text, &paint(TITLE, header));
    let total = WorkerRow {
        requests: rows.iter().map(|row| row.requests).sum(),
        spans: rows.iter().map(|row| row.spans).sum(),
        unique_spans: rows.iter().map(|row| row.unique_spans).sum(),
        lost: rows.iter().map(|row| row.lost).sum(),
        duplicated: rows.iter().map(|row| row.duplicated).sum(),
        ..WorkerRow::default()
    };
    for (name, row) in rows
        .iter()
        .map(|row| (row.pid.to_string(), row))
        .chain([("total".to_owned(), &total)])
    {
        let bad = |count: u64| {
            let cell = format!("{count:>6}");
            if count == 0 { cell } else { paint(BAD, cell) }
        };
        line(
            &mut text,
            &format!(
                "  {name:<8}{} {:>8} {:>8} {:>8} {} {}",
                server(&row.server),
                row.requests,
                row.spans,
                row.unique_spans,
                bad(row.lost),
                bad(row.duplicated)
            ),
        );
    }
    text
}

/// Breaks long lines between words for a terminal; what continues a line is indented below it.
#[must_use]
pub fn wrap(text: &str, width: usize) -> String {
    text.split_inclusive('\n')
        .map(|line| {
            let body = line.trim_end_matches('\n');
            let indent = body.len() - body.trim_start().len();
            let further = " ".repeat(indent + 4);
            let options = textwrap::Options::new(width.max(40)).subsequent_indent(&further).break_words(false);
            let mut wrapped = textwrap::fill(body, options);
            wrapped.push_str(&line[body.len()..]);
            wrapped
        })
        .collect()
}

fn title(text: &mut String, words: &str) {
    if !text.is_empty() {
        text.push('\n');
    }
    line(text, &paint(TITLE, words));
}

fn line(text: &mut String, words: &str) {
    text.push_str(words);
    text.push('\n');
}
