//! Ledgers whose writer skipped the rules: every hash, link, chain value, checkpoint and signature
//! is right, and one event was never allowed. `verify` names the entry and the rule.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "common/forge.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared by test files that use parts of it")]
mod forge;
#[path = "common/forge_world.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared by test files that use parts of it")]
mod forge_world;

use std::sync::OnceLock;

use forge::{Forge, Forged, START_MS, VALID, far_site, origin, party, pins, public, secret, site};
use forge_world::*;
use urbanmine::domain::credit::Month;
use urbanmine::domain::event::{
    Attest, ChargeCampaign, ClaimCredit, CloseCampaign, DrawCampaign, OpenCampaign,
    OpeningInventory, RegisterKey, RevokeKey, SucceedParty, Waiver,
};
use urbanmine::domain::units::Validity;
use urbanmine::domain::vocabulary::{
    AttestResult, CustodyModel, LicenceKind, LossKind, OriginKind, PartyRole, Substance,
};
use urbanmine::domain::{
    Body, CampaignId, EntryCount, Event, EventId, Grams, Hash32, Origin, PartyId, TimeMs,
};
use urbanmine::ledger::Checkpoint;
use urbanmine::verify::{FindingKind, Pins, Report, Verdict};

/// A world without lots, made once.
fn world() -> Forge {
    static WORLD: OnceLock<Forge> = OnceLock::new();
    WORLD.get_or_init(Forge::new).clone()
}

/// Holds both ways of judging to one finding: this kind, at this entry, in these words.
fn caught(forge: &mut Forge, at: u64, kind: FindingKind, words: &str) {
    caught_at(forge, at, at, kind, words);
}

/// The same, where so many entries were replayed before.
fn caught_at(forge: &mut Forge, at: u64, replayed: u64, kind: FindingKind, words: &str) {
    // What comes after a lie is honest, and nobody is accused of it.
    forge.copper(1_000);
    for report in [forge.forged.judge_groups(pins()), forge.forged.judge_stream(pins())] {
        let told: Vec<String> = report.findings.iter().map(ToString::to_string).collect();
        let told = told.join("\n");
        assert_eq!(report.verdict, Verdict::Tampered, "{words}: {told}");
        assert_eq!(report.verdict.exit_code(), 1);
        assert_eq!(report.first_bad.map(|index| index.0), Some(at), "{words}: {told}");
        let first = &report.findings[0];
        assert_eq!(first.kind, kind, "{words}: {told}");
        assert_eq!(first.index.map(|index| index.0), Some(at), "{words}: {told}");
        assert!(first.detail.contains(words), "{words}: {told}");
        let others: Vec<FindingKind> =
            report.findings[1..].iter().map(|finding| finding.kind).collect();
        assert_eq!(others, [FindingKind::ReplayStopped], "{words}: {told}");
        assert_eq!(report.progress.replayed, replayed, "everything before it was replayed");
    }
}

/// The rules let the event in nowhere, and the judge says by which rule.
fn broken(forge: &mut Forge, lie: &Event, words: &str) {
    let at = forge.append(lie);
    caught(forge, at, FindingKind::RuleBroken, words);
}

fn lie(forge: &mut Forge, actor: PartyId, body: Body, words: &str) {
    let event = forge.event(actor, body);
    broken(forge, &event, words);
}

fn clean(report: &Report, verdict: Verdict, kinds: &[FindingKind]) {
    let told: Vec<String> = report.findings.iter().map(ToString::to_string).collect();
    assert_eq!(report.verdict, verdict, "{}", told.join("\n"));
    let found: Vec<FindingKind> = report.findings.iter().map(|finding| finding.kind).collect();
    assert_eq!(found, kinds, "{}", told.join("\n"));
    assert_eq!(report.first_bad, None);
    assert_eq!(report.progress.replayed, report.entries.0);
}

fn honest() -> Forged {
    let mut forge = world();
    forge.story();
    forge.forged
}

#[test]
fn an_honest_ledger_is_verified_with_pins_and_only_with_both() {
    let forged = honest();
    for report in [forged.judge_groups(pins()), forged.judge_stream(pins())] {
        clean(&report, Verdict::Verified, &[]);
        assert_eq!(report.verdict.exit_code(), 0);
        let checkpoint = report.checkpoint.as_ref().unwrap();
        assert_eq!(checkpoint.size, report.entries);
        assert_eq!(report.claims.as_ref().unwrap().ledger_key, public(forge::LEDGER));
        assert!(report.progress.signatures > report.entries.0, "the genesis has two");
    }
    let half = [
        Pins::default(),
        Pins { origin: Some(origin()), ledger_key: None },
        Pins { origin: None, ledger_key: Some(public(forge::LEDGER)) },
    ];
    for pins in half {
        let report = forged.judge_groups(pins);
        clean(&report, Verdict::Warnings, &[FindingKind::PinsMissing]);
        assert_eq!(report.verdict.exit_code(), 3);
    }
}

