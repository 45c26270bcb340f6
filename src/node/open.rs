//! A node begins, and begins again: genesis, replay of the journal's tail, and the refusals of a
//! start.
//!
//! What may differ after a crash, and what it means:
//! - the database is behind the journal: its tail is replayed by the same code as an append;
//! - the head guard is behind the journal: a crash came between journal and guard; it is advanced;
//! - the journal is behind the guard, or says something else at the guard's size: an old copy or a
//!   second history. Refused, because going on would fork the ledger;
//! - the database does not open, as a power cut may leave it: made anew from the journal;
//! - the database says something else than the journal: refused, with the entry. `rebuild` makes it
//!   anew.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;

use super::admission::{Admitted, admit};
use super::clock::{Clock, SystemClock};
use super::committer::Committer;
use super::error::{AppendError, NodeFault};
use super::group::{Head, PendingGroup, Refused, Unsaid, replay};
use super::handle::Node;
use super::lot_state::{self, LotStatePolicy, Unstated};
use super::reader::Reader;
use super::statement;
use super::writer::{Shared, Writer};
use crate::domain::effects::{LedgerState, View as _};
use crate::domain::{
    Body, EntryCount, EntryIndex, Event, Hash32, PublicKey, Rejection, Tables, TimeMs,
};
use crate::ledger::SignerTables;
use crate::ledger::checkpoint::{Checkpoint, SignedCheckpoint};
use crate::ledger::entry::{Entry, EntryKind};
use crate::ledger::envelope::{EVENT_PAYLOAD_TYPE, Envelope, EnvelopeSignature, pae};
use crate::ledger::frame::Group;
use crate::ledger::hash::{ChainValue, leaf_hash};
use crate::ledger::keys::SigningKey;
use crate::ledger::lot_map::MapUpdate;
use crate::ledger::receipt::Receipt;
use crate::ledger::tree::{Frontier, NodeSource};
use crate::limits::MAX_TABLE_CHUNKS;
use crate::store::faults::Faults;
use crate::store::{
    JournalCause, Opened, Store, StoreConfig, StoreFault, has_room_to_rebuild, read_guard,
    read_journal,
};
use tracing::warn;

/// Where a ledger lies.
#[derive(Clone)]
pub struct NodeConfig {
    /// The data directory.
    pub data: PathBuf,
    /// The head guard's directory; best on another disk.
    pub guard: PathBuf,
    /// Where `recorded_at` comes from.
    pub clock: Arc<dyn Clock>,
    /// Faults that tests inject.
    pub faults: Faults,
    /// When the ledger states its lots' root of its own accord.
    pub lot_state: LotStatePolicy,
}

impl NodeConfig {
    /// A place, the machine's clock, no faults, and no statements that nobody asked for: what opens
    /// a ledger to look at it, or to do one thing, adds nothing else. A service sets `lot_state`.
    pub fn new(data: impl Into<PathBuf>, guard: impl Into<PathBuf>) -> Self {
        Self {
            data: data.into(),
            guard: guard.into(),
            clock: Arc::new(SystemClock),
            faults: Faults::default(),
            lot_state: LotStatePolicy::NEVER,
        }
    }

    pub(super) fn store(&self) -> StoreConfig {
        let faults = self.faults.clone();
        StoreConfig { faults, ..StoreConfig::new(&self.data, &self.guard) }
    }
}

/// Adds the ledger's signature to a genesis that the coordinator signed.
pub fn genesis_envelope(signed: &Envelope, ledger_key: &SigningKey) -> Envelope {
    let message = pae(EVENT_PAYLOAD_TYPE, &signed.payload);
    let own = EnvelopeSignature { key: ledger_key.key_id(), signature: ledger_key.sign(&message) };
    let mut signatures = signed.signatures.clone();
    signatures.push(own);
    signatures.sort_by_key(|signature| signature.key);
    Envelope { signatures, payload: signed.payload.clone() }
}

