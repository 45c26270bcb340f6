# Short names for what is done often; every line works without just, too.

# What there is.
default:
    @just --list

# Everything that has to hold before a change goes in.
ci:
    .ci/run

# Format, lints.
lint:
    cargo fmt --check
    cargo clippy --locked --all-targets -- -D warnings

# The tests.
test *ARGS:
    cargo test --locked {{ARGS}}

# The sample ledger, served on loopback until Ctrl-C.
demo:
    cargo run --locked --release -- demo

# The fault campaign in full: an hour or so, wants strace, and root for loop mounts.
faults *ARGS="long":
    cargo build --locked --release
    cargo test --locked --test faults -- --binary target/release/urbanmine {{ARGS}}
    just model

# The same in minutes.
faults-short:
    cargo build --locked --release
    cargo test --locked --test faults -- --binary target/release/urbanmine short

# The model test for longer; a failure prints its seed.
model ROUNDS="40" STEPS="400":
    URBANMINE_MODEL_ROUNDS={{ROUNDS}} URBANMINE_MODEL_STEPS={{STEPS}} \
        cargo test --locked --test node_model -- --nocapture

# A minute for each parser; wants a nightly compiler.
fuzz SECONDS="60":
    fuzz/run.sh {{SECONDS}}
