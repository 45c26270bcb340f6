//! What provenance answers, as flat lists of the proto. The only file of this room that knows its
//! types; it has them from `node`, which hands them on.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::campaigns::sees;
use super::convert::raw;
use super::errors::Failure;
use super::eyes::{Eyes, SeenLot};
use super::pages::List;
use super::trace_pages::Turn;
use super::viewer::Viewer;
use super::visibility::LotSight;
use crate::domain::vocabulary::{OriginKind, OriginKinds, Substance};
use crate::domain::{CampaignId, EntryCount, EntryIndex, Grams, LotId};
use crate::limits::{MAX_TRACE_LOTS, MAX_TRACE_STEPS};
use crate::node::{
    Categories, Detail, Direction, Holding, Measure, Origins, Step, Trace, TraceNode, categories,
};
use crate::wire::v1;

/// What a request measures by: a substance, or the mass when none is given.
pub fn measure(substance: i32) -> Result<Measure, Failure> {
    if substance == 0 {
        return Ok(Measure::Mass);
    }
    let known = Substance::from_number(substance).map(Measure::Substance);
    known.ok_or_else(|| Failure::field("substance", "a number of Substance", substance.to_string()))
}

/// How many entries count on a first page: those under the checkpoint, and the birth of a lot that
/// is newer.
pub fn size_for(eyes: Eyes<'_>, seen: &SeenLot) -> EntryCount {
    eyes.reader.size().max(EntryCount(seen.lot.born_at.next().0))
}

/// A page of where a lot came from.
pub fn origins_page(
    eyes: Eyes<'_>,
    seen: &SeenLot,
    measure: Measure,
    request: &v1::TraceOriginsRequest,
) -> Result<v1::TraceOriginsResponse, Failure> {
    let substance = request.substance.to_be_bytes();
    let filter: [&[u8]; 3] = [&request.lot_id, &substance, &[u8::from(request.with_range)]];
    let turn =
        Turn::of(List::new("TraceOrigins", &filter), &request.page_token, size_for(eyes, seen))?;
    let mut answer = if turn.is_first() {
        // Ranges are made of the masses of lots on the way, which are others' to know.
        let is_ranged = request.with_range && eyes.viewer == Viewer::Overseer;
        let detail = if is_ranged { Detail::Ranges } else { Detail::Shares };
        let (lot, size) = (seen.lot.id, turn.size);
        let (origins, trace) = eyes.reader.origins_and_trace_at(lot, measure, detail, size)?;
        let path = Path::walk(eyes, seen, &trace, Direction::Back)?;
        origins_along(&path, &origins, &trace, &Kinds::of(eyes)?)?
    } else {
        let trace = turn.read(eyes.reader.trace_at(seen.lot.id, Direction::Back, turn.size))?;
        let path = Path::walk(eyes, seen, &trace, Direction::Back)?;
        let (steps, lots) = (path.steps(&trace), path.lots_back(&trace));
        let is_complete = turn.was_complete();
        v1::TraceOriginsResponse { steps, lots, is_complete, ..along(&path, &trace) }
    };
    answer.next_page_token =
        turn.cut(request.page_size, answer.is_complete, &mut answer.lots, &mut answer.steps)?;
    answer.ledger_size = turn.size.0;
    Ok(answer)
}

/// What every page says.
fn along(path: &Path, trace: &Trace) -> v1::TraceOriginsResponse {
    v1::TraceOriginsResponse {
        lot_cap: cap(MAX_TRACE_LOTS),
        step_cap: cap(MAX_TRACE_STEPS),
        is_final: trace.pending_campaigns.is_empty(),
        pending_campaign_ids: path.pending_ids(trace),
        ..v1::TraceOriginsResponse::default()
    }
}

/// Number of the origin kind, and the material; nothing of both for what is not a lot.
type Class = (i32, String);

/// As what origins entered the ledger, and which kinds count as recycled.
struct Kinds<F> {
    recycled: OriginKinds,
    class_of: F,
}

