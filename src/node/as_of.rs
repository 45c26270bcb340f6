//! The registry as of a time.
//!
//! Two times are asked of it, and they are different things. *Recorded time*: which entries count.
//! *Valid time*: the moment that dated things (roles, licences, affiliations, keys) are held
//! against. What is recorded late changes the past as it is told from then on, and never what had
//! been told before: a question about an earlier recorded time has the same answer for ever.

use std::sync::PoisonError;

use super::reader::{ReadFault, Reader};
use crate::domain::effects::View as _;
use crate::domain::party::{KeyState, PartyState, Site};
use crate::domain::tables::Tables;
use crate::domain::vocabulary::{EventKind, OriginKinds};
use crate::domain::{Body, EntryCount, EntryIndex, Hash32, KeyId, PartyId, SiteId, TimeMs};
use crate::ledger::entry::Entry;
use crate::ledger::envelope::Envelope;
use crate::limits::{MAX_SCANNED_ROWS, MAX_TABLE_CHUNKS};
use crate::store::Page;
use crate::wire::decode_event;

/// As of when the registry is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AsOf {
    /// The entries that count: so many from the first on.
    pub size: EntryCount,
    /// The moment that dated things are held against.
    pub at: TimeMs,
}

/// The table set that judged as of a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TablesAsOf {
    /// Its hash.
    pub hash: Hash32,
    /// Its text; empty until it is published.
    pub text: String,
}

impl Reader {
    /// As of a time, an entry, both or neither.
    ///
    /// The entry says exactly which entries count: it is the last one. Without it those count that
    /// were recorded at the time or before; without either, all. The time is what dated things are
    /// held against; without it that is when the entry was recorded, and without either now. `None`
    /// for an entry that is not there.
    pub fn as_of(
        &self,
        at: Option<TimeMs>,
        entry: Option<EntryIndex>,
    ) -> Result<Option<AsOf>, ReadFault> {
        match (entry, at) {
            (Some(entry), at) => {
                let Some(recorded_at) = self.recorded_at(entry)? else { return Ok(None) };
                let size = EntryCount(entry.next().0);
                Ok(Some(AsOf { size, at: at.unwrap_or(recorded_at) }))
            }
            (None, Some(at)) => Ok(Some(AsOf { size: self.recorded_by(at)?, at })),
            (None, None) => Ok(Some(AsOf { size: self.size(), at: self.now() })),
        }
    }

    /// How many entries were recorded at a time or before. Entries never step back in time, so it
    /// is found by halving: 64 reads at most.
    fn recorded_by(&self, at: TimeMs) -> Result<EntryCount, ReadFault> {
        let (mut low, mut high) = (0, self.size().0);
        while low < high {
            let middle = low + (high - low) / 2;
            match self.recorded_at(EntryIndex(middle))? {
                Some(recorded_at) if recorded_at <= at => low = middle + 1,
                _ => high = middle,
            }
        }
        Ok(EntryCount(low))
    }

    fn recorded_at(&self, index: EntryIndex) -> Result<Option<TimeMs>, ReadFault> {
        Ok(self.parsed(index)?.map(|entry| entry.recorded_at))
    }

    fn parsed(&self, index: EntryIndex) -> Result<Option<Entry>, ReadFault> {
        let Some(bytes) = self.entry(index)? else { return Ok(None) };
        Entry::parse(&bytes).map(Some).map_err(|fault| ReadFault::Entry(fault.to_string()))
    }

    /// A party as it stood.
    pub fn party_as_of(
        &self,
        id: PartyId,
        size: EntryCount,
    ) -> Result<Option<PartyState>, ReadFault> {
        Ok(self.store.party_as_of(id, size)?)
    }

    /// Parties after one, in order of their ids, as they stood.
    pub fn parties_as_of(
        &self,
        after: Option<PartyId>,
        max: usize,
        size: EntryCount,
    ) -> Result<Page<PartyState, PartyId>, ReadFault> {
        Ok(self.store.parties_as_of(after, max, size)?)
    }

    /// A site as it stood.
    pub fn site_as_of(&self, id: SiteId, size: EntryCount) -> Result<Option<Site>, ReadFault> {
        Ok(self.store.site_as_of(id, size)?)
    }

