//! Campaigns: lots are charged to a continuous process and drawn from it, and its balance is struck
//! over a period.
//!
//! Between the charges and the draws nobody knows whose grams are whose. So what is judged at a
//! draw is judged against everything that was charged so far, and the mass, with its losses and
//! uptakes, at the close.

use super::super::campaign::{Amount, Campaign, Closing, Flow, Opening};
use super::super::composition::{composition_fault, contents};
use super::super::effects::View;
use super::super::event::{
    ChargeCampaign, CloseCampaign, Composition, DrawCampaign, LotDraw, NewLot, OpenCampaign,
};
use super::super::flag::{Flag, Variance};
use super::super::ids::{CampaignId, LotId, PartyId};
use super::super::lot::{Contents, Delta, EventRecord, Lot, Tally};
use super::super::movement::InProcess;
use super::super::rejection::Rejection;
use super::super::units::{Grams, TimeMs};
use super::super::vocabulary::{EventKind, OriginKind, OriginKinds, Substance};
use super::super::waiver::OPENING_STOCK;
use super::Verdict;
use super::lots::{actor_of, birth, check_usable, declared, event_site};
use super::transform::{
    check_lawful, check_process, common_owner, kinds_of, taken, total, used_lots,
};
use super::work::{BirthRight, Work};
use crate::limits::{MAX_BLOCKING_LISTED, MAX_CAMPAIGN_EVENTS, WHOLE_E8};

const VARIANCE_LIMIT: &str = "PERIOD_VARIANCE_FLAG_E8";

/// A period begins, with what the one before it left.
pub(super) fn open<V: View>(work: &mut Work<'_, V>, open: &OpenCampaign) -> Verdict<(), V> {
    check_laboratory(work, open.opening_composition.as_ref())?;
    let balances = check_process(work, &open.process)?;
    let id = open.campaign;
    if work.read(|view| view.campaign(id))?.is_some() {
        return Err(Rejection::CampaignExists { campaign: id }.into());
    }
    let site = event_site(work)?;
    let line = work.read(|view| view.line(site, &open.process))?.unwrap_or_default();
    let mut before = line.last.map(|last| work.campaign(last)).transpose()?;
    if let Some(running) = before.as_ref().filter(|before| before.closing.is_none()) {
        let (campaign, process) = (running.id, open.process.clone());
        return Err(Rejection::CampaignRunning { campaign, process, site }.into());
    }
    let opening = opening(work, open, before.as_ref())?;
    check_stock_analysed(id, &balances, &opening.stock)?;
    if let Some(before) = &before {
        check_not_before(work, before)?;
    }

    let is_empty = opening.stock.of_mass.is_zero();
    let owner = opening_owner(work, before.as_ref(), &opening);
    let campaign = Campaign {
        id,
        process: open.process.clone(),
        balances,
        party: work.event.actor,
        site,
        owner,
        before: line.last,
        opened_at: work.moment.index,
        opened_by: work.event.id,
        opened_occurred_at: work.at(),
        opening,
        inputs: Flow::default(),
        additions: Flow::default(),
        outputs: Flow::default(),
        residues: Flow::default(),
        closing: None,
        last_occurred_at: work.at(),
        retracted_by: None,
        life: Vec::new(),
    };
    let mut movement = work.movement();
    movement.campaign = Some(id);
    // Also where a waiver says that there is more or less: who recalls what was charged before
    // finds it here.
    let leaving = before.as_ref().filter(|before| !left_by(Some(before)).of_mass.is_zero());
    movement.stock = (!is_empty).then(|| InProcess {
        mass: campaign.opening.stock.of_mass,
        contents: campaign.opening.stock.clone(),
        from: leaving.map(|before| before.id),
        left: left_by(before.as_ref()),
    });
    work.effects.movement = Some(movement);
    if let Some(before) = before.as_mut() {
        // A trace that goes forward finds here where the closing stock went.
        before.life.push((work.moment.index, work.event.id));
        work.put_campaign(before.clone());
    }
    work.put_line(&campaign, Some(id));
    work.delta(Delta::CampaignOpened(id));
    put(work, campaign);
    Ok(())
}

