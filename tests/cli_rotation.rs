//! The ledger's key changes hands on the command line, and everybody who checks follows.

#![allow(clippy::unwrap_used, reason = "a test may stop")]

#[path = "common/place.rs"]
mod place;

use std::fs;

use place::{ORIGIN, Place, exits, json_of, run};
use serde_json::json;

fn rotate(place: &Place) -> Vec<&'static str> {
    let files = [
        ("--data", "data"),
        ("--ledger-key", "ledger.pem"),
        ("--next-key", "next.pem"),
        ("--passphrase-file", "passphrase"),
        ("--receipt", "rotation.txt"),
    ];
    place.with(&["rotate-key"], &files)
}

#[test]
fn a_rotation_is_followed_by_everybody_who_checks() {
    let place = Place::new();
    let (old, next) = (place.public_key("ledger"), place.public_key("next"));
    place.append_site("ledger", "before", "receipts-before");
    // Not beside a node that runs.
    let server = place.serve("ledger", &[]);
    exits(&run(&rotate(&place)), 1);
    server.stop();

    let done = json_of(&rotate(&place), 0);
    assert_eq!(done["ledger_key"], json!(next));
    assert_eq!(done["was_begun_before"], json!(false));
    assert_eq!(json_of(&rotate(&place), 0)["was_begun_before"], json!(true));

    // The old key serves no more; the next one does.
    let files =
        [("--data", "data"), ("--ledger-key", "ledger.pem"), ("--passphrase-file", "passphrase")];
    let output = run(&place.with(&["serve", "--listen", "127.0.0.1:0"], &files));
    exits(&output, 1);
    assert!(String::from_utf8(output.stderr).unwrap().contains(&next), "the key asked for");
    place.append_site("next", "after", "receipts-after");

    let server = place.serve("next", &[]);
    for (pin, code) in [(&old, 0), (&next, 0), (&place.public_key("collector"), 1)] {
        let pins = ["--origin", ORIGIN, "--ledger-key", pin];
        for what in [["--data", place.text("data")], ["--server", &server.url]] {
            let report = json_of(&[&["verify"], &what[..], &pins].concat(), code);
            assert_eq!(report["ledger_key"], json!(next), "{report}");
            assert_eq!(report["ledger_key_rotations"], json!(1));
        }
    }
    server.stop();

    let receipt = |folder: &str| {
        let file = fs::read_dir(place.path(folder)).unwrap().next().unwrap().unwrap().path();
        file.to_str().unwrap().to_owned()
    };
    let (before, after) = (receipt("receipts-before"), receipt("receipts-after"));
    let rotation = ["--rotation", place.text("rotation.txt")];
    let rows: [(&str, &str, &[&str], i32); 5] = [
        (&before, &old, &[], 0),
        (&before, &old, &rotation, 0),
        (&after, &old, &rotation, 0),
        (&after, &next, &[], 0),
        (&after, &old, &[], 1),
    ];
    for (file, pin, more, code) in rows {
        let args = ["verify", "--receipt", file, "--origin", ORIGIN, "--ledger-key", pin];
        json_of(&[&args[..], more].concat(), code);
    }
    // The receipt of the rotation is one, too, under the old key.
    let file = place.text("rotation.txt");
    json_of(&["verify", "--receipt", file, "--origin", ORIGIN, "--ledger-key", &old], 0);
}
