//! The rest of a transfer's and of a lot's life: parts, returns, settlements, counts, endings, and
//! their corrections; always with provenance beside the state.

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
use urbanmine::domain::apply::required_signers;
use urbanmine::domain::event::{AssayLot, CloseTransfer, Document, HoldLot, OfferTransfer};
use urbanmine::domain::flag::Flag;
use urbanmine::domain::lot::{LotStatus, TransferStatus};
use urbanmine::domain::vocabulary::{
    DocumentKind, HoldReason, InvoiceClass, Substance, TransferReason, TransferScope,
};
use urbanmine::domain::{Body, Effects, EventId, Grams, LotId, PartyId, Rejection, TimeMs};

fn reason(refused: Result<Effects, Rejection>) -> &'static str {
    refused.map_or_else(|refused| refused.reason(), |_| "accepted")
}

/// Signed by both parties of a transfer, the first one acts.
fn both(world: &mut World, parties: [PartyId; 2], body: Body) -> Attempt {
    world.attempt(parties[0], body).signed_by(&parties.map(key))
}

/// Has to be accepted; its id.
fn settled(world: &mut World, offer: EventId, grams: u64) -> EventId {
    let attempt = both(world, [SMELTER, COLLECTOR], settling(offer, grams));
    world.take(&attempt).unwrap();
    attempt.event.id
}

fn undo(world: &mut World, actor: PartyId, target: EventId) {
    world.must(actor, error(target, &[]));
}

fn grams(world: &World, of: LotId) -> (u64, u64) {
    let lot = world.lot_state(of);
    (lot.remaining.get(), lot.reserved.get())
}

/// Grams of copper in what remains of a lot.
fn copper_in(world: &World, of: LotId) -> u64 {
    let lot = world.lot_state(of);
    let found = lot.contents.of(Substance::Cu).unwrap();
    lot.contents.at_mass(found.contained, lot.remaining).get()
}

/// State and provenance agree, by mass and by element.
fn agree(world: &World) {
    vectors::check_vectors(&world.state, true);
}

/// The ledger's own state waits for nothing, so two worlds can be compared by what stands.
fn standing(world: &World) -> (Vec<urbanmine::domain::lot::Lot>, usize) {
    let lots = world.state.lots.values().map(|lot| {
        let mut lot = urbanmine::domain::lot::Lot::clone(lot);
        // How often a lot was named, and when last, is not undone.
        lot.life = urbanmine::domain::lot::Life { count: 0, ..lot.life };
        lot.life.last = urbanmine::domain::EntryIndex(0);
        lot.last_occurred_at = TimeMs::default();
        lot
    });
    (lots.collect(), world.state.movements.len())
}

// --- parts ---------------------------------------------------------------------------------------

#[test]
fn a_whole_lot_that_is_partly_refused_parts() {
    let mut world = World::new();
    let known = world.copper(COLLECTOR, 1_000);
    let sent = world.must(COLLECTOR, offer(known, 1_000, SMELTER));
    let before = standing(&world);
    let part = lot(world.fresh());
    let answer = world.must(SMELTER, partly(sent, 600, 400, part));
    assert_eq!(grams(&world, known), (400, 0), "what was refused is free at once");
    assert_eq!(grams(&world, part), (600, 0));
    assert_eq!((copper_in(&world, known), copper_in(&world, part)), (200, 300));
    let taken = world.lot_state(part);
    assert_eq!((taken.owner, taken.possessor, taken.site), (SMELTER, SMELTER, site(SMELTER)));
    let transfer = &world.state.transfers[&sent];
    assert_eq!(transfer.status, TransferStatus::PartlyAccepted);
    assert_eq!((transfer.refused, transfer.sent()), (Grams::of(400), Grams::of(600)));
    agree(&world);
    let again = world.attempt(SMELTER, accept(sent, 1_000, None));
    assert_eq!(reason(world.judge(&again)), "TRANSFER_CLOSED");

    undo(&mut world, SMELTER, answer);
    let mut undone = standing(&world);
    undone.0.retain(|lot| lot.id != part);
    assert_eq!(undone, before, "the offer is open again, of all of it");
    assert_eq!(world.state.transfers[&sent].status, TransferStatus::Open);
    assert_eq!(world.state.transfers[&sent].arrived, None);
}

