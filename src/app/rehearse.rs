//! `--rehearse`: the real app, its run script, and the embedded receiver.

use super::pipeline::start;
use super::refusals::environment;
use super::{Context, answers};
use crate::detect;
use crate::domain::report::{Level, Report, TraceBar};
use crate::domain::{Event, Protocol};
use crate::error::{Error, Result};
use crate::system::System;
use crate::tap::{SpanRecord, Tap, TapOptions, waterfall};
use crate::verify::workers::{Receiver, RehearsalRequest, Rehearsed, rehearse};
use std::collections::BTreeMap;
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
    rehearsal.add_to(&mut report)?;
    context.system.cancel.check()?;
    Ok(report)
}

/// One rehearsal; the demo and the wizard run the same one.
pub(super) struct Rehearsal<'a> {
    pub(super) system: &'a System,
    pub(super) project: &'a Path,
    pub(super) python: Option<&'a Path>,
    pub(super) command: Option<Vec<String>>,
    pub(super) protocol: Protocol,
    pub(super) observer: &'a (dyn Fn(Event) + Send + Sync),
}

impl Rehearsal<'_> {
    /// Starts the app, counts, and puts level `workers` into the report, beside the levels that are there.
    pub(super) fn add_to(self, report: &mut Report) -> Result<()> {
        let tap = Tap::start(&self.system.runtime, TapOptions::default())?;
        let rehearsed = self.run(&tap, report)?;
        let verification = report.verification.get_or_insert_default();
        verification.levels.retain(|level| level.level != Level::Workers);
        verification.levels.push(rehearsed.level);
        verification.levels.sort_by_key(|level| level.level);
        verification.workers = rehearsed.workers;
        verification.lost_at_stop = rehearsed.lost_at_stop;
        verification.trace = fullest_trace(&tap.ledger().spans());
        Ok(())
    }

    fn run(self, tap: &Tap, report: &mut Report) -> Result<Rehearsed> {
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
        (self.observer)(Event::Stage {
            title: format!("starting the app: {}", command.join(" ")),
        });
        let receiver = Receiver::of(tap, self.protocol);
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

/// The trace with the most spans, the first of them when several have as many.
fn fullest_trace(spans: &[SpanRecord]) -> Vec<TraceBar> {
    let mut traces: BTreeMap<[u8; 16], Vec<SpanRecord>> = BTreeMap::new();
    for span in spans {
        traces.entry(span.trace_id).or_default().push(span.clone());
    }
    let fullest = traces
        .values()
        .max_by_key(|spans| (spans.len(), std::cmp::Reverse(spans[0].start_ns)));
    let Some(spans) = fullest else { return Vec::new() };
    let bar = |bar: crate::tap::Bar| {
        let span = &spans[bar.span];
        TraceBar {
            name: span.name.chars().filter(|character| !character.is_control()).take(120).collect(),
            kind: format!("{:?}", span.kind).to_lowercase(),
            pid: span.process,
            depth: bar.depth,
            offset_us: bar.offset_ns / 1_000,
            duration_us: bar.duration_ns / 1_000,
        }
    };
    waterfall(spans).into_iter().map(bar).collect()
}
