//! A10: a journey that was too short for its way. How far apart two places are is told by what the
//! codes of their regions share, the county, the prefecture, the province: the tables hold no
//! coordinates. So the least times are those of neighbours across a border, and small.

use std::collections::BTreeMap;
use std::ops::Bound;

use super::super::anomaly::{Rule, Severity};
use super::super::book::{Book, Seen};
use super::calendar::between;
use super::found::{About, Found, span};
use super::handover::Handover;
use crate::domain::{EntryIndex, SiteId, TimeMs};
use crate::limits::MAX_TRIPS_COMPARED;

/// Where each vehicle was seen: at departures and arrivals.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Notes {
    seen: BTreeMap<String, BTreeMap<Sight, SiteId>>,
}

/// When a vehicle was seen, by the entry that says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Sight {
    at: TimeMs,
    by: EntryIndex,
    is_arrival: bool,
}

impl Notes {
    pub(super) fn look(&mut self, seen: &Seen<'_>, book: &Book, found: &mut Found<'_>) {
        let Some(handover) = Handover::of(seen, book) else { return };
        let (offer, arrived_at) = (handover.offer, seen.event.occurred_at);
        let Some(to) = offer.to_site.filter(|_| offer.scope.moves_custody()) else { return };
        let about = About { lot: Some(handover.lot), ..found.about_event() };
        let took = between(offer.occurred_at, arrived_at);
        if let Some(least) = least_time(offer.from_site, to, book, found)
            && took < least
        {
            let numbers = vec![span("took", took), span("limit", least)];
            found.raise(Rule::A10, "journey", severity(took, least), about, [offer.index], numbers);
        }
        if offer.vehicle.is_empty() {
            return;
        }
        let by = seen.fact.index;
        let sights = [
            (Sight { at: offer.occurred_at, by, is_arrival: false }, offer.from_site),
            (Sight { at: arrived_at, by, is_arrival: true }, to),
        ];
        if let Some((other, took, least)) = self.elsewhere(&offer.vehicle, &sights, book, found) {
            let numbers = vec![span("apart", took), span("limit", least)];
            let rests_on = [offer.index, other];
            found.raise(Rule::A10, "vehicle", severity(took, least), about, rests_on, numbers);
        }
        self.seen.entry(offer.vehicle.clone()).or_default().extend(sights);
    }

    /// The first entry that saw the vehicle where it cannot have been: how long before or after,
    /// and how long it needs.
    fn elsewhere(
        &self,
        vehicle: &str,
        sights: &[(Sight, SiteId)],
        book: &Book,
        found: &Found<'_>,
    ) -> Option<(EntryIndex, u64, u64)> {
        let known = self.seen.get(vehicle)?;
        let is_sound = |(sight, _): &(&Sight, &SiteId)| book.corrected_by(sight.by).is_none();
        for (sight, site) in sights {
            // Who was nearest in time before and after was nearest to being impossible, unless it
            // was there too.
            let before = known.range(..*sight).rev().filter(is_sound).take(MAX_TRIPS_COMPARED);
            let later = (Bound::Excluded(*sight), Bound::Unbounded);
            let later = known.range(later).filter(is_sound).take(MAX_TRIPS_COMPARED);
            for mut others in [Box::new(before) as Box<dyn Iterator<Item = _>>, Box::new(later)] {
                let Some((other, place)) = others.find(|(_, place)| *place != site) else {
                    continue;
                };
                let apart = between(other.at.min(sight.at), other.at.max(sight.at));
                let Some(least) = least_time(*place, *site, book, found) else { continue };
                if apart < least {
                    return Some((other.by, apart, least));
                }
            }
        }
        None
    }
}

/// Half the least time cannot be haste.
const fn severity(took: u64, least: u64) -> Severity {
    if took.saturating_mul(2) < least { Severity::High } else { Severity::Medium }
}

/// The least time between two sites; `None` inside of a county.
fn least_time(from: SiteId, to: SiteId, book: &Book, found: &Found<'_>) -> Option<u64> {
    let registry = book.registry();
    let (from, to) = (&registry.site(from)?.region_code, &registry.site(to)?.region_code);
    let share = |digits| from.get(..digits) == to.get(..digits);
    if share(6) {
        None
    } else if share(4) {
        found.limit("TRAVEL_PREFECTURE_MS")
    } else if share(2) {
        found.limit("TRAVEL_PROVINCE_MS")
    } else {
        found.limit("TRAVEL_BEYOND_MS")
    }
}
