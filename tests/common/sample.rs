//! The sample through the rules, without a disk or a server.

use std::collections::BTreeMap;

use urbanmine::cli::event_json::{SampleIds, SymbolContext};
use urbanmine::cli::script::{self, ScriptBatch};
use urbanmine::domain::apply::{Moment, Signed, apply};
use urbanmine::domain::event::{Body, Event, Genesis};
use urbanmine::domain::fact::Fact;
use urbanmine::domain::memory::MemoryState;
use urbanmine::domain::party::{DatedRole, Party};
use urbanmine::domain::units::{OffsetMin, TimeMs, Validity};
use urbanmine::domain::vocabulary::{EventKind, PartyRole};
use urbanmine::domain::{EntryIndex, EventId, KeyId, Origin, PartyId, PublicKey, Tables, tables};
use urbanmine::ledger::checkpoint::read_checkpoint;
use urbanmine::ledger::hash::sha256;
use urbanmine::ledger::keys::{SigningKey, key_id};

/// The sample, script by script.
pub const SCRIPTS: &[&str] = &[
    include_str!("../../samples/jiangxi/01-registry.jsonl"),
    include_str!("../../samples/jiangxi/02-copper.jsonl"),
    include_str!("../../samples/jiangxi/03-aluminium.jsonl"),
    include_str!("../../samples/jiangxi/04-lead.jsonl"),
    include_str!("../../samples/jiangxi/05-rare-earth.jsonl"),
    include_str!("../../samples/jiangxi/06-corrections-and-holds.jsonl"),
    include_str!("../../samples/jiangxi/07-the-rest-of-the-trade.jsonl"),
    include_str!("../../samples/jiangxi/08-daily-trade.jsonl"),
];
/// Lawful, and yet: what comes after the sample, for those who look for it.
pub const LAUNDERERS: &str = include_str!("../../samples/jiangxi/09-launderers.jsonl");
/// Cases that look like metal made clean on paper, with parties of their own; after the first of
/// the scripts.
pub const PAPER_TRAILS: &str = include_str!("../../samples/jiangxi/10-paper-trails.jsonl");
const ORIGIN: &str = "urbanmine.example/jiangxi-demo";
/// 2026-11-01: after everything in the sample.
const NOW: TimeMs = TimeMs::of(1_793_462_400_000);

/// The replayed sample.
pub struct Sample {
    /// What the events made.
    pub state: MemoryState,
    /// The tables that judged them.
    pub tables: Tables,
    /// How many there were.
    pub next: u64,
    /// How many of each kind.
    pub by_kind: BTreeMap<EventKind, usize>,
    /// Each event, and what it changed.
    pub facts: Vec<(Event, Fact)>,
}

fn key(name: &str) -> PublicKey {
    SigningKey::from_seed(sha256(name.as_bytes()).0).public_key()
}

fn batches(scripts: &[&str]) -> Vec<ScriptBatch> {
    let mut keys = BTreeMap::new();
    for script in scripts {
        for rest in script.split("\"@key/").skip(1) {
            let name = format!("key/{}", rest.split('"').next().unwrap());
            keys.insert(name.clone(), key(&name));
        }
    }
    let ids = SampleIds::new(keys);
    let lookup = |symbol: &SymbolContext<'_>| ids.resolve(symbol);
    let read = |script: &&str| script::read(script, ORIGIN, &lookup).unwrap();
    scripts.iter().flat_map(read).collect()
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
    fn take(
        &mut self,
        event: &Event,
        payload: &[u8],
        signers: &[KeyId],
        following: usize,
        recorded_at: TimeMs,
        after: &mut dyn FnMut(&MemoryState, &Event, &Fact),
    ) {
        let index = EntryIndex(self.next);
        let moment = Moment {
            index,
            recorded_at,
            following,
            tables: Some(&self.tables),
            sha256,
            checkpoint: read_checkpoint,
        };
        let signed = Signed { event, payload_hash: sha256(payload), signers };
        let effects = apply(&self.state, signed, moment)
            .unwrap_or_else(|refused| panic!("{:?} {}: {refused}", event.body.kind(), event.id));
        let fact = Fact::of(index, moment.recorded_at, event.id, &effects);
        self.state.absorb(effects, event.id);
        self.facts.push((event.clone(), fact));
        after(&self.state, event, &self.facts[self.facts.len() - 1].1);
        self.next += 1;
        *self.by_kind.entry(event.body.kind()).or_default() += 1;
    }

    /// All of it.
    pub fn run() -> Self {
        Self::run_with(SCRIPTS, &mut |_, _, _| {})
    }

    /// Some scripts, each after those before; and what is asked after every event.
    pub fn run_with(scripts: &[&str], after: &mut dyn FnMut(&MemoryState, &Event, &Fact)) -> Self {
        Self::run_clocked(scripts, &mut |_| NOW, after)
    }

    /// The same, with the ledger's clock as each event is recorded.
    pub fn run_clocked(
        scripts: &[&str],
        clock: &mut dyn FnMut(&Event) -> TimeMs,
        after: &mut dyn FnMut(&MemoryState, &Event, &Fact),
    ) -> Self {
        let tables = Tables::parse(tables::builtin()).unwrap();
        let state = MemoryState::default();
        let by_kind = BTreeMap::new();
        let mut sample = Self { state, tables, next: 0, by_kind, facts: Vec::new() };
        let genesis = genesis();
        let mut signers = [key_id(&key("ledger")), key_id(&key("coordinator"))];
        signers.sort();
        let recorded_at = clock(&genesis);
        sample.take(&genesis, b"genesis", &signers, 0, recorded_at, after);
        // The tables are in force from here on; their publication is the node's and judge's to
        // test.
        sample.state.ledger.as_mut().unwrap().are_tables_published = true;
        for batch in batches(scripts) {
            for (position, event) in batch.events.iter().enumerate() {
                let parties = [event.actor].into_iter().chain(event.cosigners.iter().copied());
                let at = event.event.occurred_at;
                let mut signers: Vec<KeyId> =
                    parties.map(|party| sample.signer_of(party, at)).collect();
                signers.sort();
                let following = batch.events.len() - position - 1;
                let recorded_at = clock(&event.event);
                let (event, payload) = (&event.event, &event.payload);
                sample.take(event, payload, &signers, following, recorded_at, after);
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
