//! The judge's desk, as its readers use it: entries taken apart ahead, what it counts, what it says
//! while it waits, and where exactly it points.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop")]

#[path = "common/artefacts.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared by test files that use parts of it")]
mod artefacts;
#[path = "common/forge.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared by test files that use parts of it")]
mod forge;
#[path = "common/forge_world.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared by test files that use parts of it")]
mod forge_world;

use artefacts::{checkpoint_of, rotation, sign_after, state_lots};
use bytes::Bytes;
use forge::{Forge, Forged, LEDGER, origin, payload, pins, public, secret, seed_of};
use forge_world::{COLLECTOR, COORD, COPPER, collect, draw, error, new_lot, split};
use urbanmine::domain::{EntryCount, EntryIndex, LotId};
use urbanmine::ledger::{
    Bundle, Entry, Envelope, Policy, SignedCheckpoint, SignerBounds, SignerTables,
};
use urbanmine::limits::MAX_LEDGER_KEYS;
use urbanmine::verify::{
    Ahead, Finding, FindingKind as Kind, GroupInput, KnownKeys, Pins, Remembered, Report, Verdict,
    Verifier, answer, note_answers, prepare, prepare_all, questions, verify_bundle, verify_receipt,
    verify_receipt_after,
};
use urbanmine::wire::statement::StatementBody;

/// The key that follows the ledger's first.
const NEXT: u8 = 201;

fn kinds(report: &Report) -> Vec<(Option<u64>, Kind)> {
    report.findings.iter().map(|it| (it.index.map(|at| at.0), it.kind)).collect()
}

fn note() -> StatementBody {
    StatementBody::RestartNote { software: "s".to_owned() }
}

/// Signs every checkpoint anew with the key that a size has.
fn sign_by(forged: &mut Forged, seed_at: impl Fn(u64) -> u8) {
    for text in &mut forged.checkpoints {
        let (said, _) = SignedCheckpoint::parse(text).unwrap();
        *text = said.sign(&secret(seed_at(said.size.0))).as_bytes().to_vec();
    }
}

fn nothing_sensible(forge: &mut Forge) -> u64 {
    forge.append_payload(Bytes::from_static(b"no event"), &[seed_of(COORD)])
}

fn at(index: u64) -> usize {
    usize::try_from(index).unwrap()
}

/// Changes a byte of an entry; the ledger's key signs for it all the same.
fn resigned_bent(mut forged: Forged, index: u64, place: impl Fn(&[u8]) -> usize) -> Forged {
    forged.alter(at(index), |bytes| {
        let place = place(bytes);
        bytes[place] ^= 1;
    });
    forged.reseal(&secret(LEDGER));
    forged
}

/// A place in the first signature of an entry.
fn in_first_signature(bytes: &[u8]) -> usize {
    let entry = Entry::parse(&Bytes::copy_from_slice(bytes)).unwrap();
    let first = Envelope::parse(&entry.envelope).unwrap().signatures[0].signature;
    bytes.windows(first.len()).position(|it| it == first).unwrap() + 3
}

// --- ahead of the judge --------------------------------------------------------------------------

/// Judged in some pieces, each taken apart with the keys that were known before it.
fn ahead_of_the_judge(forged: &Forged, pieces: usize, remembered: Option<u64>) -> Report {
    let mut verifier = Verifier::new(pins());
    let signers = SignerTables::default();
    if let Some(size) = remembered {
        verifier.remember(checkpoint_of(forged, size).as_bytes(), Remembered::Checked);
    }
    verifier.checkpoint(forged.head());
    let length = forged.entries.len().div_ceil(pieces);
    for piece in forged.entries.chunks(length) {
        let keys = verifier.known_keys();
        for entry in prepare_all(piece, &keys, &signers, Ahead::Signatures) {
            verifier.feed(entry);
        }
    }
    verifier.finish()
}

