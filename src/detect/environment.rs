//! One Python environment, read from its files: version, packages, and why it cannot be used, if so.
//!
//! Python itself is started only when no file tells its version.

use super::host::elf_arch;
use super::text::{self, clean};
use crate::domain::PackageTool;
use crate::domain::detection::{EnvironmentKind, Evidence, PythonEnvironment};
use crate::system::{Invocation, System};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Oldest Python that set-up supports: the packages would take 3.7, but nothing here was ever run on it.
const OLDEST: (u32, u32) = (3, 8);

/// Newest Python that this project has been tested with.
const NEWEST: (u32, u32) = (3, 13);

/// How long an interpreter may take to say its version.
const DEADLINE: Duration = Duration::from_secs(3);

/// Reads the environment whose root this is; `None` when it is none.
pub(super) fn at_root(root: &Path, because: Vec<Evidence>) -> Option<PythonEnvironment> {
    if root.join("conda-meta").is_dir() {
        return Some(conda(root, because));
    }
    if !is_virtual(root) {
        return None;
    }
    // A `pyvenv.cfg` that cannot be read is still one: the folders below it tell the version.
    let config = text::read(&root.join("pyvenv.cfg"))
        .map(|content| keys(&content))
        .unwrap_or_default();
    let resolved = interpreter(root);
    let stated = config
        .get("version")
        .or_else(|| config.get("version_info"))
        .map(|text| plain_version(text));
    let folders = lib_folders(root);
    let version = stated
        .clone()
        .or_else(|| folders.first().map(|(version, _)| version.clone()))
        .unwrap_or_default();
    let minor = minor(&version);
    let mut site_packages: Vec<PathBuf> = folders
        .iter()
        .filter(|(found, _)| self::minor(found) == minor || folders.len() == 1)
        .map(|(_, folder)| folder.join("site-packages"))
        .filter(|folder| folder.is_dir())
        .collect();
    let broken = broken(root, &resolved, &version, &site_packages, &folders);
    let own_pip = has_pip(&site_packages);
    if config
        .get("include-system-site-packages")
        .is_some_and(|value| value.eq_ignore_ascii_case("true"))
        && let Ok(real) = resolved.canonicalize()
    {
        site_packages.extend(system_folders(&real, &version));
    }
    Some(PythonEnvironment {
        has_pip: own_pip || has_pip(&site_packages),
        interpreter: resolved,
        version,
        virtualenv: Some(root.to_path_buf()),
        kind: if config.contains_key("uv") {
            EnvironmentKind::Uv
        } else {
            EnvironmentKind::Venv
        },
        package_manager: PackageTool::Pip,
        site_packages,
        externally_managed: false,
        broken,
        because,
    })
}

/// Whether a folder is a virtual environment: by its `pyvenv.cfg`, or by what virtualenv left before version 20, which wrote none.
fn is_virtual(root: &Path) -> bool {
    root.join("pyvenv.cfg").exists() || root.join("bin/activate").is_file() && !lib_folders(root).is_empty()
}

