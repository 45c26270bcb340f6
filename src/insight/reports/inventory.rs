//! What is there, and what is under way: stock, open transfers, open campaigns.

use std::collections::BTreeMap;

use super::day::DAY_MS;
use super::figure::{Figure, Filter, Signs};
use super::table::{AsOf, Cell, ColumnHead, ColumnUnit, ReportKind, Table, Value, code};
use super::words::{CAMPAIGN, ENTRY, LOT, MATERIAL, MEASURE, OCCURRED_AT, PARTY, PROCESS, SITE};
use crate::domain::{CampaignId, EntryIndex, EventId, PartyId, SiteId, TimeMs};
use crate::insight::{Account, Book, Code, Offer, Run};
use crate::provenance::Measure;

/// Whose stock. What is not stated is any.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StockQuery {
    /// In whose books; of a transfer, on either side.
    pub party: Option<PartyId>,
    /// At which site; of a transfer, on either side.
    pub site: Option<SiteId>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    party: PartyId,
    site: SiteId,
    is_in_process: bool,
    material: Code,
    process: Code,
    campaign: Option<CampaignId>,
    measure: Measure,
}

const DAYS: ColumnHead = ColumnHead::new("days", "已历天数", "days", ColumnUnit::Count);

/// Stock: in lots by material, in process by campaign; the mass and each element.
pub fn inventory(book: &Book, as_of: AsOf, query: &StockQuery) -> Table {
    let columns = vec![
        PARTY,
        SITE,
        ColumnHead::new("held", "所在", "held", ColumnUnit::Code),
        MATERIAL,
        PROCESS,
        CAMPAIGN,
        MEASURE,
        ColumnHead::new("grams", "数量", "grams", ColumnUnit::Grams),
    ];
    let mut table = Table::new(ReportKind::Inventory, as_of, columns);
    for (key, grams) in stocks(book, as_of, query) {
        table.push(key.row(grams));
    }
    table.named(book.registry())
}

fn stocks(book: &Book, as_of: AsOf, query: &StockQuery) -> BTreeMap<Key, i128> {
    let is_wanted = |account: &Account| {
        (account.column.in_lots() != 0 || account.column.in_process() != 0)
            && query.party.is_none_or(|party| party == account.party)
            && query.site.is_none_or(|site| site == account.site)
    };
    let nothing = Code::from("");
    let mut stocks: BTreeMap<Key, i128> = BTreeMap::new();
    for (account, grams) in book.totals(as_of.size, Some(as_of.time), is_wanted) {
        for is_in_process in [false, true] {
            let column = account.column;
            let weight = if is_in_process { column.in_process() } else { column.in_lots() };
            if weight == 0 {
                continue;
            }
            // Where something is says what names it.
            let named =
                |code: &Code, is_named: bool| Code::clone(if is_named { code } else { &nothing });
            let key = Key {
                party: account.party,
                site: account.site,
                is_in_process,
                material: named(&account.material, !is_in_process),
                process: named(&account.process, is_in_process),
                campaign: account.campaign.filter(|_| is_in_process),
                measure: account.measure,
            };
            *stocks.entry(key).or_default() += grams * i128::from(weight);
        }
    }
    stocks.retain(|_, grams| *grams != 0);
    stocks
}

impl Key {
    fn row(self, grams: i128) -> Vec<Cell> {
        let signs = if self.is_in_process { Signs::PROCESS } else { Signs::LOTS };
        let mut filter = Filter {
            party: Some(self.party),
            site: Some(self.site),
            campaign: self.campaign,
            ..Filter::new(signs, self.measure)
        };
        if self.is_in_process {
            filter.process = Some(self.process.to_string());
        } else {
            filter.materials = vec![self.material.to_string()];
        }
        vec![
            Value::Party(self.party).into(),
            Value::Site(self.site).into(),
            Cell::code(if self.is_in_process { "IN_PROCESS" } else { "LOTS" }),
            code(&self.material),
            code(&self.process),
            Cell::maybe(self.campaign.map(Value::Campaign)),
            Cell::measure(self.measure),
            Cell::grams(grams, filter.into()),
        ]
    }
}