impl Kinds<()> {
    /// Each lot is looked up once.
    fn of(eyes: Eyes<'_>) -> Result<Kinds<impl Fn(LotId) -> Result<Class, Failure>>, Failure> {
        let known: RefCell<BTreeMap<LotId, Class>> = RefCell::default();
        let class_of = move |id: LotId| -> Result<Class, Failure> {
            if let Some(class) = known.borrow().get(&id) {
                return Ok(class.clone());
            }
            let class = match eyes.reader.lot_class(id)? {
                None => Class::default(),
                Some(found) => {
                    let mut kinds = found.origin_kinds.iter();
                    let only = kinds.next().filter(|_| kinds.next().is_none());
                    (only.map_or(0, |kind| kind.number().into()), found.material)
                }
            };
            known.borrow_mut().insert(id, class.clone());
            Ok(class)
        };
        Ok(Kinds { recycled: eyes.reader.recycled_kinds()?, class_of })
    }
}

/// What is told of grams that are held.
fn holding<F: Fn(LotId) -> Result<Class, Failure>>(
    path: &Path,
    held: &Holding,
    kinds: &Kinds<F>,
) -> Result<v1::OriginHolding, Failure> {
    let kind_of = |lot| Ok::<_, Failure>(OriginKind::from_number((kinds.class_of)(lot)?.0));
    let sums = categories(held, kinds.recycled, kind_of)?;
    let whole = v1::OriginHolding {
        total_g: held.total.map(Grams::get),
        shares: shares(held),
        is_attributed: held.is_attributed,
        classes: Vec::new(),
        pending: path.pending(held),
        categories: sums.as_ref().map(|sums| category_shares(sums, kinds.recycled)),
    };
    classed(path, whole, &kinds.class_of)
}

fn category_shares(sums: &Categories, recycled: OriginKinds) -> v1::CategoryShares {
    let kind = |(kind, grams): &(Option<OriginKind>, Grams)| v1::KindShare {
        origin_kind: kind.map_or(0, |kind| kind.number().into()),
        mass_g: grams.get(),
        is_recycled: kind.is_some_and(|kind| recycled.contains(kind)),
    };
    v1::CategoryShares {
        kinds: sums.kinds.iter().map(kind).collect(),
        recycled_g: sums.recycled.get(),
        imported_g: sums.imported.get(),
        primary_g: sums.primary.get(),
        unknown_g: sums.unknown.get(),
        uptake_g: sums.uptake.get(),
        pending_g: sums.pending.get(),
        recycled_content_g: sums.recycled_content.get(),
    }
}

/// Where a lot came from. Complete only when both walks were.
fn origins_along<F: Fn(LotId) -> Result<Class, Failure>>(
    path: &Path,
    origins: &Origins,
    trace: &Trace,
    kinds: &Kinds<F>,
) -> Result<v1::TraceOriginsResponse, Failure> {
    // What a lot was before it came is the business of whoever had it then.
    let at_birth = path.knows_birth.then_some(&origins.at_birth);
    Ok(v1::TraceOriginsResponse {
        now: Some(holding(path, &origins.now(), kinds)?),
        at_birth: at_birth.map(|held| holding(path, held, kinds)).transpose()?,
        lineage_lot_ids: ids(origins.lineage.iter().filter(|lot| path.shows(**lot))),
        steps: path.steps(trace),
        lots: path.lots_back(trace),
        uptake_g: trace.uptake.filter(|_| path.knows_birth).map(Grams::get),
        is_complete: origins.is_complete && trace.is_complete,
        ..along(path, trace)
    })
}

/// A page of where a lot went.
pub fn destinations_page(
    eyes: Eyes<'_>,
    seen: &SeenLot,
    request: &v1::TraceDestinationsRequest,
) -> Result<v1::TraceDestinationsResponse, Failure> {
    let list = List::new("TraceDestinations", &[&request.lot_id]);
    let turn = Turn::of(list, &request.page_token, size_for(eyes, seen))?;
    let trace = turn.read(eyes.reader.trace_at(seen.lot.id, Direction::Forward, turn.size))?;
    let mut answer = destinations(eyes, seen, &trace)?;
    answer.next_page_token =
        turn.cut(request.page_size, answer.is_complete, &mut answer.lots, &mut answer.steps)?;
    answer.ledger_size = turn.size.0;
    Ok(answer)
}

/// Where a lot went, all of it.
pub fn destinations(
    eyes: Eyes<'_>,
    seen: &SeenLot,
    trace: &Trace,
) -> Result<v1::TraceDestinationsResponse, Failure> {
    let path = Path::walk(eyes, seen, trace, Direction::Forward)?;
    let mut still_here = BTreeSet::new();
    for lot in path.depths.keys() {
        let is_whole = match lot.pool_of() {
            Some(id) => eyes.reader.campaign(id)?.is_some_and(|it| sees(eyes.viewer, &it)),
            None => eyes.lot(*lot)?.is_some_and(|it| matches!(it.sight, LotSight::Whole { .. })),
        };
        if is_whole {
            still_here.insert(*lot);
        }
    }
    Ok(destinations_along(&path, trace, &still_here))
}

