//! What entries rest on, kept while they are judged: so that one lot and its grounds can be cut
//! out of a ledger and still be judged.

use std::collections::{BTreeMap, BTreeSet};

use super::told;
use crate::domain::memory::MemoryState;
use crate::domain::subject::Subject;
use crate::domain::{EntryIndex, LotId};
use crate::provenance::{GraphRecorder, Measure, Origins, TraceLimits, origins};

/// Which entry last wrote each value, and on which entries each entry rests.
#[derive(Debug, Default)]
pub(super) struct Rests {
    writers: BTreeMap<Subject, EntryIndex>,
    on: BTreeMap<EntryIndex, Box<[EntryIndex]>>,
}

impl Rests {
    /// An entry read these values, and then set those.
    pub(super) fn note(
        &mut self,
        index: EntryIndex,
        read: &BTreeSet<Subject>,
        written: impl Iterator<Item = Subject>,
    ) {
        let on: BTreeSet<EntryIndex> =
            read.iter().filter_map(|subject| self.writers.get(subject)).copied().collect();
        self.on.insert(index, on.into_iter().collect());
        for subject in written {
            self.writers.insert(subject, index);
        }
    }

    /// The entry that last wrote a value.
    pub(super) fn writer(&self, subject: &Subject) -> Option<EntryIndex> {
        self.writers.get(subject).copied()
    }

    /// These entries, with all that they rest on.
    fn closure(&self, from: BTreeSet<EntryIndex>) -> BTreeSet<EntryIndex> {
        let mut closed = BTreeSet::new();
        let mut open: Vec<EntryIndex> = from.into_iter().collect();
        // Each entry is opened once, and rests on earlier ones only.
        while let Some(index) = open.pop() {
            if closed.insert(index) {
                open.extend(self.on.get(&index).iter().flat_map(|on| on.iter()));
            }
        }
        closed
    }
}

/// What stands behind a lot: its grounds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grounds {
    /// Every entry that a judge needs to judge the lot's life, ascending.
    pub entries: Vec<EntryIndex>,
    /// The lot and those before it, ascending.
    pub lots: Vec<LotId>,
}

/// Grams of one measure, and where they come from.
pub type Measured = (Measure, Origins);

/// The grounds of a lot: its life, the lives and campaigns behind it, and what those entries rest
/// on. In words, when there are none.
pub(super) fn grounds(state: &MemoryState, rests: &Rests, lot: LotId) -> Result<Grounds, String> {
    let recorder = GraphRecorder::new(state);
    let measured = measure(&recorder, state, lot)?;
    if measured.iter().any(|(_, origins)| !origins.is_complete) {
        return Err(format!("the history of lot {lot} is longer than one walk may be"));
    }
    let (mut seen, mut lots) = recorder.into_seen();
    lots.insert(lot);
    let lives = lots.iter().flat_map(|lot| {
        let life = state.lives.range((*lot, 0)..=(*lot, u32::MAX));
        life.filter_map(|(_, event)| state.events.get(event)).map(|record| record.index)
    });
    seen.extend(lives.collect::<Vec<_>>());
    let mut entries = rests.closure(seen);
    entries.insert(EntryIndex(0));
    Ok(Grounds { entries: entries.into_iter().collect(), lots: lots.into_iter().collect() })
}

/// Where the grams of a lot come from: its mass, and each substance that was found in it; nothing
/// for one whose birth was declared an error.
pub(super) fn measure<G>(
    graph: &G,
    state: &MemoryState,
    lot: LotId,
) -> Result<Vec<Measured>, String>
where
    G: crate::provenance::Graph,
    G::Fault: std::fmt::Debug + std::fmt::Display + 'static,
{
    let known = state.lots.get(&lot).ok_or_else(|| format!("there is no lot {lot}"))?;
    if known.retracted_by.is_some() {
        return Ok(Vec::new()); // its birth was an error: it holds nothing
    }
    let substances = known.contents.items.iter().map(|it| Measure::Substance(it.substance));
    let measures = std::iter::once(Measure::Mass).chain(substances);
    let of = |measure| {
        let found = origins(graph, lot, measure, TraceLimits::default());
        found.map(|origins| (measure, origins)).map_err(|fault| told(&fault))
    };
    measures.map(of).collect()
}

/// What a plain verification does not keep: nothing in the rules asks for it.
pub(super) fn forget(state: &mut MemoryState) {
    state.movements.clear();
    state.attestations.clear();
    state.acknowledgements.clear();
}
