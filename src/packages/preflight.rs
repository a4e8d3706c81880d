//! The dry resolve: what an install would move, and which of the app's packages that would break. Installs nothing.
//!
//! Resolvers end with exit code 0 although they break an installed package; so the answer is checked here against
//! the `Requires-Dist` of everything that would stay as it is.

use super::installed;
use super::markers::{Interpreter, Wanted};
use super::output::{clean, explain};
use super::tools;
use crate::domain::detection::PythonEnvironment;
use crate::domain::event::Observer;
use crate::domain::packages::{Conflict, Distribution, Move, Requirement, Resolution};
use crate::domain::{Event, PackageTool};
use crate::error::{Error, Kind, Result};
use crate::system::{Finished, Invocation, System};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// What is to be installed, and where.
#[derive(Debug, Clone, Copy)]
pub struct ResolveRequest<'a> {
    /// The environment.
    pub python: &'a PythonEnvironment,
    /// The project folder; the resolver runs there, so that the project's own index settings hold.
    pub project: &'a Path,
    /// The requirements, all of them in one call.
    pub requirements: &'a [Requirement],
    /// No network.
    pub offline: bool,
}

/// Resolves without installing. Starts nothing when everything is there already.
///
/// # Errors
/// Refused (exit 3) with the resolver's reason in one line when there is no solution or no index;
/// interrupted when a signal came.
pub fn resolve(system: &System, request: &ResolveRequest<'_>, observer: Observer<'_>) -> Result<Resolution> {
    let python = request.python;
    let interpreter = Interpreter::new(python).ok_or_else(|| {
        Error::refused(format!("`{}` is not a Python version", python.version.escape_debug()))
            .remedy("choose the app's interpreter with `--python`")
    })?;
    let installed = installed::read(&python.site_packages);
    let texts: Vec<&str> = request.requirements.iter().map(|requirement| requirement.text.as_str()).collect();
    if interpreter.satisfied(&installed, &texts) {
        return Ok(Resolution::default());
    }
    tools::usable(python)?;
    let resolver = Resolver::choose(system, python, &installed, observer)?;
    // From uv's cache first: with the network it looks at every index page again, which takes a second, and its cache
    // answers in milliseconds. Any versions that satisfy the requirements are right, and just these are then shown and
    // installed. A conflict is believed only with the network: a release that is not in the cache may be free of it.
    if matches!(resolver, Resolver::Uv(_)) && !request.offline {
        let cached = ResolveRequest { offline: true, ..*request };
        let said = Mutex::new(Vec::new());
        let keep = |event| said.lock().unwrap_or_else(PoisonError::into_inner).push(event);
        match resolver.run(system, &cached, &texts, &keep) {
            Ok(planned) => {
                let resolution = planned.judge(&interpreter, &installed);
                if resolution.conflicts.is_empty() {
                    said.into_inner()
                        .unwrap_or_else(PoisonError::into_inner)
                        .into_iter()
                        .for_each(observer);
                    return Ok(resolution);
                }
            }
            // What is not in the cache is looked up; what is wrong otherwise is said then.
            Err(_) => system.cancel.check()?,
        }
    }
    let mut resolution = resolver.run(system, request, &texts, observer)?.judge(&interpreter, &installed);
    if !resolution.conflicts.is_empty()
        && let Some(uv) = tools::locate(system, python.virtualenv.as_deref(), "uv")
    {
        ways_out(system, request, &uv, &texts, &mut resolution.conflicts);
    }
    Ok(resolution)
}

