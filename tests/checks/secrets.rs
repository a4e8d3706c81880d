//! Fixtures of the family `secrets`.

use super::Fixture;
use super::lab::{CANARY, Lab};
use signoz_setup::domain::Outcome;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

const HEADERS: &str = "OTEL_EXPORTER_OTLP_HEADERS";

/// Puts the project into a git work tree, with the real git on the PATH.
fn git(lab: &mut Lab) {
    lab.env.insert("PATH".to_owned(), std::env::var("PATH").unwrap());
    run_git(lab, &["init", "--quiet"]);
}

fn run_git(lab: &Lab, words: &[&str]) {
    let done = Command::new("git")
        .args(words)
        .current_dir(lab.project())
        .env_remove("GIT_DIR")
        .env_remove("GIT_WORK_TREE")
        .env_remove("GIT_INDEX_FILE")
        .output()
        .unwrap();
    assert!(done.status.success(), "{done:?}");
}

fn process(lab: &Lab, extra: &[&str], key: &str) {
    let python = lab.project().join(".venv/bin/python3").display().to_string();
    let gunicorn = lab.project().join(".venv/bin/gunicorn").display().to_string();
    let mut argv = vec![python.as_str(), gunicorn.as_str(), "app:app"];
    argv.extend(extra);
    let headers = format!("signoz-ingestion-key={key}");
    lab.process(4711, 1, &argv, &[(HEADERS, &headers)]);
}

fn unit(lab: &Lab, more: &str) {
    let project = lab.project().display().to_string();
    let text = format!("[Service]\nWorkingDirectory={project}\nExecStart={project}/.signoz/run.sh gunicorn app:app\n{more}\n");
    lab.machine_file("/etc/systemd/system/shop.service", &text);
}

const fn row(id: &'static str, fail: fn(&mut Lab), says: &'static str) -> Fixture {
    Fixture {
        id,
        pass: |_| {},
        fail,
        says,
    }
}

pub(super) const FIXTURES: &[Fixture] = &[
    row(
        "secrets.key-present",
        |lab| lab.otel(HEADERS, Some("signoz-ingestion-key=")),
        "write OTEL_EXPORTER_OTLP_HEADERS=signoz-ingestion-key=YOUR-KEY in .signoz/otel.env:",
    ),
    row(
        "secrets.key-filled-in",
        |lab| lab.otel(HEADERS, Some("signoz-ingestion-key=<your-ingestion-key>")),
        "put it in place of the placeholder in .signoz/otel.env:",
    ),
    row(
        "secrets.key-plain",
        |lab| lab.otel(HEADERS, Some("signoz-ingestion-key=Bearer canary-6f1e-4a52-9b0c")),
        "`Bearer` stands before the key",
    ),
    row(
        "secrets.key-kind",
        |lab| lab.otel(HEADERS, Some("signoz-ingestion-key=QWxhZGRpbjpvcGVuIHNlc2FtZSBhbmQgc28gb24gMTI=")),
        "not from Service accounts",
    ),
    Fixture {
        id: "secrets.same-key",
        pass: |lab| process(lab, &[], CANARY),
        fail: |lab| process(lab, &[], "another-1234-key-of-old"),
        says: "start pid 4711 (gunicorn) anew",
    },
    row(
        "secrets.file-private",
        |lab| {
            let path = lab.project().join(".signoz/otel.env");
            fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
        },
        "chmod 600 /",
    ),
    Fixture {
        id: "secrets.ignored-by-git",
        pass: git,
        fail: |lab| {
            git(lab);
            lab.remove(".signoz/.gitignore");
        },
        says: "echo otel.env >> /",
    },
    Fixture {
        id: "secrets.untracked",
        pass: git,
        fail: |lab| {
            git(lab);
            run_git(lab, &["add", "--force", ".signoz/otel.env"]);
        },
        says: "rm --cached .signoz/otel.env",
    },
    Fixture {
        id: "secrets.outside-images",
        pass: |lab| {
            lab.file("Dockerfile", "FROM python:3.11\nCOPY . .\nCMD [\".signoz/run.sh\"]\n");
            lab.file(".dockerignore", ".git\n.signoz/otel.env\n");
        },
        fail: |lab| {
            lab.file(
                "Dockerfile",
                "FROM python:3.11\nCOPY --chown=app . /app\nCMD [\".signoz/run.sh\"]\n",
            )
        },
        says: "echo .signoz/otel.env >> /",
    },
    row(
        "secrets.not-in-files",
        |lab| {
            let line = format!("FROM python:3.11\nENV {HEADERS}=signoz-ingestion-key={CANARY}\n");
            lab.file("Dockerfile", &line);
        },
        "a key is written out in Dockerfile:2",
    ),
    Fixture {
        id: "secrets.private-units",
        pass: |lab| unit(lab, ""),
        fail: |lab| {
            unit(
                lab,
                "Environment=OTEL_EXPORTER_OTLP_HEADERS=signoz-ingestion-key=canary-6f1e-4a52-9b0c",
            )
        },
        says: "/etc/systemd/system/shop.service:4",
    },
    Fixture {
        id: "secrets.command-line",
        pass: |lab| process(lab, &[], CANARY),
        fail: |lab| {
            process(
                lab,
                &["--env", "OTEL_EXPORTER_OTLP_HEADERS=signoz-ingestion-key=canary-6f1e-4a52-9b0c"],
                CANARY,
            )
        },
        says: "pid 4711 (gunicorn) has a key among its arguments",
    },
    Fixture {
        id: "secrets.not-logged",
        pass: |lab| lab.says("[INFO] Booting worker with pid: 12"),
        fail: |lab| {
            lab.says("Header format invalid! Header values in environment variables must be URL encoded per the OpenTelemetry Protocol Exporter specification: signoz-ingestion-key: canary-6f1e-4a52-9b0c");
        },
        says: "app.log:1 holds a key in plain text",
    },
    Fixture {
        id: "secrets.kubernetes-secret",
        pass: |lab| secret(lab, "Y2FuYXJ5LTZmMWUtNGE1Mi05YjBj"),
        fail: |lab| secret(lab, "Y2FuYXJ5LTZmMWUtNGE1Mi05YjBjCg=="),
        says: "`signoz-ingestion-key` in k8s/secret.yaml:6 ends in a line break",
    },
];

