//! The stone is checked: golden vectors from fixed keys, a thousand generated entries in one
//! constant, and `docs/FORMAT.md` holding the same bytes. When one of these fails, the format has
//! changed.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::fmt::Write as _;

use bytes::Bytes;
use prost::Message as _;
use sha2::{Digest as _, Sha256};
use urbanmine::domain::effects::LotLink;
use urbanmine::domain::{EntryCount, EntryIndex, Hash32, LotId, Origin, TimeMs};
use urbanmine::ledger::checkpoint::vkey;
use urbanmine::ledger::envelope::pae;
use urbanmine::ledger::hash::{node_hash, sha256};
use urbanmine::ledger::{
    ChainValue, Checkpoint, Draft, EVENT_PAYLOAD_TYPE, Entry, EntryKind, Envelope, Frontier,
    Position, Receipt, STATEMENT_PAYLOAD_TYPE, Sealed, SignedCheckpoint, SigningKey,
};
use urbanmine::wire::canonical::{MessageName, check};
use urbanmine::wire::v1;

/// SHA-256 over a thousand generated entries, the last chain value and the root.
const THOUSAND_ENTRIES: &str = "afb7cb6e4606d1d5cd77c851daabeebe37a8acb95253b3c26441857836b319a9";

const FORMAT: &str = include_str!("../docs/FORMAT.md");
const ENVELOPE: &str = include_str!("vectors/envelope.txt");
const ENTRY: &str = include_str!("vectors/entry.txt");
const CHAIN: &str = include_str!("vectors/chain.txt");
const CHECKPOINT: &str = include_str!("vectors/checkpoint.txt");
const RECEIPT: &str = include_str!("vectors/receipt.txt");

const ORIGIN: &str = "urbanmine.example/jiangxi";
const TABLES: &str = "== a.csv 4\nx,1\n== b.csv 6\ny,2,3\n";
const NOON_MS: u64 = 1_480_000_000_000;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut out, byte| {
        write!(out, "{byte:02x}").unwrap();
        out
    })
}

fn unhex(text: &str) -> Bytes {
    let digits = text.as_bytes().chunks(2);
    digits.map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

/// A line `name: value` of a vector file.
fn line<'a>(file: &'a str, name: &str) -> &'a str {
    let of_name = |line: &'a str| line.strip_prefix(name)?.strip_prefix(": ");
    file.lines().find_map(of_name).unwrap_or_else(|| panic!("no vector {name}"))
}

fn coordinator() -> SigningKey {
    SigningKey::from_seed([1; 32])
}

fn ledger() -> SigningKey {
    SigningKey::from_seed([2; 32])
}

fn collector() -> SigningKey {
    SigningKey::from_seed([3; 32])
}

fn origin() -> Origin {
    Origin::parse(ORIGIN).unwrap()
}

/// A readable `UUIDv7`.
fn id(number: u8) -> [u8; 16] {
    let mut bytes = [0x01, 0x58, 0x98, 0, 0, 0, 0x70, 0, 0x80, 0, 0, 0, 0, 0, 0, 0];
    bytes[15] = number;
    bytes
}

fn id_bytes(number: u8) -> Bytes {
    Bytes::copy_from_slice(&id(number))
}

fn event(number: u8, actor: u8, body: v1::event::Body) -> v1::Event {
    v1::Event {
        event_id: id_bytes(number),
        origin: ORIGIN.to_owned(),
        actor_party_id: id_bytes(actor),
        occurred_at_ms: NOON_MS + u64::from(number),
        occurred_at_offset_min: 480,
        body: Some(body),
        ..Default::default()
    }
}

fn genesis() -> Bytes {
    let role = v1::DatedRole {
        role: v1::PartyRole::Coordinator.into(),
        valid_from_ms: NOON_MS,
        valid_to_ms: 0,
    };
    let coordinator_record = v1::PartyRecord {
        party_id: id_bytes(0xa1),
        credit_code: "11360000014500125Y".to_owned(),
        name_en: "Provincial integration office".to_owned(),
        roles: vec![role],
        ..Default::default()
    };
    let body = v1::Genesis {
        ledger_public_key: Bytes::copy_from_slice(ledger().public_key().as_bytes()),
        tables_sha256: Bytes::copy_from_slice(sha256(TABLES.as_bytes()).as_bytes()),
        rules_version: 1,
        coordinator: Some(coordinator_record),
        coordinator_public_key: Bytes::copy_from_slice(coordinator().public_key().as_bytes()),
        previous_checkpoint: String::new(),
    };
    event(1, 0xa1, v1::event::Body::Genesis(body)).encode_to_vec().into()
}

