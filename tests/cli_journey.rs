//! The binary from an empty directory to a verified ledger: keys, genesis, node, events, breaks,
//! reads,
//! tampering and repair. Exit codes, stdout as data, stderr as talk.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop")]

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use assert_cmd::cargo::CommandCargoExt as _;
use serde_json::{Value as Json, json};
use tempfile::TempDir;

const ORIGIN: &str = "ledger.example/journey";
const PASSPHRASE: &str = "correct horse battery staple";

/// A directory with keys, and a ledger in it.
struct Place {
    folder: TempDir,
    ledger_key: String,
}

/// A node that is killed when its test ends.
struct Server {
    child: Child,
    url: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn urbanmine(args: &[&str]) -> Command {
    let mut command = Command::cargo_bin("urbanmine").unwrap();
    command.args(args).env_remove("RUST_LOG").env_remove("URBANMINE_PASSPHRASE");
    // Entries are counted here, and statements of the lots come by the clock.
    command.env("URBANMINE_LEDGER_LOT_STATE_EVERY_ENTRIES", "0");
    command
}

fn run(args: &[&str]) -> Output {
    urbanmine(args).stdin(Stdio::null()).output().unwrap()
}

#[track_caller]
fn exits(output: &Output, code: i32) {
    assert_eq!(output.status.code(), Some(code), "{output:?}");
}

/// The one JSON value on stdout of a command that exits so.
#[track_caller]
fn json_of(args: &[&str], code: i32) -> Json {
    let output = run(&[args, &["--json"]].concat());
    exits(&output, code);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|fault| panic!("{fault}: {output:?}"))
}

impl Place {
    /// Keys of ledger, coordinator and collector, and a ledger with its tables.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("passphrase"), format!("{PASSPHRASE}\n")).unwrap();
        let mut place = Self { folder, ledger_key: String::new() };
        for name in ["ledger", "coordinator", "collector"] {
            let made = place.keygen(name);
            fs::write(place.path(&format!("{name}.json")), made.to_string()).unwrap();
        }
        place.ledger_key = place.public_key("ledger");
        let record = json!({
            "party_id": "@party/coordinator",
            "credit_code": credit_code(1),
            "name_en": "Coordinator (fictional)",
            "roles": [{ "role": "COORDINATOR", "valid_from_ms": "2024-01-01T00:00:00+08:00" }],
        });
        fs::write(place.path("party.json"), record.to_string()).unwrap();
        let made = json_of(
            &place.with(
                &["init", "--origin", ORIGIN],
                &[
                    ("--data", "data"),
                    ("--ledger-key", "ledger.pem"),
                    ("--coordinator-key", "coordinator.pem"),
                    ("--coordinator", "party.json"),
                    ("--passphrase-file", "passphrase"),
                ],
            ),
            0,
        );
        assert_eq!(
            (&made["origin"], &made["ledger_key"]),
            (&json!(ORIGIN), &json!(place.ledger_key))
        );
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn text(&self, name: &str) -> &'static str {
        // A test is short: its few paths stay.
        self.path(name).to_str().unwrap().to_owned().leak()
    }

    /// Arguments, and options whose values are files of the place.
    fn with<'a>(&self, args: &[&'a str], files: &[(&'a str, &str)]) -> Vec<&'a str> {
        let files = files.iter().flat_map(|(option, file)| [*option, self.text(file)]);
        args.iter().copied().chain(files).collect()
    }

    fn keygen(&self, name: &str) -> Json {
        let file = format!("{name}.pem");
        json_of(
            &self.with(&["keygen"], &[("--out", &file), ("--passphrase-file", "passphrase")]),
            0,
        )
    }

    fn public_key(&self, name: &str) -> String {
        let text = fs::read_to_string(self.path(&format!("{name}.json"))).unwrap();
        let made: Json = serde_json::from_str(&text).unwrap();
        made["public_key"].as_str().unwrap().to_owned()
    }

    fn serve(&self) -> Server {
        let args = self.with(
            &["serve", "--listen", "127.0.0.1:0"],
            &[
                ("--data", "data"),
                ("--ledger-key", "ledger.pem"),
                ("--passphrase-file", "passphrase"),
            ],
        );
        let mut child =
            urbanmine(&args).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut url = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut url).unwrap();
        let url = url.trim_end().to_owned();
        assert!(url.starts_with("http://127.0.0.1:"), "{url}");
        Server { child, url }
    }

    fn submit<'a>(&self, server: &'a Server, script: &str, receipts: Option<&str>) -> Vec<&'a str> {
        let key = |party: &str| -> &'static str {
            let file = self.path(&format!("{party}.pem"));
            format!("@party/{party}={}", file.display()).leak()
        };
        let mut args = vec!["submit", self.text(script), "--server", &server.url];
        args.extend(["--key", key("coordinator"), "--key", key("collector")]);
        args.extend(["--passphrase-file", self.text("passphrase")]);
        args.extend(receipts.into_iter().flat_map(|folder| ["--receipts", self.text(folder)]));
        args
    }

    /// A client that sends a script, with its first receipts in the folder `r`.
    fn submit_half(&self, server: &Server, script: &str, talk: Stdio) -> Child {
        let mut client = urbanmine(&self.submit(server, script, Some("r")));
        let client = client.stdout(Stdio::null()).stderr(talk).spawn().unwrap();
        let began = Instant::now();
        while receipts_in(&self.path("r")).len() < 10 {
            assert!(began.elapsed() < Duration::from_secs(60), "no receipts come");
            std::thread::sleep(Duration::from_millis(2));
        }
        client
    }

    /// Writes a script; its number of events.
    fn script(&self, name: &str, events: &[Json]) -> usize {
        let mut text = String::from("# events of a fictional urban mine\n\n");
        for event in events {
            writeln!(text, "{event}").unwrap();
        }
        fs::write(self.path(name), text).unwrap();
        events.len()
    }

    fn pins(&self) -> [&str; 4] {
        ["--ledger-key", &self.ledger_key, "--origin", ORIGIN]
    }
}

