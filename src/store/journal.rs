//! The journal: append-only segments of frames. Durability is here and nowhere else.
//!
//! A segment `NNNNNNNNNNNNNNNNNNNN.umj` is named by its first entry and preallocated with zeros, so that a
//! power cut shows zeros and never what lay on the disk before. It begins with 64 bytes: magic `UMSEGM01`,
//! the ledger's identity (32 bytes), the first entry (u64), CRC-32C of these 48 bytes, zeros.
//!
//! One group is one frame is one write and one fdatasync. A write or sync that fails is fatal.

use std::collections::VecDeque;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::fault::StoreFault;
use super::faults::{FaultPoint, Faults};
use super::{make_directory, sync_directory};
use crate::domain::{EntryCount, EntryIndex, Hash32};
use crate::ledger::frame::{
    self, FRAME_HEADER_BYTES, FRAME_MAGIC, FRAME_TRAILER_BYTES, FrameFault, Group,
};
use crate::limits::{JOURNAL_SEGMENT_BYTES, MAX_FRAME_BODY_BYTES};

const SEGMENT_MAGIC: [u8; 8] = *b"UMSEGM01";
const SEGMENT_HEADER_BYTES: u64 = 64;
const EXTENSION: &str = "umj";

/// The journal, open for appending.
#[derive(Debug)]
pub struct Journal {
    directory: PathBuf,
    identity: Hash32,
    file: File,
    path: PathBuf,
    /// Where the next frame goes.
    offset: u64,
    end: EntryIndex,
    /// Where a half-written frame ends that lies at `offset`.
    torn_until: Option<u64>,
    faults: Faults,
}

impl Journal {
    /// Makes an empty journal.
    pub fn create(directory: &Path, identity: Hash32, faults: &Faults) -> Result<Self, StoreFault> {
        make_directory(directory)?;
        let first = EntryIndex(0);
        let (file, path) = create_segment(directory, identity, first)?;
        Ok(Self {
            directory: directory.to_path_buf(),
            identity,
            file,
            path,
            offset: SEGMENT_HEADER_BYTES,
            end: first,
            torn_until: None,
            faults: faults.clone(),
        })
    }

    /// Opens a journal and finds its end. Changes no byte of it.
    ///
    /// What was found is made durable before anybody relies on it: a process that was killed between write
    /// and sync leaves a whole frame that only the system's cache holds, and the replay would acknowledge
    /// it.
    pub fn open(directory: &Path, identity: Hash32, faults: &Faults) -> Result<Self, StoreFault> {
        let segments = segments_of(directory)?;
        let Some((first, path)) = segments.last().cloned() else {
            return Err(StoreFault::NoLedger { path: directory.to_path_buf() });
        };
        let mut scan = Scan::open(&path, identity, first, Place::LastSegment)?;
        while scan.next_group()?.is_some() {}
        let file = File::options()
            .read(true)
            .write(true)
            .open(&path)
            .map_err(|error| StoreFault::io("open", &path, error))?;
        file.sync_all().map_err(|error| StoreFault::io("sync", &path, error))?;
        sync_directory(directory)?;
        Ok(Self {
            directory: directory.to_path_buf(),
            identity,
            file,
            path,
            offset: scan.offset,
            end: scan.next,
            torn_until: scan.torn_until,
            faults: faults.clone(),
        })
    }

    /// Entries in it.
    pub fn end(&self) -> EntryCount {
        EntryCount(self.end.0)
    }

    /// Appends a group; it survives a power cut once this returns.
    pub fn append(&mut self, group: &Group) -> Result<(), StoreFault> {
        if group.first != self.end || self.torn_until.is_some() {
            let (first, end) = (group.first, self.end());
            return Err(StoreFault::OutOfOrder { first, end });
        }
        let frame = frame::encode(group).map_err(|_| StoreFault::GroupTooLarge)?;
        if self.offset + frame.len() as u64 > JOURNAL_SEGMENT_BYTES {
            self.rotate()?;
        }
        self.faults.at(FaultPoint::BeforeJournalWrite)?;
        if let Err(fault) = self.faults.at(FaultPoint::MidJournalWrite) {
            // What a crash in the middle of a write leaves: its first half.
            self.write(&frame[..frame.len() / 2])?;
            return Err(fault);
        }
        self.write(&frame)?;
        self.faults.at(FaultPoint::AfterJournalWrite)?;
        // A crash before this line: nobody was told. After it: the group is there at the next start.
        self.file.sync_data().map_err(|error| StoreFault::io("sync", &self.path, error))?;
        self.offset += frame.len() as u64;
        self.end = group.end();
        self.faults.at(FaultPoint::AfterJournalSync)
    }

