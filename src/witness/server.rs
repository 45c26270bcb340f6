//! The witness's HTTP interface: `POST /add-checkpoint`, `GET /<origin hash>/checkpoint`.
//!
//! Whoever reaches it may ask, so everything is bounded: connections, of one address too, calls in
//! a second, the bytes of a body, and the time that each of them takes.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::Future;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use governor::{DefaultKeyedRateLimiter, Quota};
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tracing::{debug, info};

use super::client::SIZE_TYPE;
use super::records::{Refusal, Witness};
use crate::limits::{
    MAX_DRAIN_SECONDS, MAX_HEADER_BYTES, MAX_RATED_CALLERS, MAX_SUBMISSION_BYTES,
    MAX_SUBMISSION_SECONDS, MAX_WITNESS_CONNECTION_SECONDS, MAX_WITNESS_CONNECTIONS,
    MAX_WITNESS_CONNECTIONS_PER_ADDRESS, WITNESS_CALLS_PER_SECOND,
};

const PLAIN: &str = "text/plain; charset=utf-8";
const RATE: NonZeroU32 = NonZeroU32::new(WITNESS_CALLS_PER_SECOND).unwrap();
const BURST: NonZeroU32 = NonZeroU32::new(2 * WITNESS_CALLS_PER_SECOND).unwrap();
/// Addresses that are not remembered one by one share this one.
const OTHERS: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);

/// What all connections share.
struct House {
    witness: Arc<Witness>,
    rates: DefaultKeyedRateLimiter<IpAddr>,
    /// Connections by address.
    guests: Mutex<BTreeMap<IpAddr, usize>>,
}

/// A connection's place; given back when it ends.
struct Place {
    house: Arc<House>,
    address: IpAddr,
    _seat: OwnedSemaphorePermit,
}

/// Serves until `shutdown`, then lets calls end.
pub async fn serve(
    witness: Arc<Witness>,
    listener: TcpListener,
    shutdown: impl Future<Output = ()> + Send,
) {
    let rates = DefaultKeyedRateLimiter::keyed(Quota::per_second(RATE).allow_burst(BURST));
    let house = Arc::new(House { witness, rates, guests: Mutex::default() });
    let seats = Arc::new(Semaphore::new(MAX_WITNESS_CONNECTIONS));
    let (stop, stopping) = watch::channel(false);
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            () = &mut shutdown => break,
            accepted = listener.accept() => accepted,
            // Ended ones are let go.
            Some(_) = connections.join_next() => continue,
        };
        let Ok((stream, peer)) = accepted else {
            // Out of descriptors, say: the next try is not at once.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        // Who finds no place is cut off: it tries again, and others are served meanwhile.
        let Ok(seat) = Arc::clone(&seats).try_acquire_owned() else { continue };
        let Some(place) = Place::take(&house, network_of(peer.ip()), seat) else { continue };
        connections.spawn(connection(stream, place, stopping.clone()));
    }
    drop(listener);
    let _ = stop.send(true);
    let drained = async { while connections.join_next().await.is_some() {} };
    // What is left after that is cut off: a checkpoint that is on disk is found there.
    let _ = timeout(Duration::from_secs(MAX_DRAIN_SECONDS), drained).await;
}

