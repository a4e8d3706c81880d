//! The one pipeline, in its phases: look → prepare → apply → verify. Set-up runs them in a row, the wizard one by one, the
//! demo on its sample.
//!
//! May never ask anything: its answers are complete, or the error says which one is missing.

use super::answers;
use super::refusals::{environment, refuse_conflicts, refuse_silence};
use super::words::{next, rows, warnings};
use crate::coverage;
use crate::detect;
use crate::domain::answers::{Answers, Destination, Draft};
use crate::domain::detection::{PythonEnvironment, Server};
use crate::domain::event::Event;
use crate::domain::plan::{Plan, StepState};
use crate::domain::report::{LaunchReport, Level, LevelReport, Report, UndoReport, Verification};
use crate::domain::{Detection, InstrumentationSet, Resolution, Target};
use crate::engine::{self, StepDiff};
use crate::error::{Error, Result};
use crate::packages::{self, preflight::ResolveRequest};
use crate::planner;
use crate::system::System;
use crate::verify;
use crate::wizard::{finish, question};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

/// A plan, and what it was made of.
pub(super) struct Prepared {
    pub(super) answers: Answers,
    python: PythonEnvironment,
    plan: Plan,
    diffs: Vec<StepDiff>,
}

impl Prepared {
    /// The app's interpreter.
    pub(super) fn interpreter(&self) -> &Path {
        &self.python.interpreter
    }
}

/// What the pipeline works on.
pub(super) struct Pipeline<'a> {
    pub(super) system: &'a System,
    pub(super) project: &'a Path,
    pub(super) offline: bool,
    pub(super) observer: &'a (dyn Fn(Event) + Send + Sync),
}

