//! Every reason why the rules refuse, in order of precedence.
//!
//! A row breaks its own rule and the next later one that the same kind of event can break together
//! with it. It is refused for its own; repaired in that one respect, it is refused for the next.

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

use std::sync::Arc;

use std::collections::BTreeSet;

use kit::*;
use urbanmine::domain::apply::RULES_VERSION;
use urbanmine::domain::credit::Month;
use urbanmine::domain::event::{
    AssayLot, Attest, CloseTransfer, Genesis, HoldLot, MergeLots, OpeningInventory, PublishTables,
    RegisterKey, ReleaseLot, RevokeKey, SplitLot, Waiver,
};
use urbanmine::domain::memory::MemoryState;
use urbanmine::domain::party::{Affiliation, Party, Site};
use urbanmine::domain::units::Validity;
use urbanmine::domain::vocabulary::{
    AffiliationKind, AttestResult, EventKind, HoldReason, LicenceKind, OriginKind, OriginKinds,
    PartyRole, Substance, TransferReason, TransferScope,
};
use urbanmine::domain::{
    AffiliationId, Body, CampaignId, EntryCount, EntryIndex, EventId, FractionE8, Grams, Hash32,
    LicenceId, LotId, Origin, Rejection, SiteId, TimeMs,
};
use urbanmine::ledger::Checkpoint;
use urbanmine::ledger::hash::sha256;
use urbanmine::limits::{MAX_AFFILIATIONS, MAX_APPROVALS, MAX_HOLDS, MAX_KEYS, MAX_LICENCES};

use Rejection as R;

/// One reason.
struct Row {
    world: World,
    /// Breaks the row's rule and, where there is one, the next.
    faulty: Attempt,
    refused: Rejection,
    then: Then,
}

