//! The map of lot states, recomputed: what the ledger states of its lots follows from the entries.
//!
//! Not the writer's tiles: a binary trie in memory, of forks where two keys part. A fork remembers
//! its hash until something below it changes, so a statement costs what changed since the one
//! before. Each lot takes a leaf and a fork, some 200 bytes.

use std::collections::BTreeMap;

use super::report::{FindingKind, Findings};
use crate::domain::effects::LotLink;
use crate::domain::{EntryCount, EntryIndex, Hash32, LotId};
use crate::ledger::lot_map::{EMPTY_MAP, LotKey, LotState, map_branch, map_leaf};

/// The map as the entries give it.
#[derive(Debug, Default)]
pub(super) struct LotMap {
    /// Lots that changed since the last statement; the trie does not know of it yet.
    changed: BTreeMap<LotId, LotState>,
    nodes: Vec<Node>,
    top: Option<Place>,
}

/// Where a node lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place(usize);

#[derive(Debug, Clone, Copy)]
enum Node {
    Leaf {
        key: LotKey,
        hash: Hash32,
    },
    /// The lots below share the bits before `at`, and part there.
    Fork {
        at: usize,
        left: Place,
        right: Place,
        /// A key below: all have the bits before `at`.
        key: LotKey,
        /// Of the subtree that begins at `at`; `None` when something below changed.
        hash: Option<Hash32>,
    },
}

impl LotMap {
    /// An entry links some lots.
    pub(super) fn note(&mut self, at: EntryIndex, links: &[LotLink]) {
        for link in links {
            let entry_count = u64::from(link.ordinal).saturating_add(1);
            self.changed.insert(link.lot, LotState { entry_count, last: at });
        }
    }

    /// What the ledger states at an entry is what follows from those before it.
    pub(super) fn check_stated(
        &mut self,
        at: EntryIndex,
        size: EntryCount,
        root: Hash32,
        findings: &mut Findings,
    ) {
        if size.0 != at.0 {
            let detail = format!("it states the lots of {size} entries, and {at} stand before it");
            findings.at(at, FindingKind::LotStateWrong, detail);
        }
        let expected = self.root();
        if root != expected {
            let detail =
                format!("it states the lots' root {root}, and the entries before give {expected}");
            findings.at(at, FindingKind::LotStateWrong, detail);
        }
    }

    /// The root over all lots so far.
    fn root(&mut self) -> Hash32 {
        let changed = std::mem::take(&mut self.changed).into_iter();
        let mut changed: Vec<(LotKey, LotState)> =
            changed.map(|(lot, state)| (LotKey::of(lot), state)).collect();
        // In the order of the trie: what one goes by, the next finds in the cache.
        changed.sort_unstable_by_key(|(key, _)| *key);
        for (key, state) in changed {
            self.set(key, map_leaf(&key, &state));
        }
        self.top.map_or(EMPTY_MAP, |top| self.hash_from(top, 0))
    }

    fn set(&mut self, key: LotKey, hash: Hash32) {
        let Some(top) = self.top else {
            self.top = Some(self.add(Node::Leaf { key, hash }));
            return;
        };
        // Down to where the key parts from all below, or to its own leaf. 256 steps at most.
        let (mut above, mut here) = (None, top);
        let parted_at = loop {
            match self.nodes.get_mut(here.0) {
                Some(Node::Fork { at, left, right, key: below, hash }) => {
                    let shared = below.shared_bits(&key);
                    if shared < *at {
                        break shared;
                    }
                    *hash = None;
                    above = Some(here);
                    here = if key.is_right(*at) { *right } else { *left };
                }
                Some(Node::Leaf { key: own, hash: known }) => {
                    let shared = own.shared_bits(&key);
                    if shared < 256 {
                        break shared;
                    }
                    *known = hash;
                    return;
                }
                // Places are made by `add` alone, so there is a node.
                None => return,
            }
        };
        let leaf = self.add(Node::Leaf { key, hash });
        let (left, right) = if key.is_right(parted_at) { (here, leaf) } else { (leaf, here) };
        let fork = self.add(Node::Fork { at: parted_at, left, right, key, hash: None });
        self.hang(above, &key, fork);
    }

    /// Hangs a node where the way of a key leaves the one above; at the top when there is none.
    fn hang(&mut self, above: Option<Place>, key: &LotKey, node: Place) {
        match above.and_then(|above| self.nodes.get_mut(above.0)) {
            Some(Node::Fork { at, left, right, .. }) => {
                *(if key.is_right(*at) { right } else { left }) = node;
            }
            _ => self.top = Some(node),
        }
    }

    fn add(&mut self, node: Node) -> Place {
        self.nodes.push(node);
        Place(self.nodes.len() - 1)
    }

    /// The hash of the subtree at depth `from` that holds a node alone. Goes down at most 256
    /// times.
    fn hash_from(&mut self, place: Place, from: usize) -> Hash32 {
        let (at, key, known, left, right) = match self.nodes.get(place.0) {
            // One lot is its leaf, however high it hangs.
            Some(Node::Leaf { hash, .. }) => return *hash,
            Some(Node::Fork { at, key, hash, left, right }) => (*at, *key, *hash, *left, *right),
            None => return EMPTY_MAP,
        };
        let own = known.unwrap_or_else(|| {
            let below = at + 1;
            let (left, right) = (self.hash_from(left, below), self.hash_from(right, below));
            map_branch(&left, &right)
        });
        if let Some(Node::Fork { hash, .. }) = self.nodes.get_mut(place.0) {
            *hash = Some(own);
        }
        // Where nothing parts, one half is empty.
        (from..at).rev().fold(own, |hash, bit| {
            if key.is_right(bit) {
                map_branch(&EMPTY_MAP, &hash)
            } else {
                map_branch(&hash, &EMPTY_MAP)
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The definition, word by word: lots that share the bits before `at`.
    fn defined(lots: &[(LotKey, LotState)], at: usize) -> Hash32 {
        match lots {
            [] => EMPTY_MAP,
            [(key, state)] => map_leaf(key, state),
            more => {
                let (right, left): (Vec<_>, Vec<_>) =
                    more.iter().partition(|(key, _)| key.is_right(at));
                map_branch(&defined(&left, at + 1), &defined(&right, at + 1))
            }
        }
    }

    /// A key that shares many bits with others of few numbers.
    fn near(number: u8, bits: usize) -> LotKey {
        let mut key = [number & 1; 32];
        key[(bits / 8) % 32] ^= 1 << (bits % 8);
        LotKey(key)
    }

    proptest! {
        #[test]
        fn the_root_is_that_of_the_definition_after_every_change(
            steps in prop::collection::vec((any::<u8>(), 0..256_usize, 1..9_u64), 0..60)
        ) {
            let mut map = LotMap::default();
            let mut all = BTreeMap::new();
            for (index, (number, bits, entry_count)) in (0_u64..).zip(steps) {
                let key = near(number, bits);
                let state = LotState { entry_count, last: EntryIndex(index) };
                map.set(key, map_leaf(&key, &state));
                all.insert(key, state);
                let lots: Vec<_> = all.iter().map(|(key, state)| (*key, *state)).collect();
                prop_assert_eq!(map.root(), defined(&lots, 0));
            }
        }
    }
}
