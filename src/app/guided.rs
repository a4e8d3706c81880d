//! Guided set-up: the wizard's effects, done by the one pipeline, and the answers sent back to it.
//!
//! May never ask or show anything itself.

use super::pipeline::{Pipeline, Prepared, folder_name, launch};
use super::refusals::environment;
use super::rehearse::Rehearsal;
use super::{Context, FrontEnd, answers, plain, refuse, undo};
use crate::cli::When;
use crate::coverage::{self, data};
use crate::detect;
use crate::domain::answers::{Answers, Destination, Draft};
use crate::domain::detection::PythonEnvironment;
use crate::domain::report::{Level, LevelReport, Report};
use crate::domain::{Detection, Event, InstrumentationSet, Region, Resolution, Target};
use crate::engine;
use crate::error::{Error, Result, Signal};
use crate::system::{Cancel, RealCommands, System};
use crate::ui::progress;
use crate::ui::theme::Theme;
use crate::ui::tui::{Loop, Post};
use crate::verify::regions;
use crate::wizard::{Effect, Found, Interview, Leaving, Msg, Options, SetOutlook, Ticket, Wizard, Work};
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

/// Ways that this version can set up.
const TARGETS: [Target; 1] = [Target::Direct];

/// Runs guided set-up.
pub(super) fn run(context: &Context) -> Result<Report> {
    let project = answers::project(&context.cli)?;
    let given = answers::spoken(context)?;
    let saved = answers::file(&context.cli, &project)?;
    engine::refuse_foreign_home(&detect::look_at_host(&context.system))?;
    let _lock = engine::lock(&context.system, &project)?;
    let options = Options {
        project: project.display().to_string(),
        saved: project.join(answers::FILE).is_file() && saved != Draft::default(),
        undoable: engine::undoable(&context.system, &project)?,
        interrupted: engine::interrupted_before(&context.system, &project)?,
        offline: context.cli.offline,
        verify: !context.cli.no_verify,
    };
    engine::recover(&context.system, &project, &|event| context.progress.event(&event))?;
    let mut interview = Interview::new(folder_name(&project), given, saved, TARGETS.to_vec());
    interview.kept_key = answers::kept_key(&project);
    match context.front {
        FrontEnd::Full => full_screen(context, &project, options, interview),
        FrontEnd::Prompts | FrontEnd::Lines => plain::run(context, &project, &options, interview),
    }
}

fn full_screen(context: &Context, project: &Path, options: Options, interview: Interview) -> Result<Report> {
    let event_loop = Loop::default();
    let mut crew = Crew::new(context, project, &options, event_loop.post());
    let (wizard, effects) = Wizard::new(options, interview, (0, 0));
    let colour = match context.cli.color {
        When::Auto => None,
        When::Always => Some(true),
        When::Never => Some(false),
    };
    let theme = Theme::of(&context.system.env, colour);
    let left = event_loop.run(&context.system.runtime, &theme, wizard, effects, &mut |effect| crew.perform(effect));
    let (mut report, changed) = crew.dismiss();
    match left.map_err(|error| {
        Error::failed("the terminal cannot be used")
            .because(error.to_string())
            .remedy("pass --plain")
    })? {
        Leaving::Done => {}
        Leaving::Failed(error) => refuse(&mut report, &error),
        Leaving::Interrupted(signal) => {
            if !changed {
                // What was only looked at is nothing to report.
                report = Report::new("setup");
            }
            let why = if changed {
                "what is done stays: `signoz-setup --undo` takes it back"
            } else {
                "nothing was changed"
            };
            refuse(&mut report, &Error::interrupted(signal).because(why));
        }
    }
    Ok(report)
}

