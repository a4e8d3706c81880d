//! Pure data that every other module speaks in: answers, detection, plan, report.
//!
//! May never do I/O, read the clock, or look at the environment.

pub mod answers;
pub mod coverage;
pub mod detection;
pub mod event;
pub mod packages;
pub mod plan;
pub mod report;
pub mod secret;
pub mod target;

pub use answers::{Answers, Draft};
pub use coverage::{Coverage, CoverageStatus};
pub use detection::Detection;
pub use event::Event;
pub use packages::{Distribution, PackageTool, Requirement, Resolution};
pub use plan::{Change, Content, Plan, Step, StepId, StepState};
pub use report::{Level, LevelReport, Outcome, Report, WorkerRow};
pub use secret::{ApiKey, IngestionKey};
pub use target::{Endpoint, InstrumentationSet, Protocol, Region, ServiceName, Target};
