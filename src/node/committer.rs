//! The half of the writer that makes groups last: one thread, one group after the other, in the
//! order in which they were sealed.
//!
//! 1. journal append, fdatasync. *A crash before: nobody was told, nothing is there. A crash after:
//!    the group is durable, and the next start replays it.*
//! 2. database write. *A crash here: replayed from the journal.*
//! 3. re-read and compare. *What cannot be read back is never signed.*
//! 4. sign the checkpoint, keep it. *A crash here: the next start signs the same bytes again.*
//! 5. head guard. *A crash before: the journal is ahead of the guard, which is fine.*
//! 6. reply. *A crash before: the client asks again, and R8 gives it the first receipt.*
//!
//! 5 and 6 are the guardian's, in a thread of its own: while it waits for the disk, the next group
//! is appended. Of checkpoints that wait for it, it guards the newest.
//!
//! An error in 1 to 5 poisons the node: the group's callers are told `Indeterminate`, everybody
//! after `Poisoned`, until a restart finds out what is on disk. The groups before it that wait for
//! the guardian are durable and signed: they come under the guard, and their callers are told so.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use tokio::sync::oneshot;
use tracing::{debug, error};

use super::error::{AppendError, BatchError, NodeFault, chain_of};
use super::fresh::FreshGroup;
use super::group::{PendingGroup, Placed};
use super::measures;
use super::writer::Shared;
use crate::domain::{EntryIndex, Hash32, Origin};
use crate::ledger::checkpoint::{Checkpoint, SignedCheckpoint};
use crate::ledger::frame::Group;
use crate::ledger::hash::leaf_hash;
use crate::ledger::keys::SigningKey;
use crate::ledger::tree::Frontier;
use crate::limits::{MAX_UNGUARDED_GROUPS, MAX_UNSYNCED_BYTES};
use crate::store::{FaultPoint, Store, StoreFault, give_way};

/// A request that has its place in a group.
pub(super) struct Waiting {
    pub(super) reply: oneshot::Sender<Result<Answer, BatchError>>,
    pub(super) placed: Vec<Placed>,
    /// When the writer took it up.
    pub(super) taken: Instant,
}

/// What a request is told.
#[derive(Debug)]
pub struct Answer {
    /// Where its events lie.
    pub placed: Vec<Placed>,
    /// The group that the new ones are in.
    pub fresh: Option<Arc<FreshGroup>>,
}

/// What the committer is to do.
pub(super) enum Work {
    /// A group, maybe an empty one, and who waits for it and for all before it.
    Commit(Box<PendingGroup>, Vec<Waiting>),
    /// Nothing comes: make the database durable.
    Sync,
}

/// Makes groups last.
pub(super) struct Committer {
    pub(super) store: Arc<Store>,
    pub(super) origin: Origin,
    pub(super) ledger_key: Arc<SigningKey>,
    pub(super) frontier: Frontier,
    pub(super) checkpoint: Option<SignedCheckpoint>,
    pub(super) shared: Arc<Shared>,
    pub(super) unsynced_bytes: usize,
}

/// A committer at work in a thread of its own.
pub(super) struct Line {
    work: Sender<Work>,
    /// A word for each group, in order.
    pub(super) done: Receiver<Result<(), NodeFault>>,
    thread: JoinHandle<()>,
}

impl Line {
    /// Starts it. Who hands over a group waits until the one before is committed.
    pub(super) fn start(committer: Committer) -> Result<Self, NodeFault> {
        let (work, orders) = bounded(0);
        // One that is committed, and one that is handed over before its end was heard of.
        let (tell, done) = bounded(2);
        let thread = std::thread::Builder::new()
            .name("committer".to_owned())
            .spawn(move || committer.run(&orders, &tell))
            .map_err(NodeFault::Thread)?;
        Ok(Self { work, done, thread })
    }

    /// Hands over work; waits while there is enough of it. What cannot be handed over, because the
    /// committer stopped at a fault, comes back.
    pub(super) fn hand_over(&self, work: Work) -> Result<(), Work> {
        self.work.send(work).map_err(|refused| refused.0)
    }

    /// Lets it finish what it has, and make the database durable.
    pub(super) fn finish(self) {
        let Self { work, done, thread } = self;
        drop(work);
        // Else it could wait for somebody to listen.
        drop(done);
        let _ = thread.join();
    }
}

