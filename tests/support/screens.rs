//! Sample states of every screen, reached only as a person would reach them: messages in, answers to effects.
//!
//! Used by `tests/frames.rs`, `tests/wizard_keys.rs` and `examples/screens.rs`.

#![allow(dead_code, clippy::unwrap_used, missing_docs)]

use signoz_setup::domain::answers::Draft;
use signoz_setup::domain::coverage::{Coverage, CoverageStatus};
use signoz_setup::domain::detection::{
    App, DetectedTarget, Detection, EnvironmentKind, Evidence, Framework, Hazard, Host, PythonEnvironment, Server, ServerKind, StartMethod,
    TargetKind,
};
use signoz_setup::domain::packages::{Conflict, Move};
use signoz_setup::domain::plan::{StepId, StepState};
use signoz_setup::domain::report::{
    Kept, LaunchReport, Level, LevelReport, Outcome, PlanReport, Report, RunOutcome, Stage, StepRow, TraceBar, UndoReport, Verification,
    WorkerRow,
};
use signoz_setup::domain::{Event, IngestionKey, InstrumentationSet, PackageTool, Protocol, Resolution, Target};
use signoz_setup::error::{Error, Signal};
use signoz_setup::wizard::{Effect, Found, Input, Interview, KeptKey, Msg, Options, Screen, SetOutlook, Ticket, Wizard, Work};
use std::path::PathBuf;

/// A screen in a state that is worth looking at.
pub struct Sample {
    pub name: &'static str,
    /// What is to be seen in it.
    pub about: &'static str,
    pub make: fn((u16, u16)) -> Wizard,
}

const fn sample(name: &'static str, about: &'static str, make: fn((u16, u16)) -> Wizard) -> Sample {
    Sample { name, about, make }
}

/// All of them, in the order in which a person meets them.
pub const SAMPLES: &[Sample] = &[
    sample("looking", "the project is being looked at", |size| looking(size).wizard),
    sample("found", "what was found, hazards first to look at", |size| found(size).wizard),
    sample("found-again", "a repeat run, several Pythons, one run was killed", |size| {
        found_again(size).wizard
    }),
    sample("found-nothing", "an empty folder, offline", |size| found_nothing(size).wizard),
    sample("found-wide", "long paths and wide characters", |size| wide(size).wizard),
    sample("python", "several Pythons could be meant", |size| {
        let mut play = found_again(size);
        play.press(Input::Down);
        play.to("python");
        play.wizard
    }),
    sample("python-path", "the path of another Python is typed", |size| {
        let mut play = found_again(size);
        play.press(Input::Down);
        play.to("python");
        play.press(Input::Char('3'));
        play.press(Input::Enter);
        play.press(Input::Edit(signoz_setup::wizard::Edit::DeleteLine));
        play.types("/srv/customers/acme/環境/venv");
        play.wizard
    }),
    sample("region", "the first question of a first run", |size| at("region", size).wizard),
    sample("region-refused", "no region accepted the key", |size| region_refused(size).wizard),
    sample("endpoint", "an address without a scheme", |size| endpoint(size).wizard),
    sample("key", "a kept key would be used", |size| key_kept(size).wizard),
    sample("key-wrong", "a pasted key that cannot be one", |size| {
        let mut play = at("ingestion-key", size);
        play.press(Input::Paste("signoz-ingestion-key=abc".to_owned()));
        play.press(Input::Enter);
        play.wizard
    }),
    sample("key-refused", "back at the key after the endpoint refused it", |size| {
        key_refused(size).wizard
    }),
    sample("find-region", "may the key be tried against every region", |size| {
        find_region(size).wizard
    }),
    sample("finding-region", "the key is tried against every region", |size| {
        let mut play = find_region(size);
        play.press(Input::Down);
        play.press(Input::Enter);
        play.ticks(3);
        play.wizard
    }),
    sample("service-name", "a text that is there already, while the key is tried", |size| {
        let mut play = at("service-name", size);
        play.ticks(2);
        play.wizard
    }),
    sample("service-name-wide", "a long name of wide characters", |size| {
        let mut play = at("service-name", size);
        play.press(Input::Edit(signoz_setup::wizard::Edit::DeleteLine));
        play.types("受注管理サービス・バックエンド（東京リージョン）本番環境・第二系統・予備");
        play.wizard
    }),
    sample("environment", "the key was accepted meanwhile", |size| {
        let mut play = at("deployment-environment", size);
        play.key_checked(accepted());
        play.wizard
    }),
    sample("sets", "the resolver is at work", |size| {
        let mut play = at("instrumentation", size);
        play.key_checked(accepted());
        play.ticks(4);
        play.wizard
    }),
    sample("sets-conflict", "one set would break a package", |size| conflict(size).wizard),
    sample("accept-gaps", "a set that traces nothing", |size| gaps(size).wizard),
    sample("command", "start commands that were found", |size| {
        let mut play = at("command", size);
        play.key_checked(accepted());
        play.wizard
    }),
    sample("command-text", "a command with the shell's words in it", |size| {
        let mut play = at("command", size);
        play.press(Input::Down);
        play.press(Input::Down);
        play.press(Input::Enter);
        play.types("cd backend && gunicorn shop.wsgi:application --workers 4");
        play.press(Input::Enter);
        play.wizard
    }),
    sample("planning", "answers become a plan", |size| planning(size).wizard),
    sample("problem", "set-up is refused before anything was changed", |size| {
        problem(size).wizard
    }),
    sample("problem-undone", "a step failed, and what it left was put back", |size| {
        undone_by_failure(size).wizard
    }),
    sample("review", "nine steps, the chosen one's diff", |size| {
        let mut play = review(size, false);
        for _ in 0..5 {
            play.press(Input::Down);
        }
        play.wizard
    }),
    sample("review-scrolled", "further down in a long diff", |size| {
        let mut play = review(size, false);
        for _ in 0..3 {
            play.press(Input::Down);
        }
        play.wizard.scroll_limit = 60;
        for _ in 0..7 {
            play.press(Input::Char('j'));
        }
        play.wizard
    }),
    sample("review-explained", "why a step is needed", |size| {
        let mut play = review(size, false);
        play.press(Input::Char('e'));
        play.wizard
    }),
    sample("review-right", "nothing to do", |size| review(size, true).wizard),
    sample("review-wide", "long paths and wide characters", |size| review_wide(size).wizard),
    sample("applying", "a step is at work", |size| applying(size).wizard),
    sample("applying-stop", "stop?", |size| {
        let mut play = applying(size);
        play.press(Input::Esc);
        play.wizard
    }),
    sample("applying-stopping", "what was changed is put back", |size| {
        let mut play = applying(size);
        play.press(Input::Esc);
        play.press(Input::Esc);
        play.ticks(1);
        play.wizard
    }),
    sample("leaving", "ctrl-c while a step is at work", |size| {
        let mut play = applying(size);
        play.press(Input::Interrupt);
        play.wizard
    }),
    sample("undoing", "everything is put back", |size| undoing(size).wizard),
    sample("verifying", "stages as they pass", |size| verifying(size).wizard),
    sample("verifying-refused", "the endpoint refuses the key", |size| {
        verifying_refused(size).wizard
    }),
    sample("offer", "may the app be started", |size| offer(size).wizard),
    sample("rehearsing", "four workers counting up", |size| rehearsing(size).wizard),
    sample("verified", "all levels, workers, a trace", |size| verified(size, false).wizard),
    sample("verified-lost", "a worker lost spans, another sent some twice", |size| {
        verified(size, true).wizard
    }),
    sample("report", "done", |size| {
        let mut play = verified(size, false);
        play.press(Input::Enter);
        play.wizard
    }),
    sample("report-failed", "set up, and a level did not pass", |size| {
        let mut play = offer_refused(size);
        play.press(Input::Char('s'));
        play.wizard
    }),
    sample("report-undone", "put back, with something kept", |size| undone(size).wizard),
    sample("help", "the keys of a screen", |size| {
        let mut play = review(size, false);
        play.press(Input::Char('?'));
        play.wizard
    }),
    sample("help-typing", "the keys of a text", |size| {
        let mut play = at("service-name", size);
        play.press(Input::Help);
        play.wizard
    }),
];