impl Node {
    /// Makes a new ledger from a genesis that its first coordinator signed. Its tables are
    /// published next, by ordinary appends; until then nothing else is accepted.
    pub fn init(
        config: &NodeConfig,
        ledger_key: SigningKey,
        genesis: &Envelope,
    ) -> Result<Self, NodeFault> {
        let envelope = genesis_envelope(genesis, &ledger_key).encode();
        let admitted = admit_known(envelope).map_err(NodeFault::Genesis)?;
        let Body::Genesis(body) = &admitted.event().body else {
            let (kind, index) = (admitted.event().body.kind(), EntryIndex(0));
            let rejection = Rejection::GenesisMisplaced { kind, index };
            return Err(NodeFault::Genesis(AppendError::Rejected(rejection)));
        };
        check_ledger_key(body.ledger_key, &ledger_key)?;
        let head = Head {
            next: EntryIndex(0),
            chain: ChainValue::START,
            recorded_at: TimeMs::default(),
            tables: None,
            tables_hash: body.tables_hash,
        };
        let mut group = PendingGroup::new(head.clone());
        // Judged before anything is on disk: a refused genesis leaves no directory behind.
        let nothing = crate::domain::memory::MemoryState::default();
        group.add(&nothing, std::slice::from_ref(&admitted), config.clock.now()).map_err(
            |refused| match refused {
                Refused::Caller(error) => NodeFault::Genesis(error.error),
                Refused::Unreadable(never) => match never {},
            },
        )?;
        let origin = admitted.event().origin.clone();
        let store = Store::create(&config.store(), &origin, &ledger_key.public_key())?;
        let unstated = Unstated::of(&store, config.lot_state)?;
        let (store, shared) = (Arc::new(store), Arc::new(Shared::new(EntryCount(0))));
        let committer = Committer {
            store: Arc::clone(&store),
            origin,
            ledger_key: Arc::new(ledger_key),
            frontier: Frontier::default(),
            checkpoint: None,
            shared: Arc::clone(&shared),
            unsynced_bytes: 0,
        };
        let clock = Arc::clone(&config.clock);
        let mut writer = Writer { store, clock, head, shared, unstated, committer };
        writer.commit_first(group)?;
        Self::start(writer)
    }

    /// Opens a ledger: replays what the database lacks, checks what it must not differ in, and
    /// starts. A database whose files do not open is set aside and made anew from the journal: a
    /// power cut may leave one, and nobody is to be called for that.
    pub fn open(config: &NodeConfig, ledger_key: SigningKey) -> Result<Self, NodeFault> {
        let again = SigningKey::from_seed(*ledger_key.seed());
        let opened = Store::open(&config.store()).map_err(NodeFault::from);
        let writer = opened.and_then(|opened| ready(opened, config, Keys::only(ledger_key)));
        match writer {
            Err(fault) if is_database_broken(&fault) && has_room_to_rebuild(&config.store()) => {
                let fault: &dyn std::error::Error = &fault;
                warn!(fault, "the database does not open: it is made anew from the journal");
                // A crash from here on leaves a database that lacks something, or none: the next
                // start goes on.
                Self::start(rebuilt(config, again)?)
            }
            other => Self::start(other?),
        }
    }

    /// Gives the ledger its next key, on a stopped node. Calling it again with the same two keys
    /// finishes what a crash left, or finds that all is done.
    pub fn rotate(
        config: &NodeConfig,
        old: SigningKey,
        next: SigningKey,
    ) -> Result<Rotated, NodeFault> {
        let opened = Store::open(&config.store())?;
        let was_begun = key_in_force(&opened)? == next.public_key();
        let old_key = old.public_key();
        let mut writer = if was_begun {
            ready(opened, config, Keys { current: next, former: Some(old) })?
        } else {
            let mut writer = ready(opened, config, Keys::only(old))?;
            writer.rotate(next)?;
            writer
        };
        let ledger = ledger_of(&writer.store)?;
        let index = match ledger.former_ledger_keys.last() {
            Some(former) if former.key == old_key => former.rotated_at,
            // The key in force came another way than from the old one that is given.
            last => {
                let expected = last.map_or(ledger.ledger_key, |former| former.key);
                return Err(NodeFault::LedgerKey { expected, found: old_key });
            }
        };
        if writer.size().0 == index.next().0 {
            writer.note()?;
        }
        writer.sync()?;
        let (store, shared) = (Arc::clone(&writer.store), Arc::clone(&writer.shared));
        let reader = Reader::new(store, shared, Arc::clone(&writer.clock));
        let unreadable = |rule: String| NodeFault::Disagree { index, rule };
        let receipt = reader.receipt(index).map_err(|it| unreadable(it.to_string()))?;
        let receipt = receipt.ok_or_else(|| unreadable("it has no receipt".to_owned()))?;
        Ok(Rotated { index, receipt, size: writer.size(), was_begun_before: was_begun })
    }

