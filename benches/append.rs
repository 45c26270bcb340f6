//! What a durable append costs, stage by stage, in processor time; against plain signature checks
//! in the same run.
//!
//! `cargo bench --bench append [-- --batches N --rounds N --in-flight N --signers N]`
//!
//! A node in this process, on a real disk; batches of 256 `collect_lot` of about 600 bytes, signed
//! before the clock runs, several in flight. No network: what gRPC costs is in `urbanmine bench`.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::float_arithmetic,
    clippy::cast_precision_loss,
    reason = "a bench may stop, and ratios are fractions"
)]

#[path = "../tests/common/node_kit.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared by test files that use parts of it")]
mod node_kit;

use std::time::{Duration, Instant};

use bytes::Bytes;
use node_kit::{COORD, Kit, START_MS, party_record, register_key, secret, signed_by, uuid};
use rayon::prelude::*;
use urbanmine::domain::party::{Licence, Site};
use urbanmine::domain::units::Validity;
use urbanmine::domain::vocabulary::{LicenceKind, PartyRole};
use urbanmine::domain::{Body, Event, Grams, LicenceId, PartyId, SiteId, TimeMs};
use urbanmine::ledger::Envelope;
use urbanmine::ledger::envelope::{EVENT_PAYLOAD_TYPE, pae};
use urbanmine::node::Node;

const BATCH: usize = 256;
const FIRST_SIGNER: u8 = 10;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|it| it != "--bench").collect();
    let number = |name: &str, usual: usize| {
        let place = args.iter().position(|it| it == name);
        place.and_then(|it| args.get(it + 1)).map_or(usual, |it| it.parse().unwrap())
    };
    let (batches, rounds) = (number("--batches", 40), number("--rounds", 5));
    let (in_flight, signers) = (number("--in-flight", 4), number("--signers", 64));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let (mut kit, node) = runtime.block_on(Kit::new());
    runtime.block_on(found(&mut kit, &node, signers));
    println!("round  strict/s  appended/s  ratio  cpu us/entry  bytes/entry  disk/payload");
    let mut ratios = Vec::new();
    for round in 0..rounds {
        let load = load(&mut kit, batches, signers);
        let bytes: usize = load.iter().flatten().map(Bytes::len).sum();
        let strict = strict(&load[..load.len().min(20)]);
        let begun = Instant::now();
        let cpu = processor();
        runtime.block_on(send(&node, load, in_flight));
        let cpu = processor() - cpu;
        let entries = (batches * BATCH) as f64;
        let rate = entries / begun.elapsed().as_secs_f64();
        let disk = disk(&kit);
        let total = node.reader().size().0 as f64;
        println!(
            "{round:>5}  {strict:>8.0}  {rate:>10.0}  {:>5.2}  {:>12.1}  {:>11.0}  {:>12.2}",
            rate / strict,
            cpu.as_secs_f64() * 1e6 / entries,
            bytes as f64 / entries,
            disk / (total * bytes as f64 / entries),
        );
        ratios.push(rate / strict);
    }
    ratios.sort_by(f64::total_cmp);
    println!("median ratio {:.2}", ratios[ratios.len() / 2]);
    runtime.block_on(node.shutdown());
}

fn party(n: usize) -> PartyId {
    PartyId::from_bytes(uuid(500 + n as u64))
}

fn site(n: usize) -> SiteId {
    SiteId::from_bytes(uuid(700 + n as u64))
}

async fn found(kit: &mut Kit, node: &Node, signers: usize) {
    let valid = Validity { from: TimeMs::of(START_MS - 1_000_000), to: None };
    for n in 0..signers {
        let code = format!("91360702000{:06}", 1_000 + n);
        let mut bodies = vec![
            Body::RegisterParty(party_record(party(n), &code, PartyRole::Collector)),
            register_key(party(n), FIRST_SIGNER + u8::try_from(n).unwrap()),
        ];
        let licences = [
            LicenceKind::Business,
            LicenceKind::RenewableResourceRecycling,
            LicenceKind::ProductiveScrap,
        ];
        for (at, kind) in (0..).zip(licences) {
            let licence = Licence {
                id: LicenceId::from_bytes(uuid(100_000 + 3 * n as u64 + at)),
                kind,
                number: format!("L-{n}-{at}"),
                waste_codes: Vec::new(),
                yearly_capacity: Grams::ZERO,
                validity: valid,
            };
            bodies.push(Body::RegisterLicence(party(n), licence));
        }
        bodies.push(Body::RegisterSite(Site { party: party(n), ..node_kit::site_record(site(n)) }));
        let events: Vec<Event> = bodies.into_iter().map(|body| kit.event(COORD, body)).collect();
        kit.append_batch(node, &events).await;
    }
}

fn load(kit: &mut Kit, batches: usize, signers: usize) -> Vec<Vec<Bytes>> {
    let events: Vec<Event> = (0..batches * BATCH)
        .map(|n| {
            let of = (n / 7) % signers;
            Event { actor: party(of), site: Some(site(of)), ..kit.copper() }
        })
        .collect();
    let sign = |event: &Event| {
        let of = (0..signers).find(|n| party(*n) == event.actor).unwrap();
        signed_by(event, FIRST_SIGNER + u8::try_from(of).unwrap())
    };
    events.par_chunks(BATCH).map(|batch| batch.iter().map(sign).collect()).collect()
}

/// Plain `verify_strict` over the same messages, all cores.
fn strict(load: &[Vec<Bytes>]) -> f64 {
    use ed25519_dalek::{Signature, VerifyingKey};
    let keys: Vec<VerifyingKey> = (0..=u8::MAX)
        .map(|seed| VerifyingKey::from_bytes(secret(seed).public_key().as_bytes()).unwrap())
        .collect();
    let ids: Vec<_> = (0..=u8::MAX).map(|seed| secret(seed).key_id()).collect();
    let checks: Vec<(VerifyingKey, Signature, Vec<u8>)> = load
        .iter()
        .flatten()
        .map(|bytes| {
            let envelope = Envelope::parse(bytes).unwrap();
            let signature = &envelope.signatures[0];
            let at = ids.iter().position(|id| *id == signature.key).unwrap();
            let message = pae(EVENT_PAYLOAD_TYPE, &envelope.payload);
            (keys[at], Signature::from_bytes(&signature.signature), message)
        })
        .collect();
    let begun = Instant::now();
    assert!(checks.par_iter().all(|(key, of, message)| key.verify_strict(message, of).is_ok()));
    checks.len() as f64 / begun.elapsed().as_secs_f64()
}

async fn send(node: &Node, load: Vec<Vec<Bytes>>, in_flight: usize) {
    let gate = std::sync::Arc::new(tokio::sync::Semaphore::new(in_flight));
    let mut tasks = Vec::new();
    for batch in load {
        let (node, permit) = (node.clone(), gate.clone().acquire_owned().await.unwrap());
        tasks.push(tokio::spawn(async move {
            let appended = node.append_batch(batch).await.unwrap();
            assert_eq!(appended.len(), BATCH);
            drop(permit);
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
}

/// Processor time of this process.
fn processor() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or("").split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 10)
}

fn disk(kit: &Kit) -> f64 {
    fn size(dir: &std::path::Path) -> u64 {
        use std::os::unix::fs::MetadataExt as _;
        let items = std::fs::read_dir(dir).unwrap();
        let sizes = items.map(|item| {
            let meta = item.as_ref().unwrap().metadata().unwrap();
            if meta.is_dir() { size(&item.unwrap().path()) } else { meta.blocks() * 512 }
        });
        sizes.sum()
    }
    size(&kit.data()) as f64
}
