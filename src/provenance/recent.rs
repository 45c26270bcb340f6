//! The history of recent entries in memory, in few bytes, so that a walk reads no disk.
//!
//! Each entry has a record: a link for each lot that it names, and what its event did to metal. A
//! link says how far back the lot's entry before it lies, so a life is walked from its last entry
//! to its first. Nothing else is kept of a lot but where its life ends. When the records outgrow
//! their bound, the oldest are forgotten; of a life that began among them nothing is said.

use std::collections::{BTreeMap, HashMap, VecDeque};

use super::record::{self, Class};
use crate::domain::effects::LotLink;
use crate::domain::movement::Movement;
use crate::domain::vocabulary::OriginKinds;
use crate::domain::{EntryIndex, LotId};
use crate::limits::{RECENT_FORGET_PARTS, RECENT_RUN_ENTRIES};

/// What the end of a life costs for each that the map has room for: the pair, a byte of the map's
/// own, and an eighth that stays free.
const HEAD_BYTES: usize = (size_of::<(LotId, EntryIndex)>() + 1) * 8 / 7;

/// What a lot is from its birth on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LotClass {
    /// Which.
    pub lot: LotId,
    /// Every origin kind of what it was made from.
    pub origin_kinds: OriginKinds,
    /// Code of the material table.
    pub material: String,
}

/// The records of consecutive entries, up to the newest that was taken over.
#[derive(Debug)]
pub struct RecentHistory {
    max_bytes: usize,
    runs: VecDeque<Run>,
    /// Everything from here on is held...
    first: EntryIndex,
    /// ...up to here.
    next: EntryIndex,
    /// Where the life of each lot ends, of lots that a held entry names.
    heads: HashMap<LotId, EntryIndex>,
    /// Codes of materials, by their numbers in the records.
    materials: Vec<String>,
    numbers: HashMap<String, u32>,
    /// What counts of entries whose movement was changed later, by a correction or a settlement.
    amended: BTreeMap<EntryIndex, Option<Movement>>,
}

/// Consecutive records.
#[derive(Debug)]
struct Run {
    first: EntryIndex,
    /// Where the record of each entry ends.
    ends: Vec<u32>,
    bytes: Vec<u8>,
}

impl RecentHistory {
    /// Holds nothing yet, and never much more than so many bytes.
    pub fn new(max_bytes: usize) -> Self {
        Self {
            max_bytes,
            runs: VecDeque::new(),
            first: EntryIndex(0),
            next: EntryIndex(0),
            heads: HashMap::new(),
            materials: Vec::new(),
            numbers: HashMap::new(),
            amended: BTreeMap::new(),
        }
    }

    /// The entry to take over next.
    pub const fn next(&self) -> EntryIndex {
        self.next
    }

    /// The oldest entry that is held.
    pub const fn first(&self) -> EntryIndex {
        self.first
    }

    /// Bytes in use: records, the ends of lives, and what was amended.
    pub fn bytes(&self) -> usize {
        let runs = self.runs.iter().map(|run| run.bytes.capacity() + run.ends.capacity() * 4);
        let amended = self.amended.len() * size_of::<(EntryIndex, Option<Movement>)>();
        runs.sum::<usize>() + self.heads.capacity() * HEAD_BYTES + amended
    }

    /// Takes over the next entry: the lots that it names, ascending; what lots are that came into
    /// being, as far as that is known; and what its event did.
    pub fn push<'a>(
        &mut self,
        links: &[LotLink],
        born: impl Iterator<Item = (LotId, OriginKinds, &'a str)>,
        movement: Option<&Movement>,
    ) {
        let index = self.next;
        let born: Vec<(LotId, Class)> =
            born.map(|(lot, kinds, material)| (lot, self.class(kinds, material))).collect();
        let run = match self.runs.back_mut() {
            Some(run) if run.has_room() => run,
            _ => {
                self.begin_run();
                let run = Run { first: index, ends: Vec::new(), bytes: Vec::new() };
                self.runs.push_back(run);
                let last = self.runs.len() - 1;
                &mut self.runs[last]
            }
        };
        let class_of = |lot| born.iter().find(|it| it.0 == lot).map(|it| it.1);
        record::put(&mut run.bytes, index, links, class_of, movement);
        // By `has_room` the bytes of a run are below what 32 bits count.
        run.ends.push(u32::try_from(run.bytes.len()).unwrap_or(u32::MAX));
        for link in links {
            self.heads.insert(link.lot, index);
        }
        self.next = index.next();
    }

