//! Fixtures of the family `process`.

use super::Fixture;

pub(super) const FIXTURES: &[Fixture] = &[
    Fixture {
        id: "process.log-messages",
        pass: |lab| lab.says("[INFO] Listening at: http://127.0.0.1:8000"),
        fail: |lab| {
            lab.says("[INFO] Listening at: http://127.0.0.1:8000");
            lab.says("Header format invalid! Header values in environment variables must be URL encoded: signoz-ingestion-key: canary-6f1e-4a52-9b0c");
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
