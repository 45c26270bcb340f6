//! The map from lots to how far their lives got: one root says how many entries each lot has, and
//! which is the last.
//!
//! A sparse Merkle map over 256 bits, as the Jellyfish Merkle Tree hashes it: a subtree without
//! lots is one fixed value, a subtree with one lot is that lot's leaf, any other hashes its two
//! halves. A root has one answer for each lot, whoever made it.
//!
//! The first half is what everybody shares, with the check of a proof; the second half, tiles and
//! what changes them, is the writer's, and the check calls nothing of it.

use std::collections::BTreeMap;

use super::hash::sha256;
use crate::domain::{EntryIndex, Hash32, LotId};
use crate::limits::{LOT_TILE_SLOTS, MAX_LOT_PROOF_HASHES};

/// Before the id of a lot whose key is hashed.
const KEY_CONTEXT: &[u8] = b"urbanmine lot v1";
/// Before a leaf.
const LEAF_CONTEXT: &[u8] = b"JMT::LeafNode";
/// Before the two halves of a subtree. (Spelled as its authors did.)
const BRANCH_CONTEXT: &[u8] = b"JMT::IntrnalNode";
/// A subtree without lots; the root of a ledger without lots.
pub const EMPTY_MAP: Hash32 = Hash32(*b"SPARSE_MERKLE_PLACEHOLDER_HASH__");

/// Bits of a tile's level: a tile is four bits high.
const TILE_BITS: usize = 4;

/// How far the life of a lot got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LotState {
    /// Entries that link it, at least 1: their ordinals are 0 to one below.
    pub entry_count: u64,
    /// The last of them.
    pub last: EntryIndex,
}

/// Where a lot stands in the map: a hash, so that whoever chooses ids does not choose places.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct LotKey(pub [u8; 32]);

impl LotKey {
    /// The place of a lot.
    pub fn of(lot: LotId) -> Self {
        Self(sha256(&[KEY_CONTEXT, lot.as_bytes()].concat()).0)
    }

    /// Bit `at` of 256, the highest first: whether the way goes right.
    pub fn is_right(&self, at: usize) -> bool {
        self.0.get(at / 8).is_some_and(|byte| (byte >> (7 - at % 8)) & 1 == 1)
    }

    /// How many leading bits two places share; 256 for the same.
    pub fn shared_bits(&self, other: &Self) -> usize {
        let differs = self.0.iter().zip(&other.0).map(|(one, other)| one ^ other);
        let first = differs.enumerate().find(|(_, bits)| *bits != 0);
        first.map_or(256, |(byte, bits)| 8 * byte + bits.leading_zeros() as usize)
    }

    /// Four bits of 256, the highest first.
    pub(super) fn nibble(&self, level: u8) -> usize {
        let byte = self.0.get(usize::from(level / 2)).copied().unwrap_or_default();
        usize::from(if level.is_multiple_of(2) { byte >> 4 } else { byte & 0xf })
    }
}

/// The hash of a lot's leaf.
pub fn map_leaf(key: &LotKey, state: &LotState) -> Hash32 {
    let mut value = [0; 16];
    value[..8].copy_from_slice(&state.entry_count.to_be_bytes());
    value[8..].copy_from_slice(&state.last.0.to_be_bytes());
    let mut leaf = [0; LEAF_CONTEXT.len() + 64];
    leaf[..LEAF_CONTEXT.len()].copy_from_slice(LEAF_CONTEXT);
    leaf[LEAF_CONTEXT.len()..][..32].copy_from_slice(&key.0);
    leaf[LEAF_CONTEXT.len() + 32..].copy_from_slice(sha256(&value).as_bytes());
    sha256(&leaf)
}

/// The hash of a subtree with more than one lot.
pub fn map_branch(left: &Hash32, right: &Hash32) -> Hash32 {
    let mut branch = [0; BRANCH_CONTEXT.len() + 64];
    branch[..BRANCH_CONTEXT.len()].copy_from_slice(BRANCH_CONTEXT);
    branch[BRANCH_CONTEXT.len()..][..32].copy_from_slice(left.as_bytes());
    branch[BRANCH_CONTEXT.len() + 32..].copy_from_slice(right.as_bytes());
    sha256(&branch)
}