    /// Throws the database away (it is moved aside) and makes it anew from the journal. Returns how
    /// many entries it holds afterwards.
    pub fn rebuild(config: &NodeConfig, ledger_key: SigningKey) -> Result<EntryCount, NodeFault> {
        Ok(rebuilt(config, ledger_key)?.size())
    }
}

/// A ledger that has its next key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotated {
    /// The entry that names it.
    pub index: EntryIndex,
    /// The receipt of that entry: whoever pinned the old key learns the next one from it.
    pub receipt: Receipt,
    /// Entries afterwards.
    pub size: EntryCount,
    /// Whether an earlier call had got as far as the entry.
    pub was_begun_before: bool,
}

/// The keys that a start has in hand.
struct Keys {
    /// Signs from now on.
    current: SigningKey,
    /// Signed until the last rotation; only given to finish one.
    former: Option<SigningKey>,
}

impl Keys {
    fn only(current: SigningKey) -> Self {
        Self { current, former: None }
    }

    fn in_hand(&self) -> Vec<&SigningKey> {
        std::iter::once(&self.current).chain(&self.former).collect()
    }
}

/// Everything between a store that is open and a writer that may write.
fn ready(opened: Opened, config: &NodeConfig, keys: Keys) -> Result<Writer, NodeFault> {
    check_ledger_key(key_in_force(&opened)?, &keys.current)?;
    let Opened { store, tail } = opened;
    let (journal, applied) = (tail.journaled, tail.applied);
    if let Some(torn) = &tail.torn {
        // Whether somebody was told of it is for the head guard to say, below.
        let (kept_as, bytes) = (torn.kept_as.display(), torn.bytes);
        warn!(%kept_as, bytes, "an unfinished write was set aside");
    }
    if journal.0 == 0 {
        return Err(NodeFault::NoGenesis);
    }
    check_agreement(&store, applied)?;
    let mut tail = Tail::new(&store, keys.in_hand(), applied)?;
    tail.replay()?;
    let Tail { head, frontier, checkpoint, replayed_bytes, .. } = tail;

    let ledger = ledger_of(&store)?;
    let checkpoint = checkpoint.ok_or(NodeFault::NoGenesis)?;
    check_guard(&store, &ledger, journal, &checkpoint)?;
    let unstated = Unstated::of(&store, config.lot_state)?;
    let (store, shared) = (Arc::new(store), Arc::new(Shared::new(journal)));
    let committer = Committer {
        store: Arc::clone(&store),
        origin: ledger.origin,
        ledger_key: Arc::new(keys.current),
        frontier,
        checkpoint: Some(checkpoint),
        shared: Arc::clone(&shared),
        unsynced_bytes: replayed_bytes,
    };
    let clock = Arc::clone(&config.clock);
    Ok(Writer { store, clock, head, shared, unstated, committer })
}

/// Whether a database that is made anew may help: its files do not open, or its rows are ahead of
/// its own head, of which a power cut let only a part through. Where the journal is to blame after
/// all, the rebuild says so in the same words.
fn is_database_broken(fault: &NodeFault) -> bool {
    match fault {
        NodeFault::Store(fault) => fault.is_broken_database(),
        NodeFault::Replay { .. } => true,
        _ => false,
    }
}

/// A writer whose database was made anew from the journal, and is durable.
fn rebuilt(config: &NodeConfig, ledger_key: SigningKey) -> Result<Writer, NodeFault> {
    check_rebuildable(config, &ledger_key)?;
    let opened = Store::open_rebuilding(&config.store())?;
    let mut writer = ready(opened, config, Keys::only(ledger_key))?;
    writer.sync()?;
    Ok(writer)
}