#[test]
fn the_part_that_is_taken_is_weighed_as_in_an_acceptance() {
    // (net of 600 that were sent, booked, is discrepant): a hundredth is tolerated.
    let rows = [(594, 594, false), (593, 593, true), (606, 600, false), (607, 600, true)];
    for (net, booked, is_discrepant) in rows {
        let mut world = World::new();
        let known = world.copper(COLLECTOR, 2_000);
        let sent = world.must(COLLECTOR, offer(known, 1_000, SMELTER));
        let part = lot(world.fresh());
        world.must(SMELTER, partly(sent, net, 400, part));
        assert_eq!(grams(&world, part), (booked, 0), "{net}");
        assert_eq!(grams(&world, known), (1_400, 0), "{net}");
        let status = world.state.transfers[&sent].status;
        assert_eq!(status == TransferStatus::Discrepant, is_discrepant, "{net}");
        assert_eq!(!world.lot_state(part).holds.is_empty(), is_discrepant, "{net}");
        agree(&world);
    }
}

#[test]
fn refused_grams_that_were_used_stand_in_the_way_of_a_correction() {
    let mut world = World::new();
    let known = world.copper(COLLECTOR, 1_000);
    let sent = world.must(COLLECTOR, offer(known, 1_000, SMELTER));
    let part = lot(world.fresh());
    let answer = world.must(SMELTER, partly(sent, 600, 400, part));
    let next = world.must(COLLECTOR, offer(known, 100, TRADER));
    let correction = world.attempt(SMELTER, error(answer, &[]));
    let refused = world.judge(&correction).unwrap_err();
    let blocking = vec![next];
    let expected = Rejection::CorrectionBlocked { target: answer, lot: known, blocking, more: 0 };
    assert_eq!(refused, expected);
    // What is refused comes back at the time of the refusal, not earlier.
    let mut early = world.attempt(COLLECTOR, offer(known, 10, TRADER));
    early.event.occurred_at = TimeMs::of(START_MS + 2_500);
    assert_eq!(reason(world.judge(&early)), "EVENT_BEFORE_LOT");
}

#[test]
fn a_part_of_the_property_alone_is_not_weighed() {
    let mut world = World::new();
    let known = world.copper(COLLECTOR, 1_000);
    let offered = offering(known, 1_000, SMELTER, TransferScope::Ownership);
    let sent = world.must(COLLECTOR, Body::OfferTransfer(offered));
    let part = lot(world.fresh());
    let weighed = world.attempt(SMELTER, partly(sent, 600, 400, part));
    assert_eq!(reason(world.judge(&weighed)), "RECEIVED_LOT_MISMATCH");
    let mut unweighed = weighed.clone();
    if let Body::PartlyAcceptTransfer(it) = &mut unweighed.event.body {
        it.received = None;
    }
    world.take(&unweighed).unwrap();
    let taken = world.lot_state(part);
    assert_eq!((taken.owner, taken.possessor), (SMELTER, COLLECTOR), "R10");
    agree(&world);
}

#[test]
fn what_is_refused_gives_its_approval_back() {
    let mut world = World::new();
    let known = lot(world.fresh());
    let mut body = collecting(new_lot(known, "PB_WASTE", 100));
    let manifest = urbanmine::domain::event::Manifest {
        number: "20163607000001".to_owned(),
        carrier: None,
        vehicle: String::new(),
    };
    body.manifest = Some(manifest.clone());
    world.must(COLLECTOR, Body::CollectLot(Box::new(body)));
    world.must(COORD, approving(known, COLLECTOR, SMELTER, 100));
    let mut far = offering(known, 100, SMELTER, TransferScope::CustodyAndOwnership);
    far.manifest = Some(manifest);
    far.consignee_site = Some(far_site(SMELTER));
    let sent = world.must(COLLECTOR, Body::OfferTransfer(far.clone()));
    let mut answer = world.attempt(SMELTER, partly(sent, 60, 40, lot(1)));
    answer.event.site = Some(far_site(SMELTER));
    world.take(&answer).unwrap();
    let used = |world: &World| world.lot_state(known).approvals[0].used.get();
    assert_eq!(used(&world), 60);
    far.mass = Grams::of(40);
    let again = world.must(COLLECTOR, Body::OfferTransfer(far));
    assert_eq!(used(&world), 100);
    undo(&mut world, COLLECTOR, again);
    assert_eq!(used(&world), 60);
    undo(&mut world, SMELTER, answer.event.id);
    assert_eq!(used(&world), 100);
}

