//! How much of a metal a process gave back: what A1 and A3 ask.

use std::collections::{BTreeMap, BTreeSet};

use super::super::anomaly::Severity;
use super::super::book::{Book, Seen};
use super::super::columns::Column;
use super::super::posting::{Account, Code};
use super::found::{behind, ratio_e8};
use crate::domain::credit::Month;
use crate::domain::vocabulary::Substance;
use crate::domain::{CampaignId, EntryIndex, SiteId};
use crate::limits::LOOK_BACK_MONTHS;
use crate::provenance::Measure;

/// Grams of an element through a process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Flow {
    /// Inputs and additions, and of a campaign what it took from its stock.
    pub(super) into: i128,
    /// Outputs.
    pub(super) out: i128,
    /// Residues.
    pub(super) rest: i128,
}

/// Flows by element.
pub(super) type Flows = BTreeMap<Substance, Flow>;

/// A process at a site.
pub(super) type Plant = (SiteId, Code);

impl Flow {
    fn add(&mut self, column: Column, grams: i128) {
        match column {
            Column::Used | Column::Added | Column::Waived | Column::CarriedIn => self.into += grams,
            Column::CarriedOut => self.into -= grams,
            Column::Produced => self.out += grams,
            Column::Residue => self.rest += grams,
            _ => {}
        }
    }

    pub(super) const fn plus(self, other: Self) -> Self {
        Self {
            into: self.into + other.into,
            out: self.out + other.out,
            rest: self.rest + other.rest,
        }
    }

    /// The part that came out as outputs, in 1e-8.
    pub(super) fn recovery(self) -> Option<i128> {
        ratio_e8(self.out, self.into)
    }

    /// Whether it is no product here: most of what came out of it is in residues.
    pub(super) const fn is_by_product(self) -> bool {
        self.rest > self.out
    }
}

/// A month of a plant, and what was told of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Past {
    pub(super) flows: Flows,
    told: BTreeMap<Substance, Severity>,
}

impl Past {
    /// Whether this was not told yet, or less gravely.
    pub(super) fn is_news(&mut self, substance: Substance, severity: Severity) -> bool {
        let before = self.told.insert(substance, severity);
        let is_news = before.is_none_or(|before| before < severity);
        if let Some(before) = before.filter(|_| !is_news) {
            self.told.insert(substance, before);
        }
        is_news
    }
}

/// The last months of every plant that does not run in campaigns: the newest of them, a year and
/// one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Months(BTreeMap<Plant, BTreeMap<Month, Past>>);

impl Months {
    /// Takes over what an entry did; an entry that undoes another takes back, and what was told of
    /// the month may be told again.
    pub(super) fn learn(&mut self, seen: &Seen<'_>, book: &Book) {
        for (plant, month, flows) in of_entry(book, seen.fact.index) {
            let months = self.0.entry(plant).or_default();
            let past = months.entry(month).or_default();
            if seen.fact.undoes.is_some() {
                past.told.clear();
            }
            for (substance, flow) in flows {
                let sum = past.flows.entry(substance).or_default();
                *sum = sum.plus(flow);
            }
            while months.len() > LOOK_BACK_MONTHS as usize + 1 {
                months.pop_first();
            }
        }
    }

    /// A month of a plant.
    pub(super) fn month(&mut self, plant: &Plant, month: Month) -> Option<&mut Past> {
        self.0.get_mut(plant).and_then(|months| months.get_mut(&month))
    }

    /// Months of a plant before one, newest first.
    pub(super) fn before(&self, plant: &Plant, month: Month) -> impl Iterator<Item = &Flows> {
        let months = self.0.get(plant).into_iter();
        months.flat_map(move |months| months.range(..month).rev()).map(|(_, past)| &past.flows)
    }
}

/// What an entry did in a process that is no campaign.
pub(super) fn of_entry(book: &Book, index: EntryIndex) -> Vec<(Plant, Month, Flows)> {
    let mut found: BTreeMap<(Plant, Month), Flows> = BTreeMap::new();
    for row in book.rows_of(index) {
        let Some(account) = book.account(row.account) else { continue };
        let Measure::Substance(substance) = account.measure else { continue };
        if account.process.is_empty() || account.campaign.is_some() {
            continue;
        }
        let key = ((account.site, Code::clone(&account.process)), account.month);
        let flow = found.entry(key).or_default().entry(substance).or_default();
        flow.add(account.column, row.grams.into());
    }
    found.into_iter().map(|((plant, month), flows)| (plant, month, flows)).collect()
}

/// What campaigns did, what is still in them not counted.
pub(super) fn of_campaigns(
    book: &Book,
    wanted: &BTreeSet<CampaignId>,
) -> BTreeMap<CampaignId, Flows> {
    let is_wanted = |it: &Account| it.campaign.is_some_and(|it| wanted.contains(&it));
    let mut found: BTreeMap<CampaignId, Flows> = BTreeMap::new();
    for (account, grams) in book.totals(book.size(), None, is_wanted) {
        let (Some(campaign), Measure::Substance(it)) = (account.campaign, account.measure) else {
            continue;
        };
        let flow = found.entry(campaign).or_default().entry(it).or_default();
        flow.add(account.column, grams);
    }
    for (campaign, flows) in &mut found {
        for (measure, grams) in book.in_process(*campaign) {
            if let Measure::Substance(it) = measure {
                flows.entry(it).or_default().into -= i128::from(grams);
            }
        }
    }
    found
}

/// What nobody looked for in the closing stock may all be in it, or be gone.
pub(super) fn is_known_in_stock(seen: &Seen<'_>, substance: Substance) -> bool {
    let stock = seen.fact.stock.as_ref();
    stock.is_none_or(|it| it.mass.is_zero() || it.contents.of(substance).is_some())
}

/// Entries behind the figures of a month of a plant.
pub(super) fn entries_of_month(book: &Book, plant: &Plant, month: Month) -> Vec<EntryIndex> {
    behind(book, |it| {
        it.campaign.is_none() && it.month == month && (it.site, &it.process) == (plant.0, &plant.1)
    })
}

/// Entries behind the figures of a campaign.
pub(super) fn entries_of_campaign(book: &Book, campaign: CampaignId) -> Vec<EntryIndex> {
    behind(book, |it| it.campaign == Some(campaign))
}
