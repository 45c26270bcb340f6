//! Tiles of the map of lot states.

use super::{Codec, CodecFault, Input, codec_enum, codec_struct};
use crate::ledger::lot_map::{LotKey, LotState, MapTile, TileSlot};
use crate::limits::LOT_TILE_SLOTS;

codec_struct!(LotState { entry_count, last });
codec_struct!(MapTile { slots });
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

impl Codec for [TileSlot; LOT_TILE_SLOTS] {
    fn put(&self, out: &mut Vec<u8>) {
        for slot in self {
            slot.put(out);
        }
    }

    fn take(input: &mut Input<'_>) -> Result<Self, CodecFault> {
        let mut slots = [TileSlot::Empty; LOT_TILE_SLOTS];
        for slot in &mut slots {
            *slot = TileSlot::take(input)?;
        }
        Ok(slots)
    }
}

#[cfg(test)]
mod tests {
    use super::super::assert_round_trip;
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
    }
}
