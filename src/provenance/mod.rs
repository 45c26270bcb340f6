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
pub struct Origins {
    /// The whole.
    pub total: Grams,
    /// Its shares.
    pub shares: Vec<(LotId, Grams)>,
    /// Everything with a part in it.
    pub lineage: Vec<LotId>,
    /// Whether no cap was reached.
    pub is_complete: bool,
}

/// The steps of a walk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    /// The steps.
    pub steps: Vec<Step>,
    /// The lots.
    pub lots: Vec<LotId>,
    /// Whether no cap was reached.
    pub is_complete: bool,
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
