//! A forging writer, for tests only: whole ledgers in memory in which every hash, link, chain
//! value, checkpoint and signature is right, and no rule is ever asked. It shares no rule with the
//! judge: which lots an entry links is worked out by hand from what its event names.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use urbanmine::domain::effects::LotLink;
use urbanmine::domain::event::{Genesis, PublishTables, RegisterKey};
use urbanmine::domain::party::{DatedRole, Licence, Party, Site};
use urbanmine::domain::units::Validity;
use urbanmine::domain::vocabulary::{LicenceKind, PartyRole};
use urbanmine::domain::{
    Body, EntryCount, EntryIndex, Event, EventId, Grams, Hash32, LicenceId, LotId, OffsetMin,
    Origin, PartyId, PublicKey, SiteId, TimeMs,
};
use urbanmine::ledger::hash::sha256;
use urbanmine::ledger::{
    ChainValue, Checkpoint, Draft, EVENT_PAYLOAD_TYPE, EntryKind, Envelope, Frontier, Position,
    STATEMENT_PAYLOAD_TYPE, SignedCheckpoint, SigningKey,
};
use urbanmine::verify::{GroupInput, Pins, Report, Verifier};
use urbanmine::wire::statement::{Statement, StatementBody};
use urbanmine::wire::{encode_event, encode_statement};

use super::forge_world::{COORD, FAR_REGION, NEAR_REGION, PARTIES, REFINE, WASTE, tables_text};

/// The clock before the first entry, in milliseconds: a day in the year 2024.
pub const START_MS: u64 = 1_718_000_000_000;
/// From when to when licences, roles and keys of the world are valid.
pub const VALID: Validity = Validity { from: TimeMs::of(START_MS - 1_000_000), to: None };
/// Bytes of a chunk of tables: few, so that a set takes several.
const CHUNK_BYTES: usize = 1_500;
/// The seed of the ledger's key; parties have their own number.
pub const LEDGER: u8 = 200;

/// A ledger as it would lie on disk.
#[derive(Clone)]
pub struct Forged {
    /// The entries.
    pub entries: Vec<Bytes>,
    /// How many entries each commit group has.
    pub groups: Vec<usize>,
    /// The checkpoint at the end of each group.
    pub checkpoints: Vec<Vec<u8>>,
}

/// The writer.
#[derive(Clone)]
pub struct Forge {
    /// What was written.
    pub forged: Forged,
    /// The clock.
    pub now: u64,
    /// The tables that entries say they were judged by.
    pub tables_hash: Hash32,
    frontier: Frontier,
    chain: ChainValue,
    serial: u64,
    in_group: usize,
    /// Per lot: entries so far, and the last of them.
    lives: BTreeMap<LotId, (u32, EntryIndex)>,
    /// Per event: the lots that it links.
    touched: BTreeMap<EventId, Vec<LotId>>,
    /// Per offer that was taken over: the lot that arrived.
    arrivals: BTreeMap<EventId, LotId>,
}

/// A private key from a number.
pub fn secret(seed: u8) -> SigningKey {
    SigningKey::from_seed([seed; 32])
}

/// The public key of a number.
pub fn public(seed: u8) -> PublicKey {
    secret(seed).public_key()
}

/// The ledger's name.
pub fn origin() -> Origin {
    Origin::parse("ledger.example/forge").unwrap()
}

/// Both pins.
pub fn pins() -> Pins {
    Pins { origin: Some(origin()), ledger_key: Some(public(LEDGER)) }
}

/// Sixteen bytes that are a `UUIDv7`, from a number.
pub const fn uuid(n: u64) -> [u8; 16] {
    ((7 << 76) | (2 << 62) | ((n as u128) << 80) | (n as u128 & 0xffff_ffff)).to_be_bytes()
}

/// The number of a party is also the seed of its first key.
pub const fn party(seed: u8) -> PartyId {
    PartyId::from_bytes(uuid(seed as u64))
}

