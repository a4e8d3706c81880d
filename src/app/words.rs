//! What a run says beside its figures: warnings, the plan's rows, what to do next.

use crate::domain::Detection;
use crate::domain::answers::{Answers, Destination};
use crate::domain::plan::{Change, Plan, StepState};
use crate::domain::report::{PlanReport, Report, StepRow};
use crate::engine::StepDiff;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

/// What detection saw that deserves a word.
pub(super) fn warnings(detection: &Detection) -> Vec<String> {
    let mut warnings = Vec::new();
    if let (Some(python), false) = (&detection.python, detection.python_candidates.is_empty()) {
        let others: Vec<String> = detection
            .python_candidates
            .iter()
            .map(|other| other.interpreter.display().to_string())
            .collect();
        warnings.push(format!(
            "more than one Python environment could be meant: using {}, not {}; --python chooses",
            python.interpreter.display(),
            others.join(", ")
        ));
    }
    if detection.apps.len() > 1 {
        let apps: Vec<String> = detection.apps.iter().map(|app| app.directory.display().to_string()).collect();
        warnings.push(format!(
            "this folder holds several apps ({}): give one of them as DIR",
            apps.join(", ")
        ));
    }
    for hazard in &detection.hazards {
        let place = hazard
            .because
            .first()
            .map(|evidence| format!(" [{}]", evidence.source))
            .unwrap_or_default();
        warnings.push(format!("{}{place}: {} (--explain {})", hazard.title, hazard.remedy, hazard.id));
    }
    warnings
}

/// The plan as the report shows it.
pub(super) fn rows(plan: &Plan, diffs: &[StepDiff], state: impl Fn(usize) -> StepState, took: &BTreeMap<String, Duration>) -> PlanReport {
    let steps = plan
        .steps
        .iter()
        .enumerate()
        .map(|(index, step)| StepRow {
            id: step.id.0.clone(),
            title: step.title.clone(),
            why: step.why.clone(),
            kind: match step.change {
                Change::WriteFile { .. } => "write_file",
                Change::EditBlock { .. } => "edit_block",
                Change::InstallPackages { .. } => "install_packages",
                Change::RunCommand { .. } => "run_command",
            },
            state: state(index),
            path: match &step.change {
                Change::WriteFile { path, .. } | Change::EditBlock { path, .. } => Some(path.display().to_string()),
                Change::InstallPackages { .. } | Change::RunCommand { .. } => None,
            },
            diff: diffs[index].diff.clone(),
            argv: diffs[index].argv.clone(),
            duration_ms: took.get(&step.id.0).and_then(|took| u64::try_from(took.as_millis()).ok()),
        })
        .collect();
    PlanReport { steps }
}

/// What the person does now.
pub(super) fn next(answers: &Answers, project: &Path, report: &Report) -> Vec<String> {
    let mut next = vec![format!("start the app with: {}/.signoz/run.sh", project.display())];
    let rehearsed = report
        .verification
        .as_ref()
        .is_some_and(|verification| !verification.workers.is_empty());
    if !rehearsed {
        next.push(format!("prove it for every worker: signoz-setup --rehearse {}", project.display()));
    }
    next.push("commit .signoz and signoz-setup.toml; .signoz/otel.env holds the key and is ignored by git".to_owned());
    if let Destination::Region(_) = answers.destination {
        next.push(format!("then look for `{}` under Services in SigNoz", answers.service_name));
    }
    next.push(format!("take everything back: signoz-setup --undo {}", project.display()));
    next
}