    /// Sites after one, of one party or of all, in order of their ids, as they stood.
    pub fn sites_as_of(
        &self,
        party: Option<PartyId>,
        after: Option<SiteId>,
        max: usize,
        size: EntryCount,
    ) -> Result<Page<Site, SiteId>, ReadFault> {
        Ok(self.store.sites_as_of(party, after, max, size)?)
    }

    /// A key as it stood. A key changes once, when it is revoked, and says by which entry: so it
    /// needs no versions.
    pub fn key_as_of(&self, id: KeyId, size: EntryCount) -> Result<Option<KeyState>, ReadFault> {
        Ok(self.store.key(id)?.and_then(|key| key.as_of(size)))
    }

    /// The keys of a party as they stood, in order of registration.
    pub fn keys_as_of(
        &self,
        party: &PartyState,
        size: EntryCount,
    ) -> Result<Vec<KeyState>, ReadFault> {
        let mut keys = Vec::with_capacity(party.keys.len());
        for id in &party.keys {
            keys.extend(self.key_as_of(*id, size)?);
        }
        Ok(keys)
    }

    /// The table set that judged the next entry; `None` for a ledger without an entry.
    pub fn tables_as_of(&self, size: EntryCount) -> Result<Option<TablesAsOf>, ReadFault> {
        let Some(genesis) = self.parsed(EntryIndex(0))? else { return Ok(None) };
        if size.0 == 0 {
            return Ok(None);
        }
        // An entry names the set that judged it; behind the last one, the ledger does.
        let hash = match self.parsed(EntryIndex(size.0))? {
            Some(next) => next.tables_hash,
            None => self.ledger()?.tables_hash,
        };
        // A later set is in force only from its last chunk on.
        let is_published = hash != genesis.tables_hash || self.is_published(hash, size)?;
        let text = if is_published { self.tables_text(hash)? } else { String::new() };
        Ok(Some(TablesAsOf { hash, text }))
    }

    /// The origin kinds that the tables in force count as recycled; none before there are tables.
    pub fn recycled_kinds(&self) -> Result<OriginKinds, ReadFault> {
        // Tables are long and asked for with each trace; a set that was in force stays as it is.
        let in_force = self.ledger()?.tables_hash;
        let kept = *self.shared.recycled.read().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, kinds)) = kept.filter(|(hash, _)| *hash == in_force) {
            return Ok(kinds);
        }
        let tables = match self.tables_as_of(self.size())? {
            Some(tables) if !tables.text.is_empty() => tables,
            _ => return Ok(OriginKinds::default()),
        };
        let kinds = Tables::parse_recycled(&tables.text);
        let kinds = kinds.map_err(|it| ReadFault::Entry(it.to_string()))?;
        let mut kept = self.shared.recycled.write().unwrap_or_else(PoisonError::into_inner);
        *kept = Some((tables.hash, kinds));
        Ok(kinds)
    }

    /// Whether the last chunk of a set was among so many entries. Before that of the set that the
    /// genesis names nothing but chunks is recorded, so few are looked at.
    fn is_published(&self, set: Hash32, size: EntryCount) -> Result<bool, ReadFault> {
        let mut from = EntryIndex(0);
        for _ in 0..MAX_SCANNED_ROWS {
            let found = self.store.entry_of_kind(EventKind::PublishTables, from, size)?;
            let Some(index) = found else { break };
            if let Some(entry) = self.parsed(index)?
                && let Body::PublishTables(chunk) = body_of(&entry)?
                && chunk.tables_hash == set
                && chunk.chunk_index + 1 == chunk.chunk_count
            {
                return Ok(true);
            }
            from = index.next();
        }
        Ok(false)
    }

    pub(super) fn tables_text(&self, set: Hash32) -> Result<String, ReadFault> {
        let mut text = Vec::new();
        for chunk in 0..MAX_TABLE_CHUNKS {
            match self.store.table_chunk(set, chunk)? {
                Some(bytes) => text.extend(bytes),
                None => break,
            }
        }
        Ok(String::from_utf8_lossy(&text).into_owned())
    }
}

fn body_of(entry: &Entry) -> Result<Body, ReadFault> {
    let fault = |fault: &dyn std::fmt::Display| ReadFault::Entry(fault.to_string());
    let envelope = Envelope::parse(&entry.envelope).map_err(|it| fault(&it))?;
    Ok(decode_event(&envelope.payload).map_err(|it| fault(&it))?.body)
}
