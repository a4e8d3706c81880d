//! Takes every set-up of a project back: all journals, newest first, those of killed runs included.

use super::journal::{self, EntryState, RunState};
use super::revert::{self, Outcome};
use crate::domain::event::Observer;
use crate::domain::{Event, StepId, StepState};
use crate::error::{Error, Result};
use crate::system::System;
use serde::{Serialize, Serializer};
use std::path::Path;

/// Something that was left as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Kept {
    /// What.
    pub what: String,
    /// Why, in one clause.
    pub why: String,
    /// What does it by hand.
    pub by_hand: String,
}

impl From<Kept> for Error {
    fn from(kept: Kept) -> Self {
        Self::failed(format!("left as it is: {}", kept.what))
            .because(kept.why)
            .remedy(format!("by hand: `{}`", kept.by_hand))
    }
}

/// What undo did.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct UndoReport {
    /// What was put back, one line each, newest first.
    pub restored: Vec<String>,
    /// What was left as it is, and why.
    pub kept: Vec<Kept>,
    /// What could not be put back; undo can be run again.
    #[serde(serialize_with = "as_text")]
    pub failed: Vec<Error>,
}

impl UndoReport {
    /// There was nothing to undo.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.restored.is_empty() && self.kept.is_empty() && self.failed.is_empty()
    }
}

fn as_text<S: Serializer>(errors: &[Error], serializer: S) -> std::result::Result<S::Ok, S::Error> {
    serializer.collect_seq(errors.iter().map(ToString::to_string))
}

/// Puts back what all runs changed in a project. Needs the project's [`super::Lock`].
///
/// Can be cut short at any moment and run again; a second undo has nothing to do.
///
/// # Errors
/// Refused (exit 3) when a journal cannot be read; interrupted between two steps when a signal came.
pub fn undo(system: &System, project: &Path, observer: Observer<'_>) -> Result<UndoReport> {
    let mut journals = journal::all(system, project)?;
    let mut report = UndoReport::default();
    for journal in journals.iter_mut().rev().filter(|journal| journal.open()) {
        for index in (0..journal.record.steps.len()).rev() {
            let entry = journal.record.steps[index].clone();
            // What was kept is looked at again: the reason may be gone.
            if entry.state == EntryState::Reverted {
                continue;
            }
            system.cancel.check()?;
            let state = match revert::entry(system, journal, &entry, observer) {
                Ok(Outcome::PutBack(line)) => {
                    report.restored.push(line);
                    EntryState::Reverted
                }
                Ok(Outcome::Nothing) => EntryState::Reverted,
                Ok(Outcome::Kept(kept)) => {
                    if !report.kept.iter().any(|earlier| earlier.what == kept.what) {
                        report.kept.push(kept);
                    }
                    EntryState::Kept
                }
                Err(error) => {
                    report.failed.push(error);
                    continue;
                }
            };
            journal.record.steps[index].state = state;
            observer(Event::Step {
                id: StepId(entry.id),
                title: entry.title,
                state: if state == EntryState::Kept {
                    StepState::Applied
                } else {
                    StepState::Reverted
                },
            });
            if let Err(error) = journal.save(system) {
                report.failed.push(error);
            }
        }
        if revert::all_settled(journal) {
            if let Err(error) = revert::remove_all_folders(system, journal) {
                report.failed.push(error);
                continue;
            }
            journal.record.state = RunState::Undone;
            match journal.save(system) {
                Ok(()) => revert::forget_backups(system, journal),
                Err(error) => report.failed.push(error),
            }
        }
    }
    Ok(report)
}
