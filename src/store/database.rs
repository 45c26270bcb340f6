//! The sled database: everything that is read. It says nothing that the journal does not say as well.
//!
//! One tree, so that a group is one atomic batch. `flush()` of sled 0.34 does not fsync, so [`Database::sync`]
//! does, through handles of our own.

use std::fs::File;
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::codec::{self, Stored};
use super::fault::StoreFault;
use super::faults::{FaultPoint, Faults};
use super::keyspace::Key;
use super::tiles::{self, fold, place_of};
use super::{GroupRows, make_directory, sync_directory};
use crate::domain::effects::LedgerState;
use crate::domain::lot::{EventRecord, Lot, Transfer};
use crate::domain::memory::MemoryState;
use crate::domain::movement::Movement;
use crate::domain::party::{KeyState, PartyState, Site};
use crate::domain::{EntryCount, EntryIndex, EventId, Hash32, KeyId, LotId, PartyId, SiteId};
use crate::ledger::frame::Group;
use crate::ledger::hash::ChainValue;
use crate::limits::{MAX_LOTS_SCANNED, MAX_PACKED_BYTES, MAX_PACKED_ENTRIES};

const TREE: &str = "ledger";

/// Lots that matched, and how far the list was looked through.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct LotScan {
    /// Those that matched, in order of their ids.
    pub lots: Vec<Lot>,
    /// The last lot that was looked at, when the list goes on after it; `None` at its end.
    pub stopped_at: Option<LotId>,
}

/// The open database.
#[derive(Debug)]
pub struct Database {
    directory: PathBuf,
    db: sled::Db,
    tree: sled::Tree,
    faults: Faults,
}

impl Database {
    /// Opens it, or makes an empty one.
    pub fn open(directory: &Path, faults: &Faults) -> Result<Self, StoreFault> {
        make_directory(directory)?;
        let db = sled::Config::new()
            .path(directory)
            .flush_every_ms(None) // we decide when it is synced
            .cache_capacity(256 * 1024 * 1024)
            .open()?;
        let tree = db.open_tree(TREE)?;
        let database =
            Self { directory: directory.to_path_buf(), db, tree, faults: faults.clone() };
        // A crash while it is made: it opens empty, or is rebuilt from the journal.
        database.sync_files()?;
        Ok(database)
    }

    /// Applied entries, and the chain value after the last.
    pub fn head(&self) -> Result<(EntryCount, ChainValue), StoreFault> {
        let head: Option<(u64, ChainValue)> = self.get(Key::Head)?;
        Ok(head.map_or((EntryCount(0), ChainValue::START), |(size, at)| (EntryCount(size), at)))
    }

    /// Writes a group in one atomic batch.
    pub fn write_group(&self, rows: &GroupRows<'_>) -> Result<(), StoreFault> {
        self.faults.at(FaultPoint::BeforeDatabaseWrite)?;
        let mut batch = sled::Batch::default();
        for (first, packed) in pack(rows.group) {
            batch.insert(Key::Entries(first).bytes(), packed);
        }
        let row = |level, number| self.row(level, number);
        for ((level, number), hashes) in tiles::append(rows.group.first.0, rows.leaves, row)? {
            batch.insert(Key::Tile(level, number).bytes(), flat(&hashes));
        }
        put_changes(&mut batch, rows.changes)?;
        for index in rows.retracted {
            batch.remove(Key::Movement(*index).bytes());
        }
        let head = (rows.group.end().0, rows.chain);
        batch.insert(Key::Head.bytes(), codec::to_bytes(&head));
        // A crash inside: sled applies a batch on one tree whole or not at all; else a rebuild.
        self.tree.apply_batch(batch)?;
        self.faults.at(FaultPoint::AfterDatabaseWrite)
    }

    /// Keeps a signed checkpoint under its size.
    pub fn write_checkpoint(&self, size: EntryCount, signed: &[u8]) -> Result<(), StoreFault> {
        self.tree.insert(Key::Checkpoint(size).bytes(), signed)?;
        self.faults.at(FaultPoint::AfterCheckpointWrite)
    }

    /// Makes all of it durable.
    pub fn sync(&self) -> Result<(), StoreFault> {
        self.faults.at(FaultPoint::BeforeDatabaseSync)?;
        self.db.flush()?;
        self.sync_files()?;
        self.faults.at(FaultPoint::AfterDatabaseSync)
    }

    fn sync_files(&self) -> Result<(), StoreFault> {
        sync_tree_of_files(&self.directory, 0)
    }

    // --- entries and tree ---------------------------------------------------------------------------