#[test]
fn signatures_that_were_checked_ahead_are_judged_as_if_they_were_not() {
    let mut forge = Forge::new();
    let bad = forge.next();
    forge.copper(1_000);
    forge.copper(2_000);
    let plain = forge.forged.judge_stream(pins());
    assert_eq!(plain.verdict, Verdict::Verified, "{:?}", plain.findings);
    // Genesis has two signatures; every other entry here one.
    assert_eq!(plain.progress.signatures, forge.next() + 1);
    let bent = resigned_bent(forge.forged.clone(), bad, in_first_signature);
    for pieces in [1, 2, forge.forged.entries.len()] {
        let report = ahead_of_the_judge(&forge.forged, pieces, None);
        assert_eq!(report, plain, "{pieces}");
        let report = ahead_of_the_judge(&bent, pieces, None);
        assert_eq!(report, bent.judge_stream(pins()), "{pieces}");
        assert_eq!(kinds(&report)[0], (Some(bad), Kind::SignatureInvalid));
    }
}

#[test]
fn no_signature_under_a_known_key_is_left_unchecked_ahead() {
    let mut forge = Forge::new();
    let genesis = forge.forged.entries[0].clone();
    let mut verifier = Verifier::new(pins());
    let signers = SignerTables::new(SignerBounds { signers: 8, tables: 2 });
    let of = |keys: &KnownKeys, ahead| {
        let genesis = std::slice::from_ref(&genesis);
        format!("{:?}", prepare_all(genesis, keys, &signers, ahead))
    };
    let nobody = verifier.known_keys();
    assert!(of(&nobody, Ahead::Signatures).contains("verdicts: [None, None]"));
    forge.copper(1_000);
    forge.forged.entries.iter().for_each(|entry| verifier.feed_entry(entry));
    let keys = verifier.known_keys();
    assert!(of(&keys, Ahead::Signatures).contains("verdicts: [Some(true), Some(true)]"));
    assert!(of(&keys, Ahead::Nothing).contains("verdicts: [None, None]"));
}

/// A whole ledger in one piece: keys are taken from the entries that name them, and checkpoints are
/// asked with the rest.
fn in_one_piece(forged: &Forged, speaker_knows: usize) -> Report {
    let signers = SignerTables::default();
    let mut verifier = Verifier::new(pins());
    let mut entries: Vec<_> = forged.entries.iter().map(prepare).collect();
    let mut keys = KnownKeys::default();
    keys.learn(&entries);
    let signed = forged.checkpoints.iter().cloned().map(Bytes::from);
    let before: Vec<Bytes> = std::iter::once(Bytes::new()).chain(signed).collect();
    let mut told = Verifier::new(pins());
    forged.entries[..speaker_knows].iter().for_each(|entry| told.feed_entry(entry));
    let speaker = told.speaker();
    let asked = questions(&entries, &before, &keys, speaker.as_ref());
    let answers = answer(&asked, &signers);
    let vouched = note_answers(&mut entries, answers, speaker.as_ref());
    assert!(!vouched.is_empty());
    let (mut next, mut entries) = (0, entries.into_iter());
    for (number, length) in forged.groups.iter().enumerate() {
        let group = GroupInput {
            first: EntryIndex(next as u64),
            entries: &forged.entries[next..next + length],
            previous_checkpoint: Some(&before[number]),
        };
        let entries = entries.by_ref().take(*length).collect();
        verifier.feed_group_of(&group, entries, vouched.get(&number));
        next += length;
    }
    verifier.checkpoint(forged.head());
    verifier.finish()
}

#[test]
fn a_piece_that_names_its_own_keys_is_judged_as_if_nothing_was_known_ahead() {
    let mut forge = Forge::new();
    let bad = forge.next();
    forge.copper(1_000);
    let rotated = forge.state(rotation(NEXT), &[LEDGER]);
    forge.copper(2_000);
    let mut forged = forge.forged;
    sign_after(&mut forged, rotated, NEXT);
    let plain = forged.judge_groups(pins());
    assert_eq!(plain.verdict, Verdict::Verified, "{:?}", plain.findings);
    // A speaker of either key: what it says of the other's checkpoints is not used.
    for knows in [1, forged.entries.len()] {
        assert_eq!(in_one_piece(&forged, knows), plain);
    }
    let bent = resigned_bent(forged.clone(), bad, in_first_signature);
    let expected = bent.judge_groups(pins());
    assert!(kinds(&expected).contains(&(Some(bad), Kind::SignatureInvalid)), "{expected:?}");
    assert_eq!(in_one_piece(&bent, 1), expected);
    // A checkpoint whose signature does not hold: one byte of it is another.
    for number in 0..forged.checkpoints.len() {
        let mut bent = forged.clone();
        let text = &mut bent.checkpoints[number];
        let place = text.len() - 20;
        text[place] = if text[place] == b'A' { b'B' } else { b'A' };
        let expected = bent.judge_groups(pins());
        assert_ne!(expected.verdict, Verdict::Verified, "{number}");
        assert_eq!(in_one_piece(&bent, 1), expected, "{number}");
        assert_eq!(in_one_piece(&bent, bent.entries.len()), expected, "{number}");
    }
}

