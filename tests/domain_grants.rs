//! What an authority allows: waivers and approvals, to the gram and to the millisecond.

#![allow(
    dead_code,
    clippy::missing_panics_doc,
    clippy::new_without_default,
    reason = "the kit serves several tests"
)]
#![allow(
    clippy::expect_used,
    clippy::large_enum_variant,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test says what is wrong by failing, and need not be fast"
)]

#[path = "common/domain_kit.rs"]
mod kit;

use kit::*;
use urbanmine::domain::event::{Approval, CloseTransfer, Manifest, Waiver};
use urbanmine::domain::party::Party;
use urbanmine::domain::vocabulary::{PartyRole, TransferReason, TransferScope};
use urbanmine::domain::{Body, EventId, Grams, LotId, Rejection, TimeMs};

/// Codes of shared reference data that were legally issued and fail their check digit.
const ISSUED: [&str; 4] =
    ["91350211M0000XUF46", "91350100M0001TGQXM", "91350203M0001FUE2P", "91350203M0001QAY9B"];

fn coded(n: u8, code: &str, waiver: Option<EventId>) -> Party {
    let record = party_record(party(n), PartyRole::Trader);
    Party { credit_code: code.to_owned(), credit_code_waiver: waiver, ..record }
}

fn waiver(code: &str, valid_to: Option<TimeMs>) -> Body {
    let (reason_code, subject) = ("CREDIT_CODE_INVALID".to_owned(), code.to_owned());
    Body::Waiver(Waiver { reason_code, subject, valid_to })
}

#[test]
fn codes_that_were_legally_issued_come_in_by_their_waiver_alone() {
    let mut world = World::new();
    for (n, code) in (50..).zip(ISSUED) {
        let none = world.attempt(COORD, Body::RegisterParty(coded(n, code, None)));
        let refused = |attempt: &Attempt, world: &World| {
            let refused = world.judge(attempt).map(drop);
            matches!(refused, Err(Rejection::CreditCodeInvalid { code: of, .. }) if of == code)
        };
        assert!(refused(&none, &world), "{code}");
        let allowed = world.must(COORD, waiver(code, None));
        let unnamed = world.attempt(COORD, Body::RegisterParty(coded(n, code, None)));
        assert!(refused(&unnamed, &world), "{code}: the record names no waiver");
        let other = world.must(COORD, waiver("91350211M00013FA1N", None));
        for stranger in [other, event_id(1)] {
            let record = coded(n, code, Some(stranger));
            let named = world.attempt(COORD, Body::RegisterParty(record));
            assert!(refused(&named, &world), "{code}: a waiver of something else");
        }
        world.must(COORD, Body::RegisterParty(coded(n, code, Some(allowed))));
        world.must(COORD, Body::AmendParty(coded(n, code, Some(allowed))));
        // A later waiver takes the place of the first, and its name.
        let newer = world.must(COORD, waiver(code, None));
        let old = world.attempt(COORD, Body::AmendParty(coded(n, code, Some(allowed))));
        assert!(refused(&old, &world), "{code}: that waiver was replaced");
        world.must(COORD, Body::AmendParty(coded(n, code, Some(newer))));
    }
    // Nobody but a coordinator waives.
    let theirs = world.attempt(COLLECTOR, waiver(ISSUED[0], None));
    assert!(matches!(world.judge(&theirs), Err(Rejection::RoleNotHeld { action: "WAIVER", .. })));
}

#[test]
fn a_waiver_holds_from_its_event_to_the_millisecond_before_its_end() {
    let mut world = World::new();
    let code = ISSUED[0];
    let (begin, end) = (START_MS + 1_000, START_MS + 9_000);
    let mut waived = world.attempt(COORD, waiver(code, Some(TimeMs::of(end))));
    waived.event.occurred_at = TimeMs::of(begin);
    world.take(&waived).unwrap();
    world.now = end;
    for (at, is_in) in [(begin - 1, false), (begin, true), (end - 1, true), (end, false)] {
        let record = coded(50, code, Some(waived.event.id));
        let mut attempt = world.attempt(COORD, Body::RegisterParty(record));
        attempt.event.occurred_at = TimeMs::of(at);
        assert_eq!(world.judge(&attempt).is_ok(), is_in, "{at}");
    }
}

fn manifest() -> Manifest {
    Manifest { number: "20163607000001".to_owned(), carrier: None, vehicle: String::new() }
}

/// Hazardous lead waste of the collector.
fn waste(world: &mut World, grams: u64) -> LotId {
    let id = lot(world.fresh());
    let mut body = collecting(new_lot(id, "PB_WASTE", grams));
    body.manifest = Some(manifest());
    world.must(COLLECTOR, Body::CollectLot(Box::new(body)));
    id
}

/// An offer of it to the smelter in another province.
fn far(of: LotId, grams: u64) -> Body {
    let mut offered = offering(of, grams, SMELTER, TransferScope::CustodyAndOwnership);
    offered.manifest = Some(manifest());
    offered.consignee_site = Some(far_site(SMELTER));
    Body::OfferTransfer(offered)
}

fn unused(world: &World, of: LotId) -> Vec<u64> {
    world.lot_state(of).approvals.iter().map(|held| held.unused().get()).collect()
}

fn assert_missing(world: &mut World, of: LotId, grams: u64, left: u64) {
    let attempt = world.attempt(COLLECTOR, far(of, grams));
    let refused = Rejection::ApprovalMissing {
        lot: of,
        from_province: "36".to_owned(),
        to_province: "44".to_owned(),
        asked: Grams::of(grams),
        unused: Grams::of(left),
    };
    assert_eq!(world.judge(&attempt).map(drop), Err(refused));
}