    /// Consecutive entries from one on, as many as there are.
    pub fn entries(&self, from: EntryIndex, max: usize) -> Result<Vec<Bytes>, StoreFault> {
        let mut found = Vec::with_capacity(max.min(1_024));
        let start = Key::Entries(from).bytes();
        let tag = [Key::Entries(from).tag()];
        // The run that holds `from` begins at or before it.
        let Some(run) = self.tree.range::<&[u8], _>(&tag[..]..=&start[..]).next_back() else {
            return Ok(found);
        };
        let first_run = run?.0;
        for run in self.tree.range(first_run..) {
            let (key, packed) = run?;
            if key.first() != tag.first() || found.len() >= max {
                break;
            }
            let first = number_of(&key)?;
            for (position, entry) in unpack(&key, &packed)?.into_iter().enumerate() {
                let index = first + position as u64;
                if index >= from.0 && found.len() < max {
                    found.push(entry);
                }
            }
        }
        Ok(found)
    }

    /// The first checkpoint over an entry.
    pub fn checkpoint_covering(
        &self,
        index: EntryIndex,
    ) -> Result<Option<(EntryCount, Bytes)>, StoreFault> {
        let start = Key::Checkpoint(EntryCount(index.next().0)).bytes();
        let tag = start[0];
        let found = self.tree.range(start..).next().transpose()?;
        checkpoint_of(found.filter(|(key, _)| key.first() == Some(&tag)))
    }

    /// The last checkpoint.
    pub fn latest_checkpoint(&self) -> Result<Option<(EntryCount, Bytes)>, StoreFault> {
        let tag = [Key::Checkpoint(EntryCount(0)).tag()];
        checkpoint_of(self.tree.scan_prefix(tag).next_back().transpose()?)
    }

    /// A node of the tree over whole subtrees.
    pub fn node(&self, level: u8, index: u64) -> Result<Hash32, StoreFault> {
        let (stored, number, place, count) = place_of(level, index);
        let row = self.row(stored, number)?;
        match row.get(place..place + count) {
            Some(hashes) => Ok(fold(hashes)),
            None => Err(StoreFault::Database {
                key: hex(&Key::Tile(stored, number).bytes()),
                rule: format!("the row holds node {index} of level {level}"),
            }),
        }
    }

    fn row(&self, level: u8, number: u64) -> Result<Vec<Hash32>, StoreFault> {
        let key = Key::Tile(level, number).bytes();
        let Some(bytes) = self.tree.get(&key)? else { return Ok(Vec::new()) };
        let (hashes, rest) = bytes.as_chunks::<32>();
        if !rest.is_empty() {
            return Err(fault(&key, "a row is whole hashes"));
        }
        Ok(hashes.iter().map(|hash| Hash32(*hash)).collect())
    }

    // --- state --------------------------------------------------------------------------------------

    fn get<T: Stored>(&self, key: Key<'_>) -> Result<Option<T>, StoreFault> {
        let key = key.bytes();
        match self.tree.get(&key)? {
            Some(bytes) => read(&key, &bytes).map(Some),
            None => Ok(None),
        }
    }

    /// Values of one kind after a key, at most `max`.
    fn list<T: Stored>(
        &self,
        tag: u8,
        after: Option<Vec<u8>>,
        max: usize,
    ) -> Result<Vec<T>, StoreFault> {
        self.rows(tag, after).take(max).collect()
    }

    /// Values of one kind after a key, in the order of their keys.
    fn rows<T: Stored>(
        &self,
        tag: u8,
        after: Option<Vec<u8>>,
    ) -> impl Iterator<Item = Result<T, StoreFault>> {
        // The key right after another one is it with a zero byte.
        let start = after.map_or_else(
            || vec![tag],
            |mut key| {
                key.push(0);
                key
            },
        );
        self.tree.range(start..).map_while(move |row| match row {
            Ok((key, bytes)) => (key.first() == Some(&tag)).then(|| read(&key, &bytes)),
            Err(error) => Some(Err(error.into())),
        })
    }

    /// The ledger's own state.
    pub fn ledger(&self) -> Result<Option<LedgerState>, StoreFault> {
        self.get(Key::Ledger)
    }

    /// A party.
    pub fn party(&self, id: PartyId) -> Result<Option<PartyState>, StoreFault> {
        self.get(Key::Party(id))
    }

    /// Parties after one.
    pub fn parties(
        &self,
        after: Option<PartyId>,
        max: usize,
    ) -> Result<Vec<PartyState>, StoreFault> {
        let tag = Key::Party(PartyId::from_bytes([0; 16])).tag();
        self.list(tag, after.map(|id| Key::Party(id).bytes()), max)
    }