/// What a repair of the one fault leads to.
enum Then {
    /// The next rule that the event breaks, and the event without the first fault.
    Next(&'static str, Attempt),
    /// The same; the first fault was the world's.
    NextIn(&'static str, World, Attempt),
    /// No later rule can be broken together with it (and why); repaired, it is accepted.
    Last(&'static str, Attempt),
}

use Then::{Last, Next, NextIn};

#[test]
fn every_reason_has_its_row_and_its_place() {
    let rows = rows();
    let order: Vec<_> = rows.iter().map(|row| row.refused.number()).collect();
    let all: Vec<_> = R::ALL.iter().map(|(number, _)| *number).collect();
    assert_eq!(order, all, "one row for every reason, in the order of precedence");
    assert!(all.is_sorted(), "numbers ascend with precedence");

    let mut wrong = Vec::new();
    for row in rows {
        let reason = row.refused.reason();
        let found = row.world.judge(&row.faulty).map(drop);
        if found != Err(row.refused.clone()) {
            wrong.push(format!("{reason}: {found:?}"));
        }
        let (next, repaired) = match &row.then {
            Next(next, repaired) => (Some(*next), row.world.judge(repaired)),
            NextIn(next, world, repaired) => (Some(*next), world.judge(repaired)),
            Last(_, repaired) => (None, row.world.judge(repaired)),
        };
        let found = repaired.err().map(|refused| (refused.reason(), refused));
        if found.as_ref().map(|(name, _)| *name) != next {
            wrong.push(format!("{reason}, then {next:?}: {found:?}"));
        }
        if let Some(next) = next {
            let place = |name: &str| R::ALL.iter().position(|(_, known)| *known == name).unwrap();
            assert!(place(reason) < place(next), "{next} does not come after {reason}");
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn names_and_numbers_are_told_once() {
    let numbers: BTreeSet<_> = R::ALL.iter().map(|(number, _)| number).collect();
    let names: BTreeSet<_> = R::ALL.iter().map(|(_, name)| name).collect();
    assert_eq!((numbers.len(), names.len()), (R::ALL.len(), R::ALL.len()));
    for row in rows() {
        assert_eq!(snake(&format!("{:?}", row.refused)), row.refused.reason());
    }
}

/// `LotOnHold { .. }` as `LOT_ON_HOLD`.
fn snake(debug: &str) -> String {
    let variant = debug.split(' ').next().unwrap();
    let mut name = String::new();
    for (at, letter) in variant.chars().enumerate() {
        if letter.is_uppercase() && at > 0 {
            name.push('_');
        }
        name.push(letter.to_ascii_uppercase());
    }
    name
}

fn rows() -> Vec<Row> {
    let parts = [
        vec![origin_mismatch(), genesis_misplaced(), genesis_malformed()],
        vec![id_conflict(), already_recorded(), corrective_expected(), correctives_incomplete()],
        vec![tables_not_published(), corrective_nested(), actor_unknown(), key_unknown()],
        vec![signer_unexpected(), signer_missing(), key_not_valid(), key_revoked(), in_future()],
        vec![role_not_held(), licence_not_held(), site_unknown(), site_not_of_party()],
        vec![party_succeeded(), before_target()],
        vec![party_exists(), party_unknown(), code_invalid(), code_taken(), site_exists()],
        vec![region_unknown(), licence_exists(), licence_unknown(), waste_unknown()],
        vec![affiliation_exists(), affiliation_unknown(), key_exists(), already_revoked()],
        vec![registry_full(), chunk_unexpected(), tables_invalid(), waiver_not_possible()],
        vec![validity_empty(), succession_not_possible(), checkpoint_invalid(), material_unknown()],
        vec![form_unknown(), grade_unknown(), process_unknown(), process_not_at_site()],
        vec![campaign_exists(), campaign_unknown(), takes_no_more(), campaign_elsewhere()],
        vec![campaign_running(), lot_repeated(), lot_exists(), transfer_unknown()],
        vec![transfer_closed()],
        vec![not_the_consignee(), not_the_sender(), transfer_to_self(), received_mismatch()],
        vec![lot_unknown(), lot_retracted(), lot_not_held(), lot_not_owned(), lot_elsewhere()],
        vec![lot_on_hold(), before_lot(), hold_unknown(), hold_not_yours(), discrepancy()],
        vec![
            too_many_holds(),
            state_mismatch(),
            ore_forbidden(),
            certificate_missing(),
            manifest_missing(),
        ],
        vec![permit_missing(), approval_missing(), owners_differ(), classes_differ()],
        vec![insufficient(), weighing_mismatch(), not_conserved(), inconsistent()],
        vec![assay_missing(), element_gained(), opening_mismatch(), not_analysed()],
        vec![before_campaign(), mass_exceeded(), beyond_tolerance()],
        vec![hazardous_exit(), invoice_mismatch(), target_unknown(), target_not_yours()],
        vec![not_correctable(), target_corrected(), blocked(), records_full()],
        vec![credit_insufficient(), credit_claimed()],
    ];
    parts.into_iter().flatten().collect()
}

// --- ledger --------------------------------------------------------------------------------------

fn scrap(world: &mut World) -> Body {
    collect(new_lot(lot(world.fresh()), "CU", 1_000))
}

fn origin_mismatch() -> Row {
    let mut world = World::new();
    let body = scrap(&mut world);
    let mut repaired = world.attempt(COLLECTOR, body);
    repaired.index = Some(0);
    let mut faulty = repaired.clone();
    let found = Origin::parse("urbanmine.example/other").unwrap();
    faulty.event.origin = found.clone();
    let refused = R::OriginMismatch { expected: origin(), found };
    Row { world, faulty, refused, then: Next("GENESIS_MISPLACED", repaired) }
}

fn first_entry() -> Genesis {
    Genesis {
        ledger_key: public_key(200),
        tables_hash: Hash32([9; 32]),
        rules_version: RULES_VERSION,
        coordinator: party_record(COORD, PartyRole::Coordinator),
        coordinator_key: public_key(1),
        previous_checkpoint: String::new(),
    }
}

fn genesis_misplaced() -> Row {
    let mut world = World::new();
    let body = scrap(&mut world);
    let recorded = world.must(COLLECTOR, body);
    let mut faulty = world.attempt(COORD, Body::Genesis(first_entry()));
    faulty.event.id = recorded;
    let mut repaired = faulty.clone();
    repaired.event.body = scrap(&mut world);
    let index = EntryIndex(world.index);
    let refused = R::GenesisMisplaced { kind: EventKind::Genesis, index };
    Row { world, faulty, refused, then: Next("EVENT_ID_CONFLICT", repaired) }
}

fn genesis_malformed() -> Row {
    let mut world = World::new();
    world.state = MemoryState::default();
    let mut genesis = first_entry();
    genesis.coordinator.credit_code = "913607020000000010".to_owned();
    let mut repaired = world
        .attempt(COORD, Body::Genesis(genesis))
        .signed_by(&[key(COORD), key_of(public_key(200))]);
    repaired.index = Some(0);
    let faulty = repaired.clone().signed_by(&[key(COORD)]);
    let rule = "it is signed by the coordinator key and the ledger key, and by no other";
    let refused = R::GenesisMalformed { rule };
    Row { world, faulty, refused, then: Next("CREDIT_CODE_INVALID", repaired) }
}

/// A world that waits for a corrective, after an event that a collector recorded.
fn waiting_world() -> (World, EventId, EntryIndex) {
    let mut world = World::new();
    let body = scrap(&mut world);
    let recorded = world.must(COLLECTOR, body);
    world.ledger_mut().expected_correctives = vec![(event_id(1), Hash32([1; 32]))];
    let recorded_at = EntryIndex(world.index - 1);
    (world, recorded, recorded_at)
}

fn id_conflict() -> Row {
    let (mut world, event, recorded_at) = waiting_world();
    let body = scrap(&mut world);
    let repaired = world.attempt(COLLECTOR, body);
    let mut faulty = repaired.clone();
    faulty.event.id = event;
    let refused = R::EventIdConflict { event, recorded_at };
    Row { world, faulty, refused, then: Next("CORRECTIVE_EXPECTED", repaired) }
}

fn already_recorded() -> Row {
    let (mut world, event, recorded_at) = waiting_world();
    let body = scrap(&mut world);
    let repaired = world.attempt(COLLECTOR, body);
    let mut faulty = repaired.clone();
    faulty.event.id = event;
    world.state.events.get_mut(&event).unwrap().payload_hash = payload_hash(&faulty.event);
    let refused = R::EventAlreadyRecorded { event, recorded_at };
    Row { world, faulty, refused, then: Next("CORRECTIVE_EXPECTED", repaired) }
}

/// An event that declares an error and announces a corrective.
fn declaring(world: &mut World) -> Attempt {
    let body = scrap(world);
    let corrective = world.event(COLLECTOR, body);
    world.attempt(COLLECTOR, error(event_id(2), &[&corrective]))
}

fn corrective_expected() -> Row {
    let mut world = World::new();
    let repaired = declaring(&mut world);
    let faulty = declaring(&mut world);
    let (expected, found) = (repaired.event.id, faulty.event.id);
    world.ledger_mut().expected_correctives = vec![(expected, payload_hash(&repaired.event))];
    let refused = R::CorrectiveExpected { expected, found };
    Row { world, faulty, refused, then: Next("CORRECTIVES_INCOMPLETE", repaired) }
}

fn correctives_incomplete() -> Row {
    let mut world = World::new();
    let faulty = declaring(&mut world);
    world.ledger_mut().are_tables_published = false;
    let repaired = faulty.clone().followed_by(1);
    let refused = R::CorrectivesIncomplete { declared: 1, following: 0 };
    Row { world, faulty, refused, then: Next("TABLES_NOT_PUBLISHED", repaired) }
}

fn tables_not_published() -> Row {
    let mut world = World::new();
    let faulty = declaring(&mut world).followed_by(1);
    let expected = (faulty.event.id, payload_hash(&faulty.event));
    world.ledger_mut().expected_correctives = vec![expected];
    let published = world.clone();
    world.ledger_mut().are_tables_published = false;
    world.ledger_mut().publishing = Some((Hash32([9; 32]), 2, 3));
    let refused = R::TablesNotPublished { tables: Hash32([9; 32]), next_chunk: 2 };
    let then = NextIn("CORRECTIVE_NESTED", published, faulty.clone());
    Row { world, faulty, refused, then }
}

fn corrective_nested() -> Row {
    let mut world = World::new();
    let mut faulty = declaring(&mut world).followed_by(1);
    faulty.event.actor = NOBODY;
    let calm = world.clone();
    let expected = (faulty.event.id, payload_hash(&faulty.event));
    world.ledger_mut().expected_correctives = vec![expected];
    let refused = R::CorrectiveNested { event: faulty.event.id };
    let then = NextIn("ACTOR_UNKNOWN", calm, faulty.clone());
    Row { world, faulty, refused, then }
}

// --- who -----------------------------------------------------------------------------------------

fn actor_unknown() -> Row {
    let mut world = World::new();
    let body = scrap(&mut world);
    let repaired = world.attempt(COLLECTOR, body).signed_by(&[key(NOBODY)]);
    let mut faulty = repaired.clone();
    faulty.event.actor = NOBODY;
    let refused = R::ActorUnknown { actor: NOBODY };
    Row { world, faulty, refused, then: Next("KEY_UNKNOWN", repaired) }
}

fn key_unknown() -> Row {
    let mut world = World::new();
    let body = scrap(&mut world);
    let repaired = world.attempt(COLLECTOR, body).signed_by(&[key(SMELTER)]);
    let faulty = repaired.clone().signed_by(&[key(SMELTER), key(NOBODY)]);
    let refused = R::KeyUnknown { key: key(NOBODY) };
    Row { world, faulty, refused, then: Next("SIGNER_UNEXPECTED", repaired) }
}

fn signer_unexpected() -> Row {
    let mut world = World::new();
    let body = scrap(&mut world);
    let faulty = world.attempt(COLLECTOR, body).signed_by(&[key(SMELTER)]);
    let repaired = faulty.clone().signed_by(&[]);
    let refused = R::SignerUnexpected { key: key(SMELTER), party: SMELTER };
    Row { world, faulty, refused, then: Next("SIGNER_MISSING", repaired) }
}

const FAR_FUTURE: TimeMs = TimeMs::of(START_MS * 2);

/// One party signs each kind of today: without its signature there is no key that could be unsound.
fn signer_missing() -> Row {
    let mut world = World::new();
    let body = scrap(&mut world);
    let mut repaired = world.attempt(COLLECTOR, body);
    repaired.event.occurred_at = FAR_FUTURE;
    let faulty = repaired.clone().signed_by(&[]);
    let refused = R::SignerMissing { party: COLLECTOR };
    Row { world, faulty, refused, then: Next("OCCURRED_IN_FUTURE", repaired) }
}

/// A key of the collector that is valid up to the start, and revoked.
fn spent_key(world: &mut World) -> urbanmine::domain::KeyId {
    let until = Validity { from: TimeMs::of(5), to: Some(TimeMs::of(START_MS)) };
    let id = world.add_key(COLLECTOR, 77, until);
    let state = world.state.keys.get_mut(&id).unwrap();
    state.revoked = Some((TimeMs::of(8), EntryIndex(50)));
    id
}

fn key_not_valid() -> Row {
    let mut world = World::new();
    let key = spent_key(&mut world);
    let body = scrap(&mut world);
    let mut faulty = world.attempt(COLLECTOR, body).signed_by(&[key]);
    let mut repaired = faulty.clone();
    // Half-open: the first moment outside is outside.
    faulty.event.occurred_at = TimeMs::of(START_MS);
    repaired.event.occurred_at = TimeMs::of(START_MS - 1);
    let (occurred_at, from) = (TimeMs::of(START_MS), TimeMs::of(5));
    let refused = R::KeyNotValid { key, occurred_at, from, to: Some(TimeMs::of(START_MS)) };
    Row { world, faulty, refused, then: Next("KEY_REVOKED", repaired) }
}

fn key_revoked() -> Row {
    let mut world = World::new();
    let revoked = world.add_key(COLLECTOR, 78, EVER);
    let state = world.state.keys.get_mut(&revoked).unwrap();
    state.revoked = Some((TimeMs::of(8), EntryIndex(50)));
    let body = scrap(&mut world);
    let mut repaired = world.attempt(COLLECTOR, body);
    repaired.event.occurred_at = FAR_FUTURE;
    let faulty = repaired.clone().signed_by(&[revoked]);
    let by = EntryIndex(50);
    let refused = R::KeyRevoked { key: revoked, revoked_at: TimeMs::of(8), by };
    Row { world, faulty, refused, then: Next("OCCURRED_IN_FUTURE", repaired) }
}

fn in_future() -> Row {
    let mut world = World::new();
    let body = scrap(&mut world);
    let mut faulty = world.attempt(AUDITOR, body);
    let recorded_at = TimeMs::of(world.now);
    let mut repaired = faulty.clone();
    repaired.event.occurred_at = TimeMs::of(world.now + 300_000);
    let occurred_at = TimeMs::of(world.now + 300_001);
    faulty.event.occurred_at = occurred_at;
    let refused = R::OccurredInFuture { occurred_at, recorded_at, skew_ms: 300_000 };
    Row { world, faulty, refused, then: Next("ROLE_NOT_HELD", repaired) }
}

fn role_not_held() -> Row {
    let mut world = World::new();
    let output = made(lot(world.fresh()), "CU", 10);
    let body = |process| {
        let melt = transforming(process, &[draw(lot(1), 10)], std::slice::from_ref(&output));
        Body::TransformLots(Box::new(melt))
    };
    let faulty = world.attempt(DISMANTLER, body("MELT"));
    let repaired = world.attempt(DISMANTLER, body("REFINE"));
    let refused = R::RoleNotHeld { party: DISMANTLER, action: "run this process" };
    Row { world, faulty, refused, then: Next("LICENCE_NOT_HELD", repaired) }
}

const NOWHERE: SiteId = SiteId::from_bytes([251; 16]);

fn licence_not_held() -> Row {
    let mut world = World::new();
    let body = scrap(&mut world);
    let mut faulty = world.attempt(DISMANTLER, body.clone());
    faulty.event.site = Some(NOWHERE);
    let mut repaired = world.attempt(COLLECTOR, body);
    repaired.event.site = Some(NOWHERE);
    let refused = R::LicenceNotHeld {
        party: DISMANTLER,
        action: "COLLECT_LOT",
        needed: LicenceKind::RenewableResourceRecycling,
    };
    Row { world, faulty, refused, then: Next("SITE_UNKNOWN", repaired) }
}

fn site_unknown() -> Row {
    let mut world = World::new();
    let mut offered = offering(lot(1), 10, SMELTER, TransferScope::Custody);
    let mut repaired = world.attempt(COLLECTOR, Body::OfferTransfer(offered.clone()));
    repaired.event.site = Some(site(SMELTER));
    let mut faulty = repaired.clone();
    offered.consignee_site = Some(NOWHERE);
    faulty.event.body = Body::OfferTransfer(offered);
    let refused = R::SiteUnknown { site: NOWHERE };
    Row { world, faulty, refused, then: Next("SITE_NOT_OF_PARTY", repaired) }
}

fn site_not_of_party() -> Row {
    let mut world = World::new();
    let record = party_record(SMELTER, PartyRole::Smelter);
    let repaired = world.attempt(COORD, Body::RegisterParty(record));
    let mut faulty = repaired.clone();
    faulty.event.site = Some(site(SMELTER));
    let refused = R::SiteNotOfParty { site: site(SMELTER), party: COORD, owner: SMELTER };
    Row { world, faulty, refused, then: Next("PARTY_EXISTS", repaired) }
}

fn party_succeeded() -> Row {
    let mut world = World::new();
    let calm = world.clone();
    world.must(COORD, succeeding(COLLECTOR, SMELTER));
    let since = TimeMs::of(world.now);
    let mut new = new_lot(lot(1), "CU", 10);
    new.material = "NIL".to_owned();
    let faulty = world.attempt(COLLECTOR, collect(new));
    let refused = R::PartySucceeded { party: COLLECTOR, successor: SMELTER, since };
    let mut calm = calm;
    calm.now = world.now;
    let then = NextIn("MATERIAL_UNKNOWN", calm, faulty.clone());
    Row { world, faulty, refused, then }
}

/// A claim of the smelter, for copper that it used up under mass balance.
fn claimed(world: &mut World) -> (EventId, EventId) {
    let used = world.balanced(SMELTER, 100);
    let mut output = made(lot(world.fresh()), "CU_FINE", 100);
    output.composition = Some(assay(&[(Substance::Cu, 50_000_000)]));
    let body = transforming("REFINE", &[draw(used, 100)], &[output]);
    let melted = world.must(SMELTER, Body::TransformLots(Box::new(body)));
    let month = Month::of(TimeMs::of(world.now));
    let claim = world.must(SMELTER, claiming(SMELTER, 20, month, month.next()));
    (melted, claim)
}

fn before_target() -> Row {
    let mut world = World::new();
    let (_, target) = claimed(&mut world);
    let last = world.state.events[&target].occurred_at;
    let mut faulty = world.attempt(TRADER, error(target, &[]));
    let repaired = faulty.clone();
    let occurred_at = TimeMs::of(last.get() - 1);
    faulty.event.occurred_at = occurred_at;
    let refused = R::EventBeforeTarget { target, last, occurred_at };
    Row { world, faulty, refused, then: Next("TARGET_NOT_YOURS", repaired) }
}

// --- registry ------------------------------------------------------------------------------------

/// A code whose check character is not the right one, and what it would have to be.
fn bad_code(n: u8) -> (String, char) {
    let good = credit_code(n);
    let expected = good.chars().last().unwrap();
    let wrong = if expected == '0' { '1' } else { '0' };
    (format!("{}{wrong}", &good[..17]), expected)
}

fn coded(n: u8, code: String) -> Party {
    Party { credit_code: code, ..party_record(party(n), PartyRole::Trader) }
}

fn party_exists() -> Row {
    let mut world = World::new();
    let code = bad_code(50).0;
    let faulty = world.attempt(COORD, Body::RegisterParty(coded(3, code.clone())));
    let repaired = world.attempt(COORD, Body::RegisterParty(coded(50, code)));
    let refused = R::PartyExists { party: SMELTER };
    Row { world, faulty, refused, then: Next("CREDIT_CODE_INVALID", repaired) }
}

fn party_unknown() -> Row {
    let mut world = World::new();
    let code = bad_code(50).0;
    let faulty = world.attempt(COORD, Body::AmendParty(coded(50, code.clone())));
    let repaired = world.attempt(COORD, Body::AmendParty(coded(3, code)));
    let refused = R::PartyUnknown { party: party(50) };
    Row { world, faulty, refused, then: Next("CREDIT_CODE_INVALID", repaired) }
}

fn code_invalid() -> Row {
    let mut world = World::new();
    let (code, expected) = bad_code(3);
    // As after a waiver: a code that fails its check digit, and has a party.
    world.state.credit_codes.insert(code.clone(), SMELTER);
    let faulty = world.attempt(COORD, Body::RegisterParty(coded(50, code.clone())));
    let repaired = world.attempt(COORD, Body::RegisterParty(coded(50, credit_code(3))));
    let refused = R::CreditCodeInvalid { code, expected };
    Row { world, faulty, refused, then: Next("CREDIT_CODE_TAKEN", repaired) }
}

fn code_taken() -> Row {
    let mut world = World::new();
    let faulty = world.attempt(COORD, Body::AmendParty(coded(3, credit_code(2))));
    let repaired = world.attempt(COORD, Body::AmendParty(coded(3, credit_code(3))));
    let refused = R::CreditCodeTaken { code: credit_code(2), by: COLLECTOR };
    let then = Last("a party's record is judged by its code alone", repaired);
    Row { world, faulty, refused, then }
}

fn place(id: SiteId, region: &str, process: &str) -> Site {
    Site { processes: vec![process.to_owned()], ..site_record(id, SMELTER, region) }
}

fn site_exists() -> Row {
    let mut world = World::new();
    let known = place(site(SMELTER), "999999", "MELT");
    let faulty = world.attempt(COORD, Body::RegisterSite(known));
    let new = place(NOWHERE, "999999", "MELT");
    let repaired = world.attempt(COORD, Body::RegisterSite(new));
    let refused = R::SiteExists { site: site(SMELTER) };
    Row { world, faulty, refused, then: Next("REGION_UNKNOWN", repaired) }
}

fn region_unknown() -> Row {
    let mut world = World::new();
    let mut body = collecting(new_lot(lot(world.fresh()), "NIL", 10));
    let mut repaired = world.attempt(COLLECTOR, Body::CollectLot(Box::new(body.clone())));
    body.origin_region = "999999".to_owned();
    let mut faulty = repaired.clone();
    faulty.event.body = Body::CollectLot(Box::new(body));
    repaired.event.id = event_id(world.fresh());
    let at = faulty.event.occurred_at;
    let refused = R::RegionUnknown { code: "999999".to_owned(), at };
    Row { world, faulty, refused, then: Next("MATERIAL_UNKNOWN", repaired) }
}

fn licence_exists() -> Row {
    let mut world = World::new();
    let mut licence = waste_licence(1);
    licence.waste_codes = vec!["000-000-00".to_owned()];
    let faulty = world.attempt(COORD, Body::RegisterLicence(SMELTER, licence.clone()));
    licence.id = LicenceId::from_bytes([2; 16]);
    let repaired = world.attempt(COORD, Body::RegisterLicence(SMELTER, licence));
    let refused = R::LicenceExists { licence: LicenceId::from_bytes([1; 16]) };
    Row { world, faulty, refused, then: Next("WASTE_CODE_UNKNOWN", repaired) }
}

fn licence_unknown() -> Row {
    let mut world = World::new();
    let mut licence = waste_licence(2);
    licence.waste_codes = vec!["000-000-00".to_owned()];
    let faulty = world.attempt(COORD, Body::AmendLicence(SMELTER, licence.clone()));
    licence.id = LicenceId::from_bytes([1; 16]);
    let repaired = world.attempt(COORD, Body::AmendLicence(SMELTER, licence));
    let refused = R::LicenceUnknown { licence: LicenceId::from_bytes([2; 16]) };
    Row { world, faulty, refused, then: Next("WASTE_CODE_UNKNOWN", repaired) }
}

fn waste_unknown() -> Row {
    let mut world = World::new();
    let state = Arc::make_mut(world.state.parties.get_mut(&SMELTER).unwrap());
    state.licences = (0..u8::try_from(MAX_LICENCES).unwrap()).map(waste_licence).collect();
    let mut licence = waste_licence(99);
    let repaired = world.attempt(COORD, Body::RegisterLicence(SMELTER, licence.clone()));
    licence.waste_codes = vec!["000-000-00".to_owned()];
    let faulty = world.attempt(COORD, Body::RegisterLicence(SMELTER, licence));
    let refused = R::WasteCodeUnknown { code: "000-000-00".to_owned() };
    Row { world, faulty, refused, then: Next("REGISTRY_FULL", repaired) }
}

fn affiliation(n: u8) -> Affiliation {
    Affiliation {
        id: AffiliationId::from_bytes([n; 16]),
        kind: AffiliationKind::GoldenShare,
        group: Some(COORD),
        validity: EVER,
    }
}

fn affiliation_exists() -> Row {
    let mut world = World::new();
    let state = Arc::make_mut(world.state.parties.get_mut(&SMELTER).unwrap());
    state.affiliations = (0..u8::try_from(MAX_AFFILIATIONS).unwrap()).map(affiliation).collect();
    let faulty = world.attempt(COORD, Body::RegisterAffiliation(SMELTER, affiliation(0)));
    let repaired = world.attempt(COORD, Body::RegisterAffiliation(SMELTER, affiliation(99)));
    let refused = R::AffiliationExists { affiliation: AffiliationId::from_bytes([0; 16]) };
    Row { world, faulty, refused, then: Next("REGISTRY_FULL", repaired) }
}

fn affiliation_unknown() -> Row {
    let mut world = World::new();
    world.must(COORD, Body::RegisterAffiliation(SMELTER, affiliation(1)));
    let faulty = world.attempt(COORD, Body::AmendAffiliation(SMELTER, affiliation(2)));
    let repaired = world.attempt(COORD, Body::AmendAffiliation(SMELTER, affiliation(1)));
    let refused = R::AffiliationUnknown { affiliation: AffiliationId::from_bytes([2; 16]) };
    let then = Last("an amendment takes no room, and the group was asked before", repaired);
    Row { world, faulty, refused, then }
}

fn new_key(n: u8) -> Body {
    let public_key = public_key(n);
    Body::RegisterKey(RegisterKey { party: SMELTER, public_key, validity: EVER })
}

fn key_exists() -> Row {
    let mut world = World::new();
    let state = Arc::make_mut(world.state.parties.get_mut(&SMELTER).unwrap());
    state.keys = vec![key(SMELTER); MAX_KEYS];
    let faulty = world.attempt(COORD, new_key(200));
    let repaired = world.attempt(COORD, new_key(201));
    // The ledger's own key counts as one that exists.
    let refused = R::KeyExists { key: key_of(public_key(200)) };
    Row { world, faulty, refused, then: Next("REGISTRY_FULL", repaired) }
}

fn revoke(key: urbanmine::domain::KeyId) -> Body {
    Body::RevokeKey(RevokeKey { key, revoked_at: TimeMs::of(8), reason: "lost".to_owned() })
}

fn already_revoked() -> Row {
    let mut world = World::new();
    world.must(COORD, revoke(key(SMELTER)));
    let by = EntryIndex(world.index - 1);
    let faulty = world.attempt(COORD, revoke(key(SMELTER)));
    let repaired = world.attempt(COORD, revoke(key(LAB)));
    let refused = R::KeyAlreadyRevoked { key: key(SMELTER), by };
    Row { world, faulty, refused, then: Last("nothing else is asked of a key", repaired) }
}

fn registry_full() -> Row {
    let mut world = World::new();
    let state = Arc::make_mut(world.state.parties.get_mut(&SMELTER).unwrap());
    state.affiliations = (0..u8::try_from(MAX_AFFILIATIONS).unwrap()).map(affiliation).collect();
    let faulty = world.attempt(COORD, Body::RegisterAffiliation(SMELTER, affiliation(99)));
    let repaired = world.attempt(COORD, Body::RegisterAffiliation(LAB, affiliation(99)));
    let refused = R::RegistryFull { what: "affiliations", limit: MAX_AFFILIATIONS };
    Row { world, faulty, refused, then: Last("room is asked last", repaired) }
}

fn chunk(set: Hash32, chunk_index: u32, chunk_count: u32, content: &[u8]) -> Body {
    let content = content.to_vec();
    Body::PublishTables(PublishTables { tables_hash: set, chunk_index, chunk_count, content })
}

fn chunk_unexpected() -> Row {
    let mut world = World::new();
    let set = Hash32([7; 32]);
    world.ledger_mut().publishing = Some((set, 2, 3));
    let faulty = world.attempt(COORD, chunk(set, 1, 3, b"x"));
    let repaired = world.attempt(COORD, chunk(set, 2, 3, b"x"));
    let refused = R::TableChunkUnexpected { expected: 2, found: 1 };
    Row { world, faulty, refused, then: Next("TABLES_INVALID", repaired) }
}

fn tables_invalid() -> Row {
    let mut world = World::new();
    let faulty = world.attempt(COORD, chunk(Hash32([7; 32]), 0, 1, b"x"));
    // The first of two chunks: a set is judged when it is whole.
    let repaired = world.attempt(COORD, chunk(sha256(b"xy"), 0, 2, b"x"));
    let detail = "its SHA-256 is not the one that its chunks announce".to_owned();
    let refused = R::TablesInvalid { detail };
    Row { world, faulty, refused, then: Last("tables are judged last", repaired) }
}

fn waiver_not_possible() -> Row {
    let mut world = World::new();
    let waive = |reason: &str| {
        let (reason_code, subject) = (reason.to_owned(), "91350211M0000XUF46".to_owned());
        let valid_to = Some(TimeMs::of(START_MS));
        Body::Waiver(Waiver { reason_code, subject, valid_to })
    };
    let faulty = world.attempt(COORD, waive("ORE_FORBIDDEN"));
    let repaired = world.attempt(COORD, waive("CREDIT_CODE_INVALID"));
    let refused = R::WaiverNotPossible { reason_code: "ORE_FORBIDDEN".to_owned() };
    Row { world, faulty, refused, then: Next("VALIDITY_EMPTY", repaired) }
}

fn validity_empty() -> Row {
    let mut world = World::new();
    let mut faulty = world.attempt(COORD, approving(lot(1), COLLECTOR, SMELTER, 10));
    let mut repaired = faulty.clone();
    let occurred_at = faulty.event.occurred_at;
    for (attempt, valid_to) in [(&mut faulty, occurred_at), (&mut repaired, later(occurred_at))] {
        let Body::Approval(approval) = &mut attempt.event.body else { unreachable!() };
        approval.valid_to = Some(valid_to);
    }
    let refused = R::ValidityEmpty { valid_to: occurred_at, occurred_at };
    Row { world, faulty, refused, then: Next("LOT_UNKNOWN", repaired) }
}

fn succession_not_possible() -> Row {
    let mut world = World::new();
    let faulty = world.attempt(COORD, succeeding(COORD, SMELTER));
    let repaired = world.attempt(COORD, succeeding(COLLECTOR, SMELTER));
    let refused = R::SuccessionNotPossible {
        party: COORD,
        successor: SMELTER,
        rule: "a coordinator does not sign its own succession",
    };
    Row { world, faulty, refused, then: Last("the last rule of a succession", repaired) }
}

fn checkpoint_invalid() -> Row {
    let mut world = World::new();
    let key = urbanmine::ledger::SigningKey::from_seed([9; 32]);
    world.ledger_mut().ledger_key = key.public_key();
    let attested = |size: u64| {
        let root = Hash32([1; 32]);
        let checkpoint = Checkpoint { origin: origin(), size: EntryCount(size), root };
        let checkpoint = checkpoint.sign(&key).text().to_owned();
        let (scope, result) = ("all".to_owned(), AttestResult::Passed);
        Body::Attest(Attest { scope, checkpoint, result })
    };
    let faulty = world.attempt(AUDITOR, attested(world.index + 1));
    let repaired = world.attempt(AUDITOR, attested(world.index));
    let detail = "it is of 101 entries, and 100 are recorded before this one".to_owned();
    let refused = R::CheckpointInvalid { detail };
    Row { world, faulty, refused, then: Last("the last rule of an attestation", repaired) }
}

fn later(time: TimeMs) -> TimeMs {
    TimeMs::of(time.get() + 1)
}

// --- codes ---------------------------------------------------------------------------------------

fn material_unknown() -> Row {
    let mut world = World::new();
    let mut new = new_lot(lot(world.fresh()), "OLD", 10);
    new.form = "NIL".to_owned();
    world.now = OLD_UNTIL_MS;
    let mut faulty = world.attempt(COLLECTOR, collect(new));
    let mut repaired = faulty.clone();
    faulty.event.occurred_at = TimeMs::of(OLD_UNTIL_MS);
    repaired.event.occurred_at = TimeMs::of(OLD_UNTIL_MS - 1);
    let refused = R::MaterialUnknown { code: "OLD".to_owned() };
    Row { world, faulty, refused, then: Next("FORM_UNKNOWN", repaired) }
}

fn graded(id: LotId, code: &str) -> urbanmine::domain::event::NewLot {
    let (scheme, code) = ("ReMA".to_owned(), code.to_owned());
    let mut new = made(id, "CU", 10);
    new.grades = vec![urbanmine::domain::event::GradeRef { scheme, code }];
    new
}

fn form_unknown() -> Row {
    let mut world = World::new();
    let mut new = graded(lot(world.fresh()), "Nil");
    new.origin_kind = Some(OriginKind::PostConsumer);
    let repaired = world.attempt(COLLECTOR, collect(new.clone()));
    new.form = "NIL".to_owned();
    let faulty = world.attempt(COLLECTOR, collect(new));
    let refused = R::FormUnknown { code: "NIL".to_owned() };
    Row { world, faulty, refused, then: Next("GRADE_UNKNOWN", repaired) }
}

fn melt(process: &str, from: &[LotId], output: urbanmine::domain::event::NewLot) -> Body {
    let inputs: Vec<_> = from.iter().map(|id| draw(*id, 10)).collect();
    Body::TransformLots(Box::new(transforming(process, &inputs, &[output])))
}

fn grade_unknown() -> Row {
    let mut world = World::new();
    let id = lot(world.fresh());
    let faulty = world.attempt(SMELTER, melt("NIL", &[lot(1)], graded(id, "Nil")));
    let repaired = world.attempt(SMELTER, melt("NIL", &[lot(1)], graded(id, "Birch")));
    let refused = R::GradeUnknown { scheme: "ReMA".to_owned(), code: "Nil".to_owned() };
    Row { world, faulty, refused, then: Next("PROCESS_UNKNOWN", repaired) }
}

/// A process that is not known is registered for no site: 153 and 154 exclude one another.
fn process_unknown() -> Row {
    let mut world = World::new();
    let output = made(lot(world.fresh()), "CU", 10);
    let twice = [lot(1), lot(1)];
    let faulty = world.attempt(SMELTER, melt("NIL", &twice, output.clone()));
    let repaired = world.attempt(SMELTER, melt("MELT", &twice, output));
    let refused = R::ProcessUnknown { code: "NIL".to_owned() };
    Row { world, faulty, refused, then: Next("LOT_REPEATED", repaired) }
}

fn process_not_at_site() -> Row {
    let mut world = World::new();
    let here = Arc::make_mut(world.state.sites.get_mut(&site(SMELTER)).unwrap());
    here.processes = vec!["MELT".to_owned()];
    let output = made(lot(world.fresh()), "CU", 10);
    let twice = [lot(1), lot(1)];
    let faulty = world.attempt(SMELTER, melt("REFINE", &twice, output.clone()));
    let repaired = world.attempt(SMELTER, melt("MELT", &twice, output));
    let refused = R::ProcessNotAtSite { code: "REFINE".to_owned(), site: site(SMELTER) };
    Row { world, faulty, refused, then: Next("LOT_REPEATED", repaired) }
}

// --- campaigns -----------------------------------------------------------------------------------

/// A campaign of copper refining at the smelter, with 100 g charged, half of it copper.
fn running(world: &mut World) -> CampaignId {
    let id = campaign(world.fresh());
    world.must(SMELTER, open(id, "REFINE"));
    let copper = world.copper(SMELTER, 100);
    world.must(SMELTER, charge(id, &[draw(copper, 100)]));
    id
}

/// The same, closed with 40 g of stock.
fn closed(world: &mut World) -> CampaignId {
    let id = running(world);
    world.must(SMELTER, Body::CloseCampaign(ending(id, 40, 50_000_000, 60)));
    id
}

fn campaign_exists() -> Row {
    let mut world = World::new();
    let id = running(&mut world);
    let other = campaign(world.fresh());
    let faulty = world.attempt(SMELTER, open(id, "REFINE"));
    let repaired = world.attempt(SMELTER, open(other, "REFINE"));
    let refused = R::CampaignExists { campaign: id };
    Row { world, faulty, refused, then: Next("CAMPAIGN_RUNNING", repaired) }
}

/// What is not known is neither closed nor elsewhere.
fn campaign_unknown() -> Row {
    let mut world = World::new();
    let id = running(&mut world);
    let twice = [draw(lot(1), 5), draw(lot(1), 5)];
    let faulty = world.attempt(SMELTER, charge(campaign(1), &twice));
    let repaired = world.attempt(SMELTER, charge(id, &twice));
    let refused = R::CampaignUnknown { campaign: campaign(1) };
    Row { world, faulty, refused, then: Next("LOT_REPEATED", repaired) }
}

fn takes_no_more() -> Row {
    let mut world = World::new();
    let over = closed(&mut world);
    let id = campaign(world.fresh());
    let mut next = opening(id, "REFINE", 40);
    next.opening_composition = Some(assay(&[(Substance::Cu, 50_000_000)]));
    world.must(SMELTER, Body::OpenCampaign(next));
    let mut faulty = world.attempt(SMELTER, charge(over, &[draw(lot(1), 5)]));
    let mut repaired = world.attempt(SMELTER, charge(id, &[draw(lot(1), 5)]));
    faulty.event.site = Some(far_site(SMELTER));
    repaired.event.site = Some(far_site(SMELTER));
    let refused = R::CampaignTakesNoMore { campaign: over, rule: "it is closed" };
    Row { world, faulty, refused, then: Next("CAMPAIGN_ELSEWHERE", repaired) }
}

fn campaign_elsewhere() -> Row {
    let mut world = World::new();
    let id = running(&mut world);
    let repaired = world.attempt(SMELTER, charge(id, &[draw(lot(1), 5), draw(lot(1), 5)]));
    let mut faulty = repaired.clone();
    faulty.event.site = Some(far_site(SMELTER));
    let (site, event_site) = (site(SMELTER), far_site(SMELTER));
    let refused = R::CampaignElsewhere { campaign: id, site, event_site };
    Row { world, faulty, refused, then: Next("LOT_REPEATED", repaired) }
}

fn campaign_running() -> Row {
    let mut world = World::new();
    let id = running(&mut world);
    let other = campaign(world.fresh());
    let stock = Body::OpenCampaign(opening(other, "REFINE", 41));
    let faulty = world.attempt(SMELTER, stock.clone());
    let mut after = world.clone();
    after.must(SMELTER, Body::CloseCampaign(ending(id, 40, 50_000_000, 60)));
    let repaired = after.attempt(SMELTER, stock);
    let (process, site) = ("REFINE".to_owned(), site(SMELTER));
    let refused = R::CampaignRunning { campaign: id, process, site };
    Row { world, faulty, refused, then: NextIn("OPENING_STOCK_MISMATCH", after, repaired) }
}

fn opening_mismatch() -> Row {
    let mut world = World::new();
    closed(&mut world);
    let id = campaign(world.fresh());
    let with = |world: &mut World, grams| {
        let mut body = opening(id, "REFINE", grams);
        body.opening_composition = Some(assay(TOO_MUCH));
        world.attempt(SMELTER, Body::OpenCampaign(body))
    };
    let faulty = with(&mut world, 41);
    let repaired = with(&mut world, 40);
    let (stated, expected) = (Grams::of(41), Grams::of(40));
    let refused = R::OpeningStockMismatch { campaign: id, substance: None, stated, expected };
    Row { world, faulty, refused, then: Next("CAMPAIGN_NOT_ANALYSED", repaired) }
}

fn not_analysed() -> Row {
    let mut world = World::new();
    let id = running(&mut world);
    let mut body = ending(id, 40, 50_000_000, 60);
    let mut repaired = world.attempt(SMELTER, Body::CloseCampaign(body.clone()));
    body.closing_composition = Some(assay(&[(Substance::Al, 0)]));
    let mut faulty = world.attempt(SMELTER, Body::CloseCampaign(body));
    for attempt in [&mut faulty, &mut repaired] {
        attempt.event.occurred_at = TimeMs::of(START_MS);
    }
    let detail = "what is in process has no value for CU, which is balanced".to_owned();
    let refused = R::CampaignNotAnalysed { campaign: id, detail };
    Row { world, faulty, refused, then: Next("EVENT_BEFORE_CAMPAIGN", repaired) }
}

fn before_campaign() -> Row {
    let mut world = World::new();
    let id = running(&mut world);
    let last = world.state.campaigns[&id].last_occurred_at;
    let mut repaired = world.attempt(SMELTER, Body::CloseCampaign(ending(id, 0, 0, 100)));
    repaired.event.occurred_at = last;
    let mut faulty = repaired.clone();
    let occurred_at = TimeMs::of(last.get() - 1);
    faulty.event.occurred_at = occurred_at;
    let refused = R::EventBeforeCampaign { campaign: id, last, occurred_at };
    Row { world, faulty, refused, then: Last("the last rule of a campaign", repaired) }
}

// --- lots and transfers --------------------------------------------------------------------------

fn stock(lots: &[LotId]) -> Body {
    let lots = lots.iter().map(|id| new_lot(*id, "CU", 10)).collect();
    Body::OpeningInventory(OpeningInventory { party: COLLECTOR, lots })
}

fn lot_repeated() -> Row {
    let mut world = World::new();
    let known = world.copper(COLLECTOR, 10);
    let faulty = world.attempt(COORD, stock(&[known, known]));
    let repaired = world.attempt(COORD, stock(&[known, lot(1)]));
    let refused = R::LotRepeated { lot: known };
    Row { world, faulty, refused, then: Next("LOT_EXISTS", repaired) }
}

fn lot_exists() -> Row {
    let mut world = World::new();
    let known = world.copper(COLLECTOR, 10);
    let faulty = world.attempt(SMELTER, accept(event_id(1), 10, Some(known)));
    let repaired = world.attempt(SMELTER, accept(event_id(1), 10, Some(lot(1))));
    Row {
        world,
        faulty,
        refused: R::LotExists { lot: known },
        then: Next("TRANSFER_UNKNOWN", repaired),
    }
}

/// Copper of the collector, and 100 g of it on offer to the smelter.
fn offered(grams: u64) -> (World, LotId, EventId) {
    let mut world = World::new();
    let known = world.copper(COLLECTOR, grams);
    let offer = world.must(COLLECTOR, offer(known, 100, SMELTER));
    (world, known, offer)
}

fn transfer_unknown() -> Row {
    let (mut world, _, offer) = offered(100);
    let faulty = world.attempt(SMELTER, accept(event_id(1), 100, None));
    let repaired = world.attempt(SMELTER, accept(offer, 100, None));
    let refused = R::TransferUnknown { offer: event_id(1) };
    Row { world, faulty, refused, then: Last("all later rules ask for its transfer", repaired) }
}

fn closing(offer: EventId) -> CloseTransfer {
    CloseTransfer { offer, reason: TransferReason::Quality, note: String::new() }
}

fn transfer_closed() -> Row {
    let (mut world, known, first) = offered(100);
    world.must(SMELTER, Body::RejectTransfer(closing(first)));
    let second = world.must(COLLECTOR, offer(known, 50, SMELTER));
    let faulty = world.attempt(TRADER, accept(first, 100, None));
    let repaired = world.attempt(TRADER, accept(second, 100, None));
    let refused = R::TransferClosed { offer: first };
    Row { world, faulty, refused, then: Next("NOT_THE_CONSIGNEE", repaired) }
}

fn not_the_consignee() -> Row {
    let (mut world, _, offer) = offered(100);
    let faulty = world.attempt(TRADER, accept(offer, 100, Some(lot(1))));
    let repaired = world.attempt(SMELTER, accept(offer, 100, Some(lot(1))));
    let refused = R::NotTheConsignee { offer, consignee: SMELTER, actor: TRADER };
    Row { world, faulty, refused, then: Next("RECEIVED_LOT_MISMATCH", repaired) }
}

fn not_the_sender() -> Row {
    let (mut world, _, offer) = offered(100);
    let mut faulty = world.attempt(SMELTER, Body::CancelTransfer(closing(offer)));
    faulty.event.occurred_at = TimeMs::of(START_MS);
    let mut repaired = world.attempt(COLLECTOR, Body::CancelTransfer(closing(offer)));
    repaired.event.occurred_at = TimeMs::of(START_MS);
    let refused = R::NotTheSender { offer, sender: COLLECTOR, actor: SMELTER };
    Row { world, faulty, refused, then: Next("EVENT_BEFORE_LOT", repaired) }
}

fn transfer_to_self() -> Row {
    let mut world = World::new();
    let faulty = world.attempt(COLLECTOR, offer(lot(1), 10, COLLECTOR));
    let repaired = world.attempt(COLLECTOR, offer(lot(1), 10, SMELTER));
    let refused = R::TransferToSelf { party: COLLECTOR };
    Row { world, faulty, refused, then: Next("LOT_UNKNOWN", repaired) }
}

fn received_mismatch() -> Row {
    let (mut world, _, offer) = offered(200);
    let mut faulty = world.attempt(SMELTER, accept(offer, 100, None));
    let mut repaired = world.attempt(SMELTER, accept(offer, 100, Some(lot(1))));
    faulty.event.site = Some(far_site(SMELTER));
    repaired.event.site = Some(far_site(SMELTER));
    let rule = "a part of the lot moves: received_lot_id names it";
    let refused = R::ReceivedLotMismatch { offer, rule };
    Row { world, faulty, refused, then: Next("LOT_ELSEWHERE", repaired) }
}

/// A lot whose birth was declared an error, and the event that did.
fn retracted(world: &mut World, of: urbanmine::domain::PartyId) -> (LotId, EventId) {
    let known = world.copper(of, 100);
    let born_by = world.lot_state(known).born_by;
    let by = world.must(of, error(born_by, &[]));
    (known, by)
}

fn merging(parents: &[(LotId, u64)], output: urbanmine::domain::event::NewLot) -> Body {
    let parents = parents.iter().map(|(id, grams)| draw(*id, *grams)).collect();
    Body::MergeLots(Box::new(MergeLots { parents, output }))
}

fn lot_unknown() -> Row {
    let mut world = World::new();
    let (gone, _) = retracted(&mut world, COLLECTOR);
    let known = world.copper(COLLECTOR, 100);
    let output = made(lot(world.fresh()), "CU", 20);
    let body = merging(&[(gone, 10), (lot(1), 10)], output.clone());
    let faulty = world.attempt(COLLECTOR, body);
    let repaired = world.attempt(COLLECTOR, merging(&[(gone, 10), (known, 10)], output));
    let refused = R::LotUnknown { lot: lot(1) };
    Row { world, faulty, refused, then: Next("LOT_RETRACTED", repaired) }
}

fn lot_retracted() -> Row {
    let mut world = World::new();
    let stray = world.copper(SMELTER, 100);
    let (gone, by) = retracted(&mut world, COLLECTOR);
    let known = world.copper(COLLECTOR, 100);
    let output = made(lot(world.fresh()), "CU", 20);
    let body = merging(&[(stray, 10), (gone, 10)], output.clone());
    let faulty = world.attempt(COLLECTOR, body);
    let repaired = world.attempt(COLLECTOR, merging(&[(stray, 10), (known, 10)], output));
    let refused = R::LotRetracted { lot: gone, by };
    Row { world, faulty, refused, then: Next("LOT_NOT_HELD", repaired) }
}

fn lot_not_held() -> Row {
    let mut world = World::new();
    let known = world.copper(SMELTER, 100);
    let faulty = world.attempt(COLLECTOR, offer(known, 10, TRADER));
    let lent = world.copper(SMELTER, 100);
    let scope = TransferScope::Custody;
    let lending = Body::OfferTransfer(offering(lent, 100, COLLECTOR, scope));
    let lending = world.must(SMELTER, lending);
    world.must(COLLECTOR, accept(lending, 100, None));
    let repaired = world.attempt(COLLECTOR, offer(lent, 10, TRADER));
    let refused = R::LotNotHeld { lot: known, possessor: SMELTER, actor: COLLECTOR };
    Row { world, faulty, refused, then: Next("LOT_NOT_OWNED", repaired) }
}

fn lot_not_owned() -> Row {
    let mut world = World::new();
    let lent = world.copper(SMELTER, 100);
    let scope = TransferScope::Custody;
    let lending = Body::OfferTransfer(offering(lent, 100, COLLECTOR, scope));
    let lending = world.must(SMELTER, lending);
    world.must(COLLECTOR, accept(lending, 100, None));
    let mut faulty = world.attempt(COLLECTOR, offer(lent, 10, TRADER));
    faulty.event.site = Some(far_site(COLLECTOR));
    let mut repaired = faulty.clone();
    repaired.event.body = Body::OfferTransfer(offering(lent, 10, TRADER, scope));
    let refused = R::LotNotOwned { lot: lent, owner: SMELTER, actor: COLLECTOR };
    Row { world, faulty, refused, then: Next("LOT_ELSEWHERE", repaired) }
}

fn holding(of: LotId) -> Body {
    let (reason, authority) = (HoldReason::Investigation, "order 1".to_owned());
    Body::HoldLot(HoldLot { lot: of, reason, authority })
}

fn splitting(parent: LotId, parts: &[(LotId, u64)]) -> Body {
    let children = parts.iter().map(|(id, grams)| draw(*id, *grams)).collect();
    Body::SplitLot(SplitLot { parent, children, handling_loss: Grams::ZERO })
}

fn lot_elsewhere() -> Row {
    let mut world = World::new();
    let known = world.copper(COLLECTOR, 100);
    world.must(COORD, holding(known));
    let repaired = world.attempt(COLLECTOR, splitting(known, &[(lot(1), 100)]));
    let mut faulty = repaired.clone();
    let event_site = far_site(COLLECTOR);
    faulty.event.site = Some(event_site);
    let refused = R::LotElsewhere { lot: known, site: site(COLLECTOR), event_site };
    Row { world, faulty, refused, then: Next("LOT_ON_HOLD", repaired) }
}

fn lot_on_hold() -> Row {
    let mut world = World::new();
    let held = world.copper(COLLECTOR, 100);
    let hold = world.must(COORD, holding(held));
    let free = world.copper(COLLECTOR, 100);
    let mut faulty = world.attempt(COLLECTOR, splitting(held, &[(lot(1), 100)]));
    faulty.event.occurred_at = TimeMs::of(START_MS);
    let mut repaired = world.attempt(COLLECTOR, splitting(free, &[(lot(1), 100)]));
    repaired.event.occurred_at = TimeMs::of(START_MS);
    let refused = R::LotOnHold { lot: held, hold };
    Row { world, faulty, refused, then: Next("EVENT_BEFORE_LOT", repaired) }
}

fn before_lot() -> Row {
    let mut world = World::new();
    let ore = world.ore(100);
    let last = TimeMs::of(world.now);
    let occurred_at = TimeMs::of(world.now - 1);
    let repaired = world.attempt(SEPARATOR, offer(ore, 10, RECOVERY));
    let mut faulty = repaired.clone();
    faulty.event.occurred_at = occurred_at;
    let refused = R::EventBeforeLot { lot: ore, last, occurred_at };
    Row { world, faulty, refused, then: Next("ORE_FORBIDDEN", repaired) }
}

fn releasing(of: LotId, hold: EventId) -> Body {
    Body::ReleaseLot(ReleaseLot { lot: of, hold, note: String::new() })
}

fn hold_unknown() -> Row {
    let mut world = World::new();
    let held = world.copper(COLLECTOR, 100);
    let hold = world.must(COORD, holding(held));
    let faulty = world.attempt(COORD, releasing(held, event_id(1)));
    let repaired = world.attempt(COORD, releasing(held, hold));
    let refused = R::HoldUnknown { lot: held, hold: event_id(1) };
    Row { world, faulty, refused, then: Last("all later rules ask for its hold", repaired) }
}

/// A lot that came with too little, and is held for it; the consignee placed the hold.
fn discrepant(world: &mut World) -> (LotId, EventId) {
    let known = world.copper(COLLECTOR, 1_000);
    let sending = world.must(COLLECTOR, offer(known, 1_000, SMELTER));
    let hold = world.must(SMELTER, accept(sending, 900, None));
    (known, hold)
}

fn hold_not_yours() -> Row {
    let mut world = World::new();
    let (held, hold) = discrepant(&mut world);
    let faulty = world.attempt(COLLECTOR, releasing(held, hold));
    let repaired = world.attempt(COORD, releasing(held, hold));
    let refused = R::HoldNotYours { hold, placed_by: SMELTER };
    Row { world, faulty, refused, then: Next("HOLD_IS_DISCREPANCY", repaired) }
}

fn discrepancy() -> Row {
    let mut world = World::new();
    let (held, hold) = discrepant(&mut world);
    let other = world.must(COORD, holding(held));
    let faulty = world.attempt(COORD, releasing(held, hold));
    let repaired = world.attempt(COORD, releasing(held, other));
    let refused = R::HoldIsDiscrepancy { hold };
    Row { world, faulty, refused, then: Last("the last rule of a release", repaired) }
}

fn too_many_holds() -> Row {
    let mut world = World::new();
    let held = world.copper(COLLECTOR, 100);
    let free = world.copper(COLLECTOR, 100);
    for _ in 0..MAX_HOLDS {
        world.must(COORD, holding(held));
    }
    let faulty = world.attempt(COORD, holding(held));
    let repaired = world.attempt(COORD, holding(free));
    let refused = R::TooManyHolds { lot: held, limit: MAX_HOLDS };
    Row { world, faulty, refused, then: Last("the last rule of a hold", repaired) }
}

/// What has not arrived is neither settled nor given back.
fn state_mismatch() -> Row {
    let mut world = World::new();
    let known = world.ore(1_000);
    let sending = world.must(SEPARATOR, offer(known, 1_000, TRADER));
    let arrived = world.must(TRADER, accept(sending, 900, None));
    let both = [key(SEPARATOR), key(TRADER)];
    let calm = world.clone();
    world.must(TRADER, error(arrived, &[]));
    let repaired = world.attempt(TRADER, settling(sending, 1_001)).signed_by(&both);
    let refused = R::TransferStateMismatch { offer: sending, status: "OPEN", needed: "DISCREPANT" };
    let then = NextIn("TRANSFER_MASS_EXCEEDED", World { now: world.now, ..calm }, repaired.clone());
    Row { world, faulty: repaired, refused, then }
}

// --- metal ---------------------------------------------------------------------------------------

fn ore_forbidden() -> Row {
    let mut world = World::new();
    let id = lot(world.fresh());
    let mut new = new_lot(id, "ORE_GOODS", 100);
    new.origin_kind = Some(OriginKind::ImportedRawMaterial);
    let faulty = world.attempt(RECOVERY, collect(new.clone()));
    let repaired = world.attempt(SEPARATOR, collect(new));
    let origin_kinds = OriginKinds::of(OriginKind::ImportedRawMaterial);
    let refused = R::OreForbidden { party: RECOVERY, lot: id, origin_kinds };
    Row { world, faulty, refused, then: Next("SELLER_CERTIFICATE_MISSING", repaired) }
}

fn certificate_missing() -> Row {
    let mut world = World::new();
    let mut body = collecting(new_lot(lot(world.fresh()), "CABLE", 100));
    let faulty = world.attempt(COLLECTOR, Body::CollectLot(Box::new(body.clone())));
    body.seller_certificate = "S1".to_owned();
    let repaired = world.attempt(COLLECTOR, Body::CollectLot(Box::new(body)));
    let refused = R::SellerCertificateMissing { material: "CABLE".to_owned() };
    Row { world, faulty, refused, then: Next("MANIFEST_MISSING", repaired) }
}

fn manifest() -> urbanmine::domain::event::Manifest {
    let number = "20163607000001".to_owned();
    urbanmine::domain::event::Manifest { number, carrier: None, vehicle: String::new() }
}

fn manifest_missing() -> Row {
    let mut world = World::new();
    let mut body = collecting(new_lot(lot(world.fresh()), "PB_WASTE", 100));
    let faulty = world.attempt(RECOVERY, Body::CollectLot(Box::new(body.clone())));
    body.manifest = Some(manifest());
    let repaired = world.attempt(RECOVERY, Body::CollectLot(Box::new(body)));
    let waste_code = WASTE.to_owned();
    let refused = R::ManifestMissing { material: "PB_WASTE".to_owned(), waste_code };
    Row { world, faulty, refused, then: Next("PERMIT_MISSING", repaired) }
}

/// Hazardous lead waste of the collector, and an offer of it to a far site.
fn hazardous(world: &mut World, to: urbanmine::domain::PartyId, grams: u64) -> (LotId, Body) {
    let id = lot(world.fresh());
    let mut body = collecting(new_lot(id, "PB_WASTE", 100));
    body.manifest = Some(manifest());
    world.must(COLLECTOR, Body::CollectLot(Box::new(body)));
    let mut offered = offering(id, grams, to, TransferScope::CustodyAndOwnership);
    offered.manifest = Some(manifest());
    offered.consignee_site = Some(far_site(to));
    (id, Body::OfferTransfer(offered))
}

fn permit_missing() -> Row {
    let mut world = World::new();
    let (_, body) = hazardous(&mut world, SEPARATOR, 10);
    let faulty = world.attempt(COLLECTOR, body);
    let (_, body) = hazardous(&mut world, SMELTER, 10);
    let repaired = world.attempt(COLLECTOR, body);
    let refused = R::PermitMissing { party: SEPARATOR, waste_code: WASTE.to_owned() };
    Row { world, faulty, refused, then: Next("APPROVAL_MISSING", repaired) }
}

fn approval_missing() -> Row {
    let mut world = World::new();
    let (id, body) = hazardous(&mut world, SMELTER, 1_000);
    for (grams, to) in [(50, SMELTER), (60, SMELTER), (2_000, RECOVERY)] {
        world.must(COORD, approving(id, COLLECTOR, to, grams));
    }
    let faulty = world.attempt(COLLECTOR, body.clone());
    let mut repaired = world.attempt(COLLECTOR, body);
    if let Body::OfferTransfer(offered) = &mut repaired.event.body {
        offered.consignee_site = Some(site(SMELTER));
    }
    let (from_province, to_province) = ("36".to_owned(), "44".to_owned());
    let (asked, unused) = (Grams::of(1_000), Grams::of(60));
    let refused = R::ApprovalMissing { lot: id, from_province, to_province, asked, unused };
    Row { world, faulty, refused, then: Next("INSUFFICIENT_MASS", repaired) }
}

/// A lot of a material that a party owns and the smelter holds.
fn held_by_smelter(world: &mut World, owner: urbanmine::domain::PartyId, material: &str) -> LotId {
    let id = lot(world.fresh());
    world.must(owner, collect(new_lot(id, material, 100)));
    if owner != SMELTER {
        let lending = Body::OfferTransfer(offering(id, 100, SMELTER, TransferScope::Custody));
        let lending = world.must(owner, lending);
        world.must(SMELTER, accept(lending, 100, None));
    }
    id
}

fn owners_differ() -> Row {
    let mut world = World::new();
    let mine = held_by_smelter(&mut world, SMELTER, "CU");
    let other = held_by_smelter(&mut world, TRADER, "AL");
    let mine_too = held_by_smelter(&mut world, SMELTER, "AL");
    let output = made(lot(world.fresh()), "CU", 20);
    let body = merging(&[(mine, 10), (other, 10)], output.clone());
    let faulty = world.attempt(SMELTER, body);
    let repaired = world.attempt(SMELTER, merging(&[(mine, 10), (mine_too, 10)], output));
    let refused = R::MergeOwnersDiffer { lot: other, owner: TRADER, other: SMELTER };
    Row { world, faulty, refused, then: Next("MERGE_CLASSES_DIFFER", repaired) }
}

fn classes_differ() -> Row {
    let mut world = World::new();
    let copper = held_by_smelter(&mut world, SMELTER, "CU");
    let other = held_by_smelter(&mut world, SMELTER, "AL");
    let fine = held_by_smelter(&mut world, SMELTER, "CU_FINE");
    let output = made(lot(world.fresh()), "CU", 1_010);
    let body = merging(&[(copper, 1_000), (other, 10)], output.clone());
    let faulty = world.attempt(SMELTER, body);
    let repaired = world.attempt(SMELTER, merging(&[(copper, 1_000), (fine, 10)], output));
    let (group, group_of_output) = ("AL".to_owned(), "CU".to_owned());
    let refused = R::MergeClassesDiffer { lot: other, group, other: group_of_output };
    Row { world, faulty, refused, then: Next("INSUFFICIENT_MASS", repaired) }
}

fn insufficient() -> Row {
    let mut world = World::new();
    let first = world.copper(COLLECTOR, 100);
    let second = world.copper(COLLECTOR, 100);
    world.must(COLLECTOR, offer(second, 60, SMELTER));
    let output = made(lot(world.fresh()), "CU", 1_000);
    let body = merging(&[(first, 100), (second, 41)], output.clone());
    let faulty = world.attempt(COLLECTOR, body);
    let repaired = world.attempt(COLLECTOR, merging(&[(first, 100), (second, 40)], output));
    let refused = R::InsufficientMass {
        lot: second,
        asked: Grams::of(41),
        available: Grams::of(40),
        remaining: Grams::of(100),
    };
    Row { world, faulty, refused, then: Next("MASS_NOT_CONSERVED", repaired) }
}

fn weighing_mismatch() -> Row {
    let mut world = World::new();
    let mut body = collecting(new_lot(lot(world.fresh()), "CU", 100));
    body.weighing = weighed(99);
    let repaired = world.attempt(COLLECTOR, Body::CollectLot(Box::new(body.clone())));
    body.weighing.gross = Grams::of(5_098);
    let faulty = world.attempt(COLLECTOR, Body::CollectLot(Box::new(body)));
    let (gross, tare, net) = (Grams::of(5_098), Grams::of(5_000), Grams::of(99));
    let refused = R::WeighingMismatch { gross, tare, net };
    Row { world, faulty, refused, then: Next("MASS_NOT_CONSERVED", repaired) }
}

/// Copper of the smelter, half of it copper, refined into an output of so many grams and parts.
fn refining(world: &mut World, from: LotId, grams: u64, values: &[(Substance, u32)]) -> Attempt {
    let mut output = made(lot(world.fresh()), "CU_FINE", grams);
    output.composition = (!values.is_empty()).then(|| assay(values));
    let body = transforming("REFINE", &[draw(from, 100)], &[output]);
    world.attempt(SMELTER, Body::TransformLots(Box::new(body)))
}

const TOO_MUCH: &[(Substance, u32)] = &[(Substance::Al, 60_000_000), (Substance::Cu, 50_000_000)];

fn not_conserved() -> Row {
    let mut world = World::new();
    let known = world.copper(SMELTER, 100);
    let faulty = refining(&mut world, known, 101, TOO_MUCH);
    let repaired = refining(&mut world, known, 100, TOO_MUCH);
    let refused = R::MassNotConserved { into: 100, out: 101 };
    Row { world, faulty, refused, then: Next("COMPOSITION_INCONSISTENT", repaired) }
}

fn inconsistent() -> Row {
    let mut world = World::new();
    let known = world.copper(SMELTER, 100);
    let faulty = refining(&mut world, known, 100, TOO_MUCH);
    let Body::TransformLots(melt) = &faulty.event.body else { unreachable!() };
    let output = melt.outputs[0].id;
    let repaired = refining(&mut world, known, 100, &[(Substance::Al, 60_000_000)]);
    let refused = R::CompositionInconsistent {
        lot: output,
        rule: "elements and moisture add up to more than 100 %",
        sum_e8: 110_000_000,
        limit_e8: 100_000_002,
    };
    Row { world, faulty, refused, then: Next("ASSAY_MISSING", repaired) }
}

fn assay_missing() -> Row {
    let mut world = World::new();
    let known = world.copper(SMELTER, 100);
    let values = [(Substance::Al, 1_000_000), (Substance::Cu, 51_000_000)];
    let faulty = refining(&mut world, known, 100, &values);
    let repaired = refining(&mut world, known, 100, &values[1..]);
    let refused = R::AssayMissing { lot: known, substance: Substance::Al };
    Row { world, faulty, refused, then: Next("ELEMENT_GAINED", repaired) }
}

fn element_gained() -> Row {
    let mut world = World::new();
    let known = world.copper(SMELTER, 100);
    let mut faulty = refining(&mut world, known, 100, &[(Substance::Cu, 53_000_000)]);
    let mut repaired = faulty.clone();
    for (attempt, parts) in [(&mut faulty, 1_000_000), (&mut repaired, 3_000_000)] {
        let Body::TransformLots(melt) = &mut attempt.event.body else { unreachable!() };
        let values = &mut melt.outputs[0].composition.as_mut().unwrap().values;
        values[0].uncertainty = FractionE8::new(parts).unwrap();
    }
    let substance = Substance::Cu;
    let refused = R::ElementGained { substance, into: 50, out: 53, uncertainty: 1 };
    Row { world, faulty, refused, then: Last("the last rule of a transform", repaired) }
}

fn mass_exceeded() -> Row {
    let (mut world, _, offer) = offered(100);
    let faulty = world.attempt(SMELTER, partly(offer, 50, 100, lot(1)));
    let repaired = world.attempt(SMELTER, partly(offer, 1, 99, lot(1)));
    let rule = "who takes over a part refuses fewer grams";
    let (offered, grams) = (Grams::of(100), Grams::of(100));
    let refused = R::TransferMassExceeded { offer, offered, grams, rule };
    Row { world, faulty, refused, then: Last("the last rule of an answer", repaired) }
}

fn beyond_tolerance() -> Row {
    let mut world = World::new();
    let known = world.copper(COLLECTOR, 1_000);
    // A hundredth of the mass at birth, for all counts together.
    world.must(COLLECTOR, counting(known, 996));
    let faulty = world.attempt(COLLECTOR, counting(known, 989));
    let repaired = world.attempt(COLLECTOR, counting(known, 990));
    let (counted, booked, limit) = (Grams::of(989), Grams::of(996), Grams::of(10));
    let refused = R::StocktakeBeyondTolerance { lot: known, counted, booked, limit };
    Row { world, faulty, refused, then: Last("the last rule of a stocktake", repaired) }
}

fn hazardous_exit() -> Row {
    let mut world = World::new();
    let (id, _) = hazardous(&mut world, SMELTER, 10);
    let faulty = world.attempt(COLLECTOR, leaving(id, 100));
    let free = world.copper(COLLECTOR, 100);
    let repaired = world.attempt(COLLECTOR, leaving(free, 100));
    let refused = R::HazardousExit { lot: id, waste_code: WASTE.to_owned() };
    Row { world, faulty, refused, then: Last("the last rule of an exit", repaired) }
}

fn invoice_mismatch() -> Row {
    use urbanmine::domain::vocabulary::InvoiceClass as C;
    let mut world = World::new();
    let known = world.copper(COLLECTOR, 100);
    let sold = |on| {
        let mut offer = offering(known, 100, SMELTER, TransferScope::Ownership);
        offer.invoice_class = Some(on);
        Body::OfferTransfer(offer)
    };
    let faulty = world.attempt(COLLECTOR, sold(C::None));
    let repaired = world.attempt(COLLECTOR, sold(C::VatSpecial));
    let refused = R::InvoiceClassMismatch { lot: known, bought: C::VatSpecial, sold: C::None };
    Row { world, faulty, refused, then: Last("the last rule of an offer", repaired) }
}

// --- corrections ---------------------------------------------------------------------------------

fn target_unknown() -> Row {
    let mut world = World::new();
    let known = world.copper(COLLECTOR, 100);
    let target = world.lot_state(known).born_by;
    let faulty = world.attempt(COLLECTOR, error(event_id(1), &[]));
    let repaired = world.attempt(COLLECTOR, error(target, &[]));
    let refused = R::TargetUnknown { target: event_id(1) };
    Row { world, faulty, refused, then: Last("all later rules ask for its target", repaired) }
}

fn target_not_yours() -> Row {
    let mut world = World::new();
    let target = world.must(COORD, new_key(201));
    let faulty = world.attempt(COLLECTOR, error(target, &[]));
    let repaired = world.attempt(COORD, error(target, &[]));
    let refused = R::TargetNotYours { target, actor: COORD };
    Row { world, faulty, refused, then: Next("TARGET_NOT_CORRECTABLE", repaired) }
}

/// Kinds that are not undone never carry the mark of a correction.
fn not_correctable() -> Row {
    let mut world = World::new();
    let known = world.copper(COLLECTOR, 100);
    let born_by = world.lot_state(known).born_by;
    let target = world.must(COLLECTOR, error(born_by, &[]));
    let faulty = world.attempt(COLLECTOR, error(target, &[]));
    let other = world.copper(COLLECTOR, 100);
    let other = world.lot_state(other).born_by;
    let repaired = world.attempt(COLLECTOR, error(other, &[]));
    let refused = R::TargetNotCorrectable { target, kind: EventKind::DeclareError };
    Row { world, faulty, refused, then: Last("such an event was never undone", repaired) }
}

fn target_corrected() -> Row {
    let mut world = World::new();
    let (gone, by) = retracted(&mut world, COLLECTOR);
    let target = world.lot_state(gone).born_by;
    let used = world.copper(COLLECTOR, 100);
    let used_target = world.lot_state(used).born_by;
    world.must(COLLECTOR, offer(used, 10, SMELTER));
    let faulty = world.attempt(COLLECTOR, error(target, &[]));
    let repaired = world.attempt(COLLECTOR, error(used_target, &[]));
    let refused = R::TargetCorrected { target, by };
    Row { world, faulty, refused, then: Next("CORRECTION_BLOCKED", repaired) }
}

fn blocked() -> Row {
    let mut world = World::new();
    let used = world.copper(COLLECTOR, 100);
    let target = world.lot_state(used).born_by;
    let first = world.must(COLLECTOR, offer(used, 10, SMELTER));
    let analysis = AssayLot { lot: used, composition: assay(&[(Substance::Cu, 1)]) };
    world.must(COLLECTOR, Body::AssayLot(analysis));
    let second = world.must(COLLECTOR, melt("MELT", &[used], made(lot(1), "CU", 10)));
    let free = world.copper(COLLECTOR, 100);
    let free_target = world.lot_state(free).born_by;
    let faulty = world.attempt(COLLECTOR, error(target, &[]));
    let repaired = world.attempt(COLLECTOR, error(free_target, &[]));
    // The newest first; an analysis is in nobody's way.
    let blocking = vec![second, first];
    let refused = R::CorrectionBlocked { target, lot: used, blocking, more: 0 };
    Row {
        world,
        faulty,
        refused,
        then: Last("the last rule of a correction but accounts", repaired),
    }
}

// --- what is kept on a lot -----------------------------------------------------------------------

fn records_full() -> Row {
    let mut world = World::new();
    let full = world.copper(COLLECTOR, 100);
    for number in 2..2 + MAX_APPROVALS as u64 {
        world.must(COORD, approving(full, COLLECTOR, SMELTER, number));
    }
    let faulty = world.attempt(COORD, approving(full, COLLECTOR, SMELTER, 1));
    let repaired = world.attempt(COORD, approving(full, COLLECTOR, SMELTER, 2));
    let (what, limit) = ("approvals", MAX_APPROVALS);
    let refused = R::LotRecordsFull { lot: full, what, limit };
    Row { world, faulty, refused, then: Last("the last rule of an approval", repaired) }
}

// --- credits -------------------------------------------------------------------------------------

fn credit_insufficient() -> Row {
    let mut world = World::new();
    claimed(&mut world);
    let month = Month::of(TimeMs::of(world.now));
    let faulty = world.attempt(SMELTER, claiming(SMELTER, 31, month, month.next()));
    let repaired = world.attempt(SMELTER, claiming(SMELTER, 30, month, month.next()));
    let (site, substance) = (site(SMELTER), Substance::Cu);
    let refused = R::CreditInsufficient { site, substance, asked: Grams::of(31), available: 30 };
    Row { world, faulty, refused, then: Last("the last rule of a claim", repaired) }
}

fn credit_claimed() -> Row {
    let mut world = World::new();
    let (target, claim) = claimed(&mut world);
    let faulty = world.attempt(SMELTER, error(target, &[]));
    let refused = R::CreditClaimed {
        target,
        site: site(SMELTER),
        substance: Substance::Cu,
        month: Month::of(TimeMs::of(world.now)),
        left: Grams::ZERO,
        claimed: Grams::of(20),
    };
    let repaired = world.attempt(SMELTER, error(claim, &[]));
    Row { world, faulty, refused, then: Last("the last rule of all", repaired) }
}
