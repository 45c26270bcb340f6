//! The load: who signs it, and the events, all of them a function of the seed.

use bytes::Bytes;
use rayon::prelude::*;
use serde_json::{Value as Json, json};

use super::super::output::hex;
use crate::domain::event::{
    CollectLot, Commitment, Document, GradeRef, NewLot, RegisterKey, Weighing,
};
use crate::domain::party::{DatedRole, Licence, Party, Site};
use crate::domain::units::{OffsetMin, Validity};
use crate::domain::vocabulary::{
    CommitmentKind, CustodyModel, DocumentKind, InvoiceClass, LicenceKind, OriginKind, PartyRole,
    SellerKind,
};
use crate::domain::{
    Body, Event, EventId, Grams, Hash32, LicenceId, LotId, Origin, PartyId, SiteId, TimeMs,
};
use crate::ledger::envelope::{EVENT_PAYLOAD_TYPE, Envelope};
use crate::ledger::keys::SigningKey;
use crate::wire::encode_event;

/// When roles, licences and keys of the load begin: 2024-01-01T00:00:00Z.
const VALID_FROM_MS: u64 = 1_704_067_200_000;
/// When the first event of the load happens: 2024-07-01T00:00:00Z. Ten million seconds later it is
/// October.
const START_MS: u64 = 1_719_792_000_000;
/// From one event to the next.
const STEP_MS: u64 = 1_000;
/// Where the parties are, and their scrap.
const REGION: &str = "360702";
/// What they collect.
const MATERIAL: &str = "CU_SCRAP_NO2";

/// Somebody who collects.
struct Signer {
    party: PartyId,
    site: SiteId,
    key: SigningKey,
}

/// What an id is of; another number under the same seed is another id.
#[derive(Clone, Copy)]
#[repr(u8)]
enum Kind {
    Party = 1,
    Site = 2,
    Licence = 3,
    Registration = 4,
    Event = 5,
    Lot = 6,
}

/// A signed event.
pub(super) struct Signed {
    /// What is sent.
    pub(super) envelope: Bytes,
    /// Which signer signed it.
    pub(super) signer: usize,
}

/// Keys and events of one seed.
pub(super) struct Load {
    seed: [u8; 32],
    origin: Origin,
    coordinator: PartyId,
    coordinator_key: SigningKey,
    signers: Vec<Signer>,
}

impl Load {
    /// Makes the keys: a load of so many signers.
    pub(super) fn new(seed: u64, origin: Origin, signers: usize) -> Self {
        let seed = *blake3::Hasher::new_derive_key("urbanmine bench 2026-11 load")
            .update(&seed.to_be_bytes())
            .finalize()
            .as_bytes();
        let coordinator = PartyId::from_bytes(id(&seed, Kind::Party, 0, VALID_FROM_MS));
        let signers = (1..=signers as u64).into_par_iter().map(|number| Signer {
            party: PartyId::from_bytes(id(&seed, Kind::Party, number, VALID_FROM_MS)),
            site: SiteId::from_bytes(id(&seed, Kind::Site, number, VALID_FROM_MS)),
            key: key(&seed, number),
        });
        let signers = signers.collect();
        Self { seed, origin, coordinator, coordinator_key: key(&seed, 0), signers }
    }

    /// The coordinator's record, as a genesis has it.
    pub(super) fn coordinator_record(&self) -> Json {
        json!({
            "party_id": self.coordinator.to_string(),
            "credit_code": credit_code(0),
            "name_en": "Coordinator of a benchmark (fictional)",
            "roles": [{ "role": "COORDINATOR", "valid_from_ms": VALID_FROM_MS }],
        })
    }

    /// A key that the seed gives, for a ledger and its coordinator.
    pub(super) fn keys_of_ledger(&self) -> (SigningKey, SigningKey) {
        (key(&self.seed, u64::MAX), SigningKey::from_seed(*self.coordinator_key.seed()))
    }

