//! Where it lies on disk.
//!
//! *Owns:* the journal (durability), the sled database (everything that is read), the head guard, the locks,
//! and the faults that tests put between them.
//!
//! *Never:* judges an event, signs, or decides an order. It does not know what a group means, only that it is
//! there whole or not at all.
//!
//! *See:* `docs/adr/0004-sled-and-journal.md`; `docs/FORMAT.md`, *Journal frame*.
//!
//! What each thing is trusted for: the journal for every acknowledged entry; sled for nothing that the journal
//! does not say as well; the guard for how far the ledger had come.

pub mod codec;
pub mod database;
pub mod fault;
pub mod faults;
pub mod guard;
pub mod journal;
pub mod keyspace;
pub mod lock;
pub mod tiles;

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;

use crate::domain::effects::{LedgerState, View};
use crate::domain::lot::{EventRecord, Lot, Transfer};
use crate::domain::memory::MemoryState;
use crate::domain::movement::Movement;
use crate::domain::party::{KeyState, PartyState, Site};
use crate::domain::{
    EntryCount, EntryIndex, EventId, Hash32, KeyId, LotId, Origin, PartyId, PublicKey, SiteId,
};
use crate::ledger::frame::Group;
use crate::ledger::hash::{ChainValue, sha256};
use crate::ledger::tree::NodeSource;
use database::Database;
pub use fault::StoreFault;
use faults::{FaultPoint, Faults};
use guard::Guard;
use journal::{Groups, Journal};
use lock::DirectoryLock;

/// Version of what lies in a data directory.
pub const DISK_VERSION: &str = "urbanmine data directory, version 1";

/// Where a store lies.
#[derive(Debug, Clone)]
pub struct StoreConfig {
    /// Journal and database.
    pub data: PathBuf,
    /// The head guard; best on another disk.
    pub guard: PathBuf,
    /// Faults that tests inject.
    pub faults: Faults,
}

/// A group with everything that the database keeps of it.
#[derive(Debug, Clone, Copy)]
pub struct GroupRows<'a> {
    /// The group.
    pub group: &'a Group,
    /// Its leaf hashes.
    pub leaves: &'a [Hash32],
    /// The chain value after its last entry.
    pub chain: ChainValue,
    /// Last values of all that it changes.
    pub changes: &'a MemoryState,
    /// Entries whose movements no longer count.
    pub retracted: &'a [EntryIndex],
}

/// An open store. Reads are shared; writes come from one thread.
#[derive(Debug)]
pub struct Store {
    journal: Mutex<Journal>,
    database: Database,
    guard: Guard,
    faults: Faults,
    is_poisoned: AtomicBool,
    _lock: DirectoryLock,
}

impl Store {
    /// Makes the directories of a new ledger; refuses where one is. What a crash before the first entry
    /// left is no ledger: nobody was told of it, and it is made anew.
    pub fn create(
        config: &StoreConfig,
        origin: &Origin,
        ledger_key: &PublicKey,
    ) -> Result<Self, StoreFault> {
        make_directory(&config.data)?;
        let lock = DirectoryLock::take(&config.data)?;
        if config.data.join(FORMAT_FILE).exists() && holds_entries(&config.data)? {
            return Err(StoreFault::Exists { path: config.data.clone() });
        }
        let identity = identity_of(origin, ledger_key);
        let guard = Guard::open(&config.guard, &config.faults)?;
        if guard.current()?.is_some() {
            return Err(StoreFault::Exists { path: config.guard.clone() });
        }
        let journal = Journal::create(&config.data.join(JOURNAL), identity, &config.faults)?;
        let database = Database::open(&config.data.join(SLED), &config.faults)?;
        // Last: a directory without this file is no ledger yet. A crash before: `init` again; nobody was
        // told anything.
        write_durably(&config.data.join(FORMAT_FILE), format_text(identity).as_bytes())?;
        sync_directory(&config.data)?;
        Ok(Self::assemble(journal, database, guard, config, lock))
    }

