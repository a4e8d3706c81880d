//! The built program, run in a clean environment with a state folder of its own.
#![allow(dead_code, clippy::unwrap_used, reason = "each test file uses its part")]

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// A run to be made.
pub struct Program {
    folder: PathBuf,
    state: tempfile::TempDir,
    env: BTreeMap<String, String>,
}

impl Program {
    /// In a folder, with nothing but PATH and a home of its own in the environment.
    pub fn new(folder: &Path) -> Self {
        // A home of its own: nothing of the person who runs the tests is found, and nothing of theirs can be changed.
        let state = tempfile::tempdir().unwrap();
        let keep = |name: &str| std::env::var(name).ok().map(|value| (name.to_owned(), value));
        let env = [
            "PATH",
            "TMPDIR",
            "XDG_CACHE_HOME",
            "PIP_FIND_LINKS",
            "PIP_CERT",
            "SSL_CERT_FILE",
            "UV_CACHE_DIR",
        ]
        .into_iter()
        .filter_map(keep)
        .chain([("HOME".to_owned(), state.path().display().to_string())])
        .collect();
        Self {
            folder: folder.to_path_buf(),
            state,
            env,
        }
    }

    /// With a variable.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.insert(name.to_owned(), value.to_owned());
        self
    }

    /// With another PATH.
    pub fn path(self, path: &str) -> Self {
        self.env("PATH", path)
    }

    /// The folder that holds journals and backups.
    pub fn state(&self) -> &Path {
        self.state.path()
    }

    /// The command, not yet started.
    pub fn command<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_signoz-setup"));
        command
            .args(arguments)
            .current_dir(&self.folder)
            .env_clear()
            .envs(&self.env)
            .env("XDG_STATE_HOME", self.state.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs to the end.
    pub fn run<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Output {
        self.command(arguments).output().unwrap()
    }
}

/// Standard output as text.
pub fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Standard error as text.
pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
