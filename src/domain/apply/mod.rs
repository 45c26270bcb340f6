//! The rules: [`apply`] judges one event and says what it changes. Pure and deterministic.
//!
//! *Owns:* the order in which rules are asked. A refusal names the first broken rule in the order
//! of [`Rejection`]; so every check runs over all lots of an event before the next check runs.
//!
//! *Never:* reads anything that the event does not name, or a clock: time comes in [`Moment`].
//!
//! *See:* `docs/REASONS.md` for every refusal.

mod admission;
mod audit;
mod campaigns;
mod corrections;
mod credits;
mod endings;
mod grants;
mod holds;
mod lots;
mod registry;
mod rotation;
mod settlements;
mod sight;
mod signers;
mod succession;
mod transfers;
mod transform;
mod work;

use super::effects::{Effects, View};
use super::event::{Body, Event};
use super::ids::{EntryCount, EntryIndex, Hash32, KeyId, Origin, PublicKey};
use super::rejection::Rejection;
use super::tables::Tables;
use super::units::TimeMs;
use work::Work;

pub use rotation::{RotationFault, rotate_ledger_key};
pub use signers::required_signers;

/// The rules that this code executes; an entry records the version it was judged by.
pub const RULES_VERSION: u16 = 1;

/// Reads a checkpoint: text, origin, key; size and root, or what is wrong with it.
pub type CheckpointReader = fn(&str, &Origin, &PublicKey) -> Result<(EntryCount, Hash32), String>;

/// When and by what an event is judged. Nothing below knows any other time.
#[derive(Clone, Copy)]
pub struct Moment<'a> {
    /// The entry it would become.
    pub index: EntryIndex,
    /// The ledger's clock.
    pub recorded_at: TimeMs,
    /// How many events that are not recorded yet follow it in its atomic batch.
    pub following: usize,
    /// The tables that judge; `None` until those of the genesis are published.
    pub tables: Option<&'a Tables>,
    /// SHA-256, handed in because the domain has no foreign crates.
    pub sha256: fn(&[u8]) -> Hash32,
    /// Reads a signed note that has to be a checkpoint of an origin under a key: its size and root,
    /// or what is wrong. Handed in for the same reason.
    pub checkpoint: CheckpointReader,
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

impl<F> From<Rejection> for Refusal<F> {
    fn from(rejection: Rejection) -> Self {
        Self::Rejected(rejection)
    }
}

/// What a step of the rules answers.
type Verdict<T, V> = Result<T, Refusal<<V as View>::Fault>>;

/// Judges one event against a view that reads only what the event names.
pub fn apply<V: View>(view: &V, signed: Signed<'_>, moment: Moment<'_>) -> Verdict<Effects, V> {
    judge(view, signed, moment, true)
}

/// [`apply`] for whoever asks for the verdict and what becomes of the state: it leaves out whom the
/// event concerns, who came to see what, and how each lot stood, which no rule asks for.
pub fn apply_unseen<V: View>(
    view: &V,
    signed: Signed<'_>,
    moment: Moment<'_>,
) -> Verdict<Effects, V> {
    judge(view, signed, moment, false)
}

fn judge<V: View>(
    view: &V,
    signed: Signed<'_>,
    moment: Moment<'_>,
    is_seen: bool,
) -> Verdict<Effects, V> {
    let event = signed.event;
    let Some(ledger) = view.ledger().map_err(Refusal::Unreadable)? else {
        return registry::genesis(signed, moment).map_err(Refusal::Rejected);
    };
    let mut work = Work::new(view, signed, moment, ledger);
    admission::admit(&mut work)?;
    match &event.body {
        Body::Genesis(_) => {} // refused by admission
        Body::RegisterParty(party) => registry::register_party(&mut work, party)?,
        Body::AmendParty(party) => registry::amend_party(&mut work, party)?,
        Body::RegisterSite(site) => registry::register_site(&mut work, site)?,
        Body::AmendSite(site) => registry::amend_site(&mut work, site)?,
        Body::RegisterLicence(party, it) => registry::register_licence(&mut work, *party, it)?,
        Body::AmendLicence(party, it) => registry::amend_licence(&mut work, *party, it)?,
        Body::RegisterAffiliation(party, it) => {
            registry::register_affiliation(&mut work, *party, it)?;
        }
        Body::AmendAffiliation(party, it) => registry::amend_affiliation(&mut work, *party, it)?,
        Body::RegisterKey(key) => registry::register_key(&mut work, key)?,
        Body::RevokeKey(key) => registry::revoke_key(&mut work, key)?,
        Body::PublishTables(chunk) => registry::publish_tables(&mut work, chunk)?,
        Body::Waiver(waiver) => grants::waive(&mut work, waiver)?,
        Body::Approval(approval) => grants::approve(&mut work, approval)?,
        Body::VisibilityGrant(grant) => grants::grant(&mut work, *grant)?,
        Body::SucceedParty(succession) => succession::succeed(&mut work, *succession)?,
        Body::OpeningInventory(inventory) => lots::opening_inventory(&mut work, inventory)?,
        Body::CollectLot(collect) => lots::collect(&mut work, collect)?,
        Body::AssayLot(assay) => lots::assay(&mut work, assay)?,
        Body::SplitLot(split) => lots::split(&mut work, split)?,
        Body::MergeLots(merge) => transform::merge(&mut work, merge)?,
        Body::TransformLots(melt) => transform::transform(&mut work, melt)?,
        Body::OpenCampaign(it) => campaigns::open(&mut work, it)?,
        Body::ChargeCampaign(it) => campaigns::charge(&mut work, it)?,
        Body::DrawCampaign(it) => campaigns::draw(&mut work, it)?,
        Body::CloseCampaign(it) => campaigns::close(&mut work, it)?,
        Body::OfferTransfer(offer) => transfers::offer(&mut work, offer)?,
        Body::AcceptTransfer(accept) => transfers::accept(&mut work, accept)?,
        Body::RejectTransfer(close) => transfers::reject(&mut work, close)?,
        Body::CancelTransfer(close) => transfers::cancel(&mut work, close)?,
        Body::PartlyAcceptTransfer(accept) => transfers::partly_accept(&mut work, accept)?,
        Body::ReturnTransfer(back) => transfers::give_back(&mut work, back)?,
        Body::SettleDiscrepancy(settle) => settlements::settle(&mut work, settle)?,
        Body::HoldLot(hold) => holds::hold(&mut work, hold)?,
        Body::ReleaseLot(release) => holds::release(&mut work, release)?,
        Body::DisposeResidue(dispose) => endings::dispose(&mut work, dispose)?,
        Body::Stocktake(count) => endings::stocktake(&mut work, count)?,
        Body::ExitLot(exit) => endings::exit(&mut work, exit)?,
        Body::DeclareError(error) => corrections::declare_error(&mut work, error)?,
        Body::Attest(attest) => audit::attest(&mut work, attest)?,
        Body::AcknowledgeAnomaly(seen) => audit::acknowledge(&mut work, seen),
        Body::ClaimCredit(claim) => credits::claim(&mut work, *claim)?,
    }
    work.into_effects(is_seen)
}
