//! What somebody gets who hands an auditor files and servers that are not what they should be: a
//! verdict that is too good, or one that accuses a ledger that did nothing.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop")]

#[path = "common/artefacts.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared by test files that use parts of it")]
mod artefacts;
#[path = "common/fake_server.rs"]
#[allow(unreachable_pub, reason = "shared by test files")]
mod fake_server;
#[path = "common/forge.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared by test files that use parts of it")]
mod forge;
#[path = "common/forge_world.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared by test files that use parts of it")]
mod forge_world;
#[path = "common/place.rs"]
mod place;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use artefacts::{rotation, sign_after};
use bytes::Bytes;
use fake_server::{fake, head_of, page, serve};
use forge::{Forge, Forged, LEDGER, public, secret};
use place::{ORIGIN, Place, exits, json_of, run};
use prost::Message as _;
use serde_json::{Value as Json, json};
use urbanmine::domain::{Body, EntryCount, Hash32};
use urbanmine::ledger::{
    Bundle, BundledEntry, Checkpoint, Cosigner, Entry, Envelope, SignatureType, SignedCheckpoint,
    VerifierKey,
};
use urbanmine::wire::{decode_event, v1};

const NEXT: u8 = LEDGER + 1;

// --- bundles -------------------------------------------------------------------------------------

/// Every event of a campaign but those of its lots can be left out, and its end gives the origins.
/// (Of the sample: lots that were drawn from a campaign that has ended.)
#[test]
fn a_campaigns_end_that_is_left_out_is_not_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    let dir = text(&folder.path().join("demo"));
    let demo = json_of(&["demo", "--exit", "--dir", dir], 0);
    let pins = ["origin", "ledger_key"].map(|name| demo[name].as_str().unwrap().to_owned());
    let pins = ["--origin", &pins[0], "--ledger-key", &pins[1]];
    let file = folder.path().join("bundle");
    let (lot, data) = ("019b76da-a800-7027-b979-c59ece1fc08e", demo["data"].as_str().unwrap());
    let make = ["bundle", lot, "--data", data, "--out", text(&file)];
    json_of(&[&make[..], &pins].concat(), 0);
    let check = ["verify", "--bundle", text(&file)];
    let whole = json_of(&[&check[..], &pins].concat(), 0);
    let mut bundle = Bundle::parse(&fs::read(&file).unwrap()).unwrap();
    let is_end = |it: &BundledEntry| {
        let entry = Entry::parse(&it.entry).unwrap();
        let envelope = Envelope::parse(&entry.envelope).unwrap();
        decode_event(&envelope.payload).is_ok_and(|it| matches!(it.body, Body::CloseCampaign(_)))
    };
    let end = bundle.entries.iter().rposition(is_end).unwrap();
    bundle.entries.remove(end);
    fs::write(&file, bundle.encode()).unwrap();
    let report = json_of(&[&check[..], &pins].concat(), 3);
    assert_eq!(kinds(&report), ["story-end-unproven"]);
    assert_ne!(report["origins"], whole["origins"]);
}

// --- a server that says what it is told to -------------------------------------------------------

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn with_pins(args: &[&str], seed: u8) -> Vec<String> {
    let key = hex(&public(seed).0);
    let more = ["--origin", forge::origin().as_str(), "--ledger-key", &key].map(str::to_owned);
    args.iter().map(|it| (*it).to_owned()).chain(more).collect()
}

fn command(args: &[&str], seed: u8) -> std::process::Output {
    let args = with_pins(args, seed);
    run(&args.iter().map(String::as_str).collect::<Vec<_>>())
}

fn text(path: &Path) -> &'static str {
    path.to_str().unwrap().to_owned().leak()
}

fn kinds(report: &Json) -> Vec<String> {
    let findings = report["findings"].as_array().unwrap();
    findings.iter().map(|it| it["kind"].as_str().unwrap().to_owned()).collect()
}

#[track_caller]
fn value(output: &std::process::Output) -> Json {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    serde_json::from_str(&text).unwrap_or_else(|fault| panic!("{fault}: {output:?}"))
}

