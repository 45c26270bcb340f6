//! A commit group in the making: requests are judged, sealed and kept until they are written
//! together.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;

use super::admission::Admitted;
use super::error::{AppendError, BatchError};
use super::feed::{Piece, Told};
use super::overlay::Overlay;
use super::statement::{self, StatementFault};
use crate::domain::apply::{Moment, RULES_VERSION, Refusal, Signed, apply, rotate_ledger_key};
use crate::domain::effects::{Effects, LotLink, View};
use crate::domain::fact::Fact;
use crate::domain::memory::MemoryState;
use crate::domain::sight::EntrySight;
use crate::domain::{EntryIndex, Event, EventId, Hash32, Rejection, Tables, TimeMs};
use crate::ledger::checkpoint::read_checkpoint;
use crate::ledger::entry::{Draft, EntryKind, Position, Sealed};
use crate::ledger::hash::{ChainValue, sha256};
use crate::ledger::lot_map::{EMPTY_MAP, MapUpdate};
use crate::store::{Group, GroupRows, Trail};
use crate::wire::statement::StatementBody;

/// Where the ledger ends, and what judges there.
#[derive(Clone)]
pub struct Head {
    /// The index of the next entry.
    pub next: EntryIndex,
    /// The chain value that it repeats.
    pub chain: ChainValue,
    /// The time of the last entry.
    pub recorded_at: TimeMs,
    /// The tables in force.
    pub tables: Option<Arc<Tables>>,
    /// Their hash.
    pub tables_hash: Hash32,
}

/// Entries that will be written together, and what they change.
pub struct PendingGroup {
    /// Where it begins.
    pub first: EntryIndex,
    /// The end, with the group.
    pub head: Head,
    /// The entries.
    pub entries: Vec<Bytes>,
    /// Their leaf hashes.
    pub leaves: Vec<Hash32>,
    /// All that they change, last values.
    pub changes: Arc<MemoryState>,
    /// Entries whose movements no longer count.
    pub retracted: Vec<EntryIndex>,
    /// What is kept of each entry.
    pub trail: Trail,
    /// What the entries let parties see, in their order.
    pub sights: Vec<EntrySight>,
    /// The map of lot states that it states.
    pub lot_map: Option<MapUpdate>,
    /// What each of its entries of events changed.
    changed: Vec<Changed>,
    /// Whether what earlier entries did to metal is among it.
    amends: bool,
    /// Its events, where somebody keeps them.
    events: Vec<Event>,
    /// Bytes of the entries.
    pub bytes: usize,
}

/// Where an event of a request lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placed {
    /// Sealed now.
    New(EntryIndex),
    /// Recorded before: its first receipt stands.
    Before(EntryIndex),
}

/// Why a request gets no place. The reader's fault is fatal for the writer, the other is the
/// caller's.
pub enum Refused<F> {
    /// Told to the caller.
    Caller(BatchError),
    /// The state cannot be read.
    Unreadable(F),
}

/// Why a statement gets no place.
pub enum Unsaid<F> {
    /// It is none of this ledger.
    Statement(StatementFault),
    /// The state cannot be read.
    Unreadable(F),
}

impl<F> From<StatementFault> for Unsaid<F> {
    fn from(fault: StatementFault) -> Self {
        Self::Statement(fault)
    }
}

impl PendingGroup {
    /// An empty group at the head.
    pub fn new(head: Head) -> Self {
        Self {
            first: head.next,
            head,
            entries: Vec::new(),
            leaves: Vec::new(),
            changes: Arc::default(),
            retracted: Vec::new(),
            trail: Trail::default(),
            sights: Vec::new(),
            lot_map: None,
            changed: Vec::new(),
            amends: false,
            events: Vec::new(),
            bytes: 0,
        }
    }

    /// What the store writes of it. `group`: its entries as they go into the journal.
    pub fn rows<'a>(&'a self, group: &'a Group) -> GroupRows<'a> {
        GroupRows {
            group,
            leaves: &self.leaves,
            chain: self.head.chain,
            changes: &self.changes,
            retracted: &self.retracted,
            trail: &self.trail,
            sights: &self.sights,
            lot_map: self.lot_map.as_ref(),
        }
    }

    /// Judges all events of a request as if they were to be recorded, and forgets them.
    pub fn check<V: View>(
        &self,
        base: &V,
        batch: &[Admitted],
        now: TimeMs,
    ) -> Result<Vec<Placed>, Refused<V::Fault>> {
        self.trial(base, now).run(batch)
    }

