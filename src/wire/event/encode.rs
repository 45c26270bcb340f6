//! [`Event`] -> bytes, for clients and tests. prost writes fields in ascending order and leaves out
//! defaults, so the bytes are canonical; a property test holds it to that.

use bytes::Bytes;
use prost::Message as _;

use super::v1;
use crate::domain::event::{
    AcceptTransfer, AcknowledgeAnomaly, Approval, AssayValue, Attest, Body, ChargeCampaign,
    ClaimCredit, CloseCampaign, CloseTransfer, CollectLot, Composition, DeclareError,
    DisposeResidue, DrawCampaign, Event, ExitLot, Genesis, HoldLot, LotDraw, Manifest, NewLot,
    OfferTransfer, OpenCampaign, OpeningInventory, PartlyAcceptTransfer, PublishTables,
    RegisterKey, ReleaseLot, ReturnTransfer, RevokeKey, SettleDiscrepancy, SplitLot, Stocktake,
    TransformLots, VisibilityGrant, Waiver, Weighing,
};
use crate::domain::party::{Affiliation, Licence, Party, Site};
use crate::domain::units::Validity;
use crate::domain::vocabulary::{LossKind, UptakeKind};
use crate::domain::{Grams, Hash32, PartyId};

/// Writes an event's canonical bytes. Values are written as they are; what breaks a field rule is
/// refused when it is read.
pub fn encode_event(event: &Event) -> Vec<u8> {
    to_message(event).encode_to_vec()
}

/// The generated form of an event.
fn to_message(event: &Event) -> v1::Event {
    let document = |one: &crate::domain::event::Document| v1::Document {
        kind: word(one.kind.number()),
        number: one.number.clone(),
        sha256: one.sha256.map(|hash| hash_bytes(&hash)).unwrap_or_default(),
    };
    let commitment = |one: &crate::domain::event::Commitment| v1::Commitment {
        kind: word(one.kind.number()),
        sha256: hash_bytes(&one.sha256),
    };
    v1::Event {
        event_id: id(event.id.as_bytes()),
        origin: event.origin.as_str().to_owned(),
        actor_party_id: id(event.actor.as_bytes()),
        site_id: event.site.map(|site| id(site.as_bytes())).unwrap_or_default(),
        occurred_at_ms: event.occurred_at.get(),
        occurred_at_offset_min: event.occurred_at_offset.get(),
        documents: event.documents.iter().map(document).collect(),
        commitments: event.commitments.iter().map(commitment).collect(),
        external_ref: event.external_ref.clone(),
        body: Some(body(&event.body)),
    }
}