// --- returns -------------------------------------------------------------------------------------

#[test]
fn what_is_given_back_is_offered_and_not_dumped() {
    let mut world = World::new();
    let known = world.copper(COLLECTOR, 1_000);
    let mut offered = offering(known, 1_000, SMELTER, TransferScope::CustodyAndOwnership);
    offered.invoice_class = Some(InvoiceClass::VatSpecial);
    let sent = world.must(COLLECTOR, Body::OfferTransfer(offered));
    let back = world.attempt(SMELTER, giving_back(sent, known, 300));
    assert_eq!(reason(world.judge(&back)), "LOT_NOT_HELD", "it has not come yet");
    world.must(SMELTER, accept(sent, 1_000, None));

    let stranger = world.attempt(TRADER, giving_back(sent, known, 300));
    assert_eq!(reason(world.judge(&stranger)), "NOT_THE_CONSIGNEE");
    let other = world.copper(SMELTER, 300);
    let other = world.attempt(SMELTER, giving_back(sent, other, 300));
    assert_eq!(reason(world.judge(&other)), "RECEIVED_LOT_MISMATCH");

    let back = world.must(SMELTER, giving_back(sent, known, 300));
    assert_eq!(grams(&world, known), (1_000, 300), "only promised");
    let transfer = world.state.transfers[&back].clone();
    assert_eq!((transfer.sender, transfer.consignee), (SMELTER, COLLECTOR));
    assert_eq!(transfer.consignee_site, Some(site(COLLECTOR)));
    assert_eq!(transfer.scope, TransferScope::CustodyAndOwnership);
    assert_eq!(transfer.returns, Some(sent));
    let returned = lot(world.fresh());
    world.must(COLLECTOR, accept(back, 300, Some(returned)));
    let it = world.lot_state(returned);
    assert_eq!((it.owner, it.possessor, it.site), (COLLECTOR, COLLECTOR, site(COLLECTOR)));
    assert_eq!(it.invoice_class, Some(InvoiceClass::VatSpecial), "as it had been bought");
    assert_eq!(grams(&world, known), (700, 0));
    agree(&world);
}

#[test]
fn a_return_is_refused_withdrawn_and_corrected_like_an_offer() {
    let mut world = World::new();
    let known = world.copper(COLLECTOR, 1_000);
    let sent = world.must(COLLECTOR, offer(known, 1_000, SMELTER));
    let answer = world.must(SMELTER, accept(sent, 1_000, None));
    let close =
        |offer| CloseTransfer { offer, reason: TransferReason::NotOrdered, note: String::new() };
    let back = world.must(SMELTER, giving_back(sent, known, 1_000));
    world.must(COLLECTOR, Body::RejectTransfer(close(back)));
    let back = world.must(SMELTER, giving_back(sent, known, 1_000));
    world.must(SMELTER, Body::CancelTransfer(close(back)));
    let back = world.must(SMELTER, giving_back(sent, known, 1_000));
    let early = world.attempt(SMELTER, error(answer, &[]));
    assert_eq!(reason(world.judge(&early)), "CORRECTION_BLOCKED");
    undo(&mut world, SMELTER, back);
    assert_eq!(world.state.transfers[&back].status, TransferStatus::Retracted);
    undo(&mut world, SMELTER, answer);
    assert_eq!(world.lot_state(known).possessor, COLLECTOR);
    assert_eq!(grams(&world, known), (1_000, 1_000));
}

#[test]
fn what_was_sold_and_bought_again_is_not_given_back() {
    let mut world = World::new();
    let known = world.copper(COLLECTOR, 1_000);
    let first = world.must(COLLECTOR, offer(known, 1_000, SMELTER));
    world.must(SMELTER, accept(first, 1_000, None));
    let sold = world.must(SMELTER, offer(known, 1_000, TRADER));
    world.must(TRADER, accept(sold, 1_000, None));
    let bought = world.must(TRADER, offer(known, 1_000, SMELTER));
    world.must(SMELTER, accept(bought, 1_000, None));
    let stale = world.attempt(SMELTER, giving_back(first, known, 10));
    assert_eq!(reason(world.judge(&stale)), "RECEIVED_LOT_MISMATCH");
    let fresh = world.attempt(SMELTER, giving_back(bought, known, 10));
    assert_eq!(reason(world.judge(&fresh)), "accepted");
}

