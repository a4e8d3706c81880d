"""The loader: every Python process starts instrumented, ends with its spans sent, and never fails because of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from conftest import KEY, App, Sink, dead_port, get

SPAN = "from opentelemetry import trace; trace.get_tracer('t').start_span('%s').end()\n"


def names(sink: Sink) -> list:
    return sorted(span.name for span in sink.spans)


def test_a_process_is_traced_and_says_so_when_asked(app: App, sink: Sink) -> None:
    code, _, err = app.run(SPAN % "one")
    assert code == 0
    assert names(sink) == ["one"], err
    assert sink.spans[0].service == "shop" and sink.keys == [KEY]
    assert err.count("tracing is on: opentelemetry-sdk") == 1 and "flask" in err, err
    assert KEY not in err


def test_without_the_debug_variable_it_is_silent(plain_app: App) -> None:
    assert plain_app.run("pass", SIGNOZ_DEBUG="-") == (0, "", "")


def test_spawned_processes_are_traced_too(app: App, sink: Sink) -> None:
    app.run("import subprocess, sys; subprocess.run([sys.executable, '-c', %r])" % (SPAN % "grandchild"))
    assert names(sink) == ["grandchild"]


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocessing_children_send_what_they_made(app: App, sink: Sink, method: str) -> None:
    app.write(
        "main.py",
        "import multiprocessing\n"
        "def work(n):\n    from opentelemetry import trace\n    trace.get_tracer('t').start_span('work').end()\n"
        "if __name__ == '__main__':\n"
        "    pool = [multiprocessing.get_context(%r).Process(target=work, args=(n,)) for n in range(3)]\n"
        "    [p.start() for p in pool]; [p.join() for p in pool]\n" % method,
    )
    process = app.python("main.py")
    _, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert names(sink) == ["work"] * 3
    assert len({span.id for span in sink.spans}) == 3


def test_a_fork_that_leaves_by_os_exit_sends_its_spans_and_the_parent_its_own(app: App, sink: Sink) -> None:
    app.run(
        (SPAN % "before")
        + "import os\npid = os.fork()\nif pid == 0:\n    "
        + (SPAN % "child").replace("\n", "")
        + "; os._exit(0)\nos.waitpid(pid, 0)\n"
        + (SPAN % "parent")
    )
    assert names(sink) == ["before", "child", "parent"]


def test_sigterm_flushes_and_still_ends_the_process_by_the_signal(app: App, sink: Sink) -> None:
    process = app.python("-u", "-c", (SPAN % "last") + "import signal; print('up'); signal.pause()")
    assert process.stdout and process.stdout.readline() == "up\n"
    process.terminate()
    assert process.wait(timeout=30) == -signal.SIGTERM
    assert names(sink) == ["last"]


def test_the_apps_own_sigterm_handler_is_left_alone(plain_app: App, sink: Sink) -> None:
    process = plain_app.python(
        "-u",
        "-c",
        "import signal, sys\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit(7))\n" + (SPAN % "own") + "print('up'); signal.pause()",
    )
    assert process.stdout and process.stdout.readline() == "up\n"
    process.terminate()
    assert process.wait(timeout=30) == 7
    assert names(sink) == ["own"]


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
@pytest.mark.parametrize("end", ["pass", "import os; os._exit(0)", "import os, signal; os.kill(os.getpid(), signal.SIGTERM)"])
def test_a_dead_endpoint_does_not_keep_the_process(plain_app: App, protocol: str, end: str) -> None:
    dead = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:%d" % dead_port(), "OTEL_EXPORTER_OTLP_PROTOCOL": protocol}
    process = plain_app.python("-u", "-c", (SPAN % "lost") + "print('up')\n" + end, **dead)
    assert process.stdout and process.stdout.readline() == "up\n"
    started = time.monotonic()
    process.communicate(timeout=60)
    # The loader allows 4 s, and some more for a busy machine. Without it the SDK takes up to 63 s.
    assert time.monotonic() - started < 9


def test_a_black_hole_does_not_keep_the_process(plain_app: App) -> None:
    import socket

    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(8)
        process = plain_app.python(
            "-u", "-c", (SPAN % "lost") + "print('up')", OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:%d" % silent.getsockname()[1]
        )
        assert process.stdout and process.stdout.readline() == "up\n"
        started = time.monotonic()
        process.communicate(timeout=60)
        assert time.monotonic() - started < 9


def test_the_sitecustomize_that_ours_hides_still_runs(plain_app: App, sink: Sink) -> None:
    plain_app.write("other/sitecustomize.py", "import sys; sys.stderr.write('other ran\\n'); marker = 42")
    variables = {"PYTHONPATH": plain_app.auto + os.pathsep + str(plain_app.folder / "other")}
    code, out, err = plain_app.run("import sitecustomize; print(sitecustomize.marker)\n" + (SPAN % "x"), **variables)
    assert (code, out) == (0, "42\n"), err
    assert err.count("other ran") == 1 and names(sink) == ["x"]


def test_a_hidden_sitecustomize_that_fails_keeps_nobody_from_starting(plain_app: App, sink: Sink) -> None:
    plain_app.write("other/sitecustomize.py", "raise ValueError('theirs')")
    variables = {"PYTHONPATH": plain_app.auto + os.pathsep + str(plain_app.folder / "other")}
    code, _, err = plain_app.run(SPAN % "x", **variables)
    assert code == 0 and "ValueError: theirs" in err and names(sink) == ["x"]


def test_children_get_the_same_python_path(plain_app: App) -> None:
    path = plain_app.auto + os.pathsep + "/some/where"
    code, out, _ = plain_app.run("import os; print(os.environ['PYTHONPATH'])", PYTHONPATH=path)
    assert (code, out.strip()) == (0, path)


def test_it_does_not_initialise_twice_behind_opentelemetry_instrument(plain_app: App, sink: Sink) -> None:
    wrapper = os.path.join(os.path.dirname(sys.executable), "opentelemetry-instrument")
    process = plain_app.start(wrapper, sys.executable, "-c", SPAN % "x")
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0 and "Overriding" not in err, err
    assert names(sink) == ["x"]
    process = plain_app.start("sh", "-c", 'PYTHONPATH="$0:$PYTHONPATH" exec "$@"', plain_app.auto, wrapper, sys.executable, "-c", SPAN % "y")
    _, err = process.communicate(timeout=60)
    assert names(sink) == ["x", "y"] and "Overriding" not in err, err


@pytest.mark.parametrize("words", [["-m", "pip", "--version"], ["-m", "venv", "--help"]])
def test_tools_are_not_traced(plain_app: App, words: list) -> None:
    _, err = plain_app.python(*words).communicate(timeout=60)
    assert "tracing is off: this is" in err, err


def test_it_can_be_switched_off(plain_app: App, sink: Sink) -> None:
    for variable in ({"SIGNOZ_AUTO": "off"}, {"OTEL_SDK_DISABLED": "true"}):
        code, _, err = plain_app.run(SPAN % "x", **variable)
        assert code == 0 and "tracing is off: " + next(iter(variable)) in err
    assert sink.spans == []


@pytest.mark.parametrize(
    "variables",
    [
        {"OTEL_EXPORTER_OTLP_PROTOCOL": "http"},
        {"OTEL_TRACES_EXPORTER": "nonsense"},
        {"OTEL_BSP_MAX_QUEUE_SIZE": "-1"},
        {"OTEL_TRACES_EXPORTER": "none"},
    ],
)
def test_a_wrong_setting_never_keeps_the_app_from_starting(plain_app: App, variables: dict) -> None:
    code, out, err = plain_app.run("print('app')", **variables)
    assert (code, out) == (0, "app\n")
    assert "tracing is o" in err


def test_the_app_starts_without_opentelemetry(plain_app: App) -> None:
    # -S leaves site-packages out, and with them OpenTelemetry; the loader is then imported by hand.
    code = "import sys; sys.path.insert(0, %r); import sitecustomize; print('app')" % plain_app.auto
    process = plain_app.python("-S", "-c", code)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (0, "app\n")
    assert "tracing is off: ModuleNotFoundError" in err
    process = plain_app.python("-S", "-c", code, SIGNOZ_DEBUG="-")
    assert process.communicate(timeout=60) == ("app\n", "")


def test_an_instrumentation_that_raises_takes_no_other_with_it(plain_app: App, sink: Sink) -> None:
    # An entry point that comes first and raises what no release of the distro survives.
    plain_app.write("broken/aaa_broken.py", "class Broken:\n    def instrument(self, **_):\n        raise ValueError('broken on purpose')\n")
    info = "broken/aaa_broken-1.0.dist-info/"
    plain_app.write(info + "METADATA", "Metadata-Version: 2.1\nName: aaa-broken\nVersion: 1.0\n")
    plain_app.write(info + "entry_points.txt", "[opentelemetry_instrumentor]\naaa_broken = aaa_broken:Broken\n")
    variables = {"PYTHONPATH": plain_app.auto + os.pathsep + str(plain_app.folder / "broken")}
    code, _, err = plain_app.run(SPAN % "x", **variables)
    assert code == 0 and names(sink) == ["x"]
    assert "aaa_broken left out: ValueError: broken on purpose" in err, err
    assert "Traceback" not in err and "flask" in err.partition("instrumented")[2].partition(";")[0], err


@pytest.mark.parametrize("header", ["signoz-ingestion-key: secret-word-1", "secret-word-1;x", 'signoz-ingestion-key="sécret-word-1"'])
@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_a_malformed_header_is_not_printed(plain_app: App, header: str, protocol: str) -> None:
    variables = {"OTEL_EXPORTER_OTLP_HEADERS": header, "OTEL_EXPORTER_OTLP_PROTOCOL": protocol, "SIGNOZ_DEBUG": "-"}
    code, out, err = plain_app.run(SPAN % "x", **variables)
    assert code == 0 and "word-1" not in out + err, err


def test_flask_serves_and_is_traced(app: App, sink: Sink) -> None:
    port = dead_port()
    app.write("app.py", "from flask import Flask\napp = Flask(__name__)\n@app.route('/hello')\ndef hello():\n    return 'hi'\n")
    process = app.python("-m", "flask", "run", "-p", str(port))
    assert get(port, "/hello") == "hi"
    process.terminate()
    process.communicate(timeout=30)
    assert [span.name for span in sink.spans if span.is_server] in (["/hello"], ["GET /hello"])


def test_django_without_its_settings_is_left_alone(plain_app: App) -> None:
    plain_app.write("fake/fake_django.py", "class Django:\n    def instrument(self, **_):\n        raise SystemExit('touched')\n")
    info = "fake/fake_django-1.0.dist-info/"
    plain_app.write(info + "METADATA", "Metadata-Version: 2.1\nName: fake-django\nVersion: 1.0\n")
    plain_app.write(info + "entry_points.txt", "[opentelemetry_instrumentor]\ndjango = fake_django:Django\n")
    path = {"PYTHONPATH": plain_app.auto + os.pathsep + str(plain_app.folder / "fake")}
    assert "django left out: DJANGO_SETTINGS_MODULE is not set" in plain_app.run("pass", **path)[2]
    broken = plain_app.run("pass", DJANGO_SETTINGS_MODULE="shop.settings", **path)[2]
    assert "django left out: the settings module shop.settings cannot be imported" in broken
    # The app's folder is importable for as long as the settings are looked at, and not a moment longer.
    plain_app.write("shop/settings.py", "")
    code, out, err = plain_app.run("import sys, os; print(os.getcwd() in sys.path)", DJANGO_SETTINGS_MODULE="shop.settings", **path)
    assert "django left out: SystemExit: touched" in err and (code, out) == (0, "False\n")


def test_a_second_exporter_to_the_same_place_is_left_out(app: App, sink: Sink) -> None:
    kind = "grpc" if app.environment["OTEL_EXPORTER_OTLP_PROTOCOL"] == "grpc" else "http"
    code, _, err = app.run(
        "from opentelemetry import trace\n"
        "from opentelemetry.exporter.otlp.proto.%s.trace_exporter import OTLPSpanExporter\n"
        "from opentelemetry.sdk.trace.export import BatchSpanProcessor\n"
        "trace.get_tracer_provider().add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))\n" % kind + SPAN % "once"
    )
    assert code == 0 and names(sink) == ["once"]
    assert "<string>:4 adds a second OTLP exporter" in err, err


def test_an_exporter_to_another_place_is_kept(plain_app: App, sink: Sink) -> None:
    other = Sink()
    try:
        code, _, err = plain_app.run(
            "import os, socket\n"
            "from opentelemetry import trace\n"
            "from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter\n"
            "from opentelemetry.sdk.trace.export import BatchSpanProcessor\n"
            "exporter = OTLPSpanExporter(endpoint='http://%s:%d/v1/traces')\n"
            "trace.get_tracer_provider().add_span_processor(BatchSpanProcessor(exporter))\n" % ("127.0.0.2", other.http_port) + SPAN % "both"
        )
        assert code == 0 and "second OTLP exporter" not in err
        assert names(sink) == ["both"]
    finally:
        other.stop()


def test_starting_costs_no_second_interpreter(plain_app: App) -> None:
    # A library that starts Python when it is imported would otherwise start Python without end.
    plain_app.write("deep/aaa_deep.py", "import subprocess, sys\nsubprocess.run([sys.executable, '-c', 'pass'])\nclass Deep:\n    def instrument(self, **_): pass\n")
    info = "deep/aaa_deep-1.0.dist-info/"
    plain_app.write(info + "METADATA", "Metadata-Version: 2.1\nName: aaa-deep\nVersion: 1.0\n")
    plain_app.write(info + "entry_points.txt", "[opentelemetry_instrumentor]\naaa_deep = aaa_deep:Deep\n")
    path = {"PYTHONPATH": plain_app.auto + os.pathsep + str(plain_app.folder / "deep")}
    code, _, err = plain_app.run("pass", **path)
    assert code == 0 and err.count("signoz: pid") == 1, err


def test_the_files_compile_without_warnings() -> None:
    from conftest import TEMPLATES

    files = sorted(str(path) for path in TEMPLATES.rglob("*.py"))
    assert len(files) >= 4
    for file in files:
        with open(file) as source:
            compile(source.read(), file, "exec")
    done = subprocess.run([sys.executable, "-W", "error", "-c", "import ast,sys\nfor f in sys.argv[1:]: ast.parse(open(f).read())"] + files)
    assert done.returncode == 0