fn body(body: &Body) -> v1::event::Body {
    use v1::event::Body as B;
    match body {
        Body::Genesis(one) => B::Genesis(genesis(one)),
        Body::RegisterParty(one) => B::RegisterParty(v1::RegisterParty { party: Some(party(one)) }),
        Body::AmendParty(one) => B::AmendParty(v1::AmendParty { party: Some(party(one)) }),
        Body::RegisterSite(one) => B::RegisterSite(v1::RegisterSite { site: Some(site(one)) }),
        Body::AmendSite(one) => B::AmendSite(v1::AmendSite { site: Some(site(one)) }),
        Body::RegisterLicence(of, one) => {
            B::RegisterLicence(v1::RegisterLicence { licence: Some(licence(of, one)) })
        }
        Body::AmendLicence(of, one) => {
            B::AmendLicence(v1::AmendLicence { licence: Some(licence(of, one)) })
        }
        Body::RegisterAffiliation(of, one) => B::RegisterAffiliation(v1::RegisterAffiliation {
            affiliation: Some(affiliation(of, one)),
        }),
        Body::AmendAffiliation(of, one) => {
            B::AmendAffiliation(v1::AmendAffiliation { affiliation: Some(affiliation(of, one)) })
        }
        Body::RegisterKey(one) => B::RegisterKey(register_key(one)),
        Body::RevokeKey(one) => B::RevokeKey(revoke_key(one)),
        Body::PublishTables(one) => B::PublishTables(publish_tables(one)),
        Body::Waiver(one) => B::Waiver(waiver(one)),
        Body::Approval(one) => B::Approval(approval(one)),
        Body::VisibilityGrant(one) => B::VisibilityGrant(visibility_grant(*one)),
        Body::SucceedParty(one) => B::SucceedParty(v1::SucceedParty {
            party_id: id(one.party.as_bytes()),
            successor_party_id: id(one.successor.as_bytes()),
        }),
        Body::OpeningInventory(one) => B::OpeningInventory(opening_inventory(one)),
        Body::CollectLot(one) => B::CollectLot(collect_lot(one)),
        Body::AssayLot(one) => B::AssayLot(v1::AssayLot {
            lot_id: id(one.lot.as_bytes()),
            composition: Some(composition(&one.composition)),
        }),
        Body::SplitLot(one) => B::SplitLot(split_lot(one)),
        Body::MergeLots(one) => B::MergeLots(v1::MergeLots {
            parents: one.parents.iter().map(draw).collect(),
            output: Some(new_lot(&one.output)),
        }),
        Body::TransformLots(one) => B::TransformLots(transform_lots(one)),
        Body::OpenCampaign(one) => B::OpenCampaign(open_campaign(one)),
        Body::ChargeCampaign(one) => B::ChargeCampaign(charge_campaign(one)),
        Body::DrawCampaign(one) => B::DrawCampaign(draw_campaign(one)),
        Body::CloseCampaign(one) => B::CloseCampaign(close_campaign(one)),
        Body::OfferTransfer(one) => B::OfferTransfer(offer_transfer(one)),
        Body::AcceptTransfer(one) => B::AcceptTransfer(accept_transfer(one)),
        Body::RejectTransfer(one) => B::RejectTransfer(reject_transfer(one)),
        Body::CancelTransfer(one) => B::CancelTransfer(cancel_transfer(one)),
        Body::PartlyAcceptTransfer(one) => B::PartlyAcceptTransfer(partly_accept(one)),
        Body::ReturnTransfer(one) => B::ReturnTransfer(return_transfer(one)),
        Body::SettleDiscrepancy(one) => B::SettleDiscrepancy(settle_discrepancy(one)),
        Body::DisposeResidue(one) => B::DisposeResidue(dispose_residue(one)),
        Body::Stocktake(one) => B::Stocktake(stocktake(one)),
        Body::ExitLot(one) => B::ExitLot(exit_lot(one)),
        Body::HoldLot(one) => B::HoldLot(hold_lot(one)),
        Body::ReleaseLot(one) => B::ReleaseLot(release_lot(one)),
        Body::DeclareError(one) => B::DeclareError(declare_error(one)),
        Body::Attest(one) => B::Attest(attest(one)),
        Body::AcknowledgeAnomaly(one) => B::AcknowledgeAnomaly(acknowledge_anomaly(one)),
        Body::ClaimCredit(one) => B::ClaimCredit(claim_credit(*one)),
    }
}

fn id(raw: &[u8; 16]) -> Bytes {
    Bytes::copy_from_slice(raw)
}

fn hash_bytes(hash: &Hash32) -> Bytes {
    Bytes::copy_from_slice(hash.as_bytes())
}

fn word(number: u8) -> i32 {
    i32::from(number)
}

fn optional_party(party: Option<PartyId>) -> Bytes {
    party.map(|party| id(party.as_bytes())).unwrap_or_default()
}

fn end(to: Option<crate::domain::TimeMs>) -> u64 {
    to.map_or(0, crate::domain::TimeMs::get)
}

fn interval(validity: Validity) -> (u64, u64) {
    (validity.from.get(), end(validity.to))
}

