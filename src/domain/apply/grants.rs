//! What somebody is allowed: a rule is waived, grams of a lot are approved, a lot is shown.

use super::super::effects::View;
use super::super::event::{Approval, VisibilityGrant, Waiver};
use super::super::ids::{EventId, PartyId};
use super::super::lot::{Delta, Lot, LotApproval, LotGrant};
use super::super::rejection::Rejection;
use super::super::units::{Grams, TimeMs, Validity};
use super::super::waiver::{WAIVABLE, WaiverState};
use super::Verdict;
use super::work::Work;
use crate::limits::{MAX_APPROVALS, MAX_GRANTS};

/// From the occurrence of its event on. A later one for the same reason and subject replaces it.
pub(super) fn waive<V: View>(work: &mut Work<'_, V>, waiver: &Waiver) -> Verdict<(), V> {
    let reason_code = waiver.reason_code.clone();
    if !WAIVABLE.contains(&reason_code.as_str()) {
        return Err(Rejection::WaiverNotPossible { reason_code }.into());
    }
    let validity = validity(work, waiver.valid_to)?;
    work.effects.waivers.push(WaiverState {
        reason_code,
        subject: waiver.subject.clone(),
        event: work.event.id,
        index: work.moment.index,
        validity,
    });
    Ok(())
}

/// Kept on the lot. To be approved is no use of a lot, so R3 asks only that it existed.
pub(super) fn approve<V: View>(work: &mut Work<'_, V>, approval: &Approval) -> Verdict<(), V> {
    work.party(approval.from)?;
    work.party(approval.to)?;
    let validity = validity(work, approval.valid_to)?;
    let mut lot = work.lot(approval.lot)?;
    work.check_not_retracted(std::slice::from_ref(&lot))?;
    work.check_not_earlier(lot.id, lot.born_occurred_at)?;
    let is_same = |held: &LotApproval| {
        (held.from, held.to, &held.number) == (approval.from, approval.to, &approval.number)
    };
    if let Some(held) = lot.approvals.iter_mut().find(|held| is_same(held)) {
        held.mass = approval.mass;
        held.validity = validity;
        work.put(lot);
        return Ok(());
    }
    let at = work.at();
    if !make_room(&mut lot.approvals, MAX_APPROVALS, at, |held| held.validity) {
        let (what, limit) = ("approvals", MAX_APPROVALS);
        return Err(Rejection::LotRecordsFull { lot: lot.id, what, limit }.into());
    }
    lot.approvals.push(LotApproval {
        event: work.event.id,
        from: approval.from,
        to: approval.to,
        mass: approval.mass,
        used: Grams::ZERO,
        number: approval.number.clone(),
        validity,
    });
    work.put(lot);
    Ok(())
}

/// Kept on the lot; for each reader one by its owner, and one by an authority: neither takes back
/// what the other shows. To be shown is no use of a lot, so R3 asks only that it existed.
pub(super) fn grant<V: View>(work: &mut Work<'_, V>, grant: VisibilityGrant) -> Verdict<(), V> {
    work.party(grant.reader)?;
    let validity = validity(work, grant.valid_to)?;
    let mut lot = work.lot(grant.lot)?;
    work.check_not_retracted(std::slice::from_ref(&lot))?;
    work.check_not_earlier(lot.id, lot.born_occurred_at)?;
    let owner = (lot.owner == work.event.actor).then_some(lot.owner);
    let now = lot.owner;
    lot.grants.retain(|held| {
        let is_void = held.owner.is_some_and(|by| by != now);
        let is_same = held.reader == grant.reader && held.owner.is_some() == owner.is_some();
        !is_void && !is_same
    });
    let at = work.at();
    if !make_room(&mut lot.grants, MAX_GRANTS, at, |held| held.validity) {
        let (what, limit) = ("grants", MAX_GRANTS);
        return Err(Rejection::LotRecordsFull { lot: lot.id, what, limit }.into());
    }
    lot.grants.push(LotGrant {
        event: work.event.id,
        reader: grant.reader,
        depth: grant.depth,
        owner,
        validity,
    });
    work.put(lot);
    Ok(())
}

/// In force from the occurrence of the event on: half-open, and not empty.
fn validity<V: View>(work: &Work<'_, V>, valid_to: Option<TimeMs>) -> Result<Validity, Rejection> {
    let from = work.at();
    match valid_to {
        Some(to) if to <= from => Err(Rejection::ValidityEmpty { valid_to: to, occurred_at: from }),
        to => Ok(Validity { from, to }),
    }
}

/// Whether a full list has room, or gets it: the oldest that has ended goes.
fn make_room<T>(
    list: &mut Vec<T>,
    limit: usize,
    at: TimeMs,
    validity: impl Fn(&T) -> Validity,
) -> bool {
    if list.len() >= limit {
        let ended = list.iter().position(|one| validity(one).to.is_some_and(|to| to <= at));
        ended.map(|position| list.remove(position));
    }
    list.len() < limit
}

impl<V: View> Work<'_, V> {
    /// Whether a waiver for a subject is in force at the time of the event.
    pub(super) fn waiver_in_force(
        &self,
        reason_code: &str,
        subject: &str,
    ) -> Verdict<Option<EventId>, V> {
        let found = self.read(|view| view.waiver(reason_code, subject))?;
        let in_force = found.filter(|waiver| waiver.validity.contains(self.at()));
        Ok(in_force.map(|waiver| waiver.event))
    }

    /// The first approval of a lot, from one party to another, in force, that has so many grams
    /// left; else what the largest such approval has left.
    pub(super) fn approval_for(
        &self,
        lot: &Lot,
        (from, to): (PartyId, PartyId),
        mass: Grams,
    ) -> Verdict<Result<EventId, Grams>, V> {
        let mut largest = Grams::ZERO;
        for held in lot.approvals.iter().filter(|held| held.validity.contains(self.at())) {
            let parties = (self.acting_for(held.from)?, self.acting_for(held.to)?);
            if parties != (from, to) {
                continue;
            }
            if held.unused() >= mass {
                return Ok(Ok(held.event));
            }
            largest = largest.max(held.unused());
        }
        Ok(Err(largest))
    }

    /// Uses grams of an approval of a lot.
    pub(super) fn use_approval(&mut self, lot: &mut Lot, approval: EventId, mass: Grams) {
        if let Some(held) = lot.approvals.iter_mut().find(|held| held.event == approval) {
            held.used = held.used.checked_add(mass).unwrap_or(held.used);
            self.delta(Delta::ApprovalUsed(lot.id, approval, mass));
        }
    }
}

/// Grams of an approval that were not needed after all. One that made room for others is gone, and
/// they with it.
pub(super) fn give_back(lot: &mut Lot, approval: Option<EventId>, mass: Grams) {
    let Some(approval) = approval else { return };
    if let Some(held) = lot.approvals.iter_mut().find(|held| held.event == approval) {
        held.used = held.used.checked_sub(mass).unwrap_or_default();
    }
}

/// Takes grams again that were given back; false when they are not there any more.
pub(super) fn take_again(lot: &mut Lot, approval: Option<EventId>, mass: Grams) -> bool {
    let Some(approval) = approval else { return true };
    let held = lot.approvals.iter_mut().find(|held| held.event == approval);
    let Some(held) = held.filter(|held| held.unused() >= mass) else { return false };
    held.used = held.used.checked_add(mass).unwrap_or(held.used);
    true
}
