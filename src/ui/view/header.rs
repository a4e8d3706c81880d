//! The first two rows: the program, the project, and where in the way from detection to report we are.

use super::frame::{Look, rows_of};
use super::lines::{clean, shorten, wide};
use crate::error::Kind;
use crate::ui::marks::{self, Tone};
use crate::wizard::{Applying, Screen, Waiting, Wizard, Work};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

const SETUP: &[&str] = &["detect", "answer", "review", "apply", "verify", "report"];
const UNDO: &[&str] = &["detect", "undo", "report"];

/// Columns between two stations.
const GAP: usize = 3;

/// Columns that the project's path is worth.
const PATH: usize = 12;

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
    let whole: usize = stations.iter().map(|name| name.len() + 2).sum::<usize>() + GAP * (stations.len() - 1);
    let name = env!("CARGO_PKG_NAME");
    let mut way: Vec<Span<'static>> = Vec::new();
    // Columns of the way at which the present station begins and ends.
    let mut under = (0, 0);
    if whole + name.len() + 2 + PATH + 6 <= width {
        let mut at = 0;
        for (index, station) in stations.iter().enumerate() {
            if index > 0 {
                way.push(Span::raw(" ".repeat(GAP)));
                at += GAP;
            }
            let begin = at;
            if index < here {
                way.push(theme.mark(marks::GOOD));
                way.push(Span::raw(" "));
                at += 2;
            }
            let tone = match index.cmp(&here) {
                std::cmp::Ordering::Less => Tone::Plain,
                std::cmp::Ordering::Equal => Tone::Accent,
                std::cmp::Ordering::Greater => Tone::Quiet,
            };
            way.push(theme.say(tone, station));
            at += station.len();
            if index == here {
                under = (begin, at);
            }
        }
    } else {
        let station = stations[here];
        let count = format!("{} of {}  ", here + 1, stations.len());
        under = (count.len(), count.len() + station.len());
        way.push(theme.say(Tone::Quiet, count));
        way.push(theme.say(Tone::Accent, station));
    }
    let way_width = super::lines::width_of(&way);
    let start = width.saturating_sub(way_width + 2);
    let left = name.len() + 4;
    let path = shorten(&clean(&look.wizard.options.project), start.saturating_sub(left + 2));
    let program = vec![theme.say(Tone::Title, name), Span::raw("  "), theme.say(Tone::Quiet, path)];
    buffer.set_line(sheet.x + 2, sheet.y, &Line::from(program), rows_of(start.saturating_sub(2)));
    buffer.set_line(sheet.x + rows_of(start), sheet.y, &Line::from(way), rows_of(way_width));

    let rule = "─".repeat(width);
    buffer.set_string(sheet.x, sheet.y + 1, &rule, theme.style(Tone::Quiet));
    let thick = "━".repeat(under.1 - under.0);
    buffer.set_string(sheet.x + rows_of(start + under.0), sheet.y + 1, thick, theme.style(Tone::Accent));
    debug_assert!(wide(name) == name.len());
}
