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

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use artefacts::{receipt, tree};
use bytes::Bytes;
use fake_server::{fake, head_of, page, serve};
use forge::{Forge, Forged, LEDGER, pins, public, secret};
use forge_world::*;
use place::{ORIGIN, Place, exits, json_of, run};
use prost::Message as _;
use serde_json::{Value as Json, json};
use urbanmine::domain::event::RevokeKey;
use urbanmine::domain::{Body, EntryCount, EntryIndex, Hash32, LotId, TimeMs};
use urbanmine::ledger::envelope::{STATEMENT_PAYLOAD_TYPE, pae};
use urbanmine::ledger::keys::key_id;
use urbanmine::ledger::lot_map::{EMPTY_MAP, MapTile, TilePath, TileSource, prove_lot, update_map};
use urbanmine::ledger::tree::inclusion_proof;
use urbanmine::ledger::{
    Bundle, BundledEntry, Checkpoint, Cosigner, Entry, Envelope, Evidence, LotFile, LotKey,
    LotState, LotStateProof, Receipt, SignatureType, SignedCheckpoint, VerifierKey,
};
use urbanmine::verify::{
    BundleReport, FindingKind as Kind, Pins, Remembered, Verdict, Verifier, verify_bundle,
    verify_evidence,
};
use urbanmine::wire::statement::StatementBody;
use urbanmine::wire::{decode_event, encode_possession, v1};

const NEXT: u8 = LEDGER + 1;

// --- forged ledgers, and proofs from them --------------------------------------------------------

#[derive(Default)]
struct Tiles(BTreeMap<TilePath, MapTile>);

impl TileSource for Tiles {
    type Fault = ();

    fn tile(&self, path: &TilePath) -> Result<MapTile, ()> {
        let tile = self.0.get(path).cloned();
        tile.or((*path == TilePath::TOP).then_some(MapTile::EMPTY)).ok_or(())
    }
}

fn place_of(index: u64) -> usize {
    usize::try_from(index).unwrap()
}

/// The map of lot states over entries, and its root.
fn map(entries: &[Bytes]) -> (Tiles, Hash32) {
    let mut states = BTreeMap::new();
    for (index, bytes) in (0..).zip(entries) {
        for link in Entry::parse(bytes).unwrap().links {
            let entry_count = u64::from(link.ordinal) + 1;
            let state = LotState { entry_count, last: EntryIndex(index) };
            states.insert(LotKey::of(link.lot), state);
        }
    }
    let update = update_map(&Tiles::default(), &EMPTY_MAP, &states).unwrap();
    (Tiles(update.tiles.into_iter().collect()), update.root)
}

fn state_lots(forge: &mut Forge, seed: u8) -> u64 {
    let (_, root) = map(&forge.forged.entries);
    let size = EntryCount(forge.next());
    forge.state(StatementBody::LotStateRoot { size, root }, &[seed])
}

/// The state of a lot as an entry states it, under the checkpoint of the head.
fn lot_state(forged: &Forged, lot: LotId, at: u64) -> Vec<u8> {
    let (tiles, _) = map(&forged.entries[..place_of(at)]);
    let way = prove_lot(&tiles, lot).unwrap();
    let statement = proven(forged, at, forged.size().0, forged.head());
    LotFile { state: LotStateProof { lot, way, statement }, story: None }.encode().into_bytes()
}

fn proven(forged: &Forged, index: u64, size: u64, checkpoint: &[u8]) -> Receipt {
    let entry = forged.entries[place_of(index)].clone();
    let index = EntryIndex(index);
    let proof = inclusion_proof(index, EntryCount(size), &tree(&forged.entries)).unwrap();
    let (_, checkpoint) = SignedCheckpoint::parse(checkpoint).unwrap();
    Receipt { entry, index, proof, checkpoint }
}

fn checkpoint_of(forged: &Forged, size: u64) -> Vec<u8> {
    let is_its = |text: &&Vec<u8>| SignedCheckpoint::parse(text).unwrap().0.size.0 == size;
    forged.checkpoints.iter().find(is_its).unwrap().clone()
}

