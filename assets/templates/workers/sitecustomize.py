# Written by signoz-setup. Python imports a module of this name in every process before the app's own code runs;
# `.signoz/run.sh` puts this folder first on PYTHONPATH, so that spawned workers and reloaders are instrumented too.
# It must never keep the app from starting: whatever fails here is swallowed (`SIGNOZ_DEBUG=1` says what).
"""Starts tracing in this process, then runs the `sitecustomize` that this one hides."""

import importlib.machinery
import importlib.util
import os
import sys

_HERE = os.path.dirname(os.path.abspath(__file__))


def _run_hidden():
    """Run the next `sitecustomize` on the path (Debian's, coverage's): Python itself only runs the first one."""
    folders = [folder for folder in sys.path if os.path.abspath(folder or os.curdir) != _HERE]
    while folders:
        spec = importlib.machinery.PathFinder.find_spec("sitecustomize", folders)
        if spec is None or spec.loader is None or not spec.origin:
            return
        # OpenTelemetry's own one would initialise a second time.
        if os.path.join("opentelemetry", "instrumentation", "auto_instrumentation") in spec.origin:
            found = os.path.dirname(os.path.abspath(spec.origin))
            folders = [folder for folder in folders if os.path.abspath(folder or os.curdir) != found]
            continue
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        # Whoever writes `import sitecustomize; sitecustomize.x` means the hidden one.
        globals().update({name: value for name, value in vars(module).items() if not name.startswith("__")})
        return


try:
    _run_hidden()
except Exception as error:  # noqa: BLE001 - exactly what `site` does with a failing sitecustomize
    sys.stderr.write("Error in sitecustomize; set PYTHONVERBOSE for traceback:\n%s: %s\n" % (type(error).__name__, error))

try:
    import signoz_auto

    signoz_auto.start()
except Exception as error:  # noqa: BLE001 - an app without traces is better than no app
    if os.environ.get("SIGNOZ_DEBUG") == "1":
        sys.stderr.write("signoz: pid %d: tracing is off: %s: %s\n" % (os.getpid(), type(error).__name__, error))
