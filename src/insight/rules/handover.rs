//! A transfer that is taken over, wholly or in part.

use super::super::book::{Book, Offer, Seen};
use crate::domain::event::Weighing;
use crate::domain::{Body, EventId, Grams, LotId};

/// What an acceptance says, beside its offer.
pub(super) struct Handover<'a> {
    /// The event of the offer.
    pub(super) id: EventId,
    pub(super) offer: &'a Offer,
    /// What the scales say; `None` when only ownership moves.
    pub(super) received: Option<&'a Weighing>,
    /// What was sent, and not refused.
    pub(super) sent: Grams,
    /// The lot, as it is called from now on.
    pub(super) lot: LotId,
}

impl<'a> Handover<'a> {
    /// `None` when the entry is none.
    pub(super) fn of(seen: &Seen<'a>, book: &'a Book) -> Option<Self> {
        let event = seen.event;
        let (id, received, lot, refused) = match &event.body {
            Body::AcceptTransfer(it) => (it.offer, &it.received, it.received_lot, Grams::ZERO),
            Body::PartlyAcceptTransfer(it) => {
                (it.offer, &it.received, Some(it.received_lot), it.refused)
            }
            _ => return None,
        };
        let offer = book.offer(id)?;
        let sent = offer.mass.checked_sub(refused)?;
        let (received, lot) = (received.as_ref(), lot.unwrap_or(offer.lot));
        Some(Self { id, offer, received, sent, lot })
    }
}
