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
        let mut groups = Vec::new();
        let mut left = self.index;
        // A 64-bit number has at most 7 groups of three digits.
        loop {
            groups.push(left % 1_000);
            left /= 1_000;
            if left == 0 {
                break;
            }
        }
        let mut path = match self.kind {
            TileKind::Entries => "tile/entries".to_owned(),
            TileKind::Hashes { level } => format!("tile/{level}"),
        };
        for (place, group) in groups.iter().enumerate().rev() {
            let mark = if place == 0 { "" } else { "x" };
            path.push_str(&format!("/{mark}{group:03}"));
        }
        if !self.is_full() {
            path.push_str(&format!(".p/{}", self.width));
        }
        path
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

/// Every tile of a tree of so many entries: entry bundles, then each level from the leaves up, each
/// from the left.
pub fn tiles_of(size: EntryCount) -> impl Iterator<Item = Tile> {
    let levels = (0..TILE_LEVELS).map(|level| TileKind::Hashes { level });
    std::iter::once(TileKind::Entries).chain(levels).flat_map(move |kind| tiles_of_kind(kind, size))
}

/// The tiles of one kind that a tree of so many entries has, from the left.
pub fn tiles_of_kind(kind: TileKind, size: EntryCount) -> impl Iterator<Item = Tile> {
    let width = u64::from(TILE_WIDTH);
    let places = places(kind.level(), size);
    (0..places.div_ceil(width)).map(move |index| {
        let left = (places - index * width).min(width);
        Tile { kind, index, width: u16::try_from(left).unwrap_or(TILE_WIDTH) }
    })
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
