//! C2SP tlog-tiles: in which files the hashes and the entries of a tree lie, and how they are
//! spelled there.
//!
//! A pure codec. Which hashes are right is not its to say: tiles are derived from the entries, and
//! whoever reads them proves what they say against a signed root.

use bytes::Bytes;

use super::checkpoint::parse_decimal;
use super::hash::node_hash;
use super::reader::Reader;
use crate::domain::{EntryCount, Hash32};
use crate::limits::{MAX_ENTRY_BYTES, MAX_TILE_PATH_BYTES, ROW_HASHES, TILE_LEVELS};

/// Hashes, or entries, of a full tile.
pub const TILE_WIDTH: u16 = 256;
/// Levels of the tree that one level of tiles spans.
pub const TILE_HEIGHT: u8 = 8;
const HASH_BYTES: usize = 32;

const _: () = assert!(TILE_WIDTH as usize == ROW_HASHES && 1 << TILE_HEIGHT == TILE_WIDTH);

/// What a tile holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TileKind {
    /// Entries, each behind its length: an entry bundle.
    Entries,
    /// Hashes of one level of tiles, 0 to 7: at level 0 the leaves, above it the roots of the full
    /// tiles below.
    Hashes {
        /// The level of tiles.
        level: u8,
    },
}

/// Which tile, and how wide.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tile {
    kind: TileKind,
    index: u64,
    width: u16,
}

/// Why there is no such tile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TileFault {
    /// No tree has this level.
    #[error("the level of a tile is 0 to {}, not {found}", TILE_LEVELS - 1)]
    Level {
        /// The level.
        found: u8,
    },
    /// No tree has this place.
    #[error("tile {index} of level {level} lies beyond any tree of 64-bit size")]
    Index {
        /// Its level.
        level: u8,
        /// Its place on the level.
        index: u64,
    },
    /// Not 1 to 256.
    #[error("a tile is 1 to {TILE_WIDTH} wide, not {found}")]
    Width {
        /// The width.
        found: u16,
    },
    /// Not the one spelling of a tile's path.
    #[error("not a path of a tile: tile/<level>/<index>[.p/<width>] or tile/entries/...")]
    Path,
}

/// Why bytes are not a tile of hashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a tile of {width} hashes has {} bytes, not {found}", usize::from(*width) * HASH_BYTES)]
pub struct HashesFault {
    /// The width that was expected.
    pub width: u16,
    /// Bytes that were found.
    pub found: usize,
}

/// Why bytes are not an entry bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BundleFault {
    /// A length reaches beyond the bytes.
    #[error("offset {offset}: length {length} reaches beyond the file, which has {left} more")]
    BeyondEnd {
        /// Where the length stands.
        offset: usize,
        /// The length.
        length: usize,
        /// Bytes that are left behind it.
        left: usize,
    },
    /// It ends inside a length.
    #[error("offset {offset}: the file ends inside a length")]
    InsideLength {
        /// Where the length begins.
        offset: usize,
    },
    /// It ends after fewer entries than its path says.
    #[error("offset {offset}: the file ends after {found} entries, and holds {width}")]
    TooFew {
        /// Where it ends.
        offset: usize,
        /// Entries in it.
        found: u16,
        /// Entries that were expected.
        width: u16,
    },
    /// Bytes follow the last entry.
    #[error("offset {offset}: {left} bytes follow the last of {width} entries")]
    TooLong {
        /// Where the last entry ends.
        offset: usize,
        /// Bytes that are left.
        left: usize,
        /// Entries that were expected.
        width: u16,
    },
}

/// An entry that no bundle can hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an entry has at most {MAX_ENTRY_BYTES} bytes, not {found}")]
pub struct EntryTooLong {
    /// Its length.
    pub found: usize,
}

