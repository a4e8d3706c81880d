//! Questions on the screen: choosing, typing, going on and back.

use super::field::Field;
use super::interview::Way;
use super::message::{Effect, Input, Ticket};
use super::question::{Choice, Kind, Question, Then};
use super::{KeyState, Screen, Waiting, Wizard};
use crate::domain::{LevelReport, Region};

/// A question on the screen.
#[derive(Debug, Clone)]
pub struct Ask {
    /// Which.
    pub question: &'static Question,
    /// What there is to choose from; empty for a text.
    pub choices: Vec<Choice>,
    /// The chosen line.
    pub line: usize,
    /// The text.
    pub field: Field,
    /// What is wrong with the last answer.
    pub problem: Option<String>,
    touched: bool,
}

impl Ask {
    pub(super) fn is_untouched(&self) -> bool {
        !self.touched
    }

    /// The answer as it stands: the chosen value, or the text.
    fn answer(&self) -> String {
        match self.question.kind {
            Kind::Choice => self.choices.get(self.line).map(|choice| choice.value.clone()).unwrap_or_default(),
            Kind::Text | Kind::Secret => self.field.value().to_owned(),
        }
    }
}

impl Wizard {
    /// Shows a question, with what stands there already; without one, the plan is made.
    pub(super) fn come_to(&mut self, question: Option<&'static Question>) -> Vec<Effect> {
        let Some(question) = question else {
            return self.prepare();
        };
        let choices = (question.choices)(&self.interview);
        let current = (question.current)(&self.interview);
        let line = choices
            .iter()
            .position(|choice| Some(&choice.value) == current.as_ref())
            .unwrap_or(0);
        let field = match question.kind {
            Kind::Choice => Field::default(),
            Kind::Text => Field::new(current.unwrap_or_default()),
            Kind::Secret => Field::secret(),
        };
        self.show(Screen::Ask(Ask {
            question,
            choices,
            line,
            field,
            problem: None,
            touched: false,
        }));
        Vec::new()
    }

    pub(super) fn ask(&mut self, input: Input) -> Vec<Effect> {
        let Screen::Ask(ask) = &mut self.screen else {
            return Vec::new();
        };
        match (ask.question.kind, input) {
            (_, Input::Enter) => return self.answer(),
            (_, Input::Esc) => return self.back(),
            (Kind::Choice, Input::Up) => ask.line = ask.line.saturating_sub(1),
            (Kind::Choice, Input::Down | Input::Tab) => ask.line = (ask.line + 1).min(ask.choices.len().saturating_sub(1)),
            (Kind::Choice, Input::Char(digit @ '1'..='9')) => {
                let line = digit as usize - '1' as usize;
                if line < ask.choices.len() {
                    ask.line = line;
                }
            }
            (Kind::Choice, _) => return Vec::new(),
            (_, Input::Char(character)) => ask.field.insert(character),
            (_, Input::Paste(text)) => ask.field.paste(&text),
            (_, Input::Edit(edit)) => ask.field.edit(edit),
            (_, _) => return Vec::new(),
        }
        ask.touched = true;
        ask.problem = None;
        Vec::new()
    }

    fn answer(&mut self) -> Vec<Effect> {
        let Screen::Ask(ask) = &mut self.screen else {
            return Vec::new();
        };
        let question = ask.question;
        let answer = ask.answer();
        if let Err(problem) = (question.take)(&mut self.interview, &answer) {
            ask.problem = Some(problem);
            return Vec::new();
        }
        let mut effects = match question.then {
            Then::Nothing => Vec::new(),
            // The person is about to type its path.
            Then::Detect if self.interview.other_python && question.kind == Kind::Choice => Vec::new(),
            Then::Detect => {
                let ticket = self.ticket();
                self.detecting = Some(ticket);
                vec![Effect::Detect(ticket, self.interview.draft.python.clone())]
            }
            Then::CheckKey => self.check_key(),
            Then::FindRegion if self.interview.way == Way::Find => {
                let ticket = self.ticket();
                self.seeking = Some(ticket);
                self.show(Screen::Waiting(Waiting::Region));
                return vec![Effect::FindRegion(ticket, Box::new(self.interview.answers()))];
            }
            Then::FindRegion => Vec::new(),
        };
        effects.extend(self.go_on(question));
        effects
    }

    /// The next question, or the plan.
    fn go_on(&mut self, question: &'static Question) -> Vec<Effect> {
        let next = if self.hurried {
            self.interview.first_open()
        } else {
            self.interview.after(question)
        };
        self.come_to(next)
    }

    /// Tries the key while the person goes on; a check that is under way for other answers counts no more.
    fn check_key(&mut self) -> Vec<Effect> {
        self.checking = None;
        self.key = KeyState::Unchecked;
        let draft = self.interview.answers();
        let ready = self.interview.endpoint().is_some() && (draft.key.is_some() || draft.endpoint.is_some());
        if self.options.offline || !ready {
            return Vec::new();
        }
        let ticket = self.ticket();
        self.checking = Some(ticket);
        self.key = KeyState::Checking;
        vec![Effect::CheckKey(ticket, Box::new(draft))]
    }

    /// To the question before this one, or to the welcome screen. What was typed here and not yet taken is not an answer.
    pub(super) fn back(&mut self) -> Vec<Effect> {
        let Screen::Ask(ask) = &self.screen else {
            return Vec::new();
        };
        // A text that is an answer is kept; one that is not may be half typed.
        let question = ask.question;
        let (touched, answer) = (ask.touched, ask.answer());
        if touched && question.kind == Kind::Text {
            let _ = (question.take)(&mut self.interview, &answer);
        }
        match self.interview.before(question) {
            Some(before) => self.come_to(Some(before)),
            None => {
                self.show(Screen::Welcome(0));
                Vec::new()
            }
        }
    }

    pub(super) fn regions_tried(&mut self, ticket: Ticket, tried: Vec<(Region, LevelReport)>) -> Vec<Effect> {
        if self.seeking != Some(ticket) {
            return Vec::new();
        }
        self.seeking = None;
        let level = match self.interview.regions_tried(&tried) {
            Ok(level) => level,
            Err(problem) => {
                let region = self.interview.questions().find(|question| question.id == "region");
                let effects = self.come_to(region);
                if let Screen::Ask(ask) = &mut self.screen {
                    ask.problem = Some(problem);
                }
                return effects;
            }
        };
        self.key = KeyState::Checked(Box::new(level));
        let found = super::question::QUESTIONS.iter().find(|question| question.id == "find-region");
        found.map_or_else(Vec::new, |question| self.go_on(question))
    }

    pub(super) fn waiting(&mut self, waiting: Waiting, input: &Input) -> Vec<Effect> {
        if *input != Input::Esc {
            return Vec::new();
        }
        let last = match waiting {
            Waiting::Region => {
                self.seeking = None;
                self.interview.questions().find(|question| question.id == "find-region")
            }
            Waiting::Plan => self.interview.last(),
        };
        let mut effects = self.drop_work();
        effects.extend(self.show_or_welcome(last));
        effects
    }

    /// Back to a question; to the welcome screen when every answer was given beforehand.
    pub(super) fn show_or_welcome(&mut self, question: Option<&'static Question>) -> Vec<Effect> {
        self.hurried = false;
        match question {
            Some(question) => self.come_to(Some(question)),
            None => {
                self.show(Screen::Welcome(0));
                Vec::new()
            }
        }
    }
}
