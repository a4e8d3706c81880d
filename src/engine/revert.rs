//! The inverse of one journalled step. Compares with what we wrote, so it can be cut short and run again.

use super::journal::{Before, Entry, EntryState, Journal, Receipt, RunState};
use super::snapshot::{self, Snapshot, Stamp, sha256};
use super::undo::Kept;
use super::{block, environment, state};
use crate::domain::Event;
use crate::domain::event::Observer;
use crate::error::{Error, Kind, Result};
use crate::system::{Invocation, System};
use std::fs;
use std::path::{Path, PathBuf};

/// What became of a step.
pub(crate) enum Outcome {
    /// Put back; one line that says what.
    PutBack(String),
    /// There was nothing (left) to put back.
    Nothing,
    /// Not touched, because it was edited since.
    Kept(Kept),
}

/// Puts one step back.
///
/// # Errors
/// When it could not be put back; it can be tried again.
pub(crate) fn entry(system: &System, journal: &Journal, entry: &Entry, observer: Observer<'_>) -> Result<Outcome> {
    match &entry.receipt {
        Receipt::File {
            path,
            before,
            after,
            folders,
        } => {
            tidy(system, path);
            let secret = path.with_file_name("otel.env");
            // Undone last of all files: when the key is still there, it was edited and kept, and git must go on ignoring it.
            if path.ends_with(".signoz/.gitignore") && matches!(before, Before::Absent) && secret.exists() {
                return Ok(Outcome::Kept(Kept {
                    what: path.display().to_string(),
                    why: format!("it keeps `{}`, which was kept as well, out of git", secret.display()),
                    by_hand: format!("rm {} {}", secret.display(), path.display()),
                }));
            }
            let outcome = file(system, journal, path, before, after)?;
            if matches!(before, Before::Absent) && !path.exists() {
                remove_compiled(system, path);
            }
            remove_folders(system, folders)?;
            Ok(outcome)
        }
        Receipt::Block {
            path,
            comment,
            before,
            after,
            folders,
            block,
            glue,
        } => {
            tidy(system, path);
            let mine = Mine {
                comment,
                block,
                glue: *glue,
            };
            let outcome = block_of(system, journal, path, before, after, &mine)?;
            remove_folders(system, folders)?;
            Ok(outcome)
        }
        Receipt::Packages { .. } => environment::put_back(system, journal, &entry.receipt, observer),
        Receipt::Command { undo: None, .. } => Ok(Outcome::Nothing),
        Receipt::Command { undo: Some(undo), .. } => {
            command(system, Invocation::new(undo.clone()).despite_cancel(), observer)?;
            Ok(Outcome::PutBack(format!("ran `{}`", undo.join(" "))))
        }
    }
}

/// Clears what a killed run left half done, without putting anything back.
///
/// # Errors
/// Refused (exit 3) when its installer still runs and does not end; failed when a half-done install cannot be completed.
pub(crate) fn settle(system: &System, journal: &Journal, observer: Observer<'_>) -> Result<()> {
    for entry in journal.record.steps.iter().filter(|entry| entry.state == EntryState::Started) {
        match &entry.receipt {
            Receipt::File { path, .. } | Receipt::Block { path, .. } => tidy(system, path),
            Receipt::Packages { .. } => environment::settle(system, &entry.receipt, observer)?,
            Receipt::Command { .. } => {}
        }
    }
    Ok(())
}

/// Runs a command of the plan, or its inverse.
///
/// # Errors
/// Exit 4 with the command's last line; interrupted when a signal came.
pub(crate) fn command(system: &System, invocation: Invocation, observer: Observer<'_>) -> Result<()> {
    let shown = invocation.argv.join(" ");
    let mut last = String::new();
    let finished = system
        .commands
        .run(&invocation, &mut |line| {
            let text: String = line.chars().filter(|character| !character.is_control()).collect();
            if !text.trim().is_empty() {
                last.clone_from(&text);
            }
            observer(Event::Line { text });
        })
        .map_err(|error| match system.cancel.check() {
            Err(interrupted) if !invocation.despite_cancel => interrupted,
            _ => Error::step_failed(format!("cannot start `{shown}`")).because(error.to_string()),
        })?;
    if finished.success() {
        return Ok(());
    }
    let code = finished
        .code
        .map_or_else(|| "a signal".to_owned(), |code| format!("exit code {code}"));
    let why = if last.is_empty() {
        format!("it ended with {code}")
    } else {
        format!("it ended with {code}: {last}")
    };
    Err(Error::step_failed(format!("`{shown}` failed")).because(why))
}

