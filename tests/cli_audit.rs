//! An auditor at work on the command line: what it remembers, a ledger that goes back or forks, the
//! evidence of it, a monitor, one entry step by step, and one lot's bundle.

#![allow(clippy::unwrap_used, reason = "a test may stop")]

#[path = "common/place.rs"]
mod place;

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use place::{ORIGIN, Place, exits, json_of, run, said, urbanmine};
use serde_json::{Value as Json, json};
use urbanmine::cli::output::unhex32;
use urbanmine::domain::{Origin, PublicKey};
use urbanmine::ledger::checkpoint::vkey;
use urbanmine::ledger::{SignatureType, VerifierKey};

/// A copy of a directory, as whoever holds the disk makes one.
fn copy(from: &Path, to: &Path) {
    let done = Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap();
    assert!(done.success());
}

fn pinned<'a>(args: &[&'a str], key: &'a str) -> Vec<&'a str> {
    [args, &["--origin", ORIGIN, "--ledger-key", key]].concat()
}

fn kinds(report: &Json) -> Vec<&str> {
    let findings = report["findings"].as_array().unwrap();
    findings.iter().map(|it| it["kind"].as_str().unwrap()).collect()
}

/// A ledger that an auditor has checked, and one that forked from it: both grow by one entry, under
/// the same key.
fn forked() -> (Place, String) {
    let place = Place::new();
    place.append_site("ledger", "first", "receipts-first");
    copy(&place.path("data"), &place.path("then"));
    copy(&place.path("data.guard"), &place.path("then.guard"));
    place.append_site("ledger", "second", "receipts-second");
    let key = place.public_key("ledger");
    let args = ["verify", "--data", place.text("data"), "--state", place.text("state")];
    let report = json_of(&pinned(&args, &key), 0);
    assert_eq!(report["remembered_entries"], Json::Null);
    (place, key)
}

/// The same ledger in which something else was recorded second.
fn swap_in_the_fork(place: &Place) {
    for name in ["data", "data.guard"] {
        let then = name.replace("data", "then");
        fs::rename(place.path(name), place.path(&format!("kept-{name}"))).unwrap();
        fs::rename(place.path(&then), place.path(name)).unwrap();
    }
    place.append_site("ledger", "other", "receipts-other");
    place.append_site("ledger", "third", "receipts-third");
}

#[test]
fn what_is_remembered_is_not_checked_again_and_grows_only_when_all_is_well() {
    let (place, key) = forked();
    let (data, state) = (place.text("data"), place.text("state"));
    let kept = fs::read(place.path("state")).unwrap();
    let args = ["verify", "--data", data, "--state", state];
    let again = json_of(&pinned(&args, &key), 0);
    assert_eq!(again["remembered_entries"], again["entries"]);
    assert_eq!(again["signatures"], json!(0), "the same bytes were checked before");
    let full = json_of(&pinned(&[&args[..], &["--full"]].concat(), &key), 0);
    assert_eq!(full["signatures"], again["signatures_checked_before"]);
    assert_eq!(fs::read(place.path("state")).unwrap(), kept);

    place.append_site("ledger", "third", "receipts-third");
    let grown = json_of(&pinned(&args, &key), 0);
    assert_eq!(grown["signatures"], json!(1), "of the one new entry");
    assert_ne!(fs::read(place.path("state")).unwrap(), kept);
    let server = place.serve("ledger", &[]);
    let args = ["verify", "--server", &server.url, "--state", state];
    assert_eq!(json_of(&pinned(&args, &key), 0)["remembered_entries"], grown["entries"]);
    server.stop();

    // A memory that is none accuses nobody, and is kept as it is.
    fs::write(place.path("bent"), "nothing\n").unwrap();
    let args = ["verify", "--data", data, "--state", place.text("bent")];
    let report = json_of(&pinned(&args, &key), 2);
    assert_eq!(kinds(&report), ["remembered-unusable"]);
    assert_eq!(fs::read_to_string(place.path("bent")).unwrap(), "nothing\n");
    // Without pins nothing is remembered.
    let args = ["verify", "--data", data, "--state", place.text("unpinned")];
    json_of(&args, 3);
    assert!(!place.path("unpinned").exists());
}

#[test]
fn a_ledger_that_goes_back_is_noticed() {
    let (place, key) = forked();
    let kept = fs::read(place.path("state")).unwrap();
    let args = ["verify", "--data", place.text("then"), "--state", place.text("state")];
    let report = json_of(&pinned(&args, &key), 1);
    assert!(kinds(&report).contains(&"rolled-back"), "{report}");
    assert_eq!(report["first_bad"], report["entries"], "the first that is not there any more");
    assert_eq!(fs::read(place.path("state")).unwrap(), kept);
    // Whoever remembers nothing cannot tell.
    let args = ["verify", "--data", place.text("then")];
    json_of(&pinned(&args, &key), 0);
}

