//! The flow of a month: what was there, every column of the balance, what is there.

use std::collections::BTreeMap;

use super::day::Day;
use super::figure::{Figure, Filter, Signs};
use super::table::{AsOf, Cell, ColumnHead, ColumnUnit, ReportKind, Table, code};
use super::words::{CLOSING, MATERIAL, MEASURE, OPENING, PARTY, SITE, head_of};
use crate::domain::credit::Month;
use crate::domain::{PartyId, SiteId};
use crate::insight::{Account, Book, Code, Column};
use crate::provenance::Measure;

/// The flow of a month is due by this day of the next one, in Beijing.
const DUE_DAY: u32 = 10;

/// Which flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlowQuery {
    /// Of which month.
    pub month: Month,
    /// In whose books; `None`: in everybody's.
    pub party: Option<PartyId>,
    /// At which site.
    pub site: Option<SiteId>,
    /// A row for what.
    pub by: FlowBy,
}

/// What a row of the flow is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FlowBy {
    /// A material: its mass in lots.
    Material,
    /// The mass, and each element: in lots and in process.
    Measure,
}

type Key = (PartyId, SiteId, Option<Code>, Measure);

/// Sums of a row.
#[derive(Default)]
struct Sums {
    /// In lots and in process, before the month.
    before: (i128, i128),
    columns: BTreeMap<Column, i128>,
}

impl FlowBy {
    /// Columns that change what the row is of; sales are told beside.
    fn columns(self) -> impl Iterator<Item = Column> {
        let is_told = move |column: &&Column| match self {
            Self::Material => column.in_lots() != 0 || is_of_property(**column),
            Self::Measure => true,
        };
        Column::ALL.iter().filter(is_told).copied()
    }

    fn heads(self) -> Vec<ColumnHead> {
        let (first, last) = match self {
            Self::Material => (vec![PARTY, SITE, MATERIAL, OPENING], vec![CLOSING]),
            Self::Measure => (
                vec![PARTY, SITE, MEASURE, OPENING_LOTS, OPENING_PROCESS],
                vec![CLOSING_LOTS, CLOSING_PROCESS],
            ),
        };
        first.into_iter().chain(self.columns().map(head_of)).chain(last).collect()
    }
}

const OPENING_LOTS: ColumnHead =
    ColumnHead::new("opening_lots", "期初批次", "opening in lots", ColumnUnit::Grams);
const OPENING_PROCESS: ColumnHead =
    ColumnHead::new("opening_process", "期初在制", "opening in process", ColumnUnit::Grams);
const CLOSING_LOTS: ColumnHead =
    ColumnHead::new("closing_lots", "期末批次", "closing in lots", ColumnUnit::Grams);
const CLOSING_PROCESS: ColumnHead =
    ColumnHead::new("closing_process", "期末在制", "closing in process", ColumnUnit::Grams);

/// The flow of a month, by party, site and what the query says.
pub fn monthly_flow(book: &Book, as_of: AsOf, query: &FlowQuery) -> Table {
    let mut table = Table::new(ReportKind::MonthlyFlow, as_of, query.by.heads());
    table.about(query.month);
    if let Some(due) = Day::of_month(query.month.next(), DUE_DAY) {
        table.note(format!("于{due}前报送（北京时间）"), format!("due by {due}, Beijing time"));
    }
    if query.by == FlowBy::Material {
        table.note("在制品按计量对象列示", "what is in process is told by measure");
    }
    for (key, sums) in sums(book, as_of, query) {
        table.push(row(query, &key, &sums));
    }
    table.named(book.registry())
}

fn sums(book: &Book, as_of: AsOf, query: &FlowQuery) -> BTreeMap<Key, Sums> {
    let is_wanted = |account: &Account| {
        account.month <= query.month
            && query.party.is_none_or(|party| party == account.party)
            && query.site.is_none_or(|site| site == account.site)
            && (query.by == FlowBy::Measure || account.measure == Measure::Mass)
            && (query.by == FlowBy::Measure
                || account.column.in_lots() != 0
                || is_of_property(account.column))
    };
    let mut rows: BTreeMap<Key, Sums> = BTreeMap::new();
    for (account, grams) in book.totals(as_of.size, Some(as_of.time), is_wanted) {
        let material = (query.by == FlowBy::Material).then(|| Code::clone(&account.material));
        let sums = rows.entry((account.party, account.site, material, account.measure));
        let sums = sums.or_default();
        if account.month == query.month {
            *sums.columns.entry(account.column).or_default() += grams;
        } else {
            sums.before.0 += grams * i128::from(account.column.in_lots());
            if query.by == FlowBy::Measure {
                sums.before.1 += grams * i128::from(account.column.in_process());
            }
        }
    }
    rows.retain(|_, sums| sums.before != (0, 0) || sums.columns.values().any(|it| *it != 0));
    rows
}

/// Of property, not of stock: it says nothing of what is there.
fn is_of_property(column: Column) -> bool {
    matches!(column, Column::Sold | Column::Bought)
}

fn row(query: &FlowQuery, key: &Key, sums: &Sums) -> Vec<Cell> {
    let (party, site, material, measure) = key;
    let base = Filter {
        party: Some(*party),
        site: Some(*site),
        materials: material.iter().map(ToString::to_string).collect(),
        ..Filter::new(Signs::NONE, *measure)
    };
    let month = query.month;
    let figure = |signs: Signs, from: Option<Month>, to: Option<Month>| -> Figure {
        base.with(signs).in_months(from, to).into()
    };
    let moved = |weigh: fn(Column) -> i8| -> i128 {
        sums.columns.iter().map(|(column, grams)| i128::from(weigh(*column)) * grams).sum()
    };
    let until = |signs, month| figure(signs, None, Some(month));
    let (lots, process) = sums.before;
    let mut row = vec![
        super::table::Value::Party(*party).into(),
        super::table::Value::Site(*site).into(),
        material.as_ref().map_or_else(|| Cell::measure(*measure), code),
        Cell::grams(lots, until(Signs::LOTS, month)),
    ];
    let is_by_measure = query.by == FlowBy::Measure;
    if is_by_measure {
        row.push(Cell::grams(process, until(Signs::PROCESS, month)));
    }
    for column in query.by.columns() {
        let grams = sums.columns.get(&column).copied().unwrap_or_default();
        let signs = Signs::NONE.plus(&[column]);
        row.push(Cell::grams(grams, figure(signs, Some(month), Some(month.next()))));
    }
    let lots = lots + moved(Column::in_lots);
    row.push(Cell::grams(lots, until(Signs::LOTS, month.next())));
    if is_by_measure {
        let process = process + moved(Column::in_process);
        row.push(Cell::grams(process, until(Signs::PROCESS, month.next())));
    }
    row
}
