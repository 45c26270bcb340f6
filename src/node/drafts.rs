//! Events that wait for more signatures. Not entries: nothing here is in the ledger, and the ledger
//! needs nothing of it.
//!
//! The drawer holds the envelopes; in memory stands who may see which, and until when. A draft ends
//! when its event is recorded, somebody discards it, or its time is over.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tracing::warn;

use super::admission::{Admitted, admit, check_signature};
use super::clock::Clock;
use super::error::AppendError;
use super::handle::Appended;
use super::veil::Veil;
use crate::domain::apply::required_signers;
use crate::domain::effects::View as _;
use crate::domain::sight::Onlooker;
use crate::domain::{Event, EventId, KeyId, PartyId, Rejection, TimeMs};
use crate::ledger::SignerTables;
use crate::ledger::envelope::{Envelope, EnvelopeSignature};
use crate::limits::{DEFAULT_DRAFT_SECONDS, MAX_DRAFT_SECONDS, MAX_DRAFTS, MAX_DRAFTS_PER_PARTY};
use crate::store::{Cabinet, Drawer, Store, StoreFault};
use crate::wire::decode_event;

/// An event that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// Its event.
    pub event: Event,
    /// The bytes to sign, and who has.
    pub envelope: Envelope,
    /// Of which party each signature is, in their order.
    pub signed_by: Vec<PartyId>,
    /// Who, where, until when.
    pub slip: Slip,
}

/// What is known of a draft without opening its file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slip {
    /// Who proposed it.
    pub proposed_by: PartyId,
    /// Who has to sign, ascending.
    pub required: Vec<PartyId>,
    /// When it was proposed.
    pub created_at: TimeMs,
    /// From when on it is gone.
    pub expires_at: TimeMs,
}

/// Why a draft is not kept, signed or found.
#[derive(Debug, thiserror::Error)]
pub enum DraftFault {
    /// The event itself is refused.
    #[error("{0}")]
    Append(#[from] AppendError),
    /// The event has all the signatures that it needs.
    #[error("this event needs no other signature: append it")]
    NotNeeded,
    /// Another draft of that id.
    #[error("there is a draft of event {0} with other bytes")]
    Conflict(EventId),
    /// No room.
    #[error("{what} has {limit} drafts that wait, the most that it can have")]
    Full {
        /// Whose.
        what: &'static str,
        /// How many it may have.
        limit: usize,
    },
    /// There is no such draft, or not for this party.
    #[error("there is no draft {0}")]
    Unknown(EventId),
    /// The drawer.
    #[error("the drawer of drafts failed")]
    Store(#[from] StoreFault),
}

/// Who asks: a party that has to sign, or whoever sits at the node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asker {
    /// A party.
    Party(PartyId),
    /// The operator.
    Operator,
}

impl From<Asker> for Onlooker {
    fn from(asker: Asker) -> Self {
        match asker {
            Asker::Party(party) => Self::Party(party),
            Asker::Operator => Self::Everything,
        }
    }
}

/// What a signature led to.
#[derive(Debug, Clone)]
pub enum Signing {
    /// Others still have to sign.
    Waits(Box<Draft>),
    /// Everybody has signed: this goes to the ledger.
    Complete(Bytes),
}

/// What became of a signature.
#[derive(Debug)]
pub enum Signed {
    /// Others still have to sign.
    Waits(Box<Draft>),
    /// The event is in the ledger.
    Recorded(Appended),
}

/// A proposal that is well-formed, and not yet judged.
#[derive(Debug, Clone)]
pub struct Proposal {
    admitted: Admitted,
    /// The same event as if everybody had signed: for the rules alone, never for the ledger.
    pub(super) judged: Admitted,
    required: Vec<PartyId>,
    signed_by: Vec<PartyId>,
}

/// The drafts of a node.
pub struct Drafts {
    store: Arc<Store>,
    cabinet: Cabinet,
    clock: Arc<dyn Clock>,
    signers: Arc<SignerTables>,
    /// One lock for slips and files together: drafts are small, and seldom.
    slips: Mutex<Slips>,
}

type Slips = BTreeMap<EventId, Slip>;

impl Drafts {
    /// Opens the drawer. A file that is no draft is left where it is, and told.
    pub fn open(
        store: Arc<Store>,
        clock: Arc<dyn Clock>,
        signers: Arc<SignerTables>,
    ) -> Result<Self, StoreFault> {
        let cabinet = store.cabinet(Drawer::Drafts)?;
        let mut slips = Slips::new();
        for name in cabinet.names(MAX_DRAFTS)? {
            let content = cabinet.get(&name)?.unwrap_or_default();
            let found = unpack(&content).map(|(slip, _, event)| (event.id, slip));
            if let Some((id, slip)) = found.filter(|(id, _)| name_of(*id) == name) {
                slips.insert(id, slip);
            } else {
                warn!(name, "a file in the drawer of drafts is no draft");
            }
        }
        Ok(Self { store, cabinet, clock, signers, slips: Mutex::new(slips) })
    }

