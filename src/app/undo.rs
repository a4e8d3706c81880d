//! `--undo`: everything that set-up changed here is put back.

use super::{Context, answers};
use crate::detect;
use crate::domain::event::Observer;
use crate::domain::report::{Kept, Report, RunOutcome, UndoReport};
use crate::engine;
use crate::error::{Kind, Result};
use crate::system::System;
use std::path::Path;

/// Puts back what all runs in this project changed.
pub(super) fn run(context: &Context) -> Result<Report> {
    let project = answers::project(&context.cli)?;
    engine::refuse_foreign_home(&detect::look_at_host(&context.system))?;
    let _lock = engine::lock(&context.system, &project)?;
    put_back(&context.system, &project, &|event| context.progress.event(&event))
}

/// Puts everything back, under the lock that the caller holds.
pub(super) fn put_back(system: &System, project: &Path, observer: Observer<'_>) -> Result<Report> {
    let undone = engine::undo(system, project, observer)?;
    let kept = undone.kept.into_iter().map(|kept| Kept {
        what: kept.what,
        why: kept.why,
        manual: kept.by_hand,
    });
    let undo = UndoReport {
        restored: undone.restored,
        kept: kept.collect(),
        failed: undone.failed.iter().map(ToString::to_string).collect(),
    };
    let mut report = Report::new("undo");
    report.warnings = undo.kept.iter().map(|kept| format!("kept {}: {}", kept.what, kept.why)).collect();
    if !undo.failed.is_empty() {
        report.outcome = RunOutcome::Failed;
        report.exit_code = Kind::Failed.exit_code();
        report.next = vec!["mend what is named above, then run the same command again".to_owned()];
    }
    report.undo = Some(undo);
    Ok(report)
}
