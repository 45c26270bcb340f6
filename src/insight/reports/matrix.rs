//! Flows between parties, urban-mine bases and regions.

use std::collections::BTreeMap;

use super::figure::{Filter, Place, Signs, place_of};
use super::table::{AsOf, Cell, ColumnHead, ColumnUnit, ReportKind, Table, Value, measure_name};
use crate::domain::credit::Month;
use crate::domain::{EntryIndex, PartyId, SiteId, Tables};
use crate::insight::{Account, Book, Column};
use crate::provenance::Measure;

/// Which flows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MatrixQuery {
    /// First month inside.
    pub from: Month,
    /// First month outside.
    pub to: Month,
    /// Of what.
    pub measure: Measure,
    /// Between what.
    pub level: Level,
    /// Of stock, or of property.
    pub moves: Moves,
    /// By which codes of regions.
    pub codes: Codes,
    /// From or to whom; `None`: between all.
    pub party: Option<PartyId>,
}

/// What flows are between.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Parties.
    Party,
    /// Urban-mine bases.
    Base,
    /// Counties: six digits of the code.
    County,
    /// Prefectures: four digits.
    Prefecture,
    /// Provinces: two digits.
    Province,
}

/// What moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moves {
    /// Stock: what arrived, and what was lost on the way.
    Custody,
    /// Property.
    Ownership,
}

/// By which codes regions are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codes {
    /// As the record of the site said when the entry was recorded.
    AsRecorded,
    /// By the code that the same county has now: a county that became a district or a city is one
    /// with what it was.
    Current,
}

/// Counties that became districts or cities as a whole: old code, new code.
const CHANGES: &str = include_str!("region_changes.csv");

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum End {
    Party(PartyId),
    Base(String),
    Region(String),
    Unknown,
}

#[derive(Default)]
struct Sums {
    moved: i128,
    lost: i128,
}

/// Flows of a period, the largest first.
pub fn flow_matrix(book: &Book, as_of: AsOf, query: &MatrixQuery, tables: &Tables) -> Table {
    let unit = if query.level == Level::Party { ColumnUnit::Party } else { ColumnUnit::Code };
    let mut columns = vec![
        ColumnHead::new("from", "来自", "from", unit),
        ColumnHead::new("from_name", "来自名称", "from (name)", ColumnUnit::Text),
        ColumnHead::new("to", "去往", "to", unit),
        ColumnHead::new("to_name", "去往名称", "to (name)", ColumnUnit::Text),
        ColumnHead::new("measure", "计量对象", "measure", ColumnUnit::Code),
        ColumnHead::new("moved", "到达量", "moved", ColumnUnit::Grams),
    ];
    if query.moves == Moves::Custody {
        columns.push(ColumnHead::new("transit_loss", "途耗", "transit loss", ColumnUnit::Grams));
    }
    let mut table = Table::new(ReportKind::FlowMatrix, as_of, columns);
    table.about(format_args!("{} .. {}", query.from, query.to));
    if query.codes == Codes::Current {
        table.note("区划代码已换算为现行代码", "codes of regions are those of today");
    }
    let rows = sums(book, as_of, query);
    let mut rows: Vec<_> =
        rows.into_iter().filter(|(_, it)| it.moved != 0 || it.lost != 0).collect();
    rows.sort_by_key(|(_, sums)| std::cmp::Reverse(sums.moved));
    for ((from, to), sums) in rows {
        table.push(row(query, tables, &from, &to, &sums));
    }
    table.named(book.registry())
}

impl Moves {
    const fn columns(self) -> (Column, Option<Column>) {
        match self {
            Self::Custody => (Column::Shipped, Some(Column::TransitLoss)),
            Self::Ownership => (Column::Sold, None),
        }
    }
}

fn sums(book: &Book, as_of: AsOf, query: &MatrixQuery) -> BTreeMap<(End, End), Sums> {
    let (moved, lost) = query.moves.columns();
    let signs = Signs::NONE.plus(&[moved]).plus(lost.as_slice());
    let filter = Filter::new(signs, query.measure).in_months(Some(query.from), Some(query.to));
    let concerns = |account: &Account| {
        let other = account.other.map(|(other, _)| other);
        query.party.is_none_or(|party| account.party == party || other == Some(party))
    };
    let weigh = |account: &Account| if concerns(account) { filter.weigh(account) } else { 0 };
    let mut rows: BTreeMap<(End, End), Sums> = BTreeMap::new();
    book.each_weighed(as_of.size, Some(as_of.time), weigh, |index, account, grams| {
        let Some((other, other_site)) = account.other else { return };
        let from = end(book, query, index, account.party, account.site);
        let to = end(book, query, index, other, other_site);
        let sums = rows.entry((from, to)).or_default();
        if account.column == moved {
            sums.moved += grams;
        } else {
            sums.lost += grams;
        }
    });
    rows
}

