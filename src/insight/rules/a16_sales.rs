//! A16: more sold than was produced and there.
//!
//! R2 and R10 refuse to sell what is not there or is another's, so what is left to see is where the
//! goods come from: a plant that sells more of its own product than it made (the rest was bought),
//! or sells what it bought the same day, and metal that leaves a site although it never came, but
//! by another analysis or a count.

use std::collections::{BTreeMap, BTreeSet};

use super::super::anomaly::{Rule, Severity};
use super::super::book::{Book, Offer, Seen};
use super::super::columns::Column;
use super::super::posting::{Account, Code};
use super::found::{About, Found, behind, count, fraction, grams, number, ratio_e8, span};
use crate::domain::credit::Month;
use crate::domain::vocabulary::{PartyRole, Substance};
use crate::domain::{Body, EntryIndex, EventId, LotId, PartyId, SiteId, TimeMs};
use crate::limits::{LOOK_BACK_MONTHS, WHOLE_E8};
use crate::provenance::Measure;

/// What every party made and sold, what came to and left every site, and what was bought lately.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Notes {
    products: BTreeMap<(PartyId, Code), Product>,
    metal: BTreeMap<(PartyId, SiteId, Substance), Passed>,
    /// Offers that give goods back, and the entries that took them back.
    returns: BTreeSet<EventId>,
    returned: BTreeSet<EntryIndex>,
    bought: BTreeMap<LotId, Bought>,
}

/// One material class of a party.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Product {
    /// What was left of own production before the months.
    opening: i128,
    has_made: bool,
    months: BTreeMap<Month, Trade>,
}

/// Made and sold in a month.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Trade {
    made: i128,
    sold: i128,
    told: Option<Severity>,
}

/// One element at a site, since the beginning.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Passed {
    came: i128,
    went: i128,
    told: Option<(Month, Severity)>,
}

/// A lot that somebody bought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Bought {
    by: PartyId,
    at: TimeMs,
    entry: EntryIndex,
}

impl Notes {
    pub(super) fn look(&mut self, seen: &Seen<'_>, book: &Book, found: &mut Found<'_>) {
        if let Body::ReturnTransfer(_) = &seen.event.body {
            self.returns.insert(seen.event.id);
        }
        let offer = answered(&seen.event.body);
        if offer.is_some_and(|offer| self.returns.contains(&offer)) {
            self.returned.insert(seen.fact.index);
        }
        self.analysed(seen);
        let sold = self.learn(seen, book);
        if let Some(target) = seen.fact.undoes {
            self.bought.retain(|_, it| it.entry != target);
            return;
        }
        for account in sold {
            match account.measure {
                Measure::Mass => self.product(seen, book, account, found),
                Measure::Substance(substance) => self.left(book, account, substance, found),
            }
        }
        if let Some((id, offer)) = offer.and_then(|id| Some((id, book.offer(id)?))) {
            self.resale(seen, book, id, offer, found);
        }
        if let Body::SplitLot(split) = &seen.event.body
            && let Some(bought) = self.bought.get(&split.parent).copied()
        {
            self.bought.extend(split.children.iter().map(|child| (child.lot, bought)));
        }
    }

    /// What was found in a lot that nobody had looked for in it before came with it; what is more
    /// than was known did not come at all.
    fn analysed(&mut self, seen: &Seen<'_>) {
        let is_analysis = matches!(&seen.event.body, Body::AssayLot(_));
        for change in seen.fact.lots.iter().filter(|_| is_analysis || seen.fact.undoes.is_some()) {
            let Some(before) = &change.before else { continue };
            let after = &change.after;
            let key = |substance| (after.possessor, after.site, substance);
            for (substance, grams) in &after.contents {
                if before.contained(*substance).is_none() {
                    self.metal.entry(key(*substance)).or_default().came += number(*grams);
                }
            }
            for (substance, grams) in &before.contents {
                if after.contained(*substance).is_none() {
                    self.metal.entry(key(*substance)).or_default().came -= number(*grams);
                }
            }
        }
    }

