//! A hundred thousand inputs at random, from a seed: whatever is pressed, pasted, resized or answered, in whatever order,
//! the wizard is drawn, shows no key, and ends when it is told to.
//!
//! `SIGNOZ_SETUP_KEYS_SEED=7 cargo test --test wizard_keys` tries another seed.

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use signoz_setup::domain::answers::Draft;
use signoz_setup::domain::event::Event;
use signoz_setup::domain::plan::{StepId, StepState};
use signoz_setup::domain::report::{Report, UndoReport, Verification};
use signoz_setup::domain::{InstrumentationSet, Target};
use signoz_setup::error::{Error, Signal};
use signoz_setup::ui::theme::Theme;
use signoz_setup::ui::view;
use signoz_setup::wizard::question::{Kind, QUESTIONS};
use signoz_setup::wizard::{Edit, Effect, Found, Input, KeptKey, Leaving, Msg, Options, Screen, Ticket, Wizard, Work};
use std::collections::BTreeSet;

#[path = "support/screens.rs"]
mod screens;

/// Inputs of the whole test.
const INPUTS: usize = 100_000;

/// Longest conversation.
const LONGEST: usize = 400;

/// A key whose every part tells it: three of its characters in one row would be seen.
const CANARY: &str = "QZQZQZQZQZQZQZQZQZQZQZQZQZQZQZQZ";
const TRACE: &str = "QZQ";

#[test]
fn whatever_is_pressed_the_wizard_holds() {
    let seed: u64 = std::env::var("SIGNOZ_SETUP_KEYS_SEED")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(4711);
    // Two halves side by side, each with seeds of its own.
    let seen: BTreeSet<&'static str> = std::thread::scope(|scope| {
        let halves = [seed, seed + 1_000_000].map(|seed| scope.spawn(move || conversations(seed, INPUTS / 2)));
        halves.into_iter().flat_map(|half| half.join().unwrap()).collect()
    });
    for screen in ["Welcome", "Waiting", "Problem", "Review", "Applying", "Verifying", "Report"] {
        assert!(seen.contains(screen), "{screen} was never reached");
    }
    for question in QUESTIONS {
        assert!(seen.contains(question.id), "`{}` was never asked", question.id);
    }
}

/// Conversations from a seed on, until so many inputs were made; the screens that were seen.
fn conversations(seed: u64, wanted: usize) -> BTreeSet<&'static str> {
    let mut terminal = Terminal::new(TestBackend::new(80, 24)).unwrap();
    let mut seen = BTreeSet::new();
    let (mut inputs, mut runs) = (0, 0);
    while inputs < wanted {
        let mut run = Run::new(seed + runs, &mut terminal);
        run.play(&mut seen);
        inputs += run.inputs;
        runs += 1;
    }
    println!("seed {seed}: {inputs} inputs in {runs} conversations");
    seen
}

/// SplitMix64: small, and the same everywhere.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).unwrap()
    }

    fn in_hundred(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    fn of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }
}

struct Run<'a> {
    chance: Chance,
    wizard: Wizard,
    /// Effects that nobody has answered yet.
    open: Vec<Effect>,
    /// Tickets of the past, whose answers come too late.
    stale: Vec<Ticket>,
    terminal: &'a mut Terminal<TestBackend>,
    theme: Theme,
    left: Option<Leaving>,
    inputs: usize,
    log: Vec<String>,
}

impl<'a> Run<'a> {
    fn new(seed: u64, terminal: &'a mut Terminal<TestBackend>) -> Self {
        let mut chance = Chance(seed);
        let options = Options {
            project: (*chance.of(&["/srv/shop", "/home/me/とても長いフォルダ名/受注管理/backend/services", ""])).to_owned(),
            saved: chance.in_hundred(30),
            undoable: chance.in_hundred(30),
            interrupted: chance.in_hundred(10),
            offline: chance.in_hundred(10),
            verify: chance.in_hundred(90),
        };
        let mut interview = screens::interview("shop");
        if chance.in_hundred(20) {
            interview.targets = vec![Target::Direct, Target::Collector];
        }
        if chance.in_hundred(20) {
            interview.draft = Draft {
                region: Some("eu2".parse().unwrap()),
                service_name: Some("店".parse().unwrap()),
                command: Some(vec!["gunicorn".to_owned(), "app:app".to_owned()]),
                ..Draft::default()
            };
        }
        if chance.in_hundred(10) {
            interview.given = Draft {
                region: Some("us".parse().unwrap()),
                instrumentation: Some(InstrumentationSet::Current),
                ..Draft::default()
            };
            interview.draft = interview.given.clone();
        }
        if chance.in_hundred(30) {
            interview.kept_key = Some(KeptKey {
                endpoint: "https://ingest.eu2.signoz.cloud:443".parse().unwrap(),
                key: signoz_setup::domain::IngestionKey::parse(CANARY).unwrap(),
            });
        }
        let size = (80, 24);
        let (wizard, open) = Wizard::new(options, interview, size);
        let theme = Theme {
            colour: chance.in_hundred(80),
            unicode: chance.in_hundred(80),
        };
        terminal.backend_mut().resize(size.0, size.1);
        Self {
            chance,
            wizard,
            open,
            stale: Vec::new(),
            terminal,
            theme,
            left: None,
            inputs: 0,
            log: Vec::new(),
        }
    }

