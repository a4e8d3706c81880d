//! `--rehearse`: the real app, its run script, and the embedded receiver.

use super::setup::{environment, start};
use super::{Context, answers};
use crate::detect;
use crate::domain::report::{Report, Verification};
use crate::domain::{Event, Protocol};
use crate::error::{Error, Result};
use crate::system::System;
use crate::tap::{Tap, TapOptions};
use crate::verify::workers::{Receiver, RehearsalRequest, Rehearsed, rehearse};
use std::path::Path;
use std::time::Duration;

/// Requests that each worker has to serve before the rehearsal is content.
const REQUESTS: u32 = 10;
/// How long the whole rehearsal may take.
const LIMIT: Duration = Duration::from_secs(90);
/// How long spans are waited for after the last request.
const SETTLE: Duration = Duration::from_secs(10);

/// Starts the app and counts.
pub(super) fn run(context: &Context) -> Result<Report> {
    let project = answers::project(&context.cli)?;
    let draft = answers::given(context, &project)?;
    let observer = |event| context.progress.event(&event);
    let protocol = draft.protocol.unwrap_or_default();
    let rehearsal = Rehearsal {
        system: &context.system,
        project: &project,
        python: draft.python.as_deref(),
        command: draft.command,
        protocol,
        observer: &observer,
    };
    let mut report = Report::new("rehearse");
    let rehearsed = rehearsal.run(&mut report)?;
    report.verification = Some(Verification {
        levels: vec![rehearsed.level],
        workers: rehearsed.workers,
        lost_at_stop: rehearsed.lost_at_stop,
        trace: Vec::new(),
    });
    context.system.cancel.check()?;
    Ok(report)
}

/// One rehearsal; `--demo` runs the same one.
pub(super) struct Rehearsal<'a> {
    pub(super) system: &'a System,
    pub(super) project: &'a Path,
    pub(super) python: Option<&'a Path>,
    pub(super) command: Option<Vec<String>>,
    pub(super) protocol: Protocol,
    pub(super) observer: &'a (dyn Fn(Event) + Send + Sync),
}

impl Rehearsal<'_> {
    pub(super) fn run(self, report: &mut Report) -> Result<Rehearsed> {
        let run_script = self.project.join(".signoz/run.sh");
        if !run_script.is_file() {
            return Err(Error::usage(format!("there is no run script in `{}`", self.project.display()))
                .because("set-up has not been run here")
                .remedy("run `signoz-setup --yes` first, or give the project's folder as DIR"));
        }
        (self.observer)(Event::Stage {
            title: "looking at the project".to_owned(),
        });
        let detection = detect::run(self.system, self.project, self.python, self.observer);
        let command = self
            .command
            .or_else(|| detection.servers.first().map(|server| server.command.clone()))
            .ok_or_else(|| {
                Error::usage("`How is the app started?` has no answer")
                    .remedy("pass it after `--`, for example `-- gunicorn app:app --workers 4`")
            })?;
        let server = start(&detection, &command, self.project);
        let python = environment(&detection, true)?.clone();
        report.environment = Some(detection);
        let tap = Tap::start(&self.system.runtime, TapOptions::default())?;
        (self.observer)(Event::Stage {
            title: format!("starting the app: {}", command.join(" ")),
        });
        let receiver = Receiver::of(&tap, self.protocol);
        rehearse(
            self.system,
            &RehearsalRequest {
                directory: &self.project.join(&server.directory),
                command: &command,
                server: &server,
                run_script: &run_script,
                python: &python.interpreter,
                protocol: self.protocol,
                receiver: &receiver,
                service_name: None,
                path: "/",
                requests_per_worker: REQUESTS,
                expected_workers: server.workers,
                time_limit: LIMIT,
                settle: SETTLE,
            },
            self.observer,
        )
    }
}
