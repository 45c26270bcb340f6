//! What every event has to pass: the right ledger, place, signers, time, role and site.

use std::collections::BTreeSet;

use super::super::effects::View;
use super::super::event::{Body, Event};
use super::super::ids::{EntryIndex, EventId, KeyId, PartyId, SiteId};
use super::super::party::{KeyState, PartyState};
use super::super::rejection::Rejection;
use super::super::tables::Tables;
use super::super::vocabulary::{EventKind, PartyRole};
use super::Verdict;
use super::signers::required_signers;
use super::succession::check_not_succeeded;
use super::work::Work;

/// Skew that is granted before the tables of the genesis are published, in milliseconds.
const SKEW_BEFORE_TABLES_MS: u64 = 300_000;

/// Passes an event on to its own rules.
pub(super) fn admit<V: View>(work: &mut Work<'_, V>) -> Verdict<(), V> {
    check_ledger(work)?;
    check_event_id(work)?;
    check_correctives(work)?;
    check_tables(work)?;
    check_not_nested(work)?;

    let actor = work.event.actor;
    let Some(party) = work.read(|view| view.party(actor))? else {
        return Err(Rejection::ActorUnknown { actor }.into());
    };
    let required = work.read(|view| required_signers(view, work.event))?;
    check_signers(work, &required)?;
    check_time(work)?;
    check_role(work, &party)?;
    check_site(work)?;
    check_not_succeeded(work)?;
    work.actor = Some(party);
    Ok(())
}

fn check_ledger<V: View>(work: &Work<'_, V>) -> Result<(), Rejection> {
    let Event { origin, body, .. } = work.event;
    if *origin != work.ledger.origin {
        let (expected, found) = (work.ledger.origin.clone(), origin.clone());
        return Err(Rejection::OriginMismatch { expected, found });
    }
    let (kind, index) = (body.kind(), work.moment.index);
    if kind == EventKind::Genesis || index == EntryIndex(0) {
        return Err(Rejection::GenesisMisplaced { kind, index });
    }
    Ok(())
}

/// R8: an id is used once.
fn check_event_id<V: View>(work: &Work<'_, V>) -> Verdict<(), V> {
    let event = work.event.id;
    let Some(record) = work.read(|view| view.event(event))? else { return Ok(()) };
    let recorded_at = record.index;
    if record.payload_hash == work.signed.payload_hash {
        return Err(Rejection::EventAlreadyRecorded { event, recorded_at }.into());
    }
    Err(Rejection::EventIdConflict { event, recorded_at }.into())
}

/// What follows a declared error is what it announced, to the byte; and it announces what follows.
fn check_correctives<V: View>(work: &Work<'_, V>) -> Verdict<(), V> {
    let found = work.event.id;
    if let Some(&(expected, hash)) = work.ledger.expected_correctives.first()
        && (expected, hash) != (found, work.signed.payload_hash)
    {
        return Err(Rejection::CorrectiveExpected { expected, found }.into());
    }
    let Body::DeclareError(error) = &work.event.body else { return Ok(()) };
    // An event that is recorded, repeated or this one itself never comes: the ledger would wait for
    // ever.
    let mut can_follow: BTreeSet<EventId> = BTreeSet::new();
    for &(id, _) in &error.correctives {
        if id != found && work.read(|view| view.event(id))?.is_none() {
            can_follow.insert(id);
        }
    }
    let (declared, following) =
        (error.correctives.len(), work.moment.following.min(can_follow.len()));
    if following < declared {
        return Err(Rejection::CorrectivesIncomplete { declared, following }.into());
    }
    Ok(())
}

/// A corrective declares no error itself.
fn check_not_nested<V: View>(work: &Work<'_, V>) -> Result<(), Rejection> {
    if work.is_corrective() && matches!(work.event.body, Body::DeclareError(_)) {
        return Err(Rejection::CorrectiveNested { event: work.event.id });
    }
    Ok(())
}

/// Nothing is judged by tables that are not in the ledger.
fn check_tables<V: View>(work: &Work<'_, V>) -> Result<(), Rejection> {
    let is_table_chunk = matches!(work.event.body, Body::PublishTables(_));
    if work.ledger.are_tables_published || is_table_chunk {
        return Ok(());
    }
    Err(Rejection::TablesNotPublished {
        tables: work.ledger.tables_hash,
        next_chunk: work.ledger.publishing.map_or(0, |(_, next, _)| next),
    })
}

