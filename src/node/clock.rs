//! The one place that says "now".

use crate::domain::TimeMs;

/// Where `recorded_at` comes from; tests hand in their own.
pub trait Clock: Send + Sync {
    /// Milliseconds since 1970, UTC.
    fn now(&self) -> TimeMs;
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that says now")]
    fn now(&self) -> TimeMs {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        // A clock before 1970 reads as 0: the writer then stops, because the clock stepped back.
        let millis = since.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(0));
        TimeMs::of(millis.min(TimeMs::MAX.get()))
    }
}
