//! The ledger states how far the life of every lot got: when, and over which map.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::statement;
use crate::domain::lot::Lot;
use crate::domain::{EntryIndex, Hash32, LotId};
use crate::ledger::entry::Entry;
use crate::ledger::lot_fold::MapFold;
use crate::ledger::lot_map::{EMPTY_MAP, LotKey, LotState, MapFault, MapUpdate, update_map};
use crate::limits::{
    LOT_FOLD_FROM, LOT_FOLD_LOTS, LOT_STATE_EVERY_ENTRIES, LOT_STATE_READ_AHEAD, LOT_STATE_WAIT_MS,
};
use crate::store::{Store, StoreFault};

/// When the ledger states its lots' root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LotStatePolicy {
    /// After so many entries since the last time; 0 is never, whatever waits.
    pub every_entries: u64,
    /// When the oldest of fewer entries has waited so long.
    pub wait: Duration,
}

impl LotStatePolicy {
    /// The ledger states nothing of its own accord. What it stated before stays in force.
    pub const NEVER: Self = Self { every_entries: 0, wait: Duration::ZERO };
    /// What a service does unless its operator says otherwise.
    pub const USUAL: Self = Self {
        every_entries: LOT_STATE_EVERY_ENTRIES,
        wait: Duration::from_millis(LOT_STATE_WAIT_MS),
    };
}

/// What the writer knows of entries that no statement covers yet.
#[derive(Debug)]
pub(super) struct Unstated {
    policy: LotStatePolicy,
    /// The first entry that is not covered.
    from: EntryIndex,
    /// Since when there is one; of this run: a start does not know when the last one ended.
    since: Option<Instant>,
    /// How far the lots got that entries from this one on link; of those, what is not folded yet.
    noted_from: EntryIndex,
    noted: BTreeMap<LotKey, LotState>,
    /// The map of the last statement, with what was folded since; `None` until the store was asked
    /// for that statement.
    fold: Option<MapFold>,
}

impl Unstated {
    /// As a store says at its start.
    pub(super) fn of(store: &Store, policy: LotStatePolicy) -> Result<Self, StoreFault> {
        let (from, noted_from) = (first_unstated(store)?, EntryIndex(store.applied().0));
        Ok(Self { policy, from, since: None, noted_from, noted: BTreeMap::new(), fold: None })
    }

    /// Takes note of how far a group left its lots, so that nobody reads its entries again.
    pub(super) fn note(&mut self, lots: &BTreeMap<LotId, Box<Lot>>) {
        // One who never states would gather them for ever.
        if self.policy.every_entries == 0 {
            return;
        }
        for (id, lot) in lots {
            let state = LotState { entry_count: lot.life.count.into(), last: lot.life.last };
            self.noted.insert(LotKey::of(*id), state);
        }
    }

    /// Folds some of what was noted into the map, so that little is left for the statement: at
    /// most [`LOT_FOLD_LOTS`]. `is_busy`: others wait, so it is done only where it is worth it.
    /// Whether something was folded.
    pub(super) fn fold_some(&mut self, store: &Store, is_busy: bool) -> Result<bool, StoreFault> {
        let from = if is_busy { LOT_FOLD_FROM } else { 1 };
        // Before the last statement is written the store has older tiles.
        if self.noted.len() < from || !self.is_last_written(store) {
            return Ok(false);
        }
        self.fold_noted(store, LOT_FOLD_LOTS)?;
        Ok(true)
    }

    /// The map over all entries before the next statement, all of which were noted or are in the
    /// store; the statement before is.
    pub(super) fn map(&mut self, store: &Store) -> Result<MapUpdate, StoreFault> {
        Ok(self.fold_noted(store, usize::MAX)?.finish())
    }

    /// Folds up to so many lots; the statement before is in the store.
    fn fold_noted(&mut self, store: &Store, max: usize) -> Result<&mut MapFold, StoreFault> {
        let fold = match &mut self.fold {
            Some(fold) => fold,
            empty => {
                // What a run before left unstated: its notes are gone with it.
                let (next, root) = last_stated(store)?;
                let mut before = changes_between(store, next, self.noted_from)?;
                before.append(&mut self.noted);
                self.noted = before;
                empty.insert(MapFold::over(root))
            }
        };
        // Neighbours, which share the tiles above them.
        let first = std::iter::from_fn(|| self.noted.pop_first());
        let piece: Vec<_> = first.take(max).collect();
        fold.take(store, &piece).map_err(|fault| told(fault, self.from))?;
        Ok(fold)
    }

