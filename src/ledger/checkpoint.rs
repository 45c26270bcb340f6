//! Stand-in until the room is merged.

/// A signed checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedCheckpoint(pub String);

impl SignedCheckpoint {
    /// Its text.
    pub fn text(&self) -> &str {
        &self.0
    }
}
