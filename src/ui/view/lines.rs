//! Lines of styled words: cleaned, measured in columns, cut and wrapped.
//!
//! May never let a control character of a project's file through to the terminal.

use crate::ui::marks::Tone;
use crate::ui::theme::Theme;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

/// A line of the screen.
pub(super) type Row = Line<'static>;

impl Theme {
    /// Words in a tone.
    pub(super) fn say(self, tone: Tone, words: impl AsRef<str>) -> Span<'static> {
        Span::styled(clean(words.as_ref()), self.style(tone))
    }

    /// A line in one tone.
    pub(super) fn row(self, tone: Tone, words: impl AsRef<str>) -> Row {
        Line::from(self.say(tone, words))
    }
}

/// Text without what would steer a terminal or turn its direction round.
pub(super) fn clean(text: &str) -> String {
    // Printable ASCII needs no second look.
    if text.bytes().all(|byte| (0x20..0x7f).contains(&byte)) {
        return text.to_owned();
    }
    let text = text.strip_suffix('\n').unwrap_or(text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    let mut cleaned = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\t' => cleaned.push_str("    "),
            c if c.is_control() => cleaned.push('\u{fffd}'),
            // Marks that reorder what is read: a diff must show its file's order.
            '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => cleaned.push('\u{fffd}'),
            c => cleaned.push(c),
        }
    }
    cleaned
}

/// Columns of a text.
pub(super) fn wide(text: &str) -> usize {
    if text.is_ascii() { text.len() } else { text.width() }
}

