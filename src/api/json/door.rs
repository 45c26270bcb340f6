//! One request of HTTP into one call, and its answer back.

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::Body as HttpBody;
use bytes::Bytes;
use http::header::{
    ALLOW, AUTHORIZATION, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, TE,
    TRANSFER_ENCODING, USER_AGENT,
};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method as Verb, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use prost_reflect::{FieldDescriptor, MessageDescriptor};
use tonic::body::Body;
use tonic::{Code, Status};
use tower::{Service, ServiceExt as _};

use super::encode::Pieces;
use super::fault::HttpFault;
use super::grpc::{Lazy, framed, status_of, unary_message};
use super::lines::Lines;
use super::routes::{Found, Route, table};
use super::{body, query, refusal};
use crate::api::doors::Connection;
use crate::api::errors::Failure;
use crate::api::gate::RequestId;
use crate::api::shares::{Handed, Weighed, call_of_this_task};
use crate::limits::MAX_REQUEST_BYTES;

/// How long the caller waits, in whole seconds.
const TIMEOUT_HEADER: &str = "x-server-timeout";
const GRPC_TIMEOUT: &str = "grpc-timeout";
/// What of the headers reaches the service: who calls, and how the call is named. The rest is of
/// HTTP, and ends here.
const HANDED_ON: [http::HeaderName; 3] =
    [AUTHORIZATION, USER_AGENT, http::HeaderName::from_static("x-request-id")];

/// Answers a request under `/v1`.
pub(super) async fn answer<S>(inner: S, request: Request<HttpBody>) -> Response<HttpBody>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    S: Send + 'static,
    S::Future: Send + 'static,
{
    let id = RequestId::next();
    let is_head = request.method() == Verb::HEAD;
    let refused = |failure: Failure| refusal::response(&failure.into_status(id));
    let answer = match read(id, request) {
        Ok(Read::Call(route, call)) => {
            let told = sent(inner, route, *call).await;
            told.unwrap_or_else(|status| refusal::response(&explained(status, id)))
        }
        Ok(Read::Verbs(verbs)) => verbs_only(&verbs),
        Err(failure) => refused(failure),
    };
    if is_head { without_body(answer) } else { answer }
}

/// Answers a request that is not under `/v1`: one of gRPC, or of gRPC-Web.
pub(super) async fn other<G>(grpc: G, request: Request<HttpBody>) -> Response<HttpBody>
where
    G: Service<Request<HttpBody>, Response = Response<Body>, Error = Infallible>,
    G: Send + 'static,
    G::Future: Send + 'static,
{
    let kind = request.headers().get(CONTENT_TYPE).and_then(|it| it.to_str().ok());
    if !kind.is_some_and(|kind| kind.starts_with("application/grpc")) {
        let path = request.uri().path().to_owned();
        let nowhere = Failure::Http(HttpFault::PathUnknown { path });
        return refusal::response(&nowhere.into_status(RequestId::next()));
    }
    let Ok(reply) = grpc.oneshot(request).await;
    reply.map(HttpBody::new)
}

