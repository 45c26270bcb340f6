//! The writer: one plain thread that decides the order.
//!
//! A request waits in a bounded mailbox. The writer takes what is there, judges it over the state
//! as all before has left it, and seals it into a [`PendingGroup`]. The group goes to the committer
//! (`node/committer.rs`), which makes it last and answers, while the next one is judged over it.
//! The group grows for as long as the committer is busy: that is how it adapts to load. Where calls
//! come together (the last group had several), groups keep a distance besides, in which the writer
//! sleeps and is not woken for each call; a caller who is alone is never kept waiting.
//!
//! *A crash here:* nothing of what is judged is on disk, and nobody was told of it.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use crossbeam_channel::{Receiver, RecvError};
use tokio::sync::{oneshot, watch};
use tracing::{debug, error, info};

use super::admission::Admitted;
use super::clock::Clock;
use super::collector::Cosigned;
use super::committer::{Answer, Committer, Line, Waiting, Work};
use super::error::{AppendError, BatchError, NodeFault, chain_of};
use super::feed::Feed;
use super::group::{Head, PendingGroup, Placed, Refused, Unsaid};
use super::listener::{AnswerTime, Listener};
use super::lot_state::Unstated;
use super::overlay::Unwritten;
use super::recent::Recent;
use super::statement;
use super::veil::Veil;
use crate::domain::effects::View;
use crate::domain::memory::MemoryState;
use crate::domain::sight::Onlooker;
use crate::domain::vocabulary::OriginKinds;
use crate::domain::{EntryCount, EntryIndex, Hash32, Origin, TimeMs};
use crate::ledger::keys::SigningKey;
use crate::ledger::lot_map::MapUpdate;
use crate::limits::{ENTRY_HEADER_BYTES, LOT_LINK_BYTES};
use crate::limits::{
    GROUP_PACE_MS, IDLE_SYNC_MS, MAX_CLOCK_STEP_BACK_MS, MAX_ENTRY_BYTES, MAX_GROUP_BYTES,
    MAX_GROUP_ENTRIES, MAX_LOTS_PER_EVENT, MAX_MAILBOX_REQUESTS,
};
use crate::store::{Store, StoreFault};

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
    /// Whether anybody waits for it.
    pub listener: Listener,
    /// Its place in the mailbox, for as long as it waits.
    pub place: MailboxPlace,
    /// Where the answer goes; a caller that hung up is not missed.
    pub reply: oneshot::Sender<Result<Answer, BatchError>>,
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
    /// Events on their way to the book.
    pub feed: Feed,
    /// How long answers of the writer take.
    pub answer_time: AnswerTime,
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
        let (feed, answer_time) = (Feed::default(), AnswerTime::default());
        Self {
            is_poisoned,
            is_closing,
            waiting,
            size,
            cosigned,
            recent,
            feed,
            answer_time,
            recycled,
        }
    }
}

/// The one that decides.
pub struct Writer {
    pub(super) store: Arc<Store>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) head: Head,
    pub(super) shared: Arc<Shared>,
    pub(super) unstated: Unstated,
    pub(super) committer: Committer,
}

/// The writer's thread, with the committer at work beside it.
struct Sequencer {
    store: Arc<Store>,
    shared: Arc<Shared>,
    origin: Origin,
    ledger_key: Arc<SigningKey>,
    clock: Arc<dyn Clock>,
    head: Head,
    unstated: Unstated,
    line: Line,
    /// What groups change that the committer has, oldest first.
    unwritten: VecDeque<Arc<MemoryState>>,
    /// Until when the next group gathers calls; `None` after one with a single call.
    gathers_until: Option<Instant>,
}

/// How a turn of the writer ended.
enum Turn {
    GoesOn,
    /// Nobody can ask for anything any more.
    IsClosed,
}

/// A group in the making, and who waits for it.
struct Forming {
    group: PendingGroup,
    waiting: Vec<Waiting>,
    /// Requests that were looked at. Those that add nothing to the group (refused, judged only,
    /// recorded before) never fill it, so they are counted: whoever waits in it must not wait for
    /// ever.
    taken: usize,
}