// --- R1 ------------------------------------------------------------------------------------------

#[test]
fn r1_ore_does_not_reach_a_recovery_plant() {
    let mut forge = world();
    let lot = forge.lot();
    let new = with_origin(lot, OriginKind::Ore);
    lie(&mut forge, COORD, opening(RECOVERY, new), "R1, reason 180 ORE_FORBIDDEN");

    let mut forge = world();
    let lot = forge.lot();
    let new = with_origin(lot, OriginKind::Ore);
    forge.say(COORD, opening(SEPARATOR, new));
    let offer = Body::OfferTransfer(offering(lot, 1_000, RECOVERY));
    lie(&mut forge, SEPARATOR, offer, "R1, reason 180 ORE_FORBIDDEN");
}

fn with_origin(
    lot: urbanmine::domain::LotId,
    kind: OriginKind,
) -> urbanmine::domain::event::NewLot {
    urbanmine::domain::event::NewLot { origin_kind: Some(kind), ..new_lot(lot, ORE, 1_000) }
}

fn opening(of: PartyId, lot: urbanmine::domain::event::NewLot) -> Body {
    Body::OpeningInventory(OpeningInventory { party: of, lots: vec![lot] })
}

// --- R2 ------------------------------------------------------------------------------------------

#[test]
fn r2_no_gram_is_used_twice() {
    let mut forge = world();
    let lot = forge.copper(1_000);
    let (first, second) = (forge.lot(), forge.lot());
    forge.say(COLLECTOR, split(lot, &[draw(first, 1_000)]));
    let again = split(lot, &[draw(second, 1_000)]);
    lie(&mut forge, COLLECTOR, again, "R2, reason 187 INSUFFICIENT_MASS");

    let mut forge = world();
    let lot = forge.copper(1_000);
    forge.say(COLLECTOR, Body::OfferTransfer(offering(lot, 600, SMELTER)));
    let offer = Body::OfferTransfer(offering(lot, 401, SMELTER));
    lie(&mut forge, COLLECTOR, offer, "401 g are asked");

    let mut forge = world();
    let lot = forge.copper(1_000);
    forge.deliver(lot, 1_000);
    let out = forge.lot();
    let cathode = with_copper(made(out, CATHODE, 1_001), 10_000_000);
    let melt = refine(refining(&[draw(lot, 1_001)], &[cathode], &[]));
    lie(&mut forge, SMELTER, melt, "R2, reason 187 INSUFFICIENT_MASS");
}

// --- R3 ------------------------------------------------------------------------------------------

#[test]
fn r3_events_of_a_lot_do_not_step_back_and_none_is_in_the_future() {
    let mut forge = world();
    let lot = forge.copper(1_000);
    let before = TimeMs::of(forge.now - 1);
    let child = forge.lot();
    let mut event = forge.event(COLLECTOR, split(lot, &[draw(child, 1_000)]));
    event.occurred_at = before;
    broken(&mut forge, &event, "R3, reason 174 EVENT_BEFORE_LOT");

    let mut forge = world();
    let lot = forge.lot();
    let mut event = forge.event(COLLECTOR, collect(new_lot(lot, COPPER, 1_000)));
    event.occurred_at = TimeMs::of(forge.now + 3_600_000);
    broken(&mut forge, &event, "R3, reason 116 OCCURRED_IN_FUTURE");
}

// --- R4 ------------------------------------------------------------------------------------------