/// The seed of a party's first key.
pub fn seed_of(id: PartyId) -> u8 {
    (1..LEDGER).find(|seed| party(*seed) == id).unwrap()
}

/// The site of a party in Jiangxi.
pub fn site(of: PartyId) -> SiteId {
    SiteId::from_bytes(uuid(1_000 + u64::from(seed_of(of))))
}

/// The site of a party in another province.
pub fn far_site(of: PartyId) -> SiteId {
    SiteId::from_bytes(uuid(2_000 + u64::from(seed_of(of))))
}

/// The payload that an event is spelled as.
pub fn payload(event: &Event) -> Bytes {
    Bytes::from(encode_event(event))
}

impl Forge {
    /// Genesis only.
    pub fn bare() -> Self {
        let tables_hash = sha256(tables_text().as_bytes());
        let mut forge = Self {
            forged: Forged { entries: Vec::new(), groups: Vec::new(), checkpoints: Vec::new() },
            now: START_MS,
            tables_hash,
            frontier: Frontier::default(),
            chain: ChainValue::START,
            serial: 10_000,
            in_group: 0,
            lives: BTreeMap::new(),
            touched: BTreeMap::new(),
            arrivals: BTreeMap::new(),
        };
        let genesis = Genesis {
            ledger_key: public(LEDGER),
            tables_hash,
            rules_version: 1,
            coordinator: party_record(COORD, &[PartyRole::Coordinator]),
            coordinator_key: public(seed_of(COORD)),
            previous_checkpoint: String::new(),
        };
        let event = forge.event(COORD, Body::Genesis(genesis));
        forge.append_signed(&event, &[seed_of(COORD), LEDGER]);
        forge
    }

    /// Genesis, tables, and a world of parties with keys, licences and sites; no lots.
    pub fn new() -> Self {
        let mut forge = Self::bare();
        forge.publish(&tables_text());
        for row in PARTIES {
            forge.register(row.id, row.roles, row.licences);
        }
        forge
    }

    /// Publishes a table set, in several chunks; entries after the last say that it judged them.
    pub fn publish(&mut self, text: &str) {
        let tables_hash = sha256(text.as_bytes());
        let chunks: Vec<&[u8]> = text.as_bytes().chunks(CHUNK_BYTES).collect();
        for (index, content) in chunks.iter().enumerate() {
            self.say(
                COORD,
                Body::PublishTables(PublishTables {
                    tables_hash,
                    chunk_index: u32::try_from(index).unwrap(),
                    chunk_count: u32::try_from(chunks.len()).unwrap(),
                    content: content.to_vec(),
                }),
            );
        }
        self.tables_hash = tables_hash;
    }

    /// A party with one key, its licences and two sites, in one commit group.
    pub fn register(&mut self, id: PartyId, roles: &[PartyRole], licences: &[LicenceKind]) {
        let seed = seed_of(id);
        let mut bodies = Vec::new();
        if id != COORD {
            bodies.push(Body::RegisterParty(party_record(id, roles)));
            let key = RegisterKey { party: id, public_key: public(seed), validity: VALID };
            bodies.push(Body::RegisterKey(key));
        }
        for (number, kind) in licences.iter().enumerate() {
            let number = u64::try_from(number).unwrap();
            let covers_waste = *kind == LicenceKind::HazardousWaste;
            let licence = Licence {
                id: LicenceId::from_bytes(uuid(3_000 + u64::from(seed) * 20 + number)),
                kind: *kind,
                number: format!("L-{seed}-{number}"),
                waste_codes: if covers_waste { vec![WASTE.to_owned()] } else { Vec::new() },
                yearly_capacity: Grams::ZERO,
                validity: VALID,
            };
            bodies.push(Body::RegisterLicence(id, licence));
        }
        for (site_id, region) in [(site(id), NEAR_REGION), (far_site(id), FAR_REGION)] {
            bodies.push(Body::RegisterSite(site_record(site_id, id, region)));
        }
        let events: Vec<Event> = bodies.into_iter().map(|body| self.event(COORD, body)).collect();
        self.group(&events.iter().map(std::slice::from_ref).collect::<Vec<_>>());
    }