/// A wizard, and what it asked for so far.
pub struct Play {
    pub wizard: Wizard,
    pub effects: Vec<Effect>,
}

/// The ticket that an effect's answer has to carry.
pub fn ticket(effect: &Effect) -> Option<Ticket> {
    match effect {
        Effect::Detect(ticket, _)
        | Effect::CheckKey(ticket, _)
        | Effect::FindRegion(ticket, _)
        | Effect::Prepare(ticket, _)
        | Effect::Start(ticket, _) => Some(*ticket),
        Effect::Cancel | Effect::Leave(_) => None,
    }
}

impl Play {
    pub fn new(options: Options, interview: Interview, size: (u16, u16)) -> Self {
        let (wizard, effects) = Wizard::new(options, interview, size);
        Self { wizard, effects }
    }

    pub fn tell(&mut self, msg: Msg) {
        let effects = self.wizard.update(msg);
        self.effects.extend(effects);
    }

    pub fn press(&mut self, input: Input) {
        self.tell(Msg::Input(input));
    }

    pub fn types(&mut self, text: &str) {
        for character in text.chars() {
            self.press(Input::Char(character));
        }
    }

    pub fn ticks(&mut self, count: usize) {
        for _ in 0..count {
            self.tell(Msg::Tick);
        }
    }

    fn last(&self) -> Ticket {
        self.effects.iter().rev().find_map(ticket).unwrap()
    }

    fn ticket_of(&self, wanted: fn(&Effect) -> bool) -> Ticket {
        self.effects.iter().rev().find(|effect| wanted(effect)).and_then(ticket).unwrap()
    }

    fn say(&mut self, event: Event) {
        let ticket = self.last();
        self.tell(Msg::Progress(ticket, event));
    }

    fn stage(&mut self, title: &str) {
        self.say(Event::Stage { title: title.to_owned() });
    }

    fn seen(&mut self, stage: &str, passed: bool, detail: &str) {
        self.say(Event::Verified {
            stage: stage.to_owned(),
            passed,
            detail: detail.to_owned(),
        });
    }

    fn line(&mut self, text: &str) {
        self.say(Event::Line { text: text.to_owned() });
    }

    fn finds(&mut self, found: Found) {
        let ticket = self.ticket_of(|effect| matches!(effect, Effect::Detect(..)));
        self.tell(Msg::Found(ticket, Box::new(found)));
    }

    fn resolves(&mut self, set: InstrumentationSet, resolution: Result<Resolution, Error>) {
        let ticket = self.ticket_of(|effect| matches!(effect, Effect::Detect(..)));
        self.tell(Msg::Resolved(ticket, set, Box::new(resolution)));
    }

    fn key_checked(&mut self, level: LevelReport) {
        let ticket = self.ticket_of(|effect| matches!(effect, Effect::CheckKey(..)));
        self.tell(Msg::KeyChecked(ticket, Box::new(level)));
    }

    fn done(&mut self, work: Work, report: Report, error: Option<Error>) {
        let ticket = self.last();
        self.tell(Msg::Done(ticket, work, Box::new(report), error.map(Box::new)));
    }

    /// Answers every question up to one as it stands.
    pub fn to(&mut self, id: &str) {
        for _ in 0..20 {
            match &self.wizard.screen {
                Screen::Ask(ask) if ask.question.id == id => return,
                Screen::Ask(ask) if ask.question.id == "region" => self.press(Input::Char('4')),
                Screen::Ask(ask) if ask.question.id == "ingestion-key" => self.press(Input::Paste("sample-3f9c2b7a41\n".to_owned())),
                _ => {}
            }
            self.press(Input::Enter);
        }
        panic!("no question `{id}`: {:?}", self.wizard.screen);
    }
}

fn options(project: &str) -> Options {
    Options {
        project: project.to_owned(),
        verify: true,
        ..Options::default()
    }
}

