//! Reading a ledger again for its tree: some entries, and proofs for them.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result};
use bytes::Bytes;

use super::verify::crew::Source;
use crate::domain::{EntryCount, EntryIndex, Hash32};
use crate::ledger::NodeSource;
use crate::ledger::hash::{leaf_hash, node_hash};
use crate::ledger::tree::{consistency_proof, inclusion_proof};

/// The tree of a ledger, and the entries that were asked for. 64 bytes of memory an entry.
pub struct SecondLook {
    /// Complete nodes, by level.
    levels: Vec<Vec<Hash32>>,
    entries: BTreeMap<EntryIndex, Bytes>,
}

impl SecondLook {
    /// Reads the ledger up to a size.
    pub(in crate::cli) fn read(
        source: &mut dyn Source,
        wanted: &BTreeSet<EntryIndex>,
        size: EntryCount,
    ) -> Result<Self> {
        let (mut leaves, mut entries) = (Vec::new(), BTreeMap::new());
        'reading: while let Some(piece) = source.next()? {
            for bytes in piece.entries {
                let index = EntryIndex(leaves.len() as u64);
                if index.0 == size.0 {
                    break 'reading;
                }
                leaves.push(leaf_hash(&bytes));
                if wanted.contains(&index) {
                    entries.insert(index, bytes);
                }
            }
        }
        let mut levels = vec![leaves];
        // Halves each time.
        while let Some(below) = levels.last().filter(|below| below.len() > 1) {
            let (pairs, _) = below.as_chunks::<2>();
            levels.push(pairs.iter().map(|[left, right]| node_hash(left, right)).collect());
        }
        Ok(Self { levels, entries })
    }

    /// An entry that was asked for.
    pub fn entry(&self, index: EntryIndex) -> Result<Bytes> {
        let entry = self.entries.get(&index).cloned();
        entry.with_context(|| format!("entry {index} was not there when it was read again"))
    }

    /// That an entry is in the tree of a size.
    pub fn inclusion(&self, index: EntryIndex, size: EntryCount) -> Result<Vec<Hash32>> {
        Ok(inclusion_proof(index, size, self)?)
    }

    /// That a tree is the beginning of another.
    pub fn consistency(&self, old: EntryCount, new: EntryCount) -> Result<Vec<Hash32>> {
        Ok(consistency_proof(old, new, self)?)
    }
}

/// A node that was not read.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("node {index} of level {level} was not there when the ledger was read again")]
pub struct NodeMissing {
    level: u8,
    index: u64,
}

impl NodeSource for SecondLook {
    type Fault = NodeMissing;

    fn node(&self, level: u8, index: u64) -> Result<Hash32, NodeMissing> {
        let place = usize::try_from(index).unwrap_or(usize::MAX);
        let found = self.levels.get(usize::from(level)).and_then(|nodes| nodes.get(place));
        found.copied().ok_or(NodeMissing { level, index })
    }
}
