//! Who has to sign an event: known from the event and the state, before any rule is asked.

use std::collections::BTreeSet;

use super::super::effects::View;
use super::super::event::{Body, Event};
use super::super::ids::{EventId, PartyId};
use super::super::lot::Delta;
use super::succession::acting_at;

/// The parties that have to sign an event, each with one key, and no other: ascending.
///
/// It is the acting party; a settlement, and the declaration that one was an error, also take the
/// other party of the transfer, or who acts for it. An event that names a transfer which is not
/// there needs the actor alone, and is refused for that.
pub fn required_signers<V: View>(view: &V, event: &Event) -> Result<Vec<PartyId>, V::Fault> {
    let offer = match &event.body {
        Body::SettleDiscrepancy(settlement) => Some(settlement.offer),
        Body::DeclareError(error) => settled_by(view, error.target)?,
        _ => None,
    };
    let transfer = match offer {
        Some(offer) => view.transfer(offer)?,
        None => None,
    };
    let Some(transfer) = transfer else { return Ok(vec![event.actor]) };
    let mut required = BTreeSet::from([event.actor]);
    for party in [transfer.sender, transfer.consignee] {
        required.insert(acting_at(view, party, event.occurred_at)?);
    }
    Ok(required.into_iter().collect())
}

/// The transfer that an event settled.
fn settled_by<V: View>(view: &V, event: EventId) -> Result<Option<EventId>, V::Fault> {
    let record = view.event(event)?;
    let settled = |delta: &Delta| match delta {
        Delta::Settled(offer, _) => Some(*offer),
        _ => None,
    };
    Ok(record.and_then(|record| record.deltas.iter().find_map(settled)))
}
