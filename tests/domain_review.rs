//! What somebody would try who wants grams, time or another party's lot: one test for each attempt.

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

use std::sync::Arc;

use kit::*;
use urbanmine::domain::credit::Month;
use urbanmine::domain::event::{
    AssayLot, CloseTransfer, HoldLot, MergeLots, NewLot, ReleaseLot, SplitLot, VisibilityGrant,
    Waiver,
};
use urbanmine::domain::lot::TransferStatus;
use urbanmine::domain::party::DatedRole;
use urbanmine::domain::units::Validity;
use urbanmine::domain::vocabulary::{
    CustodyModel, HoldReason, InvoiceClass, LicenceKind, OriginKind, PartyRole, Substance,
    TransferReason, TransferScope,
};
use urbanmine::domain::{Body, EventId, Grams, LotId, PartyId, Rejection, TimeMs};
use urbanmine::limits::{MAX_GRANTS, MAX_HOLDS};
use urbanmine::provenance::{Direction, Measure, TraceLimits, origins, trace};

fn holding(of: LotId) -> Body {
    Body::HoldLot(HoldLot { lot: of, reason: HoldReason::Quality, authority: String::new() })
}

fn releasing(of: LotId, hold: EventId) -> Body {
    Body::ReleaseLot(ReleaseLot { lot: of, hold, note: String::new() })
}

fn rejecting(offer: EventId) -> Body {
    let reason = TransferReason::Quality;
    Body::RejectTransfer(CloseTransfer { offer, reason, note: String::new() })
}

fn melting(from: LotId, grams: u64, into: LotId) -> Body {
    let melt = transforming("MELT", &[draw(from, grams)], &[made(into, "CU", grams)]);
    Body::TransformLots(Box::new(melt))
}

fn reason(refused: Result<urbanmine::domain::Effects, Rejection>) -> &'static str {
    refused.map_or_else(|refused| refused.reason(), |_| "accepted")
}

#[test]
fn a_corrective_that_cannot_come_is_not_announced() {
    let mut world = World::new();
    let known = world.copper(COLLECTOR, 100);
    let target = world.lot_state(known).born_by;
    let body = collect(new_lot(lot(world.fresh()), "CU", 10));
    let recorded = world.attempt(COLLECTOR, body);
    world.take(&recorded).unwrap();
    let body = collect(new_lot(lot(world.fresh()), "CU", 10));
    let coming = world.event(COLLECTOR, body);

    let body = error(target, &[&recorded.event]);
    let announced = world.attempt(COLLECTOR, body).followed_by(1);
    let expected = Err(Rejection::CorrectivesIncomplete { declared: 1, following: 0 });
    assert_eq!(world.judge(&announced).map(drop), expected, "recorded already");
    let twice = world.attempt(COLLECTOR, error(target, &[&coming, &coming])).followed_by(2);
    let expected = Err(Rejection::CorrectivesIncomplete { declared: 2, following: 1 });
    assert_eq!(world.judge(&twice).map(drop), expected, "announced twice");
    let mut own = world.attempt(COLLECTOR, error(target, &[&coming])).followed_by(1);
    own.event.id = coming.id;
    let expected = Err(Rejection::CorrectivesIncomplete { declared: 1, following: 0 });
    assert_eq!(world.judge(&own).map(drop), expected, "announces itself");
}

#[test]
fn a_material_out_of_force_is_told_before_the_lot_is_looked_at() {
    let mut world = World::new();
    let old = lot(world.fresh());
    world.must(COLLECTOR, collect(new_lot(old, "OLD", 100)));
    let sent = world.must(COLLECTOR, offer(old, 50, SMELTER));
    world.now = OLD_UNTIL_MS;
    let to_self = world.attempt(COLLECTOR, offer(old, 10, COLLECTOR));
    assert_eq!(reason(world.judge(&to_self)), "MATERIAL_UNKNOWN");
    let taken = world.attempt(TRADER, accept(sent, 50, None));
    assert_eq!(reason(world.judge(&taken)), "MATERIAL_UNKNOWN");
    let mut output = made(lot(1), "CU", 20);
    output.form = "NIL".to_owned();
    let parents = vec![draw(old, 10), draw(lot(2), 10)];
    let merge = Body::MergeLots(Box::new(MergeLots { parents, output }));
    let merged = world.attempt(COLLECTOR, merge);
    assert_eq!(reason(world.judge(&merged)), "MATERIAL_UNKNOWN");
}

