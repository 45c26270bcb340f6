//! Lots are made into others: merges and transforms, with mass and elements balanced.

use std::collections::{BTreeMap, BTreeSet};

use super::super::effects::View;
use super::super::event::{LotDraw, MergeLots, NewLot, TransformLots};
use super::super::ids::{LotId, PartyId};
use super::super::lot::{Contents, Lot, Tally};
use super::super::rejection::Rejection;
use super::super::units::Grams;
use super::super::vocabulary::{InvoiceClass, OriginKind, OriginKinds, Substance};
use super::Verdict;
use super::lots::{actor_of, birth, check_usable, declared, event_site};
use super::work::{BirthRight, Work};

/// Lots of one class, site and owner become one.
pub(super) fn merge<V: View>(work: &mut Work<'_, V>, merge: &MergeLots) -> Verdict<(), V> {
    let output = &merge.output;
    work.check_laboratories(&[output])?;
    work.check_materials_of(merge.parents.iter().map(|draw| draw.lot))?;
    work.check_codes(&[output])?;
    let lots = used_lots(work, &merge.parents, &[output])?;
    check_usable(work, &lots)?;
    check_lawful(work, &lots, &[output])?;
    let owner = common_owner(&lots)?;
    check_one_class(work, output, &lots)?;
    work.check_available(&merge.parents, &lots)?;
    let into = Grams::sum(merge.parents.iter().map(|draw| draw.mass));
    let out = u128::from(output.net_mass.get());
    if into != out {
        return Err(Rejection::MassNotConserved { into, out }.into());
    }
    let found = declared(work, output)?;
    let draws = taken(&merge.parents, &lots);
    check_elements(&[], &draws, &[(output.id, found.as_ref())], &[])?;

    let pooled = pool_contents(output.net_mass, &draws);
    let mut movement = work.movement();
    for (draw, lot) in merge.parents.iter().zip(&lots) {
        work.draw_into(&mut movement, lot.clone(), draw.mass);
    }
    movement.births.push(birth(output, found.clone()));
    movement.output_count = 1;
    let mut right = right_by(work, owner, &lots)?;
    right.invoice_class = class_of_most(&merge.parents, &lots);
    for (draw, lot) in merge.parents.iter().zip(&lots) {
        right.tally = right.tally.plus(lot.tally.share(draw.mass, lot.initial_mass));
    }
    work.bear(output, found.unwrap_or(pooled), right);
    work.effects.movement = Some(movement);
    Ok(())
}

/// R9: a gram of another class does not change how the rest was bought: it is the class of the most
/// grams, of equally many that which comes first.
fn class_of_most(draws: &[LotDraw], lots: &[Lot]) -> Option<InvoiceClass> {
    let mut grams: BTreeMap<Option<InvoiceClass>, u128> = BTreeMap::new();
    for (draw, lot) in draws.iter().zip(lots) {
        *grams.entry(lot.invoice_class).or_default() += u128::from(draw.mass.get());
    }
    // Of equal ones the last is taken, so the order is turned round.
    let most = grams.into_iter().rev().max_by_key(|(_, grams)| *grams);
    most.and_then(|(class, _)| class)
}

/// Lots are made into other lots by a process.
pub(super) fn transform<V: View>(work: &mut Work<'_, V>, melt: &TransformLots) -> Verdict<(), V> {
    let made: Vec<&NewLot> = melt.outputs.iter().chain(&melt.residues).collect();
    let draws: Vec<LotDraw> = melt.inputs.iter().chain(&melt.additions).copied().collect();
    work.check_laboratories(&made)?;
    work.check_materials_of(draws.iter().map(|draw| draw.lot))?;
    work.check_codes(&made)?;
    let balances = check_process(work, &melt.process)?;
    let lots = used_lots(work, &draws, &made)?;
    check_usable(work, &lots)?;
    check_lawful(work, &lots, &made)?;
    let owner = common_owner(&lots)?;
    work.check_available(&draws, &lots)?;
    check_mass(melt)?;
    let mut found = Vec::with_capacity(made.len());
    for new in &made {
        found.push(declared(work, new)?);
    }
    let came: Vec<_> = made.iter().zip(&found).map(|(new, it)| (new.id, it.as_ref())).collect();
    let (outputs, residues) = came.split_at(melt.outputs.len());
    let into = taken(&draws, &lots);
    check_elements(&balances, &into, outputs, residues)?;

    let mut movement = work.movement();
    for (draw, lot) in draws.iter().zip(&lots) {
        work.draw_into(&mut movement, lot.clone(), draw.mass);
    }
    let has_earned = work.earn(&lots, &into)?;
    movement.output_count = melt.outputs.len();
    movement.loss = total(melt.losses.iter().map(|(_, mass)| *mass));
    movement.uptake = total(melt.uptakes.iter().map(|(_, mass)| *mass));
    for (new, contents) in made.iter().zip(found) {
        movement.births.push(birth(new, contents.clone()));
        let right = BirthRight { has_earned, ..right_by(work, owner, &lots)? };
        work.bear(new, contents.unwrap_or_default(), right);
    }
    work.effects.movement = Some(movement);
    Ok(())
}

