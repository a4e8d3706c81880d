//! Coverage data and package choice against the real packages: needs PyPI, so it is run by name:
//! `cargo test --test install_coverage`. Uses uv when it is on PATH, else venv and pip.

use serde_json::Value;
use sha2::{Digest, Sha256};
use signoz_setup::coverage::data::{self, Proved, Release, Supported};
use signoz_setup::coverage::{ranges, table};
use signoz_setup::domain::{Distribution, InstrumentationSet};
use signoz_setup::packages::installed;
use signoz_setup::planner::requirements;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};

use InstrumentationSet::{Current, Pinned};

static MAKING: Mutex<BTreeMap<PathBuf, Arc<Mutex<()>>>> = Mutex::new(BTreeMap::new());

/// A virtual environment, kept under `target/tmp` by what it holds.
struct Environment {
    folder: PathBuf,
}

impl Environment {
    fn new(minor: &str, packages: &[String]) -> Self {
        let interpreter = interpreter(minor);
        let key = Sha256::digest(format!("{}\n{}", interpreter.display(), packages.join("\n")));
        let key: String = key.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("coverage-{minor}-{key}"));
        let environment = Self { folder };
        // Two tests may want the same one: the second waits until the first has made it.
        let making = MAKING.lock().unwrap().entry(environment.folder.clone()).or_default().clone();
        let _one_at_a_time = making.lock().unwrap_or_else(PoisonError::into_inner);
        let complete = environment.folder.join("complete");
        if !complete.exists() {
            let _ = fs::remove_dir_all(&environment.folder);
            if uv() {
                run(Command::new("uv")
                    .args(["venv", "--quiet", "--python"])
                    .arg(&interpreter)
                    .arg(&environment.folder));
            } else {
                run(Command::new(&interpreter).args(["-m", "venv"]).arg(&environment.folder));
            }
            if !packages.is_empty() {
                environment.install(packages);
            }
            fs::write(&complete, "").unwrap();
        }
        environment
    }

    fn python(&self) -> PathBuf {
        self.folder.join("bin/python")
    }

    fn install(&self, packages: &[String]) {
        let mut command = if uv() {
            let mut uv = Command::new("uv");
            uv.args(["pip", "install", "--quiet", "--python"]).arg(self.python());
            uv
        } else {
            let mut pip = Command::new(self.python());
            pip.args(["-m", "pip", "install", "--quiet"]);
            pip
        };
        run(command.args(packages));
    }

    fn installed(&self) -> BTreeMap<String, Distribution> {
        let lib = fs::read_dir(self.folder.join("lib"))
            .unwrap()
            .flatten()
            .map(|entry| entry.path().join("site-packages"));
        let found = installed::read(&lib.collect::<Vec<_>>());
        assert!(!found.is_empty());
        found
    }
}

fn uv() -> bool {
    Command::new("uv").arg("--version").output().is_ok_and(|done| done.status.success())
}

/// `~/.pyenv/versions/3.12*/bin/python3`, else `python3.12` on PATH.
fn interpreter(minor: &str) -> PathBuf {
    let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
    let versions = fs::read_dir(home.join(".pyenv/versions"))
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path());
    let found = versions
        .filter(|path| {
            path.file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with(&format!("{minor}.")))
        })
        .map(|path| path.join("bin/python3"))
        .find(|path| path.exists());
    found.unwrap_or_else(|| which::which(format!("python{minor}")).unwrap_or_else(|_| panic!("python{minor} is needed here")))
}

fn run(command: &mut Command) -> String {
    let done = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let words = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{command:?}\n{words}");
    String::from_utf8(done.stdout).unwrap()
}

fn texts(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn named(name: &str) -> &'static Release {
    data::releases().iter().find(|release| release.name == name).unwrap()
}

/// Library and specifiers, in a form that does not depend on spaces and order.
fn plain(requirement: &str) -> (String, BTreeSet<String>) {
    let requirement = requirement.split(';').next().unwrap();
    let (name, range) = ranges::requirement(requirement).unwrap();
    let parts = range.split(',').map(|part| part.replace(' ', "")).filter(|part| !part.is_empty());
    (name, parts.collect())
}

fn plain_rows(rows: &[Supported]) -> BTreeSet<(String, BTreeSet<String>)> {
    rows.iter().map(|row| plain(&format!("{}{}", row.library, row.range))).collect()
}

fn strings(value: &Value) -> Vec<&str> {
    value.as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect()
}

