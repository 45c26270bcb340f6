//! A8: a burst of unknown or natural-person origin in what a party collects, and a seller over the
//! cap of reverse invoices.
//!
//! A month is looked at when it is over: with the first entry of a later month, and again with each
//! collection that comes late. Amounts are not in the ledger (a price is a salted hash), so a
//! seller's year is an estimate by the reference prices of the tables. A seller is known by its
//! commitment: one with two salts is two sellers.

use std::collections::{BTreeMap, BTreeSet};

use super::super::anomaly::{Number, Rule, Severity, Unit};
use super::super::book::Seen;
use super::super::posting::signed;
use super::found::{About, Found, count, fraction, grams, ratio_e8};
use crate::domain::credit::Month;
use crate::domain::event::CollectLot;
use crate::domain::vocabulary::{InvoiceClass, OriginKind, SellerKind};
use crate::domain::{Body, EntryIndex, Hash32, PartyId};
use crate::limits::{LOOK_BACK_MONTHS, WHOLE_E8};

/// Collections that lie in one block of the shelf.
const BLOCK: usize = 1_024;

/// The collections of the last months: the newest of the ledger, a year before it and one more.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Notes {
    newest: Option<Month>,
    months: BTreeMap<(Month, PartyId), Loads>,
    loads: Shelf,
    sellers: BTreeMap<Hash32, BTreeSet<EntryIndex>>,
}

/// What one party collected in one month.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Loads {
    total: i128,
    of: [i128; 2],
    /// Those of a part that is counted apart: a flag names no others.
    entries: BTreeSet<EntryIndex>,
    told: BTreeMap<&'static str, Severity>,
}

/// The collections by their entry, ascending, in blocks by the first entry of each. They come in
/// ledger order, so that all blocks but the last are full, where nodes of a tree would be half
/// empty. One list of all would be copied when it grows, and whoever reads the book would wait.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Shelf(BTreeMap<EntryIndex, Vec<(EntryIndex, Load)>>);

/// One collection. There is one for each load of a year: it is small, and sums are not.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Load {
    month: Month,
    party: PartyId,
    grams: i64,
    is_of: [bool; 2],
    /// Who wrote no invoice, and what it may have been worth in fen. Most write one: it lies apart.
    seller: Option<Box<(Hash32, i64)>>,
}

/// What is counted apart: unknown origin, and natural persons.
struct Part {
    burst: &'static str,
    rise: &'static str,
    share: &'static str,
    limit: &'static str,
    /// How grave it is that the share is above its limit.
    severity: Severity,
}

const PARTS: [Part; 2] = [
    Part {
        burst: "unknown_burst",
        rise: "ORIGIN_UNKNOWN_RISE_E8",
        share: "unknown_share",
        limit: "ORIGIN_UNKNOWN_MAX_E8",
        severity: Severity::Medium,
    },
    Part {
        burst: "natural_burst",
        rise: "ORIGIN_NATURAL_RISE_E8",
        share: "natural_share",
        limit: "ORIGIN_NATURAL_MAX_E8",
        severity: Severity::Low,
    },
];

impl Notes {
    pub(super) fn look(&mut self, seen: &Seen<'_>, found: &mut Found<'_>) {
        if let Some(target) = seen.fact.undoes {
            self.forget(target);
        }
        let month = Month::of(seen.event.occurred_at);
        if let Body::CollectLot(said) = &seen.event.body {
            let load = load_of(seen, said, month);
            let party = load.party;
            self.learn(seen.fact.index, load);
            self.cap(seen.fact.index, found);
            if self.newest.is_some_and(|newest| month < newest) {
                self.judge((month, party), found);
            }
        }
        if self.newest.is_none_or(|newest| newest < month) {
            let before = self.newest.replace(month);
            let over: Vec<(Month, PartyId)> = match before {
                Some(before) => self.months.keys().copied().filter(|it| it.0 == before).collect(),
                None => Vec::new(),
            };
            for key in over {
                self.judge(key, found);
            }
            self.prune(month);
        }
    }

