//! The database: rows in memory, in runs and in sled, read as one, and made durable by our own
//! hands.
//!
//! What is written stays in memory until a *sync* brings it into sled, most of it as a run
//! (`store/runs.rs`), the rest and the head with one batch: sled is given few and large writes, and
//! its head is that of the last sync, from which the next start replays the journal.
//!
//! sled's `flush` ends in `sync_file_range`, which leaves the disk's cache and the file's length
//! alone; so after each flush every file of it is synced here, and its directories when they are
//! made. Losing the database is still no loss: the journal makes it again.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{
    Condvar, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
    TryLockError,
};
use std::time::Duration;

use sled::IVec;

use super::batch::{Batch, Rows};
use super::codec::{self, Codec};
use super::fault::{StoreFault, io_at, sled_at};
use super::files;
use super::fresh::Fresh;
use super::keyspace::{Key, Tag};
use super::partial::Told;
use super::runs::{self, Manifest, Removal};
use super::turn::Turn;
use super::walk::{Places, Walk, behind_all};
use crate::domain::{EntryCount, Hash32};
use crate::ledger::hash::ChainValue;
use crate::limits::{
    DATABASE_CACHE_BYTES, DATABASE_OPEN_PAUSE_MS, MAX_DATABASE_OPEN_ATTEMPTS, MAX_FRESH_BYTES,
    MAX_RUN_LEVEL, MERGE_WAIT_MS,
};

const DATABASE_VERSION: u16 = 6;
/// sled's log, which it locks while it is open.
pub(super) const LOG_NAME: &str = "db";
/// The one tree that the house uses.
const DEFAULT_TREE: &[u8] = b"__sled__default";
const BLOBS_NAME: &str = "blobs";
/// How sled 0.34.7, the one version that this house is built with, begins to say so.
const LOCK_HELD: &str = "could not acquire lock";

/// Whether there was a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DatabaseState {
    /// It was empty or missing; everything comes from the journal.
    Created,
    /// It was there.
    Found,
}

/// The database of one ledger.
#[derive(Debug)]
pub(super) struct Database {
    dir: PathBuf,
    db: sled::Db,
    /// Our own handle, opened once: a new handle might not be told of an error that came before it.
    log: File,
    synced_blobs: Mutex<BTreeSet<OsString>>,
    fresh: RwLock<Fresh>,
    /// Who changes which runs there are holds it.
    manifest: Mutex<Manifest>,
    /// One merges at a time.
    merging: Mutex<()>,
    /// A merge took its runs out of the manifest.
    merged: Condvar,
    turn: Turn,
}

impl Database {
    /// Opens or makes the database in `dir`; refuses one of another ledger or version.
    pub(super) fn open(dir: &Path, ledger: &Hash32) -> Result<(Self, DatabaseState), StoreFault> {
        files::make_dir(dir)?;
        let config = sled::Config::new()
            .path(dir)
            .cache_capacity(DATABASE_CACHE_BYTES)
            // No flusher of its own: when to sync is decided by the node.
            .flush_every_ms(None);
        let db = open_patiently(dir, &config)?;
        let log_path = dir.join(LOG_NAME);
        let log = OpenOptions::new()
            .read(true)
            .write(true)
            .open(&log_path)
            .map_err(io_at("open", &log_path))?;
        let mut database = Self {
            dir: dir.to_owned(),
            db,
            log,
            synced_blobs: Mutex::default(),
            fresh: RwLock::default(),
            manifest: Mutex::default(),
            merging: Mutex::default(),
            merged: Condvar::new(),
            turn: Turn::default(),
        };
        let state = database.check_meta(ledger)?;
        if state == DatabaseState::Created {
            database.sync()?;
            files::sync_dir(dir)?;
        }
        // After the version, which says that there are runs.
        let manifest = Manifest::open(&database.db)?;
        database.fresh = RwLock::new(Fresh::over(manifest.runs()));
        database.manifest = Mutex::new(manifest);
        Ok((database, state))
    }

    /// The bytes of a key.
    pub(super) fn get(&self, key: &Key) -> Result<Option<IVec>, StoreFault> {
        let bytes = key.packed();
        let mut told = Told::of(&bytes);
        let runs = {
            let fresh = self.fresh();
            for row in fresh.find(&bytes) {
                told.add(row.clone())?;
            }
            if told.is_all() {
                return Ok(told.into_value().flatten());
            }
            key.tag().is_in_runs().then(|| fresh.runs().clone())
        };
        match runs {
            Some(runs) => {
                runs.tell(&self.db, &mut told)?;
                Ok(told.into_value().flatten())
            }
            None => self.db.get(bytes).map_err(sled_at("read")),
        }
    }

    /// The value of a key.
    pub(super) fn value<T: Codec>(&self, key: &Key) -> Result<Option<T>, StoreFault> {
        let found = self.get(key)?;
        found.map(|bytes| decoded(key, &bytes)).transpose()
    }

    /// What stands under keys of one kind, ascending, from `from` on.
    pub(super) fn walk(
        &self,
        tag: Tag,
        from: Vec<u8>,
    ) -> impl Iterator<Item = Result<(Key, IVec), StoreFault>> {
        let places = if tag.is_in_runs() { Places::Runs } else { Places::Sled };
        Walk::new(self, places, from, vec![tag as u8 + 1]).map(|item| {
            let (key, value) = item?;
            Ok((parsed(&key)?, value))
        })
    }

