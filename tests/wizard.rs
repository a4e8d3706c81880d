//! The wizard as a machine: for each screen and input the next screen and the effects; no terminal, no clock.

use signoz_setup::domain::answers::Draft;
use signoz_setup::domain::detection::{EnvironmentKind, Evidence, PythonEnvironment, Server, ServerKind, StartMethod};
use signoz_setup::domain::packages::{Conflict, Move};
use signoz_setup::domain::report::{PlanReport, StepRow};
use signoz_setup::domain::{
    Detection, Event, IngestionKey, InstrumentationSet, Level, LevelReport, Outcome, PackageTool, Report, Resolution, StepState, Target,
};
use signoz_setup::error::{Error, Signal};
use signoz_setup::wizard::{
    Effect, Found, Input, Interview, KeptKey, KeyState, Leaving, Msg, Options, Screen, SetOutlook, Ticket, Verifying, Waiting, Wizard, Work,
};
use std::path::PathBuf;

const KEY: &str = "canary-6f1e-4a52-9b0c";

fn python(path: &str, kind: EnvironmentKind) -> PythonEnvironment {
    PythonEnvironment {
        interpreter: PathBuf::from(path).join("bin/python"),
        version: "3.11.7".to_owned(),
        virtualenv: (kind != EnvironmentKind::System).then(|| PathBuf::from(path)),
        kind,
        package_manager: PackageTool::Pip,
        site_packages: Vec::new(),
        has_pip: true,
        externally_managed: false,
        broken: None,
        because: vec![Evidence::new(".venv/pyvenv.cfg", "home = /usr/bin")],
    }
}

fn gunicorn() -> Server {
    Server {
        kind: ServerKind::Gunicorn,
        command: vec!["gunicorn".to_owned(), "app:app".to_owned()],
        variables: Vec::new(),
        workers: Some(4),
        worker_class: None,
        start: StartMethod::Fork,
        preload: false,
        directory: PathBuf::from("."),
        config: None,
        because: vec![Evidence::new("Procfile:1", "web: gunicorn app:app")],
    }
}

fn found(silent: &[InstrumentationSet]) -> Found {
    let outlook = |set| SetOutlook {
        set,
        releases: "opentelemetry-distro 1".to_owned(),
        coverage: Vec::new(),
        silence: silent.contains(&set).then(|| "no request would give a span".to_owned()),
        resolution: None,
    };
    Found {
        detection: Detection {
            python: Some(python("/app/.venv", EnvironmentKind::Venv)),
            servers: vec![gunicorn()],
            ..Detection::default()
        },
        launches: Vec::new(),
        sets: vec![outlook(InstrumentationSet::Pinned), outlook(InstrumentationSet::Current)],
    }
}

fn accepted() -> LevelReport {
    LevelReport {
        outcome: Outcome::Pass,
        ..LevelReport::not_run(Level::Endpoint, "x")
    }
}

fn report(states: &[StepState]) -> Report {
    let row = |(index, state): (usize, &StepState)| StepRow {
        id: format!("step.{index}"),
        title: format!("step {index}"),
        why: "because".to_owned(),
        kind: "write_file",
        state: *state,
        path: None,
        diff: None,
        argv: None,
        duration_ms: None,
    };
    let mut report = Report::new("setup");
    report.plan = Some(PlanReport {
        steps: states.iter().enumerate().map(row).collect(),
    });
    report
}

/// A wizard, and the effects that nobody has looked at yet.
struct Play {
    wizard: Wizard,
    effects: Vec<Effect>,
}

impl Play {
    fn new(options: Options, interview: Interview) -> Self {
        let (wizard, effects) = Wizard::new(options, interview, (80, 24));
        Self { wizard, effects }
    }

    /// A project that was just looked at.
    fn fresh() -> Self {
        Self::with(Draft::default(), found(&[]))
    }

    fn with(given: Draft, found: Found) -> Self {
        let options = Options {
            verify: true,
            ..Options::default()
        };
        let mut play = Self::new(options, Interview::new("shop", given, Draft::default(), vec![Target::Direct]));
        let ticket = play.detecting();
        play.tell(Msg::Found(ticket, Box::new(found)));
        play
    }

