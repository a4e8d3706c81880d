//! Guided set-up in lines: the same conversation and the same pipeline as the full screen.

use super::guided::{find_region, found, probable};
use super::pipeline::{Pipeline, Prepared};
use super::rehearse::Rehearsal;
use super::{Context, FrontEnd, refuse, undo};
use crate::domain::Event;
use crate::domain::plan::StepState;
use crate::domain::report::{LevelReport, Outcome, Report};
use crate::error::{Error, Kind, Result};
use crate::system::System;
use crate::ui::progress::Progress;
use crate::ui::prompt::{Asker, Lines, Prompts, Reply, converse, say, with_command};
use crate::ui::text;
use crate::wizard::question::{Choice, Then};
use crate::wizard::{Action, Interview, Options, Way, menu};
use std::path::Path;

/// What works on one conversation.
struct Desk<'a> {
    context: &'a Context,
    pipeline: Pipeline<'a>,
    options: &'a Options,
}

/// Asks, shows the plan, applies, verifies.
pub(super) fn run(context: &Context, project: &Path, options: &Options, mut interview: Interview) -> Result<Report> {
    let observer = |event: Event| context.progress.event(&event);
    let desk = Desk {
        context,
        pipeline: Pipeline {
            system: &context.system,
            project,
            offline: options.offline,
            observer: &observer,
        },
        options,
    };
    let asker: Box<dyn Asker> = if context.front == FrontEnd::Prompts {
        Box::new(Prompts::default())
    } else {
        Box::new(Lines::new(context.system.cancel.clone()))
    };
    let mut asker = Rested {
        asker,
        progress: &context.progress,
    };
    let mut report = Report::new("setup");
    if let Err(error) = desk.talk(&mut asker, &mut interview, &mut report) {
        let error = with_command(error, &interview);
        let changed = report
            .plan
            .iter()
            .flat_map(|plan| &plan.steps)
            .any(|step| step.state == StepState::Applied);
        let interrupted = matches!(error.kind, Kind::Interrupted(_));
        if !changed && (interrupted || error.kind == Kind::Usage) {
            // What was only looked at is nothing to report.
            report = Report::new("setup");
        }
        let error = if interrupted && !changed {
            error.because("nothing was changed")
        } else {
            error
        };
        refuse(&mut report, &error);
    }
    Ok(report)
}

/// Asks with the moving line at rest: it would be drawn over the question.
struct Rested<'a> {
    asker: Box<dyn Asker>,
    progress: &'a Progress,
}

impl Asker for Rested<'_> {
    fn choose(&mut self, title: &str, help: &str, choices: &[Choice], current: usize) -> Result<Reply<usize>> {
        self.progress.rest();
        self.asker.choose(title, help, choices, current)
    }

    fn text(&mut self, title: &str, help: &str, current: &str) -> Result<Reply<String>> {
        self.progress.rest();
        self.asker.text(title, help, current)
    }

    fn secret(&mut self, title: &str, help: &str) -> Result<Reply<String>> {
        self.progress.rest();
        self.asker.secret(title, help)
    }
}

