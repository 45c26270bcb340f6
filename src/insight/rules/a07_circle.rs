//! A7: metal that goes round in a circle. It becomes the property of a party that had it before,
//! through others, and nobody made anything of it on the way.
//!
//! Goods that are registered as given back (`return_transfer`) undo the sale that they came by:
//! neither is a step of a circle. Who only lends or stores metal buys none, so custody alone is no
//! step either. A process ends the way: its products are another thing.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::super::anomaly::{Number, Rule, Severity};
use super::super::book::{Book, Seen};
use super::calendar::{DAY_MS, between};
use super::found::{About, Found, count, grams, number, span};
use super::handover::Handover;
use crate::domain::{Body, EntryIndex, EventId, Grams, LotId, PartyId, TimeMs};
use crate::limits::{MAX_CIRCLE_STEPS, MAX_SALES_COMPARED, WHOLE_E8};

/// Who got what from whom, and which lots were divided from or merged of which.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Notes {
    sales: BTreeMap<EntryIndex, Sale>,
    /// The acceptance of an offer.
    accepted: BTreeMap<EventId, EntryIndex>,
    /// Sales of whole lots, which keep their id.
    moved: BTreeMap<LotId, Vec<EntryIndex>>,
    births: BTreeMap<LotId, Birth>,
    /// Offers that give something back, with the offer that it came by.
    returns: BTreeMap<EventId, EventId>,
    /// Offers of which something was given back, by which entries.
    given_back: BTreeMap<EventId, Vec<EntryIndex>>,
    bought: BTreeMap<(String, PartyId), Vec<EntryIndex>>,
}

/// Property changed hands.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Sale {
    offer: EventId,
    /// The lot that it was sold from.
    lot: LotId,
    from: PartyId,
    to: PartyId,
    at: TimeMs,
    recorded_at: TimeMs,
    mass: Grams,
    material: String,
    gives_back: Option<EventId>,
}

/// Where a lot comes from, when not from a process or from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Birth {
    /// The buyer's part of a lot.
    Bought(EntryIndex),
    /// Divided from these or merged of them.
    Made(EntryIndex, Vec<LotId>),
}

/// A way back: where it has come to, and over which sales, the newest first.
struct Way {
    lot: LotId,
    before: EntryIndex,
    sales: Vec<EntryIndex>,
}

/// The limits of a walk.
#[derive(Clone, Copy)]
struct Reach {
    days: u64,
    others: u64,
    mass_e8: Option<u64>,
}

impl Notes {
    pub(super) fn look(&mut self, seen: &Seen<'_>, book: &Book, found: &mut Found<'_>) {
        let index = seen.fact.index;
        match &seen.event.body {
            Body::SplitLot(it) => {
                for child in &it.children {
                    self.births.insert(child.lot, Birth::Made(index, vec![it.parent]));
                }
            }
            Body::MergeLots(it) => {
                let parents = it.parents.iter().map(|draw| draw.lot).collect();
                self.births.insert(it.output.id, Birth::Made(index, parents));
            }
            Body::ReturnTransfer(it) => {
                self.returns.insert(seen.event.id, it.offer);
            }
            _ => {}
        }
        let Some(handover) = Handover::of(seen, book) else { return };
        if !handover.offer.scope.moves_ownership() {
            if handover.lot != handover.offer.lot {
                let birth = Birth::Made(index, vec![handover.offer.lot]);
                self.births.insert(handover.lot, birth);
            }
            return;
        }
        self.note(seen, &handover);
        let (Some(days), Some(others)) =
            (found.limit("CIRCULAR_DAYS"), found.limit("CIRCULAR_OTHERS"))
        else {
            return;
        };
        let reach = Reach { days, others, mass_e8: found.limit("CIRCULAR_MASS_E8") };
        self.judge(index, book, reach, &handover, found);
    }

