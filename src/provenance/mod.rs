//! Stand-in until the room is merged.

use crate::domain::vocabulary::{EventKind, Substance};
use crate::domain::{EntryIndex, EventId, Grams, LotId};

/// What is traced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// The mass.
    Mass,
    /// A substance.
    Substance(Substance),
}

/// Which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// To the origins.
    Back,
    /// To the destinations.
    Forward,
}

/// Where a lot came from.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "stand-in")]
pub struct Origins {
    pub total: Option<Grams>,
    pub shares: Vec<(LotId, Grams)>,
    pub is_attributed: bool,
    pub at_birth: Holding,
    pub lineage: Vec<LotId>,
    pub is_complete: bool,
}

/// Grams in a lot.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[expect(missing_docs, reason = "stand-in")]
pub struct Holding {
    pub total: Option<Grams>,
    pub shares: Vec<(LotId, Grams)>,
    pub is_attributed: bool,
}

/// The steps of a walk.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "stand-in")]
pub struct Trace {
    pub steps: Vec<Step>,
    pub lots: Vec<LotId>,
    pub nodes: Vec<TraceNode>,
    pub uptake: Option<Grams>,
    pub lost: Option<Grams>,
    pub is_complete: bool,
}

/// A lot of a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "stand-in")]
pub struct TraceNode {
    pub lot: LotId,
    pub depth: u32,
    pub mass: Option<Grams>,
    pub remaining: Option<Grams>,
}

/// One step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// Its entry.
    pub index: EntryIndex,
    /// Its event.
    pub event: EventId,
    /// Its kind.
    pub kind: EventKind,
    /// From.
    pub from: LotId,
    /// To.
    pub to: LotId,
    /// How much.
    pub mass: Grams,
}
