//! The journal: one file per run, written ahead of every change, so that any end of the run can be undone.
//!
//! May never hold a secret: it has hashes; the bytes are in `backups/`, mode 0600, in a folder of mode 0700.

use super::snapshot::{Snapshot, Stamp, sha256};
use super::state;
use crate::domain::{PackageTool, StepId};
use crate::error::{Error, Kind, Result};
use crate::system::System;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// The format's version; a newer one is never guessed at.
const SCHEMA_VERSION: u32 = 1;

/// How far a run came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RunState {
    /// At work, or killed.
    Running,
    /// Every step was done.
    Finished,
    /// Everything was put back, by the run itself or by `--undo`.
    Undone,
}

/// How far one step came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum EntryState {
    /// Perhaps changed something.
    Started,
    /// Done.
    Applied,
    /// Put back.
    Reverted,
    /// Left as it is, because the person edited it since.
    Kept,
}

/// What was there before a change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "was", rename_all = "snake_case")]
pub(crate) enum Before {
    /// Nothing.
    Absent,
    /// A file, copied to `backup` (relative to the journal's folder).
    File {
        #[serde(flatten)]
        stamp: Stamp,
        backup: PathBuf,
    },
}

/// A file that a tool edits while it installs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ToolFile {
    pub(crate) path: PathBuf,
    pub(crate) before: Before,
    /// What the tool made of it; `None` while the step is not applied, or when the file is absent afterwards.
    pub(crate) after: Option<Stamp>,
}

/// What undo needs to know of a change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum Receipt {
    /// A whole file that is ours.
    File {
        path: PathBuf,
        before: Before,
        after: Stamp,
        /// Folders that did not exist, outermost first.
        folders: Vec<PathBuf>,
    },
    /// A marked block in a file of the person's.
    Block {
        path: PathBuf,
        comment: String,
        before: Before,
        after: Stamp,
        folders: Vec<PathBuf>,
        /// SHA-256 of the lines between the markers.
        block: String,
        /// Bytes of the line break that was added in front of the block.
        glue: usize,
    },
    /// An install.
    Packages {
        python: PathBuf,
        site_packages: Vec<PathBuf>,
        tool: PackageTool,
        program: PathBuf,
        project: PathBuf,
        offline: bool,
        /// The command, to find it among the processes after a kill.
        argv: Vec<String>,
        /// Every distribution before, with its version.
        before: BTreeMap<String, String>,
        /// What the dry resolve said would come, with its version.
        planned: BTreeMap<String, String>,
        /// Every distribution afterwards; `None` while the step is not applied.
        after: Option<BTreeMap<String, String>>,
        /// Names in the metadata folders before, so that what a killed installer leaves behind is recognised.
        entries: BTreeSet<String>,
        files: Vec<ToolFile>,
    },
    /// A command.
    Command { argv: Vec<String>, undo: Option<Vec<String>> },
}

/// One step that was begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) id: String,
    pub(crate) title: String,
    pub(crate) state: EntryState,
    pub(crate) receipt: Receipt,
}

/// One run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) schema_version: u32,
    /// Version of the program that wrote it.
    pub(crate) version: String,
    pub(crate) project: PathBuf,
    /// Order of the runs; a clock may be set back.
    pub(crate) sequence: u64,
    /// UTC, `20261123T233721Z`.
    pub(crate) started: String,
    pub(crate) pid: u32,
    pub(crate) state: RunState,
    pub(crate) steps: Vec<Entry>,
}

/// A record with its place on the disk.
#[derive(Debug, Clone)]
pub(crate) struct Journal {
    /// The JSON file.
    pub(crate) path: PathBuf,
    pub(crate) record: Record,
}

impl Journal {
    /// A new, empty journal of a project; nothing is written yet.
    pub(crate) fn begin(system: &System, project: &Path, earlier: &[Self]) -> Self {
        let started = timestamp();
        let pid = std::process::id();
        let folder = state::folder(system, project);
        let sequence = earlier.iter().map(|journal| journal.record.sequence).max().unwrap_or(0) + 1;
        // Two runs of one process within a second are told apart by the number.
        let mut path = folder.join(format!("{started}-{pid}.json"));
        let mut number = 1;
        while path.exists() {
            number += 1;
            path = folder.join(format!("{started}-{pid}-{number}.json"));
        }
        Self {
            path,
            record: Record {
                schema_version: SCHEMA_VERSION,
                version: env!("CARGO_PKG_VERSION").to_owned(),
                project: fs::canonicalize(project).unwrap_or_else(|_| project.to_path_buf()),
                sequence,
                started,
                pid,
                state: RunState::Running,
                steps: Vec::new(),
            },
        }
    }

