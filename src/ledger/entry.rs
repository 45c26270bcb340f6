//! The entry: one accepted event (or statement) with its place, fixed layout, big-endian.
//!
//! `Draft -> Sealed` is the writer's way, `Entry::parse` everybody's. They share the rules of one
//! entry (`Entry::check`) and nothing else.

use bytes::{BufMut as _, Bytes, BytesMut};

use super::envelope::{EVENT_PAYLOAD_TYPE, Envelope, EnvelopeFault, STATEMENT_PAYLOAD_TYPE};
use super::hash::{ChainValue, leaf_hash};
use super::reader::{Reader, Short};
use crate::domain::effects::LotLink;
use crate::domain::{EntryIndex, Hash32, LotId, TimeMs};
use crate::limits::{ENTRY_HEADER_BYTES, LOT_LINK_BYTES, MAX_ENTRY_BYTES, MAX_LOTS_PER_EVENT};

/// The version of the format that this house writes and reads.
pub const FORMAT_VERSION: u16 = 1;
/// In a link: the lot has no earlier entry.
const NO_PREVIOUS: u64 = u64::MAX;

/// Who speaks in an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EntryKind {
    /// A party: kind 0.
    Event,
    /// The ledger itself: kind 1.
    Statement,
}

impl EntryKind {
    /// The byte in the entry.
    pub const fn code(self) -> u8 {
        match self {
            Self::Event => 0,
            Self::Statement => 1,
        }
    }

    /// What the envelope's signatures are bound to.
    pub const fn payload_type(self) -> &'static str {
        match self {
            Self::Event => EVENT_PAYLOAD_TYPE,
            Self::Statement => STATEMENT_PAYLOAD_TYPE,
        }
    }
}

/// An entry whose bytes keep every rule that one entry alone can break. Whether it fits its
/// neighbours, whether its signatures hold and its event is allowed, are other questions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Who speaks.
    pub kind: EntryKind,
    /// Its place; the genesis is 0.
    pub index: EntryIndex,
    /// Chain value of the entry before; [`ChainValue::START`] in the genesis.
    pub previous: ChainValue,
    /// The ledger's clock when it was sealed.
    pub recorded_at: TimeMs,
    /// The rules that judged it.
    pub rules_version: u16,
    /// The table set that judged it.
    pub tables_hash: Hash32,
    /// First entry of its atomic batch.
    pub batch_first: EntryIndex,
    /// Entries in its batch; 1 when it came alone.
    pub batch_len: u16,
    /// The lots it touches, strictly ascending by lot id.
    pub links: Vec<LotLink>,
    /// The signed bytes and signatures, verbatim; [`Envelope::parse`] takes them.
    pub envelope: Bytes,
}

/// Why bytes are not an entry. Offsets count from the entry's first byte.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EntryFault {
    /// Longer than any entry.
    #[error("an entry has at most {MAX_ENTRY_BYTES} bytes, not {found}")]
    TooLong {
        /// Its length.
        found: usize,
    },
    /// The bytes end inside a field.
    #[error("entry offset {offset}: a field of {needed} bytes, but {left} are left")]
    Truncated {
        /// Where the field begins.
        offset: usize,
        /// Its length.
        needed: usize,
        /// What is left.
        left: usize,
    },
    /// Another version of the format.
    #[error("entry offset 0: format version {FORMAT_VERSION}, not {found}")]
    UnknownVersion {
        /// The version.
        found: u16,
    },
    /// Neither an event nor a statement.
    #[error("entry offset 2: kind 0 (event) or 1 (statement), not {found}")]
    UnknownKind {
        /// The kind.
        found: u8,
    },
    /// The genesis follows something, or is not an event, or links lots.
    #[error("entry 0: an event without links whose previous chain value is 32 zero bytes")]
    Genesis,
    /// A time after the year 9999.
    #[error("entry offset 43: recorded at most at {} ms, not {found}", TimeMs::MAX.get())]
    TimeTooLarge {
        /// The time.
        found: u64,
    },
    /// The batch does not contain the entry.
    #[error("entry offset 85: a batch of {length} from {first} does not contain entry {index}")]
    NotInBatch {
        /// First entry of the batch.
        first: EntryIndex,
        /// Its length.
        length: u16,
        /// The entry.
        index: EntryIndex,
    },
    /// More lots than an entry may link.
    #[error("entry offset 95: at most {MAX_LOTS_PER_EVENT} lot links, not {found}")]
    TooManyLinks {
        /// How many.
        found: usize,
    },
    /// The ledger's own statements touch no lots.
    #[error("entry offset 95: a statement has no lot links, not {found}")]
    LinksOfStatement {
        /// How many.
        found: usize,
    },
    /// A lot id that is not a `UUIDv7`.
    #[error("link {link}: lot {found} is not a UUID of version 7")]
    LotId {
        /// Which link, from 0.
        link: usize,
        /// The id.
        found: LotId,
    },
    /// Lots out of order, or one twice.
    #[error("link {link}: lot {found} must be above {before}")]
    LinksNotAscending {
        /// Which link, from 0.
        link: usize,
        /// The lot before it.
        before: LotId,
        /// The lot.
        found: LotId,
    },
    /// First in a lot's life with an entry before it, or later without one.
    #[error("link {link}: ordinal {ordinal}, previous entry {previous:?}: 0 exactly without one")]
    OrdinalAndPrevious {
        /// Which link, from 0.
        link: usize,
        /// Its ordinal.
        ordinal: u32,
        /// Its previous entry.
        previous: Option<EntryIndex>,
    },
    /// A lot's previous entry that is not before this one.
    #[error("link {link}: previous entry {previous} must be below {index}")]
    PreviousNotBefore {
        /// Which link, from 0.
        link: usize,
        /// The previous entry.
        previous: EntryIndex,
        /// This entry.
        index: EntryIndex,
    },
    /// The envelope, at this offset, is not one.
    #[error("entry offset {offset}: the envelope is malformed")]
    Envelope {
        /// Where the envelope begins.
        offset: usize,
        /// What is wrong with it.
        #[source]
        fault: EnvelopeFault,
    },
}

