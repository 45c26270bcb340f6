//! Traces: every step from a lot back to its origins, or forward to all that was made of it.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::balance::{Balance, Stranger};
use super::pools::groups;
use super::share::{Vector, largest_remainder};
use super::walk::Walk;
use super::{Graph, Measure, TraceFault, TraceLimits};
use crate::domain::movement::Movement;
use crate::domain::vocabulary::EventKind;
use crate::domain::{CampaignId, EntryIndex, EventId, Grams, LotId};

/// Which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// To what it was made from.
    Back,
    /// To what was made from it.
    Forward,
}

/// The history of a lot in one direction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    /// In the order of the ledger; within one event by draw, then by birth.
    pub steps: Vec<Step>,
    /// Every lot that was reached, the asked one first, then nearer ones before farther ones.
    pub lots: Vec<LotId>,
    /// The same lots in the same order, with grams.
    pub nodes: Vec<TraceNode>,
    /// Back: grams of the asked lot that joined in processes along the way. `None` as in
    /// [`TraceNode`].
    pub uptake: Option<Grams>,
    /// Forward: grams of the asked lot that are in no lot any more. `None` as in [`TraceNode`].
    pub lost: Option<Grams>,
    /// Every campaign that was reached and is not closed, ascending. Back: the flow stops there.
    /// Forward: grams that went into it are counted there, not in the lots that were drawn from it.
    pub pending_campaigns: Vec<CampaignId>,
    /// Whether everything was walked; when not, there is more than is told here.
    pub is_complete: bool,
}

/// One edge: grams went from one lot into another, or into a campaign ([`LotId::pool`]) or out of
/// it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// By which entry.
    pub index: EntryIndex,
    /// By which event.
    pub event: EventId,
    /// Of which kind.
    pub kind: EventKind,
    /// Out of which lot.
    pub from: LotId,
    /// Into which lot.
    pub to: LotId,
    /// Grams of `from` that went into `to`.
    pub mass: Grams,
}

/// A lot of a trace, or a campaign ([`LotId::pool`]), or stock that a waiver let in
/// ([`LotId::waived_stock`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceNode {
    /// Which.
    pub lot: LotId,
    /// Events between it and the asked lot, on the shortest way.
    pub depth: u32,
    /// Back: grams of the asked lot, as born, that came through this one. Forward: grams of the
    /// asked lot that were in this one when it was born, or went into it. `None` when the trace was
    /// cut short, and back where there is no single way: behind an open campaign, and where metal
    /// that was drawn from a campaign was charged to it again.
    pub mass: Option<Grams>,
    /// Forward: grams of the asked lot that are in this one now. `None` back, or when cut short.
    pub remaining: Option<Grams>,
}

/// Walks from a lot in one direction.
pub fn trace<G: Graph>(
    graph: &G,
    lot: LotId,
    direction: Direction,
    limits: TraceLimits,
) -> Result<Trace, TraceFault<G::Fault>> {
    let mut walk = Walk::new(graph, limits);
    match direction {
        Direction::Back => walk.ancestors(lot)?,
        Direction::Forward => walk.descendants(lot)?,
    }
    trace_of(&walk, lot, direction, limits)
}

/// What a walk in this direction found.
pub(super) fn trace_of<G: Graph>(
    walk: &Walk<'_, G>,
    lot: LotId,
    direction: Direction,
    limits: TraceLimits,
) -> Result<Trace, TraceFault<G::Fault>> {
    let mut trace = Trace {
        steps: steps(walk, limits),
        lots: walk.reached.iter().map(|reached| reached.lot).collect(),
        nodes: Vec::with_capacity(walk.reached.len()),
        uptake: None,
        lost: None,
        pending_campaigns: walk.pending(),
        is_complete: walk.is_complete,
    };
    let grams = match direction {
        _ if !walk.is_complete => HashMap::new(),
        Direction::Back => flow_back(walk, lot, &mut trace.uptake),
        Direction::Forward => flow_forward(walk, lot, &mut trace.lost)?,
    };
    for reached in &walk.reached {
        let found = grams.get(&reached.lot);
        trace.nodes.push(TraceNode {
            lot: reached.lot,
            depth: reached.depth,
            mass: found.map(|found| found.through),
            remaining: found.and_then(|found| found.remaining),
        });
    }
    Ok(trace)
}

/// The edges between reached lots.
fn steps<G: Graph>(walk: &Walk<'_, G>, limits: TraceLimits) -> Vec<Step> {
    let mut steps = Vec::with_capacity(walk.reached.len());
    for movement in walk.movements.in_order() {
        if let Some(campaign) = movement.campaign {
            steps.extend(campaign_steps(walk, movement, campaign));
            continue;
        }
        for draw in movement.draws.iter().filter(|draw| walk.lots.contains(&draw.lot)) {
            let parts = parts(movement, draw.mass);
            for (birth, mass) in movement.births.iter().zip(parts) {
                if walk.lots.contains(&birth.lot) {
                    steps.push(Step {
                        index: movement.index,
                        event: movement.event,
                        kind: movement.kind,
                        from: draw.lot,
                        to: birth.lot,
                        mass: Grams::of(mass),
                    });
                }
            }
        }
    }
    // Where the limits cut, edges between lots that were reached otherwise may stand beyond them.
    steps.truncate(limits.steps);
    steps
}