    fn learn(&mut self, index: EntryIndex, load: Load) {
        let loads = self.months.entry((load.month, load.party)).or_default();
        let grams = i128::from(load.grams);
        loads.total += grams;
        for (sum, is_of) in loads.of.iter_mut().zip(load.is_of) {
            *sum += if is_of { grams } else { 0 };
        }
        if load.is_of.contains(&true) {
            loads.entries.insert(index);
        }
        if let Some((seller, _)) = load.seller.as_deref() {
            self.sellers.entry(*seller).or_default().insert(index);
        }
        self.loads.push(index, load);
    }

    fn forget(&mut self, target: EntryIndex) {
        let Some(load) = self.loads.remove(target) else { return };
        if let Some(loads) = self.months.get_mut(&(load.month, load.party)) {
            let grams = i128::from(load.grams);
            loads.total -= grams;
            for (sum, is_of) in loads.of.iter_mut().zip(load.is_of) {
                *sum -= if is_of { grams } else { 0 };
            }
            loads.entries.remove(&target);
            loads.told.clear();
        }
        if let Some((seller, _)) = load.seller.as_deref() {
            strike(&mut self.sellers, seller, target);
        }
    }

    /// What is older than a year before the newest month is looked at no more.
    fn prune(&mut self, newest: Month) {
        let first = Month::of_number(newest.number().saturating_sub(LOOK_BACK_MONTHS));
        self.months.retain(|(month, _), _| *month >= first);
        let sellers = &mut self.sellers;
        self.loads.retain(|index, load| {
            let is_kept = load.month >= first;
            if let Some((seller, _)) = load.seller.as_deref().filter(|_| !is_kept) {
                strike(sellers, seller, index);
            }
            is_kept
        });
    }

    /// One party's month, that is over.
    fn judge(&mut self, (month, party): (Month, PartyId), found: &mut Found<'_>) {
        let Some(least) = found.limit("ORIGIN_BURST_MIN_G") else { return };
        let Some(here) = self.months.get(&(month, party)) else { return };
        let (total, of) = (here.total, here.of);
        for (place, part) in PARTS.iter().enumerate() {
            let mass = of[place];
            let Some(share) = ratio_e8(mass, total) else { continue };
            if mass < i128::from(least) {
                continue;
            }
            let burst = self.burst((month, party), place, share, found);
            let case = burst.or_else(|| over_share(part, share, found));
            let Some((variant, severity, mut numbers)) = case else { continue };
            let Some(here) = self.months.get_mut(&(month, party)) else { continue };
            if here.told.get(variant).is_some_and(|told| *told >= severity) {
                continue;
            }
            here.told.insert(variant, severity);
            let is_of =
                |index: &&EntryIndex| self.loads.get(**index).is_some_and(|it| it.is_of[place]);
            let entries: Vec<EntryIndex> = here.entries.iter().filter(is_of).copied().collect();
            numbers.extend([
                count("year", month.number() / 12 + 1970),
                count("month", month.number() % 12 + 1),
                grams("mass", mass),
                grams("collected", total),
                fraction("share", share),
            ]);
            let about = About { party: Some(party), ..About::default() };
            found.raise(Rule::A8, variant, severity, about, entries, numbers);
        }
    }

    /// Against what the party had in the year before.
    fn burst(
        &self,
        (month, party): (Month, PartyId),
        place: usize,
        share: i128,
        found: &Found<'_>,
    ) -> Option<(&'static str, Severity, Vec<Number>)> {
        let limit = i128::from(found.limit(PARTS[place].rise)?);
        let least = found.limit("ORIGIN_BURST_MONTHS")?;
        let first = Month::of_number(month.number().saturating_sub(LOOK_BACK_MONTHS));
        let before = self.months.range((first, PartyId::from_bytes([0; 16]))..(month, party));
        let before =
            before.filter(|((at, whose), loads)| *whose == party && *at < month && loads.total > 0);
        let (months, mass, total) = before.fold((0_u64, 0, 0), |sum, (_, loads)| {
            (sum.0 + 1, sum.1 + loads.of[place], sum.2 + loads.total)
        });
        if months < least.max(1) {
            return None;
        }
        let usual = ratio_e8(mass, total)?;
        let rise = share - usual;
        let severity = if rise > 2 * limit { Severity::High } else { Severity::Medium };
        let numbers =
            vec![fraction("own_share", usual), fraction("limit", limit), count("months", months)];
        (rise > limit).then_some((PARTS[place].burst, severity, numbers))
    }

