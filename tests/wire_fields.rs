//! The field rules of the border, a table per family: a good event, one thing wrong, and what is
//! told.

#![allow(clippy::expect_used, clippy::panic, reason = "a test may stop")]

use bytes::Bytes;
use prost::Message as _;
use urbanmine::domain::{Hash32, Origin};
use urbanmine::limits::MAX_FIELD_FAULTS;
use urbanmine::wire::statement::StatementBody;
use urbanmine::wire::v1::event::Body as B;
use urbanmine::wire::{
    DecodeFault, FieldFault, Statement, decode_event, decode_statement, encode_statement, v1,
};

fn id(seed: u8) -> Bytes {
    let mut raw = [seed; 16];
    raw[6] = 0x70;
    raw[8] = 0x80;
    Bytes::copy_from_slice(&raw)
}

fn hash(seed: u8) -> Bytes {
    Bytes::copy_from_slice(&[seed; 32])
}

fn event(body: B) -> v1::Event {
    let needs_site = matches!(
        body,
        B::OpeningInventory(_)
            | B::CollectLot(_)
            | B::AssayLot(_)
            | B::SplitLot(_)
            | B::MergeLots(_)
            | B::TransformLots(_)
            | B::OpenCampaign(_)
            | B::ChargeCampaign(_)
            | B::DrawCampaign(_)
            | B::CloseCampaign(_)
            | B::OfferTransfer(_)
            | B::AcceptTransfer(_)
            | B::RejectTransfer(_)
            | B::CancelTransfer(_)
            | B::PartlyAcceptTransfer(_)
            | B::ReturnTransfer(_)
            | B::DisposeResidue(_)
            | B::Stocktake(_)
            | B::ExitLot(_)
    );
    v1::Event {
        event_id: id(1),
        origin: "urbanmine.example/test".to_owned(),
        actor_party_id: id(2),
        site_id: if needs_site { id(3) } else { Bytes::new() },
        occurred_at_ms: 1,
        body: Some(body),
        ..v1::Event::default()
    }
}

fn faults(event: &v1::Event) -> Vec<FieldFault> {
    match decode_event(&event.encode_to_vec()) {
        Ok(_) => Vec::new(),
        Err(DecodeFault::Field(faults)) => faults,
        Err(other) => panic!("not a field fault: {other}"),
    }
}

#[track_caller]
fn assert_good(event: &v1::Event) {
    assert_eq!(faults(event), []);
}

/// Exactly one fault, of a field, whose rule says so.
#[track_caller]
fn assert_fault(event: &v1::Event, field: &str, rule: &str) {
    let found = faults(event);
    let names: Vec<String> = found.iter().map(ToString::to_string).collect();
    assert_eq!(found.len(), 1, "{names:#?}");
    assert_eq!(found[0].field, field, "{names:#?}");
    assert!(found[0].rule.contains(rule), "{names:#?}");
}

fn release() -> B {
    B::ReleaseLot(v1::ReleaseLot { lot_id: id(4), hold_event_id: id(5), note: String::new() })
}

fn composition() -> v1::Composition {
    let value =
        v1::AssayValue { substance: 29, basis: 1, fraction_e8: 95_000_000, ..Default::default() };
    v1::Composition { values: vec![value], ..Default::default() }
}

fn new_lot(origin_kind: i32) -> v1::NewLot {
    v1::NewLot {
        lot_id: id(6),
        material: "CU_SCRAP_NO2".to_owned(),
        form: "CABLE".to_owned(),
        origin_kind,
        net_mass_g: 10,
        custody_model: 2,
        composition: Some(composition()),
        ..Default::default()
    }
}

fn collect() -> v1::CollectLot {
    v1::CollectLot {
        lot: Some(new_lot(1)),
        seller_kind: 2,
        seller_commitment: hash(1),
        weighing: Some(v1::Weighing { gross_g: 15, tare_g: 5, net_g: 10, ticket: "T1".to_owned() }),
        origin_region: "360600".to_owned(),
        invoice_class: 1,
        ..Default::default()
    }
}

fn transform() -> v1::TransformLots {
    v1::TransformLots {
        process: "CU_ELECTROREFINING".to_owned(),
        inputs: vec![v1::LotDraw { lot_id: id(7), mass_g: 10 }],
        outputs: vec![new_lot(0)],
        ..Default::default()
    }
}

fn party() -> v1::PartyRecord {
    let role = v1::DatedRole { role: 1, valid_from_ms: 5, valid_to_ms: 0 };
    v1::PartyRecord {
        party_id: id(8),
        credit_code: "91360600MA35XXXXX0".to_owned(),
        roles: vec![role],
        ..Default::default()
    }
}

