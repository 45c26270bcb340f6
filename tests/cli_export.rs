//! An export by the binary: it is the tree that others read, it verifies with the service gone, it
//! is extended and never rewritten, and what is no ledger's export is refused.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop")]

#[path = "common/place.rs"]
mod place;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use place::{ORIGIN, Place, exits, json_of, run};
use serde_json::{Value as Json, json};
use tlog_tiles::tile::{Tile as TheirTile, TileHashReader, TileReader};
use tlog_tiles::tlog::{self, HashReader as _};
use urbanmine::domain::{EntryIndex, Origin, PublicKey};
use urbanmine::ledger::{Checkpoint, Receipt, SignedCheckpoint};
use urbanmine::verify::{Pins, Report, Verdict, Verifier};

// --- a reader that knows the page of the format and nothing else ---------------------------------

/// Every file, by its path from the directory on.
fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let (mut found, mut folders) = (BTreeMap::new(), vec![dir.to_path_buf()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(dir).unwrap().to_str().unwrap().to_owned();
                found.insert(name, fs::read(path).unwrap());
            }
        }
    }
    found
}

fn checkpoint(dir: &Path) -> Checkpoint {
    SignedCheckpoint::parse(&fs::read(dir.join("checkpoint")).unwrap()).unwrap().0
}

/// The entries of a tree of fewer than 256,000.
fn entries(dir: &Path, size: u64) -> Vec<Bytes> {
    let mut all = Vec::new();
    for number in 0..size.div_ceil(256) {
        let width = (size - number * 256).min(256);
        let partial = if width < 256 { format!(".p/{width}") } else { String::new() };
        let bytes = fs::read(dir.join(format!("tile/entries/{number:03}{partial}"))).unwrap();
        let mut rest = &bytes[..];
        for _ in 0..width {
            let (length, behind) = rest.split_first_chunk::<2>().unwrap();
            let (entry, behind) = behind.split_at(u16::from_be_bytes(*length).into());
            all.push(Bytes::copy_from_slice(entry));
            rest = behind;
        }
        assert!(rest.is_empty(), "bundle {number} goes on");
    }
    all
}

fn key_of(hex: &str) -> PublicKey {
    let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    PublicKey(std::array::from_fn(|at| byte(2 * at)))
}

/// The judge's word on the files, and nothing else.
fn judged(dir: &Path, origin: &str, key: &str) -> Report {
    let origin = Some(Origin::parse(origin).unwrap());
    let mut judge = Verifier::new(Pins { origin, ledger_key: Some(key_of(key)) });
    judge.checkpoint(&fs::read(dir.join("checkpoint")).unwrap());
    for entry in entries(dir, checkpoint(dir).size.0) {
        judge.feed_entry(&entry);
        if let Some(EntryIndex(rotated)) = judge.awaits_checkpoint()
            && let Ok(text) = fs::read(dir.join(format!("rotation/{rotated}")))
        {
            judge.checkpoint(&text);
        }
    }
    judge.finish()
}

/// Files for the other implementation, which spells the height and asks for no entries here.
struct Files<'a>(&'a Path);

impl TileReader for Files<'_> {
    fn height(&self) -> u8 {
        8
    }

    fn read_tiles(&self, tiles: &[TheirTile]) -> Result<Vec<Vec<u8>>, tlog::Error> {
        let path = |tile: &TheirTile| tile.path().replacen("tile/8/", "tile/", 1);
        Ok(tiles.iter().map(|tile| fs::read(self.0.join(path(tile))).unwrap()).collect())
    }

    fn save_tiles(&self, _: &[TheirTile], _: &[Vec<u8>]) {}
}

fn demo(place: &Place) -> Json {
    json_of(&place.with(&["demo", "--exit"], &[("--dir", "demo")]), 0)
}

fn export<'a>(place: &Place, data: &str, guard: &str, to: &str) -> Vec<&'a str> {
    place.with(&["export"], &[("--data", data), ("--guard", guard), ("--to", to)])
}

/// The command refuses, says why, and leaves every file as it was.
#[track_caller]
fn refuses(args: &[&str], to: &Path, why: &str) {
    let before = files(to);
    let output = run(args);
    exits(&output, 1);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains(why), "{said}");
    assert_eq!(files(to), before);
}

// --- the tree ------------------------------------------------------------------------------------

