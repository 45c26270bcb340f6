//! Reports as the proto tells them, and read back from that.

use std::collections::BTreeMap;

use crate::domain::{CampaignId, EntryCount, EntryIndex, LotId, PartyId, SiteId, TimeMs};
use crate::insight::reports::{
    AsOf, Cell, ColumnHead, ColumnUnit, Day, Figure, Language, ReportKind, Table, Text, Value,
    value_text,
};
use crate::wire::v1;

/// A report.
pub fn told(table: &Table) -> v1::ReportTable {
    let (party, site) = (v1::CellUnit::PartyId, v1::CellUnit::SiteId);
    let parties = table.parties.iter().map(|(id, name)| (id.to_string(), name, party));
    let sites = table.sites.iter().map(|(id, name)| (id.to_string(), name, site));
    let name = |(id, name, unit): (String, &Text, v1::CellUnit)| v1::ReportName {
        id,
        name: Some(text(name)),
        unit: unit.into(),
    };
    let row = |cells: &Vec<Cell>| v1::ReportRow { cells: cells.iter().map(cell).collect() };
    v1::ReportTable {
        kind: v1::ReportKind::from(table.kind).into(),
        title: Some(text(&table.title)),
        as_of_size: table.as_of.size.0,
        as_of_ms: table.as_of.time.get(),
        columns: table.columns.iter().map(column).collect(),
        rows: table.rows.iter().map(row).collect(),
        left_out: u64::try_from(table.left_out).unwrap_or(u64::MAX),
        notes: table.notes.iter().map(text).collect(),
        names: parties.chain(sites).map(name).collect(),
    }
}

fn text(text: &Text) -> v1::ReportText {
    v1::ReportText { zh: text.zh.clone().into_owned(), en: text.en.clone().into_owned() }
}

fn column(head: &ColumnHead) -> v1::ReportColumn {
    v1::ReportColumn {
        name: head.name.to_string(),
        title: Some(text(&head.title)),
        unit: v1::CellUnit::from(head.unit).into(),
    }
}

fn cell(cell: &Cell) -> v1::ReportCell {
    let zh = match &cell.value {
        Value::Words(_) => value_text(&cell.value, Language::Zh),
        _ => String::new(),
    };
    let text = match &cell.value {
        Value::Time(at) => at.get().to_string(),
        value => value_text(value, Language::En),
    };
    let figure = cell.figure.as_ref().map(Figure::to_text).unwrap_or_default();
    v1::ReportCell { text, text_zh: zh, figure }
}

impl From<ColumnUnit> for v1::CellUnit {
    fn from(unit: ColumnUnit) -> Self {
        match unit {
            ColumnUnit::Campaign => Self::CampaignId,
            ColumnUnit::Code => Self::Code,
            ColumnUnit::Count => Self::Count,
            ColumnUnit::Date => Self::Date,
            ColumnUnit::Entry => Self::EntryIndex,
            ColumnUnit::FractionE8 => Self::FractionE8,
            ColumnUnit::Grams => Self::Grams,
            ColumnUnit::Lot => Self::LotId,
            ColumnUnit::Parties => Self::PartyIds,
            ColumnUnit::Party => Self::PartyId,
            ColumnUnit::Site => Self::SiteId,
            ColumnUnit::Text => Self::Text,
            ColumnUnit::Time => Self::TimeMs,
            ColumnUnit::Value => Self::Value,
        }
    }
}

impl From<ReportKind> for v1::ReportKind {
    fn from(kind: ReportKind) -> Self {
        match kind {
            ReportKind::Anomalies => Self::Anomalies,
            ReportKind::Balance => Self::Balance,
            ReportKind::Corrections => Self::Corrections,
            ReportKind::Coverage => Self::Coverage,
            ReportKind::CoverageCounts => Self::CoverageCounts,
            ReportKind::FlowMatrix => Self::FlowMatrix,
            ReportKind::Inventory => Self::Inventory,
            ReportKind::LabelStatement => Self::LabelStatement,
            ReportKind::Licences => Self::Licences,
            ReportKind::LotPassport => Self::LotPassport,
            ReportKind::MonthlyFlow => Self::MonthlyFlow,
            ReportKind::OpenCampaigns => Self::OpenCampaigns,
            ReportKind::OpenTransfers => Self::OpenTransfers,
            ReportKind::Output => Self::Output,
        }
    }
}

