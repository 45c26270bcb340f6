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
