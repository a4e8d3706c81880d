//! The machine, behind seams: the only place that reads variables, starts processes or writes files.
//!
//! May never decide anything: it does what it is told and reports what happened.

pub mod cancel;
pub mod commands;
pub mod files;
pub mod net;
pub mod process;
pub mod sockets;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use cancel::Cancel;
pub use commands::{Commands, Finished, Invocation, RealCommands, Running};
pub use files::{Files, RealFiles};

/// Everything that the program may know of and do to the machine.
#[derive(Clone)]
pub struct System {
    /// Environment variables at the start; the process never changes its own.
    pub env: BTreeMap<String, String>,
    /// Root of the machine, `/`; a test's fixture folder otherwise. `/proc`, `/etc`, … are looked up below it.
    pub root: PathBuf,
    /// Home of the person.
    pub home: Option<PathBuf>,
    /// Where journals, backups and logs live: the XDG state folder's `signoz-setup`, mode 0700.
    pub state: PathBuf,
    /// Writes.
    pub files: Arc<dyn Files>,
    /// Child processes.
    pub commands: Arc<dyn Commands>,
    /// The runtime on which network code runs; everything else is ordinary blocking code.
    pub runtime: tokio::runtime::Handle,
    /// Set by SIGINT and SIGTERM.
    pub cancel: Cancel,
}

impl System {
    /// The real machine.
    ///
    /// `XDG_STATE_HOME`, or `~/.local/state` (`~/Library/Application Support` on macOS), holds the state folder.
    #[must_use]
    pub fn real(runtime: tokio::runtime::Handle, cancel: Cancel) -> Self {
        let env: BTreeMap<String, String> = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.to_string_lossy().into_owned())))
            .collect();
        let home = env
            .get("HOME")
            .filter(|home| !home.is_empty())
            .map(PathBuf::from)
            .or_else(dirs::home_dir);
        let base = env
            .get("XDG_STATE_HOME")
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
            .or_else(dirs::state_dir)
            .or_else(dirs::data_local_dir)
            .or_else(|| home.as_ref().map(|home| home.join(".local/state")))
            .unwrap_or_else(std::env::temp_dir);
        Self {
            env,
            root: PathBuf::from("/"),
            home,
            state: base.join("signoz-setup"),
            files: Arc::new(RealFiles),
            commands: Arc::new(RealCommands::new(cancel.clone())),
            runtime,
            cancel,
        }
    }

    /// A path of the machine, below [`System::root`]: `at("/proc")`.
    #[must_use]
    pub fn at(&self, absolute: &str) -> PathBuf {
        self.root.join(absolute.trim_start_matches('/'))
    }

    /// A variable; empty counts as unset.
    #[must_use]
    pub fn var(&self, name: &str) -> Option<&str> {
        self.env.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Looks a program up on `PATH`.
    #[must_use]
    pub fn which(&self, program: &str) -> Option<PathBuf> {
        which::which_in(program, self.env.get("PATH"), Path::new("/")).ok()
    }
}
