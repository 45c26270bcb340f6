//! How machines talk to the ledger: gRPC, and JSON over HTTP.
//!
//! *Owns:* the three services of `urbanmine.v1`, health and reflection; who may make which call;
//! how every failure is told; pages; deadlines; the bounds of calls and reads.
//!
//! *Never:* judges an event, touches the store, signs; holds an append that its caller can cancel;
//! tells a caller a path or an IO error. It meets the node only through its handle and its reader.
//!
//! *See:* `proto/urbanmine/v1/*_service.proto` and `errors.proto`, which are the manual;
//! `docs/REASONS.md`.

mod as_of;
mod convert;
pub mod desk;
pub mod errors;
mod eyes;
pub mod gate;
mod hush;
pub mod identity;
pub mod json;
mod ledger;
mod lots;
pub mod messages_zh;
pub mod numbers;
pub mod pages;
pub mod policy;
mod registry;
#[cfg(test)]
mod tests;
mod traces;
pub mod viewer;
mod visibility;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpListener;
use tonic::body::Body;
use tonic::service::Routes;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;
use tower::{Layer as _, ServiceExt as _};

use crate::limits::{
    KEEPALIVE_ANSWER_SECONDS, KEEPALIVE_SECONDS, MAX_CALL_SECONDS, MAX_DRAIN_SECONDS,
    MAX_REPLY_BYTES, MAX_REQUEST_BYTES, MAX_STREAMS_PER_CONNECTION,
};
use crate::node::Node;
use crate::wire::DESCRIPTORS;
use crate::wire::v1::ledger_service_server::{LedgerServiceServer, SERVICE_NAME as LEDGER_SERVICE};
use crate::wire::v1::lot_service_server::{LotServiceServer, SERVICE_NAME as LOT_SERVICE};
use crate::wire::v1::registry_service_server::{
    RegistryServiceServer, SERVICE_NAME as REGISTRY_SERVICE,
};

/// The names under which health tells how the service is; the empty one stands for all.
const HEALTH_NAMES: [&str; 4] = ["", LEDGER_SERVICE, LOT_SERVICE, REGISTRY_SERVICE];

/// Why the service does not serve.
#[derive(Debug, thiserror::Error)]
pub enum ServeFault {
    /// Others could reach it.
    #[error(
        "{address} can be reached from other machines; until callers have to identify themselves, \
         only a loopback address is served, such as 127.0.0.1 or [::1]"
    )]
    NotLoopback {
        /// What was asked for.
        address: SocketAddr,
    },
    /// The address cannot be had.
    #[error("cannot listen on {address}")]
    Bind {
        /// What was asked for.
        address: SocketAddr,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The descriptors that reflection shows do not parse.
    #[error("cannot build the reflection service")]
    Reflection(#[source] tonic_reflection::server::Error),
    /// The server failed.
    #[error("the gRPC server failed")]
    Transport(#[source] tonic::transport::Error),
}

/// A socket that only this machine can reach. Only [`Listener::bind`] makes one.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    address: SocketAddr,
}

impl Listener {
    /// Listens, on a loopback address only. Port 0 takes a free one.
    pub async fn bind(address: SocketAddr) -> Result<Self, ServeFault> {
        if !policy::is_loopback(address.ip()) {
            return Err(ServeFault::NotLoopback { address });
        }
        let failed = |source| ServeFault::Bind { address, source };
        let socket = TcpListener::bind(address).await.map_err(failed)?;
        let address = socket.local_addr().map_err(failed)?;
        Ok(Self { socket, address })
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Serves until `shutdown`, then lets calls end. The node stays open: its owner shuts it down
/// afterwards, and appends that lost their caller end there.
pub async fn serve(
    node: Node,
    listener: Listener,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), ServeFault> {
    let health = HealthReporter::new();
    tell(&health, ServingStatus::Serving).await;
    let desk = desk::Desk::new(node);
    let ledger_desk = ledger::LedgerDesk { desk: desk.clone(), health: health.clone() };
    let services = Routes::default()
        .add_service(tonic_health::pb::health_server::HealthServer::new(
            tonic_health::server::HealthService::from_health_reporter(health.clone()),
        ))
        .add_service(reflection().build_v1().map_err(ServeFault::Reflection)?)
        .add_service(reflection().build_v1alpha().map_err(ServeFault::Reflection)?)
        .add_service(
            LedgerServiceServer::new(ledger_desk)
                .max_decoding_message_size(MAX_REQUEST_BYTES)
                .max_encoding_message_size(MAX_REPLY_BYTES),
        )
        .add_service(
            LotServiceServer::new(lots::LotDesk(desk.clone()))
                .max_decoding_message_size(MAX_REQUEST_BYTES)
                .max_encoding_message_size(MAX_REPLY_BYTES),
        )
        .add_service(
            RegistryServiceServer::new(registry::RegistryDesk(desk))
                .max_decoding_message_size(MAX_REQUEST_BYTES)
                .max_encoding_message_size(MAX_REPLY_BYTES),
        );
    let gated = gate::GateLayer::new().layer(services.prepare());
    let grpc = gated.clone().map_request(|request: http::Request<_>| request.map(Body::new));
    let all: Routes = json::router(gated).fallback_service(grpc).into();
    let router = server().add_routes(all);

    let (stopped, mut stopping) = tokio::sync::watch::channel(false);
    let until_shutdown = async {
        shutdown.await;
        tell(&health, ServingStatus::NotServing).await;
        // The receiver lives in this function, so somebody listens.
        let _ = stopped.send(true);
    };
    let incoming = TcpIncoming::from(listener.socket).with_nodelay(Some(true));
    let serving = router.serve_with_incoming_shutdown(incoming, until_shutdown);
    let drained = async {
        let _ = stopping.wait_for(|is_stopping| *is_stopping).await;
        tokio::time::sleep(Duration::from_secs(MAX_DRAIN_SECONDS)).await;
    };
    tokio::select! {
        ended = serving => ended.map_err(ServeFault::Transport),
        () = drained => {
            tracing::warn!(MAX_DRAIN_SECONDS, "calls were still open when the service stopped");
            Ok(())
        }
    }
}

fn server() -> Server {
    Server::builder()
        .timeout(Duration::from_secs(MAX_CALL_SECONDS))
        .max_concurrent_streams(MAX_STREAMS_PER_CONNECTION)
        .http2_keepalive_interval(Some(Duration::from_secs(KEEPALIVE_SECONDS)))
        .http2_keepalive_timeout(Some(Duration::from_secs(KEEPALIVE_ANSWER_SECONDS)))
        .accept_http1(true)
}

fn reflection() -> tonic_reflection::server::Builder<'static> {
    tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
}

async fn tell(health: &HealthReporter, status: ServingStatus) {
    for name in HEALTH_NAMES {
        health.set_service_status(name, status).await;
    }
}
