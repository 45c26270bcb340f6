//! Rows that say a part: of a tile of the lots' map a row has only the places that changed, and the
//! older rows of its key say the rest. A whole tile for each new lot was most of what the database
//! wrote (ADR 0024).

use sled::IVec;

use super::batch::Value;
use super::codec::{self, CodecFault};
use super::fault::StoreFault;
use super::keyspace::Tag;
use crate::ledger::lot_map::MapTile;

/// Whether rows of a key say a part.
pub(super) fn is_partial(key: &[u8]) -> bool {
    key.first() == Some(&(Tag::LotTile as u8))
}

/// What a newer and an older row of such a key say together.
pub(super) fn over(newer: &[u8], older: &[u8]) -> Result<Vec<u8>, CodecFault> {
    let (newer, older) = (codec::decode::<MapTile>(newer)?, codec::decode::<MapTile>(older)?);
    Ok(codec::encode(&newer.over(&older)))
}

/// What the rows of a key say together, gathered from the newest to the oldest.
pub(super) struct Told<'a> {
    key: &'a [u8],
    is_partial: bool,
    /// `None` before the first row.
    value: Option<Value>,
}

impl<'a> Told<'a> {
    /// Nothing yet of a key.
    pub(super) fn of(key: &'a [u8]) -> Self {
        Self { key, is_partial: is_partial(key), value: None }
    }

    /// Of which key.
    pub(super) const fn key(&self) -> &'a [u8] {
        self.key
    }

    /// Whether older rows say nothing more.
    pub(super) fn is_all(&self) -> bool {
        match &self.value {
            None => false,
            Some(Some(bytes)) if self.is_partial => is_whole(bytes),
            Some(_) => true,
        }
    }

    /// Takes in the next older row.
    pub(super) fn add(&mut self, older: Value) -> Result<(), StoreFault> {
        if self.is_all() {
            return Ok(());
        }
        self.value = Some(match (self.value.take().flatten(), older) {
            (Some(newer), Some(older)) => {
                let both = over(&newer, &older).map_err(|broken| StoreFault::Database {
                    key: format!("{:02x?}", self.key),
                    rule: broken.to_string(),
                })?;
                Some(IVec::from(both))
            }
            (newer, older) => newer.or(older),
        });
        Ok(())
    }

    /// What they say; the outer `None`: there was no row.
    pub(super) fn into_value(self) -> Option<Value> {
        self.value
    }
}

/// Whether every place of a tile is told; bytes that are no tile have nothing older to wait for.
fn is_whole(bytes: &[u8]) -> bool {
    codec::decode::<MapTile>(bytes).is_ok_and(|tile| tile.taken() == u16::MAX)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop")]

    use std::collections::BTreeMap;
    use std::sync::atomic::AtomicBool;

    use proptest::prelude::*;

    use super::super::batch::Batch;
    use super::super::database::Database;
    use super::super::keyspace::Key;
    use super::*;
    use crate::domain::{EntryIndex, Hash32};
    use crate::ledger::lot_map::{LotKey, LotState, TilePath, TileSlot};
    use crate::limits::RUN_FAN_IN;

    /// What is done to tiles in a database, and to a map beside it.
    #[derive(Debug, Clone)]
    enum Act {
        /// Places of some tiles.
        Write(Vec<(u8, MapTile)>),
        Sync,
        Merge,
        /// As a crash does.
        Reopen,
    }

    fn any_tile() -> impl Strategy<Value = MapTile> {
        let slot = prop_oneof![
            4 => Just(TileSlot::Empty),
            1 => any::<[u8; 32]>().prop_map(|hash| TileSlot::Tile(Hash32(hash))),
            1 => (any::<[u8; 32]>(), 1..9_u64).prop_map(|(key, count)| {
                let state = LotState { entry_count: count, last: EntryIndex(count) };
                TileSlot::Lot(LotKey(key), state)
            }),
        ];
        prop::collection::vec(slot, 16)
            .prop_map(|slots| MapTile { slots: slots.try_into().unwrap() })
    }

    fn any_act() -> impl Strategy<Value = Act> {
        prop_oneof![
            4 => prop::collection::vec((0..9_u8, any_tile()), 1..12).prop_map(Act::Write),
            4 => Just(Act::Sync),
            2 => Just(Act::Merge),
            1 => Just(Act::Reopen),
        ]
    }

    fn key(n: u8) -> Key {
        Key::LotTile(TilePath::parse(&[2, n]).unwrap())
    }

    type Tiles = BTreeMap<u8, MapTile>;

    fn check(database: &Database, tiles: &Tiles) {
        for n in 0..9 {
            assert_eq!(database.value::<MapTile>(&key(n)).unwrap().as_ref(), tiles.get(&n));
        }
        let walked = database.walk(Tag::LotTile, vec![Tag::LotTile as u8]).map(|row| {
            let (key, bytes) = row.unwrap();
            (key.bytes(), codec::decode::<MapTile>(&bytes).unwrap())
        });
        let expected = tiles.iter().map(|(n, tile)| (key(*n).bytes(), tile.clone()));
        assert_eq!(walked.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn parts_are_read_as_one_wherever_they_lie(
            acts in prop::collection::vec(any_act(), 1..5 * RUN_FAN_IN),
        ) {
            let dir = tempfile::tempdir().unwrap();
            let never = AtomicBool::new(false);
            let open = || Database::open(dir.path(), &Hash32([7; 32])).unwrap().0;
            let mut database = open();
            let (mut tiles, mut synced) = (Tiles::new(), Tiles::new());
            for act in acts {
                match act {
                    Act::Write(parts) => {
                        let mut batch = Batch::default();
                        for (n, part) in parts {
                            batch.insert(key(n).packed(), codec::encode(&part));
                            let before = tiles.get(&n).cloned().unwrap_or(MapTile::EMPTY);
                            tiles.insert(n, part.over(&before));
                        }
                        database.apply(batch).unwrap();
                    }
                    Act::Sync => {
                        database.sync().unwrap();
                        synced = tiles.clone();
                    }
                    Act::Merge => drop(database.merge(&never).unwrap()),
                    Act::Reopen => {
                        drop(database);
                        database = open();
                        tiles = synced.clone();
                    }
                }
                check(&database, &tiles);
            }
            database.sync().unwrap();
            while database.merge(&never).unwrap() {}
            check(&database, &tiles);
        }
    }

    #[test]
    fn a_part_that_is_no_tile_is_told_with_its_key() {
        let bytes = key(3).bytes();
        let mut told = Told::of(&bytes);
        told.add(Some(codec::encode(&MapTile::EMPTY).into())).unwrap();
        let fault = told.add(Some(IVec::from(&[0, 1, 7]))).unwrap_err();
        assert!(fault.to_string().contains("40, 02, 03"), "{fault}");
    }
}