    /// Takes a proposed event apart: who has to sign, who has, and what the rules judge. What the
    /// onlooker may not see is not there.
    pub fn prepare(&self, onlooker: Onlooker, envelope: Bytes) -> Result<Proposal, DraftFault> {
        let veil = Veil::new(&self.store, onlooker, &[])?;
        let admitted = admit(&self.signers, envelope, |key| veil.public_key(key))??;
        let event = admitted.event();
        let required = required_signers(&veil, event)?;
        let mut signed_by = Vec::new();
        for &key in admitted.signers() {
            let state = veil.key(key)?.ok_or_else(|| rejected(Rejection::KeyUnknown { key }))?;
            let party = state.party;
            let is_second = signed_by.contains(&party);
            if is_second || !required.contains(&party) {
                return Err(rejected(Rejection::SignerUnexpected { key, party }));
            }
            signed_by.push(party);
        }
        let missing = required.iter().filter(|party| !signed_by.contains(party));
        let missing: Vec<PartyId> = missing.copied().collect();
        if missing.is_empty() {
            return Err(DraftFault::NotNeeded);
        }
        let mut assumed = Vec::new();
        for party in missing {
            assumed.push(self.key_in_force(party, event.occurred_at)?);
        }
        let judged = admitted.assuming(&assumed);
        Ok(Proposal { admitted, judged, required, signed_by })
    }

    /// Keeps a proposal that the rules would let pass.
    pub fn keep(&self, proposal: Proposal, ttl_seconds: u32) -> Result<Draft, DraftFault> {
        let now = self.clock.now();
        let Proposal { admitted, required, signed_by, .. } = proposal;
        let (event, envelope) = (admitted.event().clone(), admitted.envelope().clone());
        let mut slips = self.swept(now)?;
        if let Some(there) = slips.get(&event.id).cloned() {
            let there = self.read(event.id, there)?;
            let is_same = there.envelope.payload == envelope.payload;
            return if is_same { Ok(there) } else { Err(DraftFault::Conflict(event.id)) };
        }
        let proposed_by = signed_by.first().copied().unwrap_or(event.actor);
        check_room(&slips, proposed_by)?;
        let seconds = if ttl_seconds == 0 { DEFAULT_DRAFT_SECONDS } else { ttl_seconds };
        let millis = u64::from(seconds.min(MAX_DRAFT_SECONDS)) * 1_000;
        let expires_at = TimeMs::of(now.get().saturating_add(millis));
        let slip = Slip { proposed_by, required, created_at: now, expires_at };
        self.cabinet.put(&name_of(event.id), &pack(&slip, &envelope))?;
        // A crash before this line: the next opening finds the file.
        slips.insert(event.id, slip.clone());
        Ok(Draft { event, envelope, signed_by, slip })
    }

    /// One draft, for a party that has to sign it.
    pub fn get(&self, id: EventId, asker: Asker) -> Result<Draft, DraftFault> {
        let slips = self.swept(self.clock.now())?;
        self.read(id, seen(&slips, id, asker)?)
    }