#[test]
fn hazardous_waste_goes_back_with_its_manifest_among_the_documents() {
    let mut world = World::new();
    let known = lot(world.fresh());
    let mut body = collecting(new_lot(known, "PB_WASTE", 100));
    let number = "20163607000001".to_owned();
    let manifest = urbanmine::domain::event::Manifest {
        number: number.clone(),
        carrier: None,
        vehicle: String::new(),
    };
    body.manifest = Some(manifest.clone());
    world.must(COLLECTOR, Body::CollectLot(Box::new(body)));
    let offered = OfferTransfer {
        manifest: Some(manifest),
        ..offering(known, 100, SMELTER, TransferScope::CustodyAndOwnership)
    };
    let sent = world.must(COLLECTOR, Body::OfferTransfer(offered));
    world.must(SMELTER, accept(sent, 100, None));
    let mut back = world.attempt(SMELTER, giving_back(sent, known, 100));
    assert_eq!(reason(world.judge(&back)), "MANIFEST_MISSING");
    let kind = DocumentKind::HazardousWasteManifest;
    back.event.documents.push(Document { kind, number: "13 digits".to_owned(), sha256: None });
    assert_eq!(reason(world.judge(&back)), "MANIFEST_MISSING", "that is no number of a manifest");
    back.event.documents.push(Document { kind, number, sha256: None });
    assert_eq!(reason(world.judge(&back)), "accepted");
}

// --- settlements ---------------------------------------------------------------------------------

/// A whole lot of 1000 g, or 1000 g of 2000 g, of which so many arrived beyond tolerance: the lot
/// that was offered, the one that arrived, the offer, and the answer.
fn discrepant(world: &mut World, net: u64, is_whole: bool) -> (LotId, LotId, EventId, EventId) {
    let known = world.copper(COLLECTOR, if is_whole { 1_000 } else { 2_000 });
    let sent = world.must(COLLECTOR, offer(known, 1_000, SMELTER));
    let part = (!is_whole).then(|| lot(world.fresh()));
    let answer = world.must(SMELTER, accept(sent, net, part));
    (known, part.unwrap_or(known), sent, answer)
}

#[test]
fn a_settlement_makes_state_and_provenance_weigh_what_was_agreed() {
    for is_whole in [true, false] {
        for (net, agreed) in
            [(900, 950), (900, 900), (900, 850), (900, 0), (900, 1_000), (1_100, 980)]
        {
            let mut world = World::new();
            let (known, arrived, sent, _) = discrepant(&mut world, net, is_whole);
            let before = standing(&world);
            let movements = world.state.movements.clone();
            let settlement = settled(&mut world, sent, agreed);
            assert_eq!(grams(&world, arrived), (agreed, 0), "{net} {agreed}");
            assert_eq!(copper_in(&world, arrived), agreed / 2, "{net} {agreed}");
            assert!(world.lot_state(arrived).holds.is_empty());
            let transfer = &world.state.transfers[&sent];
            assert_eq!(transfer.status, TransferStatus::Settled);
            assert_eq!(transfer.arrived.unwrap().booked, Grams::of(agreed));
            if !is_whole {
                assert_eq!(grams(&world, known), (1_000, 0), "what was not sent stays");
                assert_eq!(world.lot_state(arrived).initial_mass, Grams::of(agreed));
            }
            agree(&world);
            // And back: both sign, and provenance is as it was, to the gram.
            let alone = world.attempt(SMELTER, error(settlement, &[]));
            assert_eq!(reason(world.judge(&alone)), "SIGNER_MISSING");
            let undoing = both(&mut world, [SMELTER, COLLECTOR], error(settlement, &[]));
            world.take(&undoing).unwrap();
            assert_eq!(standing(&world), before, "{net} {agreed}");
            assert_eq!(world.state.movements, movements, "{net} {agreed}");
            assert_eq!(world.state.transfers[&sent].status, TransferStatus::Discrepant);
            agree(&world);
        }
    }
}

#[test]
fn a_partly_accepted_discrepancy_is_settled_within_what_was_not_refused() {
    let mut world = World::new();
    let known = world.copper(COLLECTOR, 1_000);
    let sent = world.must(COLLECTOR, offer(known, 1_000, SMELTER));
    let part = lot(world.fresh());
    world.must(SMELTER, partly(sent, 500, 400, part));
    let more = both(&mut world, [COLLECTOR, SMELTER], settling(sent, 601));
    assert_eq!(reason(world.judge(&more)), "TRANSFER_MASS_EXCEEDED");
    settled(&mut world, sent, 600);
    assert_eq!((grams(&world, part), grams(&world, known)), ((600, 0), (400, 0)));
    agree(&world);
}

