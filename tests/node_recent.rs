//! Recent history in memory says what the database says, after every entry of a story with
//! settlements, campaigns, analyses and declared errors, whenever it was taken over.

#![allow(
    dead_code,
    clippy::missing_panics_doc,
    clippy::new_without_default,
    reason = "the kit serves several tests"
)]
#![allow(
    clippy::expect_used,
    clippy::large_enum_variant,
    clippy::panic,
    clippy::similar_names,
    clippy::unwrap_used,
    reason = "a test says what is wrong by failing, and need not be fast"
)]

#[path = "common/domain_kit.rs"]
mod kit;

use std::sync::Arc;

use bytes::Bytes;
use kit::*;
use urbanmine::domain::effects::LotLink;
use urbanmine::domain::event::{AssayLot, MergeLots, SplitLot};
use urbanmine::domain::fact::Fact;
use urbanmine::domain::memory::MemoryState;
use urbanmine::domain::vocabulary::Substance;
use urbanmine::domain::{
    Body, Effects, EntryCount, EntryIndex, EventId, Grams, Hash32, KeyId, LotId, PartyId,
    PublicKey, TimeMs,
};
use urbanmine::ledger::envelope::EnvelopeSignature;
use urbanmine::ledger::frame::Group;
use urbanmine::ledger::{ChainValue, Draft, EntryKind, Envelope, Position, Sealed};
use urbanmine::node::feed::{Piece, Told};
use urbanmine::node::recent::{Recent, StoredGraph};
use urbanmine::provenance::{Direction, Graph, Measure, TraceLimits, origins_with_ranges, trace};
use urbanmine::store::{GroupRows, Store, StoreConfig, Trail};

const CU: Measure = Measure::Substance(Substance::Cu);
/// The kit's world begins at this entry.
const BEFORE: u64 = 100;

/// A story that is told to a store, and memories of it that are brought up at different times.
struct Tape {
    world: World,
    store: Store,
    chain: ChainValue,
    checkpoint: Bytes,
    at_each: Recent,
    at_times: Recent,
    as_told: Recent,
    _folder: tempfile::TempDir,
}

