//! One ledger, read from a directory, from a server and from an export, says the same; what ends in
//! the middle says that; and what a node proves of one lot is checked without it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop")]

#[path = "common/artefacts.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared by test files that use parts of it")]
mod artefacts;
#[path = "common/data_dir.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared by test files that use parts of it")]
mod data_dir;
#[path = "common/fake_server.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared by test files that use parts of it")]
mod fake_server;
#[path = "common/forge.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared by test files that use parts of it")]
mod forge;
#[path = "common/forge_world.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared by test files that use parts of it")]
mod forge_world;
#[path = "common/place.rs"]
mod place;

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use artefacts::short_story;
use data_dir::write_data;
use fake_server::{fake, page, serve};
use forge::{Forge, Forged, LEDGER, origin, public, secret, seed_of};
use forge_world::{COLLECTOR, draw, split};
use place::{Server, exits, json_of, run, start, urbanmine};
use prost::Message as _;
use serde_json::{Value as Json, json};
use urbanmine::domain::{EntryCount, Hash32};
use urbanmine::ledger::{Checkpoint, SignedCheckpoint};
use urbanmine::wire::v1;

fn text(path: &Path) -> &'static str {
    path.to_str().unwrap().to_owned().leak()
}

/// Arguments under the pins of the forged ledger.
fn pinned<'a>(args: &[&'a str]) -> Vec<&'a str> {
    let key = Hash32(public(LEDGER).0).to_string().leak();
    let origin = origin().as_str().to_owned().leak();
    [args, &["--origin", origin, "--ledger-key", key]].concat()
}

fn kinds(report: &Json) -> Vec<&str> {
    let findings = report["findings"].as_array().unwrap();
    findings.iter().map(|it| it["kind"].as_str().unwrap()).collect()
}

// --- three ways to one ledger --------------------------------------------------------------------

/// What a reader says of a ledger that lies in a directory, behind a server and in an export.
fn read_thrice(forged: &Forged) -> [Json; 3] {
    let folder = tempfile::tempdir().unwrap();
    let data = text(&write_data(forged, folder.path()));
    // A ledger whose head is not its key's is not exported; whoever keeps an export can do worse.
    let (sound, to) = (tempfile::tempdir().unwrap(), text(&folder.path().join("export")));
    let mut signed = forged.clone();
    signed.sign(&origin(), &secret(LEDGER));
    let from = text(&write_data(&signed, sound.path()));
    json_of(&["export", "--data", from, "--to", to], 0);
    fs::write(Path::new(to).join("checkpoint"), forged.head()).unwrap();
    let shown = forged.clone();
    let url = fake(move |method, request| serve(&shown, method, request)).leak();
    let read = |what: &'static str, at: &'static str| {
        let args = [&pinned(&["verify", what, at])[..], &["--json"]].concat();
        let output = run(&args);
        let mut report: Json = serde_json::from_slice(&output.stdout).unwrap();
        report["exit"] = json!(output.status.code());
        report
    };
    [read("--data", data), read("--server", url), read("--export", to)]
}

#[track_caller]
fn says_the_same(what: &str, forged: &Forged) -> Json {
    let [data, server, export] = read_thrice(forged);
    for (name, other) in [("server", &server), ("export", &export)] {
        for field in ["exit", "verdict", "entries", "first_bad", "checkpoint", "signatures"] {
            assert_eq!(data[field], other[field], "{what}, {name}, {field}: {data}\n{other}");
        }
        let of = |report: &Json| {
            let findings = report["findings"].as_array().unwrap().clone();
            let told = findings.into_iter().map(|it| (it["index"].clone(), it["kind"].clone()));
            told.collect::<Vec<_>>()
        };
        assert_eq!(of(&data), of(other), "{what}, {name}");
    }
    data
}

#[test]
fn a_ledger_says_the_same_wherever_it_is_read() {
    let mut forge = Forge::new();
    forge.story();
    let report = says_the_same("whole", &forge.forged);
    assert_eq!((&report["verdict"], &report["exit"]), (&json!("verified"), &json!(0)));
    assert_eq!(report["entries"], json!(forge.next()));
}

