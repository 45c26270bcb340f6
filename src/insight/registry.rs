//! Parties and sites as the entries made them, with every version, so that a report can be as of an
//! entry.

use std::collections::BTreeMap;

use crate::domain::event::{Event, RecordId};
use crate::domain::party::{Affiliation, Licence, PartyState, Site, Succession};
use crate::domain::{Body, EntryCount, EntryIndex, PartyId, SiteId, TimeMs};

/// Parties and sites.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Registry {
    parties: BTreeMap<PartyId, Vec<(EntryIndex, PartyState)>>,
    sites: BTreeMap<SiteId, Vec<(EntryIndex, Site)>>,
}

impl Registry {
    /// Takes over what an entry says of parties and sites. It was judged before: what names a party
    /// that is not there is passed over.
    pub(super) fn absorb(&mut self, at: EntryIndex, event: &Event) {
        match &event.body {
            Body::Genesis(genesis) => {
                self.enter(at, PartyState::new(genesis.coordinator.clone(), at));
            }
            Body::RegisterParty(party) => self.enter(at, PartyState::new(party.clone(), at)),
            Body::AmendParty(party) => self.change(at, party.id, |it| it.party = party.clone()),
            Body::RegisterSite(site) | Body::AmendSite(site) => {
                self.sites.entry(site.id).or_default().push((at, site.clone()));
            }
            Body::RegisterLicence(party, licence) | Body::AmendLicence(party, licence) => {
                self.change(at, *party, |it| put::<Licence>(&mut it.licences, licence));
            }
            Body::RegisterAffiliation(party, found) | Body::AmendAffiliation(party, found) => {
                self.change(at, *party, |it| put::<Affiliation>(&mut it.affiliations, found));
            }
            Body::SucceedParty(said) => {
                let (successor, since, event) = (said.successor, event.occurred_at, event.id);
                self.change(at, said.party, |it| {
                    it.successions.push(Succession { successor, since, event });
                });
            }
            _ => {}
        }
    }

    fn enter(&mut self, at: EntryIndex, party: PartyState) {
        self.parties.entry(party.party.id).or_default().push((at, party));
    }

    fn change(&mut self, at: EntryIndex, id: PartyId, change: impl FnOnce(&mut PartyState)) {
        let Some(versions) = self.parties.get_mut(&id) else { return };
        let Some((_, last)) = versions.last() else { return };
        let mut next = last.clone();
        change(&mut next);
        versions.push((at, next));
    }

    /// A party as it stands.
    pub fn party(&self, id: PartyId) -> Option<&PartyState> {
        self.parties.get(&id).and_then(|versions| versions.last()).map(|(_, party)| party)
    }

    /// A site as it stands.
    pub fn site(&self, id: SiteId) -> Option<&Site> {
        self.sites.get(&id).and_then(|versions| versions.last()).map(|(_, site)| site)
    }

    /// A party as it stood under so many entries.
    pub fn party_as_of(&self, id: PartyId, size: EntryCount) -> Option<&PartyState> {
        self.parties.get(&id).and_then(|versions| as_of(versions, size))
    }

    /// Every version of a party under so many entries, with the entry that made it so.
    pub fn versions_as_of(&self, id: PartyId, size: EntryCount) -> &[(EntryIndex, PartyState)] {
        let Some(versions) = self.parties.get(&id) else { return &[] };
        &versions[..versions.partition_point(|(at, _)| at.0 < size.0)]
    }

    /// A site as it stood under so many entries.
    pub fn site_as_of(&self, id: SiteId, size: EntryCount) -> Option<&Site> {
        self.sites.get(&id).and_then(|versions| as_of(versions, size))
    }

    /// Every party as it stood under so many entries, ascending by id.
    pub fn parties_as_of(&self, size: EntryCount) -> impl Iterator<Item = &PartyState> {
        self.parties.values().filter_map(move |versions| as_of(versions, size))
    }

    /// Every site as it stood under so many entries, ascending by id.
    pub fn sites_as_of(&self, size: EntryCount) -> impl Iterator<Item = &Site> {
        self.sites.values().filter_map(move |versions| as_of(versions, size))
    }

    /// Who acts for a party at a time; itself when nobody succeeded it. Chains are as long as
    /// `MAX_SUCCESSIONS` lets them be, so it ends.
    pub fn acting_for(&self, id: PartyId, at: TimeMs) -> PartyId {
        let mut here = id;
        for _ in 0..crate::limits::MAX_SUCCESSIONS {
            let next = self.party(here).and_then(|party| party.succession_at(at));
            match next {
                Some(succession) => here = succession.successor,
                None => break,
            }
        }
        here
    }
}

fn as_of<T>(versions: &[(EntryIndex, T)], size: EntryCount) -> Option<&T> {
    let before = versions.partition_point(|(at, _)| at.0 < size.0);
    versions[..before].last().map(|(_, value)| value)
}

fn put<T: RecordId + Clone>(records: &mut Vec<T>, record: &T) {
    match records.iter_mut().find(|it| it.record_id() == record.record_id()) {
        Some(found) => *found = record.clone(),
        None => records.push(record.clone()),
    }
}
