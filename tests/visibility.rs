//! Two competitors with a common supplier and a common customer, over real gRPC: neither learns
//! anything of the other, and each sees all of its own.

#![allow(dead_code, reason = "the kit serves several tests")]
#![allow(
    clippy::panic,
    clippy::similar_names,
    clippy::too_many_lines,
    clippy::unwrap_used,
    reason = "a test says what is wrong by failing"
)]

#[path = "common/forge.rs"]
mod forge;
#[path = "common/forge_world.rs"]
mod forge_world;
#[path = "common/grpc_kit.rs"]
mod kit;

use std::collections::{BTreeMap, BTreeSet};

use bytes::{Buf, BufMut, Bytes};
use forge::{party, public, site};
use forge_world::{COLLECTOR, COORD, LAB, SMELTER, accept, collect, copper, draw, new_lot, split};
use kit::{Kit, Told, told, uuid};
use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage, Kind, MethodDescriptor, Value};
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::transport::Channel;
use tonic::{Code, Request, Status};
use urbanmine::api::policy::{POLICY, Rule};
use urbanmine::domain::event::{
    AssayLot, CloseTransfer, HoldLot, RegisterKey, ReleaseLot, VisibilityGrant,
};
use urbanmine::domain::units::Validity;
use urbanmine::domain::vocabulary::{HoldReason, PartyRole, TransferReason};
use urbanmine::domain::{Body, Event, EventId, LotId, PartyId, TimeMs};
use urbanmine::node::LotStatePolicy;
use urbanmine::verify::{LotStanding, Verdict, verify_lot};
use urbanmine::wire::v1::ledger_service_client::LedgerServiceClient;
use urbanmine::wire::v1::lot_service_client::LotServiceClient;
use urbanmine::wire::{DESCRIPTORS, v1};

/// Who looks.
const OURS: PartyId = SMELTER;
/// Whom both buy from.
const SUPPLIER: PartyId = COLLECTOR;
/// Whom both sell to.
const CUSTOMER: PartyId = party(43);
/// The competitor.
const RIVAL: PartyId = party(41);
/// Who stands in its place in the twin ledger.
const TWIN: PartyId = party(44);

/// The competitor's part of the story: who it is, and how much it moves.
#[derive(Clone, Copy)]
struct Other {
    party: PartyId,
    /// The common supplier's lot is shared with it in this proportion.
    grams: u64,
    /// Ids of its lots.
    first_lot: u64,
}

const REAL: Other = Other { party: RIVAL, grams: 7_700, first_lot: 30_000 };
const STAND_IN: Other = Other { party: TWIN, grams: 3_300, first_lot: 40_000 };

/// What was said, and what everything is called.
struct Story {
    kit: Kit,
    /// Where callers show their tokens.
    door: Channel,
    /// All 16-byte ids of the competitor alone.
    hidden: Vec<[u8; 16]>,
    /// Entries that are the competitor's alone.
    hidden_entries: Vec<u64>,
    /// An open offer of the competitor, one of its lots, one of its events, a hold.
    hidden_lot: LotId,
    hidden_offer: EventId,
    hidden_event: EventId,
    /// Everything of ours.
    own: Vec<[u8; 16]>,
    own_lot: LotId,
}

/// Says something and keeps its id and entry.
async fn say(
    kit: &mut Kit,
    ids: &mut Vec<[u8; 16]>,
    entries: &mut Vec<u64>,
    actor: PartyId,
    body: Body,
) -> EventId {
    let event = kit.event(actor, body);
    let appended = kit.append(&event).await;
    ids.push(*event.id.as_bytes());
    entries.push(appended.entry_index);
    event.id
}

async fn enrol(kit: &mut Kit, id: PartyId) -> Vec<u64> {
    let record = forge::party_record(id, &[PartyRole::Smelter]);
    let validity = Validity { from: TimeMs::of(0), to: None };
    let key = RegisterKey { party: id, public_key: public(forge::seed_of(id)), validity };
    let place = kit::site_record(site(id), id, forge_world::NEAR_REGION);
    let bodies = [Body::RegisterParty(record), Body::RegisterKey(key), Body::RegisterSite(place)];
    let (mut ids, mut entries) = (Vec::new(), Vec::new());
    for body in bodies {
        say(kit, &mut ids, &mut entries, COORD, body).await;
    }
    entries
}

/// The supplier sells to both, both melt, both sell on. The same events at the same places in every
/// telling; only what the other is and moves differs.
async fn tell(other: Other) -> Story {
    tell_in(Kit::start().await, other).await
}