    // --- events ----------------------------------------------------------------------------------

    /// A number that was not used before.
    pub fn fresh(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }

    /// Leaves out ids and time, for events of another forge that are written here too.
    pub fn skip(&mut self, count: u64) {
        self.serial += count;
        self.now += count * 1_000;
    }

    /// An id for a new lot.
    pub fn lot(&mut self) -> LotId {
        LotId::from_bytes(uuid(self.fresh()))
    }

    /// An event of an actor, now, at its site in Jiangxi where it needs one.
    pub fn event(&mut self, actor: PartyId, body: Body) -> Event {
        use Body as B;
        self.now += 1_000;
        let site = match &body {
            B::OpeningInventory(inventory) => Some(site(inventory.party)),
            B::CollectLot(_)
            | B::AssayLot(_)
            | B::SplitLot(_)
            | B::MergeLots(_)
            | B::TransformLots(_)
            | B::OpenCampaign(_)
            | B::ChargeCampaign(_)
            | B::DrawCampaign(_)
            | B::CloseCampaign(_)
            | B::OfferTransfer(_)
            | B::AcceptTransfer(_)
            | B::RejectTransfer(_)
            | B::CancelTransfer(_)
            | B::PartlyAcceptTransfer(_)
            | B::ReturnTransfer(_)
            | B::DisposeResidue(_)
            | B::Stocktake(_)
            | B::ExitLot(_) => Some(site(actor)),
            _ => None,
        };
        Event {
            id: EventId::from_bytes(uuid(self.fresh())),
            origin: origin(),
            actor,
            site,
            occurred_at: TimeMs::of(self.now),
            occurred_at_offset: OffsetMin::new(480).unwrap(),
            documents: Vec::new(),
            commitments: Vec::new(),
            external_ref: String::new(),
            body,
        }
    }

    /// Writes an event as a group of its own; its id.
    pub fn say(&mut self, actor: PartyId, body: Body) -> EventId {
        let event = self.event(actor, body);
        self.append(&event);
        event.id
    }

    /// Writes an event, signed by its actor's first key; its index.
    pub fn append(&mut self, event: &Event) -> u64 {
        self.append_signed(event, &[seed_of(event.actor)])
    }

    /// Writes an event signed by given keys.
    pub fn append_signed(&mut self, event: &Event, seeds: &[u8]) -> u64 {
        self.append_altered(event, seeds, |_| {})
    }

    /// Writes an event whose entry is altered before it is sealed.
    pub fn append_altered(
        &mut self,
        event: &Event,
        seeds: &[u8],
        alter: impl FnOnce(&mut Draft),
    ) -> u64 {
        let index = self.next();
        self.write(event, seeds, index, 1, alter);
        self.close_group();
        index
    }

    /// Writes an atomic batch as a group of its own; the index of the first.
    pub fn batch(&mut self, events: &[Event]) -> u64 {
        let first = self.next();
        self.group(&[events]);
        first
    }

    /// Writes batches, each atomic, as one commit group.
    pub fn group(&mut self, batches: &[&[Event]]) {
        for events in batches {
            let first = self.next();
            let length = u16::try_from(events.len()).unwrap();
            for event in *events {
                self.write(event, &[seed_of(event.actor)], first, length, |_| {});
            }
        }
        self.close_group();
    }

