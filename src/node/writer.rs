//! The writer: one plain thread that decides the order and makes it last.
//!
//! A request waits in a bounded mailbox. The writer takes what is there, judges and seals it into
//! one [`PendingGroup`], and commits the group:
//!
//! 1. journal append, fdatasync. *A crash before: nobody was told, nothing is there. A crash after:
//!    the group is durable, and the next start replays it.*
//! 2. database write. *A crash here: replayed from the journal.*
//! 3. re-read and compare. *What cannot be read back is never signed.*
//! 4. sign the checkpoint, keep it. *A crash here: the next start signs the same bytes again.*
//! 5. head guard. *A crash before: the journal is ahead of the guard, which is fine.*
//! 6. reply. *A crash before: the client asks again, and R8 gives it the first receipt.*
//!
//! An error in 1 to 5 poisons the writer: its group's callers are told `Indeterminate`, everybody
//! after `Poisoned`, until a restart finds out what is on disk.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::{oneshot, watch};
use tracing::{debug, error, info};

use super::admission::Admitted;
use super::clock::Clock;
use super::collector::Cosigned;
use super::error::{AppendError, BatchError, NodeFault};
use super::group::{Head, PendingGroup, Placed, Refused, Unsaid};
use super::lot_state::{self, Unstated};
use super::recent::Recent;
use super::veil::Veil;
use super::{measures, statement};
use crate::domain::sight::Onlooker;
use crate::domain::vocabulary::OriginKinds;
use crate::domain::{EntryCount, EntryIndex, Hash32, Origin, TimeMs};
use crate::ledger::checkpoint::{Checkpoint, SignedCheckpoint};
use crate::ledger::frame::Group;
use crate::ledger::hash::leaf_hash;
use crate::ledger::keys::SigningKey;
use crate::ledger::lot_map::MapUpdate;
use crate::ledger::tree::Frontier;
use crate::limits::{ENTRY_HEADER_BYTES, LOT_LINK_BYTES};
use crate::limits::{
    IDLE_SYNC_MS, MAX_CLOCK_STEP_BACK_MS, MAX_ENTRY_BYTES, MAX_GROUP_BYTES, MAX_GROUP_ENTRIES,
    MAX_LOTS_PER_EVENT, MAX_MAILBOX_REQUESTS, MAX_UNSYNCED_BYTES,
};
use crate::store::{FaultPoint, GroupRows, Store, StoreFault};

/// What a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To be recorded.
    Record,
    /// To be judged only.
    Validate,
}

/// One call that waits for the writer.
pub struct Request {
    /// Its events, all or nothing.
    pub batch: Vec<Admitted>,
    /// What it is for.
    pub purpose: Purpose,
    /// For whose eyes the answer is.
    pub onlooker: Onlooker,
    /// Its place in the mailbox, for as long as it waits.
    pub place: MailboxPlace,
    /// Where the answer goes; a caller that hung up is not missed.
    pub reply: oneshot::Sender<Result<Vec<Placed>, BatchError>>,
}

/// One more that waits for the writer, until it is dropped.
pub struct MailboxPlace(Arc<Shared>);

impl MailboxPlace {
    /// Counts.
    pub fn take(shared: Arc<Shared>) -> Self {
        shared.waiting.fetch_add(1, Ordering::Relaxed);
        Self(shared)
    }
}

impl Drop for MailboxPlace {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What the writer shares with those who call it.
#[derive(Debug)]
pub struct Shared {
    /// A write failed: nothing is recorded until a restart.
    pub is_poisoned: AtomicBool,
    /// The node stops.
    pub is_closing: AtomicBool,
    /// Requests that wait for the writer.
    pub waiting: AtomicUsize,
    /// Entries under the last checkpoint; who follows the ledger waits for it to change.
    pub size: watch::Sender<EntryCount>,
    /// The newest checkpoint that a quorum of witnesses cosigned. The writer never looks at it.
    pub cosigned: RwLock<Option<Cosigned>>,
    /// What walks read, in memory. The writer never looks at it either.
    pub recent: Recent,
    /// The origin kinds that a table set counts as recycled, of the set that was asked for last.
    pub recycled: RwLock<Option<(Hash32, OriginKinds)>>,
}

impl Shared {
    /// Of a node whose last checkpoint has so many entries.
    pub fn new(size: EntryCount) -> Self {
        let (is_poisoned, is_closing) = (AtomicBool::new(false), AtomicBool::new(false));
        let waiting = AtomicUsize::new(0);
        let (cosigned, recycled) = (RwLock::default(), RwLock::default());
        let (size, recent) = (watch::Sender::new(size), Recent::default());
        Self { is_poisoned, is_closing, waiting, size, cosigned, recent, recycled }
    }
}

/// The one that writes.
pub struct Writer {
    pub(super) store: Arc<Store>,
    pub(super) origin: Origin,
    pub(super) ledger_key: SigningKey,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) head: Head,
    pub(super) frontier: Frontier,
    pub(super) checkpoint: Option<SignedCheckpoint>,
    pub(super) shared: Arc<Shared>,
    pub(super) unsynced_bytes: usize,
    pub(super) unstated: Unstated,
}