/// Requirements of packages that would stay, which hold today and would not hold afterwards.
fn conflicts(interpreter: &Interpreter, installed: &BTreeMap<String, Distribution>, moves: &[Move]) -> Vec<Conflict> {
    let planned: BTreeMap<&str, &Move> = moves.iter().map(|step| (step.name.as_str(), step)).collect();
    let broken = |wanted: &Wanted| {
        planned
            .get(wanted.name.as_str())
            .filter(|step| step.from.as_deref().is_some_and(|from| wanted.accepts(from)) && !wanted.accepts(&step.to))
            .copied()
    };
    installed
        .values()
        .filter(|distribution| !planned.contains_key(distribution.name.as_str()))
        .flat_map(|distribution| {
            distribution.requires.iter().filter_map(move |text| {
                let step = broken(&interpreter.wanted(text, &[])?)?;
                Some(Conflict {
                    package: distribution.name.clone(),
                    version: distribution.version.clone(),
                    requires: text.clone(),
                    would_get: format!("{} {}", step.name, step.to),
                    way_out: None,
                })
            })
        })
        .collect()
}

/// Asks uv for versions of the conflicting packages that fit beside the requirements; one call, no harm when it finds none.
fn ways_out(system: &System, request: &ResolveRequest<'_>, uv: &Path, requirements: &[&str], conflicts: &mut [Conflict]) {
    let mut names: Vec<&str> = conflicts.iter().map(|conflict| conflict.package.as_str()).collect();
    names.dedup();
    let words: Vec<&str> = requirements.iter().copied().chain(names).collect();
    let invocation = uv_invocation(uv, request, &words).deadline(Duration::from_secs(20));
    let python = &request.python.interpreter;
    let Ok(finished) = tools::run(system, python, &invocation, &mut |_| {}) else {
        return;
    };
    if !finished.success() {
        return;
    }
    let fitting = uv_moves(&finished);
    for conflict in conflicts {
        conflict.way_out = fitting
            .get(&conflict.package)
            .map(|version| format!("{} {version}", conflict.package));
    }
}

/// A resolver's answer.
#[derive(Debug, Default, PartialEq, Eq)]
struct Planned {
    /// Normalised name → version.
    versions: BTreeMap<String, String>,
    /// See [`Resolution::wheels`].
    wheels: Vec<String>,
}

impl Planned {
    /// What it would move in an environment, and what that would break.
    fn judge(self, interpreter: &Interpreter, installed: &BTreeMap<String, Distribution>) -> Resolution {
        let moves: Vec<Move> = self
            .versions
            .into_iter()
            .filter_map(|(name, to)| {
                let from = installed.get(&name).map(|distribution| distribution.version.clone());
                (from.as_deref() != Some(&to)).then_some(Move { name, from, to })
            })
            .collect();
        Resolution {
            conflicts: conflicts(interpreter, installed, &moves),
            moves,
            wheels: self.wheels,
        }
    }
}

/// Who resolves.
enum Resolver {
    /// `python -m pip install --dry-run --report -`, since pip 22.2.
    Pip(PathBuf),
    /// `uv pip install --dry-run`.
    Uv(PathBuf),
}

/// The first pip with `--dry-run --report` (pip changelog, 22.2).
const FIRST_PIP: (u32, u32) = (22, 2);

impl Resolver {
    fn choose(
        system: &System,
        python: &PythonEnvironment,
        installed: &BTreeMap<String, Distribution>,
        observer: Observer<'_>,
    ) -> Result<Self> {
        let uv = || tools::locate(system, python.virtualenv.as_deref(), "uv");
        let pip = installed.get("pip").map(|pip| pip.version.clone());
        let can = pip.as_deref().is_some_and(|version| {
            let mut numbers = version.split('.').map(|part| part.parse().unwrap_or(0));
            (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) >= FIRST_PIP
        });
        let wants_pip = matches!(python.package_manager, PackageTool::Pip | PackageTool::Conda);
        if wants_pip && can {
            return Ok(Self::Pip(python.interpreter.clone()));
        }
        if let Some(uv) = uv() {
            if wants_pip && let Some(version) = &pip {
                observer(Event::Warning {
                    text: format!("pip {version} has no dry run (it came with 22.2), so uv resolves instead"),
                });
            }
            return Ok(Self::Uv(uv));
        }
        if can {
            return Ok(Self::Pip(python.interpreter.clone()));
        }
        let interpreter = python.interpreter.display();
        Err(match pip {
            Some(version) => Error::refused(format!(
                "pip {version} cannot say beforehand what it would change; pip 22.2 or newer can"
            ))
            .remedy(format!("update it: `{interpreter} -m pip install --upgrade pip`"))
            .remedy("or install uv: `pip install uv`"),
            None => Error::refused(format!(
                "the environment of `{interpreter}` has no pip, and there is no `uv` on PATH"
            ))
            .remedy(format!("give it pip: `{interpreter} -m ensurepip`"))
            .remedy("or install uv: `pip install uv`"),
        })
    }