impl Tile {
    /// A tile, or what of it no tree has.
    pub fn new(kind: TileKind, index: u64, width: u16) -> Result<Self, TileFault> {
        let level = kind.level();
        if level >= TILE_LEVELS {
            return Err(TileFault::Level { found: level });
        }
        if width == 0 || width > TILE_WIDTH {
            return Err(TileFault::Width { found: width });
        }
        let tile = Self { kind, index, width };
        if tile.is_within(EntryCount(u64::MAX)) {
            Ok(tile)
        } else {
            Err(TileFault::Index { level, index })
        }
    }

    /// The tile at a place, as wide as a tree of so many entries has it; `None` beyond the tree.
    pub fn of_tree(kind: TileKind, index: u64, size: EntryCount) -> Option<Self> {
        let first = index.checked_mul(u64::from(TILE_WIDTH))?;
        let left = places(kind.level(), size).checked_sub(first).filter(|left| *left > 0)?;
        let width = u16::try_from(left).map_or(TILE_WIDTH, |left| left.min(TILE_WIDTH));
        Some(Self { kind, index, width })
    }

    /// What it holds.
    pub const fn kind(&self) -> TileKind {
        self.kind
    }

    /// Its place on its level, from 0.
    pub const fn index(&self) -> u64 {
        self.index
    }

    /// How many hashes or entries, 1 to 256.
    pub const fn width(&self) -> u16 {
        self.width
    }

    /// Whether it is as wide as tiles get.
    pub const fn is_full(&self) -> bool {
        self.width == TILE_WIDTH
    }

    /// The same place, full.
    #[must_use]
    pub const fn full(&self) -> Self {
        Self { kind: self.kind, index: self.index, width: TILE_WIDTH }
    }

    /// Place of its first hash or entry on its level. Below 2^64 for every tile.
    pub const fn first(&self) -> u64 {
        self.index * TILE_WIDTH as u64
    }

    /// Whether a tree of so many entries has all of it.
    pub fn is_within(&self, size: EntryCount) -> bool {
        let end = u128::from(self.index) * u128::from(TILE_WIDTH) + u128::from(self.width);
        end <= u128::from(places(self.kind.level(), size))
    }

    /// Its path, as in `tile/0/x001/234.p/17`.
    pub fn path(&self) -> String {
        let mut index = format!("{:03}", self.index % 1_000);
        let mut left = self.index / 1_000;
        // A 64-bit number has at most 7 groups of three digits.
        while left > 0 {
            index = format!("x{:03}/{index}", left % 1_000);
            left /= 1_000;
        }
        let kind = match self.kind {
            TileKind::Entries => "entries".to_owned(),
            TileKind::Hashes { level } => level.to_string(),
        };
        if self.is_full() {
            format!("tile/{kind}/{index}")
        } else {
            format!("tile/{kind}/{index}.p/{}", self.width)
        }
    }

    /// Reads a path, which has one spelling.
    pub fn parse(path: &str) -> Result<Self, TileFault> {
        if path.len() > MAX_TILE_PATH_BYTES {
            return Err(TileFault::Path);
        }
        let (place, width) = match path.split_once(".p/") {
            Some((place, width)) => (place, parse_decimal(width)),
            None => (path, Some(u64::from(TILE_WIDTH))),
        };
        let width = width.and_then(|it| u16::try_from(it).ok()).ok_or(TileFault::Path)?;
        let place = place.strip_prefix("tile/").ok_or(TileFault::Path)?;
        let (kind, index) = place.split_once('/').ok_or(TileFault::Path)?;
        let kind = match kind {
            "entries" => TileKind::Entries,
            level => {
                let level = parse_decimal(level).and_then(|it| u8::try_from(it).ok());
                TileKind::Hashes { level: level.ok_or(TileFault::Path)? }
            }
        };
        let digits: String = index.chars().filter(|it| !matches!(it, 'x' | '/')).collect();
        let is_number = !digits.is_empty() && digits.bytes().all(|it| it.is_ascii_digit());
        let index = digits.parse().ok().filter(|_| is_number).ok_or(TileFault::Path)?;
        let tile = Self::new(kind, index, width)?;
        if tile.path() == path { Ok(tile) } else { Err(TileFault::Path) }
    }
}