impl Pipeline<'_> {
    /// detect → answers → plan → apply → verify; each result goes into the report as soon as it is known.
    pub(super) fn run(&self, draft: Draft, dry_run: bool, verify: bool, report: &mut Report) -> Result<()> {
        // Before the lock: nothing may be written into another person's home.
        engine::refuse_foreign_home(&detect::look_at_host(self.system))?;
        let _lock = if dry_run { None } else { Some(self.lock()?) };
        let prepared = self.prepare(draft, &|_, _| None, report)?;
        if dry_run {
            return Ok(());
        }
        self.system.cancel.check()?;
        self.apply(&prepared, report)?;
        self.verify(&prepared, verify, report)
    }

    /// Looks at the project and the machine.
    pub(super) fn look(&self, python: Option<&Path>) -> Detection {
        self.stage("looking at the project");
        detect::run(self.system, self.project, python, self.observer)
    }

    /// What the install of a set would move.
    pub(super) fn resolve(&self, detection: &Detection, python: &PythonEnvironment, set: InstrumentationSet) -> Result<Resolution> {
        let requirements = planner::requirements(&detection.installed, set, &python.version);
        let request = ResolveRequest {
            python,
            project: self.project,
            requirements: &requirements,
            offline: self.offline,
        };
        packages::preflight::resolve(self.system, &request, self.observer)
    }

    /// detect → answers → plan, compared with the machine. `known`: what the resolver said of this interpreter and set a moment ago.
    pub(super) fn prepare(
        &self,
        draft: Draft,
        known: &dyn Fn(&Path, InstrumentationSet) -> Option<Resolution>,
        report: &mut Report,
    ) -> Result<Prepared> {
        let detection = self.look(draft.python.as_deref());
        report.warnings.extend(warnings(&detection));
        report.environment = Some(detection.clone());
        let chosen = draft.python.is_some();
        let answers = finish::finish(draft.or(finish::suggest(&detection, &folder_name(self.project))))?;
        self.usable(&answers)?;
        let python = environment(&detection, chosen)?;
        let server = start(&detection, &answers.command, self.project);
        report.warnings.extend(planner::launch::caveat(&server));
        report.launch = Some(launch(&server));

        report.coverage = coverage::table(&detection.installed, answers.instrumentation, &python.version);
        let requirements = planner::requirements(&detection.installed, answers.instrumentation, &python.version);
        let resolution = match known(&python.interpreter, answers.instrumentation) {
            Some(resolution) => resolution,
            None => {
                self.stage("asking the resolver what would change");
                self.resolve(&detection, python, answers.instrumentation)?
            }
        };
        report.resolution = Some(resolution.clone());
        refuse_conflicts(&resolution, &answers, &mut report.coverage)?;
        refuse_silence(&report.coverage, &answers)?;

        let tool = packages::tools::row(python.package_manager);
        if self.offline && tool.offline.is_empty() && !resolution.moves.is_empty() {
            let name = python.package_manager.as_str();
            return Err(Error::refused(format!("{name} cannot install without the network"))
                .because("it has no switch for that, and --offline was given")
                .remedy("leave --offline out")
                .remedy(format!("or add the packages with {name} yourself, then run the same command again")));
        }
        let program = packages::tools::program(self.system, python)?;
        let answers_file = std::fs::read_to_string(self.project.join(answers::FILE)).ok();
        let plan = planner::build(&planner::Input {
            answers_file: answers_file.as_deref(),
            detection: &detection,
            answers: &answers,
            server: &server,
            coverage: &report.coverage,
            requirements: &requirements,
            resolution: &resolution,
            project: self.project,
            python,
            program: &program,
            offline: self.offline,
        })?;
        let diffs = engine::diff(self.system, self.project, &plan)?;
        report.plan = Some(rows(&plan, &diffs, |index| diffs[index].state, &BTreeMap::new()));
        Ok(Prepared {
            python: python.clone(),
            answers,
            plan,
            diffs,
        })
    }

    /// One run at a time, and what a killed run left half done is cleared before anything is looked at.
    pub(super) fn lock(&self) -> Result<engine::Lock> {
        let lock = engine::lock(self.system, self.project)?;
        engine::recover(self.system, self.project, self.observer)?;
        Ok(lock)
    }

    /// Makes the changes of the plan; a failed step has put everything back, and the report says what.
    pub(super) fn apply(&self, prepared: &Prepared, report: &mut Report) -> Result<()> {
        let Prepared { plan, diffs, .. } = prepared;
        let clock: Mutex<BTreeMap<String, (Instant, Duration)>> = Mutex::default();
        let timed = |event: Event| {
            if let Event::Step { id, state, .. } = &event {
                let mut clock = clock.lock().unwrap_or_else(PoisonError::into_inner);
                let entry = clock.entry(id.0.clone()).or_insert((Instant::now(), Duration::ZERO));
                match state {
                    StepState::Started => entry.0 = Instant::now(),
                    _ => entry.1 = entry.0.elapsed(),
                }
            }
            (self.observer)(event);
        };
        let applied = engine::apply(self.system, self.project, plan, diffs, &timed);
        let took: BTreeMap<String, Duration> = clock
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner)
            .into_iter()
            .map(|(id, (_, took))| (id, took))
            .collect();
        match applied {
            Ok(applied) => {
                report.plan = Some(rows(plan, diffs, |index| applied.states[index], &took));
                Ok(())
            }
            Err(failure) => {
                report.plan = Some(rows(plan, diffs, |index| failure.states[index], &took));
                let failed = failure.left.iter().map(ToString::to_string).collect();
                report.undo = Some(UndoReport {
                    restored: failure.restored,
                    kept: Vec::new(),
                    failed,
                });
                Err(failure.error)
            }
        }
    }

    fn stage(&self, title: &str) {
        (self.observer)(Event::Stage { title: title.to_owned() });
    }

    /// What this version cannot do, or what cannot be reached by name, said before anything happens.
    fn usable(&self, answers: &Answers) -> Result<()> {
        if answers.target != Target::Direct {
            return Err(Error::usage("this version sets up the direct way only").remedy("pass --target direct, or leave it out"));
        }
        let Destination::Region(region) = &answers.destination else {
            return Ok(());
        };
        if region.is_known() {
            return Ok(());
        }
        let host = answers.destination.endpoint().host;
        let unknown = |why: String| {
            Error::usage(format!("`{region}` is not a known SigNoz Cloud region"))
                .because(why)
                .remedy(format!("pass --region with one of {}", crate::domain::Region::KNOWN.join(", ")))
        };
        if self.offline {
            return Err(unknown(format!("with --offline it cannot be seen whether {host} exists")));
        }
        self.stage("looking up the region");
        let lookup = async {
            // The timer needs the runtime that it is made in.
            let looked_up = tokio::net::lookup_host((host.clone(), 443));
            tokio::time::timeout(Duration::from_secs(10), looked_up).await
        };
        match self.system.runtime.block_on(lookup) {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(unknown(format!("{host} does not resolve"))),
        }
    }

    /// Levels 1, 2 and 4; level 3 starts the app, which set-up does not do by itself.
    pub(super) fn verify(&self, prepared: &Prepared, wanted: bool, report: &mut Report) -> Result<()> {
        report.verification = Some(self.levels(&prepared.answers, &prepared.python, wanted)?);
        self.say_what_is_next(prepared, report);
        Ok(())
    }

    /// What the person does now, as far as the report has come.
    pub(super) fn say_what_is_next(&self, prepared: &Prepared, report: &mut Report) {
        report.next = next(&prepared.answers, self.project, report);
    }

    fn levels(&self, answers: &Answers, python: &PythonEnvironment, wanted: bool) -> Result<Verification> {
        let reason = if self.offline { "--offline" } else { "--no-verify" };
        let skip = |level| LevelReport::not_run(level, reason);
        let mut verification = Verification::default();
        if self.offline || !wanted {
            verification.levels = [Level::Endpoint, Level::Python, Level::Workers, Level::Stored].map(skip).into();
            return Ok(verification);
        }
        self.stage("sending a span to the endpoint");
        let endpoint = self.probe(answers);
        self.stage("sending a span from the app's own Python");
        let python = verify::python::probe(
            self.system,
            &verify::python::PythonRequest {
                directory: self.project,
                run_script: &self.project.join(".signoz/run.sh"),
                python: &python.interpreter,
                protocol: answers.protocol,
                service_name: Some(answers.service_name.as_str()),
                script: planner::templates::VERIFY_SPAN,
                receiver: None,
                deadline: Duration::from_secs(60),
            },
            self.observer,
        )?;
        let workers = LevelReport::not_run(Level::Workers, "it starts the app; run `signoz-setup --rehearse`");
        let stored = self.stored(answers, &endpoint, &python);
        verification.levels = vec![endpoint, python, workers, stored];
        self.system.cancel.check()?;
        Ok(verification)
    }

    /// Level 1 for some answers: a span to their endpoint.
    pub(super) fn probe(&self, answers: &Answers) -> LevelReport {
        let request = verify::endpoint::ProbeRequest {
            endpoint: &answers.destination.endpoint(),
            key: answers.key.as_ref(),
            protocol: answers.protocol,
            service_name: &answers.service_name,
            region: match &answers.destination {
                Destination::Region(region) => Some(region),
                Destination::Endpoint(_) => None,
            },
            deadline: Duration::from_secs(30),
        };
        verify::endpoint::probe(self.system, &request, self.observer)
    }

    fn stored(&self, answers: &Answers, endpoint: &LevelReport, python: &LevelReport) -> LevelReport {
        let Some(api_key) = &answers.api_key else {
            return LevelReport::not_run(
                Level::Stored,
                "accepted is not stored; pass --api-key-file (a service account's key) to read the span back",
            );
        };
        let Some(base) = self.system.var("SIGNOZ_URL") else {
            return LevelReport::not_run(
                Level::Stored,
                "set SIGNOZ_URL to the address of your SigNoz, such as https://acme.eu.signoz.cloud",
            );
        };
        let base: url::Url = match base.parse() {
            Ok(base) => base,
            Err(error) => return LevelReport::not_run(Level::Stored, format!("SIGNOZ_URL is not a URL: {error}")),
        };
        let Some(trace) = python.trace_id.as_ref().or(endpoint.trace_id.as_ref()) else {
            return LevelReport::not_run(Level::Stored, "no span was accepted");
        };
        self.stage("reading the span back");
        let window = verify::stored::Window::around(SystemTime::now());
        verify::stored::read_back(self.system, &base, api_key, trace, window, Duration::from_secs(90), self.observer)
    }
}

/// Name of the project's folder, which is the app's name unless the person says another.
pub(super) fn folder_name(project: &Path) -> String {
    project
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}

/// How a server is started with tracing, in words.
pub(super) fn launch(server: &Server) -> LaunchReport {
    let row = planner::launch::row(server.kind, server.start, server.preload, server.worker_class.as_deref());
    LaunchReport {
        command: question::join(&server.command),
        server: server.kind.as_str(),
        workers: server.workers,
        start: server.start,
        why: row.why.to_owned(),
        caveat: row.caveat.map(str::to_owned),
    }
}

/// The start command taken apart; what detection saw beside it (a config file, a debug switch) counts when it is the same.
pub(super) fn start(detection: &Detection, command: &[String], project: &Path) -> Server {
    let seen = detection.servers.iter().find(|server| server.command == command);
    seen.cloned()
        .unwrap_or_else(|| detect::parse_command(command, Path::new("."), project))
}
