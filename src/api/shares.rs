//! What calls hold while they run: a place, the bytes of their request, the bytes of their reply.
//!
//! Everything that a caller can make the service keep in memory is taken from a budget first, the
//! caller's own and the one of all; and given back when the memory is.

use std::collections::HashMap;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Instant;

use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::Status;
use tonic::body::Body;

use super::identity::CallerKey;
use crate::limits::{
    ADDRESS_REPLY_BYTES, CALLER_REPLY_BYTES, CALLER_REQUEST_BYTES, MAX_CALLS_IN_FLIGHT,
    MAX_CALLS_PER_ADDRESS, MAX_CALLS_PER_CALLER, MAX_REQUEST_BYTES, MAX_STRANGER_CALLS,
    MAX_STRANGER_REQUEST_BYTES, REPLY_BUDGET_BYTES, REQUEST_BUDGET_BYTES,
    STRANGER_REPLY_BUDGET_BYTES,
};

/// Budgets are counted in these.
const UNIT_BYTES: usize = 1_024;

/// The budgets of the service.
#[derive(Debug, Clone)]
pub struct Shares {
    calls: Arc<Semaphore>,
    stranger_calls: Arc<Semaphore>,
    requests: Arc<Semaphore>,
    replies: Arc<Semaphore>,
    stranger_replies: Arc<Semaphore>,
    /// Callers that hold something, and some that held something lately.
    each: Arc<Mutex<HashMap<CallerKey, Arc<Share>>>>,
}

/// The budgets of one caller.
#[derive(Debug)]
struct Share {
    calls: Arc<Semaphore>,
    requests: Arc<Semaphore>,
    replies: Arc<Semaphore>,
    max_request_bytes: usize,
}

/// A caller at the service's budgets.
#[derive(Debug, Clone)]
pub struct Account {
    share: Arc<Share>,
    calls: Arc<Semaphore>,
    requests: Arc<Semaphore>,
    replies: Arc<Semaphore>,
}

/// A call that runs: its place and its request. An append whose caller is gone holds it on.
pub struct Held {
    account: Account,
    _place: Option<(OwnedSemaphorePermit, OwnedSemaphorePermit)>,
    request: Mutex<Pair>,
}

/// What the gate hands to the doors with an answer. (Extensions have to be cloneable; a
/// reservation is not.)
#[derive(Debug, Clone)]
pub struct Handed {
    reserved: Arc<Mutex<Option<Reserved>>>,
    keeping: Keeping,
}

/// How long what was set aside for an answer is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keeping {
    /// The answer's own bytes hold it.
    ByItsBytes,
    /// All of it stays until the answer is gone: there is more in memory than its bytes.
    ToItsEnd,
}

/// Bytes set aside for a reply; given back when dropped.
pub struct Reserved {
    account: Account,
    pair: Pair,
}

/// Units of a caller's own budget and of the one of all, always the same number of both.
#[derive(Default)]
struct Pair {
    own: Option<OwnedSemaphorePermit>,
    all: Option<OwnedSemaphorePermit>,
}

/// There is no room left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoRoom;

tokio::task_local! {
    /// The call that a task works for.
    static CALL: Arc<Held>;
    /// When an answer to it comes too late.
    static ENDS_AT: Instant;
}

/// When the call is over that this task works for.
pub fn end_of_this_call() -> Option<Instant> {
    ENDS_AT.try_with(|it| *it).ok()
}

/// Runs work for a call that is over then.
pub async fn working_until<T>(ends_at: Instant, work: impl Future<Output = T>) -> T {
    ENDS_AT.scope(ends_at, work).await
}

/// The call that this task works for, to be held by work that outlives it.
pub fn call_of_this_task() -> Option<Arc<Held>> {
    CALL.try_with(Arc::clone).ok()
}

/// Runs work as a call's.
pub async fn working_for<T>(held: Arc<Held>, work: impl Future<Output = T>) -> T {
    CALL.scope(held, work).await
}

