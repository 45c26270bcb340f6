//! One connection, from the first byte to the last.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use http::{HeaderMap, Request, Response, StatusCode, Uri, header};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tower::Service as _;

use super::keys::Kept;
use super::line::{Fate, Line, Seat};
use super::patient::Patient;
use super::replies::Reply;
use super::settings::Bounds;
use crate::api::identity::{Caller, Certificate, Identity};
use crate::api::policy::{is_local_name, is_loopback};
use crate::api::shares::{Handed, Keeping, Shares};
use crate::limits::{
    HTTP2_FRAME_BYTES, KEEPALIVE_ANSWER_SECONDS, KEEPALIVE_SECONDS, MAX_HEADER_BYTES, MAX_HEADERS,
    MAX_STREAMS_PER_CONNECTION, REPLY_PIECE_BYTES, WINDOW_BYTES,
};

/// What all connections share.
pub struct House {
    /// Where requests go.
    pub app: axum::Router,
    /// What they are weighed with.
    pub shares: Shares,
    /// How much of everything.
    pub bounds: Bounds,
    /// TLS, when it is spoken.
    pub tls: Option<Arc<Kept<ServerConfig>>>,
    /// Whether whoever calls from this machine may do everything.
    pub trusts_this_machine: bool,
    /// Says true when the service stops.
    pub stopping: watch::Receiver<bool>,
}

/// What a request knows about its connection.
#[derive(Debug, Clone)]
pub struct Connection {
    /// The other end.
    pub peer: SocketAddr,
    /// Its client certificate.
    pub certificate: Certificate,
    trusts_this_machine: bool,
    line: Option<Arc<Line>>,
    /// When it has had its time and is asked to end.
    asked_to_end_at: Option<Instant>,
}

impl Connection {
    /// A connection that no socket stands behind: a call from within the house.
    pub const fn from_within(peer: SocketAddr) -> Self {
        let certificate = Certificate::Absent;
        Self { peer, certificate, trusts_this_machine: true, line: None, asked_to_end_at: None }
    }

    /// Whether a request calls the service by a name that it answers to; else the name.
    ///
    /// Where whoever sits at the machine may do everything, a page of the web that its browser
    /// shows must not speak in its name. It could come here under a name of its own that it lets
    /// point to this machine; so only addresses and `localhost` are answered then.
    pub fn check_host(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), String> {
        if !self.trusts_this_machine || !is_loopback(self.peer.ip()) {
            return Ok(());
        }
        let told = headers.get(header::HOST).map(|it| it.to_str().unwrap_or("not text").to_owned());
        let told = uri.authority().map(ToString::to_string).or(told);
        told.filter(|told| !is_local_name(told)).map_or(Ok(()), Err)
    }

    /// When it is asked to end, for answers that would go on; `None` when no socket stands behind
    /// it.
    pub const fn asked_to_end_at(&self) -> Option<Instant> {
        self.asked_to_end_at
    }

    /// Somebody known calls over it.
    pub fn known(&self) {
        if let Some(line) = &self.line {
            line.known();
        }
    }
}

/// Serves a connection until it ends.
pub async fn serve(house: Arc<House>, stream: TcpStream, seat: Seat) {
    // Replies leave at once. A socket that refuses this still works.
    let _ = stream.set_nodelay(true);
    let line = Arc::clone(seat.line());
    let socket = Patient::new(stream, house.bounds.stall());
    let Some(tls) = &house.tls else {
        let connection = connection(&house, &line, Certificate::Absent);
        return talk(&house, socket, connection, &line).await;
    };
    let handshake = TlsAcceptor::from(tls.current()).accept(socket);
    let handshake = tokio::time::timeout(house.bounds.handshake(), handshake);
    let socket = tokio::select! {
        () = line.evicted.notified() => return,
        agreed = handshake => match agreed {
            Ok(Ok(socket)) => socket,
            // Nonsense, plain text, a certificate of somebody else's authority, or nothing at all.
            Ok(Err(fault)) => return tracing::debug!(%fault, "TLS was not agreed on"),
            Err(_) => return tracing::debug!("TLS was not agreed on in time"),
        },
    };
    let shown = socket.get_ref().1.peer_certificates().and_then(<[_]>::first);
    let certificate = shown.map_or(Certificate::Absent, |der| Certificate::read(der));
    let connection = connection(&house, &line, certificate);
    talk(&house, socket, connection, &line).await;
}

