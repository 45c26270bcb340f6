//! Reading a ledger again for its tree: some entries, and proofs for them.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result};
use bytes::Bytes;

use super::verify::crew::Source;
use crate::domain::{EntryCount, EntryIndex, Hash32, LotId};
use crate::ledger::hash::{leaf_hash, node_hash};
use crate::ledger::lot_map::{EMPTY_MAP, MapTile, TilePath, TileSource, prove_lot, update_map};
use crate::ledger::tree::{consistency_proof, inclusion_proof};
use crate::ledger::{Entry, LotKey, LotState, MapProof, NodeSource};

/// The tree of a ledger, and the entries that were asked for. 64 bytes of memory an entry.
pub struct SecondLook {
    /// Complete nodes, by level.
    levels: Vec<Vec<Hash32>>,
    entries: BTreeMap<EntryIndex, Bytes>,
    lots: MemoryTiles,
}

/// The map of lot states, built anew.
#[derive(Debug, Default)]
struct MemoryTiles(BTreeMap<TilePath, MapTile>);

impl TileSource for MemoryTiles {
    type Fault = TileMissing;

    fn tile(&self, path: &TilePath) -> Result<MapTile, TileMissing> {
        match self.0.get(path) {
            Some(tile) => Ok(tile.clone()),
            None if *path == TilePath::TOP => Ok(MapTile::EMPTY),
            None => Err(TileMissing),
        }
    }
}

impl SecondLook {
    /// Reads the ledger up to a size, and how its lots stood before an entry.
    pub(in crate::cli) fn read(
        source: &mut dyn Source,
        wanted: &BTreeSet<EntryIndex>,
        size: EntryCount,
        lots_before: EntryIndex,
    ) -> Result<Self> {
        let (mut leaves, mut entries) = (Vec::new(), BTreeMap::new());
        let mut states = BTreeMap::new();
        'reading: while let Some(piece) = source.next()? {
            for bytes in piece.entries {
                let index = EntryIndex(leaves.len() as u64);
                if index.0 == size.0 {
                    break 'reading;
                }
                leaves.push(leaf_hash(&bytes));
                if index < lots_before {
                    note_lots(index, &bytes, &mut states)?;
                }
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
        let mut lots = MemoryTiles::default();
        if !states.is_empty() {
            let update = update_map(&lots, &EMPTY_MAP, &states)?;
            lots.0 = update.tiles.iter().collect();
        }
        Ok(Self { levels, entries, lots })
    }

    /// How a lot stood, proven to a reader of the ledger's statement.
    pub fn lot(&self, lot: LotId) -> Result<MapProof> {
        Ok(prove_lot(&self.lots, lot)?)
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

/// How lots stand after an entry.
fn note_lots(
    index: EntryIndex,
    bytes: &Bytes,
    states: &mut BTreeMap<LotKey, LotState>,
) -> Result<()> {
    for link in Entry::parse(bytes)?.links {
        let entry_count = u64::from(link.ordinal).saturating_add(1);
        states.insert(LotKey::of(link.lot), LotState { entry_count, last: index });
    }
    Ok(())
}

/// A tile of the map that was not built.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("a tile of the map of lots is missing")]
struct TileMissing;

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
