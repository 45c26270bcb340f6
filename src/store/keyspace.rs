//! Every key of the database. The first byte is the kind, the rest is big-endian, so that bytes
//! sort as the things themselves do. How rows lie in sled's one tree is `store/runs.rs`'s business.

use std::fmt;

use smallvec::SmallVec;

use crate::domain::{
    CampaignId, EntryCount, EntryIndex, EventId, Hash32, KeyId, LotId, PartyId, SiteId,
};
use crate::ledger::lot_map::TilePath;

/// A key. Tags are part of the database's format: never reused, never renumbered. Gone: `0x30`,
/// `0x31` (lots by owner and by possessor; now `0x3d`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// `0x01` -> format version u16, ledger hash 32.
    Meta,
    /// `0x02` -> applied entry count u64, chain value 32. Set by the same batch as all that it
    /// counts.
    Head,
    /// `0x03` -> the ledger's own state.
    Ledger,
    /// `0x10`, last index u64 -> where the entries of a group lie in the journal: the first of
    /// them, the first of their segment, the byte at which the frame's entries begin, u64 each;
    /// then the length of each, u16. The *last* index, so that the group of an entry is the first
    /// key at or after it.
    Frame(EntryIndex),
    /// `0x11`, row level u8, number u64 -> hashes of tree level 4 x row level, up to 16 of 32
    /// bytes.
    Row(u8, u64),
    /// `0x12`, size u64 -> the signed checkpoint of that size, at the end of a group.
    Checkpoint(EntryCount),
    /// `0x20`, id -> a party.
    Party(PartyId),
    /// `0x21`, code as text -> party id.
    CreditCode(String),
    /// `0x22`, id -> a site.
    Site(SiteId),
    /// `0x23`, table set's hash, chunk u32 -> the chunk's bytes. Long ones, so they stand between
    /// rows that seldom change: sled writes neighbours anew together, and what is longer than 128
    /// KiB into a file of its own.
    TableChunk(Hash32, u32),
    /// `0x24`, id -> a lot, with the end of its life.
    Lot(LotId),
    /// `0x25`, offer's event id -> a transfer.
    Transfer(EventId),
    /// `0x26`, id -> what is remembered of an event.
    Event(EventId),
    /// `0x27`, lot id, ordinal u32 -> a chunk of its life from there on: event id, entry index u64
    /// each.
    Life(LotId, u32),
    /// `0x28`, last index u64 -> a pack of movements, the last of that entry; one is gone when it
    /// was retracted.
    Movements(EntryIndex),
    /// `0x29`, id -> a signing key.
    Signer(KeyId),
    /// `0x2a`, id -> a campaign.
    Campaign(CampaignId),
    /// `0x2b`, site id, process code as text -> the last campaign of that process at that site.
    Line(SiteId, String),
    /// `0x2c`, lot id, offer's event id -> nothing: the transfers that a lot was offered by, or
    /// arrived by. A row may outlive an arrival that was declared an error.
    LotTransfer(LotId, EventId),
    /// `0x2d`, reason as text, 0, subject as text -> a waiver.
    Waiver(String, String),
    /// `0x2e`, site id, substance u8, month u32 -> an account of credits.
    Credit(SiteId, u8, u32),
    /// `0x2f`, anomaly as text, 0, party id -> the party's latest word on it.
    Acknowledgement(String, PartyId),
    /// `0x32`, party id, last index u64 -> the entries of a group that concern a party, ending
    /// there.
    Concerned(PartyId, EntryIndex),
    /// `0x33`, party id, lot id -> how the party is related to a lot that is not among its
    /// holdings.
    RelatedLot(PartyId, LotId),
    /// `0x34`, party id, offer's event id -> nothing: the transfers that a party sends or receives.
    PartyTransfer(PartyId, EventId),
    /// `0x35`, party id, lot id -> nothing: the lots that a party has a grant to see.
    GrantedLot(PartyId, LotId),
    /// `0x36`, party id, party id -> nothing: whom a party knows by a common entry; both ways.
    Acquainted(PartyId, PartyId),
    /// `0x37`, party id, entry index u64 -> the party as it stood after that entry, which changed
    /// it.
    PartyVersion(PartyId, EntryIndex),
    /// `0x38`, site id, entry index u64 -> the site as it stood after that entry, which changed it.
    SiteVersion(SiteId, EntryIndex),
    /// `0x39`, number of the event's kind u8, last index u64 -> the entries of a group that are of
    /// the kind, ending there.
    KindEntry(u8, EntryIndex),
    /// `0x3a`, party id, site id -> nothing: the sites of a party.
    SiteOf(PartyId, SiteId),
    /// `0x3b`, party id -> nothing: parties whose record is public.
    PublicParty(PartyId),
    /// `0x3c`, last index u64 -> a pack of facts, the last of that entry: what entries changed
    /// beside what their events say. An entry that changed no more has none.
    Facts(EntryIndex),
    /// `0x3d`, party id, lot id -> whether the party owns the lot, and has it in its hands (one of
    /// both at least), and how it is related to it.
    Holding(PartyId, LotId),
    /// `0x3f`, entry index u64 -> an attestation.
    Attestation(EntryIndex),
    /// `0x40`, level u8, nibbles of the way -> a tile of the map of lot states, as the ledger
    /// stated it last. Of a run a row has the places that changed with it; the older ones of the
    /// key have the rest (`store/partial.rs`).
    LotTile(TilePath),
    /// `0x41` -> the ledger's last statement of that map: entry index u64, root 32.
    LotState,
}