    fn write(&self, bytes: &[u8]) -> Result<(), StoreFault> {
        let written = self.file.write_all_at(bytes, self.offset);
        written.map_err(|error| StoreFault::io("write", &self.path, error))
    }

    /// The next segment is whole on disk, under its name, before a frame goes into it. A crash before: the
    /// last segment simply ends early.
    fn rotate(&mut self) -> Result<(), StoreFault> {
        self.file.sync_all().map_err(|error| StoreFault::io("sync", &self.path, error))?;
        let (file, path) = create_segment(&self.directory, self.identity, self.end)?;
        self.file = file;
        self.path = path;
        self.offset = SEGMENT_HEADER_BYTES;
        Ok(())
    }

    /// Groups from the one that holds an index on.
    pub fn read(&self, from: EntryIndex) -> Result<Groups, StoreFault> {
        Groups::open(&self.directory, self.identity, from)
    }

    /// Writes zeros over a half-written frame.
    pub fn clear_torn_tail(&mut self) -> Result<(), StoreFault> {
        let Some(until) = self.torn_until else { return Ok(()) };
        let zeros = vec![0_u8; 1 << 20];
        let mut at = self.offset;
        while at < until {
            let left = usize::try_from(until - at).unwrap_or(usize::MAX);
            let part = &zeros[..left.min(zeros.len())];
            let written = self.file.write_all_at(part, at);
            written.map_err(|error| StoreFault::io("write", &self.path, error))?;
            at += part.len() as u64;
        }
        // A crash before this line: the rest of the frame is still torn, and cleared at the next start.
        self.file.sync_all().map_err(|error| StoreFault::io("sync", &self.path, error))?;
        self.torn_until = None;
        Ok(())
    }
}

/// Segments of a journal by their first entry, ascending.
fn segments_of(directory: &Path) -> Result<Vec<(EntryIndex, PathBuf)>, StoreFault> {
    let entries =
        std::fs::read_dir(directory).map_err(|error| StoreFault::io("list", directory, error))?;
    let mut segments = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| StoreFault::io("list", directory, error))?.path();
        let is_segment = path.extension().is_some_and(|it| it == EXTENSION);
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        if let (true, 20, Ok(first)) = (is_segment, stem.len(), stem.parse()) {
            segments.push((EntryIndex(first), path));
        }
    }
    segments.sort();
    Ok(segments)
}

fn create_segment(
    directory: &Path,
    identity: Hash32,
    first: EntryIndex,
) -> Result<(File, PathBuf), StoreFault> {
    let path = directory.join(format!("{:020}.{EXTENSION}", first.0));
    let part = path.with_extension("new");
    let file = File::options()
        .create(true)
        .truncate(true)
        .read(true)
        .write(true)
        .open(&part)
        .map_err(|error| StoreFault::io("create", &part, error))?;
    preallocate(&file).map_err(|error| StoreFault::io("allocate", &part, error))?;
    let header = segment_header(identity, first);
    file.write_all_at(&header, 0)
        .and_then(|()| file.sync_all())
        .map_err(|error| StoreFault::io("write", &part, error))?;
    std::fs::rename(&part, &path).map_err(|error| StoreFault::io("rename", &part, error))?;
    sync_directory(directory)?;
    Ok((file, path))
}

/// Zeros up to the end of the segment, really allocated where the file system can.
fn preallocate(file: &File) -> std::io::Result<()> {
    let whole =
        rustix::fs::fallocate(file, rustix::fs::FallocateFlags::empty(), 0, JOURNAL_SEGMENT_BYTES);
    match whole {
        Ok(()) => Ok(()),
        Err(rustix::io::Errno::OPNOTSUPP) => file.set_len(JOURNAL_SEGMENT_BYTES),
        Err(error) => Err(error.into()),
    }
}

