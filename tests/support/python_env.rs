//! Real peers from PyPI: a virtual environment is made once for each set of packages and kept for later runs.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::print_stderr, unreachable_pub)]

use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The pinned set, as set-up installs it.
pub const PINNED: [&str; 3] = [
    "opentelemetry-distro==0.38b0",
    "opentelemetry-exporter-otlp==1.17.0",
    "setuptools<81",
];

/// An environment of `python<version>` (`3.11`) with the pinned set; `None`, with the reason printed, where it cannot be made.
pub fn pinned_env(version: &str) -> Option<PathBuf> {
    env_with(version, "pinned", &PINNED)
}

/// An environment with the OTLP collector `rotel`.
pub fn rotel_env() -> Option<PathBuf> {
    ["3.11", "3.12", "3.10", "3.13"]
        .iter()
        .find(|version| interpreter(version).is_some())
        .map_or_else(
            || missing("no Python 3.10 to 3.13 for rotel"),
            |version| env_with(version, "rotel", &["rotel==0.0.1a15"]),
        )
}

/// An environment with packages, under a name that stands for exactly these packages.
pub fn env_with(version: &str, name: &str, packages: &[&str]) -> Option<PathBuf> {
    let Some(python) = interpreter(version) else {
        return missing(&format!("no python{version}"));
    };
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("env-{version}-{name}"));
    let lock = File::create(folder.with_extension("lock")).unwrap();
    lock.lock().unwrap();
    let ready = folder.join("ready");
    if fs::read_to_string(&ready).is_ok_and(|of| of == packages.join("\n")) {
        return Some(folder);
    }
    let _ = fs::remove_dir_all(&folder);
    let made = run(&python, [OsStr::new("-m"), OsStr::new("venv"), folder.as_os_str()])
        && run(
            &folder.join("bin/python"),
            ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
                .iter()
                .chain(packages),
        );
    if !made {
        return missing(&format!("python{version} could not install {}", packages.join(" ")));
    }
    fs::write(ready, packages.join("\n")).unwrap();
    Some(folder)
}

/// Looks below `~/.pyenv/versions`, then on `PATH`.
pub fn interpreter(version: &str) -> Option<PathBuf> {
    let versions = PathBuf::from(std::env::var_os("HOME")?).join(".pyenv/versions");
    let below = fs::read_dir(versions)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(&format!("{version}.")))
        .map(|entry| entry.path().join("bin/python3"));
    let on_path = std::env::split_paths(&std::env::var_os("PATH")?)
        .map(|folder| folder.join(format!("python{version}")))
        .collect::<Vec<_>>();
    below.chain(on_path).find(|python| run(python, ["-c", "import venv"]))
}

/// Says why a real peer is not there; fails instead when peers are required.
pub fn missing<T>(why: &str) -> Option<T> {
    assert!(
        std::env::var_os("SIGNOZ_SETUP_REQUIRE_PEERS").is_none_or(|value| value != "1"),
        "peers are required: {why}"
    );
    eprintln!("skipped: {why}");
    None
}

fn run<S: AsRef<OsStr>>(program: &Path, arguments: impl IntoIterator<Item = S>) -> bool {
    Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}