#[test]
fn r4_keys_are_known_in_force_and_not_revoked() {
    let second = 50;
    let mut forge = world();
    let validity = Validity { from: VALID.from, to: Some(TimeMs::of(forge.now + 2_000)) };
    let key = RegisterKey { party: COLLECTOR, public_key: public(second), validity };
    forge.say(COORD, Body::RegisterKey(key));
    let event = some_collection(&mut forge);
    let at = forge.append_signed(&event, &[second]);
    caught(&mut forge, at, FindingKind::RuleBroken, "R4, reason 114 KEY_NOT_VALID");

    let mut forge = world();
    let key = RegisterKey { party: COLLECTOR, public_key: public(second), validity: VALID };
    forge.say(COORD, Body::RegisterKey(key));
    forge.say(
        COORD,
        Body::RevokeKey(RevokeKey {
            key: secret(second).key_id(),
            revoked_at: TimeMs::of(START_MS),
            reason: "lost".to_owned(),
        }),
    );
    let event = some_collection(&mut forge);
    let at = forge.append_signed(&event, &[second]);
    caught(&mut forge, at, FindingKind::RuleBroken, "R4, reason 115 KEY_REVOKED");

    let mut forge = world();
    let event = some_collection(&mut forge);
    let at = forge.append_signed(&event, &[second]);
    caught(&mut forge, at, FindingKind::SignerUnknown, "R4");
}

#[test]
fn r4_exactly_the_acting_party_signs() {
    let mut forge = world();
    let event = some_collection(&mut forge);
    let at = forge.append_signed(&event, &[forge::seed_of(SMELTER)]);
    caught(&mut forge, at, FindingKind::RuleBroken, "R4, reason 112 SIGNER_UNEXPECTED");

    let mut forge = world();
    let event = some_collection(&mut forge);
    let at = forge.append_signed(&event, &[forge::seed_of(COLLECTOR), forge::seed_of(SMELTER)]);
    caught(&mut forge, at, FindingKind::RuleBroken, "R4, reason 112 SIGNER_UNEXPECTED");

    let mut forge = world();
    let event = some_collection(&mut forge);
    let at = forge.append_signed(&event, &[forge::LEDGER]);
    caught(&mut forge, at, FindingKind::RuleBroken, "R4, reason 111 KEY_UNKNOWN");
}

#[test]
fn r4_role_and_licence_are_held() {
    let mut forge = world();
    let lot = forge.lot();
    let body = collect(new_lot(lot, COPPER, 1_000));
    lie(&mut forge, LAB, body, "R4, reason 117 ROLE_NOT_HELD");

    let mut forge = world();
    let registration = Body::RegisterParty(forge::party_record(party(9), &[PartyRole::Trader]));
    lie(&mut forge, SMELTER, registration, "R4, reason 117 ROLE_NOT_HELD");

    let mut forge = world();
    let unlicensed = party(9);
    forge.register(unlicensed, &[PartyRole::Collector], &[]);
    let lot = forge.lot();
    let body = collect(new_lot(lot, COPPER, 1_000));
    lie(&mut forge, unlicensed, body, "R4, reason 118 LICENCE_NOT_HELD");
}

fn some_collection(forge: &mut Forge) -> Event {
    let lot = forge.lot();
    forge.event(COLLECTOR, collect(new_lot(lot, COPPER, 1_000)))
}

// --- R5 ------------------------------------------------------------------------------------------

#[test]
fn r5_mass_is_conserved_to_the_gram() {
    let mut forge = world();
    let lot = forge.copper(1_000);
    forge.deliver(lot, 1_000);
    let out = forge.lot();
    let cathode = with_copper(made(out, CATHODE, 400), 90_000_000);
    let mut melt = refining(&[draw(lot, 1_000)], &[cathode], &[]);
    melt.losses = vec![(LossKind::Volatile, Grams::of(599))];
    lie(
        &mut forge,
        SMELTER,
        refine(melt),
        "R5, reason 189 MASS_NOT_CONSERVED: 1000 g go in and 999",
    );

    let mut forge = world();
    let lot = forge.lot();
    let mut scales = collecting(new_lot(lot, COPPER, 1_000));
    scales.weighing.gross = Grams::of(5_999);
    let body = Body::CollectLot(Box::new(scales));
    lie(&mut forge, COLLECTOR, body, "R5, reason 188 WEIGHING_MISMATCH");

    let mut forge = world();
    let lot = forge.copper(1_000);
    let (left, right) = (forge.lot(), forge.lot());
    let body = split(lot, &[draw(left, 500), draw(right, 501)]);
    lie(&mut forge, COLLECTOR, body, "R5, reason 189 MASS_NOT_CONSERVED: 1000 g go in and 1001");
}

// --- R6 ------------------------------------------------------------------------------------------