fn with_party(change: impl FnOnce(&mut v1::PartyRecord)) -> v1::Event {
    let mut record = party();
    change(&mut record);
    event(B::RegisterParty(v1::RegisterParty { party: Some(record) }))
}

fn with_collect(change: impl FnOnce(&mut v1::CollectLot)) -> v1::Event {
    let mut body = collect();
    change(&mut body);
    event(B::CollectLot(body))
}

fn with_lot(change: impl FnOnce(&mut v1::NewLot)) -> v1::Event {
    with_collect(|body| change(body.lot.as_mut().expect("a lot")))
}

fn with_composition(change: impl FnOnce(&mut v1::Composition)) -> v1::Event {
    let mut found = composition();
    change(&mut found);
    event(B::AssayLot(v1::AssayLot { lot_id: id(4), composition: Some(found) }))
}

fn with_transform(change: impl FnOnce(&mut v1::TransformLots)) -> v1::Event {
    let mut body = transform();
    change(&mut body);
    event(B::TransformLots(body))
}

#[test]
fn campaigns_name_lots_and_analyse_what_is_there() {
    let composition = || {
        let value = v1::AssayValue { substance: 29, basis: 1, fraction_e8: 1, uncertainty_e8: 0 };
        Some(v1::Composition { values: vec![value], ..v1::Composition::default() })
    };
    let open = |stock, found: Option<v1::Composition>| {
        event(B::OpenCampaign(v1::OpenCampaign {
            campaign_id: id(7),
            process: "CU_ELECTROREFINING".to_owned(),
            opening_stock_g: stock,
            opening_composition: found,
        }))
    };
    assert_good(&open(0, None));
    assert_good(&open(5, composition()));
    assert_fault(&open(0, composition()), "open_campaign.opening_composition", "absent");
    let close = |stock, found: Option<v1::Composition>, kinds: [i32; 2]| {
        event(B::CloseCampaign(v1::CloseCampaign {
            campaign_id: id(7),
            closing_stock_g: stock,
            closing_composition: found,
            losses: kinds.map(|kind| v1::LossLine { kind, mass_g: 1 }).to_vec(),
            uptakes: Vec::new(),
        }))
    };
    assert_good(&close(0, None, [1, 2]));
    assert_fault(&close(0, composition(), [1, 2]), "close_campaign.closing_composition", "absent");
    assert_fault(&close(1, composition(), [2, 1]), "close_campaign.losses", "ascends");
    let charge = v1::ChargeCampaign { campaign_id: id(7), ..v1::ChargeCampaign::default() };
    assert_fault(&event(B::ChargeCampaign(charge)), "charge_campaign.inputs", "names a lot");
    let draw = v1::DrawCampaign { campaign_id: id(7), ..v1::DrawCampaign::default() };
    assert_fault(&event(B::DrawCampaign(draw)), "draw_campaign.outputs", "names a lot");
}

#[test]
fn head_of_an_event() {
    let with = |change: fn(&mut v1::Event)| {
        let mut one = event(release());
        change(&mut one);
        one
    };
    assert_good(&with(|_| ()));
    assert_fault(&with(|e| e.event_id = Bytes::new()), "event_id", "present");
    assert_fault(&with(|e| e.event_id = id(1).slice(..15)), "event_id", "16 bytes");
    let v4 = |e: &mut v1::Event| e.event_id = Bytes::from_static(&[0x40; 16]);
    assert_fault(&with(v4), "event_id", "version 7");
    assert_fault(&with(|e| e.origin = String::new()), "origin", "1 to 128 bytes");
    assert_fault(&with(|e| e.origin = "a b".to_owned()), "origin", "ASCII letters");
    assert_fault(&with(|e| e.actor_party_id = Bytes::new()), "actor_party_id", "present");
    assert_fault(&with(|e| e.occurred_at_ms = 0), "occurred_at_ms", "present");
    assert_fault(&with(|e| e.occurred_at_ms = u64::MAX), "occurred_at_ms", "year 9999");
    assert_fault(
        &with(|e| e.occurred_at_offset_min = 841),
        "occurred_at_offset_min",
        "-720 to 840",
    );
    assert_fault(&with(|e| e.external_ref = "x".repeat(65)), "external_ref", "0 to 64 bytes");
    assert_fault(&with(|e| e.external_ref = "a\u{7}".to_owned()), "external_ref", "control");
}

