//! How long origins and trace of one lot take, and whether that grows with the answer or with the
//! ledger.
//!
//! `cargo bench --bench provenance [-- --rounds N --ledger N]`
//!
//! Ten plants, 100,000 lots: 9,600 collected lots each, merged 300 at a time, processed and divided
//! until the last lot of a plant has 10,000 ancestors and is 20 events deep. *Apart*: each merge
//! goes its own way until the last five events. *Mixed*: all of them feed each other at every step,
//! so that most lots have all 9,600 origins; that is as far as the caps allow. The same lot is then
//! asked for in ledgers of 100,000 and (`--ledger`) 1,000,000 entries over the real store, where
//! the other entries are lots of others, strewn between: as a node answers it, with recent history
//! in memory, and from the database alone. Median of the rounds, in time on a processor and in time
//! that passed; the first round is told by itself.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::float_arithmetic,
    clippy::cast_precision_loss,
    reason = "a bench may stop, and times are fractions"
)]

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::time::Instant;

use bytes::Bytes;
use urbanmine::domain::effects::LotLink;
use urbanmine::domain::event::LotDraw;
use urbanmine::domain::lot::{Content, Contents, EventRecord, Life, Lot, Tally};
use urbanmine::domain::memory::MemoryState;
use urbanmine::domain::movement::{Birth, Movement};
use urbanmine::domain::vocabulary::{CustodyModel, EventKind, OriginKind, OriginKinds, Substance};
use urbanmine::domain::{
    CampaignId, EntryCount, EntryIndex, EventId, Grams, Hash32, KeyId, LotId, Origin, PartyId,
    PublicKey, SiteId, TimeMs,
};
use urbanmine::ledger::envelope::EnvelopeSignature;
use urbanmine::ledger::frame::Group;
use urbanmine::ledger::{ChainValue, Draft, EntryKind, Envelope, Position, Sealed};
use urbanmine::node::recent::{Recent, StoredGraph};
use urbanmine::provenance::{Detail, Graph, Measure, TraceLimits, origins_and_trace};
use urbanmine::store::{GroupRows, Store, StoreConfig, Trail};

const PLANTS: u64 = 10;
const MERGES: usize = 32;
const FAN_IN: usize = 300;
/// Events of each part between the merge and the last five.
const STEPS: usize = 13;
const GROUP: u64 = 1_024;
const CU: Measure = Measure::Substance(Substance::Cu);

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|it| it != "--bench").collect();
    let number = |name: &str, usual: usize| {
        let place = args.iter().position(|it| it == name);
        let value = place.and_then(|place| args.get(place + 1));
        value.map_or(usual, |it| it.parse().unwrap())
    };
    let rounds = number("--rounds", 9);
    let times = format!("{:>8} {:>8} {:>8}", "cpu ms", "wall ms", "first ms");
    println!("{:<34} {:>8} {:>8} {:^26}  {:^26}", "", "lots", "steps", "mass", "copper");
    println!("{:<52} {times}  {times}", "");
    for (name, way) in [("apart, in memory", Way::Apart), ("mixed, in memory", Way::Mixed)] {
        let (dag, asked) = Dag::of_plants(way);
        row(name, &dag, asked, rounds);
    }
    let (dag, asked) = Dag::of_plants(Way::Apart);
    for entries in [0, number("--ledger", 1_000_000)] {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::create(
            &StoreConfig::new(folder.path().join("data"), folder.path().join("guard")),
            &Origin::parse("ledger.example/bench").unwrap(),
            &PublicKey([7; 32]),
        );
        let store = store.unwrap();
        let size = dag.write(&store, entries as u64);
        store.sync().unwrap();
        let recent = recalled(&store);
        let all = EntryCount(u64::MAX);
        let graph = StoredGraph::new(&store, Some(&recent), all);
        row(&format!("apart, node of {size} entries"), &graph, asked, rounds);
        let graph = StoredGraph::new(&store, None, all);
        row("apart, the same, database alone", &graph, asked, rounds);
    }
}

/// Recent history of all of a store, and what it takes.
fn recalled(store: &Store) -> Recent {
    let (begun, resident) = (cpu_ms(), resident_bytes());
    let recent = Recent::default();
    assert!(recent.catch_up(store, u64::MAX, || false).unwrap());
    let ((next, bytes), took) = (recent.held(), cpu_ms() - begun);
    let entries = next.0 as f64;
    println!(
        "  recent history: {:.0} B an entry ({:.0} B resident), {:.2} us each to take over",
        bytes as f64 / entries,
        (resident_bytes() - resident) / entries,
        took * 1_000.0 / entries,
    );
    recent
}

