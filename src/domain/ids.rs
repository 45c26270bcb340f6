//! Names of things: one type per meaning, so that a lot is never looked up by a site's id.

use std::fmt;
use std::sync::Arc;

use uuid::Uuid;

use crate::limits::MAX_ORIGIN_BYTES;

/// Why sixteen bytes are not an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdFault {
    /// Not 16 bytes.
    #[error("an id has 16 bytes, not {0}")]
    Length(usize),
    /// Not version 7 of the RFC 9562 variant.
    #[error("an id is a UUID of version 7")]
    NotVersion7,
    /// Not the text of a UUID as this house writes it.
    #[error("an id is written as 8-4-4-4-12 hexadecimal digits, in lower case")]
    Text,
}

macro_rules! uuid_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 16]);

        impl $name {
            /// Takes 16 bytes that are a `UUIDv7`.
            pub fn parse(bytes: &[u8]) -> Result<Self, IdFault> {
                let raw: [u8; 16] =
                    bytes.try_into().map_err(|_| IdFault::Length(bytes.len()))?;
                let uuid = Uuid::from_bytes(raw);
                let is_v7 = uuid.get_version_num() == 7
                    && uuid.get_variant() == uuid::Variant::RFC4122;
                if is_v7 { Ok(Self(raw)) } else { Err(IdFault::NotVersion7) }
            }

            /// Takes the text that [`fmt::Display`] writes, and no other spelling of it.
            pub fn from_text(text: &str) -> Result<Self, IdFault> {
                let uuid = Uuid::parse_str(text).map_err(|_| IdFault::Text)?;
                let id = Self::parse(uuid.as_bytes())?;
                if id.to_string() == text { Ok(id) } else { Err(IdFault::Text) }
            }

            /// Takes bytes that were checked before, from our own store.
            pub const fn from_bytes(raw: [u8; 16]) -> Self {
                Self(raw)
            }

            /// The 16 bytes.
            pub const fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                Uuid::from_bytes(self.0).hyphenated().fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }
    };
}

uuid_type!(
    /// An event, and the transfer or hold that it began.
    EventId
);
uuid_type!(
    /// A lot of material.
    LotId
);
uuid_type!(
    /// A party: enterprise, coordinator, auditor.
    PartyId
);
uuid_type!(
    /// A site of a party.
    SiteId
);
uuid_type!(
    /// A licence of a party.
    LicenceId
);
uuid_type!(
    /// An affiliation of a party with a group.
    AffiliationId
);
uuid_type!(
    /// A campaign: a continuous process, balanced over a period.
    CampaignId
);

impl LotId {
    /// Not a lot: the pseudo-origin of mass taken up in a process (oxygen, water, reagents).
    pub const UPTAKE: LotId = LotId([0; 16]);

    /// Not a lot: what is in process in a campaign. It has the campaign's bytes with 8 in place of
    /// the version 7, so it is no lot's id.
    pub const fn pool(campaign: CampaignId) -> Self {
        Self(campaign.versioned(POOL_VERSION))
    }

    /// Not a lot: the opening stock of a campaign that a waiver let in, an origin of its own. It
    /// has the campaign's bytes with 9 in place of the version 7.
    pub const fn waived_stock(campaign: CampaignId) -> Self {
        Self(campaign.versioned(WAIVED_STOCK_VERSION))
    }

    /// The campaign whose pool this is; `None` for lots.
    pub fn pool_of(self) -> Option<CampaignId> {
        self.campaign_of(POOL_VERSION)
    }

    /// The campaign whose waived opening stock this is; `None` for lots.
    pub fn waived_stock_of(self) -> Option<CampaignId> {
        self.campaign_of(WAIVED_STOCK_VERSION)
    }

    fn campaign_of(self, version: u8) -> Option<CampaignId> {
        let is_one = self.0[6] >> 4 == version;
        is_one.then(|| CampaignId(CampaignId(self.0).versioned(ID_VERSION)))
    }
}

/// The version of every id of the record.
const ID_VERSION: u8 = 7;
/// See [`LotId::pool`].
const POOL_VERSION: u8 = 8;
/// See [`LotId::waived_stock`].
const WAIVED_STOCK_VERSION: u8 = 9;

impl CampaignId {
    const fn versioned(self, version: u8) -> [u8; 16] {
        let mut bytes = self.0;
        bytes[6] = (version << 4) | (bytes[6] & 0x0F);
        bytes
    }
}

macro_rules! bytes32_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; 32]);

        impl $name {
            /// The 32 bytes.
            pub const fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }
    };
}

bytes32_type!(
    /// SHA-256 of a public key: how an envelope names a signer.
    KeyId
);
bytes32_type!(
    /// An ed25519 public key, as bytes; whether it is a sound point is `ledger`'s to say.
    PublicKey
);
bytes32_type!(
    /// Any other SHA-256 value: of a payload, a document, a table set, a commitment.
    Hash32
);

/// Position of an entry; the genesis is 0.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryIndex(pub u64);

impl EntryIndex {
    /// The entry after this one. A ledger of 2^64 entries is out of reach: 10^6 a second for
    /// 584,000 years.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for EntryIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How many entries; the size of the tree.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryCount(pub u64);

impl fmt::Display for EntryCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Why a text is not an origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OriginFault {
    /// Empty or too long.
    #[error("an origin has 1 to {MAX_ORIGIN_BYTES} bytes, not {0}")]
    Length(usize),
    /// A character that a signed note cannot carry in a name.
    #[error("an origin has only ASCII letters, digits and . - _ / : ~, not {0:?}")]
    Character(char),
}

/// The name of a ledger: the origin line of its checkpoints.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin(Arc<str>);

impl Origin {
    /// Takes a schema-less URL without characters that a signed note's key name forbids (space,
    /// plus).
    pub fn parse(text: &str) -> Result<Self, OriginFault> {
        if text.is_empty() || text.len() > MAX_ORIGIN_BYTES {
            return Err(OriginFault::Length(text.len()));
        }
        let stranger = text.chars().find(|c| !(c.is_ascii_alphanumeric() || "./-_:~".contains(*c)));
        match stranger {
            Some(found) => Err(OriginFault::Character(found)),
            None => Ok(Self(text.into())),
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
