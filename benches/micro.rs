//! Steps that every entry takes, one by one, on one core.
//!
//! `cargo bench --bench micro [-- FILTER]`
//!
//! The entry is a collection of scrap with a document and a commitment, near 600 bytes. What each
//! step costs beside a strict signature check is what counts; the machine's speed is in both.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    missing_docs,
    reason = "a bench may stop, and what the macros of criterion make has no documents"
)]

#[path = "../tests/common/domain_kit.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared by test files that use parts of it")]
mod domain_kit;

use std::hint::black_box;

use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use domain_kit::{COLLECTOR, World, lot, new_lot};
use ed25519_dalek::VerifyingKey;
use urbanmine::domain::effects::LotLink;
use urbanmine::domain::event::{Commitment, Document, SplitLot};
use urbanmine::domain::vocabulary::{CommitmentKind, DocumentKind};
use urbanmine::domain::{Body, EntryIndex, Event, Grams, Hash32, LotId, TimeMs};
use urbanmine::ledger::envelope::pae;
use urbanmine::ledger::hash::{leaf_hash, sha256};
use urbanmine::ledger::keys::StrictKey;
use urbanmine::ledger::tiles::TileBuilder;
use urbanmine::ledger::{
    ChainValue, Check, Draft, EVENT_PAYLOAD_TYPE, Entry, EntryKind, Envelope, Frontier, Position,
    SignerTables, SigningKey,
};
use urbanmine::limits::TABLE_AFTER_SIGNATURES;
use urbanmine::wire::{MessageName, canonical, decode_event, encode_event};

/// Leaves of the trees that grow here, so that the right edge has several levels.
const LEAVES: u64 = 100_003;

criterion_group!(benches, hashes, seal, decode, rules, trees, signatures, tables);
criterion_main!(benches);

/// What one entry is made of.
struct Specimen {
    event: Event,
    lot: LotId,
    payload: Bytes,
    envelope: Bytes,
    entry: Bytes,
}

impl Specimen {
    fn new() -> Self {
        let mut world = World::new();
        let lot = lot(world.fresh());
        let body = domain_kit::collect(new_lot(lot, "CU", 9_876_000));
        let event = Event {
            documents: vec![Document {
                kind: DocumentKind::WeighbridgeTicket,
                number: "WB-2024-00012345".to_owned(),
                sha256: Some(Hash32([1; 32])),
            }],
            commitments: vec![Commitment { kind: CommitmentKind::Price, sha256: Hash32([2; 32]) }],
            external_ref: "PO-2024-00012345".to_owned(),
            ..world.event(COLLECTOR, body)
        };
        let payload = Bytes::from(encode_event(&event));
        let envelope = Envelope::sign(EVENT_PAYLOAD_TYPE, payload.clone(), &[&key()]).encode();
        let entry = draft(lot, &envelope).seal(position()).unwrap().bytes().clone();
        Self { event, lot, payload, envelope, entry }
    }
}

fn key() -> SigningKey {
    SigningKey::from_seed([7; 32])
}

fn draft(lot: LotId, envelope: &Bytes) -> Draft {
    Draft {
        kind: EntryKind::Event,
        recorded_at: TimeMs::of(1_719_792_000_000),
        rules_version: 1,
        tables_hash: Hash32([3; 32]),
        links: vec![LotLink { lot, ordinal: 0, previous: None }],
        envelope: envelope.clone(),
    }
}

fn position() -> Position {
    let index = EntryIndex(LEAVES);
    Position { index, previous: ChainValue::START, batch_first: index, batch_len: 1 }
}

fn hashes(criterion: &mut Criterion) {
    let entry = Specimen::new().entry;
    let mut group = criterion.benchmark_group("hash");
    group.throughput(Throughput::Bytes(entry.len() as u64));
    group.bench_function("chain (blake3)", |it| {
        it.iter(|| ChainValue::of_entry(black_box(&entry)));
    });
    group.bench_function("leaf (sha256)", |it| it.iter(|| leaf_hash(black_box(&entry))));
    group.finish();
}

fn seal(criterion: &mut Criterion) {
    let specimen = Specimen::new();
    criterion.bench_function("seal", |it| {
        let fresh = || draft(specimen.lot, &specimen.envelope);
        it.iter_batched(fresh, |draft| draft.seal(position()), BatchSize::SmallInput);
    });
}

