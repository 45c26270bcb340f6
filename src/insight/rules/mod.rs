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

mod a01_yield;
mod a02_fingerprint;
mod a03_heavy;
mod a04_residue;
mod a06_capacity;
mod a08_origin;
mod a16_sales;
mod found;
mod period;
mod yields;

use super::anomaly::Anomaly;
use super::book::{Book, Seen};
use found::Found;

/// What all rules remember.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Rules {
    a01_yield: a01_yield::Notes,
    a02_fingerprint: a02_fingerprint::Notes,
    a03_heavy: a03_heavy::Notes,
    a04_residue: a04_residue::Notes,
    a06_capacity: a06_capacity::Notes,
    a08_origin: a08_origin::Notes,
    a16_sales: a16_sales::Notes,
    period: period::Notes,
}

impl Rules {
    /// Holds one entry, which the book has taken over, against every rule.
    pub(super) fn look(&mut self, seen: &Seen<'_>, book: &Book) -> Vec<Anomaly> {
        let mut found = Found::new(seen);
        self.a01_yield.look(seen, book, &mut found);
        self.a02_fingerprint.look(seen, book, &mut found);
        self.a03_heavy.look(seen, book, &mut found);
        self.a04_residue.look(seen, book, &mut found);
        self.a06_capacity.look(seen, book, &mut found);
        self.a08_origin.look(seen, &mut found);
        self.a16_sales.look(seen, book, &mut found);
        self.period.look(seen, book, &mut found);
        found.into_anomalies()
    }
}
