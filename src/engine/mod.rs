//! Plan + machine → changed machine: diff, apply, journal, undo.
//!
//! The order of a run: [`lock`], [`diff`], [`apply`]; and [`undo`], its inverse, under the same lock. Nothing is changed
//! before its inverse is on the disk, and nothing is put back that a person edited since.

mod apply;
mod block;
mod diff;
mod environment;
mod guard;
mod journal;
mod revert;
mod snapshot;
mod state;
mod undo;

pub use apply::{Applied, ApplyError, apply};
pub use diff::{StepDiff, diff};
pub use snapshot::Stamp;
pub use state::{Lock, lock, refuse_foreign_home};
pub use undo::{Kept, UndoReport, undo};

use crate::domain::event::Observer;
use crate::error::{Error, Kind, Result};
use crate::system::System;
use std::path::Path;

/// Whether an earlier run of this project was killed half way, so that `--undo` should be offered.
///
/// # Errors
/// Refused (exit 3) when a journal cannot be read.
pub fn interrupted_before(system: &System, project: &Path) -> Result<bool> {
    let journals = journal::all(system, project)?;
    Ok(journals.iter().any(|journal| journal.record.state == journal::RunState::Running))
}

/// Whether there is something that [`undo`] would look at.
///
/// # Errors
/// Refused (exit 3) when a journal cannot be read.
pub fn undoable(system: &System, project: &Path) -> Result<bool> {
    Ok(journal::all(system, project)?.iter().any(journal::Journal::open))
}

/// Clears what a killed run left half done (temporary files, an install cut short), so that detection sees a sound machine.
/// Puts nothing back. Call it under the lock, before detecting.
///
/// # Errors
/// Refused (exit 3) when a journal cannot be read, or when the killed run's installer is still at work after two minutes.
pub fn recover(system: &System, project: &Path, observer: Observer<'_>) -> Result<()> {
    for journal in journal::all(system, project)? {
        if journal.record.state == journal::RunState::Running {
            revert::settle(system, &journal, observer)?;
        }
    }
    Ok(())
}

/// A change that could not be made (exit 4).
fn cannot(doing: &str, path: &Path, error: &std::io::Error) -> Error {
    Error::io(Kind::StepFailed, doing, path, error)
}