/// Before a database is moved aside: the key is the ledger's, every frame of the journal is whole,
/// and the guard has seen no more than they hold. Else the database may know what the journal lost.
fn check_rebuildable(config: &NodeConfig, given: &SigningKey) -> Result<(), NodeFault> {
    let (mut journal, mut in_force) = (EntryCount(0), None);
    for group in read_journal(&config.data)? {
        let group = match group {
            Ok(group) => group,
            // Half a frame at the very end: whether it had been acknowledged, the guard says.
            Err(fault) if matches!(fault.cause, JournalCause::Torn(_)) => break,
            Err(fault) => return Err(StoreFault::from(fault).into()),
        };
        if journal.0 == 0 {
            in_force = Some(genesis_key(&group)?);
        }
        in_force = newest_key(&group).or(in_force);
        journal = EntryCount(group.end().0);
    }
    check_ledger_key(in_force.ok_or(NodeFault::NoGenesis)?, given)?;
    let seen = read_guard(&config.guard)?.and_then(|seen| SignedCheckpoint::parse(&seen).ok());
    match seen {
        Some((said, _)) if said.size > journal => {
            Err(NodeFault::BehindGuard { guard: said.size, journal })
        }
        // What else is wrong with the guard, the start says.
        _ => Ok(()),
    }
}

fn genesis_key(first: &Group) -> Result<PublicKey, NodeFault> {
    let recorded = recorded(first)?;
    let first = recorded.first().and_then(|(said, _)| match said {
        Recorded::Batch(batch) => batch.first(),
        Recorded::Statement(_) => None,
    });
    if let Some(Body::Genesis(genesis)) = first.map(|it| &it.event().body) {
        return Ok(genesis.ledger_key);
    }
    let rule = "the first entry is no genesis".to_owned();
    Err(NodeFault::Replay { index: EntryIndex(0), rule })
}

/// The key that a group's statement names, when it has one.
fn newest_key(group: &Group) -> Option<PublicKey> {
    group.entries.iter().rev().find_map(statement::named_key)
}

/// The key that signs after all that the journal holds, as it says; the replay checks it.
fn key_in_force(opened: &Opened) -> Result<PublicKey, NodeFault> {
    let Opened { store, tail } = opened;
    let known = store.ledger()?.map_or(*store.ledger_key(), |ledger| ledger.ledger_key);
    let mut in_force = known;
    if tail.applied < tail.journaled {
        for group in store.journal_read(EntryIndex(tail.applied.0))? {
            in_force = newest_key(&group.map_err(StoreFault::from)?).unwrap_or(in_force);
        }
    }
    Ok(in_force)
}

fn check_ledger_key(expected: PublicKey, given: &SigningKey) -> Result<(), NodeFault> {
    let found = given.public_key();
    if found == expected { Ok(()) } else { Err(NodeFault::LedgerKey { expected, found }) }
}

fn ledger_of(store: &Store) -> Result<LedgerState, NodeFault> {
    store.ledger()?.ok_or(NodeFault::NoGenesis)
}

/// Entries from where the database says that they lie; whether the tree has them is checked with
/// the last group.
fn as_they_lie(store: &Store, from: EntryIndex, count: usize) -> Result<Vec<Bytes>, NodeFault> {
    store.entries_as_they_lie(from, count).map_err(|fault| match fault {
        StoreFault::Disagreement { index, detail } => NodeFault::Disagree { index, rule: detail },
        other => other.into(),
    })
}