/// A request that has its place in the group.
struct Waiting {
    reply: oneshot::Sender<Result<Vec<Placed>, BatchError>>,
    placed: Vec<Placed>,
}

impl Writer {
    /// Works until the mailbox is closed and empty, or a write fails.
    pub fn run(mut self, mailbox: &Receiver<Request>) {
        let fault = self.work(mailbox);
        if let Err(fault) = fault {
            let fault = chain_of(&fault);
            error!(fault, "the writer stops; restart to find out what is on disk");
            self.shared.is_poisoned.store(true, Ordering::SeqCst);
            // Whoever waits is told that nothing was recorded; whoever calls later is told by the
            // handle.
            while let Ok(request) = mailbox.recv() {
                let _ = request.reply.send(Err(BatchError::whole(AppendError::Poisoned)));
            }
        }
    }

    fn work(&mut self, mailbox: &Receiver<Request>) -> Result<(), NodeFault> {
        let idle = Duration::from_millis(IDLE_SYNC_MS);
        let mut carried = None;
        loop {
            let next = match carried.take() {
                Some(request) => Ok(request),
                None => mailbox.recv_timeout(idle),
            };
            match next {
                Ok(request) => carried = self.serve(request, mailbox)?,
                Err(RecvTimeoutError::Timeout) => self.sync()?,
                Err(RecvTimeoutError::Disconnected) => break,
            }
            // Behind the replies: nobody waits for it but who is served next.
            if self.unstated.is_due(self.head.next) {
                self.state_lots()?;
            }
        }
        if self.unstated.is_due_at_stop(self.head.next) {
            self.state_lots()?;
        }
        self.sync()?;
        info!(entries = self.head.next.0, "the writer has written everything and stops");
        Ok(())
    }

    /// Serves a request and what waits behind it, as one group; returns the one that did not fit.
    fn serve(
        &mut self,
        first: Request,
        mailbox: &Receiver<Request>,
    ) -> Result<Option<Request>, NodeFault> {
        let now = match self.now() {
            Ok(now) => now,
            Err(fault) => {
                let _ = first.reply.send(Err(BatchError::whole(AppendError::Poisoned)));
                return Err(fault);
            }
        };
        let mut group = PendingGroup::new(self.head.clone());
        let mut waiting = Vec::new();
        let mut next = Some(first);
        let mut carried = None;
        // Requests that add nothing to the group (refused, judged only, recorded before) never fill
        // it, so they are counted: whoever waits in it must not wait for ever.
        for _ in 0..MAX_MAILBOX_REQUESTS {
            let Some(request) = next.take() else { break };
            if !fits(&group, &request) {
                carried = Some(request);
                break;
            }
            self.judge(&mut group, request, now, &mut waiting)?;
            // Empty, or closed: the caller of this function finds out which.
            next = mailbox.try_recv().ok();
        }
        let carried = carried.or(next);
        match (self.finish(group, waiting), carried) {
            (Ok(()), carried) => Ok(carried),
            (Err(fault), None) => Err(fault),
            (Err(fault), Some(request)) => {
                // It was not begun.
                let _ = request.reply.send(Err(BatchError::whole(AppendError::Poisoned)));
                Err(fault)
            }
        }
    }

    /// The clock; a leap backwards would let the ledger's own times lie.
    fn now(&self) -> Result<TimeMs, NodeFault> {
        let (now, last) = (self.clock.now(), self.head.recorded_at);
        if now.get().saturating_add(MAX_CLOCK_STEP_BACK_MS) < last.get() {
            return Err(NodeFault::ClockSteppedBack { now, last });
        }
        Ok(now)
    }