    /// A seller's year, with the collection that takes it over the cap, or over twice the cap.
    fn cap(&self, index: EntryIndex, found: &mut Found<'_>) {
        let Some(load) = self.loads.get(index) else { return };
        let Some(&(seller, fen)) = load.seller.as_deref() else { return };
        let Some(cap) = found.limit("REVERSE_INVOICE_CAP_CNY") else { return };
        let cap = i128::from(cap) * 100;
        let last = load.month.number();
        let is_in_year = |it: &Load| {
            let month = it.month.number();
            month <= last && month + LOOK_BACK_MONTHS > last
        };
        let entries = self.sellers.get(&seller).into_iter().flatten();
        let year: Vec<(EntryIndex, i128)> = entries
            .filter_map(|it| self.loads.get(*it).map(|load| (*it, load)))
            .filter(|(_, load)| is_in_year(load))
            .filter_map(|(it, load)| load.seller.as_deref().map(|(_, fen)| (it, (*fen).into())))
            .collect();
        let after: i128 = year.iter().map(|(_, fen)| fen).sum();
        let crosses = |limit: i128| after > limit && after - i128::from(fen) <= limit;
        let severity = if crosses(2 * cap) {
            Severity::High
        } else if crosses(cap) {
            Severity::Medium
        } else {
            return;
        };
        let amount = |name, value| Number { name, value, unit: Unit::Fen };
        let numbers = vec![amount("estimated_amount", after), amount("limit", cap)];
        let about = About { lot: None, ..found.about_event() };
        debug_assert!(year.iter().any(|(it, _)| *it == index));
        let entries = year.into_iter().map(|(it, _)| it);
        found.raise(Rule::A8, "seller_cap", severity, about, entries, numbers);
    }
}

impl Shelf {
    /// Puts the newest one to the others.
    fn push(&mut self, index: EntryIndex, load: Load) {
        if let Some(mut last) = self.0.last_entry()
            && last.get().len() < BLOCK
        {
            last.get_mut().push((index, load));
            return;
        }
        let mut block = Vec::with_capacity(BLOCK);
        block.push((index, load));
        self.0.insert(index, block);
    }

    fn get(&self, index: EntryIndex) -> Option<&Load> {
        let (_, block) = self.0.range(..=index).next_back()?;
        let place = block.binary_search_by_key(&index, |(it, _)| *it).ok()?;
        block.get(place).map(|(_, load)| load)
    }

    fn remove(&mut self, index: EntryIndex) -> Option<Load> {
        let (_, block) = self.0.range_mut(..=index).next_back()?;
        let place = block.binary_search_by_key(&index, |(it, _)| *it).ok()?;
        Some(block.remove(place).1)
    }

    /// Keeps some of them, and no room for the others.
    fn retain(&mut self, mut is_kept: impl FnMut(EntryIndex, &Load) -> bool) {
        self.0.retain(|_, block| {
            block.retain(|(index, load)| is_kept(*index, load));
            block.shrink_to_fit();
            !block.is_empty()
        });
    }
}

/// A collection is its seller's no more.
fn strike(
    sellers: &mut BTreeMap<Hash32, BTreeSet<EntryIndex>>,
    seller: &Hash32,
    index: EntryIndex,
) {
    let Some(entries) = sellers.get_mut(seller) else { return };
    entries.remove(&index);
    if entries.is_empty() {
        sellers.remove(seller);
    }
}

