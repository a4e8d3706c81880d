//! Installs what was resolved, and puts an environment back. Each is one call of the environment's own tool.
//!
//! May never believe an exit code: both read the environment again and compare.

use super::output::{clean, explain};
use super::{installed, tools};
use crate::domain::event::Observer;
use crate::domain::packages::Resolution;
use crate::domain::{Event, PackageTool};
use crate::error::{Error, Kind, Result};
use crate::system::{Finished, Invocation, System};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Distributions of an environment: normalised name → version.
pub type Listing = BTreeMap<String, String>;

/// How long an installer may take; a source build of grpcio takes twenty minutes.
const DEADLINE: Duration = Duration::from_secs(45 * 60);

/// An environment and the tool that owns it.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    /// The interpreter.
    pub python: &'a Path,
    /// Folders of the metadata.
    pub site_packages: &'a [PathBuf],
    /// The tool.
    pub tool: PackageTool,
    /// Its program; for pip the interpreter.
    pub program: &'a Path,
    /// The project folder.
    pub project: &'a Path,
    /// No network.
    pub offline: bool,
}

impl Target<'_> {
    /// The tool that is really used.
    #[must_use]
    pub fn effective(&self) -> PackageTool {
        tools::effective(self.tool, self.program)
    }

    /// The command that installs: the exact versions of the resolution, or the requirements for a tool that keeps a lock file.
    #[must_use]
    pub fn install_argv(&self, requirements: &[String], resolution: &Resolution) -> Vec<String> {
        let packages: Vec<String> = if self.tool.edits_project() {
            requirements.to_vec()
        } else {
            resolution.moves.iter().map(|step| format!("{}=={}", step.name, step.to)).collect()
        };
        tools::install_argv(self.tool, self.program, self.python, self.offline, &packages)
    }

    /// The project files that the tool edits. The lock file of a workspace is in a folder above its members.
    #[must_use]
    pub fn edited_files(&self) -> Vec<PathBuf> {
        let place = |name: &str| {
            let shared = self.project.ancestors().find(|folder| folder.join(name).is_file());
            let folder = shared.filter(|_| name.ends_with(".lock")).unwrap_or(self.project);
            folder.join(name)
        };
        tools::row(self.effective()).edits.iter().map(|name| place(name)).collect()
    }

    fn invocation(&self, argv: Vec<String>) -> Invocation {
        let environment = tools::environment_of(self.python);
        let mut invocation = Invocation::new(argv)
            .within(self.project)
            .without("PYTHONPATH")
            .without("PIP_USER")
            .deadline(DEADLINE);
        for (name, value) in tools::row(self.effective()).variables {
            invocation = invocation.env(*name, value.replace("{environment}", &environment.to_string_lossy()));
        }
        invocation
    }
}

/// Installs and reads the environment again.
///
/// # Errors
/// Exit 4 with the tool's reason, or naming what is missing although the tool said it had succeeded; interrupted when a signal came.
pub fn run(
    system: &System,
    target: &Target<'_>,
    requirements: &[String],
    resolution: &Resolution,
    observer: Observer<'_>,
) -> Result<Listing> {
    let argv = target.install_argv(requirements, resolution);
    let name = target.effective().as_str();
    let ordinary = target.invocation(argv);
    let links = link_page(target, resolution);
    let invocation = match &links {
        Some(page) => ordinary
            .clone()
            .env("PIP_NO_INDEX", "1")
            .env("PIP_FIND_LINKS", page.path().to_string_lossy()),
        None => ordinary.clone(),
    };
    let mut finished = call(system, target.python, invocation, observer)?;
    // pip could not fetch a wheel by its address (an index that wants a password): the ordinary way then, by its own settings.
    let refused = ["No matching distribution", "HTTP error", "Could not install requirement"];
    if links.is_some() && finished.code == Some(1) && refused.iter().any(|words| finished.stderr.contains(words)) {
        finished = call(system, target.python, ordinary, observer)?;
    }
    if !finished.success() {
        return Err(explain(
            Error::step_failed(format!("`{name}` could not install the packages")),
            name,
            target.offline,
            &finished,
        ));
    }
    let after = tools::listing(target.site_packages);
    let missing = if target.tool.edits_project() {
        unmet(requirements, &after)
    } else {
        resolution
            .moves
            .iter()
            .filter(|step| after.get(&step.name) != Some(&step.to))
            .map(|step| format!("{}=={}", step.name, step.to))
            .collect()
    };
    if missing.is_empty() {
        return Ok(after);
    }
    Err(Error::step_failed(format!(
        "`{name}` said that it had succeeded, but these are not installed: {}",
        missing.join(", ")
    ))
    .because(format!("the environment of `{}` was read again", target.python.display()))
    .remedy("check with `--python` that this is the app's environment"))
}

