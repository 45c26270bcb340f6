//! Rows by which entries are found: one for a heading and a group, because a row costs the writer
//! more than what is in it.

use std::collections::BTreeMap;

use sled::IVec;

use super::batch::Batch;

use super::database::Database;
use super::fault::StoreFault;
use super::keyspace::{Key, Tag};
use crate::domain::{EntryCount, EntryIndex};
use crate::limits::MAX_GROUP_ENTRIES;

/// Bytes of a place in a row: entries before the last one of the row.
const PLACE_BYTES: usize = 2;
const _: () = assert!(MAX_GROUP_ENTRIES <= 1 << (8 * PLACE_BYTES));

/// The entries of a group under headings (a party, a kind), ascending: a row for each heading, with
/// the last entry in its key and for each entry its distance from that as a u16.
#[derive(Debug)]
pub(super) struct Headings<H>(BTreeMap<H, Vec<EntryIndex>>);

impl<H> Default for Headings<H> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<H: Ord + Copy> Headings<H> {
    /// Puts an entry under a heading; entries come in their order.
    pub(super) fn note(&mut self, heading: H, index: EntryIndex) {
        self.0.entry(heading).or_default().push(index);
    }

    /// Writes a row for each heading.
    pub(super) fn put(&self, batch: &mut Batch, key: impl Fn(H, EntryIndex) -> Key) {
        for (heading, entries) in &self.0 {
            let Some(last) = entries.last() else { continue };
            // Entries of one group: limits.rs holds that their distance fits.
            let place = |index: &EntryIndex| u16::try_from(last.0 - index.0).unwrap_or(u16::MAX);
            let row: Vec<u8> = entries.iter().flat_map(|it| place(it).to_be_bytes()).collect();
            batch.insert(key(*heading, *last).packed(), row);
        }
    }
}

/// The entries of a row, ascending, by the last of them, which its key names.
fn entries_of(key: &Key, last: EntryIndex, row: &[u8]) -> Result<Vec<EntryIndex>, StoreFault> {
    let (places, rest) = row.as_chunks::<PLACE_BYTES>();
    let entry = |place: &[u8; PLACE_BYTES]| {
        last.0.checked_sub(u64::from(u16::from_be_bytes(*place))).map(EntryIndex)
    };
    let entries: Option<Vec<EntryIndex>> = places.iter().map(entry).collect();
    let is_ascending = |found: &Vec<EntryIndex>| found.is_sorted_by(|one, next| one < next);
    entries
        .filter(|found| rest.is_empty() && is_ascending(found) && found.last() == Some(&last))
        .ok_or_else(|| StoreFault::value(key, "its entries do not ascend to the one of its key"))
}

/// The entries under one heading, ascending, from one on and below a size. `last_of` says which
/// keys are of the heading, and gives their last entry.
pub(super) fn entries_under<'a, F: Fn(&Key) -> Option<EntryIndex> + 'a>(
    database: &'a Database,
    tag: Tag,
    from: &Key,
    last_of: F,
) -> impl Iterator<Item = Result<EntryIndex, StoreFault>> + use<'a, F> {
    let begin = last_of(from).unwrap_or(EntryIndex(0));
    let rows = database.walk(tag, from.bytes()).map_while(move |row| {
        let unpacked = |(key, value): (Key, IVec)| {
            let last = last_of(&key)?;
            Some(entries_of(&key, last, &value))
        };
        match row {
            Ok(row) => unpacked(row),
            Err(fault) => Some(Err(fault)),
        }
    });
    rows.flat_map(|row| {
        let (found, fault) = match row {
            Ok(entries) => (entries, None),
            Err(fault) => (Vec::new(), Some(Err(fault))),
        };
        found.into_iter().map(Ok).chain(fault)
    })
    .filter(move |item| item.as_ref().map_or(true, |index| *index >= begin))
}

/// The first of them below a size.
pub(super) fn first_under(
    mut entries: impl Iterator<Item = Result<EntryIndex, StoreFault>>,
    size: EntryCount,
) -> Result<Option<EntryIndex>, StoreFault> {
    Ok(entries.next().transpose()?.filter(|index| index.0 < size.0))
}