fn decode(criterion: &mut Criterion) {
    let specimen = Specimen::new();
    let mut group = criterion.benchmark_group("decode");
    group.bench_function("entry", |it| it.iter(|| Entry::parse(black_box(&specimen.entry))));
    group.bench_function("envelope", |it| {
        it.iter(|| Envelope::parse(black_box(&specimen.envelope)));
    });
    group.bench_function("canonical check", |it| {
        it.iter(|| canonical::check(MessageName::Event, black_box(&specimen.payload)));
    });
    group.bench_function("event, check and parse", |it| {
        it.iter(|| decode_event(black_box(&specimen.payload)));
    });
    group.finish();
}

fn rules(criterion: &mut Criterion) {
    let mut world = World::new();
    for _ in 0..10_000 {
        world.copper(COLLECTOR, 1_000_000);
    }
    let id = lot(world.fresh());
    let collect = world.attempt(COLLECTOR, domain_kit::collect(new_lot(id, "CU", 5_000)));
    let parent = world.copper(COLLECTOR, 10_000);
    let (left, right) = (lot(world.fresh()), lot(world.fresh()));
    let children = [domain_kit::draw(left, 6_000), domain_kit::draw(right, 4_000)];
    let split = SplitLot { parent, children: children.to_vec(), handling_loss: Grams::ZERO };
    let split = world.attempt(COLLECTOR, Body::SplitLot(split));
    let mut group = criterion.benchmark_group("rules, in memory");
    for (name, attempt) in [("collect", collect), ("split", split)] {
        world.judge(&attempt).unwrap();
        group.bench_function(name, |it| it.iter(|| world.judge(black_box(&attempt))));
    }
    group.finish();
}

fn trees(criterion: &mut Criterion) {
    let leaves: Vec<Hash32> = (0..LEAVES).map(|it| sha256(&it.to_be_bytes())).collect();
    let (mut frontier, mut tiles) = (Frontier::default(), TileBuilder::default());
    for leaf in &leaves {
        frontier.push(*leaf);
        tiles.push(*leaf);
    }
    let mut group = criterion.benchmark_group("tree");
    group.bench_function("frontier, a leaf", |it| it.iter(|| frontier.push(black_box(leaves[0]))));
    group.bench_function("frontier, root", |it| it.iter(|| frontier.root()));
    group.bench_function("tiles, a leaf", |it| it.iter(|| tiles.push(black_box(leaves[0]))));
    group.finish();
}

fn signatures(criterion: &mut Criterion) {
    let specimen = Specimen::new();
    let message = pae(EVENT_PAYLOAD_TYPE, &specimen.payload);
    let signature = key().sign(&message);
    let ours = StrictKey::parse(&key().public_key()).unwrap();
    let plain = VerifyingKey::from_bytes(key().public_key().as_bytes()).unwrap();
    let parsed = ed25519_dalek::Signature::from_bytes(&signature);
    let mut group = criterion.benchmark_group("signature");
    group.bench_function("verify_strict of dalek", |it| {
        it.iter(|| plain.verify_strict(black_box(&message), &parsed));
    });
    group.bench_function("ours", |it| it.iter(|| ours.verify(black_box(&message), &signature)));
    group.bench_function("sign", |it| it.iter(|| key().sign(black_box(&message))));
    group.bench_function("the event that is signed, in bytes", |it| {
        it.iter(|| encode_event(black_box(&specimen.event)));
    });
    group.finish();
}

/// Signatures of 64 signers with tables, in batches; a call decides as many as its name says.
fn tables(criterion: &mut Criterion) {
    let payload = Specimen::new().payload;
    let message = pae(EVENT_PAYLOAD_TYPE, &payload);
    let tables = SignerTables::default();
    let mut signed = Vec::new();
    for number in 0..64 {
        let own = SigningKey::from_seed([number; 32]);
        let key = StrictKey::parse(&own.public_key()).unwrap();
        signed.push((key, own.sign(&message)));
    }
    let turns = TABLE_AFTER_SIGNATURES as usize;
    let checks: Vec<Check<'_>> = std::iter::repeat_n(&signed, turns)
        .flatten()
        .map(|(key, signature)| Check { key, message: &message, signature })
        .collect();
    tables.check_all(&checks);
    assert_eq!(tables.table_count(), 64);
    let mut group = criterion.benchmark_group("signatures with tables");
    for count in [1, 16, 256] {
        let mut batches = checks.chunks(count).cycle();
        group.throughput(Throughput::Elements(count as u64));
        group.bench_function(count.to_string(), |it| {
            it.iter(|| tables.check_all(batches.next().unwrap()));
        });
    }
    group.finish();
}
