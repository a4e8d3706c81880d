#!/usr/bin/env python3
"""Times the wizard's first frame, a key's echo, and what it costs to leave it open.

    python3 benches/first_frame.py [--runs 21] [--binary target/release/signoz-setup]

Starts the program on a pseudo-terminal of 100x30 in a sample project and prints, as medians with minimum and maximum:
  first frame   from starting the process to the first drawn text (a person waits for this)
  key           from pressing `?` to the help on the screen, while the project is looked at and the resolver is at work
  idle          processor time used in the seconds after everything has come to rest, of one core, as the kernel counts it
Beside it stands the start of `python3 -c pass` in the same run, as a measure of the machine.
"""

import argparse
import fcntl
import os
import pty
import select
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import time
from pathlib import Path


class Terminal:
    """The program on a pseudo-terminal."""

    def __init__(self, binary, project, state):
        self.started = time.perf_counter()
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(project)
            environment = {**os.environ, "TERM": "xterm-256color", "LANG": "C.UTF-8", "XDG_STATE_HOME": state}
            os.execve(binary, [str(binary)], environment)
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
        self.seen = b""

    def wait_for(self, text, limit=10.0):
        """Seconds until this text has come, counted from now."""
        began = time.perf_counter()
        while text not in self.seen:
            left = limit - (time.perf_counter() - began)
            if left <= 0 or not select.select([self.fd], [], [], left)[0]:
                sys.exit(f"{text!r} did not come: {self.seen[-2000:]!r}")
            self.seen += os.read(self.fd, 65536)
        return time.perf_counter() - began

    def drain(self, seconds):
        """Reads for a while, so that the program never waits for the terminal."""
        end = time.perf_counter() + seconds
        while (left := end - time.perf_counter()) > 0:
            if select.select([self.fd], [], [], left)[0]:
                os.read(self.fd, 65536)

    def press(self, keys):
        self.seen = b""
        os.write(self.fd, keys)

    def cpu(self):
        """Processor seconds of the process so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def end(self):
        os.write(self.fd, b"\x03")
        try:
            while os.read(self.fd, 65536):
                pass
        except OSError:
            pass
        _, status = os.waitpid(self.pid, 0)
        os.close(self.fd)
        code = os.waitstatus_to_exitcode(status)
        if code != 130:
            sys.exit(f"it ended with {code}, not 130")


def row(name, seconds, unit=1000.0, word="ms"):
    values = [value * unit for value in seconds]
    print(f"| {name} | {statistics.median(values):.1f} {word} | {min(values):.1f} – {max(values):.1f} {word} |")


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--runs", type=int, default=21)
    options.add_argument("--idle", type=float, default=10.0, help="seconds of rest that are measured")
    options.add_argument("--binary", type=Path, default=Path("target/release/signoz-setup"))
    options = options.parse_args()
    binary = options.binary.resolve()
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    with tempfile.TemporaryDirectory(prefix="signoz-setup-bench-") as folder:
        project = Path(folder) / "shop"
        project.mkdir()
        (project / "app.py").write_text("from flask import Flask\napp = Flask(__name__)\n")
        (project / "Procfile").write_text("web: gunicorn app:app --workers 4\n")
        subprocess.run([sys.executable, "-m", "venv", project / ".venv"], check=True)
        state = str(Path(folder) / "state")
        frames, keys, python = [], [], []
        for _ in range(options.runs):
            began = time.perf_counter()
            subprocess.run([sys.executable, "-c", "pass"], check=True)
            python.append(time.perf_counter() - began)
            terminal = Terminal(binary, project, state)
            terminal.wait_for(b"signoz-setup")
            frames.append(time.perf_counter() - terminal.started)
            terminal.press(b"?")
            keys.append(terminal.wait_for(b"moment"))
            terminal.press(b"x")
            terminal.end()
        terminal = Terminal(binary, project, state)
        terminal.wait_for(b"signoz-setup")
        # The looks at the project and the resolver come to rest.
        terminal.drain(15)
        before = terminal.cpu()
        terminal.drain(options.idle)
        used = terminal.cpu() - before
        terminal.end()
        print("| wizard | median | min – max |\n|---|---|---|")
        row("`python3 -c pass`, for comparison", python)
        row("first frame", frames)
        row("key to screen", keys)
        print(f"| idle, of one core in {options.idle:.0f} s | {used / options.idle * 100:.2f} % | |")


if __name__ == "__main__":
    main()
