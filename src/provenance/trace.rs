//! Traces: every step from a lot back to its origins, or forward to all that was made of it.

use std::collections::BTreeMap;

use super::balance::{Balance, Stranger};
use super::share::largest_remainder;
use super::walk::Walk;
use super::{Graph, Measure, TraceFault, TraceLimits};
use crate::domain::movement::Movement;
use crate::domain::vocabulary::EventKind;
use crate::domain::{EntryIndex, EventId, Grams, LotId};

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
    /// Whether everything was walked; when not, there is more than is told here.
    pub is_complete: bool,
}

/// One edge: grams went from one lot into another.
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

/// A lot of a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceNode {
    /// Which.
    pub lot: LotId,
    /// Events between it and the asked lot, on the shortest way.
    pub depth: u32,
    /// Back: grams of the asked lot, as born, that came through this one. Forward: grams of the
    /// asked lot that were in this one when it was born. `None` when the trace was cut short.
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
    let mut trace = Trace {
        steps: steps(&walk, limits),
        lots: walk.reached.iter().map(|reached| reached.lot).collect(),
        nodes: Vec::with_capacity(walk.reached.len()),
        uptake: None,
        lost: None,
        is_complete: walk.is_complete,
    };
    let grams = match direction {
        _ if !walk.is_complete => BTreeMap::new(),
        Direction::Back => flow_back(&walk, lot, &mut trace.uptake),
        Direction::Forward => flow_forward(&walk, lot, &mut trace.lost)?,
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
    let mut steps = Vec::new();
    for movement in walk.movements.values() {
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

/// How a mass that went into an event parts over its births, in order, and the loss, which is
/// dropped: by largest remainder of their masses; in a tie a lot comes before the loss, the smaller
/// id first.
fn parts(movement: &Movement, mass: Grams) -> Vec<u64> {
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
/// over the grams that each gave to it. Later births first, so that a lot's grams are complete when
/// it is met.
fn flow_back<G: Graph>(
    walk: &Walk<'_, G>,
    asked: LotId,
    uptake: &mut Option<Grams>,
) -> BTreeMap<LotId, Flow> {
    let mut order: Vec<_> = walk.births.iter().map(|(lot, born)| (*born, *lot)).collect();
    order.sort_unstable();
    let mut through: BTreeMap<LotId, u64> = BTreeMap::new();
    for (born, lot) in order.into_iter().rev() {
        let Some(movement) = walk.movements.get(&born) else { continue };
        let Some(place) = movement.births.iter().position(|birth| birth.lot == lot) else {
            continue;
        };
        if lot == asked {
            through.insert(asked, movement.births[place].mass.get());
        }
        if movement.draws.is_empty() {
            continue;
        }
        let grams = through.get(&lot).copied().unwrap_or_default();
        let weights = inflow(movement, place);
        let shares = largest_remainder(&weights, grams);
        for ((parent, _), share) in weights.into_iter().zip(shares) {
            *through.entry(parent).or_default() += share;
        }
    }
    *uptake = Some(Grams::of(through.remove(&LotId::UPTAKE).unwrap_or_default()));
    let flow = |(lot, grams)| (lot, Flow { through: Grams::of(grams), remaining: None });
    through.into_iter().map(flow).collect()
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
) -> Result<BTreeMap<LotId, Flow>, TraceFault<G::Fault>> {
    let mut balance = Balance::new(Measure::Mass, &walk.lots, Stranger::Rest);
    let grams = |balance: &Balance<'_>, lot| {
        let shares = balance.account(lot).and_then(|account| account.shares());
        shares.map_or(0, |vector| vector.grams_of(asked))
    };
    let mut through = BTreeMap::new();
    for movement in walk.movements.values() {
        let births = movement.births.iter().filter(|birth| walk.lots.contains(&birth.lot));
        if let Some(birth) = births.clone().find(|birth| birth.lot == asked) {
            balance.open_origin(birth);
        } else {
            balance.book(movement)?;
        }
        for birth in births {
            through.insert(birth.lot, grams(&balance, birth.lot));
        }
    }
    let mut left = through.get(&asked).copied().unwrap_or_default();
    let mut flows = BTreeMap::new();
    for (lot, born) in through {
        let now = grams(&balance, lot);
        left = left.saturating_sub(now);
        let remaining = Some(Grams::of(now));
        flows.insert(lot, Flow { through: Grams::of(born), remaining });
    }
    *lost = Some(Grams::of(left));
    Ok(flows)
}
