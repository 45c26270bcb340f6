//! What auditors and others have said of the ledger.

use super::ids::{EntryCount, EntryIndex, EventId, Hash32, PartyId};
use super::units::TimeMs;
use super::vocabulary::AttestResult;

/// Somebody looked at a state of the ledger. It stands for ever; a later one stands beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attestation {
    /// Its entry.
    pub index: EntryIndex,
    /// Its event.
    pub event: EventId,
    /// Who looked.
    pub by: PartyId,
    /// When.
    pub occurred_at: TimeMs,
    /// At what.
    pub scope: String,
    /// How many entries the ledger had.
    pub size: EntryCount,
    /// The root over them.
    pub root: Hash32,
    /// What was found.
    pub result: AttestResult,
}

/// A party has seen an anomaly: its latest word on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acknowledgement {
    /// Its id.
    pub anomaly: String,
    /// Who.
    pub by: PartyId,
    /// In words.
    pub note: String,
    /// The event.
    pub event: EventId,
    /// Its entry.
    pub index: EntryIndex,
    /// When.
    pub occurred_at: TimeMs,
}
