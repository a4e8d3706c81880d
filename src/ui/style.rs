//! Colours of text. Nothing is said by colour alone: each state has a mark that reads without it.

use super::marks::{self, Mark, Tone};
use crate::domain::coverage::CoverageStatus;
use crate::domain::plan::StepState;
use crate::domain::report::Outcome;
use anstyle::{AnsiColor, Style};
use std::sync::atomic::{AtomicBool, Ordering};

/// Bold.
pub const TITLE: Style = Style::new().bold();
/// Less important.
pub const DIM: Style = Style::new().dimmed();
/// Right.
pub const GOOD: Style = AnsiColor::Green.on_default();
/// To look at.
pub const CARE: Style = AnsiColor::Yellow.on_default();
/// Wrong.
pub const BAD: Style = AnsiColor::Red.on_default().bold();

/// Whether marks are words, for screen readers and terminals that show lines only.
static WORDS: AtomicBool = AtomicBool::new(false);

/// From now on, marks are words.
pub fn say_marks() {
    WORDS.store(true, Ordering::Relaxed);
}

/// Text in a style.
#[must_use]
pub fn paint(style: Style, text: impl std::fmt::Display) -> String {
    format!("{style}{text}{style:#}")
}

/// Mark and colour of an outcome.
#[must_use]
pub fn outcome(outcome: Outcome) -> String {
    mark(marks::outcome(outcome))
}

/// Mark and colour of a step.
#[must_use]
pub fn step(state: StepState) -> String {
    mark(marks::step(state))
}

/// Mark and colour of a library.
#[must_use]
pub fn coverage(status: CoverageStatus) -> String {
    mark(marks::coverage(status))
}

/// Between what was and what will be.
#[must_use]
pub fn becomes() -> &'static str {
    if WORDS.load(Ordering::Relaxed) { "to" } else { "→" }
}

/// A mark in its colour.
#[must_use]
pub fn mark(mark: Mark) -> String {
    if WORDS.load(Ordering::Relaxed) {
        return mark.word().to_owned();
    }
    let style = match mark.tone {
        Tone::Plain => return mark.glyph.to_owned(),
        Tone::Title | Tone::Accent => TITLE,
        Tone::Quiet => DIM,
        Tone::Good => GOOD,
        Tone::Care => CARE,
        Tone::Bad => BAD,
    };
    paint(style, mark.glyph)
}
