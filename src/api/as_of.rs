//! As of when a read is asked, and how that is answered.

use super::convert::{missing, raw};
use super::errors::Failure;
use crate::domain::party::{KeyState, PartyState};
use crate::domain::vocabulary::PartyRole;
use crate::domain::{EntryIndex, TimeMs};
use crate::node::{AsOf, Reader};
use crate::wire::v1;

/// The fields of a request that say as of when.
#[derive(Debug, Clone, Copy)]
pub struct Asked {
    /// A time; 0 means that none is asked for.
    pub ms: u64,
    /// The last entry that counts.
    pub entry: Option<u64>,
}

impl Asked {
    /// As of when the answer is.
    pub fn resolve(self, reader: &Reader) -> Result<AsOf, Failure> {
        let at = match self.ms {
            0 => None,
            ms => Some(TimeMs::new(ms).map_err(|_| {
                let rule = format!("at most {}, the end of the year 9999", TimeMs::MAX.get());
                Failure::field("as_of_ms", rule, ms.to_string())
            })?),
        };
        let entry = self.entry.map(EntryIndex);
        let found = reader.as_of(at, entry)?;
        found.ok_or_else(|| missing("entry", &EntryIndex(self.entry.unwrap_or_default())))
    }

    /// What belongs to a list's filter: pages of different times are not of one list.
    pub fn filter(self) -> [u8; 17] {
        let mut bytes = [0; 17];
        let (time, entry) = bytes.split_at_mut(8);
        time.copy_from_slice(&self.ms.to_be_bytes());
        if let (Some(index), [is_asked, at @ ..]) = (self.entry, entry) {
            *is_asked = 1;
            at.copy_from_slice(&index.to_be_bytes());
        }
        bytes
    }
}

/// As of when, as it is told.
pub fn told(as_of: AsOf) -> v1::AsOf {
    v1::AsOf { ledger_size: as_of.size.0, valid_at_ms: as_of.at.get() }
}

/// A party as it stood, and what of it was in force.
pub fn party(reader: &Reader, state: &PartyState, as_of: AsOf) -> Result<v1::Party, Failure> {
    let keys = reader.keys_as_of(state, as_of.size)?;
    let in_force = Some(in_force(state, &keys, as_of.at));
    Ok(v1::Party { in_force, ..v1::Party::from(state) })
}

/// A key as it stood, and whether it was in force.
pub fn key(state: &KeyState, as_of: AsOf) -> v1::PartyKey {
    v1::PartyKey { is_in_force: state.is_in_force(as_of.at), ..v1::PartyKey::from(state) }
}

fn in_force(state: &PartyState, keys: &[KeyState], at: TimeMs) -> v1::PartyInForce {
    let mut roles: Vec<i32> =
        state.party.roles_at(at).map(PartyRole::number).map(i32::from).collect();
    roles.sort_unstable();
    roles.dedup();
    let licences = state.licences.iter().filter(|held| held.validity.contains(at));
    let affiliations = state.affiliations.iter().filter(|held| held.validity.contains(at));
    let keys = keys.iter().filter(|key| key.is_in_force(at));
    v1::PartyInForce {
        roles,
        licence_ids: licences.map(|held| raw(held.id.as_bytes())).collect(),
        affiliation_ids: affiliations.map(|held| raw(held.id.as_bytes())).collect(),
        key_ids: keys.map(|key| raw(key.id.as_bytes())).collect(),
        successor_party_id: state
            .succession_at(at)
            .map(|it| raw(it.successor.as_bytes()))
            .unwrap_or_default(),
    }
}
