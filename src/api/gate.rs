//! What every call passes before its handler: policy, load, deadline; and what every answer passes.
//!
//! A layer around all services, so no handler can forget it.

use std::collections::hash_map::RandomState;
use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::hash::BuildHasher;
use std::num::NonZeroU32;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll};
use std::time::Duration;

use http::{HeaderMap, Request, Response};
use tokio::time::{Instant, timeout_at};
use tonic::body::Body;
use tonic::{Code, Status};
use tower::{Layer, Service};

use super::doors::{Connection, Keys};
use super::errors::{DOMAIN, Failure};
use super::identity::{Caller, Certificate, Identity, identify};
use super::json::HttpFault;
use super::observe::Call;
use super::policy::{Denied, Load, Method, authorise};
use super::rates::Rates;
use super::shares::{Account, Handed, Held, Shares, Weighed, working_for, working_until};
use super::viewer::Viewer;
use crate::domain::{PartyId, TimeMs};
use crate::limits::{CALLS_PER_SECOND, MAX_CALL_SECONDS, STRANGER_CALLS_PER_SECOND};
use crate::node::clock::{Clock, SystemClock};

/// Names a call in the log and in an error, within one run of the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestId(pub u64);

impl RequestId {
    /// A name that no call of this run has. It does not tell how many calls there were: who calls
    /// twice would know how often others did in between.
    pub fn next() -> Self {
        static LAST: AtomicU64 = AtomicU64::new(0);
        static KEYS: LazyLock<RandomState> = LazyLock::new(RandomState::new);
        Self(scattered(LAST.fetch_add(1, Ordering::Relaxed) + 1, &*KEYS))
    }
}

/// A number to each number and to no other (a Feistel network over its halves), by keys that nobody
/// knows.
fn scattered(number: u64, keys: &impl BuildHasher) -> u64 {
    const ROUNDS: u8 = 4;
    let halves = |number: u64| (number >> 32, number & u64::from(u32::MAX));
    let (mut left, mut right) = halves(number);
    for round in 0..ROUNDS {
        let (_, mixed) = halves(keys.hash_one((round, right)));
        (left, right) = (right, left ^ mixed);
    }
    left << 32 | right
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// Whether a party oversees at a time: looked up in the ledger's registry with every call, so a
/// role is there from its first millisecond to before its last.
pub type Standing = Arc<dyn Fn(PartyId, TimeMs) -> Result<bool, Failure> + Send + Sync>;

/// Puts the gate around services.
#[derive(Clone)]
pub struct GateLayer(Arc<Entrance>);

/// All that the gate knows.
pub struct Entrance {
    /// What callers hold.
    pub shares: Shares,
    /// How often they call.
    pub rates: Rates,
    /// The tokens that are good.
    pub keys: Keys,
    /// Whether whoever calls from this machine without saying who it is may do everything.
    pub trusts_this_machine: bool,
    /// Whether those who do not say who they are get nothing but health and reflection.
    pub requires_identity: bool,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// What parties are.
    pub standing: Standing,
}

impl GateLayer {
    /// A gate on this machine, for nobody else.
    pub fn new() -> Self {
        let rate = |per_second| NonZeroU32::new(per_second).unwrap_or(NonZeroU32::MIN);
        Self::at(Entrance {
            shares: Shares::new(),
            rates: Rates::new(rate(CALLS_PER_SECOND), rate(STRANGER_CALLS_PER_SECOND)),
            keys: Keys::default(),
            trusts_this_machine: true,
            requires_identity: false,
            clock: Arc::new(SystemClock),
            standing: Arc::new(|_, _| Ok(false)),
        })
    }

    /// A gate at an entrance.
    pub fn at(entrance: Entrance) -> Self {
        Self(Arc::new(entrance))
    }
}

impl Default for GateLayer {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for GateLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GateLayer").finish_non_exhaustive()
    }
}

impl<S> Layer<S> for GateLayer {
    type Service = Gate<S>;

    fn layer(&self, inner: S) -> Gate<S> {
        Gate { inner, entrance: Arc::clone(&self.0) }
    }
}

