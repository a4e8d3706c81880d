//! What an environment holds, read from its metadata folders without starting Python.
//!
//! Format: Recording Installed Projects (PyPA specification); `METADATA` is an e-mail-like header block.

use crate::domain::Distribution;
use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

/// All distributions in these `site-packages` folders, by normalised name; the first folder wins, as on `sys.path`.
#[must_use]
pub fn read(site_packages: &[PathBuf]) -> BTreeMap<String, Distribution> {
    let mut found = BTreeMap::new();
    for folder in site_packages {
        let Ok(entries) = fs::read_dir(folder) else { continue };
        for entry in entries.flatten() {
            if let Some(distribution) = distribution(&entry.path()) {
                found.entry(distribution.name.clone()).or_insert(distribution);
            }
        }
    }
    found
}

/// PEP 503: lower case, runs of `-`, `_` and `.` become one `-`.
#[must_use]
pub fn normalise(name: &str) -> String {
    let mut normal = String::with_capacity(name.len());
    for character in name.trim().chars() {
        match character {
            '-' | '_' | '.' => {
                if !normal.ends_with('-') {
                    normal.push('-');
                }
            }
            other => normal.extend(other.to_lowercase()),
        }
    }
    normal
}

fn distribution(path: &Path) -> Option<Distribution> {
    let file = match path.extension()?.to_str()? {
        "dist-info" => path.join("METADATA"),
        "egg-info" if path.is_dir() => path.join("PKG-INFO"),
        "egg-info" => path.to_path_buf(),
        _ => return None,
    };
    // Opening a FIFO would wait for a writer that may never come.
    if !fs::metadata(&file).ok()?.is_file() {
        return None;
    }
    let (mut name, mut version, mut requires) = (None, None, Vec::new());
    for line in BufReader::new(fs::File::open(file).ok()?).lines().map_while(Result::ok) {
        // The header block ends at the first empty line; the description that follows may be long.
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("Name:") {
            name = Some(normalise(value));
        } else if let Some(value) = line.strip_prefix("Version:") {
            version = Some(value.trim().to_owned());
        } else if let Some(value) = line.strip_prefix("Requires-Dist:") {
            requires.push(value.trim().to_owned());
        }
    }
    Some(Distribution {
        name: name?,
        version: version?,
        requires,
        location: path.to_path_buf(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_read_and_names_are_normal() {
        let folder = tempfile::tempdir().unwrap();
        let info = folder.path().join("Foo_Bar-1.2.dist-info");
        fs::create_dir(&info).unwrap();
        fs::write(
            info.join("METADATA"),
            "Metadata-Version: 2.1\nName: Foo._Bar\nVersion: 1.2\nRequires-Dist: x (>=1)\n\nName: not-this\n",
        )
        .unwrap();
        let found = read(&[folder.path().to_path_buf()]);
        let foo = &found["foo-bar"];
        assert_eq!(
            (foo.version.as_str(), foo.requires.as_slice()),
            ("1.2", ["x (>=1)".to_owned()].as_slice())
        );
    }
}
