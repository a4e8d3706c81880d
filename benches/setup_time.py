#!/usr/bin/env python3
"""Times set-up beside what the SigNoz docs tell people to type, side by side, and prints ratios.

    python3 benches/setup_time.py [--rounds 5] [--binary target/release/signoz-setup]

Each round makes fresh virtual environments of the same app and times, one after the other:
  docs      pip install (twice) and opentelemetry-bootstrap --action=install
  pip       signoz-setup --yes in an environment with pip: preflight, install, files and verification included
  uv        the same in an environment made by `uv venv`
A round is thrown away as a warm-up, so that every package comes from a cache. Medians are printed, and their ratios.
Cold start: `--version` and `--dry-run` on an app that is set up already, beside `opentelemetry-bootstrap -a requirements`.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

APP = ["flask==2.3.3", "requests", "sqlalchemy==2.0.36", "redis", "gunicorn"]
DOCS = ["opentelemetry-distro==0.38b0", "opentelemetry-exporter-otlp==1.17.0"]
SOURCE = "from flask import Flask\napp = Flask(__name__)\n"


def timed(argv, **options):
    start = time.perf_counter()
    done = subprocess.run([str(word) for word in argv], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)
    seconds = time.perf_counter() - start
    if done.returncode != 0:
        sys.exit(f"{argv} ended with {done.returncode}\n{done.stdout}\n{done.stderr}")
    return seconds, done.stdout


def project(folder, name, uv):
    root = folder / name
    root.mkdir()
    (root / "app.py").write_text(SOURCE)
    (root / "Procfile").write_text("web: gunicorn app:app --workers 4\n")
    (root / "requirements.txt").write_text("\n".join(APP) + "\n")
    python = root / ".venv/bin/python"
    if name == "uv":
        timed([uv, "venv", "--quiet", "--python", sys.executable, root / ".venv"])
    else:
        timed([sys.executable, "-m", "venv", root / ".venv"])
    timed([uv, "pip", "install", "--quiet", "--python", python, *APP])
    return root


def docs(root, environment):
    python = root / ".venv/bin/python"
    seconds = 0.0
    for package in DOCS:
        seconds += timed([python, "-m", "pip", "install", package], env=environment)[0]
    return seconds + timed([root / ".venv/bin/opentelemetry-bootstrap", "--action=install"], env=environment)[0]


def ours(binary, root, environment):
    seconds, text = timed([binary, "--yes", "--json", "--endpoint", "http://127.0.0.1:4317", root], env=environment)
    report = json.loads(text)
    passed = [level["level"] for level in report["verification"]["levels"] if level["outcome"] == "pass"]
    if passed != ["endpoint", "python"]:
        sys.exit(f"not verified: {report['verification']}")
    install = next(step for step in report["plan"]["steps"] if step["kind"] == "install_packages")
    return seconds, install["duration_ms"] / 1000


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--binary", type=Path, default=Path("target/release/signoz-setup"))
    options = options.parse_args()
    binary = options.binary.resolve()
    uv = shutil.which("uv") or sys.exit("uv is not on PATH: `pip install uv`")

    with tempfile.TemporaryDirectory(prefix="signoz-setup-bench-") as folder:
        folder = Path(folder)
        plain = {**os.environ, "XDG_STATE_HOME": str(folder / "state")}
        # The person of the pip column has no uv.
        without_uv = {**plain, "PATH": os.pathsep.join(p for p in plain["PATH"].split(os.pathsep) if not (Path(p) / "uv").exists())}
        tap = subprocess.Popen([binary, "--tap"], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
        try:
            if "receiving OTLP" not in tap.stderr.readline():
                sys.exit("the receiver did not start; are the ports 4317 and 4318 free?")
            measure(binary, uv, folder, plain, without_uv, options.rounds)
        finally:
            tap.terminate()
            tap.wait()


def measure(binary, uv, folder, plain, without_uv, rounds):
    times = {"docs": [], "pip": [], "uv": [], "uv, install step": []}
    for number in range(rounds + 1):
        round_folder = folder / f"round-{number}"
        round_folder.mkdir()
        row = {"docs": docs(project(round_folder, "docs", uv), plain)}
        row["pip"] = ours(binary, project(round_folder, "pip", uv), without_uv)[0]
        row["uv"], row["uv, install step"] = ours(binary, project(round_folder, "uv", uv), plain)
        if number:
            for name, seconds in row.items():
                times[name].append(seconds)
        print(("warm-up  " if not number else f"round {number}  ") + "  ".join(f"{n} {s:.2f} s" for n, s in row.items()), file=sys.stderr)
    baseline = statistics.median(times["docs"])
    print("| set-up | median | min – max | of the docs' commands |\n|---|---|---|---|")
    for name, seconds in times.items():
        middle = statistics.median(seconds)
        print(f"| {name} | {middle:.2f} s | {min(seconds):.2f} – {max(seconds):.2f} s | {middle / baseline:.3f} |")

    ready = folder / "round-1/pip"
    bootstrap = folder / "round-1/docs/.venv/bin/opentelemetry-bootstrap"
    starts = {
        "opentelemetry-bootstrap -a requirements": [bootstrap, "-a", "requirements"],
        "signoz-setup --dry-run": [binary, "--dry-run", "--endpoint", "http://127.0.0.1:4317", ready],
        "signoz-setup --version": [binary, "--version"],
    }
    print("\n| cold start | median of 11 | of bootstrap |\n|---|---|---|")
    medians = {}
    for name, argv in starts.items():
        medians[name] = statistics.median(timed(argv, env=plain)[0] for _ in range(11))
        print(f"| {name} | {medians[name] * 1000:.1f} ms | {medians[name] / medians['opentelemetry-bootstrap -a requirements']:.4f} |")


if __name__ == "__main__":
    main()
