//! A small real machine in a temporary folder: a project, a state folder, and an environment whose tool is a shell script.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use signoz_setup::domain::event::Event;
use signoz_setup::domain::packages::{Move, Resolution};
use signoz_setup::domain::{Change, Content, IngestionKey, PackageTool, Plan, Step, StepId};
use signoz_setup::engine::{self, Applied, ApplyError, StepDiff, UndoReport};
use signoz_setup::error::Error;
use signoz_setup::system::{Cancel, Files, RealCommands, RealFiles, System};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

pub const KEY: &str = "canary-4711-ingestion";

static RUNTIME: OnceLock<tokio::runtime::Runtime> = OnceLock::new();

pub fn quiet(_: Event) {}

/// A system whose state folder is below `root`; variables are this process's own.
pub fn system(root: &Path) -> System {
    let runtime = RUNTIME.get_or_init(|| tokio::runtime::Runtime::new().unwrap());
    let cancel = Cancel::default();
    System {
        env: std::env::vars().collect(),
        root: PathBuf::from("/"),
        home: Some(root.to_path_buf()),
        state: root.join("state/signoz-setup"),
        files: Arc::new(RealFiles),
        commands: Arc::new(RealCommands::new(cancel.clone())),
        runtime: runtime.handle().clone(),
        cancel,
    }
}

/// Every name below a folder, with its permission bits and bytes (or link target).
pub fn tree(folder: &Path) -> BTreeMap<String, (u32, String)> {
    let mut found = BTreeMap::new();
    let mut queue = vec![folder.to_path_buf()];
    while let Some(next) = queue.pop() {
        for entry in fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            let metadata = fs::symlink_metadata(&path).unwrap();
            let name = path.strip_prefix(folder).unwrap().display().to_string();
            let what = if metadata.is_symlink() {
                format!("-> {}", fs::read_link(&path).unwrap().display())
            } else if metadata.is_dir() {
                queue.push(path.clone());
                "/".to_owned()
            } else {
                String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned()
            };
            found.insert(name, (metadata.mode() & 0o7777, what));
        }
    }
    found
}