    fn tell(&mut self, msg: Msg) -> &mut Self {
        let effects = self.wizard.update(msg);
        self.effects.extend(effects);
        self
    }

    fn press(&mut self, input: Input) -> &mut Self {
        self.tell(Msg::Input(input))
    }

    fn enter(&mut self) -> &mut Self {
        self.press(Input::Enter)
    }

    fn text(&mut self, text: &str) -> &mut Self {
        for character in text.chars() {
            self.press(Input::Char(character));
        }
        self
    }

    fn taken(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    fn detecting(&mut self) -> Ticket {
        let found = self.taken().into_iter().rev().find_map(|effect| match effect {
            Effect::Detect(ticket, _) => Some(ticket),
            _ => None,
        });
        found.expect("the project is looked at")
    }

    /// The ticket of the work that was asked for last.
    fn work(&mut self, wanted: Work) -> (Ticket, Option<Draft>) {
        let effects = self.taken();
        let found = effects.iter().rev().find_map(|effect| match effect {
            Effect::Prepare(ticket, draft) if wanted == Work::Prepare => Some((*ticket, Some((**draft).clone()))),
            Effect::Start(ticket, work) if *work == wanted => Some((*ticket, None)),
            _ => None,
        });
        found.unwrap_or_else(|| panic!("{wanted:?} was not asked for: {effects:?}"))
    }

    fn done(&mut self, ticket: Ticket, work: Work, report: Report, error: Option<Error>) -> &mut Self {
        self.tell(Msg::Done(ticket, work, Box::new(report), error.map(Box::new)))
    }

    fn question(&self) -> &'static str {
        match &self.wizard.screen {
            Screen::Ask(ask) => ask.question.id,
            other => panic!("no question is asked: {other:?}"),
        }
    }

    fn problem(&self) -> Option<&str> {
        match &self.wizard.screen {
            Screen::Ask(ask) => ask.problem.as_deref(),
            _ => None,
        }
    }

    /// Through all questions of a fresh project, to the plan's making.
    fn answered() -> Self {
        let mut play = Self::fresh();
        play.enter().press(Input::Char('3')).enter();
        play.press(Input::Paste(format!("{KEY}\n"))).enter();
        for question in ["service-name", "deployment-environment", "instrumentation", "command"] {
            assert_eq!(play.question(), question);
            play.enter();
        }
        play
    }

    /// With a plan on the screen.
    fn reviewing(states: &[StepState]) -> Self {
        let mut play = Self::answered();
        let (ticket, _) = play.work(Work::Prepare);
        play.done(ticket, Work::Prepare, report(states), None);
        assert!(matches!(play.wizard.screen, Screen::Review(_)));
        play
    }
}

#[test]
fn the_questions_lead_to_complete_answers() {
    let mut play = Play::answered();
    assert!(matches!(play.wizard.screen, Screen::Waiting(Waiting::Plan)));
    let (_, draft) = play.work(Work::Prepare);
    let draft = draft.unwrap();
    assert_eq!(draft.region.unwrap().as_str(), "eu");
    assert_eq!(draft.key.unwrap().expose(), KEY);
    assert_eq!(draft.service_name.unwrap().as_str(), "shop");
    assert_eq!(draft.instrumentation, Some(InstrumentationSet::Pinned));
    assert_eq!(draft.command.unwrap(), ["gunicorn", "app:app"]);
}

#[test]
fn esc_goes_back_through_every_question_and_keeps_the_answers() {
    let mut play = Play::answered();
    play.taken();
    let mut seen = Vec::new();
    for _ in 0..20 {
        play.press(Input::Esc);
        match &play.wizard.screen {
            Screen::Ask(ask) => seen.push(ask.question.id),
            _ => break,
        }
    }
    assert_eq!(
        seen,
        [
            "command",
            "instrumentation",
            "deployment-environment",
            "service-name",
            "ingestion-key",
            "region"
        ]
    );
    assert!(matches!(play.wizard.screen, Screen::Welcome(_)));
    assert!(
        play.taken().contains(&Effect::Cancel),
        "the plan's making is not waited for any more"
    );
    // Forward again with nothing but Enter: every answer is still there, the key too.
    play.enter();
    for _ in 0..6 {
        play.enter();
    }
    let (_, draft) = play.work(Work::Prepare);
    assert_eq!(draft.unwrap().key.unwrap().expose(), KEY);
}