fn connection(house: &House, line: &Arc<Line>, certificate: Certificate) -> Connection {
    let (peer, trusts_this_machine) = (line.peer(), house.trusts_this_machine);
    let asked_to_end_at = Some(line.opened_at() + house.bounds.age());
    let line = Some(Arc::clone(line));
    Connection { peer, certificate, trusts_this_machine, line, asked_to_end_at }
}

/// Speaks HTTP until the connection ends, or has to.
async fn talk<S>(house: &Arc<House>, socket: S, connection: Connection, line: &Arc<Line>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(|request: Request<Incoming>| {
        answer(Arc::clone(house), connection.clone(), Arc::clone(line), request)
    });
    let builder = protocols(&house.bounds);
    let mut talking = pin!(builder.serve_connection(TokioIo::new(socket), service));
    let mut stopping = house.stopping.clone();
    let mut looks = tokio::time::interval(look_every(&house.bounds));
    let mut asked_at: Option<Instant> = None;
    loop {
        let is_asked = tokio::select! {
            ended = talking.as_mut() => {
                if let Err(fault) = ended {
                    tracing::debug!(%fault, "a connection broke");
                }
                return;
            }
            () = line.evicted.notified() => return,
            () = super::stopped(&mut stopping), if asked_at.is_none() => true,
            _ = looks.tick() => match line.fate(&house.bounds, Instant::now()) {
                Fate::Stay => false,
                Fate::AskToEnd => true,
                Fate::Cut => return tracing::debug!("a connection on which nothing moves was cut"),
            },
        };
        match asked_at {
            None if is_asked => {
                asked_at = Some(Instant::now());
                talking.as_mut().graceful_shutdown();
            }
            Some(asked_at) if asked_at.elapsed() > house.bounds.grace() => return,
            _ => {}
        }
    }
}

/// Often enough for the shortest of the bounds, and not more often than that.
fn look_every(bounds: &Bounds) -> Duration {
    let all = [bounds.first_call(), bounds.idle(), bounds.age(), bounds.stall(), bounds.reply()];
    let shortest = all.into_iter().min().unwrap_or_default() / 4;
    shortest.clamp(Duration::from_millis(10), Duration::from_secs(1))
}

fn protocols(bounds: &Bounds) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(bounds.first_call())
        .max_buf_size(MAX_HEADER_BYTES)
        .max_headers(MAX_HEADERS);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS_PER_CONNECTION)
        .max_header_list_size(u32::try_from(MAX_HEADER_BYTES).unwrap_or(u32::MAX))
        .max_send_buf_size(REPLY_PIECE_BYTES)
        .max_frame_size(HTTP2_FRAME_BYTES)
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES)
        .keep_alive_interval(Duration::from_secs(KEEPALIVE_SECONDS))
        .keep_alive_timeout(Duration::from_secs(KEEPALIVE_ANSWER_SECONDS));
    builder
}

/// Passes a request to the house, and its answer out in pieces.
async fn answer(
    house: Arc<House>,
    connection: Connection,
    line: Arc<Line>,
    mut request: Request<Incoming>,
) -> Result<Response<Reply>, std::convert::Infallible> {
    let call = line.open();
    let nobody = Caller { peer: Some(connection.peer), identity: Identity::Unknown };
    let answer = if request.headers().len() > MAX_HEADERS {
        let mut refusal = Response::new(Body::empty());
        *refusal.status_mut() = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
        refusal
    } else {
        request.extensions_mut().insert(connection);
        let mut app = house.app.clone();
        match app.call(request.map(Body::new)).await {
            Ok(answer) => answer,
            Err(never) => match never {},
        }
    };
    let (mut parts, body) = answer.into_parts();
    // The gate set bytes aside for the answers of calls; other answers are small, and unknown
    // callers'.
    let reserved = parts.extensions.remove::<Handed>().and_then(|handed| handed.take());
    let (reserved, keeping) = reserved
        .unwrap_or_else(|| (house.shares.account(nobody.key()).nothing(), Keeping::ByItsBytes));
    Ok(Response::from_parts(parts, Reply::new(body, reserved, keeping, call)))
}