/// A page with the addresses of the wheels that were resolved. Reading it takes pip a fraction of the time that the index pages of
/// thirty packages take, which it has read for the dry run already.
fn link_page(target: &Target<'_>, resolution: &Resolution) -> Option<tempfile::NamedTempFile> {
    let pip = matches!(target.effective(), PackageTool::Pip | PackageTool::Conda);
    if !pip || target.offline || resolution.wheels.len() < resolution.moves.len() {
        return None;
    }
    let mut page = tempfile::Builder::new().prefix("wheels-").suffix(".html").tempfile().ok()?;
    writeln!(page, "<!DOCTYPE html>\n<html><body>").ok()?;
    for wheel in &resolution.wheels {
        writeln!(page, "<a href=\"{wheel}\">{}</a>", wheel.rsplit('/').next().unwrap_or_default()).ok()?;
    }
    writeln!(page, "</body></html>").ok()?;
    page.flush().ok()?;
    Some(page)
}

/// Requirements whose distribution is absent or of another version. Markers are the resolver's matter: one with a marker is not judged.
fn unmet(requirements: &[String], after: &Listing) -> Vec<String> {
    requirements
        .iter()
        .filter(|text| !text.contains(';'))
        .filter(|text| {
            use pep508_rs::pep440_rs::Version;
            use pep508_rs::{Requirement, VerbatimUrl, VersionOrUrl};
            let Ok(parsed) = text.parse::<Requirement<VerbatimUrl>>() else {
                return false;
            };
            let version = after
                .get(&installed::normalise(parsed.name.as_ref()))
                .map(|text| text.parse::<Version>());
            match (version, parsed.version_or_url) {
                (None, _) => true,
                (Some(Ok(version)), Some(VersionOrUrl::VersionSpecifier(specifiers))) => !specifiers.contains(&version),
                _ => false,
            }
        })
        .cloned()
        .collect()
}

/// Brings an environment back: removes `came`, and installs `moved` in exactly these versions, without dependencies.
///
/// Runs to its end although the run was cancelled.
///
/// # Errors
/// Failed (exit 1) with the tool's reason and the command to run by hand.
pub fn restore(system: &System, target: &Target<'_>, came: &[String], moved: &Listing, observer: Observer<'_>) -> Result<()> {
    let installer = Installer::choose(system, target)?;
    if !moved.is_empty() {
        let packages: Vec<String> = moved.iter().map(|(name, version)| format!("{name}=={version}")).collect();
        installer.call(system, target, installer.install(target, &packages), observer)?;
    }
    if !came.is_empty() {
        let folders = folders_of(target.site_packages, came);
        installer.call(system, target, installer.uninstall(target, came), observer)?;
        // pip leaves a folder that held nothing but folders.
        for folder in folders.iter().rev() {
            let _ = system.files.remove_folder(folder);
        }
    }
    Ok(())
}

/// Every folder that the records of these distributions name, and those between it and the metadata folder; outermost first.
fn folders_of(site_packages: &[PathBuf], names: &[String]) -> BTreeSet<PathBuf> {
    let mut folders = BTreeSet::new();
    for distribution in installed::read(site_packages)
        .into_values()
        .filter(|distribution| names.contains(&distribution.name))
    {
        let Some(site) = distribution.location.parent() else { continue };
        let record = fs::read_to_string(distribution.location.join("RECORD")).unwrap_or_default();
        for path in record
            .lines()
            .filter_map(|line| line.split(',').next())
            .filter(|path| !path.starts_with(['.', '/', '"']))
        {
            let parents = Path::new(path).ancestors().skip(1).filter(|parent| !parent.as_os_str().is_empty());
            folders.extend(parents.map(|parent| site.join(parent)));
        }
    }
    folders
}