impl Committer {
    fn run(mut self, orders: &Receiver<Work>, tell: &Sender<Result<(), NodeFault>>) {
        let syncer = Hand::tidying(&self.store, &self.shared)
            .and_then(|tidier| Hand::syncing(&self.store, &self.shared, tidier));
        let guardian = Guardian::start(&self.store, &self.shared, self.checkpoint.clone());
        let (syncer, guardian) = match (syncer, guardian) {
            (Ok(syncer), Ok(guardian)) => (syncer, guardian),
            (Err(fault), _) | (_, Err(fault)) => {
                self.shared.is_poisoned.store(true, Ordering::SeqCst);
                let _ = tell.send(Err(fault));
                return;
            }
        };
        while let Ok(work) = orders.recv() {
            let (group, waiting) = match work {
                Work::Commit(group, waiting) => (group, waiting),
                Work::Sync => {
                    self.sync_soon(&syncer, 0);
                    continue;
                }
            };
            let first = group.first;
            let outcome = self.pass(*group, waiting, &guardian);
            let failed = outcome.is_err();
            let _ = tell.send(outcome);
            if failed {
                refuse_rest(orders, first);
                break;
            }
            self.sync_soon(&syncer, MAX_UNSYNCED_BYTES);
        }
        guardian.finish();
        syncer.finish();
    }

    /// Commits a group and leaves the rest of it to the guardian; what it is told, it tells.
    fn pass(
        &mut self,
        mut group: PendingGroup,
        waiting: Vec<Waiting>,
        guardian: &Guardian,
    ) -> Result<(), NodeFault> {
        let begun = Instant::now();
        let piece = group.take_piece();
        let committed =
            if group.entries.is_empty() { Ok(None) } else { self.commit(group).map(Some) };
        match committed {
            Ok(group) => {
                // Nobody takes it before its entries are under a size that was told.
                self.shared.feed.give(piece);
                guardian.guard(Committed { group, waiting, begun })
            }
            Err(fault) => {
                self.shared.is_poisoned.store(true, Ordering::SeqCst);
                tell_unclear(waiting);
                Err(fault)
            }
        }
    }

    /// The one function that makes entries last. See the module's list for what a crash in it
    /// means.
    fn commit(&mut self, mut pending: PendingGroup) -> Result<FreshGroup, NodeFault> {
        let previous = self.checkpoint.as_ref().map(|it| it.as_bytes().to_vec());
        let group = Group {
            first: pending.first,
            previous_checkpoint: previous.unwrap_or_default().into(),
            entries: std::mem::take(&mut pending.entries),
        };
        self.store.journal_append(&group)?;
        self.store.write_group(&pending.rows(&group))?;
        let PendingGroup { first, leaves, bytes, .. } = pending;
        self.read_back(&group, &leaves)?;

        for leaf in &leaves {
            self.frontier.push(*leaf);
        }
        self.store.fault(FaultPoint::BeforeSign)?;
        let size = self.frontier.size();
        let root = self.frontier.root();
        let checkpoint = Checkpoint { origin: self.origin.clone(), size, root };
        let signed = checkpoint.sign(&self.ledger_key);
        self.store.fault(FaultPoint::AfterSign)?;
        self.store.write_checkpoint(size, signed.as_bytes())?;
        metrics::histogram!(measures::JOURNAL_SYNC_SECONDS).record(self.store.last_journal_sync());
        let entries = u32::try_from(leaves.len()).unwrap_or(u32::MAX);
        metrics::histogram!(measures::GROUP_ENTRIES).record(f64::from(entries));
        self.checkpoint = Some(signed.clone());
        self.unsynced_bytes += bytes;
        debug!(entries = leaves.len(), size = size.0, "committed a group");
        let entries = group.entries;
        let proofs = Vec::new();
        Ok(FreshGroup { first, size, root, checkpoint: signed, entries, leaves, proofs })
    }

    /// Commits a group and guards it, where no thread is at work yet.
    pub(super) fn commit_alone(&mut self, group: PendingGroup) -> Result<(), NodeFault> {
        let guarded = self.checkpoint.clone();
        let fresh = self.commit(group)?;
        guard(&self.store, &self.shared, guarded.as_ref(), &fresh)
    }

