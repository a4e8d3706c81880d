#!/bin/sh
# Times detection on a tree of 100,000 files beside `rg --files` on the same tree, and prints the ratios.
# Needs: cargo, hyperfine, rg, python3. Writes only below a temporary folder, which it removes.
set -eu

files=${FILES:-100000}
here=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
tree=$(mktemp -d "${TMPDIR:-/tmp}/detect-tree.XXXXXX")
trap 'rm -rf "$tree"' EXIT INT TERM

echo "making $files files" >&2
python3 - "$tree" "$files" <<'PYTHON'
import os, sys

root, count = sys.argv[1], int(sys.argv[2])
kinds = [("module_%d.py", "import os\n\n\ndef work():\n    return os.getpid()\n" * 20), ("data_%d.json", "{}\n"), ("page_%d.html", "<p>\n"),
         ("style_%d.css", "a {}\n"), ("notes_%d.md", "# x\n")]
made = 0
package = 0
while made < count:
    folder = os.path.join(root, "src", "area_%d" % (package % 40), "package_%d" % package)
    os.makedirs(folder)
    for index in range(100):
        name, content = kinds[index % len(kinds)]
        with open(os.path.join(folder, name % index), "w") as file:
            file.write(content)
    made += 100
    package += 1
with open(os.path.join(root, "Procfile"), "w") as file:
    file.write("web: gunicorn app:app --workers 4\n")
with open(os.path.join(root, "requirements.txt"), "w") as file:
    file.write("flask\ngunicorn\n")
with open(os.path.join(root, "app.py"), "w") as file:
    file.write("from flask import Flask\napp = Flask(__name__)\n")
PYTHON

cd "$here"
cargo build --quiet --release --example detect
program=${CARGO_TARGET_DIR:-$here/target}/release/examples/detect
"$program" "$tree" | grep -q '"Procfile:1"' || { echo "detection did not find the Procfile" >&2; exit 1; }

result=$tree.json
hyperfine --warmup 2 --runs "${RUNS:-10}" --shell=none --export-json "$result" \
    --command-name detect "$program $tree" \
    --command-name 'rg --files' "rg --files $tree" >&2
python3 - "$result" <<'PYTHON'
import json, sys

results = {row["command"]: row for row in json.load(open(sys.argv[1]))["results"]}
base = results["rg --files"]["median"]
for name, row in results.items():
    print("%-12s median %6.1f ms  min %6.1f ms  ratio %.2f" % (name, row["median"] * 1e3, row["min"] * 1e3, row["median"] / base))
PYTHON
rm -f "$result"