/// What stands where the way of a lot ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WayEnd {
    /// The lot.
    Lot(LotState),
    /// No lot at all.
    Empty,
    /// Another lot, alone: so the one that was asked for is not there.
    Other(LotKey, LotState),
}

/// Proof of how far a lot's life got under a root, or that there is no such lot. Nothing is checked
/// until [`MapProof::verify`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MapProof {
    /// Where the way of the lot ends.
    pub end: WayEnd,
    /// The hashes beside the way, from its end up; at most 256.
    pub siblings: Vec<Hash32>,
}

/// Why a proof does not convince.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MapRefused {
    /// Longer than any way.
    #[error("a way in the map has at most {MAX_LOT_PROOF_HASHES} hashes beside it, not {found}")]
    TooLong {
        /// How many.
        found: usize,
    },
    /// A lot without entries is not in the map.
    #[error("a lot in the map has at least 1 entry, not 0")]
    NoEntries,
    /// Fewer entries exist than the lot is said to have.
    #[error("a lot with {count} entries cannot have its last one at {last}")]
    TooManyEntries {
        /// How many it is said to have.
        count: u64,
        /// The last one.
        last: EntryIndex,
    },
    /// The other lot is the one that was asked for.
    #[error("the lot that stands there instead is the same lot")]
    SameLot,
    /// The other lot does not stand on this way.
    #[error("the way has {needed} bits, and the other lot's shares {found} of them")]
    OtherWay {
        /// Bits of the way.
        needed: usize,
        /// Bits that are shared.
        found: usize,
    },
    /// It leads to another root.
    #[error("the stated root is {expected}, but the proof leads to {found}")]
    OtherRoot {
        /// The root it should lead to.
        expected: Hash32,
        /// Where it leads.
        found: Hash32,
    },
}

impl MapProof {
    /// How far the lot's life got under the root; `None` when the proof shows that there is no such
    /// lot.
    pub fn verify(&self, lot: LotId, root: &Hash32) -> Result<Option<LotState>, MapRefused> {
        let depth = self.siblings.len();
        if depth > MAX_LOT_PROOF_HASHES {
            return Err(MapRefused::TooLong { found: depth });
        }
        let own = LotKey::of(lot);
        let (end, found) = match &self.end {
            WayEnd::Lot(state) => (map_leaf(&own, sound(state)?), Some(*state)),
            WayEnd::Empty => (EMPTY_MAP, None),
            WayEnd::Other(key, _) if *key == own => return Err(MapRefused::SameLot),
            WayEnd::Other(key, state) => {
                let shared = own.shared_bits(key);
                if shared < depth {
                    return Err(MapRefused::OtherWay { needed: depth, found: shared });
                }
                (map_leaf(key, sound(state)?), None)
            }
        };
        let ways = self.siblings.iter().zip((0..depth).rev());
        let reached = ways.fold(end, |below, (beside, at)| {
            if own.is_right(at) { map_branch(beside, &below) } else { map_branch(&below, beside) }
        });
        if reached == *root {
            Ok(found)
        } else {
            Err(MapRefused::OtherRoot { expected: *root, found: reached })
        }
    }
}

/// A state that some ledger may have: a lot's entries have different indexes.
fn sound(state: &LotState) -> Result<&LotState, MapRefused> {
    let LotState { entry_count, last } = *state;
    match entry_count.checked_sub(1) {
        None => Err(MapRefused::NoEntries),
        Some(before) if before > last.0 => {
            Err(MapRefused::TooManyEntries { count: entry_count, last })
        }
        Some(_) => Ok(state),
    }
}

// --- the writer's half ---------------------------------------------------------------------------

/// Where a tile lies: the first `level` nibbles of the keys under it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TilePath {
    /// Nibbles of the way to it, at most 63.
    level: u8,
    /// They, and zeros.
    prefix: [u8; 32],
}

/// What hangs in one of a tile's places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TileSlot {
    /// Nothing.
    Empty,
    /// One lot.
    Lot(LotKey, LotState),
    /// More: their hash, and a tile of their own.
    Tile(Hash32),
}

/// Sixteen neighbours: four bits of the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MapTile {
    /// By the nibble that leads there.
    pub slots: [TileSlot; LOT_TILE_SLOTS],
}

