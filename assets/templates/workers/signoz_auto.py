# Written by signoz-setup. Loaded by `sitecustomize.py` beside it (every process) and by `gunicorn.conf.py`.
# Works with opentelemetry-distro 0.38b0 up to the newest release this file was tested with; Python 3.8 and newer.
"""Starts OpenTelemetry in this process and sees to it that spans leave it: after a fork, on SIGTERM, at exit.

Nothing in here may keep the app from starting or, for longer than `FLUSH_SECONDS`, from ending.
"""

from __future__ import annotations

import atexit
import importlib
import logging
import os
import re
import signal
import sys
import threading
import time
import warnings
from typing import Any, Callable, Dict, Iterable, List, Optional, Tuple
from urllib.parse import unquote, urlsplit

#: How long the end of a process may wait for its last spans. The SDK alone waits up to 63 s for a dead endpoint.
FLUSH_SECONDS = 4.0

_HERE = os.path.dirname(os.path.abspath(__file__))
_log = logging.getLogger("signoz")

#: Where the exporters that were made from the environment sit, as (owner, attribute).
_slots: List[Tuple[Any, str]] = []
#: The process in which those exporters are known to be its own.
_fresh_in: Optional[int] = None
_instrumented: List[str] = []
_left_out: Dict[str, str] = {}
_real_exit = os._exit


def start() -> None:
    """Initialise OpenTelemetry in this process, unless it is none of the app's."""
    reason = _why_not()
    if reason:
        _debug("tracing is off: %s" % reason)
        return
    _hide_keys()
    python_path = os.environ.get("PYTHONPATH")
    try:
        _initialise(python_path)
    finally:
        # OpenTelemetry (before 0.63b0) removes its folder for good; the app's children need ours.
        if python_path is None:
            os.environ.pop("PYTHONPATH", None)
        else:
            os.environ["PYTHONPATH"] = python_path
    provider = _provider()
    if not _processors(provider):
        _debug("tracing is off: %s" % _left_out.get("opentelemetry", "no exporter is configured"))
        return
    adopt(provider)
    atexit.register(_at_exit)
    os._exit = _exit
    flush_on(signal.SIGTERM)
    _debug(_summary(provider))


def adopt(provider: Any) -> None:
    """Take care of a provider: own exporters in forked children, no second exporter for the same spans."""
    global _fresh_in
    if _slots:
        return
    _slots.extend(slot for slot in map(_slot, _processors(provider)) if slot and _is_otlp(getattr(*slot)))
    _fresh_in = os.getpid()
    os.register_at_fork(after_in_child=refresh)
    _refuse_second_exporter(provider)


def refresh() -> None:
    """Give this process its own exporters, in place, once; tracers handed out before the fork go on working.

    The SDK restarts its threads after a fork, but keeps the parent's gRPC channel or HTTP session.
    """
    global _fresh_in
    if _fresh_in == os.getpid():
        return
    _fresh_in = os.getpid()
    for owner, attribute in _slots:
        setattr(owner, attribute, _FreshExporter(owner, attribute))


def is_fresh() -> bool:
    """Whether this process has its own exporters."""
    return _fresh_in == os.getpid()


class _FreshExporter:
    """Becomes a new exporter at the first batch: most forked children never send one, and a fork is no place for I/O."""

    def __init__(self, owner: Any, attribute: str) -> None:
        old = getattr(owner, attribute)
        self._owner, self._attribute = owner, attribute
        self._old: Any = old._old if isinstance(old, _FreshExporter) else old
        self._lock = threading.Lock()
        self._shutdown = False

    def export(self, spans: Any) -> Any:
        with self._lock:
            exporter = getattr(self._owner, self._attribute)
            if exporter is self:
                try:
                    exporter = type(self._old)()
                except Exception:
                    exporter = self._old
                setattr(self._owner, self._attribute, exporter)
        return exporter.export(spans)

    def shutdown(self, timeout_millis: float = 0, **_: Any) -> None:
        self._shutdown = True

    def force_flush(self, timeout_millis: int = 0) -> bool:
        return True


