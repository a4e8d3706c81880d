//! How a screen is put together: lines that stay, and a long part between them that scrolls.

use super::lines::{Row, cut_spans, width_of, wrap};
use crate::ui::marks::{self, Mark, Tone};
use crate::ui::theme::Theme;
use crate::wizard::Wizard;
use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use std::ops::Range;

/// Rows that the long part gets at least, where there is one.
const LEAST: usize = 4;

/// Columns beside the long part for its scroll bar.
pub(super) const GUTTER: usize = 2;

/// What every screen is drawn from.
#[derive(Clone, Copy)]
pub(super) struct Look<'a> {
    pub(super) wizard: &'a Wizard,
    pub(super) theme: Theme,
    /// Columns of the screen's body.
    pub(super) width: usize,
    /// Rows of it.
    pub(super) height: usize,
}

impl Look<'_> {
    /// Whether the screen has room for empty rows.
    pub(super) fn roomy(&self) -> bool {
        self.height + 3 >= usize::from(super::ROOMY)
    }

    /// Whether two tables fit beside each other.
    pub(super) fn two_columns(&self) -> bool {
        self.width >= 96
    }

    /// Whether lines of files or logs can be read beside a list.
    pub(super) fn wide(&self) -> bool {
        self.width >= 110
    }

    /// Columns of text that may have a scroll bar beside it.
    pub(super) fn text_width(&self) -> usize {
        self.width - GUTTER
    }

    /// What turns beside work that is going on.
    pub(super) fn spinner(&self) -> Mark {
        Mark {
            glyph: marks::SPINNER[self.wizard.beat % marks::SPINNER.len()],
            tone: Tone::Accent,
        }
    }

    /// `! words`, wrapped below the words.
    pub(super) fn marked(&self, mark: Mark, tone: Tone, words: impl AsRef<str>, width: usize) -> Vec<Row> {
        let spans = vec![self.theme.mark(mark), Span::raw(" "), self.theme.say(tone, words)];
        wrap(Line::from(spans), width, 2)
    }

    /// `name   value`, the value wrapped below itself.
    pub(super) fn fact(&self, name: &str, column: usize, value: Vec<Span<'static>>, width: usize) -> Vec<Row> {
        let mut spans = vec![self.theme.say(Tone::Quiet, format!("{name:<column$}"))];
        spans.extend(value);
        wrap(Line::from(spans), width, column)
    }

    /// `─ title ───────────── right ─`.
    pub(super) fn rule(&self, title: &str, right: &str, width: usize) -> Row {
        let theme = self.theme;
        let mut spans = vec![theme.say(Tone::Quiet, "── "), theme.say(Tone::Title, title), Span::raw(" ")];
        let end = if right.is_empty() {
            String::new()
        } else {
            format!(" {right} ──")
        };
        let spans_width = width_of(&spans);
        let end_width = super::lines::wide(&end);
        spans.push(theme.say(Tone::Quiet, "─".repeat(width.saturating_sub(spans_width + end_width))));
        spans.push(theme.say(Tone::Quiet, end));
        Line::from(cut_spans(spans, width))
    }
}

/// A screen of one column.
#[derive(Default)]
pub(super) struct Page {
    /// Stays above.
    pub(super) top: Vec<Row>,
    /// Scrolls.
    pub(super) long: Vec<Row>,
    /// Stays below, at the screen's end.
    pub(super) bottom: Vec<Row>,
    /// What stays below follows what is above it where all of it fits.
    pub(super) near: bool,
    /// What stays above is needed to choose.
    pub(super) steady: bool,
    /// Lines of `long` that have to be seen, whatever is scrolled.
    pub(super) chosen: Option<Range<usize>>,
    /// Row of `top` and column where the person types.
    pub(super) cursor: Option<(usize, usize)>,
}

