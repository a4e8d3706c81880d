//! All Python environments that the app could mean, the best first. Two candidates are two candidates: never a silent guess.

use super::environment::{at_root, of_interpreter};
use super::owners::{Owner, assign, kept, owners, pdm_interpreter, upwards};
use super::sources::Raw;
use super::text::{self, evidence};
use super::walk::{Tree, environments_beside, is_environment};
use crate::domain::PackageTool;
use crate::domain::detection::{EnvironmentKind, Evidence, PythonEnvironment};
use crate::system::System;
use std::path::{Path, PathBuf};

/// How much a sign says about which environment the app runs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Strength {
    /// The machine's Python: the app may use it, because nothing else is there.
    Machine,
    /// An environment active in the shell that is not the project's (conda's base, the one that runs this program).
    Elsewhere,
    /// Below or above the project.
    Near,
    /// In the project, or kept for it by its tool.
    Project,
    /// Active in the shell.
    Active,
    /// A start command names it.
    Command,
    /// A running process of the app uses it.
    Running,
    /// The person said so.
    Told,
}

/// What an environment is found by.
enum Place {
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
        let path = if path.is_absolute() {
            path.to_path_buf()
        } else {
            project.join(path)
        };
        let path = text::tidy(&path);
        let shown = evidence("--python", path.display().to_string());
        let place = if path.is_dir() {
            Place::Root(path.clone())
        } else {
            Place::Interpreter(path.clone())
        };
        let inside_bin = path.is_dir() && path.join("bin/python3").exists() && !is_environment(&path);
        let place = if inside_bin {
            Place::Interpreter(path.join("bin/python3"))
        } else {
            place
        };
        if !add(Strength::Told, place, shown) {
            pythons.notes.push(text::clean(&format!(
                "`--python {}` is neither an interpreter nor an environment; give its `bin/python` or its folder",
                path.display()
            )));
        }
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
    active(system, project, &owners, &mut add);
    in_folders(system, project, tree, &owners, apps, &mut add);
    machine(system, project, &mut add);
    rank(system, project, &owners, candidates, &mut pythons);
    pythons
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

type Add<'a> = &'a mut dyn FnMut(Strength, Place, Evidence) -> bool;

/// What the shell has active.
fn active(system: &System, project: &Path, owners: &[Owner], add: Add<'_>) {
    if let Some(root) = system.var("VIRTUAL_ENV").map(PathBuf::from) {
        let runs_us = std::env::current_exe().is_ok_and(|program| program.starts_with(&root)) && !root.starts_with(project);
        let strength = if runs_us { Strength::Elsewhere } else { Strength::Active };
        add(
            strength,
            Place::Root(root.clone()),
            evidence("VIRTUAL_ENV", root.display().to_string()),
        );
    }
    if let Some(root) = system.var("CONDA_PREFIX").map(PathBuf::from) {
        // `base` is active in every shell of a conda user.
        let base = system.var("CONDA_DEFAULT_ENV") == Some("base");
        let strength = if base { Strength::Elsewhere } else { Strength::Active };
        add(
            strength,
            Place::Root(root.clone()),
            evidence("CONDA_PREFIX", root.display().to_string()),
        );
    }
    if let Some(path) = system.var("UV_PROJECT_ENVIRONMENT") {
        let folder = owners
            .iter()
            .find(|owner| owner.tool == PackageTool::UvProject)
            .map_or(project, |owner| &owner.folder);
        add(
            Strength::Active,
            Place::Root(folder.join(path)),
            evidence("UV_PROJECT_ENVIRONMENT", path),
        );
    }
}

/// What lies in the project, above it, beside its apps, or in a tool's own folder.
fn in_folders(system: &System, project: &Path, tree: &Tree, owners: &[Owner], apps: &[PathBuf], add: Add<'_>) {
    let found = |root: &Path| evidence(root.join("pyvenv.cfg").display().to_string(), "a virtual environment");
    for (index, folder) in upwards(project).iter().enumerate() {
        let strength = if index == 0 { Strength::Project } else { Strength::Near };
        for root in [".venv", "venv", "env"]
            .iter()
            .map(|name| folder.join(name))
            .filter(|root| is_environment(root))
        {
            add(strength, Place::Root(root.clone()), found(&root));
        }
    }
    for owner in owners {
        for root in kept(system, owner) {
            let because = evidence(
                root.display().to_string(),
                format!("where {} keeps this project's environment", owner.tool.as_str()),
            );
            add(Strength::Project, Place::Root(root), because);
        }
    }
    if let Some(interpreter) = pdm_interpreter(project) {
        let because = evidence(".pdm-python", interpreter.display().to_string());
        add(Strength::Active, Place::Interpreter(interpreter), because);
    }
    for root in &tree.environments {
        let strength = if root.parent() == Some(project) {
            Strength::Project
        } else {
            Strength::Near
        };
        add(strength, Place::Root(root.clone()), found(root));
    }
    for folder in apps.iter().filter(|folder| *folder != project) {
        for root in environments_beside(folder) {
            add(Strength::Near, Place::Root(root.clone()), found(&root));
        }
    }
    conda_by_name(system, project, add);
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
                    Strength::Project,
                    Place::Root(root),
                    evidence(format!("{file}:{line}"), format!("name: {name}")),
                );
            }
        }
    }
}

/// pyenv's choice and `python3` on PATH.
fn machine(system: &System, project: &Path, add: Add<'_>) {
    let pyenv = system
        .var("PYENV_ROOT")
        .map(PathBuf::from)
        .or_else(|| system.home.as_ref().map(|home| home.join(".pyenv")));
    let mut wanted: Vec<(String, String)> = system
        .var("PYENV_VERSION")
        .map(|version| ("PYENV_VERSION".to_owned(), version.to_owned()))
        .into_iter()
        .collect();
    let files = upwards(project).into_iter().map(|folder| folder.join(".python-version"));
    let global = pyenv.iter().map(|root| root.join("version"));
    for file in files.chain(global) {
        if let Ok(content) = text::read(&file) {
            let first = content.lines().find(|line| !line.trim().is_empty() && !line.starts_with('#'));
            wanted.extend(first.map(|version| (file.display().to_string(), version.trim().to_owned())));
        }
    }
    if let Some(pyenv) = &pyenv {
        for (source, version) in &wanted {
            if version.contains('/') && version.starts_with('/') || version.contains("..") {
                continue;
            }
            let root = pyenv.join("versions").join(version);
            // A pyenv-virtualenv of that name is an environment of its own; a plain version is a machine's Python.
            let chosen = is_environment(&root) && add(Strength::Project, Place::Root(root.clone()), evidence(source, version));
            if !chosen && root.join("bin/python3").exists() {
                add(
                    Strength::Machine,
                    Place::Interpreter(root.join("bin/python3")),
                    evidence(source, version),
                );
            }
        }
    }
    let shims = pyenv.map(|root| root.join("shims"));
    for name in ["python3", "python"] {
        if let Some(program) = system.which(name) {
            // A pyenv shim is a script that starts the version chosen above.
            if shims.as_ref().is_some_and(|shims| program.starts_with(shims)) && wanted.iter().any(|(_, version)| !version.is_empty()) {
                continue;
            }
            let root = program.parent().and_then(Path::parent).filter(|root| is_environment(root));
            let strength = if root.is_some() { Strength::Elsewhere } else { Strength::Machine };
            add(
                strength,
                Place::Interpreter(program.clone()),
                evidence("PATH", program.display().to_string()),
            );
            break;
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