    fn play(&mut self, seen: &mut BTreeSet<&'static str>) {
        self.draw();
        while self.left.is_none() && self.inputs < LONGEST {
            if self.chance.in_hundred(25) {
                self.answer();
            } else {
                let input = self.input();
                self.tell(Msg::Input(input));
            }
            seen.insert(name(&self.wizard.screen));
        }
        if self.left.is_none() && self.chance.in_hundred(70) {
            self.escape();
        }
        if self.left.is_none() {
            self.end();
        }
        self.inspect();
    }

    /// One message: the wizard takes it, and is drawn.
    fn tell(&mut self, msg: Msg) {
        if let Msg::Input(input) = &msg {
            self.inputs += 1;
            if let Input::Resize(columns, rows) = input {
                self.terminal.backend_mut().resize(*columns, *rows);
            }
        }
        self.log.push(brief(&msg));
        let effects = self.wizard.update(msg);
        let printed = format!("{effects:?}");
        assert!(!printed.contains(TRACE), "an effect prints the key: {printed}");
        for effect in effects {
            match effect {
                Effect::Leave(leaving) => {
                    assert!(self.left.is_none(), "left twice{}", self.story());
                    self.left = Some(leaving);
                }
                // What is cancelled still ends, as the program's work does.
                Effect::Cancel => {}
                other => self.open.push(other),
            }
        }
        self.draw();
    }

    fn draw(&mut self) {
        let (wizard, theme) = (&self.wizard, &self.theme);
        let mut limit = 0;
        self.terminal.draw(|frame| limit = view::draw(wizard, theme, frame)).unwrap();
        self.wizard.scroll_limit = limit;
        let backend = self.terminal.backend();
        let buffer = backend.buffer();
        if backend.cursor_visible() {
            let cursor = backend.cursor_position();
            assert!(buffer.area.contains(cursor), "the cursor is outside{}", self.story());
        }
        if let Some(what) = wrong(buffer, self.theme) {
            panic!("{what}{}", self.story());
        }
        if self.inputs.is_multiple_of(50) {
            self.inspect();
        }
    }

    /// A debugger's print of the whole wizard.
    fn inspect(&self) {
        let printed = format!("{:?}", self.wizard);
        assert!(!printed.contains(TRACE), "the wizard prints the key{}", self.story());
    }