/// Those who do the wizard's work: one job after the other on one thread, quick looks on threads of their own.
struct Crew {
    bench: Bench,
    post: Post,
    /// Jobs in their order.
    jobs: Option<Sender<Job>>,
    worker: Option<JoinHandle<()>>,
    /// Ends the job that was given last.
    latest: Cancel,
    /// Looks that may still be at work, each with what ends it.
    looks: Vec<(Cancel, JoinHandle<()>)>,
    /// Ends the look at the project, when another one begins.
    detecting: Cancel,
}

/// What every job works on.
#[derive(Clone)]
struct Bench {
    system: System,
    project: PathBuf,
    offline: bool,
    verify: bool,
    known: Arc<Mutex<Known>>,
}

/// What the jobs have found out so far.
struct Known {
    report: Report,
    prepared: Option<Prepared>,
    /// Something was applied or put back.
    changed: bool,
    /// Resolver's answers, by interpreter and set.
    resolved: HashMap<(PathBuf, InstrumentationSet), Resolution>,
}

enum Job {
    Prepare(Ticket, Box<Draft>, Cancel),
    Start(Ticket, Work, Cancel),
}

impl Crew {
    fn new(context: &Context, project: &Path, options: &Options, post: Post) -> Self {
        let bench = Bench {
            system: context.system.clone(),
            project: project.to_path_buf(),
            offline: options.offline,
            verify: options.verify,
            known: Arc::new(Mutex::new(Known {
                report: Report::new("setup"),
                prepared: None,
                changed: false,
                resolved: HashMap::new(),
            })),
        };
        let (jobs, queue) = mpsc::channel::<Job>();
        let worker = {
            let (bench, post) = (bench.clone(), post.clone());
            std::thread::spawn(move || {
                for job in queue {
                    bench.job(job, &post);
                }
            })
        };
        Self {
            bench,
            post,
            jobs: Some(jobs),
            worker: Some(worker),
            latest: Cancel::default(),
            looks: Vec::new(),
            detecting: Cancel::default(),
        }
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Detect(ticket, python) => {
                self.detecting.set(Signal::Interrupt);
                self.detecting = Cancel::default();
                let cancel = self.detecting.clone();
                self.look(cancel, move |bench, post| bench.detect(ticket, python.as_deref(), post));
            }
            Effect::CheckKey(ticket, draft) => self.look(Cancel::default(), move |bench, post| {
                let level = bench.check_key(&draft);
                post.send(Msg::KeyChecked(ticket, Box::new(level)));
            }),
            Effect::FindRegion(ticket, draft) => self.look(Cancel::default(), move |bench, post| {
                post.send(Msg::RegionsTried(ticket, find_region(&bench.system, &draft)));
            }),
            Effect::Prepare(ticket, draft) => {
                self.latest = Cancel::default();
                self.enqueue(Job::Prepare(ticket, draft, self.latest.clone()));
            }
            Effect::Start(ticket, work) => {
                self.latest = Cancel::default();
                self.enqueue(Job::Start(ticket, work, self.latest.clone()));
            }
            Effect::Cancel => self.latest.set(Signal::Interrupt),
            // The loop's own.
            Effect::Leave(_) => {}
        }
    }

    fn enqueue(&self, job: Job) {
        if let Some(jobs) = &self.jobs {
            let _ = jobs.send(job);
        }
    }

    fn look(&mut self, cancel: Cancel, work: impl FnOnce(&Bench, &Post) + Send + 'static) {
        self.looks.retain(|(_, thread)| !thread.is_finished());
        let bench = self.bench.with(&cancel);
        let post = self.post.clone();
        self.looks.push((cancel, std::thread::spawn(move || work(&bench, &post))));
    }

    /// Ends everything that is still at work, and hands over the report; true when something was changed.
    fn dismiss(mut self) -> (Report, bool) {
        self.latest.set(Signal::Interrupt);
        drop(self.jobs.take());
        for (cancel, _) in &self.looks {
            cancel.set(Signal::Interrupt);
        }
        for (_, thread) in self.looks.drain(..) {
            let _ = thread.join();
        }
        if let Some(worker) = self.worker.take() {
            let _ = worker.join();
        }
        let known = self.bench.known();
        (known.report.clone(), known.changed)
    }
}

