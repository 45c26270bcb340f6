//! Grams are offered, taken over, refused, withdrawn, given back. Custody and ownership move
//! separately (R10).

use super::super::effects::View;
use super::super::event::{
    AcceptTransfer, CloseTransfer, LotDraw, Manifest, OfferTransfer, PartlyAcceptTransfer,
    ReturnTransfer, Weighing,
};
use super::super::flag::Flag;
use super::super::ids::{EventId, LotId};
use super::super::lot::{Arrived, Delta, Hold, Lot, Standing, Transfer, TransferStatus};
use super::super::party::PartyState;
use super::super::rejection::Rejection;
use super::super::units::Grams;
use super::super::vocabulary::{DocumentKind, InvoiceClass};
use super::Verdict;
use super::grants::give_back as give_approval_back;
use super::lots::{actor_of, check_carrier, check_manifest, check_weighing, part_of, right_of};
use super::settlements::{arrival_of, state_mismatch};
use super::work::Work;
use crate::limits::{MANIFEST_DIGITS, WHOLE_E8};

/// The sender reserves grams for the consignee.
pub(super) fn offer<V: View>(work: &mut Work<'_, V>, offer: &OfferTransfer) -> Verdict<(), V> {
    reserve(work, offer, None)
}

/// The consignee offers grams of what it received back to the sender: an offer like any other, the
/// other way round, that the sender accepts or not. What had moved goes back, custody, ownership or
/// both, to the site that it came from.
pub(super) fn give_back<V: View>(work: &mut Work<'_, V>, back: &ReturnTransfer) -> Verdict<(), V> {
    work.check_materials_of([back.lot])?;
    let transfer = work.transfer(back.offer)?;
    check_consignee(work, &transfer)?;
    if let Some(arrived) = transfer.arrived {
        check_as_received(work, back, arrived)?;
    }
    let offer = OfferTransfer {
        lot: back.lot,
        mass: back.mass,
        consignee: transfer.sender,
        consignee_site: transfer.scope.moves_custody().then_some(transfer.from_site),
        scope: transfer.scope,
        carrier: None,
        vehicle: String::new(),
        invoice_class: transfer.bought_class,
        manifest: manifest_of(work),
    };
    reserve(work, &offer, Some(&transfer))
}

/// Only the lot that came by a transfer goes back by it, and only while it has not changed hands
/// since: what was sold and bought again came by another one.
fn check_as_received<V: View>(
    work: &Work<'_, V>,
    back: &ReturnTransfer,
    arrived: Arrived,
) -> Verdict<(), V> {
    let offer = back.offer;
    if arrived.lot != back.lot {
        let rule = "what is given back is of the lot that was received by it";
        return Err(Rejection::ReceivedLotMismatch { offer, rule }.into());
    }
    let arrival = work.read(|view| view.event(arrived.by))?.map(|record| record.index);
    let moved = work.read(|view| view.lot(arrived.lot))?.map(|lot| lot.moved_at);
    if arrival != moved {
        let rule = "the lot has changed hands since it was received by it";
        return Err(Rejection::ReceivedLotMismatch { offer, rule }.into());
    }
    Ok(())
}

/// A return has its manifest among its documents.
fn manifest_of<V: View>(work: &Work<'_, V>) -> Option<Manifest> {
    let is_manifest = |number: &str| {
        number.len() == MANIFEST_DIGITS && number.bytes().all(|byte| byte.is_ascii_digit())
    };
    let mut documents = work.event.documents.iter();
    let found = documents.find(|document| {
        document.kind == DocumentKind::HazardousWasteManifest && is_manifest(&document.number)
    });
    found.map(|document| Manifest {
        number: document.number.clone(),
        carrier: None,
        vehicle: String::new(),
    })
}