/// Whose the opening stock is: of whom it was when the campaign before left it, also when a waiver
/// says that it is more or less; of stock that nothing left, the actor.
fn opening_owner<V: View>(
    work: &Work<'_, V>,
    before: Option<&Campaign>,
    opening: &Opening,
) -> Option<PartyId> {
    if opening.stock.of_mass.is_zero() {
        return None;
    }
    let leaving = before.filter(|before| !left_by(Some(before)).of_mass.is_zero());
    let owner = leaving.and_then(|before| before.owner);
    owner.or_else(|| opening.waived_by.map(|_| work.event.actor))
}

/// The stock that is in process at the opening: gram by gram what the campaign before left, or what
/// a coordinator's waiver lets in.
fn opening<V: View>(
    work: &Work<'_, V>,
    open: &OpenCampaign,
    before: Option<&Campaign>,
) -> Verdict<Opening, V> {
    let left = left_by(before);
    let leaves = before.filter(|_| !left.of_mass.is_zero());
    let kinds_left = leaves.map(Campaign::origin_kinds).unwrap_or_default();
    let has_earned = leaves.is_some_and(Campaign::has_earned);
    let stated =
        stock_contents(work, open.campaign, open.opening_stock, open.opening_composition.as_ref());
    let differs = difference(open, &left, stated.as_ref().ok().and_then(Option::as_ref));
    let Some((substance, stated_g, expected)) = differs else {
        stated?;
        return Ok(Opening { stock: left, kinds: kinds_left, waived_by: None, has_earned });
    };
    let mismatch = Rejection::OpeningStockMismatch {
        campaign: open.campaign,
        substance,
        stated: stated_g,
        expected,
    };
    let subject = open.campaign.to_string();
    let Some(waiver) = work.waiver_in_force(OPENING_STOCK, &subject)? else {
        return Err(mismatch.into());
    };
    let nothing = Contents { of_mass: open.opening_stock, items: Vec::new() };
    let stock = stated?.unwrap_or(nothing);
    // That the grams differ does not make what was left of no origin.
    let kinds = match stock.of_mass {
        Grams::ZERO => OriginKinds::default(),
        _ => kinds_left.union(OriginKinds::of(OriginKind::Unknown)),
    };
    Ok(Opening { stock, kinds, waived_by: Some(waiver), has_earned })
}

/// What a campaign left in process; nothing when there was none.
fn left_by(before: Option<&Campaign>) -> Contents {
    let closing = before.and_then(|before| before.closing.as_ref());
    closing.map(|closing| closing.stock.clone()).unwrap_or_default()
}

/// Where the stock that is stated differs from what was left: of what, stated and left.
fn difference(
    open: &OpenCampaign,
    left: &Contents,
    stated: Option<&Contents>,
) -> Option<(Option<Substance>, Grams, Grams)> {
    if open.opening_stock != left.of_mass {
        return Some((None, open.opening_stock, left.of_mass));
    }
    let stated = stated?; // without an analysis of its own it is what was left
    let grams = |contents: &Contents, substance| {
        contents.of(substance).map_or(Grams::ZERO, |found| found.contained)
    };
    let all = Substance::ALL.iter().copied();
    let differing = all.filter(|&substance| {
        grams(stated, substance) != grams(left, substance)
            || stated.of(substance).is_some() != left.of(substance).is_some()
    });
    differing
        .map(|substance| (Some(substance), grams(stated, substance), grams(left, substance)))
        .next()
}