    /// What is signed was read back from where it will be read from now on.
    fn read_back(&self, group: &Group, leaves: &[Hash32]) -> Result<(), NodeFault> {
        let stored = self.store.entries_as_they_lie(group.first, group.entries.len())?;
        for (position, leaf) in leaves.iter().enumerate() {
            let index = EntryIndex(group.first.0 + position as u64);
            let same = stored.get(position).is_some_and(|bytes| leaf_hash(bytes) == *leaf);
            if !same {
                return Err(NodeFault::ReadBack { index });
            }
        }
        Ok(())
    }

    /// Has the database made durable, beside the groups that follow, when more than so many bytes
    /// of entries are not. When the sync before takes so long that twice the limit came, it waits.
    fn sync_soon(&mut self, syncer: &Hand, more_than: usize) {
        let must_wait = self.unsynced_bytes > 2 * MAX_UNSYNCED_BYTES;
        if self.unsynced_bytes > more_than && syncer.ask(must_wait) {
            self.unsynced_bytes = 0;
        }
    }
}

/// Moves the head guard on and has the size known: what is under the checkpoint is told from now
/// on.
fn guard(
    store: &Store,
    shared: &Shared,
    guarded: Option<&SignedCheckpoint>,
    fresh: &FreshGroup,
) -> Result<(), NodeFault> {
    store.guard_advance(guarded.map(SignedCheckpoint::as_bytes), fresh.checkpoint.as_bytes())?;
    store.fault(FaultPoint::BeforeReply)?;
    // Whoever follows the ledger wakes up.
    shared.size.send_replace(fresh.size);
    Ok(())
}

/// A group that is in journal and database, under a checkpoint (none when it was empty).
struct Committed {
    group: Option<FreshGroup>,
    waiting: Vec<Waiting>,
    begun: Instant,
}

/// Moves the head guard and tells the callers, in a thread of its own.
struct Guardian {
    groups: Sender<Committed>,
    thread: JoinHandle<()>,
}

impl Guardian {
    fn start(
        store: &Arc<Store>,
        shared: &Arc<Shared>,
        guarded: Option<SignedCheckpoint>,
    ) -> Result<Self, NodeFault> {
        let (groups, committed) = bounded(MAX_UNGUARDED_GROUPS);
        let (store, shared) = (Arc::clone(store), Arc::clone(shared));
        let work = move || watch_over(&store, &shared, guarded, &committed);
        let builder = std::thread::Builder::new().name("guardian".to_owned());
        let thread = builder.spawn(work).map_err(NodeFault::Thread)?;
        Ok(Self { groups, thread })
    }

    fn guard(&self, group: Committed) -> Result<(), NodeFault> {
        self.groups.send(group).map_err(|refused| {
            // It stopped at a fault of its own, which it has told: this group is in the journal.
            tell_unclear(refused.0.waiting);
            NodeFault::Store(StoreFault::Poisoned)
        })
    }

    fn finish(self) {
        drop(self.groups);
        let _ = self.thread.join();
    }
}

fn watch_over(
    store: &Store,
    shared: &Shared,
    mut guarded: Option<SignedCheckpoint>,
    committed: &Receiver<Committed>,
) {
    while let Ok(first) = committed.recv() {
        let mut groups: Vec<Committed> =
            std::iter::once(first).chain(committed.try_iter()).collect();
        for fresh in groups.iter_mut().filter_map(|it| it.group.as_mut()) {
            // Once for all callers of the group, while the next one is committed.
            if let Err(fault) = fresh.prove(store) {
                error!(fault = chain_of(&fault), "the proofs of a group cannot be made");
            }
        }
        let newest = groups.iter().rev().find_map(|it| it.group.as_ref());
        let outcome = newest.map_or(Ok(()), |fresh| guard(store, shared, guarded.as_ref(), fresh));
        if let Err(fault) = outcome {
            let fault = chain_of(&fault);
            error!(fault, "the head guard does not move; restart to find out what is on disk");
            shared.is_poisoned.store(true, Ordering::SeqCst);
            // What comes later is in the journal and under no guard.
            for group in groups.into_iter().chain(committed) {
                tell_unclear(group.waiting);
            }
            return;
        }
        guarded = newest.map(|fresh| fresh.checkpoint.clone()).or(guarded);
        for group in groups {
            let fresh = group.group.map(Arc::new);
            metrics::histogram!(measures::COMMIT_SECONDS).record(group.begun.elapsed());
            if let Some(first) = group.waiting.first() {
                shared.answer_time.note(first.taken.elapsed());
            }
            for caller in group.waiting {
                // A crash before this line: recorded, and the client gets its receipt when it asks
                // again.
                let fresh = fresh.clone();
                let _ = caller.reply.send(Ok(Answer { placed: caller.placed, fresh }));
            }
        }
    }
}