fn evidence(source: &str) -> Vec<Evidence> {
    vec![Evidence::new(source, "")]
}

pub fn interview(folder: &str) -> Interview {
    Interview::new(folder, Draft::default(), Draft::default(), vec![Target::Direct])
}

pub fn python(version: &str, folder: &str, source: &str) -> PythonEnvironment {
    PythonEnvironment {
        interpreter: PathBuf::from(folder).join("bin/python"),
        version: version.to_owned(),
        virtualenv: Some(folder.into()),
        kind: EnvironmentKind::Venv,
        package_manager: PackageTool::Pip,
        site_packages: Vec::new(),
        has_pip: true,
        externally_managed: false,
        broken: None,
        because: evidence(source),
    }
}

pub fn system_python() -> PythonEnvironment {
    PythonEnvironment {
        interpreter: "/usr/bin/python3.12".into(),
        virtualenv: None,
        kind: EnvironmentKind::System,
        externally_managed: true,
        ..python("3.12.3", "/usr", "PATH")
    }
}

fn framework(name: &str, version: Option<&str>, source: &str) -> Framework {
    Framework {
        name: name.to_owned(),
        version: version.map(str::to_owned),
        because: evidence(source),
    }
}

fn server(kind: ServerKind, command: &str, workers: Option<u32>, source: &str) -> Server {
    Server {
        kind,
        command: command.split(' ').map(str::to_owned).collect(),
        variables: Vec::new(),
        workers,
        worker_class: None,
        start: StartMethod::Fork,
        preload: false,
        directory: ".".into(),
        config: None,
        because: evidence(source),
    }
}

fn launch(command: &str, workers: Option<u32>) -> LaunchReport {
    LaunchReport {
        command: command.to_owned(),
        server: "gunicorn",
        workers,
        start: StartMethod::Fork,
        why: "workers are forked: the hook gives each its own exporter and sends its last spans when it ends".to_owned(),
        caveat: None,
    }
}

pub const GUNICORN: &str = "gunicorn shop.wsgi:application --workers 4 --bind 0.0.0.0:8000";

pub fn detection() -> Detection {
    Detection {
        targets: vec![
            DetectedTarget {
                kind: TargetKind::Vm,
                because: evidence("deploy/shop.service:9"),
            },
            DetectedTarget {
                kind: TargetKind::Docker,
                because: evidence("Dockerfile:1"),
            },
        ],
        python: Some(python("3.11.7", "/srv/customers/acme/shop/.venv", ".venv/pyvenv.cfg")),
        frameworks: vec![
            framework("flask", Some("3.1.3"), ".venv/lib/python3.11/site-packages/flask-3.1.3.dist-info"),
            framework(
                "sqlalchemy",
                Some("2.0.36"),
                ".venv/lib/python3.11/site-packages/SQLAlchemy-2.0.36.dist-info",
            ),
            framework("redis", Some("5.2.1"), ".venv/lib/python3.11/site-packages/redis-5.2.1.dist-info"),
            framework("celery", None, "requirements/worker.txt:4"),
        ],
        servers: vec![
            server(ServerKind::Gunicorn, GUNICORN, Some(4), "deploy/shop.service:9"),
            server(ServerKind::Flask, "flask --app shop run --debug", None, "README.md:31"),
        ],
        hazards: vec![Hazard {
            id: "process.own-provider",
            title: "the app sets a tracer provider of its own, which either replaces ours or is refused".to_owned(),
            remedy:
                "remove the call of `set_tracer_provider` and its set-up, or keep it and do not use this set-up: `shop/telemetry.py:14`"
                    .to_owned(),
            because: evidence("shop/telemetry.py:14"),
        }],
        host: Host {
            os: "linux".to_owned(),
            arch: "x86_64".to_owned(),
            ..Host::default()
        },
        ..Detection::default()
    }
}

fn coverage(set: InstrumentationSet, library: &str, version: &str, status: CoverageStatus, server: bool, note: &str) -> Coverage {
    Coverage {
        library: library.to_owned(),
        version: version.to_owned(),
        instrumentation: None,
        supported: None,
        status,
        set,
        beyond_declared_range: false,
        server,
        note: note.to_owned(),
    }
}

fn outlooks() -> Vec<SetOutlook> {
    use CoverageStatus::{NoInstrumentation, Traced};
    let pinned = InstrumentationSet::Pinned;
    let current = InstrumentationSet::Current;
    let old = |library, version, status, note| coverage(pinned, library, version, status, library == "flask", note);
    let new = |library, version| coverage(current, library, version, Traced, library == "flask", "traced");
    vec![
        SetOutlook {
            set: pinned,
            releases: "opentelemetry-distro 0.38b0, opentelemetry-exporter-otlp 1.17.0".to_owned(),
            coverage: vec![
                old(
                    "flask",
                    "3.1.3",
                    Traced,
                    "traced; its instrumentation declares >=1.0,<3.0, proved with 3.1",
                ),
                old(
                    "click",
                    "8.1.8",
                    NoInstrumentation,
                    "not traced: the pinned set has no instrumentation for it; the current set traces it",
                ),
                old("jinja2", "3.1.6", Traced, "traced"),
                old("redis", "5.2.1", Traced, "traced"),
                old("sqlalchemy", "2.0.36", Traced, "traced; needs greenlet, which is installed with it"),
                old(
                    "urllib3",
                    "2.2.3",
                    Traced,
                    "traced; its instrumentation declares >=1.0.0,<2.0.0, proved with 2.2",
                ),
            ],
            silence: None,
            resolution: None,
        },
        SetOutlook {
            set: current,
            releases: "opentelemetry-distro 0.58b0, opentelemetry-exporter-otlp 1.37.0".to_owned(),
            coverage: vec![
                new("flask", "3.1.3"),
                new("click", "8.1.8"),
                new("jinja2", "3.1.6"),
                new("redis", "5.2.1"),
                new("sqlalchemy", "2.0.36"),
                new("urllib3", "2.2.3"),
            ],
            silence: None,
            resolution: None,
        },
    ]
}

