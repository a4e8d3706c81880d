//! A line of text that is being typed. A secret one never shows its value, not even to a debugger's print.

use std::fmt;
use tui_input::{Input, InputRequest};
use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

/// Longest text that is taken; a file pasted by accident is not an answer.
const LIMIT: usize = 4096;

/// What is typed, and where the cursor stands.
#[derive(Clone, Default)]
pub struct Field {
    input: Input,
    secret: bool,
}

impl Field {
    /// A field that holds a text already.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self {
            input: Input::new(text.into()),
            secret: false,
        }
    }

    /// An empty field whose value is never shown.
    #[must_use]
    pub fn secret() -> Self {
        Self {
            input: Input::default(),
            secret: true,
        }
    }

    /// The text. Of a secret field only for the parser of the answer.
    #[must_use]
    pub fn value(&self) -> &str {
        self.input.value()
    }

    /// Whether nothing was typed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.value().is_empty()
    }

    /// What may be shown, and the column in it at which the cursor stands, at most `width` columns of it.
    #[must_use]
    pub fn shown(&self, width: usize) -> (String, usize) {
        if self.secret {
            // The number of dots is not the key's length to the letter: long ones end in the same row of dots.
            let dots = self.value().chars().count().min(24).min(width.saturating_sub(1));
            return ("•".repeat(dots), dots);
        }
        let width = width.max(2);
        let skip = self.input.visual_scroll(width - 1);
        let (mut column, mut first, mut shown) = (0, None, String::new());
        for grapheme in self.value().graphemes(true) {
            let end = column + grapheme.width();
            if column >= skip {
                let first = *first.get_or_insert(column);
                if end - first > width {
                    break;
                }
                shown.push_str(grapheme);
            }
            column = end;
        }
        let cursor = self.input.visual_cursor().saturating_sub(first.unwrap_or(skip));
        (shown, cursor.min(width - 1))
    }

    /// Types a character; control characters are no text.
    pub fn insert(&mut self, character: char) {
        if !character.is_control() && self.value().len() + character.len_utf8() <= LIMIT {
            self.input.handle(InputRequest::InsertChar(character));
        }
    }

    /// Takes a pasted text: white space around it, such as the line break that was copied with it, is not part of it, and
    /// a line break inside becomes a space.
    pub fn paste(&mut self, text: &str) {
        for character in text.trim().chars() {
            self.insert(if character.is_whitespace() { ' ' } else { character });
        }
    }

    /// Moves the cursor or deletes.
    pub fn edit(&mut self, edit: Edit) {
        self.input.handle(match edit {
            Edit::Left => InputRequest::GoToPrevChar,
            Edit::Right => InputRequest::GoToNextChar,
            Edit::WordLeft => InputRequest::GoToPrevWord,
            Edit::WordRight => InputRequest::GoToNextWord,
            Edit::Home => InputRequest::GoToStart,
            Edit::End => InputRequest::GoToEnd,
            Edit::Backspace => InputRequest::DeletePrevChar,
            Edit::Delete => InputRequest::DeleteNextChar,
            Edit::DeleteWord => InputRequest::DeletePrevWord,
            Edit::DeleteLine => InputRequest::DeleteLine,
        });
    }
}

/// What a key does to a line of text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edit {
    /// One character back.
    Left,
    /// One character on.
    Right,
    /// One word back.
    WordLeft,
    /// One word on.
    WordRight,
    /// To the start.
    Home,
    /// To the end.
    End,
    /// Deletes what stands before the cursor.
    Backspace,
    /// Deletes what stands at the cursor.
    Delete,
    /// Deletes the word before the cursor.
    DeleteWord,
    /// Deletes all of it.
    DeleteLine,
}

impl fmt::Debug for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.secret {
            f.write_str("Field(••••)")
        } else {
            write!(f, "Field({:?})", self.value())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pasted_key_loses_the_line_break_that_came_with_it() {
        let mut field = Field::secret();
        field.paste("abc-123\r\n");
        assert_eq!(field.value(), "abc-123");
        assert!(!format!("{field:?}{:?}", field.shown(80)).contains("abc"));
    }

    #[test]
    fn the_cursor_is_always_in_what_is_shown() {
        for text in [
            "",
            "a",
            "日本語のサービス名がとても長い",
            "a long enough line of plain words",
            "é̂x🤦🏼‍♂️y",
        ] {
            let mut field = Field::new(text);
            for width in 2..20 {
                for edit in [Edit::End, Edit::Left, Edit::WordLeft, Edit::Home, Edit::Right, Edit::End] {
                    field.edit(edit);
                    let (shown, cursor) = field.shown(width);
                    let wide = shown.width();
                    assert!(wide <= width && cursor < width, "{text:?} {width} {edit:?}: {shown:?} {cursor}");
                }
            }
        }
    }
}
