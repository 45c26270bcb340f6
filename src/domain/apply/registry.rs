//! Who acts: genesis, parties, sites, licences, affiliations, keys, tables.

use std::sync::Arc;

use super::super::effects::{Effects, LedgerState, View};
use super::super::event::{Body, Genesis, PublishTables, RecordId, RegisterKey, RevokeKey};
use super::super::ids::{EntryIndex, Hash32, KeyId, PartyId, PublicKey};
use super::super::lot::EventRecord;
use super::super::party::{Affiliation, KeyState, Licence, Party, PartyState, Site};
use super::super::rejection::Rejection;
use super::super::tables::Tables;
use super::super::units::{TimeMs, Validity};
use super::super::vocabulary::{EventKind, PartyRole};
use super::super::waiver;
use super::work::Work;
use super::{Moment, Signed, Verdict};
use crate::limits::{
    MAX_AFFILIATIONS, MAX_KEYS, MAX_LICENCES, MAX_TABLE_CHUNKS, MAX_TABLE_SET_BYTES,
};

/// The first entry makes the ledger: its name, its key, its tables, its first coordinator.
pub(super) fn genesis(signed: Signed<'_>, moment: Moment<'_>) -> Result<Effects, Rejection> {
    let event = signed.event;
    let (kind, index) = (event.body.kind(), moment.index);
    let Body::Genesis(genesis) = &event.body else {
        return Err(Rejection::GenesisMisplaced { kind, index });
    };
    if index != EntryIndex(0) {
        return Err(Rejection::GenesisMisplaced { kind, index });
    }
    check_genesis(signed, moment, genesis)?;

    let coordinator = &genesis.coordinator;
    let key = KeyState {
        id: key_id(moment, &genesis.coordinator_key),
        public_key: genesis.coordinator_key,
        party: coordinator.id,
        validity: Validity { from: event.occurred_at, to: None },
        registered_at: index,
        revoked: None,
    };
    let registered = PartyState::new(coordinator.clone(), index);
    let record = EventRecord {
        id: event.id,
        index,
        payload_hash: signed.payload_hash,
        kind: EventKind::Genesis,
        actor: event.actor,
        occurred_at: event.occurred_at,
        deltas: Vec::new(),
        flags: Vec::new(),
        corrected_by: None,
    };
    Ok(Effects {
        ledger: Some(LedgerState {
            origin: event.origin.clone(),
            ledger_key: genesis.ledger_key,
            former_ledger_keys: Vec::new(),
            rules_version: genesis.rules_version,
            tables_hash: genesis.tables_hash,
            are_tables_published: false,
            publishing: None,
            expected_correctives: Vec::new(),
            corrected_occurred_at: TimeMs::default(),
        }),
        parties: vec![PartyState { keys: vec![key.id], ..registered }],
        credit_codes: vec![(coordinator.credit_code.clone(), coordinator.id)],
        keys: vec![key],
        events: vec![record],
        concerned: vec![coordinator.id],
        ..Effects::default()
    })
}

fn check_genesis(
    signed: Signed<'_>,
    moment: Moment<'_>,
    genesis: &Genesis,
) -> Result<(), Rejection> {
    let at = signed.event.occurred_at;
    let fault = |rule| Err(Rejection::GenesisMalformed { rule });
    if genesis.coordinator.id != signed.event.actor {
        return fault("the actor is the coordinator that it names");
    }
    if genesis.rules_version != super::RULES_VERSION {
        return fault("the rules version is one that this software executes");
    }
    if genesis.ledger_key == genesis.coordinator_key {
        return fault("the ledger key and the coordinator key are two keys");
    }
    let mut needed =
        [key_id(moment, &genesis.coordinator_key), key_id(moment, &genesis.ledger_key)];
    needed.sort_unstable();
    if signed.signers != needed {
        return fault("it is signed by the coordinator key and the ledger key, and by no other");
    }
    if at.get() > moment.recorded_at.get() {
        return fault("it does not occur in the future");
    }
    if !genesis.coordinator.has_role(PartyRole::Coordinator, at) {
        return fault("its coordinator holds the coordinator role when it occurs");
    }
    check_credit_code(&genesis.coordinator.credit_code)
}