/// Two ledgers of one key: the first is remembered, the other forks from it.
fn two() -> (Forged, Forged) {
    let mut forge = Forge::new();
    let mut other = forge.clone();
    for grams in 1..6 {
        forge.copper(1_000 + grams);
        other.copper(2_000 + grams);
    }
    other.copper(3_000);
    (forge.forged, other.forged)
}

/// The ledger grows between the call for its head and the call for its entries: the page has more
/// than the head says, and the next look must not pass those over.
#[test]
fn a_ledger_that_grows_between_two_calls_is_not_accused() {
    let mut forge = Forge::new();
    forge.copper(1_000);
    let short = forge.forged.head().to_vec();
    forge.copper(1_000);
    let whole = forge.forged;
    let heads = AtomicUsize::new(0);
    let url = fake(move |method, request| match method {
        // Opening asks once, the first look again.
        "GetCheckpoint" if heads.fetch_add(1, Ordering::SeqCst) < 2 => Some(head_of(&short)),
        method => serve(&whole, method, request),
    });
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let args = ["monitor", "--server", &url, "--state", text(&state), "--interval", "1", "--json"];
    let args = with_pins(&args, LEDGER);
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let mut monitor = place::urbanmine(&args).stdout(std::process::Stdio::piped()).spawn().unwrap();
    std::thread::sleep(std::time::Duration::from_secs(8));
    let ended = monitor.try_wait().unwrap();
    monitor.kill().unwrap();
    let output = monitor.wait_with_output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(ended.is_none(), "it ended with {ended:?}: {said}");
    assert!(said.lines().count() > 1 && !said.contains("tampered"), "{said}");
}

/// A forked history is shown once. That the server then behaves, or says nothing more, does not
/// unsay what it signed.
#[test]
fn a_monitor_does_not_forget_what_it_was_shown() {
    for is_honest_after in [true, false] {
        let (first, other) = two();
        let remembered = first.head().to_vec();
        let heads = AtomicUsize::new(0);
        let shown = other.head().to_vec();
        let url = fake(move |method, request| {
            let calls = heads.load(Ordering::SeqCst);
            if method == "GetCheckpoint" {
                heads.fetch_add(1, Ordering::SeqCst);
            }
            match calls {
                0..=1 => serve(&other, method, request),
                2 if method != "GetCheckpoint" => serve(&other, method, request),
                _ if is_honest_after => serve(&first, method, request),
                _ => None,
            }
        });
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("state");
        fs::write(&state, &remembered).unwrap();
        let args = ["monitor", "--server", &url, "--state", text(&state), "--once", "--json"];
        let output = command(&args, LEDGER);
        exits(&output, 1);
        let report = value(&output);
        assert!(kinds(&report).contains(&"forked".to_owned()), "{report}");
        assert_eq!(fs::read(folder.path().join("state.shown")).unwrap(), shown);
        assert_eq!(fs::read(&state).unwrap(), remembered);
    }
}

/// The fork goes on under a next key. Evidence is between two checkpoints of the key that signed
/// the remembered one: its last one will do.
#[test]
fn evidence_of_a_fork_that_was_rotated_away_convinces() {
    let (first, _) = two();
    let mut forge = Forge::new();
    for grams in 1..8 {
        forge.copper(2_000 + grams);
    }
    let at = forge.state(rotation(NEXT), &[LEDGER]);
    forge.copper(3_000);
    let mut other = forge.forged;
    sign_after(&mut other, at, NEXT);
    let url = fake(move |method, request| serve(&other, method, request));
    let folder = tempfile::tempdir().unwrap();
    let [state, evidence] = ["state", "evidence"].map(|name| folder.path().join(name));
    fs::write(&state, first.head()).unwrap();
    let args = ["verify", "--server", &url, "--state", text(&state), "--json"];
    let more = ["--fork-evidence", text(&evidence)];
    let output = command(&[&args[..], &more].concat(), LEDGER);
    exits(&output, 1);
    assert!(kinds(&value(&output)).contains(&"forked".to_owned()));
    exits(&command(&["verify", "--evidence", text(&evidence)], LEDGER), 1);
}