/// The database's last group is the journal's: entries, chain value, the root that was signed over
/// all before them, and the root with them.
fn check_agreement(store: &Store, applied: EntryCount) -> Result<(), NodeFault> {
    let Some(last) = applied.0.checked_sub(1).map(EntryIndex) else { return Ok(()) };
    let Some(group) = group_of(store, last)? else {
        let rule = "the journal has no group that ends there".to_owned();
        return Err(NodeFault::Disagree { index: last, rule });
    };
    let stored = as_they_lie(store, group.first, group.entries.len())?;
    for (position, entry) in group.entries.iter().enumerate() {
        if stored.get(position) != Some(entry) {
            let index = EntryIndex(group.first.0 + position as u64);
            let rule = "the bytes of the entry differ".to_owned();
            return Err(NodeFault::Disagree { index, rule });
        }
    }
    let chain = group.entries.last().map(|entry| ChainValue::of_entry(entry));
    if chain != Some(store.chain_at_head()?) {
        let rule = "the chain value after the entry differs".to_owned();
        return Err(NodeFault::Disagree { index: last, rule });
    }
    if group.first.0 > 0 {
        check_signed_root(store, group.first, &group.previous_checkpoint)?;
    }
    // The next checkpoint is signed over the stored tree: its newest leaves are the journal's too.
    let mut expected = Frontier::from_nodes(EntryCount(group.first.0), store)?;
    for (index, entry) in (group.first.0..).zip(&group.entries) {
        let leaf = leaf_hash(entry);
        // A node above may be stored beside a leaf that is not under it.
        if NodeSource::node(store, 0, index)? != leaf {
            let rule = "the stored tree has another leaf for the entry".to_owned();
            return Err(NodeFault::Disagree { index: EntryIndex(index), rule });
        }
        expected.push(leaf);
    }
    if Frontier::from_nodes(applied, store)?.root() != expected.root() {
        let rule = "the stored tree has another root after the entry".to_owned();
        return Err(NodeFault::Disagree { index: last, rule });
    }
    Ok(())
}

/// The group of the journal that holds an entry.
fn group_of(store: &Store, index: EntryIndex) -> Result<Option<Group>, StoreFault> {
    if index.0 >= store.journaled().0 {
        return Ok(None);
    }
    store.journal_read(index)?.next().transpose().map_err(StoreFault::from)
}

fn check_signed_root(store: &Store, first: EntryIndex, signed: &[u8]) -> Result<(), NodeFault> {
    let index = EntryIndex(first.0 - 1);
    let disagree = |rule: String| NodeFault::Disagree { index, rule };
    let (said, _) = SignedCheckpoint::parse(signed).map_err(|fault| disagree(fault.to_string()))?;
    let root = Frontier::from_nodes(EntryCount(first.0), store)?.root();
    if said.size.0 != first.0 || said.root != root {
        return Err(disagree(format!(
            "the tree's root at {first} entries is {root}, and {} was signed at {}",
            said.root, said.size
        )));
    }
    Ok(())
}

/// The replay of what the database lacks.
pub(super) struct Tail<'a> {
    store: &'a Store,
    keys: Vec<&'a SigningKey>,
    head: Head,
    frontier: Frontier,
    checkpoint: Option<SignedCheckpoint>,
    replayed_bytes: usize,
}

impl<'a> Tail<'a> {
    /// Where the database ends, with the keys in hand.
    fn new(
        store: &'a Store,
        keys: Vec<&'a SigningKey>,
        applied: EntryCount,
    ) -> Result<Self, NodeFault> {
        let head = head_of(store, applied)?;
        let frontier = Frontier::from_nodes(applied, store)?;
        let tail = Self { store, keys, head, frontier, checkpoint: None, replayed_bytes: 0 };
        tail.with_last_checkpoint(applied)
    }

    /// Into a database that has nothing yet, without any key: checkpoints are taken from where
    /// they are kept.
    pub(super) fn keyless(store: &'a Store) -> Result<Self, NodeFault> {
        Self::new(store, Vec::new(), EntryCount(0))
    }

    /// The checkpoint of the last applied group; a crash may have come before it was kept.
    fn with_last_checkpoint(mut self, applied: EntryCount) -> Result<Self, NodeFault> {
        if applied.0 > 0 {
            let following = group_of(self.store, EntryIndex(applied.0))?;
            let signed = self.sign_head(following.as_ref())?;
            if let Some((size, kept)) = self.store.latest_checkpoint()?
                && size == applied
                && kept != signed.as_bytes()
            {
                let index = EntryIndex(applied.0 - 1);
                let rule = "the kept checkpoint is not the one that this key signs".to_owned();
                return Err(NodeFault::Disagree { index, rule });
            }
            self.store.write_checkpoint(applied, signed.as_bytes())?;
            self.checkpoint = Some(signed);
        }
        Ok(self)
    }

