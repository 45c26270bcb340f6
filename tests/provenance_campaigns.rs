//! Origins through campaigns: pending until the close, then the mix of all that went in.

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

use kit::*;
use urbanmine::domain::event::{CloseCampaign, NewLot, Waiver};
use urbanmine::domain::vocabulary::{EventKind, OriginKind, OriginKinds, Substance, UptakeKind};
use urbanmine::domain::{Body, CampaignId, EventId, Grams, LotId};
use urbanmine::provenance::{Direction, Measure, Origins, Trace, TraceLimits, origins, trace};
use vectors::Movements;

const CU: Measure = Measure::Substance(Substance::Cu);

fn begin(world: &mut World) -> CampaignId {
    let id = campaign(world.fresh());
    world.must(SMELTER, open(id, "REFINE"));
    id
}

/// A lot of so many grams, half of them copper, drawn from a campaign.
fn drawn(world: &mut World, from: CampaignId, grams: u64) -> LotId {
    let mut new: NewLot = made(lot(world.fresh()), "CU_FINE", grams);
    new.composition = Some(assay(&[(Substance::Cu, 50_000_000)]));
    let id = new.id;
    world.must(SMELTER, tap(from, &[new]));
    id
}

fn feed(world: &mut World, to: CampaignId, from: LotId, grams: u64) -> EventId {
    world.must(SMELTER, charge(to, &[draw(from, grams)]))
}

fn close(world: &mut World, id: CampaignId, stock: u64, loss: u64) -> EventId {
    world.must(SMELTER, Body::CloseCampaign(ending(id, stock, 50_000_000, loss)))
}

fn of(world: &World, lot: LotId, measure: Measure) -> Origins {
    origins(&Movements(&world.state), lot, measure, TraceLimits::default()).unwrap()
}

fn shares(found: &Origins) -> Vec<(LotId, u64)> {
    found.at_birth.shares.iter().map(|(origin, grams)| (*origin, grams.get())).collect()
}

fn pending(found: &Origins) -> Vec<(CampaignId, u64)> {
    found.at_birth.pending.iter().map(|(campaign, grams)| (*campaign, grams.get())).collect()
}

fn walk(world: &World, lot: LotId, direction: Direction) -> Trace {
    trace(&Movements(&world.state), lot, direction, TraceLimits::default()).unwrap()
}

/// Of every lot that stands: shares and pending grams add up, and where all is final a trace loses
/// no gram in either direction.
fn laws(world: &World) {
    vectors::check_vectors(&world.state, true);
    for lot in world.state.lots.values().filter(|lot| lot.retracted_by.is_none()) {
        let mass = lot.initial_mass.get();
        let found = of(world, lot.id, Measure::Mass);
        let known: u64 = shares(&found).iter().map(|(_, grams)| grams).sum();
        let open: u64 = pending(&found).iter().map(|(_, grams)| grams).sum();
        assert_eq!(known + open, mass, "{}", lot.id);

        let forward = walk(world, lot.id, Direction::Forward);
        let remaining = forward.nodes.iter().map(|node| node.remaining.unwrap().get());
        let accounted = remaining.sum::<u64>() + forward.lost.unwrap().get();
        // Shares of several lots from one mix round each for itself.
        let slack = forward.nodes.len() as u64;
        assert!(accounted.abs_diff(mass) <= slack, "{}: {accounted} of {mass}", lot.id);
        let asked = &forward.nodes[0];
        assert_eq!((asked.lot, asked.mass), (lot.id, Some(Grams::of(mass))));

        let back = walk(world, lot.id, Direction::Back);
        assert_eq!(back.pending_campaigns, found.pending_campaigns);
        if back.pending_campaigns.is_empty() {
            let of_origin =
                |node: &&urbanmine::provenance::TraceNode| found.lineage.contains(&node.lot);
            let through = back.nodes.iter().filter(of_origin).map(|node| node.mass.unwrap().get());
            let sum = through.sum::<u64>() + back.uptake.unwrap().get();
            assert_eq!(sum, mass, "what came through the origins of {}", lot.id);
        }
    }
}

