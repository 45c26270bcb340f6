//! Runs: most rows of the database lie sorted in *blocks* of some 7 KiB, because sled spends more
//! on a row than on what is in it (ADR 0023).
//!
//! What came together with a sync is a *run* of level 0. Eight of a level are merged into one of
//! the next, so a row is written once for each level, and a database of 10^7 entries has some
//! thirty runs. A newer run's row is in force over an older one's. Runs are never changed: readers
//! hold the list that they began with, and what a merge replaced goes when nobody holds it.
//!
//! ```text
//! 0xf0, run u32, last key of the block -> block
//! 0xf1, run u32, chunk u32 -> filter, 7 KiB of it
//! 0xf2, run u32 -> what is in the run (Heading)
//! 0xf3 -> which runs there are (Named)
//! ```

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use fastbloom::BloomFilter;
use sled::IVec;
use twox_hash::XxHash3_64;

use super::batch::{Row, Value};
use super::block::{Block, BlockBuilder, BlockFault};
use super::codec::{self, codec_struct};
use super::fault::{StoreFault, sled_at};
use super::lanes::Lanes;
use super::turn::Turn;
use crate::limits::{
    BLOCK_BYTES, FILTER_BITS_PER_ROW, FILTER_HASHES, MAX_RUN_LEVEL, MAX_RUNS_OF_LEVEL, RUN_FAN_IN,
};

/// The first byte of the keys under which blocks lie; no [`Key`](super::keyspace::Key) has it or
/// one above.
pub(super) const BLOCK_TAG: u8 = 0xf0;
const FILTER_TAG: u8 = 0xf1;
const HEADING_TAG: u8 = 0xf2;
const MANIFEST_TAG: u8 = 0xf3;
const MANIFEST_KEY: &[u8] = &[MANIFEST_TAG];
/// The first bytes of keys that are the runs' own.
pub(super) const TAGS: [u8; 4] = [BLOCK_TAG, FILTER_TAG, HEADING_TAG, MANIFEST_TAG];

/// The rows of one kind in a run: the first and the last of their keys.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Span {
    tag: u8,
    first: Vec<u8>,
    last: Vec<u8>,
}

/// What is in a run.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Heading {
    id: u32,
    level: u8,
    rows: u64,
    spans: Vec<Span>,
}

/// Which runs there are.
#[derive(Debug, Default, PartialEq, Eq)]
struct Named {
    /// The number of the next run.
    next: u32,
    /// Runs of which blocks may lie there that nobody reads: being made when a crash came, or
    /// replaced.
    leftover: Vec<u32>,
    /// Newest first.
    runs: Vec<u32>,
}

codec_struct!(Span { tag, first, last });
codec_struct!(Heading { id, level, rows, spans });
codec_struct!(Named { next, leftover, runs });

/// A run with its filter.
#[derive(Debug)]
pub(super) struct Run {
    heading: Heading,
    filter: BloomFilter,
}

/// The runs at one moment, newest first.
#[derive(Debug, Clone, Default)]
pub(super) struct Runs(Vec<Arc<Run>>);

/// The runs, to be changed by one at a time.
#[derive(Debug, Default)]
pub(super) struct Manifest {
    next: u32,
    leftover: Vec<u32>,
    runs: Runs,
    /// Replaced by a merge; somebody may read them still.
    replaced: Vec<Arc<Run>>,
}

/// What a merge takes in, newest first, and makes.
pub(super) struct Merge {
    inputs: Vec<Arc<Run>>,
    id: u32,
    level: u8,
    /// Nothing older is left, so what is gone need not be told.
    is_oldest: bool,
}

/// Writes a run. Rows come ascending by key.
pub(super) struct RunWriter<'a> {
    db: &'a sled::Db,
    heading: Heading,
    filter: BloomFilter,
    block: BlockBuilder,
    /// Taken for each block; `None` where it is who writes the run's all the time.
    turn: Option<&'a Turn>,
}

