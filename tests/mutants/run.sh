#!/usr/bin/env bash
# Mutation testing of src/verify: tests/mutants/run.sh [ARGUMENT OF cargo-mutants ...], for example
# `--file src/verify/report.rs`. Needs cargo-mutants; without it, says so and does nothing.
#
# A mutant costs seconds, not minutes, because only the judge is compiled again: it and its tests
# stand as one crate, in a tree that this script makes, on top of the other pure rooms as another,
# which is built once and optimised. The judge sees the rooms below it by their public items only.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
tree=${MUTANTS_TREE:-$root/target/mutants}

if ! cargo mutants --version >/dev/null 2>&1; then
    echo "SKIPPED: mutation testing (no cargo-mutants; cargo install cargo-mutants --locked)"
    exit 0
fi

mkdir -p "$tree/src"
rm -rf "$tree/src/verify" "$tree/src/suite"
cp -r "$root/src/verify" "$tree/src/verify"
mkdir -p "$tree/src/suite"
cp -r "$root/tests/common" "$tree/src/suite/common"
cp "$root"/tests/verify_*.rs "$tree/src/suite/"
rm -rf "$tree/src/tables"
cp -r "$root/tables" "$tree/src/tables"
# Everything that the tests take is there, so that the same libraries judge as in the house.
cp "$root/tests/mutants/Cargo.lock" "$tree/Cargo.lock"

cat >"$tree/Cargo.toml" <<END
[package]
name = "urbanmine-judge"
version = "0.1.0"
edition = "2024"
publish = false

[lib]
doctest = false

[dependencies]
bytes = "1.12"
pure = { package = "urbanmine-pure", path = "$root/tests/mutants" }
thiserror = "2"

[dev-dependencies]
proptest = "1.12"

[profile.dev]
debug = false
opt-level = 0
[profile.dev.package."*"]
opt-level = 2

[workspace]
END
{
    echo '//! The judge on top of the other pure rooms, with its tests.'
    echo 'extern crate self as urbanmine;'
    echo 'pub use pure::{domain, ledger, limits, provenance, wire};'
    echo 'pub mod verify;'
    echo '#[cfg(test)]'
    echo 'mod suite {'
    for file in "$root"/tests/verify_*.rs; do
        echo "    mod $(basename "$file" .rs);"
    done
    echo '}'
} >"$tree/src/lib.rs"
# A module's own `#[path = "common/.."]` is looked up beside its file, and so is `suite`.
cd "$tree"
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$root/target}
if [ -n "${MUTANTS_TREE_ONLY:-}" ]; then exit 0; fi
# Three tests that bend every bit take most of the time and would only kill more; MUTANTS_QUICK
# leaves out two more that take seconds, for a first look.
skips=(--skip every_byte_of --skip sampled_bits_of --skip every_bit_of)
if [ -n "${MUTANTS_QUICK:-}" ]; then
    skips+=(--skip the_root_is_that_of_the_definition --skip who_reseals_with)
fi
exec cargo mutants --in-place --timeout 60 "$@" -- --lib -- "${skips[@]}"
