//! The worked example of `docs/PROVENANCE.md`, what is unknown, caps, and histories of great depth.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops")]

mod provenance_graph;

use provenance_graph::{CU, History, copper, shares};
use urbanmine::domain::lot::Contents;
use urbanmine::domain::vocabulary::{EventKind, Substance};
use urbanmine::domain::{Grams, LotId};
use urbanmine::provenance::{Direction, Measure, Trace, TraceFault, TraceLimits, origins, trace};

// The lots of the example; their ids ascend in this order.
const A: LotId = LotId::from_bytes([0x11; 16]);
const B: LotId = LotId::from_bytes([0x22; 16]);
const M: LotId = LotId::from_bytes([0x33; 16]);
const S1: LotId = LotId::from_bytes([0x44; 16]);
const S2: LotId = LotId::from_bytes([0x55; 16]);
const C: LotId = LotId::from_bytes([0x66; 16]);
const D: LotId = LotId::from_bytes([0x77; 16]);
const E: LotId = LotId::from_bytes([0x88; 16]);
const F: LotId = LotId::from_bytes([0x99; 16]);

fn example() -> History {
    let mut history = History::default();
    let mut births = |kind, draws: &[(LotId, u64)], births, uptake, loss| {
        history.event(kind, draws, births, uptake, loss);
    };
    births(EventKind::CollectLot, &[], vec![(A, 1_000, copper(1_000, 601))], 0, 0);
    births(EventKind::CollectLot, &[], vec![(B, 500, copper(500, 400))], 0, 0);
    births(EventKind::MergeLots, &[(A, 333), (B, 500)], vec![(M, 833, None)], 0, 0);
    let parts = vec![(S1, 400, None), (S2, 400, None)];
    births(EventKind::SplitLot, &[(M, 833)], parts, 0, 33);
    let melt: Vec<(LotId, u64, Option<Contents>)> =
        vec![(C, 290, copper(290, 289)), (D, 120, None)];
    births(EventKind::TransformLots, &[(S1, 400)], melt, 20, 10);
    history.assay(S2, &[(Substance::Cu, 300)]);
    history
}

/// The last event of the example.
fn second_melt(history: &mut History) {
    let births = vec![(E, 280, copper(280, 250)), (F, 100, None)];
    history.event(EventKind::TransformLots, &[(S2, 400)], births, 0, 20);
}

fn now(history: &History, lot: LotId, measure: Measure) -> Vec<(LotId, u64)> {
    shares(&history.origins(lot, measure).shares)
}

#[test]
fn the_worked_example_gives_the_grams_of_the_document() {
    let mut history = example();
    assert_eq!(now(&history, S2, CU), [(A, 100), (B, 200)]);
    second_melt(&mut history);
    let at_birth = |lot| shares(&history.origins(lot, CU).at_birth.shares);
    assert_eq!(now(&history, A, CU), [(A, 401)]);
    assert_eq!(at_birth(M), [(A, 200), (B, 400)]);
    assert_eq!(at_birth(S1), [(A, 96), (B, 192)]);
    assert_eq!(at_birth(S2), [(A, 96), (B, 192)]);
    assert_eq!(now(&history, C, CU), [(A, 96), (B, 193)]);
    assert_eq!(now(&history, D, CU), []);
    assert_eq!(now(&history, S2, CU), []);
    assert_eq!(now(&history, E, CU), [(A, 83), (B, 167)]);
    assert_eq!(now(&history, F, CU), [(A, 14), (B, 28)]);
    assert_eq!(now(&history, C, Measure::Mass), [(LotId::UPTAKE, 14), (A, 110), (B, 166)]);
    assert_eq!(now(&history, D, Measure::Mass), [(LotId::UPTAKE, 6), (A, 46), (B, 68)]);
    assert_eq!(history.origins(D, CU).lineage, [A, B]);
    assert_eq!(history.origins(D, CU).total, Some(Grams::ZERO));
}

