//! The Merkle tree on disk: rows of 256 hashes at levels 0, 8, 16 …, as in C2SP tlog-tiles.
//!
//! Row `r` of level `l` holds the nodes `(l, 256 r)` to `(l, 256 r + 255)`; a node between two stored levels
//! is hashed from the row below it. Rows only ever grow at their end.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use crate::domain::Hash32;
use crate::ledger::hash::node_hash;

/// Hashes of a row.
pub const ROW: u64 = 256;
/// Levels between two stored ones.
pub const STEP: u8 = 8;

/// Rows under change, by level and number.
pub type Rows = BTreeMap<(u8, u64), Vec<Hash32>>;

/// Adds leaves from position `size` on. `row` reads a row as it is on disk.
pub fn append<F>(
    size: u64,
    leaves: &[Hash32],
    mut row: impl FnMut(u8, u64) -> Result<Vec<Hash32>, F>,
) -> Result<Rows, F> {
    let mut rows = Rows::new();
    // Nodes to be placed at a level, with the position of the first of them.
    let mut level = 0_u8;
    let mut position = size;
    let mut nodes: Vec<Hash32> = leaves.to_vec();
    while !nodes.is_empty() {
        let mut finished = Vec::new();
        let mut first_finished = None;
        for (offset, node) in nodes.iter().enumerate() {
            let at = position + offset as u64;
            let (number, place) = (at / ROW, usize::try_from(at % ROW).unwrap_or(0));
            let hashes = match rows.entry((level, number)) {
                Entry::Occupied(held) => held.into_mut(),
                Entry::Vacant(free) if place == 0 => free.insert(Vec::new()),
                Entry::Vacant(free) => free.insert(row(level, number)?),
            };
            // Written again (replay): the same hash in the same place.
            hashes.truncate(place);
            hashes.push(*node);
            if hashes.len() as u64 == ROW {
                first_finished.get_or_insert(number);
                finished.push(fold(hashes));
            }
        }
        nodes = finished;
        position = first_finished.unwrap_or(0);
        level = level.saturating_add(STEP);
    }
    Ok(rows)
}

/// The node over a power of two of hashes.
pub fn fold(hashes: &[Hash32]) -> Hash32 {
    let mut level = hashes.to_vec();
    while level.len() > 1 {
        level = level.chunks(2).map(|pair| node_hash(&pair[0], &pair[pair.len() - 1])).collect();
    }
    level[0]
}

/// Where a node is hashed from: stored level, row, first place, how many.
pub fn place_of(level: u8, index: u64) -> (u8, u64, usize, usize) {
    let inside = level % STEP;
    let first = index << inside;
    let place = usize::try_from(first % ROW).unwrap_or(0);
    (level - inside, first / ROW, place, 1 << inside)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;

    fn leaf(number: u64) -> Hash32 {
        crate::ledger::hash::leaf_hash(&number.to_be_bytes())
    }

    /// By the definition of RFC 6962, for whole subtrees.
    fn naive(level: u8, index: u64) -> Hash32 {
        if level == 0 {
            return leaf(index);
        }
        node_hash(&naive(level - 1, 2 * index), &naive(level - 1, 2 * index + 1))
    }

    #[test]
    fn nodes_are_those_of_the_definition_however_leaves_came() {
        let mut disk = Rows::new();
        let mut size = 0;
        let total = 1_500;
        for step in [1, 255, 1, 3, 256, 300, 512, 172] {
            let leaves: Vec<Hash32> = (size..size + step).map(leaf).collect();
            for _ in 0..2 {
                // Twice: a replay writes the same rows.
                let read = |level, number| {
                    Ok::<_, Infallible>(disk.get(&(level, number)).cloned().unwrap_or_default())
                };
                let Ok(rows) = append(size, &leaves, read);
                disk.extend(rows);
            }
            size += step;
        }
        assert_eq!(size, total);
        for level in 0..=10 {
            for index in 0..(total >> level) {
                let (stored, row, place, count) = place_of(level, index);
                let hashes = &disk[&(stored, row)][place..place + count];
                assert_eq!(fold(hashes), naive(level, index), "level {level}, index {index}");
            }
        }
    }
}
