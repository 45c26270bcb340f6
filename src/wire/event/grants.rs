//! Events by which somebody is allowed something: waivers, approvals.

use super::fields::Fields;
use super::v1;
use crate::domain::event::{Approval, Body, Waiver};
use crate::domain::{LotId, PartyId};
use crate::limits::MAX_SHORT_TEXT_BYTES;

/// Reads a body of this family; `None` after a fault, and for bodies of other families.
pub(super) fn read(fields: &mut Fields, body: &v1::event::Body) -> Option<Body> {
    use v1::event::Body as B;
    match body {
        B::Waiver(one) => fields.message("waiver", Some(one), waiver).map(Body::Waiver),
        B::Approval(one) => fields.message("approval", Some(one), approval).map(Body::Approval),
        _ => None,
    }
}

fn waiver(fields: &mut Fields, waiver: &v1::Waiver) -> Option<Waiver> {
    let reason_code = fields.code("reason_code", &waiver.reason_code);
    let subject = fields.text("subject", &waiver.subject, (1, MAX_SHORT_TEXT_BYTES));
    let valid_to = fields.end("valid_to_ms", waiver.valid_to_ms);
    Some(Waiver { reason_code: reason_code?, subject: subject?, valid_to: valid_to? })
}

fn approval(fields: &mut Fields, approval: &v1::Approval) -> Option<Approval> {
    let lot = fields.id("lot_id", &approval.lot_id, LotId::parse);
    let from = fields.id("from_party_id", &approval.from_party_id, PartyId::parse);
    let to = fields.id("to_party_id", &approval.to_party_id, PartyId::parse);
    let mass = fields.positive_mass("mass_g", approval.mass_g);
    let number = fields.text("number", &approval.number, (1, MAX_SHORT_TEXT_BYTES));
    let valid_to = fields.end("valid_to_ms", approval.valid_to_ms);
    Some(Approval {
        lot: lot?,
        from: from?,
        to: to?,
        mass: mass?,
        number: number?,
        valid_to: valid_to?,
    })
}