/// Bytes that the process has in memory; the database's cache grows beside, so it is a bound.
fn resident_bytes() -> f64 {
    let told = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: Option<u32> = told.split_whitespace().nth(1).and_then(|it| it.parse().ok());
    f64::from(pages.unwrap_or_default()) * 4_096.0
}

/// Median times of origins and trace back together, of a lot.
fn row<G: Graph>(name: &str, graph: &G, asked: LotId, rounds: usize) {
    let limits = TraceLimits::default();
    let mut size = (0, 0);
    let mut median = |measure| {
        let once = || {
            let (begun, on_cpu) = (Instant::now(), cpu_ms());
            let found = origins_and_trace(graph, asked, measure, Detail::Shares, limits);
            let took = (cpu_ms() - on_cpu, begun.elapsed().as_secs_f64() * 1_000.0);
            let Ok((origins, trace)) = found else { panic!("the graph is sound") };
            assert!(origins.is_complete && origins.is_attributed && trace.is_complete);
            size = (trace.lots.len(), trace.steps.len());
            took
        };
        let mut each = std::iter::repeat_with(once);
        let first = each.next().map_or(0.0, |(_, wall)| wall);
        let times: Vec<_> = each.take(rounds).collect();
        let middle = |mut times: Vec<f64>| {
            times.sort_by(f64::total_cmp);
            times[times.len() / 2]
        };
        let (cpu, wall): (Vec<f64>, Vec<f64>) = times.into_iter().unzip();
        format!("{:>8.1} {:>8.1} {first:>8.1}", middle(cpu), middle(wall))
    };
    let (mass, copper) = (median(Measure::Mass), median(CU));
    let (lots, steps) = size;
    println!("{name:<34} {lots:>8} {steps:>8} {mass}  {copper}");
}

/// Milliseconds that this thread has run: on a machine with other work, what counts.
fn cpu_ms() -> f64 {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanos: Option<u64> = told.split_whitespace().next().and_then(|it| it.parse().ok());
    nanos.unwrap_or_default() as f64 / 1e6
}

/// How the parts of a plant go on.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    Apart,
    Mixed,
}

/// Movements in the order of the ledger.
#[derive(Default)]
struct Dag {
    movements: Vec<Movement>,
    lives: HashMap<LotId, Vec<EntryIndex>>,
    left: BTreeMap<LotId, u64>,
    made: u64,
    dice: u64,
}

impl Graph for Dag {
    type Fault = Infallible;

    fn life(&self, lot: LotId) -> Result<Vec<EntryIndex>, Infallible> {
        Ok(self.lives.get(&lot).cloned().unwrap_or_default())
    }

    fn movement(&self, index: EntryIndex) -> Result<Option<Movement>, Infallible> {
        Ok(self.movements.get(usize::try_from(index.0).unwrap()).cloned())
    }

    fn campaign(&self, _: CampaignId) -> Result<Vec<EntryIndex>, Infallible> {
        Ok(Vec::new())
    }
}

impl Dag {
    /// All plants, and the last lot of the fifth.
    fn of_plants(way: Way) -> (Self, LotId) {
        let mut dag = Self::default();
        let lots: Vec<LotId> = (0..PLANTS).map(|_| dag.plant(way)).collect();
        (dag, lots[4])
    }

    fn plant(&mut self, way: Way) -> LotId {
        let mut parts = Vec::with_capacity(MERGES);
        for _ in 0..MERGES {
            let lots: Vec<LotId> = (0..FAN_IN).map(|_| self.collect()).collect();
            let draws: Vec<_> = lots.into_iter().map(|lot| self.all_of(lot)).collect();
            parts.push(self.make(EventKind::MergeLots, &draws, 0));
        }
        for step in 0..STEPS {
            parts = match way {
                Way::Apart => self.step_apart(&parts, step),
                Way::Mixed => self.step_mixed(&parts, step),
            };
        }
        while parts.len() > 1 {
            let pairs: Vec<Vec<LotId>> = parts.chunks(2).map(<[LotId]>::to_vec).collect();
            let merge = |pair: Vec<LotId>| {
                let draws: Vec<_> = pair.into_iter().map(|lot| self.all_of(lot)).collect();
                self.make(EventKind::MergeLots, &draws, 0)
            };
            parts = pairs.into_iter().map(merge).collect();
        }
        parts[0]
    }

    /// Processes and divisions by turns; most of it goes on.
    fn step_apart(&mut self, parts: &[LotId], step: usize) -> Vec<LotId> {
        let kind =
            if step.is_multiple_of(2) { EventKind::TransformLots } else { EventKind::SplitLot };
        let next = |part: &LotId| {
            let draw = self.all_of(*part);
            self.make(kind, &[draw], draw.1 / 50)
        };
        parts.iter().map(next).collect()
    }