fn secret(lab: &Lab, value: &str) {
    let text = format!("apiVersion: v1\nkind: Secret\nmetadata:\n  name: signoz\ndata:\n  signoz-ingestion-key: {value}\n");
    lab.file("k8s/secret.yaml", &text);
}

#[test]
fn a_key_that_is_written_out_is_found_in_every_kind_of_file() {
    let key = format!("signoz-ingestion-key={CANARY}");
    let files = [
        (
            "docker-compose.yml",
            format!("services:\n  web:\n    image: x\n    environment:\n      OTEL_EXPORTER_OTLP_HEADERS: {key}\n"),
        ),
        (
            "start.sh",
            format!("#!/bin/sh\nexport OTEL_EXPORTER_OTLP_HEADERS=\"{key}\"\ngunicorn app:app\n"),
        ),
        ("signoz-setup.toml", format!("key = \"{CANARY}\"\n")),
        ("Procfile", format!("web: OTEL_EXPORTER_OTLP_HEADERS={key} gunicorn app:app\n")),
        ("settings.py", format!("HEADERS = {{'signoz-ingestion-key': '{CANARY}'}}\n")),
        (
            "deploy/shop.service",
            format!("[Service]\nEnvironment=OTEL_EXPORTER_OTLP_HEADERS={key}\nExecStart=gunicorn app:app\n"),
        ),
    ];
    for (path, text) in files {
        let lab = Lab::new();
        lab.file(path, &text);
        let finding = lab.finding("secrets.not-in-files");
        assert!(
            finding.outcome == Outcome::Fail && finding.detail.contains(path),
            "{path}: {finding:?}"
        );
    }
}

#[test]
fn examples_and_variables_are_no_keys() {
    let lab = Lab::new();
    lab.file(
        "start.sh",
        "#!/bin/sh\nexport OTEL_EXPORTER_OTLP_HEADERS=\"signoz-ingestion-key=$SIGNOZ_KEY\"\ngunicorn app:app\n",
    );
    lab.file("docker-compose.yml", "services:\n  web:\n    image: x\n    environment:\n      - OTEL_EXPORTER_OTLP_HEADERS=signoz-ingestion-key=${SIGNOZ_INGESTION_KEY}\n");
    let bad = |outcome| !matches!(outcome, Outcome::Pass | Outcome::Skip);
    let found: Vec<_> = lab.check(&["secrets"]).into_iter().filter(|finding| bad(finding.outcome)).collect();
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn a_missing_key_is_named_where_spans_go_to_the_cloud() {
    let lab = Lab::new();
    lab.otel(HEADERS, None);
    let finding = lab.finding("secrets.key-present");
    assert!(
        finding.outcome == Outcome::Fail && finding.remedy.contains(".signoz/otel.env"),
        "{finding:?}"
    );
    lab.otel("OTEL_EXPORTER_OTLP_ENDPOINT", Some("http://127.0.0.1:4317"));
    assert_eq!(lab.finding("secrets.key-present").outcome, Outcome::Skip);
}
