//! A15, second half: weights that are rounder than scales are. A weighbridge counts in steps of 10
//! to 50 kg, so one net weight in 20 to 100 is whole tonnes by chance, and at most every second is
//! whole hundredweights.

use std::collections::{BTreeMap, VecDeque};

use super::super::anomaly::{Rule, Severity};
use super::super::book::{Book, Seen};
use super::found::{Found, count, fraction, ratio_e8};
use super::handover::Handover;
use crate::domain::{Body, EntryIndex, Grams, PartyId};
use crate::limits::{MAX_ROUND_WEIGHINGS, WHOLE_E8};

/// The newest weighings of each party.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Notes {
    parties: BTreeMap<PartyId, Weighings>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Weighings {
    newest: VecDeque<(EntryIndex, Grams)>,
    /// Which steps are told already; told again only after the share has been below.
    told: [bool; STEPS.len()],
}

/// Round to how many grams, under which limit, told as what.
const STEPS: [(u64, &str, &str); 2] =
    [(1_000_000, "ROUND_TONNE_E8", "round_tonnes"), (100_000, "ROUND_100KG_E8", "round_100_kg")];

impl Notes {
    pub(super) fn look(&mut self, seen: &Seen<'_>, book: &Book, found: &mut Found<'_>) {
        let net = match &seen.event.body {
            Body::CollectLot(it) => Some(it.weighing.net),
            _ => Handover::of(seen, book).and_then(|it| it.received).map(|it| it.net),
        };
        let Some(net) = net else { return };
        let Some(least) = found.limit("ROUND_WEIGHINGS") else { return };
        let least = usize::try_from(least).unwrap_or(usize::MAX).clamp(1, MAX_ROUND_WEIGHINGS);
        let weighings = self.parties.entry(seen.event.actor).or_default();
        weighings.newest.retain(|(by, _)| book.corrected_by(*by).is_none());
        weighings.newest.push_back((seen.fact.index, net));
        while weighings.newest.len() > least {
            weighings.newest.pop_front();
        }
        if weighings.newest.len() < least {
            return;
        }
        for (place, step) in STEPS.into_iter().enumerate() {
            weighings.judge(place, step, found);
        }
    }
}

impl Weighings {
    fn judge(
        &mut self,
        place: usize,
        (step, limit, variant): (u64, &str, &'static str),
        found: &mut Found<'_>,
    ) {
        let Some(limit) = found.limit(limit) else { return };
        let is_round = |(_, net): &&(EntryIndex, Grams)| net.get().is_multiple_of(step);
        let round: Vec<EntryIndex> = self.newest.iter().filter(is_round).map(|it| it.0).collect();
        let (part, all) = (round.len() as i128, self.newest.len() as i128);
        let is_over = part * i128::from(WHOLE_E8) > all * i128::from(limit);
        if is_over && !self.told[place] {
            let numbers = vec![
                count("weighings", all),
                count("round", part),
                fraction("share", ratio_e8(part, all).unwrap_or_default()),
                fraction("limit", limit),
            ];
            let about = super::found::About { lot: None, ..found.about_event() };
            found.raise(Rule::A15, variant, Severity::Medium, about, round, numbers);
        }
        self.told[place] = is_over;
    }
}
