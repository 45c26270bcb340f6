//! The doors, over real sockets: TLS and plain text, certificates and tokens, and who is let in.

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
#[path = "common/pki.rs"]
mod pki;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use forge_world::{COLLECTOR, COORD, COPPER, SMELTER, collect, new_lot};
use grpc_kit::{Door, Kit, NEWCOMER, raw, sealed, signed, told};
use pki::{Life, Pair, Pki, put, urn};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Channel, ClientTlsConfig};
use tonic::{Code, Request, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_types::StatusExt as _;
use urbanmine::api::doors::{Bounds, SettingsFault};
use urbanmine::api::identity::{Scope, Scopes};
use urbanmine::api::tokens::{Holder, Token, TokenBook, TokenId, token_text};
use urbanmine::api::{DoorFault, DoorSettings, Doors};
use urbanmine::domain::party::{DatedRole, Party};
use urbanmine::domain::units::Validity;
use urbanmine::domain::vocabulary::PartyRole;
use urbanmine::domain::{Body, LotId, TimeMs};
use urbanmine::ledger::hash::sha256;
use urbanmine::node::{Clock, SystemClock};
use urbanmine::wire::v1;
use urbanmine::wire::v1::ledger_service_client::LedgerServiceClient;
use urbanmine::wire::v1::lot_service_client::LotServiceClient;

/// A clock that a test sets.
struct TestClock(AtomicU64);

impl Clock for TestClock {
    fn now(&self) -> TimeMs {
        TimeMs::of(self.0.load(Ordering::SeqCst))
    }
}

/// Some time at which every token of these tests is good.
const NOON: u64 = 1_800_000_000_000;

fn clock_at(millis: u64) -> Arc<TestClock> {
    Arc::new(TestClock(AtomicU64::new(millis)))
}

/// TLS with the authority's certificates, and tokens.
fn settings(pki: &Pki) -> DoorSettings {
    pki.keep_server(&pki.server());
    DoorSettings {
        tls_cert: Some(pki.path("server.pem")),
        tls_key: Some(pki.path("server-key.pem")),
        client_ca: Some(pki.path("ca.pem")),
        ..DoorSettings::default()
    }
}

/// A file of tokens, and what their holders show.
struct Wallet {
    path: PathBuf,
    book: TokenBook,
}

impl Wallet {
    fn new(pki: &Pki) -> Self {
        let wallet = Self { path: pki.path("tokens.json"), book: TokenBook::default() };
        wallet.keep();
        wallet
    }

    fn keep(&self) {
        put(&self.path, &self.book.to_text().unwrap());
    }

    /// A token that is good for an hour.
    fn token(&mut self, holder: Holder, scopes: &[Scope]) -> String {
        let number = u8::try_from(self.book.tokens().len()).unwrap();
        let (id, secret) = (TokenId([number; 8]), [number ^ 0x5a; 32]);
        let token = Token {
            id,
            secret_sha256: sha256(&secret),
            holder,
            scopes: Scopes::of(scopes),
            created_at: TimeMs::of(NOON),
            expires_at: TimeMs::of(NOON + 3_600_000),
            revoked_at: None,
            note: String::new(),
        };
        self.book.add(token, TimeMs::of(NOON)).unwrap();
        self.keep();
        token_text(id, &secret)
    }

    fn revoke(&mut self, number: u8) {
        assert!(self.book.revoke(TokenId([number; 8]), TimeMs::of(NOON)));
        self.keep();
    }
}

async fn connect(door: &Door, tls: ClientTlsConfig) -> Result<Channel, tonic::transport::Error> {
    let endpoint = Channel::from_shared(format!("https://{}", door.address)).unwrap();
    endpoint.tls_config(tls)?.connect().await
}

fn with_token<T>(message: T, token: &str) -> Request<T> {
    with_header(message, &format!("Bearer {token}"))
}

fn with_header<T>(message: T, header: &str) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().append("authorization", header.parse().unwrap());
    request
}

/// The reason of a refusal, with the code that goes with it.
fn reason<T: std::fmt::Debug>(outcome: Result<T, Status>) -> (Code, String) {
    let refused = told(&outcome.unwrap_err());
    (refused.code, refused.reason)
}

fn get_lot(lot: LotId) -> v1::GetLotRequest {
    v1::GetLotRequest { lot_id: raw(lot.as_bytes()) }
}

