//! Campaigns: what is in process between charges and draws, and the balance over a period.

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

use kit::*;
use urbanmine::domain::campaign::CampaignStatus;
use urbanmine::domain::event::{DrawCampaign, NewLot};
use urbanmine::domain::flag::{Flag, Variance};
use urbanmine::domain::vocabulary::{LossKind, OriginKind, OriginKinds, Substance, UptakeKind};
use urbanmine::domain::{Body, CampaignId, EventId, FractionE8, Grams, Rejection, TimeMs};
use urbanmine::limits::MAX_CAMPAIGN_EVENTS;

/// A lot of fine copper that is drawn, of so many parts copper.
fn fine(world: &mut World, grams: u64, parts: u32) -> NewLot {
    let mut new = made(lot(world.fresh()), "CU_FINE", grams);
    new.composition = Some(assay(&[(Substance::Cu, parts)]));
    new
}

/// A refining campaign at the smelter with a charge of so many grams, half of them copper.
fn running(world: &mut World, grams: u64) -> (CampaignId, EventId) {
    let id = campaign(world.fresh());
    world.must(SMELTER, open(id, "REFINE"));
    let copper = world.copper(SMELTER, grams);
    let charged = world.must(SMELTER, charge(id, &[draw(copper, grams)]));
    (id, charged)
}

fn close(id: CampaignId, stock: u64, parts: u32, loss: u64) -> Body {
    Body::CloseCampaign(ending(id, stock, parts, loss))
}

fn refused(world: &mut World, body: Body) -> &'static str {
    let attempt = world.attempt(SMELTER, body);
    world.judge(&attempt).unwrap_err().reason()
}

/// The flags of a campaign of which 1,000,000 g of copper went in and so many came out.
fn flags(out: u64) -> Vec<Flag> {
    let mut world = World::new();
    let (id, _) = running(&mut world, 2_000_000);
    let output = fine(&mut world, out, 100_000_000);
    world.must(SMELTER, tap(id, &[output]));
    let closed = world.must(SMELTER, close(id, 0, 0, 2_000_000 - out));
    world.state.events[&closed].flags.clone()
}

#[test]
fn a_balance_that_is_off_by_more_than_two_per_cent_is_flagged() {
    let variance = |out| {
        let (into, out) = (Grams::of(1_000_000), Grams::of(out));
        let limit_e8 = 2_000_000;
        Flag::PeriodVariance(Variance { substance: Substance::Cu, into, out, limit_e8 })
    };
    assert_eq!(flags(979_000), [variance(979_000)], "2.1 % are missing");
    assert_eq!(flags(979_999), [variance(979_999)], "a gram more than 2 % is missing");
    assert_eq!(flags(980_000), [], "2 % exactly");
    assert_eq!(flags(981_000), [], "1.9 % are missing");
    assert_eq!(flags(1_000_000), []);
}

#[test]
fn a_campaign_closes_to_the_gram_and_hands_its_stock_on() {
    let mut world = World::new();
    let (id, _) = running(&mut world, 1_000);
    let (first, second) = (fine(&mut world, 300, 90_000_000), fine(&mut world, 100, 99_000_000));
    world.must(SMELTER, tap(id, &[first.clone(), second]));
    // 500 of copper went in, 270 + 99 came out: 131 are in 300 g of stock at the most.
    let mut end = ending(id, 300, 43_000_000, 310);
    end.uptakes = vec![(UptakeKind::Oxygen, Grams::of(10))];
    assert_eq!(refused(&mut world, close(id, 300, 43_000_000, 310)), "MASS_NOT_CONSERVED");
    let mut too_rich = end.clone();
    too_rich.closing_composition = Some(assay(&[(Substance::Cu, 44_000_000)]));
    assert_eq!(refused(&mut world, Body::CloseCampaign(too_rich.clone())), "ELEMENT_GAINED");
    // Uncertainties add linearly: 1 g is within them.
    let values = &mut too_rich.closing_composition.as_mut().unwrap().values;
    values[0].uncertainty = FractionE8::new(400_000).unwrap();
    let attempt = world.attempt(SMELTER, Body::CloseCampaign(too_rich));
    assert!(world.judge(&attempt).is_ok());
    world.must(SMELTER, Body::CloseCampaign(end));

    let next = campaign(world.fresh());
    for wrong in [0, 299, 301] {
        let body = Body::OpenCampaign(opening(next, "REFINE", wrong));
        assert_eq!(refused(&mut world, body), "OPENING_STOCK_MISMATCH", "{wrong}");
    }
    let mut body = opening(next, "REFINE", 300);
    body.opening_composition = Some(assay(&[(Substance::Cu, 42_000_000)]));
    let attempt = world.attempt(SMELTER, Body::OpenCampaign(body.clone()));
    let told = Rejection::OpeningStockMismatch {
        campaign: next,
        substance: Some(Substance::Cu),
        stated: Grams::of(126),
        expected: Grams::of(129),
    };
    assert_eq!(world.judge(&attempt).unwrap_err(), told);
    body.opening_composition = None;
    world.must(SMELTER, Body::OpenCampaign(body));
    let begun = &world.state.campaigns[&next];
    assert_eq!(begun.opening.stock.of(Substance::Cu).unwrap().contained, Grams::of(129));
    assert_eq!(begun.owner, Some(SMELTER), "what is in process has its owner");
    assert_eq!(begun.origin_kinds(), OriginKinds::of(OriginKind::PostConsumer));
    // Of the stock alone a lot can be drawn; of more than it, not.
    let (some, more) = (fine(&mut world, 129, 100_000_000), fine(&mut world, 1, 100_000_000));
    world.must(SMELTER, tap(next, &[some]));
    assert_eq!(refused(&mut world, tap(next, &[more])), "ELEMENT_GAINED");
    assert_eq!(world.state.campaigns[&id].status(), CampaignStatus::Closed);
    assert_eq!(world.lot_state(first.id).owner, SMELTER);
}

