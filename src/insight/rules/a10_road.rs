//! A10: a journey that was too short for its way. How far apart two places are is told by what the
//! codes of their regions share, the county, the prefecture, the province: the tables hold no
//! coordinates. So the least times are those of neighbours across a border, and small.
//!
//! An offer may be written before the vehicle is there, so where it departed is no sight of it: it
//! was seen where it was weighed with its load, and had been where that was loaded.

use std::collections::BTreeMap;

use super::super::anomaly::{Rule, Severity};
use super::super::book::{Book, Seen};
use super::calendar::between;
use super::found::{About, Found, span};
use super::handover::Handover;
use crate::domain::{EntryIndex, SiteId, TimeMs};
use crate::limits::MAX_TRIPS_COMPARED;

/// Where each vehicle arrived, in order of time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Notes {
    arrivals: BTreeMap<String, BTreeMap<(TimeMs, EntryIndex), Trip>>,
}

/// One load of a vehicle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Trip {
    from: SiteId,
    /// It was not loaded earlier.
    offered_at: TimeMs,
    to: SiteId,
    arrived_at: TimeMs,
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
        let (from, offered_at) = (offer.from_site, offer.occurred_at);
        let trip = Trip { from, offered_at, to, arrived_at };
        if let Some((other, took, least)) = self.elsewhere(&offer.vehicle, trip, book, found) {
            let numbers = vec![span("apart", took), span("limit", least)];
            let rests_on = [offer.index, other];
            found.raise(Rule::A10, "vehicle", severity(took, least), about, rests_on, numbers);
        }
        let arrivals = self.arrivals.entry(offer.vehicle.clone()).or_default();
        arrivals.insert((arrived_at, seen.fact.index), trip);
    }

    /// The nearest arrival from or to which the vehicle had too little time: how much it had, and
    /// how much it needs.
    fn elsewhere(
        &self,
        vehicle: &str,
        trip: Trip,
        book: &Book,
        found: &Found<'_>,
    ) -> Option<(EntryIndex, u64, u64)> {
        let known = self.arrivals.get(vehicle)?;
        let here = (trip.arrived_at, EntryIndex(u64::MAX));
        let before = known.range(..here).rev().take(MAX_TRIPS_COMPARED);
        let later = known.range(here..).take(MAX_TRIPS_COMPARED);
        let pairs = before
            .map(|(key, other)| (key.1, *other, trip))
            .chain(later.map(|(key, other)| (key.1, trip, *other)));
        pairs.filter(|(by, ..)| book.corrected_by(*by).is_none()).find_map(|(by, first, second)| {
            let had = between(first.arrived_at, second.arrived_at);
            let needs = time_between(first, second, book, found);
            (had < needs).then_some((by, had, needs))
        })
    }
}

/// The least time from one arrival to the next: by way of where the next load was taken up, unless
/// it may have been on board already.
fn time_between(first: Trip, second: Trip, book: &Book, found: &Found<'_>) -> u64 {
    let least = |from, to| least_time(from, to, book, found).unwrap_or_default();
    if second.offered_at < first.arrived_at {
        return least(first.to, second.to);
    }
    least(first.to, second.from).saturating_add(least(second.from, second.to))
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
