//! What set-up refuses before it changes anything, each with the reason and the way out.

use crate::coverage;
use crate::domain::answers::Answers;
use crate::domain::coverage::CoverageStatus;
use crate::domain::detection::{EnvironmentKind, PythonEnvironment};
use crate::domain::{Coverage, Detection, InstrumentationSet, Resolution};
use crate::error::{Error, Result};

/// The environment to install into, or why there is none.
///
/// `chosen`: the person named it (`--python`), so that a shared one is fine.
pub(super) fn environment(detection: &Detection, chosen: bool) -> Result<&PythonEnvironment> {
    let Some(python) = &detection.python else {
        return Err(Error::refused("no Python environment was found")
            .because("neither a virtual environment in the project nor a python3 on PATH")
            .remedy("make one with `python3 -m venv .venv` and install the app into it")
            .remedy("or pass --python with its interpreter or folder"));
    };
    match &python.broken {
        // A Python that other programs share is never changed because it happens to be on PATH.
        None if python.kind == EnvironmentKind::System && !chosen => {
            Err(Error::refused("the project has no Python environment of its own")
                .because(format!(
                    "what was found is `{}`, which other programs may share",
                    python.interpreter.display()
                ))
                .remedy("make one (`python3 -m venv .venv`), install the app into it, and run set-up again")
                .remedy(format!(
                    "or pass --python {} to install there all the same",
                    python.interpreter.display()
                )))
        }
        None => Ok(python),
        Some(why) => Err(
            Error::refused(format!("the Python environment `{}` cannot be used", python.interpreter.display()))
                .because(why.clone())
                .remedy("make it again (`python3 -m venv --clear .venv`) or pass --python with another one"),
        ),
    }
}

/// A dependency conflict; marks the libraries that would break.
pub(super) fn refuse_conflicts(resolution: &Resolution, answers: &Answers, coverage: &mut [Coverage]) -> Result<()> {
    let Some(first) = resolution.conflicts.first() else { return Ok(()) };
    for row in coverage
        .iter_mut()
        .filter(|row| resolution.conflicts.iter().any(|conflict| conflict.package == row.library))
    {
        row.status = CoverageStatus::Conflict;
        row.note = "the set would break it".to_owned();
    }
    let lines: Vec<String> = resolution
        .conflicts
        .iter()
        .map(|conflict| {
            format!(
                "{} {} requires {} but would get {}",
                conflict.package, conflict.version, conflict.requires, conflict.would_get
            )
        })
        .collect();
    let mut error = Error::refused("the packages would break the app").because(lines.join("; "));
    if answers.instrumentation == InstrumentationSet::Pinned {
        error = error.remedy("pass --instrumentation current: newer releases accept newer packages");
    }
    if let Some(way_out) = &first.way_out {
        error = error.remedy(format!("or install {way_out} first, which fits"));
    }
    Err(error.remedy("`signoz-setup --explain packages.conflict-free` says more"))
}

/// A set that would trace nothing, unless the person accepts that.
pub(super) fn refuse_silence(coverage: &[Coverage], answers: &Answers) -> Result<()> {
    let Some(why) = coverage::silence(coverage).filter(|_| !answers.accept_gaps) else {
        return Ok(());
    };
    let mut error = Error::refused(format!(
        "the {} set would not trace one request of this app",
        answers.instrumentation
    ))
    .because(why);
    if answers.instrumentation == InstrumentationSet::Pinned {
        error = error.remedy("pass --instrumentation current");
    }
    Err(error
        .remedy("or pass --accept-gaps to install all the same")
        .remedy("`signoz-setup --explain coverage.server-traced` says more"))
}