    fn trial<'a, V>(&'a self, base: &'a V, now: TimeMs) -> Trial<'a, V> {
        Trial {
            base,
            group: &self.changes,
            own: MemoryState::default(),
            head: self.head.clone(),
            sealed: Vec::new(),
            retracted: Vec::new(),
            trail: Trail::default(),
            sights: Vec::new(),
            changed: Vec::new(),
            amends: false,
            unrecorded: None,
            now: now.max(self.head.recorded_at),
        }
    }

    /// Judges and seals all events of a request, or none.
    pub fn add<V: View>(
        &mut self,
        base: &V,
        batch: &[Admitted],
        now: TimeMs,
    ) -> Result<Vec<Placed>, Refused<V::Fault>> {
        let mut trial = self.trial(base, now);
        let placed = trial.run(batch)?;
        let Trial { own, head, sealed, retracted, trail, sights, changed, amends, .. } = trial;
        self.head = head;
        // Nobody else has it yet.
        Arc::make_mut(&mut self.changes).merge(own);
        self.retracted.extend(retracted);
        self.trail.append(trail);
        self.sights.extend(sights);
        for entry in sealed {
            self.bytes += entry.bytes().len();
            self.leaves.push(entry.leaf());
            self.entries.push(entry.bytes().clone());
        }
        self.changed.extend(changed);
        self.amends |= amends;
        Ok(placed)
    }

    /// Keeps the events of a request that was added, for [`PendingGroup::take_piece`]: of every
    /// request, or there is nothing to take.
    pub fn keep_events(&mut self, batch: Vec<Admitted>, placed: &[Placed]) {
        let new = batch.into_iter().zip(placed);
        let new = new.filter(|(_, place)| matches!(place, Placed::New(_)));
        self.events.extend(new.map(|(admitted, _)| admitted.into_event()));
    }

    /// What is told of it to those who would read it otherwise.
    pub fn take_piece(&mut self) -> Piece {
        let changed = std::mem::take(&mut self.changed);
        let events = std::mem::take(&mut self.events);
        debug_assert!(events.is_empty() || events.len() == changed.len());
        let told = changed.into_iter().zip(events).map(|(changed, event)| {
            let Changed { fact, tables_hash, links } = changed;
            Told { event, fact, links, tables_hash }
        });
        Piece {
            first: self.first,
            end: self.head.next,
            told: told.collect(),
            changes: Arc::clone(&self.changes),
            amends: self.amends,
            bytes: self.bytes,
        }
    }
}

impl PendingGroup {
    /// Seals a statement of the ledger: a batch of its own, without lots. One that states the lots
    /// is held against the map of all entries before it.
    pub fn state<V: View>(
        &mut self,
        base: &V,
        envelope: &Bytes,
        now: TimeMs,
        lot_map: Option<MapUpdate>,
    ) -> Result<(), Unsaid<V::Fault>> {
        let nothing = MemoryState::default();
        let view = Overlay { base, layers: [&self.changes, &nothing], unrecorded: None };
        let ledger = view.ledger().map_err(Unsaid::Unreadable)?;
        let ledger = ledger.ok_or(StatementFault::NoGenesis)?;
        if !ledger.expected_correctives.is_empty() {
            return Err(StatementFault::Interrupts.into());
        }
        let said = statement::check(envelope, &ledger.origin, &ledger.ledger_key)?;
        let index = self.head.next;
        let after = match said.body() {
            StatementBody::RestartNote { .. } => None,
            StatementBody::LotStateRoot { size, root } => {
                // Whoever calls with such a statement brings the map.
                let Some(map) = &lot_map else {
                    let fault = StatementFault::LotRoot { stated: *root, expected: EMPTY_MAP };
                    return Err(fault.into());
                };
                statement::check_lots(*size, index, *root, map.root)?;
                None
            }
            StatementBody::LedgerKeyRotation { next_key, .. } => {
                let after = rotate_ledger_key(&view, &ledger, *next_key, index, sha256);
                Some(after.map_err(Unsaid::Unreadable)?.map_err(StatementFault::Rotation)?)
            }
        };
        let recorded_at = now.max(self.head.recorded_at);
        let draft = Draft {
            kind: EntryKind::Statement,
            recorded_at,
            rules_version: RULES_VERSION,
            tables_hash: self.head.tables_hash,
            links: Vec::new(),
            envelope: envelope.clone(),
        };
        let previous = self.head.chain;
        let place = Position { index, previous, batch_first: index, batch_len: 1 };
        let sealed = draft.seal(place).map_err(|_| StatementFault::TooLong)?;
        if after.is_some() {
            Arc::make_mut(&mut self.changes).ledger = after;
        }
        self.head.chain = sealed.chain();
        self.head.next = index.next();
        self.head.recorded_at = recorded_at;
        self.bytes += sealed.bytes().len();
        self.leaves.push(sealed.leaf());
        self.entries.push(sealed.bytes().clone());
        self.lot_map = lot_map;
        Ok(())
    }
}

