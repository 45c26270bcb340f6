//! Events as JSON: what people write becomes the bytes that are signed, and shows again as it was.

#![allow(clippy::expect_used, clippy::panic, reason = "a test may stop")]

#[path = "common/events.rs"]
mod events;

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};
use urbanmine::cli::event_json::{
    JsonFault, SampleIds, SymbolContext, event_from_json, event_from_value, event_to_json,
    sample_id,
};
use urbanmine::domain::{Body, EventId, PublicKey};
use urbanmine::ledger::hash::sha256;
use urbanmine::wire::{decode_event, encode_event};

fn sample_ids() -> SampleIds {
    SampleIds::new(BTreeMap::from([("smelter".to_owned(), PublicKey([7; 32]))]))
}

fn read(json: &Value) -> Result<Vec<u8>, JsonFault> {
    let ids = sample_ids();
    event_from_json(&json.to_string(), &mut |symbol| ids.resolve(symbol))
}

#[track_caller]
fn assert_fault(json: &Value, path: &str, rule: &str) {
    let fault = read(json).expect_err("this JSON breaks a rule");
    assert_eq!(fault.path, path, "{fault}");
    assert!(fault.rule.contains(rule), "{fault}");
}

fn collect() -> Value {
    json!({
        "event_id": "@collect 1",
        "origin": "urbanmine.example/demo",
        "actor_party_id": "@yard",
        "site_id": "@yard site",
        "occurred_at": "2026-03-01T08:00:00+08:00",
        "collect_lot": {
            "lot": {
                "lot_id": "@lot 1",
                "material": "CU_SCRAP_NO2",
                "form": "CABLE",
                "origin_kind": "POST_CONSUMER",
                "net_mass_g": "12.5 t",
                "custody_model": "CUSTODY_MODEL_SEGREGATED",
                "composition": {"values": [
                    {"substance": "CU", "basis": "AS_RECEIVED", "fraction_e8": "96.25 %"}
                ]}
            },
            "seller_kind": "ENTERPRISE",
            "seller_commitment": "@seller",
            "weighing": {"gross_g": "27.5 t", "tare_g": "15000 kg", "net_g": 12_500_000,
                         "ticket": "T1"},
            "origin_region": "360600",
            "invoice_class": 1
        }
    })
}

fn with(pointer: &str, value: Value) -> Value {
    let mut json = collect();
    *json.pointer_mut(pointer).expect("a member") = value;
    json
}

#[test]
fn what_people_write_becomes_an_event() {
    let event = decode_event(&read(&collect()).expect("good JSON")).expect("a good event");
    assert_eq!(event.id, EventId::from_bytes(sample_id("collect 1")));
    // 2026-03-01T00:00:00Z.
    assert_eq!(event.occurred_at.get(), 1_772_323_200_000);
    assert_eq!(event.occurred_at_offset.get(), 480);
    let Body::CollectLot(collected) = event.body else { panic!("a collection") };
    assert_eq!(collected.lot.net_mass.get(), 12_500_000);
    assert_eq!(collected.weighing.gross.get(), 27_500_000);
    assert_eq!(collected.weighing.tare.get(), 15_000_000);
    let composition = collected.lot.composition.expect("one");
    assert_eq!(composition.values[0].fraction.get(), 96_250_000);
}

#[test]
fn spellings_of_one_event_give_the_same_bytes() {
    let expected = read(&collect()).expect("good JSON");
    let mut other = collect();
    let members = other.as_object_mut().expect("an object");
    members.remove("occurred_at");
    members.insert("occurredAtMs".to_owned(), json!("2026-03-01T00:00:00Z"));
    members.insert("occurredAtOffsetMin".to_owned(), json!("480"));
    let body = members.remove("collect_lot").expect("a body");
    members.insert("collectLot".to_owned(), body);
    let id = uuid::Uuid::from_bytes(sample_id("collect 1")).to_string();
    members.insert("event_id".to_owned(), json!(id));
    members.insert("external_ref".to_owned(), Value::Null);
    assert_eq!(read(&other), Ok(expected.clone()));
    let mut numbers = with("/collect_lot/lot/net_mass_g", json!("12500000"));
    numbers["collect_lot"]["lot"]["origin_kind"] = json!("ORIGIN_KIND_POST_CONSUMER");
    assert_eq!(read(&numbers), Ok(expected));
}

#[test]
fn shown_as_people_read_it() {
    let bytes = read(&collect()).expect("good JSON");
    let shown = event_to_json(&bytes).expect("canonical");
    assert_eq!(shown["actor_party_id"], uuid::Uuid::from_bytes(sample_id("yard")).to_string());
    assert_eq!(shown["collect_lot"]["lot"]["origin_kind"], "POST_CONSUMER");
    assert_eq!(shown["collect_lot"]["lot"]["net_mass_g"], 12_500_000);
    let commitment = shown["collect_lot"]["seller_commitment"].as_str().expect("hex");
    assert_eq!(commitment.len(), 64);
    let names: Vec<&String> = shown.as_object().expect("an object").keys().collect();
    let order = [
        "event_id",
        "origin",
        "actor_party_id",
        "site_id",
        "occurred_at_ms",
        "occurred_at_offset_min",
        "collect_lot",
    ];
    assert_eq!(names, order);
}

