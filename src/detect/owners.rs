//! Which tool owns the project's packages, and where each tool keeps the project's environment.

use super::text;
use super::walk::is_environment;
use crate::domain::PackageTool;
use crate::domain::detection::{EnvironmentKind, PythonEnvironment};
use crate::system::System;
use sha2::{Digest, Sha256};
use std::fs;
use std::path::{Path, PathBuf};
use toml_edit::{Document, Item};

/// A sign in the project that a tool owns its packages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) tool: PackageTool,
    /// The folder that holds the lock file or table.
    pub(super) folder: PathBuf,
    /// `uv.lock`, `pyproject.toml`.
    pub(super) file: &'static str,
}

/// Lock files and tables, the first that is found wins.
const SIGNS: &[(&str, Option<&[&str]>, PackageTool)] = &[
    ("uv.lock", None, PackageTool::UvProject),
    ("poetry.lock", None, PackageTool::Poetry),
    ("pdm.lock", None, PackageTool::Pdm),
    ("pyproject.toml", Some(&["tool", "poetry"]), PackageTool::Poetry),
    ("pyproject.toml", Some(&["tool", "pdm"]), PackageTool::Pdm),
    ("Pipfile", None, PackageTool::Pipenv),
];

/// The folders from the project up to the root of its repository, the project first.
pub(super) fn upwards(project: &Path) -> Vec<PathBuf> {
    let repository = project.ancestors().find(|folder| folder.join(".git").exists());
    project
        .ancestors()
        .take_while(|folder| repository.is_some_and(|root| folder.starts_with(root)) || *folder == project)
        .map(Path::to_path_buf)
        .collect()
}

/// Tools that own the project, nearest folder first; several when the signs disagree.
pub(super) fn owners(project: &Path) -> Vec<Owner> {
    let mut found: Vec<Owner> = Vec::new();
    for folder in upwards(project) {
        let tables = text::read(&folder.join("pyproject.toml")).ok();
        let document = tables.as_deref().and_then(|content| Document::parse(content).ok());
        for (file, table, tool) in SIGNS {
            let there = match table {
                None => folder.join(file).is_file(),
                Some(keys) => document.as_ref().is_some_and(|document| has(document.as_item(), keys)),
            };
            if there && !found.iter().any(|owner| owner.tool == *tool) {
                found.push(Owner {
                    tool: *tool,
                    folder: folder.clone(),
                    file,
                });
            }
        }
    }
    found
}

fn has(mut item: &Item, keys: &[&str]) -> bool {
    for key in keys {
        match item.as_table_like().and_then(|table| table.get(key)) {
            Some(inner) => item = inner,
            None => return false,
        }
    }
    true
}

/// Environments that a tool keeps for a project, outside or inside of it.
pub(super) fn kept(system: &System, owner: &Owner) -> Vec<PathBuf> {
    let real = owner.folder.canonicalize().unwrap_or_else(|_| owner.folder.clone());
    let found = match owner.tool {
        PackageTool::Poetry => poetry(system, &owner.folder, &real),
        PackageTool::Pipenv => pipenv(system, &real),
        PackageTool::UvProject => system
            .var("UV_PROJECT_ENVIRONMENT")
            .map(|path| vec![owner.folder.join(path)])
            .unwrap_or_default(),
        _ => Vec::new(),
    };
    found.into_iter().filter(|root| is_environment(root)).collect()
}

/// `<cache>/virtualenvs/<name>-<hash>-py3.11`, hash being the first eight characters of the base64 SHA-256 of the folder
/// (poetry, `EnvManager.generate_env_name`). The name differs between poetry's releases; the hash is the folder's alone.
fn poetry(system: &System, folder: &Path, real: &Path) -> Vec<PathBuf> {
    let hash = base64_start(&Sha256::digest(real.to_string_lossy().as_bytes()));
    let folders = poetry_folders(system, folder);
    let mut found = named(&folders, |name| name.contains(&format!("-{hash}-py")));
    // `poetry env use` writes down which of several it would start.
    let used: Vec<String> = folders.iter().filter_map(|folder| poetry_used(folder, &hash)).collect();
    found.sort_by_key(|root| !used.iter().any(|name| root.file_name().is_some_and(|last| *last == **name)));
    found
}

