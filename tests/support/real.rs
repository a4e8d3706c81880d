//! A real project as it stands, and a real receiver, for tests through the built program.
#![allow(dead_code, clippy::unwrap_used, clippy::panic, reason = "each test file uses its part")]

use super::program::{Program, stdout};
use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Files with their modes and bytes; and packages.
pub type Picture = (BTreeMap<PathBuf, (u32, Vec<u8>)>, Vec<String>);

/// Every file of the project but the environment's, with its mode; and the environment's packages.
pub fn picture(folder: &Path) -> Picture {
    let mut files = BTreeMap::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).unwrap().flatten() {
            let path = entry.path();
            if path.ends_with(".venv") {
                continue;
            }
            let mode = fs::symlink_metadata(&path).unwrap().permissions().mode();
            if path.is_dir() {
                files.insert(path.clone(), (mode, Vec::new()));
                folders.push(path);
            } else {
                files.insert(path.clone(), (mode, fs::read(&path).unwrap()));
            }
        }
    }
    let listed = Command::new(folder.join(".venv/bin/python"))
        .args(["-m", "pip", "list", "--format=freeze"])
        .output()
        .unwrap();
    (files, stdout(&listed).lines().map(str::to_owned).collect())
}

/// The program's own receiver, on free ports.
pub struct Receiver {
    child: Child,
    /// Where it takes gRPC.
    pub endpoint: String,
}

impl Receiver {
    /// Starts it.
    pub fn start(program: &Program) -> Self {
        let mut child = program
            .command(["--tap", "--grpc-port", "0", "--http-port", "0"])
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut reader = BufReader::new(child.stderr.take().unwrap());
        reader.read_line(&mut line).unwrap();
        let endpoint = line
            .split_whitespace()
            .find(|word| word.starts_with("http://"))
            .unwrap_or_else(|| panic!("{line}"))
            .to_owned();
        // Somebody has to read what it says, or it would wait for that one day.
        std::thread::spawn(move || reader.read_to_string(&mut String::new()));
        Self { child, endpoint }
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