#[test]
fn documents_and_commitments() {
    let mut one = event(release());
    one.documents = vec![v1::Document { kind: 1, number: String::new(), sha256: hash(1) }; 16];
    one.commitments = vec![v1::Commitment { kind: 1, sha256: hash(1) }; 16];
    assert_good(&one);
    let mut many = one.clone();
    many.documents.push(many.documents[0].clone());
    assert_fault(&many, "documents", "0 to 16");
    let mut short = one.clone();
    short.documents[3].sha256 = hash(1).slice(..31);
    assert_fault(&short, "documents[3].sha256", "32 bytes");
    let mut unsaid = one.clone();
    unsaid.commitments[2].kind = 0;
    assert_fault(&unsaid, "commitments[2].kind", "words");
    one.commitments[1].sha256 = Bytes::new();
    assert_fault(&one, "commitments[1].sha256", "32 bytes");
}

#[test]
fn where_an_event_needs_a_site() {
    let mut collected = event(B::CollectLot(collect()));
    collected.site_id = Bytes::new();
    assert_fault(&collected, "site_id", "present");
    let mut registered = with_party(|_| ());
    registered.site_id = id(3);
    assert_fault(&registered, "site_id", "absent");
    let mut released = event(release());
    assert_good(&released);
    released.site_id = id(3);
    assert_good(&released);
    released.site_id = id(3).slice(..4);
    assert_fault(&released, "site_id", "16 bytes");
    let mut error = event(B::DeclareError(v1::DeclareError {
        target_event_id: id(4),
        kind: 1,
        ..Default::default()
    }));
    assert_good(&error);
    error.site_id = id(3);
    assert_fault(&error, "site_id", "absent");
}

#[test]
fn parties() {
    assert_good(&with_party(|_| ()));
    let code = "register_party.party.credit_code";
    assert_fault(&with_party(|p| p.credit_code.push('0')), code, "18 characters");
    let with_i = |p: &mut v1::PartyRecord| p.credit_code = "I1360600MA35XXXXX0".to_owned();
    assert_fault(&with_party(with_i), code, "without I, O, S, V, Z");
    let roles = "register_party.party.roles";
    assert_fault(&with_party(|p| p.roles.clear()), roles, "1 to 16");
    assert_fault(&with_party(|p| p.roles = vec![p.roles[0]; 17]), roles, "1 to 16");
    let to = "register_party.party.roles[0].valid_to_ms";
    assert_fault(&with_party(|p| p.roles[0].valid_to_ms = 5), to, "later than");
    assert_good(&with_party(|p| p.roles[0].valid_to_ms = 6));
    let name = "register_party.party.name_zh";
    assert_fault(&with_party(|p| p.name_zh = "铜".repeat(43)), name, "128 bytes");
    let nothing = event(B::AmendParty(v1::AmendParty { party: None }));
    assert_fault(&nothing, "amend_party.party", "present");
}

#[test]
fn sites_and_licences() {
    let site = |change: fn(&mut v1::SiteRecord)| {
        let mut record = v1::SiteRecord {
            site_id: id(3),
            party_id: id(2),
            region_code: "360600".to_owned(),
            processes: vec!["A".to_owned(), "B".to_owned()],
            ..Default::default()
        };
        change(&mut record);
        event(B::RegisterSite(v1::RegisterSite { site: Some(record) }))
    };
    assert_good(&site(|_| ()));
    let path = "register_site.site.region_code";
    assert_fault(&site(|s| s.region_code = "36060".to_owned()), path, "6 ASCII digits");
    assert_fault(&site(|s| s.region_code = "３６".to_owned()), path, "6 ASCII digits");
    let path = "register_site.site.processes";
    assert_fault(&site(|s| s.processes.reverse()), path, "ascends");
    assert_fault(&site(|s| s.processes[1] = "A".to_owned()), path, "ascends");
    let path = "register_site.site.processes[1]";
    assert_fault(&site(|s| s.processes[1] = "b".to_owned()), path, "code");
    let licence = |change: fn(&mut v1::LicenceRecord)| {
        let mut record = v1::LicenceRecord {
            licence_id: id(3),
            party_id: id(2),
            kind: 4,
            number: "L1".to_owned(),
            waste_codes: vec!["321-026-48".to_owned(), "900-052-31".to_owned()],
            ..Default::default()
        };
        change(&mut record);
        event(B::AmendLicence(v1::AmendLicence { licence: Some(record) }))
    };
    assert_good(&licence(|_| ()));
    let path = "amend_licence.licence.waste_codes";
    assert_fault(&licence(|l| l.waste_codes.reverse()), path, "ascends");
    assert_fault(&licence(|l| l.kind = 1), path, "empty");
    let path = "amend_licence.licence.waste_codes[0]";
    assert_fault(&licence(|l| l.waste_codes[0] = "321-02648".to_owned()), path, "900-052-31");
    assert_fault(&licence(|l| l.number.clear()), "amend_licence.licence.number", "1 to 64");
}

