//! Whom an accepted event concerns, which lots came into whose sight by it, and how each lot stood
//! before and after.
//!
//! Computed from the event and its effects, beside the verdict and never part of it.

use std::collections::BTreeSet;

use super::super::effects::View;
use super::super::event::{Body, Composition, NewLot};
use super::super::fact::{LotChange, Stand};
use super::super::ids::PartyId;
use super::super::lot::Lot;
use super::super::sight::{Kinship, Sight, Turn};
use super::Verdict;
use super::work::Work;
use crate::limits::MAX_CONCERNED;

/// Fills in the part of the effects that says who sees what.
pub(super) fn see<V: View>(work: &mut Work<'_, V>) -> Verdict<(), V> {
    // Those who act, own, hold, send or receive. Who is only named (a laboratory, a carrier) learns
    // of them, and not of others that are only named.
    let mut principals = BTreeSet::from([work.event.actor]);
    for &key in work.signed.signers {
        principals.extend(work.read(|view| view.key(key))?.map(|key| key.party));
    }
    let (mut sights, mut changes) = (Vec::new(), Vec::new());
    for after in &work.effects.lots {
        let is_new = after.born_at == work.moment.index;
        let before = if is_new { None } else { work.read(|view| view.lot(after.id))? };
        let stood = match &before {
            Some(lot) => Some(Stand::of(lot, work.acting_for(lot.possessor)?)),
            None => None,
        };
        changes.push(LotChange::new(stood, after, work.acting_for(after.possessor)?));
        principals.extend(hands(after));
        principals.extend(before.iter().flat_map(hands));
        sights.extend(turns(before.as_ref(), after));
    }
    for transfer in &work.effects.transfers {
        principals.extend([transfer.sender, transfer.consignee]);
    }
    sights.extend(settled(work));
    for campaign in &work.effects.campaigns {
        principals.extend(campaign.owner.into_iter().chain([campaign.party]));
    }
    sights.extend(kin(work));

    let mut concerned = principals.clone();
    concerned.extend(named(&work.event.body));
    concerned.extend(work.effects.parties.iter().map(|state| state.party.id));
    concerned.extend(work.effects.sites.iter().map(|site| site.party));
    concerned.extend(work.effects.keys.iter().map(|key| key.party));
    debug_assert!(concerned.len() <= MAX_CONCERNED);
    work.effects.acquainted = acquainted(&principals, &concerned);
    work.effects.concerned = concerned.into_iter().collect();
    work.effects.sights = sights;
    work.effects.lot_changes = changes;
    Ok(())
}

fn hands(lot: &Lot) -> [PartyId; 2] {
    [lot.owner, lot.possessor]
}

/// Each pair once, the smaller id first, at least one of the two a principal.
pub(super) fn acquainted(
    principals: &BTreeSet<PartyId>,
    concerned: &BTreeSet<PartyId>,
) -> Vec<(PartyId, PartyId)> {
    let mut pairs = BTreeSet::new();
    for &one in principals {
        let others = concerned.iter().filter(|other| **other != one);
        pairs.extend(others.map(|&other| (one.min(other), one.max(other))));
    }
    pairs.into_iter().collect()
}

/// Whose a lot became, and whose it is no more.
fn turns<'a>(before: Option<&'a Lot>, after: &'a Lot) -> impl Iterator<Item = Sight> {
    let sight = |party, turn| Sight { party, lot: after.id, turn };
    let gained = distinct(after).filter(move |it| !before.is_some_and(|lot| holds(lot, *it)));
    let came = gained.map(move |party| sight(party, Turn::Came(after.remaining)));
    let left = before.into_iter().flat_map(move |lot| {
        let lost = distinct(lot).filter(move |it| !holds(after, *it));
        lost.map(move |party| sight(party, Turn::Left(Box::new(lot.clone()))))
    });
    came.chain(left)
}

fn holds(lot: &Lot, party: PartyId) -> bool {
    hands(lot).contains(&party)
}

/// Each once, ascending.
fn distinct(lot: &Lot) -> impl Iterator<Item = PartyId> {
    let [one, other] = hands(lot);
    std::iter::once(one.min(other)).chain((one != other).then(|| one.max(other)))
}

/// To whom a lot came that both parties have settled: with the grams that they agreed on.
fn settled<V: View>(work: &Work<'_, V>) -> Option<Sight> {
    work.effects.amended_movement.as_ref()?;
    let transfer = work.effects.transfers.first()?;
    let arrived = transfer.arrived?;
    let turn = Turn::Came(arrived.booked);
    Some(Sight { party: transfer.consignee, lot: arrived.lot, turn })
}

