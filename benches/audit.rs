//! How fast a ledger is verified, against plain signature checks in the same run.
//!
//! `cargo bench --bench audit [-- --entries N --rounds N]`
//!
//! A ledger of N entries (collect, split, offer, accept; 64 collectors and a smelter sign) is made
//! and written as a journal. Then, in each round: the yardstick, `verify_strict` of ed25519-dalek
//! over the messages of a sample of those entries on all cores; and a whole audit of the journal by
//! `cli::verify`, in a process of its own, whose peak memory is told. The median of the ratios
//! counts: absolute times change with the machine's neighbours.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::float_arithmetic,
    clippy::cast_precision_loss,
    reason = "a bench may stop, and ratios are fractions"
)]

#[path = "../tests/common/forge.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared by test files that use parts of it")]
mod forge;
#[path = "../tests/common/forge_world.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared by test files that use parts of it")]
mod forge_world;

use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use ed25519_dalek::{Signature, VerifyingKey};
use forge::{Forge, LEDGER, origin, party, pins, public};
use forge_world::{
    COPPER, PARTIES, SMELTER, accept, collect, draw, new_lot, offering, split, with_copper,
};
use rayon::prelude::*;
use urbanmine::cli::verify::check_data;
use urbanmine::domain::{Body, EntryIndex, Event, PartyId};
use urbanmine::ledger::envelope::{EVENT_PAYLOAD_TYPE, pae};
use urbanmine::ledger::frame::Group;
use urbanmine::ledger::{Entry, Envelope};
use urbanmine::store::{Store, StoreConfig};
use urbanmine::verify::Verdict;

/// Seeds of the collectors.
const COLLECTORS: std::ops::Range<u8> = 10..74;
const GROUP: usize = 1_024;
/// Signatures that the yardstick checks.
const SAMPLE: usize = 20_000;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|it| it != "--bench").collect();
    let value = |name: &str| {
        let place = args.iter().position(|it| it == name)?;
        args.get(place + 1).cloned()
    };
    if let Some(data) = value("--judge") {
        return judge(Path::new(&data));
    }
    let number = |name: &str, usual: usize| value(name).map_or(usual, |it| it.parse().unwrap());
    let (entries, rounds) = (number("--entries", 50_000), number("--rounds", 5));
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let (sample, bytes) = make(&data, entries);
    println!("{entries} entries, {} bytes each on average", bytes / entries);
    println!("round  strict/s  audited/s  ratio  peak MiB");
    let mut ratios: Vec<f64> = (1..=rounds).map(|round| measure(round, &data, &sample)).collect();
    ratios.sort_by(f64::total_cmp);
    println!("median ratio {:.2}", ratios[ratios.len() / 2]);
}

fn measure(round: usize, data: &Path, sample: &[Checked]) -> f64 {
    let begun = Instant::now();
    let holds =
        sample.par_iter().all(|it| it.key.verify_strict(&it.message, &it.signature).is_ok());
    let strict = sample.len() as f64 / begun.elapsed().as_secs_f64();
    assert!(holds);
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--judge", data.to_str().unwrap()])
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let said: Vec<f64> = said.split_whitespace().map(|it| it.parse().unwrap()).collect();
    let [rate, peak] = said[..] else { panic!("{}", String::from_utf8_lossy(&output.stderr)) };
    println!("{round:>5}  {strict:>8.0}  {rate:>9.0}  {:>5.2}  {peak:>8.0}", rate / strict);
    rate / strict
}

/// Another process: an audit, its rate and the peak of its memory.
fn judge(data: &Path) {
    let begun = Instant::now();
    let judged = check_data(data, None, pins()).unwrap();
    let took: Duration = begun.elapsed();
    assert_eq!(judged.report().verdict, Verdict::Verified, "{:?}", judged.report().findings);
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let peak =
        peak.and_then(|it| it.trim().strip_suffix(" kB")).map_or(0.0, |it| it.parse().unwrap());
    let rate = judged.report().entries.0 as f64 / took.as_secs_f64();
    println!("{rate} {}", peak / 1_024.0);
}

/// A signature with what it is over.
struct Checked {
    key: VerifyingKey,
    signature: Signature,
    message: Vec<u8>,
}

/// Makes the ledger; gives signatures of its last entries, and the bytes of all of them.
fn make(data: &Path, entries: usize) -> (Vec<Checked>, usize) {
    let mut forge = Forge::new();
    for seed in COLLECTORS {
        forge.register(party(seed), PARTIES[1].roles, PARTIES[1].licences);
    }
    let store = Store::create(
        &StoreConfig::new(data, data.with_extension("guard")),
        &origin(),
        &public(LEDGER),
    )
    .unwrap();
    let (mut groups, mut bytes, mut sample) = (0, 0, Vec::new());
    let (mut next, mut previous, mut turn) = (0, Bytes::new(), 0_u8);
    while next < entries {
        let events = stories(&mut forge, &mut turn);
        let batches: Vec<&[Event]> = events.iter().map(std::slice::from_ref).collect();
        forge.group(&batches);
        while groups < forge.forged.groups.len() {
            let entries = forge.forged.entries[next..next + forge.forged.groups[groups]].to_vec();
            bytes += entries.iter().map(Bytes::len).sum::<usize>();
            if sample.len() < SAMPLE {
                sample.extend(entries.iter().filter_map(checked));
            }
            let (first, length) = (EntryIndex(next as u64), entries.len());
            let group = Group { first, previous_checkpoint: previous, entries };
            store.journal_append(&group).unwrap();
            next += length;
            previous = Bytes::from(forge.forged.checkpoints[groups].clone());
            groups += 1;
        }
    }
    store.guard_advance(None, &previous).unwrap();
    (sample, bytes)
}

/// A group of stories: a lot is collected and divided, a part goes to the smelter.
fn stories(forge: &mut Forge, turn: &mut u8) -> Vec<Event> {
    let mut events = Vec::with_capacity(GROUP);
    for _ in 0..GROUP / 4 {
        let of: PartyId = party(COLLECTORS.start + *turn);
        *turn = (*turn + 1) % (COLLECTORS.end - COLLECTORS.start);
        let (whole, left, right) = (forge.lot(), forge.lot(), forge.lot());
        let lot = with_copper(new_lot(whole, COPPER, 10_000), 50_000_000);
        events.push(forge.event(of, collect(lot)));
        events.push(forge.event(of, split(whole, &[draw(left, 6_000), draw(right, 4_000)])));
        let offer = forge.event(of, Body::OfferTransfer(offering(left, 6_000, SMELTER)));
        let taken = forge.event(SMELTER, accept(offer.id, 6_000, None));
        events.extend([offer, taken]);
    }
    events
}

fn checked(bytes: &Bytes) -> Option<Checked> {
    let entry = Entry::parse(bytes).unwrap();
    let envelope = Envelope::parse(&entry.envelope).unwrap();
    let [signature] = &envelope.signatures[..] else { return None };
    let seeds = (1..LEDGER).map(public);
    let key =
        seeds.into_iter().find(|key| urbanmine::ledger::keys::key_id(key) == signature.key)?;
    Some(Checked {
        key: VerifyingKey::from_bytes(key.as_bytes()).unwrap(),
        signature: Signature::from_bytes(&signature.signature),
        message: pae(EVENT_PAYLOAD_TYPE, &envelope.payload),
    })
}