    /// Something that a person or a terminal does.
    fn input(&mut self) -> Input {
        let secret = matches!(&self.wizard.screen, Screen::Ask(ask) if ask.question.kind == Kind::Secret);
        let text = matches!(&self.wizard.screen, Screen::Ask(ask) if ask.question.kind == Kind::Text);
        let rarely = self.chance.in_hundred(3);
        match self.chance.below(100) {
            0..32 => Input::Enter,
            32..38 => Input::Esc,
            38..44 => Input::Up,
            44..56 => Input::Down,
            56..59 => Input::PageUp,
            59..63 => Input::PageDown,
            63..65 => Input::Tab,
            65..67 => Input::Help,
            67..68 if self.chance.in_hundred(6) => Input::Interrupt,
            67..78 => Input::Char(*self.chance.of(&[
                '1', '2', '4', '7', '8', 'a', 'e', 's', 'q', 'r', 'j', 'k', '?', ' ', '/', '日', 'é', '\u{301}', '\u{200d}', '🤦', '\u{7}',
                '\u{1b}', '"',
            ])),
            78..84 => Input::Edit(*self.chance.of(&[
                Edit::Left,
                Edit::Right,
                Edit::WordLeft,
                Edit::WordRight,
                Edit::Home,
                Edit::End,
                Edit::Backspace,
                Edit::Delete,
                Edit::DeleteWord,
                Edit::DeleteLine,
            ])),
            84..92 => Input::Resize(self.columns(), self.rows()),
            // The key is pasted where it belongs, and where nothing is pasted; in a field that shows its text, it would be seen.
            _ if secret || (!text && self.chance.in_hundred(50)) => Input::Paste(
                (*self.chance.of(&[
                    CANARY.to_owned(),
                    format!("{CANARY}\r\n"),
                    format!("  {CANARY}  "),
                    format!("signoz-ingestion-key={CANARY}"),
                    format!("{CANARY}\u{1b}[31m"),
                    format!("{CANARY}日本"),
                    String::new(),
                ]))
                .clone(),
            ),
            _ => Input::Paste(
                (*self.chance.of(&[
                    "http://localhost:4317\n".to_owned(),
                    "two\nlines\r\nand a\ttab".to_owned(),
                    "\u{1b}]0;title\u{7}\u{1b}[2J\u{9b}31m".to_owned(),
                    "受注管理サービス・バックエンド（東京リージョン）本番環境・第二系統・予備".to_owned(),
                    "👩‍👩‍👧‍👦é̂ﾞ\u{202e}evil".to_owned(),
                    "x".repeat(if rarely { 5_000 } else { 90 }),
                    "gunicorn 'app:app".to_owned(),
                    "gunicorn app:app && rm -rf /".to_owned(),
                ]))
                .clone(),
            ),
        }
    }

    fn columns(&mut self) -> u16 {
        match self.chance.below(20) {
            0 => 1,
            1 => 300,
            2 => 59,
            3 => u16::try_from(1 + self.chance.below(300)).unwrap(),
            _ => u16::try_from(60 + self.chance.below(65)).unwrap(),
        }
    }

    fn rows(&mut self) -> u16 {
        match self.chance.below(20) {
            0 => 1,
            1 => 100,
            2 => 15,
            3 => u16::try_from(1 + self.chance.below(100)).unwrap(),
            _ => u16::try_from(16 + self.chance.below(20)).unwrap(),
        }
    }

    /// Something that the program says: an answer, an answer that comes too late, progress, a moment, a signal.
    fn answer(&mut self) {
        match self.chance.below(100) {
            0..15 => self.tell(Msg::Tick),
            15..16 if self.chance.in_hundred(10) => {
                let signal = *self.chance.of(&[Signal::Terminate, Signal::Interrupt]);
                self.tell(Msg::Ended(signal));
            }
            15..45 => {
                let ticket = self.some_ticket();
                let event = self.event();
                self.tell(Msg::Progress(ticket, event));
            }
            45..55 => {
                let ticket = self.some_ticket();
                let set = *self.chance.of(&[InstrumentationSet::Pinned, InstrumentationSet::Current]);
                let resolution = match self.chance.below(3) {
                    0 => Ok(screens::broken_resolution()),
                    1 => Ok(screens::resolution(30)),
                    _ => Err(Error::failed("the resolver gave up").because("no network").remedy("try again")),
                };
                self.tell(Msg::Resolved(ticket, set, Box::new(resolution)));
            }
            _ if self.open.is_empty() => self.tell(Msg::Tick),
            _ => {
                let index = self.chance.below(self.open.len());
                let effect = self.open.remove(index);
                let stale = self.chance.in_hundred(10).then(|| self.some_ticket());
                if stale.is_some() {
                    // The answer that is waited for comes all the same.
                    self.open.push(effect.clone());
                }
                self.fulfil(&effect, stale);
            }
        }
    }

    fn some_ticket(&mut self) -> Ticket {
        let open: Vec<Ticket> = self.open.iter().filter_map(screens::ticket).collect();
        if !open.is_empty() && self.chance.in_hundred(80) {
            return *self.chance.of(&open);
        }
        if self.stale.is_empty() {
            9_999
        } else {
            *self.chance.of(&self.stale)
        }
    }

