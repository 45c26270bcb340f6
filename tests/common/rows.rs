//! The rows of a database, whatever they lie in: read, changed and written back by other hands than
//! the store's own, from what `docs/adr/0023-rows-in-runs.md` says of their place.

use std::collections::BTreeMap;
use std::path::Path;

use fastbloom::BloomFilter;
use twox_hash::XxHash3_64;

/// Value by key.
pub type Rows = BTreeMap<Vec<u8>, Vec<u8>>;

/// Kinds whose rows lie in runs.
const IN_RUNS: [u8; 16] = [
    0x11, 0x24, 0x25, 0x26, 0x27, 0x28, 0x2c, 0x32, 0x33, 0x34, 0x35, 0x39, 0x3c, 0x3d, 0x3f, 0x40,
];
const MANIFEST: [u8; 1] = [0xf3];
/// Tiles of the lots' map.
const TILE: u8 = 0x40;

/// Opens the database in a directory that nobody uses, has its rows changed, and writes them back:
/// those in runs as one run.
pub fn with_rows<T>(dir: &Path, change: impl FnOnce(&mut Rows) -> T) -> T {
    let db = sled::Config::new().path(dir).open().unwrap();
    let before = rows_of(&db);
    let mut rows = before.clone();
    let done = change(&mut rows);
    if rows != before {
        write_back(&db, &before, &rows);
        assert!(rows_of(&db) == rows, "what was written is not what is read");
    }
    db.flush().unwrap();
    done
}

fn rows_of(db: &sled::Db) -> Rows {
    let mut rows = Rows::new();
    for item in db.iter() {
        let (key, value) = item.unwrap();
        if key[0] < 0xf0 {
            assert!(!IN_RUNS.contains(&key[0]), "{key:02x?} lies in no run");
            rows.insert(key.to_vec(), value.to_vec());
        }
    }
    let Some(manifest) = db.get(MANIFEST).unwrap() else { return rows };
    let mut words = manifest.as_chunks::<4>().0.iter().map(|word| u32::from_be_bytes(*word));
    let _next = words.next().unwrap();
    let leftover = words.next().unwrap();
    let mut runs = words.skip(leftover as usize);
    let count = runs.next().unwrap();
    let runs: Vec<u32> = runs.collect();
    assert_eq!(runs.len(), count as usize);
    // Oldest first: what is newer goes over it.
    for run in runs.iter().rev() {
        for item in db.scan_prefix([&[0xf0][..], &run.to_be_bytes()].concat()) {
            let (_, block) = item.unwrap();
            for (key, value) in unpack(&block) {
                match value {
                    // A row of a tile has the places that changed, and older ones have the rest.
                    Some(newer) if key[0] == TILE => {
                        let both = rows.get(&key).map(|older| laid_over(&newer, older));
                        rows.insert(key, both.unwrap_or(newer))
                    }
                    Some(value) => rows.insert(key, value),
                    None => rows.remove(&key),
                };
            }
        }
    }
    rows
}

/// Places of a tile by their numbers, as bytes.
fn places(tile: &[u8]) -> BTreeMap<u16, &[u8]> {
    let (taken, mut rest) = tile.split_at(2);
    let taken = u16::from_be_bytes(taken.try_into().unwrap());
    let mut places = BTreeMap::new();
    for place in (0..16).filter(|place| taken & (1 << place) != 0) {
        // A lot: key, entries, the last of them. A tile: its hash.
        let length = match rest[0] {
            1 => 1 + 32 + 8 + 8,
            2 => 1 + 32,
            other => panic!("a place of kind {other}"),
        };
        let (bytes, behind) = rest.split_at(length);
        places.insert(place, bytes);
        rest = behind;
    }
    assert!(rest.is_empty());
    places
}

fn laid_over(newer: &[u8], older: &[u8]) -> Vec<u8> {
    let mut both = places(older);
    both.extend(places(newer));
    let taken: u16 = both.keys().map(|place| 1 << place).sum();
    let bytes: Vec<&[u8]> = both.into_values().collect();
    [&taken.to_be_bytes()[..], &bytes.concat()].concat()
}

