//! Checks on spans that really arrive.

use super::{Check, Failure, Family, ROW, Scene, Severity, Verdict, page};
use crate::detect::survey::StartLine;
use crate::domain::Outcome;
use crate::domain::detection::Evidence;
use crate::planner::templates::VERIFY_SPAN;
use crate::verify::python::{PythonRequest, probe};
use std::time::Duration;

/// In their order.
pub(super) const CHECKS: &[Check] = &[PYTHON, FLUSHED];

const PYTHON: Check = Check {
    id: "span.python",
    family: Family::Span,
    title: "a verification span of the app's own Python, under the run script, is accepted",
    why: "the packages, the loader and the variables are right only when the app's own interpreter can send",
    remedy: "do what the detail says, then run the check again",
    doc: "https://signoz.io/docs/instrumentation/opentelemetry-python/",
    page: page!("span.python"),
    covers: &["A11", "B06", "B20"],
    network: true,
    spared: |scene| {
        if !scene.is_set_up() {
            Some("set-up was not run here")
        } else if scene.python().is_none() {
            Some("the app's Python was not found")
        } else {
            None
        }
    },
    run: python,
    ..ROW
};

/// Longest start of an interpreter with every instrumentation, and one export.
const PATIENCE: Duration = Duration::from_secs(40);

fn python(scene: &Scene<'_>) -> Verdict {
    let Some(python) = scene.python() else {
        return Verdict::Unknown("the app's Python was not found".to_owned());
    };
    let request = PythonRequest {
        directory: scene.project,
        run_script: &scene.run_script(),
        python: &python.interpreter,
        protocol: scene.destination().map(|(_, protocol)| protocol).unwrap_or_default(),
        service_name: None,
        script: VERIFY_SPAN,
        receiver: None,
        deadline: PATIENCE,
    };
    match scene.python_probe(|| probe(scene.system, &request, &|_| {})) {
        Err(error) => Verdict::Unknown(error.what.clone()),
        Ok(level) => match level.outcome {
            Outcome::Pass => Verdict::Pass(format!("{}; accepted is not stored", level.detail)),
            Outcome::Skip | Outcome::Unknown => Verdict::Unknown(level.detail.clone()),
            Outcome::Warn | Outcome::Fail => {
                let place = Evidence::new(".signoz/run.sh", format!("{} -c …", python.interpreter.display()));
                let failure = Failure::new(level.detail.clone()).because([place]);
                let failure = match &level.remedy {
                    Some(remedy) => failure.remedy(remedy.clone()),
                    None => failure,
                };
                if level.outcome == Outcome::Warn {
                    failure.mild().into()
                } else {
                    failure.into()
                }
            }
        },
    }
}

const FLUSHED: Check = Check {
    id: "span.flushed-at-stop",
    family: Family::Span,
    title: "the last spans are sent when the app is stopped",
    why: "servers that end by the signal itself lose the spans of the last seconds at each deployment",
    remedy: "start the app with `.signoz/run.sh`, which sends what is left when SIGTERM comes",
    doc: "https://signoz.io/docs/instrumentation/opentelemetry-python/",
    page: page!("span.flushed-at-stop"),
    severity: Severity::Warning,
    covers: &["C17"],
    spared: |scene| (!scene.is_set_up() && scene.starts().next().is_none()).then_some("no start command was found"),
    run: flushed,
    ..ROW
};

fn flushed(scene: &Scene<'_>) -> Verdict {
    let hurt: Vec<(&StartLine, &str)> = scene
        .starts()
        .filter(|start| start.agents.iter().any(|agent| agent.ends_with("opentelemetry-instrument")))
        .filter(|start| !start.words.iter().any(|word| word.ends_with(".signoz/run.sh")))
        .filter_map(|start| Some((start, ends_by_signal(start)?)))
        .collect();
    let Some((first, server)) = hurt.first() else {
        return if scene.is_set_up() {
            Verdict::Pass("no start command leaves the run script out and is known to lose spans at the end".to_owned())
        } else {
            Verdict::Skip("no start command is known to lose spans at the end".to_owned())
        };
    };
    Failure::new(format!(
        "{server} ends by SIGTERM itself, so that the last batch of spans is not sent"
    ))
    .remedy(format!(
        "in {}, start the app with `{} {}`",
        first.source,
        scene.run_script().display(),
        crate::detect::survey::masked_text(&first.inner.join(" "))
    ))
    .because(
        hurt.iter()
            .map(|(start, _)| Evidence::new(start.source.clone(), start.fact.clone())),
    )
    .into()
}

/// Servers of which it was measured that they end without running Python's exit handlers.
fn ends_by_signal(start: &StartLine) -> Option<&'static str> {
    let program = start.inner.first()?.rsplit('/').next()?;
    let has = |text: &str| start.inner.iter().any(|word| word.ends_with(text));
    match program {
        "uvicorn" => Some("uvicorn"),
        "flask" if has("run") => Some("flask run"),
        "gunicorn" if has("UvicornWorker") => Some("gunicorn's UvicornWorker"),
        _ => None,
    }
}