/// Where tiles lie.
pub trait TileSource {
    /// What goes wrong when one cannot be read.
    type Fault;

    /// The tile at a place. The top one is empty while no lot was ever stated; any other is there
    /// when the one above says so, or cannot be read.
    fn tile(&self, path: &TilePath) -> Result<MapTile, Self::Fault>;
}

/// Why the map cannot be changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MapFault<F> {
    /// A tile could not be read.
    #[error("a tile of the lots could not be read")]
    Tile(#[source] F),
    /// A tile is not the one that was stored.
    #[error("a tile of the lots has the hash {found}, and {expected} hangs above it")]
    Broken {
        /// The hash above it, or the root that was stated.
        expected: Hash32,
        /// Its own.
        found: Hash32,
    },
}

/// The map with changes: what is new in its tiles, and the root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MapUpdate {
    /// The root afterwards.
    pub root: Hash32,
    /// Of tiles that differ from those before, the places that do.
    pub tiles: TileChanges,
}

/// Places of tiles, without the empty ones between them: of a tile of a thousand bytes two places
/// change at a time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TileChanges {
    /// Each tile once, with its places that differ, a bit each.
    tiles: Vec<(TilePath, u16)>,
    /// Those of all tiles, in the same order, by their nibbles.
    slots: Vec<TileSlot>,
}

impl TileChanges {
    /// Takes the places of a tile that was not in it, a bit each, none of them empty.
    pub(super) fn push(&mut self, path: TilePath, tile: &MapTile, changed: u16) {
        self.tiles.push((path, changed));
        self.slots.extend(places(changed).map(|place| tile.slots[place]));
    }

    /// How many tiles differ.
    pub const fn len(&self) -> usize {
        self.tiles.len()
    }

    /// Whether none does.
    pub const fn is_empty(&self) -> bool {
        self.tiles.is_empty()
    }

    /// The tiles, to be laid over those before ([`MapTile::over`]): what does not differ is empty.
    pub fn iter(&self) -> impl Iterator<Item = (TilePath, MapTile)> + '_ {
        let mut slots = self.slots.iter();
        self.tiles.iter().map(move |(path, changed)| {
            let mut tile = MapTile::EMPTY;
            for (place, slot) in places(*changed).zip(&mut slots) {
                tile.slots[place] = *slot;
            }
            (*path, tile)
        })
    }
}

/// The places whose bits are set, ascending.
pub(super) fn places(mut bits: u16) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let place = bits.trailing_zeros() as usize;
        bits &= bits.wrapping_sub(1);
        (place < LOT_TILE_SLOTS).then_some(place)
    })
}

impl TilePath {
    /// The top.
    pub const TOP: Self = Self { level: 0, prefix: [0; 32] };

    /// Nibbles of the way to it.
    pub const fn level(&self) -> u8 {
        self.level
    }

    /// The place of some bytes that [`TilePath::bytes`] gave.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let (level, packed) = bytes.split_first()?;
        let mut prefix = [0; 32];
        prefix.get_mut(..packed.len())?.copy_from_slice(packed);
        let path = Self { level: *level, prefix };
        (path.level < 64 && path.bytes() == bytes).then_some(path)
    }

    /// Level, and the nibbles, two to a byte, the last one filled up with zero.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(1 + self.prefix.len());
        self.put(&mut bytes);
        bytes
    }

    /// The same, behind what is there.
    pub fn put(&self, out: &mut impl Extend<u8>) {
        let length = usize::from(self.level.div_ceil(2));
        let mut packed = self.prefix;
        if self.level % 2 == 1
            && let Some(last) = packed.get_mut(usize::from(self.level / 2))
        {
            *last &= 0xf0;
        }
        out.extend(std::iter::once(self.level).chain(packed.into_iter().take(length)));
    }

    /// The tile on the way of a key, one level further down.
    fn towards(self, key: &LotKey) -> Self {
        self.down(key.nibble(self.level))
    }

    /// The tile under one of the places, one level further down.
    pub(super) fn down(self, nibble: usize) -> Self {
        let mut prefix = self.prefix;
        let bits = u8::try_from(nibble & 0xf).unwrap_or_default(); // four bits
        if let Some(byte) = prefix.get_mut(usize::from(self.level / 2)) {
            *byte |= if self.level.is_multiple_of(2) { bits << 4 } else { bits };
        }
        Self { level: self.level + 1, prefix }
    }
}

