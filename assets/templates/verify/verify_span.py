# Run by signoz-setup with the app's interpreter, under the environment that the run script gives it. Never written.
# Prints one JSON line. Never prints a header, an environment variable's value other than the endpoint, or a key.
"""Sends one span with the app's own SDK and exporter, once, and tells what the other side really answered.

The SDK retries for a minute and says little (`UNAVAILABLE`, no endpoint, no reason); here the first answer counts.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from typing import Any, Dict, List, Optional
from urllib.parse import urlsplit, urlunsplit

SECONDS = float(os.environ.get("SIGNOZ_VERIFY_SECONDS", "15"))
OUT: Dict[str, Any] = {"ok": False}


def say(**facts: Any) -> None:
    """Print the one line and leave at once: exit handlers of a failing exporter would wait."""
    OUT.update(facts)
    os.write(1, ("\n" + json.dumps(OUT) + "\n").encode())
    getattr(sys.modules.get("signoz_auto"), "_real_exit", os._exit)(0 if OUT["ok"] else 1)


def plain(text: Any) -> str:
    """One short line without any secret of the environment."""
    text = " ".join(str(text).split())
    for name in ("OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS"):
        for header in os.environ.get(name, "").split(","):
            for secret in (header, header.partition("=")[2].strip().strip("\"'")):
                if len(secret) > 3:
                    text = text.replace(secret, "***")
    return text[:500]


def endpoint() -> str:
    """Where the environment points, without what could be a credential."""
    text = os.environ.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") or os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT") or ""
    parts = urlsplit(text)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


class Answer:
    """The first thing that the other side said."""

    def __init__(self) -> None:
        self.known = threading.Event()
        self.facts: Dict[str, Any] = {}

    def tell(self, **facts: Any) -> None:
        if not self.known.is_set():
            self.facts = facts
            self.known.set()


def watch_grpc(exporter: Any, answer: Answer) -> None:
    """Look at each call of the stub before the exporter swallows its error."""
    import grpc

    class Stub:
        def __init__(self, stub: Any) -> None:
            self._stub = stub

        def Export(self, *arguments: Any, **options: Any) -> Any:  # noqa: N802 - the stub's own name
            try:
                reply = self._stub.Export(*arguments, **options)
            except grpc.RpcError as error:
                answer.tell(stage="rpc", error="grpc", status=error.code().name, detail=plain(error.details()))
                raise
            except Exception as error:
                answer.tell(stage="rpc", error=type(error).__name__, status=None, detail=plain(error))
                raise
            partial = getattr(reply, "partial_success", None)
            answer.tell(
                ok=not getattr(partial, "rejected_spans", 0),
                status="OK",
                rejected=int(getattr(partial, "rejected_spans", 0)),
                detail=plain(getattr(partial, "error_message", "")),
            )
            return reply

    exporter._client = Stub(exporter._client)


def watch_http(answer: Answer) -> Any:
    """A session that looks at each response before the exporter swallows its error."""
    import requests

    class Session(requests.Session):
        def request(self, *arguments: Any, **options: Any) -> Any:
            try:
                response = super().request(*arguments, **options)
            except Exception as error:
                answer.tell(stage="http", error=type(error).__name__, status=None, detail=plain(innermost(error)))
                raise
            facts = partial_success(response) if response.ok else {"detail": plain(response.text) or response.reason}
            good = response.ok and not facts.get("rejected")
            answer.tell(ok=good, stage="http", status=response.status_code, error=None if good else "http", **facts)
            return response

    return Session()


def partial_success(response: Any) -> Dict[str, Any]:
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

    reply = ExportTraceServiceResponse()
    try:
        reply.ParseFromString(response.content)
    except Exception:
        return {"rejected": 0, "detail": ""}
    # The messages of SDK 1.17 do not know the field.
    partial = getattr(reply, "partial_success", None)
    return {"rejected": int(getattr(partial, "rejected_spans", 0)), "detail": plain(getattr(partial, "error_message", ""))}


def innermost(error: BaseException) -> BaseException:
    """What urllib3 and requests wrap several times over: name resolution, TLS, a refused connection."""
    seen: List[BaseException] = []
    while error not in seen:
        seen.append(error)
        reason: Any = getattr(error, "reason", None) or error.__cause__ or (error.args[0] if error.args else None)
        if not isinstance(reason, BaseException):
            break
        error = reason
    return error


def make(protocol: str, answer: Answer) -> Any:
    """The exporter that the environment asks for, watched."""
    if protocol == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

        exporter: Any = OTLPSpanExporter()
        watch_grpc(exporter, answer)
        return exporter
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpExporter

    return HttpExporter(session=watch_http(answer))


def main() -> None:
    environment = os.environ
    protocol = (environment.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL") or environment.get("OTEL_EXPORTER_OTLP_PROTOCOL") or "grpc").strip()
    OUT.update(
        python="%d.%d.%d" % sys.version_info[:3],
        protocol=protocol,
        endpoint=endpoint(),
        exporter=environment.get("OTEL_TRACES_EXPORTER", "otlp"),
    )
    try:
        from opentelemetry import trace
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.version import __version__ as sdk_version
    except Exception as error:
        return say(stage="import", error=type(error).__name__, detail=plain(error))
    running = trace.get_tracer_provider()
    OUT.update(
        sdk_version=sdk_version,
        provider=type(running).__name__,
        # False: the loader did not run, so the app itself would send nothing.
        initialised=isinstance(running, TracerProvider),
    )
    if protocol not in ("grpc", "http/protobuf"):
        return say(stage="configuration", error="protocol", detail="OTEL_EXPORTER_OTLP_PROTOCOL must be grpc or http/protobuf")
    if "otlp" not in OUT["exporter"]:
        return say(stage="configuration", error="exporter", detail="OTEL_TRACES_EXPORTER is not otlp, so the app sends nothing")
    answer = Answer()
    try:
        exporter = make(protocol, answer)
    except Exception as error:
        return say(stage="exporter", error=type(error).__name__, detail=plain(error))
    resource: Optional[Any] = getattr(running, "resource", None)
    if resource is None:
        resource = Resource.create()
    # The id and sampling of a real span, without the sampler and processors of the app.
    from opentelemetry.sdk.trace.sampling import ALWAYS_ON

    provider = TracerProvider(resource=resource, sampler=ALWAYS_ON, shutdown_on_exit=False)
    span = provider.get_tracer("signoz-setup").start_span("signoz-setup verification")
    span.end()
    OUT.update(
        trace_id=format(span.get_span_context().trace_id, "032x"),
        span_id=format(span.get_span_context().span_id, "016x"),
        service=str(resource.attributes.get("service.name", "")),
    )
    started = time.monotonic()

    def send() -> None:
        from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY, attach, set_value

        attach(set_value(_SUPPRESS_INSTRUMENTATION_KEY, True))
        try:
            result = exporter.export([span])
            answer.tell(ok=getattr(result, "name", "") == "SUCCESS", stage="export", status=getattr(result, "name", None))
        except Exception as error:
            answer.tell(stage="export", error=type(error).__name__, status=None, detail=plain(error))

    threading.Thread(target=send, daemon=True).start()
    if not answer.known.wait(SECONDS):
        return say(stage="time", error="timeout", detail="no answer within %g s" % SECONDS)
    return say(latency_ms=round((time.monotonic() - started) * 1000), **answer.facts)


try:
    main()
except Exception as error:  # noqa: BLE001 - whatever it is, it is said in the same form
    say(stage="script", error=type(error).__name__, detail=plain(error))
