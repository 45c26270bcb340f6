//! The load: who signs it, and the events, all of them a function of the seed.

use bytes::Bytes;
use rayon::prelude::*;
use serde_json::{Value as Json, json};

use super::super::output::hex;
use crate::domain::event::{
    AcceptTransfer, CollectLot, Commitment, Document, GradeRef, LotDraw, NewLot, OfferTransfer,
    RegisterKey, SplitLot, Weighing,
};
use crate::domain::party::{DatedRole, Licence, Party, Site};
use crate::domain::units::{OffsetMin, Validity};
use crate::domain::vocabulary::{
    CommitmentKind, CustodyModel, DocumentKind, InvoiceClass, LicenceKind, OriginKind, PartyRole,
    SellerKind, TransferScope,
};
use crate::domain::{
    Body, Event, EventId, Grams, Hash32, LicenceId, LotId, Origin, PartyId, PublicKey, SiteId,
    TimeMs,
};
use crate::ledger::envelope::{EVENT_PAYLOAD_TYPE, Envelope};
use crate::ledger::keys::SigningKey;
use crate::limits::{MAX_BATCH_EVENTS, MAX_KEYS};
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

/// What the events of a load are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Mix {
    /// Lots are collected: each event stands alone.
    Collect,
    /// A lot is collected and split, and a part of it offered and accepted: four events a story.
    Trade,
}

/// Somebody who signs.
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
    Key = 7,
    Read = 8,
}

/// Parties of a load by number: the coordinator, who takes over what is sold, those who sign again
/// and again, and those whose keys are used once.
const COORDINATOR: u64 = 0;
/// See [`COORDINATOR`].
const SMELTER: u64 = 1;
/// See [`COORDINATOR`].
const FIRST_SIGNER: u64 = 2;
/// See [`COORDINATOR`].
const FIRST_FRESH: u64 = 1_000_000;
/// The key of a ledger that is made for the load.
const LEDGER_KEY: u64 = u64::MAX;
/// What enters one signer: party, licence, site, key.
const EVENTS_OF_SIGNER: usize = 4;
/// Numbers of registrations that one party has for itself.
const REGISTRATIONS: u64 = 128;

const _: () = assert!(MAX_KEYS as u64 + 3 <= REGISTRATIONS);

/// A signed event.
pub(super) struct Signed {
    /// What is sent.
    pub(super) envelope: Bytes,
    /// Which key signed it.
    pub(super) key: PublicKey,
}

/// A coordinator of a ledger that is there, in place of the one that the seed gives.
pub(super) struct Coordinator {
    /// Who.
    pub(super) party: PartyId,
    /// Its key.
    pub(super) key: SigningKey,
    /// When it says that it registers: its key has to be valid then.
    pub(super) registers_at: TimeMs,
}

/// Events of a load, next to each other.
#[derive(Debug, Clone)]
pub(super) struct Events {
    /// Their numbers.
    pub(super) numbers: std::ops::Range<u64>,
    /// How many in a hundred are signed by keys that signed nothing before.
    pub(super) fresh_percent: u64,
    /// The first of these keys.
    pub(super) first_fresh: u64,
}

impl Events {
    /// How many keys are used for the first time.
    pub(super) fn fresh_keys(&self) -> u64 {
        (self.numbers.end - self.numbers.start) * self.fresh_percent / 100
    }

    /// The fresh key of an event, if it has one; they are spread evenly.
    fn fresh_key(&self, number: u64) -> Option<u64> {
        let place = number - self.numbers.start;
        let before = place * self.fresh_percent / 100;
        let after = (place + 1) * self.fresh_percent / 100;
        (after > before).then_some(self.first_fresh + before)
    }
}

/// Keys and events of one seed.
pub(super) struct Load {
    seed: [u8; 32],
    origin: Origin,
    mix: Mix,
    coordinator: Coordinator,
    smelter: Signer,
    signers: Vec<Signer>,
}

impl Load {
    /// Makes the keys: a load of so many signers.
    pub(super) fn new(seed: u64, origin: Origin, signers: u32, mix: Mix) -> Self {
        let seed = *blake3::Hasher::new_derive_key("urbanmine bench 2026-11 load")
            .update(&seed.to_be_bytes())
            .finalize()
            .as_bytes();
        let Signer { party, key, .. } = signer(&seed, COORDINATOR);
        let coordinator = Coordinator { party, key, registers_at: TimeMs::of(VALID_FROM_MS) };
        let signers = (0..u64::from(signers)).into_par_iter();
        let signers = signers.map(|number| signer(&seed, FIRST_SIGNER + number)).collect();
        Self { seed, origin, mix, coordinator, smelter: signer(&seed, SMELTER), signers }
    }