async fn tell_in(mut kit: Kit, other: Other) -> Story {
    let door = kit.asking_door(&[OURS, SUPPLIER, CUSTOMER, other.party, LAB]).await;
    let (mut own, mut hidden) = (Vec::new(), Vec::new());
    let (mut own_entries, mut hidden_entries) = (Vec::new(), Vec::new());
    let (o, oe) = (&mut own, &mut own_entries);
    let (h, he) = (&mut hidden, &mut hidden_entries);
    let mut serial = other.first_lot;
    let mut their_lot = || {
        serial += 1;
        LotId::from_bytes(uuid(serial))
    };
    enrol(&mut kit, CUSTOMER).await;
    he.extend(enrol(&mut kit, other.party).await);
    h.push(*other.party.as_bytes());
    h.push(*site(other.party).as_bytes());

    // The supplier's lot goes to both, in parts.
    let shared = kit.copper(SUPPLIER, 20_000).await;
    let theirs = kit.say(SUPPLIER, offer_to(shared, other.grams, other.party)).await;
    let ours = kit.say(SUPPLIER, offer_to(shared, 9_000, OURS)).await;
    let their_part = their_lot();
    say(&mut kit, h, he, other.party, accept(theirs, other.grams, Some(their_part))).await;
    let our_part = kit.lot();
    say(&mut kit, o, oe, OURS, accept(ours, 9_000, Some(our_part))).await;
    h.extend([*theirs.as_bytes(), *their_part.as_bytes()]);
    o.extend([*ours.as_bytes(), *our_part.as_bytes(), *shared.as_bytes()]);

    // Of another lot the other buys a part, and we take over what is left, whole.
    let second = kit.copper(SUPPLIER, 5_000 + other.grams).await;
    let theirs = kit.say(SUPPLIER, offer_to(second, other.grams, other.party)).await;
    let part = their_lot();
    say(&mut kit, h, he, other.party, accept(theirs, other.grams, Some(part))).await;
    let ours = kit.say(SUPPLIER, offer_to(second, 5_000, OURS)).await;
    say(&mut kit, o, oe, OURS, accept(ours, 5_000, None)).await;
    h.extend([*theirs.as_bytes(), *part.as_bytes()]);
    o.extend([*ours.as_bytes(), *second.as_bytes()]);

    // Both split, a laboratory looks at both.
    let (their_a, their_b) = (their_lot(), their_lot());
    let half = other.grams / 2;
    let children = [draw(their_a, half), draw(their_b, other.grams - half)];
    let their_split = say(&mut kit, h, he, other.party, split(their_part, &children)).await;
    let (our_a, our_b) = (kit.lot(), kit.lot());
    let children = [draw(our_a, 4_000), draw(our_b, 5_000)];
    say(&mut kit, o, oe, OURS, split(our_part, &children)).await;
    for (lot, ids, entries) in [(their_a, &mut *h, &mut *he), (our_a, &mut *o, &mut *oe)] {
        let body = Body::AssayLot(AssayLot { lot, composition: copper(51_000_000) });
        say(&mut kit, ids, entries, LAB, body).await;
    }
    h.extend([*their_a.as_bytes(), *their_b.as_bytes()]);
    o.extend([*our_a.as_bytes(), *our_b.as_bytes()]);

    // Both sell a whole lot to the customer, who takes both; the other has one more on offer.
    let sold = say(&mut kit, h, he, other.party, offer_to(their_a, half, CUSTOMER)).await;
    say(&mut kit, h, he, CUSTOMER, accept(sold, half, None)).await;
    let sold = say(&mut kit, o, oe, OURS, offer_to(our_a, 4_000, CUSTOMER)).await;
    say(&mut kit, o, oe, CUSTOMER, accept(sold, 4_000, None)).await;
    let open = say(&mut kit, h, he, other.party, offer_to(their_b, 100, CUSTOMER)).await;
    // What happens to our lot afterwards is the customer's business.
    let (their_rest, our_rest) = (kit.lot(), kit.lot());
    let rest = [draw(their_rest, half)];
    say(&mut kit, h, he, CUSTOMER, split(their_a, &rest)).await;
    kit.say(CUSTOMER, split(our_a, &[draw(our_rest, 4_000)])).await;
    h.push(*their_rest.as_bytes());

    Story {
        hidden_lot: their_b,
        hidden_offer: open,
        hidden_event: their_split,
        own_lot: our_b,
        kit,
        door,
        hidden,
        hidden_entries,
        own,
    }
}

fn offer_to(lot: LotId, grams: u64, to: PartyId) -> Body {
    Body::OfferTransfer(forge_world::offering(lot, grams, to))
}

// --- any call, by name ---------------------------------------------------------------------------

/// Bytes in, bytes out.
#[derive(Clone, Copy, Default)]
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, into: &mut EncodeBuf<'_>) -> Result<(), Status> {
        into.put(item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(from.copy_to_bytes(from.remaining())))
    }
}

