//! Coverage: who is under the integration mechanism, by which kind of affiliation and since when,
//! who acts and who is silent.

use std::collections::BTreeMap;

use super::day::{DAY_MS, Day};
use super::figure::Figure;
use super::share_e8;
use super::table::{AsOf, Cell, ColumnHead, ColumnUnit, ReportKind, Table, Value};
use super::words::PARTY;
use crate::domain::party::{Affiliation, PartyState};
use crate::domain::vocabulary::{AffiliationKind, PartyRole};
use crate::domain::{EntryIndex, TimeMs};
use crate::insight::Book;

/// Whose coverage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CoverageQuery {
    /// Parties of this role are subject to the mechanism.
    pub role: PartyRole,
    /// Beginning of region codes: `36` is Jiangxi; empty: everywhere.
    pub region_prefix: String,
    /// Who acted in so many days is active.
    pub active_days: u32,
}

/// How a party stands to the mechanism.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Status {
    Covered,
    NotCovered,
    Exited,
    Deregistered,
}

/// A party that is subject to the mechanism.
struct Subject<'a> {
    state: &'a PartyState,
    region: String,
    /// What holds, with the entry that said so.
    affiliation: Option<(EntryIndex, Affiliation)>,
    status: Status,
    /// Affiliations that hold beside it.
    others: usize,
    /// What it did within the days that are asked for, ascending.
    acts: Vec<EntryIndex>,
    /// Its last act, and when that was said to be.
    last: Option<(EntryIndex, TimeMs)>,
}

impl CoverageQuery {
    /// Rare-earth recovery plants of a region, active when they acted in a month.
    pub fn of_recovery_plants(region_prefix: impl Into<String>) -> Self {
        let region_prefix = region_prefix.into();
        Self { role: PartyRole::RareEarthRecoveryPlant, region_prefix, active_days: 30 }
    }

    fn active_from(&self, as_of: AsOf) -> TimeMs {
        TimeMs::of(as_of.time.get().saturating_sub(u64::from(self.active_days) * DAY_MS))
    }
}

impl Status {
    const fn of(kind: Option<AffiliationKind>) -> Self {
        match kind {
            Some(
                AffiliationKind::Equity
                | AffiliationKind::GoldenShare
                | AffiliationKind::CooperationAgreement,
            ) => Self::Covered,
            None | Some(AffiliationKind::Independent) => Self::NotCovered,
            Some(AffiliationKind::Exited) => Self::Exited,
            Some(AffiliationKind::Deregistered) => Self::Deregistered,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Covered => "COVERED",
            Self::NotCovered => "NOT_COVERED",
            Self::Exited => "EXITED",
            Self::Deregistered => "DEREGISTERED",
        }
    }
}

const STATUS: ColumnHead = ColumnHead::new("status", "覆盖状态", "status", ColumnUnit::Code);
const KIND: ColumnHead = ColumnHead::new("kind", "隶属类型", "kind", ColumnUnit::Code);

/// Every party that is subject to the mechanism: what holds at the last moment that is looked at,
/// as recorded under so many entries. Who held the role before and has left the market stays.
pub fn coverage(book: &Book, as_of: AsOf, query: &CoverageQuery) -> Table {
    let columns = vec![
        PARTY,
        ColumnHead::new("region", "行政区划", "region", ColumnUnit::Code),
        STATUS,
        KIND,
        ColumnHead::new("group", "集团", "group", ColumnUnit::Party),
        ColumnHead::new("since", "自", "since", ColumnUnit::Date),
        ColumnHead::new("until", "至", "until", ColumnUnit::Date),
        ColumnHead::new("entry", "依据条目", "told by entry", ColumnUnit::Entry),
        ColumnHead::new("other_affiliations", "其他隶属", "other affiliations", ColumnUnit::Count),
        ColumnHead::new("activity", "活跃情况", "activity", ColumnUnit::Code),
        ColumnHead::new("acts", "近期条目数", "recent entries", ColumnUnit::Count),
        ColumnHead::new("last_act", "最近条目", "last entry", ColumnUnit::Entry),
        ColumnHead::new("last_act_at", "最近发生时间", "last act at", ColumnUnit::Time),
    ];
    let mut table = Table::new(ReportKind::Coverage, as_of, columns);
    table.about(Day::of(as_of.moment()));
    note_activity(&mut table, query);
    for subject in subjects(book, as_of, query) {
        table.push(subject.row(as_of, query));
    }
    table.named(book.registry())
}

