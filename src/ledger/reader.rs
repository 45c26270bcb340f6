//! Reads fixed fields from bytes and knows where it stands.

use bytes::Bytes;

/// The bytes end inside a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Short {
    /// Where the field begins.
    pub(super) offset: usize,
    /// How many bytes it needs.
    pub(super) needed: usize,
    /// How many are left.
    pub(super) left: usize,
}

/// A place in some bytes.
pub(super) struct Reader<'a> {
    bytes: &'a Bytes,
    offset: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a Bytes) -> Self {
        Self { bytes, offset: 0 }
    }

    pub(super) fn offset(&self) -> usize {
        self.offset
    }

    pub(super) fn left(&self) -> usize {
        self.bytes.len() - self.offset
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Short> {
        let short = Short { offset: self.offset, needed: N, left: self.left() };
        let field = self.bytes[self.offset..].first_chunk::<N>().ok_or(short)?;
        self.offset += N;
        Ok(*field)
    }

    pub(super) fn u8(&mut self) -> Result<u8, Short> {
        Ok(u8::from_be_bytes(self.array()?))
    }

    pub(super) fn u16(&mut self) -> Result<u16, Short> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    pub(super) fn u32(&mut self) -> Result<u32, Short> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    pub(super) fn u64(&mut self) -> Result<u64, Short> {
        Ok(u64::from_be_bytes(self.array()?))
    }

    /// The next bytes without copying them.
    pub(super) fn bytes(&mut self, length: usize) -> Result<Bytes, Short> {
        if length > self.left() {
            return Err(Short { offset: self.offset, needed: length, left: self.left() });
        }
        let field = self.bytes.slice(self.offset..self.offset + length);
        self.offset += length;
        Ok(field)
    }

    /// All that is left, without copying it.
    pub(super) fn rest(&mut self) -> Bytes {
        let field = self.bytes.slice(self.offset..);
        self.offset = self.bytes.len();
        field
    }
}
