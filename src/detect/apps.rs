//! Several apps in one folder: each has its own dependencies or its own start command.

use super::sources::Origin;
use super::text::evidence;
use super::walk::{Kind, Tree, is_aside};
use crate::domain::detection::{App, Evidence, Server};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Files that make a folder an app of its own.
const OWN: &[Kind] = &[
    Kind::Requirements,
    Kind::Pyproject,
    Kind::Pipfile,
    Kind::SetupPy,
    Kind::SetupCfg,
    Kind::CondaFile,
];

/// Folders with their own dependency file, relative to the project, each with that file.
fn with_dependencies(tree: &Tree) -> BTreeMap<PathBuf, Vec<Evidence>> {
    let mut found: BTreeMap<PathBuf, Vec<Evidence>> = BTreeMap::new();
    for kind in OWN {
        for path in tree.of(*kind).filter(|path| !is_aside(path)) {
            let mut folder = path.parent().unwrap_or(Path::new(""));
            // `requirements/base.txt` belongs to the folder above.
            if *kind == Kind::Requirements
                && folder
                    .file_name()
                    .is_some_and(|name| name.to_string_lossy().contains("requirements"))
            {
                folder = folder.parent().unwrap_or(Path::new(""));
            }
            found
                .entry(normal(folder))
                .or_default()
                .push(evidence(path.display().to_string(), "dependencies of its own"));
        }
    }
    // A pyproject that only configures tools, or names the members of a workspace, lies beside no code.
    found.retain(|folder, because| tree.has_python_below(folder) || because.len() > 1);
    found
}

/// The same folders, absolute: environments may lie beside them.
pub(super) fn folders(project: &Path, tree: &Tree) -> Vec<PathBuf> {
    with_dependencies(tree).into_keys().map(|folder| project.join(folder)).collect()
}

/// Lists the apps, when there is more than one.
pub(super) fn find(tree: &Tree, servers: &[(Origin, Server)]) -> Vec<App> {
    let mut found = with_dependencies(tree);
    for (origin, server) in servers {
        let written = !matches!(origin, Origin::Guess | Origin::Makefile | Origin::Script);
        let known = found
            .keys()
            .any(|folder| folder != Path::new(".") && server.directory.starts_with(folder));
        if written && server.directory.is_relative() && !known && tree.has_python(&server.directory) {
            found
                .entry(normal(&server.directory))
                .or_default()
                .extend(server.because.iter().take(1).cloned());
        }
    }
    // The root of a workspace is an app only when something in it starts or is written there.
    if found.len() > 1 && found.contains_key(Path::new(".")) {
        let starts = servers.iter().any(|(_, server)| server.directory == Path::new("."));
        if !starts && !tree.has_python(Path::new(".")) {
            found.remove(Path::new("."));
        }
    }
    if found.len() < 2 {
        return Vec::new();
    }
    found.into_iter().map(|(directory, because)| App { directory, because }).collect()
}

fn normal(folder: &Path) -> PathBuf {
    if folder.as_os_str().is_empty() {
        PathBuf::from(".")
    } else {
        folder.to_path_buf()
    }
}
