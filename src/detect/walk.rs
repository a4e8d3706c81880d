//! The one walk over the project: parallel, bounded, `.gitignore` honoured; which files are worth reading, by name alone.
//!
//! May never follow a symlink, enter an environment, or leave the project's file system.

use ignore::{DirEntry, WalkBuilder, WalkState};
use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// Folders below the project that are looked into.
const DEPTH: usize = 8;
/// Files that are looked at, by name.
const CAP: usize = 200_000;

/// Why a file is worth reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Procfile,
    Unit,
    /// Any `.conf` or `.ini` that may hold `[program:x]` or `[uwsgi]`.
    Ini,
    Compose,
    Dockerfile,
    Pyproject,
    SetupCfg,
    SetupPy,
    Requirements,
    Pipfile,
    CondaFile,
    Makefile,
    Shell,
    /// A Python file whose name promises a start: `app.py`, `manage.py`, `wsgi.py`, …
    Entry,
    /// Any other Python file.
    Python,
    /// A manifest, chart or kustomization.
    Manifest,
    /// Any other YAML: perhaps a collector's configuration or a chart's values.
    Yaml,
}

/// A file worth reading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) kind: Kind,
    /// Relative to the project.
    pub(super) path: PathBuf,
    /// Folders between the project and the file.
    depth: usize,
}

/// What the walk saw.
#[derive(Debug, Default)]
pub(super) struct Tree {
    /// Shallow files first, then by name: the same on every run.
    pub(super) files: Vec<Found>,
    /// Folders (relative) in which a Python file lies: true where directly, false where only below.
    python: HashMap<PathBuf, bool>,
    /// Folders with a `pyvenv.cfg` or `conda-meta`, absolute.
    pub(super) environments: BTreeSet<PathBuf>,
    /// Number of files seen.
    pub(super) seen: usize,
    /// What could not be looked at.
    pub(super) notes: Vec<String>,
}

impl Tree {
    /// The files of a kind, shallow first.
    pub(super) fn of(&self, kind: Kind) -> impl Iterator<Item = &Path> {
        self.files
            .iter()
            .filter(move |found| found.kind == kind)
            .map(|found| found.path.as_path())
    }

    /// Whether a Python file lies directly in this folder (relative to the project).
    pub(super) fn has_python(&self, folder: &Path) -> bool {
        self.python.get(bare(folder)).copied().unwrap_or_default()
    }

    /// Whether a Python file lies anywhere in this folder.
    pub(super) fn has_python_below(&self, folder: &Path) -> bool {
        self.python.contains_key(bare(folder))
    }

    fn note_python_folders(&mut self) {
        let python = self.files.iter().filter(|found| matches!(found.kind, Kind::Entry | Kind::Python));
        for folder in python.filter_map(|found| found.path.parent()) {
            if self.python.get(folder) == Some(&true) {
                continue;
            }
            for above in folder.ancestors().skip(1) {
                self.python.entry(above.to_path_buf()).or_insert(false);
            }
            self.python.insert(folder.to_path_buf(), true);
        }
    }
}

/// `.` as the empty path that `parent()` gives.
fn bare(folder: &Path) -> &Path {
    if folder == Path::new(".") { Path::new("") } else { folder }
}

/// Walks the project once.
pub(super) fn walk(project: &Path) -> Tree {
    let repository = project.ancestors().any(|folder| folder.join(".git").exists());
    let mut tree = pass(project, true, repository);
    // A project that someone ignores as a whole (a build folder, a dotfile repository in HOME) is still the one we were given.
    if tree.files.is_empty() && repository {
        tree = pass(project, false, false);
    }
    tree
}

