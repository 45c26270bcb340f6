//! A real node on a real disk: a small world of parties, a clock of our own, and faults on demand.

#![allow(dead_code, reason = "each test file uses some of it")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use bytes::Bytes;
use urbanmine::domain::event::{CollectLot, Genesis, NewLot, PublishTables, RegisterKey, Weighing};
use urbanmine::domain::party::{DatedRole, Licence, Party, Site};
use urbanmine::domain::units::Validity;
use urbanmine::domain::vocabulary::{
    CustodyModel, InvoiceClass, LicenceKind, OriginKind, PartyRole, SellerKind,
};
use urbanmine::domain::{
    Body, EntryCount, Event, EventId, Grams, Hash32, LicenceId, LotId, OffsetMin, Origin, PartyId,
    SiteId, TimeMs, tables,
};
use urbanmine::ledger::hash::sha256;
use urbanmine::ledger::receipt::Receipt;
use urbanmine::ledger::{EVENT_PAYLOAD_TYPE, Envelope, SigningKey};
use urbanmine::limits::MAX_TABLE_CHUNK_BYTES;
use urbanmine::node::{Appended, Clock, LotStatePolicy, Node, NodeConfig, NodeFault};
use urbanmine::store::faults::{FaultPoint, Faults};
use urbanmine::store::{JournalCause, StoreFault, read_guard, read_journal};
use urbanmine::verify::{FindingKind, GroupInput, Pins, Verdict, Verifier};
use urbanmine::wire::encode_event;

/// What the clock says at first.
pub const START_MS: u64 = 1_760_000_000_000;
/// Registers.
pub const COORD: PartyId = PartyId::from_bytes(uuid(1));
/// Buys copper.
pub const COLLECTOR: PartyId = PartyId::from_bytes(uuid(2));
const YARD: SiteId = SiteId::from_bytes(uuid(3));
const VALID: Validity = Validity { from: TimeMs::of(START_MS - 1_000_000), to: None };
const LEDGER: u8 = 200;

/// Sixteen bytes that are a `UUIDv7`.
pub const fn uuid(n: u64) -> [u8; 16] {
    ((7 << 76) | (2 << 62) | ((n as u128) << 80) | (n as u128 & 0xffff_ffff)).to_be_bytes()
}

/// The ledger's name.
pub fn origin() -> Origin {
    Origin::parse("ledger.example/node").unwrap()
}

/// The ledger's key.
pub fn ledger_key() -> SigningKey {
    secret(LEDGER)
}

/// A key from a number.
pub fn secret(seed: u8) -> SigningKey {
    SigningKey::from_seed([seed; 32])
}

/// A clock that stands until a test moves it.
pub struct StandingClock(AtomicU64);

impl StandingClock {
    /// Moves it.
    pub fn set(&self, now_ms: u64) {
        self.0.store(now_ms, Ordering::SeqCst);
    }
}

impl Clock for StandingClock {
    fn now(&self) -> TimeMs {
        TimeMs::of(self.0.load(Ordering::SeqCst))
    }
}

/// Where the next fault comes, and a gate at which the writer can be made to wait.
#[derive(Default)]
pub struct Plan {
    /// Where, and how often it is passed before.
    armed: Mutex<Option<(FaultPoint, u32)>>,
    is_shut: Mutex<bool>,
    opened: Condvar,
    is_waiting: AtomicBool,
    panics: AtomicBool,
    is_guard_slow: AtomicBool,
}

impl Plan {
    /// From now on a fault is a panic, as sled's are.
    pub fn panic_instead(&self) {
        self.panics.store(true, Ordering::SeqCst);
    }

    /// Whether each move of the guard takes so long that other groups overtake it.
    pub fn slow_the_guard(&self, is_slow: bool) {
        self.is_guard_slow.store(is_slow, Ordering::SeqCst);
    }

    /// The next time that the writer comes by here it fails, once.
    pub fn arm(&self, point: FaultPoint) {
        self.arm_later(point, 0);
    }

    /// The same, after it was passed so often.
    pub fn arm_later(&self, point: FaultPoint, passes: u32) {
        *self.armed.lock().unwrap() = Some((point, passes));
    }

    /// No fault any more; whether the last one is still to come.
    pub fn disarm(&self) -> bool {
        self.armed.lock().unwrap().take().is_some()
    }

    /// The writer waits before its next journal write.
    pub fn shut(&self) {
        *self.is_shut.lock().unwrap() = true;
    }

    /// It goes on.
    pub fn open(&self) {
        *self.is_shut.lock().unwrap() = false;
        self.opened.notify_all();
    }

    /// Whether it stands at the gate.
    pub fn is_waiting(&self) -> bool {
        self.is_waiting.load(Ordering::SeqCst)
    }