/// Named once, new ones new, drawn ones known: the drawn lots, in the order of the draws.
pub(super) fn used_lots<V: View>(
    work: &Work<'_, V>,
    draws: &[LotDraw],
    made: &[&NewLot],
) -> Verdict<Vec<Lot>, V> {
    let new = made.iter().map(|new| new.id);
    work.check_named_once(draws.iter().map(|draw| draw.lot).chain(new.clone()))?;
    work.check_new(new)?;
    draws.iter().map(|draw| work.lot(draw.lot)).collect()
}

pub(super) fn check_process<V: View>(
    work: &Work<'_, V>,
    code: &str,
) -> Result<Vec<Substance>, Rejection> {
    let Some(process) = work.tables()?.process(code, work.at()) else {
        return Err(Rejection::ProcessUnknown { code: code.to_owned() });
    };
    let runs_here =
        work.site.as_ref().is_some_and(|site| site.processes.iter().any(|it| it == code));
    if !runs_here {
        let (code, site) = (code.to_owned(), event_site(work)?);
        return Err(Rejection::ProcessNotAtSite { code, site });
    }
    Ok(process.balances.clone())
}

/// R1 over all lots that go in and come out, and R7 over those that go in.
pub(super) fn check_lawful<V: View>(
    work: &Work<'_, V>,
    lots: &[Lot],
    made: &[&NewLot],
) -> Result<(), Rejection> {
    let actor = actor_of(work)?;
    for lot in lots {
        let material = work.material(&lot.material)?;
        work.check_ore(&actor, lot.id, material, lot.origin_kinds, &lot.contents)?;
    }
    for new in made {
        // By what it is called alone: what it is made of was judged above.
        let material = work.material(&new.material)?;
        if material.is_ore_product {
            let ore = OriginKinds::of(OriginKind::Ore);
            work.check_ore(&actor, new.id, material, ore, &Contents::default())?;
        }
    }
    for lot in lots {
        work.check_permit(&actor, &work.material(&lot.material)?.waste_code)?;
    }
    Ok(())
}

/// R10: what is made from one party's property is that party's property; from two parties' it would
/// not be known whose.
pub(super) fn common_owner(lots: &[Lot]) -> Result<PartyId, Rejection> {
    let Some(first) = lots.first() else {
        return Err(Rejection::MassNotConserved { into: 0, out: 0 }); // the border asks for an input
    };
    let other = first.owner;
    let stray = lots.iter().find(|lot| lot.owner != other);
    stray.map_or(Ok(other), |lot| {
        Err(Rejection::MergeOwnersDiffer { lot: lot.id, owner: lot.owner, other })
    })
}

/// One merge group and one waste code: hazardous only with hazardous of its kind.
fn check_one_class<V: View>(
    work: &Work<'_, V>,
    output: &NewLot,
    lots: &[Lot],
) -> Result<(), Rejection> {
    let class_of = |code: &str| -> Result<String, Rejection> {
        let row = work.material(code)?;
        let waste = if row.waste_code.is_empty() { "" } else { " hazardous " };
        Ok(format!("{}{waste}{}", row.merge_group, row.waste_code))
    };
    let other = class_of(&output.material)?;
    for lot in lots {
        let group = class_of(&lot.material)?;
        if group != other {
            return Err(Rejection::MergeClassesDiffer { lot: lot.id, group, other });
        }
    }
    Ok(())
}

/// R5.
fn check_mass(melt: &TransformLots) -> Result<(), Rejection> {
    let drawn = melt.inputs.iter().chain(&melt.additions).map(|draw| draw.mass);
    let into = Grams::sum(drawn.chain(melt.uptakes.iter().map(|(_, mass)| *mass)));
    let made = melt.outputs.iter().chain(&melt.residues).map(|new| new.net_mass);
    let out = Grams::sum(made.chain(melt.losses.iter().map(|(_, mass)| *mass)));
    if into == out { Ok(()) } else { Err(Rejection::MassNotConserved { into, out }) }
}