/// Lots go in.
pub(super) fn charge<V: View>(work: &mut Work<'_, V>, charge: &ChargeCampaign) -> Verdict<(), V> {
    let draws: Vec<LotDraw> = charge.inputs.iter().chain(&charge.additions).copied().collect();
    work.check_materials_of(draws.iter().map(|draw| draw.lot))?;
    let mut campaign = open_campaign(work, charge.campaign)?;
    check_room(&campaign)?;
    check_no_late_ore(work, &campaign, &draws)?;
    check_here(work, &campaign)?;
    let lots = used_lots(work, &draws, &[])?;
    check_usable(work, &lots)?;
    check_lawful(work, &lots, &[])?;
    let owner = charge_owner(&campaign, &lots)?;
    work.check_available(&draws, &lots)?;
    let came = taken(&draws, &lots);
    for substance in campaign.judged(&Contents::default()) {
        if let Some((lot, _)) = came.iter().find(|(_, it)| it.of(substance).is_none()) {
            return Err(Rejection::AssayMissing { lot: *lot, substance }.into());
        }
    }
    check_not_before(work, &campaign)?;

    let mut movement = work.movement();
    movement.campaign = Some(campaign.id);
    let (mut inputs, mut additions) = (Flow::default(), Flow::default());
    for (place, (draw, lot)) in draws.iter().zip(&lots).enumerate() {
        let tally = if place < charge.inputs.len() { &mut inputs } else { &mut additions };
        let share = work.draw_into(&mut movement, lot.clone(), draw.mass);
        tally.add(&share, draw.mass, kinds_of(work, lot)?);
        tally.earned += u32::from(lot.has_earned || work.earns(lot, &share)?);
    }
    work.effects.movement = Some(movement);
    campaign.owner = Some(owner);
    campaign.inputs.plus(&inputs);
    campaign.additions.plus(&additions);
    work.delta(Delta::CampaignCharged(campaign.id, inputs.into(), additions.into()));
    work.earn(&lots, &came)?;
    put(work, campaign);
    Ok(())
}

/// R10: what is drawn is of all that was charged, so all of it is one party's property.
fn charge_owner(campaign: &Campaign, lots: &[Lot]) -> Result<PartyId, Rejection> {
    let owner = common_owner(lots)?;
    match (campaign.owner, lots.first()) {
        (Some(other), Some(lot)) if other != owner => {
            Err(Rejection::MergeOwnersDiffer { lot: lot.id, owner, other })
        }
        _ => Ok(owner),
    }
}

/// R1 through time: lots that were drawn say of what kinds they are. What would make them of ore
/// afterwards is not charged any more.
fn check_no_late_ore<V: View>(
    work: &Work<'_, V>,
    campaign: &Campaign,
    draws: &[LotDraw],
) -> Verdict<(), V> {
    if !campaign.has_draws() {
        return Ok(());
    }
    let known = campaign.origin_kinds();
    for draw in draws {
        let Some(lot) = work.read(|view| view.lot(draw.lot))? else { continue };
        let kinds = kinds_of(work, &lot)?;
        let is_new = |kind| kinds.contains(kind) && !known.contains(kind);
        if is_new(OriginKind::Ore) || is_new(OriginKind::Primary) {
            let rule = "ore and primary metal go in before the first lot is drawn, or not at all";
            return Err(Rejection::CampaignTakesNoMore { campaign: campaign.id, rule }.into());
        }
    }
    Ok(())
}