    /// Half of each and half of another one, ever farther away.
    fn step_mixed(&mut self, parts: &[LotId], step: usize) -> Vec<LotId> {
        let halves: Vec<u64> = parts.iter().map(|part| self.left[part] / 2).collect();
        let far = 1 << (step % 5);
        let next = |place: usize| {
            let other = (place + far) % parts.len();
            let draws = [(parts[place], halves[place]), (parts[other], halves[other])];
            self.make(EventKind::TransformLots, &draws, halves[place] / 50)
        };
        (0..parts.len()).map(next).collect()
    }

    fn name(&mut self) -> LotId {
        self.made += 1;
        let mut bytes = [7; 16];
        bytes[..8].copy_from_slice(&self.made.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
        bytes[8..].copy_from_slice(&self.made.to_be_bytes());
        bytes[6] = 0x70 | (bytes[6] & 0x0F);
        bytes[8] |= 0x80;
        LotId::from_bytes(bytes)
    }

    fn all_of(&self, lot: LotId) -> (LotId, u64) {
        (lot, self.left[&lot])
    }

    /// Half a tonne to three tonnes, with copper in it.
    fn collect(&mut self) -> LotId {
        self.dice = self.dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695);
        let mass = 500_000 + (self.dice >> 32) % 2_500_000;
        let contained = Grams::of(mass / 100 * (20 + self.dice % 70));
        let copper = Content { substance: Substance::Cu, contained, uncertainty: Grams::ZERO };
        let contents = Contents { of_mass: Grams::of(mass), items: vec![copper] };
        let lot = self.name();
        self.push(EventKind::CollectLot, &[], &[(lot, mass)], 0, Some(&contents));
        lot
    }

    /// One lot out of others, but for a loss.
    fn make(&mut self, kind: EventKind, draws: &[(LotId, u64)], loss: u64) -> LotId {
        let lot = self.name();
        let mass = draws.iter().map(|(_, mass)| mass).sum::<u64>() - loss;
        self.push(kind, draws, &[(lot, mass)], loss, None);
        lot
    }

    fn push(
        &mut self,
        kind: EventKind,
        draws: &[(LotId, u64)],
        births: &[(LotId, u64)],
        loss: u64,
        contents: Option<&Contents>,
    ) {
        let index = EntryIndex(self.movements.len() as u64);
        for (lot, mass) in draws {
            *self.left.get_mut(lot).unwrap() -= mass;
            self.lives.entry(*lot).or_default().push(index);
        }
        for (lot, mass) in births {
            self.left.insert(*lot, *mass);
            self.lives.entry(*lot).or_default().push(index);
        }
        let draw = |(lot, mass): &(LotId, u64)| LotDraw { lot: *lot, mass: Grams::of(*mass) };
        let birth = |(lot, mass): &(LotId, u64)| Birth {
            lot: *lot,
            mass: Grams::of(*mass),
            contents: contents.cloned(),
        };
        self.movements.push(Movement {
            index,
            event: event_of(index.0),
            kind,
            draws: draws.iter().map(draw).collect(),
            births: births.iter().map(birth).collect(),
            output_count: births.len(),
            uptake: Grams::ZERO,
            loss: Grams::of(loss),
            assay: None,
            campaign: None,
            stock: None,
            gained: None,
        });
    }

    /// Writes them into a store of at least so many entries; how many there are.
    fn write(&self, store: &Store, at_least: u64) -> u64 {
        let own = self.movements.len() as u64;
        // So many entries of others before each of ours.
        let others = (at_least.max(own) - own).div_ceil(own);
        let size = own * (others + 1);
        let mut tape = Tape { store, lives: HashMap::new(), chain: ChainValue::START };
        let mut stranger = Self { made: 1 << 40, ..Self::default() };
        let mut next = 0;
        while next < size {
            let end = (next + GROUP).min(size);
            let mut group = Vec::new();
            for index in next..end {
                let is_own = index % (others + 1) == others;
                let mut movement = if is_own {
                    let place = usize::try_from(index / (others + 1)).unwrap();
                    self.movements[place].clone()
                } else {
                    stranger.collect();
                    stranger.movements.pop().unwrap()
                };
                movement.index = EntryIndex(index);
                movement.event = event_of(index);
                group.push(movement);
            }
            tape.commit(next, group);
            (stranger.lives, stranger.left) = Default::default();
            next = end;
        }
        size
    }
}

fn event_of(index: u64) -> EventId {
    let mut bytes = [0x70; 16];
    bytes[8..].copy_from_slice(&index.to_be_bytes());
    EventId::from_bytes(bytes)
}

