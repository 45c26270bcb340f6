//! A1: a yield outside the band of the process table, or far from what the plant had in its own
//! last periods.
//!
//! Periods are campaigns; where there are none, months. An element that most of comes out in
//! residues, in a process that separates several, is no product there: outputs and residues
//! together are held against the low end alone.

use std::collections::BTreeSet;

use super::super::anomaly::{Number, Rule, Severity};
use super::super::book::{Book, Seen};
use super::found::{About, Found, count, fraction, grams};
use super::yields::{self, Flow, Flows, Months, Plant};
use crate::domain::credit::Month;
use crate::domain::event::CloseCampaign;
use crate::domain::tables::Process;
use crate::domain::vocabulary::Substance;
use crate::domain::{Body, CampaignId, EntryIndex};
use crate::limits::{LOOK_BACK_MONTHS, WHOLE_E8};

/// The last months of every plant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Notes {
    months: Months,
}

/// How far from a band is how grave.
struct Margins {
    near: i128,
    far: i128,
}

impl Margins {
    fn severity(&self, distance: i128) -> Severity {
        if distance <= self.near {
            Severity::Low
        } else if distance <= self.far {
            Severity::Medium
        } else {
            Severity::High
        }
    }
}

impl Notes {
    pub(super) fn look(&mut self, seen: &Seen<'_>, book: &Book, found: &mut Found<'_>) {
        self.months.learn(seen, book);
        match &seen.event.body {
            Body::TransformLots(_) => self.melt(seen, book, found),
            Body::CloseCampaign(close) => campaign(seen, book, close, found),
            _ => {}
        }
    }

    fn melt(&mut self, seen: &Seen<'_>, book: &Book, found: &mut Found<'_>) {
        for (plant, month, flows) in yields::of_entry(book, seen.fact.index) {
            let process = seen.tables.process(&plant.1, seen.event.occurred_at);
            let Some(process) = process else { continue };
            let about = found.about_event();
            for (substance, flow) in judged(process, &flows, found) {
                against_band(process, substance, flow, about, Vec::new, found);
            }
            self.own_months(book, (&plant, month, process), found);
        }
    }

    /// The month so far against the months before it.
    fn own_months(
        &mut self,
        book: &Book,
        (plant, month, process): (&Plant, Month, &Process),
        found: &mut Found<'_>,
    ) {
        let before: Vec<Flows> = self.months.before(plant, month).cloned().collect();
        let Some(past) = self.months.month(plant, month) else { return };
        let about = About { lot: None, ..found.about_event() };
        for (substance, flow) in judged(process, &past.flows.clone(), found) {
            let Some(far) = off_own(substance, flow, before.iter(), found) else { continue };
            if past.is_news(substance, far.0) {
                let entries = yields::entries_of_month(book, plant, month);
                found.raise(Rule::A1, far.1, far.0, about, entries, far.2);
            }
        }
    }
}

fn campaign(seen: &Seen<'_>, book: &Book, close: &CloseCampaign, found: &mut Found<'_>) {
    let id = close.campaign;
    let Some(run) = book.run(id) else { return };
    let Some(process) = seen.tables.process(&run.process, seen.event.occurred_at) else { return };
    let mut closed: Vec<(EntryIndex, CampaignId)> = book
        .runs()
        .filter(|(other, it)| *other != id && (it.site, &it.process) == (run.site, &run.process))
        .filter_map(|(other, it)| it.closed.map(|(at, _)| (at, other)))
        .collect();
    closed.sort_unstable_by(|one, other| other.cmp(one));
    closed.truncate(LOOK_BACK_MONTHS as usize);
    let wanted: BTreeSet<CampaignId> = closed.iter().map(|(_, it)| *it).chain([id]).collect();
    let mut flows = yields::of_campaigns(book, &wanted);
    let mut own = flows.remove(&id).unwrap_or_default();
    own.retain(|substance, _| yields::is_known_in_stock(seen, *substance));
    let about = About { campaign: Some(id), lot: None, ..found.about_event() };
    for (substance, flow) in judged(process, &own, found) {
        let entries = || yields::entries_of_campaign(book, id);
        against_band(process, substance, flow, about, entries, found);
        if let Some((severity, variant, numbers)) = off_own(substance, flow, flows.values(), found)
        {
            found.raise(Rule::A1, variant, severity, about, entries(), numbers);
        }
    }
}

