//! Fixtures of the family `process`.

use super::Fixture;
use super::lab::Lab;
use signoz_setup::domain::Outcome;

pub(super) const FIXTURES: &[Fixture] = &[
    Fixture {
        id: "process.tracing-started",
        pass: |_| {},
        fail: |lab| {
            lab.remove(".signoz");
            lab.file("Procfile", "web: gunicorn app:app\n");
        },
        says: "signoz-setup /",
    },
    Fixture {
        id: "process.wrapper-placed",
        pass: |lab| lab.file("Procfile", "web: sudo opentelemetry-instrument gunicorn app:app\n"),
        fail: |lab| lab.file("Procfile", "web: gunicorn opentelemetry-instrument app:app\n"),
        says: "does not stand directly before",
    },
    Fixture {
        id: "process.one-start",
        pass: |lab| lab.file("Procfile", "web: .signoz/run.sh gunicorn app:app\n"),
        fail: |lab| lab.file("Procfile", "web: opentelemetry-instrument .signoz/run.sh gunicorn app:app\n"),
        says: "both start tracing",
    },
    Fixture {
        id: "process.run-script",
        pass: |lab| lab.file("Procfile", "web: .signoz/run.sh gunicorn app:app\n"),
        fail: |lab| lab.file("Procfile", "web: gunicorn app:app --workers 4\n"),
        says: "write `.signoz/run.sh gunicorn app:app --workers 4`",
    },
    Fixture {
        id: "process.spawned-workers",
        pass: |lab| lab.file("Procfile", "web: .signoz/run.sh uvicorn app:app --workers 4\n"),
        fail: |lab| lab.file("Procfile", "web: opentelemetry-instrument uvicorn app:app --workers 4\n"),
        says: "write `.signoz/run.sh uvicorn app:app --workers 4`",
    },
    Fixture {
        id: "process.running-traced",
        pass: |lab| {
            lab.process(
                4711,
                1,
                &[".venv/bin/python", ".venv/bin/gunicorn", "app:app"],
                &[("PYTHONPATH", "/x/.signoz/auto")],
            );
        },
        fail: |lab| {
            lab.process(
                4711,
                1,
                &[".venv/bin/python", ".venv/bin/gunicorn", "app:app"],
                &[("HOME", "/root")],
            )
        },
        says: "pid 4711",
    },
    Fixture {
        id: "process.hook-imports",
        pass: |lab| lab.file("gunicorn.conf.py", "workers = 2\n"),
        fail: |lab| {
            lab.file(
                "gunicorn.conf.py",
                "def post_fork(server, worker):\n    from opentelemetry.instrumentation.auto_instrumentation import initialize\n    initialize()\n",
            );
        },
        says: "gunicorn.conf.py:2",
    },
    Fixture {
        id: "process.uwsgi-stops",
        pass: |lab| lab.file("uwsgi.ini", "[uwsgi]\nmodule = app:app\ndie-on-term = true\n"),
        fail: |lab| lab.file("uwsgi.ini", "[uwsgi]\nmodule = app:app\n"),
        says: "die-on-term",
    },
    Fixture {
        id: "process.green-threads",
        pass: |lab| {
            lab.dist("eventlet", "0.37.0");
            lab.otel("OTEL_EXPORTER_OTLP_PROTOCOL", Some("http/protobuf"));
        },
        fail: |lab| lab.dist("eventlet", "0.37.0"),
        says: "eventlet is installed",
    },
    Fixture {
        id: "process.log-messages",
        pass: |lab| lab.says("[INFO] Listening at: http://127.0.0.1:8000"),
        fail: |lab| {
            lab.says("[INFO] Listening at: http://127.0.0.1:8000");
            lab.says("Header format invalid! Header values in environment variables must be URL encoded: canary-6f1e-4a52-9b0c");
            lab.says("Failed to export traces, error code: StatusCode.UNAUTHENTICATED");
        },
        says: "OTEL_EXPORTER_OTLP_HEADERS is malformed",
    },
    Fixture {
        id: "process.isolated-python",
        pass: |_| {},
        fail: |lab| lab.file("Procfile", "web: .venv/bin/python -I -m gunicorn app:app\n"),
        says: "`Procfile:1`",
    },
    Fixture {
        id: "process.competing-agent",
        pass: |_| {},
        fail: |lab| lab.dist("ddtrace", "4.16.0"),
        says: "keep one agent",
    },
    Fixture {
        id: "process.own-provider",
        pass: |_| {},
        fail: |lab| {
            lab.file(
                "app.py",
                "from flask import Flask\nfrom opentelemetry import trace\nfrom opentelemetry.sdk.trace import TracerProvider\n\n\
                 trace.set_tracer_provider(TracerProvider())\napp = Flask(__name__)\n",
            );
        },
        says: "`app.py:5`",
    },
    Fixture {
        id: "process.duplicate-hook",
        pass: |_| {},
        fail: |lab| {
            lab.file(
                "gunicorn.conf.py",
                "from opentelemetry import trace\n\n\ndef post_fork(server, worker):\n    \
                 trace.set_tracer_provider(TracerProvider())\n    \
                 trace.get_tracer_provider().add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))\n",
            );
        },
        says: "`gunicorn.conf.py:5`",
    },
    Fixture {
        id: "process.reloader",
        pass: |_| {},
        fail: |lab| lab.file("Procfile", "web: opentelemetry-instrument flask run --debug\n"),
        says: "`Procfile:1`",
    },
];

#[test]
fn a_hook_that_exports_what_nobody_makes_is_named() {
    let lab = Lab::new();
    lab.remove(".signoz");
    lab.file("Procfile", "web: gunicorn app:app\n");
    lab.file(
        "gunicorn.conf.py",
        "from opentelemetry import trace\n\n\ndef post_fork(server, worker):\n    trace.set_tracer_provider(TracerProvider())\n    trace.get_tracer_provider().add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))\n",
    );
    let finding = lab.finding("process.tracing-started");
    assert!(finding.detail.contains("nothing instruments"), "{finding:?}");
    lab.file(
        "app.py",
        "from flask import Flask\n\napp = Flask(__name__)\nFlaskInstrumentor().instrument_app(app)\n",
    );
    assert_eq!(lab.finding("process.tracing-started").outcome, Outcome::Pass);
}