#[test]
fn origins_are_pending_until_the_close_and_then_the_mix_of_all_charges() {
    let mut world = World::new();
    let (a, b) = (world.copper(SMELTER, 600), world.copper(SMELTER, 400));
    let id = begin(&mut world);
    feed(&mut world, id, a, 600);
    let first = drawn(&mut world, id, 500);
    // Used before the close, and charged for after the draw.
    let half = lot(world.fresh());
    let split = urbanmine::domain::event::SplitLot {
        parent: first,
        children: vec![draw(half, 500)],
        handling_loss: Grams::ZERO,
    };
    world.must(SMELTER, Body::SplitLot(split));
    feed(&mut world, id, b, 400);
    for asked in [first, half] {
        let found = of(&world, asked, CU);
        assert_eq!((shares(&found), pending(&found)), (vec![], vec![(id, 250)]));
        assert_eq!(found.pending_campaigns, [id]);
        assert!(found.at_birth.is_attributed && found.is_complete);
        assert_eq!(found.lineage, [a, b], "a recall looks at everything that went in");
    }
    laws(&world);
    let mut end = ending(id, 0, 0, 600);
    end.uptakes = vec![(UptakeKind::Oxygen, Grams::of(100))];
    let closed = world.must(SMELTER, Body::CloseCampaign(end));
    for asked in [first, half] {
        let found = of(&world, asked, CU);
        assert_eq!((shares(&found), pending(&found)), (vec![(a, 150), (b, 100)], vec![]));
        assert_eq!(found.pending_campaigns, []);
        // 600, 400 and 100 of 1100: 272.7, 181.8, 45.45 of 500.
        let by_mass = shares(&of(&world, asked, Measure::Mass));
        assert_eq!(by_mass, [(LotId::UPTAKE, 45), (a, 273), (b, 182)]);
    }
    laws(&world);

    // An undone close makes all of it pending again, and the same close final again.
    let attempt = world.attempt(SMELTER, error(closed, &[]));
    world.take(&attempt).unwrap();
    assert_eq!(pending(&of(&world, half, CU)), [(id, 250)]);
    world.must(SMELTER, Body::CloseCampaign(ending(id, 0, 0, 500)));
    assert_eq!(shares(&of(&world, half, CU)), [(a, 150), (b, 100)]);
}

#[test]
fn the_order_of_charges_does_not_matter() {
    let orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
    let mut seen: Option<[Vec<(LotId, u64)>; 2]> = None;
    for order in orders {
        let mut world = World::new();
        let lots = [101, 233, 777].map(|grams| (world.copper(SMELTER, grams), grams));
        let id = begin(&mut world);
        let mut asked = None;
        for (turn, place) in order.into_iter().enumerate() {
            let (from, grams) = lots[place];
            feed(&mut world, id, from, grams);
            if turn == 0 {
                asked = Some(lot(900));
                let mut new = made(lot(900), "CU_FINE", 97);
                new.composition = Some(assay(&[(Substance::Cu, 50_000_000)]));
                world.must(SMELTER, tap(id, &[new]));
            }
        }
        close(&mut world, id, 0, 101 + 233 + 777 - 97);
        let asked = asked.unwrap();
        let found = [Measure::Mass, CU].map(|measure| shares(&of(&world, asked, measure)));
        assert_eq!(&found, seen.get_or_insert_with(|| found.clone()), "{order:?}");
        laws(&world);
    }
}

#[test]
fn stock_carries_its_mix_into_the_next_campaign() {
    let mut world = World::new();
    let lots = [600, 400, 300].map(|grams| world.copper(SMELTER, grams));
    let first = begin(&mut world);
    feed(&mut world, first, lots[0], 600);
    feed(&mut world, first, lots[1], 400);
    let early = drawn(&mut world, first, 500);
    close(&mut world, first, 200, 300);
    let next = campaign(world.fresh());
    world.must(SMELTER, Body::OpenCampaign(opening(next, "REFINE", 200)));
    feed(&mut world, next, lots[2], 300);
    let late = drawn(&mut world, next, 250);
    laws(&world);
    close(&mut world, next, 0, 250);
    // Of copper 60, 40 and 150 went in, and 125 came out.
    let found = of(&world, late, CU);
    assert_eq!(shares(&found), [(lots[0], 30), (lots[1], 20), (lots[2], 75)]);
    assert_eq!(found.lineage, lots);
    assert_eq!(shares(&of(&world, early, CU)), [(lots[0], 150), (lots[1], 100)]);
    laws(&world);

    let forward = walk(&world, lots[0], Direction::Forward);
    let node = |lot| forward.nodes.iter().find(|node| node.lot == lot).unwrap();
    let grams = |lot| (node(lot).mass.unwrap().get(), node(lot).remaining.unwrap().get());
    assert_eq!(grams(LotId::pool(first)), (600, 0), "its stock was handed on");
    assert_eq!(grams(LotId::pool(next)), (120, 0));
    assert_eq!((grams(early), grams(late)), ((300, 300), (60, 60)));
    assert_eq!(forward.lost, Some(Grams::of(240)));
    let kinds: Vec<_> = forward.steps.iter().map(|step| (step.kind, step.mass.get())).collect();
    let expected = [
        (EventKind::ChargeCampaign, 600),
        (EventKind::DrawCampaign, 500),
        (EventKind::OpenCampaign, 200),
        (EventKind::DrawCampaign, 250),
    ];
    assert_eq!(kinds, expected);
    let back = walk(&world, late, Direction::Back);
    let depths: Vec<_> = back.nodes.iter().map(|node| (node.lot, node.depth)).collect();
    assert_eq!(depths[0], (late, 0));
    assert!(depths.contains(&(LotId::pool(next), 1)) && depths.contains(&(lots[2], 2)));
    assert!(depths.contains(&(LotId::pool(first), 2)) && depths.contains(&(lots[0], 3)));
}

