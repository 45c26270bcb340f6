//! Callers that misbehave: they hang up, never speak, speak nonsense, or ask for what costs most.

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
use std::net::TcpStream;
use std::time::Duration;

use forge_world::{COLLECTOR, COORD, COPPER, collect, new_lot};
use grpc_kit::{Kit, raw, signed, told};
use http::uri::PathAndQuery;
use prost::Message;
use tonic::client::Grpc;
use tonic::{Code, Request, Status};
use tonic_prost::ProstCodec;
use urbanmine::domain::event::OpeningInventory;
use urbanmine::domain::{Body, EntryCount};
use urbanmine::limits::{MAX_OUTPUTS, MAX_SCANNED_ROWS};
use urbanmine::wire::v1;

/// Sends any message to any path.
async fn raw_call<M>(kit: &Kit, path: &'static str, message: M) -> Result<(), Status>
where
    M: Message + Default + 'static,
{
    let mut client = Grpc::new(kit.channel.clone());
    client.ready().await.unwrap();
    let codec = ProstCodec::<M, v1::GetLedgerResponse>::default();
    let path = PathAndQuery::from_static(path);
    client.unary(Request::new(message), path, codec).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_that_nothing_passes_is_looked_through_in_pieces() {
    let mut kit = Kit::start().await;
    let count = MAX_SCANNED_ROWS / MAX_OUTPUTS + 1;
    let mut batch = Vec::new();
    for _ in 0..count {
        let mut lots = Vec::new();
        for _ in 0..MAX_OUTPUTS {
            let id = kit.lot();
            lots.push(new_lot(id, COPPER, 1_000));
        }
        let body = Body::OpeningInventory(OpeningInventory { party: COLLECTOR, lots });
        batch.push(signed(&kit.event(COORD, body)));
    }
    kit.send(batch).await.unwrap();

    let (mut pages, mut page_token) = (0, String::new());
    loop {
        let request = v1::ListLotsRequest {
            page_size: 1,
            page_token,
            material: "CU_CATHODE".to_owned(),
            ..v1::ListLotsRequest::default()
        };
        let page = kit.lots.list_lots(request).await.unwrap().into_inner();
        pages += 1;
        assert!(page.lots.is_empty());
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(pages, 2);

    // Without a filter the same list has them all, each once.
    let (mut seen, mut page_token) = (Vec::new(), String::new());
    loop {
        let request =
            v1::ListLotsRequest { page_size: 1_000, page_token, ..v1::ListLotsRequest::default() };
        let page = kit.lots.list_lots(request).await.unwrap().into_inner();
        seen.extend(page.lots.into_iter().map(|lot| lot.lot_id));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(seen.len(), count * MAX_OUTPUTS);
    assert!(seen.windows(2).all(|pair| pair[0] < pair[1]));
    kit.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_append_whose_caller_hangs_up_is_whole_or_not_at_all() {
    let mut kit = Kit::start().await;
    let before = kit.checkpoint().await.size;
    for micros in [0, 50, 200, 500, 1_000, 2_000, 5_000, 20_000] {
        let lot = kit.lot();
        let event = kit.event(COLLECTOR, collect(new_lot(lot, COPPER, 1_000)));
        let (mut client, envelope) = (kit.ledger.clone(), signed(&event));
        let request = v1::AppendEventRequest { envelope, validate_only: false };
        let call = client.append_event(request);
        // Dropped, when it is not done by then.
        let _ = tokio::time::timeout(Duration::from_micros(micros), call).await;
        // The same bytes tell, and leave it recorded once.
        kit.append(&event).await;
        assert!(kit.append(&event).await.was_recorded_before);
    }
    assert_eq!(kit.checkpoint().await.size, EntryCount(before.0 + 8));
    kit.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_never_speak_or_speak_nonsense_stop_nobody() {
    let mut kit = Kit::start().await;
    let address = kit.address();
    // A connection that has called outlives those that never do.
    kit.copper(COLLECTOR, 1_000).await;
    let mut silent = Vec::new();
    for number in 0..200 {
        let mut stream = TcpStream::connect(address).unwrap();
        if number % 2 == 0 {
            // It may be hung up on by then.
            let _ = stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n\xff\x00\xff");
        }
        silent.push(stream);
    }
    kit.copper(COLLECTOR, 1_000).await;
    drop(silent);
    kit.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_are_not_the_message_of_their_call_are_told_so() {
    let kit = Kit::start().await;
    // A number where an id is, bytes that are no UTF-8 where a token is, and a call that nobody
    // has.
    let number = v1::GetEntryRequest { entry_index: 5 };
    let refused = raw_call(&kit, "/urbanmine.v1.LotService/GetLot", number).await.unwrap_err();
    let refused = told(&refused);
    assert_eq!(
        (refused.code, refused.reason.as_str()),
        (Code::InvalidArgument, "REQUEST_MALFORMED")
    );
    let text = v1::SiteRecord { party_id: raw(&[0xff, 0xfe]), ..v1::SiteRecord::default() };
    let refused = raw_call(&kit, "/urbanmine.v1.RegistryService/ListParties", text).await;
    assert_eq!(told(&refused.unwrap_err()).reason, "REQUEST_MALFORMED");
    for path in ["/urbanmine.v1.LotService/Melt", "/other.Service/Call", "/"] {
        let refused = raw_call(&kit, path, v1::GetLedgerRequest {}).await.unwrap_err();
        let refused = told(&refused);
        assert_eq!(
            (refused.code, refused.reason.as_str()),
            (Code::Unimplemented, "METHOD_UNKNOWN")
        );
        assert_eq!(refused.metadata["method"], path);
    }
    kit.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_calls_at_once_are_answered_or_told_to_wait() {
    let mut kit = Kit::start().await;
    let lot = kit.copper(COLLECTOR, 1_000).await;
    let calls: Vec<_> = (0..1_000)
        .map(|_| {
            let mut client = kit.lots.clone();
            let request = v1::TraceOriginsRequest {
                lot_id: raw(lot.as_bytes()),
                substance: 29,
                ..Default::default()
            };
            tokio::spawn(async move { client.trace_origins(request).await })
        })
        .collect();
    for call in calls {
        match call.await.unwrap() {
            Ok(reply) => {
                assert_eq!(reply.into_inner().now.unwrap().total_g, Some(500));
            }
            Err(refused) => assert_eq!(told(&refused).reason, "BUSY"),
        }
    }
    kit.copper(COLLECTOR, 1_000).await;
    kit.stop().await;
}
