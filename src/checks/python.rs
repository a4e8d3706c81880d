//! Checks on the app's interpreter and environment.

use super::{Check, Failure, Family, ROW, Scene, Verdict, page};
use crate::detect::survey::read_text;
use crate::domain::detection::Evidence;
use std::path::{Path, PathBuf};

const PYTHON: Check = Check {
    family: Family::Python,
    doc: "https://opentelemetry.io/docs/zero-code/python/troubleshooting/",
    ..ROW
};

/// In their order.
pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "python.environment",
        title: "the app's Python environment is known and works",
        why: "packages land in another environment than the one that runs the app, or nowhere",
        remedy: "make an environment, `python3 -m venv .venv`, or name the app's with `--python PATH`",
        page: page!("python.environment"),
        run: environment,
        ..PYTHON
    },
    Check {
        id: "python.own-environment",
        title: "pip may install into the app's Python",
        why: "the distribution manages this Python (PEP 668), and pip refuses with `externally-managed-environment`",
        remedy: "make an environment for the app: `python3 -m venv .venv`",
        page: page!("python.own-environment"),
        needs: &["python.environment"],
        covers: &["A07"],
        run: own_environment,
        ..PYTHON
    },
    Check {
        id: "python.release-fits",
        title: "the installed OpenTelemetry release runs on this Python",
        why: "each release has a lowest Python that it can be imported on, and a newest that it was tested on",
        remedy: "install the release pair that belongs to the app's Python",
        page: page!("python.release-fits"),
        needs: &["python.environment"],
        covers: &["A16", "A17"],
        spared: super::packages::without_distro,
        run: release_fits,
        ..PYTHON
    },
    Check {
        id: "python.launcher",
        title: "opentelemetry-instrument starts the app's own Python",
        why: "its first line names an interpreter; when that is another one, or gone, the app is not traced or does not start",
        remedy: "install opentelemetry-distro anew with the app's own Python",
        page: page!("python.launcher"),
        needs: &["python.environment"],
        covers: &["A05", "A06"],
        spared: super::packages::without_distro,
        run: launcher,
        ..PYTHON
    },
];

fn environment(scene: &Scene<'_>) -> Verdict {
    let Some(python) = &scene.detection().python else {
        return Failure::new("no Python environment was found for the project")
            .because([Evidence::new(scene.project.display().to_string(), "no environment here or above")])
            .into();
    };
    match &python.broken {
        Some(why) => Failure::new(format!("`{}` cannot be used: {why}", python.interpreter.display()))
            .remedy(match &python.virtualenv {
                Some(root) => format!(
                    "make it anew: `python3 -m venv --clear {}`, and install the requirements",
                    root.display()
                ),
                None => "name another one with `--python PATH`".to_owned(),
            })
            .because([Evidence::new(python.interpreter.display().to_string(), why)])
            .because(python.because.iter().cloned())
            .into(),
        None => Verdict::Pass(format!("Python {}, {}", python.version, python.interpreter.display())),
    }
}

fn own_environment(scene: &Scene<'_>) -> Verdict {
    let Some(python) = scene.python() else {
        return Verdict::Unknown("the app's Python was not found".to_owned());
    };
    if !python.externally_managed {
        return Verdict::Pass("nothing forbids pip to install here".to_owned());
    }
    let program = python.interpreter.display();
    Failure::new(format!(
        "`{program}` is managed by its distribution: pip refuses to install into it"
    ))
    .remedy(format!(
        "make an environment for the app: `{program} -m venv {}`",
        scene.project.join(".venv").display()
    ))
    .because([Evidence::new(program.to_string(), "EXTERNALLY-MANAGED")])
    .into()
}

/// Releases from this one on need at least this Python (each tag's `requires-python`).
const FLOORS: &[(&str, u32, &str)] = &[
    (">=0.63b0.dev0", 10, "0.62b1"),
    (">=0.55b0.dev0", 9, "0.54b1"),
    (">=0.44b0.dev0", 8, "0.38b0"),
];

