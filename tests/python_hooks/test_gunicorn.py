"""gunicorn.conf.py: every setting and hook of the person's own file holds, every worker sends each span once."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import List

import pytest

from conftest import App, Sink, dead_port, get, has, wait_for

pytestmark = pytest.mark.skipif(not has("gunicorn"), reason="gunicorn is not installed")

APP = """
import os
from flask import Flask
app = Flask(__name__)

@app.route("/pid")
def pid():
    return str(os.getpid())
"""
ASGI = """
import os
async def app(scope, receive, send):
    assert scope["type"] == "http"
    from opentelemetry import trace
    trace.get_tracer("t").start_span("served", kind=trace.SpanKind.SERVER).end()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(os.getpid()).encode()})
"""


class Gunicorn:
    """A running gunicorn with our file appended, as run.sh does it."""

    def __init__(self, app: App, *words: str, module: bool = False, wrapper: bool = False, **variables: str) -> None:
        self.port = dead_port()
        folder = os.path.dirname(sys.executable)
        program = [sys.executable, "-m", "gunicorn"] if module else [os.path.join(folder, "gunicorn")]
        if wrapper:
            program.insert(0, os.path.join(folder, "opentelemetry-instrument"))
            variables["PYTHONPATH"] = "-"
        self.process = app.start(*program, "app:app", "-b", "127.0.0.1:%d" % self.port, *words, "--graceful-timeout", "15", "-c", app.conf, **variables)

    def serve(self, count: int) -> List[str]:
        """Requests until that many were answered; the pids that answered."""
        return [get(self.port, "/pid") for _ in range(count)]

    def stop(self, number: int = signal.SIGTERM) -> str:
        if number == signal.SIGINT:  # as a terminal does it: to everyone
            os.killpg(self.process.pid, number)
        else:
            self.process.send_signal(number)
        _, err = self.process.communicate(timeout=60)
        return err


def served(sink: Sink) -> int:
    """Server spans, each counted once; a copy fails the test."""
    spans = [span for span in sink.spans if span.is_server]
    assert len({span.id for span in spans}) == len(spans), "a span arrived twice"
    return len(spans)


@pytest.mark.parametrize("words", [[], ["--preload"], ["-k", "gthread", "--threads", "2"], ["--preload", "--max-requests", "5"]])
def test_every_worker_sends_each_span_once(app: App, sink: Sink, words: list) -> None:
    app.write("app.py", APP)
    gunicorn = Gunicorn(app, "-w", "3", *words)
    gunicorn.serve(30)
    err = gunicorn.stop()
    assert served(sink) == 30, err
    assert {span.service for span in sink.spans} == {"shop"}


@pytest.mark.skipif(not has("gevent"), reason="gevent is not installed")
@pytest.mark.parametrize("words", [[], ["--preload"]])
def test_gevent_workers(app: App, sink: Sink, words: list) -> None:
    app.write("app.py", APP)
    gunicorn = Gunicorn(app, "-w", "2", "-k", "gevent", *words)
    gunicorn.serve(20)
    err = gunicorn.stop()
    assert served(sink) == 20, err


@pytest.mark.skipif(not (has("uvicorn") and (has("uvicorn_worker") or has("uvicorn.workers"))), reason="uvicorn is not installed")
@pytest.mark.parametrize("words", [[], ["--preload"]])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_uvicorn_workers_send_their_last_spans(app: App, sink: Sink, words: list, number: int) -> None:
    app.write("app.py", ASGI)
    kind = "uvicorn_worker.UvicornWorker" if has("uvicorn_worker") else "uvicorn.workers.UvicornWorker"
    gunicorn = Gunicorn(app, "-w", "2", "-k", kind, *words)
    gunicorn.serve(20)
    err = gunicorn.stop(number)
    spans = [span for span in sink.spans if span.name == "served"]
    assert len(spans) == len({span.id for span in spans}) == 20, err


def test_it_is_right_under_plain_opentelemetry_instrument(app: App, sink: Sink) -> None:
    app.write("app.py", APP)
    # The wrapper knows no versions beyond the declared range, so the span is made by hand.
    app.write("app.py", APP.replace("    return", "    from opentelemetry import trace\n    trace.get_tracer('t').start_span('hand').end()\n    return"))
    gunicorn = Gunicorn(app, "-w", "2", "--preload", wrapper=True)
    gunicorn.serve(20)
    err = gunicorn.stop()
    spans = [span.id for span in sink.spans if span.name == "hand"]
    assert len(spans) == len(set(spans)) == 20, err
    assert "Overriding" not in err


OWN = """
import pathlib
workers = 2
proc_name = "mine"
here = pathlib.Path(__file__).resolve().parent

