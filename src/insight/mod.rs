//! What adds up, and what cannot be true?
//!
//! *Owns:* postings (what each entry did to the stock of a party, at a site, in a process), the
//! [`Book`] that they fold into, the anomaly rules, and the reports that are read from the book.
//! All of it is a function of events and facts in ledger order: the same from a node, from a replay
//! and in ten years. What it said at an index, it says of that index for ever.
//!
//! *Never:* refuses anything, reads a clock, a disk or a signature; rounds a mass that is added up;
//! knows who asks.
//!
//! *See:* `docs/INSIGHT.md` for columns and rules; `domain::fact` for what is folded; `node` for
//! who folds.

mod anomaly;
mod book;
mod columns;
mod diary;
mod posting;
mod registry;
pub mod reports;
mod rules;

pub use anomaly::{Anomaly, Number, Rule, Severity, Unit};
pub use book::{AccountId, Book, Offer, Row, Run, Seen};
pub use columns::Column;
pub use diary::{Declared, Diary};
pub use posting::{Account, Code, Posting};
pub use registry::Registry;