pub fn the_found() -> Found {
    Found {
        detection: detection(),
        launches: vec![
            launch(GUNICORN, Some(4)),
            LaunchReport {
                server: "flask",
                start: StartMethod::Reload,
                why: "the reloader spawns a new interpreter, which the loader instruments".to_owned(),
                ..launch("flask --app shop run --debug", None)
            },
        ],
        sets: outlooks(),
    }
}

fn moves(new: usize) -> Vec<Move> {
    (0..new)
        .map(|index| Move {
            name: format!("opentelemetry-part-{index}"),
            from: None,
            to: "0.38b0".to_owned(),
        })
        .collect()
}

pub fn resolution(new: usize) -> Resolution {
    Resolution {
        moves: moves(new),
        ..Resolution::default()
    }
}

pub fn broken_resolution() -> Resolution {
    let mut moves = moves(31);
    for (name, from, to) in [
        ("protobuf", "5.29.5", "4.25.9"),
        ("googleapis-common-protos", "1.70.0", "1.59.1"),
        ("typing-extensions", "4.12.2", "4.16.0"),
    ] {
        moves.push(Move {
            name: name.to_owned(),
            from: Some(from.to_owned()),
            to: to.to_owned(),
        });
    }
    Resolution {
        moves,
        conflicts: vec![Conflict {
            package: "google-cloud-pubsub".to_owned(),
            version: "2.31.1".to_owned(),
            requires: "protobuf<7,>=5.26.1".to_owned(),
            would_get: "protobuf 4.25.9".to_owned(),
            way_out: Some("google-cloud-pubsub 2.18.4".to_owned()),
        }],
        wheels: Vec::new(),
    }
}

const PROJECT: &str = "/srv/customers/acme/shop";

fn looking(size: (u16, u16)) -> Play {
    let mut play = Play::new(options(PROJECT), interview("shop"), size);
    play.stage("looking through the project");
    play.stage("looking for the app's Python");
    play.stage("looking at start commands");
    play.ticks(3);
    play
}

fn found(size: (u16, u16)) -> Play {
    let mut play = looking(size);
    play.finds(the_found());
    play
}

fn found_again(size: (u16, u16)) -> Play {
    let saved = Draft {
        region: Some("eu2".parse().unwrap()),
        service_name: Some("shop".parse().unwrap()),
        command: Some(GUNICORN.split(' ').map(str::to_owned).collect()),
        ..Draft::default()
    };
    let options = Options {
        saved: true,
        undoable: true,
        interrupted: true,
        ..options(PROJECT)
    };
    let interview = Interview::new("shop", Draft::default(), saved, vec![Target::Direct]);
    let mut play = Play::new(options, interview, size);
    let mut found = the_found();
    found.detection.python_candidates = vec![
        system_python(),
        PythonEnvironment {
            broken: Some("its interpreter `/opt/python3.9/bin/python3.9` is gone".to_owned()),
            ..python("3.9.18", "/srv/customers/acme/shop/venv-old", "venv-old/pyvenv.cfg")
        },
    ];
    found.detection.hazards.clear();
    play.finds(found);
    play
}

fn found_nothing(size: (u16, u16)) -> Play {
    let options = Options {
        offline: true,
        ..options("/tmp/empty")
    };
    let mut play = Play::new(options, interview("empty"), size);
    play.finds(Found {
        detection: Detection {
            notes: vec!["`pyproject.toml` is not TOML: line 3 has no `=`".to_owned()],
            ..Detection::default()
        },
        ..Found::default()
    });
    play
}

const LONG: &str = "/home/vagrant/Projekte/2026/kunden/日本語プロジェクト/backend/services/bestellungen-und-lieferungen/受注管理";

fn wide(size: (u16, u16)) -> Play {
    let mut play = Play::new(options(LONG), interview("受注管理"), size);
    let mut found = the_found();
    let detection = &mut found.detection;
    detection.python = Some(python(
        "3.11.7",
        &format!("{LONG}/.venv"),
        "サービス/設定/とても長いフォルダ名/pyvenv.cfg",
    ));
    detection.servers = vec![server(
        ServerKind::Gunicorn,
        "gunicorn 受注管理.アプリケーション.ウェブ:create_application() --workers 8 --bind unix:/run/bestellungen-und-lieferungen/gunicorn.sock --access-logfile -",
        Some(8),
        "deploy/サービス/とても長いフォルダ名/bestellungen-und-lieferungen.service:12",
    )];
    detection.apps = vec![
        App {
            directory: "サービス/受注".into(),
            because: evidence("サービス/受注/pyproject.toml"),
        },
        App {
            directory: "services/delivery-and-returns-with-a-very-long-name".into(),
            because: evidence("services/delivery-and-returns-with-a-very-long-name/requirements.txt"),
        },
    ];
    detection.notes =
        vec!["`サービス/設定/とても長いフォルダ名/docker-compose.override.yaml` cannot be read: permission denied".to_owned()];
    play.finds(found);
    play
}

/// A first run, at a question.
fn at(id: &str, size: (u16, u16)) -> Play {
    let mut play = found(size);
    play.to(id);
    play
}

fn find_region(size: (u16, u16)) -> Play {
    let mut play = at("region", size);
    play.press(Input::Char('7'));
    play.press(Input::Enter);
    play.press(Input::Paste("sample-3f9c2b7a41".to_owned()));
    play.press(Input::Enter);
    play
}

fn region_refused(size: (u16, u16)) -> Play {
    let mut play = find_region(size);
    play.press(Input::Down);
    play.press(Input::Enter);
    let ticket = play.last();
    let tried = ["us", "us2", "eu", "eu2", "in", "in2"].map(|code| (code.parse().unwrap(), refused()));
    play.tell(Msg::RegionsTried(ticket, tried.into()));
    play
}

fn endpoint(size: (u16, u16)) -> Play {
    let mut play = at("region", size);
    play.press(Input::Char('8'));
    play.press(Input::Enter);
    play.types("signoz.internal:4317");
    play.press(Input::Enter);
    play
}

