//! Bytes <-> [`Event`]: strict in, plain out.
//!
//! Reading goes in three steps, each with its own answer: size, canonical spelling, fields.
//! Writing is for clients and tests; the ledger itself never writes an event anew.

mod campaigns;
mod encode;
pub(super) mod fields;
mod grants;
mod lots;
mod registry;
mod transfers;

use bytes::Bytes;

use super::canonical::{self, CanonicalRule, MessageName, NonCanonical};
use super::v1;
use crate::domain::event::{Body, Commitment, Document, Event};
use crate::domain::vocabulary::{CommitmentKind, DocumentKind};
use crate::domain::{EventId, Hash32, OffsetMin, PartyId, SiteId};
use crate::limits::{MAX_COMMITMENTS, MAX_DOCUMENTS, MAX_PAYLOAD_BYTES, MAX_SHORT_TEXT_BYTES};

pub use encode::encode_event;
pub use fields::FieldFault;
use fields::Fields;

/// Why bytes are not an event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeFault {
    /// More bytes than an event may have.
    #[error("an event has at most {max} bytes, not {found}")]
    TooLarge {
        /// What came.
        found: usize,
        /// What is allowed.
        max: usize,
    },
    /// Not the canonical spelling.
    #[error(transparent)]
    NonCanonical(#[from] NonCanonical),
    /// Fields that break their rules: at least one, at most `MAX_FIELD_FAULTS`.
    #[error("{}", summary(.0))]
    Field(Vec<FieldFault>),
}

/// Reads an event; nothing is left to doubt afterwards but the rules of the domain.
pub fn decode_event(bytes: &[u8]) -> Result<Event, DecodeFault> {
    let message: v1::Event = decode_canonical(MessageName::Event, bytes)?;
    let mut fields = Fields::default();
    let event = read_event(&mut fields, &message);
    finish(fields, event)
}

/// Size, canonical spelling, decoding.
pub(super) fn decode_canonical<M: prost::Message + Default>(
    name: MessageName,
    bytes: &[u8],
) -> Result<M, DecodeFault> {
    if bytes.len() > MAX_PAYLOAD_BYTES {
        return Err(DecodeFault::TooLarge { found: bytes.len(), max: MAX_PAYLOAD_BYTES });
    }
    canonical::check(name, bytes)?;
    M::decode(Bytes::copy_from_slice(bytes)).map_err(|_| {
        let rule = CanonicalRule::Undecodable;
        NonCanonical { path: String::new(), offset: 0, rule }.into()
    })
}

/// A value, unless a field was wrong.
pub(super) fn finish<T>(fields: Fields, value: Option<T>) -> Result<T, DecodeFault> {
    match value {
        Some(value) if !fields.has_faults() => Ok(value),
        _ => Err(DecodeFault::Field(fields.into_faults())),
    }
}

fn summary(faults: &[FieldFault]) -> String {
    match faults {
        [] => "a field breaks its rule".to_owned(),
        [only] => only.to_string(),
        [first, rest @ ..] => format!("{first} (and {} more)", rest.len()),
    }
}

fn read_event(fields: &mut Fields, event: &v1::Event) -> Option<Event> {
    let id = fields.id("event_id", &event.event_id, EventId::parse);
    let origin = fields.origin("origin", &event.origin);
    let actor = fields.id("actor_party_id", &event.actor_party_id, PartyId::parse);
    let site = fields.optional_id("site_id", &event.site_id, SiteId::parse);
    let occurred_at = fields.time("occurred_at_ms", event.occurred_at_ms);
    let offset = OffsetMin::new(event.occurred_at_offset_min)
        .map_err(|rule| {
            fields.fault("occurred_at_offset_min", rule, event.occurred_at_offset_min);
        })
        .ok();
    let documents = fields.list("documents", &event.documents, (0, MAX_DOCUMENTS), document);
    let commitments =
        fields.list("commitments", &event.commitments, (0, MAX_COMMITMENTS), commitment);
    let reference = fields.text("external_ref", &event.external_ref, (0, MAX_SHORT_TEXT_BYTES));
    // The canonical check admitted exactly one body.
    let Some(body) = &event.body else {
        fields.fault("body", "has to be present", "nothing");
        return None;
    };
    site_rule(fields, body, !event.site_id.is_empty());
    let body = read_body(fields, body);
    Some(Event {
        id: id?,
        origin: origin?,
        actor: actor?,
        site: site?,
        occurred_at: occurred_at?,
        occurred_at_offset: offset?,
        documents: documents?,
        commitments: commitments?,
        external_ref: reference?,
        body: body?,
    })
}