#[test]
fn a_fork_is_noticed_and_proven_to_anybody_who_knows_the_key() {
    let (place, key) = forked();
    swap_in_the_fork(&place);
    let (data, state) = (place.text("data"), place.text("state"));
    let file = place.text("evidence");
    let args = ["verify", "--data", data, "--state", state, "--fork-evidence", file];
    let report = json_of(&pinned(&args, &key), 1);
    assert!(kinds(&report).contains(&"forked"), "{report}");

    let evidence = ["verify", "--evidence", file];
    let proven = json_of(&pinned(&evidence, &key), 1);
    assert_eq!(kinds(&proven), ["forked"]);
    // It accuses nobody else, and proves nothing when it was bent.
    let other = place.public_key("next");
    assert_eq!(json_of(&pinned(&evidence, &other), 2)["verdict"], json!("undetermined"));
    json_of(&evidence, 2);
    let text = fs::read(place.path("evidence")).unwrap();
    for at in (0..text.len()).step_by(41) {
        let mut bent = text.clone();
        bent[at] ^= 1;
        fs::write(place.path("bent"), bent).unwrap();
        let args = ["verify", "--evidence", place.text("bent")];
        let verdict = json_of(&pinned(&args, &key), 2);
        assert_eq!(kinds(&verdict)[0], "evidence-unusable", "byte {at}");
    }
}

#[test]
fn a_monitor_follows_and_ends_with_the_evidence() {
    let (place, key) = forked();
    let state = place.text("watched");
    let monitor = |url: &str, code: i32| {
        let url = url.to_owned().leak();
        let args = ["monitor", "--server", url, "--state", state, "--once"];
        let output = run(&[&pinned(&args, &key)[..], &["--json"]].concat());
        exits(&output, code);
        let said = String::from_utf8(output.stdout).unwrap();
        serde_json::from_str::<Json>(said.trim()).unwrap()
    };
    let server = place.serve("ledger", &[]);
    let before = monitor(&server.url, 0);
    assert_eq!(before["verdict"], json!("verified"));
    server.stop();
    place.append_site("ledger", "third", "receipts-third");
    let server = place.serve("ledger", &[]);
    let after = monitor(&server.url, 0);
    assert_eq!(after["entries"].as_u64().unwrap(), before["entries"].as_u64().unwrap() + 1);
    server.stop();

    let kept = fs::read(place.path("watched")).unwrap();
    swap_in_the_fork(&place);
    let server = place.serve("ledger", &[]);
    let report = monitor(&server.url, 1);
    assert!(kinds(&report).contains(&"forked"), "{report}");
    server.stop();
    assert_eq!(fs::read(place.path("watched")).unwrap(), kept);
    let file = place.text("watched.evidence");
    json_of(&pinned(&["verify", "--evidence", file], &key), 1);

    // Nobody answers: that is no verdict.
    let args = ["monitor", "--server", "http://127.0.0.1:1", "--state", state, "--once"];
    exits(&run(&pinned(&args, &key)), 2);
}

/// A witness of this ledger, its address and its verifier key. It is killed when dropped.
struct Witness {
    child: Child,
    url: String,
    vkey: String,
}

