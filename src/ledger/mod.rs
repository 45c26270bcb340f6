//! What makes a record impossible to change quietly.
//!
//! *Owns:* envelope and strict signatures, entry, chain, tree, checkpoint, receipt, and the codec of a
//! journal frame: every byte that is part of the record.
//!
//! *Never:* does IO, knows sled, decides an order, judges an event.
//!
//! *See:* `docs/FORMAT.md`, which specifies all of it for a stranger.

pub mod checkpoint;
pub mod envelope;
pub mod hash;
pub mod receipt;
