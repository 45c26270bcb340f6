//! A block: neighbouring rows in one value of the database, compressed (LZ4 block format with the
//! plain length before it).
//!
//! Of each row: how many bytes its key shares with the key before (u8), how many follow (u8), the
//! value's length and one (u32; 0: the row is gone), the rest of the key, the value.

use std::ops::Range;

use sled::IVec;

use super::batch::Value;
use crate::limits::{BLOCK_BYTES, MAX_BLOCK_BYTES};

/// Bytes before each row's key.
const HEAD_BYTES: usize = 6;
/// Bytes before a compressed block: its plain length, u32, little-endian.
const LENGTH_BYTES: usize = 4;

/// Why bytes are no block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the block cannot be read: {0}")]
pub(super) struct BlockFault(&'static str);

/// A block in the making. Rows come ascending by key.
#[derive(Debug, Default)]
pub(super) struct BlockBuilder {
    plain: Vec<u8>,
    last: Vec<u8>,
}

impl BlockBuilder {
    /// Adds a row. Its key has at most 255 bytes (`store/keyspace.rs`; the longest has 50).
    pub(super) fn push(&mut self, key: &[u8], value: Option<&[u8]>) {
        let most = key.len().min(self.last.len());
        let shared = (0..most).take_while(|at| key[*at] == self.last[*at]).count();
        let rest = &key[shared..];
        // Keys are that short, and a value is far below 4 GiB.
        self.plain.push(u8::try_from(shared).unwrap_or(u8::MAX));
        self.plain.push(u8::try_from(rest.len()).unwrap_or(u8::MAX));
        let length = value.map_or(0, |value| value.len() + 1);
        self.plain.extend(u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes());
        self.plain.extend(rest);
        self.plain.extend(value.unwrap_or_default());
        self.last.clear();
        self.last.extend(key);
    }

    /// Bytes of what is in it.
    pub(super) const fn len(&self) -> usize {
        self.plain.len()
    }

    /// The key of the last row; empty when there is none.
    pub(super) fn last_key(&self) -> &[u8] {
        &self.last
    }

    /// Whether it should be closed before a row of so many bytes.
    pub(super) fn is_full_for(&self, row: usize) -> bool {
        !self.plain.is_empty() && self.plain.len() + HEAD_BYTES + row > BLOCK_BYTES
    }

    /// Its last key and its bytes, and an empty one in its place; `None` while it is empty.
    pub(super) fn close(&mut self) -> Option<(Vec<u8>, Vec<u8>)> {
        if self.plain.is_empty() {
            return None;
        }
        let bytes = lz4_flex::block::compress_prepend_size(&self.plain);
        self.plain.clear();
        Some((std::mem::take(&mut self.last), bytes))
    }
}

/// A block that was unpacked.
#[derive(Debug)]
pub(super) struct Block(Vec<u8>);

/// A value as it lies in a block; `None`: the row is gone.
pub(super) type Lent<'a> = Option<&'a [u8]>;

/// A row of a block, and where the next one begins. A key is built anew from the one before, so
/// rows are gone through in their order.
#[derive(Debug, Default)]
pub(super) struct Place {
    key: Vec<u8>,
    /// `None`: the row is gone.
    value: Option<Range<usize>>,
    next: usize,
}

impl Place {
    /// The row's key; empty before the first row.
    pub(super) fn key(&self) -> &[u8] {
        &self.key
    }
}

impl Block {
    /// Unpacks a block; one that says that it is larger than any is refused before it takes memory.
    pub(super) fn unpack(bytes: &[u8]) -> Result<Self, BlockFault> {
        let (length, packed) =
            bytes.split_first_chunk::<LENGTH_BYTES>().ok_or(BlockFault("it has no length"))?;
        let length = u32::from_le_bytes(*length) as usize;
        if length > MAX_BLOCK_BYTES {
            return Err(BlockFault("it would be larger than any"));
        }
        let plain = lz4_flex::block::decompress(packed, length)
            .map_err(|_| BlockFault("it does not unpack"))?;
        if plain.len() != length {
            return Err(BlockFault("it has another length than it says"));
        }
        Ok(Self(plain))
    }

    /// Bytes of its rows.
    pub(super) const fn len(&self) -> usize {
        self.0.len()
    }

    /// What it says of a key; `None` when it has no row of it.
    pub(super) fn find(&self, key: &[u8]) -> Result<Option<Value>, BlockFault> {
        let mut place = Place::default();
        while self.next(&mut place)? {
            match place.key().cmp(key) {
                std::cmp::Ordering::Less => {}
                std::cmp::Ordering::Equal => return Ok(Some(self.value(&place).map(IVec::from))),
                std::cmp::Ordering::Greater => return Ok(None),
            }
        }
        Ok(None)
    }

    /// Whether it says of any row that it is gone.
    pub(super) fn has_gone(&self) -> Result<bool, BlockFault> {
        let mut place = Place::default();
        while self.next(&mut place)? {
            if place.value.is_none() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Goes on to the next row; `false` behind the last.
    pub(super) fn next(&self, place: &mut Place) -> Result<bool, BlockFault> {
        let rest = self.0.get(place.next..).unwrap_or_default();
        if rest.is_empty() {
            return Ok(false);
        }
        let ends = BlockFault("a row ends too early");
        let (head, rest) = rest.split_first_chunk::<HEAD_BYTES>().ok_or(ends)?;
        let [shared, more, a, b, c, d] = *head;
        let length = u32::from_be_bytes([a, b, c, d]) as usize;
        if usize::from(shared) > place.key.len() {
            return Err(BlockFault("a key shares more than there is"));
        }
        let (suffix, rest) = rest.split_at_checked(usize::from(more)).ok_or(ends)?;
        let begin = self.0.len() - rest.len();
        let end = begin + length.saturating_sub(1);
        if end > self.0.len() {
            return Err(ends);
        }
        place.key.truncate(usize::from(shared));
        place.key.extend(suffix);
        place.value = (length > 0).then_some(begin..end);
        place.next = end;
        Ok(true)
    }

    /// The value of a row of it.
    pub(super) fn value(&self, place: &Place) -> Lent<'_> {
        self.0.get(place.value.clone()?)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop")]

    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn any_rows() -> impl Strategy<Value = BTreeMap<Vec<u8>, Option<Vec<u8>>>> {
        let key = prop::collection::vec(0..4_u8, 1..50);
        let value = prop::option::of(prop::collection::vec(any::<u8>(), 0..60));
        prop::collection::btree_map(key, value, 1..80)
    }

    fn block_of(rows: &BTreeMap<Vec<u8>, Option<Vec<u8>>>) -> (Vec<u8>, Vec<u8>) {
        let mut builder = BlockBuilder::default();
        for (key, value) in rows {
            builder.push(key, value.as_deref());
        }
        builder.close().unwrap()
    }

    proptest! {
        #[test]
        fn rows_come_back_as_they_went(
            rows in any_rows(), other in prop::collection::vec(0..4_u8, 1..50),
        ) {
            let (last, bytes) = block_of(&rows);
            prop_assert_eq!(Some(&last), rows.keys().next_back());
            let block = Block::unpack(&bytes).unwrap();
            let plain = |value: Option<IVec>| value.map(|it| it.to_vec());
            for key in rows.keys().chain([&other]) {
                let found = block.find(key).unwrap().map(plain);
                prop_assert_eq!(found.as_ref(), rows.get(key));
            }
            let mut place = Place::default();
            let mut found = BTreeMap::new();
            while block.next(&mut place).unwrap() {
                let value = block.value(&place).map(<[u8]>::to_vec);
                prop_assert!(found.insert(place.key().to_vec(), value).is_none());
            }
            prop_assert_eq!(block.has_gone().unwrap(), rows.values().any(Option::is_none));
            prop_assert_eq!(found, rows);
        }

        #[test]
        fn bytes_of_any_kind_are_refused_or_read_without_a_panic(
            rows in any_rows(),
            at in any::<prop::sample::Index>(),
            bit in 0..8_u8,
            cut in any::<bool>(),
        ) {
            let (_, mut bytes) = block_of(&rows);
            let at = at.index(bytes.len());
            if cut { bytes.truncate(at) } else { bytes[at] ^= 1 << bit }
            if let Ok(block) = Block::unpack(&bytes) {
                let _ = block.has_gone();
                let _ = block.find(&[2, 2]);
            }
        }
    }

    #[test]
    fn a_block_that_says_it_is_huge_takes_no_memory() {
        let mut bytes = u32::MAX.to_le_bytes().to_vec();
        bytes.extend([0; 16]);
        assert_eq!(Block::unpack(&bytes).unwrap_err(), BlockFault("it would be larger than any"));
    }
}
