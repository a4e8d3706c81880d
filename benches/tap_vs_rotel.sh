#!/usr/bin/env bash
# Spans per second of the embedded receiver and of rotel, on the same load, in turns; prints the ratio for each protocol.
# The embedded receiver checks, counts and keeps the spans (records are made for who looks at them, here ten times a
# second as a live view does); rotel decodes them and throws them away.
# Usage: benches/tap_vs_rotel.sh [SPANS] [CONNECTIONS] [ROUNDS]; ROTEL may name a rotel-agent; SKIP_BUILD=1 uses the last build.
set -euo pipefail
cd "$(dirname "$0")/.."

spans=${1:-1000000}
connections=${2:-4}
rounds=${3:-5}
work=$(mktemp -d)
children=()
stop() {
  for child in "${children[@]}"; do kill "$child" 2>/dev/null || true; done
  rm -rf "$work"
}
trap stop EXIT

[ -n "${SKIP_BUILD:-}" ] || cargo build --quiet --release --example otlp_load
load=target/release/examples/otlp_load

if [ -z "${ROTEL:-}" ]; then
  environment=target/bench-rotel
  [ -x "$environment/bin/python" ] || python3 -m venv "$environment"
  "$environment/bin/python" -m pip install --quiet --disable-pip-version-check rotel==0.0.1a15
  ROTEL=$(find "$environment" -name rotel-agent -type f | head -n 1)
fi

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
wait_for() { until (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; do sleep 0.1; done; }

mkfifo "$work/hold"
"$load" serve <"$work/hold" >"$work/tap" &
children+=($!)
tap_process=$!
exec 9>"$work/hold"
until [ -s "$work/tap" ]; do sleep 0.1; done
read -r tap_grpc tap_http <"$work/tap"

rotel_grpc=$(free_port)
rotel_http=$(free_port)
"$ROTEL" start --exporter blackhole --otlp-grpc-endpoint "127.0.0.1:$rotel_grpc" --otlp-http-endpoint "127.0.0.1:$rotel_http" >/dev/null 2>&1 &
children+=($!)
rotel_process=$!
wait_for "$rotel_grpc"
wait_for "$rotel_http"

median() { sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }
memory() { awk '/VmHWM/ { printf "%d", $2 / 1024 }' "/proc/$1/status" 2>/dev/null || echo 0; }

for protocol in grpc http; do
  if [ "$protocol" = grpc ]; then
    tap=$tap_grpc rotel=http://127.0.0.1:$rotel_grpc
  else
    tap=$tap_http rotel=http://127.0.0.1:$rotel_http
  fi
  # One round for each that does not count: connections, page cache, allocator.
  "$load" "$protocol" "$tap" $((spans / 10)) "$connections" >/dev/null
  "$load" "$protocol" "$rotel" $((spans / 10)) "$connections" >/dev/null
  : >"$work/tap.$protocol"
  : >"$work/rotel.$protocol"
  for _ in $(seq "$rounds"); do
    "$load" "$protocol" "$tap" "$spans" "$connections" >>"$work/tap.$protocol"
    "$load" "$protocol" "$rotel" "$spans" "$connections" >>"$work/rotel.$protocol"
  done
  ours=$(median <"$work/tap.$protocol")
  theirs=$(median <"$work/rotel.$protocol")
  awk -v p="$protocol" -v a="$ours" -v b="$theirs" \
    'BEGIN { printf "%-5s tap %9d spans/s   rotel %9d spans/s   ratio %.2f\n", p, a, b, a / b }'
done
echo "peak memory: tap $(memory "$tap_process") MiB, rotel $(memory "$rotel_process") MiB"