    /// Writes it, durably.
    ///
    /// # Errors
    /// Exit 4, with the path.
    pub(crate) fn save(&self, system: &System) -> Result<()> {
        let mut json = serde_json::to_vec_pretty(&self.record)
            .map_err(|error| Error::step_failed("cannot write the journal").because(error.to_string()))?;
        json.push(b'\n');
        system
            .files
            .write(&self.path, &json, 0o600)
            .map_err(|error| Error::io(Kind::StepFailed, "write the journal", &self.path, &error))
    }

    /// Copies a file into the backups; the answer is relative to the journal's folder.
    ///
    /// # Errors
    /// Exit 4, with the path.
    pub(crate) fn back_up(&self, system: &System, name: &str, snapshot: Option<&Snapshot>) -> Result<Before> {
        let Some(snapshot) = snapshot else {
            return Ok(Before::Absent);
        };
        let stem = self.path.file_stem().unwrap_or_default().to_string_lossy();
        let backup = PathBuf::from("backups").join(format!("{stem}-{name}"));
        let path = self.folder().join(&backup);
        system
            .files
            .write(&path, &snapshot.bytes, 0o600)
            .map_err(|error| Error::io(Kind::StepFailed, "write the backup", &path, &error))?;
        Ok(Before::File {
            stamp: snapshot.stamp.clone(),
            backup,
        })
    }

    /// The folder that backups are relative to.
    pub(crate) fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new("."))
    }

    /// Whether something of it may still have to be put back.
    pub(crate) fn open(&self) -> bool {
        self.record.state != RunState::Undone
    }

    /// Names a step.
    pub(crate) fn entry(id: &StepId, title: &str, receipt: Receipt) -> Entry {
        Entry {
            id: id.0.clone(),
            title: title.to_owned(),
            state: EntryState::Started,
            receipt,
        }
    }
}

/// All journals of a project, oldest first.
///
/// # Errors
/// Refused (exit 3) when one cannot be read or was written by a newer program.
pub(crate) fn all(system: &System, project: &Path) -> Result<Vec<Journal>> {
    let folder = state::folder(system, project);
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Error::io(Kind::Refused, "read the journals in", &folder, &error)),
    };
    let mut journals = Vec::new();
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.extension().is_some_and(|extension| extension == "json") {
            journals.push(load(&path)?);
        }
    }
    journals.sort_by(|a, b| (a.record.sequence, &a.path).cmp(&(b.record.sequence, &b.path)));
    Ok(journals)
}

fn load(path: &Path) -> Result<Journal> {
    let bytes = fs::read(path).map_err(|error| Error::io(Kind::Refused, "read the journal", path, &error))?;
    let unreadable = |why: String| {
        Error::refused(format!("the journal `{}` cannot be read", path.display()))
            .because(why)
            .remedy("it says what has to be put back by hand; then move it away and run again")
    };
    let value: serde_json::Value = serde_json::from_slice(&bytes).map_err(|error| unreadable(error.to_string()))?;
    let version = value.get("schema_version").and_then(serde_json::Value::as_u64);
    if version.is_some_and(|version| version > u64::from(SCHEMA_VERSION)) {
        let by = value.get("version").and_then(serde_json::Value::as_str).unwrap_or("?");
        return Err(Error::refused(format!(
            "the journal `{}` was written by signoz-setup {by}, which is newer than this {}",
            path.display(),
            env!("CARGO_PKG_VERSION")
        ))
        .remedy(format!("use signoz-setup {by} or newer")));
    }
    let record = serde_json::from_value(value).map_err(|error| unreadable(error.to_string()))?;
    Ok(Journal {
        path: path.to_path_buf(),
        record,
    })
}

/// Every hash that a run of ours gave this file, so that it is known as ours and unedited.
pub(crate) fn written_here(journals: &[Journal], path: &Path) -> BTreeSet<String> {
    journals
        .iter()
        .flat_map(|journal| &journal.record.steps)
        .filter_map(|entry| match &entry.receipt {
            Receipt::File { path: written, after, .. } if written == path => Some(after.sha256.clone()),
            _ => None,
        })
        .collect()
}

/// The folder name of a project: the start of the hash of its canonical path.
pub(crate) fn key(project: &Path) -> String {
    use std::os::unix::ffi::OsStrExt;
    let canonical = fs::canonicalize(project).unwrap_or_else(|_| project.to_path_buf());
    sha256(canonical.as_os_str().as_bytes()).chars().take(16).collect()
}

/// UTC now, as `20261123T233721Z`.
fn timestamp() -> String {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    stamp(seconds)
}

fn stamp(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // Days to a date in the proleptic Gregorian calendar: years begin in March, so that the leap day is their last.
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!(
        "{year:04}{month:02}{day:02}T{:02}{:02}{:02}Z",
        rest / 3_600,
        rest / 60 % 60,
        rest % 60
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        assert_eq!(stamp(0), "19700101T000000Z");
        assert_eq!(stamp(951_782_400), "20000229T000000Z");
        assert_eq!(stamp(1_795_477_041), "20261123T233721Z");
        assert_eq!(stamp(4_107_542_399), "21000228T235959Z");
    }
}