/// Lots on the two sides of a transfer: grams of one party's lot that became another party's lot.
fn kin<V: View>(work: &Work<'_, V>) -> Vec<Sight> {
    let Some(movement) = &work.effects.movement else { return Vec::new() };
    if movement.draws.is_empty() || movement.births.is_empty() {
        return Vec::new();
    }
    let lot_of = |id| work.effects.lots.iter().find(|lot| lot.id == id);
    let drawn: Vec<&Lot> = movement.draws.iter().filter_map(|draw| lot_of(draw.lot)).collect();
    let born: Vec<&Lot> = movement.births.iter().filter_map(|birth| lot_of(birth.lot)).collect();
    let givers: BTreeSet<PartyId> = drawn.iter().copied().flat_map(hands).collect();
    let takers: BTreeSet<PartyId> = born.iter().copied().flat_map(hands).collect();
    let sights = |parties: Vec<PartyId>, lots: &[&Lot], kinship: Kinship| -> Vec<Sight> {
        let each = parties.into_iter().flat_map(|party| lots.iter().map(move |lot| (party, *lot)));
        each.map(|(party, lot)| {
            let with = if lot.owner == party { lot.possessor } else { lot.owner };
            Sight { party, lot: lot.id, turn: Turn::Kin(kinship, with) }
        })
        .collect()
    };
    let mut all = sights(givers.difference(&takers).copied().collect(), &born, Kinship::Down);
    all.extend(sights(takers.difference(&givers).copied().collect(), &drawn, Kinship::Up));
    all
}

/// The parties that a body names, beside those whose state it changes.
pub(super) fn named(body: &Body) -> Vec<PartyId> {
    match body {
        Body::Genesis(genesis) => vec![genesis.coordinator.id],
        Body::RegisterParty(party) | Body::AmendParty(party) => vec![party.id],
        Body::RegisterSite(site) | Body::AmendSite(site) => vec![site.party],
        Body::RegisterLicence(party, _) | Body::AmendLicence(party, _) => vec![*party],
        Body::RegisterAffiliation(party, it) | Body::AmendAffiliation(party, it) => {
            it.group.into_iter().chain([*party]).collect()
        }
        Body::RegisterKey(key) => vec![key.party],
        Body::Approval(approval) => vec![approval.from, approval.to],
        Body::VisibilityGrant(grant) => vec![grant.reader],
        Body::SucceedParty(it) => vec![it.party, it.successor],
        Body::OpeningInventory(inventory) => {
            laboratories(&inventory.lots).chain([inventory.party]).collect()
        }
        Body::CollectLot(collect) => {
            let carrier = collect.manifest.iter().filter_map(|manifest| manifest.carrier);
            laboratories([&collect.lot]).chain(carrier).collect()
        }
        Body::AssayLot(assay) => assay.composition.laboratory.into_iter().collect(),
        Body::MergeLots(merge) => laboratories([&merge.output]).collect(),
        Body::TransformLots(melt) => {
            laboratories(melt.outputs.iter().chain(&melt.residues)).collect()
        }
        Body::OpenCampaign(open) => laboratory(open.opening_composition.as_ref()),
        Body::DrawCampaign(draw) => {
            laboratories(draw.outputs.iter().chain(&draw.residues)).collect()
        }
        Body::CloseCampaign(close) => laboratory(close.closing_composition.as_ref()),
        Body::OfferTransfer(offer) => {
            let driver = offer.manifest.as_ref().and_then(|manifest| manifest.carrier);
            [Some(offer.consignee), offer.carrier, driver].into_iter().flatten().collect()
        }
        Body::DisposeResidue(dispose) => {
            let driver = dispose.manifest.as_ref().and_then(|manifest| manifest.carrier);
            driver.into_iter().chain([dispose.facility]).collect()
        }
        // Whose key, whose lots, whose transfer: the effects say it.
        Body::RevokeKey(_)
        | Body::PublishTables(_)
        | Body::Waiver(_)
        | Body::SplitLot(_)
        | Body::ChargeCampaign(_)
        | Body::AcceptTransfer(_)
        | Body::RejectTransfer(_)
        | Body::CancelTransfer(_)
        | Body::PartlyAcceptTransfer(_)
        | Body::ReturnTransfer(_)
        | Body::SettleDiscrepancy(_)
        | Body::HoldLot(_)
        | Body::ReleaseLot(_)
        | Body::Stocktake(_)
        | Body::ExitLot(_)
        | Body::DeclareError(_)
        | Body::Attest(_)
        | Body::AcknowledgeAnomaly(_)
        | Body::ClaimCredit(_) => Vec::new(),
    }
}

fn laboratory(composition: Option<&Composition>) -> Vec<PartyId> {
    composition.and_then(|composition| composition.laboratory).into_iter().collect()
}

fn laboratories<'a>(lots: impl IntoIterator<Item = &'a NewLot>) -> impl Iterator<Item = PartyId> {
    lots.into_iter().filter_map(|lot| lot.composition.as_ref()?.laboratory)
}