    fn replay(&mut self) -> Result<(), NodeFault> {
        let mut groups = self.store.journal_read(self.head.next)?;
        let mut next = groups.next().transpose().map_err(StoreFault::from)?;
        while let Some(group) = next {
            next = groups.next().transpose().map_err(StoreFault::from)?;
            self.replay_group(&group, next.as_ref())?;
        }
        Ok(())
    }

    fn replay_group(&mut self, group: &Group, following: Option<&Group>) -> Result<(), NodeFault> {
        self.apply(group)?;
        let signed = self.sign_head(following)?;
        self.keep(signed)
    }

    /// Replays a group by the checkpoints that were kept: that of its end is the first of `kept`
    /// that holds. Whether there is one; the next group cannot follow without.
    pub(super) fn replay_kept(&mut self, group: &Group, kept: &[Bytes]) -> Result<bool, NodeFault> {
        self.apply(group)?;
        let (checkpoint, signer) = self.at_head()?;
        match find_kept(kept.iter().cloned(), &checkpoint, &signer) {
            Some(found) => self.keep(found).map(|()| true),
            None => Ok(false),
        }
    }

    /// Judges and seals a group again and writes it into the database.
    fn apply(&mut self, group: &Group) -> Result<(), NodeFault> {
        let expected = self.checkpoint.as_ref().map_or(&[][..], SignedCheckpoint::as_bytes);
        if group.previous_checkpoint != expected {
            let rule = "its frame repeats another checkpoint than the one before it".to_owned();
            return Err(NodeFault::Replay { index: group.first, rule });
        }
        let mut pending = PendingGroup::new(self.head.clone());
        let is_alone = group.entries.len() == 1;
        for (said, recorded_at) in recorded(group)? {
            match said {
                Recorded::Batch(batch) => self.replay_batch(&mut pending, &batch, recorded_at)?,
                Recorded::Statement(envelope) => {
                    let lots = self.lots_stated(&pending, &envelope, is_alone)?;
                    replay_statement(&mut pending, self.store, &envelope, recorded_at, lots)?;
                }
            }
        }
        if group.entries.len() > 1 && newest_key(group).is_some() {
            let rule = "it names a next key, and is no group of its own".to_owned();
            return Err(NodeFault::Replay { index: group.first, rule });
        }
        check_same_bytes(group, &pending)?;
        self.store.write_group(&pending.rows(group))?;
        for leaf in &pending.leaves {
            self.frontier.push(*leaf);
        }
        self.replayed_bytes += pending.bytes;
        self.head = pending.head;
        Ok(())
    }

    fn keep(&mut self, signed: SignedCheckpoint) -> Result<(), NodeFault> {
        self.store.write_checkpoint(self.frontier.size(), signed.as_bytes())?;
        self.checkpoint = Some(signed);
        Ok(())
    }

    /// The map that a statement of the lots is held against: over all entries before it, which are
    /// in the store, because it is a group of its own.
    fn lots_stated(
        &self,
        pending: &PendingGroup,
        envelope: &Bytes,
        is_alone: bool,
    ) -> Result<Option<MapUpdate>, NodeFault> {
        if !statement::states_lots(envelope) {
            return Ok(None);
        }
        let index = pending.head.next;
        if !is_alone {
            let rule = "it states the lots, and is no group of its own".to_owned();
            return Err(NodeFault::Replay { index, rule });
        }
        Ok(Some(lot_state::map_before(self.store, index)?))
    }

    fn replay_batch(
        &self,
        pending: &mut PendingGroup,
        batch: &[Admitted],
        recorded_at: TimeMs,
    ) -> Result<(), NodeFault> {
        // The genesis names the tables that judge from entry 1 on.
        if let Some(Body::Genesis(genesis)) = batch.first().map(|it| &it.event().body) {
            pending.head.tables_hash = genesis.tables_hash;
        }
        let index = pending.head.next;
        replay(pending, self.store, batch, recorded_at).map_err(|it| match it {
            Refused::Caller(error) => NodeFault::Replay { index, rule: error.error.to_string() },
            Refused::Unreadable(fault) => NodeFault::Store(fault),
        })
    }