#[test]
fn what_was_agreed_is_what_came_in_the_eyes_of_the_consignee() {
    use urbanmine::domain::sight::{Sight, Turn};
    let mut world = World::new();
    let (_, part, sent, _) = discrepant(&mut world, 900, false);
    let came = |grams| Sight { party: SMELTER, lot: part, turn: Turn::Came(Grams::of(grams)) };
    let settle = both(&mut world, [COLLECTOR, SMELTER], settling(sent, 950));
    assert_eq!(world.take(&settle).unwrap().sights, [came(950)]);
    let undoing = both(&mut world, [COLLECTOR, SMELTER], error(settle.event.id, &[]));
    assert_eq!(world.take(&undoing).unwrap().sights, [came(900)]);
}

#[test]
fn exactly_both_parties_sign_a_settlement() {
    let mut world = World::new();
    let (_, _, sent, _) = discrepant(&mut world, 900, true);
    let attempt = both(&mut world, [COLLECTOR, SMELTER], settling(sent, 950));
    let required = required_signers(&world.state, &attempt.event).unwrap();
    assert_eq!(required, [COLLECTOR, SMELTER], "ascending");
    for (signers, refused) in [
        (vec![COLLECTOR], "SIGNER_MISSING"),
        (vec![SMELTER], "SIGNER_MISSING"),
        (vec![COLLECTOR, SMELTER, TRADER], "SIGNER_UNEXPECTED"),
        (vec![COLLECTOR, SMELTER], "accepted"),
    ] {
        let keys: Vec<_> = signers.into_iter().map(key).collect();
        assert_eq!(reason(world.judge(&attempt.clone().signed_by(&keys))), refused);
    }
    // Nobody else settles, not even with both signatures; and what is not there is not settled.
    let third = both(&mut world, [TRADER, SMELTER], settling(sent, 950));
    let third = third.signed_by(&[TRADER, SMELTER, COLLECTOR].map(key));
    assert_eq!(reason(world.judge(&third)), "NOT_THE_CONSIGNEE");
    let nothing = world.attempt(SMELTER, settling(event_id(1), 950));
    assert_eq!(required_signers(&world.state, &nothing.event).unwrap(), [SMELTER]);
    assert_eq!(reason(world.judge(&nothing)), "TRANSFER_UNKNOWN");
}

#[test]
fn a_settlement_ends_the_discrepancy_alone_and_is_undone_before_the_answer() {
    let mut world = World::new();
    let (known, _, sent, answer) = discrepant(&mut world, 900, true);
    let stop = HoldLot { lot: known, reason: HoldReason::Investigation, authority: String::new() };
    let hold = world.must(COORD, Body::HoldLot(stop));
    let settlement = settled(&mut world, sent, 900);
    let holds: Vec<EventId> = world.lot_state(known).holds.iter().map(|it| it.event).collect();
    assert_eq!(holds, [hold]);
    undo(&mut world, COORD, hold);
    let early = world.attempt(SMELTER, error(answer, &[]));
    let refused = world.judge(&early).unwrap_err();
    let blocking = vec![settlement];
    let expected = Rejection::CorrectionBlocked { target: answer, lot: known, blocking, more: 0 };
    assert_eq!(refused, expected, "also where what was agreed is what was booked");
    let used = world.must(SMELTER, offer(known, 10, TRADER));
    let undoing = both(&mut world, [SMELTER, COLLECTOR], error(settlement, &[]));
    let refused = world.judge(&undoing).unwrap_err();
    let blocking = vec![used];
    let expected =
        Rejection::CorrectionBlocked { target: settlement, lot: known, blocking, more: 0 };
    assert_eq!(refused, expected);
    undo(&mut world, SMELTER, used);
    let undoing = both(&mut world, [SMELTER, COLLECTOR], error(settlement, &[]));
    world.take(&undoing).unwrap();
    undo(&mut world, SMELTER, answer);
    assert_eq!(world.lot_state(known).possessor, COLLECTOR);
    agree(&world);
}