#[test]
fn affiliations_keys_and_tables() {
    let affiliation = |kind, group_party_id| {
        let record = v1::AffiliationRecord {
            affiliation_id: id(3),
            party_id: id(2),
            kind,
            group_party_id,
            ..Default::default()
        };
        event(B::RegisterAffiliation(v1::RegisterAffiliation { affiliation: Some(record) }))
    };
    assert_good(&affiliation(1, id(9)));
    assert_good(&affiliation(4, Bytes::new()));
    let path = "register_affiliation.affiliation.group_party_id";
    assert_fault(&affiliation(1, Bytes::new()), path, "present");
    assert_fault(&affiliation(4, id(9)), path, "absent");
    let key = |public_key| {
        event(B::RegisterKey(v1::RegisterKey { party_id: id(2), public_key, ..Default::default() }))
    };
    assert_good(&key(hash(1)));
    assert_fault(&key(hash(1).slice(1..)), "register_key.public_key", "32 bytes");
    let tables = |chunk_index, chunk_count, length| {
        event(B::PublishTables(v1::PublishTables {
            tables_sha256: hash(1),
            chunk_index,
            chunk_count,
            content: vec![1; length].into(),
        }))
    };
    assert_good(&tables(63, 64, 40_000));
    assert_fault(&tables(3, 3, 1), "publish_tables.chunk_index", "less than");
    assert_fault(&tables(3, 65, 1), "publish_tables.chunk_count", "1 to 64");
    assert_fault(&tables(0, 1, 0), "publish_tables.content", "40000");
    assert_fault(&tables(0, 1, 40_001), "publish_tables.content", "40000");
}

#[test]
fn waivers_and_approvals() {
    let waiver = |change: fn(&mut v1::Waiver)| {
        let mut one = v1::Waiver {
            reason_code: "CREDIT_CODE_INVALID".to_owned(),
            subject: "91350211M0000XUF46".to_owned(),
            valid_to_ms: 5,
        };
        change(&mut one);
        event(B::Waiver(one))
    };
    assert_good(&waiver(|_| {}));
    assert_good(&waiver(|one| one.valid_to_ms = 0));
    assert_good(&waiver(|one| one.subject = "x".repeat(64)));
    assert_fault(&waiver(|one| one.reason_code.clear()), "waiver.reason_code", "is a code");
    assert_fault(&waiver(|one| one.reason_code = "r".to_owned()), "waiver.reason_code", "code");
    assert_fault(&waiver(|one| one.subject.clear()), "waiver.subject", "1 to 64 bytes");
    assert_fault(&waiver(|one| one.subject = "x".repeat(65)), "waiver.subject", "1 to 64");
    assert_fault(&waiver(|one| one.subject = "a\0b".to_owned()), "waiver.subject", "control");
    assert_fault(&waiver(|one| one.valid_to_ms = u64::MAX), "waiver.valid_to_ms", "year 9999");

    let approval = |change: fn(&mut v1::Approval)| {
        let mut one = v1::Approval {
            lot_id: id(4),
            from_party_id: id(5),
            to_party_id: id(5),
            mass_g: 1,
            number: "1".to_owned(),
            valid_to_ms: 0,
        };
        change(&mut one);
        event(B::Approval(one))
    };
    assert_good(&approval(|_| {}));
    assert_good(&approval(|one| one.mass_g = 1_000_000_000_000));
    assert_fault(&approval(|one| one.lot_id.clear()), "approval.lot_id", "present");
    assert_fault(&approval(|one| one.from_party_id.clear()), "approval.from_party_id", "present");
    assert_fault(&approval(|one| one.to_party_id.clear()), "approval.to_party_id", "present");
    assert_good(&approval(|one| one.mass_g = 0)); // a stocktake that found nothing
    assert_fault(&approval(|one| one.mass_g = 1_000_000_000_001), "approval.mass_g", "at most");
    assert_fault(&approval(|one| one.number.clear()), "approval.number", "1 to 64 bytes");
    assert_fault(&approval(|one| one.number = "x".repeat(65)), "approval.number", "1 to 64");
    assert_fault(&approval(|one| one.valid_to_ms = u64::MAX), "approval.valid_to_ms", "9999");
    let mut somewhere = approval(|_| {});
    somewhere.site_id = id(3);
    assert_fault(&somewhere, "site_id", "absent");
}

