//! The judge follows the ledger's keys: whichever of them is pinned, and only where the one before
//! signed for it.

#![allow(clippy::unwrap_used, reason = "a test may stop")]

#[path = "common/forge.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared by test files that use parts of it")]
mod forge;
#[path = "common/forge_world.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared by test files that use parts of it")]
mod forge_world;
#[path = "common/tree.rs"]
#[allow(unreachable_pub, reason = "shared by test files")]
mod tree;

use bytes::Bytes;
use forge::{Forge, Forged, LEDGER, VALID, origin, public, secret, seed_of};
use forge_world::COORD;
use tree::tree;
use urbanmine::domain::event::RegisterKey;
use urbanmine::domain::{Body, EntryCount, EntryIndex, PublicKey};
use urbanmine::ledger::envelope::pae;
use urbanmine::ledger::tree::inclusion_proof;
use urbanmine::ledger::{Receipt, STATEMENT_PAYLOAD_TYPE, SignedCheckpoint, SigningKey};
use urbanmine::verify::{
    FindingKind as Kind, Pins, Report, Verdict, Verifier, verify_receipt, verify_receipt_after,
};
use urbanmine::wire::encode_possession;
use urbanmine::wire::statement::StatementBody;

/// The keys that follow.
const NEXT: u8 = 201;
const THIRD: u8 = 202;

fn pinned(seed: u8) -> Pins {
    Pins { origin: Some(origin()), ledger_key: Some(public(seed)) }
}

fn rotation_by(possessor: &SigningKey, next_key: PublicKey) -> StatementBody {
    let message = pae(STATEMENT_PAYLOAD_TYPE, &encode_possession(&origin(), &next_key));
    StatementBody::LedgerKeyRotation { next_key, possession: possessor.sign(&message) }
}

fn rotation(seed: u8) -> StatementBody {
    rotation_by(&secret(seed), public(seed))
}

/// Signs every checkpoint anew with the key that a size has.
fn sign_by(forged: &mut Forged, seed_at: impl Fn(u64) -> u8) {
    for text in &mut forged.checkpoints {
        let (said, _) = SignedCheckpoint::parse(text).unwrap();
        *text = said.sign(&secret(seed_at(said.size.0))).as_bytes().to_vec();
    }
}

/// Two rotations, with events before, between and after; where they stand.
fn story() -> (Forged, u64, u64) {
    let mut forge = Forge::new();
    forge.copper(1_000);
    let first = forge.state(rotation(NEXT), &[LEDGER]);
    forge.copper(1_000);
    forge.copper(1_000);
    let second = forge.state(rotation(THIRD), &[NEXT]);
    forge.state(StatementBody::RestartNote { software: "s".to_owned() }, &[THIRD]);
    forge.copper(1_000);
    let mut forged = forge.forged;
    let seed = |size| match size {
        size if size <= first + 1 => LEDGER,
        size if size <= second + 1 => NEXT,
        _ => THIRD,
    };
    sign_by(&mut forged, seed);
    (forged, first, second)
}

/// As `verify --server` reads: the checkpoint over a rotation comes with its receipt.
fn judge_served(forged: &Forged, pins: Pins) -> Report {
    let mut verifier = Verifier::new(pins);
    verifier.checkpoint(forged.head());
    for entry in &forged.entries {
        verifier.feed_entry(entry);
        if let Some(rotated) = verifier.awaits_checkpoint() {
            verifier.checkpoint(&checkpoint_of(forged, rotated.0 + 1));
        }
    }
    verifier.finish()
}

fn checkpoint_of(forged: &Forged, size: u64) -> Vec<u8> {
    let is_its = |text: &&Vec<u8>| SignedCheckpoint::parse(text).unwrap().0.size.0 == size;
    forged.checkpoints.iter().find(is_its).unwrap().clone()
}

fn kinds(report: &Report) -> Vec<(Option<u64>, Kind)> {
    report.findings.iter().map(|it| (it.index.map(|at| at.0), it.kind)).collect()
}