/// Installs and removes distributions as uv would, in a folder of metadata. Files beside it make it fail or lie.
const TOOL: &str = r#"#!/bin/sh
here=$(dirname "$0"); site=$here/../site
verb=$2; shift 2
if [ "$verb" = install ] && [ -e "$here/lie" ]; then exit 0; fi
if [ -p "$here/gate" ]; then read -r _ < "$here/gate"; fi
for word in "$@"; do
  case $word in
    -*) ;;
    *)
      name=${word%%==*}
      for old in "$site/$name"-[0-9]*.dist-info; do
        if [ -d "$old" ]; then rm -r "$old"; fi
      done
      if [ "$verb" = install ]; then
        info=$site/$name-${word##*==}.dist-info
        mkdir "$info"
        printf 'Metadata-Version: 2.1\nName: %s\nVersion: %s\n' "$name" "${word##*==}" > "$info/METADATA"
        : > "$info/RECORD"
        if [ -e "$here/fail-after-$word" ]; then echo 'ERROR: No space left on device' >&2; exit 1; fi
      fi ;;
  esac
done
"#;

/// The machine.
pub struct Machine {
    pub root: Root,
    pub system: System,
}

/// Its folder: removed at the end by the process that made it.
pub enum Root {
    Own(tempfile::TempDir),
    Of(PathBuf),
}

impl Root {
    pub fn path(&self) -> &Path {
        match self {
            Self::Own(folder) => folder.path(),
            Self::Of(path) => path,
        }
    }
}

impl Machine {
    /// A project with files of its own, and an environment with Flask and protobuf.
    pub fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let machine = Self {
            system: system(root.path()),
            root: Root::Own(root),
        };
        let write = |name: &str, text: &str, mode: u32| {
            let path = machine.root.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        };
        write("project/app.py", "app = 1\n", 0o644);
        write("project/Procfile", "web: gunicorn app:app", 0o640);
        write("project/gunicorn.conf.py", "workers = 4\r\nbind = ':8000'\r\n", 0o664);
        write("dotfiles/settings.ini", "[x]\na = 1\n", 0o600);
        std::os::unix::fs::symlink("../dotfiles/settings.ini", machine.project().join("settings.ini")).unwrap();
        write("venv/bin/uv", TOOL, 0o755);
        write("venv/bin/python", "", 0o755);
        for (name, version) in [("flask", "3.1.3"), ("protobuf", "5.29.5")] {
            write(
                &format!("venv/site/{name}-{version}.dist-info/METADATA"),
                &format!("Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"),
                0o644,
            );
            write(&format!("venv/site/{name}-{version}.dist-info/RECORD"), "", 0o644);
        }
        machine
    }

    /// One that another process made.
    pub fn open(root: &Path) -> Self {
        Self {
            system: system(root),
            root: Root::Of(root.to_path_buf()),
        }
    }

    pub fn project(&self) -> PathBuf {
        self.root.path().join("project")
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.project().join(name)
    }

    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// Everything but our own state folder.
    pub fn tree(&self) -> BTreeMap<String, (u32, String)> {
        tree(self.root.path())
            .into_iter()
            .filter(|(name, _)| !name.starts_with("state"))
            .collect()
    }

    /// The same machine with other writes.
    pub fn with(&self, files: Arc<dyn Files>) -> System {
        System {
            files,
            ..self.system.clone()
        }
    }

    /// One step of each kind, and of each kind of file: new, in new folders, secret, a block in a file without a last line
    /// break, with other line ends, behind a link; an install that moves a version; a command with an inverse.
    pub fn plan(&self) -> Plan {
        let touched = self.path("touched").display().to_string();
        let key = IngestionKey::parse(KEY).unwrap();
        Plan {
            steps: vec![
                self.install(&[("protobuf", Some("5.29.5"), "4.25.9"), ("opentelemetry-distro", None, "0.38b0")]),
                self.file(".signoz/.gitignore", Content::text("otel.env\n"), 0o644),
                self.file(
                    ".signoz/otel.env",
                    Content::text("OTEL_EXPORTER_OTLP_HEADERS=signoz-ingestion-key=")
                        .then_key(key)
                        .then("\n"),
                    0o600,
                ),
                self.file(".signoz/auto/sitecustomize.py", Content::text("import os\n"), 0o644),
                self.file(".signoz/run.sh", Content::text("#!/bin/sh\nexec \"$@\"\n"), 0o755),
                self.block("Procfile", "release: true\n"),
                self.block("gunicorn.conf.py", "hook = 1\n"),
                self.block("settings.ini", "[signoz]\n"),
                self.block("new/Makefile", "all:\n"),
                step(
                    "run.touch",
                    Change::RunCommand {
                        argv: vec!["touch".into(), touched.clone()],
                        undo: Some(vec!["rm".into(), "-f".into(), touched]),
                    },
                ),
            ],
        }
    }

    pub fn file(&self, name: &str, content: Content, mode: u32) -> Step {
        let change = Change::WriteFile {
            path: self.path(name),
            content,
            mode,
        };
        step(&format!("write.{name}"), change)
    }

    pub fn block(&self, name: &str, text: &str) -> Step {
        let change = Change::EditBlock {
            path: self.path(name),
            content: Content::text(text),
            comment: "#".into(),
        };
        step(&format!("edit.{name}"), change)
    }

    pub fn install(&self, moves: &[(&str, Option<&str>, &str)]) -> Step {
        let venv = self.root.path().join("venv");
        let change = Change::InstallPackages {
            python: venv.join("bin/python"),
            site_packages: vec![venv.join("site")],
            tool: PackageTool::Uv,
            program: venv.join("bin/uv"),
            project: self.project(),
            requirements: moves.iter().map(|(name, _, to)| format!("{name}=={to}")).collect(),
            resolution: Resolution {
                moves: moves
                    .iter()
                    .map(|(name, from, to)| Move {
                        name: (*name).into(),
                        from: from.map(str::to_owned),
                        to: (*to).into(),
                    })
                    .collect(),
                conflicts: Vec::new(),
                wheels: Vec::new(),
            },
            offline: false,
        };
        step("install.packages", change)
    }

    pub fn diff(&self, plan: &Plan) -> Result<Vec<StepDiff>, Error> {
        engine::diff(&self.system, &self.project(), plan)
    }

    /// Lock, diff and apply, as a run does.
    pub fn run(&self, plan: &Plan) -> Result<Applied, Box<ApplyError>> {
        run(&self.system, &self.project(), plan)
    }

    pub fn undo(&self) -> UndoReport {
        let _lock = engine::lock(&self.system, &self.project()).unwrap();
        engine::undo(&self.system, &self.project(), &quiet).unwrap()
    }

    /// The journals, as text.
    pub fn journals(&self) -> Vec<(PathBuf, String)> {
        tree(&self.system.state)
            .into_iter()
            .filter(|(name, _)| name.ends_with(".json"))
            .map(|(name, (_, text))| (self.system.state.join(name), text))
            .collect()
    }
}

pub fn step(id: &str, change: Change) -> Step {
    Step {
        id: StepId(id.into()),
        title: format!("do {id}"),
        why: "a test".into(),
        change,
    }
}

pub fn run(system: &System, project: &Path, plan: &Plan) -> Result<Applied, Box<ApplyError>> {
    let early = |error| {
        Box::new(ApplyError {
            error,
            states: Vec::new(),
            restored: Vec::new(),
            left: Vec::new(),
        })
    };
    let _lock = engine::lock(system, project).map_err(early)?;
    let diffs = engine::diff(system, project, plan).map_err(early)?;
    engine::apply(system, project, plan, &diffs, &quiet)
}
