#!/usr/bin/env bash
# Runs every fuzz target for some seconds each: fuzz/run.sh [SECONDS] [TARGET ...]. Needs a nightly
# compiler and cargo-fuzz; without them it says so and does nothing, and tests/fuzz_corpus.rs still
# replays the corpus. What libFuzzer finds on its way is kept in fuzz/found (not committed); what
# breaks a property, in fuzz/artifacts: copy it into fuzz/corpus/<target>, and mend the parser.
set -euo pipefail
cd "$(dirname "$0")"

seconds=${1:-60}
shift || true
case $seconds in '' | *[!0-9]*) echo "usage: fuzz/run.sh [SECONDS] [TARGET ...]" >&2; exit 64 ;; esac

if ! cargo +nightly --version >/dev/null 2>&1; then
    echo "SKIPPED: fuzzing (no nightly compiler)"
    exit 0
fi
if ! cargo +nightly fuzz --version >/dev/null 2>&1; then
    echo "SKIPPED: fuzzing (no cargo-fuzz; cargo install cargo-fuzz --locked)"
    exit 0
fi

targets=("$@")
if [ ${#targets[@]} -eq 0 ]; then
    mapfile -t targets < <(sed -n 's/^name = "\(.*\)"$/\1/p' Cargo.toml | grep -v '^urbanmine-fuzz$')
fi

# No sanitizer of memory: the house forbids unsafe code, and without one it runs twice as often.
# What is left to find, a panic, an overflow, a loop, too much memory, libFuzzer sees by itself.
cd ..
cargo +nightly fuzz build --sanitizer none
failed=()
for target in "${targets[@]}"; do
    mkdir -p "fuzz/found/$target" "fuzz/artifacts/$target"
    log="fuzz/found/$target.log"
    # A target that runs for SECONDS and ten more, or needs 2 GB, is stuck in one input.
    if cargo +nightly fuzz run --sanitizer none "$target" "fuzz/found/$target" \
        "fuzz/corpus/$target" -- -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 \
        -max_len=65536 -print_final_stats=1 >"$log" 2>&1; then
        state=held
    else
        state=BROKEN
        failed+=("$target")
        tail -n 40 "$log"
    fi
    # Edges, features and corpus as libFuzzer counts them in its last line of state.
    last=$(grep -aE '^#[0-9]+.*cov: ' "$log" | tail -n 1 || true)
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log" | tail -n 1)
    rate=$(sed -n 's/^stat::average_exec_per_sec: *//p' "$log" | tail -n 1)
    cover=$(sed -E 's/.*cov: ([0-9]+) ft: ([0-9]+) corp: ([^ ]+).*/edges \1, features \2, corpus \3/' \
        <<<"$last")
    echo "fuzz $target: $state, ${runs:-?} runs, ${rate:-?} a second, $cover"
done
if [ ${#failed[@]} -gt 0 ]; then
    echo "fuzz: a property does not hold in ${failed[*]}; inputs are in fuzz/artifacts" >&2
    exit 1
fi
