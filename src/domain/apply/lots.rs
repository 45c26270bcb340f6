//! Lots come in, are analysed, are divided.

use std::sync::Arc;

use super::super::composition::{composition_fault, contents};
use super::super::effects::View;
use super::super::event::{
    AssayLot, CollectLot, Manifest, NewLot, OpeningInventory, SplitLot, Weighing,
};
use super::super::ids::{PartyId, SiteId};
use super::super::lot::{Contents, Delta, Lot, Tally};
use super::super::movement::{Birth, Movement};
use super::super::party::PartyState;
use super::super::rejection::Rejection;
use super::super::tables::Material;
use super::super::units::Grams;
use super::super::vocabulary::{OriginKind, OriginKinds, PartyRole};
use super::Verdict;
use super::admission::check_permission;
use super::work::{BirthRight, Work};

/// Scrap comes into the ledger.
pub(super) fn collect<V: View>(work: &mut Work<'_, V>, collect: &CollectLot) -> Verdict<(), V> {
    let new = &collect.lot;
    check_carrier(work, collect.manifest.as_ref())?;
    work.check_laboratories(&[new])?;
    let (tables, at) = (work.tables()?, work.at());
    if !tables.has_region(&collect.origin_region, at) {
        return Err(Rejection::RegionUnknown { code: collect.origin_region.clone(), at }.into());
    }
    work.check_codes(&[new])?;
    work.check_new([new.id])?;

    let actor = actor_of(work)?;
    let material = work.material(&new.material)?;
    check_ore_comes_in(work, &actor, material, new)?;
    if material.is_productive_scrap && collect.seller_certificate.is_empty() {
        return Err(Rejection::SellerCertificateMissing { material: new.material.clone() }.into());
    }
    check_manifest(&new.material, material, collect.manifest.as_ref())?;
    work.check_permit(&actor, &material.waste_code)?;
    check_weighing(&collect.weighing)?;
    if collect.weighing.net != new.net_mass {
        let (into, out) = (collect.weighing.net.get().into(), new.net_mass.get().into());
        return Err(Rejection::MassNotConserved { into, out }.into());
    }
    let found = declared(work, new)?;

    let mut movement = work.movement();
    movement.births.push(birth(new, found.clone()));
    movement.output_count = 1;
    let party = work.event.actor;
    let site = event_site(work)?;
    let right = BirthRight {
        origin_kinds: kinds_of(new),
        owner: party,
        possessor: party,
        site,
        origin_region: collect.origin_region.clone(),
        invoice_class: Some(collect.invoice_class),
        tally: Tally::default(),
        has_earned: false,
    };
    work.bear(new, found.unwrap_or_default(), right);
    work.effects.movement = Some(movement);
    Ok(())
}

/// Stock on the day when the ledger reaches a party.
pub(super) fn opening_inventory<V: View>(
    work: &mut Work<'_, V>,
    inventory: &OpeningInventory,
) -> Verdict<(), V> {
    let lots: Vec<&NewLot> = inventory.lots.iter().collect();
    let holder = work.party(inventory.party)?;
    work.check_laboratories(&lots)?;
    work.check_codes(&lots)?;
    work.check_named_once(lots.iter().map(|lot| lot.id))?;
    work.check_new(lots.iter().map(|lot| lot.id))?;
    for new in &lots {
        check_ore_comes_in(work, &holder, work.material(&new.material)?, new)?;
    }
    for new in &lots {
        work.check_permit(&holder, &work.material(&new.material)?.waste_code)?;
    }
    let mut found = Vec::with_capacity(lots.len());
    for new in &lots {
        found.push(declared(work, new)?);
    }

    let mut movement = work.movement();
    movement.output_count = lots.len();
    let site = event_site(work)?;
    for (new, contents) in lots.iter().zip(found) {
        movement.births.push(birth(new, contents.clone()));
        let right = BirthRight {
            origin_kinds: kinds_of(new),
            owner: inventory.party,
            possessor: inventory.party,
            site,
            origin_region: String::new(),
            invoice_class: None,
            tally: Tally::default(),
            has_earned: false,
        };
        work.bear(new, contents.unwrap_or_default(), right);
    }
    work.effects.movement = Some(movement);
    Ok(())
}

