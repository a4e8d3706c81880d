//! The files of the direct way on a VM: run script, environment file, loader, worker hooks, answers.

use super::launch::{Hook, Launch, Word};
use super::templates::{SIGNOZ_AUTO, SITECUSTOMIZE, render};
use super::{Input, env_file, launch};
use crate::coverage;
use crate::domain::answers::{Answers, Destination, Draft};
use crate::domain::detection::EnvironmentKind;
use crate::domain::plan::{Change, Content, Step, StepId};
use crate::error::{Error, Result};
use minijinja::context;
use std::path::Path;

/// The loader's files in `.signoz/auto`.
const LOADER: [(&str, &str); 2] = [("signoz_auto.py", SIGNOZ_AUTO), ("sitecustomize.py", SITECUSTOMIZE)];

/// How an answers file of ours begins.
const ANSWERS_HEAD: &str = "# Written by signoz-setup";

/// All steps that write files, in order: nothing starts to count before the run script is there.
pub(super) fn steps(input: &Input<'_>) -> Result<Vec<Step>> {
    let own = input.project.join(".signoz");
    if own.to_string_lossy().contains(':') {
        return Err(
            Error::refused(format!("the path of the project, `{}`, has a colon in it", input.project.display()))
                .because("PYTHONPATH, through which every Python process finds the loader, is divided by colons")
                .remedy("move the project to a folder without a colon in its path"),
        );
    }
    let server = input.server;
    let row = launch::row(server.kind, server.start, server.preload, server.worker_class.as_deref());
    let mut steps = vec![
        file(
            "write.gitignore",
            "keep the key out of git",
            "otel.env holds the ingestion key",
            &own.join(".gitignore"),
            "otel.env\n__pycache__/\n",
            0o644,
        ),
        Step {
            id: StepId("write.env-file".to_owned()),
            title: "write the settings and the key to .signoz/otel.env".to_owned(),
            why: "where spans go and under which name; readable by you only".to_owned(),
            change: Change::WriteFile {
                path: own.join("otel.env"),
                content: env_file::content(input.answers),
                mode: 0o600,
            },
        },
    ];
    for (name, text) in LOADER {
        let id = format!("write.{}", name.trim_end_matches(".py").replace('_', "-"));
        let title = format!("write the loader .signoz/auto/{name}");
        steps.push(file(
            &id,
            &title,
            "every Python process of the app starts instrumented, spawned workers included",
            &own.join("auto").join(name),
            text,
            0o644,
        ));
    }
    if let Some(hook) = hooks(input).next() {
        let title = format!("write the worker hooks .signoz/{}", hook.file());
        steps.push(file(
            "write.worker-hooks",
            &title,
            hook.why(),
            &own.join(hook.file()),
            hook.text(),
            0o644,
        ));
    }
    steps.push(file(
        "write.run-script",
        "write the run script .signoz/run.sh",
        row.why,
        &own.join("run.sh"),
        &run_script(input)?,
        0o755,
    ));
    // A file without our first line is the person's: the answers came from it, and its comments are theirs.
    if input.answers_file.is_none_or(|text| text.starts_with(ANSWERS_HEAD)) {
        steps.push(file(
            "write.answers",
            "write the answers to signoz-setup.toml",
            "the next run, and other machines, start from them; the key is not in it",
            &input.project.join("signoz-setup.toml"),
            &answers(input.answers)?,
            0o644,
        ));
    }
    Ok(steps)
}

fn file(id: &str, title: &str, why: &str, path: &Path, text: &str, mode: u32) -> Step {
    Step {
        id: StepId(id.to_owned()),
        title: title.to_owned(),
        why: why.to_owned(),
        change: Change::WriteFile {
            path: path.to_path_buf(),
            content: Content::text(text),
            mode,
        },
    }
}

