//! A5: more arrived than was sent. The ledger books at most what was sent; what the scales said
//! beyond that came from somewhere else, or one of the two weighings is wrong.

use super::super::anomaly::{Rule, Severity};
use super::super::book::{Book, Seen};
use super::found::{About, Found, fraction, grams, number, ratio_e8};
use super::handover::Handover;
use crate::limits::WHOLE_E8;

/// Nothing has to be remembered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Notes;

impl Notes {
    #[expect(clippy::unused_self, reason = "every rule is asked the same way")]
    pub(super) fn look(&mut self, seen: &Seen<'_>, book: &Book, found: &mut Found<'_>) {
        let Some(handover) = Handover::of(seen, book) else { return };
        let Some(weighing) = handover.received else { return };
        let Some(limit) = found.limit("SCALE_TOLERANCE_E8") else { return };
        let (sent, received) = (number(handover.sent), number(weighing.net));
        let excess = (received - sent) * i128::from(WHOLE_E8);
        let allowed = sent * i128::from(limit);
        if excess <= allowed {
            return;
        }
        let severity = if excess > 2 * allowed { Severity::High } else { Severity::Medium };
        let about = About { lot: Some(handover.lot), ..found.about_event() };
        let numbers = vec![
            grams("sent", sent),
            grams("received", received),
            fraction("excess", ratio_e8(received - sent, sent).unwrap_or_default()),
            fraction("limit", limit),
        ];
        found.raise(Rule::A5, "arrival", severity, about, [handover.offer.index], numbers);
    }
}
