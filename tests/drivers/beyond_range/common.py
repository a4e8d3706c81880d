"""What every proof shares: spans kept in memory, an instrumentation asked to ignore its range, a real server, a report."""

import json
import socket
import sys
import threading
import urllib.request
from importlib import metadata
from wsgiref.simple_server import WSGIRequestHandler, make_server

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

memory = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(memory))
trace.set_tracer_provider(provider)


def instrument(name, default="ignore-range"):
    """`ignore-range` (also the default) forces the instrumentation; `keep-range` lets it check its range as usual."""
    mode = sys.argv[1] if len(sys.argv) > 1 else default
    points = metadata.entry_points()
    group = "opentelemetry_instrumentor"
    points = points.select(group=group) if hasattr(points, "select") else points[group]
    (point,) = {point.value: point for point in points if point.name == name}.values()
    point.load()().instrument(skip_dep_check=mode == "ignore-range")


class Quiet(WSGIRequestHandler):
    def log_message(self, *_):
        pass


def serve_wsgi(app):
    """Serves in a thread; returns the address of an order."""
    server = make_server("127.0.0.1", 0, app, handler_class=Quiet)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return "http://127.0.0.1:%d/orders/7" % server.server_port


def plain(_, start_response):
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]


def get(address):
    with urllib.request.urlopen(address) as answer:
        assert answer.status == 200


def through_wsgi(app):
    get(serve_wsgi(app))


def through_asgi(app):
    import uvicorn

    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    ready = threading.Event()

    class Server(uvicorn.Server):
        async def startup(self, sockets=None):
            await super().startup(sockets=sockets)
            ready.set()

    server = Server(uvicorn.Config(app, log_level="error"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    assert ready.wait(30)
    get("http://127.0.0.1:%d/orders/7" % listening.getsockname()[1])
    server.should_exit = True
    thread.join(30)


def report():
    spans = memory.get_finished_spans()
    print(json.dumps([{"name": span.name, "kind": span.kind.name, "scope": span.instrumentation_scope.name} for span in spans]))
