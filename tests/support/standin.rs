//! A project that can be set up without the network: a real, empty virtual environment that says it holds Flask and gunicorn,
//! and a stand-in for uv on PATH that resolves to what it is asked for and installs metadata only.
#![allow(dead_code, clippy::unwrap_used, reason = "each test file uses its part")]

use super::program::Program;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

const UV: &str = r#"#!/bin/sh
here=$(dirname "$0")
verb=$2
shift 2
dry=; site=
for word; do
  case $word in
    --dry-run) dry=yes ;;
    --python=*) python=${word#--python=}; site=$(echo "$(dirname "$(dirname "$python")")"/lib/python*/site-packages) ;;
  esac
done
if [ -z "$dry" ] && [ "$verb" = install ] && [ -p "$here/gate" ]; then
  echo 'waiting at the gate' >&2
  read -r _ < "$here/gate"
fi
for word; do
  case $word in
    -*) continue ;;
    *==*) name=${word%%==*}; version=${word##*==} ;;
    *) name=${word%%[<>=!~]*}; version=80.9.0 ;;
  esac
  if [ -n "$dry" ]; then
    echo " + $name==$version" >&2
    continue
  fi
  for old in "$site/$name"-[0-9]*.dist-info; do
    if [ -d "$old" ]; then rm -r "$old"; fi
  done
  if [ "$verb" = install ]; then
    mkdir "$site/$name-$version.dist-info"
    printf 'Metadata-Version: 2.1\nName: %s\nVersion: %s\n' "$name" "$version" > "$site/$name-$version.dist-info/METADATA"
    : > "$site/$name-$version.dist-info/RECORD"
  fi
done
"#;

/// The project, and the tool.
pub struct StandIn {
    folder: TempDir,
    tools: TempDir,
}

impl StandIn {
    /// A Flask app under gunicorn in a folder named `shop`.
    pub fn new() -> Self {
        let standin = Self {
            folder: tempfile::tempdir().unwrap(),
            tools: tempfile::tempdir().unwrap(),
        };
        let project = standin.project();
        fs::create_dir(&project).unwrap();
        fs::write(project.join("app.py"), "from flask import Flask\napp = Flask(__name__)\n").unwrap();
        fs::write(project.join("Procfile"), "web: gunicorn app:app --workers 4\n").unwrap();
        standin.environment(".venv", &[("flask", "2.3.3"), ("gunicorn", "23.0.0")]);
        let uv = standin.tools.path().join("uv");
        fs::write(&uv, UV).unwrap();
        fs::set_permissions(&uv, fs::Permissions::from_mode(0o755)).unwrap();
        standin
    }

    /// The project's folder.
    pub fn project(&self) -> PathBuf {
        self.folder.path().join("shop")
    }

    /// A file of the project, as text.
    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.project().join(name)).unwrap()
    }

    /// A virtual environment in the project, with distributions.
    pub fn environment(&self, name: &str, distributions: &[(&str, &str)]) -> PathBuf {
        let root = self.project().join(name);
        let made = Command::new("python3").args(["-m", "venv", "--without-pip"]).arg(&root).status();
        assert!(made.unwrap().success());
        let library = fs::read_dir(root.join("lib")).unwrap().next().unwrap().unwrap().path();
        for (name, version) in distributions {
            let info = library.join(format!("site-packages/{name}-{version}.dist-info"));
            fs::create_dir(&info).unwrap();
            let metadata = format!("Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n");
            fs::write(info.join("METADATA"), metadata).unwrap();
            fs::write(info.join("RECORD"), "").unwrap();
        }
        root
    }

    /// From now on an install waits until it is ended, after it has said `waiting at the gate`.
    pub fn close_the_gate(&self) {
        let made = Command::new("mkfifo").arg(self.tools.path().join("gate")).status();
        assert!(made.unwrap().success());
    }

    /// From now on installs go through.
    pub fn open_the_gate(&self) {
        fs::remove_file(self.tools.path().join("gate")).unwrap();
    }

    /// The program in the project's folder, with the stand-in on PATH.
    pub fn program(&self) -> Program {
        let path = std::env::var("PATH").unwrap();
        Program::new(&self.project()).path(&format!("{}:{path}", self.tools.path().display()))
    }

    /// Every file of the project with its mode and bytes, the environment's included.
    pub fn picture(&self) -> BTreeMap<PathBuf, (u32, Vec<u8>)> {
        let mut files = BTreeMap::new();
        let mut folders = vec![self.project()];
        while let Some(next) = folders.pop() {
            for entry in fs::read_dir(&next).unwrap().flatten() {
                let path = entry.path();
                let metadata = fs::symlink_metadata(&path).unwrap();
                let content = if metadata.is_dir() {
                    folders.push(path.clone());
                    Vec::new()
                } else {
                    read_or_empty(&path)
                };
                files.insert(path, (metadata.permissions().mode(), content));
            }
        }
        // What running its Python leaves is nobody's change.
        files.retain(|path, _| !path.iter().any(|part| part == "__pycache__"));
        files
    }
}

/// A link that leads nowhere has no content.
fn read_or_empty(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap_or_default()
}
