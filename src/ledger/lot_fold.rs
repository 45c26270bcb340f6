//! The map of the lots' states, folded as changes come.
//!
//! What a statement of the lots takes in, it takes in at once by
//! [`update_map`](super::lot_map::update_map); whoever knows the changes one after the other takes
//! them in here in pieces, and only the uppermost tiles are left for the statement. The root and
//! the tiles are the same: a map has one of each.

use super::lot_map::{
    EMPTY_MAP, LotKey, LotState, MapFault, MapTile, MapUpdate, TileChanges, TilePath, TileSlot,
    TileSource, map_branch, map_leaf, places, with,
};
use crate::domain::Hash32;
use crate::limits::{
    LATE_LOT_TILE_LEVELS, LOT_TILE_SLOTS, MAX_SMALL_TILE_BYTES, OWN_LOT_TILE_LEVELS,
};

/// The map over a stated root, with the changes since.
#[derive(Debug)]
pub struct MapFold {
    root: Hash32,
    /// `None` until something changes.
    top: Option<Box<Node>>,
    room: Room,
}

/// Room for small tiles, below the levels that are always kept.
#[derive(Debug)]
struct Room {
    /// Bytes of those that are kept.
    kept: usize,
    most: usize,
}

/// A tile in memory, and those below it that are.
#[derive(Debug)]
struct Node {
    /// A place in `stale` may have the hash of what hung there before.
    tile: MapTile,
    below: [Below; LOT_TILE_SLOTS],
    /// The small one that it was, empty: to be that again.
    small: Option<Box<SmallTile>>,
    /// Hashes of places, pairs, fours, eights, all: those of all are in 1, halves of `at` in
    /// `2 * at` and the one after. `None`: they are reckoned when they are asked for.
    seen: Option<Box<[Seen; 2 * LOT_TILE_SLOTS]>>,
    /// Places that changed since they were hashed, a bit each. What hangs at others is not looked
    /// at: of a full tile that is fifteen of sixteen, each somewhere else in memory.
    stale: u16,
    /// Places that differ from what was handed out last, a bit each; the same holds.
    changed: u16,
}

/// What of a tile further down is in memory.
#[derive(Debug, Default)]
enum Below {
    /// Nothing, or there is none.
    #[default]
    Nothing,
    Node(Box<Node>),
    Small(Box<SmallTile>),
}

/// A tile of which nothing changes at the moment, in less memory. Millions of them live long and
/// are opened now and then: what was allocated for one stays with it, with room for one more, since
/// memory that is given back between others that stay is dear to find again.
#[derive(Debug, Default)]
struct SmallTile {
    /// Places that are taken, a bit each.
    taken: u16,
    /// They, by their nibbles.
    slots: Vec<TileSlot>,
    /// Of the tiles below those that are in memory, by their nibbles.
    below: Vec<(u8, Box<SmallTile>)>,
}

/// Places for which a small tile has room at a time.
const SLOTS_AT_A_TIME: usize = 2;

/// What some neighbours look like from above.
#[derive(Debug, Clone, Copy)]
enum Seen {
    Empty,
    /// One lot: its leaf, which has the same hash however high it hangs.
    Lot(Hash32),
    More(Hash32),
}

impl MapFold {
    /// Without changes.
    pub const fn over(root: Hash32) -> Self {
        Self { root, top: None, room: Room { kept: 0, most: MAX_SMALL_TILE_BYTES } }
    }

    /// Takes in newer states of some lots, ascending by key, each once. Reads the tiles on their
    /// ways that it has not in memory, each held against the hash above it. The lower tiles are
    /// hashed at once: few of them change again before the next statement.
    ///
    /// After a fault it is good for nothing.
    pub fn take<S: TileSource>(
        &mut self,
        source: &S,
        changes: &[(LotKey, LotState)],
    ) -> Result<(), MapFault<S::Fault>> {
        debug_assert!(changes.is_sorted_by(|one, other| one.0 < other.0));
        if changes.is_empty() {
            return Ok(());
        }
        if self.top.is_none() {
            self.top = Some(Box::new(Node::sound(source, TilePath::TOP, &self.root)?));
        }
        if let Some(top) = &mut self.top {
            top.take(source, TilePath::TOP, changes, &mut self.room)?;
            top.settle(TilePath::TOP.level());
        }
        Ok(())
    }

