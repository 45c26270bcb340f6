//! The border: ids in with a check, values out without one.

use std::fmt::Write as _;

use bytes::Bytes;

use super::errors::Failure;
use crate::domain::audit::{Acknowledgement, Attestation};
use crate::domain::effects::{FormerLedgerKey, LedgerState};
use crate::domain::event::GradeRef;
use crate::domain::flag::Flag;
use crate::domain::ids::IdFault;
use crate::domain::lot::{
    EventRecord, Hold, Lot, LotApproval, LotGrant, LotStatus, Transfer, TransferStatus,
};
use crate::domain::party::{
    Affiliation, DatedRole, KeyState, Licence, Party, PartyState, Site, Succession,
};
use crate::domain::units::{TimeMs, Validity};
use crate::domain::vocabulary::OriginKind;
use crate::domain::waiver::WaiverState;
use crate::domain::{EntryCount, EntryIndex, EventId, Hash32, PartyId};
use crate::node::Appended;
use crate::wire::v1;

/// An id that the request needs.
pub fn needed<T>(
    field: &str,
    bytes: &[u8],
    parse: impl FnOnce(&[u8]) -> Result<T, IdFault>,
) -> Result<T, Failure> {
    parse(bytes).map_err(|fault| {
        let found = match fault {
            IdFault::Length(0) => "nothing".to_owned(),
            IdFault::Length(length) => format!("{length} bytes"),
            IdFault::NotVersion7 | IdFault::Text => hex(bytes),
        };
        Failure::field(field, "an id: 16 bytes, a UUID of version 7", found)
    })
}

/// An id that the request may have.
pub fn optional<T>(
    field: &str,
    bytes: &[u8],
    parse: impl FnOnce(&[u8]) -> Result<T, IdFault>,
) -> Result<Option<T>, Failure> {
    if bytes.is_empty() { Ok(None) } else { needed(field, bytes, parse).map(Some) }
}

/// Nothing under this name.
pub fn missing(kind: &'static str, name: &impl ToString) -> Failure {
    Failure::NotFound { kind, name: name.to_string() }
}

/// Bytes of an id or hash.
pub fn raw(bytes: &[u8]) -> Bytes {
    Bytes::copy_from_slice(bytes)
}

/// Bytes in hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing to a String does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Hashes of a proof.
pub fn raw_hashes(hashes: &[Hash32]) -> Vec<Bytes> {
    hashes.iter().map(|hash| raw(hash.as_bytes())).collect()
}

/// Bytes of an id that may be absent: then there are none.
pub fn raw_or_none<const N: usize>(bytes: Option<&[u8; N]>) -> Bytes {
    bytes.map(|bytes| raw(bytes)).unwrap_or_default()
}

/// A ledger with its size.
pub fn ledger(state: &LedgerState, size: EntryCount) -> v1::Ledger {
    v1::Ledger {
        origin: state.origin.to_string(),
        ledger_public_key: raw(state.ledger_key.as_bytes()),
        rules_version: state.rules_version.into(),
        tables_sha256: raw(state.tables_hash.as_bytes()),
        size: size.0,
        are_tables_published: state.are_tables_published,
        former_keys: state.former_ledger_keys.iter().map(former_key).collect(),
    }
}

fn former_key(former: &FormerLedgerKey) -> v1::FormerLedgerKey {
    v1::FormerLedgerKey {
        public_key: raw(former.key.as_bytes()),
        rotated_at_entry_index: former.rotated_at.0,
    }
}

/// An event in the life of a lot.
pub fn lot_event(ordinal: u32, index: EntryIndex, record: &EventRecord) -> v1::LotEvent {
    v1::LotEvent {
        ordinal,
        entry_index: index.0,
        event_id: raw(record.id.as_bytes()),
        kind: record.kind.number().into(),
        actor_party_id: raw(record.actor.as_bytes()),
        occurred_at_ms: record.occurred_at.get(),
        corrected_by_event_id: raw_or_none(record.corrected_by.as_ref().map(EventId::as_bytes)),
        flags: record.flags.iter().map(|flag| flag_of(*flag)).collect(),
    }
}

fn flag_of(flag: Flag) -> v1::Flag {
    v1::Flag { rule: flag.rule().to_owned(), detail: flag.to_string() }
}