/// Where an event needs a site.
enum SiteRule {
    Present,
    Absent,
    Either,
}

fn site_rule(fields: &mut Fields, body: &v1::event::Body, is_present: bool) {
    use v1::event::Body as B;
    let rule = match body {
        B::Genesis(_)
        | B::RegisterParty(_)
        | B::AmendParty(_)
        | B::RegisterSite(_)
        | B::AmendSite(_)
        | B::RegisterLicence(_)
        | B::AmendLicence(_)
        | B::RegisterAffiliation(_)
        | B::AmendAffiliation(_)
        | B::RegisterKey(_)
        | B::RevokeKey(_)
        | B::PublishTables(_)
        | B::Waiver(_)
        | B::Approval(_)
        | B::VisibilityGrant(_)
        | B::SucceedParty(_)
        | B::Attest(_)
        | B::AcknowledgeAnomaly(_)
        | B::ClaimCredit(_)
        | B::DeclareError(_) => SiteRule::Absent,
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
        | B::ExitLot(_) => SiteRule::Present,
        // An authority that stops a lot has no site there, and two parties settle at a desk.
        B::SettleDiscrepancy(_) | B::HoldLot(_) | B::ReleaseLot(_) => SiteRule::Either,
    };
    match (rule, is_present) {
        (SiteRule::Present, false) => {
            fields.fault("site_id", "has to be present for what is done to a lot", "nothing");
        }
        (SiteRule::Absent, true) => {
            fields.fault("site_id", "is absent for an event that happens at no site", "a site");
        }
        _ => {}
    }
}

fn read_body(fields: &mut Fields, body: &v1::event::Body) -> Option<Body> {
    use v1::event::Body as B;
    match body {
        B::Genesis(_)
        | B::RegisterParty(_)
        | B::AmendParty(_)
        | B::RegisterSite(_)
        | B::AmendSite(_)
        | B::RegisterLicence(_)
        | B::AmendLicence(_)
        | B::RegisterAffiliation(_)
        | B::AmendAffiliation(_)
        | B::RegisterKey(_)
        | B::RevokeKey(_)
        | B::PublishTables(_) => registry::read(fields, body),
        B::Waiver(_)
        | B::Approval(_)
        | B::VisibilityGrant(_)
        | B::SucceedParty(_)
        | B::Attest(_)
        | B::AcknowledgeAnomaly(_)
        | B::ClaimCredit(_) => grants::read(fields, body),
        B::OpeningInventory(_)
        | B::CollectLot(_)
        | B::AssayLot(_)
        | B::SplitLot(_)
        | B::MergeLots(_)
        | B::TransformLots(_) => lots::read(fields, body),
        B::OpenCampaign(_) | B::ChargeCampaign(_) | B::DrawCampaign(_) | B::CloseCampaign(_) => {
            campaigns::read(fields, body)
        }
        B::OfferTransfer(_)
        | B::AcceptTransfer(_)
        | B::RejectTransfer(_)
        | B::CancelTransfer(_)
        | B::PartlyAcceptTransfer(_)
        | B::ReturnTransfer(_)
        | B::SettleDiscrepancy(_)
        | B::DisposeResidue(_)
        | B::Stocktake(_)
        | B::ExitLot(_)
        | B::HoldLot(_)
        | B::ReleaseLot(_)
        | B::DeclareError(_) => transfers::read(fields, body),
    }
}

fn document(fields: &mut Fields, document: &v1::Document) -> Option<Document> {
    let kind = fields.word("kind", document.kind, DocumentKind::from_number);
    let number = fields.text("number", &document.number, (0, MAX_SHORT_TEXT_BYTES));
    let sha256 = if document.sha256.is_empty() {
        Some(None)
    } else {
        fields.bytes32("sha256", &document.sha256).map(|hash| Some(Hash32(hash)))
    };
    Some(Document { kind: kind?, number: number?, sha256: sha256? })
}

fn commitment(fields: &mut Fields, commitment: &v1::Commitment) -> Option<Commitment> {
    let kind = fields.word("kind", commitment.kind, CommitmentKind::from_number);
    let sha256 = fields.bytes32("sha256", &commitment.sha256).map(Hash32);
    Some(Commitment { kind: kind?, sha256: sha256? })
}
