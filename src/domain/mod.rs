//! What the words mean, and what is allowed.
//!
//! *Owns:* ids, masses, fractions and times as types; events; the state of parties, sites, keys,
//! lots, campaigns and transfers; the rules (`apply`) and their rejections; the typed form of the
//! tables.
//!
//! *Never:* does IO, reads a clock, draws randomness, knows bytes, signatures or indexes of a disk.
//! Time is an argument. No float ever comes near a mass.
//!
//! *See:* `wire` for how the words are spelled, `docs/FORMAT.md` for the record.

pub mod apply;
pub mod audit;
pub mod campaign;
pub mod composition;
pub mod credit;
pub mod effects;
pub mod event;
pub mod fact;
pub mod flag;
pub mod ids;
pub mod lot;
pub mod memory;
pub mod movement;
pub mod party;
pub mod rejection;
pub mod sight;
pub mod subject;
pub mod tables;
pub mod units;
pub mod vocabulary;
pub mod waiver;

pub use apply::{Moment, Signed, apply};
pub use effects::{Effects, View};
pub use event::{Body, Event};
pub use ids::{
    AffiliationId, CampaignId, EntryCount, EntryIndex, EventId, Hash32, KeyId, LicenceId, LotId,
    Origin, PartyId, PublicKey, SiteId,
};
pub use rejection::Rejection;
pub use tables::Tables;
pub use units::{FractionE8, Grams, OffsetMin, TimeMs};