/// One kind of keys, for walking over all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tag {
    Meta = 0x01,
    Head = 0x02,
    Ledger = 0x03,
    Frame = 0x10,
    Row = 0x11,
    Checkpoint = 0x12,
    Party = 0x20,
    CreditCode = 0x21,
    Site = 0x22,
    TableChunk = 0x23,
    Lot = 0x24,
    Transfer = 0x25,
    Event = 0x26,
    Life = 0x27,
    Movements = 0x28,
    Signer = 0x29,
    Campaign = 0x2a,
    Line = 0x2b,
    LotTransfer = 0x2c,
    Waiver = 0x2d,
    Credit = 0x2e,
    Acknowledgement = 0x2f,
    Concerned = 0x32,
    RelatedLot = 0x33,
    PartyTransfer = 0x34,
    GrantedLot = 0x35,
    Acquainted = 0x36,
    PartyVersion = 0x37,
    SiteVersion = 0x38,
    KindEntry = 0x39,
    SiteOf = 0x3a,
    PublicParty = 0x3b,
    Facts = 0x3c,
    Holding = 0x3d,
    Attestation = 0x3f,
    LotTile = 0x40,
    LotState = 0x41,
}

impl Tag {
    /// The kind whose keys begin with a byte.
    pub const fn of(tag: u8) -> Option<Self> {
        Some(match tag {
            0x01 => Self::Meta,
            0x02 => Self::Head,
            0x03 => Self::Ledger,
            0x10 => Self::Frame,
            0x11 => Self::Row,
            0x12 => Self::Checkpoint,
            0x20 => Self::Party,
            0x21 => Self::CreditCode,
            0x22 => Self::Site,
            0x23 => Self::TableChunk,
            0x24 => Self::Lot,
            0x25 => Self::Transfer,
            0x26 => Self::Event,
            0x27 => Self::Life,
            0x28 => Self::Movements,
            0x29 => Self::Signer,
            0x2a => Self::Campaign,
            0x2b => Self::Line,
            0x2c => Self::LotTransfer,
            0x2d => Self::Waiver,
            0x2e => Self::Credit,
            0x2f => Self::Acknowledgement,
            0x32 => Self::Concerned,
            0x33 => Self::RelatedLot,
            0x34 => Self::PartyTransfer,
            0x35 => Self::GrantedLot,
            0x36 => Self::Acquainted,
            0x37 => Self::PartyVersion,
            0x38 => Self::SiteVersion,
            0x39 => Self::KindEntry,
            0x3a => Self::SiteOf,
            0x3b => Self::PublicParty,
            0x3c => Self::Facts,
            0x3d => Self::Holding,
            0x3f => Self::Attestation,
            0x40 => Self::LotTile,
            0x41 => Self::LotState,
            _ => return None,
        })
    }

