//! The passport of a lot: what it is, what is in it, where that comes from, what was done to it.

use std::collections::BTreeMap;

use super::figure::Figure;
use super::label::OriginLot;
use super::table::{AsOf, Cell, ColumnHead, ColumnUnit, ReportKind, Table, Value, measure_name};
use super::{oxide_of, share_e8};
use crate::domain::event::Document;
use crate::domain::lot::{Lot, LotStatus};
use crate::domain::vocabulary::{EventKind, OriginKind};
use crate::domain::{EntryIndex, EventId, LotId, Tables};
use crate::insight::Registry;
use crate::provenance::{Measure, Origins, Trace};

/// What a passport is made of: the lot as it stands, and what provenance answered about it.
#[derive(Debug, Clone, Copy)]
pub struct PassportQuery<'a> {
    /// The lot.
    pub lot: &'a Lot,
    /// Origins of its mass and of its elements, each as of its birth and now.
    pub origins: &'a [(Measure, Origins)],
    /// What it was made from; `None`: not asked.
    pub trace: Option<&'a Trace>,
    /// Papers of the entries of its life, and of those behind it.
    pub documents: &'a [(EntryIndex, Document)],
}

/// A row in the making: a section, what it is about, and what is said of it.
struct Row {
    section: &'static str,
    item: Cell,
    value: Cell,
    grams: Cell,
    oxide: Cell,
    share: Cell,
}

impl Row {
    fn new(section: &'static str, item: Cell, value: Cell) -> Self {
        let (grams, oxide, share) = (Cell::NOTHING, Cell::NOTHING, Cell::NOTHING);
        Self { section, item, value, grams, oxide, share }
    }

    fn of(section: &'static str, item: &'static str, value: impl Into<Cell>) -> Self {
        Self::new(section, Cell::code(item), value.into())
    }

    fn into_cells(self) -> Vec<Cell> {
        let Self { section, item, value, grams, oxide, share } = self;
        vec![Cell::code(section), item, value, grams, oxide, share]
    }
}

/// The passport of a lot: a row for each thing that is said of it, section by section.
pub fn lot_passport(
    registry: &Registry,
    as_of: AsOf,
    query: &PassportQuery<'_>,
    look: impl Fn(LotId) -> Option<OriginLot>,
    tables: &Tables,
) -> Table {
    let columns = vec![
        ColumnHead::new("section", "部分", "section", ColumnUnit::Code),
        ColumnHead::new("item", "项目", "item", ColumnUnit::Value),
        ColumnHead::new("value", "内容", "value", ColumnUnit::Value),
        ColumnHead::new("grams", "数量", "grams", ColumnUnit::Grams),
        ColumnHead::new("oxide_grams", "折氧化物", "as oxide", ColumnUnit::Grams),
        ColumnHead::new("share", "占比", "share", ColumnUnit::FractionE8),
    ];
    let mut table = Table::new(ReportKind::LotPassport, as_of, columns);
    table.about(query.lot.id);
    if query.origins.iter().any(|(_, it)| !it.pending_campaigns.is_empty()) {
        table.note(
            "有生产周期未关闭，来源尚非最终",
            "campaigns on the way are not closed: origins are not final",
        );
    }
    if query.origins.iter().any(|(_, it)| !it.is_complete) {
        table.note("追溯因上限中止", "the history was not walked to its end");
    }
    let mut rows = identity(query.lot, tables);
    rows.extend(contents(query.lot, tables));
    for (measure, origins) in query.origins {
        rows.extend(categories(*measure, origins, &look, tables));
    }
    rows.extend(query.trace.map(steps).unwrap_or_default());
    rows.extend(query.documents.iter().map(|(entry, it)| document(*entry, it)));
    rows.extend(query.lot.holds.iter().map(|hold| {
        let reason = hold.reason.map_or("DISCREPANCY", |reason| reason.name());
        Row::new("HOLD", Cell::code(reason), Value::Party(hold.placed_by).into())
    }));
    for row in rows {
        table.push(row.into_cells());
    }
    table.named(registry)
}

fn identity(lot: &Lot, tables: &Tables) -> Vec<Row> {
    const SECTION: &str = "IDENTITY";
    let material = tables.materials.get(&lot.material);
    let name = material.map_or(Cell::NOTHING, |it| {
        let (zh, en) = (it.name_zh.clone(), it.name_en.clone());
        Value::Words(super::table::Text::of(zh, en)).into()
    });
    let kinds: Vec<&str> = lot.origin_kinds.iter().map(OriginKind::name).collect();
    let mut rows = vec![
        Row::of(SECTION, "LOT", Value::Lot(lot.id)),
        Row::of(SECTION, "MATERIAL", Cell::code(&lot.material)),
        Row::of(SECTION, "MATERIAL_NAME", name),
        Row::of(SECTION, "FORM", Cell::code(&lot.form)),
        Row::of(SECTION, "STATUS", Cell::code(status_name(lot.status()))),
        Row::of(SECTION, "OWNER", Value::Party(lot.owner)),
        Row::of(SECTION, "POSSESSOR", Value::Party(lot.possessor)),
        Row::of(SECTION, "SITE", Value::Site(lot.site)),
        Row::of(SECTION, "ORIGIN_KINDS", Cell::code(kinds.join(" "))),
        Row::of(SECTION, "ORIGIN_REGION", Cell::code(&lot.origin_region)),
        Row::of(SECTION, "CUSTODY_MODEL", Cell::code(lot.custody_model)),
        Row::of(SECTION, "BORN_AT", Value::Entry(lot.born_at)),
        Row::of(SECTION, "BORN_OCCURRED_AT", Value::Time(lot.born_occurred_at)),
    ];
    rows.extend(lot.grades.iter().map(|grade| {
        let note = tables.grade(&grade.scheme, &grade.code);
        let item = Cell::code(format!("{} {}", grade.scheme, grade.code));
        Row::new("GRADE", item, note.map_or(Cell::NOTHING, Cell::text))
    }));
    let masses = [
        (
            "INITIAL",
            lot.initial_mass,
            Some(Figure::Entries(vec![(lot.born_at, lot.initial_mass.get().into())])),
        ),
        ("REMAINING", lot.remaining, None),
        ("RESERVED", lot.reserved, None),
    ];
    rows.extend(masses.into_iter().map(|(item, mass, figure)| {
        let grams = Cell { value: Value::Grams(mass.get().into()), figure };
        Row { grams, ..Row::of("MASS", item, Cell::NOTHING) }
    }));
    rows
}

