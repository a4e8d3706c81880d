//! All Python environments that the app could mean, the best first. Two candidates are two candidates: never a silent guess.

use super::environment::{at_root, is_one, of_interpreter, unusable_choice};
use super::health::untested;
use super::interpreters::machine;
use super::owners::{Owner, assign, kept, owners, pdm_interpreter, upwards};
use super::sources::Raw;
use super::text::{self, evidence};
use super::walk::{Tree, environments_beside, is_environment};
use crate::domain::PackageTool;
use crate::domain::detection::{EnvironmentKind, Evidence, PythonEnvironment};
use crate::system::System;
use std::fs;
use std::path::{Path, PathBuf};

/// How much a sign says about which environment the app runs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Strength {
    /// The machine's Python: the app may use it, because nothing else is there.
    Machine,
    /// Active in the shell for another reason than this project (conda's base, the one that runs this program).
    Elsewhere,
    /// Below the project, beside one of its apps.
    Below,
    /// A conda environment that is active in the shell.
    Conda,
    /// A virtual environment that is active in the shell and lies elsewhere.
    Active,
    /// Beside a folder above the project, in the same repository.
    Above,
    /// Kept for the project by its tool, in a folder of the tool's own.
    Kept,
    /// Directly in the project.
    Project,
    /// The project's own, and active in the shell or named as such to its tool.
    ActiveProject,
    /// A start command names it.
    Command,
    /// A running process of the app uses it.
    Running,
    /// The person said so.
    Told,
}

/// What an environment is found by.
pub(super) enum Place {
    Root(PathBuf),
    Interpreter(PathBuf),
}

struct Candidate {
    strength: Strength,
    environment: PythonEnvironment,
}

/// The environment that is used, the others that could have been meant, and what was odd.
#[derive(Default)]
pub(super) struct Pythons {
    pub(super) chosen: Option<PythonEnvironment>,
    pub(super) others: Vec<PythonEnvironment>,
    pub(super) notes: Vec<String>,
}

/// Finds and ranks them. `told` is the person's `--python`.
pub(super) fn find(system: &System, project: &Path, told: Option<&Path>, tree: &Tree, raws: &[Raw], apps: &[PathBuf]) -> Pythons {
    let owners = owners(project);
    let mut pythons = Pythons::default();
    let mut candidates: Vec<Candidate> = Vec::new();
    let mut refused = None;
    let mut add = |strength: Strength, place: Place, because: Evidence| {
        let found = match &place {
            Place::Root(root) => at_root(root, vec![because.clone()]),
            Place::Interpreter(program) => of_interpreter(system, program, vec![because.clone()]),
        };
        let Some(environment) = found else { return false };
        match candidates.iter_mut().find(|known| same(&known.environment, &environment)) {
            Some(known) if known.strength < strength => {
                known.strength = strength;
                known.environment.because.insert(0, because);
            }
            Some(known) if !known.environment.because.contains(&because) => known.environment.because.push(because),
            Some(_) => {}
            None => candidates.push(Candidate { strength, environment }),
        }
        true
    };
    if let Some(path) = told {
        tell(system, project, path, &mut add, &mut refused);
    }
    for raw in raws {
        if let Some(interpreter) = &raw.interpreter {
            add(
                Strength::Running,
                Place::Interpreter(interpreter.clone()),
                evidence(&raw.source, &raw.fact),
            );
        }
        for root in roots_in(raw) {
            let strength = if raw.source.starts_with("pid ") {
                Strength::Running
            } else {
                Strength::Command
            };
            add(strength, Place::Root(root), evidence(&raw.source, &raw.fact));
        }
    }
    active(system, project, &owners, &mut add, &mut pythons.notes);
    in_folders(system, project, tree, &owners, apps, &mut add);
    machine(system, project, &mut add);
    if let Some((path, why, because)) = refused {
        pythons
            .notes
            .push(text::clean(&format!("`--python {}` cannot be used: {why}", path.display())));
        candidates.push(Candidate {
            strength: Strength::Told,
            environment: unusable_choice(&path, &why, vec![because]),
        });
    }
    rank(system, project, &owners, candidates, &mut pythons);
    remark(&mut pythons);
    pythons
}