fn collect() -> Bytes {
    let lot = v1::NewLot {
        lot_id: id_bytes(0xb1),
        material: "CU_SCRAP_NO2".to_owned(),
        form: "CABLE".to_owned(),
        origin_kind: v1::OriginKind::PostConsumer.into(),
        net_mass_g: 1_250_000,
        custody_model: v1::CustodyModel::Segregated.into(),
        ..Default::default()
    };
    let weighing = v1::Weighing {
        gross_g: 9_250_000,
        tare_g: 8_000_000,
        net_g: 1_250_000,
        ticket: "T-1".to_owned(),
    };
    let body = v1::CollectLot {
        lot: Some(lot),
        seller_kind: v1::SellerKind::NaturalPerson.into(),
        seller_commitment: Bytes::copy_from_slice(sha256(b"salt and seller").as_bytes()),
        weighing: Some(weighing),
        origin_region: "360704".to_owned(),
        invoice_class: v1::InvoiceClass::Reverse.into(),
        ..Default::default()
    };
    let mut event = event(2, 0xa2, v1::event::Body::CollectLot(body));
    event.site_id = id_bytes(0xc1);
    event.encode_to_vec().into()
}

fn hold() -> Bytes {
    let body = v1::HoldLot {
        lot_id: id_bytes(0xb1),
        reason: v1::HoldReason::Investigation.into(),
        authority: "notice 7".to_owned(),
    };
    event(3, 0xa1, v1::event::Body::HoldLot(body)).encode_to_vec().into()
}

fn statement() -> Bytes {
    let body = v1::RestartNote { software: "urbanmine 0.1.0".to_owned() };
    let body = Some(v1::statement::Body::RestartNote(body));
    v1::Statement { origin: ORIGIN.to_owned(), body }.encode_to_vec().into()
}

fn draft(kind: EntryKind, payload: Bytes, keys: &[&SigningKey], links: Vec<LotLink>) -> Draft {
    Draft {
        kind,
        recorded_at: TimeMs::of(NOON_MS + 5_000),
        rules_version: 1,
        tables_hash: sha256(TABLES.as_bytes()),
        links,
        envelope: Envelope::sign(kind.payload_type(), payload, keys).encode(),
    }
}

/// Genesis; a collect and a hold in one batch; a statement.
fn golden_entries() -> Vec<Sealed> {
    let lot = LotId::parse(&id(0xb1)).unwrap();
    let first = vec![LotLink { lot, ordinal: 0, previous: None }];
    let second = vec![LotLink { lot, ordinal: 1, previous: Some(EntryIndex(1)) }];
    let drafts = [
        (draft(EntryKind::Event, genesis(), &[&coordinator(), &ledger()], vec![]), 0, 1),
        (draft(EntryKind::Event, collect(), &[&collector()], first), 1, 2),
        (draft(EntryKind::Event, hold(), &[&coordinator()], second), 1, 2),
        (draft(EntryKind::Statement, statement(), &[&ledger()], vec![]), 3, 1),
    ];
    let mut previous = ChainValue::START;
    let mut entries = Vec::new();
    for (index, (draft, batch_first, batch_len)) in (0..).zip(drafts) {
        let (index, batch_first) = (EntryIndex(index), EntryIndex(batch_first));
        let position = Position { index, previous, batch_first, batch_len };
        let sealed = draft.seal(position).unwrap();
        previous = sealed.chain();
        entries.push(sealed);
    }
    entries
}

fn golden_checkpoint() -> SignedCheckpoint {
    let mut frontier = Frontier::default();
    for entry in golden_entries() {
        frontier.push(entry.leaf());
    }
    let (size, root) = (frontier.size(), frontier.root());
    Checkpoint { origin: origin(), size, root }.sign(&ledger())
}