    /// Drafts after an id that a party has to sign, ascending; at most `limit`.
    pub fn list(
        &self,
        after: Option<EventId>,
        limit: usize,
        asker: Asker,
    ) -> Result<Vec<Draft>, DraftFault> {
        let slips = self.swept(self.clock.now())?;
        let is_next = |id: &EventId| after.is_none_or(|after| *id > after);
        let mine = slips.iter().filter(|(id, slip)| is_next(id) && may_see(slip, asker));
        mine.take(limit).map(|(id, slip)| self.read(*id, slip.clone())).collect()
    }

    /// Adds a signature. With the last one the envelope is complete; it stays in the drawer until
    /// [`Drafts::recorded`], so that a crash between costs nobody a signature.
    pub fn sign(
        &self,
        id: EventId,
        signature: EnvelopeSignature,
        asker: Asker,
    ) -> Result<Signing, DraftFault> {
        let slips = self.swept(self.clock.now())?;
        let mut draft = self.read(id, seen(&slips, id, asker)?)?;
        let key = signature.key;
        let state = self.store.key(key)?;
        let state = state.ok_or_else(|| rejected(Rejection::KeyUnknown { key }))?;
        let party = state.party;
        if !draft.slip.required.contains(&party) {
            return Err(rejected(Rejection::SignerUnexpected { key, party }));
        }
        // A party may sign again, with a newer key: the newer signature stands.
        if let Some(position) = draft.signed_by.iter().position(|signed| *signed == party) {
            draft.envelope.signatures.remove(position);
        }
        draft.envelope.signatures.push(signature);
        draft.envelope.signatures.sort_by_key(|signature| signature.key);
        check_signature(&draft.envelope, key, &state.public_key)?;

        draft.signed_by = self.parties_of(&draft.envelope)?;
        self.cabinet.put(&name_of(id), &pack(&draft.slip, &draft.envelope))?;
        if draft.signed_by.len() < draft.slip.required.len() {
            return Ok(Signing::Waits(Box::new(draft)));
        }
        Ok(Signing::Complete(draft.envelope.encode()))
    }

    /// The event of a draft is in the ledger: the draft has done its work.
    pub fn recorded(&self, id: EventId) -> Result<(), DraftFault> {
        self.end(&mut self.slips(), id)
    }

    /// Ends a draft without its event.
    pub fn discard(&self, id: EventId, asker: Asker) -> Result<(), DraftFault> {
        let mut slips = self.swept(self.clock.now())?;
        seen(&slips, id, asker)?;
        self.end(&mut slips, id)
    }

    /// How many wait.
    pub fn count(&self) -> usize {
        self.slips().len()
    }

    /// The slips, without those whose time is over.
    fn swept(&self, now: TimeMs) -> Result<MutexGuard<'_, Slips>, DraftFault> {
        let mut slips = self.slips();
        let over = slips.iter().filter(|(_, slip)| slip.expires_at <= now).map(|(id, _)| *id);
        for id in over.collect::<Vec<_>>() {
            self.end(&mut slips, id)?;
        }
        Ok(slips)
    }

    /// The file first: a crash between leaves nothing that comes back.
    fn end(&self, slips: &mut Slips, id: EventId) -> Result<(), DraftFault> {
        self.cabinet.remove(&name_of(id))?;
        slips.remove(&id);
        Ok(())
    }

