//! Pythons of the machine: what pyenv would start here, and the first on PATH. No rival to any environment.

use super::owners::upwards;
use super::python::{Add, Place, Strength};
use super::text::{self, evidence};
use super::walk::is_environment;
use crate::system::System;
use std::fs;
use std::path::{Path, PathBuf};

/// pyenv's choice and `python3` on PATH.
pub(super) fn machine(system: &System, project: &Path, add: Add<'_>) {
    let pyenv = system
        .var("PYENV_ROOT")
        .map(PathBuf::from)
        .or_else(|| system.home.as_ref().map(|home| home.join(".pyenv")));
    if let Some(pyenv) = &pyenv {
        chosen_by_pyenv(system, project, pyenv, add);
    }
    let shims = pyenv.map(|root| root.join("shims"));
    let Some(program) = on_path(system, shims.as_deref()) else { return };
    let inside = program.parent().and_then(Path::parent).is_some_and(is_environment);
    let strength = if inside { Strength::Elsewhere } else { Strength::Machine };
    let because = evidence("PATH", program.display().to_string());
    add(strength, Place::Interpreter(program), because);
}

/// The version that pyenv would start: its variable, the nearest `.python-version`, its global file; the first that it has.
fn chosen_by_pyenv(system: &System, project: &Path, pyenv: &Path, add: Add<'_>) {
    let variable = system
        .var("PYENV_VERSION")
        .map(|value| ("PYENV_VERSION".to_owned(), value.to_owned()));
    let files = upwards(project)
        .into_iter()
        .map(|folder| folder.join(".python-version"))
        .chain([pyenv.join("version")]);
    let written = files.filter_map(|file| {
        let content = text::read(&file).ok()?;
        let line = content
            .lines()
            .map(str::trim)
            .find(|line| !line.is_empty() && !line.starts_with('#'))?;
        Some((file.display().to_string(), line.to_owned()))
    });
    for (source, wanted) in variable.into_iter().chain(written) {
        // Several versions may be named; the first one is `python`.
        let wanted = wanted.split([':', ' ']).next().unwrap_or_default();
        if wanted == "system" {
            return;
        }
        let Some(root) = installed(pyenv, wanted) else { continue };
        let because = evidence(&source, wanted);
        // A pyenv-virtualenv of that name is an environment of its own; a plain version is a machine's Python.
        if is_environment(&root) && add(Strength::Kept, Place::Root(root.clone()), because.clone()) {
            return;
        }
        if add(Strength::Machine, Place::Interpreter(root.join("bin/python3")), because) {
            return;
        }
    }
}

/// The folder of a pyenv version; `3.12` means the newest 3.12.
fn installed(pyenv: &Path, wanted: &str) -> Option<PathBuf> {
    if wanted.is_empty() || wanted.starts_with('/') || wanted.contains("..") {
        return None;
    }
    let versions = pyenv.join("versions");
    let wanted = wanted.strip_prefix("python-").unwrap_or(wanted);
    let exact = versions.join(wanted);
    if exact.is_dir() {
        return Some(exact);
    }
    let numbers = |name: &str| -> Option<Vec<u32>> { name.split('.').map(|part| part.parse().ok()).collect() };
    let start = numbers(wanted)?;
    fs::read_dir(&versions)
        .ok()?
        .flatten()
        .filter_map(|entry| Some((numbers(entry.file_name().to_str()?)?, entry.path())))
        .filter(|(version, _)| version.starts_with(&start))
        .max()
        .map(|(_, path)| path)
}

/// The first `python3` or `python` on PATH that is not a pyenv shim: a shim starts another one, which is found as pyenv finds it.
fn on_path(system: &System, shims: Option<&Path>) -> Option<PathBuf> {
    let path = system.var("PATH")?;
    let folders: Vec<PathBuf> = std::env::split_paths(path)
        .filter(|folder| folder.is_absolute() && Some(folder.as_path()) != shims)
        .collect();
    let path = std::env::join_paths(folders).ok()?;
    ["python3", "python"]
        .iter()
        .find_map(|name| which::which_in(name, Some(&path), Path::new("/")).ok())
}
