//! The anomaly rules A1 to A17: what each remembers, and when it raises its flag.
//!
//! *Owns:* one file for each rule, its notes, and the limits it asks of the tables. A rule looks at
//! every entry once, in ledger order; what comes with time (stock that ages) is told with the first
//! entry that was recorded after it.
//!
//! *Never:* refuses; forgets a flag because of a later entry; holds a limit of its own: a limit that
//! the table set in force does not name is one that nobody is held against.
//!
//! *See:* `docs/INSIGHT.md` for each rule with its numbers and variants, `tables/parameters.csv`.

mod found;
mod period;

use super::anomaly::Anomaly;
use super::book::{Book, Seen};
use found::Found;

/// What all rules remember.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Rules {
    period: period::Notes,
}

impl Rules {
    /// Holds one entry, which the book has taken over, against every rule.
    pub(super) fn look(&mut self, seen: &Seen<'_>, book: &Book) -> Vec<Anomaly> {
        let mut found = Found::new(seen);
        self.period.look(seen, book, &mut found);
        found.into_anomalies()
    }
}