#[test]
fn an_analysis_of_a_held_lot_stands_after_its_settlement() {
    let mut world = World::new();
    let (_, part, sent, _) = discrepant(&mut world, 900, false);
    let composition = assay(&[(Substance::Cu, 40_000_000)]);
    world.must(SMELTER, Body::AssayLot(AssayLot { lot: part, composition }));
    settled(&mut world, sent, 950);
    assert_eq!(copper_in(&world, part), 380);
    agree(&world);
}

// --- stocktakes ----------------------------------------------------------------------------------

#[test]
fn what_a_count_misses_is_lost_and_what_it_finds_is_no_metal() {
    let mut world = World::new();
    let known = world.copper(COLLECTOR, 1_000);
    world.must(COLLECTOR, counting(known, 994));
    assert_eq!((grams(&world, known), copper_in(&world, known)), ((994, 0), 497));
    agree(&world);
    world.must(COLLECTOR, counting(known, 1_004));
    assert_eq!((grams(&world, known), copper_in(&world, known)), ((1_004, 0), 497));
    agree(&world);
    let tally = world.lot_state(known).tally;
    assert_eq!((tally.gained, tally.missing), (Grams::of(10), Grams::of(6)));
    let more = world.attempt(COLLECTOR, counting(known, 1_005));
    assert_eq!(reason(world.judge(&more)), "STOCKTAKE_BEYOND_TOLERANCE", "gains add up");
    let less = world.attempt(COLLECTOR, counting(known, 999));
    assert_eq!(reason(world.judge(&less)), "STOCKTAKE_BEYOND_TOLERANCE", "so do losses");
    world.must(COLLECTOR, counting(known, 1_004));
    let child = lot(world.fresh());
    let parts = urbanmine::domain::event::SplitLot {
        parent: known,
        children: vec![draw(child, 1_004)],
        handling_loss: Grams::ZERO,
    };
    world.must(COLLECTOR, Body::SplitLot(parts));
    assert_eq!(copper_in(&world, child), 497);
    agree(&world);
}

#[test]
fn promised_grams_are_not_counted_away_nor_are_those_on_their_way() {
    let mut world = World::new();
    let known = world.copper(COLLECTOR, 1_000);
    let sent = world.must(COLLECTOR, offer(known, 995, SMELTER));
    let less = world.attempt(COLLECTOR, counting(known, 994));
    assert_eq!(reason(world.judge(&less)), "INSUFFICIENT_MASS");
    world.must(COLLECTOR, counting(known, 995));
    let more = world.attempt(COLLECTOR, counting(known, 996));
    assert_eq!(reason(world.judge(&more)), "INSUFFICIENT_MASS", "all of it is on its way");
    let part = lot(world.fresh());
    world.must(SMELTER, accept(sent, 995, Some(part)));
    let empty = world.attempt(COLLECTOR, counting(known, 1));
    assert_eq!(reason(world.judge(&empty)), "INSUFFICIENT_MASS", "nothing is left to count");
    let stranger = world.attempt(COLLECTOR, counting(part, 995));
    assert_eq!(reason(world.judge(&stranger)), "LOT_NOT_HELD");
}

#[test]
fn a_count_is_undone_before_what_it_counted() {
    for counted in [995, 1_005, 1_000] {
        let mut world = World::new();
        let known = world.copper(COLLECTOR, 1_100);
        let melted = transforming("MELT", &[draw(known, 100)], &[made(lot(1), "CU", 100)]);
        let used = world.must(COLLECTOR, Body::TransformLots(Box::new(melted)));
        let before = standing(&world);
        let count = world.must(COLLECTOR, counting(known, counted));
        agree(&world);
        let early = world.attempt(COLLECTOR, error(used, &[]));
        let refused = world.judge(&early).unwrap_err();
        let blocking = vec![count];
        let expected = Rejection::CorrectionBlocked { target: used, lot: known, blocking, more: 0 };
        assert_eq!(refused, expected, "{counted}");
        undo(&mut world, COLLECTOR, count);
        assert_eq!(standing(&world), before, "{counted}");
        undo(&mut world, COLLECTOR, used);
        assert_eq!(grams(&world, known), (1_100, 0));
    }
}

