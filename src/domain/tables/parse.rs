//! From rows of fields to typed tables, and the rules that hold between the files.

use std::collections::BTreeMap;

use super::lines::{File, Row, cut};
use super::{Material, Permission, Process, TableFault, Tables, usual};
use crate::domain::units::Validity;
use crate::domain::vocabulary::{
    InvoiceClass, LicenceKind, OriginKind, OriginKinds, PartyRole, Substance,
};

/// The files of a set in the order in which they stand in it.
const NAMES: [&str; 15] = [
    "chains.csv",
    "fingerprints.csv",
    "forms.csv",
    "grades.csv",
    "invoices.csv",
    "materials.csv",
    "origins.csv",
    "oxides.csv",
    "parameters.csv",
    "permissions.csv",
    "prices.csv",
    "processes.csv",
    "regions.csv",
    "residues.csv",
    "wastes.csv",
];

/// Files that a set may do without: nobody is held against what they would say.
const OPTIONAL: [&str; 4] = ["chains.csv", "fingerprints.csv", "prices.csv", "residues.csv"];

/// What the permission table decides. Each needs a row, or nobody could do it.
const ACTIONS: [&str; 22] = [
    "ACCEPT_TRANSFER",
    "APPROVAL",
    "ASSAY_LOT",
    "ATTEST",
    "CHARGE_CAMPAIGN",
    "CLAIM_CREDIT",
    "CLOSE_CAMPAIGN",
    "COLLECT_LOT",
    "COLLECT_ORE",
    "DISPOSE_RESIDUE",
    "DRAW_CAMPAIGN",
    "EXIT_LOT",
    "HOLD_LOT",
    "MERGE_LOTS",
    "OFFER_TRANSFER",
    "OPEN_CAMPAIGN",
    "SPLIT_LOT",
    "STOCKTAKE",
    "SUCCEED_PARTY",
    "TRANSFORM_LOTS",
    "VISIBILITY_GRANT",
    "WAIVER",
];

/// Parameters that the rules ask for.
const NEEDED_PARAMETERS: [&str; 2] = ["CLOCK_SKEW_MS", "STOCKTAKE_TOLERANCE_E8"];

/// Parses a whole set.
pub(super) fn parse(set: &str) -> Result<Tables, TableFault> {
    let files = cut(set, NAMES, &OPTIONAL)?;
    let [chains, fingerprints, forms, grades, invoices, materials, origins, rest @ ..] = files;
    let [oxides, parameters, permissions, prices, processes, regions, residues, wastes] = rest;
    let wastes = names_of(wastes, is_waste_code)?;
    let materials = materials_of(materials, &wastes)?;
    let processes = processes_of(processes)?;
    Ok(Tables {
        parameters: parameters_of(parameters)?,
        regions: regions_of(regions)?,
        forms: names_of(forms, |_| true)?,
        wastes,
        grades: grades_of(grades)?,
        permissions: permissions_of(permissions)?,
        invoices: invoices_of(invoices)?,
        recycled: origins_of(origins)?,
        oxide_factors_e6: oxides_of(oxides)?,
        chains: usual::chains_of(chains, &materials)?,
        fingerprints: usual::fingerprints_of(fingerprints, &materials)?,
        prices_cny_t: usual::prices_of(prices, &materials)?,
        residues: usual::residues_of(residues, &materials, &processes)?,
        materials,
        processes,
    })
}

/// Parses the one file that says which origin kinds count as recycled.
pub(super) fn parse_recycled(set: &str) -> Result<OriginKinds, TableFault> {
    let mut files = cut(set, NAMES, &OPTIONAL)?.into_iter();
    // It is none of those that may be left out, so `cut` found it.
    files
        .find(|file| file.name == "origins.csv")
        .map_or_else(|| Ok(OriginKinds::default()), origins_of)
}

fn parameters_of(file: File<'_>) -> Result<BTreeMap<String, u64>, TableFault> {
    let mut table = BTreeMap::new();
    for row in file.rows("name,value,unit,source")? {
        let key = row.code(0, "")?;
        row.name(2)?;
        row.name(3)?;
        insert(&row, &mut table, key, row.number(1)?)?;
    }
    let missing = NEEDED_PARAMETERS.iter().find(|name| !table.contains_key(**name));
    match missing {
        Some(name) => Err(file.fault(&format!("parameter {name} is missing"))),
        None => Ok(table),
    }
}