impl From<Short> for EntryFault {
    fn from(Short { offset, needed, left }: Short) -> Self {
        Self::Truncated { offset, needed, left }
    }
}

impl Entry {
    /// Parses strictly: every rule that one entry alone can break.
    pub fn parse(bytes: &Bytes) -> Result<Self, EntryFault> {
        Self::parse_with_envelope(bytes).map(|(entry, _)| entry)
    }

    /// [`Entry::parse`], and its envelope taken apart.
    pub fn parse_with_envelope(bytes: &Bytes) -> Result<(Self, Envelope), EntryFault> {
        if bytes.len() > MAX_ENTRY_BYTES {
            return Err(EntryFault::TooLong { found: bytes.len() });
        }
        let entry = parse_fields(&mut Reader::new(bytes))?;
        let envelope = entry.check()?;
        Ok((entry, envelope))
    }

    /// The rules of one entry alone, in the order of its fields. Gives the envelope.
    fn check(&self) -> Result<Envelope, EntryFault> {
        let is_genesis = self.index == EntryIndex(0);
        let starts = self.previous == ChainValue::START;
        let is_bare_event = self.kind == EntryKind::Event && self.links.is_empty();
        if is_genesis && !(starts && is_bare_event) {
            return Err(EntryFault::Genesis);
        }
        if self.recorded_at > TimeMs::MAX {
            return Err(EntryFault::TimeTooLarge { found: self.recorded_at.get() });
        }
        if !batch_contains(self.batch_first, self.batch_len, self.index) {
            return Err(EntryFault::NotInBatch {
                first: self.batch_first,
                length: self.batch_len,
                index: self.index,
            });
        }
        let found = self.links.len();
        if self.kind == EntryKind::Statement && found > 0 {
            return Err(EntryFault::LinksOfStatement { found });
        }
        if found > MAX_LOTS_PER_EVENT {
            return Err(EntryFault::TooManyLinks { found });
        }
        check_links(&self.links, self.index)?;
        let offset = ENTRY_HEADER_BYTES + found * LOT_LINK_BYTES;
        Envelope::parse(&self.envelope).map_err(|fault| EntryFault::Envelope { offset, fault })
    }
}

/// Overflow of the batch's end would be a batch that no ledger can hold.
fn batch_contains(first: EntryIndex, length: u16, index: EntryIndex) -> bool {
    let end = first.0.checked_add(u64::from(length));
    end.is_some_and(|end| first <= index && index.0 < end)
}

fn check_links(links: &[LotLink], index: EntryIndex) -> Result<(), EntryFault> {
    let mut before: Option<LotId> = None;
    for (link, &LotLink { lot, ordinal, previous }) in links.iter().enumerate() {
        if LotId::parse(lot.as_bytes()).is_err() {
            return Err(EntryFault::LotId { link, found: lot });
        }
        if let Some(before) = before
            && lot <= before
        {
            return Err(EntryFault::LinksNotAscending { link, before, found: lot });
        }
        if (ordinal == 0) != previous.is_none() {
            return Err(EntryFault::OrdinalAndPrevious { link, ordinal, previous });
        }
        if let Some(previous) = previous
            && previous >= index
        {
            return Err(EntryFault::PreviousNotBefore { link, previous, index });
        }
        before = Some(lot);
    }
    Ok(())
}

