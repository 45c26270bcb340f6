//! Where did this metal come from, where did it go?
//!
//! *Owns:* the walk over movements, origin vectors with their ranges and categories, traces back
//! and forward. Every walk is iterative, has a cap, and says when it stopped at it.
//!
//! *Never:* judges an event, stores a vector, reads anything but the [`Graph`] it is handed.
//! Vectors are computed when asked, from movements that were not retracted, so a correction needs
//! no repair here.
//!
//! *See:* `docs/PROVENANCE.md` for the algorithm, gram by gram, so that another implementation gets
//! the same answer; `domain::movement` for what is walked.

mod balance;
mod categories;
mod memory;
mod origins;
mod pools;
mod range;
mod recent;
mod record;
mod share;
mod trace;
mod walk;

use std::fmt;

use crate::domain::movement::Movement;
use crate::domain::vocabulary::Substance;
use crate::domain::{CampaignId, EntryIndex, LotId};
use crate::limits::{MAX_TRACE_LOTS, MAX_TRACE_STEPS};

pub use categories::{Categories, categories};
pub use memory::GraphRecorder;
pub use origins::{
    Detail, Holding, OriginRange, Origins, origins, origins_and_trace, origins_with_ranges,
};
pub use recent::{LotClass, RecentHistory};
pub use trace::{Direction, Step, Trace, TraceNode, trace};

/// What a history is read from.
pub trait Graph {
    /// What goes wrong when it cannot be read.
    type Fault;

    /// Every entry that names the lot, ascending; empty for a stranger.
    fn life(&self, lot: LotId) -> Result<Vec<EntryIndex>, Self::Fault>;
    /// What the event of an entry did to metal; `None` when nothing, or when it was declared an
    /// error.
    fn movement(&self, index: EntryIndex) -> Result<Option<Movement>, Self::Fault>;
    /// Every entry of a campaign that counts, and the opening of the one after it, ascending; empty
    /// for a stranger.
    fn campaign(&self, id: CampaignId) -> Result<Vec<EntryIndex>, Self::Fault>;
}

/// What is followed through the history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Measure {
    /// Grams of material.
    Mass,
    /// Grams of an element in it.
    Substance(Substance),
}

/// How far a walk goes before it stops and says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceLimits {
    /// Lots, the asked one included.
    pub lots: usize,
    /// Edges between lots. Entries read, which includes those without an edge, are bounded with
    /// them.
    pub steps: usize,
}

impl Default for TraceLimits {
    fn default() -> Self {
        Self { lots: MAX_TRACE_LOTS, steps: MAX_TRACE_STEPS }
    }
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TraceFault<F> {
    /// The history could not be read.
    Unreadable(F),
    /// No event that still counts brought the asked lot into being.
    NoSuchLot(LotId),
    /// A lot was drawn from that no counting event brought into being: no ledger allows that.
    NeverBorn(LotId),
    /// More was drawn from a lot than was there: no ledger allows that.
    Overdrawn {
        /// From which lot.
        lot: LotId,
        /// By which entry.
        index: EntryIndex,
    },
}

impl<F: fmt::Display> fmt::Display for TraceFault<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(fault) => write!(f, "the history could not be read: {fault}"),
            Self::NoSuchLot(lot) => write!(f, "there is no lot {lot}, or its birth was an error"),
            Self::NeverBorn(lot) => write!(f, "lot {lot} was drawn from but never came into being"),
            Self::Overdrawn { lot, index } => {
                write!(f, "entry {index} draws more from lot {lot} than was there")
            }
        }
    }
}

impl<F: fmt::Debug + fmt::Display> std::error::Error for TraceFault<F> {}
