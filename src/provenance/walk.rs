//! The walk: which lots, which movements. A frontier and counters, never recursion.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::rc::Rc;

use super::{Graph, TraceFault, TraceLimits};
use crate::domain::movement::Movement;
use crate::domain::vocabulary::EventKind;
use crate::domain::{CampaignId, EntryIndex, LotId};
use crate::limits::{MAX_KEPT_LIFE_ENTRIES, MAX_TRACE_ENTRIES_PER_STEP};

/// A lot that was reached, and over how many events at least.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reached {
    pub(super) lot: LotId,
    pub(super) depth: u32,
}

/// The movements that were read.
#[derive(Default)]
pub(super) struct Movements {
    read: Vec<Movement>,
    places: HashMap<EntryIndex, usize>,
}

impl Movements {
    /// In no order.
    pub(super) fn values(&self) -> impl Iterator<Item = &Movement> {
        self.read.iter()
    }

    /// In the order of the ledger.
    pub(super) fn in_order(&self) -> Vec<&Movement> {
        let mut all: Vec<&Movement> = self.read.iter().collect();
        all.sort_unstable_by_key(|movement| movement.index);
        all
    }

    fn insert(&mut self, index: EntryIndex, movement: Movement) -> usize {
        let place = self.read.len();
        self.places.insert(index, place);
        self.read.push(movement);
        place
    }
}

/// What reading an entry came to.
enum Look {
    /// The limits stopped it.
    Stopped,
    /// It did nothing to metal.
    Nothing,
    /// Its movement is at this place.
    At(usize),
}

