//! An event is declared an error: what it did is undone at the head, and nothing is ever mutated.
//!
//! Each delta of the target is reversed, last first. It is refused where what the target made is
//! not there any more: whoever wants to correct starts with the newest event in the way, and the
//! refusal lists them.

use super::super::effects::View;
use super::super::event::DeclareError;
use super::super::ids::{EntryIndex, EventId, LotId};
use super::super::lot::{Contents, Count, Delta, EventRecord, Lot, Standing, TransferStatus};
use super::super::rejection::Rejection;
use super::super::units::Grams;
use super::super::vocabulary::EventKind;
use super::Verdict;
use super::campaigns;
use super::credits::{undo_claimed, undo_earned};
use super::grants::{give_back, take_again};
use super::settlements;
use super::work::Work;
use crate::limits::{MAX_BLOCKING_LISTED, MAX_BLOCKING_SCANNED, MAX_HOLDS};

/// Undoes the target; its correctives follow in the batch.
pub(super) fn declare_error<V: View>(
    work: &mut Work<'_, V>,
    error: &DeclareError,
) -> Verdict<(), V> {
    let target = error.target;
    let Some(mut record) = work.read(|view| view.event(target))? else {
        return Err(Rejection::TargetUnknown { target }.into());
    };
    check_not_before_target(work, &record)?;
    if !work.acts_for(record.actor)? {
        return Err(Rejection::TargetNotYours { target, actor: record.actor }.into());
    }
    if !is_correctable(record.kind) {
        return Err(Rejection::TargetNotCorrectable { target, kind: record.kind }.into());
    }
    if let Some(by) = record.corrected_by {
        return Err(Rejection::TargetCorrected { target, by }.into());
    }
    for delta in record.deltas.iter().rev() {
        if let Some(campaign) = campaigns::campaign_of(delta) {
            campaigns::undo(work, &record, campaign, delta)?;
        } else if let Err(lot) = undo(work, &record, delta)? {
            return Err(blocked(work, &record, lot)?.into());
        }
    }
    for delta in record.deltas.iter().rev() {
        undo_account(work, &record, delta)?;
    }

    work.effects.retracted_movement = Some(record.index);
    let mut ledger = work.ledger.clone();
    ledger.expected_correctives.clone_from(&error.correctives);
    ledger.corrected_occurred_at = record.occurred_at;
    work.effects.ledger = Some(ledger);
    record.corrected_by = Some(work.event.id);
    work.effects.events.push(record);
    Ok(())
}

/// Else a key that has expired would undo what happened since, under an earlier date.
fn check_not_before_target<V: View>(work: &Work<'_, V>, record: &EventRecord) -> Verdict<(), V> {
    let Some(first) = record.deltas.first() else { return Ok(()) };
    if let Some(campaign) = campaigns::campaign_of(first) {
        return Ok(campaigns::check_not_before_target(work, campaign, record)?);
    }
    let (last, occurred_at) = (record.occurred_at, work.at());
    match lot_of(work, first)? {
        Some(lot) => work.check_not_earlier(lot, last)?,
        None if occurred_at < last => {
            let target = record.id;
            return Err(Rejection::EventBeforeTarget { target, last, occurred_at }.into());
        }
        None => {}
    }
    Ok(())
}

/// Accounts come after lots: who is blocked by a lot is told so first.
fn undo_account<V: View>(
    work: &mut Work<'_, V>,
    record: &EventRecord,
    delta: &Delta,
) -> Verdict<(), V> {
    match delta {
        Delta::Earned(account, mass) => undo_earned(work, record, *account, *mass),
        Delta::Claimed(account, mass) => undo_claimed(work, *account, *mass),
        _ => Ok(()),
    }
}