fn methods() -> Vec<MethodDescriptor> {
    let pool = DescriptorPool::decode(DESCRIPTORS).unwrap();
    let services = pool.services().filter(|it| it.full_name().starts_with("urbanmine."));
    services.flat_map(|service| service.methods().collect::<Vec<_>>()).collect()
}

fn name_of(method: &MethodDescriptor) -> String {
    format!("{}/{}", method.parent_service().full_name(), method.name())
}

async fn call(
    story: &Story,
    caller: PartyId,
    method: &MethodDescriptor,
    request: &DynamicMessage,
) -> Result<DynamicMessage, Status> {
    let mut client = tonic::client::Grpc::new(story.door.clone())
        .max_decoding_message_size(urbanmine::limits::MAX_REPLY_BYTES);
    client.ready().await.unwrap();
    let reply = loop {
        let mut asked = Request::new(Bytes::from(request.encode_to_vec()));
        asked.metadata_mut().insert("authorization", kit::bearer(caller).parse().unwrap());
        let path = format!("/{}", name_of(method)).parse().unwrap();
        match client.unary(asked, path, Raw).await {
            // So many calls of one party are too many for the doors.
            Err(status) if status.code() == Code::ResourceExhausted => {
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                client.ready().await.unwrap();
            }
            other => break other?.into_inner(),
        }
    };
    let mut reply = DynamicMessage::decode(method.output(), reply).unwrap();
    // As of when an answer is: the clock, and how many entries there are. Public.
    reply.clear_field_by_name("as_of");
    reply.clear_field_by_name("ledger_size");
    Ok(reply)
}

/// An answer as something to compare, without the id of the request and with a probe's id blanked.
fn plain(answer: &Result<DynamicMessage, Status>, probe: Option<&[u8; 16]>) -> String {
    let text = match answer {
        Ok(reply) => format!("{:02x?}", reply.encode_to_vec()),
        Err(status) => refusal(status),
    };
    match probe {
        Some(id) => text.replace(&LotId::from_bytes(*id).to_string(), "<id>"),
        None => text,
    }
}

fn refusal(status: &Status) -> String {
    let Told { code, reason, metadata, zh, en, fields } = told(status);
    let metadata: BTreeMap<_, _> = metadata.into_iter().collect();
    format!("{code:?} {reason} {metadata:?} {zh} {en} {fields:?}")
}

/// Calls that are looked at elsewhere.
fn is_elsewhere(method: &MethodDescriptor) -> bool {
    let is_append = ["AppendEvent", "BatchAppendEvents", "CreateDraft"].contains(&method.name());
    // See `appends_name_what_is_hidden_as_if_it_were_missing`, and the tests of watches.
    is_append || method.is_server_streaming()
}

fn rule_of(method: &MethodDescriptor) -> Rule {
    POLICY.iter().find(|row| row.method == name_of(method)).unwrap().rule
}

/// How a field of a request is probed.
enum Probe {
    Id,
    Index,
    No,
}

/// Whoever adds a field that names something says here how to probe it.
fn probe_of(method: &MethodDescriptor, field: &str, kind: &Kind) -> Probe {
    match (field, kind) {
        // Not the names of things that are recorded; see `bare`.
        (
            "anomaly" | "commitment_sha256" | "fact" | "key_id" | "period_from_ms" | "period_to_ms"
            | "reader_party_ids" | "salt" | "signature" | "unsigned_only",
            _,
        ) => Probe::No,
        (name, Kind::Bytes) if name.ends_with("_id") => Probe::Id,
        ("entry_index", _) => Probe::Index,
        // Selects from what is seen anyway, or says as of when; or it is of all entries, for
        // overseers only (see `tests/json_tlog.rs`).
        (
            "page_size" | "page_token" | "from_entry_index" | "material" | "status" | "substance"
            | "as_of_ms" | "as_of_entry_index" | "open_only" | "is_open" | "state" | "bundle_index"
            | "width" | "kind" | "process" | "from_month" | "to_month" | "region_prefix"
            | "flow_level" | "flow_moves" | "days" | "breakdown" | "rule" | "min_severity"
            | "figure" | "anomaly_id" | "only_open" | "with_range" | "with_used_up",
            _,
        ) => Probe::No,
        (name, _) => panic!("{}: how is {name} probed?", name_of(method)),
    }
}