/// For entry 2, whose way up is leaf 3 and then the node over leaves 0 and 1.
fn golden_receipt() -> Receipt {
    let entries = golden_entries();
    Receipt {
        entry: entries[2].bytes().clone(),
        index: EntryIndex(2),
        proof: vec![entries[3].leaf(), node_hash(&entries[0].leaf(), &entries[1].leaf())],
        checkpoint: golden_checkpoint(),
    }
}

fn envelope_file() -> String {
    let mut out = String::new();
    for (name, key) in
        [("coordinator", coordinator()), ("ledger", ledger()), ("collector", collector())]
    {
        writeln!(out, "{name} seed: {}", hex(&*key.seed())).unwrap();
        writeln!(out, "{name} public key: {}", key.public_key()).unwrap();
        writeln!(out, "{name} key id: {}", key.key_id()).unwrap();
    }
    let envelope = Envelope::sign(EVENT_PAYLOAD_TYPE, hold(), &[&coordinator()]);
    writeln!(out, "hold payload: {}", hex(&hold())).unwrap();
    writeln!(out, "hold signed bytes: {}", hex(&pae(EVENT_PAYLOAD_TYPE, &hold()))).unwrap();
    writeln!(out, "hold signature: {}", hex(&envelope.signatures[0].signature)).unwrap();
    writeln!(out, "hold envelope: {}", hex(&envelope.encode())).unwrap();
    let signed = pae(STATEMENT_PAYLOAD_TYPE, &statement());
    writeln!(out, "statement signed bytes: {}", hex(&signed)).unwrap();
    out
}

fn entry_file() -> String {
    let mut out = format!("tables hash: {}\n", sha256(TABLES.as_bytes()));
    for (index, entry) in golden_entries().iter().enumerate() {
        writeln!(out, "entry {index}: {}", hex(entry.bytes())).unwrap();
    }
    out
}

fn chain_file() -> String {
    let (mut out, mut frontier) = (String::new(), Frontier::default());
    for (index, entry) in golden_entries().iter().enumerate() {
        frontier.push(entry.leaf());
        writeln!(out, "chain value {index}: {}", hex(&entry.chain().0)).unwrap();
        writeln!(out, "leaf {index}: {}", entry.leaf()).unwrap();
        writeln!(out, "root of {}: {}", index + 1, frontier.root()).unwrap();
    }
    out
}

#[test]
fn the_encoders_still_write_the_golden_vectors() {
    assert_eq!(envelope_file(), ENVELOPE);
    assert_eq!(entry_file(), ENTRY);
    assert_eq!(chain_file(), CHAIN);
    assert_eq!(golden_checkpoint().text(), CHECKPOINT);
    assert_eq!(golden_receipt().encode(), RECEIPT);
}

#[test]
fn the_golden_payloads_are_canonical() {
    for (name, payload) in [("genesis", genesis()), ("collect", collect()), ("hold", hold())] {
        assert_eq!(check(MessageName::Event, &payload), Ok(()), "{name}");
    }
    assert_eq!(check(MessageName::Statement, &statement()), Ok(()));
}

#[test]
fn the_golden_vectors_still_parse_and_verify() {
    let mut previous = ChainValue::START;
    for index in 0..4_u64 {
        let bytes = unhex(line(ENTRY, &format!("entry {index}")));
        let entry = Entry::parse(&bytes).unwrap();
        assert_eq!((entry.index, entry.previous), (EntryIndex(index), previous));
        assert!(Envelope::parse(&entry.envelope).is_ok());
        previous =
            ChainValue(*unhex(line(CHAIN, &format!("chain value {index}"))).first_chunk().unwrap());
        assert_eq!(ChainValue::of_entry(&bytes), previous);
    }
    let key = ledger().public_key();
    let (checkpoint, _) = SignedCheckpoint::open(CHECKPOINT.as_bytes(), &origin(), &key).unwrap();
    assert_eq!(checkpoint.size, EntryCount(4));
    assert_eq!(checkpoint.root.to_string(), line(CHAIN, "root of 4"));
    let receipt = Receipt::parse(RECEIPT.as_bytes()).unwrap();
    assert_eq!(receipt.verify(&origin(), &key).unwrap().entry().index, EntryIndex(2));
}

