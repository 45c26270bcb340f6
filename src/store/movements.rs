//! What entries did to metal, in packs: one row for up to [`MAX_PACK_ENTRIES`] of them, which is
//! read without unpacking the others.
//!
//! A pack lies under its last entry. It is `count u16`, then for each movement, ascending, its
//! distance from that entry (u16) and its length (u32), then the movements.

use std::collections::BTreeMap;

use super::batch::Batch;

use super::Store;
use super::codec;
use super::database::{Database, decoded};
use super::fault::StoreFault;
use super::keyspace::{Key, Tag};
use crate::domain::movement::Movement;
use crate::domain::{EntryCount, EntryIndex};
use crate::limits::{MAX_GROUP_ENTRIES, MAX_PACK_BYTES, MAX_PACK_ENTRIES};

/// Bytes of a movement's place.
const PLACE_BYTES: usize = 2 + 4;
const _: () = assert!(MAX_GROUP_ENTRIES <= 1 << 16, "distances of one group fit");

/// The movements of a pack as bytes, by entry.
type Pack = BTreeMap<EntryIndex, Vec<u8>>;

/// Writes what a group that begins with `first` did, changed and undid.
pub(super) fn put_movements(
    database: &Database,
    batch: &mut Batch,
    first: EntryIndex,
    movements: &BTreeMap<EntryIndex, Movement>,
    retracted: &[EntryIndex],
) -> Result<(), StoreFault> {
    // The last word counts: a movement may be retracted in the group that made it.
    let is_left = |index: &EntryIndex| !retracted.contains(index);
    let mut pack = Pack::new();
    let mut bytes = 0;
    for (index, movement) in movements.range(first..).filter(|(index, _)| is_left(index)) {
        let movement = codec::encode(movement);
        if pack.len() == MAX_PACK_ENTRIES || bytes + movement.len() > MAX_PACK_BYTES {
            put_pack(batch, &std::mem::take(&mut pack));
            bytes = 0;
        }
        bytes += movement.len();
        pack.insert(*index, movement);
    }
    put_pack(batch, &pack);

    // Entries before the group: their packs are written again, each once.
    let mut changed: BTreeMap<EntryIndex, Pack> = BTreeMap::new();
    let amended = movements.range(..first).map(|(index, movement)| (*index, Some(movement)));
    let undone = retracted.iter().filter(|index| **index < first).map(|index| (*index, None));
    for (index, movement) in amended.chain(undone) {
        let found = pack_of(database, index)?.filter(|(_, pack)| pack.contains_key(&index));
        let Some((last, pack)) = found else {
            if movement.is_none() {
                // An entry that did nothing to metal is undone.
                continue;
            }
            let rule = "it is amended, and no pack holds it";
            return Err(StoreFault::value(&Key::Movements(index), rule));
        };
        let pack = changed.entry(last).or_insert(pack);
        match movement {
            Some(movement) => drop(pack.insert(index, codec::encode(movement))),
            None => drop(pack.remove(&index)),
        }
    }
    for (last, pack) in changed {
        batch.insert(Key::Movements(last).packed(), packed(last, &pack));
    }
    Ok(())
}

fn put_pack(batch: &mut Batch, pack: &Pack) {
    if let Some((last, _)) = pack.last_key_value() {
        batch.insert(Key::Movements(*last).packed(), packed(*last, pack));
    }
}

/// A pack keeps its key when its last movement is undone.
fn packed(last: EntryIndex, pack: &Pack) -> Vec<u8> {
    // limits.rs: a pack has at most 64, of one group, of at most 64 KiB unless there is but one.
    let mut row = u16::try_from(pack.len()).unwrap_or(u16::MAX).to_be_bytes().to_vec();
    for (index, movement) in pack {
        row.extend(u16::try_from(last.0 - index.0).unwrap_or(u16::MAX).to_be_bytes());
        row.extend(u32::try_from(movement.len()).unwrap_or(u32::MAX).to_be_bytes());
    }
    for movement in pack.values() {
        row.extend(movement);
    }
    row
}

/// The movements of a row, as they lie in it.
fn unpacked<'a>(key: &Key, row: &'a [u8]) -> Result<Vec<(EntryIndex, &'a [u8])>, StoreFault> {
    let broken = || StoreFault::value(key, "is no pack of movements");
    let Key::Movements(last) = key else { return Err(broken()) };
    let (count, rest) = row.split_first_chunk::<2>().ok_or_else(broken)?;
    let count = usize::from(u16::from_be_bytes(*count));
    let (places, mut rest) = rest.split_at_checked(count * PLACE_BYTES).ok_or_else(broken)?;
    let mut found = Vec::with_capacity(count.min(MAX_PACK_ENTRIES));
    for place in places.as_chunks::<PLACE_BYTES>().0 {
        let [far, near, a, b, c, d] = *place;
        let distance = u64::from(u16::from_be_bytes([far, near]));
        let length = u32::from_be_bytes([a, b, c, d]) as usize;
        let index = last.0.checked_sub(distance).map(EntryIndex).ok_or_else(broken)?;
        let (movement, behind) = rest.split_at_checked(length).ok_or_else(broken)?;
        found.push((index, movement));
        rest = behind;
    }
    let is_ascending = found.is_sorted_by(|(one, _), (next, _)| one < next);
    if rest.is_empty() && is_ascending { Ok(found) } else { Err(broken()) }
}

/// The pack that an entry's movement is in, or was.
fn pack_of(
    database: &Database,
    index: EntryIndex,
) -> Result<Option<(EntryIndex, Pack)>, StoreFault> {
    let mut rows = database.walk(Tag::Movements, Key::Movements(index).bytes());
    let Some((key, row)) = rows.next().transpose()? else { return Ok(None) };
    let Key::Movements(last) = key else { return Ok(None) };
    let pack = unpacked(&key, &row)?.into_iter().map(|(at, bytes)| (at, bytes.to_vec()));
    Ok(Some((last, pack.collect())))
}

impl Store {
    /// What an entry did to metal; `None` when it did nothing or was retracted.
    pub fn movement(&self, index: EntryIndex) -> Result<Option<Movement>, StoreFault> {
        let mut rows = self.database.walk(Tag::Movements, Key::Movements(index).bytes());
        let Some((key, row)) = rows.next().transpose()? else { return Ok(None) };
        let pack = unpacked(&key, &row)?;
        let found = pack.into_iter().find(|(at, _)| *at == index);
        found.map(|(_, bytes)| decoded(&key, bytes)).transpose()
    }

    /// The movements of entries from one on and below a size, by entry; none of an entry that did
    /// nothing to metal or was retracted.
    pub fn movements(
        &self,
        from: EntryIndex,
        size: EntryCount,
    ) -> Result<BTreeMap<EntryIndex, Movement>, StoreFault> {
        let mut movements = BTreeMap::new();
        for item in self.database.walk(Tag::Movements, Key::Movements(from).bytes()) {
            let (key, row) = item?;
            let pack = unpacked(&key, &row)?;
            let is_over = pack.iter().any(|(index, _)| index.0 >= size.0);
            let is_asked = |(index, _): &(EntryIndex, &[u8])| *index >= from && index.0 < size.0;
            for (index, bytes) in pack.into_iter().filter(is_asked) {
                movements.insert(index, decoded(&key, bytes)?);
            }
            if is_over {
                break;
            }
        }
        Ok(movements)
    }
}