/// What remains is told of lots that are still the viewer's.
fn destinations_along(
    path: &Path,
    trace: &Trace,
    still_here: &BTreeSet<LotId>,
) -> v1::TraceDestinationsResponse {
    let is_told = |lot: LotId| path.sees_all || still_here.contains(&lot);
    let now = |node: &TraceNode| node.remaining.filter(|_| is_told(node.lot));
    v1::TraceDestinationsResponse {
        steps: path.steps(trace),
        lots: path.lots(trace, |node| (node.mass, now(node))),
        // What others lose on the way is theirs to know.
        lost_g: trace.lost.filter(|_| path.sees_all).map(Grams::get),
        is_complete: trace.is_complete,
        lot_cap: cap(MAX_TRACE_LOTS),
        step_cap: cap(MAX_TRACE_STEPS),
        // Whether others still work on it is theirs to know.
        is_final: path.pending_ids(trace).is_empty(),
        pending_campaign_ids: path.pending_ids(trace),
        ..v1::TraceDestinationsResponse::default()
    }
}

/// The part of a trace that a viewer sees: steps whose entries concern it, as far as they hang
/// together with the asked lot.
struct Path {
    asked: LotId,
    /// Lots on it, and how many of its steps away they are.
    depths: BTreeMap<LotId, u32>,
    /// Entries of its steps.
    entries: BTreeSet<EntryIndex>,
    direction: Direction,
    /// Whether the mass that the asked lot was born with may be told.
    knows_birth: bool,
    sees_all: bool,
}

impl Path {
    fn walk(
        eyes: Eyes<'_>,
        seen: &SeenLot,
        trace: &Trace,
        direction: Direction,
    ) -> Result<Self, Failure> {
        let asked = seen.lot.id;
        let granted_depth = match seen.sight {
            LotSight::Granted { depth } => Some(depth),
            _ => None,
        };
        // A grant leads back; where the metal went stays with those who have it.
        let back = granted_depth.filter(|_| direction == Direction::Back).unwrap_or_default();
        let mut path = Self {
            asked,
            depths: BTreeMap::from([(asked, 0)]),
            entries: BTreeSet::new(),
            direction,
            knows_birth: granted_depth.is_some() || eyes.sees_entry(seen.lot.born_at)?,
            sees_all: eyes.viewer == Viewer::Overseer,
        };
        if path.sees_all {
            return Ok(path);
        }
        let mut known: BTreeMap<EntryIndex, bool> = BTreeMap::new();
        // Whether a lot was found that was not seen before: each turn but the last finds one.
        let mut follow = |step: &Step, near: LotId, far: LotId| -> Result<bool, Failure> {
            let Some(depth) = path.depths.get(&near).copied() else { return Ok(false) };
            let is_seen = match known.get(&step.index) {
                Some(is_seen) => *is_seen,
                None => eyes.sees_entry(step.index)?,
            };
            known.insert(step.index, is_seen);
            if is_seen || depth < back {
                path.entries.insert(step.index);
                let farther = depth.saturating_add(1);
                let is_new = !path.depths.contains_key(&far);
                let place = path.depths.entry(far).or_insert(farther);
                *place = farther.min(*place);
                return Ok(is_new);
            }
            Ok(false)
        };
        // In the order of the ledger every step into a lot stands before those out of it; but a
        // campaign goes on being charged when lots were drawn, so it takes a turn more for each.
        let mut is_found = true;
        while is_found {
            is_found = false;
            match direction {
                Direction::Forward => {
                    for step in &trace.steps {
                        is_found |= follow(step, step.from, step.to)?;
                    }
                }
                Direction::Back => {
                    for step in trace.steps.iter().rev() {
                        is_found |= follow(step, step.to, step.from)?;
                    }
                }
            }
        }
        Ok(path)
    }

    /// Grams that wait for a close; of campaigns that are not seen, all together.
    fn pending(&self, held: &Holding) -> Vec<v1::PendingShare> {
        let mut told = Vec::new();
        let mut others = 0_u64;
        let ranges = ranges(held);
        let all = with_unshared(pools(&held.pending), &ranges, |id| id.pool_of().is_some());
        for (pool, mass) in all {
            if self.shows(pool) {
                let campaign_id = place(pool).1;
                let (least_g, most_g) = range_of(&ranges, pool);
                told.push(v1::PendingShare { campaign_id, mass_g: mass.get(), least_g, most_g });
            } else {
                others = others.saturating_add(mass.get());
            }
        }
        if others > 0 {
            told.insert(0, v1::PendingShare { mass_g: others, ..v1::PendingShare::default() });
        }
        told
    }