#[test]
fn r6_no_element_is_gained_and_none_goes_unmeasured() {
    let mut forge = world();
    let lot = forge.copper(1_000);
    forge.deliver(lot, 1_000);
    let (out, slag) = (forge.lot(), forge.lot());
    let cathode = with_copper(made(out, CATHODE, 600), 99_000_000);
    let melt = refining(&[draw(lot, 1_000)], &[cathode], &[made(slag, SLAG, 400)]);
    lie(
        &mut forge,
        SMELTER,
        refine(melt),
        "R6, reason 192 ELEMENT_GAINED: 594 g of CU come out of 500",
    );

    let mut forge = world();
    let lot = forge.copper(1_000);
    forge.deliver(lot, 1_000);
    let (out, slag) = (forge.lot(), forge.lot());
    let cathode = made(out, CATHODE, 400);
    let melt = refining(&[draw(lot, 1_000)], &[cathode], &[made(slag, SLAG, 600)]);
    lie(&mut forge, SMELTER, refine(melt), "R6, reason 191 ASSAY_MISSING");
}

/// A campaign of the smelter with 1,000 g charged, half of them copper.
fn campaign(forge: &mut Forge) -> CampaignId {
    let lot = forge.copper(1_000);
    forge.deliver(lot, 1_000);
    let id = CampaignId::from_bytes(*forge.lot().as_bytes());
    let (process, opening_stock) = (REFINE.to_owned(), Grams::ZERO);
    let begin = OpenCampaign { campaign: id, process, opening_stock, opening_composition: None };
    forge.say(SMELTER, Body::OpenCampaign(begin));
    let inputs = vec![draw(lot, 1_000)];
    let charge = ChargeCampaign { campaign: id, inputs, additions: Vec::new() };
    forge.say(SMELTER, Body::ChargeCampaign(charge));
    id
}

fn tap(forge: &mut Forge, id: CampaignId, grams: u64, parts: u32) -> Body {
    let outputs = vec![with_copper(made(forge.lot(), CATHODE, grams), parts)];
    Body::DrawCampaign(DrawCampaign { campaign: id, outputs, residues: Vec::new() })
}

fn end(id: CampaignId, stock: u64, parts: u32, loss: u64) -> Body {
    Body::CloseCampaign(CloseCampaign {
        campaign: id,
        closing_stock: Grams::of(stock),
        closing_composition: (stock > 0).then(|| copper(parts)),
        losses: vec![(LossKind::Effluent, Grams::of(loss))],
        uptakes: Vec::new(),
    })
}

#[test]
fn r5_r6_a_campaign_gives_no_more_than_it_took() {
    let mut forge = world();
    let id = campaign(&mut forge);
    let body = tap(&mut forge, id, 600, 99_000_000);
    lie(&mut forge, SMELTER, body, "R6, reason 192 ELEMENT_GAINED: 594 g of CU come out of 500");

    // At the close, what stays in process counts as well.
    let mut forge = world();
    let id = campaign(&mut forge);
    let body = tap(&mut forge, id, 400, 99_000_000);
    forge.say(SMELTER, body);
    let body = end(id, 200, 80_000_000, 400);
    lie(&mut forge, SMELTER, body, "R6, reason 192 ELEMENT_GAINED: 556 g of CU come out of 500");

    let mut forge = world();
    let id = campaign(&mut forge);
    let body = tap(&mut forge, id, 400, 99_000_000);
    forge.say(SMELTER, body);
    let words = "R5, reason 189 MASS_NOT_CONSERVED: 1000 g go in and 999";
    lie(&mut forge, SMELTER, end(id, 200, 50_000_000, 399), words);
}

#[test]
fn an_honest_campaign_is_verified_and_its_stock_is_what_the_next_begins_with() {
    let mut forge = world();
    let id = campaign(&mut forge);
    let body = tap(&mut forge, id, 400, 99_000_000);
    forge.say(SMELTER, body);
    forge.say(SMELTER, end(id, 200, 50_000_000, 400));
    for report in [forge.forged.judge_groups(pins()), forge.forged.judge_stream(pins())] {
        clean(&report, Verdict::Verified, &[]);
    }
    let next = CampaignId::from_bytes(*forge.lot().as_bytes());
    let begin = OpenCampaign {
        campaign: next,
        process: REFINE.to_owned(),
        opening_stock: Grams::of(201),
        opening_composition: None,
    };
    lie(&mut forge, SMELTER, Body::OpenCampaign(begin), "reason 193 OPENING_STOCK_MISMATCH");
}

// --- R7 ------------------------------------------------------------------------------------------

