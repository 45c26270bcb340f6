//! The possible range of each share: against every way in which a small history could have gone,
//! and laws over random ones.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops")]

mod provenance_graph;

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use provenance_graph::{CU, History, Op, copper, history};
use urbanmine::domain::vocabulary::{EventKind, Substance};
use urbanmine::domain::{Grams, LotId};
use urbanmine::provenance::{
    Holding, Measure, OriginRange, Origins, TraceLimits, origins, origins_with_ranges,
};

fn ranged(history: &History, lot: LotId, measure: Measure) -> Origins {
    origins_with_ranges(history, lot, measure, TraceLimits::default()).unwrap()
}

fn bounds(ranges: &[OriginRange]) -> Vec<(LotId, u64, u64)> {
    ranges.iter().map(|it| (it.origin, it.least.get(), it.most.get())).collect()
}

// The lots of the worked example; their ids ascend in this order.
const A: LotId = LotId::from_bytes([0x11; 16]);
const B: LotId = LotId::from_bytes([0x22; 16]);
const M: LotId = LotId::from_bytes([0x33; 16]);
const S1: LotId = LotId::from_bytes([0x44; 16]);
const S2: LotId = LotId::from_bytes([0x55; 16]);
const C: LotId = LotId::from_bytes([0x66; 16]);
const D: LotId = LotId::from_bytes([0x77; 16]);

/// The worked example of `docs/PROVENANCE.md`: origin, share, least, most.
#[test]
fn the_ranges_of_the_document() {
    let mut history = History::default();
    history.event(EventKind::CollectLot, &[], vec![(A, 600, copper(600, 600))], 0, 0);
    history.event(EventKind::CollectLot, &[], vec![(B, 400, copper(400, 400))], 0, 0);
    history.event(EventKind::MergeLots, &[(A, 600), (B, 400)], vec![(M, 1_000, None)], 0, 0);
    let parts = vec![(S1, 700, None), (S2, 250, None)];
    history.event(EventKind::SplitLot, &[(M, 1_000)], parts, 0, 50);
    let melt = vec![(C, 680, copper(680, 680)), (D, 20, copper(20, 20))];
    history.event(EventKind::TransformLots, &[(S1, 700)], melt, 0, 0);
    let rows = [
        (M, [(A, 600, 600, 600), (B, 400, 400, 400)]),
        (S1, [(A, 420, 300, 600), (B, 280, 100, 400)]),
        (S2, [(A, 150, 0, 250), (B, 100, 0, 250)]),
        (C, [(A, 408, 280, 600), (B, 272, 80, 400)]),
        (D, [(A, 12, 0, 20), (B, 8, 0, 20)]),
    ];
    for (lot, expected) in rows {
        assert_eq!(told(&ranged(&history, lot, CU).at_birth), expected, "{lot}");
    }
    // An analysis that finds a tenth less lowers the least and the most with the share.
    history.assay(C, &[(Substance::Cu, 612)]);
    let now = ranged(&history, C, CU).now();
    assert_eq!(told(&now), [(A, 367, 252, 540), (B, 245, 72, 360)]);
}

/// Each origin with its share, and the least and the most that it could be.
fn told(held: &Holding) -> Vec<(LotId, u64, u64, u64)> {
    let share = |id| held.shares.iter().find(|it| it.0 == id).map_or(0, |it| it.1.get());
    let ranges = held.ranges.iter().flatten();
    ranges.map(|it| (it.origin, share(it.origin), it.least.get(), it.most.get())).collect()
}

#[test]
fn one_feed_has_no_room() {
    let mut history = History::default();
    let lot = history.collect(1_000, copper(1_000, 737));
    let parts = history.split(lot, &[333, 450, 100]);
    let merged = history.merge(&[(parts[0], 100), (parts[1], 450)], None);
    for measure in [Measure::Mass, CU] {
        let found = ranged(&history, merged, measure);
        let total = found.total.unwrap().get();
        assert_eq!(bounds(&found.ranges.unwrap()), [(lot, total, total)]);
    }
}

