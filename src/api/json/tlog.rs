//! The tree as files (C2SP tlog-tiles): `/tlog/checkpoint`, `/tlog/tile/...`.
//!
//! A file is a call like any other, through the gate, and its bytes are made of the answer. So who
//! may have which one stands in the table of policies: checkpoint and hashes anybody, entry bundles
//! those who may read all entries.

use std::convert::Infallible;

use axum::body::Body as HttpBody;
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderValue, Method as Verb, Request, Response};
use prost::Message;
use tonic::Status;
use tonic::body::Body;
use tower::{Service, ServiceExt as _};

use super::door::{call, check_framing, check_host, explained, verbs_only, without_body};
use super::fault::HttpFault;
use super::grpc::{Lazy, framed, status_of, unary_message};
use super::refusal;
use crate::api::errors::Failure;
use crate::api::gate::RequestId;
use crate::api::shares::Handed;
use crate::ledger::tiles::{Tile, TileFault, TileKind};
use crate::limits::TILE_CACHE_SECONDS;
use crate::wire::v1;

/// What every path begins with.
const PREFIX: &str = "/tlog/";
const CHECKPOINT: &str = "checkpoint";
const VERBS: &str = "GET, HEAD, OPTIONS";

/// Answers a request under `/tlog/`.
pub(super) async fn answer<S>(inner: S, request: Request<HttpBody>) -> Response<HttpBody>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    S: Send + 'static,
    S::Future: Send + 'static,
{
    let id = RequestId::next();
    let is_head = request.method() == Verb::HEAD;
    let answer = match read(id, request) {
        Ok(Read::Call(file, call)) => {
            let told = sent(inner, file, *call).await;
            told.unwrap_or_else(|status| refusal::response(&explained(status, id)))
        }
        Ok(Read::Verbs) => verbs_only(VERBS),
        Err(failure) => refusal::response(&failure.into_status(id)),
    };
    if is_head { without_body(answer) } else { answer }
}

/// A file of the tree.
#[derive(Clone, Copy)]
enum File {
    Checkpoint,
    Tile(Tile),
}

/// What a request asks for.
enum Read {
    /// A file, by a call that is ready to be sent.
    Call(File, Box<Request<Body>>),
    /// Which verbs there are.
    Verbs,
}

fn read(id: RequestId, request: Request<HttpBody>) -> Result<Read, Failure> {
    let (parts, _) = request.into_parts();
    check_framing(&parts.headers)?;
    check_host(&parts)?;
    let path = parts.uri.path();
    let nothing = || Failure::Http(HttpFault::PathUnknown { path: path.to_owned() });
    let file = File::of_path(path).ok_or_else(nothing)?;
    if parts.method == Verb::OPTIONS {
        return Ok(Read::Verbs);
    }
    if parts.method != Verb::GET && parts.method != Verb::HEAD {
        let (verb, allowed) = (parts.method.to_string(), VERBS.to_owned());
        return Err(Failure::Http(HttpFault::MethodNotAllowed { verb, allowed }));
    }
    // A second address of one file: caches would keep it twice.
    if let Some((key, _)) = parts.uri.query().map(|it| it.split_once('=').unwrap_or((it, ""))) {
        return Err(Failure::field(key, "left out: a file has no query", "in the query"));
    }
    let (grpc_path, message) = file.asked();
    let body = Body::new(Lazy::new(std::future::ready(message)));
    Ok(Read::Call(file, Box::new(call(id, grpc_path, parts, body)?)))
}

/// Sends a call through the gate, and makes the file of its answer.
async fn sent<S>(inner: S, file: File, call: Request<Body>) -> Result<Response<HttpBody>, Status>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    S: Send + 'static,
    S::Future: Send + 'static,
{
    let Ok(reply) = inner.oneshot(call).await;
    let (mut head, body) = reply.into_parts();
    if let Some(status) = status_of(&head.headers) {
        return Err(status);
    }
    let handed = head.extensions.remove::<Handed>();
    let mut told = file.told(unary_message(body).await?)?;
    // Of a bundle the whole message stays in memory while its entries go out.
    if let Some(handed) = handed {
        told.extensions_mut().insert(handed.kept());
    }
    Ok(told)
}