#[test]
fn the_newest_draw_is_undone_though_all_else_is_promised() {
    let mut world = World::new();
    let known = world.copper(COLLECTOR, 100);
    world.must(COLLECTOR, offer(known, 60, SMELTER));
    let target = world.must(COLLECTOR, melting(known, 40, lot(1)));
    world.must(COLLECTOR, error(target, &[]));
    let state = world.lot_state(known);
    assert_eq!((state.remaining, state.reserved), (Grams::of(100), Grams::of(60)));
}

/// A whole lot that is on its way leaves as it was offered: grams that came back to it would be
/// lost.
#[test]
fn a_draw_is_not_undone_into_a_whole_lot_on_its_way() {
    let mut world = World::new();
    let known = world.copper(COLLECTOR, 100);
    let first = world.must(COLLECTOR, melting(known, 40, lot(1)));
    let sent = world.must(COLLECTOR, offer(known, 60, SMELTER));
    let undo = world.attempt(COLLECTOR, error(first, &[]));
    let blocking = vec![sent];
    let expected = Rejection::CorrectionBlocked { target: first, lot: known, blocking, more: 0 };
    assert_eq!(world.judge(&undo).map(drop), Err(expected));

    // The same, where the offer is older than the draw and was opened again after it.
    let refused = world.must(SMELTER, rejecting(sent));
    world.must(COLLECTOR, error(first, &[]));
    let second = world.must(COLLECTOR, melting(known, 40, lot(2)));
    world.must(SMELTER, error(refused, &[]));
    assert_eq!(world.state.transfers[&sent].status, TransferStatus::Open);
    let undo = world.attempt(COLLECTOR, error(second, &[]));
    let blocking = vec![sent];
    let expected = Rejection::CorrectionBlocked { target: second, lot: known, blocking, more: 0 };
    assert_eq!(world.judge(&undo).map(drop), Err(expected));
}

#[test]
fn whoever_sold_a_lot_does_not_stop_it_by_taking_a_release_back() {
    let mut world = World::new();
    let known = world.copper(COLLECTOR, 100);
    let hold = world.must(COLLECTOR, holding(known));
    let release = world.must(COLLECTOR, releasing(known, hold));
    let sent = world.must(COLLECTOR, offer(known, 100, SMELTER));
    let came = world.must(SMELTER, accept(sent, 100, None));
    let undo = world.attempt(COLLECTOR, error(release, &[]));
    let blocking = vec![came];
    let expected = Rejection::CorrectionBlocked { target: release, lot: known, blocking, more: 0 };
    assert_eq!(world.judge(&undo).map(drop), Err(expected));
}

#[test]
fn a_role_that_ended_ends_no_hold_that_came_after_it() {
    let mut world = World::new();
    let until = Validity { from: TimeMs::of(0), to: Some(TimeMs::of(START_MS + 500)) };
    let former = Arc::make_mut(world.state.parties.get_mut(&AUDITOR).unwrap());
    former.party.roles.push(DatedRole { role: PartyRole::Coordinator, validity: until });
    let known = world.copper(COLLECTOR, 100);
    let hold = world.must(COORD, holding(known));
    let placed_ms = world.now;
    let mut late = world.attempt(AUDITOR, releasing(known, hold));
    assert_eq!(reason(world.judge(&late)), "HOLD_NOT_YOURS");
    late.event.occurred_at = TimeMs::of(START_MS);
    let (last, occurred_at) = (TimeMs::of(placed_ms), TimeMs::of(START_MS));
    let expected = Rejection::EventBeforeLot { lot: known, last, occurred_at };
    assert_eq!(world.judge(&late).map(drop), Err(expected));
}