/// Grams of a lot are promised.
fn reserve<V: View>(
    work: &mut Work<'_, V>,
    offer: &OfferTransfer,
    returned: Option<&Transfer>,
) -> Verdict<(), V> {
    let actor = work.event.actor;
    let consignee = work.party(offer.consignee)?;
    if let Some(carrier) = offer.carrier {
        work.party(carrier)?;
    }
    check_carrier(work, offer.manifest.as_ref())?;
    work.check_materials_of([offer.lot])?;
    if offer.consignee == actor {
        return Err(Rejection::TransferToSelf { party: actor }.into());
    }
    let mut lot = work.lot(offer.lot)?;
    check_movable(work, offer, &lot)?;
    if let Some(transfer) = returned.filter(|transfer| !is_settled(transfer)) {
        return Err(state_mismatch(transfer, "ACCEPTED, PARTLY_ACCEPTED or SETTLED").into());
    }
    let material = work.material(&lot.material)?;
    work.check_ore(&consignee, lot.id, material, lot.origin_kinds, &lot.contents)?;
    let mut approval = None;
    if offer.scope.moves_custody() {
        check_manifest(&lot.material, material, offer.manifest.as_ref())?;
        work.check_permit(&consignee, &material.waste_code)?;
        approval = check_provinces(work, offer, &lot, &material.waste_code)?;
    }
    let draw = LotDraw { lot: lot.id, mass: offer.mass };
    work.check_available(&[draw], std::slice::from_ref(&lot))?;
    if returned.is_none() && offer.scope.moves_ownership() {
        check_invoice_classes(work, offer, &lot)?;
    }

    work.delta(Delta::Offered(work.event.id));
    if let Some(approval) = approval {
        work.use_approval(&mut lot, approval, offer.mass);
    }
    work.put_transfer(Transfer {
        offer: work.event.id,
        lot: lot.id,
        mass: offer.mass,
        is_whole_lot: offer.mass == lot.remaining,
        sender: actor,
        consignee: offer.consignee,
        consignee_site: offer.consignee_site,
        scope: offer.scope,
        from_site: lot.site,
        invoice_class: offer.invoice_class,
        bought_class: lot.invoice_class,
        offered_at: work.moment.index,
        occurred_at: work.at(),
        approval,
        status: TransferStatus::Open,
        refused: Grams::ZERO,
        arrived: None,
        returns: returned.map(|transfer| transfer.offer),
    });
    lot.reserved = lot.reserved.checked_add(offer.mass).unwrap_or(lot.remaining);
    work.put_used(lot);
    Ok(())
}

/// Whether a transfer was taken over, and nothing of it is in dispute.
const fn is_settled(transfer: &Transfer) -> bool {
    use TransferStatus::{Accepted, PartlyAccepted, Settled};
    matches!(transfer.status, Accepted | PartlyAccepted | Settled)
}

/// R9: the class that a lot is sold on matches the one that it was bought on. What the table does
/// not say is told, and passes; so does a class that nobody stated.
fn check_invoice_classes<V: View>(
    work: &mut Work<'_, V>,
    offer: &OfferTransfer,
    lot: &Lot,
) -> Result<(), Rejection> {
    let (Some(bought), Some(sold)) = (lot.invoice_class, offer.invoice_class) else {
        return Ok(());
    };
    match work.tables()?.invoices.get(&(bought, sold)) {
        Some(true) => Ok(()),
        Some(false) => Err(Rejection::InvoiceClassMismatch { lot: lot.id, bought, sold }),
        None => {
            work.flag(Flag::InvoiceClassUnmatched(bought, sold));
            Ok(())
        }
    }
}

/// Custody is the possessor's to give, ownership the owner's, both only who has both.
fn check_movable<V: View>(
    work: &Work<'_, V>,
    offer: &OfferTransfer,
    lot: &Lot,
) -> Result<(), Rejection> {
    let lots = std::slice::from_ref(lot);
    work.check_not_retracted(lots)?;
    if offer.scope.moves_custody() {
        work.check_held_by_actor(lots)?;
    }
    if offer.scope.moves_ownership() && lot.owner != work.event.actor {
        let (owner, actor) = (lot.owner, work.event.actor);
        return Err(Rejection::LotNotOwned { lot: lot.id, owner, actor });
    }
    if let (true, Some(site)) = (offer.scope.moves_custody(), work.event.site) {
        work.check_at_site(lots, site)?;
    }
    work.check_not_on_hold(lots)?;
    work.check_not_before(lots)
}