#[test]
fn a_stale_answer_is_ignored_after_going_back() {
    let mut play = Play::answered();
    let (old, _) = play.work(Work::Prepare);
    play.press(Input::Esc);
    assert_eq!(play.question(), "command");
    play.done(old, Work::Prepare, report(&[StepState::Pending]), None);
    assert_eq!(play.question(), "command");
}

#[test]
fn a_malformed_answer_is_named_and_nothing_is_taken() {
    let mut play = Play::fresh();
    play.enter().enter();
    assert_eq!(play.question(), "ingestion-key");
    play.text("a b").enter();
    assert!(play.problem().unwrap().contains("white space"), "{:?}", play.problem());
    assert!(play.wizard.interview.draft.key.is_none());
    play.text("c");
    assert_eq!(play.problem(), None, "typing takes the complaint away");
}

#[test]
fn another_address_is_asked_for_and_needs_no_key() {
    let mut play = Play::fresh();
    play.enter().press(Input::Char('8')).enter();
    assert_eq!(play.question(), "endpoint");
    play.text("localhost:4317").enter();
    assert!(play.problem().unwrap().contains("http://localhost:4317"));
    for _ in 0..20 {
        play.press(Input::Edit(signoz_setup::wizard::Edit::Backspace));
    }
    play.text("http://localhost:4317").enter();
    assert_eq!(play.question(), "ingestion-key");
    play.enter();
    assert_eq!(play.question(), "service-name");
    let draft = play.wizard.interview.answers();
    assert!(draft.region.is_none() && draft.key.is_none());
    assert_eq!(draft.endpoint.unwrap().to_string(), "http://localhost:4317");
}

#[test]
fn the_key_is_tried_while_the_person_goes_on() {
    let mut play = Play::fresh();
    play.enter().enter().text(KEY).enter();
    assert_eq!(play.question(), "service-name");
    let effects = play.taken();
    let ticket = effects
        .iter()
        .find_map(|effect| match effect {
            Effect::CheckKey(ticket, draft) => draft.key.as_ref().map(|_| *ticket),
            _ => None,
        })
        .expect("the key is tried");
    assert!(matches!(play.wizard.key, KeyState::Checking));
    play.text("x").tell(Msg::KeyChecked(ticket, Box::new(accepted())));
    assert!(matches!(&play.wizard.key, KeyState::Checked(level) if level.outcome == Outcome::Pass));
    // Another region: the old answer counts no more.
    play.press(Input::Esc).press(Input::Esc).press(Input::Char('1')).enter();
    assert!(matches!(play.wizard.key, KeyState::Checking));
    play.tell(Msg::KeyChecked(ticket, Box::new(accepted())));
    assert!(matches!(play.wizard.key, KeyState::Checking));
}