impl MapTile {
    /// A tile with nothing in it.
    pub const EMPTY: Self = Self { slots: [TileSlot::Empty; LOT_TILE_SLOTS] };

    /// The places that are taken, a bit each; the lowest is place 0.
    pub fn taken(&self) -> u16 {
        let is_taken = |slot: &TileSlot| *slot != TileSlot::Empty;
        let places = self.slots.iter().enumerate();
        places.fold(0, |all, (at, slot)| all | u16::from(is_taken(slot)) << at)
    }

    /// This one, and where it is empty what an older one has. A place that was taken is never
    /// empty again.
    #[must_use]
    pub fn over(mut self, older: &Self) -> Self {
        for (slot, before) in self.slots.iter_mut().zip(&older.slots) {
            if *slot == TileSlot::Empty {
                *slot = *before;
            }
        }
        self
    }
}

/// A few neighbours, folded: what they look like from above.
#[derive(Clone, Copy)]
enum Folded {
    Empty,
    Lot(LotKey, LotState),
    More(Hash32),
}

impl Folded {
    fn of(slots: &[TileSlot]) -> Self {
        match slots {
            [] | [TileSlot::Empty] => Self::Empty,
            [TileSlot::Lot(key, state)] => Self::Lot(*key, *state),
            [TileSlot::Tile(hash)] => Self::More(*hash),
            // Sixteen, eight, four, two.
            more => {
                let (left, right) = more.split_at(more.len() / 2);
                match (Self::of(left), Self::of(right)) {
                    (Self::Empty, Self::Empty) => Self::Empty,
                    (Self::Empty, Self::Lot(key, state)) | (Self::Lot(key, state), Self::Empty) => {
                        Self::Lot(key, state)
                    }
                    (left, right) => Self::More(map_branch(&left.hash(), &right.hash())),
                }
            }
        }
    }

    fn hash(self) -> Hash32 {
        match self {
            Self::Empty => EMPTY_MAP,
            Self::Lot(key, state) => map_leaf(&key, &state),
            Self::More(hash) => hash,
        }
    }
}

/// Takes the newest states of some lots into the map that has a root. Reads and changes the tiles
/// on their ways only: as many as lots change, times the logarithm of all lots, in steps of 16.
/// Each is held against the hash above it, so a root is never built on tiles that were bent.
pub fn update_map<S: TileSource>(
    source: &S,
    root: &Hash32,
    changes: &BTreeMap<LotKey, LotState>,
) -> Result<MapUpdate, MapFault<S::Fault>> {
    let changes: Vec<(LotKey, LotState)> =
        changes.iter().map(|(key, state)| (*key, *state)).collect();
    let top = sound_tile(source, &TilePath::TOP, root)?;
    let mut tiles = TileChanges::default();
    let root = if changes.is_empty() {
        *root
    } else {
        update_tile(source, TilePath::TOP, top, &changes, &mut tiles)?
    };
    Ok(MapUpdate { root, tiles })
}

/// A tile that has the hash that is known of it.
fn sound_tile<S: TileSource>(
    source: &S,
    path: &TilePath,
    expected: &Hash32,
) -> Result<MapTile, MapFault<S::Fault>> {
    let tile = source.tile(path).map_err(MapFault::Tile)?;
    let found = Folded::of(&tile.slots).hash();
    if found == *expected { Ok(tile) } else { Err(MapFault::Broken { expected: *expected, found }) }
}