/// The report of `verify`.
#[track_caller]
fn verify(what: &[&str], pins: &[&str], code: i32) -> Json {
    json_of(&[&["verify"], what, pins].concat(), code)
}

/// A code whose check character is right, by the text of GB 32100.
fn credit_code(number: u8) -> String {
    const ALPHABET: &str = "0123456789ABCDEFGHJKLMNPQRTUWXY";
    let body = format!("91360702000000{number:03}");
    let weights = [1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28];
    let values = body.chars().map(|letter| ALPHABET.find(letter).unwrap());
    let sum: usize = values.zip(weights).map(|(value, weight)| value * weight).sum();
    let check = (31 - sum % 31) % 31;
    format!("{body}{}", ALPHABET.chars().nth(check).unwrap())
}

/// An event of an actor, now.
fn event(id: &str, actor: &str, kind: &str, body: &Json) -> Json {
    json!({
        "event_id": format!("@event/{id}"),
        "actor_party_id": format!("@party/{actor}"),
        "occurred_at_ms": jiff::Timestamp::now().as_millisecond(),
        "occurred_at_offset_min": 480,
        kind: body,
    })
}

/// The collector with its key, licence and site.
fn registry(public_key: &str) -> Vec<Json> {
    const FROM: &str = "2024-01-01T00:00:00+08:00";
    let say = |id: &str, kind: &str, body: Json| event(id, "coordinator", kind, &body);
    vec![
        say(
            "party",
            "register_party",
            json!({ "party": {
                "party_id": "@party/collector", "credit_code": credit_code(2),
                "name_en": "Collector (fictional)", "name_zh": "虚构回收商",
                "roles": [{ "role": "COLLECTOR", "valid_from_ms": FROM }],
            }}),
        ),
        say(
            "key",
            "register_key",
            json!({
                "party_id": "@party/collector", "public_key": public_key,
                "valid_from_ms": FROM,
            }),
        ),
        say(
            "licence",
            "register_licence",
            json!({ "licence": {
                "licence_id": "@licence/collector", "party_id": "@party/collector",
                "kind": "RENEWABLE_RESOURCE_RECYCLING", "number": "L-1", "valid_from_ms": FROM,
            }}),
        ),
        say(
            "site",
            "register_site",
            json!({ "site": {
                "site_id": "@site/yard", "party_id": "@party/collector",
                "name_en": "Yard (fictional)",
                "region_code": "360702",
            }}),
        ),
    ]
}

