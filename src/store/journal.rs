//! The journal: append-only segment files, one frame per commit group. **Durability is here**; all
//! else in the store can be made again from it.
//!
//! A segment is `<first index, 20 digits>.umj`: a header that names the ledger, frames, and zeros
//! up to a reserved length. A frame is written whole, then synced, before the next is begun; so at
//! most the last frame of the last segment can be unfinished.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::fault::{StoreFault, io_at};
use super::faults::{FaultPoint, Faults};
use super::files;
use super::segment::{self, SEGMENT_SUFFIX, SegmentReader, Step};
use crate::domain::{EntryIndex, Hash32};
use crate::ledger::frame::{self, FrameFault, Group};
use crate::limits::{JOURNAL_SEGMENT_BYTES, SEGMENT_HEADER_BYTES};

/// A place in the journal that cannot be read as written.
#[derive(Debug, thiserror::Error)]
#[error("journal segment {segment}, byte {offset}, entry {entry}: {cause}")]
pub struct JournalFault {
    /// The file's name.
    pub segment: String,
    /// Where in it the frame, or the header, begins.
    pub offset: u64,
    /// The first entry that cannot be read.
    pub entry: EntryIndex,
    /// Why.
    pub cause: JournalCause,
}

/// Why a place in the journal cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum JournalCause {
    /// A write that a crash left unfinished; only ever the end of the last segment.
    #[error("unfinished write ({0})")]
    Torn(FrameFault),
    /// Bytes that were changed after they were written.
    #[error("damaged ({0})")]
    Damaged(FrameFault),
    /// The segment is not one of this ledger, or not the one that its name says.
    #[error("{0}")]
    Segment(&'static str),
    /// A segment is missing, or there twice.
    #[error("the next segment begins with entry {0}")]
    Gap(EntryIndex),
    /// The file could not be read.
    #[error("cannot be read: {0}")]
    Io(io::Error),
}

/// Where the journal lies and how it is cut.
#[derive(Debug, Clone)]
pub struct JournalConfig {
    /// Its directory.
    pub dir: PathBuf,
    /// Which ledger its segments name.
    pub ledger: Hash32,
    /// Bytes that a segment reserves.
    pub segment_bytes: u64,
    /// Entries that the head guard has seen: what ends before them is damaged, never torn.
    pub acknowledged: EntryIndex,
    /// Fault hooks.
    pub faults: Faults,
}

/// An unfinished write that was found and set aside when the journal was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TornTail {
    /// The segment's name.
    pub segment: String,
    /// Where it began.
    pub offset: u64,
    /// How many bytes of it there were.
    pub bytes: usize,
    /// Where a copy of them is kept.
    pub kept_as: PathBuf,
}

/// The journal, open for appending.
#[derive(Debug)]
pub struct Journal {
    config: JournalConfig,
    path: PathBuf,
    file: File,
    offset: u64,
    reserved: u64,
    next: EntryIndex,
    is_poisoned: bool,
    last_sync: Duration,
}

/// Groups in order, read segment by segment; one frame is in memory at a time.
#[derive(Debug)]
pub struct Groups {
    dir: PathBuf,
    ledger: Hash32,
    segments: std::vec::IntoIter<EntryIndex>,
    current: Option<SegmentReader>,
    from: EntryIndex,
    expected: EntryIndex,
    stop: Option<EntryIndex>,
    is_done: bool,
}

impl JournalConfig {
    /// A journal in `dir`, with segments of the usual size and no hooks.
    pub fn new(dir: PathBuf, ledger: Hash32) -> Self {
        Self {
            dir,
            ledger,
            segment_bytes: JOURNAL_SEGMENT_BYTES,
            acknowledged: EntryIndex(0),
            faults: Faults::default(),
        }
    }
}

impl Journal {
    /// Makes an empty journal in a new directory.
    pub fn create(config: JournalConfig) -> Result<Self, StoreFault> {
        files::make_dir(&config.dir)?;
        if !segment::list(&config.dir)?.is_empty() {
            return Err(StoreFault::NotEmpty(config.dir));
        }
        let start = EntryIndex(0);
        let (path, file, reserved) = new_segment(&config, start, 0)?;
        let offset = SEGMENT_HEADER_BYTES as u64;
        Ok(Self {
            config,
            path,
            file,
            offset,
            reserved,
            next: start,
            is_poisoned: false,
            last_sync: Duration::ZERO,
        })
    }