/// Folders in which poetry keeps environments: its variables, `poetry.toml`, its own settings, its cache.
fn poetry_folders(system: &System, folder: &Path) -> Vec<PathBuf> {
    let home = |path: &str| system.home.as_ref().map(|home| home.join(path));
    let settings = [
        Some(folder.join("poetry.toml")),
        system.var("POETRY_CONFIG_DIR").map(|path| Path::new(path).join("config.toml")),
        system
            .var("XDG_CONFIG_HOME")
            .map(|path| Path::new(path).join("pypoetry/config.toml")),
        home(".config/pypoetry/config.toml"),
        home("Library/Application Support/pypoetry/config.toml"),
    ];
    let written = |keys: &[&str]| -> Vec<String> {
        let contents = settings.iter().flatten().filter_map(|file| text::read(file).ok());
        contents.filter_map(|content| string_at(&content, keys)).collect()
    };
    let mut caches: Vec<PathBuf> = system.var("POETRY_CACHE_DIR").map(PathBuf::from).into_iter().collect();
    caches.extend(written(&["cache-dir"]).into_iter().map(PathBuf::from));
    caches.extend(system.var("XDG_CACHE_HOME").map(|cache| Path::new(cache).join("pypoetry")));
    caches.extend([".cache/pypoetry", "Library/Caches/pypoetry"].into_iter().filter_map(home));
    let mut places: Vec<String> = system.var("POETRY_VIRTUALENVS_PATH").map(str::to_owned).into_iter().collect();
    places.extend(written(&["virtualenvs", "path"]));
    places.push("{cache-dir}/virtualenvs".to_owned());
    let mut found = Vec::new();
    for place in places {
        match place.strip_prefix("{cache-dir}") {
            Some(rest) => found.extend(caches.iter().map(|cache| cache.join(rest.trim_start_matches('/')))),
            None => match (place.strip_prefix("~/"), &system.home) {
                (Some(rest), Some(home)) => found.push(home.join(rest)),
                _ => found.push(PathBuf::from(place)),
            },
        }
    }
    found
}

/// The folder name that poetry's `envs.toml` names for this hash.
fn poetry_used(folder: &Path, hash: &str) -> Option<String> {
    let content = text::read(&folder.join("envs.toml")).ok()?;
    let document = Document::parse(content.as_str()).ok()?;
    document.as_item().as_table_like()?.iter().find_map(|(name, table)| {
        let minor = table.get("minor")?.as_str()?;
        name.ends_with(&format!("-{hash}")).then(|| format!("{name}-py{minor}"))
    })
}

fn string_at(content: &str, keys: &[&str]) -> Option<String> {
    let document = Document::parse(content).ok()?;
    let mut item = document.as_item();
    for key in keys {
        item = item.as_table_like()?.get(key)?;
    }
    item.as_str().map(str::to_owned)
}

/// `~/.local/share/virtualenvs/<name>-<hash>`, hash being the first eight characters of the base64 SHA-256 of the Pipfile's path
/// (pipenv, `Project._get_virtualenv_hash`); its `.project` file holds the project's folder. A file `.venv` may name another.
fn pipenv(system: &System, real: &Path) -> Vec<PathBuf> {
    let hash = base64_start(&Sha256::digest(real.join("Pipfile").to_string_lossy().as_bytes()));
    let home = system.home.as_ref().map(|home| home.join(".local/share/virtualenvs"));
    let data = system.var("XDG_DATA_HOME").map(|data| Path::new(data).join("virtualenvs"));
    let folders: Vec<PathBuf> = system
        .var("WORKON_HOME")
        .map(PathBuf::from)
        .into_iter()
        .chain(data)
        .chain(home)
        .collect();
    let file = text::read(&real.join(".venv")).ok();
    let chosen = [system.var("PIPENV_CUSTOM_VENV_NAME"), file.as_deref().map(str::trim)];
    let mut found: Vec<PathBuf> = chosen
        .into_iter()
        .flatten()
        .filter(|name| !name.is_empty())
        // An absolute path replaces the folder, a path with a slash is relative to the project, a name is one of pipenv's own.
        .flat_map(|name| {
            let inside = name.contains('/').then(|| real.join(name));
            let places: Vec<_> = inside.map_or_else(|| folders.iter().map(|folder| folder.join(name)).collect(), |path| vec![path]);
            places
        })
        .collect();
    let own = |root: &Path| text::read(&root.join(".project")).is_ok_and(|project| Path::new(project.trim()) == real);
    let prefix = real.file_name().and_then(|name| name.to_str()).map(pipenv_name).unwrap_or_default();
    let by_name = named(&folders, |name| name.starts_with(&format!("{prefix}-")));
    let hashed = format!("{prefix}-{hash}");
    found.extend(by_name.into_iter().filter(|root| {
        let name = root.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        // `PIPENV_PYTHON` adds the interpreter's name behind the hash.
        let rest = name.strip_prefix(&hashed);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-')) || own(root)
    }));
    found
}

