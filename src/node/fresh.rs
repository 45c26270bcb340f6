//! A group that was committed just now, for the receipts of its callers: entries and proofs are at
//! hand, so nobody reads them from the database one by one.

use bytes::Bytes;

use super::reader::{ReadFault, tree_fault};
use crate::domain::{EntryCount, EntryIndex, Hash32};
use crate::ledger::checkpoint::SignedCheckpoint;
use crate::ledger::receipt::Receipt;
use crate::ledger::tree::{NeighbourCheck, inclusion_proof};
use crate::store::Store;

/// A committed group under its checkpoint. It lives until its last caller has its receipts.
#[derive(Debug)]
pub struct FreshGroup {
    /// Its first entry.
    pub first: EntryIndex,
    /// Entries of the ledger with it.
    pub size: EntryCount,
    /// The root over these.
    pub root: Hash32,
    /// The checkpoint that says so.
    pub checkpoint: SignedCheckpoint,
    /// Its entries.
    pub entries: Vec<Bytes>,
    /// Their leaf hashes, with which the entries were read back.
    pub leaves: Vec<Hash32>,
    /// A proof for each; none where they could not be made: then who wants one reads it, and hears
    /// why not.
    pub proofs: Vec<Vec<Hash32>>,
}

impl FreshGroup {
    /// The receipt of an entry; `None` for one that is not of the group, or has no proof. It is the
    /// one that the reader gives at any later time.
    pub fn receipt(&self, index: EntryIndex) -> Option<Receipt> {
        let place = usize::try_from(index.0.checked_sub(self.first.0)?).ok()?;
        let (entry, proof) = (self.entries.get(place)?.clone(), self.proofs.get(place)?.clone());
        Some(Receipt { entry, index, proof, checkpoint: self.checkpoint.clone() })
    }

    /// Makes the proofs of all its entries at once: they share most of the tree.
    pub fn prove(&mut self, store: &Store) -> Result<(), ReadFault> {
        let tree = store.tree();
        let mut proofs = Vec::with_capacity(self.leaves.len());
        let mut check = NeighbourCheck::default();
        for (index, leaf) in (self.first.0..).map(EntryIndex).zip(&self.leaves) {
            let proof = inclusion_proof(index, self.size, &tree).map_err(tree_fault)?;
            // A receipt that proves nothing never leaves the house.
            check
                .verify_inclusion(leaf, index, self.size, &proof, &self.root)
                .map_err(|refused| ReadFault::Tree(refused.to_string()))?;
            proofs.push(proof);
        }
        self.proofs = proofs;
        Ok(())
    }
}