    /// The map with all that was taken in since the last call: its root, and the tiles that differ.
    /// It goes on over that root; tiles of the uppermost levels stay in memory, of others as many
    /// as fit in [`MAX_SMALL_TILE_BYTES`]. The rest is read from where the caller puts them.
    pub fn finish(&mut self) -> MapUpdate {
        let mut tiles = TileChanges::default();
        if let Some(top) = self.top.as_mut().filter(|top| top.changed != 0) {
            self.root = top.hash(TilePath::TOP.level());
            top.hand_out(TilePath::TOP, &mut tiles, &mut self.room);
        }
        MapUpdate { root: self.root, tiles }
    }
}

impl Node {
    /// As it is, nothing of it hashed.
    fn of(tile: MapTile) -> Self {
        let below = std::array::from_fn(|_| Below::Nothing);
        Self { tile, below, small: None, seen: None, stale: 0, changed: 0 }
    }

    /// A tile that has the hash that is known of it.
    fn sound<S: TileSource>(
        source: &S,
        path: TilePath,
        expected: &Hash32,
    ) -> Result<Self, MapFault<S::Fault>> {
        let mut node = Self::of(source.tile(&path).map_err(MapFault::Tile)?);
        let found = node.hash(path.level());
        if found == *expected {
            Ok(node)
        } else {
            Err(MapFault::Broken { expected: *expected, found })
        }
    }

    /// Goes down at most 64 times, as `update_map` does.
    fn take<S: TileSource>(
        &mut self,
        source: &S,
        path: TilePath,
        changes: &[(LotKey, LotState)],
        room: &mut Room,
    ) -> Result<(), MapFault<S::Fault>> {
        let nibble = |(key, _): &(LotKey, LotState)| key.nibble(path.level());
        for together in changes.chunk_by(|one, other| nibble(one) == nibble(other)) {
            let Some(place) = together.first().map(nibble) else { continue };
            self.stale |= 1 << place;
            self.changed |= 1 << place;
            let added;
            let many = match (self.tile.slots[place], together) {
                (TileSlot::Empty, [(key, state)]) => {
                    self.tile.slots[place] = TileSlot::Lot(*key, *state);
                    continue;
                }
                (TileSlot::Lot(known, _), [(key, state)]) if known == *key => {
                    self.tile.slots[place] = TileSlot::Lot(known, *state);
                    continue;
                }
                (TileSlot::Empty | TileSlot::Tile(_), many) => many,
                (TileSlot::Lot(key, state), many) => {
                    added = with(key, state, many);
                    added.as_slice()
                }
            };
            let before = self.tile.slots[place];
            let mut below = match (std::mem::take(&mut self.below[place]), before) {
                (Below::Node(node), _) => node,
                // What is in memory was made here, or held against this hash before.
                (Below::Small(small), _) => Box::new(small.open(room)),
                (Below::Nothing, TileSlot::Tile(hash)) => {
                    Box::new(Self::sound(source, path.down(place), &hash)?)
                }
                (Below::Nothing, _) => Box::new(Self::of(MapTile::EMPTY)),
            };
            below.take(source, path.down(place), many, room)?;
            self.below[place] = Below::Node(below);
            // Stale from now on: nobody reads this hash.
            self.tile.slots[place] = TileSlot::Tile(EMPTY_MAP);
        }
        Ok(())
    }

    /// Hashes what changed below the levels that are left for a statement.
    fn settle(&mut self, level: u8) {
        if level >= LATE_LOT_TILE_LEVELS {
            self.hash(level);
            return;
        }
        for place in places(self.stale) {
            let below = self.below[place].node_mut();
            // Hashed by an earlier piece, while this place waits for the statement.
            if let Some(below) = below.filter(|below| below.stale != 0) {
                below.settle(level + 1);
            }
        }
    }

