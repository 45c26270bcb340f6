//! The built-in tables parse, say what they should, and every rule of the parser refuses its case.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test says what it expects")]
#![allow(clippy::format_collect, reason = "short texts, once")]

use urbanmine::domain::tables::{TableFault, builtin};
use urbanmine::domain::vocabulary::{LicenceKind, PartyRole, Substance};
use urbanmine::domain::{Tables, TimeMs};
use urbanmine::limits::{MAX_CODE_BYTES, MAX_NAME_BYTES, MAX_TABLE_SET_BYTES};

/// A moment: 12:00 in Beijing on a day counted from 1970-01-01.
fn noon(day: u64) -> TimeMs {
    TimeMs::of(day * 86_400_000 + 4 * 3_600_000)
}

/// 2026-03-02.
const IN_2026: u64 = 20_514;

fn tables() -> Tables {
    Tables::parse(builtin()).expect("the built-in set parses")
}

/// The built-in set as its files.
fn files() -> Vec<(String, String)> {
    let mut rest = builtin();
    let mut files = Vec::new();
    while let Some(head) = rest.strip_prefix("== ") {
        let (head, body) = head.split_once('\n').unwrap();
        let (name, length) = head.split_once(' ').unwrap();
        let (content, after) = body.split_at(length.parse().unwrap());
        files.push((name.to_owned(), content.to_owned()));
        rest = after;
    }
    assert!(rest.is_empty());
    files
}

fn join(files: &[(String, String)]) -> String {
    files.iter().map(|(name, text)| format!("== {name} {}\n{text}", text.len())).collect()
}

/// The built-in set with one file changed.
fn with(name: &str, change: impl Fn(&str) -> String) -> Result<Tables, TableFault> {
    let mut files = files();
    let file = files.iter_mut().find(|(known, _)| known == name).expect("a known file");
    let changed = change(&file.1);
    assert_ne!(changed, file.1, "the case changes nothing");
    file.1 = changed;
    Tables::parse(&join(&files))
}

fn refused(name: &str, change: impl Fn(&str) -> String) -> TableFault {
    with(name, change).expect_err("the case is refused")
}

#[test]
fn the_built_in_set_parses_and_is_small() {
    let tables = tables();
    assert_eq!(tables.parameters["CLOCK_SKEW_MS"], 300_000);
    assert!(tables.regions.len() > 2_900);
    assert!(builtin().len() < 160_000, "{} bytes", builtin().len());
    assert_eq!(join(&files()), builtin());
    assert!(!builtin().contains('\r'));
}

#[test]
fn region_codes_hold_on_their_side_of_a_change() {
    // (old, new, first day of the new one)
    let changes = [
        ("360721", "360704", 17_163), // Gan County, 2016-12-28
        ("360727", "360783", 18_443), // Longnan, 2020-06-30
        ("360622", "360603", 17_713), // Yujiang, 2018-07-01
    ];
    let tables = tables();
    for (old, new, day) in changes {
        let change = TimeMs::of(day * 86_400_000 - 8 * 3_600_000);
        let before = TimeMs::of(change.get() - 1);
        assert!(tables.has_region(old, before) && !tables.has_region(new, before), "{old}");
        assert!(!tables.has_region(old, change) && tables.has_region(new, change), "{new}");
    }
    assert!(!tables.has_region("360721", noon(IN_2026)));
    assert!(tables.has_region("360704", noon(IN_2026)));
    assert!(!tables.has_region("369999", noon(IN_2026)));
    // Renamed under the same code: two rows that follow each other.
    assert_eq!(tables.regions["360402"].len(), 2);
}