#[test]
fn who_listens_changes_nothing_of_the_verdict() {
    let mut forge = Forge::new();
    forge.copper(1_000);
    let wrong = nothing_sensible(&mut forge);
    for entries in [at(wrong), forge.forged.entries.len()] {
        let judged = |is_heard: bool| {
            let heard = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
            let count = std::sync::Arc::clone(&heard);
            let mut verifier = Verifier::new(pins());
            if is_heard {
                verifier.listen(move |retold| {
                    count.fetch_add(retold.fact.lots.len(), std::sync::atomic::Ordering::Relaxed);
                });
            }
            forge.forged.entries[..entries].iter().for_each(|entry| verifier.feed_entry(entry));
            (verifier.finish(), heard.load(std::sync::atomic::Ordering::Relaxed))
        };
        let ((plain, _), (told, heard)) = (judged(false), judged(true));
        assert_eq!(plain, told);
        assert_eq!(heard, 1, "the lot that was collected");
    }
}

#[test]
fn what_was_checked_before_is_counted_and_not_checked_again() {
    let mut forge = Forge::new();
    let size = forge.next();
    forge.copper(1_000);
    forge.copper(2_000);
    let forged = forge.forged;
    let mut verifier = Verifier::new(pins());
    verifier.remember(checkpoint_of(&forged, size).as_bytes(), Remembered::Checked);
    assert_eq!(verifier.ahead(EntryIndex(size - 1)), Ahead::Nothing);
    assert_eq!(verifier.ahead(EntryIndex(size)), Ahead::Signatures);
    verifier.checkpoint(forged.head());
    forged.entries.iter().for_each(|entry| verifier.feed_entry(entry));
    let report = verifier.finish();
    assert_eq!((report.verdict, report.remembered), (Verdict::Verified, Some(EntryCount(size))));
    assert_eq!(report.progress.signatures, 2);
    assert_eq!(report.progress.signatures_trusted, size + 1);
    // Whoever checked them ahead all the same, did: all but those of the genesis, whose keys
    // nobody knew yet.
    let report = ahead_of_the_judge(&forged, forged.entries.len(), Some(size));
    assert_eq!(report.progress.signatures, size + 1);
    assert_eq!(report.progress.signatures_trusted, 2);
}

// --- where it points -----------------------------------------------------------------------------

#[test]
fn a_signature_that_does_not_hold_is_found_where_no_byte_else_is_wrong() {
    let mut forge = Forge::new();
    let bad = forge.next();
    forge.copper(1_000);
    forge.copper(1_000);
    let bent = resigned_bent(forge.forged, bad, in_first_signature);
    let report = bent.judge_groups(pins());
    let expected = [(Some(bad), Kind::SignatureInvalid), (Some(bad + 1), Kind::ReplayStopped)];
    assert_eq!(kinds(&report), expected);
    assert_eq!(report.first_bad, Some(EntryIndex(bad)));
}

#[test]
fn an_envelope_that_does_not_read_is_found_with_its_place() {
    let mut forge = Forge::new();
    let bad = forge.next();
    forge.copper(1_000);
    let entry = Entry::parse(&forge.forged.entries[at(bad)]).unwrap();
    let offset = forge.forged.entries[at(bad)].len() - entry.envelope.len();
    let mut forged = forge.forged;
    forged.alter(at(bad), |bytes| bytes[offset] ^= 0x80);
    forged.reseal(&secret(LEDGER));
    let report = forged.judge_groups(pins());
    assert_eq!(kinds(&report), [(Some(bad), Kind::EntryMalformed)]);
    let detail = &report.findings[0].detail;
    assert!(detail.contains(&format!("entry offset {offset}:")), "{offset}: {detail}");
}