    /// Its hash, with all changes in it and below it.
    fn hash(&mut self, level: u8) -> Hash32 {
        let stale = if self.seen.is_some() { self.stale } else { u16::MAX };
        // Lower down, what changed is seldom asked again: a thousand bytes for nothing.
        let is_kept = level < OWN_LOT_TILE_LEVELS || self.changed == 0;
        if is_kept && self.seen.is_none() {
            self.seen = Some(Box::new([Seen::Empty; 2 * LOT_TILE_SLOTS]));
        }
        let mut let_go = [Seen::Empty; 2 * LOT_TILE_SLOTS];
        let seen = self.seen.as_deref_mut().unwrap_or(&mut let_go);
        // A bit for each of `seen` that is to be reckoned again.
        let mut due = u32::from(stale) << LOT_TILE_SLOTS;
        for place in places(stale) {
            let at = LOT_TILE_SLOTS + place;
            let slot = &mut self.tile.slots[place];
            if self.stale & (1 << place) != 0
                && let (TileSlot::Tile(hash), Below::Node(below)) =
                    (&mut *slot, &mut self.below[place])
            {
                *hash = below.hash(level + 1);
            }
            seen[at] = Seen::of(slot);
            due |= 1 << (at / 2);
        }
        for at in (1..LOT_TILE_SLOTS).rev() {
            if due & (1 << at) != 0 {
                seen[at] = Seen::both(seen[2 * at], seen[2 * at + 1]);
                due |= 1 << (at / 2);
            }
        }
        self.stale = 0;
        let hash = seen[1].hash();
        if !is_kept {
            self.seen = None;
        }
        hash
    }

    /// Hands out what differs of the tiles, those below first; of those of lower levels it keeps
    /// small ones, or nothing.
    fn hand_out(&mut self, path: TilePath, tiles: &mut TileChanges, room: &mut Room) {
        let changed = std::mem::take(&mut self.changed);
        for place in places(changed) {
            let slot = &mut self.below[place];
            let Some(below) = slot.node_mut() else { continue };
            below.hand_out(path.down(place), tiles, room);
            if path.level() + 1 >= OWN_LOT_TILE_LEVELS
                && let Below::Node(below) = std::mem::take(slot)
            {
                *slot = below.close(room);
            }
        }
        tiles.push(path, &self.tile, changed);
    }

    /// As a small one, if there is room for it; what was below it goes with it.
    fn close(self, room: &mut Room) -> Below {
        let mut small = self.small.unwrap_or_default();
        // No more than that: millions of them have a few.
        let below = self.below.iter().filter(|it| !matches!(it, Below::Nothing)).count();
        small.below.reserve_exact(below);
        for (place, tile) in (0..).zip(self.below) {
            let tile = if let Below::Node(node) = tile { node.close(room) } else { tile };
            if let Below::Small(tile) = tile {
                small.below.push((place, tile));
            }
        }
        small.taken = self.tile.taken();
        let taken = small.taken.count_ones() as usize;
        if small.slots.capacity() < taken {
            small.slots.reserve_exact(taken.next_multiple_of(SLOTS_AT_A_TIME));
        }
        let slots = self.tile.slots.into_iter();
        small.slots.extend(slots.filter(|slot| *slot != TileSlot::Empty));
        if room.kept + small.own_bytes() > room.most {
            small.below.iter().for_each(|(_, tile)| room.kept -= tile.bytes());
            return Below::Nothing;
        }
        room.kept += small.own_bytes();
        Below::Small(small)
    }
}

impl Below {
    fn node_mut(&mut self) -> Option<&mut Node> {
        if let Self::Node(node) = self { Some(node) } else { None }
    }
}

impl SmallTile {
    /// To be changed; nothing of it is hashed.
    fn open(mut self: Box<Self>, room: &mut Room) -> Node {
        room.kept -= self.own_bytes();
        let mut tile = MapTile::EMPTY;
        for (place, slot) in places(self.taken).zip(self.slots.drain(..)) {
            tile.slots[place] = slot;
        }
        let mut node = Node::of(tile);
        for (place, small) in self.below.drain(..) {
            node.below[usize::from(place)] = Below::Small(small);
        }
        node.small = Some(self);
        node
    }

