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

use std::collections::{BTreeMap, BTreeSet};

use kit::*;
use proptest::collection::vec;
use proptest::prelude::*;
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

// --- any history ---------------------------------------------------------------------------------

/// Something that a party tries; the rules may refuse it.
fn attempt(world: &World, choice: (u8, u8, u8, u8)) -> (PartyId, Body) {
    let (what, who, with, which) = choice;
    let parties = [COLLECTOR, SMELTER, TRADER];
    let (actor, other) = (parties[usize::from(who) % 3], parties[usize::from(with) % 3]);
    let pick = |count: usize| usize::from(which) % count.max(1);
    let lots: Vec<_> = world.state.lots.values().collect();
    let offers: Vec<_> = world.state.transfers.values().collect();
    let events: Vec<_> = world.state.events.values().collect();
    let new = lot(world.serial + 500);
    let lot = lots.get(pick(lots.len()));
    let transfer = offers.get(pick(offers.len()));
    match (what % 7, lot, transfer) {
        (1, Some(lot), _) => (
            lot.possessor,
            Body::OfferTransfer(offering(lot.id, lot.remaining.get(), other, scope(with))),
        ),
        (2, Some(lot), _) => {
            let half = (lot.remaining.get() / 2).max(1);
            (lot.owner, Body::OfferTransfer(offering(lot.id, half, other, scope(who))))
        }
        (3, _, Some(it)) => {
            let part = (!it.is_whole_lot).then_some(new);
            let mut body = accept(it.offer, it.mass.get(), part);
            if let (Body::AcceptTransfer(accepted), false) = (&mut body, it.scope.moves_custody()) {
                accepted.received = None;
            }
            (it.consignee, body)
        }
        (4, Some(lot), _) => {
            let melt = transforming(
                "MELT",
                &[draw(lot.id, lot.remaining.get())],
                &[made(new, "CU", lot.remaining.get())],
            );
            (lot.possessor, Body::TransformLots(Box::new(melt)))
        }
        (5, Some(lot), _) => {
            let reason = HoldReason::Quality;
            (COORD, Body::HoldLot(HoldLot { lot: lot.id, reason, authority: String::new() }))
        }
        (6, _, _) if !events.is_empty() => {
            let target = events[pick(events.len())];
            (target.actor, error(target.id, &[]))
        }
        _ => (actor, collect(new_lot(new, "CU", 1_000 + u64::from(which)))),
    }
}

fn scope(n: u8) -> TransferScope {
    [TransferScope::Custody, TransferScope::Ownership, TransferScope::CustodyAndOwnership]
        [usize::from(n / 3) % 3]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Whoever has a lot, had it, or is party to a transfer hears of every entry of it in that
    /// time, and is related to every lot that it ever had.
    #[test]
    fn nobody_misses_what_is_its_own(choices in vec(any::<(u8, u8, u8, u8)>(), 1..60)) {
        let mut world = World::new();
        let mut relations: BTreeMap<(PartyId, LotId), Relation> = BTreeMap::new();
        let mut ever: BTreeSet<(PartyId, LotId)> = BTreeSet::new();
        for choice in choices {
            let before = world.state.clone();
            let (actor, body) = attempt(&world, choice);
            let tried = world.attempt(actor, body);
            let Ok(effects) = world.take(&tried) else { continue };
            let mut expected = BTreeSet::from([actor]);
            for link in &effects.links {
                for state in [&before, &world.state] {
                    let hands = state.lots.get(&link.lot).map(|lot| [lot.owner, lot.possessor]);
                    expected.extend(hands.into_iter().flatten());
                }
            }
            for transfer in &effects.transfers {
                expected.extend([transfer.sender, transfer.consignee]);
            }
            for party in &expected {
                prop_assert!(effects.concerned.contains(party), "{party} misses {:?}", tried.event);
            }
            prop_assert!(effects.concerned.is_sorted());
            for sight in &effects.sights {
                relations.entry((sight.party, sight.lot)).or_default().take(&sight.turn);
            }
            for lot in world.state.lots.values() {
                ever.extend([(lot.owner, lot.id), (lot.possessor, lot.id)]);
            }
        }
        for (key, relation) in &relations {
            prop_assert_eq!(relation.arrived.is_some(), ever.contains(key));
        }
        for (party, lot) in ever {
            let relation = &relations[&(party, lot)];
            let state = &world.state.lots[&lot];
            let is_gone = state.owner != party && state.possessor != party;
            // As it left, it was the party's.
            if is_gone {
                let stood = relation.left.as_ref().unwrap();
                prop_assert!(stood.owner == party || stood.possessor == party);
            }
        }
    }
}