/// Columns of spans.
pub(super) fn width_of(spans: &[Span<'_>]) -> usize {
    spans.iter().map(|span| wide(&span.content)).sum()
}

/// The beginning of a text in at most `width` columns; `…` stands for the rest.
pub(super) fn cut(text: &str, width: usize) -> String {
    if wide(text) <= width {
        return text.to_owned();
    }
    let mut kept = start(text, width.saturating_sub(1));
    if width > 0 {
        kept.push('…');
    }
    kept
}

/// A path in at most `width` columns: its first part and its end, `…` between them.
pub(super) fn shorten(path: &str, width: usize) -> String {
    if wide(path) <= width {
        return path.to_owned();
    }
    let first = path.char_indices().skip(1).find(|(_, c)| *c == '/').map_or(0, |(at, _)| at + 1);
    let head = &path[..first];
    for (at, _) in path.match_indices('/').filter(|(at, _)| *at >= first) {
        let tail = &path[at..];
        if wide(head) + 1 + wide(tail) <= width {
            return format!("{head}…{tail}");
        }
    }
    if let Some((_, tail)) = path
        .match_indices('/')
        .map(|(at, _)| (at, &path[at..]))
        .find(|(_, tail)| wide(tail) < width)
    {
        return format!("…{tail}");
    }
    // Not even the last part fits: its end is what tells it from its neighbours.
    let mut tail = String::new();
    for grapheme in path.graphemes(true).rev() {
        if wide(&tail) + wide(grapheme) + 1 > width {
            break;
        }
        tail.insert_str(0, grapheme);
    }
    if width == 0 { String::new() } else { format!("…{tail}") }
}

/// The same spans in at most `width` columns.
pub(super) fn cut_spans(spans: Vec<Span<'static>>, width: usize) -> Vec<Span<'static>> {
    if width_of(&spans) <= width {
        return spans;
    }
    let mut left = width;
    let mut kept = Vec::new();
    for span in spans {
        let columns = wide(&span.content);
        if columns > left || (columns == left && width > 0) {
            kept.push(Span::styled(cut_short(&span.content, left), span.style));
            break;
        }
        left -= columns;
        kept.push(span);
    }
    kept
}

/// The beginning of a text, always with `…` at its end.
fn cut_short(text: &str, width: usize) -> String {
    let mut kept = start(text, width.saturating_sub(1));
    if width > 0 {
        kept.push('…');
    }
    kept
}

fn start(text: &str, width: usize) -> String {
    let mut columns = 0;
    text.graphemes(true)
        .take_while(|grapheme| {
            columns += wide(grapheme);
            columns <= width
        })
        .collect()
}

/// Breaks a line between words so that it fits into `width` columns; what continues it is indented by `hang`.
pub(super) fn wrap(line: Row, width: usize, hang: usize) -> Vec<Row> {
    if width_of(&line.spans) <= width {
        return vec![line];
    }
    let mut breaker = Breaker {
        width: width.max(1),
        hang: hang.min(width.saturating_sub(8)),
        rows: Vec::new(),
        row: Vec::new(),
        used: 0,
        margin: 0,
        blank: 0,
    };
    // A word may have several styles: pieces without a space between them stay together.
    let mut word: Vec<(String, Style)> = Vec::new();
    for span in line.spans {
        for (index, piece) in span.content.split(' ').enumerate() {
            if index > 0 {
                breaker.word(&mut word);
                breaker.blank += 1;
            }
            if !piece.is_empty() {
                word.push((piece.to_owned(), span.style));
            }
        }
    }
    breaker.word(&mut word);
    breaker.end();
    breaker.rows
}

struct Breaker {
    width: usize,
    hang: usize,
    rows: Vec<Row>,
    row: Vec<Span<'static>>,
    used: usize,
    /// Columns that a row begins with.
    margin: usize,
    /// Spaces that stand before the next word, if it stays in this row.
    blank: usize,
}

impl Breaker {
    fn word(&mut self, word: &mut Vec<(String, Style)>) {
        let pieces = std::mem::take(word);
        if pieces.is_empty() {
            return;
        }
        let columns: usize = pieces.iter().map(|(text, _)| wide(text)).sum();
        let begun = self.used > self.margin;
        if begun && self.used + self.blank + columns > self.width {
            // A word that would leave much of the row empty and does not fit into the next one either is broken here.
            let whole_row = self.width - self.hang;
            if columns <= whole_row || self.used + self.blank + 8 > self.width {
                self.end();
            }
        }
        if self.blank > 0 {
            self.push(" ".repeat(self.blank), Style::new());
            self.blank = 0;
        }
        for (text, style) in pieces {
            self.fill(&text, style);
        }
    }

    /// Puts a piece into the row, and what does not fit into the next ones.
    fn fill(&mut self, text: &str, style: Style) {
        if self.used + wide(text) <= self.width {
            self.push(text.to_owned(), style);
            return;
        }
        let mut part = String::new();
        let mut columns = 0;
        for grapheme in text.graphemes(true) {
            let more = wide(grapheme);
            if self.used + columns + more > self.width && self.used + columns > self.margin {
                self.push(std::mem::take(&mut part), style);
                columns = 0;
                self.end();
            }
            part.push_str(grapheme);
            columns += more;
        }
        self.push(part, style);
    }

    fn push(&mut self, text: String, style: Style) {
        self.used += wide(&text);
        self.row.push(Span::styled(text, style));
    }

    /// Ends the row; the next one begins below its text.
    fn end(&mut self) {
        self.rows.push(Line::from(std::mem::take(&mut self.row)));
        self.used = 0;
        self.blank = 0;
        if self.hang > 0 {
            self.push(" ".repeat(self.hang), Style::new());
        }
        self.margin = self.used;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(rows: &[Row]) -> Vec<String> {
        rows.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_steers_a_terminal_is_shown_and_not_done() {
        assert_eq!(clean("a\u{1b}[31mb\r\n"), "a\u{fffd}[31mb");
        assert_eq!(clean("x\ty"), "x    y");
        assert_eq!(clean("a\u{202e}b\u{9b}1m"), "a\u{fffd}b\u{fffd}1m");
        assert_eq!(clean("日本 é ✓"), "日本 é ✓");
    }

    #[test]
    fn paths_lose_their_middle() {
        let path = "/srv/customers/acme/apps/shop";
        assert_eq!(shorten(path, 40), path);
        assert_eq!(shorten(path, 18), "/srv/…/apps/shop");
        assert_eq!(shorten(path, 8), "…/shop");
        assert_eq!(shorten(path, 4), "…hop");
        assert_eq!(shorten("~/work/shop", 8), "~/…/shop");
        assert_eq!(shorten("日本語日本語", 6), "…本語");
        assert_eq!(shorten(path, 0), "");
    }

    #[test]
    fn wide_characters_are_never_halved() {
        assert_eq!(cut("日本語", 4), "日…");
        assert_eq!(cut("日本語", 6), "日本語");
        assert_eq!(cut("abc", 0), "");
    }

    #[test]
    fn a_line_is_broken_between_words_and_hangs() {
        let line = Line::from("the loader sends its last spans when it ends");
        assert_eq!(
            texts(&wrap(line, 20, 2)),
            ["the loader sends its", "  last spans when it", "  ends"]
        );
        let line = Line::from("at /a/very/long/path/of/a/project");
        assert_eq!(texts(&wrap(line, 16, 0)), ["at /a/very/long/", "path/of/a/projec", "t"]);
    }

    #[test]
    fn no_row_is_wider_than_asked() {
        for text in [
            "日本語のサービス名 がとても長い",
            "a  b   cccccccccccccccccccc dd",
            "x",
            "",
            "🤦🏼‍♂️🤦🏼‍♂️ é̂é̂é̂é̂é̂",
        ] {
            for width in 2..30 {
                for hang in 0..6 {
                    for row in wrap(Line::from(text), width, hang) {
                        assert!(row.width() <= width, "{text:?} {width} {hang}: {row:?}");
                    }
                }
            }
        }
    }
}
