//! Sends the load, and measures from outside what a client sees.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::bail;
use bytes::Bytes;
use tokio::task::JoinSet;

use super::super::client::{AccessArgs, Client, Refused};
use crate::limits::{BENCH_BATCHES_IN_FLIGHT, BENCH_CONNECTIONS, MAX_BATCH_EVENTS};
use crate::wire::v1;

/// Connections to one node: a window of 256 KiB on each, as the node gives it, holds two batches.
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

    /// The one of a number.
    fn line(&self, number: usize) -> Client {
        self.0[number % self.0.len()].clone()
    }

    /// Any one, for what is not measured.
    pub(super) fn first(&self) -> Client {
        self.line(0)
    }
}

/// Sends events in batches of 256, several at a time; how long all of them took until the last
/// was acknowledged.
pub(super) async fn batches(lines: &Lines, events: &[Bytes]) -> anyhow::Result<Duration> {
    let batches: Vec<Vec<Bytes>> = events.chunks(MAX_BATCH_EVENTS).map(<[_]>::to_vec).collect();
    let (batches, next) = (Arc::new(batches), Arc::new(AtomicUsize::new(0)));
    let mut senders = JoinSet::new();
    let begun = Instant::now();
    for number in 0..BENCH_BATCHES_IN_FLIGHT {
        let (mut client, batches, next) = (lines.line(number), batches.clone(), next.clone());
        senders.spawn(async move {
            // Ends with the batches.
            while let Some(batch) = batches.get(next.fetch_add(1, Ordering::Relaxed)) {
                send_batch(&mut client, batch.clone()).await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(sender) = senders.join_next().await {
        sender??;
    }
    Ok(begun.elapsed())
}

async fn send_batch(client: &mut Client, envelopes: Vec<Bytes>) -> anyhow::Result<()> {
    let (sent, request) =
        (envelopes.len(), v1::BatchAppendEventsRequest { envelopes, validate_only: false });
    let reply = client.ledger.batch_append_events(request).await;
    let appended = reply.map_err(|status| Refused::of(&status))?.into_inner().appended;
    let new = appended.iter().filter(|it| !it.was_recorded_before).count();
    if new != sent {
        bail!("{new} of {sent} events were new: this seed was used on this ledger before");
    }
    Ok(())
}
