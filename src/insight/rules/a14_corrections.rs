//! A14: many corrections by one party just before a report is due.
//!
//! Both times have to lie in the days before it: the ledger's, which the party does not choose, and
//! the party's own, so that the corrections of a history that is brought in later do not count.

use std::collections::BTreeMap;

use super::super::anomaly::{Rule, Severity};
use super::super::book::{Book, Seen};
use super::calendar::{DAY_MS, report_due};
use super::found::{Found, count, span, time};
use crate::domain::credit::Month;
use crate::domain::{Body, EntryIndex, PartyId};
use crate::limits::MAX_EVIDENCE;

/// Corrections before the report that is due next: how many, and the newest of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Notes {
    before: BTreeMap<(Month, PartyId), (u64, Vec<EntryIndex>)>,
}

impl Notes {
    pub(super) fn look(&mut self, seen: &Seen<'_>, _: &Book, found: &mut Found<'_>) {
        if !matches!(seen.event.body, Body::DeclareError(_)) {
            return;
        }
        let (Some(days), Some(most), Some(day)) = (
            found.limit("CORRECTIONS_DAYS"),
            found.limit("CORRECTIONS_COUNT"),
            found.limit("REPORT_DUE_DAY"),
        ) else {
            return;
        };
        // The report of the month before is due in this one.
        let month = Month::of(seen.fact.recorded_at);
        let Some(reported) = month.number().checked_sub(1).map(Month::of_number) else { return };
        let Some(due) = report_due(reported, day) else { return };
        let window = days.saturating_mul(DAY_MS);
        let begin = due.get().saturating_sub(window);
        let is_before = |at: u64| (begin..due.get()).contains(&at);
        if !is_before(seen.fact.recorded_at.get()) || !is_before(seen.event.occurred_at.get()) {
            return;
        }
        self.before.retain(|(known, _), _| *known >= month);
        let (number, entries) = self.before.entry((month, seen.event.actor)).or_default();
        *number += 1;
        entries.push(seen.fact.index);
        let over = entries.len().saturating_sub(MAX_EVIDENCE);
        entries.drain(..over);
        // Told when it is passed, and again at twice as many.
        let severity = match *number {
            it if it == most.saturating_add(1) => Severity::Medium,
            it if it == most.saturating_mul(2).saturating_add(1) => Severity::High,
            _ => return,
        };
        let numbers = vec![
            count("corrections", *number),
            count("limit", most),
            time("due", due.get()),
            span("window", window),
        ];
        let rests_on = entries.clone();
        found.raise(Rule::A14, "before_report", severity, found.about_event(), rests_on, numbers);
    }
}