/// The status that a filter asks for; `None` when it asks for none.
pub fn lot_status(number: i32) -> Result<Option<LotStatus>, Failure> {
    match v1::LotStatus::try_from(number) {
        Ok(v1::LotStatus::Unspecified) => Ok(None),
        Ok(v1::LotStatus::Open) => Ok(Some(LotStatus::Open)),
        Ok(v1::LotStatus::InTransit) => Ok(Some(LotStatus::InTransit)),
        Ok(v1::LotStatus::OnHold) => Ok(Some(LotStatus::OnHold)),
        Ok(v1::LotStatus::Consumed) => Ok(Some(LotStatus::Consumed)),
        Ok(v1::LotStatus::Retracted) => Ok(Some(LotStatus::Retracted)),
        Ok(v1::LotStatus::Disposed) => Ok(Some(LotStatus::Disposed)),
        Ok(v1::LotStatus::Exited) => Ok(Some(LotStatus::Exited)),
        Err(_) => Err(Failure::field("status", "a number of LotStatus", number.to_string())),
    }
}

/// The status that a filter asks for; `None` when it asks for none.
pub fn transfer_status(number: i32) -> Result<Option<TransferStatus>, Failure> {
    use v1::TransferStatus as T;
    let status = T::try_from(number)
        .map_err(|_| Failure::field("status", "a number of TransferStatus", number.to_string()))?;
    Ok(match status {
        T::Unspecified => None,
        T::Open => Some(TransferStatus::Open),
        T::Accepted => Some(TransferStatus::Accepted),
        T::Discrepant => Some(TransferStatus::Discrepant),
        T::Rejected => Some(TransferStatus::Rejected),
        T::Cancelled => Some(TransferStatus::Cancelled),
        T::Retracted => Some(TransferStatus::Retracted),
        T::Settled => Some(TransferStatus::Settled),
        T::PartlyAccepted => Some(TransferStatus::PartlyAccepted),
    })
}

impl From<LotStatus> for v1::LotStatus {
    fn from(status: LotStatus) -> Self {
        match status {
            LotStatus::Open => Self::Open,
            LotStatus::InTransit => Self::InTransit,
            LotStatus::OnHold => Self::OnHold,
            LotStatus::Consumed => Self::Consumed,
            LotStatus::Retracted => Self::Retracted,
            LotStatus::Disposed => Self::Disposed,
            LotStatus::Exited => Self::Exited,
        }
    }
}

impl From<TransferStatus> for v1::TransferStatus {
    fn from(status: TransferStatus) -> Self {
        match status {
            TransferStatus::Open => Self::Open,
            TransferStatus::Accepted => Self::Accepted,
            TransferStatus::Discrepant => Self::Discrepant,
            TransferStatus::Rejected => Self::Rejected,
            TransferStatus::Cancelled => Self::Cancelled,
            TransferStatus::Retracted => Self::Retracted,
            TransferStatus::Settled => Self::Settled,
            TransferStatus::PartlyAccepted => Self::PartlyAccepted,
        }
    }
}

impl From<Appended> for v1::AppendedEvent {
    fn from(appended: Appended) -> Self {
        Self {
            entry_index: appended.index.0,
            receipt: appended.receipt.encode(),
            was_recorded_before: appended.was_recorded_before,
        }
    }
}

impl From<&Lot> for v1::Lot {
    fn from(lot: &Lot) -> Self {
        let contents = lot.contents.items.iter().map(|item| v1::LotContent {
            substance: item.substance.number().into(),
            mass_g: item.contained.get(),
            uncertainty_g: item.uncertainty.get(),
        });
        Self {
            lot_id: raw(lot.id.as_bytes()),
            material: lot.material.clone(),
            form: lot.form.clone(),
            status: v1::LotStatus::from(lot.status()).into(),
            owner_party_id: raw(lot.owner.as_bytes()),
            possessor_party_id: raw(lot.possessor.as_bytes()),
            site_id: raw(lot.site.as_bytes()),
            initial_mass_g: lot.initial_mass.get(),
            remaining_mass_g: lot.remaining.get(),
            reserved_mass_g: lot.reserved.get(),
            origin_kinds: lot.origin_kinds.iter().map(OriginKind::number).map(i32::from).collect(),
            custody_model: lot.custody_model.number().into(),
            grades: lot.grades.iter().map(v1::GradeRef::from).collect(),
            origin_region: lot.origin_region.clone(),
            invoice_class: lot.invoice_class.map_or(0, |class| class.number().into()),
            contents: contents.collect(),
            contents_mass_g: lot.contents.of_mass.get(),
            assay_event_id: raw_or_none(lot.assayed_by.as_ref().map(EventId::as_bytes)),
            holds: lot.holds.iter().map(v1::LotHold::from).collect(),
            born_event_id: raw(lot.born_by.as_bytes()),
            born_entry_index: lot.born_at.0,
            born_occurred_at_ms: lot.born_occurred_at.get(),
            retracted_by_event_id: raw_or_none(lot.retracted_by.as_ref().map(EventId::as_bytes)),
            entry_count: lot.life.count,
            last_entry_index: lot.life.last.0,
            last_occurred_at_ms: lot.last_occurred_at.get(),
            approvals: lot.approvals.iter().map(v1::LotApproval::from).collect(),
            grants: lot.grants.iter().map(v1::LotGrant::from).collect(),
            view: v1::LotView::Whole.into(),
            counterparty_party_id: Bytes::new(),
        }
    }
}