/// The lot that a delta is about, when it is about one.
fn lot_of<V: View>(work: &Work<'_, V>, delta: &Delta) -> Verdict<Option<LotId>, V> {
    Ok(Some(match delta {
        Delta::Earned(..) | Delta::Claimed(..) => return Ok(None),
        Delta::Born(lot, _)
        | Delta::Drawn(lot, _)
        | Delta::Assayed(lot, ..)
        | Delta::Held(lot, _)
        | Delta::Released(lot, _)
        | Delta::Counted(lot, _)
        | Delta::ApprovalUsed(lot, ..) => *lot,
        Delta::AcceptedWhole(_, before) => before.lot,
        Delta::Settled(_, before) => before.lot,
        Delta::Offered(offer) | Delta::AcceptedPart(offer) | Delta::Closed(offer) => {
            work.transfer(*offer)?.lot
        }
        // Not reached: a campaign has its own checks.
        Delta::CampaignOpened(id)
        | Delta::CampaignCharged(id, ..)
        | Delta::CampaignDrawn(id, ..)
        | Delta::CampaignClosed(id) => LotId::pool(*id),
    }))
}

const fn is_correctable(kind: EventKind) -> bool {
    matches!(
        kind,
        EventKind::OpeningInventory
            | EventKind::CollectLot
            | EventKind::AssayLot
            | EventKind::SplitLot
            | EventKind::MergeLots
            | EventKind::TransformLots
            | EventKind::OpenCampaign
            | EventKind::ChargeCampaign
            | EventKind::DrawCampaign
            | EventKind::CloseCampaign
            | EventKind::OfferTransfer
            | EventKind::AcceptTransfer
            | EventKind::RejectTransfer
            | EventKind::CancelTransfer
            | EventKind::PartlyAcceptTransfer
            | EventKind::ReturnTransfer
            | EventKind::SettleDiscrepancy
            | EventKind::HoldLot
            | EventKind::ReleaseLot
            | EventKind::DisposeResidue
            | EventKind::Stocktake
            | EventKind::ExitLot
            | EventKind::ClaimCredit
    )
}

/// Reverses one delta; `Err(lot)` when that lot was used since.
fn undo<V: View>(
    work: &mut Work<'_, V>,
    record: &EventRecord,
    delta: &Delta,
) -> Verdict<Result<(), LotId>, V> {
    match delta {
        Delta::Born(lot, mass) => undo_birth(work, record, *lot, *mass),
        Delta::Drawn(lot, mass) => undo_draw(work, record, *lot, *mass),
        Delta::Assayed(id, before, assayed_by) => {
            let mut lot = work.lot(*id)?;
            if lot.assayed_by != Some(record.id) || is_counted_since(&lot, record) {
                return Ok(Err(*id));
            }
            lot.contents = Contents::clone(before);
            lot.assayed_by = *assayed_by;
            work.put(lot);
            Ok(Ok(()))
        }
        Delta::Offered(offer) => undo_offer(work, *offer),
        Delta::AcceptedPart(offer) | Delta::Closed(offer) => reopen(work, record, *offer),
        Delta::ApprovalUsed(id, approval, mass) => {
            let mut lot = work.lot(*id)?;
            give_back(&mut lot, Some(*approval), *mass);
            work.put(lot);
            Ok(Ok(()))
        }
        Delta::AcceptedWhole(offer, standing) => undo_move(work, record, *offer, **standing),
        Delta::Held(id, hold) => {
            let mut lot = work.lot(*id)?;
            let Some(position) = lot.holds.iter().position(|held| held.event == *hold) else {
                return Ok(Err(*id));
            };
            lot.holds.remove(position);
            work.put(lot);
            Ok(Ok(()))
        }
        // A campaign is undone by its own rules, an account by `undo_account`.
        Delta::Earned(..)
        | Delta::Claimed(..)
        | Delta::CampaignOpened(_)
        | Delta::CampaignCharged(..)
        | Delta::CampaignDrawn(..)
        | Delta::CampaignClosed(_) => Ok(Ok(())),
        Delta::Released(id, hold) => {
            let mut lot = work.lot(*id)?;
            // Whoever let a lot go does not stop it again in other hands.
            let is_gone = lot.moved_at > record.index || lot.retracted_by.is_some();
            if is_gone || lot.holds.len() >= MAX_HOLDS || is_used_since(work, record, &lot)? {
                return Ok(Err(*id));
            }
            lot.holds.push(**hold);
            work.put(lot);
            Ok(Ok(()))
        }
        Delta::Settled(offer, before) => {
            let lot = work.lot(before.lot)?;
            let is_used = is_counted_since(&lot, record) || is_used_since(work, record, &lot)?;
            if is_used || lot.holds.len() >= MAX_HOLDS {
                return Ok(Err(lot.id));
            }
            let is_undone = settlements::undo(work, record, *offer, **before)?;
            Ok(if is_undone { Ok(()) } else { Err(lot.id) })
        }
        Delta::Counted(lot, count) => undo_count(work, record, *lot, count),
    }
}