/// The same in numbers: by status and kind.
pub fn coverage_counts(book: &Book, as_of: AsOf, query: &CoverageQuery) -> Table {
    let columns = vec![
        STATUS,
        KIND,
        ColumnHead::new("parties", "家数", "parties", ColumnUnit::Count),
        ColumnHead::new("share", "占比", "share", ColumnUnit::FractionE8),
        ColumnHead::new("active", "活跃", "active", ColumnUnit::Count),
        ColumnHead::new("silent", "沉默", "silent", ColumnUnit::Count),
    ];
    let mut table = Table::new(ReportKind::CoverageCounts, as_of, columns);
    table.about(Day::of(as_of.moment()));
    note_activity(&mut table, query);
    let subjects = subjects(book, as_of, query);
    let mut groups: BTreeMap<(Status, Option<AffiliationKind>), Vec<&Subject<'_>>> =
        BTreeMap::new();
    for subject in &subjects {
        let kind = subject.affiliation.map(|(_, it)| it.kind);
        groups.entry((subject.status, kind)).or_default().push(subject);
    }
    for ((status, kind), group) in groups {
        let mut row = vec![
            Cell::code(status.name()),
            Cell::maybe(kind.map(|it| Value::Code(it.to_string()))),
        ];
        row.extend(counts(&group, subjects.len()));
        table.push(row);
    }
    let all: Vec<&Subject<'_>> = subjects.iter().collect();
    let mut row = vec![Cell::code("ALL"), Cell::NOTHING];
    row.extend(counts(&all, subjects.len()));
    table.push(row);
    table
}

fn note_activity(table: &mut Table, query: &CoverageQuery) {
    let (days, region, role) = (query.active_days, &query.region_prefix, query.role);
    table.note(
        format!("角色：{role}；区划前缀：{region}；活跃：{days}天内有条目"),
        format!("role {role}; region {region}; active: acted within {days} days"),
    );
}

fn counts(group: &[&Subject<'_>], all: usize) -> [Cell; 4] {
    let (active, silent): (Vec<&Subject<'_>>, Vec<_>) =
        group.iter().partition(|it| !it.acts.is_empty());
    let told: Vec<EntryIndex> = group.iter().map(|it| it.told_by()).collect();
    let active: Vec<EntryIndex> = active.iter().filter_map(|it| it.acts.last().copied()).collect();
    let silent: Vec<EntryIndex> = silent.iter().map(|it| it.told_by()).collect();
    let number = |count: usize| i128::try_from(count).unwrap_or(i128::MAX);
    let cell =
        |entries: Vec<EntryIndex>| Cell::count(number(entries.len()), Figure::counting(entries));
    let share = share_e8(number(group.len()), number(all));
    [cell(told), Cell::maybe(share.map(Value::FractionE8)), cell(active), cell(silent)]
}

fn subjects<'a>(book: &'a Book, as_of: AsOf, query: &CoverageQuery) -> Vec<Subject<'a>> {
    let parties = book.registry().parties_as_of(as_of.size);
    parties.filter_map(|state| subject(book, as_of, query, state)).collect()
}