#[test]
fn an_export_is_the_tree_that_others_read_and_every_old_receipt_is_in_it() {
    let place = Place { folder: tempfile::tempdir().unwrap() };
    let told = demo(&place);
    let done = json_of(&export(&place, "demo/data", "demo/data.guard", "out"), 0);
    let out = place.path("out");
    let head = checkpoint(&out);
    let size = head.size.0;
    assert!(size > 512, "two full bundles and a partial one: {size}");
    assert_eq!((&done["entries"], &done["unsigned_entries"]), (&json!(size), &json!(0)));
    assert_eq!(done["checkpoint"]["root"], json!(head.root.to_string()));
    assert_eq!(done["files_written"], json!(files(&out).len()));

    // The judge says of the files what it says of the journal.
    let (origin, key) = (told["origin"].as_str().unwrap(), told["ledger_key"].as_str().unwrap());
    let report = judged(&out, origin, key);
    assert_eq!((report.verdict, report.entries.0), (Verdict::Verified, size), "{report:?}");

    // The other implementation authenticates every tile that it reads against the signed root.
    let theirs = tlog::Hash(head.root.0);
    let reader = Files(&out);
    let hashes = TileHashReader::new(size, theirs, &reader);
    assert_eq!(tlog::tree_hash(size, &hashes).unwrap(), theirs);
    let entries = entries(&out, size);
    let places: Vec<u64> = (0..size).map(|index| tlog::stored_hash_index(0, index)).collect();
    let leaves = hashes.read_hashes(&places).unwrap();
    for (entry, leaf) in entries.iter().zip(&leaves) {
        assert_eq!(tlog::record_hash(entry), *leaf);
    }
    // Every receipt that was given while the ledger grew.
    let mut sizes = Vec::new();
    for file in fs::read_dir(place.path("demo/receipts")).unwrap() {
        let receipt = Receipt::parse(&fs::read(file.unwrap().path()).unwrap()).unwrap();
        let at = usize::try_from(receipt.index.0).unwrap();
        assert_eq!(receipt.entry, entries[at]);
        let proof = tlog::prove_record(size, receipt.index.0, &hashes).unwrap();
        tlog::check_record(&proof, size, theirs, receipt.index.0, leaves[at]).unwrap();
        let old = SignedCheckpoint::parse(receipt.checkpoint.as_bytes()).unwrap().0;
        if !sizes.contains(&old.size.0) {
            let proof = tlog::prove_tree(size, old.size.0, &hashes).unwrap();
            let root = tlog::Hash(old.root.0);
            tlog::check_tree(&proof, size, theirs, old.size.0, root).unwrap();
            sizes.push(old.size.0);
        }
    }
    assert!(sizes.len() > 10, "{sizes:?}");

    // Again: nothing to write. A tile, a bundle or a rotation that was changed is not written over.
    let again = json_of(&export(&place, "demo/data", "demo/data.guard", "out"), 0);
    assert_eq!((&again["files_written"], &again["entries_before"]), (&json!(0), &json!(size)));
    let partial = format!("tile/1/000.p/{}", size >> 8);
    for name in ["tile/0/001", "tile/entries/000", partial.as_str()] {
        let good = fs::read(out.join(name)).unwrap();
        let mut bad = good.clone();
        bad[100 % good.len()] ^= 1;
        fs::write(out.join(name), bad).unwrap();
        let args = export(&place, "demo/data", "demo/data.guard", "out");
        refuses(&args, &out, "is there already with other content");
        fs::write(out.join(name), good).unwrap();
    }
    // One that was lost is written again.
    fs::remove_file(out.join("tile/0/001")).unwrap();
    let again = json_of(&export(&place, "demo/data", "demo/data.guard", "out"), 0);
    assert_eq!(again["files_written"], json!(1));
    assert_eq!(judged(&out, origin, key).verdict, Verdict::Verified);
}

// --- growing -------------------------------------------------------------------------------------

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for (name, bytes) in files(from) {
        let path: PathBuf = to.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}