/// The rows of a run from one key on, ascending.
pub(super) struct RunCursor<'a> {
    db: &'a sled::Db,
    run: Arc<Run>,
    rows: std::vec::IntoIter<Row>,
    /// From where the next block is looked for; `None` after the last.
    next: Option<Vec<u8>>,
    from: Vec<u8>,
}

/// A key as the filters know it. XXH3 of 64 bits, seed 0: part of the database's format.
#[derive(Debug, Clone, Copy)]
struct KeyHash(u64);

impl KeyHash {
    fn of(key: &[u8]) -> Self {
        Self(XxHash3_64::oneshot(key))
    }
}

fn block_key(run: u32, key: &[u8]) -> Vec<u8> {
    [&[BLOCK_TAG][..], &run.to_be_bytes(), key].concat()
}

fn filter_key(run: u32, chunk: usize) -> Vec<u8> {
    // A chunk for each 5,700 rows: a run of 2^32 of them has no place on any disk.
    let chunk = u32::try_from(chunk).unwrap_or(u32::MAX);
    [&[FILTER_TAG][..], &run.to_be_bytes(), &chunk.to_be_bytes()].concat()
}

fn heading_key(run: u32) -> Vec<u8> {
    [&[HEADING_TAG][..], &run.to_be_bytes()].concat()
}

fn broken(run: u32, rule: impl Into<String>) -> StoreFault {
    StoreFault::Database { key: format!("run {run}"), rule: rule.into() }
}

fn broken_block(run: u32) -> impl Fn(BlockFault) -> StoreFault {
    move |fault| broken(run, fault.to_string())
}

/// A filter over so many words of 64 bits.
fn filter_of(words: Vec<u64>) -> BloomFilter {
    BloomFilter::from_vec(words).seed(&0).hashes(FILTER_HASHES)
}

impl Run {
    fn open(db: &sled::Db, id: u32) -> Result<Self, StoreFault> {
        let found = db.get(heading_key(id)).map_err(sled_at("read"))?;
        let bytes = found.ok_or_else(|| broken(id, "it has no heading"))?;
        let heading: Heading =
            codec::decode(&bytes).map_err(|fault| broken(id, fault.to_string()))?;
        if heading.id != id {
            return Err(broken(id, "its heading is of another run"));
        }
        let filter = read_filter(db, id)?;
        let run = Self { heading, filter };
        run.check_filter()?;
        Ok(run)
    }

    fn id(&self) -> u32 {
        self.heading.id
    }

    /// The lowest key from `from` on that it may have, of the kind that `from` begins with; `None`
    /// when it has none.
    pub(super) fn bound(&self, from: &[u8]) -> Option<Vec<u8>> {
        let tag = from.first()?;
        let span = self.heading.spans.iter().find(|span| span.tag >= *tag)?;
        if span.tag == *tag && span.last.as_slice() < from {
            let next = self.heading.spans.iter().find(|span| span.tag > *tag)?;
            return Some(next.first.clone());
        }
        Some(span.first.as_slice().max(from).to_vec())
    }

    fn spans(&self, key: &[u8]) -> bool {
        let mut of_kind = self.heading.spans.iter().filter(|span| key.first() == Some(&span.tag));
        of_kind.any(|span| span.first.as_slice() <= key && key <= span.last.as_slice())
    }

    fn find(&self, db: &sled::Db, hash: KeyHash, key: &[u8]) -> Result<Option<Value>, StoreFault> {
        // Ids that ascend with time are past every run but the newest; of a filter each bit that is
        // looked at may be far from the processor.
        if !self.spans(key) || !self.filter.contains_hash(hash.0) {
            return Ok(None);
        }
        let Some((_, block)) = block_from(db, self.id(), block_key(self.id(), key))? else {
            return Ok(None);
        };
        block.find(key).map_err(broken_block(self.id()))
    }

    /// The filter knows the ends of the run, or it was made in another way.
    fn check_filter(&self) -> Result<(), StoreFault> {
        let ends = self.heading.spans.iter().flat_map(|span| [&span.first, &span.last]);
        let knows = |key: &Vec<u8>| self.filter.contains_hash(KeyHash::of(key).0);
        if ends.into_iter().all(knows) {
            return Ok(());
        }
        Err(broken(self.id(), "its filter does not know its own keys; rebuild the database"))
    }
}