/// One request on trial, over the group as it is so far.
struct Trial<'a, V> {
    base: &'a V,
    group: &'a MemoryState,
    own: MemoryState,
    head: Head,
    sealed: Vec<Sealed>,
    retracted: Vec<EntryIndex>,
    trail: Trail,
    sights: Vec<EntrySight>,
    changed: Vec<Changed>,
    amends: bool,
    /// The event at hand, when it is known to have no record.
    unrecorded: Option<EventId>,
    now: TimeMs,
}

/// What is recorded under an event's id.
#[derive(Debug, Clone, Copy)]
enum Known {
    Nothing,
    /// It, with the same bytes.
    It(EntryIndex),
    /// Another, which the rules refuse.
    Another,
}

/// What an entry changed.
struct Changed {
    fact: Arc<Fact>,
    /// The tables that judged it.
    tables_hash: Hash32,
    /// The lots that it names.
    links: Vec<LotLink>,
}

impl<V: View> Trial<'_, V> {
    fn run(&mut self, batch: &[Admitted]) -> Result<Vec<Placed>, Refused<V::Fault>> {
        let known = self.find_recorded(batch)?;
        let new_count = known.iter().filter(|it| !matches!(it, Known::It(_))).count();
        let first = self.head.next;
        let mut following = new_count;
        let mut placed = Vec::with_capacity(batch.len());
        for (position, (admitted, known)) in batch.iter().zip(known).enumerate() {
            if let Known::It(index) = known {
                placed.push(Placed::Before(index));
                continue;
            }
            // What this batch records comes under other ids: each is in it once.
            self.unrecorded = matches!(known, Known::Nothing).then(|| admitted.event().id);
            following -= 1;
            let index = self.head.next;
            let effects = self.judge(admitted, following, position)?;
            self.seal(admitted, &effects, first, new_count, position)?;
            self.take_over(effects, admitted, index);
            placed.push(Placed::New(index));
        }
        self.unrecorded = None;
        self.check_correctives_came(batch.len())?;
        Ok(placed)
    }

    /// What a declared error announced came in its own batch: the ledger waits for nothing
    /// afterwards.
    fn check_correctives_came(&self, events: usize) -> Result<(), Refused<V::Fault>> {
        let ledger = self.view().ledger().map_err(Refused::Unreadable)?;
        let missing = ledger.map_or(0, |ledger| ledger.expected_correctives.len());
        if missing == 0 {
            return Ok(());
        }
        let rejection = Rejection::CorrectivesIncomplete { declared: missing, following: 0 };
        let error = AppendError::Rejected(rejection);
        Err(Refused::Caller(BatchError::at(events.saturating_sub(1), error)))
    }

    /// R8: which events are recorded already, with the same bytes.
    fn find_recorded(&self, batch: &[Admitted]) -> Result<Vec<Known>, Refused<V::Fault>> {
        let view = self.view();
        let mut known = Vec::with_capacity(batch.len());
        let mut ids = HashSet::with_capacity(batch.len());
        for (position, admitted) in batch.iter().enumerate() {
            let id = admitted.event().id;
            if !ids.insert(id) {
                let error = BatchError::at(position, AppendError::BatchRepeats);
                return Err(Refused::Caller(error));
            }
            let record = view.event(id).map_err(Refused::Unreadable)?;
            known.push(match record {
                None => Known::Nothing,
                Some(it) if it.payload_hash == admitted.payload_hash() => Known::It(it.index),
                Some(_) => Known::Another,
            });
        }
        Ok(known)
    }

    fn view(&self) -> Overlay<'_, V> {
        Overlay { base: self.base, layers: [self.group, &self.own], unrecorded: self.unrecorded }
    }

    fn judge(
        &self,
        admitted: &Admitted,
        following: usize,
        position: usize,
    ) -> Result<Effects, Refused<V::Fault>> {
        let view = self.view();
        let signed = Signed {
            event: admitted.event(),
            payload_hash: admitted.payload_hash(),
            signers: admitted.signers(),
        };
        let moment = Moment {
            index: self.head.next,
            recorded_at: self.now,
            following,
            tables: self.head.tables.as_deref(),
            sha256,
            checkpoint: read_checkpoint,
        };
        let caller = |error| Refused::Caller(BatchError::at(position, error));
        let effects = match apply(&view, signed, moment) {
            Ok(effects) => effects,
            Err(Refusal::Rejected(rejection)) => {
                return Err(caller(AppendError::Rejected(rejection)));
            }
            Err(Refusal::Unreadable(fault)) => return Err(Refused::Unreadable(fault)),
        };
        // The rules let it pass, so every signer's key is registered now, if only in this batch;
        // the genesis brings its own.
        let rest = admitted.check_rest(|key| match admitted.genesis_key(key) {
            Some(public) => Ok(Some(public)),
            None => Ok(view.key(key)?.map(|state| state.public_key)),
        });
        rest.map_err(Refused::Unreadable)?.map_err(caller)?;
        Ok(effects)
    }

    fn seal(
        &mut self,
        admitted: &Admitted,
        effects: &Effects,
        batch_first: EntryIndex,
        batch_len: usize,
        position: usize,
    ) -> Result<(), Refused<V::Fault>> {
        let draft = Draft {
            kind: EntryKind::Event,
            recorded_at: self.now,
            rules_version: RULES_VERSION,
            tables_hash: self.head.tables_hash,
            links: effects.links.clone(),
            envelope: admitted.envelope_bytes().clone(),
        };
        let place = Position {
            index: self.head.next,
            previous: self.head.chain,
            batch_first,
            batch_len: u16::try_from(batch_len).unwrap_or(u16::MAX), // limits.rs: at most 256
        };
        // An admitted event with its links fits an entry by the arithmetic of limits.rs; if it does
        // not, refusing it is right and nothing is recorded.
        let sealed = draft.seal(place).map_err(|_| {
            let error = AppendError::BatchTooLarge { events: batch_len, bytes: 0 };
            Refused::Caller(BatchError::at(position, error))
        })?;
        self.head.chain = sealed.chain();
        self.head.next = self.head.next.next();
        self.head.recorded_at = self.now;
        self.sealed.push(sealed);
        Ok(())
    }

    fn take_over(&mut self, mut effects: Effects, admitted: &Admitted, index: EntryIndex) {
        self.retracted.extend(effects.retracted_movement);
        let event = admitted.event();
        let kind = event.body.kind();
        let fact = self.trail.note(index, self.now, (event.id, kind), &mut effects);
        self.amends |= effects.amended_movement.is_some()
            || effects.retracted_movement.is_some()
            || fact.undoes.is_some();
        let (tables_hash, links) = (self.head.tables_hash, effects.links.clone());
        self.changed.push(Changed { fact, tables_hash, links });
        if let Some(tables) = &effects.activated_tables {
            self.head.tables = Some(Arc::clone(tables));
        }
        if let Some(ledger) = &effects.ledger {
            self.head.tables_hash = ledger.tables_hash;
        }
        let concerned = std::mem::take(&mut effects.concerned);
        let acquainted = std::mem::take(&mut effects.acquainted);
        let sights = std::mem::take(&mut effects.sights);
        self.sights.push(EntrySight { index, concerned, acquainted, sights });
        self.own.absorb(effects, event.id);
    }
}

/// Replays one recorded batch for its effects; used at start-up for the journal's tail.
pub fn replay<V: View>(
    group: &mut PendingGroup,
    base: &V,
    batch: &[Admitted],
    recorded_at: TimeMs,
) -> Result<(), Refused<V::Fault>> {
    let placed = group.add(base, batch, recorded_at)?;
    let before = placed.iter().position(|place| matches!(place, Placed::Before(_)));
    match before {
        None => Ok(()),
        Some(position) => {
            let event = batch[position].event().id;
            let recorded_at = group.first;
            let error =
                AppendError::Rejected(Rejection::EventAlreadyRecorded { event, recorded_at });
            Err(Refused::Caller(BatchError::at(position, error)))
        }
    }
}
