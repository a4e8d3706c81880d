"""Prints, as JSON, what the installed OpenTelemetry packages declare: read by `tests/install_coverage.rs`."""

import json
from importlib import metadata

from opentelemetry.instrumentation import bootstrap_gen

libraries = bootstrap_gen.libraries
rows = list(libraries.values()) if isinstance(libraries, dict) else libraries
bootstrap = {}
for row in rows:
    bootstrap.setdefault(row["instrumentation"], []).append(row["library"])

installed = {}
for found in metadata.distributions():
    name = found.metadata["Name"]
    if name.startswith("opentelemetry-instrumentation-"):
        installed[name] = {
            "version": found.version,
            "entry_points": sorted(point.name for point in found.entry_points if point.group == "opentelemetry_instrumentor"),
            "requires": found.requires or [],
        }

print(json.dumps({"bootstrap": bootstrap, "default": bootstrap_gen.default_instrumentations, "installed": installed}))
