//! Small events that come one by one are checked together, those that are there at the moment:
//! the signatures of several cost little more than half of what each costs alone.
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
    /// As many as there are calls at most, which the door bounds.
    jobs: Mutex<Vec<Job>>,
}

impl Gatherer {
    pub(super) fn new(store: Arc<Store>, signers: Arc<SignerTables>) -> Self {
        Self { store, signers, jobs: Mutex::default() }
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
            let mut jobs = self.lock();
            jobs.push(Job { onlooker, envelope, listener, reply });
            jobs.len() == 1
        };
        if is_first {
            // A task of its own, which does not end with this call: others wait for it.
            let gatherer = Arc::clone(self);
            tokio::spawn(async move {
                // Calls that were read from the network already come first.
                tokio::task::yield_now().await;
                for jobs in gatherer.take() {
                    gatherer.check(jobs);
                    tokio::task::yield_now().await;
                }
            });
        }
        // It answers all; one that it panicked over, it drops.
        answer.await.unwrap_or(Err(AppendError::Unreadable))
    }

    /// All that wait, in pieces that do not keep the runtime's thread for long.
    fn take(&self) -> Vec<Vec<Job>> {
        let mut jobs = std::mem::take(&mut *self.lock());
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
    fn lock(&self) -> MutexGuard<'_, Vec<Job>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
