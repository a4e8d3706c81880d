//! A project in a temporary folder with a home and a machine of its own, and a detection as lines.

use signoz_setup::detect;
use signoz_setup::domain::Detection;
use signoz_setup::domain::detection::Evidence;
use signoz_setup::system::{Cancel, RealCommands, RealFiles, System};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use tempfile::TempDir;

/// A project, a home and a machine of its own, all in one temporary folder.
pub(crate) struct Scene {
    pub(crate) folder: TempDir,
    env: BTreeMap<String, String>,
    pub(crate) real_machine: bool,
}

impl Scene {
    pub(crate) fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("detect").tempdir().unwrap();
        for name in ["project", "home", "root/proc", "bin"] {
            fs::create_dir_all(folder.path().join(name)).unwrap();
        }
        let env = BTreeMap::from([("PATH".to_owned(), folder.path().join("bin").display().to_string())]);
        Self {
            folder,
            env,
            real_machine: false,
        }
    }

    pub(crate) fn with(files: &[(&str, &str)]) -> Self {
        let scene = Self::new();
        for (path, content) in files {
            write(&scene.project().join(path), content);
        }
        scene
    }

    pub(crate) fn set(mut self, name: &str, value: impl Into<String>) -> Self {
        self.env.insert(name.to_owned(), value.into());
        self
    }

    pub(crate) fn project(&self) -> PathBuf {
        self.folder.path().join("project")
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.folder.path().join("root")
    }

    pub(crate) fn detect(&self) -> Detection {
        self.detect_with(None)
    }

    pub(crate) fn detect_with(&self, python: Option<&Path>) -> Detection {
        static RUNTIME: OnceLock<tokio::runtime::Runtime> = OnceLock::new();
        let runtime = RUNTIME.get_or_init(|| tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap());
        let cancel = Cancel::default();
        let system = System {
            env: self.env.clone(),
            root: if self.real_machine { PathBuf::from("/") } else { self.root() },
            home: Some(self.home()),
            state: self.folder.path().join("state"),
            files: Arc::new(RealFiles),
            commands: Arc::new(RealCommands::new(cancel.clone())),
            runtime: runtime.handle().clone(),
            cancel,
        };
        let before = listing(&self.project());
        let detection = detect::run(&system, &self.project(), python, &|_| {});
        assert_eq!(before, listing(&self.project()), "detection changed the project");
        detection
    }

    /// A virtual environment as files: no Python is started for it.
    pub(crate) fn environment(&self, at: &Path, version: &str, extra: &str, packages: &[(&str, &str)]) {
        let minor: Vec<_> = version.split('.').take(2).collect();
        let site = at.join(format!("lib/python{}/site-packages", minor.join(".")));
        fs::create_dir_all(&site).unwrap();
        fs::create_dir_all(at.join("bin")).unwrap();
        write(&at.join("pyvenv.cfg"), &format!("home = /usr/bin\nversion = {version}\n{extra}"));
        program(&at.join("bin/python3"));
        symlink("python3", at.join("bin/python")).unwrap();
        for (name, version) in packages {
            write(
                &site.join(format!("{name}-{version}.dist-info/METADATA")),
                &format!("Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"),
            );
            if *name == "pip" {
                write(&site.join("pip/__init__.py"), "");
            }
        }
    }

    /// A process of the fake machine.
    pub(crate) fn process(&self, pid: u32, parent: u32, argv: &[&str], directory: &Path, variables: &[(&str, &str)]) {
        let folder = self.root().join(format!("proc/{pid}"));
        write(&folder.join("stat"), &format!("{pid} (a (b) c) S {parent} 1 1"));
        write(
            &folder.join("cmdline"),
            &argv.iter().map(|word| format!("{word}\0")).collect::<String>(),
        );
        let environ: String = variables.iter().map(|(name, value)| format!("{name}={value}\0")).collect();
        write(&folder.join("environ"), &environ);
        symlink(directory, folder.join("cwd")).unwrap();
    }
}

pub(crate) fn write(path: &Path, content: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

/// An executable that is no ELF file.
pub(crate) fn program(path: &Path) {
    write(path, "#!/bin/sh\n");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// Every path below a folder with its size, so that a write would show.
fn listing(folder: &Path) -> Vec<(PathBuf, u64)> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_path_buf()];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(&next).into_iter().flatten().flatten() {
            let metadata = fs::symlink_metadata(entry.path()).unwrap();
            if metadata.is_dir() {
                open.push(entry.path());
            }
            found.push((entry.path(), metadata.len()));
        }
    }
    found.sort();
    found
}

pub(crate) fn sources(because: &[Evidence]) -> String {
    because
        .iter()
        .map(|evidence| evidence.source.as_str())
        .collect::<Vec<_>>()
        .join(", ")
}

/// A detection as lines that a table can name.
pub(crate) fn lines(detection: &Detection) -> Vec<String> {
    let mut lines = Vec::new();
    for server in &detection.servers {
        let start = serde_json::to_value(server.start).unwrap();
        let mut line = format!("server {} {}", server.kind.as_str(), start.as_str().unwrap());
        let _ = write!(line, " {}", server.workers.map_or("?".to_owned(), |workers| workers.to_string()));
        if let Some(class) = &server.worker_class {
            let _ = write!(line, " class={class}");
        }
        if server.preload {
            line.push_str(" preload");
        }
        if server.directory != Path::new(".") {
            let _ = write!(line, " in={}", server.directory.display());
        }
        if let Some(config) = &server.config {
            let _ = write!(line, " config={}", config.display());
        }
        for (name, value) in &server.variables {
            let _ = write!(line, " {name}={value}");
        }
        lines.push(format!("{line} `{}` <- {}", server.command.join(" "), sources(&server.because)));
    }
    for framework in &detection.frameworks {
        let version = framework.version.as_deref().unwrap_or("-");
        lines.push(format!("framework {} {version} <- {}", framework.name, sources(&framework.because)));
    }
    for hazard in &detection.hazards {
        lines.push(format!("hazard {} <- {}", hazard.id, sources(&hazard.because)));
    }
    for app in &detection.apps {
        lines.push(format!("app {} <- {}", app.directory.display(), sources(&app.because)));
    }
    if let Some(settings) = &detection.django_settings {
        lines.push(format!("django {} <- {}", settings.module, sources(&settings.because)));
    }
    for target in &detection.targets {
        let kind = serde_json::to_value(target.kind).unwrap();
        lines.push(format!("target {} <- {}", kind.as_str().unwrap(), sources(&target.because)));
    }
    lines.extend(detection.notes.iter().map(|note| format!("note {note}")));
    lines
}