/// Removes the temporary sibling that a killed write, ours or that of an undo, left.
fn tidy(system: &System, path: &Path) {
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    if let Some(folder) = target.parent() {
        state::sweep(system, folder);
    }
}

fn fail(doing: &str, path: &Path, error: &std::io::Error) -> Error {
    Error::io(Kind::Failed, doing, path, error)
}

/// Whether a file is what it was before.
pub(crate) fn is_before(now: Option<&Snapshot>, before: &Before) -> bool {
    match (now, before) {
        (None, Before::Absent) => true,
        (Some(now), Before::File { stamp, .. }) => now.stamp == *stamp,
        _ => false,
    }
}

pub(crate) fn put_back(system: &System, journal: &Journal, path: &Path, before: &Before) -> Result<String> {
    match before {
        Before::Absent => {
            system.files.remove(path).map_err(|error| fail("remove", path, &error))?;
            Ok(format!("removed `{}`", path.display()))
        }
        Before::File { stamp, backup } => {
            let backup = journal.folder().join(backup);
            let bytes = fs::read(&backup).map_err(|error| fail("read the backup", &backup, &error))?;
            if sha256(&bytes) != stamp.sha256 {
                return Err(Error::failed(format!(
                    "the backup `{}` of `{}` is damaged",
                    backup.display(),
                    path.display()
                )));
            }
            system
                .files
                .write(path, &bytes, stamp.mode)
                .map_err(|error| fail("write", path, &error))?;
            Ok(format!("put back `{}`", path.display()))
        }
    }
}

/// The command that does by hand what undo did not.
pub(crate) fn by_hand(journal: &Journal, path: &Path, before: &Before) -> String {
    match before {
        Before::Absent => format!("rm {}", path.display()),
        Before::File { backup, .. } => format!("cp {} {}", journal.folder().join(backup).display(), path.display()),
    }
}

fn file(system: &System, journal: &Journal, path: &Path, before: &Before, after: &Stamp) -> Result<Outcome> {
    let now = snapshot::read(path)?;
    if is_before(now.as_ref(), before) {
        return Ok(Outcome::Nothing);
    }
    match now {
        Some(now) if now.stamp.sha256 == after.sha256 => put_back(system, journal, path, before).map(Outcome::PutBack),
        Some(_) => Ok(Outcome::Kept(Kept {
            what: path.display().to_string(),
            why: "it was edited since".to_owned(),
            by_hand: by_hand(journal, path, before),
        })),
        None => Ok(Outcome::Kept(Kept {
            what: path.display().to_string(),
            why: "it was removed since".to_owned(),
            by_hand: by_hand(journal, path, before),
        })),
    }
}

/// Our block, as it was written.
struct Mine<'a> {
    comment: &'a str,
    block: &'a str,
    glue: usize,
}

