"""What the tests of the Python files share: a receiver that speaks both protocols, and processes of a small app.

Run with the Python of an environment that has the SDK, pytest, flask and gunicorn (`tests/coverage.rs` makes such ones):

    python -m pytest tests/python_hooks
"""

from __future__ import annotations

import http.server
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from concurrent import futures
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc

TEMPLATES = Path(__file__).resolve().parents[2] / "assets" / "templates"
KEY = "canary-4711-key"
LIMIT = 90.0


class Span:
    """A received span."""

    def __init__(self, span: Any, resource: Dict[str, str]) -> None:
        self.id: bytes = span.span_id
        self.name: str = span.name
        self.is_server = span.kind == 2
        self.pid = resource.get("process.pid", "")
        self.service = resource.get("service.name", "")
        self.attributes = {item.key: item.value.string_value or str(item.value.int_value) for item in span.attributes}


class Sink(trace_service_pb2_grpc.TraceServiceServicer):
    """Receives OTLP over gRPC and HTTP, and remembers."""

    def __init__(self) -> None:
        self.spans: List[Span] = []
        self.keys: List[str] = []
        #: What is asked for before anything is taken; None for nothing.
        self.wanted: Optional[str] = None
        self._changed = threading.Condition()
        self._grpc = grpc.server(futures.ThreadPoolExecutor(8))
        trace_service_pb2_grpc.add_TraceServiceServicer_to_server(self, self._grpc)
        self.grpc_port = self._grpc.add_insecure_port("127.0.0.1:0")
        self._grpc.start()
        sink = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:  # noqa: N802
                body = self.rfile.read(int(self.headers["Content-Length"]))
                request = trace_service_pb2.ExportTraceServiceRequest()
                request.ParseFromString(body)
                key = self.headers.get("signoz-ingestion-key", "")
                if sink.wanted in (None, key):
                    sink.take(request, key)
                    self.send_response(200)
                else:
                    self.send_response(401)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self._http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http_port = self._http.server_address[1]
        threading.Thread(target=self._http.serve_forever, daemon=True).start()

    def Export(self, request: Any, context: Any) -> Any:  # noqa: N802
        key = dict(context.invocation_metadata()).get("signoz-ingestion-key", "")
        if self.wanted not in (None, key):
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "no such key here: " + key)
        self.take(request, key)
        return trace_service_pb2.ExportTraceServiceResponse()

    def take(self, request: Any, key: str) -> None:
        with self._changed:
            self.keys.append(key)
            for group in request.resource_spans:
                resource = {item.key: item.value.string_value or str(item.value.int_value) for item in group.resource.attributes}
                for scope in group.scope_spans:
                    self.spans.extend(Span(span, resource) for span in scope.spans)
            self._changed.notify_all()

    def wait(self, done: Callable[[List[Span]], bool], limit: float = LIMIT) -> List[Span]:
        end = time.monotonic() + limit
        with self._changed:
            while not done(self.spans):
                left = end - time.monotonic()
                assert left > 0, "spans so far: %s" % [(span.name, span.is_server) for span in self.spans]
                self._changed.wait(left)
            return list(self.spans)

    def stop(self) -> None:
        self._grpc.stop(None)
        self._http.shutdown()


@pytest.fixture()
def sink() -> Iterator[Sink]:
    receiver = Sink()
    yield receiver
    receiver.stop()


class App:
    """A folder with `.signoz` in it, as set-up leaves it, and the processes started from it."""

    def __init__(self, folder: Path, environment: Dict[str, str]) -> None:
        self.folder = folder
        self.environment = environment
        self.started: List[subprocess.Popen] = []
        auto = folder / ".signoz" / "auto"
        auto.mkdir(parents=True)
        for name in ("sitecustomize.py", "signoz_auto.py"):
            shutil.copy(TEMPLATES / "workers" / name, auto / name)
        shutil.copy(TEMPLATES / "workers" / "gunicorn.conf.py", folder / ".signoz" / "gunicorn.conf.py")

    @property
    def auto(self) -> str:
        return str(self.folder / ".signoz" / "auto")

    @property
    def conf(self) -> str:
        return str(self.folder / ".signoz" / "gunicorn.conf.py")

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def start(self, *words: str, **variables: str) -> subprocess.Popen:
        environment = {name: value for name, value in {**self.environment, **variables}.items() if value != "-"}
        process = subprocess.Popen(
            words, cwd=self.folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
        )
        self.started.append(process)
        return process

    def python(self, *words: str, **variables: str) -> subprocess.Popen:
        return self.start(sys.executable, *words, **variables)

    def run(self, code: str, **variables: str) -> Tuple[int, str, str]:
        process = self.python("-c", code, **variables)
        out, err = process.communicate(timeout=LIMIT)
        return process.returncode, out, err

    def end(self) -> None:
        for process in self.started:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()


def environment(sink: Optional[Sink], protocol: str, auto: str) -> Dict[str, str]:
    port = sink and (sink.grpc_port if protocol == "grpc" else sink.http_port)
    return {
        "PATH": os.path.dirname(sys.executable) + os.pathsep + os.environ["PATH"],
        "HOME": os.environ.get("HOME", "/"),
        "PYTHONPATH": auto,
        "OTEL_SERVICE_NAME": "shop",
        "OTEL_TRACES_EXPORTER": "otlp",
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_LOGS_EXPORTER": "none",
        "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:%s" % (port or dead_port()),
        "OTEL_EXPORTER_OTLP_HEADERS": "signoz-ingestion-key=" + KEY,
        # Longer than any test: whatever arrives was flushed on purpose.
        "OTEL_BSP_SCHEDULE_DELAY": "600000",
        "SIGNOZ_INSTRUMENT_BEYOND_RANGE": "flask",
        "SIGNOZ_DEBUG": "1",
    }


@pytest.fixture(params=["grpc", "http/protobuf"])
def app(request: Any, sink: Sink, tmp_path: Path) -> Iterator[App]:
    """An app that sends to the sink, over each protocol."""
    made = App(tmp_path, {})
    made.environment = environment(sink, request.param, made.auto)
    yield made
    made.end()


@pytest.fixture()
def plain_app(sink: Sink, tmp_path: Path) -> Iterator[App]:
    """The same over gRPC only, where the protocol makes no difference."""
    made = App(tmp_path, {})
    made.environment = environment(sink, "grpc", made.auto)
    yield made
    made.end()


def dead_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(done: Callable[[], bool]) -> None:
    """Look again and again until it is so, at most until the limit."""
    end = time.monotonic() + LIMIT
    while not done():
        assert time.monotonic() < end
        threading.Event().wait(0.05)


def get(port: int, path: str) -> str:
    """A request that waits for the server to come up: connections refused are tried again until the limit."""
    end = time.monotonic() + LIMIT
    while True:
        try:
            with urllib.request.urlopen("http://127.0.0.1:%d%s" % (port, path), timeout=LIMIT) as answer:
                return answer.read().decode()
        except OSError as error:
            refused = isinstance(getattr(error, "reason", error), (ConnectionRefusedError, ConnectionResetError))
            assert refused and time.monotonic() < end, error
            threading.Event().wait(0.05)


def has(module: str) -> bool:
    import importlib.util

    return importlib.util.find_spec(module) is not None