#[test]
fn the_traces_of_the_worked_example() {
    let mut history = example();
    second_melt(&mut history);
    let nodes = |trace: &Trace| -> Vec<_> {
        trace.nodes.iter().map(|node| (node.lot, node.depth, node.mass.unwrap().get())).collect()
    };
    let back = trace(&history, C, Direction::Back, TraceLimits::default()).unwrap();
    assert_eq!(nodes(&back), [(C, 0, 290), (S1, 1, 276), (M, 2, 276), (A, 3, 110), (B, 3, 166)]);
    assert_eq!(back.uptake, Some(Grams::of(14)));
    let steps: Vec<_> = back.steps.iter().map(|it| (it.from, it.to, it.mass.get())).collect();
    assert_eq!(steps, [(A, M, 333), (B, M, 500), (M, S1, 400), (S1, C, 276)]);

    let forward = trace(&history, B, Direction::Forward, TraceLimits::default()).unwrap();
    let expected = [
        (B, 0, 500),
        (M, 1, 500),
        (S1, 2, 240),
        (S2, 2, 240),
        (C, 3, 166),
        (D, 3, 68),
        (E, 3, 168),
        (F, 3, 60),
    ];
    assert_eq!(nodes(&forward), expected);
    let there: Vec<_> = forward.nodes.iter().map(|node| node.remaining.unwrap().get()).collect();
    assert_eq!(there, [0, 0, 0, 0, 166, 68, 168, 60]);
    assert_eq!(forward.lost, Some(Grams::of(38)));
}

#[test]
fn what_nobody_looked_for_is_unknown_until_an_assay() {
    let mut history = History::default();
    let raw = history.collect(1_000, None);
    let early = history.split(raw, &[600, 400]);
    let known = history.collect(100, copper(100, 50));
    let melt = history.new_name();
    let births = vec![(melt, 500, copper(500, 300))];
    history.event(EventKind::TransformLots, &[(early[0], 400), (known, 100)], births, 0, 0);

    let before = history.origins(early[0], CU);
    assert_eq!((before.total, before.is_attributed, before.is_complete), (None, false, true));
    assert_eq!(before.lineage, [raw]);
    let melted = history.origins(melt, CU);
    assert_eq!((melted.total, melted.is_attributed), (Some(Grams::of(300)), false));
    assert_eq!(melted.shares, []);
    assert!(history.origins(melt, Measure::Mass).is_attributed);

    // An assay of a child tells how much, not whose; an assay of what came in tells both.
    history.assay(early[1], &[(Substance::Cu, 80)]);
    assert_eq!(history.origins(early[1], CU).total, Some(Grams::of(80)));
    assert!(!history.origins(early[1], CU).is_attributed);
    let late = history.collect(1_000, None);
    history.assay(late, &[(Substance::Cu, 700)]);
    let half = history.merge(&[(late, 500)], None);
    assert_eq!(now(&history, half, CU), [(late, 350)]);
}

#[test]
fn a_share_of_nothing_stays_in_the_lineage() {
    let mut history = History::default();
    let speck = history.collect(1, copper(1, 1));
    let heap = history.collect(1_000_000, copper(1_000_000, 500_000));
    let mix = history.merge(&[(speck, 1), (heap, 1_000_000)], None);
    let parts = history.split(mix, &[10, 999_991]);
    let found = history.origins(parts[0], CU);
    assert_eq!(shares(&found.shares), [(heap, 5)]);
    assert_eq!(found.lineage.len(), 2);
}

#[test]
fn losses_on_the_way_take_the_same_mix() {
    let mut history = History::default();
    let one = history.collect(100, copper(100, 40));
    let other = history.collect(300, copper(300, 120));
    let lot = history.merge(&[(one, 100), (other, 300)], None);
    history.event(EventKind::AcceptTransfer, &[(lot, 40)], vec![], 0, 40);
    let mut expected = vec![(one, 36), (other, 108)];
    expected.sort_unstable();
    assert_eq!(now(&history, lot, CU), expected);
    let part = history.accept(lot, 180, 20);
    assert_eq!(history.origins(part, CU).total, Some(Grams::of(64)));
}

