//! The node as the doors see it: cheap to clone, callable from many tasks.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use bytes::Bytes;
use crossbeam_channel::{Sender, TrySendError, bounded};
use tokio::sync::{Semaphore, oneshot};

use super::admission::{Admitted, Refused, admit_all};
use super::analyst::Analyst;
use super::clock::Clock;
use super::committer::Answer;
use super::drafts::{Asker, Draft, DraftFault, Drafts, Signed, Signing};
use super::error::{AppendError, BatchError, NodeFault};
use super::gather::Gatherer;
use super::group::Placed;
use super::listener::Listener;
use super::measures;
use super::reader::Reader;
use super::vault::{OpeningFault, Vault};
use super::veil::Veil;
use super::writer::{MailboxPlace, Purpose, Request, Shared, Writer};
use crate::domain::sight::Onlooker;
use crate::domain::{EntryIndex, EventId};
use crate::ledger::SignerTables;
use crate::ledger::envelope::EnvelopeSignature;
use crate::ledger::receipt::Receipt;
use crate::limits::{
    MAX_BATCH_BYTES, MAX_BATCH_EVENTS, MAX_MAILBOX_REQUESTS, MAX_PARALLEL_JOBS, SMALL_EVENT_BYTES,
};
use crate::store::{Shelf, Store, StoreFault};

/// A running ledger.
#[derive(Clone)]
pub struct Node {
    inner: Arc<Inner>,
}

struct Inner {
    store: Arc<Store>,
    shared: Arc<Shared>,
    clock: Arc<dyn Clock>,
    /// `None` once the node closes: the writer then finishes what waits, and stops.
    mailbox: Mutex<Option<Sender<Request>>>,
    writer: Mutex<Option<JoinHandle<()>>>,
    jobs: Arc<Semaphore>,
    signers: Arc<SignerTables>,
    gatherer: Arc<Gatherer>,
    drafts: Arc<Drafts>,
    vault: Arc<Vault>,
    analyst: Arc<Analyst>,
}

/// A recorded event.
#[derive(Debug, Clone)]
pub struct Appended {
    /// Its entry.
    pub index: EntryIndex,
    /// Its receipt.
    pub receipt: Receipt,
    /// Whether it had been recorded before this call.
    pub was_recorded_before: bool,
}