    /// Opens a journal: every segment's header is checked, the last segment is read, and an
    /// unfinished write at its end is set aside. Anything else that cannot be read is refused and
    /// left as it is.
    pub fn open(config: JournalConfig) -> Result<(Self, Option<TornTail>), StoreFault> {
        let segments = segment::list(&config.dir)?;
        let Some(last) = segments.last().copied() else {
            let rule = "there is no segment".to_owned();
            return Err(StoreFault::Format { path: config.dir, rule });
        };
        check_segments(&config, &segments)?;
        let mut reader = SegmentReader::open(&config.dir, &config.ledger, last, true)?;
        let mut next = last;
        let torn = loop {
            match reader.step(next, EntryIndex(0)) {
                Ok(Step::Group(group)) => next = group.end(),
                Ok(Step::Skipped(end)) => next = end,
                Ok(Step::End) => break None,
                // Somebody was told of this frame: a crash does not explain it. Nothing is touched.
                Err(JournalFault { cause: JournalCause::Torn(rule), segment, offset, entry })
                    if next < config.acknowledged =>
                {
                    let cause = JournalCause::Damaged(rule);
                    return Err(JournalFault { segment, offset, entry, cause }.into());
                }
                Err(JournalFault { cause: JournalCause::Torn(_), .. }) => {
                    break Some(keep_tail(&config, &mut reader)?);
                }
                Err(other) => return Err(other.into()),
            }
        };
        let offset = reader.offset();
        let path = config.dir.join(segment::name(last));
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(&path)
            .map_err(io_at("open for writing", &path))?;
        let reserved = restore_blank(&config, &path, &mut file, offset, torn.is_some())?;
        // What was found is made durable before anybody relies on it: a process that was killed
        // between write and sync leaves a whole frame that only the system's cache holds, and the
        // replay would acknowledge it.
        file.sync_all().map_err(io_at("sync", &path))?;
        files::sync_dir(&config.dir)?;
        let journal = Self {
            config,
            path,
            file,
            offset,
            reserved,
            next,
            is_poisoned: false,
            last_sync: Duration::ZERO,
        };
        Ok((journal, torn))
    }

    /// The index that the next group begins with; how many entries there are.
    pub fn next(&self) -> EntryIndex {
        self.next
    }

    /// Writes a group and makes it durable. After a fault in here it is not known what is on disk,
    /// so the journal takes nothing more: only a new opening reads it.
    pub fn append(&mut self, group: &Group) -> Result<(), StoreFault> {
        if self.is_poisoned {
            return Err(StoreFault::Poisoned);
        }
        if group.first != self.next {
            let (expected, found) = (self.next, group.first);
            return Err(StoreFault::Order { place: "journal", expected, found });
        }
        let bytes = frame::encode(group)?;
        // Set before, not after: a panic in between must not leave a journal that goes on.
        self.is_poisoned = true;
        self.write(&bytes)?;
        self.is_poisoned = false;
        self.offset += bytes.len() as u64;
        self.next = group.end();
        Ok(())
    }

    /// How long the sync of the last group took.
    pub fn last_sync(&self) -> Duration {
        self.last_sync
    }

    /// The groups from the one that holds `from` up to what is durable now.
    pub fn read(&self, from: EntryIndex) -> Result<Groups, StoreFault> {
        Groups::new(&self.config.dir, self.config.ledger, from, Some(self.next))
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), StoreFault> {
        let faults = self.config.faults.clone();
        faults.at(FaultPoint::BeforeJournalWrite, &self.path)?;
        let end = self.offset + bytes.len() as u64;
        let is_blank_segment = self.offset == SEGMENT_HEADER_BYTES as u64;
        if end > self.reserved && is_blank_segment {
            self.grow(end)?;
        } else if end > self.reserved {
            self.rotate(bytes.len())?;
        }
        if let Err(fault) = faults.at(FaultPoint::MidJournalWrite, &self.path) {
            // What a crash in the middle of the write leaves: the first half of the frame.
            let half = &bytes[..bytes.len() / 2];
            self.file.write_all(half).map_err(io_at("write", &self.path))?;
            return Err(fault);
        }
        self.file.write_all(bytes).map_err(io_at("write", &self.path))?;
        faults.at(FaultPoint::AfterJournalWrite, &self.path)?;
        faults.at(FaultPoint::BeforeJournalSync, &self.path)?;
        // A crash before this returns may leave any part of the frame; the next opening sets it
        // aside.
        let begun = Instant::now();
        self.file.sync_data().map_err(io_at("sync", &self.path))?;
        self.last_sync = begun.elapsed();
        faults.at(FaultPoint::AfterJournalSync, &self.path)
    }

