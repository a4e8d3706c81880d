//! Distributions, requirements and what a resolver says would happen to them.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// An installed distribution, as its `dist-info` folder tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Distribution {
    /// Normalised name (PEP 503: lower case, `-`).
    pub name: String,
    /// Version text.
    pub version: String,
    /// `Requires-Dist` lines, unparsed.
    #[serde(skip)]
    pub requires: Vec<String>,
    /// The `dist-info` (or `egg-info`) folder.
    #[serde(skip)]
    pub location: PathBuf,
}

/// The tool that owns the environment's packages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PackageTool {
    /// `python -m pip`, in a venv, a conda prefix or the system.
    Pip,
    /// `uv pip`, for an environment without a uv project.
    Uv,
    /// `uv add`, for a project with `uv.lock`.
    UvProject,
    /// `poetry add`.
    Poetry,
    /// `pdm add`.
    Pdm,
    /// `pipenv install`.
    Pipenv,
    /// A conda prefix: its own pip.
    Conda,
}

impl PackageTool {
    /// The command's name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pip => "pip",
            Self::Uv | Self::UvProject => "uv",
            Self::Poetry => "poetry",
            Self::Pdm => "pdm",
            Self::Pipenv => "pipenv",
            Self::Conda => "conda",
        }
    }

    /// Whether it writes the project's own files (`pyproject.toml`, lock files) when it adds a package.
    #[must_use]
    pub const fn edits_project(self) -> bool {
        matches!(self, Self::UvProject | Self::Poetry | Self::Pdm | Self::Pipenv)
    }
}

/// A requirement that the plan installs, with the reason that is shown beside it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Requirement {
    /// PEP 508 text: `opentelemetry-distro==0.38b0`.
    pub text: String,
    /// Why it is needed: `pinned by the SigNoz docs`, `flask 3.1.3 is installed`.
    pub why: String,
}

/// A distribution whose version the install would change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Move {
    /// Normalised name.
    pub name: String,
    /// Version now; `None` when it is not installed.
    pub from: Option<String>,
    /// Version afterwards.
    pub to: String,
}

/// A package of the app whose requirement the install would violate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Conflict {
    /// Normalised name of the app's package.
    pub package: String,
    /// Its version.
    pub version: String,
    /// Its requirement, as its metadata has it.
    pub requires: String,
    /// What it would get, `protobuf 4.25.9`.
    pub would_get: String,
    /// A version of `package` that would fit, when the resolver could find one (`fastapi 0.141.1`).
    pub way_out: Option<String>,
}

/// What a dry resolve found, before anything was touched.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Resolution {
    /// Everything that would be installed or moved; empty when the environment already fits.
    pub moves: Vec<Move>,
    /// Requirements of the app that would be violated and are not violated today.
    pub conflicts: Vec<Conflict>,
    /// Address and hash (`https://…whl#sha256=…`) of each wheel that pip chose, so that it need not search the index twice.
    /// Empty when not all of them are public wheels.
    #[serde(skip)]
    pub wheels: Vec<String>,
}

impl Resolution {
    /// Moves that change a version which is there today.
    pub fn changed(&self) -> impl Iterator<Item = &Move> {
        self.moves.iter().filter(|step| step.from.is_some())
    }
}