    /// Opens a store. The journal's torn tail, if any, is left as it is until [`Self::clear_torn_tail`].
    pub fn open(config: &StoreConfig) -> Result<Self, StoreFault> {
        let (lock, identity) = lock_existing(&config.data)?;
        let guard = Guard::open(&config.guard, &config.faults)?;
        let journal = Journal::open(&config.data.join(JOURNAL), identity, &config.faults)?;
        let database = Database::open(&config.data.join(SLED), &config.faults)?;
        Ok(Self::assemble(journal, database, guard, config, lock))
    }

    /// Opens a store with an empty database; the one that was there is moved aside, not deleted.
    pub fn open_without_database(config: &StoreConfig) -> Result<Self, StoreFault> {
        let (lock, identity) = lock_existing(&config.data)?;
        let guard = Guard::open(&config.guard, &config.faults)?;
        let journal = Journal::open(&config.data.join(JOURNAL), identity, &config.faults)?;
        move_aside(&config.data)?;
        let database = Database::open(&config.data.join(SLED), &config.faults)?;
        Ok(Self::assemble(journal, database, guard, config, lock))
    }

    fn assemble(
        journal: Journal,
        database: Database,
        guard: Guard,
        config: &StoreConfig,
        lock: DirectoryLock,
    ) -> Self {
        Self {
            journal: Mutex::new(journal),
            database,
            guard,
            faults: config.faults.clone(),
            is_poisoned: AtomicBool::new(false),
            _lock: lock,
        }
    }

    /// Fails where a test wants it to.
    pub fn fault(&self, point: FaultPoint) -> Result<(), StoreFault> {
        self.guarded(|| self.faults.at(point))
    }

    /// Runs a write; the first that fails poisons the store for good.
    fn guarded<T>(&self, write: impl FnOnce() -> Result<T, StoreFault>) -> Result<T, StoreFault> {
        if self.is_poisoned.load(Ordering::SeqCst) {
            return Err(StoreFault::Poisoned);
        }
        // An error of a write or sync is fatal: what is on disk is known only after a restart.
        write().inspect_err(|_| self.is_poisoned.store(true, Ordering::SeqCst))
    }

    fn journal(&self) -> std::sync::MutexGuard<'_, Journal> {
        // A panic in the journal leaves it poisoned by its own flag, or untouched.
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // --- journal ------------------------------------------------------------------------------------

    /// Appends a group and makes it durable. When this returns, the group survives a power cut.
    pub fn journal_append(&self, group: &Group) -> Result<(), StoreFault> {
        self.guarded(|| self.journal().append(group))
    }

    /// Entries in the journal.
    pub fn journal_end(&self) -> EntryCount {
        self.journal().end()
    }

    /// Groups from the one that holds an index on.
    pub fn journal_read(&self, from: EntryIndex) -> Result<Groups, StoreFault> {
        self.journal().read(from)
    }

    /// The group that holds an entry.
    pub fn journal_group_of(&self, index: EntryIndex) -> Result<Option<Group>, StoreFault> {
        if index.0 >= self.journal_end().0 {
            return Ok(None);
        }
        self.journal_read(index)?.next().transpose()
    }

    /// Writes zeros over a frame that a crash left half written. The caller has made sure (by the head
    /// guard) that nobody was told of it.
    pub fn clear_torn_tail(&self) -> Result<(), StoreFault> {
        self.guarded(|| self.journal().clear_torn_tail())
    }

    // --- database -----------------------------------------------------------------------------------

    /// Writes a group into the database, all of it or nothing. Writing it again changes nothing.
    pub fn write_group(&self, rows: &GroupRows<'_>) -> Result<(), StoreFault> {
        self.guarded(|| self.database.write_group(rows))
    }

    /// Keeps the signed checkpoint of a group's end.
    pub fn write_checkpoint(&self, size: EntryCount, signed: &[u8]) -> Result<(), StoreFault> {
        self.guarded(|| self.database.write_checkpoint(size, signed))
    }

    /// Makes the database durable: flush, then fsync of its files through our own handles.
    pub fn sync(&self) -> Result<(), StoreFault> {
        self.guarded(|| self.database.sync())
    }

    /// Entries that the database holds.
    pub fn applied(&self) -> Result<EntryCount, StoreFault> {
        Ok(self.database.head()?.0)
    }

    /// The chain value after the last of them.
    pub fn chain_at_head(&self) -> Result<ChainValue, StoreFault> {
        Ok(self.database.head()?.1)
    }