/// R3: what a lot went through is not passed by with an earlier date.
#[test]
fn nothing_is_dated_into_the_time_of_a_hold_or_an_open_offer() {
    let mut world = World::new();
    let known = world.copper(COLLECTOR, 100);
    let born_ms = world.now;
    let mut early = world.attempt(COORD, holding(known));
    early.event.occurred_at = TimeMs::of(born_ms - 1);
    assert_eq!(reason(world.judge(&early)), "EVENT_BEFORE_LOT");

    let hold = world.must(COORD, holding(known));
    let during_hold = world.now + 1;
    world.must(COORD, releasing(known, hold));
    let mut used = world.attempt(COLLECTOR, melting(known, 40, lot(1)));
    used.event.occurred_at = TimeMs::of(during_hold);
    assert_eq!(reason(world.judge(&used)), "EVENT_BEFORE_LOT");

    let sent = world.must(COLLECTOR, offer(known, 100, SMELTER));
    let during_offer = world.now + 1;
    world.must(SMELTER, rejecting(sent));
    used.event.occurred_at = TimeMs::of(during_offer);
    assert_eq!(reason(world.judge(&used)), "EVENT_BEFORE_LOT");
}

/// Else a key that has expired could be used to undo what happened after it expired.
#[test]
fn an_error_is_not_declared_before_what_it_undoes() {
    let mut world = World::new();
    let known = world.copper(COLLECTOR, 100);
    let born = TimeMs::of(world.now);
    let target = world.lot_state(known).born_by;
    let until = Validity { from: TimeMs::of(0), to: Some(born) };
    let expired = world.add_key(COLLECTOR, 77, until);
    let mut early = world.attempt(COLLECTOR, error(target, &[])).signed_by(&[expired]);
    let occurred_at = TimeMs::of(born.get() - 1);
    early.event.occurred_at = occurred_at;
    let expected = Rejection::EventBeforeLot { lot: known, last: born, occurred_at };
    assert_eq!(world.judge(&early).map(drop), Err(expected));
}

#[test]
fn a_release_is_not_taken_back_from_under_what_was_done_since() {
    let mut world = World::new();
    let known = world.copper(COLLECTOR, 100);
    let hold = world.must(COORD, holding(known));
    let release = world.must(COORD, releasing(known, hold));
    let used = world.must(COLLECTOR, melting(known, 40, lot(1)));
    let undo = world.attempt(COORD, error(release, &[]));
    let blocking = vec![used];
    let expected = Rejection::CorrectionBlocked { target: release, lot: known, blocking, more: 0 };
    assert_eq!(world.judge(&undo).map(drop), Err(expected));
    world.must(COLLECTOR, error(used, &[]));
    world.must(COORD, error(release, &[]));
    assert_eq!(world.lot_state(known).holds.len(), 1);
}

/// R1, imported included: what was made of an ore product stays ore, whatever it is called
/// afterwards.
#[test]
fn ore_does_not_lose_its_origin_in_a_merge_or_a_melt() {
    let mut world = World::new();
    let mut imported = Vec::new();
    for _ in 0..2 {
        let id = lot(world.fresh());
        let mut new = new_lot(id, "ORE", 100);
        new.origin_kind = Some(OriginKind::ImportedRawMaterial);
        world.must(SEPARATOR, collect(new));
        imported.push(draw(id, 50));
    }
    let merged = MergeLots { parents: imported.clone(), output: made(lot(1), "RE", 100) };
    world.must(SEPARATOR, Body::MergeLots(Box::new(merged)));
    let sent = world.attempt(SEPARATOR, offer(lot(1), 10, RECOVERY));
    assert_eq!(reason(world.judge(&sent)), "ORE_FORBIDDEN");

    let leach = world.tables.as_mut().unwrap().processes.get_mut("MELT").unwrap();
    leach.roles.push(PartyRole::RareEarthSeparationPlant);
    let melt = transforming("MELT", &imported[..1], &[made(lot(2), "RE", 50)]);
    world.must(SEPARATOR, Body::TransformLots(Box::new(melt)));
    let sent = world.attempt(SEPARATOR, offer(lot(2), 10, RECOVERY));
    assert_eq!(reason(world.judge(&sent)), "ORE_FORBIDDEN");
}