    fn event(&mut self) -> Event {
        let states = [StepState::Started, StepState::Applied, StepState::Failed, StepState::Reverted];
        match self.chance.below(6) {
            0 => Event::Stage {
                title: (*self.chance.of(&["looking at start commands", "installing", "日本語の段階"])).to_owned(),
            },
            1 => Event::Step {
                id: StepId((*self.chance.of(&["write.loader", "install.packages", "gone"])).to_owned()),
                title: "write the loader".to_owned(),
                state: *self.chance.of(&states),
            },
            2 => Event::Line {
                text: "Downloading 日本語 \u{1b}[31m and so on ".repeat(1 + self.chance.below(6)),
            },
            3 => Event::Verified {
                stage: (*self.chance.of(&["dns", "partial_success", "受付"])).to_owned(),
                passed: self.chance.in_hundred(80),
                detail: "ingest.eu2.signoz.cloud is 34.159.71.12".to_owned(),
            },
            4 => Event::Workers {
                rows: (0..self.chance.below(12))
                    .map(|index| screens::worker(4_000 + u32::try_from(index).unwrap(), 9, 1, 2))
                    .collect(),
            },
            _ => Event::Warning {
                text: "something to look at".to_owned(),
            },
        }
    }

    /// Does what an effect asks for, well or badly.
    fn fulfil(&mut self, effect: &Effect, stale: Option<Ticket>) {
        let Some(ticket) = screens::ticket(effect) else { return };
        self.stale.push(ticket);
        let ticket = stale.unwrap_or(ticket);
        match effect {
            Effect::Detect(..) => {
                let found = self.found();
                self.tell(Msg::Found(ticket, Box::new(found)));
            }
            Effect::CheckKey(..) => {
                let level = if self.chance.in_hundred(50) {
                    screens::accepted()
                } else {
                    screens::refused()
                };
                self.tell(Msg::KeyChecked(ticket, Box::new(level)));
            }
            Effect::FindRegion(..) => {
                let accepted = self.chance.below(12);
                let tried = ["us", "us2", "eu", "eu2", "in", "in2"].iter().enumerate().map(|(index, code)| {
                    let level = if index == accepted {
                        screens::accepted()
                    } else {
                        screens::refused()
                    };
                    (code.parse().unwrap(), level)
                });
                self.tell(Msg::RegionsTried(ticket, tried.collect()));
            }
            Effect::Prepare(..) => self.done(ticket, Work::Prepare),
            Effect::Start(_, work) => self.done(ticket, *work),
            Effect::Cancel | Effect::Leave(_) => {}
        }
    }

    fn found(&mut self) -> Found {
        let mut found = screens::the_found();
        match self.chance.below(6) {
            0 => return Found::default(),
            1 => found.detection.python_candidates = vec![screens::system_python()],
            2 => found.detection.python = Some(screens::system_python()),
            3 => {
                found.detection.servers.clear();
                found.launches.clear();
            }
            4 => {
                for outlook in &mut found.sets {
                    outlook.silence = Some("no request would give a span".to_owned());
                }
            }
            _ => {}
        }
        found
    }

    fn done(&mut self, ticket: Ticket, work: Work) {
        let (report, error) = self.outcome(work);
        self.tell(Msg::Done(ticket, work, Box::new(report), error.map(Box::new)));
    }

    fn outcome(&mut self, work: Work) -> (Report, Option<Error>) {
        let failed = self.chance.in_hundred(20);
        let mut report = match work {
            Work::Prepare => {
                let states = [StepState::Pending, StepState::Satisfied];
                screens::planned(*self.chance.of(&states))
            }
            Work::Undo => Report::new("undo"),
            _ => screens::applied(),
        };
        if self.chance.in_hundred(5) {
            report.plan = None;
        }
        let undo = UndoReport {
            restored: vec!["uninstalled 34 packages".to_owned()],
            ..UndoReport::default()
        };
        match work {
            Work::Undo => report.undo = Some(undo),
            Work::Apply if failed => report.undo = Some(undo),
            Work::Verify | Work::Rehearse => {
                report.verification = Some(Verification {
                    levels: screens::levels(),
                    workers: if work == Work::Rehearse {
                        vec![screens::worker(1, 5, 1, 1)]
                    } else {
                        Vec::new()
                    },
                    lost_at_stop: Some(0),
                    trace: screens::trace(),
                });
                report.next = screens::next();
            }
            _ => {}
        }
        let error = failed.then(|| match self.chance.below(3) {
            0 => Error::interrupted(Signal::Interrupt),
            1 => Error::step_failed("cannot write `/srv/shop/.signoz/run.sh`").because("no space left on device"),
            _ => Error::refused("the pinned set would break `日本語`\u{1b}[31m").remedy("choose the other set"),
        });
        (report, error)
    }