fn load_of(seen: &Seen<'_>, said: &CollectLot, month: Month) -> Load {
    let lot = &said.lot;
    let mass = signed(lot.net_mass);
    let price = seen.tables.prices_cny_t.get(&lot.material).copied();
    // Grams times yuan a tonne are 1e-6 yuan, and a yuan is 100 fen.
    let worth = price.map(|price| i128::from(mass) * i128::from(price) / 10_000);
    let is_reverse = said.invoice_class == InvoiceClass::Reverse;
    let born = seen.fact.lots.iter().find(|it| it.lot == lot.id);
    Load {
        month,
        party: born.map_or(seen.event.actor, |it| it.after.possessor),
        grams: mass,
        is_of: [
            lot.origin_kind == Some(OriginKind::Unknown),
            said.seller_kind == SellerKind::NaturalPerson,
        ],
        seller: worth.filter(|_| is_reverse).map(|fen| {
            // At most 1e18 by the limits of a mass and of a price, so it fits.
            let fen = i64::try_from(fen).unwrap_or(i64::MAX);
            Box::new((said.seller_commitment, fen))
        }),
    }
}

/// Above what any month should have.
fn over_share(
    part: &Part,
    share: i128,
    found: &Found<'_>,
) -> Option<(&'static str, Severity, Vec<Number>)> {
    let limit = i128::from(found.limit(part.limit)?);
    let is_most = 2 * share > i128::from(WHOLE_E8);
    let severity = match part.severity {
        Severity::Medium if is_most => Severity::High,
        severity => severity,
    };
    (share > limit).then(|| (part.share, severity, vec![fraction("limit", limit)]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(month: u64) -> Load {
        let month = Month::of_number(u32::try_from(month).unwrap());
        let party = PartyId::from_bytes([1; 16]);
        Load { month, party, grams: 1, is_of: [false; 2], seller: None }
    }

    /// A shelf with every third entry of some, and the same as a plain map.
    fn filled(entries: u64) -> (Shelf, BTreeMap<EntryIndex, Load>) {
        let (mut shelf, mut plain) = (Shelf::default(), BTreeMap::new());
        for index in (0..entries).step_by(3) {
            shelf.push(EntryIndex(index), load(index % 5));
            plain.insert(EntryIndex(index), load(index % 5));
        }
        (shelf, plain)
    }

    fn is_same(shelf: &Shelf, plain: &BTreeMap<EntryIndex, Load>, entries: u64) {
        for index in (0..entries).map(EntryIndex) {
            assert_eq!(shelf.get(index), plain.get(&index), "{index}");
        }
    }

    #[test]
    fn a_shelf_finds_what_a_map_finds() {
        let entries = 3 * 3 * BLOCK as u64;
        let (mut shelf, mut plain) = filled(entries);
        is_same(&shelf, &plain, entries + 9);
        // All of the first block, its first entry as well; some of the second; the last of all.
        let second = 3 * BLOCK as u64;
        let first_of_third = 2 * second;
        let gone = (0..second).chain(second + 1..second + 99).chain([first_of_third, entries - 3]);
        for index in gone.map(EntryIndex) {
            assert_eq!(shelf.remove(index), plain.remove(&index), "{index}");
            assert_eq!(shelf.remove(index), None, "once");
        }
        is_same(&shelf, &plain, entries);
        // It goes on where it was, and what is old goes out of every block.
        shelf.push(EntryIndex(entries), load(4));
        plain.insert(EntryIndex(entries), load(4));
        let mut old = Vec::new();
        shelf.retain(|index, load| {
            let is_kept = load.month.number() >= 2;
            old.extend((!is_kept).then_some(index));
            is_kept
        });
        let (gone, plain): (BTreeMap<_, _>, BTreeMap<_, _>) =
            plain.into_iter().partition(|(_, load)| load.month.number() < 2);
        assert_eq!(old, gone.into_keys().collect::<Vec<_>>());
        is_same(&shelf, &plain, entries + 9);
        assert!(shelf.0.values().all(|block| !block.is_empty()));
    }
}
