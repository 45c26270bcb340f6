//! How often one caller may call.

use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota};

use super::identity::CallerKey;
use crate::limits::{MAX_RATED_CALLERS, PAGE_REPLY_BYTES, SMALL_REPLY_BYTES};

/// How many cells a call of the dearest kind fills.
const DEAREST: NonZeroU32 = NonZeroU32::new(10).unwrap();
/// Between two clearings of callers that have rested.
const CLEARING: Duration = Duration::from_secs(1);

/// What all callers have called lately.
#[derive(Debug)]
pub struct Rates {
    known: DefaultKeyedRateLimiter<CallerKey>,
    strangers: DefaultKeyedRateLimiter<CallerKey>,
    clock: DefaultClock,
    cleared: Mutex<Instant>,
}

impl Rates {
    /// With so many cells in a second, for a known caller and for an unknown one. Twice as many may
    /// come at once.
    pub fn new(per_second: NonZeroU32, strangers_per_second: NonZeroU32) -> Self {
        let quota = |per_second: NonZeroU32| {
            let burst = per_second.saturating_mul(NonZeroU32::MIN.saturating_add(1)).max(DEAREST);
            Quota::per_second(per_second).allow_burst(burst)
        };
        Self {
            known: DefaultKeyedRateLimiter::keyed(quota(per_second)),
            strangers: DefaultKeyedRateLimiter::keyed(quota(strangers_per_second)),
            clock: DefaultClock::default(),
            cleared: Mutex::new(Instant::now()),
        }
    }

    /// Counts a call whose reply may have so many bytes; how long its caller should wait, when it
    /// came too early. Whoever sits at the machine is not counted: it can do worse than call.
    pub fn count(&self, key: CallerKey, reply_bytes: usize) -> Result<(), Duration> {
        let limiter = match key {
            CallerKey::Local => return Ok(()),
            CallerKey::Party(_) | CallerKey::Operator => &self.known,
            CallerKey::Address(_) | CallerKey::Nowhere => &self.strangers,
        };
        // Parties are as many as were given certificates and tokens; addresses are as many as
        // somebody likes.
        let key = if self.has_room(limiter) { key } else { CallerKey::Nowhere };
        match limiter.check_key_n(&key, cost(reply_bytes)) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(early)) => Err(early.wait_time_from(self.clock.now())),
            // More than the largest burst; the quotas leave room for the dearest call.
            Err(_) => Err(CLEARING),
        }
    }

    /// Whether one more caller can be remembered. Forgets those that have rested, once a second at
    /// most.
    fn has_room(&self, limiter: &DefaultKeyedRateLimiter<CallerKey>) -> bool {
        if limiter.len() < MAX_RATED_CALLERS {
            return true;
        }
        let mut cleared = self.cleared.lock().unwrap_or_else(PoisonError::into_inner);
        if cleared.elapsed() >= CLEARING {
            *cleared = Instant::now();
            limiter.retain_recent();
        }
        limiter.len() < MAX_RATED_CALLERS
    }
}

/// A page costs more than a record, a trace more than a page.
fn cost(reply_bytes: usize) -> NonZeroU32 {
    const PAGE: NonZeroU32 = NonZeroU32::new(4).unwrap();
    if reply_bytes <= SMALL_REPLY_BYTES {
        NonZeroU32::MIN
    } else if reply_bytes <= PAGE_REPLY_BYTES {
        PAGE
    } else {
        DEAREST
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;
    use crate::domain::PartyId;
    use crate::limits::MAX_REPLY_BYTES;

    fn rates(known: u32, strangers: u32) -> Rates {
        Rates::new(NonZeroU32::new(known).unwrap(), NonZeroU32::new(strangers).unwrap())
    }

    fn address(n: u32) -> CallerKey {
        CallerKey::Address(IpAddr::V4(Ipv4Addr::from_bits(n)))
    }

    #[test]
    fn each_caller_has_its_own_rate_and_is_told_how_long_to_wait() {
        let rates = rates(20, 5);
        let (one, other) = ([1, 2]).map(|n| CallerKey::Party(PartyId::from_bytes([n; 16]))).into();
        for _ in 0..40 {
            rates.count(one, 1).unwrap();
        }
        let wait = rates.count(one, 1).unwrap_err();
        assert!(wait > Duration::ZERO && wait <= Duration::from_millis(51), "{wait:?}");
        rates.count(other, 1).unwrap();
        for _ in 0..10 {
            rates.count(address(7), 1).unwrap();
        }
        rates.count(address(7), 1).unwrap_err();
        rates.count(address(8), 1).unwrap();
        for _ in 0..1_000 {
            rates.count(CallerKey::Local, MAX_REPLY_BYTES).unwrap();
        }
        // What costs more is had less often, and always at all.
        rates.count(other, MAX_REPLY_BYTES).unwrap();
        self::rates(1, 1).count(other, MAX_REPLY_BYTES).unwrap();
    }

    #[test]
    fn no_more_callers_are_remembered_than_there_is_room_for() {
        let rates = rates(1_000, 1);
        let count = u32::try_from(MAX_RATED_CALLERS).unwrap();
        for n in 0..count + 500 {
            let _ = rates.count(address(n), 1);
        }
        assert!(rates.strangers.len() <= MAX_RATED_CALLERS + 1);
        // Those who are left over share what one may call, and known callers notice nothing.
        rates.count(address(count + 501), 1).unwrap_err();
        rates.count(CallerKey::Operator, 1).unwrap();
    }
}