impl TileKind {
    /// The level of tiles; entry bundles lie as the leaves do.
    pub const fn level(self) -> u8 {
        match self {
            Self::Entries => 0,
            Self::Hashes { level } => level,
        }
    }
}

/// The tiles of one kind that a tree of so many entries has, from the left.
pub fn tiles_of_kind(kind: TileKind, size: EntryCount) -> impl Iterator<Item = Tile> {
    let count = places(kind.level(), size).div_ceil(u64::from(TILE_WIDTH));
    (0..count).filter_map(move |index| Tile::of_tree(kind, index, size))
}

/// Hashes on a level of tiles, in a tree of so many entries.
fn places(level: u8, size: EntryCount) -> u64 {
    size.0.checked_shr(u32::from(level) * u32::from(TILE_HEIGHT)).unwrap_or(0)
}

/// The bytes of a tile of hashes.
pub fn encode_hashes(hashes: &[Hash32]) -> Vec<u8> {
    hashes.iter().flat_map(|hash| hash.0).collect()
}

/// Reads a tile of so many hashes.
pub fn parse_hashes(bytes: &[u8], width: u16) -> Result<Vec<Hash32>, HashesFault> {
    let (hashes, rest) = bytes.as_chunks::<HASH_BYTES>();
    if !rest.is_empty() || hashes.len() != usize::from(width) {
        return Err(HashesFault { width, found: bytes.len() });
    }
    Ok(hashes.iter().map(|hash| Hash32(*hash)).collect())
}

/// Adds an entry to the bytes of a bundle.
pub fn push_entry(bundle: &mut Vec<u8>, entry: &[u8]) -> Result<(), EntryTooLong> {
    let length = u16::try_from(entry.len()).map_err(|_| EntryTooLong { found: entry.len() })?;
    bundle.extend_from_slice(&length.to_be_bytes());
    bundle.extend_from_slice(entry);
    Ok(())
}

/// The entries of a bundle that should hold so many, in their order and without copying them; the
/// first fault is the last item.
pub fn bundle_entries(
    bytes: &Bytes,
    width: u16,
) -> impl Iterator<Item = Result<Bytes, BundleFault>> + use<> {
    let bytes = bytes.clone();
    let (mut offset, mut found, mut is_done) = (0, 0, false);
    std::iter::from_fn(move || {
        if is_done {
            return None;
        }
        let mut reader = Reader::new(&bytes);
        let step = next_entry(&mut reader, offset, found, width).transpose();
        offset = reader.offset();
        found += 1;
        is_done = !matches!(step, Some(Ok(_)));
        step
    })
}

/// One step of [`bundle_entries`]: `None` when the bundle ends where it should.
fn next_entry(
    reader: &mut Reader<'_>,
    offset: usize,
    found: u16,
    width: u16,
) -> Result<Option<Bytes>, BundleFault> {
    let skipped = reader.bytes(offset);
    debug_assert!(skipped.is_ok(), "a step ends inside the bundle");
    let left = reader.left();
    match (found == width, left) {
        (true, 0) => return Ok(None),
        (true, left) => return Err(BundleFault::TooLong { offset, left, width }),
        (false, 0) => return Err(BundleFault::TooFew { offset, found, width }),
        (false, _) => {}
    }
    let length = reader.u16().map_err(|_| BundleFault::InsideLength { offset })?;
    let length = usize::from(length);
    let left = reader.left();
    let entry = reader.bytes(length);
    entry.map(Some).map_err(|_| BundleFault::BeyondEnd { offset, length, left })
}

