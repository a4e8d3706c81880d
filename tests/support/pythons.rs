//! Interpreters of this machine, and virtual environments with real packages, made once and kept below `target`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, dead_code, unreachable_pub)]

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

/// `3.12` → an interpreter of that version: pyenv's, and `python3.X` on `PATH`.
pub fn interpreters() -> BTreeMap<(u32, u32), PathBuf> {
    static FOUND: OnceLock<BTreeMap<(u32, u32), PathBuf>> = OnceLock::new();
    FOUND.get_or_init(look_for_interpreters).clone()
}

fn look_for_interpreters() -> BTreeMap<(u32, u32), PathBuf> {
    let mut candidates = Vec::new();
    if let Some(home) = std::env::var_os("HOME")
        && let Ok(versions) = fs::read_dir(Path::new(&home).join(".pyenv/versions"))
    {
        candidates.extend(versions.flatten().map(|entry| entry.path().join("bin/python3")));
    }
    candidates.sort();
    for minor in 8..=13 {
        candidates.extend(which::which(format!("python3.{minor}")));
    }
    let mut found = BTreeMap::new();
    for candidate in candidates {
        let version = Command::new(&candidate)
            .args(["-c", "import sys, venv; print(sys.version_info[0], sys.version_info[1])"])
            .output();
        let Ok(Output { status, stdout, .. }) = version else { continue };
        let text = String::from_utf8_lossy(&stdout);
        let numbers: Vec<u32> = text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        // Older ones are not served: their last Flask and gunicorn are not those that the pinned set traces.
        if let (true, [3, minor @ 8..=13]) = (status.success(), numbers.as_slice()) {
            found.entry((3, *minor)).or_insert(candidate);
        }
    }
    found
}

/// How an environment comes into being.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Making {
    /// `python -m venv`, packages by `uv pip` in one call.
    Venv,
    /// `uv venv`: no pip inside.
    Uv,
    /// The documentation's three commands: pip twice, then `opentelemetry-bootstrap`.
    Docs,
}

/// A virtual environment.
#[derive(Debug, Clone)]
pub struct Environment {
    /// Its folder.
    pub root: PathBuf,
    /// What the last of the docs' commands said when it failed.
    pub failed: Option<String>,
}

impl Environment {
    pub fn python(&self) -> PathBuf {
        self.root.join("bin/python")
    }

    pub fn bin(&self) -> PathBuf {
        self.root.join("bin")
    }
}

/// An environment with these packages; made now if it is not there yet.
pub fn environment(name: &str, interpreter: &Path, making: Making, packages: &[&str]) -> Environment {
    let mut hasher = DefaultHasher::new();
    (interpreter, making, packages).hash(&mut hasher);
    let store = Path::new(env!("CARGO_TARGET_TMPDIR")).join("environments");
    let root = store.join(format!("{name}-{:016x}", hasher.finish()));
    let done = root.join("done.txt");
    fs::create_dir_all(&store).unwrap();
    // One maker at a time, also across test processes.
    let lock = File::create(root.with_extension("lock")).unwrap();
    lock.lock().unwrap();
    if !done.is_file() {
        let _ = fs::remove_dir_all(&root);
        let failed = make(&root, interpreter, making, packages);
        fs::write(&done, failed.unwrap_or_default()).unwrap();
    }
    let failed = fs::read_to_string(&done).unwrap();
    Environment {
        root,
        failed: Some(failed).filter(|text| !text.is_empty()),
    }
}

/// uv: on `PATH`, or from PyPI in an environment of its own.
fn uv() -> PathBuf {
    if let Ok(uv) = which::which("uv") {
        return uv;
    }
    let store = Path::new(env!("CARGO_TARGET_TMPDIR")).join("environments");
    fs::create_dir_all(&store).unwrap();
    let lock = File::create(store.join("uv.lock")).unwrap();
    lock.lock().unwrap();
    let root = store.join("uv");
    let uv = root.join("bin/uv");
    if !uv.is_file() {
        let _ = fs::remove_dir_all(&root);
        let interpreters = interpreters();
        let newest = interpreters.values().next_back().expect("no Python on this machine");
        run(newest, &["-m", "venv", root.to_str().unwrap()]);
        run(&root.join("bin/python"), &["-m", "pip", "install", "--quiet", "uv"]);
    }
    uv
}

/// Makes the environment; what failed, if one of the docs' commands did.
fn make(root: &Path, interpreter: &Path, making: Making, packages: &[&str]) -> Option<String> {
    let folder = root.to_str().unwrap();
    let python = root.join("bin/python");
    let uv_install = |packages: &[&str]| {
        let mut arguments = vec![
            "pip",
            "install",
            "--quiet",
            "--compile-bytecode",
            "--python",
            python.to_str().unwrap(),
        ];
        arguments.extend_from_slice(packages);
        run(&uv(), &arguments);
    };
    match making {
        Making::Venv => {
            run(interpreter, &["-m", "venv", folder]);
            uv_install(packages);
        }
        Making::Uv => {
            run(&uv(), &["venv", "--quiet", "--python", interpreter.to_str().unwrap(), folder]);
            uv_install(packages);
            assert!(!root.join("bin/pip").exists(), "uv venv brought pip along");
        }
        Making::Docs => {
            run(interpreter, &["-m", "venv", folder]);
            // The app is there before the documentation is read.
            uv_install(packages);
            let pip = root.join("bin/pip");
            run(&pip, &["install", "--quiet", "opentelemetry-distro==0.38b0"]);
            run(&pip, &["install", "--quiet", "opentelemetry-exporter-otlp==1.17.0"]);
            let bootstrap = Command::new(root.join("bin/opentelemetry-bootstrap"))
                .arg("--action=install")
                .env("PATH", format!("{}:{}", root.join("bin").display(), std::env::var("PATH").unwrap()))
                .output()
                .unwrap();
            if !bootstrap.status.success() {
                let text = String::from_utf8_lossy(&bootstrap.stderr).into_owned();
                return Some(
                    text.lines()
                        .rev()
                        .find(|line| !line.trim().is_empty())
                        .unwrap_or("failed")
                        .to_owned(),
                );
            }
        }
    }
    None
}

fn run(program: &Path, arguments: &[&str]) {
    let output = Command::new(program)
        .args(arguments)
        .env_remove("PYTHONPATH")
        .env_remove("VIRTUAL_ENV")
        .output()
        .unwrap_or_else(|error| panic!("{}: {error}", program.display()));
    assert!(
        output.status.success(),
        "{} {arguments:?}:\n{}{}",
        program.display(),
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}
