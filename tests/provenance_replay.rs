//! Laws of origin vectors over histories that the rules let pass, with campaigns, later analyses
//! and declared errors: an answer after corrections is that of a ledger in which the errors
//! never happened, vectors sum to what is contained, the order of draws does not matter, and a lot
//! that is divided and put together is what it was.

#![allow(
    dead_code,
    clippy::missing_panics_doc,
    clippy::new_without_default,
    reason = "the kit serves several tests"
)]
#![allow(
    clippy::assigning_clones,
    clippy::expect_used,
    clippy::large_enum_variant,
    clippy::panic,
    clippy::similar_names,
    clippy::unwrap_used,
    reason = "a test says what is wrong by failing, and need not be fast"
)]

#[path = "common/domain_kit.rs"]
mod kit;
#[path = "common/vectors.rs"]
mod vectors;

use std::collections::BTreeSet;

use kit::*;
use urbanmine::domain::event::{AssayLot, MergeLots, SplitLot};
use urbanmine::domain::vocabulary::Substance;
use urbanmine::domain::{Body, CampaignId, EventId, Grams, LotId};
use urbanmine::provenance::{Measure, Origins, TraceLimits, origins, origins_with_ranges};
use vectors::Movements;

const MEASURES: [Measure; 2] = [Measure::Mass, Measure::Substance(Substance::Cu)];

fn of(world: &World, lot: LotId, measure: Measure) -> Origins {
    origins(&Movements(&world.state), lot, measure, TraceLimits::default()).unwrap()
}

/// A world of chance, and what was said in it.
struct Story {
    world: World,
    dice: u64,
    running: Vec<CampaignId>,
    said: Vec<Attempt>,
    /// Events that were declared errors, and the declarations.
    undone: BTreeSet<EventId>,
}

impl Story {
    fn of(seed: u64) -> Self {
        let dice = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let world = World::new();
        let (running, said) = (Vec::new(), Vec::new());
        let mut story = Self { world, dice, running, said, undone: BTreeSet::new() };
        for process in ["REFINE", "MELT"] {
            let id = campaign(story.world.fresh());
            assert!(story.say(open(id, process)));
            story.running.push(id);
        }
        for _ in 0..60 {
            story.turn();
        }
        story
    }

