//! The doctor: what is sound is told to be, what is not is named, and nothing is changed.

#![allow(clippy::unwrap_used, reason = "a test may stop")]

#[path = "common/place.rs"]
mod place;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use place::{Place, json_of, said};
use serde_json::Value as Json;

fn doctor<'a>(place: &Place, key: &'a str) -> Vec<&'a str> {
    let files = [("--data", "data"), ("--ledger-key", key), ("--passphrase-file", "passphrase")];
    let args = place.with(&["doctor"], &files);
    args.into_iter().map(|arg| -> &str { arg.to_owned().leak() }).collect()
}

fn state(report: &Json, check: &str) -> String {
    let checks = report["checks"].as_array().unwrap();
    let found = checks.iter().find(|it| it["check"] == check).unwrap();
    assert!(found["zh"].as_str().unwrap() != found["en"].as_str().unwrap(), "{found}");
    found["state"].as_str().unwrap().to_owned()
}

/// Every file with its bytes, its mode and its times.
fn seen(folder: &Path) -> BTreeMap<String, (Vec<u8>, u32, i64, i64)> {
    let mut all = BTreeMap::new();
    let mut left = vec![folder.to_path_buf()];
    while let Some(next) = left.pop() {
        let metadata = fs::metadata(&next).unwrap();
        let content = if metadata.is_dir() {
            left.extend(fs::read_dir(&next).unwrap().map(|item| item.unwrap().path()));
            Vec::new()
        } else {
            fs::read(&next).unwrap()
        };
        let times = (metadata.mtime(), metadata.mtime_nsec());
        let name = next.to_str().unwrap().to_owned();
        all.insert(name, (content, metadata.mode(), times.0, times.1));
    }
    all
}

#[test]
fn a_sound_ledger_is_fine_and_nothing_is_touched() {
    let place = Place::new();
    place.append_site("ledger", "one", "receipts");
    let before = (seen(&place.path("data")), seen(&place.path("data.guard")));
    let report = json_of(&doctor(&place, "ledger.pem"), 0);
    let after = (seen(&place.path("data")), seen(&place.path("data.guard")));
    assert!(before == after, "something was changed");
    for check in ["journal", "guard", "database", "ledger-key", "clock", "lock", "free-space"] {
        assert_eq!(state(&report, check), "fine", "{check}: {report}");
    }
    let table = said(&doctor(&place, "ledger.pem"), 0);
    assert!(table.contains("journal") && table.contains("正常"), "{table}");

    // Beside a node that runs the database is left alone, and all else is told.
    let server = place.serve("ledger", &[]);
    let report = json_of(&doctor(&place, "ledger.pem"), 0);
    assert_eq!(state(&report, "database"), "skipped", "{report}");
    assert_eq!(state(&report, "journal"), "fine");
    server.stop();
}

#[test]
fn what_is_wrong_is_named() {
    let place = Place::new();
    place.append_site("ledger", "one", "receipts");
    // Another key.
    let report = json_of(&doctor(&place, "collector.pem"), 1);
    assert_eq!(state(&report, "ledger-key"), "problem");
    // A directory that everybody may write into.
    let open = |mode| {
        fs::set_permissions(place.path("data"), fs::Permissions::from_mode(mode)).unwrap();
    };
    open(0o777);
    assert_eq!(state(&json_of(&doctor(&place, "ledger.pem"), 1), "data-directory"), "problem");
    open(0o700);
    // A guard that is gone.
    let (guard, aside) = (place.path("data.guard/guard"), place.path("aside"));
    fs::rename(&guard, &aside).unwrap();
    assert_eq!(state(&json_of(&doctor(&place, "ledger.pem"), 1), "guard"), "problem");
    fs::rename(&aside, &guard).unwrap();
    // A journal with a flipped bit.
    let segment = fs::read_dir(place.path("data/journal")).unwrap().next().unwrap().unwrap().path();
    let sound = fs::read(&segment).unwrap();
    let mut broken = sound.clone();
    broken[200] ^= 1;
    fs::write(&segment, &broken).unwrap();
    assert_eq!(state(&json_of(&doctor(&place, "ledger.pem"), 1), "journal"), "problem");
    fs::write(&segment, &sound).unwrap();
    // A database that is another's.
    fs::remove_dir_all(place.path("data/sled")).unwrap();
    let other = Place::new();
    fs::rename(other.path("data/sled"), place.path("data/sled")).unwrap();
    let report = json_of(&doctor(&place, "ledger.pem"), 1);
    assert_eq!(state(&report, "database"), "problem", "{report}");
    assert_eq!(state(&report, "journal"), "fine", "{report}");
    // No database is no harm: the next start makes it.
    fs::remove_dir_all(place.path("data/sled")).unwrap();
    let report = json_of(&doctor(&place, "ledger.pem"), 0);
    assert_eq!(state(&report, "database"), "advice", "{report}");
    assert!(!place.path("data/sled").exists(), "something was made");
    // Nothing there at all.
    let empty = Place::with_keys();
    assert_eq!(state(&json_of(&doctor(&empty, "ledger.pem"), 1), "data-directory"), "problem");
}