impl Tape {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = StoreConfig::new(folder.path().join("data"), folder.path().join("guard"));
        let mut tape = Self {
            world: World::new(),
            store: Store::create(&config, &origin(), &PublicKey([7; 32])).unwrap(),
            chain: ChainValue::START,
            checkpoint: Bytes::new(),
            at_each: Recent::default(),
            at_times: Recent::default(),
            as_told: Recent::default(),
            _folder: folder,
        };
        for index in 0..BEFORE {
            let sealed = tape.seal(index, &[]);
            tape.write(index, &sealed, &MemoryState::default(), &[], &Trail::default());
        }
        tape
    }

    fn seal(&self, index: u64, links: &[LotLink]) -> Sealed {
        let signature = EnvelopeSignature { key: KeyId([1; 32]), signature: [2; 64] };
        let payload = Bytes::from_static(b"an event");
        let draft = Draft {
            kind: EntryKind::Event,
            recorded_at: TimeMs::of(START_MS),
            rules_version: 1,
            tables_hash: Hash32([3; 32]),
            links: links.to_vec(),
            envelope: Envelope { signatures: vec![signature], payload }.encode(),
        };
        let index = EntryIndex(index);
        let place = Position { index, previous: self.chain, batch_first: index, batch_len: 1 };
        draft.seal(place).unwrap()
    }

    fn write(
        &mut self,
        index: u64,
        sealed: &Sealed,
        changes: &MemoryState,
        retracted: &[EntryIndex],
        trail: &Trail,
    ) {
        let group = Group {
            first: EntryIndex(index),
            previous_checkpoint: self.checkpoint.clone(),
            entries: vec![sealed.bytes().clone()],
        };
        self.store.journal_append(&group).unwrap();
        let rows = GroupRows {
            group: &group,
            leaves: &[sealed.leaf()],
            chain: sealed.chain(),
            changes,
            retracted,
            trail,
            sights: &[],
            lot_map: None,
        };
        self.store.write_group(&rows).unwrap();
        self.chain = sealed.chain();
        self.checkpoint = Bytes::from_static(b"before");
    }

    fn record(&mut self, attempt: &Attempt) -> Effects {
        let index = self.world.index;
        let taken = self.world.take(attempt);
        let effects = taken.unwrap_or_else(|it| panic!("{it}: {:?}", attempt.event));
        let sealed = self.seal(index, &effects.links);
        let mut changes = MemoryState::default();
        changes.absorb(effects.clone(), attempt.event.id);
        let mut trail = Trail::default();
        let event = (attempt.event.id, attempt.event.body.kind());
        let at = TimeMs::of(START_MS);
        let fact = trail.note(EntryIndex(index), at, event, &mut effects.clone());
        let retracted: Vec<_> = effects.retracted_movement.into_iter().collect();
        self.write(index, &sealed, &changes, &retracted, &trail);
        self.tell(index, attempt, fact, &effects, changes);
        assert!(self.at_each.catch_up(&self.store, 8_192, || false).unwrap());
        if index.is_multiple_of(5) {
            assert!(self.at_times.catch_up(&self.store, u64::MAX, || false).unwrap());
        }
        self.check();
        effects
    }

    /// As the writer does of a group of this one entry.
    fn tell(
        &self,
        index: u64,
        attempt: &Attempt,
        fact: Arc<Fact>,
        effects: &Effects,
        changes: MemoryState,
    ) {
        let amends = effects.amended_movement.is_some()
            || effects.retracted_movement.is_some()
            || fact.undoes.is_some();
        let links = effects.links.clone();
        let told = Told { event: attempt.event.clone(), fact, links, tables_hash: Hash32([0; 32]) };
        let (first, end) = (EntryIndex(index), EntryIndex(index + 1));
        let changes = Arc::new(changes);
        let mut piece = Piece { first: end, end, told: vec![told], changes, amends, bytes: 0 };
        let reached = self.as_told.held().0;
        // What is not next it leaves alone, and what amends to whoever reads.
        self.as_told.take_told(&piece);
        assert_eq!(self.as_told.held().0, reached);
        piece.first = first;
        self.as_told.take_told(&piece);
        let expected = if amends || reached != first { reached } else { end };
        assert_eq!(self.as_told.held().0, expected);
        assert!(self.as_told.catch_up(&self.store, 8_192, || false).unwrap());
    }

    fn say(&mut self, actor: PartyId, body: Body) -> EventId {
        let attempt = self.world.attempt(actor, body);
        self.record(&attempt);
        attempt.event.id
    }

    fn agree(&mut self, body: Body) -> EventId {
        let parties = [SMELTER, COLLECTOR];
        let attempt = self.world.attempt(parties[0], body).signed_by(&parties.map(key));
        self.record(&attempt);
        attempt.event.id
    }

    fn copper(&mut self, of: PartyId, grams: u64) -> LotId {
        let id = lot(self.world.fresh());
        let mut new = new_lot(id, "CU", grams);
        new.composition = Some(assay(&[(Substance::Cu, 50_000_000)]));
        self.say(of, collect(new));
        id
    }

    /// Every life and every movement, of lots and entries that are there and of strangers.
    fn check(&self) {
        let all = EntryCount(u64::MAX);
        let stored = StoredGraph::new(&self.store, None, all);
        for recent in [&self.at_each, &self.as_told] {
            let held = StoredGraph::new(&self.store, Some(recent), all);
            for index in (0..=self.world.index).map(EntryIndex) {
                let (stored, held) = (stored.movement(index), held.movement(index));
                assert_eq!(stored.unwrap(), held.unwrap(), "{index}");
            }
            for lot in self.world.state.lots.keys().copied().chain([lot(0xFFFF_FFFF)]) {
                assert_eq!(stored.life(lot).unwrap(), held.life(lot).unwrap(), "{lot}");
            }
        }
    }

    /// Every answer, of all of it and of beginnings of it, from memory and from the database.
    fn check_answers(&self) {
        assert!(self.at_times.catch_up(&self.store, u64::MAX, || false).unwrap());
        let late = Recent::default();
        assert!(late.catch_up(&self.store, u64::MAX, || false).unwrap());
        let limits = TraceLimits::default();
        for size in (BEFORE..=self.world.index).step_by(3).chain([u64::MAX]).map(EntryCount) {
            let stored = StoredGraph::new(&self.store, None, size);
            for recent in [&self.at_each, &self.at_times, &self.as_told, &late] {
                let held = StoredGraph::new(&self.store, Some(recent), size);
                for lot in self.world.state.lots.keys().copied() {
                    for direction in [Direction::Back, Direction::Forward] {
                        let told = |graph| trace(graph, lot, direction, limits);
                        assert_eq!(shown(&told(&stored)), shown(&told(&held)), "{lot} of {size}");
                    }
                    for measure in [Measure::Mass, CU] {
                        let told = |graph| origins_with_ranges(graph, lot, measure, limits);
                        assert_eq!(shown(&told(&stored)), shown(&told(&held)), "{lot} of {size}");
                    }
                }
            }
        }
        for state in self.world.state.lots.values() {
            let class = self.as_told.class_of(state.id).unwrap();
            assert_eq!(self.at_times.class_of(state.id).as_ref(), Some(&class));
            assert_eq!(
                (class.origin_kinds, &class.material),
                (state.origin_kinds, &state.material)
            );
        }
    }
}

