//! The same calls as JSON over HTTP, for what cannot speak gRPC.
//!
//! *Owns:* paths and verbs, read from the annotations in the protos; JSON to messages and back;
//! errors as AIP-193 JSON; the `OpenAPI` page. There is no code per call.
//!
//! *Never:* answers a call itself: every one goes through the gate to the service that gRPC calls,
//! so policy, limits, viewer and deadline are the same. Never signs or reads what is signed: an
//! envelope travels as base64, and JSON is never what a signature covers. Holds no float, and tells
//! no browser of another origin that it may read (no CORS).
//!
//! *See:* `docs/JSON.md`; `proto/google/api/http.proto`; the protos of the services.

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

use std::convert::Infallible;
use std::sync::LazyLock;

use axum::Router;
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

/// Everything under `/v1`, and `/openapi.json`, for the services behind `inner`. That has to be
/// the gate, with whatever stands before it for gRPC as well: extensions of a request (peer,
/// identity) and its `authorization` are handed on to it.
pub fn router<S>(inner: S) -> Router
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    S: Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
{
    let calls = any(move |request| door::answer(inner.clone(), request));
    Router::new()
        .route("/openapi.json", get(openapi::answer))
        .route("/v1", calls.clone())
        .route("/v1/", calls.clone())
        .route("/v1/{*rest}", calls)
}
