//! The one shape that every report has.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use super::day::Day;
use super::figure::Figure;
use crate::domain::{CampaignId, EntryCount, EntryIndex, LotId, PartyId, SiteId, TimeMs};
use crate::insight::{Code, Registry};
use crate::limits::MAX_REPORT_ROWS;
use crate::provenance::Measure;

/// Under how many entries, and before which moment: a report tells of what was recorded by then
/// and happened before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AsOf {
    /// So many entries.
    pub size: EntryCount,
    /// The first moment that is not looked at any more.
    pub time: TimeMs,
}

/// Words for people, in both languages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    /// In Chinese.
    pub zh: Cow<'static, str>,
    /// In English.
    pub en: Cow<'static, str>,
}

/// In which language.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// Chinese.
    Zh,
    /// English.
    En,
}

/// What stands in a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is named like the value that stands in it")]
pub enum ColumnUnit {
    Campaign,
    Code,
    Count,
    Date,
    Entry,
    FractionE8,
    Grams,
    Lot,
    Parties,
    Party,
    Site,
    Text,
    Time,
    /// Whatever the row is about.
    Value,
}

/// The head of a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnHead {
    /// Its name in files: stable.
    pub name: Cow<'static, str>,
    /// Its name in both languages.
    pub title: Text,
    /// What stands in it.
    pub unit: ColumnUnit,
}

/// What a cell says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A campaign.
    Campaign(CampaignId),
    /// A word of a table or vocabulary.
    Code(String),
    /// So many things.
    Count(i128),
    /// A day in Beijing.
    Date(Day),
    /// An entry of the ledger.
    Entry(EntryIndex),
    /// Parts of 1e8.
    FractionE8(i128),
    /// A mass; less than zero where more went than came.
    Grams(i128),
    /// A lot.
    Lot(LotId),
    /// It is not known, or there is none.
    Nothing,
    /// Parties.
    Parties(Vec<PartyId>),
    /// A party.
    Party(PartyId),
    /// A site.
    Site(SiteId),
    /// Somebody's own words, as recorded.
    Text(String),
    /// A moment.
    Time(TimeMs),
    /// Words of the report itself.
    Words(Text),
}

/// One cell, and where a number comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cell {
    /// What it says.
    pub value: Value,
    /// What to ask for the entries behind it; `None` for what is no number, and for numbers that
    /// are made of others in the same row.
    pub figure: Option<Figure>,
}

/// Which report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "each has a file of its name, or a place in that of its kin")]
pub enum ReportKind {
    Anomalies,
    Balance,
    Corrections,
    Coverage,
    CoverageCounts,
    FlowMatrix,
    Inventory,
    LabelStatement,
    Licences,
    LotPassport,
    MonthlyFlow,
    OpenCampaigns,
    OpenTransfers,
    Output,
}

/// A report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Which one.
    pub kind: ReportKind,
    /// Its title, with what was asked for.
    pub title: Text,
    /// As of when.
    pub as_of: AsOf,
    /// Heads of columns; a kind of report has always the same ones, but for what its query says.
    pub columns: Vec<ColumnHead>,
    /// Rows, each with a cell for every column.
    pub rows: Vec<Vec<Cell>>,
    /// Rows that there are beyond [`MAX_REPORT_ROWS`].
    pub left_out: usize,
    /// What one has to know to read it.
    pub notes: Vec<Text>,
    /// Names of parties in it, as recorded by then.
    pub parties: BTreeMap<PartyId, Text>,
    /// Names of sites in it, as recorded by then.
    pub sites: BTreeMap<SiteId, Text>,
}

impl AsOf {
    /// As a day in Beijing ended.
    pub fn end_of(size: EntryCount, day: Day) -> Self {
        Self { size, time: day.next().begin() }
    }

    /// The last moment that is looked at: what is valid is valid then.
    pub const fn moment(self) -> TimeMs {
        TimeMs::of(self.time.get().saturating_sub(1))
    }
}

impl Text {
    /// The same in both languages.
    pub fn of(zh: impl Into<Cow<'static, str>>, en: impl Into<Cow<'static, str>>) -> Self {
        Self { zh: zh.into(), en: en.into() }
    }

    /// In a language.
    pub fn in_language(&self, language: Language) -> &str {
        match language {
            Language::Zh => &self.zh,
            Language::En => &self.en,
        }
    }
}

impl ColumnHead {
    pub(super) const fn new(
        name: &'static str,
        zh: &'static str,
        en: &'static str,
        unit: ColumnUnit,
    ) -> Self {
        let title = Text { zh: Cow::Borrowed(zh), en: Cow::Borrowed(en) };
        Self { name: Cow::Borrowed(name), title, unit }
    }
}

impl Cell {
    /// Nothing.
    pub(super) const NOTHING: Self = Self { value: Value::Nothing, figure: None };

    pub(super) fn code(code: impl fmt::Display) -> Self {
        let code = code.to_string();
        if code.is_empty() { Self::NOTHING } else { Value::Code(code).into() }
    }

    pub(super) fn text(text: &str) -> Self {
        if text.is_empty() { Self::NOTHING } else { Value::Text(text.to_owned()).into() }
    }

    pub(super) fn words(zh: &'static str, en: &'static str) -> Self {
        Value::Words(Text::of(zh, en)).into()
    }

    pub(super) fn measure(measure: Measure) -> Self {
        Self::code(measure_name(measure))
    }

    pub(super) fn grams(grams: i128, figure: Figure) -> Self {
        Self { value: Value::Grams(grams), figure: Some(figure) }
    }