    /// Whether rows of the kind lie in runs: those of which there are about as many as entries. The
    /// others are few, or are asked for backwards, and lie in sled one by one.
    pub const fn is_in_runs(self) -> bool {
        match self {
            Self::Row
            | Self::Lot
            | Self::Transfer
            | Self::Event
            | Self::Life
            | Self::Movements
            | Self::LotTransfer
            | Self::Concerned
            | Self::RelatedLot
            | Self::PartyTransfer
            | Self::GrantedLot
            | Self::KindEntry
            | Self::Facts
            | Self::Holding
            | Self::Attestation
            | Self::LotTile => true,
            Self::Meta
            | Self::Head
            | Self::Ledger
            | Self::Frame
            | Self::Checkpoint
            | Self::Party
            | Self::CreditCode
            | Self::Site
            | Self::TableChunk
            | Self::Signer
            | Self::Campaign
            | Self::Line
            | Self::Waiver
            | Self::Credit
            | Self::Acknowledgement
            | Self::Acquainted
            | Self::PartyVersion
            | Self::SiteVersion
            | Self::SiteOf
            | Self::PublicParty
            | Self::LotState => false,
        }
    }
}

/// Bytes of a key; those of two ids and a tag need no memory of their own.
pub(super) type Packed = SmallVec<[u8; 40]>;

impl Key {
    /// Its kind.
    pub const fn tag(&self) -> Tag {
        match self {
            Self::Meta => Tag::Meta,
            Self::Head => Tag::Head,
            Self::Ledger => Tag::Ledger,
            Self::Frame(_) => Tag::Frame,
            Self::Row(..) => Tag::Row,
            Self::Checkpoint(_) => Tag::Checkpoint,
            Self::Party(_) => Tag::Party,
            Self::CreditCode(_) => Tag::CreditCode,
            Self::Site(_) => Tag::Site,
            Self::Signer(_) => Tag::Signer,
            Self::Lot(_) => Tag::Lot,
            Self::Transfer(_) => Tag::Transfer,
            Self::Event(_) => Tag::Event,
            Self::Life(..) => Tag::Life,
            Self::Movements(_) => Tag::Movements,
            Self::TableChunk(..) => Tag::TableChunk,
            Self::Campaign(_) => Tag::Campaign,
            Self::Line(..) => Tag::Line,
            Self::LotTransfer(..) => Tag::LotTransfer,
            Self::Waiver(..) => Tag::Waiver,
            Self::Credit(..) => Tag::Credit,
            Self::Acknowledgement(..) => Tag::Acknowledgement,
            Self::Holding(..) => Tag::Holding,
            Self::PartyVersion(..) => Tag::PartyVersion,
            Self::SiteVersion(..) => Tag::SiteVersion,
            Self::KindEntry(..) => Tag::KindEntry,
            Self::Concerned(..) => Tag::Concerned,
            Self::RelatedLot(..) => Tag::RelatedLot,
            Self::PartyTransfer(..) => Tag::PartyTransfer,
            Self::GrantedLot(..) => Tag::GrantedLot,
            Self::Acquainted(..) => Tag::Acquainted,
            Self::SiteOf(..) => Tag::SiteOf,
            Self::PublicParty(_) => Tag::PublicParty,
            Self::Facts(_) => Tag::Facts,
            Self::Attestation(_) => Tag::Attestation,
            Self::LotTile(_) => Tag::LotTile,
            Self::LotState => Tag::LotState,
        }
    }

