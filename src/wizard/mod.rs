//! The wizard as a machine: a message goes in, the screen changes, effects come out.
//!
//! May never know a terminal, do I/O, read a clock, or wait: what takes time is an effect whose answer comes as a
//! message, and an answer that nobody waits for any more is dropped by its ticket.

mod ask;
pub mod field;
pub mod finish;
pub mod interview;
pub mod message;
pub mod question;
mod work;

use crate::domain::report::WorkerRow;
use crate::domain::{Event, LevelReport, Report};
use crate::error::{Error, Signal};
pub use ask::Ask;
pub use field::{Edit, Field};
pub use interview::{Found, Interview, KeptKey, SetOutlook, Way};
pub use message::{Effect, Input, Leaving, Msg, Ticket, Work};
use std::collections::VecDeque;

/// The smallest window in which every screen fits: columns, rows.
pub const SMALLEST: (u16, u16) = (60, 16);

/// Lines of the log pane that are kept.
const LOG: usize = 500;

/// What is known before anything is looked at.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The project folder.
    pub project: String,
    /// An earlier set-up's answers are there.
    pub saved: bool,
    /// There is something that undo would put back.
    pub undoable: bool,
    /// An earlier run was killed half way.
    pub interrupted: bool,
    /// No network.
    pub offline: bool,
    /// Verification is wanted.
    pub verify: bool,
}

/// Said at the start when an earlier run was killed.
pub const CLEARED: &str = "an earlier run was ended half way; what it left half done has been cleared";
/// Said at the start when answers were kept.
pub const SAVED: &str = "this project has been set up before; its answers are kept";
/// Said at the start when there is no network.
pub const OFFLINE: &str = "offline: nothing is sent, and nothing is verified";
/// Asked after verification: the rehearsal.
pub const OFFER: &str = "start it once, send it requests, and count what each worker sends?";
/// What the rehearsal does.
pub const OFFERED: &str = "on a free port of this machine; its spans go to a receiver inside this program, none to SigNoz";

/// What is shown.
#[derive(Debug, Clone)]
pub enum Screen {
    /// What was found, and what can be done; holds the chosen line of [`Wizard::menu`].
    Welcome(usize),
    /// A question.
    Ask(Ask),
    /// Something is at work that the next screen needs.
    Waiting(Waiting),
    /// It does not work like this.
    Problem(Box<Error>),
    /// The plan, step by step.
    Review(Review),
    /// Steps are applied, or put back.
    Applying(Applying),
    /// Spans are sent.
    Verifying(Verifying),
    /// What was done and seen.
    Report,
}

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waiting {
    /// The key is tried against every region.
    Region,
    /// Answers become a plan.
    Plan,
}

/// The plan's screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Review {
    /// The step whose diff is shown.
    pub step: usize,
    /// Its explanation is shown instead of its diff.
    pub explained: bool,
}

/// Steps at work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Applying {
    /// [`Work::Apply`] or [`Work::Undo`].
    pub work: Work,
    /// Esc was pressed once: the next one ends it.
    pub asked_to_stop: bool,
    /// It was told to end, and puts back what it changed.
    pub stopping: bool,
}

/// Verification, in its order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verifying {
    /// Levels `endpoint`, `python` and `stored` are at work.
    Sending,
    /// They are done; whether the app may be started is asked.
    Offer,
    /// The app is started and counted.
    Rehearsing,
    /// All is done that will be.
    Done,
}

/// What is known of the key.
#[derive(Debug, Clone, Default)]
pub enum KeyState {
    /// Nothing yet.
    #[default]
    Unchecked,
    /// It is being tried.
    Checking,
    /// The endpoint has answered.
    Checked(Box<LevelReport>),
}

/// What work that is going on has said.
#[derive(Debug, Clone, Default)]
pub struct Live {
    /// Stages in the order in which they began; the last one is at work.
    pub stages: Vec<LiveStage>,
    /// Lines of child processes.
    pub log: VecDeque<String>,
    /// The rehearsal's table.
    pub workers: Vec<WorkerRow>,
}

/// A stage, and what was seen in it.
#[derive(Debug, Clone, Default)]
pub struct LiveStage {
    /// `sending a span to the endpoint`.
    pub title: String,
    /// Name, whether it passed, what was seen.
    pub seen: Vec<(String, bool, String)>,
}

impl Live {
    fn take(&mut self, event: Event) {
        match event {
            Event::Stage { title } => self.stages.push(LiveStage { title, seen: Vec::new() }),
            Event::Verified { stage, passed, detail } => {
                if self.stages.is_empty() {
                    self.stages.push(LiveStage::default());
                }
                if let Some(last) = self.stages.last_mut() {
                    last.seen.push((stage, passed, detail));
                }
            }
            Event::Workers { rows } => self.workers = rows,
            Event::Line { text } | Event::Warning { text } => {
                self.log.push_back(text);
                if self.log.len() > LOG {
                    self.log.pop_front();
                }
            }
            Event::Checking { .. } | Event::Checked { .. } => {}
            Event::Step { title, state, .. } => self.log.push_back(format!("{title}: {state:?}").to_lowercase()),
        }
    }
}

