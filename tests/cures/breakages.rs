//! The breakages: what is done to a healthy project, the entry of the catalogue of failure modes that it is, and what cures it.

use super::project::{CANARY, Case};
use super::server::{Answer, Gateway, Tls};

/// One way of breaking a project.
pub struct Breakage {
    /// The flavour that it is done to.
    pub on: &'static str,
    /// Entry of the catalogue of failure modes.
    pub entry: &'static str,
    pub what: &'static str,
    pub make: fn(&mut Case<'_>),
    /// What the printed remedy asks for, done.
    pub cure: Option<fn(&mut Case<'_>)>,
}

const FLASK: &str = "flask, pip";
const FLASK3: &str = "flask 3, pip, current set";
const FASTAPI: &str = "fastapi, uv, current set";
const DJANGO: &str = "django, uv";
const CELERY: &str = "celery, pip";

const fn on(on: &'static str, entry: &'static str, what: &'static str, make: fn(&mut Case<'_>)) -> Breakage {
    Breakage {
        on,
        entry,
        what,
        make,
        cure: None,
    }
}

const fn broken(entry: &'static str, what: &'static str, make: fn(&mut Case<'_>)) -> Breakage {
    on(FLASK, entry, what, make)
}

const fn cured(mut breakage: Breakage, cure: fn(&mut Case<'_>)) -> Breakage {
    breakage.cure = Some(cure);
    breakage
}

/// A variable of the environment file, without the network: what it says is wrong before anything is sent.
fn set(case: &mut Case<'_>, name: &str, value: &str) {
    case.with(&["--offline"]);
    case.otel(name, Some(value));
}

fn header(case: &mut Case<'_>, value: &str) {
    set(case, "OTEL_EXPORTER_OTLP_HEADERS", value);
}

fn right_header(case: &mut Case<'_>) {
    header(case, &format!("signoz-ingestion-key={CANARY}"));
}

const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
const PROTOCOL: &str = "OTEL_EXPORTER_OTLP_PROTOCOL";

/// Sends to a gateway of our own.
fn gateway(case: &mut Case<'_>, answer: Answer, tls: Option<Tls>) {
    let gateway = Gateway {
        key: Some(CANARY),
        answer,
        tls,
    };
    let running = gateway.start(&case.base.runtime);
    case.otel(ENDPOINT, Some(&running.endpoint.to_string()));
    case.keep.push(Box::new(running));
}

fn procfile(case: &mut Case<'_>, line: &str) {
    case.with(&["--offline"]);
    case.file("Procfile", &format!("web: {line}\n"));
}

fn log(case: &mut Case<'_>, line: &str) {
    case.file("app.log", &format!("[INFO] Listening at: http://127.0.0.1:8000\n{line}\n"));
    case.with(&["--offline", "--log", "app.log"]);
}

fn compose(case: &mut Case<'_>, service: &str) {
    case.with(&["--offline"]);
    case.file(
        "compose.yaml",
        &format!("services:\n  web:\n    build: .\n    command: gunicorn app:app\n{service}"),
    );
    case.file(
        "Dockerfile",
        "FROM python:3.11-slim\nWORKDIR /app\nCOPY app.py .\nCMD [\".signoz/run.sh\"]\n",
    );
    case.file(".dockerignore", ".signoz/otel.env\n");
}

fn deployment(case: &mut Case<'_>, env: &str) {
    case.with(&["--offline"]);
    case.file(
        "k8s/deployment.yaml",
        &format!(
            "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: shop\nspec:\n  selector:\n    matchLabels: {{app: shop}}\n  template:\n    metadata:\n      labels: {{app: shop}}\n    spec:\n      containers:\n        - name: shop\n          image: shop:1\n          command: [gunicorn, \"app:app\"]\n          env:\n{env}"
        ),
    );
}

fn collector(case: &mut Case<'_>, text: &str) {
    case.with(&["--offline"]);
    case.file("otel-collector-config.yaml", text);
}

const COLLECTOR: &str = "receivers:\n  otlp:\n    protocols:\n      grpc: {endpoint: 127.0.0.1:4317}\n      http: {endpoint: 127.0.0.1:4318}\nprocessors:\n  batch: {}\nexporters:\n  otlp:\n    endpoint: https://ingest.eu.signoz.cloud:443\n    headers: {signoz-ingestion-key: \"${env:SIGNOZ_INGESTION_KEY}\"}\nservice:\n  pipelines:\n    traces:\n      receivers: [otlp]\n      processors: [batch]\n      exporters: [otlp]\n";

pub const BREAKAGES: &[Breakage] = &[
    // Variables.
    cured(
        broken("D02", "quotes around the header", |case| {
            header(case, &format!("\"signoz-ingestion-key={CANARY}\""))
        }),
        right_header,
    ),
    cured(
        broken("D03", "a colon instead of =", |case| {
            header(case, &format!("signoz-ingestion-key: {CANARY}"))
        }),
        right_header,
    ),
    cured(broken("D03", "the key alone", |case| header(case, CANARY)), right_header),
    cured(
        broken("D04", "a space in the value", |case| header(case, "signoz-ingestion-key=canary 1")),
        right_header,
    ),
    cured(
        broken("D06", "underscores in the name", |case| {
            header(case, &format!("signoz_ingestion_key={CANARY}"))
        }),
        right_header,
    ),
    cured(
        broken("D07", "a placeholder for the key", |case| {
            header(case, "signoz-ingestion-key=<your-ingestion-key>")
        }),
        right_header,
    ),
    broken("D07", "a placeholder for the region", |case| {
        set(case, ENDPOINT, "https://ingest.<region>.signoz.cloud:443")
    }),
    cured(
        broken("D08", "an empty key", |case| header(case, "signoz-ingestion-key=")),
        right_header,
    ),
    cured(
        broken("E08", "the old header", |case| {
            header(case, &format!("signoz-access-token={CANARY}"))
        }),
        right_header,
    ),
    cured(
        broken("E09", "Bearer in front of the key", |case| {
            header(case, &format!("signoz-ingestion-key=Bearer%20{CANARY}"))
        }),
        right_header,
    ),
    cured(
        broken("D33", "a carriage return after the key", |case| {
            header(case, &format!("signoz-ingestion-key={CANARY}\r"))
        }),
        right_header,
    ),
    broken("D09", "no endpoint", |case| {
        case.with(&["--offline"]);
        case.otel(ENDPOINT, None);
    }),
    broken("D10", "an endpoint without a scheme", |case| set(case, ENDPOINT, "localhost:4317")),
    broken("D11", "http to SigNoz Cloud", |case| {
        set(case, ENDPOINT, "http://ingest.eu.signoz.cloud:443")
    }),
    broken("D12", "https to a local collector", |case| {
        set(case, ENDPOINT, "https://localhost:4317")
    }),
    broken("D13", "grpc to the HTTP port", |case| set(case, ENDPOINT, "http://localhost:4318")),
    broken("D13", "HTTP to the gRPC port", |case| {
        set(case, ENDPOINT, "http://localhost:4317");
        case.otel(PROTOCOL, Some("http/protobuf"));
    }),
    cured(
        broken("D14", "protocol http/json", |case| set(case, PROTOCOL, "http/json")),
        |case| case.otel(PROTOCOL, Some("grpc")),
    ),
    cured(broken("D14", "protocol in capitals", |case| set(case, PROTOCOL, "GRPC")), |case| {
        case.otel(PROTOCOL, Some("grpc"))
    }),
    broken("D15", "the path in the base endpoint", |case| {
        set(case, ENDPOINT, "https://ingest.eu.signoz.cloud:443/v1/traces");
        case.otel(PROTOCOL, Some("http/protobuf"));
    }),
    broken("D16", "no path in the traces endpoint", |case| {
        set(case, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://ingest.eu.signoz.cloud:443");
        case.otel(PROTOCOL, Some("http/protobuf"));
    }),
    broken("D17", "a slash after the traces path", |case| {
        set(
            case,
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
            "https://ingest.eu.signoz.cloud:443/v1/traces/",
        );
        case.otel(PROTOCOL, Some("http/protobuf"));
    }),
    broken("D18", "two endpoints that differ", |case| {
        set(case, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://localhost:9999")
    }),
    cured(
        broken("D19", "exporter none", |case| set(case, "OTEL_TRACES_EXPORTER", "none")),
        |case| {
            case.otel("OTEL_TRACES_EXPORTER", Some("otlp"));
        },
    ),
    broken("D19", "exporter console in the shell", |case| {
        case.with(&["--offline"]);
        case.shell("OTEL_TRACES_EXPORTER", "console");
    }),
    broken("D20", "exporter in capitals", |case| set(case, "OTEL_TRACES_EXPORTER", "OTLP")),
    broken("D20", "exporter jaeger", |case| set(case, "OTEL_TRACES_EXPORTER", "jaeger")),
    on(FLASK3, "D21", "the SDK is disabled", |case| set(case, "OTEL_SDK_DISABLED", "true")),
    broken("D22", "sampler always_off", |case| set(case, "OTEL_TRACES_SAMPLER", "always_off")),
    broken("D22", "a ratio of 0", |case| {
        set(case, "OTEL_TRACES_SAMPLER", "traceidratio");
        case.otel("OTEL_TRACES_SAMPLER_ARG", Some("0"));
    }),
    broken("D22", "a ratio that is no number", |case| {
        set(case, "OTEL_TRACES_SAMPLER", "traceidratio");
        case.otel("OTEL_TRACES_SAMPLER_ARG", Some("ten percent"));
    }),
    broken("D22", "a sampler that does not exist", |case| {
        set(case, "OTEL_TRACES_SAMPLER", "sometimes")
    }),
    broken("D24", "no service name", |case| {
        case.with(&["--offline"]);
        case.otel("OTEL_RESOURCE_ATTRIBUTES", None);
    }),
    broken("D25", "two service names", |case| {
        case.with(&["--offline"]);
        case.shell("OTEL_SERVICE_NAME", "something-else");
    }),
    broken("D26", "malformed attributes", |case| {
        set(case, "OTEL_RESOURCE_ATTRIBUTES", "service.name=shop,team")
    }),
    broken("D27", "a timeout in milliseconds", |case| {
        set(case, "OTEL_EXPORTER_OTLP_TIMEOUT", "30000")
    }),
    on(FLASK3, "D31", "a configuration file beside the variables", |case| {
        set(case, "OTEL_CONFIG_FILE", "/etc/otel.yaml")
    }),
    broken("D32", "names that are gone", |case| {
        set(case, "OTEL_EXPORTER_JAEGER_ENDPOINT", "http://localhost:14268")
    }),
    broken("D35", "attributes cut to three characters", |case| {
        set(case, "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "3")
    }),
    broken("D36", "no propagators", |case| set(case, "OTEL_PROPAGATORS", "none")),
    broken("B21", "flask is switched off", |case| {
        set(case, "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS", "flask")
    }),
    broken("B21", "every URL is excluded", |case| set(case, "OTEL_PYTHON_EXCLUDED_URLS", ".*")),
    broken("E05", "the address of the pages", |case| {
        set(case, ENDPOINT, "https://acme.us.signoz.cloud")
    }),
    broken("E06", "an old ingest host", |case| {
        set(case, ENDPOINT, "https://ingest.signoz.io:443")
    }),
    // Secrets.
    cured(
        broken("H10", "the environment file is readable by all", |case| {
            case.with(&["--offline"]);
            case.mode(".signoz/otel.env", 0o644);
        }),
        |case| case.mode(".signoz/otel.env", 0o600),
    ),
    broken("H10", "the key in the Procfile", |case| {
        procfile(
            case,
            &format!("OTEL_EXPORTER_OTLP_HEADERS=signoz-ingestion-key={CANARY} .signoz/run.sh"),
        );
    }),
    broken("H10", "the key in the Dockerfile", |case| {
        compose(case, "");
        case.file(
            "Dockerfile",
            &format!("FROM python:3.11-slim\nENV OTEL_EXPORTER_OTLP_HEADERS=signoz-ingestion-key={CANARY}\nCOPY app.py .\nCMD [\".signoz/run.sh\"]\n"),
        );
    }),
    // Packages.
    cured(
        broken("A01", "setuptools without pkg_resources", |case| {
            case.with(&["--offline"]);
            case.install(&["setuptools==82.0.0"]);
        }),
        |case| case.install(&["setuptools<81"]),
    ),
    broken("A10", "protobuf of another line", |case| {
        case.with(&["--offline"]);
        case.install(&["protobuf==6.33.5"]);
    }),
    broken("A12", "importlib-metadata of another line", |case| {
        case.with(&["--offline"]);
        case.install(&["importlib-metadata==8.5.0"]);
    }),
    broken("A13", "wrapt 2", |case| {
        case.with(&["--offline"]);
        case.install(&["wrapt==2.0.0"]);
    }),
    broken("A14", "an instrumentation of another release", |case| {
        case.with(&["--offline"]);
        case.install(&["opentelemetry-instrumentation-flask==0.50b0"]);
    }),
    broken("A15", "a newer API under the pinned SDK", |case| {
        case.with(&["--offline"]);
        case.install(&["opentelemetry-api==1.30.0"]);
    }),
    broken("B07", "the gRPC exporter is gone", |case| {
        case.with(&["--offline"]);
        case.uninstall(&["opentelemetry-exporter-otlp-proto-grpc"]);
    }),
    broken("B08", "the distribution is gone", |case| {
        case.with(&["--offline"]);
        case.uninstall(&["opentelemetry-distro"]);
    }),
    broken("B02", "a library out of range", |case| {
        case.with(&["--offline"]);
        case.install(&["httpx==0.27.2"]);
    }),
    broken("B04", "a library without an instrumentation", |case| {
        case.with(&["--offline"]);
        case.install(&["psycopg==3.2.3"]);
    }),
    broken("A05", "opentelemetry-instrument of another Python", |case| {
        case.with(&["--offline"]);
        case.file(".venv/bin/opentelemetry-instrument", "#!/usr/bin/python3\nprint()\n");
    }),
    broken("A06", "a script's Python that does not exist", |case| {
        case.with(&["--offline"]);
        case.file(".venv/bin/opentelemetry-instrument", "#!/nowhere/bin/python\nprint()\n");
    }),
    broken("B12", "another agent in the environment", |case| {
        case.with(&["--offline"]);
        case.install(&["elastic-apm==6.22.3"]);
    }),
    // Starts.
    broken("B09", "python -I", |case| procfile(case, ".venv/bin/python -I app.py")),
    broken("B09", "python -E", |case| procfile(case, ".venv/bin/python -E app.py")),
    broken("B14", "the command as one word", |case| {
        procfile(case, "opentelemetry-instrument \"gunicorn app:app\"")
    }),
    broken("B15", "the wrapper behind the server", |case| {
        procfile(case, "gunicorn opentelemetry-instrument app:app")
    }),
    broken("C07", "uvicorn --reload", |case| {
        procfile(case, "opentelemetry-instrument uvicorn app:app --reload")
    }),
    broken("C08", "flask run --debug", |case| {
        procfile(case, "opentelemetry-instrument flask --app app run --debug")
    }),
    on(DJANGO, "C09", "runserver with its reloader", |case| {
        procfile(case, "opentelemetry-instrument python manage.py runserver")
    }),
    broken("C06", "uvicorn --workers without the run script", |case| {
        procfile(case, "opentelemetry-instrument uvicorn app:app --workers 4");
    }),
    broken("C02", "a hook that adds a processor", |case| {
        case.with(&["--offline"]);
        case.file(
            "gunicorn.conf.py",
            "from opentelemetry import trace\nfrom opentelemetry.sdk.trace import TracerProvider\nfrom opentelemetry.sdk.trace.export import BatchSpanProcessor\nfrom opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter\n\n\ndef post_fork(server, worker):\n    trace.set_tracer_provider(TracerProvider())\n    trace.get_tracer_provider().add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))\n",
        );
    }),
    broken("C04", "a hook that imports initialize", |case| {
        case.with(&["--offline"]);
        case.file(
            "gunicorn.conf.py",
            "def post_fork(server, worker):\n    from opentelemetry.instrumentation.auto_instrumentation import initialize\n\n    initialize()\n",
        );
    }),
    broken("B19", "a provider of the app's own", |case| {
        case.with(&["--offline"]);
        case.file(
            "app.py",
            "from flask import Flask\nfrom opentelemetry import trace\nfrom opentelemetry.sdk.trace import TracerProvider\n\ntrace.set_tracer_provider(TracerProvider())\napp = Flask(__name__)\n",
        );
    }),
    on(CELERY, "C13", "a Celery hook that adds a processor", |case| {
        case.with(&["--offline"]);
        case.file(
            "tracing.py",
            "from celery.signals import worker_process_init\nfrom opentelemetry import trace\n\n\n@worker_process_init.connect\ndef start(**_):\n    trace.get_tracer_provider().add_span_processor(object())\n",
        );
    }),
    on(CELERY, "B24", "the worker without the run script", |case| {
        case.with(&["--offline"]);
        case.file("Procfile", "worker: celery -A tasks worker\n");
    }),
    on(DJANGO, "B22", "Django without its settings", |case| {
        procfile(case, "opentelemetry-instrument gunicorn shop.wsgi:application");
    }),
    broken("B20", "gunicorn runs without the run script", |case| {
        case.with(&["--offline"]);
        case.start(
            &["gunicorn", "app:app", "--workers", "2", "--bind", "127.0.0.1:0"],
            &[],
            "Booting worker",
        );
    }),
    // Containers, clusters, collectors.
    broken("F01", "localhost in a container", |case| {
        compose(case, "    environment:\n      OTEL_EXPORTER_OTLP_ENDPOINT: http://localhost:4317\n");
    }),
    broken("F19", "bootstrap before the requirements", |case| {
        compose(case, "");
        case.file(
            "Dockerfile",
            "FROM python:3.11-slim\nRUN pip install opentelemetry-distro==0.38b0 && opentelemetry-bootstrap -a install\nCOPY requirements.txt .\nRUN pip install -r requirements.txt\nCOPY app.py .\nCMD [\"opentelemetry-instrument\", \"gunicorn\", \"app:app\"]\n",
        );
    }),
    broken("F18", "a container that starts without tracing", |case| {
        compose(
            case,
            "    environment:\n      OTEL_EXPORTER_OTLP_ENDPOINT: https://ingest.eu.signoz.cloud:443\n",
        );
        case.file(
            "Dockerfile",
            "FROM python:3.11-slim\nRUN pip install opentelemetry-distro==0.38b0\nCOPY app.py .\nCMD gunicorn app:app\n",
        );
    }),
    broken("F02", "localhost in a pod", |case| {
        deployment(
            case,
            "            - {name: OTEL_EXPORTER_OTLP_ENDPOINT, value: \"http://localhost:4317\"}\n",
        );
    }),
    broken("F03", "HOST_IP after its use", |case| {
        deployment(
            case,
            "            - {name: OTEL_EXPORTER_OTLP_ENDPOINT, value: \"http://$(HOST_IP):4317\"}\n            - {name: HOST_IP, valueFrom: {fieldRef: {fieldPath: status.hostIP}}}\n",
        );
    }),
    broken("F05", "k8s-infra values with an insecure https endpoint", |case| {
        case.with(&["--offline"]);
        case.file(
            "k8s/k8s-infra-values.yaml",
            "global:\n  clusterName: prod\notelCollectorEndpoint: https://ingest.eu.signoz.cloud:443\notelInsecure: true\nsignozApiKey: \"\"\npresets:\n  otlpExporter:\n    enabled: true\n",
        );
    }),
    broken("F26", "a line break in the Secret", |case| {
        case.with(&["--offline"]);
        case.file(
            "k8s/secret.yaml",
            "apiVersion: v1\nkind: Secret\nmetadata:\n  name: signoz\ntype: Opaque\ndata:\n  signoz-ingestion-key: YWJjLTEyMwo=\n",
        );
    }),
    broken("F09", "a detector that does not exist", |case| {
        collector(
            case,
            &COLLECTOR
                .replace(
                    "  batch: {}\n",
                    "  batch: {}\n  resourcedetection: {detectors: [env, host, system]}\n",
                )
                .replace("[batch]", "[resourcedetection, batch]"),
        );
    }),
    broken("F11", "a telemetry key that is gone", |case| {
        collector(
            case,
            &COLLECTOR.replace("service:\n", "service:\n  telemetry: {metrics: {address: \"0.0.0.0:8888\"}}\n"),
        );
    }),
    broken("F12", "a path behind the exporter's endpoint", |case| {
        collector(case, &COLLECTOR.replace("signoz.cloud:443", "signoz.cloud:443/v1/traces"));
    }),
    broken("F13", "the key's header is misspelt", |case| {
        collector(case, &COLLECTOR.replace("signoz-ingestion-key:", "signoz_ingestion_key:"));
    }),
    broken("F14", "the traces pipeline has no exporter", |case| {
        collector(case, &COLLECTOR.replace("exporters: [otlp]", "exporters: []"));
    }),
    // Wrong servers.
    broken("D09", "nothing listens there", |case| {
        let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        case.otel(ENDPOINT, Some(&format!("http://{gone}")));
    }),
    broken("E01", "a key that is refused", |case| {
        case.otel("OTEL_EXPORTER_OTLP_HEADERS", Some("signoz-ingestion-key=somebody-elses"))
    }),
    broken("E03", "a page instead of a receiver", |case| {
        gateway(case, Answer::Http(404), None);
    }),
    broken("E10", "a limit that is used up", |case| gateway(case, Answer::Http(429), None)),
    broken("E11", "a batch that is too large", |case| gateway(case, Answer::Http(413), None)),
    broken("E13", "a name that does not resolve", |case| {
        case.otel(ENDPOINT, Some("https://ingest.invalid:443"))
    }),
    broken("E17", "a certificate that nobody trusts", |case| {
        gateway(case, Answer::Accept, Some(Tls::default()))
    }),
    broken("D12", "TLS to a port without it, live", |case| {
        let endpoint = case.base.tap.endpoint(case.base.protocol).to_string();
        case.otel(ENDPOINT, Some(&endpoint.replace("http://", "https://")));
    }),
    on(FASTAPI, "D13", "HTTP to the gRPC port, live", |case| {
        let endpoint = case.base.tap.grpc_endpoint().to_string();
        case.otel(ENDPOINT, Some(&endpoint));
    }),
    broken("E19", "a clock that is years off", |case| {
        gateway(case, Answer::Date("Wed, 21 Oct 2015 07:28:00 GMT"), None)
    }),
    // Log lines.
    broken("E01", "a log with UNAUTHENTICATED", |case| {
        log(case, "Failed to export traces, error code: StatusCode.UNAUTHENTICATED")
    }),
    broken("A01", "a log without pkg_resources", |case| {
        log(case, "ModuleNotFoundError: No module named 'pkg_resources'")
    }),
    broken("D03", "a log with a malformed header", |case| {
        log(
            case,
            &format!("Header format invalid! Header values in environment variables must be URL encoded: x: {CANARY}"),
        );
    }),
    broken("B19", "a log with a refused provider", |case| {
        log(case, "Overriding of current TracerProvider is not allowed")
    }),
    broken("B06", "a log of a failed start", |case| {
        log(case, "Failed to auto initialize opentelemetry")
    }),
    broken("H02", "a log of a full queue", |case| {
        log(case, "Queue is full, likely spans will be dropped.")
    }),
];