    fn roll(&mut self, n: u64) -> u64 {
        self.dice ^= self.dice >> 12;
        self.dice ^= self.dice << 25;
        self.dice ^= self.dice >> 27;
        (self.dice.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % n
    }

    fn say(&mut self, body: Body) -> bool {
        let attempt = self.world.attempt(SMELTER, body);
        let is_taken = self.world.take(&attempt).is_ok();
        if is_taken {
            self.said.push(attempt);
        }
        is_taken
    }

    /// A lot that has something left, and so many grams of it.
    fn pick(&mut self) -> Option<(LotId, u64)> {
        let lots = self.world.state.lots.values();
        let open = lots.filter(|lot| lot.possessor == SMELTER && lot.remaining.get() > 0);
        let open: Vec<_> = open.map(|lot| (lot.id, lot.remaining.get())).collect();
        if open.is_empty() {
            return None;
        }
        let (lot, left) = open[usize::try_from(self.roll(open.len() as u64)).unwrap()];
        let all = self.roll(3) == 0;
        Some((lot, if all { left } else { 1 + self.roll(left) }))
    }

    fn turn(&mut self) {
        let choice = self.roll(16);
        let picked = self.pick();
        match (choice, picked) {
            (0..4, _) | (_, None) => self.collect(),
            (4, Some((lot, _))) => {
                let parts = u32::try_from(self.roll(90_000_000)).unwrap();
                let composition = assay(&[(Substance::Cu, parts)]);
                self.say(Body::AssayLot(AssayLot { lot, composition }));
            }
            (5, Some((lot, grams))) => self.split(lot, grams),
            (6..8, Some(first)) => self.merge(first),
            (8..11, Some((lot, grams))) => {
                let to = self.running[usize::from(grams % 2 == 0)];
                self.say(charge(to, &[draw(lot, grams)]));
            }
            (11..13, _) => self.tap(),
            (13, _) => self.close(),
            _ => self.undo(),
        }
    }

    fn collect(&mut self) {
        let grams = 2 * (1 + self.roll(1_000));
        let mut new = new_lot(lot(self.world.fresh()), "CU", grams);
        new.composition = Some(assay(&[(Substance::Cu, 50_000_000)]));
        self.say(kit::collect(new));
    }

    fn split(&mut self, parent: LotId, grams: u64) {
        let whole = self.world.lot_state(parent).remaining.get();
        let children = [grams, whole - grams].into_iter().filter(|grams| *grams > 0);
        let children: Vec<_> = children.map(|grams| draw(lot(self.world.fresh()), grams)).collect();
        self.say(Body::SplitLot(SplitLot { parent, children, handling_loss: Grams::ZERO }));
    }

    fn merge(&mut self, first: (LotId, u64)) {
        let Some(second) = self.pick().filter(|it| it.0 != first.0) else { return };
        let output = made(lot(self.world.fresh()), "CU", first.1 + second.1);
        let parents = vec![draw(first.0, first.1), draw(second.0, second.1)];
        self.say(Body::MergeLots(Box::new(MergeLots { parents, output })));
    }

    fn inside(&self, id: CampaignId) -> u64 {
        let state = &self.world.state.campaigns[&id];
        let inside = state.opening.stock.of_mass.get() + state.inputs.mass.get();
        inside.saturating_sub(state.outputs.mass.get())
    }

    fn tap(&mut self) {
        let at = usize::try_from(self.roll(2)).unwrap();
        let inside = self.inside(self.running[at]);
        if inside > 0 {
            let mut new = made(lot(self.world.fresh()), "CU_FINE", 1 + self.roll(inside));
            new.composition = Some(assay(&[(Substance::Cu, 30_000_000)]));
            self.say(tap(self.running[at], &[new]));
        }
    }

    fn close(&mut self) {
        let at = usize::try_from(self.roll(2)).unwrap();
        let id = self.running[at];
        let inside = self.inside(id);
        let stock = self.roll(inside + 1);
        if self.say(Body::CloseCampaign(ending(id, stock, 10_000_000, inside - stock))) {
            let process = self.world.state.campaigns[&id].process.clone();
            let next = campaign(self.world.fresh());
            if self.say(Body::OpenCampaign(opening(next, &process, stock))) {
                self.running[at] = next;
            }
        }
    }

    /// Declares an event an error; the rules refuse it where others stand on it.
    fn undo(&mut self) {
        let at = usize::try_from(self.roll(self.said.len() as u64)).unwrap();
        let target = self.said[at].event.id;
        let is_opening = matches!(self.said[at].event.body, Body::OpenCampaign(_));
        if !is_opening && self.say(error(target, &[])) {
            self.undone.insert(target);
            self.undone.insert(self.said.last().unwrap().event.id);
        }
    }

    /// The same story told without its errors; `None` where the rules refuse an event of it.
    fn without_errors(&self) -> Option<World> {
        let mut world = World::new();
        for attempt in self.said.iter().filter(|it| !self.undone.contains(&it.event.id)) {
            world.now = attempt.event.occurred_at.get();
            world.take(attempt).ok()?;
        }
        Some(world)
    }

    /// Whether every analysis was made of the same mass in both. It fixes grams once, in the mass
    /// that was there: where a draw before it is declared an error, the grams are still those.
    fn assays_stand(&self, fresh: &World) -> bool {
        let mass = |world: &World, id| {
            let index = world.state.events[&id].index;
            world.state.movements[&index].assay.as_ref().map(|assay| assay.mass)
        };
        let standing = self.said.iter().map(|it| &it.event);
        let assays = standing.filter(|it| matches!(it.body, Body::AssayLot(_)));
        let mut assays = assays.filter(|it| !self.undone.contains(&it.id));
        assays.all(|it| mass(&self.world, it.id) == mass(fresh, it.id))
    }

    fn standing(&self) -> Vec<LotId> {
        let lots = self.world.state.lots.values();
        lots.filter(|lot| lot.retracted_by.is_none()).map(|lot| lot.id).collect()
    }
}

/// Shares and pending grams are all there is, and each share lies in its range.
fn vectors_sum(world: &World, lot: LotId) {
    for measure in MEASURES {
        let graph = Movements(&world.state);
        let found = origins_with_ranges(&graph, lot, measure, TraceLimits::default()).unwrap();
        let plain = of(world, lot, measure);
        for (held, plain) in [(found.now(), plain.now()), (found.at_birth, plain.at_birth)] {
            assert_eq!((&held.shares, &held.pending), (&plain.shares, &plain.pending));
            let shares = held.shares.iter().map(|(_, grams)| grams.get());
            let pending = held.pending.iter().map(|(_, grams)| grams.get());
            let sum: u64 = shares.chain(pending).sum();
            let total = if held.is_attributed { held.total.unwrap().get() } else { 0 };
            assert_eq!(sum, total, "{lot} {measure:?}");
            let Some(ranges) = held.ranges else { continue };
            let pools = held.pending.iter().map(|(id, grams)| (LotId::pool(*id), *grams));
            for (origin, grams) in held.shares.iter().copied().chain(pools) {
                let range = ranges.iter().find(|it| it.origin == origin).unwrap();
                assert!(range.least <= grams && grams <= range.most, "{lot} {range:?} {grams}");
            }
            let least: u64 = ranges.iter().map(|it| it.least.get()).sum();
            let most: u64 = ranges.iter().map(|it| it.most.get()).sum();
            assert!(least <= total && total <= most, "{lot} {measure:?} {least} {most}");
        }
    }
}

#[test]
fn after_corrections_every_answer_is_that_of_a_ledger_without_the_errors() {
    let (mut compared, mut undone, mut substances) = (0, 0, 0);
    for seed in 1..=60 {
        let story = Story::of(seed);
        for lot in story.standing() {
            vectors_sum(&story.world, lot);
        }
        vectors::check_vectors(&story.world.state, false);
        let Some(fresh) = story.without_errors() else { continue };
        undone += story.undone.len();
        let measures = if story.assays_stand(&fresh) { &MEASURES[..] } else { &MEASURES[..1] };
        for lot in story.standing() {
            for &measure in measures {
                assert_eq!(
                    of(&story.world, lot, measure),
                    of(&fresh, lot, measure),
                    "{seed} {lot}"
                );
            }
            compared += 1;
            substances += measures.len() - 1;
        }
    }
    assert!(compared > 500 && substances > 250 && undone > 100, "{compared} {substances} {undone}");
}

#[test]
fn the_order_of_draws_does_not_matter() {
    for seed in 1..=30 {
        let story = Story::of(seed);
        let mut turned = story.world.clone();
        for movement in turned.state.movements.values_mut() {
            movement.draws.reverse();
        }
        for lot in story.standing() {
            for measure in MEASURES {
                assert_eq!(of(&story.world, lot, measure), of(&turned, lot, measure), "{lot}");
            }
        }
    }
}

/// Also of a lot that was drawn from a campaign that is not closed, and after the close.
#[test]
fn split_then_merge_is_the_identity() {
    let mut pending = 0;
    for seed in 1..=30 {
        let mut story = Story::of(seed);
        let Some((parent, grams)) = story.pick() else { continue };
        let before = MEASURES.map(|measure| of(&story.world, parent, measure).now());
        let whole = story.world.lot_state(parent).remaining.get();
        story.split(parent, grams);
        let Body::SplitLot(split) = story.said.last().unwrap().event.body.clone() else { continue };
        let output = made(lot(story.world.fresh()), "CU", whole);
        let again = output.id;
        if split.children.len() < 2 {
            continue;
        }
        let parents = split.children.iter().rev().copied().collect();
        assert!(story.say(Body::MergeLots(Box::new(MergeLots { parents, output }))));
        for (before, measure) in before.iter().zip(MEASURES) {
            let after = of(&story.world, again, measure).now();
            assert_eq!((&after.shares, &after.pending), (&before.shares, &before.pending));
            pending += after.pending.len();
        }
    }
    assert!(pending > 0, "some were of campaigns that are not closed");
}

/// What could have gone into each lot that was drawn from a campaign, unmixed.
#[test]
fn ranges_go_through_campaigns() {
    let mut world = World::new();
    let (a, b) = (world.copper(SMELTER, 600), world.copper(SMELTER, 400));
    let id = campaign(world.fresh());
    world.must(SMELTER, open(id, "REFINE"));
    world.must(SMELTER, charge(id, &[draw(a, 600), draw(b, 400)]));
    let cathode = lot(world.fresh());
    let mut new = made(cathode, "CU_FINE", 700);
    new.composition = Some(assay(&[(Substance::Cu, 50_000_000)]));
    world.must(SMELTER, tap(id, &[new]));
    let ranges = |world: &World| -> Vec<(LotId, u64, u64)> {
        let limits = TraceLimits::default();
        let found = origins_with_ranges(&Movements(&world.state), cathode, MEASURES[1], limits);
        let ranges = found.unwrap().ranges.unwrap();
        ranges.iter().map(|it| (it.origin, it.least.get(), it.most.get())).collect()
    };
    assert_eq!(ranges(&world), [(LotId::pool(id), 350, 350)]);
    world.must(SMELTER, Body::CloseCampaign(ending(id, 0, 0, 300)));
    // 350 g of 300 and 200: at least what the other cannot fill.
    assert_eq!(ranges(&world), [(a, 150, 300), (b, 50, 200)]);
}
