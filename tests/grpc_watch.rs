//! Watching the ledger over real gRPC: nothing lost and nothing twice, whoever writes meanwhile;
//! cut and resumed; filtered like a naive scan; bounded.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop")]

#[allow(dead_code, reason = "other tests use the rest")]
#[path = "common/forge.rs"]
mod forge;
#[allow(dead_code, reason = "other tests use the rest")]
#[path = "common/forge_world.rs"]
mod forge_world;
#[allow(dead_code, reason = "other tests use the rest")]
#[path = "common/grpc_kit.rs"]
mod grpc_kit;

use std::time::{Duration, Instant};

use bytes::Bytes;
use forge_world::{COLLECTOR, COORD, PARTIES, SMELTER, collect, copper, draw, new_lot, split};
use grpc_kit::{Kit, ledger_key, origin, raw, signed, told};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::TestRunner;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status, Streaming};
use urbanmine::api::doors::Bounds;
use urbanmine::api::identity::Scopes;
use urbanmine::api::tokens::{Holder, Token, TokenBook, TokenId, token_text};
use urbanmine::api::{self, DoorSettings, Doors};
use urbanmine::domain::event::PublishTables;
use urbanmine::domain::vocabulary::EventKind;
use urbanmine::domain::{Body, EntryIndex, Event, Hash32, LotId, PartyId, TimeMs};
use urbanmine::ledger::hash::sha256;
use urbanmine::ledger::{Entry, Envelope, SignedCheckpoint};
use urbanmine::limits::{MAX_TABLE_CHUNK_BYTES, MAX_WATCH_STALL_SECONDS, MAX_WATCHES_PER_CALLER};
use urbanmine::node::{EntryFilter, Reader};
use urbanmine::wire::decode_event;
use urbanmine::wire::v1;
use urbanmine::wire::v1::ledger_service_client::LedgerServiceClient;
use urbanmine::wire::v1::watch_entries_response::Message;

const PATIENCE: Duration = Duration::from_secs(60);

fn from(index: u64) -> v1::WatchEntriesRequest {
    v1::WatchEntriesRequest {
        from_entry_index: index,
        heartbeat_seconds: 1,
        ..v1::WatchEntriesRequest::default()
    }
}

type Client = LedgerServiceClient<Channel>;
type Stream = Streaming<v1::WatchEntriesResponse>;

async fn begin(client: &Client, request: v1::WatchEntriesRequest) -> Stream {
    client.clone().watch_entries(request).await.unwrap().into_inner()
}

async fn next(stream: &mut Stream) -> Result<Message, Status> {
    let message = timeout(PATIENCE, stream.message()).await.unwrap()?;
    // A watch ends with an error, never just so.
    Ok(message.unwrap().message.unwrap())
}

/// Entries, until everything before a place was looked at.
async fn entries_to(stream: &mut Stream, end: u64) -> Vec<v1::WatchedEntry> {
    let mut entries = Vec::new();
    loop {
        match next(stream).await.unwrap() {
            Message::Entry(entry) => {
                let is_last = entry.entry_index + 1 >= end;
                entries.push(entry);
                if is_last {
                    return entries;
                }
            }
            Message::Heartbeat(beat) if beat.next_entry_index >= end => return entries,
            Message::Heartbeat(_) => {}
        }
    }
}

/// The end of a watch, and what came before it.
async fn to_its_end(stream: &mut Stream) -> (Vec<u64>, Status) {
    let mut indexes = Vec::new();
    loop {
        match next(stream).await {
            Ok(Message::Entry(entry)) => indexes.push(entry.entry_index),
            Ok(Message::Heartbeat(_)) => {}
            Err(status) => return (indexes, status),
        }
    }
}

fn resume_from(status: &Status) -> u64 {
    told(status).metadata["resume_from"].parse().unwrap()
}

fn indexes(entries: &[v1::WatchedEntry]) -> Vec<u64> {
    entries.iter().map(|entry| entry.entry_index).collect()
}