/// The elements that the process balances and that there is enough of to have a yield.
fn judged(process: &Process, flows: &Flows, found: &Found<'_>) -> Vec<(Substance, Flow)> {
    let Some(least) = found.limit("YIELD_ELEMENT_MIN_E8") else { return Vec::new() };
    let of = |it: &Substance| flows.get(it).copied().map(|flow| (*it, flow));
    let all: Vec<(Substance, Flow)> = process.balances.iter().filter_map(of).collect();
    let sum: i128 = all.iter().map(|(_, flow)| flow.into).sum();
    let is_enough =
        |flow: &Flow| flow.into * i128::from(WHOLE_E8) >= i128::from(least) * sum && flow.into > 0;
    all.into_iter().filter(|(_, flow)| is_enough(flow)).collect()
}

fn against_band(
    process: &Process,
    substance: Substance,
    flow: Flow,
    about: About,
    entries: impl Fn() -> Vec<EntryIndex>,
    found: &mut Found<'_>,
) {
    let is_separated = process.balances.len() > 1 && flow.is_by_product();
    let judged = if is_separated { Flow { out: flow.out + flow.rest, ..flow } } else { flow };
    let Some(recovery) = judged.recovery() else { return };
    let (low, high) = process.usual_yield;
    let (low, high) = (i128::from(low.get()), i128::from(high.get()));
    let (variant, distance, names) = if recovery < low {
        ("under_band", low - recovery, ["YIELD_NEAR_UNDER_E8", "YIELD_FAR_UNDER_E8"])
    } else if recovery > high && !is_separated {
        ("over_band", recovery - high, ["YIELD_NEAR_OVER_E8", "YIELD_FAR_OVER_E8"])
    } else {
        return;
    };
    let [Some(near), Some(far)] = names.map(|name| found.limit(name)) else { return };
    let margins = Margins { near: near.into(), far: far.into() };
    let mut numbers = numbers_of(substance, judged, recovery);
    numbers.extend([fraction("band_low", low), fraction("band_high", high)]);
    found.raise(Rule::A1, variant, margins.severity(distance), about, entries(), numbers);
}

/// How far a period is from those before it, all of them taken together.
fn off_own<'a>(
    substance: Substance,
    flow: Flow,
    before: impl Iterator<Item = &'a Flows>,
    found: &Found<'_>,
) -> Option<(Severity, &'static str, Vec<Number>)> {
    let limit = i128::from(found.limit("YIELD_OWN_DEVIATION_E8")?);
    let least = found.limit("YIELD_OWN_PERIODS_MIN")?;
    let known = before.filter_map(|flows| flows.get(&substance)).filter(|flow| flow.into > 0);
    let known: Vec<Flow> = known.take(LOOK_BACK_MONTHS as usize).copied().collect();
    if (known.len() as u64) < least.max(1) {
        return None;
    }
    let usual = known.iter().fold(Flow::default(), |sum, flow| sum.plus(*flow)).recovery()?;
    let recovery = flow.recovery()?;
    let distance = (recovery - usual).abs();
    if distance <= limit {
        return None;
    }
    let severity = if distance > 2 * limit { Severity::High } else { Severity::Medium };
    let variant = if recovery > usual { "over_own" } else { "under_own" };
    let mut numbers = numbers_of(substance, flow, recovery);
    let periods = i128::try_from(known.len()).unwrap_or_default();
    numbers.extend([
        fraction("own_recovery", usual),
        fraction("limit", limit),
        count("periods", periods),
    ]);
    Some((severity, variant, numbers))
}

fn numbers_of(substance: Substance, flow: Flow, recovery: i128) -> Vec<Number> {
    vec![
        count("atomic_number", substance.number()),
        grams("into", flow.into),
        grams("out", flow.out),
        fraction("recovery", recovery),
    ]
}
