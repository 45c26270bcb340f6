//! Whose turn it is to write to sled.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::fault::StoreFault;

/// One thread at a time writes to sled or flushes it, and none after a write that failed.
///
/// A blob that cannot be written leaves a claim on sled's buffer (0.34.7: `Log::reserve_inner`
/// returns between claim and release). The buffer is then never written, and a flush waits for it
/// for ever, be it of another thread.
#[derive(Debug, Default)]
pub(super) struct Turn {
    has_failed: Mutex<bool>,
}

impl Turn {
    /// Does what writes or flushes.
    pub(super) fn take<T>(
        &self,
        work: impl FnOnce() -> Result<T, StoreFault>,
    ) -> Result<T, StoreFault> {
        let mut has_failed = self.lock();
        if *has_failed {
            return Err(StoreFault::Poisoned);
        }
        // A panic in it counts as a failure.
        *has_failed = true;
        let outcome = work();
        *has_failed = outcome.is_err();
        outcome
    }

    /// Whether a write failed.
    pub(super) fn has_failed(&self) -> bool {
        *self.lock()
    }

    fn lock(&self) -> MutexGuard<'_, bool> {
        self.has_failed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