fn release_fits(scene: &Scene<'_>) -> Verdict {
    let (Some(python), Some(distro)) = (scene.python(), scene.dist("opentelemetry-distro")) else {
        return Verdict::Unknown("the app's Python was not found".to_owned());
    };
    let mut numbers = python.version.split('.').map(str::parse::<u32>);
    let (Some(Ok(3)), Some(Ok(minor))) = (numbers.next(), numbers.next()) else {
        return Verdict::Unknown(format!("`{}` is not a Python 3 version", python.version));
    };
    let release = crate::coverage::data::release(crate::domain::InstrumentationSet::Current, &python.version);
    let remedy = format!(
        "{} -m pip install 'opentelemetry-distro=={}' 'opentelemetry-exporter-otlp=={}'",
        python.interpreter.display(),
        release.distro,
        release.exporter
    );
    let floor = FLOORS.iter().find(|(range, ..)| scene.is("opentelemetry-distro", range));
    if let Some((_, floor, last)) = floor
        && minor < *floor
    {
        return Failure::new(format!(
            "opentelemetry-distro {} needs Python 3.{floor}; this is Python {}, and its last release is {last}",
            distro.version, python.version
        ))
        .remedy(remedy)
        .because(scene.dist_evidence("opentelemetry-distro"))
        .into();
    }
    if minor >= 14 && scene.is("opentelemetry-distro", "<0.61b0") {
        return Failure::new(format!(
            "opentelemetry-distro {} is older than Python 3.{minor}, which is supported from 0.61b0 on",
            distro.version
        ))
        .remedy(remedy)
        .because(scene.dist_evidence("opentelemetry-distro"))
        .mild()
        .into();
    }
    Verdict::Pass(format!("opentelemetry-distro {} on Python {}", distro.version, python.version))
}

fn launcher(scene: &Scene<'_>) -> Verdict {
    let Some((python, bin)) = scene.python().and_then(|python| Some((python, python.interpreter.parent()?))) else {
        return Verdict::Unknown("the app's Python was not found".to_owned());
    };
    let script = bin.join("opentelemetry-instrument");
    let Some(text) = script.is_file().then(|| read_text(&script)).flatten() else {
        return Verdict::Skip("there is no opentelemetry-instrument beside the app's Python".to_owned());
    };
    let Some(named) = interpreter_of(&text) else {
        return Verdict::Skip("its first line names no interpreter by its path".to_owned());
    };
    let seen = Evidence::new(format!("{}:1", script.display()), format!("starts {}", named.display()));
    let remedy = format!(
        "{} -m pip install --force-reinstall --no-deps 'opentelemetry-distro=={version}' 'opentelemetry-instrumentation=={version}'",
        python.interpreter.display(),
        version = scene.dist("opentelemetry-distro").map_or("", |distro| distro.version.as_str())
    );
    if !named.exists() {
        return Failure::new(format!(
            "opentelemetry-instrument wants `{}`, which does not exist",
            named.display()
        ))
        .remedy(remedy)
        .because([seen])
        .into();
    }
    let real = |folder: Option<&Path>| folder.and_then(|folder| folder.canonicalize().ok());
    if real(named.parent()) != real(Some(bin)) {
        return Failure::new(format!(
            "opentelemetry-instrument starts `{}`, but the app's Python is `{}`",
            named.display(),
            python.interpreter.display()
        ))
        .remedy(remedy)
        .because([seen])
        .into();
    }
    Verdict::Pass(format!("it starts {}", named.display()))
}

/// The interpreter of a console script: of its first line, or of the `exec` line that installers write for long paths.
fn interpreter_of(script: &str) -> Option<PathBuf> {
    let mut lines = script.lines();
    let first = lines.next()?.strip_prefix("#!")?.trim();
    let program = if first == "/bin/sh" {
        let rest = lines.next()?.trim().strip_prefix("'''exec'")?.trim_start();
        match rest.strip_prefix(['"', '\'']) {
            Some(quoted) => quoted.split(['"', '\'']).next()?,
            None => rest.split_whitespace().next()?,
        }
    } else {
        first.split_whitespace().next()?
    };
    let path = PathBuf::from(program);
    (path.is_absolute() && !path.ends_with("env")).then_some(path)
}