/// What `--python` names: an interpreter, the folder of one, or an environment. It is the choice, even when it cannot be used.
fn tell(system: &System, project: &Path, told: &Path, add: Add<'_>, refused: &mut Option<(PathBuf, String, Evidence)>) {
    let inside = text::tidy(&project.join(told));
    // `--python python3.12` is looked up as the shell would.
    let bare = told.components().count() == 1 && fs::symlink_metadata(&inside).is_err();
    let path = bare.then(|| system.which(told.to_str()?)).flatten().unwrap_or(inside);
    let because = evidence("--python", path.display().to_string());
    let place = if !path.is_dir() {
        Place::Interpreter(path.clone())
    } else if is_one(&path) {
        Place::Root(path.clone())
    } else {
        let names = ["bin/python3", "bin/python", "python3", "python"];
        let inner = names.iter().map(|name| path.join(name)).find(|program| program.is_file());
        let Some(program) = inner else {
            let why = "the folder holds neither an environment nor a `bin/python`; give the folder with `pyvenv.cfg` in it";
            *refused = Some((path, why.to_owned(), because));
            return;
        };
        Place::Interpreter(program)
    };
    if !add(Strength::Told, place, because.clone()) {
        let why = "it is neither an interpreter nor an environment; give a `bin/python` or the folder of an environment";
        *refused = Some((path, why.to_owned(), because));
    }
}

/// Says what a person should know about the choice, beyond the list of the others.
fn remark(pythons: &mut Pythons) {
    let Some(chosen) = &pythons.chosen else { return };
    pythons.notes.extend(untested(&chosen.version));
    if chosen.broken.is_some() {
        return;
    }
    let place = |python: &PythonEnvironment| python.virtualenv.as_ref().unwrap_or(&python.interpreter).display().to_string();
    for other in pythons.others.iter().filter(|other| other.virtualenv.is_some()) {
        if let Some(why) = &other.broken {
            let note = format!("`{}` was passed over: {why}; `{}` is used instead", place(other), place(chosen));
            pythons.notes.push(text::clean(&note));
        }
    }
}

fn rank(system: &System, project: &Path, owners: &[Owner], mut candidates: Vec<Candidate>, pythons: &mut Pythons) {
    // A broken environment comes after every whole one, unless the person named it; the machine's Python is no rival to any.
    let weight = |candidate: &Candidate| {
        let told = candidate.strength == Strength::Told;
        let environment = candidate.strength > Strength::Machine;
        (
            told,
            environment && candidate.environment.broken.is_none(),
            environment,
            candidate.environment.broken.is_none(),
            candidate.strength,
        )
    };
    candidates.sort_by_key(|candidate| std::cmp::Reverse(weight(candidate)));
    let any_environment = candidates
        .iter()
        .any(|candidate| candidate.strength > Strength::Machine && candidate.environment.broken.is_none());
    let mut rest = candidates.into_iter().map(|candidate| {
        let mut environment = candidate.environment;
        assign(system, &mut environment, owners);
        pypackages(project, &mut environment);
        (candidate.strength, environment)
    });
    pythons.chosen = rest.next().map(|(_, environment)| environment);
    pythons.others = rest
        .filter(|(strength, _)| *strength > Strength::Machine || !any_environment)
        .map(|(_, environment)| environment)
        .collect();
}

fn same(a: &PythonEnvironment, b: &PythonEnvironment) -> bool {
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
    match (&a.virtualenv, &b.virtualenv) {
        (Some(a), Some(b)) => real(a) == real(b),
        (None, None) => real(&a.interpreter) == real(&b.interpreter),
        _ => false,
    }
}

/// Environments whose `bin` a command names (`/srv/venv/bin/gunicorn`), or whose interpreter the first line of its script names.
fn roots_in(raw: &Raw) -> Vec<PathBuf> {
    raw.words
        .iter()
        .take(8)
        .filter(|word| word.contains('/') && !word.contains("://"))
        .filter_map(|word| {
            let path = text::tidy(&raw.directory.join(word));
            let root = path
                .parent()
                .filter(|folder| folder.ends_with("bin"))
                .and_then(Path::parent)
                .map(Path::to_path_buf);
            root.filter(|root| is_environment(root)).or_else(|| shebang_root(&path))
        })
        .collect()
}

fn shebang_root(script: &Path) -> Option<PathBuf> {
    let content = script.is_file().then(|| text::read(script).ok()).flatten()?;
    let program = content.lines().next()?.strip_prefix("#!")?.split_whitespace().next()?;
    let root = Path::new(program).parent()?.parent()?;
    (!program.chars().any(char::is_control) && is_environment(root)).then(|| root.to_path_buf())
}

pub(super) type Add<'a> = &'a mut dyn FnMut(Strength, Place, Evidence) -> bool;

