//! Guided set-up as one question after the other, in prompts or in lines: the walk through the table of questions, and
//! what is done between them.
//!
//! May never ask what the table does not ask, but for what to do with a plan and whether the app may be started.

use super::guided::{find_region, found, probable, rehearse};
use super::pipeline::{Pipeline, Prepared};
use super::refusals::environment;
use super::unattended::Unattended;
use super::{Context, FrontEnd, failed, refuse, undo};
use crate::domain::report::{ErrorReport, Outcome, Report};
use crate::domain::{Event, IngestionKey, InstrumentationSet, Region, Resolution, StepState};
use crate::error::{Error, Kind, Result, Signal};
use crate::ui::asking::{Ask, Asker, NoReply, Reply, Waiting};
use crate::ui::lines::{self, Lines};
use crate::ui::prompt::{self, Prompts};
use crate::ui::text::{self, Steps};
use crate::wizard::question::{self, Choice, Question, Then, join};
use crate::wizard::{Action, CLEARED, Interview, OFFER, OFFERED, OFFLINE, Options, SAVED, Way, menu};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

/// Asks, applies, verifies.
pub(super) fn run(context: &Context, project: &Path, options: &Options, interview: Interview) -> Result<Report> {
    let runtime = &context.system.runtime;
    let (asker, manner): (Box<dyn Asker>, _) = match context.front {
        FrontEnd::Lines => (Box::new(Lines::new(runtime)), lines::MANNER),
        FrontEnd::Full | FrontEnd::Prompts => (Box::new(Prompts::new(runtime)), prompt::MANNER),
    };
    let mut guide = Guide::new(context, project, options, interview, asker);
    guide.greet(manner);
    match guide.walk() {
        Ok(()) => Ok(guide.report),
        Err(stop) => Ok(guide.stopped(stop)),
    }
}

/// Why the walk did not come to its end.
#[derive(Debug)]
enum Stop {
    /// The person or the system ended it.
    Ended(Signal),
    /// There was nobody to answer a question: which, and why.
    Nobody(String, String),
    /// It does not work.
    Failed(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        match error.kind {
            Kind::Interrupted(signal) => Self::Ended(signal),
            _ => Self::Failed(error),
        }
    }
}

/// How a part of the walk ends.
type Walked<T> = std::result::Result<T, Stop>;

/// Where the walk is.
enum At {
    Menu,
    Question(&'static Question),
    Plan,
}

/// A walk through set-up.
struct Guide<'a> {
    context: &'a Context,
    project: &'a Path,
    options: &'a Options,
    interview: Interview,
    asker: Box<dyn Asker>,
    report: Report,
    /// Only questions without an answer are asked.
    hurried: bool,
    /// Something was applied or put back.
    changed: bool,
    /// The key that an endpoint accepted last, by the endpoint's words.
    accepted: Option<(String, Option<IngestionKey>)>,
    /// Resolver's answers, by interpreter and set.
    resolved: HashMap<(PathBuf, InstrumentationSet), Resolution>,
}

impl<'a> Guide<'a> {
    fn new(context: &'a Context, project: &'a Path, options: &'a Options, interview: Interview, asker: Box<dyn Asker>) -> Self {
        Self {
            context,
            project,
            options,
            interview,
            asker,
            report: Report::new("setup"),
            hurried: false,
            changed: false,
            accepted: None,
            resolved: HashMap::new(),
        }
    }

    fn greet(&mut self, manner: &str) {
        self.asker.say(&format!("Setting up {}", self.options.project));
        self.asker.say(manner);
        let notices = [
            (self.options.interrupted, CLEARED),
            (self.options.saved, SAVED),
            (self.options.offline, OFFLINE),
        ];
        for (_, notice) in notices.iter().filter(|(holds, _)| *holds) {
            self.asker.say(notice);
        }
    }

