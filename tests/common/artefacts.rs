//! What a reader is handed of a forged ledger: receipts, a lot's bundle, state and story, evidence
//! of a fork, a policy with a cosigned checkpoint. All of it is honest; tests and fuzz targets bend
//! it.

#[path = "tree.rs"]
mod tree;

use std::collections::BTreeMap;
use std::convert::Infallible;

pub use tree::tree;
use urbanmine::domain::{EntryCount, EntryIndex, Hash32, LotId};
use urbanmine::ledger::Evidence;
use urbanmine::ledger::envelope::{STATEMENT_PAYLOAD_TYPE, pae};
use urbanmine::ledger::hash::leaf_hash;
use urbanmine::ledger::lot_map::{
    EMPTY_MAP, LotKey, LotState, MapTile, TilePath, TileSource, prove_lot, update_map,
};
use urbanmine::ledger::tree::{consistency_proof, inclusion_proof};
use urbanmine::ledger::{
    Bundle, BundledEntry, Cosigner, Entry, LotFile, LotStateProof, ProvenEntry, Receipt,
    SignatureType, SignedCheckpoint, VerifierKey, with_cosignatures,
};
use urbanmine::verify::Verifier;
use urbanmine::wire::encode_possession;
use urbanmine::wire::statement::StatementBody;

use super::forge::{Forge, Forged, LEDGER, origin, pins, public, secret};
use super::forge_world::{COLLECTOR, PARTIES, draw, split, tables_text};

/// Seeds of the witnesses of [`policy`].
pub const WITNESSES: [u8; 2] = [210, 211];
/// When the witnesses cosigned, in seconds since 1970.
pub const COSIGNED_S: u64 = 1_718_000_100;

/// A short ledger in which one lot is divided and the lots are stated; the lot that was divided,
/// and the index of the statement. It ends with a lot of so many grams: two of them are a fork.
pub fn short_story(last_grams: u64) -> (Forge, LotId, u64) {
    let mut forge = Forge::bare();
    forge.publish(&tables_text());
    let row = &PARTIES[1];
    forge.register(row.id, row.roles, &row.licences[1..2]);
    let lot = forge.copper(1_000);
    forge.copper(2_000);
    let (left, right) = (forge.lot(), forge.lot());
    let divided = forge.event(COLLECTOR, split(lot, &[draw(left, 400), draw(right, 600)]));
    forge.batch(&[divided]);
    let stated = state_lots(&mut forge);
    forge.copper(last_grams);
    (forge, lot, stated)
}

/// The ledger states its lots as they are; the index of the statement.
pub fn state_lots(forge: &mut Forge) -> u64 {
    let size = EntryCount(forge.next());
    let (root, _) = map_of(&forge.forged, size);
    forge.state(StatementBody::LotStateRoot { size, root }, &[LEDGER])
}

/// The statement that names a next ledger key, which shows that somebody holds it.
pub fn rotation(next: u8) -> StatementBody {
    let message = pae(STATEMENT_PAYLOAD_TYPE, &encode_possession(&origin(), &public(next)));
    let possession = secret(next).sign(&message);
    StatementBody::LedgerKeyRotation { next_key: public(next), possession }
}

/// Signs checkpoints of more than `at + 1` entries with the next key.
pub fn sign_after(forged: &mut Forged, at: u64, next: u8) {
    for text in &mut forged.checkpoints {
        let (said, _) = SignedCheckpoint::parse(text).unwrap();
        let seed = if said.size.0 <= at + 1 { LEDGER } else { next };
        *text = said.sign(&secret(seed)).as_bytes().to_vec();
    }
}

struct Stated(BTreeMap<TilePath, MapTile>);

impl TileSource for Stated {
    type Fault = Infallible;

    fn tile(&self, path: &TilePath) -> Result<MapTile, Infallible> {
        Ok(self.0.get(path).cloned().unwrap_or(MapTile::EMPTY))
    }
}

/// The map of the lots after so many entries, and its root.
fn map_of(forged: &Forged, size: EntryCount) -> (Hash32, Stated) {
    let mut states = BTreeMap::new();
    for bytes in &forged.entries[..usize::try_from(size.0).unwrap()] {
        let entry = Entry::parse(bytes).unwrap();
        for link in &entry.links {
            let entry_count = u64::from(link.ordinal) + 1;
            states.insert(LotKey::of(link.lot), LotState { entry_count, last: entry.index });
        }
    }
    let update = update_map(&Stated(BTreeMap::new()), &EMPTY_MAP, &states).unwrap();
    (update.root, Stated(update.tiles.iter().collect()))
}