fn collection(lot: &str) -> Json {
    let mut collected = event(
        lot,
        "collector",
        "collect_lot",
        &json!({
            "lot": {
                "lot_id": format!("@lot/{lot}"), "material": "CU_SCRAP_NO2", "form": "BULK",
                "origin_kind": "POST_CONSUMER", "net_mass_g": "12.5 t",
                "custody_model": "SEGREGATED",
            },
            "seller_kind": "ENTERPRISE", "seller_commitment": "@seller/one",
            "weighing": { "gross_g": "20 t", "tare_g": "7500 kg", "net_g": "12.5 t",
                          "ticket": "T-1" },
            "origin_region": "360702", "invoice_class": "VAT_SPECIAL",
        }),
    );
    collected["site_id"] = json!("@site/yard");
    collected
}

fn division(lot: &str, into: [&str; 2]) -> Json {
    let child =
        |name: &str, mass: &str| json!({ "lot_id": format!("@lot/{name}"), "mass_g": mass });
    let children = [child(into[0], "10 t"), child(into[1], "2500 kg")];
    let body = json!({ "parent_lot_id": format!("@lot/{lot}"), "children": children });
    let mut divided = event(&format!("split-{lot}"), "collector", "split_lot", &body);
    divided["site_id"] = json!("@site/yard");
    divided
}

fn receipts_in(folder: &Path) -> Vec<PathBuf> {
    let Ok(files) = fs::read_dir(folder) else { return Vec::new() };
    let mut files: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|it| it == "tlog-proof"));
    files.sort();
    files
}

fn counts(done: &Json) -> [u64; 4] {
    ["events", "recorded", "recorded_before", "skipped"].map(|key| done[key].as_u64().unwrap())
}

#[test]
fn events_are_recorded_once_whatever_breaks_in_between() {
    let place = Place::new();
    let mut events = registry(&place.public_key("collector"));
    events.extend((0..150).map(|number| collection(&format!("bulk-{number}"))));
    let total = place.script("bulk.jsonl", &events) as u64;
    let data = ["--data", place.text("data")];
    let empty = verify(&data, &place.pins(), 0)["entries"].as_u64().unwrap();

    // Judged only.
    let server = place.serve();
    place.script("party.jsonl", &events[..1]);
    let dry = [&place.submit(&server, "party.jsonl", Some("r"))[..], &["--validate-only"]].concat();
    assert_eq!(json_of(&dry, 0)["validated_only"], json!(true));
    assert!(receipts_in(&place.path("r")).is_empty());
    assert_eq!(verify(&["--server", &server.url], &place.pins(), 0)["entries"], json!(empty));

    // Killed half-way, client first, then the node; a file that only looks like a receipt is left
    // behind.
    let mut client = place.submit_half(&server, "bulk.jsonl", Stdio::null());
    client.kill().unwrap();
    client.wait().unwrap();
    drop(server);
    let kept = receipts_in(&place.path("r"));
    let whole = fs::read(&kept[3]).unwrap();
    fs::write(&kept[3], &whole[..whole.len() / 2]).unwrap();
    fs::write(&kept[4], "").unwrap();

    let server = place.serve();
    let done = json_of(&place.submit(&server, "bulk.jsonl", Some("r")), 0);
    let [events_sent, recorded, before, skipped] = counts(&done);
    assert_eq!((events_sent, skipped), (total, kept.len() as u64 - 2));
    assert!(before >= 2 && recorded + before + skipped == total, "{done}");
    assert_eq!(fs::read(&kept[3]).unwrap(), whole, "the first receipt comes back, to the byte");
    let receipts = receipts_in(&place.path("r"));
    assert_eq!(receipts.len() as u64, total);

    // Again with receipts, and without.
    let done = json_of(&place.submit(&server, "bulk.jsonl", Some("r")), 0);
    assert_eq!(counts(&done), [total, 0, 0, total]);
    let done = json_of(&place.submit(&server, "bulk.jsonl", None), 0);
    assert_eq!(counts(&done), [total, 0, total, 0]);
    let judged = verify(&["--server", &server.url], &place.pins(), 0);
    assert_eq!(judged["entries"], json!(empty + total));
    drop(server);

    // Receipts need no ledger.
    for path in receipts.iter().step_by(25) {
        let receipt = ["--receipt", path.to_str().unwrap()];
        assert_eq!(verify(&receipt, &place.pins(), 0)["verdict"], json!("verified"));
    }
    // A refused line names itself, on stdout as data and on stderr as talk.
    let server = place.serve();
    let mut bad = collection("bad");
    bad["collect_lot"]["origin_region"] = json!("999999");
    place.script("bad.jsonl", &[collection("good"), bad]);
    let told = json_of(&place.submit(&server, "bad.jsonl", None), 1);
    assert_eq!((&told["line"], &told["reason"]), (&json!(4), &json!("REGION_UNKNOWN")));
    let output = run(&place.submit(&server, "bad.jsonl", None));
    exits(&output, 1);
    let talk = String::from_utf8(output.stderr).unwrap();
    assert!(talk.contains("line 4 is refused") && talk.contains("999999"), "{talk}");
    assert!(output.stdout.is_empty());
}