/// Everything that the installed packages say about themselves equals the embedded data.
fn declared_equals_data(minor: &str, release: &Release, instrumentations: &[&str]) {
    let mut packages = vec![format!("opentelemetry-distro=={}", release.distro)];
    packages.push(format!("opentelemetry-exporter-otlp=={}", release.exporter));
    packages.extend(release.guard.clone());
    packages.extend(
        instrumentations
            .iter()
            .map(|name| format!("opentelemetry-instrumentation-{name}=={}", release.distro)),
    );
    let environment = Environment::new(minor, &packages);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/drivers/declared.py");
    let declared: Value = serde_json::from_str(&run(Command::new(environment.python()).arg(script))).unwrap();

    // Two instrumentations are named without an exact version; the data then holds what a resolver chose.
    let version = |pin: &str| pin.split_once("==").map(|(_, version)| version.to_owned());
    let mut listed = BTreeMap::new();
    for (pin, libraries) in declared["bootstrap"].as_object().unwrap() {
        let libraries: BTreeSet<_> = strings(libraries).into_iter().map(plain).collect();
        listed.insert(plain(pin).0, (version(pin), libraries));
    }
    let ours = release.instrumentations.iter().filter(|row| !row.bootstrap.is_empty());
    let ours: BTreeMap<_, _> = ours
        .map(|row| {
            let exact = listed.get(&row.instrumentation).and_then(|(version, _)| version.as_ref());
            let shown = exact.map(|_| row.version.clone());
            (row.instrumentation.clone(), (shown, plain_rows(&row.bootstrap)))
        })
        .collect();
    assert_eq!(ours, listed, "what opentelemetry-bootstrap {} maps", release.distro);

    let always: BTreeSet<_> = strings(&declared["default"]).into_iter().map(str::to_owned).collect();
    let ours = release.instrumentations.iter().filter(|row| row.default);
    assert_eq!(
        ours.map(|row| format!("{}=={}", row.instrumentation, row.version))
            .collect::<BTreeSet<_>>(),
        always
    );

    let found = declared["installed"].as_object().unwrap();
    assert!(
        found.len() >= instrumentations.len(),
        "{} of {} installed",
        found.len(),
        instrumentations.len()
    );
    for (name, package) in found {
        let ours = release
            .instrumentations
            .iter()
            .find(|row| row.instrumentation == *name)
            .unwrap_or_else(|| panic!("no data for {name}"));
        assert_eq!(package["version"], ours.version.as_str(), "{name}");
        let mut points = ours.entry_points.clone();
        points.sort();
        assert_eq!(strings(&package["entry_points"]), points, "{name}");
        for (extra, rows) in [("instruments", &ours.instruments), ("instruments-any", &ours.instruments_any)] {
            let ending = [format!("extra=='{extra}'"), format!("extra==\"{extra}\"")];
            let lines = strings(&package["requires"])
                .into_iter()
                .filter(|line| ending.iter().any(|end| line.replace(' ', "").ends_with(end)));
            assert_eq!(plain_rows(rows), lines.map(plain).collect(), "{name}[{extra}]");
        }
    }
}

#[test]
fn pinned_data_equals_what_the_pinned_packages_declare() {
    let names = [
        "aiohttp-client",
        "asgi",
        "celery",
        "django",
        "falcon",
        "fastapi",
        "flask",
        "grpc",
        "httpx",
        "jinja2",
        "psycopg2",
        "pyramid",
        "redis",
        "requests",
        "sqlalchemy",
        "starlette",
        "tornado",
        "tortoiseorm",
        "urllib3",
        "wsgi",
    ];
    declared_equals_data("3.11", named("pinned"), &names);
}

#[test]
fn current_data_equals_what_the_current_packages_declare() {
    let names = [
        "aiohttp-client",
        "aiohttp-server",
        "asgi",
        "asyncio",
        "botocore",
        "celery",
        "click",
        "django",
        "falcon",
        "fastapi",
        "flask",
        "grpc",
        "httpx",
        "kafka-python",
        "psycopg",
        "psycopg2",
        "redis",
        "requests",
        "sqlalchemy",
        "starlette",
        "tornado",
        "tortoiseorm",
        "urllib3",
    ];
    declared_equals_data("3.12", named("current"), &names);
}

#[test]
fn current_data_of_older_pythons_equals_what_their_packages_declare() {
    let names = [
        "celery",
        "django",
        "fastapi",
        "flask",
        "httpx",
        "kafka-python",
        "psycopg2",
        "redis",
        "sqlalchemy",
        "starlette",
    ];
    declared_equals_data("3.8", named("current-38"), &names);
    declared_equals_data("3.9", named("current-39"), &names);
}

