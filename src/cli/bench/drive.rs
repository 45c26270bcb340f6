//! Sends the load, and measures from outside what a client sees.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use bytes::Bytes;
use hdrhistogram::Histogram;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::super::client::{AccessArgs, Client, Refused};
use crate::domain::LotId;
use crate::limits::{
    BENCH_BATCHES_IN_FLIGHT, BENCH_CALL_SECONDS, BENCH_CONNECTIONS, BENCH_SINGLES_IN_FLIGHT,
    MAX_BATCH_EVENTS, MAX_BENCH_TRIES,
};
use crate::wire::v1;

/// Latencies in microseconds.
pub(super) type Latencies = Histogram<u64>;

/// Connections to one node: the window of 256 KiB that it gives each of them holds two batches, and
/// of 128 streams two take all single appends.
#[derive(Clone)]
pub(super) struct Lines(Vec<Client>);

impl Lines {
    pub(super) async fn open(url: &str, access: &AccessArgs) -> anyhow::Result<Self> {
        let mut lines = Vec::with_capacity(BENCH_CONNECTIONS);
        for _ in 0..BENCH_CONNECTIONS {
            lines.push(Client::connect_with(url, access).await?);
        }
        Ok(Self(lines))
    }

    fn line(&self, number: usize) -> Client {
        self.0[number % self.0.len()].clone()
    }

    /// Which ledger this is.
    pub(super) async fn ledger(&self) -> anyhow::Result<v1::Ledger> {
        let reply = self.line(0).ledger.get_ledger(v1::GetLedgerRequest {}).await;
        let ledger = reply.map_err(|it| Refused::of(&it))?.into_inner().ledger;
        ledger.context("the server names no ledger")
    }

    /// Bytes of the entry of an index.
    pub(super) async fn entry_bytes(&self, entry_index: u64) -> anyhow::Result<u64> {
        let reply = self.line(0).ledger.get_entry(v1::GetEntryRequest { entry_index }).await;
        let entry = reply.map_err(|it| Refused::of(&it))?.into_inner().entry;
        Ok(entry.map_or(0, |it| it.entry.len() as u64))
    }
}

/// An empty histogram: from a microsecond to the longest that a call may take, to three digits.
pub(super) fn latencies() -> anyhow::Result<Latencies> {
    Ok(Latencies::new_with_bounds(1, BENCH_CALL_SECONDS * 1_000_000, 3)?)
}

