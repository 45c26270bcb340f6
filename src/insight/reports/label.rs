//! The label statement of GB 39176-2020: which suppliers of scrap stand behind a lot.

use std::collections::BTreeMap;

use super::figure::Figure;
use super::table::{AsOf, Cell, ColumnHead, ColumnUnit, ReportKind, Table, Value, measure_name};
use super::words::{MATERIAL, PARTY};
use super::{oxide_of, share_e8};
use crate::domain::vocabulary::{OriginKind, SellerKind};
use crate::domain::{EntryIndex, LotId, PartyId, Tables};
use crate::insight::Registry;
use crate::provenance::{Measure, Origins};

/// What is known of an origin lot: from the event that brought it into the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OriginLot {
    /// That entry.
    pub entry: EntryIndex,
    /// Who brought it in: the supplier of the scrap to everybody behind it.
    pub supplier: PartyId,
    /// Who sold it to the supplier; `None` for opening inventory.
    pub seller_kind: Option<SellerKind>,
    /// Where it came from.
    pub origin_kind: Option<OriginKind>,
    /// Code of the material table.
    pub material: String,
    /// Where it arose; empty when not stated.
    pub region: String,
}

/// A statement about what.
#[derive(Debug, Clone, Copy)]
pub struct StatementQuery<'a> {
    /// Which lot.
    pub lot: LotId,
    /// Of what.
    pub measure: Measure,
    /// Where its grams come from: the answer about this lot and measure.
    pub origins: &'a Origins,
    /// Of the lot as it was born, or of what remains of it.
    pub is_at_birth: bool,
}

/// What tells suppliers apart.
type Supply = (PartyId, Option<SellerKind>, String, String);

#[derive(Default)]
struct Sums {
    grams: i128,
    /// Its origin lots: the entry that brought each in, and the grams of it.
    lots: BTreeMap<LotId, (EntryIndex, i128)>,
}

/// Lines of a statement: first suppliers, the main ones first, then what has no supplier.
enum Line {
    Supplier(Supply, Sums),
    /// A word for what it is, in both languages, and the grams.
    Other(&'static str, &'static str, i128),
}

/// Which suppliers of scrap stand behind a lot, the main ones first; those whose share rounds to
/// nothing are named as well.
pub fn label_statement(
    registry: &Registry,
    as_of: AsOf,
    query: &StatementQuery<'_>,
    look: impl Fn(LotId) -> Option<OriginLot>,
    tables: &Tables,
) -> Table {
    let columns = vec![
        ColumnHead::new("rank", "序号", "rank", ColumnUnit::Count),
        PARTY,
        ColumnHead::new("seller_kind", "来源类型", "bought from", ColumnUnit::Code),
        MATERIAL,
        ColumnHead::new("region", "产生地", "region", ColumnUnit::Code),
        ColumnHead::new("origin_lots", "来源批次数", "origin lots", ColumnUnit::Count),
        ColumnHead::new("grams", "数量", "grams", ColumnUnit::Grams),
        ColumnHead::new("oxide_grams", "折氧化物", "as oxide", ColumnUnit::Grams),
        ColumnHead::new("share", "占比", "share", ColumnUnit::FractionE8),
        ColumnHead::new("remark", "说明", "remark", ColumnUnit::Text),
    ];
    let mut table = Table::new(ReportKind::LabelStatement, as_of, columns);
    table.about(format_args!("{} {}", query.lot, measure_name(query.measure)));
    let total = total(query);
    notes(&mut table, query, total);
    let is_known = total.is_some() && is_attributed(query);
    for (place, line) in lines(query, total, look).into_iter().enumerate() {
        let mut row = vec![Value::count(place + 1).into()];
        row.extend(match line {
            Line::Supplier(supply, sums) => supplier(supply, &sums, is_known),
            Line::Other(zh, en, grams) => other(zh, en, grams),
        });
        table.push(with_shares(row, query.measure, total, tables));
    }
    table.named(registry)
}

fn total(query: &StatementQuery<'_>) -> Option<i128> {
    let origins = query.origins;
    let total = if query.is_at_birth { origins.at_birth.total } else { origins.total };
    total.filter(|_| origins.is_complete).map(|grams| grams.get().into())
}

fn is_attributed(query: &StatementQuery<'_>) -> bool {
    let origins = query.origins;
    if query.is_at_birth { origins.at_birth.is_attributed } else { origins.is_attributed }
}

fn notes(table: &mut Table, query: &StatementQuery<'_>, total: Option<i128>) {
    match total {
        Some(grams) => table.note(format!("合计 {grams} g"), format!("total: {grams} g")),
        None => table.note("数量未知", "the grams are not known"),
    }
    if !query.origins.is_complete {
        table.note(
            "追溯因上限中止，供应商可能不全",
            "the history was not walked to its end: there may be more suppliers",
        );
    }
    if !query.origins.pending_campaigns.is_empty() {
        table.note(
            "有生产周期未关闭，关闭前来源可能增加",
            "campaigns on the way are not closed: until they are, more suppliers may join",
        );
    }
}

