//! What a file is at one moment: absent, or bytes with a hash and permission bits. Reads only.

use crate::error::{Error, Kind, Result};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Hash and permission bits of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    /// SHA-256 of the bytes, hexadecimal.
    pub sha256: String,
    /// Permission bits.
    pub mode: u32,
}

/// A file with its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Snapshot {
    pub(crate) bytes: Vec<u8>,
    pub(crate) stamp: Stamp,
}

/// SHA-256, hexadecimal.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Reads a file, symlinks followed; `None` when nothing is there.
///
/// # Errors
/// Refused (exit 3) when something is there that is no readable file: a folder, a dangling link, a file of another user.
pub(crate) fn read(path: &Path) -> Result<Option<Snapshot>> {
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if path.is_symlink() {
                return Err(
                    Error::refused(format!("`{}` is a symlink to a file that does not exist", path.display())).remedy(format!(
                        "create the file that it points to, or remove the link: `rm {}`",
                        path.display()
                    )),
                );
            }
            return Ok(None);
        }
        Err(error) => return Err(Error::io(Kind::Refused, "read", path, &error)),
    };
    if !metadata.is_file() {
        return Err(Error::refused(format!("`{}` is not a file", path.display())).remedy("move it away, then run again"));
    }
    let bytes = fs::read(path).map_err(|error| Error::io(Kind::Refused, "read", path, &error))?;
    let stamp = Stamp {
        sha256: sha256(&bytes),
        mode: metadata.permissions().mode() & 0o7777,
    };
    Ok(Some(Snapshot { bytes, stamp }))
}
