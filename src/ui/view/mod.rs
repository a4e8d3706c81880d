//! The full screen: a picture of the wizard, drawn anew each time.
//!
//! A pure function of the wizard and the theme; may never decide, remember, read a clock or show a key.

mod applying;
mod ask;
mod footer;
mod frame;
mod header;
mod lines;
mod overlay;
mod painted;
mod problem;
mod report;
mod review;
mod sets;
mod stages;
mod trace;
mod verifying;
mod waiting;
mod welcome;

use super::theme::Theme;
use crate::wizard::{SMALLEST, Screen, Wizard};
use frame::Look;
use ratatui::Frame;
use ratatui::layout::Rect;

/// Columns beyond which lines are no longer read with pleasure.
const WIDEST: u16 = 120;

/// Rows from which the screen has room for empty ones.
const ROOMY: u16 = 20;

/// Draws the wizard; returns by how many lines the long part of the screen can be scrolled.
pub fn draw(wizard: &Wizard, theme: &Theme, frame: &mut Frame) -> usize {
    let window = frame.area();
    // The window may have changed since the wizard last heard of it.
    if wizard.is_too_small() || window.width < SMALLEST.0 || window.height < SMALLEST.1 {
        overlay::too_small(*theme, frame);
        theme.settle(frame.buffer_mut());
        return 0;
    }
    let width = window.width.min(WIDEST);
    let sheet = Rect {
        x: window.x + (window.width - width) / 2,
        width,
        ..window
    };
    let air = u16::from(sheet.height >= ROOMY);
    let body = Rect {
        x: sheet.x + 2,
        y: sheet.y + 2 + air,
        width: sheet.width - 4,
        height: sheet.height - 3 - 2 * air,
    };
    let look = Look {
        wizard,
        theme: *theme,
        width: usize::from(body.width),
        height: usize::from(body.height),
    };
    header::draw(&look, sheet, frame.buffer_mut());
    let limit = match &wizard.screen {
        Screen::Welcome(line) => welcome::page(&look, *line).draw(&look, body, frame),
        Screen::Ask(ask) if ask.question.id == "instrumentation" => sets::page(&look, ask).draw(&look, body, frame),
        Screen::Ask(ask) => ask::page(&look, ask).draw(&look, body, frame),
        Screen::Waiting(waiting) => waiting::page(&look, *waiting).draw(&look, body, frame),
        Screen::Problem(error) => problem::page(&look, error).draw(&look, body, frame),
        Screen::Review(review) => review::draw(&look, *review, body, frame),
        Screen::Applying(applying) => applying::draw(&look, *applying, body, frame),
        Screen::Verifying(verifying) => verifying::page(&look, *verifying).draw(&look, body, frame),
        Screen::Report => report::page(&look).draw(&look, body, frame),
    };
    footer::draw(&look, limit, sheet, frame.buffer_mut());
    if wizard.is_leaving() {
        overlay::leaving(&look, sheet, frame.buffer_mut());
    } else if wizard.help {
        overlay::help(&look, limit, sheet, frame.buffer_mut());
    }
    theme.settle(frame.buffer_mut());
    limit
}