impl Shares {
    /// All of them, whole.
    pub fn new() -> Self {
        Self {
            calls: Arc::new(Semaphore::new(MAX_CALLS_IN_FLIGHT)),
            stranger_calls: Arc::new(Semaphore::new(MAX_STRANGER_CALLS)),
            requests: Arc::new(Semaphore::new(units(REQUEST_BUDGET_BYTES))),
            replies: Arc::new(Semaphore::new(units(REPLY_BUDGET_BYTES))),
            stranger_replies: Arc::new(Semaphore::new(units(STRANGER_REPLY_BUDGET_BYTES))),
            each: Arc::default(),
        }
    }

    /// A caller's account.
    pub fn account(&self, key: CallerKey) -> Account {
        let mut each = self.each.lock().unwrap_or_else(PoisonError::into_inner);
        if each.len() > 2 * MAX_CALLS_IN_FLIGHT && !each.contains_key(&key) {
            // Whose account nobody holds has all of its budgets.
            each.retain(|_, share| Arc::strong_count(share) > 1);
        }
        let share = Arc::clone(each.entry(key).or_insert_with(|| Arc::new(Share::of(key))));
        drop(each);
        let (calls, replies) = match key {
            CallerKey::Address(_) | CallerKey::Nowhere => {
                (&self.stranger_calls, &self.stranger_replies)
            }
            CallerKey::Local | CallerKey::Operator | CallerKey::Party(_) => {
                (&self.calls, &self.replies)
            }
        };
        Account {
            share,
            calls: Arc::clone(calls),
            requests: Arc::clone(&self.requests),
            replies: Arc::clone(replies),
        }
    }
}

impl Default for Shares {
    fn default() -> Self {
        Self::new()
    }
}

impl Share {
    fn of(key: CallerKey) -> Self {
        let (calls, requests, replies, max_request_bytes) = match key {
            // It shares with nobody but those that were let in beside it.
            CallerKey::Local => {
                (MAX_CALLS_IN_FLIGHT, REQUEST_BUDGET_BYTES, REPLY_BUDGET_BYTES, MAX_REQUEST_BYTES)
            }
            CallerKey::Operator | CallerKey::Party(_) => {
                (MAX_CALLS_PER_CALLER, CALLER_REQUEST_BYTES, CALLER_REPLY_BYTES, MAX_REQUEST_BYTES)
            }
            CallerKey::Address(_) | CallerKey::Nowhere => (
                MAX_CALLS_PER_ADDRESS,
                MAX_CALLS_PER_ADDRESS * MAX_STRANGER_REQUEST_BYTES,
                ADDRESS_REPLY_BYTES,
                MAX_STRANGER_REQUEST_BYTES,
            ),
        };
        Self {
            calls: Arc::new(Semaphore::new(calls)),
            requests: Arc::new(Semaphore::new(units(requests))),
            replies: Arc::new(Semaphore::new(units(replies))),
            max_request_bytes,
        }
    }
}

impl Account {
    /// Takes a place among the calls in flight.
    pub fn enter(&self) -> Result<Held, NoRoom> {
        let own = Arc::clone(&self.share.calls).try_acquire_owned().map_err(|_| NoRoom)?;
        let all = Arc::clone(&self.calls).try_acquire_owned().map_err(|_| NoRoom)?;
        Ok(Held { _place: Some((own, all)), ..self.pass() })
    }

    /// A call that needs no place.
    pub fn pass(&self) -> Held {
        Held { account: self.clone(), _place: None, request: Mutex::default() }
    }

    /// Sets bytes aside for a reply; waits until there are so many.
    pub async fn reserve(&self, bytes: usize) -> Result<Reserved, NoRoom> {
        let count = u32::try_from(units(bytes)).map_err(|_| NoRoom)?;
        // Its own first: a caller that waits for itself keeps nobody waiting.
        let own = Arc::clone(&self.share.replies).acquire_many_owned(count);
        let own = own.await.map_err(|_| NoRoom)?;
        let all = Arc::clone(&self.replies).acquire_many_owned(count);
        let all = all.await.map_err(|_| NoRoom)?;
        let pair = Pair { own: Some(own), all: Some(all) };
        Ok(Reserved { account: self.clone(), pair })
    }

    /// Nothing is set aside yet: what comes is counted as it comes.
    pub fn nothing(&self) -> Reserved {
        Reserved { account: self.clone(), pair: Pair::default() }
    }
}

