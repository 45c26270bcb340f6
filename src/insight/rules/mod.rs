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

mod a05_arrival;
mod a07_circle;
mod a09_age;
mod a10_road;
mod a11_assay;
mod a12_late;
mod a14_corrections;
mod a15_round;
mod a15_twice;
mod a17_cover;
mod calendar;
mod found;
mod handover;
mod period;

use super::anomaly::Anomaly;
use super::book::{Book, Seen};
use found::Found;

/// What all rules remember.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Rules {
    a05_arrival: a05_arrival::Notes,
    a07_circle: a07_circle::Notes,
    a09_age: a09_age::Notes,
    a10_road: a10_road::Notes,
    a11_assay: a11_assay::Notes,
    a12_late: a12_late::Notes,
    a14_corrections: a14_corrections::Notes,
    a15_round: a15_round::Notes,
    a15_twice: a15_twice::Notes,
    a17_cover: a17_cover::Notes,
    period: period::Notes,
}

impl Rules {
    /// Holds one entry, which the book has taken over, against every rule.
    pub(super) fn look(&mut self, seen: &Seen<'_>, book: &Book) -> Vec<Anomaly> {
        let mut found = Found::new(seen);
        self.a05_arrival.look(seen, book, &mut found);
        self.a07_circle.look(seen, book, &mut found);
        self.a09_age.look(seen, book, &mut found);
        self.a10_road.look(seen, book, &mut found);
        self.a11_assay.look(seen, book, &mut found);
        self.a12_late.look(seen, book, &mut found);
        self.a14_corrections.look(seen, book, &mut found);
        self.a15_round.look(seen, book, &mut found);
        self.a15_twice.look(seen, book, &mut found);
        self.a17_cover.look(seen, book, &mut found);
        self.period.look(seen, book, &mut found);
        found.into_anomalies()
    }
}