    /// With the grams that came through each.
    fn lots_back(&self, trace: &Trace) -> Vec<v1::TraceLot> {
        self.lots(trace, |node| (node.mass, node.remaining))
    }

    fn pending_ids(&self, trace: &Trace) -> Vec<Bytes> {
        let open = trace.pending_campaigns.iter();
        open.filter(|it| self.shows(LotId::pool(**it))).map(|it| raw(it.as_bytes())).collect()
    }

    fn shows(&self, lot: LotId) -> bool {
        self.sees_all || lot == LotId::UPTAKE || self.depths.contains_key(&lot)
    }

    fn steps(&self, trace: &Trace) -> Vec<v1::TraceStep> {
        let is_shown = |it: &&Step| {
            let near = if self.direction == Direction::Back { it.to } else { it.from };
            let is_mine = self.entries.contains(&it.index) && self.depths.contains_key(&near);
            self.sees_all || is_mine
        };
        trace.steps.iter().filter(is_shown).map(step).collect()
    }

    /// The lots in the order of the trace, which is that of their distance, with their grams.
    fn lots(
        &self,
        trace: &Trace,
        grams: impl Fn(&TraceNode) -> (Option<Grams>, Option<Grams>),
    ) -> Vec<v1::TraceLot> {
        let shown = trace.nodes.iter().filter(|node| self.shows(node.lot));
        let mut lots: Vec<v1::TraceLot> = shown
            .map(|node| {
                let depth = self.depths.get(&node.lot).copied();
                let (mass, remaining) = grams(node);
                let mass = mass.filter(|_| node.lot != self.asked || self.knows_birth);
                lot(node, depth.filter(|_| !self.sees_all).unwrap_or(node.depth), mass, remaining)
            })
            .collect();
        if !self.sees_all {
            lots.sort_by_key(|lot| lot.depth);
        }
        lots
    }
}

/// Takes the origins that are not seen together to classes.
fn classed(
    path: &Path,
    mut held: v1::OriginHolding,
    class_of: impl Fn(LotId) -> Result<Class, Failure>,
) -> Result<v1::OriginHolding, Failure> {
    let mut classes: BTreeMap<Class, u64> = BTreeMap::new();
    let mut shares = Vec::with_capacity(held.shares.len());
    for share in held.shares {
        let Some(origin) = origin_of(&share) else { continue };
        if path.shows(origin) {
            shares.push(share);
        } else {
            let sum = classes.entry(class_of(origin)?).or_default();
            *sum = sum.saturating_add(share.mass_g);
        }
    }
    let class =
        |((origin_kind, material), mass_g)| v1::ClassShare { origin_kind, material, mass_g };
    held.shares = shares;
    held.classes = classes.into_iter().map(class).collect();
    Ok(held)
}

fn shares(held: &Holding) -> Vec<v1::OriginShare> {
    let ranges = ranges(held);
    let all = with_unshared(held.shares.iter().copied(), &ranges, |id| id.pool_of().is_none());
    let share = |(origin, mass): (LotId, Grams)| {
        let (lot_id, campaign_id) = place(origin);
        let (least_g, most_g) = range_of(&ranges, origin);
        v1::OriginShare { lot_id, mass_g: mass.get(), campaign_id, least_g, most_g }
    };
    all.into_iter().map(share).collect()
}

/// The least and the most grams of each origin.
type RangeOf = BTreeMap<LotId, (Grams, Grams)>;

fn ranges(held: &Holding) -> RangeOf {
    held.ranges.iter().flatten().map(|it| (it.origin, (it.least, it.most))).collect()
}

/// Shares, and with 0 g those of the places that have no share and may have a part; ascending.
fn with_unshared(
    shares: impl Iterator<Item = (LotId, Grams)>,
    ranges: &RangeOf,
    is_its: impl Fn(LotId) -> bool,
) -> BTreeMap<LotId, Grams> {
    let unshared = ranges.keys().copied().filter(|id| is_its(*id));
    let unshared = unshared.map(|id| (id, Grams::ZERO));
    let mut all: BTreeMap<LotId, Grams> = unshared.collect();
    all.extend(shares);
    all
}