impl Held {
    /// Counts what a request has by now.
    pub fn weigh(&self, seen: usize) -> Result<(), NoRoom> {
        let mut request = self.request.lock().unwrap_or_else(PoisonError::into_inner);
        let missing = units(seen).saturating_sub(request.count());
        if missing > 0 {
            let (own, all) = (&self.account.share.requests, &self.account.requests);
            request.merge(Pair::take(own, all, missing)?);
        }
        Ok(())
    }
}

impl Handed {
    /// To be put beside an answer.
    pub fn new(reserved: Reserved) -> Self {
        let reserved = Arc::new(Mutex::new(Some(reserved)));
        Self { reserved, keeping: Keeping::ByItsBytes }
    }

    /// The same, for an answer that is made from another one.
    pub fn kept(self) -> Self {
        Self { keeping: Keeping::ToItsEnd, ..self }
    }

    /// What was handed over, once.
    pub fn take(&self) -> Option<(Reserved, Keeping)> {
        let mut reserved = self.reserved.lock().unwrap_or_else(PoisonError::into_inner);
        Some((reserved.take()?, self.keeping))
    }
}

impl Reserved {
    /// Whose it is.
    pub fn account(&self) -> &Account {
        &self.account
    }

    /// Takes what a piece of so many bytes needs out of it, when it has as much, and gives the rest
    /// back: the first piece of a reply is all of it, unless the reply is a stream.
    pub fn settle(&mut self, bytes: usize) -> Option<Self> {
        let mut had = std::mem::take(&mut self.pair);
        let pair = had.split(units(bytes))?;
        Some(Self { account: self.account.clone(), pair })
    }
}

impl Pair {
    fn take(own: &Arc<Semaphore>, all: &Arc<Semaphore>, count: usize) -> Result<Self, NoRoom> {
        let count = u32::try_from(count).map_err(|_| NoRoom)?;
        let own = Arc::clone(own).try_acquire_many_owned(count).map_err(|_| NoRoom)?;
        let all = Arc::clone(all).try_acquire_many_owned(count).map_err(|_| NoRoom)?;
        Ok(Self { own: Some(own), all: Some(all) })
    }

    fn count(&self) -> usize {
        self.own.as_ref().map_or(0, OwnedSemaphorePermit::num_permits)
    }

    fn merge(&mut self, more: Self) {
        let both = [(&mut self.own, more.own), (&mut self.all, more.all)];
        for (held, more) in both {
            match (held.as_mut(), more) {
                (Some(held), Some(more)) => held.merge(more),
                (None, more) => *held = more,
                (Some(_), None) => {}
            }
        }
    }

    fn split(&mut self, count: usize) -> Option<Self> {
        let own = self.own.as_mut().and_then(|held| held.split(count))?;
        let all = self.all.as_mut().and_then(|held| held.split(count))?;
        Some(Self { own: Some(own), all: Some(all) })
    }
}

const fn units(bytes: usize) -> usize {
    bytes.div_ceil(UNIT_BYTES)
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Held").finish_non_exhaustive()
    }
}

impl fmt::Debug for Reserved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reserved").finish_non_exhaustive()
    }
}

/// A request's body that is weighed as it comes.
#[derive(Debug)]
pub struct Weighed {
    inner: Body,
    held: Arc<Held>,
    seen: usize,
}

impl Weighed {
    /// The body of a call.
    pub fn new(inner: Body, held: Arc<Held>) -> Self {
        Self { inner, held, seen: 0 }
    }
}

impl HttpBody for Weighed {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(cx));
        if let Some(Ok(frame)) = &frame
            && let Some(data) = frame.data_ref()
        {
            self.seen = self.seen.saturating_add(data.len());
            // What frames a message stands around it: 5 bytes.
            let most = self.held.account.share.max_request_bytes + 5;
            if self.seen > most {
                let told = format!("found more than {most} bytes; who is unknown may send no more");
                return Poll::Ready(Some(Err(Status::out_of_range(told))));
            }
            if self.held.weigh(self.seen).is_err() {
                let told = "too many bytes of requests are in hand";
                return Poll::Ready(Some(Err(Status::resource_exhausted(told))));
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
