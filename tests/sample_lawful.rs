//! The sample through the rules, without a disk or a server: every event is accepted, and
//! provenance agrees with the state about every gram.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop")]

#[path = "common/vectors.rs"]
mod vectors;

use std::collections::BTreeMap;

use urbanmine::cli::event_json::{SampleIds, SymbolContext};
use urbanmine::cli::script::{self, ScriptBatch};
use urbanmine::domain::apply::{Moment, Signed, apply};
use urbanmine::domain::event::{Body, Event, Genesis};
use urbanmine::domain::memory::MemoryState;
use urbanmine::domain::party::{DatedRole, Party};
use urbanmine::domain::units::{OffsetMin, TimeMs, Validity};
use urbanmine::domain::vocabulary::{EventKind, PartyRole};
use urbanmine::domain::{EntryIndex, EventId, KeyId, Origin, PartyId, PublicKey, Tables, tables};
use urbanmine::ledger::checkpoint::read_checkpoint;
use urbanmine::ledger::hash::sha256;
use urbanmine::ledger::keys::{SigningKey, key_id};
use vectors::check_vectors;

const SCRIPTS: &[&str] = &[
    include_str!("../samples/jiangxi/01-registry.jsonl"),
    include_str!("../samples/jiangxi/02-copper.jsonl"),
    include_str!("../samples/jiangxi/03-aluminium.jsonl"),
    include_str!("../samples/jiangxi/04-lead.jsonl"),
    include_str!("../samples/jiangxi/05-rare-earth.jsonl"),
    include_str!("../samples/jiangxi/06-corrections-and-holds.jsonl"),
    include_str!("../samples/jiangxi/07-the-rest-of-the-trade.jsonl"),
    include_str!("../samples/jiangxi/08-daily-trade.jsonl"),
];
const ORIGIN: &str = "urbanmine.example/jiangxi-demo";
/// 2026-11-01: after everything in the sample.
const NOW: TimeMs = TimeMs::of(1_793_462_400_000);

struct Sample {
    state: MemoryState,
    tables: Tables,
    next: u64,
    by_kind: BTreeMap<EventKind, usize>,
}

fn key(name: &str) -> PublicKey {
    SigningKey::from_seed(sha256(name.as_bytes()).0).public_key()
}

fn batches() -> Vec<ScriptBatch> {
    let mut keys = BTreeMap::new();
    for script in SCRIPTS {
        for rest in script.split("\"@key/").skip(1) {
            let name = format!("key/{}", rest.split('"').next().unwrap());
            keys.insert(name.clone(), key(&name));
        }
    }
    let ids = SampleIds::new(keys);
    let lookup = |symbol: &SymbolContext<'_>| ids.resolve(symbol);
    let read = |script: &&str| script::read(script, ORIGIN, &lookup).unwrap();
    SCRIPTS.iter().flat_map(read).collect()
}

fn genesis() -> Event {
    let ids = SampleIds::default();
    let id = ids.resolve(&SymbolContext { field: "party_id", name: "party/coordinator" }).unwrap();
    let event = ids.resolve(&SymbolContext { field: "event_id", name: "genesis" }).unwrap();
    let coordinator = Party {
        id: PartyId::parse(&id).unwrap(),
        credit_code: "11360102MAFK00010W".to_owned(),
        name_zh: String::new(),
        name_en: String::new(),
        roles: vec![DatedRole {
            role: PartyRole::Coordinator,
            validity: Validity { from: TimeMs::default(), to: None },
        }],
        credit_code_waiver: None,
    };
    Event {
        id: EventId::parse(&event).unwrap(),
        origin: Origin::parse(ORIGIN).unwrap(),
        actor: coordinator.id,
        site: None,
        occurred_at: TimeMs::of(1),
        occurred_at_offset: OffsetMin::default(),
        documents: Vec::new(),
        commitments: Vec::new(),
        external_ref: String::new(),
        body: Body::Genesis(Genesis {
            ledger_key: key("ledger"),
            tables_hash: sha256(tables::builtin().as_bytes()),
            rules_version: 1,
            coordinator,
            coordinator_key: key("coordinator"),
            previous_checkpoint: String::new(),
        }),
    }
}

impl Sample {
    fn take(&mut self, event: &Event, payload: &[u8], signers: &[KeyId], following: usize) {
        let index = EntryIndex(self.next);
        let moment = Moment {
            index,
            recorded_at: NOW,
            following,
            tables: Some(&self.tables),
            sha256,
            checkpoint: read_checkpoint,
        };
        let signed = Signed { event, payload_hash: sha256(payload), signers };
        let effects = apply(&self.state, signed, moment)
            .unwrap_or_else(|refused| panic!("{:?} {}: {refused}", event.body.kind(), event.id));
        self.state.absorb(&effects, event.id);
        self.next += 1;
        *self.by_kind.entry(event.body.kind()).or_default() += 1;
    }

    fn run() -> Self {
        let tables = Tables::parse(tables::builtin()).unwrap();
        let state = MemoryState::default();
        let mut sample = Self { state, tables, next: 0, by_kind: BTreeMap::new() };
        let genesis = genesis();
        let mut signers = [key_id(&key("ledger")), key_id(&key("coordinator"))];
        signers.sort();
        sample.take(&genesis, b"genesis", &signers, 0);
        // The tables are in force from here on; their publication is the node's and judge's to
        // test.
        sample.state.ledger.as_mut().unwrap().are_tables_published = true;
        for batch in batches() {
            for (position, event) in batch.events.iter().enumerate() {
                let parties = [event.actor].into_iter().chain(event.cosigners.iter().copied());
                let at = event.event.occurred_at;
                let mut signers: Vec<KeyId> =
                    parties.map(|party| sample.signer_of(party, at)).collect();
                signers.sort();
                let following = batch.events.len() - position - 1;
                sample.take(&event.event, &event.payload, &signers, following);
            }
        }
        sample
    }

    /// A key of a party that is valid then and not revoked.
    fn signer_of(&self, party: PartyId, at: TimeMs) -> KeyId {
        let keys = self.state.parties[&party].keys.iter().map(|id| &self.state.keys[id]);
        let mut good = keys.filter(|key| key.revoked.is_none() && key.validity.contains(at));
        good.next().unwrap_or_else(|| panic!("no key signs for {party}")).id
    }
}

#[test]
fn every_event_is_lawful_and_every_kind_is_there() {
    let sample = Sample::run();
    // The node publishes the tables; an attestation quotes a checkpoint that no file can know.
    let elsewhere = [EventKind::PublishTables, EventKind::Attest];
    for kind in EventKind::ALL.iter().filter(|kind| !elsewhere.contains(kind)) {
        assert!(sample.by_kind.contains_key(kind), "no {kind} in the sample");
    }
    assert!(sample.next >= 800, "{} events", sample.next);
    assert!(sample.state.lots.len() >= 200, "{} lots", sample.state.lots.len());
    assert!(sample.state.parties.len() >= 14, "{} parties", sample.state.parties.len());
}

#[test]
fn vectors_sum_to_what_the_state_says_is_contained() {
    let sample = Sample::run();
    // The sample corrects events whose lots nobody had used: nothing else keeps a share of them.
    let (masses, contents) = check_vectors(&sample.state, true);
    assert!(masses >= 80 && contents >= 500, "{masses} masses, {contents} contents");
}