    /// From now on an earlier entry counts like this.
    pub fn amend(&mut self, index: EntryIndex, movement: Option<Movement>) {
        if self.holds(index) {
            self.amended.insert(index, movement);
        }
    }

    /// Whether an entry is held.
    pub fn holds(&self, index: EntryIndex) -> bool {
        self.first <= index && index < self.next
    }

    /// Every entry that names the lot, ascending; `None` when some of it may not be held.
    pub fn life(&self, lot: LotId) -> Option<Vec<EntryIndex>> {
        let Some(last) = self.heads.get(&lot) else {
            // A stranger, unless its life ended among what was forgotten.
            return (self.first.0 == 0).then(Vec::new);
        };
        let mut life = vec![*last];
        let mut at = *last;
        loop {
            match record::link_of(self.record(at)?, lot)? {
                0 => break,
                distance => at = EntryIndex(at.0.checked_sub(distance.into())?),
            }
            life.push(at);
        }
        life.reverse();
        Some(life)
    }

    /// What the event of an entry did to metal, as it counts now; `None` when it is not held.
    pub fn movement(&self, index: EntryIndex) -> Option<Option<Movement>> {
        let bytes = self.record(index)?;
        if let Some(amended) = self.amended.get(&index) {
            return Some(amended.clone());
        }
        record::movement_of(bytes, index)
    }

    /// As what a lot came into being; `None` when that is not held.
    pub fn class_of(&self, lot: LotId) -> Option<(OriginKinds, &str)> {
        let birth = *self.life(lot)?.first()?;
        let class = record::class_of(self.record(birth)?, lot)?;
        let material = self.materials.get(usize::try_from(class.material).ok()?)?;
        Some((OriginKinds::from_bits(class.kinds), material))
    }

    fn class(&mut self, origin_kinds: OriginKinds, material: &str) -> Class {
        let (kinds, name) = (origin_kinds.bits(), material);
        if let Some(material) = self.numbers.get(name) {
            return Class { kinds, material: *material };
        }
        // A ledger has some hundred materials.
        let material = u32::try_from(self.materials.len()).unwrap_or(u32::MAX);
        self.materials.push(name.to_owned());
        self.numbers.insert(name.to_owned(), material);
        Class { kinds, material }
    }

    fn record(&self, index: EntryIndex) -> Option<&[u8]> {
        let oldest = self.runs.front()?.first;
        let place = usize::try_from(index.0.checked_sub(oldest.0)?).ok()?;
        // All runs but the last are full, unless their bytes were.
        let guess = (place / RECENT_RUN_ENTRIES).min(self.runs.len() - 1);
        let found = self.runs.get(guess).filter(|run| run.has(index));
        let run = if let Some(run) = found {
            run
        } else {
            let after = self.runs.partition_point(|run| run.first <= index);
            self.runs.get(after.checked_sub(1)?)?
        };
        run.record(index)
    }

    /// Room for another run.
    fn begin_run(&mut self) {
        if let Some(full) = self.runs.back_mut() {
            full.bytes.shrink_to_fit();
            full.ends.shrink_to_fit();
        }
        if self.bytes() <= self.max_bytes {
            return;
        }
        let many = self.runs.len().div_ceil(RECENT_FORGET_PARTS);
        self.runs.drain(..many);
        let first = self.runs.front().map_or(self.next, |run| run.first);
        self.first = first;
        self.heads.retain(|_, last| *last >= first);
        self.heads.shrink_to_fit();
        self.amended = self.amended.split_off(&first);
    }
}

