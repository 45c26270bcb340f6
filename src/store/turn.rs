//! Whose turn it is to write to sled.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::fault::StoreFault;
use crate::limits::TURN_PAUSE_US;

/// One thread at a time writes to sled or flushes it, and none after a write that failed.
///
/// A blob that cannot be written leaves a claim on sled's buffer (0.34.7: `Log::reserve_inner`
/// returns between claim and release). The buffer is then never written, and a flush waits for it
/// for ever, be it of another thread.
#[derive(Debug, Default)]
pub(super) struct Turn {
    has_failed: Mutex<bool>,
    /// How many wait for it.
    waiting: AtomicUsize,
}

impl Turn {
    /// Does what writes or flushes.
    pub(super) fn take<T>(
        &self,
        work: impl FnOnce() -> Result<T, StoreFault>,
    ) -> Result<T, StoreFault> {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let mut has_failed = self.lock();
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        if *has_failed {
            return Err(StoreFault::Poisoned);
        }
        // A panic in it counts as a failure.
        *has_failed = true;
        let outcome = work();
        *has_failed = outcome.is_err();
        outcome
    }

    /// For one who takes many turns in a row: lets another who waits have the next. (The lock does
    /// not ask who came first.)
    pub(super) fn let_others(&self) {
        if self.waiting.load(Ordering::Relaxed) > 0 {
            std::thread::sleep(Duration::from_micros(TURN_PAUSE_US));
        }
    }

    /// Whether a write failed.
    pub(super) fn has_failed(&self) -> bool {
        *self.lock()
    }

    fn lock(&self) -> MutexGuard<'_, bool> {
        self.has_failed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
