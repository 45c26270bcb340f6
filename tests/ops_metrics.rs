//! What an operator sees of a busy node: its metrics and its log; and what nobody may see there.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop")]

#[path = "common/place.rs"]
mod place;

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

use place::{PASSPHRASE, Place, exits, run, said};
use serde_json::{Value as Json, json};
use urbanmine::api::measure::ALL;

const SELLER: &str = "Zhang the seller (fictional)";
const SALT: &str = "5a17a0b1c2d3e4f5061728394a5b6c7d8e9fa0b1c2d3e4f50617283940aabbcc";
const TOKEN: &str = "um_secret_token_that_nobody_logs";

/// An address that is free for now.
fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

fn get(address: &str, path: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: metrics\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}

/// The text format of Prometheus, strictly enough: names, labels, numbers.
fn parse(text: &str) -> BTreeMap<String, f64> {
    let mut samples = BTreeMap::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("{line}"));
        let name = series.split('{').next().unwrap();
        let is_name = |text: &str| {
            text.bytes().all(|byte| byte.is_ascii_lowercase() || matches!(byte, b'_' | b'0'..=b'9'))
        };
        assert!(is_name(name), "{line}");
        if let Some(labels) = series.strip_prefix(name).filter(|labels| !labels.is_empty()) {
            let labels = labels.strip_prefix('{').unwrap().strip_suffix('}').unwrap();
            for label in labels.split(',') {
                let (key, value) = label.split_once('=').unwrap();
                assert!(is_name(key) && value.starts_with('"') && value.ends_with('"'), "{line}");
                let known = ["method", "code", "reason", "outcome", "version", "le"];
                assert!(known.contains(&key), "{line}: who or what may not be a label");
            }
        }
        samples.insert(series.to_owned(), value.parse().unwrap_or_else(|_| panic!("{line}")));
    }
    samples
}

/// Events with everything in them that must not be told elsewhere.
fn busy(place: &Place, url: &str) {
    let now = jiff::Timestamp::now().as_millisecond();
    let event = |id: &str, kind: &str, body: Json| {
        json!({
            "event_id": format!("@event/{id}"), "actor_party_id": "@party/coordinator",
            "occurred_at_ms": now, "occurred_at_offset_min": 480, kind: body,
            "commitments": [{ "kind": "SELLER_IDENTITY", "sha256": SALT }],
        })
    };
    let mut lines = vec![event(
        "party",
        "register_party",
        json!({ "party": {
            "party_id": "@party/collector", "credit_code": "91360102MATEXA002R",
            "name_en": SELLER,
            "roles": [{ "role": "COLLECTOR", "valid_from_ms": "2024-01-01T00:00:00+08:00" }],
        } }),
    )];
    for number in 0..20 {
        let site = json!({ "site": {
            "site_id": format!("@site/{number}"), "party_id": "@party/collector",
            "name_en": SELLER, "region_code": "360702",
        } });
        lines.push(event(&format!("site/{number}"), "register_site", site));
    }
    let script = lines.iter().fold(String::new(), |text, line| text + &line.to_string() + "\n");
    fs::write(place.path("busy.jsonl"), script).unwrap();
    let key = format!("@party/coordinator={}", place.text("coordinator.pem"));
    let files = [("--passphrase-file", "passphrase")];
    let args = ["submit", place.text("busy.jsonl"), "--server", url, "--key", &key];
    exits(&run(&place.with(&args, &files)), 0);
    // And some that are refused, with words of the caller's own.
    let refused = event(
        "site/x",
        "register_site",
        json!({ "site": {
        "site_id": "@site/0", "party_id": "@party/collector", "name_en": SELLER,
        "region_code": "360702",
    } }),
    );
    fs::write(place.path("refused.jsonl"), format!("{refused}\n")).unwrap();
    let args = ["submit", place.text("refused.jsonl"), "--server", url, "--key", &key];
    exits(&run(&place.with(&args, &files)), 1);
    exits(&run(&["lot", "@lot/none", "--server", url]), 1);
}

#[test]
fn every_metric_is_documented() {
    let page = include_str!("../docs/OPERATIONS.md");
    for (name, _) in ALL {
        assert!(page.contains(&format!("| `{name}` |")), "{name}");
    }
}