#[test]
fn every_code_of_the_domain_is_there() {
    let tables = tables();
    for waste in
        ["900-052-31", "321-026-48", "321-027-48", "321-029-48", "900-023-29", "900-045-49"]
    {
        assert!(tables.wastes.contains_key(waste), "{waste}");
    }
    let codes =
        |scheme: &str| -> Vec<&str> { tables.grades[scheme].keys().map(String::as_str).collect() };
    for word in [
        "Barley", "Berry", "Candy", "Birch", "Cliff", "Dream", "Taint", "Tabor", "Zorba", "Twitch",
        "Tense", "Tally", "Rains", "Rink", "Racks", "Ropes", "Rakes", "Rails", "Rono",
    ] {
        assert!(codes("ReMA").contains(&word), "{word}");
    }
    for code in [
        "7404000020",
        "7404000030",
        "7602000020",
        "7403.11",
        "7601.20",
        "7801.10",
        "7802",
        "2805.30",
        "2846",
        "8505.11",
        "8549.11",
        "8549.12",
        "8549.13",
        "8549.14",
    ] {
        assert!(codes("HS").contains(&code), "{code}");
    }
    for number in ["38470", "38471", "38472", "13586", "13587", "13588", "23588"] {
        let prefix = format!("GB/T {number}-");
        assert!(tables.grades.keys().any(|scheme| scheme.starts_with(&prefix)), "{number}");
    }
    let factors = [
        (Substance::Sc, 1_533_823),
        (Substance::Y, 1_269_932),
        (Substance::La, 1_172_769),
        (Substance::Ce, 1_228_368),
        (Substance::Pr, 1_208_161),
        (Substance::Nd, 1_166_377),
        (Substance::Sm, 1_159_607),
        (Substance::Eu, 1_157_922),
        (Substance::Gd, 1_152_614),
        (Substance::Tb, 1_176_172),
        (Substance::Dy, 1_147_683),
        (Substance::Ho, 1_145_507),
        (Substance::Er, 1_143_481),
        (Substance::Tm, 1_142_058),
        (Substance::Yb, 1_138_684),
        (Substance::Lu, 1_137_160),
    ];
    assert_eq!(tables.oxide_factors_e6, factors.into_iter().collect());
}

#[test]
fn every_traced_metal_has_a_material_and_every_stage_a_row() {
    let tables = tables();
    let families: std::collections::BTreeSet<&str> =
        tables.materials.values().map(|material| material.family.as_str()).collect();
    for family in [
        "COPPER",
        "ALUMINIUM",
        "LEAD",
        "ZINC",
        "NICKEL",
        "TIN",
        "ANTIMONY",
        "MERCURY",
        "MAGNESIUM",
        "TITANIUM",
        "TUNGSTEN",
        "MOLYBDENUM",
        "LITHIUM",
        "GOLD",
        "ZIRCONIUM",
        "INDIUM",
        "GERMANIUM",
        "GALLIUM",
        "COBALT",
        "ARSENIC",
        "CADMIUM",
        "CHROMIUM",
        "RARE_EARTH",
    ] {
        assert!(families.contains(family), "{family}");
    }
    let at = noon(IN_2026);
    let battery = tables.material("PB_BATTERY", at).expect("batteries");
    assert_eq!(battery.waste_code, "900-052-31");
    assert!(tables.material("RE_ORE_ION", at).expect("ore").is_ore_product);
    assert!(tables.material("RE_ORE_CHLORIDE", at).expect("ore chloride").is_ore_product);
    assert!(!tables.material("RE_NDFEB_SLUDGE", at).expect("sludge").is_ore_product);
    assert!(tables.material("CU_SCRAP_CABLE", at).expect("cable").is_productive_scrap);
    assert!(tables.material("CU_CATHODE", TimeMs::of(0)).is_none(), "before the row is in force");
    let refining = tables.process("CU_ELECTROREFINING", at).expect("electrorefining");
    assert_eq!(refining.balances, [Substance::Cu]);
    assert_eq!(refining.roles, [PartyRole::Smelter]);
    for earth in [Substance::Y, Substance::Pr, Substance::Nd, Substance::Tb, Substance::Yb] {
        assert!(tables.process("RE_LEACH", at).expect("leach").balances.contains(&earth));
    }
}

#[test]
fn permissions_keep_ore_with_its_licence() {
    let tables = tables();
    let ore = &tables.permissions["COLLECT_ORE"];
    assert_eq!(ore.len(), 1);
    assert_eq!(ore[0].role, PartyRole::RareEarthSeparationPlant);
    assert_eq!(ore[0].licence, Some(LicenceKind::RareEarthSeparation));
    let holders: Vec<PartyRole> =
        tables.permissions["HOLD_LOT"].iter().map(|permission| permission.role).collect();
    assert_eq!(holders, [PartyRole::Auditor, PartyRole::Coordinator, PartyRole::Regulator]);
    assert_eq!(tables.permissions.len(), 22);
}

