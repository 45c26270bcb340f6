//! Licences about to expire, and those that have expired while their holder went on.

use super::day::{DAY_MS, Day};
use super::figure::Figure;
use super::table::{AsOf, Cell, ColumnHead, ColumnUnit, ReportKind, Table, Value};
use super::words::PARTY;
use crate::domain::party::{Licence, PartyState};
use crate::domain::{EntryIndex, PartyId, TimeMs};
use crate::insight::Book;

/// Which licences.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LicenceQuery {
    /// Those that expire within so many days.
    pub within_days: u32,
    /// Whose; `None`: everybody's.
    pub party: Option<PartyId>,
}

/// Licences that expire within some days of the last moment that is looked at, and those that had
/// expired, with nothing in their place, when their holder acted again: soonest first.
pub fn licences(book: &Book, as_of: AsOf, query: &LicenceQuery) -> Table {
    let columns = vec![
        PARTY,
        ColumnHead::new("kind", "许可类型", "kind", ColumnUnit::Code),
        ColumnHead::new("number", "许可证号", "number", ColumnUnit::Text),
        ColumnHead::new("valid_from", "有效期起", "valid from", ColumnUnit::Date),
        ColumnHead::new("valid_to", "有效期止（不含）", "valid to (excluded)", ColumnUnit::Time),
        ColumnHead::new("days_left", "剩余天数", "days left", ColumnUnit::Count),
        ColumnHead::new("state", "状态", "state", ColumnUnit::Code),
        ColumnHead::new("renewed_by", "续期许可", "renewed by", ColumnUnit::Text),
        ColumnHead::new("acts_since", "到期后条目", "entries since", ColumnUnit::Count),
        ColumnHead::new("last_act", "最近条目", "last entry", ColumnUnit::Entry),
    ];
    let mut table = Table::new(ReportKind::Licences, as_of, columns);
    table.about(Day::of(as_of.moment()));
    let parties = book.registry().parties_as_of(as_of.size);
    let mut rows = Vec::new();
    for state in parties.filter(|it| query.party.is_none_or(|party| it.party.id == party)) {
        for licence in &state.licences {
            if let Some(to) = licence.validity.to
                && let Some(row) = row(book, as_of, query, state, licence, to)
            {
                rows.push((to, state.party.id, licence.id, row));
            }
        }
    }
    rows.sort_by_key(|(to, party, licence, _)| (*to, *party, *licence));
    for (.., row) in rows {
        table.push(row);
    }
    table.named(book.registry())
}

fn row(
    book: &Book,
    as_of: AsOf,
    query: &LicenceQuery,
    state: &PartyState,
    licence: &Licence,
    to: TimeMs,
) -> Option<Vec<Cell>> {
    let (id, at) = (state.party.id, as_of.moment());
    let within = u64::from(query.within_days).saturating_mul(DAY_MS);
    let renewed = renewal(state, licence, to);
    let is_expired = to <= at;
    let acts: Vec<EntryIndex> = book
        .diary()
        .acts(id, as_of.size, as_of.time)
        .filter(|(_, acted)| is_expired && *acted >= to)
        .map(|(index, _)| index)
        .collect();
    let word = match (is_expired, renewed) {
        (false, _) if to.get() - at.get() > within => return None,
        (false, None) => "EXPIRING",
        (false, Some(_)) => "RENEWED",
        (true, None) if !acts.is_empty() => "EXPIRED_STILL_ACTING",
        (true, _) => return None,
    };
    let days = Day::of(to).since(Day::of(at));
    let count = i128::try_from(acts.len()).unwrap_or(i128::MAX);
    let figure = Figure::Acts { party: id, from: to, to: as_of.time.max(to) };
    Some(vec![
        Value::Party(id).into(),
        Cell::code(licence.kind),
        Cell::text(&licence.number),
        Value::Date(Day::of(licence.validity.from)).into(),
        Value::Time(to).into(),
        Value::Count(days.into()).into(),
        Cell::code(word),
        renewed.map_or(Cell::NOTHING, |it| Cell::text(&it.number)),
        Cell::count(count, Some(figure)),
        Cell::maybe(acts.last().map(|index| Value::Entry(*index))),
    ])
}

/// Another licence of the kind that holds when this one ends.
fn renewal<'a>(state: &'a PartyState, licence: &Licence, to: TimeMs) -> Option<&'a Licence> {
    let takes_over =
        |it: &&Licence| it.id != licence.id && it.kind == licence.kind && it.validity.contains(to);
    state.licences.iter().find(takes_over)
}
