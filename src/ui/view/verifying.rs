//! Spans are sent and counted: stages as they pass, the levels with those that were not run, the worker table, a trace.

use super::frame::{Look, Page};
use super::lines::{Row, wide, wrap};
use super::{painted, stages, trace};
use crate::domain::report::{Level, LevelReport, Outcome, Verification};
use crate::ui::marks::{self, Tone};
use crate::ui::text;
use crate::wizard::Verifying;
use ratatui::text::{Line, Span};

/// Columns of the levels' names.
const NAME: usize = 9;

/// Log lines below the worker table.
const LOG: usize = 5;

/// The screen.
pub(super) fn page(look: &Look<'_>, verifying: Verifying) -> Page {
    match verifying {
        Verifying::Sending => sending(look),
        Verifying::Offer => offer(look),
        Verifying::Rehearsing => rehearsing(look),
        Verifying::Done => done(look),
    }
}

fn sending(look: &Look<'_>) -> Page {
    let width = look.text_width();
    let mut page = Page::default();
    page.top.push(look.theme.row(Tone::Title, "Sending a span"));
    page.top.push(Row::default());
    page.long = stages::rows(look, width, look.height.saturating_sub(2));
    if page.long.is_empty() {
        page.long = look.marked(look.spinner(), Tone::Plain, "beginning", width);
    }
    page
}

fn offer(look: &Look<'_>) -> Page {
    let theme = look.theme;
    let mut page = Page::default();
    if let Some(verification) = &look.wizard.report.verification {
        page.top.push(headline(look, verification));
        page.top.push(Row::default());
        page.long = levels(look, &verification.levels, look.text_width());
    }
    let mut rows = vec![Row::default(), look.rule("One proof is left: the app itself", "", look.width)];
    rows.extend(wrap(
        theme.row(Tone::Plain, "start it once, send it requests, and count what each worker sends?"),
        look.width,
        0,
    ));
    if let Some(launch) = &look.wizard.report.launch {
        rows.extend(wrap(
            Line::from(vec![theme.say(Tone::Quiet, "$ "), theme.say(Tone::Title, &launch.command)]),
            look.width,
            4,
        ));
    }
    rows.extend(wrap(
        theme.row(
            Tone::Quiet,
            "on a free port of this machine; its spans go to a receiver inside this program, none to SigNoz",
        ),
        look.width,
        0,
    ));
    page.bottom = rows;
    page.near = true;
    page
}

fn rehearsing(look: &Look<'_>) -> Page {
    let theme = look.theme;
    let width = look.text_width();
    let live = &look.wizard.live;
    let mut page = Page::default();
    page.top.push(theme.row(Tone::Title, "Rehearsing the app"));
    page.top.push(Row::default());
    let now = live.stages.last().map_or("beginning", |stage| stage.title.as_str());
    page.top.extend(look.marked(look.spinner(), Tone::Plain, now, width));
    page.top.push(Row::default());
    page.long = if live.workers.is_empty() {
        vec![theme.row(Tone::Quiet, "no worker has answered yet")]
    } else {
        painted::rows(theme, &text::workers(&live.workers, width), width)
    };
    let room = look.height.saturating_sub(page.top.len() + page.long.len() + 2).min(LOG);
    let log: Vec<Row> = live
        .log
        .iter()
        .rev()
        .take(room)
        .map(|line| theme.row(Tone::Quiet, super::lines::cut(&super::lines::clean(line), width)))
        .collect();
    if !log.is_empty() {
        page.bottom.push(Row::default());
        page.bottom.push(look.rule("Log", "", look.width));
        page.bottom.extend(log.into_iter().rev());
    }
    page
}

fn done(look: &Look<'_>) -> Page {
    let mut page = Page::default();
    if let Some(verification) = &look.wizard.report.verification {
        page.top.push(headline(look, verification));
        page.top.push(Row::default());
        page.long = seen(look, verification, look.text_width());
    } else {
        page.top.push(look.theme.row(Tone::Title, "nothing was verified"));
    }
    page
}