/// A line of the welcome screen's menu.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Asks the questions.
    Begin,
    /// The plan of the saved answers against the machine.
    Look,
    /// Asks the questions, with the saved answers in place.
    Change,
    /// Puts everything back.
    Undo,
}

impl Action {
    /// As it is shown.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Begin => "set up",
            Self::Look => "see what is right, and what would change",
            Self::Change => "change the answers",
            Self::Undo => "undo: put everything back",
        }
    }
}

/// What can be done at the start.
#[must_use]
pub fn menu(options: &Options) -> Vec<Action> {
    let mut menu = if options.saved {
        vec![Action::Look, Action::Change]
    } else {
        vec![Action::Begin]
    };
    if options.undoable {
        menu.push(Action::Undo);
    }
    menu
}

/// The wizard.
#[derive(Debug)]
pub struct Wizard {
    /// What was known at the start.
    pub options: Options,
    /// The conversation.
    pub interview: Interview,
    /// What is shown.
    pub screen: Screen,
    /// Everything that is known by now.
    pub report: Report,
    /// What is known of the key.
    pub key: KeyState,
    /// What work that is going on has said.
    pub live: Live,
    /// Help lies over the screen.
    pub help: bool,
    /// How far the long part of the screen is scrolled.
    pub scroll: usize,
    /// How far it can be: the view knows how much it could not show.
    pub scroll_limit: usize,
    /// Counts moments, for what moves while something is at work.
    pub beat: usize,
    size: (u16, u16),
    tickets: Ticket,
    detecting: Option<Ticket>,
    checking: Option<Ticket>,
    seeking: Option<Ticket>,
    working: Option<(Ticket, Work)>,
    leaving: Option<Leaving>,
    /// Enter was pressed before the project had been looked at.
    eager: bool,
    /// Only questions without an answer are asked, on the way to the plan of the saved answers.
    hurried: bool,
}

impl Wizard {
    /// A wizard, and the first thing to do.
    #[must_use]
    pub fn new(options: Options, interview: Interview, size: (u16, u16)) -> (Self, Vec<Effect>) {
        let python = interview.draft.python.clone();
        let mut wizard = Self {
            options,
            interview,
            screen: Screen::Welcome(0),
            report: Report::new("setup"),
            key: KeyState::default(),
            live: Live::default(),
            help: false,
            scroll: 0,
            scroll_limit: 0,
            beat: 0,
            size,
            tickets: 0,
            detecting: None,
            checking: None,
            seeking: None,
            working: None,
            leaving: None,
            eager: false,
            hurried: false,
        };
        let ticket = wizard.ticket();
        wizard.detecting = Some(ticket);
        (wizard, vec![Effect::Detect(ticket, python)])
    }

    /// Takes a message; what has to be done comes back.
    #[must_use]
    pub fn update(&mut self, msg: Msg) -> Vec<Effect> {
        match msg {
            Msg::Input(input) => self.input(input),
            Msg::Ended(signal) => self.end(signal),
            Msg::Tick => {
                self.beat = self.beat.wrapping_add(1);
                Vec::new()
            }
            Msg::Progress(ticket, event) => self.progress(ticket, event),
            Msg::Found(ticket, found) => self.found(ticket, *found),
            Msg::Resolved(ticket, set, resolution) => {
                if self.detecting.is_none_or(|awaited| awaited == ticket) {
                    self.interview.resolved(set, *resolution);
                }
                Vec::new()
            }
            Msg::KeyChecked(ticket, level) => {
                if self.checking == Some(ticket) {
                    self.checking = None;
                    self.key = KeyState::Checked(level);
                }
                Vec::new()
            }
            Msg::RegionsTried(ticket, tried) => self.regions_tried(ticket, tried),
            Msg::Done(ticket, work, report, error) => self.done(ticket, work, report, error),
        }
    }