fn segment_header(identity: Hash32, first: EntryIndex) -> [u8; 64] {
    let mut header = [0; 64];
    header[..8].copy_from_slice(&SEGMENT_MAGIC);
    header[8..40].copy_from_slice(identity.as_bytes());
    header[40..48].copy_from_slice(&first.0.to_be_bytes());
    let checksum = crc32c::crc32c(&header[..48]);
    header[48..52].copy_from_slice(&checksum.to_be_bytes());
    header
}

/// Groups of a journal in order, one segment in memory at a time.
#[derive(Debug)]
pub struct Groups {
    identity: Hash32,
    segments: VecDeque<(EntryIndex, PathBuf)>,
    scan: Option<Scan>,
    from: EntryIndex,
    next: EntryIndex,
    has_failed: bool,
}

impl Groups {
    /// Opens a journal for reading only, at the group that holds an index.
    pub fn open(directory: &Path, identity: Hash32, from: EntryIndex) -> Result<Self, StoreFault> {
        let mut segments: VecDeque<_> = segments_of(directory)?.into();
        while segments.len() > 1 && segments[1].0 <= from {
            segments.pop_front();
        }
        let Some((next, path)) = segments.front().cloned() else {
            return Err(StoreFault::NoLedger { path: directory.to_path_buf() });
        };
        if next > from {
            let rule = "the segment before this one is missing".to_owned();
            return Err(StoreFault::Journal { path, offset: 0, index: from, rule });
        }
        Ok(Self { identity, segments, scan: None, from, next, has_failed: false })
    }

    /// Whether the journal ends in a half-written frame; known once all groups were read.
    pub fn is_torn(&self) -> bool {
        self.scan.as_ref().is_some_and(|scan| scan.torn_until.is_some())
    }

    fn advance(&mut self) -> Result<Option<Group>, StoreFault> {
        loop {
            if let Some(scan) = &mut self.scan {
                if let Some(group) = scan.next_group()? {
                    self.next = scan.next;
                    return Ok(Some(group));
                }
                if self.segments.is_empty() {
                    return Ok(None);
                }
            }
            let Some((first, path)) = self.segments.pop_front() else { return Ok(None) };
            if first != self.next {
                let rule = format!("the segment begins at entry {first}");
                return Err(StoreFault::Journal { path, offset: 0, index: self.next, rule });
            }
            let place = if self.segments.is_empty() { Place::LastSegment } else { Place::Before };
            self.scan = Some(Scan::open(&path, self.identity, first, place)?);
        }
    }
}

impl Iterator for Groups {
    type Item = Result<Group, StoreFault>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.has_failed {
            match self.advance() {
                Ok(Some(group)) if group.end() <= self.from => {}
                Ok(Some(group)) => return Some(Ok(group)),
                Ok(None) => return None,
                Err(fault) => {
                    self.has_failed = true;
                    return Some(Err(fault));
                }
            }
        }
        None
    }
}

/// Where a segment stands: only the last one may end in a half-written frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Before,
    LastSegment,
}

/// The frames of one segment.
#[derive(Debug)]
struct Scan {
    path: PathBuf,
    bytes: Bytes,
    offset: u64,
    next: EntryIndex,
    place: Place,
    /// Where a half-written frame ends that lies at `offset`.
    torn_until: Option<u64>,
}

impl Scan {
    fn open(
        path: &Path,
        identity: Hash32,
        first: EntryIndex,
        place: Place,
    ) -> Result<Self, StoreFault> {
        let bytes = std::fs::read(path).map_err(|error| StoreFault::io("read", path, error))?;
        let fault = |rule: &str| {
            let (path, rule) = (path.to_path_buf(), rule.to_owned());
            Err(StoreFault::Journal { path, offset: 0, index: first, rule })
        };
        if bytes.len() as u64 > JOURNAL_SEGMENT_BYTES {
            return fault("a segment is not larger than 64 MiB");
        }
        let header = segment_header(identity, first);
        if bytes.len() < header.len() || bytes[..48] != header[..48] {
            return fault("the header is not this ledger's, or not of this place");
        }
        if bytes[..header.len()] != header {
            return fault("the checksum of the segment's header does not hold");
        }
        Ok(Self {
            path: path.to_path_buf(),
            bytes: bytes.into(),
            offset: SEGMENT_HEADER_BYTES,
            next: first,
            place,
            torn_until: None,
        })
    }

