//! Laws of provenance, over random histories and against a slow oracle that shares no code with it.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops")]

mod provenance_graph;

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use provenance_graph::{CU, History, Op, history, shares};
use urbanmine::domain::lot::Contents;
use urbanmine::domain::movement::{Birth, Movement};
use urbanmine::domain::vocabulary::{EventKind, Substance};
use urbanmine::domain::{Grams, LotId};
use urbanmine::provenance::{Direction, Measure, TraceLimits, trace};

fn ops(count: usize) -> impl Strategy<Value = Vec<Op>> {
    let op = (
        any::<u8>(),
        prop::collection::vec(any::<u16>(), 1..5),
        prop::collection::vec(any::<u64>(), 6),
    );
    let op = op.prop_map(|(kind, picks, numbers)| Op { kind, picks, numbers });
    prop::collection::vec(op, 1..count)
}

fn config() -> ProptestConfig {
    let default = ProptestConfig::default();
    ProptestConfig { cases: default.cases.max(300), failure_persistence: None, ..default }
}

fn sum(vector: &[(LotId, Grams)]) -> u64 {
    vector.iter().map(|(_, grams)| grams.get()).sum()
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn the_oracle_agrees(ops in ops(14)) {
        let history = history(&ops);
        for lot in history.lots() {
            for measure in [Measure::Mass, CU] {
                let found = history.origins(lot, measure);
                let expected = oracle::now(&history, lot, measure);
                prop_assert_eq!(found.total.map(Grams::get), expected.0, "{} {:?}", lot, measure);
                let attributed = found.is_attributed.then(|| shares(&found.shares));
                prop_assert_eq!(attributed, expected.1, "{} {:?}", lot, measure);
                let lineage: BTreeSet<LotId> = found.lineage.iter().copied().collect();
                prop_assert_eq!(lineage, oracle::lineage(&history, lot));
            }
        }
    }

    #[test]
    fn a_vector_sums_to_what_is_contained(ops in ops(60)) {
        let history = history(&ops);
        for (lot, remaining) in &history.remaining {
            let mass = history.origins(*lot, Measure::Mass);
            prop_assert!(mass.is_complete && mass.is_attributed);
            prop_assert_eq!(mass.total, Some(Grams::of(*remaining)));
            prop_assert_eq!(sum(&mass.shares), *remaining);
            let copper = history.origins(*lot, CU);
            for (total, attributed, vector) in [
                (copper.total, copper.is_attributed, &copper.shares),
                (copper.at_birth.total, copper.at_birth.is_attributed, &copper.at_birth.shares),
            ] {
                prop_assert_eq!(sum(vector), if attributed { total.unwrap().get() } else { 0 });
            }
        }
    }

    #[test]
    fn the_order_of_draws_does_not_matter(ops in ops(40)) {
        let one = history(&ops);
        let mut other = one.clone();
        for movement in &mut other.movements {
            movement.draws.reverse();
        }
        for lot in one.lots() {
            prop_assert_eq!(one.origins(lot, CU), other.origins(lot, CU));
            prop_assert_eq!(one.origins(lot, Measure::Mass), other.origins(lot, Measure::Mass));
        }
    }

    #[test]
    fn split_then_merge_is_the_identity(
        ops in ops(30),
        weights in prop::collection::vec(1..9_u64, 1..6),
    ) {
        let mut history = history(&ops);
        let open = history.remaining.clone().into_iter().filter(|(_, left)| *left > 9);
        for (lot, whole) in open {
            let before = [Measure::Mass, CU].map(|measure| history.origins(lot, measure));
            let all: u64 = weights.iter().sum();
            let masses = weights.iter().map(|weight| weight * whole / all);
            let mut masses: Vec<u64> = masses.filter(|mass| *mass > 0).collect();
            *masses.last_mut().unwrap() += whole - masses.iter().sum::<u64>();
            let children = history.split(lot, &masses);
            siblings_are_no_more_than_their_parent(&history, &before[1].shares, &children)?;
            let draws: Vec<_> = children.into_iter().zip(masses).rev().collect();
            let whole_again = history.merge(&draws, None);
            for (before, measure) in before.iter().zip([Measure::Mass, CU]) {
                let after = history.origins(whole_again, measure);
                prop_assert_eq!(&before.shares, &after.shares);
                prop_assert_eq!(before.total, after.total);
                prop_assert_eq!(&before.lineage, &after.lineage);
            }
        }
    }

    #[test]
    fn a_retracted_leaf_never_was(ops in ops(30), pick in any::<prop::sample::Index>()) {
        let full = history(&ops);
        let is_leaf = |movement: &&Movement| {
            let is_unused = |lot: &LotId| full.lives[lot].len() == 1;
            // What was counted may be used since.
            movement.gained.is_none()
                && movement.births.iter().all(|birth| is_unused(&birth.lot))
        };
        let leaves: Vec<_> = full.movements.iter().filter(is_leaf).collect();
        prop_assume!(!leaves.is_empty());
        let error = pick.get(&leaves).index;

        let mut corrected = full.clone();
        corrected.retracted.insert(error.0);
        let mut fresh = History::default();
        for movement in full.movements.iter().filter(|movement| movement.index != error) {
            fresh.push(movement.clone());
        }
        for lot in fresh.lots() {
            for measure in [Measure::Mass, CU] {
                prop_assert_eq!(corrected.origins(lot, measure), fresh.origins(lot, measure));
            }
            for direction in [Direction::Back, Direction::Forward] {
                let one = trace(&corrected, lot, direction, TraceLimits::default()).unwrap();
                let other = trace(&fresh, lot, direction, TraceLimits::default()).unwrap();
                prop_assert_eq!(one.nodes, other.nodes);
            }
        }
    }

    #[test]
    fn the_lineage_holds_every_origin_with_a_share(ops in ops(60)) {
        let history = history(&ops);
        for lot in history.lots() {
            for measure in [Measure::Mass, CU] {
                let found = history.origins(lot, measure);
                let lineage: BTreeSet<_> = found.lineage.iter().collect();
                for (origin, grams) in found.shares.iter().chain(&found.at_birth.shares) {
                    prop_assert!(lineage.contains(origin) || *origin == LotId::UPTAKE);
                    prop_assert!(!grams.is_zero());
                }
            }
        }
    }

    #[test]
    fn a_trace_loses_no_gram(ops in ops(40)) {
        let history = history(&ops);
        for lot in history.lots() {
            let born = history.lives[&lot][0];
            let movement = &history.movements[usize::try_from(born.0).unwrap()];
            let mass = movement.births.iter().find(|birth| birth.lot == lot).unwrap().mass.get();

            let back = trace(&history, lot, Direction::Back, TraceLimits::default()).unwrap();
            let lineage = history.origins(lot, Measure::Mass).lineage;
            let origins = back.nodes.iter().filter(|node| lineage.contains(&node.lot));
            let came: u64 = origins.map(|node| node.mass.unwrap().get()).sum();
            prop_assert_eq!(came + back.uptake.unwrap().get(), mass);
            for step in back.steps.iter().filter(|step| step.kind == EventKind::SplitLot) {
                let born = &history.movements[usize::try_from(step.index.0).unwrap()].births;
                let child = born.iter().find(|birth| birth.lot == step.to).unwrap();
                prop_assert_eq!(step.mass, child.mass);
            }

            let forward = trace(&history, lot, Direction::Forward, TraceLimits::default()).unwrap();
            let there: u64 = forward.nodes.iter().map(|node| node.remaining.unwrap().get()).sum();
            prop_assert_eq!(there + forward.lost.unwrap().get(), mass);
            prop_assert_eq!(forward.nodes[0].mass, Some(Grams::of(mass)));
            let remaining = forward.nodes[0].remaining.unwrap().get();
            let has_gained = |it: &Movement| it.gained.is_some_and(|gained| gained.lot == lot);
            if history.movements.iter().any(has_gained) {
                // What a stocktake found is of nowhere.
                prop_assert!(remaining <= history.remaining[&lot]);
            } else {
                prop_assert_eq!(remaining, history.remaining[&lot]);
            }
        }
    }
}