    /// An entry.
    pub fn entry(&self, index: EntryIndex) -> Result<Option<Bytes>, StoreFault> {
        Ok(self.database.entries(index, 1)?.pop())
    }

    /// Consecutive entries.
    pub fn entries(&self, from: EntryIndex, max: usize) -> Result<Vec<Bytes>, StoreFault> {
        self.database.entries(from, max)
    }

    /// The first checkpoint that covers an entry: its group's.
    pub fn checkpoint_covering(
        &self,
        index: EntryIndex,
    ) -> Result<Option<(EntryCount, Bytes)>, StoreFault> {
        self.database.checkpoint_covering(index)
    }

    /// The last checkpoint.
    pub fn latest_checkpoint(&self) -> Result<Option<(EntryCount, Bytes)>, StoreFault> {
        self.database.latest_checkpoint()
    }

    /// Lots after one that match, in order of their ids.
    pub fn lots(
        &self,
        after: Option<LotId>,
        max: usize,
        matches: impl Fn(&Lot) -> bool,
    ) -> Result<Vec<Lot>, StoreFault> {
        self.database.lots(after, max, matches)
    }

    /// Parties after one, in order of their ids.
    pub fn parties(
        &self,
        after: Option<PartyId>,
        max: usize,
    ) -> Result<Vec<PartyState>, StoreFault> {
        self.database.parties(after, max)
    }

    /// Sites after one, in order of their ids.
    pub fn sites(&self, after: Option<SiteId>, max: usize) -> Result<Vec<Site>, StoreFault> {
        self.database.sites(after, max)
    }

    /// The entries and events of a lot, in order.
    pub fn life_of(&self, lot: LotId) -> Result<Vec<(EntryIndex, EventId)>, StoreFault> {
        self.database.life_of(lot)
    }

    /// What an entry did to metal; `None` when nothing, or when it was declared an error.
    pub fn movement(&self, index: EntryIndex) -> Result<Option<Movement>, StoreFault> {
        self.database.movement(index)
    }

    // --- guard --------------------------------------------------------------------------------------

    /// The checkpoint that the guard holds.
    pub fn guard_current(&self) -> Result<Option<Bytes>, StoreFault> {
        self.guard.current()
    }

    /// Advances the guard, if it still holds what is expected.
    pub fn guard_advance(&self, expected: Option<&[u8]>, next: &[u8]) -> Result<(), StoreFault> {
        self.guarded(|| self.guard.advance(expected, next))
    }
}

/// Reads the groups of a data directory's journal without taking a lock or touching anything.
pub fn read_journal(data: &Path) -> Result<Groups, StoreFault> {
    let identity = read_format(data)?;
    Groups::open(&data.join(JOURNAL), identity, EntryIndex(0))
}

/// Reads the head guard without taking a lock or making anything.
pub fn read_guard(directory: &Path) -> Result<Option<Bytes>, StoreFault> {
    guard::read(&directory.join(guard::FILE))
}

macro_rules! view_of_database {
    ($($name:ident($($arg:ident: $type:ty),*) -> $out:ty;)+) => {
        impl View for Store {
            type Fault = StoreFault;
            $(fn $name(&self, $($arg: $type),*) -> Result<Option<$out>, StoreFault> {
                self.database.$name($($arg),*)
            })+
        }
    };
}

view_of_database! {
    ledger() -> LedgerState;
    party(id: PartyId) -> PartyState;
    party_of_credit_code(code: &str) -> PartyId;
    site(id: SiteId) -> Site;
    key(id: KeyId) -> KeyState;
    lot(id: LotId) -> Lot;
    transfer(offer: EventId) -> Transfer;
    event(id: EventId) -> EventRecord;
    life(lot: LotId, ordinal: u32) -> EventId;
    table_chunk(tables: Hash32, chunk: u32) -> Vec<u8>;
}

impl NodeSource for Store {
    type Fault = StoreFault;

    fn node(&self, level: u8, index: u64) -> Result<Hash32, StoreFault> {
        self.database.node(level, index)
    }
}

// --- directories ------------------------------------------------------------------------------------

const FORMAT_FILE: &str = "FORMAT";
const JOURNAL: &str = "journal";
const SLED: &str = "sled";