/// One head of the size that is remembered and another root, and entries that bear out the
/// remembered one: two signed roots over as many entries need no entries at all.
#[test]
fn two_heads_of_one_size_are_evidence() {
    let (first, _) = two();
    let (said, _) = SignedCheckpoint::parse(first.head()).unwrap();
    let lie = Checkpoint { root: Hash32([7; 32]), ..said }.sign(&secret(LEDGER));
    let remembered = first.head().to_vec();
    let url = fake(move |method, request| match method {
        "GetCheckpoint" => Some(head_of(lie.as_bytes())),
        method => serve(&first, method, request),
    });
    let folder = tempfile::tempdir().unwrap();
    let [state, evidence] = ["state", "evidence"].map(|name| folder.path().join(name));
    fs::write(&state, remembered).unwrap();
    let args = ["verify", "--server", &url, "--state", text(&state), "--json"];
    let more = ["--fork-evidence", text(&evidence)];
    exits(&command(&[&args[..], &more].concat(), LEDGER), 1);
    exits(&command(&["verify", "--evidence", text(&evidence)], LEDGER), 1);
}

/// A head that nobody signed promises more entries than anybody can send.
#[test]
fn a_head_that_nobody_signed_is_not_read_towards() {
    let (first, _) = two();
    let (said, _) = SignedCheckpoint::parse(first.head()).unwrap();
    let endless = Checkpoint { size: EntryCount(1 << 40), ..said }.sign(&secret(NEXT));
    let pages = Arc::new(AtomicUsize::new(0));
    let asked = Arc::clone(&pages);
    let url = fake(move |method, request| match method {
        "GetCheckpoint" => Some(head_of(endless.as_bytes())),
        "ListEntries" => {
            pages.fetch_add(1, Ordering::SeqCst);
            let from = v1::ListEntriesRequest::decode(request).unwrap().from_entry_index;
            let entry = Bytes::from_static(b"x");
            let entry = |at| v1::Entry { entry_index: from + at, entry: entry.clone() };
            let entries = (0..100).map(entry).collect();
            Some(v1::ListEntriesResponse { entries, ..Default::default() }.encode_to_vec())
        }
        method => serve(&first, method, request),
    });
    let args = with_pins(&["verify", "--server", &url], LEDGER);
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let mut verify = place::urbanmine(&args).spawn().unwrap();
    std::thread::sleep(std::time::Duration::from_secs(5));
    let ended = verify.try_wait().unwrap();
    verify.kill().unwrap();
    verify.wait().unwrap();
    assert!(ended.is_some(), "{} pages, and no end", asked.load(Ordering::SeqCst));
}

/// FORMAT, section 15: what is not there is "could not verify", as it is for a bundle that an
/// export has not.
#[test]
fn entries_that_a_server_keeps_back_are_not_changed_ones() {
    let (first, _) = two();
    let url = fake(move |method, request| match method {
        "ListEntries" => {
            let from = v1::ListEntriesRequest::decode(request).unwrap().from_entry_index;
            let mut short = first.clone();
            short.entries.truncate(20);
            let nothing = v1::ListEntriesResponse::default().encode_to_vec();
            Some(if from < 20 { page(&short, request) } else { nothing })
        }
        method => serve(&first, method, request),
    });
    exits(&command(&["verify", "--server", &url], LEDGER), 2);
}

// --- policies, files, exit codes -----------------------------------------------------------------

/// A ledger, one receipt of it, a policy with a witness that has cosigned nothing yet.
struct Watched {
    place: Place,
    key: String,
    witness: Cosigner,
}