    /// Whether a statement is due after the entries before `next`.
    pub(super) fn is_due(&mut self, next: EntryIndex) -> bool {
        let waiting = next.0.saturating_sub(self.from.0);
        if self.policy.every_entries == 0 || waiting == 0 {
            return false;
        }
        let since = *self.since.get_or_insert_with(Instant::now);
        waiting >= self.policy.every_entries || since.elapsed() >= self.policy.wait
    }

    /// Whether a clean stop leaves entries that no statement covers.
    pub(super) fn is_due_at_stop(&self, next: EntryIndex) -> bool {
        self.policy.every_entries > 0 && next.0 > self.from.0
    }

    /// Whether the statement before is in the store, so that the next one can be made over it.
    pub(super) fn is_last_written(&self, store: &Store) -> bool {
        store.applied().0 >= self.from.0
    }

    /// The entry `at` stated the lots.
    pub(super) fn stated(&mut self, at: EntryIndex) {
        (self.from, self.since) = (at.next(), None);
    }
}

/// The first entry that the last statement does not cover.
fn first_unstated(store: &Store) -> Result<EntryIndex, StoreFault> {
    Ok(store.lot_statement()?.map_or(EntryIndex(0), |(statement, _)| statement.next()))
}

/// The map over all entries before `end`, all of which the store holds. The lots that changed since
/// the last statement are those that the entries in between link, so a statement costs what was
/// written since the one before. (The first one of a ledger that stated nothing for long reads all
/// of it, and holds 80 bytes for each lot.)
pub(super) fn map_before(store: &Store, end: EntryIndex) -> Result<MapUpdate, StoreFault> {
    let (next, root) = last_stated(store)?;
    let changes = changes_between(store, next, end)?;
    update_map(store, &root, &changes).map_err(|fault| told(fault, end))
}

/// The entry after the last statement, and the root that it states.
fn last_stated(store: &Store) -> Result<(EntryIndex, Hash32), StoreFault> {
    Ok(match store.lot_statement()? {
        None => (EntryIndex(0), EMPTY_MAP),
        Some((statement, kept)) => (statement.next(), stated_root(store, statement, kept)?),
    })
}

/// How far the lots got that entries from one on and before another link.
fn changes_between(
    store: &Store,
    mut next: EntryIndex,
    end: EntryIndex,
) -> Result<BTreeMap<LotKey, LotState>, StoreFault> {
    let mut changes = BTreeMap::new();
    while next.0 < end.0 {
        let left = usize::try_from(end.0 - next.0).unwrap_or(usize::MAX);
        let entries = store.entries(next, left.min(LOT_STATE_READ_AHEAD))?;
        if entries.is_empty() {
            let detail = format!("the entries before {end} are not all there");
            return Err(StoreFault::Disagreement { index: next, detail });
        }
        for bytes in entries {
            let entry = Entry::parse(&bytes).map_err(|fault| {
                let detail = fault.to_string();
                StoreFault::Disagreement { index: next, detail }
            })?;
            for link in &entry.links {
                let entry_count = u64::from(link.ordinal) + 1;
                let state = LotState { entry_count, last: entry.index };
                changes.insert(LotKey::of(link.lot), state);
            }
            next = next.next();
        }
    }
    Ok(changes)
}

fn told(fault: MapFault<StoreFault>, end: EntryIndex) -> StoreFault {
    match fault {
        MapFault::Tile(fault) => fault,
        broken @ MapFault::Broken { .. } => {
            StoreFault::Disagreement { index: end, detail: broken.to_string() }
        }
    }
}

/// The root that the last statement itself states, which is the one that is kept beside it.
fn stated_root(store: &Store, at: EntryIndex, kept: Hash32) -> Result<Hash32, StoreFault> {
    let said = store.entry(at)?.and_then(|bytes| statement::lots_root(&bytes));
    if said == Some(kept) {
        return Ok(kept);
    }
    let detail = format!("the lots' root {kept} is kept of it, and it states another, or none");
    Err(StoreFault::Disagreement { index: at, detail })
}
