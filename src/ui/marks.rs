//! The marks of states, and how they are meant: one place for the full screen and for text.
//!
//! Nothing is said by colour alone: each state has a mark that reads without it, also in the ASCII of [`GLYPHS`].

use crate::domain::coverage::CoverageStatus;
use crate::domain::plan::StepState;
use crate::domain::report::Outcome;

/// How something is meant; each front end has a colour for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// As the terminal writes by itself.
    Plain,
    /// The name of what follows.
    Title,
    /// Less important.
    Quiet,
    /// Where the person is.
    Accent,
    /// Right.
    Good,
    /// To look at.
    Care,
    /// Wrong.
    Bad,
}

/// A state's mark, one column wide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// The character.
    pub glyph: &'static str,
    /// How it is meant.
    pub tone: Tone,
}

impl Mark {
    const fn new(glyph: &'static str, tone: Tone) -> Self {
        Self { glyph, tone }
    }

    /// What the mark says, for those to whom a glyph says nothing.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self.glyph {
            "–" if self.tone == Tone::Care => "not traced:",
            "✓" => "ok:",
            "!" => "look at this:",
            "×" => "failed:",
            "–" => "not done:",
            "↩" => "put back:",
            "+" => "to do:",
            "=" => "right already:",
            "…" => "at work:",
            "?" => "not known:",
            other => other,
        }
    }
}

/// Right.
pub const GOOD: Mark = Mark::new("✓", Tone::Good);
/// To look at.
pub const CARE: Mark = Mark::new("!", Tone::Care);
/// Wrong.
pub const BAD: Mark = Mark::new("×", Tone::Bad);
/// Not done.
pub const NONE: Mark = Mark::new("–", Tone::Quiet);
/// The chosen line.
pub const CHOSEN: Mark = Mark::new("❯", Tone::Accent);
/// Put back, as was asked.
pub const RESTORED: Mark = Mark::new("↩", Tone::Good);
/// Put back.
pub const BACK: Mark = Mark::new("↩", Tone::Care);

/// The mark of an outcome.
#[must_use]
pub const fn outcome(outcome: Outcome) -> Mark {
    match outcome {
        Outcome::Pass => GOOD,
        Outcome::Warn => CARE,
        Outcome::Fail => BAD,
        Outcome::Skip => NONE,
        Outcome::Unknown => Mark::new("?", Tone::Care),
    }
}

/// The mark of a step.
#[must_use]
pub const fn step(state: StepState) -> Mark {
    match state {
        StepState::Pending => Mark::new("+", Tone::Care),
        StepState::Satisfied => Mark::new("=", Tone::Quiet),
        StepState::Started => Mark::new("…", Tone::Care),
        StepState::Applied => GOOD,
        StepState::Failed => BAD,
        StepState::Reverted => BACK,
    }
}

/// The mark of a library.
#[must_use]
pub const fn coverage(status: CoverageStatus) -> Mark {
    match status {
        CoverageStatus::Traced => GOOD,
        CoverageStatus::OutOfRange | CoverageStatus::NoInstrumentation => Mark::new("–", Tone::Care),
        CoverageStatus::Conflict => BAD,
    }
}

/// What moves beside work that is going on, one after the other.
pub const SPINNER: [&str; 8] = ["⠋", "⠙", "⠹", "⠸", "⠴", "⠦", "⠧", "⠇"];

/// Every character of this program's own beyond ASCII, and what stands for it where the terminal has no glyphs.
/// Marks stay distinct: no two of those above fall together.
pub const GLYPHS: &[(&str, &str)] = &[
    ("✓", "v"),
    ("×", "x"),
    ("–", "-"),
    ("❯", ">"),
    ("↩", "<"),
    ("…", "~"),
    ("•", "*"),
    ("·", "."),
    ("→", ">"),
    ("↑", "^"),
    ("↓", "v"),
    ("←", "<"),
    ("─", "-"),
    ("━", "="),
    ("│", "|"),
    ("┃", "#"),
    ("╭", "+"),
    ("╮", "+"),
    ("╰", "+"),
    ("╯", "+"),
    ("█", "#"),
    ("▌", "#"),
    ("⠋", "|"),
    ("⠙", "/"),
    ("⠹", "-"),
    ("⠸", "\\"),
    ("⠴", "|"),
    ("⠦", "/"),
    ("⠧", "-"),
    ("⠇", "\\"),
    ("µ", "u"),
    ("‘", "'"),
    ("’", "'"),
    ("“", "\""),
    ("”", "\""),
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use unicode_width::UnicodeWidthStr;

    fn ascii(glyph: &str) -> &str {
        GLYPHS.iter().find(|(fine, _)| *fine == glyph).map_or(glyph, |(_, plain)| plain)
    }

    #[test]
    fn every_glyph_is_one_column_and_has_one_column_of_ascii() {
        let fine: BTreeSet<&str> = GLYPHS.iter().map(|(fine, _)| *fine).collect();
        assert_eq!(fine.len(), GLYPHS.len());
        for (fine, plain) in GLYPHS {
            assert_eq!((fine.width(), plain.len()), (1, 1), "{fine}");
            assert!(plain.is_ascii() && !fine.is_ascii());
        }
        assert!(SPINNER.iter().all(|frame| fine.contains(frame)));
    }

    #[test]
    fn every_state_has_a_word() {
        let steps = [
            StepState::Pending,
            StepState::Satisfied,
            StepState::Started,
            StepState::Applied,
            StepState::Failed,
            StepState::Reverted,
        ]
        .map(step);
        let outcomes = [Outcome::Pass, Outcome::Warn, Outcome::Fail, Outcome::Skip, Outcome::Unknown].map(outcome);
        let coverages = [CoverageStatus::Traced, CoverageStatus::OutOfRange, CoverageStatus::Conflict].map(coverage);
        for states in [&steps[..], &outcomes, &coverages] {
            let words: BTreeSet<&str> = states.iter().map(|mark| mark.word()).collect();
            assert_eq!(words.len(), states.len());
            assert!(words.iter().all(|word| word.is_ascii() && word.ends_with(':')));
        }
    }

    #[test]
    fn states_stay_distinct_in_ascii() {
        let outcomes = [Outcome::Pass, Outcome::Warn, Outcome::Fail, Outcome::Skip, Outcome::Unknown];
        let seen: BTreeSet<&str> = outcomes.map(|state| ascii(outcome(state).glyph)).into();
        assert_eq!(seen.len(), outcomes.len());
        let states = [
            StepState::Pending,
            StepState::Satisfied,
            StepState::Started,
            StepState::Applied,
            StepState::Failed,
            StepState::Reverted,
        ];
        let seen: BTreeSet<&str> = states.map(|state| ascii(step(state).glyph)).into();
        assert_eq!(seen.len(), states.len());
    }
}
