//! Runs: most rows of the database lie sorted in *blocks* of some 7 KiB, because sled spends more
//! on a row than on what is in it (ADR 0023).
//!
//! What came together with a sync is a *run* of level 0. Eight of a level are merged into one of
//! the next, so a database of 10^7 entries has some thirty runs. A newer run's row is in force over
//! an older one's. Runs are never changed: readers hold the list that they began with, and what a
//! merge replaced goes when nobody holds it. A block of some size within which no other run of the
//! merge has a row stays where it is: the new run refers to it. So what comes in the order of its
//! keys is written once (ADR 0024).
//!
//! ```text
//! 0xf0, run u32, last key of the block -> block, or u32::MAX and the run under which it lies
//! 0xf1, run u32, chunk u32 -> filter, 7 KiB of it
//! 0xf2, run u32 -> what is in the run (Heading)
//! 0xf3 -> which runs there are (Named)
//! ```

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use fastbloom::BloomFilter;
use sled::IVec;
use twox_hash::XxHash3_64;

use super::batch::Value;
use super::block::{Block, BlockBuilder, BlockFault, Place};
use super::codec::{self, codec_struct};
use super::cursor::WholeBlock;
use super::fault::{StoreFault, sled_at};
use super::keyspace::Tag;
use super::lanes::Lanes;
use super::partial::Told;
use super::turn::Turn;
use crate::limits::{
    BLOCK_BYTES, BLOCKS_PER_SMALL_ONE, FILTER_BITS_PER_ROW, FILTER_HASHES, MAX_RUN_LEVEL,
    MAX_RUNS_OF_LEVEL, MERGE_PAUSE_BLOCKS, MIN_WHOLE_BLOCK_BYTES, REMOVE_ROWS, RUN_FAN_IN,
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
    /// Those of them that are to be removed and that nobody reads: of a run before, or empty.
    left: Vec<u32>,
    runs: Runs,
    /// Replaced by a merge; somebody may read them still.
    replaced: Vec<Arc<Run>>,
}

/// What a merge takes in, newest first, and makes.
pub(super) struct Merge {
    inputs: Vec<Arc<Run>>,
    of_level: u8,
    id: u32,
    /// Nothing older is left, so what is gone need not be told.
    is_oldest: bool,
}

/// Writes a run. Rows come ascending by key.
pub(super) struct RunWriter<'a> {
    db: &'a sled::Db,
    heading: Heading,
    filter: BloomFilter,
    block: BlockBuilder,
    /// How many it wrote, and before the last small one.
    blocks: u64,
    small_at: u64,
    /// Taken for each block; `None` where it is who writes the run's all the time.
    turn: Option<&'a Turn>,
}

/// The rows of a run on their way out, in spans: from a key on and before another.
pub(super) struct Removal<'a> {
    run: u32,
    spans: VecDeque<(Vec<u8>, Vec<u8>)>,
    /// Runs that somebody reads: what they refer to stays.
    read: &'a [Arc<Run>],
}

/// A key as the filters know it. XXH3 of 64 bits, seed 0: part of the database's format.
#[derive(Debug, Clone, Copy)]
struct KeyHash(u64);

impl KeyHash {
    fn of(key: &[u8]) -> Self {
        Self(XxHash3_64::oneshot(key))
    }
}

/// Where a block with such a last key lies.
pub(super) fn block_key(run: u32, key: &[u8]) -> Vec<u8> {
    [&[BLOCK_TAG][..], &run.to_be_bytes(), key].concat()
}

/// The key of a row in [`block_key`].
pub(super) fn plain_key(block_key: &[u8]) -> &[u8] {
    block_key.get(1 + size_of::<u32>()..).unwrap_or_default()
}

fn filter_key(run: u32, chunk: usize) -> Vec<u8> {
    // A chunk for each 5,700 rows: a run of 2^32 of them has no place on any disk.
    let chunk = u32::try_from(chunk).unwrap_or(u32::MAX);
    [&[FILTER_TAG][..], &run.to_be_bytes(), &chunk.to_be_bytes()].concat()
}

fn heading_key(run: u32) -> Vec<u8> {
    [&[HEADING_TAG][..], &run.to_be_bytes()].concat()
}

/// The key behind all rows of a run under a tag.
fn behind(tag: u8, run: u32) -> Vec<u8> {
    match run.checked_add(1) {
        Some(next) => [&[tag][..], &next.to_be_bytes()].concat(),
        None => vec![tag + 1],
    }
}