#[test]
fn framing_is_strict() {
    let set = builtin();
    let cases: [(&str, String, &str); 8] = [
        ("empty", String::new(), "missing"),
        ("something after the end", format!("{set}x"), "follow the last file"),
        ("cut short", set[..set.len() - 2].to_owned(), "length"),
        ("an unknown file", set.replacen("== forms.csv", "== shapes.csv", 1), "not a file"),
        ("a leading zero", set.replacen("== forms.csv ", "== forms.csv 0", 1), "length"),
        ("a carriage return", set.replacen('\n', "\r\n", 1), "length"),
        ("too large", " ".repeat(MAX_TABLE_SET_BYTES + 1), "at most"),
        ("no length", set.replacen("== forms.csv ", "== forms.csv", 1), "a head"),
    ];
    for (what, text, rule) in cases {
        let fault = Tables::parse(&text).expect_err(what);
        assert!(fault.rule.contains(rule), "{what}: {fault}");
    }
    let mut missing = files();
    missing.retain(|(name, _)| name != "invoices.csv");
    let fault = Tables::parse(&join(&missing)).expect_err("a missing file");
    assert_eq!((fault.file.as_str(), fault.line), ("invoices.csv", 1));
    let mut swapped = files();
    swapped.swap(0, 1);
    assert!(Tables::parse(&join(&swapped)).is_err(), "files out of order");
    let mut twice = files();
    twice.insert(1, twice[0].clone());
    assert!(Tables::parse(&join(&twice)).is_err(), "a file twice");
}

#[test]
fn a_set_may_do_without_the_tables_of_what_is_usual() {
    let optional = ["chains.csv", "fingerprints.csv", "prices.csv", "residues.csv"];
    for left_out in optional {
        let mut some = files();
        some.retain(|(name, _)| name != left_out);
        let tables = Tables::parse(&join(&some)).expect(left_out);
        let sizes = [
            tables.chains.len(),
            tables.fingerprints.len(),
            tables.prices_cny_t.len(),
            tables.residues.len(),
        ];
        for (name, size) in optional.into_iter().zip(sizes) {
            assert_eq!(size == 0, name == left_out, "{name} without {left_out}");
        }
    }
    let mut none = files();
    none.retain(|(name, _)| !optional.contains(&name.as_str()));
    assert_eq!(none.len(), 11, "as sets were before these were thought of");
    assert!(Tables::parse(&join(&none)).is_ok());
}

#[test]
fn the_tables_of_what_is_usual_are_strict() {
    let cases = [
        ("chains.csv", "PB_BATTERY,LEAD", "PB_BATTERIES,LEAD", "not in materials.csv"),
        ("chains.csv", "PB_BATTERY,LEAD", "PB_BATTERY,PLUMB", "family"),
        ("chains.csv", ",PB,50000000,68000000,", ",PB,68000001,68000000,", "above the high one"),
        ("chains.csv", ",PB,", ",XX,", "not a word"),
        ("fingerprints.csv", "RE_ROASTED,DY", "RE_BURNT,DY", "not in materials.csv"),
        ("fingerprints.csv", "RE_ROASTED,DY", "RE_ROASTED,ND", "not a word"),
        ("fingerprints.csv", "RE_ROASTED,DY", "RE_ROASTED,GD", "twice"),
        ("prices.csv", "CU_SCRAP_NO2,64000", "CU_SCRAP_NO3,64000", "not in materials.csv"),
        ("prices.csv", "CU_SCRAP_NO2,64000", "CU_SCRAP_NO2,10000000001", "at most"),
        ("prices.csv", "CU_SCRAP_NO2,64000", "CU_SCRAP_NO1,64000", "twice"),
        ("residues.csv", "CU_FIRE_REFINE,CU_SCRAP_NO2", "CU_REFINE,CU_SCRAP_NO2", "processes.csv"),
        ("residues.csv", "CU_FIRE_REFINE,CU_SCRAP_NO2", "CU_FIRE_REFINE,CU_NO2", "materials.csv"),
        ("residues.csv", ",CU_SLAG,500000,", ",,500000,", "at least one"),
        ("residues.csv", ",CU_SLAG,500000,", ",CU_SLAGS,500000,", "materials.csv"),
    ];
    for (file, from, to, rule) in cases {
        let fault = refused(file, |text| text.replacen(from, to, 1));
        assert!(fault.rule.contains(rule), "{from} -> {to}: {fault}");
        assert_eq!(fault.file, file, "{fault}");
    }
    let twice = refused("chains.csv", |text| {
        let row = text.lines().nth(1).unwrap_or_default();
        format!("{text}{row}\n")
    });
    assert!(twice.rule.contains("twice"), "{twice}");
}

#[test]
fn a_length_inside_a_character_is_refused() {
    let text = "== forms.csv 1\n铜\n";
    assert!(Tables::parse(text).expect_err("half a character").rule.contains("length"));
}

