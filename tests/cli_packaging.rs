//! Everything that is made for packages: completions, manual pages, the unit; and a ledger that
//! follows a lost one.

#![allow(clippy::unwrap_used, reason = "a test may stop")]

#[path = "common/place.rs"]
mod place;

use std::fs;
use std::process::Command;

use place::{Place, exits, json_of, run, said};

const UNIT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/packaging/urbanmine.service");

#[test]
fn completions_and_manual_pages_are_made() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = said(&["completions", shell], 0);
        assert!(script.contains("rotate-key") && script.contains("ledger-key"), "{shell}");
    }
    assert!(said(&["man"], 0).starts_with(".ie"));
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("man1");
    said(&["man", "--dir", dir.to_str().unwrap()], 0);
    for page in ["urbanmine", "urbanmine-serve", "urbanmine-config-show", "urbanmine-doctor"] {
        let text = fs::read_to_string(dir.join(format!("{page}.1"))).unwrap();
        assert!(text.contains(".TH") && text.contains(".SH"), "{page}: {text}");
    }
}

#[test]
fn the_unit_sets_what_serve_understands() {
    let unit = fs::read_to_string(UNIT).unwrap();
    let mut command = place::urbanmine(&["config", "show", "--json"]);
    let mut count = 0;
    for line in unit.lines().filter_map(|line| line.strip_prefix("Environment=")) {
        let (name, value) = line.split_once('=').unwrap();
        command.env(name, value);
        count += 1;
    }
    let output = command.output().unwrap();
    exits(&output, 0);
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(count >= 6 && shown.contains("ledger-passphrase"), "{shown}");
    let needed = ["NoNewPrivileges=yes", "ProtectSystem=strict", "LoadCredentialEncrypted="];
    for words in needed {
        assert!(unit.contains(words), "{words}");
    }
}

#[test]
fn systemd_understands_the_unit_where_it_is_there() {
    let folder = tempfile::tempdir().unwrap();
    // The binary is not installed here; the tool wants one that is.
    let text = fs::read_to_string(UNIT).unwrap().replace("/usr/bin/urbanmine", "/bin/true");
    let copy = folder.path().join("urbanmine.service");
    fs::write(&copy, text).unwrap();
    let Ok(output) =
        Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&copy).output()
    else {
        eprintln!("SKIPPED: there is no systemd-analyze");
        return;
    };
    let talk = String::from_utf8(output.stderr).unwrap();
    let is_about_us = talk.lines().any(|line| line.contains("urbanmine.service:"));
    assert!(!is_about_us, "{talk}");
}

#[test]
fn a_ledger_that_follows_a_lost_one_cites_its_last_checkpoint() {
    let lost = Place::new();
    let place = Place::with_keys();
    fs::copy(lost.path("data.guard/guard"), place.path("last")).unwrap();
    let files = [&Place::founding()[..], &[("--previous-checkpoint", "last")]].concat();
    // Under its own name it would be a second history.
    let output = run(&place.with(&["init", "--origin", place::ORIGIN], &files));
    exits(&output, 1);
    assert!(String::from_utf8(output.stderr).unwrap().contains("a name of its own"));
    // What is no checkpoint is not cited.
    let wrong = [&Place::founding()[..], &[("--previous-checkpoint", "party.json")]].concat();
    let next = "ledger.example/operations-2";
    let output = run(&place.with(&["init", "--origin", next], &wrong));
    exits(&output, 1);
    assert!(String::from_utf8(output.stderr).unwrap().contains("no checkpoint"));
    assert!(!place.path("data").exists(), "a refused init leaves nothing");

    json_of(&place.with(&["init", "--origin", next], &files), 0);
    let segment = fs::read_dir(place.path("data/journal")).unwrap().next().unwrap().unwrap().path();
    let (journal, last) = (fs::read(segment).unwrap(), fs::read(place.path("last")).unwrap());
    assert!(journal.windows(last.len()).any(|bytes| bytes == last), "the genesis does not cite it");
    let key = place.public_key("ledger");
    let pins = ["--origin", next, "--ledger-key", &key];
    json_of(&[&["verify", "--data", place.text("data")][..], &pins].concat(), 0);
}

#[test]
fn the_runbook_mends_a_lost_format_file_and_a_lost_guard() {
    let place = Place::new();
    place.append_site("ledger", "one", "receipts");
    let serves = || place.serve("ledger", &[]).stop();
    // FORMAT, written again from what everybody pins.
    let (format, sound) = (place.path("data/FORMAT"), fs::read(place.path("data/FORMAT")).unwrap());
    let key = place.public_key("ledger");
    let again = format!("urbanmine store 1\norigin {}\nledger-key {key}\n", place::ORIGIN);
    fs::write(&format, &again).unwrap();
    assert_eq!(sound, again.into_bytes());
    serves();
    // The guard, from the newest receipt that anybody holds; here an older one, which is advanced.
    let guard = place.path("data.guard/guard");
    let newest = fs::read(&guard).unwrap();
    fs::remove_file(&guard).unwrap();
    let files =
        [("--data", "data"), ("--ledger-key", "ledger.pem"), ("--passphrase-file", "passphrase")];
    let output = run(&place.with(&["serve", "--listen", "127.0.0.1:0"], &files));
    exits(&output, 1);
    assert!(String::from_utf8(output.stderr).unwrap().contains("head guard is gone"));
    let receipt = fs::read_dir(place.path("receipts")).unwrap().next().unwrap().unwrap().path();
    let receipt = fs::read_to_string(receipt).unwrap();
    let (_, checkpoint) = receipt.split_once("\n\n").unwrap();
    fs::write(&guard, checkpoint).unwrap();
    serves();
    assert_eq!(fs::read(&guard).unwrap(), newest);
}