fn key_kept(size: (u16, u16)) -> Play {
    let mut interview = interview("shop");
    interview.kept_key = Some(KeptKey {
        endpoint: "https://ingest.eu2.signoz.cloud:443".parse().unwrap(),
        key: IngestionKey::parse("sample-of-yesterday").unwrap(),
    });
    let mut play = Play::new(options(PROJECT), interview, size);
    play.finds(the_found());
    play.to("region");
    play.press(Input::Char('4'));
    play.press(Input::Enter);
    play
}

fn key_refused(size: (u16, u16)) -> Play {
    let mut play = at("service-name", size);
    play.key_checked(refused());
    play.press(Input::Esc);
    play
}

fn level(level: Level, outcome: Outcome, detail: &str) -> LevelReport {
    LevelReport {
        level,
        outcome,
        trace_id: None,
        protocol: Some(Protocol::Grpc),
        detail: detail.to_owned(),
        remedy: None,
        latency_ms: None,
        stages: Vec::new(),
    }
}

pub fn accepted() -> LevelReport {
    LevelReport {
        trace_id: Some("2744693c7d6045282c0b3c80de34f0e9".to_owned()),
        latency_ms: Some(84),
        ..level(
            Level::Endpoint,
            Outcome::Pass,
            "a span was accepted by https://ingest.eu2.signoz.cloud:443 over grpc in 84 ms",
        )
    }
}

pub fn refused() -> LevelReport {
    LevelReport {
        remedy: Some("compare the key with Settings → Ingestion in SigNoz, and the region with the address of your SigNoz".to_owned()),
        stages: vec![Stage {
            name: "auth".to_owned(),
            outcome: Outcome::Fail,
            detail: "HTTP status 401".to_owned(),
        }],
        ..level(
            Level::Endpoint,
            Outcome::Fail,
            "https://ingest.eu2.signoz.cloud:443 does not know the ingestion key (HTTP 401)",
        )
    }
}

fn conflict(size: (u16, u16)) -> Play {
    let mut play = at("instrumentation", size);
    play.key_checked(accepted());
    play.resolves(InstrumentationSet::Pinned, Ok(broken_resolution()));
    play.resolves(InstrumentationSet::Current, Ok(resolution(36)));
    play
}

fn gaps(size: (u16, u16)) -> Play {
    let mut play = Play::new(options(PROJECT), interview("shop"), size);
    let mut found = the_found();
    for outlook in &mut found.sets {
        outlook.silence =
            Some("no request would give a span (litestar 2.12.1: not traced: the set has no instrumentation for it)".to_owned());
    }
    play.finds(found);
    play.to("instrumentation");
    play.press(Input::Enter);
    play
}

fn planning(size: (u16, u16)) -> Play {
    let mut play = at("command", size);
    play.key_checked(accepted());
    play.press(Input::Enter);
    play.stage("looking at the project");
    play.stage("asking the resolver what would change");
    play.line("Collecting opentelemetry-instrumentation-sqlalchemy==0.38b0");
    play.ticks(5);
    play
}

fn row(id: &str, title: &str, why: &str, state: StepState, path: Option<&str>, diff: Option<String>) -> StepRow {
    StepRow {
        id: id.to_owned(),
        title: title.to_owned(),
        why: why.to_owned(),
        kind: if path.is_some() { "write_file" } else { "install_packages" },
        state,
        path: path.map(|name| format!("{PROJECT}/{name}")),
        diff,
        argv: None,
        duration_ms: None,
    }
}

fn created(name: &str, text: &str) -> Option<String> {
    let lines: Vec<&str> = text.lines().collect();
    let body: String = lines.iter().map(|line| format!("+{line}\n")).collect();
    Some(format!(
        "--- /dev/null\n+++ {PROJECT}/{name}\n@@ -0,0 +1,{} @@\n{body}",
        lines.len()
    ))
}

const ENV_FILE: &str = "# Written by signoz-setup. Holds the ingestion key: keep it out of git and of images.
OTEL_RESOURCE_ATTRIBUTES=service.name=shop,deployment.environment=production
OTEL_EXPORTER_OTLP_ENDPOINT=https://ingest.eu2.signoz.cloud:443
OTEL_EXPORTER_OTLP_PROTOCOL=grpc
OTEL_TRACES_EXPORTER=otlp
# The distribution would switch these on by itself.
OTEL_METRICS_EXPORTER=none
OTEL_LOGS_EXPORTER=none
OTEL_EXPORTER_OTLP_HEADERS=signoz-ingestion-key=••••••••";

