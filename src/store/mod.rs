//! Where the ledger lies on disk.
//!
//! *Owns:* the journal (durability), the database (everything that is read), the head guard, the
//! locks, and what must be true between them.
//!
//! *Never:* judges an event, seals an entry, signs, reads a clock, decides when to sync. Never
//! retries after a fault that leaves it unknown what is on disk.
//!
//! *See:* `docs/adr/0004-sled-and-journal.md` for why there are two; `docs/FORMAT.md` for the
//! journal.
//!
//! ```text
//! <data>/FORMAT   <data>/LOCK   <data>/journal/<20 digits>.umj   <data>/sled/
//! <data>/drafts/<event id>   <data>/openings/<event id>-<commitment>
//! <data>/cosigned/checkpoint
//! <guard>/LOCK    <guard>/guard
//! <data>.restoring/   <backup>.part   <backup>.part-manifest    while they are made
//! ```

mod archive;
mod backup;
mod batch;
mod block;
mod cabinet;
mod codec;
mod compare;
mod cursor;
mod database;
mod fault;
pub mod faults;
mod files;
mod format;
mod frames;
mod fresh;
mod guard;
mod headings;
pub mod journal;
mod keyspace;
mod known;
mod lanes;
mod lives;
mod lock;
mod lots;
mod movements;
mod partial;
mod reads;
mod restore;
mod runs;
mod segment;
mod shelf;
mod sights;
mod ties;
mod trail;
mod tree;
mod turn;
mod walk;
mod words;
mod write;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;

pub use backup::{BackedUp, BackupFault, BackupPlan, back_up};
pub use cabinet::{Cabinet, Drawer};
pub use compare::{Compared, Difference, DifferenceKind, Found, FoundFault, Shadow, is_no_space};
pub use database::DatabaseState;
pub use fault::StoreFault;
pub use faults::{FaultPoint, Faults};
pub use guard::{Guard, GuardFault};
pub use journal::{Groups, JournalCause, JournalFault, TornTail};
pub use reads::{CampaignQuery, LotQuery, Page, TransferQuery};
pub use restore::{NewerCheckpoint, RestoreFault, Staging, Unpacked, check_unpacked};
pub use shelf::Shelf;
pub use trail::Trail;
pub use tree::TreeReader;
pub use write::GroupRows;

pub use crate::ledger::frame::Group;

use batch::Batch;
use database::Database;
use format::Format;
use frames::Frames;
use journal::{Journal, JournalConfig};
use known::Known;
pub use lock::DirectoryLock;

use crate::domain::{EntryCount, EntryIndex, Origin, PublicKey};
use crate::ledger::checkpoint::SignedCheckpoint;
use crate::limits::{
    JOURNAL_SEGMENT_BYTES, MAX_CHECKPOINT_BYTES, MAX_REBUILDS_UNASKED, MIN_FREE_BYTES,
    TIDIER_NICENESS,
};

const FORMAT_NAME: &str = "FORMAT";
const JOURNAL_NAME: &str = "journal";
const DATABASE_NAME: &str = "sled";
const COSIGNED_NAME: &str = "cosigned";
/// The file on the shelf of cosigned checkpoints.
pub const COSIGNED_FILE: &str = "checkpoint";
const DATABASE_LOST_STEM: &str = "sled.lost-";

/// Where a store lies.
#[derive(Debug, Clone)]
pub struct StoreConfig {
    /// Journal and database.
    pub data: PathBuf,
    /// The head guard; better on another disk.
    pub guard: PathBuf,
    /// Bytes that a journal segment reserves.
    pub segment_bytes: u64,
    /// Fault hooks; none outside tests.
    pub faults: Faults,
}

/// The store of one ledger, held exclusively. Many may read; one is to write.
#[derive(Debug)]
pub struct Store {
    config: StoreConfig,
    format: Format,
    journal: Mutex<Journal>,
    database: Database,
    /// Where entries are read from.
    frames: Frames,
    known: Known,
    guard: Guard,
    applied: AtomicU64,
    is_poisoned: AtomicBool,
    /// The guard did not move, or nobody knows whether it did.
    is_guard_lost: AtomicBool,
    /// Last, so that it is let go last.
    _lock: DirectoryLock,
}