/// Numbers without a library, so that no update of one changes them: SHA-256 of a counter.
struct Numbers(u64);

impl Numbers {
    fn block(&mut self) -> [u8; 32] {
        self.0 += 1;
        sha256(&self.0.to_be_bytes()).0
    }

    fn below(&mut self, end: u64) -> u64 {
        u64::from_be_bytes(*self.block().first_chunk().unwrap()) % end
    }
}

fn generated(numbers: &mut Numbers, index: u64, keys: &[SigningKey]) -> Draft {
    let is_statement = index > 0 && numbers.below(10) == 0;
    let kind = if is_statement { EntryKind::Statement } else { EntryKind::Event };
    let link_count = if index == 0 || is_statement { 0 } else { numbers.below(6) };
    let mut links: Vec<LotLink> = (0..link_count).map(|_| generated_link(numbers, index)).collect();
    links.sort();
    let payload_blocks = 1 + numbers.below(12);
    let payload: Vec<u8> = (0..payload_blocks).flat_map(|_| numbers.block()).collect();
    let signer_count = 1 + usize::try_from(numbers.below(4)).unwrap();
    let signers: Vec<&SigningKey> = keys.iter().take(signer_count).collect();
    Draft {
        recorded_at: TimeMs::of(NOON_MS + index * 1_000 + numbers.below(1_000)),
        rules_version: 1 + u16::try_from(numbers.below(3)).unwrap(),
        tables_hash: Hash32(numbers.block()),
        ..draft(kind, payload.into(), &signers, links)
    }
}

fn generated_link(numbers: &mut Numbers, index: u64) -> LotLink {
    let mut lot: [u8; 16] = *numbers.block().first_chunk().unwrap();
    lot[6] = 0x70 | (lot[6] & 0x0f);
    lot[8] = 0x80 | (lot[8] & 0x3f);
    let lot = LotId::parse(&lot).unwrap();
    let ordinal = u32::try_from(numbers.below(5)).unwrap();
    let previous = (ordinal > 0).then(|| EntryIndex(numbers.below(index)));
    LotLink { lot, ordinal, previous }
}

fn thousand_entries() -> String {
    let keys: Vec<SigningKey> = (1..=4).map(|seed| SigningKey::from_seed([seed; 32])).collect();
    let (mut numbers, mut frontier) = (Numbers(0), Frontier::default());
    let (mut previous, mut hasher) = (ChainValue::START, Sha256::new());
    for index in 0..1_000_u64 {
        let draft = generated(&mut numbers, index, &keys);
        let batch_first = EntryIndex(index - index % 4);
        let position = Position { index: EntryIndex(index), previous, batch_first, batch_len: 4 };
        let sealed = draft.seal(position).unwrap();
        previous = sealed.chain();
        frontier.push(sealed.leaf());
        hasher.update(sealed.bytes());
    }
    hasher.update(previous.0);
    hasher.update(frontier.root().0);
    hex(&hasher.finalize())
}

#[test]
fn a_thousand_generated_entries_hash_to_the_constant() {
    assert_eq!(thousand_entries(), THOUSAND_ENTRIES);
}

#[test]
fn the_format_document_pins_the_constant() {
    let pinned = format!("Golden constant over a thousand entries: {THOUSAND_ENTRIES}\n");
    assert!(FORMAT.contains(&pinned), "docs/FORMAT.md must hold: {pinned}");
}

#[test]
fn the_format_document_shows_the_golden_vectors() {
    let shown: String = FORMAT.split_whitespace().collect();
    for file in [ENVELOPE, ENTRY, CHAIN] {
        for line in file.lines() {
            let (name, value) = line.split_once(": ").unwrap();
            assert!(shown.contains(value), "docs/FORMAT.md must show {name}: {value}");
        }
    }
    assert!(FORMAT.contains(CHECKPOINT), "docs/FORMAT.md must show the checkpoint:\n{CHECKPOINT}");
    let receipt: String = RECEIPT.split_whitespace().collect();
    assert!(shown.contains(&receipt), "docs/FORMAT.md must show the receipt:\n{RECEIPT}");
    let vkey = vkey(&origin(), &ledger().public_key());
    assert!(FORMAT.contains(&vkey), "docs/FORMAT.md must show the verifier key {vkey}");
}
