//! JSON over plain HTTP/1.1, on a real socket: what an ERP does, what it gets wrong, and what
//! somebody tries who wants two requests to be read where there is one.

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

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use forge::site;
use forge_world::{COLLECTOR, COORD, COPPER, SMELTER, collect, copper, new_lot};
use grpc_kit::{Kit, check_receipt, raw, sealed, signed};
use serde_json::{Value as Json, json};
use urbanmine::api::{self, DoorSettings, Doors};
use urbanmine::domain::{EntryCount, LotId};
use urbanmine::limits::{
    ADDRESS_REPLY_BYTES, MAX_BATCH_EVENTS, MAX_REQUEST_BYTES, PAGE_REPLY_BYTES,
};
use urbanmine::wire::v1;

/// Longer than any answer takes.
const PATIENCE: Duration = Duration::from_secs(20);

// --- a client of HTTP/1.1 that does nothing by itself --------------------------------------------

#[derive(Debug)]
struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        let mut named = self.headers.iter().filter(|(it, _)| it == name);
        let found = named.next().map(|(_, value)| value.as_str());
        assert!(named.next().is_none(), "{name} stands twice");
        found
    }

    #[track_caller]
    fn json(&self) -> Json {
        assert_eq!(self.header("content-type"), Some("application/json"), "{self:?}");
        let text = String::from_utf8(self.body.clone()).unwrap();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    #[track_caller]
    fn ok(&self) -> Json {
        assert_eq!(self.status, 200, "{}", String::from_utf8_lossy(&self.body));
        self.json()
    }

    /// Reason and wrong field of a refusal, whose parts that every refusal has are looked at.
    #[track_caller]
    fn refusal(&self) -> (String, String) {
        let json = self.json();
        let error = &json["error"];
        assert_eq!(json.as_object().unwrap().len(), 1);
        assert_eq!(error["code"], self.status, "{error}");
        assert!(!error["message"].as_str().unwrap().is_empty());
        assert!(
            error["status"]
                .as_str()
                .unwrap()
                .bytes()
                .all(|it| it.is_ascii_uppercase() || it == b'_')
        );
        let of = |name: &str| {
            let kind = format!("type.googleapis.com/google.rpc.{name}");
            let details = error["details"].as_array().unwrap();
            details.iter().filter(|it| it["@type"] == kind).collect::<Vec<_>>()
        };
        assert_eq!(of("ErrorInfo")[0]["domain"], "urbanmine.v1");
        assert!(of("ErrorInfo")[0]["metadata"]["had_no_effect"].is_string());
        assert_eq!(of("LocalizedMessage").len(), 2, "in both languages");
        assert_eq!(of("RequestInfo")[0]["requestId"].as_str().unwrap().len(), 16);
        let field = of("BadRequest").first().map(|it| it["fieldViolations"][0]["field"].clone());
        let field = field.map_or_else(String::new, |it| it.as_str().unwrap().to_owned());
        (of("ErrorInfo")[0]["reason"].as_str().unwrap().to_owned(), field)
    }
}

struct Wire {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Wire {
    fn to(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, buffer: Vec::new() }
    }

    /// Sends bytes as they are. The other end may have hung up.
    fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.stream.write_all(bytes.as_ref());
    }

    fn more(&mut self) -> bool {
        let mut part = [0; 16 * 1024];
        let length = self.stream.read(&mut part).unwrap_or(0);
        self.buffer.extend_from_slice(&part[..length]);
        length > 0
    }

    fn line(&mut self) -> Option<String> {
        loop {
            if let Some(at) = self.buffer.windows(2).position(|pair| pair == b"\r\n") {
                let line = String::from_utf8(self.buffer[..at].to_vec()).unwrap();
                self.buffer.drain(..at + 2);
                return Some(line);
            }
            if !self.more() {
                return None;
            }
        }
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        while self.buffer.len() < count {
            assert!(self.more(), "the answer broke off");
        }
        self.buffer.drain(..count).collect()
    }

    /// The next answer; `None` when the other end hung up.
    fn answer(&mut self, has_body: bool) -> Option<Answer> {
        let first = self.line()?;
        let status = first.split(' ').nth(1).unwrap().parse().unwrap();
        let mut headers = Vec::new();
        loop {
            let line = self.line().unwrap();
            let Some((name, value)) = line.split_once(':') else { break };
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let mut answer = Answer { status, headers, body: Vec::new() };
        if !has_body || status == 204 || status == 100 {
            return Some(answer);
        }
        if let Some(length) = answer.header("content-length") {
            answer.body = self.bytes(length.parse().unwrap());
            return Some(answer);
        }
        assert_eq!(answer.header("transfer-encoding"), Some("chunked"), "{answer:?}");
        loop {
            let size = usize::from_str_radix(&self.line().unwrap(), 16).unwrap();
            answer.body.extend(self.bytes(size));
            assert_eq!(self.line().as_deref(), Some(""));
            if size == 0 {
                return Some(answer);
            }
        }
    }

    /// Whether the other end is done with this connection.
    fn is_over(&mut self) -> bool {
        self.buffer.is_empty() && !self.more()
    }
}

fn asked(address: SocketAddr, verb: &str, path: &str) -> Answer {
    let mut wire = Wire::to(address);
    wire.send(format!("{verb} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"));
    wire.answer(verb != "HEAD").unwrap()
}