/// Events of a collector, ready to be sent by anybody.
fn deliveries(kit: &mut Kit, count: usize) -> Vec<Bytes> {
    let delivery = |kit: &mut Kit| {
        let mut lot = new_lot(kit.lot(), forge_world::COPPER, 1_000);
        lot.composition = Some(copper(50_000_000));
        signed(&kit.event(COLLECTOR, collect(lot)))
    };
    (0..count).map(|_| delivery(kit)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_is_lost_and_nothing_comes_twice_while_others_write() {
    let mut kit = Kit::start().await;
    let before = kit.node().reader().size().0;
    let events = deliveries(&mut kit, 240);
    let end = before + 240;
    let writers: Vec<_> = (events.chunks(60).map(<[Bytes]>::to_vec))
        .map(|events| {
            let mut ledger = kit.ledger.clone();
            tokio::spawn(async move {
                for envelope in events {
                    let request = v1::AppendEventRequest { envelope, validate_only: false };
                    ledger.append_event(request).await.unwrap();
                }
            })
        })
        .collect();
    // Watches begin all along, from the first entry, from the middle, from what is there just then.
    let mut watchers = Vec::new();
    for n in 0..12_u64 {
        // On a quick machine the last watches begin when everything is written already.
        let size = kit.node().reader().size().0.min(end - 1);
        let begins_at = [0, before / 2, size][usize::try_from(n % 3).unwrap()];
        let client = kit.ledger.clone();
        watchers.push(tokio::spawn(async move {
            let mut stream = begin(&client, from(begins_at)).await;
            (begins_at, entries_to(&mut stream, end).await)
        }));
        tokio::time::sleep(Duration::from_millis(40)).await;
    }
    for writer in writers {
        writer.await.unwrap();
    }
    for watcher in watchers {
        let (begins_at, seen) = watcher.await.unwrap();
        assert_eq!(indexes(&seen), (begins_at..end).collect::<Vec<_>>(), "from {begins_at}");
        for entry in [&seen[0], &seen[seen.len() - 1]] {
            let index = EntryIndex(entry.entry_index);
            assert_eq!(entry.entry, kit.node().reader().entry(index).unwrap().unwrap());
        }
        assert!(seen.last().unwrap().kind() == v1::EventKind::CollectLot);
    }
    kit.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn heartbeats_carry_a_checkpoint_that_covers_what_was_sent() {
    let mut kit = Kit::start().await;
    let mut stream = begin(&kit.ledger, from(0)).await;
    let open = |beat: &v1::WatchHeartbeat| {
        SignedCheckpoint::open(beat.checkpoint.as_bytes(), &origin(), &ledger_key()).unwrap().0
    };
    // The first message is one.
    let Message::Heartbeat(beat) = next(&mut stream).await.unwrap() else { panic!("an entry") };
    assert_eq!(beat.next_entry_index, 0);
    assert_eq!(open(&beat).size, kit.node().reader().size());
    let mut sent = 0;
    for _ in 0..3 {
        kit.copper(COLLECTOR, 1_000).await;
        let beat = loop {
            match next(&mut stream).await.unwrap() {
                Message::Entry(entry) => sent = entry.entry_index + 1,
                Message::Heartbeat(beat) => break beat,
            }
        };
        let checkpoint = open(&beat);
        assert!(checkpoint.size.0 >= beat.next_entry_index && beat.next_entry_index >= sent);
        if let Some(last) = sent.checked_sub(1).map(EntryIndex) {
            let entry = kit.node().reader().entry(last).unwrap().unwrap();
            let leaf = urbanmine::ledger::hash::leaf_hash(&entry);
            let request =
                v1::GetInclusionProofRequest { entry_index: last.0, tree_size: checkpoint.size.0 };
            let proof = kit.ledger.get_inclusion_proof(request).await.unwrap().into_inner().hashes;
            let proof: Vec<Hash32> =
                proof.iter().map(|hash| Hash32(hash[..].try_into().unwrap())).collect();
            urbanmine::ledger::tree::verify_inclusion(
                &leaf,
                last,
                checkpoint.size,
                &proof,
                &checkpoint.root,
            )
            .unwrap();
        }
    }
    // A watch that nothing matches makes progress all the same.
    let nothing = v1::WatchEntriesRequest { lot_id: raw(&grpc_kit::uuid(777)), ..from(0) };
    let mut stream = begin(&kit.ledger, nothing).await;
    assert!(entries_to(&mut stream, kit.node().reader().size().0).await.is_empty());
    kit.copper(COLLECTOR, 1_000).await;
    assert!(entries_to(&mut stream, kit.node().reader().size().0).await.is_empty());
    kit.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_is_kept_and_the_watch_goes_on_from_where_it_says() {
    let mut kit = Kit::start().await;
    let (mut seen, mut begins_at) = (Vec::new(), 0);
    for _ in 0..3 {
        kit.copper(COLLECTOR, 1_000).await;
        let mut request = Request::new(from(begins_at));
        request.set_timeout(Duration::from_millis(700));
        let began = Instant::now();
        let mut stream = kit.ledger.watch_entries(request).await.unwrap().into_inner();
        let (indexes, status) = to_its_end(&mut stream).await;
        assert_eq!(status.code(), tonic::Code::DeadlineExceeded);
        assert!(began.elapsed() >= Duration::from_millis(690), "{:?}", began.elapsed());
        seen.extend(indexes);
        begins_at = resume_from(&status);
        assert_eq!(begins_at, kit.node().reader().size().0);
    }
    assert_eq!(seen, (0..begins_at).collect::<Vec<_>>());
    kit.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_ends_with_the_service_and_says_where_to_go_on() {
    let mut kit = Kit::start().await;
    let size = kit.node().reader().size().0;
    let mut streams = Vec::new();
    for _ in 0..4 {
        let mut stream = begin(&kit.ledger, from(0)).await;
        entries_to(&mut stream, size).await;
        streams.push(stream);
    }
    kit.copper(COLLECTOR, 1_000).await;
    let size = kit.node().reader().size().0;
    let began = Instant::now();
    kit.stop().await;
    assert!(began.elapsed() < Duration::from_secs(5), "watches do not hold a shutdown up");
    for mut stream in streams {
        let (mut indexes, status) = to_its_end(&mut stream).await;
        let told = told(&status);
        assert_eq!((told.code, told.reason.as_str()), (tonic::Code::Unavailable, "WATCH_ENDED"));
        assert_eq!(told.metadata["why"], "shutdown");
        let resume_from = resume_from(&status);
        indexes.extend(resume_from..size);
        assert_eq!(indexes, [size - 1], "all before that was sent");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn watches_are_counted_and_a_place_comes_back() {
    let mut kit = Kit::start().await;
    let mut streams = Vec::new();
    for _ in 0..MAX_WATCHES_PER_CALLER {
        let mut stream = begin(&kit.ledger, from(0)).await;
        next(&mut stream).await.unwrap();
        streams.push(stream);
    }
    let refusal = kit.ledger.watch_entries(from(0)).await.unwrap_err();
    let refusal = told(&refusal);
    assert_eq!(refusal.code, tonic::Code::ResourceExhausted);
    assert_eq!(refusal.reason, "WATCH_LIMIT");
    assert_eq!(refusal.metadata["limit"], MAX_WATCHES_PER_CALLER.to_string());
    // Other calls are not in the way of watches, nor watches in theirs.
    kit.copper(COLLECTOR, 1_000).await;
    streams.pop();
    let mut tries = 0;
    while let Err(status) = kit.ledger.watch_entries(from(0)).await {
        assert_eq!(status.code(), tonic::Code::ResourceExhausted);
        tries += 1;
        assert!(tries < 100, "the place of a reader that left does not come back");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    drop(streams);
    kit.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_watched_is_refused() {
    let mut kit = Kit::start().await;
    let size = kit.node().reader().size().0;
    let rows = [
        ("from_entry_index", from(size + 1)),
        ("lot_id", v1::WatchEntriesRequest { lot_id: raw(&[1; 15]), ..from(0) }),
        ("party_id", v1::WatchEntriesRequest { party_id: raw(&[1; 16]), ..from(0) }),
        ("kind", v1::WatchEntriesRequest { kind: 19, ..from(0) }),
    ];
    for (field, request) in rows {
        let refusal = kit.ledger.watch_entries(request).await.unwrap_err();
        assert_eq!(told(&refusal).fields, [field]);
    }
    // At the very end there is nothing yet, and that is fine.
    let mut stream = begin(&kit.ledger, from(size)).await;
    assert!(matches!(next(&mut stream).await.unwrap(), Message::Heartbeat(_)));
    kit.stop().await;
}

/// A chunk of tables is the largest event that needs nothing around it.
async fn fill(kit: &mut Kit, count: u8) {
    for n in 0..count {
        let body = Body::PublishTables(PublishTables {
            tables_hash: Hash32([9; 32]),
            chunk_index: 0,
            chunk_count: 2,
            content: vec![n; MAX_TABLE_CHUNK_BYTES],
        });
        kit.say(COORD, body).await;
    }
}

/// A client whose connection takes little without being read.
async fn narrow(kit: &Kit) -> Client {
    let endpoint = Endpoint::from_shared(format!("http://{}", kit.address())).unwrap();
    let channel = endpoint.initial_stream_window_size(65_535).connect().await.unwrap();
    LedgerServiceClient::new(channel)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_reader_that_stops_is_cut_off_while_others_go_on() {
    let mut kit = Kit::start().await;
    let slow_client = narrow(&kit).await;
    let mut slow = begin(&slow_client, from(0)).await;
    next(&mut slow).await.unwrap();
    fill(&mut kit, 100).await;
    let end = kit.node().reader().size().0;
    // A hundred entries of 40 kB wait for one that does not read; another reads them all meanwhile.
    let began = Instant::now();
    let mut other = begin(&kit.ledger, from(0)).await;
    assert_eq!(indexes(&entries_to(&mut other, end).await), (0..end).collect::<Vec<_>>());
    let stall = Duration::from_secs(MAX_WATCH_STALL_SECONDS);
    assert!(began.elapsed() < stall);
    tokio::time::sleep(stall + Duration::from_secs(2)).await;
    kit.copper(COLLECTOR, 1_000).await;
    let end = end + 1;
    assert_eq!(entries_to(&mut other, end).await.len(), 1);

    let (mut seen, status) = to_its_end(&mut slow).await;
    assert_eq!((status.code(), told(&status).reason.as_str()), cut());
    let resume_from = resume_from(&status);
    assert_eq!(seen, (0..resume_from).collect::<Vec<_>>(), "all before that was sent");
    // All that was in memory for it is what it got in the end.
    let reader = kit.node().reader();
    let held: usize =
        seen.iter().map(|index| reader.entry(EntryIndex(*index)).unwrap().unwrap().len()).sum();
    drop(reader);
    assert!(held < 2 * 1024 * 1024, "{held} of 4,000,000 bytes were kept for it");
    let mut stream = begin(&slow_client, from(resume_from)).await;
    seen.extend(indexes(&entries_to(&mut stream, end).await));
    assert_eq!(seen, (0..end).collect::<Vec<_>>());
    kit.stop().await;
}

fn cut() -> (tonic::Code, &'static str) {
    (tonic::Code::Aborted, "WATCH_TOO_SLOW")
}

// --- filters -------------------------------------------------------------------------------------

/// A history of several kinds, parties and lots; the lots.
async fn history(kit: &mut Kit) -> Vec<LotId> {
    let mut lots = Vec::new();
    for n in 0..12 {
        let lot = kit.copper(COLLECTOR, 10_000).await;
        lots.push(lot);
        if n % 3 == 0 {
            let (one, two) = (kit.lot(), kit.lot());
            kit.say(COLLECTOR, split(lot, &[draw(one, 4_000), draw(two, 6_000)])).await;
            lots.extend([one, two]);
        }
        if n % 4 == 0 {
            fill(kit, 1).await;
        }
    }
    lots
}

/// What a scan of every entry gives, by the bytes alone; only whom an entry concerns is asked of
/// the node, entry by entry.
fn naive(reader: &Reader, filter: &EntryFilter, from: u64) -> Vec<u64> {
    let matches = |index: &u64| {
        let bytes = reader.entry(EntryIndex(*index)).unwrap().unwrap();
        let entry = Entry::parse(&bytes).unwrap();
        let envelope = Envelope::parse(&entry.envelope).unwrap();
        let event: Event = decode_event(&envelope.payload).unwrap();
        let names = |lot| entry.links.iter().any(|link| link.lot == lot);
        let concerns = |party| reader.concerns(party, EntryIndex(*index)).unwrap();
        filter.lot.is_none_or(names)
            && filter.kind.is_none_or(|kind| event.body.kind() == kind)
            && filter.parties.iter().all(|party| concerns(*party))
    };
    (from..reader.size().0).filter(matches).collect()
}

fn any_filter(lots: Vec<LotId>) -> impl Strategy<Value = EntryFilter> {
    let kinds = [
        EventKind::CollectLot,
        EventKind::SplitLot,
        EventKind::PublishTables,
        EventKind::RegisterSite,
        EventKind::RegisterKey,
        EventKind::MergeLots,
    ];
    let parties: Vec<PartyId> = PARTIES.iter().map(|row| row.id).collect();
    let lot = prop::option::weighted(0.4, select(lots));
    let kind = prop::option::of(select(kinds.to_vec()));
    (lot, prop::collection::vec(select(parties), 0..3), kind)
        .prop_map(|(lot, parties, kind)| EntryFilter { lot, parties, kind })
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_find_what_a_naive_scan_finds() {
    let mut kit = Kit::start().await;
    let lots = history(&mut kit).await;
    let reader = kit.node().reader();
    let size = reader.size().0;
    let mut runner = TestRunner::new(ProptestConfig::with_cases(300));
    let inputs = (any_filter(lots.clone()), 0..=size, 1..20_usize);
    let outcome = runner.run(&inputs, |(filter, from, max)| {
        let (mut found, mut next) = (Vec::new(), EntryIndex(from));
        loop {
            let batch = reader.matching(&filter, next, max).unwrap();
            prop_assert!(batch.entries.len() <= max && batch.next >= next);
            found.extend(batch.entries.into_iter().map(|(index, bytes)| {
                assert_eq!(Some(bytes), reader.entry(index).unwrap());
                index.0
            }));
            if batch.next.0 >= size {
                break;
            }
            next = batch.next;
        }
        prop_assert_eq!(found, naive(&reader, &filter, from));
        Ok(())
    });
    outcome.unwrap();
    // The same over the wire, where a request names one party.
    let mut matched = 0;
    for (at, lot) in lots.iter().enumerate() {
        let kind = [None, Some(EventKind::SplitLot), Some(EventKind::CollectLot)][at % 3];
        let party = [None, Some(COLLECTOR), Some(COORD)][at / 3 % 3];
        let filter = EntryFilter {
            lot: (at % 5 < 3).then_some(*lot),
            parties: party.into_iter().collect(),
            kind,
        };
        let request = v1::WatchEntriesRequest {
            lot_id: filter.lot.map(|lot| raw(lot.as_bytes())).unwrap_or_default(),
            party_id: party.map(|party| raw(party.as_bytes())).unwrap_or_default(),
            kind: kind.map_or(0, |kind| kind.number().into()),
            ..from(0)
        };
        let mut stream = begin(&kit.ledger, request).await;
        let seen = indexes(&entries_to(&mut stream, size).await);
        assert_eq!(seen, naive(&reader, &filter, 0), "{filter:?}");
        matched += seen.len();
    }
    assert!(matched > 0);
    drop(reader);
    kit.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lot_is_watched_before_it_is_there() {
    let mut kit = Kit::start().await;
    let ahead = kit.lot();
    let request = v1::WatchEntriesRequest { lot_id: raw(ahead.as_bytes()), ..from(0) };
    let mut stream = begin(&kit.ledger, request).await;
    next(&mut stream).await.unwrap();
    kit.copper(COLLECTOR, 1_000).await;
    let mut lot = new_lot(ahead, forge_world::COPPER, 1_000);
    lot.composition = Some(copper(50_000_000));
    let event = kit.say(COLLECTOR, collect(lot)).await;
    kit.copper(COLLECTOR, 1_000).await;
    let seen = entries_to(&mut stream, kit.node().reader().size().0).await;
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].event_id, raw(event.as_bytes()));
    kit.stop().await;
}

// --- callers -------------------------------------------------------------------------------------

/// A second port to the kit's ledger, where callers say who they are.
struct Porch {
    channel: Channel,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<()>,
    _folder: tempfile::TempDir,
}

const HOLDERS: [Holder; 3] =
    [Holder::Party(COLLECTOR), Holder::Party(SMELTER), Holder::Party(COORD)];

impl Porch {
    async fn open(kit: &Kit, bounds: Bounds) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens");
        let mut book = TokenBook::default();
        for (n, holder) in (0..).zip(HOLDERS) {
            let token = Token {
                id: TokenId([n; 8]),
                secret_sha256: sha256(&[n; 32]),
                holder,
                scopes: Scopes::ALL,
                created_at: TimeMs::of(1),
                expires_at: TimeMs::MAX,
                revoked_at: None,
                note: String::new(),
            };
            book.add(token, TimeMs::of(1)).unwrap();
        }
        std::fs::write(&path, book.to_text().unwrap()).unwrap();
        let permissions = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(&path, permissions).unwrap();
        let settings = DoorSettings { tokens: Some(path), bounds, ..DoorSettings::default() };
        let doors = Doors::open(settings).unwrap();
        let listener = doors.listen("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let server = format!("http://{}", listener.address());
        let (stop, stopped) = oneshot::channel::<()>();
        let node = kit.node().clone();
        let serving = tokio::spawn(async move {
            let until = async {
                let _ = stopped.await;
            };
            api::serve(node, listener, until).await.unwrap();
        });
        let channel = Channel::from_shared(server).unwrap().connect().await.unwrap();
        Self { channel, stop, serving, _folder: folder }
    }

    async fn watch(&self, who: u8, request: v1::WatchEntriesRequest) -> Result<Stream, Status> {
        let mut request = Request::new(request);
        let token = token_text(TokenId([who; 8]), &[who; 32]);
        let bearer = format!("Bearer {token}").parse().unwrap();
        request.metadata_mut().insert("authorization", bearer);
        let mut client = LedgerServiceClient::new(self.channel.clone());
        Ok(client.watch_entries(request).await?.into_inner())
    }

    async fn close(self) {
        drop(self.channel);
        let _ = self.stop.send(());
        self.serving.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_party_sees_the_entries_that_concern_it_and_no_sign_of_others() {
    let mut kit = Kit::start().await;
    let porch = Porch::open(&kit, Bounds::default()).await;
    let lots = history(&mut kit).await;
    let reader = kit.node().reader();
    let size = reader.size().0;
    let concerning = |party| {
        let filter = EntryFilter { parties: vec![party], ..EntryFilter::default() };
        naive(&reader, &filter, 0)
    };
    for (who, party) in [(0, COLLECTOR), (1, SMELTER)] {
        let mut stream = porch.watch(who, from(0)).await.unwrap();
        let seen = indexes(&entries_to(&mut stream, size).await);
        assert_eq!(seen, concerning(party));
        assert!(!seen.is_empty() && (seen.len() as u64) < size);
        let named = v1::WatchEntriesRequest { party_id: raw(party.as_bytes()), ..from(0) };
        let mut stream = porch.watch(who, named).await.unwrap();
        assert_eq!(indexes(&entries_to(&mut stream, size).await), seen);
    }
    // A competitor's lot, and one that never was: the same silence, and the same progress.
    for lot in [lots[0], LotId::from_bytes(grpc_kit::uuid(888))] {
        let request = v1::WatchEntriesRequest { lot_id: raw(lot.as_bytes()), ..from(0) };
        let mut stream = porch.watch(1, request).await.unwrap();
        assert!(entries_to(&mut stream, size).await.is_empty());
    }
    // Another party is not asked about, whether it is there or not: the same words.
    let mut refusals = Vec::new();
    for party in [*COLLECTOR.as_bytes(), grpc_kit::uuid(889)] {
        let request = v1::WatchEntriesRequest { party_id: raw(&party), ..from(0) };
        let refusal = told(&porch.watch(1, request).await.unwrap_err());
        let asked = PartyId::from_bytes(party).to_string();
        refusals.push((refusal.reason, refusal.en.replace(&asked, "it"), refusal.fields));
    }
    assert_eq!(refusals[0], refusals[1]);
    // A coordinator sees everything; who does not say who it is, nothing.
    let mut stream = porch.watch(2, from(0)).await.unwrap();
    assert_eq!(entries_to(&mut stream, size).await.len() as u64, size);
    let mut nobody = LedgerServiceClient::new(porch.channel.clone());
    let refusal = nobody.watch_entries(from(0)).await.unwrap_err();
    assert_eq!(refusal.code(), tonic::Code::Unauthenticated);
    drop((stream, nobody));
    porch.close().await;
    drop(reader);
    kit.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_ends_with_its_connection_and_says_where_to_go_on() {
    let mut kit = Kit::start().await;
    let bounds = Bounds { age_ms: 1_000, ..Bounds::default() };
    let porch = Porch::open(&kit, bounds).await;
    let (mut seen, mut begins_at) = (Vec::new(), 0);
    for _ in 0..2 {
        // The connection goes away under a call that begins just then; the next one is new.
        let mut stream = match porch.watch(2, from(begins_at)).await {
            Ok(stream) => stream,
            Err(status) if status.code() == tonic::Code::Cancelled => {
                porch.watch(2, from(begins_at)).await.unwrap()
            }
            Err(status) => panic!("{status}"),
        };
        kit.copper(COLLECTOR, 1_000).await;
        let (indexes, status) = to_its_end(&mut stream).await;
        let told = told(&status);
        assert_eq!((told.code, told.reason.as_str()), (tonic::Code::Unavailable, "WATCH_ENDED"));
        assert_eq!(told.metadata["why"], "age");
        seen.extend(indexes);
        begins_at = resume_from(&status);
    }
    assert_eq!(begins_at, kit.node().reader().size().0);
    assert_eq!(seen, (0..begins_at).collect::<Vec<_>>());
    porch.close().await;
    kit.stop().await;
}
