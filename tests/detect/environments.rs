//! Python environments: real ones of five tools, look-alikes, broken ones, and which of several is meant.

use super::cases::FLASK;
use super::support::{Scene, lines, program, sources, write};
use signoz_setup::domain::detection::EnvironmentKind;
use signoz_setup::domain::packages::PackageTool;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// Interpreters of the machine, oldest first.
fn pythons() -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = Vec::new();
    if let Some(home) = std::env::var_os("HOME") {
        let versions = Path::new(&home).join(".pyenv/versions");
        found.extend(
            fs::read_dir(versions)
                .into_iter()
                .flatten()
                .flatten()
                .map(|entry| entry.path().join("bin/python3")),
        );
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    for folder in std::env::split_paths(&path) {
        found.extend((8..15).map(|minor| folder.join(format!("python3.{minor}"))));
        found.push(folder.join("python3"));
    }
    let mut working: Vec<((u32, u32), PathBuf)> = found
        .into_iter()
        .filter(|path| path.is_file())
        .filter_map(|path| {
            let output = Command::new(&path)
                .args(["-c", "import sys; print(*sys.version_info[:2])"])
                .output()
                .ok()?;
            let text = String::from_utf8(output.stdout).ok()?;
            let (major, minor) = text.trim().split_once(' ')?;
            Some(((major.parse().ok()?, minor.parse().ok()?), path))
        })
        .collect();
    working.sort();
    working.dedup_by_key(|(version, _)| *version);
    working.into_iter().map(|(_, path)| path).collect()
}

/// A Python that today's tools run on.
fn recent_python() -> PathBuf {
    let found = pythons();
    let wanted = found.iter().find(|path| version_of(path).starts_with("3.11")).or(found.last());
    wanted.expect("a Python is needed").clone()
}

