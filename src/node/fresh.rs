//! A group that was committed just now, for the receipts of its callers: entries and proofs are at
//! hand, so nobody reads them from the database one by one.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use super::reader::{ReadFault, tree_fault};
use crate::domain::{EntryCount, EntryIndex, Hash32};
use crate::ledger::checkpoint::SignedCheckpoint;
use crate::ledger::receipt::Receipt;
use crate::ledger::tree::{inclusion_proof, verify_inclusion};
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
    /// A proof for each, once somebody asked.
    pub proofs: Mutex<Option<Arc<Vec<Vec<Hash32>>>>>,
}

impl FreshGroup {
    /// The receipt of an entry; `None` for one that is not of the group. It is the one that the
    /// reader gives at any later time.
    pub fn receipt(&self, store: &Store, index: EntryIndex) -> Result<Option<Receipt>, ReadFault> {
        let place = index.0.checked_sub(self.first.0).and_then(|it| usize::try_from(it).ok());
        let Some((place, entry)) = place.and_then(|it| Some((it, self.entries.get(it)?))) else {
            return Ok(None);
        };
        let proof = self.proofs(store)?.get(place).cloned().unwrap_or_default();
        let (entry, checkpoint) = (entry.clone(), self.checkpoint.clone());
        Ok(Some(Receipt { entry, index, proof, checkpoint }))
    }

    /// All proofs of the group, made by the first who asks: they share most of the tree.
    fn proofs(&self, store: &Store) -> Result<Arc<Vec<Vec<Hash32>>>, ReadFault> {
        // Set whole or not at all, so a panic of another thread left nothing half.
        let mut made = self.proofs.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(proofs) = &*made {
            return Ok(Arc::clone(proofs));
        }
        let tree = store.tree();
        let mut proofs = Vec::with_capacity(self.leaves.len());
        for (index, leaf) in (self.first.0..).map(EntryIndex).zip(&self.leaves) {
            let proof = inclusion_proof(index, self.size, &tree).map_err(tree_fault)?;
            // A receipt that proves nothing never leaves the house.
            verify_inclusion(leaf, index, self.size, &proof, &self.root)
                .map_err(|refused| ReadFault::Tree(refused.to_string()))?;
            proofs.push(proof);
        }
        let proofs = Arc::new(proofs);
        *made = Some(Arc::clone(&proofs));
        Ok(proofs)
    }
}
