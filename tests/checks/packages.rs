//! Fixtures of the family `packages`.

use super::{Fixture, Lab};
use signoz_setup::domain::Outcome;

const PROJECT: &str = "[project]\nname = \"shop\"\nversion = \"0\"\ndependencies = [\"flask\"]\n\n[tool.uv]\n";

fn uv_lock(names: &[&str]) -> String {
    let row = |name: &&str| format!("[[package]]\nname = \"{name}\"\nversion = \"1\"\n\n");
    format!("version = 1\n\n{}", names.iter().map(row).collect::<String>())
}

/// Everything of OpenTelemetry that is installed.
fn installed(lab: &Lab) -> Vec<String> {
    let folders = std::fs::read_dir(lab.site()).unwrap().flatten();
    let names = folders.map(|entry| entry.file_name().into_string().unwrap());
    names.map(|name| name.split('-').next().unwrap().replace('_', "-")).collect()
}

pub(super) const FIXTURES: &[Fixture] = &[
    Fixture {
        id: "packages.setuptools",
        pass: |_| {},
        fail: |lab| lab.dist("setuptools", "84.2.1"),
        says: "setuptools 84.2.1 has it no longer",
    },
    Fixture {
        id: "packages.distro",
        pass: |_| {},
        fail: |lab| lab.no_dist("opentelemetry-distro"),
        says: "'opentelemetry-distro==0.38b0' 'opentelemetry-exporter-otlp==1.17.0'",
    },
    Fixture {
        id: "packages.exporter",
        pass: |_| {},
        fail: |lab| lab.no_dist("opentelemetry-exporter-otlp-proto-grpc"),
        says: "pip install 'opentelemetry-exporter-otlp-proto-grpc==1.17.0'",
    },
    Fixture {
        id: "packages.one-release",
        pass: |_| {},
        fail: |lab| lab.dist("opentelemetry-instrumentation-flask", "0.65b0"),
        says: "'opentelemetry-instrumentation-flask==0.38b0'",
    },
    Fixture {
        id: "packages.conflict-free",
        pass: |_| {},
        fail: |lab| lab.dist("protobuf", "6.33.5"),
        says: "opentelemetry-proto 1.17.0 requires protobuf<5.0,>=3.19, but 6.33.5 is installed",
    },
    Fixture {
        id: "packages.locked",
        pass: |lab| {
            lab.file("pyproject.toml", PROJECT);
            let names = installed(lab);
            lab.file("uv.lock", &uv_lock(&names.iter().map(String::as_str).collect::<Vec<_>>()));
        },
        fail: |lab| {
            lab.file("pyproject.toml", PROJECT);
            lab.file("uv.lock", &uv_lock(&["flask", "gunicorn"]));
        },
        says: "uv add opentelemetry-distro==0.38b0",
    },
];

fn conflict(name: &str, version: &str, requires: &[&str], says: &str) {
    let lab = Lab::new();
    lab.dist_with(name, version, requires);
    let finding = lab.finding("packages.conflict-free");
    assert_eq!(finding.outcome, Outcome::Fail, "{finding:?}");
    assert!(finding.detail.contains(says), "{finding:?}");
}

#[test]
fn each_known_conflict_is_named() {
    conflict(
        "wrapt",
        "2.5.2",
        &[],
        "opentelemetry-instrumentation 0.38b0 requires wrapt<2.0.0,>=1.0.0, but 2.5.2",
    );
    conflict(
        "importlib-metadata",
        "8.5.0",
        &[],
        "opentelemetry-api 1.17.0 requires importlib-metadata~=6.0.0",
    );
    conflict(
        "fastapi",
        "0.165.0",
        &["opentelemetry-api>=1.44.0"],
        "fastapi 0.165.0 requires opentelemetry-api>=1.44.0",
    );
}

#[test]
fn the_protocol_decides_which_exporter_is_wanted() {
    let lab = Lab::new();
    lab.no_dist("opentelemetry-exporter-otlp-proto-http");
    assert_eq!(lab.finding("packages.exporter").outcome, Outcome::Pass);
    lab.otel("OTEL_EXPORTER_OTLP_PROTOCOL", Some("http/protobuf"));
    assert_eq!(lab.finding("packages.exporter").outcome, Outcome::Fail);
}