fn keep(latencies: &mut Latencies, took: Duration) {
    latencies.saturating_record(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
}

/// What was sent, and acknowledged.
#[derive(Default)]
pub(super) struct Sent {
    /// Until the last was acknowledged.
    pub(super) took: Duration,
    /// Times that the node was too busy and was asked again.
    pub(super) retries: usize,
}

/// Events as batches of 256.
pub(super) fn in_batches(events: &[Bytes]) -> Vec<Vec<Bytes>> {
    events.chunks(MAX_BATCH_EVENTS).map(<[_]>::to_vec).collect()
}

/// Sends batches, several at a time. All of their events have to be new.
pub(super) async fn batches(lines: &Lines, batches: Vec<Vec<Bytes>>) -> anyhow::Result<Sent> {
    let (batches, next) = (Arc::new(batches), Arc::new(AtomicUsize::new(0)));
    let mut senders = JoinSet::new();
    let begun = Instant::now();
    for number in 0..BENCH_BATCHES_IN_FLIGHT {
        let (mut client, batches, next) = (lines.line(number), batches.clone(), next.clone());
        senders.spawn(async move {
            let mut retries = 0;
            // Ends with the batches.
            while let Some(batch) = batches.get(next.fetch_add(1, Ordering::Relaxed)) {
                let (new, again) = send_batch(&mut client, batch).await?;
                check_new(new, batch.len())?;
                retries += again;
            }
            anyhow::Ok(retries)
        });
    }
    let retries = all(senders).await?;
    Ok(Sent { took: begun.elapsed(), retries })
}

/// Sends events one by one, so many in flight at all times.
pub(super) async fn singles(lines: &Lines, events: Vec<Bytes>) -> anyhow::Result<Sent> {
    let (events, next) = (Arc::new(events), Arc::new(AtomicUsize::new(0)));
    let mut senders = JoinSet::new();
    let begun = Instant::now();
    for number in 0..BENCH_SINGLES_IN_FLIGHT {
        let (mut client, events, next) = (lines.line(number), events.clone(), next.clone());
        senders.spawn(async move {
            let mut retries = 0;
            // Ends with the events.
            while let Some(event) = events.get(next.fetch_add(1, Ordering::Relaxed)) {
                retries += send_one(&mut client, event.clone()).await?;
            }
            anyhow::Ok(retries)
        });
    }
    let retries = all(senders).await?;
    Ok(Sent { took: begun.elapsed(), retries })
}

/// Sends events one by one, each when its time has come, whether or not others are answered; how
/// long after that time each was acknowledged. So a node that stands still is not asked less.
pub(super) async fn paced(
    lines: &Lines,
    events: Vec<Bytes>,
    gap: Duration,
) -> anyhow::Result<Latencies> {
    let (lines, runtime) = (lines.clone(), tokio::runtime::Handle::current());
    // On a thread of its own: the runtime's clock ticks in milliseconds.
    let calls = tokio::task::spawn_blocking(move || {
        let (mut calls, places) =
            (JoinSet::new(), Arc::new(Semaphore::new(BENCH_SINGLES_IN_FLIGHT)));
        let begun = Instant::now();
        for (number, event) in (0_u32..).zip(events) {
            let planned = begun + gap * number;
            std::thread::sleep(planned.saturating_duration_since(Instant::now()));
            let place = runtime.block_on(places.clone().acquire_owned());
            let mut client = lines.line(number as usize);
            let call = async move {
                let done = send_one(&mut client, event).await;
                drop(place);
                done.map(|_| planned.elapsed())
            };
            calls.spawn_on(call, &runtime);
        }
        calls
    });
    let (mut calls, mut measured) = (calls.await?, latencies()?);
    while let Some(took) = calls.join_next().await {
        keep(&mut measured, took??);
    }
    Ok(measured)
}

/// Sends batches until half of them are acknowledged, then calls back; which were acknowledged.
/// What happens to the others is not told: the node is gone.
pub(super) async fn interrupted(
    lines: &Lines,
    batches: Vec<Vec<Bytes>>,
    interrupt: impl FnOnce(),
) -> Vec<usize> {
    let half = batches.len() / 2;
    let (batches, next) = (Arc::new(batches), Arc::new(AtomicUsize::new(0)));
    let (tell, mut told) = tokio::sync::mpsc::channel(BENCH_BATCHES_IN_FLIGHT);
    for number in 0..BENCH_BATCHES_IN_FLIGHT {
        let (mut client, batches, next) = (lines.line(number), batches.clone(), next.clone());
        let tell = tell.clone();
        tokio::spawn(async move {
            let mut place = next.fetch_add(1, Ordering::Relaxed);
            while let Some(batch) = batches.get(place) {
                let done = send_batch(&mut client, batch).await;
                if done.is_err() || tell.send(place).await.is_err() {
                    return;
                }
                place = next.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    drop(tell);
    let (mut acknowledged, mut interrupt) = (Vec::new(), Some(interrupt));
    while let Some(place) = told.recv().await {
        acknowledged.push(place);
        if acknowledged.len() >= half
            && let Some(interrupt) = interrupt.take()
        {
            interrupt();
        }
    }
    acknowledged
}

/// Sends the batches of an interrupted burst again; those that were acknowledged have to be there.
pub(super) async fn again(
    lines: &Lines,
    batches: &[Vec<Bytes>],
    acknowledged: &[usize],
) -> anyhow::Result<()> {
    let mut client = lines.line(0);
    for (place, batch) in batches.iter().enumerate() {
        let (new, _) = send_batch(&mut client, batch).await?;
        if new > 0 && acknowledged.contains(&place) {
            bail!("{new} events were acknowledged before kill -9, and are not there after it");
        }
    }
    Ok(())
}

/// Asks for inclusion proofs under the latest size, one after the other.
pub(super) async fn proofs(
    lines: &Lines,
    indexes: &[u64],
    tree_size: u64,
) -> anyhow::Result<Latencies> {
    let (mut client, mut measured) = (lines.line(0), latencies()?);
    for &entry_index in indexes {
        let begun = Instant::now();
        let request = v1::GetInclusionProofRequest { entry_index, tree_size };
        let reply = client.ledger.get_inclusion_proof(request).await;
        keep(&mut measured, begun.elapsed());
        reply.map_err(|it| Refused::of(&it))?;
    }
    Ok(measured)
}

/// Asks for lots, one after the other.
pub(super) async fn lots(lines: &Lines, ids: &[LotId]) -> anyhow::Result<Latencies> {
    let (mut client, mut measured) = (lines.line(0), latencies()?);
    for id in ids {
        let lot_id = Bytes::copy_from_slice(id.as_bytes());
        let begun = Instant::now();
        let reply = client.lots.get_lot(v1::GetLotRequest { lot_id }).await;
        keep(&mut measured, begun.elapsed());
        reply.map_err(|it| Refused::of(&it))?;
    }
    Ok(measured)
}

/// The retries of all senders; the first fault ends them.
async fn all(mut senders: JoinSet<anyhow::Result<usize>>) -> anyhow::Result<usize> {
    let mut retries = 0;
    while let Some(sender) = senders.join_next().await {
        retries += sender??;
    }
    Ok(retries)
}

/// How many were new, and how often the node was busy before.
async fn send_batch(client: &mut Client, batch: &[Bytes]) -> anyhow::Result<(usize, usize)> {
    let request = v1::BatchAppendEventsRequest { envelopes: batch.to_vec(), validate_only: false };
    let mut tries = Tries::default();
    loop {
        let call = client.ledger.batch_append_events(request.clone());
        if let Some(reply) = tries.answer(call).await? {
            let new = reply.appended.iter().filter(|it| !it.was_recorded_before).count();
            return Ok((new, tries.0));
        }
    }
}

async fn send_one(client: &mut Client, envelope: Bytes) -> anyhow::Result<usize> {
    let request = v1::AppendEventRequest { envelope, validate_only: false };
    let mut tries = Tries::default();
    loop {
        if let Some(reply) = tries.answer(client.ledger.append_event(request.clone())).await? {
            let is_new = reply.appended.is_some_and(|it| !it.was_recorded_before);
            check_new(usize::from(is_new), 1)?;
            return Ok(tries.0);
        }
    }
}

fn check_new(new: usize, sent: usize) -> anyhow::Result<()> {
    if new != sent {
        bail!("{new} of {sent} events were new: this seed was used on this ledger before");
    }
    Ok(())
}

fn is_busy(status: &tonic::Status) -> bool {
    status.code() == tonic::Code::ResourceExhausted
}

/// How often a node was too busy.
#[derive(Default)]
struct Tries(usize);

impl Tries {
    /// The answer; none when the node was busy and a moment has passed.
    async fn answer<T>(
        &mut self,
        call: impl Future<Output = Result<tonic::Response<T>, tonic::Status>>,
    ) -> anyhow::Result<Option<T>> {
        let limit = Duration::from_secs(BENCH_CALL_SECONDS);
        let answer = tokio::time::timeout(limit, call).await;
        let answer = answer.with_context(|| format!("no answer in {BENCH_CALL_SECONDS} s"))?;
        match answer {
            Ok(reply) => Ok(Some(reply.into_inner())),
            Err(status) if is_busy(&status) && self.0 < MAX_BENCH_TRIES => {
                self.0 += 1;
                tokio::time::sleep(Duration::from_millis(1)).await;
                Ok(None)
            }
            Err(status) => Err(Refused::of(&status).into()),
        }
    }
}