    /// Takes over what an entry posted; answers the accounts under which goods left.
    fn learn<'a>(&mut self, seen: &Seen<'_>, book: &'a Book) -> Vec<&'a Account> {
        let index = seen.fact.undoes.unwrap_or(seen.fact.index);
        let is_return = self.returned.contains(&index);
        let mut left = Vec::new();
        for row in book.rows_of(seen.fact.index) {
            let Some(account) = book.account(row.account) else { continue };
            let grams = i128::from(row.grams);
            let has_left = match account.measure {
                Measure::Mass => self.trade(account, grams, is_return, seen.fact.undoes.is_some()),
                Measure::Substance(substance) => self.pass(account, substance, grams),
            };
            if has_left {
                left.push(account);
            }
        }
        left
    }

    /// Made and sold of a material class. Goods that come back are sales that were none.
    fn trade(&mut self, account: &Account, grams: i128, is_return: bool, is_undone: bool) -> bool {
        let (made, sold) = match account.column {
            Column::OpeningInventory
            | Column::Collected
            | Column::Counted
            | Column::Produced
            | Column::Remade
            | Column::Residue
            | Column::Succeeded => (grams, 0),
            Column::Sold if !is_return => (0, grams),
            Column::Bought if is_return => (0, -grams),
            Column::Exited => (0, grams),
            _ => return false,
        };
        let key = (account.party, Code::clone(&account.material));
        let product = self.products.entry(key).or_default();
        product.has_made |= account.column == Column::Produced;
        let month = product.months.entry(account.month).or_default();
        month.made += made;
        month.sold += sold;
        if is_undone {
            month.told = None;
        }
        while product.months.len() > LOOK_BACK_MONTHS as usize + 1 {
            if let Some((_, old)) = product.months.pop_first() {
                product.opening = (product.opening + old.made - old.sold).max(0);
            }
        }
        sold > 0
    }

    /// What came to a site and left it, of an element.
    fn pass(&mut self, account: &Account, substance: Substance, grams: i128) -> bool {
        let (came, went) = match account.column {
            Column::OpeningInventory
            | Column::Collected
            | Column::Received
            | Column::Produced
            | Column::Residue
            | Column::Succeeded => (grams, 0),
            Column::Used | Column::Added => (-grams, 0),
            Column::Shipped | Column::Exited | Column::Disposed => (0, grams),
            _ => return false,
        };
        let key = (account.party, account.site, substance);
        let passed = self.metal.entry(key).or_default();
        passed.came += came;
        passed.went += went;
        went > 0
    }

    /// Own production, month by month: what is sold beyond it was bought.
    fn product(&mut self, seen: &Seen<'_>, book: &Book, account: &Account, found: &mut Found<'_>) {
        let Some(limit) = found.limit("SALES_OVER_PRODUCTION_E8").map(i128::from) else { return };
        let Some(is_trader) = is_plant(book, account.party, seen.event.occurred_at) else { return };
        let key = (account.party, Code::clone(&account.material));
        let Some(product) = self.products.get_mut(&key).filter(|it| it.has_made) else { return };
        let earlier = product.months.range(..account.month);
        let opening =
            earlier.fold(product.opening, |own, (_, it)| (own + it.made - it.sold).max(0));
        let Some(here) = product.months.get_mut(&account.month) else { return };
        let beyond = here.sold - here.made - opening;
        if beyond <= 0 || beyond * i128::from(WHOLE_E8) <= limit * here.sold {
            return;
        }
        let severity = match 2 * beyond > here.sold {
            _ if is_trader => Severity::Low,
            true => Severity::High,
            false => Severity::Medium,
        };
        if here.told.is_some_and(|told| told >= severity) {
            return;
        }
        here.told = Some(severity);
        let numbers = vec![
            grams("opening", opening),
            grams("made", here.made),
            grams("sold", here.sold),
            fraction("beyond", ratio_e8(beyond, here.sold).unwrap_or_default()),
            fraction("limit", limit),
        ];
        let is_own = |it: &Account| {
            let of = matches!(it.column, Column::Sold | Column::Exited | Column::Bought);
            let is_here = it.party == account.party && it.month == account.month;
            of && is_here && it.material == account.material && it.measure == Measure::Mass
        };
        let entries = behind(book, is_own);
        let about =
            About { party: Some(account.party), site: Some(account.site), ..About::default() };
        found.raise(Rule::A16, "own_production", severity, about, entries, numbers);
    }

