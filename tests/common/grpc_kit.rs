//! A real node on real files, served over real gRPC on a free loopback port, with clients to it:
//! built-in
//! tables, the parties of the forged world with their keys, licences and sites.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use prost::Message as _;
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tonic::Status;
use tonic::transport::Channel;
use tonic_types::{ErrorDetail, StatusExt as _};
use urbanmine::api::doors::ReadAnew;
use urbanmine::api::identity::Scopes;
use urbanmine::api::tokens::{Holder, Token, TokenBook, TokenId, token_text};
use urbanmine::api::{self, DoorSettings, Doors, Listener};
use urbanmine::domain::event::{Genesis, PublishTables, RegisterKey, RevokeKey};
use urbanmine::domain::party::{Licence, Site};
use urbanmine::domain::units::Validity;
use urbanmine::domain::vocabulary::{LicenceKind, PartyRole};
use urbanmine::domain::{
    Body, Event, EventId, Grams, LicenceId, LotId, OffsetMin, Origin, PartyId, PublicKey, SiteId,
    TimeMs, tables,
};
use urbanmine::ledger::hash::sha256;
use urbanmine::ledger::{
    Checkpoint, EVENT_PAYLOAD_TYPE, Envelope, Receipt, SignedCheckpoint, SigningKey,
    VerifiedReceipt,
};
use urbanmine::limits::{MAX_REPLY_BYTES, MAX_TABLE_CHUNK_BYTES};
use urbanmine::node::{Clock, LotStatePolicy, Node, NodeConfig};
use urbanmine::wire::v1;
use urbanmine::wire::v1::ledger_service_client::LedgerServiceClient;
use urbanmine::wire::v1::lot_service_client::LotServiceClient;
use urbanmine::wire::v1::registry_service_client::RegistryServiceClient;

use super::forge::{self, LEDGER, START_MS, VALID, far_site, party, public, secret, site};
use super::forge_world::{
    COLLECTOR, COORD, FAR_REGION, NEAR_REGION, PARTIES, WASTE, collect, copper, new_lot,
};

/// What the smelter of the kit runs; balanced on copper.
pub const REFINE: &str = "CU_FIRE_REFINE";
/// Ore, in the built-in tables.
pub const ORE: &str = "RE_ORE_ION";
/// Seed of a key of the collector that was revoked.
pub const REVOKED_SEED: u8 = 60;
/// Seed of a key of the collector that was valid for an hour, and is no more.
pub const EXPIRED_SEED: u8 = 61;
/// Seed of a key that nobody registered.
pub const STRANGER_SEED: u8 = 62;
/// Clock of the first event of a story.
const STORY_MS: u64 = START_MS + 10_000_000;

/// The running service.
pub struct Kit {
    /// Entries, receipts, proofs.
    pub ledger: LedgerServiceClient<Channel>,
    /// Lots and traces.
    pub lots: LotServiceClient<Channel>,
    /// Parties, sites, keys, tables.
    pub registry: RegistryServiceClient<Channel>,
    /// For any other client.
    pub channel: Channel,
    address: SocketAddr,
    node: Node,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<()>,
    now: u64,
    serial: u64,
    /// Held until the end.
    folder: TempDir,
}

/// Another door to a ledger.
pub struct Door {
    /// Where it is.
    pub address: SocketAddr,
    /// Has its files read anew.
    pub read_anew: ReadAnew,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<()>,
}

impl Door {
    /// Closes it.
    pub async fn stop(self) {
        let _ = self.stop.send(());
        self.serving.await.unwrap();
    }
}

/// Sixteen bytes that are a `UUIDv7`, from a number that the forge does not use.
pub const fn uuid(n: u64) -> [u8; 16] {
    ((7 << 76) | (2 << 62) | ((n as u128 + 90_000) << 80) | n as u128).to_be_bytes()
}

/// Bytes of an id on the wire.
pub fn raw(id: &[u8]) -> Bytes {
    Bytes::copy_from_slice(id)
}

/// The origin that the kit's ledger is founded under.
pub fn origin() -> Origin {
    forge::origin()
}

/// An envelope over bytes, signed by the keys of these seeds.
pub fn sealed(payload: Vec<u8>, seeds: &[u8]) -> Bytes {
    let keys: Vec<SigningKey> = seeds.iter().map(|seed| secret(*seed)).collect();
    let keys: Vec<&SigningKey> = keys.iter().collect();
    Envelope::sign(EVENT_PAYLOAD_TYPE, payload.into(), &keys).encode()
}

/// An event signed by its actor's first key.
pub fn signed(event: &Event) -> Bytes {
    sealed(forge::payload(event).to_vec(), &[forge::seed_of(event.actor)])
}