/// Lots and movements, as far as the limits allow.
pub(super) struct Walk<'g, G: Graph> {
    graph: &'g G,
    limits: TraceLimits,
    entries_left: usize,
    steps: usize,
    /// In the order in which they were reached; the asked lot first.
    pub(super) reached: Vec<Reached>,
    /// The same. In no order, like all that is looked up for each lot: who walks over many sorts.
    pub(super) lots: HashSet<LotId>,
    /// Short lives that were read: they are looked at for the birth, and again for the grams.
    lives: HashMap<LotId, Rc<[EntryIndex]>>,
    /// The place of the movement that each lot was born in, as far as it was looked up.
    births: HashMap<LotId, usize>,
    pub(super) movements: Movements,
    /// The campaigns that were reached, by their pools.
    pub(super) campaigns: BTreeMap<LotId, CampaignId>,
    /// Opening stock that a waiver let in: an origin of its own.
    pub(super) waived: BTreeSet<LotId>,
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
            lots: HashSet::new(),
            lives: HashMap::new(),
            births: HashMap::new(),
            movements: Movements::default(),
            campaigns: BTreeMap::new(),
            waived: BTreeSet::new(),
            is_complete: true,
        }
    }

    /// Everything the asked lot was made from: births only.
    pub(super) fn ancestors(&mut self, asked: LotId) -> Result<(), TraceFault<G::Fault>> {
        let mut frontier = self.start(asked);
        while let Some(at) = frontier.pop_front() {
            if self.waived.contains(&at.lot) {
                continue;
            }
            if let Some(campaign) = self.campaigns.get(&at.lot).copied() {
                let feeds = self.feeds_of(campaign)?;
                if !feeds.is_some_and(|feeds| self.step_to(&feeds, at.depth, &mut frontier)) {
                    return Ok(());
                }
                continue;
            }
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
            let movement = &self.movements.read[born];
            let parents: Vec<LotId> = match movement.campaign {
                Some(campaign) => vec![self.pool(campaign)],
                None => movement.draws.iter().map(|draw| draw.lot).collect(),
            };
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
            if let Some(campaign) = self.campaigns.get(&at.lot).copied() {
                let drawn = self.drawn_from(campaign)?;
                if !drawn.is_some_and(|drawn| self.step_to(&drawn, at.depth, &mut frontier)) {
                    return Ok(());
                }
                continue;
            }
            for &index in self.life(at.lot)?.iter() {
                let place = match self.load(index)? {
                    Look::Stopped => return Ok(()),
                    Look::Nothing => continue,
                    Look::At(place) => place,
                };
                let movement = &self.movements.read[place];
                if movement.births.iter().any(|birth| birth.lot == at.lot) {
                    self.births.insert(at.lot, place);
                }
                if !movement.draws.iter().any(|draw| draw.lot == at.lot) {
                    continue;
                }
                let children: Vec<LotId> = match movement.campaign {
                    Some(campaign) => vec![self.pool(campaign)],
                    None => movement.births.iter().map(|birth| birth.lot).collect(),
                };
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
        for &index in self.life(lot)?.iter() {
            if index > last {
                break;
            }
            if matches!(self.load(index)?, Look::Stopped) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The movement that a lot was born in, as far as it was looked up.
    pub(super) fn born(&self, lot: LotId) -> Option<&Movement> {
        self.births.get(&lot).map(|place| &self.movements.read[*place])
    }

    /// All lots of which it was looked up, with it; in no order.
    pub(super) fn births(&self) -> impl Iterator<Item = (LotId, &Movement)> {
        self.births.iter().map(|(lot, place)| (*lot, &self.movements.read[*place]))
    }

    /// Whether a campaign that was reached is closed.
    pub(super) fn is_closed(&self, campaign: CampaignId) -> bool {
        let mut its = self.movements.values().filter(|it| it.campaign == Some(campaign));
        its.any(|movement| movement.kind == EventKind::CloseCampaign)
    }

    /// The campaigns that were reached and are not closed: their mix is not known yet.
    pub(super) fn pending(&self) -> Vec<CampaignId> {
        let closed = self.movements.values().filter(|it| it.kind == EventKind::CloseCampaign);
        let closed: BTreeSet<_> = closed.filter_map(|it| it.campaign).collect();
        self.campaigns.values().copied().filter(|id| !closed.contains(id)).collect()
    }

    /// The pool of a campaign, as a thing to walk to.
    fn pool(&mut self, campaign: CampaignId) -> LotId {
        let pool = LotId::pool(campaign);
        self.campaigns.insert(pool, campaign);
        pool
    }

    /// Reads all of a campaign; `None` when the limits stopped it.
    fn load_campaign(
        &mut self,
        campaign: CampaignId,
    ) -> Result<Option<Vec<Movement>>, TraceFault<G::Fault>> {
        let mut movements = Vec::new();
        for index in self.graph.campaign(campaign).map_err(TraceFault::Unreadable)? {
            match self.load(index)? {
                Look::Stopped => return Ok(None),
                Look::Nothing => {}
                Look::At(place) => movements.push(self.movements.read[place].clone()),
            }
        }
        Ok(Some(movements))
    }

    /// What went into a campaign: charged lots, and the campaign or the waiver of its opening
    /// stock.
    fn feeds_of(
        &mut self,
        campaign: CampaignId,
    ) -> Result<Option<Vec<LotId>>, TraceFault<G::Fault>> {
        let Some(movements) = self.load_campaign(campaign)? else { return Ok(None) };
        let mut feeds = Vec::new();
        let mut its = movements.iter().filter(|it| it.campaign == Some(campaign)).peekable();
        if its.peek().is_none() {
            return Err(TraceFault::NeverBorn(LotId::pool(campaign)));
        }
        for movement in its {
            let is_opening = movement.kind == EventKind::OpenCampaign;
            if let Some(stock) = movement.stock.as_ref().filter(|_| is_opening) {
                if let Some(before) = stock.from {
                    feeds.push(self.pool(before));
                }
                if stock.is_waived() {
                    let waived = LotId::waived_stock(campaign);
                    self.waived.insert(waived);
                    feeds.push(waived);
                }
            }
            feeds.extend(movement.draws.iter().map(|draw| draw.lot));
        }
        Ok(Some(feeds))
    }

    /// What came out of a campaign: drawn lots, and the campaign that took over its stock.
    fn drawn_from(
        &mut self,
        campaign: CampaignId,
    ) -> Result<Option<Vec<LotId>>, TraceFault<G::Fault>> {
        let Some(movements) = self.load_campaign(campaign)? else { return Ok(None) };
        let mut drawn = Vec::new();
        for movement in &movements {
            let takes_over =
                movement.stock.as_ref().is_some_and(|stock| stock.from == Some(campaign));
            match movement.campaign {
                Some(next) if takes_over => drawn.push(self.pool(next)),
                Some(its) if its == campaign => {
                    drawn.extend(movement.births.iter().map(|birth| birth.lot));
                }
                _ => {}
            }
        }
        Ok(Some(drawn))
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
            if self.lots.len() >= self.limits.lots {
                self.is_complete &= self.lots.contains(lot);
                continue;
            }
            if !self.lots.insert(*lot) {
                continue;
            }
            let next = Reached { lot: *lot, depth: depth.saturating_add(1) };
            self.reached.push(next);
            frontier.push_back(next);
        }
        true
    }

    /// The place of the movement a lot was born in; `None` when no counting event bore it, or the
    /// limits stopped.
    fn birth_of(&mut self, lot: LotId) -> Result<Option<usize>, TraceFault<G::Fault>> {
        for &index in self.life(lot)?.iter() {
            let place = match self.load(index)? {
                Look::Stopped => return Ok(None),
                Look::Nothing => continue,
                Look::At(place) => place,
            };
            if self.movements.read[place].births.iter().any(|birth| birth.lot == lot) {
                self.births.insert(lot, place);
                return Ok(Some(place));
            }
        }
        Ok(None)
    }

    fn life(&mut self, lot: LotId) -> Result<Rc<[EntryIndex]>, TraceFault<G::Fault>> {
        if let Some(life) = self.lives.get(&lot) {
            return Ok(Rc::clone(life));
        }
        let life: Rc<[_]> = self.graph.life(lot).map_err(TraceFault::Unreadable)?.into();
        if life.len() <= MAX_KEPT_LIFE_ENTRIES {
            self.lives.insert(lot, Rc::clone(&life));
        }
        Ok(life)
    }

    /// Reads one entry's movement, once.
    fn load(&mut self, index: EntryIndex) -> Result<Look, TraceFault<G::Fault>> {
        if let Some(place) = self.movements.places.get(&index) {
            return Ok(Look::At(*place));
        }
        let Some(left) = self.entries_left.checked_sub(1) else {
            self.is_complete = false;
            return Ok(Look::Stopped);
        };
        self.entries_left = left;
        let movement = self.graph.movement(index).map_err(TraceFault::Unreadable)?;
        Ok(movement.map_or(Look::Nothing, |it| Look::At(self.movements.insert(index, it))))
    }
}
