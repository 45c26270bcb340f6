//! Entries by what they are about, found in the indexes, and who waits for more of them.

use bytes::Bytes;
use tokio::sync::watch;

use super::reader::{ReadFault, Reader};
use crate::domain::vocabulary::EventKind;
use crate::domain::{EntryCount, EntryIndex, LotId, PartyId};
use crate::limits::{MAX_SCANNED_ROWS, MAX_WATCH_BATCH_BYTES};

/// Which entries: every part that is given must hold. Each part has an index of its own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EntryFilter {
    /// Those that name a lot.
    pub lot: Option<LotId>,
    /// Those that concern each of these parties.
    pub parties: Vec<PartyId>,
    /// Those of a kind of event.
    pub kind: Option<EventKind>,
}

/// Entries that match, and how far was looked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matches {
    /// Ascending.
    pub entries: Vec<(EntryIndex, Bytes)>,
    /// Everything before it was looked at.
    pub next: EntryIndex,
}

/// What a look at one place found.
enum Look {
    /// The entry there matches.
    Match,
    /// None matches before this one, which is behind it.
    Skip(EntryIndex),
    /// None matches any more.
    Nothing,
}

impl Reader {
    /// The entries under the last checkpoint, to wait for: it changes with every group.
    pub fn growth(&self) -> watch::Receiver<EntryCount> {
        self.shared.size.subscribe()
    }

    /// Entries from one on that match: up to `max`, no more bytes than a batch of a watch has, and
    /// no more looks than one read may make. What was not looked at begins at `next`.
    ///
    /// The indexes are walked in step: each jumps to where the one that is farthest ahead stands,
    /// so it costs as much as the sparsest of them, and nothing is scanned.
    pub fn matching(
        &self,
        filter: &EntryFilter,
        from: EntryIndex,
        max: usize,
    ) -> Result<Matches, ReadFault> {
        let size = self.size();
        let (mut found, mut next, mut looks) = (Vec::new(), from, 0);
        while next.0 < size.0 && found.len() < max && looks < MAX_SCANNED_ROWS {
            looks += 1;
            match self.look(filter, next, size)? {
                Look::Match => {
                    found.push(next);
                    next = next.next();
                }
                Look::Skip(to) => next = to,
                Look::Nothing => next = EntryIndex(size.0),
            }
        }
        let entries = self.entries_at(&found)?;
        // What did not fit the batch is looked at again.
        let cut = found.get(entries.len()).copied();
        Ok(Matches { entries, next: cut.unwrap_or(next) })
    }

    fn look(
        &self,
        filter: &EntryFilter,
        at: EntryIndex,
        size: EntryCount,
    ) -> Result<Look, ReadFault> {
        let lot = filter.lot.map(|lot| self.store.entry_of_lot(lot, at, size)).transpose()?;
        let kind = filter.kind.map(|kind| self.store.entry_of_kind(kind, at, size)).transpose()?;
        let mut places: Vec<Option<EntryIndex>> = lot.into_iter().chain(kind).collect();
        for party in &filter.parties {
            places.push(self.store.entry_of_party(*party, at, size)?);
        }
        let mut farthest = at;
        for place in places {
            let Some(index) = place else { return Ok(Look::Nothing) };
            farthest = farthest.max(index);
        }
        Ok(if farthest == at { Look::Match } else { Look::Skip(farthest) })
    }

    /// The bytes of entries, ascending, as many as fit a batch and one at least. Neighbours are
    /// read together: they lie in one pack.
    fn entries_at(&self, indexes: &[EntryIndex]) -> Result<Vec<(EntryIndex, Bytes)>, ReadFault> {
        let mut entries: Vec<(EntryIndex, Bytes)> = Vec::with_capacity(indexes.len());
        let mut bytes = 0;
        for run in indexes.chunk_by(|one, other| one.next() == *other) {
            let Some(first) = run.first() else { continue };
            for (index, entry) in self.entries(*first, run.len())? {
                bytes += entry.len();
                if bytes > MAX_WATCH_BATCH_BYTES && !entries.is_empty() {
                    return Ok(entries);
                }
                entries.push((index, entry));
            }
        }
        Ok(entries)
    }
}