    /// The last of the keys from `from` on and before `behind`, and its bytes. Of a kind that lies
    /// in sled row by row.
    pub(super) fn last_row_before(
        &self,
        from: &Key,
        behind: &Key,
    ) -> Result<Option<(Key, IVec)>, StoreFault> {
        debug_assert!(!from.tag().is_in_runs(), "runs are not read backwards");
        let (from, mut behind) = (from.bytes(), behind.bytes());
        // Each turn passes by a row that is gone.
        loop {
            let fresh = self.fresh().last(&from, &behind);
            let settled = self.db.range(from.clone()..behind.clone()).next_back();
            let settled = settled.transpose().map_err(sled_at("read"))?;
            let last = match (fresh, settled) {
                (Some((key, value)), Some((other, _))) if key >= other => Some((key, value)),
                (_, Some((key, value))) => Some((key, Some(value))),
                (fresh, None) => fresh,
            };
            match last {
                None => return Ok(None),
                Some((key, Some(value))) => return Ok(Some((parsed(&key)?, value))),
                Some((key, None)) => behind = key.to_vec(),
            }
        }
    }

    /// The last of the keys from `from` on and before `behind`, and its value.
    pub(super) fn last_before<T: Codec>(
        &self,
        from: &Key,
        behind: &Key,
    ) -> Result<Option<(Key, T)>, StoreFault> {
        let Some((key, value)) = self.last_row_before(from, behind)? else { return Ok(None) };
        let value = decoded(&key, &value)?;
        Ok(Some((key, value)))
    }

    /// Everything, ascending by key, as bytes.
    pub(super) fn rows(&self) -> impl Iterator<Item = Result<(Vec<u8>, IVec), StoreFault>> {
        Walk::new(self, Places::Both, vec![0], behind_all())
    }

    /// The name of a tree that is not ours, if there is one.
    pub(super) fn strange_tree(&self) -> Option<String> {
        let names = self.db.tree_names();
        let strange = names.iter().find(|name| name.as_ref() != DEFAULT_TREE);
        strange.map(|name| String::from_utf8_lossy(name).into_owned())
    }

    /// A row of sled's that nothing reads, if there is one: of no kind, or of a kind that lies in
    /// runs.
    pub(super) fn strange_row(&self) -> Result<Option<Vec<u8>>, StoreFault> {
        for key in self.db.iter().keys() {
            let key = key.map_err(sled_at("read"))?;
            let tag = key.first().copied().unwrap_or_default();
            let is_ours = match Tag::of(tag) {
                Some(tag) => !tag.is_in_runs(),
                None => runs::TAGS.contains(&tag),
            };
            if !is_ours {
                return Ok(Some(key.to_vec()));
            }
        }
        Ok(None)
    }

    /// Bytes of its files.
    pub(super) fn size_on_disk(&self) -> Result<u64, StoreFault> {
        self.db.size_on_disk().map_err(sled_at("measure"))
    }

    /// Writes a batch: all of it or nothing, and readers see it at once.
    pub(super) fn apply(&self, batch: Batch) -> Result<(), StoreFault> {
        let bytes = {
            let mut fresh = self.fresh_mut();
            fresh.take(batch);
            fresh.bytes()
        };
        if bytes > MAX_FRESH_BYTES {
            self.settle()?;
            let never = AtomicBool::new(false);
            // Each turn leaves fewer runs.
            while self.merge(&never)? {}
            self.catch_up()?;
        }
        Ok(())
    }

    /// Brings what is in memory into sled: what goes into runs as one, the rest with the head. A
    /// fault is final: what it was about is in memory still, and comes from the journal again.
    fn settle(&self) -> Result<(), StoreFault> {
        let mut manifest = self.manifest();
        let apart = {
            let mut fresh = self.fresh_mut();
            if fresh.is_stuck() {
                return Err(StoreFault::Poisoned);
            }
            fresh.set_apart()
        };
        let Some(apart) = apart else { return Ok(()) };
        self.turn.take(|| self.bring_in(&mut manifest, &apart))?;
        // Let go after the lock is.
        let _forgotten = self.fresh_mut().forget(manifest.runs());
        Ok(())
    }

    fn bring_in(&self, manifest: &mut Manifest, rows: &Rows) -> Result<(), StoreFault> {
        let mut batch = sled::Batch::default();
        let mut run = None;
        for (key, value) in rows {
            if key.first().is_some_and(|tag| is_in_runs(*tag)) {
                let run = match run.as_mut() {
                    Some(run) => run,
                    // Most of what is there comes into it.
                    None => run.insert(manifest.begin(&self.db, rows.len())?),
                };
                run.push(key, value.as_deref())?;
                continue;
            }
            match value {
                Some(value) => batch.insert(key, value),
                None => batch.remove(key),
            }
        }
        if let Some(run) = run {
            manifest.add(run.finish()?, &mut batch);
        }
        self.db.apply_batch(batch).map_err(sled_at("write"))
    }

