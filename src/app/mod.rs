//! Composition: one pipeline, detect → answers → plan → apply → verify → report, and the modes made of its parts.
//!
//! Nobody imports this module.

mod answers;
mod check;
mod demo;
mod explain;
mod guided;
mod pipeline;
mod plain;
mod refusals;
mod rehearse;
mod setup;
mod tap;
mod undo;
mod words;

use crate::cli::{Cli, When};
use crate::domain::report::{ErrorReport, Outcome, Report, RunOutcome};
use crate::error::{Error, Kind, Result};
use crate::system::System;
use crate::system::files::open_private;
use crate::ui::progress::{self, Manner, Progress};
use crate::ui::style;
use crate::ui::text;
use crate::wizard::SMALLEST;
use clap::{CommandFactory, Parser};
use std::ffi::OsString;
use std::io::{IsTerminal, Write};
use std::sync::Mutex;

/// What every mode gets.
struct Context {
    cli: Cli,
    system: System,
    progress: Progress,
    front: FrontEnd,
}

/// Runs the program; returns its exit code.
pub fn run(arguments: impl IntoIterator<Item = OsString>, system: System) -> u8 {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let cli = match Cli::try_parse_from(&arguments) {
        Ok(cli) => cli,
        Err(error) => return usage(&error, &arguments),
    };
    match cli.color {
        When::Auto => {}
        When::Always => anstream::ColorChoice::Always.write_global(),
        When::Never => anstream::ColorChoice::Never.write_global(),
    }
    if let Some(shell) = cli.completions {
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut Cli::command(), "signoz-setup", &mut script);
        // A reader such as `head` may close the pipe early.
        let _ = std::io::stdout().write_all(&script);
        return 0;
    }
    let json = cli.wants_json();
    let (strict, verbose) = (cli.strict, cli.verbose);
    let mode = mode(&cli);
    let outcome = log_to_file(&cli).and_then(|()| {
        let front = FrontEnd::choose(&cli, &system);
        if front == FrontEnd::Lines && spare(&system) {
            style::say_marks();
            if cli.color == When::Auto {
                anstream::ColorChoice::Never.write_global();
            }
        }
        let manner = match front {
            FrontEnd::Full => Manner::Silent,
            FrontEnd::Prompts if std::io::stderr().is_terminal() => Manner::Live,
            FrontEnd::Prompts | FrontEnd::Lines => Manner::Lines,
        };
        let progress = Progress::start(manner, cli.verbose);
        let context = Context {
            cli,
            system,
            progress,
            front,
        };
        let report = dispatch(&context);
        // The moving line is cleared before anything is printed below it.
        drop(context);
        report
    });
    let mut report = match outcome {
        Ok(report) => report,
        Err(error) => failed(mode, &error),
    };
    settle(&mut report, strict);
    match print(&report, json, verbose) {
        Ok(()) => report.exit_code,
        // Whoever closed the pipe knows that the rest is missing.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => report.exit_code,
        Err(error) => {
            let _ = writeln!(anstream::stderr(), "error: the report could not be written: {error}");
            report.exit_code.max(Kind::Failed.exit_code())
        }
    }
}

/// How the program talks to the person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FrontEnd {
    /// The full screen; only guided set-up has one.
    Full,
    /// Prompts and progress that redraw their own lines.
    Prompts,
    /// Lines that nothing ever changes: for pipes, plain terminals and screen readers.
    Lines,
}

/// Whether nothing but plain lines may be written: a terminal that can do no more, or a person who asked for it.
fn spare(system: &System) -> bool {
    system.var("TERM") == Some("dumb") || system.var("ACCESSIBLE").is_some()
}

impl FrontEnd {
    fn choose(cli: &Cli, system: &System) -> Self {
        if spare(system) || !std::io::stderr().is_terminal() {
            return Self::Lines;
        }
        let guided = mode(cli) == "setup" && !cli.yes;
        // Answers come from a pipe or a file: prompts need somebody at a keyboard.
        if guided && !std::io::stdin().is_terminal() {
            return Self::Lines;
        }
        let terminal = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
        let fits = || crossterm::terminal::size().is_ok_and(|(columns, rows)| columns >= SMALLEST.0 && rows >= SMALLEST.1);
        if cli.plain {
            // As before there were prompts: without redrawing, unless it asks.
            return if guided { Self::Prompts } else { Self::Lines };
        }
        if guided && terminal && !cli.json && fits() {
            Self::Full
        } else {
            Self::Prompts
        }
    }
}