    /// Without the tiles below.
    fn own_bytes(&self) -> usize {
        size_of::<Self>()
            + self.slots.capacity() * size_of::<TileSlot>()
            + self.below.capacity() * size_of::<(u8, Box<Self>)>()
    }

    fn bytes(&self) -> usize {
        self.own_bytes() + self.below.iter().map(|(_, tile)| tile.bytes()).sum::<usize>()
    }
}

impl Seen {
    fn of(slot: &TileSlot) -> Self {
        match slot {
            TileSlot::Empty => Self::Empty,
            TileSlot::Lot(key, state) => Self::Lot(map_leaf(key, state)),
            TileSlot::Tile(hash) => Self::More(*hash),
        }
    }

    fn both(left: Self, right: Self) -> Self {
        match (left, right) {
            (Self::Empty, Self::Empty) => Self::Empty,
            (Self::Empty, Self::Lot(hash)) | (Self::Lot(hash), Self::Empty) => Self::Lot(hash),
            (left, right) => Self::More(map_branch(&left.hash(), &right.hash())),
        }
    }

    fn hash(self) -> Hash32 {
        match self {
            Self::Empty => EMPTY_MAP,
            Self::Lot(hash) | Self::More(hash) => hash,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::super::lot_map::update_map;
    use super::*;
    use crate::domain::{EntryIndex, LotId};

    /// Tiles as the statements left them.
    #[derive(Default)]
    struct Shelf(RefCell<BTreeMap<TilePath, MapTile>>);

    impl TileSource for Shelf {
        type Fault = TilePath;

        fn tile(&self, path: &TilePath) -> Result<MapTile, TilePath> {
            let found = self.0.borrow().get(path).cloned();
            match found {
                None if *path == TilePath::TOP => Ok(MapTile::EMPTY),
                found => found.ok_or(*path),
            }
        }
    }

    impl Shelf {
        /// Lays what differs over what was there.
        fn lay(&self, tiles: impl IntoIterator<Item = (TilePath, MapTile)>) {
            let mut all = self.0.borrow_mut();
            for (path, tile) in tiles {
                let before = all.get(&path).cloned().unwrap_or(MapTile::EMPTY);
                all.insert(path, tile.over(&before));
            }
        }
    }

    /// With room for so many bytes of small tiles.
    fn fold_with(root: Hash32, most: usize) -> MapFold {
        let mut fold = MapFold::over(root);
        fold.room.most = most;
        fold
    }

    /// Bytes of the small tiles below a node.
    fn small_bytes(node: &Node) -> usize {
        let bytes = |below: &Below| match below {
            Below::Nothing => 0,
            Below::Node(node) => small_bytes(node),
            Below::Small(tile) => tile.bytes(),
        };
        node.below.iter().map(bytes).sum()
    }

    fn lot(number: u16) -> LotId {
        let mut id = [7; 16];
        id[..2].copy_from_slice(&number.to_be_bytes());
        LotId::from_bytes(id)
    }

    type Changes = BTreeMap<LotKey, LotState>;

    /// Lots with the same leading bytes, so that tiles hang deep down.
    fn key(number: u16) -> LotKey {
        let mut key = LotKey::of(lot(number));
        if number.is_multiple_of(3) {
            key.0[..8].copy_from_slice(&[0x5a; 8]);
        }
        key
    }

    /// Statements, each of pieces, each of lots.
    fn histories() -> impl Strategy<Value = Vec<Vec<Vec<u16>>>> {
        let few = prop::collection::vec(0..40_u16, 0..12);
        let many = prop::collection::vec(0..3_000_u16, 0..400);
        let pieces = prop::collection::vec(prop_oneof![few, many], 0..6);
        prop::collection::vec(pieces, 1..5)
    }

    fn sorted(update: &MapUpdate) -> (Hash32, BTreeMap<TilePath, MapTile>) {
        let count = update.tiles.len();
        let tiles: BTreeMap<_, _> = update.tiles.iter().collect();
        assert_eq!(tiles.len(), count, "a tile was handed out twice");
        (update.root, tiles)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]

        #[test]
        fn the_pieces_make_the_same_map_as_all_at_once(
            history in histories(),
            most in prop_oneof![Just(0), 0..40_000_usize, Just(MAX_SMALL_TILE_BYTES)],
        ) {
            let (shelf, mut root, mut index) = (Shelf::default(), EMPTY_MAP, 1_000);
            let (mut fold, mut states) = (fold_with(root, most), Changes::new());
            for statement in history {
                let mut all = Changes::new();
                for numbers in statement {
                    let mut piece = Changes::new();
                    for number in numbers {
                        index += 1;
                        let before = states.get(&key(number)).map_or(0, |it| it.entry_count);
                        let state = LotState { entry_count: before + 1, last: EntryIndex(index) };
                        states.insert(key(number), state);
                        piece.insert(key(number), state);
                    }
                    let piece: Vec<_> = piece.into_iter().collect();
                    all.extend(piece.iter().copied());
                    fold.take(&shelf, &piece).unwrap();
                }
                let expected = sorted(&update_map(&shelf, &root, &all).unwrap());
                let found = sorted(&fold.finish());
                prop_assert_eq!(&found, &expected);
                root = found.0;
                shelf.lay(found.1);
                let kept = fold.top.as_ref().map_or(0, |top| small_bytes(top));
                prop_assert_eq!(fold.room.kept, kept);
                prop_assert!(kept <= most);
                // A node that starts here goes on as one that never stopped.
                if index % 2 == 0 {
                    fold = fold_with(root, most);
                }
            }
        }
    }

    fn states(numbers: std::ops::Range<u16>, entry_count: u64) -> Vec<(LotKey, LotState)> {
        let state = LotState { entry_count, last: EntryIndex(99_999) };
        let all: Changes = numbers.map(|number| (LotKey::of(lot(number)), state)).collect();
        all.into_iter().collect()
    }

    #[test]
    fn nothing_is_folded_into_a_tile_that_was_bent() {
        let shelf = Shelf::default();
        let mut fold = MapFold::over(EMPTY_MAP);
        fold.take(&shelf, &states(0..200, 1)).unwrap();
        let stated = fold.finish();
        shelf.0.borrow_mut().extend(stated.tiles.iter());
        assert!(stated.tiles.len() > 10);
        for (path, whole) in stated.tiles.iter() {
            let mut bent = whole.clone();
            for slot in &mut bent.slots {
                match slot {
                    TileSlot::Lot(_, state) => state.entry_count += 1,
                    TileSlot::Tile(hash) => hash.0[0] ^= 1,
                    TileSlot::Empty => {}
                }
            }
            shelf.0.borrow_mut().insert(path, bent);
            let refused = MapFold::over(stated.root).take(&shelf, &states(0..200, 2));
            assert!(matches!(refused, Err(MapFault::Broken { .. })), "{path:?}");
            shelf.0.borrow_mut().insert(path, whole.clone());
        }
        MapFold::over(stated.root).take(&shelf, &states(0..200, 2)).unwrap();
    }

    #[test]
    fn only_the_upper_tiles_stay_in_memory_and_of_the_others_what_there_is_room_for() {
        for most in [0, MAX_SMALL_TILE_BYTES] {
            let shelf = Shelf::default();
            let mut fold = fold_with(EMPTY_MAP, most);
            fold.take(&shelf, &states(0..20_000, 1)).unwrap();
            shelf.lay(fold.finish().tiles.iter());
            shelf.0.borrow_mut().retain(|path, _| path.level() >= OWN_LOT_TILE_LEVELS);
            assert!(!shelf.0.borrow().is_empty());
            fold.take(&shelf, &states(0..20_000, 2)).unwrap();
            shelf.0.borrow_mut().clear();
            match fold_again(&mut fold, &shelf) {
                Err(MapFault::Tile(path)) => {
                    assert_eq!((path.level(), most), (OWN_LOT_TILE_LEVELS, 0));
                }
                done => assert_eq!((done, most), (Ok(()), MAX_SMALL_TILE_BYTES)),
            }
        }
    }

    /// States what was taken in, and takes in more.
    fn fold_again(fold: &mut MapFold, shelf: &Shelf) -> Result<(), MapFault<TilePath>> {
        fold.finish();
        fold.take(shelf, &states(0..20_000, 3))
    }
}