/// R4: exactly the required parties sign, each with one key that is valid then and not revoked now.
fn check_signers<V: View>(work: &Work<'_, V>, required: &[PartyId]) -> Verdict<(), V> {
    let mut keys: Vec<KeyState> = Vec::with_capacity(work.signed.signers.len());
    for &key in work.signed.signers {
        let found = work.read(|view| view.key(key))?;
        keys.push(found.ok_or(Rejection::KeyUnknown { key })?);
    }
    if let Body::RevokeKey(revoke) = &work.event.body {
        let key = revoke.key;
        let found = work.read(|view| view.key(key))?;
        found.ok_or(Rejection::KeyUnknown { key })?;
    }
    for (position, key) in keys.iter().enumerate() {
        let is_second = keys[..position].iter().any(|other| other.party == key.party);
        if is_second || !required.contains(&key.party) {
            return Err(Rejection::SignerUnexpected { key: key.id, party: key.party }.into());
        }
    }
    for &party in required {
        if !keys.iter().any(|key| key.party == party) {
            return Err(Rejection::SignerMissing { party }.into());
        }
    }
    check_keys(work, &keys)?;
    Ok(())
}

fn check_keys<V: View>(work: &Work<'_, V>, keys: &[KeyState]) -> Result<(), Rejection> {
    let occurred_at = work.at();
    if let Some(key) = keys.iter().find(|key| !key.validity.contains(occurred_at)) {
        let (key, from, to) = (key.id, key.validity.from, key.validity.to);
        return Err(Rejection::KeyNotValid { key, occurred_at, from, to });
    }
    let revoked = |key: &KeyState| -> Option<(KeyId, _)> { Some((key.id, key.revoked?)) };
    if let Some((key, (revoked_at, by))) = keys.iter().find_map(revoked) {
        return Err(Rejection::KeyRevoked { key, revoked_at, by });
    }
    Ok(())
}

/// R3, its second half.
fn check_time<V: View>(work: &Work<'_, V>) -> Result<(), Rejection> {
    let parameter = |tables: &Tables| tables.parameters.get("CLOCK_SKEW_MS").copied();
    let skew_ms = work.moment.tables.and_then(parameter).unwrap_or(SKEW_BEFORE_TABLES_MS);
    let (occurred_at, recorded_at) = (work.at(), work.moment.recorded_at);
    if occurred_at.get() > recorded_at.get().saturating_add(skew_ms) {
        return Err(Rejection::OccurredInFuture { occurred_at, recorded_at, skew_ms });
    }
    Ok(())
}

/// R4: a role that may, and its licence, both at the time of the event.
fn check_role<V: View>(work: &Work<'_, V>, party: &PartyState) -> Verdict<(), V> {
    let Some(action) = action_of(work)? else { return Ok(()) };
    if action == REGISTER {
        if party.party.has_role(PartyRole::Coordinator, work.at()) {
            return Ok(());
        }
        return Err(Rejection::RoleNotHeld { party: party.party.id, action }.into());
    }
    let permission = check_permission(work, party, action);
    if !matches!(permission, Err(Rejection::RoleNotHeld { .. })) {
        // Two roles are asked for before any licence is.
        check_process_role(work, party)?;
    }
    permission?;
    Ok(())
}

/// The table says which roles run a process. An unknown process is refused later, in its turn.
fn check_process_role<V: View>(work: &Work<'_, V>, party: &PartyState) -> Verdict<(), V> {
    let at = work.at();
    let Some(code) = process_of(work)? else { return Ok(()) };
    let Some(process) = work.tables()?.process(&code, at) else { return Ok(()) };
    if process.roles.iter().any(|role| party.party.has_role(*role, at)) {
        return Ok(());
    }
    Err(Rejection::RoleNotHeld { party: party.party.id, action: "run this process" }.into())
}

/// The process that an event runs. A campaign that is not known is refused later, in its turn.
fn process_of<V: View>(work: &Work<'_, V>) -> Verdict<Option<String>, V> {
    let campaign = match &work.event.body {
        Body::TransformLots(melt) => return Ok(Some(melt.process.clone())),
        Body::OpenCampaign(open) => return Ok(Some(open.process.clone())),
        Body::ChargeCampaign(charge) => charge.campaign,
        Body::DrawCampaign(draw) => draw.campaign,
        Body::CloseCampaign(close) => close.campaign,
        _ => return Ok(None),
    };
    Ok(work.read(|view| view.campaign(campaign))?.map(|campaign| campaign.process))
}

/// A row of the permission table that lets a party do something.
pub(super) fn check_permission<V: View>(
    work: &Work<'_, V>,
    party: &PartyState,
    action: &'static str,
) -> Result<(), Rejection> {
    let at = work.at();
    let id = party.party.id;
    let rows = work.tables()?.permissions.get(action).map_or(&[][..], Vec::as_slice);
    let mut wanting = None;
    for row in rows.iter().filter(|row| party.party.has_role(row.role, at)) {
        match row.licence {
            Some(needed) if !party.has_licence(needed, at) => wanting = wanting.or(Some(needed)),
            _ => return Ok(()),
        }
    }
    match wanting {
        Some(needed) => Err(Rejection::LicenceNotHeld { party: id, action, needed }),
        None => Err(Rejection::RoleNotHeld { party: id, action }),
    }
}