    fn next_group(&mut self) -> Result<Option<Group>, StoreFault> {
        if self.torn_until.is_some() {
            return Ok(None);
        }
        let at = usize::try_from(self.offset).unwrap_or(usize::MAX).min(self.bytes.len());
        let rest = self.bytes.slice(at..);
        match frame::parse(&rest) {
            Ok((group, len)) => {
                if group.first != self.next {
                    let rule = format!("the frame begins at entry {}", group.first);
                    return Err(self.fault(rule));
                }
                self.offset += len as u64;
                self.next = group.end();
                Ok(Some(group))
            }
            Err(fault) => self.end_at(&rest, &fault),
        }
    }

    /// No frame here: the preallocated rest, a half-written frame at the very end, or damage.
    fn end_at(&mut self, rest: &Bytes, fault: &FrameFault) -> Result<Option<Group>, StoreFault> {
        let written = rest.slice(..written_len(rest));
        if written.is_empty() {
            return Ok(None);
        }
        if self.place == Place::LastSegment && could_be_torn(&written, fault) {
            self.torn_until = Some(self.offset + written.len() as u64);
            return Ok(None);
        }
        let fault = match fault {
            FrameFault::End => "zeros where a frame was, and something after them".to_owned(),
            other => other.to_string(),
        };
        Err(self.fault(fault))
    }

    fn fault(&self, rule: String) -> StoreFault {
        let (path, offset, index) = (self.path.clone(), self.offset, self.next);
        StoreFault::Journal { path, offset, index, rule }
    }
}

/// A crash leaves at most one frame half written: sectors of it in any order, none of a later frame, and
/// nothing beyond the largest frame. Whether it had been acknowledged is for the head guard to say.
fn could_be_torn(written: &Bytes, fault: &FrameFault) -> bool {
    if matches!(fault, FrameFault::Body { .. }) {
        return false; // its checksum holds: it was written so
    }
    let reach = FRAME_HEADER_BYTES + MAX_FRAME_BODY_BYTES + FRAME_TRAILER_BYTES;
    let holds_frame = (1..written.len().saturating_sub(FRAME_MAGIC.len())).any(|at| {
        written[at..].starts_with(&FRAME_MAGIC) && frame::parse(&written.slice(at..)).is_ok()
    });
    written.len() <= reach && !holds_frame
}