/// Our list for an app equals the pins, the guard, and what `opentelemetry-bootstrap` then lists in that environment,
/// but for `proved`, which bootstrap leaves out.
fn list_equals_bootstrap(minor: &str, set: InstrumentationSet, app: &[&str], proved: &[&str]) {
    let bare = Environment::new(minor, &texts(app));
    let release = data::release(set, minor);
    let mut ours: BTreeSet<String> = requirements(&bare.installed(), set, minor)
        .into_iter()
        .map(|one| one.text)
        .collect();
    let mut pins = vec![
        format!("opentelemetry-distro=={}", release.distro),
        format!("opentelemetry-exporter-otlp=={}", release.exporter),
    ];
    pins.extend(release.guard.clone());
    for pin in &pins {
        assert!(ours.remove(pin), "{pin} is missing for {app:?}");
    }
    for name in proved {
        let pin = format!("opentelemetry-instrumentation-{name}=={}", release.distro);
        assert!(ours.remove(&pin), "{pin} is missing for {app:?}");
    }
    let mut with_pins = texts(app);
    with_pins.extend(pins);
    let equipped = Environment::new(minor, &with_pins);
    let listed = run(Command::new(equipped.folder.join("bin/opentelemetry-bootstrap")).args(["-a", "requirements"]));
    let listed: BTreeSet<String> = listed.split_whitespace().map(str::to_owned).collect();
    assert_eq!(ours, listed, "{app:?} on {minor}, {set}");
}

#[test]
fn pinned_list_is_what_bootstrap_lists() {
    list_equals_bootstrap("3.11", Pinned, &["flask==2.3.3"], &[]);
    list_equals_bootstrap("3.11", Pinned, &["flask==3.1.3"], &["flask"]);
    list_equals_bootstrap(
        "3.11",
        Pinned,
        &["django==5.2.19", "psycopg2-binary==2.9.13", "redis", "celery"],
        &["psycopg2"],
    );
    list_equals_bootstrap("3.11", Pinned, &["fastapi==0.141.1", "uvicorn"], &[]);
    list_equals_bootstrap(
        "3.11",
        Pinned,
        &["flask==3.1.3", "requests==2.32.4", "urllib3==2.5.0", "sqlalchemy==2.0.58"],
        &["flask", "urllib3"],
    );
    list_equals_bootstrap("3.12", Pinned, &["starlette==1.10.0", "uvicorn"], &["starlette"]);
    list_equals_bootstrap("3.8", Pinned, &["flask==3.0.3"], &["flask"]);
}

#[test]
fn current_list_is_what_bootstrap_lists() {
    list_equals_bootstrap("3.12", Current, &["flask==2.3.3"], &[]);
    list_equals_bootstrap("3.12", Current, &["flask==3.1.3", "requests"], &[]);
    list_equals_bootstrap(
        "3.12",
        Current,
        &["django==5.2.19", "psycopg2-binary==2.9.13", "redis", "celery"],
        &[],
    );
    list_equals_bootstrap("3.12", Current, &["fastapi==0.165.0", "uvicorn"], &[]);
    list_equals_bootstrap("3.8", Current, &["flask==3.0.3"], &[]);
    list_equals_bootstrap("3.9", Current, &["django==4.2.30", "fastapi"], &[]);
}

/// Installs every version of a row and drives it with the instrumentation forced: one span of the right kind each.
fn prove(row: &Proved, minor: &str, versions: &[String]) {
    let (kind, extra): (&str, &[&str]) = match row.library.as_str() {
        "starlette" => ("SERVER", &["uvicorn"]),
        "flask" | "falcon" => ("SERVER", &[]),
        "sqlalchemy" => ("CLIENT", &["greenlet"]),
        _ => ("CLIENT", &[]),
    };
    for set in &row.sets {
        let release = named(set);
        let instrumentation = release.by_entry_point(&row.entry_point).unwrap();
        let mut base = vec![format!("{}=={}", instrumentation.instrumentation, instrumentation.version)];
        base.push(format!("opentelemetry-sdk=={}", release.exporter));
        base.push(row.library.clone());
        base.extend(release.guard.clone());
        base.extend(texts(extra));
        let environment = Environment::new(minor, &base);
        for version in versions {
            environment.install(&[format!("{}=={version}", row.library)]);
            assert_eq!(environment.installed()[&row.library].version, *version);
            let spans = drive(&environment, &row.entry_point, "ignore-range");
            let wanted = spans
                .iter()
                .filter(|span| span["kind"] == kind && span["name"] != "connect")
                .count();
            assert_eq!(wanted, 1, "{} {version} with {set} on {minor}: {spans:#?}", row.library);
        }
        println!(
            "{} with {set} on {minor}: {} versions, one {kind} span each",
            row.library,
            versions.len()
        );
    }
}