fn version_of(python: &Path) -> String {
    let output = Command::new(python)
        .args(["-c", "import platform; print(platform.python_version())"])
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn run(program: &Path, arguments: &[&str], directory: &Path, variables: &[(&str, &str)]) {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .current_dir(directory)
        .envs(variables.iter().copied())
        .env_remove("VIRTUAL_ENV");
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{} {arguments:?}\n{}{}",
        program.display(),
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// The `bin` folder of an environment with uv, poetry, PDM, pipenv and gunicorn; made once for each target folder.
pub(crate) fn tools() -> &'static Path {
    static TOOLS: OnceLock<PathBuf> = OnceLock::new();
    TOOLS.get_or_init(|| {
        let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join("detect-tools");
        let done = root.join("complete");
        if !done.exists() {
            let _ = fs::remove_dir_all(&root);
            fs::create_dir_all(&root).unwrap();
            let here = root.as_path();
            run(&recent_python(), &["-m", "venv", "env"], here, &[]);
            let packages = [
                "install",
                "-q",
                "--disable-pip-version-check",
                "uv",
                "poetry",
                "pdm",
                "pipenv",
                "gunicorn",
            ];
            run(&here.join("env/bin/pip"), &packages, here, &[]);
            fs::write(done, "").unwrap();
        }
        root.join("env/bin")
    })
}

#[test]
fn a_real_virtual_environment_is_read_without_starting_python() {
    let with_pip = recent_python();
    for python in pythons() {
        let version = version_of(&python);
        let supported = !["3.6.", "3.7."].iter().any(|old| version.starts_with(old));
        let scene = Scene::with(&[("requirements.txt", "flask\n")]);
        let pip = python == with_pip;
        let arguments = ["-m", "venv", ".venv", "--without-pip"];
        run(&python, &arguments[..if pip { 3 } else { 4 }], &scene.project(), &[]);
        let found = scene.detect().python.unwrap();
        assert_eq!(found.version, version);
        assert_eq!(found.virtualenv, Some(scene.project().join(".venv")));
        assert_eq!(found.interpreter, scene.project().join(".venv/bin/python"));
        let tool = if pip { PackageTool::Pip } else { PackageTool::Uv };
        assert_eq!(
            (found.kind, found.package_manager, found.has_pip),
            (EnvironmentKind::Venv, tool, pip)
        );
        assert!(found.because[0].source.ends_with(".venv/pyvenv.cfg"), "{:?}", found.because);
        assert_eq!(found.broken.is_none(), supported, "{version}: {:?}", found.broken);
        assert!(found.site_packages[0].is_dir());
    }
}

#[test]
fn uv_environments_have_no_pip_and_belong_to_uv_only_with_its_lock() {
    let scene = Scene::with(&[("requirements.txt", "flask\n")]);
    let python = recent_python();
    run(
        &tools().join("uv"),
        &["venv", "-q", "--offline", "--python", python.to_str().unwrap(), ".venv"],
        &scene.project(),
        &[],
    );
    let found = scene.detect().python.unwrap();
    assert_eq!(
        (found.kind, found.package_manager, found.has_pip),
        (EnvironmentKind::Uv, PackageTool::Uv, false)
    );
    assert_eq!(found.version, version_of(&python));
    write(&scene.project().join("uv.lock"), "version = 1\n");
    let found = scene.detect().python.unwrap();
    assert_eq!(found.package_manager, PackageTool::UvProject);
    assert!(found.because.iter().any(|because| because.source.ends_with("uv.lock")));
    // With another folder set for it, `.venv` is not the one that `uv add` would fill.
    fs::rename(scene.project().join(".venv"), scene.project().join("venv")).unwrap();
    assert_eq!(scene.detect().python.unwrap().package_manager, PackageTool::Uv);
    let scene = scene.set("UV_PROJECT_ENVIRONMENT", "venv");
    assert_eq!(scene.detect().python.unwrap().package_manager, PackageTool::UvProject);
}

#[test]
fn poetry_environments_are_found_in_the_project_and_in_its_cache() {
    let project = "[project]\nname = \"My_Shop\"\nversion = \"0.1\"\nrequires-python = \">=3.8\"\n[tool.poetry]\npackage-mode = false\n";
    let python = recent_python();
    for in_project in ["true", "false"] {
        let scene = Scene::with(&[("pyproject.toml", project)]);
        let home = scene.home();
        let cache = home.join(".cache/pypoetry");
        let variables = [
            ("POETRY_VIRTUALENVS_IN_PROJECT", in_project),
            ("POETRY_CACHE_DIR", cache.to_str().unwrap()),
            ("HOME", home.to_str().unwrap()),
        ];
        run(
            &tools().join("poetry"),
            &["-n", "env", "use", python.to_str().unwrap()],
            &scene.project(),
            &variables,
        );
        let found = scene.detect().python.unwrap();
        assert_eq!(
            (found.kind, found.package_manager),
            (EnvironmentKind::Poetry, PackageTool::Poetry),
            "{found:?}"
        );
        let root = found.virtualenv.unwrap();
        assert_eq!(root.starts_with(&cache), in_project == "false", "{}", root.display());
        assert!(found.because.iter().any(|because| because.source.ends_with("pyproject.toml")));
        // The same lock says nothing about an environment that poetry would not use.
        scene.environment(&scene.project().join("other"), "3.11.7", "", &[("pip", "24.0")]);
        let told = scene.detect_with(Some(&scene.project().join("other"))).python.unwrap();
        assert_eq!(told.package_manager, PackageTool::Pip);
    }
}

#[test]
fn pipenv_and_pdm_environments_are_found() {
    let python = recent_python();
    let scene = Scene::with(&[("Pipfile", "[packages]\nflask = \"*\"\n")]);
    let home = scene.home();
    let variables = [("HOME", home.to_str().unwrap()), ("PIPENV_YES", "1"), ("PIPENV_NOSPIN", "1")];
    run(
        &tools().join("pipenv"),
        &["--python", python.to_str().unwrap()],
        &scene.project(),
        &variables,
    );
    let found = scene.detect().python.unwrap();
    assert_eq!(
        (found.kind, found.package_manager),
        (EnvironmentKind::Pipenv, PackageTool::Pipenv),
        "{found:?}"
    );
    assert!(found.virtualenv.unwrap().starts_with(home.join(".local/share/virtualenvs")));

    let scene = Scene::with(&[(
        "pyproject.toml",
        "[project]\nname = \"x\"\nversion = \"1\"\nrequires-python = \">=3.8\"\n[tool.pdm]\n",
    )]);
    let home = scene.home();
    run(
        &tools().join("pdm"),
        &["-q", "use", "-f", python.to_str().unwrap()],
        &scene.project(),
        &[("HOME", home.to_str().unwrap()), ("PDM_NON_INTERACTIVE", "1")],
    );
    let found = scene.detect().python.unwrap();
    assert_eq!(found.package_manager, PackageTool::Pdm, "{found:?}");
}

#[test]
fn a_conda_prefix_is_its_own_kind_and_base_is_no_choice() {
    let scene = Scene::with(&[("environment.yml", "name: shop\ndependencies:\n  - conda-forge::flask=3\n")]);
    let prefix = scene.home().join("conda/envs/shop");
    let site = prefix.join("lib/python3.10/site-packages");
    write(&prefix.join("conda-meta/python-3.10.13-h955ad1f_0.json"), "{}");
    write(&site.join("Flask-3.0.0.dist-info/METADATA"), "Name: Flask\nVersion: 3.0.0\n\n");
    write(&site.join("pip/__init__.py"), "");
    program(&prefix.join("bin/python"));
    write(&scene.home().join(".conda/environments.txt"), &format!("{}\n", prefix.display()));
    let base = scene.home().join("conda");
    write(&base.join("conda-meta/history"), "");
    fs::create_dir_all(base.join("lib/python3.12/site-packages")).unwrap();
    program(&base.join("bin/python"));
    let scene = scene
        .set("CONDA_PREFIX", base.display().to_string())
        .set("CONDA_DEFAULT_ENV", "base");
    let detection = scene.detect();
    let found = detection.python.as_ref().unwrap();
    assert_eq!((found.kind, found.package_manager), (EnvironmentKind::Conda, PackageTool::Conda));
    assert_eq!((found.version.as_str(), found.broken.as_deref()), ("3.10.13", None));
    assert_eq!(sources(&found.because), "environment.yml:1");
    assert_eq!(detection.python_candidates.len(), 1);
    assert!(
        lines(&detection)
            .iter()
            .any(|line| line.starts_with("framework flask 3.0.0 <- ") && line.ends_with("METADATA") || line.contains("dist-info"))
    );
}

#[test]
fn two_candidates_are_both_reported_with_their_evidence() {
    let scene = Scene::with(&[("app.py", FLASK), ("Procfile", "web: venv/bin/gunicorn app:app\n")]);
    let flask = [("Flask", "3.1.3"), ("pip", "24.0")];
    scene.environment(&scene.project().join(".venv"), "3.12.1", "", &[("pip", "24.0")]);
    scene.environment(&scene.project().join("venv"), "3.11.7", "", &flask);
    let elsewhere = scene.folder.path().join("elsewhere");
    scene.environment(&elsewhere, "3.10.13", "", &[]);
    let scene = scene.set("VIRTUAL_ENV", elsewhere.display().to_string());
    let detection = scene.detect();
    let found = detection.python.as_ref().unwrap();
    assert_eq!(found.virtualenv, Some(scene.project().join("venv")), "a start command names it");
    assert!(sources(&found.because).starts_with("Procfile:1"), "{:?}", found.because);
    let others: Vec<_> = detection
        .python_candidates
        .iter()
        .map(|other| (other.version.as_str(), sources(&other.because)))
        .collect();
    assert_eq!(others[0].0, "3.12.1");
    assert_eq!(others[1], ("3.10.13", "VIRTUAL_ENV".to_owned()));
    assert_eq!(others.len(), 2);
    assert_eq!(detection.frameworks[0].version.as_deref(), Some("3.1.3"));
    assert_eq!(
        detection.frameworks[0].because[0].source,
        "venv/lib/python3.11/site-packages/Flask-3.1.3.dist-info"
    );
    let told = scene.detect_with(Some(Path::new(".venv"))).python.unwrap();
    assert_eq!(
        (told.version.as_str(), sources(&told.because).starts_with("--python")),
        ("3.12.1", true)
    );
    let told = scene.detect_with(Some(&scene.project().join(".venv/bin/python3"))).python.unwrap();
    assert_eq!(told.interpreter, scene.project().join(".venv/bin/python3"));
    let detection = scene.detect_with(Some(Path::new("nowhere")));
    assert!(
        detection
            .notes
            .iter()
            .any(|note| note.contains("--python") && note.contains("nowhere")),
        "{:?}",
        detection.notes
    );
}

#[test]
fn broken_environments_say_why() {
    type Damage = fn(&Path);
    let table: &[(&str, Damage, &str)] = &[
        (
            "dangling link",
            |root| {
                fs::remove_file(root.join("bin/python3")).unwrap();
                symlink("/gone/python3.11", root.join("bin/python3")).unwrap();
            },
            "which does not exist",
        ),
        (
            "no interpreter",
            |root| fs::remove_dir_all(root.join("bin")).unwrap(),
            "no `bin/python`",
        ),
        (
            "no packages",
            |root| fs::remove_dir_all(root.join("lib")).unwrap(),
            "no `site-packages`",
        ),
        (
            "foreign processor",
            |root| {
                let mut head = vec![0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0];
                head[18] = if cfg!(target_arch = "aarch64") { 62 } else { 183 };
                fs::write(root.join("bin/python3"), head).unwrap();
            },
            "its interpreter was built for",
        ),
        (
            "not executable",
            |root| fs::set_permissions(root.join("bin/python3"), fs::Permissions::from_mode(0o644)).unwrap(),
            "not an executable file",
        ),
        (
            "Python 2",
            |root| {
                fs::write(root.join("pyvenv.cfg"), "version = 2.7.18\n").unwrap();
                fs::rename(root.join("lib/python3.11"), root.join("lib/python2.7")).unwrap();
            },
            "older than 3.8",
        ),
        (
            "Python 3.6",
            |root| fs::write(root.join("pyvenv.cfg"), "version = 3.6.15\n").unwrap(),
            "older than 3.8",
        ),
        (
            "upgraded below it",
            |root| {
                program(&root.join("real/python3.13"));
                fs::remove_file(root.join("bin/python3")).unwrap();
                symlink(root.join("real/python3.13"), root.join("bin/python3")).unwrap();
            },
            "made for Python 3.11, but its interpreter is now Python 3.13",
        ),
    ];
    for (name, damage, says) in table {
        let scene = Scene::with(&[("app.py", FLASK)]);
        let root = scene.project().join(".venv");
        scene.environment(&root, "3.11.7", "", &[("pip", "24.0")]);
        damage(&root);
        let found = scene.detect().python.unwrap();
        assert!(
            found.broken.as_deref().is_some_and(|why| why.contains(says)),
            "{name}: {:?}",
            found.broken
        );
        // A whole one beside it is preferred, and the broken one is still told.
        scene.environment(&scene.project().join("venv"), "3.11.7", "", &[("pip", "24.0")]);
        let detection = scene.detect();
        assert_eq!(detection.python.unwrap().broken, None, "{name}");
        assert!(detection.python_candidates[0].broken.is_some(), "{name}");
        // Unless the person asks for it by name.
        assert!(scene.detect_with(Some(&root)).python.unwrap().broken.is_some(), "{name}");
    }
}

#[test]
fn the_machines_python_is_taken_when_nothing_else_is_there() {
    let scene = Scene::with(&[("app.py", FLASK)]);
    let prefix = scene.folder.path().join("usr");
    program(&prefix.join("bin/python3.11"));
    symlink("python3.11", prefix.join("bin/python3")).unwrap();
    write(&prefix.join("lib/python3.11/EXTERNALLY-MANAGED"), "[externally-managed]\n");
    write(
        &prefix.join("lib/python3/dist-packages/Flask-2.2.2.egg-info/PKG-INFO"),
        "Name: Flask\nVersion: 2.2.2\n\n",
    );
    write(
        &prefix.join("include/python3.11/patchlevel.h"),
        "#define PY_VERSION              \"3.11.2+\"\n",
    );
    let scene = scene.set("PATH", prefix.join("bin").display().to_string());
    let detection = scene.detect();
    let found = detection.python.as_ref().unwrap();
    assert_eq!(
        (found.kind, found.externally_managed, found.has_pip),
        (EnvironmentKind::System, true, false)
    );
    assert_eq!(
        (found.version.as_str(), found.virtualenv.as_ref(), sources(&found.because).as_str()),
        ("3.11.2", None, "PATH")
    );
    assert_eq!(detection.frameworks[0].version.as_deref(), Some("2.2.2"));
    // It is no rival to an environment.
    scene.environment(&scene.project().join(".venv"), "3.12.1", "", &[]);
    let detection = scene.detect();
    assert_eq!(
        (detection.python.unwrap().version.as_str(), detection.python_candidates.len()),
        ("3.12.1", 0)
    );
}

#[test]
fn nothing_at_all_gives_no_python_and_no_failure() {
    let detection = Scene::new().detect();
    assert_eq!((detection.python, detection.python_candidates.len()), (None, 0));
}

#[test]
fn a_python_that_only_running_it_can_name_is_asked_for_a_short_time() {
    let scene = Scene::new();
    let silent = scene.folder.path().join("bin/python3");
    write(&silent, "#!/bin/sh\nexec sleep 1000\n");
    fs::set_permissions(&silent, fs::Permissions::from_mode(0o755)).unwrap();
    let began = std::time::Instant::now();
    let scene = scene.set("PATH", format!("{}:/usr/bin:/bin", scene_bin(&silent)));
    assert_eq!(scene.detect().python.unwrap().version, "");
    assert!(began.elapsed() < std::time::Duration::from_secs(30));
    write(&silent, "#!/bin/sh\necho 3.12.4\n");
    assert_eq!(scene.detect().python.unwrap().version, "3.12.4");
}

fn scene_bin(program: &Path) -> String {
    program.parent().unwrap().display().to_string()
}

#[test]
fn pyenv_and_pypackages() {
    let scene = Scene::with(&[(".python-version", "3.12.4\n"), ("app.py", FLASK)]);
    let versions = scene.home().join(".pyenv/versions");
    program(&versions.join("3.12.4/bin/python3.12"));
    symlink("python3.12", versions.join("3.12.4/bin/python3")).unwrap();
    fs::create_dir_all(versions.join("3.12.4/lib/python3.12/site-packages")).unwrap();
    let found = scene.detect().python.unwrap();
    assert_eq!((found.version.as_str(), found.kind), ("3.12.4", EnvironmentKind::System));
    assert!(found.because[0].source.ends_with(".python-version"));
    fs::create_dir_all(scene.project().join("__pypackages__/3.12/lib/flask")).unwrap();
    let found = scene.detect().python.unwrap();
    assert_eq!((found.kind, found.package_manager), (EnvironmentKind::Pdm, PackageTool::Pdm));
    assert_eq!(found.site_packages, [scene.project().join("__pypackages__/3.12/lib")]);
    // A pyenv-virtualenv of that name is an environment.
    write(&scene.project().join(".python-version"), "shop\n");
    scene.environment(&versions.join("shop"), "3.11.7", "", &[]);
    assert_eq!(scene.detect().python.unwrap().virtualenv, Some(versions.join("shop")));
}

#[test]
fn the_first_line_of_a_started_script_names_its_environment() {
    let scene = Scene::with(&[("Procfile", "web: ./serve.py\n")]);
    let env = scene.folder.path().join("opt/shop");
    scene.environment(&env, "3.11.7", "", &[]);
    write(&scene.project().join("serve.py"), &format!("#!{}/bin/python\n", env.display()));
    let found = scene.detect().python.unwrap();
    assert_eq!((found.virtualenv, sources(&found.because).as_str()), (Some(env), "Procfile:1"));
}
