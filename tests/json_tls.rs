//! `curl --http1.1` against JSON over TLS: who calls, by token and by certificate, and that the
//! same port speaks HTTP/2 too.

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

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use assert_cmd::cargo::CommandCargoExt as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use forge_world::{COLLECTOR, COORD, COPPER, collect, new_lot};
use grpc_kit::{Kit, check_receipt, signed};
use serde_json::{Value as Json, json};
use tempfile::TempDir;
use tokio::sync::oneshot;
use urbanmine::api::tokens::{TokenId, token_text};
use urbanmine::api::{self, DoorSettings, Doors};
use urbanmine::ledger::hash::sha256;

/// Far from now, either way.
const PAST_MS: u64 = 1_000_000_000_000;
const FUTURE_MS: u64 = 4_000_000_000_000;

/// One who shows a token: its number, holder, scopes and end.
struct Holder(u8, String, &'static [&'static str], u64);

impl Holder {
    fn token(&self) -> String {
        token_text(TokenId([self.0; 8]), &[self.0; 32])
    }

    fn written(&self) -> Json {
        json!({
            "id": TokenId([self.0; 8]).to_string(),
            "secret_sha256": sha256(&[self.0; 32]).to_string(),
            "holder": self.1,
            "scopes": self.2,
            "created_at_ms": PAST_MS,
            "expires_at_ms": self.3,
        })
    }
}

/// Writes a file that only we may read.
fn keep(path: &Path, text: &str) {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).unwrap().write_all(text.as_bytes()).unwrap();
}

/// What curl was told.
#[derive(Debug)]
struct Told {
    status: String,
    version: String,
    head: String,
    body: Json,
}

impl Told {
    fn reason(&self) -> &str {
        self.body["error"]["details"][0]["reason"].as_str().unwrap_or_default()
    }
}

struct Curl {
    folder: TempDir,
    server: String,
}

impl Curl {
    fn ask(&self, args: &[&str], path: &str) -> Told {
        let (head, body) = (self.folder.path().join("head"), self.folder.path().join("body"));
        let output = Command::new("curl")
            .args(["-sS", "--noproxy", "*", "--cacert"])
            .arg(self.folder.path().join("ca.pem"))
            .arg("-D")
            .arg(&head)
            .arg("-o")
            .arg(&body)
            .args(["-w", "%{http_code} %{http_version}"])
            .args(args)
            .arg(format!("{}{path}", self.server))
            .output()
            .unwrap();
        assert!(output.status.success(), "{args:?} {path}: {output:?}");
        let told = String::from_utf8(output.stdout).unwrap();
        let (status, version) = told.split_once(' ').unwrap();
        Told {
            status: status.to_owned(),
            version: version.to_owned(),
            head: std::fs::read_to_string(&head).unwrap().to_ascii_lowercase(),
            body: serde_json::from_slice(&std::fs::read(&body).unwrap()).unwrap(),
        }
    }

    fn ask_as(&self, holder: &Holder, args: &[&str], path: &str) -> Told {
        let header = format!("authorization: Bearer {}", holder.token());
        self.ask(&[&["--http1.1", "-H", &header], args].concat(), path)
    }
}

fn has_curl() -> bool {
    let mut command = Command::new("curl");
    command.arg("--version").stdin(Stdio::null()).stdout(Stdio::null());
    let is_there = command.status().is_ok();
    if !is_there {
        println!("SKIPPED: curl is not there");
    }
    is_there
}

/// Certificates of the command that makes them, and a file of tokens.
fn doors(holders: &[&Holder]) -> (TempDir, DoorSettings) {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::cargo_bin("urbanmine").unwrap();
    command.args(["cert", "dev", "--host", "localhost", "--party", &COLLECTOR.to_string()]);
    let made = command.arg("--dir").arg(folder.path()).stdin(Stdio::null()).output().unwrap();
    assert!(made.status.success(), "{made:?}");
    let tokens: Vec<Json> = holders.iter().map(|holder| holder.written()).collect();
    let book = json!({ "format": "urbanmine-tokens-1", "tokens": tokens });
    keep(&folder.path().join("tokens.json"), &book.to_string());
    let file = |name: &str| Some(folder.path().join(name));
    let settings = DoorSettings {
        tls_cert: file("server.pem"),
        tls_key: file("server-key.pem"),
        client_ca: file("ca.pem"),
        tokens: file("tokens.json"),
        ..DoorSettings::default()
    };
    (folder, settings)
}