fn range_of(ranges: &RangeOf, origin: LotId) -> (Option<u64>, Option<u64>) {
    let range = ranges.get(&origin);
    (range.map(|(least, _)| least.get()), range.map(|(_, most)| most.get()))
}

fn pools(shares: &[(CampaignId, Grams)]) -> impl Iterator<Item = (LotId, Grams)> + '_ {
    shares.iter().map(|(campaign, grams)| (LotId::pool(*campaign), *grams))
}

/// A place of a trace: a lot, or a campaign.
fn place(lot: LotId) -> (Bytes, Bytes) {
    match lot.pool_of().or(lot.waived_stock_of()) {
        Some(campaign) => (Bytes::new(), raw(campaign.as_bytes())),
        None => (raw(lot.as_bytes()), Bytes::new()),
    }
}

/// The origin that a share names.
fn origin_of(share: &v1::OriginShare) -> Option<LotId> {
    if share.campaign_id.is_empty() {
        return share.lot_id[..].try_into().ok().map(LotId::from_bytes);
    }
    let campaign = share.campaign_id[..].try_into().ok().map(CampaignId::from_bytes);
    campaign.map(LotId::waived_stock)
}

fn lot(
    node: &TraceNode,
    depth: u32,
    mass: Option<Grams>,
    remaining: Option<Grams>,
) -> v1::TraceLot {
    let (lot_id, campaign_id) = place(node.lot);
    v1::TraceLot {
        lot_id,
        campaign_id,
        depth,
        mass_g: mass.map(Grams::get),
        remaining_g: remaining.map(Grams::get),
    }
}

fn step(step: &Step) -> v1::TraceStep {
    let (from_lot_id, from_campaign_id) = place(step.from);
    let (to_lot_id, to_campaign_id) = place(step.to);
    v1::TraceStep {
        entry_index: step.index.0,
        event_id: raw(step.event.as_bytes()),
        kind: step.kind.number().into(),
        from_lot_id,
        to_lot_id,
        mass_g: step.mass.get(),
        from_campaign_id,
        to_campaign_id,
    }
}

/// Origins that are lots; stock that a waiver let in stands among the steps.
fn ids<'a>(lots: impl Iterator<Item = &'a LotId>) -> Vec<Bytes> {
    lots.filter(|lot| lot.waived_stock_of().is_none()).map(|lot| raw(lot.as_bytes())).collect()
}