    fn slips(&self) -> MutexGuard<'_, Slips> {
        // A panic of another thread leaves a map whose every value is whole.
        self.slips.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self, id: EventId, slip: Slip) -> Result<Draft, DraftFault> {
        let content = self.cabinet.get(&name_of(id))?.unwrap_or_default();
        let (_, envelope, event) = unpack(&content).ok_or(DraftFault::Unknown(id))?;
        let signed_by = self.parties_of(&envelope)?;
        Ok(Draft { event, envelope, signed_by, slip })
    }

    fn parties_of(&self, envelope: &Envelope) -> Result<Vec<PartyId>, DraftFault> {
        envelope.signatures.iter().map(|signature| self.party_of(signature.key)).collect()
    }

    fn party_of(&self, key: KeyId) -> Result<PartyId, DraftFault> {
        let state = self.store.key(key)?;
        Ok(state.ok_or_else(|| rejected(Rejection::KeyUnknown { key }))?.party)
    }

    /// A key that a party could sign with, as things stand: valid when it happened, not revoked.
    fn key_in_force(&self, party: PartyId, at: TimeMs) -> Result<KeyId, DraftFault> {
        let state = self.store.party(party)?;
        for key in state.map_or_else(Vec::new, |state| state.keys.clone()) {
            let usable = self.store.key(key)?.filter(|key| key.validity.contains(at));
            if usable.is_some_and(|key| key.revoked.is_none()) {
                return Ok(key);
            }
        }
        Err(rejected(Rejection::SignerMissing { party }))
    }
}

impl fmt::Debug for Drafts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Drafts").field("count", &self.count()).finish_non_exhaustive()
    }
}

fn rejected(rejection: Rejection) -> DraftFault {
    AppendError::Rejected(rejection).into()
}

fn may_see(slip: &Slip, asker: Asker) -> bool {
    match asker {
        Asker::Party(party) => slip.required.contains(&party),
        Asker::Operator => true,
    }
}

/// The slip of a draft that the asker may see; what is there for others is not there for it.
fn seen(slips: &Slips, id: EventId, asker: Asker) -> Result<Slip, DraftFault> {
    let slip = slips.get(&id).filter(|slip| may_see(slip, asker));
    slip.cloned().ok_or(DraftFault::Unknown(id))
}

fn check_room(slips: &Slips, proposer: PartyId) -> Result<(), DraftFault> {
    if slips.len() >= MAX_DRAFTS {
        return Err(DraftFault::Full { what: "the service", limit: MAX_DRAFTS });
    }
    let own = slips.values().filter(|slip| slip.proposed_by == proposer).count();
    if own >= MAX_DRAFTS_PER_PARTY {
        return Err(DraftFault::Full { what: "the party", limit: MAX_DRAFTS_PER_PARTY });
    }
    Ok(())
}

/// A draft's file is named by its event.
fn name_of(id: EventId) -> String {
    id.to_string()
}

const VERSION: u8 = 1;

/// Version 1, created u64, expires u64, proposer 16, count 1, parties 16 each, envelope.
fn pack(slip: &Slip, envelope: &Envelope) -> Vec<u8> {
    let mut out = vec![VERSION];
    out.extend(slip.created_at.get().to_be_bytes());
    out.extend(slip.expires_at.get().to_be_bytes());
    out.extend(slip.proposed_by.as_bytes());
    // An envelope has at most four signatures.
    out.push(u8::try_from(slip.required.len()).unwrap_or(u8::MAX));
    out.extend(slip.required.iter().flat_map(|party| *party.as_bytes()));
    out.extend(envelope.encode());
    out
}

fn unpack(content: &[u8]) -> Option<(Slip, Envelope, Event)> {
    let (version, rest) = content.split_first()?;
    let (created, rest) = rest.split_first_chunk::<8>()?;
    let (expires, rest) = rest.split_first_chunk::<8>()?;
    let (proposer, rest) = rest.split_first_chunk::<16>()?;
    let (count, mut rest) = rest.split_first()?;
    let mut required = Vec::new();
    for _ in 0..*count {
        let (party, after) = rest.split_first_chunk::<16>()?;
        required.push(PartyId::parse(party).ok()?);
        rest = after;
    }
    let envelope = Envelope::parse(&Bytes::copy_from_slice(rest)).ok()?;
    let event = decode_event(&envelope.payload).ok()?;
    let slip = Slip {
        proposed_by: PartyId::parse(proposer).ok()?,
        required,
        created_at: TimeMs::of(u64::from_be_bytes(*created)),
        expires_at: TimeMs::of(u64::from_be_bytes(*expires)),
    };
    (*version == VERSION).then_some((slip, envelope, event))
}
