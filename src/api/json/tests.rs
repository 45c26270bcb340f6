//! Paths, texts and replies, without a socket.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::Body as HttpBody;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method as Verb, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;
use prost::Message as _;
use prost_reflect::{DynamicMessage, MessageDescriptor, SerializeOptions};
use serde_json::Value as Json;
use tonic::Status;
use tonic::body::Body;
use tower::{Layer as _, Service as _, service_fn};

use super::encode::{Malformed, Pieces, text};
use super::lines::Lines;
use super::routes::{Found, table};
use super::scalar::{bytes_text, from_number, from_string, from_text};
use super::{POOL, body, door, openapi, query, router};
use crate::api::doors::Connection;
use crate::api::errors::{Failure, name_of};
use crate::api::gate::{GateLayer, RequestId};
use crate::api::identity::CallerKey;
use crate::api::shares::{Shares, working_for};
use crate::limits::{CALLER_REQUEST_BYTES, MAX_JSON_VALUES, MAX_REQUEST_BYTES};
use crate::wire::v1;

const ID: &str = "0198c5f0-1111-7222-8333-444455556666";

fn message(name: &str) -> MessageDescriptor {
    POOL.get_message_by_name(&format!("urbanmine.v1.{name}")).unwrap()
}

fn json_of(name: &str, bytes: &[u8]) -> Json {
    serde_json::from_str(&text(&message(name), bytes).unwrap()).unwrap()
}

// --- paths ---------------------------------------------------------------------------------------

#[test]
fn every_call_has_a_path_and_every_path_one_call() {
    let faults = &table().faults;
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
    assert!(table().routes.len() > 20);
}

#[test]
fn paths_lead_to_their_call_exactly_as_they_are_spelled() {
    let lot = format!("/v1/lots/{ID}");
    let rows = [
        (Verb::GET, "/v1/lots", Some("ListLots")),
        (Verb::GET, &lot, Some("GetLot")),
        (Verb::GET, &format!("{lot}/events"), Some("ListLotEvents")),
        (Verb::GET, &format!("{lot}:traceOrigins"), Some("TraceOrigins")),
        (Verb::POST, "/v1/events", Some("AppendEvent")),
        (Verb::POST, "/v1/events:batchAppend", Some("BatchAppendEvents")),
        (Verb::GET, "/v1/entries/5/receipt", Some("GetReceipt")),
        (Verb::GET, "/v1/entries/5/receipt:cosigned", Some("GetCosignedReceipt")),
        (Verb::GET, "/v1/checkpoint:cosigned", Some("GetCosignedCheckpoint")),
        (Verb::GET, "/v1/lots/", None),
        (Verb::GET, "/v1//lots", None),
        (Verb::GET, "/v1/LOTS", None),
        (Verb::GET, "/v1/l%6fts", None),
        (Verb::GET, "/v2/lots", None),
        (Verb::GET, "/v1", None),
        (Verb::GET, "/v1/", None),
        (Verb::GET, "v1/lots", None),
        (Verb::GET, "/v1/lots/a/b", None),
        (Verb::GET, "/v1/lots/../lots", None),
        (Verb::GET, &format!("{lot}:traceorigins"), None),
        (Verb::GET, &format!("{lot}%3AtraceOrigins"), Some("GetLot")),
        (Verb::GET, &format!("{lot}:"), None),
        (Verb::GET, &format!("{lot}/events/"), None),
    ];
    for (verb, path, expected) in rows {
        let found = match table().find(&verb, path) {
            Found::Call(route, _) => Some(route.method.name()),
            Found::Unreadable(_) | Found::OtherVerb | Found::Nothing => None,
        };
        assert_eq!(found, expected, "{verb} {path}");
    }
    assert!(matches!(table().find(&Verb::DELETE, "/v1/lots"), Found::OtherVerb));
    assert!(matches!(table().find(&Verb::GET, "/v1/lots/%zz"), Found::Unreadable(_)));
    let verbs: Vec<&str> = table().verbs_of("/v1/lots").into_iter().collect();
    assert_eq!(verbs, ["GET", "HEAD", "OPTIONS"]);
    let Found::Call(_, bound) = table().find(&Verb::GET, "/v1/lots/a%2F%2e%2E") else { panic!() };
    assert_eq!(bound[0].1, "a/..", "a slash that was encoded divides nothing");
}

