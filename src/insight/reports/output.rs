//! Output by metal, beside the national figures.

use super::figure::{Filter, Signs, entries_behind};
use super::table::{AsOf, Cell, ColumnHead, ColumnUnit, ReportKind, Table, Value};
use super::{oxide_of, share_e8};
use crate::domain::credit::Month;
use crate::domain::vocabulary::Substance;
use crate::domain::{PartyId, Tables};
use crate::insight::{Account, Book, Column};
use crate::provenance::Measure;

/// What was published about the whole country, each row with its source; with the materials in
/// which a metal counts as put out (trade knowledge).
pub const NATIONAL: &str = include_str!("national.csv");

/// Which output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutputQuery {
    /// First month inside.
    pub from: Month,
    /// First month outside.
    pub to: Month,
    /// Whose; `None`: everybody's.
    pub party: Option<PartyId>,
}

/// A national figure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NationalFigure {
    /// Its name: an element, `PRND`, or `REO` for all oxides.
    pub metal: &'static str,
    /// Elements that are in it.
    pub substances: Vec<Substance>,
    /// Codes of the material table, ascending.
    pub materials: Vec<&'static str>,
    /// Whether it is of oxide.
    pub is_oxide: bool,
    /// Of which year.
    pub year: u32,
    /// How much.
    pub grams: i128,
    /// Against the year before.
    pub growth_e8: Option<i128>,
    /// Of the country's output, recycled or not.
    pub share_e8: Option<i128>,
    /// Who published it.
    pub source: &'static str,
}

/// National figures, in the order of the file. A row that is not understood is left out; a test
/// holds that there is none.
pub fn national_figures() -> Vec<NationalFigure> {
    NATIONAL.lines().skip(1).filter_map(national_figure).collect()
}

fn national_figure(line: &'static str) -> Option<NationalFigure> {
    let fields: Vec<&str> = line.split(',').collect();
    let [metal, substances, materials, basis, year, grams, growth, share, source] = fields[..]
    else {
        return None;
    };
    let optional = |text: &str| match text {
        "" => Some(None),
        text => text.parse().ok().map(Some),
    };
    Some(NationalFigure {
        metal,
        substances: substances.split(';').map(Substance::from_name).collect::<Option<_>>()?,
        materials: materials.split(';').collect(),
        is_oxide: basis == "OXIDE",
        year: year.parse().ok()?,
        grams: grams.parse().ok()?,
        growth_e8: optional(growth)?,
        share_e8: optional(share)?,
        source,
    })
}

/// What was put out in a period: contained metal in products, less what of them went into the
/// making of others of the kind.
pub fn output(book: &Book, as_of: AsOf, query: &OutputQuery, tables: &Tables) -> Table {
    let columns = vec![
        ColumnHead::new("metal", "金属", "metal", ColumnUnit::Code),
        ColumnHead::new("output", "产量（金属量）", "output (metal)", ColumnUnit::Grams),
        ColumnHead::new("output_oxide", "产量（氧化物）", "output (oxide)", ColumnUnit::Grams),
        ColumnHead::new("basis", "全国数基准", "basis of the national figure", ColumnUnit::Code),
        ColumnHead::new("national_year", "全国数年份", "national: year", ColumnUnit::Count),
        ColumnHead::new("national", "全国再生产量", "national: recycled", ColumnUnit::Grams),
        ColumnHead::new("national_growth", "全国增速", "national: growth", ColumnUnit::FractionE8),
        ColumnHead::new(
            "national_share",
            "占全国产量",
            "national: recycled share",
            ColumnUnit::FractionE8,
        ),
        ColumnHead::new("ratio", "占全国数", "output / national", ColumnUnit::FractionE8),
        ColumnHead::new("source", "来源", "source", ColumnUnit::Text),
    ];
    let mut table = Table::new(ReportKind::Output, as_of, columns);
    table.about(format_args!("{} .. {}", query.from, query.to));
    table.note(
        "产量＝产品产出－其中再投入的部分",
        "output: products that came out, less those that were used again",
    );
    table.note(
        "全国数为全年数；期间不同，比值仅供参考",
        "national figures are of whole years; the ratio is no more than an orientation",
    );
    for national in national_figures() {
        table.push(row(book, as_of, query, tables, &national));
    }
    table
}

fn row(
    book: &Book,
    as_of: AsOf,
    query: &OutputQuery,
    tables: &Tables,
    national: &NationalFigure,
) -> Vec<Cell> {
    let signs = Signs::NONE.plus(&[Column::Produced]).minus(&[Column::Used, Column::Added]);
    let filter = Filter {
        measures: national.substances.iter().map(|it| Measure::Substance(*it)).collect(),
        materials: national.materials.iter().map(|code| (*code).to_owned()).collect(),
        party: query.party,
        ..Filter::new(signs, Measure::Mass).in_months(Some(query.from), Some(query.to))
    };
    let (grams, oxide) = sums(book, as_of, &filter, tables);
    let compared = if national.is_oxide { oxide } else { Some(grams) };
    let ratio = compared.and_then(|grams| share_e8(grams, national.grams));
    let is_rare_earth = national.substances.iter().all(|it| it.is_rare_earth());
    vec![
        Cell::code(national.metal),
        Cell::grams(grams, filter.into()),
        Cell::maybe(oxide.filter(|_| is_rare_earth).map(Value::Grams)),
        Cell::code(if national.is_oxide { "OXIDE" } else { "METAL" }),
        Value::Count(national.year.into()).into(),
        Value::Grams(national.grams).into(),
        Cell::maybe(national.growth_e8.map(Value::FractionE8)),
        Cell::maybe(national.share_e8.map(Value::FractionE8)),
        Cell::maybe(ratio.map(Value::FractionE8)),
        Cell::text(national.source),
    ]
}

/// Grams of the elements, and of their oxides: rounded once for each element.
fn sums(book: &Book, as_of: AsOf, filter: &Filter, tables: &Tables) -> (i128, Option<i128>) {
    let is_wanted = |account: &Account| filter.weigh(account) != 0;
    let mut by_measure = std::collections::BTreeMap::new();
    for (account, grams) in book.totals(as_of.size, Some(as_of.time), is_wanted) {
        let weight = i128::from(filter.weigh(account));
        *by_measure.entry(account.measure).or_insert(0_i128) += grams * weight;
    }
    debug_assert_eq!(
        by_measure.values().sum::<i128>(),
        entries_behind(book, as_of, &filter.clone().into()).iter().map(|(_, it)| it).sum(),
        "a number is the sum of the entries behind it"
    );
    let oxide = by_measure.iter().map(|(measure, grams)| match measure {
        Measure::Mass => None,
        Measure::Substance(substance) => oxide_of(tables, *substance, *grams),
    });
    (by_measure.values().sum(), oxide.sum())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::tables;

    #[test]
    fn every_national_figure_is_understood_and_names_materials_of_the_table() {
        let tables = Tables::parse(tables::builtin()).unwrap();
        let figures = national_figures();
        assert_eq!(figures.len(), NATIONAL.lines().count() - 1);
        for figure in &figures {
            assert!(!figure.source.is_empty());
            assert!(figure.materials.is_sorted(), "{}", figure.metal);
            for code in &figure.materials {
                let material = tables.materials.get(*code);
                assert!(material.is_some_and(|it| !it.is_ore_product), "{code}");
            }
        }
        let recycled: i128 = figures.iter().filter(|it| it.year == 2015).map(|it| it.grams).sum();
        assert_eq!(recycled, (2_950_000 + 5_650_000 + 1_600_000) * 1_000_000);
    }
}
