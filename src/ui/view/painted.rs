//! Text that `ui::text` has painted for a terminal, as lines of the full screen: one source of words for both.

use super::lines::{Row, clean, wrap};
use crate::ui::theme::Theme;
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};

/// Lines of a painted text, wrapped; what continues a line is indented below it.
pub(super) fn rows(theme: Theme, text: &str, width: usize) -> Vec<Row> {
    text.lines()
        .flat_map(|line| {
            let indent = line.len() - line.trim_start().len();
            wrap(parse(theme, line), width, indent + 4)
        })
        .collect()
}

/// Understands the few sequences that `anstyle` writes; all others are shown as text, and so do nothing.
fn parse(theme: Theme, line: &str) -> Row {
    let mut style = Style::new();
    let mut spans = Vec::new();
    let mut parts = line.split("\u{1b}[");
    spans.push(Span::raw(clean(parts.next().unwrap_or_default())));
    for part in parts {
        let Some((code, text)) = part.split_once('m') else {
            spans.push(Span::styled(clean(part), style));
            continue;
        };
        style = match code {
            "0" => Style::new(),
            "1" => style.add_modifier(Modifier::BOLD),
            "2" => style.add_modifier(Modifier::DIM),
            "31" => coloured(theme, style, Color::Red),
            "32" => coloured(theme, style, Color::Green),
            "33" => coloured(theme, style, Color::Yellow),
            _ => style,
        };
        spans.push(Span::styled(clean(text), style));
    }
    spans.retain(|span| !span.content.is_empty());
    Line::from(spans)
}

fn coloured(theme: Theme, style: Style, colour: Color) -> Style {
    if theme.colour { style.fg(colour) } else { style }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::style::{BAD, paint};

    #[test]
    fn paint_becomes_style_and_nothing_else_gets_through() {
        let theme = Theme {
            colour: true,
            unicode: true,
        };
        let text = format!("  {} words \u{1b}]0;title\u{7}\u{1b}[2J", paint(BAD, "×"));
        let rows = rows(theme, &text, 80);
        assert_eq!(rows.len(), 1);
        assert_eq!(rows[0].spans[1].style.fg, Some(Color::Red));
        let shown = rows[0].to_string();
        assert!(
            shown.contains("words") && !shown.contains('\u{1b}') && !shown.contains('\u{7}'),
            "{shown:?}"
        );
    }
}
