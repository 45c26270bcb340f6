//! A server that says what a test tells it to, over real gRPC.

use std::sync::{Arc, mpsc};

use bytes::Bytes;
use prost::Message as _;
use urbanmine::wire::v1;

use super::artefacts::receipt;
use super::forge::Forged;

type Handler = dyn Fn(&str, &[u8]) -> Option<Vec<u8>> + Send + Sync;

/// gRPC as bytes: a call answered with nothing is `UNAVAILABLE`. Ends with its test.
pub fn fake(handler: impl Fn(&str, &[u8]) -> Option<Vec<u8>> + Send + Sync + 'static) -> String {
    let handler: Arc<Handler> = Arc::new(handler);
    let (told, address) = mpsc::sync_channel(1);
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async move {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            told.send(listener.local_addr().unwrap()).unwrap();
            let answer = move |request: axum::extract::Request| {
                let handler = Arc::clone(&handler);
                async move { reply(&*handler, request).await }
            };
            axum::serve(listener, axum::Router::new().fallback(answer)).await.unwrap();
        });
    });
    format!("http://{}", address.recv().unwrap())
}

async fn reply(handler: &Handler, request: axum::extract::Request) -> axum::response::Response {
    let method = request.uri().path().rsplit('/').next().unwrap_or_default().to_owned();
    let body = axum::body::to_bytes(request.into_body(), 1 << 20).await.unwrap();
    let said = handler(&method, body.get(5..).unwrap_or_default());
    let status = if said.is_some() { "0" } else { "14" };
    let frame = said.map_or_else(Vec::new, |message| {
        let length = u32::try_from(message.len()).unwrap();
        [&[0][..], &length.to_be_bytes(), &message].concat()
    });
    axum::response::Response::builder()
        .header("content-type", "application/grpc")
        .header("grpc-status", status)
        .body(frame.into())
        .unwrap()
}

/// What a server says of a ledger that it shows whole.
pub fn serve(forged: &Forged, method: &str, request: &[u8]) -> Option<Vec<u8>> {
    match method {
        "GetCheckpoint" => Some(head_of(forged.head())),
        "ListEntries" => Some(page(forged, request)),
        "GetReceipt" => receipt_reply(forged, request),
        _ => None,
    }
}

/// A checkpoint as the head.
pub fn head_of(text: &[u8]) -> Vec<u8> {
    let checkpoint = String::from_utf8(text.to_vec()).unwrap();
    v1::GetCheckpointResponse { checkpoint }.encode_to_vec()
}

/// All of a ledger from an entry on.
pub fn page(forged: &Forged, request: &[u8]) -> Vec<u8> {
    let from = v1::ListEntriesRequest::decode(request).unwrap().from_entry_index;
    let entry =
        |(entry_index, entry): (u64, &Bytes)| v1::Entry { entry_index, entry: entry.clone() };
    let from = usize::try_from(from).unwrap();
    let entries = (0..).zip(&forged.entries).skip(from).map(entry).collect();
    let page = v1::ListEntriesResponse { entries, next_page_token: String::new() };
    page.encode_to_vec()
}

fn receipt_reply(forged: &Forged, request: &[u8]) -> Option<Vec<u8>> {
    let subject = v1::GetReceiptRequest::decode(request).unwrap().subject;
    let Some(v1::get_receipt_request::Subject::EntryIndex(entry_index)) = subject else {
        return None;
    };
    let receipt = receipt(forged, entry_index).encode();
    Some(v1::GetReceiptResponse { entry_index, receipt }.encode_to_vec())
}
