//! Events by which somebody is allowed something, or says something of the ledger: waivers,
//! approvals, grants, successions, attestations, acknowledgements, claims.

use super::fields::Fields;
use super::registry::checkpoint_text;
use super::v1;
use crate::domain::credit::Month;
use crate::domain::event::{
    AcknowledgeAnomaly, Approval, Attest, Body, ClaimCredit, SucceedParty, VisibilityGrant, Waiver,
};
use crate::domain::vocabulary::{AttestResult, Substance};
use crate::domain::{LotId, PartyId, SiteId};
use crate::limits::{
    MAX_CREDIT_MONTHS, MAX_GRANT_DEPTH, MAX_NAME_BYTES, MAX_NOTE_BYTES, MAX_SHORT_TEXT_BYTES,
};

const _: () = assert!(
    MAX_GRANT_DEPTH == 64 && MAX_CREDIT_MONTHS == 12,
    "the rules of these fields say the numbers in words"
);

/// Reads a body of this family; `None` after a fault, and for bodies of other families.
pub(super) fn read(fields: &mut Fields, body: &v1::event::Body) -> Option<Body> {
    use v1::event::Body as B;
    match body {
        B::Waiver(one) => fields.message("waiver", Some(one), waiver).map(Body::Waiver),
        B::Approval(one) => fields.message("approval", Some(one), approval).map(Body::Approval),
        B::VisibilityGrant(one) => {
            fields.message("visibility_grant", Some(one), grant).map(Body::VisibilityGrant)
        }
        B::SucceedParty(one) => {
            fields.message("succeed_party", Some(one), succession).map(Body::SucceedParty)
        }
        B::Attest(one) => fields.message("attest", Some(one), attest).map(Body::Attest),
        B::AcknowledgeAnomaly(one) => fields
            .message("acknowledge_anomaly", Some(one), acknowledgement)
            .map(Body::AcknowledgeAnomaly),
        B::ClaimCredit(one) => {
            fields.message("claim_credit", Some(one), claim).map(Body::ClaimCredit)
        }
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
    let mass = fields.mass("mass_g", approval.mass_g);
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

fn grant(fields: &mut Fields, grant: &v1::VisibilityGrant) -> Option<VisibilityGrant> {
    let lot = fields.id("lot_id", &grant.lot_id, LotId::parse);
    let reader = fields.id("reader_party_id", &grant.reader_party_id, PartyId::parse);
    let has_depth = (1..=MAX_GRANT_DEPTH).contains(&grant.depth);
    let depth = fields.require(has_depth, "depth", "is 1 to 64", grant.depth);
    let valid_to = fields.end("valid_to_ms", grant.valid_to_ms);
    depth?;
    Some(VisibilityGrant { lot: lot?, reader: reader?, depth: grant.depth, valid_to: valid_to? })
}

fn succession(fields: &mut Fields, succession: &v1::SucceedParty) -> Option<SucceedParty> {
    let party = fields.id("party_id", &succession.party_id, PartyId::parse);
    let successor = fields.id("successor_party_id", &succession.successor_party_id, PartyId::parse);
    Some(SucceedParty { party: party?, successor: successor? })
}

fn attest(fields: &mut Fields, attest: &v1::Attest) -> Option<Attest> {
    let scope = fields.text("scope", &attest.scope, (1, MAX_NAME_BYTES));
    let checkpoint = checkpoint_text(fields, "checkpoint", &attest.checkpoint);
    let result = fields.word("result", attest.result, AttestResult::from_number);
    Some(Attest { scope: scope?, checkpoint: checkpoint?, result: result? })
}

fn acknowledgement(
    fields: &mut Fields,
    word: &v1::AcknowledgeAnomaly,
) -> Option<AcknowledgeAnomaly> {
    let anomaly = fields.text("anomaly", &word.anomaly, (1, MAX_SHORT_TEXT_BYTES));
    let note = fields.text("note", &word.note, (0, MAX_NOTE_BYTES));
    Some(AcknowledgeAnomaly { anomaly: anomaly?, note: note? })
}

fn claim(fields: &mut Fields, claim: &v1::ClaimCredit) -> Option<ClaimCredit> {
    let site = fields.id("site_id", &claim.site_id, SiteId::parse);
    let substance = fields.word("substance", claim.substance, Substance::from_number);
    let mass = fields.positive_mass("mass_g", claim.mass_g);
    let from = month(fields, "period_from_ms", claim.period_from_ms);
    let to = month(fields, "period_to_ms", claim.period_to_ms);
    let (from, to) = (from?, to?);
    let count = to.number().saturating_sub(from.number());
    let has_months = (1..=MAX_CREDIT_MONTHS).contains(&count);
    fields.require(has_months, "period_to_ms", "is 1 to 12 months after period_from_ms", count)?;
    Some(ClaimCredit { site: site?, substance: substance?, mass: mass?, from, to })
}

fn month(fields: &mut Fields, field: &str, millis: u64) -> Option<Month> {
    let at = fields.time(field, millis)?;
    let month = Month::beginning_at(at);
    fields.require(month.is_some(), field, "is the first moment of a month in UTC+8", millis)?;
    month
}
