//! THE table of package tools: how each installs, which project files it edits, where its program is.
//!
//! May never pass `--break-system-packages`, and never a shell string.

use super::installed::{self, normalise};
use crate::domain::PackageTool;
use crate::domain::detection::PythonEnvironment;
use crate::error::{Error, Result};
use crate::system::{Finished, Invocation, System};
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// One tool. Words in braces are replaced: `{program}`, `{python}`; a lone `{packages}` by as many words as there are packages.
#[derive(Debug)]
pub struct Row {
    /// The tool.
    pub tool: PackageTool,
    /// Installs.
    pub install: &'static [&'static str],
    /// Added to `install` without a network.
    pub offline: &'static [&'static str],
    /// Project files that `install` edits or creates.
    pub edits: &'static [&'static str],
    /// Variables that keep it quiet, unattended and on the right environment.
    pub variables: &'static [(&'static str, &'static str)],
}

const PIP: &[&str] = &[
    "{program}",
    "-m",
    "pip",
    "install",
    "--no-deps",
    "--no-input",
    "--disable-pip-version-check",
    "--no-color",
    "--progress-bar=off",
    "{packages}",
];

/// The rows, in the order of [`PackageTool`].
pub const TABLE: [Row; 7] = [
    Row {
        tool: PackageTool::Pip,
        install: PIP,
        offline: &["--no-index"],
        edits: &[],
        variables: &[],
    },
    Row {
        tool: PackageTool::Uv,
        install: &[
            "{program}",
            "pip",
            "install",
            "--python={python}",
            "--no-deps",
            "--no-progress",
            "--color=never",
            "{packages}",
        ],
        offline: &["--offline"],
        edits: &[],
        variables: &[],
    },
    Row {
        tool: PackageTool::UvProject,
        // Main dependencies: `uv sync` removes what the lock file does not name.
        install: &["{program}", "add", "--no-progress", "--color=never", "{packages}"],
        offline: &["--offline"],
        edits: &["pyproject.toml", "uv.lock"],
        variables: &[("UV_PROJECT_ENVIRONMENT", "{environment}"), ("UV_PYTHON_DOWNLOADS", "never")],
    },
    Row {
        tool: PackageTool::Poetry,
        install: &["{program}", "add", "--no-interaction", "--no-ansi", "{packages}"],
        offline: &[],
        edits: &["pyproject.toml", "poetry.lock"],
        variables: &[("VIRTUAL_ENV", "{environment}")],
    },
    Row {
        tool: PackageTool::Pdm,
        install: &["{program}", "add", "{packages}"],
        offline: &[],
        // The last one is a note of its HTTP cache, which some releases of pdm leave in the current folder.
        edits: &["pyproject.toml", "pdm.lock", ".pdm-python", ".cache/hishel/.gitignore"],
        variables: &[
            ("VIRTUAL_ENV", "{environment}"),
            ("PDM_NON_INTERACTIVE", "1"),
            ("PDM_CHECK_UPDATE", "0"),
            ("NO_COLOR", "1"),
        ],
    },
    Row {
        tool: PackageTool::Pipenv,
        install: &["{program}", "install", "{packages}"],
        offline: &[],
        edits: &["Pipfile", "Pipfile.lock"],
        variables: &[
            ("VIRTUAL_ENV", "{environment}"),
            ("PIPENV_VERBOSITY", "-1"),
            ("PIPENV_NOSPIN", "1"),
            ("PIPENV_YES", "1"),
            ("NO_COLOR", "1"),
        ],
    },
    Row {
        tool: PackageTool::Conda,
        install: PIP,
        offline: &["--no-index"],
        edits: &[],
        variables: &[],
    },
];

/// The row of a tool.
#[must_use]
pub fn row(tool: PackageTool) -> &'static Row {
    let [pip, ..] = &TABLE;
    TABLE.iter().find(|row| row.tool == tool).unwrap_or(pip)
}

/// The tool that is really used: an environment without pip is served by uv, when `program` is uv.
#[must_use]
pub fn effective(tool: PackageTool, program: &Path) -> PackageTool {
    let is_uv = program.file_name().is_some_and(|name| name == "uv");
    match tool {
        PackageTool::Pip | PackageTool::Conda if is_uv => PackageTool::Uv,
        other => other,
    }
}

/// The install command of a tool for these packages.
#[must_use]
pub fn install_argv(tool: PackageTool, program: &Path, python: &Path, offline: bool, packages: &[String]) -> Vec<String> {
    let row = row(effective(tool, program));
    let mut argv = Vec::new();
    for word in row.install {
        if *word == "{packages}" {
            if offline {
                argv.extend(row.offline.iter().map(|word| (*word).to_owned()));
            }
            argv.extend_from_slice(packages);
        } else {
            argv.push(
                word.replace("{program}", &program.to_string_lossy())
                    .replace("{python}", &python.to_string_lossy()),
            );
        }
    }
    argv
}

