//! Stand-in until the room is merged.

use bytes::Bytes;

use super::checkpoint::SignedCheckpoint;
use crate::domain::{EntryIndex, Hash32};

/// A receipt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The entry.
    pub entry: Bytes,
    /// Its index.
    pub index: EntryIndex,
    /// Its proof.
    pub proof: Vec<Hash32>,
    /// The checkpoint.
    pub checkpoint: SignedCheckpoint,
}

impl Receipt {
    /// Its text.
    pub fn encode(&self) -> String {
        format!("{}\n{}", self.index, self.checkpoint.text())
    }
}