    /// Merges runs, if so many of a level are there that it is time, and removes what was replaced;
    /// whether it merged. Blocks, and long where they are large, until it is told to give up. Only
    /// one at a time does; another finds nothing to do.
    pub(super) fn merge(&self, gives_up: &AtomicBool) -> Result<bool, StoreFault> {
        let _only = match self.merging.try_lock() {
            Ok(only) => only,
            Err(TryLockError::WouldBlock) => return Ok(false),
            // Nobody merges any more: who waits for it would wait for ever.
            Err(TryLockError::Poisoned(_)) => return Err(StoreFault::Poisoned),
        };
        self.clear_away(MAX_RUN_LEVEL + 1, gives_up)?;
        self.merge_before(MAX_RUN_LEVEL + 1, gives_up)
    }

    /// Merges runs of a level before one. What comes meanwhile does not wait for a large merge:
    /// lower levels go first. (So it calls itself, once for each level at most.)
    fn merge_before(&self, level: u8, gives_up: &AtomicBool) -> Result<bool, StoreFault> {
        let mut manifest = self.manifest();
        let merge = self.turn.take(|| manifest.next_merge(&self.db, level))?;
        drop(manifest);
        let Some(merge) = merge else { return Ok(false) };
        let of_level = merge.of_level();
        let between = || {
            while self.merge_before(of_level, gives_up)? {}
            Ok(())
        };
        let run = merge.write(&self.db, &self.turn, gives_up, between)?;
        let Some(run) = run else { return Ok(false) };
        let mut manifest = self.manifest();
        self.turn.take(|| manifest.replace(&self.db, merge, run))?;
        self.fresh_mut().exchange(manifest.runs());
        drop(manifest);
        self.merged.notify_all();
        self.clear_away(of_level, gives_up)?;
        Ok(true)
    }

    /// Removes what is left of runs that nobody reads, a piece at a time: others write in between,
    /// and runs of levels before one are merged.
    fn clear_away(&self, level: u8, gives_up: &AtomicBool) -> Result<(), StoreFault> {
        let (free, read) = {
            let mut manifest = self.manifest();
            (manifest.take_free(), manifest.read())
        };
        for run in free {
            let mut removal = Removal::of(run, &read);
            // Each turn removes some of finitely many rows.
            while self.turn.take(|| removal.go_on(&self.db))? {
                if gives_up.load(Ordering::Relaxed) {
                    return Ok(());
                }
                self.turn.let_others();
                // What comes of it refers to nothing that these runs alone led to.
                while self.merge_before(level, gives_up)? {}
            }
            let mut manifest = self.manifest();
            self.turn.take(|| manifest.forget(&self.db, run))?;
        }
        Ok(())
    }

    /// Merges, or waits for another who does, while so many runs wait that reading takes longer.
    fn catch_up(&self) -> Result<(), StoreFault> {
        let never = AtomicBool::new(false);
        // Each turn leaves fewer runs, or waits for one who makes them fewer.
        while self.manifest().is_behind() {
            if !self.merge(&never)? {
                let wait = Duration::from_millis(MERGE_WAIT_MS);
                let still = |manifest: &mut Manifest| manifest.is_behind();
                drop(self.merged.wait_timeout_while(self.manifest(), wait, still));
            }
        }
        Ok(())
    }

    /// A panic of another thread left memory whole: rows are put in one by one.
    pub(super) fn fresh(&self) -> RwLockReadGuard<'_, Fresh> {
        self.fresh.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn fresh_mut(&self) -> RwLockWriteGuard<'_, Fresh> {
        self.fresh.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is between two steps of a change is found out by the next start, and sled holds it all.
    fn manifest(&self) -> MutexGuard<'_, Manifest> {
        self.manifest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// sled itself, for who walks.
    pub(super) const fn sled(&self) -> &sled::Db {
        &self.db
    }

    /// How many entries are applied, and the chain value after them.
    pub(super) fn head(&self) -> Result<(EntryCount, ChainValue), StoreFault> {
        let found = self.value::<(u64, [u8; 32])>(&Key::Head)?;
        Ok(found.map_or((EntryCount(0), ChainValue::START), |(size, chain)| {
            (EntryCount(size), ChainValue(chain))
        }))
    }

    /// Makes all that was written durable. Blocks. An error is final: nobody knows what is on disk.
    pub(super) fn sync(&self) -> Result<(), StoreFault> {
        self.settle()?;
        self.catch_up()?;
        self.turn.take(|| self.db.flush().map_err(sled_at("flush")))?;
        // Blobs before the log that names them.
        self.sync_blobs()?;
        self.log.sync_data().map_err(io_at("sync", self.dir.join(LOG_NAME)))?;
        for item in fs::read_dir(&self.dir).map_err(io_at("list", &self.dir))? {
            let item = item.map_err(io_at("list", &self.dir))?;
            let is_log = item.file_name() == LOG_NAME;
            let is_file = item.file_type().is_ok_and(|kind| kind.is_file());
            if is_file && !is_log {
                sync_if_there(&item.path())?;
            }
        }
        Ok(())
    }

    fn sync_blobs(&self) -> Result<(), StoreFault> {
        let dir = self.dir.join(BLOBS_NAME);
        if !dir.is_dir() {
            return Ok(());
        }
        let mut synced = self.synced_blobs.lock().unwrap_or_else(PoisonError::into_inner);
        let mut present = BTreeSet::new();
        for item in fs::read_dir(&dir).map_err(io_at("list", &dir))? {
            let item = item.map_err(io_at("list", &dir))?;
            let name = item.file_name();
            // A blob is written once, under a name of its own.
            if !synced.contains(&name) {
                sync_if_there(&item.path())?;
            }
            present.insert(name);
        }
        if present != *synced {
            files::sync_dir(&dir)?;
        }
        *synced = present;
        Ok(())
    }

