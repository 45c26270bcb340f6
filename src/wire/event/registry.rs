//! Events of the registry: who exists, where, with which licences and keys.

use super::fields::{Fields, Quoted};
use super::v1;
use crate::domain::event::{Body, Genesis, PublishTables, RegisterKey, RevokeKey};
use crate::domain::party::{Affiliation, DatedRole, Licence, Party, Site};
use crate::domain::vocabulary::{AffiliationKind, LicenceKind, PartyRole};
use crate::domain::{
    AffiliationId, EventId, Grams, Hash32, KeyId, LicenceId, PartyId, PublicKey, SiteId,
};
use crate::limits::{
    MAX_CHECKPOINT_TEXT_BYTES, MAX_NAME_BYTES, MAX_NOTE_BYTES, MAX_ROLES, MAX_SHORT_TEXT_BYTES,
    MAX_SITE_PROCESSES, MAX_TABLE_CHUNK_BYTES, MAX_TABLE_CHUNKS, MAX_WASTE_CODES,
    MAX_YEARLY_CAPACITY_G,
};

/// Letters of a Unified Social Credit Code (GB 32100): no I, O, S, V, Z.
const CREDIT_CODE_ALPHABET: &str = "0123456789ABCDEFGHJKLMNPQRTUWXY";
const CREDIT_CODE_BYTES: usize = 18;

const _: () = assert!(
    MAX_TABLE_CHUNKS == 64 && MAX_TABLE_CHUNK_BYTES == 40_000 && MAX_CHECKPOINT_TEXT_BYTES == 2_048,
    "the rules of these fields say the numbers in words"
);

/// Reads a body of this family; `None` after a fault, and for bodies of other families.
pub(super) fn read(fields: &mut Fields, body: &v1::event::Body) -> Option<Body> {
    use v1::event::Body as B;
    match body {
        B::Genesis(one) => fields.message("genesis", Some(one), genesis).map(Body::Genesis),
        B::RegisterParty(one) => fields
            .message("register_party", Some(one), |f, m| {
                f.message("party", m.party.as_ref(), party)
            })
            .map(Body::RegisterParty),
        B::AmendParty(one) => fields
            .message("amend_party", Some(one), |f, m| f.message("party", m.party.as_ref(), party))
            .map(Body::AmendParty),
        B::RegisterSite(one) => fields
            .message("register_site", Some(one), |f, m| f.message("site", m.site.as_ref(), site))
            .map(Body::RegisterSite),
        B::AmendSite(one) => fields
            .message("amend_site", Some(one), |f, m| f.message("site", m.site.as_ref(), site))
            .map(Body::AmendSite),
        B::RegisterLicence(one) => fields
            .message("register_licence", Some(one), |f, m| {
                f.message("licence", m.licence.as_ref(), licence)
            })
            .map(|(party, licence)| Body::RegisterLicence(party, licence)),
        B::AmendLicence(one) => fields
            .message("amend_licence", Some(one), |f, m| {
                f.message("licence", m.licence.as_ref(), licence)
            })
            .map(|(party, licence)| Body::AmendLicence(party, licence)),
        B::RegisterAffiliation(one) => fields
            .message("register_affiliation", Some(one), |f, m| {
                f.message("affiliation", m.affiliation.as_ref(), affiliation)
            })
            .map(|(party, record)| Body::RegisterAffiliation(party, record)),
        B::AmendAffiliation(one) => fields
            .message("amend_affiliation", Some(one), |f, m| {
                f.message("affiliation", m.affiliation.as_ref(), affiliation)
            })
            .map(|(party, record)| Body::AmendAffiliation(party, record)),
        B::RegisterKey(one) => {
            fields.message("register_key", Some(one), register_key).map(Body::RegisterKey)
        }
        B::RevokeKey(one) => {
            fields.message("revoke_key", Some(one), revoke_key).map(Body::RevokeKey)
        }
        B::PublishTables(one) => {
            fields.message("publish_tables", Some(one), publish_tables).map(Body::PublishTables)
        }
        _ => None,
    }
}

