//! How the words are spelled in bytes.
//!
//! *Owns:* the generated protobuf types, canonical admission of signed bytes, bytes <-> `domain::Event`.
//!
//! *Never:* judges an event, touches a signature or a file.
//!
//! *See:* `proto/urbanmine/v1/event.proto` for the words, `docs/FORMAT.md` for the canonical rules.

/// Types generated from `proto/urbanmine/v1`.
#[expect(
    clippy::pedantic,
    missing_docs,
    clippy::allow_attributes,
    reason = "generated code; the protos are its manual"
)]
pub mod v1 {
    tonic::include_proto!("urbanmine.v1");
}

/// The descriptor set of the protos, for canonical admission, JSON and reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/urbanmine.v1.bin"));

/// Stand-in until the room is merged: why signed bytes are not an event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeFault {
    /// More bytes than an event may have.
    #[error("an event has at most {limit} bytes, not {bytes}")]
    TooLarge {
        /// Found.
        bytes: usize,
        /// Allowed.
        limit: usize,
    },
    /// Not the one spelling.
    #[error("{detail}")]
    NonCanonical {
        /// What and where.
        detail: String,
    },
    /// Fields that are missing, out of range or not of their type.
    #[error("{} fields are not sound", .0.len())]
    Field(Vec<FieldFault>),
}

/// Stand-in until the room is merged: why a field is not sound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldFault {
    /// Path like `collect_lot.lot.net_mass_g`.
    pub field: String,
    /// What it breaks.
    pub rule: String,
    /// What was there.
    pub found: String,
}