def _note(text):
    with open(here / "notes.txt", "a") as file:
        file.write(text + "\\n")

def on_starting(server): _note("on_starting")
def when_ready(server): _note("when_ready")
def pre_fork(server, worker): _note("pre_fork")
def post_fork(server, worker): _note("post_fork")
def post_worker_init(worker): _note("post_worker_init " + worker.cfg.proc_name)
def worker_exit(server, worker): _note("worker_exit")
def on_exit(server): _note("on_exit")
"""
HOOKS = sorted(["on_starting", "when_ready", "on_exit"] + 2 * ["pre_fork", "post_fork", "post_worker_init mine", "worker_exit"])


@pytest.mark.parametrize("way", ["default", "-c", "--config=", "-cFILE", "file:", "python:", "GUNICORN_CMD_ARGS", "module", "no suffix"])
def test_the_persons_own_configuration_holds(plain_app: App, sink: Sink, way: str) -> None:
    plain_app.write("app.py", APP)
    name = {"default": "gunicorn.conf.py", "module": "gunicorn.conf.py", "no suffix": "conf/own.conf"}.get(way, "conf/own.py")
    path = plain_app.write(name, OWN)
    words, variables = [], {}
    if way in ("-c", "no suffix"):
        words = ["-c", str(path)]
    elif way == "--config=":
        words = ["--config=conf/own.py"]
    elif way == "-cFILE":
        words = ["-cconf/own.py"]
    elif way == "file:":
        words = ["--config", "file:conf/own.py"]
    elif way == "python:":
        plain_app.write("conf/__init__.py", "")
        words = ["-c", "python:conf.own"]
    elif way == "GUNICORN_CMD_ARGS":
        # With a setting of its own, which must win over the file as it does without us.
        variables["GUNICORN_CMD_ARGS"] = "-c conf/own.py --timeout 77"
    gunicorn = Gunicorn(plain_app, *words, module=way == "module", **variables)
    gunicorn.serve(10)
    # A worker that is told to end while it starts is deaf to it: gunicorn's handlers are not its own yet.
    notes = path.parent / "notes.txt"
    wait_for(lambda: notes.read_text().count("post_worker_init") == 2)
    err = gunicorn.stop()
    notes = sorted((path.parent / "notes.txt").read_text().splitlines())
    assert notes == HOOKS, err
    assert served(sink) == 10


def test_the_command_line_wins_over_the_persons_file(plain_app: App, sink: Sink) -> None:
    plain_app.write("app.py", APP)
    plain_app.write("gunicorn.conf.py", OWN)
    gunicorn = Gunicorn(plain_app, "-w", "1")
    gunicorn.serve(5)
    gunicorn.stop()
    assert (plain_app.folder / "notes.txt").read_text().count("post_fork") == 1
    assert served(sink) == 5


def test_a_mistake_in_the_persons_file_is_reported_by_gunicorn(plain_app: App) -> None:
    plain_app.write("app.py", APP)
    plain_app.write("gunicorn.conf.py", "workers = 2\nthis is no Python\n")
    gunicorn = Gunicorn(plain_app)
    _, err = gunicorn.process.communicate(timeout=60)
    assert gunicorn.process.returncode == 1
    assert "Failed to read config file" in err and "gunicorn.conf.py" in err and "this is no Python" in err


def test_a_setting_of_a_wrong_kind_is_refused_as_without_us(plain_app: App) -> None:
    plain_app.write("app.py", APP)
    plain_app.write("gunicorn.conf.py", "workers = 'many'\n")
    gunicorn = Gunicorn(plain_app)
    _, err = gunicorn.process.communicate(timeout=60)
    assert gunicorn.process.returncode != 0 and "Invalid value for workers: many" in err


RECIPE = """
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.%s.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