/// Rows for servers that can be started here: the saved one, and those that are installed, since the run script takes any
/// command.
fn startable<'a>(input: &'a Input<'_>) -> impl Iterator<Item = &'static Launch> + use<'a> {
    let installed = &input.detection.installed;
    let saved = input.server.kind;
    launch::TABLE
        .iter()
        .filter(move |row| row.server == saved || installed.contains_key(row.server.as_str()))
}

/// Files of worker hooks that these servers need.
fn hooks(input: &Input<'_>) -> impl Iterator<Item = Hook> {
    startable(input).flat_map(|row| row.adds).filter_map(|word| match word {
        Word::Hook(hook) => Some(*hook),
        Word::Text(_) => None,
    })
}

fn run_script(input: &Input<'_>) -> Result<String> {
    let bin = input
        .python
        .interpreter
        .parent()
        .filter(|_| input.python.virtualenv.is_some() || input.python.kind == EnvironmentKind::Conda);
    let inside = bin.and_then(|bin| bin.strip_prefix(input.project).ok());
    let mut variables: Vec<(String, String)> = startable(input)
        .flat_map(|row| row.variables)
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let beyond = coverage::beyond_range(input.coverage);
    if !beyond.is_empty() {
        variables.push(("SIGNOZ_INSTRUMENT_BEYOND_RANGE".to_owned(), beyond.join(",")));
    }
    for (name, value) in &input.server.variables {
        // A masked secret must be set where the app is started; it is never copied into a file.
        if !value.contains(Content::MASK) && !variables.iter().any(|(known, _)| known == name) {
            variables.push((name.clone(), value.clone()));
        }
    }
    // What the start command sets itself is meant for it; the other is what manage.py falls back to.
    if let Some(settings) = input
        .detection
        .django_settings
        .as_ref()
        .filter(|_| !variables.iter().any(|(name, _)| name == "DJANGO_SETTINGS_MODULE"))
    {
        variables.push(("DJANGO_SETTINGS_MODULE".to_owned(), settings.module.clone()));
    }
    let rows: Vec<minijinja::Value> = launch::additions()
        .filter(|other| startable(input).any(|row| row.programs == other.programs))
        .map(|other| {
            let adds: Vec<minijinja::Value> = other
                .adds
                .iter()
                .map(|word| match word {
                    Word::Text(text) => context! { text => *text, hook => false },
                    Word::Hook(hook) => context! { text => hook.file(), hook => true },
                })
                .collect();
            context! { programs => other.programs.to_vec(), why => other.why, adds }
        })
        .collect();
    let directory = input.server.directory.to_string_lossy();
    let directory = if directory == "." { "" } else { directory.as_ref() };
    render(
        "vm/run.sh.j2",
        context! {
            variables => variables.iter().map(|(name, value)| context! { name, value }).collect::<Vec<_>>(),
            bin => inside.or(bin).map(|bin| bin.to_string_lossy()).unwrap_or_default(),
            bin_inside => inside.is_some(),
            command => input.answers.command.clone(),
            directory,
            rows,
        },
    )
}

/// The answers file: what a later run, or another machine, needs; paths and keys of this machine are not in it.
fn answers(answers: &Answers) -> Result<String> {
    let (region, endpoint) = match &answers.destination {
        Destination::Region(region) => (Some(region.clone()), None),
        Destination::Endpoint(endpoint) => (None, Some(endpoint.clone())),
    };
    let draft = Draft {
        target: Some(answers.target),
        region,
        endpoint,
        service_name: Some(answers.service_name.clone()),
        deployment_environment: answers.deployment_environment.clone(),
        protocol: Some(answers.protocol),
        instrumentation: Some(answers.instrumentation),
        accept_gaps: answers.accept_gaps.then_some(true),
        command: Some(answers.command.clone()),
        ..Draft::default()
    };
    let text = toml_edit::ser::to_string(&draft)
        .map_err(|error| Error::failed("the answers cannot be written down").because(error.to_string()))?;
    Ok(format!(
        "{ANSWERS_HEAD}; holds no key. `signoz-setup --yes` starts from here.\n{text}"
    ))
}
