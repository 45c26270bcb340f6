//! A9: stock that nobody touches, a transfer that nobody closes, a manifest that nobody confirms.
//!
//! The ledger has no clock of its own: what time alone brings about is told with the first entry
//! that is recorded after it. A deadline begins with the entry, not with what the entry says of
//! itself, so that history that is brought in late is not late twice. An answer that says itself
//! that it came late is told as well, with the answer.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::super::anomaly::Severity;
use super::super::book::{Book, Offer, Seen};
use super::super::posting::Code;
use super::calendar::{DAY_MS, after, after_working_days, between};
use super::found::{About, Found, grams, number, span, time};
use crate::domain::fact::LotChange;
use crate::domain::{Body, EntryIndex, EventId, Grams, LotId, PartyId, SiteId, TimeMs};
use crate::limits::MAX_TOLD_PER_ENTRY;

/// What waits, and until when.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Notes {
    due: BTreeSet<(TimeMs, Waiting)>,
    /// Lots that are due: one that was told of waits for nothing until somebody touches it.
    stock: BTreeMap<LotId, Rest>,
    /// Where they rest, or rested: each once, however many lots do.
    places: BTreeSet<Arc<Place>>,
    offers: BTreeMap<EventId, TimeMs>,
    /// What answered an offer, in case that the answer is declared an error.
    answers: BTreeMap<EntryIndex, EventId>,
    told: BTreeSet<Waiting>,
}

/// What waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Waiting {
    /// For the confirmation of its manifest.
    Manifest(EventId),
    /// To be used.
    Stock(LotId),
    /// For an answer.
    Transit(EventId),
}

/// A lot since somebody touched it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Rest {
    by: EntryIndex,
    since: TimeMs,
    due: TimeMs,
    mass: Grams,
    place: Arc<Place>,
}

/// In whose hands lots of a material lie, and where: the same for many of them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    party: PartyId,
    site: SiteId,
    material: Code,
}

impl Notes {
    pub(super) fn look(&mut self, seen: &Seen<'_>, book: &Book, found: &mut Found<'_>) {
        self.tell(seen, book, found);
        match &seen.event.body {
            Body::OfferTransfer(_) | Body::ReturnTransfer(_) => {
                self.offers.insert(seen.event.id, seen.fact.recorded_at);
                self.wait(seen.event.id, book, found);
            }
            Body::AcceptTransfer(it) => self.answer(it.offer, seen, book, found),
            Body::PartlyAcceptTransfer(it) => self.answer(it.offer, seen, book, found),
            Body::RejectTransfer(it) | Body::CancelTransfer(it) => {
                self.answer(it.offer, seen, book, found);
            }
            _ => {}
        }
        if let Some(offer) = seen.fact.undoes.and_then(|target| self.answers.remove(&target)) {
            self.wait(offer, book, found);
        }
        for change in &seen.fact.lots {
            self.touch(change, seen, book, found);
        }
    }

    /// Everything that is due by now; what is more than one entry tells waits for the next.
    fn tell(&mut self, seen: &Seen<'_>, book: &Book, found: &mut Found<'_>) {
        let now = seen.fact.recorded_at;
        for _ in 0..MAX_TOLD_PER_ENTRY {
            let Some((due, waiting)) = self.due.first().copied() else { return };
            if due > now {
                return;
            }
            self.due.remove(&(due, waiting));
            match waiting {
                Waiting::Manifest(id) | Waiting::Transit(id) => {
                    let open = book.offer(id).filter(|offer| offer.closed.is_none());
                    if let Some(offer) = open
                        && self.told.insert(waiting)
                    {
                        let since = self.offers.get(&id).copied().unwrap_or(offer.occurred_at);
                        let (about, numbers) = told_of(offer, waiting, (since, now), found);
                        let severity = Severity::Medium;
                        let by = [offer.index];
                        let variant = waiting.name();
                        found.raise_for_time(variant, severity, about, due, by, numbers);
                    }
                }
                Waiting::Stock(lot) => self.tell_stock(lot, due, seen, found),
            }
        }
    }

    /// Tables that are published meanwhile move the deadline.
    fn tell_stock(&mut self, lot: LotId, due: TimeMs, seen: &Seen<'_>, found: &mut Found<'_>) {
        let now = seen.fact.recorded_at;
        let Some(rest) = self.stock.remove(&lot) else { return };
        debug_assert_eq!(rest.due, due, "a lot is due once");
        let place = &rest.place;
        let Some((limit, is_waste)) = stock_limit(&place.material, seen, found) else { return };
        let due_now = after(rest.since, limit);
        if due_now > now {
            self.due.insert((due_now, Waiting::Stock(lot)));
            self.stock.insert(lot, Rest { due: due_now, ..rest });
            return;
        }
        let severity = if is_waste { Severity::Medium } else { Severity::Low };
        let about = About {
            party: Some(place.party),
            site: Some(place.site),
            lot: Some(lot),
            campaign: None,
        };
        let numbers = vec![
            grams("mass", number(rest.mass)),
            span("age", between(rest.since, now)),
            span("limit", limit),
        ];
        let by = [rest.by];
        let variant = if is_waste { "waste" } else { "stock" };
        found.raise_for_time(variant, severity, about, due_now, by, numbers);
    }