    /// The same load for a ledger that is there.
    pub(super) fn registered_by(self, coordinator: Coordinator) -> Self {
        Self { coordinator, ..self }
    }

    /// The coordinator's record, as a genesis has it.
    pub(super) fn coordinator_record(&self) -> Json {
        json!({
            "party_id": self.coordinator.party.to_string(),
            "credit_code": credit_code(0),
            "name_en": "Coordinator of a benchmark (fictional)",
            "roles": [{ "role": "COORDINATOR", "valid_from_ms": VALID_FROM_MS }],
        })
    }

    /// Keys of a ledger that is made for the load, and of its coordinator.
    pub(super) fn keys_of_ledger(&self) -> (SigningKey, SigningKey) {
        (key(&self.seed, LEDGER_KEY), key(&self.seed, COORDINATOR))
    }

    /// What enters the signers into the registry, signed by the coordinator: batches that do not
    /// need each other.
    pub(super) fn registry(&self) -> Vec<Vec<Bytes>> {
        let collectors = (FIRST_SIGNER..).zip(&self.signers);
        let parties: Vec<(u64, &Signer)> = collectors.chain([(SMELTER, &self.smelter)]).collect();
        let batches = parties.par_chunks(MAX_BATCH_EVENTS / EVENTS_OF_SIGNER);
        let batch = |parties: &[(u64, &Signer)]| {
            let each = parties.iter().flat_map(|(number, it)| {
                let role =
                    if *number == SMELTER { PartyRole::Smelter } else { PartyRole::Collector };
                self.registration(*number, it, role, &[*number])
            });
            each.collect()
        };
        batches.map(batch).collect()
    }

    /// What enters so many keys for one use, from a first on that is a multiple of [`MAX_KEYS`]:
    /// parties with as many keys as one may have, each in a batch.
    pub(super) fn fresh_registry(&self, first: u64, count: u64) -> Vec<Vec<Bytes>> {
        let keys: Vec<u64> = (first..first + count).map(|number| FIRST_FRESH + number).collect();
        let batch = |keys: &[u64]| {
            let number = FIRST_FRESH + (keys[0] - FIRST_FRESH) / MAX_KEYS as u64;
            self.registration(number, &signer(&self.seed, number), PartyRole::Collector, keys)
        };
        keys.par_chunks(MAX_KEYS).map(batch).collect()
    }

    /// Events, signed on all cores.
    pub(super) fn sign(&self, events: &Events) -> Vec<Signed> {
        events.numbers.clone().into_par_iter().map(|number| self.signed(events, number)).collect()
    }

    /// The lot that an event's story begins with.
    pub(super) fn lot(&self, number: u64) -> LotId {
        match self.mix {
            Mix::Collect => self.lot_of(number),
            Mix::Trade => self.lot_of(number / 4 * 4),
        }
    }

    /// A number by chance.
    pub(super) fn any(&self, number: u64) -> u64 {
        first_bytes(&draw(&self.seed, Kind::Read, number))
    }

    fn lot_of(&self, number: u64) -> LotId {
        LotId::from_bytes(id(&self.seed, Kind::Lot, number, at(number)))
    }

    fn event_id(&self, number: u64) -> EventId {
        EventId::from_bytes(id(&self.seed, Kind::Event, number, at(number)))
    }

    fn signed(&self, events: &Events, number: u64) -> Signed {
        let (story, part) = match self.mix {
            Mix::Collect => (number, 0),
            Mix::Trade => (number / 4 * 4, number % 4),
        };
        let fresh = events.fresh_key(number).map(|it| Signer {
            key: key(&self.seed, FIRST_FRESH + it),
            ..signer(&self.seed, FIRST_FRESH + it / MAX_KEYS as u64)
        });
        let drawn = draw(&self.seed, Kind::Event, story);
        let usual = usize::try_from(first_bytes(&drawn) % self.signers.len() as u64);
        let by = fresh.as_ref().unwrap_or(&self.signers[usual.unwrap_or_default()]);
        let by = if part == 3 { &self.smelter } else { by };
        let body = self.body(story, part, drawn);
        let event = Event {
            id: self.event_id(number),
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
            ..self.event(by.party, Some(by.site), body)
        };
        Signed { envelope: sign(&event, &by.key), key: by.key.public_key() }
    }