/// A request that names nothing, with what is needed beside a name.
fn bare(method: &MethodDescriptor) -> DynamicMessage {
    let mut request = DynamicMessage::new(method.input());
    let beside = [("commitment_sha256", 32), ("key_id", 32), ("salt", 32), ("signature", 64)];
    for (name, bytes) in beside.into_iter().chain([("fact", 5)]) {
        if method.input().get_field_by_name(name).is_some() {
            request.set_field_by_name(name, Value::Bytes(Bytes::from(vec![7; bytes])));
        }
    }
    if method.input().get_field_by_name("period_from_ms").is_some() {
        // Copper, in June of 2024.
        request.set_field_by_name("substance", Value::EnumNumber(29));
        request.set_field_by_name("period_from_ms", Value::U64(1_717_171_200_000));
        request.set_field_by_name("period_to_ms", Value::U64(1_719_763_200_000));
    }
    if method.name() == "GetReport" {
        // Stock, which a party may ask of its own books.
        request.set_field_by_name("kind", Value::EnumNumber(7));
        // Else it is as of now, which differs from call to call.
        request.set_field_by_name("as_of_ms", Value::U64(1_893_456_000_000));
    }
    request
}

fn random_ids() -> impl Iterator<Item = [u8; 16]> {
    (0..).map(|n: u64| uuid(77_000_000 + n))
}

#[tokio::test]
async fn what_is_hidden_is_told_as_what_is_missing() {
    let story = tell(REAL).await;
    let mut probes = 0;
    for method in methods() {
        let rule = rule_of(&method);
        if is_elsewhere(&method) || rule == Rule::Public {
            continue;
        }
        let mut stranger = random_ids();
        for field in method.input().fields() {
            match probe_of(&method, field.name(), &field.kind()) {
                Probe::No => {}
                Probe::Id => {
                    for id in &story.hidden {
                        let missing = stranger.next().unwrap();
                        let mut answers = Vec::new();
                        for id in [*id, missing] {
                            let mut request = bare(&method);
                            let value = Value::Bytes(Bytes::copy_from_slice(&id));
                            request.set_field(&field, value);
                            let answer = call(&story, OURS, &method, &request).await;
                            answers.push(plain(&answer, Some(&id)));
                        }
                        let what = format!("{} by {}", name_of(&method), field.name());
                        assert_eq!(answers[0], answers[1], "{what}");
                        probes += 1;
                    }
                }
                Probe::Index => {
                    for index in &story.hidden_entries {
                        let mut answers = Vec::new();
                        for index in [*index, 9_999_999] {
                            let mut request = bare(&method);
                            request.set_field(&field, Value::U64(index));
                            let answer = call(&story, OURS, &method, &request).await;
                            answers.push(plain(&answer, None).replace(&index.to_string(), "<n>"));
                        }
                        assert_eq!(answers[0], answers[1], "{}", name_of(&method));
                        probes += 1;
                    }
                }
            }
        }
        if rule == Rule::Overseer {
            let request = DynamicMessage::new(method.input());
            let refused = call(&story, OURS, &method, &request).await.unwrap_err();
            assert_eq!(refused.code(), Code::PermissionDenied, "{}", name_of(&method));
        }
    }
    assert!(probes > 100, "{probes}");
    story.kit.stop().await;
}

/// Answers to everything that we can ask: of nothing, of each thing of ours and of our partners,
/// and of lists page by page.
async fn all_answers(story: &Story) -> BTreeMap<String, String> {
    let partners = [OURS, SUPPLIER, CUSTOMER, COORD, LAB];
    let mut ids = story.own.clone();
    ids.extend(partners.iter().map(|party| *party.as_bytes()));
    ids.extend(partners.iter().map(|party| *site(*party).as_bytes()));
    let mut answers = BTreeMap::new();
    for method in methods() {
        // Entries and receipts hold chain values and proofs, which hang on every entry.
        let hashed = ["GetCosignedReceipt", "GetEntry", "GetReceipt", "ListEntries"];
        let holds_hashes = hashed.contains(&method.name());
        if is_elsewhere(&method) || rule_of(&method) == Rule::Public {
            continue;
        }
        let mut requests = vec![("nothing".to_owned(), bare(&method))];
        for field in method.input().fields() {
            if !matches!(probe_of(&method, field.name(), &field.kind()), Probe::Id) {
                continue;
            }
            for id in &ids {
                let mut request = bare(&method);
                request.set_field(&field, Value::Bytes(Bytes::copy_from_slice(id)));
                requests.push((format!("{} {id:02x?}", field.name()), request));
            }
        }
        for (what, mut request) in requests {
            let is_list = method.input().get_field_by_name("page_size").is_some();
            for page in 0.. {
                if is_list {
                    request.set_field_by_name("page_size", Value::U32(1));
                }
                let answer = call(story, OURS, &method, &request).await;
                check_no_trace(story, &method, &answer);
                let token = answer.as_ref().ok().and_then(|reply| {
                    let token = reply.get_field_by_name("next_page_token")?;
                    token.as_str().map(ToOwned::to_owned)
                });
                let told = match &answer {
                    Ok(reply) if holds_hashes => indexes(reply),
                    other => plain(other, None),
                };
                answers.insert(format!("{} {what} page {page}", name_of(&method)), told);
                match token {
                    Some(token) if !token.is_empty() => {
                        request.set_field_by_name("page_token", Value::String(token));
                    }
                    _ => break,
                }
                assert!(page < 200);
            }
        }
    }
    answers
}

