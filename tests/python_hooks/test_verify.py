"""The probe of the verification level `python`: one JSON line that says what the other side really answered."""

from __future__ import annotations

import json
import time
from typing import Any, Dict

import pytest

from conftest import KEY, TEMPLATES, App, Sink, dead_port

PROBE = (TEMPLATES / "verify" / "verify_span.py").read_text()


def probe(app: App, **variables: str) -> Dict[str, Any]:
    code, out, err = app.run(PROBE, **variables)
    assert "canary" not in out + err
    lines = [line for line in out.splitlines() if line]
    assert len(lines) == 1, (out, err)
    said = json.loads(lines[0])
    assert code == (0 if said["ok"] else 1)
    return said


def test_an_accepted_span(app: App, sink: Sink) -> None:
    sink.wanted = KEY
    said = probe(app)
    assert said["ok"] and said["initialised"] and said["provider"] == "TracerProvider", said
    assert said["service"] == "shop" and said["status"] in ("OK", 200)
    assert [span.id.hex() for span in sink.spans] == [said["span_id"]]
    assert said["endpoint"] == app.environment["OTEL_EXPORTER_OTLP_ENDPOINT"]


def test_a_wrong_key_is_told_by_its_code(app: App, sink: Sink) -> None:
    sink.wanted = "another"
    said = probe(app)
    assert not said["ok"] and said["status"] in ("UNAUTHENTICATED", 401), said


def test_nobody_there_is_told_at_once(app: App) -> None:
    started = time.monotonic()
    said = probe(app, OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:%d" % dead_port())
    assert not said["ok"] and "refused" in said["detail"].lower(), said
    # The SDK itself would try for a minute.
    assert time.monotonic() - started < 30


def test_silence_ends_with_the_time(plain_app: App) -> None:
    import socket

    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(8)
        said = probe(plain_app, OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:%d" % silent.getsockname()[1], SIGNOZ_VERIFY_SECONDS="2")
    assert not said["ok"] and said["error"] in ("timeout", "grpc"), said


@pytest.mark.parametrize(
    ("variables", "stage", "error"),
    [
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "http"}, "configuration", "protocol"),
        ({"OTEL_TRACES_EXPORTER": "none"}, "configuration", "exporter"),
    ],
)
def test_a_setting_that_sends_nothing_is_named(plain_app: App, variables: Dict[str, str], stage: str, error: str) -> None:
    said = probe(plain_app, **variables)
    assert (said["ok"], said["stage"], said["error"]) == (False, stage, error), said


def test_a_loader_that_did_not_run_is_seen(plain_app: App) -> None:
    said = probe(plain_app, SIGNOZ_AUTO="off")
    assert said["ok"] and not said["initialised"], said


def test_a_missing_sdk_is_named(plain_app: App) -> None:
    process = plain_app.python("-S", "-c", PROBE)
    out, _ = process.communicate(timeout=60)
    said = json.loads(out)
    assert (said["ok"], said["stage"], said["error"]) == (False, "import", "ModuleNotFoundError")