    fn pass(&self, point: FaultPoint) -> bool {
        if point == FaultPoint::BeforeJournalWrite {
            let mut shut = self.is_shut.lock().unwrap();
            while *shut {
                self.is_waiting.store(true, Ordering::SeqCst);
                shut = self.opened.wait(shut).unwrap();
            }
            self.is_waiting.store(false, Ordering::SeqCst);
        }
        if point == FaultPoint::BeforeGuardAdvance && self.is_guard_slow.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(500));
        }
        let mut armed = self.armed.lock().unwrap();
        let (is_here, left) = match *armed {
            Some((at, 0)) if at == point => (true, None),
            Some((at, passes)) if at == point => (false, Some((at, passes - 1))),
            other => (false, other),
        };
        *armed = left;
        drop(armed);
        assert!(!is_here || !self.panics.load(Ordering::SeqCst), "as sled does, at {point:?}");
        is_here
    }
}

/// A ledger in a temporary directory, and all that was acknowledged of it.
pub struct Kit {
    folder: tempfile::TempDir,
    /// The clock of its node.
    pub clock: Arc<StandingClock>,
    /// The faults of its node.
    pub plan: Arc<Plan>,
    /// Receipts of acknowledged events, as text.
    pub acknowledged: BTreeMap<EventId, String>,
    /// When its node states the lots; never, unless a test says so.
    pub lot_state: LotStatePolicy,
    serial: u64,
}