impl Node {
    /// Starts the writer's thread.
    pub(super) fn start(writer: Writer) -> Result<Self, NodeFault> {
        let (sender, receiver) = bounded(MAX_MAILBOX_REQUESTS);
        let (store, shared) = (Arc::clone(&writer.store), Arc::clone(&writer.shared));
        let clock: Arc<dyn Clock> = Arc::clone(&writer.clock);
        let signers = Arc::new(SignerTables::default());
        let drafts = Drafts::open(Arc::clone(&store), Arc::clone(&clock), Arc::clone(&signers))?;
        let vault = Arc::new(Vault::open(Arc::clone(&store))?);
        let gatherer = Arc::new(Gatherer::new(Arc::clone(&store), Arc::clone(&signers)));
        let reader = Reader::new(Arc::clone(&store), Arc::clone(&shared), Arc::clone(&clock));
        let analyst = Arc::new(Analyst::new(reader));
        let thread = std::thread::Builder::new()
            .name("writer".to_owned())
            .spawn(move || writer.run(&receiver))
            .map_err(NodeFault::Thread)?;
        let inner = Inner {
            store,
            shared,
            clock,
            mailbox: Mutex::new(Some(sender)),
            writer: Mutex::new(Some(thread)),
            jobs: Arc::new(Semaphore::new(MAX_PARALLEL_JOBS)),
            signers,
            gatherer,
            drafts: Arc::new(drafts),
            vault,
            analyst,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Records one event. Dropping the future does not stop what has begun.
    pub async fn append(&self, envelope: Bytes) -> Result<Appended, AppendError> {
        let mut appended = self.append_batch(vec![envelope]).await.map_err(|it| it.error)?;
        appended.pop().ok_or(AppendError::Unreadable)
    }

    /// Records all events, contiguously, or none. Members that are recorded already return their
    /// receipts.
    pub async fn append_batch(&self, batch: Vec<Bytes>) -> Result<Vec<Appended>, BatchError> {
        self.append_for(Onlooker::Everything, batch, &Listener::default()).await
    }

    /// As [`Node::append_batch`], with refusals as this onlooker may know them. What waits when the
    /// listener leaves is dropped before it is judged: nothing of it is recorded, and nobody told.
    pub async fn append_for(
        &self,
        onlooker: Onlooker,
        batch: Vec<Bytes>,
        listener: &Listener,
    ) -> Result<Vec<Appended>, BatchError> {
        let begun = Instant::now();
        let answer = self.submit(onlooker, batch, Purpose::Record, listener).await?;
        let receipts = if let Some(receipts) = at_hand(&answer) {
            Some(Ok(receipts))
        } else {
            let reader = self.reader();
            self.in_background(move || receipts(&reader, &answer)).await
        };
        metrics::histogram!(measures::APPEND_SECONDS).record(begun.elapsed());
        // The events are recorded; only the reading of their receipts went wrong.
        receipts.unwrap_or(Err(AppendError::Indeterminate)).map_err(BatchError::whole)
    }

    /// Judges all events as if they were to be recorded now, and records nothing.
    pub async fn validate(&self, batch: Vec<Bytes>) -> Result<(), BatchError> {
        self.validate_for(Onlooker::Everything, batch, &Listener::default()).await
    }

    /// As [`Node::validate`], for an onlooker and a listener as [`Node::append_for`] has them.
    pub async fn validate_for(
        &self,
        onlooker: Onlooker,
        batch: Vec<Bytes>,
        listener: &Listener,
    ) -> Result<(), BatchError> {
        self.submit(onlooker, batch, Purpose::Validate, listener).await.map(drop)
    }

    /// Keeps an event until everybody who has to has signed it. The rules judge it as if they had.
    /// Refusals are as this onlooker may know them.
    pub async fn propose(
        &self,
        onlooker: Onlooker,
        envelope: Bytes,
        ttl_seconds: u32,
    ) -> Result<Draft, DraftFault> {
        let proposal = self.with_drafts(move |it| it.prepare(onlooker, envelope)).await?;
        let (judged, listener) = (vec![proposal.judged.clone()], Listener::default());
        let judged = self.send_admitted(onlooker, judged, Purpose::Validate, listener).await;
        judged.map_err(|refused| refused.error)?;
        self.with_drafts(move |drafts| drafts.keep(proposal, ttl_seconds)).await
    }

    /// Adds a signature to a draft; the last one appends its event. Dropping the future does not
    /// stop what has begun: whoever asks again gets the receipt.
    pub async fn sign_draft(
        &self,
        id: EventId,
        signature: EnvelopeSignature,
        asker: Asker,
    ) -> Result<Signed, DraftFault> {
        let signing = self.with_drafts(move |drafts| drafts.sign(id, signature, asker)).await?;
        let envelope = match signing {
            Signing::Waits(draft) => return Ok(Signed::Waits(draft)),
            Signing::Complete(envelope) => envelope,
        };
        // The draft is signed, whoever waits for it.
        let listener = Listener::default();
        let appended = self.append_for(asker.into(), vec![envelope], &listener).await;
        let appended = appended.map_err(|refused| refused.error)?.pop();
        let appended = appended.ok_or(AppendError::Unreadable)?;
        // A crash before this line: the event is recorded and its draft is there. Whoever signs it
        // again gets the first receipt; else it ends with its time.
        self.with_drafts(move |drafts| drafts.recorded(id)).await?;
        Ok(Signed::Recorded(appended))
    }

    /// Works with the drafts, beside the runtime: they lie in files.
    pub async fn with_drafts<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Drafts) -> Result<T, DraftFault> + Send + 'static,
    ) -> Result<T, DraftFault> {
        let drafts = Arc::clone(&self.inner.drafts);
        let done = self.in_background(move || work(&drafts)).await;
        done.unwrap_or(Err(DraftFault::Append(AppendError::Unreadable)))
    }