fn key_id(moment: Moment<'_>, key: &PublicKey) -> KeyId {
    KeyId((moment.sha256)(key.as_bytes()).0)
}

/// GB 32100: the last character makes the weighted sum a multiple of 31.
pub(super) fn check_credit_code(code: &str) -> Result<(), Rejection> {
    let expected = credit_code_check(code);
    if expected.is_some() && code.chars().last() == expected {
        return Ok(());
    }
    let expected = expected.unwrap_or('?');
    Err(Rejection::CreditCodeInvalid { code: code.to_owned(), expected })
}

/// The 31 characters of GB 32100, in the order of their values.
const CREDIT_ALPHABET: &[u8; 31] = b"0123456789ABCDEFGHJKLMNPQRTUWXY";

/// The check character over the first 17; `None` for text that is not of the alphabet and length.
fn credit_code_check(code: &str) -> Option<char> {
    if code.len() != 18 {
        return None;
    }
    let (mut sum, mut weight) = (0_usize, 1_usize);
    for byte in code.bytes().take(17) {
        let value = CREDIT_ALPHABET.iter().position(|known| *known == byte)?;
        sum = (sum + value * weight) % 31;
        weight = weight * 3 % 31;
    }
    let check = (31 - sum) % 31;
    Some(char::from(CREDIT_ALPHABET[check]))
}

pub(super) fn register_party<V: View>(work: &mut Work<'_, V>, party: &Party) -> Verdict<(), V> {
    let id = party.id;
    if work.read(|view| view.party(id))?.is_some() {
        return Err(Rejection::PartyExists { party: id }.into());
    }
    check_code_of(work, party)?;
    check_code_is_free(work, party)?;
    work.effects.credit_codes.push((party.credit_code.clone(), id));
    work.effects.parties.push(PartyState::new(party.clone(), work.moment.index));
    Ok(())
}

pub(super) fn amend_party<V: View>(work: &mut Work<'_, V>, party: &Party) -> Verdict<(), V> {
    let mut state = Arc::unwrap_or_clone(work.party(party.id)?);
    check_code_of(work, party)?;
    check_code_is_free(work, party)?;
    // The code that it had stays its own: nobody else ever gets it.
    work.effects.credit_codes.push((party.credit_code.clone(), party.id));
    state.party = party.clone();
    work.effects.parties.push(state);
    Ok(())
}

/// A code that fails its check digit passes exactly by the waiver that the record names: for this
/// code, and in force. (Where the digit is right nothing is asked of a waiver.)
fn check_code_of<V: View>(work: &Work<'_, V>, party: &Party) -> Verdict<(), V> {
    let code = &party.credit_code;
    let Err(refused) = check_credit_code(code) else { return Ok(()) };
    let in_force = work.waiver_in_force(waiver::CREDIT_CODE, code)?;
    match (in_force, party.credit_code_waiver) {
        (Some(found), Some(named)) if found == named => Ok(()),
        _ => Err(refused.into()),
    }
}

fn check_code_is_free<V: View>(work: &Work<'_, V>, party: &Party) -> Verdict<(), V> {
    let code = &party.credit_code;
    match work.read(|view| view.party_of_credit_code(code))? {
        Some(by) if by != party.id => {
            Err(Rejection::CreditCodeTaken { code: code.clone(), by }.into())
        }
        _ => Ok(()),
    }
}

pub(super) fn register_site<V: View>(work: &mut Work<'_, V>, site: &Site) -> Verdict<(), V> {
    work.party(site.party)?;
    let id = site.id;
    if work.read(|view| view.site(id))?.is_some() {
        return Err(Rejection::SiteExists { site: id }.into());
    }
    check_site_record(work, site)?;
    work.effects.sites.push(site.clone());
    Ok(())
}

/// That the site is known, and its party's, was asked at admission.
pub(super) fn amend_site<V: View>(work: &mut Work<'_, V>, site: &Site) -> Verdict<(), V> {
    check_site_record(work, site)?;
    work.effects.sites.push(site.clone());
    Ok(())
}