#[test]
fn a_damaged_ledger_says_the_same_wherever_it_is_read() {
    // The operator signs for all of it: a mass is changed in what a party signed.
    let mut forge = Forge::new();
    let bad = forge.next();
    forge.copper(1_000);
    forge.copper(2_000);
    let mut bent = forge.forged.clone();
    let last = bent.entries[usize::try_from(bad).unwrap()].len() - 1;
    bent.alter(usize::try_from(bad).unwrap(), |bytes| bytes[last] ^= 1);
    bent.reseal(&secret(LEDGER));
    let report = says_the_same("bent", &bent);
    assert_eq!((&report["verdict"], &report["exit"]), (&json!("tampered"), &json!(1)));
    assert_eq!(report["first_bad"], json!(bad));

    // A party and the operator together: grams are used twice.
    let mut forge = Forge::new();
    let lot = forge.copper(1_000);
    for _ in 0..2 {
        let part = forge.lot();
        let event = forge.event(COLLECTOR, split(lot, &[draw(part, 1_000)]));
        forge.append(&event);
    }
    let report = says_the_same("double spend", &forge.forged);
    assert_eq!(report["first_bad"], json!(forge.next() - 1));
    assert_eq!(kinds(&report), ["rule-broken"]);

    // An entry changed and the chain not made right, under a head that is.
    let mut forge = Forge::new();
    let bad = forge.next();
    forge.copper(1_000);
    forge.copper(2_000);
    let mut broken = forge.forged.clone();
    let place = usize::try_from(bad).unwrap();
    broken.alter(place, |bytes| bytes[forge::RECORDED_AT.end - 1] ^= 1);
    broken.sign(&origin(), &secret(LEDGER));
    let report = says_the_same("chain", &broken);
    assert_eq!((&report["verdict"], &report["first_bad"]), (&json!("tampered"), &json!(bad + 1)));
    assert_eq!(kinds(&report)[0], "chain-broken");

    // Another ledger's key signs.
    let mut stranger = forge.forged.clone();
    stranger.reseal(&secret(77));
    let [data, server, export] = read_thrice(&stranger);
    for report in [data, server, export] {
        let (verdict, first_bad) = (&report["verdict"], &report["first_bad"]);
        assert_eq!((verdict, first_bad), (&json!("tampered"), &Json::Null), "{report}");
        assert!(kinds(&report).contains(&"checkpoint-unsigned"), "{report}");
    }
}

// --- what ends in the middle ---------------------------------------------------------------------

/// Entries to a place, page by page, and then no answer.
fn fails_at(forged: Forged, place: u64) -> String {
    fake(move |method, request| {
        if method != "ListEntries" {
            return serve(&forged, method, request);
        }
        let from = v1::ListEntriesRequest::decode(request).unwrap().from_entry_index;
        let mut some = forged.clone();
        some.entries.truncate(usize::try_from(place).unwrap());
        (from < place).then(|| page(&some, request))
    })
}

#[test]
fn a_source_that_fails_in_the_middle_has_a_verdict() {
    let mut forge = Forge::new();
    forge.copper(1_000);
    let url = fails_at(forge.forged.clone(), 4);
    let report = json_of(&pinned(&["verify", "--server", &url]), 2);
    assert_eq!(report["verdict"], json!("undetermined"), "{report}");
    assert_eq!(kinds(&report), ["unreadable"]);
    assert_eq!((&report["first_bad"], &report["checkpoint"]), (&Json::Null, &Json::Null));
    // Nothing is remembered of it.
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let args = ["verify", "--server", &url, "--state", text(&state)];
    json_of(&pinned(&args), 2);
    assert!(!state.exists());
}

