//! Fixtures of the family `config`.

use super::Fixture;
use super::lab::Lab;
use signoz_setup::domain::Outcome;

const DJANGO: &str = "import os\n\nfrom django.core.wsgi import get_wsgi_application\n\nos.environ.setdefault(\"DJANGO_SETTINGS_MODULE\", \"shop.settings\")\napplication = get_wsgi_application()\n";

/// A Django project in place of the Flask app, before set-up runs again.
fn django(lab: &mut Lab) {
    lab.remove("app.py");
    lab.no_dist("flask");
    lab.dist("django", "4.2.16");
    lab.dist("opentelemetry-instrumentation-django", "0.38b0");
    lab.file("requirements.txt", "django==4.2.16\ngunicorn\n");
    lab.file("shop/__init__.py", "");
    lab.file("shop/settings.py", "ROOT_URLCONF = 'shop.urls'\n");
    lab.file("shop/wsgi.py", DJANGO);
    lab.answer(|answers| answers.command = ["gunicorn", "shop.wsgi"].map(str::to_owned).into());
}

/// The `current` set as set-up leaves it.
fn current(lab: &mut Lab) {
    for name in ["opentelemetry-api", "opentelemetry-sdk"] {
        lab.dist(name, "1.44.0");
    }
    for name in ["distro", "instrumentation", "instrumentation-flask", "instrumentation-logging"] {
        lab.dist(&format!("opentelemetry-{name}"), "0.65b0");
    }
    lab.answer(|answers| answers.instrumentation = signoz_setup::domain::InstrumentationSet::Current);
}

const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
const PROTOCOL: &str = "OTEL_EXPORTER_OTLP_PROTOCOL";
const HEADERS: &str = "OTEL_EXPORTER_OTLP_HEADERS";

const HEALTH: &str = "FROM python:3.11\nHEALTHCHECK CMD curl -f http://localhost:8000/healthz || exit 1\nCMD [\".signoz/run.sh\"]\n";

