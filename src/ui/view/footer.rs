//! The last row: the keys that work here. One table for it and for the help.

use super::frame::{Look, rows_of};
use super::lines::{Row, wide, width_of};
use crate::ui::marks::Tone;
use crate::wizard::question::Kind;
use crate::wizard::{Action, Screen, Verifying, Work};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

/// A key, and what it does here.
pub(super) struct Key {
    pub(super) press: &'static str,
    pub(super) does: String,
    /// Only the help names it.
    pub(super) quiet: bool,
}

/// The keys of the screen, the most important first.
pub(super) fn keys(look: &Look<'_>, limit: usize) -> Vec<Key> {
    let wizard = look.wizard;
    let arrows = if look.theme.unicode { "↑↓" } else { "up/down" };
    let mut keys: Vec<Key> = Vec::new();
    let mut add = |press, does: &str, quiet| {
        keys.push(Key {
            press,
            does: does.to_owned(),
            quiet,
        });
    };
    let scrolls = limit > 0;
    match &wizard.screen {
        Screen::Welcome(line) => {
            let menu = wizard.menu();
            let begins = match menu.get(*line.min(&(menu.len() - 1))) {
                Some(Action::Undo) => "undo",
                Some(Action::Look) => "look",
                Some(Action::Change) => "change",
                Some(Action::Begin) | None => "set up",
            };
            add("enter", begins, false);
            if menu.len() > 1 {
                add(arrows, "choose", false);
            }
            if scrolls {
                add("pgup/pgdn", "scroll", false);
            }
            add("esc", "leave", false);
        }
        Screen::Ask(ask) => {
            add("enter", "go on", false);
            match ask.question.kind {
                Kind::Choice => {
                    add(arrows, "choose", false);
                    add("1-9", "choose by number", true);
                }
                Kind::Text | Kind::Secret => {
                    add("ctrl-u", "empties the line", true);
                    add("ctrl-w", "deletes a word", true);
                    add("home/end", "to the line's start or end", true);
                }
            }
            if scrolls {
                add("pgup/pgdn", "scroll", false);
            }
            add("esc", "back, answers are kept", true);
            add("esc", "back", false);
        }
        Screen::Waiting(_) => add("esc", "back", false),
        Screen::Problem(_) => {
            add("enter", "try again", false);
            add("q", "leave", false);
            add("esc", "change the answers", true);
            add("esc", "back", false);
            if scrolls {
                add(arrows, "scroll", false);
            }
        }
        Screen::Review(review) => {
            let pending = pending(look);
            let does = match pending {
                0 if !wizard.options.verify || wizard.options.offline => "nothing to do: report".to_owned(),
                0 => "nothing to do: verify".to_owned(),
                1 => "apply 1 step".to_owned(),
                count => format!("apply {count} steps"),
            };
            add("enter", &does, false);
            add("e", if review.explained { "diff" } else { "explain" }, false);
            if scrolls {
                add("j/k", "scroll", false);
            }
            add("esc", "back", false);
            add(arrows, "step", false);
        }
        Screen::Applying(applying) if applying.stopping => {}
        Screen::Applying(applying) if applying.asked_to_stop => {
            add("esc", "stop and put back", false);
            add("any other key", "go on", false);
        }
        Screen::Applying(applying) => {
            add("esc", if applying.work == Work::Undo { "stop" } else { "stop and put back" }, false);
            if scrolls {
                add(arrows, "scroll the log", false);
            }
        }
        Screen::Verifying(verifying) => {
            match verifying {
                Verifying::Offer => {
                    add("enter", "start the app", false);
                    add("s", "skip", false);
                }
                Verifying::Done => add("enter", "report", false),
                Verifying::Sending | Verifying::Rehearsing => {}
            }
            add("esc", "back to the plan", true);
            add("esc", "back", false);
            if scrolls {
                add(arrows, "scroll", false);
            }
        }
        Screen::Report => {
            if !wizard.is_busy() {
                add("enter", "leave", false);
            }
            if scrolls {
                add(arrows, "scroll", false);
            }
            add("esc", "back", false);
        }
    }
    if scrolls {
        add("pgup/pgdn", "scroll by pages", true);
    }
    let helps = if wizard.is_typing() { "f1" } else { "?" };
    add(helps, "help", false);
    add("ctrl-c", "leave at any moment", true);
    keys
}

/// Steps that would change something.
pub(super) fn pending(look: &Look<'_>) -> usize {
    let steps = look.wizard.report.plan.iter().flat_map(|plan| &plan.steps);
    steps.filter(|step| step.state == crate::domain::StepState::Pending).count()
}

/// Draws the last row; what does not fit is in the help.
pub(super) fn draw(look: &Look<'_>, limit: usize, sheet: Rect, buffer: &mut Buffer) {
    let theme = look.theme;
    let room = usize::from(sheet.width).saturating_sub(4);
    let mut keys: Vec<Key> = keys(look, limit).into_iter().filter(|key| !key.quiet).collect();
    let columns = |key: &Key| wide(key.press) + 1 + wide(&key.does);
    // The help, the last one, is always named.
    while keys.len() > 2 && keys.iter().map(columns).sum::<usize>() + 3 * (keys.len() - 1) > room {
        keys.remove(keys.len() - 2);
    }
    let mut spans: Vec<Span<'static>> = Vec::new();
    for (index, key) in keys.iter().enumerate() {
        if index > 0 {
            spans.push(Span::raw("   "));
        }
        spans.push(theme.say(Tone::Title, key.press));
        spans.push(Span::raw(" "));
        spans.push(theme.say(Tone::Quiet, &key.does));
    }
    let line: Row = Line::from(spans);
    debug_assert!(width_of(&line.spans) <= room + 40);
    buffer.set_line(sheet.x + 2, sheet.bottom() - 1, &line, rows_of(room));
}
