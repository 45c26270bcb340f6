//! How a stranger checks us.
//!
//! *Owns:* the judge. It takes entries and checkpoints from anywhere, recomputes chain and tree
//! with code of its own, checks every signature strictly, and replays every event by the rules it
//! was recorded under.
//!
//! *Never:* opens a file, asks a clock, stops at an error: what it finds is data. It never calls
//! what seals entries, keeps the writer's tree or builds proofs, and it sees neither `store` nor
//! `node` nor `api`.
//!
//! *See:* `docs/FORMAT.md`; `ledger` for the shapes that judge and writer share, `domain::apply`
//! for the rules that they share.
//!
//! # What is checked, in this order
//!
//! Of each entry: it parses; its index follows; it repeats the chain value before it; its time does
//! not step back; its batch is whole (and inside one group, where groups are known); rules and
//! tables are those in force; its payload is canonical and of its kind; every signature holds
//! strictly under a key that was registered by then; the rules let the event in; its lot links are
//! those that follow from the events, and so is every root that the ledger states of its lots. Of
//! each checkpoint: the ledger's key signed it, and its root is that of the entries.
//!
//! After the first entry whose effects are not known (it does not parse, does not follow, is not
//! signed, breaks a rule) the state is not known either. From there on only what needs no state is
//! checked, which the report says: index, chain, time, batch, form, signatures under known keys,
//! tree and checkpoints. The ledger's own keys are followed all the same: they rest on each other,
//! not on the state.
//!
//! # What it cannot tell
//!
//! Whether what a party signed is true, and whether another auditor was shown another ledger:
//! compare checkpoints for that, or demand the cosignatures of witnesses ([`judge_cosignatures`]).
//!
//! # Memory
//!
//! One entry at a time, 64 hashes of the tree, at most [`crate::limits::MAX_FINDINGS`] findings,
//! and the replayed state ([`crate::domain::memory::MemoryState`]), which grows with parties, lots
//! and events; some 200 bytes of it for each lot are the map that the ledger's statements are held
//! against.

mod bundle;
mod checkpoints;
mod cosignatures;
mod evidence;
mod explain;
mod history;
mod keys;
mod lot_map;
mod lot_state;
mod prepare;
mod receipt;
mod replay;
mod report;
mod retold;
mod roots;
mod sequence;
mod verifier;

pub use bundle::{BundleReport, verify_bundle};
pub use cosignatures::{CosignaturesJudged, judge_cosignatures};
pub use evidence::{EvidenceReport, verify_evidence};
pub use explain::Step;
pub use history::{Grounds, Measured};
pub use lot_state::{LotReport, LotStanding, verify_lot};
pub use prepare::{
    Ahead, Answer, KnownKeys, Prepared, Question, Speaker, Vouched, answer, note_answers, prepare,
    prepare_all, questions,
};
pub use receipt::{ReceiptReport, verify_receipt, verify_receipt_after};
pub use replay::Identity;
pub use report::{Finding, FindingKind, Fork, Report, Verdict, Weight};
pub use retold::Retold;
pub use verifier::{GroupInput, Pins, Progress, Remembered, Verifier};

/// An error with what caused it, on one line.
fn told(fault: &dyn std::error::Error) -> String {
    let mut line = fault.to_string();
    let mut cause = fault.source();
    // Faults of the house are at most three deep; a cycle cannot be built from owned sources.
    while let Some(inner) = cause {
        line.push_str(": ");
        line.push_str(&inner.to_string());
        cause = inner.source();
    }
    line
}