#[test]
fn grants_and_successions() {
    let grant = |depth, valid_to_ms| {
        let (lot_id, reader_party_id) = (id(4), id(5));
        event(B::VisibilityGrant(v1::VisibilityGrant {
            lot_id,
            reader_party_id,
            depth,
            valid_to_ms,
        }))
    };
    assert_good(&grant(1, 0));
    assert_good(&grant(64, 5));
    assert_fault(&grant(0, 0), "visibility_grant.depth", "1 to 64");
    assert_fault(&grant(65, 0), "visibility_grant.depth", "1 to 64");
    assert_fault(&grant(1, u64::MAX), "visibility_grant.valid_to_ms", "9999");
    let nobody = event(B::VisibilityGrant(v1::VisibilityGrant {
        lot_id: id(4),
        depth: 1,
        ..Default::default()
    }));
    assert_fault(&nobody, "visibility_grant.reader_party_id", "present");
    let succeed = |party_id, successor_party_id| {
        event(B::SucceedParty(v1::SucceedParty { party_id, successor_party_id }))
    };
    assert_good(&succeed(id(4), id(5)));
    assert_good(&succeed(id(4), id(4)));
    assert_fault(&succeed(Bytes::new(), id(5)), "succeed_party.party_id", "present");
    assert_fault(&succeed(id(4), Bytes::new()), "succeed_party.successor_party_id", "present");
}

#[test]
fn words_and_claims() {
    let attest = |scope: &str, checkpoint: &str, result| {
        let (scope, checkpoint) = (scope.to_owned(), checkpoint.to_owned());
        event(B::Attest(v1::Attest { scope, checkpoint, result }))
    };
    assert_good(&attest("balance", "a\n1\n", 1));
    assert_fault(&attest("", "", 1), "attest.scope", "1 to 128");
    assert_fault(&attest(&"x".repeat(129), "", 1), "attest.scope", "1 to 128");
    assert_fault(&attest("x", "a\tb", 1), "attest.checkpoint", "control");
    assert_fault(&attest("x", &"y".repeat(2_049), 1), "attest.checkpoint", "2048");
    assert_fault(&attest("x", "", 0), "attest.result", "words");

    let acknowledge = |anomaly: &str, note: &str| {
        let (anomaly, note) = (anomaly.to_owned(), note.to_owned());
        event(B::AcknowledgeAnomaly(v1::AcknowledgeAnomaly { anomaly, note }))
    };
    assert_good(&acknowledge("A2-1", ""));
    assert_fault(&acknowledge("", ""), "acknowledge_anomaly.anomaly", "1 to 64");
    assert_fault(&acknowledge(&"x".repeat(65), ""), "acknowledge_anomaly.anomaly", "1 to 64");
    assert_fault(&acknowledge("x", &"y".repeat(257)), "acknowledge_anomaly.note", "0 to 256");

    // September 2016 to August 2017 in Beijing.
    let (from, to) = (1_472_659_200_000, 1_504_195_200_000);
    let claim = |mass_g, period_from_ms, period_to_ms| {
        event(B::ClaimCredit(v1::ClaimCredit {
            site_id: id(4),
            substance: 29,
            mass_g,
            period_from_ms,
            period_to_ms,
        }))
    };
    assert_good(&claim(1, from, to));
    assert_fault(&claim(0, from, to), "claim_credit.mass_g", "more than 0 g");
    assert_fault(&claim(1, from + 1, to), "claim_credit.period_from_ms", "first moment");
    assert_fault(&claim(1, from, to - 1), "claim_credit.period_to_ms", "first moment");
    assert_fault(&claim(1, 0, to), "claim_credit.period_from_ms", "present");
    assert_fault(&claim(1, from, from), "claim_credit.period_to_ms", "1 to 12 months");
    assert_fault(&claim(1, to, from), "claim_credit.period_to_ms", "1 to 12 months");
    // The day after the thirteenth month of 30 days.
    let after = to + 30 * 86_400_000;
    assert_fault(&claim(1, from, after), "claim_credit.period_to_ms", "1 to 12 months");
    let mut somewhere = claim(1, from, to);
    somewhere.site_id = id(3);
    assert_fault(&somewhere, "site_id", "absent");
}

#[test]
fn genesis() {
    let genesis = |change: fn(&mut v1::Genesis)| {
        let mut body = v1::Genesis {
            ledger_public_key: hash(1),
            tables_sha256: hash(2),
            rules_version: 1,
            coordinator: Some(party()),
            coordinator_public_key: hash(3),
            previous_checkpoint: "a\n1\nb\n".to_owned(),
        };
        change(&mut body);
        event(B::Genesis(body))
    };
    assert_good(&genesis(|_| ()));
    assert_fault(&genesis(|g| g.rules_version = 0), "genesis.rules_version", "1 to 65535");
    assert_fault(&genesis(|g| g.rules_version = 65_536), "genesis.rules_version", "1 to 65535");
    assert_fault(&genesis(|g| g.coordinator = None), "genesis.coordinator", "present");
    let path = "genesis.previous_checkpoint";
    assert_fault(&genesis(|g| g.previous_checkpoint.push('\r')), path, "control characters");
}

