//! What bad input gets, line by line of the promise: a clear error, nothing recorded and nothing
//! lost.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop")]

#[path = "common/forge.rs"]
#[allow(dead_code, reason = "the forged ledgers are other tests'")]
mod forge;
#[path = "common/forge_world.rs"]
#[allow(dead_code, reason = "the forged ledgers are other tests'")]
mod forge_world;
#[path = "common/grpc_kit.rs"]
#[allow(dead_code, reason = "each test uses its part of the kit")]
mod grpc_kit;

use bytes::Bytes;
use forge::{party_record, payload};
use forge_world::{
    BATTERY, CATHODE, COLLECTOR, COORD, COPPER, RECOVERY, SMELTER, collect, collecting, draw,
    error, made, new_lot, offering, refine, refining, split, with_copper,
};
use grpc_kit::{
    EXPIRED_SEED, Kit, NEWCOMER, ORE, REFINE, REVOKED_SEED, STRANGER_SEED, altered, raw, sealed,
    signed, site_record, told, uuid,
};
use tonic::Code;
use urbanmine::domain::event::{HoldLot, NewLot, RegisterKey, TransformLots};
use urbanmine::domain::vocabulary::{HoldReason, LossKind, OriginKind, PartyRole};
use urbanmine::domain::{Body, Event, EventId, Grams, LotId, Origin, PublicKey, SiteId, TimeMs};
use urbanmine::limits::{MAX_BATCH_EVENTS, MAX_LOT_MASS_G, MAX_PAYLOAD_BYTES};
use urbanmine::wire::v1;
use urbanmine::wire::v1::event::Body as Wire;

/// What a request has to get.
struct Case {
    name: String,
    batch: Vec<Bytes>,
    code: Code,
    reason: &'static str,
    /// Numbers that explain it, and what they have to be where that is known.
    numbers: Vec<(&'static str, Option<String>)>,
    /// Fields that are named.
    fields: Vec<&'static str>,
}

impl Case {
    fn new(name: impl Into<String>, envelope: Bytes, code: Code, reason: &'static str) -> Self {
        let (numbers, fields) = (Vec::new(), Vec::new());
        Self { name: name.into(), batch: vec![envelope], code, reason, numbers, fields }
    }

    /// The bytes are wrong.
    fn bytes(name: impl Into<String>, envelope: Bytes, reason: &'static str) -> Self {
        Self::new(name, envelope, Code::InvalidArgument, reason)
    }

    /// The rules say no.
    fn rule(name: impl Into<String>, envelope: Bytes, reason: &'static str) -> Self {
        Self::new(name, envelope, Code::FailedPrecondition, reason)
    }

    fn number(mut self, key: &'static str, value: impl std::fmt::Display) -> Self {
        self.numbers.push((key, Some(format!("{value}"))));
        self
    }

