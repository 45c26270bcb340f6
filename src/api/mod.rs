//! How machines talk to the ledger: gRPC, and JSON over HTTP.
//!
//! *Owns:* the services of `urbanmine.v1`, health and reflection; the one port; who calls and
//! who may make which call; how every failure is told; pages; deadlines; the bounds of calls, reads
//! and connections.
//!
//! *Never:* judges an event, touches the store, signs; holds an append that its caller can cancel;
//! tells a caller a path or an IO error. It meets the node only through its handle and its reader.
//!
//! *See:* `proto/urbanmine/v1/*_service.proto` and `errors.proto`, which are the manual;
//! `docs/REASONS.md`.

pub mod anomalies;
mod as_of;
mod beside;
mod campaigns;
mod convert;
mod credits;
pub mod desk;
mod disclosures;
pub mod doors;
mod drafts;
pub mod errors;
mod eyes;
pub mod gate;
mod hush;
pub mod identity;
pub mod json;
mod ledger;
mod lots;
pub mod measure;
pub mod messages_zh;
pub mod numbers;
pub mod observe;
pub mod pages;
pub mod policy;
mod rates;
mod recall;
mod registry;
mod report_lots;
pub mod report_requests;
pub mod report_tables;
mod reports;
mod shares;
#[cfg(test)]
mod tests;
pub mod tokens;
mod trace_pages;
mod traces;
pub mod viewer;
mod visibility;
pub mod watch;

use std::future::Future;
use std::sync::Arc;

use tonic::service::Routes;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;
use tonic_web::GrpcWebLayer;
use tower::Layer as _;

pub use doors::{DoorFault, DoorSettings, Doors, Listener};
use gate::{Entrance, Gate, GateLayer};
use rates::Rates;
use shares::Shares;

use crate::domain::TimeMs;
use crate::domain::party::PartyState;
use crate::domain::vocabulary::PartyRole;
use crate::limits::{ANALYST_PAUSE_MS, BUNDLE_REPLY_BYTES, MAX_REPLY_BYTES, MAX_REQUEST_BYTES};
use crate::node::Node;
use crate::node::clock::{Clock, SystemClock};
use crate::wire::DESCRIPTORS;
use crate::wire::v1::disclosure_service_server::{
    DisclosureServiceServer, SERVICE_NAME as DISCLOSURE_SERVICE,
};
use crate::wire::v1::draft_service_server::{DraftServiceServer, SERVICE_NAME as DRAFT_SERVICE};
use crate::wire::v1::ledger_service_server::{LedgerServiceServer, SERVICE_NAME as LEDGER_SERVICE};
use crate::wire::v1::lot_service_server::{LotServiceServer, SERVICE_NAME as LOT_SERVICE};
use crate::wire::v1::registry_service_server::{
    RegistryServiceServer, SERVICE_NAME as REGISTRY_SERVICE,
};
use crate::wire::v1::report_service_server::{ReportServiceServer, SERVICE_NAME as REPORT_SERVICE};

/// The names under which health tells how the service is; the empty one stands for all.
const HEALTH_NAMES: [&str; 7] = [
    "",
    DISCLOSURE_SERVICE,
    DRAFT_SERVICE,
    LEDGER_SERVICE,
    LOT_SERVICE,
    REGISTRY_SERVICE,
    REPORT_SERVICE,
];