    fn judge(
        &mut self,
        group: &mut PendingGroup,
        request: Request,
        now: TimeMs,
        waiting: &mut Vec<Waiting>,
    ) -> Result<(), NodeFault> {
        let Request { batch, purpose, onlooker, reply, .. } = request;
        let verdict = match self.refused_repeat(onlooker, &batch) {
            Ok(None) => match purpose {
                Purpose::Record => group.add(&*self.store, &batch, now),
                Purpose::Validate => group.check(&*self.store, &batch, now),
            },
            Ok(Some(refused)) => Err(Refused::Caller(refused)),
            Err(fault) => Err(Refused::Unreadable(fault)),
        };
        let verdict = match verdict {
            Err(Refused::Caller(error)) => Err(self.veiled(onlooker, &batch, now, error)),
            other => other,
        };
        match (verdict, purpose) {
            (Ok(placed), Purpose::Record) => waiting.push(Waiting { reply, placed }),
            (Ok(placed), Purpose::Validate) => drop(reply.send(Ok(placed))),
            (Err(Refused::Caller(error)), _) => drop(reply.send(Err(error))),
            (Err(Refused::Unreadable(fault)), _) => {
                let _ = reply.send(Err(BatchError::whole(AppendError::Unreadable)));
                // Nothing of this group is written; its callers are told so.
                for other in waiting.drain(..) {
                    let _ = other.reply.send(Err(BatchError::whole(AppendError::Unreadable)));
                }
                return Err(fault.into());
            }
        }
        Ok(())
    }

    /// An event that is recorded already and that the onlooker may not have the receipt of.
    fn refused_repeat(
        &self,
        onlooker: Onlooker,
        batch: &[Admitted],
    ) -> Result<Option<BatchError>, StoreFault> {
        if onlooker == Onlooker::Everything {
            return Ok(None);
        }
        Ok(Veil::new(&self.store, onlooker, &[])?.check_repeats(batch)?.err())
    }

    /// A refusal as an onlooker may know it: that of the same events where nothing is that it may
    /// not see. Where those would pass, the refusal stands: ids that are taken, and what others did
    /// to what the onlooker's own event made, cannot be hidden from whoever asks for them.
    fn veiled(
        &self,
        onlooker: Onlooker,
        batch: &[Admitted],
        now: TimeMs,
        error: BatchError,
    ) -> Refused<StoreFault> {
        let tells_of_state =
            matches!(error.error, AppendError::Rejected(_) | AppendError::Signature { .. });
        if onlooker == Onlooker::Everything || !tells_of_state {
            return Refused::Caller(error);
        }
        let veil = match Veil::new(&self.store, onlooker, batch) {
            Ok(veil) => veil,
            Err(fault) => return Refused::Unreadable(fault),
        };
        match PendingGroup::new(self.head.clone()).check(&veil, batch, now) {
            Ok(_) => Refused::Caller(error),
            Err(refused) => refused,
        }
    }

    fn finish(&mut self, group: PendingGroup, waiting: Vec<Waiting>) -> Result<(), NodeFault> {
        if !group.entries.is_empty()
            && let Err(fault) = self.commit(group)
        {
            self.shared.is_poisoned.store(true, Ordering::SeqCst);
            for caller in waiting {
                let _ = caller.reply.send(Err(unclear(&caller.placed)));
            }
            return Err(fault);
        }
        for caller in waiting {
            // A crash before this line: recorded, and the client gets its receipt when it asks
            // again.
            let _ = caller.reply.send(Ok(caller.placed));
        }
        if self.unsynced_bytes > MAX_UNSYNCED_BYTES {
            self.sync()?;
        }
        Ok(())
    }

    /// The one function that makes entries last. See the module's list for what a crash in it
    /// means.
    fn commit(&mut self, pending: PendingGroup) -> Result<(), NodeFault> {
        let PendingGroup { first, head, entries, leaves, bytes, .. } = pending;
        let previous = self.checkpoint.as_ref().map(|it| it.as_bytes().to_vec());
        let group = Group {
            first,
            previous_checkpoint: previous.clone().unwrap_or_default().into(),
            entries,
        };
        let begun = Instant::now();
        self.store.journal_append(&group)?;
        self.store.write_group(&GroupRows {
            group: &group,
            leaves: &leaves,
            chain: head.chain,
            changes: &pending.changes,
            retracted: &pending.retracted,
            trail: &pending.trail,
            sights: &pending.sights,
            lot_map: pending.lot_map.as_ref(),
        })?;
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
        self.store.guard_advance(previous.as_deref(), signed.as_bytes())?;
        self.store.fault(FaultPoint::BeforeReply)?;

        metrics::histogram!(measures::JOURNAL_SYNC_SECONDS).record(self.store.last_journal_sync());
        metrics::histogram!(measures::COMMIT_SECONDS).record(begun.elapsed());
        let entries = u32::try_from(leaves.len()).unwrap_or(u32::MAX);
        metrics::histogram!(measures::GROUP_ENTRIES).record(f64::from(entries));
        self.head = head;
        self.checkpoint = Some(signed);
        self.unsynced_bytes += bytes;
        // Whoever follows the ledger wakes up.
        self.shared.size.send_replace(size);
        debug!(entries = leaves.len(), size = size.0, "committed a group");
        Ok(())
    }

