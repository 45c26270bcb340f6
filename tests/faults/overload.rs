//! (h) Three times the load that it can carry: what it acknowledges in time stays at nine tenths
//! of the peak, and its memory is flat.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use tokio::task::JoinSet;
use urbanmine::wire::v1;

use crate::Plan;
use crate::load::{Answer, Ledger, answer_of, ledger_at};
use crate::report::Seen;
use crate::world::{Server, Shared};

/// Events of a call: callers share the machine with the node, so their part has to be small.
const BATCH: usize = 32;
/// Connections of the callers.
const CONNECTIONS: usize = 16;
/// Calls under way while the peak is looked for.
const CLOSED: [usize; 4] = [2, 4, 8, 16];
/// How often the load is what the node can carry.
const TIMES: f64 = 3.0;
/// How long a caller waits: an answer after it is of no use to anybody.
const DEADLINES: [Duration; 2] = [Duration::from_secs(2), Duration::from_millis(500)];
/// What has to be left of the peak.
const GOODPUT: f64 = 0.9;
/// The same in the short form: five seconds on a machine with neighbours, whose callers take the
/// node's own cores. What it has to notice is a collapse.
const SHORT_GOODPUT: f64 = 0.5;
/// Memory that may come on top of what entries need.
const MAX_GROWTH_BYTES: u64 = 64 << 20;

#[derive(Debug, Default)]
struct Counts {
    offered: AtomicU64,
    good: AtomicU64,
    refused: AtomicU64,
    refused_without_hint: AtomicU64,
    late: AtomicU64,
    other: AtomicU64,
}

struct Phase {
    rate: f64,
    offered: f64,
    growth_bytes: u64,
    refused: u64,
    late: u64,
}

pub async fn run(world: &Shared, plan: &Plan) -> Result<Seen> {
    let seconds = if plan.is_long() { 15 } else { 5 };
    let span = Duration::from_secs(seconds);
    let place = world.place("overloaded")?;
    let server = world.start(&place)?;
    let peak = peak(world, &server, Duration::from_secs(seconds.min(6))).await?;
    let mut told = vec![format!("peak {peak:.0} events/s in calls of {BATCH}")];
    for deadline in DEADLINES {
        let phase = overload(world, &server, peak, span, deadline).await?;
        told.push(format!(
            "deadline {} ms: offered {:.0}/s, in time {:.0}/s ({:.0} %), {} calls refused with a \
             hint, {} late, memory +{} MiB",
            deadline.as_millis(),
            phase.offered,
            phase.rate,
            100.0 * phase.rate / peak,
            phase.refused,
            phase.late,
            phase.growth_bytes >> 20,
        ));
        let told = told.join("; ");
        let (load, left) = if plan.is_long() { (2.0, GOODPUT) } else { (1.0, SHORT_GOODPUT) };
        ensure!(phase.offered > load * peak, "the callers were too slow: {told}");
        ensure!(phase.rate >= left * peak, "goodput fell: {told}");
        ensure!(phase.growth_bytes < MAX_GROWTH_BYTES, "memory grew: {told}");
    }
    // The ledger has grown: this is what the last of the rates is to be held against.
    let after = self::peak(world, &server, Duration::from_secs(seconds.min(6))).await?;
    told.push(format!("peak afterwards {after:.0}"));
    server.stop()?;
    world.verify(&place)?;
    place.remove()?;
    Ok(Seen::done(DEADLINES.len(), told.join("; ")))
}

/// The most that it carries: each caller sends the next call when the one before is answered.
async fn peak(world: &Shared, server: &Server, span: Duration) -> Result<f64> {
    let mut best = 0.0_f64;
    for callers in CLOSED {
        let batches = batches(world, 1_500);
        let counts = Arc::new(Counts::default());
        let queue = Arc::new(std::sync::Mutex::new(batches.into_iter()));
        let begun = Instant::now();
        let mut calls = JoinSet::new();
        for _ in 0..callers {
            let mut ledger = ledger_at(server.address);
            let (counts, queue) = (Arc::clone(&counts), Arc::clone(&queue));
            calls.spawn(async move {
                while begun.elapsed() < span {
                    let Some(batch) = queue.lock().unwrap().next() else { return };
                    call(&mut ledger, batch, Duration::from_secs(20), &counts).await;
                }
            });
        }
        calls.join_all().await;
        let seconds = begun.elapsed().as_secs_f64();
        let other = counts.other.load(Ordering::SeqCst);
        ensure!(other == 0, "{other} calls failed at the peak");
        best = best.max(rate(&counts.good, seconds));
    }
    Ok(best)
}