/// The first block of a run whose last key is at `from` or behind it, and that key.
fn block_from(db: &sled::Db, run: u32, from: Vec<u8>) -> Result<Option<(IVec, Block)>, StoreFault> {
    let behind = match run.checked_add(1) {
        Some(next) => block_key(next, &[]),
        None => vec![FILTER_TAG],
    };
    let Some(found) = db.range(from..behind).next() else { return Ok(None) };
    let (key, bytes) = found.map_err(sled_at("read"))?;
    Ok(Some((key, Block::unpack(&bytes).map_err(broken_block(run))?)))
}

impl Runs {
    /// What the newest run that has a key says of it.
    pub(super) fn find(&self, db: &sled::Db, key: &[u8]) -> Result<Option<Value>, StoreFault> {
        let hash = KeyHash::of(key);
        for run in &self.0 {
            if let Some(found) = run.find(db, hash, key)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// Newest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<Run>> {
        self.0.iter()
    }

    fn of_level(&self, level: u8) -> impl Iterator<Item = &Arc<Run>> {
        self.0.iter().filter(move |run| run.heading.level == level)
    }
}

impl Manifest {
    /// Reads which runs there are, and removes what no reader needs.
    pub(super) fn open(db: &sled::Db) -> Result<Self, StoreFault> {
        let found = db.get(MANIFEST_KEY).map_err(sled_at("read"))?;
        let named = found.map(|bytes| codec::decode::<Named>(&bytes)).transpose();
        let named = named.map_err(|fault| StoreFault::Database {
            key: "manifest".to_owned(),
            rule: fault.to_string(),
        })?;
        let Named { next, leftover, runs } = named.unwrap_or_default();
        let mut manifest = Self { next, leftover, ..Self::default() };
        for id in runs {
            manifest.runs.0.push(Arc::new(Run::open(db, id)?));
        }
        Ok(manifest)
    }

    /// Removes what a crash left of runs that nobody reads.
    pub(super) fn clear_leftover(&mut self, db: &sled::Db) -> Result<(), StoreFault> {
        if self.leftover.is_empty() {
            return Ok(());
        }
        for run in std::mem::take(&mut self.leftover) {
            remove_run(db, run)?;
        }
        self.write(db)
    }

    /// The runs of this moment.
    pub(super) fn runs(&self) -> Arc<Runs> {
        Arc::new(self.runs.clone())
    }

