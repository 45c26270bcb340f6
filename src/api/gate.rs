//! What every call passes before its handler: policy, load, deadline; and what every answer passes.
//!
//! A layer around all services, so no handler can forget it.

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use http::{HeaderMap, Request, Response};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::body::Body;
use tonic::transport::server::TcpConnectInfo;
use tonic::{Code, Status};
use tower::{Layer, Service};

use super::errors::{DOMAIN, Failure};
use super::identity::{Caller, Identity};
use super::policy::{Authorised, Load, Method, authorise};
use super::viewer::Viewer;
use crate::limits::{MAX_CALL_SECONDS, MAX_CALLS_IN_FLIGHT};

/// Names a call in the log and in an error, within one run of the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestId(pub u64);

impl RequestId {
    /// A name that no call of this run has.
    pub fn next() -> Self {
        static LAST: AtomicU64 = AtomicU64::new(0);
        Self(LAST.fetch_add(1, Ordering::Relaxed) + 1)
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// Puts the gate around services.
#[derive(Debug, Clone)]
pub struct GateLayer {
    calls: Arc<Semaphore>,
}

impl GateLayer {
    /// A gate with its own count of calls.
    pub fn new() -> Self {
        let calls = Arc::new(Semaphore::new(MAX_CALLS_IN_FLIGHT));
        Self { calls }
    }
}

impl Default for GateLayer {
    fn default() -> Self {
        Self::new()
    }
}

impl<S> Layer<S> for GateLayer {
    type Service = Gate<S>;

    fn layer(&self, inner: S) -> Gate<S> {
        Gate { inner, shared: self.clone() }
    }
}

/// Services behind the gate.
#[derive(Debug, Clone)]
pub struct Gate<S> {
    inner: S,
    shared: GateLayer,
}

/// A call that may go on: its place among the calls in flight, given back when the answer begins.
struct Admitted {
    _authorised: Authorised,
    caller: Caller,
    viewer: Viewer,
    place: Option<OwnedSemaphorePermit>,
    deadline: Duration,
}

type Answer = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

impl<S> Service<Request<Body>> for Gate<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    S: Clone + Send + 'static,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> Answer {
        // A door in front of the gate names the call when it has to tell of it itself.
        let id = request.extensions().get().copied().unwrap_or_else(RequestId::next);
        let admitted = match self.shared.admit(&request) {
            Ok(admitted) => admitted,
            Err(failure) => {
                let refusal = failure.into_status(id).into_http();
                return Box::pin(std::future::ready(Ok(refusal)));
            }
        };
        request.extensions_mut().insert(id);
        request.extensions_mut().insert(admitted.caller);
        request.extensions_mut().insert(admitted.viewer);
        let is_ours = is_ours(request.uri().path());
        let answer = self.inner.call(request);
        Box::pin(async move {
            let Ok(answer) = tokio::time::timeout(admitted.deadline, answer).await else {
                // The handler is dropped here. An append is not: it runs in a task of its own.
                return Ok(Failure::DeadlineExceeded.into_status(id).into_http());
            };
            drop(admitted.place);
            answer.map(|answer| if is_ours { explained(answer, id) } else { answer })
        })
    }
}

impl GateLayer {
    fn admit(&self, request: &Request<Body>) -> Result<Admitted, Failure> {
        let path = request.uri().path();
        let method = Method::of_path(path)
            .ok_or_else(|| Failure::MethodUnknown { path: path.to_owned() })?;
        let connection = request.extensions().get::<TcpConnectInfo>();
        let caller = Caller::unasked(connection.and_then(TcpConnectInfo::remote_addr));
        let viewer = viewer_for(&caller);
        let authorised = authorise(&caller, viewer, method)?;
        let place = match method.load() {
            Load::Free => None,
            Load::Counted | Load::Streaming => {
                let place = Arc::clone(&self.calls).try_acquire_owned();
                Some(place.map_err(|_| Failure::Busy)?)
            }
        };
        let deadline = deadline(request.headers());
        Ok(Admitted { _authorised: authorised, caller, viewer, place, deadline })
    }
}

/// As whom a caller is answered.
fn viewer_for(caller: &Caller) -> Viewer {
    match caller.identity {
        Identity::LocalOperator | Identity::Operator { .. } => Viewer::Overseer,
        Identity::Party { party, .. } => Viewer::Party(party),
        Identity::Unknown => Viewer::Stranger,
    }
}

fn is_ours(path: &str) -> bool {
    path.strip_prefix('/').is_some_and(|name| name.starts_with(DOMAIN))
}

/// How long a call may take. Answers a little before the transport's own timer, which knows no
/// reasons.
fn deadline(headers: &HeaderMap) -> Duration {
    const MARGIN: Duration = Duration::from_millis(5);
    let longest = Duration::from_secs(MAX_CALL_SECONDS);
    asked_timeout(headers).unwrap_or(longest).saturating_sub(MARGIN).min(longest)
}

/// How long the caller waits, as it says.
pub(super) fn asked_timeout(headers: &HeaderMap) -> Option<Duration> {
    let asked = headers.get("grpc-timeout").and_then(|value| value.to_str().ok());
    asked.and_then(parse_timeout)
}

/// `grpc-timeout`: 1 to 8 digits and a unit.
fn parse_timeout(text: &str) -> Option<Duration> {
    let unit_at = text.len().checked_sub(1)?;
    let (digits, unit) = (text.get(..unit_at)?, text.get(unit_at..)?);
    let is_number = (1..=8).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    let count: u64 = if is_number { digits.parse().ok()? } else { return None };
    match unit {
        "H" => Some(Duration::from_secs(count * 3_600)),
        "M" => Some(Duration::from_secs(count * 60)),
        "S" => Some(Duration::from_secs(count)),
        "m" => Some(Duration::from_millis(count)),
        "u" => Some(Duration::from_micros(count)),
        "n" => Some(Duration::from_nanos(count)),
        _ => None,
    }
}

/// What the framework refuses by itself, before a handler, has a code and no reason: it gets one
/// here. Handlers never answer so: all their failures go through [`Failure`].
fn explained(answer: Response<Body>, id: RequestId) -> Response<Body> {
    let Some(status) = Status::from_header_map(answer.headers()) else { return answer };
    if !status.details().is_empty() {
        return answer;
    }
    let detail = status.message().to_owned();
    match status.code() {
        Code::OutOfRange => Failure::RequestTooLarge { detail }.into_status(id).into_http(),
        Code::Internal => Failure::RequestMalformed { detail }.into_status(id).into_http(),
        _ => answer,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_are_read_as_grpc_spells_them() {
        let rows = [
            ("1H", Some(3_600_000)),
            ("2M", Some(120_000)),
            ("3S", Some(3_000)),
            ("250m", Some(250)),
            ("99999999u", Some(99_999)),
            ("5", None),
            ("", None),
            ("S", None),
            ("-1S", None),
            ("123456789S", None),
            ("1秒", None),
        ];
        for (text, millis) in rows {
            assert_eq!(parse_timeout(text).map(|it| it.as_millis()), millis, "{text}");
        }
    }

    #[test]
    fn no_call_is_longer_than_the_limit() {
        let mut headers = HeaderMap::new();
        let longest = Duration::from_secs(MAX_CALL_SECONDS);
        assert!(deadline(&headers) <= longest);
        headers.insert("grpc-timeout", "9H".parse().unwrap());
        assert_eq!(deadline(&headers), longest);
        headers.insert("grpc-timeout", "100m".parse().unwrap());
        assert_eq!(deadline(&headers), Duration::from_millis(95));
    }
}