/// Goes down at most 64 times: two keys differ in one of 64 nibbles.
fn update_tile<S: TileSource>(
    source: &S,
    path: TilePath,
    mut tile: MapTile,
    changes: &[(LotKey, LotState)],
    tiles: &mut TileChanges,
) -> Result<Hash32, MapFault<S::Fault>> {
    let nibble = |(key, _): &(LotKey, LotState)| key.nibble(path.level);
    let mut differing = 0;
    for together in changes.chunk_by(|one, other| nibble(one) == nibble(other)) {
        let Some(first) = together.first() else { continue };
        let slot = &mut tile.slots[nibble(first)];
        let below = path.towards(&first.0);
        *slot = match (*slot, together) {
            (TileSlot::Empty, [(key, state)]) => TileSlot::Lot(*key, *state),
            (TileSlot::Lot(known, _), [(key, state)]) if known == *key => {
                TileSlot::Lot(*key, *state)
            }
            (TileSlot::Empty, many) => {
                TileSlot::Tile(update_tile(source, below, MapTile::EMPTY, many, tiles)?)
            }
            (TileSlot::Lot(key, state), many) => {
                let many = with(key, state, many);
                TileSlot::Tile(update_tile(source, below, MapTile::EMPTY, &many, tiles)?)
            }
            (TileSlot::Tile(hash), many) => {
                let found = sound_tile(source, &below, &hash)?;
                TileSlot::Tile(update_tile(source, below, found, many, tiles)?)
            }
        };
        differing |= 1 << nibble(first);
    }
    let hash = Folded::of(&tile.slots).hash();
    tiles.push(path, &tile, differing);
    Ok(hash)
}

/// The changes, and the lot that stood in their way unless it changes itself.
pub(super) fn with(
    key: LotKey,
    state: LotState,
    changes: &[(LotKey, LotState)],
) -> Vec<(LotKey, LotState)> {
    let mut all = changes.to_vec();
    if let Err(place) = all.binary_search_by_key(&key, |(key, _)| *key) {
        all.insert(place, (key, state));
    }
    all
}

