//! The metrics: what Prometheus reads, on a listener of its own.
//!
//! Names and units are documented in `docs/OPERATIONS.md`; a test holds that. No label ever names a
//! party, a lot, a key or an address.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper_util::rt::{TokioIo, TokioTimer};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use super::observe::{APPENDS_TOTAL, CALL_SECONDS, CALLS_IN_FLIGHT, CALLS_TOTAL, REFUSALS_TOTAL};
use super::policy::is_loopback;
use crate::limits::{MAX_METRICS_CONNECTIONS, MAX_METRICS_SECONDS, METRICS_UPKEEP_SECONDS};
use crate::node::Node;
use crate::node::measures::{
    APPEND_SECONDS, COMMIT_SECONDS, GROUP_ENTRIES, JOURNAL_SYNC_SECONDS, WITNESS_ANSWERS_TOTAL,
    WITNESS_OUTCOMES,
};

/// Requests that wait for the writer.
pub const MAILBOX_DEPTH: &str = "urbanmine_mailbox_depth";
/// Entries under the last checkpoint.
pub const ENTRIES: &str = "urbanmine_ledger_entries";
/// Seconds since the last entry under the last checkpoint was recorded.
pub const CHECKPOINT_AGE: &str = "urbanmine_checkpoint_age_seconds";
/// 1 after a failed write, until a restart.
pub const POISONED: &str = "urbanmine_writer_poisoned";
/// Bytes of memory of the process that are resident.
pub const RESIDENT: &str = "urbanmine_process_resident_memory_bytes";
/// Bytes of the database's files.
pub const DATABASE_BYTES: &str = "urbanmine_database_size_bytes";
/// Entries under the newest checkpoint that a quorum of witnesses cosigned.
pub const COSIGNED_ENTRIES: &str = "urbanmine_cosigned_entries";
/// 1, with the version as a label.
pub const BUILD: &str = "urbanmine_build_info";

/// Every metric with what it says, in the order of the names.
pub const ALL: [(&str, &str); 18] = [
    (APPEND_SECONDS, "Time of a recorded append from the call to its receipts, in seconds."),
    (APPENDS_TOTAL, "Append calls by outcome: RECORDED, or the reason why not."),
    (BUILD, "1; the label says the version."),
    (CALL_SECONDS, "Time of a call until its answer begins, in seconds, by method."),
    (CALLS_IN_FLIGHT, "Calls that began and have no answer yet."),
    (CALLS_TOTAL, "Calls by method and gRPC code."),
    (CHECKPOINT_AGE, "Seconds since the newest entry under the last checkpoint was recorded."),
    (COMMIT_SECONDS, "Time of a commit group from the journal to the head guard, in seconds."),
    (COSIGNED_ENTRIES, "Entries under the newest checkpoint with a quorum of cosignatures."),
    (DATABASE_BYTES, "Bytes of the database's files."),
    (GROUP_ENTRIES, "Entries of a commit group."),
    (JOURNAL_SYNC_SECONDS, "Time of the journal's fdatasync, in seconds."),
    (ENTRIES, "Entries under the last checkpoint."),
    (MAILBOX_DEPTH, "Requests that wait for the writer."),
    (RESIDENT, "Bytes of resident memory of the process."),
    (REFUSALS_TOTAL, "Refused calls by reason; BUSY and the like are limits."),
    (WITNESS_ANSWERS_TOTAL, "What witnesses answered, by outcome; saw-* are alarms of a fork."),
    (POISONED, "1 after a failed write, until a restart; 0 else."),
];

/// Upper bounds of the buckets of times, in seconds.
const TIMES: [f64; 12] =
    [0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0];
/// Upper bounds of the buckets of groups, in entries; the last is the largest group.
const GROUPS: [f64; 8] = [1.0, 2.0, 8.0, 32.0, 128.0, 256.0, 512.0, 1_024.0];

/// Why there are no metrics.
#[derive(Debug, thiserror::Error)]
pub enum MeasureFault {
    /// Other machines could read them, and nobody said so.
    #[error(
        "{address} can be reached from other machines, and metrics ask nobody who they are; \
         metrics.beyond_loopback = true allows it"
    )]
    NotLoopback {
        /// What was asked for.
        address: SocketAddr,
    },
    /// The address cannot be had.
    #[error("cannot listen on {address} for metrics")]
    Bind {
        /// What was asked for.
        address: SocketAddr,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// Something else in this process measures already.
    #[error("metrics cannot be started: {0}")]
    Recorder(String),
}

/// Whether the metrics may be read from other machines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// This machine alone.
    Loopback,
    /// Whoever gets there.
    Anywhere,
}

/// The listener for metrics, and what gathers them.
pub struct Measure {
    socket: TcpListener,
    address: SocketAddr,
    numbers: PrometheusHandle,
}

