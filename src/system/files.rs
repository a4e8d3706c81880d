//! Writing: atomic, polite, and the one seam at which tests make the disk fail.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Every write that the program makes, so that a test can fail the n-th one.
pub trait Files: Send + Sync {
    /// Writes a whole file through a temporary sibling, fsync and rename. The mode holds from the first byte;
    /// a symlink is followed, so that the link stays a link. Owner and group of an existing file are kept where permitted.
    ///
    /// # Errors
    /// Whatever the operating system says; the old file is then untouched.
    fn write(&self, path: &Path, bytes: &[u8], mode: u32) -> io::Result<()>;

    /// Removes a file; absent is fine.
    ///
    /// # Errors
    /// Whatever the operating system says.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Creates a folder and its parents with a mode for those that are new; returns those it created, outermost first.
    ///
    /// # Errors
    /// Whatever the operating system says.
    fn create_folder(&self, path: &Path, mode: u32) -> io::Result<Vec<PathBuf>>;

    /// Removes a folder if it is empty; absent or not empty is fine and returns false.
    ///
    /// # Errors
    /// Whatever the operating system says.
    fn remove_folder(&self, path: &Path) -> io::Result<bool>;

    /// Removes a folder with all that is in it: only for what an interrupted installer has set aside.
    ///
    /// # Errors
    /// Whatever the operating system says.
    fn remove_tree(&self, path: &Path) -> io::Result<()> {
        fs::remove_dir_all(path)
    }

    /// Sets permission bits.
    ///
    /// # Errors
    /// Whatever the operating system says.
    fn set_mode(&self, path: &Path, mode: u32) -> io::Result<()>;
}

/// The real disk.
#[derive(Debug, Clone, Copy, Default)]
pub struct RealFiles;

impl Files for RealFiles {
    fn write(&self, path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
        let target = match fs::symlink_metadata(path) {
            Ok(metadata) if metadata.is_symlink() => fs::canonicalize(path)?,
            _ => path.to_path_buf(),
        };
        let folder = target
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        let mut temporary = tempfile::Builder::new()
            .prefix(".signoz-setup-")
            .permissions(fs::Permissions::from_mode(0o600))
            .tempfile_in(folder)?;
        temporary.write_all(bytes)?;
        if let Ok(existing) = fs::metadata(&target) {
            use std::os::unix::fs::MetadataExt;
            // Only root may give files away; for anyone else the file is theirs already.
            let _ = std::os::unix::fs::fchown(temporary.as_file(), Some(existing.uid()), Some(existing.gid()));
        }
        temporary.as_file().set_permissions(fs::Permissions::from_mode(mode))?;
        temporary.as_file().sync_all()?;
        temporary.persist(&target).map_err(|error| error.error)?;
        // The rename itself must survive a power cut too.
        fs::File::open(folder)?.sync_all()
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        match fs::remove_file(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }

    fn create_folder(&self, path: &Path, mode: u32) -> io::Result<Vec<PathBuf>> {
        let mut missing: Vec<PathBuf> = path
            .ancestors()
            .take_while(|folder| !folder.as_os_str().is_empty() && !folder.exists())
            .map(Path::to_path_buf)
            .collect();
        missing.reverse();
        for folder in &missing {
            fs::DirBuilder::new().mode(mode).create(folder)?;
        }
        Ok(missing)
    }

    fn remove_folder(&self, path: &Path) -> io::Result<bool> {
        match fs::remove_dir(path) {
            Ok(()) => Ok(true),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::DirectoryNotEmpty) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn set_mode(&self, path: &Path, mode: u32) -> io::Result<()> {
        fs::set_permissions(path, fs::Permissions::from_mode(mode))
    }
}

/// Opens a file for appending that only its owner can read, from its first byte.
///
/// # Errors
/// Whatever the operating system says.
pub fn open_private(path: &Path) -> io::Result<fs::File> {
    let file = fs::OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
    // A file that was there before may be open to others.
    if file.metadata()?.is_file() {
        file.set_permissions(fs::Permissions::from_mode(0o600))?;
    }
    Ok(file)
}