def flush(seconds: float = FLUSH_SECONDS) -> None:
    """Send what is queued, within a time limit; tracing goes on afterwards."""

    def work() -> None:
        for processor in _processors(_provider()):
            try:
                processor.force_flush(int(seconds * 1000))
            except Exception:
                pass

    _within(seconds, work)


def stop(seconds: float = FLUSH_SECONDS) -> bool:
    """Send what is queued and end the exporting threads; False when the time was up first."""
    end = time.monotonic() + seconds
    finished = [_stop(processor, max(0.05, end - time.monotonic())) for processor in _processors(_provider())]
    return all(finished)


def flush_on(number: int) -> None:
    """Flush when this signal would end the process without running any Python: only when nobody handles it."""
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(number) is not signal.SIG_DFL:
        return

    def handler(received: int, frame: Any) -> None:
        # In a thread of its own: the interrupted code may hold the lock that a flush needs.
        flush()
        signal.signal(received, signal.SIG_DFL)
        os.kill(os.getpid(), received)
        # Still here: the kernel ignores a default action for process 1 of a container. Go on as before.
        signal.signal(received, handler)

    signal.signal(number, handler)


# --- starting -------------------------------------------------------------------------------------------------------


def _why_not() -> Optional[str]:
    if os.environ.get("SIGNOZ_AUTO", "").lower() in ("off", "0", "false"):
        return "SIGNOZ_AUTO is off"
    if os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return "OTEL_SDK_DISABLED is true"
    words = _command_line()
    if any("resource_tracker" in word or "semaphore_tracker" in word for word in words):
        return "this is a helper process of multiprocessing"
    tools = ("pip", "venv", "virtualenv", "ensurepip", "compileall", "py_compile")
    for index, word in enumerate(words[:-1]):
        if word == "-m" and words[index + 1] in tools:
            return "this is %s, not the app" % words[index + 1]
        if index > 0 and not word.startswith("-"):
            break
    program = os.path.basename(next((word for word in words[1:] if not word.startswith("-")), ""))
    if program.rstrip("0123456789.") == "pip":
        return "this is pip, not the app"
    return None


def _command_line() -> List[str]:
    words = getattr(sys, "orig_argv", None)
    if words:
        return list(words)
    try:  # Python before 3.10 does not tell; `sys.argv` lacks what `-c` and `-m` were given.
        with open("/proc/self/cmdline", "rb") as file:
            return [os.fsdecode(word) for word in file.read().split(b"\0")[:-1]]
    except OSError:
        return [sys.executable] + list(getattr(sys, "argv", []))


def _initialise(python_path: Optional[str]) -> None:
    # 0.38b0 reads its entry points through pkg_resources, which complains on standard error at each start.
    warnings.filterwarnings("ignore", message="pkg_resources is deprecated", module=r"opentelemetry\.")
    # A library that starts Python while it is imported must not start the same thing again, without end.
    others = [folder for folder in (python_path or "").split(os.pathsep) if os.path.abspath(folder or os.curdir) != _HERE]
    os.environ["PYTHONPATH"] = os.pathsep.join(others)
    _make_way_for_gevent()
    added = [folder for folder in _import_roots() if folder not in sys.path]
    sys.path[:0] = added
    try:
        from opentelemetry.instrumentation import dependencies
        from opentelemetry.instrumentation.distro import BaseDistro

        # Before the import below binds it: a package without the extra `instruments` makes it raise in old releases.
        dependencies.get_dist_dependency_conflicts = _tolerant(dependencies.get_dist_dependency_conflicts)
        auto_instrumentation = importlib.import_module("opentelemetry.instrumentation.auto_instrumentation")
        original = BaseDistro.load_instrumentor

        def load(distro: Any, entry_point: Any, **options: Any) -> None:
            _instrument(entry_point.name, lambda: original(distro, entry_point, **options))

        # One instrumentor that raises ends the whole initialisation: each gets its own `try`.
        BaseDistro.load_instrumentor = load
        try:
            initialize = getattr(auto_instrumentation, "initialize", None)
            if initialize:
                initialize()
            else:  # before 0.52b0 importing is running
                importlib.import_module("opentelemetry.instrumentation.auto_instrumentation.sitecustomize")
        finally:
            BaseDistro.load_instrumentor = original
        _instrument_beyond_range()
    finally:
        for folder in added:
            if folder in sys.path:
                sys.path.remove(folder)