/// A lot that was born goes away, if it is as it was born: whole, promised to nobody, unmoved, not
/// held.
fn undo_birth<V: View>(
    work: &mut Work<'_, V>,
    record: &EventRecord,
    id: LotId,
    mass: Grams,
) -> Verdict<Result<(), LotId>, V> {
    let mut lot = work.lot(id)?;
    let is_whole = lot.remaining == mass && lot.reserved.is_zero();
    let is_gone = lot.moved_at > record.index || is_counted_since(&lot, record);
    if !is_whole || is_gone || is_held_by_others(&lot, record.id) {
        return Ok(Err(id));
    }
    lot.remaining = Grams::ZERO;
    lot.holds.clear();
    lot.retracted_by = Some(work.event.id);
    work.put(lot);
    Ok(Ok(()))
}

/// Grams go back into the lot that they were taken from, if it is still where they were taken from.
fn undo_draw<V: View>(
    work: &mut Work<'_, V>,
    record: &EventRecord,
    id: LotId,
    mass: Grams,
) -> Verdict<Result<(), LotId>, V> {
    let mut lot = work.lot(id)?;
    let is_promised = !lot.reserved.is_zero() && lot.available().is_zero();
    let is_moving = is_promised && whole_offer(work, &lot)? != WholeOffer::None;
    let is_gone = lot.moved_at > record.index || is_counted_since(&lot, record);
    if is_moving || is_gone || is_held_by_others(&lot, record.id) {
        return Ok(Err(id));
    }
    let Some(remaining) = lot.remaining.checked_add(mass) else { return Ok(Err(id)) };
    lot.remaining = remaining;
    lot.ended = None;
    work.put(lot);
    Ok(Ok(()))
}

/// Whether a lot was counted since the target, and the count stands: it counted what the target
/// had done as well.
fn is_counted_since(lot: &Lot, record: &EventRecord) -> bool {
    lot.tally.at.is_some_and(|at| at > record.index)
}

/// A count is taken back, if the lot is as the count left it.
fn undo_count<V: View>(
    work: &mut Work<'_, V>,
    record: &EventRecord,
    id: LotId,
    count: &Count,
) -> Verdict<Result<(), LotId>, V> {
    let mut lot = work.lot(id)?;
    let is_last = lot.tally.at == Some(record.index) && lot.moved_at <= record.index;
    let is_as_left = lot.remaining == count.counted && lot.reserved.is_zero();
    let is_used = !is_last
        || !is_as_left
        || lot.retracted_by.is_some()
        || !lot.holds.is_empty()
        || is_used_since(work, record, &lot)?;
    let is_gain = count.counted > count.booked;
    if is_used || (is_gain && lot.contents != count.contents.thinned(count.booked, count.counted)) {
        return Ok(Err(id));
    }
    if is_gain {
        lot.contents = count.contents.clone();
    }
    lot.remaining = count.booked;
    lot.tally = count.tally;
    work.put(lot);
    Ok(Ok(()))
}

/// Whether grams of a lot were used, or are promised, since the target: what was done while the lot
/// was free would have been done to a held lot.
fn is_used_since<V: View>(work: &Work<'_, V>, record: &EventRecord, lot: &Lot) -> Verdict<bool, V> {
    let count = lot.life.count;
    for back in 1..=count.min(MAX_BLOCKING_SCANNED) {
        let Some(event) = work.read(|view| view.life(lot.id, count - back))? else { break };
        let Some(later) = work.read(|view| view.event(event))? else { break };
        if later.index <= record.index {
            return Ok(false);
        }
        let is_open = |offer: EventId| -> Verdict<bool, V> {
            Ok(work.transfer(offer)?.status == TransferStatus::Open)
        };
        for delta in later.deltas.iter().filter(|_| later.corrected_by.is_none()) {
            let is_use = match delta {
                Delta::Drawn(used, _) | Delta::Counted(used, _) => *used == lot.id,
                Delta::Offered(offer) => is_open(*offer)?,
                _ => false,
            };
            if is_use {
                return Ok(true);
            }
        }
    }
    Ok(count > MAX_BLOCKING_SCANNED)
}