fn of_entries(forged: &Forged, lot: LotId, keep: impl Fn(u64) -> bool) -> Bundle {
    let (size, tree) = (forged.size(), tree(&forged.entries));
    let entry = |index: u64| BundledEntry {
        index: EntryIndex(index),
        entry: forged.entries[place_of(index)].clone(),
        proof: inclusion_proof(EntryIndex(index), size, &tree).unwrap(),
    };
    let (_, checkpoint) = SignedCheckpoint::parse(forged.head()).unwrap();
    let entries = (0..size.0).filter(|index| keep(*index)).map(entry).collect();
    Bundle { lot, entries, rotations: Vec::new(), lot_states: Vec::new(), checkpoint }
}

fn rotation(seed: u8) -> StatementBody {
    let next_key = public(seed);
    let message = pae(STATEMENT_PAYLOAD_TYPE, &encode_possession(&forge::origin(), &next_key));
    StatementBody::LedgerKeyRotation { next_key, possession: secret(seed).sign(&message) }
}

/// Checkpoints of more than `at + 1` entries are the next key's.
fn sign_after(forged: &mut Forged, at: u64) {
    for text in &mut forged.checkpoints {
        let (said, _) = SignedCheckpoint::parse(text).unwrap();
        let seed = if said.size.0 <= at + 1 { LEDGER } else { NEXT };
        *text = said.sign(&secret(seed)).as_bytes().to_vec();
    }
}

fn pinned(seed: u8) -> Pins {
    Pins { ledger_key: Some(public(seed)), ..pins() }
}

fn judged(bundle: &Bundle, seed: u8) -> BundleReport {
    verify_bundle(bundle.encode().as_bytes(), Some(bundle.lot), &pinned(seed), None)
}