    /// Its bytes.
    pub fn bytes(&self) -> Vec<u8> {
        self.packed().into_vec()
    }

    /// The same, in place: a dozen keys are made for each entry and live for a moment.
    pub(super) fn packed(&self) -> Packed {
        let mut out = begun(self.tag());
        match self {
            Self::Meta | Self::Head | Self::Ledger | Self::LotState => {}
            Self::LotTile(path) => path.put(&mut out),
            Self::Frame(index)
            | Self::Movements(index)
            | Self::Facts(index)
            | Self::Attestation(index) => {
                out.extend_from_slice(&index.0.to_be_bytes());
            }
            Self::Row(level, number) => {
                out.push(*level);
                out.extend_from_slice(&number.to_be_bytes());
            }
            Self::Checkpoint(size) => out.extend_from_slice(&size.0.to_be_bytes()),
            Self::Party(id) | Self::PublicParty(id) => out.extend_from_slice(id.as_bytes()),
            Self::CreditCode(code) => out.extend_from_slice(code.as_bytes()),
            Self::Site(id) => out.extend_from_slice(id.as_bytes()),
            Self::Signer(id) => out.extend_from_slice(id.as_bytes()),
            Self::Lot(id) => out.extend_from_slice(id.as_bytes()),
            Self::Transfer(id) | Self::Event(id) => out.extend_from_slice(id.as_bytes()),
            Self::Life(lot, ordinal) => {
                out.extend_from_slice(lot.as_bytes());
                out.extend_from_slice(&ordinal.to_be_bytes());
            }
            Self::TableChunk(set, chunk) => {
                out.extend_from_slice(set.as_bytes());
                out.extend_from_slice(&chunk.to_be_bytes());
            }
            Self::Campaign(id) => out.extend_from_slice(id.as_bytes()),
            Self::Line(site, process) => {
                out.extend_from_slice(site.as_bytes());
                out.extend_from_slice(process.as_bytes());
            }
            Self::LotTransfer(lot, offer) => put_pair(&mut out, lot.as_bytes(), offer.as_bytes()),
            Self::PartyTransfer(party, offer) => {
                put_pair(&mut out, party.as_bytes(), offer.as_bytes());
            }
            Self::Waiver(reason_code, subject) => {
                put_text(&mut out, reason_code, subject.as_bytes());
            }
            Self::Credit(site, substance, month) => {
                out.extend_from_slice(site.as_bytes());
                out.push(*substance);
                out.extend_from_slice(&month.to_be_bytes());
            }
            Self::Acknowledgement(anomaly, party) => put_text(&mut out, anomaly, party.as_bytes()),
            Self::Holding(party, lot)
            | Self::RelatedLot(party, lot)
            | Self::GrantedLot(party, lot) => put_pair(&mut out, party.as_bytes(), lot.as_bytes()),
            Self::Concerned(party, index) | Self::PartyVersion(party, index) => {
                out.extend_from_slice(party.as_bytes());
                out.extend_from_slice(&index.0.to_be_bytes());
            }
            Self::Acquainted(party, other) => {
                put_pair(&mut out, party.as_bytes(), other.as_bytes());
            }
            Self::SiteVersion(site, index) => {
                out.extend_from_slice(site.as_bytes());
                out.extend_from_slice(&index.0.to_be_bytes());
            }
            Self::KindEntry(kind, index) => {
                out.push(*kind);
                out.extend_from_slice(&index.0.to_be_bytes());
            }
            Self::SiteOf(party, site) => put_pair(&mut out, party.as_bytes(), site.as_bytes()),
        }
        out
    }