    fn note(&mut self, seen: &Seen<'_>, handover: &Handover<'_>) {
        let (index, offer) = (seen.fact.index, handover.offer);
        let gives_back = self.returns.get(&handover.id).copied();
        if let Some(offer) = gives_back {
            self.given_back.entry(offer).or_default().push(index);
        }
        let material = seen.fact.lots.first().map(|it| it.material.clone()).unwrap_or_default();
        let sale = Sale {
            offer: handover.id,
            lot: offer.lot,
            from: offer.sender,
            to: seen.event.actor,
            at: seen.event.occurred_at,
            recorded_at: seen.fact.recorded_at,
            mass: handover.sent,
            material,
            gives_back,
        };
        if handover.lot == offer.lot {
            self.moved.entry(offer.lot).or_default().push(index);
        } else {
            self.births.insert(handover.lot, Birth::Bought(index));
        }
        self.accepted.insert(handover.id, index);
        self.bought.entry((sale.material.clone(), sale.to)).or_default().push(index);
        self.sales.insert(index, sale);
    }

    fn judge(
        &self,
        index: EntryIndex,
        book: &Book,
        reach: Reach,
        handover: &Handover<'_>,
        found: &mut Found<'_>,
    ) {
        let Some(sale) = self.sales.get(&index).filter(|sale| sale.gives_back.is_none()) else {
            return;
        };
        let about = About { lot: Some(handover.lot), ..found.about_event() };
        let numbers = |circle: &[EntryIndex]| self.numbers(sale, circle, reach);
        let (circle, is_cut) = self.circle_of_lot(index, sale, book, reach);
        if let Some(circle) = circle {
            let numbers = numbers(&circle);
            found.raise(Rule::A7, "lot", Severity::High, about, circle, numbers);
            return;
        }
        let (circle, is_cut_too) = self.circle_of_material(index, sale, book, reach);
        if let Some(circle) = circle {
            let numbers = numbers(&circle);
            found.raise(Rule::A7, "material", Severity::Medium, about, circle, numbers);
        } else if is_cut || is_cut_too {
            // Nobody may hide a circle behind more ways than are walked.
            let limit = if is_cut { MAX_CIRCLE_STEPS } else { MAX_SALES_COMPARED };
            let numbers = vec![count("limit", limit as i128)];
            found.raise(Rule::A7, "too_many_ways", Severity::Low, about, [], numbers);
        }
    }

    fn numbers(&self, sale: &Sale, circle: &[EntryIndex], reach: Reach) -> Vec<Number> {
        let first = circle.last().and_then(|index| self.sales.get(index));
        let took = first.map_or(0, |first| between(first.at, sale.at));
        vec![
            grams("mass", number(sale.mass)),
            count("others", self.others(sale.to, circle)),
            count("limit_others", reach.others),
            span("took", took),
            span("limit", reach.days.saturating_mul(DAY_MS)),
        ]
    }

    /// Different parties on a way, without the one that it leads back to.
    fn others(&self, home: PartyId, sales: &[EntryIndex]) -> i128 {
        let sellers = sales.iter().filter_map(|index| self.sales.get(index)).map(|sale| sale.from);
        let others: BTreeSet<PartyId> = sellers.filter(|party| *party != home).collect();
        others.len() as i128
    }

    fn is_home(&self, home: PartyId, way: &[EntryIndex], reach: Reach) -> bool {
        let last = way.last().and_then(|index| self.sales.get(index));
        let is_home = last.is_some_and(|sale| sale.from == home);
        is_home && self.others(home, way) >= i128::from(reach.others)
    }

    /// Walks back over the hands that the very metal went through: the sales of the circle, or
    /// whether the walk was cut.
    fn circle_of_lot(
        &self,
        index: EntryIndex,
        sale: &Sale,
        book: &Book,
        reach: Reach,
    ) -> (Option<Vec<EntryIndex>>, bool) {
        let since = sale.at.get().saturating_sub(reach.days.saturating_mul(DAY_MS));
        let first = Way { lot: sale.lot, before: index, sales: vec![index] };
        let mut frontier = VecDeque::from([first]);
        for _ in 0..MAX_CIRCLE_STEPS {
            let Some(way) = frontier.pop_front() else { return (None, false) };
            for next in self.steps_back(way, book) {
                let last = next.sales.last().and_then(|index| self.sales.get(index));
                if last.is_some_and(|sale| sale.at.get() < since) {
                    continue;
                }
                if self.is_home(sale.to, &next.sales, reach) {
                    return (Some(next.sales), false);
                }
                frontier.push_back(next);
            }
        }
        let is_cut = !frontier.is_empty();
        (None, is_cut)
    }