/// R1: a recovery plant does not come to hold ore by making it either.
#[test]
fn a_recovery_plant_makes_no_ore() {
    let mut world = World::new();
    let scrap = lot(world.fresh());
    world.must(RECOVERY, collect(new_lot(scrap, "RE", 100)));
    let melt = transforming("MELT", &[draw(scrap, 100)], &[made(lot(1), "ORE", 100)]);
    let melt = world.attempt(RECOVERY, Body::TransformLots(Box::new(melt)));
    assert_eq!(reason(world.judge(&melt)), "ORE_FORBIDDEN");
}

#[test]
fn a_laboratory_without_its_accreditation_analyses_its_own_lots_only() {
    let mut world = World::new();
    let rows = world.tables.as_mut().unwrap().permissions.get_mut("ASSAY_LOT").unwrap();
    for row in rows.iter_mut().filter(|row| row.role == PartyRole::Laboratory) {
        row.licence = Some(LicenceKind::LaboratoryAccreditation);
    }
    let trader = Arc::make_mut(world.state.parties.get_mut(&TRADER).unwrap());
    let (role, validity) = (PartyRole::Laboratory, EVER);
    trader.party.roles.push(DatedRole { role, validity });
    let strange = world.copper(SMELTER, 100);
    let own = world.copper(TRADER, 100);
    let analysis = |of| AssayLot { lot: of, composition: assay(&[(Substance::Cu, 1)]) };
    let attempt = world.attempt(TRADER, Body::AssayLot(analysis(strange)));
    assert_eq!(reason(world.judge(&attempt)), "LOT_NOT_HELD");
    world.must(TRADER, Body::AssayLot(analysis(own)));
    let mut accreditation = waste_licence(9);
    accreditation.kind = LicenceKind::LaboratoryAccreditation;
    let trader = Arc::make_mut(world.state.parties.get_mut(&TRADER).unwrap());
    trader.licences.push(accreditation);
    assert_eq!(reason(world.judge(&attempt)), "accepted");
}

// --- who wants another class of document ---------------------------------------------------------

fn custody(of: LotId, grams: u64, to: PartyId, class: InvoiceClass) -> Body {
    let mut offer = offering(of, grams, to, TransferScope::Custody);
    offer.invoice_class = Some(class);
    Body::OfferTransfer(offer)
}

fn selling(of: LotId, grams: u64, to: PartyId, class: InvoiceClass) -> Body {
    let mut offer = offering(of, grams, to, TransferScope::CustodyAndOwnership);
    offer.invoice_class = Some(class);
    Body::OfferTransfer(offer)
}

/// R9: who only lends a lot out sells nothing, so the document says nothing of how it was bought.
#[test]
fn a_loan_does_not_change_how_a_lot_was_bought() {
    let mut world = World::new();
    let known = world.copper(COLLECTOR, 100);
    let sale = world.attempt(COLLECTOR, selling(known, 10, SMELTER, InvoiceClass::None));
    assert_eq!(reason(world.judge(&sale)), "INVOICE_CLASS_MISMATCH");
    let part = world.fresh();
    for (grams, received) in [(100, None), (40, Some(lot(part)))] {
        let lent = world.must(COLLECTOR, custody(known, grams, TRADER, InvoiceClass::None));
        world.must(TRADER, accept(lent, grams, received));
        let now = received.unwrap_or(known);
        assert_eq!(world.lot_state(now).invoice_class, Some(InvoiceClass::VatSpecial));
        let back = world.must(TRADER, custody(now, grams, COLLECTOR, InvoiceClass::None));
        world.must(COLLECTOR, accept(back, grams, None));
        let sale = world.attempt(COLLECTOR, selling(now, 10, SMELTER, InvoiceClass::None));
        assert_eq!(reason(world.judge(&sale)), "INVOICE_CLASS_MISMATCH");
    }
}

