//! What is refused of the things that lie beside the ledger: drafts, and openings of private facts.

use super::errors::Failure;
use super::numbers::Number;
use crate::domain::{EventId, Hash32};
use crate::node::{DraftFault, OpeningFault, ReadFault};
use crate::wire::v1::Reason;

/// Why a draft or an opening is not kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BesideFault {
    /// Another draft of that event id.
    #[error("there is a draft of event {event} with other bytes")]
    DraftConflict {
        /// The event.
        event: EventId,
    },
    /// An event that needs no other signature.
    #[error("this event needs no other signature: append it instead")]
    DraftNotNeeded,
    /// No room for another draft.
    #[error("{what} has {limit} drafts that wait, the most that it can have")]
    DraftsFull {
        /// Whose drafts.
        what: &'static str,
        /// How many there may be.
        limit: usize,
    },
    /// No commitment of the event is the hash of this salt and fact.
    #[error("no commitment of event {event} is {found}, the hash of salt and fact")]
    OpeningMismatch {
        /// The event.
        event: EventId,
        /// The hash.
        found: Hash32,
    },
}

impl BesideFault {
    /// Its reason.
    pub const fn reason(&self) -> Reason {
        match self {
            Self::DraftConflict { .. } => Reason::DraftConflict,
            Self::DraftNotNeeded => Reason::DraftNotNeeded,
            Self::DraftsFull { .. } => Reason::DraftsFull,
            Self::OpeningMismatch { .. } => Reason::OpeningMismatch,
        }
    }

    /// What explains it.
    pub fn numbers(&self) -> Vec<Number> {
        match self {
            Self::DraftConflict { event } => vec![("event", event.to_string())],
            Self::DraftNotNeeded => Vec::new(),
            Self::DraftsFull { what, limit } => {
                vec![("what", (*what).to_owned()), ("limit", limit.to_string())]
            }
            Self::OpeningMismatch { event, found } => {
                vec![("event", event.to_string()), ("found", found.to_string())]
            }
        }
    }
}

impl From<DraftFault> for Failure {
    fn from(fault: DraftFault) -> Self {
        match fault {
            DraftFault::Append(error) => Self::Append(error),
            DraftFault::NotNeeded => Self::Beside(BesideFault::DraftNotNeeded),
            DraftFault::Conflict(event) => Self::Beside(BesideFault::DraftConflict { event }),
            DraftFault::Full { what, limit } => {
                Self::Beside(BesideFault::DraftsFull { what, limit })
            }
            DraftFault::Unknown(id) => Self::NotFound { kind: "draft", name: id.to_string() },
            DraftFault::Store(fault) => Self::Read(ReadFault::Store(fault)),
        }
    }
}

impl From<OpeningFault> for Failure {
    fn from(fault: OpeningFault) -> Self {
        match fault {
            OpeningFault::Mismatch { event, found } => {
                Self::Beside(BesideFault::OpeningMismatch { event, found })
            }
            OpeningFault::EventUnknown(event) => {
                Self::NotFound { kind: "event", name: event.to_string() }
            }
            OpeningFault::Unknown { event, commitment } => {
                Self::NotFound { kind: "opening", name: format!("{event}-{commitment}") }
            }
            OpeningFault::Store(fault) => Self::Read(ReadFault::Store(fault)),
        }
    }
}