fn siblings_are_no_more_than_their_parent(
    history: &History,
    parent: &[(LotId, Grams)],
    children: &[LotId],
) -> Result<(), TestCaseError> {
    let mut together: BTreeMap<LotId, u64> = BTreeMap::new();
    for child in children {
        for (origin, grams) in history.origins(*child, CU).at_birth.shares {
            *together.entry(origin).or_default() += grams.get();
        }
    }
    let parent: BTreeMap<_, _> = shares(parent).into_iter().collect();
    for (origin, grams) in together {
        prop_assert!(grams <= parent.get(&origin).copied().unwrap_or_default());
    }
    Ok(())
}

/// The definition, word for word, without a thought for speed: every question is answered by going
/// back to the birth, and there by asking the parents.
mod oracle {
    use super::*;

    type Mix = BTreeMap<LotId, u128>;

    #[derive(Clone)]
    struct Lot {
        mass: u128,
        known: Option<(u128, u128)>,
        mix: Option<Mix>,
        is_origin: bool,
    }

    pub fn now(
        history: &History,
        lot: LotId,
        measure: Measure,
    ) -> (Option<u64>, Option<Vec<(LotId, u64)>>) {
        let lot = before(history, lot, u64::MAX, measure);
        let total = lot.known.map(|known| u64::try_from(inside(known, lot.mass)).unwrap());
        let as_list = |mix: Mix| {
            let grams = mix.into_iter().filter(|(_, grams)| *grams > 0);
            grams.map(|(origin, grams)| (origin, u64::try_from(grams).unwrap())).collect()
        };
        (total, lot.known.and(lot.mix).map(as_list))
    }