/// Lots come out.
pub(super) fn draw<V: View>(work: &mut Work<'_, V>, draw: &DrawCampaign) -> Verdict<(), V> {
    let made: Vec<&NewLot> = draw.outputs.iter().chain(&draw.residues).collect();
    work.check_laboratories(&made)?;
    work.check_codes(&made)?;
    let mut campaign = open_campaign(work, draw.campaign)?;
    check_room(&campaign)?;
    check_here(work, &campaign)?;
    used_lots(work, &[], &made)?;
    check_lawful(work, &[], &made)?;
    let kinds = campaign.origin_kinds();
    check_no_ore_drawn(work, &made, kinds)?;
    let Some(owner) = campaign.owner.filter(|_| campaign.is_fed()) else {
        let out = Grams::sum(made.iter().map(|new| new.net_mass));
        return Err(Rejection::MassNotConserved { into: 0, out }.into());
    };
    let mut found = Vec::with_capacity(made.len());
    for new in &made {
        found.push(declared(work, new)?);
    }
    check_outputs_analysed(&campaign, &draw.outputs, &found)?;
    let mut movement = work.movement();
    movement.campaign = Some(campaign.id);
    movement.output_count = draw.outputs.len();
    let (mut outputs, mut residues) = (Flow::default(), Flow::default());
    for (place, (new, said)) in made.iter().zip(&found).enumerate() {
        let tally = if place < draw.outputs.len() { &mut outputs } else { &mut residues };
        tally.add(&said.clone().unwrap_or_default(), new.net_mass, kinds);
        movement.births.push(birth(new, said.clone()));
    }
    campaign.outputs.plus(&outputs);
    campaign.residues.plus(&residues);
    check_elements(&campaign, &Contents::default())?;
    check_not_before(work, &campaign)?;

    for (new, said) in made.iter().zip(found) {
        let right = BirthRight {
            origin_kinds: kinds,
            owner,
            possessor: work.event.actor,
            site: campaign.site,
            origin_region: String::new(),
            invoice_class: None,
            tally: Tally::default(),
            has_earned: campaign.has_earned(),
        };
        work.bear(new, said.unwrap_or_default(), right);
    }
    work.effects.movement = Some(movement);
    work.delta(Delta::CampaignDrawn(campaign.id, outputs.into(), residues.into()));
    put(work, campaign);
    Ok(())
}

/// R1: who may not hold what was charged does not draw it either. Stock may be another party's
/// feed, from before the site changed hands; and roles end.
fn check_no_ore_drawn<V: View>(
    work: &Work<'_, V>,
    made: &[&NewLot],
    kinds: OriginKinds,
) -> Result<(), Rejection> {
    let actor = actor_of(work)?;
    for new in made {
        let material = work.material(&new.material)?;
        work.check_ore(&actor, new.id, material, kinds, &Contents::default())?;
    }
    Ok(())
}

/// What the process balances is declared of every output.
fn check_outputs_analysed(
    campaign: &Campaign,
    outputs: &[NewLot],
    found: &[Option<Contents>],
) -> Result<(), Rejection> {
    for &substance in &campaign.balances {
        for (new, said) in outputs.iter().zip(found) {
            if said.as_ref().and_then(|said| said.of(substance)).is_none() {
                return Err(Rejection::AssayMissing { lot: new.id, substance });
            }
        }
    }
    Ok(())
}

/// The period ends: every gram is accounted for, and no element came from nowhere.
pub(super) fn close<V: View>(work: &mut Work<'_, V>, close: &CloseCampaign) -> Verdict<(), V> {
    check_laboratory(work, close.closing_composition.as_ref())?;
    let mut campaign = open_campaign(work, close.campaign)?;
    check_here(work, &campaign)?;
    let (loss, uptake) = (
        total(close.losses.iter().map(|(_, mass)| *mass)),
        total(close.uptakes.iter().map(|(_, mass)| *mass)),
    );
    check_mass(&campaign, close.closing_stock, loss, uptake)?;
    let (stock, composition) = (close.closing_stock, close.closing_composition.as_ref());
    let stated = stock_contents(work, campaign.id, stock, composition);
    let nothing = Contents { of_mass: stock, items: Vec::new() };
    let stock = stated.as_ref().ok().cloned().flatten().unwrap_or(nothing);
    check_elements(&campaign, &stock)?;
    stated?;
    check_stock_analysed(campaign.id, &campaign.balances, &stock)?;
    check_not_before(work, &campaign)?;

    flag_variances(work, &campaign, &stock)?;
    let mut movement = work.movement();
    movement.campaign = Some(campaign.id);
    let (mass, contents) = (stock.of_mass, stock.clone());
    movement.stock = Some(InProcess { mass, contents, from: None, left: Contents::default() });
    (movement.loss, movement.uptake) = (loss, uptake);
    work.effects.movement = Some(movement);
    let (event, occurred_at) = (work.event.id, work.at());
    campaign.closing = Some(Closing { event, occurred_at, stock, loss, uptake });
    work.delta(Delta::CampaignClosed(campaign.id));
    put(work, campaign);
    Ok(())
}