#[test]
fn what_is_drawn_and_charged_again_says_nothing_of_its_origin() {
    let mut world = World::new();
    let (a, b) = (world.copper(SMELTER, 600), world.copper(SMELTER, 400));
    let id = begin(&mut world);
    feed(&mut world, id, a, 600);
    let scrap = drawn(&mut world, id, 300);
    feed(&mut world, id, scrap, 200);
    feed(&mut world, id, b, 400);
    let cathode = drawn(&mut world, id, 700);
    laws(&world);
    close(&mut world, id, 0, 200);
    for (asked, grams) in [(cathode, 350), (scrap, 150)] {
        let expected = [(a, grams * 3 / 5), (b, grams * 2 / 5)];
        assert_eq!(shares(&of(&world, asked, CU)), expected);
        assert_eq!(of(&world, asked, CU).lineage, [a, b]);
    }
    laws(&world);
    // Forward from what went round: it is in what was drawn, and the walk ends.
    let forward = walk(&world, scrap, Direction::Forward);
    assert!(forward.is_complete && forward.lots.contains(&cathode));
}

#[test]
fn campaigns_that_feed_each_other_are_one_pool() {
    let mut world = World::new();
    let (a, b) = (world.copper(SMELTER, 600), world.copper(SMELTER, 400));
    let refining = begin(&mut world);
    let melting = campaign(world.fresh());
    world.must(SMELTER, open(melting, "MELT"));
    feed(&mut world, refining, a, 600);
    feed(&mut world, melting, b, 400);
    let one = drawn(&mut world, refining, 100);
    let other = drawn(&mut world, melting, 100);
    feed(&mut world, refining, other, 100);
    feed(&mut world, melting, one, 100);
    let (cathode, anode) = (drawn(&mut world, refining, 500), drawn(&mut world, melting, 300));
    laws(&world);
    close(&mut world, refining, 0, 100);
    // One of the two is final as far as the other is.
    let found = of(&world, cathode, CU);
    assert_eq!(pending(&found), [(melting, 36)], "250 x 50 / 350 = 35.7");
    assert_eq!(shares(&found), [(a, 214)]);
    laws(&world);
    close(&mut world, melting, 0, 100);
    assert_eq!(shares(&of(&world, cathode, CU)), [(a, 150), (b, 100)]);
    assert_eq!(shares(&of(&world, anode, CU)), [(a, 90), (b, 60)]);
    assert_eq!(shares(&of(&world, one, CU)), [(a, 30), (b, 20)]);
    laws(&world);
}

#[test]
fn stock_that_a_waiver_lets_in_is_an_origin_of_its_own() {
    let mut world = World::new();
    let a = world.copper(SMELTER, 300);
    let id = campaign(world.fresh());
    let mut body = opening(id, "REFINE", 100);
    body.opening_composition = Some(assay(&[(Substance::Cu, 50_000_000)]));
    let attempt = world.attempt(SMELTER, Body::OpenCampaign(body.clone()));
    assert_eq!(world.judge(&attempt).unwrap_err().reason(), "OPENING_STOCK_MISMATCH");
    let waiver = world.must(
        COORD,
        Body::Waiver(Waiver {
            reason_code: "OPENING_STOCK_MISMATCH".to_owned(),
            subject: id.to_string(),
            valid_to: None,
        }),
    );
    // The waiver is of the mismatch alone: what is balanced is analysed all the same.
    let mut blind = body.clone();
    blind.opening_composition = None;
    let attempt = world.attempt(SMELTER, Body::OpenCampaign(blind));
    assert_eq!(world.judge(&attempt).unwrap_err().reason(), "CAMPAIGN_NOT_ANALYSED");
    world.must(SMELTER, Body::OpenCampaign(body));
    assert_eq!(world.state.campaigns[&id].opening.waived_by, Some(waiver));
    assert_eq!(world.state.campaigns[&id].owner, Some(SMELTER));
    let early = drawn(&mut world, id, 10);
    assert_eq!(world.lot_state(early).origin_kinds, OriginKinds::of(OriginKind::Unknown));
    feed(&mut world, id, a, 300);
    let late = drawn(&mut world, id, 190);
    close(&mut world, id, 0, 200);
    let stock = LotId::waived_stock(id);
    let mut expected = vec![(stock, 24), (a, 71)];
    expected.sort_unstable();
    let found = of(&world, late, CU);
    assert_eq!(shares(&found), expected, "95 x 50 / 200 = 23.75");
    assert!(found.lineage.contains(&stock) && found.lineage.contains(&a));
    assert_eq!(stock.waived_stock_of(), Some(id));
    laws(&world);
}