    fn some(mut self, keys: &[&'static str]) -> Self {
        self.numbers.extend(keys.iter().map(|key| (*key, None)));
        self
    }

    fn field(self, path: &'static str) -> Self {
        let mut case = self.number("field", path).some(&["rule", "found", "count"]);
        case.fields.push(path);
        case
    }
}

/// Sends a case and holds that nothing but the answer came of it.
async fn hold(kit: &mut Kit, case: Case, watched: &[LotId]) {
    let checkpoint = kit.checkpoint_text().await;
    let mut lots = Vec::new();
    for lot in watched {
        lots.push(kit.lot_now(*lot).await);
    }
    let name = case.name;
    let is_alone = case.batch.len() == 1;
    let refused = match kit.send(case.batch.clone()).await {
        Ok(_) => panic!("{name} is recorded"),
        Err(refused) => told(&refused),
    };
    assert_eq!(
        (refused.code, refused.reason.as_str()),
        (case.code, case.reason),
        "{name}: {refused:?}"
    );
    assert_eq!(refused.metadata.get("had_no_effect").map(String::as_str), Some("true"), "{name}");
    for (key, value) in &case.numbers {
        let found = refused.metadata.get(*key);
        assert!(found.is_some(), "{name} has no {key}: {refused:?}");
        if value.is_some() {
            assert_eq!(found, value.as_ref(), "{name}: {key}");
        }
    }
    for field in &case.fields {
        let listed = refused.fields.iter().any(|it| it.ends_with(field));
        assert!(listed, "{name} does not list {field}: {refused:?}");
    }
    assert!(!refused.zh.is_ascii() && !refused.zh.contains('{'), "{name}: {}", refused.zh);
    assert!(refused.en.is_ascii() || !case.fields.is_empty(), "{name}: {}", refused.en);

    if is_alone {
        // Judged only, and sent by the other call: the same answer, without a position.
        for validate_only in [true, false] {
            let request = v1::AppendEventRequest { envelope: case.batch[0].clone(), validate_only };
            let alone = told(&kit.ledger.append_event(request).await.unwrap_err());
            assert_eq!((alone.code, &alone.reason), (refused.code, &refused.reason), "{name}");
            assert!(!alone.metadata.contains_key("position"), "{name}");
        }
    }
    assert_eq!(kit.checkpoint_text().await, checkpoint, "{name}");
    for (lot, before) in watched.iter().zip(lots) {
        assert_eq!(kit.lot_now(*lot).await, before, "{name}");
    }
}

fn hazardous(lot: LotId) -> Body {
    collect(new_lot(lot, BATTERY, 1_000))
}

fn a_collect(kit: &mut Kit) -> Event {
    let lot = kit.lot();
    kit.event(COLLECTOR, collect(new_lot(lot, COPPER, 1_000)))
}

fn melt(inputs: LotId, grams: u64, output: NewLot) -> TransformLots {
    let melt = refining(&[draw(inputs, grams)], &[output], &[]);
    TransformLots { process: REFINE.to_owned(), ..melt }
}

// --- bytes ---------------------------------------------------------------------------------------

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_are_no_canonical_event() {
    let mut kit = Kit::start().await;
    let watched = [kit.copper(COLLECTOR, 1_000_000).await];
    let good = payload(&a_collect(&mut kit)).to_vec();
    let end = |tail: &[u8]| [&good[..], tail].concat();
    let start = |head: &[u8]| [head, &good[..]].concat();
    // One row per canonical rule; the offset of the head is after the event id (18 bytes).
    let origin_at = 18;
    let mut bad_text = good.clone();
    bad_text[origin_at + 2] = 0xff;
    let mut short = good.clone();
    short.truncate(good.len() - 1);
    let rows: Vec<(&str, Vec<u8>, &str)> = vec![
        ("truncated", end(&[0x80]), "end in the middle"),
        ("varint too long", end(&[0xff; 11]), "at most 64 bits"),
        ("varint not minimal", end(&[0xa8, 0x00, 0x01]), "fewest bytes"),
        ("field number 0", end(&[0x00, 0x01]), "field number"),
        ("group", end(&[0xfb, 0x3f]), "groups are not used"),
        ("unknown field", end(&[0xf8, 0x3f, 0x01]), "no field of this number"),
        ("wire type", start(&[0x08, 0x01]), "wire type"),
        ("order", end(&good[..18]), "ascending order"),
        ("repeated", start(&good[..18]), "at most once"),
        ("oneof twice", end(&[0xca, 0x02, 0x00]), "one member of a oneof"),
        ("oneof missing", good[..18].to_vec(), "exactly one body"),
        ("default", start(&[0x0a, 0x00]), "absent when it holds its default"),
        ("range", end(&[0xfa, 0x01, 0x06, 0x10, 0x80, 0x80, 0x80, 0x80, 0x10]), ""),
        ("enum", [&good[..18], &[0x3a, 0x02, 0x08, 0x63]].concat(), "no value of this number"),
        ("utf-8", bad_text, "valid UTF-8"),
        ("length", short, "inside the message"),
        ("no protobuf at all", b"{\"event_id\": 1}".to_vec(), ""),
    ];
    for (name, payload, rule) in rows {
        let envelope = sealed(payload, &[2]);
        let case = Case::bytes(name, envelope.clone(), "NON_CANONICAL_EVENT").some(&["detail"]);
        hold(&mut kit, case, &watched).await;
        let request = v1::AppendEventRequest { envelope, validate_only: false };
        let refused = told(&kit.ledger.append_event(request).await.unwrap_err());
        assert!(refused.metadata["detail"].contains(rule), "{name}: {refused:?}");
        assert!(refused.en.contains("not canonical at byte"), "{name}: {refused:?}");
    }
    let huge = sealed(vec![0; MAX_PAYLOAD_BYTES + 1], &[2]);
    let good = signed(&a_collect(&mut kit));
    let mut no_signature = good.to_vec();
    no_signature.drain(1..99);
    no_signature[0] = 0;
    let envelopes: [(&str, Bytes); 8] = [
        ("an empty payload", sealed(Vec::new(), &[2])),
        ("a payload too large", huge),
        ("no bytes", Bytes::new()),
        ("noise", vec![0xff; 300].into()),
        ("half an envelope", good.slice(..good.len() / 2)),
        ("a tail", [&good[..], &[0]].concat().into()),
        ("no signature", no_signature.into()),
        ("an event without its envelope", payload(&a_collect(&mut kit))),
    ];
    for (name, envelope) in envelopes {
        let case = Case::bytes(name, envelope, "ENVELOPE_MALFORMED").some(&["detail"]);
        hold(&mut kit, case, &watched).await;
    }
    kit.stop().await;
}

/// The lot of a collection, on the wire.
fn lot(event: &mut v1::Event) -> &mut v1::NewLot {
    match &mut event.body {
        Some(Wire::CollectLot(it)) => it.lot.as_mut().unwrap(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fields_that_are_not_sound() {
    let mut kit = Kit::start().await;
    let watched = [kit.copper(COLLECTOR, 1_000_000).await];
    let with = |kit: &mut Kit, alter: fn(&mut v1::Event)| altered(&a_collect(kit), alter);
    let mass = "collect_lot.lot.net_mass_g";
    let rows: Vec<(&str, Bytes, &'static str)> = vec![
        // -1 as a varint of 64 bits, and one gram too many.
        ("a negative mass", with(&mut kit, |it| lot(it).net_mass_g = u64::MAX), mass),
        ("an overflowing mass", with(&mut kit, |it| lot(it).net_mass_g = MAX_LOT_MASS_G + 1), mass),
        ("no mass", with(&mut kit, |it| lot(it).net_mass_g = 0), mass),
        ("a short id", with(&mut kit, |it| it.event_id = raw(&[1; 4])), "event_id"),
        ("an id of version 4", with(&mut kit, |it| it.event_id = raw(&[0x44; 16])), "event_id"),
        (
            "a huge id",
            with(&mut kit, |it| lot(it).lot_id = raw(&[7; 9_000])),
            "collect_lot.lot.lot_id",
        ),
        ("a time after 9999", with(&mut kit, |it| it.occurred_at_ms = u64::MAX), "occurred_at_ms"),
        (
            "a negative offset",
            with(&mut kit, |it| it.occurred_at_offset_min = i32::MIN),
            "occurred_at_offset_min",
        ),
        ("no actor", with(&mut kit, |it| it.actor_party_id = Bytes::new()), "actor_party_id"),
        (
            "a text too long, in Chinese",
            with(&mut kit, |it| it.external_ref = "铜".repeat(3_000)),
            "external_ref",
        ),
    ];
    for (name, envelope, field) in rows {
        let case = Case::bytes(name, envelope, "FIELD_INVALID").field(field);
        hold(&mut kit, case, &watched).await;
    }
    // In a batch, the field is told with its place; the good event before it is not recorded.
    let good = a_collect(&mut kit);
    let bad = with(&mut kit, |it| lot(it).net_mass_g = u64::MAX);
    let mut case = Case::bytes("a batch", bad.clone(), "FIELD_INVALID").number("position", 1);
    case.fields = vec!["events[1].collect_lot.lot.net_mass_g"];
    case.batch = vec![signed(&good), bad];
    hold(&mut kit, case, &watched).await;
    kit.stop().await;
}

// --- who -----------------------------------------------------------------------------------------

#[tokio::test(flavor = "multi_thread")]
async fn keys_and_signatures_that_do_not_hold() {
    let mut kit = Kit::start().await;
    let watched = [kit.copper(COLLECTOR, 1_000_000).await];
    let event = a_collect(&mut kit);
    let by = |seeds: &[u8]| sealed(payload(&event).to_vec(), seeds);
    let id = |seed: u8| forge::secret(seed).key_id();
    let late = {
        // The key was valid for an hour after the start.
        let mut event = event.clone();
        event.occurred_at = TimeMs::of(forge::START_MS + 20_000_000);
        sealed(payload(&event).to_vec(), &[EXPIRED_SEED])
    };
    let flipped = |at: usize| {
        let mut bytes = by(&[2]).to_vec();
        bytes[at] ^= 1;
        Bytes::from(bytes)
    };
    // Another seller: still a sound event.
    let seller_at = by(&[2]).windows(32).position(|it| it == [3; 32]).unwrap();
    let elsewhere = {
        let mut event = event.clone();
        event.origin = Origin::parse("ledger.example/other").unwrap();
        signed(&event)
    };
    let weak = {
        let key = RegisterKey {
            party: COLLECTOR,
            public_key: PublicKey([0; 32]),
            validity: forge::VALID,
        };
        signed(&kit.event(COORD, Body::RegisterKey(key)))
    };
    let cases = [
        Case::rule("an unknown key", by(&[STRANGER_SEED]), "KEY_UNKNOWN")
            .number("key", id(STRANGER_SEED)),
        Case::rule("a revoked key", by(&[REVOKED_SEED]), "KEY_REVOKED")
            .number("key", id(REVOKED_SEED))
            .some(&["revoked_at", "by"]),
        Case::rule("an expired key", late, "KEY_NOT_VALID")
            .number("key", id(EXPIRED_SEED))
            .number("to", forge::START_MS + 3_600_000)
            .some(&["occurred_at", "from"]),
        Case::rule("another's signature only", by(&[3]), "SIGNER_UNEXPECTED").number("key", id(3)),
        Case::rule("one signature too many", by(&[2, 3]), "SIGNER_UNEXPECTED")
            .number("key", id(3))
            .number("party", SMELTER),
        Case::rule("two keys of one party", by(&[2, EXPIRED_SEED]), "SIGNER_UNEXPECTED"),
        // Count 1, key id 32, algorithm 2: the signature begins at 35.
        Case::bytes("a bad signature", flipped(40), "SIGNATURE_INVALID").number("key", id(2)),
        Case::bytes("signed bytes changed", flipped(seller_at), "SIGNATURE_INVALID"),
        Case::rule("the wrong origin", elsewhere, "ORIGIN_MISMATCH")
            .number("expected", "ledger.example/forge")
            .number("found", "ledger.example/other"),
        Case::bytes("a weak key", weak, "KEY_WEAK").some(&["detail"]),
    ];
    for case in cases {
        hold(&mut kit, case, &watched).await;
    }
    kit.stop().await;
}

// --- sizes and ids -------------------------------------------------------------------------------

#[tokio::test(flavor = "multi_thread")]
async fn messages_and_batches_that_are_too_large_or_repeat() {
    let mut kit = Kit::start().await;
    let watched = [kit.copper(COLLECTOR, 1_000_000).await];
    let event = a_collect(&mut kit);
    let mut empty = Case::bytes("an empty batch", Bytes::new(), "BATCH_EMPTY");
    empty.batch = Vec::new();
    let mut many = Case::bytes("too many events", Bytes::new(), "BATCH_TOO_LARGE")
        .number("events", MAX_BATCH_EVENTS + 1)
        .some(&["bytes", "max_events", "max_bytes"]);
    many.batch = vec![signed(&event); MAX_BATCH_EVENTS + 1];
    let mut long = Case::bytes("too many bytes", Bytes::new(), "BATCH_TOO_LARGE")
        .number("events", 60)
        .number("bytes", 3_000_000);
    long.batch = vec![vec![0; 50_000].into(); 60];
    let mut repeats = Case::bytes("one event twice", Bytes::new(), "BATCH_REPEATS");
    repeats.batch = vec![signed(&event); 2];
    let huge = Case::bytes("a message too large", vec![0; 5_000_000].into(), "REQUEST_TOO_LARGE")
        .number("max_bytes", 4_194_304)
        .some(&["detail"]);
    for case in [empty, many, long, repeats, huge] {
        hold(&mut kit, case, &watched).await;
    }

    let recorded = a_collect(&mut kit);
    let index = kit.append(&recorded).await.entry_index;
    let other = Event { external_ref: "other".to_owned(), ..recorded.clone() };
    let case = Case::new(
        "an id with other bytes",
        signed(&other),
        Code::AlreadyExists,
        "EVENT_ID_CONFLICT",
    )
    .number("event", recorded.id)
    .number("recorded_at", index);
    hold(&mut kit, case, &watched).await;
    let again = kit.append(&recorded).await;
    assert_eq!((again.entry_index, again.was_recorded_before), (index, true));
    kit.stop().await;
}

// --- metal ---------------------------------------------------------------------------------------

#[tokio::test(flavor = "multi_thread")]
async fn metal_that_cannot_be() {
    let mut kit = Kit::start().await;
    let lot = kit.copper(SMELTER, 1_000_000).await;
    let theirs = kit.copper(COLLECTOR, 1_000_000).await;
    let held = kit.copper(COLLECTOR, 1_000_000).await;
    let stop = HoldLot { lot: held, reason: HoldReason::Dispute, authority: "court".to_owned() };
    let stop = kit.say(COORD, Body::HoldLot(stop)).await;
    let unknown = kit.lot();
    kit.say(SMELTER, collect(new_lot(unknown, COPPER, 5_000))).await;
    kit.say(SMELTER, Body::OfferTransfer(offering(lot, 600_000, COLLECTOR))).await;
    let watched = [lot, theirs, held, unknown];

    let (a, b, c) = (kit.lot(), kit.lot(), kit.lot());
    let copper = |id, grams, parts| with_copper(made(id, CATHODE, grams), parts);
    let created = melt(lot, 100_000, copper(a, 100_001, 40_000_000));
    let mut gained = melt(lot, 400_000, copper(a, 250_000, 99_000_000));
    gained.losses = vec![(LossKind::Volatile, grams(150_000))];
    let twice = melt(lot, 600_000, copper(a, 600_000, 40_000_000));
    let blind = melt(unknown, 5_000, copper(a, 5_000, 40_000_000));
    let mut ore = collecting(new_lot(b, ORE, 1_000));
    ore.lot.origin_kind = Some(OriginKind::Ore);
    let mut scales = collecting(new_lot(b, COPPER, 1_000));
    scales.weighing.tare = grams(1);
    let mut future = a_collect(&mut kit);
    future.occurred_at = TimeMs::of(4_000_000_000_000);
    let mut say = |actor, body| signed(&kit.event(actor, body));
    let cases = [
        Case::rule("mass created", say(SMELTER, refine(created)), "MASS_NOT_CONSERVED")
            .number("into", 100_000)
            .number("out", 100_001),
        Case::rule("an element gained", say(SMELTER, refine(gained)), "ELEMENT_GAINED")
            .number("substance", "CU")
            .number("into", 200_000)
            .number("out", 247_500)
            .some(&["uncertainty"]),
        Case::rule("a double spend", say(SMELTER, refine(twice)), "INSUFFICIENT_MASS")
            .number("lot", lot)
            .number("asked", 600_000)
            .number("available", 400_000)
            .number("remaining", 1_000_000),
        Case::rule(
            "the wrong custodian",
            say(SMELTER, split(theirs, &[draw(a, 400_000), draw(c, 600_000)])),
            "LOT_NOT_HELD",
        )
        .number("lot", theirs)
        .number("possessor", COLLECTOR)
        .number("actor", SMELTER),
        Case::rule(
            "a held lot",
            say(COLLECTOR, split(held, &[draw(a, 400_000), draw(c, 600_000)])),
            "LOT_ON_HOLD",
        )
        .number("lot", held)
        .number("hold", stop),
        Case::rule(
            "ore at a recovery plant",
            say(RECOVERY, Body::CollectLot(Box::new(ore))),
            "ORE_FORBIDDEN",
        )
        .number("party", RECOVERY)
        .number("lot", b)
        .number("origin_kinds", "ORE"),
        Case::rule("waste without manifest", say(COLLECTOR, hazardous(b)), "MANIFEST_MISSING")
            .number("material", BATTERY)
            .number("waste_code", forge_world::WASTE),
        Case::rule("a missing assay", say(SMELTER, refine(blind)), "ASSAY_MISSING")
            .number("lot", unknown)
            .number("substance", "CU"),
        Case::rule(
            "scales that lie",
            say(COLLECTOR, Body::CollectLot(Box::new(scales))),
            "WEIGHING_MISMATCH",
        )
        .number("gross", 6_000)
        .number("tare", 1)
        .number("net", 1_000),
        Case::rule("an event in the future", signed(&future), "OCCURRED_IN_FUTURE")
            .number("occurred_at", 4_000_000_000_000_u64)
            .number("skew_ms", 300_000)
            .some(&["recorded_at"]),
    ];
    for case in cases {
        hold(&mut kit, case, &watched).await;
    }
    kit.stop().await;
}

fn grams(grams: u64) -> Grams {
    Grams::of(grams)
}

// --- registry ------------------------------------------------------------------------------------

#[tokio::test(flavor = "multi_thread")]
async fn codes_that_are_none() {
    let mut kit = Kit::start().await;
    let watched = [kit.copper(COLLECTOR, 1_000_000).await];
    let mut newcomer = party_record(NEWCOMER, &[PartyRole::Trader]);
    let right = newcomer.credit_code.pop().unwrap();
    newcomer.credit_code.push(if right == '7' { '8' } else { '7' });
    let code = newcomer.credit_code.clone();
    let nowhere = site_record(SiteId::from_bytes(uuid(70_000)), COLLECTOR, "369999");
    let lot = kit.lot();
    let mut from_nowhere = collecting(new_lot(lot, COPPER, 1_000));
    from_nowhere.origin_region = "999999".to_owned();
    let mut say = |actor, body| signed(&kit.event(actor, body));
    let cases = [
        Case::rule(
            "a bad credit code",
            say(COORD, Body::RegisterParty(newcomer)),
            "CREDIT_CODE_INVALID",
        )
        .number("code", code)
        .number("expected", right),
        Case::rule("a bad region", say(COORD, Body::RegisterSite(nowhere)), "REGION_UNKNOWN")
            .number("code", "369999")
            .some(&["at"]),
        Case::rule(
            "scrap from a bad region",
            say(COLLECTOR, Body::CollectLot(Box::new(from_nowhere))),
            "REGION_UNKNOWN",
        )
        .number("code", "999999"),
        Case::rule(
            "a code that is in no table",
            say(COLLECTOR, collect(new_lot(lot, "CU_SCRAP_NO9", 1_000))),
            "MATERIAL_UNKNOWN",
        )
        .number("code", "CU_SCRAP_NO9"),
    ];
    for case in cases {
        hold(&mut kit, case, &watched).await;
    }
    kit.stop().await;
}

// --- corrections ---------------------------------------------------------------------------------

#[tokio::test(flavor = "multi_thread")]
async fn a_correction_that_would_drive_a_balance_negative_lists_what_is_in_the_way() {
    let mut kit = Kit::start().await;
    let lot = kit.lot();
    let collected = kit.say(COLLECTOR, collect(new_lot(lot, COPPER, 1_000))).await;
    let (a, b) = (kit.lot(), kit.lot());
    let divided = kit.say(COLLECTOR, split(lot, &[draw(a, 400), draw(b, 600)])).await;
    let declared = |target: EventId| error(target, &[]);
    let mut say = |actor, body| signed(&kit.event(actor, body));
    let cases = [
        Case::rule(
            "a collection that was used",
            say(COLLECTOR, declared(collected)),
            "CORRECTION_BLOCKED",
        )
        .number("target", collected)
        .number("lot", lot)
        .number("blocking", divided)
        .number("more", 0),
        Case::rule("somebody else's event", say(SMELTER, declared(divided)), "TARGET_NOT_YOURS")
            .number("target", divided)
            .number("actor", COLLECTOR),
    ];
    for case in cases {
        hold(&mut kit, case, &[lot, a, b]).await;
    }
    // The newest first, and both go.
    kit.say(COLLECTOR, declared(divided)).await;
    kit.say(COLLECTOR, declared(collected)).await;
    assert_eq!(kit.lot_now(lot).await.status(), v1::LotStatus::Retracted);
    // A lot that never was has no history.
    let request =
        v1::TraceOriginsRequest { lot_id: raw(lot.as_bytes()), substance: 0, ..Default::default() };
    assert_eq!(told(&kit.lots.trace_origins(request).await.unwrap_err()).reason, "NOT_FOUND");
    kit.stop().await;
}
