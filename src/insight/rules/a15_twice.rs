//! A15, first half: a weighbridge ticket, a manifest or a vehicle that served twice.

use std::collections::BTreeMap;

use super::super::anomaly::{Rule, Severity};
use super::super::book::{Book, Seen};
use super::calendar::{DAY_MS, between};
use super::found::{About, Found, span};
use super::handover::Handover;
use crate::domain::event::{Manifest, Weighing};
use crate::domain::{Body, EntryIndex, EventId, Grams, PartyId, SiteId, TimeMs};
use crate::limits::{MAX_REMEMBERED, MAX_TRIPS_COMPARED};

/// Papers that were used, and trips of vehicles.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Notes {
    /// The first use of each number, and where. Most numbers serve once, and this is all that is
    /// remembered of them. None is forgotten with the years: what is recorded late may be earlier.
    tickets: BTreeMap<Box<str>, (SiteId, Ticket)>,
    /// Uses of the numbers that served again, the first one with them: by where the scales stand,
    /// and by what they say. A number goes by the entry of its first use; an entry has one ticket.
    again: BTreeMap<(EntryIndex, Scales), Vec<Ticket>>,
    manifests: BTreeMap<String, Vec<Passage>>,
    trips: BTreeMap<String, BTreeMap<(TimeMs, EntryIndex), Trip>>,
}

/// What tells two tickets of one number for the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Scales {
    At(SiteId),
    Saying(Grams, Grams),
}

/// One use of a ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Ticket {
    by: EntryIndex,
    at: TimeMs,
    says: (Grams, Grams),
}

/// One use of a manifest: one trip of one vehicle.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Passage {
    by: EntryIndex,
    at: TimeMs,
    offer: EventId,
    from: PartyId,
    to: PartyId,
    vehicle: String,
}

/// One trip of a vehicle; it ends when the load is taken over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Trip {
    from: (SiteId, TimeMs),
    to: SiteId,
}

impl Notes {
    pub(super) fn look(&mut self, seen: &Seen<'_>, book: &Book, found: &mut Found<'_>) {
        match &seen.event.body {
            Body::CollectLot(it) => {
                self.ticket(&it.weighing, seen, book, found);
                self.manifest(it.manifest.as_ref(), seen.event.actor, seen, book, found);
            }
            Body::OfferTransfer(it) => {
                self.manifest(it.manifest.as_ref(), it.consignee, seen, book, found);
            }
            Body::DisposeResidue(it) => {
                self.manifest(it.manifest.as_ref(), it.facility, seen, book, found);
            }
            // Nothing drove: the paper may be used for another trip.
            Body::CancelTransfer(it) => {
                let manifest = book.offer(it.offer).map(|offer| &offer.manifest);
                if let Some(uses) = manifest.and_then(|number| self.manifests.get_mut(number)) {
                    uses.retain(|passage| passage.offer != it.offer);
                }
            }
            _ => {}
        }
        let Some(handover) = Handover::of(seen, book) else { return };
        if let Some(weighing) = handover.received {
            self.ticket(weighing, seen, book, found);
        }
        self.trip(&handover, seen, book, found);
    }

    fn ticket(&mut self, of: &Weighing, seen: &Seen<'_>, book: &Book, found: &mut Found<'_>) {
        let (Some(site), Some(days)) = (seen.event.site, found.limit("TICKET_REUSE_DAYS")) else {
            return;
        };
        if of.ticket.is_empty() {
            return;
        }
        let limit = days.saturating_mul(DAY_MS);
        let now =
            Ticket { by: seen.fact.index, at: seen.event.occurred_at, says: (of.gross, of.tare) };
        let Some(&(first_site, first)) = self.tickets.get(of.ticket.as_str()) else {
            self.tickets.insert(of.ticket.as_str().into(), (site, now));
            return;
        };
        for scales in first.scales(first_site) {
            self.again.entry((first.by, scales)).or_insert_with(|| vec![first]);
        }
        let mut served: Option<Ticket> = None;
        for scales in now.scales(site) {
            // Most of them stay alone: room for one, where a first push makes room for four.
            let uses = self.again.entry((first.by, scales));
            let uses = uses.or_insert_with(|| Vec::with_capacity(1));
            let other = uses
                .iter()
                .rev()
                .find(|it| book.corrected_by(it.by).is_none() && apart(it.at, now.at) <= limit);
            served = served.or(other.copied());
            keep(uses, now);
        }
        let Some(other) = served else { return };
        // The same weighing twice, or two loads under one number.
        let severity = if other.says == now.says { Severity::High } else { Severity::Medium };
        let numbers = vec![span("apart", apart(other.at, now.at)), span("limit", limit)];
        found.raise(Rule::A15, "ticket", severity, found.about_event(), [other.by], numbers);
    }