/// A connection of TLS that offers some protocols.
async fn tls_to(address: SocketAddr, pki: &Pki, alpn: &[&str]) -> TlsStream<tokio::net::TcpStream> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(pki.ca_pem.as_bytes()).unwrap()).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|it| it.as_bytes().to_vec()).collect();
    let socket = tokio::net::TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, socket).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_port_speaks_grpc_and_json_and_grpc_web_with_both_versions_of_http() {
    let kit = Kit::start().await;
    let pki = Pki::new();
    let door = kit.door(settings(&pki), clock_at(NOON)).await;
    let channel = connect(&door, pki.tls(None)).await.unwrap();
    let mut ledger = LedgerServiceClient::new(channel);
    let size = ledger.get_ledger(v1::GetLedgerRequest {}).await.unwrap().into_inner();
    let size = size.ledger.unwrap().size;

    for (offered, agreed) in
        [(&["h2", "http/1.1"][..], Some("h2")), (&["http/1.1"], Some("http/1.1")), (&[], None)]
    {
        let stream = tls_to(door.address, &pki, offered).await;
        assert_eq!(stream.get_ref().1.alpn_protocol(), agreed.map(str::as_bytes));
    }
    let mut stream = tls_to(door.address, &pki, &["http/1.1"]).await;
    let asked = "GET /v1/ledger HTTP/1.1\r\nhost: ledger.example\r\nconnection: close\r\n\r\n";
    stream.write_all(asked.as_bytes()).await.unwrap();
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.contains(&format!("\"{size}\"")), "{answer}");

    // gRPC-Web: an empty message in, a message and the trailers as a last frame out.
    let mut stream = tls_to(door.address, &pki, &["http/1.1"]).await;
    let head = "POST /urbanmine.v1.LedgerService/GetLedger HTTP/1.1\r\nhost: ledger.example\r\n\
                content-type: application/grpc-web+proto\r\ncontent-length: 5\r\n\
                connection: close\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&[0; 5]).await.unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("grpc-status:0"), "{answer}");
    door.stop().await;
    kit.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_say_which_party_calls() {
    let mut kit = Kit::start().await;
    let lot = kit.copper(COLLECTOR, 1_000).await;
    let pki = Pki::new();
    let door = kit.door(settings(&pki), Arc::new(SystemClock)).await;

    // Nobody: what is public, and nothing else.
    let stranger = connect(&door, pki.tls(None)).await.unwrap();
    let mut ledger = LedgerServiceClient::new(stranger.clone());
    ledger.get_checkpoint(v1::GetCheckpointRequest {}).await.unwrap();
    let refused = LotServiceClient::new(stranger).get_lot(get_lot(lot)).await;
    assert_eq!(reason(refused), (Code::Unauthenticated, "IDENTITY_MISSING".to_owned()));

    for party in [COLLECTOR, COORD] {
        let pair = pki.party(party);
        let channel = connect(&door, pki.tls(Some(&pair))).await.unwrap();
        LotServiceClient::new(channel).get_lot(get_lot(lot)).await.unwrap();
    }
    // Sound certificates that say nothing, or too much, or nearly the right thing.
    let nameless: [Vec<String>; 5] = [
        vec![],
        vec!["https://collector.example/".to_owned()],
        vec![urn(COLLECTOR), urn(SMELTER)],
        vec![urn(COLLECTOR).replace('-', "")],
        vec!["urn:urbanmine:party:01980000-0000-4000-8000-000000000001".to_owned()],
    ];
    for uris in nameless {
        let pair = pki.client(&uris, Life::Now);
        let channel = connect(&door, pki.tls(Some(&pair))).await.unwrap();
        let mut lots = LotServiceClient::new(channel.clone());
        let refused = reason(lots.get_lot(get_lot(lot)).await);
        assert_eq!(refused, (Code::Unauthenticated, "CERTIFICATE_NAMELESS".to_owned()), "{uris:?}");
        assert!(health(channel, None).await.is_ok());
    }
    // Names besides the party's do not matter.
    let pair = pki.client(&["https://erp.example/".to_owned(), urn(COLLECTOR)], Life::Now);
    let channel = connect(&door, pki.tls(Some(&pair))).await.unwrap();
    LotServiceClient::new(channel).get_lot(get_lot(lot)).await.unwrap();
    door.stop().await;
    kit.stop().await;
}

