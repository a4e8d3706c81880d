//! What may not be written to: links inside `.signoz/`, and secrets in a file that git tracks.

use crate::error::{Error, Result};
use crate::system::{Invocation, System};
use std::fs;
use std::path::{Path, PathBuf};

/// The folder that is ours.
const OURS: &str = ".signoz";

/// Refuses a symlink at or above a file of ours, as far as `.signoz`: a link there leads our writes elsewhere.
///
/// # Errors
/// Refused (exit 3) with the link.
pub(crate) fn refuse_link(path: &Path) -> Result<()> {
    if !path.components().any(|part| part.as_os_str() == OURS) {
        return Ok(());
    }
    for part in path.ancestors() {
        if part.is_symlink() {
            return Err(Error::refused(format!(
                "`{}` is a symlink, and files of ours are never written through one",
                part.display()
            ))
            .remedy(format!("remove the link: `rm {}`", part.display())));
        }
        if part.file_name().is_some_and(|name| name == OURS) {
            break;
        }
    }
    Ok(())
}

/// Refuses to put a secret into a file that git tracks.
///
/// # Errors
/// Refused (exit 3) with the command that ends the tracking.
pub(crate) fn refuse_tracked(system: &System, path: &Path) -> Result<()> {
    let Some((root, index)) = repository(path) else {
        return Ok(());
    };
    let Ok(relative) = path.strip_prefix(&root) else { return Ok(()) };
    let tracked = match system.which("git") {
        Some(git) => {
            let argv = [
                git.to_string_lossy().into_owned(),
                "ls-files".to_owned(),
                "--error-unmatch".to_owned(),
                "--".to_owned(),
                relative.to_string_lossy().into_owned(),
            ];
            let invocation = Invocation::new(argv).within(&root).without("GIT_DIR").without("GIT_WORK_TREE");
            system
                .commands
                .run(&invocation, &mut |_| {})
                .is_ok_and(|finished| finished.success())
        }
        None => index.is_some_and(|index| index_names(&index, relative)),
    };
    if !tracked {
        return Ok(());
    }
    Err(Error::refused(format!(
        "git tracks `{}`, and the ingestion key would be committed with it",
        path.display()
    ))
    .remedy(format!("end the tracking: `git rm --cached {}`, then commit", relative.display()))
    .remedy("if a key was ever committed there, rotate it in SigNoz: it stays in the history"))
}

/// The work tree that a path is in, and its index file.
fn repository(path: &Path) -> Option<(PathBuf, Option<PathBuf>)> {
    path.ancestors().skip(1).find_map(|folder| {
        let git = folder.join(".git");
        let index = git.join("index");
        git.exists().then(|| (folder.to_path_buf(), index.is_file().then_some(index)))
    })
}

/// Whether an index names a path: without git itself, a path is recognised by its bytes and the NUL that ends it
/// (gitformat-index(5), versions 2 and 3).
fn index_names(index: &Path, relative: &Path) -> bool {
    use std::os::unix::ffi::OsStrExt;
    let mut needle = relative.as_os_str().as_bytes().to_vec();
    needle.push(0);
    fs::read(index).is_ok_and(|bytes| bytes.windows(needle.len()).any(|window| window == needle))
}
