//! How the words are spelled in bytes.
//!
//! *Owns:* the generated protobuf types, canonical admission of signed bytes, bytes <->
//! `domain::Event`.
//!
//! *Never:* judges an event, touches a signature or a file.
//!
//! *See:* `proto/urbanmine/v1/event.proto` for the words, `docs/FORMAT.md` for the canonical rules.

pub mod canonical;
pub mod event;
pub mod statement;

pub use canonical::{CanonicalRule, MessageName, NonCanonical};
pub use event::{DecodeFault, FieldFault, decode_event, encode_event};
pub use statement::{Statement, decode_statement, encode_possession, encode_statement};

/// Types generated from `proto/urbanmine/v1`.
#[expect(clippy::pedantic, missing_docs, reason = "generated code; the protos are its manual")]
pub mod v1 {
    tonic::include_proto!("urbanmine.v1");
}

/// The descriptor set of the protos, for canonical admission, JSON and reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/urbanmine.v1.bin"));