fn genesis(fields: &mut Fields, genesis: &v1::Genesis) -> Option<Genesis> {
    let ledger_key = fields.bytes32("ledger_public_key", &genesis.ledger_public_key);
    let tables_hash = fields.bytes32("tables_sha256", &genesis.tables_sha256);
    let rules_version = u16::try_from(genesis.rules_version).ok().filter(|version| *version > 0);
    let rule = "is 1 to 65535";
    let version_rule =
        fields.require(rules_version.is_some(), "rules_version", rule, genesis.rules_version);
    let coordinator = fields.message("coordinator", genesis.coordinator.as_ref(), party);
    let coordinator_key = fields.bytes32("coordinator_public_key", &genesis.coordinator_public_key);
    let checkpoint = checkpoint_text(fields, "previous_checkpoint", &genesis.previous_checkpoint);
    version_rule?;
    Some(Genesis {
        ledger_key: PublicKey(ledger_key?),
        tables_hash: Hash32(tables_hash?),
        rules_version: rules_version?,
        coordinator: coordinator?,
        coordinator_key: PublicKey(coordinator_key?),
        previous_checkpoint: checkpoint?,
    })
}

/// A checkpoint is lines of text, so the line feed is the one control character it has.
pub(super) fn checkpoint_text(fields: &mut Fields, field: &str, text: &str) -> Option<String> {
    let is_plain = text.len() <= MAX_CHECKPOINT_TEXT_BYTES
        && !text.chars().any(|c| c.is_control() && c != '\n');
    let rule = "is lines of text of at most 2048 bytes, without other control characters";
    fields.require(is_plain, field, rule, Quoted(text))?;
    Some(text.to_owned())
}

fn party(fields: &mut Fields, party: &v1::PartyRecord) -> Option<Party> {
    let id = fields.id("party_id", &party.party_id, PartyId::parse);
    let code = &party.credit_code;
    let is_code = code.len() == CREDIT_CODE_BYTES
        && code.chars().all(|letter| CREDIT_CODE_ALPHABET.contains(letter));
    let rule = "has 18 characters of GB 32100: digits and capital letters without I, O, S, V, Z";
    let code_rule = fields.require(is_code, "credit_code", rule, Quoted(code));
    let name_zh = fields.text("name_zh", &party.name_zh, (0, MAX_NAME_BYTES));
    let name_en = fields.text("name_en", &party.name_en, (0, MAX_NAME_BYTES));
    let roles = fields.list("roles", &party.roles, (1, MAX_ROLES), dated_role);
    let waiver = fields.optional_id(
        "credit_code_waiver_event_id",
        &party.credit_code_waiver_event_id,
        EventId::parse,
    );
    code_rule?;
    Some(Party {
        id: id?,
        credit_code: code.clone(),
        name_zh: name_zh?,
        name_en: name_en?,
        roles: roles?,
        credit_code_waiver: waiver?,
    })
}

fn dated_role(fields: &mut Fields, dated: &v1::DatedRole) -> Option<DatedRole> {
    let role = fields.word("role", dated.role, PartyRole::from_number);
    let validity = fields.validity(dated.valid_from_ms, dated.valid_to_ms);
    Some(DatedRole { role: role?, validity: validity? })
}

fn site(fields: &mut Fields, site: &v1::SiteRecord) -> Option<Site> {
    let id = fields.id("site_id", &site.site_id, SiteId::parse);
    let party = fields.id("party_id", &site.party_id, PartyId::parse);
    let name_zh = fields.text("name_zh", &site.name_zh, (0, MAX_NAME_BYTES));
    let name_en = fields.text("name_en", &site.name_en, (0, MAX_NAME_BYTES));
    let region_code = fields.digits("region_code", &site.region_code, 6);
    let base = fields.text("base", &site.base, (0, MAX_SHORT_TEXT_BYTES));
    let processes = fields
        .list("processes", &site.processes, (0, MAX_SITE_PROCESSES), |f, one| f.code("", one));
    let ascending = fields.ascending("processes", &site.processes);
    let capacity = yearly_capacity(fields, site.yearly_capacity_g);
    ascending?;
    Some(Site {
        id: id?,
        party: party?,
        name_zh: name_zh?,
        name_en: name_en?,
        region_code: region_code?,
        base: base?,
        processes: processes?,
        yearly_capacity: capacity?,
    })
}

/// A year's throughput is larger than a lot, so it has a bound of its own.
fn yearly_capacity(fields: &mut Fields, grams: u64) -> Option<Grams> {
    let is_possible = grams <= MAX_YEARLY_CAPACITY_G;
    fields.require(is_possible, "yearly_capacity_g", "is at most a thousand million t", grams)?;
    Some(Grams::of(grams))
}