    /// Writes a batch in which the ledger speaks up between its events; the index of the first.
    pub fn batch_interrupted(&mut self, before: &Event, after: Option<&Event>) -> u64 {
        let first = self.next();
        let length = if after.is_some() { 3 } else { 2 };
        self.write(before, &[seed_of(before.actor)], first, length, |_| {});
        let body = StatementBody::RestartNote { software: "forge 1".to_owned() };
        let payload = Bytes::from(encode_statement(&Statement { origin: origin(), body }));
        let envelope = signed(STATEMENT_PAYLOAD_TYPE, payload, &[LEDGER]);
        let draft = self.draft(EntryKind::Statement, Vec::new(), envelope);
        self.seal(draft, first, length);
        if let Some(event) = after {
            self.write(event, &[seed_of(event.actor)], first, length, |_| {});
        }
        self.close_group();
        first
    }

    /// Writes a statement of the ledger, signed by given keys.
    pub fn state(&mut self, body: StatementBody, seeds: &[u8]) -> u64 {
        let statement = Statement { origin: origin(), body };
        self.state_bytes(Bytes::from(encode_statement(&statement)), seeds)
    }

    /// Writes bytes as a statement.
    pub fn state_bytes(&mut self, payload: Bytes, seeds: &[u8]) -> u64 {
        let index = self.next();
        let envelope = signed(STATEMENT_PAYLOAD_TYPE, payload, seeds);
        let draft = self.draft(EntryKind::Statement, Vec::new(), envelope);
        self.seal(draft, index, 1);
        self.close_group();
        index
    }

    /// Writes bytes as an event's payload, well signed; what they say links no lots.
    pub fn append_payload(&mut self, payload: Bytes, seeds: &[u8]) -> u64 {
        let index = self.next();
        let envelope = signed(EVENT_PAYLOAD_TYPE, payload, seeds);
        let draft = self.draft(EntryKind::Event, Vec::new(), envelope);
        self.seal(draft, index, 1);
        self.close_group();
        index
    }

    /// The index of the next entry.
    pub fn next(&self) -> u64 {
        u64::try_from(self.forged.entries.len()).unwrap()
    }

    // --- bytes -----------------------------------------------------------------------------------

    fn write(
        &mut self,
        event: &Event,
        seeds: &[u8],
        first: u64,
        length: u16,
        alter: impl FnOnce(&mut Draft),
    ) {
        let lots = self.lots_of(event);
        let links = lots.iter().map(|lot| self.link(*lot)).collect();
        match &event.body {
            Body::AcceptTransfer(it) => {
                let whole = self.touched.get(&it.offer).and_then(|lots| lots.first().copied());
                self.arrivals.extend(it.received_lot.or(whole).map(|lot| (it.offer, lot)));
            }
            Body::PartlyAcceptTransfer(it) => {
                self.arrivals.insert(it.offer, it.received_lot);
            }
            _ => {}
        }
        self.touched.insert(event.id, lots);
        let envelope = signed(EVENT_PAYLOAD_TYPE, payload(event), seeds);
        let mut draft = self.draft(EntryKind::Event, links, envelope);
        alter(&mut draft);
        self.seal(draft, first, length);
    }

    fn draft(&self, kind: EntryKind, links: Vec<LotLink>, envelope: Bytes) -> Draft {
        Draft {
            kind,
            recorded_at: TimeMs::of(self.now),
            rules_version: 1,
            tables_hash: self.tables_hash,
            links,
            envelope,
        }
    }

    fn seal(&mut self, draft: Draft, first: u64, length: u16) {
        let position = Position {
            index: EntryIndex(self.next()),
            previous: self.chain,
            batch_first: EntryIndex(first),
            batch_len: length,
        };
        let sealed = draft.seal(position).unwrap();
        self.chain = sealed.chain();
        self.frontier.push(sealed.leaf());
        self.forged.entries.push(sealed.bytes().clone());
        self.in_group += 1;
    }

    fn close_group(&mut self) {
        self.forged.groups.push(std::mem::take(&mut self.in_group));
        let (size, root) = (self.frontier.size(), self.frontier.root());
        let checkpoint = Checkpoint { origin: origin(), size, root }.sign(&secret(LEDGER));
        self.forged.checkpoints.push(checkpoint.as_bytes().to_vec());
    }