def _make_way_for_gevent() -> None:
    """Let gevent replace `ssl` before the exporters import it.

    A gevent worker replaces it later, when requests and urllib3 hold the old classes already: the app's own HTTPS
    calls would then end in an endless recursion. The rest stays for the worker to replace, so that the exporting
    thread remains a real one and a slow endpoint does not hold up every request.
    """
    whole = os.environ.get("OTEL_PYTHON_AUTO_INSTRUMENTATION_EXPERIMENTAL_GEVENT_PATCH") == "patch_all"
    if not whole and not _works_with_gevent(_command_line()):
        return
    try:
        from gevent import monkey

        if whole:
            monkey.patch_all()
        else:
            monkey.patch_ssl()
    except Exception:
        pass


def _works_with_gevent(words: List[str]) -> bool:
    """Whether this is gunicorn or Celery with workers of gevent: on the command line, or in gunicorn's configuration."""
    programs = [os.path.basename(word) for word in words[:4]]
    if "celery" in programs:
        return bool(re.search(r" (-P|--pool)[ =]?gevent", " ".join(words)))
    if "gunicorn" not in programs:
        return False
    told = " ".join(words) + " " + os.environ.get("GUNICORN_CMD_ARGS", "")
    if re.search(r"(^| )(-k|--worker-class)[ =]?\S*gevent", told):
        return True
    files = re.findall(r"(?:^| )(?:-c|--config)[ =]?(?:file:)?(\S+)", told) + ["gunicorn.conf.py"]
    for file in files:
        try:
            with open(file, encoding="utf-8", errors="replace") as text:
                if re.search(r"^\s*worker_class\s*=\s*[\"'][^\"']*gevent", text.read(1 << 16), re.MULTILINE):
                    return True
        except OSError:
            continue
    return False