/// An analysis after the draw finds how much there is; of which origins is known without it.
#[test]
fn a_residue_that_is_analysed_later_is_of_the_pool() {
    let mut world = World::new();
    let (a, b) = (world.copper(SMELTER, 500), world.copper(SMELTER, 500));
    let id = begin(&mut world);
    feed(&mut world, id, a, 500);
    feed(&mut world, id, b, 100);
    let slag = lot(world.fresh());
    let residues = vec![made(slag, "CU", 100)];
    let body = urbanmine::domain::event::DrawCampaign { campaign: id, outputs: vec![], residues };
    world.must(SMELTER, Body::DrawCampaign(body));
    close(&mut world, id, 0, 500);
    assert_eq!(of(&world, slag, CU).total, None, "nobody looked");
    let composition = assay(&[(Substance::Cu, 12_000_000)]);
    let analysis = urbanmine::domain::event::AssayLot { lot: slag, composition };
    world.must(SMELTER, Body::AssayLot(analysis));
    let found = of(&world, slag, CU);
    let now: Vec<_> = found.shares.iter().map(|(origin, grams)| (*origin, grams.get())).collect();
    assert_eq!(now, [(a, 10), (b, 2)]);
    laws(&world);
}

/// Random campaigns over three processes that feed each other, themselves and their successors.
#[test]
fn random_campaigns_lose_no_gram() {
    for seed in 1..=25_u64 {
        let mut world = World::new();
        let mut dice = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut roll = |n: u64| {
            dice ^= dice >> 12;
            dice ^= dice << 25;
            dice ^= dice >> 27;
            (dice.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % n
        };
        let mut running: Vec<CampaignId> = Vec::new();
        for process in ["REFINE", "MELT"] {
            let id = campaign(world.fresh());
            world.must(SMELTER, open(id, process));
            running.push(id);
        }
        for _ in 0..30 {
            let at = usize::try_from(roll(2)).unwrap();
            let id = running[at];
            let state = world.state.campaigns[&id].clone();
            let inside = state.opening.stock.of_mass.get() + state.inputs.mass.get();
            let inside = inside - state.outputs.mass.get();
            let stock: Vec<LotId> = world
                .state
                .lots
                .values()
                .filter(|lot| lot.possessor == SMELTER && lot.remaining.get() > 0)
                .map(|lot| lot.id)
                .collect();
            match roll(10) {
                0..3 => {
                    let grams = 1 + roll(1_000);
                    world.copper(SMELTER, grams * 2);
                }
                3..6 if !stock.is_empty() => {
                    let from = stock[usize::try_from(roll(stock.len() as u64)).unwrap()];
                    let grams = 1 + roll(world.lot_state(from).remaining.get());
                    feed(&mut world, id, from, grams);
                }
                6..9 if inside > 0 => {
                    let grams = 1 + roll(inside);
                    let mut new = made(lot(world.fresh()), "CU_FINE", grams);
                    new.composition = Some(assay(&[(Substance::Cu, 40_000_000)]));
                    let attempt = world.attempt(SMELTER, tap(id, &[new]));
                    // Roundings may leave a gram less than half of it copper.
                    let _ = world.take(&attempt);
                }
                9 => {
                    let stock = roll(inside + 1);
                    let mut end: CloseCampaign = ending(id, stock, 10_000_000, inside - stock);
                    end.uptakes = Vec::new();
                    let attempt = world.attempt(SMELTER, Body::CloseCampaign(end));
                    if world.take(&attempt).is_ok() {
                        let next = campaign(world.fresh());
                        let body = opening(next, &state.process, stock);
                        world.must(SMELTER, Body::OpenCampaign(body));
                        running[at] = next;
                    }
                }
                _ => {}
            }
        }
        laws(&world);
    }
}