impl Kit {
    /// Nothing on disk yet.
    pub fn empty() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            clock: Arc::new(StandingClock(AtomicU64::new(START_MS))),
            plan: Arc::new(Plan::default()),
            acknowledged: BTreeMap::new(),
            lot_state: LotStatePolicy::NEVER,
            serial: 1_000,
        }
    }

    /// Genesis only.
    pub fn bare() -> (Self, Node) {
        let mut kit = Self::empty();
        let node = kit.init().unwrap();
        (kit, node)
    }

    /// Genesis, tables, and a collector with a yard.
    pub async fn new() -> (Self, Node) {
        let (mut kit, node) = Self::bare();
        let founding = kit.founding();
        kit.append_batch(&node, &founding).await;
        (kit, node)
    }

    /// Makes the ledger.
    pub fn init(&mut self) -> Result<Node, NodeFault> {
        let genesis = Genesis {
            ledger_key: ledger_key().public_key(),
            tables_hash: sha256(tables::builtin().as_bytes()),
            rules_version: 1,
            coordinator: party_record(COORD, "91360702000000001", PartyRole::Coordinator),
            coordinator_key: secret(1).public_key(),
            previous_checkpoint: String::new(),
        };
        let genesis = self.event(COORD, Body::Genesis(genesis));
        let payload = Bytes::from(encode_event(&genesis));
        let signed = Envelope::sign(EVENT_PAYLOAD_TYPE, payload, &[&secret(1)]);
        Node::init(&self.config(), ledger_key(), &signed)
    }

    /// The events that a bare ledger lacks, in one batch.
    pub fn founding(&mut self) -> Vec<Event> {
        let set = tables::builtin().as_bytes();
        let chunks: Vec<&[u8]> = set.chunks(MAX_TABLE_CHUNK_BYTES).collect();
        let mut bodies = Vec::new();
        for (index, content) in chunks.iter().enumerate() {
            bodies.push(Body::PublishTables(PublishTables {
                tables_hash: sha256(set),
                chunk_index: u32::try_from(index).unwrap(),
                chunk_count: u32::try_from(chunks.len()).unwrap(),
                content: content.to_vec(),
            }));
        }
        let collector = party_record(COLLECTOR, "91360702000000002", PartyRole::Collector);
        bodies.push(Body::RegisterParty(collector));
        bodies.push(register_key(COLLECTOR, 2));
        let licences = [
            LicenceKind::Business,
            LicenceKind::RenewableResourceRecycling,
            LicenceKind::ProductiveScrap,
        ];
        for (number, kind) in (10..).zip(licences) {
            let licence = Licence {
                id: LicenceId::from_bytes(uuid(number)),
                kind,
                number: format!("L-{number}"),
                waste_codes: Vec::new(),
                yearly_capacity: Grams::ZERO,
                validity: VALID,
            };
            bodies.push(Body::RegisterLicence(COLLECTOR, licence));
        }
        bodies.push(Body::RegisterSite(site_record(YARD)));
        bodies.into_iter().map(|body| self.event(COORD, body)).collect()
    }

    /// Where it lies.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Where its guard lies.
    pub fn guard(&self) -> PathBuf {
        self.folder.path().join("guard")
    }

    /// A place for copies.
    pub fn aside(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// How its node is opened.
    pub fn config(&self) -> NodeConfig {
        let plan = Arc::clone(&self.plan);
        NodeConfig {
            clock: Arc::clone(&self.clock) as Arc<dyn Clock>,
            faults: Faults::new(move |point| plan.pass(point)),
            lot_state: self.lot_state,
            ..NodeConfig::new(self.data(), self.guard())
        }
    }

    /// Opens it; the thread of a node that was dropped may still have the lock for a moment.
    pub fn try_open(&self) -> Result<Node, NodeFault> {
        patiently(|| Node::open(&self.config(), ledger_key()))
    }

    /// Opens it, and it opens.
    pub fn open(&self) -> Node {
        self.try_open().unwrap_or_else(|fault| panic!("{}", told(&fault)))
    }

    /// Makes its database anew.
    pub fn rebuild(&self) -> Result<EntryCount, NodeFault> {
        patiently(|| Node::rebuild(&self.config(), ledger_key()))
    }

    // --- events
    // -------------------------------------------------------------------------------------

    /// A number that was not used before.
    pub fn fresh(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }

    /// An event of an actor, now.
    pub fn event(&mut self, actor: PartyId, body: Body) -> Event {
        let site = matches!(body, Body::CollectLot(_)).then_some(YARD);
        Event {
            id: EventId::from_bytes(uuid(self.fresh())),
            origin: origin(),
            actor,
            site,
            occurred_at: self.clock.now(),
            occurred_at_offset: OffsetMin::new(480).unwrap(),
            documents: Vec::new(),
            commitments: Vec::new(),
            external_ref: String::new(),
            body,
        }
    }

    /// A new site: the cheapest event there is.
    pub fn site(&mut self) -> Event {
        let id = SiteId::from_bytes(uuid(self.fresh()));
        self.event(COORD, Body::RegisterSite(site_record(id)))
    }

    /// Copper scrap comes in.
    pub fn copper(&mut self) -> Event {
        let lot = LotId::from_bytes(uuid(self.fresh()));
        self.event(COLLECTOR, collect(lot))
    }

    /// Some events of both kinds.
    pub fn mixed(&mut self, count: usize) -> Vec<Event> {
        (0..count).map(|n| if n % 2 == 0 { self.copper() } else { self.site() }).collect()
    }

    // --- appends
    // ------------------------------------------------------------------------------------

    /// Appends an event; it is recorded now.
    pub async fn append(&mut self, node: &Node, event: &Event) -> Appended {
        let appended = node.append(signed(event)).await.unwrap();
        self.keep(event, &appended);
        appended
    }

    /// Appends a batch; it is recorded now.
    pub async fn append_batch(&mut self, node: &Node, events: &[Event]) -> Vec<Appended> {
        let batch = events.iter().map(signed).collect();
        let appended = node.append_batch(batch).await.unwrap();
        for (event, appended) in events.iter().zip(&appended) {
            self.keep(event, appended);
        }
        appended
    }

    /// Remembers that an event was acknowledged; the receipt of the first time stands for ever.
    pub fn keep(&mut self, event: &Event, appended: &Appended) {
        let text = appended.receipt.encode();
        let kept = self.acknowledged.entry(event.id).or_insert_with(|| text.clone());
        assert_eq!(*kept, text, "the receipt of {} changed", event.id);
    }

    // --- checks
    // -------------------------------------------------------------------------------------

    /// All that was acknowledged is there, to the byte, and proves itself without the ledger.
    pub fn check_acknowledged(&self, node: &Node) {
        let reader = node.reader();
        for (event, kept) in &self.acknowledged {
            let receipt = reader.receipt_of_event(*event).unwrap();
            assert_eq!(receipt.unwrap().encode(), *kept, "the receipt of {event}");
            check_receipt(kept);
        }
    }

    /// The judge reads journal and guard as they lie there; how many entries the judge saw.
    pub fn verify(&self) -> u64 {
        let head = read_guard(&self.guard()).unwrap();
        let key = ledger_key().public_key();
        let mut judge = Verifier::new(Pins { origin: Some(origin()), ledger_key: Some(key) });
        if let Some(head) = &head {
            judge.checkpoint(head);
        }
        for group in read_journal(&self.data()).unwrap() {
            let group = match group {
                Ok(group) => group,
                // Half a frame at the very end: nobody was told of it.
                Err(fault) if matches!(fault.cause, JournalCause::Torn(_)) => break,
                Err(fault) => panic!("{fault}"),
            };
            judge.feed_group(&GroupInput {
                first: group.first,
                entries: &group.entries,
                previous_checkpoint: Some(&group.previous_checkpoint),
            });
        }
        let report = judge.finish();
        // A crash came before the guard: entries that nobody was told of are not under its
        // checkpoint.
        let is_tail = |kind| matches!(kind, FindingKind::TailUncovered);
        let is_uncovered = report.findings.iter().all(|finding| is_tail(finding.kind));
        let is_young = report.findings.iter().all(|it| it.kind == FindingKind::CheckpointMissing);
        let is_good = match report.verdict {
            Verdict::Verified => true,
            Verdict::Warnings => is_uncovered,
            Verdict::Undetermined => head.is_none() && is_young,
            Verdict::Tampered => false,
        };
        assert!(is_good, "{:?}: {:?}", report.verdict, report.findings);
        report.entries.0
    }

    /// The judge finds nothing at all to say, and as many entries as expected.
    pub fn verify_all(&self, node: &Node) {
        assert_eq!(self.verify(), node.reader().size().0);
        let head = read_guard(&self.guard()).unwrap().unwrap();
        assert_eq!(head, node.reader().checkpoint().unwrap().as_bytes());
    }
}