impl Writer {
    /// Works until the mailbox is closed and empty, or a write fails.
    pub fn run(self, mailbox: &Receiver<Request>) {
        let Self { store, clock, head, shared, unstated, committer } = self;
        let (origin, ledger_key) = (committer.origin.clone(), Arc::clone(&committer.ledger_key));
        let told = Arc::clone(&shared);
        let ended = Line::start(committer).and_then(|line| {
            let unwritten = VecDeque::new();
            let gathers_until = None;
            let mut sequencer = Sequencer {
                store,
                shared: told,
                origin,
                ledger_key,
                clock,
                head,
                unstated,
                line,
                unwritten,
                gathers_until,
            };
            let ended = sequencer.work(mailbox);
            // What it has, it finishes.
            sequencer.line.finish();
            ended
        });
        if let Err(fault) = ended {
            let fault = chain_of(&fault);
            error!(fault, "the writer stops; restart to find out what is on disk");
            shared.is_poisoned.store(true, Ordering::SeqCst);
            // Whoever waits is told that nothing was recorded; whoever calls later is told by the
            // handle.
            while let Ok(request) = mailbox.recv() {
                let _ = request.reply.send(Err(BatchError::whole(AppendError::Poisoned)));
            }
        }
    }

    /// Entries written so far.
    pub fn size(&self) -> EntryCount {
        EntryCount(self.head.next.0)
    }

    /// Makes the database durable.
    pub(super) fn sync(&mut self) -> Result<(), NodeFault> {
        self.store.sync()?;
        self.committer.unsynced_bytes = 0;
        Ok(())
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
        let Committer { origin, ledger_key, .. } = &self.committer;
        let envelope = statement::rotation(origin, ledger_key, &next);
        self.state(&envelope)?;
        self.committer.ledger_key = Arc::new(next);
        self.note()?;
        Ok(index)
    }

    /// The key in force says that it is there.
    pub(super) fn note(&mut self) -> Result<(), NodeFault> {
        let envelope = statement::note(&self.committer.origin, &self.committer.ledger_key);
        self.state(&envelope)
    }

    /// Commits a statement, as a group of its own.
    fn state(&mut self, envelope: &Bytes) -> Result<(), NodeFault> {
        let now = now(&*self.clock, &self.head)?;
        let group = group_stating(&*self.store, &self.head, now, envelope, None)?;
        self.commit_first(group)
    }

    /// Commits a group outside of the loop: the genesis, and what is said on a stopped node.
    pub(super) fn commit_first(&mut self, group: PendingGroup) -> Result<(), NodeFault> {
        let head = group.head.clone();
        self.committer.commit_alone(group)?;
        self.head = head;
        Ok(())
    }
}

impl Forming {
    fn at(head: Head) -> Self {
        Self { group: PendingGroup::new(head), waiting: Vec::new(), taken: 0 }
    }

    /// Whether a request is still taken in.
    fn takes(&self, request: &Request) -> bool {
        self.taken < MAX_MAILBOX_REQUESTS && fits(&self.group, request)
    }
}

impl Sequencer {
    fn work(&mut self, mailbox: &Receiver<Request>) -> Result<(), NodeFault> {
        let (mut forming, mut carried) = (None, None);
        // Each turn takes in a request, hands over a group, or waits.
        let ended = loop {
            match self.turn(mailbox, &mut forming, &mut carried) {
                Ok(Turn::GoesOn) => {}
                Ok(Turn::IsClosed) => break Ok(()),
                Err(fault) => break Err(fault),
            }
        };
        if let Err(fault) = ended {
            refuse(forming, carried);
            return Err(fault);
        }
        if self.unstated.is_due_at_stop(self.head.next) {
            self.state_lots()?;
        }
        self.drain()?;
        drop(self.line.hand_over(Work::Sync));
        info!(entries = self.head.next.0, "the writer has written everything and stops");
        Ok(())
    }

    fn turn(
        &mut self,
        mailbox: &Receiver<Request>,
        forming: &mut Option<Forming>,
        carried: &mut Option<Request>,
    ) -> Result<Turn, NodeFault> {
        while let Ok(told) = self.line.done.try_recv() {
            self.settle(Ok(told))?;
        }
        // Between two groups, so that a mailbox which is never empty does not put it off for ever.
        if forming.is_none() && self.unstated.is_due(self.head.next) {
            self.state_lots()?;
            return Ok(Turn::GoesOn);
        }
        // A piece at a time: nobody waits long for it, and little is left for the statement.
        self.unstated.fold_some(&self.store, true)?;
        if let Some(request) = carried.take().or_else(|| mailbox.try_recv().ok()) {
            let group = forming.get_or_insert_with(|| Forming::at(self.head.clone()));
            if group.takes(&request) {
                self.judge(group, request)?;
            } else {
                *carried = Some(request);
                self.hand_over(forming.take())?;
            }
            return Ok(Turn::GoesOn);
        }
        if let Some(until) = self.gathers_until {
            if !self.unstated.fold_some(&self.store, false)? {
                std::thread::sleep(until.saturating_duration_since(Instant::now()));
                self.gathers_until = None;
            }
            return Ok(Turn::GoesOn);
        }
        if self.unwritten.is_empty() && forming.is_some() {
            self.hand_over(forming.take())?;
            return Ok(Turn::GoesOn);
        }
        // Nobody waits for anything that could be done now.
        if self.unstated.fold_some(&self.store, false)? {
            return Ok(Turn::GoesOn);
        }
        crossbeam_channel::select! {
            recv(mailbox) -> request => {
                let Ok(request) = request else {
                    self.hand_over(forming.take())?;
                    return Ok(Turn::IsClosed);
                };
                *carried = Some(request);
            },
            recv(self.line.done) -> told => self.settle(told)?,
            default(Duration::from_millis(IDLE_SYNC_MS)) => drop(self.line.hand_over(Work::Sync)),
        }
        Ok(Turn::GoesOn)
    }