fn unpack(block: &[u8]) -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
    let plain = lz4_flex::block::decompress_size_prepended(block).unwrap();
    let (mut rest, mut key) = (plain.as_slice(), Vec::new());
    let mut rows = Vec::new();
    while !rest.is_empty() {
        let (shared, more) = (usize::from(rest[0]), usize::from(rest[1]));
        let length = u32::from_be_bytes(rest[2..6].try_into().unwrap()) as usize;
        key.truncate(shared);
        key.extend(&rest[6..6 + more]);
        let value = &rest[6 + more..6 + more + length.saturating_sub(1)];
        rest = &rest[6 + more + value.len()..];
        rows.push((key.clone(), (length > 0).then(|| value.to_vec())));
    }
    rows
}

/// A list of bytes as the database writes it: its length, u32, before it.
fn listed(bytes: &[u8]) -> Vec<u8> {
    [&u32::try_from(bytes.len()).unwrap().to_be_bytes()[..], bytes].concat()
}

fn write_back(db: &sled::Db, before: &Rows, rows: &Rows) {
    let is_in_runs = |key: &[u8]| IN_RUNS.contains(&key[0]);
    for key in before.keys().filter(|key| !is_in_runs(key) && !rows.contains_key(*key)) {
        db.remove(key).unwrap();
    }
    for (key, value) in rows.iter().filter(|(key, _)| !is_in_runs(key)) {
        db.insert(key.as_slice(), value.as_slice()).unwrap();
    }
    let old: Vec<_> = db.range([0xf0]..[0xf4]).keys().map(Result::unwrap).collect();
    for key in old {
        db.remove(key).unwrap();
    }
    let run = 77_u32;
    let of_run: Vec<_> = rows.iter().filter(|(key, _)| is_in_runs(key)).collect();
    let words = (of_run.len() * 10).div_ceil(64).max(1);
    let mut filter = BloomFilter::from_vec(vec![0; words]).seed(&0).hashes(7);
    let mut spans: Vec<(u8, Vec<u8>, Vec<u8>)> = Vec::new();
    // A row a block, its key whole.
    for (key, value) in &of_run {
        let length = u32::try_from(value.len() + 1).unwrap().to_be_bytes();
        let head = [0, u8::try_from(key.len()).unwrap()];
        let plain = [&head[..], &length, key, value].concat();
        let at = [&[0xf0][..], &run.to_be_bytes(), key].concat();
        db.insert(at, lz4_flex::block::compress_prepend_size(&plain)).unwrap();
        filter.insert_hash(XxHash3_64::oneshot(key));
        match spans.last_mut().filter(|(tag, ..)| *tag == key[0]) {
            Some((_, _, last)) => last.clone_from(key),
            None => spans.push((key[0], (*key).clone(), (*key).clone())),
        }
    }
    for (chunk, words) in filter.as_slice().chunks(7 * 1024 / 8).enumerate() {
        let chunk = u32::try_from(chunk).unwrap().to_be_bytes();
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
        db.insert([&[0xf1][..], &run.to_be_bytes(), &chunk].concat(), bytes).unwrap();
    }
    let count = u32::try_from(spans.len()).unwrap();
    let spans = spans
        .iter()
        .flat_map(|(tag, first, last)| [vec![*tag], listed(first), listed(last)].concat());
    let mut heading = [&run.to_be_bytes()[..], &[0]].concat();
    heading.extend((of_run.len() as u64).to_be_bytes());
    heading.extend(count.to_be_bytes());
    heading.extend(spans);
    db.insert([&[0xf2][..], &run.to_be_bytes()].concat(), heading).unwrap();
    let manifest = [78, 0, 1, run].map(u32::to_be_bytes).concat();
    db.insert(MANIFEST, manifest).unwrap();
}
