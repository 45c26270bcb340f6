//! Who else sees that we do not fork?
//!
//! *Owns:* C2SP tlog-witness, both ends: the witness (which checkpoints it has cosigned, its HTTP
//! interface) and the client by which a log asks one.
//!
//! *Never:* reads an entry, judges an event, knows a node: it sees hashes only. It never cosigns
//! what is not on disk before the cosignature leaves, and never two trees of one log of which
//! neither is the beginning of the other.
//!
//! *See:* `docs/adr/0014-witnesses.md`; `ledger::cosignature` for what is signed;
//! `node::collector` for who asks.
//!
//! # What a witness is trusted for
//!
//! That of each log it cosigned only growing trees. Its state is one file for each log, the last
//! checkpoint that it cosigned: whoever takes an old copy of that directory into use makes the
//! witness forget, and forks become possible as far back as it forgot. So no backup of it is ever
//! restored; a witness that lost its state takes a new name and key.
//!
//! # What is out of scope
//!
//! Subtrees (`sign-subtree`, optional) and ML-DSA keys; TLS, which a proxy or a bastion adds.
//! Nothing here is secret, and everything is signed, at both ends.

pub mod client;
pub mod records;
pub mod server;
pub mod submission;

pub use client::{Answer, ClientFault, WitnessClient};
pub use records::{Refusal, Witness, WitnessFault};
pub use submission::{Submission, SubmissionFault};
