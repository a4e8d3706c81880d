//! What lies over a screen: the keys, the wait for what is put back, and the word that the window is too small.

use super::footer;
use super::frame::{Look, put, rows_of};
use super::lines::{Row, wide, width_of, wrap};
use crate::ui::marks::Tone;
use crate::ui::theme::Theme;
use crate::wizard::SMALLEST;
use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

/// The keys that work on this screen.
pub(super) fn help(look: &Look<'_>, limit: usize, sheet: Rect, buffer: &mut Buffer) {
    let theme = look.theme;
    let keys = footer::keys(look, limit);
    let column = keys.iter().map(|key| wide(key.press)).max().unwrap_or(0);
    let mut rows: Vec<Row> = vec![theme.row(Tone::Title, "Keys"), Row::default()];
    let mut named: Vec<&str> = Vec::new();
    for key in &keys {
        // A quiet line says more of the same key.
        if named.contains(&key.press) {
            continue;
        }
        named.push(key.press);
        rows.push(Line::from(vec![
            theme.say(Tone::Title, format!("{:<column$}", key.press)),
            Span::raw("   "),
            theme.say(Tone::Plain, &key.does),
        ]));
    }
    rows.push(Row::default());
    rows.push(theme.row(Tone::Quiet, "any key closes this"));
    boxed(theme, &rows, sheet, buffer);
}

/// The end waits for what is put back.
pub(super) fn leaving(look: &Look<'_>, sheet: Rect, buffer: &mut Buffer) {
    let theme = look.theme;
    let rows = vec![
        Line::from(vec![
            theme.mark(look.spinner()),
            Span::raw(" "),
            theme.say(Tone::Title, "Putting everything back…"),
        ]),
        Row::default(),
        theme.row(Tone::Plain, "what is at work is ended, what it changed is put back,"),
        theme.row(Tone::Plain, "then the program leaves"),
    ];
    boxed(theme, &rows, sheet, buffer);
}

/// No screen fits.
pub(super) fn too_small(theme: Theme, frame: &mut Frame) {
    let area = frame.area();
    let width = usize::from(area.width);
    let words = format!(
        "{} × {} is too small: {} × {} are needed",
        area.width, area.height, SMALLEST.0, SMALLEST.1
    );
    let mut rows = wrap(theme.row(Tone::Title, words), width, 0);
    rows.extend(wrap(
        theme.row(Tone::Plain, "make the window larger, or leave with ctrl-c and use --plain"),
        width,
        0,
    ));
    put(&rows, 0, area, frame.buffer_mut());
}

/// Lines in a frame, in the middle of the screen.
fn boxed(theme: Theme, rows: &[Row], sheet: Rect, buffer: &mut Buffer) {
    let inner = rows.iter().map(|row| width_of(&row.spans)).max().unwrap_or(0);
    let width = rows_of(inner + 6).min(sheet.width);
    let height = rows_of(rows.len() + 2).min(sheet.height);
    let area = Rect {
        x: sheet.x + (sheet.width - width) / 2,
        y: sheet.y + (sheet.height - height) / 2,
        width,
        height,
    };
    clear(area, buffer);
    frame(theme, area, Tone::Accent, buffer);
    let inside = Rect {
        x: area.x + 3,
        y: area.y + 1,
        width: area.width.saturating_sub(6),
        height: area.height.saturating_sub(2),
    };
    put(rows, 0, inside, buffer);
}

/// Empties an area; a wide character that reaches into it goes as a whole.
fn clear(area: Rect, buffer: &mut Buffer) {
    for y in area.top()..area.bottom() {
        if area.x > 0
            && let Some(before) = buffer.cell_mut((area.x - 1, y))
            && wide(before.symbol()) > 1
        {
            before.reset();
        }
        for x in area.left()..area.right() {
            if let Some(cell) = buffer.cell_mut((x, y)) {
                cell.reset();
            }
        }
    }
}

/// A frame around an area.
fn frame(theme: Theme, area: Rect, tone: Tone, buffer: &mut Buffer) {
    if area.width < 2 || area.height < 2 {
        return;
    }
    let style = theme.style(tone);
    let line = "─".repeat(usize::from(area.width) - 2);
    buffer.set_string(area.x, area.y, format!("╭{line}╮"), style);
    buffer.set_string(area.x, area.bottom() - 1, format!("╰{line}╯"), style);
    for y in area.y + 1..area.bottom() - 1 {
        buffer.set_string(area.x, y, "│", style);
        buffer.set_string(area.right() - 1, y, "│", style);
    }
}
