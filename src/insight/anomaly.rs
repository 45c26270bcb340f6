//! What cannot be true, or is hard to believe: flags of the rules A1 to A17.

use crate::domain::{CampaignId, EntryIndex, Hash32, LotId, PartyId, SiteId, TimeMs};

/// A rule of the domain's section on anomalies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// Yield outside its band, or far from the plant's own.
    A1,
    /// A fingerprint that the feed does not have.
    A2,
    /// Dysprosium or terbium recovered better than praseodymium and neodymium.
    A3,
    /// No residue where the process always makes one.
    A4,
    /// More received than was shipped.
    A5,
    /// A capacity exceeded, of a site or of a licence.
    A6,
    /// Metal that goes round in a circle.
    A7,
    /// A burst of unknown or natural-person origin, or a seller over the yearly cap.
    A8,
    /// Stock that ages, a transfer that nobody closes, a manifest that nobody confirms.
    A9,
    /// A vehicle that was faster than it can be.
    A10,
    /// An analysis that drifts after a transfer, or a better grade without a process.
    A11,
    /// Recorded long after it is said to have happened.
    A12,
    /// A period's balance that does not close.
    A13,
    /// Repeated corrections just before a report.
    A14,
    /// A ticket, vehicle or manifest used twice, or weights that are too round.
    A15,
    /// More sold than was produced and there.
    A16,
    /// A covered party that trades with an uncovered one.
    A17,
}

/// How much it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Worth knowing; honest plants have some.
    Low,
    /// Somebody should ask.
    Medium,
    /// Somebody has to ask.
    High,
    /// Hardly to be explained by honest work.
    Severe,
}

/// What a number counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Unit {
    /// Things.
    Count,
    /// Fen, hundredths of a yuan.
    Fen,
    /// Parts of 1e8.
    FractionE8,
    /// Grams.
    Grams,
    /// Metres.
    Metres,
    /// Milliseconds.
    Ms,
    /// Milliseconds since 1970, UTC.
    TimeMs,
}

/// A number that a flag rests on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Number {
    /// What it is: a lower-case word of `docs/INSIGHT.md`, as `recovery` or `band_high`.
    pub name: &'static str,
    /// How much.
    pub value: i128,
    /// Of what.
    pub unit: Unit,
}

/// A flag: it never refuses anything, and it is never silent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Anomaly {
    /// `A5-120-0`: rule, entry that raised it, count among those of that rule and entry.
    pub id: String,
    /// Which rule.
    pub rule: Rule,
    /// How much it matters.
    pub severity: Severity,
    /// The entry with which it could be told.
    pub raised_at: EntryIndex,
    /// When what it is about happened, as the actor said.
    pub occurred_at: TimeMs,
    /// Whom it is about.
    pub party: Option<PartyId>,
    /// Where.
    pub site: Option<SiteId>,
    /// A lot that it is about.
    pub lot: Option<LotId>,
    /// A campaign that it is about.
    pub campaign: Option<CampaignId>,
    /// What it rests on, ascending, each once; at most
    /// [`MAX_EVIDENCE`](crate::limits::MAX_EVIDENCE).
    pub entries: Vec<EntryIndex>,
    /// The numbers, with the limit among them.
    pub numbers: Vec<Number>,
    /// A short word for the variant of the rule, as `unknown_origin` or `seller_cap`.
    pub variant: &'static str,
    /// The table set whose limits it was held against.
    pub tables: Hash32,
    /// The entry that declared something that it rests on an error; it is told all the same.
    pub corrected_at: Option<EntryIndex>,
}

impl Rule {
    /// Every rule, in order.
    pub const ALL: &'static [Self] = &[
        Self::A1,
        Self::A2,
        Self::A3,
        Self::A4,
        Self::A5,
        Self::A6,
        Self::A7,
        Self::A8,
        Self::A9,
        Self::A10,
        Self::A11,
        Self::A12,
        Self::A13,
        Self::A14,
        Self::A15,
        Self::A16,
        Self::A17,
    ];

    /// Its number.
    pub const fn number(self) -> u8 {
        self as u8 + 1
    }

    /// The rule of a number.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.iter().copied().find(|rule| rule.number() == number)
    }
}

impl std::fmt::Display for Rule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "A{}", self.number())
    }
}

impl Severity {
    /// The word, as in the proto.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Low => "LOW",
            Self::Medium => "MEDIUM",
            Self::High => "HIGH",
            Self::Severe => "SEVERE",
        }
    }
}