/// R7: hazardous waste crosses a province only after an approval; which one.
fn check_provinces<V: View>(
    work: &Work<'_, V>,
    offer: &OfferTransfer,
    lot: &Lot,
    waste_code: &str,
) -> Verdict<Option<EventId>, V> {
    let Some(to) = offer.consignee_site else { return Ok(None) };
    if waste_code.is_empty() {
        return Ok(None);
    }
    let province = |region: &str| region.chars().take(2).collect::<String>();
    let from_province = province(&work.site_of(lot.site)?.region_code);
    let to_province = province(&work.site_of(to)?.region_code);
    if from_province == to_province {
        return Ok(None);
    }
    let asked = offer.mass;
    match work.approval_for(lot, (work.event.actor, offer.consignee), asked)? {
        Ok(approval) => Ok(Some(approval)),
        Err(unused) => {
            let lot = lot.id;
            Err(Rejection::ApprovalMissing { lot, from_province, to_province, asked, unused }
                .into())
        }
    }
}

/// The consignee takes over what was offered.
pub(super) fn accept<V: View>(work: &mut Work<'_, V>, accept: &AcceptTransfer) -> Verdict<(), V> {
    let taking = Taking {
        offer: accept.offer,
        received: accept.received.as_ref(),
        received_lot: accept.received_lot,
        refused: None,
    };
    take_over(work, taking)
}

/// The consignee takes over a part, which is a lot of its own even when the whole lot was offered.
/// What it refuses goes back to the sender's lot at once; the rest is judged as in an acceptance.
pub(super) fn partly_accept<V: View>(
    work: &mut Work<'_, V>,
    accept: &PartlyAcceptTransfer,
) -> Verdict<(), V> {
    let taking = Taking {
        offer: accept.offer,
        received: accept.received.as_ref(),
        received_lot: Some(accept.received_lot),
        refused: Some(accept.refused),
    };
    take_over(work, taking)
}

/// What a consignee says that it takes over.
#[derive(Clone, Copy)]
struct Taking<'a> {
    offer: EventId,
    received: Option<&'a Weighing>,
    received_lot: Option<LotId>,
    /// `None` when nothing is refused.
    refused: Option<Grams>,
}

fn take_over<V: View>(work: &mut Work<'_, V>, taking: Taking<'_>) -> Verdict<(), V> {
    let offered = work.read(|view| view.transfer(taking.offer))?;
    work.check_materials_of(offered.map(|transfer| transfer.lot))?;
    if let Some(new) = taking.received_lot {
        work.check_new([new])?;
    }
    let mut transfer = open_transfer(work, taking.offer)?;
    check_consignee(work, &transfer)?;
    check_received(&transfer, taking)?;
    let lot = work.lot(transfer.lot)?;
    check_arrival(work, &transfer, &lot)?;
    let actor = actor_of(work)?;
    let material = work.material(&lot.material)?;
    work.check_ore(&actor, lot.id, material, lot.origin_kinds, &lot.contents)?;
    if transfer.scope.moves_custody() {
        work.check_permit(&actor, &material.waste_code)?;
    }
    if let Some(weighing) = taking.received {
        check_weighing(weighing)?;
    }
    check_refused(&transfer, taking)?;

    transfer.refused = taking.refused.unwrap_or_default();
    let tolerance = material.transfer_tolerance.get();
    let arrival = Arrival::of(transfer.sent(), taking.received, tolerance);
    transfer.status = match taking.refused {
        _ if arrival.is_discrepant => TransferStatus::Discrepant,
        Some(_) => TransferStatus::PartlyAccepted,
        None => TransferStatus::Accepted,
    };
    let (by, booked) = (work.event.id, arrival.booked);
    let arrived = Arrived { by, lot: taking.received_lot.unwrap_or(lot.id), booked };
    transfer.arrived = Some(arrived);
    match taking.received_lot {
        Some(new) => take_part(work, &transfer, lot, new, arrival)?,
        None => take_whole(work, &transfer, lot, arrival),
    }
    let (index, kind) = (work.moment.index, work.event.body.kind());
    work.effects.movement = Some(arrival_of(&transfer, arrived, index, kind));
    work.put_transfer(transfer);
    Ok(())
}