/// Whether a folder is an environment of any kind.
pub(super) fn is_one(root: &Path) -> bool {
    root.join("conda-meta").is_dir() || is_virtual(root)
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

/// An interpreter or environment that was asked for and cannot be used.
pub(super) fn unusable_choice(path: &Path, why: &str, because: Vec<Evidence>) -> PythonEnvironment {
    PythonEnvironment {
        interpreter: path.to_path_buf(),
        version: String::new(),
        virtualenv: None,
        kind: EnvironmentKind::System,
        package_manager: PackageTool::Pip,
        site_packages: Vec::new(),
        has_pip: false,
        externally_managed: false,
        broken: Some(clean(why)),
        because,
    }
}

/// The environment that an interpreter belongs to: a virtual one, a conda prefix, or the machine's own Python.
pub(super) fn of_interpreter(system: &System, program: &Path, because: Vec<Evidence>) -> Option<PythonEnvironment> {
    let root = program.parent().filter(|bin| bin.ends_with("bin")).and_then(Path::parent);
    if let Some(root) = root
        && let Some(found) = at_root(root, because.clone())
    {
        // `bin/gunicorn` names the environment, but does not interpret.
        let name = program.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let interprets = name.starts_with("python") || name.starts_with("pypy");
        let interpreter = if interprets {
            program.to_path_buf()
        } else {
            found.interpreter.clone()
        };
        // What is wrong with `bin/python` need not be wrong with `bin/python3`, and the other way round.
        let broken = if interpreter == found.interpreter {
            found.broken.clone()
        } else {
            let folders = lib_folders(root);
            broken(root, &interpreter, &found.version, &found.site_packages, &folders)
        };
        return Some(PythonEnvironment {
            interpreter,
            broken,
            ..found
        });
    }
    if !program.exists() && fs::symlink_metadata(program).is_err() {
        return None;
    }
    Some(system_python(system, program, because))
}

/// A Python that no environment surrounds.
fn system_python(system: &System, program: &Path, because: Vec<Evidence>) -> PythonEnvironment {
    let real = program.canonicalize();
    let path = real.as_deref().unwrap_or(program);
    let damage = match &real {
        Err(_) => Some("the interpreter does not exist, or is a link that leads nowhere".to_owned()),
        Ok(real) => unusable(real),
    };
    let mut path = path.to_path_buf();
    let mut version = version_beside(&path);
    if version.is_none() && damage.is_none() {
        // A shim or wrapper script: the Python behind it says where it is.
        if let Some((asked, executable)) = ask(system, program) {
            version = Some(asked);
            path = executable;
        }
    }
    let version = version.unwrap_or_default();
    let mut site_packages: Vec<PathBuf> = user_folder(system, &version).into_iter().collect();
    site_packages.extend(system_folders(&path, &version));
    let prefix = path.parent().and_then(Path::parent).unwrap_or(Path::new("/"));
    let (major, minor_number) = minor(&version).unwrap_or_default();
    let standard = prefix.join(format!("lib/python{major}.{minor_number}"));
    PythonEnvironment {
        interpreter: program.to_path_buf(),
        broken: damage.or_else(|| too_old(&version)).or_else(|| {
            let silent = "it did not say which version of Python it is".to_owned();
            version.is_empty().then_some(silent)
        }),
        version,
        virtualenv: None,
        kind: EnvironmentKind::System,
        package_manager: PackageTool::Pip,
        has_pip: has_pip(&site_packages),
        site_packages,
        // PEP 668: the marker lies in the standard library's folder.
        externally_managed: standard.join("EXTERNALLY-MANAGED").is_file(),
        because,
    }
}

/// Where `pip install --user` puts packages; before the machine's own on `sys.path` (PEP 370).
fn user_folder(system: &System, version: &str) -> Option<PathBuf> {
    let (major, minor) = minor(version)?;
    let base = match system.var("PYTHONUSERBASE") {
        Some(base) => PathBuf::from(base),
        None => system.home.as_ref()?.join(".local"),
    };
    let folder = base.join(format!("lib/python{major}.{minor}/site-packages"));
    (system.var("PYTHONNOUSERSITE").is_none() && folder.is_dir()).then_some(folder)
}

fn conda(root: &Path, because: Vec<Evidence>) -> PythonEnvironment {
    let resolved = interpreter(root);
    let folders = lib_folders(root);
    let version = conda_version(root)
        .or_else(|| folders.first().map(|(version, _)| version.clone()))
        .unwrap_or_default();
    let site_packages: Vec<_> = folders
        .iter()
        .filter(|(found, _)| minor(found) == minor(&version))
        .map(|(_, folder)| folder.join("site-packages"))
        .filter(|folder| folder.is_dir())
        .collect();
    PythonEnvironment {
        broken: broken(root, &resolved, &version, &site_packages, &folders),
        interpreter: resolved,
        version,
        virtualenv: Some(root.to_path_buf()),
        kind: EnvironmentKind::Conda,
        package_manager: PackageTool::Conda,
        has_pip: has_pip(&site_packages),
        site_packages,
        externally_managed: false,
        because,
    }
}

/// `conda-meta/python-3.11.7-h1234.json`.
fn conda_version(root: &Path) -> Option<String> {
    fs::read_dir(root.join("conda-meta")).ok()?.flatten().find_map(|entry| {
        let name = entry.file_name();
        let rest = name.to_str()?.strip_prefix("python-")?.strip_suffix(".json")?;
        let version = rest.split('-').next()?;
        version.starts_with(|c: char| c.is_ascii_digit()).then(|| version.to_owned())
    })
}

/// `bin/python`, or the first of its names that is there, even as a dangling link.
fn interpreter(root: &Path) -> PathBuf {
    ["python", "python3"]
        .iter()
        .map(|name| root.join("bin").join(name))
        .find(|path| fs::symlink_metadata(path).is_ok())
        .unwrap_or_else(|| root.join("bin/python"))
}

fn keys(content: &str) -> BTreeMap<String, String> {
    content
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(key, value)| (key.trim().to_ascii_lowercase(), clean(value.trim())))
        .collect()
}

