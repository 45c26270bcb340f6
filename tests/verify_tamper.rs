//! Ledgers that somebody changed afterwards: every change is found, in the right words, and the
//! untouched copy is never accused.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "common/forge.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared by test files that use parts of it")]
mod forge;
#[path = "common/forge_world.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared by test files that use parts of it")]
mod forge_world;

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::ops::Range;
use std::sync::OnceLock;

use bytes::Bytes;
use forge::{
    BATCH_FIRST, BATCH_LEN, Forge, Forged, LEDGER, RECORDED_AT, RULES_VERSION, TABLES_HASH, VALID,
    origin, payload, pins, public, secret, seed_of,
};
use forge_world::*;
use urbanmine::domain::event::RegisterKey;
use urbanmine::domain::{Body, EntryCount, EntryIndex, Hash32, Origin, PublicKey};
use urbanmine::ledger::hash::{leaf_hash, node_hash};
use urbanmine::ledger::tree::inclusion_proof;
use urbanmine::ledger::{Checkpoint, NodeSource, Receipt, SignedCheckpoint};
use urbanmine::limits::{MAX_FINDINGS, MAX_FINDINGS_OF_A_KIND, MAX_PENDING_CHECKPOINTS};
use urbanmine::verify::{
    Finding, FindingKind as Kind, GroupInput, Pins, Report, Verdict, Verifier, verify_receipt,
};
use urbanmine::wire::encode_statement;
use urbanmine::wire::statement::{Statement, StatementBody};

/// The whole story.
fn story() -> Forged {
    static STORY: OnceLock<Forged> = OnceLock::new();
    let make = || {
        let mut forge = Forge::new();
        forge.story();
        forge.forged
    };
    STORY.get_or_init(make).clone()
}

/// A short ledger with one party, a batch and a statement, for tests that judge it thousands of
/// times.
fn short() -> Forge {
    static SHORT: OnceLock<Forge> = OnceLock::new();
    let make = || {
        let mut forge = Forge::bare();
        forge.publish(&tables_text());
        let row = &PARTIES[1];
        forge.register(row.id, row.roles, &row.licences[1..2]);
        let lot = forge.copper(1_000);
        let (left, right) = (forge.lot(), forge.lot());
        let divided = forge.event(COLLECTOR, split(lot, &[draw(left, 400), draw(right, 600)]));
        let smaller = forge.lot();
        let again = forge.event(COLLECTOR, split(left, &[draw(smaller, 400)]));
        forge.batch(&[divided, again]);
        forge.state(note(), &[LEDGER]);
        forge.copper(2_000);
        forge
    };
    SHORT.get_or_init(make).clone()
}

fn note() -> StatementBody {
    StatementBody::RestartNote { software: "forge 1".to_owned() }
}