fn broken(run: u32, rule: impl Into<String>) -> StoreFault {
    StoreFault::Database { key: format!("run {run}"), rule: rule.into() }
}

/// A fault in a block of a run.
pub(super) fn broken_block(run: u32) -> impl Fn(BlockFault) -> StoreFault {
    move |fault| broken(run, fault.to_string())
}

/// Rows of one series come in the order of their keys, where those of a kind do: of rows of the
/// tree each level by itself, of entries by kind each kind.
fn series(key: &[u8]) -> &[u8] {
    let of_two = [Tag::Row as u8, Tag::KindEntry as u8];
    let length = if key.first().is_some_and(|tag| of_two.contains(tag)) { 2 } else { 1 };
    key.get(..length).unwrap_or(key)
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

    pub(super) fn id(&self) -> u32 {
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
        let Some(found) = block_from(db, self.id(), block_key(self.id(), key))? else {
            return Ok(None);
        };
        found.block.find(key).map_err(broken_block(self.id()))
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

/// A block of a run.
pub(super) struct Found {
    /// Where the run has it.
    pub(super) key: IVec,
    /// The run under which its bytes lie.
    pub(super) origin: u32,
    pub(super) block: Block,
}

/// What stands in the place of a block that lies under another run. No block begins so: it would
/// be larger than any.
fn reference(origin: u32) -> [u8; 8] {
    let mut bytes = [u8::MAX; 8];
    bytes[4..].copy_from_slice(&origin.to_be_bytes());
    bytes
}

/// The run that a reference names; `None`: it is a block.
fn referred(bytes: &[u8]) -> Option<u32> {
    let (mark, origin) = bytes.split_first_chunk::<4>()?;
    (*mark == [u8::MAX; 4]).then(|| origin.try_into().ok().map(u32::from_be_bytes)).flatten()
}

/// The first block of a run whose last key is at `from` or behind it.
pub(super) fn block_from(
    db: &sled::Db,
    run: u32,
    from: Vec<u8>,
) -> Result<Option<Found>, StoreFault> {
    let Some(found) = db.range(from..behind(BLOCK_TAG, run)).next() else { return Ok(None) };
    let (key, mut packed) = found.map_err(sled_at("read"))?;
    let mut origin = run;
    if let Some(other) = referred(&packed) {
        let lies = db.get(block_key(other, plain_key(&key))).map_err(sled_at("read"))?;
        let gone = || broken(run, format!("a block of run {other} is not there"));
        (origin, packed) = (other, lies.ok_or_else(gone)?);
    }
    let block = Block::unpack(&packed).map_err(broken_block(run))?;
    Ok(Some(Found { key, origin, block }))
}

impl Runs {
    /// Tells what they say of a key: the newest that has it, or, where rows say a part, as many as
    /// it takes.
    pub(super) fn tell(&self, db: &sled::Db, told: &mut Told<'_>) -> Result<(), StoreFault> {
        let hash = KeyHash::of(told.key());
        for run in &self.0 {
            if let Some(found) = run.find(db, hash, told.key())? {
                told.add(found)?;
                if told.is_all() {
                    break;
                }
            }
        }
        Ok(())
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
    /// Reads which runs there are.
    pub(super) fn open(db: &sled::Db) -> Result<Self, StoreFault> {
        let found = db.get(MANIFEST_KEY).map_err(sled_at("read"))?;
        let named = found.map(|bytes| codec::decode::<Named>(&bytes)).transpose();
        let named = named.map_err(|fault| StoreFault::Database {
            key: "manifest".to_owned(),
            rule: fault.to_string(),
        })?;
        let Named { next, leftover, runs } = named.unwrap_or_default();
        let left = leftover.clone();
        let mut manifest = Self { next, leftover, left, ..Self::default() };
        for id in runs {
            manifest.runs.0.push(Arc::new(Run::open(db, id)?));
        }
        Ok(manifest)
    }

    /// The runs of this moment.
    pub(super) fn runs(&self) -> Arc<Runs> {
        Arc::new(self.runs.clone())
    }

    /// Begins a run of level 0. *A crash from here on:* its blocks are removed
    /// after the next start.
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

    /// What is to be merged next of the levels before one, if anything is: the lowest first.
    pub(super) fn next_merge(
        &mut self,
        db: &sled::Db,
        before: u8,
    ) -> Result<Option<Merge>, StoreFault> {
        let is_due = |level: &u8| self.runs.of_level(*level).count() >= RUN_FAN_IN;
        let Some(level) = (0..before).find(is_due) else { return Ok(None) };
        let inputs: Vec<Arc<Run>> = self.runs.of_level(level).cloned().collect();
        let is_oldest = self.runs.iter().all(|run| run.heading.level <= level);
        let id = self.announce(db)?;
        Ok(Some(Merge { inputs, of_level: level, id, is_oldest }))
    }

    /// Puts a merged run in the place of what it was made of.
    pub(super) fn replace(
        &mut self,
        db: &sled::Db,
        merge: Merge,
        run: Run,
    ) -> Result<(), StoreFault> {
        let Merge { inputs, id, .. } = merge;
        let is_input = |run: &Arc<Run>| inputs.iter().any(|it| it.id() == run.id());
        // They stand together: what came meanwhile is newer, and before them.
        let at = self.runs.iter().position(is_input);
        self.runs.0.retain(|run| !is_input(run));
        if run.heading.rows > 0 {
            self.leftover.retain(|leftover| *leftover != id);
            self.runs.0.insert(at.unwrap_or(self.runs.0.len()), Arc::new(run));
        } else {
            self.left.push(id);
        }
        self.leftover.extend(inputs.iter().map(|run| run.id()));
        self.write(db)?;
        self.replaced.extend(inputs);
        Ok(())
    }

    /// The runs of which nobody reads the rows any more, to be removed ([`Removal`]) and then
    /// forgotten.
    pub(super) fn take_free(&mut self) -> Vec<u32> {
        let (free, held): (Vec<_>, Vec<_>) = std::mem::take(&mut self.replaced)
            .into_iter()
            .partition(|it| Arc::strong_count(it) == 1);
        self.replaced = held;
        let left = std::mem::take(&mut self.left);
        left.into_iter().chain(free.iter().map(|run| run.id())).collect()
    }

    /// All runs that somebody reads.
    pub(super) fn read(&self) -> Vec<Arc<Run>> {
        self.runs.iter().chain(&self.replaced).cloned().collect()
    }

    /// A run was removed.
    pub(super) fn forget(&mut self, db: &sled::Db, id: u32) -> Result<(), StoreFault> {
        self.leftover.retain(|leftover| *leftover != id);
        self.write(db)
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
    /// The level of what it takes in.
    pub(super) const fn of_level(&self) -> u8 {
        self.of_level
    }

    /// The level of what it makes.
    fn level(&self) -> u8 {
        MAX_RUN_LEVEL.min(self.of_level + 1)
    }

    /// Writes what its runs hold, the newest row of each key. Takes as long as they are large, and
    /// lets others do something `between`, many times; `None` when it was told to give up, which
    /// leaves blocks to be removed after the next start.
    pub(super) fn write(
        &self,
        db: &sled::Db,
        turn: &Turn,
        gives_up: &AtomicBool,
        mut between: impl FnMut() -> Result<(), StoreFault>,
    ) -> Result<Option<Run>, StoreFault> {
        let mut writer = self.writer(db);
        writer.turn = Some(turn);
        let mut lanes = Lanes::over(db, &self.inputs, &[0], None);
        let mut paused_at = 0;
        // Each turn opens a run, or passes by at least one row of finitely many.
        while self.step(&mut lanes, &mut writer)? {
            if gives_up.load(Ordering::Relaxed) {
                return Ok(None);
            }
            if writer.blocks >= paused_at + MERGE_PAUSE_BLOCKS {
                paused_at = writer.blocks;
                between()?;
            }
        }
        writer.finish().map(Some)
    }

    fn writer<'a>(&self, db: &'a sled::Db) -> RunWriter<'a> {
        let most = self.inputs.iter().map(|run| run.heading.rows).sum();
        RunWriter::new(db, self.id, self.level(), most)
    }

    /// Opens runs, or takes in a row or a block; `false` at the end.
    fn step(&self, lanes: &mut Lanes<'_>, writer: &mut RunWriter<'_>) -> Result<bool, StoreFault> {
        let Some(least) = lanes.least().map(<[u8]>::to_vec) else { return Ok(false) };
        if lanes.open_at(&least)? {
            return Ok(true);
        }
        if let Some(block) = lanes.whole_block(&least)
            && writer.takes_whole(block.block)
            && !(self.is_oldest && block.block.has_gone().map_err(broken_block(self.id))?)
        {
            writer.push_whole(&block)?;
            lanes.pass_block(&least)?;
            return Ok(true);
        }
        match lanes.take(&least)?.flatten() {
            Some(value) => writer.push(&least, Some(&value))?,
            None if self.is_oldest => {}
            None => writer.push(&least, None)?,
        }
        Ok(true)
    }

    /// As one that is cut off after so many steps.
    #[cfg(test)]
    pub(super) fn begin(&self, db: &sled::Db, steps: u64) -> Result<(), StoreFault> {
        let (mut writer, mut lanes) = (self.writer(db), Lanes::over(db, &self.inputs, &[0], None));
        for _ in 0..steps {
            self.step(&mut lanes, &mut writer)?;
        }
        writer.close_block()
    }
}

impl<'a> RunWriter<'a> {
    fn new(db: &'a sled::Db, id: u32, level: u8, rows: u64) -> Self {
        let bits = usize::try_from(rows).unwrap_or(usize::MAX).saturating_mul(FILTER_BITS_PER_ROW);
        let filter = filter_of(vec![0; bits.div_ceil(u64::BITS as usize).max(1)]);
        let heading = Heading { id, level, rows: 0, spans: Vec::new() };
        Self {
            db,
            heading,
            filter,
            block: BlockBuilder::default(),
            blocks: 0,
            small_at: 0,
            turn: None,
        }
    }

    /// Adds a row.
    pub(super) fn push(&mut self, key: &[u8], value: Option<&[u8]>) -> Result<(), StoreFault> {
        let length = key.len() + value.map_or(0, <[u8]>::len);
        // A block of one series can be taken over by a merge, one of two seldom.
        let is_other = self.block.len() >= MIN_WHOLE_BLOCK_BYTES
            && series(key) != series(self.block.last_key());
        if is_other || self.block.is_full_for(length) {
            self.close_block()?;
        }
        self.block.push(key, value);
        self.note(key);
        Ok(())
    }

    /// Whether a block can be added as it is, without leaving many small ones behind.
    fn takes_whole(&self, block: &Block) -> bool {
        let open = self.block.len();
        let leaves_none = open == 0 || open >= MIN_WHOLE_BLOCK_BYTES;
        let leaves_few = self.blocks >= self.small_at + BLOCKS_PER_SMALL_ONE;
        block.len() >= MIN_WHOLE_BLOCK_BYTES && (leaves_none || leaves_few)
    }

    /// Adds the rows of a block, which stays where it is.
    fn push_whole(&mut self, whole: &WholeBlock<'_>) -> Result<(), StoreFault> {
        self.close_block()?;
        let mut place = Place::default();
        while whole.block.next(&mut place).map_err(broken_block(self.heading.id))? {
            self.note(place.key());
        }
        self.blocks += 1;
        let place = block_key(self.heading.id, whole.last);
        self.insert(place, reference(whole.origin).as_slice())
    }

    /// Takes note of a row.
    fn note(&mut self, key: &[u8]) {
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
    }

    fn close_block(&mut self) -> Result<(), StoreFault> {
        if (1..MIN_WHOLE_BLOCK_BYTES).contains(&self.block.len()) {
            self.small_at = self.blocks;
        }
        if let Some((last, bytes)) = self.block.close() {
            self.blocks += 1;
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

    fn insert(&self, key: Vec<u8>, value: impl Into<IVec>) -> Result<(), StoreFault> {
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

impl<'a> Removal<'a> {
    /// Of all rows of a run, and of blocks that only it refers to. `read`: the others that somebody
    /// reads.
    pub(super) fn of(run: u32, read: &'a [Arc<Run>]) -> Self {
        let begin = |tag| [&[tag][..], &run.to_be_bytes()].concat();
        let spans = [BLOCK_TAG, FILTER_TAG, HEADING_TAG].map(|tag| (begin(tag), behind(tag, run)));
        Self { run, spans: spans.into(), read }
    }

    /// Goes through up to [`REMOVE_ROWS`] of them; whether there may be more.
    pub(super) fn go_on(&mut self, db: &sled::Db) -> Result<bool, StoreFault> {
        let mut left = REMOVE_ROWS;
        // Each turn ends a span, or the last one.
        while let Some((from, behind)) = self.spans.front() {
            let rows = db.range(from.as_slice()..behind.as_slice()).take(left);
            let mut last = None;
            for item in rows {
                let (key, value) = item.map_err(sled_at("read"))?;
                self.remove(db, &key, &value)?;
                last = Some(key);
                left -= 1;
            }
            if left > 0 {
                self.spans.pop_front();
                continue;
            }
            if let (Some(last), Some((from, _))) = (last, self.spans.front_mut()) {
                // Right behind it.
                *from = [last.as_ref(), &[0]].concat();
            }
            return Ok(true);
        }
        Ok(false)
    }

    fn remove(&self, db: &sled::Db, key: &[u8], value: &[u8]) -> Result<(), StoreFault> {
        let remove = |key: &[u8]| db.remove(key).map(drop).map_err(sled_at("write"));
        if key.first() != Some(&BLOCK_TAG) {
            return remove(key);
        }
        let origin = referred(value).unwrap_or(self.run);
        let last = plain_key(key);
        if !self.is_read(db, origin, last)? {
            remove(&block_key(origin, last))?;
        }
        // Behind the block: a crash between leaves what leads there.
        if origin == self.run { Ok(()) } else { remove(key) }
    }

    /// Whether somebody reads a block that lies under a run.
    fn is_read(&self, db: &sled::Db, origin: u32, last: &[u8]) -> Result<bool, StoreFault> {
        for run in self.read {
            if run.id() == origin {
                return Ok(true);
            }
            if !run.spans(last) {
                continue;
            }
            let found = db.get(block_key(run.id(), last)).map_err(sled_at("read"))?;
            if found.and_then(|bytes| referred(&bytes)) == Some(origin) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop")]

    use super::*;

    /// Puts a run of one row in front of those that are there.
    fn put(manifest: &mut Manifest, db: &sled::Db, level: u8, value: &[u8]) {
        let id = manifest.announce(db).unwrap();
        let mut writer = RunWriter::new(db, id, level, 1);
        writer.push(b"key", Some(value)).unwrap();
        let mut batch = sled::Batch::default();
        manifest.add(writer.finish().unwrap(), &mut batch);
        db.apply_batch(batch).unwrap();
    }

    /// What the runs say of the one row.
    fn found(manifest: &Manifest, db: &sled::Db) -> Vec<u8> {
        let mut told = Told::of(b"key");
        manifest.runs().tell(db, &mut told).unwrap();
        told.into_value().flatten().unwrap().to_vec()
    }

    /// Merges what is due before a level, and `between` that of lower ones.
    fn merge(
        manifest: &mut Manifest,
        db: &sled::Db,
        before: u8,
        between: impl FnOnce(&mut Manifest),
    ) {
        let merge = manifest.next_merge(db, before).unwrap().unwrap();
        assert_eq!(merge.of_level(), before - 1);
        let never = AtomicBool::new(false);
        let run = merge.write(db, &Turn::default(), &never, || Ok(())).unwrap().unwrap();
        between(manifest);
        manifest.replace(db, merge, run).unwrap();
    }

    #[test]
    fn what_was_merged_in_the_middle_of_a_merge_is_newer_in_each_level() {
        for level in 1..=MAX_RUN_LEVEL {
            let dir = tempfile::tempdir().unwrap();
            let db = sled::open(dir.path()).unwrap();
            let mut manifest = Manifest::default();
            for n in 0..RUN_FAN_IN {
                put(&mut manifest, &db, level, format!("old {n}").as_bytes());
            }
            for n in 0..RUN_FAN_IN {
                put(&mut manifest, &db, level - 1, format!("new {n}").as_bytes());
            }
            let newest = format!("new {}", RUN_FAN_IN - 1);
            // A merge below it is due first: it has to wait here.
            let lower = std::mem::take(&mut manifest.runs.0);
            let (lower, upper) = lower.into_iter().partition(|it| it.heading.level < level);
            manifest.runs.0 = upper;
            merge(&mut manifest, &db, level + 1, |manifest| {
                manifest.runs.0.splice(0..0, lower);
                merge(manifest, &db, level, |_| {});
                assert_eq!(found(manifest, &db), newest.as_bytes());
            });
            assert_eq!(found(&manifest, &db), newest.as_bytes(), "level {level}");
            assert_eq!(manifest.runs.0.len(), 2);
        }
    }
}
