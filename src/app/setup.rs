//! Set-up without questions, and its dry run.

use super::pipeline::Pipeline;
use super::{Context, answers, guided, refuse};
use crate::domain::report::Report;
use crate::error::Result;

/// Runs set-up, or shows what it would do.
pub(super) fn run(context: &Context) -> Result<Report> {
    let cli = &context.cli;
    if !cli.yes && !cli.dry_run {
        return guided::run(context);
    }
    let project = answers::project(cli)?;
    let draft = answers::given(context, &project)?;
    let mut report = Report::new(if cli.dry_run { "dry-run" } else { "setup" });
    let done = Pipeline {
        system: &context.system,
        project: &project,
        offline: cli.offline,
        observer: &|event| context.progress.event(&event),
    }
    .run(draft, cli.dry_run, !cli.no_verify, &mut report);
    if let Err(error) = done {
        refuse(&mut report, &error);
    }
    Ok(report)
}
