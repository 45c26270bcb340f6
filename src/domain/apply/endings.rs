//! A lot is counted, disposed of, or leaves the ledger.

use super::super::effects::View;
use super::super::event::{DisposeResidue, ExitLot, LotDraw, Stocktake};
use super::super::ids::EventId;
use super::super::lot::{Count, Delta, Ending, Lot, LotApproval, Tally};
use super::super::party::PartyState;
use super::super::rejection::Rejection;
use super::super::units::Grams;
use super::Verdict;
use super::lots::{check_carrier, check_manifest, check_usable};
use super::work::Work;
use crate::limits::WHOLE_E8;

/// The parameter of the table: what the stocktakes of a lot may find and miss, of its mass at
/// birth, without an approval.
const TOLERANCE: &str = "STOCKTAKE_TOLERANCE_E8";

/// What is counted is there. Less than booked is a loss, with its share of the metal; more is mass
/// without metal. Both add up over the life of a lot, so that many small counts are not one large
/// one.
pub(super) fn stocktake<V: View>(work: &mut Work<'_, V>, count: &Stocktake) -> Verdict<(), V> {
    let mut lot = work.lot(count.lot)?;
    check_usable(work, std::slice::from_ref(&lot))?;
    let (booked, counted) = (lot.remaining, count.counted);
    let missing = booked.checked_sub(counted).unwrap_or_default();
    let gained = counted.checked_sub(booked).unwrap_or_default();
    // Promised grams are not there to be counted; of a lot that is used up, or on its way, nothing
    // is.
    let draw = LotDraw { lot: lot.id, mass: missing.max(Grams::of(1)) };
    work.check_available(&[draw], std::slice::from_ref(&lot))?;
    let (tally, approval) = check_tolerance(work, &lot, counted, gained, missing)?;

    let before = lot.contents.clone();
    let delta = Count { booked, counted, contents: before, tally: lot.tally };
    work.delta(Delta::Counted(lot.id, delta.into()));
    if let Some(approval) = approval {
        work.use_approval(&mut lot, approval, counted);
    }
    let mut movement = work.movement();
    if !missing.is_zero() {
        movement.draws.push(LotDraw { lot: lot.id, mass: missing });
        movement.loss = missing;
    }
    if !gained.is_zero() {
        movement.gained = Some(LotDraw { lot: lot.id, mass: gained });
        lot.contents = lot.contents.thinned(booked, counted);
    }
    if !missing.is_zero() || !gained.is_zero() {
        work.effects.movement = Some(movement);
    }
    lot.remaining = counted;
    lot.tally = tally;
    work.put_used(lot);
    Ok(())
}

/// Small differences adjust; larger ones need an approval, and leave what is tolerated as it was.
fn check_tolerance<V: View>(
    work: &Work<'_, V>,
    lot: &Lot,
    counted: Grams,
    gained: Grams,
    missing: Grams,
) -> Verdict<(Tally, Option<EventId>), V> {
    let tolerance_e8 = work.tables()?.parameters.get(TOLERANCE).copied().unwrap_or_default();
    let whole = u128::from(lot.initial_mass.get()) * u128::from(tolerance_e8);
    let limit = Grams::of(u64::try_from(whole / u128::from(WHOLE_E8)).unwrap_or(u64::MAX));
    let all = |before: Grams, now: Grams| before.checked_add(now).unwrap_or(Grams::of(u64::MAX));
    let tally = Tally {
        at: Some(work.moment.index),
        gained: all(lot.tally.gained, gained),
        missing: all(lot.tally.missing, missing),
    };
    let is_over = (!gained.is_zero() && tally.gained > limit)
        || (!missing.is_zero() && tally.missing > limit);
    if !is_over {
        return Ok((tally, None));
    }
    let (actor, at) = (work.event.actor, work.at());
    let approves = |held: &&LotApproval| {
        held.mass == counted && held.used.is_zero() && held.validity.contains(at)
    };
    for held in lot.approvals.iter().filter(approves) {
        if work.acting_for(held.from)? == actor && work.acting_for(held.to)? == actor {
            return Ok((Tally { at: tally.at, ..lot.tally }, Some(held.event)));
        }
    }
    let booked = lot.remaining;
    Err(Rejection::StocktakeBeyondTolerance { lot: lot.id, counted, booked, limit }.into())
}