/// A store that is written to as a node writes, except judging, signing and syncing.
struct Tape<'a> {
    store: &'a Store,
    /// How often each lot was named, where last, and where first.
    lives: HashMap<LotId, (u32, EntryIndex, EntryIndex)>,
    chain: ChainValue,
}

impl Tape<'_> {
    fn commit(&mut self, first: u64, movements: Vec<Movement>) {
        let mut changes = MemoryState::default();
        let sealed: Vec<Sealed> = movements.iter().map(|it| self.seal(it, &mut changes)).collect();
        for movement in movements {
            changes.events.insert(movement.event, Box::new(record_of(&movement)));
            changes.movements.insert(movement.index, movement);
        }
        let checkpoint = if first == 0 { Bytes::new() } else { Bytes::from_static(b"before") };
        let group = Group {
            first: EntryIndex(first),
            previous_checkpoint: checkpoint,
            entries: sealed.iter().map(|it| it.bytes().clone()).collect(),
        };
        let leaves: Vec<Hash32> = sealed.iter().map(Sealed::leaf).collect();
        self.store.journal_append(&group).unwrap();
        let rows = GroupRows {
            group: &group,
            leaves: &leaves,
            chain: self.chain,
            changes: &changes,
            retracted: &[],
            trail: &Trail::default(),
            sights: &[],
            lot_map: None,
        };
        self.store.write_group(&rows).unwrap();
    }

    /// The entry of a movement, as large as one of a small event, with its lot links.
    fn seal(&mut self, movement: &Movement, changes: &mut MemoryState) -> Sealed {
        let index = movement.index;
        let born = movement.births.iter().map(|birth| birth.lot);
        let mut lots: Vec<LotId> = movement.draws.iter().map(|draw| draw.lot).chain(born).collect();
        lots.sort_unstable();
        lots.dedup();
        let mut links = Vec::with_capacity(lots.len());
        for lot in lots {
            let before = self.lives.get(&lot).copied();
            let ordinal = before.map_or(0, |(ordinal, ..)| ordinal + 1);
            links.push(LotLink { lot, ordinal, previous: before.map(|(_, last, _)| last) });
            let born_at = before.map_or(index, |(.., first)| first);
            self.lives.insert(lot, (ordinal, index, born_at));
            changes.lives.insert((lot, ordinal), movement.event);
            let life = Life { count: ordinal + 1, last: index };
            changes.lots.insert(lot, Box::new(lot_of(lot, born_at, life)));
        }
        let signature = EnvelopeSignature { key: KeyId([1; 32]), signature: [2; 64] };
        let envelope =
            Envelope { signatures: vec![signature], payload: Bytes::from_static(&[3; 170]) };
        let draft = Draft {
            kind: EntryKind::Event,
            recorded_at: TimeMs::of(1_760_000_000_000),
            rules_version: 1,
            tables_hash: Hash32([3; 32]),
            // A ledger's first entry links nothing.
            links: if index.0 == 0 { Vec::new() } else { links },
            envelope: envelope.encode(),
        };
        let place = Position { index, previous: self.chain, batch_first: index, batch_len: 1 };
        let sealed = draft.seal(place).unwrap();
        self.chain = sealed.chain();
        sealed
    }
}

/// A lot as small as one can be.
fn lot_of(id: LotId, born_at: EntryIndex, life: Life) -> Lot {
    Lot {
        id,
        material: "CU_SCRAP_NO2".to_owned(),
        form: "BULK".to_owned(),
        origin_kinds: OriginKinds::of(OriginKind::PostConsumer),
        custody_model: CustodyModel::Segregated,
        grades: Vec::new(),
        owner: PartyId::from_bytes([1; 16]),
        possessor: PartyId::from_bytes([1; 16]),
        site: SiteId::from_bytes([1; 16]),
        origin_region: String::new(),
        invoice_class: None,
        born_at,
        born_by: event_of(born_at.0),
        born_occurred_at: TimeMs::of(1),
        moved_at: born_at,
        initial_mass: Grams::of(1_000),
        remaining: Grams::of(1_000),
        reserved: Grams::ZERO,
        contents: Contents::default(),
        assayed_by: None,
        holds: Vec::new(),
        ended: None,
        tally: Tally::default(),
        has_earned: false,
        approvals: Vec::new(),
        grants: Vec::new(),
        retracted_by: None,
        last_occurred_at: TimeMs::of(1),
        life,
    }
}

fn record_of(movement: &Movement) -> EventRecord {
    EventRecord {
        id: movement.event,
        index: movement.index,
        payload_hash: Hash32([0; 32]),
        kind: movement.kind,
        actor: PartyId::from_bytes([1; 16]),
        occurred_at: TimeMs::of(1_760_000_000_000),
        deltas: Vec::new(),
        flags: Vec::new(),
        corrected_by: None,
    }
}
