//! Steps at work: how far each is, and what the tools print meanwhile.

use super::frame::{Look, bar, put, rows_of};
use super::lines::{Row, wrap};
use super::{review, stages};
use crate::domain::StepState;
use crate::domain::report::StepRow;
use crate::ui::marks::{self, Tone};
use crate::wizard::{Applying, Work};
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

/// Columns of the list of steps beside the log.
const LIST: usize = 50;

/// Draws the screen; returns how far the log can be scrolled back.
pub(super) fn draw(look: &Look<'_>, applying: Applying, area: Rect, frame: &mut Frame) -> usize {
    let undoing = applying.work == Work::Undo;
    let steps: &[StepRow] = match &look.wizard.report.plan {
        Some(plan) if !undoing => &plan.steps,
        _ => &[],
    };
    let mut top = vec![heading(look, applying, steps)];
    if look.roomy() {
        top.push(Row::default());
    }
    let question = question(look, applying);
    let height = rows_of(top.len());
    put(&top, 0, Rect { height, ..area }, frame.buffer_mut());
    let below = rows_of(question.len());
    let rest = Rect {
        y: area.y + height,
        height: area.height.saturating_sub(height + below),
        ..area
    };
    let under = Rect {
        y: rest.bottom(),
        height: area.bottom().saturating_sub(rest.bottom()),
        ..area
    };
    put(&question, 0, under, frame.buffer_mut());

    let beside = look.wide();
    let list_width = if beside { LIST } else { look.width };
    let mut list: Vec<Row> = steps.iter().map(|step| line(look, step, list_width)).collect();
    let running = steps
        .iter()
        .position(|step| step.state == StepState::Started)
        .or_else(|| steps.iter().position(|step| step.state == StepState::Pending));
    if undoing {
        list = stages::rows(look, list_width, usize::from(rest.height / 2));
        if list.is_empty() {
            list = look.marked(look.spinner(), Tone::Plain, "looking for what set-up changed here", list_width);
        }
    }
    let [above, log] = if beside {
        let width = rows_of(LIST);
        [
            Rect { width, ..rest },
            Rect {
                x: rest.x + width + 3,
                width: rest.width - width - 3,
                ..rest
            },
        ]
    } else {
        let wanted = rows_of(list.len()).min(rest.height.saturating_sub(4).max(3)).min(rest.height);
        [
            Rect { height: wanted, ..rest },
            Rect {
                y: rest.y + wanted,
                height: rest.height - wanted,
                ..rest
            },
        ]
    };
    let room = usize::from(above.height);
    let limit = list.len().saturating_sub(room);
    let first = running.unwrap_or(list.len()).saturating_sub(room / 2).min(limit);
    put(&list, first, above, frame.buffer_mut());
    bar(look.theme, first, limit, above, frame.buffer_mut());
    draw_log(look, log, frame)
}

fn heading(look: &Look<'_>, applying: Applying, steps: &[StepRow]) -> Row {
    let theme = look.theme;
    let words = if applying.stopping || applying.work == Work::Undo {
        "Putting everything back".to_owned()
    } else {
        "Applying the plan".to_owned()
    };
    let mut spans = vec![theme.say(Tone::Title, words)];
    if !steps.is_empty() && !applying.stopping {
        let wanted = steps.iter().filter(|step| step.state != StepState::Satisfied).count();
        let done = steps.iter().filter(|step| step.state == StepState::Applied).count();
        spans.push(theme.say(Tone::Quiet, format!("  {done} of {wanted} done")));
    }
    Line::from(spans)
}

/// Whether to stop, and what happens then.
fn question(look: &Look<'_>, applying: Applying) -> Vec<Row> {
    // While the program leaves, that is said over the screen.
    if look.wizard.is_leaving() {
        return Vec::new();
    }
    let (mark, words) = if applying.stopping {
        (
            look.spinner(),
            "putting back what was changed; the plan is shown again when that is done",
        )
    } else if applying.asked_to_stop && applying.work == Work::Undo {
        (marks::CARE, "stop? esc again ends it; undo can be run again at any time")
    } else if applying.asked_to_stop {
        (marks::CARE, "stop? esc again puts back what was changed, any other key goes on")
    } else {
        return Vec::new();
    };
    let mut rows = vec![Row::default()];
    rows.extend(look.marked(mark, Tone::Title, words, look.width));
    rows
}

fn line(look: &Look<'_>, step: &StepRow, width: usize) -> Row {
    let took = step
        .duration_ms
        .filter(|_| step.state == StepState::Applied)
        .map(|ms| super::trace::length_of(ms.saturating_mul(1_000)));
    let room = took.as_ref().map_or(0, |took| took.len() + 2);
    let mut row = review::line(look, step, false, width.saturating_sub(room + 2));
    // The list has no chosen line, so its first columns are the marks'.
    row.spans.remove(0);
    if let Some(took) = took {
        row.spans.push(look.theme.say(Tone::Quiet, format!("  {took}")));
    }
    row
}

/// The last lines of the log; scrolled back from its end.
fn draw_log(look: &Look<'_>, area: Rect, frame: &mut Frame) -> usize {
    if area.height < 2 || area.width < 10 {
        return 0;
    }
    let theme = look.theme;
    let width = usize::from(area.width);
    let rows: Vec<Row> = look
        .wizard
        .live
        .log
        .iter()
        .flat_map(|text| wrap(theme.row(Tone::Quiet, text), width - 2, 2))
        .collect();
    let room = usize::from(area.height) - 1;
    let limit = rows.len().saturating_sub(room);
    let back = look.wizard.scroll.min(limit);
    let right = if back > 0 { format!("{back} lines below") } else { String::new() };
    put(&[look.rule("Log", &right, width)], 0, area, frame.buffer_mut());
    let below = Rect {
        y: area.y + 1,
        height: area.height - 1,
        ..area
    };
    if rows.is_empty() {
        let none = vec![Line::from(vec![Span::raw(""), theme.say(Tone::Quiet, "nothing was printed yet")])];
        put(&none, 0, below, frame.buffer_mut());
        return 0;
    }
    put(&rows, limit - back, below, frame.buffer_mut());
    bar(theme, limit - back, limit, below, frame.buffer_mut());
    limit
}
