//! Small events that come one by one are checked together, those that are there at the moment:
//! the signatures of eight cost a quarter of what each costs alone, where the processor has lanes
//! for them (ADR 0025), and else half.
//!
//! Who comes first has the rest of what the runtime has at hand come as well, and then all of them
//! checked. Nobody waits for anybody who is not there yet.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::oneshot;

use super::admission::{Admitted, Refused, admit_each};
use super::error::AppendError;
use super::listener::Listener;
use super::veil::Veil;
use crate::domain::KeyId;
use crate::domain::sight::Onlooker;
use crate::ledger::SignerTables;
use crate::limits::MAX_GATHERED_EVENTS;
use crate::store::{Store, StoreFault};

/// An event that waits to be checked.
struct Job {
    onlooker: Onlooker,
    envelope: Bytes,
    listener: Listener,
    reply: oneshot::Sender<Result<Admitted, AppendError>>,
}

/// Events that wait for the one that came first.
pub(super) struct Gatherer {
    store: Arc<Store>,
    signers: Arc<SignerTables>,
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    /// As many as there are calls at most, which the door bounds.
    jobs: Vec<Job>,
    /// Whether somebody is going to take them.
    is_awaited: bool,
}

/// Who is going to take what waits. If it ends before, with its runtime, what waits is let go, and
/// whoever comes next begins anew.
struct Leader {
    gatherer: Arc<Gatherer>,
    has_taken: bool,
}

impl Leader {
    fn take(&mut self) -> Vec<Vec<Job>> {
        self.has_taken = true;
        self.gatherer.take()
    }
}

impl Drop for Leader {
    fn drop(&mut self) {
        if !self.has_taken {
            drop(self.gatherer.take());
        }
    }
}

impl Gatherer {
    pub(super) fn new(store: Arc<Store>, signers: Arc<SignerTables>) -> Self {
        Self { store, signers, waiting: Mutex::default() }
    }

    /// Has an event checked among those that are there.
    pub(super) async fn admit(
        self: &Arc<Self>,
        onlooker: Onlooker,
        envelope: Bytes,
        listener: Listener,
    ) -> Result<Admitted, AppendError> {
        let (reply, answer) = oneshot::channel();
        let is_first = {
            let mut waiting = self.lock();
            waiting.jobs.push(Job { onlooker, envelope, listener, reply });
            !std::mem::replace(&mut waiting.is_awaited, true)
        };
        if is_first {
            let mut leader = Leader { gatherer: Arc::clone(self), has_taken: false };
            // A task of its own, which does not end with this call: others wait for it.
            tokio::spawn(async move {
                // Calls that were read from the network already come first.
                tokio::task::yield_now().await;
                let mut pieces = leader.take().into_iter();
                let first = pieces.next();
                // Many at once are not the work of one thread.
                for jobs in pieces {
                    let gatherer = Arc::clone(&leader.gatherer);
                    tokio::spawn(async move { gatherer.check(jobs) });
                }
                leader.gatherer.check(first.unwrap_or_default());
            });
        }
        // It answers all; one that it panicked over, it drops.
        answer.await.unwrap_or(Err(AppendError::Unreadable))
    }

    /// All that wait, in pieces that do not keep the runtime's thread for long.
    fn take(&self) -> Vec<Vec<Job>> {
        let Waiting { mut jobs, .. } = std::mem::take(&mut *self.lock());
        let mut pieces = Vec::new();
        while jobs.len() > MAX_GATHERED_EVENTS {
            let rest = jobs.split_off(MAX_GATHERED_EVENTS);
            pieces.push(std::mem::replace(&mut jobs, rest));
        }
        pieces.push(jobs);
        pieces
    }

    fn check(&self, jobs: Vec<Job>) {
        let (mut asked, mut replies) = (Vec::new(), Vec::new());
        for Job { onlooker, envelope, listener, reply } in jobs {
            // It may have waited for its turn.
            if listener.is_gone() {
                let _ = reply.send(Err(AppendError::Busy));
                continue;
            }
            asked.push((onlooker, envelope));
            replies.push(reply);
        }
        // A panic is that of one event: then each is looked at alone.
        let together = catch_unwind(AssertUnwindSafe(|| self.verdicts(&asked)));
        let Ok(verdicts) = together else {
            for (event, reply) in asked.into_iter().zip(replies) {
                let alone = catch_unwind(AssertUnwindSafe(|| self.verdicts(&[event])));
                if let Some(verdict) = alone.ok().and_then(|mut verdicts| verdicts.pop()) {
                    let _ = reply.send(verdict);
                }
            }
            return;
        };
        for (verdict, reply) in verdicts.into_iter().zip(replies) {
            let _ = reply.send(verdict);
        }
    }

    /// What is to be told of each, in their order.
    fn verdicts(&self, asked: &[(Onlooker, Bytes)]) -> Vec<Result<Admitted, AppendError>> {
        let key_of = |place: usize, key: KeyId| {
            let onlooker = asked.get(place).map_or(Onlooker::Nothing, |(onlooker, _)| *onlooker);
            Veil::new(&self.store, onlooker, &[])?.public_key(key)
        };
        let envelopes = asked.iter().map(|(_, envelope)| envelope.clone()).collect();
        let told = |verdict: Result<Admitted, Refused<StoreFault>>| {
            verdict.map_err(|refused| match refused {
                Refused::Error(error) => error,
                Refused::Fault(_) => AppendError::Unreadable,
            })
        };
        admit_each(&self.signers, envelopes, key_of).into_iter().map(told).collect()
    }

    /// A push or a take is whole.
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Origin, PublicKey};
    use crate::store::StoreConfig;

    /// Whoever was to check ended with its runtime: what waited is let go, and the next call finds
    /// somebody.
    #[test]
    fn a_runtime_that_ends_leaves_nobody_waiting() {
        let folder = tempfile::tempdir().unwrap();
        let config = StoreConfig::new(folder.path().join("data"), folder.path().join("guard"));
        let origin = Origin::parse("ledger.example/gather").unwrap();
        let store = Arc::new(Store::create(&config, &origin, &PublicKey([7; 32])).unwrap());
        let gatherer = Arc::new(Gatherer::new(store, Arc::default()));
        let admit = || {
            let gatherer = Arc::clone(&gatherer);
            let envelope = Bytes::from_static(b"no envelope");
            async move { gatherer.admit(Onlooker::Everything, envelope, Listener::default()).await }
        };
        let runtime =
            || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let poll_once = || {
            let mut call = Box::pin(admit());
            let mut context = std::task::Context::from_waker(std::task::Waker::noop());
            call.as_mut().poll(&mut context).is_pending()
        };
        let first = runtime();
        {
            let _inside = first.enter();
            // Who is to check was begun, and never gets to it.
            assert!(poll_once());
        }
        assert_eq!(gatherer.lock().jobs.len(), 1);
        drop(first);
        let second = runtime();
        let limit = std::time::Duration::from_secs(20);
        let told = second.block_on(async { tokio::time::timeout(limit, admit()).await });
        assert!(matches!(told, Ok(Err(AppendError::Envelope(_)))), "{told:?}");
        // Outside of any runtime nobody can be found; that is a panic, and nobody waits for it.
        assert!(catch_unwind(AssertUnwindSafe(poll_once)).is_err());
        let told = second.block_on(async { tokio::time::timeout(limit, admit()).await });
        assert!(matches!(told, Ok(Err(AppendError::Envelope(_)))), "{told:?}");
    }
}