    fn walk(&mut self) -> Walked<()> {
        self.look()?;
        let mut at = At::Menu;
        loop {
            self.context.system.cancel.check()?;
            at = match at {
                At::Menu => match self.menu()? {
                    Action::Undo => return self.put_back(),
                    Action::Look => {
                        self.hurried = true;
                        self.interview.first_open().map_or(At::Plan, At::Question)
                    }
                    Action::Begin | Action::Change => self.interview.questions().next().map_or(At::Plan, At::Question),
                },
                At::Question(question) => self.question(question)?,
                At::Plan => match self.plan()? {
                    Some(at) => at,
                    None => return Ok(()),
                },
            };
        }
    }

    /// Looks at the project, with the chosen Python if one is chosen.
    fn look(&mut self) -> Walked<()> {
        let detection = self.with_pipeline(|pipeline| pipeline.look(self.interview.draft.python.as_deref()));
        self.context.system.cancel.check()?;
        if self.report.environment.is_none() {
            self.asker.say(&format!("\n{}", text::found(&detection)));
        }
        self.interview.found(found(&detection));
        self.report.environment = Some(detection);
        Ok(())
    }

    fn menu(&mut self) -> Walked<Action> {
        let actions = menu(self.options);
        if let [only] = actions.as_slice() {
            return Ok(*only);
        }
        let titles: Vec<(&str, &str)> = actions.iter().map(|action| (action.title(), "")).collect();
        let chosen = self.choose(
            "What shall be done?",
            "undo begins at once; everything else shows a plan first",
            &titles,
        )?;
        Ok(chosen.map_or(actions[0], |index| actions[index]))
    }

    /// Asks a question of the table until its answer is taken, does what it sets going, and says what comes next.
    fn question(&mut self, question: &'static Question) -> Walked<At> {
        if question.id == "instrumentation" {
            self.resolve()?;
        }
        self.say_what_an_empty_answer_means(question);
        let mut again = false;
        loop {
            let choices = (question.choices)(&self.interview);
            let current = (question.current)(&self.interview);
            let ask = Ask {
                title: question.title,
                help: question.help,
                kind: question.kind,
                choices: &choices,
                current: current.as_deref(),
                again,
            };
            again = true;
            match self.ask(&ask)? {
                Reply::Back => return Ok(self.before(question)),
                Reply::Answer(answer) => match (question.take)(&mut self.interview, &answer) {
                    Ok(()) => break,
                    Err(problem) => self.asker.say(&format!("This cannot be used: {problem}")),
                },
            }
        }
        match question.then {
            // The person is about to type its path.
            Then::Detect if self.interview.other_python && question.kind == question::Kind::Choice => {}
            Then::Detect => {
                self.look()?;
                let chosen = self.report.environment.as_ref().map(|detection| environment(detection, true));
                if let Some(Err(error)) = chosen {
                    self.asker.say(&words(&error));
                    return Ok(At::Question(question));
                }
            }
            Then::FindRegion if self.interview.way == Way::Find => self.find_region()?,
            Then::Nothing | Then::CheckKey | Then::FindRegion => {}
        }
        let next = if self.hurried {
            self.interview.first_open()
        } else {
            self.interview.after(question)
        };
        // A key is tried once all that belongs to it is answered.
        if question.then == Then::CheckKey && next.is_none_or(|next| next.then != Then::CheckKey) {
            self.check_key()?;
        }
        Ok(next.map_or(At::Plan, At::Question))
    }

    fn say_what_an_empty_answer_means(&mut self, question: &Question) {
        let current = (question.current)(&self.interview).unwrap_or_default();
        let words = match question.kind {
            question::Kind::Secret => self.interview.key_in_hand().map(|key| {
                format!(
                    "Left empty, the key that is there already is used: fingerprint {}.",
                    key.fingerprint()
                )
            }),
            question::Kind::Text if !current.is_empty() && (question.take)(&mut self.interview.clone(), "").is_ok() => {
                Some("A line with only a space leaves it empty.".to_owned())
            }
            question::Kind::Text | question::Kind::Choice => None,
        };
        if let Some(words) = words {
            self.asker.say(&format!("\n{words}"));
        }
    }