/// Proof of how far the life of a lot got, or that there is no such lot.
pub fn prove_lot<S: TileSource>(source: &S, lot: LotId) -> Result<MapProof, S::Fault> {
    let own = LotKey::of(lot);
    let mut path = TilePath::TOP;
    let mut siblings = Vec::new();
    let end = loop {
        let tile = source.tile(&path)?;
        let mut slots = &tile.slots[..];
        let first = usize::from(path.level) * TILE_BITS;
        for at in first..first + TILE_BITS {
            // One lot or none: the way ends here.
            if !matches!(Folded::of(slots), Folded::More(_)) {
                break;
            }
            let (left, right) = slots.split_at(slots.len() / 2);
            let (on_way, beside) = if own.is_right(at) { (right, left) } else { (left, right) };
            siblings.push(Folded::of(beside).hash());
            slots = on_way;
        }
        match Folded::of(slots) {
            Folded::Empty => break WayEnd::Empty,
            Folded::Lot(key, state) if key == own => break WayEnd::Lot(state),
            Folded::Lot(key, state) => break WayEnd::Other(key, state),
            Folded::More(_) => path = path.towards(&own),
        }
    };
    siblings.reverse();
    Ok(MapProof { end, siblings })
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};
    use std::convert::Infallible;

    use jmt::mock::MockTreeStore;
    use jmt::{KeyHash, RootHash, Sha256Jmt};
    use proptest::prelude::*;

    use super::*;

    /// Tiles in memory, and their root.
    struct Shelf(RefCell<BTreeMap<TilePath, MapTile>>, Cell<Hash32>);

    impl Default for Shelf {
        fn default() -> Self {
            Self(RefCell::default(), Cell::new(EMPTY_MAP))
        }
    }

    impl TileSource for Shelf {
        type Fault = Infallible;

        fn tile(&self, path: &TilePath) -> Result<MapTile, Infallible> {
            let found = self.0.borrow().get(path).cloned();
            assert!(found.is_some() || *path == TilePath::TOP, "{path:?} is not there");
            Ok(found.unwrap_or(MapTile::EMPTY))
        }
    }

    impl Shelf {
        fn take(&self, changes: &BTreeMap<LotKey, LotState>) -> MapUpdate {
            let update = update_map(self, &self.1.get(), changes).unwrap();
            for (path, tile) in update.tiles.iter() {
                let mut tiles = self.0.borrow_mut();
                let before = tiles.get(&path).unwrap_or(&MapTile::EMPTY);
                let tile = tile.over(before);
                tiles.insert(path, tile);
            }
            self.1.set(update.root);
            update
        }

        fn prove(&self, lot: LotId) -> MapProof {
            let Ok(proof) = prove_lot(self, lot);
            proof
        }
    }

    fn lot(number: u16) -> LotId {
        let mut id = [7; 16];
        id[..2].copy_from_slice(&number.to_be_bytes());
        LotId::from_bytes(id)
    }

    /// What happens between statements: lots that change, each time with one entry more.
    fn histories() -> impl Strategy<Value = Vec<Vec<u16>>> {
        let few = prop::collection::vec(0..40_u16, 0..12);
        let many = prop::collection::vec(0..400_u16, 0..120);
        prop::collection::vec(prop_oneof![few, many], 1..8)
    }

    /// Plays a history; hands each statement on, with all states so far.
    fn play(
        history: &[Vec<u16>],
        mut stated: impl FnMut(&Shelf, &MapUpdate, &BTreeMap<LotId, LotState>),
    ) {
        let (shelf, mut lots, mut index) = (Shelf::default(), BTreeMap::new(), 1_000);
        for numbers in history {
            let mut changes = BTreeMap::new();
            for number in numbers {
                index += 1;
                let before = lots.get(&lot(*number)).map_or(0, |it: &LotState| it.entry_count);
                let state = LotState { entry_count: before + 1, last: EntryIndex(index) };
                lots.insert(lot(*number), state);
                changes.insert(LotKey::of(lot(*number)), state);
            }
            let update = shelf.take(&changes);
            stated(&shelf, &update, &lots);
        }
    }

    /// The value as it is hashed.
    fn value(state: &LotState) -> Vec<u8> {
        [state.entry_count.to_be_bytes(), state.last.0.to_be_bytes()].concat()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]

        #[test]
        fn other_hands_reach_the_same_roots(history in histories()) {
            let (store, mut version) = (MockTreeStore::default(), 0);
            play(&history, |_, update, states| {
                let tree = Sha256Jmt::new(&store);
                let all = states.iter().map(|(lot, state)| {
                    (KeyHash(LotKey::of(*lot).0), Some(value(state)))
                });
                let (root, batch) = tree.put_value_set(all, version).unwrap();
                store.write_tree_update_batch(batch).unwrap();
                version += 1;
                assert_eq!(root, RootHash(update.root.0));
            });
        }

        #[test]
        fn the_root_is_that_of_one_statement_over_everything(history in histories()) {
            play(&history, |_, update, states| {
                let all = states.iter().map(|(lot, state)| (LotKey::of(*lot), *state)).collect();
                assert_eq!(Shelf::default().take(&all).root, update.root);
            });
        }

        #[test]
        fn every_lot_is_proven_there_or_not(history in histories()) {
            play(&history, |shelf, update, states| {
                for number in 0..60 {
                    let proof = shelf.prove(lot(number));
                    let found = proof.verify(lot(number), &update.root);
                    assert_eq!(found, Ok(states.get(&lot(number)).copied()));
                }
            });
        }

        #[test]
        fn a_proof_that_was_changed_anywhere_is_refused(
            history in histories(),
            asked in 0..60_u16,
            place in any::<prop::sample::Index>(),
            bit in 0..8_u32,
        ) {
            play(&history, |shelf, update, states| {
                let proof = shelf.prove(lot(asked));
                let known = states.get(&lot(asked)).copied();
                for changed in changes(&proof, place, bit) {
                    let found = changed.verify(lot(asked), &update.root);
                    assert!(found.is_err(), "{changed:?} shows {found:?}");
                }
                // The proof of another lot shows nothing of this one but that both are not there.
                for other in (0..60).filter(|other| *other != asked) {
                    if let Ok(found) = proof.verify(lot(other), &update.root) {
                        assert_eq!((found, known), (None, None));
                        assert!(!states.contains_key(&lot(other)));
                    }
                }
            });
        }
    }

    /// One bit elsewhere in a number.
    fn bent(number: u64, place: prop::sample::Index, bit: u32) -> u64 {
        let byte = u32::try_from(place.index(8)).unwrap();
        number ^ (1 << (byte * 8 + bit))
    }

    fn bent_state(state: LotState, place: prop::sample::Index, bit: u32) -> [LotState; 2] {
        [
            LotState { entry_count: bent(state.entry_count, place, bit), ..state },
            LotState { last: EntryIndex(bent(state.last.0, place, bit)), ..state },
        ]
    }

    /// The proof with a bit changed in each of its parts, and with a part more or less.
    fn changes(proof: &MapProof, place: prop::sample::Index, bit: u32) -> Vec<MapProof> {
        let mut all = Vec::new();
        let mut ends =
            vec![WayEnd::Empty, WayEnd::Lot(LotState { entry_count: 1, last: EntryIndex(9) })];
        match proof.end {
            WayEnd::Lot(state) => ends.extend(bent_state(state, place, bit).map(WayEnd::Lot)),
            WayEnd::Empty => {}
            WayEnd::Other(key, state) => {
                let mut other = key;
                other.0[place.index(32)] ^= 1 << bit;
                ends.push(WayEnd::Other(other, state));
                ends.push(WayEnd::Lot(state));
                ends.extend(bent_state(state, place, bit).map(|it| WayEnd::Other(key, it)));
            }
        }
        ends.retain(|end| *end != proof.end);
        all.extend(ends.into_iter().map(|end| MapProof { end, ..proof.clone() }));
        for at in 0..proof.siblings.len() {
            let mut changed = proof.clone();
            changed.siblings[at].0[place.index(32)] ^= 1 << bit;
            all.push(changed);
            let mut shorter = proof.clone();
            shorter.siblings.remove(at);
            all.push(shorter);
        }
        let mut longer = proof.clone();
        longer.siblings.push(EMPTY_MAP);
        all.push(longer);
        all
    }

    #[test]
    fn a_way_is_never_longer_than_a_key() {
        let end = WayEnd::Empty;
        let proof = MapProof { end, siblings: vec![EMPTY_MAP; 257] };
        assert_eq!(proof.verify(lot(1), &EMPTY_MAP), Err(MapRefused::TooLong { found: 257 }));
        let nothing = MapProof { end, siblings: Vec::new() };
        assert_eq!(nothing.verify(lot(1), &EMPTY_MAP), Ok(None));
    }

    #[test]
    fn nothing_is_built_on_a_tile_that_was_bent() {
        let shelf = Shelf::default();
        let states = |numbers: std::ops::Range<u16>, entry_count| {
            let state = LotState { entry_count, last: EntryIndex(99_999) };
            numbers.map(|number| (LotKey::of(lot(number)), state)).collect::<BTreeMap<_, _>>()
        };
        shelf.take(&states(0..200, 1));
        let paths: Vec<TilePath> = shelf.0.borrow().keys().copied().collect();
        assert!(paths.len() > 10);
        for path in paths {
            let whole = shelf.0.borrow()[&path].clone();
            let mut bent = whole.clone();
            for slot in &mut bent.slots {
                match slot {
                    TileSlot::Lot(_, state) => state.entry_count += 1,
                    TileSlot::Tile(hash) => hash.0[0] ^= 1,
                    TileSlot::Empty => {}
                }
            }
            shelf.0.borrow_mut().insert(path, bent);
            let refused = update_map(&shelf, &shelf.1.get(), &states(0..200, 2));
            assert!(matches!(refused, Err(MapFault::Broken { .. })), "{path:?}");
            shelf.0.borrow_mut().insert(path, whole);
        }
        shelf.take(&states(0..200, 2));
    }

    #[test]
    fn a_statement_costs_what_changed() {
        let shelf = Shelf::default();
        let states = |numbers: std::ops::Range<u16>, entry_count| {
            let state = LotState { entry_count, last: EntryIndex(99_999) };
            numbers.map(|number| (LotKey::of(lot(number)), state)).collect::<BTreeMap<_, _>>()
        };
        shelf.take(&states(0..20_000, 1));
        // 16^3 < 20,000 < 16^4: four levels, a fifth where two are neighbours.
        let one = shelf.take(&states(7..8, 2)).tiles.len();
        assert!((4..=6).contains(&one), "{one} tiles");
        let ten = shelf.take(&states(0..10, 3)).tiles.len();
        assert!(ten <= 10 * 6, "{ten} tiles");
        assert_eq!(shelf.take(&BTreeMap::new()).tiles.len(), 0);
    }
}