fn genesis(genesis: &Genesis) -> v1::Genesis {
    v1::Genesis {
        ledger_public_key: Bytes::copy_from_slice(genesis.ledger_key.as_bytes()),
        tables_sha256: hash_bytes(&genesis.tables_hash),
        rules_version: u32::from(genesis.rules_version),
        coordinator: Some(party(&genesis.coordinator)),
        coordinator_public_key: Bytes::copy_from_slice(genesis.coordinator_key.as_bytes()),
        previous_checkpoint: genesis.previous_checkpoint.clone(),
    }
}

fn party(party: &Party) -> v1::PartyRecord {
    let role = |dated: &crate::domain::party::DatedRole| {
        let (valid_from_ms, valid_to_ms) = interval(dated.validity);
        v1::DatedRole { role: word(dated.role.number()), valid_from_ms, valid_to_ms }
    };
    v1::PartyRecord {
        party_id: id(party.id.as_bytes()),
        credit_code: party.credit_code.clone(),
        name_zh: party.name_zh.clone(),
        name_en: party.name_en.clone(),
        roles: party.roles.iter().map(role).collect(),
        credit_code_waiver_event_id: party
            .credit_code_waiver
            .map(|waiver| id(waiver.as_bytes()))
            .unwrap_or_default(),
    }
}

fn site(site: &Site) -> v1::SiteRecord {
    v1::SiteRecord {
        site_id: id(site.id.as_bytes()),
        party_id: id(site.party.as_bytes()),
        name_zh: site.name_zh.clone(),
        name_en: site.name_en.clone(),
        region_code: site.region_code.clone(),
        base: site.base.clone(),
        processes: site.processes.clone(),
        yearly_capacity_g: site.yearly_capacity.get(),
    }
}

fn licence(of: &PartyId, licence: &Licence) -> v1::LicenceRecord {
    let (valid_from_ms, valid_to_ms) = interval(licence.validity);
    v1::LicenceRecord {
        licence_id: id(licence.id.as_bytes()),
        party_id: id(of.as_bytes()),
        kind: word(licence.kind.number()),
        number: licence.number.clone(),
        waste_codes: licence.waste_codes.clone(),
        yearly_capacity_g: licence.yearly_capacity.get(),
        valid_from_ms,
        valid_to_ms,
    }
}

fn affiliation(of: &PartyId, affiliation: &Affiliation) -> v1::AffiliationRecord {
    let (valid_from_ms, valid_to_ms) = interval(affiliation.validity);
    v1::AffiliationRecord {
        affiliation_id: id(affiliation.id.as_bytes()),
        party_id: id(of.as_bytes()),
        kind: word(affiliation.kind.number()),
        group_party_id: optional_party(affiliation.group),
        valid_from_ms,
        valid_to_ms,
    }
}

fn register_key(key: &RegisterKey) -> v1::RegisterKey {
    let (valid_from_ms, valid_to_ms) = interval(key.validity);
    v1::RegisterKey {
        party_id: id(key.party.as_bytes()),
        public_key: Bytes::copy_from_slice(key.public_key.as_bytes()),
        valid_from_ms,
        valid_to_ms,
    }
}

fn revoke_key(revocation: &RevokeKey) -> v1::RevokeKey {
    v1::RevokeKey {
        key_id: Bytes::copy_from_slice(revocation.key.as_bytes()),
        revoked_at_ms: revocation.revoked_at.get(),
        reason: revocation.reason.clone(),
    }
}

fn publish_tables(tables: &PublishTables) -> v1::PublishTables {
    v1::PublishTables {
        tables_sha256: hash_bytes(&tables.tables_hash),
        chunk_index: tables.chunk_index,
        chunk_count: tables.chunk_count,
        content: Bytes::copy_from_slice(&tables.content),
    }
}

fn waiver(waiver: &Waiver) -> v1::Waiver {
    v1::Waiver {
        reason_code: waiver.reason_code.clone(),
        subject: waiver.subject.clone(),
        valid_to_ms: end(waiver.valid_to),
    }
}

