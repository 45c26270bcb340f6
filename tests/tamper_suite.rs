//! The tamper suite: generated, not hand-picked. Every row says what was changed, what the verifier
//! was given, how many copies were judged, and what it must say; an untouched copy is never
//! accused. `cargo test --test tamper_suite -- --nocapture` prints the table.
//!
//! Given: `key` is the pinned ledger key and origin; `memory` a remembered checkpoint besides.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "common/data_dir.rs"]
#[allow(unreachable_pub, reason = "shared by test files")]
mod data_dir;
#[path = "common/forge.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared by test files that use parts of it")]
mod forge;
#[path = "common/forge_world.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared by test files that use parts of it")]
mod forge_world;
#[path = "common/tree.rs"]
#[allow(unreachable_pub, reason = "shared by test files")]
mod tree;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use assert_cmd::cargo::CommandCargoExt as _;
use bytes::Bytes;
use data_dir::{segment, write_data};
use forge::{Forge, Forged, LEDGER, origin, payload, pins, public, secret, seed_of};
use forge_world::*;
use rayon::prelude::*;
use tree::{Tree, tree};
use urbanmine::cli::verify::{Judged, check_data, check_export};
use urbanmine::domain::event::{NewLot, OpeningInventory};
use urbanmine::domain::vocabulary::OriginKind;
use urbanmine::domain::{Body, EntryCount, EntryIndex, Event, Hash32, PublicKey};
use urbanmine::ledger::frame;
use urbanmine::ledger::tree::inclusion_proof;
use urbanmine::ledger::{
    ChainValue, Checkpoint, Draft, Entry, EntryKind, Envelope, Position, Receipt, SignedCheckpoint,
};
use urbanmine::limits::{FRAME_HEADER_BYTES, SEGMENT_HEADER_BYTES};
use urbanmine::verify::{
    FindingKind as Kind, Pins, Remembered, Report, Verdict, Verifier, verify_receipt,
};

/// What is judged: one party, tables in chunks, a batch, a statement.
fn small() -> Forged {
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
    let note = urbanmine::wire::statement::StatementBody::RestartNote { software: "f".to_owned() };
    forge.state(note, &[LEDGER]);
    forge.copper(2_000);
    forge.forged
}

/// Prints a row of the table, once its copies were judged.
fn row(attack: &str, given: &str, copies: usize, outcome: &str) {
    println!("| {attack} | {given} | {copies} | {outcome} |");
}

