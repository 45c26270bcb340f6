//! Events that move lots between parties, stop, count and end them, and undo what was said.

use super::fields::Fields;
use super::{lots, v1};
use crate::domain::event::{
    AcceptTransfer, Body, CloseTransfer, DeclareError, DisposeResidue, ExitLot, HoldLot,
    OfferTransfer, PartlyAcceptTransfer, ReleaseLot, ReturnTransfer, SettleDiscrepancy, Stocktake,
};
use crate::domain::vocabulary::{
    BuyerKind, ErrorKind, HoldReason, InvoiceClass, TransferReason, TransferScope,
};
use crate::domain::{EventId, Hash32, LotId, PartyId, SiteId};
use crate::limits::{
    MAX_CORRECTIVES, MAX_NAME_BYTES, MAX_NOTE_BYTES, MAX_SHORT_TEXT_BYTES, MAX_VEHICLE_BYTES,
};

/// Reads a body of this family; `None` after a fault, and for bodies of other families.
pub(super) fn read(fields: &mut Fields, body: &v1::event::Body) -> Option<Body> {
    use v1::event::Body as B;
    match body {
        B::OfferTransfer(one) => {
            fields.message("offer_transfer", Some(one), offer_transfer).map(Body::OfferTransfer)
        }
        B::AcceptTransfer(one) => {
            fields.message("accept_transfer", Some(one), accept_transfer).map(Body::AcceptTransfer)
        }
        B::RejectTransfer(one) => fields
            .message("reject_transfer", Some(one), |f, m| {
                close_transfer(f, &m.offer_event_id, m.reason, &m.note)
            })
            .map(Body::RejectTransfer),
        B::CancelTransfer(one) => fields
            .message("cancel_transfer", Some(one), |f, m| {
                close_transfer(f, &m.offer_event_id, m.reason, &m.note)
            })
            .map(Body::CancelTransfer),
        B::PartlyAcceptTransfer(one) => fields
            .message("partly_accept_transfer", Some(one), partly_accept)
            .map(Body::PartlyAcceptTransfer),
        B::ReturnTransfer(one) => {
            fields.message("return_transfer", Some(one), return_transfer).map(Body::ReturnTransfer)
        }
        B::SettleDiscrepancy(one) => fields
            .message("settle_discrepancy", Some(one), settle_discrepancy)
            .map(Body::SettleDiscrepancy),
        B::DisposeResidue(_) | B::Stocktake(_) | B::ExitLot(_) => read_ending(fields, body),
        B::HoldLot(one) => fields.message("hold_lot", Some(one), hold_lot).map(Body::HoldLot),
        B::ReleaseLot(one) => {
            fields.message("release_lot", Some(one), release_lot).map(Body::ReleaseLot)
        }
        B::DeclareError(one) => {
            fields.message("declare_error", Some(one), declare_error).map(Body::DeclareError)
        }
        _ => None,
    }
}

/// Bodies that count a lot, or end it.
fn read_ending(fields: &mut Fields, body: &v1::event::Body) -> Option<Body> {
    use v1::event::Body as B;
    match body {
        B::DisposeResidue(one) => {
            fields.message("dispose_residue", Some(one), dispose_residue).map(Body::DisposeResidue)
        }
        B::Stocktake(one) => fields.message("stocktake", Some(one), stocktake).map(Body::Stocktake),
        B::ExitLot(one) => fields.message("exit_lot", Some(one), exit_lot).map(Body::ExitLot),
        _ => None,
    }
}

fn offer_transfer(fields: &mut Fields, offer: &v1::OfferTransfer) -> Option<OfferTransfer> {
    let lot = fields.id("lot_id", &offer.lot_id, LotId::parse);
    let mass = fields.positive_mass("mass_g", offer.mass_g);
    let consignee = fields.id("consignee_party_id", &offer.consignee_party_id, PartyId::parse);
    let scope = fields.word("scope", offer.scope, TransferScope::from_number);
    let consignee_site = match scope {
        None => None,
        Some(scope) if scope.moves_custody() => {
            fields.id("consignee_site_id", &offer.consignee_site_id, SiteId::parse).map(Some)
        }
        Some(_) => {
            let rule = "is absent when only ownership moves";
            let absent = fields.absent_bytes("consignee_site_id", &offer.consignee_site_id, rule);
            absent.map(|()| None)
        }
    };
    let carrier = fields.optional_id("carrier_party_id", &offer.carrier_party_id, PartyId::parse);
    let vehicle = fields.text("vehicle", &offer.vehicle, (0, MAX_VEHICLE_BYTES));
    let invoice_class =
        fields.optional_word("invoice_class", offer.invoice_class, InvoiceClass::from_number);
    let manifest = fields.optional("manifest", offer.manifest.as_ref(), lots::manifest);
    Some(OfferTransfer {
        lot: lot?,
        mass: mass?,
        consignee: consignee?,
        consignee_site: consignee_site?,
        scope: scope?,
        carrier: carrier?,
        vehicle: vehicle?,
        invoice_class: invoice_class?,
        manifest: manifest?,
    })
}

fn accept_transfer(fields: &mut Fields, accept: &v1::AcceptTransfer) -> Option<AcceptTransfer> {
    let offer = fields.id("offer_event_id", &accept.offer_event_id, EventId::parse);
    let received = fields.optional("received", accept.received.as_ref(), lots::weighing);
    let received_lot = fields.optional_id("received_lot_id", &accept.received_lot_id, LotId::parse);
    Some(AcceptTransfer { offer: offer?, received: received?, received_lot: received_lot? })
}

