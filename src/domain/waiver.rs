//! Rules that a coordinator may waive, and the waivers that stand.

use super::ids::{EntryIndex, EventId};
use super::units::Validity;

/// The reasons of the rules that can be waived. Every other rule holds for everybody.
pub const WAIVABLE: &[&str] = &[CREDIT_CODE, OPENING_STOCK];

/// A credit code that was legally issued and fails its check digit; the subject is the code.
pub const CREDIT_CODE: &str = "CREDIT_CODE_INVALID";

/// In-process stock of a campaign that no campaign before it left; the subject is the campaign's
/// id as text.
pub const OPENING_STOCK: &str = "OPENING_STOCK_MISMATCH";

/// A waiver as it stands. A later one for the same reason and subject takes its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaiverState {
    /// The reason that the waived rule refuses with.
    pub reason_code: String,
    /// What it is waived for.
    pub subject: String,
    /// The event that waives it.
    pub event: EventId,
    /// Its entry.
    pub index: EntryIndex,
    /// When it is in force: from the occurrence of its event on.
    pub validity: Validity,
}