fn tell_unclear(waiting: Vec<Waiting>) {
    for caller in waiting {
        let _ = caller.reply.send(Err(unclear(&caller.placed)));
    }
}

/// A thread that does one thing to the database when it is asked, beside the groups that follow:
/// nobody waits for it, because durability is the journal's.
struct Hand {
    ask: Sender<()>,
    thread: JoinHandle<()>,
}

impl Hand {
    /// Makes the database durable, and has it put in order after that.
    fn syncing(store: &Arc<Store>, shared: &Arc<Shared>, tidier: Self) -> Result<Self, NodeFault> {
        let (of, ask_tidier) = (Arc::clone(store), tidier.ask.clone());
        let work = move || {
            of.sync()?;
            // One that waits already begins after now, too.
            let _ = ask_tidier.try_send(());
            Ok(())
        };
        Self::start("syncer", shared, work, move || tidier.finish())
    }

    /// Puts the database in order; gives up when the node stops.
    fn tidying(store: &Arc<Store>, shared: &Arc<Shared>) -> Result<Self, NodeFault> {
        let (of, state) = (Arc::clone(store), Arc::clone(shared));
        let work = move || {
            give_way();
            // Each turn leaves fewer parts.
            while of.tidy(&state.is_closing)? {}
            Ok(())
        };
        Self::start("tidier", shared, work, || {})
    }

    fn start(
        name: &'static str,
        shared: &Arc<Shared>,
        work: impl Fn() -> Result<(), StoreFault> + Send + 'static,
        at_end: impl FnOnce() + Send + 'static,
    ) -> Result<Self, NodeFault> {
        let (ask, asked) = bounded::<()>(1);
        let shared = Arc::clone(shared);
        let body = move || {
            while asked.recv().is_ok() {
                // sled panics on what it does not understand, and nobody must wait for us then.
                let outcome = catch_unwind(AssertUnwindSafe(&work));
                let fault = match outcome {
                    Ok(Ok(())) => continue,
                    Ok(Err(fault)) => chain_of(&fault),
                    Err(_) => "it panicked".to_owned(),
                };
                error!(fault, name, "the database fails; restart to find out what is on disk");
                shared.is_poisoned.store(true, Ordering::SeqCst);
                break;
            }
            drop(work);
            at_end();
        };
        let builder = std::thread::Builder::new().name(name.to_owned());
        let thread = builder.spawn(body).map_err(NodeFault::Thread)?;
        Ok(Self { ask, thread })
    }

    /// Whether this request, which begins after now, was taken. One that waits already begins after
    /// now, too.
    fn ask(&self, must: bool) -> bool {
        match self.ask.try_send(()) {
            Ok(()) => true,
            Err(TrySendError::Full(())) if must => self.ask.send(()).is_ok(),
            Err(_) => false,
        }
    }

    fn finish(self) {
        drop(self.ask);
        let _ = self.thread.join();
    }
}

/// Nothing of what was behind the group that failed is on disk; but what names that group's entries
/// is as unclear as they are.
fn refuse_rest(orders: &Receiver<Work>, failed: EntryIndex) {
    while let Ok(work) = orders.recv() {
        let Work::Commit(_, waiting) = work else { continue };
        for caller in waiting {
            let names = |place: &Placed| matches!(place, Placed::Before(at) if *at >= failed);
            let error = if caller.placed.iter().any(names) {
                unclear(&caller.placed)
            } else {
                BatchError::whole(AppendError::Poisoned)
            };
            let _ = caller.reply.send(Err(error));
        }
    }
}

/// The first event of a request that is in doubt; none when all of them were in the group or the
/// ledger before this request.
fn unclear(placed: &[Placed]) -> BatchError {
    let position = placed.iter().position(|place| matches!(place, Placed::New(_)));
    BatchError { position, error: AppendError::Indeterminate }
}