    /// A segment without frames cannot be followed by one of the same first index: it reserves
    /// more.
    fn grow(&mut self, end: u64) -> Result<(), StoreFault> {
        let path = self.path.clone();
        let blank = files::reserve_zeros(&mut self.file, self.reserved, end);
        blank.map_err(io_at("reserve", &path))?;
        self.file.sync_all().map_err(io_at("sync", &path))?;
        self.file.seek(SeekFrom::Start(self.offset)).map_err(io_at("seek in", &path))?;
        self.reserved = end;
        Ok(())
    }

    fn rotate(&mut self, frame_len: usize) -> Result<(), StoreFault> {
        self.config.faults.at(FaultPoint::BeforeJournalRotation, &self.path)?;
        let (path, file, reserved) = new_segment(&self.config, self.next, frame_len)?;
        (self.path, self.file, self.reserved) = (path, file, reserved);
        self.offset = SEGMENT_HEADER_BYTES as u64;
        self.config.faults.at(FaultPoint::AfterJournalRotation, &self.path)
    }
}

impl Groups {
    /// The groups from the one that holds `from`; up to `stop`, or to the end of the files. Touches
    /// nothing and takes no lock. An unfinished write at the end comes as a fault of its own kind.
    pub fn new(
        dir: &Path,
        ledger: Hash32,
        from: EntryIndex,
        stop: Option<EntryIndex>,
    ) -> Result<Self, StoreFault> {
        let mut segments = segment::list(dir)?;
        let start = segments.partition_point(|first| *first <= from).saturating_sub(1);
        segments.drain(..start);
        let expected = if start == 0 {
            EntryIndex(0)
        } else {
            segments.first().copied().unwrap_or(EntryIndex(0))
        };
        Ok(Self {
            dir: dir.to_owned(),
            ledger,
            segments: segments.into_iter(),
            current: None,
            from,
            expected,
            stop,
            is_done: false,
        })
    }

    fn advance(&mut self) -> Result<Option<Group>, JournalFault> {
        // Each turn reads a frame or takes a segment from a finite list.
        loop {
            if self.stop.is_some_and(|stop| self.expected >= stop) {
                return Ok(None);
            }
            let Some(reader) = &mut self.current else {
                match self.segments.next() {
                    Some(first) => self.enter(first)?,
                    None if self.stop.is_some() => return Err(self.ended_early()),
                    None => return Ok(None),
                }
                continue;
            };
            match reader.step(self.expected, self.from)? {
                Step::Group(group) => {
                    self.expected = group.end();
                    return Ok(Some(group));
                }
                Step::Skipped(end) => self.expected = end,
                Step::End => self.current = None,
            }
        }
    }

    fn enter(&mut self, first: EntryIndex) -> Result<(), JournalFault> {
        if first != self.expected {
            return Err(JournalFault {
                segment: segment::name(first),
                offset: 0,
                entry: self.expected,
                cause: JournalCause::Gap(first),
            });
        }
        let is_last = self.segments.len() == 0;
        self.current = Some(SegmentReader::open(&self.dir, &self.ledger, first, is_last)?);
        Ok(())
    }

    fn ended_early(&self) -> JournalFault {
        JournalFault {
            segment: "(none)".to_owned(),
            offset: 0,
            entry: self.expected,
            cause: JournalCause::Segment("the journal ends before what was made durable"),
        }
    }
}