#[test]
fn r7_hazardous_waste_needs_manifest_permit_and_approval() {
    let mut forge = world();
    let lot = forge.lot();
    let body = collect(new_lot(lot, BATTERY, 1_000));
    lie(&mut forge, COLLECTOR, body, "R7, reason 182 MANIFEST_MISSING");

    let mut forge = world();
    let lot = battery(&mut forge);
    let mut offer = offering(lot, 1_000, SMELTER);
    offer.manifest = Some(manifest());
    lie(&mut forge, COLLECTOR, Body::OfferTransfer(offer), "R7, reason 183 PERMIT_MISSING");

    let mut forge = world();
    let other = party(9);
    forge.register(other, &[PartyRole::Collector], &[LicenceKind::HazardousWaste]);
    let lot = battery(&mut forge);
    let mut offer = offering(lot, 1_000, other);
    offer.manifest = Some(manifest());
    offer.consignee_site = Some(far_site(other));
    lie(&mut forge, COLLECTOR, Body::OfferTransfer(offer), "R7, reason 184 APPROVAL_MISSING");
}

#[test]
fn r7_an_approval_is_not_overdrawn() {
    let mut forge = world();
    let other = party(9);
    forge.register(other, &[PartyRole::Collector], &[LicenceKind::HazardousWaste]);
    let lot = battery(&mut forge);
    forge.say(COORD, approving(lot, COLLECTOR, other, 500));
    let far = |grams| {
        let mut offer = offering(lot, grams, other);
        offer.manifest = Some(manifest());
        offer.consignee_site = Some(far_site(other));
        Body::OfferTransfer(offer)
    };
    forge.say(COLLECTOR, far(300));
    lie(&mut forge, COLLECTOR, far(201), "R7, reason 184 APPROVAL_MISSING: hazardous lot");

    // Of another pair of parties, or after its end.
    let mut forge = world();
    forge.register(other, &[PartyRole::Collector], &[LicenceKind::HazardousWaste]);
    let lot = battery(&mut forge);
    forge.say(COORD, approving(lot, other, COLLECTOR, 500));
    let mut ended = approving(lot, COLLECTOR, other, 500);
    let Body::Approval(approval) = &mut ended else { unreachable!() };
    approval.valid_to = Some(TimeMs::of(forge.now + 2_000));
    forge.say(COORD, ended);
    lie(&mut forge, COLLECTOR, far_offer(lot, other), "an approval of 1 g comes first, 0 g");
}

fn far_offer(lot: urbanmine::domain::LotId, other: PartyId) -> Body {
    let mut offer = offering(lot, 1, other);
    offer.manifest = Some(manifest());
    offer.consignee_site = Some(far_site(other));
    Body::OfferTransfer(offer)
}

#[test]
fn a_credit_code_that_fails_its_digit_needs_its_waiver() {
    let code = "91350211M0000XUF46";
    let waiver = |subject: &str| {
        let (reason_code, subject) = ("CREDIT_CODE_INVALID".to_owned(), subject.to_owned());
        Body::Waiver(Waiver { reason_code, subject, valid_to: None })
    };
    let mut forge = world();
    let allowed = forge.say(COORD, waiver(code));
    let mut record = forge::party_record(party(9), &[PartyRole::Trader]);
    record.credit_code = code.to_owned();
    record.credit_code_waiver = Some(allowed);
    forge.say(COORD, Body::RegisterParty(record.clone()));
    record.credit_code_waiver = Some(forge.say(COORD, waiver("91350100M0001TGQXM")));
    lie(&mut forge, COORD, Body::AmendParty(record), "reason 132 CREDIT_CODE_INVALID");

    let mut forge = world();
    let mut ore = waiver("0");
    let Body::Waiver(body) = &mut ore else { unreachable!() };
    body.reason_code = "ORE_FORBIDDEN".to_owned();
    lie(&mut forge, COORD, ore, "reason 146 WAIVER_NOT_POSSIBLE");
}

fn battery(forge: &mut Forge) -> urbanmine::domain::LotId {
    let lot = forge.lot();
    let mut collecting = collecting(new_lot(lot, BATTERY, 1_000));
    collecting.manifest = Some(manifest());
    forge.say(COLLECTOR, Body::CollectLot(Box::new(collecting)));
    lot
}

// --- what arrives, what is counted, what ends ----------------------------------------------------

/// A whole lot of 1000 g that is on its way to the smelter; its offer.
fn on_its_way(forge: &mut Forge) -> (urbanmine::domain::LotId, urbanmine::domain::EventId) {
    let lot = forge.copper(1_000);
    let offer = forge.say(COLLECTOR, Body::OfferTransfer(offering(lot, 1_000, SMELTER)));
    (lot, offer)
}