/// Services behind the gate.
#[derive(Clone)]
pub struct Gate<S> {
    inner: S,
    entrance: Arc<Entrance>,
}

impl<S> fmt::Debug for Gate<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate").finish_non_exhaustive()
    }
}

/// A call that came in: who makes it, and its place among the calls in flight. The place is given
/// back when the answer begins, or when an append that lost its caller is done.
struct Entered {
    method: Method,
    caller: Caller,
    account: Account,
    held: Arc<Held>,
    ends_at: Instant,
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

    fn call(&mut self, request: Request<Body>) -> Answer {
        // A door in front of the gate names the call when it has to tell of it itself.
        let id = request.extensions().get().copied().unwrap_or_else(RequestId::next);
        let mut call = Call::begin(id, Method::of_path(request.uri().path()));
        let entered = match self.entrance.enter(&request) {
            Ok(entered) => entered,
            Err(failure) => {
                let refusal = failure.into_status(id).into_http();
                call.answered(&refusal);
                return Box::pin(std::future::ready(Ok(refusal)));
            }
        };
        call.is_by(&entered.caller.identity);
        // The one that is ready is called; its clone is not yet.
        let ready = self.inner.clone();
        let inner = std::mem::replace(&mut self.inner, ready);
        let entrance = Arc::clone(&self.entrance);
        Box::pin(async move {
            let answer = entrance.pass(entered, inner, request, id).await;
            let answer = answer.unwrap_or_else(|failure| failure.into_status(id).into_http());
            call.answered(&answer);
            Ok(answer)
        })
    }
}

impl Entrance {
    /// What can be said at once: who calls, how often, and whether there is a place.
    fn enter(&self, request: &Request<Body>) -> Result<Entered, Failure> {
        let path = request.uri().path();
        let method = Method::of_path(path)
            .ok_or_else(|| Failure::MethodUnknown { path: path.to_owned() })?;
        let connection = request.extensions().get::<Connection>();
        // JSON was looked at before it became a call; gRPC-Web comes from browsers, too.
        let host = connection.map_or(Ok(()), |it| it.check_host(request.uri(), request.headers()));
        host.map_err(|host| Failure::Http(HttpFault::HostNotLocal { host }))?;
        let caller = self.caller(connection, request.headers(), method)?;
        if let (true, Some(connection)) = (caller.identity != Identity::Unknown, connection) {
            connection.known();
        }
        self.count(&caller, method)?;
        let account = self.shares.account(caller.key());
        let held = match method.load() {
            Load::Free => account.pass(),
            Load::Counted | Load::Streaming => account.enter().map_err(|_| Failure::Busy)?,
        };
        let ends_at = Instant::now() + deadline(request.headers());
        Ok(Entered { method, caller, account, held: Arc::new(held), ends_at })
    }

    fn caller(
        &self,
        connection: Option<&Connection>,
        headers: &HeaderMap,
        method: Method,
    ) -> Result<Caller, Failure> {
        let peer = connection.map(|it| it.peer);
        if self.trusts_this_machine {
            return Ok(Caller::unasked(peer));
        }
        let certificate = connection.map_or(Certificate::Absent, |it| it.certificate);
        let tokens = self.keys.tokens();
        let known = identify(certificate, headers, tokens.as_deref(), self.clock.now());
        let unknown = Caller { peer, identity: Identity::Unknown };
        match known {
            Ok(identity) if self.requires_identity && identity == Identity::Unknown => {
                match method.load() {
                    Load::Free => Ok(unknown),
                    Load::Counted | Load::Streaming => Err(Denied::IdentityMissing.into()),
                }
            }
            Ok(identity) => Ok(Caller { peer, identity }),
            // Health answers whatever somebody sends along.
            Err(_) if method.load() == Load::Free => Ok(unknown),
            Err(fault) => {
                // Who tries tokens out is slowed down like anybody whom nobody knows.
                self.count(&unknown, method)?;
                Err(Failure::Identity(fault))
            }
        }
    }

