//! Stand-in until the room is merged.

use std::sync::Arc;

use bytes::Bytes;

use crate::domain::effects::LedgerState;
use crate::domain::lot::{EventRecord, Lot, LotStatus, Transfer};
use crate::domain::party::{KeyState, PartyState, Site};
use crate::domain::{
    EntryCount, EntryIndex, EventId, Hash32, KeyId, LotId, PartyId, Rejection, SiteId,
};
use crate::ledger::checkpoint::SignedCheckpoint;
use crate::ledger::envelope::EnvelopeFault;
use crate::ledger::receipt::Receipt;
pub use crate::provenance::{Direction, Holding, Measure, Origins, Step, Trace, TraceNode};
use crate::wire::DecodeFault;

/// Why an append is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "stand-in")]
pub enum AppendError {
    #[error("{0}")]
    Decode(DecodeFault),
    #[error("{0}")]
    Envelope(EnvelopeFault),
    #[error("the signature of key {key} does not verify")]
    Signature { key: KeyId },
    #[error("key {key} is weak")]
    KeyWeak { key: KeyId },
    #[error("{0}")]
    Rejected(Rejection),
    #[error("too many requests wait; nothing was recorded")]
    Busy,
    #[error("an earlier write failed; nothing is recorded until a restart")]
    Poisoned,
    #[error("the write failed half-way; it may be recorded or not")]
    Indeterminate,
    #[error("the service is going down; nothing was recorded")]
    ShuttingDown,
    #[error("the batch is empty")]
    BatchEmpty,
    #[error("the batch has {events} events and {bytes} bytes")]
    BatchTooLarge { events: usize, bytes: usize },
    #[error("the store could not be read")]
    Unreadable,
}

impl AppendError {
    /// Whether nothing was recorded.
    pub fn had_no_effect(&self) -> bool {
        !matches!(self, Self::Indeterminate)
    }
}

/// Why a batch is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchError {
    /// Which member.
    pub position: Option<usize>,
    /// Why.
    pub error: AppendError,
}

/// Why a read failed.
#[derive(Debug, Clone, thiserror::Error)]
#[error("stand-in")]
pub struct ReadFault;

/// What was appended.
#[derive(Debug, Clone)]
pub struct Appended {
    /// Where.
    pub index: EntryIndex,
    /// Its receipt.
    pub receipt: Receipt,
    /// Whether it was recorded before.
    pub is_original: bool,
}

/// Which lots.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LotFilter {
    /// Whose.
    pub owner: Option<PartyId>,
    /// In whose hands.
    pub possessor: Option<PartyId>,
    /// Where.
    pub site: Option<SiteId>,
    /// What.
    pub material: Option<String>,
    /// How it stands.
    pub status: Option<LotStatus>,
}

/// The node.
#[derive(Debug, Clone)]
pub struct Node;

#[expect(missing_docs, clippy::unused_async, reason = "stand-in")]
impl Node {
    pub async fn append(&self, _: Bytes) -> Result<Appended, AppendError> {
        Err(AppendError::ShuttingDown)
    }

    pub async fn append_batch(&self, _: Vec<Bytes>) -> Result<Vec<Appended>, BatchError> {
        Err(BatchError { position: None, error: AppendError::ShuttingDown })
    }

    pub async fn validate(&self, _: Vec<Bytes>) -> Result<(), BatchError> {
        Err(BatchError { position: None, error: AppendError::ShuttingDown })
    }

    pub fn reader(&self) -> Reader {
        Reader
    }
}

/// Reads.
#[derive(Debug, Clone)]
pub struct Reader;

macro_rules! reads {
    ($($name:ident($($at:ty),*) -> $out:ty;)*) => {
        #[expect(missing_docs, reason = "stand-in")]
        impl Reader { $(pub fn $name(&self, $(_: $at),*) -> Result<$out, ReadFault> { Err(ReadFault) })* }
    };
}

reads! {
    ledger() -> LedgerState;
    size() -> EntryCount;
    checkpoint() -> SignedCheckpoint;
    entry(EntryIndex) -> Option<Bytes>;
    entries(EntryIndex, usize) -> Vec<(EntryIndex, Bytes)>;
    receipt(EntryIndex) -> Option<Receipt>;
    receipt_of_event(EventId) -> Option<Receipt>;
    inclusion_proof(EntryIndex, EntryCount) -> Option<Vec<Hash32>>;
    consistency_proof(EntryCount, EntryCount) -> Option<Vec<Hash32>>;
    lot(LotId) -> Option<Lot>;
    lots(Option<LotId>, usize, &LotFilter) -> Vec<Lot>;
    life(LotId) -> Vec<(EntryIndex, EventId)>;
    event(EventId) -> Option<EventRecord>;
    transfer(EventId) -> Option<Transfer>;
    party(PartyId) -> Option<PartyState>;
    parties(Option<PartyId>, usize) -> Vec<PartyState>;
    site(SiteId) -> Option<Site>;
    sites(Option<SiteId>, usize) -> Vec<Site>;
    key(KeyId) -> Option<KeyState>;
    tables_text() -> Arc<str>;
    origins(LotId, Measure) -> Origins;
    trace(LotId, Direction) -> Trace;
}