impl Drop for Witness {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn witness(place: &Place, key: &str, log: &str) -> Witness {
    let (file, state) = (format!("{key}.pem"), format!("{key}.state"));
    let name = format!("{key}.example/w");
    let args = ["witness", "--name", &name, "--log", log, "--listen", "127.0.0.1:0"];
    let files = [("--key", &file[..]), ("--state", &state), ("--passphrase-file", "passphrase")];
    let mut command = urbanmine(&place.with(&args, &files));
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let (url, vkey) = (lines.next().unwrap().unwrap(), lines.next().unwrap().unwrap());
    Witness { child, url, vkey }
}

#[test]
fn a_policy_demands_witnesses_wherever_the_ledger_is_read() {
    let place = Place::new();
    let key = place.public_key("ledger");
    let public = PublicKey(unhex32(&key).unwrap());
    let log = vkey(&Origin::parse(ORIGIN).unwrap(), &public);
    let (one, two) = (witness(&place, "next", &log), witness(&place, "collector", &log));
    // The third one is down.
    let kind = SignatureType::CosignatureV1;
    let absent = VerifierKey::new("absent.example/w", kind, &public).unwrap();
    let lines = format!(
        "log {log}\nwitness one {} {}\nwitness two {} {}\n\
         witness three {absent} http://127.0.0.1:1\n",
        one.vkey, one.url, two.vkey, two.url
    );
    let policy = |name: &str, quorum: &str| {
        let rule = format!("group g {quorum} one two three\nquorum g\n");
        fs::write(place.path(name), format!("{lines}{rule}")).unwrap();
        place.text(name)
    };
    let (two_of_three, all) = (policy("two.policy", "2"), policy("all.policy", "all"));
    let server = place.serve("ledger", &["--witness-policy", two_of_three]);

    let args = ["verify", "--server", &server.url, "--policy", two_of_three];
    let is_cosigned = || {
        let output = run(&[&pinned(&args, &key)[..], &["--json"]].concat());
        let report: Json = serde_json::from_slice(&output.stdout).unwrap();
        (output.status.code() == Some(0)).then_some(report)
    };
    let begun = Instant::now();
    let report = loop {
        if let Some(report) = is_cosigned() {
            break report;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "two witnesses did not cosign");
        std::thread::sleep(Duration::from_millis(200));
    };
    assert_eq!(report["checks"][0]["check"], json!("cosigned"), "{report}");
    let args = ["verify", "--server", &server.url, "--policy", all];
    let report = json_of(&pinned(&args, &key), 2);
    assert_eq!(kinds(&report), ["cosignatures-missing"]);
    server.stop();

    let args = ["verify", "--data", place.text("data"), "--policy", two_of_three];
    json_of(&pinned(&args, &key), 0);
    // A cosignature that somebody bent, and one of another ledger.
    let cosigned = fs::read_to_string(place.path("data/cosigned/checkpoint")).unwrap();
    let at = cosigned.rfind("= ").unwrap_or(cosigned.len() - 20);
    let mut bent = cosigned.clone().into_bytes();
    bent[at.min(cosigned.len() - 20)] ^= 1;
    fs::write(place.path("bent"), bent).unwrap();
    let args = ["verify", "--data", place.text("data"), "--policy", two_of_three];
    let args = [&args[..], &["--cosigned", place.text("bent")]].concat();
    assert_ne!(run(&pinned(&args, &key)).status.code(), Some(0));
    // Nobody cosigned the bare checkpoint of a receipt's tree: without one it is not met.
    fs::remove_file(place.path("data/cosigned/checkpoint")).unwrap();
    let args = ["verify", "--data", place.text("data"), "--policy", two_of_three];
    assert_eq!(kinds(&json_of(&pinned(&args, &key), 2)), ["cosignatures-missing"]);
}

#[test]
fn one_entry_is_told_step_by_step() {
    let place = Place::new();
    place.append_site("ledger", "first", "receipts-first");
    let key = place.public_key("ledger");
    let args = ["verify", "--data", place.text("data")];
    let entries = json_of(&pinned(&args, &key), 0)["entries"].as_u64().unwrap();
    let last: &str = (entries - 1).to_string().leak();
    let report = json_of(&pinned(&[&args[..], &["--explain", last]].concat(), &key), 0);
    let steps = report["steps"].as_array().unwrap();
    let parts: Vec<&str> = steps.iter().map(|it| it["part"].as_str().unwrap()).collect();
    for part in ["entry", "chain", "tree", "payload", "signatures", "rules"] {
        assert!(parts.contains(&part), "{parts:?}");
    }
    let value = |name: &str| {
        let step = steps.iter().find(|it| it["name"].as_str().unwrap().starts_with(name));
        step.unwrap()["value"].as_str().unwrap()
    };
    assert_eq!(value("root over"), report["checkpoint"]["root"].as_str().unwrap());
    assert_eq!(value("value before, as computed"), value("value before, as the entry"));
    assert_eq!(value("under key"), "holds, strictly");
    let text = said(&pinned(&[&args[..], &["--explain", last]].concat(), &key), 0);
    assert!(text.contains("\nrules\n"), "{text}");
}

#[test]
fn a_lots_bundle_is_cut_out_of_the_demo_and_verified_alone() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("demo").to_str().unwrap().to_owned();
    let demo = json_of(&["demo", "--exit", "--dir", &dir], 0);
    let text = |name: &str| demo[name].as_str().unwrap().to_owned();
    let (data, origin, key) = (text("data"), text("origin"), text("ledger_key"));
    let pins = ["--origin", &origin, "--ledger-key", &key];
    let file = folder.path().join("bundle");
    let file = file.to_str().unwrap();
    for lot in demo["showcase"].as_array().unwrap() {
        let lot = lot.as_str().unwrap();
        let args = ["bundle", lot, "--data", &data, "--out", file];
        let made = json_of(&[&args[..], &pins].concat(), 0);
        assert!(made["entries"].as_u64().unwrap() < demo["entries"].as_u64().unwrap());
        let args = ["verify", "--bundle", file, "--lot", lot];
        let report = json_of(&[&args[..], &pins].concat(), 0);
        assert_eq!(report["lot"], json!(lot));
        assert_eq!(report["entries"], made["entries"]);
        let origins = report["origins"].as_array().unwrap();
        for of in origins.iter().filter(|it| it["is_attributed"] == json!(true)) {
            let shares = of["shares"].as_array().unwrap().iter();
            let sum: u64 = shares.map(|it| it["grams"].as_u64().unwrap()).sum();
            assert_eq!(json!(sum), of["total_g"], "{of}");
        }
        assert!(!origins.is_empty());
    }
    let other = demo["showcase"][0].as_str().unwrap();
    json_of(&[&["verify", "--bundle", file, "--lot", other][..], &pins].concat(), 1);
    // Of a ledger that does not verify nothing is written.
    let args =
        ["bundle", other, "--data", &data, "--out", "nowhere", "--origin", "another.example/x"];
    exits(&run(&[&args[..], &["--ledger-key", &key]].concat()), 1);
    assert!(!Path::new("nowhere").exists());
}
