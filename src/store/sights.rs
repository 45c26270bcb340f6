//! What is read about who sees what. Every walk stays within the rows of one party, so what it
//! costs, and where it ends, tells nothing of others.

use super::Store;
use super::fault::StoreFault;
use super::headings::{entries_under, first_under};
use super::keyspace::{Key, Tag};
use crate::domain::{EntryCount, EntryIndex, PartyId, SiteId};

impl Store {
    /// Entries that concern a party, ascending, from one on.
    pub fn concerning(
        &self,
        party: PartyId,
        from: EntryIndex,
        max: usize,
    ) -> Result<Vec<EntryIndex>, StoreFault> {
        self.entries_concerning(party, from).take(max).collect()
    }

    /// Whether an entry concerns a party.
    pub fn concerns(&self, party: PartyId, index: EntryIndex) -> Result<bool, StoreFault> {
        let next = self.entries_concerning(party, index).next().transpose()?;
        Ok(next == Some(index))
    }

    /// The first entry that concerns a party at or after an index, as far as a size.
    pub fn entry_of_party(
        &self,
        party: PartyId,
        from: EntryIndex,
        size: EntryCount,
    ) -> Result<Option<EntryIndex>, StoreFault> {
        first_under(self.entries_concerning(party, from), size)
    }

    fn entries_concerning(
        &self,
        party: PartyId,
        from: EntryIndex,
    ) -> impl Iterator<Item = Result<EntryIndex, StoreFault>> {
        let last_of = move |key: &Key| match key {
            Key::Concerned(of, last) if *of == party => Some(*last),
            _ => None,
        };
        entries_under(&self.database, Tag::Concerned, &Key::Concerned(party, from), last_of)
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