const fn status_name(status: LotStatus) -> &'static str {
    match status {
        LotStatus::Open => "OPEN",
        LotStatus::InTransit => "IN_TRANSIT",
        LotStatus::OnHold => "ON_HOLD",
        LotStatus::Consumed => "CONSUMED",
        LotStatus::Disposed => "DISPOSED",
        LotStatus::Exited => "EXITED",
        LotStatus::Retracted => "RETRACTED",
    }
}

/// What is in what remains: the element, and its oxide beside it where it has one.
fn contents(lot: &Lot, tables: &Tables) -> Vec<Row> {
    let analysed = lot.assayed_by.as_ref().map(EventId::to_string);
    let items = lot.contents.items.iter();
    items
        .map(|item| {
            let contained = lot.contents.at_mass(item.contained, lot.remaining);
            let grams = i128::from(contained.get());
            let oxide = oxide_of(tables, item.substance, grams);
            let share = share_e8(grams, lot.remaining.get().into());
            let assay = analysed.as_ref().map_or(Cell::NOTHING, |event| Cell::text(event));
            Row {
                grams: Value::Grams(grams).into(),
                oxide: Cell::maybe(oxide.map(Value::Grams)),
                share: Cell::maybe(share.map(Value::FractionE8)),
                ..Row::new("CONTENTS", Cell::code(item.substance), assay)
            }
        })
        .collect()
}

/// Shares of the kinds of origin in the lot as it was born, and how much of it is recycled.
fn categories(
    measure: Measure,
    origins: &Origins,
    look: &impl Fn(LotId) -> Option<OriginLot>,
    tables: &Tables,
) -> Vec<Row> {
    let birth = &origins.at_birth;
    let name = measure_name(measure);
    let line = |word: &str, grams: i128, total: i128, figure| Row {
        grams: Cell { value: Value::Grams(grams), figure },
        share: Cell::maybe(share_e8(grams, total).map(Value::FractionE8)),
        ..Row::new("ORIGIN", Cell::code(name), Cell::code(word))
    };
    let total = match birth.total {
        Some(total) if birth.is_attributed && origins.is_complete => i128::from(total.get()),
        _ => {
            let unknown = Cell::words("未知", "not known");
            return vec![Row::new("ORIGIN", Cell::code(name), unknown)];
        }
    };
    let mut kinds: BTreeMap<&'static str, (i128, BTreeMap<EntryIndex, i128>)> = BTreeMap::new();
    let mut recycled = 0;
    for (lot, grams) in &birth.shares {
        let grams = i128::from(grams.get());
        let origin = look(*lot);
        let word = match (&origin, *lot) {
            (_, LotId::UPTAKE) => "UPTAKE",
            (_, lot) if lot.waived_stock_of().is_some() => "WAIVED",
            (Some(origin), _) => origin.origin_kind.map_or("UNKNOWN", OriginKind::name),
            (None, _) => "UNKNOWN",
        };
        let kind = origin.as_ref().and_then(|it| it.origin_kind);
        if kind.is_some_and(|kind| tables.recycled.contains(kind)) {
            recycled += grams;
        }
        let sums = kinds.entry(word).or_default();
        sums.0 += grams;
        if let Some(origin) = origin {
            *sums.1.entry(origin.entry).or_default() += grams;
        }
    }
    let pending: i128 = birth.pending.iter().map(|(_, grams)| i128::from(grams.get())).sum();
    let mut rows: Vec<Row> = kinds
        .into_iter()
        .map(|(word, (grams, entries))| {
            let is_all = entries.values().sum::<i128>() == grams;
            let figure = Figure::adding(entries).filter(|_| is_all);
            line(word, grams, total, figure)
        })
        .collect();
    if pending != 0 {
        rows.push(line("PENDING", pending, total, None));
    }
    let share = share_e8(recycled, total);
    rows.push(Row {
        grams: Value::Grams(recycled).into(),
        share: Cell::maybe(share.map(Value::FractionE8)),
        ..Row::new("RECYCLED_CONTENT", Cell::code(name), Cell::NOTHING)
    });
    rows
}

/// One row for each event on the way back, the oldest first, with the grams that it took.
fn steps(trace: &Trace) -> Vec<Row> {
    let mut events: BTreeMap<EntryIndex, (EventKind, i128)> = BTreeMap::new();
    for step in &trace.steps {
        let (_, grams) = events.entry(step.index).or_insert((step.kind, 0));
        *grams += i128::from(step.mass.get());
    }
    let rows = events.into_iter().map(|(index, (kind, grams))| Row {
        grams: Cell { value: Value::Grams(grams), figure: Figure::adding([(index, grams)]) },
        ..Row::new("STEP", Value::Entry(index).into(), Cell::code(kind))
    });
    rows.collect()
}

fn document(entry: EntryIndex, document: &Document) -> Row {
    let number = format!("{} {}", document.kind, document.number);
    Row::new("DOCUMENT", Value::Entry(entry).into(), Cell::text(&number))
}