#[test]
fn a_process_runs_as_one_campaign_at_a_site() {
    let mut world = World::new();
    let (id, _) = running(&mut world, 100);
    let other = campaign(world.fresh());
    assert_eq!(refused(&mut world, open(other, "REFINE")), "CAMPAIGN_RUNNING");
    world.must(SMELTER, open(other, "MELT"));
    let mut elsewhere = world.attempt(SMELTER, open(campaign(world.serial + 1), "REFINE"));
    elsewhere.event.site = Some(far_site(SMELTER));
    world.take(&elsewhere).unwrap();
    world.must(SMELTER, close(id, 0, 0, 100));
    assert_eq!(refused(&mut world, charge(id, &[draw(lot(1), 1)])), "CAMPAIGN_TAKES_NO_MORE");
}

#[test]
fn nothing_is_drawn_before_something_is_charged() {
    let mut world = World::new();
    let id = campaign(world.fresh());
    world.must(SMELTER, open(id, "REFINE"));
    let output = fine(&mut world, 10, 0);
    assert_eq!(refused(&mut world, tap(id, &[output])), "MASS_NOT_CONSERVED");
    // Residues need no analysis, outputs do.
    let copper = world.copper(SMELTER, 100);
    world.must(SMELTER, charge(id, &[draw(copper, 40)]));
    let plain = made(lot(world.fresh()), "CU", 5);
    assert_eq!(refused(&mut world, tap(id, std::slice::from_ref(&plain))), "ASSAY_MISSING");
    let (outputs, residues) = (Vec::new(), vec![plain]);
    world.must(SMELTER, Body::DrawCampaign(DrawCampaign { campaign: id, outputs, residues }));
    // 20 of copper are in it.
    let gained = fine(&mut world, 21, 100_000_000);
    assert_eq!(refused(&mut world, tap(id, &[gained])), "ELEMENT_GAINED");
    let output = fine(&mut world, 20, 100_000_000);
    world.must(SMELTER, tap(id, &[output]));
}

#[test]
fn what_is_said_to_come_out_was_analysed_when_it_went_in() {
    let mut world = World::new();
    let (id, _) = running(&mut world, 100);
    let mut output = fine(&mut world, 10, 50_000_000);
    output.composition = Some(assay(&[(Substance::Al, 1_000_000), (Substance::Cu, 50_000_000)]));
    output.net_mass = Grams::of(100);
    assert_eq!(refused(&mut world, tap(id, &[output])), "CAMPAIGN_NOT_ANALYSED");
    let blind = lot(world.fresh());
    world.must(SMELTER, collect(new_lot(blind, "CU", 10)));
    assert_eq!(refused(&mut world, charge(id, &[draw(blind, 10)])), "ASSAY_MISSING");
}

#[test]
fn a_campaign_is_of_one_owner() {
    let mut world = World::new();
    let (id, _) = running(&mut world, 100);
    let theirs = world.copper(COLLECTOR, 100);
    let scope = urbanmine::domain::vocabulary::TransferScope::Custody;
    let offered = world.must(COLLECTOR, Body::OfferTransfer(offering(theirs, 100, SMELTER, scope)));
    world.must(SMELTER, accept(offered, 100, None));
    assert_eq!(refused(&mut world, charge(id, &[draw(theirs, 10)])), "MERGE_OWNERS_DIFFER");
}

