//! Machine and project → `Detection`: facts with evidence, never decisions. Never fails as a whole, never writes.
//!
//! One walk finds the files worth reading; sources give raw start commands; the rest follows from both.

mod apps;
mod commands;
mod django;
mod environment;
mod frameworks;
mod guesses;
mod gunicorn;
mod hazards;
mod health;
mod host;
mod interpreters;
pub mod invocation;
mod leftovers;
mod owners;
mod program;
mod python;
mod requirements;
mod shape;
mod shell;
mod source;
mod sources;
pub mod survey;
mod targets;
mod text;
mod walk;
mod wrappers;

pub use host::look as look_at_host;
pub use invocation::parse_command;
pub use survey::Survey;

use crate::domain::detection::Detection;
use crate::domain::event::{Event, Observer};
use crate::packages::installed;
use crate::system::System;
use std::collections::BTreeMap;
use std::path::Path;

/// Finds out everything about a project folder and the machine around it.
///
/// `python` is the person's `--python`: an interpreter or the folder of an environment. What cannot be read is named in
/// [`Detection::notes`]; a folder that holds nothing gives a detection that says so.
#[must_use]
pub fn run(system: &System, project: &Path, python: Option<&Path>, observer: Observer<'_>) -> Detection {
    look(system, project, python, observer, false).detection
}

/// The same, with the raw material that it was made of.
#[must_use]
pub fn survey(system: &System, project: &Path, python: Option<&Path>, observer: Observer<'_>) -> Survey {
    look(system, project, python, observer, true)
}

fn look(system: &System, project: &Path, python: Option<&Path>, observer: Observer<'_>, raw: bool) -> Survey {
    let project = text::tidy(&std::path::absolute(project).unwrap_or_else(|_| project.to_path_buf()));
    let stage = |title: &str| observer(Event::Stage { title: title.to_owned() });
    stage("looking through the project");
    let tree = walk::walk(&project);
    let mut notes = tree.notes.clone();
    if !project.is_dir() {
        notes.push(text::clean(&format!("`{}` is not a folder", project.display())));
    }
    let mut gathered = sources::gather(system, &project, &tree);
    notes.append(&mut gathered.notes);
    let required = requirements::read(&project, &tree);

    stage("looking for the app's Python");
    let pythons = python::find(system, &project, python, &tree, &gathered.commands, &apps::folders(&project, &tree));
    notes.extend(pythons.notes);
    let installed = pythons
        .chosen
        .as_ref()
        .map(|python| installed::read(&python.site_packages))
        .unwrap_or_default();
    let available = |name: &str| installed.contains_key(name) || required.contains_key(name);
    gathered
        .commands
        .extend(guesses::offer(&project, &tree, &guesses::Available(&available)));

    stage("looking at start commands");
    let servers = commands::assemble(&gathered.commands, &project);
    let machine = host::look(system);
    let places = targets::find(system, &project, &tree, &machine, &servers);
    let apps = apps::find(&tree, &servers);
    let plain: Vec<_> = servers.iter().map(|(_, server)| server).collect();
    let django_settings = django::find(system, &project, &tree, &plain, &gathered.settings, &mut notes);
    let hazards = hazards::find(
        &hazards::Scene {
            system,
            project: &project,
            tree: &tree,
            raws: &gathered.commands,
            settings: &gathered.settings,
            servers: &servers,
            python: pythons.chosen.as_ref(),
            installed: &installed,
            required: &required,
        },
        &mut notes,
    );
    let (mut survey, processes) = if raw {
        let survey = Survey {
            commands: gathered.commands.iter().map(survey::start_line).collect(),
            files: survey::files(&tree),
            ..Survey::default()
        };
        (survey, survey::processes(system, &project))
    } else {
        (Survey::default(), Vec::new())
    };
    survey.processes = processes;
    survey.detection = Detection {
        targets: places.targets,
        frameworks: frameworks::find(&project, &installed, &required),
        python: pythons.chosen,
        python_candidates: pythons.others,
        servers: servers.into_iter().map(|(_, server)| server).collect(),
        apps,
        django_settings,
        hazards,
        containers: places.containers,
        kubernetes: places.kubernetes,
        host: machine,
        installed,
        otel_variables: otel_variables(system),
        notes,
    };
    if raw {
        let own = |setting: sources::Setting| survey::Setting {
            name: setting.name,
            value: setting.value,
            source: setting.source,
        };
        survey.settings = gathered.settings.into_iter().map(own).collect();
    }
    survey
}

/// Our own `OTEL_*` variables; a header's value is a key.
fn otel_variables(system: &System) -> BTreeMap<String, String> {
    system
        .env
        .iter()
        .filter(|(name, _)| name.starts_with("OTEL_"))
        .map(|(name, value)| (name.clone(), text::mask_value(name, value)))
        .collect()
}