fn end(book: &Book, query: &MatrixQuery, index: EntryIndex, party: PartyId, site: SiteId) -> End {
    if query.level == Level::Party {
        return End::Party(party);
    }
    let Some((region, base)) = place_of(book, index, site) else { return End::Unknown };
    let digits = match query.level {
        Level::Province => 2,
        Level::Prefecture => 4,
        Level::Party | Level::Base | Level::County => 6,
    };
    let region = match query.codes {
        Codes::AsRecorded => region,
        Codes::Current => current(region),
    };
    match query.level {
        Level::Base => End::Base(base.to_owned()),
        _ => End::Region(region.get(..digits).unwrap_or(region).to_owned()),
    }
}

/// Old and new codes.
fn changes() -> impl Iterator<Item = (&'static str, &'static str)> {
    CHANGES.lines().skip(1).filter_map(|line| {
        let (from, rest) = line.split_once(',')?;
        Some((from, rest.split_once(',')?.0))
    })
}

/// The code that a county has now.
fn current(code: &str) -> &str {
    changes().find(|(from, _)| *from == code).map_or(code, |(_, to)| to)
}

fn row(query: &MatrixQuery, tables: &Tables, from: &End, to: &End, sums: &Sums) -> Vec<Cell> {
    let (moved, lost) = query.moves.columns();
    let columns = |column: Column| Signs::NONE.plus(&[column]);
    let mut base =
        Filter::new(columns(moved), query.measure).in_months(Some(query.from), Some(query.to));
    match (from, to) {
        (End::Party(party), End::Party(other)) => {
            (base.party, base.other) = (Some(*party), Some(*other));
        }
        (from, to) => (base.place, base.other_place) = (place(query, from), place(query, to)),
    }
    // Of one party's flows the figure would have to be a sum over both of its sides.
    let is_whole = query.party.is_none() || query.level == Level::Party;
    let is_told = is_whole && *from != End::Unknown && *to != End::Unknown;
    let cell = |grams: i128, column: Column| Cell {
        value: Value::Grams(grams),
        figure: is_told.then(|| base.with(columns(column)).into()),
    };
    let mut row = vec![
        told(from),
        name(tables, from),
        told(to),
        name(tables, to),
        Cell::code(measure_name(query.measure)),
        cell(sums.moved, moved),
    ];
    row.extend(lost.map(|lost| cell(sums.lost, lost)));
    row
}

fn told(end: &End) -> Cell {
    match end {
        End::Party(party) => Value::Party(*party).into(),
        End::Base(code) | End::Region(code) => Cell::code(code),
        End::Unknown => Cell::NOTHING,
    }
}

/// Names of counties are in the table of regions; of larger ones it has none.
fn name(tables: &Tables, end: &End) -> Cell {
    let End::Region(code) = end else { return Cell::NOTHING };
    let rows = tables.regions.get(code).and_then(|rows| rows.last());
    rows.map_or(Cell::NOTHING, |(_, name)| Cell::text(name))
}

fn place(query: &MatrixQuery, end: &End) -> Option<Place> {
    match end {
        End::Party(_) | End::Unknown => None,
        End::Base(base) => Some(Place::Base(base.clone())),
        End::Region(code) => {
            let mut codes = vec![code.clone()];
            if query.codes == Codes::Current && query.level == Level::County {
                codes.extend(
                    changes().filter(|(_, to)| to == code).map(|(from, _)| from.to_owned()),
                );
            }
            codes.sort();
            Some(Place::Region(codes))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::tables;

    #[test]
    fn a_code_ends_in_the_table_on_the_day_when_its_successor_begins() {
        let tables = Tables::parse(tables::builtin()).unwrap();
        assert_eq!(changes().count(), 7);
        for (from, to) in changes() {
            let ended = tables.regions[from].last().unwrap().0.to;
            assert_eq!(ended, Some(tables.regions[to].first().unwrap().0.from), "{from} {to}");
            // Within one prefecture, so that larger regions do not depend on it.
            assert_eq!(from[..4], to[..4]);
            assert_eq!(current(from), to);
            assert_eq!(current(to), to);
        }
    }
}
