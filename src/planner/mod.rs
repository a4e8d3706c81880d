//! `Detection` + `Answers` → `Plan`. Pure and deterministic: may never touch the machine.

pub mod env_file;
pub mod launch;
pub mod packages;
pub mod templates;
mod vm;

use crate::domain::detection::{PythonEnvironment, Server};
use crate::domain::plan::{Change, Plan, Step, StepId};
use crate::domain::{Answers, Coverage, Detection, Requirement, Resolution};
use crate::error::Result;
pub use packages::requirements;
use std::path::Path;

/// Everything that a plan is made of.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    /// What was found.
    pub detection: &'a Detection,
    /// What was decided.
    pub answers: &'a Answers,
    /// The start command, taken apart.
    pub server: &'a Server,
    /// What will be traced.
    pub coverage: &'a [Coverage],
    /// What is to be installed.
    pub requirements: &'a [Requirement],
    /// What the dry resolve said.
    pub resolution: &'a Resolution,
    /// What `signoz-setup.toml` of the project holds today; `None` when it is not there.
    pub answers_file: Option<&'a str>,
    /// The project folder, absolute.
    pub project: &'a Path,
    /// The app's environment.
    pub python: &'a PythonEnvironment,
    /// The package tool's program, absolute.
    pub program: &'a Path,
    /// No network.
    pub offline: bool,
}

/// Builds the plan.
///
/// # Errors
/// When a template is defective, or the answers cannot be written down.
pub fn build(input: &Input<'_>) -> Result<Plan> {
    let mut steps = vec![install(input)];
    steps.extend(vm::steps(input)?);
    Ok(Plan { steps })
}

fn install(input: &Input<'_>) -> Step {
    let count = input.requirements.len();
    Step {
        id: StepId("install.packages".to_owned()),
        title: format!("install {count} packages with {}", input.python.package_manager.as_str()),
        why: format!(
            "the {} releases of OpenTelemetry, and the instrumentations that the app's libraries need",
            input.answers.instrumentation
        ),
        change: Change::InstallPackages {
            python: input.python.interpreter.clone(),
            site_packages: input.python.site_packages.clone(),
            tool: input.python.package_manager,
            program: input.program.to_path_buf(),
            project: input.project.to_path_buf(),
            requirements: input.requirements.iter().map(|requirement| requirement.text.clone()).collect(),
            resolution: input.resolution.clone(),
            offline: input.offline,
        },
    }
}