#[test]
fn r2_no_more_is_refused_or_agreed_than_was_offered() {
    let mut forge = world();
    let (_, offer) = on_its_way(&mut forge);
    let part = forge.lot();
    let body = partly(offer, 100, 1_001, part);
    lie(&mut forge, SMELTER, body, "R2, reason 196 TRANSFER_MASS_EXCEEDED: 1000 g were offered");

    let mut forge = world();
    let (_, offer) = on_its_way(&mut forge);
    forge.say(SMELTER, accept(offer, 900, None));
    let event = forge.event(SMELTER, settling(offer, 1_001));
    let at = forge.append_signed(&event, &[forge::seed_of(COLLECTOR), forge::seed_of(SMELTER)]);
    caught(&mut forge, at, FindingKind::RuleBroken, "R2, reason 196 TRANSFER_MASS_EXCEEDED");
}

#[test]
fn r4_a_settlement_has_both_signatures() {
    for (actor, alone) in [(SMELTER, COLLECTOR), (COLLECTOR, SMELTER)] {
        let mut forge = world();
        let (_, offer) = on_its_way(&mut forge);
        forge.say(SMELTER, accept(offer, 900, None));
        let event = forge.event(actor, settling(offer, 950));
        let at = forge.append_signed(&event, &[forge::seed_of(actor)]);
        let words = format!("R4, reason 113 SIGNER_MISSING: party {alone}");
        caught(&mut forge, at, FindingKind::RuleBroken, &words);
    }
}

#[test]
fn an_honest_settlement_is_verified_and_what_was_agreed_is_all_there_is() {
    let mut forge = world();
    let (lot, offer) = on_its_way(&mut forge);
    forge.say(SMELTER, accept(offer, 900, None));
    let event = forge.event(COLLECTOR, settling(offer, 950));
    forge.append_signed(&event, &[forge::seed_of(COLLECTOR), forge::seed_of(SMELTER)]);
    clean(&forge.forged.judge_groups(pins()), Verdict::Verified, &[]);
    let out = forge.lot();
    let cathode = with_copper(made(out, CATHODE, 951), 10_000_000);
    let melt = refine(refining(&[draw(lot, 951)], &[cathode], &[]));
    lie(&mut forge, SMELTER, melt, "R2, reason 187 INSUFFICIENT_MASS");
}

#[test]
fn r5_a_count_finds_and_misses_no_more_than_is_tolerated() {
    for counted in [1_006, 994] {
        let mut forge = world();
        let lot = forge.copper(1_000);
        let words = "R5, reason 197 STOCKTAKE_BEYOND_TOLERANCE";
        lie(&mut forge, COLLECTOR, counting(lot, counted), words);
    }
    // Nor in several small steps.
    let mut forge = world();
    let lot = forge.copper(1_000);
    forge.say(COLLECTOR, counting(lot, 1_005));
    lie(&mut forge, COLLECTOR, counting(lot, 1_006), "1006 g were counted");
}

#[test]
fn r2_what_left_the_ledger_is_used_by_nobody() {
    let mut forge = world();
    let lot = forge.copper(1_000);
    forge.say(COLLECTOR, leaving(lot, 1_000));
    let child = forge.lot();
    let body = split(lot, &[draw(child, 1_000)]);
    lie(&mut forge, COLLECTOR, body, "R2, reason 187 INSUFFICIENT_MASS");

    let mut forge = world();
    let lot = battery(&mut forge);
    lie(&mut forge, COLLECTOR, leaving(lot, 1_000), "R7, reason 198 HAZARDOUS_EXIT");
}

#[test]
fn r7_hazardous_waste_is_disposed_of_by_who_may() {
    let mut forge = world();
    let lot = battery(&mut forge);
    let mut dispose = disposing(lot, 1_000, SMELTER);
    lie(
        &mut forge,
        COLLECTOR,
        Body::DisposeResidue(dispose.clone()),
        "R7, reason 182 MANIFEST_MISSING",
    );

    let mut forge = world();
    assert_eq!(battery(&mut forge), lot);
    dispose.manifest = Some(manifest());
    let body = Body::DisposeResidue(dispose);
    lie(&mut forge, COLLECTOR, body, "R7, reason 183 PERMIT_MISSING");
}