/// Nobody answers any more: what was sent last may be recorded, and nobody says it was refused.
#[test]
fn a_submission_that_nobody_answers_is_told_as_unclear() {
    let place = Place::new();
    let mut events = registry(&place.public_key("collector"));
    events.extend((0..2_000).map(|number| collection(&format!("lost-{number}"))));
    let total = place.script("lost.jsonl", &events) as u64;
    let server = place.serve();
    let client = place.submit_half(&server, "lost.jsonl", Stdio::piped());
    drop(server);
    let output = client.wait_with_output().unwrap();
    exits(&output, 1);
    let talk = String::from_utf8(output.stderr).unwrap();
    assert!(talk.contains("has no clear answer: it may be recorded"), "{talk}");
    assert!(talk.contains("send the same file again") && !talk.contains("is refused"), "{talk}");
    let kept = receipts_in(&place.path("r")).len() as u64;
    let server = place.serve();
    let done = json_of(&place.submit(&server, "lost.jsonl", Some("r")), 0);
    let [_, recorded, before, skipped] = counts(&done);
    assert_eq!((recorded + before + skipped, skipped), (total, kept), "{done}");
    assert!(before <= 1, "one at most was under way: {done}");
}

#[test]
fn a_ledger_is_read_verified_damaged_and_rebuilt() {
    let place = Place::new();
    let mut events = registry(&place.public_key("collector"));
    events.extend([collection("whole"), division("whole", ["left", "right"])]);
    place.script("events.jsonl", &events);
    let server = place.serve();
    let output = run(&place.submit(&server, "events.jsonl", Some("r")));
    exits(&output, 0);
    assert_eq!(output.stdout, b"6 recorded, 0 recorded before, 0 had their receipt\n");

    reads(&server);
    verdicts(&place, &["--server", &server.url]);
    // The node still runs: reading its journal disturbs nobody.
    verdicts(&place, &["--data", place.text("data")]);
    drop(server);
    verdicts(&place, &["--data", place.text("data")]);
    damage(&place);
    repair(&place);
}

fn reads(server: &Server) {
    let at = ["--server", &server.url];
    let lot = json_of(&[&["lot", "@lot/whole"], &at[..]].concat(), 0);
    assert_eq!((&lot["initial_mass_g"], &lot["remaining_mass_g"]), (&json!(12_500_000), &json!(0)));
    assert_eq!(lot["status"], json!("CONSUMED"));
    assert_eq!(lot["events"].as_array().unwrap().len(), 2);
    let output = run(&[&["lot", "@lot/left"], &at[..]].concat());
    exits(&output, 0);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("10,000,000 g") && text.contains("CU_SCRAP_NO2"), "{text}");

    let origins = json_of(&[&["trace", "@lot/left"], &at[..]].concat(), 0);
    assert_eq!(
        origins["now"]["shares"],
        json!([{ "lot_id": lot["lot_id"], "campaign_id": "", "mass_g": 10_000_000 }])
    );
    assert_eq!(origins["is_complete"], json!(true));
    let ahead = json_of(&[&["trace", "--forward", "@lot/whole"], &at[..]].concat(), 0);
    let mut grams: Vec<u64> = ahead["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["mass_g"].as_u64().unwrap())
        .collect();
    grams.sort_unstable();
    assert_eq!(grams, [2_500_000, 10_000_000]);
    for args in [&["trace", "@lot/left"][..], &["trace", "--forward", "@lot/whole"]] {
        let output = run(&[args, &at].concat());
        exits(&output, 0);
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.contains("10,000,000 g"), "{text}");
    }
    ranges_and_recall(&at, &lot["lot_id"]);
    // What is not there: words on stderr, nothing on stdout.
    for args in [["lot", "@lot/none"], ["trace", "@lot/none"], ["lot", "not an id"]] {
        let output = run(&[&args[..], &at].concat());
        exits(&output, 1);
        assert!(output.stdout.is_empty() && !output.stderr.is_empty());
    }
}

