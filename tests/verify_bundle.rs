//! One lot and its grounds in a file: it proves what it holds, and nothing of it can be left out,
//! added or bent.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "common/forge.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared by test files that use parts of it")]
mod forge;
#[path = "common/forge_world.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared by test files that use parts of it")]
mod forge_world;
#[path = "common/tree.rs"]
#[allow(unreachable_pub, reason = "shared by test files")]
mod tree;

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use forge::{Forge, Forged, LEDGER, pins, public, secret};
use forge_world::*;
use tree::tree;
use urbanmine::domain::{EntryCount, EntryIndex, Hash32, LotId, PublicKey};
use urbanmine::ledger::envelope::{STATEMENT_PAYLOAD_TYPE, pae};
use urbanmine::ledger::lot_map::{EMPTY_MAP, MapTile, TilePath, TileSource, prove_lot, update_map};
use urbanmine::ledger::tree::inclusion_proof;
use urbanmine::ledger::{
    Bundle, BundledEntry, Entry, EntryKind, LotFile, LotKey, LotState, LotStateProof, Receipt,
    SignedCheckpoint, WayEnd,
};
use urbanmine::verify::{
    BundleReport, FindingKind as Kind, Pins, Verdict, Verifier, verify_bundle,
};
use urbanmine::wire::encode_possession;
use urbanmine::wire::statement::StatementBody;

/// Every lot that entries link.
fn lots(forged: &Forged) -> BTreeSet<LotId> {
    let entries = forged.entries.iter().map(|bytes| Entry::parse(bytes).unwrap());
    entries.flat_map(|entry| entry.links.into_iter().map(|link| link.lot)).collect()
}

/// A verifier that has seen the whole ledger and kept what entries rest on.
fn seen(forged: &Forged) -> Verifier {
    let mut verifier = Verifier::new(pins());
    verifier.keep_history();
    verifier.checkpoint(forged.head());
    for entry in &forged.entries {
        verifier.feed_entry(entry);
    }
    assert_eq!(verifier.report().verdict, Verdict::Verified);
    verifier
}

/// With everything that belongs to it.
fn bundle(forged: &Forged, verifier: &Verifier, lot: LotId) -> Bundle {
    let grounds = verifier.grounds(lot).unwrap();
    let bare = of_entries(forged, lot, &grounds.entries);
    let lot_states = lot_states(forged, verifier, &grounds.lots);
    Bundle { lot_states, ..bare }
}

#[derive(Default)]
struct Tiles(BTreeMap<TilePath, MapTile>);

impl TileSource for Tiles {
    type Fault = ();

