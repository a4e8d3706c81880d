//! `--undo`: everything that set-up changed here is put back.

use super::{Context, answers};
use crate::domain::report::Report;
use crate::engine;
use crate::error::Result;

/// Puts back what all runs in this project changed.
pub(super) fn run(context: &Context) -> Result<Report> {
    let project = answers::project(&context.cli)?;
    let mut report = Report::new("undo");
    let _lock = engine::lock(&context.system, &project)?;
    let undone = engine::undo(&context.system, &project, &|event| context.progress.event(&event))?;
    report.warnings = undone.kept.iter().map(|kept| format!("kept {}: {}", kept.what, kept.why)).collect();
    report.undo = Some(undone);
    Ok(report)
}