    /// Begins a run of level 0. *A crash from here on:* its blocks are removed by the next start.
    pub(super) fn begin<'a>(
        &mut self,
        db: &'a sled::Db,
        rows: usize,
    ) -> Result<RunWriter<'a>, StoreFault> {
        let id = self.announce(db)?;
        Ok(RunWriter::new(db, id, 0, rows as u64))
    }

    fn announce(&mut self, db: &sled::Db) -> Result<u32, StoreFault> {
        let id = self.next;
        self.next = id.checked_add(1).ok_or_else(|| broken(id, "there are no more numbers"))?;
        self.leftover.push(id);
        self.write(db)?;
        Ok(id)
    }

    /// Takes the newest run in; in force with the batch that the manifest is written by.
    pub(super) fn add(&mut self, run: Run, batch: &mut sled::Batch) {
        self.leftover.retain(|id| *id != run.id());
        self.runs.0.insert(0, Arc::new(run));
        batch.insert(MANIFEST_KEY, codec::encode(&self.named()));
    }

    /// Whether so many runs of a level wait that whoever adds one should merge first.
    pub(super) fn is_behind(&self) -> bool {
        (0..=MAX_RUN_LEVEL).any(|level| self.runs.of_level(level).count() >= MAX_RUNS_OF_LEVEL)
    }

    /// What is to be merged next, if anything is.
    pub(super) fn next_merge(&mut self, db: &sled::Db) -> Result<Option<Merge>, StoreFault> {
        self.clear_away(db)?;
        let is_due = |level: &u8| self.runs.of_level(*level).count() >= RUN_FAN_IN;
        let Some(level) = (0..=MAX_RUN_LEVEL).find(is_due) else { return Ok(None) };
        let inputs: Vec<Arc<Run>> = self.runs.of_level(level).cloned().collect();
        let is_oldest = self.runs.iter().all(|run| run.heading.level <= level);
        let id = self.announce(db)?;
        let level = MAX_RUN_LEVEL.min(level + 1);
        Ok(Some(Merge { inputs, id, level, is_oldest }))
    }

    /// Puts a merged run in the place of what it was made of.
    pub(super) fn replace(
        &mut self,
        db: &sled::Db,
        merge: Merge,
        run: Run,
    ) -> Result<(), StoreFault> {
        let Merge { inputs, id, level, .. } = merge;
        let is_input = |run: &Arc<Run>| inputs.iter().any(|it| it.id() == run.id());
        self.runs.0.retain(|run| !is_input(run));
        // What was of its level before is older, and all of lower levels newer.
        let at = self.runs.iter().position(|run| run.heading.level >= level);
        if run.heading.rows > 0 {
            self.leftover.retain(|leftover| *leftover != id);
            self.runs.0.insert(at.unwrap_or(self.runs.0.len()), Arc::new(run));
        }
        self.leftover.extend(inputs.iter().map(|run| run.id()));
        self.write(db)?;
        self.replaced.extend(inputs);
        Ok(())
    }

    /// Removes what a merge replaced and nobody reads any more.
    pub(super) fn clear_away(&mut self, db: &sled::Db) -> Result<(), StoreFault> {
        let (free, held): (Vec<_>, Vec<_>) = std::mem::take(&mut self.replaced)
            .into_iter()
            .partition(|it| Arc::strong_count(it) == 1);
        self.replaced = held;
        for run in &free {
            remove_run(db, run.id())?;
            self.leftover.retain(|id| *id != run.id());
        }
        if free.is_empty() { Ok(()) } else { self.write(db) }
    }

    fn named(&self) -> Named {
        let runs = self.runs.iter().map(|run| run.id()).collect();
        Named { next: self.next, leftover: self.leftover.clone(), runs }
    }

    fn write(&self, db: &sled::Db) -> Result<(), StoreFault> {
        db.insert(MANIFEST_KEY, codec::encode(&self.named())).map_err(sled_at("write"))?;
        Ok(())
    }
}

impl Merge {
    /// Writes what its runs hold, the newest row of each key. Takes as long as they are large;
    /// `None` when it was told to give up, which leaves blocks for the next start to remove.
    pub(super) fn write(
        &self,
        db: &sled::Db,
        turn: &Turn,
        gives_up: &AtomicBool,
    ) -> Result<Option<Run>, StoreFault> {
        let most = self.inputs.iter().map(|run| run.heading.rows).sum();
        let mut writer = RunWriter::new(db, self.id, self.level, most);
        writer.turn = Some(turn);
        let mut lanes = Lanes::over(db, &self.inputs, &[0], None);
        // Each turn opens a run, or takes at least one row of finitely many.
        while let Some(least) = lanes.least().map(<[u8]>::to_vec) {
            if gives_up.load(Ordering::Relaxed) {
                return Ok(None);
            }
            if lanes.open_at(&least)? {
                continue;
            }
            match lanes.take(&least)?.flatten() {
                Some(value) => writer.push(&least, Some(&value))?,
                None if self.is_oldest => {}
                None => writer.push(&least, None)?,
            }
        }
        writer.finish().map(Some)
    }
}

impl<'a> RunWriter<'a> {
    fn new(db: &'a sled::Db, id: u32, level: u8, rows: u64) -> Self {
        let bits = usize::try_from(rows).unwrap_or(usize::MAX).saturating_mul(FILTER_BITS_PER_ROW);
        let filter = filter_of(vec![0; bits.div_ceil(u64::BITS as usize).max(1)]);
        let heading = Heading { id, level, rows: 0, spans: Vec::new() };
        Self { db, heading, filter, block: BlockBuilder::default(), turn: None }
    }