fn block_of(system: &System, journal: &Journal, path: &Path, before: &Before, after: &Stamp, mine: &Mine<'_>) -> Result<Outcome> {
    let now = snapshot::read(path)?;
    if is_before(now.as_ref(), before) {
        return Ok(Outcome::Nothing);
    }
    // Removed together with its file: nothing of ours is left.
    let Some(now) = now else { return Ok(Outcome::Nothing) };
    if now.stamp == *after {
        return put_back(system, journal, path, before).map(Outcome::PutBack);
    }
    let kept = |why: &str| {
        Ok(Outcome::Kept(Kept {
            what: format!("the marked block in {}", path.display()),
            why: why.to_owned(),
            by_hand: format!("remove the lines between the signoz-setup markers in {}", path.display()),
        }))
    };
    let found = match block::find(&now.bytes, mine.comment) {
        Ok(Some(found)) => found,
        Ok(None) => return Ok(Outcome::Nothing),
        Err(line) => return kept(&format!("a marker in line {line} has lost its partner")),
    };
    if sha256(&found.body) != mine.block {
        // A killed run may not have got as far as writing its block over an older one of ours.
        let earlier = earlier_block(journal, before, mine.comment)?;
        return if earlier.as_deref() == Some(&found.body) {
            Ok(Outcome::Nothing)
        } else {
            kept("it was edited since")
        };
    }
    let rest = match earlier_block(journal, before, mine.comment)? {
        Some(earlier) => block::exchange(&now.bytes, mine.comment, &earlier),
        None => block::remove(&now.bytes, mine.comment, mine.glue),
    };
    let Ok(Some(rest)) = rest else {
        return kept("its markers cannot be told apart");
    };
    if rest.is_empty() && matches!(before, Before::Absent) {
        return put_back(system, journal, path, before).map(Outcome::PutBack);
    }
    system
        .files
        .write(path, &rest, now.stamp.mode)
        .map_err(|error| fail("write", path, &error))?;
    Ok(Outcome::PutBack(format!("took our block out of `{}`", path.display())))
}

/// The block that an earlier run of ours had put into the file.
fn earlier_block(journal: &Journal, before: &Before, comment: &str) -> Result<Option<Vec<u8>>> {
    let Before::File { backup, .. } = before else {
        return Ok(None);
    };
    let backup = journal.folder().join(backup);
    let bytes = fs::read(&backup).map_err(|error| fail("read the backup", &backup, &error))?;
    Ok(block::find(&bytes, comment).ok().flatten().map(|found| found.body))
}

/// What Python compiled from a file of ours is ours too.
fn remove_compiled(system: &System, path: &Path) {
    let (Some(folder), Some(stem)) = (path.parent(), path.file_stem().and_then(|stem| stem.to_str())) else {
        return;
    };
    if path.extension().is_none_or(|extension| extension != "py") {
        return;
    }
    let cache = folder.join("__pycache__");
    let Ok(entries) = fs::read_dir(&cache) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let compiled = name
            .to_str()
            .and_then(|name| name.strip_prefix(stem))
            .is_some_and(|rest| rest.starts_with('.') && rest.contains(".pyc"));
        if compiled {
            let _ = system.files.remove(&entry.path());
        }
    }
    let _ = system.files.remove_folder(&cache);
}

/// Removes the folders that a run created and that are empty by now: a step that was put back late leaves those of an earlier one.
///
/// # Errors
/// When an empty folder cannot be removed.
pub(crate) fn remove_all_folders(system: &System, journal: &Journal) -> Result<()> {
    for entry in journal.record.steps.iter().rev() {
        if let Receipt::File { folders, .. } | Receipt::Block { folders, .. } = &entry.receipt {
            remove_folders(system, folders)?;
        }
    }
    Ok(())
}

fn remove_folders(system: &System, folders: &[PathBuf]) -> Result<()> {
    for folder in folders.iter().rev() {
        system
            .files
            .remove_folder(folder)
            .map_err(|error| fail("remove the folder", folder, &error))?;
    }
    Ok(())
}

/// Removes the backups that nothing refers to any more: they may hold what was private.
pub(crate) fn forget_backups(system: &System, journal: &Journal) {
    for entry in journal.record.steps.iter().filter(|entry| entry.state != EntryState::Kept) {
        forget_backup(system, journal, &entry.receipt);
    }
}

/// Removes the backups of one step.
pub(crate) fn forget_backup(system: &System, journal: &Journal, receipt: &Receipt) {
    let files: Vec<&Before> = match receipt {
        Receipt::File { before, .. } | Receipt::Block { before, .. } => vec![before],
        Receipt::Packages { files, .. } => files.iter().map(|file| &file.before).collect(),
        Receipt::Command { .. } => Vec::new(),
    };
    for before in files {
        if let Before::File { backup, .. } = before {
            let _ = system.files.remove(&journal.folder().join(backup));
        }
    }
}

/// Whether everything of a journal was dealt with.
pub(crate) fn all_settled(journal: &Journal) -> bool {
    journal.record.state == RunState::Undone
        || journal
            .record
            .steps
            .iter()
            .all(|entry| matches!(entry.state, EntryState::Reverted | EntryState::Kept))
}