    /// The checkpoint at the head. ed25519 is deterministic: signed again, it has the same bytes as
    /// the first time. What a former key signed is taken from where it was kept: the frame behind
    /// it, the database, the guard.
    fn sign_head(&self, following: Option<&Group>) -> Result<SignedCheckpoint, NodeFault> {
        let (checkpoint, signer) = self.at_head()?;
        if let Some(key) = self.keys.iter().find(|key| key.public_key() == signer) {
            return Ok(checkpoint.sign(key));
        }
        let in_database = self.store.latest_checkpoint()?.map(|(_, text)| text);
        let in_guard = self.store.guard_current()?;
        let kept = [following.map(|it| it.previous_checkpoint.clone()), in_database, in_guard];
        let index = EntryIndex(checkpoint.size.0.saturating_sub(1));
        find_kept(kept.into_iter().flatten(), &checkpoint, &signer)
            .ok_or(NodeFault::RotationUnfinished { index })
    }

    /// What is to be signed at the head, and whose signature counts there.
    fn at_head(&self) -> Result<(Checkpoint, PublicKey), NodeFault> {
        let ledger = ledger_of(self.store)?;
        let (size, root) = (self.frontier.size(), self.frontier.root());
        let signer = ledger.signer_of(size);
        Ok((Checkpoint { origin: ledger.origin, size, root }, signer))
    }
}

/// The first text that is this checkpoint, signed by that key.
fn find_kept(
    mut kept: impl Iterator<Item = Bytes>,
    checkpoint: &Checkpoint,
    signer: &PublicKey,
) -> Option<SignedCheckpoint> {
    kept.find_map(|text| {
        let (said, note) = SignedCheckpoint::open(&text, &checkpoint.origin, signer).ok()?;
        (said == *checkpoint).then_some(note)
    })
}

fn replay_statement(
    pending: &mut PendingGroup,
    store: &Store,
    envelope: &Bytes,
    recorded_at: TimeMs,
    lots: Option<MapUpdate>,
) -> Result<(), NodeFault> {
    let index = pending.head.next;
    pending.state(store, envelope, recorded_at, lots).map_err(|it| match it {
        Unsaid::Statement(fault) => NodeFault::Replay { index, rule: fault.to_string() },
        Unsaid::Unreadable(fault) => NodeFault::Store(fault),
    })
}

/// What stands in a journal: a batch of events, or a statement's envelope.
enum Recorded {
    Batch(Vec<Admitted>),
    Statement(Bytes),
}

/// The batches and statements of a group, as their entries tell.
fn recorded(group: &Group) -> Result<Vec<(Recorded, TimeMs)>, NodeFault> {
    let mut batches: Vec<(Recorded, TimeMs)> = Vec::new();
    let mut current_first = None;
    for (position, bytes) in group.entries.iter().enumerate() {
        let index = EntryIndex(group.first.0 + position as u64);
        let fault = |rule: String| NodeFault::Replay { index, rule };
        let entry = Entry::parse(bytes).map_err(|it| fault(it.to_string()))?;
        if entry.kind == EntryKind::Statement {
            batches.push((Recorded::Statement(entry.envelope), entry.recorded_at));
            current_first = None;
            continue;
        }
        let admitted = admit_known(entry.envelope).map_err(|it| fault(it.to_string()))?;
        match batches.last_mut() {
            Some((Recorded::Batch(batch), _)) if current_first == Some(entry.batch_first) => {
                batch.push(admitted);
            }
            _ => batches.push((Recorded::Batch(vec![admitted]), entry.recorded_at)),
        }
        current_first = Some(entry.batch_first);
    }
    Ok(batches)
}

/// Sealing what was replayed gives the bytes that were recorded, or something is not as it was.
fn check_same_bytes(group: &Group, pending: &PendingGroup) -> Result<(), NodeFault> {
    for (position, recorded) in group.entries.iter().enumerate() {
        if pending.entries.get(position) != Some(recorded) {
            let index = EntryIndex(group.first.0 + position as u64);
            let rule = "judged and sealed again, it is not the recorded entry".to_owned();
            return Err(NodeFault::Replay { index, rule });
        }
    }
    Ok(())
}

