//! What the rules let pass and tell: an event with a flag is recorded, and people look at it.

use super::units::Grams;
use super::vocabulary::{InvoiceClass, Substance};

/// A remark of the rules on an event that they let pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Flag {
    /// R9: no row of the table says whether the class it was bought on and the class it is sold on
    /// match.
    #[error("bought on {0}, sold on {1}: the table says nothing of this pair")]
    InvoiceClassUnmatched(InvoiceClass, InvoiceClass),
    /// A13: the balance of a period does not close within the limit.
    #[error("{0}")]
    PeriodVariance(Variance),
}

/// What went in and what is accounted for, where they are too far apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{into} of {substance} went in, {out} are accounted for; the limit is {limit_e8} in 1e8")]
pub struct Variance {
    /// Of what.
    pub substance: Substance,
    /// Opening stock, inputs and additions.
    pub into: Grams,
    /// Outputs, residues and closing stock.
    pub out: Grams,
    /// The part of `into` that the two may be apart, in 1e-8.
    pub limit_e8: u32,
}

impl Flag {
    /// The rule that remarks, as the domain names it.
    pub const fn rule(self) -> &'static str {
        match self {
            Self::InvoiceClassUnmatched(..) => "R9",
            Self::PeriodVariance(_) => "A13",
        }
    }
}