#[test]
fn lines_are_strict() {
    let row = "BALE,打包块,Bale,[B]";
    let cases = [
        ("header", "code,name_zh,name_en,source", "code,name_en,name_zh,source", 1, "header"),
        ("a field too few", row, "BALE,打包块,Bale", 3, "4 fields"),
        ("a field too many", row, "BALE,打包块,Bale,[B],x", 3, "4 fields"),
        ("a quote", row, "BALE,打包块,\"Bale\",[B]", 3, "quotes"),
        ("a tab", row, "BALE,打包块,Ba\tle,[B]", 3, "control"),
        ("a carriage return", row, "BALE,打包块,Bale,[B]\r", 3, "control"),
        ("a blank at the edge", row, "BALE,打包块, Bale,[B]", 3, "blank"),
        ("an empty line", row, "", 3, "4 fields"),
        ("no source", row, "BALE,打包块,Bale,", 3, "text of 1"),
        ("no name", row, "BALE,,Bale,[B]", 3, "text of 1"),
        ("an empty code", row, ",打包块,Bale,[B]", 3, "not a code"),
        ("a stranger in a code", row, "BA LE,打包块,Bale,[B]", 3, "not a code"),
        ("a duplicate", row, "ANODE_PLATE,打包块,Bale,[B]", 3, "twice"),
    ];
    for (what, from, to, line, rule) in cases {
        let fault = refused("forms.csv", |text| text.replacen(from, to, 1));
        assert_eq!((fault.file.as_str(), fault.line), ("forms.csv", line), "{what}: {fault}");
        assert!(fault.rule.contains(rule), "{what}: {fault}");
    }
    let fault = refused("forms.csv", |text| text.trim_end().to_owned());
    assert!(fault.rule.contains("line feed"), "{fault}");
    let fault = refused("forms.csv", |_| "code,name_zh,name_en,source\n".to_owned());
    assert!(fault.rule.contains("no row"), "{fault}");
    let long_code = "A".repeat(MAX_CODE_BYTES + 1);
    let fault = refused("forms.csv", |text| text.replacen("BALE", &long_code, 1));
    assert!(fault.rule.contains("not a code"), "{fault}");
    let long_name = "n".repeat(MAX_NAME_BYTES + 1);
    let fault = refused("forms.csv", |text| text.replacen(",Bale,", &format!(",{long_name},"), 1));
    assert!(fault.rule.contains("text of 1"), "{fault}");
}

#[test]
fn numbers_words_and_lists_are_strict() {
    let cases = [
        ("parameters.csv", ",300000,", ",+300000,", "whole number"),
        ("parameters.csv", ",300000,", ",0300000,", "whole number"),
        ("parameters.csv", ",300000,", ",,", "whole number"),
        ("parameters.csv", ",300000,", ",99999999999999999999,", "whole number"),
        ("parameters.csv", "CLOCK_SKEW_MS", "CLOCK_SKEW", "CLOCK_SKEW_MS is missing"),
        ("parameters.csv", "STOCKTAKE_TOLERANCE_E8", "STOCKTAKE", "TOLERANCE_E8 is missing"),
        ("invoices.csv", "NONE,NONE,yes", "NONE,NONE,perhaps", "yes nor no"),
        ("invoices.csv", "NONE,NONE,yes", "NIL,NONE,yes", "not a word"),
        ("invoices.csv", "NONE,NONE,yes", "NONE,REVERSE,yes", "twice"),
        ("materials.csv", ",no,no,1000000,", ",no,maybe,1000000,", "yes nor no"),
        ("materials.csv", ",no,no,1000000,", ",no,no,100000001,", "more than 100 %"),
        ("materials.csv", "321-026-48", "321-026-49", "wastes.csv"),
        ("materials.csv", "CU_SCRAP_NO1,一", "PB_PASTE,一", "twice"),
        ("processes.csv", ",CU,", ",CU;XX,", "not a word"),
        ("processes.csv", ",CU,", ",CU;CU,", "stands twice"),
        ("processes.csv", ",CU,", ",CU;,", "not a word"),
        ("processes.csv", ",SMELTER,", ",SMITH,", "not a word"),
        ("processes.csv", ",SMELTER,", ",,", "no role"),
        ("processes.csv", ",SMELTER,40000000,", ",SMELTER,90000000,", "low yield"),
        ("wastes.csv", "321-026-48", "321-026-4", "shape"),
        ("wastes.csv", "321-026-48", "3210-26-48", "shape"),
        ("grades.csv", "ReMA,Berry", "ReMA,Barley", "twice"),
        ("permissions.csv", "COLLECT_ORE", "COLLECT_GOLD", "not an action"),
        ("permissions.csv", "HOLD_LOT,AUDITOR", "HOLD_LOT,COORDINATOR", "twice"),
        ("permissions.csv", "ACCEPT_TRANSFER,CARRIER,-", "ACCEPT_TRANSFER,CARRIER,", "word"),
        ("origins.csv", "ORE,no", "ORES,no", "word"),
        ("origins.csv", "ORE,no", "UNKNOWN,no", "twice"),
        ("origins.csv", "ORE,no", "ORE,never", "yes nor no"),
        ("origins.csv", "ORE,no,[B]\n", "", "ORE is missing"),
        ("oxides.csv", "SC,", "CU,", "rare earth"),
        ("oxides.csv", "SC,", "Y,", "twice"),
        ("oxides.csv", "1533823", "999999", "above 1"),
    ];
    for (file, from, to, rule) in cases {
        let fault = refused(file, |text| text.replacen(from, to, 1));
        assert!(fault.rule.contains(rule), "{from} -> {to}: {fault}");
        assert_eq!(fault.file, file, "{fault}");
    }
    let fault = refused("permissions.csv", |text| {
        text.lines()
            .filter(|line| !line.starts_with("COLLECT_ORE"))
            .map(|it| format!("{it}\n"))
            .collect()
    });
    assert!(fault.rule.contains("nobody may COLLECT_ORE"), "{fault}");
    let fault = refused("oxides.csv", |text| {
        text.lines().filter(|line| !line.starts_with("LU,")).map(|it| format!("{it}\n")).collect()
    });
    assert!(fault.rule.contains("oxide of LU is missing"), "{fault}");
}