/// A store, and what its opening found.
#[derive(Debug)]
pub struct Opened {
    /// The store.
    pub store: Store,
    /// What the node has to do before it appends.
    pub tail: Tail,
}

/// How journal and database stand to each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tail {
    /// Entries in the database.
    pub applied: EntryCount,
    /// Entries in the journal; the node replays those in between.
    pub journaled: EntryCount,
    /// An unfinished write that was set aside.
    pub torn: Option<TornTail>,
    /// Whether there was a database.
    pub database: DatabaseState,
    /// Where the database of before lies, when it was to be rebuilt.
    pub database_set_aside: Option<PathBuf>,
}

/// The journal of a store, to be read by anybody at any time.
#[derive(Debug, Clone)]
pub struct ReadOnly {
    format: Format,
    journal: PathBuf,
}

impl StoreConfig {
    /// A store with the usual segments and no hooks.
    pub fn new(data: impl Into<PathBuf>, guard: impl Into<PathBuf>) -> Self {
        Self {
            data: data.into(),
            guard: guard.into(),
            segment_bytes: JOURNAL_SEGMENT_BYTES,
            faults: Faults::default(),
        }
    }

    fn journal(&self, format: &Format) -> JournalConfig {
        JournalConfig {
            dir: self.data.join(JOURNAL_NAME),
            ledger: format.ledger_hash(),
            segment_bytes: self.segment_bytes,
            acknowledged: EntryIndex(0),
            faults: self.faults.clone(),
        }
    }
}

/// Has the thread that calls it take less of a busy processor than others. Where that cannot be
/// had, it takes as much.
pub fn give_way() {
    // Each thread of Linux has a priority of its own.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::setpriority_process(None, TIDIER_NICENESS);
}

impl Store {
    /// Makes an empty store. Both directories must be new or empty. What a crash before the first
    /// entry left is no ledger: nobody was told of it, and it is made anew.
    pub fn create(
        config: &StoreConfig,
        origin: &Origin,
        ledger_key: &PublicKey,
    ) -> Result<Self, StoreFault> {
        files::make_dir(&config.data)?;
        let format_path = config.data.join(FORMAT_NAME);
        let lock = DirectoryLock::acquire(&config.data)?;
        // The guard first: where it has seen anything, nothing is moved.
        let guard = Guard::open(&config.guard, config.faults.clone())?;
        if guard.current()?.is_some() {
            return Err(StoreFault::NotEmpty(config.guard.clone()));
        }
        set_stillborn_aside(config)?;
        let format = Format::new(origin, ledger_key);
        let journal = Journal::create(config.journal(&format))?;
        let database_dir = config.data.join(DATABASE_NAME);
        let (database, _) = Database::open(&database_dir, &format.ledger_hash())?;
        // Last: a directory without it is no store, however far a crash let us come.
        files::replace_file(&format_path, format.text().as_bytes())?;
        Self::assemble(config, format, journal, database, guard, lock)
    }

    /// Opens a store and says how journal and database stand; a missing database is made anew.
    pub fn open(config: &StoreConfig) -> Result<Opened, StoreFault> {
        Self::open_as(config, false)
    }

    /// Opens a store with an empty database; the one that is there is set aside, not deleted.
    pub fn open_rebuilding(config: &StoreConfig) -> Result<Opened, StoreFault> {
        Self::open_as(config, true)
    }

    /// The journal alone: takes no lock, changes nothing, works beside a running node.
    pub fn open_read_only(config: &StoreConfig) -> Result<ReadOnly, StoreFault> {
        let format = Format::read(&config.data.join(FORMAT_NAME))?;
        Ok(ReadOnly { format, journal: config.data.join(JOURNAL_NAME) })
    }

    /// A drawer of small files beside the ledger.
    pub fn cabinet(&self, drawer: Drawer) -> Result<Cabinet, StoreFault> {
        Cabinet::open(&self.config.data, drawer)
    }

    /// Where what witnesses put under the ledger's checkpoints is kept.
    pub fn cosigned(&self) -> Result<Shelf, StoreFault> {
        // The store's own lock keeps other instances out.
        Shelf::within(&self.config.data.join(COSIGNED_NAME), MAX_CHECKPOINT_BYTES as u64)
    }

