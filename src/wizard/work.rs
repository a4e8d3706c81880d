//! From the plan to the report: review, apply, verify, rehearse, undo.

use super::message::{Effect, Input, Leaving, Ticket, Work};
use super::{Applying, Live, Review, Screen, Verifying, Waiting, Wizard};
use crate::domain::{Report, StepState};
use crate::error::{Error, Kind};

impl Wizard {
    /// Answers become a plan.
    pub(super) fn prepare(&mut self) -> Vec<Effect> {
        self.show(Screen::Waiting(Waiting::Plan));
        let ticket = self.ticket();
        self.working = Some((ticket, Work::Prepare));
        self.live = Live::default();
        vec![Effect::Prepare(ticket, Box::new(self.interview.answers()))]
    }

    pub(super) fn begin(&mut self, work: Work) -> Vec<Effect> {
        let ticket = self.ticket();
        self.working = Some((ticket, work));
        // The stages of verification stay on the screen while the app is rehearsed.
        if work != Work::Rehearse {
            self.live = Live::default();
        }
        vec![Effect::Start(ticket, work)]
    }

    /// Nobody waits for the work that is going on any more.
    pub(super) fn drop_work(&mut self) -> Vec<Effect> {
        if self.working.take().is_some() {
            vec![Effect::Cancel]
        } else {
            Vec::new()
        }
    }

    /// Whether any step of the plan would change something.
    #[must_use]
    pub fn has_pending_steps(&self) -> bool {
        let steps = self.report.plan.iter().flat_map(|plan| &plan.steps);
        steps.into_iter().any(|step| step.state == StepState::Pending)
    }

    pub(super) fn problem(&mut self, input: &Input) -> Vec<Effect> {
        let Screen::Problem(error) = &self.screen else {
            return Vec::new();
        };
        match input {
            Input::Enter | Input::Char('r') => self.prepare(),
            Input::Char('q') => vec![Effect::Leave(Leaving::Failed(error.clone()))],
            Input::Esc => {
                let last = self.interview.last();
                self.show_or_welcome(last)
            }
            Input::Up => self.scrolled(-1),
            Input::Down => self.scrolled(1),
            _ => Vec::new(),
        }
    }

    pub(super) fn scrolled(&mut self, lines: isize) -> Vec<Effect> {
        self.scroll_by(lines);
        Vec::new()
    }

    pub(super) fn review(&mut self, review: Review, input: &Input) -> Vec<Effect> {
        let steps = self.report.plan.as_ref().map_or(0, |plan| plan.steps.len());
        let step = match input {
            Input::Up => review.step.saturating_sub(1),
            Input::Down | Input::Tab => (review.step + 1).min(steps.saturating_sub(1)),
            Input::Char('e') => {
                self.show(Screen::Review(Review {
                    explained: !review.explained,
                    ..review
                }));
                return Vec::new();
            }
            Input::Char('j') => return self.scrolled(1),
            Input::Char('k') => return self.scrolled(-1),
            Input::Esc => {
                let last = self.interview.last();
                return self.show_or_welcome(last);
            }
            Input::Enter if self.has_pending_steps() => {
                self.show(Screen::Applying(Applying {
                    work: Work::Apply,
                    asked_to_stop: false,
                    stopping: false,
                }));
                return self.begin(Work::Apply);
            }
            Input::Enter => return self.verify(),
            _ => return Vec::new(),
        };
        self.show(Screen::Review(Review { step, ..review }));
        Vec::new()
    }

    fn verify(&mut self) -> Vec<Effect> {
        if !self.options.verify || self.options.offline {
            // What was not run is said by the report.
            self.show(Screen::Report);
            return self.begin(Work::Verify);
        }
        self.show(Screen::Verifying(Verifying::Sending));
        self.begin(Work::Verify)
    }

    pub(super) fn applying(&mut self, applying: Applying, input: &Input) -> Vec<Effect> {
        let Screen::Applying(shown) = &mut self.screen else {
            return Vec::new();
        };
        match input {
            Input::Esc if applying.stopping => Vec::new(),
            Input::Esc if applying.asked_to_stop => {
                shown.stopping = true;
                vec![Effect::Cancel]
            }
            Input::Esc => {
                shown.asked_to_stop = true;
                Vec::new()
            }
            Input::Up => self.scrolled(1),
            Input::Down => self.scrolled(-1),
            _ => {
                shown.asked_to_stop = false;
                Vec::new()
            }
        }
    }

    pub(super) fn verifying(&mut self, verifying: Verifying, input: &Input) -> Vec<Effect> {
        match (verifying, input) {
            (_, Input::Up) => self.scrolled(-1),
            (_, Input::Down) => self.scrolled(1),
            (Verifying::Offer, Input::Enter) => {
                self.screen = Screen::Verifying(Verifying::Rehearsing);
                self.begin(Work::Rehearse)
            }
            (Verifying::Offer, Input::Char('s')) | (Verifying::Done, Input::Enter) => {
                self.show(Screen::Report);
                Vec::new()
            }
            // The plan again, as it stands now.
            (_, Input::Esc) => {
                let mut effects = self.drop_work();
                effects.extend(self.prepare());
                effects
            }
            _ => Vec::new(),
        }
    }

    pub(super) fn closing(&mut self, input: &Input) -> Vec<Effect> {
        match input {
            Input::Up => self.scrolled(-1),
            Input::Down => self.scrolled(1),
            Input::Enter | Input::Char('q') if self.working.is_none() => vec![Effect::Leave(Leaving::Done)],
            Input::Esc => {
                let mut effects = self.drop_work();
                effects.extend(if self.report.undo.is_some() {
                    self.show_or_welcome(None)
                } else {
                    self.prepare()
                });
                effects
            }
            _ => Vec::new(),
        }
    }

    /// A piece of work has ended.
    pub(super) fn done(&mut self, ticket: Ticket, work: Work, report: Box<Report>, error: Option<Box<Error>>) -> Vec<Effect> {
        if self.working != Some((ticket, work)) {
            return Vec::new();
        }
        self.working = None;
        self.report = *report;
        if let Some(leaving) = self.leaving.take() {
            return vec![Effect::Leave(leaving)];
        }
        if let Some(error) = error {
            let stopped = matches!(error.kind, Kind::Interrupted(_));
            return match work {
                // Stopped by the person, and put back: the plan again.
                Work::Apply if stopped => self.prepare(),
                _ => {
                    self.show(Screen::Problem(error));
                    Vec::new()
                }
            };
        }
        match work {
            Work::Prepare => {
                let first = self
                    .report
                    .plan
                    .as_ref()
                    .and_then(|plan| plan.steps.iter().position(|step| step.state == StepState::Pending));
                self.show(Screen::Review(Review {
                    step: first.unwrap_or(0),
                    explained: false,
                }));
            }
            Work::Apply => {
                self.options.undoable = true;
                self.options.saved = true;
                return self.verify();
            }
            Work::Verify if matches!(self.screen, Screen::Report) => {}
            Work::Verify => self.screen = Screen::Verifying(Verifying::Offer),
            Work::Rehearse => self.screen = Screen::Verifying(Verifying::Done),
            Work::Undo => {
                self.options.undoable = false;
                self.options.saved = false;
                self.options.interrupted = false;
                self.show(Screen::Report);
                // Packages and files are others now.
                let ticket = self.ticket();
                self.detecting = Some(ticket);
                return vec![Effect::Detect(ticket, self.interview.draft.python.clone())];
            }
        }
        Vec::new()
    }
}