#[test]
fn dates_and_regions_are_strict() {
    let row = "110101,东城区,2016-01-01,,v2023";
    let cases = [
        ("110101,东城区,2016-02-30,,v2023", "not a date"),
        ("110101,东城区,2015-02-29,,v2023", "not a date"),
        ("110101,东城区,2016-13-01,,v2023", "not a date"),
        ("110101,东城区,2016-00-01,,v2023", "not a date"),
        ("110101,东城区,2016-1-01,,v2023", "not a date"),
        ("110101,东城区,1970-01-01,,v2023", "not a date"),
        ("110101,东城区,二〇一六年一,,v2023", "not a date"),
        ("110101,东城区,2016-01-01,2016-01-01,v2023", "before it begins"),
        ("11010a,东城区,2016-01-01,,v2023", "six digits"),
        ("1101,东城区,2016-01-01,,v2023", "six digits"),
        ("110102,东城区,2016-01-01,,v2023", "in force at once"),
    ];
    for (to, rule) in cases {
        let fault = refused("regions.csv", |text| text.replacen(row, to, 1));
        assert!(fault.rule.contains(rule), "{to}: {fault}");
    }
    let leap = with("regions.csv", |text| {
        text.replacen("110101,东城区,2016-01-01", "110101,东城区,2016-02-29", 1)
    })
    .expect("a leap day is a date");
    let first = leap.regions["110101"][0].0.from;
    assert_eq!(first, TimeMs::of(16_860 * 86_400_000 - 8 * 3_600_000), "2016-02-29 in Beijing");
}

#[test]
fn a_merge_group_never_mixes_waste_or_ore() {
    let group = "PB_GRID,铅栅,Lead grids and poles,LEAD,PB_GRID,";
    let fault = refused("materials.csv", |text| {
        text.replacen(group, "PB_GRID,铅栅,Lead grids and poles,LEAD,PB_SCRAP,", 1)
    });
    assert!(fault.rule.contains("merge group PB_SCRAP"), "{fault}");
}

#[test]
fn invoice_classes_match_as_the_domain_says() {
    use urbanmine::domain::vocabulary::InvoiceClass as C;
    let tables = tables();
    let says = |bought, sold| tables.invoices.get(&(bought, sold)).copied();
    assert_eq!(says(C::Reverse, C::VatSpecial), Some(true));
    assert_eq!(says(C::None, C::VatSpecial), Some(false), "bought on nothing, sold on a special");
    assert_eq!(says(C::VatOrdinary, C::VatSpecial), None, "told, not refused");
    for bought in C::ALL {
        assert_eq!(says(*bought, C::Reverse), Some(false), "who writes it buys of a person");
    }
}