fn ranges_and_recall(at: &[&str], whole: &Json) {
    let origins = json_of(&[&["trace", "--range", "@lot/left"], at].concat(), 0);
    let share = &origins["now"]["shares"][0];
    assert_eq!((&share["least_g"], &share["most_g"]), (&json!(10_000_000), &json!(10_000_000)));
    assert_eq!(origins["now"]["categories"]["recycled_content_g"], json!(10_000_000));
    let recall = json_of(&[&["recall", "@lot/whole"], at].concat(), 0);
    assert_eq!(recall["is_complete"], json!(true));
    let rows = recall["rows"].as_array().unwrap();
    let grams: u64 = rows.iter().map(|row| row["recalled_g"].as_u64().unwrap()).sum();
    assert_eq!((rows.len(), grams), (2, 12_500_000));
    let output = run(&[&["recall", "@lot/whole", "--csv", "--used-up"], at].concat());
    exits(&output, 0);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.starts_with("lot_id,campaign_id,depth,material,form,status,"), "{text}");
    assert_eq!(text.lines().count(), 4, "{text}");
    assert!(text.contains(whole.as_str().unwrap()), "{text}");
    exits(&run(&[&["recall", "@lot/whole"], at].concat()), 0);
}

fn verdicts(place: &Place, what: &[&str]) {
    let judged = verify(what, &place.pins(), 0);
    assert_eq!((&judged["verdict"], &judged["first_bad"]), (&json!("verified"), &Json::Null));
    let kinds = |judged: &Json| -> Vec<String> {
        let findings = judged["findings"].as_array().unwrap();
        findings.iter().map(|it| it["kind"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(kinds(&verify(what, &[], 3)), ["pins-missing"]);
    let other = place.public_key("collector");
    let judged = verify(what, &["--ledger-key", &other, "--origin", ORIGIN], 1);
    assert!(kinds(&judged).contains(&"ledger-key-mismatch".to_owned()), "{judged}");
    let pins = ["--ledger-key", &place.ledger_key, "--origin", "ledger.example/other"];
    let judged = verify(what, &pins, 1);
    assert!(kinds(&judged).contains(&"origin-mismatch".to_owned()), "{judged}");
    // A pin that is none is no tampering: nothing was verified.
    let output = run(&[&["verify"], what, &["--ledger-key", "abc"]].concat());
    exits(&output, 2);
    assert!(output.stdout.is_empty());
}

/// Flips one bit of an entry in the journal: it is named. Back again: all is well.
fn damage(place: &Place) {
    let name = b"Yard (fictional)";
    let journal = place.path("data").join("journal");
    let mut segments: Vec<PathBuf> =
        fs::read_dir(&journal).unwrap().map(|file| file.unwrap().path()).collect();
    segments.sort();
    let segment = segments.first().unwrap();
    let mut bytes = fs::read(segment).unwrap();
    let at = bytes.windows(name.len()).position(|it| it == name).unwrap();
    // Registry events went one by one, so the entry is a frame of its own; its receipt names it.
    let entry = receipts_in(&place.path("r")).iter().find_map(|path| {
        let shown = verify(&["--receipt", path.to_str().unwrap()], &place.pins(), 0);
        let receipt = urbanmine::ledger::Receipt::parse(&fs::read(path).unwrap()).unwrap();
        let is_it = receipt.entry.windows(name.len()).any(|it| it == name);
        is_it.then(|| shown["entry_index"].as_u64().unwrap())
    });
    bytes[at] ^= 1;
    fs::write(segment, &bytes).unwrap();
    let judged = verify(&["--data", place.text("data")], &place.pins(), 1);
    assert_eq!(judged["first_bad"].as_u64(), entry, "{judged}");
    assert!(judged["findings"].to_string().contains("journal-damaged"), "{judged}");
    bytes[at] ^= 1;
    fs::write(segment, &bytes).unwrap();
    verdicts(place, &["--data", place.text("data")]);
}

/// Without its database the node does not start; rebuilt, it says the same as before.
fn repair(place: &Place) {
    fs::remove_dir_all(place.path("data").join("sled")).unwrap();
    let args = place.with(
        &["rebuild"],
        &[("--data", "data"), ("--ledger-key", "ledger.pem"), ("--passphrase-file", "passphrase")],
    );
    let entries = json_of(&args, 0)["entries"].clone();
    let judged = verify(&["--data", place.text("data")], &place.pins(), 0);
    assert_eq!(judged["entries"], entries);
    let server = place.serve();
    reads(&server);
    let receipts: Vec<_> =
        receipts_in(&place.path("r")).iter().map(|path| fs::read(path).unwrap()).collect();
    exits(&run(&place.submit(&server, "events.jsonl", Some("again"))), 0);
    let again: Vec<_> =
        receipts_in(&place.path("again")).iter().map(|path| fs::read(path).unwrap()).collect();
    assert_eq!(receipts, again);
}

#[test]
fn a_key_file_keeps_its_secret() {
    let place = Place::new();
    let wrong = "an entirely other passphrase";
    fs::write(place.path("wrong"), wrong).unwrap();
    let serve = |listen: &'static str, passphrase: &str| {
        let files =
            [("--data", "data"), ("--ledger-key", "ledger.pem"), ("--passphrase-file", passphrase)];
        run(&place.with(&["serve", "--listen", listen], &files))
    };
    let output = serve("127.0.0.1:0", "wrong");
    exits(&output, 1);
    let talk = String::from_utf8(output.stderr).unwrap();
    assert!(talk.contains("ledger.pem does not open"), "{talk}");
    assert!(!talk.contains(wrong) && !talk.contains(PASSPHRASE), "{talk}");
    assert!(output.stdout.is_empty());

    // From the environment; and no key file is ever written over.
    let again = place.with(&["keygen"], &[("--out", "ledger.pem")]);
    let output = urbanmine(&again).env("URBANMINE_PASSPHRASE", wrong).output().unwrap();
    exits(&output, 1);
    let talk = String::from_utf8(output.stderr).unwrap();
    assert!(talk.contains("must not exist") && !talk.contains(wrong), "{talk}");
    let output = urbanmine(&again).env("URBANMINE_PASSPHRASE", "").output().unwrap();
    exits(&output, 1);

    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:7878"] {
        let output = serve(address, "passphrase");
        exits(&output, 1);
        let talk = String::from_utf8(output.stderr).unwrap();
        assert!(talk.contains("loopback") && output.stdout.is_empty(), "{talk}");
    }
    // Another key than the ledger's does not serve it; a second ledger is not made over the first.
    let files = [
        ("--data", "data"),
        ("--ledger-key", "collector.pem"),
        ("--passphrase-file", "passphrase"),
    ];
    exits(&run(&place.with(&["serve", "--listen", "127.0.0.1:0"], &files)), 1);
    let files = [
        ("--data", "data"),
        ("--ledger-key", "ledger.pem"),
        ("--coordinator-key", "coordinator.pem"),
        ("--coordinator", "party.json"),
        ("--passphrase-file", "passphrase"),
    ];
    exits(&run(&place.with(&["init", "--origin", ORIGIN], &files)), 1);
    verify(&["--data", place.text("data")], &place.pins(), 0);
}

/// A smelter with its key and site.
fn smelter(public_key: &str) -> Vec<Json> {
    const FROM: &str = "2024-01-01T00:00:00+08:00";
    let say = |id: &str, kind: &str, body: Json| event(id, "coordinator", kind, &body);
    let roles = json!([{ "role": "SMELTER", "valid_from_ms": FROM }]);
    vec![
        say(
            "smelter",
            "register_party",
            json!({ "party": {
                "party_id": "@party/smelter", "credit_code": credit_code(3),
                "name_en": "Smelter (fictional)", "name_zh": "虚构冶炼厂", "roles": roles,
            }}),
        ),
        say(
            "smelter-key",
            "register_key",
            json!({
                "party_id": "@party/smelter", "public_key": public_key, "valid_from_ms": FROM,
            }),
        ),
        say(
            "smelter-site",
            "register_site",
            json!({ "site": {
                "site_id": "@site/works", "party_id": "@party/smelter",
                "name_en": "Works (fictional)", "region_code": "360702",
            }}),
        ),
    ]
}

/// The whole lot goes to the smelter, half a tonne is missing, and both agree on what arrived.
fn settled() -> Vec<Json> {
    let offer = json!({
        "lot_id": "@lot/whole", "mass_g": "12.5 t", "consignee_party_id": "@party/smelter",
        "consignee_site_id": "@site/works", "scope": "CUSTODY_AND_OWNERSHIP",
    });
    let mut sent = event("offer", "collector", "offer_transfer", &offer);
    sent["site_id"] = json!("@site/yard");
    let received = json!({
        "offer_event_id": "@event/offer",
        "received": { "gross_g": "20 t", "tare_g": "8 t", "net_g": "12 t", "ticket": "T-2" },
    });
    let mut taken = event("accept", "smelter", "accept_transfer", &received);
    taken["site_id"] = json!("@site/works");
    let agreed = json!({
        "offer_event_id": "@event/offer", "agreed_g": "12.4 t", "cause": "QUANTITY",
    });
    let mut settled = event("settle", "smelter", "settle_discrepancy", &agreed);
    settled["cosigners"] = json!(["@party/collector"]);
    vec![sent, taken, settled]
}

#[test]
fn a_settlement_takes_two_keys_and_its_transfer_is_listed_also_after_a_rebuild() {
    let place = Place::new();
    let mut events = registry(&place.public_key("collector"));
    let made = place.keygen("smelter");
    events.extend(smelter(made["public_key"].as_str().unwrap()));
    events.push(collection("whole"));
    events.extend(settled());
    let total = place.script("trade.jsonl", &events) as u64;
    let server = place.serve();
    let key = format!("@party/smelter={}", place.text("smelter.pem"));
    let submit = [&place.submit(&server, "trade.jsonl", None)[..], &["--key", &key]].concat();
    assert_eq!(counts(&json_of(&submit, 0)), [total, total, 0, 0]);

    let listed = |server: &Server, by: &[&str]| {
        json_of(&[&["transfers"], by, &["--server", &server.url]].concat(), 0)["transfers"].clone()
    };
    let found = listed(&server, &["--lot", "@lot/whole"]);
    let told = (&found[0]["status"], &found[0]["mass_g"], &found[0]["received_g"]);
    assert_eq!(told, (&json!("SETTLED"), &json!(12_500_000), &json!(12_400_000)));
    let by = ["--consignee", "@party/smelter", "--status", "settled"];
    assert_eq!(listed(&server, &by), found);
    assert_eq!(listed(&server, &["--sender", "@party/smelter"]), json!([]));
    let at = ["--server", &server.url];
    let output = run(&[&["transfers"], &at[..]].concat());
    exits(&output, 0);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("SETTLED") && text.contains("12,400,000 g"), "{text}");
    let output = run(&[&["transfers", "--status", "lost"], &at[..]].concat());
    exits(&output, 64);
    let lost = |server: &Server| {
        let args = ["trace", "--forward", "@lot/whole", "--server", &server.url];
        json_of(&args, 0)["lost_g"].clone()
    };
    assert_eq!(lost(&server), json!(100_000));
    drop(server);

    let ledger_key = place.text("ledger.pem");
    let passphrase = place.text("passphrase");
    let rebuild = ["rebuild", "--data", place.text("data"), "--ledger-key", ledger_key];
    exits(&run(&[&rebuild[..], &["--passphrase-file", passphrase]].concat()), 0);
    verify(&["--data", place.text("data")], &place.pins(), 0);
    let server = place.serve();
    assert_eq!(listed(&server, &[]), found);
    assert_eq!(lost(&server), json!(100_000));
}