/// Offers that nobody has answered, the oldest first.
pub fn open_transfers(book: &Book, as_of: AsOf, query: &StockQuery) -> Table {
    let columns = vec![
        ENTRY,
        OCCURRED_AT,
        DAYS,
        ColumnHead::new("sender", "发出方", "sender", ColumnUnit::Party),
        ColumnHead::new("from_site", "发出场所", "from site", ColumnUnit::Site),
        ColumnHead::new("consignee", "接收方", "consignee", ColumnUnit::Party),
        ColumnHead::new("to_site", "接收场所", "to site", ColumnUnit::Site),
        LOT,
        ColumnHead::new("scope", "交接内容", "scope", ColumnUnit::Code),
        ColumnHead::new("mass", "质量", "mass", ColumnUnit::Grams),
        ColumnHead::new("vehicle", "车辆", "vehicle", ColumnUnit::Text),
        ColumnHead::new("manifest", "联单号", "manifest", ColumnUnit::Text),
    ];
    let mut table = Table::new(ReportKind::OpenTransfers, as_of, columns);
    let is_open = |(id, offer): &(EventId, &Offer)| {
        is_told(as_of, offer.index, offer.occurred_at)
            && query.party.is_none_or(|it| offer.sender == it || offer.consignee == it)
            && query.site.is_none_or(|it| offer.from_site == it || offer.to_site == Some(it))
            && book.offer_end(*id, as_of.size, as_of.time).is_none()
    };
    let mut open: Vec<&Offer> = book.offers().filter(is_open).map(|(_, offer)| offer).collect();
    open.sort_by_key(|offer| (offer.occurred_at, offer.index));
    for offer in open {
        let mass = i128::from(offer.mass.get());
        let figure = Figure::Entries(vec![(offer.index, mass)]);
        table.push(vec![
            Value::Entry(offer.index).into(),
            Value::Time(offer.occurred_at).into(),
            days_since(as_of, offer.occurred_at),
            Value::Party(offer.sender).into(),
            Value::Site(offer.from_site).into(),
            Value::Party(offer.consignee).into(),
            Cell::maybe(offer.to_site.map(Value::Site)),
            Value::Lot(offer.lot).into(),
            Cell::code(offer.scope),
            Cell::grams(mass, figure),
            Cell::text(&offer.vehicle),
            Cell::text(&offer.manifest),
        ]);
    }
    table.named(book.registry())
}

/// Campaigns that are not closed, the oldest first.
pub fn open_campaigns(book: &Book, as_of: AsOf, query: &StockQuery) -> Table {
    let columns = vec![
        CAMPAIGN,
        ENTRY,
        OCCURRED_AT,
        DAYS,
        PARTY,
        SITE,
        PROCESS,
        ColumnHead::new("in_process", "在制质量", "mass in process", ColumnUnit::Grams),
    ];
    let mut table = Table::new(ReportKind::OpenCampaigns, as_of, columns);
    let is_open = |(id, run): &(CampaignId, &Run)| {
        is_told(as_of, run.opened_at, run.occurred_at)
            && query.party.is_none_or(|party| run.party == party)
            && query.site.is_none_or(|site| run.site == site)
            && book.run_end(*id, as_of.size, as_of.time).is_none()
    };
    let mut open: Vec<_> = book.runs().filter(is_open).collect();
    open.sort_by_key(|(_, run)| (run.occurred_at, run.opened_at));
    let inside = masses_in_process(book, as_of);
    for (id, run) in open {
        let grams = inside.get(&id).copied().unwrap_or_default();
        let filter = Filter { campaign: Some(id), ..Filter::new(Signs::PROCESS, Measure::Mass) };
        table.push(vec![
            Value::Campaign(id).into(),
            Value::Entry(run.opened_at).into(),
            Value::Time(run.occurred_at).into(),
            days_since(as_of, run.occurred_at),
            Value::Party(run.party).into(),
            Value::Site(run.site).into(),
            code(&run.process),
            Cell::grams(grams, filter.into()),
        ]);
    }
    table.named(book.registry())
}

fn masses_in_process(book: &Book, as_of: AsOf) -> BTreeMap<CampaignId, i128> {
    let is_wanted = |account: &Account| {
        account.measure == Measure::Mass
            && account.campaign.is_some()
            && account.column.in_process() != 0
    };
    let mut masses = BTreeMap::new();
    for (account, grams) in book.totals(as_of.size, Some(as_of.time), is_wanted) {
        if let Some(campaign) = account.campaign {
            let grams = grams * i128::from(account.column.in_process());
            *masses.entry(campaign).or_insert(0) += grams;
        }
    }
    masses
}

fn is_told(as_of: AsOf, index: EntryIndex, occurred_at: TimeMs) -> bool {
    index.0 < as_of.size.0 && occurred_at < as_of.time
}

/// Whole days.
fn days_since(as_of: AsOf, since: TimeMs) -> Cell {
    let days = as_of.time.get().saturating_sub(since.get()) / DAY_MS;
    Value::Count(days.into()).into()
}