fn drive(environment: &Environment, driver: &str, mode: &str) -> Vec<Value> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/drivers/beyond_range/drive_{driver}.py"));
    let mut command = Command::new(environment.python());
    command.arg("-B").arg(script).arg(mode);
    serde_json::from_str(&run(&mut command)).unwrap()
}

fn prove_library(library: &str) {
    let rows: Vec<_> = data::proved().iter().filter(|row| row.library == library).collect();
    assert!(!rows.is_empty(), "no row for {library}");
    for row in rows {
        prove(row, "3.12", &row.versions);
    }
}

#[test]
fn flask_is_traced_beyond_its_range() {
    prove_library("flask");
    let row = data::proved().iter().find(|row| row.library == "flask").unwrap();
    prove(row, "3.8", &row.versions[..1]);
    prove(row, "3.9", &row.versions);
}

#[test]
fn starlette_is_traced_beyond_its_range() {
    prove_library("starlette");
}

#[test]
fn falcon_is_traced_beyond_its_range() {
    prove_library("falcon");
}

#[test]
fn urllib3_is_traced_beyond_its_range() {
    prove_library("urllib3");
}

#[test]
fn psycopg2_binary_is_traced_under_its_other_name() {
    prove_library("psycopg2-binary");
}

#[test]
fn sqlalchemy_is_traced_beyond_its_range() {
    prove_library("sqlalchemy");
}

#[test]
fn each_proved_library_has_its_test() {
    let libraries: BTreeSet<_> = data::proved().iter().map(|row| row.library.as_str()).collect();
    let tested = ["falcon", "flask", "psycopg2-binary", "sqlalchemy", "starlette", "urllib3"];
    assert_eq!(libraries, tested.into_iter().collect());
}

/// The reason for the whole table of proofs: left alone, the instrumentation of Flask 3 stays away without a span.
#[test]
fn flask_3_is_silent_when_its_range_is_kept() {
    let release = named("pinned");
    let mut packages = texts(&["flask==3.1.3"]);
    packages.push(format!("opentelemetry-instrumentation-flask=={}", release.distro));
    packages.push(format!("opentelemetry-sdk=={}", release.exporter));
    packages.extend(release.guard.clone());
    let environment = Environment::new("3.12", &packages);
    assert_eq!(drive(&environment, "flask", "keep-range"), Vec::<Value>::new());
    assert_eq!(drive(&environment, "flask", "ignore-range").len(), 1);
    let rows = table(&environment.installed(), Pinned, "3.12");
    assert!(rows.iter().any(|row| row.library == "flask" && row.beyond_declared_range));
}

/// One resolver call takes the whole list, and everything in it is there afterwards.
#[test]
fn the_whole_list_of_a_large_app_resolves() {
    let app = [
        "flask==3.1.3",
        "redis",
        "sqlalchemy==2.1.9",
        "psycopg2-binary",
        "celery",
        "httpx",
        "aiohttp",
        "boto3",
        "pymongo",
    ];
    for set in [Pinned, Current] {
        let bare = Environment::new("3.12", &texts(&app));
        let mut all = texts(&app);
        all.extend(requirements(&bare.installed(), set, "3.12").into_iter().map(|one| one.text));
        let installed = Environment::new("3.12", &all).installed();
        for requirement in requirements(&installed, set, "3.12") {
            let (name, _) = plain(&requirement.text.replace("==", ">="));
            assert!(installed.contains_key(&name), "{name} is not there after the install of {set}");
        }
    }
}

/// No choice of libraries can make the list contradict itself: all instrumentations of a release fit together.
#[test]
fn every_release_resolves_as_a_whole() {
    for (name, minor) in [
        ("pinned", "3.12"),
        ("pinned", "3.8"),
        ("current-38", "3.8"),
        ("current-39", "3.9"),
        ("current", "3.10"),
        ("current", "3.13"),
    ] {
        let release = named(name);
        let mut all = vec![
            format!("opentelemetry-distro=={}", release.distro),
            format!("opentelemetry-exporter-otlp=={}", release.exporter),
        ];
        all.extend(release.guard.clone());
        all.extend(
            release
                .instrumentations
                .iter()
                .map(|row| format!("{}=={}", row.instrumentation, row.version)),
        );
        Environment::new(minor, &[]).install(&[texts(&["--dry-run"]), all].concat());
    }
}