const RUN_SCRIPT: &str = "#!/bin/sh
# Written by signoz-setup. Starts the app with tracing: `.signoz/run.sh`, or `.signoz/run.sh COMMAND`.
set -eu
signoz_dir=$(CDPATH= cd -- \"$(dirname -- \"$0\")\" && pwd)
signoz_project=$(dirname -- \"$signoz_dir\")

# Variables that are set already win over the file.
while IFS= read -r signoz_line; do
    case $signoz_line in
        '' | '#'*) continue ;;
    esac
\tsignoz_name=${signoz_line%%=*}
    eval \"signoz_set=\\${$signoz_name+set}\"
    if [ -z \"$signoz_set\" ]; then export \"$signoz_line\"; fi
done <\"$signoz_dir/otel.env\"

export PYTHONPATH=\"$signoz_dir/auto${PYTHONPATH:+:$PYTHONPATH}\"
if [ $# -eq 0 ]; then
    cd -- \"$signoz_project\"
    set -- gunicorn shop.wsgi:application --workers 4 --bind 0.0.0.0:8000
fi
exec \"$@\" -c \"$signoz_dir\"/gunicorn.conf.py";

fn unit_diff() -> Option<String> {
    Some(format!(
        "--- {PROJECT}/deploy/shop.service\n+++ {PROJECT}/deploy/shop.service\n@@ -6,7 +6,8 @@\n [Service]\n User=shop\n WorkingDirectory=/srv/customers/acme/shop\n-ExecStart=/srv/customers/acme/shop/.venv/bin/gunicorn shop.wsgi:application --workers 4 --bind 0.0.0.0:8000\n+# Started through signoz-setup's script, which loads .signoz/otel.env and the loader.\n+ExecStart=/srv/customers/acme/shop/.signoz/run.sh\n Restart=always\n \n [Install]\n"
    ))
}

pub fn steps(state: StepState) -> Vec<StepRow> {
    let loader: String = (1..=120).map(|line| format!("# line {line} of the loader\n")).collect();
    let mut install = row(
        "install.packages",
        "install 17 packages with pip",
        "the pinned releases of OpenTelemetry, and the instrumentations that the app's libraries need",
        state,
        None,
        None,
    );
    install.argv = Some(
        [
            "/srv/customers/acme/shop/.venv/bin/python",
            "-m",
            "pip",
            "install",
            "--no-deps",
            "--no-input",
            "--disable-pip-version-check",
            "opentelemetry-distro==0.38b0",
            "opentelemetry-exporter-otlp==1.17.0",
            "opentelemetry-instrumentation-flask==0.38b0",
            "opentelemetry-instrumentation-redis==0.38b0",
            "opentelemetry-instrumentation-sqlalchemy==0.38b0",
            "opentelemetry-instrumentation-urllib3==0.38b0",
        ]
        .map(str::to_owned)
        .into(),
    );
    let mut rows = vec![
        install,
        row(
            "write.gitignore",
            "keep the key out of git",
            "otel.env holds the ingestion key",
            state,
            Some(".signoz/.gitignore"),
            created(".signoz/.gitignore", "otel.env\n__pycache__/"),
        ),
        row(
            "write.env-file",
            "write the settings and the key to .signoz/otel.env",
            "where spans go and under which name; readable by you only",
            state,
            Some(".signoz/otel.env"),
            created(".signoz/otel.env", ENV_FILE),
        ),
        row(
            "write.loader",
            "write the loader .signoz/auto/signoz_auto.py",
            "every Python process of the app starts instrumented, spawned workers included",
            state,
            Some(".signoz/auto/signoz_auto.py"),
            created(".signoz/auto/signoz_auto.py", &loader),
        ),
        row(
            "write.sitecustomize",
            "write the loader .signoz/auto/sitecustomize.py",
            "every Python process of the app starts instrumented, spawned workers included",
            state,
            Some(".signoz/auto/sitecustomize.py"),
            created(".signoz/auto/sitecustomize.py", "import signoz_auto\n\nsignoz_auto.start()"),
        ),
        row(
            "edit.unit",
            "start the app through the run script in deploy/shop.service",
            "systemd starts the app today; it goes on to do so",
            state,
            Some("deploy/shop.service"),
            unit_diff(),
        ),
        row(
            "write.hooks",
            "write the worker hooks .signoz/gunicorn.conf.py",
            "each worker gets an exporter of its own after the fork and sends its last spans before it ends; your own configuration and hooks still run",
            state,
            Some(".signoz/gunicorn.conf.py"),
            created(
                ".signoz/gunicorn.conf.py",
                "import signoz_auto as _auto\n\n\ndef post_fork(server, worker):\n    _auto.refresh()",
            ),
        ),
        row(
            "write.run-script",
            "write the run script .signoz/run.sh",
            "workers are forked: the hook gives each its own exporter and sends its last spans when it ends",
            state,
            Some(".signoz/run.sh"),
            created(".signoz/run.sh", RUN_SCRIPT),
        ),
        row(
            "write.answers",
            "write the answers to signoz-setup.toml",
            "the next run, and other machines, start from them; the key is not in it",
            StepState::Satisfied,
            Some("signoz-setup.toml"),
            None,
        ),
    ];
    if state == StepState::Satisfied {
        for row in &mut rows {
            row.diff = None;
            row.argv = None;
        }
    }
    rows
}

pub fn planned(state: StepState) -> Report {
    let mut report = Report::new("setup");
    report.environment = Some(detection());
    report.coverage = outlooks().remove(0).coverage;
    report.resolution = Some(resolution(34));
    report.launch = Some(launch(GUNICORN, Some(4)));
    report.plan = Some(PlanReport { steps: steps(state) });
    report
}

fn review(size: (u16, u16), right: bool) -> Play {
    let mut play = planning(size);
    play.done(
        Work::Prepare,
        planned(if right { StepState::Satisfied } else { StepState::Pending }),
        None,
    );
    play
}

fn review_wide(size: (u16, u16)) -> Play {
    let mut play = wide(size);
    play.to("command");
    play.key_checked(LevelReport {
        outcome: Outcome::Warn,
        ..level(
            Level::Endpoint,
            Outcome::Warn,
            "the certificate was issued by `社内認証局`, which this machine trusts and Python's exporters do not",
        )
    });
    play.press(Input::Enter);
    let mut report = planned(StepState::Pending);
    report.launch = Some(launch(
        "gunicorn 受注管理.アプリケーション.ウェブ:create_application() --workers 8",
        Some(8),
    ));
    let steps = &mut report.plan.as_mut().unwrap().steps;
    steps[0].state = StepState::Satisfied;
    steps[1].title = "サービス/設定/とても長いフォルダ名/.gitignore から鍵を守る".to_owned();
    steps[1].path = Some(format!("{LONG}/サービス/設定/とても長いフォルダ名/.signoz/.gitignore"));
    steps[1].diff = Some(format!(
        "--- {LONG}\n+++ {LONG}\n@@ -1,3 +1,4 @@\n # 受注管理サービスの設定ファイル。この行はとても長いので、狭い画面では折り返される必要があります\n-古い行\u{1b}[31m\n+新しい行\tタブ付き\n+otel.env\n"
    ));
    play.done(Work::Prepare, report, None);
    play
}

fn problem(size: (u16, u16)) -> Play {
    let mut play = planning(size);
    let mut report = planned(StepState::Pending);
    report.plan = None;
    let error = Error::refused("the pinned set would break google-cloud-pubsub 2.31.1")
        .because("it requires protobuf<7,>=5.26.1 but would get protobuf 4.25.9")
        .remedy("choose the current releases: --instrumentation current")
        .remedy("or install google-cloud-pubsub 2.18.4, which would fit, and run set-up again")
        .remedy("`signoz-setup --explain packages.conflict` says more");
    play.done(Work::Prepare, report, Some(error));
    play
}

fn apply(play: &mut Play, until: usize) {
    let rows = steps(StepState::Pending);
    for (index, step) in rows.iter().enumerate().take(until + 1) {
        let event = |state| Event::Step {
            id: StepId(step.id.clone()),
            title: step.title.clone(),
            state,
        };
        play.say(event(StepState::Started));
        if index < until {
            play.say(event(StepState::Applied));
        }
    }
}

fn applying(size: (u16, u16)) -> Play {
    let mut play = review(size, false);
    play.press(Input::Enter);
    apply(&mut play, 0);
    play.stage("installing");
    for name in [
        "backoff-2.2.1",
        "deprecated-1.2.18",
        "googleapis_common_protos-1.59.1",
        "grpcio-1.74.0",
        "importlib_metadata-6.0.1",
        "opentelemetry_api-1.17.0",
        "opentelemetry_distro-0.38b0",
        "opentelemetry_exporter_otlp-1.17.0",
        "opentelemetry_exporter_otlp_proto_grpc-1.17.0",
        "opentelemetry_instrumentation_flask-0.38b0",
        "opentelemetry_instrumentation_sqlalchemy-0.38b0",
    ] {
        play.line(&format!("Downloading {name}-py3-none-any.whl (24 kB)"));
    }
    play.line("Installing collected packages: wrapt, protobuf, packaging, grpcio, backoff, importlib-metadata, googleapis-common-protos, deprecated, opentelemetry-api");
    play.ticks(4);
    play
}

fn undone_by_failure(size: (u16, u16)) -> Play {
    let mut play = review(size, false);
    play.press(Input::Enter);
    apply(&mut play, 3);
    let mut report = planned(StepState::Pending);
    let rows = &mut report.plan.as_mut().unwrap().steps;
    for row in rows.iter_mut().take(3) {
        row.state = StepState::Reverted;
    }
    rows[3].state = StepState::Failed;
    report.undo = Some(UndoReport {
        restored: vec![
            "uninstalled 34 packages".to_owned(),
            format!("{PROJECT}/.signoz/otel.env removed"),
            format!("{PROJECT}/.signoz/.gitignore removed"),
        ],
        ..UndoReport::default()
    });
    let error = Error::step_failed(format!("cannot write `{PROJECT}/.signoz/auto/signoz_auto.py`"))
        .because("no space left on device")
        .remedy(format!("free some space on the file system of `{PROJECT}`"))
        .remedy("everything that was done before it was put back; run set-up again then");
    play.done(Work::Apply, report, Some(error));
    play
}

fn undoing(size: (u16, u16)) -> Play {
    let mut play = found_again(size);
    play.press(Input::Down);
    play.press(Input::Down);
    play.press(Input::Enter);
    play.stage("uninstalling 34 packages");
    for name in ["opentelemetry-distro-0.38b0", "opentelemetry-api-1.17.0", "grpcio-1.74.0"] {
        play.line(&format!("Successfully uninstalled {name}"));
    }
    play.ticks(2);
    play
}

fn undone(size: (u16, u16)) -> Play {
    let mut play = undoing(size);
    let mut report = Report::new("undo");
    report.outcome = RunOutcome::Warnings;
    report.undo = Some(UndoReport {
        restored: vec![
            "uninstalled 34 packages".to_owned(),
            format!("{PROJECT}/deploy/shop.service as it was"),
            format!("{PROJECT}/.signoz removed"),
        ],
        kept: vec![Kept {
            what: format!("{PROJECT}/signoz-setup.toml"),
            why: "it was edited since".to_owned(),
            manual: format!("rm {PROJECT}/signoz-setup.toml"),
        }],
        failed: Vec::new(),
    });
    play.done(Work::Undo, report, None);
    play.finds(the_found());
    play
}

pub fn applied() -> Report {
    let mut report = planned(StepState::Applied);
    for (index, row) in report.plan.as_mut().unwrap().steps.iter_mut().enumerate() {
        if row.state == StepState::Applied {
            row.duration_ms = Some(if index == 0 { 11_840 } else { 2 });
        }
    }
    report
}

fn sending(size: (u16, u16)) -> Play {
    let mut play = applying(size);
    apply(&mut play, 8);
    play.done(Work::Apply, applied(), None);
    play.stage("sending a span to the endpoint");
    play.seen("dns", true, "ingest.eu2.signoz.cloud is 34.159.71.12, 34.159.71.13");
    play.seen("tcp", true, "connected to 34.159.71.12:443 in 18 ms");
    play.seen("tls", true, "TLS 1.3, h2, certificate issued by `WR3`");
    play.seen("http2", true, "HTTP/2");
    play
}

fn verifying(size: (u16, u16)) -> Play {
    let mut play = sending(size);
    play.seen("auth", true, "the ingestion key was not refused");
    play.seen("accepted", true, "accepted after 84 ms; accepted is not yet stored");
    play.seen("partial_success", true, "nothing was rejected");
    play.seen("clock", true, "this machine's clock agrees with the endpoint's");
    play.stage("sending a span from the app's own Python");
    play.seen("interpreter", true, "Python 3.11.7");
    play.seen("sdk", true, "opentelemetry-sdk 1.17.0");
    play.ticks(5);
    play
}

fn verifying_refused(size: (u16, u16)) -> Play {
    let mut play = sending(size);
    play.seen(
        "auth",
        false,
        "https://ingest.eu2.signoz.cloud:443 does not know the ingestion key (HTTP 401)",
    );
    play.stage("sending a span from the app's own Python");
    play.ticks(2);
    play
}

pub fn levels() -> Vec<LevelReport> {
    vec![
        accepted(),
        LevelReport {
            trace_id: Some("543d34fc9600af3396e62f869fc2c862".to_owned()),
            latency_ms: Some(97),
            ..level(Level::Python, Outcome::Pass, "accepted by https://ingest.eu2.signoz.cloud:443")
        },
        LevelReport::not_run(Level::Workers, "it starts the app; run `signoz-setup --rehearse`"),
        LevelReport::not_run(
            Level::Stored,
            "accepted is not stored; pass --api-key-file (a service account's key) to read the span back",
        ),
    ]
}

pub fn next() -> Vec<String> {
    vec![
        format!("start the app with: {PROJECT}/.signoz/run.sh"),
        format!("prove it for every worker: signoz-setup --rehearse {PROJECT}"),
        "commit .signoz and signoz-setup.toml; .signoz/otel.env holds the key and is ignored by git".to_owned(),
        "then look for `shop` under Services in SigNoz".to_owned(),
        format!("take everything back: signoz-setup --undo {PROJECT}"),
    ]
}

fn offer(size: (u16, u16)) -> Play {
    let mut play = verifying(size);
    let mut report = applied();
    report.verification = Some(Verification {
        levels: levels(),
        ..Verification::default()
    });
    report.next = next();
    play.done(Work::Verify, report, None);
    play
}

fn offer_refused(size: (u16, u16)) -> Play {
    let mut play = verifying_refused(size);
    let mut report = applied();
    let mut levels = levels();
    levels[0] = refused();
    levels[1] = LevelReport {
        remedy: Some("compare the key with Settings → Ingestion in SigNoz".to_owned()),
        ..level(
            Level::Python,
            Outcome::Fail,
            "the endpoint refuses the key (https://ingest.eu2.signoz.cloud:443: StatusCode.UNAUTHENTICATED)",
        )
    };
    report.outcome = RunOutcome::Failed;
    report.exit_code = 1;
    report.verification = Some(Verification {
        levels,
        ..Verification::default()
    });
    report.next = next();
    report.warnings = vec![
        "the app sets a tracer provider of its own, which either replaces ours or is refused [shop/telemetry.py:14]: remove the call of `set_tracer_provider` (--explain process.own-provider)"
            .to_owned(),
    ];
    play.done(Work::Verify, report, None);
    play
}

pub fn worker(pid: u32, requests: u64, lost: u64, duplicated: u64) -> WorkerRow {
    WorkerRow {
        pid,
        server: "gunicorn".to_owned(),
        requests,
        spans: requests - lost + duplicated,
        unique_spans: requests - lost,
        lost,
        duplicated,
    }
}

fn rehearsing(size: (u16, u16)) -> Play {
    let mut play = offer(size);
    play.press(Input::Enter);
    play.stage("starting `gunicorn --bind 127.0.0.1:37655 shop.wsgi:application --workers 4` for a rehearsal");
    for pid in [26279, 26293, 26307, 26321] {
        play.line(&format!(
            "[2026-03-02 10:41:07 +0000] [{pid}] [INFO] Booting worker with pid: {pid}"
        ));
    }
    play.stage("sending requests to 127.0.0.1:37655");
    play.say(Event::Workers {
        rows: vec![
            worker(26279, 6, 0, 0),
            worker(26293, 5, 0, 0),
            worker(26307, 7, 0, 0),
            worker(26321, 3, 0, 0),
        ],
    });
    play.ticks(6);
    play
}

pub fn trace() -> Vec<TraceBar> {
    let bar = |name: &str, kind: &str, depth, offset_us, duration_us| TraceBar {
        name: name.to_owned(),
        kind: kind.to_owned(),
        pid: Some(26307),
        depth,
        offset_us,
        duration_us,
    };
    vec![
        bar("GET /orders/<int:order_id>", "server", 0, 0, 41_800),
        bar("connect", "client", 1, 900, 2_400),
        bar("SELECT shop", "client", 1, 3_600, 8_100),
        bar("HGETALL", "client", 1, 12_000, 640),
        bar("GET", "client", 1, 13_100, 19_900),
        bar("受注管理.render", "internal", 1, 33_900, 7_200),
        bar("orders.html", "internal", 2, 34_200, 6_500),
    ]
}

fn verified(size: (u16, u16), lost: bool) -> Play {
    let mut play = rehearsing(size);
    let mut report = applied();
    let mut levels = levels();
    let workers = if lost {
        vec![
            worker(26279, 14, 0, 0),
            worker(26293, 13, 5, 0),
            worker(26307, 14, 0, 3),
            worker(26321, 11, 0, 0),
        ]
    } else {
        vec![
            worker(26279, 14, 0, 0),
            worker(26293, 13, 0, 0),
            worker(26307, 14, 0, 0),
            worker(26321, 11, 0, 0),
        ]
    };
    levels[2] = if lost {
        LevelReport {
            remedy: Some("a second span processor is set up in `shop/telemetry.py:14`: remove it".to_owned()),
            latency_ms: Some(2_310),
            ..level(
                Level::Workers,
                Outcome::Fail,
                "4 workers served 52 requests: 47 spans received, 5 lost, 3 sent twice",
            )
        }
    } else {
        LevelReport {
            latency_ms: Some(1_881),
            ..level(
                Level::Workers,
                Outcome::Pass,
                "4 workers served 52 requests: 52 spans received, 0 lost, 0 sent twice",
            )
        }
    };
    if !lost {
        levels[3] = LevelReport {
            latency_ms: Some(3_204),
            ..level(Level::Stored, Outcome::Pass, "the span was read back from storage")
        };
    }
    report.verification = Some(Verification {
        levels,
        workers,
        lost_at_stop: Some(u64::from(lost)),
        trace: trace(),
    });
    report.outcome = if lost { RunOutcome::Failed } else { RunOutcome::Ok };
    report.next = next();
    report.next.remove(1);
    play.done(Work::Rehearse, report, None);
    play
}

/// A signal from outside, for tests.
pub fn terminated() -> Msg {
    Msg::Ended(Signal::Terminate)
}
