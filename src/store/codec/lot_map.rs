//! Tiles of the map of lot states: which places are taken (u16, the lowest bit is place 0), and
//! what is in them.

use super::{Codec, CodecFault, Input, codec_enum, codec_struct};
use crate::ledger::lot_map::{LotKey, LotState, MapTile, TileSlot};

codec_struct!(LotState { entry_count, last });
codec_enum!(TileSlot {
    0 Empty,
    1 Lot(key, state),
    2 Tile(hash),
});

impl Codec for LotKey {
    fn put(&self, out: &mut Vec<u8>) {
        self.0.put(out);
    }

    fn take(input: &mut Input<'_>) -> Result<Self, CodecFault> {
        Codec::take(input).map(Self)
    }
}

impl Codec for MapTile {
    fn put(&self, out: &mut Vec<u8>) {
        self.taken().put(out);
        for slot in self.slots.iter().filter(|slot| **slot != TileSlot::Empty) {
            slot.put(out);
        }
    }

    fn take(input: &mut Input<'_>) -> Result<Self, CodecFault> {
        let taken = u16::take(input)?;
        let mut tile = Self::EMPTY;
        for (place, slot) in tile.slots.iter_mut().enumerate() {
            if taken & (1 << place) == 0 {
                continue;
            }
            *slot = TileSlot::take(input)?;
            if *slot == TileSlot::Empty {
                return Err(input.fault("a place that is taken is empty"));
            }
        }
        Ok(tile)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{self as codec, assert_round_trip};
    use super::*;
    use crate::domain::{EntryIndex, Hash32};

    #[test]
    fn tiles_come_back() {
        let state = LotState { entry_count: 3, last: EntryIndex(8) };
        let mut tile = MapTile::EMPTY;
        assert_round_trip(&tile);
        tile.slots[1] = TileSlot::Lot(LotKey([7; 32]), state);
        tile.slots[15] = TileSlot::Tile(Hash32([9; 32]));
        assert_round_trip(&tile);
        let empty = [0, 1, 0];
        assert!(codec::decode::<MapTile>(&empty).is_err(), "a place is taken by nothing");
    }
}