    /// Adds a row.
    pub(super) fn push(&mut self, key: &[u8], value: Option<&[u8]>) -> Result<(), StoreFault> {
        if self.block.is_full_for(key.len() + value.map_or(0, <[u8]>::len)) {
            self.close_block()?;
        }
        self.block.push(key, value);
        self.filter.insert_hash(KeyHash::of(key).0);
        self.heading.rows += 1;
        let tag = key.first().copied().unwrap_or_default();
        match self.heading.spans.last_mut() {
            Some(span) if span.tag == tag => {
                span.last.clear();
                span.last.extend(key);
            }
            _ => {
                let (first, last) = (key.to_vec(), key.to_vec());
                self.heading.spans.push(Span { tag, first, last });
            }
        }
        Ok(())
    }

    fn close_block(&mut self) -> Result<(), StoreFault> {
        if let Some((last, bytes)) = self.block.close() {
            self.insert(block_key(self.heading.id, &last), bytes)?;
        }
        Ok(())
    }

    /// Writes what is left, and the filter.
    pub(super) fn finish(mut self) -> Result<Run, StoreFault> {
        self.close_block()?;
        let words = self.filter.as_slice();
        for (chunk, words) in words.chunks(BLOCK_BYTES / size_of::<u64>()).enumerate() {
            let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
            self.insert(filter_key(self.heading.id, chunk), bytes)?;
        }
        self.insert(heading_key(self.heading.id), codec::encode(&self.heading))?;
        Ok(Run { heading: self.heading, filter: self.filter })
    }

    fn insert(&self, key: Vec<u8>, value: Vec<u8>) -> Result<(), StoreFault> {
        let write = || {
            self.db.insert(key, value).map_err(sled_at("write"))?;
            Ok(())
        };
        match self.turn {
            Some(turn) => turn.take(write),
            None => write(),
        }
    }
}

fn read_filter(db: &sled::Db, run: u32) -> Result<BloomFilter, StoreFault> {
    let mut words: Vec<u64> = Vec::new();
    for item in db.scan_prefix([&[FILTER_TAG][..], &run.to_be_bytes()].concat()) {
        let (_, bytes) = item.map_err(sled_at("read"))?;
        let (found, rest) = bytes.as_chunks::<8>();
        if !rest.is_empty() {
            return Err(broken(run, "its filter is no row of words"));
        }
        words.extend(found.iter().map(|word| u64::from_be_bytes(*word)));
    }
    if words.is_empty() {
        return Err(broken(run, "it has no filter"));
    }
    Ok(filter_of(words))
}

fn remove_run(db: &sled::Db, run: u32) -> Result<(), StoreFault> {
    for tag in [BLOCK_TAG, FILTER_TAG, HEADING_TAG] {
        for item in db.scan_prefix([&[tag][..], &run.to_be_bytes()].concat()).keys() {
            db.remove(item.map_err(sled_at("read"))?).map_err(sled_at("write"))?;
        }
    }
    Ok(())
}

impl<'a> RunCursor<'a> {
    /// From a key on.
    pub(super) fn new(db: &'a sled::Db, run: Arc<Run>, from: Vec<u8>) -> Self {
        let next = Some(block_key(run.id(), &from));
        Self { db, run, rows: Vec::new().into_iter(), next, from }
    }

    fn read_block(&mut self, at: Vec<u8>) -> Result<(), StoreFault> {
        let Some((key, block)) = block_from(self.db, self.run.id(), at)? else { return Ok(()) };
        self.rows = block.rows_from(&self.from).map_err(broken_block(self.run.id()))?.into_iter();
        // Right behind it.
        self.next = Some([key.as_ref(), &[0]].concat());
        Ok(())
    }
}

impl Iterator for RunCursor<'_> {
    type Item = Result<Row, StoreFault>;

    fn next(&mut self) -> Option<Self::Item> {
        // Each turn reads a block behind the one before.
        loop {
            if let Some(row) = self.rows.next() {
                return Some(Ok(row));
            }
            let at = self.next.take()?;
            if let Err(fault) = self.read_block(at) {
                return Some(Err(fault));
            }
        }
    }
}