fn approval(approval: &Approval) -> v1::Approval {
    v1::Approval {
        lot_id: id(approval.lot.as_bytes()),
        from_party_id: id(approval.from.as_bytes()),
        to_party_id: id(approval.to.as_bytes()),
        mass_g: approval.mass.get(),
        number: approval.number.clone(),
        valid_to_ms: end(approval.valid_to),
    }
}

fn visibility_grant(grant: VisibilityGrant) -> v1::VisibilityGrant {
    v1::VisibilityGrant {
        lot_id: id(grant.lot.as_bytes()),
        reader_party_id: id(grant.reader.as_bytes()),
        depth: grant.depth,
        valid_to_ms: end(grant.valid_to),
    }
}

fn attest(attest: &Attest) -> v1::Attest {
    v1::Attest {
        scope: attest.scope.clone(),
        checkpoint: attest.checkpoint.clone(),
        result: word(attest.result.number()),
    }
}

fn acknowledge_anomaly(word: &AcknowledgeAnomaly) -> v1::AcknowledgeAnomaly {
    v1::AcknowledgeAnomaly { anomaly: word.anomaly.clone(), note: word.note.clone() }
}

fn claim_credit(claim: ClaimCredit) -> v1::ClaimCredit {
    v1::ClaimCredit {
        site_id: id(claim.site.as_bytes()),
        substance: word(claim.substance.number()),
        mass_g: claim.mass.get(),
        period_from_ms: end(claim.from.begin()),
        period_to_ms: end(claim.to.begin()),
    }
}

fn opening_inventory(opening: &OpeningInventory) -> v1::OpeningInventory {
    v1::OpeningInventory {
        party_id: id(opening.party.as_bytes()),
        lots: opening.lots.iter().map(new_lot).collect(),
    }
}

fn new_lot(lot: &NewLot) -> v1::NewLot {
    let grade = |grade: &crate::domain::event::GradeRef| v1::GradeRef {
        scheme: grade.scheme.clone(),
        code: grade.code.clone(),
    };
    v1::NewLot {
        lot_id: id(lot.id.as_bytes()),
        material: lot.material.clone(),
        form: lot.form.clone(),
        origin_kind: lot.origin_kind.map_or(0, |kind| word(kind.number())),
        net_mass_g: lot.net_mass.get(),
        custody_model: word(lot.custody_model.number()),
        grades: lot.grades.iter().map(grade).collect(),
        composition: lot.composition.as_ref().map(composition),
    }
}

fn composition(composition: &Composition) -> v1::Composition {
    let value = |value: &AssayValue| v1::AssayValue {
        substance: word(value.substance.number()),
        basis: word(value.basis.number()),
        fraction_e8: value.fraction.get(),
        uncertainty_e8: value.uncertainty.get(),
    };
    v1::Composition {
        values: composition.values.iter().map(value).collect(),
        moisture_e8: composition.moisture.get(),
        total_e8: composition.total.get(),
        total_uncertainty_e8: composition.total_uncertainty.get(),
        method: composition.method.clone(),
        laboratory_party_id: optional_party(composition.laboratory),
        sample: composition.sample.clone(),
    }
}

fn weighing(weighing: &Weighing) -> v1::Weighing {
    v1::Weighing {
        gross_g: weighing.gross.get(),
        tare_g: weighing.tare.get(),
        net_g: weighing.net.get(),
        ticket: weighing.ticket.clone(),
    }
}

fn manifest(manifest: &Manifest) -> v1::Manifest {
    v1::Manifest {
        number: manifest.number.clone(),
        carrier_party_id: optional_party(manifest.carrier),
        vehicle: manifest.vehicle.clone(),
    }
}

fn collect_lot(collect: &CollectLot) -> v1::CollectLot {
    v1::CollectLot {
        lot: Some(new_lot(&collect.lot)),
        seller_kind: word(collect.seller_kind.number()),
        seller_commitment: hash_bytes(&collect.seller_commitment),
        seller_certificate: collect.seller_certificate.clone(),
        weighing: Some(weighing(&collect.weighing)),
        origin_region: collect.origin_region.clone(),
        invoice_class: word(collect.invoice_class.number()),
        manifest: collect.manifest.as_ref().map(manifest),
    }
}