#[test]
fn percent_encoding_is_taken_off_once_and_whole() {
    let rows = [
        ("a%20b", Some("a b")),
        ("%e7%a7%92", Some("秒")),
        ("%2525", Some("%25")),
        ("a+b", Some("a b")),
        ("%", None),
        ("%4", None),
        ("%+1", None),
        ("%zz", None),
        ("%ff", None),
    ];
    for (text, expected) in rows {
        assert_eq!(query::decoded(text, true).as_deref(), expected, "{text}");
    }
    assert_eq!(query::decoded("a+b", false).as_deref(), Some("a+b"), "a plus in a path");
}

// --- the OpenAPI page ----------------------------------------------------------------------------

fn references(json: &Json, found: &mut BTreeSet<String>) {
    match json {
        Json::Object(members) => {
            for (key, value) in members {
                match value.as_str().filter(|_| key == "$ref") {
                    Some(reference) => drop(found.insert(reference.to_owned())),
                    None => references(value, found),
                }
            }
        }
        Json::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

#[test]
fn the_page_refers_to_what_is_there_and_lists_what_is_routed() {
    let page = openapi::page(table());
    assert_eq!(page.to_string(), openapi::page(table()).to_string(), "the same text each time");
    let mut found = BTreeSet::new();
    references(&page, &mut found);
    assert!(found.len() > 40, "{found:?}");
    for reference in found {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(page.pointer(pointer).is_some(), "{reference} leads nowhere");
    }
    let mut operations = BTreeSet::new();
    for (path, verbs) in page["paths"].as_object().unwrap() {
        for (verb, operation) in verbs.as_object().unwrap() {
            assert!(operations.insert(operation["operationId"].as_str().unwrap()), "{path}");
            assert!(!operation["description"].as_str().unwrap().is_empty(), "{path}");
            let mut filled = path.clone();
            for parameter in operation["parameters"].as_array().unwrap_or(&Vec::new()) {
                let name = parameter["name"].as_str().unwrap();
                let is_in_path = filled.contains(&format!("{{{name}}}"));
                assert_eq!(parameter["in"] == "path", is_in_path, "{path} {name}");
                filled = filled.replace(&format!("{{{name}}}"), ID);
            }
            let verb = Verb::from_bytes(verb.to_ascii_uppercase().as_bytes()).unwrap();
            assert!(matches!(table().find(&verb, &filled), Found::Call(..)), "{verb} {filled}");
        }
    }
    assert_eq!(operations.len(), table().routes.len());
    assert_eq!(page["openapi"], "3.1.0");
    let lot = &page["components"]["schemas"]["Lot"];
    assert_eq!(lot["properties"]["lot_id"]["format"], "uuid");
    assert_eq!(lot["properties"]["remaining_mass_g"]["type"], "string");
    assert!(lot["properties"]["remaining_mass_g"]["description"].as_str().unwrap().len() > 10);
    assert!(page["info"]["description"].as_str().unwrap().contains("never signed"));
    let append = &page["components"]["schemas"]["AppendEventRequest"];
    assert_eq!(append["properties"]["envelope"]["contentEncoding"], "base64");
    assert_eq!(append["additionalProperties"], false);
}

#[test]
fn no_number_of_the_api_can_be_a_fraction() {
    let page = openapi::page(table()).to_string();
    assert!(!page.contains("\"type\":\"number\""));
}

// --- values --------------------------------------------------------------------------------------

#[test]
fn a_value_is_read_by_its_rule_or_refused() {
    let field = |name: &str, field: &str| message(name).get_field_by_name(field).unwrap();
    let id = field("GetLotRequest", "lot_id");
    let bytes = from_string(&id, ID).unwrap();
    let bytes = bytes.as_bytes().unwrap();
    assert_eq!(bytes.len(), 16);
    assert_eq!(bytes_text(&id, bytes), ID);
    for spelled in [
        ID.to_uppercase(),
        "AZjF8BERciKDM0REVVVmZg==".to_owned(),
        "AZjF8BERciKDM0REVVVmZg".to_owned(),
    ] {
        assert_eq!(from_text(&id, &spelled).unwrap().as_bytes(), Some(bytes), "{spelled}");
    }
    for wrong in
        ["0198c5f0111172228333444455556666x", "{0198}", "AZjF8BERciKDM0REVVVmZh==", "%", "秒"]
    {
        assert!(from_text(&id, wrong).is_err(), "{wrong}");
    }
    let size = field("GetInclusionProofRequest", "tree_size");
    for (text, expected) in [
        ("0", Some(0)),
        ("18446744073709551615", Some(u64::MAX)),
        ("18446744073709551616", None),
        ("-1", None),
        ("+1", None),
        ("1.0", None),
        ("1e3", None),
        (" 1", None),
        ("0x10", None),
        ("", None),
        ("９", None),
    ] {
        let read = from_text(&size, text).ok().and_then(|value| value.as_u64());
        assert_eq!(read, expected, "{text}");
    }
    let small = field("ListLotsRequest", "page_size");
    assert!(from_text(&small, "4294967296").is_err());
    assert!(from_number(&small, -1).is_err());
    let status = field("ListLotsRequest", "status");
    assert_eq!(from_text(&status, "LOT_STATUS_OPEN").unwrap().as_enum_number(), Some(1));
    assert_eq!(from_text(&status, "1").unwrap().as_enum_number(), Some(1));
    assert!(from_text(&status, "open").is_err() && from_text(&status, "99").is_err());
    assert!(from_string(&status, "1").is_err(), "a number in JSON is bare");
    assert!(from_number(&status, 99).is_err());
    // A hash is no id, though it is called one.
    let key = field("PartyKey", "key_id");
    let read = |text: &str| from_string(&key, text).ok().and_then(|it| it.as_bytes().cloned());
    assert_eq!(read(&"aF".repeat(32)).unwrap(), [0xaf; 32][..]);
    assert_eq!(read("r6+vr6+vr6+vr6+vr6+vr6+vr6+vr6+vr6+vr6+vr68=").unwrap(), [0xaf; 32][..]);
    assert_eq!(read(&"g".repeat(64)), None);
    assert_eq!(bytes_text(&key, &[0; 16]), "AAAAAAAAAAAAAAAAAAAAAA==");
}

fn refusal_of(name: &str, text: &[u8]) -> (&'static str, String, String) {
    match body::message(&message(name), text) {
        Ok(_) => ("", String::new(), String::new()),
        Err(failure) => {
            let reason = name_of(failure.verdict().reason);
            match failure {
                Failure::Request(violations) => {
                    let first = violations.into_iter().next().unwrap();
                    (reason, first.field, first.rule)
                }
                other => (reason, String::new(), format!("{other:?}")),
            }
        }
    }
}

#[test]
fn a_body_is_an_object_of_known_fields_each_once() {
    let deep = "[".repeat(10_000);
    let deep_field = format!("{{\"envelope\":{deep}");
    let deep_unknown = format!("{{\"x\":{deep}");
    let rows: [(&str, &str, &str); 26] = [
        ("{}", "", ""),
        ("{\"envelope\":\"AAEC\",\"validate_only\":true}", "", ""),
        ("{\"envelope\":\"AAEC\",\"validateOnly\":true}", "", ""),
        ("{\"envelope\":\"_-8\"}", "", ""),
        ("{\"envelope\":null}", "", ""),
        (" {} \n", "", ""),
        ("", "HTTP_JSON_MALFORMED", ""),
        ("{", "HTTP_JSON_MALFORMED", ""),
        ("[]", "HTTP_JSON_MALFORMED", ""),
        ("null", "HTTP_JSON_MALFORMED", ""),
        ("{}{}", "HTTP_JSON_MALFORMED", ""),
        ("{'envelope':1}", "HTTP_JSON_MALFORMED", ""),
        ("{\"envelope\":\"\\ud800\"}", "HTTP_JSON_MALFORMED", ""),
        ("{\"envelope\":\"AA\",}", "HTTP_JSON_MALFORMED", ""),
        ("{\"envelope\":\"?\"}", "REQUEST_INVALID", "envelope"),
        ("{\"envelope\":\"A\"}", "REQUEST_INVALID", "envelope"),
        ("{\"envelope\":\"AB==\"}", "REQUEST_INVALID", "envelope"),
        ("{\"envelope\":5}", "REQUEST_INVALID", "envelope"),
        ("{\"envelope\":{}}", "REQUEST_INVALID", "envelope"),
        ("{\"envelope\":[\"AA\"]}", "REQUEST_INVALID", "envelope"),
        ("{\"envelope\":\"\",\"envelope\":\"\"}", "REQUEST_INVALID", "envelope"),
        ("{\"validate_only\":true,\"validateOnly\":null}", "REQUEST_INVALID", "validateOnly"),
        ("{\"validate_only\":\"true\"}", "REQUEST_INVALID", "validate_only"),
        ("{\"validate_only\":1}", "REQUEST_INVALID", "validate_only"),
        ("{\"event\":{}}", "REQUEST_INVALID", "event"),
        ("{\"\":1}", "REQUEST_INVALID", ""),
    ];
    for (text, reason, field) in rows {
        let (found, at, rule) = refusal_of("AppendEventRequest", text.as_bytes());
        assert_eq!(found, reason, "{text}: {rule}");
        let at = if text == "{\"\":1}" { "" } else { at.as_str() };
        assert_eq!(at, field, "{text}");
        assert!(!rule.is_empty() || reason.is_empty(), "{text}");
    }
    assert_eq!(refusal_of("AppendEventRequest", deep_field.as_bytes()).1, "envelope");
    assert_eq!(refusal_of("AppendEventRequest", deep_unknown.as_bytes()).1, "x");
    assert_eq!(
        refusal_of("AppendEventRequest", b"{\"envelope\":\"\xff\"}").0,
        "HTTP_JSON_MALFORMED"
    );
    let item = refusal_of("BatchAppendEventsRequest", b"{\"envelopes\":[\"AA==\",\"A\"]}");
    assert_eq!(item.1, "envelopes[1]");
    assert_eq!(refusal_of("BatchAppendEventsRequest", b"{\"envelopes\":[null]}").1, "envelopes[0]");
    assert_eq!(refusal_of("BatchAppendEventsRequest", b"{\"envelopes\":\"AA==\"}").1, "envelopes");
    let many = format!("{{\"envelopes\":[{}\"\"]}}", "\"\",".repeat(MAX_JSON_VALUES));
    assert!(refusal_of("BatchAppendEventsRequest", many.as_bytes()).2.contains("at most"));
}

#[test]
fn no_number_with_a_point_or_an_exponent_is_read() {
    for text in ["1.0", "1e3", "1E0", "-0.0", "18446744073709551616", "0.1", "1e400", "\"1.0\""] {
        let json = format!("{{\"entry_index\":{text}}}");
        let (reason, ..) = refusal_of("GetEntryRequest", json.as_bytes());
        assert!(["REQUEST_INVALID", "HTTP_JSON_MALFORMED"].contains(&reason), "{text}: {reason}");
    }
    for text in ["0", "18446744073709551615", "\"18446744073709551615\""] {
        let json = format!("{{\"entry_index\":{text}}}");
        assert_eq!(refusal_of("GetEntryRequest", json.as_bytes()).0, "", "{text}");
    }
    let both = b"{\"event_id\":\"\",\"entry_index\":0}";
    assert_eq!(refusal_of("GetReceiptRequest", both).1, "entry_index");
    let (_, at, rule) = refusal_of("GetEntryRequest", b"{\"entry_index\":-1}");
    assert_eq!((at.as_str(), rule.contains("18446744073709551615")), ("entry_index", true));
}

#[test]
fn parameters_are_fields_each_once() {
    let rows = [
        ("", ""),
        ("page_size=5&pageToken=&material=CU%5fX+1&status=LOT_STATUS_OPEN", ""),
        ("&&page_size=5&", ""),
        ("page_size=5&page_size=5", "page_size"),
        ("page_size=5&pageSize=6", "page_size"),
        ("page_size", "page_size"),
        ("page_size=-1", "page_size"),
        ("page_size=5.0", "page_size"),
        ("pagesize=5", "pagesize"),
        ("page_size%00=5", "page_size\0"),
        ("material=%ff", "material"),
        ("material=%", "material"),
        ("owner_party_id=a*c", "owner_party_id"),
        ("status=OPEN", "status"),
    ];
    for (query, field) in rows {
        let read = query::message(&message("ListLotsRequest"), &[], query);
        let found = read.err().map(|violation| violation.field).unwrap_or_default();
        assert_eq!(found, field, "{query}");
    }
    let Found::Call(route, bound) = table().find(&Verb::GET, "/v1/entries/5/receipt") else {
        panic!()
    };
    let read = |query: &str| query::message(&route.method.input(), &bound, query);
    assert_eq!(read("entry_index=5").unwrap_err().field, "entry_index");
    assert_eq!(read(&format!("event_id={ID}")).unwrap_err().field, "event_id");
    let request = read("").unwrap().transcode_to::<v1::GetReceiptRequest>().unwrap();
    assert_eq!(request.subject, Some(v1::get_receipt_request::Subject::EntryIndex(5)));
}

// --- replies -------------------------------------------------------------------------------------

fn lot() -> v1::Lot {
    v1::Lot {
        lot_id: Bytes::from_static(&[1; 16]),
        material: "铜 \"a\"\n\u{1}".to_owned(),
        status: v1::LotStatus::OnHold.into(),
        remaining_mass_g: u64::MAX,
        origin_kinds: vec![1, 2, 300],
        holds: vec![v1::LotHold::default(), v1::LotHold { reason: 1, ..v1::LotHold::default() }],
        entry_count: 7,
        ..v1::Lot::default()
    }
}

#[test]
fn a_reply_has_every_field_with_its_rule() {
    let json = json_of("Lot", &lot().encode_to_vec());
    assert_eq!(json["lot_id"], "01010101-0101-0101-0101-010101010101");
    assert_eq!(json["owner_party_id"], "");
    assert_eq!(json["material"], "铜 \"a\"\n\u{1}");
    assert_eq!(json["status"], "LOT_STATUS_ON_HOLD");
    assert_eq!(json["custody_model"], "CUSTODY_MODEL_UNSPECIFIED");
    assert_eq!(json["remaining_mass_g"], "18446744073709551615");
    assert_eq!(json["initial_mass_g"], "0");
    assert_eq!(json["origin_kinds"][2], 300, "a word of tomorrow is its number");
    assert_eq!(json["holds"].as_array().unwrap().len(), 2);
    assert_eq!(json["entry_count"], 7);
    assert_eq!(json["grades"], Json::Array(Vec::new()));
    let fields: Vec<&String> = json.as_object().unwrap().keys().collect();
    let proto: Vec<String> = message("Lot").fields().map(|it| it.name().to_owned()).collect();
    assert!(fields.into_iter().eq(proto.iter()));
    let holding = json_of("OriginHolding", &[]);
    assert!(holding.get("total_g").is_none(), "an unknown is absent, never 0");
    let absent = json_of("AppendEventResponse", &[]);
    assert_eq!(absent, serde_json::json!({}));
}

/// Where ids play no part the reply is what another implementation of proto3 JSON writes.
#[test]
fn a_reply_is_proto3_json() {
    let event = v1::Event {
        origin: "o".to_owned(),
        occurred_at_ms: 5,
        occurred_at_offset_min: -720,
        documents: vec![v1::Document {
            kind: 1,
            number: "n/\u{7f}".to_owned(),
            ..Default::default()
        }],
        ..v1::Event::default()
    };
    let holding = v1::OriginHolding { total_g: Some(0), is_attributed: true, ..Default::default() };
    let rows = [
        ("Event", event.encode_to_vec()),
        ("OriginHolding", holding.encode_to_vec()),
        ("Ledger", v1::Ledger { size: 9, ..Default::default() }.encode_to_vec()),
        ("GetLotResponse", v1::GetLotResponse { lot: None }.encode_to_vec()),
    ];
    let options = SerializeOptions::new().use_proto_field_name(true).skip_default_fields(false);
    for (name, bytes) in rows {
        let other = DynamicMessage::decode(message(name), bytes.as_slice()).unwrap();
        let mut other: Json =
            other.serialize_with_options(serde_json::value::Serializer, &options).unwrap();
        if let Some(members) = other.as_object_mut() {
            // It writes null for what is absent; proto3 JSON lets both be said.
            members.retain(|_, value| !value.is_null());
        }
        assert_eq!(json_of(name, &bytes), other, "{name}");
    }
}

#[test]
fn a_long_reply_comes_in_pieces_that_join_to_the_same_text() {
    let lots: Vec<v1::Lot> = (0..500).map(|_| lot()).collect();
    let reply = v1::ListLotsResponse { lots, next_page_token: "t".to_owned() };
    let bytes = Bytes::from(reply.encode_to_vec());
    let descriptor = message("ListLotsResponse");
    let pieces: Vec<Bytes> =
        Pieces::new(&descriptor, bytes.clone()).unwrap().collect::<Result<_, _>>().unwrap();
    assert!(pieces.len() > 3, "{}", pieces.len());
    assert!(pieces.iter().all(|piece| piece.len() < 80 * 1024));
    assert_eq!(pieces.concat(), text(&descriptor, &bytes).unwrap().into_bytes());
    for (name, bytes) in [("AppendEventResponse", vec![]), ("GetLotResponse", vec![10, 0])] {
        let bytes = Bytes::from(bytes);
        let pieces = Pieces::new(&message(name), bytes.clone()).unwrap();
        let pieces: Vec<Bytes> = pieces.collect::<Result<_, _>>().unwrap();
        assert_eq!(pieces.concat(), text(&message(name), &bytes).unwrap().into_bytes());
    }
}

#[test]
fn bytes_that_are_no_reply_are_told_not_guessed() {
    let rows: [&[u8]; 6] = [
        &[0x0a],
        &[0x0a, 5, 1],
        &[0x08, 0xff],
        &[0x0b],
        &[0x12, 1, 0xff],
        &[0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1],
    ];
    for bytes in rows {
        assert_eq!(text(&message("Lot"), bytes), Err(Malformed), "{bytes:?}");
    }
}

fn frame(message: &[u8]) -> Vec<u8> {
    let mut frame = vec![0];
    frame.extend_from_slice(&u32::try_from(message.len()).unwrap().to_be_bytes());
    frame.extend_from_slice(message);
    frame
}

#[tokio::test]
async fn a_stream_is_lines_however_its_frames_are_cut_and_ends_with_its_error() {
    let entry = |index| v1::Entry { entry_index: index, entry: Bytes::from_static(b"ab") };
    let sent = [frame(&entry(1).encode_to_vec()), frame(&entry(2).encode_to_vec())].concat();
    let status = Failure::Busy.into_status(RequestId(3));
    for size in [1, 3, 7, sent.len()] {
        let mut trailers = HeaderMap::new();
        status.add_header(&mut trailers).unwrap();
        let data = sent.chunks(size).map(|part| Frame::data(Bytes::copy_from_slice(part)));
        let frames: Vec<_> = data.chain([Frame::trailers(trailers)]).collect();
        let frames = tokio_stream::iter(frames.into_iter().map(Ok::<_, Status>));
        let lines = Lines::new(message("Entry"), Body::new(StreamBody::new(frames)));
        let text = lines.collect().await.unwrap().to_bytes();
        let lines: Vec<Json> = text
            .split(|it| *it == b'\n')
            .filter(|line| !line.is_empty())
            .map(|line| serde_json::from_slice(line).unwrap())
            .collect();
        assert_eq!(lines.len(), 3, "{size}");
        assert_eq!((&lines[0]["entry_index"], &lines[1]["entry"]), (&"1".into(), &"YWI=".into()));
        assert_eq!(lines[2]["error"]["status"], "RESOURCE_EXHAUSTED");
    }
}

// --- the gate ------------------------------------------------------------------------------------

fn request(verb: Verb, path: &str, peer: &str, body: HttpBody) -> Request<HttpBody> {
    let peer: SocketAddr = peer.parse().unwrap();
    let mut request = Request::builder()
        .method(verb)
        .uri(path)
        .header("content-type", "application/json")
        .header("host", "127.0.0.1:7878")
        .body(body)
        .unwrap();
    request.extensions_mut().insert(Connection::from_within(peer));
    request
}

async fn told(response: Response<HttpBody>) -> Json {
    serde_json::from_slice(&response.into_body().collect().await.unwrap().to_bytes()).unwrap()
}

#[tokio::test]
async fn the_gate_refuses_before_the_body_is_read_and_the_handler_is_reached() {
    let reached = service_fn(async |_: Request<Body>| -> Result<Response<Body>, Infallible> {
        panic!("the handler was reached")
    });
    let never = || {
        let unread = tokio_stream::iter(std::iter::once_with(|| -> Result<Bytes, Infallible> {
            panic!("the body was read")
        }));
        HttpBody::from_stream(unread)
    };
    let lot = format!("/v1/lots/{ID}");
    for (verb, path) in
        [(Verb::POST, "/v1/events"), (Verb::POST, "/v1/events:batchAppend"), (Verb::GET, &lot)]
    {
        let gated = GateLayer::new().layer(reached);
        let refused = door::answer(gated, request(verb, path, "10.0.0.1:5", never())).await;
        assert_eq!(refused.status(), StatusCode::UNAUTHORIZED, "{path}");
        assert_eq!(refused.headers()["www-authenticate"], "Bearer");
        assert_eq!(told(refused).await["error"]["details"][0]["reason"], "IDENTITY_MISSING");
    }
}

#[tokio::test]
async fn what_the_transport_knows_of_a_caller_reaches_the_call() {
    let seen = service_fn(async |request: Request<Body>| {
        assert_eq!(request.uri().path(), "/urbanmine.v1.LotService/GetLot");
        assert_eq!(request.headers()["authorization"], "Bearer abc");
        assert_eq!(request.headers()["grpc-timeout"], "7S");
        assert!(!request.headers().contains_key("cookie"));
        assert!(request.extensions().get::<Connection>().is_some());
        let id = *request.extensions().get::<RequestId>().unwrap();
        let mut body = BytesMut::from(request.into_body().collect().await.unwrap().to_bytes());
        let message = super::grpc::take_message(&mut body).unwrap().unwrap();
        let lot = v1::GetLotRequest::decode(message).unwrap().lot_id;
        assert_eq!(lot.len(), 16);
        Ok::<_, Infallible>(Failure::Busy.into_status(id).into_http())
    });
    let nobody = service_fn(async |_: Request<HttpBody>| -> Result<Response<Body>, Infallible> {
        panic!("it is no call of gRPC")
    });
    let mut asked = request(Verb::GET, &format!("/v1/lots/{ID}"), "127.0.0.1:5", HttpBody::empty());
    for (name, value) in
        [("authorization", "Bearer abc"), ("x-server-timeout", "7"), ("cookie", "a=b")]
    {
        asked.headers_mut().insert(name, value.parse().unwrap());
    }
    let refused = router(seen, nobody).call(asked).await.unwrap();
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(refused.headers()["retry-after"], "1");
    let error = &told(refused).await["error"];
    assert_eq!((&error["code"], &error["status"]), (&429.into(), &"RESOURCE_EXHAUSTED".into()));
    let retry = error["details"].as_array().unwrap().iter();
    let retry = retry.filter_map(|it| it["retryDelay"].as_str()).collect::<Vec<_>>();
    assert_eq!(retry, ["0.200s"]);
}

#[tokio::test]
async fn a_caller_that_waits_a_second_is_told_after_a_second() {
    let never = service_fn(async |_: Request<Body>| {
        std::future::pending::<Result<Response<Body>, Infallible>>().await
    });
    let gated = GateLayer::new().layer(never);
    let mut asked = request(Verb::GET, "/v1/ledger", "127.0.0.1:5", HttpBody::empty());
    asked.headers_mut().insert("x-server-timeout", "1".parse().unwrap());
    let late = door::answer(gated, asked).await;
    assert_eq!(late.status(), StatusCode::GATEWAY_TIMEOUT);
    assert_eq!(told(late).await["error"]["details"][0]["reason"], "DEADLINE_EXCEEDED");
}

#[tokio::test]
async fn a_name_that_points_to_this_machine_is_not_answered_as_its_operator() {
    let never = service_fn(async |_: Request<Body>| {
        Ok::<_, Infallible>(Failure::Busy.into_status(RequestId(1)).into_http())
    });
    let rows = [
        ("127.0.0.1:7878", true),
        ("localhost:7878", true),
        ("LOCALHOST", true),
        ("a.localhost", true),
        ("[::1]:7878", true),
        ("192.0.2.1", true),
        ("evil.example:7878", false),
        ("localhost.evil.example", false),
        ("127.0.0.1.evil.example", false),
        ("", false),
        ("a b", false),
    ];
    for (host, is_answered) in rows {
        let mut asked = request(Verb::GET, "/v1/ledger", "127.0.0.1:5", HttpBody::empty());
        asked.headers_mut().insert("host", host.parse().unwrap());
        let expected = if is_answered { 429 } else { 403 };
        assert_eq!(door::answer(never, asked).await.status(), expected, "{host}");
    }
}

#[tokio::test]
async fn a_reply_that_breaks_its_promise_is_a_fault_of_ours_with_a_reason() {
    let rows: [Vec<u8>; 4] =
        [Vec::new(), vec![1, 0, 0, 0, 0], vec![0, 0, 0, 0, 9, 1], frame(&[0x0a])];
    for bytes in rows {
        let bad = service_fn(move |_: Request<Body>| {
            let body = Body::new(http_body_util::Full::new(Bytes::from(bytes.clone())));
            std::future::ready(Ok::<_, Infallible>(Response::new(body)))
        });
        let asked = request(Verb::GET, "/v1/ledger", "127.0.0.1:5", HttpBody::empty());
        let refused = door::answer(bad, asked).await;
        assert_eq!(refused.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(told(refused).await["error"]["details"][0]["reason"], "INTERNAL");
    }
}

#[tokio::test]
async fn the_text_of_a_body_is_weighed_as_it_comes() {
    let account = Shares::new().account(CallerKey::Operator);
    let body = || HttpBody::from(vec![b' '; 4_096]);
    let first = Arc::new(account.enter().unwrap());
    working_for(Arc::clone(&first), door::whole(body())).await.unwrap();
    first.weigh(CALLER_REQUEST_BYTES - 8_191).unwrap();
    let second = Arc::new(account.enter().unwrap());
    let refused = working_for(Arc::clone(&second), door::whole(body())).await;
    assert!(matches!(refused, Err(Failure::Busy)), "twice 4 KiB are more than is left");
    drop(first);
    working_for(second, door::whole(body())).await.unwrap();
}

#[tokio::test]
async fn a_body_that_is_too_long_is_told_by_its_length_or_when_it_has_come() {
    let reads = service_fn(async |request: Request<Body>| {
        let read = request.into_body().collect().await;
        let status = read.err().unwrap_or_else(|| Status::ok(""));
        Ok::<_, Infallible>(status.into_http())
    });
    let long = Bytes::from(vec![b' '; MAX_REQUEST_BYTES + 1]);
    for has_length in [true, false] {
        let body = if has_length {
            HttpBody::from(long.clone())
        } else {
            HttpBody::from_stream(tokio_stream::iter([Ok::<_, Infallible>(long.clone())]))
        };
        let mut asked = request(Verb::POST, "/v1/events", "127.0.0.1:5", body);
        if has_length {
            asked.headers_mut().insert("content-length", long.len().into());
        }
        let refused = door::answer(reads, asked).await;
        assert_eq!(refused.status(), StatusCode::PAYLOAD_TOO_LARGE);
        assert_eq!(told(refused).await["error"]["details"][0]["reason"], "REQUEST_TOO_LARGE");
    }
}
