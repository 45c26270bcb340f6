//! The walk: which lots, which movements. A frontier and counters, never recursion.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::{Graph, TraceFault, TraceLimits};
use crate::domain::movement::Movement;
use crate::domain::{EntryIndex, LotId};
use crate::limits::MAX_TRACE_ENTRIES_PER_STEP;

/// A lot that was reached, and over how many events at least.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reached {
    pub(super) lot: LotId,
    pub(super) depth: u32,
}

/// Lots and movements, as far as the limits allow.
pub(super) struct Walk<'g, G: Graph> {
    graph: &'g G,
    limits: TraceLimits,
    entries_left: usize,
    steps: usize,
    /// In the order in which they were reached; the asked lot first.
    pub(super) reached: Vec<Reached>,
    pub(super) lots: BTreeSet<LotId>,
    /// The entry each lot was born in, as far as it was looked up.
    pub(super) births: BTreeMap<LotId, EntryIndex>,
    pub(super) movements: BTreeMap<EntryIndex, Movement>,
    pub(super) is_complete: bool,
}

impl<'g, G: Graph> Walk<'g, G> {
    pub(super) fn new(graph: &'g G, limits: TraceLimits) -> Self {
        Self {
            graph,
            limits,
            entries_left: limits.steps.saturating_mul(MAX_TRACE_ENTRIES_PER_STEP).max(1),
            steps: 0,
            reached: Vec::new(),
            lots: BTreeSet::new(),
            births: BTreeMap::new(),
            movements: BTreeMap::new(),
            is_complete: true,
        }
    }

    /// Everything the asked lot was made from: births only.
    pub(super) fn ancestors(&mut self, asked: LotId) -> Result<(), TraceFault<G::Fault>> {
        let mut frontier = self.start(asked);
        while let Some(at) = frontier.pop_front() {
            let Some(born) = self.birth_of(at.lot)? else {
                if self.is_complete {
                    return Err(if at.lot == asked {
                        TraceFault::NoSuchLot(asked)
                    } else {
                        TraceFault::NeverBorn(at.lot)
                    });
                }
                return Ok(());
            };
            let movement = self.movements.get(&born);
            let parents: Vec<LotId> =
                movement.iter().flat_map(|it| &it.draws).map(|draw| draw.lot).collect();
            if !self.step_to(&parents, at.depth, &mut frontier) {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Everything that was made from the asked lot: whole lives.
    pub(super) fn descendants(&mut self, asked: LotId) -> Result<(), TraceFault<G::Fault>> {
        if self.birth_of(asked)?.is_none() {
            return Err(TraceFault::NoSuchLot(asked));
        }
        let mut frontier = self.start(asked);
        while let Some(at) = frontier.pop_front() {
            for index in self.life(at.lot)? {
                if !self.load(index)? {
                    return Ok(());
                }
                let Some(movement) = self.movements.get(&index) else { continue };
                if movement.births.iter().any(|birth| birth.lot == at.lot) {
                    self.births.insert(at.lot, index);
                }
                if !movement.draws.iter().any(|draw| draw.lot == at.lot) {
                    continue;
                }
                let children: Vec<LotId> = movement.births.iter().map(|birth| birth.lot).collect();
                if !self.step_to(&children, at.depth, &mut frontier) {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Reads a lot's life up to and with an entry; `false` when the limits stopped it.
    pub(super) fn load_life(
        &mut self,
        lot: LotId,
        last: EntryIndex,
    ) -> Result<bool, TraceFault<G::Fault>> {
        for index in self.life(lot)? {
            if index > last {
                break;
            }
            if !self.load(index)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn start(&mut self, asked: LotId) -> VecDeque<Reached> {
        let root = Reached { lot: asked, depth: 0 };
        self.lots.insert(asked);
        self.reached.push(root);
        VecDeque::from([root])
    }

    /// Counts steps and queues the lots that are new; `false` when there are no steps left. A lot
    /// beyond the limit is not entered; the walk goes on to the others.
    fn step_to(&mut self, lots: &[LotId], depth: u32, frontier: &mut VecDeque<Reached>) -> bool {
        for lot in lots {
            if self.steps == self.limits.steps {
                self.is_complete = false;
                return false;
            }
            self.steps += 1;
            if self.lots.contains(lot) {
                continue;
            }
            if self.lots.len() >= self.limits.lots {
                self.is_complete = false;
                continue;
            }
            self.lots.insert(*lot);
            let next = Reached { lot: *lot, depth: depth.saturating_add(1) };
            self.reached.push(next);
            frontier.push_back(next);
        }
        true
    }

    /// The entry a lot was born in; `None` when no counting event bore it, or the limits stopped.
    fn birth_of(&mut self, lot: LotId) -> Result<Option<EntryIndex>, TraceFault<G::Fault>> {
        for index in self.life(lot)? {
            if !self.load(index)? {
                return Ok(None);
            }
            let births = self.movements.get(&index).map(|movement| &movement.births);
            if births.is_some_and(|births| births.iter().any(|birth| birth.lot == lot)) {
                self.births.insert(lot, index);
                return Ok(Some(index));
            }
        }
        Ok(None)
    }

    fn life(&self, lot: LotId) -> Result<Vec<EntryIndex>, TraceFault<G::Fault>> {
        self.graph.life(lot).map_err(TraceFault::Unreadable)
    }

    /// Reads one entry's movement, once; `false` when the limits stopped it.
    fn load(&mut self, index: EntryIndex) -> Result<bool, TraceFault<G::Fault>> {
        if self.movements.contains_key(&index) {
            return Ok(true);
        }
        let Some(left) = self.entries_left.checked_sub(1) else {
            self.is_complete = false;
            return Ok(false);
        };
        self.entries_left = left;
        let movement = self.graph.movement(index).map_err(TraceFault::Unreadable)?;
        if let Some(movement) = movement {
            self.movements.insert(index, movement);
        }
        Ok(true)
    }
}
