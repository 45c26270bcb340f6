//! The balance of a period: opening and what came, against what went, what was lost and what is
//! there; and whether it closes.

use std::collections::{BTreeMap, BTreeSet};

use super::figure::{Figure, Filter, Signs};
use super::share_e8;
use super::table::{AsOf, Cell, ColumnHead, ColumnUnit, ReportKind, Table, Value, code};
use super::words::{CAMPAIGN, CLOSING, MEASURE, OPENING, PARTY, PROCESS, SITE};
use crate::domain::credit::Month;
use crate::domain::{CampaignId, PartyId, SiteId, Tables};
use crate::insight::{Account, Book, Code, Column};
use crate::limits::WHOLE_E8;
use crate::provenance::Measure;

const VARIANCE_LIMIT: &str = "PERIOD_VARIANCE_FLAG_E8";

/// Which balance. What is not stated is any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BalanceQuery {
    /// First month inside.
    pub from: Month,
    /// First month outside.
    pub to: Month,
    /// In whose books.
    pub party: Option<PartyId>,
    /// At which site.
    pub site: Option<SiteId>,
    /// Code of the process table.
    pub process: Option<String>,
    /// Of which campaign.
    pub campaign: Option<CampaignId>,
    /// Of what.
    pub measure: Option<Measure>,
    /// A row for what.
    pub by: BalanceBy,
}

/// What a row of the balance is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BalanceBy {
    /// All stock of a site, in lots and in process.
    Site,
    /// What is in a process at a site, in all of its campaigns.
    Process,
    /// What is in a campaign.
    Campaign,
}

/// A term of the balance.
struct Term {
    head: ColumnHead,
    /// What it does to what is there: more, or less.
    sign: i8,
    columns: Signs,
}

type Key = (PartyId, SiteId, Option<Code>, Option<CampaignId>, Measure);

#[derive(Default)]
struct Sums {
    opening: i128,
    columns: BTreeMap<Column, i128>,
    /// Runs that the period has a part in: of which process, and of which campaign.
    runs: BTreeSet<(Code, Option<CampaignId>)>,
}

const fn grams_head(name: &'static str, zh: &'static str, en: &'static str) -> ColumnHead {
    ColumnHead::new(name, zh, en, ColumnUnit::Grams)
}

impl BalanceBy {
    /// What is there.
    const fn stock(self) -> Signs {
        match self {
            Self::Site => Signs::STOCK,
            Self::Process | Self::Campaign => Signs::PROCESS,
        }
    }

    /// Every column that changes what is there is in one term.
    fn terms(self) -> Vec<Term> {
        use Column as C;
        let is_site = self == Self::Site;
        let sum = |columns: &[Column]| Signs::NONE.plus(columns);
        let term = |head, sign, columns| Term { head, sign, columns };
        let carried = if is_site {
            Signs::NONE.plus(&[C::CarriedIn, C::Waived]).minus(&[C::CarriedOut])
        } else {
            sum(&[C::CarriedIn, C::Waived])
        };
        let (into, added, out, residue, loss) = if is_site {
            (
                sum(&[C::OpeningInventory, C::Collected, C::Received]),
                sum(&[C::Uptake]),
                sum(&[C::Shipped, C::Exited]),
                sum(&[C::Disposed]),
                sum(&[C::ProcessLoss, C::TransitLoss, C::HandlingLoss]),
            )
        } else {
            let loss = sum(&[C::ProcessLoss]);
            let added = sum(&[C::Added, C::Uptake]);
            (sum(&[C::Used]), added, sum(&[C::Produced]), sum(&[C::Residue]), loss)
        };
        let corrected = if is_site {
            sum(&[C::Remade, C::Counted, C::Adjusted, C::Succeeded])
        } else {
            Signs::NONE.minus(&[C::CarriedOut])
        };
        let last = if is_site {
            grams_head("corrected", "盘点调整", "counted, adjusted, succeeded")
        } else {
            grams_head("carried_out", "结转下期（负）", "carried out (negative)")
        };
        vec![
            term(grams_head("carried", "结转及豁免", "carried over and waived"), 1, carried),
            term(grams_head("in", "投入", "in"), 1, into),
            term(grams_head("additions", "添加", "additions"), 1, added),
            term(grams_head("out", "产出", "out"), -1, out),
            term(grams_head("residue", "残渣", "residue"), -1, residue),
            term(grams_head("loss", "损耗", "loss"), -1, loss),
            term(last, 1, corrected),
        ]
    }
}

