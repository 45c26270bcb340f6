//! Entries, read from where they lie in the journal. The database says where: a row for a group,
//! with the lengths of its entries. So each entry is on disk once, in the file that is synced
//! before anybody is told of it.
//!
//! What is read is held against the leaf hash that the tree has of it: a journal that was bent
//! after its group was written is told, and never served.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::batch::Batch;
use bytes::Bytes;

use super::Store;
use super::database::Database;
use super::fault::{StoreFault, io_at};
use super::files;
use super::keyspace::{Key, Tag};
use super::segment;
use crate::domain::EntryIndex;
use crate::ledger::frame::{self, FrameHeader, Group};
use crate::ledger::hash::leaf_hash;
use crate::ledger::tree::NodeSource as _;
use crate::limits::{
    FRAME_HEADER_BYTES, MAX_ENTRY_BYTES, MAX_GROUP_ENTRIES, MAX_OPEN_SEGMENTS, SEGMENT_HEADER_BYTES,
};

/// Bytes of a length in a row; limits.rs holds that an entry's fits.
const LENGTH_BYTES: usize = 2;
const _: () = assert!(MAX_ENTRY_BYTES <= u16::MAX as usize);
/// Bytes of the length before each entry of a frame.
const PREFIX_BYTES: usize = 4;

/// The journal's segments, to read entries from. Never writes.
#[derive(Debug)]
pub(super) struct Frames {
    dir: PathBuf,
    files: Mutex<BTreeMap<EntryIndex, Arc<File>>>,
    /// Where the frame behind the one that was located last begins: groups are located in order.
    cursor: Mutex<Option<Cursor>>,
}

#[derive(Debug, Clone, Copy)]
struct Cursor {
    segment: EntryIndex,
    offset: u64,
    next: EntryIndex,
}

/// Where the entries of a group lie.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    /// Its first entry.
    first: EntryIndex,
    /// The first entry of its segment.
    segment: EntryIndex,
    /// The byte of the segment at which the length of its first entry lies.
    offset: u64,
    /// Bytes of its entries.
    lengths: Vec<usize>,
}

impl Frames {
    /// Of a journal's directory.
    pub(super) fn of(dir: PathBuf) -> Self {
        Self { dir, files: Mutex::default(), cursor: Mutex::default() }
    }

    /// Adds the row that says where a group's entries lie. The group is in the journal.
    pub(super) fn put(&self, batch: &mut Batch, group: &Group) -> Result<(), StoreFault> {
        let Cursor { segment, offset, .. } = self.locate(group)?;
        let before_entries = (FRAME_HEADER_BYTES + group.previous_checkpoint.len()) as u64;
        let mut row = group.first.0.to_be_bytes().to_vec();
        row.extend(segment.0.to_be_bytes());
        row.extend((offset + before_entries).to_be_bytes());
        for entry in &group.entries {
            // The frame's codec refuses longer ones.
            row.extend(u16::try_from(entry.len()).unwrap_or(u16::MAX).to_be_bytes());
        }
        let last = EntryIndex(group.end().0.saturating_sub(1));
        batch.insert(Key::Frame(last).packed(), row);
        Ok(())
    }

    /// The frame of a group: where the last one that was located ends, or after a look at the
    /// headers of its segment.
    fn locate(&self, group: &Group) -> Result<Cursor, StoreFault> {
        let known = lock(&self.cursor).filter(|cursor| cursor.next == group.first);
        let found = match known {
            Some(cursor) => match self.header_at(cursor)? {
                Some(header) => Some((cursor, header)),
                // The segment ended there, so the next one begins with this group.
                None => self.at_start_of(group.first)?,
            },
            None => self.search(group.first)?,
        };
        let lies_there = |header: &FrameHeader| {
            header.first == group.first && header.entry_count == group.entries.len()
        };
        let Some((cursor, header)) = found.filter(|(_, header)| lies_there(header)) else {
            let detail = "the journal has no such group".to_owned();
            return Err(StoreFault::Disagreement { index: group.first, detail });
        };
        let offset = cursor.offset + header.frame_len() as u64;
        *lock(&self.cursor) = Some(Cursor { offset, next: header.end(), ..cursor });
        Ok(cursor)
    }

