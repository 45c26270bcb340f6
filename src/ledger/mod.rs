//! What makes a record impossible to change quietly.
//!
//! *Owns:* envelope and strict signatures, entry, chain, tree, checkpoint, receipt, tiles and entry
//! bundles, the bundle of a lot, and the codec of a journal frame: every byte that is part of the
//! record; and what others put under it: cosignatures, and the policy that says whose count.
//!
//! *Never:* does IO, knows sled, decides an order, judges an event. What verifies never calls what
//! seals or builds proofs.
//!
//! *See:* `docs/FORMAT.md`, which specifies all of it for a stranger.

pub mod base64;
pub mod bundle;
pub mod checkpoint;
pub mod cosignature;
pub mod entry;
pub mod envelope;
pub mod evidence;
pub mod frame;
pub mod hash;
pub mod keys;
pub mod log_checkpoint;
pub mod lot_file;
pub mod lot_fold;
pub mod lot_map;
mod point;
pub mod policy;
mod reader;
pub mod receipt;
mod signer_table;
pub mod signers;
pub mod tiles;
pub mod tree;
pub mod vkey;
#[cfg(target_arch = "x86_64")]
mod wide;

pub use base64::Base64Fault;
pub use bundle::{Bundle, BundleFault, BundledEntry};
pub use checkpoint::{Checkpoint, CheckpointFault, SignedCheckpoint};
pub use cosignature::{CosignatureFault, Cosigner, Held, with_cosignatures};
pub use entry::{Draft, Entry, EntryFault, EntryKind, Position, SealFault, Sealed};
pub use envelope::{
    EVENT_PAYLOAD_TYPE, Envelope, EnvelopeFault, EnvelopeSignature, STATEMENT_PAYLOAD_TYPE,
};
pub use evidence::Evidence;
pub use hash::ChainValue;
pub use keys::{BadSignature, KeyFault, SigningKey, StrictKey};
pub use log_checkpoint::{LogCheckpoint, LogSignatureFault};
pub use lot_file::{LotFile, LotFileFault, LotStateProof, ProvenEntry};
pub use lot_map::{LotKey, LotState, MapProof, MapRefused, WayEnd};
pub use policy::{CosignatureReport, Policy, PolicyFault};
pub use receipt::{Receipt, ReceiptFault, VerifiedReceipt};
pub use signers::{Check, SignerBounds, SignerTables};
pub use tiles::{Tile, TileBuilder, TileKind};
pub use tree::{Frontier, NodeSource, ProofFault, ProofRefused};
pub use vkey::{SignatureType, VerifierKey, VkeyFault};