#[tokio::test(flavor = "multi_thread")]
async fn curl_speaks_json_over_tls_as_who_it_is() {
    if !has_curl() {
        return;
    }
    let mut kit = Kit::start().await;
    let own = kit.copper(COLLECTOR, 1_000).await;
    let reader = Holder(1, COLLECTOR.to_string(), &["READ"], FUTURE_MS);
    let erp = Holder(2, COLLECTOR.to_string(), &["READ", "APPEND"], FUTURE_MS);
    let late = Holder(3, COLLECTOR.to_string(), &["READ"], PAST_MS + 1);
    let overseer = Holder(4, COORD.to_string(), &["READ"], FUTURE_MS);
    let stranger = Holder(5, COLLECTOR.to_string(), &["READ"], FUTURE_MS);
    let (folder, settings) = doors(&[&reader, &erp, &late, &overseer]);
    let doors = Doors::open(settings).unwrap();
    let listener = doors.listen("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let server = format!("https://localhost:{}", listener.address().port());
    let (stop, stopped) = oneshot::channel::<()>();
    let node = kit.node().clone();
    let serving = tokio::spawn(api::serve(node, listener, async {
        let _ = stopped.await;
    }));
    let curl = Curl { folder, server };
    let lot = format!("/v1/lots/{own}");

    // What is public, and what is not.
    let ledger = curl.ask(&["--http1.1"], "/v1/ledger");
    assert_eq!((ledger.status.as_str(), ledger.version.as_str()), ("200", "1.1"), "{ledger:?}");
    assert!(ledger.body["ledger"]["origin"].is_string());
    let refused = curl.ask(&["--http1.1"], &lot);
    assert_eq!((refused.status.as_str(), refused.reason()), ("401", "IDENTITY_MISSING"));
    assert!(refused.head.contains("www-authenticate: bearer"), "{}", refused.head);
    assert_eq!(curl.ask(&["--http1.1"], "/openapi.json").status, "200");
    // The same over HTTP/2.
    let over_h2 = curl.ask(&["--http2"], "/v1/ledger");
    assert_eq!((over_h2.version.as_str(), &over_h2.body), ("2", &ledger.body));
    // A name that is not local is fine where callers say who they are.
    assert_eq!(curl.ask(&["--http1.1", "-H", "Host: ledger.example"], "/v1/ledger").status, "200");

    // Tokens.
    let read = curl.ask_as(&reader, &[], &lot);
    assert_eq!(
        (read.status.as_str(), &read.body["lot"]["lot_id"]),
        ("200", &json!(own.to_string()))
    );
    assert_eq!(curl.ask_as(&overseer, &[], &lot).body, read.body);
    for (holder, reason) in [(&late, "TOKEN_EXPIRED"), (&stranger, "TOKEN_UNKNOWN")] {
        let refused = curl.ask_as(holder, &[], &lot);
        assert_eq!((refused.status.as_str(), refused.reason()), ("401", reason));
    }
    let bought = kit.lot();
    let event = kit.event(COLLECTOR, collect(new_lot(bought, COPPER, 1_000)));
    let body = json!({ "envelope": STANDARD.encode(signed(&event)) }).to_string();
    let post = ["-H", "content-type: application/json", "-d", body.as_str()];
    let refused = curl.ask_as(&reader, &post, "/v1/events");
    assert_eq!((refused.status.as_str(), refused.reason()), ("403", "SCOPE_MISSING"));
    let refused = curl.ask(&[&["--http1.1"], &post[..]].concat(), "/v1/events");
    assert_eq!((refused.status.as_str(), refused.reason()), ("401", "IDENTITY_MISSING"));
    let done = curl.ask_as(&erp, &post, "/v1/events");
    assert_eq!(done.status, "200", "{done:?}");
    check_receipt(done.body["appended"]["receipt"].as_str().unwrap());

    // A client certificate.
    let file = |name: &str| curl.folder.path().join(name).to_str().unwrap().to_owned();
    let certificate = file(&format!("client-{COLLECTOR}.pem"));
    let key = file(&format!("client-{COLLECTOR}-key.pem"));
    let shown = curl.ask(&["--http1.1", "--cert", &certificate, "--key", &key], &lot);
    assert_eq!((shown.status.as_str(), &shown.body), ("200", &read.body));

    let _ = stop.send(());
    serving.await.unwrap().unwrap();
    kit.stop().await;
}
