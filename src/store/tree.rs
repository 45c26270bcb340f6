//! The tree's hashes: rows of up to 16, at tree levels 0, 4, 8 and so on. Every node between is
//! computed from the row below it.

use std::cell::RefCell;
use std::collections::BTreeMap;

use super::database::Database;
use super::fault::StoreFault;
use super::keyspace::Key;
use crate::domain::{EntryIndex, Hash32};
use crate::ledger::hash::node_hash;
use crate::ledger::tree::NodeSource;
use crate::limits::STORED_ROW_HASHES;

const ROW_HEIGHT: u8 = 4;
const _: () = assert!(1 << ROW_HEIGHT == STORED_ROW_HASHES);
const LEVELS: u8 = 64;
const HASH_BYTES: usize = 32;
/// Rows that a reader keeps: two proofs touch at most 16 each.
const KEPT_ROWS: usize = 256;

/// Reads hashes for one answer, however many proofs it has: rows that were read are kept, with the
/// nodes above them. Not for sharing between threads.
#[derive(Debug)]
pub struct TreeReader<'a> {
    database: &'a Database,
    rows: RefCell<BTreeMap<(u8, u64), Pyramid>>,
}

/// A row and the complete nodes above it: element `h` holds those of height `h`.
type Pyramid = Vec<Vec<Hash32>>;

impl<'a> TreeReader<'a> {
    pub(super) fn new(database: &'a Database) -> Self {
        Self { database, rows: RefCell::default() }
    }
}

impl NodeSource for TreeReader<'_> {
    type Fault = StoreFault;

    fn node(&self, level: u8, index: u64) -> Result<Hash32, StoreFault> {
        let (row_level, height) = (level / ROW_HEIGHT, usize::from(level % ROW_HEIGHT));
        let per_row = STORED_ROW_HASHES as u64 >> height;
        let (number, within) = (index / per_row, usize::try_from(index % per_row).unwrap_or(0));
        let key = Key::Row(row_level, number);
        if level >= LEVELS {
            return Err(StoreFault::value(&key, "no tree has this level"));
        }
        let mut rows = self.rows.borrow_mut();
        let place = (row_level, number);
        let kept = rows.get(&place).and_then(|pyramid| node_of(pyramid, height, within));
        if let Some(hash) = kept {
            return Ok(hash);
        }
        // Not kept, or kept while it was shorter.
        let pyramid = pyramid(read_row(self.database, row_level, number)?);
        let found = node_of(&pyramid, height, within);
        if rows.len() >= KEPT_ROWS {
            rows.clear();
        }
        rows.insert(place, pyramid);
        found.ok_or_else(|| {
            StoreFault::value(&key, format!("node {index} of level {level} is not complete"))
        })
    }
}

/// The rows that change when leaves are added behind entry `first - 1`, complete with what they
/// held.
pub(super) fn rows_with(
    database: &Database,
    first: EntryIndex,
    leaves: &[Hash32],
) -> Result<Vec<(Key, Vec<u8>)>, StoreFault> {
    let mut changed = Vec::new();
    let (mut start, mut hashes) = (first.0, leaves.to_vec());
    for level in 0..LEVELS / ROW_HEIGHT {
        if hashes.is_empty() {
            break;
        }
        let number = start / STORED_ROW_HASHES as u64;
        let mut row = row_before(database, level, start)?;
        let mut parents = Vec::new();
        let mut at = number;
        for hash in hashes {
            row.push(hash);
            if row.len() == STORED_ROW_HASHES {
                changed.push((Key::Row(level, at), row_bytes(&row)));
                parents.push(root_of(std::mem::take(&mut row)));
                at += 1;
            }
        }
        if !row.is_empty() {
            changed.push((Key::Row(level, at), row_bytes(&row)));
        }
        (start, hashes) = (number, parents);
    }
    Ok(changed)
}

/// The hashes of a row that stand before place `start` of its level.
fn row_before(database: &Database, level: u8, start: u64) -> Result<Vec<Hash32>, StoreFault> {
    let number = start / STORED_ROW_HASHES as u64;
    let kept = usize::try_from(start % STORED_ROW_HASHES as u64).unwrap_or(0);
    if kept == 0 {
        return Ok(Vec::with_capacity(STORED_ROW_HASHES));
    }
    let mut row = read_row(database, level, number)?;
    if row.len() < kept {
        let rule = format!("{} hashes, and {kept} stand before the next", row.len());
        return Err(StoreFault::value(&Key::Row(level, number), rule));
    }
    row.truncate(kept);
    Ok(row)
}

fn read_row(database: &Database, level: u8, number: u64) -> Result<Vec<Hash32>, StoreFault> {
    let key = Key::Row(level, number);
    let bytes = database.get(&key)?.unwrap_or_default();
    let (hashes, rest) = bytes.as_chunks::<HASH_BYTES>();
    if !rest.is_empty() || hashes.len() > STORED_ROW_HASHES {
        return Err(StoreFault::value(&key, format!("{} bytes are no row", bytes.len())));
    }
    Ok(hashes.iter().map(|hash| Hash32(*hash)).collect())
}

fn row_bytes(row: &[Hash32]) -> Vec<u8> {
    row.iter().flat_map(|hash| hash.0).collect()
}

fn pyramid(row: Vec<Hash32>) -> Pyramid {
    let mut levels = vec![row];
    // Stops when a level has a single node: after 8 turns at most.
    while let Some(below) = levels.last().filter(|below| below.len() > 1) {
        let (pairs, _) = below.as_chunks::<2>();
        levels.push(pairs.iter().map(|[left, right]| node_hash(left, right)).collect());
    }
    levels
}

fn root_of(full_row: Vec<Hash32>) -> Hash32 {
    debug_assert_eq!(full_row.len(), STORED_ROW_HASHES);
    let levels = pyramid(full_row);
    levels.last().and_then(|top| top.first()).copied().unwrap_or(Hash32([0; 32]))
}

fn node_of(pyramid: &Pyramid, height: usize, within: usize) -> Option<Hash32> {
    pyramid.get(height)?.get(within).copied()
}
