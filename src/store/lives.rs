//! Lots with their lives. A life's last places lie in the row of its lot, which is written with
//! every entry of it anyway; each [`LIFE_CHUNK`] of them that are full move into a row of their
//! own.

use std::collections::BTreeMap;

use super::Store;
use super::batch::Batch;
use super::codec::{self, Codec as _, codec_struct};
use super::database::{Database, decoded};
use super::fault::StoreFault;
use super::keyspace::{Key, Tag};
use crate::domain::lot::{EventRecord, Lot};
use crate::domain::memory::MemoryState;
use crate::domain::{EntryCount, EntryIndex, EventId, LotId};
use crate::limits::LIFE_CHUNK;

/// One entry of a life, as it lies in a row.
type Place = (EventId, EntryIndex);

/// A lot's row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LotRow {
    /// The lot.
    pub(super) lot: Lot,
    /// The places of its life after the last full chunk.
    tail: Vec<Place>,
}

codec_struct!(LotRow { lot, tail });

impl LotRow {
    /// [`codec::encode`], without a row to be made of them.
    fn encoded(lot: &Lot, tail: &Vec<Place>) -> Vec<u8> {
        let mut bytes = codec::encode(lot);
        tail.put(&mut bytes);
        bytes
    }

    /// Ordinal of the first place of the tail.
    fn tail_begin(&self) -> u32 {
        let tail = u32::try_from(self.tail.len()).unwrap_or(u32::MAX);
        self.lot.life.count.saturating_sub(tail)
    }
}

/// A lot as a group leaves it, with what it adds to its life. `before` is its row, if it had one.
pub(super) fn put_lot(
    database: &Database,
    batch: &mut Batch,
    lot: &Lot,
    before: Option<&LotRow>,
    changes: &MemoryState,
) -> Result<(), StoreFault> {
    let mut tail = before.map(|row| row.tail.clone()).unwrap_or_default();
    let mut begin = before.map_or(0, LotRow::tail_begin);
    let own = changes.lives.range((lot.id, 0)..=(lot.id, u32::MAX));
    for ((_, ordinal), event) in own {
        let key = Key::Life(lot.id, *ordinal);
        if begin as usize + tail.len() != *ordinal as usize {
            return Err(StoreFault::value(&key, "an ordinal before it is missing"));
        }
        let index = match changes.events.get(event) {
            Some(record) => record.index,
            None => index_of(database, &key, *event)?,
        };
        tail.push((*event, index));
        if tail.len() == LIFE_CHUNK {
            let chunk = std::mem::take(&mut tail);
            batch.insert(Key::Life(lot.id, begin).packed(), codec::encode(&chunk));
            begin = ordinal.saturating_add(1);
        }
    }
    batch.insert(Key::Lot(lot.id).packed(), LotRow::encoded(lot, &tail));
    Ok(())
}

fn index_of(database: &Database, key: &Key, event: EventId) -> Result<EntryIndex, StoreFault> {
    let record = database.value::<EventRecord>(&Key::Event(event))?;
    let index = record.map(|record| record.index);
    index.ok_or_else(|| StoreFault::value(key, format!("event {event} is not recorded")))
}

/// The rows of lots that stood before a group which begins with `first`.
pub(super) fn lots_before(
    database: &Database,
    first: EntryIndex,
    lots: &BTreeMap<LotId, Box<Lot>>,
) -> Result<BTreeMap<LotId, LotRow>, StoreFault> {
    let mut stood = BTreeMap::new();
    for (id, lot) in lots {
        // What was born in this group is not there.
        if lot.born_at < first
            && let Some(row) = database.value::<LotRow>(&Key::Lot(*id))?
        {
            stood.insert(*id, row);
        }
    }
    Ok(stood)
}

impl Store {
    pub(super) fn lot_row(&self, lot: LotId) -> Result<Option<LotRow>, StoreFault> {
        self.database.value(&Key::Lot(lot))
    }

    /// Every entry that names a lot, ascending.
    pub fn life(&self, lot: LotId) -> Result<Vec<EntryIndex>, StoreFault> {
        Ok(self.life_of(lot)?.into_iter().map(|(index, _)| index).collect())
    }

    /// Every entry that names a lot, ascending, and its event.
    pub fn life_of(&self, lot: LotId) -> Result<Vec<(EntryIndex, EventId)>, StoreFault> {
        let Some(row) = self.lot_row(lot)? else { return Ok(Vec::new()) };
        let mut life: Vec<Place> = Vec::with_capacity(row.lot.life.count as usize);
        if row.tail_begin() > 0 {
            for item in self.database.walk(Tag::Life, Key::Life(lot, 0).bytes()) {
                let (key, value) = item?;
                match key {
                    // Written since the row of the lot was read.
                    Key::Life(of, ordinal) if of == lot && ordinal < row.tail_begin() => {
                        if usize::try_from(ordinal).ok() != Some(life.len()) {
                            return Err(StoreFault::value(&key, "an ordinal before it is missing"));
                        }
                    }
                    _ => break,
                }
                life.extend(decoded::<Vec<Place>>(&key, &value)?);
            }
        }
        life.extend(row.tail);
        if life.len() != row.lot.life.count as usize {
            let rule = format!("{} places of its life of {}", life.len(), row.lot.life.count);
            return Err(StoreFault::value(&Key::Lot(lot), rule));
        }
        Ok(life.into_iter().map(|(event, index)| (index, event)).collect())
    }

    /// The first entry of a lot's life at or after an index, as far as a size. A life ascends, so
    /// it is found by halving: few reads, however long it is.
    pub fn entry_of_lot(
        &self,
        lot: LotId,
        from: EntryIndex,
        size: EntryCount,
    ) -> Result<Option<EntryIndex>, StoreFault> {
        let Some(row) = self.lot_row(lot)? else { return Ok(None) };
        let first_in = |places: &[Place]| places.iter().find(|(_, at)| *at >= from).map(|it| it.1);
        let chunk_len = u32::try_from(LIFE_CHUNK).unwrap_or(u32::MAX);
        let (mut low, mut high) = (0, row.tail_begin() / chunk_len);
        let mut found = first_in(&row.tail);
        while low < high {
            let middle = low + (high - low) / 2;
            let chunk = self.life_chunk(lot, middle * chunk_len)?;
            match first_in(&chunk) {
                None => low = middle + 1,
                some => (high, found) = (middle, some),
            }
        }
        Ok(found.filter(|index| index.0 < size.0))
    }

    /// The event at a place of a life.
    pub(super) fn event_in_life(
        &self,
        lot: LotId,
        ordinal: u32,
    ) -> Result<Option<EventId>, StoreFault> {
        let Some(row) = self.lot_row(lot)? else { return Ok(None) };
        if ordinal >= row.lot.life.count {
            return Ok(None);
        }
        let begin = row.tail_begin();
        if let Some(within) = ordinal.checked_sub(begin) {
            return Ok(row.tail.get(within as usize).map(|(event, _)| *event));
        }
        let within = ordinal as usize % LIFE_CHUNK;
        let chunk = self.life_chunk(lot, ordinal - u32::try_from(within).unwrap_or(0))?;
        Ok(chunk.get(within).map(|(event, _)| *event))
    }

    fn life_chunk(&self, lot: LotId, begin: u32) -> Result<Vec<Place>, StoreFault> {
        let key = Key::Life(lot, begin);
        let chunk: Option<Vec<Place>> = self.database.value(&key)?;
        chunk
            .filter(|places| places.len() == LIFE_CHUNK)
            .ok_or_else(|| StoreFault::value(&key, "a chunk of the life is missing, or not full"))
    }
}