fn check_site_record<V: View>(work: &Work<'_, V>, site: &Site) -> Result<(), Rejection> {
    let (tables, at) = (work.tables()?, work.at());
    if !tables.has_region(&site.region_code, at) {
        return Err(Rejection::RegionUnknown { code: site.region_code.clone(), at });
    }
    let stray = site.processes.iter().find(|code| tables.process(code, at).is_none());
    stray.map_or(Ok(()), |code| Err(Rejection::ProcessUnknown { code: code.clone() }))
}

/// Where a record lies in its party's list, by its id.
fn position<R: RecordId>(records: &[R], id: R::Id) -> Option<usize> {
    records.iter().position(|record| record.record_id() == id)
}

pub(super) fn register_licence<V: View>(
    work: &mut Work<'_, V>,
    party: PartyId,
    licence: &Licence,
) -> Verdict<(), V> {
    let mut state = Arc::unwrap_or_clone(work.party(party)?);
    if position(&state.licences, licence.id).is_some() {
        return Err(Rejection::LicenceExists { licence: licence.id }.into());
    }
    check_waste_codes(work, licence)?;
    check_room("licences", state.licences.len(), MAX_LICENCES)?;
    state.licences.push(licence.clone());
    work.effects.parties.push(state);
    Ok(())
}

pub(super) fn amend_licence<V: View>(
    work: &mut Work<'_, V>,
    party: PartyId,
    licence: &Licence,
) -> Verdict<(), V> {
    let mut state = Arc::unwrap_or_clone(work.party(party)?);
    let Some(at) = position(&state.licences, licence.id) else {
        return Err(Rejection::LicenceUnknown { licence: licence.id }.into());
    };
    check_waste_codes(work, licence)?;
    state.licences[at] = licence.clone();
    work.effects.parties.push(state);
    Ok(())
}

fn check_waste_codes<V: View>(work: &Work<'_, V>, licence: &Licence) -> Result<(), Rejection> {
    let wastes = &work.tables()?.wastes;
    let stray = licence.waste_codes.iter().find(|code| !wastes.contains_key(*code));
    stray.map_or(Ok(()), |code| Err(Rejection::WasteCodeUnknown { code: code.clone() }))
}

pub(super) fn check_room(what: &'static str, held: usize, limit: usize) -> Result<(), Rejection> {
    if held < limit { Ok(()) } else { Err(Rejection::RegistryFull { what, limit }) }
}

pub(super) fn register_affiliation<V: View>(
    work: &mut Work<'_, V>,
    party: PartyId,
    affiliation: &Affiliation,
) -> Verdict<(), V> {
    let mut state = Arc::unwrap_or_clone(work.party(party)?);
    check_group(work, affiliation)?;
    if position(&state.affiliations, affiliation.id).is_some() {
        return Err(Rejection::AffiliationExists { affiliation: affiliation.id }.into());
    }
    check_room("affiliations", state.affiliations.len(), MAX_AFFILIATIONS)?;
    state.affiliations.push(*affiliation);
    work.effects.parties.push(state);
    Ok(())
}

pub(super) fn amend_affiliation<V: View>(
    work: &mut Work<'_, V>,
    party: PartyId,
    affiliation: &Affiliation,
) -> Verdict<(), V> {
    let mut state = Arc::unwrap_or_clone(work.party(party)?);
    check_group(work, affiliation)?;
    let Some(at) = position(&state.affiliations, affiliation.id) else {
        return Err(Rejection::AffiliationUnknown { affiliation: affiliation.id }.into());
    };
    state.affiliations[at] = *affiliation;
    work.effects.parties.push(state);
    Ok(())
}

fn check_group<V: View>(work: &Work<'_, V>, affiliation: &Affiliation) -> Verdict<(), V> {
    if let Some(group) = affiliation.group {
        work.party(group)?;
    }
    Ok(())
}

pub(super) fn register_key<V: View>(work: &mut Work<'_, V>, new: &RegisterKey) -> Verdict<(), V> {
    let mut state = Arc::unwrap_or_clone(work.party(new.party)?);
    let id = key_id(work.moment, &new.public_key);
    // The ledger's own keys sign checkpoints and statements, and speak for no party.
    let is_ledger_key = work.ledger.was_ledger_key(&new.public_key);
    if is_ledger_key || work.read(|view| view.key(id))?.is_some() {
        return Err(Rejection::KeyExists { key: id }.into());
    }
    check_room("keys", state.keys.len(), MAX_KEYS)?;
    state.keys.push(id);
    work.effects.parties.push(state);
    work.effects.keys.push(KeyState {
        id,
        public_key: new.public_key,
        party: new.party,
        validity: new.validity,
        registered_at: work.moment.index,
        revoked: None,
    });
    Ok(())
}

