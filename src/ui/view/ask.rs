//! A question: what is asked and what depends on it, what there is to choose from or the line to type in, and the
//! state of the key that is tried meanwhile. May never show a secret: the field hands out dots.

use super::frame::{Look, Page};
use super::lines::{Row, clean, cut, cut_spans, wide, wrap};
use crate::domain::report::Outcome;
use crate::ui::marks::{self, Tone};
use crate::wizard::question::{Choice, Kind};
use crate::wizard::{Ask, KeyState, Way};
use ratatui::text::{Line, Span};
use std::ops::Range;

/// Titles up to this width have their notes beside them.
const SHORT: usize = 22;

/// Columns of the widest field.
const FIELD: usize = 76;

/// The screen.
pub(super) fn page(look: &Look<'_>, ask: &Ask) -> Page {
    let mut page = Page {
        top: heading(look, ask),
        ..Page::default()
    };
    match ask.question.kind {
        Kind::Choice => {
            let (rows, chosen) = choices(look, &ask.choices, ask.line);
            page.long = rows;
            page.chosen = Some(chosen);
            page.bottom = under(look, ask);
        }
        Kind::Text | Kind::Secret => {
            let at = page.top.len() + 1;
            let (rows, column) = field(look, ask);
            page.top.extend(rows);
            page.cursor = Some((at, column));
            page.long = problem(look, ask);
            if ask.question.kind == Kind::Secret {
                page.long.extend(key_in_hand(look));
                let state = key_state(look, look.text_width());
                if !state.is_empty() {
                    page.long.push(Row::default());
                    page.long.extend(state);
                }
            } else {
                page.bottom = key(look);
            }
        }
    }
    page
}

/// Title and help.
pub(super) fn heading(look: &Look<'_>, ask: &Ask) -> Vec<Row> {
    let theme = look.theme;
    let mut rows = wrap(theme.row(Tone::Title, ask.question.title), look.width, 0);
    rows.extend(wrap(theme.row(Tone::Quiet, ask.question.help), look.width, 0));
    rows.push(Row::default());
    rows
}

/// What is wrong with the last answer.
pub(super) fn problem(look: &Look<'_>, ask: &Ask) -> Vec<Row> {
    let Some(problem) = &ask.problem else { return Vec::new() };
    look.marked(marks::BAD, Tone::Plain, problem, look.text_width())
}

/// What stands below the choices.
pub(super) fn under(look: &Look<'_>, ask: &Ask) -> Vec<Row> {
    let mut rows = Vec::new();
    let problem = problem(look, ask);
    if !problem.is_empty() {
        rows.push(Row::default());
        rows.extend(problem);
    }
    rows.extend(key(look));
    rows
}

fn choices(look: &Look<'_>, choices: &[Choice], line: usize) -> (Vec<Row>, Range<usize>) {
    let theme = look.theme;
    let width = look.text_width();
    let titles = choices.iter().map(|choice| wide(&clean(&choice.title))).max().unwrap_or(0);
    let beside = titles <= SHORT;
    let spaced = !beside && choices.len() * 4 < look.height;
    let mut rows = Vec::new();
    let mut chosen = 0..0;
    for (index, choice) in choices.iter().enumerate() {
        let begin = rows.len();
        let here = index == line;
        let mut title = if here {
            vec![theme.mark(marks::CHOSEN), Span::raw(" "), theme.say(Tone::Accent, &choice.title)]
        } else {
            vec![Span::raw("  "), theme.say(Tone::Plain, &choice.title)]
        };
        let note = clean(&choice.note);
        if beside {
            let column = titles + 5;
            title.push(Span::raw(" ".repeat(column - 2 - wide(&clean(&choice.title)))));
            title.push(theme.say(Tone::Quiet, note));
            rows.extend(wrap(Line::from(title), width, column));
        } else {
            rows.extend(wrap(Line::from(title), width, 4));
            rows.extend(wrap(theme.row(Tone::Quiet, format!("    {note}")), width, 4));
            if spaced {
                rows.push(Row::default());
            }
        }
        if here {
            chosen = begin..rows.len();
        }
    }
    (rows, chosen)
}

/// The line that is typed in, in a frame; and the column of its cursor.
fn field(look: &Look<'_>, ask: &Ask) -> (Vec<Row>, usize) {
    let theme = look.theme;
    let width = look.width.min(FIELD);
    let inner = width - 4;
    let (shown, cursor) = ask.field.shown(inner);
    let shown = clean(&shown);
    let rest = " ".repeat(inner.saturating_sub(wide(&shown)));
    let line = "─".repeat(width - 2);
    let edge = if ask.problem.is_some() { Tone::Bad } else { Tone::Accent };
    let rows = vec![
        theme.row(edge, format!("╭{line}╮")),
        Line::from(vec![
            theme.say(edge, "│ "),
            theme.say(Tone::Plain, cut(&shown, inner)),
            Span::raw(rest),
            theme.say(edge, " │"),
        ]),
        theme.row(edge, format!("╰{line}╯")),
    ];
    (rows, cursor + 2)
}

/// Which key is used when none is typed.
fn key_in_hand(look: &Look<'_>) -> Vec<Row> {
    let interview = &look.wizard.interview;
    let words = match interview.key_in_hand() {
        Some(key) => {
            let whose = if interview.draft.key.is_some() {
                "the key that you gave"
            } else {
                "the key of an earlier set-up, for the same endpoint,"
            };
            format!("left empty, {whose} is used: fingerprint {}", key.fingerprint())
        }
        None if interview.way == Way::Endpoint => "may stay empty when that address asks for no key".to_owned(),
        None => return Vec::new(),
    };
    wrap(look.theme.row(Tone::Quiet, words), look.text_width(), 0)
}

/// What is known of the key by now; it is tried while the person goes on.
pub(super) fn key(look: &Look<'_>) -> Vec<Row> {
    let mut rows = key_state(look, look.width);
    if !look.roomy() && rows.len() > 1 {
        // The whole of it is told at the question for the key.
        let first = rows.swap_remove(0);
        rows = vec![Line::from(cut_spans([first.spans, vec![Span::raw(" …")]].concat(), look.width))];
    }
    if !rows.is_empty() {
        rows.insert(0, Row::default());
    }
    rows
}

fn key_state(look: &Look<'_>, width: usize) -> Vec<Row> {
    let interview = &look.wizard.interview;
    let place = || interview.endpoint().map(|endpoint| clean(&endpoint.host)).unwrap_or_default();
    // A self-hosted SigNoz may ask for no key; then it is the address that was tried.
    let keyed = interview.key_in_hand().is_some();
    match &look.wizard.key {
        KeyState::Unchecked => Vec::new(),
        KeyState::Checking => {
            let what = if keyed {
                "the key is being tried at"
            } else {
                "a span is being sent to"
            };
            look.marked(look.spinner(), Tone::Quiet, format!("{what} {}", place()), width)
        }
        KeyState::Checked(level) if level.outcome == Outcome::Pass => {
            let what = if keyed {
                "the key was accepted by"
            } else {
                "without a key, a span was accepted by"
            };
            look.marked(marks::GOOD, Tone::Quiet, format!("{what} {}", place()), width)
        }
        KeyState::Checked(level) => {
            let mut rows = look.marked(marks::outcome(level.outcome), Tone::Plain, &level.detail, width);
            if let Some(remedy) = &level.remedy {
                rows.extend(wrap(look.theme.row(Tone::Quiet, format!("  hint: {remedy}")), width, 2));
            }
            rows
        }
    }
}