    /// The key of some bytes; `None` for bytes that no key has.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let (tag, rest) = bytes.split_first()?;
        let key = match *tag {
            0x01 if rest.is_empty() => Self::Meta,
            0x02 if rest.is_empty() => Self::Head,
            0x03 if rest.is_empty() => Self::Ledger,
            0x10 => Self::Frame(EntryIndex(be_u64(rest)?)),
            0x11 => Self::Row(*rest.first()?, be_u64(&rest[1..])?),
            0x12 => Self::Checkpoint(EntryCount(be_u64(rest)?)),
            0x20 => Self::Party(PartyId::from_bytes(rest.try_into().ok()?)),
            0x21 => Self::CreditCode(String::from_utf8(rest.to_vec()).ok()?),
            0x22 => Self::Site(SiteId::from_bytes(rest.try_into().ok()?)),
            0x29 => Self::Signer(KeyId(rest.try_into().ok()?)),
            0x24 => Self::Lot(LotId::from_bytes(rest.try_into().ok()?)),
            0x25 => Self::Transfer(EventId::from_bytes(rest.try_into().ok()?)),
            0x26 => Self::Event(EventId::from_bytes(rest.try_into().ok()?)),
            0x27 => {
                let (lot, ordinal) = rest.split_first_chunk::<16>()?;
                Self::Life(LotId::from_bytes(*lot), be_u32(ordinal)?)
            }
            0x28 => Self::Movements(EntryIndex(be_u64(rest)?)),
            0x23 => {
                let (set, chunk) = rest.split_first_chunk::<32>()?;
                Self::TableChunk(Hash32(*set), be_u32(chunk)?)
            }
            0x2a => Self::Campaign(CampaignId::from_bytes(rest.try_into().ok()?)),
            0x2b => {
                let (site, process) = rest.split_first_chunk::<16>()?;
                let process = String::from_utf8(process.to_vec()).ok()?;
                Self::Line(SiteId::from_bytes(*site), process)
            }
            0x2c => two_ids(rest, LotId::from_bytes, EventId::from_bytes, Self::LotTransfer)?,
            0x2d => {
                let (reason_code, subject) = std::str::from_utf8(rest).ok()?.split_once('\0')?;
                Self::Waiver(reason_code.to_owned(), subject.to_owned())
            }
            0x2e => credit(rest)?,
            0x2f => acknowledgement(rest)?,
            0x32 => {
                let (party, index) = rest.split_first_chunk::<16>()?;
                Self::Concerned(PartyId::from_bytes(*party), EntryIndex(be_u64(index)?))
            }
            0x33 => two_ids(rest, PartyId::from_bytes, LotId::from_bytes, Self::RelatedLot)?,
            0x34 => two_ids(rest, PartyId::from_bytes, EventId::from_bytes, Self::PartyTransfer)?,
            0x35 => two_ids(rest, PartyId::from_bytes, LotId::from_bytes, Self::GrantedLot)?,
            0x36 => two_ids(rest, PartyId::from_bytes, PartyId::from_bytes, Self::Acquainted)?,
            0x37 => {
                let (party, index) = rest.split_first_chunk::<16>()?;
                Self::PartyVersion(PartyId::from_bytes(*party), EntryIndex(be_u64(index)?))
            }
            0x38 => {
                let (site, index) = rest.split_first_chunk::<16>()?;
                Self::SiteVersion(SiteId::from_bytes(*site), EntryIndex(be_u64(index)?))
            }
            0x39 => {
                let (kind, index) = rest.split_first()?;
                Self::KindEntry(*kind, EntryIndex(be_u64(index)?))
            }
            0x3a => two_ids(rest, PartyId::from_bytes, SiteId::from_bytes, Self::SiteOf)?,
            0x3b => Self::PublicParty(PartyId::from_bytes(rest.try_into().ok()?)),
            0x3c => Self::Facts(EntryIndex(be_u64(rest)?)),
            0x3d => two_ids(rest, PartyId::from_bytes, LotId::from_bytes, Self::Holding)?,
            0x3f => Self::Attestation(EntryIndex(be_u64(rest)?)),
            0x40 => Self::LotTile(TilePath::parse(rest)?),
            0x41 if rest.is_empty() => Self::LotState,
            _ => return None,
        };
        Some(key)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

/// The first byte, and room for the longest that is usual: two ids.
fn begun(tag: Tag) -> Packed {
    let mut out = Packed::new();
    out.push(tag as u8);
    out
}

fn put_pair(out: &mut Packed, one: &[u8; 16], other: &[u8; 16]) {
    out.extend_from_slice(one);
    out.extend_from_slice(other);
}

/// A text of the record has no control character, so a zero byte ends it.
fn put_text(out: &mut Packed, text: &str, rest: &[u8]) {
    out.extend_from_slice(text.as_bytes());
    out.push(0);
    out.extend_from_slice(rest);
}

fn acknowledgement(bytes: &[u8]) -> Option<Key> {
    let end = bytes.iter().position(|byte| *byte == 0)?;
    let anomaly = std::str::from_utf8(&bytes[..end]).ok()?;
    let party = PartyId::from_bytes(bytes[end + 1..].try_into().ok()?);
    Some(Key::Acknowledgement(anomaly.to_owned(), party))
}

fn credit(bytes: &[u8]) -> Option<Key> {
    let (site, rest) = bytes.split_first_chunk::<16>()?;
    let (substance, month) = rest.split_first()?;
    Some(Key::Credit(SiteId::from_bytes(*site), *substance, be_u32(month)?))
}

fn be_u32(bytes: &[u8]) -> Option<u32> {
    bytes.try_into().ok().map(u32::from_be_bytes)
}

fn be_u64(bytes: &[u8]) -> Option<u64> {
    bytes.try_into().ok().map(u64::from_be_bytes)
}

/// A key of two ids.
fn two_ids<A, B>(
    bytes: &[u8],
    first: fn([u8; 16]) -> A,
    second: fn([u8; 16]) -> B,
    key: fn(A, B) -> Key,
) -> Option<Key> {
    let (one, other) = bytes.split_first_chunk::<16>()?;
    Some(key(first(*one), second(other.try_into().ok()?)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_key() -> impl Strategy<Value = Key> {
        let id = any::<[u8; 16]>;
        let small = 0..600_u64;
        prop_oneof![
            Just(Key::Meta),
            Just(Key::Head),
            Just(Key::Ledger),
            small.clone().prop_map(|n| Key::Frame(EntryIndex(n))),
            any::<u64>().prop_map(|n| Key::Frame(EntryIndex(n))),
            (0..8_u8, small).prop_map(|(level, n)| Key::Row(level, n)),
            any::<u64>().prop_map(|n| Key::Checkpoint(EntryCount(n))),
            id().prop_map(|raw| Key::Party(PartyId::from_bytes(raw))),
            "[0-9A-Z]{18}".prop_map(Key::CreditCode),
            id().prop_map(|raw| Key::Site(SiteId::from_bytes(raw))),
            any::<[u8; 32]>().prop_map(|raw| Key::Signer(KeyId(raw))),
            id().prop_map(|raw| Key::Lot(LotId::from_bytes(raw))),
            id().prop_map(|raw| Key::Transfer(EventId::from_bytes(raw))),
            id().prop_map(|raw| Key::Event(EventId::from_bytes(raw))),
            (0..3_u8, any::<u32>()).prop_map(|(n, at)| Key::Life(LotId::from_bytes([n; 16]), at)),
            any::<u64>().prop_map(|n| Key::Movements(EntryIndex(n))),
            (0..3_u8, any::<u32>()).prop_map(|(n, at)| Key::TableChunk(Hash32([n; 32]), at)),
            kept_by_name(),
            id().prop_map(|raw| Key::Campaign(CampaignId::from_bytes(raw))),
            (0..3_u8, "[0-9A-Z_]{1,32}")
                .prop_map(|(n, of)| Key::Line(SiteId::from_bytes([n; 16]), of)),
            (id(), id()).prop_map(|(lot, offer)| Key::LotTransfer(
                LotId::from_bytes(lot),
                EventId::from_bytes(offer)
            )),
            (id(), id()).prop_map(|(party, offer)| Key::PartyTransfer(
                PartyId::from_bytes(party),
                EventId::from_bytes(offer)
            )),
            (id(), id()).prop_map(|(party, lot)| Key::Holding(
                PartyId::from_bytes(party),
                LotId::from_bytes(lot)
            )),
            (0..3_u8, any::<u64>()).prop_map(|(n, at)| Key::PartyVersion(
                PartyId::from_bytes([n; 16]),
                EntryIndex(at)
            )),
            (0..3_u8, any::<u64>())
                .prop_map(|(n, at)| Key::SiteVersion(SiteId::from_bytes([n; 16]), EntryIndex(at))),
            (0..3_u8, any::<u64>()).prop_map(|(kind, at)| Key::KindEntry(kind, EntryIndex(at))),
            (0..3_u8, any::<u64>())
                .prop_map(|(n, at)| Key::Concerned(PartyId::from_bytes([n; 16]), EntryIndex(at))),
            (id(), id()).prop_map(|(party, lot)| Key::RelatedLot(
                PartyId::from_bytes(party),
                LotId::from_bytes(lot)
            )),
            (id(), id()).prop_map(|(party, other)| Key::Acquainted(
                PartyId::from_bytes(party),
                PartyId::from_bytes(other)
            )),
            (id(), id()).prop_map(|(party, site)| Key::SiteOf(
                PartyId::from_bytes(party),
                SiteId::from_bytes(site)
            )),
            id().prop_map(|raw| Key::PublicParty(PartyId::from_bytes(raw))),
            Just(Key::LotState),
            prop::collection::vec(any::<u8>(), 0..=32).prop_filter_map("a place", |raw| {
                let level = u8::try_from(2 * raw.len()).unwrap();
                TilePath::parse(&[&[level], &raw[..]].concat()).map(Key::LotTile)
            }),
            (prop::collection::vec(any::<u8>(), 0..=31), 0..16_u8).prop_map(|(raw, nibble)| {
                let level = u8::try_from(2 * raw.len() + 1).unwrap();
                let path = [&[level], &raw[..], &[nibble << 4]].concat();
                Key::LotTile(TilePath::parse(&path).unwrap())
            }),
        ]
    }

    fn kept_by_name() -> impl Strategy<Value = Key> {
        let id = any::<[u8; 16]>;
        prop_oneof![
            ("[A-Z_]{1,32}", "[ -~]{1,64}").prop_map(|(code, of)| Key::Waiver(code, of)),
            ("[a-c]{1,3}", (0..3_u8))
                .prop_map(|(text, n)| Key::Acknowledgement(text, PartyId::from_bytes([n; 16]))),
            (0..3_u8, any::<u8>(), any::<u32>()).prop_map(|(n, substance, month)| Key::Credit(
                SiteId::from_bytes([n; 16]),
                substance,
                month
            )),
            (id(), id()).prop_map(|(party, lot)| Key::GrantedLot(
                PartyId::from_bytes(party),
                LotId::from_bytes(lot)
            )),
            any::<u64>().prop_map(|n| Key::Attestation(EntryIndex(n))),
        ]
    }

    proptest! {
        #[test]
        fn a_key_comes_back_as_it_went(key in any_key()) {
            prop_assert_eq!(Key::parse(&key.bytes()), Some(key));
        }

        #[test]
        fn bytes_sort_as_keys_do(a in any_key(), b in any_key()) {
            prop_assert_eq!(a.bytes().cmp(&b.bytes()), a.cmp(&b));
        }

        #[test]
        fn a_key_with_a_byte_more_or_less_is_none_or_a_text(key in any_key()) {
            let mut bytes = key.bytes();
            bytes.push(b'0');
            let longer = Key::parse(&bytes);
            let is_text = matches!(
                longer,
                Some(Key::CreditCode(_) | Key::Line(..) | Key::Waiver(..))
            );
            prop_assert!(longer.is_none() || is_text);
        }
    }
}