/// How many bytes there are without the zeros at the end.
fn written_len(bytes: &[u8]) -> usize {
    const BLANK: [u8; 4_096] = [0; 4_096];
    let mut len = bytes.len();
    // Whole pages first: a young segment is 64 MiB of zeros.
    while len >= BLANK.len() && bytes[len - BLANK.len()..len] == BLANK {
        len -= BLANK.len();
    }
    bytes[..len].iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDENTITY: Hash32 = Hash32([7; 32]);

    fn group(first: u64, count: u64) -> Group {
        let checkpoint = if first == 0 { Bytes::new() } else { Bytes::from(format!("at {first}")) };
        let entry = |index: u64| Bytes::from(format!("entry {index} ").repeat(20));
        Group {
            first: EntryIndex(first),
            previous_checkpoint: checkpoint,
            entries: (first..first + count).map(entry).collect(),
        }
    }

    fn filled(folder: &Path) -> Vec<Group> {
        let mut journal = Journal::create(folder, IDENTITY, &Faults::default()).unwrap();
        let groups = vec![group(0, 1), group(1, 3), group(4, 2)];
        for group in &groups {
            journal.append(group).unwrap();
        }
        groups
    }

    fn open(folder: &Path) -> Result<Journal, StoreFault> {
        Journal::open(folder, IDENTITY, &Faults::default())
    }

    fn all(folder: &Path) -> Result<Vec<Group>, StoreFault> {
        Groups::open(folder, IDENTITY, EntryIndex(0))?.collect()
    }

    /// What is written of a segment and some of its zeros: 64 MiB for every byte that is bent take minutes.
    fn written(path: &Path) -> Vec<u8> {
        let mut bytes = std::fs::read(path).unwrap();
        bytes.truncate(written_len(&bytes) + 4_096);
        bytes
    }

    #[test]
    fn groups_read_back_from_any_index() {
        let folder = tempfile::tempdir().unwrap();
        let groups = filled(folder.path());
        assert_eq!(all(folder.path()).unwrap(), groups);
        let journal = open(folder.path()).unwrap();
        assert_eq!(journal.end(), EntryCount(6));
        let from_two: Vec<_> =
            journal.read(EntryIndex(2)).unwrap().collect::<Result<_, _>>().unwrap();
        assert_eq!(from_two, groups[1..]);
    }

    #[test]
    fn a_tail_torn_at_any_byte_ends_before_the_last_frame() {
        let folder = tempfile::tempdir().unwrap();
        let groups = filled(folder.path());
        let path = folder.path().join(format!("{:020}.umj", 0));
        let whole = written(&path);
        let last = frame::encode(&groups[2]).unwrap().len();
        let end = whole.iter().rposition(|byte| *byte != 0).unwrap() + 1;
        // The checksum may end in zeros, so the frame's end is counted from its start.
        let start = whole.len().min(open(folder.path()).unwrap().offset as usize - last);
        assert!(end <= start + last);
        for cut in start..start + last {
            let mut torn = whole.clone();
            torn[cut..].fill(0);
            std::fs::write(&path, &torn).unwrap();
            let expected = if torn == whole { 3 } else { 2 };
            assert_eq!(all(folder.path()).unwrap(), groups[..expected], "cut at {cut}");
            if cut % 97 == 0 && expected == 2 {
                let mut journal = open(folder.path()).unwrap();
                journal.clear_torn_tail().unwrap();
                journal.append(&group(4, 1)).unwrap();
                assert_eq!(all(folder.path()).unwrap().len(), 3);
            }
        }
        // Sectors of one write may land in any order: the first half missing, the second there.
        let mut torn = whole.clone();
        torn[start..start + last / 2].fill(0);
        std::fs::write(&path, &torn).unwrap();
        assert_eq!(all(folder.path()).unwrap(), groups[..2]);
    }

    #[test]
    fn damage_before_the_last_frame_is_refused_with_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let groups = filled(folder.path());
        let path = folder.path().join(format!("{:020}.umj", 0));
        let whole = written(&path);
        let first = frame::encode(&groups[0]).unwrap().len();
        let second = frame::encode(&groups[1]).unwrap().len();
        let start = 64 + first;
        for at in start..start + second {
            let mut bent = whole.clone();
            bent[at] ^= 0x10;
            std::fs::write(&path, &bent).unwrap();
            match all(folder.path()) {
                Err(StoreFault::Journal { offset, index, .. }) => {
                    assert_eq!((offset, index), (start as u64, EntryIndex(1)), "byte {at}");
                }
                other => panic!("byte {at}: {other:?}"),
            }
        }
        for at in 0..52 {
            let mut bent = whole.clone();
            bent[at] ^= 0x10;
            std::fs::write(&path, &bent).unwrap();
            assert!(all(folder.path()).is_err(), "header byte {at}");
        }
    }

    #[test]
    fn it_rotates_and_another_ledgers_segment_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let mut journal = Journal::create(folder.path(), IDENTITY, &Faults::default()).unwrap();
        let big = Bytes::from(vec![3_u8; 60_000]);
        let mut first = 0;
        for _ in 0..9 {
            let checkpoint = if first == 0 { Bytes::new() } else { Bytes::from_static(b"c") };
            let entries = vec![big.clone(); 256];
            let group =
                Group { first: EntryIndex(first), previous_checkpoint: checkpoint, entries };
            journal.append(&group).unwrap();
            first += 256;
        }
        assert_eq!(segments_of(folder.path()).unwrap().len(), 3);
        assert_eq!(open(folder.path()).unwrap().end(), EntryCount(first));
        assert_eq!(all(folder.path()).unwrap().len(), 9);
        let strange = Groups::open(folder.path(), Hash32([8; 32]), EntryIndex(0)).unwrap().next();
        assert!(matches!(strange, Some(Err(StoreFault::Journal { .. }))));
        std::fs::remove_file(&segments_of(folder.path()).unwrap()[1].1).unwrap();
        assert!(all(folder.path()).is_err());
    }
}
