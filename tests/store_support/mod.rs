//! Groups and stores for the tests of `store`.
#![allow(dead_code, clippy::unwrap_used, reason = "shared by several tests; each uses a part")]

use bytes::Bytes;
use tempfile::TempDir;
use urbanmine::domain::memory::MemoryState;
use urbanmine::domain::sight::EntrySight;
use urbanmine::domain::{EntryCount, EntryIndex, Hash32, Origin, PublicKey};
use urbanmine::ledger::hash::{ChainValue, leaf_hash};
use urbanmine::store::{Group, GroupRows, Store, StoreConfig, StoreFault, Trail};

pub const SEGMENT_BYTES: u64 = 16 * 1024;
pub const KEY: PublicKey = PublicKey([7; 32]);

pub fn origin() -> Origin {
    Origin::parse("ledger.example/store").unwrap()
}

pub struct House {
    pub dir: TempDir,
    pub config: StoreConfig,
}

impl House {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut config = StoreConfig::new(dir.path().join("data"), dir.path().join("guard"));
        config.segment_bytes = SEGMENT_BYTES;
        Self { dir, config }
    }

    pub fn create(&self) -> Store {
        Store::create(&self.config, &origin(), &KEY).unwrap()
    }

    pub fn open(&self) -> Store {
        Store::open(&self.config).unwrap().store
    }
}

/// An entry that differs from every other, with bytes that end in zeros and bytes that do not.
pub fn entry(index: u64) -> Bytes {
    let len = 20 + usize::try_from(index * 37 % 90).unwrap();
    let mut bytes = format!("entry {index} ").into_bytes();
    bytes.resize(len, u8::try_from(index % 3).unwrap());
    Bytes::from(bytes)
}

pub fn checkpoint(size: u64) -> Bytes {
    if size == 0 {
        Bytes::new()
    } else {
        Bytes::from(format!("{}\n{size}\nroot\n\nsig\n", origin()))
    }
}

pub fn group(first: u64, count: u64) -> Group {
    Group {
        first: EntryIndex(first),
        previous_checkpoint: checkpoint(first),
        entries: (first..first + count).map(entry).collect(),
    }
}

pub fn leaves(group: &Group) -> Vec<Hash32> {
    group.entries.iter().map(|entry| leaf_hash(entry)).collect()
}

pub fn chain(group: &Group) -> ChainValue {
    ChainValue::of_entry(group.entries.last().unwrap())
}

pub fn write(store: &Store, group: &Group, changes: &MemoryState) -> Result<(), StoreFault> {
    write_retracting(store, group, changes, &[])
}

pub fn write_retracting(
    store: &Store,
    group: &Group,
    changes: &MemoryState,
    retracted: &[EntryIndex],
) -> Result<(), StoreFault> {
    write_seen(store, group, changes, retracted, &[])
}

pub fn write_seen(
    store: &Store,
    group: &Group,
    changes: &MemoryState,
    retracted: &[EntryIndex],
    sights: &[EntrySight],
) -> Result<(), StoreFault> {
    // Entries are read from the journal; what was written before is in it.
    if store.journaled().0 == group.first.0 {
        store.journal_append(group)?;
    }
    let leaves = leaves(group);
    let chain = chain(group);
    let trail = &Trail::default();
    let lot_map = None;
    let rows =
        GroupRows { group, leaves: &leaves, chain, changes, retracted, trail, sights, lot_map };
    store.write_group(&rows)
}

/// All that a node does with a group, except judging and signing.
pub fn commit(store: &Store, group: &Group) -> Result<(), StoreFault> {
    store.journal_append(group)?;
    write(store, group, &MemoryState::default())?;
    let (first, end) = (group.first.0, group.end().0);
    store.write_checkpoint(EntryCount(end), &checkpoint(end))?;
    let expected = checkpoint(first);
    store.guard_advance((first > 0).then_some(&*expected), &checkpoint(end))
}

pub fn groups(counts: &[u64]) -> Vec<Group> {
    let mut first = 0;
    let next = |count: &u64| {
        let made = group(first, *count);
        first += count;
        made
    };
    counts.iter().map(next).collect()
}