fn told(report: &BundleReport) -> String {
    report.findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

// --- bundles -------------------------------------------------------------------------------------

/// The ledger states its lots, gives itself a next key, and somebody who pinned that one gets a
/// bundle: nothing in it is wrong.
#[test]
fn lots_that_the_key_before_stated_accuse_nobody() {
    let mut forge = Forge::new();
    let lot = forge.copper(1_000);
    let stated = state_lots(&mut forge, LEDGER);
    let at = forge.state(rotation(NEXT), &[LEDGER]);
    forge.state(StatementBody::RestartNote { software: "s".to_owned() }, &[NEXT]);
    let mut whole = forge.forged;
    sign_after(&mut whole, at);
    let mut bundle = of_entries(&whole, lot, |_| true);
    bundle.rotations = vec![receipt(&whole, at).encode().into_bytes()];
    bundle.lot_states = vec![lot_state(&whole, lot, stated)];
    for seed in [LEDGER, NEXT] {
        let report = judged(&bundle, seed);
        // Entries came behind the ledger's word on its lots, which is told; nothing else is.
        assert_eq!(report.verdict, Verdict::Warnings, "{seed}: {}", told(&report));
        assert!(told(&report).starts_with("story-end-unproven"), "{seed}: {}", told(&report));
    }
}

/// Whoever has the next key puts something in the place of the old key's last checkpoint. FORMAT,
/// section 8: without that checkpoint it could tell another history of what was before.
#[test]
fn a_rotation_before_the_pinned_key_needs_its_receipt_too() {
    let mut forge = Forge::new();
    forge.copper(500);
    let at = forge.state(rotation(NEXT), &[LEDGER]);
    let lot = forge.copper(1_000);
    let stated = state_lots(&mut forge, NEXT);
    let mut whole = forge.forged;
    sign_after(&mut whole, at);
    let mut bundle = of_entries(&whole, lot, |_| true);
    bundle.lot_states = vec![lot_state(&whole, lot, stated)];
    bundle.rotations = vec![receipt(&whole, at).encode().into_bytes()];
    assert_eq!(judged(&bundle, NEXT).verdict, Verdict::Verified);
    bundle.rotations = vec![b"no receipt\n".to_vec()];
    let report = judged(&bundle, NEXT);
    assert_ne!(report.verdict, Verdict::Verified, "{}", told(&report));
}

/// The holder cuts the end of a lot's life, and shows a word of the ledger from before it began.
#[test]
fn a_word_from_before_a_lot_was_born_does_not_prove_its_end() {
    let mut forge = Forge::new();
    forge.copper(500);
    let old = state_lots(&mut forge, LEDGER);
    let lot = forge.copper(1_000);
    let born = forge.next();
    let away = forge.lot();
    let divided = forge.event(COLLECTOR, split(lot, &[draw(away, 999)]));
    forge.batch(&[divided]);
    state_lots(&mut forge, LEDGER);
    let whole = forge.forged;
    let mut bundle = of_entries(&whole, lot, |index| index < born);
    bundle.lot_states = vec![lot_state(&whole, lot, old)];
    let report = judged(&bundle, LEDGER);
    assert_ne!(report.verdict, Verdict::Verified, "{:?}", report.state.map(|it| it.remaining));
}

/// A ledger lets an event in under a key that it had revoked. Who verifies the ledger finds it; the
/// bundle without the revocation cannot show it, whatever is stated of lots. That is the limit of a
/// bundle (FORMAT, section 19), and it is told with every one.
#[test]
fn a_revocation_that_is_left_out_is_noticed_by_who_verifies_the_ledger_alone() {
    let mut forge = Forge::new();
    let key = key_id(&public(forge::seed_of(COLLECTOR)));
    let revoked_at = TimeMs::of(forge.now);
    let revoke = RevokeKey { key, revoked_at, reason: "stolen".to_owned() };
    let revoked = forge.next();
    forge.say(COORD, Body::RevokeKey(revoke));
    let lot = forge.copper(1_000);
    let stated = state_lots(&mut forge, LEDGER);
    let whole = forge.forged;
    assert_eq!(whole.judge_stream(pins()).verdict, Verdict::Tampered);
    let mut bundle = of_entries(&whole, lot, |index| index != revoked);
    bundle.lot_states = vec![lot_state(&whole, lot, stated)];
    let report = judged(&bundle, LEDGER);
    assert_eq!(report.verdict, Verdict::Verified, "{}", told(&report));
}

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

// --- what is remembered --------------------------------------------------------------------------

/// The operator rewrites what was remembered, and names a next key in it before that place.
#[test]
fn a_rewritten_past_with_a_rotation_in_it_is_a_fork() {
    let mut forge = Forge::new();
    let mut other = forge.clone();
    for grams in 1..6 {
        forge.copper(1_000 + grams);
    }
    let remembered = forge.forged.head().to_vec();
    let at = other.state(rotation(NEXT), &[LEDGER]);
    for grams in 1..9 {
        other.copper(2_000 + grams);
    }
    let mut other = other.forged;
    sign_after(&mut other, at);
    for mode in [Remembered::Checked, Remembered::Consistency] {
        let mut verifier = Verifier::new(pins());
        verifier.remember(&remembered, mode);
        verifier.checkpoint(other.head());
        for entry in &other.entries {
            verifier.feed_entry(entry);
            if verifier.awaits_checkpoint().is_some() {
                verifier.checkpoint(&checkpoint_of(&other, at + 1));
            }
        }
        let report = verifier.finish();
        let kinds: Vec<Kind> = report.findings.iter().map(|it| it.kind).collect();
        assert_eq!(report.verdict, Verdict::Tampered, "{kinds:?}");
        assert!(kinds.contains(&Kind::Forked), "{kinds:?}");
    }
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
    sign_after(&mut other, at);
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

/// Whoever stole a key that was followed long ago makes two histories up, longer than that key may
/// sign for, and accuses a ledger before those who pinned its first key.
#[test]
fn a_key_that_was_followed_convicts_nobody_of_what_came_later() {
    let mut forge = Forge::new();
    let at = forge.state(rotation(NEXT), &[LEDGER]);
    forge.copper(1_000);
    let mut whole = forge.forged;
    sign_after(&mut whole, at);
    assert_eq!(whole.judge_groups(pins()).verdict, Verdict::Verified);
    let size = EntryCount(at + 100);
    let made_up = |byte| {
        let root = Hash32([byte; 32]);
        Checkpoint { origin: forge::origin(), size, root }.sign(&secret(LEDGER))
    };
    let (older, newer, found) = (made_up(1), made_up(2), Hash32([2; 32]));
    let evidence = Evidence { older, newer, found, proof: Vec::new() };
    // Who knows of the rotation is not taken in.
    let known = [receipt(&whole, at).encode().into_bytes()];
    let report = verify_evidence(evidence.encode().as_bytes(), &known, &pins());
    assert_eq!(report.verdict, Verdict::Undetermined, "{:?}", report.findings);
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
