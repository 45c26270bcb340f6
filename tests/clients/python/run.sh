#!/usr/bin/env bash
# Starts a demo ledger on loopback, lets the Python client work with it, and stops it.
# Needs python3 with grpcio, grpcio-tools and cryptography (PYTHON names another interpreter), and
# the built binary (URBANMINE names another one).
set -euo pipefail
cd "$(dirname "$0")/../../.."

python=${PYTHON:-python3}
urbanmine=${URBANMINE:-target/release/urbanmine}
export URBANMINE_PASSPHRASE='urbanmine demo'
export PYTHONDONTWRITEBYTECODE=1

"$python" tests/clients/python/test_record.py

folder=$(mktemp -d)
demo=
stop() {
    if [ -n "$demo" ]; then
        kill "$demo" 2>/dev/null || true
        wait "$demo" 2>/dev/null || true
    fi
    rm -rf "$folder"
}
trap stop EXIT

"$urbanmine" demo --json --dir "$folder/demo" >"$folder/demo.json" 2>"$folder/demo.log" </dev/null &
demo=$!

# The demo prints one JSON object when everything is recorded and verified, and then stays up.
field() {
    "$python" -c 'import json, sys; print(json.load(open(sys.argv[1]))[sys.argv[2]])' \
        "$folder/demo.json" "$1" 2>/dev/null
}
server=
for _ in $(seq 600); do
    if server=$(field server); then break; fi
    if ! kill -0 "$demo" 2>/dev/null; then
        cat "$folder/demo.log" >&2
        echo "the demo stopped before it served" >&2
        exit 1
    fi
    sleep 0.2
done
[ -n "$server" ] || { echo "the demo does not serve" >&2; exit 1; }

"$python" tests/clients/python/erp_client.py \
    --server "$server" --origin "$(field origin)" --ledger-key "$(field ledger_key)" \
    --key "$(field keys)"/*.pem --receipts "$folder/receipts"

# What the client added is in the ledger that everybody can check.
"$urbanmine" verify --server "$server" --origin "$(field origin)" \
    --ledger-key "$(field ledger_key)"