    /// What is signed was read back from where it will be read from now on.
    fn read_back(&self, group: &Group, leaves: &[crate::domain::Hash32]) -> Result<(), NodeFault> {
        let stored = self.store.entries(group.first, group.entries.len())?;
        for (position, leaf) in leaves.iter().enumerate() {
            let index = EntryIndex(group.first.0 + position as u64);
            let same = stored.get(position).is_some_and(|bytes| leaf_hash(bytes) == *leaf);
            if !same {
                return Err(NodeFault::ReadBack { index });
            }
        }
        Ok(())
    }

    fn sync(&mut self) -> Result<(), NodeFault> {
        if self.unsynced_bytes > 0 {
            self.store.sync()?;
            self.unsynced_bytes = 0;
        }
        Ok(())
    }

    /// Entries written so far.
    pub fn size(&self) -> EntryCount {
        EntryCount(self.head.next.0)
    }

    /// Hands the pen on. The old key signs the statement and the checkpoint that ends with it; then
    /// the next key signs a note and the checkpoint over it, so that everybody who knows the next
    /// key alone hears it vouch for all that was before.
    ///
    /// *A crash in the first group:* it is not there, or it is, and only the old key can sign its
    /// checkpoint: the next start asks for this again, with both keys. *A crash between the two:*
    /// the next key goes on; its first group is an ordinary one.
    pub(super) fn rotate(&mut self, next: SigningKey) -> Result<EntryIndex, NodeFault> {
        let index = self.head.next;
        let envelope = statement::rotation(&self.origin, &self.ledger_key, &next);
        self.state(&envelope, None)?;
        self.ledger_key = next;
        self.note()?;
        Ok(index)
    }

    /// The key in force says that it is there.
    pub(super) fn note(&mut self) -> Result<(), NodeFault> {
        let envelope = statement::note(&self.origin, &self.ledger_key);
        self.state(&envelope, None)
    }

    /// The ledger says how far the life of every lot got. *A crash before its journal write: it is
    /// said later, over more entries. A crash after: the next start reckons the map again, and
    /// holds it against what was said.*
    fn state_lots(&mut self) -> Result<(), NodeFault> {
        let begun = Instant::now();
        let at = self.head.next;
        let map = lot_state::map_before(&self.store, at)?;
        let tiles = map.tiles.len();
        let envelope = statement::lots(&self.origin, &self.ledger_key, at, map.root);
        self.state(&envelope, Some(map))?;
        self.unstated.stated(at);
        let micros = begun.elapsed().as_micros();
        debug!(entry = at.0, tiles, micros, "stated the lots");
        Ok(())
    }

    /// Commits a statement, as a group of its own.
    fn state(&mut self, envelope: &Bytes, lots: Option<MapUpdate>) -> Result<(), NodeFault> {
        let now = self.now()?;
        let mut group = PendingGroup::new(self.head.clone());
        group.state(&*self.store, envelope, now, lots).map_err(|unsaid| match unsaid {
            Unsaid::Statement(fault) => NodeFault::Statement(fault),
            Unsaid::Unreadable(fault) => NodeFault::Store(fault),
        })?;
        self.commit(group)
    }

    /// Commits a group outside of the loop: the genesis.
    pub(super) fn commit_first(&mut self, group: PendingGroup) -> Result<(), NodeFault> {
        self.commit(group)
    }
}

/// The first event of a request that is in doubt; none when all of them were in the group or the
/// ledger before this request.
fn unclear(placed: &[Placed]) -> BatchError {
    let position = placed.iter().position(|place| matches!(place, Placed::New(_)));
    BatchError { position, error: AppendError::Indeterminate }
}

/// Whether a request still fits the group; an empty group takes any request that the border let
/// pass.
fn fits(group: &PendingGroup, request: &Request) -> bool {
    const OVERHEAD: usize = ENTRY_HEADER_BYTES + MAX_LOTS_PER_EVENT * LOT_LINK_BYTES;
    const { assert!(OVERHEAD < MAX_ENTRY_BYTES) };
    let bytes: usize =
        request.batch.iter().map(|event| event.envelope_bytes().len() + OVERHEAD).sum();
    group.entries.is_empty()
        || (group.entries.len() + request.batch.len() <= MAX_GROUP_ENTRIES
            && group.bytes + bytes <= MAX_GROUP_BYTES)
}

fn chain_of(fault: &dyn std::error::Error) -> String {
    let mut text = fault.to_string();
    let mut source = fault.source();
    while let Some(inner) = source {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        source = inner.source();
    }
    text
}
