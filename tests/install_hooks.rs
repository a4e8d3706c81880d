//! `tests/python_hooks` under the real SDK, for each set and the oldest and a new Python: loader and worker hooks with real
//! servers. Needs PyPI; run by name.
#![allow(clippy::unwrap_used, clippy::panic)]

#[path = "support/pythons.rs"]
mod pythons;

use pythons::Making;
use std::path::Path;
use std::process::Command;

/// The tests of the Python files, under a real SDK.
fn python_hooks(minor: u32, name: &str, packages: &[&str]) {
    let interpreters = pythons::interpreters();
    let Some(interpreter) = interpreters.get(&(3, minor)) else {
        eprintln!("not run: this machine has no Python 3.{minor}");
        return;
    };
    let environment = pythons::environment(name, interpreter, Making::Uv, packages);
    let output = Command::new(environment.python())
        .args(["-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "ignore"])
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python_hooks"))
        .env_remove("PYTHONPATH")
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn the_loader_and_hooks_hold_with_the_pinned_set_on_python_3_8() {
    let packages = [
        "setuptools<81",
        "opentelemetry-distro==0.38b0",
        "opentelemetry-exporter-otlp==1.17.0",
        "opentelemetry-instrumentation-flask==0.38b0",
        "flask==3.0.3",
        "gunicorn",
        "uvicorn",
        "celery",
        "pytest",
    ];
    python_hooks(8, "hooks-pinned-38", &packages);
}

#[test]
fn the_loader_and_hooks_hold_with_the_pinned_set_on_python_3_12() {
    let packages = [
        "setuptools<81",
        "opentelemetry-distro==0.38b0",
        "opentelemetry-exporter-otlp==1.17.0",
        "opentelemetry-instrumentation-flask==0.38b0",
        "opentelemetry-instrumentation-sqlalchemy==0.38b0",
        "opentelemetry-instrumentation-sqlite3==0.38b0",
        "flask==3.1.3",
        "sqlalchemy==2.1.9",
        "gunicorn",
        "gevent",
        "uvicorn",
        "uvicorn-worker",
        "celery",
        "pytest",
    ];
    python_hooks(12, "hooks-pinned-312", &packages);
}

#[test]
fn the_loader_and_hooks_hold_with_the_current_set_on_python_3_12() {
    let packages = [
        "opentelemetry-distro==0.65b0",
        "opentelemetry-exporter-otlp==1.44.0",
        "opentelemetry-instrumentation-flask==0.65b0",
        "flask==3.1.3",
        "gunicorn",
        "gevent",
        "uvicorn",
        "uvicorn-worker",
        "celery",
        "pytest",
    ];
    python_hooks(12, "hooks-current-312", &packages);
}