#[test]
fn behind_an_entry_that_does_not_read_form_signatures_and_chain_are_still_checked() {
    let mut forge = Forge::new();
    let stop = nothing_sensible(&mut forge);
    let replayed = stop;
    let other = nothing_sensible(&mut forge);
    let bent = forge.next();
    forge.copper(1_000);
    let said = forge.state(note(), &[LEDGER]);
    let broken = forge.append_payload(Bytes::from_static(b"\xff"), &[seed_of(COORD)]);
    let forged = resigned_bent(forge.forged, bent, in_first_signature);
    let report = forged.judge_groups(pins());
    let expected = [
        (Some(stop), Kind::NonCanonical),
        (Some(other), Kind::NonCanonical),
        (Some(bent), Kind::SignatureInvalid),
        (Some(broken), Kind::NonCanonical),
        (Some(stop + 1), Kind::ReplayStopped),
    ];
    assert_eq!(kinds(&report), expected, "{said}");
    assert_eq!(report.progress.replayed, replayed, "a note behind it is not replayed");
    // At the very end nothing is left unchecked.
    let mut forge = Forge::new();
    let last = nothing_sensible(&mut forge);
    assert_eq!(kinds(&forge.forged.judge_groups(pins())), [(Some(last), Kind::NonCanonical)]);
    // An entry that is none still has a place in the chain.
    let mut forge = Forge::new();
    let none = forge.next();
    forge.copper(1_000);
    forge.copper(1_000);
    let mut forged = forge.forged;
    forged.alter(at(none), |bytes| bytes.truncate(bytes.len() - 1));
    forged.sign(&origin(), &secret(LEDGER));
    let report = forged.judge_groups(pins());
    let next = kinds(&report);
    assert_eq!(next[0], (Some(none), Kind::EntryMalformed));
    assert!(next.contains(&(Some(none + 1), Kind::ChainBroken)), "{next:?}");
    let detail = |kind| &report.findings.iter().find(|it| it.kind == kind).unwrap().detail;
    let chain = urbanmine::ledger::ChainValue::of_entry(&forged.entries[at(none)]);
    let chain = urbanmine::domain::Hash32(chain.0).to_string();
    assert!(detail(Kind::ChainBroken).contains(&chain), "{}", detail(Kind::ChainBroken));
}

#[test]
fn an_entry_that_does_not_read_goes_on_in_the_chain() {
    let mut forge = Forge::new();
    let none = forge.next();
    forge.copper(1_000);
    forge.copper(1_000);
    let mut forged = forge.forged;
    forged.alter(at(none), |bytes| bytes[1] = 2);
    forged.reseal(&secret(LEDGER));
    let report = forged.judge_groups(pins());
    let found = kinds(&report);
    assert_eq!(found[0], (Some(none), Kind::FormatUnknown));
    assert!(!found.iter().any(|(_, kind)| *kind == Kind::ChainBroken), "{found:?}");
}

#[test]
fn entries_of_one_millisecond_follow_each_other() {
    let mut forge = Forge::new();
    let now = forge.now;
    for _ in 0..3 {
        forge.now = now;
        forge.state(note(), &[LEDGER]);
    }
    let report = forge.forged.judge_groups(pins());
    assert_eq!(report.verdict, Verdict::Verified, "{:?}", report.findings);
}

#[test]
fn links_that_differ_are_told_at_the_first_that_does() {
    let mut forge = Forge::new();
    let parent = forge.copper(1_000);
    let (first, second) = (forge.lot(), forge.lot());
    let event = forge.event(COLLECTOR, split(parent, &[draw(first, 400), draw(second, 600)]));
    let bad = forge.append_altered(&event, &[seed_of(COLLECTOR)], |draft| {
        for link in &mut draft.links[1..] {
            (link.ordinal, link.previous) = (4, Some(EntryIndex(0)));
        }
    });
    let report = forge.forged.judge_groups(pins());
    assert_eq!(kinds(&report), [(Some(bad), Kind::LinksWrong)]);
    let detail = &report.findings[0].detail;
    assert!(detail.starts_with("link 1 of 3: lot "), "{detail}");
    assert!(detail.contains("ordinal 4 after entry 0; it follows"), "{detail}");
}

