//! Real interpreters, and real package tools from the package index in a folder that is kept between runs.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use signoz_setup::domain::PackageTool;
use signoz_setup::domain::detection::{EnvironmentKind, PythonEnvironment};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// Prints why a test cannot run here; fails instead where everything is required.
pub fn skip(why: &str) {
    assert!(
        std::env::var_os("SIGNOZ_SETUP_REQUIRE_PEERS").is_none_or(|value| value != "1"),
        "required, but missing: {why}"
    );
    eprintln!("skipped: {why}");
}

/// An interpreter of a version such as `3.11`.
pub fn interpreter(version: &str) -> Option<PathBuf> {
    let home = std::env::var_os("HOME").map(PathBuf::from)?;
    let below = fs::read_dir(home.join(".pyenv/versions")).into_iter().flatten().flatten();
    below
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(&format!("{version}.")))
        .map(|entry| entry.path().join("bin/python3"))
        .chain(std::env::split_paths(&std::env::var_os("PATH")?).map(|folder| folder.join(format!("python{version}"))))
        .find(|path| path.is_file())
}

/// Runs a command and returns what it printed.
pub fn output(words: &[&str], directory: &Path) -> String {
    let (program, arguments) = words.split_first().unwrap();
    let output = Command::new(program)
        .args(arguments)
        .current_dir(directory)
        .env_remove("VIRTUAL_ENV")
        .env("PIP_DISABLE_PIP_VERSION_CHECK", "1")
        .output()
        .unwrap_or_else(|error| panic!("{words:?}: {error}"));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{words:?}: {text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    text
}

/// The tools, and what is installed for each: pdm starts with the releases that it was tested with only.
const TOOLS: [(&str, &str); 4] = [("uv", "uv"), ("poetry", "poetry"), ("pdm", "pdm[locked]"), ("pipenv", "pipenv")];

/// The folders with the programs `uv`, `poetry`, `pdm` and `pipenv`; made once, each with dependencies of its own.
pub fn tools() -> Option<&'static [PathBuf]> {
    static FOLDERS: OnceLock<Option<Vec<PathBuf>>> = OnceLock::new();
    FOLDERS
        .get_or_init(|| TOOLS.into_iter().map(|(name, package)| tool(name, package)).collect())
        .as_deref()
}

fn tool(name: &str, package: &str) -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("package-tools").join(name);
    let done = folder.join("complete");
    if fs::read_to_string(&done).ok().as_deref() != Some(package) {
        let python = interpreter("3.11").or_else(|| interpreter("3.12"))?;
        let made = Command::new(python).args(["-m", "venv", "--clear"]).arg(&folder).status();
        let filled = Command::new(folder.join("bin/python"))
            .args(["-m", "pip", "install", "-q", package])
            .status();
        if !made.is_ok_and(|status| status.success()) || !filled.is_ok_and(|status| status.success()) {
            return None;
        }
        fs::write(done, package).ok()?;
    }
    Some(folder.join("bin"))
}

/// What detection would say of a virtual environment.
pub fn environment(folder: &Path, tool: PackageTool) -> PythonEnvironment {
    let config = fs::read_to_string(folder.join("pyvenv.cfg")).unwrap();
    let version = config
        .lines()
        .filter_map(|line| line.split_once('='))
        .find(|(name, _)| matches!(name.trim(), "version" | "version_info"))
        .map(|(_, value)| value.trim().to_owned())
        .unwrap();
    let short: Vec<&str> = version.split('.').take(2).collect();
    let site = folder.join(format!("lib/python{}/site-packages", short.join(".")));
    PythonEnvironment {
        interpreter: folder.join("bin/python"),
        version: version.split('.').take(3).collect::<Vec<_>>().join("."),
        virtualenv: Some(folder.to_path_buf()),
        kind: EnvironmentKind::Venv,
        package_manager: tool,
        has_pip: site.join("pip").is_dir(),
        site_packages: vec![site],
        externally_managed: false,
        broken: None,
        because: Vec::new(),
    }
}