fn parse_fields(reader: &mut Reader<'_>) -> Result<Entry, EntryFault> {
    let version = reader.u16()?;
    if version != FORMAT_VERSION {
        return Err(EntryFault::UnknownVersion { found: version });
    }
    let kind = match reader.u8()? {
        0 => EntryKind::Event,
        1 => EntryKind::Statement,
        found => return Err(EntryFault::UnknownKind { found }),
    };
    Ok(Entry {
        kind,
        index: EntryIndex(reader.u64()?),
        previous: ChainValue(reader.array()?),
        recorded_at: TimeMs::of(reader.u64()?),
        rules_version: reader.u16()?,
        tables_hash: Hash32(reader.array()?),
        batch_first: EntryIndex(reader.u64()?),
        batch_len: reader.u16()?,
        links: parse_links(reader)?,
        envelope: reader.rest(),
    })
}

fn parse_links(reader: &mut Reader<'_>) -> Result<Vec<LotLink>, EntryFault> {
    let count = usize::from(reader.u16()?);
    if count > MAX_LOTS_PER_EVENT {
        return Err(EntryFault::TooManyLinks { found: count });
    }
    let mut links = Vec::with_capacity(count);
    for _ in 0..count {
        let lot = LotId::from_bytes(reader.array()?);
        let ordinal = reader.u32()?;
        let previous = match reader.u64()? {
            NO_PREVIOUS => None,
            index => Some(EntryIndex(index)),
        };
        links.push(LotLink { lot, ordinal, previous });
    }
    Ok(links)
}

/// An entry that has no place yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// Who speaks.
    pub kind: EntryKind,
    /// The ledger's clock.
    pub recorded_at: TimeMs,
    /// The rules that judged it.
    pub rules_version: u16,
    /// The table set that judged it.
    pub tables_hash: Hash32,
    /// The lots it touches, strictly ascending by lot id.
    pub links: Vec<LotLink>,
    /// The envelope, verbatim.
    pub envelope: Bytes,
}

/// The place that the writer gives an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// Its index.
    pub index: EntryIndex,
    /// Chain value of the entry before.
    pub previous: ChainValue,
    /// First entry of its batch.
    pub batch_first: EntryIndex,
    /// Entries in its batch.
    pub batch_len: u16,
}

/// Why a draft cannot become an entry at a place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealFault {
    /// It would break a rule of the format.
    #[error("the entry would break a rule of the format")]
    Rule(#[source] EntryFault),
}

/// An entry as it will be stored, with what follows from its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    bytes: Bytes,
    chain: ChainValue,
    leaf: Hash32,
}

impl Sealed {
    /// The bytes of the entry.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The chain value after it.
    pub fn chain(&self) -> ChainValue {
        self.chain
    }

    /// Its leaf in the tree.
    pub fn leaf(&self) -> Hash32 {
        self.leaf
    }
}

impl Draft {
    /// Fixes the entry at its place. The only function that makes entry bytes.
    ///
    /// # Panics
    ///
    /// Never, by the const assertion in `limits`: a checked entry fits the limit.
    pub fn seal(self, position: Position) -> Result<Sealed, SealFault> {
        let entry = self.at(position);
        entry.check().map_err(SealFault::Rule)?;
        let bytes = encode(&entry);
        assert!(bytes.len() <= MAX_ENTRY_BYTES, "a checked entry fits the limit");
        let chain = ChainValue::of_entry(&bytes);
        let leaf = leaf_hash(&bytes);
        Ok(Sealed { bytes, chain, leaf })
    }

    fn at(self, position: Position) -> Entry {
        Entry {
            kind: self.kind,
            index: position.index,
            previous: position.previous,
            recorded_at: self.recorded_at,
            rules_version: self.rules_version,
            tables_hash: self.tables_hash,
            batch_first: position.batch_first,
            batch_len: position.batch_len,
            links: self.links,
            envelope: self.envelope,
        }
    }
}

fn encode(entry: &Entry) -> Bytes {
    let capacity = ENTRY_HEADER_BYTES + entry.links.len() * LOT_LINK_BYTES + entry.envelope.len();
    let mut out = BytesMut::with_capacity(capacity);
    out.put_u16(FORMAT_VERSION);
    out.put_u8(entry.kind.code());
    out.put_u64(entry.index.0);
    out.put_slice(&entry.previous.0);
    out.put_u64(entry.recorded_at.get());
    out.put_u16(entry.rules_version);
    out.put_slice(entry.tables_hash.as_bytes());
    out.put_u64(entry.batch_first.0);
    out.put_u16(entry.batch_len);
    // `check` bounded the links, so the count always fits.
    out.put_u16(u16::try_from(entry.links.len()).unwrap_or(u16::MAX));
    for link in &entry.links {
        out.put_slice(link.lot.as_bytes());
        out.put_u32(link.ordinal);
        out.put_u64(link.previous.map_or(NO_PREVIOUS, |previous| previous.0));
    }
    out.put_slice(&entry.envelope);
    out.freeze()
}
