//! Whom an entry concerns, and which lots come into whose sight by it.

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
use urbanmine::domain::event::{AssayLot, HoldLot};
use urbanmine::domain::party::Affiliation;
use urbanmine::domain::sight::{Kinship, Relation, Sight, Turn};
use urbanmine::domain::vocabulary::{AffiliationKind, HoldReason, Substance, TransferScope};
use urbanmine::domain::{AffiliationId, Body, Effects, Grams, LotId, PartyId};

const CARRIER: PartyId = DISMANTLER;

fn take(world: &mut World, actor: PartyId, body: Body) -> Effects {
    let attempt = world.attempt(actor, body);
    world.take(&attempt).unwrap()
}

fn came(party: PartyId, lot: LotId, grams: u64) -> Sight {
    Sight { party, lot, turn: Turn::Came(Grams::of(grams)) }
}

fn kin(party: PartyId, lot: LotId, kinship: Kinship, with: PartyId) -> Sight {
    Sight { party, lot, turn: Turn::Kin(kinship, with) }
}

#[test]
fn a_collection_concerns_its_collector_and_nobody_else() {
    let mut world = World::new();
    let id = lot(world.fresh());
    let effects = take(&mut world, COLLECTOR, collect(new_lot(id, "CU", 100)));
    assert_eq!(effects.concerned, [COLLECTOR]);
    assert_eq!(effects.acquainted, []);
    assert_eq!(effects.sights, [came(COLLECTOR, id, 100)]);
}

#[test]
fn who_is_only_named_knows_the_others_and_not_each_other() {
    let mut world = World::new();
    let scrap = world.copper(COLLECTOR, 100);
    let mut offered = offering(scrap, 40, SMELTER, TransferScope::CustodyAndOwnership);
    offered.carrier = Some(CARRIER);
    let effects = take(&mut world, COLLECTOR, Body::OfferTransfer(offered));
    assert_eq!(effects.concerned, [COLLECTOR, SMELTER, CARRIER]);
    let pairs = [(COLLECTOR, SMELTER), (COLLECTOR, CARRIER), (SMELTER, CARRIER)];
    assert_eq!(effects.acquainted, pairs);

    let mut assayed = assay(&[(Substance::Cu, 60_000_000)]);
    assayed.laboratory = Some(LAB);
    let body = Body::AssayLot(AssayLot { lot: scrap, composition: assayed });
    let effects = take(&mut world, COLLECTOR, body);
    assert_eq!(effects.concerned, [COLLECTOR, LAB]);

    let mut made = [made(lot(world.fresh()), "CU", 5), made(lot(world.fresh()), "CU", 5)];
    for (new, laboratory) in made.iter_mut().zip([LAB, TRADER]) {
        let mut composition = assay(&[(Substance::Cu, 50_000_000)]);
        composition.laboratory = Some(laboratory);
        new.composition = Some(composition);
    }
    let melt = transforming("MELT", &[draw(scrap, 10)], &made);
    let effects = take(&mut world, COLLECTOR, Body::TransformLots(Box::new(melt)));
    assert_eq!(effects.concerned, [COLLECTOR, LAB, TRADER]);
    assert_eq!(effects.acquainted, [(COLLECTOR, LAB), (COLLECTOR, TRADER)]);
}

#[test]
fn the_owner_hears_of_what_others_do_to_its_lot_elsewhere() {
    let mut world = World::new();
    let scrap = world.copper(COLLECTOR, 100);
    let offered = offering(scrap, 100, SMELTER, TransferScope::Custody);
    let offer = world.must(COLLECTOR, Body::OfferTransfer(offered));
    let effects = take(&mut world, SMELTER, accept(offer, 100, None));
    assert_eq!(effects.concerned, [COLLECTOR, SMELTER]);
    assert_eq!(effects.sights, [came(SMELTER, scrap, 100)], "it is the collector's still");

    let reason = HoldReason::Quality;
    let body = Body::HoldLot(HoldLot { lot: scrap, reason, authority: String::new() });
    let effects = take(&mut world, COORD, body);
    assert_eq!(effects.concerned, [COORD, COLLECTOR, SMELTER]);
}