    /// The ledger's name.
    pub fn origin(&self) -> &Origin {
        &self.format.origin
    }

    /// The key that it was made for.
    pub fn ledger_key(&self) -> &PublicKey {
        &self.format.ledger_key
    }

    /// How many entries are in the database.
    pub fn applied(&self) -> EntryCount {
        EntryCount(self.applied.load(Ordering::Acquire))
    }

    /// How many entries are in the journal.
    pub fn journaled(&self) -> EntryCount {
        EntryCount(self.journal().next().0)
    }

    /// Fails where a test wants it to, outside of the store's own steps.
    pub fn fault(&self, point: FaultPoint) -> Result<(), StoreFault> {
        self.marked(self.config.faults.at(point, &self.config.data))
    }

    /// Whether an earlier fault stopped all writing.
    pub fn is_poisoned(&self) -> bool {
        self.is_poisoned.load(Ordering::Acquire)
    }

    /// Writes a group into the journal; it is durable when this returns.
    pub fn journal_append(&self, group: &Group) -> Result<(), StoreFault> {
        self.step(|| self.journal().append(group))
    }

    /// How long the journal's last sync took.
    pub fn last_journal_sync(&self) -> Duration {
        self.journal().last_sync()
    }

    /// Bytes of the database's files.
    pub fn database_bytes(&self) -> Result<u64, StoreFault> {
        self.database.size_on_disk()
    }

    /// The durable groups from the one that holds `from`.
    pub fn journal_read(&self, from: EntryIndex) -> Result<Groups, StoreFault> {
        self.journal().read(from)
    }

    /// Writes a group and its changes into the database, whole or not at all. Not durable until the
    /// next sync; the journal makes it again. A group that is there already is only compared.
    pub fn write_group(&self, rows: &GroupRows<'_>) -> Result<(), StoreFault> {
        let place = self.config.data.join(DATABASE_NAME);
        self.step(|| {
            self.config.faults.at(FaultPoint::BeforeDatabaseWrite, &place)?;
            let applied = write::write_group(self, rows)?;
            self.known.forget(rows.changes);
            self.applied.store(applied.0, Ordering::Release);
            self.config.faults.at(FaultPoint::AfterDatabaseWrite, &place)
        })
    }

    /// Takes the signed checkpoint of a group's end; it is read from now on. Writing the same again
    /// changes nothing; another one of the same size is refused.
    pub fn write_checkpoint(&self, size: EntryCount, signed: &[u8]) -> Result<(), StoreFault> {
        let applied = self.applied();
        if size.0 == 0 || size > applied {
            let (expected, found) = (EntryIndex(applied.0), EntryIndex(size.0));
            return Err(StoreFault::Order { place: "checkpoint", expected, found });
        }
        let place = self.config.data.join(DATABASE_NAME);
        self.step(|| {
            self.config.faults.at(FaultPoint::BeforeCheckpointWrite, &place)?;
            let mut batch = Batch::default();
            write::put_checkpoint(&self.database, &mut batch, size, signed)?;
            self.database.apply(batch)?;
            self.config.faults.at(FaultPoint::AfterCheckpointWrite, &place)
        })
    }

    /// Makes the database durable. Blocks.
    pub fn sync(&self) -> Result<(), StoreFault> {
        let place = self.config.data.join(DATABASE_NAME);
        self.step(|| {
            self.config.faults.at(FaultPoint::BeforeDatabaseSync, &place)?;
            self.database.sync()?;
            self.config.faults.at(FaultPoint::AfterDatabaseSync, &place)
        })
    }

    /// Puts older parts of the database in order, if it is time to; whether it did. Blocks for as
    /// long as they are large, or until it is told to give up; nobody waits for it meanwhile, so
    /// its thread should [`give_way`].
    pub fn tidy(&self, gives_up: &AtomicBool) -> Result<bool, StoreFault> {
        self.step(|| self.database.merge(gives_up))
    }

    /// The checkpoint in the head guard.
    pub fn guard_current(&self) -> Result<Option<Bytes>, StoreFault> {
        self.guard.current()
    }

