"""Flask with instrumentation of its own: `python manual.py inner` makes spans inside, `twice` exports a second time."""

import os
import sys

from flask import Flask
from opentelemetry import trace

app = Flask(__name__)

if "twice" in sys.argv:
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor

    trace.get_tracer_provider().add_span_processor(SimpleSpanProcessor(OTLPSpanExporter()))


@app.route("/")
def home():
    with trace.get_tracer(__name__).start_as_current_span("inner"):
        return "ok"


if __name__ == "__main__":
    app.run(host="127.0.0.1", port=int(os.environ["PORT"]))
