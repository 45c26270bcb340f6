//! Reports and anomalies on the command line: a server, and whoever computes them anew from
//! verified entries, say the same; every number leads to its entries.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop")]

#[path = "common/place.rs"]
mod place;

use std::fs;
use std::path::PathBuf;

use place::{Server, exits, json_of, run, said, start, urbanmine};
use serde_json::Value as Json;
use tempfile::TempDir;

/// After everything in the sample, so that every answer is as of one moment.
const AS_OF: [&str; 2] = ["--as-of", "2026-10-31"];

/// The sample's ledger, and a server of it.
struct Demo {
    server: Server,
    data: String,
    pins: Vec<String>,
    entries: u64,
    _folder: TempDir,
}

impl Demo {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("demo");
        let demo = json_of(&["demo", "--exit", "--dir", dir.to_str().unwrap()], 0);
        let text = |name: &str| demo[name].as_str().unwrap().to_owned();
        let path = |name: &str| -> PathBuf { dir.join(name) };
        fs::write(path("passphrase"), "urbanmine demo\n").unwrap();
        let mut command = urbanmine(&["serve", "--listen", "127.0.0.1:0"]);
        command.arg("--data").arg(path("data")).arg("--ledger-key").arg(path("keys/ledger.pem"));
        command.arg("--passphrase-file").arg(path("passphrase"));
        command.env("URBANMINE_LEDGER_LOT_STATE_EVERY_ENTRIES", "0");
        let pins = ["--origin".to_owned(), text("origin"), "--ledger-key".to_owned()];
        Self {
            server: start(command),
            data: path("data").to_str().unwrap().to_owned(),
            pins: pins.into_iter().chain([text("ledger_key")]).collect(),
            entries: demo["entries"].as_u64().unwrap(),
            _folder: folder,
        }
    }

    /// What the server says.
    fn asked(&self, args: &[&str]) -> Json {
        json_of(&[args, &["--server", &self.server.url]].concat(), 0)
    }

    /// What follows from the entries.
    fn folded(&self, args: &[&str]) -> Json {
        let pins: Vec<&str> = self.pins.iter().map(String::as_str).collect();
        json_of(&[args, &["--data", &self.data], &pins[..]].concat(), 0)
    }
}

#[test]
fn a_server_and_an_auditor_say_the_same_of_every_report() {
    let demo = Demo::start();
    let month = ["--month", "2026-03"];
    let reports: [(&str, &[&str]); 13] = [
        ("anomalies", &[]),
        ("balance", &month),
        ("balance", &["--month", "2026-01", "--to", "2026-09", "--by", "campaign"]),
        ("corrections", &["--month", "2026-01", "--to", "2026-10"]),
        ("coverage", &["--region", "36"]),
        ("coverage-counts", &["--region", "36"]),
        ("flow-matrix", &["--month", "2026-01", "--to", "2026-09", "--level", "county"]),
        ("inventory", &[]),
        ("licences", &["--days", "400"]),
        ("monthly-flow", &month),
        ("open-campaigns", &[]),
        ("open-transfers", &[]),
        ("output", &["--month", "2026-01", "--to", "2026-09"]),
    ];
    let mut figures = 0;
    for (kind, more) in reports {
        let args = [&["report", kind], more, &AS_OF[..]].concat();
        let (asked, folded) = (demo.asked(&args), demo.folded(&args));
        assert_eq!(asked["rows"], folded["rows"], "{kind}");
        assert_eq!(asked, folded, "{kind}");
        let entries = asked["as_of"]["entry_count"].as_u64();
        assert!(entries.is_some_and(|count| count >= demo.entries), "{kind}: {entries:?}");
        let rows = asked["rows"].as_array().unwrap();
        // No licence of the sample ends, and nothing may be open.
        let may_be_empty = kind.starts_with("open") || kind == "licences";
        assert!(!rows.is_empty() || may_be_empty, "{kind}");
        // The first figure of a report leads to its entries, both ways.
        let first = rows.iter().zip(asked["figures"].as_array().unwrap()).find_map(|(row, it)| {
            let (name, figure) = it.as_object()?.iter().next()?;
            Some((row[name].as_i64()?, figure.as_str()?.to_owned()))
        });
        if let Some((number, figure)) = first {
            let args = [&["report", "--entries", &figure][..], &AS_OF[..]].concat();
            let (asked, folded) = (demo.asked(&args), demo.folded(&args));
            assert_eq!(asked, folded, "{kind}: {figure}");
            let amounts = asked["entries"].as_array().unwrap();
            let amount = |it: &Json| it["amount"].as_str().unwrap().parse::<i64>().unwrap();
            assert_eq!(amounts.iter().map(amount).sum::<i64>(), number, "{kind}: {figure}");
            figures += 1;
        }
    }
    assert!(figures >= 8, "{figures} reports with figures");
    let list = ["anomalies"];
    assert_eq!(demo.asked(&list), demo.folded(&list));
}

#[test]
fn lots_have_labels_and_passports_and_files_are_for_spreadsheets() {
    let demo = Demo::start();
    let lot = "@lot/prnd-oxide-2026-01";
    let args = ["report", "label-statement", "--lot", lot, "--substance", "Nd"];
    let label = demo.asked(&args);
    let rows = label["rows"].as_array().unwrap();
    let grams: Vec<i64> = rows.iter().filter_map(|row| row["grams"].as_i64()).collect();
    assert!(grams.len() >= 2 && grams.is_sorted_by(|one, next| one >= next), "{grams:?}");
    let trace = demo.asked(&["trace", lot, "--substance", "Nd"]);
    let total = trace["at_birth"]["total_g"].as_i64().unwrap();
    assert_eq!(grams.iter().sum::<i64>(), total, "all of it has a supplier");
    let passport = demo.asked(&["report", "lot-passport", "--lot", lot]);
    let sections = passport["rows"].as_array().unwrap().iter();
    assert!(sections.filter(|row| row["section"] == "IDENTITY").count() > 3, "{passport}");

    let server = ["--server", &demo.server.url];
    let csv = said(&[&args[..], &["--csv", "--zh"], &server].concat(), 0);
    assert!(csv.starts_with('\u{feff}') && csv.contains("\r\n"), "{csv}");
    let shown = said(&[&args[..], &["--zh"], &server].concat(), 0);
    assert!(shown.starts_with("标签声明"), "{shown}");

    // What is not meant is refused, with what would be right.
    let refusals: [(&[&str], &str); 5] = [
        (&["report", "inventory", "--month", "2026-03"], "party_id, site_id"),
        (&["report", "monthly-flow", "--month", "2026-13"], "a month as 2026-09"),
        (&["report", "label-statement"], "lot_id"),
        (&["report", "--entries", "nonsense"], "figure"),
        (&["report", "label-statement", "--lot", "@lot/nobody"], "lot"),
    ];
    for (args, word) in refusals {
        let output = run(&[args, &server[..]].concat());
        exits(&output, 1);
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(told.contains(word), "{args:?}: {told}");
    }
}