fn lines(
    query: &StatementQuery<'_>,
    total: Option<i128>,
    look: impl Fn(LotId) -> Option<OriginLot>,
) -> Vec<Line> {
    let origins = query.origins;
    let (shares, pending) = if query.is_at_birth {
        (&origins.at_birth.shares, &origins.at_birth.pending)
    } else {
        (&origins.shares, &origins.pending)
    };
    let mut suppliers: BTreeMap<Supply, Sums> = BTreeMap::new();
    let (mut uptake, mut waived, mut strange) = (0_i128, 0_i128, 0_i128);
    let known = shares.iter().map(|(lot, grams)| (*lot, i128::from(grams.get())));
    let unshared = origins.lineage.iter().map(|lot| (*lot, 0));
    for (lot, grams) in known.chain(unshared) {
        if lot == LotId::UPTAKE {
            uptake += grams;
        } else if lot.waived_stock_of().is_some() {
            waived += grams;
        } else if let Some(origin) = look(lot) {
            let supply = (origin.supplier, origin.seller_kind, origin.material, origin.region);
            let sums = suppliers.entry(supply).or_default();
            sums.grams += grams;
            sums.lots.entry(lot).or_insert((origin.entry, 0)).1 += grams;
        } else {
            strange += grams;
        }
    }
    let mut suppliers: Vec<(Supply, Sums)> = suppliers.into_iter().collect();
    suppliers.sort_by_key(|(_, sums)| std::cmp::Reverse(sums.grams));
    let mut lines: Vec<Line> =
        suppliers.into_iter().map(|(supply, sums)| Line::Supplier(supply, sums)).collect();
    let pending = pending.iter().map(|(_, grams)| i128::from(grams.get())).sum();
    let rest = [
        ("工艺吸收或盘盈", "joined in processes, or found in a stocktake", uptake),
        ("豁免计入的在制品", "stock in process that a waiver let in", waived),
        ("未关闭的生产周期", "of campaigns that are not closed", pending),
        ("来源批次不可查", "of origin lots that are not told", strange),
    ];
    let told = rest.into_iter().filter(|(.., grams)| *grams != 0);
    lines.extend(told.map(|(zh, en, grams)| Line::Other(zh, en, grams)));
    if let (Some(total), false) = (total, is_attributed(query)) {
        let (zh, en) =
            ("来源未知：途中有批次未化验", "of unknown origins: not analysed on the way");
        lines.push(Line::Other(zh, en, total));
    }
    lines
}

/// All but the rank, the oxide and the share.
fn supplier(supply: Supply, sums: &Sums, is_known: bool) -> Vec<Cell> {
    let (party, seller, material, region) = supply;
    let mut entries: BTreeMap<EntryIndex, (i128, i128)> = BTreeMap::new();
    for (entry, grams) in sums.lots.values() {
        let (lots, sum) = entries.entry(*entry).or_default();
        (*lots, *sum) = (*lots + 1, *sum + grams);
    }
    let lots = Figure::adding(entries.iter().map(|(entry, (lots, _))| (*entry, *lots)));
    let behind = Figure::adding(entries.iter().map(|(entry, (_, grams))| (*entry, *grams)));
    let (grams, remark) = match (is_known, sums.grams) {
        (false, _) => (Cell::NOTHING, Cell::words("数量未知", "not known")),
        (true, 0) => (Cell::NOTHING, Cell::words("低于 1 g", "below 1 g")),
        (true, grams) => (Cell { value: Value::Grams(grams), figure: behind }, Cell::NOTHING),
    };
    vec![
        Value::Party(party).into(),
        Cell::maybe(seller.map(|it| Value::Code(it.to_string()))),
        Cell::code(material),
        Cell::code(region),
        Cell { figure: lots, ..Value::count(sums.lots.len()).into() },
        grams,
        remark,
    ]
}

fn other(zh: &'static str, en: &'static str, grams: i128) -> Vec<Cell> {
    let mut row = vec![Cell::NOTHING; 5];
    row.extend([Value::Grams(grams).into(), Cell::words(zh, en)]);
    row
}

/// Oxide and share stand between the grams and the remark.
fn with_shares(
    mut row: Vec<Cell>,
    measure: Measure,
    total: Option<i128>,
    tables: &Tables,
) -> Vec<Cell> {
    let remark = row.pop().unwrap_or(Cell::NOTHING);
    let grams = match row.last() {
        Some(Cell { value: Value::Grams(grams), .. }) => Some(*grams),
        _ => None,
    };
    let oxide = grams.and_then(|grams| match measure {
        Measure::Mass => None,
        Measure::Substance(substance) => oxide_of(tables, substance, grams),
    });
    let share = grams.zip(total).and_then(|(grams, total)| share_e8(grams, total));
    row.push(Cell::maybe(oxide.map(Value::Grams)));
    row.push(Cell::maybe(share.map(Value::FractionE8)));
    row.push(remark);
    row
}