fn draw(draw: &LotDraw) -> v1::LotDraw {
    v1::LotDraw { lot_id: id(draw.lot.as_bytes()), mass_g: draw.mass.get() }
}

fn split_lot(split: &SplitLot) -> v1::SplitLot {
    let child = |child: &LotDraw| v1::SplitChild {
        lot_id: id(child.lot.as_bytes()),
        mass_g: child.mass.get(),
    };
    v1::SplitLot {
        parent_lot_id: id(split.parent.as_bytes()),
        children: split.children.iter().map(child).collect(),
        handling_loss_g: split.handling_loss.get(),
    }
}

fn transform_lots(transform: &TransformLots) -> v1::TransformLots {
    v1::TransformLots {
        process: transform.process.clone(),
        campaign_id: Bytes::new(),
        inputs: transform.inputs.iter().map(draw).collect(),
        additions: transform.additions.iter().map(draw).collect(),
        outputs: transform.outputs.iter().map(new_lot).collect(),
        residues: transform.residues.iter().map(new_lot).collect(),
        losses: transform.losses.iter().map(loss).collect(),
        uptakes: transform.uptakes.iter().map(uptake).collect(),
        energy_wh: transform.energy_wh,
    }
}

fn loss((kind, mass): &(LossKind, Grams)) -> v1::LossLine {
    v1::LossLine { kind: word(kind.number()), mass_g: mass.get() }
}

fn uptake((kind, mass): &(UptakeKind, Grams)) -> v1::UptakeLine {
    v1::UptakeLine { kind: word(kind.number()), mass_g: mass.get() }
}

fn open_campaign(open: &OpenCampaign) -> v1::OpenCampaign {
    v1::OpenCampaign {
        campaign_id: id(open.campaign.as_bytes()),
        process: open.process.clone(),
        opening_stock_g: open.opening_stock.get(),
        opening_composition: open.opening_composition.as_ref().map(composition),
    }
}

fn charge_campaign(charge: &ChargeCampaign) -> v1::ChargeCampaign {
    v1::ChargeCampaign {
        campaign_id: id(charge.campaign.as_bytes()),
        inputs: charge.inputs.iter().map(draw).collect(),
        additions: charge.additions.iter().map(draw).collect(),
    }
}

fn draw_campaign(draw: &DrawCampaign) -> v1::DrawCampaign {
    v1::DrawCampaign {
        campaign_id: id(draw.campaign.as_bytes()),
        outputs: draw.outputs.iter().map(new_lot).collect(),
        residues: draw.residues.iter().map(new_lot).collect(),
    }
}

fn close_campaign(close: &CloseCampaign) -> v1::CloseCampaign {
    v1::CloseCampaign {
        campaign_id: id(close.campaign.as_bytes()),
        closing_stock_g: close.closing_stock.get(),
        closing_composition: close.closing_composition.as_ref().map(composition),
        losses: close.losses.iter().map(loss).collect(),
        uptakes: close.uptakes.iter().map(uptake).collect(),
    }
}

fn offer_transfer(offer: &OfferTransfer) -> v1::OfferTransfer {
    let consignee_site = offer.consignee_site;
    v1::OfferTransfer {
        lot_id: id(offer.lot.as_bytes()),
        mass_g: offer.mass.get(),
        consignee_party_id: id(offer.consignee.as_bytes()),
        consignee_site_id: consignee_site.map(|site| id(site.as_bytes())).unwrap_or_default(),
        scope: word(offer.scope.number()),
        carrier_party_id: optional_party(offer.carrier),
        vehicle: offer.vehicle.clone(),
        invoice_class: offer.invoice_class.map_or(0, |class| word(class.number())),
        manifest: offer.manifest.as_ref().map(manifest),
    }
}