fn subject<'a>(
    book: &'a Book,
    as_of: AsOf,
    query: &CoverageQuery,
    state: &'a PartyState,
) -> Option<Subject<'a>> {
    let (id, at) = (state.party.id, as_of.moment());
    let mut holding: Vec<&Affiliation> =
        state.affiliations.iter().filter(|it| it.validity.contains(at)).collect();
    holding.sort_by_key(|it| (precedence(it.kind), std::cmp::Reverse(it.validity.from), it.id));
    let found = holding.first().copied();
    let status = Status::of(found.map(|it| it.kind));
    let has_left = matches!(status, Status::Exited | Status::Deregistered);
    let held = |it: &&crate::domain::party::DatedRole| {
        it.role == query.role && (it.validity.contains(at) || (has_left && it.validity.from <= at))
    };
    state.party.roles.iter().find(held)?;
    let region = region_of(book, as_of, state, &query.region_prefix)?;
    let from = query.active_from(as_of);
    let acts: Vec<_> = book.diary().acts(id, as_of.size, as_of.time).collect();
    let last = acts.iter().copied().max_by_key(|(index, at)| (*at, *index));
    let recent = acts.iter().filter(|(_, at)| *at >= from).map(|(index, _)| *index).collect();
    let affiliation = found.map(|it| (told_at(book, as_of, state, it), *it));
    let others = holding.len().saturating_sub(1);
    Some(Subject { state, region, affiliation, status, others, acts: recent, last })
}

/// Who has left is not of a group any more, whatever else is recorded; of several groups the
/// strongest tie is told first.
const fn precedence(kind: AffiliationKind) -> u8 {
    match kind {
        AffiliationKind::Deregistered => 0,
        AffiliationKind::Exited => 1,
        AffiliationKind::Equity => 2,
        AffiliationKind::GoldenShare => 3,
        AffiliationKind::CooperationAgreement => 4,
        AffiliationKind::Independent => 5,
    }
}

/// The code of its first site in the region; of a party without sites, that of who registered it,
/// which is in its credit code. `None`: it is elsewhere.
fn region_of(book: &Book, as_of: AsOf, state: &PartyState, prefix: &str) -> Option<String> {
    let sites = book.registry().sites_as_of(as_of.size);
    let mut of_party = sites.filter(|site| site.party == state.party.id).peekable();
    if of_party.peek().is_none() {
        let code = state.party.credit_code.get(2..8).unwrap_or_default();
        return code.starts_with(prefix).then(|| code.to_owned());
    }
    of_party.find(|site| site.region_code.starts_with(prefix)).map(|it| it.region_code.clone())
}

/// The entry that gave an affiliation the form that it has.
fn told_at(book: &Book, as_of: AsOf, state: &PartyState, found: &Affiliation) -> EntryIndex {
    let versions = book.registry().versions_as_of(state.party.id, as_of.size);
    let has_it = |(_, version): &&(EntryIndex, PartyState)| version.affiliations.contains(found);
    let told = versions.iter().rev().take_while(has_it).last();
    told.map_or(state.registered_at, |(index, _)| *index)
}

impl Subject<'_> {
    fn told_by(&self) -> EntryIndex {
        self.affiliation.map_or(self.state.registered_at, |(index, _)| index)
    }

    fn row(&self, as_of: AsOf, query: &CoverageQuery) -> Vec<Cell> {
        let party = self.state.party.id;
        let found = self.affiliation.map(|(_, it)| it);
        let until = found.and_then(|it| it.validity.to);
        let figure = Figure::Acts { party, from: query.active_from(as_of), to: as_of.time };
        let acts = i128::try_from(self.acts.len()).unwrap_or(i128::MAX);
        let activity = if acts == 0 { "SILENT" } else { "ACTIVE" };
        vec![
            Value::Party(party).into(),
            Cell::code(&self.region),
            Cell::code(self.status.name()),
            Cell::maybe(found.map(|it| Value::Code(it.kind.to_string()))),
            Cell::maybe(found.and_then(|it| it.group).map(Value::Party)),
            Cell::maybe(found.map(|it| Value::Date(Day::of(it.validity.from)))),
            Cell::maybe(until.map(|to| Value::Date(Day::of(to)))),
            Value::Entry(self.told_by()).into(),
            Value::count(self.others).into(),
            Cell::code(activity),
            Cell::count(acts, Some(figure)),
            Cell::maybe(self.last.map(|(index, _)| Value::Entry(index))),
            Cell::maybe(self.last.map(|(_, at)| Value::Time(at))),
        ]
    }
}