/// What ties every segment of a journal to its ledger.
fn identity_of(origin: &Origin, ledger_key: &PublicKey) -> Hash32 {
    let mut bytes = origin.as_str().as_bytes().to_vec();
    bytes.push(b'\n');
    bytes.extend_from_slice(ledger_key.as_bytes());
    sha256(&bytes)
}

fn format_text(identity: Hash32) -> String {
    format!("{DISK_VERSION}\nledger {identity}\n")
}

fn read_format(data: &Path) -> Result<Hash32, StoreFault> {
    let path = data.join(FORMAT_FILE);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(StoreFault::NoLedger { path: data.to_path_buf() });
        }
        Err(error) => return Err(StoreFault::io("read", &path, error)),
    };
    let mut lines = text.lines();
    let version = lines.next().unwrap_or_default();
    if version != DISK_VERSION {
        return Err(StoreFault::Version { path, found: version.chars().take(80).collect() });
    }
    let hex = lines.next().and_then(|line| line.strip_prefix("ledger ")).unwrap_or_default();
    let mut identity = [0_u8; 32];
    let is_hex = hex.len() == 64 && hex.is_ascii();
    for (position, byte) in identity.iter_mut().enumerate() {
        let digits = if is_hex { &hex[2 * position..2 * position + 2] } else { "" };
        *byte = u8::from_str_radix(digits, 16).map_err(|_| StoreFault::Version {
            path: path.clone(),
            found: "no line `ledger <64 hexadecimal digits>`".to_owned(),
        })?;
    }
    Ok(Hash32(identity))
}

fn lock_existing(data: &Path) -> Result<(DirectoryLock, Hash32), StoreFault> {
    if !data.join(FORMAT_FILE).exists() {
        return Err(StoreFault::NoLedger { path: data.to_path_buf() });
    }
    let lock = DirectoryLock::take(data)?;
    // A crash may have come before the names in it were durable.
    sync_directory(data)?;
    Ok((lock, read_format(data)?))
}

/// Whether a journal is there with anything in it, be it damaged.
fn holds_entries(data: &Path) -> Result<bool, StoreFault> {
    let mut groups = read_journal(data)?;
    Ok(groups.next().is_some())
}

/// Moves `sled` to `sled.lost-N`, for the first N that is free.
fn move_aside(data: &Path) -> Result<(), StoreFault> {
    let from = data.join(SLED);
    if !from.exists() {
        return Ok(());
    }
    for number in 1..=crate::limits::MAX_LOST_DATABASES {
        let to = data.join(format!("{SLED}.lost-{number}"));
        if !to.exists() {
            std::fs::rename(&from, &to).map_err(|error| StoreFault::io("move", &from, error))?;
            return sync_directory(data);
        }
    }
    Err(StoreFault::TooManyLost { path: data.to_path_buf() })
}

/// Makes a directory and what it lies in, durably.
pub(crate) fn make_directory(path: &Path) -> Result<(), StoreFault> {
    std::fs::create_dir_all(path).map_err(|error| StoreFault::io("make", path, error))?;
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => sync_directory(parent),
        _ => Ok(()),
    }
}

/// Makes the names in a directory durable.
pub(crate) fn sync_directory(path: &Path) -> Result<(), StoreFault> {
    let directory =
        std::fs::File::open(path).map_err(|error| StoreFault::io("open", path, error))?;
    directory.sync_all().map_err(|error| StoreFault::io("sync", path, error))
}

/// Writes a file whole or not at all: beside it, synced, then renamed over it.
pub(crate) fn write_durably(path: &Path, bytes: &[u8]) -> Result<(), StoreFault> {
    let part = path.with_extension("new");
    let mut file =
        std::fs::File::create(&part).map_err(|error| StoreFault::io("create", &part, error))?;
    std::io::Write::write_all(&mut file, bytes)
        .and_then(|()| file.sync_all())
        .map_err(|error| StoreFault::io("write", &part, error))?;
    std::fs::rename(&part, path).map_err(|error| StoreFault::io("rename", &part, error))?;
    match path.parent() {
        Some(parent) => sync_directory(parent),
        None => Ok(()),
    }
}