/// Some of the offered grams are refused, and some are not.
fn check_refused(transfer: &Transfer, taking: Taking<'_>) -> Result<(), Rejection> {
    let (offer, offered) = (transfer.offer, transfer.mass);
    match taking.refused {
        Some(grams) if grams >= offered => {
            let rule = "who takes over a part refuses fewer grams";
            Err(Rejection::TransferMassExceeded { offer, offered, grams, rule })
        }
        _ => Ok(()),
    }
}

/// What came, against what was sent.
#[derive(Clone, Copy)]
struct Arrival {
    /// What the ledger books: never more than was sent.
    booked: Grams,
    loss: Grams,
    is_discrepant: bool,
}

impl Arrival {
    fn of(sent: Grams, received: Option<&Weighing>, tolerance_e8: u32) -> Self {
        let net = received.map_or(sent, |weighing| weighing.net);
        let booked = net.min(sent);
        let difference = u128::from(net.get().abs_diff(sent.get()));
        // difference / sent > tolerance, cross-multiplied.
        let is_discrepant =
            difference * u128::from(WHOLE_E8) > u128::from(sent.get()) * u128::from(tolerance_e8);
        let loss = sent.checked_sub(booked).unwrap_or_default();
        Self { booked, loss, is_discrepant }
    }
}

fn open_transfer<V: View>(work: &Work<'_, V>, offer: EventId) -> Verdict<Transfer, V> {
    let transfer = work.transfer(offer)?;
    if transfer.status != TransferStatus::Open {
        return Err(Rejection::TransferClosed { offer }.into());
    }
    Ok(transfer)
}

fn check_consignee<V: View>(work: &Work<'_, V>, transfer: &Transfer) -> Result<(), Rejection> {
    let (offer, consignee, actor) = (transfer.offer, transfer.consignee, work.event.actor);
    if consignee == actor {
        return Ok(());
    }
    Err(Rejection::NotTheConsignee { offer, consignee, actor })
}

/// Scales exactly when custody moves; a new id exactly when a part moves.
fn check_received(transfer: &Transfer, taking: Taking<'_>) -> Result<(), Rejection> {
    let offer = transfer.offer;
    let fault = |rule| Err(Rejection::ReceivedLotMismatch { offer, rule });
    match (transfer.scope.moves_custody(), taking.received) {
        (true, None) => return fault("custody moves: received gross, tare and net are needed"),
        (false, Some(_)) => return fault("only ownership moves: there is nothing to weigh"),
        _ => {}
    }
    let moves_whole = transfer.is_whole_lot && taking.refused.is_none();
    match (moves_whole, taking.received_lot) {
        (true, Some(_)) => fault("the whole lot moves and keeps its id: received_lot_id is absent"),
        (false, None) => fault("a part of the lot moves: received_lot_id names it"),
        _ => Ok(()),
    }
}

fn check_arrival<V: View>(
    work: &Work<'_, V>,
    transfer: &Transfer,
    lot: &Lot,
) -> Result<(), Rejection> {
    if let (Some(site), Some(event_site)) = (transfer.consignee_site, work.event.site)
        && site != event_site
    {
        return Err(Rejection::LotElsewhere { lot: lot.id, site, event_site });
    }
    work.check_not_on_hold(std::slice::from_ref(lot))?;
    // Other grams of the lot may have been used since; these left when they were offered.
    work.check_not_earlier(lot.id, transfer.occurred_at)
}

/// A part becomes a lot of the consignee.
fn take_part<V: View>(
    work: &mut Work<'_, V>,
    transfer: &Transfer,
    mut lot: Lot,
    new: LotId,
    arrival: Arrival,
) -> Verdict<(), V> {
    let part = part_of(&lot, new, arrival.booked);
    let mut right = right_of(&lot, transfer.sent());
    move_to_consignee(transfer, &mut right.owner, &mut right.possessor, &mut right.site);
    right.invoice_class = class_after(transfer, right.invoice_class);

    work.delta(Delta::AcceptedPart(transfer.offer));
    lot.reserved = lot.reserved.checked_sub(transfer.mass).unwrap_or_default();
    give_approval_back(&mut lot, transfer.approval, transfer.refused);
    let share = if transfer.refused.is_zero() {
        work.draw_reserved(lot, transfer.sent())
    } else {
        // Until now the refused grams were promised: nothing that uses them is dated earlier.
        work.draw(lot, transfer.sent())
    };
    work.bear(&part, share, right);
    if arrival.is_discrepant {
        let mut born = work.lot(new)?;
        born.holds.push(discrepancy(work));
        work.put(born);
    }
    Ok(())
}