/// An analysis replaces what was known. It may come late, so R3 asks only that the lot existed.
pub(super) fn assay<V: View>(work: &mut Work<'_, V>, assay: &AssayLot) -> Verdict<(), V> {
    if let Some(laboratory) = assay.composition.laboratory {
        work.party(laboratory)?;
    }
    let mut lot = work.lot(assay.lot)?;
    work.check_not_retracted(std::slice::from_ref(&lot))?;
    let actor = actor_of(work)?;
    if !acts_as_laboratory(work, &actor)? {
        work.check_held_by_actor(std::slice::from_ref(&lot))?;
    }
    work.check_not_earlier(lot.id, lot.born_occurred_at)?;
    let tables = work.tables()?;
    composition_fault(lot.id, &assay.composition, tables)?;

    // A lot that is used up is analysed for the record: nothing is left to rescale, until a
    // correction brings grams back.
    let mass = if lot.remaining.is_zero() { lot.initial_mass } else { lot.remaining };
    let found = contents(&assay.composition, mass, tables);
    let mut movement = work.movement();
    movement.assay = Some(Birth { lot: lot.id, mass, contents: Some(found.clone()) });
    work.effects.movement = Some(movement);
    let before = std::mem::replace(&mut lot.contents, found);
    work.delta(Delta::Assayed(lot.id, before.into(), lot.assayed_by));
    lot.assayed_by = Some(work.event.id);
    work.put(lot);
    Ok(())
}

/// A laboratory analyses lots in other hands: with the licence that the permission table asks of
/// it.
fn acts_as_laboratory<V: View>(work: &Work<'_, V>, party: &PartyState) -> Result<bool, Rejection> {
    let at = work.at();
    if !party.party.has_role(PartyRole::Laboratory, at) {
        return Ok(false);
    }
    let rows = work.tables()?.permissions.get("ASSAY_LOT").map_or(&[][..], Vec::as_slice);
    let mut rows = rows.iter().filter(|row| row.role == PartyRole::Laboratory);
    Ok(rows.any(|row| row.licence.is_none_or(|needed| party.has_licence(needed, at))))
}

/// The whole lot is divided.
pub(super) fn split<V: View>(work: &mut Work<'_, V>, split: &SplitLot) -> Verdict<(), V> {
    let children = &split.children;
    let ids = children.iter().map(|child| child.lot);
    work.check_named_once(ids.clone().chain([split.parent]))?;
    work.check_new(ids)?;
    let parent = work.lot(split.parent)?;
    check_usable(work, std::slice::from_ref(&parent))?;
    if !parent.reserved.is_zero() || parent.remaining.is_zero() {
        return Err(Rejection::InsufficientMass {
            lot: parent.id,
            asked: parent.remaining.max(Grams::of(1)),
            available: parent.available(),
            remaining: parent.remaining,
        }
        .into());
    }
    let parts = children.iter().map(|child| child.mass);
    let out = Grams::sum(parts.chain([split.handling_loss]));
    let into = u128::from(parent.remaining.get());
    if into != out {
        return Err(Rejection::MassNotConserved { into, out }.into());
    }

    let mut movement = work.movement();
    movement.loss = split.handling_loss;
    movement.output_count = children.len();
    let whole = super::super::event::LotDraw { lot: parent.id, mass: parent.remaining };
    movement.draws.push(whole);
    let mut rest = parent.remaining;
    for child in children {
        let after = rest.checked_sub(child.mass).unwrap_or_default();
        let share = parent.contents.drawn(rest, after);
        rest = after;
        movement.births.push(Birth { lot: child.lot, mass: child.mass, contents: None });
        let right = right_of(&parent, child.mass);
        work.bear(&part_of(&parent, child.lot, child.mass), share, right);
    }
    work.draw(parent.clone(), parent.remaining);
    work.effects.movement = Some(movement);
    Ok(())
}

// --- shared with other kinds ---------------------------------------------------------------------

/// Retracted, held, elsewhere, stopped, too early: what every use of a lot by its holder asks.
pub(super) fn check_usable<V: View>(work: &Work<'_, V>, lots: &[Lot]) -> Result<(), Rejection> {
    work.check_not_retracted(lots)?;
    work.check_held_by_actor(lots)?;
    if let Some(site) = work.event.site {
        work.check_at_site(lots, site)?;
    }
    work.check_not_on_hold(lots)?;
    work.check_not_before(lots)
}