/// Where the environment of an interpreter is: `<environment>/bin/python`.
#[must_use]
pub fn environment_of(python: &Path) -> PathBuf {
    python.ancestors().nth(2).unwrap_or(Path::new("/")).to_path_buf()
}

/// The program of the environment's own tool: the interpreter for pip, else the tool on `PATH`, in the environment or in `~/.local/bin`.
/// For an environment without pip it is uv, when there is one.
///
/// # Errors
/// Refused (exit 3) when the Python is the operating system's own, broken, or no tool can be found; with both ways out.
pub fn program(system: &System, python: &PythonEnvironment) -> Result<PathBuf> {
    usable(python)?;
    let uv = || find(system, python, "uv");
    match python.package_manager {
        PackageTool::Pip | PackageTool::Conda if has_pip(python) => Ok(python.interpreter.clone()),
        PackageTool::Pip | PackageTool::Conda | PackageTool::Uv => {
            if let Some(uv) = uv() {
                return Ok(uv);
            }
            if has_pip(python) {
                return Err(
                    Error::refused(format!("`{}` was made with uv, and there is no `uv` on PATH", environment(python)))
                        .remedy("install uv: `pip install uv`"),
                );
            }
            Err(
                Error::refused(format!("`{}` has no pip, and there is no `uv` on PATH", environment(python)))
                    .remedy(format!("give it pip: `{} -m ensurepip`", python.interpreter.display()))
                    .remedy("or install uv: `pip install uv`"),
            )
        }
        tool => find(system, python, tool.as_str()).ok_or_else(|| {
            Error::refused(format!(
                "the project is managed by {0}, and there is no `{0}` on PATH",
                tool.as_str()
            ))
            .remedy(format!("put it on PATH, or install it: `pip install {}`", tool.as_str()))
        }),
    }
}

/// Refuses an environment that must not, or cannot, be installed into.
///
/// # Errors
/// Refused (exit 3).
pub(crate) fn usable(python: &PythonEnvironment) -> Result<()> {
    if let Some(broken) = &python.broken {
        return Err(
            Error::refused(format!("the Python environment `{}` cannot be used", environment(python)))
                .because(broken.clone())
                .remedy("make it anew (`python3 -m venv --clear .venv`) and install the app into it, or choose another with `--python`"),
        );
    }
    let own = || {
        [
            "make an environment for the app: `python3 -m venv .venv && .venv/bin/python -m pip install -r requirements.txt`",
            "then run again with `--python .venv`",
        ]
    };
    if python.externally_managed {
        let error = Error::refused(format!(
            "`{}` belongs to the operating system, which forbids installing into it (PEP 668)",
            python.interpreter.display()
        ));
        return Err(own().into_iter().fold(error, Error::remedy));
    }
    let writable = |folder: &PathBuf| rustix::fs::access(folder.as_path(), rustix::fs::Access::WRITE_OK).is_ok();
    if !python.site_packages.is_empty() && !python.site_packages.iter().any(writable) {
        let folder = python.site_packages.first().map(PathBuf::as_path).unwrap_or(Path::new(""));
        let error = Error::refused(format!("cannot write into `{}`", folder.display()))
            .because("it belongs to another user, or is on a read-only file system");
        return Err(own().into_iter().fold(error, Error::remedy));
    }
    Ok(())
}

/// Whether pip is in the environment now.
pub(crate) fn has_pip(python: &PythonEnvironment) -> bool {
    if python.site_packages.is_empty() {
        return python.has_pip;
    }
    pip_in(&python.site_packages)
}

/// Whether pip is in these folders.
pub(crate) fn pip_in(site_packages: &[PathBuf]) -> bool {
    site_packages.iter().any(|folder| folder.join("pip/__main__.py").is_file())
}

fn environment(python: &PythonEnvironment) -> String {
    python.virtualenv.as_ref().unwrap_or(&python.interpreter).display().to_string()
}

fn find(system: &System, python: &PythonEnvironment, name: &str) -> Option<PathBuf> {
    locate(system, python.virtualenv.as_deref(), name)
}

/// A tool's program: on `PATH`, in the environment, or where its own installer puts it.
pub(crate) fn locate(system: &System, environment: Option<&Path>, name: &str) -> Option<PathBuf> {
    let is_program = |path: &PathBuf| path.is_file() && rustix::fs::access(path.as_path(), rustix::fs::Access::EXEC_OK).is_ok();
    system.which(name).or_else(|| {
        environment
            .map(|folder| folder.join("bin").join(name))
            .into_iter()
            .chain(system.home.iter().map(|home| home.join(".local/bin").join(name)))
            .find(is_program)
    })
}