    /// The lots that an event touches: those that it names, and those of what it refers to.
    fn lots_of(&self, event: &Event) -> Vec<LotId> {
        let of_event = |id: &EventId| self.touched.get(id).cloned().unwrap_or_default();
        let mut lots = BTreeSet::new();
        match &event.body {
            Body::OpeningInventory(it) => lots.extend(it.lots.iter().map(|lot| lot.id)),
            Body::CollectLot(it) => lots.extend([it.lot.id]),
            Body::AssayLot(it) => lots.extend([it.lot]),
            Body::SplitLot(it) => {
                lots.extend(it.children.iter().map(|child| child.lot).chain([it.parent]));
            }
            Body::MergeLots(it) => {
                lots.extend(it.parents.iter().map(|draw| draw.lot).chain([it.output.id]));
            }
            Body::TransformLots(it) => {
                lots.extend(it.inputs.iter().chain(&it.additions).map(|draw| draw.lot));
                lots.extend(it.outputs.iter().chain(&it.residues).map(|new| new.id));
            }
            Body::ChargeCampaign(it) => {
                lots.extend(it.inputs.iter().chain(&it.additions).map(|draw| draw.lot));
            }
            Body::DrawCampaign(it) => {
                lots.extend(it.outputs.iter().chain(&it.residues).map(|new| new.id));
            }
            Body::OfferTransfer(it) => lots.extend([it.lot]),
            Body::AcceptTransfer(it) => {
                lots.extend(of_event(&it.offer));
                lots.extend(it.received_lot);
            }
            Body::RejectTransfer(it) | Body::CancelTransfer(it) => {
                lots.extend(of_event(&it.offer));
            }
            Body::PartlyAcceptTransfer(it) => {
                lots.extend(of_event(&it.offer));
                lots.extend([it.received_lot]);
            }
            Body::ReturnTransfer(it) => lots.extend([it.lot]),
            // Of the lots of a transfer, the one that arrived.
            Body::SettleDiscrepancy(it) => lots.extend(self.arrivals.get(&it.offer)),
            Body::DisposeResidue(it) => lots.extend([it.residue.lot]),
            Body::Stocktake(it) => lots.extend([it.lot]),
            Body::ExitLot(it) => lots.extend([it.lot.lot]),
            Body::Approval(it) => lots.extend([it.lot]),
            Body::VisibilityGrant(it) => lots.extend([it.lot]),
            Body::HoldLot(it) => lots.extend([it.lot]),
            Body::ReleaseLot(it) => lots.extend([it.lot]),
            Body::DeclareError(it) => lots.extend(of_event(&it.target)),
            _ => {}
        }
        lots.into_iter().collect()
    }

    fn link(&mut self, lot: LotId) -> LotLink {
        let now = EntryIndex(self.next());
        let life = self.lives.get(&lot).copied();
        let ordinal = life.map_or(0, |(count, _)| count);
        self.lives.insert(lot, (ordinal + 1, now));
        LotLink { lot, ordinal, previous: life.map(|(_, last)| last) }
    }
}

fn signed(payload_type: &str, payload: Bytes, seeds: &[u8]) -> Bytes {
    let keys: Vec<SigningKey> = seeds.iter().map(|seed| secret(*seed)).collect();
    Envelope::sign(payload_type, payload, &keys.iter().collect::<Vec<_>>()).encode()
}

// --- after the fact ------------------------------------------------------------------------------

/// Where the previous chain value stands in an entry.
pub const PREVIOUS: std::ops::Range<usize> = 11..43;
/// Where `recorded_at` stands.
pub const RECORDED_AT: std::ops::Range<usize> = 43..51;
/// Where the rules version stands.
pub const RULES_VERSION: std::ops::Range<usize> = 51..53;
/// Where the tables hash stands.
pub const TABLES_HASH: std::ops::Range<usize> = 53..85;
/// Where the first entry of the batch stands.
pub const BATCH_FIRST: std::ops::Range<usize> = 85..93;
/// Where the length of the batch stands.
pub const BATCH_LEN: std::ops::Range<usize> = 93..95;