    fn count(&self, caller: &Caller, method: Method) -> Result<(), Failure> {
        let counted = self.rates.count(caller.key(), method.reply_bytes());
        counted.map_err(|wait| Failure::RateLimited { wait })
    }

    /// What takes time: what the caller is, room for the answer, and the answer.
    async fn pass<S>(
        &self,
        entered: Entered,
        mut inner: S,
        mut request: Request<Body>,
        id: RequestId,
    ) -> Result<Response<Body>, Failure>
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    {
        let Entered { method, caller, account, held, ends_at } = entered;
        let viewer = timeout_at(ends_at, self.viewer(&caller)).await;
        let viewer = viewer.map_err(|_| Failure::Busy)??;
        authorise(&caller, viewer, method)?;
        let reply_bytes = match method.load() {
            Load::Free => 0,
            Load::Counted | Load::Streaming => method.reply_bytes(),
        };
        // Nothing has begun yet, so a caller that finds no room may come again. It is told so while
        // half of its time is left: whoever gets room at the end of it is answered too late, and
        // under load that would be everybody.
        let reserved = timeout_at(half_way_to(ends_at), account.reserve(reply_bytes)).await;
        let reserved = reserved.ok().and_then(Result::ok).ok_or(Failure::Busy)?;
        request.extensions_mut().insert(id);
        request.extensions_mut().insert(caller);
        request.extensions_mut().insert(viewer);
        let is_ours = is_ours(request.uri().path());
        let weighed = Arc::clone(&held);
        let request = request.map(|body| Body::new(Weighed::new(body, weighed)));
        let work = working_until(ends_at.into_std(), inner.call(request));
        let answer = timeout_at(ends_at, working_for(held, work)).await;
        // A handler that is late is dropped here. An append is not: it runs in a task of its own.
        let answer = answer.map_err(|_| Failure::DeadlineExceeded)?;
        let Ok(answer) = answer;
        let mut answer = if is_ours { explained(answer, id) } else { answer };
        answer.extensions_mut().insert(Handed::new(reserved));
        Ok(answer)
    }

    /// As whom a caller is answered.
    async fn viewer(&self, caller: &Caller) -> Result<Viewer, Failure> {
        match caller.identity {
            Identity::LocalOperator | Identity::Operator { .. } => Ok(Viewer::Overseer),
            Identity::Unknown => Ok(Viewer::Stranger),
            Identity::Party { party, .. } => {
                let (standing, now) = (Arc::clone(&self.standing), self.clock.now());
                let looked = tokio::task::spawn_blocking(move || standing(party, now)).await;
                let oversees = looked.map_err(|_| Failure::WorkerLost)??;
                Ok(if oversees { Viewer::Overseer } else { Viewer::Party(party) })
            }
        }
    }
}

fn is_ours(path: &str) -> bool {
    path.strip_prefix('/').is_some_and(|name| name.starts_with(DOMAIN))
}

/// The middle of the time that a call has left.
fn half_way_to(ends_at: Instant) -> Instant {
    let now = Instant::now();
    now + ends_at.saturating_duration_since(now) / 2
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
        Code::ResourceExhausted => Failure::Busy.into_status(id).into_http(),
        _ => answer,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_calls_are_all_different_and_do_not_count() {
        let keys = RandomState::new();
        let names: Vec<u64> = (0..10_000).map(|number| scattered(number, &keys)).collect();
        let different: std::collections::BTreeSet<_> = names.iter().collect();
        assert_eq!(different.len(), names.len());
        // Steps of a counter would all be alike.
        let steps = names.windows(2).map(|pair| pair[1].wrapping_sub(pair[0]));
        let different: std::collections::BTreeSet<_> = steps.collect();
        assert!(different.len() > 9_900, "{}", different.len());
    }

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
    fn who_waits_for_room_keeps_half_of_its_time() {
        let now = Instant::now();
        let ends_at = now + Duration::from_secs(10);
        let half = half_way_to(ends_at);
        assert!(half >= now + Duration::from_secs(5) && half < now + Duration::from_secs(6));
        // Nothing is left: it does not wait.
        assert!(half_way_to(now) <= Instant::now());
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
