//! Witnesses: what they refuse, what they keep, and what a node makes of those that are down or
//! lie.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop")]

#[path = "common/node_kit.rs"]
mod node_kit;
#[path = "common/place.rs"]
mod place;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use node_kit::{Kit, copy_directory, ledger_key, secret};
use place::{Place, json_of, said, start, urbanmine};
use serde_json::Value as Json;
use urbanmine::domain::{EntryCount, EntryIndex, Hash32, Origin};
use urbanmine::ledger::cosignature::cosignature_on;
use urbanmine::ledger::hash::{leaf_hash, node_hash, sha256};
use urbanmine::ledger::{
    Checkpoint, Cosigner, Policy, Receipt, SignatureType, SignedCheckpoint, SigningKey,
    VerifierKey, base64,
};
use urbanmine::limits::{MAX_SUBMISSION_BYTES, RECOSIGN_SECONDS, WITNESS_CALLS_PER_SECOND};
use urbanmine::node::{CollectFault, Node};
use urbanmine::verify::FindingKind::{
    self, CheckpointMalformed, CosignatureInvalid, CosignaturesMissing, PolicyLogUnknown,
};
use urbanmine::verify::{Verdict, judge_cosignatures};
use urbanmine::witness::{Refusal, Submission, Witness, WitnessFault, server};

const NOW_S: u64 = 1_770_000_000;
const LOG: &str = "log.example/a";
const LOG_SEED: u8 = 70;

// --- a log, with a tree as RFC 6962 defines it, by recursion -------------------------------------

#[derive(Clone)]
struct Log {
    seed: u8,
    leaves: Vec<Hash32>,
}

fn split(count: usize) -> usize {
    count.next_power_of_two() / 2
}

fn root_of(leaves: &[Hash32]) -> Hash32 {
    match leaves {
        [] => sha256(&[]),
        [leaf] => *leaf,
        _ => {
            let (left, right) = leaves.split_at(split(leaves.len()));
            node_hash(&root_of(left), &root_of(right))
        }
    }
}

fn subproof(old: usize, leaves: &[Hash32], is_whole: bool) -> Vec<Hash32> {
    if old == leaves.len() {
        return if is_whole { Vec::new() } else { vec![root_of(leaves)] };
    }
    let (left, right) = leaves.split_at(split(leaves.len()));
    let (mut proof, other) = if old <= left.len() {
        (subproof(old, left, is_whole), right)
    } else {
        (subproof(old - left.len(), right, false), left)
    };
    proof.push(root_of(other));
    proof
}

impl Log {
    fn new(count: usize, salt: u8) -> Self {
        let leaves = (0..count).map(|at| leaf_hash(&[salt, u8::try_from(at).unwrap()])).collect();
        Self { seed: LOG_SEED, leaves }
    }

    /// The same up to a size, and other entries after it.
    fn forked(&self, at: usize, salt: u8) -> Self {
        let mut fork = Self::new(self.leaves.len(), salt);
        fork.leaves[..at].copy_from_slice(&self.leaves[..at]);
        fork
    }

    fn checkpoint(&self, size: usize) -> SignedCheckpoint {
        let (origin, root) = (Origin::parse(LOG).unwrap(), root_of(&self.leaves[..size]));
        Checkpoint { origin, size: EntryCount(size as u64), root }.sign(&secret(self.seed))
    }

    fn body(&self, old: usize, new: usize) -> String {
        let proof = if old == 0 || old > new {
            Vec::new()
        } else {
            subproof(old, &self.leaves[..new], true)
        };
        Submission::body(EntryCount(old as u64), &proof, self.checkpoint(new).text())
    }
}

fn log_vkey(seed: u8) -> VerifierKey {
    VerifierKey::new(LOG, SignatureType::Ed25519, &secret(seed).public_key()).unwrap()
}

fn cosigner(seed: u8) -> Cosigner {
    Cosigner::new(&format!("w{seed}.example"), secret(seed)).unwrap()
}

// --- witnesses -----------------------------------------------------------------------------------

/// A witness in this process, over HTTP.
struct Stand {
    url: String,
    _folder: tempfile::TempDir,
    witness: Arc<Witness>,
    vkey: VerifierKey,
}

fn open(
    seed: u8,
    keys: &[VerifierKey],
    dir: &Path,
    now: &Arc<AtomicU64>,
) -> Result<Witness, WitnessFault> {
    let now = Arc::clone(now);
    let clock = Box::new(move || now.load(Ordering::SeqCst));
    Witness::open(cosigner(seed), keys.to_vec(), dir, clock)
}

