//! The map of lot states as the ledger stated it last.

use super::Store;
use super::database::decoded;
use super::fault::StoreFault;
use super::keyspace::Key;
use crate::domain::{EntryIndex, Hash32};
use crate::ledger::lot_map::{MapTile, TilePath, TileSource};

impl Store {
    /// The entry that stated the map last, and the root that it states.
    pub fn lot_statement(&self) -> Result<Option<(EntryIndex, Hash32)>, StoreFault> {
        self.database.value(&Key::LotState)
    }
}

impl TileSource for Store {
    type Fault = StoreFault;

    fn tile(&self, path: &TilePath) -> Result<MapTile, StoreFault> {
        let key = Key::LotTile(*path);
        match self.database.get(&key)? {
            Some(bytes) => decoded(&key, &bytes),
            None if *path == TilePath::TOP => Ok(MapTile::EMPTY),
            None => Err(StoreFault::value(&key, "the tile above says that it is there")),
        }
    }
}