const fn mode(cli: &Cli) -> &'static str {
    if cli.check {
        "check"
    } else if cli.rehearse {
        "rehearse"
    } else if cli.tap {
        "tap"
    } else if cli.demo {
        "demo"
    } else if cli.undo {
        "undo"
    } else if cli.explain.is_some() {
        "explain"
    } else if cli.dry_run {
        "dry-run"
    } else {
        "setup"
    }
}

fn dispatch(context: &Context) -> Result<Report> {
    match mode(&context.cli) {
        "check" => check::run(context),
        "rehearse" => rehearse::run(context),
        "tap" => tap::run(context),
        "demo" => demo::run(context),
        "undo" => undo::run(context),
        "explain" => explain::run(context),
        _ => setup::run(context),
    }
}

/// A report for a run that ended with an error.
fn failed(mode: &'static str, error: &Error) -> Report {
    let mut report = Report::new(mode);
    refuse(&mut report, error);
    report
}

/// Puts an error into a report that already holds what was found before it.
fn refuse(report: &mut Report, error: &Error) {
    report.exit_code = error.kind.exit_code();
    report.outcome = match error.kind {
        Kind::Failed | Kind::StepFailed => RunOutcome::Failed,
        Kind::Usage | Kind::Refused => RunOutcome::Refused,
        Kind::Interrupted(_) => RunOutcome::Interrupted,
    };
    report.error = Some(ErrorReport {
        what: error.what.clone(),
        why: error.why.clone(),
        remedies: error.remedies.clone(),
    });
}

/// Derives outcome and exit code from what was seen, where no error has set them.
fn settle(report: &mut Report, strict: bool) {
    if report.exit_code != 0 {
        return;
    }
    let levels = report.verification.iter().flat_map(|verification| &verification.levels);
    let seen = |wanted: Outcome| levels.clone().any(|level| level.outcome == wanted);
    let found = report.summary.unwrap_or_default();
    if seen(Outcome::Fail) || seen(Outcome::Unknown) || found.fail > 0 {
        report.outcome = RunOutcome::Failed;
        report.exit_code = 1;
    } else if seen(Outcome::Warn) || !report.warnings.is_empty() || found.warn + found.unknown > 0 {
        report.outcome = RunOutcome::Warnings;
        report.exit_code = u8::from(strict);
    }
}

/// Prints the report; a document that could not be written must not look like success to a script.
fn print(report: &Report, json: bool, whole: bool) -> std::io::Result<()> {
    let mut stdout = anstream::stdout();
    if json {
        let document = serde_json::to_string_pretty(report)?;
        writeln!(stdout, "{document}")?;
        return stdout.flush();
    }
    let known =
        report.plan.is_some() || report.summary.is_some() || report.environment.is_some() || report.tap.is_some() || report.undo.is_some();
    if report.error.is_none() || known {
        let text = text::report(report, whole);
        // A diff is shown as it is, and so is everything that goes into a file or pipe.
        let wrapped = std::io::stdout().is_terminal() && report.mode != "dry-run";
        let shown = if wrapped { text::wrap(&text, progress::width()) } else { text };
        write!(stdout, "{shown}")?;
        stdout.flush()?;
    }
    if let Some(error) = &report.error {
        writeln!(anstream::stderr(), "{}", text::error(error))?;
    }
    Ok(())
}

/// Usage errors are clap's words; with `--json` they are still exactly one document.
fn usage(error: &clap::Error, arguments: &[OsString]) -> u8 {
    let json = arguments
        .iter()
        .take_while(|argument| *argument != "--")
        .any(|argument| argument == "--json");
    if json && error.use_stderr() {
        let words = error.render().to_string();
        let what = words.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned();
        let _ = print(
            &failed("usage", &Error::usage(what).remedy("run `signoz-setup --help` for the flags")),
            true,
            false,
        );
    } else {
        let _ = error.print();
    }
    if error.use_stderr() { Kind::Usage.exit_code() } else { 0 }
}

fn log_to_file(cli: &Cli) -> Result<()> {
    let Some(path) = &cli.log_file else { return Ok(()) };
    let file = open_private(path)
        .map_err(|error| Error::io(Kind::Usage, "open the log file", path, &error).remedy("choose another --log-file"))?;
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_max_level(tracing::Level::DEBUG)
        .with_writer(Mutex::new(file))
        .finish();
    // A library's own debug lines may carry request headers: only this program's are kept.
    let ours = tracing_subscriber::filter::Targets::new().with_target("signoz_setup", tracing::Level::DEBUG);
    use tracing_subscriber::layer::SubscriberExt;
    let _ = tracing::subscriber::set_global_default(subscriber.with(ours));
    tracing::info!(version = env!("CARGO_PKG_VERSION"), "started");
    Ok(())
}
