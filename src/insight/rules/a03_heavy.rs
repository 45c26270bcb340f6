//! A3: dysprosium or terbium recovered better than praseodymium and neodymium in the same period.
//! They go the same way through every process, so heavy ore was in the feed that nobody told.

use std::collections::BTreeSet;

use super::super::anomaly::{Number, Rule, Severity};
use super::super::book::{Book, Seen};
use super::found::{About, Found, fraction, grams};
use super::yields::{self, Flow, Flows, Months};
use crate::domain::Body;
use crate::domain::vocabulary::Substance;

/// The last months of every plant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Notes {
    months: Months,
}

impl Notes {
    pub(super) fn look(&mut self, seen: &Seen<'_>, book: &Book, found: &mut Found<'_>) {
        self.months.learn(seen, book);
        match &seen.event.body {
            Body::TransformLots(_) => self.melt(seen, book, found),
            Body::CloseCampaign(close) => {
                let id = close.campaign;
                let flows = yields::of_campaigns(book, &BTreeSet::from([id])).remove(&id);
                let mut flows = flows.unwrap_or_default();
                flows.retain(|substance, _| yields::is_known_in_stock(seen, *substance));
                let about = About { campaign: Some(id), lot: None, ..found.about_event() };
                for (substance, severity, numbers) in heavy(&flows, found) {
                    let entries = yields::entries_of_campaign(book, id);
                    found.raise(Rule::A3, substance.name(), severity, about, entries, numbers);
                }
            }
            _ => {}
        }
    }

    /// The month so far.
    fn melt(&mut self, seen: &Seen<'_>, book: &Book, found: &mut Found<'_>) {
        let about = About { lot: None, ..found.about_event() };
        for (plant, month, _) in yields::of_entry(book, seen.fact.index) {
            let Some(past) = self.months.month(&plant, month) else { continue };
            for (substance, severity, numbers) in heavy(&past.flows.clone(), found) {
                if past.is_news(substance, severity) {
                    let entries = yields::entries_of_month(book, &plant, month);
                    found.raise(Rule::A3, substance.name(), severity, about, entries, numbers);
                }
            }
        }
    }
}

fn heavy(flows: &Flows, found: &Found<'_>) -> Vec<(Substance, Severity, Vec<Number>)> {
    let of = |it: Substance| flows.get(&it).copied().unwrap_or_default();
    let light = of(Substance::Pr).plus(of(Substance::Nd));
    let limit = found.limit("HEAVY_OVER_PRND_E8").map(i128::from);
    let (Some(limit), Some(light_recovery)) = (limit, light.recovery()) else { return Vec::new() };
    // A process that leaves them for another one recovers none of them.
    if light.is_by_product() {
        return Vec::new();
    }
    let judge = |substance: Substance| {
        let flow: Flow = of(substance);
        let recovery = flow.recovery()?;
        let apart = recovery - light_recovery;
        let severity = if apart > 2 * limit { Severity::High } else { Severity::Medium };
        let numbers = vec![
            grams("into", flow.into),
            grams("out", flow.out),
            fraction("recovery", recovery),
            fraction("prnd_recovery", light_recovery),
            fraction("limit", limit),
        ];
        (apart > limit).then_some((substance, severity, numbers))
    };
    [Substance::Dy, Substance::Tb].into_iter().filter_map(judge).collect()
}
