"""A server from the standard library that no instrumentation covers; its first argument says how it misbehaves."""

import http.server
import os
import signal
import subprocess
import sys

mode = sys.argv[1] if len(sys.argv) > 1 else "well"

if mode == "dies":
    sys.stderr.write("\x1b[31mcannot connect to redis://shop:canary-4711@db\x07\n")
    sys.exit(3)

if mode == "scatters":
    # A daemon as of old: a session of its own, and a parent that is gone.
    subprocess.Popen(
        [sys.executable, "-c", "import os, time\nos.fork() and os._exit(0)\nos.setsid()\ntime.sleep(600)"],
    ).wait()

if mode == "stubborn":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)

if mode == "silent":
    signal.pause()


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(404 if mode == "missing" else 200)
        self.end_headers()
        self.wfile.write(b"ok")


port = int(sys.argv[2]) if len(sys.argv) > 2 else int(os.environ["PORT"])
http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
