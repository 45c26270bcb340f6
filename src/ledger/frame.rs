//! The journal frame: one commit group as the journal stores it. A pure codec, strict in both
//! directions.
//!
//! ```text
//! magic "UMJF" | version u16 | entry count u16 | first index u64 | body length u32
//! | checkpoint length u32 | crc32c of these 24 bytes, u32
//! checkpoint of the group before | entries: (length u32, bytes) ...
//! crc32c of header and body, u32
//! ```
//!
//! The checksums are crc32c, not a cryptographic hash: a frame answers "was this write finished,
//! and is this what was written?", and crc32c answers that at memory speed. Whether it is *true* is
//! answered by the chain and the tree inside, under signatures that nobody else can make; a strong
//! hash around them, which anybody can compute, would only seem to add something.

use bytes::Bytes;

use crate::domain::EntryIndex;
use crate::limits::{
    FRAME_HEADER_BYTES, FRAME_TRAILER_BYTES, MAX_CHECKPOINT_TEXT_BYTES, MAX_ENTRY_BYTES,
    MAX_FRAME_BODY_BYTES, MAX_FRAME_BYTES, MAX_GROUP_BYTES, MAX_GROUP_ENTRIES,
};

/// First bytes of a frame. Never zero: zeros are space that was reserved and not yet written.
pub const FRAME_MAGIC: [u8; 4] = *b"UMJF";
/// The version of this layout.
pub const FRAME_VERSION: u16 = 1;

const CHECKSUM_AT: usize = FRAME_HEADER_BYTES - 4;

/// One commit group: entries that became durable together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Index of the first entry.
    pub first: EntryIndex,
    /// The signed checkpoint of the group before; empty exactly for the first group.
    pub previous_checkpoint: Bytes,
    /// The entries, at least one.
    pub entries: Vec<Bytes>,
}

/// What the header of a frame says, its checksum and limits being good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameHeader {
    /// Index of the first entry.
    pub first: EntryIndex,
    /// How many entries.
    pub entry_count: usize,
    /// Bytes of checkpoint and entries.
    pub body_len: usize,
    /// Bytes of the checkpoint.
    pub checkpoint_len: usize,
}

/// Why bytes are not a frame, or a group cannot be one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("frame byte {offset}: {rule}")]
pub struct FrameFault {
    /// Where in the frame.
    pub offset: usize,
    /// What is broken there.
    pub rule: FrameRule,
}

/// A rule of the frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum FrameRule {
    #[error("the frame is shorter than it says: {found} of {announced} bytes")]
    Short { announced: usize, found: usize },
    #[error("no frame begins here, and what follows is not blank")]
    Magic,
    #[error("the header's checksum does not match")]
    HeaderChecksum,
    #[error("frame version {0} is not known")]
    Version(u16),
    #[error("a group has 1 to {MAX_GROUP_ENTRIES} entries, not {0}")]
    EntryCount(usize),
    #[error("a body has at most {MAX_FRAME_BODY_BYTES} bytes, not {0}")]
    BodyLength(usize),
    #[error("a checkpoint of {0} bytes: only the first group has none, and the limit is 2048")]
    CheckpointLength(usize),
    #[error("the checksum of the frame does not match")]
    Checksum,
    #[error("entry {position} of the group: {found} bytes do not fit the body or the limit")]
    EntryLength { position: usize, found: usize },
    #[error("entries have at most {MAX_GROUP_BYTES} bytes together, not {0}")]
    GroupBytes(usize),
    #[error("{0} bytes follow the last entry")]
    BytesLeft(usize),
    #[error("the indexes of the group do not fit 64 bits")]
    IndexOverflow,
    #[error("entry {expected} is next, the frame begins with {found}")]
    OutOfOrder { expected: EntryIndex, found: EntryIndex },
}

/// What a frame that cannot be read means, where it is the last thing in the last segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Breakage {
    /// A crash in the middle of its write explains it: nobody was told that it is durable.
    Torn,
    /// No crash explains it.
    Damaged,
}

impl Group {
    /// The index after the last entry.
    pub fn end(&self) -> EntryIndex {
        EntryIndex(self.first.0.saturating_add(self.entries.len() as u64))
    }
}

impl FrameHeader {
    /// Bytes of the whole frame.
    pub const fn frame_len(&self) -> usize {
        FRAME_HEADER_BYTES + self.body_len + FRAME_TRAILER_BYTES
    }

    /// The index after the last entry.
    pub const fn end(&self) -> EntryIndex {
        EntryIndex(self.first.0.saturating_add(self.entry_count as u64))
    }
}