fn pipenv_name(name: &str) -> String {
    name.chars()
        .take(42)
        .map(|c| if " &$`!*@\"()[]\\\r\n\t".contains(c) { '_' } else { c })
        .collect()
}

/// Folders in these folders whose name is wanted.
fn named(folders: &[PathBuf], wanted: impl Fn(&str) -> bool) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = folders
        .iter()
        .filter_map(|folder| fs::read_dir(folder).ok())
        .flat_map(Iterator::flatten)
        .filter(|entry| entry.file_name().to_str().is_some_and(&wanted))
        .map(|entry| entry.path())
        .collect();
    found.sort();
    found.dedup();
    found
}

/// The first eight characters of URL-safe base64.
fn base64_start(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    bytes
        .chunks(3)
        .take(2)
        .flat_map(|chunk| {
            let word = chunk.iter().fold(0_u32, |word, byte| word << 8 | u32::from(*byte));
            [18, 12, 6, 0].map(|shift| char::from(ALPHABET[(word >> shift & 63) as usize]))
        })
        .collect()
}

/// Says which tool installs into an environment. A tool is named only when the environment is the one that it would use itself.
pub(super) fn assign(system: &System, environment: &mut PythonEnvironment, owners: &[Owner]) {
    let Some(root) = environment.virtualenv.clone() else { return };
    if environment.kind == EnvironmentKind::Conda {
        return;
    }
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
    let mine = |owner: &Owner| {
        let inside = real(&owner.folder.join(".venv")) == real(&root);
        let elsewhere = kept(system, owner).iter().any(|kept| real(kept) == real(&root));
        let chosen = owner.tool == PackageTool::Pdm && pdm_interpreter(&owner.folder).is_some_and(|python| python.starts_with(&root));
        // uv with another folder set leaves `.venv` alone.
        let redirected = owner.tool == PackageTool::UvProject && system.var("UV_PROJECT_ENVIRONMENT").is_some();
        elsewhere || chosen || (inside && !redirected)
    };
    // `.pdm-python` says more than a lock file of another tool that was left behind.
    let best = owners.iter().filter(|owner| mine(owner)).max_by_key(|owner| {
        owner.tool == PackageTool::Pdm && pdm_interpreter(&owner.folder).is_some_and(|python| python.starts_with(&root))
    });
    let first = owners.iter().find(|owner| mine(owner));
    let owner = if best.is_some_and(|best| best.tool == PackageTool::Pdm) {
        best
    } else {
        first
    };
    let (tool, kind) = match owner.map(|owner| owner.tool) {
        Some(PackageTool::Poetry) => (PackageTool::Poetry, EnvironmentKind::Poetry),
        Some(PackageTool::Pdm) => (PackageTool::Pdm, EnvironmentKind::Pdm),
        Some(PackageTool::Pipenv) => (PackageTool::Pipenv, EnvironmentKind::Pipenv),
        Some(PackageTool::UvProject) => (PackageTool::UvProject, environment.kind),
        _ if !environment.has_pip => (PackageTool::Uv, environment.kind),
        _ => (PackageTool::Pip, environment.kind),
    };
    environment.package_manager = tool;
    environment.kind = kind;
    if let Some(owner) = owner {
        let source = owner.folder.join(owner.file);
        environment.because.push(text::evidence(
            source.display().to_string(),
            format!("{} owns the packages", tool.as_str()),
        ));
    }
}

/// The interpreter that PDM was told to use.
pub(super) fn pdm_interpreter(folder: &Path) -> Option<PathBuf> {
    let path = text::read(&folder.join(".pdm-python")).ok()?;
    Some(PathBuf::from(path.trim())).filter(|path| path.is_absolute())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn poetrys_own_folder_name_is_known() {
        // `base64.urlsafe_b64encode(hashlib.sha256(b"/srv/shop").digest()).decode()[:8]` in Python.
        assert_eq!(base64_start(&Sha256::digest(b"/srv/shop")), "58fqC6Q1");
    }
}
