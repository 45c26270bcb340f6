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
use super::found::{About, Found, count, fraction, grams, number, ratio_e8};
use crate::domain::credit::Month;
use crate::domain::event::CollectLot;
use crate::domain::vocabulary::{InvoiceClass, OriginKind, SellerKind};
use crate::domain::{Body, EntryIndex, Hash32, PartyId};
use crate::limits::{LOOK_BACK_MONTHS, WHOLE_E8};

/// The collections of the last months: the newest of the ledger, a year before it and one more.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Notes {
    newest: Option<Month>,
    months: BTreeMap<(Month, PartyId), Loads>,
    loads: BTreeMap<EntryIndex, Load>,
    sellers: BTreeMap<Hash32, BTreeSet<EntryIndex>>,
}

/// What one party collected in one month.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Loads {
    total: i128,
    of: [i128; 2],
    entries: BTreeSet<EntryIndex>,
    told: BTreeMap<&'static str, Severity>,
}

/// One collection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Load {
    month: Month,
    party: PartyId,
    grams: i128,
    is_of: [bool; 2],
    /// Who wrote no invoice, and what it may have been worth.
    seller: Option<(Hash32, i128)>,
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
            self.learn(seen.fact.index, load);
            self.cap(seen.fact.index, load, found);
            if self.newest.is_some_and(|newest| month < newest) {
                self.judge((month, load.party), found);
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
        loads.total += load.grams;
        for (sum, is_of) in loads.of.iter_mut().zip(load.is_of) {
            *sum += if is_of { load.grams } else { 0 };
        }
        loads.entries.insert(index);
        self.loads.insert(index, load);
        if let Some((seller, _)) = load.seller {
            self.sellers.entry(seller).or_default().insert(index);
        }
    }

    fn forget(&mut self, target: EntryIndex) {
        let Some(load) = self.loads.remove(&target) else { return };
        if let Some(loads) = self.months.get_mut(&(load.month, load.party)) {
            loads.total -= load.grams;
            for (sum, is_of) in loads.of.iter_mut().zip(load.is_of) {
                *sum -= if is_of { load.grams } else { 0 };
            }
            loads.entries.remove(&target);
            loads.told.clear();
        }
        if let Some((seller, _)) = load.seller
            && let Some(entries) = self.sellers.get_mut(&seller)
        {
            entries.remove(&target);
        }
    }

    /// What is older than a year before the newest month is looked at no more.
    fn prune(&mut self, newest: Month) {
        let first = Month::of_number(newest.number().saturating_sub(LOOK_BACK_MONTHS));
        self.months.retain(|(month, _), _| *month >= first);
        let loads = std::mem::take(&mut self.loads);
        let (kept, old) = loads.into_iter().partition(|(_, load)| load.month >= first);
        self.loads = kept;
        let old: BTreeMap<EntryIndex, Load> = old;
        for (index, load) in old {
            let Some((seller, _)) = load.seller else { continue };
            if let Some(entries) = self.sellers.get_mut(&seller) {
                entries.remove(&index);
                if entries.is_empty() {
                    self.sellers.remove(&seller);
                }
            }
        }
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
                |index: &&EntryIndex| self.loads.get(index).is_some_and(|it| it.is_of[place]);
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
    fn cap(&self, index: EntryIndex, load: Load, found: &mut Found<'_>) {
        let Some((seller, fen)) = load.seller else { return };
        let Some(cap) = found.limit("REVERSE_INVOICE_CAP_CNY") else { return };
        let cap = i128::from(cap) * 100;
        let last = load.month.number();
        let is_in_year = |it: &Load| {
            let month = it.month.number();
            month <= last && month + LOOK_BACK_MONTHS > last
        };
        let entries = self.sellers.get(&seller).into_iter().flatten();
        let year: Vec<(EntryIndex, i128)> = entries
            .filter_map(|it| self.loads.get(it).map(|load| (*it, load)))
            .filter(|(_, load)| is_in_year(load))
            .filter_map(|(it, load)| load.seller.map(|(_, fen)| (it, fen)))
            .collect();
        let after: i128 = year.iter().map(|(_, fen)| fen).sum();
        let crosses = |limit: i128| after > limit && after - fen <= limit;
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

fn load_of(seen: &Seen<'_>, said: &CollectLot, month: Month) -> Load {
    let lot = &said.lot;
    let mass = number(lot.net_mass);
    let price = seen.tables.prices_cny_t.get(&lot.material).copied();
    // Grams times yuan a tonne are 1e-6 yuan, and a yuan is 100 fen.
    let worth = price.map(|price| mass * i128::from(price) / 10_000);
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
        seller: worth.filter(|_| is_reverse).map(|fen| (said.seller_commitment, fen)),
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
