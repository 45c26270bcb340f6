//! Where handlers meet the node: appends that outlive their caller, reads on threads of their own.

use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::runtime::Handle;
use tokio::sync::{Semaphore, watch};
use tonic::{Request, Response, Status};

use super::errors::Failure;
use super::gate::RequestId;
use super::identity::{Caller, Identity};
use super::shares::{call_of_this_task, end_of_this_call};
use crate::domain::EntryCount;
use crate::domain::PartyId;
use crate::insight::Book;
use crate::limits::MAX_CONCURRENT_READS;
use crate::node::{Asker, Listener, Node, Reader};

/// The node as handlers see it.
#[derive(Clone)]
pub struct Desk {
    node: Node,
    seats: Arc<Semaphore>,
}

impl Desk {
    /// A desk at a node. All services share one, so that the reads of all are bounded together.
    pub fn new(node: Node) -> Self {
        Self { node, seats: Arc::new(Semaphore::new(MAX_CONCURRENT_READS)) }
    }

    /// The entries under the last checkpoint, to wait for.
    pub fn growth(&self) -> watch::Receiver<EntryCount> {
        self.node.reader().growth()
    }

    /// The node itself, for what brings its own threads.
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// Runs a read on a thread that may block. Waits for a seat as long as the caller's deadline
    /// lets it; a read whose caller is gone keeps its seat until it ends, so the bound holds.
    pub async fn read<T, F>(&self, work: F) -> Result<T, Failure>
    where
        T: Send + 'static,
        F: FnOnce(&Reader) -> Result<T, Failure> + Send + 'static,
    {
        let reader = self.node.reader();
        seated(&self.seats, move || work(&reader)).await
    }

    /// Asks the book, on a thread that may block, as [`Desk::read`] does.
    pub async fn ask<T, F>(&self, question: F) -> Result<T, Failure>
    where
        T: Send + 'static,
        F: FnOnce(&Book, &Reader) -> Result<T, Failure> + Send + 'static,
    {
        let (analyst, reader) = (self.node.analyst(), self.node.reader());
        seated(&self.seats, move || analyst.ask(|book| question(book, &reader))?).await
    }

    /// Runs an append to its end: a caller that hangs up drops its call and not the append, unless
    /// that asks its listener and finds that nothing has begun. The mailbox of the node bounds how
    /// many run.
    pub async fn write<T, E, W, A>(&self, work: W) -> Result<T, Failure>
    where
        T: Send + 'static,
        E: Send + 'static,
        Failure: From<E>,
        W: FnOnce(Node, Listener) -> A,
        A: Future<Output = Result<T, E>> + Send + 'static,
    {
        let listener = Listener::until(end_of_this_call());
        let work = work(self.node.clone(), listener.clone());
        outliving(work, listener).await?.map_err(Failure::from)
    }
}

/// Runs blocking work on a thread of its own, when there is a seat.
async fn seated<T, F>(seats: &Arc<Semaphore>, work: F) -> Result<T, Failure>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T, Failure> + Send + 'static,
{
    let seat = Arc::clone(seats).acquire_owned().await.map_err(|_| Failure::WorkerLost)?;
    let worker = tokio::task::spawn_blocking(move || {
        let answer = work();
        drop(seat);
        answer
    });
    worker.await.unwrap_or(Err(Failure::WorkerLost))
}

/// Runs work that goes on when nobody waits for it any more; its listener is gone then.
async fn outliving<T: Send + 'static>(
    work: impl Future<Output = T> + Send + 'static,
    listener: Listener,
) -> Result<T, Failure> {
    // Its request's bytes are still in hand, so its place is still taken: who hangs up and comes
    // back gains nothing.
    let call = call_of_this_task();
    let work = async move {
        let done = work.await;
        drop(call);
        done
    };
    GoesOn { work: Some(Box::pin(work)), listener }.await
}

/// Work that runs where it was called, and in a task of its own once its caller drops it: a task
/// for each call would be a detour for nearly all of them.
struct GoesOn<T: Send + 'static> {
    /// `None` once it ended.
    work: Option<Pin<Box<dyn Future<Output = T> + Send>>>,
    listener: Listener,
}

impl<T: Send + 'static> Future for GoesOn<T> {
    type Output = Result<T, Failure>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(work) = &mut self.work else { return Poll::Ready(Err(Failure::WorkerLost)) };
        // A panic in it is not one of the connection that brought it, with other calls on it.
        let polled = catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(context)));
        let ended = match polled {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(done)) => Ok(done),
            Err(_) => Err(Failure::WorkerLost),
        };
        self.work = None;
        Poll::Ready(ended)
    }
}