#[test]
fn a_genesis_that_a_stranger_signs_is_found_by_its_signer() {
    let forge = Forge::bare();
    let entry = Entry::parse(&forge.forged.entries[0]).unwrap();
    let genesis = Envelope::parse(&entry.envelope).unwrap().payload;
    // The forge writes from entry 0 on: a ledger of one entry, signed by others.
    let judged = |seeds: &[u8], pins: Pins| {
        let mut forge = Forge::bare();
        let head = forge.forged.entries.len();
        forge.append_payload(genesis.clone(), seeds);
        let bytes = forge.forged.entries[head].clone();
        let mut forged = Forged { entries: vec![bytes], groups: vec![1], checkpoints: Vec::new() };
        forged.alter(0, |bytes| {
            bytes[3..11].copy_from_slice(&[0; 8]);
            bytes[forge::BATCH_FIRST].copy_from_slice(&[0; 8]);
        });
        forged.reseal(&secret(LEDGER));
        forged.judge_stream(pins)
    };
    let coordinator = seed_of(COORD);
    let report = judged(&[coordinator, LEDGER], pins());
    assert_eq!(report.verdict, Verdict::Verified, "{:?}", report.findings);
    let report = judged(&[coordinator, LEDGER, 77], pins());
    assert_eq!(kinds(&report), [(Some(0), Kind::SignerUnknown)]);
    // A genesis that does not hold names its key all the same: that is what is held against the
    // pinned one.
    let stranger = Pins { ledger_key: Some(public(77)), ..pins() };
    let report = judged(&[coordinator, LEDGER, 77], stranger);
    assert!(kinds(&report).contains(&(Some(0), Kind::LedgerKeyMismatch)), "{:?}", kinds(&report));
}

// --- what it says while it reads -----------------------------------------------------------------

#[test]
fn the_checkpoint_that_ends_with_the_ledgers_word_on_its_lots_is_kept() {
    let mut forge = Forge::new();
    forge.copper(1_000);
    let first = state_lots(&mut forge);
    forge.copper(1_000);
    let second = state_lots(&mut forge);
    let fed = |entries: usize| {
        let mut verifier = Verifier::new(pins());
        let (mut next, mut previous): (usize, Option<&[u8]>) = (0, None);
        for (length, checkpoint) in forge.forged.groups.iter().zip(&forge.forged.checkpoints) {
            if next + length > entries {
                break;
            }
            verifier.feed_group(&GroupInput {
                first: EntryIndex(next as u64),
                entries: &forge.forged.entries[next..next + length],
                previous_checkpoint: previous,
            });
            next += length;
            previous = Some(checkpoint);
        }
        verifier.checkpoint(previous.unwrap());
        let stating = verifier.stating_checkpoint().cloned();
        (verifier.lots_stated_at(), stating)
    };
    let of = |size| Some(checkpoint_of(&forge.forged, size));
    assert_eq!(fed(at(first)), (None, None));
    assert_eq!(fed(at(first) + 1), (Some(EntryIndex(first)), of(first + 1)));
    assert_eq!(fed(at(second)), (Some(EntryIndex(first)), of(first + 1)));
    assert_eq!(fed(at(second) + 1), (Some(EntryIndex(second)), of(second + 1)));
    // A stream under another checkpoint has none.
    let mut verifier = Verifier::new(pins());
    forge.copper(1_000);
    verifier.checkpoint(forge.forged.head());
    forge.forged.entries.iter().for_each(|entry| verifier.feed_entry(entry));
    assert_eq!(verifier.lots_stated_at(), Some(EntryIndex(second)));
    assert_eq!(verifier.stating_checkpoint(), None);
}

#[test]
fn a_rotation_waits_for_the_old_keys_checkpoint_and_no_other() {
    let mut forge = Forge::new();
    let rotated = forge.state(rotation(NEXT), &[LEDGER]);
    forge.copper(1_000);
    let mut forged = forge.forged;
    sign_after(&mut forged, rotated, NEXT);
    let mut verifier = Verifier::new(pins());
    verifier.checkpoint(forged.head());
    for (index, entry) in forged.entries.iter().enumerate() {
        verifier.feed_entry(entry);
        let awaited = verifier.awaits_checkpoint();
        assert_eq!(awaited, (index == at(rotated)).then_some(EntryIndex(rotated)), "{index}");
        if awaited.is_some() {
            verifier.rotation_checkpoint(checkpoint_of(&forged, rotated + 1).as_bytes());
            assert_eq!(verifier.awaits_checkpoint(), None);
        }
    }
    assert_eq!(verifier.ledger_keys(), [public(LEDGER), public(NEXT)]);
    let heard: Vec<_> = verifier.last_checkpoints().iter().map(|(key, _)| *key).collect();
    assert_eq!(heard, [public(LEDGER), public(NEXT)]);
    let report = verifier.finish();
    assert_eq!(report.verdict, Verdict::Verified, "{:?}", report.findings);
    // Of another size it is refused at once.
    let mut verifier = Verifier::new(pins());
    forged.entries[..=at(rotated)].iter().for_each(|entry| verifier.feed_entry(entry));
    verifier.rotation_checkpoint(checkpoint_of(&forged, rotated).as_bytes());
    assert_eq!(verifier.awaits_checkpoint(), Some(EntryIndex(rotated)));
    assert!(verifier.progress().findings > 0);
}