    pub fn lineage(history: &History, lot: LotId) -> BTreeSet<LotId> {
        let movement = birth_of(history, lot);
        if movement.draws.is_empty() {
            return BTreeSet::from([lot]);
        }
        movement.draws.iter().flat_map(|draw| lineage(history, draw.lot)).collect()
    }

    fn birth_of(history: &History, lot: LotId) -> &Movement {
        let mut movements = history.movements.iter();
        movements.find(|movement| movement.births.iter().any(|birth| birth.lot == lot)).unwrap()
    }

    fn inside((of_mass, contained): (u128, u128), mass: u128) -> u128 {
        let (floor, twice) = (contained * mass / of_mass, contained * mass % of_mass * 2);
        if twice > of_mass || (twice == of_mass && floor % 2 == 1) { floor + 1 } else { floor }
    }

    fn share(weights: &Mix, total: u128) -> Mix {
        let all: u128 = weights.values().sum();
        if all == 0 {
            return Mix::new();
        }
        let mut shares: Mix =
            weights.iter().map(|(id, weight)| (*id, weight * total / all)).collect();
        let mut waiting: Vec<_> =
            weights.iter().map(|(id, weight)| (weight * total % all, *id)).collect();
        for _ in shares.values().sum::<u128>()..total {
            let largest = waiting.iter().map(|(rest, _)| *rest).max().unwrap();
            let winner = waiting
                .iter()
                .filter(|(rest, _)| *rest == largest)
                .map(|(_, id)| *id)
                .min()
                .unwrap();
            waiting.retain(|(_, id)| *id != winner);
            *shares.get_mut(&winner).unwrap() += 1;
        }
        shares
    }

    fn take(mix: &mut Mix, grams: u128) -> Mix {
        let taken = share(mix, grams);
        for (origin, grams) in &taken {
            *mix.get_mut(origin).unwrap() -= grams;
        }
        taken
    }

    fn draw(lot: &mut Lot, mass: u128) -> Option<(u128, Option<Mix>)> {
        let old = lot.mass;
        lot.mass -= mass;
        let known = lot.known?;
        let grams = inside(known, old) - inside(known, lot.mass);
        let mix = lot.mix.as_mut().map(|mix| take(mix, grams));
        Some((grams, if grams == 0 { Some(Mix::new()) } else { mix }))
    }

    /// A lot as it stood before an entry.
    fn before(history: &History, id: LotId, index: u64, measure: Measure) -> Lot {
        let mut lot = None;
        for movement in history.movements.iter().filter(|movement| movement.index.0 < index) {
            if movement.births.iter().any(|birth| birth.lot == id) {
                lot = Some(birth(history, movement, id, measure));
            }
            let Some(lot) = lot.as_mut() else { continue };
            if let Some(assay) = movement.assay.as_ref().filter(|assay| assay.lot == id) {
                analyse(lot, id, measure, assay.contents.as_ref().unwrap());
            }
            for taken in movement.draws.iter().filter(|draw| draw.lot == id) {
                draw(lot, taken.mass.get().into());
            }
            for gained in movement.gained.iter().filter(|gained| gained.lot == id) {
                gain(lot, measure, gained.mass.get().into());
            }
        }
        lot.unwrap()
    }

    /// Found in a stocktake: mass of nowhere, and no metal.
    fn gain(lot: &mut Lot, measure: Measure, grams: u128) {
        let held = lot.known.map(|known| inside(known, lot.mass));
        lot.mass += grams;
        if measure == Measure::Mass {
            lot.known = Some((lot.mass, lot.mass));
            if let Some(mix) = &mut lot.mix {
                *mix.entry(LotId::UPTAKE).or_default() += grams;
            }
        } else {
            lot.known = held.map(|held| (lot.mass, held));
        }
    }

    fn said(contents: Option<&Contents>) -> Option<(u128, u128)> {
        let contents = contents?;
        let copper = contents.of(Substance::Cu)?;
        Some((contents.of_mass.get().into(), copper.contained.get().into()))
    }

    fn analyse(lot: &mut Lot, id: LotId, measure: Measure, contents: &Contents) {
        if measure == Measure::Mass {
            return;
        }
        lot.known = said(Some(contents));
        let Some(known) = lot.known else { return };
        let total = inside(known, lot.mass);
        let had: u128 = lot.mix.iter().flat_map(BTreeMap::values).sum();
        lot.mix = if lot.is_origin {
            Some(Mix::from([(id, total)]))
        } else if had > 0 {
            lot.mix.take().map(|mix| share(&mix, total))
        } else {
            (total == 0).then(Mix::new)
        };
    }

