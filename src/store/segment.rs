//! One segment of the journal: its name, its header, and reading its frames one by one.

use std::fs::{self, File};
use std::io::{self, BufReader, Read as _, Seek as _, SeekFrom};
use std::path::Path;

use bytes::Bytes;

use super::fault::{StoreFault, io_at};
use super::journal::{JournalCause, JournalFault};
use crate::domain::{EntryIndex, Hash32};
use crate::ledger::frame::{
    self, Breakage, FRAME_MAGIC, FrameFault, FrameHeader, FrameRule, Group,
};
use crate::limits::{FRAME_HEADER_BYTES, MAX_FRAME_BYTES, SEGMENT_HEADER_BYTES};

/// How a segment's name ends.
pub(super) const SEGMENT_SUFFIX: &str = ".umj";
const SEGMENT_MAGIC: [u8; 8] = *b"UMJOURNL";
const SEGMENT_VERSION: u16 = 1;
const NAME_DIGITS: usize = 20;
const CHECKSUM_AT: usize = SEGMENT_HEADER_BYTES - 4;
const BUFFER_BYTES: usize = 64 * 1024;

/// What one step through a segment finds.
#[derive(Debug)]
pub(super) enum Step {
    /// A group.
    Group(Group),
    /// A group before those asked for; the index after it.
    Skipped(EntryIndex),
    /// Nothing but reserved space.
    End,
}

/// A segment, read from its start.
#[derive(Debug)]
pub(super) struct SegmentReader {
    file: BufReader<File>,
    name: String,
    offset: u64,
    len: u64,
    is_last: bool,
}

/// The name of the segment that begins with an entry.
pub(super) fn name(first: EntryIndex) -> String {
    format!("{:0width$}{SEGMENT_SUFFIX}", first.0, width = NAME_DIGITS)
}

/// The first index of the segment of a name; `None` for a name that no segment has.
pub(super) fn parse_name(name: &str) -> Option<EntryIndex> {
    let stem = name.strip_suffix(SEGMENT_SUFFIX)?;
    let is_name = stem.len() == NAME_DIGITS && stem.bytes().all(|byte| byte.is_ascii_digit());
    stem.parse().ok().filter(|_| is_name).map(EntryIndex)
}

/// The first indexes of all segments of a directory, ascending.
pub(super) fn list(dir: &Path) -> Result<Vec<EntryIndex>, StoreFault> {
    let mut found = Vec::new();
    for item in fs::read_dir(dir).map_err(io_at("list", dir))? {
        let item = item.map_err(io_at("list", dir))?;
        let name = item.file_name();
        let Some(name) = name.to_str().filter(|name| name.ends_with(SEGMENT_SUFFIX)) else {
            continue;
        };
        let rule = "a segment is named by 20 digits".to_owned();
        let first = parse_name(name).ok_or(StoreFault::Format { path: item.path(), rule })?;
        found.push(first);
    }
    found.sort_unstable();
    Ok(found)
}

/// Whether a segment holds nothing but its header and zeros: no frame was ever begun in it.
pub(super) fn is_blank(dir: &Path, first: EntryIndex) -> Result<bool, StoreFault> {
    let path = dir.join(name(first));
    let mut file = File::open(&path).map_err(io_at("open", &path))?;
    let begin = SEGMENT_HEADER_BYTES as u64;
    file.seek(SeekFrom::Start(begin)).map_err(io_at("seek in", &path))?;
    let mut part = vec![0; 1 << 20];
    // Each turn reads at least a byte, to the end of the file.
    loop {
        let count = file.read(&mut part).map_err(io_at("read", &path))?;
        if count == 0 {
            return Ok(true);
        }
        if part[..count].iter().any(|byte| *byte != 0) {
            return Ok(false);
        }
    }
}

/// The header of a segment: magic, version, ledger hash, first index, crc32c of these.
pub(super) fn header(ledger: &Hash32, first: EntryIndex) -> Vec<u8> {
    let mut out = Vec::with_capacity(SEGMENT_HEADER_BYTES);
    out.extend_from_slice(&SEGMENT_MAGIC);
    out.extend_from_slice(&SEGMENT_VERSION.to_be_bytes());
    out.extend_from_slice(ledger.as_bytes());
    out.extend_from_slice(&first.0.to_be_bytes());
    let checksum = crc32c::crc32c(&out);
    out.extend_from_slice(&checksum.to_be_bytes());
    out
}

impl SegmentReader {
    /// Opens a segment and checks that it is the one of its name, of this ledger.
    pub(super) fn open(
        dir: &Path,
        ledger: &Hash32,
        first: EntryIndex,
        is_last: bool,
    ) -> Result<Self, JournalFault> {
        let name = name(first);
        let refused =
            |cause| JournalFault { segment: name.clone(), offset: 0, entry: first, cause };
        let read = || {
            let mut file = BufReader::with_capacity(BUFFER_BYTES, File::open(dir.join(&name))?);
            let len = file.get_ref().metadata()?.len();
            let mut found = Vec::with_capacity(SEGMENT_HEADER_BYTES);
            file.by_ref().take(SEGMENT_HEADER_BYTES as u64).read_to_end(&mut found)?;
            Ok((file, len, found))
        };
        let (file, len, found) = read().map_err(|cause| refused(JournalCause::Io(cause)))?;
        if let Some(rule) = header_rule(&found, ledger, first) {
            return Err(refused(JournalCause::Segment(rule)));
        }
        Ok(Self { file, name, offset: SEGMENT_HEADER_BYTES as u64, len, is_last })
    }

