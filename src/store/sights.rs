//! What is read about who sees what. Every walk stays within the rows of one party, so what it
//! costs, and where it ends, tells nothing of others.

use super::Store;
use super::database::decoded;
use super::fault::StoreFault;
use super::keyspace::{Key, Tag};
use crate::domain::sight::Relation;
use crate::domain::{EntryIndex, LotId, PartyId, SiteId};

impl Store {
    /// Entries that concern a party, ascending, from one on.
    pub fn concerning(
        &self,
        party: PartyId,
        from: EntryIndex,
        max: usize,
    ) -> Result<Vec<EntryIndex>, StoreFault> {
        let mut found = Vec::new();
        for item in self.database.walk(Tag::Concerned, Key::Concerned(party, from).bytes()) {
            match item?.0 {
                Key::Concerned(of, index) if of == party && found.len() < max => found.push(index),
                _ => break,
            }
        }
        Ok(found)
    }

    /// Whether an entry concerns a party.
    pub fn concerns(&self, party: PartyId, index: EntryIndex) -> Result<bool, StoreFault> {
        Ok(self.database.get(&Key::Concerned(party, index))?.is_some())
    }

    /// How a party is related to a lot; `None` when it is not.
    pub fn relation(&self, party: PartyId, lot: LotId) -> Result<Option<Relation>, StoreFault> {
        self.database.value(&Key::RelatedLot(party, lot))
    }

    /// Lots that a party is related to, ascending, after one.
    pub fn related_lots(
        &self,
        party: PartyId,
        after: Option<LotId>,
        max: usize,
    ) -> Result<Vec<(LotId, Relation)>, StoreFault> {
        let from = Key::RelatedLot(party, after.unwrap_or(LotId::from_bytes([0; 16])));
        let mut found = Vec::new();
        for item in self.database.walk(Tag::RelatedLot, from.bytes()) {
            let (key, value) = item?;
            match key {
                Key::RelatedLot(of, lot) if of == party && found.len() < max => {
                    if Some(lot) != after {
                        found.push((lot, decoded(&key, &value)?));
                    }
                }
                _ => break,
            }
        }
        Ok(found)
    }

    /// Whether two parties share an entry.
    pub fn are_acquainted(&self, party: PartyId, other: PartyId) -> Result<bool, StoreFault> {
        Ok(self.database.get(&Key::Acquainted(party, other))?.is_some())
    }

    /// Parties that share an entry with a party, ascending, after one.
    pub fn acquaintances(
        &self,
        party: PartyId,
        after: Option<PartyId>,
        max: usize,
    ) -> Result<Vec<PartyId>, StoreFault> {
        let from = Key::Acquainted(party, after.unwrap_or(PartyId::from_bytes([0; 16])));
        let mut found = Vec::new();
        for item in self.database.walk(Tag::Acquainted, from.bytes()) {
            match item?.0 {
                Key::Acquainted(of, other) if of == party && found.len() < max => {
                    if Some(other) != after {
                        found.push(other);
                    }
                }
                _ => break,
            }
        }
        Ok(found)
    }

    /// Parties whose record is public, ascending, after one.
    pub fn public_parties(
        &self,
        after: Option<PartyId>,
        max: usize,
    ) -> Result<Vec<PartyId>, StoreFault> {
        let from = Key::PublicParty(after.unwrap_or(PartyId::from_bytes([0; 16])));
        let mut found = Vec::new();
        for item in self.database.walk(Tag::PublicParty, from.bytes()) {
            match item?.0 {
                Key::PublicParty(party) if found.len() < max => {
                    if Some(party) != after {
                        found.push(party);
                    }
                }
                _ => break,
            }
        }
        Ok(found)
    }

    /// Sites of a party, ascending, after one.
    pub fn sites_of(
        &self,
        party: PartyId,
        after: Option<SiteId>,
        max: usize,
    ) -> Result<Vec<SiteId>, StoreFault> {
        let from = Key::SiteOf(party, after.unwrap_or(SiteId::from_bytes([0; 16])));
        let mut found = Vec::new();
        for item in self.database.walk(Tag::SiteOf, from.bytes()) {
            match item?.0 {
                Key::SiteOf(of, site) if of == party && found.len() < max => {
                    if Some(site) != after {
                        found.push(site);
                    }
                }
                _ => break,
            }
        }
        Ok(found)
    }
}