#[test]
fn whichever_key_is_pinned_the_whole_ledger_is_verified() {
    let (forged, ..) = story();
    for seed in [LEDGER, NEXT, THIRD] {
        for report in [forged.judge_groups(pinned(seed)), judge_served(&forged, pinned(seed))] {
            assert_eq!(report.verdict, Verdict::Verified, "{seed}: {:?}", report.findings);
            assert_eq!(report.ledger_key, Some(public(THIRD)));
            assert_eq!((report.rotations, report.claims.unwrap().ledger_key), (2, public(LEDGER)));
            assert_eq!(report.checkpoint.unwrap().size.0, report.entries.0);
        }
    }
    let report = forged.judge_groups(pinned(77));
    assert_eq!(kinds(&report), [(Some(0), Kind::LedgerKeyMismatch)]);
    assert_eq!(report.checkpoint, None);
}

#[test]
fn a_checkpoint_by_another_key_than_its_turn_shows() {
    // A key signs too long, or too early: 0 means "as it should be".
    for (late, early) in [(1, 0), (0, 1)] {
        let (mut forged, first, _) = story();
        let seed = |size| match size {
            size if size <= first + 1 - early => LEDGER,
            size if size <= first + 1 + late => LEDGER + u8::from(early > 0),
            _ => NEXT,
        };
        let seed = |size| if seed(size) > LEDGER { NEXT } else { seed(size) };
        sign_by(&mut forged, |size| if size <= first + 2 { seed(size) } else { THIRD });
        let report = forged.judge_groups(pinned(LEDGER));
        assert_eq!(report.verdict, Verdict::Tampered);
        assert!(kinds(&report).contains(&(None, Kind::CheckpointUnsigned)), "{:?}", kinds(&report));
    }
}

#[test]
fn a_next_key_is_taken_only_as_the_format_says() {
    let party = seed_of(COORD);
    let mut weak = [0; 32];
    weak[0] = 1; // the neutral element
    let rows: [(&str, StatementBody, &[u8]); 7] = [
        ("nobody showed to hold it", rotation_by(&secret(LEDGER), public(NEXT)), &[LEDGER]),
        ("the next key says it itself", rotation(NEXT), &[NEXT]),
        ("both say it", rotation(NEXT), &[LEDGER, NEXT]),
        ("a party says it", rotation(NEXT), &[party]),
        ("it is the key in force", rotation(LEDGER), &[LEDGER]),
        ("it is a party's", rotation(party), &[LEDGER]),
        ("it is no sound key", rotation_by(&secret(NEXT), PublicKey(weak)), &[LEDGER]),
    ];
    for (what, body, signers) in rows {
        let mut forge = Forge::new();
        let at = forge.state(body, signers);
        forge.copper(1_000);
        let report = forge.forged.judge_groups(pinned(LEDGER));
        assert_eq!(kinds(&report), [(Some(at), Kind::StatementInvalid)], "{what}");
        assert_eq!(report.rotations, 0, "{what}");
    }
    // A former key does not come back, and none of them is ever a party's.
    let mut forge = Forge::new();
    let first = forge.state(rotation(NEXT), &[LEDGER]);
    let again = forge.state(rotation(LEDGER), &[NEXT]);
    let body = |seed| RegisterKey { party: COORD, public_key: public(seed), validity: VALID };
    let former = forge.event(COORD, Body::RegisterKey(body(LEDGER)));
    let former = forge.append(&former);
    sign_by(&mut forge.forged, |size| if size <= first + 1 { LEDGER } else { NEXT });
    let report = forge.forged.judge_groups(pinned(LEDGER));
    let expected = [(Some(again), Kind::StatementInvalid), (Some(former), Kind::RuleBroken)];
    assert_eq!(kinds(&report), expected);
}

#[test]
fn the_old_key_signs_a_checkpoint_that_ends_with_its_last_word() {
    // A stream without that checkpoint: it is not known whether the old key saw this history.
    let (forged, first, second) = story();
    let report = forged.judge_stream(pinned(LEDGER));
    let uncovered = [
        (Some(first), Kind::RotationUncovered),
        (Some(second), Kind::RotationUncovered),
        (None, Kind::PinUnvouched),
    ];
    assert_eq!(kinds(&report), uncovered);
    assert_eq!(report.verdict, Verdict::Undetermined);

    // In a group with others there is no such checkpoint at all.
    let mut forged = forged;
    let group = forged.groups.iter().scan(0, |end, length| {
        *end += *length as u64;
        Some(*end)
    });
    let at = group.clone().position(|end| end == first + 1).unwrap();
    let next = forged.groups.remove(at + 1);
    forged.groups[at] += next;
    forged.checkpoints.remove(at);
    let report = forged.judge_groups(pinned(LEDGER));
    assert_eq!(report.verdict, Verdict::Tampered);
    assert!(
        kinds(&report).contains(&(Some(first), Kind::StatementInvalid)),
        "{:?}",
        kinds(&report)
    );
}