fn told(report: &Report) -> String {
    report.findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

fn kinds(findings: &[Finding]) -> Vec<Kind> {
    findings.iter().map(|finding| finding.kind).collect()
}

/// Exactly these findings, at these entries.
fn found(report: &Report, expected: &[(Option<u64>, Kind)]) {
    let found: Vec<(Option<u64>, Kind)> = report
        .findings
        .iter()
        .map(|finding| (finding.index.map(|index| index.0), finding.kind))
        .collect();
    assert_eq!(found, expected, "{}", told(report));
}

fn first_bad(report: &Report) -> Option<u64> {
    report.first_bad.map(|index| index.0)
}

fn verified(forged: &Forged) {
    for report in [forged.judge_groups(pins()), forged.judge_stream(pins())] {
        assert_eq!(report.verdict, Verdict::Verified, "{}", told(&report));
    }
}

// --- untouched -----------------------------------------------------------------------------------

#[test]
fn an_untouched_ledger_is_verified_at_the_end_of_every_group() {
    let whole = story();
    verified(&whole);
    let mut entries = 0;
    for (number, length) in whole.groups.iter().enumerate() {
        entries += length;
        let prefix = Forged {
            entries: whole.entries[..entries].to_vec(),
            groups: whole.groups[..=number].to_vec(),
            checkpoints: whole.checkpoints[..=number].to_vec(),
        };
        verified(&prefix);
    }
    verified(&short().forged);
}

#[test]
fn nothing_is_never_green() {
    let report = Verifier::new(pins()).finish();
    found(&report, &[(None, Kind::NoEntries), (None, Kind::CheckpointMissing)]);
    assert_eq!((report.verdict, report.verdict.exit_code()), (Verdict::Undetermined, 2));
    let report = Verifier::new(Pins::default()).finish();
    assert_eq!(report.verdict, Verdict::Undetermined);
}

// --- bytes ---------------------------------------------------------------------------------------

/// What one changed bit of an entry leads to, whoever has no key to hide it with.
fn flip_is_found(whole: &Forged, index: usize, place: usize, mask: u8) {
    let mut changed = whole.clone();
    changed.alter(index, |bytes| bytes[place] ^= mask);
    let report = changed.judge_stream(pins());
    let words = || format!("entry {index}, byte {place}: {}", told(&report));
    assert_eq!(report.verdict, Verdict::Tampered, "{}", words());
    assert!(kinds(&report.findings).contains(&Kind::RootMismatch), "{}", words());
    let at = u64::try_from(index).unwrap();
    let is_last = index + 1 == whole.entries.len();
    let says_where = first_bad(&report);
    // The chain says so at the latest in the next entry; of the last one only the root may speak.
    let is_named = says_where == Some(at) || says_where == Some(at + 1);
    assert!(is_named || (is_last && says_where.is_none()), "{}", words());
    let is_accused = |finding: &&Finding| {
        let tampered = finding.kind.weight() == urbanmine::verify::Weight::Tampered;
        tampered && finding.index.is_some_and(|found| found.0 != at && found.0 != at + 1)
    };
    assert_eq!(report.findings.iter().find(is_accused), None, "{}", words());
    let is_broken_next =
        |it: &Finding| it.kind == Kind::ChainBroken && it.index == Some(EntryIndex(at + 1));
    assert_eq!(report.findings.iter().any(is_broken_next), !is_last, "{}", words());
    // Whatever a party signed is held by its signature, not by the chain alone.
    let entry = urbanmine::ledger::Entry::parse(&whole.entries[index]).unwrap();
    let envelope_begins = whole.entries[index].len() - entry.envelope.len();
    assert!(place < envelope_begins || says_where == Some(at), "{}", words());
}

#[test]
fn every_bit_of_some_entries_is_held() {
    let whole = short().forged;
    let last = whole.entries.len() - 1;
    // Genesis, a registration, a collected lot, a batch of two, a statement, the last.
    for index in [0, 2, last - 4, last - 3, last - 1, last] {
        for place in 0..whole.entries[index].len() {
            flip_is_found(&whole, index, place, 1 << (place % 8));
        }
    }
}

#[test]
fn sampled_bits_of_every_entry_are_held() {
    let whole = story();
    for (index, entry) in whole.entries.iter().enumerate() {
        for sample in 0..3 {
            let place = (index * 97 + sample * 271) % entry.len();
            flip_is_found(&whole, index, place, 1 << ((index + sample) % 8));
        }
    }
}

#[test]
fn who_reseals_with_the_ledger_key_does_not_get_past_the_parties() {
    let whole = short().forged;
    let victim = whole.entries.len() - 4;
    let entry = urbanmine::ledger::Entry::parse(&whole.entries[victim]).unwrap();
    let length = whole.entries[victim].len();
    for place in length - entry.envelope.len()..length {
        let mut changed = whole.clone();
        changed.alter(victim, |bytes| bytes[place] ^= 1);
        changed.reseal(&secret(LEDGER));
        let report = changed.judge_groups(pins());
        let at = u64::try_from(victim).unwrap();
        assert_eq!(report.verdict, Verdict::Tampered, "byte {place}: {}", told(&report));
        assert_eq!(first_bad(&report), Some(at), "byte {place}: {}", told(&report));
        let expected = [
            Kind::EntryMalformed,
            Kind::EventMalformed,
            Kind::NonCanonical,
            Kind::SignatureInvalid,
            Kind::SignerUnknown,
        ];
        assert!(expected.contains(&report.findings[0].kind), "byte {place}: {}", told(&report));
        assert!(!kinds(&report.findings).contains(&Kind::RootMismatch));
    }
}

#[test]
fn every_field_that_no_party_signed_is_judged_by_what_stands_around_it() {
    let last = u64::try_from(story().entries.len() - 1).unwrap();
    let rows: [(Range<usize>, u8, Kind); 5] = [
        (RECORDED_AT, 0x80, Kind::EntryMalformed),
        (RULES_VERSION, 1, Kind::RulesWrong),
        (TABLES_HASH, 1, Kind::TablesWrong),
        (BATCH_FIRST, 1, Kind::EntryMalformed),
        (BATCH_LEN, 1, Kind::BatchBroken),
    ];
    for (field, mask, kind) in rows {
        let mut changed = story();
        changed.alter(usize::try_from(last).unwrap(), |bytes| bytes[field.start] ^= mask);
        changed.reseal(&secret(LEDGER));
        let report = changed.judge_stream(pins());
        assert_eq!(report.findings[0].kind, kind, "{}", told(&report));
        assert_eq!(first_bad(&report).map(|at| at.min(last)), Some(last), "{}", told(&report));
    }
    // A clock that steps back.
    let mut changed = story();
    let earlier = (VALID.from.get() + 1).to_be_bytes();
    changed.alter(5, |bytes| bytes[RECORDED_AT].copy_from_slice(&earlier));
    changed.reseal(&secret(LEDGER));
    let report = changed.judge_groups(pins());
    assert_eq!(first_bad(&report), Some(5), "{}", told(&report));
    assert_eq!(report.findings[0].kind, Kind::TimeDecreases, "{}", told(&report));
}

// --- order ---------------------------------------------------------------------------------------

#[test]
fn an_entry_that_is_dropped_shows() {
    let whole = story();
    for victim in [0, 1, 9, whole.entries.len() - 2] {
        let at = Some(u64::try_from(victim).unwrap());
        let mut changed = whole.clone();
        changed.entries.remove(victim);
        let report = changed.judge_stream(pins());
        let expected = kinds(&report.findings);
        assert_eq!(report.verdict, Verdict::Tampered);
        assert_eq!(first_bad(&report), at, "{}", told(&report));
        assert_eq!(expected[..2], [Kind::IndexWrong, Kind::ChainBroken], "{}", told(&report));
        assert!(expected.contains(&Kind::EntriesMissing), "{}", told(&report));
        // Chain and checkpoints made right again: the index still tells.
        let mut group = 0;
        let mut begins = 0;
        while begins + changed.groups[group] <= victim {
            begins += changed.groups[group];
            group += 1;
        }
        changed.groups[group] -= 1;
        if changed.groups[group] == 0 {
            changed.groups.remove(group);
        }
        changed.reseal(&secret(LEDGER));
        let report = changed.judge_stream(pins());
        assert_eq!(first_bad(&report), at, "{}", told(&report));
    }
}

#[test]
fn entries_that_are_swapped_or_doubled_show() {
    let whole = story();
    let mut changed = whole.clone();
    changed.entries.swap(7, 8);
    let report = changed.judge_stream(pins());
    assert_eq!(first_bad(&report), Some(7));
    let all = kinds(&report.findings);
    assert_eq!(all[..2], [Kind::IndexWrong, Kind::ChainBroken], "{}", told(&report));
    assert!(all.contains(&Kind::RootMismatch));

    let mut changed = whole.clone();
    changed.entries.insert(8, whole.entries[7].clone());
    let report = changed.judge_stream(pins());
    assert_eq!(first_bad(&report), Some(8));
    let all = kinds(&report.findings);
    assert_eq!(all[..2], [Kind::IndexWrong, Kind::ChainBroken], "{}", told(&report));
}

#[test]
fn a_ledger_that_was_cut_short_shows_against_any_later_checkpoint() {
    let whole = story();
    let groups = whole.groups.len() - 3;
    let entries: usize = whole.groups[..groups].iter().sum();
    let mut cut = Forged {
        entries: whole.entries[..entries].to_vec(),
        groups: whole.groups[..groups].to_vec(),
        checkpoints: whole.checkpoints[..groups].to_vec(),
    };
    cut.checkpoints.push(whole.head().to_vec());
    let report = cut.judge_stream(pins());
    found(&report, &[(Some(u64::try_from(entries).unwrap()), Kind::EntriesMissing)]);
    assert_eq!(report.verdict, Verdict::Tampered);
    // With its own old checkpoint an old copy is consistent; one later checkpoint kept elsewhere
    // tells.
    cut.checkpoints.pop();
    verified(&cut);
    let mut verifier = Verifier::new(pins());
    verifier.checkpoint(cut.head());
    verifier.checkpoint(whole.head());
    cut.entries.iter().for_each(|entry| verifier.feed_entry(entry));
    let report = verifier.finish();
    assert_eq!(kinds(&report.findings), [Kind::EntriesMissing], "{}", told(&report));
}

#[test]
fn a_last_entry_cut_in_the_middle_shows() {
    let mut changed = story();
    let last = changed.entries.len() - 1;
    changed.alter(last, |bytes| bytes.truncate(bytes.len() / 2));
    let report = changed.judge_groups(pins());
    found(
        &report,
        &[
            (Some(u64::try_from(last).unwrap()), Kind::EntryMalformed),
            (None, Kind::RootMismatch),
            (Some(u64::try_from(last).unwrap()), Kind::TailUncovered),
        ],
    );
}

// --- links, batches, groups ----------------------------------------------------------------------

#[test]
fn links_that_do_not_follow_from_the_events_show() {
    type Alter = fn(&mut urbanmine::ledger::Draft);
    let rows: [Alter; 5] = [
        |draft| draft.links[0].ordinal += 1,
        |draft| draft.links[0].previous = Some(EntryIndex(1)),
        |draft| draft.links.truncate(1),
        |draft| {
            let mut more = draft.links[1];
            more.lot = urbanmine::domain::LotId::from_bytes({
                let mut id = *more.lot.as_bytes();
                id[15] += 1;
                id
            });
            draft.links.push(more);
        },
        |draft| draft.links.clear(),
    ];
    for alter in rows {
        let mut forge = short();
        let lot = forge.copper(1_000);
        let child = forge.lot();
        let event = forge.event(COLLECTOR, split(lot, &[draw(child, 1_000)]));
        let at = forge.append_altered(&event, &[seed_of(COLLECTOR)], alter);
        forge.copper(1_000);
        let report = forge.forged.judge_groups(pins());
        // The event itself is good, so what comes after it is judged as ever.
        found(&report, &[(Some(at), Kind::LinksWrong)]);
        assert_eq!(report.progress.replayed, report.entries.0);
    }
}

#[test]
fn a_batch_stays_inside_its_group_and_is_whole() {
    let whole = short().forged;
    let batch = whole.groups.iter().position(|length| *length == 2).unwrap();
    let first: usize = whole.groups[..batch].iter().sum();
    let at = u64::try_from(first + 1).unwrap();
    // The group ends inside the batch.
    let mut changed = whole.clone();
    changed.groups.splice(batch..=batch, [1, 1]);
    changed.reseal(&secret(LEDGER));
    let report = changed.judge_groups(pins());
    assert_eq!(report.verdict, Verdict::Tampered);
    assert_eq!(report.findings[0].kind, Kind::BatchBroken, "{}", told(&report));
    assert_eq!(first_bad(&report), Some(at));
    // The ledger ends inside the batch, and signed for it.
    let mut cut = Forged {
        entries: whole.entries[..=first].to_vec(),
        groups: [&whole.groups[..batch], &[1]].concat(),
        checkpoints: Vec::new(),
    };
    cut.reseal(&secret(LEDGER));
    for report in [cut.judge_groups(pins()), cut.judge_stream(pins())] {
        found(&report, &[(Some(at), Kind::BatchBroken)]);
    }
    // Nobody signed for the end of it, either.
    let mut verifier = Verifier::new(pins());
    cut.entries.iter().for_each(|entry| verifier.feed_entry(entry));
    let report = verifier.finish();
    found(&report, &[(Some(at), Kind::BatchBroken), (None, Kind::CheckpointMissing)]);
    // An older checkpoint that splits the batch.
    let mut verifier = Verifier::new(pins());
    verifier.checkpoint(cut.head());
    verifier.checkpoint(whole.head());
    whole.entries.iter().for_each(|entry| verifier.feed_entry(entry));
    assert_eq!(verifier.finish().findings[0].kind, Kind::BatchBroken);
    // A batch whose first member was never there.
    let mut changed = whole.clone();
    let last = u64::try_from(whole.entries.len() - 1).unwrap();
    changed.alter(whole.entries.len() - 1, |bytes| {
        bytes[BATCH_FIRST].copy_from_slice(&(last - 1).to_be_bytes());
        bytes[BATCH_LEN].copy_from_slice(&[0, 2]);
    });
    changed.reseal(&secret(LEDGER));
    found(&changed.judge_groups(pins()), &[(Some(last), Kind::BatchBroken)]);
    // Members that disagree.
    let mut changed = whole.clone();
    changed.alter(first + 1, |bytes| {
        bytes[BATCH_FIRST].copy_from_slice(&at.to_be_bytes());
        bytes[BATCH_LEN].copy_from_slice(&[0, 1]);
    });
    changed.reseal(&secret(LEDGER));
    found(&changed.judge_groups(pins()), &[(Some(at), Kind::BatchBroken)]);
}

#[test]
fn groups_follow_each_other_and_carry_the_checkpoint_before() {
    let whole = story();
    let feed = |group: usize, first: u64, previous: Option<&[u8]>| {
        let mut verifier = Verifier::new(pins());
        let mut next = 0;
        for (number, length) in whole.groups.iter().enumerate() {
            let before = number.checked_sub(1).map(|it| whole.checkpoints[it].as_slice());
            let is_changed = number == group;
            verifier.feed_group(&GroupInput {
                first: EntryIndex(
                    u64::try_from(next).unwrap() + if is_changed { first } else { 0 },
                ),
                entries: &whole.entries[next..next + length],
                previous_checkpoint: if is_changed { previous } else { before },
            });
            next += length;
        }
        verifier.checkpoint(whole.head());
        verifier.finish()
    };
    let group = 4;
    let at: usize = whole.groups[..group].iter().sum();
    let at = Some(u64::try_from(at).unwrap());
    let right = whole.checkpoints[group - 1].as_slice();
    found(&feed(group, 0, Some(right)), &[]);
    found(&feed(group, 1, Some(right)), &[(at, Kind::GroupMalformed)]);
    found(&feed(group, 0, None), &[(at, Kind::GroupMalformed)]);
    found(&feed(group, 0, Some(b"")), &[(at, Kind::GroupMalformed)]);
    found(&feed(0, 0, Some(right)), &[(Some(0), Kind::GroupMalformed)]);
    let older = whole.checkpoints[group - 2].as_slice();
    found(&feed(group, 0, Some(older)), &[(None, Kind::GroupMalformed)]);
    found(&feed(group, 0, Some(b"not a note")), &[(None, Kind::CheckpointMalformed)]);
    let (checkpoint, _) = SignedCheckpoint::parse(right).unwrap();
    let stranger = checkpoint.sign(&secret(77));
    let report = feed(group, 0, Some(stranger.as_bytes()));
    found(&report, &[(None, Kind::CheckpointUnsigned)]);
    let forked = Checkpoint { root: Hash32([9; 32]), ..checkpoint }.sign(&secret(LEDGER));
    found(&feed(group, 0, Some(forked.as_bytes())), &[(None, Kind::RootMismatch)]);

    let mut verifier = Verifier::new(pins());
    verifier.feed_group(&GroupInput {
        first: EntryIndex(0),
        entries: &[],
        previous_checkpoint: None,
    });
    assert!(kinds(&verifier.finish().findings).contains(&Kind::GroupMalformed));
}

// --- checkpoints and pins ------------------------------------------------------------------------

/// The story under another checkpoint of the head.
fn under(head: &[u8], pins: Pins) -> Report {
    let mut forged = story();
    *forged.checkpoints.last_mut().unwrap() = head.to_vec();
    forged.judge_stream(pins)
}

#[test]
fn a_checkpoint_that_is_not_the_ledgers_shows() {
    let (head, _) = SignedCheckpoint::parse(story().head()).unwrap();
    let size = head.size;
    let ledger = secret(LEDGER);
    let by_stranger = head.sign(&secret(77));
    found(&under(by_stranger.as_bytes(), pins()), &[(None, Kind::CheckpointUnsigned)]);
    let other_root = Checkpoint { root: Hash32([9; 32]), ..head.clone() }.sign(&ledger);
    found(&under(other_root.as_bytes(), pins()), &[(None, Kind::RootMismatch)]);
    let other = Origin::parse("ledger.example/other").unwrap();
    let other_name = Checkpoint { origin: other.clone(), ..head.clone() }.sign(&ledger);
    found(&under(other_name.as_bytes(), pins()), &[(None, Kind::CheckpointUnsigned)]);
    let more = Checkpoint { size: EntryCount(size.0 + 1), ..head.clone() }.sign(&ledger);
    found(&under(more.as_bytes(), pins()), &[(Some(size.0), Kind::EntriesMissing)]);
    let less = Checkpoint { size: EntryCount(size.0 - 1), ..head.clone() }.sign(&ledger);
    found(&under(less.as_bytes(), pins()), &[(None, Kind::RootMismatch)]);
    found(&under(b"", pins()), &[(None, Kind::CheckpointMalformed)]);
    let text = story().head().to_vec();
    for place in 0..text.len() {
        let mut changed = text.clone();
        changed[place] ^= 1;
        let report = under(&changed, pins());
        assert_ne!(report.verdict, Verdict::Verified, "byte {place}");
        let kind = report.findings[0].kind;
        // A changed size is a claim about entries that are not there; nobody signed it either.
        let expected = [Kind::CheckpointMalformed, Kind::CheckpointUnsigned, Kind::CheckpointEmpty];
        assert!(expected.contains(&kind), "byte {place}: {}", told(&report));
    }
}

#[test]
fn what_no_checkpoint_covers_is_not_verified() {
    let whole = story();
    let empty = Checkpoint {
        origin: origin(),
        size: EntryCount(0),
        root: urbanmine::ledger::hash::sha256(&[]),
    };
    let report = under(empty.sign(&secret(LEDGER)).as_bytes(), pins());
    found(&report, &[(None, Kind::CheckpointEmpty)]);
    assert_eq!(report.verdict, Verdict::Undetermined);

    let mut verifier = Verifier::new(pins());
    whole.entries.iter().for_each(|entry| verifier.feed_entry(entry));
    let report = verifier.finish();
    found(&report, &[(None, Kind::CheckpointMissing)]);
    assert_eq!(report.verdict, Verdict::Undetermined);

    // Behind by one group, given in time: the tail is not covered. Given too late: it is not
    // checked.
    let behind = &whole.checkpoints[whole.checkpoints.len() - 2];
    let report = under(behind, pins());
    let (covered, _) = SignedCheckpoint::parse(behind).unwrap();
    found(&report, &[(Some(covered.size.0), Kind::TailUncovered)]);
    assert_eq!(report.verdict, Verdict::Warnings);
    let mut verifier = Verifier::new(pins());
    whole.entries.iter().for_each(|entry| verifier.feed_entry(entry));
    verifier.checkpoint(behind);
    found(&verifier.finish(), &[(None, Kind::CheckpointLate)]);
}

#[test]
fn another_ledger_than_the_pinned_one_shows() {
    let whole = story();
    let other = Origin::parse("ledger.example/other").unwrap();
    let wrong_name = Pins { origin: Some(other), ..pins() };
    let report = whole.judge_stream(wrong_name);
    found(&report, &[(Some(0), Kind::OriginMismatch), (None, Kind::CheckpointUnsigned)]);
    assert_eq!((report.verdict, first_bad(&report)), (Verdict::Tampered, Some(0)));
    let wrong_key = Pins { ledger_key: Some(public(77)), ..pins() };
    let report = whole.judge_stream(wrong_key);
    assert_eq!(kinds(&report.findings), [Kind::LedgerKeyMismatch], "{}", told(&report));
    assert_eq!((first_bad(&report), report.checkpoint), (Some(0), None));
    // Somebody without the ledger's key who makes everything right again, with a key of their own.
    let mut forked = whole.clone();
    forked.alter(9, |bytes| {
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
    });
    forked.reseal(&secret(77));
    let report = forked.judge_groups(pins());
    assert_eq!(report.verdict, Verdict::Tampered);
    assert!(kinds(&report.findings).contains(&Kind::CheckpointUnsigned));
}

// --- signed, but not what may be signed ----------------------------------------------------------

#[test]
fn the_ledger_says_only_what_it_may() {
    let judged = |forge: &mut Forge| {
        forge.copper(1_000);
        forge.forged.judge_groups(pins())
    };
    let mut forge = short();
    let at = forge.state(note(), &[seed_of(COLLECTOR)]);
    found(&judged(&mut forge), &[(Some(at), Kind::StatementInvalid)]);

    let mut forge = short();
    let at = forge.state(note(), &[LEDGER, seed_of(COORD)]);
    found(&judged(&mut forge), &[(Some(at), Kind::StatementInvalid)]);

    let mut forge = short();
    let other = Origin::parse("ledger.example/other").unwrap();
    let foreign = Statement { origin: other, body: note() };
    let at = forge.state_bytes(Bytes::from(encode_statement(&foreign)), &[LEDGER]);
    found(&judged(&mut forge), &[(Some(at), Kind::StatementInvalid)]);

    let mut forge = short();
    let mut twice = encode_statement(&Statement { origin: origin(), body: note() });
    twice.extend_from_slice(&twice.clone());
    let at = forge.state_bytes(Bytes::from(twice), &[LEDGER]);
    found(&judged(&mut forge), &[(Some(at), Kind::NonCanonical)]);

    let mut forge = short();
    let root = StatementBody::LotStateRoot { size: EntryCount(3), root: Hash32([1; 32]) };
    let at = forge.state(root, &[LEDGER]);
    let report = judged(&mut forge);
    // Over another number of entries than stand before it, and another root than theirs.
    found(&report, &[(Some(at), Kind::LotStateWrong), (Some(at), Kind::LotStateWrong)]);
}

#[test]
fn signed_bytes_in_a_second_spelling_show() {
    let mut forge = short();
    let event = {
        let lot = forge.lot();
        forge.event(COLLECTOR, collect(new_lot(lot, COPPER, 1_000)))
    };
    let mut spelled = payload(&event).to_vec();
    spelled.extend_from_slice(&[0x4a, 0x00]); // an empty external reference, written out
    let at = forge.append_payload(Bytes::from(spelled), &[seed_of(COLLECTOR)]);
    let report = forge.forged.judge_groups(pins());
    found(&report, &[(Some(at), Kind::NonCanonical)]);

    let mut forge = short();
    let mut empty = event;
    empty.external_ref = "x".repeat(65);
    let at = forge.append(&empty);
    let report = forge.forged.judge_groups(pins());
    found(&report, &[(Some(at), Kind::EventMalformed)]);
    assert!(report.findings[0].detail.contains("external_ref"), "{}", told(&report));
}

#[test]
fn a_key_that_proves_nothing_shows_where_it_is_registered() {
    let mut forge = short();
    let mut small = [0; 32];
    small[0] = 1; // the neutral element
    let key = RegisterKey { party: COLLECTOR, public_key: PublicKey(small), validity: VALID };
    let event = forge.event(COORD, Body::RegisterKey(key));
    let at = forge.append(&event);
    let report = forge.forged.judge_groups(pins());
    found(&report, &[(Some(at), Kind::KeyUnsound)]);
}

#[test]
fn a_later_format_is_not_called_tampered() {
    let mut changed = story();
    let last = changed.entries.len() - 1;
    changed.alter(last, |bytes| bytes[1] = 2);
    changed.reseal(&secret(LEDGER));
    let report = changed.judge_groups(pins());
    found(&report, &[(Some(u64::try_from(last).unwrap()), Kind::FormatUnknown)]);
    assert_eq!(report.verdict, Verdict::Undetermined);
}

// --- bounds --------------------------------------------------------------------------------------

#[test]
fn findings_and_waiting_checkpoints_are_bounded() {
    let mut verifier = Verifier::new(pins());
    let junk = Bytes::from_static(&[0, 1, 0]);
    for _ in 0..MAX_FINDINGS + 10 {
        verifier.feed_entry(&junk);
    }
    let report = verifier.finish();
    let kinds: BTreeSet<_> = report.findings.iter().map(|found| found.kind).collect();
    assert!(report.findings.len() <= MAX_FINDINGS_OF_A_KIND * kinds.len());
    assert!(report.findings_left_out >= 10);
    assert_eq!((report.verdict, first_bad(&report)), (Verdict::Tampered, Some(0)));

    let mut verifier = Verifier::new(pins());
    for size in 0..=MAX_PENDING_CHECKPOINTS {
        let size = EntryCount(u64::try_from(size).unwrap() + 1);
        let later = Checkpoint { origin: origin(), size, root: Hash32([0; 32]) };
        verifier.checkpoint(later.sign(&secret(LEDGER)).as_bytes());
    }
    let report = verifier.finish();
    assert_eq!(report.findings[0].kind, Kind::CheckpointUnchecked);
    assert_eq!(report.findings.len(), 1 + 1 + MAX_PENDING_CHECKPOINTS, "{}", told(&report));
}

// --- receipts ------------------------------------------------------------------------------------

struct Leaves<'a>(&'a [Bytes]);