    /// Who has a credit code.
    pub fn party_of_credit_code(&self, code: &str) -> Result<Option<PartyId>, StoreFault> {
        self.get(Key::CreditCode(code))
    }

    /// A site.
    pub fn site(&self, id: SiteId) -> Result<Option<Site>, StoreFault> {
        self.get(Key::Site(id))
    }

    /// Sites after one.
    pub fn sites(&self, after: Option<SiteId>, max: usize) -> Result<Vec<Site>, StoreFault> {
        let tag = Key::Site(SiteId::from_bytes([0; 16])).tag();
        self.list(tag, after.map(|id| Key::Site(id).bytes()), max)
    }

    /// A signing key.
    pub fn key(&self, id: KeyId) -> Result<Option<KeyState>, StoreFault> {
        self.get(Key::SigningKey(id))
    }

    /// A lot.
    pub fn lot(&self, id: LotId) -> Result<Option<Lot>, StoreFault> {
        self.get(Key::Lot(id))
    }

    /// Lots after one that match, until `max` of them do or the scan has cost enough.
    pub fn lots(
        &self,
        after: Option<LotId>,
        max: usize,
        matches: impl Fn(&Lot) -> bool,
    ) -> Result<LotScan, StoreFault> {
        let tag = Key::Lot(LotId::UPTAKE).tag();
        let mut scan = LotScan::default();
        let mut rows = self.rows::<Lot>(tag, after.map(|id| Key::Lot(id).bytes()));
        for row in rows.by_ref().take(MAX_LOTS_SCANNED) {
            let lot = row?;
            scan.stopped_at = Some(lot.id);
            if matches(&lot) {
                scan.lots.push(lot);
            }
            if scan.lots.len() >= max {
                break;
            }
        }
        if rows.next().transpose()?.is_none() {
            scan.stopped_at = None;
        }
        Ok(scan)
    }

    /// A transfer.
    pub fn transfer(&self, offer: EventId) -> Result<Option<Transfer>, StoreFault> {
        self.get(Key::Transfer(offer))
    }

    /// What is remembered of an event.
    pub fn event(&self, id: EventId) -> Result<Option<EventRecord>, StoreFault> {
        self.get(Key::Event(id))
    }

    /// An event of a lot's life.
    pub fn life(&self, lot: LotId, ordinal: u32) -> Result<Option<EventId>, StoreFault> {
        let found: Option<(EventId, EntryIndex)> = self.get(Key::Life(lot, ordinal))?;
        Ok(found.map(|(event, _)| event))
    }

    /// All of a lot's life.
    pub fn life_of(&self, lot: LotId) -> Result<Vec<(EntryIndex, EventId)>, StoreFault> {
        let prefix = &Key::Life(lot, 0).bytes()[..17];
        let mut life = Vec::new();
        for row in self.tree.scan_prefix(prefix) {
            let (key, bytes) = row?;
            let (event, index): (EventId, EntryIndex) = read(&key, &bytes)?;
            life.push((index, event));
        }
        Ok(life)
    }

    /// What an entry did to metal.
    pub fn movement(&self, index: EntryIndex) -> Result<Option<Movement>, StoreFault> {
        self.get(Key::Movement(index))
    }

    /// A chunk of tables.
    pub fn table_chunk(&self, set: Hash32, chunk: u32) -> Result<Option<Vec<u8>>, StoreFault> {
        let bytes = self.tree.get(Key::TableChunk(set, chunk).bytes())?;
        Ok(bytes.map(|bytes| bytes.to_vec()))
    }
}

fn put_changes(batch: &mut sled::Batch, changes: &MemoryState) -> Result<(), StoreFault> {
    let mut put = |key: Key<'_>, value: Vec<u8>| batch.insert(key.bytes(), value);
    if let Some(ledger) = &changes.ledger {
        put(Key::Ledger, codec::to_bytes(ledger));
    }
    for (id, party) in &changes.parties {
        put(Key::Party(*id), codec::to_bytes(party));
    }
    for (code, party) in &changes.credit_codes {
        put(Key::CreditCode(code), codec::to_bytes(party));
    }
    for (id, site) in &changes.sites {
        put(Key::Site(*id), codec::to_bytes(site));
    }
    for (id, key) in &changes.keys {
        put(Key::SigningKey(*id), codec::to_bytes(key));
    }
    for (id, lot) in &changes.lots {
        put(Key::Lot(*id), codec::to_bytes(lot));
    }
    for (offer, transfer) in &changes.transfers {
        put(Key::Transfer(*offer), codec::to_bytes(transfer));
    }
    for (id, event) in &changes.events {
        put(Key::Event(*id), codec::to_bytes(event));
    }
    for (index, movement) in &changes.movements {
        put(Key::Movement(*index), codec::to_bytes(movement));
    }
    for ((set, chunk), bytes) in &changes.table_chunks {
        put(Key::TableChunk(*set, *chunk), bytes.clone());
    }
    for ((lot, ordinal), event) in &changes.lives {
        let key = Key::Life(*lot, *ordinal);
        // A lot's life names only events of this group, whose records are here.
        let Some(record) = changes.events.get(event) else {
            return Err(fault(&key.bytes(), "the event of a life is in its group"));
        };
        put(key, codec::to_bytes(&(*event, record.index)));
    }
    Ok(())
}