/// R5.
fn check_mass(
    campaign: &Campaign,
    stock: Grams,
    loss: Grams,
    uptake: Grams,
) -> Result<(), Rejection> {
    let opening = campaign.opening.stock.of_mass;
    let into = Grams::sum([opening, campaign.inputs.mass, campaign.additions.mass, uptake]);
    let out = Grams::sum([campaign.outputs.mass, campaign.residues.mass, loss, stock]);
    if into == out { Ok(()) } else { Err(Rejection::MassNotConserved { into, out }) }
}

/// R6, of the whole campaign so far. Who says that something came out also says, by assays, how
/// much went in.
fn check_elements(campaign: &Campaign, stock: &Contents) -> Result<(), Rejection> {
    let judged = campaign.judged(stock);
    for &substance in &judged {
        let Some(into) = campaign.went_in(substance) else { continue };
        let stays = Amount::in_contents(stock, substance).unwrap_or_default();
        let out = campaign.came_out(substance).plus(stays);
        let uncertainty = into.uncertainty + out.uncertainty;
        if out.grams > into.grams + uncertainty {
            let (into, out) = (into.grams, out.grams);
            return Err(Rejection::ElementGained { substance, into, out, uncertainty });
        }
    }
    if let Some(unknown) = judged.iter().find(|it| campaign.went_in(**it).is_none()) {
        let detail = format!("{unknown} comes out, and not all that went in was analysed for it");
        return Err(Rejection::CampaignNotAnalysed { campaign: campaign.id, detail });
    }
    Ok(())
}

/// A13: what is balanced and neither came out nor stayed is lost or mismeasured; beyond the limit,
/// people look at it.
fn flag_variances<V: View>(
    work: &mut Work<'_, V>,
    campaign: &Campaign,
    stock: &Contents,
) -> Result<(), Rejection> {
    let Some(&limit) = work.tables()?.parameters.get(VARIANCE_LIMIT) else { return Ok(()) };
    let limit_e8 = u32::try_from(limit).unwrap_or(WHOLE_E8);
    for &substance in &campaign.balances {
        let into = campaign.went_in(substance).unwrap_or_default().grams;
        let stays = Amount::in_contents(stock, substance).unwrap_or_default();
        let out = campaign.came_out(substance).plus(stays).grams;
        // |into - out| / into > limit, cross-multiplied.
        if into.abs_diff(out) * u128::from(WHOLE_E8) > into * u128::from(limit_e8) {
            let whole = |grams: u128| Grams::of(u64::try_from(grams).unwrap_or(u64::MAX));
            let (into, out) = (whole(into), whole(out));
            work.flag(Flag::PeriodVariance(Variance { substance, into, out, limit_e8 }));
        }
    }
    Ok(())
}

// --- shared --------------------------------------------------------------------------------------

fn open_campaign<V: View>(work: &Work<'_, V>, id: CampaignId) -> Verdict<Campaign, V> {
    let campaign = work.campaign(id)?;
    let rule = match (&campaign.retracted_by, &campaign.closing) {
        (Some(_), _) => "its opening was declared an error",
        (None, Some(_)) => "it is closed",
        (None, None) => return Ok(campaign),
    };
    Err(Rejection::CampaignTakesNoMore { campaign: id, rule }.into())
}