/// Why the service does not serve.
#[derive(Debug, thiserror::Error)]
pub enum ServeFault {
    /// The descriptors that reflection shows do not parse.
    #[error("cannot build the reflection service")]
    Reflection(#[source] tonic_reflection::server::Error),
}

/// Serves until `shutdown`, then lets calls end. The node stays open: its owner shuts it down
/// afterwards, and appends that lost their caller end there.
pub async fn serve(
    node: Node,
    listener: Listener,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), ServeFault> {
    serve_at(node, listener, Arc::new(SystemClock), shutdown).await
}

/// The same with another clock: by it tokens end, and parties have their roles.
pub async fn serve_at(
    node: Node,
    listener: Listener,
    clock: Arc<dyn Clock>,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), ServeFault> {
    let health = HealthReporter::new();
    tell(&health, ServingStatus::Serving).await;
    let shares = Shares::new();
    let gate = gate(&node, &listener, shares.clone(), clock);
    let (stop, stopping) = tokio::sync::watch::channel(false);
    let watches = watch::Watches::new(stopping.clone());
    let analysis = tokio::spawn(analyse(node.clone(), stopping.clone()));
    let app = front(gate.layer(services(node, &health, watches)?));
    let until_shutdown = async {
        shutdown.await;
        tell(&health, ServingStatus::NotServing).await;
        // The receiver lives in this function, so somebody listens.
        let _ = stop.send(true);
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = listener.welcome(app, shares, stopping) => {}
        () = until_shutdown => {}
    }
    // What it had taken over it takes over again at the next start.
    analysis.abort();
    Ok(())
}

/// Keeps the book near the head, so that whoever asks it has little to wait for. A book that cannot
/// be kept is told in the log, and to whoever asks; nothing else waits for it.
async fn analyse(node: Node, mut stopping: tokio::sync::watch::Receiver<bool>) {
    let mut growth = node.reader().growth();
    // A start may have a long book to fold, and walks are not to wait for that.
    recall(&node).await;
    loop {
        let analyst = node.analyst();
        // The book first: what it is told, recent history is told with it.
        let caught_up = tokio::task::spawn_blocking(move || analyst.catch_up()).await;
        if let Ok(Err(fault)) = caught_up {
            tracing::error!(%fault, "the book of balances and anomalies cannot be kept");
        }
        recall(&node).await;
        let pause = std::time::Duration::from_millis(ANALYST_PAUSE_MS);
        tokio::select! {
            changed = growth.changed() => if changed.is_err() { return },
            _ = stopping.changed() => return,
        }
        tokio::time::sleep(pause).await;
    }
}

async fn recall(node: &Node) {
    let reader = node.reader();
    let recalled = tokio::task::spawn_blocking(move || reader.recall()).await;
    if let Ok(Err(fault)) = recalled {
        tracing::error!(%fault, "recent history cannot be kept; traces read the database");
    }
}

/// Where a request goes: JSON, gRPC and gRPC-Web, with HTTP/2 or HTTP/1.1.
fn front(gated: Gate<Routes>) -> axum::Router {
    json::router(gated.clone(), GrpcWebLayer::new().layer(gated))
}

fn gate(node: &Node, listener: &Listener, shares: Shares, clock: Arc<dyn Clock>) -> GateLayer {
    let reader = node.reader();
    let settings = listener.settings();
    GateLayer::at(Entrance {
        shares,
        rates: Rates::new(
            settings.bounds.calls_per_second,
            settings.bounds.stranger_calls_per_second,
        ),
        keys: listener.keys(),
        trusts_this_machine: listener.trusts_this_machine(),
        requires_identity: settings.require_identity,
        clock,
        standing: Arc::new(move |party, now| Ok(oversees(reader.party(party)?.as_ref(), now))),
    })
}

/// Whether a party sees everything.
fn oversees(party: Option<&PartyState>, now: TimeMs) -> bool {
    const OVERSEERS: [PartyRole; 3] =
        [PartyRole::Coordinator, PartyRole::Auditor, PartyRole::Regulator];
    party.is_some_and(|state| OVERSEERS.iter().any(|role| state.party.has_role(*role, now)))
}

fn services(
    node: Node,
    health: &HealthReporter,
    watches: watch::Watches,
) -> Result<Routes, ServeFault> {
    let desk = desk::Desk::new(node);
    let ledger_desk = ledger::LedgerDesk { desk: desk.clone(), health: health.clone(), watches };
    let services = Routes::default()
        .add_service(tonic_health::pb::health_server::HealthServer::new(
            tonic_health::server::HealthService::from_health_reporter(health.clone()),
        ))
        .add_service(reflection().build_v1().map_err(ServeFault::Reflection)?)
        .add_service(reflection().build_v1alpha().map_err(ServeFault::Reflection)?)
        .add_service(
            DisclosureServiceServer::new(disclosures::DisclosureDesk(desk.clone()))
                .max_decoding_message_size(MAX_REQUEST_BYTES)
                .max_encoding_message_size(MAX_REPLY_BYTES),
        )
        .add_service(
            DraftServiceServer::new(drafts::DraftDesk(desk.clone()))
                .max_decoding_message_size(MAX_REQUEST_BYTES)
                .max_encoding_message_size(MAX_REPLY_BYTES),
        )
        .add_service(
            LedgerServiceServer::new(ledger_desk)
                .max_decoding_message_size(MAX_REQUEST_BYTES)
                .max_encoding_message_size(BUNDLE_REPLY_BYTES),
        )
        .add_service(
            LotServiceServer::new(lots::LotDesk(desk.clone()))
                .max_decoding_message_size(MAX_REQUEST_BYTES)
                .max_encoding_message_size(MAX_REPLY_BYTES),
        )
        .add_service(
            RegistryServiceServer::new(registry::RegistryDesk(desk.clone()))
                .max_decoding_message_size(MAX_REQUEST_BYTES)
                .max_encoding_message_size(MAX_REPLY_BYTES),
        )
        .add_service(
            ReportServiceServer::new(reports::ReportDesk(desk))
                .max_decoding_message_size(MAX_REQUEST_BYTES)
                .max_encoding_message_size(MAX_REPLY_BYTES),
        );
    Ok(services.prepare())
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