async fn connection(stream: TcpStream, place: Place, mut stopping: watch::Receiver<bool>) {
    let place = Arc::new(place);
    let service = hyper::service::service_fn(move |request| {
        let place = Arc::clone(&place);
        async move { Ok::<_, Infallible>(answer(&place, request).await) }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_secs(MAX_SUBMISSION_SECONDS))
        .max_buf_size(MAX_HEADER_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let ended = async {
        tokio::select! {
            // What goes wrong on this connection is its caller's.
            _ = connection.as_mut() => return,
            _ = stopping.wait_for(|stopping| *stopping) => {}
        }
        connection.as_mut().graceful_shutdown();
        let _ = connection.await;
    };
    let _ = timeout(Duration::from_secs(MAX_WITNESS_CONNECTION_SECONDS), ended).await;
}

async fn answer(place: &Place, request: Request<Incoming>) -> Response<Full<Bytes>> {
    if !place.house.may_call(place.address) {
        return said(StatusCode::TOO_MANY_REQUESTS, PLAIN, "too many calls; wait a second\n");
    }
    match (request.method(), request.uri().path()) {
        (&Method::POST, "/add-checkpoint") => add_checkpoint(&place.house, request).await,
        (_, "/add-checkpoint") => said(StatusCode::METHOD_NOT_ALLOWED, PLAIN, "POST it\n"),
        (&Method::GET, path) => {
            let hash = path.strip_prefix('/').and_then(|path| path.strip_suffix("/checkpoint"));
            match hash.and_then(|hash| place.house.witness.checkpoint(hash)) {
                Some(text) => said(StatusCode::OK, PLAIN, text),
                None => said(StatusCode::NOT_FOUND, PLAIN, "nothing was cosigned there\n"),
            }
        }
        _ => said(StatusCode::NOT_FOUND, PLAIN, "POST /add-checkpoint is here\n"),
    }
}

async fn add_checkpoint(house: &Arc<House>, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let body = Limited::new(request.into_body(), MAX_SUBMISSION_BYTES).collect();
    let body = match timeout(Duration::from_secs(MAX_SUBMISSION_SECONDS), body).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(fault)) if fault.is::<http_body_util::LengthLimitError>() => {
            return said(StatusCode::PAYLOAD_TOO_LARGE, PLAIN, "too long\n");
        }
        Ok(Err(_)) => return said(StatusCode::BAD_REQUEST, PLAIN, "the body broke off\n"),
        Err(_) => return said(StatusCode::REQUEST_TIMEOUT, PLAIN, "too slow\n"),
    };
    let witness = Arc::clone(&house.witness);
    // On a thread that may block, and that goes on when its caller hangs up: a checkpoint is kept
    // or not, never half. At most one for each connection.
    let judged = tokio::task::spawn_blocking(move || witness.add_checkpoint(&body)).await;
    match judged {
        Ok(Ok(lines)) => said(StatusCode::OK, PLAIN, lines),
        Ok(Err(refusal)) => {
            debug!(%refusal, "a submission is refused");
            refused(&refusal)
        }
        Err(_) => said(StatusCode::INTERNAL_SERVER_ERROR, PLAIN, "a fault of this witness\n"),
    }
}

/// The status of each refusal, as C2SP tlog-witness has it. The two that it does not know are
/// those of a witness that cannot answer.
pub const fn status_of(refusal: &Refusal) -> StatusCode {
    match refusal {
        Refusal::Malformed(_) | Refusal::OldSizeBeyond { .. } => StatusCode::BAD_REQUEST,
        Refusal::UnknownLog(_) => StatusCode::NOT_FOUND,
        Refusal::NotSigned(_) | Refusal::KeyFollowed => StatusCode::FORBIDDEN,
        Refusal::Conflict(_) => StatusCode::CONFLICT,
        Refusal::Inconsistent(_) => StatusCode::UNPROCESSABLE_ENTITY,
        Refusal::ClockBehind => StatusCode::SERVICE_UNAVAILABLE,
        Refusal::NotKept => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

fn refused(refusal: &Refusal) -> Response<Full<Bytes>> {
    let status = status_of(refusal);
    match refusal {
        Refusal::Conflict(size) => said(status, SIZE_TYPE, format!("{size}\n")),
        other => said(status, PLAIN, format!("{other}\n")),
    }
}

fn said(status: StatusCode, kind: &'static str, text: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(text.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

impl House {
    fn may_call(&self, address: IpAddr) -> bool {
        if self.rates.len() >= MAX_RATED_CALLERS {
            self.rates.retain_recent();
        }
        let is_remembered = self.rates.len() < MAX_RATED_CALLERS;
        self.rates.check_key(if is_remembered { &address } else { &OTHERS }).is_ok()
    }

    /// A panic of another thread under the lock leaves counts, which cannot be half changed.
    fn guests(&self) -> std::sync::MutexGuard<'_, BTreeMap<IpAddr, usize>> {
        self.guests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    fn take(house: &Arc<House>, address: IpAddr, seat: OwnedSemaphorePermit) -> Option<Self> {
        let mut guests = house.guests();
        let count = guests.entry(address).or_default();
        if *count >= MAX_WITNESS_CONNECTIONS_PER_ADDRESS {
            info!("an address has as many connections as it may have");
            return None;
        }
        *count += 1;
        drop(guests);
        Some(Self { house: Arc::clone(house), address, _seat: seat })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut guests = self.house.guests();
        if let Some(count) = guests.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                guests.remove(&self.address);
            }
        }
    }
}

/// An address as it is counted: of IPv6 the network of 64 bits, which one customer gets.
fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() >> 64 << 64).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_customer_is_one_address() {
        let net = |text: &str| network_of(text.parse().unwrap()).to_string();
        assert_eq!(net("::ffff:192.0.2.7"), "192.0.2.7");
        assert_eq!(net("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
    }
}