#[test]
fn r9_what_was_bought_on_an_invoice_is_sold_on_one() {
    let mut forge = world();
    let lot = forge.copper(1_000);
    let mut offer = offering(lot, 1_000, SMELTER);
    offer.invoice_class = Some(urbanmine::domain::vocabulary::InvoiceClass::None);
    let words = "R9, reason 199 INVOICE_CLASS_MISMATCH";
    lie(&mut forge, COLLECTOR, Body::OfferTransfer(offer), words);
}

// --- who acts, and what is claimed ---------------------------------------------------------------

#[test]
fn whoever_was_succeeded_acts_no_more() {
    let mut forge = world();
    let lot = forge.copper(1_000);
    let (party, successor) = (COLLECTOR, SMELTER);
    forge.say(COORD, Body::SucceedParty(SucceedParty { party, successor }));
    let child = forge.lot();
    lie(&mut forge, COLLECTOR, split(lot, &[draw(child, 1_000)]), "reason 121 PARTY_SUCCEEDED");

    let mut forge = world();
    forge.say(COORD, Body::SucceedParty(SucceedParty { party, successor }));
    let circle = SucceedParty { party: successor, successor: party };
    lie(&mut forge, COORD, Body::SucceedParty(circle), "reason 148 SUCCESSION_NOT_POSSIBLE");
}

/// Copper under mass balance that the smelter uses up: 500 g of copper earned.
fn earned(forge: &mut Forge) -> (EventId, Month) {
    let lot = forge.lot();
    let mut new = with_copper(new_lot(lot, COPPER, 1_000), 50_000_000);
    new.custody_model = CustodyModel::MassBalance;
    forge.say(COLLECTOR, collect(new));
    forge.deliver(lot, 1_000);
    let (out, slag) = (forge.lot(), forge.lot());
    let cathode = with_copper(made(out, CATHODE, 400), 99_000_000);
    let mut residue = with_copper(made(slag, SLAG, 600), 0);
    residue.custody_model = CustodyModel::MassBalance;
    let melt = refining(&[draw(lot, 1_000)], &[cathode], &[residue]);
    let melted = forge.say(SMELTER, refine(melt));
    (melted, Month::of(TimeMs::of(forge.now)))
}

fn claim(month: Month, grams: u64) -> Body {
    let (site, substance, mass) = (site(SMELTER), Substance::Cu, Grams::of(grams));
    Body::ClaimCredit(ClaimCredit { site, substance, mass, from: month, to: month.next() })
}

#[test]
fn no_credit_is_overdrawn_and_none_that_was_claimed_goes_away() {
    let mut forge = world();
    let (_, month) = earned(&mut forge);
    forge.say(SMELTER, claim(month, 300));
    lie(&mut forge, SMELTER, claim(month, 201), "reason 208 CREDIT_INSUFFICIENT: 201 g");

    let mut forge = world();
    let (melted, month) = earned(&mut forge);
    forge.say(SMELTER, claim(month, 300));
    lie(&mut forge, SMELTER, error(melted, &[]), "reason 209 CREDIT_CLAIMED");
}

#[test]
fn an_attested_checkpoint_is_this_ledgers_and_not_of_the_future() {
    let attested = |seed: u8, size: u64| {
        let root = Hash32([1; 32]);
        let checkpoint = Checkpoint { origin: origin(), size: EntryCount(size), root };
        let checkpoint = checkpoint.sign(&secret(seed)).text().to_owned();
        let (scope, result) = ("all".to_owned(), AttestResult::Passed);
        Body::Attest(Attest { scope, checkpoint, result })
    };
    for (seed, size) in [(forge::LEDGER, 1_000), (7, 3)] {
        let mut forge = world();
        let auditor = party(9);
        forge.register(auditor, &[PartyRole::Auditor], &[]);
        forge.say(auditor, attested(forge::LEDGER, 3));
        lie(&mut forge, auditor, attested(seed, size), "reason 149 CHECKPOINT_INVALID");
    }
}

// --- R8 ------------------------------------------------------------------------------------------

#[test]
fn r8_an_event_id_stands_once() {
    let mut forge = world();
    let lot = forge.lot();
    let event = forge.event(COLLECTOR, collect(new_lot(lot, COPPER, 1_000)));
    forge.append(&event);
    broken(&mut forge, &event, "R8, reason 105 EVENT_ALREADY_RECORDED");

    let mut forge = world();
    let first = some_collection(&mut forge);
    forge.append(&first);
    let mut other = some_collection(&mut forge);
    other.id = first.id;
    broken(&mut forge, &other, "R8, reason 104 EVENT_ID_CONFLICT");
}