#[test]
fn an_export_grows_beside_a_node_over_a_rotation_and_takes_nothing_else() {
    let place = Place::new();
    let (old, next) = (place.public_key("ledger"), place.public_key("next"));
    let out = place.path("out");
    let args = export(&place, "data", "data.guard", "out");

    // Beside a node that runs.
    let server = place.serve("ledger", &[]);
    let first = json_of(&args, 0);
    let mine = files(&out);
    assert_eq!(judged(&out, ORIGIN, &old).verdict, Verdict::Verified);
    // Another export into the same directory at the same time.
    let held = fs::File::open(&out).unwrap();
    held.lock().unwrap();
    refuses(&args, &out, "another export writes into");
    drop(held);
    server.stop();
    copy(&place.path("data"), &place.path("older"));
    copy(&place.path("data.guard"), &place.path("older.guard"));

    place.append_site("ledger", "before", "receipts");
    let rotation = [
        ("--data", "data"),
        ("--ledger-key", "ledger.pem"),
        ("--next-key", "next.pem"),
        ("--passphrase-file", "passphrase"),
    ];
    let rotated = json_of(&place.with(&["rotate-key"], &rotation), 0);
    let at = rotated["entry_index"].as_u64().unwrap();
    place.append_site("next", "after", "receipts");

    let second = json_of(&args, 0);
    assert_eq!(
        (&second["entries_before"], &second["rotations"]),
        (&first["entries"], &json!([at]))
    );
    assert!(second["entries"].as_u64() > Some(at + 1), "{second}");
    // What was there is there as it was, but for the checkpoint.
    let now = files(&out);
    for (name, bytes) in mine.iter().filter(|(name, _)| *name != "checkpoint") {
        assert_eq!(now[name], *bytes, "{name}");
    }
    assert!(!now.keys().any(|name| name.contains(".next")), "nothing unfinished stays");
    // Whichever of its keys is pinned; and not where the old key's word is missing.
    for pin in [&old, &next] {
        let report = judged(&out, ORIGIN, pin);
        assert_eq!((report.verdict, report.rotations), (Verdict::Verified, 1), "{report:?}");
    }
    let word = out.join(format!("rotation/{at}"));
    let text = fs::read(&word).unwrap();
    assert_eq!(SignedCheckpoint::parse(&text).unwrap().0.size.0, at + 1);
    fs::remove_file(&word).unwrap();
    assert_eq!(judged(&out, ORIGIN, &old).verdict, Verdict::Undetermined);
    fs::write(&word, &text).unwrap();

    // An older copy of the ledger does not go back over it.
    let older = export(&place, "older", "older.guard", "out");
    refuses(&older, &out, "it is an older copy, or another ledger of the same name");
    // A guard that has seen more than the journal: an older copy as well.
    let older = export(&place, "older", "data.guard", "elsewhere");
    fs::create_dir_all(place.path("elsewhere")).unwrap();
    refuses(&older, &place.path("elsewhere"), "the head guard speaks of");
}

#[test]
fn what_is_no_export_of_this_ledger_is_refused() {
    let place = Place::new();
    let args = export(&place, "data", "data.guard", "out");
    let out = place.path("out");

    // A directory with something else in it.
    fs::create_dir_all(&out).unwrap();
    fs::write(out.join("notes.txt"), "mine").unwrap();
    refuses(&args, &out, "is no export: it holds notes.txt");
    fs::remove_file(out.join("notes.txt")).unwrap();
    fs::write(out.join("checkpoint"), "mine\n").unwrap();
    refuses(&args, &out, "is no checkpoint of an export");
    fs::remove_file(out.join("checkpoint")).unwrap();

    // Another ledger of the same name and keys, and of another name.
    let same = place.with(
        &["init", "--origin", ORIGIN],
        &[
            ("--data", "twin"),
            ("--ledger-key", "ledger.pem"),
            ("--coordinator-key", "coordinator.pem"),
            ("--coordinator", "party.json"),
            ("--passphrase-file", "passphrase"),
        ],
    );
    json_of(&same, 0);
    json_of(&args, 0);
    let twin = export(&place, "twin", "twin.guard", "out");
    refuses(&twin, &out, "holds another ledger of the same name");
    let other: Vec<&str> = same
        .iter()
        .map(|arg| match *arg {
            ORIGIN => "ledger.example/other",
            arg if arg.ends_with("twin") => place.text("other"),
            arg => arg,
        })
        .collect();
    json_of(&other, 0);
    let other = export(&place, "other", "other.guard", "out");
    refuses(&other, &out, "holds an export of ledger.example/operations, not of");

    // No ledger; one that nobody signed for; one whose entries are not those that were signed.
    let fresh = place.path("fresh");
    fs::create_dir_all(&fresh).unwrap();
    let none = export(&place, "receipts", "data.guard", "fresh");
    refuses(&none, &fresh, "holds no ledger that can be read");
    copy(&place.path("data"), &place.path("forged"));
    let journal = place.path("forged/journal/00000000000000000000.umj");
    forge_time_of_entry_1(&journal);
    let forged = export(&place, "forged", "data.guard", "fresh");
    refuses(&forged, &fresh, "and the journal gives");
    assert!(files(&fresh).is_empty());
}

/// Changes a bit of the second group's first entry, and makes the frame's checksum right again:
/// damage that only the tree shows.
fn forge_time_of_entry_1(journal: &Path) {
    let mut bytes = fs::read(journal).unwrap();
    let word = |bytes: &[u8], at: usize| {
        u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap()) as usize
    };
    // Segment header of 54 bytes, the genesis's frame, and the next frame's header of 28.
    let second = 54 + 28 + word(&bytes, 54 + 16) + 4;
    let (body, checkpoint) = (word(&bytes, second + 16), word(&bytes, second + 20));
    bytes[second + 28 + checkpoint + 4 + 50] ^= 1;
    let end = second + 28 + body;
    let sum = crc32c::crc32c(&bytes[second..end]);
    bytes[end..end + 4].copy_from_slice(&sum.to_be_bytes());
    fs::write(journal, bytes).unwrap();
}
