//! Origin vectors: of which origin lots are the grams in a lot?

use std::collections::HashMap;

use super::balance::{Account, Balance, Stranger};
use super::pools::Mixes;
use super::range::{Mix, Range, Ranged, Ranges};
use super::share::Vector;
use super::trace::{Direction, Trace, trace_of};
use super::walk::Walk;
use super::{Graph, Measure, TraceFault, TraceLimits};
use crate::domain::movement::Movement;
use crate::domain::{CampaignId, EntryIndex, Grams, LotId};
use crate::limits::MAX_TRACE_SHARES;

/// Where the grams of a lot come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origins {
    /// Grams of the measure in what remains of the lot; `None` when nobody looked for it, or when
    /// the limits stopped the walk. An unknown is told, never guessed.
    pub total: Option<Grams>,
    /// Grams per origin lot, ascending by lot, none zero; for mass, [`LotId::UPTAKE`] stands for
    /// what joined in processes, and [`LotId::waived_stock`] for stock that a waiver let in. With
    /// `pending` they sum to `total` when `is_attributed`, else there are none of either.
    pub shares: Vec<(LotId, Grams)>,
    /// Grams that came out of campaigns that are not closed: of which origins is not known yet.
    pub pending: Vec<(CampaignId, Grams)>,
    /// Whether the origins of all these grams are known: each input along the way was analysed.
    pub is_attributed: bool,
    /// Of each origin that may have a part the least and the most grams, ascending; its share lies
    /// between. One may be there that has no share. `None` when ranges were not asked for, and
    /// where the origins are not known.
    pub ranges: Option<Vec<OriginRange>>,
    /// The same for the whole lot as it was born, before anything was drawn from it.
    pub at_birth: Holding,
    /// Every origin lot that was reached, ascending; those whose share rounds to nothing too.
    pub lineage: Vec<LotId>,
    /// Every campaign on the way that is not closed, ascending: until it is, more origins may join.
    /// None: all of this is final, but for corrections.
    pub pending_campaigns: Vec<CampaignId>,
    /// Whether the whole history was walked. When not, `lineage` is what was reached, and there are
    /// no grams: a number from half a history would be an invention.
    pub is_complete: bool,
}

/// Grams in a lot, of which origins.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Holding {
    /// As in [`Origins::total`].
    pub total: Option<Grams>,
    /// As in [`Origins::shares`].
    pub shares: Vec<(LotId, Grams)>,
    /// As in [`Origins::pending`].
    pub pending: Vec<(CampaignId, Grams)>,
    /// As in [`Origins::is_attributed`].
    pub is_attributed: bool,
    /// As in [`Origins::ranges`].
    pub ranges: Option<Vec<OriginRange>>,
}

/// How many grams of one origin could be in a lot if nothing on the way was mixed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OriginRange {
    /// An origin as in [`Origins::shares`], or the pool of a campaign that is not closed.
    pub origin: LotId,
    /// At least so many.
    pub least: Grams,
    /// At most so many.
    pub most: Grams,
}

impl Origins {
    /// What remains of the lot now.
    pub fn now(&self) -> Holding {
        Holding {
            total: self.total,
            shares: self.shares.clone(),
            pending: self.pending.clone(),
            is_attributed: self.is_attributed,
            ranges: self.ranges.clone(),
        }
    }
}

/// The origin vector of a lot. Origins are the lots that came in: by collection or opening
/// inventory.
pub fn origins<G: Graph>(
    graph: &G,
    lot: LotId,
    measure: Measure,
    limits: TraceLimits,
) -> Result<Origins, TraceFault<G::Fault>> {
    origins_of::<G, Vector>(graph, lot, measure, limits)
}

/// The same shares, and the possible range of each.
pub fn origins_with_ranges<G: Graph>(
    graph: &G,
    lot: LotId,
    measure: Measure,
    limits: TraceLimits,
) -> Result<Origins, TraceFault<G::Fault>> {
    origins_of::<G, Ranged>(graph, lot, measure, limits)
}

fn origins_of<G: Graph, V: Mix>(
    graph: &G,
    lot: LotId,
    measure: Measure,
    limits: TraceLimits,
) -> Result<Origins, TraceFault<G::Fault>> {
    let mut walk = Walk::new(graph, limits);
    walk.ancestors(lot)?;
    origins_along::<G, V>(&mut walk, lot, measure)
}

/// The origin vector and the trace back, over one walk: the history is read once.
pub fn origins_and_trace<G: Graph>(
    graph: &G,
    lot: LotId,
    measure: Measure,
    detail: Detail,
    limits: TraceLimits,
) -> Result<(Origins, Trace), TraceFault<G::Fault>> {
    let mut walk = Walk::new(graph, limits);
    walk.ancestors(lot)?;
    let trace = trace_of(&walk, lot, Direction::Back, limits)?;
    let origins = match detail {
        Detail::Shares => origins_along::<G, Vector>(&mut walk, lot, measure)?,
        Detail::Ranges => origins_along::<G, Ranged>(&mut walk, lot, measure)?,
    };
    Ok((origins, trace))
}

/// How much is asked of the origins of a lot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// The share of each.
    Shares,
    /// Its possible range, too.
    Ranges,
}