#[test]
fn a_walk_that_stops_says_so() {
    let mut history = History::default();
    let lots: Vec<_> = (1..=10).map(|mass| (history.collect(mass, None), mass)).collect();
    let mix = history.merge(&lots, None);
    for limits in [TraceLimits { lots: 10, steps: 100 }, TraceLimits { lots: 100, steps: 9 }] {
        let cut = origins(&history, mix, Measure::Mass, limits).unwrap();
        assert_eq!((cut.is_complete, cut.total), (false, None));
        assert!(cut.shares.is_empty());
        let cut = trace(&history, mix, Direction::Back, limits).unwrap();
        assert!(!cut.is_complete && cut.lots.len() == 10 && cut.steps.len() == 9);
        assert!(cut.nodes.iter().all(|node| node.mass.is_none()));
    }
    let exact = TraceLimits { lots: 11, steps: 10 };
    assert!(origins(&history, mix, Measure::Mass, exact).unwrap().is_complete);

    let parts = history.split(mix, &[10, 20, 25]);
    let cut = trace(&history, lots[0].0, Direction::Forward, TraceLimits { lots: 3, steps: 9 });
    let cut = cut.unwrap();
    assert_eq!(cut.lots, [lots[0].0, mix, parts[0]]);
    assert!(!cut.is_complete);
    let cut = trace(&history, lots[0].0, Direction::Forward, TraceLimits { lots: 9, steps: 1 });
    assert!(!cut.unwrap().is_complete);
}

#[test]
fn a_stranger_and_a_retracted_lot_have_no_history() {
    let mut history = History::default();
    let lot = history.collect(10, None);
    history.retracted.insert(0);
    for lot in [lot, M] {
        for direction in [Direction::Back, Direction::Forward] {
            let refused = trace(&history, lot, direction, TraceLimits::default());
            assert_eq!(refused, Err(TraceFault::NoSuchLot(lot)));
        }
        let refused = origins(&history, lot, CU, TraceLimits::default());
        assert_eq!(refused, Err(TraceFault::NoSuchLot(lot)));
    }
}

#[test]
fn a_history_that_no_ledger_allows_is_a_fault() {
    let mut history = History::default();
    let lot = history.collect(10, None);
    let other = history.merge(&[(lot, 10)], None);
    let mut overdrawn = history.clone();
    overdrawn.movements[1].draws[0].mass = Grams::of(11);
    let fault = origins(&overdrawn, other, Measure::Mass, TraceLimits::default());
    let index = overdrawn.movements[1].index;
    assert_eq!(fault, Err(TraceFault::Overdrawn { lot, index }));
    history.retracted.insert(0);
    let fault = origins(&history, other, Measure::Mass, TraceLimits::default());
    assert_eq!(fault, Err(TraceFault::NeverBorn(lot)));
}

/// 300 lots become one, which is split and merged 5,000 times: a wide vector goes a long way.
#[test]
fn depth_and_fan_in_need_no_stack_and_little_time() {
    let begun = std::time::Instant::now();
    let mut history = History::default();
    let lots: Vec<_> =
        (1..=300).map(|n| (history.collect(n * 1_000, copper(n * 1_000, n)), n * 1_000)).collect();
    let mut lot = history.merge(&lots, None);
    let mut mass: u64 = lots.iter().map(|(_, mass)| mass).sum();
    for _ in 0..5_000 {
        mass -= 1;
        lot = history.split(lot, &[mass])[0];
    }
    for measure in [Measure::Mass, CU] {
        let found = history.origins(lot, measure);
        assert!(found.is_complete && found.is_attributed);
        assert_eq!(found.lineage.len(), 300);
        let sum: u64 = found.shares.iter().map(|(_, grams)| grams.get()).sum();
        assert_eq!(Some(Grams::of(sum)), found.total);
    }
    let back = trace(&history, lot, Direction::Back, TraceLimits::default()).unwrap();
    assert_eq!((back.is_complete, back.lots.len(), back.steps.len()), (true, 5_301, 5_300));
    let forward = trace(&history, lots[299].0, Direction::Forward, TraceLimits::default()).unwrap();
    assert_eq!((forward.is_complete, forward.lots.len()), (true, 5_002));
    let elapsed = begun.elapsed();
    assert!(elapsed.as_secs() < 20, "{elapsed:?}");
    println!("{elapsed:?}");
}
