//! What the terminal can show: colours of the sixteen that it names itself, glyphs beyond ASCII or not.
//!
//! May never name a colour by its value, nor black or white: the person's terminal may be light or dark.

use super::marks::{GLYPHS, Mark, Tone};
use ratatui::buffer::Buffer;
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::Span;
use std::collections::BTreeMap;
use unicode_width::UnicodeWidthStr;

/// How the full screen looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Theme {
    /// Colours; without them bold, dim and marks say the same.
    pub colour: bool,
    /// Characters beyond ASCII.
    pub unicode: bool,
}

impl Theme {
    /// The theme for a process with these variables; `colour` is the person's own word on colours.
    #[must_use]
    pub fn of(variables: &BTreeMap<String, String>, colour: Option<bool>) -> Self {
        let set = |name: &str| variables.get(name).map(String::as_str).filter(|value| !value.is_empty());
        let terminal = set("TERM").unwrap_or_default();
        let refused = set("NO_COLOR").is_some() || set("CLICOLOR") == Some("0") || terminal == "dumb";
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(|name| set(name)).unwrap_or_default();
        let locale = locale.to_ascii_lowercase().replace('-', "");
        Self {
            colour: colour.unwrap_or(!refused),
            // The kernel's console has 256 glyphs and no marks among them.
            unicode: locale.contains("utf8") && terminal != "linux",
        }
    }

    /// The style of a tone.
    #[must_use]
    pub fn style(self, tone: Tone) -> Style {
        let (colour, modifier) = match tone {
            Tone::Plain => (Color::Reset, Modifier::empty()),
            Tone::Title => (Color::Reset, Modifier::BOLD),
            Tone::Quiet => (Color::Reset, Modifier::DIM),
            Tone::Accent => (Color::Cyan, Modifier::BOLD),
            Tone::Good => (Color::Green, Modifier::empty()),
            Tone::Care => (Color::Yellow, Modifier::empty()),
            Tone::Bad => (Color::Red, Modifier::BOLD),
        };
        let style = Style::new().add_modifier(modifier);
        if self.colour && colour != Color::Reset {
            style.fg(colour)
        } else {
            style
        }
    }

    /// A mark in its colour.
    #[must_use]
    pub fn mark(self, mark: Mark) -> Span<'static> {
        Span::styled(mark.glyph, self.style(mark.tone))
    }

    /// Replaces what the terminal cannot show: this program's glyphs by their ASCII, other characters by question marks.
    pub fn settle(self, buffer: &mut Buffer) {
        if self.unicode {
            return;
        }
        let width = usize::from(buffer.area.width).max(1);
        for row in buffer.content.chunks_mut(width) {
            let mut x = 0;
            while x < row.len() {
                let symbol = row[x].symbol();
                if symbol.is_ascii() {
                    x += 1;
                    continue;
                }
                let end = (x + symbol.width().max(1)).min(row.len());
                let plain = GLYPHS.iter().find(|(fine, _)| *fine == symbol).map_or("?", |(_, plain)| plain);
                for cell in &mut row[x..end] {
                    cell.set_symbol(plain);
                }
                x = end;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(&str, &str)], colour: Option<bool>) -> Theme {
        let variables = pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        Theme::of(&variables, colour)
    }

    #[test]
    fn the_first_locale_that_is_set_says_whether_there_are_glyphs() {
        for (pairs, unicode) in [
            (&[("LANG", "en_US.UTF-8")][..], true),
            (&[("LANG", "de_DE.utf8"), ("TERM", "xterm-256color")], true),
            (&[("LC_ALL", ""), ("LC_CTYPE", "C.UTF-8"), ("LANG", "C")], true),
            (&[("LC_ALL", "C"), ("LANG", "en_US.UTF-8")], false),
            (&[("LC_ALL", "POSIX")], false),
            (&[], false),
            (&[("LANG", "en_US.UTF-8"), ("TERM", "linux")], false),
        ] {
            assert_eq!(of(pairs, None).unicode, unicode, "{pairs:?}");
        }
    }

    #[test]
    fn the_flag_wins_over_the_variables() {
        assert!(of(&[], None).colour);
        assert!(of(&[("NO_COLOR", "")], None).colour);
        assert!(!of(&[("NO_COLOR", "1")], None).colour);
        assert!(!of(&[("TERM", "dumb")], None).colour);
        assert!(of(&[("NO_COLOR", "1")], Some(true)).colour);
        assert!(!of(&[], Some(false)).colour);
    }

    #[test]
    fn without_colour_nothing_has_one() {
        let theme = Theme {
            colour: false,
            unicode: true,
        };
        for tone in [
            Tone::Plain,
            Tone::Title,
            Tone::Quiet,
            Tone::Accent,
            Tone::Good,
            Tone::Care,
            Tone::Bad,
        ] {
            assert_eq!((theme.style(tone).fg, theme.style(tone).bg), (None, None));
        }
    }

    #[test]
    fn in_ascii_a_wide_character_leaves_as_many_columns_as_it_took() {
        let mut buffer = Buffer::with_lines(["a日✓é"]);
        let theme = Theme {
            colour: true,
            unicode: false,
        };
        theme.settle(&mut buffer);
        let text: String = buffer.content().iter().map(|cell| cell.symbol()).collect();
        assert_eq!(text, "a??v?");
    }
}