impl<T: Send + 'static> Drop for GoesOn<T> {
    fn drop(&mut self) {
        // Where there is no runtime any more, the node has stopped.
        if let Some(work) = self.work.take()
            && let Ok(runtime) = Handle::try_current()
        {
            self.listener.leave();
            runtime.spawn(work);
        }
    }
}

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Desk").finish_non_exhaustive()
    }
}

/// The id that the gate gave to a request.
pub fn id_of<T>(request: &Request<T>) -> RequestId {
    request.extensions().get().copied().unwrap_or(RequestId(0))
}

/// Who asks for what lies beside the ledger. A coordinator or auditor sees the whole ledger, and of
/// this only what is for its own party.
pub fn asker_of<T>(request: &Request<T>) -> Asker {
    match request.extensions().get::<Caller>().map(|caller| caller.identity) {
        Some(Identity::LocalOperator | Identity::Operator { .. }) => Asker::Operator,
        Some(Identity::Party { party, .. }) => Asker::Party(party),
        // The gate lets nobody pass who is not known; and no party has this id.
        Some(Identity::Unknown) | None => Asker::Party(PartyId::from_bytes([0; 16])),
    }
}

/// What a handler answers.
pub fn answer<T>(id: RequestId, outcome: Result<T, Failure>) -> Result<Response<T>, Status> {
    outcome.map(Response::new).map_err(|failure| failure.into_status(id))
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use tokio::sync::oneshot;
    use tokio::time::timeout;

    use super::*;
    use crate::api::identity::CallerKey;
    use crate::api::shares::{NoRoom, Shares, working_for};
    use crate::limits::MAX_CALLS_PER_ADDRESS;

    const SHORT: Duration = Duration::from_millis(20);

    #[tokio::test]
    async fn an_append_goes_on_when_its_caller_hangs_up() {
        let (go, may_go) = oneshot::channel::<()>();
        let (done, is_done) = oneshot::channel::<()>();
        let listener = Listener::default();
        let work = async move {
            may_go.await.unwrap();
            done.send(()).unwrap();
        };
        // The caller waits a little and is gone: the call is dropped half-way.
        assert!(timeout(SHORT, outliving(work, listener.clone())).await.is_err());
        assert!(listener.is_gone());
        go.send(()).unwrap();
        is_done.await.unwrap();
    }

    #[tokio::test]
    async fn an_append_that_lost_its_caller_keeps_the_place_of_its_call() {
        let account = Shares::new().account(CallerKey::Nowhere);
        let mut held = Vec::new();
        for _ in 1..MAX_CALLS_PER_ADDRESS {
            held.push(account.enter().unwrap());
        }
        let last = Arc::new(account.enter().unwrap());
        let (go, may_go) = oneshot::channel::<()>();
        let (done, is_done) = oneshot::channel::<()>();
        let call = working_for(
            last,
            outliving(
                async move {
                    may_go.await.unwrap();
                    done.send(()).unwrap();
                },
                Listener::default(),
            ),
        );
        assert!(timeout(SHORT, call).await.is_err());
        // The caller is gone, and may not come in again until the append is done.
        assert_eq!(account.enter().map(drop), Err(NoRoom));
        go.send(()).unwrap();
        is_done.await.unwrap();
        tokio::time::sleep(SHORT).await;
        assert!(account.enter().is_ok());
    }

    #[tokio::test]
    async fn work_that_panics_is_told_as_a_fault_of_ours() {
        let lost = outliving(async { panic!("a test") }, Listener::default()).await;
        let lost = lost.map(|(): ()| ());
        assert!(matches!(lost, Err(Failure::WorkerLost)));
        let seats = Arc::new(Semaphore::new(1));
        let lost = seated(&seats, || -> Result<(), Failure> { panic!("a test") }).await;
        assert!(matches!(lost, Err(Failure::WorkerLost)));
        assert_eq!(seats.available_permits(), 1, "a panic gives its seat back");
    }

    #[tokio::test]
    async fn a_read_keeps_its_seat_until_it_ends() {
        let seats = Arc::new(Semaphore::new(1));
        let (go, may_go) = mpsc::sync_channel::<()>(1);
        let first = seated(&seats, move || {
            may_go.recv().unwrap();
            Ok(())
        });
        // Its caller is gone and it still runs, so the next one waits.
        assert!(timeout(SHORT, first).await.is_err());
        assert!(timeout(SHORT, seated(&seats, || Ok(()))).await.is_err());
        go.send(()).unwrap();
        seated(&seats, || Ok(())).await.unwrap();
    }
}
