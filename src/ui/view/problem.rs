//! It does not work like this: what, why, what helps, and what was put back.

use super::frame::{Look, Page};
use super::lines::{Row, wrap};
use crate::error::Error;
use crate::ui::marks::{self, Mark, Tone};
use ratatui::text::{Line, Span};

/// The screen.
pub(super) fn page(look: &Look<'_>, error: &Error) -> Page {
    let theme = look.theme;
    let width = look.text_width();
    let what = vec![theme.mark(marks::BAD), Span::raw(" "), theme.say(Tone::Title, &error.what)];
    let mut page = Page {
        top: wrap(Line::from(what), width, 2),
        ..Page::default()
    };
    page.top.push(Row::default());
    let rows = &mut page.long;
    if let Some(why) = &error.why {
        rows.push(theme.row(Tone::Title, "Because"));
        rows.extend(wrap(theme.row(Tone::Plain, format!("  {why}")), width, 2));
        rows.push(Row::default());
    }
    if !error.remedies.is_empty() {
        rows.push(theme.row(Tone::Title, "What helps"));
        for remedy in &error.remedies {
            let bullet = Mark {
                glyph: "•",
                tone: Tone::Accent,
            };
            let words = vec![Span::raw("  "), theme.mark(bullet), Span::raw(" "), theme.say(Tone::Plain, remedy)];
            rows.extend(wrap(Line::from(words), width, 4));
        }
        rows.push(Row::default());
    }
    if let Some(undo) = &look.wizard.report.undo {
        let mut text = String::new();
        crate::ui::text::undone(&mut text, undo);
        rows.extend(super::painted::rows(theme, &text, width));
    }
    page
}
