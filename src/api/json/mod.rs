//! The same calls as JSON over HTTP, for what cannot speak gRPC.
//!
//! *Owns:* paths and verbs, read from the annotations in the protos; JSON to messages and back;
//! errors as AIP-193 JSON; the `OpenAPI` page. There is no code per call, but for the tree, which
//! is also served as files (C2SP tlog-tiles).
//!
//! *Never:* answers a call itself: every one goes through the gate to the service that gRPC calls,
//! so policy, limits, viewer and deadline are the same. Never signs or reads what is signed: an
//! envelope travels as base64, and JSON is never what a signature covers. Holds no float, and tells
//! no browser of another origin that it may read (no CORS).
//!
//! *See:* `docs/JSON.md`; `docs/FORMAT.md`, section 17, for the files;
//! `proto/google/api/http.proto`; the protos of the services.

mod body;
mod door;
mod encode;
mod fault;
mod grpc;
mod lines;
mod openapi;
mod query;
mod refusal;
mod routes;
mod scalar;
#[cfg(test)]
mod tests;
mod tlog;

use std::convert::Infallible;
use std::sync::LazyLock;

use axum::Router;
use axum::body::Body as HttpBody;
use axum::routing::{any, get};
use http::{Request, Response};
use prost_reflect::DescriptorPool;
use tonic::body::Body;
use tower::Service;

pub use fault::HttpFault;

use crate::wire::DESCRIPTORS;

/// What the protos say, options and comments included.
#[expect(clippy::expect_used, reason = "the descriptors are a build constant; a test reads them")]
static POOL: LazyLock<DescriptorPool> =
    LazyLock::new(|| DescriptorPool::decode(DESCRIPTORS).expect("the protos are a descriptor set"));

/// Everything of the one port: under `/v1` and at `/openapi.json` JSON for the services behind
/// `inner`, under `/tlog` the tree as files, else `grpc`. What is neither is told that nothing is
/// there.
///
/// `inner` has to be the gate: the extensions of a request (its connection) and its `authorization`
/// are handed on to it, and what it set aside for the answer comes back.
pub fn router<S, G>(inner: S, grpc: G) -> Router
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    S: Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
    G: Service<Request<HttpBody>, Response = Response<Body>, Error = Infallible>,
    G: Clone + Send + Sync + 'static,
    G::Future: Send + 'static,
{
    let tree = inner.clone();
    let tree = any(move |request| tlog::answer(tree.clone(), request));
    let calls = any(move |request| door::answer(inner.clone(), request));
    Router::new()
        .fallback(move |request| door::other(grpc.clone(), request))
        .route("/openapi.json", get(openapi::answer))
        .route("/tlog/{*rest}", tree)
        .route("/v1", calls.clone())
        .route("/v1/", calls.clone())
        .route("/v1/{*rest}", calls)
}