fn accept_transfer(accept: &AcceptTransfer) -> v1::AcceptTransfer {
    v1::AcceptTransfer {
        offer_event_id: id(accept.offer.as_bytes()),
        received: accept.received.as_ref().map(weighing),
        received_lot_id: accept.received_lot.map(|lot| id(lot.as_bytes())).unwrap_or_default(),
    }
}

fn reject_transfer(close: &CloseTransfer) -> v1::RejectTransfer {
    v1::RejectTransfer {
        offer_event_id: id(close.offer.as_bytes()),
        reason: word(close.reason.number()),
        note: close.note.clone(),
    }
}

fn cancel_transfer(close: &CloseTransfer) -> v1::CancelTransfer {
    v1::CancelTransfer {
        offer_event_id: id(close.offer.as_bytes()),
        reason: word(close.reason.number()),
        note: close.note.clone(),
    }
}

fn partly_accept(accept: &PartlyAcceptTransfer) -> v1::PartlyAcceptTransfer {
    v1::PartlyAcceptTransfer {
        offer_event_id: id(accept.offer.as_bytes()),
        received: accept.received.as_ref().map(weighing),
        received_lot_id: id(accept.received_lot.as_bytes()),
        refused_g: accept.refused.get(),
        reason: word(accept.reason.number()),
    }
}

fn return_transfer(back: &ReturnTransfer) -> v1::ReturnTransfer {
    v1::ReturnTransfer {
        offer_event_id: id(back.offer.as_bytes()),
        lot_id: id(back.lot.as_bytes()),
        mass_g: back.mass.get(),
        reason: word(back.reason.number()),
    }
}

fn settle_discrepancy(settle: &SettleDiscrepancy) -> v1::SettleDiscrepancy {
    v1::SettleDiscrepancy {
        offer_event_id: id(settle.offer.as_bytes()),
        agreed_g: settle.agreed.get(),
        cause: word(settle.cause.number()),
    }
}

fn dispose_residue(dispose: &DisposeResidue) -> v1::DisposeResidue {
    v1::DisposeResidue {
        residue: Some(draw(&dispose.residue)),
        route: dispose.route.clone(),
        facility_party_id: id(dispose.facility.as_bytes()),
        manifest: dispose.manifest.as_ref().map(manifest),
    }
}

fn stocktake(count: &Stocktake) -> v1::Stocktake {
    v1::Stocktake {
        lot_id: id(count.lot.as_bytes()),
        counted_g: count.counted.get(),
        reason: count.reason.clone(),
    }
}

fn exit_lot(exit: &ExitLot) -> v1::ExitLot {
    v1::ExitLot {
        lot: Some(draw(&exit.lot)),
        buyer_kind: word(exit.buyer_kind.number()),
        customs_number: exit.customs_number.clone(),
        buyer_commitment: hash_bytes(&exit.buyer_commitment),
    }
}

fn hold_lot(hold: &HoldLot) -> v1::HoldLot {
    v1::HoldLot {
        lot_id: id(hold.lot.as_bytes()),
        reason: word(hold.reason.number()),
        authority: hold.authority.clone(),
    }
}

fn release_lot(release: &ReleaseLot) -> v1::ReleaseLot {
    v1::ReleaseLot {
        lot_id: id(release.lot.as_bytes()),
        hold_event_id: id(release.hold.as_bytes()),
        note: release.note.clone(),
    }
}

fn declare_error(error: &DeclareError) -> v1::DeclareError {
    let corrective = |(event, payload): &(crate::domain::EventId, Hash32)| v1::Corrective {
        event_id: id(event.as_bytes()),
        payload_sha256: hash_bytes(payload),
    };
    v1::DeclareError {
        target_event_id: id(error.target.as_bytes()),
        kind: word(error.kind.number()),
        note: error.note.clone(),
        correctives: error.correctives.iter().map(corrective).collect(),
    }
}