/// What a request asks for.
enum Read {
    /// A call, ready to be sent.
    Call(&'static Route, Box<Request<Body>>),
    /// Which verbs its path takes.
    Verbs(String),
}

fn read(id: RequestId, request: Request<HttpBody>) -> Result<Read, Failure> {
    let (parts, body) = request.into_parts();
    check_framing(&parts.headers)?;
    check_host(&parts)?;
    let path = parts.uri.path();
    let is_head = parts.method == Verb::HEAD;
    let verb = if is_head { &Verb::GET } else { &parts.method };
    let (route, bindings) = match table().find(verb, path) {
        Found::Call(route, bindings) => (route, bindings),
        Found::Unreadable(violation) => return Err(Failure::Request(vec![violation])),
        Found::OtherVerb => {
            let allowed = table().verbs_of(path).into_iter().collect::<Vec<_>>().join(", ");
            if parts.method == Verb::OPTIONS {
                return Ok(Read::Verbs(allowed));
            }
            let verb = parts.method.to_string();
            return Err(Failure::Http(HttpFault::MethodNotAllowed { verb, allowed }));
        }
        Found::Nothing => {
            return Err(Failure::Http(HttpFault::PathUnknown { path: path.to_owned() }));
        }
    };
    let body = if route.has_body {
        body_of(id, route, &bindings, &parts, body)?
    } else {
        let query = parts.uri.query().unwrap_or_default();
        let message = query::message(&route.method.input(), &bindings, query);
        let message = message.map_err(|violation| Failure::Request(vec![violation]))?;
        Body::new(Lazy::new(std::future::ready(framed(&message))))
    };
    Ok(Read::Call(route, Box::new(call(id, &route.grpc_path, parts, body)?)))
}

/// Two lengths of one body: this end and one before it may read two requests where there is one.
pub(super) fn check_framing(headers: &HeaderMap) -> Result<(), Failure> {
    if headers.contains_key(TRANSFER_ENCODING) && headers.contains_key(CONTENT_LENGTH) {
        return Err(Failure::field(
            "content-length",
            "not beside transfer-encoding",
            "both of them",
        ));
    }
    Ok(())
}

/// Whoever sits at the machine may do everything, so a page of the web that its browser shows must
/// not speak in its name. It cannot send JSON (no CORS); and it cannot come here under a name of
/// its own that it lets point to this machine, because only addresses and `localhost` are answered.
pub(super) fn check_host(parts: &Parts) -> Result<(), Failure> {
    match parts.extensions.get::<Connection>() {
        Some(connection) => connection.check_host(&parts.uri, &parts.headers),
        None => Ok(()),
    }
    .map_err(|host| Failure::Http(HttpFault::HostNotLocal { host }))
}

/// The body of a call that takes one, which is read when the gate has let the call through.
fn body_of(
    id: RequestId,
    route: &'static Route,
    bindings: &[(FieldDescriptor, String)],
    parts: &Parts,
    body: HttpBody,
) -> Result<Body, Failure> {
    if let Some((key, _)) = parts.uri.query().map(|it| it.split_once('=').unwrap_or((it, ""))) {
        return Err(Failure::field(key, "in the body: this call has no query", "in the query"));
    }
    check_content(&parts.headers)?;
    let (descriptor, bindings) = (route.method.input(), bindings.to_vec());
    let frame = async move {
        let read = whole(body).await;
        let message = read.and_then(|text| bound(&descriptor, &bindings, &text));
        framed(&message.map_err(|failure| failure.into_status(id))?)
    };
    Ok(Body::new(Lazy::new(frame)))
}

fn check_content(headers: &HeaderMap) -> Result<(), Failure> {
    let refused = |found: String| Err(Failure::Http(HttpFault::ContentType { found }));
    let told = |name| headers.get(name).map(|it: &HeaderValue| it.to_str().unwrap_or("not text"));
    let Some(content_type) = told(CONTENT_TYPE) else {
        return refused("it has no content-type".to_owned());
    };
    let mut parts = content_type.split(';').map(str::trim);
    let is_json = parts.next().is_some_and(|kind| kind.eq_ignore_ascii_case("application/json"));
    let is_utf8 = parts.all(|parameter| {
        let parameter = parameter.to_ascii_lowercase().replace('"', "");
        parameter.is_empty() || parameter == "charset=utf-8"
    });
    if !is_json || !is_utf8 {
        return refused(format!("this one is {content_type}"));
    }
    match told(CONTENT_ENCODING) {
        None => {}
        Some(encoding) if encoding.eq_ignore_ascii_case("identity") => {}
        Some(encoding) => return refused(format!("this one is compressed by {encoding}")),
    }
    let length = headers.get(CONTENT_LENGTH).and_then(|it| it.to_str().ok()?.parse::<usize>().ok());
    match length {
        Some(length) if length > MAX_REQUEST_BYTES => {
            Err(Failure::RequestTooLarge { detail: format!("found {length} bytes") })
        }
        _ => Ok(()),
    }
}

pub(super) async fn whole(body: HttpBody) -> Result<Bytes, Failure> {
    let body = Body::new(body);
    // It is read within the call, and counts as its bytes do.
    let call = call_of_this_task();
    let body = match &call {
        Some(held) => Body::new(Weighed::new(body, Arc::clone(held))),
        None => body,
    };
    let read = Limited::new(body, MAX_REQUEST_BYTES).collect().await;
    let text = read.map(http_body_util::Collected::to_bytes).map_err(|error| {
        let code = error.downcast_ref::<Status>().map(Status::code);
        if code == Some(Code::ResourceExhausted) {
            Failure::Busy
        } else if error.is::<LengthLimitError>() || code == Some(Code::OutOfRange) {
            Failure::RequestTooLarge { detail: "found more".to_owned() }
        } else {
            Failure::RequestMalformed { detail: "the body broke off".to_owned() }
        }
    })?;
    // The message that is made of it stands beside it for a moment, and is not longer.
    let both = call.map_or(Ok(()), |held| held.weigh(2 * text.len()));
    both.map_err(|_| Failure::Busy)?;
    Ok(text)
}

/// A message from a body, with what stands in the path.
fn bound(
    descriptor: &MessageDescriptor,
    bindings: &[(FieldDescriptor, String)],
    text: &[u8],
) -> Result<prost_reflect::DynamicMessage, Failure> {
    let mut message = body::message(descriptor, text)?;
    for (field, text) in bindings {
        if message.has_field(field) {
            return Err(Failure::field(field.name(), "in the path alone", "in the body, too"));
        }
        let value = super::scalar::from_text(field, text);
        let value = value.map_err(|rule| Failure::field(field.name(), rule, text.as_str()))?;
        message.set_field(field, value);
    }
    Ok(message)
}

/// The request as a client of gRPC would have sent it, on the same connection.
pub(super) fn call(
    id: RequestId,
    grpc_path: &str,
    parts: Parts,
    body: Body,
) -> Result<Request<Body>, Failure> {
    let mut call = Request::new(body);
    *call.method_mut() = Verb::POST;
    *call.version_mut() = http::Version::HTTP_2;
    *call.uri_mut() = http::Uri::try_from(grpc_path).map_err(|_| Failure::WorkerLost)?;
    let headers = call.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(TE, HeaderValue::from_static("trailers"));
    for name in &HANDED_ON {
        for value in parts.headers.get_all(name) {
            headers.append(name.clone(), value.clone());
        }
    }
    if let Some(timeout) = timeout(&parts.headers)? {
        headers.insert(GRPC_TIMEOUT, timeout);
    }
    *call.extensions_mut() = parts.extensions;
    call.extensions_mut().insert(id);
    Ok(call)
}

/// How long the call may take, as the caller says; else the gate's own limit holds.
fn timeout(headers: &HeaderMap) -> Result<Option<HeaderValue>, Failure> {
    let Some(seconds) = headers.get(TIMEOUT_HEADER) else { return Ok(None) };
    let text = seconds.to_str().unwrap_or("not text");
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse::<u64>().ok().filter(|number| is_number && *number > 0);
    let rule = "whole seconds, at least 1";
    let number = number.ok_or_else(|| Failure::field(TIMEOUT_HEADER, rule, text))?;
    // gRPC spells at most 8 digits; the gate has its own maximum for calls that do not stream.
    let spelled = HeaderValue::from_str(&format!("{}S", number.min(99_999_999)));
    spelled.map(Some).map_err(|_| Failure::WorkerLost)
}

/// Sends a call through the gate, and tells its answer.
async fn sent<S>(inner: S, route: &Route, call: Request<Body>) -> Result<Response<HttpBody>, Status>
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
    let descriptor = route.method.output();
    let handed = head.extensions.remove::<Handed>();
    let (mut told, handed) = if route.method.is_server_streaming() {
        let lines = HttpBody::new(Lines::new(descriptor, body));
        (answered(lines, "application/x-ndjson"), handed)
    } else {
        // The message stays in memory while its text goes out, and so does what was set aside.
        (told(&descriptor, unary_message(body).await?)?, handed.map(Handed::kept))
    };
    if let Some(handed) = handed {
        told.extensions_mut().insert(handed);
    }
    Ok(told)
}