/// R9: what was bought on one class and is put together was bought on that class.
#[test]
fn a_merge_does_not_forget_how_its_parents_were_bought() {
    let mut world = World::new();
    let parents = vec![draw(world.copper(SMELTER, 60), 60), draw(world.copper(SMELTER, 40), 40)];
    let merge = MergeLots { parents, output: made(lot(1), "CU", 100) };
    world.must(SMELTER, Body::MergeLots(Box::new(merge)));
    let sale = world.attempt(SMELTER, selling(lot(1), 100, TRADER, InvoiceClass::None));
    assert_eq!(reason(world.judge(&sale)), "INVOICE_CLASS_MISMATCH");

    // A gram of another class does not wash it off.
    let mut other = collecting(new_lot(lot(2), "CU", 1));
    other.invoice_class = InvoiceClass::None;
    world.must(SMELTER, Body::CollectLot(Box::new(other)));
    let parents = vec![draw(lot(1), 99), draw(lot(2), 1)];
    let merge = MergeLots { parents, output: made(lot(3), "CU", 100) };
    world.must(SMELTER, Body::MergeLots(Box::new(merge)));
    let sale = world.attempt(SMELTER, selling(lot(3), 100, TRADER, InvoiceClass::None));
    assert_eq!(reason(world.judge(&sale)), "INVOICE_CLASS_MISMATCH");
}

/// What comes back by a return is as it was before the sale: also when nobody had bought it.
#[test]
fn a_return_brings_no_class_along() {
    let mut world = World::new();
    let known = world.copper(SMELTER, 100);
    world.must(SMELTER, melting(known, 100, lot(1)));
    assert_eq!(world.lot_state(lot(1)).invoice_class, None);
    let sold = world.must(SMELTER, selling(lot(1), 100, TRADER, InvoiceClass::VatSpecial));
    world.must(TRADER, accept(sold, 100, None));
    let back = world.must(TRADER, giving_back(sold, lot(1), 100));
    world.must(SMELTER, accept(back, 100, None));
    assert_eq!(world.lot_state(lot(1)).invoice_class, None);
}

// --- who wants credit, or grams, twice -----------------------------------------------------------

fn under_balance(of: LotId, grams: u64) -> NewLot {
    let mut new = made(of, "CU", grams);
    new.custody_model = CustodyModel::MassBalance;
    new.composition = Some(assay(&[(Substance::Cu, 50_000_000)]));
    new
}

fn earned(world: &World) -> u64 {
    world.state.credits.values().map(|credit| credit.earned.get()).sum()
}

/// The same copper is melted again and again: its claim is in the account since the first time.
#[test]
fn credit_is_earned_once_for_the_same_metal() {
    let mut world = World::new();
    let known = world.balanced(SMELTER, 100);
    let melt = transforming("MELT", &[draw(known, 100)], &[under_balance(lot(1), 100)]);
    world.must(SMELTER, Body::TransformLots(Box::new(melt)));
    assert_eq!(earned(&world), 50);
    let melt = transforming("MELT", &[draw(lot(1), 50)], &[under_balance(lot(2), 50)]);
    world.must(SMELTER, Body::TransformLots(Box::new(melt)));
    assert_eq!(earned(&world), 50, "melted twice");

    // Nor after it was divided, put together with other metal, or sold.
    let children = vec![draw(lot(3), 25), draw(lot(4), 25)];
    let split = SplitLot { parent: lot(1), children, handling_loss: Grams::ZERO };
    world.must(SMELTER, Body::SplitLot(split));
    let merge = MergeLots {
        parents: vec![draw(lot(3), 25), draw(lot(2), 25)],
        output: under_balance(lot(5), 50),
    };
    world.must(SMELTER, Body::MergeLots(Box::new(merge)));
    let sold = world.must(SMELTER, offer(lot(4), 10, TRADER));
    world.must(TRADER, accept(sold, 10, Some(lot(6))));
    let melt = transforming("MELT", &[draw(lot(5), 50)], &[under_balance(lot(7), 50)]);
    world.must(SMELTER, Body::TransformLots(Box::new(melt)));
    let melt = transforming("MELT", &[draw(lot(6), 10)], &[under_balance(lot(8), 10)]);
    world.must(TRADER, Body::TransformLots(Box::new(melt)));
    assert_eq!(earned(&world), 50);
    let fresh = world.balanced(SMELTER, 100);
    world.must(SMELTER, melting(fresh, 100, lot(9)));
    assert_eq!(earned(&world), 100, "other metal earns");
}

