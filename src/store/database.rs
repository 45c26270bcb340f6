//! The database: sled, opened, read, written in whole batches, and made durable by our own hands.
//!
//! sled's `flush` ends in `sync_file_range`, which leaves the disk's cache and the file's length
//! alone; so after each flush every file of it is synced here, and its directories when they are
//! made. Losing the database is still no loss: the journal makes it again.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use sled::IVec;

use super::codec::{self, Codec};
use super::fault::{StoreFault, io_at, sled_at};
use super::files;
use super::keyspace::{Key, Tag};
use crate::domain::{EntryCount, Hash32};
use crate::ledger::hash::ChainValue;
use crate::limits::{DATABASE_CACHE_BYTES, DATABASE_OPEN_PAUSE_MS, MAX_DATABASE_OPEN_ATTEMPTS};

const DATABASE_VERSION: u16 = 4;
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
        let synced_blobs = Mutex::default();
        let database = Self { dir: dir.to_owned(), db, log, synced_blobs };
        let state = database.check_meta(ledger)?;
        if state == DatabaseState::Created {
            database.sync()?;
            files::sync_dir(dir)?;
        }
        Ok((database, state))
    }

    /// The bytes of a key.
    pub(super) fn get(&self, key: &Key) -> Result<Option<IVec>, StoreFault> {
        self.db.get(key.bytes()).map_err(sled_at("read"))
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
    ) -> impl DoubleEndedIterator<Item = Result<(Key, IVec), StoreFault>> {
        let behind = vec![tag as u8 + 1];
        self.db.range(from..behind).map(|item| {
            let (key, value) = item.map_err(sled_at("read"))?;
            Ok((parsed(&key)?, value))
        })
    }

    /// The last of the keys from `from` on and before `behind`, and its value.
    pub(super) fn last_before<T: Codec>(
        &self,
        from: &Key,
        behind: &Key,
    ) -> Result<Option<(Key, T)>, StoreFault> {
        let Some(found) = self.db.range(from.bytes()..behind.bytes()).next_back() else {
            return Ok(None);
        };
        let (bytes, value) = found.map_err(sled_at("read"))?;
        let key = parsed(&bytes)?;
        let value = decoded(&key, &value)?;
        Ok(Some((key, value)))
    }

    /// The last of the keys from `from` on and before `behind`.
    pub(super) fn last_key_before(
        &self,
        from: &Key,
        behind: &Key,
    ) -> Result<Option<Key>, StoreFault> {
        let Some(found) = self.db.range(from.bytes()..behind.bytes()).next_back() else {
            return Ok(None);
        };
        let (bytes, _) = found.map_err(sled_at("read"))?;
        parsed(&bytes).map(Some)
    }

    /// Everything, ascending by key, as bytes.
    pub(super) fn rows(&self) -> impl Iterator<Item = Result<(IVec, IVec), StoreFault>> {
        self.db.iter().map(|item| item.map_err(sled_at("read")))
    }

    /// The name of a tree that is not ours, if there is one.
    pub(super) fn strange_tree(&self) -> Option<String> {
        let names = self.db.tree_names();
        let strange = names.iter().find(|name| name.as_ref() != DEFAULT_TREE);
        strange.map(|name| String::from_utf8_lossy(name).into_owned())
    }

    /// Bytes of its files.
    pub(super) fn size_on_disk(&self) -> Result<u64, StoreFault> {
        self.db.size_on_disk().map_err(sled_at("measure"))
    }

    /// Writes a batch: all of it or nothing, and readers see it at once.
    pub(super) fn apply(&self, batch: sled::Batch) -> Result<(), StoreFault> {
        self.db.apply_batch(batch).map_err(sled_at("write"))
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
        self.db.flush().map_err(sled_at("flush"))?;
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
                self.db.insert(Key::Meta.bytes(), value).map_err(sled_at("write"))?;
                Ok(DatabaseState::Created)
            }
            None => Err(StoreFault::value(&Key::Meta, "is missing, and there are other keys")),
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
