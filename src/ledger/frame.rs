//! The frame of a journal: one commit group, checksummed. Pure codec; the store moves the bytes.
//!
//! | offset | size | field |
//! |---|---|---|
//! | 0 | 8 | magic `UMFRAME1` |
//! | 8 | 8 | index of the first entry |
//! | 16 | 4 | number of entries, 1 to 1,024 |
//! | 20 | 4 | length `p` of the checkpoint of the group before; 0 in the first frame |
//! | 24 | 4 | length `b` of the body |
//! | 28 | 4 | CRC-32C of bytes 0 to 27 |
//! | 32 | b | body: checkpoint (`p` bytes), then each entry as u32 length and bytes |
//! | 32+b | 4 | CRC-32C of the body |
//!
//! The checksums tell a torn write from a whole one. They are no defence against people: chain, tree and
//! signatures are.

use bytes::{BufMut as _, Bytes, BytesMut};

use crate::domain::EntryIndex;
use crate::limits::{MAX_ENTRY_BYTES, MAX_FRAME_BODY_BYTES, MAX_GROUP_ENTRIES};

/// First bytes of a frame.
pub const FRAME_MAGIC: [u8; 8] = *b"UMFRAME1";
/// Bytes before the body.
pub const FRAME_HEADER_BYTES: usize = 32;
/// Bytes after the body.
pub const FRAME_TRAILER_BYTES: usize = 4;

/// A commit group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Index of its first entry.
    pub first: EntryIndex,
    /// The signed checkpoint of the group before; empty in the first.
    pub previous_checkpoint: Bytes,
    /// Its entries; never empty.
    pub entries: Vec<Bytes>,
}

impl Group {
    /// The index after its last entry.
    pub fn end(&self) -> EntryIndex {
        EntryIndex(self.first.0 + self.entries.len() as u64)
    }
}

/// Why bytes are not a frame. Offsets count from the frame's first byte.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameFault {
    /// Zeros where a frame would begin: the preallocated rest of a segment.
    #[error("no frame begins here")]
    End,
    /// The bytes end before the frame does.
    #[error("the frame has {needed} bytes, and {left} are left")]
    Short {
        /// Length as announced, or of the header.
        needed: usize,
        /// What is left.
        left: usize,
    },
    /// The header is not one.
    #[error("frame offset {offset}: {rule}")]
    Header {
        /// Where.
        offset: usize,
        /// What it should be.
        rule: &'static str,
    },
    /// The body is not what was written.
    #[error("the checksum of the frame's body is {found:08x}, not {expected:08x}")]
    BodyChecksum {
        /// As written.
        expected: u32,
        /// As computed.
        found: u32,
    },
    /// The body, whole as it is, is not one.
    #[error("frame offset {offset}: {rule}")]
    Body {
        /// Where.
        offset: usize,
        /// What it should be.
        rule: &'static str,
    },
}

/// Why a group cannot be framed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a group has 1 to {MAX_GROUP_ENTRIES} entries and at most {MAX_FRAME_BODY_BYTES} bytes")]
pub struct GroupTooLarge;

/// The bytes of a group's frame.
pub fn encode(group: &Group) -> Result<Bytes, GroupTooLarge> {
    let entries: usize = group.entries.iter().map(|entry| 4 + entry.len()).sum();
    let body_len = group.previous_checkpoint.len() + entries;
    let count = group.entries.len();
    if count == 0 || count > MAX_GROUP_ENTRIES || body_len > MAX_FRAME_BODY_BYTES {
        return Err(GroupTooLarge);
    }
    let mut out = BytesMut::with_capacity(FRAME_HEADER_BYTES + body_len + FRAME_TRAILER_BYTES);
    out.put_slice(&FRAME_MAGIC);
    out.put_u64(group.first.0);
    out.put_u32(length(count));
    out.put_u32(length(group.previous_checkpoint.len()));
    out.put_u32(length(body_len));
    out.put_u32(crc32c::crc32c(&out));
    out.put_slice(&group.previous_checkpoint);
    for entry in &group.entries {
        out.put_u32(length(entry.len()));
        out.put_slice(entry);
    }
    let checksum = crc32c::crc32c(&out[FRAME_HEADER_BYTES..]);
    out.put_u32(checksum);
    Ok(out.freeze())
}

