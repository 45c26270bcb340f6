//! Whether somebody still waits for the answer to a request.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Who asked for something, as far as it matters to those who work for it: what nobody waits for
/// any more is not begun.
#[derive(Debug, Clone, Default)]
pub struct Listener(Arc<AtomicBool>);

impl Listener {
    /// Says that the caller has hung up, or its time is over. What has begun goes on.
    pub fn leave(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether the caller is gone.
    pub fn is_gone(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