/// The same through campaigns: what is drawn of one, and what one leaves to the next.
#[test]
fn credit_is_earned_once_through_campaigns() {
    let mut world = World::new();
    let (first, next) = (campaign(1), campaign(2));
    let known = world.balanced(SMELTER, 200);
    world.must(SMELTER, open(first, "REFINE"));
    world.must(SMELTER, charge(first, &[draw(known, 200)]));
    assert_eq!(earned(&world), 100);
    world.must(SMELTER, tap(first, &[under_balance(lot(1), 100)]));
    world.must(SMELTER, Body::CloseCampaign(ending(first, 100, 50_000_000, 0)));
    world.must(SMELTER, Body::OpenCampaign(opening(next, "REFINE", 100)));
    world.must(SMELTER, tap(next, &[under_balance(lot(2), 100)]));
    for (n, from) in [lot(1), lot(2)].into_iter().enumerate() {
        world.must(SMELTER, melting(from, 100, lot(3 + n as u64)));
    }
    assert_eq!(earned(&world), 100);
    let month = Month::of(TimeMs::of(world.now));
    let claim = world.attempt(SMELTER, claiming(SMELTER, 101, month, month.next()));
    assert_eq!(reason(world.judge(&claim)), "CREDIT_INSUFFICIENT");
}

/// A count may find one per cent of a lot: not of its parts again, and of theirs.
#[test]
fn grams_that_stocktakes_find_are_not_found_again_in_the_parts() {
    let mut world = World::new();
    let known = world.copper(SMELTER, 10_000);
    world.must(SMELTER, counting(known, 10_100));
    let children = vec![draw(lot(1), 5_000), draw(lot(2), 5_100)];
    let split = SplitLot { parent: known, children, handling_loss: Grams::ZERO };
    world.must(SMELTER, Body::SplitLot(split));
    let again = world.attempt(SMELTER, counting(lot(1), 5_001));
    assert_eq!(reason(world.judge(&again)), "STOCKTAKE_BEYOND_TOLERANCE", "a part");
    let parents = vec![draw(lot(1), 5_000), draw(lot(2), 5_000)];
    let merge = MergeLots { parents, output: made(lot(3), "CU", 10_000) };
    world.must(SMELTER, Body::MergeLots(Box::new(merge)));
    let again = world.attempt(SMELTER, counting(lot(3), 10_001));
    assert_eq!(reason(world.judge(&again)), "STOCKTAKE_BEYOND_TOLERANCE", "put together");
    let sold = world.must(SMELTER, offer(lot(3), 5_000, TRADER));
    world.must(TRADER, accept(sold, 5_000, Some(lot(4))));
    let again = world.attempt(TRADER, counting(lot(4), 5_001));
    assert_eq!(reason(world.judge(&again)), "STOCKTAKE_BEYOND_TOLERANCE", "sold");
}

// --- who wants another origin, or owner ----------------------------------------------------------