    /// Hears that the oldest group is committed.
    fn settle(&mut self, told: Result<Result<(), NodeFault>, RecvError>) -> Result<(), NodeFault> {
        // A committer that is gone without a word panicked; what it had is unclear to its callers.
        told.map_err(|_| NodeFault::Store(StoreFault::Poisoned))??;
        self.unwritten.pop_front();
        Ok(())
    }

    /// Waits until all is written.
    fn drain(&mut self) -> Result<(), NodeFault> {
        while !self.unwritten.is_empty() {
            let told = self.line.done.recv();
            self.settle(told)?;
        }
        Ok(())
    }

    /// Gives a group to the committer, and goes on behind it.
    fn hand_over(&mut self, forming: Option<Forming>) -> Result<(), NodeFault> {
        let Some(Forming { group, waiting, .. }) = forming else { return Ok(()) };
        if group.entries.is_empty() && waiting.is_empty() {
            return Ok(());
        }
        self.head = group.head.clone();
        let pace = Duration::from_millis(GROUP_PACE_MS);
        self.gathers_until = (waiting.len() > 1).then(|| Instant::now() + pace);
        let changes = Arc::clone(&group.changes);
        match self.line.hand_over(Work::Commit(Box::new(group), waiting)) {
            Ok(()) => {
                self.unstated.note(&changes.lots);
                self.unwritten.push_back(changes);
                Ok(())
            }
            Err(refused) => {
                // It was not begun.
                if let Work::Commit(_, waiting) = refused {
                    tell_poisoned(waiting);
                }
                self.drain()?;
                Err(NodeFault::Store(StoreFault::Poisoned))
            }
        }
    }