/// Whether a lot is on its way as a whole. Then no grams come back to it: it arrives as it was
/// offered.
#[derive(Clone, Copy, PartialEq, Eq)]
enum WholeOffer {
    None,
    Open(EventId),
    /// Its life is too long to be looked through.
    Unknown,
}

/// Looks for an open offer of the whole lot. It may be older than the target: an offer that was
/// refused is open again when the refusal is declared an error.
fn whole_offer<V: View>(work: &Work<'_, V>, lot: &Lot) -> Verdict<WholeOffer, V> {
    let count = lot.life.count;
    for back in 1..=count.min(MAX_BLOCKING_SCANNED) {
        let Some(event) = work.read(|view| view.life(lot.id, count - back))? else { break };
        let Some(transfer) = work.read(|view| view.transfer(event))? else { continue };
        let is_open = transfer.status == TransferStatus::Open;
        if transfer.lot == lot.id && transfer.is_whole_lot && is_open {
            return Ok(WholeOffer::Open(event));
        }
    }
    Ok(if count > MAX_BLOCKING_SCANNED { WholeOffer::Unknown } else { WholeOffer::None })
}

fn is_held_by_others(lot: &Lot, event: EventId) -> bool {
    lot.holds.iter().any(|hold| hold.event != event)
}

/// An offer that nobody answered is taken back.
fn undo_offer<V: View>(work: &mut Work<'_, V>, offer: EventId) -> Verdict<Result<(), LotId>, V> {
    let mut transfer = work.transfer(offer)?;
    if transfer.status != TransferStatus::Open {
        return Ok(Err(transfer.lot));
    }
    let mut lot = work.lot(transfer.lot)?;
    lot.reserved = lot.reserved.checked_sub(transfer.mass).unwrap_or_default();
    transfer.status = TransferStatus::Retracted;
    work.put(lot);
    work.put_transfer(transfer);
    Ok(Ok(()))
}

/// A transfer is open again: its grams are reserved, if they are available and where they were.
fn reopen<V: View>(
    work: &mut Work<'_, V>,
    record: &EventRecord,
    offer: EventId,
) -> Verdict<Result<(), LotId>, V> {
    let mut transfer = work.transfer(offer)?;
    if let (TransferStatus::Settled, Some(arrived)) = (transfer.status, transfer.arrived) {
        return Ok(Err(arrived.lot));
    }
    let mut lot = work.lot(transfer.lot)?;
    // A whole lot that goes on its way again has to be whole.
    let fits = if transfer.is_whole_lot {
        lot.remaining == transfer.mass && lot.reserved.is_zero()
    } else {
        lot.available() >= transfer.mass
    };
    if !fits || lot.moved_at > record.index || lot.retracted_by.is_some() {
        return Ok(Err(lot.id));
    }
    // What was taken over keeps its approval; what was refused gave it back.
    let gave_back = match transfer.status {
        TransferStatus::Rejected | TransferStatus::Cancelled => transfer.mass,
        _ => transfer.refused,
    };
    if !gave_back.is_zero() && !take_again(&mut lot, transfer.approval, gave_back) {
        return Ok(Err(lot.id));
    }
    lot.reserved = lot.reserved.checked_add(transfer.mass).unwrap_or(lot.remaining);
    transfer.status = TransferStatus::Open;
    transfer.refused = Grams::ZERO;
    transfer.arrived = None;
    work.put(lot);
    work.put_transfer(transfer);
    Ok(Ok(()))
}