/// Runs a package tool, and leaves nothing of it behind: not its temporary files when it is ended half way, and not the empty
/// `.lock` that uv puts into an environment of another maker, also when it changes nothing.
pub(crate) fn run(system: &System, python: &Path, invocation: &Invocation, line: &mut dyn FnMut(&str)) -> io::Result<Finished> {
    let lock = environment_of(python).join(".lock");
    let was_there = lock.exists();
    // A folder of its own, gone afterwards: a killed pip cannot clear its own.
    let scratch = tempfile::Builder::new().prefix("signoz-setup-").tempdir().ok();
    let done = match &scratch {
        Some(folder) => system
            .commands
            .run(&invocation.clone().env("TMPDIR", folder.path().display().to_string()), line),
        None => system.commands.run(invocation, line),
    };
    if !was_there && fs::metadata(&lock).is_ok_and(|metadata| metadata.is_file() && metadata.len() == 0) {
        let _ = system.files.remove(&lock);
    }
    done
}

/// Names that the project's own file declares as dependencies of the app, so that the tool's next `sync` keeps them.
/// Empty for tools without such a file.
#[must_use]
pub fn declared(project: &Path, tool: PackageTool) -> BTreeSet<String> {
    let parse = |name: &str| -> Option<toml_edit::DocumentMut> { fs::read_to_string(project.join(name)).ok()?.parse().ok() };
    let mut names = BTreeSet::new();
    if !tool.edits_project() {
        return names;
    }
    if tool == PackageTool::Pipenv {
        if let Some(packages) = parse("Pipfile").as_ref().and_then(|file| file.get("packages")?.as_table_like()) {
            names.extend(packages.iter().map(|(name, _)| normalise(name)));
        }
        return names;
    }
    let Some(file) = parse("pyproject.toml") else { return names };
    if let Some(list) = file
        .get("project")
        .and_then(|project| project.get("dependencies"))
        .and_then(toml_edit::Item::as_array)
    {
        names.extend(list.iter().filter_map(toml_edit::Value::as_str).map(|text| {
            let end = text
                .find(|character: char| !(character.is_alphanumeric() || matches!(character, '-' | '_' | '.')))
                .unwrap_or(text.len());
            normalise(text.get(..end).unwrap_or(text))
        }));
    }
    if let Some(table) = file
        .get("tool")
        .and_then(|tool| tool.get("poetry"))
        .and_then(|poetry| poetry.get("dependencies"))
        .and_then(toml_edit::Item::as_table_like)
    {
        names.extend(table.iter().map(|(name, _)| normalise(name)));
    }
    names
}

/// Every distribution of an environment with its version.
#[must_use]
pub fn listing(site_packages: &[PathBuf]) -> std::collections::BTreeMap<String, String> {
    installed::read(site_packages)
        .into_iter()
        .map(|(name, distribution)| (name, distribution.version))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tool_has_its_row() {
        for tool in [
            PackageTool::Pip,
            PackageTool::Uv,
            PackageTool::UvProject,
            PackageTool::Poetry,
            PackageTool::Pdm,
            PackageTool::Pipenv,
            PackageTool::Conda,
        ] {
            assert_eq!(row(tool).tool, tool);
            assert_eq!(row(tool).edits.is_empty(), !tool.edits_project(), "{tool:?}");
            let argv = install_argv(tool, Path::new("/x/tool"), Path::new("/v/bin/python"), false, &["a==1".to_owned()]);
            assert!(
                argv.iter().all(|word| !word.contains('{') && !word.contains("break-system")),
                "{argv:?}"
            );
            assert_eq!(argv.last().unwrap(), "a==1");
        }
    }

    #[test]
    fn uv_serves_an_environment_without_pip() {
        let argv = install_argv(
            PackageTool::Pip,
            Path::new("/x/uv"),
            Path::new("/v/bin/python"),
            true,
            &["a==1".to_owned()],
        );
        assert_eq!(argv[..4], ["/x/uv", "pip", "install", "--python=/v/bin/python"]);
        assert!(argv.contains(&"--offline".to_owned()));
    }

    #[test]
    fn declared_names() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(
            folder.path().join("pyproject.toml"),
            "[project]\ndependencies = [\"Flask>=3\", \"open_telemetry.api==1\"]\n[tool.poetry.dependencies]\nsetuptools = \"<81\"\n",
        )
        .unwrap();
        let names = declared(folder.path(), PackageTool::Poetry);
        assert_eq!(
            names.iter().map(String::as_str).collect::<Vec<_>>(),
            ["flask", "open-telemetry-api", "setuptools"]
        );
        assert!(declared(folder.path(), PackageTool::Pip).is_empty());
    }
}