#[test]
fn ore_goes_in_before_anything_is_drawn() {
    let mut world = World::new();
    let id = campaign(world.fresh());
    let ore = |world: &mut World, kind| {
        let id = lot(world.fresh());
        let mut new = new_lot(id, "CU", 100);
        new.origin_kind = Some(kind);
        world.must(TRADER, collect(new));
        id
    };
    let (first, late) =
        (ore(&mut world, OriginKind::Primary), ore(&mut world, OriginKind::PostConsumer));
    world.must(TRADER, open(id, "MELT"));
    world.must(TRADER, charge(id, &[draw(late, 50)]));
    let drawn = made(lot(world.fresh()), "CU", 10);
    world.must(TRADER, tap(id, std::slice::from_ref(&drawn)));
    let attempt = world.attempt(TRADER, charge(id, &[draw(first, 10)]));
    let refused = world.judge(&attempt).unwrap_err();
    assert_eq!(refused.reason(), "CAMPAIGN_TAKES_NO_MORE", "{refused}");
    // In another order all that is drawn says so.
    world.must(TRADER, Body::CloseCampaign(ending(id, 0, 0, 40)));
    let id = campaign(world.fresh());
    world.must(TRADER, open(id, "MELT"));
    world.must(TRADER, charge(id, &[draw(first, 10), draw(late, 10)]));
    let drawn = made(lot(world.fresh()), "CU", 10);
    world.must(TRADER, tap(id, std::slice::from_ref(&drawn)));
    let kinds = world.lot_state(drawn.id).origin_kinds;
    assert!(kinds.contains(OriginKind::Primary) && kinds.contains(OriginKind::PostConsumer));
    world.must(TRADER, charge(id, &[draw(first, 10)]));
}

#[test]
fn the_recovery_plant_charges_no_ore() {
    let mut world = World::new();
    let ore = world.ore(100);
    let id = campaign(world.fresh());
    world.must(RECOVERY, open(id, "LEACH"));
    // However it came into its hands.
    let held = world.state.lots.get_mut(&ore).unwrap();
    (held.possessor, held.site) = (RECOVERY, site(RECOVERY));
    let attempt = world.attempt(RECOVERY, charge(id, &[draw(ore, 10)]));
    assert_eq!(world.judge(&attempt).unwrap_err().reason(), "ORE_FORBIDDEN");

    // What a separation plant charged is not drawn by who may not hold it.
    let plain = lot(world.fresh());
    let mut new = new_lot(plain, "RE", 100);
    new.composition = Some(assay(&[(Substance::Nd, 20_000_000)]));
    world.must(RECOVERY, collect(new));
    world.must(RECOVERY, charge(id, &[draw(plain, 100)]));
    let mut out = made(lot(world.fresh()), "RE", 10);
    out.composition = Some(assay(&[(Substance::Nd, 20_000_000)]));
    world.must(RECOVERY, tap(id, std::slice::from_ref(&out)));
    out.id = lot(world.fresh());
    world.state.campaigns.get_mut(&id).unwrap().opening.kinds = OriginKinds::of(OriginKind::Ore);
    let attempt = world.attempt(RECOVERY, tap(id, &[out]));
    assert_eq!(world.judge(&attempt).unwrap_err().reason(), "ORE_FORBIDDEN");
}

#[test]
fn a_campaign_ends_by_its_limit() {
    let mut world = World::new();
    let (id, _) = running(&mut world, 100_000);
    let copper = world.copper(SMELTER, 100_000);
    while world.state.campaigns[&id].life.len() + 2 < MAX_CAMPAIGN_EVENTS {
        world.must(SMELTER, charge(id, &[draw(copper, 1)]));
    }
    assert_eq!(refused(&mut world, charge(id, &[draw(copper, 1)])), "CAMPAIGN_TAKES_NO_MORE");
    let charged = world.state.campaigns[&id].inputs.mass.get();
    world.must(SMELTER, close(id, charged, 50_000_000, 0));
    let next = campaign(world.fresh());
    world.must(SMELTER, Body::OpenCampaign(opening(next, "REFINE", charged)));
    assert_eq!(world.state.campaigns[&id].life.len(), MAX_CAMPAIGN_EVENTS);
}

// --- corrections ---------------------------------------------------------------------------------

fn undo(world: &mut World, target: EventId) -> Result<(), Rejection> {
    let attempt = world.attempt(SMELTER, error(target, &[]));
    world.take(&attempt).map(drop)
}

fn blocking(refused: Result<(), Rejection>) -> Vec<EventId> {
    match refused {
        Err(Rejection::CorrectionBlocked { blocking, .. }) => blocking,
        other => panic!("{other:?}"),
    }
}