impl NodeSource for Leaves<'_> {
    type Fault = Infallible;

    fn node(&self, level: u8, index: u64) -> Result<Hash32, Infallible> {
        if level == 0 {
            return Ok(leaf_hash(&self.0[usize::try_from(index).unwrap()]));
        }
        let left = self.node(level - 1, index * 2)?;
        Ok(node_hash(&left, &self.node(level - 1, index * 2 + 1)?))
    }
}

#[test]
fn a_receipt_convinces_only_as_it_is_and_only_with_pins() {
    let whole = story();
    let index = EntryIndex(11);
    let (_, checkpoint) = SignedCheckpoint::parse(whole.head()).unwrap();
    let receipt = Receipt {
        entry: whole.entries[11].clone(),
        index,
        proof: inclusion_proof(index, whole.size(), &Leaves(&whole.entries)).unwrap(),
        checkpoint,
    };
    let text = receipt.encode().into_bytes();
    let report = verify_receipt(&text, &pins());
    assert_eq!((report.verdict, report.findings.len()), (Verdict::Verified, 0));
    assert_eq!(report.entry.unwrap().index, index);
    assert_eq!(report.checkpoint.unwrap().size, whole.size());
    for place in 0..text.len() {
        let mut changed = text.clone();
        changed[place] ^= 1;
        let report = verify_receipt(&changed, &pins());
        assert_eq!(report.verdict, Verdict::Tampered, "byte {place}");
        assert_eq!(report.entry, None);
    }
    let unpinned = verify_receipt(&text, &Pins::default());
    assert_eq!(unpinned.verdict, Verdict::Undetermined);
    assert_eq!(kinds(&unpinned.findings), [Kind::CheckpointUnchecked, Kind::PinsMissing]);
    let named_by_itself = verify_receipt(&text, &Pins { origin: None, ..pins() });
    assert_eq!(named_by_itself.verdict, Verdict::Warnings);
    let other_key = verify_receipt(&text, &Pins { ledger_key: Some(public(77)), ..pins() });
    assert_eq!(kinds(&other_key.findings), [Kind::CheckpointUnsigned]);
}
