//! See `bodies.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| urbanmine_fuzz::run("signers", data));
