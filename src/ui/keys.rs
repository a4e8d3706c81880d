//! What a terminal's event means to the wizard. May never decide what an input does.

use crate::wizard::{Edit, Input};
use crossterm::event::{Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

/// What the event loop hears from the keyboard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// For the wizard.
    Input(Input),
    /// Ctrl-Z.
    Suspend,
    /// Ctrl-L.
    Redraw,
}

/// Translates; `None` for what means nothing here, such as the release of a key.
#[must_use]
pub fn translate(event: Event) -> Option<Heard> {
    match event {
        Event::Key(key) if key.kind != KeyEventKind::Release => key_pressed(key),
        Event::Paste(text) => Some(Heard::Input(Input::Paste(text))),
        Event::Resize(columns, rows) => Some(Heard::Input(Input::Resize(columns, rows))),
        _ => None,
    }
}

fn key_pressed(key: KeyEvent) -> Option<Heard> {
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    let alt = key.modifiers.contains(KeyModifiers::ALT);
    let input = match key.code {
        KeyCode::Char('c') if control => Input::Interrupt,
        KeyCode::Char('z') if control => return Some(Heard::Suspend),
        KeyCode::Char('l') if control => return Some(Heard::Redraw),
        KeyCode::Char('a') if control => Input::Edit(Edit::Home),
        KeyCode::Char('e') if control => Input::Edit(Edit::End),
        KeyCode::Char('u') if control => Input::Edit(Edit::DeleteLine),
        KeyCode::Char('w') if control => Input::Edit(Edit::DeleteWord),
        KeyCode::Char('h') if control => Input::Edit(Edit::Backspace),
        KeyCode::Char('j' | 'm') if control => Input::Enter,
        KeyCode::Char('b') if alt => Input::Edit(Edit::WordLeft),
        KeyCode::Char('f') if alt => Input::Edit(Edit::WordRight),
        // AltGr types characters on many keyboards, and terminals report it as both.
        KeyCode::Char(character) if control == alt => Input::Char(character),
        KeyCode::Char(_) => return None,
        KeyCode::Enter => Input::Enter,
        KeyCode::Esc => Input::Esc,
        KeyCode::Up | KeyCode::BackTab => Input::Up,
        KeyCode::Down => Input::Down,
        KeyCode::PageUp => Input::PageUp,
        KeyCode::PageDown => Input::PageDown,
        KeyCode::Tab => Input::Tab,
        KeyCode::F(1) => Input::Help,
        KeyCode::Left if control || alt => Input::Edit(Edit::WordLeft),
        KeyCode::Right if control || alt => Input::Edit(Edit::WordRight),
        KeyCode::Left => Input::Edit(Edit::Left),
        KeyCode::Right => Input::Edit(Edit::Right),
        KeyCode::Home => Input::Edit(Edit::Home),
        KeyCode::End => Input::Edit(Edit::End),
        KeyCode::Backspace if control || alt => Input::Edit(Edit::DeleteWord),
        KeyCode::Backspace => Input::Edit(Edit::Backspace),
        KeyCode::Delete => Input::Edit(Edit::Delete),
        _ => return None,
    };
    Some(Heard::Input(input))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crossterm::event::KeyEventState;

    fn press(code: KeyCode, modifiers: KeyModifiers, kind: KeyEventKind) -> Option<Heard> {
        translate(Event::Key(KeyEvent {
            code,
            modifiers,
            kind,
            state: KeyEventState::NONE,
        }))
    }

    #[test]
    fn a_key_counts_when_it_is_pressed_or_repeated_not_when_it_is_released() {
        let enter = |kind| press(KeyCode::Enter, KeyModifiers::NONE, kind);
        assert_eq!(enter(KeyEventKind::Press), Some(Heard::Input(Input::Enter)));
        assert_eq!(enter(KeyEventKind::Repeat), Some(Heard::Input(Input::Enter)));
        assert_eq!(enter(KeyEventKind::Release), None);
    }

    #[test]
    fn control_keys_are_no_text_and_altgr_is() {
        let char = |c, modifiers| press(KeyCode::Char(c), modifiers, KeyEventKind::Press);
        assert_eq!(char('c', KeyModifiers::CONTROL), Some(Heard::Input(Input::Interrupt)));
        assert_eq!(char('z', KeyModifiers::CONTROL), Some(Heard::Suspend));
        assert_eq!(char('x', KeyModifiers::CONTROL), None);
        assert_eq!(
            char('@', KeyModifiers::CONTROL | KeyModifiers::ALT),
            Some(Heard::Input(Input::Char('@')))
        );
    }
}