/// A group as a frame.
pub fn encode(group: &Group) -> Result<Vec<u8>, FrameFault> {
    let entry_bytes: usize = group.entries.iter().map(Bytes::len).sum();
    if entry_bytes > MAX_GROUP_BYTES {
        return Err(fault(FRAME_HEADER_BYTES, FrameRule::GroupBytes(entry_bytes)));
    }
    let checkpoint_len = group.previous_checkpoint.len();
    let header = FrameHeader {
        first: group.first,
        entry_count: group.entries.len(),
        body_len: checkpoint_len + entry_bytes + 4 * group.entries.len(),
        checkpoint_len,
    };
    check_header(&header)?;

    let mut out = Vec::with_capacity(header.frame_len());
    put_header(&header, &mut out);
    out.extend_from_slice(&group.previous_checkpoint);
    for (position, entry) in group.entries.iter().enumerate() {
        let len = checked_entry_len(entry.len(), position, out.len())?;
        out.extend_from_slice(&len.to_be_bytes());
        out.extend_from_slice(entry);
    }
    let checksum = crc32c::crc32c(&out);
    out.extend_from_slice(&checksum.to_be_bytes());
    debug_assert_eq!(out.len(), header.frame_len());
    Ok(out)
}

/// The header at the start of some bytes.
pub fn parse_header(bytes: &[u8]) -> Result<FrameHeader, FrameFault> {
    let Some(raw) = bytes.first_chunk::<FRAME_HEADER_BYTES>() else {
        let short = FrameRule::Short { announced: FRAME_HEADER_BYTES, found: bytes.len() };
        return Err(fault(bytes.len(), short));
    };
    if raw[..4] != FRAME_MAGIC {
        return Err(fault(0, FrameRule::Magic));
    }
    if be_u32(raw, CHECKSUM_AT) != crc32c::crc32c(&raw[..CHECKSUM_AT]) {
        return Err(fault(CHECKSUM_AT, FrameRule::HeaderChecksum));
    }
    let version = be_u16(raw, 4);
    if version != FRAME_VERSION {
        return Err(fault(4, FrameRule::Version(version)));
    }
    let header = FrameHeader {
        first: EntryIndex(be_u64(raw, 8)),
        entry_count: be_u16(raw, 6).into(),
        body_len: be_u32(raw, 16) as usize,
        checkpoint_len: be_u32(raw, 20) as usize,
    };
    check_header(&header)?;
    Ok(header)
}

/// The frame at the start of some bytes; its length is that of its header.
pub fn parse(bytes: &Bytes) -> Result<(FrameHeader, Group), FrameFault> {
    let header = parse_header(bytes)?;
    let announced = header.frame_len();
    if bytes.len() < announced {
        return Err(fault(bytes.len(), FrameRule::Short { announced, found: bytes.len() }));
    }
    let body_end = announced - FRAME_TRAILER_BYTES;
    if be_u32(bytes, body_end) != crc32c::crc32c(&bytes[..body_end]) {
        return Err(fault(body_end, FrameRule::Checksum));
    }
    let checkpoint_end = FRAME_HEADER_BYTES + header.checkpoint_len;
    let entries = parse_entries(bytes, checkpoint_end, body_end, header.entry_count)?;
    let group = Group {
        first: header.first,
        previous_checkpoint: bytes.slice(FRAME_HEADER_BYTES..checkpoint_end),
        entries,
    };
    Ok((header, group))
}

/// What a broken frame means. `rest` is everything from its start to the end of the segment without
/// the blank (zero) bytes at the end; the frame is the last thing in the last segment only if that
/// holds here.
///
/// A frame is written and synced before the next one is begun, and space is reserved as zeros. So a
/// crash leaves any part of *one* frame unwritten, and zeros behind it; and it never leaves a right
/// checksum over wrong fields.
pub fn breakage(broken: &FrameFault, rest: &[u8]) -> Breakage {
    let is_within_a_frame = rest.len() <= MAX_FRAME_BYTES;
    let is_torn = match broken.rule {
        FrameRule::Magic | FrameRule::HeaderChecksum => is_within_a_frame && !holds_header(rest),
        FrameRule::Short { .. } | FrameRule::Checksum => match parse_header(rest) {
            Ok(header) => rest.len() <= header.frame_len(),
            Err(_) => is_within_a_frame && !holds_header(rest),
        },
        _ => false,
    };
    if is_torn { Breakage::Torn } else { Breakage::Damaged }
}

/// Whether a sound header lies anywhere behind the first byte. An entry's own bytes can imitate
/// one; then a torn frame is taken for damage and a person has to look, which errs on the side that
/// loses nothing.
fn holds_header(rest: &[u8]) -> bool {
    let starts = 1..rest.len().saturating_sub(FRAME_HEADER_BYTES - 1).max(1);
    starts.into_iter().any(|start| {
        let candidate = &rest[start..];
        candidate.starts_with(&FRAME_MAGIC) && parse_header(candidate).is_ok()
    })
}