/// Into a campaign and out of it: stock, then draws, then births.
fn campaign_steps<G: Graph>(
    walk: &Walk<'_, G>,
    movement: &Movement,
    campaign: CampaignId,
) -> Vec<Step> {
    let pool = LotId::pool(campaign);
    let is_opening = movement.kind == EventKind::OpenCampaign;
    let stock = movement.stock.iter().filter(|_| is_opening);
    let stock = stock.flat_map(|stock| stock.feeds(campaign));
    let stock = stock.map(|(from, mass)| (from, pool, mass));
    let draws = movement.draws.iter().map(|draw| (draw.lot, pool, draw.mass));
    let births = movement.births.iter().map(|birth| (pool, birth.lot, birth.mass));
    let edges = stock.chain(draws).chain(births);
    let reached = edges.filter(|(from, to, _)| walk.lots.contains(from) && walk.lots.contains(to));
    let step = |(from, to, mass)| Step {
        index: movement.index,
        event: movement.event,
        kind: movement.kind,
        from,
        to,
        mass,
    };
    reached.map(step).collect()
}

/// How a mass that went into an event parts over its births, in order, and the loss, which is
/// dropped: by largest remainder of their masses; in a tie a lot comes before the loss, the smaller
/// id first.
fn parts(movement: &Movement, mass: Grams) -> Vec<u64> {
    // A merge has one birth and no loss: all of each draw goes into it.
    if let [only] = &movement.births[..]
        && !only.mass.is_zero()
        && movement.loss.is_zero()
    {
        return vec![mass.get()];
    }
    let births = movement.births.iter();
    let mut weights: Vec<_> =
        births.map(|birth| (Some(birth.lot), birth.mass.get())).map(last_if_none).collect();
    weights.push(last_if_none((None, movement.loss.get())));
    let mut parts = largest_remainder(&weights, mass.get());
    parts.pop();
    parts
}

fn last_if_none((lot, grams): (Option<LotId>, u64)) -> ((bool, Option<LotId>), u64) {
    ((lot.is_none(), lot), grams)
}

/// Grams of the asked lot.
struct Flow {
    through: Grams,
    remaining: Option<Grams>,
}

/// Lets the asked lot's grams flow back: what came through a lot came through its parents, shared
/// over the grams that each gave to it; what came through a campaign, through all that was charged
/// to it. A lot is met when its grams are complete. Lots and campaigns that feed each other are met
/// together: what arrives at any of them is shared over what they have from outside.
fn flow_back<G: Graph>(
    walk: &Walk<'_, G>,
    asked: LotId,
    uptake: &mut Option<Grams>,
) -> HashMap<LotId, Flow> {
    let mut through: HashMap<LotId, u64> = HashMap::with_capacity(walk.reached.len());
    through.insert(asked, mass_at_birth(walk, asked));
    if walk.campaigns.is_empty() {
        // A lot is made of earlier ones only: the order of the ledger, backwards.
        let mut lots: Vec<_> = walk.births().collect();
        lots.sort_unstable_by_key(|(lot, movement)| Reverse((movement.index, *lot)));
        for (lot, movement) in lots {
            let grams = through.get(&lot).copied().unwrap_or_default();
            spread(&mut through, grams, &feeds_of_birth(movement, lot));
        }
    } else {
        flow_through_campaigns(walk, &mut through);
    }
    *uptake = Some(Grams::of(through.remove(&LotId::UPTAKE).unwrap_or_default()));
    let flow = |(lot, grams)| (lot, Flow { through: Grams::of(grams), remaining: None });
    through.into_iter().map(flow).collect()
}

/// Lots and campaigns are met in the order in which their grams are complete; those that feed each
/// other together.
fn flow_through_campaigns<G: Graph>(walk: &Walk<'_, G>, through: &mut HashMap<LotId, u64>) {
    let mut feeds: BTreeMap<LotId, Vec<(LotId, u64)>> = BTreeMap::new();
    for (lot, movement) in walk.births() {
        feeds.insert(lot, feeds_of_birth(movement, lot));
    }
    for (pool, campaign) in &walk.campaigns {
        let is_closed = walk.is_closed(*campaign);
        feeds.insert(*pool, if is_closed { feeds_of_pool(walk, *campaign) } else { Vec::new() });
    }
    let edges = feeds.iter().map(|(node, from)| (*node, from.iter().map(|it| it.0).collect()));
    for group in groups(&edges.collect()) {
        let members: BTreeSet<LotId> = group.iter().copied().collect();
        let grams = group.iter().filter_map(|node| through.get(node)).sum();
        let all = group.iter().filter_map(|node| feeds.get(node)).flatten().copied();
        let outside: Vec<_> = all.filter(|(from, _)| !members.contains(from)).collect();
        spread(through, grams, &outside);
    }
}