#[test]
fn a_next_key_under_a_signature_that_does_not_hold_is_not_followed() {
    let mut forge = Forge::new();
    let bad = forge.state(rotation(NEXT), &[LEDGER]);
    forge.copper(1_000);
    let forged = resigned_bent(forge.forged, bad, in_first_signature);
    let report = forged.judge_groups(pins());
    assert_eq!(kinds(&report), [(Some(bad), Kind::SignatureInvalid)]);
    assert_eq!((report.rotations, report.ledger_key), (0, Some(public(LEDGER))));
}

#[test]
fn a_ledger_has_only_so_many_keys() {
    let seeds: Vec<u8> = std::iter::once(LEDGER).chain(100..).take(MAX_LEDGER_KEYS + 1).collect();
    let mut forge = Forge::new();
    let first = forge.next();
    for two in seeds.windows(2) {
        forge.state(rotation(two[1]), &[two[0]]);
    }
    let mut forged = forge.forged;
    // Each rotation is a group of its own, which ends with the old key's checkpoint.
    let seed_at = |size: u64| seeds[at(size.saturating_sub(first + 1)).min(MAX_LEDGER_KEYS - 1)];
    sign_by(&mut forged, seed_at);
    let report = forged.judge_groups(pins());
    let refused = first + MAX_LEDGER_KEYS as u64 - 1;
    assert_eq!(kinds(&report), [(Some(refused), Kind::StatementInvalid)]);
    assert!(report.findings[0].detail.contains("as many keys"), "{}", report.findings[0]);
    assert_eq!(report.rotations, MAX_LEDGER_KEYS - 1);
    assert_eq!(report.ledger_key, Some(public(seeds[MAX_LEDGER_KEYS - 1])));
    // The same by receipts.
    let of = |index| artefacts::receipt(&forged, index).encode().into_bytes();
    let rotations: Vec<_> = (first..=refused).map(of).collect();
    let judged = |count: usize| {
        let report = verify_receipt_after(&of(refused), &rotations[..count], &pins());
        report.findings.first().map(|it| (it.kind, it.detail.contains("as many keys")))
    };
    assert_eq!(judged(MAX_LEDGER_KEYS - 1), None);
    assert_eq!(judged(MAX_LEDGER_KEYS), Some((Kind::StatementInvalid, true)));
}

#[test]
fn what_is_counted_is_what_was_done() {
    let mut forge = Forge::new();
    forge.copper(1_000);
    let forged = &forge.forged;
    let judged = |pins: Pins| forged.judge_groups(pins);
    let report = judged(pins());
    let (entries, bytes) = (forge.next(), forged.entries.iter().map(Bytes::len).sum::<usize>());
    let done = report.progress;
    assert_eq!((done.entries, done.bytes), (entries, bytes as u64));
    assert_eq!((done.replayed, done.signatures), (entries, entries + 1));
    assert_eq!((done.signatures_trusted, done.findings), (0, 0));
    // Findings that only the end brings count as well.
    let report = judged(Pins::default());
    assert_eq!(kinds(&report), [(None, Kind::PinsMissing)]);
    assert_eq!((report.progress.findings, report.findings_left_out), (1, 0));
    for (pins, missing) in [
        (Pins::default(), "neither key nor origin"),
        (Pins { ledger_key: None, ..pins() }, "the origin but no key"),
        (Pins { origin: None, ..pins() }, "the key but no origin"),
    ] {
        let report = judged(pins);
        assert!(report.findings[0].detail.contains(missing), "{}", report.findings[0]);
    }
}