    /// Works with the openings, beside the runtime: they lie in files. `None` when the work ended
    /// before its answer.
    pub async fn with_vault<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Vault) -> Result<T, OpeningFault> + Send + 'static,
    ) -> Option<Result<T, OpeningFault>> {
        let vault = Arc::clone(&self.inner.vault);
        self.in_background(move || work(&vault)).await
    }

    /// The book of the ledger: balances and flags.
    pub fn analyst(&self) -> Arc<Analyst> {
        Arc::clone(&self.inner.analyst)
    }

    /// What can be read.
    pub fn reader(&self) -> Reader {
        let (store, shared) = (Arc::clone(&self.inner.store), Arc::clone(&self.inner.shared));
        Reader::new(store, shared, Arc::clone(&self.inner.clock))
    }

    /// Where the collector keeps what was cosigned.
    pub(super) fn cosigned_shelf(&self) -> Result<Shelf, StoreFault> {
        self.inner.store.cosigned()
    }

    /// Whether a write failed; nothing is recorded until a restart.
    pub fn is_poisoned(&self) -> bool {
        self.inner.shared.is_poisoned.load(Ordering::SeqCst)
    }

    /// How many requests wait for the writer.
    pub fn mailbox_depth(&self) -> usize {
        self.inner.shared.waiting.load(Ordering::Relaxed)
    }

    /// Takes no more requests, finishes those that wait, syncs, and stops the writer.
    pub async fn shutdown(&self) {
        self.inner.shared.is_closing.store(true, Ordering::SeqCst);
        self.inner.analyst.close();
        drop(lock(&self.inner.mailbox).take());
        let thread = lock(&self.inner.writer).take();
        if let Some(thread) = thread {
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
    }

    async fn submit(
        &self,
        onlooker: Onlooker,
        batch: Vec<Bytes>,
        purpose: Purpose,
        listener: &Listener,
    ) -> Result<Answer, BatchError> {
        check_size(&batch)?;
        self.check_open().map_err(BatchError::whole)?;
        // To wake another thread costs about as much as to check a small event; what takes longer
        // would keep the calls waiting that share this one.
        let batch = match <[Bytes; 1]>::try_from(batch) {
            Ok([small]) if small.len() <= SMALL_EVENT_BYTES => {
                let admitted = self.inner.gatherer.admit(onlooker, small, listener.clone()).await;
                vec![admitted.map_err(|error| match error {
                    // Not about the event.
                    AppendError::Busy | AppendError::Unreadable => BatchError::whole(error),
                    error => BatchError::at(0, error),
                })?]
            }
            Ok(large) => self.admit(onlooker, large.into(), listener).await?,
            Err(batch) => self.admit(onlooker, batch, listener).await?,
        };
        self.send_admitted(onlooker, batch, purpose, listener.clone()).await
    }

    /// Checks events beside the runtime.
    async fn admit(
        &self,
        onlooker: Onlooker,
        batch: Vec<Bytes>,
        listener: &Listener,
    ) -> Result<Vec<Admitted>, BatchError> {
        let (store, signers) = (Arc::clone(&self.inner.store), Arc::clone(&self.inner.signers));
        let waits = listener.clone();
        let admit = move || {
            // It may have waited for its turn.
            if waits.is_gone() {
                return Err(BatchError::whole(AppendError::Busy));
            }
            admitted(&store, &signers, onlooker, batch)
        };
        let admitted = self.in_background(admit).await;
        admitted.unwrap_or(Err(BatchError::whole(AppendError::Unreadable)))
    }

    async fn send_admitted(
        &self,
        onlooker: Onlooker,
        batch: Vec<Admitted>,
        purpose: Purpose,
        listener: Listener,
    ) -> Result<Answer, BatchError> {
        self.check_open().map_err(BatchError::whole)?;
        let (reply, answer) = oneshot::channel();
        let place = MailboxPlace::take(Arc::clone(&self.inner.shared));
        let request = Request { batch, purpose, onlooker, listener, place, reply };
        self.send(request).map_err(BatchError::whole)?;
        // The writer answers every request; if its thread is gone, what it had begun is unclear.
        answer.await.unwrap_or(Err(BatchError::whole(AppendError::Indeterminate)))
    }

    fn check_open(&self) -> Result<(), AppendError> {
        if self.inner.shared.is_closing.load(Ordering::SeqCst) {
            return Err(AppendError::ShuttingDown);
        }
        if self.is_poisoned() {
            return Err(AppendError::Poisoned);
        }
        Ok(())
    }

    fn send(&self, request: Request) -> Result<(), AppendError> {
        let mailbox = lock(&self.inner.mailbox);
        let Some(sender) = mailbox.as_ref() else { return Err(AppendError::ShuttingDown) };
        match sender.try_send(request) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(_)) => Err(AppendError::Busy),
            Err(TrySendError::Disconnected(_)) => Err(AppendError::Poisoned),
        }
    }

    /// Runs blocking work beside the runtime; `None` when it panicked.
    async fn in_background<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        // The semaphore is never closed.
        let permit = Arc::clone(&self.inner.jobs).acquire_owned().await.ok()?;
        let done = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            work()
        });
        done.await.ok()
    }
}