fn origins_along<G: Graph, V: Mix>(
    walk: &mut Walk<'_, G>,
    lot: LotId,
    measure: Measure,
) -> Result<Origins, TraceFault<G::Fault>> {
    let lineage = lineage(walk);
    let vectors = if walk.is_complete { vectors::<G, V>(walk, lot, measure)? } else { None };
    let is_complete = vectors.is_some();
    let (at_birth, now) = vectors.unwrap_or_default();
    let Holding { total, shares, pending, is_attributed, ranges } = now;
    Ok(Origins {
        total,
        shares,
        pending,
        is_attributed,
        ranges,
        at_birth,
        lineage,
        pending_campaigns: walk.pending(),
        is_complete,
    })
}

/// The reached lots that were drawn from nothing, and stock that a waiver let in.
fn lineage<G: Graph>(walk: &Walk<'_, G>) -> Vec<LotId> {
    let is_origin = |lot: &LotId| {
        walk.waived.contains(lot)
            || walk.born(*lot).is_some_and(|it| it.draws.is_empty() && it.campaign.is_none())
    };
    let mut origins: Vec<LotId> = walk.lots.iter().copied().filter(is_origin).collect();
    origins.sort_unstable();
    origins
}

/// At birth and now; `None` when the limits stopped it.
fn vectors<G: Graph, V: Mix>(
    walk: &mut Walk<'_, G>,
    asked: LotId,
    measure: Measure,
) -> Result<Option<(Holding, Holding)>, TraceFault<G::Fault>> {
    let last_uses = last_uses(walk, asked);
    // In the order in which they were reached, so that two walks over one history read the same.
    for place in 0..walk.reached.len() {
        let lot = walk.reached[place].lot;
        if let Some(last) = last_uses.get(&lot)
            && !walk.load_life(lot, *last)?
        {
            return Ok(None);
        }
    }
    let born = walk.born(asked).map(|movement| movement.index);
    let mut at_birth = None;
    let mut balance: Balance<'_, V> = Balance::new(measure, &walk.lots, Stranger::Fault);
    for movement in walk.movements.in_order() {
        let index = movement.index;
        balance.book(movement)?;
        if balance.handled() > MAX_TRACE_SHARES {
            return Ok(None);
        }
        if born == Some(index) {
            at_birth = balance.account(asked).cloned();
        }
        for draw in &movement.draws {
            if last_uses.get(&draw.lot).is_some_and(|last| *last <= index) {
                balance.close(draw.lot);
            }
        }
    }
    let ranges = V::HAS_RANGES.then(|| balance.mixes());
    let mixes = Pools { shares: balance.share_mixes(), ranges };
    let of_ranges = mixes.ranges.as_ref().map_or(0, |it| it.handled);
    let handled = mixes.shares.handled.saturating_add(of_ranges);
    if balance.handled().saturating_add(handled) > MAX_TRACE_SHARES {
        return Ok(None);
    }
    let at_birth = holding(at_birth.as_ref(), &mixes, walk);
    Ok(Some((at_birth, holding(balance.account(asked), &mixes, walk))))
}

/// The pools of a walk, resolved: by shares, and by whatever is followed.
struct Pools<V> {
    shares: Mixes<Vector>,
    ranges: Option<Mixes<V>>,
}

/// The last entry up to which each lot's own history matters: the asked lot's to its end, an
/// ancestor's up to the last draw that went on towards the asked lot.
fn last_uses<G: Graph>(walk: &Walk<'_, G>, asked: LotId) -> HashMap<LotId, EntryIndex> {
    let mut last_uses = HashMap::with_capacity(walk.reached.len());
    let births = walk.births().map(|(_, movement)| movement);
    let is_charge = |movement: &&Movement| {
        movement.campaign.is_some_and(|id| walk.campaigns.contains_key(&LotId::pool(id)))
    };
    for movement in births.chain(walk.movements.values().filter(is_charge)) {
        for draw in &movement.draws {
            let last = last_uses.entry(draw.lot).or_insert(movement.index);
            *last = (*last).max(movement.index);
        }
    }
    last_uses.insert(asked, EntryIndex(u64::MAX));
    last_uses
}

fn holding<G: Graph, V: Mix>(
    account: Option<&Account<V>>,
    mixes: &Pools<V>,
    walk: &Walk<'_, G>,
) -> Holding {
    let Some(account) = account else { return Holding::default() };
    let total = account.total().map(Grams::of);
    let found = account.shares();
    let Some(vector) = found.and_then(|mix| mixes.shares.resolved(mix.shares())) else {
        return Holding { total, ..Holding::default() };
    };
    let (mut shares, mut pending) = (Vec::new(), Vec::new());
    for &(origin, grams) in vector.components() {
        match walk.campaigns.get(&origin) {
            Some(campaign) => pending.push((*campaign, Grams::of(grams))),
            None => shares.push((origin, Grams::of(grams))),
        }
    }
    let resolved = mixes.ranges.as_ref().zip(found).and_then(|(pools, mix)| pools.resolved(mix));
    let ranges = resolved.as_ref().and_then(Mix::ranges).map(|it| told_ranges(it, &vector));
    Holding { total, shares, pending, is_attributed: true, ranges }
}

/// Every share lies in its range, also where more came out of a campaign than went in; and nothing
/// is more than all there is.
fn told_ranges(ranges: &Ranges, shares: &Vector) -> Vec<OriginRange> {
    let total = shares.sum();
    let told = |&(origin, Range { least, most }): &(LotId, Range)| {
        let share = shares.grams_of(origin);
        OriginRange {
            origin,
            least: Grams::of(least.min(share)),
            most: Grams::of(most.min(total).max(share)),
        }
    };
    ranges.iter().map(told).collect()
}
