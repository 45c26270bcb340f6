//! A party acts for another.

use std::sync::Arc;

use super::super::effects::View;
use super::super::event::{Body, SucceedParty};
use super::super::ids::PartyId;
use super::super::party::{PartyState, Succession};
use super::super::rejection::Rejection;
use super::super::units::TimeMs;
use super::Verdict;
use super::registry::check_room;
use super::work::Work;
use crate::limits::{MAX_SUCCESSION_CHAIN, MAX_SUCCESSIONS};

/// From the occurrence of the event on. A successor that itself was not succeeded closes no circle,
/// now or at any time since: no succession is dated before one that is recorded of the two parties.
pub(super) fn succeed<V: View>(work: &mut Work<'_, V>, it: SucceedParty) -> Verdict<(), V> {
    let mut party = Arc::unwrap_or_clone(work.party(it.party)?);
    let successor = work.party(it.successor)?;
    check_room("successions", party.successions.len(), MAX_SUCCESSIONS)?;
    let is_new = it.successor != it.party;
    if is_new {
        check_room("predecessors", successor.predecessors.len(), MAX_SUCCESSIONS)?;
    }
    if let Some(rule) = fault(work, &party, &successor) {
        let SucceedParty { party, successor } = it;
        return Err(Rejection::SuccessionNotPossible { party, successor, rule }.into());
    }

    let (since, event) = (work.at(), work.event.id);
    party.successions.push(Succession { successor: it.successor, since, event });
    if is_new {
        let mut successor = Arc::unwrap_or_clone(successor);
        successor.generation = successor.generation.max(party.generation.saturating_add(1));
        if !successor.predecessors.contains(&it.party) {
            successor.predecessors.push(it.party);
        }
        work.effects.parties.push(successor);
    }
    work.effects.parties.push(party);
    Ok(())
}

/// What is wrong with a succession; `None` when nothing is.
fn fault<V: View>(
    work: &Work<'_, V>,
    party: &PartyState,
    successor: &PartyState,
) -> Option<&'static str> {
    let since = work.at();
    let is_before_another =
        |state: &PartyState| state.successions.last().is_some_and(|last| since < last.since);
    if party.party.id == work.event.actor {
        return Some("a coordinator does not sign its own succession");
    }
    if is_before_another(party) || is_before_another(successor) {
        return Some("it is dated before another succession of one of the two");
    }
    if party.party.id == successor.party.id {
        let is_succeeded = party.succession_at(since).is_some();
        return (!is_succeeded).then_some("it acts for itself already");
    }
    if successor.succession_at(since).is_some() {
        return Some("the successor itself was succeeded");
    }
    if party.generation >= MAX_SUCCESSION_CHAIN {
        return Some("too many successions follow each other");
    }
    None
}

/// Who acts, and who is to receive something, acts for itself.
pub(super) fn check_not_succeeded<V: View>(work: &Work<'_, V>) -> Verdict<(), V> {
    let receiver = match &work.event.body {
        Body::OpeningInventory(inventory) => Some(inventory.party),
        Body::OfferTransfer(offer) => Some(offer.consignee),
        Body::DisposeResidue(dispose) => Some(dispose.facility),
        _ => None,
    };
    for id in [Some(work.event.actor), receiver].into_iter().flatten() {
        let Some(state) = work.read(|view| view.party(id))? else { continue };
        if let Some(succession) = state.succession_at(work.at()) {
            let (successor, since) = (succession.successor, succession.since);
            return Err(Rejection::PartySucceeded { party: id, successor, since }.into());
        }
    }
    Ok(())
}

/// Who acts for a party at a time. No chain is longer than its limit: a succession that would make
/// it so is refused.
pub(super) fn acting_at<V: View>(
    view: &V,
    party: PartyId,
    at: TimeMs,
) -> Result<PartyId, V::Fault> {
    let mut found = party;
    for _ in 0..MAX_SUCCESSION_CHAIN {
        let state = view.party(found)?;
        let succession = state.and_then(|state| state.succession_at(at).copied());
        let Some(succession) = succession else { break };
        found = succession.successor;
    }
    Ok(found)
}

impl<V: View> Work<'_, V> {
    /// Who acts for a party at the time of the event. A party that was not succeeded acts for
    /// itself; one that is not known is told in its turn.
    pub(super) fn acting_for(&self, party: PartyId) -> Verdict<PartyId, V> {
        if let Some(found) = self.acting.borrow().get(&party) {
            return Ok(*found);
        }
        let found = self.read(|view| acting_at(view, party, self.at()))?;
        self.acting.borrow_mut().insert(party, found);
        Ok(found)
    }

    /// Whether the actor acts for a party.
    pub(super) fn acts_for(&self, party: PartyId) -> Verdict<bool, V> {
        let actor = self.event.actor;
        Ok(party == actor || self.acting_for(party)? == actor)
    }
}