/// Room for this event, and for the close and the next opening after it.
fn check_room(campaign: &Campaign) -> Result<(), Rejection> {
    if campaign.life.len() + 2 < MAX_CAMPAIGN_EVENTS {
        return Ok(());
    }
    let rule = "it has as many events as a campaign may have: close it";
    Err(Rejection::CampaignTakesNoMore { campaign: campaign.id, rule })
}

fn check_here<V: View>(work: &Work<'_, V>, campaign: &Campaign) -> Result<(), Rejection> {
    let (site, here) = (campaign.site, event_site(work)?);
    if site == here {
        return Ok(());
    }
    Err(Rejection::CampaignElsewhere { campaign: campaign.id, site, event_site: here })
}

/// R3. A corrective may be dated back to the event that it corrects, never before the opening.
fn check_not_before<V: View>(work: &Work<'_, V>, campaign: &Campaign) -> Result<(), Rejection> {
    let corrected = work.ledger.corrected_occurred_at;
    let last = campaign.last_occurred_at;
    let last = if work.is_corrective() {
        campaign.opened_occurred_at.max(last.min(corrected))
    } else {
        last
    };
    check_not_earlier(work, campaign.id, last)
}

fn check_not_earlier<V: View>(
    work: &Work<'_, V>,
    campaign: CampaignId,
    last: TimeMs,
) -> Result<(), Rejection> {
    let occurred_at = work.at();
    if occurred_at < last {
        return Err(Rejection::EventBeforeCampaign { campaign, last, occurred_at });
    }
    Ok(())
}

fn check_laboratory<V: View>(
    work: &Work<'_, V>,
    composition: Option<&Composition>,
) -> Verdict<(), V> {
    match composition.and_then(|composition| composition.laboratory) {
        Some(laboratory) => work.party(laboratory).map(drop),
        None => Ok(()),
    }
}

/// What a composition says is in the stock, if that can be true.
fn stock_contents<V: View>(
    work: &Work<'_, V>,
    campaign: CampaignId,
    mass: Grams,
    composition: Option<&Composition>,
) -> Result<Option<Contents>, Rejection> {
    let Some(composition) = composition else { return Ok(None) };
    let tables = work.tables()?;
    match composition_fault(LotId::pool(campaign), composition, tables) {
        Ok(()) => Ok(Some(contents(composition, mass, tables))),
        Err(Rejection::CompositionInconsistent { rule, sum_e8, limit_e8, .. }) => {
            let detail = format!("in process: {rule} ({sum_e8} against {limit_e8}, in 1e-8 parts)");
            Err(Rejection::CampaignNotAnalysed { campaign, detail })
        }
        Err(other) => Err(other),
    }
}

/// Of stock that is there, all is known that the process balances.
fn check_stock_analysed(
    campaign: CampaignId,
    balances: &[Substance],
    stock: &Contents,
) -> Result<(), Rejection> {
    let lacks = |substance: &&Substance| Amount::in_contents(stock, **substance).is_none();
    let Some(substance) = balances.iter().find(lacks) else { return Ok(()) };
    let detail = format!("what is in process has no value for {substance}, which is balanced");
    Err(Rejection::CampaignNotAnalysed { campaign, detail })
}

/// Keeps a campaign that this event used.
fn put<V: View>(work: &mut Work<'_, V>, mut campaign: Campaign) {
    campaign.last_occurred_at = campaign.last_occurred_at.max(work.at());
    campaign.life.push((work.moment.index, work.event.id));
    work.put_campaign(campaign);
}

// --- corrections ---------------------------------------------------------------------------------

/// The campaign that a delta is about.
pub(super) const fn campaign_of(delta: &Delta) -> Option<CampaignId> {
    match delta {
        Delta::CampaignOpened(id)
        | Delta::CampaignCharged(id, ..)
        | Delta::CampaignDrawn(id, ..)
        | Delta::CampaignClosed(id) => Some(*id),
        _ => None,
    }
}

