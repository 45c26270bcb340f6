//! Events that move lots between parties, stop them, and undo what was said.

use super::fields::Fields;
use super::{lots, v1};
use crate::domain::event::{
    AcceptTransfer, Body, CloseTransfer, DeclareError, HoldLot, OfferTransfer, ReleaseLot,
};
use crate::domain::vocabulary::{
    ErrorKind, HoldReason, InvoiceClass, TransferReason, TransferScope,
};
use crate::domain::{EventId, Hash32, LotId, PartyId, SiteId};
use crate::limits::{MAX_CORRECTIVES, MAX_NAME_BYTES, MAX_NOTE_BYTES, MAX_VEHICLE_BYTES};

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
