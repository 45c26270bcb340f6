//! The task behind a watch.

use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};

use super::super::desk::Desk;
use super::super::errors::{Failure, WatchEnd};
use super::Span;
use super::queue::{Parcel, Queue};
use crate::domain::{EntryCount, EntryIndex};
use crate::ledger::{Entry, EntryKind, Envelope};
use crate::limits::{MAX_WATCH_BATCH_ENTRIES, MAX_WATCH_STALL_SECONDS};
use crate::node::{EntryFilter, Matches, ReadFault, Reader};
use crate::wire::v1;
use crate::wire::v1::watch_entries_response::Message;

const STALL: Duration = Duration::from_secs(MAX_WATCH_STALL_SECONDS);

/// What a watch knows.
pub(super) struct Pump {
    pub(super) desk: Desk,
    pub(super) filter: EntryFilter,
    /// Everything before it was looked at, and what matches handed over.
    pub(super) next: EntryIndex,
    pub(super) queue: Queue,
    pub(super) growth: watch::Receiver<EntryCount>,
    pub(super) stopping: watch::Receiver<bool>,
    pub(super) span: Span,
    pub(super) heartbeat: Duration,
}

/// Why the task stops.
enum Stop {
    /// Nobody listens any more.
    Gone,
    /// The watch ends behind what waits.
    End(WatchEnd),
    /// The watch ends now: what waits is dropped.
    Cut(WatchEnd),
    /// Something of ours failed.
    Failed(Failure),
}

impl Pump {
    /// Works until the watch ends. Its reader gets what waits, and then why.
    pub(super) async fn run(mut self) {
        let Err(stop) = self.work().await;
        match stop {
            Stop::Gone => {}
            Stop::Failed(failure) => self.queue.end(failure),
            Stop::Cut(why) => self.cut(why),
            Stop::End(why) => {
                self.queue.end(Failure::Watch { why, resume_from: self.next });
                // Whoever does not fetch the rest is cut off like any other.
                if timeout(STALL, self.all_taken()).await.is_err() {
                    self.cut(WatchEnd::TooSlow);
                }
            }
        }
    }

    async fn work(&mut self) -> Result<std::convert::Infallible, Stop> {
        let mut beats_at = Instant::now();
        loop {
            self.check()?;
            if Instant::now() >= beats_at {
                self.beat().await?;
                beats_at = Instant::now() + self.heartbeat;
            }
            let size = *self.growth.borrow_and_update();
            if self.next.0 < size.0 {
                self.catch_up().await?;
                continue;
            }
            let wakes_at = beats_at.min(self.span.ends_at);
            tokio::select! {
                // The sender lives as long as the node, which the desk holds.
                _ = self.growth.changed() => {}
                _ = self.stopping.wait_for(|is_stopping| *is_stopping) => {}
                () = sleep_until(wakes_at) => {}
                () = self.queue.taken() => {}
            }
        }
    }

    /// Whether it is time to end.
    fn check(&self) -> Result<(), Stop> {
        if self.queue.is_gone() {
            return Err(Stop::Gone);
        }
        // Whoever would say that the service stops may be gone with it.
        if *self.stopping.borrow() || self.stopping.has_changed().is_err() {
            return Err(Stop::End(WatchEnd::Shutdown));
        }
        if Instant::now() >= self.span.ends_at {
            return Err(Stop::End(self.span.why));
        }
        Ok(())
    }

    /// A few entries more. `next` goes on with each that is handed over, so it is right wherever
    /// this ends.
    async fn catch_up(&mut self) -> Result<(), Stop> {
        let (filter, from) = (self.filter.clone(), self.next);
        let read = self.desk.read(move |reader| messages(reader, &filter, from)).await;
        let (parcels, next) = read.map_err(Stop::Failed)?;
        for parcel in parcels {
            let behind = parcel.resume_from.next();
            self.hand_over(parcel).await?;
            self.next = behind;
        }
        self.next = next;
        Ok(())
    }

    async fn beat(&mut self) -> Result<(), Stop> {
        let read = self.desk.read(|reader| match reader.checkpoint() {
            Ok(checkpoint) => Ok(checkpoint.text().to_owned()),
            Err(ReadFault::Empty) => Ok(String::new()),
            Err(fault) => Err(fault.into()),
        });
        let checkpoint = read.await.map_err(Stop::Failed)?;
        let heartbeat = v1::WatchHeartbeat { checkpoint, next_entry_index: self.next.0 };
        let message = v1::WatchEntriesResponse { message: Some(Message::Heartbeat(heartbeat)) };
        self.hand_over(Parcel { resume_from: self.next, message }).await
    }

    /// Waits for room as long as a reader may take, and no longer than the watch.
    async fn hand_over(&mut self, parcel: Parcel) -> Result<(), Stop> {
        let mut left = parcel;
        let gives_up_at = Instant::now() + STALL;
        loop {
            match self.queue.offer(left) {
                None => return Ok(()),
                Some(back) => left = back,
            }
            let wakes_at = gives_up_at.min(self.span.ends_at);
            tokio::select! {
                () = self.queue.taken() => {}
                _ = self.stopping.wait_for(|is_stopping| *is_stopping) => {
                    return Err(Stop::Cut(WatchEnd::Shutdown));
                }
                () = sleep_until(wakes_at) => {
                    let is_slow = gives_up_at <= self.span.ends_at;
                    let why = if is_slow { WatchEnd::TooSlow } else { self.span.why };
                    return Err(Stop::Cut(why));
                }
            }
            if self.queue.is_gone() {
                return Err(Stop::Gone);
            }
        }
    }

    async fn all_taken(&self) {
        // Each round waits for the reader to take something, and there are few messages.
        while !self.queue.is_empty() && !self.queue.is_gone() {
            self.queue.taken().await;
        }
    }

    /// The memory goes back at once; the reader learns of it when it reads again.
    fn cut(&self, why: WatchEnd) {
        let resume_from = self.queue.drop_waiting(self.next);
        self.queue.end(Failure::Watch { why, resume_from });
    }
}

fn messages(
    reader: &Reader,
    filter: &EntryFilter,
    from: EntryIndex,
) -> Result<(Vec<Parcel>, EntryIndex), Failure> {
    let Matches { entries, next } = reader.matching(filter, from, MAX_WATCH_BATCH_ENTRIES)?;
    let mut parcels = Vec::with_capacity(entries.len());
    for (index, bytes) in entries {
        let message = v1::WatchEntriesResponse { message: Some(watched(index, bytes)?) };
        parcels.push(Parcel { resume_from: index, message });
    }
    Ok((parcels, next))
}

/// An entry, and what its event is: nothing of it is told that the bytes do not say.
fn watched(index: EntryIndex, bytes: Bytes) -> Result<Message, Failure> {
    let broken = |rule: String| Failure::Read(ReadFault::Entry(rule));
    let parsed = Entry::parse(&bytes).map_err(|fault| broken(fault.to_string()))?;
    let mut told = v1::WatchedEntry {
        entry_index: index.0,
        entry: bytes,
        recorded_at_ms: parsed.recorded_at.get(),
        ..v1::WatchedEntry::default()
    };
    if parsed.kind == EntryKind::Event {
        let envelope = Envelope::parse(&parsed.envelope).map_err(|it| broken(it.to_string()))?;
        let event = crate::wire::decode_event(&envelope.payload);
        let event = event.map_err(|fault| broken(fault.to_string()))?;
        told.event_id = super::super::convert::raw(event.id.as_bytes());
        told.kind = event.body.kind().number().into();
    }
    Ok(Message::Entry(told))
}