/// Nothing is undone under an earlier date than it was done.
pub(super) fn check_not_before_target<V: View>(
    work: &Work<'_, V>,
    campaign: CampaignId,
    record: &EventRecord,
) -> Result<(), Rejection> {
    check_not_earlier(work, campaign, record.occurred_at)
}

/// Reverses what an event did to a campaign; refused, with the events in the way, where that was
/// built upon.
pub(super) fn undo<V: View>(
    work: &mut Work<'_, V>,
    record: &EventRecord,
    id: CampaignId,
    delta: &Delta,
) -> Verdict<(), V> {
    let mut campaign = work.campaign(id)?;
    let is_closing = matches!(delta, Delta::CampaignClosed(_));
    let is_free = if is_closing {
        let line = work.read(|view| view.line(campaign.site, &campaign.process))?;
        line.unwrap_or_default().last == Some(id)
    } else {
        campaign.closing.is_none()
    };
    let is_undone = is_free
        && match delta {
            Delta::CampaignOpened(_) => undo_open(work, record, &mut campaign)?,
            Delta::CampaignCharged(_, inputs, additions) => {
                campaign.inputs.minus(inputs);
                campaign.additions.minus(additions);
                campaign.owner = campaign.owner.filter(|_| campaign.is_fed());
                check_elements(&campaign, &Contents::default()).is_ok()
                    && (campaign.is_fed() || !campaign.has_draws())
            }
            Delta::CampaignDrawn(_, outputs, residues) => {
                campaign.outputs.minus(outputs);
                campaign.residues.minus(residues);
                true
            }
            Delta::CampaignClosed(_) => campaign.closing.take().is_some(),
            _ => false,
        };
    if !is_undone {
        return Err(blocked(work, record, id)?.into());
    }
    campaign.life.retain(|(_, event)| *event != record.id);
    work.put_campaign(campaign);
    Ok(())
}

/// A campaign goes away if nothing was done in it, and the one before it is the last again.
fn undo_open<V: View>(
    work: &mut Work<'_, V>,
    record: &EventRecord,
    campaign: &mut Campaign,
) -> Verdict<bool, V> {
    if campaign.life.iter().any(|(_, event)| *event != record.id) {
        return Ok(false);
    }
    if let Some(before) = campaign.before {
        let mut before = work.campaign(before)?;
        before.life.retain(|(_, event)| *event != record.id);
        work.put_campaign(before);
    }
    work.put_line(campaign, campaign.before);
    campaign.retracted_by = Some(work.event.id);
    Ok(true)
}

/// The refusal, with the later events of the campaign, newest first. A draw does not stand in the
/// way of another draw, and nothing but a draw or the close in that of a charge.
fn blocked<V: View>(
    work: &Work<'_, V>,
    record: &EventRecord,
    id: CampaignId,
) -> Verdict<Rejection, V> {
    let campaign = work.read(|view| view.campaign(id))?;
    let life = campaign.map(|campaign| campaign.life).unwrap_or_default();
    let (mut blocking, mut more) = (Vec::new(), 0_usize);
    for &(_, event) in life.iter().rev().filter(|(index, _)| *index > record.index) {
        let later = work.read(|view| view.event(event))?;
        let Some(later) = later.filter(|later| stands_in_the_way(record, later)) else { continue };
        if blocking.len() < MAX_BLOCKING_LISTED {
            blocking.push(later.id);
        } else {
            more += 1;
        }
    }
    // The id as it is told: a lot's or, here, a campaign's.
    let lot = LotId::from_bytes(*id.as_bytes());
    Ok(Rejection::CorrectionBlocked { target: record.id, lot, blocking, more })
}

fn stands_in_the_way(record: &EventRecord, later: &EventRecord) -> bool {
    use EventKind as K;
    !matches!(
        (record.kind, later.kind),
        (K::ChargeCampaign, K::ChargeCampaign)
            | (K::DrawCampaign, K::ChargeCampaign | K::DrawCampaign)
    )
}