impl Forged {
    /// Changes bytes of one entry.
    pub fn alter(&mut self, index: usize, alter: impl FnOnce(&mut Vec<u8>)) {
        let mut bytes = self.entries[index].to_vec();
        alter(&mut bytes);
        self.entries[index] = Bytes::from(bytes);
    }

    /// Makes chain and checkpoints right again, as whoever has the ledger's key can.
    pub fn reseal(&mut self, ledger: &SigningKey) {
        let mut chain = ChainValue::START;
        for index in 0..self.entries.len() {
            self.alter(index, |bytes| bytes[PREVIOUS].copy_from_slice(&chain.0));
            chain = ChainValue::of_entry(&self.entries[index]);
        }
        self.sign(&origin(), ledger);
    }

    /// Signs the checkpoints anew over the entries as they are.
    pub fn sign(&mut self, origin: &Origin, ledger: &SigningKey) {
        let mut frontier = Frontier::default();
        let mut next = 0;
        self.checkpoints.clear();
        for length in &self.groups {
            for entry in &self.entries[next..next + length] {
                frontier.push(urbanmine::ledger::hash::leaf_hash(entry));
            }
            next += length;
            let (size, root) = (frontier.size(), frontier.root());
            let checkpoint = Checkpoint { origin: origin.clone(), size, root }.sign(ledger);
            self.checkpoints.push(checkpoint.as_bytes().to_vec());
        }
    }

    /// The checkpoint of the head.
    pub fn head(&self) -> &[u8] {
        self.checkpoints.last().unwrap()
    }

    /// How many entries its head speaks of.
    pub fn size(&self) -> EntryCount {
        SignedCheckpoint::parse(self.head()).unwrap().0.size
    }

    /// Judged as a server gives it: checkpoint of the head, then entries.
    pub fn judge_stream(&self, pins: Pins) -> Report {
        let mut verifier = Verifier::new(pins);
        verifier.checkpoint(self.head());
        for entry in &self.entries {
            verifier.feed_entry(entry);
        }
        verifier.finish()
    }

    /// Judged as a journal gives it: groups, then the checkpoint of the head.
    pub fn judge_groups(&self, pins: Pins) -> Report {
        let mut verifier = Verifier::new(pins);
        let (mut next, mut previous): (usize, Option<&[u8]>) = (0, None);
        for (length, checkpoint) in self.groups.iter().zip(&self.checkpoints) {
            verifier.feed_group(&GroupInput {
                first: EntryIndex(u64::try_from(next).unwrap()),
                entries: &self.entries[next..next + length],
                previous_checkpoint: previous,
            });
            next += length;
            previous = Some(checkpoint);
        }
        verifier.checkpoint(self.head());
        verifier.finish()
    }
}

// --- records -------------------------------------------------------------------------------------

/// A party's record with roles.
pub fn party_record(id: PartyId, roles: &[PartyRole]) -> Party {
    let number = seed_of(id);
    Party {
        id,
        credit_code: credit_code(number),
        name_zh: String::new(),
        name_en: format!("Party {number} (fictional)"),
        roles: roles.iter().map(|&role| DatedRole { role, validity: VALID }).collect(),
        credit_code_waiver: None,
    }
}

/// A site's record where every process of the world runs.
pub fn site_record(id: SiteId, of: PartyId, region: &str) -> Site {
    Site {
        id,
        party: of,
        name_zh: String::new(),
        name_en: String::new(),
        region_code: region.to_owned(),
        base: String::new(),
        processes: vec![REFINE.to_owned()],
        yearly_capacity: Grams::ZERO,
    }
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