    /// The part of a story.
    fn body(&self, story: u64, part: u64, drawn: [u8; 32]) -> Body {
        // 2 to 18 tonnes, to the kilogram that scales show; 60 % of it is sold.
        let net = 2_000_000 + u64::from(u16::from_be_bytes([drawn[4], drawn[5]])) % 16_000 * 1_000;
        let sold = Grams::of(net / 10 * 6);
        let (whole, left, right) =
            (self.lot_of(story), self.lot_of(story + 1), self.lot_of(story + 2));
        match part {
            0 => collected(whole, story, net, drawn),
            1 => Body::SplitLot(SplitLot {
                parent: whole,
                children: vec![
                    LotDraw { lot: left, mass: sold },
                    LotDraw { lot: right, mass: Grams::of(net - sold.get()) },
                ],
                handling_loss: Grams::ZERO,
            }),
            2 => Body::OfferTransfer(OfferTransfer {
                lot: left,
                mass: sold,
                consignee: self.smelter.party,
                consignee_site: Some(self.smelter.site),
                scope: TransferScope::CustodyAndOwnership,
                carrier: None,
                vehicle: String::new(),
                invoice_class: Some(InvoiceClass::VatSpecial),
                manifest: None,
            }),
            _ => Body::AcceptTransfer(AcceptTransfer {
                offer: self.event_id(story + 2),
                received: Some(weighed(sold.get(), drawn, ticket(story + 3))),
                received_lot: None,
            }),
        }
    }

    /// A party with its licence, its yard and keys, signed by the coordinator.
    fn registration(&self, number: u64, it: &Signer, role: PartyRole, keys: &[u64]) -> Vec<Bytes> {
        let validity = Validity { from: TimeMs::of(VALID_FROM_MS), to: None };
        let keys = keys.iter().map(|number| {
            let public_key = key(&self.seed, *number).public_key();
            Body::RegisterKey(RegisterKey { party: it.party, public_key, validity })
        });
        let bodies = papers(&self.seed, number, it, role).into_iter().chain(keys);
        let first = number * REGISTRATIONS;
        let signed = (first..).zip(bodies).map(|(number, body)| {
            let at = self.coordinator.registers_at;
            let event = Event {
                id: EventId::from_bytes(id(&self.seed, Kind::Registration, number, at.get())),
                occurred_at: at,
                ..self.event(self.coordinator.party, None, body)
            };
            sign(&event, &self.coordinator.key)
        });
        signed.collect()
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

fn weighed(net: u64, drawn: [u8; 32], ticket: String) -> Weighing {
    // An empty lorry, 6 to 10 tonnes.
    let tare = 6_000_000 + u64::from(drawn[6]) % 200 * 20_000;
    Weighing { gross: Grams::of(net + tare), tare: Grams::of(tare), net: Grams::of(net), ticket }
}

fn collected(lot: LotId, number: u64, net: u64, drawn: [u8; 32]) -> Body {
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
        seller_certificate: format!("CERT-2024-{number:08}"),
        weighing: weighed(net, drawn, ticket(number)),
        origin_region: REGION.to_owned(),
        invoice_class: InvoiceClass::VatSpecial,
        manifest: None,
    }))
}

/// A party, its licence and its yard.
fn papers(seed: &[u8; 32], number: u64, signer: &Signer, role: PartyRole) -> [Body; 3] {
    let validity = Validity { from: TimeMs::of(VALID_FROM_MS), to: None };
    let party = Party {
        id: signer.party,
        credit_code: credit_code(number),
        name_zh: String::new(),
        name_en: format!("Party {number} (fictional)"),
        roles: vec![DatedRole { role, validity }],
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
        name_en: format!("Yard of party {number}"),
        region_code: REGION.to_owned(),
        base: String::new(),
        processes: Vec::new(),
        yearly_capacity: Grams::ZERO,
    };
    [
        Body::RegisterParty(party),
        Body::RegisterLicence(signer.party, licence),
        Body::RegisterSite(site),
    ]
}

fn signer(seed: &[u8; 32], number: u64) -> Signer {
    Signer {
        party: PartyId::from_bytes(id(seed, Kind::Party, number, VALID_FROM_MS)),
        site: SiteId::from_bytes(id(seed, Kind::Site, number, VALID_FROM_MS)),
        key: key(seed, number),
    }
}

fn sign(event: &Event, key: &SigningKey) -> Bytes {
    Envelope::sign(EVENT_PAYLOAD_TYPE, encode_event(event).into(), &[key]).encode()
}

/// A key for measuring, which everybody can compute: never for use.
fn key(seed: &[u8; 32], number: u64) -> SigningKey {
    SigningKey::from_seed(draw(seed, Kind::Key, number))
}

/// 32 bytes of chance, the same each time.
fn draw(seed: &[u8; 32], kind: Kind, number: u64) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_keyed(seed);
    hasher.update(&[kind as u8]).update(&number.to_be_bytes());
    *hasher.finalize().as_bytes()
}

/// The first 8 of 32 bytes as a number.
fn first_bytes(drawn: &[u8; 32]) -> u64 {
    drawn.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
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