/// Calls come at their time, whatever became of those before.
async fn overload(
    world: &Shared,
    server: &Server,
    peak: f64,
    span: Duration,
    deadline: Duration,
) -> Result<Phase> {
    let pause = Duration::from_secs_f64(BATCH as f64 / (peak * TIMES));
    let count = (span.as_secs_f64() / pause.as_secs_f64()).ceil();
    // Signed before, so that the callers have nothing to do but to send.
    let batches = batches(world, count as usize);
    let ledgers = connections(server.address);
    let counts = Arc::new(Counts::default());
    let before = server.resident_bytes()?;
    let entries_before = size(&mut ledger_at(server.address)).await?;
    let begun = Instant::now();
    let mut calls = JoinSet::new();
    let mut due = tokio::time::interval(pause);
    due.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Burst);
    let mut highest = before;
    for (number, batch) in batches.into_iter().enumerate() {
        due.tick().await;
        let mut ledger = ledgers[number % CONNECTIONS].clone();
        let counts = Arc::clone(&counts);
        calls.spawn(async move { call(&mut ledger, batch, deadline, &counts).await });
        if number % 100 == 0 {
            highest = highest.max(server.resident_bytes()?);
        }
    }
    let offered_seconds = begun.elapsed().as_secs_f64();
    while calls.join_next().await.is_some() {}
    let seconds = begun.elapsed().as_secs_f64();
    highest = highest.max(server.resident_bytes()?);
    let without = counts.refused_without_hint.load(Ordering::SeqCst);
    ensure!(without == 0, "{without} refusals do not say when to come again");
    let other = counts.other.load(Ordering::SeqCst);
    ensure!(other == 0, "{other} calls failed otherwise");
    // What is recorded is kept in caches: that is not the load's.
    let entries = size(&mut ledger_at(server.address)).await? - entries_before;
    let growth_bytes = (highest - before.min(highest)).saturating_sub(entries * ENTRY_CACHE_BYTES);
    Ok(Phase {
        rate: rate(&counts.good, seconds),
        offered: rate(&counts.offered, offered_seconds),
        growth_bytes,
        refused: counts.refused.load(Ordering::SeqCst),
        late: counts.late.load(Ordering::SeqCst),
    })
}

/// What an entry with all its rows takes in the database's cache, until that is full.
const ENTRY_CACHE_BYTES: u64 = 4_096;

async fn size(ledger: &mut Ledger) -> Result<u64> {
    let reply = ledger.get_ledger(v1::GetLedgerRequest {}).await?;
    Ok(reply.into_inner().ledger.context("a ledger")?.size)
}

async fn call(ledger: &mut Ledger, envelopes: Vec<Bytes>, deadline: Duration, counts: &Counts) {
    let events = envelopes.len() as u64;
    counts.offered.fetch_add(events, Ordering::SeqCst);
    let message = v1::BatchAppendEventsRequest { envelopes, validate_only: false };
    let mut request = tonic::Request::new(message);
    request.set_timeout(deadline);
    let begun = Instant::now();
    match ledger.batch_append_events(request).await {
        Ok(_) if begun.elapsed() <= deadline => {
            counts.good.fetch_add(events, Ordering::SeqCst);
        }
        Ok(_) => drop(counts.late.fetch_add(1, Ordering::SeqCst)),
        Err(status) => {
            let is_late = begun.elapsed() + Duration::from_millis(20) >= deadline;
            let told = match answer_of(&status) {
                Answer::Refused { wait: Some(_), .. } => &counts.refused,
                Answer::Refused { wait: None, .. } => &counts.refused_without_hint,
                _ if is_late => &counts.late,
                _ => &counts.other,
            };
            told.fetch_add(1, Ordering::SeqCst);
        }
    }
}

fn connections(address: SocketAddr) -> Vec<Ledger> {
    (0..CONNECTIONS).map(|_| ledger_at(address)).collect()
}

fn batches(world: &Shared, count: usize) -> Vec<Vec<Bytes>> {
    let batch = || (0..BATCH).map(|_| world.event().envelope).collect();
    (0..count).map(|_| batch()).collect()
}

fn rate(events: &AtomicU64, seconds: f64) -> f64 {
    events.load(Ordering::SeqCst) as f64 / seconds
}