#[test]
fn an_analysis_after_a_gain_is_undone_before_it() {
    let mut world = World::new();
    let known = world.copper(COLLECTOR, 1_000);
    let composition = assay(&[(Substance::Cu, 40_000_000)]);
    let body = Body::AssayLot(AssayLot { lot: known, composition });
    let first = world.must(COLLECTOR, body.clone());
    let count = world.must(COLLECTOR, counting(known, 1_010));
    let second = world.must(COLLECTOR, body);
    for target in [first, count] {
        let early = world.attempt(COLLECTOR, error(target, &[]));
        assert_eq!(reason(world.judge(&early)), "CORRECTION_BLOCKED");
    }
    for target in [second, count, first] {
        undo(&mut world, COLLECTOR, target);
    }
    assert_eq!((grams(&world, known), copper_in(&world, known)), ((1_000, 0), 500));
    agree(&world);
}

#[test]
fn a_large_difference_needs_an_approval_of_what_was_counted() {
    for counted in [700, 1_300] {
        let mut world = World::new();
        let known = world.copper(COLLECTOR, 1_000);
        world.must(COLLECTOR, counting(known, 995));
        let count = world.attempt(COLLECTOR, counting(known, counted));
        let judge = |world: &World| reason(world.judge(&count));
        for (to, grams) in [(SMELTER, counted), (COLLECTOR, counted - 1), (COLLECTOR, 2_000)] {
            assert_eq!(judge(&world), "STOCKTAKE_BEYOND_TOLERANCE");
            world.must(COORD, approving(known, COLLECTOR, to, grams));
        }
        assert_eq!(judge(&world), "STOCKTAKE_BEYOND_TOLERANCE");
        world.must(COORD, approving(known, COLLECTOR, COLLECTOR, counted));
        let before = standing(&world);
        let count = world.must(COLLECTOR, counting(known, counted));
        assert_eq!(grams(&world, known), (counted, 0));
        agree(&world);
        let tally = world.lot_state(known).tally;
        let tolerated = (tally.gained, tally.missing);
        assert_eq!(tolerated, (Grams::ZERO, Grams::of(5)), "what is approved is not tolerated");
        // It is used once.
        world.must(COLLECTOR, counting(known, counted - 5));
        let again = world.attempt(COLLECTOR, counting(known, counted + 6));
        assert_eq!(reason(world.judge(&again)), "STOCKTAKE_BEYOND_TOLERANCE");
        let back = world.must(COLLECTOR, counting(known, counted));
        let small = world.lot_state(known).born_by;
        for target in [back, small] {
            let blocked = world.attempt(COLLECTOR, error(target, &[]));
            let expected = if target == back { "accepted" } else { "CORRECTION_BLOCKED" };
            assert_eq!(reason(world.judge(&blocked)), expected);
        }
        let early = world.attempt(COLLECTOR, error(count, &[]));
        assert_eq!(reason(world.judge(&early)), "CORRECTION_BLOCKED");
        let newest: Vec<EventId> =
            world.state.events.values().filter(|it| it.id > count).map(|it| it.id).collect();
        for target in newest.into_iter().rev().chain([count]) {
            undo(&mut world, COLLECTOR, target);
        }
        assert_eq!(standing(&world), before);
    }
}

// --- endings -------------------------------------------------------------------------------------

#[test]
fn what_left_is_used_by_nobody_and_says_how_it_went() {
    let mut world = World::new();
    let known = world.copper(COLLECTOR, 100);
    world.must(COLLECTOR, leaving(known, 40));
    assert_eq!(world.lot_state(known).status(), LotStatus::Open, "the rest is here");
    let last = world.must(COLLECTOR, leaving(known, 60));
    assert_eq!(world.lot_state(known).status(), LotStatus::Exited);
    agree(&world);
    for body in [offer(known, 1, SMELTER), leaving(known, 1), counting(known, 1)] {
        let used = world.attempt(COLLECTOR, body);
        assert_eq!(reason(world.judge(&used)), "INSUFFICIENT_MASS");
    }
    undo(&mut world, COLLECTOR, last);
    assert_eq!(grams(&world, known), (60, 0));
    let end = world.must(COLLECTOR, Body::DisposeResidue(disposing(known, 60, SMELTER)));
    assert_eq!(world.lot_state(known).status(), LotStatus::Disposed);
    undo(&mut world, COLLECTOR, end);
    let melted = transforming("MELT", &[draw(known, 60)], &[made(lot(1), "CU", 60)]);
    world.must(COLLECTOR, Body::TransformLots(Box::new(melted)));
    assert_eq!(world.lot_state(known).status(), LotStatus::Consumed);
    agree(&world);
}

