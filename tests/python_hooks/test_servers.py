"""Servers that need nothing but the loader."""

from __future__ import annotations

import pytest

from conftest import App, Sink, dead_port, get, has, wait_for

ASGI = """
import os
from opentelemetry import trace

async def app(scope, receive, send):
    if scope["type"] != "http":
        raise RuntimeError("no lifespan")
    trace.get_tracer("t").start_span("served").end()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(os.getpid()).encode()})
"""


def once(sink: Sink, name: str) -> int:
    ids = [span.id for span in sink.spans if span.name == name]
    assert len(ids) == len(set(ids)), "a span arrived twice"
    return len(ids)


@pytest.mark.skipif(not has("uvicorn"), reason="uvicorn is not installed")
@pytest.mark.parametrize("words", [[], ["--workers", "2"], ["--reload"]])
def test_uvicorn(app: App, sink: Sink, words: list) -> None:
    app.write("app.py", ASGI)
    port = dead_port()
    # A reloader kills its child, so what it made must have left before.
    wait = {"UVICORN_TIMEOUT_WORKER_HEALTHCHECK": "60"}
    delay = {"OTEL_BSP_SCHEDULE_DELAY": "100"} if words == ["--reload"] else {}
    process = app.python("-m", "uvicorn", "app:app", "--port", str(port), *words, **wait, **delay)
    pids = {get(port, "/") for _ in range(20)}
    if delay:
        sink.wait(lambda spans: len(spans) >= 20)
    process.terminate()
    _, err = process.communicate(timeout=60)
    assert once(sink, "served") == 20, err
    assert str(process.pid) not in pids or words == []


@pytest.mark.skipif(not has("celery"), reason="celery is not installed")
@pytest.mark.parametrize("words", [["-c", "2"], ["-c", "1", "--max-tasks-per-child", "1"]])
def test_celery_sends_the_spans_of_its_pool(app: App, sink: Sink, words: list) -> None:
    app.write(
        "tasks.py",
        "from celery import Celery\n"
        "app = Celery('tasks', broker='filesystem://', backend='file://%(folder)s/results')\n"
        "app.conf.broker_transport_options = {'data_folder_in': '%(folder)s/queue', 'data_folder_out': '%(folder)s/queue',\n"
        "    'control_folder': '%(folder)s/control'}\n"
        "@app.task\n"
        "def add(n):\n"
        "    from opentelemetry import trace\n"
        "    trace.get_tracer('t').start_span('task').end()\n"
        "    return n + 1\n" % {"folder": app.folder},
    )
    for name in ("results", "queue", "control"):
        (app.folder / name).mkdir()
    worker = app.python("-m", "celery", "-A", "tasks", "worker", "-P", "prefork", "--without-gossip", "--without-mingle", *words)
    sender = app.python("-c", "from tasks import add\nfor n in range(6): add.delay(n)", SIGNOZ_AUTO="off")
    assert sender.communicate(timeout=60)[1].count("Traceback") == 0
    wait_for(lambda: len(list((app.folder / "results").iterdir())) == 6)
    worker.terminate()
    _, err = worker.communicate(timeout=60)
    assert once(sink, "task") == 6, err


@pytest.mark.skipif(not (has("sqlalchemy") and has("opentelemetry.instrumentation.sqlalchemy")), reason="sqlalchemy is not installed")
def test_sqlalchemy_without_greenlet_takes_no_other_instrumentation_with_it(plain_app: App) -> None:
    # SQLAlchemy 2.1 imports greenlet only when asked for asyncio, as its instrumentation does.
    plain_app.write("gone/greenlet/__init__.py", "raise ModuleNotFoundError(\"No module named 'greenlet'\", name='greenlet')")
    path = plain_app.auto + ":" + str(plain_app.folder / "gone")
    code, out, err = plain_app.run("import sqlite3; print(type(sqlite3.connect).__name__)", PYTHONPATH=path)
    assert code == 0 and "tracing is on" in err, err
    # Comes after sqlalchemy in every order that the entry points were seen in.
    assert "sqlite3" in err.partition("instrumented")[2].partition(";")[0], err
    if tuple(map(int, __import__("sqlalchemy").__version__.split(".")[:2])) >= (2, 1):
        assert "sqlalchemy left out" in err, err