/// Makes what a killed installer left half done whole, so that it can be removed by its own record.
///
/// # Errors
/// Failed (exit 1) with the tool's reason.
pub fn complete(system: &System, target: &Target<'_>, packages: &Listing, observer: Observer<'_>) -> Result<()> {
    let installer = Installer::choose(system, target)?;
    let packages: Vec<String> = packages.iter().map(|(name, version)| format!("{name}=={version}")).collect();
    let mut argv = installer.install(target, &packages);
    if let Installer::Pip(_) = installer {
        // Without its record, pip cannot remove a distribution, and refuses to replace it.
        let at = argv.iter().position(|word| word == "install").map_or(argv.len(), |at| at + 1);
        argv.insert(at, "--ignore-installed".to_owned());
    } else {
        argv.push("--reinstall".to_owned());
    }
    installer.call(system, target, argv, observer)
}

/// Who puts an environment back: the tools that keep lock files only do so by their lock file.
enum Installer {
    Pip(PathBuf),
    Uv(PathBuf),
}

impl Installer {
    fn choose(system: &System, target: &Target<'_>) -> Result<Self> {
        let pip = tools::pip_in(target.site_packages);
        let tool = target.effective();
        let is_uv = matches!(tool, PackageTool::Uv | PackageTool::UvProject);
        if is_uv && target.program.is_file() {
            return Ok(Self::Uv(target.program.to_path_buf()));
        }
        if pip && matches!(tool, PackageTool::Pip | PackageTool::Conda) {
            return Ok(Self::Pip(target.python.to_path_buf()));
        }
        let environment = tools::environment_of(target.python);
        if let Some(uv) = tools::locate(system, Some(&environment), "uv") {
            return Ok(Self::Uv(uv));
        }
        if pip {
            return Ok(Self::Pip(target.python.to_path_buf()));
        }
        Err(Error::failed(format!(
            "the packages of `{}` cannot be put back: it has no pip, and there is no `uv` on PATH",
            environment.display()
        ))
        .remedy(format!("give it pip: `{} -m ensurepip`", target.python.display()))
        .remedy("or install uv: `pip install uv`"))
    }

    fn install(&self, target: &Target<'_>, packages: &[String]) -> Vec<String> {
        let (tool, program) = match self {
            Self::Pip(program) => (PackageTool::Pip, program),
            Self::Uv(program) => (PackageTool::Uv, program),
        };
        tools::install_argv(tool, program, target.python, target.offline, packages)
    }

    fn uninstall(&self, target: &Target<'_>, packages: &[String]) -> Vec<String> {
        let mut argv: Vec<String> = match self {
            Self::Pip(program) => [
                &program.to_string_lossy(),
                "-m",
                "pip",
                "uninstall",
                "--yes",
                "--disable-pip-version-check",
                "--no-color",
            ]
            .map(str::to_owned)
            .to_vec(),
            Self::Uv(program) => vec![
                program.to_string_lossy().into_owned(),
                "pip".to_owned(),
                "uninstall".to_owned(),
                format!("--python={}", target.python.display()),
                "--no-progress".to_owned(),
                "--color=never".to_owned(),
            ],
        };
        argv.extend_from_slice(packages);
        argv
    }

    fn call(&self, system: &System, target: &Target<'_>, argv: Vec<String>, observer: Observer<'_>) -> Result<()> {
        let by_hand = argv.join(" ");
        let invocation = target.invocation(argv).despite_cancel();
        let finished = call(system, target.python, invocation, observer)?;
        if finished.success() {
            return Ok(());
        }
        let name = match self {
            Self::Pip(_) => "pip",
            Self::Uv(_) => "uv",
        };
        let error = explain(
            Error::failed(format!("`{name}` could not put the packages back")),
            name,
            target.offline,
            &finished,
        );
        Err(error.remedy(format!("then run `--undo` again, or by hand: `{by_hand}`")))
    }
}

fn call(system: &System, python: &Path, invocation: Invocation, observer: Observer<'_>) -> Result<Finished> {
    let mut show = |line: &str| observer(Event::Line { text: clean(line) });
    tools::run(system, python, &invocation, &mut show).map_err(|error| match system.cancel.check() {
        Err(interrupted) if !invocation.despite_cancel => interrupted,
        _ => Error::io(
            Kind::StepFailed,
            "start",
            Path::new(invocation.argv.first().map_or("", String::as_str)),
            &error,
        ),
    })
}