/// A waiver says that the grams differ. It does not say that what was left was no ore (R1), or that
/// it is whose plant it is in (R10).
#[test]
fn waived_stock_keeps_the_origins_and_the_owner_of_what_was_left() {
    let mut world = World::new();
    let (first, next) = (campaign(1), campaign(2));
    let mut scrap = new_lot(lot(1), "CU", 100);
    scrap.origin_kind = Some(OriginKind::Primary);
    scrap.composition = Some(assay(&[(Substance::Cu, 50_000_000)]));
    world.must(COLLECTOR, collect(scrap));
    let lent = world.must(COLLECTOR, custody(lot(1), 100, SMELTER, InvoiceClass::VatSpecial));
    world.must(SMELTER, accept(lent, 100, None));
    world.must(SMELTER, open(first, "REFINE"));
    world.must(SMELTER, charge(first, &[draw(lot(1), 100)]));
    world.must(SMELTER, Body::CloseCampaign(ending(first, 90, 50_000_000, 10)));
    world.must(
        COORD,
        Body::Waiver(Waiver {
            reason_code: "OPENING_STOCK_MISMATCH".to_owned(),
            subject: next.to_string(),
            valid_to: None,
        }),
    );
    let mut body = opening(next, "REFINE", 91);
    body.opening_composition = Some(assay(&[(Substance::Cu, 50_000_000)]));
    world.must(SMELTER, Body::OpenCampaign(body));
    let mut output = made(lot(2), "CU_FINE", 40);
    output.composition = Some(assay(&[(Substance::Cu, 90_000_000)]));
    world.must(SMELTER, tap(next, &[output]));
    let drawn = world.lot_state(lot(2));
    assert!(drawn.origin_kinds.contains(OriginKind::Primary), "{:?}", drawn.origin_kinds);
    assert!(drawn.origin_kinds.contains(OriginKind::Unknown), "{:?}", drawn.origin_kinds);
    assert_eq!(drawn.owner, COLLECTOR);
    // And whoever recalls the lot finds what was made of it, with the gram that nobody left.
    let graph = vectors::Movements(&world.state);
    let forward = trace(&graph, lot(1), Direction::Forward, TraceLimits::default()).unwrap();
    assert!(forward.nodes.iter().any(|node| node.lot == lot(2)), "{:?}", forward.nodes);
    let found = origins(&graph, lot(2), Measure::Mass, TraceLimits::default()).unwrap();
    let waived = LotId::waived_stock(next);
    assert_eq!(found.lineage, [lot(1), waived]);
    let copper = Measure::Substance(Substance::Cu);
    world.must(SMELTER, Body::CloseCampaign(ending(next, 0, 0, 51)));
    let graph = vectors::Movements(&world.state);
    let found = origins(&graph, lot(2), Measure::Mass, TraceLimits::default()).unwrap();
    assert_eq!(found.shares, [(lot(1), Grams::of(40))], "a gram of 91 rounds to nothing");
    let found = origins(&graph, lot(2), copper, TraceLimits::default()).unwrap();
    assert_eq!(found.total, Some(Grams::of(36)));
}

// --- what was said, and is not heard -------------------------------------------------------------

/// A lot that was used up is analysed, and then comes back: the rules and the trace say the same of
/// what is in it.
#[test]
fn an_analysis_of_a_lot_that_comes_back_is_the_same_to_all() {
    let mut world = World::new();
    let known = world.copper(COLLECTOR, 100);
    let left = world.must(COLLECTOR, leaving(known, 100));
    let composition = assay(&[(Substance::Cu, 90_000_000)]);
    world.must(COLLECTOR, Body::AssayLot(AssayLot { lot: known, composition }));
    world.must(COLLECTOR, error(left, &[]));
    let state = world.lot_state(known);
    let copper = state.contents.of(Substance::Cu).unwrap().contained;
    let contained = state.contents.at_mass(copper, state.remaining);
    assert_eq!(contained, Grams::of(90));
    let graph = vectors::Movements(&world.state);
    let measure = Measure::Substance(Substance::Cu);
    let found = origins(&graph, known, measure, TraceLimits::default()).unwrap();
    assert_eq!(found.total, Some(contained));
}

// --- who wants to stand in another's way ---------------------------------------------------------

fn showing(of: LotId, reader: PartyId, depth: u32) -> Body {
    Body::VisibilityGrant(VisibilityGrant { lot: of, reader, depth, valid_to: None })
}

/// What the coordinator shows is not hidden again by the owner, nor the other way round.
#[test]
fn an_owner_takes_back_no_grant_but_its_own() {
    let mut world = World::new();
    let known = world.copper(COLLECTOR, 100);
    world.must(COORD, showing(known, SMELTER, 5));
    world.must(COLLECTOR, showing(known, SMELTER, 1));
    let depth = |world: &World| {
        let now = TimeMs::of(world.now);
        world.lot_state(known).grant_to(SMELTER, now).unwrap().depth
    };
    assert_eq!(depth(&world), 5);
    world.must(COLLECTOR, showing(known, SMELTER, 9));
    assert_eq!(depth(&world), 9);
    assert_eq!(world.lot_state(known).grants.len(), 2);
}

