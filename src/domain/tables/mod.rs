//! The tables that judge: code lists, thresholds and factors, versioned and published into the
//! ledger.
//!
//! *Owns:* the typed form of a table set, its strict parser, and the set that this build carries.
//!
//! *Never:* says what a table is for (that is `apply`'s), or lets a half-understood set through:
//! what does not parse is never published.
//!
//! *See:* `docs/TABLES.md` for the text form and every file, `tables/*.csv` for the built-in set.

mod builtin;
mod lines;
mod parse;
mod usual;

use std::collections::BTreeMap;

pub use builtin::builtin;

use super::units::{FractionE8, TimeMs, Validity};
use super::vocabulary::{InvoiceClass, LicenceKind, OriginKinds, PartyRole, Substance};

/// A parsed table set.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tables {
    /// Numbers by name (`parameters.csv`).
    pub parameters: BTreeMap<String, u64>,
    /// GB/T 2260 codes: when each was in force, and its name (`regions.csv`).
    pub regions: BTreeMap<String, Vec<(Validity, String)>>,
    /// Material classes by code (`materials.csv`).
    pub materials: BTreeMap<String, Material>,
    /// Forms by code, with zh and en names (`forms.csv`).
    pub forms: BTreeMap<String, (String, String)>,
    /// Processes by code (`processes.csv`).
    pub processes: BTreeMap<String, Process>,
    /// Hazardous-waste codes, with zh and en names (`wastes.csv`).
    pub wastes: BTreeMap<String, (String, String)>,
    /// Grades by scheme and code, with our own short note (`grades.csv`).
    pub grades: BTreeMap<String, BTreeMap<String, String>>,
    /// Who may do what (`permissions.csv`), by action.
    pub permissions: BTreeMap<String, Vec<Permission>>,
    /// Whether a lot bought on the first class may be sold on the second (`invoices.csv`).
    pub invoices: BTreeMap<(InvoiceClass, InvoiceClass), bool>,
    /// Origin kinds that count as recycled content (`origins.csv`).
    pub recycled: OriginKinds,
    /// Oxide factors in 1e-6 (`oxides.csv`): grams of oxide per gram of element.
    pub oxide_factors_e6: BTreeMap<Substance, u32>,
    /// What of a metal comes out of a feed (`chains.csv`), in the order of the table; empty in a
    /// set without it.
    pub chains: Vec<Chain>,
    /// Magnet feed by material class, and what its oxide is made of where the class has bands of
    /// its own (`fingerprints.csv`); empty in a set without it.
    pub fingerprints: BTreeMap<String, BTreeMap<OxideGroup, (FractionE8, FractionE8)>>,
    /// Reference prices by material class, in yuan a tonne (`prices.csv`): for estimates; empty in
    /// a set without it.
    pub prices_cny_t: BTreeMap<String, u64>,
    /// What a process always leaves (`residues.csv`), in the order of the table; empty in a set
    /// without it.
    pub residues: Vec<ResidueRow>,
}

/// What of a metal comes out of a feed, all steps together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    /// The feed.
    pub feed: String,
    /// Family of what is made of it.
    pub family: String,
    /// Which metal.
    pub substance: Substance,
    /// Grams of the metal for each gram of feed, low and high.
    pub share: (FractionE8, FractionE8),
}

/// What a process always leaves of a feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResidueRow {
    /// Which process.
    pub process: String,
    /// The feed; `None`: whatever goes in.
    pub feed: Option<String>,
    /// Material classes that count as what is left, any of them.
    pub residues: Vec<String>,
    /// How much of them there is at least, for each gram of feed.
    pub least: FractionE8,
}

/// Oxides that are looked at together in a fingerprint of magnet feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OxideGroup {
    /// Dysprosium.
    Dy,
    /// Yttrium, samarium, europium, erbium, ytterbium: there are none in magnets to speak of.
    Foreign,
    /// Gadolinium.
    Gd,
    /// Praseodymium and neodymium.
    PrNd,
    /// Terbium.
    Tb,
}