    fn before(&mut self, question: &Question) -> At {
        match self.interview.before(question) {
            Some(before) => At::Question(before),
            None if menu(self.options).len() > 1 => {
                self.hurried = false;
                At::Menu
            }
            None => {
                self.asker.say("This is the first question; Ctrl-C leaves.");
                self.interview.questions().next().map_or(At::Plan, At::Question)
            }
        }
    }

    /// Asks the resolver what each set would move.
    fn resolve(&mut self) -> Walked<()> {
        let Some(found) = self.interview.found.clone() else { return Ok(()) };
        let python = environment(&found.detection, self.interview.draft.python.is_some());
        for outlook in found.sets.iter().filter(|outlook| outlook.resolution.is_none()) {
            let set = outlook.set;
            let resolution = python.clone().and_then(|python| {
                self.stage(&format!("asking the resolver what the {set} releases would change"));
                let resolution = self.with_pipeline(|pipeline| pipeline.resolve(&found.detection, python, set))?;
                self.resolved.insert((python.interpreter.clone(), set), resolution.clone());
                Ok(resolution)
            });
            self.context.system.cancel.check()?;
            self.interview.resolved(set, resolution);
        }
        Ok(())
    }

    /// Tries the key against the endpoint, unless it has been accepted there before, and says what was answered.
    fn check_key(&mut self) -> Walked<()> {
        let draft = self.interview.answers();
        let (Some(endpoint), Some(answers)) = (self.interview.endpoint(), probable(&draft)) else {
            return Ok(());
        };
        let key = (endpoint.to_string(), draft.key.clone());
        let ready = draft.key.is_some() || draft.endpoint.is_some();
        if self.options.offline || !ready || self.accepted.as_ref() == Some(&key) {
            return Ok(());
        }
        self.stage(&format!("sending one span to {}", endpoint.host));
        let (system, project) = (self.context.system.clone(), self.project.to_path_buf());
        let level = self.patiently(move || {
            let observer = |event: Event| crate::ui::progress::log(&event);
            Pipeline {
                system: &system,
                project: &project,
                offline: false,
                observer: &observer,
            }
            .probe(&answers)
        })?;
        if level.outcome == Outcome::Pass {
            self.accepted = Some(key);
        } else {
            self.accepted = None;
        }
        self.asker.say(&text::answered(&level));
        Ok(())
    }

    fn find_region(&mut self) -> Walked<()> {
        self.stage(&format!("trying the key against {}", Region::KNOWN.join(", ")));
        let (system, draft) = (self.context.system.clone(), self.interview.answers());
        let tried = self.patiently(move || find_region(&system, &draft))?;
        match self.interview.regions_tried(&tried) {
            Ok(level) => {
                let region = self.interview.draft.region.as_ref().map(ToString::to_string).unwrap_or_default();
                self.asker.say(&format!("The region is {region}."));
                self.asker.say(&text::answered(&level));
            }
            Err(problem) => self.asker.say(&problem),
        }
        Ok(())
    }

    /// Makes the plan, and does with it what the person wants; `None` when all is done.
    fn plan(&mut self) -> Walked<Option<At>> {
        let mut report = Report::new("setup");
        let prepared = self.with_pipeline(|pipeline| {
            let known = |python: &Path, set| self.resolved.get(&(python.to_path_buf(), set)).cloned();
            pipeline.prepare(self.interview.answers(), &known, &mut report)
        });
        self.report = report;
        match prepared {
            Ok(prepared) => self.review(&prepared),
            Err(error) if matches!(error.kind, Kind::Interrupted(_)) => Err(error.into()),
            Err(error) => self.problem(error),
        }
    }