fn pass(project: &Path, git: bool, parents: bool) -> Tree {
    let seen = AtomicUsize::new(0);
    let gathered = Mutex::new(Tree::default());
    let threads = std::thread::available_parallelism().map_or(2, std::num::NonZero::get).min(8);
    let environments = std::sync::Arc::new(Mutex::new(BTreeSet::new()));
    let noticed = environments.clone();
    WalkBuilder::new(project)
        .max_depth(Some(DEPTH))
        .threads(threads)
        .follow_links(false)
        .same_file_system(true)
        .hidden(false)
        .ignore(false)
        .git_global(false)
        .git_ignore(git)
        .git_exclude(git)
        .require_git(false)
        .parents(parents)
        .filter_entry(move |entry| entry.depth() == 0 || enter(entry, &noticed))
        .build_parallel()
        .run(|| {
            let mut batch = Batch {
                files: Vec::new(),
                notes: Vec::new(),
                gathered: &gathered,
            };
            let seen = &seen;
            Box::new(move |entry| {
                let entry = match entry {
                    Ok(entry) => entry,
                    Err(error) => {
                        batch.notes.push(super::text::clean(&format!("not looked at: {error}")));
                        return WalkState::Continue;
                    }
                };
                if !entry.file_type().is_some_and(|kind| kind.is_file()) {
                    return WalkState::Continue;
                }
                if seen.fetch_add(1, Ordering::Relaxed) >= CAP {
                    return WalkState::Quit;
                }
                if let Ok(path) = entry.path().strip_prefix(project)
                    && let Some(kind) = classify(path)
                {
                    batch.files.push(Found {
                        kind,
                        path: path.to_path_buf(),
                        depth: entry.depth(),
                    });
                }
                WalkState::Continue
            })
        });
    let mut tree = gathered.into_inner().unwrap_or_else(PoisonError::into_inner);
    tree.files
        .sort_unstable_by(|a, b| (a.depth, a.path.as_os_str()).cmp(&(b.depth, b.path.as_os_str())));
    tree.note_python_folders();
    tree.notes.sort();
    tree.notes.truncate(20);
    tree.seen = seen.into_inner();
    if tree.seen > CAP {
        tree.seen = CAP;
        tree.notes.push(format!(
            "the folder holds more than {CAP} files; the rest was not looked at, so name the app's own folder as DIR"
        ));
    }
    let mut roots = environments.lock().unwrap_or_else(PoisonError::into_inner);
    tree.environments = std::mem::take(&mut *roots);
    drop(roots);
    tree.environments.extend(environments_beside(project));
    tree
}

/// One thread's finds, handed over when it ends: no lock for each file.
struct Batch<'a> {
    files: Vec<Found>,
    notes: Vec<String>,
    gathered: &'a Mutex<Tree>,
}

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        let mut tree = self.gathered.lock().unwrap_or_else(PoisonError::into_inner);
        tree.files.append(&mut self.files);
        tree.notes.append(&mut self.notes);
    }
}

/// Folders that hold no app code, whatever they are called.
const SKIPPED: &[&str] = &[
    "node_modules",
    "bower_components",
    "__pycache__",
    "__pypackages__",
    "site-packages",
    "dist-packages",
    "lost+found",
];

fn enter(entry: &DirEntry, environments: &Mutex<BTreeSet<PathBuf>>) -> bool {
    let Some(name) = entry.file_name().to_str() else { return false };
    // A name that could steer the terminal is none that a person would want shown.
    if name.chars().any(char::is_control) {
        return false;
    }
    if !entry.file_type().is_some_and(|kind| kind.is_dir()) {
        return !name.starts_with('.');
    }
    if SKIPPED.contains(&name) {
        return false;
    }
    if is_environment(entry.path()) {
        environments
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(entry.path().to_path_buf());
        return false;
    }
    !name.starts_with('.') || name == ".docker"
}

/// Whether a folder is the root of a Python environment.
pub(super) fn is_environment(folder: &Path) -> bool {
    folder.join("pyvenv.cfg").exists() || folder.join("conda-meta").is_dir()
}

