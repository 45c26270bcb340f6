//! Whether somebody still waits for the answer to a request, and for how long.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Who asked for something, as far as it matters to those who work for it: what nobody waits for
/// any more is not begun.
#[derive(Debug, Clone, Default)]
pub struct Listener {
    is_gone: Arc<AtomicBool>,
    /// When an answer comes too late; `None`: never.
    until: Option<Instant>,
}

impl Listener {
    /// One who waits until then.
    pub fn until(until: Option<Instant>) -> Self {
        Self { is_gone: Arc::default(), until }
    }

    /// Says that the caller has hung up, or its time is over. What has begun goes on.
    pub fn leave(&self) {
        self.is_gone.store(true, Ordering::Relaxed);
    }

    /// Whether the caller is gone.
    pub fn is_gone(&self) -> bool {
        self.is_gone.load(Ordering::Relaxed)
    }

    /// Whether the caller is still there after so long.
    pub fn waits(&self, time: Duration) -> bool {
        !self.is_gone() && self.until.is_none_or(|until| Instant::now() + time < until)
    }
}

/// How long it lately took from the moment at which the writer takes up a request to its answer.
#[derive(Debug, Default)]
pub struct AnswerTime(AtomicU64);

impl AnswerTime {
    /// What is to be expected.
    pub fn expected(&self) -> Duration {
        Duration::from_micros(self.0.load(Ordering::Relaxed))
    }

    /// An answer took so long: it counts for a quarter.
    pub fn note(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX / 4);
        self.change(|before| before - before / 4 + micros / 4);
    }

    /// A request was refused because of it. That counts as an answer that took less: else one that
    /// took long would be the last.
    pub fn doubt(&self) {
        self.change(|before| before - before / 16);
    }

    fn change(&self, change: impl Fn(u64) -> u64) {
        // A change that is lost to another one is no harm.
        self.0.store(change(self.0.load(Ordering::Relaxed)), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_waits_until_its_time_is_over() {
        let listener = Listener::default();
        assert!(listener.waits(Duration::from_secs(1_000_000)));
        listener.clone().leave();
        assert!(listener.is_gone() && !listener.waits(Duration::ZERO));
        let listener = Listener::until(Some(Instant::now() + Duration::from_secs(60)));
        assert!(listener.waits(Duration::from_secs(1)));
        assert!(!listener.waits(Duration::from_secs(61)) && !listener.is_gone());
    }

    #[test]
    fn one_long_answer_does_not_refuse_all_that_follow() {
        let time = AnswerTime::default();
        assert_eq!(time.expected(), Duration::ZERO);
        for _ in 0..40 {
            time.note(Duration::from_millis(20));
        }
        assert!((15..=20).contains(&time.expected().as_millis()), "{:?}", time.expected());
        time.note(Duration::from_secs(10));
        assert!(time.expected() > Duration::from_secs(2));
        let refusals = (0..).take_while(|_| {
            time.doubt();
            time.expected() > Duration::from_millis(400)
        });
        assert!(refusals.count() < 40);
    }
}