fn closing(offer: EventId) -> CloseTransfer {
    CloseTransfer { offer, reason: TransferReason::Quality, note: String::new() }
}

#[test]
fn offers_use_an_approval_and_give_back_what_is_not_carried() {
    let mut world = World::new();
    let id = waste(&mut world, 1_000);
    assert_missing(&mut world, id, 1, 0);
    world.must(COORD, approving(id, COLLECTOR, SMELTER, 300));
    world.must(COORD, approving(id, COLLECTOR, TRADER, 900));
    assert_missing(&mut world, id, 301, 300);
    let first = world.must(COLLECTOR, far(id, 100));
    let second = world.must(COLLECTOR, far(id, 200));
    assert_eq!(unused(&world, id), [0, 900]);
    assert_missing(&mut world, id, 1, 0);

    let rejected = world.must(SMELTER, Body::RejectTransfer(closing(first)));
    assert_eq!(unused(&world, id), [100, 900]);
    let cancelled = world.must(COLLECTOR, Body::CancelTransfer(closing(second)));
    assert_eq!(unused(&world, id), [300, 900]);
    // What was rejected or cancelled in error is on its way again, and uses its grams again.
    world.must(SMELTER, error(rejected, &[]));
    world.must(COLLECTOR, error(cancelled, &[]));
    assert_eq!(unused(&world, id), [0, 900]);
    // An offer that was an error gives them back; what is taken over does not.
    world.must(COLLECTOR, error(second, &[]));
    assert_eq!(unused(&world, id), [200, 900]);
    let part = lot(world.fresh());
    let mut taken = world.attempt(SMELTER, accept(first, 100, Some(part)));
    taken.event.site = Some(far_site(SMELTER));
    world.take(&taken).unwrap();
    assert_eq!(unused(&world, id), [200, 900]);
    assert_eq!(world.lot_state(part).approvals, []);
    // Nor when the acceptance was an error: the grams are still on their way.
    world.must(SMELTER, error(taken.event.id, &[]));
    assert_eq!(unused(&world, id), [200, 900]);
    // Within the province nothing is asked, and nothing used.
    let mut near = offering(id, 50, SMELTER, TransferScope::CustodyAndOwnership);
    near.manifest = Some(manifest());
    world.must(COLLECTOR, Body::OfferTransfer(near));
    assert_eq!(unused(&world, id), [200, 900]);
}

#[test]
fn a_closed_transfer_does_not_come_back_without_its_approval() {
    let mut world = World::new();
    let id = waste(&mut world, 1_000);
    world.must(COORD, approving(id, COLLECTOR, SMELTER, 300));
    let first = world.must(COLLECTOR, far(id, 300));
    let rejected = world.must(SMELTER, Body::RejectTransfer(closing(first)));
    let other = world.must(COLLECTOR, far(id, 1));
    let attempt = world.attempt(SMELTER, error(rejected, &[]));
    let refused =
        Rejection::CorrectionBlocked { target: rejected, lot: id, blocking: vec![other], more: 0 };
    assert_eq!(world.judge(&attempt).map(drop), Err(refused));
}

#[test]
fn an_approval_of_the_same_number_replaces_and_keeps_what_was_used() {
    let mut world = World::new();
    let id = waste(&mut world, 1_000);
    let approval = |grams: u64| {
        let Body::Approval(body) = approving(id, COLLECTOR, SMELTER, grams) else { unreachable!() };
        Body::Approval(Approval { number: "ONE".to_owned(), ..body })
    };
    world.must(COORD, approval(300));
    let offered = world.must(COLLECTOR, far(id, 200));
    world.must(COORD, approval(150));
    assert_eq!(unused(&world, id), [0]);
    world.must(COORD, approval(250));
    assert_eq!(unused(&world, id), [50]);
    world.must(SMELTER, Body::RejectTransfer(closing(offered)));
    assert_eq!(unused(&world, id), [250]);
}

#[test]
fn an_approval_holds_from_its_event_to_the_millisecond_before_its_end() {
    let mut world = World::new();
    let id = waste(&mut world, 1_000);
    let (begin, end) = (START_MS + 5_000, START_MS + 9_000);
    let mut approved = world.attempt(COORD, approving(id, COLLECTOR, SMELTER, 1_000));
    approved.event.occurred_at = TimeMs::of(begin);
    let Body::Approval(approval) = &mut approved.event.body else { unreachable!() };
    approval.valid_to = Some(TimeMs::of(end));
    world.now = end;
    world.take(&approved).unwrap();
    for (at, is_in) in [(begin - 1, false), (begin, true), (end - 1, true), (end, false)] {
        let mut attempt = world.attempt(COLLECTOR, far(id, 10));
        attempt.event.occurred_at = TimeMs::of(at);
        assert_eq!(world.judge(&attempt).is_ok(), is_in, "{at}");
    }
    // One that has ended makes room when the lot has as many as it can have.
    for grams in 1..urbanmine::limits::MAX_APPROVALS as u64 {
        world.must(COORD, approving(id, COLLECTOR, SMELTER, grams));
    }
    world.must(COORD, approving(id, COLLECTOR, SMELTER, 500));
    let masses: Vec<u64> =
        world.lot_state(id).approvals.iter().map(|held| held.mass.get()).collect();
    assert_eq!(masses.first(), Some(&1));
    assert_eq!(masses.last(), Some(&500));
}