/// Lengths here are bounded by the limits far below 2^32.
fn length(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

/// Reads the frame at the start of some bytes; returns it with its length.
pub fn parse(bytes: &Bytes) -> Result<(Group, usize), FrameFault> {
    let header = parse_header(bytes)?;
    let end = FRAME_HEADER_BYTES + header.body_len;
    let needed = end + FRAME_TRAILER_BYTES;
    if bytes.len() < needed {
        return Err(FrameFault::Short { needed, left: bytes.len() });
    }
    let body = bytes.slice(FRAME_HEADER_BYTES..end);
    let expected = u32_at(bytes, end);
    let found = crc32c::crc32c(&body);
    if found != expected {
        return Err(FrameFault::BodyChecksum { expected, found });
    }
    Ok((parse_body(&header, &body)?, needed))
}

struct Header {
    first: EntryIndex,
    count: usize,
    previous_len: usize,
    body_len: usize,
}

fn parse_header(bytes: &[u8]) -> Result<Header, FrameFault> {
    if bytes.iter().take(FRAME_HEADER_BYTES).all(|byte| *byte == 0) {
        return Err(FrameFault::End);
    }
    if bytes.len() < FRAME_HEADER_BYTES {
        return Err(FrameFault::Short { needed: FRAME_HEADER_BYTES, left: bytes.len() });
    }
    let fault = |offset, rule| Err(FrameFault::Header { offset, rule });
    if bytes[..8] != FRAME_MAGIC {
        return fault(0, "the magic is UMFRAME1");
    }
    if crc32c::crc32c(&bytes[..28]) != u32_at(bytes, 28) {
        return fault(28, "the checksum of the header holds");
    }
    let header = Header {
        first: EntryIndex(u64::from_be_bytes(array(&bytes[8..16]))),
        count: u32_at(bytes, 16) as usize,
        previous_len: u32_at(bytes, 20) as usize,
        body_len: u32_at(bytes, 24) as usize,
    };
    if header.count == 0 || header.count > MAX_GROUP_ENTRIES {
        return fault(16, "a frame has 1 to 1,024 entries");
    }
    if header.body_len > MAX_FRAME_BODY_BYTES || header.previous_len > header.body_len {
        return fault(20, "the lengths are inside their limits");
    }
    if (header.first == EntryIndex(0)) != (header.previous_len == 0) {
        return fault(20, "the first frame, and no other, has no checkpoint before it");
    }
    if header.first.0.checked_add(header.count as u64).is_none() {
        return fault(8, "the indexes fit 64 bits");
    }
    Ok(header)
}

fn parse_body(header: &Header, body: &Bytes) -> Result<Group, FrameFault> {
    let fault = |at: usize, rule| Err(FrameFault::Body { offset: FRAME_HEADER_BYTES + at, rule });
    let previous_checkpoint = body.slice(..header.previous_len);
    let mut at = header.previous_len;
    let mut entries = Vec::with_capacity(header.count);
    for _ in 0..header.count {
        if body.len() - at < 4 {
            return fault(at, "every entry has its length before it");
        }
        let len = u32_at(body, at) as usize;
        at += 4;
        if len == 0 || len > MAX_ENTRY_BYTES || len > body.len() - at {
            return fault(at - 4, "an entry has 1 to 65,535 bytes, inside the body");
        }
        entries.push(body.slice(at..at + len));
        at += len;
    }
    if at != body.len() {
        return fault(at, "nothing follows the last entry");
    }
    Ok(Group { first: header.first, previous_checkpoint, entries })
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(array(&bytes[at..at + 4]))
}

/// A slice of exactly `N` bytes, as its callers cut it.
fn array<const N: usize>(slice: &[u8]) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(slice);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group() -> Group {
        Group {
            first: EntryIndex(7),
            previous_checkpoint: Bytes::from_static(b"checkpoint"),
            entries: vec![Bytes::from_static(b"one"), Bytes::from_static(b"second entry")],
        }
    }

    #[test]
    fn a_frame_reads_back_and_the_rest_is_left() {
        let mut bytes = encode(&group()).unwrap().to_vec();
        let len = bytes.len();
        bytes.extend_from_slice(&[0; 40]);
        let bytes = Bytes::from(bytes);
        assert_eq!(parse(&bytes), Ok((group(), len)));
        assert_eq!(parse(&bytes.slice(len..)), Err(FrameFault::End));
    }

    #[test]
    fn every_truncation_and_every_flipped_byte_is_told() {
        let whole = encode(&group()).unwrap();
        for cut in 1..whole.len() {
            assert!(matches!(parse(&whole.slice(..cut)), Err(FrameFault::Short { .. })), "{cut}");
        }
        for at in 0..whole.len() {
            let mut bent = whole.to_vec();
            bent[at] ^= 0x40;
            assert!(parse(&Bytes::from(bent)).is_err(), "byte {at}");
        }
    }

    #[test]
    fn a_group_beyond_its_limits_is_not_framed() {
        let empty = Group { entries: Vec::new(), ..group() };
        assert_eq!(encode(&empty), Err(GroupTooLarge));
        let many = Group { entries: vec![Bytes::from_static(b"x"); 1_025], ..group() };
        assert_eq!(encode(&many), Err(GroupTooLarge));
    }
}