#[test]
fn the_region_is_looked_for_only_after_a_yes() {
    let mut play = Play::fresh();
    play.enter().press(Input::Char('7')).enter();
    play.text(KEY).enter();
    assert_eq!(play.question(), "find-region");
    play.enter();
    assert_eq!(play.question(), "region", "no is what stands there");
    assert!(
        !play
            .taken()
            .iter()
            .any(|effect| matches!(effect, Effect::FindRegion(..) | Effect::CheckKey(..)))
    );

    play.press(Input::Char('7')).enter().enter();
    assert_eq!(play.question(), "find-region");
    play.press(Input::Down).enter();
    let ticket = play
        .taken()
        .into_iter()
        .find_map(|effect| match effect {
            Effect::FindRegion(ticket, draft) => draft.key.map(|_| ticket),
            _ => None,
        })
        .unwrap();
    let refused = LevelReport {
        outcome: Outcome::Fail,
        detail: "the key was refused".to_owned(),
        ..accepted()
    };
    let answers = |found: Option<&str>| -> Vec<_> {
        ["us", "eu", "in"]
            .into_iter()
            .map(|code| {
                let level = if Some(code) == found { accepted() } else { refused.clone() };
                (code.parse().unwrap(), level)
            })
            .collect()
    };
    let before = play.wizard.interview.clone();
    play.tell(Msg::RegionsTried(ticket, answers(Some("in"))));
    assert_eq!(play.question(), "service-name");
    assert_eq!(play.wizard.interview.draft.region.as_ref().unwrap().as_str(), "in");

    // And when nobody takes the key, the question stands again, with the reason.
    let mut lost = Play::fresh();
    lost.wizard.interview = before;
    lost.enter().press(Input::Char('7')).enter().enter().press(Input::Down).enter();
    let ticket = lost
        .taken()
        .into_iter()
        .find_map(|effect| match effect {
            Effect::FindRegion(ticket, _) => Some(ticket),
            _ => None,
        })
        .unwrap();
    lost.tell(Msg::RegionsTried(ticket, answers(None)));
    assert_eq!(lost.question(), "region");
    assert!(lost.problem().unwrap().contains("the key was refused"));
}

#[test]
fn a_set_that_traces_nothing_is_not_proposed_and_needs_a_yes() {
    let mut play = Play::with(Draft::default(), found(&[InstrumentationSet::Pinned]));
    assert_eq!(play.wizard.interview.set(), InstrumentationSet::Current);
    play.enter().enter().text(KEY).enter().enter().enter();
    assert_eq!(play.question(), "instrumentation");
    play.press(Input::Char('1')).enter();
    assert_eq!(play.question(), "accept-gaps");
    play.enter();
    assert_eq!(play.question(), "instrumentation", "no leads back to the choice");
    play.press(Input::Char('1')).enter().press(Input::Down).enter();
    assert_eq!(play.question(), "command");
    assert_eq!(play.wizard.interview.answers().accept_gaps, Some(true));
}

#[test]
fn a_set_that_would_break_the_app_is_not_proposed() {
    let mut play = Play::fresh();
    let broken = Resolution {
        moves: vec![Move {
            name: "protobuf".to_owned(),
            from: Some("6.0".to_owned()),
            to: "4.25.9".to_owned(),
        }],
        conflicts: vec![Conflict {
            package: "grpcio-status".to_owned(),
            version: "1".to_owned(),
            requires: "protobuf>=6".to_owned(),
            would_get: "protobuf 4.25.9".to_owned(),
            way_out: None,
        }],
        wheels: Vec::new(),
    };
    play.tell(Msg::Resolved(1, InstrumentationSet::Pinned, Box::new(Ok(broken))));
    assert_eq!(play.wizard.interview.set(), InstrumentationSet::Current);
    assert!(play.wizard.interview.promise(InstrumentationSet::Pinned).contains("would break"));
}

#[test]
fn another_command_than_those_found_can_be_typed() {
    let mut play = Play::fresh();
    play.enter();
    while play.question() != "command" {
        if play.question() == "ingestion-key" {
            play.text(KEY);
        }
        play.enter();
    }
    play.press(Input::Down).enter();
    assert_eq!(play.question(), "command-text");
    play.text("gunicorn other:app").enter();
    let (_, draft) = play.work(Work::Prepare);
    assert_eq!(
        draft.and_then(|draft| draft.command),
        Some(vec!["gunicorn".to_owned(), "other:app".to_owned()])
    );
}

#[test]
fn what_flags_answered_is_not_asked() {
    let given = Draft {
        region: Some("eu".parse().unwrap()),
        key: Some(IngestionKey::parse(KEY).unwrap()),
        service_name: Some("api".parse().unwrap()),
        instrumentation: Some(InstrumentationSet::Pinned),
        command: Some(vec!["flask".to_owned(), "run".to_owned()]),
        ..Draft::default()
    };
    let mut play = Play::with(given, found(&[]));
    play.enter();
    assert_eq!(play.question(), "deployment-environment");
    play.enter();
    let (_, draft) = play.work(Work::Prepare);
    assert_eq!(draft.unwrap().command.unwrap(), ["flask", "run"]);
}