    fn at_start_of(
        &self,
        segment: EntryIndex,
    ) -> Result<Option<(Cursor, FrameHeader)>, StoreFault> {
        if !self.dir.join(segment::name(segment)).exists() {
            return Ok(None);
        }
        let cursor = Cursor { segment, offset: SEGMENT_HEADER_BYTES as u64, next: segment };
        Ok(self.header_at(cursor)?.map(|header| (cursor, header)))
    }

    /// From the start of the segment that an entry is in, by headers alone.
    fn search(&self, wanted: EntryIndex) -> Result<Option<(Cursor, FrameHeader)>, StoreFault> {
        let segments = segment::list(&self.dir)?;
        let at = segments.partition_point(|first| *first <= wanted).checked_sub(1);
        let Some(segment) = at.and_then(|at| segments.get(at)) else { return Ok(None) };
        let mut found = self.at_start_of(*segment)?;
        // Each turn goes a frame further in a file that ends.
        while let Some((cursor, header)) = found {
            if header.end() > wanted {
                return Ok(Some((cursor, header)));
            }
            let offset = cursor.offset + header.frame_len() as u64;
            let next = Cursor { offset, next: header.end(), ..cursor };
            found = self.header_at(next)?.map(|header| (next, header));
        }
        Ok(None)
    }

    /// The header at a place; `None` where there is none.
    fn header_at(&self, cursor: Cursor) -> Result<Option<FrameHeader>, StoreFault> {
        let mut bytes = [0; FRAME_HEADER_BYTES];
        match self.read(cursor.segment, cursor.offset, &mut bytes) {
            Ok(()) => Ok(frame::parse_header(&bytes).ok()),
            Err(StoreFault::Io { source, .. }) if source.kind() == io::ErrorKind::UnexpectedEof => {
                Ok(None)
            }
            Err(other) => Err(other),
        }
    }

    fn read(&self, segment: EntryIndex, offset: u64, bytes: &mut [u8]) -> Result<(), StoreFault> {
        let path = || self.dir.join(segment::name(segment));
        let file = self.file(segment).map_err(|fault| io_at("open", path())(fault))?;
        files::read_at(&file, offset, bytes).map_err(|fault| io_at("read", path())(fault))
    }

    fn file(&self, segment: EntryIndex) -> io::Result<Arc<File>> {
        let mut files = lock(&self.files);
        if let Some(file) = files.get(&segment) {
            return Ok(Arc::clone(file));
        }
        let file = Arc::new(File::open(self.dir.join(segment::name(segment)))?);
        if files.len() >= MAX_OPEN_SEGMENTS {
            files.clear();
        }
        files.insert(segment, Arc::clone(&file));
        Ok(file)
    }

    /// Entries from `from` on as they lie in the journal, at most `max`, those of a group in one
    /// piece of memory.
    fn entries(
        &self,
        database: &Database,
        from: EntryIndex,
        max: usize,
    ) -> Result<Vec<Bytes>, StoreFault> {
        let mut found = Vec::new();
        for item in database.walk(Tag::Frame, Key::Frame(from).bytes()) {
            if found.len() >= max {
                break;
            }
            let (key, row) = item?;
            let next = EntryIndex(from.0 + found.len() as u64);
            let place = Place::parse(&key, &row)?;
            let Some(skipped) = place.position(next) else {
                let rule = format!("entry {next} is not in it, and in none before");
                return Err(StoreFault::value(&key, rule));
            };
            found.extend(self.entries_of(&place, skipped, max - found.len())?);
        }
        Ok(found)
    }