    /// What all inputs gave: their mass, what they held, of whom, and the last one's own contents.
    struct Pool {
        mass: u128,
        grams: Option<u128>,
        mix: Option<Mix>,
        parent: Option<(u128, u128)>,
    }

    fn declared(birth: &Birth, measure: Measure) -> Option<(u128, u128)> {
        let mass = birth.mass.get().into();
        if measure == Measure::Mass { Some((mass, mass)) } else { said(birth.contents.as_ref()) }
    }

    fn pool(history: &History, movement: &Movement, measure: Measure) -> Pool {
        let uptake: u128 = movement.uptake.get().into();
        let joined = if measure == Measure::Mass { uptake } else { 0 };
        let mix = Some(Mix::from([(LotId::UPTAKE, joined)]));
        let mut pool = Pool { mass: uptake, grams: Some(joined), mix, parent: None };
        for taken in &movement.draws {
            let mut lot = before(history, taken.lot, movement.index.0, measure);
            pool.parent = lot.known;
            let found = draw(&mut lot, taken.mass.get().into());
            pool.mass += u128::from(taken.mass.get());
            pool.grams = pool.grams.zip(found.as_ref()).map(|(sum, (grams, _))| sum + grams);
            let part = found.and_then(|(_, mix)| mix);
            pool.mix = pool.mix.zip(part).map(|(mut sum, part)| {
                for (origin, grams) in part {
                    *sum.entry(origin).or_default() += grams;
                }
                sum
            });
        }
        pool
    }

    type Want = (LotId, Option<(u128, u128)>, Option<u128>);

    /// Of each birth: what is fixed of it, and what it wants of the pool.
    fn wants(movement: &Movement, pool: &Pool, measure: Measure) -> Vec<Want> {
        let births = &movement.births;
        let certain: u128 =
            births.iter().filter_map(|birth| declared(birth, measure)).map(|(_, it)| it).sum();
        let composed = births.iter().filter(|birth| birth.contents.is_some());
        let rest_mass =
            pool.mass - composed.map(|birth| u128::from(birth.mass.get())).sum::<u128>();
        let rest = pool.grams.map(|grams| (rest_mass, grams.saturating_sub(certain)));
        let mut given = 0;
        let mut wants = Vec::new();
        for birth in births {
            let mass = u128::from(birth.mass.get());
            let mut slice = |known: Option<(u128, u128)>, from: u128| {
                let left = from - given;
                given += mass;
                let grams = known.map(|known| inside(known, left) - inside(known, left - mass));
                (grams.map(|grams| (mass, grams)), grams)
            };
            let (known, wanted) = match (declared(birth, measure), movement.kind, &birth.contents) {
                (Some(known), ..) => (Some(known), Some(known.1)),
                (None, EventKind::SplitLot, _) => slice(pool.parent, pool.mass),
                (None, EventKind::MergeLots, Some(_)) => (None, pool.grams),
                (None, EventKind::MergeLots, None) => {
                    (pool.grams.map(|grams| (mass, grams)), pool.grams)
                }
                (None, EventKind::AcceptTransfer, _) => {
                    let known = pool.grams.map(|grams| (pool.mass, grams));
                    (known, known.map(|known| inside(known, mass)))
                }
                (None, _, Some(_)) => (None, Some(0)),
                (None, _, None) => slice(rest, rest_mass),
            };
            wants.push((birth.lot, known, wanted));
        }
        wants
    }

    fn birth(history: &History, movement: &Movement, id: LotId, measure: Measure) -> Lot {
        let me = movement.births.iter().find(|birth| birth.lot == id).unwrap();
        let mass = me.mass.get().into();
        if movement.draws.is_empty() {
            let known = declared(me, measure);
            let mix = known.map(|(_, grams)| Mix::from([(id, grams)]));
            return Lot { mass, known, mix, is_origin: true };
        }
        let pool = pool(history, movement, measure);
        let wants = wants(movement, &pool, measure);
        let mut mix = pool.mix;
        let wanted_all: u128 = wants.iter().filter_map(|(_, _, wanted)| *wanted).sum();
        let there: u128 = mix.iter().flat_map(BTreeMap::values).sum();
        if wanted_all > there {
            mix = mix.filter(|_| there > 0).map(|mix| share(&mix, wanted_all));
        }
        for (lot, known, wanted) in wants {
            let got = match (wanted, mix.as_mut()) {
                (Some(0), _) => Some(Mix::new()),
                (Some(grams), Some(mix)) => Some(take(mix, grams)),
                _ => None,
            };
            if lot == id {
                return Lot { mass, known, mix: got, is_origin: false };
            }
        }
        unreachable!("the lot is one of the births")
    }
}