#[test]
fn several_pythons_are_a_question_and_the_project_is_looked_at_again() {
    let mut several = found(&[]);
    several.detection.python_candidates = vec![python("/app/env", EnvironmentKind::Venv)];
    let mut play = Play::with(Draft::default(), several);
    play.enter();
    assert_eq!(play.question(), "python");
    play.press(Input::Down).enter();
    assert_eq!(play.question(), "region");
    let effects = play.taken();
    assert!(
        effects
            .iter()
            .any(|effect| matches!(effect, Effect::Detect(_, Some(path)) if path.ends_with("env"))),
        "{effects:?}"
    );
    // Both are still there to choose from when the person comes back.
    let ticket = match effects.last() {
        Some(Effect::Detect(ticket, _)) => *ticket,
        other => panic!("{other:?}"),
    };
    play.tell(Msg::Found(ticket, Box::new(found(&[])))).press(Input::Esc);
    assert_eq!(play.question(), "python");
    assert!(matches!(&play.wizard.screen, Screen::Ask(ask) if ask.choices.len() == 3 && ask.line == 1));
}

#[test]
fn a_python_that_others_share_is_a_question() {
    let mut shared = found(&[]);
    shared.detection.python = Some(python("/usr", EnvironmentKind::System));
    let mut play = Play::with(Draft::default(), shared);
    play.enter();
    assert_eq!(play.question(), "python");
    play.press(Input::Char('2')).enter();
    assert_eq!(play.question(), "python-path");
    assert!(play.taken().is_empty(), "nothing is looked at before the path is typed");
}

#[test]
fn a_kept_key_is_used_for_its_own_endpoint_only() {
    let kept = KeptKey {
        endpoint: "https://ingest.eu.signoz.cloud:443".parse().unwrap(),
        key: IngestionKey::parse(KEY).unwrap(),
    };
    let mut play = Play::fresh();
    play.wizard.interview.kept_key = Some(kept);
    play.enter().press(Input::Char('3')).enter();
    assert_eq!(play.question(), "ingestion-key");
    play.enter();
    assert_eq!(play.question(), "service-name");
    assert_eq!(play.wizard.interview.answers().key.unwrap().expose(), KEY);
    // For another region it has to be said.
    let mut other = Play::fresh();
    other.wizard.interview.kept_key = Some(KeptKey {
        endpoint: "https://ingest.eu.signoz.cloud:443".parse().unwrap(),
        key: IngestionKey::parse(KEY).unwrap(),
    });
    other.enter().press(Input::Char('1')).enter().enter();
    assert!(other.problem().unwrap().contains("empty"));
}

#[test]
fn a_kept_key_does_not_follow_the_person_to_another_region() {
    let mut play = Play::fresh();
    play.wizard.interview.kept_key = Some(KeptKey {
        endpoint: "https://ingest.eu.signoz.cloud:443".parse().unwrap(),
        key: IngestionKey::parse(KEY).unwrap(),
    });
    play.enter().press(Input::Char('3')).enter().enter();
    assert_eq!(play.question(), "service-name");
    play.press(Input::Esc).press(Input::Esc).press(Input::Char('1')).enter();
    assert_eq!(play.question(), "ingestion-key");
    let effects = play.taken();
    assert!(
        !effects.iter().any(
            |effect| matches!(effect, Effect::CheckKey(_, draft) if draft.region.as_ref().is_some_and(|region| region.as_str() == "us"))
        ),
        "a key that was kept for eu was sent to us: {effects:?}"
    );
}

#[test]
fn enter_before_the_project_was_looked_at_is_remembered() {
    let interview = Interview::new("shop", Draft::default(), Draft::default(), vec![Target::Direct]);
    let mut play = Play::new(Options::default(), interview);
    play.enter();
    assert!(matches!(play.wizard.screen, Screen::Welcome(_)));
    let ticket = play.detecting();
    play.tell(Msg::Found(ticket, Box::new(found(&[]))));
    assert_eq!(play.question(), "region");
}

