#!/usr/bin/env python3
"""Writes the coverage data from the packages' own metadata: run it after a change of `assets/packages.toml`.

    python3 assets/instrumentation/generate.py [SET...]

Needs Python 3.11 or newer, pip and PyPI. For each set it downloads `opentelemetry-instrumentation`, reads from its
`bootstrap_gen.py` which instrumentations exist, downloads those wheels, and writes for each what it declares about
itself: entry points, and the ranges in its extras `instruments` (all must hold) and `instruments-any` (one is enough).
"""

import ast
import configparser
import email
import json
import re
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
REQUIREMENT = re.compile(r"^\s*([A-Za-z0-9._-]+)\s*(?:\[[^]]*])?\s*\(?([^;)]*)\)?\s*(?:;(.*))?$")


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name.strip()).lower()


def download(requirements: list[str], python: str, folder: Path) -> list[Path]:
    subprocess.run(
        [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--python-version", python]
        + ["--dest", str(folder)]
        + requirements,
        check=True,
    )
    return sorted(folder.glob("*.whl"))


def together(distro: str, requirements: list[str], python: str, folder: str) -> list[str]:
    """Exact versions for requirements without one, such that all of them can be installed beside the distro."""
    done = subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed", "--report", "-", "--target", folder]
        + ["--only-binary=:all:", "--python-version", python, f"opentelemetry-distro=={distro}"]
        + requirements,
        check=True,
        stdout=subprocess.PIPE,
    )
    wanted = {requirement(text)[0] for text in requirements}
    found = {normal(row["metadata"]["name"]): row["metadata"]["version"] for row in json.loads(done.stdout)["install"]}
    return [f"{name}=={found[name]}" for name in sorted(wanted)]


def member(wheel: Path, ending: str) -> str:
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if name.endswith(ending):
                return archive.read(name).decode()
    return ""


def bootstrap(wheel: Path) -> tuple[dict[str, list[str]], list[str]]:
    """Which instrumentation `opentelemetry-bootstrap` picks for which library, and those that it always picks."""
    libraries, default = [], []
    for node in ast.parse(member(wheel, "instrumentation/bootstrap_gen.py")).body:
        target = getattr(node, "target", None) or (getattr(node, "targets", None) or [None])[0]
        if getattr(target, "id", "") == "libraries":
            libraries = ast.literal_eval(node.value)
        elif getattr(target, "id", "") == "default_instrumentations":
            default = ast.literal_eval(node.value)
    if isinstance(libraries, dict):
        libraries = list(libraries.values())
    chosen: dict[str, list[str]] = {}
    for row in libraries:
        chosen.setdefault(row["instrumentation"], []).append(row["library"])
    return chosen, default


def requirement(text: str) -> tuple[str, str, str]:
    match = REQUIREMENT.match(text)
    if not match:
        raise ValueError(f"not a requirement: {text}")
    name, specifier, marker = match.groups()
    parts = [re.sub(r"\s+", "", part) for part in (specifier or "").split(",") if part.strip()]
    # Versions ascending, as a person reads a range.
    order = {">": 0, "=": 1, "~": 1, "<": 2, "!": 3}
    return normal(name), ",".join(sorted(parts, key=lambda part: order[part[0]])), marker or ""


def declared(wheel: Path, picked: list[str], default: bool) -> dict:
    metadata = email.message_from_string(member(wheel, ".dist-info/METADATA"))
    extras: dict[str, list[dict[str, str]]] = {"instruments": [], "instruments-any": []}
    for line in metadata.get_all("Requires-Dist") or []:
        library, supported, marker = requirement(line)
        extra = re.search(r"extra\s*==\s*['\"]([^'\"]+)['\"]", marker)
        if extra and extra.group(1) in extras:
            extras[extra.group(1)].append({"library": library, "range": supported})
    points = configparser.ConfigParser(delimiters=("=",))
    points.optionxform = str
    points.read_string(member(wheel, ".dist-info/entry_points.txt") or "")
    names = list(points["opentelemetry_instrumentor"]) if points.has_section("opentelemetry_instrumentor") else []
    return {
        "instrumentation": normal(metadata["Name"]),
        "version": metadata["Version"],
        "entry_points": names,
        "default": default,
        "bootstrap": [{"library": library, "range": supported} for library, supported, _ in map(requirement, picked)],
        "instruments": extras["instruments"],
        "instruments_any": extras["instruments-any"],
    }


def main(wanted: list[str]) -> None:
    for name, release in tomllib.loads((HERE.parent / "packages.toml").read_text()).items():
        if not isinstance(release, dict) or "distro" not in release or (wanted and name not in wanted):
            continue
        python = re.search(r">=(\d+\.\d+)", release["python"]).group(1)
        with tempfile.TemporaryDirectory() as folder:
            base = download([f"opentelemetry-instrumentation=={release['distro']}"], python, Path(folder))[0]
            chosen, default = bootstrap(base)
            everything = sorted(set(chosen) | set(default))
            # A few follow another rhythm than the distro and are named without a version: openai-v2, vertexai.
            loose = [pin for pin in everything if "==" not in pin]
            exact = [pin for pin in everything if "==" in pin]
            exact += together(release["distro"], loose, python, folder) if loose else []
            with tempfile.TemporaryDirectory() as second:
                wheels = download(exact, python, Path(second))
                by_name = {requirement(pin)[0]: libraries for pin, libraries in chosen.items()}
                always = {requirement(pin)[0] for pin in default}
                names = [normal(wheel.name.partition("-")[0]) for wheel in wheels]
                rows = [declared(wheel, by_name.get(name, []), name in always) for wheel, name in zip(wheels, names)]
        file = {"distro": release["distro"], "exporter": release["exporter"], "instrumentations": rows}
        (HERE / f"{name}.json").write_text(json.dumps(file, indent=1) + "\n")
        print(f"{name}: {len(rows)} instrumentations of {release['distro']}")


if __name__ == "__main__":
    main(sys.argv[1:])