/// What the draws take, each with its lot.
pub(super) fn taken(draws: &[LotDraw], lots: &[Lot]) -> Vec<(LotId, Contents)> {
    let share = |(draw, lot): (&LotDraw, &Lot)| {
        let after = lot.remaining.checked_sub(draw.mass).unwrap_or_default();
        (lot.id, lot.contents.drawn(lot.remaining, after))
    };
    draws.iter().zip(lots).map(share).collect()
}

/// R6. Balanced are the substances that the process names and every one that is said to come out:
/// who says that it came out also says, by assays, how much went in.
fn check_elements(
    balances: &[Substance],
    into: &[(LotId, Contents)],
    outputs: &[(LotId, Option<&Contents>)],
    residues: &[(LotId, Option<&Contents>)],
) -> Result<(), Rejection> {
    let mut judged: BTreeSet<Substance> = balances.iter().copied().collect();
    let said = outputs.iter().chain(residues).filter_map(|(_, contents)| *contents);
    for item in said.clone().flat_map(|contents| &contents.items) {
        if !item.contained.is_zero() {
            judged.insert(item.substance);
        }
    }
    for &substance in &judged {
        if let Some((lot, _)) = into.iter().find(|(_, contents)| contents.of(substance).is_none()) {
            return Err(Rejection::AssayMissing { lot: *lot, substance });
        }
    }
    for &substance in balances {
        let lacks = |contents: Option<&Contents>| {
            contents.and_then(|contents| contents.of(substance)).is_none()
        };
        if let Some((lot, _)) = outputs.iter().find(|(_, contents)| lacks(*contents)) {
            return Err(Rejection::AssayMissing { lot: *lot, substance });
        }
    }
    for &substance in &judged {
        let (went_in, error_in) = sum(substance, into.iter().map(|(_, contents)| contents));
        let (out, error_out) = sum(substance, said.clone());
        let uncertainty = error_in + error_out;
        if out > went_in + uncertainty {
            return Err(Rejection::ElementGained { substance, into: went_in, out, uncertainty });
        }
    }
    Ok(())
}

/// Grams of a substance and their uncertainties, added linearly.
fn sum<'a>(substance: Substance, all: impl Iterator<Item = &'a Contents>) -> (u128, u128) {
    all.filter_map(|contents| contents.of(substance)).fold((0, 0), |(grams, errors), item| {
        (grams + u128::from(item.contained.get()), errors + u128::from(item.uncertainty.get()))
    })
}

/// What a merge without analysis holds: sums of the substances that were looked for in every
/// parent.
fn pool_contents(of_mass: Grams, draws: &[(LotId, Contents)]) -> Contents {
    let Some((_, first)) = draws.first() else { return Contents::default() };
    let is_known = |substance| draws.iter().all(|(_, it)| it.of(substance).is_some());
    let known = first.items.iter().filter(|item| is_known(item.substance));
    let items = known.map(|item| {
        let (contained, uncertainty) = sum(item.substance, draws.iter().map(|(_, it)| it));
        super::super::lot::Content {
            substance: item.substance,
            contained: Grams::of(u64::try_from(contained).unwrap_or(u64::MAX)),
            uncertainty: Grams::of(u64::try_from(uncertainty).unwrap_or(u64::MAX)),
        }
    });
    Contents { of_mass, items: items.collect() }
}

/// What a lot makes what is made of it. What is made of an ore product is of ore, however the ore
/// came in (R1) and whatever the product is called.
pub(super) fn kinds_of<V: View>(work: &Work<'_, V>, lot: &Lot) -> Result<OriginKinds, Rejection> {
    let is_ore = work.material(&lot.material)?.is_ore_product;
    let ore = if is_ore { OriginKinds::of(OriginKind::Ore) } else { OriginKinds::default() };
    Ok(lot.origin_kinds.union(ore))
}

/// Owner of the inputs, hands and place of the event, every origin kind of what went in.
fn right_by<V: View>(
    work: &Work<'_, V>,
    owner: PartyId,
    lots: &[Lot],
) -> Result<BirthRight, Rejection> {
    let mut kinds = OriginKinds::default();
    for lot in lots {
        kinds = kinds.union(kinds_of(work, lot)?);
    }
    Ok(BirthRight {
        origin_kinds: kinds,
        owner,
        possessor: work.event.actor,
        site: event_site(work)?,
        origin_region: String::new(),
        invoice_class: None,
        tally: Tally::default(),
        has_earned: lots.iter().any(|lot| lot.has_earned),
    })
}

/// A sum of at most eight lines of at most 1e12 g each.
pub(super) fn total(masses: impl Iterator<Item = Grams>) -> Grams {
    Grams::of(masses.map(Grams::get).fold(0, u64::saturating_add))
}
