//! Why an environment cannot be used, in one clause; told by its files, never by starting it.

use super::environment::minor;
use super::host::elf_arch;
use super::text::clean;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Oldest Python that set-up supports: the packages would take 3.7, but nothing here was ever run on it.
const OLDEST: (u32, u32) = (3, 8);

/// Newest Python that this project has been tested with.
const NEWEST: (u32, u32) = (3, 13);

/// What is wrong with an environment: its interpreter, its version, its packages' folder.
pub(super) fn broken(
    root: &Path,
    interpreter: &Path,
    version: &str,
    site_packages: &[PathBuf],
    folders: &[(String, PathBuf)],
) -> Option<String> {
    let Ok(link) = fs::symlink_metadata(interpreter) else {
        return Some("it has no `bin/python`".to_owned());
    };
    let Ok(real) = interpreter.canonicalize() else {
        let target = fs::read_link(interpreter).unwrap_or_default();
        return Some(if link.is_symlink() {
            clean(&format!(
                "its interpreter is a link to `{}`, which does not exist or leads nowhere",
                target.display()
            ))
        } else {
            "its interpreter cannot be reached".to_owned()
        });
    };
    if let Some(why) = unusable(&real).or_else(|| too_old(version)) {
        return Some(why);
    }
    if site_packages.is_empty() {
        return Some(match folders.first() {
            Some((other, _)) if minor(other) != minor(version) => {
                format!("its packages are for Python {other}, but it says that it is Python {version}")
            }
            _ => clean(&format!("it has no `site-packages` below `{}`", root.join("lib").display())),
        });
    }
    // The machine's Python moved on under a virtual environment that links to it.
    let linked = real
        .file_name()
        .and_then(|name| name.to_str())
        .and_then(|name| name.strip_prefix("python"))
        .and_then(minor);
    match (linked, minor(version)) {
        (Some(now), Some(made)) if now != made => Some(format!(
            "it was made for Python {}.{}, but its interpreter is now Python {}.{}",
            made.0, made.1, now.0, now.1
        )),
        _ => None,
    }
}

/// Not executable, or built for another processor.
pub(super) fn unusable(real: &Path) -> Option<String> {
    let metadata = fs::metadata(real).ok()?;
    if !metadata.is_file() || metadata.permissions().mode() & 0o111 == 0 {
        return Some("its interpreter is not an executable file".to_owned());
    }
    let built = elf_arch(real)?;
    let here = std::env::consts::ARCH;
    // A 64-bit x86 machine runs 32-bit programs.
    let runs = built == here || (here == "x86_64" && built == "x86");
    (!runs).then(|| format!("its interpreter was built for {built}, this machine is {here}"))
}

pub(super) fn too_old(version: &str) -> Option<String> {
    let found = minor(version)?;
    (found < OLDEST).then(|| {
        format!(
            "Python {version} is older than {}.{}, the oldest that set-up supports",
            OLDEST.0, OLDEST.1
        )
    })
}

/// What is said of a Python that nobody has tried yet; it is used all the same.
pub(super) fn untested(version: &str) -> Option<String> {
    (minor(version)? > NEWEST).then(|| {
        format!(
            "Python {version} is newer than {}.{}, the newest that was tested; expect gaps",
            NEWEST.0, NEWEST.1
        )
    })
}
