//! Colours and marks. Nothing is said by colour alone: each state has a mark that reads without it.

use crate::domain::plan::StepState;
use crate::domain::report::Outcome;
use anstyle::{AnsiColor, Style};

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

/// Text in a style.
#[must_use]
pub fn paint(style: Style, text: impl std::fmt::Display) -> String {
    format!("{style}{text}{style:#}")
}

/// Mark and colour of an outcome.
#[must_use]
pub fn outcome(outcome: Outcome) -> String {
    match outcome {
        Outcome::Pass => paint(GOOD, "✓"),
        Outcome::Warn => paint(CARE, "!"),
        Outcome::Fail => paint(BAD, "×"),
        Outcome::Skip => paint(DIM, "–"),
        Outcome::Unknown => paint(CARE, "?"),
    }
}

/// Mark and colour of a step.
#[must_use]
pub fn step(state: StepState) -> String {
    match state {
        StepState::Pending => paint(CARE, "+"),
        StepState::Satisfied => paint(DIM, "="),
        StepState::Started => paint(CARE, "…"),
        StepState::Applied => paint(GOOD, "✓"),
        StepState::Failed => paint(BAD, "×"),
        StepState::Reverted => paint(CARE, "↩"),
    }
}