    fn problem(&mut self, error: Error) -> Walked<Option<At>> {
        self.asker.say(&format!("\n{}", words(&error)));
        let choices = [("try again", ""), ("change the answers", ""), ("leave", "nothing was changed")];
        match self.choose("What now?", "nothing was changed", &choices) {
            Ok(Some(0)) => Ok(Some(At::Plan)),
            Ok(Some(1) | None) => Ok(Some(self.last())),
            Ok(Some(_)) | Err(Stop::Nobody(..)) => Err(Stop::Failed(error)),
            Err(stop) => Err(stop),
        }
    }

    fn review(&mut self, prepared: &Prepared) -> Walked<Option<At>> {
        let steps = self.report.plan.iter().flat_map(|plan| &plan.steps);
        let pending = steps.filter(|step| step.state == StepState::Pending).count();
        let verifies = self.options.verify && !self.options.offline;
        let go_on = match (pending, verifies) {
            (0, true) => "verify".to_owned(),
            (0, false) => "finish".to_owned(),
            (1, _) => "apply 1 step".to_owned(),
            (count, _) => format!("apply {count} steps"),
        };
        self.say_answers();
        self.asker.say(&format!("\n{}", text::plan(&self.report)));
        let choices = [
            (go_on.as_str(), ""),
            ("show the diffs", ""),
            ("explain the steps", ""),
            ("change the answers", ""),
            ("leave", "nothing is changed"),
        ];
        loop {
            let showing = match self.choose("What shall be done with this plan?", "nothing has been changed yet", &choices)? {
                Some(0) => break,
                Some(1) => Steps::Diffs,
                Some(2) => Steps::Reasons,
                Some(3) | None => return Ok(Some(self.last())),
                Some(_) => return Err(Stop::Ended(Signal::Interrupt)),
            };
            let mut words = String::new();
            if let Some(plan) = &self.report.plan {
                text::steps(&mut words, &plan.steps, showing);
            }
            self.asker.show(&format!("\n{words}"));
        }
        if pending > 0 {
            self.on_the_report(|pipeline, report| pipeline.apply(prepared, report))?;
            self.changed = true;
        }
        let verify = self.options.verify;
        self.on_the_report(|pipeline, report| pipeline.verify(prepared, verify, report))?;
        if verifies {
            self.offer_rehearsal(prepared)?;
        }
        Ok(None)
    }

    /// The answers, as the plan was made of them.
    fn say_answers(&mut self) {
        let answers = self.interview.answers();
        let mut service = answers.service_name.map(|name| name.to_string()).unwrap_or_default();
        if let Some(place) = answers.deployment_environment {
            service = format!("{service} in {place}");
        }
        let endpoint = self.interview.endpoint().map(|endpoint| endpoint.to_string()).unwrap_or_default();
        let key = answers
            .key
            .map_or_else(|| "none".to_owned(), |key| format!("fingerprint {}", key.fingerprint()));
        let set = self.interview.set();
        let releases = self.interview.outlook(set).map(|outlook| format!(" ({})", outlook.releases));
        self.asker.say(&format!(
            "\nAnswers\n  service   {service}\n  sends to  {endpoint} over {}\n  key       {key}\n  releases  {set}{}\n  starts    {}",
            answers.protocol.unwrap_or_default(),
            releases.unwrap_or_default(),
            answers.command.as_deref().map(join).unwrap_or_default(),
        ));
    }

    fn offer_rehearsal(&mut self, prepared: &Prepared) -> Walked<()> {
        let mut words = String::new();
        if let Some(verification) = &self.report.verification {
            text::levels(&mut words, &verification.levels);
        }
        let command = join(&prepared.answers.command);
        self.asker
            .say(&format!("\n{words}\nOne proof is left: the app itself, `{command}`,\n{OFFERED}."));
        let choices = [("start the app", ""), ("skip", "`signoz-setup --rehearse` does it later")];
        match self.choose(&capital(OFFER), OFFERED, &choices) {
            Ok(Some(0)) => self.on_the_report(|pipeline, report| rehearse(pipeline, prepared, report)),
            // What was to be done is done.
            Ok(_) | Err(Stop::Nobody(..)) => Ok(()),
            Err(stop) => Err(stop),
        }
    }

