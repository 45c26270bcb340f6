//! A lot is stopped, and let go.

use super::super::effects::View;
use super::super::event::{HoldLot, ReleaseLot};
use super::super::lot::{Delta, Hold};
use super::super::rejection::Rejection;
use super::Verdict;
use super::lots::actor_of;
use super::transfers::is_coordinator;
use super::work::Work;
use crate::limits::{MAX_HOLDS, MAX_OWNER_HOLDS};

/// Nothing of the lot moves or is used until every hold has ended. To be stopped is no use of a
/// lot, so R3 asks only that it existed; but nothing that uses it later is dated before the hold.
pub(super) fn hold<V: View>(work: &mut Work<'_, V>, hold: &HoldLot) -> Verdict<(), V> {
    let mut lot = work.lot(hold.lot)?;
    work.check_not_retracted(std::slice::from_ref(&lot))?;
    work.check_not_earlier(lot.id, lot.born_occurred_at)?;
    if lot.holds.len() >= MAX_HOLDS {
        return Err(Rejection::TooManyHolds { lot: lot.id, limit: MAX_HOLDS }.into());
    }
    let placed_by = work.event.actor;
    let own = lot.holds.iter().filter(|held| held.placed_by == placed_by).count();
    if placed_by == lot.owner && own >= MAX_OWNER_HOLDS {
        // Room for who stops it against the owner's will.
        return Err(Rejection::TooManyHolds { lot: lot.id, limit: MAX_OWNER_HOLDS }.into());
    }
    work.delta(Delta::Held(lot.id, work.event.id));
    lot.holds.push(Hold { event: work.event.id, reason: Some(hold.reason), placed_by });
    work.put_used(lot);
    Ok(())
}

/// Whoever placed a hold ends it, or a coordinator; a discrepancy ends by settlement.
pub(super) fn release<V: View>(work: &mut Work<'_, V>, release: &ReleaseLot) -> Verdict<(), V> {
    let mut lot = work.lot(release.lot)?;
    let hold = release.hold;
    let is_placed = lot.holds.iter().any(|placed| placed.event == hold);
    if let (true, Some(record)) = (is_placed, work.read(|view| view.event(hold))?) {
        // Else a role that ended before the hold would end it, under an earlier date.
        work.check_not_earlier(lot.id, record.occurred_at)?;
    }
    let Some(position) = lot.holds.iter().position(|held| held.event == hold) else {
        return Err(Rejection::HoldUnknown { lot: lot.id, hold }.into());
    };
    let found = lot.holds[position];
    let actor = actor_of(work)?;
    if !work.acts_for(found.placed_by)? && !is_coordinator(work, &actor) {
        return Err(Rejection::HoldNotYours { hold, placed_by: found.placed_by }.into());
    }
    if found.reason.is_none() {
        return Err(Rejection::HoldIsDiscrepancy { hold }.into());
    }
    work.delta(Delta::Released(lot.id, found.into()));
    lot.holds.remove(position);
    work.put_used(lot);
    Ok(())
}