async fn health(channel: Channel, token: Option<&str>) -> Result<(), Status> {
    let mut request = Request::new(HealthCheckRequest::default());
    if let Some(token) = token {
        let header: MetadataValue<Ascii> = token.parse().unwrap();
        request.metadata_mut().insert("authorization", header);
    }
    HealthClient::new(channel).check(request).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_that_do_not_hold_open_no_door() {
    let kit = Kit::start().await;
    let (pki, other) = (Pki::new(), Pki::new());
    let door = kit.door(settings(&pki), Arc::new(SystemClock)).await;
    let unsound: [(&str, Pair); 4] = [
        ("another authority's", other.party(COLLECTOR)),
        ("expired", pki.client(&[urn(COLLECTOR)], Life::Over)),
        ("not valid yet", pki.client(&[urn(COLLECTOR)], Life::NotYet)),
        ("a server's", pki.server()),
    ];
    for (what, pair) in unsound {
        // With TLS 1.3 the client learns with its first answer that it was turned away.
        let called = match connect(&door, pki.tls(Some(&pair))).await {
            Err(_) => continue,
            Ok(channel) => health(channel, None).await,
        };
        assert!(called.is_err(), "a certificate that is {what} was taken");
    }
    // And the client does not talk to a server of another authority.
    assert!(connect(&door, other.tls(None)).await.is_err());
    assert!(connect(&door, pki.tls(Some(&pki.party(COLLECTOR)))).await.is_ok());
    door.stop().await;

    // Where there is nothing but certificates, a handshake without one is in vain.
    let strict = DoorSettings { require_identity: true, ..settings(&pki) };
    let door = kit.door(strict, Arc::new(SystemClock)).await;
    if let Ok(channel) = connect(&door, pki.tls(None)).await {
        assert!(health(channel, None).await.is_err());
    }
    let channel = connect(&door, pki.tls(Some(&pki.party(COLLECTOR)))).await.unwrap();
    health(channel, None).await.unwrap();
    door.stop().await;
    kit.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_say_which_party_calls_and_what_for() {
    let mut kit = Kit::start().await;
    let lot = kit.copper(COLLECTOR, 1_000).await;
    let pki = Pki::new();
    let mut wallet = Wallet::new(&pki);
    let read = wallet.token(Holder::Party(COLLECTOR), &[Scope::Read]);
    let append = wallet.token(Holder::Party(COLLECTOR), &[Scope::Append]);
    let operator = wallet.token(Holder::Operator, &[Scope::Read]);
    let taken_back = wallet.token(Holder::Party(COLLECTOR), &[Scope::Read]);
    wallet.revoke(3);
    let clock = clock_at(NOON);
    let tokens = Some(wallet.path.clone());
    let door = kit.door(DoorSettings { tokens, ..settings(&pki) }, clock.clone()).await;
    let channel = connect(&door, pki.tls(None)).await.unwrap();
    let mut lots = LotServiceClient::new(channel.clone());
    let unauthenticated = |reason: &str| (Code::Unauthenticated, reason.to_owned());
    let missing = (Code::PermissionDenied, "SCOPE_MISSING".to_owned());

    for token in [&read, &operator] {
        lots.get_lot(with_token(get_lot(lot), token)).await.unwrap();
    }
    assert_eq!(reason(lots.get_lot(with_token(get_lot(lot), &append)).await), missing);
    let mut unknown = read.clone();
    unknown.replace_range(80.., "012345");
    let rows = [
        (format!("Bearer {taken_back}"), "TOKEN_REVOKED"),
        (format!("Bearer {unknown}"), "TOKEN_UNKNOWN"),
        (format!("Bearer {}", &read[..40]), "TOKEN_MALFORMED"),
        (format!("Bearer {}", "x".repeat(5_000)), "TOKEN_MALFORMED"),
        (format!("Basic {read}"), "TOKEN_MALFORMED"),
        (read.clone(), "TOKEN_MALFORMED"),
        (String::new(), "TOKEN_MALFORMED"),
    ];
    for (header, expected) in &rows {
        let refused = lots.get_lot(with_header(get_lot(lot), header)).await;
        assert_eq!(reason(refused), unauthenticated(expected), "{header:.40}");
        // What is public is refused as well, so that nobody goes on with a token that is no good;
        // health answers whatever is sent along.
        let mut ledger = LedgerServiceClient::new(channel.clone());
        let refused = ledger.get_ledger(with_header(v1::GetLedgerRequest {}, header)).await;
        assert_eq!(reason(refused), unauthenticated(expected));
        health(channel.clone(), Some(header)).await.unwrap();
    }
    let mut twice = with_token(get_lot(lot), &read);
    twice.metadata_mut().append("authorization", format!("Bearer {read}").parse().unwrap());
    assert_eq!(reason(lots.get_lot(twice).await), unauthenticated("TOKEN_MALFORMED"));

    // To the millisecond.
    let ends = NOON + 3_600_000;
    clock.0.store(ends - 1, Ordering::SeqCst);
    lots.get_lot(with_token(get_lot(lot), &read)).await.unwrap();
    clock.0.store(ends, Ordering::SeqCst);
    let refused = lots.get_lot(with_token(get_lot(lot), &read)).await;
    let refused = told(&refused.unwrap_err());
    assert_eq!((refused.code, refused.reason.as_str()), (Code::Unauthenticated, "TOKEN_EXPIRED"));
    assert_eq!(refused.metadata["expired_at"], ends.to_string());
    door.stop().await;
    kit.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_and_a_token_have_to_be_the_same_partys() {
    let mut kit = Kit::start().await;
    let lot = kit.copper(COLLECTOR, 1_000).await;
    let pki = Pki::new();
    let mut wallet = Wallet::new(&pki);
    let own = wallet.token(Holder::Party(COLLECTOR), &[Scope::Read]);
    let others = wallet.token(Holder::Party(SMELTER), &[Scope::Read]);
    let operators = wallet.token(Holder::Operator, &[Scope::Read]);
    let tokens = Some(wallet.path.clone());
    let door = kit.door(DoorSettings { tokens, ..settings(&pki) }, clock_at(NOON)).await;

    let channel = connect(&door, pki.tls(Some(&pki.party(COLLECTOR)))).await.unwrap();
    let mut lots = LotServiceClient::new(channel.clone());
    lots.get_lot(get_lot(lot)).await.unwrap();
    lots.get_lot(with_token(get_lot(lot), &own)).await.unwrap();
    for token in [&others, &operators] {
        let refused = reason(lots.get_lot(with_token(get_lot(lot), token)).await);
        assert_eq!(refused, (Code::Unauthenticated, "IDENTITIES_DIFFER".to_owned()));
    }
    // The narrower of the two counts: this token reads, and the certificate alone may append.
    let new = kit.lot();
    let event = kit.event(COLLECTOR, collect(new_lot(new, COPPER, 1_000)));
    let request = v1::AppendEventRequest { envelope: signed(&event), validate_only: true };
    let mut ledger = LedgerServiceClient::new(channel);
    let refused = ledger.append_event(with_token(request.clone(), &own)).await;
    assert_eq!(reason(refused), (Code::PermissionDenied, "SCOPE_MISSING".to_owned()));
    ledger.append_event(request).await.unwrap();

    // A certificate that names nobody leaves it to the token.
    let pair = pki.client(&[], Life::Now);
    let channel = connect(&door, pki.tls(Some(&pair))).await.unwrap();
    LotServiceClient::new(channel).get_lot(with_token(get_lot(lot), &own)).await.unwrap();
    door.stop().await;
    kit.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_hands_an_event_in_is_not_who_signs_it() {
    let mut kit = Kit::start().await;
    let pki = Pki::new();
    let mut wallet = Wallet::new(&pki);
    let smelters = wallet.token(Holder::Party(SMELTER), &[Scope::Read, Scope::Append]);
    let operators = wallet.token(Holder::Operator, &[Scope::Append]);
    let tokens = Some(wallet.path.clone());
    let door = kit.door(DoorSettings { tokens, ..settings(&pki) }, clock_at(NOON)).await;
    let channel = connect(&door, pki.tls(None)).await.unwrap();
    let mut ledger = LedgerServiceClient::new(channel);
    for token in [&smelters, &operators] {
        let lot = kit.lot();
        let event = kit.event(COLLECTOR, collect(new_lot(lot, COPPER, 1_000)));
        let payload = forge::payload(&event).to_vec();
        // The smelter calls and signs, and so does the coordinator: it is not the collector's word.
        for seed in [forge::seed_of(SMELTER), forge::seed_of(COORD)] {
            let envelope = sealed(payload.clone(), &[seed]);
            let request = v1::AppendEventRequest { envelope, validate_only: false };
            let refused = ledger.append_event(with_token(request, token)).await;
            let (code, reason) = reason(refused);
            assert_eq!(code, Code::FailedPrecondition);
            // To the smelter the collector is a stranger, and is told as one that never was.
            let is_told = if token == &smelters { "ACTOR_UNKNOWN" } else { "SIGNER_" };
            assert!(reason.starts_with(is_told), "{reason}");
        }
        // The collector signed it, and somebody else brings it: recorded.
        let request = v1::AppendEventRequest { envelope: signed(&event), validate_only: false };
        let reply = ledger.append_event(with_token(request, token)).await.unwrap().into_inner();
        assert!(!reply.appended.unwrap().was_recorded_before);
    }
    door.stop().await;
    kit.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn roles_of_callers_are_there_from_their_first_millisecond_to_before_their_last() {
    let mut kit = Kit::start().await;
    let pki = Pki::new();
    let mut wallet = Wallet::new(&pki);
    let token = wallet.token(Holder::Party(NEWCOMER), &[Scope::Read]);
    let tokens = Some(wallet.path.clone());
    let clock = clock_at(NOON);
    let door = kit.door(DoorSettings { tokens, ..settings(&pki) }, clock.clone()).await;
    let lot = kit.copper(COLLECTOR, 1_000).await;
    let channel = connect(&door, pki.tls(None)).await.unwrap();
    let mut lots = LotServiceClient::new(channel);
    let mut sees = async |at: u64| {
        clock.0.store(at, Ordering::SeqCst);
        match lots.get_lot(with_token(get_lot(lot), &token)).await {
            Ok(_) => true,
            Err(refused) => {
                assert_eq!(told(&refused).reason, "NOT_FOUND");
                false
            }
        }
    };
    // Nobody has registered it, and it may call: it sees nothing that is others'.
    assert!(!sees(NOON).await);
    let (from, to) = (NOON + 1_000, NOON + 2_000);
    let validity = Validity { from: TimeMs::of(from), to: Some(TimeMs::of(to)) };
    let auditor = DatedRole { role: PartyRole::Auditor, validity };
    let record = Party { roles: vec![auditor], ..forge::party_record(NEWCOMER, &[]) };
    kit.say(COORD, Body::RegisterParty(record)).await;
    for (at, expected) in
        [(from - 1, false), (from, true), (to - 1, true), (to, false), (from, true)]
    {
        assert_eq!(sees(at).await, expected, "{}", at - NOON);
    }
    door.stop().await;
    kit.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_and_tokens_are_read_anew_while_connections_stay_open() {
    let mut kit = Kit::start().await;
    let lot = kit.copper(COLLECTOR, 1_000).await;
    let pki = Pki::new();
    let mut wallet = Wallet::new(&pki);
    let first = wallet.token(Holder::Party(COLLECTOR), &[Scope::Read]);
    let tokens = Some(wallet.path.clone());
    let bounds = Bounds { keys_poll_ms: 50, ..Bounds::default() };
    let all = DoorSettings { tokens, bounds, ..settings(&pki) };
    let door = kit.door(all, clock_at(NOON)).await;
    let channel = connect(&door, pki.tls(None)).await.unwrap();
    let mut lots = LotServiceClient::new(channel);
    lots.get_lot(with_token(get_lot(lot), &first)).await.unwrap();

    // A new token is taken, a file that is broken changes nothing, and one is taken back: all on
    // the same connection, by the poll alone.
    let second = wallet.token(Holder::Party(COLLECTOR), &[Scope::Read]);
    let mut asked = async |token: &str| {
        lots.get_lot(with_token(get_lot(lot), token)).await.map(drop).map_err(|it| told(&it).reason)
    };
    until(async || asked(&second).await.is_ok()).await;
    put(&wallet.path, "{ not a book");
    tokio::time::sleep(Duration::from_millis(200)).await;
    asked(&first).await.unwrap();
    wallet.revoke(0);
    until(async || asked(&first).await == Err("TOKEN_REVOKED".to_owned())).await;
    asked(&second).await.unwrap();

    // The server's certificate: half of a new pair keeps the old one.
    let seen = async || {
        let stream = tls_to(door.address, &pki, &["h2"]).await;
        stream.get_ref().1.peer_certificates().unwrap()[0].to_vec()
    };
    let before = seen().await;
    let next = pki.server();
    put(&pki.path("server.pem"), &next.cert);
    door.read_anew.now();
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(seen().await, before);
    put(&pki.path("server-key.pem"), &next.key);
    let expected = CertificateDer::from_pem_slice(next.cert.as_bytes()).unwrap().to_vec();
    until(async || seen().await == expected).await;
    asked(&second).await.unwrap();

    // Another authority for clients: theirs are refused from now on.
    let other = Pki::new();
    put(&pki.path("ca.pem"), &other.ca_pem);
    door.read_anew.now();
    let (old, new) = (pki.party(COLLECTOR), other.party(COLLECTOR));
    let is_taken = async |pair: &Pair| match connect(&door, pki.tls(Some(pair))).await {
        Ok(channel) => health(channel, None).await.is_ok(),
        Err(_) => false,
    };
    until(async || is_taken(&new).await).await;
    assert!(!is_taken(&old).await);
    asked(&second).await.unwrap();
    door.stop().await;
    kit.stop().await;
}

/// Waits until something is so; a few seconds at most.
async fn until(mut is_so: impl AsyncFnMut() -> bool) {
    for _ in 0..100 {
        if is_so().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    panic!("it never came to be so");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_to_identify_itself_gets_health_and_nothing_else_without() {
    let mut kit = Kit::start().await;
    let lot = kit.copper(COLLECTOR, 1_000).await;
    let pki = Pki::new();
    let mut wallet = Wallet::new(&pki);
    let token = wallet.token(Holder::Party(COLLECTOR), &[Scope::Read]);
    // In plain text on this machine: tokens are asked for here as well.
    let tokens = Some(wallet.path.clone());
    let plain = DoorSettings { tokens, require_identity: true, ..DoorSettings::default() };
    let door = kit.door(plain, clock_at(NOON)).await;
    let channel = Channel::from_shared(format!("http://{}", door.address)).unwrap();
    let channel = channel.connect().await.unwrap();
    let mut ledger = LedgerServiceClient::new(channel.clone());
    let refused = ledger.get_ledger(v1::GetLedgerRequest {}).await;
    assert_eq!(reason(refused), (Code::Unauthenticated, "IDENTITY_MISSING".to_owned()));
    ledger.get_ledger(with_token(v1::GetLedgerRequest {}, &token)).await.unwrap();
    health(channel.clone(), None).await.unwrap();
    let mut lots = LotServiceClient::new(channel);
    lots.get_lot(with_token(get_lot(lot), &token)).await.unwrap();
    door.stop().await;
    kit.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn plain_text_leaves_the_machine_only_when_told_so_by_name() {
    let everywhere: SocketAddr = "0.0.0.0:0".parse().unwrap();
    let listen = async |settings: DoorSettings| Doors::open(settings)?.listen(everywhere).await;
    let refused = listen(DoorSettings::default()).await.unwrap_err();
    assert!(matches!(refused, DoorFault::PlainTextBeyondLoopback { .. }), "{refused}");
    let told = DoorSettings { plaintext_beyond_loopback: true, ..DoorSettings::default() };
    let listener = listen(told).await.unwrap();
    // Others reach it, so whoever sits here is not its operator by that alone.
    assert!(!listener.trusts_this_machine());
    assert_eq!(listener.scheme(), "http");
    let pki = Pki::new();
    let listener = listen(settings(&pki)).await.unwrap();
    assert_eq!(listener.scheme(), "https");

    let half = DoorSettings { tls_key: None, ..settings(&pki) };
    let fault = Doors::open(half).unwrap_err();
    assert!(matches!(fault, DoorFault::Settings(SettingsFault::HalfOfAPair)));
    let missing = DoorSettings { tls_key: Some(pki.path("nowhere.pem")), ..settings(&pki) };
    assert!(matches!(Doors::open(missing).unwrap_err(), DoorFault::Keys(_)));
    let swapped = settings(&pki);
    put(&pki.path("server-key.pem"), &pki.server().key);
    assert!(matches!(Doors::open(swapped).unwrap_err(), DoorFault::Keys(_)), "no pair");
}

#[tokio::test(flavor = "multi_thread")]
async fn nonsense_before_tls_stops_nobody() {
    let kit = Kit::start().await;
    let pki = Pki::new();
    let bounds = Bounds { handshake_ms: 300, ..Bounds::default() };
    let door = kit.door(DoorSettings { bounds, ..settings(&pki) }, clock_at(NOON)).await;
    let nonsense: [&[u8]; 5] = [
        b"GET / HTTP/1.1\r\nhost: x\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        &[0xff; 4_096],
        // A record that says it has 16 KiB, and has none of them.
        &[22, 3, 1, 0x40, 0],
        b"",
    ];
    let mut open = Vec::new();
    for bytes in nonsense.into_iter().cycle().take(40) {
        let mut stream = TcpStream::connect(door.address).unwrap();
        let _ = stream.write_all(bytes);
        open.push(stream);
    }
    let channel = connect(&door, pki.tls(None)).await.unwrap();
    health(channel, None).await.unwrap();
    // Those that never finish are hung up on, in time.
    let hung_up = tokio::task::spawn_blocking(move || {
        for mut stream in open {
            stream.set_read_timeout(Some(Duration::from_secs(3))).unwrap();
            let mut rest = Vec::new();
            if let Err(fault) = stream.read_to_end(&mut rest) {
                assert_ne!(fault.kind(), std::io::ErrorKind::WouldBlock, "still open");
            }
        }
    });
    hung_up.await.unwrap();
    door.stop().await;
    kit.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_calls_too_often_is_told_when_to_come_back_and_others_notice_nothing() {
    let mut kit = Kit::start().await;
    let lot = kit.copper(COLLECTOR, 1_000).await;
    let pki = Pki::new();
    let mut wallet = Wallet::new(&pki);
    let busy = wallet.token(Holder::Party(SMELTER), &[Scope::Read]);
    let quiet = wallet.token(Holder::Party(COLLECTOR), &[Scope::Read]);
    let tokens = Some(wallet.path.clone());
    let rate = |n| std::num::NonZeroU32::new(n).unwrap();
    let bounds = Bounds {
        calls_per_second: rate(20),
        stranger_calls_per_second: rate(5),
        ..Bounds::default()
    };
    let all = DoorSettings { tokens, bounds, ..settings(&pki) };
    let door = kit.door(all, clock_at(NOON)).await;
    let channel = connect(&door, pki.tls(None)).await.unwrap();
    let mut lots = LotServiceClient::new(channel.clone());
    let mut limited = None;
    for _ in 0..200 {
        let outcome = lots.get_lot(with_token(get_lot(lot), &busy)).await;
        if let Err(status) = outcome
            && status.code() == Code::ResourceExhausted
        {
            limited = Some(status);
            break;
        }
    }
    let limited = limited.unwrap();
    assert_eq!(told(&limited).reason, "RATE_LIMITED");
    let wait = limited.get_error_details().retry_info().unwrap().retry_delay.unwrap();
    assert!(wait > Duration::ZERO && wait < Duration::from_secs(1), "{wait:?}");
    assert_eq!(told(&limited).metadata["wait_ms"], wait.as_millis().to_string());
    lots.get_lot(with_token(get_lot(lot), &quiet)).await.unwrap();
    tokio::time::sleep(wait).await;
    let again = lots.get_lot(with_token(get_lot(lot), &busy)).await;
    assert!(again.is_ok() || told(&again.unwrap_err()).reason == "NOT_FOUND");

    // Whoever tries tokens out is slowed down by its address.
    let guess = token_text(TokenId([9; 8]), &[9; 32]);
    let mut reasons = Vec::new();
    for _ in 0..50 {
        let refused = lots.get_lot(with_token(get_lot(lot), &guess)).await;
        reasons.push(reason(refused).1);
    }
    assert!(reasons.contains(&"TOKEN_UNKNOWN".to_owned()), "{reasons:?}");
    assert!(reasons.contains(&"RATE_LIMITED".to_owned()), "{reasons:?}");
    lots.get_lot(with_token(get_lot(lot), &quiet)).await.unwrap();
    door.stop().await;
    kit.stop().await;
}