fn regions_of(file: File<'_>) -> Result<BTreeMap<String, Vec<(Validity, String)>>, TableFault> {
    let mut table: BTreeMap<String, Vec<(Validity, String)>> = BTreeMap::new();
    for row in file.rows("code,name,valid_from,valid_to,source")? {
        let code = row.field(0);
        if code.len() != 6 || !code.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(row.fault(&format!("{code:?} is not a region code of six digits")));
        }
        let name = row.name(1)?;
        let validity = row.validity(2, 3)?;
        row.name(4)?;
        let others = table.entry(code.to_owned()).or_default();
        if others.iter().any(|(other, _)| overlap(*other, validity)) {
            return Err(row.fault(&format!("two rows of {code} are in force at once")));
        }
        others.push((validity, name));
    }
    Ok(table)
}

fn materials_of(
    file: File<'_>,
    wastes: &BTreeMap<String, (String, String)>,
) -> Result<BTreeMap<String, Material>, TableFault> {
    let header = "code,name_zh,name_en,family,merge_group,waste_code,ore_product,\
                  productive_scrap,transfer_tolerance_e8,valid_from,source";
    let mut table = BTreeMap::new();
    for row in file.rows(header)? {
        let code = row.code(0, "")?;
        let waste_code = row.field(5);
        if !waste_code.is_empty() && !wastes.contains_key(waste_code) {
            return Err(row.fault(&format!("waste code {waste_code:?} is not in wastes.csv")));
        }
        row.name(10)?;
        let material = Material {
            name_zh: row.name(1)?,
            name_en: row.name(2)?,
            family: row.code(3, "")?,
            merge_group: row.code(4, "")?,
            waste_code: waste_code.to_owned(),
            is_ore_product: row.yes(6)?,
            is_productive_scrap: row.yes(7)?,
            transfer_tolerance: row.fraction(8)?,
            validity: row.validity_from(9)?,
        };
        insert(&row, &mut table, code, material)?;
    }
    check_merge_groups(file, &table)?;
    Ok(table)
}

/// Hazardous merges only with hazardous of the same code, and ore never with what is not ore: no
/// merge group of a table mixes them.
fn check_merge_groups(
    file: File<'_>,
    table: &BTreeMap<String, Material>,
) -> Result<(), TableFault> {
    let mut groups: BTreeMap<&str, &Material> = BTreeMap::new();
    for material in table.values() {
        let first = groups.entry(&material.merge_group).or_insert(material);
        let is_alike = first.waste_code == material.waste_code
            && first.is_ore_product == material.is_ore_product
            && first.family == material.family;
        if !is_alike {
            let group = &material.merge_group;
            let rule = format!("merge group {group} mixes families, waste codes or ore");
            return Err(file.fault(&rule));
        }
    }
    Ok(())
}

/// Tables of a code and two names.
fn names_of(
    file: File<'_>,
    is_sound: fn(&str) -> bool,
) -> Result<BTreeMap<String, (String, String)>, TableFault> {
    let mut table = BTreeMap::new();
    for row in file.rows("code,name_zh,name_en,source")? {
        let code = row.code(0, "-")?;
        if !is_sound(&code) {
            return Err(row.fault(&format!("{code:?} has not the shape of its list")));
        }
        row.name(3)?;
        insert(&row, &mut table, code, (row.name(1)?, row.name(2)?))?;
    }
    Ok(table)
}

fn processes_of(file: File<'_>) -> Result<BTreeMap<String, Process>, TableFault> {
    let header = "code,name_zh,name_en,family,balances,roles,yield_low_e8,yield_high_e8,\
                  valid_from,source";
    let mut table = BTreeMap::new();
    for row in file.rows(header)? {
        let code = row.code(0, "")?;
        let roles = row.words(5, PartyRole::from_name)?;
        if roles.is_empty() {
            return Err(row.fault("a process that no role may run"));
        }
        let usual_yield = (row.fraction(6)?, row.fraction(7)?);
        if usual_yield.0 > usual_yield.1 {
            return Err(row.fault("the low yield is above the high one"));
        }
        row.name(9)?;
        let process = Process {
            name_zh: row.name(1)?,
            name_en: row.name(2)?,
            family: row.code(3, "")?,
            balances: row.words(4, Substance::from_name)?,
            roles,
            usual_yield,
            validity: row.validity_from(8)?,
        };
        insert(&row, &mut table, code, process)?;
    }
    Ok(table)
}