fn stand(seed: u8, keys: &[VerifierKey]) -> Stand {
    let folder = tempfile::tempdir().unwrap();
    let now = Arc::new(AtomicU64::new(NOW_S));
    let witness = Arc::new(open(seed, keys, folder.path(), &now).unwrap());
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    socket.set_nonblocking(true).unwrap();
    let url = format!("http://{}", socket.local_addr().unwrap());
    let served = Arc::clone(&witness);
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(socket).unwrap();
            server::serve(served, listener, std::future::pending()).await;
        });
    });
    let vkey = witness.vkey().clone();
    Stand { url, _folder: folder, witness, vkey }
}

struct Reply {
    status: u16,
    kind: String,
    text: String,
}

fn agent() -> ureq::Agent {
    let config = ureq::Agent::config_builder().http_status_as_error(false).proxy(None);
    config.timeout_global(Some(Duration::from_secs(30))).build().into()
}

fn reply_of(response: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Reply {
    let mut response = response.unwrap();
    let kind = response.headers().get("content-type").map(|it| it.to_str().unwrap().to_owned());
    let status = response.status().as_u16();
    Reply {
        status,
        kind: kind.unwrap_or_default(),
        text: response.body_mut().read_to_string().unwrap(),
    }
}

fn get(url: &str) -> Reply {
    patiently(|| agent().get(url).call())
}

fn post(url: &str, body: &[u8]) -> Reply {
    patiently(|| agent().post(format!("{url}/add-checkpoint")).send(body))
}

/// Waits while it is told that it asks too often.
fn patiently(ask: impl Fn() -> Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Reply {
    for _ in 0..100 {
        let reply = reply_of(ask());
        if reply.status != 429 {
            return reply;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("too many calls for 10 s");
}

/// A checkpoint with an answer's lines holds for the witness.
fn holds(checkpoint: &SignedCheckpoint, lines: &str, vkey: &VerifierKey) -> u64 {
    let text = format!("{}{lines}", checkpoint.text());
    cosignature_on(text.as_bytes(), vkey).unwrap().unwrap().unwrap().time_s()
}

#[test]
fn every_answer_has_the_status_of_the_specification() {
    let witness = stand(30, &[log_vkey(LOG_SEED)]);
    let (log, other) = (Log::new(20, 1), Log::new(20, 2));
    let stranger = Log { seed: 71, ..log.clone() };
    let post = |body: &str| post(&witness.url, body.as_bytes());
    let refused = |body: &str, status: u16| {
        let reply = post(body);
        assert_eq!((reply.status, reply.kind.starts_with("text/plain")), (status, true), "{body}");
    };
    // Before anything was cosigned.
    refused("old 0\n", 400);
    refused(&log.body(0, 5).replacen("old 0", "old 00", 1), 400);
    refused(&log.body(0, 5).replace(LOG, "log.example/b"), 404);
    refused(&stranger.body(0, 5), 403);
    refused(&log.body(0, 5).replacen("\n5\n", "\n6\n", 1), 403);
    refused(&log.body(6, 5), 400);
    let wrong = root_of(&log.leaves[..1]);
    let origin = Origin::parse(LOG).unwrap();
    let wrong = Checkpoint { origin, size: EntryCount(0), root: wrong }.sign(&secret(LOG_SEED));
    refused(&Submission::body(EntryCount(0), &[], wrong.text()), 422);
    let line = base64::encode(&sha256(b"x").0);
    refused(&log.body(0, 5).replacen("old 0\n", &format!("old 0\n{line}\n"), 1), 422);
    let conflict = |body: &str, size: &str| {
        let reply = post(body);
        assert_eq!((reply.status, reply.kind.as_str()), (409, "text/x.tlog.size"), "{body}");
        assert_eq!(reply.text, size);
    };
    conflict(&log.body(3, 5), "0\n");
    // Nothing, then five, then twelve.
    for (old, new) in [(0, 0), (0, 5), (5, 12)] {
        let reply = post(&log.body(old, new));
        assert_eq!(reply.status, 200, "{}", reply.text);
        assert_eq!(holds(&log.checkpoint(new), &reply.text, &witness.vkey), NOW_S);
        assert!(reply.text.ends_with('\n') && reply.text.lines().count() == 1);
    }
    // Now it stands at twelve.
    conflict(&log.body(0, 5), "12\n");
    conflict(&log.body(5, 12), "12\n");
    conflict(&log.body(0, 15), "12\n");
    refused(&other.body(12, 15), 422);
    refused(&other.body(12, 12), 422);
    refused(&log.body(12, 15).replacen("old 12\n", &format!("old 12\n{line}\n"), 1), 422);
    assert_eq!(post(&log.body(12, 12)).status, 200, "the same again");
    assert_eq!(post(&log.body(12, 20)).status, 200);
    // What the monitors read.
    let hash = sha256(LOG.as_bytes()).to_string();
    let kept = get(&format!("{}/{hash}/checkpoint", witness.url));
    assert_eq!(kept.status, 200);
    let ledger = secret(LOG_SEED).public_key();
    let (read, _) =
        SignedCheckpoint::open(kept.text.as_bytes(), &Origin::parse(LOG).unwrap(), &ledger)
            .unwrap();
    assert_eq!(read.size, EntryCount(20));
    cosignature_on(kept.text.as_bytes(), &witness.vkey).unwrap().unwrap().unwrap();
    for (path, status) in [("", 404), ("add-checkpoint", 405), ("aa/checkpoint", 404)] {
        assert_eq!(get(&format!("{}/{path}", witness.url)).status, status, "{path}");
    }
}

#[test]
fn signatures_of_others_are_neither_in_the_way_nor_kept() {
    let witness = stand(31, &[log_vkey(LOG_SEED)]);
    let log = Log::new(8, 1);
    let note = log.checkpoint(5);
    let elsewhere = cosigner(40).cosign(note.note_text(), 7);
    let body = format!("{}{}\n", log.body(0, 5), elsewhere.line());
    assert_eq!(post(&witness.url, body.as_bytes()).status, 200);
    let kept = witness.witness.checkpoint(&sha256(LOG.as_bytes()).to_string()).unwrap();
    assert!(!kept.contains("w40.example") && kept.contains("w31.example"));
}

#[test]
fn of_two_forks_at_a_time_one_is_cosigned_and_one_is_not() {
    for round in 0..20_u8 {
        let folder = tempfile::tempdir().unwrap();
        let now = Arc::new(AtomicU64::new(NOW_S));
        let witness = open(32, &[log_vkey(LOG_SEED)], folder.path(), &now).unwrap();
        let log = Log::new(40, 1);
        let fork = log.forked(5, 100 + round);
        witness.add_checkpoint(log.body(0, 5).as_bytes()).unwrap();
        let gate = std::sync::Barrier::new(8);
        let won: Vec<(usize, usize)> = std::thread::scope(|scope| {
            let tries: Vec<_> = (0..8_usize)
                .map(|at| {
                    let (side, new) = (at % 2, 6 + at * 3);
                    let body = if side == 0 { log.body(5, new) } else { fork.body(5, new) };
                    let (gate, witness) = (&gate, &witness);
                    scope.spawn(move || {
                        gate.wait();
                        match witness.add_checkpoint(body.as_bytes()) {
                            Ok(_) => Some((side, new)),
                            Err(Refusal::Conflict(_)) => None,
                            Err(other) => panic!("{other}"),
                        }
                    })
                })
                .collect();
            tries.into_iter().filter_map(|it| it.join().unwrap()).collect()
        });
        // All began from the same state, so exactly one got further.
        let [(side, new)] = won.as_slice() else { panic!("{won:?}") };
        let (winner, loser) = if *side == 0 { (&log, &fork) } else { (&fork, &log) };
        let late = witness.add_checkpoint(loser.body(*new, 40).as_bytes()).unwrap_err();
        assert!(matches!(late, Refusal::Inconsistent(_)), "{late}");
        witness.add_checkpoint(winner.body(*new, 40).as_bytes()).unwrap();
    }
}

#[test]
fn a_key_that_was_followed_counts_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let now = Arc::new(AtomicU64::new(NOW_S));
    let log = Log::new(30, 1);
    let next = Log { seed: 72, ..log.clone() };
    let old_only = [log_vkey(LOG_SEED)];
    let both = [log_vkey(LOG_SEED), log_vkey(72)];
    {
        let witness = open(33, &old_only, folder.path(), &now).unwrap();
        witness.add_checkpoint(log.body(0, 5).as_bytes()).unwrap();
        let early = witness.add_checkpoint(next.body(5, 6).as_bytes()).unwrap_err();
        assert_eq!(server::status_of(&early).as_u16(), 403);
    }
    {
        let witness = open(33, &both, folder.path(), &now).unwrap();
        // Until the next key speaks, the old one does.
        witness.add_checkpoint(log.body(5, 8).as_bytes()).unwrap();
        witness.add_checkpoint(next.body(8, 10).as_bytes()).unwrap();
        let stolen = witness.add_checkpoint(log.body(10, 12).as_bytes()).unwrap_err();
        assert_eq!(stolen, Refusal::KeyFollowed);
    }
    // A restart does not forget it, nor does the old key have to stay.
    let witness = open(33, &both, folder.path(), &now).unwrap();
    let stolen = witness.add_checkpoint(log.body(10, 12).as_bytes()).unwrap_err();
    assert_eq!((stolen.clone(), server::status_of(&stolen).as_u16()), (Refusal::KeyFollowed, 403));
    drop(witness);
    let witness = open(33, &[log_vkey(72)], folder.path(), &now).unwrap();
    witness.add_checkpoint(next.body(10, 12).as_bytes()).unwrap();
}

#[test]
fn the_time_of_a_cosignature_never_goes_back() {
    let folder = tempfile::tempdir().unwrap();
    let now = Arc::new(AtomicU64::new(NOW_S));
    let witness = open(34, &[log_vkey(LOG_SEED)], folder.path(), &now).unwrap();
    let (log, vkey) = (Log::new(30, 1), witness.vkey().clone());
    let time = |old, new| {
        let lines = witness.add_checkpoint(log.body(old, new).as_bytes())?;
        Ok::<_, Refusal>(holds(&log.checkpoint(new), &lines, &vkey))
    };
    assert_eq!(time(0, 5), Ok(NOW_S));
    // The same again at once costs no write, later it is a fresh one.
    now.store(NOW_S + RECOSIGN_SECONDS - 1, Ordering::SeqCst);
    assert_eq!(time(5, 5), Ok(NOW_S));
    now.store(NOW_S + RECOSIGN_SECONDS, Ordering::SeqCst);
    assert_eq!(time(5, 5), Ok(NOW_S + RECOSIGN_SECONDS));
    // A little back is as if it stood still; far back it says nothing.
    now.store(NOW_S + RECOSIGN_SECONDS - 3, Ordering::SeqCst);
    assert_eq!(time(5, 6), Ok(NOW_S + RECOSIGN_SECONDS));
    now.store(NOW_S - 100, Ordering::SeqCst);
    assert_eq!(time(6, 7), Err(Refusal::ClockBehind));
    now.store(0, Ordering::SeqCst);
    assert_eq!(time(6, 7), Err(Refusal::ClockBehind));
}

#[test]
fn a_state_that_it_did_not_write_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let now = Arc::new(AtomicU64::new(NOW_S));
    let (log, keys) = (Log::new(30, 1), [log_vkey(LOG_SEED)]);
    let witness = open(35, &keys, folder.path(), &now).unwrap();
    witness.add_checkpoint(log.body(0, 5).as_bytes()).unwrap();
    assert!(matches!(open(35, &keys, folder.path(), &now), Err(WitnessFault::Store(_))), "locked");
    drop(witness);
    let file = folder.path().join(sha256(LOG.as_bytes()).to_string());
    let good = std::fs::read_to_string(&file).unwrap();
    let torn = good[..good.len() - 9].to_owned();
    for bad in ["", "rubbish", &torn, &good.replacen("\n5\n", "\n4\n", 1)] {
        std::fs::write(&file, bad).unwrap();
        let fault = open(35, &keys, folder.path(), &now).unwrap_err();
        assert!(matches!(fault, WitnessFault::State { .. }), "{bad}: {fault}");
    }
    // What the log signed is enough for a witness with another key; a stranger's word is not.
    std::fs::write(&file, &good).unwrap();
    let refused = open(36, &[log_vkey(72)], folder.path(), &now).unwrap_err();
    assert!(matches!(refused, WitnessFault::State { .. }));
    let witness = open(36, &keys, folder.path(), &now).unwrap();
    let rolled_back = witness.add_checkpoint(log.body(0, 4).as_bytes()).unwrap_err();
    assert_eq!(rolled_back, Refusal::Conflict(EntryCount(5)));
    let lines = witness.add_checkpoint(log.body(5, 5).as_bytes()).unwrap();
    holds(&log.checkpoint(5), &lines, witness.vkey());
}

#[test]
fn whoever_asks_too_much_is_held_off() {
    let witness = stand(37, &[log_vkey(LOG_SEED)]);
    let log = Log::new(8, 1);
    let endless = vec![b'a'; MAX_SUBMISSION_BYTES + 1];
    assert_eq!(post(&witness.url, &endless).status, 413);
    let asked = agent();
    let statuses: BTreeSet<u16> = (0..4 * WITNESS_CALLS_PER_SECOND)
        .map(|_| reply_of(asked.get(format!("{}/aa/checkpoint", witness.url)).call()).status)
        .collect();
    assert_eq!(statuses, BTreeSet::from([404, 429]));
    // Connections that say nothing take no more than an address's places, and time out.
    let address = witness.url.strip_prefix("http://").unwrap().to_owned();
    let silent: Vec<TcpStream> = (0..40).map(|_| TcpStream::connect(&address).unwrap()).collect();
    std::thread::sleep(Duration::from_millis(300));
    let mut cut = 0;
    for mut stream in &silent {
        stream.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        cut += usize::from(matches!(stream.read(&mut [0; 1]), Ok(0)));
    }
    assert!((20..40).contains(&cut), "{cut} of 40 were cut off");
    drop(silent);
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(post(&witness.url, log.body(0, 5).as_bytes()).status, 200);
}

// --- a node that collects ------------------------------------------------------------------------

type Lie = Box<dyn Fn(&str) -> (u16, &'static str, String) + Send>;

/// A witness that answers what it likes; its requests have a body.
fn liar(answer: impl Fn(&str) -> (u16, &'static str, String) + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let (mut length, mut line) = (0, String::new());
            while reader.read_line(&mut line).is_ok_and(|read| read > 2) {
                let lower = line.to_ascii_lowercase();
                if let Some(number) = lower.strip_prefix("content-length:") {
                    length = number.trim().parse().unwrap();
                }
                line.clear();
            }
            let mut body = vec![0; length];
            if reader.read_exact(&mut body).is_err() {
                continue;
            }
            let (status, kind, text) = answer(&String::from_utf8(body).unwrap());
            let _ = write!(
                stream,
                "HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\
                 Connection: close\r\n\r\n{text}",
                text.len()
            );
        }
    });
    url
}

/// The text that a submission wants to have cosigned.
fn note_of(body: &str) -> String {
    let checkpoint = body.split_once("\n\n").unwrap().1;
    format!("{}\n", checkpoint.split_once("\n\n").unwrap().0)
}

/// Nobody listens there.
fn down() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

fn node_vkey() -> VerifierKey {
    let (origin, key) = (node_kit::origin(), ledger_key().public_key());
    VerifierKey::new(origin.as_str(), SignatureType::Ed25519, &key).unwrap()
}

fn policy(witnesses: &[(&VerifierKey, &str)], threshold: &str) -> Policy {
    let mut text = format!("log {}\n", node_vkey());
    let mut names = String::new();
    for (at, (vkey, url)) in witnesses.iter().enumerate() {
        writeln!(text, "witness W{at} {vkey} {url}").unwrap();
        write!(names, " W{at}").unwrap();
    }
    writeln!(text, "group all-of-them {threshold}{names}\nquorum all-of-them").unwrap();
    Policy::parse(text.as_bytes()).unwrap()
}

/// Waits until a checkpoint of so many entries has its quorum.
fn cosigned(node: &Node, size: EntryCount, lines: usize) -> Option<SignedCheckpoint> {
    let until = Instant::now() + Duration::from_secs(20);
    while Instant::now() < until {
        let found = node.reader().cosigned().filter(|it| it.size == size);
        if let Some(found) =
            found.filter(|it| it.checkpoint.text().matches('\u{2014}').count() > lines)
        {
            return Some(found.checkpoint);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    None
}

fn never_cosigned(node: &Node) {
    for _ in 0..30 {
        assert_eq!(node.reader().cosigned(), None);
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_one_down_and_one_lying_two_honest_ones_are_enough() {
    let (mut kit, node) = Kit::new().await;
    let (one, two) = (stand(50, &[node_vkey()]), stand(51, &[node_vkey()]));
    let (gone, liar_key) = (cosigner(52), cosigner(53));
    let lies = liar(|_| (200, "text/plain", "\u{2014} w53.example AAAAAAAA\n".to_owned()));
    let nobody = down();
    let asked = [
        (&one.vkey, one.url.as_str()),
        (&two.vkey, two.url.as_str()),
        (gone.vkey(), nobody.as_str()),
        (liar_key.vkey(), lies.as_str()),
    ];
    let policy = policy(&asked, "2");
    let collector = node.collect(policy.clone()).unwrap();
    for _ in 0..3 {
        let event = kit.copper();
        kit.append(&node, &event).await;
        let size = node.reader().size();
        let text = cosigned(&node, size, 2).expect("two honest witnesses are a quorum");
        let report = policy.judge(text.as_bytes()).unwrap();
        assert!(report.is_quorum_met);
        assert_eq!((report.held.len(), report.missing.len(), report.bad.len()), (2, 2, 0));
    }
    // Every entry has a receipt under it, and it convinces without anybody.
    let size = node.reader().size();
    for index in (0..size.0).map(EntryIndex) {
        let receipt = node.reader().cosigned_receipt(index).unwrap().unwrap().encode();
        let receipt = Receipt::parse(receipt.as_bytes()).unwrap();
        receipt.verify(&node_kit::origin(), &ledger_key().public_key()).unwrap();
        assert!(policy.judge(receipt.checkpoint.as_bytes()).unwrap().is_quorum_met);
    }
    assert_eq!(node.reader().cosigned_receipt(EntryIndex(size.0)).unwrap(), None);
    // What it has is kept: a node that starts has it at once, all witnesses gone.
    let before = node.reader().cosigned().unwrap();
    drop(collector);
    node.shutdown().await;
    drop(node);
    let node = kit.open();
    assert_eq!(node.reader().cosigned(), None, "a node that asks nobody claims nothing");
    let _collector = node.collect(policy).unwrap();
    assert_eq!(node.reader().cosigned(), Some(before));
}

#[tokio::test(flavor = "multi_thread")]
async fn with_one_down_and_one_lying_a_single_honest_one_is_not() {
    let (mut kit, node) = Kit::new().await;
    let honest = stand(54, &[node_vkey()]);
    let (gone, nobody) = (cosigner(55), down());
    let own = || Cosigner::new("w56.example", secret(56)).unwrap();
    let lies: Vec<(&str, Lie)> = vec![
        ("garbage", Box::new(|_| (200, "text/plain", "rubbish\n".into()))),
        ("nothing", Box::new(|_| (200, "text/plain", String::new()))),
        (
            "another tree",
            Box::new(move |body| {
                let changed = note_of(body).replacen("=\n", "A\n", 1);
                (200, "text/plain", format!("{}\n", own().cosign(&changed, NOW_S).line()))
            }),
        ),
        (
            "a text of its own before its line",
            Box::new(move |_| {
                let line = own().cosign("mine\n", NOW_S).line().to_owned();
                (200, "text/plain", format!("mine\n\n{line}\n"))
            }),
        ),
        (
            "another's key",
            Box::new(|body| {
                let other = Cosigner::new("w56.example", secret(57)).unwrap();
                let held = other.cosign(&note_of(body), NOW_S);
                (200, "text/plain", format!("{}\n", held.line()))
            }),
        ),
        ("a size beyond ours", Box::new(|_| (409, "text/x.tlog.size", format!("{}\n", u64::MAX)))),
        ("always another size", {
            let count = AtomicU64::new(0);
            Box::new(move |_| {
                let size = count.fetch_add(1, Ordering::SeqCst) % 3;
                (409, "text/x.tlog.size", format!("{size}\n"))
            })
        }),
        ("another history", Box::new(|_| (422, "text/plain", "no\n".into()))),
        ("endless words", Box::new(|_| (200, "text/plain", "\u{2014} ".repeat(100_000)))),
    ];
    for (kind, lie) in lies {
        let event = kit.copper();
        kit.append(&node, &event).await;
        let url = liar(lie);
        let key = own();
        let asked = [
            (&honest.vkey, honest.url.as_str()),
            (gone.vkey(), nobody.as_str()),
            (key.vkey(), url.as_str()),
        ];
        let collector = node.collect(policy(&asked, "2")).unwrap();
        let until = Instant::now() + Duration::from_millis(1_500);
        while Instant::now() < until {
            assert_eq!(node.reader().cosigned(), None, "{kind}");
            std::thread::sleep(Duration::from_millis(50));
        }
        drop(collector);
        std::thread::sleep(Duration::from_millis(300));
    }
    never_cosigned(&node);
    // With a policy that one is enough for, the same honest one is.
    let asked = [(&honest.vkey, honest.url.as_str()), (gone.vkey(), nobody.as_str())];
    let _collector = node.collect(policy(&asked, "any")).unwrap();
    cosigned(&node, node.reader().size(), 1).expect("one is enough");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_witness_that_comes_late_is_brought_up_from_where_it_stands() {
    let (mut kit, node) = Kit::new().await;
    let (one, two) = (stand(58, &[node_vkey()]), stand(59, &[node_vkey()]));
    let asked = [(&one.vkey, one.url.as_str()), (&two.vkey, two.url.as_str())];
    let first = node.collect(policy(&asked[..1], "all")).unwrap();
    cosigned(&node, node.reader().size(), 1).unwrap();
    drop(first);
    for _ in 0..7 {
        let event = kit.copper();
        kit.append(&node, &event).await;
    }
    // One stands in the middle, two at nothing; neither is known to the new collector.
    let _collector = node.collect(policy(&asked, "all")).unwrap();
    cosigned(&node, node.reader().size(), 2).expect("both are brought up");
    // And under load a quorum still comes together.
    for _ in 0..40 {
        let event = kit.copper();
        kit.append(&node, &event).await;
        std::thread::sleep(Duration::from_millis(60));
    }
    cosigned(&node, node.reader().size(), 2).expect("they follow");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_cannot_be_met_or_is_of_others_is_refused_at_once() {
    let (_kit, node) = Kit::new().await;
    let (one, two) = (cosigner(60), cosigner(61));
    let text = format!(
        "witness A {} http://127.0.0.1:1\nwitness B {}\ngroup g all A B\nquorum g\n",
        one.vkey(),
        two.vkey()
    );
    let fault = node.collect(Policy::parse(text.as_bytes()).unwrap()).unwrap_err();
    assert!(matches!(fault, CollectFault::NoQuorum { asked: 1 }), "{fault}");
    let text = format!("log {}\nquorum none\n", log_vkey(LOG_SEED));
    let fault = node.collect(Policy::parse(text.as_bytes()).unwrap()).unwrap_err();
    assert!(fault.to_string().contains(&node_vkey().to_string()), "{fault}");
    let text = format!("witness A {} ftp://x\nquorum A\n", one.vkey());
    let fault = node.collect(Policy::parse(text.as_bytes()).unwrap()).unwrap_err();
    assert!(matches!(fault, CollectFault::Url { .. }), "{fault}");
}

// --- the judge -----------------------------------------------------------------------------------

#[test]
fn the_judge_demands_what_the_policy_says() {
    let (origin, ledger) = (node_kit::origin(), ledger_key());
    let (one, two, three) = (cosigner(62), cosigner(63), cosigner(64));
    let policy = policy(&[(one.vkey(), ""), (two.vkey(), ""), (three.vkey(), "")], "2");
    let root = sha256(b"root");
    let plain = Checkpoint { origin: origin.clone(), size: EntryCount(3), root }.sign(&ledger);
    let with = |lines: &[String]| {
        lines.iter().fold(plain.text().to_owned(), |text, line| text + line + "\n")
    };
    let good = |witness: &Cosigner| witness.cosign(plain.note_text(), 7).line().to_owned();
    let bad = |witness: &Cosigner| witness.cosign("another text\n", 7).line().to_owned();
    let judge = |text: &str, key: &SigningKey| {
        let judged = judge_cosignatures(text.as_bytes(), &policy, &origin, &[key.public_key()]);
        let kinds: Vec<FindingKind> = judged.findings.iter().map(|it| it.kind).collect();
        (judged.verdict, kinds)
    };
    let stranger = cosigner(65);
    let rows = [
        (with(&[good(&one), good(&two)]), Verdict::Verified, vec![]),
        (with(&[good(&one), good(&two), bad(&stranger)]), Verdict::Verified, vec![]),
        (with(&[good(&one)]), Verdict::Undetermined, vec![CosignaturesMissing]),
        (with(&[good(&one), good(&stranger)]), Verdict::Undetermined, vec![CosignaturesMissing]),
        (plain.text().to_owned(), Verdict::Undetermined, vec![CosignaturesMissing]),
        (
            with(&[good(&one), bad(&two)]),
            Verdict::Tampered,
            vec![CosignatureInvalid, CosignaturesMissing],
        ),
        (with(&[good(&one), good(&two), bad(&three)]), Verdict::Tampered, vec![CosignatureInvalid]),
        ("rubbish".to_owned(), Verdict::Tampered, vec![CheckpointMalformed]),
    ];
    for (text, verdict, kinds) in rows {
        assert_eq!(judge(&text, &ledger), (verdict, kinds), "{text}");
    }
    let elsewhere = judge(&with(&[good(&one), good(&two)]), &secret(66));
    assert_eq!(elsewhere, (Verdict::Undetermined, vec![PolicyLogUnknown]));
}

// --- with the binary -----------------------------------------------------------------------------

/// A witness of its own process, killed when dropped.
fn witness_process(place: &Place, name: &str, log: &str) -> place::Server {
    start(witness_command(place, name, log, "127.0.0.1:0"))
}

fn witness_command(place: &Place, name: &str, log: &str, listen: &str) -> Command {
    let key = format!("{name}.pem");
    let state = format!("state-{name}");
    let files = [("--key", key.as_str()), ("--state", &state), ("--passphrase-file", "passphrase")];
    let args = ["witness", "--name", "w.example", "--log", log, "--listen", listen];
    urbanmine(&place.with(&args, &files))
}

fn witness_vkey(place: &Place, name: &str) -> VerifierKey {
    let key = urbanmine::domain::PublicKey(unhex(&place.public_key(name)));
    VerifierKey::new("w.example", SignatureType::CosignatureV1, &key).unwrap()
}

fn unhex(text: &str) -> [u8; 32] {
    std::array::from_fn(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap())
}

#[test]
fn what_was_cosigned_survives_a_kill() {
    let place = Place::with_keys();
    let log = Log::new(60, 1);
    let vkey = witness_vkey(&place, "next");
    let mut acknowledged = 0;
    for round in 0..4 {
        let witness = witness_process(&place, "next", &log_vkey(LOG_SEED).to_string());
        // Where it says that it stands is never behind what it cosigned for somebody.
        let kept = get(&format!("{}/{}/checkpoint", witness.url, sha256(LOG.as_bytes())));
        let stands: usize = match kept.status {
            200 => kept.text.lines().nth(1).unwrap().parse().unwrap(),
            _ => 0,
        };
        assert!(stands >= acknowledged, "it forgot: {stands} < {acknowledged}");
        let url = witness.url.clone();
        let killer = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(40 + 37 * round));
            drop(witness); // SIGKILL
        });
        for new in stands + 1..60 {
            let sent = agent().post(format!("{url}/add-checkpoint")).send(log.body(new - 1, new));
            let Ok(mut response) = sent else { break };
            if response.status().as_u16() != 200 {
                break;
            }
            let Ok(lines) = response.body_mut().read_to_string() else { break };
            holds(&log.checkpoint(new), &lines, &vkey);
            acknowledged = new;
        }
        killer.join().unwrap();
    }
    assert!(acknowledged > 0, "nothing was cosigned before a kill");
}

fn cosigned_checkpoint(url: &str, size: u64) -> String {
    for _ in 0..300 {
        let reply = get(&format!("{url}/v1/checkpoint:cosigned"));
        if reply.status == 200 {
            let json: Json = serde_json::from_str(&reply.text).unwrap();
            let text = json["checkpoint"].as_str().unwrap().to_owned();
            if text.lines().nth(1) == Some(size.to_string().as_str()) {
                return text;
            }
        } else {
            assert_eq!(reply.status, 404, "{}", reply.text);
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("no checkpoint of {size} entries was cosigned");
}

fn size_of(url: &str) -> u64 {
    let json: Json = serde_json::from_str(&get(&format!("{url}/v1/ledger")).text).unwrap();
    json["ledger"]["size"].as_str().unwrap().parse().unwrap()
}

/// Three witnesses: two run, one is down. Then the operator puts an old copy of the ledger into
/// use, and after that tells another story of the same length.
#[test]
fn an_old_copy_of_the_ledger_is_told_by_the_witnesses() {
    let place = Place::new();
    let origin = Origin::parse(place::ORIGIN).unwrap();
    let public = urbanmine::domain::PublicKey(unhex(&place.public_key("ledger")));
    let log = VerifierKey::new(place::ORIGIN, SignatureType::Ed25519, &public).unwrap().to_string();
    for name in ["data", "data.guard"] {
        copy_directory(&place.path(name), &place.path(&format!("old-{name}")));
    }
    let running: Vec<_> =
        ["next", "collector"].iter().map(|name| witness_process(&place, name, &log)).collect();
    let gone = cosigner(67);
    let text = format!(
        "log {log}\nwitness A {} {}\nwitness B {} {}\nwitness C {} {}\ngroup g 2 A B C\nquorum g\n",
        witness_vkey(&place, "next"),
        running[0].url,
        witness_vkey(&place, "collector"),
        running[1].url,
        gone.vkey(),
        down()
    );
    std::fs::write(place.path("policy"), &text).unwrap();
    let policy = Policy::parse(text.as_bytes()).unwrap();
    place.append_site("ledger", "one", "one.txt");

    let with_policy = ["--witness-policy", place.text("policy")];
    let server = place.serve("ledger", &with_policy);
    let size = size_of(&server.url);
    let cosigned = cosigned_checkpoint(&server.url, size);
    SignedCheckpoint::open(cosigned.as_bytes(), &origin, &public).unwrap();
    assert!(policy.judge(cosigned.as_bytes()).unwrap().is_quorum_met);
    let last = size - 1;
    let reply = get(&format!("{}/v1/entries/{last}/receipt:cosigned", server.url));
    let json: Json = serde_json::from_str(&reply.text).unwrap();
    let receipt = Receipt::parse(json["receipt"].as_str().unwrap().as_bytes()).unwrap();
    receipt.verify(&origin, &public).unwrap();
    assert!(policy.judge(receipt.checkpoint.as_bytes()).unwrap().is_quorum_met);
    let talk = server.stop();
    assert!(talk.contains(&log), "serve tells its verifier key: {talk}");
    assert!(!talk.contains("FORK ALARM") && talk.contains("unreachable"), "{talk}");

    for name in ["data", "data.guard"] {
        std::fs::remove_dir_all(place.path(name)).unwrap();
        copy_directory(&place.path(&format!("old-{name}")), &place.path(name));
    }
    let alarm = |words: &str| {
        let server = place.serve("ledger", &with_policy);
        std::thread::sleep(Duration::from_secs(3));
        assert_eq!(get(&format!("{}/v1/checkpoint:cosigned", server.url)).status, 404);
        let talk = server.stop();
        assert_eq!(talk.matches("FORK ALARM").count(), 2, "{talk}");
        assert!(talk.contains(words), "{talk}");
    };
    alarm(&format!("cosigned {size} entries"));
    place.append_site("ledger", "two", "two.txt");
    alarm("not the first");
}

#[test]
fn the_command_line_of_a_witness_refuses_what_makes_no_sense() {
    let place = Place::with_keys();
    let refused = |log: &str, words: &str| {
        let output = witness_command(&place, "next", log, "127.0.0.1:0").output().unwrap();
        let talk = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && talk.contains(words), "{talk}");
    };
    refused("rubbish", "verifier key");
    refused(&cosigner(68).vkey().to_string(), "0x04");
    let own = urbanmine::domain::PublicKey(unhex(&place.public_key("next")));
    let own = VerifierKey::new(LOG, SignatureType::Ed25519, &own).unwrap().to_string();
    refused(&own, "cosign itself");
    assert!(said(&["witness", "--help"], 0).contains("Never restore the state"));
    let keys = json_of(&["config", "show"], 0).to_string();
    assert!(keys.contains("witnesses.policy"), "{keys}");
}