fn cap(limit: usize) -> u32 {
    u32::try_from(limit).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::vocabulary::EventKind;
    use crate::domain::{EntryIndex, EventId};
    use crate::node::Holding;

    const ORE: LotId = LotId::from_bytes([1; 16]);
    const BAR: LotId = LotId::from_bytes([2; 16]);

    fn walked(is_complete: bool) -> Trace {
        let step = Step {
            index: EntryIndex(9),
            event: EventId::from_bytes([3; 16]),
            kind: EventKind::TransformLots,
            from: ORE,
            to: BAR,
            mass: Grams::of(70),
        };
        let grams = is_complete.then_some(Grams::of(70));
        let node = TraceNode { lot: ORE, depth: 1, mass: grams, remaining: None };
        let (uptake, lost) = (grams, None);
        Trace {
            steps: vec![step],
            lots: vec![ORE],
            nodes: vec![node],
            uptake,
            lost,
            pending_campaigns: Vec::new(),
            is_complete,
        }
    }

    fn found(is_complete: bool) -> Origins {
        let at_birth = Holding {
            total: Some(Grams::of(70)),
            shares: vec![(ORE, Grams::of(70))],
            is_attributed: true,
            ..Holding::default()
        };
        Origins {
            total: Some(Grams::ZERO),
            shares: Vec::new(),
            pending: Vec::new(),
            is_attributed: true,
            ranges: None,
            at_birth,
            lineage: vec![ORE],
            pending_campaigns: Vec::new(),
            is_complete,
        }
    }

    fn path(sees_all: bool, seen: &[u64]) -> Path {
        Path {
            asked: BAR,
            depths: [(BAR, 0), (ORE, 1)].into_iter().take(1 + seen.len()).collect(),
            entries: seen.iter().copied().map(EntryIndex).collect(),
            direction: Direction::Back,
            knows_birth: sees_all || !seen.is_empty(),
            sees_all,
        }
    }

    #[expect(clippy::unnecessary_wraps, reason = "a reader may fail")]
    fn class(_: LotId) -> Result<Class, Failure> {
        Ok((1, "CU".to_owned()))
    }

    fn kinds() -> Kinds<fn(LotId) -> Result<Class, Failure>> {
        let recycled = OriginKind::from_number(1).map(OriginKinds::of).unwrap_or_default();
        Kinds { recycled, class_of: class }
    }

    fn told(path: &Path, is_complete: bool) -> v1::TraceOriginsResponse {
        origins_along(path, &found(is_complete), &walked(is_complete), &kinds()).unwrap()
    }

    #[test]
    fn every_gram_stands_where_the_proto_says() {
        let answer = told(&path(true, &[]), true);
        let (now, at_birth) = (answer.now.unwrap(), answer.at_birth.unwrap());
        assert_eq!((now.total_g, now.shares.len()), (Some(0), 0));
        assert_eq!((at_birth.total_g, at_birth.shares[0].mass_g), (Some(70), 70));
        assert_eq!((answer.uptake_g, answer.lots[0].mass_g), (Some(70), Some(70)));
        assert_eq!(answer.lots[0].remaining_g, None);
        let step = &answer.steps[0];
        assert_eq!((step.kind(), step.mass_g), (v1::EventKind::TransformLots, 70));
        assert_eq!((&step.from_lot_id, &step.to_lot_id), (&raw(&[1; 16]), &raw(&[2; 16])));
        assert!(answer.is_complete);
    }

    #[test]
    fn who_sees_the_step_sees_its_lots_and_who_does_not_sees_a_class() {
        let answer = told(&path(false, &[9]), true);
        assert_eq!((answer.steps.len(), answer.lots.len()), (1, 1));
        assert_eq!(answer.at_birth.unwrap().shares.len(), 1);

        let answer = told(&path(false, &[]), true);
        assert_eq!((answer.steps, answer.lots, answer.lineage_lot_ids), (vec![], vec![], vec![]));
        assert_eq!((answer.at_birth, answer.uptake_g), (None, None));

        let held = found(true).at_birth;
        let held = holding(&path(false, &[]), &held, &kinds()).unwrap();
        assert_eq!(held.shares, []);
        // Categories are of all grams, seen by name or not.
        let sums = held.categories.unwrap();
        assert_eq!((sums.recycled_g, sums.recycled_content_g, sums.unknown_g), (70, 70, 0));
        let kind = v1::KindShare { origin_kind: 1, mass_g: 70, is_recycled: true };
        assert_eq!(sums.kinds, [kind]);
        let share = v1::ClassShare { origin_kind: 1, material: "CU".to_owned(), mass_g: 70 };
        assert_eq!(held.classes, [share]);
    }

    #[test]
    fn what_remains_elsewhere_is_not_told() {
        let trace = Trace { lost: Some(Grams::of(3)), ..walked(true) };
        let mut path = path(false, &[9]);
        (path.asked, path.direction) = (ORE, Direction::Forward);
        let mut trace = trace;
        trace.nodes[0].remaining = Some(Grams::of(5));
        let answer = destinations_along(&path, &trace, &BTreeSet::from([ORE]));
        assert_eq!((answer.lots[0].remaining_g, answer.lost_g), (Some(5), None));
        let answer = destinations_along(&path, &trace, &BTreeSet::new());
        assert_eq!((answer.steps.len(), answer.lots[0].remaining_g), (1, None));
    }

    #[test]
    fn a_walk_that_was_cut_short_makes_the_answer_so() {
        for (has_origins, has_steps) in [(true, false), (false, true), (false, false)] {
            let (found, walked) = (found(has_origins), walked(has_steps));
            let answer = origins_along(&path(true, &[]), &found, &walked, &kinds()).unwrap();
            assert!(!answer.is_complete);
        }
        let answer = destinations_along(&path(true, &[]), &walked(false), &BTreeSet::new());
        assert!(!answer.is_complete && answer.lots[0].mass_g.is_none());
        assert_eq!((answer.lot_cap, answer.step_cap), (20_000, 100_000));
    }

    #[test]
    fn a_substance_is_one_that_can_be_traced() {
        assert_eq!(measure(0).unwrap(), Measure::Mass);
        assert_eq!(measure(29).unwrap(), Measure::Substance(Substance::Cu));
        for stranger in [-1, 1, 61, i32::MAX] {
            assert!(measure(stranger).is_err());
        }
    }
}