/// Environments directly in a folder, those that `.gitignore` hides included (it nearly always hides them).
pub(super) fn environments_beside(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut found: Vec<PathBuf> = entries
        .flatten()
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir() || kind.is_symlink()))
        .map(|entry| entry.path())
        .filter(|path| is_environment(path))
        .collect();
    found.sort();
    found
}

/// Python files that often start something.
const ENTRIES: &[&str] = &[
    "app.py",
    "main.py",
    "manage.py",
    "wsgi.py",
    "asgi.py",
    "server.py",
    "run.py",
    "application.py",
    "__main__.py",
    "celery.py",
    "celery_app.py",
    "celeryapp.py",
    "tasks.py",
    "worker.py",
    "api.py",
    "web.py",
    "serve.py",
];

/// Folders whose YAML files are worth reading for manifests.
const MANIFEST_FOLDERS: &[&str] = &[
    "k8s",
    "kubernetes",
    "kube",
    "manifests",
    "deploy",
    "deployment",
    "helm",
    "charts",
    "chart",
    "kustomize",
    "overlays",
    "base",
    "templates",
    ".k8s",
];

fn classify(path: &Path) -> Option<Kind> {
    let name = path.file_name()?.to_str()?;
    let (stem, extension) = name.rsplit_once('.').unwrap_or((name, ""));
    // What an earlier run of ours wrote says nothing about the app.
    if name.contains(".signoz") || name.starts_with("signoz-setup") {
        return None;
    }
    let parent = path
        .parent()
        .and_then(Path::file_name)
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    match extension {
        "py" if ENTRIES.contains(&name) => Some(Kind::Entry),
        // The application factory of a Flask package near the top.
        "py" if name == "__init__.py" && path.components().count() <= 3 => Some(Kind::Entry),
        "py" if name == "setup.py" => Some(Kind::SetupPy),
        "py" => Some(Kind::Python),
        "service" => Some(Kind::Unit),
        "sh" | "bash" => Some(Kind::Shell),
        "conf" | "ini" => Some(Kind::Ini),
        "toml" if name == "pyproject.toml" => Some(Kind::Pyproject),
        "cfg" if name == "setup.cfg" => Some(Kind::SetupCfg),
        "txt" | "in" if name.contains("requirements") || parent.contains("requirements") => Some(Kind::Requirements),
        "yml" | "yaml" if stem.starts_with("compose") || stem.starts_with("docker-compose") => Some(Kind::Compose),
        "yml" | "yaml" if matches!(stem, "environment" | "conda") => Some(Kind::CondaFile),
        "yml" | "yaml"
            if matches!(stem, "Chart" | "kustomization" | "deployment" | "k8s" | "kubernetes") || MANIFEST_FOLDERS.contains(&parent) =>
        {
            Some(Kind::Manifest)
        }
        "yml" | "yaml" => Some(Kind::Yaml),
        "mk" => Some(Kind::Makefile),
        _ if name == "Procfile" || name.starts_with("Procfile.") => Some(Kind::Procfile),
        _ if matches!(stem, "Dockerfile" | "Containerfile") || matches!(extension, "Dockerfile" | "dockerfile") => Some(Kind::Dockerfile),
        _ if matches!(name, "Makefile" | "makefile" | "GNUmakefile") => Some(Kind::Makefile),
        _ if name == "Pipfile" => Some(Kind::Pipfile),
        _ if matches!(name, "entrypoint" | "start" | "run" | "serve" | "docker-entrypoint") => Some(Kind::Shell),
        _ => None,
    }
}

/// Whether a file belongs to tests or examples: real code, but not how the app is started.
pub(super) fn is_aside(path: &Path) -> bool {
    path.components().any(|component| {
        component.as_os_str().to_str().is_some_and(|name| {
            matches!(
                name,
                "tests" | "test" | "testing" | "docs" | "doc" | "examples" | "example" | "samples" | "e2e" | "fixtures" | "benchmarks"
            ) || name.starts_with("test_")
                || name == "conftest.py"
        })
    })
}