    /// Esc leads back to the first screen, from wherever this is.
    fn escape(&mut self) {
        self.tell(Msg::Input(Input::Resize(80, 24)));
        for _ in 0..60 {
            if self.left.is_some() || (matches!(self.wizard.screen, Screen::Welcome(_)) && !self.wizard.help) {
                return;
            }
            self.tell(Msg::Input(Input::Esc));
            // Work that was told to end does so.
            if matches!(self.wizard.screen, Screen::Applying(applying) if applying.stopping) || self.wizard.is_leaving() {
                self.finish_work();
            }
        }
        panic!(
            "esc does not lead to the first screen: {}{}",
            name(&self.wizard.screen),
            self.story()
        );
    }

    /// Ctrl-C ends it: at once, or when what is at work has ended.
    fn end(&mut self) {
        self.tell(Msg::Input(Input::Interrupt));
        for _ in 0..20 {
            if self.left.is_some() {
                return;
            }
            self.finish_work();
        }
        panic!("ctrl-c does not end it{}", self.story());
    }

    fn finish_work(&mut self) {
        let works: Vec<Effect> = std::mem::take(&mut self.open);
        for effect in works {
            if self.left.is_some() {
                return;
            }
            match effect {
                Effect::Prepare(ticket, _) => self.done(ticket, Work::Prepare),
                Effect::Start(ticket, work) => {
                    let (report, _) = self.outcome(work);
                    let error = Error::interrupted(Signal::Interrupt);
                    self.tell(Msg::Done(ticket, work, Box::new(report), Some(Box::new(error))));
                }
                other => self.open.push(other),
            }
        }
    }

    /// What happened last, for whoever has to find the defect.
    fn story(&self) -> String {
        let last = self.log.iter().rev().take(25).rev().cloned().collect::<Vec<_>>();
        format!("\n  after: {}", last.join("\n         "))
    }
}

fn name(screen: &Screen) -> &'static str {
    match screen {
        Screen::Welcome(_) => "Welcome",
        Screen::Ask(ask) => ask.question.id,
        Screen::Waiting(_) => "Waiting",
        Screen::Problem(_) => "Problem",
        Screen::Review(_) => "Review",
        Screen::Applying(_) => "Applying",
        Screen::Verifying(_) => "Verifying",
        Screen::Report => "Report",
    }
}

fn brief(msg: &Msg) -> String {
    match msg {
        Msg::Input(Input::Paste(text)) => format!("paste of {} characters", text.chars().count()),
        Msg::Input(input) => format!("{input:?}"),
        Msg::Progress(ticket, event) => format!("{ticket} {event:?}").chars().take(80).collect(),
        Msg::Found(ticket, _) => format!("{ticket} found"),
        Msg::Resolved(ticket, set, _) => format!("{ticket} resolved {set}"),
        Msg::KeyChecked(ticket, level) => format!("{ticket} key {:?}", level.outcome),
        Msg::RegionsTried(ticket, _) => format!("{ticket} regions"),
        Msg::Done(ticket, work, _, error) => format!("{ticket} {work:?} done, error {:?}", error.as_ref().map(|error| &error.what)),
        other => format!("{other:?}"),
    }
}

/// What must never be on a screen.
fn wrong(buffer: &Buffer, theme: Theme) -> Option<String> {
    let width = usize::from(buffer.area.width).max(1);
    for (y, row) in buffer.content().chunks(width).enumerate() {
        let mut run = 0;
        for cell in row {
            let symbol = cell.symbol();
            let first = symbol.as_bytes()[0];
            // Three characters of the key beside each other.
            run = if symbol.len() == 1 && (first == b'Q' || first == b'Z') {
                run + 1
            } else {
                0
            };
            if run >= TRACE.len() {
                return Some(format!("row {y} shows the key"));
            }
            if first < 0x20 || first == 0x7f || (first >= 0x80 && symbol.chars().any(char::is_control)) {
                return Some(format!("row {y} holds a control character: {symbol:?}"));
            }
            if !theme.unicode && first >= 0x80 {
                return Some(format!("row {y} is not ASCII: {symbol:?}"));
            }
        }
    }
    None
}
