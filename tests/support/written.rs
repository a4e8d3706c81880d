//! What a set-up writes into a project, written by the planner itself, for tests that start apps with it.
#![allow(clippy::unwrap_used, dead_code, unreachable_pub)]

use super::apps::App;
use super::pythons::Environment;
use signoz_setup::domain::answers::{Answers, Destination};
use signoz_setup::domain::detection::Server;
use signoz_setup::domain::packages::Resolution;
use signoz_setup::domain::plan::Change;
use signoz_setup::domain::target::{InstrumentationSet, Protocol, Target};
use signoz_setup::domain::{IngestionKey, coverage};
use signoz_setup::planner::{self, Input};
use signoz_setup::system::System;
use signoz_setup::{coverage as covered, detect};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Stands in the written environment file; must never arrive anywhere.
pub const KEY: &str = "canary-4711-key";

/// Writes `.signoz` for an app whose environment has the packages already; the run script's path.
pub fn run_script(system: &System, app: &App, environment: &Environment, server: &Server, service: &str) -> PathBuf {
    let detection = detect::run(system, app.path(), Some(&environment.python()), &|_| {});
    let python = detection.python.as_ref().unwrap();
    let answers = Answers {
        target: Target::Direct,
        // Nothing listens there: whatever went past the variables of a rehearsal would be lost, and be seen.
        destination: Destination::Endpoint("http://127.0.0.1:9".parse().unwrap()),
        key: Some(IngestionKey::parse(KEY).unwrap()),
        api_key: None,
        service_name: service.parse().unwrap(),
        deployment_environment: None,
        protocol: Protocol::Grpc,
        instrumentation: InstrumentationSet::Pinned,
        accept_gaps: false,
        command: server.command.clone(),
    };
    let coverage: Vec<coverage::Coverage> = covered::table(&detection.installed, answers.instrumentation, &python.version);
    let plan = planner::build(&Input {
        answers_file: None,
        detection: &detection,
        answers: &answers,
        server,
        coverage: &coverage,
        requirements: &[],
        resolution: &Resolution::default(),
        project: app.path(),
        python,
        program: &environment.python(),
        offline: false,
    })
    .unwrap();
    for step in plan.steps {
        if let Change::WriteFile { path, content, mode } = step.change {
            write(&path, &content.reveal(), mode);
        }
    }
    app.path().join(".signoz/run.sh")
}

fn write(path: &Path, text: &str, mode: u32) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}
