//! What makes a record impossible to change quietly.
//!
//! *Owns:* envelope and strict signatures, entry, chain, tree, checkpoint, receipt, and the codec
//! of a journal frame: every byte that is part of the record.
//!
//! *Never:* does IO, knows sled, decides an order, judges an event. What verifies never calls what
//! seals or builds proofs.
//!
//! *See:* `docs/FORMAT.md`, which specifies all of it for a stranger.

pub mod base64;
pub mod checkpoint;
pub mod entry;
pub mod envelope;
pub mod frame;
pub mod hash;
pub mod keys;
pub mod lot_file;
pub mod lot_map;
mod reader;
pub mod receipt;
pub mod tree;

pub use base64::Base64Fault;
pub use checkpoint::{Checkpoint, CheckpointFault, SignedCheckpoint};
pub use entry::{Draft, Entry, EntryFault, EntryKind, Position, SealFault, Sealed};
pub use envelope::{
    EVENT_PAYLOAD_TYPE, Envelope, EnvelopeFault, EnvelopeSignature, STATEMENT_PAYLOAD_TYPE,
};
pub use hash::ChainValue;
pub use keys::{BadSignature, KeyFault, SigningKey, StrictKey};
pub use lot_file::{LotFile, LotFileFault, LotStateProof, ProvenEntry};
pub use lot_map::{LotKey, LotState, MapProof, MapRefused, WayEnd};
pub use receipt::{Receipt, ReceiptFault, VerifiedReceipt};
pub use tree::{Frontier, NodeSource, ProofFault, ProofRefused};