    /// The public keys, by number of the signer.
    pub(super) fn public_keys(&self) -> Vec<[u8; 32]> {
        self.signers.iter().map(|it| *it.key.public_key().as_bytes()).collect()
    }

    /// What enters the signers into the registry, signed by the coordinator.
    pub(super) fn registry(&self) -> Vec<Bytes> {
        let signers = (1_u64..).zip(&self.signers).collect::<Vec<_>>();
        let bodies = signers.into_par_iter().flat_map_iter(|(number, it)| {
            let registered = registration(&self.seed, number, it);
            (0_u64..).zip(registered).map(move |(place, body)| (number * 8 + place, body))
        });
        let signed = bodies.map(|(number, body)| {
            let event_id = id(&self.seed, Kind::Registration, number, VALID_FROM_MS);
            let event = Event {
                id: EventId::from_bytes(event_id),
                occurred_at: TimeMs::of(VALID_FROM_MS),
                ..self.event(self.coordinator, None, body)
            };
            sign(&event, &self.coordinator_key)
        });
        signed.collect()
    }

    /// Events of these numbers, signed on all cores.
    pub(super) fn sign(&self, numbers: std::ops::Range<u64>) -> Vec<Signed> {
        numbers.into_par_iter().map(|number| self.collect(number)).collect()
    }

    /// The lot that an event makes.
    pub(super) fn lot(&self, number: u64) -> LotId {
        LotId::from_bytes(id(&self.seed, Kind::Lot, number, at(number)))
    }

    fn collect(&self, number: u64) -> Signed {
        let drawn = draw(&self.seed, Kind::Event, number);
        let signer = usize::from(u16::from_be_bytes([drawn[0], drawn[1]])) << 16
            | usize::from(u16::from_be_bytes([drawn[2], drawn[3]]));
        let signer = signer % self.signers.len();
        let by = &self.signers[signer];
        // 2 to 18 tonnes, to the kilogram that scales show.
        let net = 2_000_000 + u64::from(u16::from_be_bytes([drawn[4], drawn[5]])) % 16_000 * 1_000;
        let event = Event {
            id: EventId::from_bytes(id(&self.seed, Kind::Event, number, at(number))),
            occurred_at: TimeMs::of(at(number)),
            documents: vec![Document {
                kind: DocumentKind::WeighbridgeTicket,
                number: ticket(number),
                sha256: Some(Hash32(drawn)),
            }],
            commitments: vec![Commitment {
                kind: CommitmentKind::Price,
                sha256: Hash32(*blake3::hash(&drawn).as_bytes()),
            }],
            external_ref: format!("PO-2024-{number:08}"),
            ..self.event(by.party, Some(by.site), collected(self.lot(number), number, net, drawn))
        };
        Signed { envelope: sign(&event, &by.key), signer }
    }

    fn event(&self, actor: PartyId, site: Option<SiteId>, body: Body) -> Event {
        Event {
            id: EventId::from_bytes([0; 16]),
            origin: self.origin.clone(),
            actor,
            site,
            occurred_at: TimeMs::of(START_MS),
            occurred_at_offset: OffsetMin::new(480).unwrap_or_default(),
            documents: Vec::new(),
            commitments: Vec::new(),
            external_ref: String::new(),
            body,
        }
    }
}

impl std::fmt::Debug for Load {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Load({}, {} signers)", hex(&self.seed[..4]), self.signers.len())
    }
}

/// When an event happens.
const fn at(number: u64) -> u64 {
    START_MS + number * STEP_MS
}

fn ticket(number: u64) -> String {
    format!("WB-2024-{number:08}")
}