/// A report as it was told; `None` for what this software does not understand.
pub fn read(table: &v1::ReportTable) -> Option<Table> {
    let columns = table.columns.iter().map(read_column).collect::<Option<Vec<_>>>()?;
    let row = |row: &v1::ReportRow| {
        let is_whole = row.cells.len() == columns.len();
        let cells = columns.iter().zip(&row.cells);
        let cells = cells.map(|(head, cell)| read_cell(head.unit, cell));
        is_whole.then(|| cells.collect::<Option<Vec<_>>>()).flatten()
    };
    let rows = table.rows.iter().map(row).collect::<Option<Vec<_>>>()?;
    let (mut parties, mut sites) = (BTreeMap::new(), BTreeMap::new());
    for named in &table.names {
        let (id, name) = (uuid_of(&named.id)?, read_text(named.name.as_ref()?));
        match named.unit() {
            v1::CellUnit::PartyId => parties.insert(PartyId::from_bytes(id), name),
            v1::CellUnit::SiteId => sites.insert(SiteId::from_bytes(id), name),
            _ => return None,
        };
    }
    let (size, time) = (EntryCount(table.as_of_size), TimeMs::new(table.as_of_ms).ok()?);
    Some(Table {
        kind: read_kind(table.kind())?,
        title: read_text(table.title.as_ref()?),
        as_of: AsOf { size, time },
        columns,
        rows,
        left_out: usize::try_from(table.left_out).ok()?,
        notes: table.notes.iter().map(read_text).collect(),
        parties,
        sites,
    })
}

fn read_text(text: &v1::ReportText) -> Text {
    Text::of(text.zh.clone(), text.en.clone())
}

fn read_column(column: &v1::ReportColumn) -> Option<ColumnHead> {
    let units = [
        ColumnUnit::Campaign,
        ColumnUnit::Code,
        ColumnUnit::Count,
        ColumnUnit::Date,
        ColumnUnit::Entry,
        ColumnUnit::FractionE8,
        ColumnUnit::Grams,
        ColumnUnit::Lot,
        ColumnUnit::Parties,
        ColumnUnit::Party,
        ColumnUnit::Site,
        ColumnUnit::Text,
        ColumnUnit::Time,
        ColumnUnit::Value,
    ];
    let unit = units.into_iter().find(|unit| v1::CellUnit::from(*unit) == column.unit())?;
    let title = read_text(column.title.as_ref()?);
    Some(ColumnHead { name: column.name.clone().into(), title, unit })
}

fn read_cell(unit: ColumnUnit, cell: &v1::ReportCell) -> Option<Cell> {
    let figure = match cell.figure.as_str() {
        "" => None,
        text => Some(Figure::parse(text).ok()?),
    };
    Some(Cell { value: read_value(unit, cell)?, figure })
}

fn read_value(unit: ColumnUnit, cell: &v1::ReportCell) -> Option<Value> {
    let text = cell.text.as_str();
    if text.is_empty() {
        return Some(Value::Nothing);
    }
    if !cell.text_zh.is_empty() {
        return Some(Value::Words(Text::of(cell.text_zh.clone(), cell.text.clone())));
    }
    // Words and codes may stand in any column: a number that is not known says why.
    let other = || Value::Text(text.to_owned());
    Some(match unit {
        ColumnUnit::Campaign => Value::Campaign(CampaignId::from_bytes(uuid_of(text)?)),
        ColumnUnit::Code => Value::Code(text.to_owned()),
        ColumnUnit::Count => text.parse().map_or_else(|_| other(), Value::Count),
        ColumnUnit::Date => Day::from_text(text).map_or_else(other, Value::Date),
        ColumnUnit::Entry => {
            text.parse().map_or_else(|_| other(), |index| Value::Entry(EntryIndex(index)))
        }
        ColumnUnit::FractionE8 => text.parse().map_or_else(|_| other(), Value::FractionE8),
        ColumnUnit::Grams => text.parse().map_or_else(|_| other(), Value::Grams),
        ColumnUnit::Lot => Value::Lot(LotId::from_bytes(uuid_of(text)?)),
        ColumnUnit::Parties => {
            let ids = text.split(' ').map(|id| uuid_of(id).map(PartyId::from_bytes));
            Value::Parties(ids.collect::<Option<_>>()?)
        }
        ColumnUnit::Party => Value::Party(PartyId::from_bytes(uuid_of(text)?)),
        ColumnUnit::Site => Value::Site(SiteId::from_bytes(uuid_of(text)?)),
        ColumnUnit::Text | ColumnUnit::Value => other(),
        ColumnUnit::Time => {
            let at = text.parse().ok().and_then(|at| TimeMs::new(at).ok());
            at.map_or_else(other, Value::Time)
        }
    })
}

fn read_kind(kind: v1::ReportKind) -> Option<ReportKind> {
    ReportKind::ALL.iter().copied().find(|it| v1::ReportKind::from(*it) == kind)
}

fn uuid_of(text: &str) -> Option<[u8; 16]> {
    uuid::Uuid::parse_str(text).ok().map(|id| *id.as_bytes())
}