/// A panic of another thread while it held the lock leaves an `Option`, which cannot be half
/// changed.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn check_size(batch: &[Bytes]) -> Result<(), BatchError> {
    let (events, bytes) = (batch.len(), batch.iter().map(Bytes::len).sum());
    if events == 0 {
        return Err(BatchError::whole(AppendError::BatchEmpty));
    }
    if events > MAX_BATCH_EVENTS || bytes > MAX_BATCH_BYTES {
        return Err(BatchError::whole(AppendError::BatchTooLarge { events, bytes }));
    }
    Ok(())
}

fn admitted(
    store: &Store,
    signers: &SignerTables,
    onlooker: Onlooker,
    batch: Vec<Bytes>,
) -> Result<Vec<Admitted>, BatchError> {
    let unreadable = |_| BatchError::whole(AppendError::Unreadable);
    let veil = Veil::new(store, onlooker, &[]).map_err(unreadable)?;
    admit_all(signers, batch, |key| veil.public_key(key)).map_err(|(position, refused)| {
        let error = match refused {
            Refused::Error(error) => error,
            Refused::Fault(_) => AppendError::Unreadable,
        };
        BatchError::at(position, error)
    })
}

/// Receipts of events that are all new: they were made with the group.
fn at_hand(answer: &Answer) -> Option<Vec<Appended>> {
    let fresh = answer.fresh.as_ref()?;
    let made = answer.placed.iter().map(|place| match *place {
        Placed::New(index) => {
            let receipt = fresh.receipt(index)?;
            Some(Appended { index, receipt, was_recorded_before: false })
        }
        Placed::Before(_) => None,
    });
    made.collect()
}

/// Receipts of which some have to be read.
fn receipts(reader: &Reader, answer: &Answer) -> Result<Vec<Appended>, AppendError> {
    let indexes: Vec<EntryIndex> = answer
        .placed
        .iter()
        .map(|place| match *place {
            Placed::New(index) | Placed::Before(index) => index,
        })
        .collect();
    let read = reader.receipts(&indexes).map_err(|_| AppendError::Indeterminate)?;
    let appended = answer.placed.iter().zip(indexes).zip(read).map(|((place, index), receipt)| {
        let was_recorded_before = matches!(place, Placed::Before(_));
        let receipt = receipt.ok_or(AppendError::Indeterminate)?;
        Ok(Appended { index, receipt, was_recorded_before })
    });
    appended.collect()
}