    fn run(&self, system: &System, request: &ResolveRequest<'_>, requirements: &[&str], observer: Observer<'_>) -> Result<Planned> {
        let (name, invocation) = match self {
            Self::Pip(python) => ("pip", pip_invocation(python, request, requirements)),
            Self::Uv(uv) => ("uv", uv_invocation(uv, request, requirements)),
        };
        // The report itself is for us, not for the person.
        let mut show = |line: &str| {
            if !matches!(line.as_bytes().first(), Some(b'{' | b'}' | b' ' | b'[' | b']')) {
                observer(Event::Line { text: clean(line) });
            }
        };
        let python = &request.python.interpreter;
        let finished = tools::run(system, python, &invocation, &mut show).map_err(|error| match system.cancel.check() {
            Err(interrupted) => interrupted,
            Ok(()) => Error::io(Kind::Refused, "start", Path::new(&invocation.argv[0]), &error),
        })?;
        if !finished.success() {
            let what = "the packages cannot be installed into this environment; nothing was changed";
            return Err(explain(Error::refused(what), name, request.offline, &finished));
        }
        match self {
            Self::Pip(_) => pip_moves(&finished).map_err(|error| {
                Error::refused("pip's report cannot be read; nothing was changed")
                    .because(error.to_string())
                    .remedy("install uv, which is used instead of an unusable pip: `pip install uv`")
            }),
            Self::Uv(_) => Ok(Planned {
                versions: uv_moves(&finished),
                wheels: Vec::new(),
            }),
        }
    }
}

/// `python -m pip` without the garbage collector: a resolve makes some hundred thousand objects that live to its end, and
/// walking them over and over is a tenth of its time.
const QUICK_PIP: &str =
    "import gc, runpy, sys; gc.disable(); sys.argv[0] = 'pip'; runpy.run_module('pip', run_name='__main__', alter_sys=True)";

fn pip_invocation(python: &Path, request: &ResolveRequest<'_>, requirements: &[&str]) -> Invocation {
    let python = python.to_string_lossy();
    let mut argv = vec![python.as_ref(), "-c", QUICK_PIP, "install", "--dry-run", "--report", "-", "--quiet"];
    argv.extend(["--no-input", "--disable-pip-version-check", "--no-color"]);
    if request.offline {
        argv.push("--no-index");
    }
    argv.extend(requirements);
    Invocation::new(argv).within(request.project).without("PYTHONPATH")
}

fn uv_invocation(uv: &Path, request: &ResolveRequest<'_>, requirements: &[&str]) -> Invocation {
    let python = format!("--python={}", request.python.interpreter.display());
    let uv = uv.to_string_lossy();
    let mut argv = vec![
        uv.as_ref(),
        "pip",
        "install",
        "--dry-run",
        "--no-progress",
        "--color=never",
        python.as_str(),
    ];
    if request.offline {
        argv.push("--offline");
    }
    argv.extend(requirements);
    Invocation::new(argv).within(request.project)
}

