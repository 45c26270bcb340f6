//! A history in memory, and a maker of random ones that a ledger would have admitted.
#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops")]
#![allow(clippy::unnecessary_wraps, reason = "contents are optional wherever these are used")]

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;

use urbanmine::domain::event::LotDraw;
use urbanmine::domain::lot::{Content, Contents};
use urbanmine::domain::movement::{Birth, Movement};
use urbanmine::domain::vocabulary::{EventKind, Substance};
use urbanmine::domain::{CampaignId, EntryIndex, EventId, Grams, LotId};
use urbanmine::provenance::{Graph, Measure, Origins, TraceLimits, origins};

pub const CU: Measure = Measure::Substance(Substance::Cu);

/// Movements in the order of the ledger, and what remains of each lot.
#[derive(Clone, Default)]
pub struct History {
    pub movements: Vec<Movement>,
    pub retracted: BTreeSet<u64>,
    pub remaining: BTreeMap<LotId, u64>,
    pub lives: BTreeMap<LotId, Vec<EntryIndex>>,
    made: u64,
}

impl Graph for History {
    type Fault = Infallible;

    fn life(&self, lot: LotId) -> Result<Vec<EntryIndex>, Infallible> {
        Ok(self.lives.get(&lot).cloned().unwrap_or_default())
    }

    fn movement(&self, index: EntryIndex) -> Result<Option<Movement>, Infallible> {
        let is_retracted = self.retracted.contains(&index.0);
        let place = usize::try_from(index.0).unwrap();
        Ok(self.movements.get(place).filter(|_| !is_retracted).cloned())
    }

    fn campaign(&self, id: CampaignId) -> Result<Vec<EntryIndex>, Infallible> {
        let is_its = |movement: &&Movement| {
            let takes_over = movement.stock.as_ref().is_some_and(|it| it.from == Some(id));
            movement.campaign == Some(id) || takes_over
        };
        let its = self.movements.iter().filter(is_its).map(|movement| movement.index);
        Ok(its.filter(|index| !self.retracted.contains(&index.0)).collect())
    }
}