fn parse_entries(
    bytes: &Bytes,
    start: usize,
    end: usize,
    count: usize,
) -> Result<Vec<Bytes>, FrameFault> {
    let mut entries = Vec::with_capacity(count);
    let mut entry_bytes = 0;
    let mut at = start;
    for position in 0..count {
        if end - at < 4 {
            return Err(fault(at, FrameRule::EntryLength { position, found: end - at }));
        }
        let len = be_u32(bytes, at) as usize;
        checked_entry_len(len, position, at)?;
        if len > end - at - 4 {
            return Err(fault(at, FrameRule::EntryLength { position, found: len }));
        }
        entries.push(bytes.slice(at + 4..at + 4 + len));
        entry_bytes += len;
        at += 4 + len;
    }
    if at != end {
        return Err(fault(at, FrameRule::BytesLeft(end - at)));
    }
    if entry_bytes > MAX_GROUP_BYTES {
        return Err(fault(start, FrameRule::GroupBytes(entry_bytes)));
    }
    Ok(entries)
}

fn check_header(header: &FrameHeader) -> Result<(), FrameFault> {
    if header.entry_count == 0 || header.entry_count > MAX_GROUP_ENTRIES {
        return Err(fault(6, FrameRule::EntryCount(header.entry_count)));
    }
    if header.first.0.checked_add(header.entry_count as u64).is_none() {
        return Err(fault(8, FrameRule::IndexOverflow));
    }
    if header.body_len > MAX_FRAME_BODY_BYTES {
        return Err(fault(16, FrameRule::BodyLength(header.body_len)));
    }
    let is_first = header.first.0 == 0;
    let is_blank = header.checkpoint_len == 0;
    let is_too_long = header.checkpoint_len > MAX_CHECKPOINT_TEXT_BYTES.min(header.body_len);
    if is_first != is_blank || is_too_long {
        return Err(fault(20, FrameRule::CheckpointLength(header.checkpoint_len)));
    }
    Ok(())
}

fn put_header(header: &FrameHeader, out: &mut Vec<u8>) {
    // The casts cannot cut: `check_header` has held every field against a limit that fits.
    #[expect(clippy::cast_possible_truncation, reason = "checked against limits that fit")]
    let (count, body, checkpoint) =
        (header.entry_count as u16, header.body_len as u32, header.checkpoint_len as u32);
    out.extend_from_slice(&FRAME_MAGIC);
    out.extend_from_slice(&FRAME_VERSION.to_be_bytes());
    out.extend_from_slice(&count.to_be_bytes());
    out.extend_from_slice(&header.first.0.to_be_bytes());
    out.extend_from_slice(&body.to_be_bytes());
    out.extend_from_slice(&checkpoint.to_be_bytes());
    let checksum = crc32c::crc32c(out);
    out.extend_from_slice(&checksum.to_be_bytes());
}

fn checked_entry_len(len: usize, position: usize, offset: usize) -> Result<u32, FrameFault> {
    let refused = fault(offset, FrameRule::EntryLength { position, found: len });
    if len == 0 || len > MAX_ENTRY_BYTES {
        return Err(refused);
    }
    u32::try_from(len).map_err(|_| refused)
}

const fn fault(offset: usize, rule: FrameRule) -> FrameFault {
    FrameFault { offset, rule }
}

fn be_u16(bytes: &[u8], at: usize) -> u16 {
    bytes[at..].first_chunk().map_or(0, |raw| u16::from_be_bytes(*raw))
}

fn be_u32(bytes: &[u8], at: usize) -> u32 {
    bytes[at..].first_chunk().map_or(0, |raw| u32::from_be_bytes(*raw))
}