impl Bench {
    /// The same, with a cancel flag of its own.
    fn with(&self, cancel: &Cancel) -> Self {
        let mut bench = self.clone();
        bench.system.cancel = cancel.clone();
        bench.system.commands = Arc::new(RealCommands::new(cancel.clone()));
        bench
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pipeline<'a>(&'a self, observer: &'a (dyn Fn(Event) + Send + Sync)) -> Pipeline<'a> {
        Pipeline {
            system: &self.system,
            project: &self.project,
            offline: self.offline,
            observer,
        }
    }

    /// Looks at the project, then asks the resolver what each set would move.
    fn detect(&self, ticket: Ticket, python: Option<&Path>, post: &Post) {
        let progress = |event: Event| {
            progress::log(&event);
            post.send(Msg::Progress(ticket, event));
        };
        let pipeline = self.pipeline(&progress);
        let detection = pipeline.look(python);
        let found = found(&detection);
        let sets: Vec<InstrumentationSet> = found.sets.iter().map(|outlook| outlook.set).collect();
        post.send(Msg::Found(ticket, Box::new(found)));
        let environment = environment(&detection, python.is_some());
        for set in sets {
            let resolution = match &environment {
                Ok(environment) => self.resolve(&pipeline, &detection, environment, set),
                Err(error) => Err(error.clone()),
            };
            if self.system.cancel.signal().is_some() {
                return;
            }
            post.send(Msg::Resolved(ticket, set, Box::new(resolution)));
        }
    }

    fn resolve(
        &self,
        pipeline: &Pipeline<'_>,
        detection: &Detection,
        environment: &PythonEnvironment,
        set: InstrumentationSet,
    ) -> Result<Resolution> {
        let resolution = pipeline.resolve(detection, environment, set)?;
        let key = (environment.interpreter.clone(), set);
        self.known().resolved.insert(key, resolution.clone());
        Ok(resolution)
    }

    fn check_key(&self, draft: &Draft) -> LevelReport {
        match probable(draft) {
            Some(answers) => self.pipeline(&|event| progress::log(&event)).probe(&answers),
            None => LevelReport::not_run(Level::Endpoint, "no endpoint is known yet"),
        }
    }

    fn job(&self, job: Job, post: &Post) {
        let (ticket, work, cancel) = match &job {
            Job::Prepare(ticket, _, cancel) => (*ticket, Work::Prepare, cancel),
            Job::Start(ticket, work, cancel) => (*ticket, *work, cancel),
        };
        let bench = self.with(cancel);
        let progress = |event: Event| {
            progress::log(&event);
            post.send(Msg::Progress(ticket, event));
        };
        // A defect here must not leave the screen waiting for ever.
        let done = catch_unwind(AssertUnwindSafe(|| match job {
            Job::Prepare(_, draft, _) => bench.prepare(*draft, &progress),
            Job::Start(_, work, _) => bench.start(work, &progress),
        }));
        let done = done.unwrap_or_else(|_| {
            Err(Error::failed("a defect of this program ended the work").remedy("run it again with --log-file, and report it"))
        });
        let report = {
            let mut known = self.known();
            if let Err(error) = &done
                && !matches!(error.kind, crate::error::Kind::Interrupted(_))
            {
                refuse(&mut known.report, error);
            }
            known.report.clone()
        };
        post.send(Msg::Done(ticket, work, Box::new(report), done.err().map(Box::new)));
    }

    fn prepare(&self, draft: Draft, observer: &(dyn Fn(Event) + Send + Sync)) -> Result<()> {
        self.system.cancel.check()?;
        let mut report = Report::new("setup");
        let known = |python: &Path, set| self.known().resolved.get(&(python.to_path_buf(), set)).cloned();
        let prepared = self.pipeline(observer).prepare(draft, &known, &mut report);
        let mut known = self.known();
        known.report = report;
        known.prepared = Some(prepared?);
        Ok(())
    }

    fn start(&self, work: Work, observer: &(dyn Fn(Event) + Send + Sync)) -> Result<()> {
        self.system.cancel.check()?;
        if work == Work::Undo {
            let report = undo::put_back(&self.system, &self.project, observer)?;
            let mut known = self.known();
            known.changed = true;
            known.resolved.clear();
            known.report = report;
            return Ok(());
        }
        let (mut report, prepared) = {
            let mut known = self.known();
            (known.report.clone(), known.prepared.take())
        };
        let prepared = prepared.ok_or_else(|| Error::failed("there is no plan yet"))?;
        let pipeline = self.pipeline(observer);
        let done = match work {
            Work::Apply => pipeline.apply(&prepared, &mut report),
            Work::Verify => pipeline.verify(&prepared, self.verify, &mut report),
            Work::Rehearse => rehearse(&pipeline, &prepared, &mut report),
            Work::Prepare | Work::Undo => Ok(()),
        };
        let mut known = self.known();
        if work == Work::Apply {
            known.changed |= done.is_ok();
            known.resolved.clear();
        }
        known.report = report;
        known.prepared = Some(prepared);
        done
    }
}

/// Level `workers`, for what was just set up.
pub(super) fn rehearse(pipeline: &Pipeline<'_>, prepared: &Prepared, report: &mut Report) -> Result<()> {
    let rehearsal = Rehearsal {
        system: pipeline.system,
        project: pipeline.project,
        python: Some(prepared.interpreter()),
        command: Some(prepared.answers.command.clone()),
        protocol: prepared.answers.protocol,
        observer: pipeline.observer,
    };
    rehearsal.add_to(report)?;
    pipeline.say_what_is_next(prepared, report);
    Ok(())
}

/// What detection says to a conversation: the facts, how each command would be started, what each set would trace.
pub(super) fn found(detection: &Detection) -> Found {
    let version = detection.python.as_ref().map_or("", |python| python.version.as_str());
    let outlook = |set| {
        let release = data::release(set, version);
        let coverage = coverage::table(&detection.installed, set, version);
        SetOutlook {
            set,
            releases: format!("opentelemetry-distro {}", release.distro),
            silence: coverage::silence(&coverage),
            coverage,
            resolution: None,
        }
    };
    Found {
        detection: detection.clone(),
        launches: detection.servers.iter().map(launch).collect(),
        sets: vec![outlook(InstrumentationSet::Pinned), outlook(InstrumentationSet::Current)],
    }
}

/// Tries the key of these answers against every region.
pub(super) fn find_region(system: &System, draft: &Draft) -> Vec<(Region, LevelReport)> {
    let name = draft.service_name.clone().or_else(|| OWN_NAME.parse().ok());
    let (Some(key), Some(name)) = (&draft.key, name) else {
        return Vec::new();
    };
    regions::try_each(system, &regions::cloud(), key, draft.protocol.unwrap_or_default(), &name)
}

/// The service name of a probe before the app has one.
const OWN_NAME: &str = "signoz-setup";

/// Answers that are complete enough for a probe of the endpoint, whatever else is still open.
pub(super) fn probable(draft: &Draft) -> Option<Answers> {
    let destination = match (&draft.endpoint, &draft.region) {
        (Some(endpoint), _) => Destination::Endpoint(endpoint.clone()),
        (None, Some(region)) => Destination::Region(region.clone()),
        (None, None) => return None,
    };
    Some(Answers {
        target: Target::Direct,
        destination,
        key: draft.key.clone(),
        api_key: None,
        service_name: draft.service_name.clone().or_else(|| OWN_NAME.parse().ok())?,
        deployment_environment: None,
        protocol: draft.protocol.unwrap_or_default(),
        instrumentation: InstrumentationSet::default(),
        accept_gaps: false,
        command: Vec::new(),
    })
}