fn ops(count: usize) -> impl Strategy<Value = Vec<Op>> {
    let op = (
        any::<u8>(),
        prop::collection::vec(any::<u16>(), 1..5),
        prop::collection::vec(any::<u64>(), 6),
    );
    let op = op.prop_map(|(kind, picks, numbers)| Op { kind, picks, numbers });
    prop::collection::vec(op, 1..count)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: ProptestConfig::default().cases.max(300),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// Nothing but the ranges is added, every share lies in its range, and the ranges leave room
    /// for the total.
    #[test]
    fn every_share_lies_in_its_range(ops in ops(50)) {
        let history = history(&ops);
        for lot in history.lots() {
            for measure in [Measure::Mass, CU] {
                let plain = origins(&history, lot, measure, TraceLimits::default()).unwrap();
                let found = ranged(&history, lot, measure);
                let at_birth = (found.at_birth.clone(), &plain.at_birth.shares);
                for (held, shares) in [(found.now(), &plain.shares), at_birth] {
                    prop_assert_eq!(&held.shares, shares);
                    prop_assert_eq!(held.ranges.is_some(), held.is_attributed);
                    let Some(ranges) = held.ranges else { continue };
                    let of: BTreeMap<LotId, OriginRange> =
                        ranges.iter().map(|it| (it.origin, *it)).collect();
                    prop_assert_eq!(of.len(), ranges.len());
                    for (origin, grams) in &held.shares {
                        let range = of[origin];
                        prop_assert!(range.least <= *grams && *grams <= range.most);
                    }
                    let total = held.total.unwrap();
                    let least: u64 = ranges.iter().map(|it| it.least.get()).sum();
                    let most: u64 = ranges.iter().map(|it| it.most.get()).sum();
                    prop_assert!(least <= total.get() && total.get() <= most);
                    for range in &ranges {
                        prop_assert!(range.least <= range.most && range.most <= total);
                        let is_lot = found.lineage.contains(&range.origin);
                        prop_assert!(is_lot || range.origin == LotId::UPTAKE);
                    }
                }
            }
        }
    }

    /// No way in which the grams could have gone leads out of a range; where no lot is met twice
    /// on the way, some way leads to each end of it.
    #[test]
    fn ranges_hold_every_way_the_grams_could_have_gone(
        steps in prop::collection::vec(any::<[u8; 4]>(), 1..7),
    ) {
        let (history, is_tree) = small(&steps);
        let ways = ways::all(&history);
        for lot in history.lots() {
            let found = ranged(&history, lot, Measure::Mass);
            let ranges = found.ranges.clone().unwrap();
            for origin in &found.lineage {
                let range = ranges.iter().find(|it| it.origin == *origin);
                let range = range.map_or((0, 0), |it| (it.least.get(), it.most.get()));
                let seen = ways.iter().map(|way| way[&lot].get(origin).copied().unwrap_or(0));
                let seen: BTreeSet<u64> = seen.collect();
                let ends = (*seen.first().unwrap(), *seen.last().unwrap());
                prop_assert!(range.0 <= ends.0 && ends.1 <= range.1, "{:?} in {:?}", ends, range);
                if is_tree.contains(&lot) {
                    prop_assert_eq!(range, ends, "{} in {}", origin, lot);
                }
            }
        }
    }
}

