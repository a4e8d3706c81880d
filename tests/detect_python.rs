//! Which Python environment is chosen, which others are told, why one cannot be used; frameworks, apps, Django's settings.
#![allow(missing_docs)]

use signoz_setup::detect;
use signoz_setup::domain::Detection;
use signoz_setup::domain::detection::{EnvironmentKind, PythonEnvironment};
use signoz_setup::domain::packages::PackageTool;
use signoz_setup::system::{Cancel, RealCommands, RealFiles, System};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, OnceLock};
use tempfile::TempDir;

/// A project in its repository, a home and an empty machine, in one temporary folder.
struct Scene {
    folder: TempDir,
    env: BTreeMap<String, String>,
}

impl Scene {
    fn new(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::Builder::new().prefix("python").tempdir().unwrap();
        for name in ["project/.git", "home", "root/proc", "bin"] {
            fs::create_dir_all(folder.path().join(name)).unwrap();
        }
        let scene = Self {
            env: BTreeMap::from([("PATH".to_owned(), folder.path().join("bin").display().to_string())]),
            folder,
        };
        for (path, content) in files {
            write(&scene.project().join(path), content);
        }
        scene
    }

    fn at(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    fn project(&self) -> PathBuf {
        // Tools hash the real path.
        self.folder.path().canonicalize().unwrap().join("project")
    }

    fn set(mut self, name: &str, value: &Path) -> Self {
        self.env.insert(name.to_owned(), value.display().to_string());
        self
    }

    fn detect(&self) -> Detection {
        self.detect_in(&self.project(), None)
    }

    fn told(&self, python: &str) -> PythonEnvironment {
        self.detect_in(&self.project(), Some(Path::new(python))).python.unwrap()
    }

    fn detect_in(&self, project: &Path, python: Option<&Path>) -> Detection {
        static RUNTIME: OnceLock<tokio::runtime::Runtime> = OnceLock::new();
        let runtime = RUNTIME.get_or_init(|| tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap());
        let cancel = Cancel::default();
        let system = System {
            env: self.env.clone(),
            root: self.at("root"),
            home: Some(self.at("home")),
            state: self.at("state"),
            files: Arc::new(RealFiles),
            commands: Arc::new(RealCommands::new(cancel.clone())),
            runtime: runtime.handle().clone(),
            cancel,
        };
        detect::run(&system, project, python, &|_| {})
    }
}

fn write(path: &Path, content: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

/// A program that fails the test's expectations when it is started: it would say a version that nothing else says.
fn program(path: &Path) {
    write(path, "#!/bin/sh\necho 3.99.0\n");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// A virtual environment as files.
fn environment(root: &Path, version: &str) -> PathBuf {
    let minor: Vec<_> = version.split('.').take(2).collect();
    let site = root.join(format!("lib/python{}/site-packages", minor.join(".")));
    fs::create_dir_all(&site).unwrap();
    write(&root.join("pyvenv.cfg"), &format!("home = /usr/bin\nversion = {version}\n"));
    program(&root.join("bin/python"));
    symlink("python", root.join("bin/python3")).unwrap();
    site
}

fn distribution(site: &Path, name: &str, version: &str) {
    write(
        &site.join(format!("{name}-{version}.dist-info/METADATA")),
        &format!("Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"),
    );
}

fn roots(others: &[PythonEnvironment]) -> Vec<PathBuf> {
    others.iter().map(|other| other.virtualenv.clone().unwrap()).collect()
}

fn fifo(path: &Path) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

/// A Python of this machine that can make environments, with its version.
fn real_python() -> (PathBuf, String) {
    let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
    let pyenv = fs::read_dir(home.join(".pyenv/versions")).into_iter().flatten().flatten();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path: Vec<_> = std::env::split_paths(&path)
        .flat_map(|folder| (8..15).map(move |minor| folder.join(format!("python3.{minor}"))))
        .collect();
    let code = "import sys, venv; assert sys.version_info >= (3, 8); print('%d.%d.%d' % sys.version_info[:3])";
    pyenv
        .map(|entry| entry.path().join("bin/python3"))
        .chain(on_path)
        .filter(|python| python.is_file())
        .find_map(|python| {
            let output = Command::new(&python).args(["-c", code]).output().ok()?;
            let version = String::from_utf8(output.stdout).ok()?.trim().to_owned();
            output.status.success().then_some((python, version))
        })
        .expect("these tests need a Python from 3.8 on")
}

#[test]
fn a_real_environment_is_read_as_python_itself_tells_it() {
    let scene = Scene::new(&[]);
    let (python, version) = real_python();
    let root = scene.project().join(".venv");
    let made = Command::new(&python).args(["-m", "venv", "--without-pip"]).arg(&root).status();
    assert!(made.unwrap().success());
    let found = scene.detect().python.unwrap();
    assert_eq!(
        (found.version.as_str(), found.has_pip, found.broken.as_deref()),
        (version.as_str(), false, None)
    );
    assert_eq!(found.package_manager, PackageTool::Uv, "without pip, uv has to install");
    let code = "import sysconfig; print(sysconfig.get_path('purelib'))";
    let output = Command::new(&found.interpreter).args(["-c", code]).output().unwrap();
    assert_eq!(
        found.site_packages,
        [PathBuf::from(String::from_utf8(output.stdout).unwrap().trim())]
    );
    assert!(!found.externally_managed);
}

#[test]
fn the_order_of_candidates_is_told_ones_then_the_projects_then_its_tools_then_active_ones() {
    let scene = Scene::new(&[("pyproject.toml", "[project]\nname = \"shop\"\n[tool.poetry]\n")]);
    let own = scene.project().join(".venv");
    let hash = hash_in_python(&scene.project());
    let kept = scene.at(&format!("home/.cache/pypoetry/virtualenvs/shop-{hash}-py3.10"));
    let (active, conda, told) = (scene.at("active"), scene.at("conda/envs/x"), scene.at("told"));
    for (root, version) in [(&own, "3.12.1"), (&kept, "3.10.13"), (&active, "3.9.1"), (&told, "3.8.2")] {
        environment(root, version);
    }
    write(&conda.join("conda-meta/python-3.11.7-h1_0.json"), "{}");
    fs::create_dir_all(conda.join("lib/python3.11/site-packages")).unwrap();
    program(&conda.join("bin/python"));
    program(&scene.at("bin/python3"));
    let scene = scene.set("VIRTUAL_ENV", &active).set("CONDA_PREFIX", &conda);
    let detection = scene.detect();
    let chosen = detection.python.unwrap();
    assert_eq!(
        (chosen.virtualenv.as_ref(), chosen.package_manager),
        (Some(&own), PackageTool::Poetry)
    );
    assert!(chosen.because[0].source.ends_with(".venv/pyvenv.cfg"), "{:?}", chosen.because);
    let same = |path: &Path| path.canonicalize().unwrap();
    let others: Vec<_> = roots(&detection.python_candidates).iter().map(|root| same(root)).collect();
    assert_eq!(others, [same(&kept), same(&active), same(&conda)]);
    let because: Vec<_> = detection
        .python_candidates
        .iter()
        .map(|other| other.because[0].source.clone())
        .collect();
    assert!(
        because[0].contains("pypoetry") && because[1..] == ["VIRTUAL_ENV", "CONDA_PREFIX"],
        "{because:?}"
    );

    let detection = scene.detect_in(&scene.project(), Some(&told));
    assert_eq!(detection.python.unwrap().version, "3.8.2");
    assert_eq!(detection.python_candidates.len(), 4);
}

#[test]
fn of_two_environments_in_the_project_the_active_one_is_meant() {
    let scene = Scene::new(&[]);
    let (first, second) = (scene.project().join(".venv"), scene.project().join("venv"));
    environment(&first, "3.12.1");
    environment(&second, "3.11.7");
    let detection = scene.detect();
    assert_eq!(detection.python.unwrap().virtualenv, Some(first.clone()));
    assert_eq!(roots(&detection.python_candidates), std::slice::from_ref(&second));
    let scene = scene.set("VIRTUAL_ENV", &second);
    let detection = scene.detect();
    assert_eq!(detection.python.unwrap().virtualenv, Some(second));
    assert_eq!(roots(&detection.python_candidates), [first]);
}

#[test]
fn an_environment_above_the_project_counts_up_to_the_repository_and_not_beyond() {
    let scene = Scene::new(&[("services/api/app.py", "")]);
    environment(&scene.at("venv"), "3.9.1");
    let api = scene.project().join("services/api");
    assert_eq!(scene.detect_in(&api, None).python, None, "beyond the repository");
    let odd = scene.project().join("py-env");
    environment(&odd, "3.12.1");
    assert_eq!(scene.detect_in(&api, None).python.unwrap().virtualenv, Some(odd));
}

#[test]
fn what_the_person_named_is_never_replaced_by_something_else() {
    let scene = Scene::new(&[("notes.txt", "not a Python")]);
    environment(&scene.project().join(".venv"), "3.12.1");
    fs::create_dir(scene.project().join("empty")).unwrap();
    symlink("/gone/python3", scene.project().join("dangling")).unwrap();
    symlink("loop", scene.project().join("loop")).unwrap();
    fifo(&scene.project().join("fifo"));
    let silent = scene.project().join("silent");
    write(&silent, "#!/bin/sh\nexit 1\n");
    fs::set_permissions(&silent, fs::Permissions::from_mode(0o755)).unwrap();
    for (named, says) in [
        ("nowhere", "neither an interpreter nor an environment"),
        ("empty", "holds neither an environment nor a `bin/python`"),
        ("notes.txt", "not an executable file"),
        ("dangling", "a link that leads nowhere"),
        ("loop", "a link that leads nowhere"),
        ("fifo", "not an executable file"),
        ("silent", "did not say which version"),
    ] {
        let found = scene.told(named);
        assert!(found.broken.as_deref().is_some_and(|why| why.contains(says)), "{named}: {found:?}");
        assert!(
            found.because[0].source == "--python" && found.interpreter.ends_with(named),
            "{named}: {found:?}"
        );
    }
    let named_program = scene.project().join(".venv/bin/gunicorn");
    program(&named_program);
    let found = scene.told(".venv/bin/gunicorn");
    assert_eq!((found.interpreter, found.broken), (scene.project().join(".venv/bin/python"), None));
    // A bare name is looked up as a shell would.
    program(&scene.at("bin/python3.11"));
    let found = scene.told("python3.11");
    assert_eq!((found.interpreter, found.version.as_str()), (scene.at("bin/python3.11"), "3.11"));
}

#[test]
fn versions_that_are_too_old_or_untested_are_said() {
    for (version, broken, noted) in [
        ("2.7.18", true, false),
        ("3.7.16", true, false),
        ("3.8.0", false, false),
        ("3.13.5", false, false),
        ("3.14.0", false, true),
    ] {
        let scene = Scene::new(&[]);
        environment(&scene.project().join(".venv"), version);
        let detection = scene.detect();
        let why = detection.python.unwrap().broken;
        assert_eq!(why.is_some(), broken, "{version}: {why:?}");
        assert!(why.is_none_or(|why| why.contains("older than 3.8")), "{version}");
        assert_eq!(
            detection.notes.iter().any(|note| note.contains("newest that was tested")),
            noted,
            "{version}: {:?}",
            detection.notes
        );
    }
}

#[test]
fn an_old_virtualenv_without_pyvenv_cfg_is_one_too() {
    let scene = Scene::new(&[]);
    let root = scene.project().join("env");
    fs::create_dir_all(root.join("lib/python2.7/site-packages")).unwrap();
    write(&root.join("bin/activate"), "");
    program(&root.join("bin/python"));
    let found = scene.detect().python.unwrap();
    assert_eq!((found.version.as_str(), found.virtualenv), ("2.7", Some(root)));
    assert!(found.broken.unwrap().contains("Python 2.7 is older"));
    // A folder of that name with settings in it is none.
    let scene = Scene::new(&[("env/production.env", "A=1")]);
    assert_eq!(scene.detect().python, None);
}

#[test]
fn a_foreign_or_dangling_environment_is_passed_over_with_its_reason() {
    let scene = Scene::new(&[]);
    let (foreign, dangling, whole) = (scene.project().join(".venv"), scene.project().join("venv"), scene.at("whole"));
    for root in [&foreign, &dangling, &whole] {
        environment(root, "3.12.1");
    }
    let machine = if cfg!(target_arch = "aarch64") { 62 } else { 183 };
    let mut head = vec![0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, machine, 0];
    head.resize(64, 0);
    fs::write(foreign.join("bin/python"), head).unwrap();
    fs::remove_file(dangling.join("bin/python")).unwrap();
    symlink("/opt/gone/python3.12", dangling.join("bin/python")).unwrap();
    let detection = scene.detect();
    assert!(
        detection.python.unwrap().broken.unwrap().contains("was built for"),
        "better told than not found"
    );
    let scene = scene.set("VIRTUAL_ENV", &whole);
    let detection = scene.detect();
    assert_eq!(detection.python.unwrap().virtualenv, Some(whole));
    assert_eq!(roots(&detection.python_candidates), [foreign, dangling]);
    for says in ["was built for", "/opt/gone/python3.12"] {
        assert!(
            detection
                .notes
                .iter()
                .any(|note| note.contains("passed over") && note.contains(says)),
            "{says}: {:?}",
            detection.notes
        );
    }
}

#[test]
fn a_variable_that_names_no_environment_is_said() {
    let scene = Scene::new(&[]);
    let gone = scene.at("gone");
    let detection = scene.set("VIRTUAL_ENV", &gone).detect();
    assert_eq!(detection.python, None);
    assert!(
        detection.notes.iter().any(|note| note.starts_with("VIRTUAL_ENV names")),
        "{:?}",
        detection.notes
    );
}

#[test]
fn fifos_and_link_loops_hang_nothing() {
    let scene = Scene::new(&[]);
    let root = scene.project().join(".venv");
    let site = environment(&root, "3.12.1");
    distribution(&site, "Flask", "3.1.3");
    fs::remove_file(root.join("pyvenv.cfg")).unwrap();
    fifo(&root.join("pyvenv.cfg"));
    fifo(&site.join("Evil-1.0.dist-info/METADATA"));
    symlink(&site, site.join("itself")).unwrap();
    for path in [
        ".python-version",
        ".pdm-python",
        "pyproject.toml",
        "requirements.txt",
        "manage.py",
        "Pipfile",
        "uv.lock",
    ] {
        fifo(&scene.project().join(path));
    }
    symlink("venv", scene.project().join("venv")).unwrap();
    let detection = scene.detect();
    let found = detection.python.unwrap();
    assert_eq!((found.version.as_str(), found.broken), ("3.12", None));
    assert_eq!(detection.frameworks[0].version.as_deref(), Some("3.1.3"));
}

/// The hash as poetry and pipenv compute it, by Python itself.
fn hash_in_python(path: &Path) -> String {
    let code = "import base64, hashlib, sys; print(base64.urlsafe_b64encode(hashlib.sha256(sys.argv[1].encode()).digest()).decode()[:8])";
    let output = Command::new(real_python().0).args(["-c", code]).arg(path).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn poetry_keeps_several_and_says_which_one_it_uses() {
    let scene = Scene::new(&[("pyproject.toml", "[tool.poetry]\nname = \"My.Shop\"\n"), ("poetry.lock", "")]);
    let hash = hash_in_python(&scene.project());
    let folder = scene.at("elsewhere/envs");
    for version in ["3.10.1", "3.11.7"] {
        let minor = version.rsplit_once('.').unwrap().0;
        environment(&folder.join(format!("my-shop-{hash}-py{minor}")), version);
    }
    environment(&folder.join("my-shop-AAAAAAAA-py3.12"), "3.12.1");
    write(
        &folder.join("envs.toml"),
        &format!("[my-shop-{hash}]\nminor = \"3.11\"\npatch = \"3.11.7\"\n"),
    );
    assert_eq!(scene.detect().python, None, "nothing says that poetry keeps them there");
    write(
        &scene.at("home/.config/pypoetry/config.toml"),
        &format!(
            "cache-dir = \"{}\"\n[virtualenvs]\npath = \"{{cache-dir}}/envs\"\n",
            scene.at("elsewhere").display()
        ),
    );
    let detection = scene.detect();
    let found = detection.python.unwrap();
    assert_eq!(
        (found.version.as_str(), found.kind, found.package_manager),
        ("3.11.7", EnvironmentKind::Poetry, PackageTool::Poetry)
    );
    let others: Vec<_> = detection.python_candidates.iter().map(|other| other.version.as_str()).collect();
    assert_eq!(others, ["3.10.1"], "another project's environment is no candidate");
}

#[test]
fn pipenv_is_known_by_the_hash_of_the_pipfile_and_by_its_own_files() {
    let scene = Scene::new(&[("Pipfile", "[packages]\nflask = \"*\"\n")]);
    let hash = hash_in_python(&scene.project().join("Pipfile"));
    let work = scene.at("work");
    let root = work.join(format!("project-{hash}"));
    environment(&root, "3.11.7");
    environment(&work.join("project-AAAAAAAA"), "3.12.1");
    let scene = scene.set("WORKON_HOME", &work);
    let detection = scene.detect();
    let found = detection.python.unwrap();
    assert_eq!((found.virtualenv, found.package_manager), (Some(root), PackageTool::Pipenv));
    assert_eq!(detection.python_candidates.len(), 0);
    // A `.venv` beside it was made by someone else, unless pipenv was told to use it.
    environment(&scene.project().join(".venv"), "3.12.1");
    let tools = |scene: &Scene| {
        let detection = scene.detect();
        (
            detection.python.unwrap().package_manager,
            detection.python_candidates[0].package_manager,
        )
    };
    assert_eq!(tools(&scene), (PackageTool::Uv, PackageTool::Pipenv));
    assert_eq!(tools(&scene.set("PIPENV_VENV_IN_PROJECT", Path::new("1"))).0, PackageTool::Pipenv);

    let scene = Scene::new(&[("Pipfile", "[packages]\nflask = \"*\"\n"), (".venv", "shop\n")]);
    let work = scene.at("work");
    environment(&work.join("shop"), "3.11.7");
    let scene = scene.set("WORKON_HOME", &work);
    let found = scene.detect().python.unwrap();
    assert_eq!(
        (found.virtualenv, found.package_manager),
        (Some(work.join("shop")), PackageTool::Pipenv)
    );
}

#[test]
fn a_tool_is_claimed_only_for_the_environment_that_it_would_use() {
    for (lock, tool) in [
        ("uv.lock", PackageTool::UvProject),
        ("poetry.lock", PackageTool::Poetry),
        ("pdm.lock", PackageTool::Pdm),
        ("Pipfile", PackageTool::Pipenv),
    ] {
        let scene = Scene::new(&[(lock, "")]);
        let active = scene.at("active");
        let site = environment(&active, "3.12.1");
        distribution(&site, "pip", "24.0");
        write(&site.join("pip/__init__.py"), "");
        let scene = scene.set("VIRTUAL_ENV", &active);
        assert_eq!(scene.detect().python.unwrap().package_manager, PackageTool::Pip, "{lock}");
        environment(&scene.project().join(".venv"), "3.12.1");
        assert_eq!(scene.detect().python.unwrap().package_manager, tool, "{lock}");
    }
}

#[test]
fn pyenv_is_resolved_as_pyenv_does_it() {
    let scene = Scene::new(&[(".python-version", "# the team's\n3.11\n")]);
    let pyenv = scene.at("home/.pyenv");
    for version in ["3.11.2", "3.11.10", "3.12.1"] {
        let minor = version.rsplit_once('.').unwrap().0;
        program(&pyenv.join(format!("versions/{version}/bin/python{minor}")));
        symlink(format!("python{minor}"), pyenv.join(format!("versions/{version}/bin/python3"))).unwrap();
    }
    write(&pyenv.join("version"), "3.12.1\n");
    program(&pyenv.join("shims/python3"));
    let scene = scene.set("PATH", &pyenv.join("shims"));
    let detection = scene.detect();
    let found = detection.python.unwrap();
    assert_eq!(
        (found.version.as_str(), found.kind),
        ("3.11.10", EnvironmentKind::System),
        "the newest 3.11; the shim was not run"
    );
    assert!(found.because[0].source.ends_with(".python-version"));
    assert_eq!(detection.python_candidates.len(), 0);
    // `system` is the first Python behind the shims.
    write(&scene.project().join(".python-version"), "system\n");
    program(&scene.at("usr/bin/python3.9"));
    symlink("python3.9", scene.at("usr/bin/python3")).unwrap();
    let path = std::env::join_paths([pyenv.join("shims"), scene.at("usr/bin")]).unwrap();
    let scene = scene.set("PATH", Path::new(&path));
    assert_eq!(scene.detect().python.unwrap().version, "3.9");
}

#[test]
fn a_wrapper_on_path_leads_to_the_python_behind_it() {
    let scene = Scene::new(&[]);
    let (python, version) = real_python();
    let wrapper = scene.at("bin/python3");
    write(&wrapper, &format!("#!/bin/sh\nexec '{}' \"$@\"\n", python.display()));
    fs::set_permissions(&wrapper, fs::Permissions::from_mode(0o755)).unwrap();
    let found = scene.detect().python.unwrap();
    assert_eq!(
        (found.version.as_str(), found.kind, found.broken),
        (version.as_str(), EnvironmentKind::System, None)
    );
    let code = "import sysconfig; print(sysconfig.get_path('purelib'))";
    let output = Command::new(&python).args(["-c", code]).output().unwrap();
    let purelib = PathBuf::from(String::from_utf8(output.stdout).unwrap().trim());
    let expected = if purelib.is_dir() { vec![purelib] } else { Vec::new() };
    assert!(
        expected.iter().all(|folder| found.site_packages.contains(folder)),
        "{:?}",
        found.site_packages
    );
}

#[test]
fn a_distributions_python_is_marked_and_read_with_the_users_packages() {
    let scene = Scene::new(&[("app.py", "")]);
    let usr = scene.at("root/usr");
    program(&usr.join("bin/python3.11"));
    symlink("python3.11", usr.join("bin/python3")).unwrap();
    write(&usr.join("lib/python3.11/EXTERNALLY-MANAGED"), "[externally-managed]\n");
    write(&usr.join("include/python3.11/patchlevel.h"), "#define PY_VERSION  \t\"3.11.2+\"\n");
    distribution(&usr.join("lib/python3/dist-packages"), "Flask", "2.2.2");
    distribution(&scene.at("home/.local/lib/python3.11/site-packages"), "Flask", "3.1.3");
    let scene = scene.set("PATH", &usr.join("bin"));
    let detection = scene.detect();
    let found = detection.python.unwrap();
    assert_eq!(
        (found.version.as_str(), found.externally_managed, found.virtualenv),
        ("3.11.2", true, None)
    );
    assert_eq!(
        detection.frameworks[0].version.as_deref(),
        Some("3.1.3"),
        "the user's own come first on sys.path"
    );
    // A virtual environment made from it is not managed by the distribution.
    environment(&scene.project().join(".venv"), "3.11.2");
    let detection = scene.detect();
    assert!(!detection.python.unwrap().externally_managed);
    assert_eq!(detection.python_candidates.len(), 0, "the machine's Python is no rival");
}

#[test]
fn frameworks_are_installed_ones_with_a_version_and_required_ones_with_a_line() {
    let scene = Scene::new(&[
        ("requirements.txt", "# web\nFlask[async]>=2 ; python_version > '3'\n-r more.txt\n"),
        (
            "pyproject.toml",
            "[project]\nname = \"x\"\ndependencies = [\n  \"fastapi==0.100\",\n]\n[tool.poetry.dependencies]\npython = \"^3.9\"\nDjango = \"^4\"\n",
        ),
        ("Pipfile", "[packages]\nstarlette = \"*\"\n[dev-packages]\ntornado = \"*\"\n"),
        ("app.py", ""),
    ]);
    let site = environment(&scene.project().join(".venv"), "3.12.1");
    distribution(&site, "Flask", "3.1.3");
    distribution(&site, "celery", "5.4.0");
    let found: BTreeMap<_, _> = scene
        .detect()
        .frameworks
        .into_iter()
        .map(|framework| {
            let because: Vec<_> = framework.because.into_iter().map(|because| because.source).collect();
            (framework.name, (framework.version, because.join(" ")))
        })
        .collect();
    let site = ".venv/lib/python3.12/site-packages";
    let expect = |version: Option<&str>, because: &str| (version.map(str::to_owned), because.to_owned());
    assert_eq!(
        found["flask"],
        expect(Some("3.1.3"), &format!("{site}/Flask-3.1.3.dist-info requirements.txt:2"))
    );
    assert_eq!(found["celery"], expect(Some("5.4.0"), &format!("{site}/celery-5.4.0.dist-info")));
    assert_eq!(found["fastapi"], expect(None, "pyproject.toml:4"));
    assert_eq!(found["django"], expect(None, "pyproject.toml:8"));
    assert_eq!(found["starlette"], expect(None, "Pipfile:2"));
    assert_eq!(found.len(), 5, "{found:?}");
}

#[test]
fn a_folder_of_several_apps_lists_them() {
    let scene = Scene::new(&[
        ("services/api/requirements.txt", "flask\n"),
        ("services/api/app.py", ""),
        (
            "services/worker/pyproject.toml",
            "[project]\nname = \"w\"\ndependencies = [\"celery\"]\n",
        ),
        ("services/worker/tasks.py", ""),
        ("services/mail/Pipfile", "[packages]\n"),
        ("services/mail/main.py", ""),
        ("services/admin/Procfile", "web: gunicorn admin:app\n"),
        ("services/admin/admin.py", ""),
        ("docs/requirements.txt", "sphinx\n"),
        ("docs/conf.py", ""),
    ]);
    let found: Vec<_> = scene
        .detect()
        .apps
        .into_iter()
        .map(|app| (app.directory, app.because[0].source.clone()))
        .collect();
    let expected = [
        ("services/admin", "services/admin/Procfile:1"),
        ("services/api", "services/api/requirements.txt"),
        ("services/mail", "services/mail/Pipfile"),
        ("services/worker", "services/worker/pyproject.toml"),
    ];
    assert_eq!(found, expected.map(|(folder, source)| (PathBuf::from(folder), source.to_owned())));
    let one = Scene::new(&[
        ("requirements.txt", "flask\n"),
        ("app.py", ""),
        ("requirements/dev.txt", "pytest\n"),
    ]);
    assert_eq!(one.detect().apps, []);
}

#[test]
fn djangos_settings_are_read_with_their_line_and_differences_are_said() {
    let manage = "import os\n\ndef main():\n    os.environ.setdefault(\"DJANGO_SETTINGS_MODULE\", \"shop.settings\")\n\nmain()\n";
    let scene = Scene::new(&[("manage.py", manage), ("requirements.txt", "django\n")]);
    let found = scene.detect().django_settings.unwrap();
    assert_eq!(
        (found.module.as_str(), found.because[0].source.as_str()),
        ("shop.settings", "manage.py:4")
    );
    for form in [
        "import os\nos.environ['DJANGO_SETTINGS_MODULE'] = 'shop.live'\n",
        "from os import environ\nenviron.setdefault('DJANGO_SETTINGS_MODULE',\n    'shop.live')\n",
    ] {
        let scene = Scene::new(&[("shop/wsgi.py", form)]);
        let found = scene.detect().django_settings.unwrap();
        assert_eq!(
            (found.module.as_str(), found.because[0].source.as_str()),
            ("shop.live", "shop/wsgi.py:2")
        );
        write(&scene.project().join("manage.py"), manage);
        let detection = scene.detect();
        assert_eq!(
            detection.django_settings.unwrap().module,
            "shop.settings",
            "manage.py is what starts here"
        );
        assert!(
            detection
                .notes
                .iter()
                .any(|note| note.contains("shop.live") && note.contains("shop/wsgi.py:2")),
            "{:?}",
            detection.notes
        );
    }
    // What another string or comment says is no setting.
    let scene = Scene::new(&[(
        "manage.py",
        "# os.environ['DJANGO_SETTINGS_MODULE'] = 'no'\nx = 'DJANGO_SETTINGS_MODULE'\n",
    )]);
    assert_eq!(scene.detect().django_settings, None);
}