    /// Whether something is at work, so that time has to be shown passing.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.detecting.is_some() || self.seeking.is_some() || self.working.is_some() || self.checking.is_some() || self.resolving()
    }

    /// Whether the project is being looked at.
    #[must_use]
    pub fn is_detecting(&self) -> bool {
        self.detecting.is_some()
    }

    /// Whether the end waits for work that puts things back.
    #[must_use]
    pub fn is_leaving(&self) -> bool {
        self.leaving.is_some()
    }

    /// Whether the window is too small for any screen.
    #[must_use]
    pub fn is_too_small(&self) -> bool {
        self.size.0 < SMALLEST.0 || self.size.1 < SMALLEST.1
    }

    /// What can be done from the welcome screen.
    #[must_use]
    pub fn menu(&self) -> Vec<Action> {
        menu(&self.options)
    }

    fn resolving(&self) -> bool {
        matches!(&self.screen, Screen::Ask(ask) if ask.question.id == "instrumentation")
            && self
                .interview
                .found
                .iter()
                .any(|found| found.sets.iter().any(|set| set.resolution.is_none()))
    }

    fn ticket(&mut self) -> Ticket {
        self.tickets += 1;
        self.tickets
    }

    fn show(&mut self, screen: Screen) {
        self.screen = screen;
        self.scroll = 0;
        self.scroll_limit = 0;
    }

    fn input(&mut self, input: Input) -> Vec<Effect> {
        match input {
            Input::Resize(columns, rows) => {
                self.size = (columns, rows);
                return Vec::new();
            }
            Input::Interrupt => return self.end(Signal::Interrupt),
            // What cannot be seen cannot be answered.
            _ if self.is_too_small() || self.leaving.is_some() => return Vec::new(),
            _ if self.help => {
                self.help = false;
                return Vec::new();
            }
            Input::Help => {
                self.help = true;
                return Vec::new();
            }
            Input::Char('?') if !self.is_typing() => {
                self.help = true;
                return Vec::new();
            }
            Input::PageUp => {
                self.scroll_by(-(isize::from(i16::try_from(self.size.1 / 3).unwrap_or(10))));
                return Vec::new();
            }
            Input::PageDown => {
                self.scroll_by(isize::from(i16::try_from(self.size.1 / 3).unwrap_or(10)));
                return Vec::new();
            }
            _ => {}
        }
        match &self.screen {
            Screen::Welcome(line) => self.welcome(*line, &input),
            Screen::Ask(_) => self.ask(input),
            Screen::Waiting(waiting) => self.waiting(*waiting, &input),
            Screen::Problem(_) => self.problem(&input),
            Screen::Review(review) => self.review(*review, &input),
            Screen::Applying(applying) => self.applying(*applying, &input),
            Screen::Verifying(verifying) => self.verifying(*verifying, &input),
            Screen::Report => self.closing(&input),
        }
    }

    /// Whether printable characters are text.
    #[must_use]
    pub fn is_typing(&self) -> bool {
        matches!(&self.screen, Screen::Ask(ask) if ask.question.kind != question::Kind::Choice)
    }

    fn scroll_by(&mut self, lines: isize) {
        self.scroll = self
            .scroll
            .min(self.scroll_limit)
            .saturating_add_signed(lines)
            .min(self.scroll_limit);
    }

    fn welcome(&mut self, line: usize, input: &Input) -> Vec<Effect> {
        let menu = self.menu();
        match input {
            Input::Up => self.screen = Screen::Welcome(line.saturating_sub(1)),
            Input::Down | Input::Tab => self.screen = Screen::Welcome((line + 1).min(menu.len() - 1)),
            Input::Enter => {
                let action = menu[line.min(menu.len() - 1)];
                if self.detecting.is_some() {
                    self.eager = true;
                } else {
                    return self.act(action);
                }
            }
            Input::Esc => return self.end(Signal::Interrupt),
            _ => {}
        }
        Vec::new()
    }

    fn act(&mut self, action: Action) -> Vec<Effect> {
        self.eager = false;
        self.hurried = action == Action::Look;
        match action {
            Action::Begin | Action::Change => {
                let first = self.interview.questions().next();
                self.come_to(first)
            }
            Action::Look => {
                let open = self.interview.first_open();
                self.come_to(open)
            }
            Action::Undo => {
                let work = Work::Undo;
                self.show(Screen::Applying(Applying {
                    work,
                    asked_to_stop: false,
                    stopping: false,
                }));
                self.begin(work)
            }
        }
    }

    fn found(&mut self, ticket: Ticket, found: Found) -> Vec<Effect> {
        if self.detecting != Some(ticket) {
            return Vec::new();
        }
        self.detecting = None;
        self.report.environment = Some(found.detection.clone());
        self.interview.found(found);
        match self.screen {
            Screen::Welcome(line) if self.eager => {
                let menu = self.menu();
                self.act(menu[line.min(menu.len() - 1)])
            }
            // A question that is on the screen may have other choices now.
            Screen::Ask(ref ask) if ask.is_untouched() => {
                let question = ask.question;
                let problem = ask.problem.clone();
                self.come_to(Some(question));
                if let Screen::Ask(ask) = &mut self.screen {
                    ask.problem = problem;
                }
                Vec::new()
            }
            _ => Vec::new(),
        }
    }

    fn progress(&mut self, ticket: Ticket, event: Event) -> Vec<Effect> {
        let awaited = self.detecting == Some(ticket) || self.working.is_some_and(|(working, _)| working == ticket);
        if !awaited {
            return Vec::new();
        }
        if let Event::Step { id, state, .. } = &event
            && let Some(plan) = &mut self.report.plan
            && let Some(row) = plan.steps.iter_mut().find(|row| row.id == id.0)
        {
            row.state = *state;
        }
        self.live.take(event);
        Vec::new()
    }

    /// Ctrl-C or a signal: at once, unless something is being changed; then it is put back first.
    fn end(&mut self, signal: Signal) -> Vec<Effect> {
        if self.leaving.is_some() {
            return Vec::new();
        }
        let leaving = Leaving::Interrupted(signal);
        if self.working.is_none() {
            return vec![Effect::Leave(leaving)];
        }
        self.leaving = Some(leaving);
        if let Screen::Applying(applying) = &mut self.screen {
            applying.stopping = true;
        }
        vec![Effect::Cancel]
    }
}
