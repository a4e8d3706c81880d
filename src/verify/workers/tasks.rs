//! The rehearsal of a Celery worker: harmless built-in tasks through a queue of its own.
//!
//! May never touch the app's own queues: the worker that is started listens to nothing but the rehearsal's queue.

use super::app::{App, LOOK};
use super::tally::{self, Served};
use super::{RehearsalRequest, Rehearsed, command, hex, invocation, look, output, random, random_trace, settle, show, stop, verdict};
use crate::domain::event::{Event, Observer};
use crate::error::{Error, Result};
use crate::system::{Invocation, System};
use crate::tap::SpanKind;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// Sends tasks through the app, or takes the queue away again. Runs without instrumentation.
const SENDER: &str = r#"
import json, sys
from celery.app.utils import find_app
do = json.loads(sys.argv[1])
app = find_app(do["app"])
if do["delete"]:
    with app.connection_for_write() as connection:
        with connection.channel() as channel:
            app.amqp.queues.select_add(do["queue"])
            app.amqp.queues[do["queue"]](channel).delete()
else:
    for task in do["tasks"]:
        app.send_task("celery.accumulate", args=(1,), queue=do["queue"], task_id=task["id"],
                      headers={"traceparent": task["traceparent"]}, ignore_result=True)
print("sent")
"#;

/// How many times a batch of tasks is sent to reach every child.
const ROUNDS: u32 = 6;

/// A task that was sent.
struct Sent {
    id: String,
    task: Served,
}

pub(super) fn rehearse(system: &System, request: &RehearsalRequest<'_>, observer: Observer<'_>) -> Result<Rehearsed> {
    let started = Instant::now();
    let end = started + request.time_limit;
    let queue = format!("signoz-setup-rehearsal-{:08x}", random() >> 32);
    let Some((program, arguments)) = command::split_at_program(request.server.kind, request.command) else {
        return Ok(verdict::dead(
            request,
            "the command has no word `celery`".to_owned(),
            &output::Tail::default(),
        ));
    };
    let Some(app_name) = app_name(arguments) else {
        return Ok(verdict::dead(
            request,
            "the command does not name its app with `-A MODULE`".to_owned(),
            &output::Tail::default(),
        ));
    };
    let mut argv = program.to_vec();
    argv.extend(
        command::moved(request.server.kind, request.command, 0)
            .argv
            .into_iter()
            .skip(program.len()),
    );
    for word in [
        "-Q",
        &queue,
        "-n",
        &format!("{queue}@%h"),
        "-l",
        "INFO",
        "--without-mingle",
        "--without-gossip",
    ] {
        argv.push(word.to_owned());
    }
    observer(Event::Stage {
        title: format!("starting `{}` for a rehearsal", output::clean(&argv.join(" "))),
    });
    let mut app = match App::start(system, invocation(system, request, &argv), observer) {
        Ok(app) => app,
        Err(error) => return Ok(verdict::not_started(request, &error)),
    };
    // The worker says `ready.`; what it was sent before that waits in the queue, so nothing depends on seeing it.
    while app.tail.find(" ready.").is_none() {
        if app.ended().is_some() || Instant::now() >= end {
            app.look(LOOK)?;
            return Ok(verdict::dead(request, "the worker did not become ready".to_owned(), &app.tail));
        }
        app.look(LOOK)?;
    }
    let sender = Sender {
        system,
        request,
        app_name,
        queue: &queue,
    };
    let result = drive(&sender, &mut app, observer, started, end);
    // The queue goes again, because a durable one would stay in the broker; only a cancelled run cannot wait for that.
    let _ = sender.run(&[], true);
    result
}

