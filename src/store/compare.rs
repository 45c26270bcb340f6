//! Two databases held against each other, row by row: the one that a data directory has, and a
//! *shadow* that was made from the journal alone. What the ledger answers with is the database, so
//! a row that the journal does not bear out is a lie that no checkpoint shows.
//!
//! sled writes when it opens: the database that is there is copied, and only the copy is opened.
//! Nothing that may be in it is trusted; a copy at which sled panics is one that cannot be read.

use std::cmp::Ordering;
use std::fmt;
use std::fs::{self, File};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering as Atomic};
use std::time::Duration;

use bytes::Bytes;
use sled::IVec;

use super::codec;
use super::database::{Database, LOG_NAME};
use super::fault::{StoreFault, io_at};
use super::frames::Frames;
use super::keyspace::Key;
use super::lives::LotRow;
use super::{DATABASE_NAME, ReadOnly, Store, StoreConfig, files};
use crate::domain::lot::EventRecord;
use crate::domain::{EntryCount, EntryIndex, EventId, LotId, PartyId, SiteId};
use crate::limits::{
    DATABASE_OPEN_PAUSE_MS, MAX_DATABASE_OPEN_ATTEMPTS, MAX_SET_ASIDE, MIN_COMPARE_FREE_BYTES,
    SEGMENT_HEADER_BYTES, STORED_ROW_HASHES,
};

/// A row in which two databases differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Which table, in words.
    pub table: &'static str,
    /// Which row of it.
    pub row: String,
    /// How.
    pub kind: DifferenceKind,
    /// The entry that the row is about, or the last one that changed what it is about.
    pub entry: Option<EntryIndex>,
    /// The lot that the row is about.
    pub lot: Option<LotId>,
}

/// How a row differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DifferenceKind {
    /// The journal makes it, and the database lacks it.
    Missing,
    /// The database has it, and the journal does not make it.
    Added,
    /// Its value is another one.
    Changed {
        /// The first byte that differs, from 0.
        offset: usize,
        /// Bytes in the database.
        found: usize,
        /// Bytes by the journal.
        expected: usize,
    },
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { table, row, kind, entry, .. } = self;
        match kind {
            DifferenceKind::Missing => {
                write!(f, "{table}: {row}: the journal makes it, and the database lacks it")?;
            }
            DifferenceKind::Added => {
                write!(f, "{table}: {row}: the database has it, and the journal does not make it")?;
            }
            DifferenceKind::Changed { offset, found, expected } => write!(
                f,
                "{table}: {row}: its {found} bytes differ from byte {offset} on from the \
                 {expected} that the journal makes"
            )?,
        }
        match entry {
            Some(index) => write!(f, " (entry {index})"),
            None => Ok(()),
        }
    }
}

/// What the comparison of two databases says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compared {
    /// Rows that are the same.
    pub same: u64,
    /// Rows that differ.
    pub differing: u64,
    /// The first of these, by key.
    pub first: Option<Difference>,
}

/// Why a database was not looked at.
#[derive(Debug, thiserror::Error)]
pub enum FoundFault {
    /// It would not be right to, or there is nothing to look at.
    #[error("{0}")]
    NotPerformed(String),
    /// It is there, and it cannot be read.
    #[error("{0}")]
    Unreadable(String),
    /// A file failed.
    #[error(transparent)]
    Store(#[from] StoreFault),
}

/// A copy of the database of a data directory. Gone when it is dropped.
#[derive(Debug)]
pub struct Found {
    database: Database,
    _scratch: Scratch,
}

/// A store whose database is to be made from another's journal. Gone when it is dropped.
#[derive(Debug)]
pub struct Shadow {
    store: Store,
    _scratch: Scratch,
}

impl Found {
    /// Copies a database that nobody uses into a directory of its own under `scratch`, and opens
    /// the copy. The caller holds the lock of the store.
    pub fn copy(source: &ReadOnly, data: &Path, scratch: &Path) -> Result<Self, FoundFault> {
        let dir = data.join(DATABASE_NAME);
        if !dir.is_dir() {
            let why = "there is no database yet; the next start makes it".to_owned();
            return Err(FoundFault::NotPerformed(why));
        }
        wait_for_sled(&dir)?;
        let size = size_of(&dir)?;
        // The shadow is about as large as the copy.
        let needed = size.saturating_mul(2).saturating_add(MIN_COMPARE_FREE_BYTES);
        let place = Scratch::under(scratch)?;
        if let Some(free) = files::free_bytes(&place.0).filter(|free| *free < needed) {
            let why = format!("{} has {free} bytes free, and it takes {needed}", scratch.display());
            return Err(FoundFault::NotPerformed(why));
        }
        let copy = place.0.join("found");
        copy_directory(&dir, &copy).map_err(no_space)?;
        let ledger = source.format.ledger_hash();
        match Database::open(&copy, &ledger) {
            Ok((database, _)) => Ok(Self { database, _scratch: place }),
            Err(fault) => Err(unreadable(fault)),
        }
    }

