//! The two hashes of the record: the chain (blake3) and the tree (SHA-256, RFC 6962).

use sha2::{Digest as _, Sha256};

use crate::domain::Hash32;

/// Context of the chain hash; part of the format.
pub const CHAIN_CONTEXT: &str = "urbanmine 2026-11 v1 chain of entries";

/// SHA-256 of some bytes.
pub fn sha256(bytes: &[u8]) -> Hash32 {
    Hash32(Sha256::digest(bytes).into())
}

/// SHA-256 of bytes that come in parts.
#[derive(Debug, Clone, Default)]
pub struct RunningSha256(Sha256);

impl RunningSha256 {
    /// Takes the next part.
    pub fn update(&mut self, part: &[u8]) {
        self.0.update(part);
    }

    /// The hash of all parts, as if they had come at once.
    pub fn finish(self) -> Hash32 {
        Hash32(self.0.finalize().into())
    }
}

/// RFC 6962 leaf hash: SHA-256 of `0x00 || entry`.
pub fn leaf_hash(entry: &[u8]) -> Hash32 {
    Hash32(Sha256::new().chain_update([0]).chain_update(entry).finalize().into())
}

/// RFC 6962 node hash: SHA-256 of `0x01 || left || right`.
pub fn node_hash(left: &Hash32, right: &Hash32) -> Hash32 {
    let hasher = Sha256::new().chain_update([1]).chain_update(left.0).chain_update(right.0);
    Hash32(hasher.finalize().into())
}

/// A value of the chain: what an entry's successor repeats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ChainValue(pub [u8; 32]);

impl ChainValue {
    /// Before the first entry.
    pub const START: ChainValue = ChainValue([0; 32]);

    /// The value of an entry, over its bytes; they hold the previous value.
    pub fn of_entry(entry: &[u8]) -> Self {
        Self(blake3::derive_key(CHAIN_CONTEXT, entry))
    }
}