#[test]
fn a_pinned_key_that_was_only_copied_in_vouches_for_nothing() {
    // Whoever has the old key, and not the next one, tells another history and copies the
    // statement into it: all is signed, and the next key never saw it.
    let mut forge = Forge::new();
    forge.copper(5_000);
    forge.state(rotation(NEXT), &[LEDGER]);
    let report = forge.forged.judge_groups(pinned(NEXT));
    assert_eq!(kinds(&report), [(None, Kind::PinUnvouched)]);
    assert_eq!(report.verdict, Verdict::Undetermined);
    // Who pinned the old key trusts whoever holds it.
    let report = forge.forged.judge_groups(pinned(LEDGER));
    assert_eq!(report.verdict, Verdict::Verified, "{:?}", report.findings);
    // Going on needs the next key.
    forge.copper(1_000);
    let report = forge.forged.judge_groups(pinned(NEXT));
    assert_eq!(report.verdict, Verdict::Tampered);
}

#[test]
fn keys_are_followed_where_the_rules_are_not() {
    let mut forge = Forge::new();
    forge.copper(1_000);
    let stop = forge.append_payload(Bytes::from_static(b"no event"), &[seed_of(COORD)]);
    let first = forge.state(rotation(NEXT), &[LEDGER]);
    forge.copper(1_000);
    sign_by(&mut forge.forged, |size| if size <= first + 1 { LEDGER } else { NEXT });
    let report = forge.forged.judge_groups(pinned(NEXT));
    let expected = [(Some(stop), Kind::NonCanonical), (Some(stop + 1), Kind::ReplayStopped)];
    assert_eq!(kinds(&report), expected);
}

/// The receipt of an entry under a checkpoint.
fn receipt(forged: &Forged, index: u64, size: u64) -> Vec<u8> {
    let nodes = tree(&forged.entries);
    let proof = inclusion_proof(EntryIndex(index), EntryCount(size), &nodes).unwrap();
    let (_, checkpoint) = SignedCheckpoint::parse(&checkpoint_of(forged, size)).unwrap();
    let entry = forged.entries[usize::try_from(index).unwrap()].clone();
    Receipt { entry, index: EntryIndex(index), proof, checkpoint }.encode().into_bytes()
}

#[test]
fn receipts_of_rotations_lead_from_a_pinned_key_to_the_one_that_signed() {
    let (forged, first, second) = story();
    let last = forged.entries.len() as u64;
    let rotations = [receipt(&forged, first, first + 1), receipt(&forged, second, second + 1)];
    let old = receipt(&forged, first - 1, first);
    let new = receipt(&forged, last - 1, last);
    let verdict = |bytes: &[u8], after: &[Vec<u8>], seed| {
        verify_receipt_after(bytes, after, &pinned(seed)).verdict
    };
    assert_eq!(verdict(&new, &rotations, LEDGER), Verdict::Verified);
    assert_eq!(verdict(&new, &rotations[1..], NEXT), Verdict::Verified);
    assert_eq!(verdict(&old, &rotations, LEDGER), Verdict::Verified);
    assert_eq!(verify_receipt(&new, &pinned(THIRD)).verdict, Verdict::Verified);
    // Out of order, from the middle, one missing, or no rotation at all.
    let reversed = [rotations[1].clone(), rotations[0].clone()];
    for after in [&reversed[..], &rotations[1..], &rotations[..1], std::slice::from_ref(&old), &[]]
    {
        assert_eq!(verdict(&new, after, LEDGER), Verdict::Tampered);
    }
    // A rotation under a later checkpoint is not the old key's last word.
    let late = [receipt(&forged, first, first + 2)];
    assert_eq!(verdict(&new, &late, LEDGER), Verdict::Tampered);
}