#[test]
fn a_lot_that_is_not_there_has_no_grounds() {
    let mut forge = Forge::new();
    let lot = forge.copper(1_000);
    let judged = |keeps: bool, lot: LotId| {
        let mut verifier = Verifier::new(pins());
        if keeps {
            verifier.keep_history();
        }
        forge.forged.entries.iter().for_each(|entry| verifier.feed_entry(entry));
        verifier.grounds(lot)
    };
    let grounds = judged(true, lot).unwrap();
    assert_eq!(grounds.lots, [lot]);
    assert_eq!(grounds.entries.last(), Some(&EntryIndex(forge.next() - 1)));
    assert_eq!(grounds.entries.first(), Some(&EntryIndex(0)));
    let absent = LotId::parse(&forge::uuid(9_999)).unwrap();
    assert!(judged(true, absent).unwrap_err().contains("there is no lot"));
    assert!(judged(false, lot).unwrap_err().contains("was not kept"));
}

// --- in words ------------------------------------------------------------------------------------

#[test]
fn findings_and_verdicts_have_words() {
    let detail = "why".to_owned();
    let kind = Kind::ChainBroken;
    let finding = Finding { index: Some(EntryIndex(7)), kind, detail };
    assert_eq!(finding.to_string(), "entry 7: chain-broken: why");
    let finding = Finding { index: None, ..finding };
    assert_eq!(finding.to_string(), "chain-broken: why");
    let rows = [
        (Verdict::Verified, "verified", 0),
        (Verdict::Tampered, "tampered", 1),
        (Verdict::Undetermined, "undetermined", 2),
        (Verdict::Warnings, "warnings", 3),
    ];
    for (verdict, name, code) in rows {
        assert_eq!((verdict.name(), verdict.exit_code()), (name, code));
        assert_eq!(verdict.to_string(), name);
    }
}

// --- receipts ------------------------------------------------------------------------------------

#[test]
fn a_receipt_with_anothers_proof_is_unproven() {
    let mut forge = Forge::new();
    forge.copper(1_000);
    forge.copper(1_000);
    let mut receipt = artefacts::receipt(&forge.forged, 3);
    let judged = |receipt: &urbanmine::ledger::Receipt| {
        let report = verify_receipt(receipt.encode().as_bytes(), &pins());
        report.findings.iter().map(|it| it.kind).collect::<Vec<_>>()
    };
    assert_eq!(judged(&receipt), []);
    receipt.proof[0].0[0] ^= 1;
    assert_eq!(judged(&receipt), [Kind::ReceiptUnproven]);
}

#[test]
fn only_the_old_keys_last_word_names_the_next_key() {
    let why = |forged: &Forged, index: u64| {
        let rotation = artefacts::receipt(forged, index).encode().into_bytes();
        let any = artefacts::receipt(forged, 0).encode().into_bytes();
        let report = verify_receipt_after(&any, &[rotation], &pins());
        assert_eq!(report.entry, None);
        let [finding] = report.findings.as_slice() else { panic!("{:?}", report.findings) };
        assert_eq!(finding.kind, Kind::StatementInvalid);
        finding.detail.clone()
    };
    // An event at the end of its checkpoint, and a statement inside one.
    let mut forge = Forge::new();
    let event = forge.next();
    forge.copper(1_000);
    let no_last_word = "not a statement that ends a checkpoint of the old key";
    assert!(why(&forge.forged, event).contains(no_last_word));
    let inside = forge.state(rotation(NEXT), &[LEDGER]);
    forge.copper(1_000);
    let mut merged = forge.forged.clone();
    let last = merged.groups.pop().unwrap();
    *merged.groups.last_mut().unwrap() += last;
    merged.checkpoints.remove(merged.checkpoints.len() - 2);
    assert!(why(&merged, inside).contains(no_last_word));
    // The ledger's key by name, with a signature that is not its own.
    let bent = resigned_bent(forge.forged.clone(), inside, in_first_signature);
    assert!(why(&bent, inside).contains("not signed by the ledger key in force"));
    let mut forge = Forge::new();
    let other = forge.state(rotation(NEXT), &[NEXT]);
    assert!(why(&forge.forged, other).contains("not signed by the ledger key in force"));
}