/// An event whose fields on the wire were changed, signed by its actor.
pub fn altered(event: &Event, alter: impl FnOnce(&mut v1::Event)) -> Bytes {
    let mut message = v1::Event::decode(forge::payload(event)).unwrap();
    alter(&mut message);
    sealed(message.encode_to_vec(), &[forge::seed_of(event.actor)])
}

impl Kit {
    /// A ledger with its registry, served.
    pub async fn start() -> Self {
        Self::start_stating(LotStatePolicy::NEVER).await
    }

    /// The same, of a ledger that states its lots.
    pub async fn start_stating(lot_state: LotStatePolicy) -> Self {
        let (folder, node, serial) = Self::found(lot_state).await;
        Self::serve(folder, node, serial).await
    }

    /// A second door to the same ledger, behind which these parties have to show their tokens: see
    /// [`bearer`].
    pub async fn asking_door(&self, parties: &[PartyId]) -> Channel {
        let path = self.folder.path().join("tokens");
        std::fs::write(&path, token_book(parties).to_text().unwrap()).unwrap();
        let doors = Doors::open(DoorSettings { tokens: Some(path), ..DoorSettings::default() });
        let listener = doors.unwrap().listen("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let address = listener.address();
        let served = self.node.clone();
        tokio::spawn(async move {
            api::serve(served, listener, std::future::pending()).await.unwrap();
        });
        Channel::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap()
    }

    async fn found(lot_state: LotStatePolicy) -> (TempDir, Node, u64) {
        let folder = tempfile::tempdir().unwrap();
        let (data, guard) = (folder.path().join("data"), folder.path().join("guard"));
        let config = NodeConfig { lot_state, ..NodeConfig::new(data, guard) };
        let mut mint = Mint { now: START_MS, serial: 0 };
        let node = Node::init(&config, secret(LEDGER), &genesis(&mut mint)).unwrap();
        for chunk in table_chunks(&mut mint) {
            node.append(signed(&chunk)).await.unwrap();
        }
        let registry: Vec<Event> = registry(&mut mint);
        node.append_batch(registry.iter().map(signed).collect()).await.unwrap();
        (folder, node, mint.serial)
    }

    async fn serve(folder: TempDir, node: Node, serial: u64) -> Self {
        let listener = Listener::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let address = listener.address();
        let (stop, stopped) = oneshot::channel::<()>();
        let served = node.clone();
        let serving = tokio::spawn(async move {
            let until = async {
                let _ = stopped.await;
            };
            api::serve(served, listener, until).await.unwrap();
        });
        let channel =
            Channel::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap();
        Self {
            ledger: LedgerServiceClient::new(channel.clone())
                .max_decoding_message_size(MAX_REPLY_BYTES),
            lots: LotServiceClient::new(channel.clone()).max_decoding_message_size(MAX_REPLY_BYTES),
            registry: RegistryServiceClient::new(channel.clone()),
            channel,
            address,
            node,
            stop,
            serving,
            now: STORY_MS,
            serial,
            folder,
        }
    }

    /// Ends the service, and the node after it.
    pub async fn stop(self) {
        let Self { ledger, lots, registry, channel, node, stop, serving, folder, .. } = self;
        drop((ledger, lots, registry, channel));
        let _ = stop.send(());
        serving.await.unwrap();
        node.shutdown().await;
        drop(folder);
    }

    /// Another door to the same ledger, on a free port of this machine.
    pub async fn door(&self, settings: DoorSettings, clock: Arc<dyn Clock>) -> Door {
        let doors = Doors::open(settings).unwrap();
        let read_anew = doors.read_anew();
        let listener = doors.listen("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let address = listener.address();
        let (stop, stopped) = oneshot::channel::<()>();
        let node = self.node.clone();
        let serving = tokio::spawn(async move {
            let until = async {
                let _ = stopped.await;
            };
            api::serve_at(node, listener, clock, until).await.unwrap();
        });
        Door { address, read_anew, stop, serving }
    }

    /// The node behind the service.
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// The folder that data and guard lie in.
    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    // --- events ----------------------------------------------------------------------------------

    /// A new id for a lot.
    pub fn lot(&mut self) -> LotId {
        self.serial += 1;
        LotId::from_bytes(uuid(self.serial))
    }

    /// An event of an actor, a second after the one before, at its site where it needs one.
    pub fn event(&mut self, actor: PartyId, body: Body) -> Event {
        let mut mint = Mint { now: self.now, serial: self.serial };
        let event = mint.event(actor, body);
        (self.now, self.serial) = (mint.now, mint.serial);
        event
    }

    /// Sends envelopes as one batch.
    pub async fn send(&mut self, envelopes: Vec<Bytes>) -> Result<Vec<v1::AppendedEvent>, Status> {
        let request = v1::BatchAppendEventsRequest { envelopes, validate_only: false };
        let reply = self.ledger.batch_append_events(request).await?;
        Ok(reply.into_inner().appended)
    }

    /// Sends one event, which has to be recorded; what the service answers.
    pub async fn append(&mut self, event: &Event) -> v1::AppendedEvent {
        let request = v1::AppendEventRequest { envelope: signed(event), validate_only: false };
        let reply = self.ledger.append_event(request).await;
        reply.unwrap_or_else(|status| panic!("{status}: {event:?}")).into_inner().appended.unwrap()
    }

    /// Records what an actor says; the event's id.
    pub async fn say(&mut self, actor: PartyId, body: Body) -> EventId {
        let event = self.event(actor, body);
        self.append(&event).await;
        event.id
    }

    /// A lot of copper scrap of a party, half of it copper.
    pub async fn copper(&mut self, of: PartyId, grams: u64) -> LotId {
        let id = self.lot();
        let mut lot = new_lot(id, super::forge_world::COPPER, grams);
        lot.composition = Some(copper(50_000_000));
        self.say(of, collect(lot)).await;
        id
    }

    // --- reads -----------------------------------------------------------------------------------

    /// The last checkpoint, as signed.
    pub async fn checkpoint_text(&mut self) -> String {
        let reply = self.ledger.get_checkpoint(v1::GetCheckpointRequest {}).await.unwrap();
        reply.into_inner().checkpoint
    }

    /// The last checkpoint, opened with the pinned key.
    pub async fn checkpoint(&mut self) -> Checkpoint {
        let text = self.checkpoint_text().await;
        SignedCheckpoint::open(text.as_bytes(), &origin(), &ledger_key()).unwrap().0
    }

    /// A lot as it stands.
    pub async fn lot_now(&mut self, id: LotId) -> v1::Lot {
        let request = v1::GetLotRequest { lot_id: raw(id.as_bytes()) };
        self.lots.get_lot(request).await.unwrap().into_inner().lot.unwrap()
    }
}

/// What a party shows to be let in, where it has a token.
pub fn bearer(party: PartyId) -> String {
    let seed = forge::seed_of(party);
    format!("Bearer {}", token_text(TokenId([seed; 8]), &[seed; 32]))
}

fn token_book(parties: &[PartyId]) -> TokenBook {
    let mut book = TokenBook::default();
    for party in parties {
        let seed = forge::seed_of(*party);
        let token = Token {
            id: TokenId([seed; 8]),
            secret_sha256: sha256(&[seed; 32]),
            holder: Holder::Party(*party),
            scopes: Scopes::ALL,
            created_at: TimeMs::of(START_MS),
            expires_at: TimeMs::of(START_MS * 3),
            revoked_at: None,
            note: String::new(),
        };
        book.add(token, TimeMs::of(START_MS)).unwrap();
    }
    book
}

/// The key that clients pin.
pub fn ledger_key() -> PublicKey {
    public(LEDGER)
}

/// A receipt, checked without the ledger.
pub fn check_receipt(text: &str) -> VerifiedReceipt {
    Receipt::parse(text.as_bytes()).unwrap().verify(&origin(), &ledger_key()).unwrap()
}

// --- errors --------------------------------------------------------------------------------------

/// The rich error of a refusal, with what every refusal has.
#[derive(Debug)]
pub struct Told {
    pub code: tonic::Code,
    pub reason: String,
    pub metadata: HashMap<String, String>,
    pub zh: String,
    pub en: String,
    pub fields: Vec<String>,
}

/// Takes a refusal apart; fails when a part that every refusal has is not there.
#[track_caller]
pub fn told(status: &Status) -> Told {
    let all = status.get_error_details_vec();
    let sentence = |locale: &str| {
        let found = all.iter().find_map(|detail| match detail {
            ErrorDetail::LocalizedMessage(it) if it.locale == locale => Some(it.message.clone()),
            _ => None,
        });
        found.unwrap_or_else(|| panic!("no sentence in {locale}: {status:?}"))
    };
    let (zh, en) = (sentence("zh-CN"), sentence("en"));
    let details = status.get_error_details();
    let info = details.error_info().unwrap_or_else(|| panic!("no ErrorInfo: {status:?}"));
    assert_eq!(info.domain, "urbanmine.v1");
    assert!(!details.request_info().unwrap().request_id.is_empty());
    assert_eq!(en, status.message());
    let fields = details.bad_request().map_or_else(Vec::new, |bad| {
        assert!(bad.field_violations.iter().all(|it| it.description.contains("found")));
        bad.field_violations.iter().map(|it| it.field.clone()).collect()
    });
    Told {
        code: status.code(),
        reason: info.reason.clone(),
        metadata: info.metadata.clone(),
        zh,
        en,
        fields,
    }
}

// --- the world -----------------------------------------------------------------------------------

/// Clock and ids of events.
struct Mint {
    now: u64,
    serial: u64,
}

impl Mint {
    fn event(&mut self, actor: PartyId, body: Body) -> Event {
        use Body as B;
        self.now += 1_000;
        self.serial += 1;
        let place = match &body {
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
            | B::PartlyAcceptTransfer(_)
            | B::ReturnTransfer(_)
            | B::DisposeResidue(_)
            | B::Stocktake(_)
            | B::ExitLot(_) => Some(site(actor)),
            _ => None,
        };
        Event {
            id: EventId::from_bytes(uuid(self.serial)),
            origin: origin(),
            actor,
            site: place,
            occurred_at: TimeMs::of(self.now),
            occurred_at_offset: OffsetMin::new(480).unwrap(),
            documents: Vec::new(),
            commitments: Vec::new(),
            external_ref: String::new(),
            body,
        }
    }
}

fn genesis(mint: &mut Mint) -> Envelope {
    let body = Body::Genesis(Genesis {
        ledger_key: ledger_key(),
        tables_hash: sha256(tables::builtin().as_bytes()),
        rules_version: 1,
        coordinator: forge::party_record(COORD, &[PartyRole::Coordinator]),
        coordinator_key: public(forge::seed_of(COORD)),
        previous_checkpoint: String::new(),
    });
    let event = mint.event(COORD, body);
    let key = secret(forge::seed_of(COORD));
    Envelope::sign(EVENT_PAYLOAD_TYPE, forge::payload(&event), &[&key])
}

fn table_chunks(mint: &mut Mint) -> Vec<Event> {
    let set = tables::builtin().as_bytes();
    let chunks: Vec<&[u8]> = set.chunks(MAX_TABLE_CHUNK_BYTES).collect();
    let chunk_count = u32::try_from(chunks.len()).unwrap();
    let bodies = (0..chunk_count).zip(&chunks).map(|(chunk_index, content)| {
        Body::PublishTables(PublishTables {
            tables_hash: sha256(set),
            chunk_index,
            chunk_count,
            content: content.to_vec(),
        })
    });
    bodies.map(|body| mint.event(COORD, body)).collect()
}

fn registry(mint: &mut Mint) -> Vec<Event> {
    let mut bodies = Vec::new();
    let key = |party, seed, validity| {
        Body::RegisterKey(RegisterKey { party, public_key: public(seed), validity })
    };
    for row in PARTIES {
        if row.id != COORD {
            bodies.push(Body::RegisterParty(forge::party_record(row.id, row.roles)));
            bodies.push(key(row.id, forge::seed_of(row.id), VALID));
        }
        for (number, kind) in (0_u64..).zip(row.licences) {
            bodies.push(Body::RegisterLicence(row.id, licence(row.id, *kind, number)));
        }
        for (id, region) in [(site(row.id), NEAR_REGION), (far_site(row.id), FAR_REGION)] {
            bodies.push(Body::RegisterSite(site_record(id, row.id, region)));
        }
    }
    let hour = Validity {
        from: TimeMs::of(START_MS - 1_000_000),
        to: Some(TimeMs::of(START_MS + 3_600_000)),
    };
    bodies.push(key(COLLECTOR, REVOKED_SEED, VALID));
    bodies.push(key(COLLECTOR, EXPIRED_SEED, hour));
    bodies.push(Body::RevokeKey(RevokeKey {
        key: secret(REVOKED_SEED).key_id(),
        revoked_at: TimeMs::of(START_MS),
        reason: "lost".to_owned(),
    }));
    bodies.into_iter().map(|body| mint.event(COORD, body)).collect()
}

fn licence(of: PartyId, kind: LicenceKind, number: u64) -> Licence {
    let covers_waste = kind == LicenceKind::HazardousWaste;
    let serial = 50_000 + u64::from(forge::seed_of(of)) * 20 + number;
    Licence {
        id: LicenceId::from_bytes(uuid(serial)),
        kind,
        number: format!("L-{serial}"),
        waste_codes: if covers_waste { vec![WASTE.to_owned()] } else { Vec::new() },
        yearly_capacity: Grams::ZERO,
        validity: VALID,
    }
}

/// A site where the process of the kit runs.
pub fn site_record(id: SiteId, of: PartyId, region: &str) -> Site {
    Site { processes: vec![REFINE.to_owned()], ..forge::site_record(id, of, region) }
}

/// A party that is not registered yet.
pub const NEWCOMER: PartyId = party(50);
