//! The anomaly rules A1 to A17: what each remembers, and when it raises its flag.
//!
//! *Owns:* one file for each rule, its notes, and the limits it asks of the tables. A rule looks at
//! every entry once, in ledger order; what comes with time (stock that ages) is told with the first
//! entry that was recorded after it.
//!
//! *Never:* refuses; forgets a flag because of a later entry; holds a limit of its own: a limit
//! that the table set in force does not name is one that nobody is held against.
//!
//! *See:* `docs/INSIGHT.md` for each rule with its numbers and variants, `tables/parameters.csv`.

mod a01_yield;
mod a02_fingerprint;
mod a03_heavy;
mod a04_residue;
mod a05_arrival;
mod a06_capacity;
mod a07_circle;
mod a08_origin;
mod a09_age;
mod a10_road;
mod a11_assay;
mod a12_late;
mod a13_period;
mod a14_corrections;
mod a15_round;
mod a15_twice;
mod a16_sales;
mod a17_cover;
mod calendar;
mod found;
mod handover;
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
    a05_arrival: a05_arrival::Notes,
    a06_capacity: a06_capacity::Notes,
    a07_circle: a07_circle::Notes,
    a08_origin: a08_origin::Notes,
    a09_age: a09_age::Notes,
    a10_road: a10_road::Notes,
    a11_assay: a11_assay::Notes,
    a12_late: a12_late::Notes,
    a14_corrections: a14_corrections::Notes,
    a15_round: a15_round::Notes,
    a15_twice: a15_twice::Notes,
    a16_sales: a16_sales::Notes,
    a17_cover: a17_cover::Notes,
}

impl Rules {
    /// Holds one entry, which the book has taken over, against every rule.
    pub(super) fn look(&mut self, seen: &Seen<'_>, book: &Book) -> Vec<Anomaly> {
        let mut found = Found::new(seen);
        self.a01_yield.look(seen, book, &mut found);
        self.a02_fingerprint.look(seen, book, &mut found);
        self.a03_heavy.look(seen, book, &mut found);
        self.a04_residue.look(seen, book, &mut found);
        self.a05_arrival.look(seen, book, &mut found);
        self.a06_capacity.look(seen, book, &mut found);
        self.a07_circle.look(seen, book, &mut found);
        self.a08_origin.look(seen, &mut found);
        self.a09_age.look(seen, book, &mut found);
        self.a10_road.look(seen, book, &mut found);
        self.a11_assay.look(seen, book, &mut found);
        self.a12_late.look(seen, book, &mut found);
        a13_period::look(seen, book, &mut found);
        self.a14_corrections.look(seen, book, &mut found);
        self.a15_round.look(seen, book, &mut found);
        self.a15_twice.look(seen, book, &mut found);
        self.a16_sales.look(seen, book, &mut found);
        self.a17_cover.look(seen, book, &mut found);
        found.into_anomalies()
    }
}
