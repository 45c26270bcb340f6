//! A13: the balance of a period does not close within the limit. The rules of admission remark it
//! at the close of a campaign, with their numbers; here it becomes a flag like the others.

use super::super::anomaly::{Rule, Severity};
use super::super::book::{Book, Seen};
use super::found::{About, Found, fraction, grams, number, ratio_e8};
use crate::domain::Body;
use crate::domain::flag::Flag;

pub(super) fn look(seen: &Seen<'_>, book: &Book, found: &mut Found<'_>) {
    let Body::CloseCampaign(close) = &seen.event.body else { return };
    let opened = book.run(close.campaign).map(|run| run.opened_at);
    for flag in &seen.fact.flags {
        let Flag::PeriodVariance(variance) = flag else { continue };
        let (into, out) = (number(variance.into), number(variance.out));
        let apart = ratio_e8((into - out).abs(), into).unwrap_or_default();
        let limit = i128::from(variance.limit_e8);
        let severity = if apart > 2 * limit { Severity::High } else { Severity::Medium };
        let about = About { campaign: Some(close.campaign), ..found.about_event() };
        let numbers = vec![
            grams("into", into),
            grams("out", out),
            fraction("variance", apart),
            fraction("limit", limit),
        ];
        found.raise(Rule::A13, variance.substance.name(), severity, about, opened, numbers);
    }
}
