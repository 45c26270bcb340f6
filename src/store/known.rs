//! The registry, decoded: every event asks for its actor, site, keys and the ledger's own state,
//! and they seldom change.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::fault::StoreFault;
use crate::domain::effects::LedgerState;
use crate::domain::memory::MemoryState;
use crate::domain::party::{KeyState, PartyState, Site};
use crate::domain::{KeyId, PartyId, SiteId};
use crate::limits::MAX_KNOWN_REGISTRY;

/// What was read, and may be read again from here. A group that changes the registry forgets what
/// it changes after its rows are there; what was read in between is not taken in.
#[derive(Debug, Default)]
pub(super) struct Known(RwLock<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// How often the registry changed.
    turn: u64,
    ledger: Option<LedgerState>,
    parties: HashMap<PartyId, Arc<PartyState>>,
    sites: HashMap<SiteId, Arc<Site>>,
    keys: HashMap<KeyId, KeyState>,
}

impl Known {
    /// The ledger's own state.
    pub(super) fn ledger(
        &self,
        read: impl FnOnce() -> Result<Option<LedgerState>, StoreFault>,
    ) -> Result<Option<LedgerState>, StoreFault> {
        self.find(|it| it.ledger.clone(), read, |it, found| it.ledger = Some(found))
    }

    /// A party.
    pub(super) fn party(
        &self,
        id: PartyId,
        read: impl FnOnce() -> Result<Option<Arc<PartyState>>, StoreFault>,
    ) -> Result<Option<Arc<PartyState>>, StoreFault> {
        self.find(
            |it| it.parties.get(&id).cloned(),
            read,
            |it, found| keep(&mut it.parties, id, found),
        )
    }

    /// A site.
    pub(super) fn site(
        &self,
        id: SiteId,
        read: impl FnOnce() -> Result<Option<Arc<Site>>, StoreFault>,
    ) -> Result<Option<Arc<Site>>, StoreFault> {
        self.find(|it| it.sites.get(&id).cloned(), read, |it, found| keep(&mut it.sites, id, found))
    }

    /// A key.
    pub(super) fn key(
        &self,
        id: KeyId,
        read: impl FnOnce() -> Result<Option<KeyState>, StoreFault>,
    ) -> Result<Option<KeyState>, StoreFault> {
        self.find(|it| it.keys.get(&id).cloned(), read, |it, found| keep(&mut it.keys, id, found))
    }

    /// Forgets what a group changed. Its rows are written.
    pub(super) fn forget(&self, changes: &MemoryState) {
        let MemoryState { ledger, parties, sites, keys, .. } = changes;
        if ledger.is_none() && parties.is_empty() && sites.is_empty() && keys.is_empty() {
            return;
        }
        let mut inner = self.write();
        inner.turn += 1;
        if ledger.is_some() {
            inner.ledger = None;
        }
        for id in parties.keys() {
            inner.parties.remove(id);
        }
        for id in sites.keys() {
            inner.sites.remove(id);
        }
        for id in keys.keys() {
            inner.keys.remove(id);
        }
    }

    fn find<T: Clone>(
        &self,
        known: impl Fn(&Inner) -> Option<T>,
        read: impl FnOnce() -> Result<Option<T>, StoreFault>,
        keep: impl FnOnce(&mut Inner, T),
    ) -> Result<Option<T>, StoreFault> {
        let turn = {
            let inner = self.read();
            if let Some(found) = known(&inner) {
                return Ok(Some(found));
            }
            inner.turn
        };
        let found = read()?;
        if let Some(found) = &found {
            let mut inner = self.write();
            // Else it may be what stood before.
            if inner.turn == turn {
                keep(&mut inner, found.clone());
            }
        }
        Ok(found)
    }

    /// What is kept is whole at any time: a thread that panicked left nothing half.
    fn read(&self) -> RwLockReadGuard<'_, Inner> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Inner> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Full is empty again: what is asked for comes back with one read.
fn keep<K: Hash + Eq, T>(map: &mut HashMap<K, T>, id: K, found: T) {
    if map.len() >= MAX_KNOWN_REGISTRY {
        map.clear();
    }
    map.insert(id, found);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop")]

    use super::*;
    use crate::domain::Hash32;

    fn site(id: SiteId, name: &str) -> Arc<Site> {
        Arc::new(Site {
            id,
            party: PartyId::from_bytes([1; 16]),
            name_zh: String::new(),
            name_en: name.to_owned(),
            region_code: "360702".to_owned(),
            base: String::new(),
            processes: Vec::new(),
            yearly_capacity: crate::domain::Grams::ZERO,
        })
    }

    fn changing(site: Arc<Site>) -> MemoryState {
        MemoryState { sites: [(site.id, site)].into(), ..MemoryState::default() }
    }

    #[test]
    fn what_is_known_is_not_read_again_until_it_changed() {
        let (known, id) = (Known::default(), SiteId::from_bytes([7; 16]));
        assert_eq!(known.site(id, || Ok(None)).unwrap(), None);
        let old = known.site(id, || Ok(Some(site(id, "old")))).unwrap();
        assert_eq!(known.site(id, || unreachable!()).unwrap(), old);
        known.forget(&changing(site(SiteId::from_bytes([8; 16]), "another")));
        assert_eq!(known.site(id, || unreachable!()).unwrap(), old);
        known.forget(&changing(site(id, "new")));
        let new = known.site(id, || Ok(Some(site(id, "new")))).unwrap();
        assert_eq!(new.unwrap().name_en, "new");
    }

    #[test]
    fn what_was_read_before_a_change_is_not_kept() {
        let (known, id) = (Known::default(), SiteId::from_bytes([7; 16]));
        let late = known.site(id, || {
            // The writer comes between the reading of the row and its keeping.
            known.forget(&changing(site(id, "new")));
            Ok(Some(site(id, "old")))
        });
        assert_eq!(late.unwrap().unwrap().name_en, "old");
        let next = known.site(id, || Ok(Some(site(id, "new")))).unwrap();
        assert_eq!(next.unwrap().name_en, "new");
    }

    #[test]
    fn it_holds_no_more_than_its_limit() {
        let known = Known::default();
        for number in 0..=MAX_KNOWN_REGISTRY as u64 {
            let mut raw = [0; 16];
            raw[..8].copy_from_slice(&number.to_be_bytes());
            let id = SiteId::from_bytes(raw);
            known.site(id, || Ok(Some(site(id, "one of many")))).unwrap();
        }
        assert_eq!(known.read().sites.len(), 1);
        let (key, state) = (KeyId(Hash32([0; 32]).0), None);
        assert_eq!(known.key(key, || Ok(state)).unwrap(), None);
    }
}