#[test]
fn a_repeat_run_looks_changes_or_undoes() {
    let saved = Draft {
        region: Some("eu".parse().unwrap()),
        service_name: Some("api".parse().unwrap()),
        instrumentation: Some(InstrumentationSet::Current),
        command: Some(vec!["gunicorn".to_owned(), "app:app".to_owned()]),
        ..Draft::default()
    };
    let options = Options {
        saved: true,
        undoable: true,
        verify: true,
        ..Options::default()
    };
    let start = || {
        let mut play = Play::new(
            options.clone(),
            Interview::new("shop", Draft::default(), saved.clone(), vec![Target::Direct]),
        );
        let ticket = play.detecting();
        play.tell(Msg::Found(ticket, Box::new(found(&[]))));
        play
    };
    let mut look = start();
    assert_eq!(look.wizard.menu().len(), 3);
    look.enter();
    assert_eq!(look.question(), "ingestion-key", "only what is missing is asked");
    look.text(KEY).enter();
    look.work(Work::Prepare);

    let mut change = start();
    change.press(Input::Down).enter();
    assert_eq!(change.question(), "region");
    assert!(matches!(&change.wizard.screen, Screen::Ask(ask) if ask.choices[ask.line].value == "eu"));

    let mut undo = start();
    undo.press(Input::Down).press(Input::Down).enter();
    let (ticket, _) = undo.work(Work::Undo);
    undo.done(ticket, Work::Undo, Report::new("undo"), None);
    assert!(matches!(undo.wizard.screen, Screen::Report));
    assert_eq!(undo.wizard.menu().len(), 1, "there is nothing left to undo");
}

#[test]
fn the_plan_is_applied_verified_and_rehearsed() {
    let mut play = Play::reviewing(&[StepState::Satisfied, StepState::Pending]);
    assert!(
        matches!(play.wizard.screen, Screen::Review(review) if review.step == 1),
        "the first that changes something"
    );
    play.enter();
    let (ticket, _) = play.work(Work::Apply);
    play.done(ticket, Work::Apply, report(&[StepState::Satisfied, StepState::Applied]), None);
    let (ticket, _) = play.work(Work::Verify);
    play.done(ticket, Work::Verify, report(&[]), None);
    assert!(matches!(play.wizard.screen, Screen::Verifying(Verifying::Offer)));
    assert!(play.taken().is_empty(), "the app is not started before a yes");
    play.enter();
    let (ticket, _) = play.work(Work::Rehearse);
    play.done(ticket, Work::Rehearse, report(&[]), None);
    assert!(matches!(play.wizard.screen, Screen::Verifying(Verifying::Done)));
    play.enter().enter();
    assert_eq!(play.taken(), [Effect::Leave(Leaving::Done)]);
}

#[test]
fn when_nothing_would_change_enter_verifies() {
    let mut play = Play::reviewing(&[StepState::Satisfied]);
    play.enter();
    play.work(Work::Verify);
}

#[test]
fn esc_twice_stops_the_work_and_leads_back_to_the_plan() {
    let mut play = Play::reviewing(&[StepState::Pending]);
    play.enter();
    let (ticket, _) = play.work(Work::Apply);
    play.press(Input::Esc).press(Input::Char('x')).press(Input::Esc);
    assert!(play.taken().is_empty(), "one Esc is not enough, and another key takes it back");
    play.press(Input::Esc);
    assert_eq!(play.taken(), [Effect::Cancel]);
    play.done(
        ticket,
        Work::Apply,
        report(&[StepState::Reverted]),
        Some(Error::interrupted(Signal::Interrupt)),
    );
    play.work(Work::Prepare);
}