#[test]
fn metrics_are_there_parse_and_name_nobody() {
    let place = Place::new();
    let address = free_address();
    let server = place.serve("ledger", &["--metrics", &address]);
    busy(&place, &server.url);
    let (head, text) = get(&address, "/metrics");
    assert!(head.starts_with("HTTP/1.1 200") && head.contains("text/plain; version=0.0.4"));
    let samples = parse(&text);
    for (name, _) in ALL {
        let is_its = |series: &&String| {
            series.strip_prefix(name).is_some_and(|rest| {
                rest.is_empty() || rest.starts_with('{') || rest.starts_with("_bucket")
            })
        };
        assert!(samples.keys().any(|series| is_its(&series)), "{name} is missing:\n{text}");
        assert!(text.contains(&format!("# TYPE {name} ")), "{name} has no type");
    }
    let value = |series: &str| samples.get(series).copied().unwrap_or_default();
    assert!(value("urbanmine_ledger_entries") >= 25.0);
    assert!(value("urbanmine_appends_total{outcome=\"RECORDED\"}") >= 1.0, "{text}");
    assert!(value("urbanmine_appends_total{outcome=\"SITE_EXISTS\"}") >= 1.0, "{text}");
    assert!(value("urbanmine_refusals_total{reason=\"NOT_FOUND\"}") >= 1.0, "{text}");
    assert!(value("urbanmine_journal_fdatasync_duration_seconds_count") >= 1.0);
    assert!(value("urbanmine_process_resident_memory_bytes") > 1_000_000.0);
    assert!(value("urbanmine_database_size_bytes") > 1_000.0);
    assert!((value("urbanmine_writer_poisoned"), value("urbanmine_mailbox_depth")) == (0.0, 0.0));
    assert!(value("urbanmine_checkpoint_age_seconds") < 600.0);
    for secret in [SELLER, PASSPHRASE, "collector", "360702"] {
        assert!(!text.contains(secret), "{secret}");
    }
    // Nothing else is served there.
    assert!(get(&address, "/").0.starts_with("HTTP/1.1 404"));
    server.stop();
}

#[test]
fn metrics_stay_on_this_machine_unless_told() {
    let place = Place::new();
    let files =
        [("--data", "data"), ("--ledger-key", "ledger.pem"), ("--passphrase-file", "passphrase")];
    let args = ["serve", "--listen", "127.0.0.1:0", "--metrics", "0.0.0.0:0"];
    let output = run(&place.with(&args, &files));
    exits(&output, 1);
    assert!(String::from_utf8(output.stderr).unwrap().contains("metrics.beyond_loopback"));
}

#[test]
fn the_log_has_a_line_per_call_and_tells_no_secret() {
    let place = Place::new();
    let server = place.serve("ledger", &["--log-format", "json", "--log-level", "debug"]);
    busy(&place, &server.url);
    said(&["verify", "--server", &server.url, "--json"], 3);
    // A caller's own words in a header and a path.
    let (host, path) = (server.url.trim_start_matches("http://"), format!("/{TOKEN}"));
    get(host, &path);
    let talk = server.stop();
    let lines: Vec<Json> = talk
        .lines()
        .filter(|line| line.starts_with('{'))
        .map(|line| serde_json::from_str(line).unwrap_or_else(|fault| panic!("{fault}: {line}")))
        .collect();
    let calls: Vec<&Json> = lines.iter().filter(|line| line["message"] == "call").collect();
    assert!(calls.len() >= 4, "{talk}");
    for call in &calls {
        for field in ["request", "method", "code", "caller"] {
            assert!(call[field].as_str().is_some_and(|text| !text.is_empty()), "{field}: {call}");
        }
        assert!(call["duration_us"].is_u64() && call["reason"].is_string(), "{call}");
    }
    let of = |method: &str, code: &str| {
        let is_it = |call: &&&Json| {
            call["method"].as_str().unwrap().ends_with(method) && call["code"] == code
        };
        calls.iter().filter(is_it).count()
    };
    assert!(of("BatchAppendEvents", "OK") >= 1, "{talk}");
    assert_eq!(of("GetLot", "NOT_FOUND"), 1, "{talk}");
    for secret in [SELLER, PASSPHRASE, SALT, TOKEN, "91360102MATEXA002R", "A yard"] {
        assert!(!talk.contains(secret), "{secret}: {talk}");
    }
}