fn be_u64(bytes: &[u8], at: usize) -> u64 {
    bytes[at..].first_chunk().map_or(0, |raw| u64::from_be_bytes(*raw))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(first: u64, sizes: &[usize]) -> Group {
        let checkpoint: &'static [u8] =
            if first == 0 { b"" } else { b"origin\n7\nroot\n\nsigned\n" };
        Group {
            first: EntryIndex(first),
            previous_checkpoint: Bytes::from_static(checkpoint),
            entries: sizes.iter().map(|size| Bytes::from(vec![0xA7; *size])).collect(),
        }
    }

    fn rule_of(bytes: &[u8]) -> FrameRule {
        parse(&Bytes::copy_from_slice(bytes)).unwrap_err().rule
    }

    /// Changes header fields and makes the header's checksum right again.
    fn resealed(mut frame: Vec<u8>, at: usize, field: &[u8]) -> Vec<u8> {
        frame[at..at + field.len()].copy_from_slice(field);
        let checksum = crc32c::crc32c(&frame[..CHECKSUM_AT]);
        frame[CHECKSUM_AT..FRAME_HEADER_BYTES].copy_from_slice(&checksum.to_be_bytes());
        frame
    }

    #[test]
    fn a_group_comes_back_as_it_went() {
        for group in [group(0, &[1]), group(9, &[1, 65_535, 300]), group(7, &[10; 1_024])] {
            let frame = Bytes::from(encode(&group).unwrap());
            let (header, back) = parse(&frame).unwrap();
            assert_eq!(back, group);
            assert_eq!(header.frame_len(), frame.len());
            assert_eq!(header.end(), group.end());
        }
    }

    #[test]
    fn the_layout_is_set_in_stone() {
        let frame = encode(&group(0, &[2])).unwrap();
        let expected = [
            &b"UMJF"[..],
            &[0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 6, 0, 0, 0, 0],
            &crc32c::crc32c(&frame[..24]).to_be_bytes(),
            &[0, 0, 0, 2, 0xA7, 0xA7],
            &crc32c::crc32c(&frame[..34]).to_be_bytes(),
        ];
        assert_eq!(frame, expected.concat());
    }

    #[test]
    fn every_single_bit_counts() {
        let frame = encode(&group(5, &[3, 40])).unwrap();
        for bit in 0..frame.len() * 8 {
            let mut bent = frame.clone();
            bent[bit / 8] ^= 1 << (bit % 8);
            assert!(parse(&Bytes::from(bent)).is_err(), "bit {bit} does not count");
        }
    }

    #[test]
    fn a_group_that_breaks_a_limit_is_no_frame() {
        let cases = [
            (group(1, &[]), FrameRule::EntryCount(0)),
            (group(1, &[1; 1_025]), FrameRule::EntryCount(1_025)),
            (group(1, &[0]), FrameRule::EntryLength { position: 0, found: 0 }),
            (group(1, &[9, 65_536]), FrameRule::EntryLength { position: 1, found: 65_536 }),
            (group(1, &[65_535; 129]), FrameRule::GroupBytes(65_535 * 129)),
            (group(u64::MAX, &[1]), FrameRule::IndexOverflow),
            (Group { first: EntryIndex(0), ..group(1, &[1]) }, FrameRule::CheckpointLength(22)),
            (Group { first: EntryIndex(1), ..group(0, &[1]) }, FrameRule::CheckpointLength(0)),
        ];
        for (group, rule) in cases {
            assert_eq!(encode(&group).unwrap_err().rule, rule);
        }
    }

    #[test]
    fn a_right_checksum_over_wrong_fields_is_damage() {
        let frame = encode(&group(5, &[3, 40])).unwrap();
        let cases: [(usize, &[u8], FrameRule); 4] = [
            (4, &[0, 2], FrameRule::Version(2)),
            (6, &[0, 0], FrameRule::EntryCount(0)),
            (16, &[255; 4], FrameRule::BodyLength(u32::MAX as usize)),
            (20, &[0; 4], FrameRule::CheckpointLength(0)),
        ];
        for (at, field, rule) in cases {
            let bent = resealed(frame.clone(), at, field);
            assert_eq!(rule_of(&bent), rule);
            let fault = FrameFault { offset: at, rule };
            assert_eq!(breakage(&fault, &bent), Breakage::Damaged);
        }
    }

    #[test]
    fn a_crash_explains_one_unfinished_frame_and_no_more() {
        let frame = encode(&group(5, &[3, 40])).unwrap();
        let next = encode(&group(7, &[3])).unwrap();
        let judge = |bytes: &[u8]| {
            let broken = parse(&Bytes::copy_from_slice(bytes)).unwrap_err();
            breakage(&broken, bytes)
        };
        for len in 1..frame.len() {
            assert_eq!(judge(&frame[..len]), Breakage::Torn, "cut at {len}");
        }
        for at in [0, 9, 30, frame.len() - 1] {
            let mut bent = frame.clone();
            bent[at] ^= 0x40;
            assert_eq!(judge(&bent), Breakage::Torn, "bent at {at}");
            bent.extend_from_slice(&next);
            assert_eq!(judge(&bent), Breakage::Damaged, "bent at {at}, and a frame follows");
        }
        let far = [&[0; 8][..], &vec![1; MAX_FRAME_BYTES]].concat();
        assert_eq!(judge(&far), Breakage::Damaged, "more than one frame's worth of bytes");
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_are_too_strange_to_judge(
            noise in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200),
            cut in 0..120_usize,
        ) {
            let mut bytes = encode(&group(5, &[3, 40])).unwrap();
            bytes.truncate(cut);
            bytes.extend(noise);
            if let Err(broken) = parse(&Bytes::copy_from_slice(&bytes)) {
                breakage(&broken, &bytes);
                assert!(broken.offset <= bytes.len());
            }
        }
    }
}