#[test]
fn lots() {
    assert_good(&with_lot(|_| ()));
    let path = "collect_lot.lot.net_mass_g";
    assert_fault(&with_lot(|l| l.net_mass_g = 0), path, "more than 0");
    assert_fault(&with_lot(|l| l.net_mass_g = 1_000_000_000_001), path, "at most");
    assert_fault(&with_lot(|l| l.material = "cu".to_owned()), "collect_lot.lot.material", "code");
    assert_fault(&with_lot(|l| l.form = "A".repeat(33)), "collect_lot.lot.form", "code");
    assert_fault(&with_lot(|l| l.origin_kind = 0), "collect_lot.lot.origin_kind", "words");
    assert_fault(&with_lot(|l| l.custody_model = 0), "collect_lot.lot.custody_model", "words");
    let grade = v1::GradeRef { scheme: String::new(), code: "Birch".to_owned() };
    let path = "collect_lot.lot.grades[0].scheme";
    assert_fault(&with_lot(|l| l.grades = vec![grade]), path, "1 to 32");
    assert_fault(&with_collect(|c| c.lot = None), "collect_lot.lot", "present");
    assert_fault(&with_collect(|c| c.weighing = None), "collect_lot.weighing", "present");
    let path = "collect_lot.seller_commitment";
    assert_fault(&with_collect(|c| c.seller_commitment = Bytes::new()), path, "32 bytes");
    let path = "collect_lot.weighing.ticket";
    let no_ticket = |c: &mut v1::CollectLot| c.weighing.as_mut().expect("one").ticket.clear();
    assert_fault(&with_collect(no_ticket), path, "1 to 64");
    let manifest = v1::Manifest { number: "2026360000001".to_owned(), ..Default::default() };
    let path = "collect_lot.manifest.number";
    assert_fault(&with_collect(|c| c.manifest = Some(manifest)), path, "14 ASCII digits");
}

#[test]
fn compositions() {
    let value = |substance, basis| v1::AssayValue { substance, basis, ..Default::default() };
    let values = |values: Vec<v1::AssayValue>, total_e8| {
        with_composition(|c| {
            c.values = values;
            c.total_e8 = total_e8;
        })
    };
    let path = "assay_lot.composition.values";
    assert_good(&values(vec![value(13, 1), value(29, 2)], 0));
    assert_good(&values(vec![value(26 + 3, 1), value(60, 3), value(66, 3)], 5));
    assert_fault(&values(vec![], 0), path, "1 to 40");
    assert_fault(&values(vec![value(29, 1), value(13, 1)], 0), path, "ascends");
    assert_fault(&values(vec![value(29, 1), value(29, 2)], 0), path, "ascends");
    assert_fault(&values(vec![value(60, 3), value(66, 4)], 5), path, "does not mix");
    let total = "assay_lot.composition.total_e8";
    assert_fault(&values(vec![value(60, 3)], 0), total, "exactly when");
    assert_fault(&values(vec![value(60, 4)], 0), total, "exactly when");
    assert_fault(&values(vec![value(60, 1)], 5), total, "exactly when");
    let basis = "assay_lot.composition.values[0].basis";
    assert_fault(&values(vec![value(29, 3)], 5), basis, "rare earths only");
    assert_fault(&values(vec![value(29, 0)], 0), basis, "words");
    let path = "assay_lot.composition.values[0].fraction_e8";
    assert_fault(&with_composition(|c| c.values[0].fraction_e8 = 100_000_001), path, "at most");
    let path = "assay_lot.composition.moisture_e8";
    assert_fault(&with_composition(|c| c.moisture_e8 = u32::MAX), path, "at most");
    let path = "assay_lot.composition.total_uncertainty_e8";
    assert_fault(&with_composition(|c| c.total_uncertainty_e8 = 1), path, "without total_e8");
    let path = "assay_lot.composition.method";
    assert_fault(&with_composition(|c| c.method = "\u{85}".to_owned()), path, "control");
}

#[test]
fn splits_and_merges() {
    let split = |count: usize, mass_g| {
        let children = vec![v1::SplitChild { lot_id: id(5), mass_g }; count];
        event(B::SplitLot(v1::SplitLot { parent_lot_id: id(4), children, handling_loss_g: 0 }))
    };
    assert_good(&split(256, 1));
    assert_fault(&split(257, 1), "split_lot.children", "1 to 256");
    assert_fault(&split(0, 1), "split_lot.children", "1 to 256");
    assert_fault(&split(1, 0), "split_lot.children[0].mass_g", "more than 0");
    let merge = |count: usize, origin_kind| {
        let parents = vec![v1::LotDraw { lot_id: id(5), mass_g: 1 }; count];
        event(B::MergeLots(v1::MergeLots { parents, output: Some(new_lot(origin_kind)) }))
    };
    assert_good(&merge(2, 0));
    assert_good(&merge(300, 0));
    assert_fault(&merge(1, 0), "merge_lots.parents", "2 to 300");
    assert_fault(&merge(301, 0), "merge_lots.parents", "2 to 300");
    assert_fault(&merge(2, 1), "merge_lots.output.origin_kind", "absent");
}