    /// Moves the head guard, durably; from anywhere else than `expected` it is refused, and this
    /// store stops: somebody else writes this ledger. A fault of another step does not keep it from
    /// moving: what is under `next` was durable before that, and its callers wait for the guard.
    pub fn guard_advance(&self, expected: Option<&[u8]>, next: &[u8]) -> Result<(), StoreFault> {
        if self.is_guard_lost.load(Ordering::Acquire) {
            return Err(StoreFault::Poisoned);
        }
        let moved = self.marked(self.guard.advance(expected, next));
        if moved.is_err() {
            self.is_guard_lost.store(true, Ordering::Release);
        }
        moved
    }

    /// Holds every entry of the journal from `from` up to the applied ones against the database;
    /// answers how many were compared. The first that differs is named.
    pub fn compare_with_journal(&self, from: EntryIndex) -> Result<EntryCount, StoreFault> {
        let applied = self.applied();
        let mut compared = 0;
        if from.0 >= applied.0 {
            return Ok(EntryCount(0));
        }
        for group in self.journal_read(from)? {
            let group = group?;
            if group.first.0 >= applied.0 {
                break;
            }
            reads::compare_group(self, &group)?;
            compared += group.entries.len() as u64;
        }
        Ok(EntryCount(compared))
    }

    fn open_as(config: &StoreConfig, is_rebuild: bool) -> Result<Opened, StoreFault> {
        let format = Format::read(&config.data.join(FORMAT_NAME))?;
        let lock = DirectoryLock::acquire(&config.data)?;
        let guard = Guard::open(&config.guard, config.faults.clone())?;
        let acknowledged = seen_by(&guard)?;
        let (journal, torn) =
            Journal::open(JournalConfig { acknowledged, ..config.journal(&format) })?;
        let database_set_aside = if is_rebuild { set_database_aside(config)? } else { None };
        let database_dir = config.data.join(DATABASE_NAME);
        let (database, state) = Database::open(&database_dir, &format.ledger_hash())?;
        let store = Self::assemble(config, format, journal, database, guard, lock)?;
        let tail = Tail {
            applied: store.applied(),
            journaled: store.journaled(),
            torn,
            database: state,
            database_set_aside,
        };
        if tail.applied > tail.journaled {
            let index = EntryIndex(tail.journaled.0);
            let detail = format!("the database has {} entries, the journal fewer", tail.applied);
            return Err(StoreFault::Disagreement { index, detail });
        }
        Ok(Opened { store, tail })
    }

    fn assemble(
        config: &StoreConfig,
        format: Format,
        journal: Journal,
        database: Database,
        guard: Guard,
        lock: DirectoryLock,
    ) -> Result<Self, StoreFault> {
        let (applied, _) = database.head()?;
        Ok(Self {
            config: config.clone(),
            format,
            journal: Mutex::new(journal),
            database,
            frames: Frames::of(config.data.join(JOURNAL_NAME)),
            known: Known::default(),
            guard,
            applied: AtomicU64::new(applied.0),
            is_poisoned: AtomicBool::new(false),
            is_guard_lost: AtomicBool::new(false),
            _lock: lock,
        })
    }

    /// One step of the write path. A fault that may have had an effect is the last thing that
    /// happens.
    fn step<T>(&self, act: impl FnOnce() -> Result<T, StoreFault>) -> Result<T, StoreFault> {
        if self.is_poisoned() {
            return Err(StoreFault::Poisoned);
        }
        self.marked(act())
    }

    fn marked<T>(&self, outcome: Result<T, StoreFault>) -> Result<T, StoreFault> {
        if outcome.as_ref().is_err_and(|fault| !fault.had_no_effect()) {
            self.is_poisoned.store(true, Ordering::Release);
        }
        outcome
    }

    /// A writer that panicked leaves the journal itself poisoned, so its lock needs no second mark.
    fn journal(&self) -> MutexGuard<'_, Journal> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ReadOnly {
    /// The ledger's name, as the store says.
    pub fn origin(&self) -> &Origin {
        &self.format.origin
    }

    /// The ledger's key, as the store says.
    pub fn ledger_key(&self) -> &PublicKey {
        &self.format.ledger_key
    }

    /// The groups from the one that holds `from` to the end of the files. An unfinished write at
    /// the end comes as a [`JournalCause::Torn`].
    pub fn journal_read(&self, from: EntryIndex) -> Result<Groups, StoreFault> {
        Groups::new(&self.journal, self.format.ledger_hash(), from, None)
    }
}