/// A unit of the machine that runs the project's gunicorn.
fn unit(lab: &Lab, start: &str) {
    let project = lab.project().display().to_string();
    let text = format!("[Service]\nWorkingDirectory={project}\nExecStart={project}/{start}\n");
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
        "config.left-over-environment",
        |lab| {
            lab.env.insert("OTEL_TRACES_EXPORTER".to_owned(), "none".to_owned());
        },
        "spans go elsewhere or nowhere",
    ),
    Fixture {
        id: "config.service-variables",
        pass: |lab| unit(lab, ".signoz/run.sh gunicorn app:app"),
        fail: |lab| unit(lab, ".venv/bin/gunicorn app:app"),
        says: "/etc/systemd/system/shop.service:3",
    },
    Fixture {
        id: "config.dotenv-exported",
        pass: |lab| {
            lab.file(".env", "OTEL_TRACES_EXPORTER=otlp\n");
        },
        fail: |lab| lab.file(".env", "OTEL_SERVICE_NAME=shop\nDEBUG=0\n"),
        says: "move OTEL_SERVICE_NAME from .env to .signoz/otel.env",
    },
    Fixture {
        id: "config.django-settings",
        pass: django,
        fail: |lab| {
            django(lab);
            let run = std::fs::read_to_string(lab.project().join(".signoz/run.sh")).unwrap();
            let kept: Vec<&str> = run.lines().filter(|line| !line.contains("DJANGO_SETTINGS_MODULE")).collect();
            lab.file(".signoz/run.sh", &kept.join("\n"));
        },
        says: "add `DJANGO_SETTINGS_MODULE=shop.settings` to .signoz/otel.env",
    },
    Fixture {
        id: "config.django-importable",
        pass: django,
        fail: |lab| {
            django(lab);
            let run = std::fs::read_to_string(lab.project().join(".signoz/run.sh")).unwrap();
            lab.file(".signoz/run.sh", &run.replace("shop.settings", "shop.settings_prod"));
        },
        says: "shop.settings_prod, and there is no such module",
    },
    row(
        "config.unquoted",
        |lab| lab.otel(ENDPOINT, Some("\"https://ingest.eu.signoz.cloud:443\"")),
        "remove the quotes around the value of OTEL_EXPORTER_OTLP_ENDPOINT in .signoz/otel.env:",
    ),
    row(
        "config.filled-in",
        |lab| lab.otel(ENDPOINT, Some("https://ingest.<region>.signoz.cloud:443")),
        "write the real value of OTEL_EXPORTER_OTLP_ENDPOINT in .signoz/otel.env:",
    ),
    row(
        "config.control-characters",
        |lab| {
            let text = std::fs::read_to_string(lab.project().join(".signoz/otel.env")).unwrap();
            lab.file(".signoz/otel.env", &text.replace('\n', "\r\n"));
        },
        "sed -i 's/\\r$//' .signoz/otel.env",
    ),
    row(
        "config.current-names",
        |lab| lab.otel("OTEL_EXPORTER_JAEGER_AGENT_HOST", Some("localhost")),
        "remove OTEL_EXPORTER_JAEGER_AGENT_HOST from .signoz/otel.env:",
    ),
    row(
        "config.signal-variables",
        |lab| {
            let other = "http://old-collector:4317".to_owned();
            lab.env.insert("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT".to_owned(), other);
        },
        "unset OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    ),
    row(
        "config.endpoint-set",
        |lab| lab.otel(ENDPOINT, None),
        "add `OTEL_EXPORTER_OTLP_ENDPOINT=",
    ),
    row(
        "config.endpoint-scheme",
        |lab| lab.otel(ENDPOINT, Some("localhost:4317")),
        "OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4317",
    ),
    row(
        "config.endpoint-tls",
        |lab| lab.otel(ENDPOINT, Some("http://ingest.eu.signoz.cloud:443")),
        "OTEL_EXPORTER_OTLP_ENDPOINT=https://ingest.eu.signoz.cloud:443",
    ),
    row(
        "config.endpoint-port",
        |lab| lab.otel(ENDPOINT, Some("http://collector:4318")),
        "OTEL_EXPORTER_OTLP_ENDPOINT=http://collector:4317",
    ),
    row(
        "config.endpoint-path",
        |lab| {
            lab.otel(PROTOCOL, Some("http/protobuf"));
            lab.otel(ENDPOINT, Some("https://ingest.eu.signoz.cloud:443/v1/traces"));
        },
        "OTEL_EXPORTER_OTLP_ENDPOINT=https://ingest.eu.signoz.cloud:443`",
    ),
    row(
        "config.ingest-host",
        |lab| lab.otel(ENDPOINT, Some("https://acme.us.signoz.cloud")),
        "OTEL_EXPORTER_OTLP_ENDPOINT=https://ingest.us.signoz.cloud:443",
    ),
    row(
        "config.current-host",
        |lab| lab.otel(ENDPOINT, Some("https://ingest-eu.signoz.io:443")),
        "OTEL_EXPORTER_OTLP_ENDPOINT=https://ingest.eu.signoz.cloud:443",
    ),
    row(
        "config.protocol",
        |lab| lab.otel(PROTOCOL, Some("http/json")),
        "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf",
    ),
    row(
        "config.headers-format",
        |lab| lab.otel(HEADERS, Some("signoz-ingestion-key: canary-6f1e-4a52-9b0c")),
        "has `:` where `=` belongs",
    ),
    row(
        "config.header-encoding",
        |lab| lab.otel(HEADERS, Some("signoz-ingestion-key=canary-6f1e-4a52-9b0c x")),
        "write %20 in place of the space",
    ),
    row(
        "config.header-name",
        |lab| lab.otel(HEADERS, Some("SIGNOZ_INGESTION_KEY=canary-6f1e-4a52-9b0c")),
        "rename the header in OTEL_EXPORTER_OTLP_HEADERS to signoz-ingestion-key",
    ),
    row(
        "config.service-name",
        |lab| lab.otel("OTEL_RESOURCE_ATTRIBUTES", None),
        "add `OTEL_SERVICE_NAME=project` to .signoz/otel.env",
    ),
    row(
        "config.one-service-name",
        |lab| lab.otel("OTEL_SERVICE_NAME", Some("other")),
        "OTEL_SERVICE_NAME says `other`, service.name says `shop`",
    ),
    row(
        "config.resource-attributes",
        |lab| lab.otel("OTEL_RESOURCE_ATTRIBUTES", Some("service.name=shop,production")),
        "pair 2 of OTEL_RESOURCE_ATTRIBUTES has no `=`",
    ),
    row(
        "config.sdk-enabled",
        |lab| {
            current(lab);
            lab.otel("OTEL_SDK_DISABLED", Some("true"));
        },
        "no span is made",
    ),
    row(
        "config.traces-exporter",
        |lab| lab.otel("OTEL_TRACES_EXPORTER", Some("OTLP")),
        "the name is written in lower case",
    ),
    row(
        "config.sampler",
        |lab| lab.otel("OTEL_TRACES_SAMPLER", Some("always_off")),
        "OTEL_TRACES_SAMPLER=parentbased_always_on",
    ),
    row(
        "config.declarative-file",
        |lab| {
            current(lab);
            lab.otel("OTEL_CONFIG_FILE", Some("/etc/otel.yaml"));
        },
        "the other OTEL_* variables are ignored",
    ),
    row(
        "config.libraries-enabled",
        |lab| lab.otel("OTEL_PYTHON_DISABLED_INSTRUMENTATIONS", Some("flask,redis")),
        "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS=redis",
    ),
    row(
        "config.timeout",
        |lab| lab.otel("OTEL_EXPORTER_OTLP_TIMEOUT", Some("30000")),
        "OTEL_EXPORTER_OTLP_TIMEOUT=10",
    ),
    row(
        "config.batch-queue",
        |lab| lab.says("WARNING:opentelemetry.sdk.trace.export:Queue is full, likely spans will be dropped."),
        "OTEL_BSP_MAX_QUEUE_SIZE=8192",
    ),
    row(
        "config.batch-delay",
        |lab| lab.otel("OTEL_BSP_SCHEDULE_DELAY", Some("600000")),
        "spans wait 600 seconds",
    ),
    row(
        "config.limits",
        |lab| lab.otel("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", Some("2")),
        "remove OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT",
    ),
    row(
        "config.propagators",
        |lab| lab.otel("OTEL_PROPAGATORS", Some("b3")),
        "opentelemetry-propagator-b3 is not installed",
    ),
    row(
        "config.other-signals",
        |lab| lab.otel("OTEL_METRICS_EXPORTER", None),
        "add `OTEL_METRICS_EXPORTER=none` to .signoz/otel.env",
    ),
    Fixture {
        id: "config.errors-shown",
        pass: current,
        fail: |lab| {
            current(lab);
            lab.otel("OTEL_PYTHON_LOG_AUTO_INSTRUMENTATION", None);
        },
        says: "add `OTEL_PYTHON_LOG_AUTO_INSTRUMENTATION=false`",
    },
    row(
        "config.log-level",
        |lab| lab.otel("OTEL_LOG_LEVEL", Some("debug")),
        "has no effect in Python",
    ),
    Fixture {
        id: "config.log-correlation",
        pass: |lab| lab.otel("OTEL_PYTHON_LOG_CORRELATION", Some("true")),
        fail: |lab| lab.otel("OTEL_PYTHON_LOG_CORRELATION", Some("1")),
        says: "OTEL_PYTHON_LOG_CORRELATION=true",
    },
    Fixture {
        id: "config.health-checks",
        pass: |lab| {
            lab.file("Dockerfile", HEALTH);
            lab.otel("OTEL_PYTHON_EXCLUDED_URLS", Some("healthz"));
        },
        fail: |lab| lab.file("Dockerfile", HEALTH),
        says: "add `OTEL_PYTHON_EXCLUDED_URLS=healthz` to .signoz/otel.env",
    },
];