fn got(kit: &Kit, path: &str) -> Answer {
    asked(kit.address(), "GET", path)
}

fn posted_as(kit: &Kit, path: &str, headers: &str, body: &[u8]) -> Answer {
    let mut wire = Wire::to(kit.address());
    let (host, length) = (kit.address(), body.len());
    wire.send(format!(
        "POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {length}\r\n{headers}\r\n"
    ));
    wire.send(body);
    wire.answer(true).unwrap()
}

fn posted(kit: &Kit, path: &str, body: &Json) -> Answer {
    posted_as(kit, path, "Content-Type: application/json\r\n", body.to_string().as_bytes())
}

/// Follows a list to its end.
fn pages(kit: &Kit, path: &str, items: &str) -> Vec<Json> {
    let (mut all, mut token, mut round) = (Vec::new(), String::new(), 0);
    loop {
        let page = got(kit, &format!("{path}page_token={token}")).ok();
        all.extend(page[items].as_array().unwrap().clone());
        page["next_page_token"].as_str().unwrap().clone_into(&mut token);
        round += 1;
        assert!(round < 1_000);
        if token.is_empty() {
            return all;
        }
    }
}

fn collected(kit: &mut Kit) -> (LotId, bytes::Bytes) {
    let id = kit.lot();
    let mut lot = new_lot(id, COPPER, 1_000_000);
    lot.composition = Some(copper(50_000_000));
    let event = kit.event(COLLECTOR, collect(lot));
    (id, signed(&event))
}

// --- what an ERP does ----------------------------------------------------------------------------