impl Run {
    fn has_room(&self) -> bool {
        let most = usize::try_from(u32::MAX).unwrap_or(usize::MAX) - record::MAX_BYTES;
        self.ends.len() < RECENT_RUN_ENTRIES && self.bytes.len() < most
    }

    fn has(&self, index: EntryIndex) -> bool {
        let place = index.0.checked_sub(self.first.0).and_then(|it| usize::try_from(it).ok());
        place.is_some_and(|place| place < self.ends.len())
    }

    fn record(&self, index: EntryIndex) -> Option<&[u8]> {
        let place = usize::try_from(index.0.checked_sub(self.first.0)?).ok()?;
        let end = *self.ends.get(place)?;
        let start = match place.checked_sub(1) {
            Some(before) => *self.ends.get(before)?,
            None => 0,
        };
        self.bytes.get(usize::try_from(start).ok()?..usize::try_from(end).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use super::super::record::tests::{full, id};
    use super::*;
    use crate::domain::vocabulary::OriginKind;

    fn link(lot: LotId, previous: Option<u64>) -> LotLink {
        LotLink { lot, ordinal: u32::from(previous.is_some()), previous: previous.map(EntryIndex) }
    }

    fn none() -> std::iter::Empty<(LotId, OriginKinds, &'static str)> {
        std::iter::empty()
    }

    #[test]
    fn lives_and_movements_and_classes_come_back() {
        let mut history = RecentHistory::new(usize::MAX);
        history.push(&[], none(), None);
        let ore = (id(3), OriginKinds::of(OriginKind::Ore), "ORE");
        let links = [link(id(2), None), link(id(3), None)];
        history.push(&links, [ore].into_iter(), Some(&full(1)));
        history.push(&[link(id(3), Some(1))], none(), None);
        assert_eq!(history.life(id(2)), Some(vec![EntryIndex(1)]));
        assert_eq!(history.life(id(3)), Some(vec![EntryIndex(1), EntryIndex(2)]));
        assert_eq!(history.life(id(9)), Some(vec![]));
        assert_eq!(history.class_of(id(3)), Some((OriginKinds::of(OriginKind::Ore), "ORE")));
        assert_eq!(history.class_of(id(2)), None, "nobody said");
        let held = |index| history.movement(EntryIndex(index));
        assert_eq!((held(0), held(1), held(2)), (Some(None), Some(Some(full(1))), Some(None)));
        assert_eq!(held(3), None);

        history.amend(EntryIndex(1), None);
        assert_eq!(history.movement(EntryIndex(1)), Some(None));
        history.amend(EntryIndex(1), Some(full(1)));
        assert_eq!(history.movement(EntryIndex(1)), Some(Some(full(1))));
    }

    #[test]
    fn the_oldest_are_forgotten_and_nothing_is_said_of_lives_that_began_there() {
        let run = RECENT_RUN_ENTRIES as u64;
        let mut history = RecentHistory::new(1);
        // One lot all the way, one that ends at once, one that begins late.
        history.push(&[link(id(1), None), link(id(2), None)], none(), None);
        for index in 1..3 * run {
            let late = (index == 2 * run + 5).then(|| link(id(3), None));
            let links: Vec<_> = [link(id(1), Some(index - 1))].into_iter().chain(late).collect();
            history.push(&links, none(), None);
        }
        assert_eq!((history.first(), history.next()), (EntryIndex(2 * run), EntryIndex(3 * run)));
        assert_eq!((history.life(id(1)), history.life(id(2))), (None, None));
        assert_eq!(history.life(id(3)), Some(vec![EntryIndex(2 * run + 5)]));
        assert_eq!(history.life(id(9)), None, "it may have been among them");
        assert_eq!(history.movement(EntryIndex(5)), None);
        assert_eq!(history.movement(EntryIndex(2 * run)), Some(None));
        history.amend(EntryIndex(5), Some(full(5)));
        assert_eq!(history.movement(EntryIndex(5)), None);
    }
}