fn patiently<T>(mut open: impl FnMut() -> Result<T, NodeFault>) -> Result<T, NodeFault> {
    for _ in 0..500 {
        match open() {
            Err(NodeFault::Store(StoreFault::InUse(_))) => {
                std::thread::sleep(Duration::from_millis(10));
            }
            other => return other,
        }
    }
    open()
}

/// An event signed by its actor.
pub fn signed(event: &Event) -> Bytes {
    let seed = if event.actor == COORD { 1 } else { 2 };
    signed_by(event, seed)
}

/// An event signed by a key.
pub fn signed_by(event: &Event, seed: u8) -> Bytes {
    let payload = Bytes::from(encode_event(event));
    Envelope::sign(EVENT_PAYLOAD_TYPE, payload, &[&secret(seed)]).encode()
}

/// A receipt proves itself with nothing but key and origin.
pub fn check_receipt(text: &str) {
    let receipt = Receipt::parse(text.as_bytes()).unwrap();
    receipt.verify(&origin(), &ledger_key().public_key()).unwrap();
}

/// An error with its causes.
pub fn told(fault: &dyn std::error::Error) -> String {
    let mut text = fault.to_string();
    let mut source = fault.source();
    while let Some(inner) = source {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        source = inner.source();
    }
    text
}

/// Copies a directory, its locks left out.
pub fn copy_directory(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy_directory(&path, &target);
        } else {
            std::fs::copy(&path, &target).unwrap();
        }
    }
}

// --- records
// ----------------------------------------------------------------------------------------

/// A key for a party.
pub fn register_key(party: PartyId, seed: u8) -> Body {
    Body::RegisterKey(RegisterKey { party, public_key: secret(seed).public_key(), validity: VALID })
}

fn collect(id: LotId) -> Body {
    let lot = NewLot {
        id,
        material: "CU_SCRAP_NO2".to_owned(),
        form: "BULK".to_owned(),
        origin_kind: Some(OriginKind::PostConsumer),
        net_mass: Grams::of(10_000),
        custody_model: CustodyModel::Segregated,
        grades: Vec::new(),
        composition: None,
    };
    Body::CollectLot(Box::new(CollectLot {
        lot,
        weighing: Weighing {
            gross: Grams::of(15_000),
            tare: Grams::of(5_000),
            net: Grams::of(10_000),
            ticket: "T-1".to_owned(),
        },
        seller_kind: SellerKind::Enterprise,
        seller_commitment: Hash32([3; 32]),
        seller_certificate: "C-1".to_owned(),
        origin_region: "360702".to_owned(),
        invoice_class: InvoiceClass::VatSpecial,
        manifest: None,
    }))
}

/// A party with one role.
pub fn party_record(id: PartyId, body: &str, role: PartyRole) -> Party {
    Party {
        id,
        credit_code: credit_code(body),
        name_zh: String::new(),
        name_en: "A party (fictional)".to_owned(),
        roles: vec![DatedRole { role, validity: VALID }],
        credit_code_waiver: None,
    }
}

/// A site of the collector.
pub fn site_record(id: SiteId) -> Site {
    Site {
        id,
        party: COLLECTOR,
        name_zh: String::new(),
        name_en: String::new(),
        region_code: "360702".to_owned(),
        base: String::new(),
        processes: Vec::new(),
        yearly_capacity: Grams::ZERO,
    }
}

/// A code whose check character is right, by the text of GB 32100.
fn credit_code(body: &str) -> String {
    const ALPHABET: &str = "0123456789ABCDEFGHJKLMNPQRTUWXY";
    let weights = [1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28];
    let values = body.chars().map(|letter| ALPHABET.find(letter).unwrap());
    let sum: usize = values.zip(weights).map(|(value, weight)| value * weight).sum();
    let check = (31 - sum % 31) % 31;
    format!("{body}{}", ALPHABET.chars().nth(check).unwrap())
}