/// Judging does not depend on which form of the same bytes came.
#[test]
fn an_event_under_its_own_bytes_is_what_is_judged() {
    let mut forge = Forge::new();
    let lot = forge.lot();
    let event = forge.event(COLLECTOR, collect(new_lot(lot, COPPER, 1_000)));
    let index = forge.append_payload(payload(&event), &[seed_of(COLLECTOR)]);
    // Right in all but its links, which the forge leaves out here.
    let report = forge.forged.judge_groups(pins());
    assert_eq!(kinds(&report), [(Some(index), Kind::LinksWrong)]);
    let detail = &report.findings[0].detail;
    assert!(detail.contains("link 0 of 0: no link"), "{detail}");
}

#[test]
fn one_entry_is_told_and_its_signatures_are_told_once() {
    let mut forge = Forge::new();
    let index = forge.next();
    forge.copper(1_000);
    forge.copper(1_000);
    let mut verifier = Verifier::new(pins());
    verifier.explain(EntryIndex(index));
    verifier.checkpoint(forge.forged.head());
    forge.forged.entries.iter().for_each(|entry| verifier.feed_entry(entry));
    let steps = verifier.finish().steps;
    let under: Vec<_> = steps.iter().filter(|it| it.name.starts_with("under key")).collect();
    assert_eq!(under.len(), 1, "{under:?}");
    let key = urbanmine::ledger::keys::key_id(&public(seed_of(COLLECTOR)));
    assert_eq!(under[0].name, format!("under key {key}"));
    assert_eq!(under[0].value, "holds, strictly");
    let of = |part: &str| steps.iter().filter(|it| it.part == part).count();
    assert_eq!((of("tree"), of("effects")), (2, 1), "{steps:?}");
}

/// The first of two correctives says that it stands alone: with it the batch is over.
#[test]
fn correctives_that_a_broken_batch_leaves_out_are_missed_where_it_breaks() {
    let mut forge = Forge::new();
    let lots = [forge.lot(), forge.lot(), forge.lot()];
    let [mistake, one, two] =
        lots.map(|lot| forge.event(COLLECTOR, collect(new_lot(lot, COPPER, 1_000))));
    forge.append(&mistake);
    let declared = forge.event(COLLECTOR, error(mistake.id, &[&one, &two]));
    let first = forge.batch(&[declared, one, two]);
    assert_eq!(forge.forged.judge_stream(pins()).verdict, Verdict::Verified);
    let mut broken = forge.forged;
    broken.alter(at(first + 1), |bytes| {
        bytes[forge::BATCH_FIRST].copy_from_slice(&(first + 1).to_be_bytes());
        bytes[forge::BATCH_LEN].copy_from_slice(&[0, 1]);
    });
    broken.reseal(&secret(LEDGER));
    for report in [broken.judge_groups(pins()), broken.judge_stream(pins())] {
        let expected = [
            (Some(first + 1), Kind::BatchBroken),
            (Some(first + 1), Kind::CorrectivesMissing),
            (Some(first + 2), Kind::BatchBroken),
            (Some(first + 2), Kind::ReplayStopped),
        ];
        assert_eq!(kinds(&report), expected);
    }
}

#[test]
fn a_bundle_is_held_to_the_policy() {
    let (forge, lot, _) = artefacts::short_story(3_000);
    let policy = Policy::parse(artefacts::policy().as_bytes()).unwrap();
    let mut bundle = artefacts::bundle(&forge.forged, lot);
    let judged = |bundle: &Bundle, policy: Option<&Policy>| {
        let report = verify_bundle(bundle.encode().as_bytes(), Some(lot), &pins(), policy);
        let found: Vec<Kind> = report.findings.iter().map(|it| it.kind).collect();
        (report.verdict, found)
    };
    // This one holds no word of the ledger on its lots.
    let unproven = vec![Kind::StoryEndUnproven];
    assert_eq!(judged(&bundle, None), (Verdict::Warnings, unproven.clone()));
    let missing = vec![Kind::StoryEndUnproven, Kind::CosignaturesMissing];
    assert_eq!(judged(&bundle, Some(&policy)), (Verdict::Undetermined, missing));
    bundle.checkpoint = artefacts::cosigned(&bundle.checkpoint, &artefacts::WITNESSES);
    assert_eq!(judged(&bundle, Some(&policy)), (Verdict::Warnings, unproven));
}