/// The lot itself changes hands; what was lost on the way leaves it.
fn take_whole<V: View>(
    work: &mut Work<'_, V>,
    transfer: &Transfer,
    mut lot: Lot,
    arrival: Arrival,
) {
    let standing = Standing {
        lot: lot.id,
        owner: lot.owner,
        possessor: lot.possessor,
        site: lot.site,
        invoice_class: lot.invoice_class,
        moved_at: lot.moved_at,
        loss: arrival.loss,
    };
    work.delta(Delta::AcceptedWhole(transfer.offer, standing.into()));
    lot.reserved = Grams::ZERO;
    lot.remaining = arrival.booked;
    lot.moved_at = work.moment.index;
    lot.invoice_class = class_after(transfer, lot.invoice_class);
    move_to_consignee(transfer, &mut lot.owner, &mut lot.possessor, &mut lot.site);
    if arrival.is_discrepant {
        lot.holds.push(discrepancy(work));
    }
    work.put_used(lot);
}

/// R9: how the consignee bought it. Who is only lent something buys nothing; what comes back is as
/// it was before it was sold.
fn class_after(transfer: &Transfer, before: Option<InvoiceClass>) -> Option<InvoiceClass> {
    match (transfer.scope.moves_ownership(), transfer.returns) {
        (false, _) => before,
        (true, Some(_)) => transfer.invoice_class,
        (true, None) => transfer.invoice_class.or(before),
    }
}

fn move_to_consignee(
    transfer: &Transfer,
    owner: &mut super::super::ids::PartyId,
    possessor: &mut super::super::ids::PartyId,
    site: &mut super::super::ids::SiteId,
) {
    if transfer.scope.moves_ownership() {
        *owner = transfer.consignee;
    }
    if transfer.scope.moves_custody() {
        *possessor = transfer.consignee;
        *site = transfer.consignee_site.unwrap_or(*site);
    }
}

fn discrepancy<V: View>(work: &Work<'_, V>) -> Hold {
    Hold { event: work.event.id, reason: None, placed_by: work.event.actor }
}

/// The consignee refuses.
pub(super) fn reject<V: View>(work: &mut Work<'_, V>, close: &CloseTransfer) -> Verdict<(), V> {
    let transfer = open_transfer(work, close.offer)?;
    check_consignee(work, &transfer)?;
    end(work, transfer, TransferStatus::Rejected)
}

/// The sender withdraws.
pub(super) fn cancel<V: View>(work: &mut Work<'_, V>, close: &CloseTransfer) -> Verdict<(), V> {
    let transfer = open_transfer(work, close.offer)?;
    let (offer, sender, actor) = (transfer.offer, transfer.sender, work.event.actor);
    if sender != actor {
        return Err(Rejection::NotTheSender { offer, sender, actor }.into());
    }
    end(work, transfer, TransferStatus::Cancelled)
}

/// The grams go back to the sender's lot. A held lot takes them back too: nothing of it moves.
fn end<V: View>(
    work: &mut Work<'_, V>,
    mut transfer: Transfer,
    status: TransferStatus,
) -> Verdict<(), V> {
    let mut lot = work.lot(transfer.lot)?;
    work.check_not_earlier(lot.id, transfer.occurred_at)?;
    work.delta(Delta::Closed(transfer.offer));
    give_approval_back(&mut lot, transfer.approval, transfer.mass);
    lot.reserved = lot.reserved.checked_sub(transfer.mass).unwrap_or_default();
    transfer.status = status;
    work.put_transfer(transfer);
    // Until now the grams were promised: nothing that uses them is dated earlier.
    work.put_used(lot);
    Ok(())
}

/// Used by corrections: whether a party is a coordinator at the time of the event.
pub(super) fn is_coordinator<V: View>(work: &Work<'_, V>, party: &PartyState) -> bool {
    party.party.has_role(super::super::vocabulary::PartyRole::Coordinator, work.at())
}