/// R7: hazardous waste goes to who is licensed for it, with a manifest, and across a province with
/// an approval. Whose hands it is in disposes only of its own property.
pub(super) fn dispose<V: View>(work: &mut Work<'_, V>, dispose: &DisposeResidue) -> Verdict<(), V> {
    let facility = work.party(dispose.facility)?;
    check_carrier(work, dispose.manifest.as_ref())?;
    work.check_materials_of([dispose.residue.lot])?;
    let mut lot = work.lot(dispose.residue.lot)?;
    check_own(work, &lot)?;
    let material = work.material(&lot.material)?;
    check_manifest(&lot.material, material, dispose.manifest.as_ref())?;
    work.check_permit(&facility, &material.waste_code)?;
    let mut approval = None;
    if !material.waste_code.is_empty() {
        approval = check_provinces(work, &lot, &facility, dispose.residue.mass)?;
    }
    work.check_available(&[dispose.residue], std::slice::from_ref(&lot))?;
    if let Some(approval) = approval {
        work.use_approval(&mut lot, approval, dispose.residue.mass);
    }
    end(work, lot, dispose.residue.mass, Ending::Disposed);
    Ok(())
}

/// The lot, or grams of it, leave the ledger for good.
pub(super) fn exit<V: View>(work: &mut Work<'_, V>, exit: &ExitLot) -> Verdict<(), V> {
    work.check_materials_of([exit.lot.lot])?;
    let lot = work.lot(exit.lot.lot)?;
    check_own(work, &lot)?;
    work.check_available(&[exit.lot], std::slice::from_ref(&lot))?;
    let waste_code = work.material(&lot.material)?.waste_code.clone();
    if !waste_code.is_empty() {
        return Err(Rejection::HazardousExit { lot: lot.id, waste_code }.into());
    }
    end(work, lot, exit.lot.mass, Ending::Exited);
    Ok(())
}

/// Who ends a lot has it in hand and owns it.
fn check_own<V: View>(work: &Work<'_, V>, lot: &Lot) -> Result<(), Rejection> {
    let lots = std::slice::from_ref(lot);
    let actor = work.event.actor;
    work.check_not_retracted(lots)?;
    work.check_held_by_actor(lots)?;
    if lot.owner != actor {
        return Err(Rejection::LotNotOwned { lot: lot.id, owner: lot.owner, actor });
    }
    if let Some(site) = work.event.site {
        work.check_at_site(lots, site)?;
    }
    work.check_not_on_hold(lots)?;
    work.check_not_before(lots)
}

/// A facility is where its credit code was issued: characters 3 and 4 are the province (GB 32100).
/// The approval that is used, when it is another one than the lot's.
fn check_provinces<V: View>(
    work: &Work<'_, V>,
    lot: &Lot,
    facility: &PartyState,
    asked: Grams,
) -> Verdict<Option<EventId>, V> {
    let from_province: String = work.site_of(lot.site)?.region_code.chars().take(2).collect();
    let to_province: String = facility.party.credit_code.chars().skip(2).take(2).collect();
    if from_province == to_province {
        return Ok(None);
    }
    match work.approval_for(lot, (work.event.actor, facility.party.id), asked)? {
        Ok(approval) => Ok(Some(approval)),
        Err(unused) => {
            let lot = lot.id;
            Err(Rejection::ApprovalMissing { lot, from_province, to_province, asked, unused }
                .into())
        }
    }
}

fn end<V: View>(work: &mut Work<'_, V>, mut lot: Lot, mass: Grams, ending: Ending) {
    if lot.remaining == mass {
        lot.ended = Some(ending);
    }
    let mut movement = work.movement();
    movement.loss = mass;
    work.draw_into(&mut movement, lot, mass);
    work.effects.movement = Some(movement);
}