def _tolerant(conflicts: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def tolerant(distribution: Any) -> Any:
        try:
            return conflicts(distribution)
        except Exception:
            return None

    return tolerant


def _import_roots() -> List[str]:
    """Folders that the app's modules will come from: the Django instrumentation imports the settings this early."""
    words = _command_line()
    roots = [os.getcwd()]
    for index, word in enumerate(words):
        name, equals, value = word.partition("=")
        if name in ("--chdir", "--app-dir", "--pythonpath", "--workdir"):
            following = words[index + 1] if index + 1 < len(words) else ""
            roots.extend(os.path.abspath(folder) for folder in (value if equals else following).split(",") if folder)
        elif word.endswith(".py") and os.path.isfile(word):
            roots.append(os.path.dirname(os.path.abspath(word)))
    return roots


def _instrument(name: str, work: Callable[[], None]) -> None:
    reason = _django_is_not_ready() if name == "django" else None
    if reason:
        _left_out[name] = reason
        return
    try:
        work()
        _instrumented.append(name)
    except (Exception, SystemExit) as error:
        _left_out[name] = "%s: %s" % (type(error).__name__, error)


def _django_is_not_ready() -> Optional[str]:
    """Why Django must be left alone: its instrumentation would otherwise configure empty settings and break the app."""
    module = os.environ.get("DJANGO_SETTINGS_MODULE")
    if not module:
        return "DJANGO_SETTINGS_MODULE is not set"
    try:
        importlib.import_module(module)
    except (Exception, SystemExit) as error:
        return "the settings module %s cannot be imported: %s: %s" % (module, type(error).__name__, error)
    return None


def _instrument_beyond_range() -> None:
    """Instrument libraries whose version is newer than the instrumentation admits, where a test proved that it works."""
    disabled = _names("OTEL_PYTHON_DISABLED_INSTRUMENTATIONS")
    wanted = [name for name in _names("SIGNOZ_INSTRUMENT_BEYOND_RANGE") if name not in disabled and name not in _instrumented]
    if not wanted:
        return
    for entry_point in _entry_points("opentelemetry_instrumentor"):
        if entry_point.name in wanted and entry_point.name not in _left_out:

            def work(entry_point: Any = entry_point) -> None:
                entry_point.load()().instrument(skip_dep_check=True)

            _instrument(entry_point.name, work)


def _entry_points(group: str) -> Iterable[Any]:
    from importlib import metadata

    found: Any = metadata.entry_points()
    if hasattr(found, "select"):
        return list(found.select(group=group))
    return list(dict.fromkeys(found.get(group, [])))  # before 3.10, and twice where a folder is twice on the path


def _names(variable: str) -> List[str]:
    return [name.strip() for name in os.environ.get(variable, "").split(",") if name.strip()]


# --- what the SDK made ----------------------------------------------------------------------------------------------


def _provider() -> Any:
    trace = sys.modules.get("opentelemetry.trace")
    return trace.get_tracer_provider() if trace else None  # type: ignore[attr-defined]


def _processors(provider: Any) -> Tuple[Any, ...]:
    return tuple(getattr(getattr(provider, "_active_span_processor", None), "_span_processors", ()))


def _slot(processor: Any) -> Optional[Tuple[Any, str]]:
    """Where a processor keeps its exporter."""
    inner = getattr(processor, "_batch_processor", None)
    if inner is not None and hasattr(inner, "_exporter"):
        return inner, "_exporter"
    if hasattr(processor, "span_exporter"):
        return processor, "span_exporter"
    return None


def _is_otlp(exporter: Any) -> bool:
    exporter = exporter._old if isinstance(exporter, _FreshExporter) else exporter
    return any(kind.__module__.startswith("opentelemetry.exporter.otlp.") for kind in type(exporter).__mro__)


def _host(exporter: Any) -> Optional[str]:
    """The machine that an exporter sends to, where it can be told."""
    exporter = exporter._old if isinstance(exporter, _FreshExporter) else exporter
    target = getattr(exporter, "_endpoint", None)
    try:
        if target is None:  # gRPC, before the exporter kept its endpoint
            target = exporter._client.Export._channel.target().decode()
        host = urlsplit(target if "//" in target else "//" + target).hostname or target.rpartition("/")[2].partition(":")[0]
    except Exception:
        return None
    return "localhost" if host in ("127.0.0.1", "::1", "0.0.0.0") else host


def _refuse_second_exporter(provider: Any) -> None:
    """Leave out an exporter that is added for spans which already go to the same machine: each would arrive twice."""
    add = provider.add_span_processor

    def add_span_processor(processor: Any) -> None:
        slot = _slot(processor)
        exporter = getattr(*slot) if slot else None
        if exporter is None or not _is_otlp(exporter):
            return add(processor)
        hosts = {_host(getattr(*own)) for own in _slots}
        if not hosts or (_host(exporter) not in hosts and None not in hosts and _host(exporter) is not None):
            return add(processor)
        caller = sys._getframe(1)
        _log.warning(
            "%s:%d adds a second OTLP exporter to the tracer provider; every span would be sent twice, so it was left out. "
            "Remove that `add_span_processor` call: the environment configures the exporter already",
            caller.f_code.co_filename,
            caller.f_lineno,
        )
        _within(1.0, processor.shutdown)
        return None

    provider.add_span_processor = add_span_processor


# --- ending ---------------------------------------------------------------------------------------------------------


def _within(seconds: float, work: Callable[[], Any]) -> None:
    thread = threading.Thread(target=work, name="signoz-flush", daemon=True)
    try:
        thread.start()
    except RuntimeError:  # the interpreter is ending and starts no more threads; `_at_exit` does the rest
        return
    thread.join(seconds)


def _stop(processor: Any, seconds: float) -> bool:
    """End a batch processor's thread after it has sent everything; tell the exporter to give up when the time is up."""
    inner = getattr(processor, "_batch_processor", None)
    try:
        if inner is not None:
            inner._shutdown = True
            inner._worker_awaken.set()
            thread = inner._worker_thread
        elif hasattr(processor, "worker_thread"):
            processor.done = True
            if processor.condition.acquire(timeout=min(1.0, seconds)):
                processor.condition.notify_all()
                processor.condition.release()
            thread = processor.worker_thread
        else:
            return True
        thread.join(seconds)
        if not thread.is_alive():
            return True
        if inner is not None:
            inner._shutdown_timeout_exceeded = True
        slot = _slot(processor)
        exporter = getattr(*slot) if slot else None
        if exporter is not None:
            exporter._shutdown = True
            for name in ("_shutdown_in_progress", "_shutdown_is_occuring"):
                event = getattr(exporter, name, None)
                if hasattr(event, "set"):
                    event.set()
    except Exception:
        return False
    return False


def _at_exit() -> None:
    """Runs before the SDK's own exit handler, which has no time limit."""
    try:
        if not stop():
            provider = _provider()
            handler = getattr(provider, "_atexit_handler", None)
            if handler is not None:
                atexit.unregister(handler)
                provider._atexit_handler = None
    except Exception:
        pass


def _exit(status: int) -> None:
    """`os._exit` skips every exit handler; forked children (multiprocessing, Celery's pool) leave through it."""
    try:
        _within(FLUSH_SECONDS, stop)
    finally:
        _real_exit(status)


# --- saying ---------------------------------------------------------------------------------------------------------


class _KeyFilter(logging.Filter):
    """The SDK prints a malformed header as it is, key included; gRPC puts headers into its exceptions."""

    def __init__(self, secrets: List[str]) -> None:
        super().__init__()
        self._secrets = secrets

    def _masked(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "••••")
        return text

    def filter(self, record: logging.LogRecord) -> bool:
        try:
            record.msg, record.args = self._masked(record.getMessage()), None
            if record.exc_info and record.exc_info[1] is not None:
                record.exc_text = self._masked(logging.Formatter().formatException(record.exc_info))
                record.exc_info = None
        except Exception:
            return False
        return True


def _hide_keys() -> None:
    secrets = set()
    for name in ("OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS"):
        for header in os.environ.get(name, "").split(","):
            value = header.partition("=")[2] or header
            secrets.update(text.strip().strip("\"'") for text in (value, unquote(value), header))
    hidden = _KeyFilter(sorted((secret for secret in secrets if len(secret) > 3), key=len, reverse=True))
    for logger in (
        "opentelemetry.util.re",
        "opentelemetry.sdk.trace.export",
        "opentelemetry.sdk._shared_internal",
        "opentelemetry.exporter.otlp.proto.grpc.exporter",
        "opentelemetry.exporter.otlp.proto.http.trace_exporter",
        "opentelemetry.instrumentation.auto_instrumentation",
        "opentelemetry.instrumentation.auto_instrumentation._load",
        "opentelemetry.instrumentation.auto_instrumentation.sitecustomize",
    ):
        logging.getLogger(logger).addFilter(hidden)


def _summary(provider: Any) -> str:
    from importlib import metadata

    exporters = ", ".join("%s.%s" % (type(getattr(*slot)).__module__, type(getattr(*slot)).__name__) for slot in _slots)
    text = "tracing is on: opentelemetry-sdk %s, exporter %s, instrumented %s" % (
        metadata.version("opentelemetry-sdk"),
        exporters or "not OTLP",
        ", ".join(sorted(set(_instrumented))) or "nothing",
    )
    return text + "".join("; %s left out: %s" % item for item in sorted(_left_out.items()))


def _debug(text: str) -> None:
    if os.environ.get("SIGNOZ_DEBUG") == "1":
        sys.stderr.write("signoz: pid %d: %s\n" % (os.getpid(), text))
        sys.stderr.flush()
