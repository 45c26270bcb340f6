//! The key space of the database: one tree, one tag byte a kind, big-endian after it.
//!
//! Tags are stable. Keys of one kind sort as their ids or numbers do, which lists and "the first after" use.

use crate::domain::{EntryCount, EntryIndex, EventId, Hash32, KeyId, LotId, PartyId, SiteId};

/// A key of the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key<'a> {
    /// Where the database ends: applied entries, chain value. One key.
    Head,
    /// The ledger's own state. One key.
    Ledger,
    /// A run of entries, by its first.
    Entries(EntryIndex),
    /// A row of 256 hashes: level in steps of 8, row.
    Tile(u8, u64),
    /// A signed checkpoint by its size.
    Checkpoint(EntryCount),
    /// A party.
    Party(PartyId),
    /// The party of a credit code.
    CreditCode(&'a str),
    /// A site.
    Site(SiteId),
    /// A signing key.
    SigningKey(KeyId),
    /// A lot.
    Lot(LotId),
    /// An event of a lot's life.
    Life(LotId, u32),
    /// A transfer by its offer.
    Transfer(EventId),
    /// What is remembered of an event.
    Event(EventId),
    /// What an entry did to metal.
    Movement(EntryIndex),
    /// A chunk of a table set.
    TableChunk(Hash32, u32),
}

impl Key<'_> {
    /// The tag byte.
    pub const fn tag(&self) -> u8 {
        match self {
            Self::Head => 0x01,
            Self::Ledger => 0x02,
            Self::Entries(_) => 0x10,
            Self::Tile(..) => 0x11,
            Self::Checkpoint(_) => 0x12,
            Self::Party(_) => 0x20,
            Self::CreditCode(_) => 0x21,
            Self::Site(_) => 0x22,
            Self::SigningKey(_) => 0x23,
            Self::Lot(_) => 0x30,
            Self::Life(..) => 0x31,
            Self::Transfer(_) => 0x32,
            Self::Event(_) => 0x33,
            Self::Movement(_) => 0x34,
            Self::TableChunk(..) => 0x40,
        }
    }

    /// The bytes.
    pub fn bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(40);
        out.push(self.tag());
        match self {
            Self::Head | Self::Ledger => {}
            Self::Entries(index) | Self::Movement(index) => out.extend(index.0.to_be_bytes()),
            Self::Tile(level, row) => {
                out.push(*level);
                out.extend(row.to_be_bytes());
            }
            Self::Checkpoint(size) => out.extend(size.0.to_be_bytes()),
            Self::Party(id) => out.extend(id.as_bytes()),
            Self::CreditCode(code) => out.extend(code.as_bytes()),
            Self::Site(id) => out.extend(id.as_bytes()),
            Self::SigningKey(id) => out.extend(id.as_bytes()),
            Self::Lot(id) => out.extend(id.as_bytes()),
            Self::Life(lot, ordinal) => {
                out.extend(lot.as_bytes());
                out.extend(ordinal.to_be_bytes());
            }
            Self::Transfer(id) | Self::Event(id) => out.extend(id.as_bytes()),
            Self::TableChunk(set, chunk) => {
                out.extend(set.as_bytes());
                out.extend(chunk.to_be_bytes());
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_stable_and_keys_sort_as_their_numbers() {
        let lot = LotId::from_bytes([1; 16]);
        let event = EventId::from_bytes([2; 16]);
        let keys = [
            (Key::Head, 0x01),
            (Key::Ledger, 0x02),
            (Key::Entries(EntryIndex(0)), 0x10),
            (Key::Tile(0, 0), 0x11),
            (Key::Checkpoint(EntryCount(0)), 0x12),
            (Key::Party(PartyId::from_bytes([0; 16])), 0x20),
            (Key::CreditCode("x"), 0x21),
            (Key::Site(SiteId::from_bytes([0; 16])), 0x22),
            (Key::SigningKey(KeyId([0; 32])), 0x23),
            (Key::Lot(lot), 0x30),
            (Key::Life(lot, 0), 0x31),
            (Key::Transfer(event), 0x32),
            (Key::Event(event), 0x33),
            (Key::Movement(EntryIndex(0)), 0x34),
            (Key::TableChunk(Hash32([0; 32]), 0), 0x40),
        ];
        for pair in keys.windows(2) {
            assert!(pair[0].0.bytes() < pair[1].0.bytes());
        }
        for (key, tag) in keys {
            assert_eq!(key.tag(), tag);
        }
        for numbers in [[0, 1], [255, 256], [65_535, 65_536], [u64::MAX - 1, u64::MAX]] {
            let [low, high] = numbers.map(EntryIndex);
            assert!(Key::Entries(low).bytes() < Key::Entries(high).bytes());
        }
        assert!(Key::Life(lot, 255).bytes() < Key::Life(lot, 256).bytes());
        assert!(Key::Tile(0, u64::MAX).bytes() < Key::Tile(8, 0).bytes());
    }
}