/// The node `height` levels above a tile's hashes, at `place` on its own level, when the tile has
/// all below it. Height is 0 to 8.
pub fn node_in(hashes: &[Hash32], height: u8, place: usize) -> Option<Hash32> {
    let width = 1_usize.checked_shl(u32::from(height))?;
    let from = place.checked_mul(width)?;
    let mut row = hashes.get(from..from.checked_add(width)?)?.to_vec();
    // Each turn halves the row: 8 turns at most.
    while row.len() > 1 {
        let (pairs, _) = row.as_chunks::<2>();
        row = pairs.iter().map(|[left, right]| node_hash(left, right)).collect();
    }
    row.first().copied()
}

/// Makes the tiles of hashes of a tree that grows by leaves; holds the right edge only: at most
/// 255 hashes of each level.
#[derive(Debug, Default)]
pub struct TileBuilder {
    /// By level of tiles: how many tiles are full, and the hashes of the one that is not.
    levels: Vec<(u64, Vec<Hash32>)>,
}

impl TileBuilder {
    /// Adds a leaf hash; the tiles that it made full, from the leaves up.
    pub fn push(&mut self, leaf: Hash32) -> Vec<(Tile, Vec<Hash32>)> {
        let mut full = Vec::new();
        let mut hash = leaf;
        for level in 0..TILE_LEVELS {
            let at = usize::from(level);
            if self.levels.len() == at {
                self.levels.push((0, Vec::with_capacity(ROW_HASHES)));
            }
            let (index, hashes) = &mut self.levels[at];
            hashes.push(hash);
            let Some(root) = node_in(hashes, TILE_HEIGHT, 0) else { break };
            let kind = TileKind::Hashes { level };
            let tile = Tile { kind, index: *index, width: TILE_WIDTH };
            full.push((tile, std::mem::take(hashes)));
            *index += 1;
            hash = root;
        }
        full
    }