    /// An offer is open, from now on or again.
    fn wait(&mut self, id: EventId, book: &Book, found: &Found<'_>) {
        let (Some(offer), Some(&since)) = (book.offer(id), self.offers.get(&id)) else { return };
        for waiting in [Waiting::Manifest(id), Waiting::Transit(id)] {
            if let Some((due, _)) = offer_due(offer, waiting, since, found)
                && !self.told.contains(&waiting)
            {
                self.due.insert((due, waiting));
            }
        }
    }

    /// Somebody answered an offer, and says when.
    fn answer(&mut self, id: EventId, seen: &Seen<'_>, book: &Book, found: &mut Found<'_>) {
        let Some(offer) = book.offer(id) else { return };
        self.answers.insert(seen.fact.index, id);
        let (since, now) = (offer.occurred_at, seen.event.occurred_at);
        for waiting in [Waiting::Manifest(id), Waiting::Transit(id)] {
            let Some((due, _)) = offer_due(offer, waiting, since, found) else { continue };
            if now < due || !self.told.insert(waiting) {
                continue;
            }
            let (about, numbers) = told_of(offer, waiting, (since, now), found);
            let by = [offer.index, seen.fact.index];
            found.raise_for_time(waiting.name(), Severity::Medium, about, due, by, numbers);
        }
    }

    /// The clock of a lot begins anew with whatever happens to it.
    fn touch(&mut self, change: &LotChange, seen: &Seen<'_>, book: &Book, found: &Found<'_>) {
        if let Some(rest) = self.stock.remove(&change.lot) {
            self.due.remove(&(rest.due, Waiting::Stock(change.lot)));
        }
        let stand = &change.after;
        // Nobody may move a lot that is held; its release is another touch.
        if stand.mass.is_zero() || stand.is_held {
            return;
        }
        let Some((limit, _)) = stock_limit(&change.material, seen, found) else { return };
        let since = seen.fact.recorded_at;
        let due = after(since, limit);
        self.due.insert((due, Waiting::Stock(change.lot)));
        let material = book.code(&change.material);
        let place = self.place(Place { party: stand.keeper, site: stand.site, material });
        let rest = Rest { by: seen.fact.index, since, due, mass: stand.mass, place };
        self.stock.insert(change.lot, rest);
    }

    /// A place, as all lots share it.
    fn place(&mut self, place: Place) -> Arc<Place> {
        if let Some(known) = self.places.get(&place) {
            return Arc::clone(known);
        }
        let place = Arc::new(place);
        self.places.insert(Arc::clone(&place));
        place
    }
}

impl Waiting {
    const fn name(self) -> &'static str {
        match self {
            Self::Manifest(_) => "manifest",
            Self::Stock(_) => "stock",
            Self::Transit(_) => "transit",
        }
    }
}

/// How long a lot may rest, in milliseconds, and whether it is hazardous waste: the limit of its
/// family, when it has one, goes before that of all.
fn stock_limit(material: &str, seen: &Seen<'_>, found: &Found<'_>) -> Option<(u64, bool)> {
    let row = seen.tables.materials.get(material)?;
    let is_waste = !row.waste_code.is_empty();
    let days = if is_waste {
        found.limit("STOCK_AGE_WASTE_DAYS")
    } else {
        let own = found.limit(&format!("STOCK_AGE_DAYS_{}", row.family));
        own.or_else(|| found.limit("STOCK_AGE_DAYS"))
    };
    Some((days?.saturating_mul(DAY_MS), is_waste))
}

/// Until when an offer has to be answered that was made at a time, and the days that it has.
fn offer_due(
    offer: &Offer,
    waiting: Waiting,
    since: TimeMs,
    found: &Found<'_>,
) -> Option<(TimeMs, u64)> {
    match waiting {
        Waiting::Transit(_) => {
            let days = found.limit("TRANSIT_OPEN_DAYS")?;
            Some((after(since, days.saturating_mul(DAY_MS)), days))
        }
        Waiting::Manifest(_) if offer.scope.moves_custody() && !offer.manifest.is_empty() => {
            let days = found.limit("MANIFEST_CONFIRM_DAYS")?;
            Some((after_working_days(since, days), days))
        }
        Waiting::Manifest(_) | Waiting::Stock(_) => None,
    }
}

/// Whom an offer that waits too long is about: the manifest is the consignee's to confirm, the
/// transfer the sender's to close.
fn told_of(
    offer: &Offer,
    waiting: Waiting,
    (since, now): (TimeMs, TimeMs),
    found: &Found<'_>,
) -> (About, Vec<super::super::anomaly::Number>) {
    let is_manifest = matches!(waiting, Waiting::Manifest(_));
    let party = if is_manifest { offer.consignee } else { offer.sender };
    let site = if is_manifest { offer.to_site } else { Some(offer.from_site) };
    let about = About { party: Some(party), site, lot: Some(offer.lot), campaign: None };
    let due = offer_due(offer, waiting, since, found);
    let mut numbers = vec![grams("mass", number(offer.mass)), span("age", between(since, now))];
    if let Some((due, days)) = due {
        numbers.push(time("due", due.get()));
        numbers.push(span("limit", days.saturating_mul(DAY_MS)));
    }
    (about, numbers)
}
