//! Reports: what coordinators, auditors and enterprises ask of the book.
//!
//! *Owns:* the one shape of a report ([`Table`]), the figures that its numbers rest on
//! ([`Figure`]), and a file for each report. A report is a function of the book, of a size of the
//! ledger and of a moment: the same for ever, whoever computes it, from a book that has grown since
//! as from one that has not.
//!
//! *Never:* reads a clock, rounds what is added up, guesses what is not known, knows who asks.
//! Shares and oxides are rounded once, half to even, beside the grams that they come from.
//!
//! *See:* `docs/REPORTS.md` for every report with its columns, for figures as text, and for the
//! forms in which a report leaves the house.

mod anomalies;
mod balance;
mod corrections;
mod coverage;
mod day;
mod figure;
mod flow;
mod inventory;
mod label;
mod licences;
mod matrix;
mod output;
mod passport;
mod render;
mod table;
mod words;

pub use anomalies::{AnomalyQuery, anomalies};
pub use balance::{BalanceBy, BalanceQuery, balance};
pub use corrections::{CorrectionsQuery, corrections};
pub use coverage::{CoverageQuery, coverage, coverage_counts};
pub use day::{Day, time_text};
pub use figure::{Figure, FigureFault, Filter, Place, Signs, entries_behind};
pub use flow::{FlowBy, FlowQuery, monthly_flow};
pub use inventory::{StockQuery, inventory, open_campaigns, open_transfers};
pub use label::{OriginLot, StatementQuery, label_statement};
pub use licences::{LicenceQuery, licences};
pub use matrix::{Codes, Level, MatrixQuery, Moves, flow_matrix};
pub use output::{NATIONAL, NationalFigure, OutputQuery, national_figures, output};
pub use passport::{PassportQuery, lot_passport};
pub use render::{csv, fraction_text, grams_text, tonnes_text, value_text};
pub use table::{
    AsOf, Cell, ColumnHead, ColumnUnit, Language, ReportKind, Table, Text, Value, measure_name,
};

use crate::domain::Tables;
use crate::domain::composition::div_half_even;
use crate::domain::vocabulary::Substance;
use crate::limits::WHOLE_E8;

/// `part / whole` in parts of 1e8, half to even; `None` of nothing.
fn share_e8(part: i128, whole: i128) -> Option<i128> {
    if whole <= 0 {
        return None;
    }
    let scaled = part.unsigned_abs().checked_mul(u128::from(WHOLE_E8))?;
    let share = i128::try_from(div_half_even(scaled, whole.unsigned_abs())).ok()?;
    Some(if part < 0 { -share } else { share })
}

/// Grams of oxide of as many grams of the element, half to even; `None` without a factor.
fn oxide_of(tables: &Tables, substance: Substance, grams: i128) -> Option<i128> {
    let factor = tables.oxide_factors_e6.get(&substance)?;
    let scaled = grams.unsigned_abs().checked_mul(u128::from(*factor))?;
    let oxide = i128::try_from(div_half_even(scaled, 1_000_000)).ok()?;
    Some(if grams < 0 { -oxide } else { oxide })
}