    /// One step back: over the sale by which a lot came, to what it was made of, or over goods that
    /// were given back to before they were sold.
    fn steps_back(&self, way: Way, book: &Book) -> Vec<Way> {
        let Way { lot, before, mut sales } = way;
        let stands = |index: &EntryIndex| *index < before && book.corrected_by(*index).is_none();
        let moved = self.moved.get(&lot).map_or(&[][..], Vec::as_slice);
        let last = moved.iter().rev().find(|index| stands(index)).copied();
        let by = match (last, self.births.get(&lot)) {
            (Some(index), _) => index,
            (None, Some(Birth::Bought(index))) if stands(index) => *index,
            (None, Some(Birth::Made(index, parents))) if stands(index) => {
                let way =
                    |parent: &LotId| Way { lot: *parent, before: *index, sales: sales.clone() };
                return parents.iter().map(way).collect();
            }
            _ => return Vec::new(),
        };
        let Some(sale) = self.sales.get(&by) else { return Vec::new() };
        let first = match sale.gives_back.map(|offer| self.accepted.get(&offer)) {
            None => None,
            Some(first) => first.and_then(|index| Some((*index, self.sales.get(index)?))),
        };
        if let Some((index, first)) = first {
            return vec![Way { lot: first.lot, before: index, sales }];
        }
        sales.push(by);
        vec![Way { lot: sale.lot, before: by, sales }]
    }

    /// Walks back over sales of as much of the same material, whichever lots they were; or whether
    /// the walk was cut.
    fn circle_of_material(
        &self,
        index: EntryIndex,
        sale: &Sale,
        book: &Book,
        reach: Reach,
    ) -> (Option<Vec<EntryIndex>>, bool) {
        let Some(mass_e8) = reach.mass_e8 else { return (None, false) };
        let since = sale.at.get().saturating_sub(reach.days.saturating_mul(DAY_MS));
        let mut compared = 0;
        let mut visited = BTreeSet::from([sale.from]);
        let mut frontier = VecDeque::from([vec![index]]);
        while let Some(way) = frontier.pop_front() {
            let newest = way.last().copied().unwrap_or(index);
            let from = self.sales.get(&newest).map_or(sale.from, |it| it.from);
            let bought = self.bought.get(&(sale.material.clone(), from));
            for &at in bought.map_or(&[][..], Vec::as_slice).iter().rev() {
                let Some(before) = self.sales.get(&at).filter(|_| at < newest) else { continue };
                // Entries are recorded in order, and after what they tell of.
                if before.recorded_at.get() < since {
                    break;
                }
                compared += 1;
                if compared > MAX_SALES_COMPARED {
                    return (None, true);
                }
                let is_recent = before.at.get() >= since;
                if !is_recent || !sale.is_alike(before, mass_e8) || !self.stands(at, before, book) {
                    continue;
                }
                let next: Vec<EntryIndex> = way.iter().copied().chain([at]).collect();
                if self.is_home(sale.to, &next, reach) {
                    return (Some(next), false);
                }
                if before.from != sale.to && visited.insert(before.from) {
                    frontier.push_back(next);
                }
            }
        }
        (None, false)
    }

    /// Whether a sale is one, and still is.
    fn stands(&self, index: EntryIndex, sale: &Sale, book: &Book) -> bool {
        let is_sound = |index: EntryIndex| book.corrected_by(index).is_none();
        let returns = self.given_back.get(&sale.offer).map_or(&[][..], Vec::as_slice);
        let is_given_back = returns.iter().any(|by| is_sound(*by));
        sale.gives_back.is_none() && is_sound(index) && !is_given_back
    }
}

impl Sale {
    /// Whether another sale is of about as much.
    fn is_alike(&self, other: &Self, mass_e8: u64) -> bool {
        let apart = u128::from(other.mass.get().abs_diff(self.mass.get()));
        let allowed = u128::from(self.mass.get()) * u128::from(mass_e8);
        apart * u128::from(WHOLE_E8) <= allowed
    }
}