/// Takes an envelope apart without checking signatures by registered keys yet: they are checked
/// when the batch is judged, against the registry as of its place.
fn admit_known(envelope: Bytes) -> Result<Admitted, AppendError> {
    let nothing = |_| Ok::<_, std::convert::Infallible>(None);
    match admit(&SignerTables::default(), envelope, nothing) {
        Ok(verdict) => verdict,
        Err(never) => match never {},
    }
}

fn head_of(store: &Store, applied: EntryCount) -> Result<Head, NodeFault> {
    let Some(last) = applied.0.checked_sub(1).map(EntryIndex) else {
        return Ok(Head {
            next: EntryIndex(0),
            chain: ChainValue::START,
            recorded_at: TimeMs::default(),
            tables: None,
            tables_hash: Hash32([0; 32]),
        });
    };
    let ledger = ledger_of(store)?;
    let fault = |rule: String| NodeFault::Disagree { index: last, rule };
    let bytes = as_they_lie(store, last, 1)?.pop();
    let bytes = bytes.ok_or_else(|| fault("the entry is missing".to_owned()))?;
    let entry = Entry::parse(&bytes).map_err(|it| fault(it.to_string()))?;
    let tables = if ledger.are_tables_published {
        Some(Arc::new(stored_tables(store, ledger.tables_hash, last)?))
    } else {
        None
    };
    Ok(Head {
        next: EntryIndex(applied.0),
        chain: store.chain_at_head()?,
        recorded_at: entry.recorded_at,
        tables,
        tables_hash: ledger.tables_hash,
    })
}

fn stored_tables(store: &Store, hash: Hash32, index: EntryIndex) -> Result<Tables, NodeFault> {
    let mut bytes = Vec::new();
    for chunk in 0..MAX_TABLE_CHUNKS {
        match store.table_chunk(hash, chunk)? {
            Some(part) => bytes.extend(part),
            None => break,
        }
    }
    let fault = |rule: String| NodeFault::Disagree { index, rule };
    if crate::ledger::hash::sha256(&bytes) != hash {
        return Err(fault("the stored tables do not have the hash of the ledger's".to_owned()));
    }
    let text = String::from_utf8(bytes).map_err(|it| fault(it.to_string()))?;
    Tables::parse(&text).map_err(|it| fault(it.to_string()))
}

/// Behind the guard is refused; beside it too; ahead of it the guard is advanced.
fn check_guard(
    store: &Store,
    ledger: &LedgerState,
    journal: EntryCount,
    newest: &SignedCheckpoint,
) -> Result<(), NodeFault> {
    let Some(seen) = store.guard_current()? else {
        // A crash between the first group and the guard leaves no guard; nothing later does.
        let is_first_group =
            group_of(store, EntryIndex(0))?.is_some_and(|group| group.end().0 == journal.0);
        if !is_first_group {
            return Err(NodeFault::GuardMissing { journal });
        }
        store.guard_advance(None, newest.as_bytes())?;
        return Ok(());
    };
    let (claimed, _) = SignedCheckpoint::parse(&seen)
        .map_err(|it| NodeFault::GuardDisagrees { size: EntryCount(0), rule: it.to_string() })?;
    let signer = ledger.signer_of(claimed.size);
    let (said, _) = SignedCheckpoint::open(&seen, &ledger.origin, &signer)
        .map_err(|it| NodeFault::GuardDisagrees { size: claimed.size, rule: it.to_string() })?;
    if said.size > journal {
        return Err(NodeFault::BehindGuard { guard: said.size, journal });
    }
    let root = Frontier::from_nodes(said.size, store)?.root();
    if root != said.root {
        let rule = format!("it has root {}, and the journal's entries have {root}", said.root);
        return Err(NodeFault::GuardDisagrees { size: said.size, rule });
    }
    if said.size < journal {
        store.guard_advance(Some(&seen), newest.as_bytes())?;
    }
    Ok(())
}

/// The event of an envelope, for those that build a genesis.
pub fn event_of(envelope: &Envelope) -> Result<Event, AppendError> {
    crate::wire::decode_event(&envelope.payload).map_err(AppendError::Decode)
}