#[test]
fn only_who_holds_and_owns_a_lot_ends_it() {
    let mut world = World::new();
    let lent = world.copper(TRADER, 100);
    let lending = Body::OfferTransfer(offering(lent, 100, COLLECTOR, TransferScope::Custody));
    let lending = world.must(TRADER, lending);
    world.must(COLLECTOR, accept(lending, 100, None));
    for body in [leaving(lent, 10), Body::DisposeResidue(disposing(lent, 10, SMELTER))] {
        let by_holder = world.attempt(COLLECTOR, body.clone());
        assert_eq!(reason(world.judge(&by_holder)), "LOT_NOT_OWNED");
        let by_owner = world.attempt(TRADER, body);
        assert_eq!(reason(world.judge(&by_owner)), "LOT_NOT_HELD");
    }
}

#[test]
fn hazardous_waste_is_disposed_of_with_manifest_permit_and_in_its_province() {
    let mut world = World::new();
    let known = lot(world.fresh());
    let mut body = collecting(new_lot(known, "PB_WASTE", 100));
    let manifest = urbanmine::domain::event::Manifest {
        number: "20163607000001".to_owned(),
        carrier: None,
        vehicle: String::new(),
    };
    body.manifest = Some(manifest.clone());
    world.must(COLLECTOR, Body::CollectLot(Box::new(body)));
    let mut dispose = disposing(known, 100, NOBODY);
    let judge = |world: &mut World, dispose: &_| {
        let attempt = world.attempt(COLLECTOR, Body::DisposeResidue(Clone::clone(dispose)));
        reason(world.judge(&attempt))
    };
    assert_eq!(judge(&mut world, &dispose), "PARTY_UNKNOWN");
    dispose.facility = SEPARATOR;
    assert_eq!(judge(&mut world, &dispose), "MANIFEST_MISSING");
    dispose.manifest = Some(manifest);
    assert_eq!(judge(&mut world, &dispose), "PERMIT_MISSING");
    dispose.facility = SMELTER;
    assert_eq!(judge(&mut world, &dispose), "accepted");
    // Its credit code was issued in Guangdong.
    let far = Arc::make_mut(world.state.parties.get_mut(&SMELTER).unwrap());
    far.party.credit_code.replace_range(2..4, "44");
    assert_eq!(judge(&mut world, &dispose), "APPROVAL_MISSING");
    world.must(COORD, approving(known, COLLECTOR, SMELTER, 100));
    dispose.residue.mass = Grams::of(60);
    let end = world.must(COLLECTOR, Body::DisposeResidue(dispose.clone()));
    dispose.residue.mass = Grams::of(40);
    let rest = world.must(COLLECTOR, Body::DisposeResidue(dispose));
    assert_eq!(world.lot_state(known).status(), LotStatus::Disposed);
    for (target, used) in [(end, 40), (rest, 0)] {
        undo(&mut world, COLLECTOR, target);
        assert_eq!(world.lot_state(known).approvals[0].used, Grams::of(used));
    }
    assert_eq!(grams(&world, known), (100, 0));
}

// --- R9 ------------------------------------------------------------------------------------------

#[test]
fn the_class_of_a_sale_is_held_against_that_of_the_purchase() {
    use InvoiceClass as C;
    let mut world = World::new();
    let known = world.copper(COLLECTOR, 1_000);
    let sold = |scope, on| {
        let mut offer = offering(known, 10, SMELTER, scope);
        offer.invoice_class = on;
        Body::OfferTransfer(offer)
    };
    let unknown = Flag::InvoiceClassUnmatched(C::VatSpecial, C::VatOrdinary);
    let rows = [
        (TransferScope::CustodyAndOwnership, Some(C::VatSpecial), "accepted", vec![]),
        (TransferScope::CustodyAndOwnership, Some(C::VatOrdinary), "accepted", vec![unknown]),
        (TransferScope::Ownership, Some(C::None), "INVOICE_CLASS_MISMATCH", vec![]),
        (TransferScope::Custody, Some(C::None), "accepted", vec![]),
        (TransferScope::Ownership, None, "accepted", vec![]),
    ];
    for (scope, on, expected, flags) in rows {
        let attempt = world.attempt(COLLECTOR, sold(scope, on));
        let found = world.take(&attempt).map(|effects| {
            effects.events.iter().find(|it| it.id == attempt.event.id).unwrap().flags.clone()
        });
        match found {
            Ok(found) => assert_eq!(("accepted", found), (expected, flags)),
            Err(refused) => assert_eq!(refused.reason(), expected),
        }
    }
}
