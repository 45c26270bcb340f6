//! Bundles, and what a reader remembers, that say more than they prove: a verdict that is too good,
//! or one that accuses a ledger that did nothing.

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

use std::collections::BTreeMap;

use artefacts::{receipt, rotation, sign_after, tree};
use bytes::Bytes;
use forge::{Forge, Forged, LEDGER, pins, public, secret};
use forge_world::*;
use urbanmine::domain::event::{ChargeCampaign, DrawCampaign, OpenCampaign, RevokeKey};
use urbanmine::domain::{Body, CampaignId, EntryCount, EntryIndex, Grams, Hash32, LotId, TimeMs};
use urbanmine::ledger::keys::key_id;
use urbanmine::ledger::lot_map::{EMPTY_MAP, MapTile, TilePath, TileSource, prove_lot, update_map};
use urbanmine::ledger::tree::inclusion_proof;
use urbanmine::ledger::{
    Bundle, BundledEntry, Checkpoint, Entry, Evidence, LotFile, LotKey, LotState, LotStateProof,
    Receipt, SignedCheckpoint,
};
use urbanmine::verify::{
    BundleReport, FindingKind as Kind, Pins, Remembered, Report, Verdict, Verifier, verify_bundle,
    verify_evidence,
};
use urbanmine::wire::statement::StatementBody;

const NEXT: u8 = LEDGER + 1;

// --- forged ledgers, and proofs from them --------------------------------------------------------

#[derive(Default)]
struct Tiles(BTreeMap<TilePath, MapTile>);

impl TileSource for Tiles {
    type Fault = ();

    fn tile(&self, path: &TilePath) -> Result<MapTile, ()> {
        let tile = self.0.get(path).cloned();
        tile.or((*path == TilePath::TOP).then_some(MapTile::EMPTY)).ok_or(())
    }
}

fn place_of(index: u64) -> usize {
    usize::try_from(index).unwrap()
}

/// The map of lot states over entries, and its root.
fn map(entries: &[Bytes]) -> (Tiles, Hash32) {
    let mut states = BTreeMap::new();
    for (index, bytes) in (0..).zip(entries) {
        for link in Entry::parse(bytes).unwrap().links {
            let entry_count = u64::from(link.ordinal) + 1;
            let state = LotState { entry_count, last: EntryIndex(index) };
            states.insert(LotKey::of(link.lot), state);
        }
    }
    let update = update_map(&Tiles::default(), &EMPTY_MAP, &states).unwrap();
    (Tiles(update.tiles.iter().collect()), update.root)
}

fn state_lots(forge: &mut Forge, seed: u8) -> u64 {
    let (_, root) = map(&forge.forged.entries);
    let size = EntryCount(forge.next());
    forge.state(StatementBody::LotStateRoot { size, root }, &[seed])
}

/// The state of a lot as an entry states it, under the checkpoint of the head.
fn lot_state(forged: &Forged, lot: LotId, at: u64) -> Vec<u8> {
    let (tiles, _) = map(&forged.entries[..place_of(at)]);
    let way = prove_lot(&tiles, lot).unwrap();
    let statement = proven(forged, at, forged.size().0, forged.head());
    LotFile { state: LotStateProof { lot, way, statement }, story: None }.encode().into_bytes()
}

fn proven(forged: &Forged, index: u64, size: u64, checkpoint: &[u8]) -> Receipt {
    let entry = forged.entries[place_of(index)].clone();
    let index = EntryIndex(index);
    let proof = inclusion_proof(index, EntryCount(size), &tree(&forged.entries)).unwrap();
    let (_, checkpoint) = SignedCheckpoint::parse(checkpoint).unwrap();
    Receipt { entry, index, proof, checkpoint }
}

fn checkpoint_of(forged: &Forged, size: u64) -> Vec<u8> {
    let is_its = |text: &&Vec<u8>| SignedCheckpoint::parse(text).unwrap().0.size.0 == size;
    forged.checkpoints.iter().find(is_its).unwrap().clone()
}