#[test]
fn masses_and_fractions_are_exact_or_refused() {
    let mass = "/collect_lot/lot/net_mass_g";
    for (text, grams) in [("1 g", 1), ("0.001 kg", 1), ("0.000001t", 1), ("007 kg", 7_000)] {
        let event = decode_event(&read(&with(mass, json!(text))).expect("good JSON"));
        let Ok(Body::CollectLot(one)) = event.map(|event| event.body) else { panic!("{text}") };
        assert_eq!(one.lot.net_mass.get(), grams, "{text}");
    }
    let path = "collect_lot.lot.net_mass_g";
    for text in ["0.5 g", "1.0001 kg", "1e3 g", "-1 g", "+1 g", ".5 t", "5. t", "1,5 t", "12", "x"]
    {
        let fault = read(&with(mass, json!(text)));
        let is_plain = text == "12";
        assert_eq!(fault.is_ok(), is_plain, "{text}");
        if let Err(fault) = fault {
            assert_eq!(fault.path, path);
            assert!(fault.rule.contains("grams") && fault.found.contains(text), "{fault}");
        }
    }
    assert_fault(&with(mass, json!(1.5)), path, "whole number");
    assert_fault(&with(mass, json!(-1)), path, "whole number");
    assert_fault(&with(mass, json!("99999999999999999999 t")), path, "grams");
    let fraction = "/collect_lot/lot/composition/values/0/fraction_e8";
    let path = "collect_lot.lot.composition.values[0].fraction_e8";
    assert_fault(&with(fraction, json!("99.9999999 %")), path, "6 decimals");
    assert_fault(&with(fraction, json!("99.95")), path, "99.95 %");
    assert_fault(&with(fraction, json!(4_294_967_296_u64)), path, "4294967295");
    assert!(read(&with(fraction, json!("99.999999%"))).is_ok());
}

#[test]
fn times_have_an_offset() {
    let moment = |text: &str| with("/occurred_at", json!(text));
    for text in ["2026-03-01T08:00:00", "2026-03-01", "2026-03-01T08:00:00.0001Z", "yesterday"] {
        assert_fault(&moment(text), "occurred_at", "RFC 3339");
    }
    assert_fault(&moment("1969-12-31T23:59:59Z"), "occurred_at", "RFC 3339");
    assert_fault(&moment("2026-03-01T08:00:00+08:00[Asia/Shanghai]"), "occurred_at", "RFC 3339");
    assert!(read(&moment("2026-03-01T08:00:00.125-03:30")).is_ok());
    let mut both = collect();
    both["occurred_at_ms"] = json!(1);
    assert_fault(&both, "occurred_at", "alone");
}

#[test]
fn faults_name_the_path() {
    let mut stranger = collect();
    stranger["collect_lot"]["lot"]["colour"] = json!("red");
    assert_fault(&stranger, "collect_lot.lot.colour", "field of NewLot");
    let mut bodies = collect();
    bodies["release_lot"] = json!({});
    assert_fault(&bodies, "release_lot", "only body");
    let mut twice = collect();
    twice["externalRef"] = json!("a");
    twice["external_ref"] = json!("b");
    assert_fault(&twice, "external_ref", "once");
    assert_fault(&with("/collect_lot", json!(5)), "collect_lot", "object");
    assert_fault(&with("/origin", json!(5)), "origin", "text");
    let kind = "/collect_lot/lot/origin_kind";
    assert_fault(&with(kind, json!("SCRAP")), "collect_lot.lot.origin_kind", "OriginKind");
    assert_fault(&with(kind, json!(77)), "collect_lot.lot.origin_kind", "OriginKind");
    assert_fault(&with("/event_id", json!("not an id")), "event_id", "UUID");
    let values = "/collect_lot/lot/composition/values";
    assert_fault(&with(values, json!({})), "collect_lot.lot.composition.values", "array");
    assert_fault(&json!([]), "", "object");
    let mut none = collect();
    none.as_object_mut().expect("an object").remove("collect_lot");
    assert_fault(&none, "body", "canonical");
    let text = event_from_json("{", &mut |_| Err(String::new())).expect_err("not JSON");
    assert!(text.rule.contains("is JSON"), "{text}");
    let twice = r#"{"origin": "a", "release_lot": {"note": "x", "note": "y"}}"#;
    let fault = event_from_json(twice, &mut |_| Err(String::new())).expect_err("a key twice");
    assert!(fault.found.contains(r#""note" stands twice"#), "{fault}");
}

#[test]
fn symbols() {
    let ids = sample_ids();
    let look = |field, name| ids.resolve(&SymbolContext { field, name });
    let id = look("lot_id", "lot 1").expect("an id");
    assert_eq!(EventId::parse(&id).map(|id| *id.as_bytes()), Ok(sample_id("lot 1")));
    // Written down once; anybody computes the same.
    let shown = uuid::Uuid::from_bytes(sample_id("lot 1")).to_string();
    assert!(shown.starts_with("019b76da-a800-7"), "{shown}");
    assert_eq!(look("ledger_public_key", "smelter"), Ok(vec![7; 32]));
    assert_eq!(look("key_id", "smelter"), Ok(sha256(&[7; 32]).as_bytes().to_vec()));
    assert!(look("public_key", "stranger").is_err());
    assert!(look("tables_sha256", "x").is_err());
    assert!(look("lot_id", "").is_err());
    assert_fault(&with("/event_id", json!("@")), "event_id", "name after");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn shown_events_read_back_to_the_same_bytes(event in events::event()) {
        let bytes = encode_event(&event);
        let shown = event_to_json(&bytes).expect("canonical");
        let again = event_from_json(&shown.to_string(), &mut |_| Err("no symbols".to_owned()));
        prop_assert_eq!(again.as_ref(), Ok(&bytes));
        prop_assert_eq!(event_from_value(&shown, &mut |_| Err(String::new())), Ok(bytes));
    }
}