    /// An element at a site: more left than came.
    fn left(
        &mut self,
        book: &Book,
        account: &Account,
        substance: Substance,
        found: &mut Found<'_>,
    ) {
        let limit = found.limit("SALES_OVER_SOURCES_E8").map(i128::from);
        let least = found.limit("SALES_MIN_G").map(i128::from);
        let (Some(limit), Some(least)) = (limit, least) else { return };
        let key = (account.party, account.site, substance);
        let Some(passed) = self.metal.get_mut(&key) else { return };
        let beyond = passed.went - passed.came;
        let over = beyond * i128::from(WHOLE_E8);
        if beyond < least || over <= limit * passed.came {
            return;
        }
        let is_far = over > 5 * limit * passed.came;
        let severity = if is_far { Severity::High } else { Severity::Medium };
        let is_told = |(month, told): (Month, Severity)| month == account.month && told >= severity;
        if passed.told.is_some_and(is_told) {
            return;
        }
        passed.told = Some((account.month, severity));
        let numbers = vec![
            count("atomic_number", substance.number()),
            grams("came", passed.came),
            grams("went", passed.went),
            fraction("over", ratio_e8(beyond, passed.came).unwrap_or_default()),
            fraction("limit", limit),
        ];
        let is_gain = |it: &Account| {
            let of = matches!(it.column, Column::Adjusted | Column::Counted | Column::Remade);
            of && (it.party, it.site, it.measure)
                == (account.party, account.site, Measure::Substance(substance))
        };
        let entries = behind(book, is_gain);
        let about =
            About { party: Some(account.party), site: Some(account.site), ..About::default() };
        found.raise(Rule::A16, "metal", severity, about, entries, numbers);
    }

    /// Bought and sold within a day, of what the seller makes itself.
    fn resale(
        &mut self,
        seen: &Seen<'_>,
        book: &Book,
        id: EventId,
        offer: &Offer,
        found: &mut Found<'_>,
    ) {
        let Some(limit) = found.limit("RESALE_SAME_DAY_MS") else { return };
        if !offer.scope.moves_ownership() || self.returns.contains(&id) {
            return;
        }
        let material = seen.fact.lots.first().map(|it| it.material.clone()).unwrap_or_default();
        let bought = self.bought.get(&offer.lot).copied().filter(|it| it.by == offer.sender);
        let makes = |party: PartyId| {
            let product = self.products.get(&(party, Code::from(material.as_str())));
            product.is_some_and(|it| it.has_made)
        };
        if let Some(bought) = bought
            && makes(offer.sender)
            && let Some(is_trader) = is_plant(book, offer.sender, offer.occurred_at)
        {
            let held = offer.occurred_at.get().saturating_sub(bought.at.get());
            if held < limit {
                let severity = if is_trader { Severity::Low } else { Severity::Medium };
                let about =
                    About { lot: Some(offer.lot), party: Some(offer.sender), ..About::default() };
                let numbers = vec![
                    grams("sold", number(offer.mass)),
                    span("held", held),
                    span("limit", limit),
                ];
                let entries = [bought.entry, offer.index];
                found.raise(Rule::A16, "same_day", severity, about, entries, numbers);
            }
        }
        let now = seen.event.occurred_at;
        self.bought.retain(|_, it| it.at.get().saturating_add(limit) > now.get());
        let (by, entry) = (seen.event.actor, seen.fact.index);
        let taken = seen.fact.lots.iter().filter(|it| it.after.owner == by);
        self.bought.extend(taken.map(|it| (it.lot, Bought { by, at: now, entry })));
    }
}

/// The offer that an event answers.
const fn answered(body: &Body) -> Option<EventId> {
    match body {
        Body::AcceptTransfer(it) => Some(it.offer),
        Body::PartlyAcceptTransfer(it) => Some(it.offer),
        _ => None,
    }
}

/// Whether a plant trades besides; `None` for who makes no metal.
fn is_plant(book: &Book, party: PartyId, at: TimeMs) -> Option<bool> {
    let party = &book.registry().party(party)?.party;
    let is_plant = [
        PartyRole::Smelter,
        PartyRole::RareEarthRecoveryPlant,
        PartyRole::RareEarthSeparationPlant,
        PartyRole::RareEarthMetalPlant,
    ]
    .into_iter()
    .any(|role| party.has_role(role, at));
    is_plant.then(|| party.has_role(PartyRole::Trader, at))
}