    /// Entries of a group, after some that are passed over.
    fn entries_of(
        &self,
        place: &Place,
        skipped: usize,
        max: usize,
    ) -> Result<Vec<Bytes>, StoreFault> {
        let before: usize = place.lengths.iter().take(skipped).map(|it| PREFIX_BYTES + it).sum();
        let wanted = place.lengths.iter().skip(skipped).take(max);
        let mut bytes = vec![0; wanted.clone().map(|it| PREFIX_BYTES + it).sum()];
        let from = place.offset.saturating_add(before as u64);
        self.read(place.segment, from, &mut bytes).map_err(|fault| place.unless_there(fault))?;
        let mut rest = Bytes::from(bytes);
        let mut entries = Vec::with_capacity(max.min(place.lengths.len()));
        for length in wanted {
            let prefix = rest.split_to(PREFIX_BYTES);
            let entry = rest.split_to(*length);
            if prefix.as_ref() != u32::try_from(*length).unwrap_or(u32::MAX).to_be_bytes() {
                let index = EntryIndex(place.first.0 + (skipped + entries.len()) as u64);
                let detail = "no entry of its length lies in the journal there".to_owned();
                return Err(StoreFault::Disagreement { index, detail });
            }
            entries.push(entry);
        }
        Ok(entries)
    }
}

impl Place {
    fn parse(key: &Key, row: &[u8]) -> Result<Self, StoreFault> {
        let broken = || StoreFault::value(key, "is no place of a group that ends with its key");
        let Key::Frame(last) = key else { return Err(broken()) };
        let (numbers, lengths) = row.split_at_checked(24).ok_or_else(broken)?;
        let [first, segment, offset] = numbers.as_chunks::<8>().0 else { return Err(broken()) };
        let (lengths, rest) = lengths.as_chunks::<LENGTH_BYTES>();
        let first = EntryIndex(u64::from_be_bytes(*first));
        let is_whole = rest.is_empty()
            && (1..=MAX_GROUP_ENTRIES).contains(&lengths.len())
            && first.0.checked_add(lengths.len() as u64) == Some(last.next().0);
        if !is_whole {
            return Err(broken());
        }
        Ok(Self {
            first,
            segment: EntryIndex(u64::from_be_bytes(*segment)),
            offset: u64::from_be_bytes(*offset),
            lengths: lengths.iter().map(|it| u16::from_be_bytes(*it).into()).collect(),
        })
    }

    /// What it means that nothing can be read there: a place that is none, or a journal that was
    /// cut, and not a file that fails.
    fn unless_there(&self, fault: StoreFault) -> StoreFault {
        let is_absent =
            |kind| matches!(kind, io::ErrorKind::UnexpectedEof | io::ErrorKind::NotFound);
        match fault {
            StoreFault::Io { source, .. } if is_absent(source.kind()) => {
                let detail = format!("{}: {source}", segment::name(self.segment));
                StoreFault::Disagreement { index: self.first, detail }
            }
            other => other,
        }
    }

    /// Which of its entries that is.
    fn position(&self, index: EntryIndex) -> Option<usize> {
        let position = usize::try_from(index.0.checked_sub(self.first.0)?).ok()?;
        (position < self.lengths.len()).then_some(position)
    }
}

impl Store {
    /// The bytes of an entry; `None` beyond the head.
    pub fn entry(&self, index: EntryIndex) -> Result<Option<Bytes>, StoreFault> {
        Ok(self.entries(index, 1)?.pop())
    }

    /// The bytes of up to `max` entries from `from` on; fewer only at the head. They share memory
    /// with their neighbours in the answer: who keeps one for long copies it.
    pub fn entries(&self, from: EntryIndex, max: usize) -> Result<Vec<Bytes>, StoreFault> {
        let found = self.entries_as_they_lie(from, max)?;
        let tree = self.tree();
        for (index, entry) in (from.0..).map(EntryIndex).zip(&found) {
            if tree.node(0, index.0)? != leaf_hash(entry) {
                let detail = "the tree has another hash than that of the journal's entry";
                return Err(StoreFault::Disagreement { index, detail: detail.to_owned() });
            }
        }
        Ok(found)
    }

    /// As [`Store::entries`], for a caller that holds each against its hash itself.
    pub fn entries_as_they_lie(
        &self,
        from: EntryIndex,
        max: usize,
    ) -> Result<Vec<Bytes>, StoreFault> {
        self.frames.entries(&self.database, from, max)
    }
}

/// It is set whole, so a panic of another thread left nothing half.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