    fn check_meta(&self, ledger: &Hash32) -> Result<DatabaseState, StoreFault> {
        let expected = (DATABASE_VERSION, *ledger);
        match self.value::<(u16, Hash32)>(&Key::Meta)? {
            Some(found) if found == expected => Ok(DatabaseState::Found),
            Some((version, _)) if version != DATABASE_VERSION => {
                let rule = format!("version {version} is not known; rebuild it");
                Err(StoreFault::value(&Key::Meta, rule))
            }
            Some(_) => Err(StoreFault::value(&Key::Meta, "the database is of another ledger")),
            None if self.db.is_empty() => {
                let value = codec::encode(&expected);
                let write = || self.db.insert(Key::Meta.bytes(), value).map_err(sled_at("write"));
                self.turn.take(write)?;
                Ok(DatabaseState::Created)
            }
            None => Err(StoreFault::value(&Key::Meta, "is missing, and there are other keys")),
        }
    }
}

impl Drop for Database {
    /// sled flushes when its last handle goes, which after a failed write could take for ever: then
    /// one stays, and with it the lock on its file until the process ends.
    fn drop(&mut self) {
        if self.turn.has_failed() {
            std::mem::forget(self.db.clone());
        }
    }
}

/// Opens sled. Its threads may hold the file's lock for a moment after the last instance was
/// dropped; as the lock of the whole store is ours already, that is the only one who can be in the
/// way.
fn open_patiently(dir: &Path, config: &sled::Config) -> Result<sled::Db, StoreFault> {
    let mut attempts = 1..=MAX_DATABASE_OPEN_ATTEMPTS;
    loop {
        // A damaged file makes sled return an error or panic; both mean the same to us.
        let opened = std::panic::catch_unwind(AssertUnwindSafe(|| config.open()));
        let Ok(opened) = opened else {
            return Err(StoreFault::DatabasePanicked(dir.to_owned()));
        };
        match opened {
            Err(sled::Error::Io(held)) if held.to_string().starts_with(LOCK_HELD) => {
                attempts.next().ok_or_else(|| StoreFault::InUse(dir.to_owned()))?;
                std::thread::sleep(Duration::from_millis(DATABASE_OPEN_PAUSE_MS));
            }
            other => return other.map_err(sled_at("open")),
        }
    }
}

/// Whether rows of a kind lie in runs; of a kind that is not ours, not.
fn is_in_runs(tag: u8) -> bool {
    Tag::of(tag).is_some_and(Tag::is_in_runs)
}

fn parsed(key: &[u8]) -> Result<Key, StoreFault> {
    Key::parse(key).ok_or_else(|| StoreFault::Database {
        key: format!("{key:02x?}"),
        rule: "no key has these bytes".to_owned(),
    })
}

/// A value, or the fault that names its key.
pub(super) fn decoded<T: Codec>(key: &Key, bytes: &[u8]) -> Result<T, StoreFault> {
    codec::decode(bytes).map_err(|broken| StoreFault::value(key, broken.to_string()))
}