fn of_entries(forged: &Forged, lot: LotId, keep: impl Fn(u64) -> bool) -> Bundle {
    let (size, tree) = (forged.size(), tree(&forged.entries));
    let entry = |index: u64| BundledEntry {
        index: EntryIndex(index),
        entry: forged.entries[place_of(index)].clone(),
        proof: inclusion_proof(EntryIndex(index), size, &tree).unwrap(),
    };
    let (_, checkpoint) = SignedCheckpoint::parse(forged.head()).unwrap();
    let entries = (0..size.0).filter(|index| keep(*index)).map(entry).collect();
    Bundle { lot, entries, rotations: Vec::new(), lot_states: Vec::new(), checkpoint }
}

fn pinned(seed: u8) -> Pins {
    Pins { ledger_key: Some(public(seed)), ..pins() }
}

fn judged(bundle: &Bundle, seed: u8) -> BundleReport {
    verify_bundle(bundle.encode().as_bytes(), Some(bundle.lot), &pinned(seed), None)
}

fn told(report: &BundleReport) -> String {
    report.findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

fn kinds(report: &BundleReport) -> Vec<Kind> {
    report.findings.iter().map(|it| it.kind).collect()
}

fn of_report(report: &Report) -> Vec<Kind> {
    report.findings.iter().map(|it| it.kind).collect()
}

// --- bundles -------------------------------------------------------------------------------------

/// The ledger states its lots, gives itself a next key, and somebody who pinned that one gets a
/// bundle: nothing in it is wrong.
#[test]
fn lots_that_the_key_before_stated_accuse_nobody() {
    let mut forge = Forge::new();
    let lot = forge.copper(1_000);
    let stated = state_lots(&mut forge, LEDGER);
    let at = forge.state(rotation(NEXT), &[LEDGER]);
    forge.state(StatementBody::RestartNote { software: "s".to_owned() }, &[NEXT]);
    let mut whole = forge.forged;
    sign_after(&mut whole, at, NEXT);
    let mut bundle = of_entries(&whole, lot, |_| true);
    bundle.rotations = vec![receipt(&whole, at).encode().into_bytes()];
    bundle.lot_states = vec![lot_state(&whole, lot, stated)];
    for seed in [LEDGER, NEXT] {
        let report = judged(&bundle, seed);
        // Entries came behind the ledger's word on its lots, which is told; nothing else is.
        assert_eq!(report.verdict, Verdict::Warnings, "{seed}: {}", told(&report));
        assert!(told(&report).starts_with("story-end-unproven"), "{seed}: {}", told(&report));
    }
}

/// Whoever has the next key puts something in the place of the old key's last checkpoint. FORMAT,
/// section 8: without that checkpoint it could tell another history of what was before.
#[test]
fn a_rotation_before_the_pinned_key_needs_its_receipt_too() {
    let mut forge = Forge::new();
    forge.copper(500);
    let at = forge.state(rotation(NEXT), &[LEDGER]);
    let lot = forge.copper(1_000);
    let stated = state_lots(&mut forge, NEXT);
    let mut whole = forge.forged;
    sign_after(&mut whole, at, NEXT);
    let mut bundle = of_entries(&whole, lot, |_| true);
    bundle.lot_states = vec![lot_state(&whole, lot, stated)];
    bundle.rotations = vec![receipt(&whole, at).encode().into_bytes()];
    assert_eq!(judged(&bundle, NEXT).verdict, Verdict::Verified);
    bundle.rotations = vec![b"no receipt\n".to_vec()];
    let report = judged(&bundle, NEXT);
    assert_ne!(report.verdict, Verdict::Verified, "{}", told(&report));
}

/// The holder cuts the end of a lot's life, and shows a word of the ledger from before it began.
#[test]
fn a_word_from_before_a_lot_was_born_does_not_prove_its_end() {
    let mut forge = Forge::new();
    forge.copper(500);
    let old = state_lots(&mut forge, LEDGER);
    let lot = forge.copper(1_000);
    let born = forge.next();
    let away = forge.lot();
    let divided = forge.event(COLLECTOR, split(lot, &[draw(away, 999)]));
    forge.batch(&[divided]);
    state_lots(&mut forge, LEDGER);
    let whole = forge.forged;
    let mut bundle = of_entries(&whole, lot, |index| index < born);
    bundle.lot_states = vec![lot_state(&whole, lot, old)];
    let report = judged(&bundle, LEDGER);
    assert_ne!(report.verdict, Verdict::Verified, "{:?}", report.state.map(|it| it.remaining));
}

/// A ledger lets an event in under a key that it had revoked. Who verifies the ledger finds it; the
/// bundle without the revocation cannot show it, whatever is stated of lots. That is the limit of a
/// bundle (FORMAT, section 19), and it is told with every one.
#[test]
fn a_revocation_that_is_left_out_is_noticed_by_who_verifies_the_ledger_alone() {
    let mut forge = Forge::new();
    let key = key_id(&public(forge::seed_of(COLLECTOR)));
    let revoked_at = TimeMs::of(forge.now);
    let revoke = RevokeKey { key, revoked_at, reason: "stolen".to_owned() };
    let revoked = forge.next();
    forge.say(COORD, Body::RevokeKey(revoke));
    let lot = forge.copper(1_000);
    let stated = state_lots(&mut forge, LEDGER);
    let whole = forge.forged;
    assert_eq!(whole.judge_stream(pins()).verdict, Verdict::Tampered);
    let mut bundle = of_entries(&whole, lot, |index| index != revoked);
    bundle.lot_states = vec![lot_state(&whole, lot, stated)];
    let report = judged(&bundle, LEDGER);
    assert_eq!(report.verdict, Verdict::Verified, "{}", told(&report));
}

/// The ledger's word on its lots comes with each bundle, once for each lot behind it.
#[test]
fn words_on_other_lots_and_words_twice_are_refused() {
    let mut forge = Forge::new();
    let other = forge.copper(500);
    let lot = forge.copper(1_000);
    let stated = state_lots(&mut forge, LEDGER);
    let whole = forge.forged.clone();
    let mut bundle = of_entries(&whole, lot, |_| true);
    bundle.lot_states = vec![lot_state(&whole, lot, stated)];
    let report = judged(&bundle, LEDGER);
    assert_eq!((report.verdict, report.complete_to), (Verdict::Verified, Some(EntryCount(stated))));
    for more in [lot, other] {
        let mut odd = bundle.clone();
        odd.lot_states.push(lot_state(&whole, more, stated));
        assert_eq!(kinds(&judged(&odd, LEDGER)), [Kind::BundleMalformed], "{more}");
    }
    // A word that is bent is told, and is none.
    let mut bent = bundle.clone();
    let at = bent.lot_states[0].windows(4).position(|it| it == b"way ").unwrap_or(40) + 6;
    bent.lot_states[0][at] ^= 1;
    let report = judged(&bent, LEDGER);
    assert_eq!(
        (report.verdict, report.complete_to),
        (Verdict::Tampered, None),
        "{}",
        told(&report)
    );
    // Under another checkpoint than the bundle's.
    forge.copper(700);
    let mut longer = of_entries(&forge.forged, lot, |_| true);
    longer.lot_states = bundle.lot_states;
    let report = judged(&longer, LEDGER);
    assert!(kinds(&report).contains(&Kind::LotStateUnproven), "{}", told(&report));
}

/// What is left out in the middle of a life does not agree with the number that the ledger stated,
/// though the last entry does.
#[test]
fn the_number_of_a_lots_entries_counts_as_well_as_the_last() {
    let mut forge = Forge::new();
    let lot = forge.copper(1_000);
    let middle = forge.next();
    for grams in [100, 200] {
        let away = forge.lot();
        let divided = forge.event(COLLECTOR, split(lot, &[draw(away, grams)]));
        forge.batch(&[divided]);
    }
    let stated = state_lots(&mut forge, LEDGER);
    let whole = forge.forged;
    let mut bundle = of_entries(&whole, lot, |index| index != middle);
    bundle.lot_states = vec![lot_state(&whole, lot, stated)];
    let report = judged(&bundle, LEDGER);
    let count = report.findings.iter().find(|it| it.kind == Kind::BundleIncomplete).unwrap();
    assert!(count.detail.contains(&format!("as of {stated} entries")), "{}", told(&report));
    assert!(count.detail.contains("has 3 events"), "{}", told(&report));
}

/// A pinned key that follows has to have signed something that is there.
#[test]
fn a_bundle_of_the_old_key_alone_is_not_vouched_for_by_the_next() {
    let mut forge = Forge::new();
    let lot = forge.copper(1_000);
    let stated = state_lots(&mut forge, LEDGER);
    let at = forge.state(rotation(NEXT), &[LEDGER]);
    let whole = forge.forged;
    let mut bundle = of_entries(&whole, lot, |_| true);
    bundle.rotations = vec![receipt(&whole, at).encode().into_bytes()];
    bundle.lot_states = vec![lot_state(&whole, lot, stated)];
    assert_eq!(kinds(&judged(&bundle, LEDGER)), [Kind::StoryEndUnproven]);
    assert_eq!(kinds(&judged(&bundle, NEXT)), [Kind::PinUnvouched, Kind::StoryEndUnproven]);
}

/// That a campaign goes on is not stated by anybody.
#[test]
fn a_campaign_that_does_not_end_in_a_bundle_is_told() {
    let mut forge = Forge::new();
    let lot = forge.copper(1_000);
    forge.deliver(lot, 1_000);
    let campaign = CampaignId::from_bytes(*forge.lot().as_bytes());
    let (process, opening_stock) = (REFINE.to_owned(), Grams::ZERO);
    let begin = OpenCampaign { campaign, process, opening_stock, opening_composition: None };
    forge.say(SMELTER, Body::OpenCampaign(begin));
    let (inputs, additions) = (vec![draw(lot, 1_000)], Vec::new());
    forge.say(SMELTER, Body::ChargeCampaign(ChargeCampaign { campaign, inputs, additions }));
    let drawn = forge.lot();
    let outputs = vec![with_copper(made(drawn, CATHODE, 400), 99_000_000)];
    let residues = Vec::new();
    forge.say(SMELTER, Body::DrawCampaign(DrawCampaign { campaign, outputs, residues }));
    let stated = state_lots(&mut forge, LEDGER);
    let whole = forge.forged;
    let mut bundle = of_entries(&whole, drawn, |_| true);
    // Those of all lots behind it: what is still said is of the campaign.
    bundle.lot_states = [lot, drawn].map(|it| lot_state(&whole, it, stated)).into();
    let report = judged(&bundle, LEDGER);
    let [finding] = report.findings.as_slice() else { panic!("{}", told(&report)) };
    assert_eq!(finding.kind, Kind::StoryEndUnproven);
    assert!(finding.detail.contains(&format!("campaign {campaign} does not end")), "{finding}");
}

// --- what is remembered --------------------------------------------------------------------------

/// The operator rewrites what was remembered, and names a next key in it before that place.
#[test]
fn a_rewritten_past_with_a_rotation_in_it_is_a_fork() {
    let mut forge = Forge::new();
    let mut other = forge.clone();
    for grams in 1..6 {
        forge.copper(1_000 + grams);
    }
    let remembered = forge.forged.head().to_vec();
    let at = other.state(rotation(NEXT), &[LEDGER]);
    for grams in 1..9 {
        other.copper(2_000 + grams);
    }
    let mut other = other.forged;
    sign_after(&mut other, at, NEXT);
    for mode in [Remembered::Checked, Remembered::Consistency] {
        let mut verifier = Verifier::new(pins());
        verifier.remember(&remembered, mode);
        verifier.checkpoint(other.head());
        for entry in &other.entries {
            verifier.feed_entry(entry);
            if verifier.awaits_checkpoint().is_some() {
                verifier.checkpoint(&checkpoint_of(&other, at + 1));
            }
        }
        let report = verifier.finish();
        let kinds: Vec<Kind> = report.findings.iter().map(|it| it.kind).collect();
        assert_eq!(report.verdict, Verdict::Tampered, "{kinds:?}");
        assert!(kinds.contains(&Kind::Forked), "{kinds:?}");
    }
}

/// Of two heads over as many entries only one holds, and both are evidence; of two over different
/// numbers of entries the wrong one is a wrong root.
#[test]
fn two_roots_over_as_many_entries_are_two_histories() {
    let mut forge = Forge::new();
    forge.copper(1_000);
    let before = SignedCheckpoint::parse(forge.forged.head()).unwrap().1;
    forge.copper(2_000);
    let forged = forge.forged;
    let (said, head) = SignedCheckpoint::parse(forged.head()).unwrap();
    let root = Hash32([7; 32]);
    let lie = Checkpoint { root, ..said.clone() }.sign(&secret(LEDGER));
    let shown = |heads: &[&SignedCheckpoint]| {
        let mut verifier = Verifier::new(pins());
        for text in heads {
            verifier.checkpoint(text.as_bytes());
        }
        forged.entries.iter().for_each(|entry| verifier.feed_entry(entry));
        verifier.finish()
    };
    let report = shown(&[&head, &lie]);
    assert_eq!(of_report(&report), [Kind::RootMismatch]);
    let fork = report.fork.unwrap();
    assert_eq!((fork.remembered, fork.newer), (head, Some(lie.clone())));
    assert_eq!((fork.size, fork.found), (said.size, root));
    let report = shown(&[&before, &lie]);
    assert_eq!((of_report(&report)[0], report.fork), (Kind::RootMismatch, None));
}

/// The old key signs a checkpoint too many, of the same entries: that is no other history.
#[test]
fn a_key_that_signs_too_long_over_the_same_entries_is_no_fork() {
    let mut forge = Forge::new();
    let at = forge.state(rotation(NEXT), &[LEDGER]);
    forge.copper(1_000);
    let mut forged = forge.forged;
    let (said, _) = SignedCheckpoint::parse(forged.head()).unwrap();
    let late = said.sign(&secret(LEDGER));
    sign_after(&mut forged, at, NEXT);
    let mut verifier = Verifier::new(pins());
    verifier.remember(late.as_bytes(), Remembered::Consistency);
    verifier.checkpoint(forged.head());
    for entry in &forged.entries {
        verifier.feed_entry(entry);
        if verifier.awaits_checkpoint().is_some() {
            verifier.rotation_checkpoint(&checkpoint_of(&forged, at + 1));
        }
    }
    let report = verifier.finish();
    assert_eq!(of_report(&report), [Kind::RememberedUnusable]);
    assert_eq!((report.fork, report.remembered), (None, None));
}

/// A fork behind which the ledger changed its key: the newest word of the key that signed what was
/// remembered is the evidence, where it is long enough.
#[test]
fn the_newer_word_in_a_fork_is_of_the_key_that_signed_the_older() {
    let mut forge = Forge::new();
    let other = forge.clone();
    forge.copper(1_000);
    let remembered = SignedCheckpoint::parse(forge.forged.head()).unwrap();
    let newer = |more: u64| {
        let mut other = other.clone();
        for grams in 0..more {
            other.copper(2_000 + grams);
        }
        let at = other.state(rotation(NEXT), &[LEDGER]);
        other.copper(3_000);
        let mut forged = other.forged;
        sign_after(&mut forged, at, NEXT);
        let mut verifier = Verifier::new(pins());
        verifier.remember(remembered.1.as_bytes(), Remembered::Consistency);
        verifier.checkpoint(forged.head());
        for entry in &forged.entries {
            verifier.feed_entry(entry);
            if verifier.awaits_checkpoint().is_some() {
                verifier.rotation_checkpoint(&checkpoint_of(&forged, at + 1));
            }
        }
        let last = SignedCheckpoint::parse(&checkpoint_of(&forged, at + 1)).unwrap().1;
        (verifier.finish().fork.unwrap(), last)
    };
    let (fork, last) = newer(2);
    assert_eq!((fork.remembered, fork.size), (remembered.1.clone(), remembered.0.size));
    assert_eq!(fork.newer, Some(last));
    let (fork, last) = newer(0);
    assert_eq!(fork.newer, Some(last), "of as many entries");
}

/// Whoever stole a key that was followed long ago makes two histories up, longer than that key may
/// sign for, and accuses a ledger before those who pinned its first key.
#[test]
fn a_key_that_was_followed_convicts_nobody_of_what_came_later() {
    let mut forge = Forge::new();
    let at = forge.state(rotation(NEXT), &[LEDGER]);
    forge.copper(1_000);
    let mut whole = forge.forged;
    sign_after(&mut whole, at, NEXT);
    assert_eq!(whole.judge_groups(pins()).verdict, Verdict::Verified);
    let size = EntryCount(at + 100);
    let made_up = |byte| {
        let root = Hash32([byte; 32]);
        Checkpoint { origin: forge::origin(), size, root }.sign(&secret(LEDGER))
    };
    let (older, newer, found) = (made_up(1), made_up(2), Hash32([2; 32]));
    let evidence = Evidence { older, newer, found, proof: Vec::new() };
    // Who knows of the rotation is not taken in.
    let known = [receipt(&whole, at).encode().into_bytes()];
    let report = verify_evidence(evidence.encode().as_bytes(), &known, &pins());
    assert_eq!(report.verdict, Verdict::Undetermined, "{:?}", report.findings);
}