    /// How many entries it says that it has; `None` when it cannot say.
    pub fn applied(&self) -> Option<EntryCount> {
        guarded(|| self.database.head()).ok().map(|(size, _)| size)
    }

    /// The checkpoint that it keeps of a size.
    pub fn checkpoint(&self, size: EntryCount) -> Option<Bytes> {
        let found = guarded(|| self.database.get(&Key::Checkpoint(size))).ok().flatten();
        found.map(|text| Bytes::copy_from_slice(&text))
    }

    /// Holds every row of it against a shadow's, both ways.
    ///
    /// The checkpoint over the very last group may be missing: a crash came before it was kept, and
    /// the next start writes it.
    pub fn compare(&self, shadow: &Shadow) -> Result<Compared, FoundFault> {
        let expected = &shadow.store.database;
        guarded(|| {
            if let Some(tree) = self.database.strange_tree() {
                let rule = format!("it has a tree {tree:?}, which no database of ours has");
                return Err(StoreFault::value(&Key::Meta, rule));
            }
            if let Some(key) = self.database.strange_row()? {
                let rule = format!("it has a key {key:02x?}, and no row of ours lies there");
                return Err(StoreFault::value(&Key::Meta, rule));
            }
            let head = Key::Checkpoint(expected.head()?.0).bytes();
            compare_rows(&self.database, expected, &head)
        })
        .map_err(unreadable)
    }
}

impl Shadow {
    /// An empty one of the same ledger, under `scratch`.
    pub fn create(source: &ReadOnly, scratch: &Path) -> Result<Self, StoreFault> {
        let place = Scratch::under(scratch)?;
        let mut config = StoreConfig::new(place.0.join("data"), place.0.join("guard"));
        // Its own journal stays empty.
        config.segment_bytes = SEGMENT_HEADER_BYTES as u64;
        let mut store = Store::create(&config, source.origin(), source.ledger_key())?;
        store.frames = Frames::of(source.journal.clone());
        Ok(Self { store, _scratch: place })
    }