/// Checks that fail when `.signoz/otel.env` has these variables.
fn named(variables: &[(&str, &str)]) -> Vec<&'static str> {
    let lab = Lab::new();
    for (name, value) in variables {
        lab.otel(name, Some(value));
    }
    let bad = |outcome| matches!(outcome, Outcome::Fail | Outcome::Warn | Outcome::Unknown);
    let findings = lab.check(&["config", "secrets"]);
    findings
        .into_iter()
        .filter(|finding| bad(finding.outcome))
        .map(|finding| finding.id)
        .collect()
}

#[test]
fn each_way_to_write_a_variable_wrongly_is_named_once_and_by_its_own_row() {
    let http = (PROTOCOL, "http/protobuf");
    let traces = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
    let cases: &[(&[(&str, &str)], &str)] = &[
        (&[http, (ENDPOINT, "collector:4318")], "config.endpoint-scheme"),
        (&[(ENDPOINT, "grpc://collector:4317")], "config.endpoint-scheme"),
        (&[(ENDPOINT, "ingest.eu.signoz.cloud:443")], "config.endpoint-scheme"),
        (&[(ENDPOINT, "https://localhost:4317")], "config.endpoint-tls"),
        (&[http, (ENDPOINT, "http://127.0.0.1:4317")], "config.endpoint-port"),
        (&[(ENDPOINT, "https://ingest.us.signoz.cloud:4317")], "config.endpoint-port"),
        (&[http, (traces, "https://ingest.eu.signoz.cloud:443")], "config.endpoint-path"),
        (
            &[http, (traces, "https://ingest.eu.signoz.cloud:443/v1/traces/")],
            "config.endpoint-path",
        ),
        (&[(ENDPOINT, "https://app.signoz.io")], "config.ingest-host"),
        (&[(PROTOCOL, "HTTP/protobuf")], "config.protocol"),
        (&[(PROTOCOL, "http")], "config.protocol"),
        (&[(HEADERS, "canary-6f1e-4a52-9b0c")], "config.headers-format"),
        (
            &[(HEADERS, "signoz-ingestion-key=canary-6f1e-4a52-9b0c;a=b")],
            "config.headers-format",
        ),
        (&[(HEADERS, "signoz-access-token=canary-6f1e-4a52-9b0c")], "config.header-name"),
        (&[(HEADERS, "signoz-ingestion-key=\"canary-6f1e-4a52-9b0c\"")], "config.unquoted"),
        (
            &[("OTEL_RESOURCE_ATTRIBUTES", "service.name=shop;env=prod")],
            "config.resource-attributes",
        ),
        (
            &[("OTEL_SERVICE_NAME", "unknown_service"), ("OTEL_RESOURCE_ATTRIBUTES", "a=b")],
            "config.service-name",
        ),
        (&[("OTEL_TRACES_EXPORTER", "jaeger")], "config.traces-exporter"),
        (&[("OTEL_TRACES_EXPORTER", "none")], "config.traces-exporter"),
        (&[("OTEL_SDK_DISABLED", "true")], "config.sdk-enabled"),
        (
            &[("OTEL_TRACES_SAMPLER", "traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", "0")],
            "config.sampler",
        ),
        (
            &[("OTEL_TRACES_SAMPLER", "traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", "half")],
            "config.sampler",
        ),
        (
            &[
                ("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"),
                ("OTEL_TRACES_SAMPLER_ARG", "0.1"),
            ],
            "config.sampler",
        ),
        (&[("OTEL_TRACES_SAMPLER", "sometimes")], "config.sampler"),
        (&[("OTEL_EXPORTER_OTLP_TIMEOUT", "0.5")], "config.timeout"),
        (&[("OTEL_EXPORTER_OTLP_TIMEOUT", "10s")], "config.timeout"),
        (&[("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "4096")], "config.batch-queue"),
        (&[("OTEL_PROPAGATORS", "none")], "config.propagators"),
        (&[("OTEL_PYTHON_EXCLUDED_URLS", ".*")], "config.libraries-enabled"),
        (&[("OTEL_PYTHON_TRACER_PROVIDER", "ddtrace")], "config.current-names"),
        (&[("OTEL_CONFIG_FILE", "otel.yaml")], "config.declarative-file"),
    ];
    let mut wrong = Vec::new();
    for (variables, id) in cases {
        let found = named(variables);
        // The traces' own endpoint differs from the general one besides.
        let others = found
            .iter()
            .filter(|found| **found != *id && **found != "config.signal-variables")
            .count();
        if !found.contains(id) || others > 0 {
            wrong.push(format!("{variables:?}: {found:?} instead of {id}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn ways_to_write_a_variable_that_work_are_no_fault() {
    let http = (PROTOCOL, "http/protobuf");
    let cases: &[&[(&str, &str)]] = &[
        &[(ENDPOINT, "https://ingest.us2.signoz.cloud")],
        &[(ENDPOINT, "https://ingest.eu.signoz.cloud:443/")],
        &[(ENDPOINT, "https://ingest.eu.signoz.cloud:443/v1/traces")],
        &[http, (ENDPOINT, "http://localhost:4318")],
        &[(ENDPOINT, "http://[::1]:4317")],
        &[(ENDPOINT, "collector:4317"), ("OTEL_EXPORTER_OTLP_INSECURE", "true")],
        &[
            (ENDPOINT, "https://localhost:4317"),
            ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/etc/ca.pem"),
        ],
        &[(HEADERS, "Signoz-Ingestion-Key=canary-6f1e-4a52-9b0c")],
        &[(HEADERS, "signoz-ingestion-key=canary-6f1e-4a52-9b0c,x-team=a%20b")],
        &[(
            "OTEL_RESOURCE_ATTRIBUTES",
            "service.name=shop,deployment.environment=a%2Cb,service.version=1.2",
        )],
        &[("OTEL_SERVICE_NAME", "shop")],
        &[("OTEL_TRACES_EXPORTER", "otlp,console")],
        &[("OTEL_TRACES_SAMPLER", "parentbased_always_on")],
        &[("OTEL_EXPORTER_OTLP_TIMEOUT", "30")],
        &[("OTEL_METRICS_EXPORTER", "otlp")],
        &[("OTEL_PROPAGATORS", "baggage,tracecontext")],
        &[("OTEL_PYTHON_DISABLED_INSTRUMENTATIONS", "sqlite3,urllib")],
        &[("OTEL_PYTHON_EXCLUDED_URLS", "healthz,metrics")],
        &[("OTEL_SDK_DISABLED", "false")],
        &[("OTEL_BSP_SCHEDULE_DELAY", "1000")],
    ];
    let alarms: Vec<String> = cases
        .iter()
        .map(|variables| (variables, named(variables)))
        .filter(|(_, found)| !found.is_empty())
        .map(|(variables, found)| format!("{variables:?}: {found:?}"))
        .collect();
    assert!(alarms.is_empty(), "{}", alarms.join("\n"));
}

#[test]
fn healthy_projects_of_other_kinds_have_no_complaint_here() {
    let variants: [fn(&mut Lab); 3] = [django, current, |lab| lab.remove(".signoz")];
    for break_nothing in variants {
        let mut lab = Lab::new();
        break_nothing(&mut lab);
        let bad = |outcome| !matches!(outcome, Outcome::Pass | Outcome::Skip);
        let found: Vec<_> = lab
            .check(&["config", "secrets"])
            .into_iter()
            .filter(|finding| bad(finding.outcome))
            .collect();
        assert!(found.is_empty(), "{found:#?}");
    }
}

#[test]
fn a_running_process_is_held_to_the_same_rules() {
    let lab = Lab::new();
    let python = lab.project().join(".venv/bin/python3").display().to_string();
    let gunicorn = lab.project().join(".venv/bin/gunicorn").display().to_string();
    lab.process(
        4711,
        1,
        &[&python, &gunicorn, "app:app"],
        &[
            ("OTEL_SERVICE_NAME", "shop"),
            (PROTOCOL, "grpc\r"),
            (ENDPOINT, "http://ingest.eu.signoz.cloud:443"),
        ],
    );
    for (id, place) in [
        ("config.endpoint-tls", "pid 4711"),
        ("config.control-characters", "pid 4711"),
        ("config.other-signals", "pid 4711"),
    ] {
        let finding = lab.finding(id);
        assert!(matches!(finding.outcome, Outcome::Fail | Outcome::Warn), "{finding:?}");
        assert!(
            finding.evidence.iter().any(|evidence| evidence.source.contains(place)),
            "{finding:?}"
        );
        assert!(
            finding.remedy.contains("start it anew") || finding.remedy.contains("anew"),
            "{finding:?}"
        );
    }
    lab.process(4800, 1, &[&python, &gunicorn, "app:app"], &[("PATH", "/usr/bin")]);
    let finding = lab.finding("config.service-variables");
    assert!(finding.evidence.iter().any(|evidence| evidence.source == "pid 4800"), "{finding:?}");
}

#[test]
fn a_crontab_line_without_the_run_script_is_named() {
    let lab = Lab::new();
    let project = lab.project().display().to_string();
    lab.machine_file(
        "/etc/cron.d/shop",
        &format!("0 3 * * * shop cd {project} && .venv/bin/python report.py\n"),
    );
    let finding = lab.finding("config.service-variables");
    assert!(
        finding.outcome == Outcome::Fail && finding.remedy.contains("/etc/cron.d/shop:1"),
        "{finding:?}"
    );
}

#[test]
fn settings_that_need_a_variable_are_named_by_the_log() {
    let mut lab = Lab::new();
    django(&mut lab);
    lab.says("django.core.exceptions.ImproperlyConfigured: Set the SECRET environment variable");
    let finding = lab.finding("config.django-importable");
    assert!(
        finding.outcome == Outcome::Fail && finding.remedy.contains("before Python starts"),
        "{finding:?}"
    );
}

#[test]
fn a_uwsgi_file_and_a_unit_with_the_environment_file_are_no_fault() {
    let lab = Lab::new();
    lab.file("uwsgi.ini", "[uwsgi]\nmodule = app:app\nprocesses = 4\n");
    let project = lab.project().display().to_string();
    let unit = format!(
        "[Service]\nWorkingDirectory={project}\nEnvironmentFile={project}/.signoz/otel.env\nExecStart={project}/.venv/bin/gunicorn app:app\n"
    );
    lab.machine_file("/etc/systemd/system/shop.service", &unit);
    let finding = lab.finding("config.service-variables");
    assert_eq!(finding.outcome, Outcome::Pass, "{finding:?}");
}

#[test]
fn variables_of_a_container_that_are_spread_over_files_are_no_fault() {
    let lab = Lab::new();
    lab.remove(".signoz");
    lab.file("Procfile", "web: gunicorn app:app\n");
    lab.file("Dockerfile", "FROM python:3.11\nENV OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf\nENV OTEL_SERVICE_NAME=shop\nCMD [\"opentelemetry-instrument\", \"gunicorn\", \"app:app\"]\n");
    lab.file(".env", "OTEL_EXPORTER_OTLP_ENDPOINT=http://otel-collector:4318\nDEBUG=0\n");
    lab.file(
        "docker-compose.yml",
        "services:\n  web:\n    build: .\n    env_file: .env\n    environment:\n      - OTEL_EXPORTER_OTLP_HEADERS=signoz-ingestion-key=${KEY}\n",
    );
    let bad = |outcome| !matches!(outcome, Outcome::Pass | Outcome::Skip);
    let found: Vec<_> = lab
        .check(&["config", "secrets"])
        .into_iter()
        .filter(|finding| bad(finding.outcome))
        .collect();
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn quotes_that_a_container_would_get_are_named() {
    let lab = Lab::new();
    lab.file(
        "docker-compose.yml",
        "services:\n  web:\n    image: x\n    environment:\n      - OTEL_EXPORTER_OTLP_PROTOCOL=\"grpc\"\n",
    );
    let finding = lab.finding("config.unquoted");
    assert!(
        finding.outcome == Outcome::Fail && finding.remedy.contains("docker-compose.yml:"),
        "{finding:?}"
    );
    let lab = Lab::new();
    lab.file(".env", "OTEL_SERVICE_NAME=\"shop\"\n");
    lab.file("start.sh", "#!/bin/sh\ndocker run --rm --env-file .env shop\n");
    let finding = lab.finding("config.unquoted");
    assert!(
        finding.outcome == Outcome::Fail && finding.remedy.contains(".env (line 1)"),
        "{finding:?}"
    );
}

#[test]
fn a_password_in_an_endpoint_is_never_shown() {
    let lab = Lab::new();
    lab.otel(ENDPOINT, Some("grpc://user:canary-6f1e-4a52-9b0c@collector:4317"));
    let finding = lab.finding("config.endpoint-scheme");
    assert_eq!(finding.outcome, Outcome::Fail, "{finding:?}");
    lab.otel(ENDPOINT, Some("collector:4317\u{1b}[2J"));
    let finding = lab.finding("config.control-characters");
    assert!(
        finding.outcome == Outcome::Fail && !format!("{}{}", finding.detail, finding.remedy).contains('\u{1b}'),
        "{finding:?}"
    );
}

/// What the run script gives its process.
fn started_by_run_script(lab: &Lab, extra: &[(&str, &str)]) {
    let text = std::fs::read_to_string(lab.project().join(".signoz/otel.env")).unwrap();
    let mut variables: Vec<(&str, &str)> = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once('='))
        .collect();
    variables.extend(extra);
    let python = lab.project().join(".venv/bin/python3").display().to_string();
    let gunicorn = lab.project().join(".venv/bin/gunicorn").display().to_string();
    lab.process(4711, 1, &[&python, &gunicorn, "shop.wsgi"], &variables);
    lab.process(4712, 4711, &[&python, &gunicorn, "shop.wsgi"], &variables);
}

#[test]
fn a_running_app_that_was_started_by_the_run_script_has_no_complaint_here() {
    let variants: [fn(&mut Lab); 4] = [
        |_| {},
        django,
        current,
        |lab| {
            lab.answer(|answers| {
                answers.destination = signoz_setup::domain::answers::Destination::Endpoint("http://127.0.0.1:4318".parse().unwrap());
                answers.protocol = signoz_setup::domain::Protocol::HttpProtobuf;
                answers.key = None;
                answers.deployment_environment = Some("a, b".parse().unwrap());
            });
        },
    ];
    for change in variants {
        let mut lab = Lab::new();
        change(&mut lab);
        let settings = [("DJANGO_SETTINGS_MODULE", "shop.settings")];
        let django = lab.project().join("shop").is_dir();
        started_by_run_script(&lab, if django { &settings } else { &[] });
        let bad = |outcome| !matches!(outcome, Outcome::Pass | Outcome::Skip);
        let findings = lab.check(&["config", "secrets"]);
        let found: Vec<_> = findings.into_iter().filter(|finding| bad(finding.outcome)).collect();
        assert!(found.is_empty(), "{found:#?}");
    }
}

#[test]
fn the_remedy_cures() {
    let cases: &[(&str, Option<&str>, &str)] = &[
        (ENDPOINT, Some("localhost:4317"), "config.endpoint-scheme"),
        (ENDPOINT, Some("http://ingest.eu.signoz.cloud:443"), "config.endpoint-tls"),
        (ENDPOINT, Some("http://collector:4318"), "config.endpoint-port"),
        (ENDPOINT, Some("https://acme.us.signoz.cloud"), "config.ingest-host"),
        (ENDPOINT, Some("https://ingest-in.signoz.io"), "config.current-host"),
        (PROTOCOL, Some("http/json"), "config.protocol"),
        ("OTEL_RESOURCE_ATTRIBUTES", None, "config.service-name"),
        ("OTEL_SERVICE_NAME", Some("other"), "config.one-service-name"),
        ("OTEL_SDK_DISABLED", Some("true"), "config.sdk-enabled"),
        ("OTEL_TRACES_EXPORTER", Some("console"), "config.traces-exporter"),
        ("OTEL_TRACES_SAMPLER", Some("always_off"), "config.sampler"),
        ("OTEL_CONFIG_FILE", Some("x.yaml"), "config.declarative-file"),
        (
            "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS",
            Some("flask,redis"),
            "config.libraries-enabled",
        ),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", Some("30000"), "config.timeout"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", Some("0"), "config.batch-queue"),
        ("OTEL_BSP_SCHEDULE_DELAY", Some("600000"), "config.batch-delay"),
        ("OTEL_SPAN_LINK_COUNT_LIMIT", Some("none"), "config.limits"),
        ("OTEL_PROPAGATORS", Some("b3"), "config.propagators"),
        ("OTEL_METRICS_EXPORTER", None, "config.other-signals"),
        ("OTEL_PYTHON_LOG_CORRELATION", Some("1"), "config.log-correlation"),
        ("OTEL_EXPORTER_JAEGER_ENDPOINT", Some("http://x"), "config.current-names"),
    ];
    for (name, value, id) in cases {
        let lab = Lab::new();
        lab.otel(name, *value);
        let broken = lab.finding(id);
        assert!(matches!(broken.outcome, Outcome::Fail | Outcome::Warn), "{id}: {broken:?}");
        let remedy = broken.remedy.as_str();
        let words = remedy.split('`').nth(1).and_then(|words| words.split_once('='));
        match (words, remedy.strip_prefix("remove ")) {
            (Some((name, value)), None) => lab.otel(name, Some(value)),
            (_, Some(rest)) => lab.otel(rest.split(' ').next().unwrap(), None),
            (None, None) => panic!("{id}: `{remedy}` is no edit"),
        }
        let cured = lab.finding(id);
        assert!(
            matches!(cured.outcome, Outcome::Pass | Outcome::Skip),
            "{id}: `{remedy}` does not cure: {cured:?}"
        );
    }
}
