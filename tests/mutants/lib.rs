//! The pure rooms of the house, and nothing else: see `Cargo.toml` beside this file.

#[path = "../../src/domain/mod.rs"]
pub mod domain;
#[path = "../../src/ledger/mod.rs"]
pub mod ledger;
#[path = "../../src/limits.rs"]
pub mod limits;
#[path = "../../src/provenance/mod.rs"]
pub mod provenance;
#[path = "../../src/verify/mod.rs"]
pub mod verify;
#[path = "../../src/wire/mod.rs"]
pub mod wire;

/// Of the witness only what it reads from a stranger.
#[path = "../../src/witness/submission.rs"]
pub mod submission;
pub mod witness {
    pub use crate::submission::{Submission, SubmissionFault};
}
