//! `--demo`: the whole job for a stranger with no account: sample app, environment, set-up, rehearsal; all in a
//! temporary folder that is gone afterwards.

use super::Context;
use super::pipeline::Pipeline;
use super::rehearse::Rehearsal;
use crate::domain::answers::Draft;
use crate::domain::report::Report;
use crate::domain::{Event, IngestionKey};
use crate::error::{Error, Kind, Result};
use crate::system::{Invocation, RealCommands, System};
use crate::tap::{Tap, TapOptions};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The sample app.
const FILES: [(&str, &str); 3] = [
    ("app.py", include_str!("../../assets/demo/app.py")),
    ("Procfile", include_str!("../../assets/demo/Procfile")),
    ("requirements.txt", include_str!("../../assets/demo/requirements.txt")),
];

/// Programs that may be a Python, best first, and the versions that the tests cover.
const PYTHONS: [&str; 8] = [
    "python3",
    "python3.12",
    "python3.13",
    "python3.11",
    "python3.10",
    "python3.9",
    "python3.8",
    "python",
];
const SUPPORTED: std::ops::RangeInclusive<u32> = 8..=13;

/// Runs the demo.
pub(super) fn run(context: &Context) -> Result<Report> {
    let folder = tempfile::Builder::new().prefix("signoz-setup-demo-").tempdir().map_err(|error| {
        Error::failed("cannot create a temporary folder")
            .because(error.to_string())
            .remedy("set TMPDIR to a folder with 200 MB free")
    })?;
    let project = std::fs::canonicalize(folder.path())
        .map_err(|error| Error::io(Kind::Failed, "open", folder.path(), &error))?
        .join("shop");
    // The demo's journal goes with the demo; the person's own variables stay out of it.
    let mut system = context.system.clone();
    system.state = folder.path().join("state");
    let theirs = |name: &str| name.starts_with("OTEL_") || name.starts_with("SIGNOZ_") || name == "VIRTUAL_ENV";
    let hidden: Vec<String> = system.env.keys().filter(|name| theirs(name)).cloned().collect();
    system.env.retain(|name, _| !theirs(name));
    system.commands = Arc::new(RealCommands::new(system.cancel.clone()).hiding(hidden));
    let observer = |event| context.progress.event(&event);

    let mut report = Report::new("demo");
    observer(Event::Stage {
        title: "making a sample app".to_owned(),
    });
    sample(&system, &project)?;
    let python = Environment {
        system: &system,
        project: &project,
        offline: context.cli.offline,
    }
    .make(&observer)?;

    let protocol = context.cli.protocol.unwrap_or_default();
    let key = IngestionKey::parse(&format!("demo-{:016x}", std::process::id())).map_err(|error| Error::failed(error.to_string()))?;
    let tap = Tap::start(
        &system.runtime,
        TapOptions {
            required_key: Some(key.clone()),
            ..TapOptions::default()
        },
    )?;
    let draft = Draft {
        endpoint: Some(tap.endpoint(protocol)),
        key: Some(key),
        service_name: "demo-shop".parse().ok(),
        deployment_environment: "demo".parse().ok(),
        python: Some(python.clone()),
        protocol: Some(protocol),
        instrumentation: context.cli.instrumentation,
        ..Draft::default()
    };
    let pipeline = Pipeline {
        system: &system,
        project: &project,
        offline: context.cli.offline,
        observer: &observer,
    };
    pipeline.run(draft, false, !context.cli.no_verify, &mut report)?;
    drop(tap);

    Rehearsal {
        system: &system,
        project: &project,
        python: Some(&python),
        command: None,
        protocol,
        observer: &observer,
    }
    .add_to(&mut report)?;
    report.next = vec!["in your own project: signoz-setup --yes --region REGION --ingestion-key-file FILE -- COMMAND".to_owned()];
    context.system.cancel.check()?;
    Ok(report)
}

fn sample(system: &System, project: &Path) -> Result<()> {
    system
        .files
        .create_folder(project, 0o755)
        .map_err(|error| Error::io(Kind::Failed, "create", project, &error))?;
    for (name, text) in FILES {
        let path = project.join(name);
        system
            .files
            .write(&path, text.as_bytes(), 0o644)
            .map_err(|error| Error::io(Kind::Failed, "write", &path, &error))?;
    }
    Ok(())
}