/// sled removes blobs and snapshots that it no longer needs at any time.
fn sync_if_there(path: &Path) -> Result<(), StoreFault> {
    match File::open(path) {
        Ok(file) => file.sync_all().map_err(io_at("sync", path)),
        Err(gone) if gone.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(other) => Err(io_at("open", path)(other)),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop")]

    use std::collections::BTreeMap;
    use std::sync::atomic::Ordering;
    use std::sync::mpsc;

    use proptest::prelude::*;
    use twox_hash::XxHash3_64;

    use super::super::lanes::Lanes;
    use super::super::runs::Runs;
    use super::*;
    use crate::domain::{EventId, LotId, PartyId};
    use crate::limits::{MAX_RUNS_OF_LEVEL, RUN_FAN_IN};

    /// What is done to a database, and to a map beside it.
    #[derive(Debug, Clone)]
    enum Act {
        /// Rows that are put (`Some`) or taken away.
        Write(Vec<(Key, Option<Vec<u8>>)>),
        Sync,
        Merge,
        /// As a crash does: what no sync brought in is lost.
        Reopen,
    }

    fn any_key() -> impl Strategy<Value = Key> {
        let id = || (0..40_u8).prop_map(|n| [n; 16]);
        prop_oneof![
            id().prop_map(|raw| Key::Lot(LotId::from_bytes(raw))),
            id().prop_map(|raw| Key::Event(EventId::from_bytes(raw))),
            (id(), id()).prop_map(|(party, lot)| Key::Holding(
                PartyId::from_bytes(party),
                LotId::from_bytes(lot)
            )),
            (0..40_u64).prop_map(|n| Key::Checkpoint(EntryCount(n))),
            id().prop_map(|raw| Key::Party(PartyId::from_bytes(raw))),
        ]
    }

    fn any_act() -> impl Strategy<Value = Act> {
        let value = prop::option::weighted(0.8, prop::collection::vec(any::<u8>(), 0..900));
        let rows = prop::collection::vec((any_key(), value), 1..60);
        prop_oneof![
            4 => rows.prop_map(Act::Write),
            4 => Just(Act::Sync),
            2 => Just(Act::Merge),
            1 => Just(Act::Reopen),
        ]
    }

    type Map = BTreeMap<Vec<u8>, Vec<u8>>;

    fn open(dir: &Path) -> Database {
        Database::open(dir, &Hash32([7; 32])).unwrap().0
    }

    fn batch_of(rows: &[(Key, Option<Vec<u8>>)]) -> Batch {
        let mut batch = Batch::default();
        for (key, value) in rows {
            match value {
                Some(value) => batch.insert(key.packed(), value.as_slice()),
                None => batch.remove(key.packed()),
            }
        }
        batch
    }

    fn check(database: &Database, map: &Map) {
        let meta = vec![Tag::Meta as u8];
        let rows: Map = database
            .rows()
            .map(|row| row.map(|(key, value)| (key, value.to_vec())).unwrap())
            .filter(|(key, _)| *key != meta)
            .collect();
        assert!(rows == *map, "{} rows, and {} were written", rows.len(), map.len());
        for n in 0..41 {
            let key = Key::Lot(LotId::from_bytes([n; 16]));
            let found = database.get(&key).unwrap().map(|it| it.to_vec());
            assert_eq!(found.as_ref(), map.get(&key.bytes()), "{key}");
            let behind = [Tag::Lot as u8 + 1].to_vec();
            let walked = database.walk(Tag::Lot, key.bytes()).next();
            let walked = walked.map(|row| row.unwrap().0.bytes());
            let next = map.range(key.bytes()..behind).next();
            assert_eq!(walked.as_ref(), next.map(|(key, _)| key), "from {key} on");
            let at = |n| Key::Checkpoint(EntryCount(n));
            let last = database.last_row_before(&at(0), &at(n.into())).unwrap();
            let expected = map.range(at(0).bytes()..at(n.into()).bytes()).next_back();
            assert_eq!(last.map(|(key, _)| key.bytes()).as_ref(), expected.map(|(key, _)| key));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn rows_are_read_wherever_they_lie(acts in prop::collection::vec(any_act(), 1..60)) {
            let dir = tempfile::tempdir().unwrap();
            let mut database = open(dir.path());
            let (mut map, mut synced) = (Map::new(), Map::new());
            for act in acts {
                match act {
                    Act::Write(rows) => {
                        database.apply(batch_of(&rows)).unwrap();
                        for (key, value) in rows {
                            match value {
                                Some(value) => map.insert(key.bytes(), value),
                                None => map.remove(&key.bytes()),
                            };
                        }
                    }
                    Act::Sync => {
                        database.sync().unwrap();
                        synced = map.clone();
                    }
                    Act::Merge => drop(database.merge(&AtomicBool::new(false)).unwrap()),
                    Act::Reopen => {
                        drop(database);
                        database = open(dir.path());
                        map = synced.clone();
                    }
                }
                prop_assert!(database.strange_row().unwrap().is_none());
            }
            check(&database, &map);
            database.sync().unwrap();
            while database.merge(&AtomicBool::new(false)).unwrap() {}
            check(&database, &map);
            check_blocks(&database);
        }
    }

    fn lot(n: u64) -> Key {
        let mut raw = [0; 16];
        raw[..8].copy_from_slice(&n.to_be_bytes());
        Key::Lot(LotId::from_bytes(raw))
    }

    fn write_lots(database: &Database, lots: std::ops::Range<u64>, value: &[u8]) {
        let rows: Vec<_> = lots.map(|n| (lot(n), Some(value.to_vec()))).collect();
        database.apply(batch_of(&rows)).unwrap();
    }

    /// Numbers of the runs that have rows in sled other than blocks that another refers to.
    fn keys_of_runs(database: &Database) -> Vec<u32> {
        let run = |key: &IVec| u32::from_be_bytes(*key[1..].first_chunk().unwrap());
        let rows = database.db.range([0xf1]..[0xf3]).keys().map(Result::unwrap);
        let mut runs: Vec<u32> = rows.map(|key| run(&key)).collect();
        runs.sort_unstable();
        runs.dedup();
        runs
    }

    /// Every block is of a run that is read, or one such run refers to it; no reference leads
    /// nowhere.
    fn check_blocks(database: &Database) {
        let read: Vec<u32> = database.manifest().runs().iter().map(|run| run.id()).collect();
        assert!(keys_of_runs(database).iter().all(|run| read.contains(run)), "rows of no run");
        let (mut apart, mut referred) = (BTreeSet::new(), BTreeSet::new());
        for row in database.db.scan_prefix([0xf0]) {
            let (key, value) = row.unwrap();
            let run = u32::from_be_bytes(*key[1..].first_chunk().unwrap());
            let last = key[5..].to_vec();
            if value.starts_with(&[0xff; 4]) {
                assert!(read.contains(&run), "a reference of run {run}");
                let origin = u32::from_be_bytes(value[4..].try_into().unwrap());
                assert!(referred.insert((origin, last)), "two refer to a block of {origin}");
            } else if !read.contains(&run) {
                apart.insert((run, last));
            }
        }
        assert_eq!(apart, referred);
    }

    #[test]
    fn a_walk_goes_on_over_a_sync_and_a_merge_and_what_it_reads_stays_as_long() {
        let dir = tempfile::tempdir().unwrap();
        let database = open(dir.path());
        let count = RUN_FAN_IN as u64;
        for part in 0..count {
            write_lots(&database, part * 100..part * 100 + 90, &[1; 100]);
            database.sync().unwrap();
        }
        write_lots(&database, 90..100, &[2; 100]);
        write_lots(&database, 190..200, &[2; 100]);
        let mut walk = database.walk(Tag::Lot, vec![Tag::Lot as u8]);
        for n in 0..95 {
            assert_eq!(walk.next().unwrap().unwrap().0, lot(n));
        }
        database.sync().unwrap();
        assert!(database.merge(&AtomicBool::new(false)).unwrap());
        // What was merged is held by the walk, which reads on.
        assert!(keys_of_runs(&database).len() > 1);
        for n in 95..190 {
            assert_eq!(walk.next().unwrap().unwrap().0, lot(n));
        }
        assert_eq!(walk.count() as u64, count * 100 - 190 - (count - 2) * 10);
        assert!(!database.merge(&AtomicBool::new(false)).unwrap());
        assert_eq!(keys_of_runs(&database).len(), 1, "what was merged is not removed");
        check_blocks(&database);
    }

    #[test]
    fn a_merge_that_gives_up_or_is_cut_off_leaves_all_rows_and_its_blocks_go() {
        let dir = tempfile::tempdir().unwrap();
        let mut database = open(dir.path());
        for part in 0..RUN_FAN_IN as u64 {
            write_lots(&database, part * 10..part * 10 + 10, &[3; 900]);
            database.sync().unwrap();
        }
        let before = keys_of_runs(&database);
        // As a crash in the middle of it: it was announced, and some blocks were written.
        {
            let mut manifest = database.manifest();
            let merge = manifest.next_merge(&database.db, 1).unwrap().unwrap();
            let never = AtomicBool::new(false);
            drop(merge.write(&database.db, &database.turn, &never, || Ok(())).unwrap().unwrap());
        }
        assert!(keys_of_runs(&database).len() > before.len());
        database.sync().unwrap();
        drop(database);
        database = open(dir.path());
        let stops = AtomicBool::new(true);
        assert!(!database.merge(&stops).unwrap());
        assert!(keys_of_runs(&database).starts_with(&before));
        stops.store(false, Ordering::Relaxed);
        let rows = |database: &Database| database.walk(Tag::Lot, vec![Tag::Lot as u8]).count();
        assert_eq!(rows(&database), 10 * RUN_FAN_IN);
        drop(database);
        database = open(dir.path());
        assert!(database.merge(&stops).unwrap());
        assert_eq!(rows(&database), 10 * RUN_FAN_IN);
        assert_eq!(keys_of_runs(&database).len(), 1, "what was begun or replaced is not removed");
        check_blocks(&database);
    }

    /// Packs and does not shrink.
    fn noise(seed: u64, bytes: u64) -> Vec<u8> {
        let hash = |n: u64| XxHash3_64::oneshot_with_seed(seed, &n.to_be_bytes());
        (0..bytes).map(|n| hash(n).to_be_bytes()[0]).collect()
    }

    /// What is done to a database whose rows mostly come in the order of their keys.
    #[derive(Debug, Clone)]
    enum Step {
        /// So many new rows, and some older ones anew.
        Write(u64, Vec<u64>),
        Merge,
        /// Somebody begins to read, or has read all.
        Hold,
        Release,
        /// As a crash does, in a merge that got so far.
        Crash(u64),
    }

    fn any_step() -> impl Strategy<Value = Step> {
        let older = prop::collection::vec(any::<u64>(), 0..3);
        prop_oneof![
            12 => (0..30_u64, older).prop_map(|(new, older)| Step::Write(new, older)),
            4 => Just(Step::Merge),
            1 => Just(Step::Hold),
            1 => Just(Step::Release),
            1 => (0..60_u64).prop_map(Step::Crash),
        ]
    }

    /// Rows of some runs, and what they say.
    fn rows_of(database: &Database, runs: &Runs) -> Vec<(Vec<u8>, Option<IVec>)> {
        let mut lanes = Lanes::over(&database.db, runs.iter(), &[0], None);
        let mut rows = Vec::new();
        while let Some(key) = lanes.least().map(<[u8]>::to_vec) {
            if !lanes.open_at(&key).unwrap() {
                let value = lanes.take(&key).unwrap().unwrap();
                rows.push((key, value));
            }
        }
        rows
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]

        #[test]
        fn blocks_stay_where_they_are_as_long_as_somebody_reads_them(
            steps in prop::collection::vec(any_step(), 1..120),
        ) {
            let dir = tempfile::tempdir().unwrap();
            let never = AtomicBool::new(false);
            let mut database = open(dir.path());
            let (mut map, mut next, mut version) = (BTreeMap::new(), 0, 0);
            let mut held = Vec::new();
            for step in steps {
                match step {
                    Step::Write(new, older) => {
                        version += 1;
                        let older = older.into_iter().filter(|_| next > 0).map(|n| n % next);
                        let rows: Vec<u64> = (next..next + new).chain(older).collect();
                        next += new;
                        let value = |n: u64| noise(n + 1_000 * version, 400);
                        let rows = rows.into_iter().map(|n| (lot(n), Some(value(n))));
                        let rows: Vec<_> = rows.collect();
                        map.extend(rows.iter().map(|(key, it)| (key.bytes(), it.clone())));
                        database.apply(batch_of(&rows)).unwrap();
                        database.sync().unwrap();
                    }
                    Step::Merge => drop(database.merge(&never).unwrap()),
                    Step::Hold => {
                        let runs = database.fresh().runs().clone();
                        let rows = rows_of(&database, &runs);
                        held.push((runs, rows));
                    }
                    Step::Release => {
                        if let Some((runs, rows)) = held.pop() {
                            let is_same = rows_of(&database, &runs) == rows;
                            prop_assert!(is_same, "a row is not as it was");
                        }
                    }
                    Step::Crash(rows) => {
                        let merge = database.manifest().next_merge(&database.db, 7).unwrap();
                        if let Some(merge) = merge {
                            merge.begin(&database.db, rows).unwrap();
                        }
                        database.db.flush().unwrap();
                        held.clear();
                        drop(database);
                        database = open(dir.path());
                    }
                }
            }
            for (runs, rows) in held {
                prop_assert!(rows_of(&database, &runs) == rows, "a row is not as it was");
            }
            while database.merge(&never).unwrap() {}
            database.clear_away(0, &never).unwrap();
            check_blocks(&database);
            let rows = database.walk(Tag::Lot, vec![Tag::Lot as u8]).map(Result::unwrap);
            let rows = rows.map(|(key, value)| (key.bytes(), Some(value.to_vec())));
            prop_assert!(rows.eq(map));
        }
    }

    #[test]
    fn a_block_outlives_two_merges_for_one_who_reads_the_run_it_came_with() {
        let dir = tempfile::tempdir().unwrap();
        let database = open(dir.path());
        let never = AtomicBool::new(false);
        let mut held = None;
        let fan_in = RUN_FAN_IN as u64;
        for part in 0..fan_in * fan_in {
            let mut numbers: Vec<u64> = (part * 20..part * 20 + 20).collect();
            if part == fan_in * fan_in - 1 {
                // In the middle of the first block, which the second merge so takes apart.
                numbers.push(5);
            }
            let rows: Vec<_> =
                numbers.into_iter().map(|n| (lot(n), Some(noise(n + part, 400)))).collect();
            database.apply(batch_of(&rows)).unwrap();
            database.sync().unwrap();
            if part == 0 {
                let runs = database.fresh().runs().clone();
                let rows = rows_of(&database, &runs);
                held = Some((runs, rows));
            }
            while database.merge(&never).unwrap() {}
        }
        let (runs, rows) = held.unwrap();
        assert!(rows_of(&database, &runs) == rows, "a row is not as it was");
        assert_eq!(keys_of_runs(&database).len(), 2, "what is read is removed, or more is left");
        drop(runs);
        database.clear_away(0, &never).unwrap();
        check_blocks(&database);
    }

    #[test]
    fn runs_of_lower_levels_go_before_a_merge_that_takes_long() {
        let dir = tempfile::tempdir().unwrap();
        let database = open(dir.path());
        let never = AtomicBool::new(false);
        let fan_in = RUN_FAN_IN as u64;
        // All over, so that the merge has many blocks to write.
        let write_part = |part: u64, rows: u64| {
            let rows: Vec<_> = (0..rows)
                .map(|n| (lot(n * fan_in * fan_in + part), Some(noise(part, 900))))
                .collect();
            database.apply(batch_of(&rows)).unwrap();
            database.sync().unwrap();
        };
        for part in 0..fan_in * fan_in {
            write_part(part, 20);
            database.merge_before(1, &never).unwrap();
        }
        let large = {
            let mut manifest = database.manifest();
            manifest.next_merge(&database.db, MAX_RUN_LEVEL).unwrap().unwrap()
        };
        assert_eq!(large.of_level(), 1);
        for _ in 0..fan_in {
            // Newer values of rows that the large merge is about.
            write_part(3, 10);
        }
        let (mut pauses, mut merges) = (0, 0);
        let between = || {
            pauses += 1;
            while database.merge_before(large.of_level(), &never)? {
                merges += 1;
            }
            Ok(())
        };
        let run = large.write(&database.db, &database.turn, &never, between).unwrap().unwrap();
        assert_eq!((pauses > 0, merges), (true, 1), "{pauses} pauses");
        {
            let mut manifest = database.manifest();
            manifest.replace(&database.db, large, run).unwrap();
            database.fresh_mut().exchange(manifest.runs());
        }
        write_lots(&database, 0..1, b"newest");
        let rows = database.walk(Tag::Lot, vec![Tag::Lot as u8]);
        let rows: Vec<_> = rows.map(|row| row.unwrap().1).collect();
        assert_eq!(rows.len() as u64, 20 * fan_in * fan_in);
        assert_eq!(rows[0].as_ref(), b"newest");
        assert_eq!(rows[3].as_ref(), noise(3, 900));
        database.clear_away(0, &never).unwrap();
        assert_eq!(keys_of_runs(&database).len(), 2);
        check_blocks(&database);
    }

    #[test]
    fn a_merge_takes_over_blocks_that_lie_apart_and_puts_small_ones_together() {
        let dir = tempfile::tempdir().unwrap();
        let database = open(dir.path());
        let blocks = |database: &Database| {
            let rows = database.db.range([0xf0]..[0xf1]);
            let blocks = rows.map(|row| row.map(|(_, block)| block.to_vec()).unwrap());
            blocks.filter(|block| !block.starts_with(&[0xff; 4])).collect::<BTreeSet<_>>()
        };
        for part in 0..RUN_FAN_IN as u64 {
            let small = if part < 2 { 1 } else { 40 };
            let rows: Vec<_> =
                (part * 100..part * 100 + small).map(|n| (lot(n), Some(noise(n, 900)))).collect();
            database.apply(batch_of(&rows)).unwrap();
            database.sync().unwrap();
        }
        let before = blocks(&database);
        assert!(database.merge(&AtomicBool::new(false)).unwrap());
        let after = blocks(&database);
        let kept = after.intersection(&before).count();
        assert!(kept > 6 && after.len() <= before.len(), "{kept} of {} kept", before.len());
        assert_eq!(database.walk(Tag::Lot, vec![Tag::Lot as u8]).count(), 2 + 6 * 40);
        for n in [0, 100, 200, 239, 339, 739] {
            let found = database.get(&lot(n)).unwrap();
            assert_eq!(found.as_deref(), Some(noise(n, 900).as_slice()), "{n}");
        }
        check_blocks(&database);
    }

    #[test]
    fn who_waits_for_a_merge_that_panicked_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let database = open(dir.path());
        std::thread::scope(|scope| {
            let merging = scope.spawn(|| {
                let _only = database.merging.lock().unwrap();
                panic!("as sled does on what it does not understand");
            });
            merging.join().unwrap_err();
        });
        for part in 0..MAX_RUNS_OF_LEVEL as u64 - 1 {
            write_lots(&database, part..part + 1, b"x");
            database.sync().unwrap();
        }
        write_lots(&database, 999..1_000, b"x");
        assert!(matches!(database.sync(), Err(StoreFault::Poisoned)));
    }

    #[test]
    fn who_writes_more_than_memory_may_hold_brings_it_into_sled_himself() {
        let dir = tempfile::tempdir().unwrap();
        let database = open(dir.path());
        let rows = MAX_FRESH_BYTES as u64 / 1_000_000 + 2;
        for n in 0..rows {
            write_lots(&database, n..n + 1, &vec![4; 1_000_000]);
        }
        assert!(database.fresh().bytes() < MAX_FRESH_BYTES);
        assert!(!keys_of_runs(&database).is_empty());
        assert_eq!(database.walk(Tag::Lot, vec![Tag::Lot as u8]).count() as u64, rows);
    }

    #[test]
    fn a_database_that_cannot_write_is_let_go_all_the_same() {
        // Packed or not, large enough to be a blob of sled's, in a file of its own.
        let large: Vec<u8> = (0..1_000_000_u32)
            .map(|n| XxHash3_64::oneshot(&n.to_be_bytes()).to_be_bytes()[0])
            .collect();
        let dir = tempfile::tempdir().unwrap();
        let database = open(dir.path());
        write_lots(&database, 0..100, &[5; 100]);
        database.sync().unwrap();
        write_lots(&database, 100..101, &large);
        fs::remove_dir_all(dir.path().join(BLOBS_NAME)).unwrap();
        let (tell, told) = mpsc::sync_channel(1);
        std::thread::spawn(move || {
            let first = database.sync().unwrap_err();
            let second = database.sync().unwrap_err();
            let rows = database.walk(Tag::Lot, vec![Tag::Lot as u8]).count();
            drop(database);
            tell.send((first, second, rows)).unwrap();
        });
        let (first, second, rows) = told.recv_timeout(Duration::from_secs(30)).expect("it waits");
        assert!(matches!(first, StoreFault::Sled { action: "write", .. }), "{first}");
        assert!(matches!(second, StoreFault::Poisoned), "{second}");
        assert_eq!(rows, 101, "what could not be written is read from memory");
    }

    #[test]
    fn a_run_that_is_not_as_it_was_written_is_refused_when_the_database_is_opened() {
        type Bend = fn(&sled::Db);
        let bends: [(&str, Bend); 3] = [
            ("no heading", |db| drop(db.remove([0xf2, 0, 0, 0, 0]).unwrap())),
            ("no filter", |db| drop(db.remove([0xf1, 0, 0, 0, 0, 0, 0, 0, 0]).unwrap())),
            ("does not know its own keys", |db| {
                drop(db.insert([0xf1, 0, 0, 0, 0, 0, 0, 0, 0], vec![0; 800]).unwrap());
            }),
        ];
        for (words, bend) in bends {
            let dir = tempfile::tempdir().unwrap();
            let database = open(dir.path());
            write_lots(&database, 0..100, &[5; 100]);
            database.sync().unwrap();
            bend(&database.db);
            drop(database);
            let fault = Database::open(dir.path(), &Hash32([7; 32])).unwrap_err();
            assert!(fault.to_string().contains(words), "{words}: {fault}");
        }
    }

    #[test]
    fn a_block_that_does_not_unpack_is_told_with_its_run() {
        let dir = tempfile::tempdir().unwrap();
        let database = open(dir.path());
        write_lots(&database, 0..100, &[5; 100]);
        database.sync().unwrap();
        let (key, _) = database.db.scan_prefix([0xf0]).next().unwrap().unwrap();
        database.db.insert(key, vec![9; 40]).unwrap();
        let fault = database.get(&lot(1)).unwrap_err();
        assert!(fault.to_string().contains("run 0"), "{fault}");
        let mut walk = database.walk(Tag::Lot, vec![Tag::Lot as u8]);
        assert!(walk.next().unwrap().is_err());
        assert!(walk.next().is_none(), "after a fault nothing comes");
    }
}