impl Page {
    /// Draws it; returns how far the long part can be scrolled.
    pub(super) fn draw(mut self, look: &Look<'_>, area: Rect, frame: &mut Frame) -> usize {
        let height = usize::from(area.height);
        let least = self.long.len().min(LEAST);
        // What does not fit as a fixed part has to be reachable by scrolling. Where the person types or chooses stays.
        if self.top.len() + least + self.bottom.len() > height {
            if self.cursor.is_some() {
                let moved = std::mem::take(&mut self.bottom);
                self.long.extend(moved);
            } else if self.chosen.is_none() && !self.steady {
                let moved = std::mem::take(&mut self.top);
                self.long.splice(0..0, moved);
            }
            let room = height.saturating_sub(self.top.len() + self.long.len().min(LEAST));
            self.bottom.truncate(room);
        }
        if self.near {
            let free = height.saturating_sub(self.top.len() + self.long.len() + self.bottom.len());
            self.bottom.resize(self.bottom.len() + free, Row::default());
        }
        let top = rows_of(self.top.len().min(height));
        let bottom = rows_of(self.bottom.len()).min(area.height - top);
        let [above, between, below] = [
            Rect { height: top, ..area },
            Rect {
                y: area.y + top,
                height: area.height - top - bottom,
                ..area
            },
            Rect {
                y: area.bottom() - bottom,
                height: bottom,
                ..area
            },
        ];
        put(&self.top, 0, above, frame.buffer_mut());
        put(&self.bottom, 0, below, frame.buffer_mut());
        // Below an overlay nobody types.
        let typing = self.cursor.filter(|_| !look.wizard.help && !look.wizard.is_leaving());
        if let Some((row, column)) = typing.filter(|(row, column)| *row < usize::from(top) && *column < usize::from(area.width)) {
            frame.set_cursor_position((area.x + rows_of(column), area.y + rows_of(row)));
        }
        let room = usize::from(between.height);
        match self.chosen {
            Some(chosen) => {
                // The chosen lines in the middle, as far as the ends allow.
                let middle = usize::midpoint(chosen.start, chosen.end);
                let first = middle.saturating_sub(room / 2).min(self.long.len().saturating_sub(room));
                let first = first.min(chosen.start);
                pane(look.theme, &self.long, first, between, frame.buffer_mut());
                0
            }
            None => pane(look.theme, &self.long, look.wizard.scroll, between, frame.buffer_mut()),
        }
    }
}

/// Draws lines from the `scroll`th on, with a bar beside them when they do not fit; returns how far they can be scrolled.
pub(super) fn pane(theme: Theme, rows: &[Row], scroll: usize, area: Rect, buffer: &mut Buffer) -> usize {
    let room = usize::from(area.height);
    let limit = rows.len().saturating_sub(room);
    let scroll = scroll.min(limit);
    put(rows, scroll, area, buffer);
    bar(theme, scroll, limit, area, buffer);
    limit
}

/// The scroll bar at the right edge: where the part that is seen lies in the whole.
pub(super) fn bar(theme: Theme, scroll: usize, limit: usize, area: Rect, buffer: &mut Buffer) {
    let room = usize::from(area.height);
    if limit == 0 || room < 2 || area.width == 0 {
        return;
    }
    let thumb = (room * room / (room + limit)).clamp(1, room - 1);
    let free = room - thumb;
    // The bar touches an end only when the text does.
    let start = match scroll {
        0 => 0,
        at if at >= limit => free,
        at => (at * free / limit).clamp(usize::from(free > 1), free.saturating_sub(1).max(1)),
    };
    for row in 0..room {
        let seen = (start..start + thumb).contains(&row);
        let (glyph, tone) = if seen { ("┃", Tone::Plain) } else { ("│", Tone::Quiet) };
        buffer.set_string(area.right() - 1, area.y + rows_of(row), glyph, theme.style(tone));
    }
}

/// Draws lines from the `first` on, as many as fit.
pub(super) fn put(rows: &[Row], first: usize, area: Rect, buffer: &mut Buffer) {
    for (row, y) in rows.iter().skip(first).zip(area.top()..area.bottom()) {
        buffer.set_line(area.x, y, row, area.width);
    }
}

/// A count of rows or columns as the screen counts them.
pub(super) fn rows_of(count: usize) -> u16 {
    u16::try_from(count).unwrap_or(u16::MAX)
}