    /// Several lots may travel on one manifest: one trip, from one party to one other.
    fn manifest(
        &mut self,
        manifest: Option<&Manifest>,
        to: PartyId,
        seen: &Seen<'_>,
        book: &Book,
        found: &mut Found<'_>,
    ) {
        let (Some(manifest), Some(limit)) = (manifest, found.limit("MANIFEST_TRIP_MS")) else {
            return;
        };
        let now = Passage {
            by: seen.fact.index,
            at: seen.event.occurred_at,
            offer: seen.event.id,
            from: seen.event.actor,
            to,
            vehicle: manifest.vehicle.clone(),
        };
        let uses = self.manifests.entry(manifest.number.clone()).or_default();
        let other = uses.iter().rev().find(|it| {
            let is_trip = (it.from, it.to, &it.vehicle) == (now.from, now.to, &now.vehicle);
            let is_same = is_trip && apart(it.at, now.at) <= limit;
            book.corrected_by(it.by).is_none() && !is_same
        });
        if let Some(other) = other {
            let numbers = vec![span("apart", apart(other.at, now.at)), span("limit", limit)];
            let about = found.about_event();
            found.raise(Rule::A15, "manifest", Severity::High, about, [other.by], numbers);
        }
        keep(uses, now);
    }

    /// A vehicle that is on two ways at a time, with nothing in common: who loads at two places for
    /// one, or unloads at two places from one, does not.
    fn trip(
        &mut self,
        handover: &Handover<'_>,
        seen: &Seen<'_>,
        book: &Book,
        found: &mut Found<'_>,
    ) {
        let offer = handover.offer;
        let Some(to) = offer.to_site.filter(|_| offer.scope.moves_custody()) else { return };
        let Some(limit) = found.limit("VEHICLE_OVERLAP_MS") else { return };
        if offer.vehicle.is_empty() {
            return;
        }
        let trip = Trip { from: (offer.from_site, offer.occurred_at), to };
        let (begin, end) = (offer.occurred_at, seen.event.occurred_at);
        let trips = self.trips.entry(offer.vehicle.clone()).or_default();
        // Trips are ordered by their end, and short: who overlaps with this one is among the first
        // that end after it began.
        let ended_later = trips.range((begin, EntryIndex(0))..).take(MAX_TRIPS_COMPARED);
        let mut ended_later = ended_later;
        let other = ended_later.find_map(|(&(other_end, by), other)| {
            let overlap = between(begin.max(other.from.1), end.min(other_end));
            let is_other = other.from.0 != trip.from.0 && other.to != trip.to;
            let is_over = is_other && overlap > limit && book.corrected_by(by).is_none();
            is_over.then_some((by, overlap))
        });
        trips.insert((end, seen.fact.index), trip);
        let Some((by, overlap)) = other else { return };
        let about = About { lot: Some(handover.lot), ..found.about_event() };
        let numbers = vec![span("overlap", overlap), span("limit", limit)];
        found.raise(Rule::A15, "vehicle", Severity::Medium, about, [offer.index, by], numbers);
    }
}

impl Ticket {
    /// What it is found by, used at a site: the site goes before.
    const fn scales(&self, site: SiteId) -> [Scales; 2] {
        [Scales::At(site), Scales::Saying(self.says.0, self.says.1)]
    }
}

fn apart(one: TimeMs, other: TimeMs) -> u64 {
    between(one.min(other), one.max(other))
}

/// The newest uses of a paper.
fn keep<T>(uses: &mut Vec<T>, now: T) {
    uses.push(now);
    let over = uses.len().saturating_sub(MAX_REMEMBERED);
    uses.drain(..over);
}