/// pip's installation report (pip documentation, version 1 of the format).
fn pip_moves(finished: &Finished) -> serde_json::Result<Planned> {
    #[derive(serde::Deserialize)]
    struct Report {
        install: Vec<Item>,
    }
    #[derive(serde::Deserialize)]
    struct Item {
        metadata: Metadata,
        #[serde(default)]
        download_info: Download,
    }
    #[derive(serde::Deserialize)]
    struct Metadata {
        name: String,
        version: String,
    }
    #[derive(serde::Deserialize, Default)]
    struct Download {
        #[serde(default)]
        url: String,
        #[serde(default)]
        archive_info: Archive,
    }
    #[derive(serde::Deserialize, Default)]
    struct Archive {
        #[serde(default)]
        hash: String,
    }
    let report: Report = serde_json::from_str(&finished.stdout)?;
    // Only wheels at plain addresses: elsewhere pip has to look at the index itself.
    let public = |item: &Item| {
        let Download { url, archive_info } = &item.download_info;
        let known = url.starts_with("https://") || url.starts_with("file:///");
        let plain = !url.contains(['"', '<', '>', '&', '#', '?', ' ', '@']) && archive_info.hash.starts_with("sha256=");
        (known && plain && url.ends_with(".whl")).then(|| format!("{url}#{}", archive_info.hash))
    };
    Ok(Planned {
        wheels: report.install.iter().map(public).collect::<Option<_>>().unwrap_or_default(),
        versions: report
            .install
            .into_iter()
            .map(|item| (installed::normalise(&item.metadata.name), item.metadata.version))
            .collect(),
    })
}

/// uv's change list: ` + name==version` for what comes (also over a ` - ` of the same name), ` ~ ` for what is made anew.
fn uv_moves(finished: &Finished) -> BTreeMap<String, String> {
    finished
        .stderr
        .lines()
        .chain(finished.stdout.lines())
        .filter_map(|line| {
            let (name, version) = line.trim_start().strip_prefix("+ ")?.split_once("==")?;
            let version = version.split_whitespace().next()?;
            Some((installed::normalise(name), version.to_owned()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::markers::tests::{environment, installed};
    use super::*;

    fn step(name: &str, from: Option<&str>, to: &str) -> Move {
        Move {
            name: name.to_owned(),
            from: from.map(str::to_owned),
            to: to.to_owned(),
        }
    }

    #[test]
    fn only_what_the_move_breaks_is_a_conflict() {
        let python = Interpreter::new(&environment("3.11.7")).unwrap();
        let there = installed(&[
            ("protobuf", "7.36.2", &[]),
            ("grpcio-status", "1.85.1", &["protobuf<8.0.0,>=6.33.5", "grpcio>=1.85.1"]),
            ("broken-already", "1", &["protobuf<7"]),
            ("other-python", "1", &["protobuf>=6; python_version < '3.9'"]),
            ("an-extra", "1", &["protobuf>=6; extra == 'x'"]),
            ("missing", "1", &["zipp>=99"]),
            ("moves-too", "1", &["protobuf>=6"]),
        ]);
        let moves = [
            step("protobuf", Some("7.36.2"), "4.25.9"),
            step("zipp", None, "4.1.2"),
            step("moves-too", Some("1"), "2"),
        ];
        let found = conflicts(&python, &there, &moves);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(
            (
                found[0].package.as_str(),
                found[0].version.as_str(),
                found[0].requires.as_str(),
                found[0].would_get.as_str()
            ),
            ("grpcio-status", "1.85.1", "protobuf<8.0.0,>=6.33.5", "protobuf 4.25.9")
        );
    }

    #[test]
    fn uvs_change_list() {
        let finished = Finished {
            code: Some(0),
            signal: None,
            stdout: String::new(),
            stderr: "Resolved 2 packages in 3ms\nWould install 2 packages\n - protobuf==5.29.5\n + protobuf==4.25.9\n + a_b==1.0 (from file:///x)\n ~ same==1\n".to_owned(),
            timed_out: false,
        };
        assert_eq!(
            uv_moves(&finished).into_iter().collect::<Vec<_>>(),
            [("a-b".to_owned(), "1.0".to_owned()), ("protobuf".to_owned(), "4.25.9".to_owned())]
        );
    }
}
