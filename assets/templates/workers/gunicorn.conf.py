# Written by signoz-setup; `.signoz/run.sh` hands it to gunicorn with `-c`.
# It loads your own configuration (your `-c`, GUNICORN_CMD_ARGS, or `gunicorn.conf.py`), keeps every setting of it,
# and runs your hooks in addition to its own. Change your own file, not this one.
"""Gunicorn's worker hooks for tracing, chained over the app's own configuration."""

import os
import signal
import sys

_HERE = os.path.dirname(os.path.abspath(__file__))
if os.path.join(_HERE, "auto") not in sys.path:
    sys.path.append(os.path.join(_HERE, "auto"))

try:
    import signoz_auto as _auto
except Exception:  # noqa: BLE001 - gunicorn must start all the same
    _auto = None


def _own_configuration():
    """Find the app's configuration as gunicorn would without our `-c`: by its own parser and in its order."""
    from gunicorn.config import Config, get_default_config_file

    configuration = Config()
    parser = configuration.parser()
    words, index = [], 1
    while index < len(sys.argv):
        # Ours is told by its path, wherever it stands; theirs may be spelled in any way that argparse takes.
        following = sys.argv[index + 1] if index + 1 < len(sys.argv) else ""
        if sys.argv[index] in ("-c", "--config") and _is_ours(following):
            index += 2
            continue
        words.append(sys.argv[index])
        index += 1
    for arguments in (words, configuration.get_cmd_args_from_env()):
        location = parser.parse_known_args(arguments)[0].config
        if location and not _is_ours(location):
            return location
    return get_default_config_file()


def _is_ours(location):
    path = location[len("file:") :] if location.startswith("file:") else location
    return bool(path) and os.path.exists(path) and os.path.samefile(path, __file__)


def _load(location):
    """Load it through gunicorn, so that a mistake in it is reported in gunicorn's own words."""
    from gunicorn.app.base import Application

    loader = Application.__new__(Application)
    if location.startswith("python:"):
        return dict(loader.get_config_from_module_name(location[len("python:") :]))
    return dict(loader.get_config_from_filename(location[len("file:") :] if location.startswith("file:") else location))


_location = _own_configuration()
_own = _load(_location) if _location else {}
globals().update({_name: _value for _name, _value in _own.items() if not _name.startswith("_")})


def _guarded(work, *arguments):
    try:
        work(*arguments)
    except Exception:  # noqa: BLE001 - tracing must not take a worker down
        pass


def _fresh_exporter(server, worker):
    provider = _auto._provider()
    if not _auto._processors(provider):
        server.log.warning("signoz: worker %s is not traced: OpenTelemetry was not initialised", worker.pid)
        return
    # Under plain `opentelemetry-instrument` the loader did not run, so nobody has taken care of the provider yet.
    if not _auto._slots:
        _auto.adopt(provider)
        _auto._fresh_in = None
    _auto.refresh()


def _arm(worker):
    # A UvicornWorker gives up gunicorn's signal handlers and ends by the default action: no exit handler runs.
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
        _auto.flush_on(number)


def post_fork(server, worker):
    """The worker gets exporters of its own before the app's hook runs."""
    if _auto:
        _guarded(_fresh_exporter, server, worker)
    if _own.get("post_fork"):
        _own["post_fork"](server, worker)


def post_worker_init(worker):
    """The last spans are sent when the worker is told to end."""
    if _auto:
        _guarded(_arm, worker)
    if _own.get("post_worker_init"):
        _own["post_worker_init"](worker)


def worker_exit(server, worker):
    """The last spans are sent when the worker ends by itself; the app's hook first, since it may make some."""
    try:
        if _own.get("worker_exit"):
            _own["worker_exit"](server, worker)
    finally:
        if _auto:
            _guarded(_auto.flush)