    pub(super) fn count(count: i128, figure: Option<Figure>) -> Self {
        Self { value: Value::Count(count), figure }
    }

    /// A value, or nothing.
    pub(super) fn maybe(value: Option<Value>) -> Self {
        value.unwrap_or(Value::Nothing).into()
    }
}

impl From<Value> for Cell {
    fn from(value: Value) -> Self {
        Self { value, figure: None }
    }
}

impl Value {
    pub(super) fn count(count: usize) -> Self {
        Self::Count(i128::try_from(count).unwrap_or(i128::MAX))
    }
}

impl Table {
    pub(super) fn new(kind: ReportKind, as_of: AsOf, columns: Vec<ColumnHead>) -> Self {
        Self {
            kind,
            title: kind.title(),
            as_of,
            columns,
            rows: Vec::new(),
            left_out: 0,
            notes: Vec::new(),
            parties: BTreeMap::new(),
            sites: BTreeMap::new(),
        }
    }

    /// What was asked for, behind the title.
    pub(super) fn about(&mut self, what: impl fmt::Display) {
        self.title.zh = format!("{} {what}", self.title.zh).into();
        self.title.en = format!("{} {what}", self.title.en).into();
    }

    pub(super) fn push(&mut self, row: Vec<Cell>) {
        debug_assert_eq!(row.len(), self.columns.len(), "a cell for every column");
        if self.rows.len() < MAX_REPORT_ROWS {
            self.rows.push(row);
        } else {
            self.left_out += 1;
        }
    }

    pub(super) fn note(
        &mut self,
        zh: impl Into<Cow<'static, str>>,
        en: impl Into<Cow<'static, str>>,
    ) {
        self.notes.push(Text::of(zh, en));
    }

    /// Looks up the names of whoever is in it.
    pub(super) fn named(mut self, registry: &Registry) -> Self {
        let known = self.as_of.size;
        let cells = self.rows.iter().flatten();
        for cell in cells {
            let (parties, site) = match &cell.value {
                Value::Party(party) => (std::slice::from_ref(party), None),
                Value::Parties(parties) => (parties.as_slice(), None),
                Value::Site(site) => (&[][..], Some(*site)),
                _ => continue,
            };
            for party in parties {
                if let Some(found) = registry.party_as_of(*party, known) {
                    let (zh, en) = (found.party.name_zh.clone(), found.party.name_en.clone());
                    self.parties.entry(*party).or_insert_with(|| Text::of(zh, en));
                }
            }
            if let Some((id, found)) =
                site.and_then(|id| Some((id, registry.site_as_of(id, known)?)))
            {
                let (zh, en) = (found.name_zh.clone(), found.name_en.clone());
                self.sites.entry(id).or_insert_with(|| Text::of(zh, en));
            }
        }
        self
    }

    /// The place of a column.
    pub fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|head| head.name == name)
    }
}

impl ReportKind {
    /// Every kind.
    pub const ALL: &'static [Self] = &[
        Self::Anomalies,
        Self::Balance,
        Self::Corrections,
        Self::Coverage,
        Self::CoverageCounts,
        Self::FlowMatrix,
        Self::Inventory,
        Self::LabelStatement,
        Self::Licences,
        Self::LotPassport,
        Self::MonthlyFlow,
        Self::OpenCampaigns,
        Self::OpenTransfers,
        Self::Output,
    ];

    /// The kind of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.name() == name)
    }

    /// Its name in files and on the command line: stable.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Anomalies => "anomalies",
            Self::Balance => "balance",
            Self::Corrections => "corrections",
            Self::Coverage => "coverage",
            Self::CoverageCounts => "coverage_counts",
            Self::FlowMatrix => "flow_matrix",
            Self::Inventory => "inventory",
            Self::LabelStatement => "label_statement",
            Self::Licences => "licences",
            Self::LotPassport => "lot_passport",
            Self::MonthlyFlow => "monthly_flow",
            Self::OpenCampaigns => "open_campaigns",
            Self::OpenTransfers => "open_transfers",
            Self::Output => "output",
        }
    }

    fn title(self) -> Text {
        match self {
            Self::Anomalies => Text::of("异常清单", "Anomalies"),
            Self::Balance => Text::of("物料平衡", "Balance"),
            Self::Corrections => Text::of("更正清单", "Corrections"),
            Self::Coverage => Text::of("全覆盖情况", "Coverage"),
            Self::CoverageCounts => Text::of("全覆盖统计", "Coverage in numbers"),
            Self::FlowMatrix => Text::of("流向矩阵", "Flow matrix"),
            Self::Inventory => Text::of("库存", "Inventory"),
            Self::LabelStatement => {
                Text::of("标签声明 (GB 39176-2020)", "Label statement (GB 39176-2020)")
            }
            Self::Licences => Text::of("许可到期", "Licences about to expire"),
            Self::LotPassport => Text::of("批次护照", "Lot passport"),
            Self::MonthlyFlow => Text::of("月度流量", "Monthly flow"),
            Self::OpenCampaigns => Text::of("未关闭的生产周期", "Open campaigns"),
            Self::OpenTransfers => Text::of("未完成的交接", "Open transfers"),
            Self::Output => Text::of("金属产量对照", "Output by metal"),
        }
    }
}

/// `MASS`, or the element.
pub fn measure_name(measure: Measure) -> &'static str {
    match measure {
        Measure::Mass => "MASS",
        Measure::Substance(substance) => substance.name(),
    }
}

/// A code of an account as a cell.
pub(super) fn code(code: &Code) -> Cell {
    Cell::code(code)
}