/// The balance of a period. The limit of what may be unaccounted for is that of the tables.
pub fn balance(book: &Book, as_of: AsOf, query: &BalanceQuery, tables: &Tables) -> Table {
    let terms = query.by.terms();
    let mut columns = vec![PARTY, SITE, PROCESS, CAMPAIGN, MEASURE, OPENING];
    columns.extend(terms.iter().map(|term| term.head.clone()));
    columns.extend([
        CLOSING,
        grams_head("unaccounted", "未平衡量", "unaccounted"),
        ColumnHead::new("variance", "差异率", "variance", ColumnUnit::FractionE8),
        ColumnHead::new("limit", "限值", "limit", ColumnUnit::FractionE8),
        ColumnHead::new("reconciled", "是否平衡", "reconciled", ColumnUnit::Code),
    ]);
    let mut table = Table::new(ReportKind::Balance, as_of, columns);
    table.about(format_args!("{} .. {}", query.from, query.to));
    table.note(
        "期初＋结转＋投入＋添加－产出－残渣－损耗＋调整＝期末",
        "opening + carried + in + additions - out - residue - loss + the last term = closing",
    );
    table.note(
        "差异率＝|未平衡量|÷（期初＋结转＋投入＋添加，不含吸收）",
        "variance = |unaccounted| / (opening + carried + in + additions, without uptake)",
    );
    let limit = tables.parameters.get(VARIANCE_LIMIT).copied();
    for (key, sums) in sums(book, as_of, query) {
        let is_known = is_known(book, as_of, query, tables, key.4, &sums);
        table.push(row(query, &terms, &key, &sums, is_known, limit));
    }
    table.named(book.registry())
}

fn sums(book: &Book, as_of: AsOf, query: &BalanceQuery) -> BTreeMap<Key, Sums> {
    let stock = query.by.stock();
    let is_wanted = |account: &Account| {
        let process = query.process.as_ref();
        account.month < query.to
            && query.party.is_none_or(|party| party == account.party)
            && query.site.is_none_or(|site| site == account.site)
            && process.is_none_or(|code| **code == *account.process)
            && query.campaign.is_none_or(|campaign| account.campaign == Some(campaign))
            && query.measure.is_none_or(|measure| measure == account.measure)
            && (stock.of(account.column) != 0 || account.column.in_process() != 0)
            && (query.by != BalanceBy::Campaign || account.campaign.is_some())
    };
    let mut rows: BTreeMap<Key, Sums> = BTreeMap::new();
    for (account, grams) in book.totals(as_of.size, Some(as_of.time), is_wanted) {
        let process = (query.by != BalanceBy::Site).then(|| Code::clone(&account.process));
        let campaign = account.campaign.filter(|_| query.by == BalanceBy::Campaign);
        let key = (account.party, account.site, process, campaign, account.measure);
        let sums = rows.entry(key).or_default();
        if account.month < query.from {
            sums.opening += grams * i128::from(stock.of(account.column));
            continue;
        }
        *sums.columns.entry(account.column).or_default() += grams;
        if !account.process.is_empty() {
            sums.runs.insert((Code::clone(&account.process), account.campaign));
        }
    }
    rows.retain(|_, sums| sums.opening != 0 || sums.columns.values().any(|grams| *grams != 0));
    rows
}