/// A lot that changed hands goes back, with what was lost on the way, and is on its way again.
fn undo_move<V: View>(
    work: &mut Work<'_, V>,
    record: &EventRecord,
    offer: EventId,
    before: Standing,
) -> Verdict<Result<(), LotId>, V> {
    let mut transfer = work.transfer(offer)?;
    let mut lot = work.lot(before.lot)?;
    let arrived = transfer.mass.checked_sub(before.loss).unwrap_or_default();
    let is_as_it_came = lot.remaining == arrived && lot.reserved.is_zero();
    let has_moved_on = lot.moved_at != record.index
        || transfer.status == TransferStatus::Settled
        || is_counted_since(&lot, record);
    if !is_as_it_came || has_moved_on || is_held_by_others(&lot, record.id) {
        return Ok(Err(lot.id));
    }
    lot.holds.clear();
    lot.remaining = transfer.mass;
    lot.reserved = transfer.mass;
    lot.owner = before.owner;
    lot.possessor = before.possessor;
    lot.site = before.site;
    lot.invoice_class = before.invoice_class;
    lot.moved_at = before.moved_at;
    transfer.status = TransferStatus::Open;
    transfer.arrived = None;
    work.put(lot);
    work.put_transfer(transfer);
    Ok(Ok(()))
}

/// The refusal, with the events of the lot's life since the target that stand, newest first.
fn blocked<V: View>(work: &Work<'_, V>, record: &EventRecord, id: LotId) -> Verdict<Rejection, V> {
    let lot = work.read(|view| view.lot(id))?;
    let count = lot.as_ref().map_or(0, |lot| lot.life.count);
    let (mut blocking, mut more) = (Vec::new(), 0_usize);
    for back in 1..=count.min(MAX_BLOCKING_SCANNED) {
        let Some(event) = work.read(|view| view.life(id, count - back))? else { break };
        if event == record.id {
            break;
        }
        let Some(later) = work.read(|view| view.event(event))? else { break };
        if later.index <= EntryIndex(record.index.0) {
            break;
        }
        if later.corrected_by.is_some() || !stands_in_the_way(work, record, &later, id)? {
            continue;
        }
        if blocking.len() < MAX_BLOCKING_LISTED {
            blocking.push(event);
        } else {
            more += 1;
        }
    }
    if let (true, Some(lot)) = (blocking.is_empty(), &lot) {
        // Nothing later: what stands in the way is older, and a correction brought it back.
        match whole_offer(work, lot)? {
            WholeOffer::Open(offer) => blocking.push(offer),
            WholeOffer::None | WholeOffer::Unknown => {
                let others = lot.holds.iter().filter(|hold| hold.event != record.id);
                blocking.extend(others.map(|hold| hold.event));
            }
        }
    }
    Ok(Rejection::CorrectionBlocked { target: record.id, lot: id, blocking, more })
}

/// Whether an event did something to the lot that a correction of `record` would have to undo
/// first.
fn stands_in_the_way<V: View>(
    work: &Work<'_, V>,
    record: &EventRecord,
    later: &EventRecord,
    id: LotId,
) -> Verdict<bool, V> {
    let is_assay = matches!(record.kind, EventKind::AssayLot | EventKind::Stocktake);
    let has_closed = record.kind == EventKind::PartlyAcceptTransfer
        || record.deltas.iter().any(|delta| matches!(delta, Delta::Closed(_)));
    for delta in &later.deltas {
        let stands = match delta {
            Delta::Drawn(lot, _) | Delta::Counted(lot, _) => *lot == id,
            Delta::AcceptedWhole(_, before) => before.lot == id,
            Delta::AcceptedPart(offer) | Delta::Closed(offer) => {
                record.deltas.contains(&Delta::Offered(*offer))
            }
            Delta::Offered(offer) => {
                let transfer = work.transfer(*offer)?;
                transfer.lot == id && transfer.status == TransferStatus::Open
            }
            Delta::Held(lot, hold) => {
                *lot == id && work.lot(id)?.holds.iter().any(|held| held.event == *hold)
            }
            Delta::Released(lot, hold) => {
                *lot == id && record.deltas.contains(&Delta::Held(id, hold.event))
            }
            // Whoever used an approval meanwhile is in the way of a closed transfer's return.
            Delta::ApprovalUsed(lot, ..) => *lot == id && has_closed,
            Delta::Assayed(lot, ..) => is_assay && *lot == id,
            Delta::Born(..)
            | Delta::Earned(..)
            | Delta::Claimed(..)
            | Delta::CampaignOpened(_)
            | Delta::CampaignCharged(..)
            | Delta::CampaignDrawn(..)
            | Delta::CampaignClosed(_) => false,
            Delta::Settled(_, before) => before.lot == id,
        };
        if stands {
            return Ok(true);
        }
    }
    Ok(false)
}
