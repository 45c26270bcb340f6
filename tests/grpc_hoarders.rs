//! Callers that hoard: they make the service hold what they never take, and keep places that they
//! never use. Memory stays bounded, and somebody honest is served throughout.

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
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use forge_world::{COLLECTOR, COORD, COPPER, SMELTER, new_lot};
use grpc_kit::{Door, Kit, signed};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message as _;
use tempfile::TempDir;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::task::JoinHandle;
use tonic::Request;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::Channel;
use urbanmine::api::DoorSettings;
use urbanmine::api::doors::Bounds;
use urbanmine::api::identity::Scopes;
use urbanmine::api::tokens::{Holder, Token, TokenBook, TokenId, token_text};
use urbanmine::domain::event::OpeningInventory;
use urbanmine::domain::{Body, TimeMs};
use urbanmine::ledger::hash::sha256;
use urbanmine::limits::{CALLER_REPLY_BYTES, MAX_CALLS_PER_ADDRESS, MAX_OUTPUTS};
use urbanmine::node::SystemClock;
use urbanmine::wire::v1;
use urbanmine::wire::v1::ledger_service_client::LedgerServiceClient;

/// Memory is the process's, so one test runs at a time.
static TURN: Semaphore = Semaphore::const_new(1);

async fn turn() -> SemaphorePermit<'static> {
    TURN.acquire().await.unwrap()
}

/// Pages of memory that this process has, in bytes.
fn resident_bytes() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = text.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4_096
}

/// Plain text with tokens: one for somebody honest, one for a hoarder.
async fn asked_who(kit: &Kit, bounds: Bounds) -> (Door, TempDir, [String; 2]) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokens.json");
    let mut book = TokenBook::default();
    let holders = [(1, COLLECTOR), (2, SMELTER)];
    let texts = holders.map(|(number, party)| {
        let (id, secret) = (TokenId([number; 8]), [number; 32]);
        let token = Token {
            id,
            secret_sha256: sha256(&secret),
            holder: Holder::Party(party),
            scopes: Scopes::ALL,
            created_at: TimeMs::of(0),
            expires_at: TimeMs::MAX,
            revoked_at: None,
            note: String::new(),
        };
        book.add(token, TimeMs::of(0)).unwrap();
        token_text(id, &secret)
    });
    std::fs::write(&path, book.to_text().unwrap()).unwrap();
    let settings = DoorSettings { tokens: Some(path), bounds, ..DoorSettings::default() };
    (kit.door(settings, Arc::new(SystemClock)).await, folder, texts)
}

/// Somebody honest, who calls all the time until told to stop; the longest that it waited.
struct Honest {
    stop: Arc<AtomicBool>,
    calling: JoinHandle<Duration>,
}