#[tokio::test(flavor = "multi_thread")]
async fn an_event_is_appended_once_and_its_receipt_holds() {
    let mut kit = Kit::start().await;
    let (lot, envelope) = collected(&mut kit);
    let body = json!({ "envelope": STANDARD.encode(&envelope) });

    let judged = json!({ "envelope": STANDARD.encode(&envelope), "validate_only": true });
    assert_eq!(posted(&kit, "/v1/events", &judged).ok(), json!({}));
    let size = kit.checkpoint().await.size;
    let first = posted(&kit, "/v1/events", &body).ok();
    let receipt = first["appended"]["receipt"].as_str().unwrap();
    assert_eq!(first["appended"]["entry_index"], size.0.to_string(), "64 bits are a string");
    assert_eq!(first["appended"]["was_recorded_before"], false);
    check_receipt(receipt);
    let again = posted(&kit, "/v1/events", &body).ok();
    assert_eq!(again["appended"]["receipt"], receipt);
    assert_eq!(again["appended"]["was_recorded_before"], true);
    assert_eq!(kit.checkpoint().await.size, EntryCount(size.0 + 1));

    let read = got(&kit, &format!("/v1/lots/{lot}"));
    let now = kit.lot_now(lot).await;
    let told = &read.ok()["lot"];
    assert_eq!(told["lot_id"], lot.to_string());
    assert_eq!(told["remaining_mass_g"], now.remaining_mass_g.to_string());
    assert_eq!(told["status"], "LOT_STATUS_OPEN");
    assert_eq!(told["holds"], json!([]));
    assert_eq!(told["born_entry_index"], size.0.to_string());
    let born = told["born_event_id"].as_str().unwrap();
    for path in [format!("/v1/receipts/{born}"), format!("/v1/entries/{}/receipt", size.0)] {
        assert_eq!(got(&kit, &path).ok()["receipt"], receipt, "{path}");
    }
    let base64 = STANDARD.encode(lot.as_bytes()).replace('+', "-").replace('/', "_");
    assert_eq!(got(&kit, &format!("/v1/lots/{base64}")).body, read.body, "an id as base64");
    assert_eq!(got(&kit, &format!("/v1/lots/{lot}")).body, read.body, "the same text each time");
    let upper = lot.to_string().to_uppercase();
    assert_eq!(got(&kit, &format!("/v1/lots/{upper}")).body, read.body);
    kit.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_read_says_what_grpc_says() {
    let mut kit = Kit::start().await;
    let lot = kit.copper(COLLECTOR, 1_000).await;
    for _ in 0..4 {
        kit.copper(COLLECTOR, 2_000).await;
    }
    let ledger = got(&kit, "/v1/ledger").ok();
    let size = kit.checkpoint().await.size.0;
    assert_eq!(ledger["ledger"]["size"], size.to_string());
    assert_eq!(ledger["ledger"]["origin"], grpc_kit::origin().to_string());
    let text = kit.checkpoint_text().await;
    assert_eq!(got(&kit, "/v1/checkpoint").ok()["checkpoint"], text);

    let entry = kit.ledger.get_entry(v1::GetEntryRequest { entry_index: 3 }).await.unwrap();
    let entry = STANDARD.encode(entry.into_inner().entry.unwrap().entry);
    assert_eq!(got(&kit, "/v1/entries/3").ok()["entry"]["entry"], entry);
    let entries = pages(&kit, "/v1/entries?page_size=7&", "entries");
    assert_eq!(entries.len(), usize::try_from(size).unwrap());
    assert_eq!(entries[3]["entry"], entry);
    let last = pages(&kit, &format!("/v1/entries?fromEntryIndex={}&", size - 2), "entries");
    assert_eq!(last.len(), 2);

    let request = v1::GetInclusionProofRequest { entry_index: 3, tree_size: size };
    let proof = kit.ledger.get_inclusion_proof(request).await.unwrap().into_inner();
    let hashes: Vec<String> = proof.hashes.iter().map(|it| STANDARD.encode(it)).collect();
    let path = format!("/v1/proofs/inclusion?entry_index=3&tree_size={size}");
    assert_eq!(got(&kit, &path).ok()["hashes"], json!(hashes));
    let path = format!("/v1/proofs/consistency?old_size=3&new_size={size}");
    assert!(!got(&kit, &path).ok()["hashes"].as_array().unwrap().is_empty());

    let lots = pages(&kit, "/v1/lots?page_size=2&status=LOT_STATUS_OPEN&", "lots");
    assert_eq!(lots.len(), 5);
    let of = format!("/v1/lots?owner_party_id={COLLECTOR}&material={COPPER}&");
    assert_eq!(pages(&kit, &of, "lots"), lots);
    assert!(pages(&kit, &format!("/v1/lots?owner_party_id={SMELTER}&"), "lots").is_empty());
    let events = got(&kit, &format!("/v1/lots/{lot}/events")).ok();
    assert_eq!(events["events"][0]["kind"], "EVENT_KIND_COLLECT_LOT");
    assert_eq!(events["events"][0]["actor_party_id"], COLLECTOR.to_string());
    let path = format!("/v1/lots/{lot}:traceOrigins?substance=SUBSTANCE_CU");
    let trace = got(&kit, &path).ok();
    assert_eq!(trace["now"]["total_g"], "500");
    assert_eq!(trace["lineage_lot_ids"], json!([lot.to_string()]));
    let trace = got(&kit, &format!("/v1/lots/{lot}:traceDestinations")).ok();
    assert_eq!(trace["is_complete"], true);

    let party = got(&kit, &format!("/v1/parties/{COORD}")).ok();
    assert_eq!(party["party"]["party"]["party_id"], COORD.to_string());
    let parties = pages(&kit, "/v1/parties?page_size=3&", "parties");
    assert_eq!(parties.len(), forge_world::PARTIES.len());
    let sites = pages(&kit, "/v1/sites?", "sites");
    let own = pages(&kit, &format!("/v1/parties/{COLLECTOR}/sites?"), "sites");
    assert!(!own.is_empty() && own.len() < sites.len());
    let one = got(&kit, &format!("/v1/sites/{}", site(COLLECTOR))).ok();
    assert_eq!(one["site"]["party_id"], COLLECTOR.to_string());
    let keys = pages(&kit, &format!("/v1/parties/{COLLECTOR}/keys?page_size=1&"), "keys");
    assert!(keys.len() >= 3 && keys.iter().any(|key| key.get("revocation").is_some()));
    let tables = pages_of_tables(&kit);
    assert_eq!(tables, urbanmine::domain::tables::builtin().as_bytes());
    kit.stop().await;
}

/// The table set, whose pages are longer than a piece of a reply.
fn pages_of_tables(kit: &Kit) -> Vec<u8> {
    let (mut all, mut token) = (Vec::new(), String::new());
    loop {
        let page = got(kit, &format!("/v1/tables?page_token={token}")).ok();
        all.extend(STANDARD.decode(page["content"].as_str().unwrap()).unwrap());
        page["next_page_token"].as_str().unwrap().clone_into(&mut token);
        if token.is_empty() {
            return all;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_recorded_together_or_not_at_all() {
    let mut kit = Kit::start().await;
    let batch: Vec<String> = (0..3).map(|_| STANDARD.encode(collected(&mut kit).1)).collect();
    let before = kit.checkpoint().await.size;
    let mut broken = batch.clone();
    broken[1] = STANDARD.encode(b"no envelope");
    let refused = posted(&kit, "/v1/events:batchAppend", &json!({ "envelopes": broken }));
    assert_eq!((refused.status, refused.refusal().0.as_str()), (400, "ENVELOPE_MALFORMED"));
    assert_eq!(refused.json()["error"]["details"][0]["metadata"]["position"], "1");
    assert_eq!(kit.checkpoint().await.size, before);
    let done = posted(&kit, "/v1/events:batchAppend", &json!({ "envelopes": batch })).ok();
    let indexes: Vec<&str> = done["appended"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["entry_index"].as_str().unwrap())
        .collect();
    let expected: Vec<String> = (before.0..before.0 + 3).map(|it| it.to_string()).collect();
    assert_eq!(indexes, expected);
    let too_many = json!({ "envelopes": vec!["AAAA"; MAX_BATCH_EVENTS + 1] });
    assert_eq!(posted(&kit, "/v1/events:batchAppend", &too_many).refusal().0, "BATCH_TOO_LARGE");
    let none = json!({ "envelopes": [] });
    assert_eq!(posted(&kit, "/v1/events:batchAppend", &none).refusal().0, "BATCH_EMPTY");
    kit.stop().await;
}

/// The next chunk of an answer whose head was read, as one line of JSON.
fn streamed(wire: &mut Wire) -> Option<Json> {
    let size = usize::from_str_radix(&wire.line()?, 16).unwrap();
    let chunk = wire.bytes(size);
    assert_eq!(wire.line().as_deref(), Some(""));
    if size == 0 {
        return None;
    }
    let (line, end) = chunk.split_at(size - 1);
    assert!(end == b"\n" && !line.contains(&b'\n'), "a message is a line, and goes out at once");
    Some(serde_json::from_slice(line).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_is_lines_and_its_last_line_says_where_to_go_on() {
    let mut kit = Kit::start().await;
    let size = kit.checkpoint().await.size.0;
    let host = kit.address();
    let mut wire = Wire::to(host);
    wire.send(format!(
        "GET /v1/entries:watch?from_entry_index={}&heartbeat_seconds=1 HTTP/1.1\r\nHost: {host}\r\n\
         X-Server-Timeout: 3\r\n\r\n",
        size - 1
    ));
    let head = wire.answer(false).unwrap();
    assert_eq!((head.status, head.header("content-type")), (200, Some("application/x-ndjson")));
    let first = streamed(&mut wire).unwrap();
    let origin = grpc_kit::origin().to_string();
    assert!(first["heartbeat"]["checkpoint"].as_str().unwrap().starts_with(&origin), "{first}");
    let past = streamed(&mut wire).unwrap();
    assert_eq!(past["entry"]["entry_index"], (size - 1).to_string());
    let lot = kit.copper(COLLECTOR, 1_000).await;
    let entry = loop {
        let line = streamed(&mut wire).unwrap();
        if line.get("entry").is_some() {
            break line;
        }
    };
    let told = got(&kit, &format!("/v1/entries/{size}")).ok();
    assert_eq!(entry["entry"]["entry"], told["entry"]["entry"]);
    assert_eq!(entry["entry"]["kind"], "EVENT_KIND_COLLECT_LOT");
    let mut last = entry;
    while let Some(line) = streamed(&mut wire) {
        last = line;
    }
    let error = &last["error"];
    assert_eq!(error["status"], "DEADLINE_EXCEEDED", "{last}");
    assert_eq!(error["details"][0]["metadata"]["resume_from"], (size + 1).to_string());
    // What is wrong before the first line is an error like any other.
    let beyond = got(&kit, "/v1/entries:watch?from_entry_index=999999");
    assert_eq!((beyond.status, beyond.refusal().0.as_str()), (400, "REQUEST_INVALID"));
    assert_eq!(got(&kit, &format!("/v1/lots/{lot}")).status, 200);
    kit.stop().await;
}

// --- what it gets wrong --------------------------------------------------------------------------

#[tokio::test(flavor = "multi_thread")]
async fn each_error_has_its_status_reason_and_field() {
    let mut kit = Kit::start().await;
    let lot = kit.copper(COLLECTOR, 1_000).await;
    let unknown = LotId::from_bytes(grpc_kit::uuid(70_000));
    let rows = [
        (format!("/v1/lots/{unknown}"), 404, "NOT_FOUND", ""),
        ("/v1/lots/abc".to_owned(), 400, "REQUEST_INVALID", "lot_id"),
        (
            "/v1/lots/00000000-0000-0000-0000-000000000000".to_owned(),
            400,
            "REQUEST_INVALID",
            "lot_id",
        ),
        ("/v1/lots/%ff".to_owned(), 400, "REQUEST_INVALID", "lot_id"),
        ("/v1/lots/..%2f..%2fetc%2fpasswd".to_owned(), 400, "REQUEST_INVALID", "lot_id"),
        (format!("/v1/lots/{lot}%00"), 400, "REQUEST_INVALID", "lot_id"),
        (format!("/v1/lots/../lots/{lot}"), 404, "HTTP_PATH_UNKNOWN", ""),
        (format!("/v1//lots/{lot}"), 404, "HTTP_PATH_UNKNOWN", ""),
        (format!("/v1/lots/{lot}/"), 404, "HTTP_PATH_UNKNOWN", ""),
        (format!("/v1/lots/{lot}:melt"), 404, "HTTP_PATH_UNKNOWN", ""),
        ("/v1".to_owned(), 404, "HTTP_PATH_UNKNOWN", ""),
        ("/v1/".to_owned(), 404, "HTTP_PATH_UNKNOWN", ""),
        ("/v1/lots?page_token=zz".to_owned(), 400, "PAGE_TOKEN_INVALID", ""),
        ("/v1/lots?page_size=1&page_size=1".to_owned(), 400, "REQUEST_INVALID", "page_size"),
        ("/v1/lots?page_size=1&pageSize=1".to_owned(), 400, "REQUEST_INVALID", "page_size"),
        ("/v1/lots?page_size=99999999999999999999".to_owned(), 400, "REQUEST_INVALID", "page_size"),
        ("/v1/lots?page_size=1.0".to_owned(), 400, "REQUEST_INVALID", "page_size"),
        ("/v1/lots?size=1".to_owned(), 400, "REQUEST_INVALID", "size"),
        ("/v1/lots?status=OPEN".to_owned(), 400, "REQUEST_INVALID", "status"),
        (format!("/v1/lots/{lot}?lot_id={lot}"), 400, "REQUEST_INVALID", "lot_id"),
        ("/v1/entries/18446744073709551616".to_owned(), 400, "REQUEST_INVALID", "entry_index"),
        ("/v1/entries/18446744073709551615".to_owned(), 404, "NOT_FOUND", ""),
        ("/v1/entries/-1".to_owned(), 400, "REQUEST_INVALID", "entry_index"),
        (
            "/v1/proofs/inclusion?entry_index=9&tree_size=3".to_owned(),
            400,
            "REQUEST_INVALID",
            "tree_size",
        ),
        (format!("/v1/transfers/{lot}"), 404, "NOT_FOUND", ""),
    ];
    for (path, status, reason, field) in rows {
        let answer = got(&kit, &path);
        let (found, at) = answer.refusal();
        assert_eq!((answer.status, found.as_str(), at.as_str()), (status, reason, field), "{path}");
    }
    // A rule of the ledger says no, with its numbers.
    let stranger = kit.event(COLLECTOR, collect(new_lot(lot, COPPER, 1)));
    let taken = json!({ "envelope": STANDARD.encode(signed(&stranger)) });
    let answer = posted(&kit, "/v1/events", &taken);
    assert_eq!((answer.status, answer.refusal().0.as_str()), (409, "LOT_EXISTS"));
    assert_eq!(answer.json()["error"]["status"], "ALREADY_EXISTS");
    assert_eq!(answer.json()["error"]["details"][0]["metadata"]["lot"], lot.to_string());
    let garbage = json!({ "envelope": STANDARD.encode(sealed(vec![0xff; 9], &[1])) });
    let answer = posted(&kit, "/v1/events", &garbage);
    assert_eq!((answer.status, answer.refusal().0.as_str()), (400, "NON_CANONICAL_EVENT"));
    kit.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_not_the_request_is_refused_by_name() {
    let mut kit = Kit::start().await;
    let before = kit.checkpoint().await.size;
    let json = "Content-Type: application/json\r\n";
    let deep = "{\"envelope\":".to_owned() + &"[".repeat(100_000);
    let rows: [(&str, &[u8], u16, &str, &str); 22] = [
        ("", b"{}", 415, "HTTP_CONTENT_TYPE", ""),
        ("Content-Type: text/plain\r\n", b"{}", 415, "HTTP_CONTENT_TYPE", ""),
        (
            "Content-Type: application/x-www-form-urlencoded\r\n",
            b"a=b",
            415,
            "HTTP_CONTENT_TYPE",
            "",
        ),
        ("Content-Type: multipart/form-data; boundary=x\r\n", b"--x", 415, "HTTP_CONTENT_TYPE", ""),
        ("Content-Type: application/grpc\r\n", b"{}", 415, "HTTP_CONTENT_TYPE", ""),
        ("Content-Type: application/json; charset=gbk\r\n", b"{}", 415, "HTTP_CONTENT_TYPE", ""),
        (
            "Content-Type: application/json\r\nContent-Encoding: gzip\r\n",
            b"{}",
            415,
            "HTTP_CONTENT_TYPE",
            "",
        ),
        (
            "Content-Type: Application/JSON; charset=\"UTF-8\"\r\n",
            b"{}",
            400,
            "ENVELOPE_MALFORMED",
            "",
        ),
        (json, b"{}", 400, "ENVELOPE_MALFORMED", ""),
        (json, b"", 400, "HTTP_JSON_MALFORMED", ""),
        (json, b"{", 400, "HTTP_JSON_MALFORMED", ""),
        (json, b"[1]", 400, "HTTP_JSON_MALFORMED", ""),
        (json, b"\xef\xbb\xbf{}", 400, "HTTP_JSON_MALFORMED", ""),
        (json, b"{\"envelope\":\"\xff\"}", 400, "HTTP_JSON_MALFORMED", ""),
        (json, b"{\"envelope\":\"AAAA\"}trailing", 400, "HTTP_JSON_MALFORMED", ""),
        (json, b"{\"envelope\":\"A*==\"}", 400, "REQUEST_INVALID", "envelope"),
        (
            json,
            b"{\"envelope\":\"AAAA\",\"envelope\":\"AAAA\"}",
            400,
            "REQUEST_INVALID",
            "envelope",
        ),
        (json, b"{\"envelope\":1e999999}", 400, "HTTP_JSON_MALFORMED", ""),
        (
            json,
            b"{\"envelope\":123456789012345678901234567890}",
            400,
            "REQUEST_INVALID",
            "envelope",
        ),
        (json, b"{\"event\":{}}", 400, "REQUEST_INVALID", "event"),
        (json, b"{\"validate_only\":\"yes\"}", 400, "REQUEST_INVALID", "validate_only"),
        (json, deep.as_bytes(), 400, "REQUEST_INVALID", "envelope"),
    ];
    for (headers, body, status, reason, field) in rows {
        let answer = posted_as(&kit, "/v1/events", headers, body);
        let (found, at) = answer.refusal();
        let shown = String::from_utf8_lossy(&body[..body.len().min(60)]);
        let found = (answer.status, found.as_str(), at.as_str());
        assert_eq!(found, (status, reason, field), "{headers}{shown}");
    }
    let answer = posted(&kit, "/v1/events?validate_only=true", &json!({}));
    assert_eq!(answer.refusal(), ("REQUEST_INVALID".to_owned(), "validate_only".to_owned()));
    let long = vec![b' '; MAX_REQUEST_BYTES + 1];
    let answer = posted_as(&kit, "/v1/events", json, &long);
    assert_eq!((answer.status, answer.refusal().0.as_str()), (413, "REQUEST_TOO_LARGE"));
    assert_eq!(kit.checkpoint().await.size, before, "none of it was recorded");
    kit.stop().await;
}

/// A body beside what stands in the path, and a verb without a body that changes something.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_path_says_is_said_there_alone() {
    let kit = Kit::start().await;
    let id = LotId::from_bytes(grpc_kit::uuid(70_001)).to_string();
    let sign = format!("/v1/drafts/{id}:sign");
    let twice = posted(&kit, &sign, &json!({ "draft_id": id }));
    assert_eq!(twice.refusal(), ("REQUEST_INVALID".to_owned(), "draft_id".to_owned()));
    let bad = posted(&kit, "/v1/drafts/x*:sign", &json!({}));
    assert_eq!(bad.refusal(), ("REQUEST_INVALID".to_owned(), "draft_id".to_owned()));
    let known = posted(&kit, &sign, &json!({}));
    assert!(known.status >= 400 && known.refusal().0 != "HTTP_PATH_UNKNOWN", "{known:?}");
    let gone = asked(kit.address(), "DELETE", &format!("/v1/drafts/{id}"));
    assert_eq!((gone.status, gone.refusal().0.as_str()), (404, "NOT_FOUND"));
    let verbs = asked(kit.address(), "PUT", &format!("/v1/drafts/{id}"));
    assert_eq!(verbs.header("allow"), Some("DELETE, GET, HEAD, OPTIONS"));
    kit.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn verbs_are_those_of_the_path_and_no_page_of_the_web_may_read() {
    let mut kit = Kit::start().await;
    let lot = kit.copper(COLLECTOR, 1_000).await;
    let address = kit.address();
    let path = format!("/v1/lots/{lot}");
    for verb in ["POST", "PUT", "PATCH", "DELETE", "TRACE", "MELT"] {
        let answer = asked(address, verb, &path);
        assert_eq!(
            (answer.status, answer.header("allow")),
            (405, Some("GET, HEAD, OPTIONS")),
            "{verb}"
        );
        assert_eq!(answer.refusal().0, "HTTP_METHOD_NOT_ALLOWED");
    }
    let answer = asked(address, "GET", "/v1/events");
    assert_eq!((answer.status, answer.header("allow")), (405, Some("OPTIONS, POST")));
    let head = asked(address, "HEAD", &path);
    let full = asked(address, "GET", &path);
    let length = full.body.len().to_string();
    assert_eq!((head.status, head.header("content-length")), (200, Some(length.as_str())));
    assert_eq!(asked(address, "HEAD", "/v1/lots/abc").status, 400);
    let options = asked(address, "OPTIONS", "/v1/events");
    assert_eq!((options.status, options.header("allow")), (204, Some("OPTIONS, POST")));
    let cross = "Origin: https://evil.example\r\nAccess-Control-Request-Method: POST\r\n";
    let mut wire = Wire::to(address);
    wire.send(format!("OPTIONS /v1/events HTTP/1.1\r\nHost: {address}\r\n{cross}\r\n"));
    let told = wire.answer(true).unwrap();
    for answer in [&options, &full, &told] {
        assert!(answer.headers.iter().all(|(name, _)| !name.starts_with("access-control")));
    }
    // A name of its own that a page lets point to this machine.
    let mut wire = Wire::to(address);
    wire.send(format!("GET {path} HTTP/1.1\r\nHost: evil.example\r\n\r\n"));
    let answer = wire.answer(true).unwrap();
    assert_eq!((answer.status, answer.refusal().0.as_str()), (403, "HTTP_HOST_NOT_LOCAL"));
    // Headers that would change the verb or the path change nothing.
    let mut wire = Wire::to(address);
    let forged = "X-HTTP-Method-Override: DELETE\r\nX-Original-URL: /v1/parties\r\n";
    wire.send(format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n{forged}\r\n"));
    assert_eq!(wire.answer(true).unwrap().body, full.body);
    kit.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn how_long_a_caller_waits_is_whole_seconds() {
    let kit = Kit::start().await;
    let ask = |header: &str| {
        let mut wire = Wire::to(kit.address());
        let host = kit.address();
        wire.send(format!("GET /v1/ledger HTTP/1.1\r\nHost: {host}\r\n{header}\r\n\r\n"));
        wire.answer(true).unwrap()
    };
    assert_eq!(ask("X-Server-Timeout: 5").status, 200);
    for wrong in ["0", "-1", "1.5", "soon", ""] {
        let answer = ask(&format!("X-Server-Timeout: {wrong}"));
        assert_eq!(answer.refusal().1, "x-server-timeout", "{wrong}");
    }
    kit.stop().await;
}

/// More replies than a share has room for at a time, to callers who do not take them yet: each has
/// to come whole, as soon as those before it are taken.
#[tokio::test(flavor = "multi_thread")]
async fn replies_that_fill_a_share_do_not_wait_for_each_other() {
    let kit = Kit::start().await;
    let folder = tempfile::tempdir().unwrap();
    let tokens = folder.path().join("tokens.json");
    keep(&tokens, "{\"format\":\"urbanmine-tokens-1\",\"tokens\":[]}");
    let mut settings = DoorSettings { tokens: Some(tokens), ..DoorSettings::default() };
    settings.bounds.stranger_calls_per_second = 1_000.try_into().unwrap();
    let listener = Doors::open(settings).unwrap().listen("127.0.0.1:0".parse().unwrap()).await;
    let listener = listener.unwrap();
    let address = listener.address();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving = tokio::spawn(api::serve(kit.node().clone(), listener, async {
        let _ = stopped.await;
    }));
    let count = 2 * ADDRESS_REPLY_BYTES / PAGE_REPLY_BYTES;
    let mut wires: Vec<Wire> = (0..count).map(|_| Wire::to(address)).collect();
    for wire in &mut wires {
        wire.send(format!("GET /v1/tables HTTP/1.1\r\nHost: {address}\r\n\r\n"));
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    for wire in &mut wires {
        let page = wire.answer(true).unwrap().ok();
        assert!(page["content"].as_str().unwrap().len() > 100_000);
    }
    drop(wires);
    let _ = stop.send(());
    serving.await.unwrap().unwrap();
    kit.stop().await;
}

/// Writes a file that only we may read.
fn keep(path: &std::path::Path, text: &str) {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).unwrap().write_all(text.as_bytes()).unwrap();
}

// --- what somebody tries -------------------------------------------------------------------------

#[tokio::test(flavor = "multi_thread")]
async fn one_request_is_never_read_as_two() {
    let mut kit = Kit::start().await;
    let before = kit.checkpoint().await.size;
    let (_, envelope) = collected(&mut kit);
    let body = json!({ "envelope": STANDARD.encode(&envelope) }).to_string();
    let host = kit.address();
    let hidden = format!(
        "POST /v1/events HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let head =
        format!("POST /v1/events HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n");
    let both = hidden.len() + 5;
    let requests = [
        // Two lengths of one body, in both orders.
        format!(
            "{head}Content-Length: {both}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{hidden}"
        ),
        format!(
            "{head}Transfer-Encoding: chunked\r\nContent-Length: {both}\r\n\r\n0\r\n\r\n{hidden}"
        ),
        // Two different lengths; a length that is no number; an encoding that is none.
        format!("{head}Content-Length: 2\r\nContent-Length: {both}\r\n\r\n{{}}{hidden}"),
        format!("{head}Content-Length: +2\r\n\r\n{{}}{hidden}"),
        format!("{head}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n{hidden}"),
        format!("{head}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n{hidden}"),
        // A folded header, and a bare line feed that would end one.
        format!("{head}X-A: b\r\n Content-Length: 0\r\n\r\n{hidden}"),
        format!("{head}Content-Length: 2\r\nX: a\rContent-Length: 0\r\n\r\n{{}}{hidden}"),
    ];
    for request in requests {
        let mut wire = Wire::to(host);
        wire.send(&request);
        let first = wire.answer(true);
        let shown = &request[head.len()..request.len().min(head.len() + 80)];
        if let Some(first) = first {
            assert!((400..500).contains(&first.status), "{shown}: {first:?}");
        }
        // What lay behind was not taken for a request, or was refused as well.
        if let Some(second) = wire.answer(true) {
            assert!((400..500).contains(&second.status), "{shown}: {second:?}");
        }
    }
    assert_eq!(kit.checkpoint().await.size, before, "nothing that was hidden was recorded");
    // Two requests that are two.
    let mut wire = Wire::to(host);
    wire.send(format!("{hidden}{hidden}"));
    let (first, second) = (wire.answer(true).unwrap(), wire.answer(true).unwrap());
    assert_eq!(first.ok()["appended"]["was_recorded_before"], false);
    assert_eq!(second.ok()["appended"]["was_recorded_before"], true);
    kit.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_in_chunks_is_a_body_and_one_that_breaks_off_is_none() {
    let mut kit = Kit::start().await;
    let before = kit.checkpoint().await.size;
    let (_, envelope) = collected(&mut kit);
    let body = json!({ "envelope": STANDARD.encode(&envelope) }).to_string();
    let host = kit.address();
    let head =
        format!("POST /v1/events HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n");
    let mut wire = Wire::to(host);
    wire.send(format!("{head}Content-Length: {}\r\n\r\n{}", body.len(), &body[..body.len() - 9]));
    wire.stream.shutdown(std::net::Shutdown::Write).unwrap();
    assert!(wire.answer(true).is_none_or(|answer| answer.status == 400));
    assert!(wire.is_over());
    assert_eq!(kit.checkpoint().await.size, before);
    let mut wire = Wire::to(host);
    wire.send(format!("{head}Transfer-Encoding: chunked\r\n\r\n"));
    for part in body.as_bytes().chunks(100) {
        wire.send(format!("{:x}\r\n{}\r\n", part.len(), std::str::from_utf8(part).unwrap()));
    }
    wire.send("0\r\n\r\n");
    assert_eq!(wire.answer(true).unwrap().ok()["appended"]["was_recorded_before"], false);
    // On the same connection a client that waits for leave to send.
    wire.send(format!("{head}Content-Length: {}\r\nExpect: 100-continue\r\n\r\n", body.len()));
    assert_eq!(wire.answer(false).unwrap().status, 100);
    wire.send(&body);
    assert_eq!(wire.answer(true).unwrap().ok()["appended"]["was_recorded_before"], true);
    kit.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn grpc_and_json_share_the_port_and_the_page_is_served() {
    let mut kit = Kit::start().await;
    let page = got(&kit, "/openapi.json");
    let json = page.ok();
    assert_eq!(json["openapi"], "3.1.0");
    assert!(json["paths"]["/v1/lots/{lot_id}"]["get"].is_object());
    assert_eq!(asked(kit.address(), "POST", "/openapi.json").status, 405);
    let lot = kit.copper(COLLECTOR, 5).await;
    let request = v1::GetLotRequest { lot_id: raw(lot.as_bytes()) };
    assert!(kit.lots.get_lot(request).await.is_ok());
    for path in ["/", "/foo", "/openapi.json/x", "/v2/lots", "//v1/lots"] {
        let answer = got(&kit, path);
        assert_eq!((answer.status, answer.refusal().0.as_str()), (404, "HTTP_PATH_UNKNOWN"));
    }
    // gRPC-Web, from this machine and from a page that has a name of its own point here.
    for (host, is_answered) in [("127.0.0.1", true), ("evil.example", false)] {
        let mut wire = Wire::to(kit.address());
        wire.send(format!(
            "POST /urbanmine.v1.LedgerService/GetLedger HTTP/1.1\r\nHost: {host}\r\n\
             Content-Type: application/grpc-web+proto\r\nContent-Length: 5\r\n\r\n\0\0\0\0\0"
        ));
        let answer = wire.answer(true).unwrap();
        let is_refused = answer.header("grpc-status") == Some("7");
        assert_eq!(!is_refused, is_answered, "{answer:?}");
        assert_eq!(answer.body.is_empty(), is_refused);
    }
    // A call of gRPC is not reached by its own path without being one.
    let answer = posted_as(
        &kit,
        "/urbanmine.v1.LotService/GetLot",
        "Content-Type: application/json\r\nConnection: close\r\n",
        b"{}",
    );
    assert_eq!((answer.status, answer.refusal().0.as_str()), (404, "HTTP_PATH_UNKNOWN"));
    kit.stop().await;
}

/// The script of docs/JSON.md, as it stands there.
fn script() -> String {
    let page = include_str!("../docs/JSON.md");
    let (_, rest) = page.split_once("```bash\n").unwrap();
    rest.split_once("```").unwrap().0.to_owned()
}

/// The key of a seed as openssl reads it.
fn key_file(seed: u8) -> String {
    let head = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
    let der = [&head[..], &[seed; 32]].concat();
    format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", STANDARD.encode(der))
}

// --- curl ----------------------------------------------------------------------------------------

/// Whether tools are there; a line says so when one is not.
fn has(tools: &[&str]) -> bool {
    let mut there = tools.iter().map(|tool| {
        let mut command = Command::new(tool);
        command.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let is_there = command.status().is_ok();
        if !is_there {
            println!("SKIPPED: {tool} is not there");
        }
        is_there
    });
    there.all(|is_there| is_there)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_script_of_the_manual_signs_and_appends() {
    if !has(&["bash", "curl", "openssl", "xxd", "base64"]) {
        return;
    }
    let mut kit = Kit::start().await;
    let lot = kit.lot();
    let event = kit.event(COLLECTOR, collect(new_lot(lot, COPPER, 1_000)));
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    std::fs::write(file("event.bin"), forge::payload(&event)).unwrap();
    std::fs::write(file("key.pem"), key_file(forge::seed_of(COLLECTOR))).unwrap();
    std::fs::write(file("append.sh"), script()).unwrap();
    let done = Command::new("bash")
        .arg(file("append.sh"))
        .env("EVENT", file("event.bin"))
        .env("KEY", file("key.pem"))
        .env("RECEIPT", file("receipt.json"))
        .env("SERVER", format!("http://{}", kit.address()))
        .env("NO_PROXY", "*")
        .env_remove("TOKEN")
        .env_remove("CACERT")
        .output()
        .unwrap();
    let told = std::fs::read(file("receipt.json")).unwrap_or_default();
    assert!(done.status.success(), "{done:?} {}", String::from_utf8_lossy(&told));
    let told: Json = serde_json::from_slice(&told).unwrap();
    check_receipt(told["appended"]["receipt"].as_str().unwrap());
    assert_eq!(kit.lot_now(lot).await.initial_mass_g, 1_000);
    kit.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn curl_appends_and_reads() {
    if !has(&["curl"]) {
        return;
    }
    let mut kit = Kit::start().await;
    let (lot, envelope) = collected(&mut kit);
    let server = format!("http://{}", kit.address());
    let curl = |args: &[&str]| {
        let output =
            Command::new("curl").args(["--http1.1", "-sS", "--noproxy", "*"]).args(args).output();
        let output = output.unwrap();
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice::<Json>(&output.stdout).unwrap()
    };
    let body = json!({ "envelope": STANDARD.encode(&envelope) }).to_string();
    let (events, type_json) = (format!("{server}/v1/events"), "content-type: application/json");
    let done = curl(&["-H", type_json, "-d", &body, &events]);
    check_receipt(done["appended"]["receipt"].as_str().unwrap());
    let read = curl(&[&format!("{server}/v1/lots/{lot}")]);
    assert_eq!(read["lot"]["initial_mass_g"], "1000000");
    let refused = curl(&["-d", &body, &events]);
    assert_eq!(refused["error"]["code"], 415, "curl's own type is that of a form");
    kit.stop().await;
}