impl From<&GradeRef> for v1::GradeRef {
    fn from(grade: &GradeRef) -> Self {
        Self { scheme: grade.scheme.clone(), code: grade.code.clone() }
    }
}

impl From<&Hold> for v1::LotHold {
    fn from(hold: &Hold) -> Self {
        Self {
            hold_event_id: raw(hold.event.as_bytes()),
            reason: hold.reason.map_or(0, |reason| reason.number().into()),
            placed_by_party_id: raw(hold.placed_by.as_bytes()),
        }
    }
}

impl From<&Transfer> for v1::Transfer {
    fn from(transfer: &Transfer) -> Self {
        let site = transfer.consignee_site;
        let arrived = transfer.arrived.as_ref();
        Self {
            offer_event_id: raw(transfer.offer.as_bytes()),
            lot_id: raw(transfer.lot.as_bytes()),
            mass_g: transfer.mass.get(),
            is_whole_lot: transfer.is_whole_lot,
            sender_party_id: raw(transfer.sender.as_bytes()),
            consignee_party_id: raw(transfer.consignee.as_bytes()),
            consignee_site_id: site.map(|site| raw(site.as_bytes())).unwrap_or_default(),
            scope: transfer.scope.number().into(),
            invoice_class: transfer.invoice_class.map_or(0, |class| class.number().into()),
            offer_entry_index: transfer.offered_at.0,
            occurred_at_ms: transfer.occurred_at.get(),
            status: v1::TransferStatus::from(transfer.status).into(),
            refused_g: transfer.refused.get(),
            received_lot_id: raw_or_none(arrived.map(|it| it.lot.as_bytes())),
            received_g: arrived.map_or(0, |it| it.booked.get()),
            answer_event_id: raw_or_none(arrived.map(|it| it.by.as_bytes())),
            returns_offer_event_id: raw_or_none(transfer.returns.as_ref().map(EventId::as_bytes)),
        }
    }
}

impl From<&PartyState> for v1::Party {
    fn from(state: &PartyState) -> Self {
        let id = state.party.id;
        let affiliations = state.affiliations.iter().map(|held| affiliation(id, held));
        Self {
            party: Some(v1::PartyRecord::from(&state.party)),
            licences: state.licences.iter().map(|held| licence(id, held)).collect(),
            affiliations: affiliations.collect(),
            key_ids: state.keys.iter().map(|key| raw(key.as_bytes())).collect(),
            registered_entry_index: state.registered_at.0,
            successions: state.successions.iter().map(v1::Succession::from).collect(),
            predecessor_party_ids: state.predecessors.iter().map(|id| raw(id.as_bytes())).collect(),
            in_force: None,
        }
    }
}

impl From<&Succession> for v1::Succession {
    fn from(succession: &Succession) -> Self {
        Self {
            successor_party_id: raw(succession.successor.as_bytes()),
            since_ms: succession.since.get(),
            event_id: raw(succession.event.as_bytes()),
        }
    }
}

impl From<&LotApproval> for v1::LotApproval {
    fn from(approval: &LotApproval) -> Self {
        let (valid_from_ms, valid_to_ms) = interval(approval.validity);
        Self {
            event_id: raw(approval.event.as_bytes()),
            from_party_id: raw(approval.from.as_bytes()),
            to_party_id: raw(approval.to.as_bytes()),
            mass_g: approval.mass.get(),
            used_g: approval.used.get(),
            number: approval.number.clone(),
            valid_from_ms,
            valid_to_ms,
        }
    }
}

impl From<&LotGrant> for v1::LotGrant {
    fn from(grant: &LotGrant) -> Self {
        let (valid_from_ms, valid_to_ms) = interval(grant.validity);
        Self {
            event_id: raw(grant.event.as_bytes()),
            reader_party_id: raw(grant.reader.as_bytes()),
            depth: grant.depth,
            owner_party_id: raw_or_none(grant.owner.as_ref().map(PartyId::as_bytes)),
            valid_from_ms,
            valid_to_ms,
        }
    }
}