#[test]
fn a_monitor_that_looks_once_says_in_json_that_it_could_not() {
    let mut forge = Forge::new();
    forge.copper(1_000);
    let folder = tempfile::tempdir().unwrap();
    let state = text(&folder.path().join("state"));
    let dead = "http://127.0.0.1:1".to_owned();
    for url in [fails_at(forge.forged.clone(), 4), dead] {
        let args = ["monitor", "--server", &url, "--state", state, "--once"];
        let report = json_of(&pinned(&args), 2);
        assert_eq!(report["verdict"], json!("undetermined"), "{report}");
        assert_eq!(kinds(&report), ["unreadable"]);
    }
    assert!(!Path::new(state).exists());
    // What is wrong with the ledger is a report like that of verify.
    let lot = forge.copper(1_000);
    for _ in 0..2 {
        let part = forge.lot();
        let event = forge.event(COLLECTOR, split(lot, &[draw(part, 1_000)]));
        forge.append_signed(&event, &[seed_of(COLLECTOR)]);
    }
    let forged = forge.forged.clone();
    let url = fake(move |method, request| serve(&forged, method, request));
    let args = ["monitor", "--server", &url, "--state", state, "--once"];
    let report = json_of(&pinned(&args), 1);
    assert_eq!((&report["verdict"], kinds(&report)), (&json!("tampered"), vec!["rule-broken"]));
    assert_eq!(report["first_bad"], json!(forge.next() - 1));
}

// --- one lot -------------------------------------------------------------------------------------

/// The demo's data behind a running node; the directory, its pins, and a lot.
struct Demo {
    folder: tempfile::TempDir,
    demo: Json,
}

impl Demo {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let dir = text(&folder.path().join("demo"));
        let demo = json_of(&["demo", "--exit", "--dir", dir], 0);
        Self { folder, demo }
    }

    fn said(&self, name: &str) -> &'static str {
        self.demo[name].as_str().unwrap().to_owned().leak()
    }

    fn file(&self, name: &str) -> &'static str {
        text(&self.folder.path().join(name))
    }

    fn pinned<'a>(&self, args: &[&'a str]) -> Vec<&'a str> {
        let pins = ["--origin", self.said("origin"), "--ledger-key", self.said("ledger_key")];
        [args, &pins].concat()
    }

    fn lot(&self) -> &'static str {
        self.demo["showcase"][0].as_str().unwrap().to_owned().leak()
    }

    fn serve(&self) -> Server {
        let key = self.file("demo/keys/ledger.pem");
        fs::write(self.file("passphrase"), "urbanmine demo\n").unwrap();
        let args = ["serve", "--listen", "127.0.0.1:0", "--data", self.said("data")];
        let keys = ["--ledger-key", key, "--passphrase-file", self.file("passphrase")];
        let mut command = urbanmine(&[&args[..], &keys].concat());
        command.env("URBANMINE_LEDGER_LOT_STATE_EVERY_ENTRIES", "0");
        start(command)
    }
}

#[test]
fn what_a_node_proves_of_a_lot_is_checked_without_it() {
    let demo = Demo::new();
    let (lot, whole, state) = (demo.lot(), demo.file("whole"), demo.file("state-only"));
    let server = demo.serve();
    let told = json_of(&["lot", lot, "--server", &server.url], 0);
    let args = ["lot", lot, "--server", &server.url, "--prove", whole];
    let written = json_of(&args, 0);
    let args = ["lot", lot, "--server", &server.url, "--state-only", "--prove", state];
    json_of(&args, 0);
    let absent = "01900000-0000-7000-8000-000000000001";
    let none = demo.file("absent");
    json_of(&["lot", absent, "--server", &server.url, "--state-only", "--prove", none], 0);
    server.stop();

    let args = ["verify", "--lot-state", whole, "--lot", lot];
    let report = json_of(&demo.pinned(&args), 0);
    assert_eq!(report["standing"]["entry_count"], written["entry_count"]);
    assert_eq!(report["entries"], written["story_entries"]);
    assert_eq!(report["as_of"], written["as_of_entries"]);
    let indexes = |of: &Json| of.as_array().unwrap().iter().map(Json::as_u64).collect::<Vec<_>>();
    let shown: Vec<_> =
        told["events"].as_array().unwrap().iter().map(|it| it["entry_index"].as_u64()).collect();
    assert_eq!(indexes(&report["story"]), shown, "{told}");
    let report = json_of(&demo.pinned(&["verify", "--lot-state", state]), 0);
    assert_eq!((&report["standing"], &report["story"]), (&report["standing"], &Json::Null));
    let report = json_of(&demo.pinned(&["verify", "--lot-state", none, "--lot", absent]), 0);
    assert_eq!(report["standing"]["entry_count"], json!(0));
    // Of another lot, or without pins, it does not do.
    json_of(&demo.pinned(&["verify", "--lot-state", whole, "--lot", absent]), 1);
    assert_ne!(json_of(&["verify", "--lot-state", state], 2)["verdict"], json!("verified"));

    // One byte changed, anywhere.
    let good = fs::read(whole).unwrap();
    let bent = demo.file("bent");
    for at in (0..good.len()).step_by(good.len() / 24) {
        let mut bytes = good.clone();
        bytes[at] ^= 1;
        fs::write(bent, bytes).unwrap();
        let report = json_of(&demo.pinned(&["verify", "--lot-state", bent]), 1);
        assert_eq!(report["verdict"], json!("tampered"), "byte {at}");
    }
}

