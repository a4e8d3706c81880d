//! The stages of one probe, told to the observer as they end.

use super::STAGES;
use crate::domain::event::Observer;
use crate::domain::report::Stage;
use crate::domain::{Event, Outcome};

/// The stages so far.
pub(super) struct Log<'a> {
    pub(super) stages: Vec<Stage>,
    observer: Observer<'a>,
}

impl<'a> Log<'a> {
    pub(super) fn new(observer: Observer<'a>) -> Self {
        Self {
            stages: Vec::new(),
            observer,
        }
    }

    pub(super) fn end(&mut self, name: &str, outcome: Outcome, detail: impl Into<String>) {
        let detail = detail.into();
        (self.observer)(Event::Verified {
            stage: name.to_owned(),
            passed: !matches!(outcome, Outcome::Fail | Outcome::Unknown),
            detail: detail.clone(),
        });
        // A stage that seemed to be over is reported as it ended.
        self.stages.retain(|stage| stage.name != name);
        self.stages.push(Stage {
            name: name.to_owned(),
            outcome,
            detail,
        });
    }

    pub(super) fn pass(&mut self, name: &str, detail: impl Into<String>) {
        self.end(name, Outcome::Pass, detail);
    }

    /// A stage that there is nothing to say about is not told to the observer.
    pub(super) fn skip(&mut self, name: &str, detail: &str) {
        self.stages.push(Stage {
            name: name.to_owned(),
            outcome: Outcome::Skip,
            detail: detail.to_owned(),
        });
    }

    /// All stages in their order, with those that were not reached.
    pub(super) fn complete(mut self) -> Vec<Stage> {
        for name in STAGES {
            if !self.stages.iter().any(|stage| stage.name == name) {
                self.skip(name, "not reached");
            }
        }
        let place = |stage: &Stage| STAGES.iter().position(|name| *name == stage.name).unwrap_or(STAGES.len());
        self.stages.sort_by_key(place);
        self.stages
    }
}
