#!/usr/bin/env bash
# The second verifier against its own tests, and then against ours: the demo's ledger is exported,
# and both verify the export, its receipts and hundreds of tampered copies of it.
#
#     URBANMINE=path tests/foreign/run.sh [seed]
#
# Needs python3 with what tests/foreign/requirements.txt names (PYTHON names another interpreter)
# and the built binary. The seed is printed; the same seed makes the same copies.
set -euo pipefail
cd "$(dirname "$0")/../.."

seed=${1:-${SEED:-1}}
python=${PYTHON:-python3}
urbanmine=${URBANMINE:-target/release/urbanmine}
export URBANMINE_PASSPHRASE='urbanmine demo'
export PYTHONDONTWRITEBYTECODE=1

"$python" -m unittest discover --start-directory tests/foreign --top-level-directory tests/foreign

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$urbanmine" demo --exit --json --dir "$folder/demo" >"$folder/demo.json" </dev/null
field() {
    "$python" -c 'import json, sys; print(json.load(open(sys.argv[1]))[sys.argv[2]])' \
        "$folder/demo.json" "$1"
}
pins=(--origin "$(field origin)" --ledger-key "$(field ledger_key)")

"$urbanmine" export --data "$folder/demo/data" --to "$folder/export" >/dev/null
"$python" tests/foreign/verify.py --export "$folder/export" "${pins[@]}"
"$urbanmine" verify --export "$folder/export" "${pins[@]}" >/dev/null
"$python" tests/foreign/agree.py --urbanmine "$urbanmine" --demo "$folder/demo" \
    --export "$folder/export" --seed "$seed"
