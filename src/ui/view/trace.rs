//! A trace as a waterfall: a bar for each span, its name before it, its length behind it.

use super::frame::Look;
use super::lines::{Row, clean, cut, wide};
use crate::domain::report::TraceBar;
use crate::ui::marks::Tone;
use ratatui::text::{Line, Span};

/// Spans that are shown.
const MOST: usize = 60;

/// Its rows.
pub(super) fn rows(look: &Look<'_>, bars: &[TraceBar], width: usize) -> Vec<Row> {
    let theme = look.theme;
    let whole = bars
        .iter()
        .map(|bar| bar.offset_us.saturating_add(bar.duration_us))
        .max()
        .unwrap_or(0)
        .max(1);
    let name_of = |bar: &TraceBar| format!("{}{}", "  ".repeat(bar.depth.min(8)), clean(&bar.name));
    let names = bars.iter().take(MOST).map(|bar| wide(&name_of(bar))).max().unwrap_or(0);
    let column = names.min(width * 2 / 5);
    let time = 10;
    let room = width.saturating_sub(column + 2 + time).max(8);
    let mut rows = Vec::new();
    for bar in bars.iter().take(MOST) {
        let name = cut(&name_of(bar), column);
        let pad = " ".repeat(column - wide(&name) + 2);
        let start = scale(bar.offset_us, whole, room).min(room - 1);
        let length = scale(bar.duration_us, whole, room).clamp(1, room - start);
        let tone = if bar.depth == 0 { Tone::Accent } else { Tone::Good };
        rows.push(Line::from(vec![
            theme.say(Tone::Plain, name),
            Span::raw(pad),
            Span::raw(" ".repeat(start)),
            theme.say(tone, "█".repeat(length)),
            Span::raw(" ".repeat(room - start - length)),
            theme.say(Tone::Quiet, format!("{:>time$}", length_of(bar.duration_us))),
        ]));
    }
    if bars.len() > MOST {
        rows.push(theme.row(Tone::Quiet, format!("and {} more spans", bars.len() - MOST)));
    }
    rows
}

fn scale(part: u64, whole: u64, room: usize) -> usize {
    let columns = u128::from(part) * room as u128 / u128::from(whole);
    usize::try_from(columns).unwrap_or(room)
}

/// `41.8 ms`.
pub(super) fn length_of(microseconds: u64) -> String {
    match microseconds {
        0..1_000 => format!("{microseconds} µs"),
        1_000..1_000_000 => format!("{}.{} ms", microseconds / 1_000, microseconds % 1_000 / 100),
        _ => format!("{}.{} s", microseconds / 1_000_000, microseconds % 1_000_000 / 100_000),
    }
}
