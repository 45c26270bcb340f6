#!/usr/bin/env bash
# Runs the tour of the README as it stands there: the lines of every block that opens with ```sh tour.
# usage: tests/readme_tour.sh [BINARY]
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
binary=${1:-target/release/urbanmine}
[ "${binary#/}" != "$binary" ] || binary=$root/$binary

folder=$(mktemp -d)
stop() {
    # The tour's server, if a step before its end failed.
    if [ -s "$folder/pid" ]; then kill "$(cat "$folder/pid")" 2>/dev/null || true; fi
    rm -rf "$folder"
}
trap stop EXIT
mkdir "$folder/bin" "$folder/tour"
ln -s "$binary" "$folder/bin/urbanmine"

# 7878 may be taken by a ledger of yours.
port=$((20000 + RANDOM % 20000))
{
    echo 'set -euo pipefail'
    sed -n '/^```sh tour$/,/^```$/p' "$root/README.md" | grep -v '^```' |
        sed -e "s/7878/$port/g" -e "s|^server=\$!\$|&; echo \$server >'$folder/pid'|"
} >"$folder/tour.sh"
lines=$(wc -l <"$folder/tour.sh")
[ "$lines" -gt 20 ] || { echo "the README has no tour" >&2; exit 1; }

cd "$folder/tour"
PATH="$folder/bin:$PATH" bash -x "$folder/tour.sh"
echo "the tour of the README works"