// --- what else nobody may do ---------------------------------------------------------------------

#[test]
fn r10_whose_hands_a_lot_is_in_decides_who_uses_it() {
    let mut forge = world();
    let lot = forge.copper(1_000);
    forge.deliver(lot, 1_000);
    let child = forge.lot();
    let mut event = forge.event(COLLECTOR, split(lot, &[draw(child, 1_000)]));
    event.site = Some(site(COLLECTOR));
    broken(&mut forge, &event, "R10, reason 170 LOT_NOT_HELD");
}

#[test]
fn an_event_of_another_ledger_is_named() {
    let mut forge = world();
    let mut event = some_collection(&mut forge);
    event.origin = Origin::parse("ledger.example/other").unwrap();
    broken(&mut forge, &event, "reason 100 ORIGIN_MISMATCH");
}

#[test]
fn correctives_follow_as_announced() {
    // Announced, and the batch ends without them.
    let mut forge = world();
    let mistake = some_collection(&mut forge);
    forge.append(&mistake);
    let corrective = some_collection(&mut forge);
    let declared = forge.event(COLLECTOR, error(mistake.id, &[&corrective]));
    broken(&mut forge, &declared, "reason 107 CORRECTIVES_INCOMPLETE");

    // The same, not first in its batch.
    let mut forge = world();
    forge.skip(100);
    forge.append(&mistake);
    let other = some_collection(&mut forge);
    let at = forge.batch(&[other, declared.clone()]);
    caught(&mut forge, at + 1, FindingKind::RuleBroken, "reason 107 CORRECTIVES_INCOMPLETE");

    // The ledger speaks up where they should stand, or between.
    for after in [None, Some(&corrective)] {
        let mut forge = world();
        forge.skip(100);
        forge.append(&mistake);
        let at = forge.batch_interrupted(&declared, after);
        let words = "did not follow it directly";
        caught_at(&mut forge, at + 1, at + 1, FindingKind::CorrectivesMissing, words);
    }

    // Another event in their place.
    let mut forge = world();
    let mistake = some_collection(&mut forge);
    forge.append(&mistake);
    let corrective = some_collection(&mut forge);
    let declared = forge.event(COLLECTOR, error(mistake.id, &[&corrective]));
    let other = some_collection(&mut forge);
    let at = forge.batch(&[declared.clone(), other]);
    caught(&mut forge, at + 1, FindingKind::RuleBroken, "reason 106 CORRECTIVE_EXPECTED");

    // What the correction takes back was used since.
    let mut forge = world();
    let lot = forge.lot();
    let mistake = forge.say(COLLECTOR, collect(new_lot(lot, COPPER, 1_000)));
    let child = forge.lot();
    forge.say(COLLECTOR, split(lot, &[draw(child, 1_000)]));
    lie(&mut forge, COLLECTOR, error(mistake, &[]), "reason 204 CORRECTION_BLOCKED");
}

#[test]
fn nothing_is_judged_before_the_tables_are_there_and_the_genesis_is_first_and_once() {
    let mut forge = Forge::bare();
    let registration = Body::RegisterParty(forge::party_record(SMELTER, &[PartyRole::Smelter]));
    let event = forge.event(COORD, registration);
    let at = forge.append(&event);
    caught(&mut forge, at, FindingKind::RuleBroken, "reason 108 TABLES_NOT_PUBLISHED");

    let mut forge = world();
    let genesis = urbanmine::wire::decode_event(&genesis_payload(&forge)).unwrap();
    let at = forge.append_signed(&genesis, &[forge::seed_of(COORD), forge::LEDGER]);
    caught(&mut forge, at, FindingKind::RuleBroken, "reason 102 GENESIS_MISPLACED");

    let mut forge = world();
    let tables_hash = Hash32([7; 32]);
    let chunk = urbanmine::domain::event::PublishTables {
        tables_hash,
        chunk_index: 0,
        chunk_count: 1,
        content: b"not what the hash says".to_vec(),
    };
    lie(&mut forge, COORD, Body::PublishTables(chunk), "reason 145 TABLES_INVALID");
}

fn genesis_payload(forge: &Forge) -> bytes::Bytes {
    let entry = urbanmine::ledger::Entry::parse(&forge.forged.entries[0]).unwrap();
    urbanmine::ledger::Envelope::parse(&entry.envelope).unwrap().payload
}