/// A lot's name; the order of names is not the order of making.
pub fn name(number: u64) -> LotId {
    let mut bytes = [7; 16];
    bytes[..8].copy_from_slice(&number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    bytes[8..].copy_from_slice(&number.to_be_bytes());
    // As in every id of a lot: what is not one has another version.
    bytes[6] = 0x70 | (bytes[6] & 0x0F);
    LotId::from_bytes(bytes)
}

pub fn contents(mass: u64, items: &[(Substance, u64)]) -> Option<Contents> {
    let item = |(substance, grams): &(Substance, u64)| Content {
        substance: *substance,
        contained: Grams::of(*grams),
        uncertainty: Grams::ZERO,
    };
    Some(Contents { of_mass: Grams::of(mass), items: items.iter().map(item).collect() })
}

pub fn copper(mass: u64, grams: u64) -> Option<Contents> {
    contents(mass, &[(Substance::Cu, grams)])
}

pub fn shares(vector: &[(LotId, Grams)]) -> Vec<(LotId, u64)> {
    vector.iter().map(|(origin, grams)| (*origin, grams.get())).collect()
}

impl History {
    pub fn new_name(&mut self) -> LotId {
        self.made += 1;
        name(self.made)
    }

    /// Adds a movement as it stands.
    pub fn push(&mut self, mut movement: Movement) {
        let index = EntryIndex(self.movements.len() as u64);
        movement.index = index;
        let mut named: BTreeSet<LotId> = BTreeSet::new();
        for draw in &movement.draws {
            let left = self.remaining.get_mut(&draw.lot).unwrap();
            *left = left.checked_sub(draw.mass.get()).unwrap();
            named.insert(draw.lot);
        }
        for birth in &movement.births {
            self.remaining.insert(birth.lot, birth.mass.get());
            named.insert(birth.lot);
        }
        named.extend(movement.assay.iter().map(|assay| assay.lot));
        if let Some(gained) = &movement.gained {
            *self.remaining.get_mut(&gained.lot).unwrap() += gained.mass.get();
            named.insert(gained.lot);
        }
        for lot in named {
            self.lives.entry(lot).or_default().push(index);
        }
        self.movements.push(movement);
    }

    pub fn event(
        &mut self,
        kind: EventKind,
        draws: &[(LotId, u64)],
        births: Vec<(LotId, u64, Option<Contents>)>,
        uptake: u64,
        loss: u64,
    ) {
        let draws: Vec<_> =
            draws.iter().map(|(lot, mass)| LotDraw { lot: *lot, mass: Grams::of(*mass) }).collect();
        let births: Vec<_> = births
            .into_iter()
            .map(|(lot, mass, contents)| Birth { lot, mass: Grams::of(mass), contents })
            .collect();
        self.push(Movement {
            index: EntryIndex(0),
            event: EventId::from_bytes([1; 16]),
            kind,
            output_count: births.len(),
            draws,
            births,
            uptake: Grams::of(uptake),
            loss: Grams::of(loss),
            assay: None,
            campaign: None,
            stock: None,
            gained: None,
        });
    }

    pub fn collect(&mut self, mass: u64, contents: Option<Contents>) -> LotId {
        let lot = self.new_name();
        self.event(EventKind::CollectLot, &[], vec![(lot, mass, contents)], 0, 0);
        lot
    }

    pub fn assay(&mut self, lot: LotId, items: &[(Substance, u64)]) {
        let mass = self.remaining[&lot];
        let mut movement = self.movements[0].clone();
        movement.kind = EventKind::AssayLot;
        movement.draws.clear();
        movement.births.clear();
        movement.output_count = 0;
        (movement.uptake, movement.loss) = (Grams::ZERO, Grams::ZERO);
        movement.assay =
            Some(Birth { lot, mass: Grams::of(mass), contents: contents(mass, items) });
        self.push(movement);
    }

    /// Divides all that remains; what the masses leave is lost.
    pub fn split(&mut self, parent: LotId, masses: &[u64]) -> Vec<LotId> {
        let whole = self.remaining[&parent];
        let loss = whole - masses.iter().sum::<u64>();
        let children: Vec<_> = masses.iter().map(|mass| (self.new_name(), *mass, None)).collect();
        let names = children.iter().map(|(lot, _, _)| *lot).collect();
        self.event(EventKind::SplitLot, &[(parent, whole)], children, 0, loss);
        names
    }

    pub fn merge(&mut self, draws: &[(LotId, u64)], contents: Option<Contents>) -> LotId {
        let lot = self.new_name();
        let mass = draws.iter().map(|(_, mass)| mass).sum();
        self.event(EventKind::MergeLots, draws, vec![(lot, mass, contents)], 0, 0);
        lot
    }

    /// Takes over a part of a lot, of which some was lost on the way.
    pub fn accept(&mut self, lot: LotId, sent: u64, loss: u64) -> LotId {
        let part = self.new_name();
        let births = vec![(part, sent - loss, None)];
        self.event(EventKind::AcceptTransfer, &[(lot, sent)], births, 0, loss);
        part
    }

    /// A stocktake counts more, or less, than was booked.
    pub fn count(&mut self, lot: LotId, counted: u64) {
        let booked = self.remaining[&lot];
        let missing = booked.saturating_sub(counted);
        let draws: Vec<_> = if missing > 0 { vec![(lot, missing)] } else { Vec::new() };
        self.event(EventKind::Stocktake, &draws, vec![], 0, missing);
        if counted > booked {
            let mut movement = self.movements.pop().unwrap();
            let mass = Grams::of(counted - booked);
            movement.gained = Some(LotDraw { lot, mass });
            self.push(movement);
        }
    }

    pub fn lots(&self) -> Vec<LotId> {
        self.lives.keys().copied().collect()
    }

    pub fn origins(&self, lot: LotId, measure: Measure) -> Origins {
        origins(self, lot, measure, TraceLimits::default()).unwrap()
    }
}

/// One random step; numbers are taken modulo what is possible.
#[derive(Debug, Clone)]
pub struct Op {
    pub kind: u8,
    pub picks: Vec<u16>,
    pub numbers: Vec<u64>,
}

/// Carries out steps that a ledger would admit; a step without a lot to use is a collection.
pub fn history(ops: &[Op]) -> History {
    let mut history = History::default();
    for op in ops {
        step(&mut history, op);
    }
    history
}

fn number(op: &Op, place: usize, below: u64) -> u64 {
    if below == 0 { 0 } else { op.numbers[place % op.numbers.len()] % below }
}

/// Different lots with something left, each with grams to draw; every third draw takes all.
fn draws(history: &History, op: &Op) -> Vec<(LotId, u64)> {
    let open: Vec<_> = history.remaining.iter().filter(|(_, left)| **left > 0).collect();
    let mut chosen = BTreeMap::new();
    for (place, pick) in op.picks.iter().enumerate().filter(|_| !open.is_empty()) {
        let (lot, left) = open[usize::from(*pick) % open.len()];
        let part = if pick.is_multiple_of(3) { *left } else { 1 + number(op, place, *left) };
        chosen.insert(*lot, part);
    }
    chosen.into_iter().collect()
}

fn maybe_contents(mass: u64, choice: u64, grams: u64) -> Option<Contents> {
    match choice % 8 {
        0 => None,
        1 => contents(mass, &[(Substance::Zn, grams)]),
        2 => contents(mass, &[(Substance::Cu, 0)]),
        _ => contents(mass, &[(Substance::Cu, grams), (Substance::Zn, mass - grams)]),
    }
}

/// Cuts a mass into at most `count` parts above zero; the rest is left.
fn cut(op: &Op, mass: u64, count: u64) -> Vec<u64> {
    let mut left = mass;
    let mut parts = Vec::new();
    for place in 0..count {
        if left > 0 {
            let part = 1 + number(op, usize::try_from(place).unwrap() + 1, left);
            parts.push(part);
            left -= part;
        }
    }
    parts
}

fn step(history: &mut History, op: &Op) {
    let draws = draws(history, op);
    let choice = op.numbers[0];
    let Some((first, part)) = draws.first().copied() else {
        let mass = 1 + choice % 1_000;
        history.collect(mass, copper(mass, choice % mass));
        return;
    };
    let whole = history.remaining[&first];
    match op.kind % 13 {
        0..=2 => {
            let mass =
                1 + number(op, 1, if op.kind.is_multiple_of(2) { 40 } else { 1_000_000_000 });
            history.collect(mass, maybe_contents(mass, choice, number(op, 2, mass + 1)));
        }
        3 => {
            let grams = number(op, 1, whole + 1);
            let substance = if choice.is_multiple_of(5) { Substance::Zn } else { Substance::Cu };
            history.assay(first, &[(substance, grams)]);
        }
        4..=5 => {
            let mut masses = cut(op, whole, 1 + choice % 4);
            if choice.is_multiple_of(2) {
                *masses.last_mut().unwrap() += whole - masses.iter().sum::<u64>();
            }
            history.split(first, &masses);
        }
        6..=7 => {
            let mass = draws.iter().map(|(_, mass)| mass).sum();
            let is_declared = choice.is_multiple_of(3);
            let said = maybe_contents(mass, choice / 3, number(op, 2, mass + 1));
            history.merge(&draws, said.filter(|_| is_declared));
        }
        8 => {
            history.accept(first, part, number(op, 1, part));
        }
        9 => {
            let loss = 1 + number(op, 1, part);
            history.event(EventKind::AcceptTransfer, &[(first, loss.min(whole))], vec![], 0, loss);
        }
        10 => history.count(first, (whole + number(op, 1, 20)).saturating_sub(choice % 20)),
        _ => transform(history, op, &draws),
    }
}

fn transform(history: &mut History, op: &Op, draws: &[(LotId, u64)]) {
    let uptake = number(op, 3, 30);
    let mass = uptake + draws.iter().map(|(_, mass)| mass).sum::<u64>();
    let masses = cut(op, mass, 1 + op.numbers[0] % 4);
    let births: Vec<_> = masses
        .iter()
        .zip(op.numbers.iter().cycle())
        .map(|(mass, number)| {
            (history.new_name(), *mass, maybe_contents(*mass, *number, number / 8 % (mass + 1)))
        })
        .collect();
    let loss = mass - masses.iter().sum::<u64>();
    history.event(EventKind::TransformLots, draws, births, uptake, loss);
}