#[test]
fn everything_is_undone_in_the_reverse_order_and_leaves_no_trace() {
    let mut world = World::new();
    let (before, _) = running(&mut world, 100);
    world.must(SMELTER, close(before, 100, 50_000_000, 0));
    let copper = world.copper(SMELTER, 1_000);
    let id = campaign(world.fresh());
    let mut states = vec![world.state.clone()];
    let opened = world.must(SMELTER, Body::OpenCampaign(opening(id, "REFINE", 100)));
    states.push(world.state.clone());
    let charged = world.must(SMELTER, charge(id, &[draw(copper, 500)]));
    states.push(world.state.clone());
    let output = fine(&mut world, 300, 100_000_000);
    let drawn = world.must(SMELTER, tap(id, std::slice::from_ref(&output)));
    states.push(world.state.clone());
    let closed = world.must(SMELTER, close(id, 0, 0, 300));
    let next = campaign(world.fresh());
    let followed = world.must(SMELTER, open(next, "REFINE"));

    assert_eq!(blocking(undo(&mut world, closed)), [followed]);
    assert_eq!(blocking(undo(&mut world, drawn)), [followed, closed]);
    assert_eq!(blocking(undo(&mut world, charged)), [followed, closed, drawn]);
    assert_eq!(blocking(undo(&mut world, opened)), [followed, closed, drawn, charged]);
    undo(&mut world, followed).unwrap();
    for target in [closed, drawn, charged, opened] {
        undo(&mut world, target).unwrap();
        let was = states.pop().unwrap();
        assert_eq!(world.state.lines, was.lines);
        let found = &world.state.campaigns[&id];
        if let Some(was) = was.campaigns.get(&id) {
            assert_eq!((&found.life, found.owner), (&was.life, was.owner));
            assert_eq!((&found.inputs, &found.outputs), (&was.inputs, &was.outputs));
            assert_eq!(found.closing, was.closing);
        } else {
            assert_eq!(found.status(), CampaignStatus::Retracted);
            assert_eq!(world.state.campaigns[&before], was.campaigns[&before]);
        }
        assert_eq!(world.state.movements, was.movements);
    }
    assert_eq!(world.lot_state(copper).remaining, Grams::of(1_000));
    assert!(world.lot_state(output.id).retracted_by.is_some());
    assert_eq!(refused(&mut world, open(id, "REFINE")), "CAMPAIGN_EXISTS");
    let again = campaign(world.fresh());
    world.must(SMELTER, Body::OpenCampaign(opening(again, "REFINE", 100)));
}

#[test]
fn a_charge_that_what_was_drawn_rests_on_is_not_undone() {
    let mut world = World::new();
    let (id, first) = running(&mut world, 100);
    let copper = world.copper(SMELTER, 100);
    let second = world.must(SMELTER, charge(id, &[draw(copper, 100)]));
    let (one, other) = (fine(&mut world, 50, 100_000_000), fine(&mut world, 1, 100_000_000));
    world.must(SMELTER, tap(id, &[one]));
    let extra = world.must(SMELTER, tap(id, std::slice::from_ref(&other)));
    assert_eq!(blocking(undo(&mut world, first)).first(), Some(&extra));
    // A drawn lot that was used blocks its own draw.
    let used = world.must(SMELTER, charge(id, &[draw(other.id, 1)]));
    assert_eq!(blocking(undo(&mut world, extra)), [used]);
    undo(&mut world, used).unwrap();
    undo(&mut world, extra).unwrap();
    undo(&mut world, second).unwrap();
    assert_eq!(world.state.campaigns[&id].inputs.mass, Grams::of(100));
}

#[test]
fn a_corrective_is_dated_back_to_what_it_corrects_and_not_before_the_opening() {
    let mut world = World::new();
    let (id, charged) = running(&mut world, 100);
    let at = world.state.events[&charged].occurred_at;
    let copper = world.copper(SMELTER, 100);
    world.must(SMELTER, charge(id, &[draw(copper, 1)]));
    let source = *world.state.lots.keys().next().unwrap();
    let mut again = world.event(SMELTER, charge(id, &[draw(source, 60)]));
    again.occurred_at = at;
    let declared = world.attempt(SMELTER, error(charged, &[&again])).followed_by(1);
    world.take(&declared).unwrap();
    let mut early = again.clone();
    early.occurred_at = TimeMs::of(world.state.campaigns[&id].opened_occurred_at.get() - 1);
    world.take(&Attempt::of(again)).unwrap();
    assert_eq!(world.state.campaigns[&id].inputs.mass, Grams::of(61));
    let loss = vec![(LossKind::Effluent, Grams::of(61))];
    let mut end = ending(id, 0, 0, 0);
    end.losses = loss;
    world.must(SMELTER, Body::CloseCampaign(end));
}
