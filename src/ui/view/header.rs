//! The first two rows: the program, the project, and where in the way from detection to report we are.

use super::frame::{Look, rows_of};
use super::lines::{clean, shorten, width_of};
use crate::error::Kind;
use crate::ui::marks::Tone;
use crate::wizard::{Applying, Screen, Waiting, Wizard, Work};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use std::cmp::Ordering;

const SETUP: &[&str] = &["detect", "answer", "review", "apply", "verify", "report"];
const UNDO: &[&str] = &["detect", "undo", "report"];

/// Columns between two stations.
const GAP: usize = 3;

/// Columns that the project's path is worth.
const PATH: usize = 10;

/// The stations, and the one where we are.
fn place(wizard: &Wizard) -> (&'static [&'static str], usize) {
    let undoing = wizard.report.mode == "undo" || (wizard.report.undo.is_some() && wizard.report.plan.is_none());
    match &wizard.screen {
        Screen::Welcome(_) => (SETUP, 0),
        Screen::Ask(_) | Screen::Waiting(Waiting::Region) => (SETUP, 1),
        Screen::Waiting(Waiting::Plan) | Screen::Review(_) => (SETUP, 2),
        Screen::Problem(_) if undoing => (UNDO, 1),
        Screen::Problem(_) if wizard.report.verification.is_some() => (SETUP, 4),
        Screen::Problem(error) if error.kind == Kind::StepFailed || wizard.report.undo.is_some() => (SETUP, 3),
        Screen::Problem(_) => (SETUP, 2),
        Screen::Applying(Applying { work: Work::Undo, .. }) => (UNDO, 1),
        Screen::Applying(_) => (SETUP, 3),
        Screen::Verifying(_) => (SETUP, 4),
        Screen::Report if undoing => (UNDO, 2),
        Screen::Report => (SETUP, 5),
    }
}

/// Draws both rows.
pub(super) fn draw(look: &Look<'_>, sheet: Rect, buffer: &mut Buffer) {
    let theme = look.theme;
    let width = usize::from(sheet.width);
    let (stations, here) = place(look.wizard);
    let whole = stations.iter().map(|name| name.len()).sum::<usize>() + GAP * (stations.len() - 1);
    let name = env!("CARGO_PKG_NAME");
    let mut way: Vec<Span<'static>> = Vec::new();
    // Columns of the way up to which it is done, and at which the present station ends.
    let (mut done, mut end) = (0, 0);
    if whole + name.len() + 2 + PATH + 4 <= width {
        let mut at = 0;
        for (index, station) in stations.iter().enumerate() {
            if index > 0 {
                way.push(Span::raw(" ".repeat(GAP)));
                at += GAP;
            }
            let tone = match index.cmp(&here) {
                Ordering::Less => Tone::Plain,
                Ordering::Equal => Tone::Accent,
                Ordering::Greater => Tone::Quiet,
            };
            way.push(theme.say(tone, station));
            if index == here {
                (done, end) = (at, at + station.len());
            }
            at += station.len();
        }
    } else {
        let count = format!("{} of {}  ", here + 1, stations.len());
        (done, end) = (count.len(), count.len() + stations[here].len());
        way.push(theme.say(Tone::Quiet, count));
        way.push(theme.say(Tone::Accent, stations[here]));
    }
    let columns = width_of(&way);
    let start = width.saturating_sub(columns + 2);
    let path = shorten(&clean(&look.wizard.options.project), start.saturating_sub(name.len() + 7));
    let program = vec![theme.say(Tone::Title, name), Span::raw("  "), theme.say(Tone::Quiet, path)];
    buffer.set_line(sheet.x + 2, sheet.y, &Line::from(program), rows_of(start.saturating_sub(2)));
    buffer.set_line(sheet.x + rows_of(start), sheet.y, &Line::from(way), rows_of(columns));

    // The rule is thick below the present station: where we are is seen without colour.
    let rule = Line::from(vec![
        theme.say(Tone::Quiet, "─".repeat(start + done)),
        theme.say(Tone::Accent, "━".repeat(end - done)),
        theme.say(Tone::Quiet, "─".repeat(width.saturating_sub(start + end))),
    ]);
    buffer.set_line(sheet.x, sheet.y + 1, &rule, sheet.width);
}