    /// The store that groups are written to.
    pub fn store(&self) -> &Store {
        &self.store
    }
}

/// A directory of our own, gone when it is dropped.
#[derive(Debug)]
struct Scratch(PathBuf);

impl Scratch {
    fn under(parent: &Path) -> Result<Self, StoreFault> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        for _ in 0..MAX_SET_ASIDE {
            let number = NUMBER.fetch_add(1, Atomic::Relaxed);
            let name = format!("urbanmine-compare-{}-{number}", std::process::id());
            let path = parent.join(name);
            let mut builder = fs::DirBuilder::new();
            // Nobody else may look into it, or have put it there.
            #[cfg(unix)]
            std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
            match builder.create(&path) {
                Ok(()) => return Ok(Self(path)),
                Err(taken) if taken.kind() == io::ErrorKind::AlreadyExists => {}
                Err(other) => return Err(io_at("make directory", &path)(other)),
            }
        }
        let rule = "too many comparisons were left there; clear them away".to_owned();
        Err(StoreFault::Format { path: parent.to_owned(), rule })
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Whether a fault says that there is no room.
pub fn is_no_space(fault: &StoreFault) -> bool {
    let kind = match fault {
        StoreFault::Io { source, .. }
        | StoreFault::Sled { source: sled::Error::Io(source), .. } => source.kind(),
        _ => return false,
    };
    matches!(kind, io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

fn no_space(fault: StoreFault) -> FoundFault {
    if is_no_space(&fault) {
        return FoundFault::NotPerformed(format!("there is no room for a copy: {fault}"));
    }
    FoundFault::Store(fault)
}

/// What the copy of a database answers with when it is opened or read.
fn unreadable(fault: StoreFault) -> FoundFault {
    match no_space(fault) {
        FoundFault::Store(fault) => FoundFault::Unreadable(fault.to_string()),
        other => other,
    }
}

/// Reads a database of which anything may be true: sled panics at some that are damaged.
fn guarded<T>(read: impl FnOnce() -> Result<T, StoreFault>) -> Result<T, StoreFault> {
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_| {
        let rule = "it panicked while it was read; rebuild it";
        Err(StoreFault::value(&Key::Meta, rule))
    })
}

/// Threads of an instance that was closed just now may still write; they hold sled's own lock.
fn wait_for_sled(dir: &Path) -> Result<(), FoundFault> {
    let log = dir.join(LOG_NAME);
    for _ in 0..MAX_DATABASE_OPEN_ATTEMPTS {
        match File::open(&log).and_then(|file| Ok(file.try_lock_shared()?)) {
            Err(held) if held.kind() == io::ErrorKind::WouldBlock => {
                std::thread::sleep(Duration::from_millis(DATABASE_OPEN_PAUSE_MS));
            }
            // Free, or not even there: what that means, the opening says.
            _ => return Ok(()),
        }
    }
    Err(FoundFault::NotPerformed("the database is in use".to_owned()))
}

/// Files and directories, as sled has them; what they mean is found out by opening.
fn copy_directory(from: &Path, to: &Path) -> Result<(), StoreFault> {
    fs::create_dir(to).map_err(io_at("make directory", to))?;
    for item in fs::read_dir(from).map_err(io_at("list", from))? {
        let item = item.map_err(io_at("list", from))?;
        let (path, target) = (item.path(), to.join(item.file_name()));
        let kind = item.file_type().map_err(io_at("look at", &path))?;
        if kind.is_file() {
            fs::copy(&path, &target).map_err(io_at("copy", &path))?;
        } else if kind.is_dir() {
            copy_directory(&path, &target)?;
        }
    }
    Ok(())
}

fn size_of(dir: &Path) -> Result<u64, StoreFault> {
    let mut sum: u64 = 0;
    for item in fs::read_dir(dir).map_err(io_at("list", dir))? {
        let item = item.map_err(io_at("list", dir))?;
        let metadata = item.metadata().map_err(io_at("look at", item.path()))?;
        let size = if metadata.is_dir() { size_of(&item.path())? } else { metadata.len() };
        sum = sum.saturating_add(size);
    }
    Ok(sum)
}

/// Walks both in the order of their keys, a row of each in hand.
fn compare_rows(
    found: &Database,
    expected: &Database,
    may_be_missing: &[u8],
) -> Result<Compared, StoreFault> {
    let mut told = Compared { same: 0, differing: 0, first: None };
    let (mut found_rows, mut expected_rows) = (found.rows(), expected.rows());
    let (mut one, mut other) = (take(&mut found_rows)?, take(&mut expected_rows)?);
    // Each turn takes a row of one of two finite walks.
    loop {
        let order = match (&one, &other) {
            (None, None) => return Ok(told),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some((key, _)), Some((expected, _))) => key.cmp(expected),
        };
        let (row, by_journal) = match order {
            Ordering::Less => (std::mem::replace(&mut one, take(&mut found_rows)?), None),
            Ordering::Greater => (None, std::mem::replace(&mut other, take(&mut expected_rows)?)),
            Ordering::Equal => (
                std::mem::replace(&mut one, take(&mut found_rows)?),
                std::mem::replace(&mut other, take(&mut expected_rows)?),
            ),
        };
        let is_same = match (&row, &by_journal) {
            (Some((_, value)), Some((_, expected))) => value == expected,
            (None, Some((key, _))) => key == may_be_missing,
            _ => false,
        };
        if is_same {
            told.same += 1;
            continue;
        }
        told.differing += 1;
        if told.first.is_none() {
            told.first = Some(describe(row.as_ref(), by_journal.as_ref(), expected));
        }
    }
}

type Row = (Vec<u8>, IVec);

fn take(
    rows: &mut impl Iterator<Item = Result<Row, StoreFault>>,
) -> Result<Option<Row>, StoreFault> {
    rows.next().transpose()
}

/// A difference in words; what it is about is asked of the shadow.
fn describe(found: Option<&Row>, expected: Option<&Row>, shadow: &Database) -> Difference {
    let raw = found.or(expected).map(|(key, _)| key.clone()).unwrap_or_default();
    let kind = match (found, expected) {
        (Some((_, found)), Some((_, expected))) => DifferenceKind::Changed {
            offset: found.iter().zip(expected.iter()).take_while(|(a, b)| a == b).count(),
            found: found.len(),
            expected: expected.len(),
        },
        (Some(_), None) => DifferenceKind::Added,
        (None, _) => DifferenceKind::Missing,
    };
    let Some(key) = Key::parse(&raw) else {
        let row = format!("key {raw:02x?}");
        let table = "rows that no database of ours has";
        return Difference { table, row, kind, entry: None, lot: None };
    };
    let value = expected.map_or(&[][..], |(_, value)| value);
    let offset = match kind {
        DifferenceKind::Changed { offset, .. } => offset,
        DifferenceKind::Missing | DifferenceKind::Added => 0,
    };
    let lot = lot_of(&key);
    let entry = entry_of(&key, value, offset)
        .or_else(|| last_of(&key, shadow).ok().flatten())
        // A row that was added may name an entry that is not there.
        .filter(|index| shadow.head().is_ok_and(|(size, _)| index.0 < size.0));
    Difference { table: table_of(&key), row: row_of(&key), kind, entry, lot }
}

fn table_of(key: &Key) -> &'static str {
    match key {
        Key::Meta => "which ledger the database is of",
        Key::Head => "how far the database goes",
        Key::Ledger => "the ledger's own state",
        Key::Frame(_) => "places of entries",
        Key::Row(..) => "hashes of the tree",
        Key::Checkpoint(_) => "checkpoints",
        Key::Party(_) => "parties",
        Key::CreditCode(_) => "parties by credit code",
        Key::Site(_) => "sites",
        Key::Signer(_) => "signing keys",
        Key::Lot(_) => "lots",
        Key::Transfer(_) => "transfers",
        Key::Event(_) => "events",
        Key::Life(..) => "lives of lots",
        Key::Movements(_) => "movements of metal",
        Key::TableChunk(..) => "published tables",
        Key::Campaign(_) => "campaigns",
        Key::Line(..) => "last campaigns of lines",
        Key::LotTile(_) => "map of lot states",
        Key::LotState => "the ledger's last statement of its lots",
        Key::LotTransfer(..) => "transfers of lots",
        Key::Waiver(..) => "waivers",
        Key::Credit(..) => "credits",
        Key::Acknowledgement(..) => "acknowledgements",
        Key::Holding(..) => "lots by owner and possessor",
        Key::Concerned(..) => "entries that concern a party",
        Key::RelatedLot(..) => "lots that a party is related to",
        Key::PartyTransfer(..) => "transfers of parties",
        Key::GrantedLot(..) => "lots that a party has a grant for",
        Key::Acquainted(..) => "parties that know each other",
        Key::PartyVersion(..) => "parties as they stood",
        Key::SiteVersion(..) => "sites as they stood",
        Key::KindEntry(..) => "entries by kind",
        Key::SiteOf(..) => "sites of parties",
        Key::PublicParty(_) => "public parties",
        Key::Facts(_) => "what entries changed",
        Key::Attestation(_) => "attestations",
    }
}

fn row_of(key: &Key) -> String {
    match key {
        Key::Meta | Key::Head | Key::Ledger | Key::LotState => "its one row".to_owned(),
        Key::LotTile(path) => format!("tile {path:?}"),
        Key::Row(level, number) => format!("row {number} of tree level {}", u16::from(*level) * 4),
        Key::Checkpoint(size) => format!("at {size} entries"),
        Key::Party(id) | Key::PublicParty(id) => format!("party {id}"),
        Key::CreditCode(code) => format!("code {code:?}"),
        Key::Site(id) => format!("site {id}"),
        Key::Signer(id) => format!("key {id}"),
        Key::Lot(id) => format!("lot {id}"),
        Key::Transfer(offer) => format!("offer {offer}"),
        Key::Event(id) => format!("event {id}"),
        Key::Life(lot, ordinal) => format!("lot {lot}, from ordinal {ordinal} on"),
        Key::Attestation(index) => format!("entry {index}"),
        Key::Frame(last) => format!("the group that ends with entry {last}"),
        Key::Facts(last) | Key::Movements(last) => {
            format!("the pack that ends with entry {last}")
        }
        Key::TableChunk(set, chunk) => format!("set {set}, chunk {chunk}"),
        Key::Campaign(id) => format!("campaign {id}"),
        Key::Line(site, process) => format!("site {site}, process {process:?}"),
        Key::LotTransfer(lot, offer) => format!("lot {lot}, offer {offer}"),
        Key::Waiver(reason_code, subject) => format!("{reason_code:?} of {subject:?}"),
        Key::Credit(site, substance, month) => {
            format!("site {site}, substance {substance}, month {month}")
        }
        Key::Acknowledgement(anomaly, party) => format!("{anomaly:?} by party {party}"),
        Key::Holding(party, lot) | Key::RelatedLot(party, lot) | Key::GrantedLot(party, lot) => {
            format!("party {party}, lot {lot}")
        }
        Key::Concerned(party, last) => format!("party {party}, up to entry {last}"),
        Key::PartyVersion(party, index) => format!("party {party}, entry {index}"),
        Key::PartyTransfer(party, offer) => format!("party {party}, offer {offer}"),
        Key::Acquainted(party, other) => format!("parties {party} and {other}"),
        Key::SiteVersion(site, index) => format!("site {site}, entry {index}"),
        Key::KindEntry(kind, last) => format!("kind {kind}, up to entry {last}"),
        Key::SiteOf(party, site) => format!("party {party}, site {site}"),
    }
}

fn lot_of(key: &Key) -> Option<LotId> {
    match key {
        Key::Lot(lot)
        | Key::Life(lot, _)
        | Key::LotTransfer(lot, _)
        | Key::Holding(_, lot)
        | Key::RelatedLot(_, lot)
        | Key::GrantedLot(_, lot) => Some(*lot),
        _ => None,
    }
}

/// The entry that a row is about, as its key or its lawful value says.
fn entry_of(key: &Key, value: &[u8], offset: usize) -> Option<EntryIndex> {
    match key {
        Key::Frame(last) => Some(entry_in_place(value, offset).unwrap_or(*last)),
        Key::Row(level, number) => {
            let within = u64::try_from(offset / 32).ok()?;
            let node = number.checked_mul(STORED_ROW_HASHES as u64)?.checked_add(within)?;
            node.checked_mul(1_u64.checked_shl(u32::from(*level) * 4)?).map(EntryIndex)
        }
        Key::Checkpoint(size) => size.0.checked_sub(1).map(EntryIndex),
        Key::Movements(index)
        | Key::Facts(index)
        | Key::Attestation(index)
        | Key::Concerned(_, index)
        | Key::PartyVersion(_, index)
        | Key::SiteVersion(_, index)
        | Key::KindEntry(_, index) => Some(*index),
        Key::Event(_) => codec::decode::<EventRecord>(value).ok().map(|record| record.index),
        Key::Life(..) => {
            let chunk = codec::decode::<Vec<(EventId, EntryIndex)>>(value).ok()?;
            chunk.last().map(|(_, index)| *index)
        }
        _ => None,
    }
}

/// In the place of a group: three numbers of eight bytes, the first entry before them all, then two
/// bytes for each entry.
fn entry_in_place(place: &[u8], offset: usize) -> Option<EntryIndex> {
    let (first, _) = place.split_first_chunk::<8>()?;
    let position = u64::try_from(offset.saturating_sub(24) / 2).ok()?;
    u64::from_be_bytes(*first).checked_add(position).map(EntryIndex)
}

/// The last entry that changed what a row is about, as the shadow says.
fn last_of(key: &Key, shadow: &Database) -> Result<Option<EntryIndex>, StoreFault> {
    if let Some(lot) = lot_of(key) {
        let row = shadow.value::<LotRow>(&Key::Lot(lot))?;
        return Ok(row.map(|row| row.lot.life.last));
    }
    match key {
        Key::Party(id) | Key::PublicParty(id) => last_of_party(*id, shadow),
        Key::Site(id) | Key::SiteOf(_, id) => last_of_site(*id, shadow),
        Key::Transfer(offer) | Key::PartyTransfer(_, offer) => {
            Ok(shadow.value::<EventRecord>(&Key::Event(*offer))?.map(|record| record.index))
        }
        _ => Ok(None),
    }
}

fn last_of_party(id: PartyId, shadow: &Database) -> Result<Option<EntryIndex>, StoreFault> {
    let range = |index| Key::PartyVersion(id, EntryIndex(index));
    Ok(match shadow.last_row_before(&range(0), &range(u64::MAX))? {
        Some((Key::PartyVersion(_, index), _)) => Some(index),
        _ => None,
    })
}

fn last_of_site(id: SiteId, shadow: &Database) -> Result<Option<EntryIndex>, StoreFault> {
    let range = |index| Key::SiteVersion(id, EntryIndex(index));
    Ok(match shadow.last_row_before(&range(0), &range(u64::MAX))? {
        Some((Key::SiteVersion(_, index), _)) => Some(index),
        _ => None,
    })
}
