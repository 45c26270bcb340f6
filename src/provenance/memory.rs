//! The history as a replay keeps it in memory, and which of it a walk looked at.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::convert::Infallible;

use super::Graph;
use crate::domain::memory::MemoryState;
use crate::domain::movement::Movement;
use crate::domain::{CampaignId, EntryIndex, LotId};

impl Graph for MemoryState {
    type Fault = Infallible;

    fn life(&self, lot: LotId) -> Result<Vec<EntryIndex>, Infallible> {
        let events = self.lives.range((lot, 0)..=(lot, u32::MAX)).map(|(_, event)| event);
        Ok(events.filter_map(|event| self.events.get(event)).map(|it| it.index).collect())
    }

    fn movement(&self, index: EntryIndex) -> Result<Option<Movement>, Infallible> {
        Ok(self.movements.get(&index).cloned())
    }

    fn campaign(&self, id: CampaignId) -> Result<Vec<EntryIndex>, Infallible> {
        let life = self.campaigns.get(&id).map(|campaign| campaign.life.iter());
        Ok(life.into_iter().flatten().map(|(index, _)| *index).collect())
    }
}

/// A history that remembers what a walk looked at: whoever has those entries walks the same way.
#[derive(Debug)]
pub struct GraphRecorder<'a, G> {
    graph: &'a G,
    entries: RefCell<BTreeSet<EntryIndex>>,
    lots: RefCell<BTreeSet<LotId>>,
}

impl<'a, G: Graph> GraphRecorder<'a, G> {
    /// Nothing was looked at yet.
    pub fn new(graph: &'a G) -> Self {
        Self { graph, entries: RefCell::default(), lots: RefCell::default() }
    }

    /// The entries, and the lots whose whole lives were looked at.
    pub fn into_seen(self) -> (BTreeSet<EntryIndex>, BTreeSet<LotId>) {
        (self.entries.into_inner(), self.lots.into_inner())
    }
}

impl<G: Graph> Graph for GraphRecorder<'_, G> {
    type Fault = G::Fault;

    fn life(&self, lot: LotId) -> Result<Vec<EntryIndex>, G::Fault> {
        let life = self.graph.life(lot)?;
        self.entries.borrow_mut().extend(&life);
        self.lots.borrow_mut().insert(lot);
        Ok(life)
    }

    fn movement(&self, index: EntryIndex) -> Result<Option<Movement>, G::Fault> {
        self.entries.borrow_mut().insert(index);
        self.graph.movement(index)
    }

    fn campaign(&self, id: CampaignId) -> Result<Vec<EntryIndex>, G::Fault> {
        let life = self.graph.campaign(id)?;
        self.entries.borrow_mut().extend(&life);
        Ok(life)
    }
}