fn grades_of(file: File<'_>) -> Result<BTreeMap<String, BTreeMap<String, String>>, TableFault> {
    let mut table: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    for row in file.rows("scheme,code,note,source")? {
        let (scheme, code) = (row.code(0, "/ -.")?, row.code(1, "-.")?);
        row.name(3)?;
        insert(&row, table.entry(scheme).or_default(), code, row.name(2)?)?;
    }
    Ok(table)
}

fn permissions_of(file: File<'_>) -> Result<BTreeMap<String, Vec<Permission>>, TableFault> {
    let mut table: BTreeMap<String, Vec<Permission>> = BTreeMap::new();
    for row in file.rows("action,role,licence,source")? {
        let action = row.field(0);
        if !ACTIONS.contains(&action) {
            return Err(row.fault(&format!("{action:?} is not an action")));
        }
        let role = row.word(1, PartyRole::from_name)?;
        let licence = match row.field(2) {
            "-" => None,
            _ => Some(row.word(2, LicenceKind::from_name)?),
        };
        row.name(3)?;
        let permission = Permission { role, licence };
        let permissions = table.entry(action.to_owned()).or_default();
        if permissions.contains(&permission) {
            return Err(row.fault("the row stands twice"));
        }
        permissions.push(permission);
    }
    match ACTIONS.iter().find(|action| !table.contains_key(**action)) {
        Some(action) => Err(file.fault(&format!("nobody may {action}"))),
        None => Ok(table),
    }
}

fn invoices_of(file: File<'_>) -> Result<BTreeMap<(InvoiceClass, InvoiceClass), bool>, TableFault> {
    let mut table = BTreeMap::new();
    for row in file.rows("bought,sold,match,source")? {
        let bought = row.word(0, InvoiceClass::from_name)?;
        let sold = row.word(1, InvoiceClass::from_name)?;
        row.name(3)?;
        insert(&row, &mut table, (bought, sold), row.yes(2)?)?;
    }
    Ok(table)
}

/// Every kind says whether it counts as recycled content.
fn origins_of(file: File<'_>) -> Result<OriginKinds, TableFault> {
    let mut table = BTreeMap::new();
    for row in file.rows("kind,recycled,source")? {
        let kind = row.word(0, OriginKind::from_name)?;
        row.name(2)?;
        insert(&row, &mut table, kind, row.yes(1)?)?;
    }
    if let Some(kind) = OriginKind::ALL.iter().find(|kind| !table.contains_key(kind)) {
        return Err(file.fault(&format!("origin kind {kind} is missing")));
    }
    let recycled = table.iter().filter(|(_, is_recycled)| **is_recycled);
    Ok(recycled.fold(OriginKinds::default(), |set, (kind, _)| set.union(OriginKinds::of(*kind))))
}

fn oxides_of(file: File<'_>) -> Result<BTreeMap<Substance, u32>, TableFault> {
    let mut table = BTreeMap::new();
    for row in file.rows("substance,oxide,factor_e6,source")? {
        let substance = row.word(0, Substance::from_name)?;
        row.code(1, "")?;
        row.name(3)?;
        let factor = u32::try_from(row.number(2)?).unwrap_or(u32::MAX);
        let is_oxide_of_earth =
            substance.is_rare_earth() && (1_000_001..2_000_000).contains(&factor);
        if !is_oxide_of_earth {
            return Err(
                row.fault("a factor of a rare earth, above 1 and below 2 in 1e-6, is needed")
            );
        }
        insert(&row, &mut table, substance, factor)?;
    }
    let mut earths = Substance::ALL.iter().filter(|substance| substance.is_rare_earth());
    match earths.find(|substance| !table.contains_key(substance)) {
        Some(substance) => Err(file.fault(&format!("the oxide of {substance} is missing"))),
        None => Ok(table),
    }
}

pub(super) fn insert<K: Ord, V>(
    row: &Row<'_>,
    table: &mut BTreeMap<K, V>,
    key: K,
    value: V,
) -> Result<(), TableFault> {
    match table.insert(key, value) {
        Some(_) => Err(row.fault("the row's key stands twice")),
        None => Ok(()),
    }
}

fn overlap(one: Validity, other: Validity) -> bool {
    one.to.is_none_or(|end| other.from < end) && other.to.is_none_or(|end| one.from < end)
}

/// `900-052-31`: three digits, three digits, two digits.
fn is_waste_code(code: &str) -> bool {
    let is_shaped = |(at, byte): (usize, u8)| match at {
        3 | 7 => byte == b'-',
        _ => byte.is_ascii_digit(),
    };
    code.len() == 10 && code.bytes().enumerate().all(is_shaped)
}
