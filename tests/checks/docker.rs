//! Fixtures of the family `docker`.

use super::Fixture;
use super::lab::Lab;
use signoz_setup::domain::Outcome;

const DOCKERFILE: &str = "FROM python:3.11-slim
WORKDIR /app
COPY requirements.txt .
RUN pip install -r requirements.txt opentelemetry-distro==0.38b0 opentelemetry-exporter-otlp==1.17.0
RUN opentelemetry-bootstrap -a install
COPY . .
ENV OTEL_EXPORTER_OTLP_ENDPOINT=https://ingest.eu.signoz.cloud:443
USER app
CMD [\"opentelemetry-instrument\", \"gunicorn\", \"app:app\"]
";

const STAGES: &str = "FROM python:3.11-slim AS build
RUN pip install opentelemetry-distro flask gunicorn
FROM python:3.11-slim
COPY --from=build /usr/local/lib/python3.11/site-packages /usr/local/lib/python3.11/site-packages
COPY --from=build /usr/local/bin /usr/local/bin
CMD [\"opentelemetry-instrument\", \"gunicorn\", \"app:app\"]
";

const COMPOSE: &str = "services:
  web:
    build: .
    environment:
      - OTEL_EXPORTER_OTLP_ENDPOINT=https://ingest.eu.signoz.cloud:443
      - OTEL_EXPORTER_OTLP_HEADERS=signoz-ingestion-key=canary-6f1e-4a52-9b0c
";

fn good(lab: &mut Lab) {
    lab.file("Dockerfile", DOCKERFILE);
    lab.file("compose.yaml", COMPOSE);
}

fn image(lab: &Lab, from: &str, to: &str) {
    assert!(DOCKERFILE.contains(from), "{from}");
    lab.file("Dockerfile", &DOCKERFILE.replace(from, to));
}

pub(super) const FIXTURES: &[Fixture] = &[
    Fixture {
        id: "docker.localhost-endpoint",
        pass: good,
        fail: |lab| {
            lab.file(
                "compose.yaml",
                &COMPOSE.replace("https://ingest.eu.signoz.cloud:443", "http://localhost:4317"),
            )
        },
        says: "http://host.docker.internal:4317",
    },
    Fixture {
        id: "docker.unquoted-values",
        pass: good,
        fail: |lab| {
            lab.file(
                "compose.yaml",
                &COMPOSE.replace(
                    "signoz-ingestion-key=canary-6f1e-4a52-9b0c",
                    "\"signoz-ingestion-key=canary-6f1e-4a52-9b0c\"",
                ),
            )
        },
        says: "compose.yaml:6",
    },
    Fixture {
        id: "docker.wrapper-reached",
        pass: good,
        fail: |lab| {
            image(
                lab,
                "CMD [\"opentelemetry-instrument\", \"gunicorn\", \"app:app\"]",
                "CMD gunicorn app:app",
            )
        },
        says: "CMD [\"opentelemetry-instrument\",\"gunicorn\",\"app:app\"]",
    },
    Fixture {
        id: "docker.bootstrap-order",
        pass: good,
        fail: |lab| {
            lab.file(
                "Dockerfile",
                "FROM python:3.11-slim\nRUN pip install opentelemetry-distro\nRUN opentelemetry-bootstrap -a install\nCOPY . .\nRUN pip install -r requirements.txt\nCMD opentelemetry-instrument gunicorn app:app\n",
            )
        },
        says: "move `Dockerfile:3` below `Dockerfile:5`",
    },
    Fixture {
        id: "docker.whole-environment",
        pass: |lab| lab.file("Dockerfile", STAGES),
        fail: |lab| {
            lab.file(
                "Dockerfile",
                &STAGES.replace("COPY --from=build /usr/local/bin /usr/local/bin\n", ""),
            )
        },
        says: "COPY --from=build /usr/local/bin /usr/local/bin",
    },
    Fixture {
        id: "docker.installs-at-build",
        pass: good,
        fail: |lab| {
            image(
                lab,
                "[\"opentelemetry-instrument\", \"gunicorn\", \"app:app\"]",
                "[\"./entrypoint.sh\"]",
            );
            lab.file(
                "entrypoint.sh",
                "#!/bin/sh\npip install opentelemetry-distro\nexec opentelemetry-instrument gunicorn app:app\n",
            );
        },
        says: "entrypoint.sh:2",
    },
];

fn fails(lab: &Lab, id: &str, says: &str) {
    let finding = lab.finding(id);
    assert!(matches!(finding.outcome, Outcome::Fail | Outcome::Warn), "{finding:#?}");
    assert!(format!("{} {}", finding.detail, finding.remedy).contains(says), "{finding:#?}");
}

#[test]
fn other_breakages_of_images() {
    let lab = Lab::new();
    image(&lab, "https://ingest.eu.signoz.cloud:443", "http://localhost:4318");
    fails(&lab, "docker.localhost-endpoint", "Dockerfile:7");

    let lab = Lab::new();
    lab.file("Dockerfile", &STAGES.replace("FROM python:3.11-slim\n", "FROM python:3.12-slim\n"));
    fails(&lab, "docker.whole-environment", "built for Python 3.11 and runs on Python 3.12");

    let lab = Lab::new();
    image(
        &lab,
        "[\"opentelemetry-instrument\", \"gunicorn\", \"app:app\"]",
        "[\"./entrypoint.sh\"]",
    );
    lab.file("entrypoint.sh", "#!/bin/sh\nexec gunicorn app:app\n");
    fails(&lab, "docker.wrapper-reached", "exec opentelemetry-instrument gunicorn app:app");

    let lab = Lab::new();
    lab.file(
        "compose.yaml",
        "services:\n  web:\n    image: shop\n    command: gunicorn app:app\n    environment:\n      OTEL_SERVICE_NAME: shop\n",
    );
    fails(&lab, "docker.wrapper-reached", "command: opentelemetry-instrument gunicorn app:app");

    let lab = Lab::new();
    lab.file(
        "docker.env",
        "OTEL_EXPORTER_OTLP_HEADERS=\"signoz-ingestion-key=canary-6f1e-4a52-9b0c\"\n",
    );
    lab.file("run-docker.sh", "docker run --env-file docker.env shop\n");
    lab.file("Dockerfile", DOCKERFILE);
    fails(&lab, "docker.unquoted-values", "docker.env:1");
}

#[test]
fn sound_images_have_no_complaint() {
    let lab = Lab::new();
    lab.file(
        "compose.yaml",
        &COMPOSE
            .replace("https://ingest.eu.signoz.cloud:443", "http://localhost:4317")
            .replace("build: .", "build: .\n    network_mode: host"),
    );
    lab.file("Dockerfile", DOCKERFILE);
    let bad: Vec<_> = lab
        .check(&["docker"])
        .into_iter()
        .filter(|finding| !matches!(finding.outcome, Outcome::Pass | Outcome::Skip))
        .collect();
    assert!(bad.is_empty(), "{bad:#?}");

    // Services that only prepare something, with the same variables.
    let lab = Lab::new();
    lab.file(
        "compose.yaml",
        "x-env: &env\n  OTEL_SERVICE_NAME: shop\nservices:\n  web:\n    image: shop\n    command: opentelemetry-instrument gunicorn app:app\n    environment: *env\n  migrate:\n    image: shop\n    command: python manage.py migrate\n    environment: *env\n",
    );
    let bad: Vec<_> = lab
        .check(&["docker"])
        .into_iter()
        .filter(|finding| !matches!(finding.outcome, Outcome::Pass | Outcome::Skip))
        .collect();
    assert!(bad.is_empty(), "{bad:#?}");

    // The service's command, or the operator, starts what the image does not.
    for (path, text) in [
        (
            "compose.yaml",
            "services:\n  web:\n    build: .\n    command: opentelemetry-instrument gunicorn app:app\n",
        ),
        (
            "k8s/shop.yaml",
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: shop}\nspec:\n  template:\n    metadata:\n      annotations: {instrumentation.opentelemetry.io/inject-python: \"true\"}\n    spec:\n      containers: [{name: shop, image: shop}]\n",
        ),
    ] {
        let lab = Lab::new();
        image(&lab, "[\"opentelemetry-instrument\", ", "[");
        lab.file(path, text);
        let bad: Vec<_> = lab
            .check(&["docker", "kubernetes"])
            .into_iter()
            .filter(|finding| !matches!(finding.outcome, Outcome::Pass | Outcome::Skip))
            .collect();
        assert!(bad.is_empty(), "{bad:#?}");
    }

    // A virtual environment as a whole, started by a script; uv in the image.
    let lab = Lab::new();
    lab.file(
        "Dockerfile",
        "FROM python:3.12-slim AS build\nRUN uv sync --frozen\nFROM python:3.12-slim\nCOPY --from=build /app/.venv /app/.venv\nENV OTEL_SERVICE_NAME=shop\nENTRYPOINT [\"./docker-entrypoint.sh\"]\nCMD [\"gunicorn\", \"app:app\"]\n",
    );
    lab.file("docker-entrypoint.sh", "#!/bin/sh\nexec opentelemetry-instrument \"$@\"\n");
    let bad: Vec<_> = lab
        .check(&["docker"])
        .into_iter()
        .filter(|finding| !matches!(finding.outcome, Outcome::Pass | Outcome::Skip))
        .collect();
    assert!(bad.is_empty(), "{bad:#?}");
}