fn collected(lot: LotId, number: u64, net: u64, drawn: [u8; 32]) -> Body {
    // An empty lorry, 6 to 10 tonnes.
    let tare = 6_000_000 + u64::from(drawn[6]) % 200 * 20_000;
    Body::CollectLot(Box::new(CollectLot {
        lot: NewLot {
            id: lot,
            material: MATERIAL.to_owned(),
            form: "BALE".to_owned(),
            origin_kind: Some(OriginKind::PostConsumer),
            net_mass: Grams::of(net),
            custody_model: CustodyModel::Segregated,
            grades: vec![GradeRef { scheme: "ReMA".to_owned(), code: "Cliff".to_owned() }],
            composition: None,
        },
        seller_kind: SellerKind::Enterprise,
        seller_commitment: Hash32(*blake3::keyed_hash(&drawn, b"seller").as_bytes()),
        seller_certificate: String::new(),
        weighing: Weighing {
            gross: Grams::of(net + tare),
            tare: Grams::of(tare),
            net: Grams::of(net),
            ticket: ticket(number),
        },
        origin_region: REGION.to_owned(),
        invoice_class: InvoiceClass::VatSpecial,
        manifest: None,
    }))
}

/// A collector with its key, licence and yard.
fn registration(seed: &[u8; 32], number: u64, signer: &Signer) -> [Body; 4] {
    let validity = Validity { from: TimeMs::of(VALID_FROM_MS), to: None };
    let party = Party {
        id: signer.party,
        credit_code: credit_code(number),
        name_zh: String::new(),
        name_en: format!("Collector {number} (fictional)"),
        roles: vec![DatedRole { role: PartyRole::Collector, validity }],
        credit_code_waiver: None,
    };
    let licence = Licence {
        id: LicenceId::from_bytes(id(seed, Kind::Licence, number, VALID_FROM_MS)),
        kind: LicenceKind::RenewableResourceRecycling,
        number: format!("RR-{number}"),
        waste_codes: Vec::new(),
        yearly_capacity: Grams::ZERO,
        validity,
    };
    let site = Site {
        id: signer.site,
        party: signer.party,
        name_zh: String::new(),
        name_en: format!("Yard of collector {number}"),
        region_code: REGION.to_owned(),
        base: String::new(),
        processes: Vec::new(),
        yearly_capacity: Grams::ZERO,
    };
    let public_key = signer.key.public_key();
    [
        Body::RegisterParty(party),
        Body::RegisterKey(RegisterKey { party: signer.party, public_key, validity }),
        Body::RegisterLicence(signer.party, licence),
        Body::RegisterSite(site),
    ]
}

fn sign(event: &Event, key: &SigningKey) -> Bytes {
    Envelope::sign(EVENT_PAYLOAD_TYPE, encode_event(event).into(), &[key]).encode()
}

/// A key for measuring, which everybody can compute: never for use.
fn key(seed: &[u8; 32], number: u64) -> SigningKey {
    let secret = blake3::Hasher::new_keyed(seed).update(b"key").update(&number.to_be_bytes()).finalize();
    SigningKey::from_seed(*secret.as_bytes())
}

/// 32 bytes of chance, the same each time.
fn draw(seed: &[u8; 32], kind: Kind, number: u64) -> [u8; 32] {
    let drawn = blake3::Hasher::new_keyed(seed).update(&[kind as u8]).update(&number.to_be_bytes()).finalize();
    *drawn.as_bytes()
}

/// A `UUIDv7`, as a client would have made it at that time.
fn id(seed: &[u8; 32], kind: Kind, number: u64, at_ms: u64) -> [u8; 16] {
    let drawn = draw(seed, kind, number);
    let mut chance = [0; 10];
    chance.copy_from_slice(&drawn[..10]);
    uuid::Builder::from_unix_timestamp_millis(at_ms, &chance).into_uuid().into_bytes()
}

/// A code whose check character is right, by the text of GB 32100.
fn credit_code(number: u64) -> String {
    const ALPHABET: &[u8] = b"0123456789ABCDEFGHJKLMNPQRTUWXY";
    const WEIGHTS: [usize; 17] = [1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28];
    let body = format!("91360702{number:09}");
    let value = |letter: u8| ALPHABET.iter().position(|it| *it == letter).unwrap_or_default();
    let sum: usize = body.bytes().zip(WEIGHTS).map(|(letter, weight)| value(letter) * weight).sum();
    let check = ALPHABET[(31 - sum % 31) % 31];
    format!("{body}{}", char::from(check))
}