    fn put_back(&mut self) -> Walked<()> {
        let progress = &self.context.progress;
        self.report = undo::put_back(&self.context.system, self.project, &|event| progress.event(&event))?;
        self.changed = true;
        Ok(())
    }

    /// The last question, as one goes back to it.
    fn last(&mut self) -> At {
        self.hurried = false;
        self.interview.last().map_or(At::Menu, At::Question)
    }

    /// One of some choices that are not the table's; `None` to go back.
    fn choose(&mut self, title: &str, help: &str, choices: &[(&str, &str)]) -> Walked<Option<usize>> {
        let choices: Vec<Choice> = choices
            .iter()
            .enumerate()
            .map(|(index, (title, note))| Choice {
                value: index.to_string(),
                title: (*title).to_owned(),
                note: (*note).to_owned(),
            })
            .collect();
        let ask = Ask {
            title,
            help,
            kind: question::Kind::Choice,
            choices: &choices,
            current: Some("0"),
            again: false,
        };
        Ok(match self.ask(&ask)? {
            Reply::Answer(value) => value.parse().ok(),
            Reply::Back => None,
        })
    }

    fn ask(&mut self, ask: &Ask<'_>) -> Walked<Reply> {
        self.context.system.cancel.check()?;
        self.context.progress.rest();
        self.asker.ask(ask).map_err(|none| match none {
            NoReply::Ended(signal) => Stop::Ended(signal),
            NoReply::Nobody(why) => Stop::Nobody(ask.title.to_owned(), why),
        })
    }

    fn stage(&self, title: &str) {
        self.context.progress.event(&Event::Stage { title: title.to_owned() });
    }

