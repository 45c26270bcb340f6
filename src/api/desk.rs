//! Where handlers meet the node: appends that outlive their caller, reads on threads of their own.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use tokio::sync::Semaphore;
use tonic::{Request, Response, Status};

use super::errors::Failure;
use super::gate::RequestId;
use crate::limits::MAX_CONCURRENT_READS;
use crate::node::{Node, Reader};

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

    /// Runs a read on a thread that may block. Waits for a seat as long as the caller's deadline
    /// lets it; a read whose caller is gone keeps its seat until it ends, so the bound holds.
    pub async fn read<T, F>(&self, work: F) -> Result<T, Failure>
    where
        T: Send + 'static,
        F: FnOnce(&Reader) -> Result<T, Failure> + Send + 'static,
    {
        let seat = Arc::clone(&self.seats).acquire_owned().await;
        let seat = seat.map_err(|_| Failure::WorkerLost)?;
        let reader = self.node.reader();
        let worker = tokio::task::spawn_blocking(move || {
            let answer = work(&reader);
            drop(seat);
            answer
        });
        worker.await.unwrap_or(Err(Failure::WorkerLost))
    }

    /// Runs an append in a task of its own: a caller that hangs up drops its call and not the
    /// append. The mailbox of the node bounds how many run.
    pub async fn write<T, E, W, A>(&self, work: W) -> Result<T, Failure>
    where
        T: Send + 'static,
        E: Send + 'static,
        Failure: From<E>,
        W: FnOnce(Node) -> A,
        A: Future<Output = Result<T, E>> + Send + 'static,
    {
        let task = tokio::spawn(work(self.node.clone()));
        task.await.map_err(|_| Failure::WorkerLost)?.map_err(Failure::from)
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

/// What a handler answers.
pub fn answer<T>(id: RequestId, outcome: Result<T, Failure>) -> Result<Response<T>, Status> {
    outcome.map(Response::new).map_err(|failure| failure.into_status(id))
}
