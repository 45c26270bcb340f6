//! Recent history in memory, kept level with the database, and the graph that walks read: memory
//! where that is level, else the database. Both give the same answers.
//!
//! The writer knows nothing of it. Entries are taken over from the database in the background, and
//! by a walk that finds a few missing. It can be made again at any time, and is at each start.

use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use super::feed::Piece as Told;
use super::reader::ReadFault;
use crate::domain::effects::LotLink;
use crate::domain::fact::Fact;
use crate::domain::movement::Movement;
use crate::domain::vocabulary::{EventKind, OriginKinds};
use crate::domain::{CampaignId, EntryCount, EntryIndex, LotId, View};
use crate::ledger::entry::Entry;
use crate::limits::{MAX_RECENT_BYTES, RECENT_STEP_ENTRIES};
use crate::provenance::{Graph, LotClass, RecentHistory};
use crate::store::{Store, StoreFault};

/// Recent history, and who may change it.
#[derive(Debug)]
pub struct Recent {
    max_bytes: usize,
    kept: RwLock<RecentHistory>,
}

impl Default for Recent {
    fn default() -> Self {
        Self::new(MAX_RECENT_BYTES)
    }
}

/// What a step takes over, read before anything is locked.
struct Piece {
    entries: Vec<(Vec<LotLink>, Vec<LotClass>, Option<Movement>)>,
    /// What counts now of entries that these corrected or settled.
    amended: BTreeMap<EntryIndex, Option<Movement>>,
}

impl Recent {
    /// Holds nothing yet, and never much more than so many bytes.
    pub fn new(max_bytes: usize) -> Self {
        Self { max_bytes, kept: RwLock::new(RecentHistory::new(max_bytes)) }
    }

    /// Takes over what the database has more, unless that is more than `max_behind` entries, or
    /// until it is stopped. Whether it is level with the database as that stood at this call.
    pub fn catch_up(
        &self,
        store: &Store,
        max_behind: u64,
        is_stopped: impl Fn() -> bool,
    ) -> Result<bool, ReadFault> {
        let head = store.head()?;
        loop {
            let next = self.next();
            let missing = head.0.saturating_sub(next.0);
            if missing == 0 {
                return Ok(true);
            }
            if missing > max_behind || is_stopped() {
                return Ok(false);
            }
            let count = usize::try_from(missing).unwrap_or(usize::MAX).min(RECENT_STEP_ENTRIES);
            let piece = Piece::read(store, next, count)?;
            if piece.entries.is_empty() {
                // Only a database that is broken lacks entries that it counts: it may speak itself.
                return Ok(false);
            }
            self.take_over(next, piece);
        }
    }

    /// Takes over what the writer told, when that comes next. What a correction or a settlement
    /// changed lies anywhere: that is read ([`Recent::catch_up`]).
    pub fn take_told(&self, piece: &Told) {
        if piece.amends || self.next() != piece.first {
            return;
        }
        let mut kept = self.kept.write().unwrap_or_else(PoisonError::into_inner);
        if kept.next() != piece.first {
            return;
        }
        let mut told = piece.told.iter().peekable();
        for index in (piece.first.0..piece.end.0).map(EntryIndex) {
            match told.next_if(|it| it.fact.index == index) {
                Some(it) => {
                    kept.push(&it.links, born(&it.fact), piece.changes.movements.get(&index));
                }
                // A statement.
                None => kept.push(&[], std::iter::empty(), None),
            }
        }
    }

    /// Entries taken over so far, and the bytes that they take.
    pub fn held(&self) -> (EntryIndex, usize) {
        let kept = self.read();
        (kept.next(), kept.bytes())
    }

    /// As what a lot came into being; `None` when that is not in memory.
    pub fn class_of(&self, lot: LotId) -> Option<LotClass> {
        let kept = self.kept.read().ok()?;
        let (origin_kinds, material) = kept.class_of(lot)?;
        Some(LotClass { lot, origin_kinds, material: material.to_owned() })
    }

    /// After a panic while it was changed there is no telling what it holds: it begins anew.
    fn next(&self) -> EntryIndex {
        if self.kept.is_poisoned() {
            let mut kept = self.kept.write().unwrap_or_else(PoisonError::into_inner);
            *kept = RecentHistory::new(self.max_bytes);
            self.kept.clear_poison();
        }
        self.read().next()
    }

    fn read(&self) -> RwLockReadGuard<'_, RecentHistory> {
        self.kept.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn take_over(&self, from: EntryIndex, piece: Piece) {
        let mut kept = self.kept.write().unwrap_or_else(PoisonError::into_inner);
        if kept.next() != from {
            // Another walk was faster.
            return;
        }
        for (links, born, movement) in &piece.entries {
            let born = born.iter().map(|it| (it.lot, it.origin_kinds, it.material.as_str()));
            kept.push(links, born, movement.as_ref());
        }
        for (index, movement) in piece.amended {
            let is_known = kept.movement(index).is_some_and(|held| held == movement);
            if !is_known {
                kept.amend(index, movement);
            }
        }
    }
}