impl Measure {
    /// Listens, and measures from now on.
    pub async fn bind(address: SocketAddr, reach: Reach) -> Result<Self, MeasureFault> {
        if reach == Reach::Loopback && !is_loopback(address.ip()) {
            return Err(MeasureFault::NotLoopback { address });
        }
        let failed = |source| MeasureFault::Bind { address, source };
        let socket = TcpListener::bind(address).await.map_err(failed)?;
        let address = socket.local_addr().map_err(failed)?;
        Ok(Self { socket, address, numbers: install()? })
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until it is dropped. A few connections at a time, each for a few seconds.
    pub async fn serve(self, node: Node) {
        let Self { socket, numbers, .. } = self;
        let seats = Arc::new(Semaphore::new(MAX_METRICS_CONNECTIONS));
        // What histograms gather between two readings is folded up; nobody has to read.
        let mut upkeep = tokio::time::interval(Duration::from_secs(METRICS_UPKEEP_SECONDS));
        loop {
            let accepted = tokio::select! {
                _ = upkeep.tick() => {
                    numbers.run_upkeep();
                    continue;
                }
                accepted = socket.accept() => accepted,
            };
            let Ok((stream, _)) = accepted else {
                // Out of descriptors, say: the next try is not at once.
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            };
            let Ok(seat) = Arc::clone(&seats).try_acquire_owned() else { continue };
            let (node, numbers) = (node.clone(), numbers.clone());
            tokio::spawn(async move {
                answer(stream, node, numbers).await;
                drop(seat);
            });
        }
    }
}

async fn answer(stream: TcpStream, node: Node, numbers: PrometheusHandle) {
    let longest = Duration::from_secs(MAX_METRICS_SECONDS);
    let service = hyper::service::service_fn(move |request: Request<hyper::body::Incoming>| {
        let (node, numbers) = (node.clone(), numbers.clone());
        async move {
            let is_ours = request.method() == Method::GET && request.uri().path() == "/metrics";
            Ok::<_, Infallible>(if is_ours { text(node, numbers).await } else { elsewhere() })
        }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(longest)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    // What goes wrong on this connection is the reader's.
    let _ = tokio::time::timeout(longest, connection).await;
}

async fn text(node: Node, numbers: PrometheusHandle) -> Response<Full<Bytes>> {
    let sampled = tokio::task::spawn_blocking(move || {
        sample(&node);
        numbers.run_upkeep();
        numbers.render()
    });
    let (status, text) = match sampled.await {
        Ok(text) => (StatusCode::OK, text),
        Err(_) => (StatusCode::INTERNAL_SERVER_ERROR, String::new()),
    };
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    let kind = http::HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(http::header::CONTENT_TYPE, kind);
    response
}

fn elsewhere() -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from_static(b"/metrics is here\n")));
    *response.status_mut() = StatusCode::NOT_FOUND;
    response
}

fn install() -> Result<PrometheusHandle, MeasureFault> {
    let fault = |fault: &dyn std::error::Error| MeasureFault::Recorder(fault.to_string());
    let mut builder = PrometheusBuilder::new();
    for name in [APPEND_SECONDS, CALL_SECONDS, COMMIT_SECONDS, JOURNAL_SYNC_SECONDS] {
        let matcher = Matcher::Full(name.to_owned());
        builder = builder.set_buckets_for_metric(matcher, &TIMES).map_err(|it| fault(&it))?;
    }
    let matcher = Matcher::Full(GROUP_ENTRIES.to_owned());
    builder = builder.set_buckets_for_metric(matcher, &GROUPS).map_err(|it| fault(&it))?;
    let recorder = builder.build_recorder();
    let numbers = recorder.handle();
    metrics::set_global_recorder(recorder).map_err(|it| fault(&it))?;
    for (name, says) in ALL {
        match name {
            APPENDS_TOTAL | CALLS_TOTAL | REFUSALS_TOTAL | WITNESS_ANSWERS_TOTAL => {
                metrics::describe_counter!(name, says);
            }
            APPEND_SECONDS | CALL_SECONDS | COMMIT_SECONDS | JOURNAL_SYNC_SECONDS
            | GROUP_ENTRIES => metrics::describe_histogram!(name, says),
            _ => metrics::describe_gauge!(name, says),
        }
    }
    let version = env!("CARGO_PKG_VERSION");
    metrics::gauge!(BUILD, "version" => version).set(1);
    metrics::gauge!(CALLS_IN_FLIGHT).set(0);
    // There from the beginning, so that an alarm is a step and not a new line.
    for outcome in WITNESS_OUTCOMES {
        metrics::counter!(WITNESS_ANSWERS_TOTAL, "outcome" => outcome).increment(0);
    }
    Ok(numbers)
}

/// Reads what is not counted as it happens. What cannot be read keeps its last value.
fn sample(node: &Node) {
    let reader = node.reader();
    metrics::gauge!(MAILBOX_DEPTH).set(narrow(node.mailbox_depth() as u64));
    metrics::gauge!(ENTRIES).set(narrow(reader.size().0));
    metrics::gauge!(POISONED).set(u8::from(node.is_poisoned()));
    let cosigned = reader.cosigned().map_or(0, |cosigned| cosigned.size.0);
    metrics::gauge!(COSIGNED_ENTRIES).set(narrow(cosigned));
    if let Ok(at) = reader.last_recorded_at() {
        let age_s = reader.now().get().saturating_sub(at.get()) / 1_000;
        metrics::gauge!(CHECKPOINT_AGE).set(narrow(age_s));
    }
    if let Ok(bytes) = reader.database_bytes() {
        metrics::gauge!(DATABASE_BYTES).set(narrow(bytes));
    }
    if let Some(bytes) = resident_bytes() {
        metrics::gauge!(RESIDENT).set(narrow(bytes));
    }
}

/// A count as Prometheus has it: exact up to 2^53.
#[expect(clippy::cast_precision_loss, reason = "the format of metrics has no other number")]
const fn narrow(count: u64) -> f64 {
    count as f64
}

/// From `/proc`; `None` where there is none.
fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1_024)
}