/// `3.11.7.final.0` and `3.11.7+` as `3.11.7`.
fn plain_version(text: &str) -> String {
    let digits = |part: &str| part.chars().take_while(char::is_ascii_digit).collect::<String>();
    let parts: Vec<String> = text.split('.').take(3).map(digits).take_while(|part| !part.is_empty()).collect();
    parts.join(".")
}

/// `(3, 11)`.
pub(super) fn minor(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// `lib/pythonX.Y` folders, newest first.
fn lib_folders(root: &Path) -> Vec<(String, PathBuf)> {
    let mut found = Vec::new();
    for lib in ["lib", "lib64"] {
        let folder = root.join(lib);
        // `lib64` is a link to `lib` nearly everywhere.
        if lib == "lib64" && fs::symlink_metadata(&folder).is_ok_and(|metadata| metadata.is_symlink()) {
            continue;
        }
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            if let Some(version) = entry.file_name().to_str().and_then(|name| name.strip_prefix("python"))
                && minor(version).is_some()
            {
                found.push((version.to_owned(), entry.path()));
            }
        }
    }
    found.sort_by_key(|(version, _)| std::cmp::Reverse(minor(version)));
    found
}

fn broken(root: &Path, interpreter: &Path, version: &str, site_packages: &[PathBuf], folders: &[(String, PathBuf)]) -> Option<String> {
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
fn unusable(real: &Path) -> Option<String> {
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

fn too_old(version: &str) -> Option<String> {
    let found = minor(version)?;
    (found < OLDEST).then(|| {
        format!(
            "Python {version} is older than {}.{}, the oldest that set-up supports",
            OLDEST.0, OLDEST.1
        )
    })
}

fn has_pip(site_packages: &[PathBuf]) -> bool {
    site_packages
        .iter()
        .any(|folder| folder.join("pip/__init__.py").is_file() || folder.join("pip").is_dir())
}

/// Folders of the packages of a Python that is no virtual environment.
fn system_folders(interpreter: &Path, version: &str) -> Vec<PathBuf> {
    let Some((major, minor)) = minor(version) else { return Vec::new() };
    let Some(prefix) = interpreter.parent().and_then(Path::parent) else {
        return Vec::new();
    };
    let name = format!("python{major}.{minor}");
    [
        prefix.join("local/lib").join(&name).join("dist-packages"),
        prefix.join("lib").join(&name).join("site-packages"),
        prefix.join("lib").join(&name).join("dist-packages"),
        prefix.join(format!("lib/python{major}/dist-packages")),
    ]
    .into_iter()
    .filter(|folder| folder.is_dir())
    .collect()
}

/// What the files around an interpreter say: the headers' `PY_VERSION`, the name of its folder, its own name.
fn version_beside(real: &Path) -> Option<String> {
    let prefix = real.parent()?.parent()?;
    let name = real.file_name()?.to_str()?;
    let own = name.strip_prefix("python").filter(|version| minor(version).is_some());
    if let Some(short) = own
        && let Ok(header) = text::read(&prefix.join(format!("include/python{short}/patchlevel.h")))
        && let Some(full) = header.lines().find_map(|line| line.strip_prefix("#define PY_VERSION"))
    {
        let full = plain_version(full.trim().trim_matches('"'));
        if minor(&full) == minor(short) {
            return Some(full);
        }
    }
    let folder = prefix.file_name()?.to_str()?;
    let folder = folder.strip_prefix("cpython-").unwrap_or(folder);
    let named = plain_version(folder.split('-').next().unwrap_or_default());
    if named.split('.').count() == 3 && own.is_none_or(|own| minor(own) == minor(&named)) {
        return Some(named);
    }
    own.map(str::to_owned)
}

/// Starts the interpreter: the last resort, for a wrapper script or a copy without its name. Its version and where it really lies.
fn ask(system: &System, program: &Path) -> Option<(String, PathBuf)> {
    let code = "import sys; print('%d.%d.%d' % sys.version_info[:3]); print(sys.executable)";
    let invocation = Invocation::new([program.to_str()?, "-E", "-S", "-c", code]).deadline(DEADLINE);
    let finished = system.commands.run(&invocation, &mut |_| {}).ok()?;
    let mut lines = finished.stdout.lines();
    let version = plain_version(lines.next().unwrap_or_default().trim());
    let executable = lines.next().map(str::trim).filter(|path| path.starts_with('/'));
    let executable = executable.map_or_else(|| program.to_path_buf(), PathBuf::from);
    let real = executable.canonicalize().unwrap_or(executable);
    (finished.success() && minor(&version).is_some()).then_some((version, real))
}