/// What the shell has active.
fn active(system: &System, project: &Path, owners: &[Owner], add: Add<'_>, notes: &mut Vec<String>) {
    if let Some(root) = system.var("VIRTUAL_ENV").map(PathBuf::from) {
        let runs_us = std::env::current_exe().is_ok_and(|program| program.starts_with(&root));
        let strength = if root.starts_with(project) {
            Strength::ActiveProject
        } else if runs_us {
            Strength::Elsewhere
        } else {
            Strength::Active
        };
        let shown = root.display().to_string();
        if !add(strength, Place::Root(root), evidence("VIRTUAL_ENV", &shown)) {
            notes.push(text::clean(&format!(
                "VIRTUAL_ENV names `{shown}`, which is no environment; run `deactivate`, or activate the right one"
            )));
        }
    }
    if let Some(root) = system.var("CONDA_PREFIX").map(PathBuf::from) {
        // `base` is active in every shell of a conda user.
        let base = system.var("CONDA_DEFAULT_ENV") == Some("base");
        let strength = if root.starts_with(project) {
            Strength::ActiveProject
        } else if base {
            Strength::Elsewhere
        } else {
            Strength::Conda
        };
        add(
            strength,
            Place::Root(root.clone()),
            evidence("CONDA_PREFIX", root.display().to_string()),
        );
    }
    // uv uses this folder in the place of `.venv` (its documentation, "Project environment path"), so it is the project's own.
    if let Some(path) = system.var("UV_PROJECT_ENVIRONMENT") {
        let folder = owners
            .iter()
            .find(|owner| owner.tool == PackageTool::UvProject)
            .map_or(project, |owner| &owner.folder);
        add(
            Strength::ActiveProject,
            Place::Root(folder.join(path)),
            evidence("UV_PROJECT_ENVIRONMENT", path),
        );
    }
}

/// What lies in the project, above it, beside its apps, or in a tool's own folder.
fn in_folders(system: &System, project: &Path, tree: &Tree, owners: &[Owner], apps: &[PathBuf], add: Add<'_>) {
    let found = marker;
    for (index, folder) in upwards(project).iter().enumerate() {
        let strength = if index == 0 { Strength::Project } else { Strength::Above };
        for root in [".venv", "venv", "env"]
            .iter()
            .map(|name| folder.join(name))
            .filter(|root| is_one(root))
        {
            add(strength, Place::Root(root.clone()), found(&root));
        }
    }
    for folder in upwards(project).iter().skip(1) {
        for root in environments_beside(folder) {
            add(Strength::Above, Place::Root(root.clone()), found(&root));
        }
    }
    for owner in owners {
        for root in kept(system, owner) {
            let because = evidence(
                root.display().to_string(),
                format!("where {} keeps this project's environment", owner.tool.as_str()),
            );
            add(Strength::Kept, Place::Root(root), because);
        }
    }
    if let Some(interpreter) = pdm_interpreter(project) {
        let because = evidence(".pdm-python", interpreter.display().to_string());
        add(Strength::Kept, Place::Interpreter(interpreter), because);
    }
    for root in &tree.environments {
        let strength = if root.parent() == Some(project) {
            Strength::Project
        } else {
            Strength::Below
        };
        add(strength, Place::Root(root.clone()), found(root));
    }
    for folder in apps.iter().filter(|folder| *folder != project) {
        for root in environments_beside(folder) {
            add(Strength::Below, Place::Root(root.clone()), found(&root));
        }
    }
    conda_by_name(system, project, add);
}

/// The file that makes a folder an environment.
fn marker(root: &Path) -> Evidence {
    let (file, what) = [("conda-meta", "a conda environment"), ("pyvenv.cfg", "a virtual environment")]
        .into_iter()
        .find(|(file, _)| root.join(file).exists())
        .unwrap_or(("bin/activate", "a virtual environment of an old virtualenv"));
    evidence(root.join(file).display().to_string(), what)
}

/// The environment that `environment.yml` names, out of conda's own list of environments.
fn conda_by_name(system: &System, project: &Path, add: Add<'_>) {
    for file in ["environment.yml", "environment.yaml"] {
        let Ok(content) = text::read(&project.join(file)) else { continue };
        let named = content
            .lines()
            .enumerate()
            .find_map(|(number, line)| Some((number + 1, line.strip_prefix("name:")?.trim())));
        let Some((line, name)) = named else { continue };
        let list = system
            .home
            .as_ref()
            .and_then(|home| text::read(&home.join(".conda/environments.txt")).ok());
        for root in list.unwrap_or_default().lines().map(|line| PathBuf::from(line.trim())) {
            if root.file_name().is_some_and(|last| last == name) {
                add(
                    Strength::Kept,
                    Place::Root(root),
                    evidence(format!("{file}:{line}"), format!("name: {name}")),
                );
            }
        }
    }
}

/// PDM without virtual environments (PEP 582): the packages lie in the project, the interpreter is the machine's.
fn pypackages(project: &Path, environment: &mut PythonEnvironment) {
    if environment.virtualenv.is_some() {
        return;
    }
    let Some((major, minor)) = super::environment::minor(&environment.version) else {
        return;
    };
    let folder = project.join(format!("__pypackages__/{major}.{minor}/lib"));
    if folder.is_dir() {
        environment
            .because
            .push(evidence(folder.display().to_string(), "the packages lie in the project"));
        environment.site_packages = vec![folder];
        environment.kind = EnvironmentKind::Pdm;
        environment.package_manager = PackageTool::Pdm;
        environment.externally_managed = false;
    }
}