/// Answers and refusals alike.
fn shown<T: std::fmt::Debug, F: std::fmt::Debug>(answer: &Result<T, F>) -> String {
    format!("{answer:?}")
}

fn split(parent: LotId, children: &[(LotId, u64)]) -> Body {
    let children = children.iter().map(|(lot, grams)| draw(*lot, *grams)).collect();
    Body::SplitLot(SplitLot { parent, children, handling_loss: Grams::ZERO })
}

fn merge(parents: &[(LotId, u64)], output: LotId) -> Body {
    let grams = parents.iter().map(|(_, grams)| grams).sum();
    let parents = parents.iter().map(|(lot, grams)| draw(*lot, *grams)).collect();
    Body::MergeLots(Box::new(MergeLots { parents, output: made(output, "CU", grams) }))
}

#[test]
fn memory_says_what_the_database_says_after_every_entry() {
    let mut tape = Tape::new();
    let (a, b) = (tape.copper(COLLECTOR, 1_000), tape.copper(COLLECTOR, 700));
    // A lot that is divided, and what was an error taken back.
    let (left, right) = (lot(tape.world.fresh()), lot(tape.world.fresh()));
    let divided = tape.say(COLLECTOR, split(b, &[(left, 300), (right, 400)]));
    let both = lot(tape.world.fresh());
    let joined = tape.say(COLLECTOR, merge(&[(left, 300), (right, 400)], both));
    let composition = assay(&[(Substance::Cu, 40_000_000)]);
    let found = tape.say(COLLECTOR, Body::AssayLot(AssayLot { lot: both, composition }));
    for target in [found, joined, divided] {
        tape.say(COLLECTOR, error(target, &[]));
    }
    // A part that arrived with less than was sent, settled, and the settlement taken back.
    let part = lot(tape.world.fresh());
    let sent = tape.say(COLLECTOR, offer(a, 1_000, SMELTER));
    tape.say(SMELTER, partly(sent, 500, 400, part));
    let settled = tape.agree(settling(sent, 600));
    let parties = [SMELTER, COLLECTOR];
    let undoing = tape.world.attempt(SMELTER, error(settled, &[])).signed_by(&parties.map(key));
    tape.record(&undoing);
    tape.agree(settling(sent, 550));
    // More was counted than was booked; a campaign goes on being charged.
    tape.say(SMELTER, counting(part, 554));
    let id = campaign(tape.world.fresh());
    tape.say(SMELTER, open(id, "REFINE"));
    tape.say(SMELTER, charge(id, &[draw(part, 300)]));
    let mut fine = made(lot(tape.world.fresh()), "CU_FINE", 200);
    fine.composition = Some(assay(&[(Substance::Cu, 50_000_000)]));
    tape.say(SMELTER, tap(id, std::slice::from_ref(&fine)));
    let more = tape.say(SMELTER, charge(id, &[draw(part, 100)]));
    tape.say(SMELTER, error(more, &[]));
    tape.say(SMELTER, Body::CloseCampaign(ending(id, 100, 49_000_000, 0)));
    tape.check_answers();
}

#[test]
fn memory_that_is_far_behind_is_not_level() {
    let mut tape = Tape::new();
    tape.copper(COLLECTOR, 1_000);
    let late = Recent::default();
    assert!(!late.catch_up(&tape.store, 50, || false).unwrap());
    assert!(!late.catch_up(&tape.store, u64::MAX, || true).unwrap());
    assert_eq!(late.held().0, EntryIndex(0));
    assert!(late.catch_up(&tape.store, u64::MAX, || false).unwrap());
    assert_eq!(late.held().0, EntryIndex(BEFORE + 1));
}
