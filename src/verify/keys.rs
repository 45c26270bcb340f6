//! The ledger's keys, as they followed each other.

use crate::domain::{EntryCount, EntryIndex, PublicKey};
use crate::limits::MAX_LEDGER_KEYS;

/// Keys in the order in which they signed, each with the smallest checkpoint that is its own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct LedgerKeys {
    chain: Vec<(PublicKey, EntryCount)>,
}

impl LedgerKeys {
    /// Begins with the key of the genesis.
    pub(super) fn begin(genesis: PublicKey) -> Self {
        Self { chain: vec![(genesis, EntryCount(0))] }
    }

    /// The key that signs statements now.
    pub(super) fn current(&self) -> Option<PublicKey> {
        self.chain.last().map(|(key, _)| *key)
    }

    /// All of them, in the order in which they signed.
    pub(super) fn all(&self) -> Vec<PublicKey> {
        self.chain.iter().map(|(key, _)| *key).collect()
    }

    /// Whether it ever was one.
    pub(super) fn contains(&self, key: &PublicKey) -> bool {
        self.chain.iter().any(|(known, _)| known == key)
    }

    /// How many keys were before it; `None` for a stranger.
    pub(super) fn place_of(&self, key: &PublicKey) -> Option<usize> {
        self.chain.iter().position(|(known, _)| known == key)
    }

    /// How often one key followed another.
    pub(super) fn rotations(&self) -> usize {
        self.chain.len().saturating_sub(1)
    }

    /// Whether another one may follow.
    pub(super) fn is_full(&self) -> bool {
        self.chain.len() >= MAX_LEDGER_KEYS
    }

    /// A statement at `index` names the next one: the checkpoint that ends with the statement is
    /// still the old key's.
    pub(super) fn push(&mut self, key: PublicKey, index: EntryIndex) {
        self.chain.push((key, EntryCount(index.next().next().0)));
    }

    /// The key whose checkpoint of a size counts.
    pub(super) fn signer_of(&self, size: EntryCount) -> Option<PublicKey> {
        let mut newest_first = self.chain.iter().rev();
        newest_first.find(|(_, from)| *from <= size).map(|(key, _)| *key)
    }
}