/// A part of a lot, as a lot of its own.
pub(super) fn part_of(lot: &Lot, id: super::super::ids::LotId, mass: Grams) -> NewLot {
    NewLot {
        id,
        material: lot.material.clone(),
        form: lot.form.clone(),
        origin_kind: None,
        net_mass: mass,
        custody_model: lot.custody_model,
        grades: lot.grades.clone(),
        composition: None,
    }
}

/// What a part takes over from its lot.
pub(super) fn right_of(lot: &Lot, mass: Grams) -> BirthRight {
    BirthRight {
        origin_kinds: lot.origin_kinds,
        owner: lot.owner,
        possessor: lot.possessor,
        site: lot.site,
        origin_region: lot.origin_region.clone(),
        invoice_class: lot.invoice_class,
        tally: lot.tally.share(mass, lot.initial_mass),
        has_earned: lot.has_earned,
    }
}

/// The acting party, found by admission.
pub(super) fn actor_of<V: View>(work: &Work<'_, V>) -> Result<Arc<PartyState>, Rejection> {
    work.actor.clone().ok_or(Rejection::ActorUnknown { actor: work.event.actor })
}

/// The event's site; the border lets no event on a lot pass without one.
pub(super) fn event_site<V: View>(work: &Work<'_, V>) -> Result<SiteId, Rejection> {
    let nowhere = SiteId::from_bytes([0; 16]);
    work.event.site.ok_or(Rejection::SiteUnknown { site: nowhere })
}

pub(super) fn check_carrier<V: View>(
    work: &Work<'_, V>,
    manifest: Option<&Manifest>,
) -> Verdict<(), V> {
    match manifest.and_then(|manifest| manifest.carrier) {
        Some(carrier) => work.party(carrier).map(drop),
        None => Ok(()),
    }
}

/// R7: hazardous waste goes with a manifest.
pub(super) fn check_manifest(
    code: &str,
    material: &Material,
    manifest: Option<&Manifest>,
) -> Result<(), Rejection> {
    if material.waste_code.is_empty() || manifest.is_some() {
        return Ok(());
    }
    let waste_code = material.waste_code.clone();
    Err(Rejection::ManifestMissing { material: code.to_owned(), waste_code })
}

/// R5: net = gross - tare.
pub(super) fn check_weighing(weighing: &Weighing) -> Result<(), Rejection> {
    let Weighing { gross, tare, net, .. } = weighing;
    if gross.checked_sub(*tare) == Some(*net) {
        return Ok(());
    }
    Err(Rejection::WeighingMismatch { gross: *gross, tare: *tare, net: *net })
}

/// What a new lot's composition says is in it, if that can be true.
pub(super) fn declared<V: View>(
    work: &Work<'_, V>,
    new: &NewLot,
) -> Result<Option<Contents>, Rejection> {
    let Some(composition) = &new.composition else { return Ok(None) };
    let tables = work.tables()?;
    composition_fault(new.id, composition, tables)?;
    Ok(Some(contents(composition, new.net_mass, tables)))
}

pub(super) fn birth(new: &NewLot, contents: Option<Contents>) -> Birth {
    Birth { lot: new.id, mass: new.net_mass, contents }
}

fn kinds_of(new: &NewLot) -> OriginKinds {
    // The border lets no lot enter without an origin kind; without one it would be unknown.
    OriginKinds::of(new.origin_kind.unwrap_or(OriginKind::Unknown))
}

/// R1, and no ore without the role: ore needs its own row of the permission table.
fn check_ore_comes_in<V: View>(
    work: &Work<'_, V>,
    party: &PartyState,
    material: &Material,
    new: &NewLot,
) -> Result<(), Rejection> {
    let kinds = kinds_of(new);
    let found = match &new.composition {
        Some(composition) => contents(composition, new.net_mass, work.tables()?),
        None => Contents::default(),
    };
    work.check_ore(party, new.id, material, kinds, &found)?;
    let is_ore = kinds.contains(OriginKind::Ore) || material.is_ore_product;
    if is_ore && check_permission(work, party, "COLLECT_ORE").is_err() {
        let id: PartyId = party.party.id;
        return Err(Rejection::OreForbidden { party: id, lot: new.id, origin_kinds: kinds });
    }
    Ok(())
}

impl<V: View> Work<'_, V> {
    /// A draw that is recorded in a movement as well.
    pub(super) fn draw_into(&mut self, movement: &mut Movement, lot: Lot, mass: Grams) -> Contents {
        movement.draws.push(super::super::event::LotDraw { lot: lot.id, mass });
        self.draw(lot, mass)
    }
}