#[test]
fn transforms() {
    assert_good(&with_transform(|_| ()));
    let path = "transform_lots.campaign_id";
    assert_fault(&with_transform(|t| t.campaign_id = id(9)), path, "absent");
    assert_fault(&with_transform(|t| t.process.clear()), "transform_lots.process", "code");
    assert_fault(&with_transform(|t| t.inputs.clear()), "transform_lots.inputs", "1 to 300");
    assert_fault(&with_transform(|t| t.outputs.clear()), "transform_lots.outputs", "1 to 64");
    let path = "transform_lots.residues[0].origin_kind";
    assert_fault(&with_transform(|t| t.residues = vec![new_lot(5)]), path, "absent");
    let loss = |kind, mass_g| v1::LossLine { kind, mass_g };
    let losses = |lines: Vec<v1::LossLine>| with_transform(|t| t.losses = lines);
    assert_good(&losses(vec![loss(1, 5), loss(4, 5)]));
    assert_fault(&losses(vec![loss(4, 5), loss(1, 5)]), "transform_lots.losses", "ascends");
    assert_fault(&losses(vec![loss(4, 5), loss(4, 5)]), "transform_lots.losses", "ascends");
    assert_fault(&losses(vec![loss(4, 0)]), "transform_lots.losses[0].mass_g", "more than 0");
    let uptakes =
        vec![v1::UptakeLine { kind: 2, mass_g: 1 }, v1::UptakeLine { kind: 1, mass_g: 1 }];
    let path = "transform_lots.uptakes";
    assert_fault(&with_transform(|t| t.uptakes = uptakes), path, "ascends");
}

#[test]
fn transfers() {
    let offer = |scope, consignee_site_id| {
        event(B::OfferTransfer(v1::OfferTransfer {
            lot_id: id(4),
            mass_g: 1,
            consignee_party_id: id(5),
            consignee_site_id,
            scope,
            ..Default::default()
        }))
    };
    assert_good(&offer(1, id(6)));
    assert_good(&offer(2, Bytes::new()));
    let path = "offer_transfer.consignee_site_id";
    assert_fault(&offer(3, Bytes::new()), path, "present");
    assert_fault(&offer(2, id(6)), path, "absent");
    assert_fault(&offer(0, Bytes::new()), "offer_transfer.scope", "words");
    let accept = v1::AcceptTransfer { offer_event_id: id(4), ..Default::default() };
    assert_good(&event(B::AcceptTransfer(accept)));
    let reject = v1::RejectTransfer { offer_event_id: id(4), reason: 0, note: String::new() };
    assert_fault(&event(B::RejectTransfer(reject)), "reject_transfer.reason", "words");
    let note = "x".repeat(257);
    let cancel = v1::CancelTransfer { offer_event_id: id(4), reason: 1, note };
    assert_fault(&event(B::CancelTransfer(cancel)), "cancel_transfer.note", "256 bytes");
    let hold = v1::HoldLot { lot_id: id(4), reason: 0, authority: String::new() };
    assert_fault(&event(B::HoldLot(hold)), "hold_lot.reason", "words");
}

#[test]
fn parts_returns_and_settlements() {
    let part = |alter: fn(&mut v1::PartlyAcceptTransfer)| {
        let mut part = v1::PartlyAcceptTransfer {
            offer_event_id: id(4),
            received: None,
            received_lot_id: id(5),
            refused_g: 1,
            reason: 1,
        };
        alter(&mut part);
        event(B::PartlyAcceptTransfer(part))
    };
    assert_good(&part(|_| ()));
    let path = "partly_accept_transfer.received_lot_id";
    assert_fault(&part(|p| p.received_lot_id.clear()), path, "present");
    let path = "partly_accept_transfer.refused_g";
    assert_fault(&part(|p| p.refused_g = 0), path, "more than 0");
    assert_fault(&part(|p| p.reason = 0), "partly_accept_transfer.reason", "words");
    let back = |mass_g, reason| {
        let (offer_event_id, lot_id) = (id(4), id(5));
        event(B::ReturnTransfer(v1::ReturnTransfer { offer_event_id, lot_id, mass_g, reason }))
    };
    assert_good(&back(1, 1));
    assert_fault(&back(0, 1), "return_transfer.mass_g", "more than 0");
    assert_fault(&back(1, 0), "return_transfer.reason", "words");
    let settle = |agreed_g, cause| {
        let offer_event_id = id(4);
        event(B::SettleDiscrepancy(v1::SettleDiscrepancy { offer_event_id, agreed_g, cause }))
    };
    assert_good(&settle(0, 2));
    assert_fault(&settle(0, 0), "settle_discrepancy.cause", "words");
    assert_fault(&settle(u64::MAX, 2), "settle_discrepancy.agreed_g", "at most");
    let mut nowhere = back(1, 1);
    nowhere.site_id.clear();
    assert_fault(&nowhere, "site_id", "present");
}

