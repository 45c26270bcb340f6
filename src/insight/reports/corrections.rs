//! Corrections of a period: what was declared an error, by whom, why, and what stands in its
//! place.

use super::figure::Figure;
use super::table::{AsOf, Cell, ColumnHead, ColumnUnit, ReportKind, Table, Value};
use super::words::{ENTRY, OCCURRED_AT, PARTY};
use crate::domain::{EntryIndex, PartyId, TimeMs};
use crate::insight::{Book, Column, Declared};
use crate::provenance::Measure;

/// Which corrections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CorrectionsQuery {
    /// Declared at this moment or later.
    pub from: TimeMs,
    /// Declared before this moment.
    pub to: TimeMs,
    /// By whom; `None`: by anybody.
    pub party: Option<PartyId>,
}

/// Corrections in ledger order.
pub fn corrections(book: &Book, as_of: AsOf, query: &CorrectionsQuery) -> Table {
    let columns = vec![
        ENTRY,
        OCCURRED_AT,
        PARTY,
        ColumnHead::new("target", "被更正条目", "corrected entry", ColumnUnit::Entry),
        ColumnHead::new("target_event", "被更正事件", "corrected event", ColumnUnit::Text),
        ColumnHead::new("kind", "更正类型", "kind", ColumnUnit::Code),
        ColumnHead::new("reason", "原因", "reason", ColumnUnit::Text),
        ColumnHead::new("correctives", "更正事件数", "correctives", ColumnUnit::Count),
        ColumnHead::new("corrective_entries", "更正条目", "corrective entries", ColumnUnit::Text),
        ColumnHead::new("grams_moved", "影响质量", "grams moved", ColumnUnit::Grams),
    ];
    let mut table = Table::new(ReportKind::Corrections, as_of, columns);
    table.note(
        "影响质量＝进入批次与离开批次两者中较大的质量",
        "grams moved: the mass that came back into lots or went out of them, whichever is more",
    );
    let is_wanted = |it: &&Declared| {
        it.occurred_at < as_of.time
            && (query.from..query.to).contains(&it.occurred_at)
            && query.party.is_none_or(|party| party == it.party)
    };
    for declared in book.diary().declared(as_of.size).filter(is_wanted) {
        table.push(row(book, as_of, declared));
    }
    table.named(book.registry())
}

fn row(book: &Book, as_of: AsOf, declared: &Declared) -> Vec<Cell> {
    let is_told = |index: &EntryIndex| index.0 < as_of.size.0;
    let correctives: Vec<EntryIndex> =
        declared.correctives.iter().filter_map(|(_, at)| *at).filter(is_told).collect();
    let entries: Vec<String> = correctives.iter().map(ToString::to_string).collect();
    let count = i128::try_from(correctives.len()).unwrap_or(i128::MAX);
    let grams = moved(book, declared.by);
    vec![
        Value::Entry(declared.by).into(),
        Value::Time(declared.occurred_at).into(),
        Value::Party(declared.party).into(),
        Cell::maybe(declared.target.map(Value::Entry)),
        Cell::text(&declared.target_event.to_string()),
        Cell::code(declared.kind),
        Cell::text(&declared.note),
        Cell::count(count, Figure::counting(correctives)),
        Cell::text(&entries.join(" ")),
        Cell::grams(grams, Figure::Entries(vec![(declared.by, grams)])),
    ]
}

/// Mass that an entry put into lots, or took out of them, whichever is more.
fn moved(book: &Book, index: EntryIndex) -> i128 {
    let (mut into, mut out) = (0, 0);
    for row in book.rows_of(index) {
        let Some(account) = book.account(row.account) else { continue };
        if account.measure != Measure::Mass || account.column == Column::Adjusted {
            continue;
        }
        let grams = i128::from(row.grams) * i128::from(account.column.in_lots());
        if grams > 0 {
            into += grams;
        } else {
            out -= grams;
        }
    }
    into.max(out)
}