pub(super) fn revoke_key<V: View>(work: &mut Work<'_, V>, revoke: &RevokeKey) -> Verdict<(), V> {
    let key = revoke.key;
    let Some(mut state) = work.read(|view| view.key(key))? else {
        return Err(Rejection::KeyUnknown { key }.into());
    };
    if let Some((_, by)) = state.revoked {
        return Err(Rejection::KeyAlreadyRevoked { key, by }.into());
    }
    state.revoked = Some((revoke.revoked_at, work.moment.index));
    work.effects.keys.push(state);
    Ok(())
}

/// Chunks come in order; the last one makes the set judge from the next entry on.
pub(super) fn publish_tables<V: View>(
    work: &mut Work<'_, V>,
    chunk: &PublishTables,
) -> Verdict<(), V> {
    let set = chunk.tables_hash;
    let next = match work.ledger.publishing {
        Some((under_way, next, count)) if under_way == set && count == chunk.chunk_count => next,
        _ => 0,
    };
    // A publication that was broken off starts again with chunk 0.
    if chunk.chunk_index != next && chunk.chunk_index != 0 {
        let (expected, found) = (next, chunk.chunk_index);
        return Err(Rejection::TableChunkUnexpected { expected, found }.into());
    }
    if !work.ledger.are_tables_published && set != work.ledger.tables_hash {
        return Err(invalid("the set that the genesis names is published first").into());
    }
    let mut ledger = work.ledger.clone();
    let is_last = chunk.chunk_index + 1 == chunk.chunk_count;
    if is_last {
        let tables = assemble(work, chunk)?;
        work.effects.activated_tables = Some(Arc::new(tables));
        ledger.publishing = None;
        ledger.tables_hash = set;
        ledger.are_tables_published = true;
    } else {
        ledger.publishing = Some((set, chunk.chunk_index + 1, chunk.chunk_count));
    }
    work.effects.table_chunk = Some((set, chunk.chunk_index, chunk.content.clone()));
    work.effects.ledger = Some(ledger);
    Ok(())
}

fn assemble<V: View>(work: &Work<'_, V>, last: &PublishTables) -> Verdict<Tables, V> {
    let set: Hash32 = last.tables_hash;
    let mut bytes = Vec::new();
    for index in 0..last.chunk_index.min(MAX_TABLE_CHUNKS) {
        let chunk = work.read(|view| view.table_chunk(set, index))?;
        bytes.extend(chunk.ok_or_else(|| invalid("a chunk before this one is missing"))?);
    }
    bytes.extend_from_slice(&last.content);
    if bytes.len() > MAX_TABLE_SET_BYTES {
        return Err(invalid("the set is too large").into());
    }
    if (work.moment.sha256)(&bytes) != set {
        return Err(invalid("its SHA-256 is not the one that its chunks announce").into());
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| invalid("it is not UTF-8"))?;
    let tables =
        Tables::parse(text).map_err(|fault| Rejection::TablesInvalid { detail: fault.to_string() });
    Ok(tables?)
}

fn invalid(detail: &str) -> Rejection {
    Rejection::TablesInvalid { detail: detail.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Real codes of shared reference data: four that pass, three that fail their check digit.
    #[test]
    fn credit_codes_of_the_standard_pass_and_others_say_what_would() {
        for code in
            ["91350100M000100Y43", "914403001922038216", "123502001549897397", "91330000704202479R"]
        {
            assert_eq!(check_credit_code(code), Ok(()), "{code}");
        }
        for (code, expected) in [
            ("91350211M0000XUF46", 'R'),
            ("91350100M0001TGQXM", '1'),
            ("91350203M0001FUE2P", 'J'),
            ("9135010", '?'),
        ] {
            let refused = check_credit_code(code);
            assert_eq!(
                refused,
                Err(Rejection::CreditCodeInvalid { code: code.to_owned(), expected })
            );
        }
    }
}
