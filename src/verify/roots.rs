//! The root of RFC 6962, recomputed leaf by leaf: a stack of perfect subtrees.
//!
//! The definition splits `n` leaves at the largest power of two below `n`. Read from the left that
//! is: the perfect subtrees of the binary digits of `n`, largest first; the root folds them from
//! the right.

use crate::domain::{EntryCount, Hash32};
use crate::ledger::hash::{node_hash, sha256};

/// A tree that grows by leaves and knows its root.
#[derive(Debug, Default)]
pub(super) struct RootStack {
    leaf_count: u64,
    /// Height and root of each perfect subtree, left to right, heights strictly falling: at most
    /// 64.
    perfect: Vec<(u32, Hash32)>,
}

impl RootStack {
    /// Adds the next leaf.
    pub(super) fn push(&mut self, leaf: Hash32) {
        let (mut height, mut hash) = (0, leaf);
        // Two perfect trees of one height are one of the next.
        while let Some((left_height, left)) = self.perfect.last().copied() {
            if left_height != height {
                break;
            }
            self.perfect.pop();
            hash = node_hash(&left, &hash);
            height += 1;
        }
        self.perfect.push((height, hash));
        self.leaf_count = self.leaf_count.saturating_add(1);
    }

    /// How many leaves came.
    pub(super) fn size(&self) -> EntryCount {
        EntryCount(self.leaf_count)
    }

    /// The root over all of them.
    pub(super) fn root(&self) -> Hash32 {
        let mut from_right = self.perfect.iter().rev().map(|(_, hash)| *hash);
        match from_right.next() {
            None => sha256(&[]),
            Some(last) => from_right.fold(last, |right, left| node_hash(&left, &right)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::hash::leaf_hash;

    /// The recursive definition, word by word.
    fn defined(leaves: &[Hash32]) -> Hash32 {
        match leaves {
            [] => sha256(&[]),
            [one] => *one,
            more => {
                let split = more.len().next_power_of_two() / 2;
                let (left, right) = more.split_at(split);
                node_hash(&defined(left), &defined(right))
            }
        }
    }

    #[test]
    fn every_size_has_the_root_of_the_definition() {
        let mut stack = RootStack::default();
        let mut leaves = Vec::new();
        for number in 0_u32..300 {
            assert_eq!(stack.root(), defined(&leaves), "{number} leaves");
            let leaf = leaf_hash(&number.to_be_bytes());
            stack.push(leaf);
            leaves.push(leaf);
        }
        assert_eq!(stack.size(), EntryCount(300));
    }
}
