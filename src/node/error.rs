//! What a caller is told when nothing is recorded, and when that is not known.

use super::statement::StatementFault;
use crate::domain::{EntryCount, EntryIndex, KeyId, PublicKey, Rejection, TimeMs};
use crate::ledger::envelope::EnvelopeFault;
use crate::limits::{MAX_BATCH_BYTES, MAX_BATCH_EVENTS};
use crate::store::StoreFault;
use crate::wire::DecodeFault;

/// Why an event is not recorded, or why it is not known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// The envelope is not one.
    #[error("the envelope is malformed: {0}")]
    Envelope(EnvelopeFault),
    /// The signed bytes are not an event.
    #[error("{0}")]
    Decode(DecodeFault),
    /// A key that is to be registered is not sound.
    #[error("the public key of field {field} is not sound: {rule}")]
    KeyWeak {
        /// Where it stands in the event.
        field: &'static str,
        /// What is wrong.
        rule: String,
    },
    /// A signature is not good under its key.
    #[error("the signature by key {key} is not good")]
    Signature {
        /// Whose.
        key: KeyId,
    },
    /// The rules say no.
    #[error("{0}")]
    Rejected(Rejection),
    /// A batch without events.
    #[error("a batch has at least one event")]
    BatchEmpty,
    /// A batch beyond its limits.
    #[error(
        "a batch has at most {MAX_BATCH_EVENTS} events and {MAX_BATCH_BYTES} bytes, \
         not {events} and {bytes}"
    )]
    BatchTooLarge {
        /// How many events.
        events: usize,
        /// How many bytes.
        bytes: usize,
    },
    /// The same event twice in one batch.
    #[error("the event stands in the batch twice")]
    BatchRepeats,
    /// The writer's mailbox is full.
    #[error("the writer has as much to do as it may have; try again")]
    Busy,
    /// An earlier write failed.
    #[error("the writer stopped after a failed write; nothing was recorded")]
    Poisoned,
    /// A write of this event's group failed: it may be on disk.
    #[error("a write failed under way; ask for the event's receipt before sending it again")]
    Indeterminate,
    /// The node stops.
    #[error("the node is shutting down; nothing was recorded")]
    ShuttingDown,
    /// The state could not be read.
    #[error("the state could not be read; nothing was recorded")]
    Unreadable,
}

impl AppendError {
    /// Whether the ledger is certainly as it was before.
    pub const fn had_no_effect(&self) -> bool {
        match self {
            Self::Indeterminate => false,
            Self::Envelope(_)
            | Self::Decode(_)
            | Self::KeyWeak { .. }
            | Self::Signature { .. }
            | Self::Rejected(_)
            | Self::BatchEmpty
            | Self::BatchTooLarge { .. }
            | Self::BatchRepeats
            | Self::Busy
            | Self::Poisoned
            | Self::ShuttingDown
            | Self::Unreadable => true,
        }
    }
}

/// Why a batch is not recorded: all of it or nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{error}")]
pub struct BatchError {
    /// Which event, from 0; `None` when it is about the batch.
    pub position: Option<usize>,
    /// Why.
    pub error: AppendError,
}

impl BatchError {
    /// About the batch as a whole.
    pub const fn whole(error: AppendError) -> Self {
        Self { position: None, error }
    }

    /// About one event.
    pub const fn at(position: usize, error: AppendError) -> Self {
        Self { position: Some(position), error }
    }
}

/// Why a node does not start, or stops.
#[derive(Debug, thiserror::Error)]
pub enum NodeFault {
    /// The disk, the format, a lock.
    #[error("the store failed")]
    Store(#[from] StoreFault),
    /// The directory holds no genesis.
    #[error("the data directory holds no ledger yet")]
    NoGenesis,
    /// The key given is not the ledger's.
    #[error("the ledger is signed by key {expected}, and the key given is {found}")]
    LedgerKey {
        /// The key in force.
        expected: PublicKey,
        /// The key given.
        found: PublicKey,
    },
    /// A statement of the ledger is refused.
    #[error("the statement is refused")]
    Statement(#[source] StatementFault),
    /// The old key did not come to sign the checkpoint over the statement that names the next one.
    #[error(
        "entry {index} names the next ledger key, and a crash came before the old key signed the \
         checkpoint that ends with it: rotate the key again, with the same two keys"
    )]
    RotationUnfinished {
        /// The statement's entry.
        index: EntryIndex,
    },
    /// The genesis envelope is refused.
    #[error("the genesis is refused")]
    Genesis(#[source] AppendError),
    /// The head guard knows of more entries than the journal holds: an old backup, or a lost disk.
    #[error(
        "the head guard has seen {guard} entries and the journal holds {journal}: \
         this is an old copy, and going on would fork the ledger"
    )]
    BehindGuard {
        /// Entries that the guard has seen.
        guard: EntryCount,
        /// Entries in the journal.
        journal: EntryCount,
    },
    /// There is no head guard where one must be.
    #[error(
        "the head guard is gone, and the journal holds {journal} entries: without it an old \
         copy cannot be told from the newest"
    )]
    GuardMissing {
        /// Entries in the journal.
        journal: EntryCount,
    },
    /// The head guard's checkpoint is not one of this journal.
    #[error("the head guard's checkpoint at {size} entries is not this journal's: {rule}")]
    GuardDisagrees {
        /// Size of the guard's checkpoint.
        size: EntryCount,
        /// What does not fit.
        rule: String,
    },
    /// A thread cannot be started.
    #[error("the writer's thread cannot be started")]
    Thread(#[source] std::io::Error),
    /// The database says something else than the journal.
    #[error("database and journal disagree at entry {index}: {rule}")]
    Disagree {
        /// Where.
        index: EntryIndex,
        /// How.
        rule: String,
    },
    /// A recorded entry does not replay.
    #[error("entry {index} of the journal does not replay: {rule}")]
    Replay {
        /// Which.
        index: EntryIndex,
        /// Why.
        rule: String,
    },
    /// The clock went back.
    #[error("the clock says {now:?} and the last entry was recorded at {last:?}")]
    ClockSteppedBack {
        /// What it says.
        now: TimeMs,
        /// The last entry.
        last: TimeMs,
    },
    /// What was written reads back differently.
    #[error("entry {index} reads back differently from what was written")]
    ReadBack {
        /// Which.
        index: EntryIndex,
    },
}

/// A fault with its causes, on one line.
pub fn chain_of(fault: &dyn std::error::Error) -> String {
    let mut text = fault.to_string();
    let mut source = fault.source();
    while let Some(inner) = source {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        source = inner.source();
    }
    text
}