impl From<&WaiverState> for v1::WaiverState {
    fn from(waiver: &WaiverState) -> Self {
        let (valid_from_ms, valid_to_ms) = interval(waiver.validity);
        Self {
            reason_code: waiver.reason_code.clone(),
            subject: waiver.subject.clone(),
            valid_from_ms,
            valid_to_ms,
            event_id: raw(waiver.event.as_bytes()),
            entry_index: waiver.index.0,
        }
    }
}

impl From<&Attestation> for v1::Attestation {
    fn from(attestation: &Attestation) -> Self {
        Self {
            entry_index: attestation.index.0,
            event_id: raw(attestation.event.as_bytes()),
            by_party_id: raw(attestation.by.as_bytes()),
            occurred_at_ms: attestation.occurred_at.get(),
            scope: attestation.scope.clone(),
            size: attestation.size.0,
            root_sha256: raw(attestation.root.as_bytes()),
            result: attestation.result.number().into(),
        }
    }
}

impl From<&Acknowledgement> for v1::Acknowledgement {
    fn from(word: &Acknowledgement) -> Self {
        Self {
            by_party_id: raw(word.by.as_bytes()),
            note: word.note.clone(),
            event_id: raw(word.event.as_bytes()),
            entry_index: word.index.0,
            occurred_at_ms: word.occurred_at.get(),
        }
    }
}

impl From<&Party> for v1::PartyRecord {
    fn from(party: &Party) -> Self {
        let waiver = party.credit_code_waiver;
        Self {
            party_id: raw(party.id.as_bytes()),
            credit_code: party.credit_code.clone(),
            name_zh: party.name_zh.clone(),
            name_en: party.name_en.clone(),
            roles: party.roles.iter().map(v1::DatedRole::from).collect(),
            credit_code_waiver_event_id: raw_or_none(waiver.as_ref().map(EventId::as_bytes)),
        }
    }
}

impl From<&DatedRole> for v1::DatedRole {
    fn from(dated: &DatedRole) -> Self {
        let (valid_from_ms, valid_to_ms) = interval(dated.validity);
        Self { role: dated.role.number().into(), valid_from_ms, valid_to_ms }
    }
}

impl From<&Site> for v1::SiteRecord {
    fn from(site: &Site) -> Self {
        Self {
            site_id: raw(site.id.as_bytes()),
            party_id: raw(site.party.as_bytes()),
            name_zh: site.name_zh.clone(),
            name_en: site.name_en.clone(),
            region_code: site.region_code.clone(),
            base: site.base.clone(),
            processes: site.processes.clone(),
            yearly_capacity_g: site.yearly_capacity.get(),
        }
    }
}

impl From<&KeyState> for v1::PartyKey {
    fn from(key: &KeyState) -> Self {
        let (valid_from_ms, valid_to_ms) = interval(key.validity);
        let revocation = key.revoked.map(|(revoked_at, by)| v1::KeyRevocation {
            revoked_at_ms: revoked_at.get(),
            entry_index: by.0,
        });
        Self {
            key_id: raw(key.id.as_bytes()),
            public_key: raw(key.public_key.as_bytes()),
            party_id: raw(key.party.as_bytes()),
            valid_from_ms,
            valid_to_ms,
            registered_entry_index: key.registered_at.0,
            revocation,
            is_in_force: false,
        }
    }
}

fn licence(party: PartyId, licence: &Licence) -> v1::LicenceRecord {
    let (valid_from_ms, valid_to_ms) = interval(licence.validity);
    v1::LicenceRecord {
        licence_id: raw(licence.id.as_bytes()),
        party_id: raw(party.as_bytes()),
        kind: licence.kind.number().into(),
        number: licence.number.clone(),
        waste_codes: licence.waste_codes.clone(),
        yearly_capacity_g: licence.yearly_capacity.get(),
        valid_from_ms,
        valid_to_ms,
    }
}

fn affiliation(party: PartyId, affiliation: &Affiliation) -> v1::AffiliationRecord {
    let (valid_from_ms, valid_to_ms) = interval(affiliation.validity);
    v1::AffiliationRecord {
        affiliation_id: raw(affiliation.id.as_bytes()),
        party_id: raw(party.as_bytes()),
        kind: affiliation.kind.number().into(),
        group_party_id: raw_or_none(affiliation.group.as_ref().map(PartyId::as_bytes)),
        valid_from_ms,
        valid_to_ms,
    }
}

/// From and to; 0 means without end.
fn interval(validity: Validity) -> (u64, u64) {
    (validity.from.get(), validity.to.map_or(0, TimeMs::get))
}