/// Entries under the guard's checkpoint, as it says; whether it is this ledger's is the node's to
/// check.
fn seen_by(guard: &Guard) -> Result<EntryIndex, StoreFault> {
    let seen = guard.current()?.and_then(|text| SignedCheckpoint::parse(&text).ok());
    Ok(seen.map_or(EntryIndex(0), |(said, _)| EntryIndex(said.size.0)))
}

/// Reads the groups of a data directory's journal: takes no lock, changes nothing, works beside a
/// node.
pub fn read_journal(data: &Path) -> Result<Groups, StoreFault> {
    Store::open_read_only(&StoreConfig::new(data, data))?.journal_read(EntryIndex(0))
}

/// Sets aside what a crash between the making of a store and its first entry left; refuses anything
/// that may ever have held an entry. Nothing is deleted.
fn set_stillborn_aside(config: &StoreConfig) -> Result<(), StoreFault> {
    if !is_stillborn(config)? {
        return Err(StoreFault::NotEmpty(config.data.clone()));
    }
    // The journal after the database and before the name: what a crash in between leaves is
    // stillborn as well.
    for name in [DATABASE_NAME, JOURNAL_NAME, FORMAT_NAME] {
        let path = config.data.join(name);
        if path.exists() {
            let aside = files::free_name(&config.data, &format!("{name}.stillborn-"))?;
            std::fs::rename(&path, &aside).map_err(fault::io_at("rename to", &aside))?;
            files::sync_dir(&config.data)?;
        }
    }
    Ok(())
}

/// Whether nothing was ever appended here: there is no journal and no database, or one segment that
/// is blank, or, under a name that can be read, one whose first frame was never finished.
fn is_stillborn(config: &StoreConfig) -> Result<bool, StoreFault> {
    let (format_path, journal) = (config.data.join(FORMAT_NAME), config.data.join(JOURNAL_NAME));
    let segments = if journal.exists() { segment::list(&journal)? } else { Vec::new() };
    let [first] = segments.as_slice() else {
        return Ok(segments.is_empty() && !config.data.join(DATABASE_NAME).exists());
    };
    if !format_path.exists() {
        return segment::is_blank(&journal, *first);
    }
    let format = Format::read(&format_path)?;
    let mut groups = Groups::new(&journal, format.ledger_hash(), EntryIndex(0), None)?;
    Ok(match groups.next() {
        None => true,
        Some(Err(fault)) => matches!(fault.cause, JournalCause::Torn(_)),
        Some(Ok(_)) => false,
    })
}

/// Reads a head guard without taking its lock or making anything.
pub fn read_guard(directory: &Path) -> Result<Option<Bytes>, StoreFault> {
    guard::read(directory)
}

/// Reads the newest checkpoint that witnesses cosigned and a node kept, without a lock.
pub fn read_cosigned(data: &Path) -> Result<Option<Vec<u8>>, StoreFault> {
    let path = data.join(COSIGNED_NAME).join(COSIGNED_FILE);
    files::read_small(&path, MAX_CHECKPOINT_BYTES as u64)
}

/// Whether a start may make a broken database anew by itself: there is room for another one, and
/// not so many were set aside before that somebody should look.
pub fn has_room_to_rebuild(config: &StoreConfig) -> bool {
    let free = files::free_bytes(&config.data);
    let is_roomy = free.is_none_or(|free| free >= MIN_FREE_BYTES);
    let lost = format!("{DATABASE_LOST_STEM}{MAX_REBUILDS_UNASKED}");
    is_roomy && !config.data.join(lost).exists()
}

/// Moves the database out of the way; `None` when there is none.
fn set_database_aside(config: &StoreConfig) -> Result<Option<PathBuf>, StoreFault> {
    let database = config.data.join(DATABASE_NAME);
    if !database.exists() {
        return Ok(None);
    }
    let aside = files::free_name(&config.data, DATABASE_LOST_STEM)?;
    std::fs::rename(&database, &aside).map_err(fault::io_at("rename to", &aside))?;
    // A crash here leaves the database under one of the two names; either way the journal is whole.
    files::sync_dir(&config.data)?;
    Ok(Some(aside))
}