#[test]
fn ctrl_c_while_steps_are_applied_waits_until_everything_is_put_back() {
    let mut play = Play::reviewing(&[StepState::Pending]);
    play.enter();
    let (ticket, _) = play.work(Work::Apply);
    play.press(Input::Interrupt);
    assert_eq!(play.taken(), [Effect::Cancel]);
    play.press(Input::Interrupt).enter();
    assert!(play.taken().is_empty());
    play.done(
        ticket,
        Work::Apply,
        report(&[StepState::Reverted]),
        Some(Error::interrupted(Signal::Interrupt)),
    );
    assert_eq!(play.taken(), [Effect::Leave(Leaving::Interrupted(Signal::Interrupt))]);
}

#[test]
fn ctrl_c_and_signals_leave_from_every_other_screen_at_once() {
    let starts: [fn() -> Play; 3] = [
        Play::fresh,
        || {
            let mut play = Play::fresh();
            play.enter();
            play
        },
        || Play::reviewing(&[StepState::Pending]),
    ];
    for start in starts {
        for (msg, signal) in [
            (Msg::Input(Input::Interrupt), Signal::Interrupt),
            (Msg::Ended(Signal::Terminate), Signal::Terminate),
        ] {
            let mut play = start();
            play.taken();
            play.tell(msg);
            assert_eq!(play.taken(), [Effect::Leave(Leaving::Interrupted(signal))]);
        }
    }
}

#[test]
fn an_error_can_be_tried_again_gone_back_from_or_given_up_at() {
    let refused = || Error::refused("the packages would break the app");
    let start = || {
        let mut play = Play::answered();
        let (ticket, _) = play.work(Work::Prepare);
        play.done(ticket, Work::Prepare, report(&[]), Some(refused()));
        assert!(matches!(&play.wizard.screen, Screen::Problem(error) if **error == refused()));
        play
    };
    let mut again = start();
    again.enter();
    again.work(Work::Prepare);
    let mut back = start();
    back.press(Input::Esc);
    assert_eq!(back.question(), "command");
    let mut up = start();
    up.press(Input::Char('q'));
    assert_eq!(up.taken(), [Effect::Leave(Leaving::Failed(Box::new(refused())))]);
}

#[test]
fn steps_change_their_state_on_the_screen_as_they_are_applied() {
    let mut play = Play::reviewing(&[StepState::Pending, StepState::Pending]);
    play.enter();
    let (ticket, _) = play.work(Work::Apply);
    let step = |state| Event::Step {
        id: signoz_setup::domain::StepId("step.0".to_owned()),
        title: "step 0".to_owned(),
        state,
    };
    play.tell(Msg::Progress(ticket, step(StepState::Started)));
    assert_eq!(play.wizard.report.plan.as_ref().unwrap().steps[0].state, StepState::Started);
    play.tell(Msg::Progress(ticket + 7, step(StepState::Failed)));
    assert_eq!(
        play.wizard.report.plan.as_ref().unwrap().steps[0].state,
        StepState::Started,
        "somebody else's"
    );
}

#[test]
fn what_cannot_be_seen_cannot_be_answered() {
    let mut play = Play::fresh();
    play.press(Input::Resize(59, 24)).enter();
    assert!(play.wizard.is_too_small() && matches!(play.wizard.screen, Screen::Welcome(_)));
    play.press(Input::Resize(60, 16)).enter();
    assert_eq!(play.question(), "region");
    play.press(Input::Resize(10, 3)).press(Input::Interrupt);
    assert_eq!(play.taken().last(), Some(&Effect::Leave(Leaving::Interrupted(Signal::Interrupt))));
}

#[test]
fn a_question_mark_is_help_except_where_it_is_text() {
    let mut play = Play::fresh();
    play.press(Input::Char('?'));
    assert!(play.wizard.help);
    play.press(Input::Char('x')).enter().enter();
    assert_eq!(play.question(), "ingestion-key");
    play.text("?");
    assert!(!play.wizard.help);
    play.press(Input::Help);
    assert!(play.wizard.help);
}

#[test]
fn the_key_is_in_no_debug_print() {
    let mut play = Play::fresh();
    play.enter().enter().text(KEY);
    assert!(!format!("{:?}", play.wizard).contains("canary"));
    play.enter();
    assert!(!format!("{:?}{:?}", play.wizard, play.effects).contains("canary"));
}
