//! How many watches there are, in all and of each caller.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::super::errors::{Failure, WatchLimit};
use super::super::identity::CallerKey;
use crate::limits::{MAX_WATCHES, MAX_WATCHES_PER_CALLER};

/// The places for watches. Callers that have none are not remembered, so the map is as bounded as
/// the places.
#[derive(Debug, Clone, Default)]
pub struct Places(Arc<Mutex<HashMap<CallerKey, usize>>>);

/// A place, given back when dropped.
#[derive(Debug)]
pub struct Place {
    places: Places,
    key: CallerKey,
}

impl Places {
    /// All of them, free.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes one for a caller.
    pub fn take(&self, key: CallerKey) -> Result<Place, Failure> {
        let mut taken = self.lock();
        if taken.get(&key).is_some_and(|own| *own >= MAX_WATCHES_PER_CALLER) {
            return Err(Failure::WatchLimit(WatchLimit::Caller));
        }
        if taken.values().sum::<usize>() >= MAX_WATCHES {
            return Err(Failure::WatchLimit(WatchLimit::All));
        }
        *taken.entry(key).or_default() += 1;
        Ok(Place { places: self.clone(), key })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<CallerKey, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.lock();
        if let Some(own) = taken.get_mut(&self.key) {
            *own = own.saturating_sub(1);
            if *own == 0 {
                taken.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::PartyId;

    fn party(n: usize) -> CallerKey {
        let n = u8::try_from(n).unwrap();
        CallerKey::Party(PartyId::from_bytes([n; 16]))
    }

    #[test]
    fn places_end_for_a_caller_and_for_all_and_come_back() {
        let places = Places::new();
        let mut held: Vec<Place> =
            (0..MAX_WATCHES_PER_CALLER).map(|_| places.take(party(0)).unwrap()).collect();
        let full = places.take(party(0)).unwrap_err();
        assert!(matches!(full, Failure::WatchLimit(WatchLimit::Caller)));
        for at in MAX_WATCHES_PER_CALLER..MAX_WATCHES {
            held.push(places.take(party(at / MAX_WATCHES_PER_CALLER)).unwrap());
        }
        let full = places.take(party(200)).unwrap_err();
        assert!(matches!(full, Failure::WatchLimit(WatchLimit::All)));
        held.pop();
        drop(places.take(party(200)).unwrap());
        drop(held);
        assert!(places.lock().is_empty(), "who has none is forgotten");
    }
}
