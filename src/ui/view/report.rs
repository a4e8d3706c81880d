//! The end: what to do next, what was seen and what was not, what was changed. The words are those of the text report.

use super::frame::{Look, Page};
use super::lines::{Row, wrap};
use super::{painted, verifying};
use crate::domain::StepState;
use crate::domain::report::{Report, RunOutcome};
use crate::ui::marks::{self, Tone};
use crate::ui::text;
use ratatui::text::{Line, Span};

/// The screen.
pub(super) fn page(look: &Look<'_>) -> Page {
    let report = &look.wizard.report;
    let theme = look.theme;
    let width = look.text_width();
    let mut page = Page::default();
    if look.wizard.is_busy() && report.verification.is_none() && report.undo.is_none() {
        page.top = look.marked(look.spinner(), Tone::Title, "writing the report", width);
        return page;
    }
    page.top.push(headline(look, report));
    if let Some(verification) = report.verification.as_ref().filter(|_| report.undo.is_none()) {
        page.top.push(verifying::headline(look, verification));
    }
    page.top.push(Row::default());
    let rows = &mut page.long;
    let failed = report.outcome == RunOutcome::Failed;
    if !failed {
        next(look, &report.next, width, rows);
    }
    if let Some(verification) = &report.verification {
        section(look, rows, "What was seen, and what was not");
        rows.extend(verifying::seen(look, verification, width));
    }
    // What went wrong is mended first.
    if failed {
        next(look, &report.next, width, rows);
    }
    let mut words = String::new();
    if let Some(undo) = &report.undo {
        text::undone(&mut words, undo);
    }
    if let Some(plan) = &report.plan {
        text::steps(&mut words, &plan.steps, false);
    }
    text::look_at(&mut words, &report.warnings);
    text::coverage(&mut words, &report.coverage);
    if !words.is_empty() {
        if !rows.is_empty() {
            rows.push(Row::default());
        }
        rows.extend(painted::rows(theme, &words, width));
    }
    page
}

fn section(look: &Look<'_>, rows: &mut Vec<Row>, title: &str) {
    if !rows.is_empty() {
        rows.push(Row::default());
    }
    rows.push(look.theme.row(Tone::Title, title));
}

fn headline(look: &Look<'_>, report: &Report) -> Row {
    let theme = look.theme;
    if let Some(undo) = &report.undo {
        let left = undo.kept.len() + undo.failed.len();
        let (mark, words) = match (undo.restored.len(), left) {
            (0, 0) => (marks::NONE, "there was nothing to put back".to_owned()),
            (_, 0) => (marks::GOOD, "everything is put back".to_owned()),
            (_, left) => (marks::CARE, format!("put back, except for {left} that you see below")),
        };
        return Line::from(vec![theme.mark(mark), Span::raw(" "), theme.say(Tone::Title, words)]);
    }
    let applied = report
        .plan
        .iter()
        .flat_map(|plan| &plan.steps)
        .any(|step| step.state == StepState::Applied);
    let name = super::lines::cut(&super::lines::clean(&look.wizard.interview.folder), look.width / 3);
    let state = if applied {
        format!("{name} is set up")
    } else {
        format!("{name} was set up already")
    };
    let (mark, words) = match report.outcome {
        RunOutcome::Ok => (marks::GOOD, state),
        RunOutcome::Warnings => (marks::CARE, format!("{state}, with something to look at")),
        RunOutcome::Failed => (marks::BAD, format!("{state}, and not everything works")),
        RunOutcome::Refused => (marks::BAD, "nothing was changed".to_owned()),
        RunOutcome::Interrupted => (marks::BAD, "interrupted".to_owned()),
    };
    Line::from(vec![theme.mark(mark), Span::raw(" "), theme.say(Tone::Title, words)])
}

/// What to do next; what can be pasted stands out.
fn next(look: &Look<'_>, next: &[String], width: usize, rows: &mut Vec<Row>) {
    if next.is_empty() {
        return;
    }
    section(look, rows, "Next");
    for step in next {
        let mut spans = vec![Span::raw("  ")];
        match step.split_once(": ") {
            Some((words, command)) => {
                spans.push(look.theme.say(Tone::Plain, format!("{words}: ")));
                spans.push(look.theme.say(Tone::Accent, command));
            }
            None => spans.push(look.theme.say(Tone::Plain, step)),
        }
        rows.extend(wrap(Line::from(spans), width, 6));
    }
}