fn drive(sender: &Sender<'_>, app: &mut App<'_>, observer: Observer<'_>, started: Instant, end: Instant) -> Result<Rehearsed> {
    let request = sender.request;
    let kind = SpanKind::Consumer;
    let server = request.server.kind.as_str();
    let expected = request.expected_workers.map_or(1, |count| count as usize);
    let batch = (request.requests_per_worker.max(1) as usize * expected).clamp(4, 200);
    let mut ran: Vec<Served> = Vec::new();
    let mut never_ran = 0;
    let mut all_reached = false;
    for _ in 0..ROUNDS {
        let sent = match sender.send(batch, false) {
            Ok(sent) => sent,
            Err(error) if matches!(error.kind, crate::error::Kind::Interrupted(_)) => return Err(error),
            Err(error) => return Ok(verdict::dead(request, error.to_string(), &app.tail)),
        };
        let missing = wait_until_run(app, &sent, end)?;
        never_ran += missing.len() as u64;
        ran.extend(sent.into_iter().filter(|one| !missing.contains(&one.id)).map(|one| one.task));
        settle(app, request, kind, &ran)?;
        show(observer, request, kind, &BTreeSet::new(), &ran);
        let children = look(request, |spans| tally::count(server, kind, &BTreeSet::new(), &ran, spans))
            .rows
            .iter()
            .filter(|row| row.unique_spans > 0)
            .count();
        all_reached = children >= expected;
        if all_reached || Instant::now() >= end || children == 0 || app.ended().is_some() {
            break;
        }
    }
    let died = app.ended();
    let asserted = died.is_none();
    let mut last = Vec::new();
    if asserted {
        if let Ok(sent) = sender.send(expected.clamp(1, 8) * 3, true) {
            wait_until_run(app, &sent, Instant::now() + Duration::from_secs(10))?;
            last = sent;
        }
        app.terminate();
    } else {
        app.terminate_group();
    }
    let ended_by_itself = app.gone(request.grace())?;
    app.look(LOOK)?;
    // A task that the worker gave back to the queue unstarted is not a lost span.
    let run = run_by(app, &last);
    ran.extend(last.into_iter().filter(|one| run.contains_key(&one.id)).map(|one| one.task));
    stop(app, request, kind, &ran)?;
    let tally = look(request, |spans| tally::count(server, kind, &BTreeSet::new(), &ran, spans));
    observer(Event::Workers { rows: tally.rows.clone() });
    if ran.is_empty() {
        return Ok(verdict::dead(request, "the worker ran none of the tasks".to_owned(), &app.tail));
    }
    let seen = verdict::Seen {
        all_reached,
        blind: false,
        unanswered: never_ran,
        died,
        ended_by_itself,
        asserted_at_stop: asserted,
        elapsed: started.elapsed(),
    };
    Ok(verdict::of(request, &seen, &tally, &ran, &app.tail))
}

/// Waits until the worker's log says that each task succeeded; gives back the ids of those that did not.
fn wait_until_run(app: &mut App<'_>, sent: &[Sent], end: Instant) -> Result<BTreeSet<String>> {
    loop {
        app.look(LOOK)?;
        let run = run_by(app, sent);
        if run.len() == sent.len() || Instant::now() >= end || app.ended().is_some() {
            return Ok(sent
                .iter()
                .filter(|one| !run.contains_key(&one.id))
                .map(|one| one.id.clone())
                .collect());
        }
    }
}

/// The tasks that ran, as the worker's log says (`Task celery.accumulate[ID] succeeded in …`), with its line.
fn run_by(app: &App<'_>, sent: &[Sent]) -> BTreeMap<String, String> {
    sent.iter()
        .filter_map(|one| {
            let line = app.tail.find(&format!("[{}] succeeded", one.id))?;
            Some((one.id.clone(), line.to_owned()))
        })
        .collect()
}

/// The module behind `-A`.
fn app_name(arguments: &[String]) -> Option<String> {
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        if word == "-A" || word == "--app" {
            return words.next().cloned();
        }
        if let Some(name) = word.strip_prefix("--app=") {
            return Some(name.to_owned());
        }
        if let Some(name) = word.strip_prefix("-A").filter(|name| !name.is_empty()) {
            return Some(name.to_owned());
        }
    }
    None
}

/// The app's own interpreter, which puts tasks into the queue.
struct Sender<'a> {
    system: &'a System,
    request: &'a RehearsalRequest<'a>,
    app_name: String,
    queue: &'a str,
}

impl Sender<'_> {
    fn send(&self, count: usize, at_stop: bool) -> Result<Vec<Sent>> {
        let sent: Vec<Sent> = (0..count)
            .map(|_| Sent {
                id: hex(&random_trace()),
                task: Served {
                    trace: random_trace(),
                    parent: random().to_be_bytes(),
                    worker: None,
                    status: None,
                    at_stop,
                },
            })
            .collect();
        self.run(&sent, false)?;
        Ok(sent)
    }

    fn run(&self, sent: &[Sent], delete: bool) -> Result<()> {
        let tasks: Vec<_> = sent
            .iter()
            .map(|one| {
                serde_json::json!({
                    "id": one.id,
                    "traceparent": format!("00-{}-{}-01", hex(&one.task.trace), hex(&one.task.parent)),
                })
            })
            .collect();
        let order = serde_json::json!({"app": self.app_name, "queue": self.queue, "delete": delete, "tasks": tasks});
        let mut invocation = Invocation::new([
            self.request.python.display().to_string(),
            "-c".to_owned(),
            SENDER.to_owned(),
            order.to_string(),
        ])
        .within(self.request.directory)
        .deadline(Duration::from_secs(30));
        for (name, value) in &self.request.server.variables {
            invocation = invocation.env(name, value);
        }
        let finished = self
            .system
            .commands
            .run(&invocation, &mut |_| {})
            .map_err(|error| match self.system.cancel.signal() {
                Some(signal) => Error::interrupted(signal),
                None => Error::failed("the tasks cannot be sent").because(error.to_string()),
            })?;
        if finished.success() {
            return Ok(());
        }
        let said = finished
            .stderr
            .lines()
            .rev()
            .find(|line| !line.trim().is_empty())
            .unwrap_or("it printed nothing");
        Err(Error::failed("the app's interpreter could not put tasks into the broker's queue").because(output::clean(said)))
    }
}
