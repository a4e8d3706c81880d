//! The one pipeline, in its phases: look → prepare → apply → verify. Set-up runs them in a row, the wizard one by one, the
//! demo on its sample.
//!
//! May never ask anything: its answers are complete, or the error says which one is missing.

use super::answers;
use crate::coverage;
use crate::detect;
use crate::domain::answers::{Answers, Destination, Draft};
use crate::domain::coverage::CoverageStatus;
use crate::domain::detection::{EnvironmentKind, PythonEnvironment, Server};
use crate::domain::event::Event;
use crate::domain::plan::{Change, Plan, StepState};
use crate::domain::report::{LaunchReport, Level, LevelReport, PlanReport, Report, StepRow, UndoReport, Verification};
use crate::domain::{Coverage, Detection, InstrumentationSet, Resolution, Target};
use crate::engine::{self, StepDiff};
use crate::error::{Error, Result};
use crate::packages::{self, preflight::ResolveRequest};
use crate::planner;
use crate::system::System;
use crate::verify;
use crate::wizard::question;
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
        let answers = question::finish(draft.or(question::suggest(&detection, &folder_name(self.project))))?;
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

/// The environment to install into, or why there is none.
///
/// `chosen`: the person named it (`--python`), so that a shared one is fine.
pub(super) fn environment(detection: &Detection, chosen: bool) -> Result<&PythonEnvironment> {
    let Some(python) = &detection.python else {
        return Err(Error::refused("no Python environment was found")
            .because("neither a virtual environment in the project nor a python3 on PATH")
            .remedy("make one with `python3 -m venv .venv` and install the app into it")
            .remedy("or pass --python with its interpreter or folder"));
    };
    match &python.broken {
        // A Python that other programs share is never changed because it happens to be on PATH.
        None if python.kind == EnvironmentKind::System && !chosen => {
            Err(Error::refused("the project has no Python environment of its own")
                .because(format!(
                    "what was found is `{}`, which other programs may share",
                    python.interpreter.display()
                ))
                .remedy("make one (`python3 -m venv .venv`), install the app into it, and run set-up again")
                .remedy(format!(
                    "or pass --python {} to install there all the same",
                    python.interpreter.display()
                )))
        }
        None => Ok(python),
        Some(why) => Err(
            Error::refused(format!("the Python environment `{}` cannot be used", python.interpreter.display()))
                .because(why.clone())
                .remedy("make it again (`python3 -m venv --clear .venv`) or pass --python with another one"),
        ),
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

fn refuse_conflicts(resolution: &Resolution, answers: &Answers, coverage: &mut [Coverage]) -> Result<()> {
    let Some(first) = resolution.conflicts.first() else { return Ok(()) };
    for row in coverage
        .iter_mut()
        .filter(|row| resolution.conflicts.iter().any(|conflict| conflict.package == row.library))
    {
        row.status = CoverageStatus::Conflict;
        row.note = "the set would break it".to_owned();
    }
    let lines: Vec<String> = resolution
        .conflicts
        .iter()
        .map(|conflict| {
            format!(
                "{} {} requires {} but would get {}",
                conflict.package, conflict.version, conflict.requires, conflict.would_get
            )
        })
        .collect();
    let mut error = Error::refused("the packages would break the app").because(lines.join("; "));
    if answers.instrumentation == crate::domain::InstrumentationSet::Pinned {
        error = error.remedy("pass --instrumentation current: newer releases accept newer packages");
    }
    if let Some(way_out) = &first.way_out {
        error = error.remedy(format!("or install {way_out} first, which fits"));
    }
    Err(error.remedy("`signoz-setup --explain packages.conflict-free` says more"))
}

fn refuse_silence(coverage: &[Coverage], answers: &Answers) -> Result<()> {
    let Some(why) = coverage::silence(coverage).filter(|_| !answers.accept_gaps) else {
        return Ok(());
    };
    let mut error = Error::refused(format!(
        "the {} set would not trace one request of this app",
        answers.instrumentation
    ))
    .because(why);
    if answers.instrumentation == crate::domain::InstrumentationSet::Pinned {
        error = error.remedy("pass --instrumentation current");
    }
    Err(error
        .remedy("or pass --accept-gaps to install all the same")
        .remedy("`signoz-setup --explain coverage.server-traced` says more"))
}

/// What detection saw that deserves a word.
fn warnings(detection: &Detection) -> Vec<String> {
    let mut warnings = Vec::new();
    if let (Some(python), false) = (&detection.python, detection.python_candidates.is_empty()) {
        let others: Vec<String> = detection
            .python_candidates
            .iter()
            .map(|other| other.interpreter.display().to_string())
            .collect();
        warnings.push(format!(
            "more than one Python environment could be meant: using {}, not {}; --python chooses",
            python.interpreter.display(),
            others.join(", ")
        ));
    }
    if detection.apps.len() > 1 {
        let apps: Vec<String> = detection.apps.iter().map(|app| app.directory.display().to_string()).collect();
        warnings.push(format!(
            "this folder holds several apps ({}): give one of them as DIR",
            apps.join(", ")
        ));
    }
    for hazard in &detection.hazards {
        let place = hazard
            .because
            .first()
            .map(|evidence| format!(" [{}]", evidence.source))
            .unwrap_or_default();
        warnings.push(format!("{}{place}: {} (--explain {})", hazard.title, hazard.remedy, hazard.id));
    }
    warnings
}

fn rows(plan: &Plan, diffs: &[StepDiff], state: impl Fn(usize) -> StepState, took: &BTreeMap<String, Duration>) -> PlanReport {
    let steps = plan
        .steps
        .iter()
        .enumerate()
        .map(|(index, step)| StepRow {
            id: step.id.0.clone(),
            title: step.title.clone(),
            why: step.why.clone(),
            kind: match step.change {
                Change::WriteFile { .. } => "write_file",
                Change::EditBlock { .. } => "edit_block",
                Change::InstallPackages { .. } => "install_packages",
                Change::RunCommand { .. } => "run_command",
            },
            state: state(index),
            path: match &step.change {
                Change::WriteFile { path, .. } | Change::EditBlock { path, .. } => Some(path.display().to_string()),
                Change::InstallPackages { .. } | Change::RunCommand { .. } => None,
            },
            diff: diffs[index].diff.clone(),
            argv: diffs[index].argv.clone(),
            duration_ms: took.get(&step.id.0).and_then(|took| u64::try_from(took.as_millis()).ok()),
        })
        .collect();
    PlanReport { steps }
}

fn next(answers: &Answers, project: &Path, report: &Report) -> Vec<String> {
    let mut next = vec![format!("start the app with: {}/.signoz/run.sh", project.display())];
    let rehearsed = report
        .verification
        .as_ref()
        .is_some_and(|verification| !verification.workers.is_empty());
    if !rehearsed {
        next.push(format!("prove it for every worker: signoz-setup --rehearse {}", project.display()));
    }
    next.push("commit .signoz and signoz-setup.toml; .signoz/otel.env holds the key and is ignored by git".to_owned());
    if let Destination::Region(_) = answers.destination {
        next.push(format!("then look for `{}` under Services in SigNoz", answers.service_name));
    }
    next.push(format!("take everything back: signoz-setup --undo {}", project.display()));
    next
}