    /// The file's name.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Where the next frame begins.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// The next group; groups that end at or before `from` are passed over by their headers alone.
    pub(super) fn step(
        &mut self,
        expected: EntryIndex,
        from: EntryIndex,
    ) -> Result<Step, JournalFault> {
        let offset = self.offset;
        self.read_frame(expected, from).map_err(|cause| JournalFault {
            segment: self.name.clone(),
            offset,
            entry: expected,
            cause,
        })
    }

    /// Everything from the next frame on, without the blank bytes at the end. Longer than any frame
    /// only by a byte: more than that no caller needs to see.
    pub(super) fn rest(&mut self) -> Result<Vec<u8>, JournalFault> {
        let (segment, offset) = (self.name.clone(), self.offset);
        self.read_rest().map_err(|cause| JournalFault {
            segment,
            offset,
            entry: EntryIndex(0),
            cause: JournalCause::Io(cause),
        })
    }

    fn read_frame(&mut self, expected: EntryIndex, from: EntryIndex) -> Result<Step, JournalCause> {
        let head = self.read_up_to(FRAME_HEADER_BYTES as u64).map_err(JournalCause::Io)?;
        let is_blank = head.iter().take(FRAME_MAGIC.len()).all(|byte| *byte == 0);
        if is_blank {
            let rest = self.read_rest().map_err(JournalCause::Io)?;
            if rest.is_empty() {
                return Ok(Step::End);
            }
            return Err(self.judge(FrameFault { offset: 0, rule: FrameRule::Magic }, &rest));
        }
        let header = match frame::parse_header(&head) {
            Ok(header) => header,
            Err(broken) => return Err(self.broken(broken)),
        };
        if header.first != expected {
            let rule = FrameRule::OutOfOrder { expected, found: header.first };
            return Err(JournalCause::Damaged(FrameFault { offset: 8, rule }));
        }
        self.read_body(&header, head, from)
    }

    fn read_body(
        &mut self,
        header: &FrameHeader,
        mut frame: Vec<u8>,
        from: EntryIndex,
    ) -> Result<Step, JournalCause> {
        let end = self.offset + header.frame_len() as u64;
        if header.end() <= from && end <= self.len {
            self.file.seek(SeekFrom::Start(end)).map_err(JournalCause::Io)?;
            self.offset = end;
            return Ok(Step::Skipped(header.end()));
        }
        let body_len = (header.frame_len() - FRAME_HEADER_BYTES) as u64;
        frame.append(&mut self.read_up_to(body_len).map_err(JournalCause::Io)?);
        match frame::parse(&Bytes::from(frame)) {
            Ok((_, group)) => {
                self.offset = end;
                Ok(Step::Group(group))
            }
            Err(broken) => Err(self.broken(broken)),
        }
    }

    fn broken(&mut self, broken: FrameFault) -> JournalCause {
        match self.read_rest() {
            Ok(rest) => self.judge(broken, &rest),
            Err(cause) => JournalCause::Io(cause),
        }
    }

    fn judge(&self, broken: FrameFault, rest: &[u8]) -> JournalCause {
        let is_torn = self.is_last && frame::breakage(&broken, rest) == Breakage::Torn;
        if is_torn { JournalCause::Torn(broken) } else { JournalCause::Damaged(broken) }
    }

    fn read_up_to(&mut self, limit: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(usize::try_from(limit).unwrap_or_default());
        self.file.by_ref().take(limit).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn read_rest(&mut self) -> io::Result<Vec<u8>> {
        self.file.seek(SeekFrom::Start(self.offset))?;
        let mut rest = self.read_up_to(MAX_FRAME_BYTES as u64 + 1)?;
        // Is there anything behind? Then it is more than a frame, and nothing is to be trimmed.
        let is_blank_behind = is_blank_to_end(&mut self.file)?;
        if is_blank_behind {
            let used = rest.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
            rest.truncate(used);
        } else {
            rest.resize(MAX_FRAME_BYTES + 1, 0);
        }
        self.file.seek(SeekFrom::Start(self.offset))?;
        Ok(rest)
    }
}

fn header_rule(found: &[u8], ledger: &Hash32, first: EntryIndex) -> Option<&'static str> {
    let expected = header(ledger, first);
    if found == expected {
        return None;
    }
    if found.len() < SEGMENT_HEADER_BYTES || found[..8] != expected[..8] {
        return Some("the file is not a journal segment");
    }
    if found[CHECKSUM_AT..] != crc32c::crc32c(&found[..CHECKSUM_AT]).to_be_bytes() {
        return Some("the segment's header is damaged");
    }
    if found[8..10] != expected[8..10] {
        return Some("the segment is of a version that is not known");
    }
    if found[10..42] != expected[10..42] {
        return Some("the segment belongs to another ledger");
    }
    Some("the segment's name is not its first index")
}

fn is_blank_to_end(file: &mut BufReader<File>) -> io::Result<bool> {
    let mut chunk = vec![0; BUFFER_BYTES];
    loop {
        let read = file.read(&mut chunk)?;
        if read == 0 {
            return Ok(true);
        }
        if chunk[..read].iter().any(|byte| *byte != 0) {
            return Ok(false);
        }
    }
}