/// What is wrong with an answer of our own, or what the framework refused by itself, has no reason
/// yet.
pub(super) fn explained(status: Status, id: RequestId) -> Status {
    if !status.details().is_empty() {
        return status;
    }
    tracing::error!(request = %id, message = status.message(), "an answer has no reason");
    Failure::WorkerLost.into_status(id)
}

/// A short reply goes as one piece, with its length; a long one as the client takes it.
fn told(descriptor: &MessageDescriptor, message: Bytes) -> Result<Response<HttpBody>, Status> {
    let malformed = |fault: super::encode::Malformed| Status::internal(fault.to_string());
    let mut pieces = Pieces::new(descriptor, message).map_err(malformed)?;
    let first = pieces.next().transpose().map_err(malformed)?.unwrap_or_default();
    let body = if pieces.has_ended() {
        HttpBody::from(first)
    } else {
        HttpBody::from_stream(tokio_stream::iter(std::iter::once(Ok(first)).chain(pieces)))
    };
    Ok(answered(body, "application/json"))
}

fn answered(body: HttpBody, content_type: &'static str) -> Response<HttpBody> {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

pub(super) fn verbs_only(verbs: &str) -> Response<HttpBody> {
    let mut response = Response::new(HttpBody::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    if let Ok(verbs) = HeaderValue::from_str(verbs) {
        response.headers_mut().insert(ALLOW, verbs);
    }
    response
}

/// The head of an answer, with the length that its body would have.
pub(super) fn without_body(answer: Response<HttpBody>) -> Response<HttpBody> {
    let (mut head, body) = answer.into_parts();
    if let Some(length) = hyper::body::Body::size_hint(&body).exact() {
        head.headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    Response::from_parts(head, HttpBody::empty())
}