const REGISTER: &str = "REGISTER";

/// The row of the permission table that an event needs; `None` where another rule decides who may.
fn action_of<V: View>(work: &Work<'_, V>) -> Verdict<Option<&'static str>, V> {
    Ok(Some(match &work.event.body {
        Body::CollectLot(_) => "COLLECT_LOT",
        Body::AssayLot(_) => "ASSAY_LOT",
        Body::SplitLot(_) => "SPLIT_LOT",
        Body::MergeLots(_) => "MERGE_LOTS",
        Body::TransformLots(_) => "TRANSFORM_LOTS",
        Body::OpenCampaign(_) => "OPEN_CAMPAIGN",
        Body::ChargeCampaign(_) => "CHARGE_CAMPAIGN",
        Body::DrawCampaign(_) => "DRAW_CAMPAIGN",
        Body::CloseCampaign(_) => "CLOSE_CAMPAIGN",
        Body::OfferTransfer(_) | Body::ReturnTransfer(_) => "OFFER_TRANSFER",
        Body::AcceptTransfer(_) | Body::PartlyAcceptTransfer(_) => "ACCEPT_TRANSFER",
        Body::DisposeResidue(_) => "DISPOSE_RESIDUE",
        Body::Stocktake(_) => "STOCKTAKE",
        Body::ExitLot(_) => "EXIT_LOT",
        Body::Waiver(_) => "WAIVER",
        Body::Approval(_) => "APPROVAL",
        Body::SucceedParty(_) => "SUCCEED_PARTY",
        Body::Attest(_) => "ATTEST",
        Body::ClaimCredit(_) => "CLAIM_CREDIT",
        Body::HoldLot(hold) => {
            // The owner may always stop its own lot.
            let lot = work.read(|view| view.lot(hold.lot))?;
            if let Some(lot) = lot
                && work.acts_for(lot.owner)?
            {
                return Ok(None);
            }
            "HOLD_LOT"
        }
        Body::VisibilityGrant(grant) => {
            // The owner shows its own lot to whom it likes.
            let lot = work.read(|view| view.lot(grant.lot))?;
            if let Some(lot) = lot
                && work.acts_for(lot.owner)?
            {
                return Ok(None);
            }
            "VISIBILITY_GRANT"
        }
        // Consignee, sender, placer of a hold and actor of a target are checked by name.
        Body::RejectTransfer(_)
        | Body::CancelTransfer(_)
        | Body::SettleDiscrepancy(_)
        | Body::ReleaseLot(_)
        | Body::DeclareError(_)
        // Everybody may say that it has seen something.
        | Body::AcknowledgeAnomaly(_) => return Ok(None),
        Body::Genesis(_)
        | Body::RegisterParty(_)
        | Body::AmendParty(_)
        | Body::RegisterSite(_)
        | Body::AmendSite(_)
        | Body::RegisterLicence(..)
        | Body::AmendLicence(..)
        | Body::RegisterAffiliation(..)
        | Body::AmendAffiliation(..)
        | Body::RegisterKey(_)
        | Body::RevokeKey(_)
        | Body::PublishTables(_)
        | Body::OpeningInventory(_) => REGISTER,
    }))
}

/// Every site that the event names is registered; then, each is its party's.
fn check_site<V: View>(work: &mut Work<'_, V>) -> Verdict<(), V> {
    let named = named_sites(work.event);
    let mut sites = Vec::with_capacity(named.len());
    for &(id, party) in &named {
        sites.push((work.site_of(id)?, party));
    }
    for (site, party) in &sites {
        // A successor uses the sites that were left to it. (Who was succeeded is told so later.)
        let is_theirs = site.party == *party || work.acting_for(site.party)? == *party;
        if !is_theirs {
            let (site, party, owner) = (site.id, *party, site.party);
            return Err(Rejection::SiteNotOfParty { site, party, owner }.into());
        }
    }
    let here = work.event.site;
    work.site = sites.into_iter().map(|(site, _)| site).find(|site| Some(site.id) == here);
    Ok(())
}

/// The sites that an event names, and whose each has to be: the place of the event the actor's (of
/// an opening inventory, the holder's), the place that goods go to the consignee's, an amended one
/// the same party's as before, one whose credit is claimed the actor's.
fn named_sites(event: &Event) -> Vec<(SiteId, PartyId)> {
    let party = match &event.body {
        Body::OpeningInventory(inventory) => inventory.party,
        _ => event.actor,
    };
    let place = event.site.map(|id| (id, party));
    let other = match &event.body {
        Body::OfferTransfer(offer) => offer.consignee_site.map(|id| (id, offer.consignee)),
        Body::AmendSite(site) => Some((site.id, site.party)),
        Body::ClaimCredit(claim) => Some((claim.site, event.actor)),
        _ => None,
    };
    place.into_iter().chain(other).collect()
}