fn partly_accept(
    fields: &mut Fields,
    accept: &v1::PartlyAcceptTransfer,
) -> Option<PartlyAcceptTransfer> {
    let offer = fields.id("offer_event_id", &accept.offer_event_id, EventId::parse);
    let received = fields.optional("received", accept.received.as_ref(), lots::weighing);
    let received_lot = fields.id("received_lot_id", &accept.received_lot_id, LotId::parse);
    let refused = fields.positive_mass("refused_g", accept.refused_g);
    let reason = fields.word("reason", accept.reason, TransferReason::from_number);
    Some(PartlyAcceptTransfer {
        offer: offer?,
        received: received?,
        received_lot: received_lot?,
        refused: refused?,
        reason: reason?,
    })
}

fn return_transfer(fields: &mut Fields, back: &v1::ReturnTransfer) -> Option<ReturnTransfer> {
    let offer = fields.id("offer_event_id", &back.offer_event_id, EventId::parse);
    let lot = fields.id("lot_id", &back.lot_id, LotId::parse);
    let mass = fields.positive_mass("mass_g", back.mass_g);
    let reason = fields.word("reason", back.reason, TransferReason::from_number);
    Some(ReturnTransfer { offer: offer?, lot: lot?, mass: mass?, reason: reason? })
}

fn settle_discrepancy(
    fields: &mut Fields,
    settle: &v1::SettleDiscrepancy,
) -> Option<SettleDiscrepancy> {
    let offer = fields.id("offer_event_id", &settle.offer_event_id, EventId::parse);
    let agreed = fields.mass("agreed_g", settle.agreed_g);
    let cause = fields.word("cause", settle.cause, TransferReason::from_number);
    Some(SettleDiscrepancy { offer: offer?, agreed: agreed?, cause: cause? })
}

fn dispose_residue(fields: &mut Fields, dispose: &v1::DisposeResidue) -> Option<DisposeResidue> {
    let residue = fields.message("residue", dispose.residue.as_ref(), lots::lot_draw);
    let route = fields.text("route", &dispose.route, (1, MAX_SHORT_TEXT_BYTES));
    let facility = fields.id("facility_party_id", &dispose.facility_party_id, PartyId::parse);
    let manifest = fields.optional("manifest", dispose.manifest.as_ref(), lots::manifest);
    Some(DisposeResidue {
        residue: residue?,
        route: route?,
        facility: facility?,
        manifest: manifest?,
    })
}

fn stocktake(fields: &mut Fields, count: &v1::Stocktake) -> Option<Stocktake> {
    let lot = fields.id("lot_id", &count.lot_id, LotId::parse);
    let counted = fields.mass("counted_g", count.counted_g);
    let reason = fields.text("reason", &count.reason, (1, MAX_NOTE_BYTES));
    Some(Stocktake { lot: lot?, counted: counted?, reason: reason? })
}

fn exit_lot(fields: &mut Fields, exit: &v1::ExitLot) -> Option<ExitLot> {
    let lot = fields.message("lot", exit.lot.as_ref(), lots::lot_draw);
    let buyer_kind = fields.word("buyer_kind", exit.buyer_kind, BuyerKind::from_number);
    let least = usize::from(buyer_kind == Some(BuyerKind::Export));
    let customs =
        fields.text("customs_number", &exit.customs_number, (least, MAX_SHORT_TEXT_BYTES));
    let commitment = fields.bytes32("buyer_commitment", &exit.buyer_commitment).map(Hash32);
    Some(ExitLot {
        lot: lot?,
        buyer_kind: buyer_kind?,
        customs_number: customs?,
        buyer_commitment: commitment?,
    })
}

fn close_transfer(
    fields: &mut Fields,
    offer_event_id: &[u8],
    reason: i32,
    note: &str,
) -> Option<CloseTransfer> {
    let offer = fields.id("offer_event_id", offer_event_id, EventId::parse);
    let reason = fields.word("reason", reason, TransferReason::from_number);
    let note = fields.text("note", note, (0, MAX_NOTE_BYTES));
    Some(CloseTransfer { offer: offer?, reason: reason?, note: note? })
}

fn hold_lot(fields: &mut Fields, hold: &v1::HoldLot) -> Option<HoldLot> {
    let lot = fields.id("lot_id", &hold.lot_id, LotId::parse);
    let reason = fields.word("reason", hold.reason, HoldReason::from_number);
    let authority = fields.text("authority", &hold.authority, (0, MAX_NAME_BYTES));
    Some(HoldLot { lot: lot?, reason: reason?, authority: authority? })
}

fn release_lot(fields: &mut Fields, release: &v1::ReleaseLot) -> Option<ReleaseLot> {
    let lot = fields.id("lot_id", &release.lot_id, LotId::parse);
    let hold = fields.id("hold_event_id", &release.hold_event_id, EventId::parse);
    let note = fields.text("note", &release.note, (0, MAX_NOTE_BYTES));
    Some(ReleaseLot { lot: lot?, hold: hold?, note: note? })
}

fn declare_error(fields: &mut Fields, error: &v1::DeclareError) -> Option<DeclareError> {
    let target = fields.id("target_event_id", &error.target_event_id, EventId::parse);
    let kind = fields.word("kind", error.kind, ErrorKind::from_number);
    let note = fields.text("note", &error.note, (0, MAX_NOTE_BYTES));
    let allowed = match kind {
        Some(ErrorKind::DidNotOccur) => (0, 0),
        Some(ErrorKind::IncorrectData) => (1, MAX_CORRECTIVES),
        None => (0, MAX_CORRECTIVES),
    };
    let correctives = fields.list("correctives", &error.correctives, allowed, |f, one| {
        let event = f.id("event_id", &one.event_id, EventId::parse);
        let payload = f.bytes32("payload_sha256", &one.payload_sha256).map(Hash32);
        Some((event?, payload?))
    });
    Some(DeclareError { target: target?, kind: kind?, note: note?, correctives: correctives? })
}
