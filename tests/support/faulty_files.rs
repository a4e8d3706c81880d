//! Writes that fail on purpose: the n-th call, once or from then on, before or after its effect.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use signoz_setup::system::{Files, RealFiles};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

/// What happens at the chosen call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// This call fails and does nothing; later ones work.
    Once,
    /// This call and every later one fail and do nothing.
    FromThenOn,
    /// This call works, and says that it failed.
    AfterItsEffect,
}

/// `ENOSPC` and `EACCES` (errno(3), Linux and macOS alike).
pub const ERRORS: [i32; 2] = [28, 13];

/// The real disk with one planned fault.
pub struct FaultyFiles {
    pub at: usize,
    pub fault: Fault,
    pub errno: i32,
    pub calls: AtomicUsize,
}

impl FaultyFiles {
    pub fn new(at: usize, fault: Fault, errno: i32) -> Self {
        Self {
            at,
            fault,
            errno,
            calls: AtomicUsize::new(0),
        }
    }

    /// Whether the planned call was reached.
    pub fn reached(&self) -> bool {
        self.calls.load(Ordering::SeqCst) > self.at
    }

    fn call<T>(&self, work: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        let number = self.calls.fetch_add(1, Ordering::SeqCst);
        let error = || io::Error::from_raw_os_error(self.errno);
        match self.fault {
            Fault::Once if number == self.at => Err(error()),
            Fault::FromThenOn if number >= self.at => Err(error()),
            Fault::AfterItsEffect if number == self.at => work().and_then(|_| Err(error())),
            _ => work(),
        }
    }
}

impl Files for FaultyFiles {
    fn write(&self, path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
        self.call(|| RealFiles.write(path, bytes, mode))
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        self.call(|| RealFiles.remove(path))
    }
    fn create_folder(&self, path: &Path, mode: u32) -> io::Result<Vec<PathBuf>> {
        self.call(|| RealFiles.create_folder(path, mode))
    }
    fn remove_folder(&self, path: &Path) -> io::Result<bool> {
        self.call(|| RealFiles.remove_folder(path))
    }
    fn set_mode(&self, path: &Path, mode: u32) -> io::Result<()> {
        self.call(|| RealFiles.set_mode(path, mode))
    }
}