def post_fork(server, worker):
    trace.set_tracer_provider(TracerProvider(resource=Resource.create({"service.name": "other"})))
    processor = BatchSpanProcessor(OTLPSpanExporter())
    trace.get_tracer_provider().add_span_processor(processor)
"""


@pytest.mark.parametrize("wrapper", [False, True])
def test_the_well_known_hook_no_longer_sends_every_span_twice(app: App, sink: Sink, wrapper: bool) -> None:
    kind = "grpc" if app.environment["OTEL_EXPORTER_OTLP_PROTOCOL"] == "grpc" else "http"
    app.write("app.py", APP.replace("    return", "    from opentelemetry import trace\n    trace.get_tracer('t').start_span('hand').end()\n    return"))
    app.write("gunicorn.conf.py", RECIPE % kind)
    gunicorn = Gunicorn(app, "-w", "2", wrapper=wrapper)
    gunicorn.serve(10)
    err = gunicorn.stop()
    spans = [span.id for span in sink.spans if span.name == "hand"]
    assert len(spans) == len(set(spans)) == 10, err
    assert "gunicorn.conf.py:11 adds a second OTLP exporter" in err, err
    assert {span.service for span in sink.spans} == {"shop"}


def test_a_reload_keeps_the_workers_traced(plain_app: App, sink: Sink) -> None:
    plain_app.write("app.py", APP)
    plain_app.write("gunicorn.conf.py", OWN)
    gunicorn = Gunicorn(plain_app, "-w", "1")
    (before,) = set(gunicorn.serve(3))
    gunicorn.process.send_signal(signal.SIGHUP)
    count = 3
    while True:
        count += 1
        (pid,) = gunicorn.serve(1)
        if pid != before:
            break
    err = gunicorn.stop()
    assert served(sink) == count, err


def test_a_dead_endpoint_does_not_hold_gunicorn(plain_app: App) -> None:
    plain_app.write("app.py", APP)
    gunicorn = Gunicorn(plain_app, "-w", "2", OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:%d" % dead_port())
    gunicorn.serve(6)
    # gunicorn itself kills what has not ended after its graceful timeout of 30 s.
    import time

    started = time.monotonic()
    gunicorn.stop()
    assert time.monotonic() - started < 15


def test_gunicorn_starts_without_opentelemetry(plain_app: App, tmp_path: Path) -> None:
    plain_app.write("app.py", "def app(environ, start_response):\n    start_response('200 OK', [])\n    return [b'1']\n")
    # Shadows the real package: what an app sees when OpenTelemetry was removed.
    plain_app.write("gone/opentelemetry/__init__.py", "raise ImportError('removed')")
    path = plain_app.auto + os.pathsep + str(plain_app.folder / "gone")
    gunicorn = Gunicorn(plain_app, PYTHONPATH=path)
    assert gunicorn.serve(1) == ["1"]
    err = gunicorn.stop()
    assert gunicorn.process.returncode == 0 and "tracing is off" in err, err


@pytest.mark.skipif(not has("gevent"), reason="gevent is not installed")
@pytest.mark.parametrize("way", ["words", "configuration"])
def test_https_works_in_a_gevent_worker(plain_app: App, sink: Sink, way: str) -> None:
    # The loader imports ssl before gevent replaces it; requests must not fall into an endless recursion because of that.
    plain_app.write(
        "app.py",
        "def app(environ, start_response):\n"
        "    import requests\n"
        "    try:\n        requests.get('https://127.0.0.1:%d/', timeout=5)\n        text = 'answered'\n"
        "    except BaseException as error:\n        text = type(error).__name__\n"
        "    start_response('200 OK', [])\n    return [text.encode()]\n" % sink.http_port,
    )
    if way == "configuration":
        plain_app.write("gunicorn.conf.py", "worker_class = 'gevent'\n")
    gunicorn = Gunicorn(plain_app, *(["-k", "gevent"] if way == "words" else []), PYTHONWARNINGS="error::gevent.monkey.MonkeyPatchWarning")
    answers = gunicorn.serve(1)
    err = gunicorn.stop()
    assert answers == ["SSLError"], err
    assert "MonkeyPatchWarning" not in err