#[test]
fn counts_and_endings() {
    let draw = Some(v1::LotDraw { lot_id: id(5), mass_g: 1 });
    let count = |counted_g, reason: &str| {
        let reason = reason.to_owned();
        event(B::Stocktake(v1::Stocktake { lot_id: id(4), counted_g, reason }))
    };
    assert_good(&count(0, "year's end"));
    assert_fault(&count(0, ""), "stocktake.reason", "1 to 256");
    let dispose = |route: &str, residue| {
        let (route, facility_party_id) = (route.to_owned(), id(6));
        event(B::DisposeResidue(v1::DisposeResidue {
            residue,
            route,
            facility_party_id,
            manifest: None,
        }))
    };
    assert_good(&dispose("D10", draw.clone()));
    assert_fault(&dispose("", draw.clone()), "dispose_residue.route", "1 to 64");
    assert_fault(&dispose("D10", None), "dispose_residue.residue", "present");
    let leave = |buyer_kind, customs: &str| {
        event(B::ExitLot(v1::ExitLot {
            lot: draw.clone(),
            buyer_kind,
            customs_number: customs.to_owned(),
            buyer_commitment: hash(7),
        }))
    };
    assert_good(&leave(1, ""));
    assert_good(&leave(2, "C-1"));
    assert_fault(&leave(2, ""), "exit_lot.customs_number", "1 to 64");
    assert_fault(&leave(0, ""), "exit_lot.buyer_kind", "words");
}

#[test]
fn declared_errors() {
    let declare = |kind, count: usize| {
        let one = v1::Corrective { event_id: id(5), payload_sha256: hash(1) };
        event(B::DeclareError(v1::DeclareError {
            target_event_id: id(4),
            kind,
            note: String::new(),
            correctives: vec![one; count],
        }))
    };
    assert_good(&declare(1, 0));
    assert_good(&declare(2, 16));
    assert_fault(&declare(1, 1), "declare_error.correctives", "0 to 0");
    assert_fault(&declare(2, 0), "declare_error.correctives", "1 to 16");
    assert_fault(&declare(2, 17), "declare_error.correctives", "1 to 16");
    assert_fault(&declare(0, 0), "declare_error.kind", "words");
}

#[test]
fn all_faults_are_told_up_to_the_limit() {
    let mut one = with_lot(|lot| {
        lot.net_mass_g = 0;
        lot.material.clear();
    });
    one.origin.clear();
    let fields: Vec<String> = faults(&one).into_iter().map(|fault| fault.field).collect();
    assert_eq!(fields, ["origin", "collect_lot.lot.material", "collect_lot.lot.net_mass_g"]);
    let children = vec![v1::SplitChild::default(); 256];
    let split = v1::SplitLot { parent_lot_id: id(4), children, handling_loss_g: 0 };
    assert_eq!(faults(&event(B::SplitLot(split))).len(), MAX_FIELD_FAULTS);
}

#[test]
fn a_long_value_is_told_in_part() {
    let one = with_lot(|lot| lot.material = "铜\n".repeat(2_000));
    let fault = &faults(&one)[0];
    assert!(fault.found.len() < 200 && !fault.found.contains('\n'), "{}", fault.found);
}

#[test]
fn statements() {
    let origin = Origin::parse("urbanmine.example/test").expect("an origin");
    let bodies = [
        StatementBody::LotStateRoot {
            size: urbanmine::domain::EntryCount(7),
            root: Hash32([1; 32]),
        },
        StatementBody::LedgerKeyRotation {
            next_key: urbanmine::domain::PublicKey([2; 32]),
            possession: [3; 64],
        },
        StatementBody::RestartNote { software: "urbanmine 0.1.0".to_owned() },
    ];
    for body in bodies {
        let statement = Statement { origin: origin.clone(), body };
        assert_eq!(decode_statement(&encode_statement(&statement)), Ok(statement));
    }
    let short = v1::LotStateRoot { tree_size: 1, root: hash(1).slice(1..) };
    let body = Some(v1::statement::Body::LotStateRoot(short));
    let bytes = v1::Statement { origin: origin.as_str().to_owned(), body }.encode_to_vec();
    let Err(DecodeFault::Field(faults)) = decode_statement(&bytes) else { panic!("refused") };
    assert_eq!(faults[0].field, "lot_state_root.root");
}