/// Runs of entries, each small enough to lie inside of sled's own file.
fn pack(group: &Group) -> Vec<(EntryIndex, Vec<u8>)> {
    let mut runs: Vec<(EntryIndex, usize, Vec<u8>)> = Vec::new();
    for (index, entry) in (group.first.0..).zip(&group.entries) {
        let fits = runs.last().is_some_and(|(_, count, packed)| {
            *count < MAX_PACKED_ENTRIES && packed.len() + entry.len() <= MAX_PACKED_BYTES
        });
        if !fits {
            runs.push((EntryIndex(index), 0, Vec::new()));
        }
        if let Some((_, count, packed)) = runs.last_mut() {
            *count += 1;
            packed.extend(u32::try_from(entry.len()).unwrap_or(u32::MAX).to_be_bytes());
            packed.extend_from_slice(entry);
        }
    }
    runs.into_iter().map(|(first, _, packed)| (first, packed)).collect()
}

fn unpack(key: &[u8], packed: &[u8]) -> Result<Vec<Bytes>, StoreFault> {
    let whole = Bytes::copy_from_slice(packed);
    let mut entries = Vec::new();
    let mut at = 0;
    while at < whole.len() {
        let len = whole.get(at..at + 4).map(|head| [head[0], head[1], head[2], head[3]]);
        let len = len.map_or(0, |head| u32::from_be_bytes(head) as usize);
        let end = at + 4 + len;
        if len == 0 || end > whole.len() {
            return Err(fault(key, "a run is whole entries with their lengths"));
        }
        entries.push(whole.slice(at + 4..end));
        at = end;
    }
    Ok(entries)
}

fn checkpoint_of(
    row: Option<(sled::IVec, sled::IVec)>,
) -> Result<Option<(EntryCount, Bytes)>, StoreFault> {
    let Some((key, signed)) = row else { return Ok(None) };
    Ok(Some((EntryCount(number_of(&key)?), Bytes::copy_from_slice(&signed))))
}

/// The number after the tag.
fn number_of(key: &[u8]) -> Result<u64, StoreFault> {
    let digits = key.get(1..9).and_then(|slice| <[u8; 8]>::try_from(slice).ok());
    match digits {
        Some(digits) if key.len() == 9 => Ok(u64::from_be_bytes(digits)),
        _ => Err(fault(key, "a number of eight bytes follows the tag")),
    }
}

fn read<T: Stored>(key: &[u8], bytes: &[u8]) -> Result<T, StoreFault> {
    codec::from_bytes(bytes).map_err(|rule| fault(key, rule))
}

fn fault(key: &[u8], rule: &str) -> StoreFault {
    StoreFault::Database { key: hex(key), rule: rule.to_owned() }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn flat(hashes: &[Hash32]) -> Vec<u8> {
    hashes.iter().flat_map(|hash| hash.0).collect()
}

/// fsyncs every file under a directory, and the directories: sled keeps `db`, `conf` and `blobs/`.
fn sync_tree_of_files(directory: &Path, depth: u8) -> Result<(), StoreFault> {
    let list =
        std::fs::read_dir(directory).map_err(|error| StoreFault::io("list", directory, error))?;
    for entry in list {
        let path = entry.map_err(|error| StoreFault::io("list", directory, error))?.path();
        if path.is_dir() {
            if depth < 4 {
                sync_tree_of_files(&path, depth + 1)?;
            }
            continue;
        }
        let file = match File::open(&path) {
            Ok(file) => file,
            // sled replaces its snapshots; what is gone needs no sync.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(StoreFault::io("open", &path, error)),
        };
        file.sync_all().map_err(|error| StoreFault::io("sync", &path, error))?;
    }
    sync_directory(directory)
}
