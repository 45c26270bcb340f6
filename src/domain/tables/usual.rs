//! Tables of what is usual: fingerprints, residues, chains, prices. They serve flags only, and a
//! set may do without them.

use std::collections::BTreeMap;

use super::lines::{File, Row};
use super::parse::insert;
use super::{Chain, Material, OxideGroup, Process, ResidueRow, TableFault};
use crate::domain::units::FractionE8;
use crate::domain::vocabulary::Substance;
use crate::limits::MAX_PRICE_CNY_T;

type Materials = BTreeMap<String, Material>;
type Band = (FractionE8, FractionE8);

/// A feed stands once.
pub(super) fn chains_of(file: File<'_>, materials: &Materials) -> Result<Vec<Chain>, TableFault> {
    let mut table: Vec<Chain> = Vec::new();
    for row in file.rows("feed,family,substance,low_e8,high_e8,source")? {
        let (feed, family) = (known(&row, row.field(0), materials)?, row.code(1, "")?);
        if !materials.values().any(|material| material.family == family) {
            return Err(row.fault(&format!("no material is of family {family:?}")));
        }
        if table.iter().any(|chain| chain.feed == feed) {
            return Err(row.fault("the row's key stands twice"));
        }
        let (substance, share) = (row.word(2, Substance::from_name)?, band(&row, 3, 4)?);
        row.name(5)?;
        table.push(Chain { feed, family, substance, share });
    }
    Ok(table)
}

/// A class with a row is magnet feed.
pub(super) fn fingerprints_of(
    file: File<'_>,
    materials: &Materials,
) -> Result<BTreeMap<String, BTreeMap<OxideGroup, Band>>, TableFault> {
    let mut table: BTreeMap<String, BTreeMap<OxideGroup, Band>> = BTreeMap::new();
    for row in file.rows("material,oxides,low_e8,high_e8,source")? {
        let bands = table.entry(known(&row, row.field(0), materials)?).or_default();
        row.name(4)?;
        let group = row.word(1, OxideGroup::from_name)?;
        insert(&row, bands, group, band(&row, 2, 3)?)?;
    }
    Ok(table)
}

pub(super) fn prices_of(
    file: File<'_>,
    materials: &Materials,
) -> Result<BTreeMap<String, u64>, TableFault> {
    let mut table = BTreeMap::new();
    for row in file.rows("material,cny_per_t,source")? {
        let price = row.number(1)?;
        if price > MAX_PRICE_CNY_T {
            return Err(row.fault(&format!("a price is at most {MAX_PRICE_CNY_T} yuan a tonne")));
        }
        row.name(2)?;
        insert(&row, &mut table, known(&row, row.field(0), materials)?, price)?;
    }
    Ok(table)
}

pub(super) fn residues_of(
    file: File<'_>,
    materials: &Materials,
    processes: &BTreeMap<String, Process>,
) -> Result<Vec<ResidueRow>, TableFault> {
    let mut table = Vec::new();
    for row in file.rows("process,feed,residues,least_e8,source")? {
        let process = row.code(0, "")?;
        if !processes.contains_key(&process) {
            return Err(row.fault(&format!("process {process:?} is not in processes.csv")));
        }
        let feed = match row.field(1) {
            "-" => None,
            code => Some(known(&row, code, materials)?),
        };
        let codes = row.words(2, |code| Some(code.to_owned()))?;
        if codes.is_empty() {
            return Err(row.fault("a row names at least one residue"));
        }
        for code in &codes {
            known(&row, code, materials)?;
        }
        let least = row.fraction(3)?;
        row.name(4)?;
        table.push(ResidueRow { process, feed, residues: codes, least });
    }
    Ok(table)
}

fn known(row: &Row<'_>, code: &str, materials: &Materials) -> Result<String, TableFault> {
    if materials.contains_key(code) {
        return Ok(code.to_owned());
    }
    Err(row.fault(&format!("material {code:?} is not in materials.csv")))
}

fn band(row: &Row<'_>, low: usize, high: usize) -> Result<Band, TableFault> {
    let band = (row.fraction(low)?, row.fraction(high)?);
    if band.0 > band.1 { Err(row.fault("the low end is above the high one")) } else { Ok(band) }
}
