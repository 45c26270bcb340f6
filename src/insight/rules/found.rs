//! Flags in the making.

use std::collections::BTreeSet;

use super::super::anomaly::{Anomaly, Number, Rule, Severity, Unit};
use super::super::book::{Book, Seen};
use super::super::posting::Account;
use crate::domain::{CampaignId, EntryIndex, Grams, LotId, PartyId, SiteId, TimeMs};
use crate::limits::MAX_EVIDENCE;

/// What one entry gives rise to.
pub(super) struct Found<'a> {
    seen: &'a Seen<'a>,
    anomalies: Vec<Anomaly>,
}

/// Whom and what a flag is about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct About {
    pub(super) party: Option<PartyId>,
    pub(super) site: Option<SiteId>,
    pub(super) lot: Option<LotId>,
    pub(super) campaign: Option<CampaignId>,
}

impl<'a> Found<'a> {
    pub(super) const fn new(seen: &'a Seen<'a>) -> Self {
        Self { seen, anomalies: Vec::new() }
    }

    pub(super) fn into_anomalies(self) -> Vec<Anomaly> {
        self.anomalies
    }

    /// About who acts, where, and the first lot that changes.
    pub(super) fn about_event(&self) -> About {
        let lot = self.seen.fact.lots.first().map(|change| change.lot);
        let (party, site) = (Some(self.seen.event.actor), self.seen.event.site);
        About { party, site, lot, campaign: None }
    }

    /// Raises a flag with this entry, and with what it rests on beside it: the newest of it, when
    /// that is more than a flag can name.
    pub(super) fn raise(
        &mut self,
        rule: Rule,
        variant: &'static str,
        severity: Severity,
        about: About,
        rests_on: impl IntoIterator<Item = EntryIndex>,
        numbers: Vec<Number>,
    ) {
        let at = self.seen.fact.index;
        let all: BTreeSet<EntryIndex> = rests_on.into_iter().chain([at]).collect();
        self.push((rule, variant, severity), about, self.seen.event.occurred_at, &all, numbers);
    }

    /// Raises a flag of A9 that time alone gave rise to: this entry is only the first that came
    /// after, and no evidence of it.
    pub(super) fn raise_for_time(
        &mut self,
        variant: &'static str,
        severity: Severity,
        about: About,
        due: TimeMs,
        rests_on: impl IntoIterator<Item = EntryIndex>,
        numbers: Vec<Number>,
    ) {
        let all: BTreeSet<EntryIndex> = rests_on.into_iter().collect();
        self.push((Rule::A9, variant, severity), about, due, &all, numbers);
    }

    fn push(
        &mut self,
        (rule, variant, severity): (Rule, &'static str, Severity),
        about: About,
        occurred_at: TimeMs,
        all: &BTreeSet<EntryIndex>,
        numbers: Vec<Number>,
    ) {
        let at = self.seen.fact.index;
        let entries = all.iter().skip(all.len().saturating_sub(MAX_EVIDENCE)).copied().collect();
        let place = self.anomalies.iter().filter(|it| it.rule == rule).count();
        let About { party, site, lot, campaign } = about;
        self.anomalies.push(Anomaly {
            id: format!("{rule}-{at}-{place}"),
            rule,
            severity,
            raised_at: at,
            occurred_at,
            party,
            site,
            lot,
            campaign,
            entries,
            numbers,
            variant,
            tables: self.seen.tables_hash,
            corrected_at: None,
        });
    }

    /// A limit of the tables in force; a rule without its limit says nothing.
    pub(super) fn limit(&self, name: &str) -> Option<u64> {
        self.seen.tables.parameters.get(name).copied()
    }
}

/// The entries behind a figure that stand: what was taken back, and what took it back, is neither.
pub(super) fn behind(book: &Book, wanted: impl Fn(&Account) -> bool) -> Vec<EntryIndex> {
    let undone: BTreeSet<EntryIndex> = book.corrections().flat_map(<[_; 2]>::from).collect();
    let rows = book.entries_behind(book.size(), None, wanted);
    rows.into_iter().map(|(index, _)| index).filter(|index| !undone.contains(index)).collect()
}

/// A number of grams.
pub(super) fn grams(name: &'static str, value: impl Into<i128>) -> Number {
    Number { name, value: value.into(), unit: Unit::Grams }
}

/// A number of parts of 1e8.
pub(super) fn fraction(name: &'static str, value: impl Into<i128>) -> Number {
    Number { name, value: value.into(), unit: Unit::FractionE8 }
}

/// A number of things.
pub(super) fn count(name: &'static str, value: impl Into<i128>) -> Number {
    Number { name, value: value.into(), unit: Unit::Count }
}

/// A time.
pub(super) fn time(name: &'static str, value: impl Into<i128>) -> Number {
    Number { name, value: value.into(), unit: Unit::TimeMs }
}

/// A span of time.
pub(super) fn span(name: &'static str, value: impl Into<i128>) -> Number {
    Number { name, value: value.into(), unit: Unit::Ms }
}

/// Grams as a number.
pub(super) fn number(grams: Grams) -> i128 {
    i128::from(grams.get())
}

/// `part / whole` in 1e8, rounded down; `None` of nothing.
pub(super) fn ratio_e8(part: i128, whole: i128) -> Option<i128> {
    (whole > 0).then(|| part * i128::from(crate::limits::WHOLE_E8) / whole)
}