/// Nothing of the other stands in an answer: no id, no name, no code.
fn check_no_trace(
    story: &Story,
    method: &MethodDescriptor,
    answer: &Result<DynamicMessage, Status>,
) {
    let bytes = match answer {
        Ok(reply) => reply.encode_to_vec(),
        Err(status) => refusal(status).into_bytes(),
    };
    for id in &story.hidden {
        let text = LotId::from_bytes(*id).to_string();
        for trace in [&id[..], text.as_bytes()] {
            let is_there = bytes.windows(trace.len()).any(|window| window == trace);
            assert!(!is_there, "{} tells {text}", name_of(method));
        }
    }
    for other in [RIVAL, TWIN] {
        let record = forge::party_record(other, &[]);
        for text in [record.credit_code, record.name_en, record.name_zh] {
            let is_there = bytes.windows(text.len().max(1)).any(|it| it == text.as_bytes());
            assert!(text.is_empty() || !is_there, "{} tells {text}", name_of(method));
        }
    }
}

fn indexes(reply: &DynamicMessage) -> String {
    let mut found = Vec::new();
    for name in ["entry_index", "entry", "entries"] {
        let Some(value) = reply.get_field_by_name(name) else { continue };
        let of = |value: &Value| match value {
            Value::U64(index) => vec![*index],
            Value::Message(entry) => {
                vec![entry.get_field_by_name("entry_index").unwrap().as_u64().unwrap()]
            }
            _ => Vec::new(),
        };
        match value.as_ref() {
            Value::List(items) => found.extend(items.iter().flat_map(of)),
            one => found.extend(of(one)),
        }
    }
    format!("{found:?}")
}