fn licence(fields: &mut Fields, licence: &v1::LicenceRecord) -> Option<(PartyId, Licence)> {
    let id = fields.id("licence_id", &licence.licence_id, LicenceId::parse);
    let party = fields.id("party_id", &licence.party_id, PartyId::parse);
    let kind = fields.word("kind", licence.kind, LicenceKind::from_number);
    let number = fields.text("number", &licence.number, (1, MAX_SHORT_TEXT_BYTES));
    let codes = fields.list("waste_codes", &licence.waste_codes, (0, MAX_WASTE_CODES), waste_code);
    let ascending = fields.ascending("waste_codes", &licence.waste_codes);
    let covers_waste =
        matches!(kind, Some(LicenceKind::HazardousWaste | LicenceKind::HazardousTransport));
    let codes_rule = fields.require(
        covers_waste || kind.is_none() || licence.waste_codes.is_empty(),
        "waste_codes",
        "is empty but for a hazardous-waste or hazardous-transport licence",
        licence.waste_codes.len(),
    );
    let capacity = yearly_capacity(fields, licence.yearly_capacity_g);
    let validity = fields.validity(licence.valid_from_ms, licence.valid_to_ms);
    ascending.and(codes_rule)?;
    let record = Licence {
        id: id?,
        kind: kind?,
        number: number?,
        waste_codes: codes?,
        yearly_capacity: capacity?,
        validity: validity?,
    };
    Some((party?, record))
}

#[expect(clippy::ptr_arg, reason = "the element type of a generated list")]
fn waste_code(fields: &mut Fields, code: &String) -> Option<String> {
    let has_shape = code.len() == 10
        && code.bytes().enumerate().all(|(position, byte)| match position {
            3 | 7 => byte == b'-',
            _ => byte.is_ascii_digit(),
        });
    fields.require(has_shape, "", "is a waste code like 900-052-31", Quoted(code))?;
    Some(code.clone())
}

fn affiliation(
    fields: &mut Fields,
    affiliation: &v1::AffiliationRecord,
) -> Option<(PartyId, Affiliation)> {
    let id = fields.id("affiliation_id", &affiliation.affiliation_id, AffiliationId::parse);
    let party = fields.id("party_id", &affiliation.party_id, PartyId::parse);
    let kind = fields.word("kind", affiliation.kind, AffiliationKind::from_number);
    let group = match kind {
        None => None,
        Some(
            AffiliationKind::Equity
            | AffiliationKind::GoldenShare
            | AffiliationKind::CooperationAgreement,
        ) => fields.id("group_party_id", &affiliation.group_party_id, PartyId::parse).map(Some),
        Some(
            AffiliationKind::Independent | AffiliationKind::Exited | AffiliationKind::Deregistered,
        ) => {
            let rule = "is absent for a party that is in no group";
            fields.absent_bytes("group_party_id", &affiliation.group_party_id, rule).map(|()| None)
        }
    };
    let validity = fields.validity(affiliation.valid_from_ms, affiliation.valid_to_ms);
    let record = Affiliation { id: id?, kind: kind?, group: group?, validity: validity? };
    Some((party?, record))
}

fn register_key(fields: &mut Fields, key: &v1::RegisterKey) -> Option<RegisterKey> {
    let party = fields.id("party_id", &key.party_id, PartyId::parse);
    let public_key = fields.bytes32("public_key", &key.public_key);
    let validity = fields.validity(key.valid_from_ms, key.valid_to_ms);
    Some(RegisterKey { party: party?, public_key: PublicKey(public_key?), validity: validity? })
}

fn revoke_key(fields: &mut Fields, revocation: &v1::RevokeKey) -> Option<RevokeKey> {
    let key = fields.bytes32("key_id", &revocation.key_id);
    let revoked_at = fields.time("revoked_at_ms", revocation.revoked_at_ms);
    let reason = fields.text("reason", &revocation.reason, (0, MAX_NOTE_BYTES));
    Some(RevokeKey { key: KeyId(key?), revoked_at: revoked_at?, reason: reason? })
}

fn publish_tables(fields: &mut Fields, tables: &v1::PublishTables) -> Option<PublishTables> {
    let tables_hash = fields.bytes32("tables_sha256", &tables.tables_sha256);
    let has_count = (1..=MAX_TABLE_CHUNKS).contains(&tables.chunk_count);
    let count = fields.require(has_count, "chunk_count", "is 1 to 64", tables.chunk_count);
    let has_index = tables.chunk_index < tables.chunk_count;
    let rule = "is less than chunk_count";
    let index = fields.require(has_index, "chunk_index", rule, tables.chunk_index);
    let length = tables.content.len();
    let has_length = (1..=MAX_TABLE_CHUNK_BYTES).contains(&length);
    let content = fields.require(has_length, "content", "has 1 to 40000 bytes", length);
    count.and(index).and(content)?;
    Some(PublishTables {
        tables_hash: Hash32(tables_hash?),
        chunk_index: tables.chunk_index,
        chunk_count: tables.chunk_count,
        content: tables.content.to_vec(),
    })
}