#[test]
fn a_lot_that_leaves_is_remembered_as_it_stood() {
    let mut world = World::new();
    let scrap = world.copper(COLLECTOR, 100);
    let offer = world.must(COLLECTOR, kit::offer(scrap, 100, SMELTER));
    let stood = world.lot_state(scrap).clone();
    let accepted = world.attempt(SMELTER, accept(offer, 100, None));
    let effects = world.take(&accepted).unwrap();
    let left = Turn::Left(Box::new(stood.clone()));
    assert_eq!(
        effects.sights,
        [came(SMELTER, scrap, 100), Sight { party: COLLECTOR, lot: scrap, turn: left }]
    );

    // It comes back with the correction, and the smelter keeps how it stood there.
    let arrived = world.lot_state(scrap).clone();
    let effects = take(&mut world, SMELTER, error(accepted.event.id, &[]));
    assert_eq!(effects.concerned, [COLLECTOR, SMELTER]);
    let left = Sight { party: SMELTER, lot: scrap, turn: Turn::Left(Box::new(arrived.clone())) };
    assert_eq!(effects.sights, [came(COLLECTOR, scrap, 100), left]);

    let mut relation = Relation::default();
    relation.take(&Turn::Came(Grams::of(100)));
    relation.take(&Turn::Left(Box::new(stood)));
    relation.take(&Turn::Came(Grams::of(90)));
    relation.take(&Turn::Left(Box::new(arrived.clone())));
    assert_eq!(relation.arrived, Some(Grams::of(90)));
    assert_eq!(relation.left, Some(arrived), "the last time counts");
}

#[test]
fn a_part_that_changes_hands_is_one_step_up_and_one_step_down() {
    let mut world = World::new();
    let scrap = world.copper(COLLECTOR, 100);
    let offer = world.must(COLLECTOR, kit::offer(scrap, 40, SMELTER));
    let part = lot(world.fresh());
    let effects = take(&mut world, SMELTER, accept(offer, 40, Some(part)));
    assert_eq!(
        effects.sights,
        [
            came(SMELTER, part, 40),
            kin(COLLECTOR, part, Kinship::Down, SMELTER),
            kin(SMELTER, scrap, Kinship::Up, COLLECTOR),
        ]
    );

    // What the smelter makes of it is no step of the collector's.
    let body = transforming("MELT", &[draw(part, 40)], &[made(lot(world.fresh()), "CU", 40)]);
    let effects = take(&mut world, SMELTER, Body::TransformLots(Box::new(body)));
    assert_eq!(effects.concerned, [SMELTER]);
    assert!(effects.sights.iter().all(|sight| sight.party == SMELTER));
}

#[test]
fn records_concern_the_party_that_they_are_of() {
    let mut world = World::new();
    let affiliation = Affiliation {
        id: AffiliationId::from_bytes([7; 16]),
        kind: AffiliationKind::Equity,
        group: Some(SMELTER),
        validity: EVER,
    };
    let effects = take(&mut world, COORD, Body::RegisterAffiliation(COLLECTOR, affiliation));
    assert_eq!(effects.concerned, [COORD, COLLECTOR, SMELTER]);
    assert_eq!(effects.acquainted, [(COORD, COLLECTOR), (COORD, SMELTER)]);

    let revoke = urbanmine::domain::event::RevokeKey {
        key: key(TRADER),
        revoked_at: urbanmine::domain::TimeMs::of(world.now),
        reason: String::new(),
    };
    let effects = take(&mut world, COORD, Body::RevokeKey(revoke));
    assert_eq!(effects.concerned, [COORD, TRADER]);
}
