//! Running processes, as `/proc` shows them (proc(5)). Empty where there is no `/proc`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// A running process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Process id.
    pub pid: u32,
    /// Its parent's.
    pub parent: u32,
    /// `S`, `R`, `Z`, …
    pub state: char,
    /// Command line, as words; empty for a zombie or kernel thread.
    pub argv: Vec<String>,
    /// Working folder, where it may be read.
    pub directory: Option<PathBuf>,
    /// Program, where it may be read.
    pub exe: Option<PathBuf>,
}

/// All processes below `<root>/proc`.
#[must_use]
pub fn list(root: &Path) -> Vec<Process> {
    let Ok(entries) = fs::read_dir(root.join("proc")) else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter_map(|entry| read(root, entry.file_name().to_str()?.parse().ok()?))
        .collect()
}

/// One process; `None` when it is gone.
#[must_use]
pub fn read(root: &Path, pid: u32) -> Option<Process> {
    let folder = root.join("proc").join(pid.to_string());
    let stat = fs::read_to_string(folder.join("stat")).ok()?;
    // The name in parentheses may itself hold spaces and parentheses.
    let mut fields = stat.get(stat.rfind(')')? + 1..)?.split_whitespace();
    let state = fields.next()?.chars().next()?;
    let parent = fields.next()?.parse().ok()?;
    let line = fs::read(folder.join("cmdline")).unwrap_or_default();
    let argv = line
        .split(|byte| *byte == 0)
        .filter(|word| !word.is_empty())
        .map(|word| String::from_utf8_lossy(word).into_owned())
        .collect();
    Some(Process {
        pid,
        parent,
        state,
        argv,
        directory: fs::read_link(folder.join("cwd")).ok(),
        exe: fs::read_link(folder.join("exe")).ok(),
    })
}

/// The variables a process was started with, where they may be read.
#[must_use]
pub fn variables(root: &Path, pid: u32) -> Option<BTreeMap<String, String>> {
    let bytes = fs::read(root.join("proc").join(pid.to_string()).join("environ")).ok()?;
    Some(
        bytes
            .split(|byte| *byte == 0)
            .filter_map(|entry| {
                let text = String::from_utf8_lossy(entry);
                text.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()))
            })
            .collect(),
    )
}

/// A process and everything below it, parents first.
#[must_use]
pub fn tree(processes: &[Process], top: u32) -> Vec<u32> {
    let mut found: Vec<u32> = processes
        .iter()
        .filter(|process| process.pid == top)
        .map(|process| process.pid)
        .collect();
    let mut next = 0;
    while let Some(&parent) = found.get(next) {
        found.extend(
            processes
                .iter()
                .filter(|process| process.parent == parent && process.pid != parent)
                .map(|process| process.pid),
        );
        next += 1;
    }
    found
}

/// What tells a process apart from a later one with the same id, and from its neighbours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// Process group.
    pub group: u32,
    /// Start time, in clock ticks since the machine started.
    pub started: u64,
    /// It has ended and waits for its parent to take notice.
    pub zombie: bool,
}

/// The identity of a process; `None` when it is gone.
#[must_use]
pub fn identity(root: &Path, pid: u32) -> Option<Identity> {
    let stat = fs::read_to_string(root.join("proc").join(pid.to_string()).join("stat")).ok()?;
    let fields: Vec<&str> = stat.get(stat.rfind(')')? + 1..)?.split_whitespace().collect();
    // proc(5): state is field 3, pgrp 5, starttime 22.
    Some(Identity {
        group: fields.get(2)?.parse().ok()?,
        started: fields.get(19)?.parse().ok()?,
        zombie: fields.first() == Some(&"Z"),
    })
}

/// Processes that are kept from running for a moment; dropping this lets them go on.
#[derive(Debug)]
pub struct Paused(Vec<rustix::process::Pid>);

/// Stops processes (SIGSTOP).
#[must_use]
pub fn pause(pids: impl IntoIterator<Item = u32>) -> Paused {
    let pids: Vec<_> = pids
        .into_iter()
        .filter_map(|pid| rustix::process::Pid::from_raw(i32::try_from(pid).ok()?))
        .collect();
    for pid in &pids {
        let _ = rustix::process::kill_process(*pid, rustix::process::Signal::STOP);
    }
    Paused(pids)
}

impl Drop for Paused {
    fn drop(&mut self) {
        for pid in &self.0 {
            let _ = rustix::process::kill_process(*pid, rustix::process::Signal::CONT);
        }
    }
}

/// Sends SIGKILL to a process, if it is still the one that was seen: never to a newer one with the same id.
pub fn kill(root: &Path, pid: u32, seen: Identity) {
    if identity(root, pid).is_some_and(|now| now.started == seen.started)
        && let Some(pid) = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw)
    {
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
    }
}