fn watched() -> Watched {
    let place = Place::new();
    let key = place.public_key("ledger");
    let witness = Cosigner::new("w.example", secret(9)).unwrap();
    let public: [u8; 32] =
        std::array::from_fn(|at| u8::from_str_radix(&key[2 * at..2 * at + 2], 16).unwrap());
    let public = urbanmine::domain::PublicKey(public);
    let log = VerifierKey::new(ORIGIN, SignatureType::Ed25519, &public).unwrap();
    let policy = format!("log {log}\nwitness W {}\nquorum W\n", witness.vkey());
    fs::write(place.path("policy"), policy).unwrap();
    Watched { place, key, witness }
}

impl Watched {
    fn args<'a>(&'a self, args: &[&'a str]) -> Vec<&'a str> {
        [args, &["--origin", ORIGIN, "--ledger-key", &self.key]].concat()
    }

    fn receipt(&self) -> &'static str {
        self.place.append_site("ledger", "one", "receipts");
        let file = fs::read_dir(self.place.path("receipts")).unwrap().next().unwrap().unwrap();
        text(&file.path())
    }
}

#[test]
fn a_policy_is_never_passed_over_in_silence() {
    let watched = watched();
    let receipt = watched.receipt();
    let policy = ["--policy", watched.place.text("policy")];
    let args = watched.args(&["verify", "--receipt", receipt]);
    json_of(&args, 0);
    let output = run(&[&args[..], &policy].concat());
    assert_ne!(output.status.code(), Some(0), "no witness has cosigned anything: {output:?}");
}

/// A quorum for the first entries says nothing about those that came after.
#[test]
fn an_old_cosigned_checkpoint_does_not_stand_for_the_whole_ledger() {
    let watched = watched();
    let place = &watched.place;
    let old = fs::read(place.path("data.guard").join("guard")).unwrap();
    let (_, old) = SignedCheckpoint::parse(&old).unwrap();
    let line = watched.witness.cosign(old.note_text(), 7).line().to_owned();
    fs::write(place.path("cosigned"), format!("{}{line}\n", old.text())).unwrap();
    place.append_site("ledger", "one", "receipts");
    let files = [("--data", "data"), ("--policy", "policy"), ("--cosigned", "cosigned")];
    let args = place.with(&["verify"], &files);
    json_of(&watched.args(&args), 3);
}

/// FORMAT, section 17: the export's checkpoint is valid under the ledger's key, else nothing can be
/// said.
#[test]
fn an_export_that_somebody_else_signed_contradicts_no_receipt() {
    let watched = watched();
    let receipt = watched.receipt();
    let stranger = Place::new();
    stranger.append_site("ledger", "other", "receipts");
    let export = stranger.text("export");
    json_of(&stranger.with(&["export"], &[("--data", "data"), ("--to", "export")]), 0);
    let args = ["verify", "--receipt", receipt, "--export", export];
    let report = json_of(&watched.args(&args), 2);
    assert_eq!(kinds(&report), ["export-undetermined"], "{report}");
}

/// Where nothing could be read there is a verdict all the same.
#[test]
fn json_is_printed_also_when_nothing_could_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let nowhere = text(&folder.path().join("nowhere"));
    for what in ["--data", "--export", "--receipt", "--bundle", "--lot-state", "--evidence"] {
        let report = json_of(&["verify", what, nowhere], 2);
        assert_eq!(report["verdict"], json!("undetermined"), "{what}");
    }
    let report = json_of(&["verify", "--server", "http://127.0.0.1:1"], 2);
    assert_eq!(report["verdict"], json!("undetermined"));
}

/// A segment that the medium does not give is not one that somebody changed.
#[test]
fn a_segment_that_cannot_be_read_accuses_nobody() {
    let watched = watched();
    let place = &watched.place;
    let journal = place.path("data").join("journal");
    let segment: PathBuf = fs::read_dir(&journal).unwrap().next().unwrap().unwrap().path();
    fs::remove_file(&segment).unwrap();
    fs::create_dir(&segment).unwrap(); // reading it fails
    let args = ["verify", "--data", place.text("data")];
    let report = json_of(&watched.args(&args), 2);
    assert_eq!(report["verdict"], json!("undetermined"), "{report}");
}