    /// The tiles at the right edge that are not full, from the leaves up.
    pub fn partial(&self) -> Vec<(Tile, &[Hash32])> {
        let mut partial = Vec::new();
        for (level, (index, hashes)) in (0..TILE_LEVELS).zip(&self.levels) {
            let width = u16::try_from(hashes.len()).unwrap_or(TILE_WIDTH);
            if width > 0 {
                let kind = TileKind::Hashes { level };
                partial.push((Tile { kind, index: *index, width }, hashes.as_slice()));
            }
        }
        partial
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::hash::leaf_hash;
    use crate::ledger::tree::Frontier;
    use proptest::prelude::*;
    use tlog_tiles::tile::Tile as TheirTile;
    use tlog_tiles::tlog;

    /// The same tile, in the names of the other implementation: it also spells the height, and
    /// calls entries data.
    fn their_path(tile: &Tile) -> String {
        let is_data = tile.kind() == TileKind::Entries;
        let (level, width) = (tile.kind().level(), u32::from(tile.width()));
        let theirs = TheirTile::new(TILE_HEIGHT, level, tile.index(), width, is_data).path();
        theirs.replacen("tile/8/", "tile/", 1).replacen("/data/", "/entries/", 1)
    }

    #[test]
    fn paths_are_those_of_the_specification() {
        let hashes = |level| TileKind::Hashes { level };
        let rows = [
            (TileKind::Entries, 0, 256, "tile/entries/000"),
            (TileKind::Entries, 999, 1, "tile/entries/999.p/1"),
            (hashes(0), 1_000, 256, "tile/0/x001/000"),
            (hashes(2), 1_234_067, 255, "tile/2/x001/x234/067.p/255"),
            (hashes(7), 0, 255, "tile/7/000.p/255"),
            (
                TileKind::Entries,
                (1 << 56) - 1,
                255,
                "tile/entries/x072/x057/x594/x037/x927/935.p/255",
            ),
        ];
        for (kind, index, width, path) in rows {
            let tile = Tile::new(kind, index, width).unwrap();
            assert_eq!(tile.path(), path);
            assert_eq!(Tile::parse(path), Ok(tile));
            assert_eq!(their_path(&tile), path);
            assert!(path.len() <= MAX_TILE_PATH_BYTES);
        }
    }

    #[test]
    fn a_path_has_one_spelling() {
        let refused = [
            "",
            "tile",
            "tile/",
            "tile/0",
            "tile/0/",
            "tile/0/0",
            "tile/0/0000",
            "tile/0/x000/001",
            "tile/0/x001/x234",
            "tile/0/001/234",
            "tile/0/001/",
            "/tile/0/001",
            "tile/00/001",
            "tile/+0/001",
            "tile/8/000.p/1",
            "tile/256/000",
            "tile/0/000.p/0",
            "tile/0/000.p/256",
            "tile/0/000.p/01",
            "tile/0/000.p/",
            "tile/0/000.p/1.p/1",
            "tile/0/-01",
            "tile/0/\u{0661}\u{0661}\u{0661}",
            "tile/data/000",
            "tile/entries/../000",
            "tile/entries/x072/x057/x594/x037/x927/935",
            "tile/entries/x072/x057/x594/x037/x927/936.p/1",
            "tile/7/000",
            "tile/entries/x999/x999/x999/x999/x999/x999/x999/x999/x999/999",
        ];
        for path in refused {
            assert!(Tile::parse(path).is_err(), "{path}");
        }
    }

    #[test]
    fn a_tree_has_the_tiles_of_the_specification() {
        let widths = |level, size| -> Vec<u16> {
            let kind = TileKind::Hashes { level };
            let tiles: Vec<Tile> = tiles_of_kind(kind, EntryCount(size)).collect();
            assert!((0..).zip(&tiles).all(|(index, tile)| tile.index() == index));
            assert!(tiles.iter().all(|tile| tile.is_within(EntryCount(size))));
            tiles.iter().map(Tile::width).collect()
        };
        assert!(widths(0, 0).is_empty());
        assert_eq!(widths(0, 256), [256]);
        assert_eq!(widths(1, 256), [1]);
        // The example of the specification.
        assert_eq!((widths(0, 70_000).len(), widths(0, 70_000)[273]), (274, 112));
        assert_eq!(widths(1, 70_000), [256, 17]);
        assert_eq!(widths(2, 70_000), [1]);
        assert!(widths(3, 70_000).is_empty());
        let last = Tile::of_tree(TileKind::Hashes { level: 7 }, 0, EntryCount(u64::MAX));
        assert_eq!(last.unwrap().width(), 255);
        assert_eq!(Tile::of_tree(TileKind::Entries, u64::MAX, EntryCount(u64::MAX)), None);
    }

    /// The storage that the other implementation asks for.
    #[derive(Default)]
    struct Stored(Vec<tlog::Hash>);

    impl tlog::HashReader for Stored {
        fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<tlog::Hash>, tlog::Error> {
            Ok(indexes.iter().map(|index| self.0[usize::try_from(*index).unwrap()]).collect())
        }
    }

    #[test]
    fn tiles_that_grow_are_those_that_others_cut() {
        let (mut stored, mut builder) = (Stored::default(), TileBuilder::default());
        let mut frontier = Frontier::default();
        let mut tiles = std::collections::BTreeMap::new();
        let sizes = [1, 2, 255, 256, 257, 511, 512, 700, 66_000];
        for number in 0..66_000_u64 {
            let entry = number.to_be_bytes();
            stored.0.extend(tlog::stored_hashes(number, &entry, &stored).unwrap());
            frontier.push(leaf_hash(&entry));
            tiles.extend(builder.push(leaf_hash(&entry)));
            let size = number + 1;
            if !sizes.contains(&size) {
                continue;
            }
            let mut now = tiles.clone();
            now.extend(builder.partial().into_iter().map(|(tile, it)| (tile, it.to_vec())));
            let expected = (0..TILE_LEVELS)
                .flat_map(|level| tiles_of_kind(TileKind::Hashes { level }, EntryCount(size)));
            assert_eq!(now.keys().copied().collect::<Vec<_>>(), expected.collect::<Vec<_>>());
            for theirs in TheirTile::new_tiles(TILE_HEIGHT, 0, size) {
                let bytes = theirs.read_data(&stored).unwrap();
                let path = theirs.path().replacen("tile/8/", "tile/", 1);
                let ours = &now[&Tile::parse(&path).unwrap()];
                assert_eq!(encode_hashes(ours), bytes, "{path} of {size}");
                assert_eq!(
                    parse_hashes(&bytes, theirs.width().try_into().unwrap()).unwrap(),
                    *ours
                );
            }
            let root = tlog::tree_hash(size, &stored).unwrap();
            assert_eq!(frontier.root().0, root.0);
        }
    }

    #[test]
    fn a_bundle_that_is_not_what_its_path_says_is_refused_where_it_breaks() {
        let good = [&[0, 3][..], b"abc", &[0, 0], &[0, 1], b"z"].concat();
        let read = |bytes: &[u8], width| -> (usize, Option<BundleFault>) {
            let bytes = Bytes::copy_from_slice(bytes);
            let (mut good, mut fault) = (0, None);
            for entry in bundle_entries(&bytes, width) {
                assert_eq!(fault, None, "the first fault is the last item");
                match entry {
                    Ok(_) => good += 1,
                    Err(found) => fault = Some(found),
                }
            }
            (good, fault)
        };
        assert_eq!(read(&good, 3), (3, None));
        let too_long = BundleFault::TooLong { offset: 7, left: 3, width: 2 };
        assert_eq!(read(&good, 2), (2, Some(too_long)));
        let too_few = BundleFault::TooFew { offset: 10, found: 3, width: 4 };
        assert_eq!(read(&good, 4), (3, Some(too_few)));
        let beyond = BundleFault::BeyondEnd { offset: 7, length: 1, left: 0 };
        assert_eq!(read(&good[..9], 3), (2, Some(beyond)));
        assert_eq!(read(&good[..8], 3), (2, Some(BundleFault::InsideLength { offset: 7 })));
        let too_few = BundleFault::TooFew { offset: 0, found: 0, width: 1 };
        assert_eq!(read(&[], 1), (0, Some(too_few)));
    }

    #[test]
    fn a_tile_has_whole_hashes_and_no_others() {
        assert_eq!(parse_hashes(&[7; 64], 2).unwrap(), [Hash32([7; 32]); 2]);
        for (found, width) in [(63, 2), (64, 1), (64, 3), (0, 1)] {
            assert_eq!(parse_hashes(&vec![7; found], width), Err(HashesFault { width, found }));
        }
        let longer = vec![0; MAX_ENTRY_BYTES + 1];
        let fault = push_entry(&mut Vec::new(), &longer);
        assert_eq!(fault, Err(EntryTooLong { found: MAX_ENTRY_BYTES + 1 }));
    }

    proptest! {
        #[test]
        fn a_path_that_is_read_is_spelled_the_same(
            path in "tile/(entries|[0-9]{1,2})/(x[0-9]{3}/){0,3}[0-9]{3}(\\.p/[0-9]{1,3})?"
        ) {
            if let Ok(tile) = Tile::parse(&path) {
                prop_assert_eq!(tile.path(), &*path);
                prop_assert_eq!(their_path(&tile), path);
            }
        }

        #[test]
        fn entries_come_back_as_they_were_put(
            entries in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 1..40)
        ) {
            let mut bundle = Vec::new();
            for entry in &entries {
                push_entry(&mut bundle, entry).unwrap();
            }
            let width = u16::try_from(entries.len()).unwrap();
            let read: Result<Vec<Bytes>, _> = bundle_entries(&bundle.into(), width).collect();
            prop_assert_eq!(read.unwrap(), entries);
        }
    }
}
