//! Both parties agree on what arrived. The lot then weighs the agreed grams, its contents follow,
//! and the movement of the acceptance is replaced: provenance and state agree to the gram, and a
//! correction puts both back.

use super::super::effects::View;
use super::super::event::{LotDraw, SettleDiscrepancy};
use super::super::ids::EntryIndex;
use super::super::lot::{Arrived, Delta, EventRecord, Settlement, Transfer, TransferStatus};
use super::super::movement::{Birth, Movement};
use super::super::rejection::Rejection;
use super::super::units::Grams;
use super::super::vocabulary::EventKind;
use super::Verdict;
use super::work::Work;

/// Ends a discrepancy with the grams that both parties say arrived: from nothing up to what was
/// sent.
pub(super) fn settle<V: View>(
    work: &mut Work<'_, V>,
    settle: &SettleDiscrepancy,
) -> Verdict<(), V> {
    let offer = settle.offer;
    let mut transfer = work.transfer(offer)?;
    let actor = work.event.actor;
    if actor != transfer.sender && actor != transfer.consignee {
        let consignee = transfer.consignee;
        return Err(Rejection::NotTheConsignee { offer, consignee, actor }.into());
    }
    let last = match transfer.arrived {
        Some(arrived) => work.read(|view| view.event(arrived.by))?.map(|record| record.occurred_at),
        None => None,
    };
    work.check_not_earlier(transfer.lot, last.unwrap_or(transfer.occurred_at))?;
    let (TransferStatus::Discrepant, Some(mut arrived)) = (transfer.status, transfer.arrived)
    else {
        return Err(state_mismatch(&transfer, "DISCREPANT").into());
    };
    let (offered, agreed) = (transfer.sent(), settle.agreed);
    if agreed > offered {
        let rule = "at most as many grams are agreed";
        let refused = Rejection::TransferMassExceeded { offer, offered, grams: agreed, rule };
        return Err(refused.into());
    }

    let mut lot = work.lot(arrived.lot)?;
    let Some(position) = lot.holds.iter().position(|hold| hold.event == arrived.by) else {
        return Err(Rejection::HoldUnknown { lot: lot.id, hold: arrived.by }.into());
    };
    // A held lot is not used, so what is there is what was booked.
    let hold = lot.holds.remove(position);
    let booked = lot.remaining;
    let settlement = Settlement { lot: lot.id, hold, booked, agreed, initial: lot.initial_mass };
    work.delta(Delta::Settled(offer, settlement.into()));
    lot.remaining = agreed;
    if arrived.lot != transfer.lot {
        lot.initial_mass = agreed;
    }
    arrived.booked = agreed;
    transfer.arrived = Some(arrived);
    transfer.status = TransferStatus::Settled;
    amend(work, &transfer, arrived)?;
    work.put_used(lot);
    work.put_transfer(transfer);
    Ok(())
}

/// The transfer is not in the state that the event needs.
pub(super) const fn state_mismatch(transfer: &Transfer, needed: &'static str) -> Rejection {
    let (offer, status) = (transfer.offer, transfer.status.name());
    Rejection::TransferStateMismatch { offer, status, needed }
}

/// What an acceptance did to metal: the grams that were sent leave the lot they were offered from,
/// and what was booked is there. A whole lot only loses what did not arrive.
pub(super) fn arrival_of(
    transfer: &Transfer,
    arrived: Arrived,
    index: EntryIndex,
    kind: EventKind,
) -> Movement {
    let (sent, booked) = (transfer.sent(), arrived.booked);
    let loss = sent.checked_sub(booked).unwrap_or_default();
    let is_part = arrived.lot != transfer.lot;
    let drawn = if is_part { sent } else { loss };
    let draw = LotDraw { lot: transfer.lot, mass: drawn };
    let birth = Birth { lot: arrived.lot, mass: booked, contents: None };
    Movement {
        index,
        event: arrived.by,
        kind,
        draws: if drawn.is_zero() { Vec::new() } else { vec![draw] },
        births: if is_part { vec![birth] } else { Vec::new() },
        output_count: usize::from(is_part),
        uptake: Grams::ZERO,
        loss,
        assay: None,
        campaign: None,
        stock: None,
        gained: None,
    }
}

/// The movement of an acceptance, as it counts from now on.
fn amend<V: View>(work: &mut Work<'_, V>, transfer: &Transfer, arrived: Arrived) -> Verdict<(), V> {
    let record = work.read(|view| view.event(arrived.by))?;
    work.effects.amended_movement =
        record.map(|record| arrival_of(transfer, arrived, record.index, record.kind));
    Ok(())
}

/// The discrepancy is there again, if the lot is as the settlement left it.
pub(super) fn undo<V: View>(
    work: &mut Work<'_, V>,
    record: &EventRecord,
    offer: super::super::ids::EventId,
    before: Settlement,
) -> Verdict<bool, V> {
    let mut lot = work.lot(before.lot)?;
    let mut transfer = work.transfer(offer)?;
    let is_as_left = lot.remaining == before.agreed && lot.reserved.is_zero();
    let is_gone = lot.moved_at > record.index || lot.retracted_by.is_some();
    let (true, false, Some(mut arrived)) = (is_as_left, is_gone, transfer.arrived) else {
        return Ok(false);
    };
    lot.remaining = before.booked;
    lot.initial_mass = before.initial;
    lot.holds.push(before.hold);
    arrived.booked = before.booked;
    transfer.arrived = Some(arrived);
    transfer.status = TransferStatus::Discrepant;
    amend(work, &transfer, arrived)?;
    work.put(lot);
    work.put_transfer(transfer);
    Ok(true)
}
