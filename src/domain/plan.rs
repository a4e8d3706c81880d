//! The plan: one object that is shown, applied, journalled and undone.
//!
//! May never touch the machine, and may never serialise a secret: content serialises masked.

use super::packages::{PackageTool, Resolution};
use super::secret::IngestionKey;
use serde::{Serialize, Serializer};
use std::path::PathBuf;

/// Stable name of a step, `write.run-script`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct StepId(pub String);

/// Text of a file with holes for secrets. Shows and serialises with dots in the holes.
#[derive(Debug, Clone, PartialEq)]
pub struct Content {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq)]
enum Part {
    Text(String),
    Key(IngestionKey),
}

impl Content {
    /// What stands in the place of a secret wherever it is shown.
    pub const MASK: &'static str = "••••••••";

    /// Text without secrets.
    pub fn text(text: impl Into<String>) -> Self {
        Self {
            parts: vec![Part::Text(text.into())],
        }
    }

    /// Appends text.
    #[must_use]
    pub fn then(mut self, text: impl Into<String>) -> Self {
        self.parts.push(Part::Text(text.into()));
        self
    }

    /// Appends a secret.
    #[must_use]
    pub fn then_key(mut self, key: IngestionKey) -> Self {
        self.parts.push(Part::Key(key));
        self
    }

    /// The text as people may see it.
    #[must_use]
    pub fn masked(&self) -> String {
        self.parts
            .iter()
            .map(|part| match part {
                Part::Text(text) => text.as_str(),
                Part::Key(_) => Self::MASK,
            })
            .collect()
    }

    /// The bytes for the file, secrets included. For the engine only.
    #[must_use]
    pub fn reveal(&self) -> String {
        self.parts
            .iter()
            .map(|part| match part {
                Part::Text(text) => text.as_str(),
                Part::Key(key) => key.expose(),
            })
            .collect()
    }

    /// Whether it holds a secret, so that its file must be 0600 from the first byte and its backups private.
    #[must_use]
    pub fn is_secret(&self) -> bool {
        self.parts.iter().any(|part| matches!(part, Part::Key(_)))
    }
}

impl Serialize for Content {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.masked())
    }
}

/// What a step does to the machine. Every use is an exhaustive match, so that no kind is half supported.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Change {
    /// Creates or replaces a file that is ours.
    WriteFile {
        /// Absolute path.
        path: PathBuf,
        /// The whole file.
        content: Content,
        /// Permission bits, `0o644`.
        mode: u32,
    },
    /// Puts a marked block into a file that is the person's; the rest stays byte for byte.
    EditBlock {
        /// Absolute path.
        path: PathBuf,
        /// The lines between the markers.
        content: Content,
        /// What starts a comment line in that file: `#`, `;`.
        comment: String,
    },
    /// Installs into the app's environment with its own tool, in one call.
    InstallPackages {
        /// The environment's interpreter.
        python: PathBuf,
        /// Folders of its metadata, to read it again afterwards.
        site_packages: Vec<PathBuf>,
        /// The tool.
        tool: PackageTool,
        /// Absolute path of the tool's program (for pip: the interpreter).
        program: PathBuf,
        /// The project folder, for tools that edit it.
        project: PathBuf,
        /// PEP 508 requirements.
        requirements: Vec<String>,
        /// What the dry resolve said; its exact versions are what is installed.
        resolution: Resolution,
        /// No network: only what is cached or in a local wheel folder.
        offline: bool,
    },
    /// Runs a command that has an inverse, or needs none.
    RunCommand {
        /// Program and arguments, never a shell string.
        argv: Vec<String>,
        /// The inverse.
        undo: Option<Vec<String>>,
    },
}

/// One step of the plan.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Step {
    /// Stable name.
    pub id: StepId,
    /// What it does, imperative: `write the run script`.
    pub title: String,
    /// Why it is needed, one sentence.
    pub why: String,
    /// The change.
    #[serde(flatten)]
    pub change: Change,
}

/// Ordered steps. Built by the planner, never changed afterwards.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Plan {
    /// In the order in which they are applied; undone backwards.
    pub steps: Vec<Step>,
}

/// How far a step is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum StepState {
    /// Would change something.
    Pending,
    /// Already as it should be; never undone.
    Satisfied,
    /// Begun, not known to be finished.
    Started,
    /// Done by us.
    Applied,
    /// Went wrong.
    Failed,
    /// Put back.
    Reverted,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_serialises_masked() {
        let key = IngestionKey::parse("canary-4711").unwrap();
        let content = Content::text("A=").then_key(key).then("\n");
        assert!(content.is_secret());
        assert_eq!(content.reveal(), "A=canary-4711\n");
        let json = serde_json::to_string(&content).unwrap();
        assert!(!json.contains("canary") && !format!("{content:?}").contains("canary"), "{json}");
    }
}