/// Grams that came through a place came through its feeds.
fn spread(through: &mut HashMap<LotId, u64>, grams: u64, feeds: &[(LotId, u64)]) {
    let shares = largest_remainder(feeds, grams);
    for ((parent, _), share) in feeds.iter().zip(shares) {
        *through.entry(*parent).or_default() += share;
    }
}

fn mass_at_birth<G: Graph>(walk: &Walk<'_, G>, lot: LotId) -> u64 {
    let birth = walk.born(lot).and_then(|it| it.births.iter().find(|birth| birth.lot == lot));
    birth.map_or(0, |birth| birth.mass.get())
}

/// What a lot was made from, with grams; nothing for an origin.
fn feeds_of_birth(movement: &Movement, lot: LotId) -> Vec<(LotId, u64)> {
    let place = movement.births.iter().position(|birth| birth.lot == lot);
    match (movement.campaign, place) {
        (_, None) => Vec::new(),
        (Some(campaign), Some(place)) => {
            vec![(LotId::pool(campaign), movement.births[place].mass.get())]
        }
        (None, Some(_)) if movement.draws.is_empty() => Vec::new(),
        (None, Some(place)) => inflow(movement, place),
    }
}

/// What went into a campaign, with grams.
fn feeds_of_pool<G: Graph>(walk: &Walk<'_, G>, campaign: CampaignId) -> Vec<(LotId, u64)> {
    let mut feeds: BTreeMap<LotId, u64> = BTreeMap::new();
    for movement in walk.movements.values().filter(|it| it.campaign == Some(campaign)) {
        let is_opening = movement.kind == EventKind::OpenCampaign;
        let stock = movement.stock.iter().filter(|_| is_opening);
        let stock = stock.flat_map(|stock| stock.feeds(campaign));
        let draws = movement.draws.iter().map(|draw| (draw.lot, draw.mass));
        for (from, mass) in stock.chain(draws).chain([(LotId::UPTAKE, movement.uptake)]) {
            *feeds.entry(from).or_default() += mass.get();
        }
    }
    feeds.into_iter().filter(|(_, grams)| *grams > 0).collect()
}

/// What went into one birth: the part of each draw, and of the uptake. A birth so small that every
/// part rounds to nothing counts the whole draws instead, so that its grams are never lost.
fn inflow(movement: &Movement, place: usize) -> Vec<(LotId, u64)> {
    let uptake = (LotId::UPTAKE, movement.uptake);
    let draws = movement.draws.iter().map(|draw| (draw.lot, draw.mass));
    let whole: Vec<_> = draws.chain([uptake]).collect();
    let part = |(lot, mass): &(LotId, Grams)| (*lot, parts(movement, *mass)[place]);
    let weights: Vec<_> = whole.iter().map(part).collect();
    if weights.iter().any(|(_, grams)| *grams > 0) {
        return weights;
    }
    whole.into_iter().map(|(lot, mass)| (lot, mass.get())).collect()
}

/// Follows the asked lot's grams as if it were an origin, beside a rest that holds all others.
fn flow_forward<G: Graph>(
    walk: &Walk<'_, G>,
    asked: LotId,
    lost: &mut Option<Grams>,
) -> Result<HashMap<LotId, Flow>, TraceFault<G::Fault>> {
    let mut balance: Balance<'_, Vector> = Balance::new(Measure::Mass, &walk.lots, Stranger::Rest);
    let vector = |balance: &Balance<'_, Vector>, lot| {
        let shares = balance.account(lot).and_then(|account| account.shares());
        shares.cloned().unwrap_or_default()
    };
    let mut born: HashMap<LotId, Vector> = HashMap::new();
    for movement in walk.movements.in_order() {
        balance.book(movement)?;
        for birth in movement.births.iter().filter(|birth| walk.lots.contains(&birth.lot)) {
            if birth.lot == asked {
                balance.open_origin(birth);
            }
            born.insert(birth.lot, vector(&balance, birth.lot));
        }
    }
    let mixes = balance.mixes();
    let grams = |vector: &Vector| mixes.resolved(vector).map_or(0, |it| it.grams_of(asked));
    let mut flows = HashMap::with_capacity(born.len());
    for (lot, at_birth) in &born {
        let through = Grams::of(grams(at_birth));
        let remaining = Some(Grams::of(grams(&vector(&balance, *lot))));
        flows.insert(*lot, Flow { through, remaining });
    }
    let stocks = walk.movements.values().filter_map(|it| it.stock.as_ref());
    let handed_on: BTreeSet<_> = stocks.filter_map(|stock| stock.from).collect();
    for (pool, campaign) in &walk.campaigns {
        let through = Grams::of(mixes.inflow_of(*pool, asked).unwrap_or_default());
        let in_process = mixes.in_process(*pool, asked).unwrap_or_default();
        let stays = if handed_on.contains(campaign) { 0 } else { in_process };
        flows.insert(*pool, Flow { through, remaining: Some(Grams::of(stays)) });
    }
    let whole = flows.get(&asked).map_or(0, |flow| flow.through.get());
    let now = flows.values().filter_map(|flow| flow.remaining).map(Grams::get).sum();
    *lost = Some(Grams::of(whole.saturating_sub(now)));
    Ok(flows)
}