/// Whether what is unaccounted for is known: of mass always, for losses of it are declared; of an
/// element where the processes have to look for it, once their campaigns are closed.
fn is_known(
    book: &Book,
    as_of: AsOf,
    query: &BalanceQuery,
    tables: &Tables,
    measure: Measure,
    sums: &Sums,
) -> bool {
    let Measure::Substance(substance) = measure else { return true };
    sums.runs.iter().all(|(process, campaign)| {
        let row = tables.processes.get(&**process);
        let is_looked_for = row.is_some_and(|row| row.balances.contains(&substance));
        let is_closed = campaign.is_none_or(|id| {
            let end = book.run_end(id, as_of.size, as_of.time);
            end.is_some_and(|(_, at)| Month::of(at) < query.to)
        });
        is_looked_for && is_closed
    })
}

fn row(
    query: &BalanceQuery,
    terms: &[Term],
    key: &Key,
    sums: &Sums,
    is_known: bool,
    limit: Option<u64>,
) -> Vec<Cell> {
    let (party, site, process, campaign, measure) = key;
    let base = Filter {
        party: Some(*party),
        site: Some(*site),
        process: process.as_ref().map(ToString::to_string).or_else(|| query.process.clone()),
        campaign: campaign.or(query.campaign),
        ..Filter::new(Signs::NONE, *measure)
    };
    let (stock, period) = (query.by.stock(), (Some(query.from), Some(query.to)));
    let in_period =
        |signs: Signs| -> Figure { base.with(signs).in_months(period.0, period.1).into() };
    let until = |month| base.with(stock).in_months(None, Some(month)).into();
    let mut row = vec![
        Value::Party(*party).into(),
        Value::Site(*site).into(),
        process.as_ref().map_or(Cell::NOTHING, code),
        Cell::maybe(campaign.map(Value::Campaign)),
        Cell::measure(*measure),
        Cell::grams(sums.opening, until(query.from)),
    ];
    let mut closing = sums.opening;
    for term in terms {
        let grams = sums.of(term.columns);
        closing += grams * i128::from(term.sign);
        row.push(Cell::grams(grams, in_period(term.columns)));
    }
    row.push(Cell::grams(closing, until(query.to)));

    let lost = match measure {
        Measure::Mass => Signs::NONE,
        Measure::Substance(_) => Signs::NONE.plus(&[Column::ProcessLoss]),
    };
    let unaccounted = match query.by {
        BalanceBy::Site => lost.minus(&[Column::Counted, Column::Adjusted]),
        BalanceBy::Process | BalanceBy::Campaign => lost,
    };
    // Uptake carries no metal, and A13 does not count it either.
    let uptake = Signs::NONE.plus(&[Column::Uptake]);
    let came = terms.iter().take_while(|term| term.sign > 0).map(|term| sums.of(term.columns));
    let into = sums.opening + came.sum::<i128>() - sums.of(uptake);
    let open = sums.of(unaccounted);
    row.extend(reconciliation(open, into, is_known, limit));
    let place = row.len() - 4;
    if is_known {
        let nothing = Figure::Entries(Vec::new());
        let is_some = unaccounted != Signs::NONE;
        row[place].figure = Some(if is_some { in_period(unaccounted) } else { nothing });
    }
    row
}

impl Sums {
    fn of(&self, signs: Signs) -> i128 {
        self.columns.iter().map(|(column, grams)| i128::from(signs.of(*column)) * grams).sum()
    }
}

fn reconciliation(open: i128, into: i128, is_known: bool, limit: Option<u64>) -> [Cell; 4] {
    let limit_e8 = limit.map(i128::from);
    let limit_cell = Cell::maybe(limit_e8.map(Value::FractionE8));
    let unknown = |open| [open, Cell::NOTHING, limit_cell.clone(), Cell::code("NOT_KNOWN")];
    if !is_known {
        return unknown(Cell::words("未知", "not known"));
    }
    let told: Cell = Value::Grams(open).into();
    let Some(variance) = share_e8(open.abs(), into) else { return unknown(told) };
    let verdict = match limit_e8 {
        None => "NO_LIMIT",
        Some(limit) if open.abs() * i128::from(WHOLE_E8) > into * limit => "ABOVE",
        Some(_) => "WITHIN",
    };
    [told, Value::FractionE8(variance).into(), limit_cell, Cell::code(verdict)]
}