/// The ledger's last word on its lots, and what came behind it: the bundle ends with that word, so
/// that it is complete, wherever the ledger was read.
#[test]
fn a_bundle_of_a_server_ends_with_the_ledgers_last_word_like_that_of_a_journal() {
    let (mut forge, lot, stated) = short_story(3_000);
    forge.copper(500);
    let forged = forge.forged.clone();
    let folder = tempfile::tempdir().unwrap();
    let data = text(&write_data(&forged, folder.path()));
    let shown = forged.clone();
    let url = fake(move |method, request| serve(&shown, method, request)).leak();
    let lot = lot.to_string().leak();
    let made = |from: [&'static str; 2], name: &str| {
        let file = text(&folder.path().join(name));
        json_of(&pinned(&[&["bundle", lot, "--out", file][..], &from].concat()), 0);
        let report = json_of(&pinned(&["verify", "--bundle", file, "--lot", lot]), 0);
        assert_eq!(report["checkpoint"]["size"], json!(stated + 1), "{report}");
        fs::read(file).unwrap()
    };
    assert_eq!(made(["--data", data], "of-data"), made(["--server", url], "of-server"));

    // Where that word ends no group, the head stands, and it is told that its end is not proven.
    let mut merged = forged.clone();
    let last = merged.groups.iter().scan(0, |end, length| {
        *end += length;
        Some(*end)
    });
    let group = last.clone().position(|end| end as u64 == stated + 1).unwrap();
    let length = merged.groups.remove(group + 1);
    merged.groups[group] += length;
    merged.checkpoints.remove(group);
    let url = fake(move |method, request| serve(&merged, method, request));
    let file = text(&folder.path().join("of-head"));
    json_of(&pinned(&["bundle", lot, "--out", file, "--server", &url]), 0);
    let report = json_of(&pinned(&["verify", "--bundle", file]), 3);
    assert_eq!(kinds(&report), ["story-end-unproven"]);
    assert_eq!(report["checkpoint"]["size"], json!(forge.next()));
}

/// A server gives another checkpoint for that word than the one of the entries that it shows.
#[test]
fn a_word_of_another_history_is_not_bundled() {
    let (forge, lot, stated) = short_story(3_000);
    let forged = forge.forged;
    let size = EntryCount(stated + 1);
    let lie = Checkpoint { origin: origin(), size, root: Hash32([7; 32]) }.sign(&secret(LEDGER));
    let asked = AtomicUsize::new(0);
    let url = fake(move |method, request| {
        if method != "GetReceipt" {
            return serve(&forged, method, request);
        }
        asked.fetch_add(1, Ordering::SeqCst);
        let mut receipt = artefacts::receipt(&forged, stated);
        receipt.checkpoint = SignedCheckpoint::parse(lie.as_bytes()).unwrap().1;
        let receipt = receipt.encode();
        Some(v1::GetReceiptResponse { entry_index: stated, receipt }.encode_to_vec())
    });
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bundle");
    let lot = lot.to_string();
    let args = ["bundle", &lot, "--out", text(&file), "--server", &url];
    exits(&run(&pinned(&args)), 1);
    assert!(!file.exists());
}