fn told(report: &Report) -> String {
    report.findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

fn has(report: &Report, kind: Kind) -> bool {
    report.findings.iter().any(|it| it.kind == kind)
}

fn copy(from: &Path, to: &Path) {
    assert!(Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap().success());
}

/// Judges a directory once for every place of one of its files, with that file changed there. Each
/// thread has a copy of its own.
fn bend_each(
    root: &Path,
    file: &Path,
    places: &[usize],
    bend: impl Fn(&mut Vec<u8>, usize) + Sync,
    judge: impl Fn(&Path) -> anyhow::Result<Judged> + Sync,
    check: impl Fn(usize, &anyhow::Result<Judged>) + Sync,
) {
    let original = fs::read(root.join(file)).unwrap();
    places.par_chunks(places.len().div_ceil(4).max(1)).for_each(|places| {
        let folder = tempfile::tempdir().unwrap();
        let own = folder.path().join("copy");
        copy(root, &own);
        for place in places {
            let mut bytes = original.clone();
            bend(&mut bytes, *place);
            fs::write(own.join(file), bytes).unwrap();
            check(*place, &judge(&own));
        }
    });
}

/// The frames of a journal: where each begins, its length, its first entry and the one after it.
fn frames(journal: &[u8]) -> Vec<(usize, usize, u64, u64)> {
    let (mut at, mut found) = (SEGMENT_HEADER_BYTES, Vec::new());
    while let Ok(header) = frame::parse_header(&journal[at..]) {
        found.push((at, header.frame_len(), header.first.0, header.end().0));
        at += header.frame_len();
    }
    found
}

/// The bytes of the entries of a frame, with their indexes.
fn entries_in(
    journal: &[u8],
    (at, length, first, _): (usize, usize, u64, u64),
) -> Vec<(usize, usize, u64)> {
    let header = frame::parse_header(&journal[at..at + length]).unwrap();
    let mut place = at + FRAME_HEADER_BYTES + header.checkpoint_len;
    let mut found = Vec::new();
    for index in first..header.end().0 {
        let len = u32::from_be_bytes(journal[place..place + 4].try_into().unwrap()) as usize;
        found.push((place + 4, len, index));
        place += 4 + len;
    }
    found
}

// --- files ---------------------------------------------------------------------------------------

#[test]
fn every_byte_of_a_journal() {
    let whole = small();
    let folder = tempfile::tempdir().unwrap();
    let data = write_data(&whole, folder.path());
    let judge = |root: &Path| check_data(&root.join("data"), None, pins());
    let untouched = judge(folder.path()).unwrap();
    assert_eq!(untouched.verdict(), Verdict::Verified, "{}", told(untouched.report()));

    let journal = fs::read(segment(&data)).unwrap();
    let file = segment(Path::new("data"));
    let frames = frames(&journal);
    let end = frames.last().map(|(at, length, ..)| at + length).unwrap();
    let flip = |bytes: &mut Vec<u8>, place: usize| bytes[place] ^= 1 << (place % 8);

    // As a disk or a vandal does it.
    let places: Vec<usize> = (0..end).collect();
    bend_each(folder.path(), &file, &places, flip, judge, |place, judged| {
        let judged = judged.as_ref().unwrap();
        let frame = frames.iter().find(|(at, length, ..)| (*at..at + length).contains(&place));
        let first = frame.map_or(0, |(.., first, _)| *first);
        assert_eq!(judged.verdict(), Verdict::Tampered, "byte {place}");
        assert_eq!(judged.first_bad(), Some(EntryIndex(first)), "byte {place}");
    });
    row(
        "a bit of each byte of the journal",
        "key",
        places.len(),
        "tampered, at its frame's first entry",
    );

    // Behind the last frame nothing was ever acknowledged: all entries under the signed head are
    // there, and hold.
    let places: Vec<usize> = (end..journal.len()).collect();
    bend_each(folder.path(), &file, &places, flip, judge, |place, judged| {
        let judged = judged.as_ref().unwrap();
        let is_inert = judged.verdict() == Verdict::Verified
            && judged.report().entries == untouched.report().entries
            && judged.report().checkpoint == untouched.report().checkpoint;
        assert!(is_inert || judged.verdict() == Verdict::Tampered, "byte {place}");
    });
    row(
        "a bit of each byte behind the last frame",
        "key",
        places.len(),
        "inert: the same entries under the same signed head",
    );

    // As somebody does it who knows the format: the checksums are right again.
    let resealed = |bytes: &mut Vec<u8>, place: usize| {
        let (at, length, ..) =
            *frames.iter().find(|(at, length, ..)| (*at..at + length).contains(&place)).unwrap();
        bytes[place] ^= 1 << (place % 8);
        let header = crc32c::crc32c(&bytes[at..at + 24]);
        bytes[at + 24..at + 28].copy_from_slice(&header.to_be_bytes());
        let sum = crc32c::crc32c(&bytes[at..at + length - 4]);
        bytes[at + length - 4..at + length].copy_from_slice(&sum.to_be_bytes());
    };
    let is_checksum = |place: usize| {
        frames.iter().any(|(at, length, ..)| {
            (at + 24..at + 28).contains(&place) || (at + length - 4..at + length).contains(&place)
        })
    };
    let places: Vec<usize> =
        (SEGMENT_HEADER_BYTES..end).filter(|place| !is_checksum(*place)).collect();
    let all: Vec<(usize, usize, u64)> =
        frames.iter().flat_map(|frame| entries_in(&journal, *frame)).collect();
    let last = all.last().unwrap().2;
    bend_each(folder.path(), &file, &places, resealed, judge, |place, judged| {
        let judged = judged.as_ref().unwrap();
        assert_eq!(judged.verdict(), Verdict::Tampered, "byte {place}");
        let inside = all.iter().find(|(at, length, _)| (*at..at + length).contains(&place));
        if let Some((.., index)) = inside {
            let named = judged.first_bad().map(|it| it.0);
            let is_right = named == Some(*index) || named == Some(index + 1);
            let is_last =
                *index == last && named.is_none() && has(judged.report(), Kind::RootMismatch);
            assert!(is_right || is_last, "byte {place} of entry {index}: {named:?}");
        }
    });
    row(
        "the same, with every checksum made right",
        "key",
        places.len(),
        "tampered, at the entry or the next",
    );

    // The signed head, and the name plate.
    for (file, what) in [
        ("data.guard/guard", "a bit of each byte of the head guard"),
        ("data/FORMAT", "a bit of each byte of FORMAT"),
    ] {
        let places: Vec<usize> = (0..fs::read(folder.path().join(file)).unwrap().len()).collect();
        bend_each(
            folder.path(),
            Path::new(file),
            &places,
            flip,
            judge,
            |place, judged| match judged {
                Ok(judged) => {
                    assert_ne!(judged.verdict(), Verdict::Verified, "{file}, byte {place}");
                }
                Err(_) => assert_eq!(file, "data/FORMAT", "byte {place}"),
            },
        );
        row(what, "key", places.len(), "never verified");
    }
}

#[test]
fn every_byte_of_an_export() {
    let whole = small();
    let folder = tempfile::tempdir().unwrap();
    let data = write_data(&whole, folder.path());
    let to = folder.path().join("export");
    let mut command = Command::cargo_bin("urbanmine").unwrap();
    command.args(["export", "--data", data.to_str().unwrap(), "--to", to.to_str().unwrap()]);
    assert!(command.output().unwrap().status.success());
    let judge = |root: &Path| check_export(root, pins());
    assert_eq!(judge(&to).unwrap().verdict(), Verdict::Verified);

    let files = files_of(&to);
    assert!(files.len() >= 3, "{files:?}");
    let (mut places_in_all, mut entries_of_bundles) = (0, 0);
    for file in &files {
        let bytes = fs::read(to.join(file)).unwrap();
        let places: Vec<usize> = (0..bytes.len()).collect();
        let is_bundle = file.to_str().unwrap().contains("entries");
        let starts = if is_bundle { bundle_entries(&bytes) } else { Vec::new() };
        entries_of_bundles += starts.len();
        let last = whole.size().0 - 1;
        let flip = |bytes: &mut Vec<u8>, place: usize| bytes[place] ^= 1 << (place % 8);
        bend_each(&to, file, &places, flip, judge, |place, judged| {
            let judged = judged.as_ref().unwrap();
            let words = || format!("{file:?}, byte {place}: {}", told(judged.report()));
            assert_eq!(judged.verdict(), Verdict::Tampered, "{}", words());
            let inside = starts.iter().find(|(at, length, _)| (*at..at + length).contains(&place));
            if let Some((.., index)) = inside {
                let named = judged.first_bad().map(|it| it.0);
                let is_right = named == Some(*index) || named == Some(index + 1);
                assert!(is_right || (*index == last && named.is_none()), "{}", words());
            }
        });
        places_in_all += places.len();
    }
    assert_eq!(entries_of_bundles as u64, whole.size().0);
    row(
        "a bit of each byte of each file of an export",
        "key",
        places_in_all,
        "tampered, at the entry or the next",
    );

    // Files that are not there, or cut.
    let mut cut = 0;
    for file in &files {
        let bytes = fs::read(to.join(file)).unwrap();
        let places: Vec<usize> = (0..bytes.len()).collect();
        let truncate = |bytes: &mut Vec<u8>, place: usize| bytes.truncate(place);
        bend_each(&to, file, &places, truncate, judge, |place, judged| {
            let verdict = judged.as_ref().map_or(Verdict::Undetermined, Judged::verdict);
            assert!(verdict >= Verdict::Undetermined, "{file:?} cut at {place}");
        });
        cut += places.len();
    }
    row("each file of an export cut at each byte", "key", cut, "tampered, or could not verify");
}

fn files_of(dir: &Path) -> Vec<PathBuf> {
    let (mut open, mut found) = (vec![dir.to_owned()], Vec::new());
    while let Some(folder) = open.pop() {
        for item in fs::read_dir(folder).unwrap() {
            let path = item.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.metadata().unwrap().len() > 0 {
                found.push(path.strip_prefix(dir).unwrap().to_owned());
            }
        }
    }
    found.sort();
    found
}

/// The entries of a bundle of entries from 0 on: where each begins, its length, its index.
fn bundle_entries(bytes: &[u8]) -> Vec<(usize, usize, u64)> {
    let (mut at, mut found) = (0, Vec::new());
    while at < bytes.len() {
        let length = usize::from(u16::from_be_bytes([bytes[at], bytes[at + 1]]));
        found.push((at + 2, length, found.len() as u64));
        at += 2 + length;
    }
    found
}

#[test]
fn every_byte_of_receipts() {
    let whole = small();
    let tree = tree(&whole.entries);
    let mut copies = 0;
    for index in [0, whole.size().0 / 2, whole.size().0 - 1].map(EntryIndex) {
        let text = receipt(&whole, &tree, index);
        assert_eq!(verify_receipt(&text, &pins()).verdict, Verdict::Verified);
        (0..text.len()).into_par_iter().for_each(|place| {
            let mut bent = text.clone();
            bent[place] ^= 1 << (place % 8);
            let report = verify_receipt(&bent, &pins());
            assert_eq!(report.verdict, Verdict::Tampered, "entry {index}, byte {place}");
        });
        copies += text.len();
    }
    row("a bit of each byte of three receipts", "key", copies, "tampered");
}

fn receipt(forged: &Forged, tree: &Tree, index: EntryIndex) -> Vec<u8> {
    let proof = inclusion_proof(index, forged.size(), tree).unwrap();
    let (_, checkpoint) = SignedCheckpoint::parse(forged.head()).unwrap();
    let entry = forged.entries[usize::try_from(index.0).unwrap()].clone();
    Receipt { entry, index, proof, checkpoint }.encode().into_bytes()
}

// --- histories -----------------------------------------------------------------------------------

/// Judged as a server shows it, with the checkpoint of the head, and what is remembered.
fn shown(entries: &[Bytes], head: &[u8], memory: Option<&[u8]>, pins: Pins) -> Report {
    let mut verifier = Verifier::new(pins);
    if let Some(memory) = memory {
        verifier.remember(memory, Remembered::Consistency);
    }
    verifier.checkpoint(head);
    for entry in entries {
        verifier.feed_entry(entry);
    }
    verifier.finish()
}

fn is_tampered(report: &Report, words: &str) {
    assert_eq!(report.verdict, Verdict::Tampered, "{words}: {}", told(report));
}

/// The operator's whole craft: chain, tree and checkpoints made anew with the ledger's own key.
fn remade(forged: &Forged, at: usize, change: impl FnOnce(&mut Vec<u8>)) -> Forged {
    let mut changed = forged.clone();
    changed.alter(at, change);
    changed.reseal(&secret(LEDGER));
    changed
}

#[test]
fn entries_dropped_doubled_swapped_and_cut() {
    let whole = small();
    let count = whole.entries.len();
    for at in 0..count {
        let mut entries = whole.entries.clone();
        entries.remove(at);
        let report = shown(&entries, whole.head(), None, pins());
        is_tampered(&report, &format!("entry {at} dropped"));
        assert_eq!(report.first_bad, Some(EntryIndex(at as u64)), "{}", told(&report));
    }
    row("each entry dropped", "key", count, "tampered, at its place");
    for at in 0..count {
        let mut entries = whole.entries.clone();
        entries.insert(at, whole.entries[at].clone());
        let report = shown(&entries, whole.head(), None, pins());
        is_tampered(&report, &format!("entry {at} doubled"));
        let named = report.first_bad.map(|it| it.0);
        assert_eq!(named, Some(at as u64 + 1), "{}", told(&report));
    }
    row("each entry twice", "key", count, "tampered, at the second");
    for at in 0..count - 1 {
        let mut entries = whole.entries.clone();
        entries.swap(at, at + 1);
        let report = shown(&entries, whole.head(), None, pins());
        is_tampered(&report, &format!("entries {at} and {} swapped", at + 1));
        assert_eq!(report.first_bad, Some(EntryIndex(at as u64)), "{}", told(&report));
    }
    row("each two neighbours swapped", "key", count - 1, "tampered, at the first");
    for length in 0..count {
        let report = shown(&whole.entries[..length], whole.head(), None, pins());
        is_tampered(&report, &format!("cut at {length}"));
        let first = report.first_bad.unwrap().0;
        assert!(first <= length as u64, "{}", told(&report));
    }
    row(
        "cut at each entry, under the newest head",
        "key",
        count,
        "tampered, at the first that is missing",
    );
    // An older head that is as long: nothing is wrong with it, except for who remembers more.
    let mut next = 0;
    for (length, checkpoint) in whole.groups.iter().zip(&whole.checkpoints) {
        next += length;
        if next == count {
            break;
        }
        let report = shown(&whole.entries[..next], checkpoint, None, pins());
        assert_eq!(report.verdict, Verdict::Verified, "{}", told(&report));
        let report = shown(&whole.entries[..next], checkpoint, Some(whole.head()), pins());
        is_tampered(&report, &format!("gone back to {next}"));
        assert!(has(&report, Kind::RolledBack), "{}", told(&report));
    }
    row(
        "gone back to each older signed head",
        "key",
        whole.groups.len() - 1,
        "verified: nobody could tell",
    );
    row(
        "gone back to each older signed head",
        "key, memory",
        whole.groups.len() - 1,
        "tampered: rolled-back",
    );
}

#[test]
fn whoever_recomputes_hashes() {
    let whole = small();
    let (mut chained, mut treed, mut signed) = (0, 0, 0);
    for at in 1..whole.entries.len() {
        let length = whole.entries[at].len();
        // A byte of the payload: what the party signed.
        let place = length - 3;
        let mut changed = whole.clone();
        changed.alter(at, |bytes| bytes[place] ^= 1);
        let bare = changed.clone();
        changed.reseal(&secret(LEDGER));
        // The chain is right again, the signed head is the old one.
        let report = shown(&changed.entries, whole.head(), None, pins());
        is_tampered(&report, &format!("entry {at}, chain recomputed"));
        assert!(has(&report, Kind::RootMismatch), "{}", told(&report));
        chained += 1;
        // The tree is right again, under a key that the attacker has.
        let mut own = bare.clone();
        own.reseal(&secret(LEDGER - 1));
        let report = shown(&own.entries, own.head(), None, pins());
        is_tampered(&report, &format!("entry {at}, tree recomputed"));
        assert!(has(&report, Kind::CheckpointUnsigned), "{}", told(&report));
        treed += 1;
        // The operator signs everything anew: only the party's signature is left to catch it.
        let report = shown(&changed.entries, changed.head(), None, pins());
        is_tampered(&report, &format!("entry {at}, everything re-signed by the operator"));
        assert_eq!(report.first_bad, Some(EntryIndex(at as u64)), "{}", told(&report));
        assert!(!has(&report, Kind::RootMismatch) && !has(&report, Kind::ChainBroken));
        signed += 1;
    }
    row("each entry changed, chain recomputed", "key", chained, "tampered: root-mismatch");
    row(
        "each entry changed, chain and tree recomputed, another key signs",
        "key",
        treed,
        "tampered: checkpoint-unsigned",
    );
    row(
        "each entry changed, everything re-signed with the ledger's own key",
        "key",
        signed,
        "tampered, at the entry",
    );
}

/// Every mass in every event, by the operator who holds the ledger's key and not the party's.
#[test]
fn masses_edited_by_the_operator() {
    let whole = small();
    let mut edited = 0;
    for (at, bytes) in whole.entries.iter().enumerate() {
        let entry = Entry::parse(bytes).unwrap();
        let envelope = Envelope::parse(&entry.envelope).unwrap();
        let Ok(mut event) = urbanmine::wire::decode_event(&envelope.payload) else { continue };
        if !double_a_mass(&mut event) {
            continue;
        }
        let forged = Envelope { payload: payload(&event), ..envelope };
        let draft = Draft {
            kind: EntryKind::Event,
            recorded_at: entry.recorded_at,
            rules_version: entry.rules_version,
            tables_hash: entry.tables_hash,
            links: entry.links,
            envelope: forged.encode(),
        };
        let position = Position {
            index: entry.index,
            previous: entry.previous,
            batch_first: entry.batch_first,
            batch_len: entry.batch_len,
        };
        let sealed = draft.seal(position).unwrap();
        let changed = remade(&whole, at, |bytes| *bytes = sealed.bytes().to_vec());
        let report = shown(&changed.entries, changed.head(), None, pins());
        is_tampered(&report, &format!("the mass of entry {at}"));
        assert_eq!(report.first_bad, Some(EntryIndex(at as u64)), "{}", told(&report));
        assert_eq!(report.findings[0].kind, Kind::SignatureInvalid, "{}", told(&report));
        edited += 1;
    }
    assert!(edited >= 4, "{edited}");
    row(
        "a mass edited in each event, everything re-signed by the operator",
        "key",
        edited,
        "tampered: signature-invalid, at the entry",
    );
}

fn double_a_mass(event: &mut Event) -> bool {
    let double = |grams: &mut urbanmine::domain::Grams| {
        *grams = urbanmine::domain::Grams::of(grams.get() * 2);
    };
    match &mut event.body {
        Body::CollectLot(it) => {
            double(&mut it.lot.net_mass);
            double(&mut it.weighing.net);
            it.weighing.gross =
                urbanmine::domain::Grams::of(it.weighing.net.get() + it.weighing.tare.get());
            true
        }
        Body::SplitLot(it) => {
            it.children.iter_mut().for_each(|child| double(&mut child.mass));
            true
        }
        _ => false,
    }
}

#[test]
fn forks_and_other_ledgers() {
    // Two histories under one key, from each entry on.
    let mut forge = Forge::bare();
    forge.publish(&tables_text());
    let registered = &PARTIES[1];
    forge.register(registered.id, registered.roles, &registered.licences[1..2]);
    let mut forks = 0;
    for other in [500_u64, 600, 700] {
        let (mut one, mut two) = (forge.clone(), forge.clone());
        one.copper(1_000);
        two.copper(other);
        two.copper(other);
        let (one, two) = (one.forged, two.forged);
        for (shown_one, memory) in [(&two, &one), (&one, &two)] {
            let report = shown(&shown_one.entries, shown_one.head(), None, pins());
            assert_eq!(report.verdict, Verdict::Verified, "each alone is sound");
            let memory = Some(memory.head());
            let report = shown(&shown_one.entries, shown_one.head(), memory, pins());
            is_tampered(&report, "a fork");
            assert!(has(&report, Kind::Forked) || has(&report, Kind::RolledBack));
            forks += 1;
        }
        forge.copper(100);
    }
    row(
        "a fork, signed with the ledger's own key",
        "key",
        forks,
        "verified: each history alone is sound",
    );
    row(
        "a fork, signed with the ledger's own key",
        "key, memory",
        forks,
        "tampered: forked or rolled-back",
    );

    // The key swapped, in the genesis and everywhere, or only in the head.
    let whole = small();
    let pinned = |key: PublicKey| Pins { ledger_key: Some(key), ..pins() };
    let report = shown(&whole.entries, whole.head(), None, pinned(public(LEDGER - 1)));
    is_tampered(&report, "another key");
    assert!(has(&report, Kind::LedgerKeyMismatch), "{}", told(&report));
    let other = Pins {
        origin: Some(urbanmine::domain::Origin::parse("other.example/x").unwrap()),
        ..pins()
    };
    let report = shown(&whole.entries, whole.head(), None, other);
    is_tampered(&report, "a server that says it is another");
    assert_eq!(report.first_bad, Some(EntryIndex(0)));
    row("another ledger's key, or name, than the pinned one", "key", 2, "tampered, at entry 0");

    // A head of nothing, signed by the ledger.
    let nothing = Checkpoint {
        origin: origin(),
        size: EntryCount(0),
        root: urbanmine::ledger::hash::sha256(&[]),
    };
    let nothing = nothing.sign(&secret(LEDGER));
    for entries in [&whole.entries[..], &[]] {
        let report = shown(entries, nothing.as_bytes(), None, pins());
        assert_eq!(report.verdict, Verdict::Undetermined, "{}", told(&report));
    }
    row("a signed checkpoint of size 0", "key", 2, "could not verify");
}

#[test]
fn proofs_that_prove_something_else() {
    let whole = small();
    let mut longer = Forge::new();
    longer.story();
    let longer = longer.forged;
    let (own, foreign) = (tree(&whole.entries), tree(&longer.entries));
    let mut refused = 0;
    // The proof of each other entry, and of another ledger's.
    for index in (0..whole.size().0).map(EntryIndex) {
        let good = Receipt::parse(&receipt(&whole, &own, index)).unwrap();
        let others = (0..whole.size().0).map(EntryIndex).filter(|it| *it != index);
        let mut proofs: Vec<Vec<Hash32>> =
            others.map(|other| inclusion_proof(other, whole.size(), &own).unwrap()).collect();
        proofs.push(inclusion_proof(index, longer.size(), &foreign).unwrap());
        for proof in proofs.into_iter().filter(|it| *it != good.proof) {
            let bent = Receipt { proof, ..good.clone() };
            let report = verify_receipt(bent.encode().as_bytes(), &pins());
            assert_eq!(report.verdict, Verdict::Tampered);
            refused += 1;
        }
    }
    row(
        "receipts with the proof of another entry, or of another ledger",
        "key",
        refused,
        "tampered",
    );

    // CVE-2022-36111: a linear proof (the chain) stood in for the tree, and could be faked. Here
    // the chain proves nothing: an entry that repeats the chain value of a signed history, and is
    // in no tree, gets past nobody, whatever hashes of chain or tree are put into its proof.
    let mut faked = 0;
    let size = whole.size();
    let mut chain = vec![ChainValue::START.0];
    chain.extend(whole.entries.iter().map(|it| ChainValue::of_entry(it).0));
    for at in 1..whole.entries.len() {
        let entry = Entry::parse(&whole.entries[at]).unwrap();
        let mut bytes = whole.entries[at].to_vec();
        let end = bytes.len() - 1;
        bytes[end] ^= 1;
        assert_eq!(entry.previous.0, chain[at]);
        let index = EntryIndex(at as u64);
        let good = inclusion_proof(index, size, &own).unwrap();
        let of_chain: Vec<Hash32> = chain[at..].iter().map(|it| Hash32(*it)).collect();
        let mixed: Vec<Hash32> = good
            .iter()
            .zip(&of_chain)
            .map(|(tree, chain)| if at % 2 == 0 { *tree } else { *chain })
            .collect();
        for proof in [good.clone(), of_chain.clone(), mixed, Vec::new()] {
            let (_, checkpoint) = SignedCheckpoint::parse(whole.head()).unwrap();
            let entry = Bytes::from(bytes.clone());
            let text = Receipt { entry, index, proof, checkpoint }.encode();
            let report = verify_receipt(text.as_bytes(), &pins());
            assert_eq!(report.verdict, Verdict::Tampered, "entry {at}");
            faked += 1;
        }
    }
    row(
        "a linear fake (CVE-2022-36111): the chain offered as a proof",
        "key",
        faked,
        "tampered: nothing but the tree proves",
    );
}

// --- parties and operator together ---------------------------------------------------------------

/// Every hash, link and signature is right; only the metal does not add up.
#[test]
fn parties_and_operator_collude() {
    type Lie = fn(&mut Forge) -> Event;
    let rows: [(&str, Lie, &str); 3] = [
        ("collusion: one double spend", double_spend, "R2"),
        ("collusion: one element gained", element_gain, "R6"),
        ("collusion: one purchase of ore as scrap", ore_purchase, "R1"),
    ];
    for (attack, lie, rule) in rows {
        let mut forge = Forge::new();
        let event = lie(&mut forge);
        let at = forge.append_signed(&event, &[seed_of(event.actor)]);
        forge.copper(10);
        let whole = forge.forged;
        for report in [whole.judge_groups(pins()), whole.judge_stream(pins())] {
            is_tampered(&report, attack);
            assert_eq!(report.first_bad, Some(EntryIndex(at)), "{}", told(&report));
            let finding = report.findings.iter().find(|it| it.kind == Kind::RuleBroken).unwrap();
            assert!(finding.detail.starts_with(rule), "{}", finding.detail);
            let is_clean = !has(&report, Kind::RootMismatch)
                && !has(&report, Kind::ChainBroken)
                && !has(&report, Kind::SignatureInvalid)
                && !has(&report, Kind::LinksWrong);
            assert!(is_clean, "{}", told(&report));
        }
        row(attack, "key", 1, &format!("tampered: rule-broken {rule}, at the entry"));
    }
}

fn double_spend(forge: &mut Forge) -> Event {
    let lot = forge.copper(1_000);
    let (left, right) = (forge.lot(), forge.lot());
    forge.say(COLLECTOR, split(lot, &[draw(left, 1_000)]));
    forge.event(COLLECTOR, split(lot, &[draw(right, 1_000)]))
}

fn element_gain(forge: &mut Forge) -> Event {
    let lot = forge.copper(1_000);
    forge.deliver(lot, 1_000);
    let cathode = forge.lot();
    // Half of the scrap is copper: 500 g cannot become 900 g.
    let output = with_copper(made(cathode, CATHODE, 900), 99_990_000);
    let slag = with_copper(made(forge.lot(), SLAG, 100), 0);
    let melt = refining(&[draw(lot, 1_000)], &[output], &[slag]);
    forge.event(SMELTER, refine(melt))
}

/// Ore that a separation plant declared goes to a recovery plant, which deals in scrap only.
fn ore_purchase(forge: &mut Forge) -> Event {
    let lot = forge.lot();
    let ore = NewLot { origin_kind: Some(OriginKind::Ore), ..new_lot(lot, ORE, 1_000) };
    let opening = OpeningInventory { party: SEPARATOR, lots: vec![ore] };
    forge.say(COORD, Body::OpeningInventory(opening));
    forge.event(SEPARATOR, Body::OfferTransfer(offering(lot, 1_000, RECOVERY)))
}

#[test]
fn an_untouched_copy_is_never_accused() {
    let mut forge = Forge::new();
    forge.story();
    let mut copies = 0;
    for whole in [forge.forged, small()] {
        let mut next = 0;
        for (length, checkpoint) in whole.groups.iter().zip(&whole.checkpoints) {
            next += length;
            for memory in [None, Some(&whole.checkpoints[0][..]), Some(&checkpoint[..])] {
                let report = shown(&whole.entries[..next], checkpoint, memory, pins());
                assert_eq!(report.verdict, Verdict::Verified, "{}", told(&report));
                copies += 1;
            }
        }
    }
    row("nothing, at the end of each group", "key; key, memory", copies, "verified");
}