/// The sample app's virtual environment.
struct Environment<'a> {
    system: &'a System,
    project: &'a Path,
    offline: bool,
}

impl Environment<'_> {
    /// Makes it with uv where that is at hand, else with venv and pip, and installs the sample's requirements.
    fn make(&self, observer: &dyn Fn(Event)) -> Result<PathBuf> {
        let (base, version) = self.base()?;
        let venv = self.project.join(".venv");
        let interpreter = venv.join("bin/python");
        let base = base.display().to_string();
        let venv = venv.display().to_string();
        let python = interpreter.display().to_string();
        let requirements = self.project.join("requirements.txt").display().to_string();
        let uv = self.system.which("uv").map(|path| path.display().to_string());
        let (create, mut install) = match &uv {
            Some(uv) => (
                vec![uv.clone(), "venv".into(), "--quiet".into(), "--python".into(), base, venv],
                vec![
                    uv.clone(),
                    "pip".into(),
                    "install".into(),
                    "--python".into(),
                    python,
                    "-r".into(),
                    requirements,
                ],
            ),
            None => (
                vec![base, "-m".into(), "venv".into(), venv],
                vec![
                    python,
                    "-m".into(),
                    "pip".into(),
                    "install".into(),
                    "--disable-pip-version-check".into(),
                    "-r".into(),
                    requirements,
                ],
            ),
        };
        if self.offline {
            install.push(if uv.is_some() { "--offline" } else { "--no-index" }.to_owned());
        }
        observer(Event::Stage {
            title: format!("making a virtual environment (Python {version})"),
        });
        self.step(
            create,
            "the virtual environment could not be made",
            "install Python's venv module (Debian: `apt install python3-venv`), or uv",
            observer,
        )?;
        observer(Event::Stage {
            title: "installing the sample app's packages (flask, gunicorn)".to_owned(),
        });
        self.step(
            install,
            "the sample app's packages could not be installed",
            "check the network, or the package index (PIP_INDEX_URL, HTTPS_PROXY)",
            observer,
        )?;
        Ok(interpreter)
    }

    /// A Python of a version that the tests cover.
    fn base(&self) -> Result<(PathBuf, String)> {
        let mut refused = Vec::new();
        for name in PYTHONS {
            let Some(path) = self.system.which(name) else { continue };
            let asked = Invocation::new([
                path.display().to_string().as_str(),
                "-c",
                "import sys; print('%d.%d' % sys.version_info[:2]); print(sys.executable)",
            ])
            .deadline(std::time::Duration::from_secs(20));
            let Ok(finished) = self.system.commands.run(&asked, &mut |_| {}) else {
                continue;
            };
            let mut lines = finished.stdout.lines();
            let (Some(version), Some(executable)) = (lines.next(), lines.next()) else {
                continue;
            };
            let supported = version
                .strip_prefix("3.")
                .and_then(|minor| minor.parse().ok())
                .is_some_and(|minor: u32| SUPPORTED.contains(&minor));
            if supported {
                return Ok((PathBuf::from(executable), version.to_owned()));
            }
            refused.push(format!("{name} is {version}"));
        }
        let why = if refused.is_empty() {
            "none of python3, python3.8 … python3.13 is on PATH".to_owned()
        } else {
            refused.join(", ")
        };
        Err(Error::refused("no Python 3.8 to 3.13 was found")
            .because(why)
            .remedy("install Python (Debian: `apt install python3 python3-venv`)"))
    }

    fn step(&self, argv: Vec<String>, what: &str, remedy: &str, observer: &dyn Fn(Event)) -> Result<()> {
        let program = argv.first().cloned().unwrap_or_default();
        let finished = self.system.commands.run(&Invocation::new(argv).within(self.project), &mut |line| {
            observer(Event::Line { text: line.to_owned() })
        });
        self.system.cancel.check()?;
        let finished = finished.map_err(|error| Error::failed(what).because(format!("{program}: {error}")).remedy(remedy))?;
        if finished.success() {
            return Ok(());
        }
        let words = finished
            .stderr
            .lines()
            .chain(finished.stdout.lines())
            .rfind(|line| !line.trim().is_empty())
            .unwrap_or("no message")
            .to_owned();
        Err(Error::failed(what).because(words).remedy(remedy))
    }
}
