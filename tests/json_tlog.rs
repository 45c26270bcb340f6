//! The tree as files over plain HTTP/1.1: the bytes of an export, for those who may have them.

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

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use assert_cmd::cargo::CommandCargoExt as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use forge_world::{COLLECTOR, COORD, COPPER, collect, copper, new_lot};
use grpc_kit::{Kit, bearer, signed};
use serde_json::Value as Json;
use tonic::Code;
use urbanmine::api::DoorSettings;
use urbanmine::node::SystemClock;
use urbanmine::wire::v1;

/// Longer than any answer takes.
const PATIENCE: Duration = Duration::from_secs(20);
const FOR_EVER: &str = "public, max-age=31536000, immutable";
const FOR_ITS_READER: &str = "private, max-age=31536000, immutable";

#[derive(Debug)]
struct Answer {
    status: u16,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

/// One request on a connection of its own; the body is everything up to the end.
fn asked(address: SocketAddr, verb: &str, path: &str, headers: &str) -> Answer {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let head = format!("{verb} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n");
    stream.write_all(format!("{head}{headers}\r\n").as_bytes()).unwrap();
    let mut all = Vec::new();
    stream.read_to_end(&mut all).unwrap();
    let end = all.windows(4).position(|it| it == b"\r\n\r\n").unwrap();
    let head = String::from_utf8(all[..end].to_vec()).unwrap();
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let headers = lines.map(|line| {
        let (name, value) = line.split_once(": ").unwrap();
        (name.to_ascii_lowercase(), value.to_owned())
    });
    Answer { status, headers: headers.collect(), body: all[end + 4..].to_vec() }
}

fn got(kit: &Kit, path: &str) -> Answer {
    asked(kit.address(), "GET", path, "")
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// A file, whole, with its length, kept as long as it says.
    #[track_caller]
    fn file(&self, content_type: &str, caching: &str) -> &[u8] {
        assert_eq!(self.status, 200, "{}", String::from_utf8_lossy(&self.body));
        assert_eq!(self.header("content-type"), content_type);
        assert_eq!(self.header("cache-control"), caching);
        assert_eq!(self.header("content-length"), self.body.len().to_string());
        &self.body
    }

    /// Status and reason of a refusal, which nobody keeps.
    #[track_caller]
    fn refusal(&self) -> (u16, String) {
        assert_eq!(self.header("cache-control"), "no-store", "{self:?}");
        let json: Json = serde_json::from_slice(&self.body).unwrap();
        let reason = json["error"]["details"][0]["reason"].as_str().unwrap().to_owned();
        (self.status, reason)
    }
}

/// A ledger with more entries than a bundle has.
async fn ledger() -> Kit {
    let mut kit = Kit::start().await;
    for _ in 0..2 {
        let mut batch = Vec::new();
        for _ in 0..150 {
            let mut lot = new_lot(kit.lot(), COPPER, 1_000);
            lot.composition = Some(copper(50_000_000));
            let event = kit.event(COLLECTOR, collect(lot));
            batch.push(signed(&event));
        }
        kit.send(batch).await.unwrap();
    }
    kit
}

/// The files of an export that the binary makes beside the node.
fn exported(kit: &Kit) -> BTreeMap<String, Vec<u8>> {
    let to = kit.folder().join("export");
    let path = |name: &str| kit.folder().join(name);
    let mut command = Command::cargo_bin("urbanmine").unwrap();
    command.arg("export").arg("--data").arg(path("data")).arg("--guard").arg(path("guard"));
    let output = command.arg("--to").arg(&to).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let (mut found, mut folders) = (BTreeMap::new(), vec![to.clone()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(&to).unwrap().to_str().unwrap().to_owned();
                found.insert(name, std::fs::read(path).unwrap());
            }
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn the_node_serves_the_files_of_an_export() {
    let mut kit = ledger().await;
    let size = kit.checkpoint().await.size.0;
    assert!((257..512).contains(&size), "{size}");
    let files = exported(&kit);
    assert_eq!(files.len(), 6, "{:?}", files.keys());
    for (name, bytes) in &files {
        let answer = got(&kit, &format!("/tlog/{name}"));
        let (content_type, caching) = match name.split('/').nth(1) {
            None => ("text/plain; charset=utf-8", "no-store"),
            Some("entries") => ("application/octet-stream", FOR_ITS_READER),
            Some(_) => ("application/octet-stream", FOR_EVER),
        };
        assert_eq!(answer.file(content_type, caching), bytes, "{name}");
        let head = asked(kit.address(), "HEAD", &format!("/tlog/{name}"), "");
        assert_eq!((head.status, head.body.len()), (200, 0));
        for header in ["content-length", "content-type", "cache-control"] {
            assert_eq!(head.header(header), answer.header(header), "{name}");
        }
    }

    // Any width of a tile that is there, also where the full one is.
    let full = &files["tile/0/000"];
    for width in [1, 7, 255] {
        let part = got(&kit, &format!("/tlog/tile/0/000.p/{width}"));
        let part = part.file("application/octet-stream", FOR_EVER);
        assert_eq!(part, &full[..32 * width]);
        let part = got(&kit, &format!("/tlog/tile/entries/000.p/{width}"));
        let part = part.file("application/octet-stream", FOR_ITS_READER);
        assert!(files["tile/entries/000"].starts_with(part));
        assert!(part.len() > 100 * width, "entries, and not one of them");
    }

    // The same by gRPC and JSON.
    let request = v1::GetTileRequest { level: 0, tile_index: 0, width: 0 };
    let tile = kit.ledger.get_tile(request).await.unwrap().into_inner().tile;
    assert_eq!(tile, full);
    let answer = got(&kit, "/v1/tiles/0/0?width=7");
    let json: Json = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(json["tile"], STANDARD.encode(&full[..32 * 7]));
    let request = v1::GetEntryBundleRequest { bundle_index: 1, width: 2 };
    let entries = kit.ledger.get_entry_bundle(request).await.unwrap().into_inner().entries;
    for (index, entry) in (256..).zip(&entries) {
        let request = v1::GetEntryRequest { entry_index: index };
        let alone = kit.ledger.get_entry(request).await.unwrap().into_inner().entry.unwrap();
        assert_eq!(alone.entry, entry);
    }
    let answer = got(&kit, "/v1/entryBundles/1?width=2");
    let json: Json = serde_json::from_slice(&answer.body).unwrap();
    let spelled: Vec<String> = entries.iter().map(|entry| STANDARD.encode(entry)).collect();
    assert_eq!(json["entries"], serde_json::json!(spelled));
    kit.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_in_the_tree_is_not_found_and_nobody_keeps_that() {
    let mut kit = ledger().await;
    let size = kit.checkpoint().await.size.0;
    let beyond = format!("/tlog/tile/0/001.p/{}", size - 256 + 1);
    let rows = [
        // Beyond the tree.
        (beyond.as_str(), "NOT_FOUND"),
        ("/tlog/tile/0/001", "NOT_FOUND"),
        ("/tlog/tile/0/002.p/1", "NOT_FOUND"),
        ("/tlog/tile/1/000.p/2", "NOT_FOUND"),
        ("/tlog/tile/1/000", "NOT_FOUND"),
        ("/tlog/tile/2/000.p/1", "NOT_FOUND"),
        ("/tlog/tile/7/000.p/1", "NOT_FOUND"),
        ("/tlog/tile/entries/001", "NOT_FOUND"),
        ("/tlog/tile/entries/x999/999.p/3", "NOT_FOUND"),
        // No path of a tile.
        ("/tlog/", "HTTP_PATH_UNKNOWN"),
        ("/tlog", "HTTP_PATH_UNKNOWN"),
        ("/tlog/checkpoint/", "HTTP_PATH_UNKNOWN"),
        ("/tlog/tile/0/0", "HTTP_PATH_UNKNOWN"),
        ("/tlog/tile/0/000.p/0", "HTTP_PATH_UNKNOWN"),
        ("/tlog/tile/0/000.p/256", "HTTP_PATH_UNKNOWN"),
        ("/tlog/tile/0/000.p/07", "HTTP_PATH_UNKNOWN"),
        ("/tlog/tile/0/x000/000", "HTTP_PATH_UNKNOWN"),
        ("/tlog/tile/8/000.p/1", "HTTP_PATH_UNKNOWN"),
        ("/tlog/tile/0/%30%30%30", "HTTP_PATH_UNKNOWN"),
        ("/tlog/tile/entries/../0/000", "HTTP_PATH_UNKNOWN"),
        ("/tlog/rotation/7", "HTTP_PATH_UNKNOWN"),
    ];
    for (path, reason) in rows {
        assert_eq!(got(&kit, path).refusal(), (404, reason.to_owned()), "{path}");
    }
    let queried = got(&kit, "/tlog/tile/0/000?again=1");
    assert_eq!(queried.refusal(), (400, "REQUEST_INVALID".to_owned()));
    for verb in ["POST", "PUT", "DELETE"] {
        let refused = asked(kit.address(), verb, "/tlog/checkpoint", "Content-Length: 0\r\n");
        assert_eq!(refused.refusal(), (405, "HTTP_METHOD_NOT_ALLOWED".to_owned()));
        assert_eq!(refused.header("allow"), "GET, HEAD, OPTIONS");
    }
    let verbs = asked(kit.address(), "OPTIONS", "/tlog/tile/0/000", "");
    assert_eq!((verbs.status, verbs.header("allow")), (204, "GET, HEAD, OPTIONS"));

    for (level, tile_index, width, code) in [
        (8, 0, 1, Code::InvalidArgument),
        (300, 0, 1, Code::InvalidArgument),
        (0, 0, 257, Code::InvalidArgument),
        (0, 0, u32::MAX, Code::InvalidArgument),
        (0, u64::MAX, 1, Code::NotFound),
        (7, 1, 1, Code::NotFound),
    ] {
        let request = v1::GetTileRequest { level, tile_index, width };
        let refused = kit.ledger.get_tile(request).await.unwrap_err();
        assert_eq!(refused.code(), code, "{level} {tile_index} {width}");
    }
    kit.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hashes_are_everybodys_and_entry_bundles_are_those_of_overseers() {
    let kit = ledger().await;
    // The door that asks writes the tokens of these two.
    drop(kit.asking_door(&[COORD, COLLECTOR]).await);
    let tokens = Some(kit.folder().join("tokens"));
    let settings = DoorSettings { tokens, ..DoorSettings::default() };
    let door = kit.door(settings, Arc::new(SystemClock)).await;
    let as_party = |party| format!("Authorization: {}\r\n", bearer(party));
    for headers in [String::new(), as_party(COLLECTOR), as_party(COORD)] {
        let checkpoint = asked(door.address, "GET", "/tlog/checkpoint", &headers);
        checkpoint.file("text/plain; charset=utf-8", "no-store");
        let tile = asked(door.address, "GET", "/tlog/tile/0/000", &headers);
        assert_eq!(tile.file("application/octet-stream", FOR_EVER).len(), 8_192);
    }
    for name in ["tile/entries/000", "tile/entries/000.p/1", "tile/entries/x999/000"] {
        let path = format!("/tlog/{name}");
        let stranger = asked(door.address, "GET", &path, "");
        assert_eq!(stranger.refusal(), (401, "IDENTITY_MISSING".to_owned()));
        assert_eq!(stranger.header("www-authenticate"), "Bearer");
        let party = asked(door.address, "GET", &path, &as_party(COLLECTOR));
        assert_eq!(party.refusal(), (403, "PERMISSION_DENIED".to_owned()), "whether it is there");
    }
    let bundle = asked(door.address, "GET", "/tlog/tile/entries/000", &as_party(COORD));
    assert!(bundle.file("application/octet-stream", FOR_ITS_READER).len() > 256 * 100);
    door.stop().await;
    kit.stop().await;
}