    fn judge(&mut self, forming: &mut Forming, request: Request) -> Result<(), NodeFault> {
        let Request { batch, purpose, onlooker, listener, reply, .. } = request;
        forming.taken += 1;
        if self.is_in_vain(&listener, purpose) {
            let _ = reply.send(Err(BatchError::whole(AppendError::Busy)));
            return Ok(());
        }
        let taken = Instant::now();
        let ready = if onlooker != Onlooker::Everything && self.repeats_unwritten(&batch) {
            // Whether it may have that receipt is read from the store.
            self.drain()
        } else {
            Ok(())
        };
        let now = match ready.and_then(|()| now(&*self.clock, &forming.group.head)) {
            Ok(now) => now,
            Err(fault) => {
                let _ = reply.send(Err(BatchError::whole(AppendError::Poisoned)));
                return Err(fault);
            }
        };
        let Forming { group, waiting, .. } = forming;
        let base = Unwritten { base: &*self.store, layers: &self.unwritten };
        let verdict = match self.refused_repeat(onlooker, &batch) {
            Ok(None) => match purpose {
                Purpose::Record => group.add(&base, &batch, now),
                Purpose::Validate => group.check(&base, &batch, now),
            },
            Ok(Some(refused)) => Err(Refused::Caller(refused)),
            Err(fault) => Err(Refused::Unreadable(fault)),
        };
        let verdict = match verdict {
            Err(Refused::Caller(error)) => match self.veiled(onlooker, &batch, now, error) {
                Ok(refused) => Err(refused),
                Err(fault) => {
                    let _ = reply.send(Err(BatchError::whole(AppendError::Poisoned)));
                    return Err(fault);
                }
            },
            other => other,
        };
        match (verdict, purpose) {
            (Ok(placed), Purpose::Record) => {
                group.keep_events(batch, &placed);
                waiting.push(Waiting { reply, placed, taken });
            }
            (Ok(placed), Purpose::Validate) => {
                drop(reply.send(Ok(Answer { placed, fresh: None })));
            }
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

    /// Whether an answer would come too late: under load the work for it would make those behind it
    /// late as well. Nothing has begun, so whoever asks again gets its answer.
    fn is_in_vain(&self, listener: &Listener, purpose: Purpose) -> bool {
        if !listener.waits(Duration::ZERO) {
            return true;
        }
        // Where nothing is on its way, what others waited for tells nothing.
        if purpose == Purpose::Validate || self.unwritten.is_empty() {
            return false;
        }
        let time = &self.shared.answer_time;
        // Every other answer takes longer than is expected, few twice as long.
        let is_late = !listener.waits(2 * time.expected());
        if is_late {
            time.doubt();
        }
        is_late
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
    /// not see, over what is written. Where those would pass, the refusal stands: ids that are
    /// taken, and what others did to what the onlooker's own event made, cannot be hidden from
    /// whoever asks for them.
    fn veiled(
        &mut self,
        onlooker: Onlooker,
        batch: &[Admitted],
        now: TimeMs,
        error: BatchError,
    ) -> Result<Refused<StoreFault>, NodeFault> {
        let tells_of_state =
            matches!(error.error, AppendError::Rejected(_) | AppendError::Signature { .. });
        if onlooker == Onlooker::Everything || !tells_of_state {
            return Ok(Refused::Caller(error));
        }
        self.drain()?;
        let veil = match Veil::new(&self.store, onlooker, batch) {
            Ok(veil) => veil,
            Err(fault) => return Ok(Refused::Unreadable(fault)),
        };
        Ok(match PendingGroup::new(self.head.clone()).check(&veil, batch, now) {
            Ok(_) => Refused::Caller(error),
            Err(refused) => refused,
        })
    }

    /// Whether an event is in a group that is not written yet.
    fn repeats_unwritten(&self, batch: &[Admitted]) -> bool {
        let is_there = |id| self.unwritten.iter().any(|changes| changes.events.contains_key(&id));
        batch.iter().any(|admitted| is_there(admitted.event().id))
    }

    /// The ledger says how far the life of every lot got. *A crash before its journal write: it is
    /// said later, over more entries. A crash after: the next start reckons the map again, and
    /// holds it against what was said.*
    fn state_lots(&mut self) -> Result<(), NodeFault> {
        let begun = Instant::now();
        let at = self.head.next;
        if !self.unstated.is_last_written(&self.store) {
            self.drain()?;
        }
        // While the committer has the groups before: what they link was noted.
        let map = self.unstated.map(&self.store)?;
        let tiles = map.tiles.len();
        let envelope = statement::lots(&self.origin, &self.ledger_key, at, map.root);
        let now = now(&*self.clock, &self.head)?;
        let base = Unwritten { base: &*self.store, layers: &self.unwritten };
        let group = group_stating(&base, &self.head, now, &envelope, Some(map))?;
        self.hand_over(Some(Forming { group, waiting: Vec::new(), taken: 0 }))?;
        self.unstated.stated(at);
        let micros = begun.elapsed().as_micros();
        debug!(entry = at.0, tiles, micros, "stated the lots");
        Ok(())
    }
}

/// Whoever waits for what will not be committed.
fn refuse(forming: Option<Forming>, carried: Option<Request>) {
    tell_poisoned(forming.map(|it| it.waiting).unwrap_or_default());
    if let Some(request) = carried {
        let _ = request.reply.send(Err(BatchError::whole(AppendError::Poisoned)));
    }
}

/// Nothing of it was begun. What names events of a group before, which may be in doubt, is in
/// doubt.
fn tell_poisoned(waiting: Vec<Waiting>) {
    for caller in waiting {
        let names = caller.placed.iter().any(|place| matches!(place, Placed::Before(_)));
        let error = if names { AppendError::Indeterminate } else { AppendError::Poisoned };
        let _ = caller.reply.send(Err(BatchError::whole(error)));
    }
}

/// The clock; a leap backwards would let the ledger's own times lie.
fn now(clock: &dyn Clock, head: &Head) -> Result<TimeMs, NodeFault> {
    let (now, last) = (clock.now(), head.recorded_at);
    if now.get().saturating_add(MAX_CLOCK_STEP_BACK_MS) < last.get() {
        return Err(NodeFault::ClockSteppedBack { now, last });
    }
    Ok(now)
}

/// A statement as a group of its own, over all before it.
fn group_stating(
    base: &impl View<Fault = StoreFault>,
    head: &Head,
    now: TimeMs,
    envelope: &Bytes,
    lots: Option<MapUpdate>,
) -> Result<PendingGroup, NodeFault> {
    let mut group = PendingGroup::new(head.clone());
    group.state(base, envelope, now, lots).map_err(|unsaid| match unsaid {
        Unsaid::Statement(fault) => NodeFault::Statement(fault),
        Unsaid::Unreadable(fault) => NodeFault::Store(fault),
    })?;
    Ok(group)
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