/// The levels, the worker table and the trace.
pub(super) fn seen(look: &Look<'_>, verification: &Verification, width: usize) -> Vec<Row> {
    let theme = look.theme;
    let mut rows = levels(look, &verification.levels, width);
    if !verification.workers.is_empty() {
        rows.push(Row::default());
        rows.extend(painted::rows(theme, &text::workers(&verification.workers, width), width));
        if let Some(lost) = verification.lost_at_stop {
            let mark = if lost == 0 { marks::GOOD } else { marks::CARE };
            rows.extend(look.marked(
                mark,
                Tone::Quiet,
                format!("at SIGTERM {lost} of the last requests' spans were lost"),
                width,
            ));
        }
    }
    if !verification.trace.is_empty() {
        rows.push(Row::default());
        rows.push(look.rule("The fullest trace that the rehearsal received", "", width));
        rows.extend(trace::rows(look, &verification.trace, width));
    }
    rows
}

/// What was seen, in one line. Accepted is never called stored.
pub(super) fn headline(look: &Look<'_>, verification: &Verification) -> Row {
    let theme = look.theme;
    let levels = &verification.levels;
    let count = |outcome| levels.iter().filter(|level| level.outcome == outcome).count();
    let (failed, unknown, skipped) = (count(Outcome::Fail), count(Outcome::Unknown), count(Outcome::Skip));
    let stored = levels
        .iter()
        .any(|level| level.level == Level::Stored && level.outcome == Outcome::Pass);
    let (mark, words) = match (failed + unknown, levels.len() - skipped) {
        (0, 0) => (marks::NONE, "nothing was verified".to_owned()),
        (0, _) if stored => (marks::GOOD, "a span was sent, accepted and read back".to_owned()),
        (0, _) => (marks::GOOD, "a span was sent and accepted".to_owned()),
        (_, run) => (marks::BAD, format!("{} of {run} checks did not pass", failed + unknown)),
    };
    let mut spans = vec![theme.mark(mark), Span::raw(" "), theme.say(Tone::Title, words)];
    if skipped > 0 && skipped < levels.len() {
        spans.push(theme.say(Tone::Quiet, format!("  {skipped} of {} levels not run", levels.len())));
    }
    Line::from(spans)
}

/// The levels, each with its trace or with what helps.
pub(super) fn levels(look: &Look<'_>, levels: &[LevelReport], width: usize) -> Vec<Row> {
    let theme = look.theme;
    let mut rows = Vec::new();
    for level in levels {
        let tone = if level.outcome == Outcome::Skip { Tone::Quiet } else { Tone::Plain };
        let mut words = vec![
            theme.mark(marks::outcome(level.outcome)),
            Span::raw(" "),
            theme.say(Tone::Title, format!("{:<NAME$}", text::level_name(level.level))),
            Span::raw(" "),
            theme.say(tone, &level.detail),
        ];
        // Some sentences say it already.
        if let Some(ms) = level.latency_ms.filter(|ms| !level.detail.ends_with(&format!(" {ms} ms"))) {
            words.push(theme.say(Tone::Quiet, format!("  {ms} ms")));
        }
        rows.extend(wrap(Line::from(words), width, NAME + 3));
        let indent = " ".repeat(NAME + 3);
        let mend = matches!(level.outcome, Outcome::Fail | Outcome::Warn | Outcome::Unknown);
        if mend {
            // Where it stopped tells more than the sentence alone.
            let stopped = level
                .stages
                .iter()
                .filter(|stage| stage.outcome != Outcome::Pass && stage.outcome != Outcome::Skip);
            for stage in stopped.filter(|stage| !stage.detail.is_empty() && stage.detail != level.detail) {
                let words = vec![
                    Span::raw(indent.clone()),
                    theme.mark(marks::outcome(stage.outcome)),
                    theme.say(Tone::Plain, format!(" {}  {}", stage.name, stage.detail)),
                ];
                rows.extend(wrap(Line::from(words), width, NAME + 5));
            }
            if let Some(remedy) = &level.remedy {
                let words = vec![
                    Span::raw(indent.clone()),
                    theme.say(Tone::Title, "hint: "),
                    theme.say(Tone::Plain, remedy),
                ];
                rows.extend(wrap(Line::from(words), width, NAME + 5));
            }
        }
        if let Some(trace) = &level.trace_id {
            rows.extend(wrap(theme.row(Tone::Quiet, format!("{indent}trace {trace}")), width, NAME + 5));
        }
    }
    debug_assert!(rows.iter().all(|row| wide(&row.to_string()) <= width));
    rows
}