    fn tile(&self, path: &TilePath) -> Result<MapTile, ()> {
        let tile = self.0.get(path).cloned();
        tile.or((*path == TilePath::TOP).then_some(MapTile::EMPTY)).ok_or(())
    }
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

/// The ledger states its lots.
fn state_lots(forge: &mut Forge) {
    let (_, root) = map(&forge.forged.entries);
    let size = EntryCount(forge.next());
    forge.state(StatementBody::LotStateRoot { size, root }, &[LEDGER]);
}

fn lot_states(forged: &Forged, verifier: &Verifier, lots: &[LotId]) -> Vec<Vec<u8>> {
    let Some(at) = verifier.lots_stated_at() else { return Vec::new() };
    let place = usize::try_from(at.0).unwrap();
    let (tiles, _) = map(&forged.entries[..place]);
    let (_, checkpoint) = SignedCheckpoint::parse(forged.head()).unwrap();
    let proof = inclusion_proof(at, forged.size(), &tree(&forged.entries)).unwrap();
    let entry = forged.entries[place].clone();
    let statement = Receipt { entry, index: at, proof, checkpoint };
    let ways = lots.iter().map(|lot| (*lot, prove_lot(&tiles, *lot).unwrap()));
    let born = ways.filter(|(_, way)| matches!(way.end, WayEnd::Lot(_)));
    let state = |(lot, way)| LotStateProof { lot, way, statement: statement.clone() };
    let file = |state| LotFile { state, story: None }.encode().into_bytes();
    born.map(state).map(file).collect()
}

fn of_entries(forged: &Forged, lot: LotId, indexes: &[EntryIndex]) -> Bundle {
    let (size, tree) = (forged.size(), tree(&forged.entries));
    let entry = |index: &EntryIndex| BundledEntry {
        index: *index,
        entry: forged.entries[usize::try_from(index.0).unwrap()].clone(),
        proof: inclusion_proof(*index, size, &tree).unwrap(),
    };
    let (_, checkpoint) = SignedCheckpoint::parse(forged.head()).unwrap();
    let entries = indexes.iter().map(entry).collect();
    Bundle { lot, entries, rotations: Vec::new(), lot_states: Vec::new(), checkpoint }
}

fn judged(bundle: &Bundle) -> BundleReport {
    verify_bundle(bundle.encode().as_bytes(), Some(bundle.lot), &pins(), None)
}

fn told(report: &BundleReport) -> String {
    report.findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

fn kinds(report: &BundleReport) -> Vec<Kind> {
    report.findings.iter().map(|it| it.kind).collect()
}

fn story() -> Forged {
    let mut forge = Forge::new();
    forge.story();
    state_lots(&mut forge);
    forge.forged
}

/// A party, a lot that was divided, another that has nothing to do with it.
fn short() -> (Forged, LotId) {
    let mut forge = Forge::bare();
    forge.publish(&tables_text());
    let row = &PARTIES[1];
    forge.register(row.id, row.roles, &row.licences[1..2]);
    let lot = forge.copper(1_000);
    forge.copper(2_000);
    let (left, right) = (forge.lot(), forge.lot());
    let divided = forge.event(COLLECTOR, split(lot, &[draw(left, 400), draw(right, 600)]));
    forge.batch(&[divided]);
    forge.copper(3_000);
    state_lots(&mut forge);
    (forge.forged, left)
}

#[test]
fn every_lots_bundle_is_verified_and_gives_the_grams_of_the_whole_ledger() {
    let whole = story();
    let verifier = seen(&whole);
    let everything: Vec<EntryIndex> = (0..whole.size().0).map(EntryIndex).collect();
    let mut smaller = 0;
    for lot in lots(&whole) {
        let cut = bundle(&whole, &verifier, lot);
        let report = judged(&cut);
        assert_eq!(report.verdict, Verdict::Verified, "lot {lot}: {}", told(&report));
        assert_eq!(report.complete_to, verifier.lots_stated_at().map(|at| EntryCount(at.0)));
        let lot_states = cut.lot_states.clone();
        let full = Bundle { lot_states, ..of_entries(&whole, lot, &everything) };
        let full = judged(&full);
        assert_eq!(full.verdict, Verdict::Verified, "lot {lot}: {}", told(&full));
        assert_eq!(report.measured, full.measured, "lot {lot}");
        assert_eq!(report.state, full.state, "lot {lot}");
        assert_eq!(report.life, full.life, "lot {lot}");
        let is_retracted = report.state.unwrap().retracted_by.is_some();
        assert!(report.measured.is_empty() == is_retracted && !report.life.is_empty());
        smaller += usize::from(cut.entries.len() < everything.len());
    }
    assert!(smaller > 3, "grounds are less than the ledger");
}

#[test]
fn an_entry_that_is_left_out_inside_the_grounds_shows() {
    let whole = story();
    let verifier = seen(&whole);
    let mut left_out = 0;
    for lot in lots(&whole) {
        let cut = bundle(&whole, &verifier, lot);
        let (good, grounds) = (judged(&cut), verifier.grounds(lot).unwrap());
        for place in 0..cut.entries.len() {
            let mut short = cut.clone();
            let gone = short.entries.remove(place);
            let report = judged(&short);
            let words = format!("lot {lot}, entry {}: {}", gone.index, told(&report));
            let links = Entry::parse(&gone.entry).unwrap().links;
            if links.iter().any(|link| grounds.lots.contains(&link.lot)) {
                assert_eq!(report.verdict, Verdict::Tampered, "{words}");
            }
            // What only widens what a party may do can be missed: then nothing else is missed.
            if report.verdict == Verdict::Verified {
                assert_eq!(report.state, good.state, "{words}");
                assert_eq!(report.measured, good.measured, "{words}");
                assert_eq!(report.life, good.life, "{words}");
                continue;
            }
            assert_eq!(report.verdict, Verdict::Tampered, "{words}");
            left_out += 1;
        }
    }
    assert!(left_out > 100, "{left_out}");
}

#[test]
fn a_bundle_that_was_cut_at_its_end_shows_by_the_ledgers_own_word() {
    let whole = story();
    let verifier = seen(&whole);
    let (mut cut_short, mut stripped) = (0, 0);
    for lot in lots(&whole) {
        let good = bundle(&whole, &verifier, lot);
        let life = judged(&good).life;
        if life.len() < 2 {
            continue;
        }
        // A party gives the bundle as it stood before the last event of its lot.
        let last = *life.last().unwrap();
        let mut cut = good.clone();
        cut.entries.retain(|it| it.index < last);
        let report = judged(&cut);
        assert!(kinds(&report).contains(&Kind::BundleIncomplete), "lot {lot}: {}", told(&report));
        cut_short += 1;
        // Without the ledger's word it cannot be told, and that is said.
        let bare = Bundle { lot_states: Vec::new(), ..cut };
        let report = judged(&bare);
        let is_told = kinds(&report).contains(&Kind::StoryEndUnproven);
        assert!(is_told || report.verdict == Verdict::Tampered, "lot {lot}: {}", told(&report));
        stripped += usize::from(is_told);
        // The word about another lot is none about this one.
        let mut other = good.clone();
        other.lot_states.truncate(1);
        other.lot_states[0] = good.lot_states.last().unwrap().clone();
        if good.lot_states.len() > 1 {
            assert_ne!(judged(&other).verdict, Verdict::Verified, "lot {lot}");
        }
    }
    assert!(cut_short > 3 && stripped > 3, "{cut_short} {stripped}");
}

#[test]
fn every_byte_of_a_bundle_counts() {
    let (whole, lot) = short();
    let text = bundle(&whole, &seen(&whole), lot).encode();
    let asked = Some(lot);
    assert_eq!(verify_bundle(text.as_bytes(), asked, &pins(), None).verdict, Verdict::Verified);
    for place in 0..text.len() {
        let mut bent = text.clone().into_bytes();
        bent[place] ^= 1 << (place % 7);
        let report = verify_bundle(&bent, asked, &pins(), None);
        assert_eq!(report.verdict, Verdict::Tampered, "byte {place}: {}", told(&report));
    }
    for length in 0..text.len() {
        let report = verify_bundle(&text.as_bytes()[..length], asked, &pins(), None);
        assert_eq!(report.verdict, Verdict::Tampered, "cut at {length}");
    }
    let more = [text.as_bytes(), b"\n"].concat();
    assert_eq!(kinds(&verify_bundle(&more, asked, &pins(), None)), [Kind::BundleMalformed]);
}

#[test]
fn a_bundle_of_another_lot_ledger_or_proof_is_refused() {
    let (whole, lot) = short();
    let verifier = seen(&whole);
    let good = bundle(&whole, &verifier, lot);
    let text = good.encode();

    let other = *lots(&whole).iter().find(|it| **it != lot).unwrap();
    let report = verify_bundle(text.as_bytes(), Some(other), &pins(), None);
    assert_eq!(kinds(&report), [Kind::BundleOfOther]);

    // The proofs of two entries in each other's place.
    let mut swapped = good.clone();
    let proof = swapped.entries[3].proof.clone();
    swapped.entries[3].proof = std::mem::replace(&mut swapped.entries[4].proof, proof);
    let report = judged(&swapped);
    assert!(kinds(&report).contains(&Kind::InclusionUnproven), "{}", told(&report));
    assert_eq!(report.first_bad, Some(swapped.entries[3].index));

    // Another ledger's key, and nobody's.
    let pinned = |key: Option<PublicKey>| Pins { ledger_key: key, ..pins() };
    let report = verify_bundle(text.as_bytes(), Some(lot), &pinned(Some(public(LEDGER - 1))), None);
    assert_eq!((report.verdict, kinds(&report)[0]), (Verdict::Tampered, Kind::LedgerKeyMismatch));
    let report = verify_bundle(text.as_bytes(), Some(lot), &pinned(None), None);
    assert_eq!((report.verdict, kinds(&report)), (Verdict::Warnings, vec![Kind::PinsMissing]));

    // Every hash and the checkpoint made anew by somebody who has another key.
    let mut resigned = whole.clone();
    resigned.sign(&forge::origin(), &secret(LEDGER - 1));
    let report = judged(&of_entries(&resigned, lot, &seen(&whole).grounds(lot).unwrap().entries));
    assert!(kinds(&report).contains(&Kind::CheckpointUnsigned), "{}", told(&report));
}

#[test]
fn a_double_spend_inside_a_bundle_is_told_with_its_entry() {
    let mut forge = Forge::new();
    let lot = forge.copper(1_000);
    let (left, right) = (forge.lot(), forge.lot());
    let first = forge.event(COLLECTOR, split(lot, &[draw(left, 1_000)]));
    forge.batch(&[first]);
    let at = EntryIndex(u64::try_from(forge.forged.entries.len()).unwrap());
    let again = forge.event(COLLECTOR, split(lot, &[draw(right, 1_000)]));
    forge.batch(&[again]);
    let whole = forge.forged;
    let all: Vec<EntryIndex> = (0..whole.size().0).map(EntryIndex).collect();
    let report = judged(&of_entries(&whole, right, &all));
    assert_eq!(report.first_bad, Some(at), "{}", told(&report));
    assert!(told(&report).contains("R2"), "{}", told(&report));
}

/// The receipt of an entry under the checkpoint that ends with it.
fn receipt(forged: &Forged, index: EntryIndex) -> Vec<u8> {
    let size = EntryCount(index.next().0);
    let parsed = |text: &Vec<u8>| SignedCheckpoint::parse(text).unwrap();
    let checkpoints = forged.checkpoints.iter().map(parsed);
    let (_, checkpoint) = checkpoints.into_iter().find(|(it, _)| it.size == size).unwrap();
    let entry = forged.entries[usize::try_from(index.0).unwrap()].clone();
    let proof = inclusion_proof(index, size, &tree(&forged.entries)).unwrap();
    Receipt { entry, index, proof, checkpoint }.encode().into_bytes()
}

fn rotation(seed: u8) -> StatementBody {
    let next_key = public(seed);
    let message = pae(STATEMENT_PAYLOAD_TYPE, &encode_possession(&forge::origin(), &next_key));
    StatementBody::LedgerKeyRotation { next_key, possession: secret(seed).sign(&message) }
}

#[test]
fn a_rotated_ledgers_bundle_carries_the_receipts_of_its_rotations() {
    let next = LEDGER + 1;
    let mut forge = Forge::new();
    forge.copper(500);
    let at = EntryIndex(forge.state(rotation(next), &[LEDGER]));
    let lot = forge.copper(1_000);
    let mut whole = forge.forged;
    for text in &mut whole.checkpoints {
        let (said, _) = SignedCheckpoint::parse(text).unwrap();
        let seed = if said.size.0 <= at.next().0 { LEDGER } else { next };
        *text = said.sign(&secret(seed)).as_bytes().to_vec();
    }
    let is_statement = |bytes: &Bytes| Entry::parse(bytes).unwrap().kind == EntryKind::Statement;
    assert_eq!(whole.entries.iter().filter(|it| is_statement(it)).count(), 1);

    let all: Vec<EntryIndex> = (0..whole.size().0).map(EntryIndex).collect();
    let mut good = of_entries(&whole, lot, &all);
    good.rotations = vec![receipt(&whole, at)];
    for pinned in [LEDGER, next] {
        let pins = Pins { ledger_key: Some(public(pinned)), ..pins() };
        let report = verify_bundle(good.encode().as_bytes(), Some(lot), &pins, None);
        assert_eq!(report.verdict, Verdict::Warnings, "{}", told(&report));
        assert_eq!(kinds(&report), [Kind::StoryEndUnproven], "this ledger states no lots");
    }
    let bare = Bundle { rotations: Vec::new(), ..good };
    let report = judged(&bare);
    assert_eq!(report.verdict, Verdict::Undetermined);
    assert!(kinds(&report).contains(&Kind::RotationUncovered), "{}", told(&report));
}