/// A history of few grams, and the lots behind which no lot is met twice.
fn small(steps: &[[u8; 4]]) -> (History, BTreeSet<LotId>) {
    let mut history = History::default();
    // Of each lot every lot on the way to it, as often as there are ways.
    let mut behind: BTreeMap<LotId, Vec<LotId>> = BTreeMap::new();
    for first in [3, 2] {
        let lot = history.collect(first, None);
        behind.insert(lot, vec![lot]);
    }
    for [kind, one, other, mass] in steps {
        let open: Vec<_> =
            history.remaining.clone().into_iter().filter(|(_, left)| *left > 0).collect();
        let pick = |place: u8| open[usize::from(place) % open.len()];
        let ((lot, left), (next, rest)) = (pick(*one), pick(*other));
        let part = 1 + u64::from(*mass) % left;
        let (draws, births) = match kind % 3 {
            _ if open.is_empty() => continue,
            0 if lot != next => {
                let second = 1 + u64::from(*mass / 16) % rest;
                (vec![(lot, part), (next, second)], vec![part + second])
            }
            1 if part > 1 => (vec![(lot, part)], vec![part - 1, 1]),
            _ => (vec![(lot, part)], vec![part]),
        };
        let named: Vec<_> = births.iter().map(|mass| (history.new_name(), *mass, None)).collect();
        let ways: Vec<LotId> = draws.iter().flat_map(|(from, _)| behind[from].clone()).collect();
        for (name, _, _) in &named {
            behind.insert(*name, ways.iter().copied().chain([*name]).collect());
        }
        history.event(EventKind::TransformLots, &draws, named, 0, 0);
    }
    let trees =
        behind.iter().filter(|(_, ways)| ways.iter().collect::<BTreeSet<_>>().len() == ways.len());
    let trees = trees.map(|(lot, _)| *lot).collect();
    (history, trees)
}

/// Every way in which unmixed grams could have gone: each draw takes any grams there are.
mod ways {
    use super::*;

    type Content = BTreeMap<LotId, u64>;
    /// What was in each lot at last, and is there to be drawn from.
    type State = BTreeMap<LotId, Content>;

    pub fn all(history: &History) -> BTreeSet<State> {
        let mut states = BTreeSet::from([State::new()]);
        for movement in &history.movements {
            let mut next = BTreeSet::new();
            for state in states {
                if movement.draws.is_empty() {
                    let mut state = state.clone();
                    for birth in &movement.births {
                        state.insert(birth.lot, Content::from([(birth.lot, birth.mass.get())]));
                    }
                    next.insert(state);
                    continue;
                }
                let mut drawn = vec![(state, Content::new())];
                for draw in &movement.draws {
                    let mut more = Vec::new();
                    for (state, pool) in drawn {
                        for (taken, left) in parts(&state[&draw.lot], draw.mass.get()) {
                            let mut state = state.clone();
                            state.insert(draw.lot, left);
                            more.push((state, sum(&pool, &taken)));
                        }
                    }
                    drawn = more;
                }
                for birth in &movement.births {
                    let mut more = Vec::new();
                    for (state, pool) in drawn {
                        for (taken, left) in parts(&pool, birth.mass.get()) {
                            let mut state = state.clone();
                            state.insert(birth.lot, taken);
                            more.push((state, left));
                        }
                    }
                    drawn = more;
                }
                next.extend(drawn.into_iter().map(|(state, _)| state));
            }
            states = next;
        }
        states
    }

    fn sum(one: &Content, other: &Content) -> Content {
        let mut sum = one.clone();
        for (origin, grams) in other {
            *sum.entry(*origin).or_default() += grams;
        }
        sum
    }

    /// Every choice of so many grams, with what it leaves.
    fn parts(whole: &Content, grams: u64) -> Vec<(Content, Content)> {
        let mut found = vec![(Content::new(), Content::new(), grams)];
        for (origin, there) in whole {
            let mut more = Vec::new();
            for (taken, left, wanted) in found {
                for part in 0..=(*there).min(wanted) {
                    let (mut taken, mut left) = (taken.clone(), left.clone());
                    taken.insert(*origin, part);
                    left.insert(*origin, there - part);
                    more.push((taken, left, wanted - part));
                }
            }
            found = more;
        }
        let exact = found.into_iter().filter(|(_, _, wanted)| *wanted == 0);
        exact.map(|(taken, left, _)| (taken, left)).collect()
    }
}

/// The grams of a history are few, so that all ways can be gone; and there are several.
#[test]
fn a_small_history_is_small() {
    let mut most = 0;
    for place in 0..3 {
        let (history, trees) = small(&[[0, 0, 1, 17], [1, place, 0, 1]]);
        most = most.max(ways::all(&history).len());
        assert!(trees.len() >= 3);
        let born = history.movements.iter().flat_map(|it| &it.births).map(|it| it.mass);
        assert!(born.max() <= Some(Grams::of(5)));
    }
    assert!(most > 1);
}
