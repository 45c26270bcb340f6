//! Stand-in until the room is merged.

/// Why bytes are not an envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeFault {
    /// Ends too early.
    #[error("the envelope ends too early")]
    Short,
}
