//! The state folder: private, ours, and never another person's.

use super::journal;
use crate::domain::detection::Host;
use crate::error::{Error, Kind, Result};
use crate::system::System;
use std::fs::{self, File, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// The folder of a project's journals.
pub(crate) fn folder(system: &System, project: &Path) -> PathBuf {
    system.state.join("projects").join(journal::key(project))
}

/// The right to change a project; one run has it at a time. Given back when dropped, or when the process ends in any way.
#[derive(Debug)]
pub struct Lock {
    file: File,
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing would not do: a child that is just being started still has the file open.
        let _ = self.file.unlock();
    }
}

/// Takes the project's lock. Take it before [`super::diff`] and hold it until the run is over.
///
/// # Errors
/// Refused (exit 3) with the other run's process id, or when the state folder is not ours.
pub fn lock(system: &System, project: &Path) -> Result<Lock> {
    prepare(system, project)?;
    let path = folder(system, project).join("lock");
    let cannot = |error: std::io::Error| Error::io(Kind::Refused, "open the lock", &path, &error);
    let mut file = fs::OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(no_follow())
        .open(&path)
        .map_err(cannot)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            let _ = file.read_to_string(&mut holder);
            let holder = holder.trim();
            return Err(Error::refused(format!(
                "another run is at work on `{}`{}",
                project.display(),
                if holder.is_empty() {
                    String::new()
                } else {
                    format!(": process {holder}")
                }
            ))
            .remedy("wait until it has ended, then run again"));
        }
        Err(TryLockError::Error(error)) => return Err(Error::io(Kind::Refused, "lock", &path, &error)),
    }
    // The number is for the message above only; the lock is the kernel's.
    let _ = file.set_len(0);
    let _ = file.rewind();
    let _ = writeln!(file, "{}", std::process::id());
    sweep(system, &folder(system, project));
    sweep(system, &folder(system, project).join("backups"));
    Ok(Lock { file })
}

/// `O_NOFOLLOW`, so that a planted link cannot make us write elsewhere.
fn no_follow() -> i32 {
    i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits()).unwrap_or(0)
}

/// Creates the private folders of a project, and refuses those that are another's.
fn prepare(system: &System, project: &Path) -> Result<()> {
    let project = folder(system, project);
    let folders = [
        system.state.clone(),
        system.state.join("projects"),
        project.clone(),
        project.join("backups"),
    ];
    for folder in &folders {
        system.files.create_folder(folder, 0o700).map_err(|error| {
            Error::io(Kind::Refused, "create the state folder", folder, &error)
                .remedy("choose another place for it with the variable `XDG_STATE_HOME`")
        })?;
        let metadata = fs::symlink_metadata(folder).map_err(|error| Error::io(Kind::Refused, "look at", folder, &error))?;
        if !metadata.is_dir() {
            return Err(
                Error::refused(format!("the state folder `{}` is not a real folder", folder.display()))
                    .because("journals and backups may hold private text, and a link would put them where others read")
                    .remedy(format!(
                        "remove `{}`, or set the variable `XDG_STATE_HOME` to a folder of yours",
                        folder.display()
                    )),
            );
        }
        let user = rustix::process::geteuid().as_raw();
        if metadata.uid() != user {
            return Err(Error::refused(format!(
                "the state folder `{}` belongs to user {}, and this run is user {user}",
                folder.display(),
                metadata.uid()
            ))
            .remedy("run as the owner, without sudo; or set the variable `XDG_STATE_HOME` to a folder of yours"));
        }
        if metadata.permissions().mode() & 0o077 != 0 {
            system
                .files
                .set_mode(folder, 0o700)
                .map_err(|error| Error::io(Kind::Refused, "make private", folder, &error))?;
        }
    }
    Ok(())
}

/// Removes what a killed write left behind in a folder: our temporary siblings, by their exact form of name.
pub(crate) fn sweep(system: &System, folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let ours = name
            .to_str()
            .and_then(|name| name.strip_prefix(".signoz-setup-"))
            .is_some_and(|rest| rest.len() == 6 && rest.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        if ours && entry.file_type().is_ok_and(|kind| kind.is_file()) {
            let _ = system.files.remove(&entry.path());
        }
    }
}

/// Refuses to work under sudo with another person's HOME.
///
/// # Errors
/// Refused (exit 3) with both paths.
pub fn refuse_foreign_home(host: &Host) -> Result<()> {
    let Some((variable, own)) = &host.foreign_home else {
        return Ok(());
    };
    Err(Error::refused(format!(
        "HOME is `{}`, but the home of the user who runs this is `{}`",
        variable.display(),
        own.display()
    ))
    .because("sudo kept the caller's HOME, and files written now could not be changed by their owner afterwards")
    .remedy("run without sudo")
    .remedy(format!(
        "to set up an app of that user, give sudo its own home: `sudo -H …` or `HOME={}`",
        own.display()
    )))
}