impl Honest {
    async fn begin(address: SocketAddr, token: &str) -> Self {
        let channel = Channel::from_shared(format!("http://{address}")).unwrap();
        let mut client = LedgerServiceClient::new(channel.connect().await.unwrap());
        let header: MetadataValue<Ascii> = format!("Bearer {token}").parse().unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let ask = move || {
            let mut request = Request::new(v1::GetCheckpointRequest {});
            request.metadata_mut().insert("authorization", header.clone());
            request.set_timeout(Duration::from_secs(5));
            request
        };
        client.get_checkpoint(ask()).await.unwrap();
        let until = Arc::clone(&stop);
        let calling = tokio::spawn(async move {
            let mut longest = Duration::ZERO;
            while !until.load(Ordering::SeqCst) {
                let began = Instant::now();
                let mut answer = client.get_checkpoint(ask()).await;
                // A connection that ends of age may take along a call that begins just then.
                let is_gone = |it: &tonic::Status| it.code() == tonic::Code::Cancelled;
                if answer.as_ref().is_err_and(is_gone) {
                    answer = client.get_checkpoint(ask()).await;
                }
                answer.unwrap();
                longest = longest.max(began.elapsed());
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            longest
        });
        Self { stop, calling }
    }

    /// It was answered throughout.
    async fn end(self) {
        self.stop.store(true, Ordering::SeqCst);
        let longest = self.calling.await.unwrap();
        assert!(longest < Duration::from_secs(3), "the honest caller waited {longest:?}");
    }
}

/// A connection of HTTP/2 whose client says how much it takes.
async fn http2(address: SocketAddr, window: u32) -> SendRequest<Full<Bytes>> {
    let socket = tokio::net::TcpStream::connect(address).await.unwrap();
    let mut builder = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
    builder.initial_stream_window_size(window).initial_connection_window_size(window);
    let (sender, connection) = builder.handshake(TokioIo::new(socket)).await.unwrap();
    tokio::spawn(async move {
        let _ = connection.await;
    });
    sender
}

/// A call as bytes of HTTP/2.
fn grpc(
    address: SocketAddr,
    call: &str,
    token: &str,
    message: &[u8],
) -> http::Request<Full<Bytes>> {
    let mut body = vec![0];
    body.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
    body.extend(message);
    http::Request::post(format!("http://{address}/urbanmine.v1.{call}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("authorization", format!("Bearer {token}"))
        .body(Full::from(body))
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_never_reads_makes_the_service_hold_a_share_and_no_more() {
    let _turn = turn().await;
    let mut kit = Kit::start().await;
    // Somebody's own entries: a page of them has more than a megabyte.
    for _ in 0..5 {
        let mut batch = Vec::new();
        for _ in 0..64 {
            let lots = (0..MAX_OUTPUTS).map(|_| new_lot(kit.lot(), COPPER, 1_000)).collect();
            let body = Body::OpeningInventory(OpeningInventory { party: SMELTER, lots });
            batch.push(signed(&kit.event(COORD, body)));
        }
        kit.send(batch).await.unwrap();
    }
    let per_second = std::num::NonZeroU32::new(100_000).unwrap();
    let bounds = Bounds { stall_ms: 1_500, calls_per_second: per_second, ..Bounds::default() };
    let (door, _folder, [honest, hoarder]) = asked_who(&kit, bounds).await;
    let honest = Honest::begin(door.address, &honest).await;

    let request = v1::ListEntriesRequest { page_size: 1_000, ..v1::ListEntriesRequest::default() };
    let message = request.encode_to_vec();
    let whole = grpc(door.address, "LedgerService/ListEntries", &hoarder, &message);
    let reply = http2(door.address, 8 << 20).await.send_request(whole).await.unwrap();
    let page_bytes = reply.into_body().collect().await.unwrap().to_bytes().len();
    assert!(page_bytes > 1 << 20, "{page_bytes}");

    let before = resident_bytes();
    let (connections, calls) = (6, 60);
    let mut held = Vec::new();
    for _ in 0..connections {
        let mut sender = http2(door.address, 1_024).await;
        for _ in 0..calls {
            let call = grpc(door.address, "LedgerService/ListEntries", &hoarder, &message);
            let reply = sender.send_request(call);
            // The head of the answer is taken, its body never is.
            held.push(tokio::spawn(async move {
                let Ok(reply) = reply.await else { return };
                let _body = reply.into_body();
                std::future::pending::<()>().await;
            }));
        }
    }
    let mut most = before;
    for _ in 0..40 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        most = most.max(resident_bytes());
    }
    let asked = u64::try_from(page_bytes * connections * calls).unwrap();
    let grown = most.saturating_sub(before);
    // What one caller may have waiting, the replies that are being made, and what the allocator and
    // the tests beside this one keep.
    let bound = u64::try_from(CALLER_REPLY_BYTES).unwrap() + (96 << 20);
    eprintln!("grown by {grown} bytes, asked for {asked}");
    assert!(asked > 2 * bound, "{asked} bytes are no hoard");
    assert!(grown < bound, "{grown} bytes for one caller, of {asked} that it asked for");

    // All of its connections were cut, and it may come again.
    held.iter().for_each(JoinHandle::abort);
    let again = grpc(door.address, "LedgerService/ListEntries", &hoarder, &message);
    let reply = http2(door.address, 8 << 20).await.send_request(again);
    let reply = tokio::time::timeout(Duration::from_secs(10), reply).await.unwrap().unwrap();
    assert_eq!(reply.into_body().collect().await.unwrap().to_bytes().len(), page_bytes);
    honest.end().await;
    door.stop().await;
    kit.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_idle_connections_keep_nobody_out() {
    let _turn = turn().await;
    let kit = Kit::start().await;
    let bounds = Bounds { first_call_ms: 1_000, ..Bounds::default() };
    let (door, _folder, [honest, newcomer]) = asked_who(&kit, bounds).await;
    let honest = Honest::begin(door.address, &honest).await;
    let before = resident_bytes();
    let mut idle = std::collections::VecDeque::new();
    for number in 0..1_000 {
        let mut stream = TcpStream::connect(door.address).unwrap();
        if number % 2 == 0 {
            // Half of them begin to speak.
            let _ = stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0");
        }
        idle.push_back(stream);
        // Handles are few on some machines.
        if idle.len() > 600 {
            idle.pop_front();
        }
        if number % 100 == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    let late = Honest::begin(door.address, &newcomer).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let grown = resident_bytes().saturating_sub(before);
    assert!(grown < 64 << 20, "{grown} bytes for connections that say nothing");
    late.end().await;
    honest.end().await;
    // None of them called, so all of them are hung up on.
    tokio::time::sleep(Duration::from_millis(1_300)).await;
    let ended = tokio::task::spawn_blocking(move || {
        for mut stream in idle {
            stream.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
            let mut rest = Vec::new();
            if let Err(fault) = stream.read_to_end(&mut rest) {
                assert_ne!(fault.kind(), std::io::ErrorKind::WouldBlock, "still open");
            }
        }
    });
    ended.await.unwrap();
    door.stop().await;
    kit.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_that_are_too_long_or_too_many_are_refused() {
    let _turn = turn().await;
    let kit = Kit::start().await;
    let (door, _folder, [honest, other]) = asked_who(&kit, Bounds::default()).await;
    let honest = Honest::begin(door.address, &honest).await;
    let asked = |headers: usize, bytes: usize| {
        let mut request = grpc(door.address, "LedgerService/GetLedger", &other, &[]);
        for number in 0..headers {
            let name: http::HeaderName = format!("x-{number}").parse().unwrap();
            request.headers_mut().insert(name, "v".repeat(bytes).parse().unwrap());
        }
        request
    };
    let mut sender = http2(door.address, 1 << 16).await;
    let sound = sender.send_request(asked(40, 100)).await.unwrap();
    assert_eq!(sound.status(), 200);
    for (headers, bytes) in [(1, 20_000), (100, 10), (70, 200), (1_000, 10)] {
        // Refused on its own, or with its connection: never taken.
        let mut sender = http2(door.address, 1 << 16).await;
        if let Ok(refused) = sender.send_request(asked(headers, bytes)).await {
            assert_eq!(refused.status(), 431, "{headers} of {bytes}");
        }
    }
    // A flood of them in a row, and the same with HTTP/1.1.
    for _ in 0..200 {
        let _ = sender.send_request(asked(100, 100)).await;
    }
    for head in [
        format!("GET /v1/ledger HTTP/1.1\r\nhost: x\r\nx-a: {}\r\n\r\n", "v".repeat(40_000)),
        format!("GET /v1/ledger HTTP/1.1\r\nhost: x\r\n{}\r\n", "x-a: b\r\n".repeat(100)),
        format!("GET /{} HTTP/1.1\r\nhost: x\r\n\r\n", "v".repeat(40_000)),
    ] {
        let mut stream = TcpStream::connect(door.address).unwrap();
        let _ = stream.write_all(head.as_bytes());
        let answer = tokio::task::spawn_blocking(move || {
            stream.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
            let mut answer = Vec::new();
            let _ = stream.read_to_end(&mut answer);
            String::from_utf8_lossy(&answer).into_owned()
        });
        let answer = answer.await.unwrap();
        assert!(!answer.starts_with("HTTP/1.1 200"), "{answer:.100}");
    }
    honest.end().await;
    door.stop().await;
    kit.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_writes_a_byte_at_a_time_is_cut_off() {
    let _turn = turn().await;
    let kit = Kit::start().await;
    let bounds = Bounds { first_call_ms: 400, ..Bounds::default() };
    let (door, _folder, [honest, slow]) = asked_who(&kit, bounds).await;
    let honest = Honest::begin(door.address, &honest).await;
    let address = door.address;
    let drip = |head: String, drop_at_once: Vec<u8>| {
        tokio::task::spawn_blocking(move || {
            let mut stream = TcpStream::connect(address).unwrap();
            stream.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
            stream.write_all(&drop_at_once).unwrap();
            let began = Instant::now();
            for byte in head.bytes().cycle() {
                let mut answer = [0; 4_096];
                let is_over = match stream.write_all(&[byte]) {
                    Err(_) => true,
                    // An answer is one too: it told the caller that its time is over.
                    Ok(()) => !matches!(
                        stream.read(&mut answer),
                        Err(fault) if fault.kind() == std::io::ErrorKind::WouldBlock
                    ),
                };
                if is_over {
                    return began.elapsed();
                }
                assert!(began.elapsed() < Duration::from_secs(5), "still taken");
            }
            unreachable!()
        })
    };
    let body = format!(
        "POST /v1/events HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {slow}\r\n\
         content-type: application/json\r\nx-server-timeout: 1\r\ncontent-length: 100000\r\n\r\n"
    );
    let rows = [
        // A head that never ends, a preface that never ends, and a body.
        ("GET /v1/ledger HTTP/1.1\r\nx-aaaaaaaa: bbbbbbbb".to_owned(), Vec::new()),
        ("PRI * HTTP/2.0\r\n".to_owned(), Vec::new()),
        (" ".to_owned(), body.into_bytes()),
    ];
    let drips: Vec<_> = rows.into_iter().map(|(head, first)| drip(head, first)).collect();
    for drip in drips {
        let took = drip.await.unwrap();
        assert!(took < Duration::from_secs(3), "{took:?}");
    }
    honest.end().await;
    door.stop().await;
    kit.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn floods_of_calls_that_nobody_has_are_told_so_and_stop_nobody() {
    let _turn = turn().await;
    let kit = Kit::start().await;
    let (door, _folder, [honest, other]) = asked_who(&kit, Bounds::default()).await;
    let honest = Honest::begin(door.address, &honest).await;
    let sender = http2(door.address, 1 << 16).await;
    let calls: Vec<_> = (0..1_000)
        .map(|number| {
            let mut sender = sender.clone();
            let call = grpc(door.address, &format!("LotService/Melt{number}"), &other, &[1; 50]);
            tokio::spawn(async move { sender.send_request(call).await })
        })
        .collect();
    for call in calls {
        // Some are refused with their stream, when too many were begun and dropped.
        if let Ok(refused) = call.await.unwrap() {
            assert_eq!(refused.headers()["grpc-status"], "12");
        }
    }
    honest.end().await;
    door.stop().await;
    kit.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_connection_is_asked_to_end_and_its_caller_comes_back() {
    let _turn = turn().await;
    let kit = Kit::start().await;
    let bounds = Bounds { age_ms: 300, grace_ms: 2_000, idle_ms: 150, ..Bounds::default() };
    let (door, _folder, [honest, _]) = asked_who(&kit, bounds).await;
    // Over several lives of its connection, no call is lost.
    let honest = Honest::begin(door.address, &honest).await;
    let mut idle = TcpStream::connect(door.address).unwrap();
    idle.write_all(b"GET /v1/ledger HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n").unwrap();
    let closed = tokio::task::spawn_blocking(move || {
        idle.set_read_timeout(Some(Duration::from_secs(3))).unwrap();
        let mut answer = Vec::new();
        idle.read_to_end(&mut answer).unwrap();
        assert!(answer.starts_with(b"HTTP/1.1 200"));
    });
    closed.await.unwrap();
    tokio::time::sleep(Duration::from_millis(800)).await;
    honest.end().await;
    door.stop().await;
    kit.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_callers_fill_their_own_places_and_nobody_elses() {
    let _turn = turn().await;
    let kit = Kit::start().await;
    let (door, _folder, [honest, _]) = asked_who(&kit, Bounds::default()).await;
    let honest = Honest::begin(door.address, &honest).await;
    // Calls that nobody has to be known for, whose message never comes.
    let head = "POST /urbanmine.v1.LedgerService/GetLedger HTTP/1.1\r\nhost: 127.0.0.1\r\n\
                content-type: application/grpc-web+proto\r\ncontent-length: 5\r\n\r\n";
    let more = 8;
    let mut waiting = Vec::new();
    for _ in 0..MAX_CALLS_PER_ADDRESS + more {
        let mut stream = TcpStream::connect(door.address).unwrap();
        stream.write_all(head.as_bytes()).unwrap();
        stream.set_read_timeout(Some(Duration::from_millis(10))).unwrap();
        waiting.push(stream);
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    let mut refused = 0;
    for stream in &mut waiting {
        let mut answer = [0; 8_192];
        if let Ok(count) = stream.read(&mut answer) {
            // RESOURCE_EXHAUSTED
            assert!(String::from_utf8_lossy(&answer[..count]).contains("grpc-status: 8"));
            refused += 1;
        }
    }
    assert_eq!(refused, more);
    drop(waiting);
    honest.end().await;
    door.stop().await;
    kit.stop().await;
}