    fn with_pipeline<T>(&self, work: impl FnOnce(&Pipeline<'_>) -> T) -> T {
        let Context { system, progress, .. } = self.context;
        let told = AtomicBool::new(false);
        let observer = |event: Event| {
            // Ending takes a moment: what is at work is ended, and put back where it changed something.
            if system.cancel.signal().is_some() && !told.swap(true, Ordering::SeqCst) {
                let title = "stopping, and putting back what was changed".to_owned();
                progress.event(&Event::Stage { title });
            }
            progress.event(&event);
        };
        let done = work(&Pipeline {
            system,
            project: self.project,
            offline: self.options.offline,
            observer: &observer,
        });
        self.context.progress.rest();
        done
    }

    /// Work that fills the report, which holds what is known also when it fails.
    fn on_the_report(&mut self, work: impl FnOnce(&Pipeline<'_>, &mut Report) -> Result<()>) -> Walked<()> {
        let mut report = self.report.clone();
        let done = self.with_pipeline(|pipeline| work(pipeline, &mut report));
        self.report = report;
        Ok(done?)
    }

    /// A look over the network: nothing is changed, so Ctrl-C does not wait for its end.
    fn patiently<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Walked<T> {
        self.context.system.cancel.check()?;
        let done = Waiting::new(&self.context.system.runtime).wait_for(work).map_err(Stop::Ended);
        self.context.progress.rest();
        done
    }

    /// The report of a walk that did not come to its end.
    fn stopped(mut self, stop: Stop) -> Report {
        match stop {
            // Something stays changed: it could not be verified, and nothing was refused.
            Stop::Failed(error) if self.changed => refuse(
                &mut self.report,
                &Error {
                    kind: Kind::Failed,
                    ..error
                },
            ),
            Stop::Failed(error) => refuse(&mut self.report, &error),
            Stop::Ended(signal) => {
                let why = if self.changed {
                    "what is done stays: `signoz-setup --undo` takes it back"
                } else if let Some(undo) = &self.report.undo {
                    if undo.failed.is_empty() {
                        "what had been changed is put back"
                    } else {
                        "what could not be put back is named above"
                    }
                } else {
                    // What was only looked at is nothing to report.
                    self.report = Report::new("setup");
                    "nothing was changed"
                };
                refuse(&mut self.report, &Error::interrupted(signal).because(why));
            }
            Stop::Nobody(title, why) => {
                let Unattended { command, open, variables } = Unattended::of(&self.context.cli, &self.context.system, &self.interview);
                let mut error = Error::usage(format!("`{title}` has no answer")).because(why);
                let fill_in = if open { ", with what is in capitals filled in" } else { "" };
                error = error.remedy(format!("without questions{fill_in}: {command}"));
                if !variables.is_empty() {
                    error = error.remedy(format!("a variable does as well: {}", variables.join(", ")));
                }
                error = error.remedy("add --dry-run to see the plan first, or run `signoz-setup --demo`, which needs no account");
                if self.report.plan.is_none() {
                    return failed("setup", &error);
                }
                refuse(&mut self.report, &error);
            }
        }
        self.report
    }
}

/// An error as it is said in between.
fn words(error: &Error) -> String {
    text::error(&ErrorReport {
        what: error.what.clone(),
        why: error.why.clone(),
        remedies: error.remedies.clone(),
    })
}

fn capital(text: &str) -> String {
    let mut characters = text.chars();
    characters
        .next()
        .map_or_else(String::new, |first| first.to_uppercase().chain(characters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Cli;
    use crate::domain::Target;
    use crate::domain::answers::Draft;
    use crate::system::{Cancel, System};
    use crate::ui::progress::{Manner, Progress};
    use crate::wizard::finish;
    use clap::Parser;
    use std::io::Cursor;
    use std::os::unix::fs::PermissionsExt;

    /// A project with an environment that nothing can be installed into: there is no tool.
    fn project() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        };
        write("Procfile", "web: gunicorn app:app --workers 4\n");
        write(".venv/pyvenv.cfg", "home = /nowhere\nversion = 3.12.1\n");
        write(".venv/bin/python", "");
        write(".venv/lib/python3.12/site-packages/README.txt", "");
        folder
    }

    #[test]
    fn lines_make_the_same_answers_as_flags() {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let project = project();
        let context = Context {
            cli: Cli::parse_from(["signoz-setup", "--offline"]),
            system: System {
                env: std::collections::BTreeMap::new(),
                home: None,
                ..System::real(runtime.handle().clone(), Cancel::default())
            },
            progress: Progress::start(Manner::Silent, false),
            front: FrontEnd::Lines,
        };
        let options = Options {
            offline: true,
            ..Options::default()
        };
        let lines = "eu\nkey-4711\n\nstaging\ncurrent\n2\nflask run --port 80\n";
        let asker = Lines::over(runtime.handle(), Cursor::new(lines), std::io::sink());
        let interview = Interview::new("shop", Draft::default(), Draft::default(), vec![Target::Direct]);
        let mut guide = Guide::new(&context, project.path(), &options, interview, Box::new(asker));
        // Every question has its answer; the plan is refused, and nobody is there to say what now.
        let Stop::Failed(error) = guide.walk().unwrap_err() else { panic!() };
        assert!(error.what.contains("has no pip"), "{error}");

        let command = Unattended::of(&context.cli, &context.system, &guide.interview).command;
        let flags = Cli::try_parse_from(shlex::split(&command).unwrap()).unwrap();
        let given = flags.draft(IngestionKey::parse("key-4711").ok(), None);
        assert_eq!(given.region, "eu".parse().ok());
        assert_eq!(given.deployment_environment, "staging".parse().ok());
        assert_eq!(given.instrumentation, Some(InstrumentationSet::Current));
        assert_eq!(given.command, Some(["flask", "run", "--port", "80"].map(str::to_owned).into()));
        let detection = &guide.interview.found.as_ref().unwrap().detection;
        assert_eq!(guide.interview.answers(), given.or(finish::suggest(detection, "shop")));
    }
}