/// Grants of an owner that sold the lot mean nothing, and take no room from the buyer's.
#[test]
fn a_seller_does_not_fill_the_buyers_room_for_grants() {
    let mut world = World::new();
    for n in 20..20 + u8::try_from(MAX_GRANTS).unwrap() {
        world.add_party(kit::party(n), PartyRole::Trader);
    }
    let known = world.copper(COLLECTOR, 100);
    for n in 20..20 + u8::try_from(MAX_GRANTS).unwrap() {
        world.must(COLLECTOR, showing(known, kit::party(n), 1));
    }
    let one_more = world.attempt(COLLECTOR, showing(known, LAB, 1));
    assert_eq!(reason(world.judge(&one_more)), "LOT_RECORDS_FULL");
    let sold = world.must(COLLECTOR, offer(known, 100, SMELTER));
    world.must(SMELTER, accept(sold, 100, None));
    world.must(SMELTER, showing(known, LAB, 1));
}

/// An owner that stops its lot as often as it may leaves room for who stops it against its will:
/// else it would let go of all of them and use the lot in one batch.
#[test]
fn an_owner_does_not_fill_the_room_for_holds() {
    let mut world = World::new();
    let known = world.copper(COLLECTOR, 100);
    let mut last = "accepted";
    for _ in 0..MAX_HOLDS {
        let attempt = world.attempt(COLLECTOR, holding(known));
        last = reason(world.take(&attempt));
    }
    assert_eq!(last, "TOO_MANY_HOLDS");
    world.must(AUDITOR, holding(known));
}

// --- successions ---------------------------------------------------------------------------------

/// Who acts for a party uses what an authority allowed that party, corrects what it did, and has
/// its lots as its own.
#[test]
fn a_successor_goes_on_where_the_party_stopped() {
    let mut world = World::new();
    let known = world.copper(COLLECTOR, 10_000);
    let melted = world.must(COLLECTOR, melting(known, 1_000, lot(1)));
    world.must(COORD, approving(known, COLLECTOR, COLLECTOR, 5_000));
    world.must(COORD, succeeding(COLLECTOR, TRADER));
    let mut count = world.attempt(TRADER, counting(known, 5_000));
    count.event.site = Some(site(COLLECTOR));
    world.take(&count).unwrap();
    world.must(TRADER, error(count.event.id, &[]));
    world.must(TRADER, error(melted, &[]));
    let mut own = new_lot(lot(2), "CU", 100);
    own.composition = Some(assay(&[(Substance::Cu, 50_000_000)]));
    let mut collected = world.attempt(TRADER, collect(own));
    collected.event.site = Some(site(COLLECTOR));
    world.take(&collected).unwrap();
    let parents = vec![draw(known, 10_000), draw(lot(2), 100)];
    let merge = MergeLots { parents, output: made(lot(3), "CU", 10_100) };
    let mut merged = world.attempt(TRADER, Body::MergeLots(Box::new(merge)));
    merged.event.site = Some(site(COLLECTOR));
    world.take(&merged).unwrap();
    assert_eq!(world.lot_state(lot(3)).owner, TRADER);
    let used = world.attempt(COLLECTOR, melting(known, 1, lot(4)));
    assert_eq!(reason(world.judge(&used)), "PARTY_SUCCEEDED");
}

/// A lot of which nothing is left is counted down to nothing: with an approval of nothing, once.
#[test]
fn a_lot_that_is_gone_is_written_off() {
    let mut world = World::new();
    let known = world.copper(COLLECTOR, 100);
    let count = world.attempt(COLLECTOR, counting(known, 0));
    assert_eq!(reason(world.judge(&count)), "STOCKTAKE_BEYOND_TOLERANCE");
    world.must(COORD, approving(known, COLLECTOR, COLLECTOR, 0));
    world.must(COLLECTOR, counting(known, 0));
    let again = world.attempt(COLLECTOR, counting(known, 1));
    assert_eq!(reason(world.judge(&again)), "INSUFFICIENT_MASS");
}