/// The checkpoint of so many entries, which has to be the end of a group.
pub fn checkpoint_of(forged: &Forged, size: u64) -> SignedCheckpoint {
    let parsed = forged.checkpoints.iter().map(|text| SignedCheckpoint::parse(text).unwrap());
    let found = parsed.into_iter().find(|(checkpoint, _)| checkpoint.size.0 == size);
    found.unwrap().1
}

/// An entry with its proof under the checkpoint of its group.
pub fn receipt(forged: &Forged, index: u64) -> Receipt {
    let mut end = 0;
    for length in &forged.groups {
        end += u64::try_from(*length).unwrap();
        if end > index {
            break;
        }
    }
    let nodes = tree(&forged.entries);
    Receipt {
        entry: forged.entries[usize::try_from(index).unwrap()].clone(),
        index: EntryIndex(index),
        proof: inclusion_proof(EntryIndex(index), EntryCount(end), &nodes).unwrap(),
        checkpoint: checkpoint_of(forged, end),
    }
}

/// A lot with its grounds.
pub fn bundle(forged: &Forged, lot: LotId) -> Bundle {
    let mut verifier = Verifier::new(pins());
    verifier.keep_history();
    for entry in &forged.entries {
        verifier.feed_entry(entry);
    }
    let (size, nodes) = (forged.size(), tree(&forged.entries));
    let entry = |index: &EntryIndex| BundledEntry {
        index: *index,
        entry: forged.entries[usize::try_from(index.0).unwrap()].clone(),
        proof: inclusion_proof(*index, size, &nodes).unwrap(),
    };
    let entries = verifier.grounds(lot).unwrap().entries.iter().map(entry).collect();
    let checkpoint = checkpoint_of(forged, size.0);
    Bundle { lot, entries, rotations: Vec::new(), lot_states: Vec::new(), checkpoint }
}

/// What was stated of a lot at an index, and its story until then.
pub fn lot_file(forged: &Forged, stated: u64, lot: LotId) -> LotFile {
    let (_, map) = map_of(forged, EntryCount(stated));
    let Ok(way) = prove_lot(&map, lot);
    let statement = receipt(forged, stated);
    let size = SignedCheckpoint::parse(statement.checkpoint.as_bytes()).unwrap().0.size;
    let nodes = tree(&forged.entries);
    let mut story = Vec::new();
    for bytes in &forged.entries[..usize::try_from(stated).unwrap()] {
        let entry = Entry::parse(bytes).unwrap();
        if entry.links.iter().any(|link| link.lot == lot) {
            let proof = inclusion_proof(entry.index, size, &nodes).unwrap();
            story.push(ProvenEntry { entry: bytes.clone(), proof });
        }
    }
    LotFile { state: LotStateProof { lot, way, statement }, story: Some(story) }
}

/// That the ledger which signed `older` is not the beginning of `newer`.
pub fn evidence(older: &SignedCheckpoint, newer: &Forged) -> Evidence {
    let size = SignedCheckpoint::parse(older.as_bytes()).unwrap().0.size;
    let nodes = tree(&newer.entries);
    let mut beginning = urbanmine::ledger::Frontier::default();
    for entry in &newer.entries[..usize::try_from(size.0).unwrap()] {
        beginning.push(leaf_hash(entry));
    }
    Evidence {
        older: older.clone(),
        newer: checkpoint_of(newer, newer.size().0),
        found: beginning.root(),
        proof: consistency_proof(size, newer.size(), &nodes).unwrap(),
    }
}

/// The name and key by which the ledger is known to witnesses.
pub fn ledger_vkey() -> VerifierKey {
    VerifierKey::new(origin().as_str(), SignatureType::Ed25519, &public(LEDGER)).unwrap()
}

/// A witness's own hand.
pub fn cosigner(seed: u8) -> Cosigner {
    Cosigner::new(&format!("witness.example/{seed}"), secret(seed)).unwrap()
}

/// A policy that asks both witnesses.
pub fn policy() -> String {
    let [a, b] = WITNESSES.map(|seed| cosigner(seed).vkey().to_string());
    format!(
        "# both\nlog {}\nwitness A {a} https://witness.example/a\nwitness B {b}\n\
         group both all A B\nquorum both\n",
        ledger_vkey()
    )
}

/// A checkpoint with the cosignatures of some witnesses.
pub fn cosigned(checkpoint: &SignedCheckpoint, seeds: &[u8]) -> SignedCheckpoint {
    let hands = seeds.iter().map(|seed| cosigner(*seed));
    let held: Vec<_> = hands.map(|hand| hand.cosign(checkpoint.note_text(), COSIGNED_S)).collect();
    with_cosignatures(checkpoint, &held).unwrap()
}