impl File {
    /// Only the one spelling of a path is one.
    fn of_path(path: &str) -> Option<Self> {
        let name = path.strip_prefix(PREFIX)?;
        if name == CHECKPOINT {
            return Some(Self::Checkpoint);
        }
        match Tile::parse(name) {
            Ok(tile) => Some(Self::Tile(tile)),
            Err(
                TileFault::Path
                | TileFault::Index { .. }
                | TileFault::Level { .. }
                | TileFault::Width { .. },
            ) => None,
        }
    }

    /// The call that answers it.
    fn asked(self) -> (&'static str, Result<Bytes, Status>) {
        let tile = match self {
            Self::Checkpoint => {
                let path = "/urbanmine.v1.LedgerService/GetCheckpoint";
                return (path, framed(&v1::GetCheckpointRequest {}));
            }
            Self::Tile(tile) => tile,
        };
        let width = u32::from(tile.width());
        match tile.kind() {
            TileKind::Entries => {
                let request = v1::GetEntryBundleRequest { bundle_index: tile.index(), width };
                ("/urbanmine.v1.LedgerService/GetEntryBundle", framed(&request))
            }
            TileKind::Hashes { level } => {
                let (level, tile_index) = (u32::from(level), tile.index());
                let request = v1::GetTileRequest { level, tile_index, width };
                ("/urbanmine.v1.LedgerService/GetTile", framed(&request))
            }
        }
    }

    /// The file, made of the call's answer.
    fn told(self, message: Bytes) -> Result<Response<HttpBody>, Status> {
        let (pieces, content_type) = match self {
            Self::Checkpoint => {
                let reply: v1::GetCheckpointResponse = decoded(message)?;
                (vec![Bytes::from(reply.checkpoint)], "text/plain; charset=utf-8")
            }
            Self::Tile(tile) => {
                let pieces = match tile.kind() {
                    TileKind::Entries => bundle(decoded(message)?)?,
                    TileKind::Hashes { .. } => {
                        vec![decoded::<v1::GetTileResponse>(message)?.tile]
                    }
                };
                (pieces, "application/octet-stream")
            }
        };
        let length: usize = pieces.iter().map(Bytes::len).sum();
        let pieces = tokio_stream::iter(pieces.into_iter().map(Ok::<_, Infallible>));
        let mut response = Response::new(HttpBody::from_stream(pieces));
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
        headers.insert(CACHE_CONTROL, self.caching()?);
        Ok(response)
    }

    /// How long it may be kept, and by whom.
    fn caching(self) -> Result<HeaderValue, Status> {
        let kept_by = match self {
            Self::Checkpoint => return Ok(HeaderValue::from_static("no-store")),
            Self::Tile(tile) => match tile.kind() {
                // Not by a cache that others are answered from.
                TileKind::Entries => "private",
                TileKind::Hashes { .. } => "public",
            },
        };
        let text = format!("{kept_by}, max-age={TILE_CACHE_SECONDS}, immutable");
        HeaderValue::from_str(&text).map_err(|_| Status::internal("a header is not written"))
    }
}

fn decoded<M: Message + Default>(message: Bytes) -> Result<M, Status> {
    M::decode(message).map_err(|_| Status::internal("a reply is not one of ours"))
}

/// Each entry behind its length, without copying it.
fn bundle(reply: v1::GetEntryBundleResponse) -> Result<Vec<Bytes>, Status> {
    let mut pieces = Vec::with_capacity(2 * reply.entries.len());
    for entry in reply.entries {
        let length = u16::try_from(entry.len());
        let length = length.map_err(|_| Status::internal("an entry is too long"))?;
        pieces.push(Bytes::copy_from_slice(&length.to_be_bytes()));
        pieces.push(entry);
    }
    Ok(pieces)
}