impl OxideGroup {
    /// Every group.
    pub const ALL: &'static [Self] = &[Self::Dy, Self::Foreign, Self::Gd, Self::PrNd, Self::Tb];

    /// The elements whose oxides they are.
    pub const fn substances(self) -> &'static [Substance] {
        match self {
            Self::Dy => &[Substance::Dy],
            Self::Foreign => {
                &[Substance::Y, Substance::Sm, Substance::Eu, Substance::Er, Substance::Yb]
            }
            Self::Gd => &[Substance::Gd],
            Self::PrNd => &[Substance::Pr, Substance::Nd],
            Self::Tb => &[Substance::Tb],
        }
    }

    /// The word, as in the table.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Dy => "DY",
            Self::Foreign => "FOREIGN",
            Self::Gd => "GD",
            Self::PrNd => "PRND",
            Self::Tb => "TB",
        }
    }

    /// The group of a word.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|group| group.name() == name)
    }
}

/// A material class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Material {
    /// Name in Chinese.
    pub name_zh: String,
    /// Name in English.
    pub name_en: String,
    /// `COPPER`, `ALUMINIUM`, `LEAD`, `RARE_EARTH`, or another family of the table.
    pub family: String,
    /// Lots of one group may be merged.
    pub merge_group: String,
    /// Hazardous-waste code; empty when it is none.
    pub waste_code: String,
    /// Ore, concentrate, or a product of them.
    pub is_ore_product: bool,
    /// Productive scrap metal: a seller's certificate is needed.
    pub is_productive_scrap: bool,
    /// How much may be missing after a transfer before both parties have to settle.
    pub transfer_tolerance: FractionE8,
    /// When the row is in force.
    pub validity: Validity,
}

/// A process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Name in Chinese.
    pub name_zh: String,
    /// Name in English.
    pub name_en: String,
    /// Family of its main metal.
    pub family: String,
    /// Substances that every input, addition and output has to be assayed for.
    pub balances: Vec<Substance>,
    /// Roles that may run it.
    pub roles: Vec<PartyRole>,
    /// Usual recovery of the balanced metal, low and high: for flags, never for refusals.
    pub usual_yield: (FractionE8, FractionE8),
    /// When the row is in force.
    pub validity: Validity,
}

/// One way to be allowed an action: a role, and a licence if one is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Permission {
    /// The role.
    pub role: PartyRole,
    /// The licence, if one is needed.
    pub licence: Option<LicenceKind>,
}

/// Why a text is not a table set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}, line {line}: {rule}")]
pub struct TableFault {
    /// Which file of the set.
    pub file: String,
    /// Line in it, from 1.
    pub line: usize,
    /// What it breaks.
    pub rule: String,
}

impl Tables {
    /// Our note on a grade; `None` for a code that the scheme does not have.
    pub fn grade(&self, scheme: &str, code: &str) -> Option<&str> {
        self.grades.get(scheme)?.get(code).map(String::as_str)
    }

    /// Parses a whole table set.
    ///
    /// A set that parses has every file that is needed, every row of its types, no duplicates and
    /// no dangling references.
    pub fn parse(set: &str) -> Result<Self, TableFault> {
        parse::parse(set)
    }

    /// The origin kinds that a text counts as recycled, without the rest of it.
    pub fn parse_recycled(set: &str) -> Result<OriginKinds, TableFault> {
        parse::parse_recycled(set)
    }

    /// A row of the material table in force at a time.
    pub fn material(&self, code: &str, at: TimeMs) -> Option<&Material> {
        self.materials.get(code).filter(|row| row.validity.contains(at))
    }

    /// A row of the process table in force at a time.
    pub fn process(&self, code: &str, at: TimeMs) -> Option<&Process> {
        self.processes.get(code).filter(|row| row.validity.contains(at))
    }

    /// Whether a region code is in force at a time.
    pub fn has_region(&self, code: &str, at: TimeMs) -> bool {
        let rows = self.regions.get(code);
        rows.is_some_and(|rows| rows.iter().any(|(validity, _)| validity.contains(at)))
    }
}