impl Desk<'_> {
    fn system(&self) -> &System {
        &self.context.system
    }

    fn talk(&self, asker: &mut dyn Asker, interview: &mut Interview, report: &mut Report) -> Result<()> {
        if self.options.interrupted {
            say("an earlier run was ended half way; undo puts back what it did");
        }
        interview.found(found(&self.pipeline.look(interview.draft.python.as_deref())));
        loop {
            let only_open = match self.what(asker)? {
                Action::Undo => {
                    *report = undo::put_back(self.system(), self.pipeline.project, self.pipeline.observer)?;
                    return Ok(());
                }
                Action::Look => true,
                Action::Begin | Action::Change => false,
            };
            if !converse(asker, interview, only_open, &mut |then, interview| self.legwork(then, interview))? {
                if menu(self.options).len() == 1 {
                    say("that was the first question; Ctrl-C leaves");
                }
                continue;
            }
            if let Some(prepared) = self.plan(asker, interview, report)? {
                return self.carry_out(asker, &prepared, report);
            }
        }
    }

    /// What is to be done; asked only where there is more than one thing.
    fn what(&self, asker: &mut dyn Asker) -> Result<Action> {
        let menu = menu(self.options);
        if menu.len() == 1 {
            return Ok(menu[0]);
        }
        let choices: Vec<Choice> = menu.iter().map(|action| choice(action.title())).collect();
        loop {
            if let Reply::Answer(index) = asker.choose("What is to be done?", "an earlier set-up is here", &choices, 0)? {
                return Ok(menu[index]);
            }
        }
    }

    /// What an answer sets going.
    fn legwork(&self, then: Then, interview: &mut Interview) -> Result<()> {
        match then {
            Then::Nothing => {}
            Then::Detect if interview.other_python && interview.draft.python.is_none() => {}
            Then::Detect => interview.found(found(&self.pipeline.look(interview.draft.python.as_deref()))),
            Then::CheckKey => {
                let draft = interview.answers();
                let ready = interview.endpoint().is_some() && (draft.key.is_some() || draft.endpoint.is_some());
                if ready
                    && !self.options.offline
                    && let Some(answers) = probable(&draft)
                {
                    tell(&self.pipeline.probe(&answers));
                }
            }
            Then::FindRegion if interview.way == Way::Find => self.find_region(interview),
            Then::FindRegion => {}
        }
        self.system().cancel.check()
    }

    fn find_region(&self, interview: &mut Interview) {
        say("trying the key against every region");
        let tried = find_region(self.system(), &interview.answers());
        let accepted = tried
            .iter()
            .find(|(_, level)| matches!(level.outcome, Outcome::Pass | Outcome::Warn));
        match accepted {
            Some((region, level)) => {
                say(&format!("region {region}: {}", level.detail));
                interview.draft.region = Some(region.clone());
            }
            None => {
                say("no region accepted the key");
                interview.way = Way::Region;
            }
        }
    }

    /// The plan, until the person agrees; `None` when they want to change an answer.
    fn plan(&self, asker: &mut dyn Asker, interview: &Interview, report: &mut Report) -> Result<Option<Prepared>> {
        *report = Report::new("setup");
        let prepared = match self.pipeline.prepare(interview.answers(), &|_, _| None, report) {
            Ok(prepared) => prepared,
            Err(error) if matches!(error.kind, Kind::Interrupted(_)) => return Err(error),
            Err(error) => {
                say(&error.to_string());
                let choices = [choice("change an answer"), choice("leave")];
                return match asker.choose("What now?", "nothing was changed", &choices, 0)? {
                    Reply::Answer(1) => Err(error),
                    Reply::Answer(_) | Reply::Back => Ok(None),
                };
            }
        };
        say(&text::plan(report, false));
        let pending = report
            .plan
            .iter()
            .flat_map(|plan| &plan.steps)
            .filter(|step| step.state == StepState::Pending)
            .count();
        let apply = if pending == 0 {
            "verify".to_owned()
        } else {
            format!("apply {pending} steps")
        };
        let choices = [
            choice(&apply),
            choice("show the diffs"),
            choice("change an answer"),
            choice("leave"),
        ];
        loop {
            match asker.choose("Is this right?", "nothing has been changed yet", &choices, 0)? {
                Reply::Answer(0) => return Ok(Some(prepared)),
                Reply::Answer(1) => say(&text::plan(report, true)),
                Reply::Answer(3) => return Err(Error::interrupted(crate::error::Signal::Interrupt)),
                Reply::Answer(_) | Reply::Back => return Ok(None),
            }
        }
    }

    fn carry_out(&self, asker: &mut dyn Asker, prepared: &Prepared, report: &mut Report) -> Result<()> {
        self.pipeline.apply(prepared, report)?;
        self.pipeline.verify(prepared, self.options.verify, report)?;
        if self.options.offline || !self.options.verify {
            return Ok(());
        }
        let command = crate::wizard::question::join(&prepared.answers.command);
        let help = format!(
            "`{command}` is started once, on a free port of this machine, with a receiver inside this program; nothing is sent to SigNoz"
        );
        let choices = [choice("start the app and count every worker's spans"), choice("skip it")];
        // The set-up is done: whoever is gone by now has skipped it.
        let reply = asker.choose("One proof is left: the app itself", &help, &choices, 0);
        if !matches!(reply, Ok(Reply::Answer(0))) {
            return match reply {
                Err(error) if matches!(error.kind, Kind::Interrupted(_)) => Err(error),
                _ => Ok(()),
            };
        }
        let rehearsal = Rehearsal {
            system: self.system(),
            project: self.pipeline.project,
            python: Some(prepared.interpreter()),
            command: Some(prepared.answers.command.clone()),
            protocol: prepared.answers.protocol,
            observer: self.pipeline.observer,
        };
        rehearsal.add_to(report)?;
        self.pipeline.say_what_is_next(prepared, report);
        self.system().cancel.check()
    }
}

fn choice(title: &str) -> Choice {
    Choice {
        value: title.to_owned(),
        title: title.to_owned(),
        note: String::new(),
    }
}

/// What the endpoint said of the key.
fn tell(level: &LevelReport) {
    let word = match level.outcome {
        Outcome::Pass => "ok",
        Outcome::Warn => "look at this",
        Outcome::Fail => "it does not work",
        Outcome::Skip | Outcome::Unknown => "not known",
    };
    say(&format!("{word}: {}", level.detail));
    if let Some(remedy) = level.remedy.as_ref().filter(|_| level.outcome != Outcome::Pass) {
        say(&format!("hint: {remedy}"));
    }
}
