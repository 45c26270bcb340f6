//! The sample through the rules, without a disk or a server: every event is accepted, and
//! provenance agrees with the state about every gram.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop")]

#[path = "common/sample.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared by test files that use parts of it")]
mod sample;
#[path = "common/vectors.rs"]
mod vectors;

use sample::Sample;
use urbanmine::domain::vocabulary::EventKind;
use vectors::check_vectors;

#[test]
fn every_event_is_lawful_and_every_kind_is_there() {
    let sample = Sample::run();
    // The node publishes the tables; an attestation quotes a checkpoint that no file can know.
    let elsewhere = [EventKind::PublishTables, EventKind::Attest];
    for kind in EventKind::ALL.iter().filter(|kind| !elsewhere.contains(kind)) {
        assert!(sample.by_kind.contains_key(kind), "no {kind} in the sample");
    }
    assert!(sample.next >= 800, "{} events", sample.next);
    assert!(sample.state.lots.len() >= 200, "{} lots", sample.state.lots.len());
    assert!(sample.state.parties.len() >= 14, "{} parties", sample.state.parties.len());
}

#[test]
fn vectors_sum_to_what_the_state_says_is_contained() {
    let sample = Sample::run();
    // The sample corrects events whose lots nobody had used: nothing else keeps a share of them.
    let (masses, contents) = check_vectors(&sample.state, true);
    assert!(masses >= 80 && contents >= 500, "{masses} masses, {contents} contents");
}