/// What lots came into being as.
fn born(fact: &Fact) -> impl Iterator<Item = (LotId, OriginKinds, &str)> {
    let new = fact.lots.iter().filter(|it| it.before.is_none());
    new.map(|it| (it.lot, it.origin_kinds, it.material.as_str()))
}

impl Piece {
    fn read(store: &Store, from: EntryIndex, count: usize) -> Result<Self, ReadFault> {
        let bytes = store.entries(from, count)?;
        let end = EntryCount(from.0.saturating_add(bytes.len() as u64));
        let mut movements = store.movements(from, end)?;
        let facts = store.facts(from, end, count)?.into_iter();
        let mut facts: BTreeMap<EntryIndex, Fact> = facts.map(|it| (it.index, it)).collect();
        let mut amended = BTreeMap::new();
        let mut entries = Vec::with_capacity(bytes.len());
        for (index, bytes) in (from.0..).map(EntryIndex).zip(bytes) {
            let entry = Entry::parse(&bytes).map_err(|it| ReadFault::Entry(it.to_string()))?;
            let fact = facts.remove(&index);
            if let Some(target) = fact.as_ref().and_then(|fact| fact.undoes) {
                amended.insert(target, store.movement(target)?);
            }
            let born = fact.iter().flat_map(born).map(|(lot, origin_kinds, material)| LotClass {
                lot,
                origin_kinds,
                material: material.to_owned(),
            });
            entries.push((entry.links, born.collect(), movements.remove(&index)));
        }
        let mut piece = Self { entries, amended };
        piece.read_settled(store, from, end)?;
        Ok(piece)
    }

    /// A settlement, and one that is declared an error, changes the movement of the acceptance: an
    /// earlier entry in the life of the same lot.
    fn read_settled(
        &mut self,
        store: &Store,
        from: EntryIndex,
        end: EntryCount,
    ) -> Result<(), ReadFault> {
        for kind in [EventKind::SettleDiscrepancy, EventKind::DeclareError] {
            let mut next = from;
            while let Some(index) = store.entry_of_kind(kind, next, end)? {
                next = index.next();
                let place = usize::try_from(index.0 - from.0).unwrap_or(usize::MAX);
                let links = self.entries.get(place).map(|it| it.0.as_slice()).unwrap_or_default();
                if kind == EventKind::DeclareError && !undoes_settlement(store, index)? {
                    continue;
                }
                for link in links {
                    let life = store.life(link.lot)?;
                    for earlier in life.into_iter().take_while(|earlier| *earlier < index) {
                        self.amended.insert(earlier, store.movement(earlier)?);
                    }
                }
            }
        }
        Ok(())
    }
}

fn undoes_settlement(store: &Store, index: EntryIndex) -> Result<bool, StoreFault> {
    let facts = store.facts(index, EntryCount(index.next().0), 1)?;
    let Some(target) = facts.first().and_then(|fact| fact.undoes) else { return Ok(false) };
    let size = EntryCount(target.next().0);
    let found = store.entry_of_kind(EventKind::SettleDiscrepancy, target, size)?;
    Ok(found.is_some())
}

/// The movements of so many entries, as provenance walks them.
#[derive(Debug)]
pub struct StoredGraph<'a> {
    store: &'a Store,
    /// `None`: it is not level with the database.
    recent: Option<&'a Recent>,
    size: EntryCount,
}

impl<'a> StoredGraph<'a> {
    /// Of the first `size` entries; `recent` must be level with the database.
    pub const fn new(store: &'a Store, recent: Option<&'a Recent>, size: EntryCount) -> Self {
        Self { store, recent, size }
    }

    /// Ascending entries, those that do not count left out.
    fn counted(&self, mut life: Vec<EntryIndex>) -> Vec<EntryIndex> {
        life.truncate(life.partition_point(|index| index.0 < self.size.0));
        life
    }
}

impl Graph for StoredGraph<'_> {
    type Fault = StoreFault;

    fn life(&self, lot: LotId) -> Result<Vec<EntryIndex>, StoreFault> {
        let held = self.recent.and_then(|recent| recent.kept.read().ok()?.life(lot));
        let life = held.map_or_else(|| Store::life(self.store, lot), Ok)?;
        Ok(self.counted(life))
    }

    fn movement(&self, index: EntryIndex) -> Result<Option<Movement>, StoreFault> {
        let held = self.recent.and_then(|recent| recent.kept.read().ok()?.movement(index));
        held.map_or_else(|| self.store.movement(index), Ok)
    }

    fn campaign(&self, id: CampaignId) -> Result<Vec<EntryIndex>, StoreFault> {
        let life = View::campaign(self.store, id)?.map(|it| it.life).unwrap_or_default();
        Ok(self.counted(life.into_iter().map(|(index, _)| index).collect()))
    }
}