#[tokio::test]
async fn a_ledger_in_which_the_other_is_somebody_else_looks_the_same() {
    let (real, twin) = (tell(REAL).await, tell(STAND_IN).await);
    let (seen, expected) = (all_answers(&real).await, all_answers(&twin).await);
    assert_eq!(seen.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
    for (what, answer) in &seen {
        assert_eq!(answer, &expected[what], "{what}");
    }
    assert!(seen.len() > 200, "{}", seen.len());
    real.kit.stop().await;
    twin.kit.stop().await;
}

// --- appends -------------------------------------------------------------------------------------

/// Bodies that name a lot, an offer, an event or a party, each with two of them.
fn namings(story: &Story) -> Vec<(&'static str, Body, Body)> {
    let mut ids = random_ids();
    let mut missing = || ids.next().unwrap();
    let new = LotId::from_bytes(uuid(88_000_000));
    let mut all = Vec::new();
    let of_lot = |lot: LotId| -> Vec<(&'static str, Body)> {
        vec![
            ("split", split(lot, &[draw(new, 5)])),
            ("offer", offer_to(lot, 5, CUSTOMER)),
            ("offer all", offer_to(lot, 1_000_000, CUSTOMER)),
            ("assay", Body::AssayLot(AssayLot { lot, composition: copper(1_000_000) })),
            (
                "hold",
                Body::HoldLot(HoldLot {
                    lot,
                    reason: HoldReason::Quality,
                    authority: String::new(),
                }),
            ),
            (
                "release",
                Body::ReleaseLot(ReleaseLot { lot, hold: story.hidden_event, note: String::new() }),
            ),
            (
                "melt",
                forge_world::refine(forge_world::refining(
                    &[draw(lot, 5)],
                    &[forge_world::made(new, forge_world::CATHODE, 5)],
                    &[],
                )),
            ),
        ]
    };
    let hidden = of_lot(story.hidden_lot);
    let absent = of_lot(LotId::from_bytes(missing()));
    all.extend(hidden.into_iter().zip(absent).map(|((name, a), (_, b))| (name, a, b)));
    let of_offer = |offer: EventId| -> Vec<(&'static str, Body)> {
        let close = CloseTransfer { offer, reason: TransferReason::Quality, note: String::new() };
        vec![
            ("accept", accept(offer, 100, Some(new))),
            ("accept whole", accept(offer, 100, None)),
            ("reject", Body::RejectTransfer(close.clone())),
            ("cancel", Body::CancelTransfer(close)),
            ("error", forge_world::error(offer, &[])),
        ]
    };
    let absent = of_offer(EventId::from_bytes(missing()));
    for hidden in [story.hidden_offer, story.hidden_event] {
        let pairs = of_offer(hidden).into_iter().zip(absent.clone());
        all.extend(pairs.map(|((name, a), (_, b))| (name, a, b)));
    }
    // Refused for the grams, so that the party and the place are all that could be told.
    let mut missing_party = forge_world::offering(story.own_lot, 9_000_000, RIVAL);
    let known = Body::OfferTransfer(missing_party.clone());
    missing_party.consignee = PartyId::from_bytes(missing());
    all.push(("offer to", known, Body::OfferTransfer(missing_party)));
    all
}

fn named_ids(story: &Story) -> Vec<[u8; 16]> {
    let mut ids: Vec<[u8; 16]> = story.hidden.clone();
    ids.extend(random_ids().take(10));
    ids
}

async fn refused(story: &Story, event: &Event, validate_only: bool) -> String {
    let mut ledger = LedgerServiceClient::new(story.door.clone());
    let envelope = kit::signed(event);
    let mut request = Request::new(v1::AppendEventRequest { envelope, validate_only });
    request.metadata_mut().insert("authorization", kit::bearer(OURS).parse().unwrap());
    refusal(&ledger.append_event(request).await.unwrap_err())
}

#[tokio::test]
async fn appends_name_what_is_hidden_as_if_it_were_missing() {
    let mut story = tell(REAL).await;
    let ids = named_ids(&story);
    let blank = |text: String| {
        ids.iter().fold(text, |text, id| text.replace(&LotId::from_bytes(*id).to_string(), "<id>"))
    };
    for (name, hidden, missing) in namings(&story) {
        let event = story.kit.event(OURS, hidden);
        let twin = Event { body: missing, ..event.clone() };
        for validate_only in [true, false] {
            let told = blank(refused(&story, &event, validate_only).await);
            let expected = blank(refused(&story, &twin, validate_only).await);
            assert_eq!(told, expected, "{name}");
        }
    }
    story.kit.stop().await;
}

#[tokio::test]
async fn an_event_of_others_is_not_found_out_by_guessing_it() {
    let mut story = tell(REAL).await;
    let body = collect(new_lot(story.kit.lot(), forge_world::COPPER, 500));
    let event = story.kit.event(SUPPLIER, body);
    story.kit.append(&event).await;
    // The right payload and a wrong one, signed by ourselves: the same answer.
    let seeds = [forge::seed_of(OURS)];
    let guess = kit::sealed(forge::payload(&event).to_vec(), &seeds);
    let wrong = Event { external_ref: "wrong".to_owned(), ..event.clone() };
    let wrong = kit::sealed(forge::payload(&wrong).to_vec(), &seeds);
    for validate_only in [true, false] {
        let mut told = Vec::new();
        for envelope in [guess.clone(), wrong.clone()] {
            let mut request = Request::new(v1::AppendEventRequest { envelope, validate_only });
            request.metadata_mut().insert("authorization", kit::bearer(OURS).parse().unwrap());
            let mut ledger = LedgerServiceClient::new(story.door.clone());
            told.push(refusal(&ledger.append_event(request).await.unwrap_err()));
        }
        assert_eq!(told[0], told[1]);
        assert!(!told[0].contains("recorded_at"), "{}", told[0]);
    }
    // Whoever holds the signed bytes themselves gets the receipt: it sent them, or could have.
    let mut request = Request::new(v1::AppendEventRequest {
        envelope: kit::signed(&event),
        validate_only: false,
    });
    request.metadata_mut().insert("authorization", kit::bearer(OURS).parse().unwrap());
    let again = LedgerServiceClient::new(story.door.clone())
        .append_event(request)
        .await
        .unwrap()
        .into_inner();
    assert!(again.appended.unwrap().was_recorded_before);
    story.kit.stop().await;
}

/// The table in the document says of every call who may make it, as the policy does.
#[test]
fn the_document_has_a_row_for_every_call() {
    let document = include_str!("../docs/VISIBILITY.md");
    let rows: BTreeMap<&str, &str> = document
        .lines()
        .filter_map(|line| {
            let mut cells = line.strip_prefix("| ")?.split(" | ");
            let (call, allowed) = (cells.next()?, cells.next()?);
            call.contains('/').then_some((call, allowed))
        })
        .collect();
    let ours = POLICY.iter().filter_map(|row| {
        let call = row.method.strip_prefix("urbanmine.v1.")?;
        let allowed = match row.rule {
            Rule::Public => "anybody",
            Rule::Member => "member",
            Rule::Overseer => "overseer",
        };
        Some((call, allowed))
    });
    assert_eq!(rows, ours.collect());
}

// --- what is ours --------------------------------------------------------------------------------

fn asked<T>(caller: PartyId, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("authorization", kit::bearer(caller).parse().unwrap());
    request
}

#[tokio::test]
async fn a_party_sees_all_that_is_its_own() {
    let story = tell(REAL).await;
    let mut ledger = story.kit.ledger.clone();
    let mut lots = story.kit.lots.clone();
    let everything = v1::ListEntriesRequest { page_size: 1_000, ..Default::default() };
    let all = ledger.list_entries(everything.clone()).await.unwrap().into_inner().entries;
    for party in [OURS, SUPPLIER, CUSTOMER, RIVAL, LAB] {
        let mut asking = LedgerServiceClient::new(story.door.clone());
        let own = asking.list_entries(asked(party, everything.clone())).await.unwrap();
        let own: BTreeSet<u64> =
            own.into_inner().entries.iter().map(|entry| entry.entry_index).collect();
        for entry in &all {
            let names_it = entry.entry.windows(16).any(|window| window == party.as_bytes());
            assert!(
                !names_it || own.contains(&entry.entry_index),
                "entry {} names {party}",
                entry.entry_index
            );
        }
        assert!(own.len() < all.len());

        let every = v1::ListLotsRequest { page_size: 1_000, ..Default::default() };
        let there = lots.list_lots(every.clone()).await.unwrap().into_inner().lots;
        let mut asking = LotServiceClient::new(story.door.clone());
        let seen = asking.list_lots(asked(party, every)).await.unwrap().into_inner().lots;
        let seen: BTreeMap<Bytes, v1::Lot> =
            seen.into_iter().map(|lot| (lot.lot_id.clone(), lot)).collect();
        for lot in there {
            let is_its = [&lot.owner_party_id, &lot.possessor_party_id]
                .iter()
                .any(|id| id[..] == party.as_bytes()[..]);
            if is_its {
                let told = &seen[&lot.lot_id];
                assert_eq!(told.view(), v1::LotView::Whole);
                assert_eq!(told.remaining_mass_g, lot.remaining_mass_g);
            }
        }
    }
    story.kit.stop().await;
}

#[tokio::test]
async fn a_lot_is_told_as_it_left_and_one_step_away_in_a_few_words() {
    let story = tell(REAL).await;
    let mut lots = LotServiceClient::new(story.door.clone());
    let every = v1::ListLotsRequest { page_size: 1_000, ..Default::default() };
    let seen = lots.list_lots(asked(OURS, every)).await.unwrap().into_inner().lots;
    let left: Vec<_> = seen.iter().filter(|lot| lot.view() == v1::LotView::AsLeft).collect();
    // The customer has used it up since.
    assert_eq!(left.len(), 1);
    assert_eq!((left[0].remaining_mass_g, left[0].status()), (4_000, v1::LotStatus::InTransit));
    assert_eq!(left[0].owner_party_id[..], OURS.as_bytes()[..]);
    let up: Vec<_> = seen.iter().filter(|lot| lot.view() == v1::LotView::StepUp).collect();
    assert_eq!(up.len(), 1);
    assert_eq!(up[0].counterparty_party_id[..], SUPPLIER.as_bytes()[..]);
    assert_eq!((up[0].initial_mass_g, up[0].remaining_mass_g, up[0].entry_count), (0, 0, 0));
    assert_eq!(up[0].material, forge_world::COPPER);

    // The customer has a lot that was born with us: its mass from when it came, and no birth.
    let lot_id = left[0].lot_id.clone();
    let got = lots.get_lot(asked(CUSTOMER, v1::GetLotRequest { lot_id: lot_id.clone() })).await;
    let got = got.unwrap().into_inner().lot.unwrap();
    assert_eq!((got.view(), got.initial_mass_g), (v1::LotView::Whole, 4_000));
    assert_eq!((got.born_entry_index, got.entry_count), (0, 0));

    // Origins beyond one step are a class. The customer's step ends at what it bought.
    let request = v1::TraceOriginsRequest { lot_id, substance: 0, ..Default::default() };
    let refused = lots.trace_origins(asked(SUPPLIER, request.clone())).await.unwrap_err();
    assert_eq!(told(&refused).reason, "NOT_FOUND");
    story.kit.stop().await;
}

#[tokio::test]
async fn a_grant_shows_a_lot_and_so_many_steps_behind_it() {
    let mut story = tell(REAL).await;
    let lot = story.own_lot;
    let mut lots = LotServiceClient::new(story.door.clone());
    let get = v1::GetLotRequest { lot_id: kit::raw(lot.as_bytes()) };
    let trace = v1::TraceOriginsRequest {
        lot_id: kit::raw(lot.as_bytes()),
        substance: 0,
        ..Default::default()
    };
    assert!(lots.get_lot(asked(RIVAL, get.clone())).await.is_err());

    let grant = VisibilityGrant { lot, reader: RIVAL, depth: 1, valid_to: None };
    story.kit.say(OURS, Body::VisibilityGrant(grant)).await;
    let seen = lots.get_lot(asked(RIVAL, get)).await.unwrap().into_inner().lot.unwrap();
    assert_eq!((seen.view(), seen.remaining_mass_g), (v1::LotView::Whole, 5_000));
    // One step back is the lot that it was split from, and no further: the supplier's lot, of which
    // the reader has bought a part itself, is a class here.
    let origins = lots.trace_origins(asked(RIVAL, trace.clone())).await.unwrap().into_inner();
    assert_eq!((origins.steps.len(), origins.lots.len()), (1, 2));
    let now = origins.now.unwrap();
    assert_eq!((now.shares.len(), now.classes.len()), (0, 1));
    assert_eq!((now.total_g, now.classes[0].mass_g), (Some(5_000), 5_000));
    // The owner sees its step up by name.
    let own = lots.trace_origins(asked(OURS, trace)).await.unwrap().into_inner();
    assert_eq!((own.steps.len(), own.lots.len()), (2, 3));
    assert_eq!(own.now.unwrap().shares.len(), 1);
    story.kit.stop().await;
}

/// The proof of how many entries a lot has goes to whom the number is told, and to nobody else.
#[tokio::test]
async fn a_lots_state_is_proven_to_whom_its_entries_are_counted() {
    let wait = std::time::Duration::from_secs(3_600);
    let stating = LotStatePolicy { every_entries: 1, wait };
    let mut story = tell_in(Kit::start_stating(stating).await, REAL).await;
    let grant = VisibilityGrant { lot: story.own_lot, reader: RIVAL, depth: 1, valid_to: None };
    story.kit.say(OURS, Body::VisibilityGrant(grant)).await;
    let (mut all, door) = (story.kit.lots.clone(), story.door.clone());
    let of = |lot_id: &Bytes| v1::GetLotStateProofRequest { lot_id: lot_id.clone() };

    let every = v1::ListLotsRequest { page_size: 1_000, ..Default::default() };
    let there = all.list_lots(every).await.unwrap().into_inner().lots;
    // The last statement is made behind the reply to the last event.
    let granted = kit::raw(story.own_lot.as_bytes());
    let counted = there.iter().find(|lot| lot.lot_id == granted).unwrap().entry_count;
    let began = std::time::Instant::now();
    loop {
        let reply = all.get_lot_state_proof(of(&granted)).await.unwrap().into_inner();
        if reply.entry_count == u64::from(counted) {
            break;
        }
        assert!(began.elapsed().as_secs() < 60, "the last entry is never stated");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }

    let (mut proven, mut kept_back) = (0, 0);
    for lot in &there {
        let reply = all.get_lot_state_proof(of(&lot.lot_id)).await.unwrap().into_inner();
        let state = (reply.entry_count, reply.last_entry_index);
        assert_eq!(state, (u64::from(lot.entry_count), lot.last_entry_index));
        for party in [OURS, SUPPLIER, CUSTOMER, RIVAL, LAB] {
            let mut asking = LotServiceClient::new(door.clone());
            let get = v1::GetLotRequest { lot_id: lot.lot_id.clone() };
            let seen = asking.get_lot(asked(party, get)).await.map(|it| it.into_inner().lot);
            let seen = seen.ok().flatten().unwrap_or_default();
            let is_counted = seen.view() == v1::LotView::Whole && seen.entry_count > 0;
            match asking.get_lot_state_proof(asked(party, of(&lot.lot_id))).await {
                Ok(got) => {
                    assert!(is_counted, "{party} is told more by the proof than by the lot");
                    assert_eq!(got.into_inner(), reply);
                    proven += 1;
                }
                Err(status) => {
                    assert!(!is_counted);
                    assert_eq!(told(&status).reason, "NOT_FOUND");
                    kept_back += 1;
                }
            }
        }
    }
    assert!(proven >= 4 && kept_back >= 4, "{proven} proven, {kept_back} kept back");

    // That there is no such lot is shown to overseers; a party learns what it learns of any lot
    // that it does not see.
    let nobody = LotId::from_bytes(uuid(99_999));
    let reply = all.get_lot_state_proof(of(&kit::raw(nobody.as_bytes()))).await.unwrap();
    let reply = reply.into_inner();
    assert_eq!(reply.entry_count, 0);
    let report = verify_lot(reply.proof.as_bytes(), Some(nobody), &[], &forge::pins());
    assert_eq!((report.verdict, report.standing), (Verdict::Verified, Some(LotStanding::Absent)));
    let mut asking = LotServiceClient::new(door);
    let mut refusals = Vec::new();
    for lot in [nobody, story.hidden_lot] {
        let request = asked(OURS, of(&kit::raw(lot.as_bytes())));
        let status = asking.get_lot_state_proof(request).await.unwrap_err();
        refusals.push((status.code(), told(&status).reason));
    }
    assert_eq!(refusals[0], refusals[1]);
    story.kit.stop().await;
}