impl Iterator for Groups {
    type Item = Result<Group, JournalFault>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_done {
            return None;
        }
        let step = self.advance().transpose();
        self.is_done = !matches!(step, Some(Ok(_)));
        step
    }
}

/// A segment that is durable under its name before anything is written in it: a file that has the
/// name always has the whole header.
fn new_segment(
    config: &JournalConfig,
    first: EntryIndex,
    frame_len: usize,
) -> Result<(PathBuf, File, u64), StoreFault> {
    let path = config.dir.join(segment::name(first));
    let unnamed = path.with_extension("next");
    // What a crash between here and the rename left; it has no frames.
    match fs::remove_file(&unnamed) {
        Ok(()) => {}
        Err(absent) if absent.kind() == io::ErrorKind::NotFound => {}
        Err(other) => return Err(io_at("remove", &unnamed)(other)),
    }
    let reserved = config.segment_bytes.max((SEGMENT_HEADER_BYTES + frame_len) as u64);
    let mut file = files::create_new(&unnamed).map_err(io_at("create", &unnamed))?;
    files::reserve_zeros(&mut file, 0, reserved).map_err(io_at("reserve", &unnamed))?;
    file.seek(SeekFrom::Start(0)).map_err(io_at("seek in", &unnamed))?;
    file.write_all(&segment::header(&config.ledger, first)).map_err(io_at("write", &unnamed))?;
    file.sync_all().map_err(io_at("sync", &unnamed))?;
    if path.exists() {
        return Err(StoreFault::NotEmpty(path));
    }
    fs::rename(&unnamed, &path).map_err(io_at("rename to", &path))?;
    files::sync_dir(&config.dir)?;
    Ok((path, file, reserved))
}

/// The first segment begins at 0, and every header is of this ledger. Whether the groups in them
/// follow one another is checked whenever they are read.
fn check_segments(config: &JournalConfig, segments: &[EntryIndex]) -> Result<(), StoreFault> {
    for (position, first) in segments.iter().enumerate() {
        if position == 0 && first.0 != 0 {
            let (entry, cause) = (EntryIndex(0), JournalCause::Gap(*first));
            return Err(
                JournalFault { segment: segment::name(*first), offset: 0, entry, cause }.into()
            );
        }
        SegmentReader::open(&config.dir, &config.ledger, *first, false)?;
    }
    Ok(())
}

/// Keeps a copy of an unfinished write: what looks like a crash may be damage to something that was
/// acknowledged, and then the head guard refuses to go on and a person wants to see it.
fn keep_tail(config: &JournalConfig, reader: &mut SegmentReader) -> Result<TornTail, StoreFault> {
    let tail = reader.rest()?;
    let stem = format!("{}.torn-", reader.name().trim_end_matches(SEGMENT_SUFFIX));
    let kept_as = files::free_name(&config.dir, &stem)?;
    let mut copy = files::create_new(&kept_as).map_err(io_at("create", &kept_as))?;
    copy.write_all(&tail).map_err(io_at("write", &kept_as))?;
    copy.sync_all().map_err(io_at("sync", &kept_as))?;
    files::sync_dir(&config.dir)?;
    let (segment, offset) = (reader.name().to_owned(), reader.offset());
    Ok(TornTail { segment, offset, bytes: tail.len(), kept_as })
}

/// Puts the file's end into the state in which the writer leaves it: zeros from `offset` on.
fn restore_blank(
    config: &JournalConfig,
    path: &Path,
    file: &mut File,
    offset: u64,
    is_torn: bool,
) -> Result<u64, StoreFault> {
    let found = file.metadata().map_err(io_at("look at", path))?.len();
    let reserved = found.max(config.segment_bytes);
    if is_torn {
        // A crash between the cut and the reservation leaves a short file with whole frames: a
        // clean end.
        file.set_len(offset).map_err(io_at("cut", path))?;
    }
    if is_torn || found < reserved {
        let blank_from = if is_torn { offset } else { found };
        files::reserve_zeros(file, blank_from, reserved).map_err(io_at("reserve", path))?;
        file.sync_all().map_err(io_at("sync", path))?;
    }
    file.seek(SeekFrom::Start(offset)).map_err(io_at("seek in", path))?;
    Ok(reserved)
}
