//! Progress, as data: what a long job says while it runs. Front ends decide how it looks.

use super::plan::{StepId, StepState};
use serde::Serialize;

/// Something that happened while a job ran.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A stage of the pipeline began: `detecting`, `resolving`, `installing`, …
    Stage {
        /// What is being done, present participle, lower case.
        title: String,
    },
    /// A step of the plan changed its state.
    Step {
        /// Which.
        id: StepId,
        /// Its title.
        title: String,
        /// The new state.
        state: StepState,
    },
    /// A line that a child process printed; already free of secrets and control characters.
    Line {
        /// The text.
        text: String,
    },
    /// A stage of verification ended: `dns`, `tcp`, `tls`, `auth`, `accepted`.
    Verified {
        /// Which.
        stage: String,
        /// Whether it passed.
        passed: bool,
        /// What was seen.
        detail: String,
    },
    /// The rehearsal's table changed.
    Workers {
        /// One row for each worker process.
        rows: Vec<super::report::WorkerRow>,
    },
    /// A check begins that may take longer than a moment.
    Checking {
        /// Its id.
        id: &'static str,
        /// Its title.
        title: &'static str,
    },
    /// A check has ended.
    Checked {
        /// What it found.
        finding: Box<super::report::Finding>,
    },
    /// Something the person should know that is not a failure.
    Warning {
        /// The text.
        text: String,
    },
}

/// Where events go; called from the thread that does the work.
pub type Observer<'a> = &'a (dyn Fn(Event) + Send + Sync);
