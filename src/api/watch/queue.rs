//! The messages of a watch on their way: few, and dropped when their reader is cut off.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use prost::Message as _;
use tokio::sync::Notify;
use tokio_stream::Stream;
use tonic::Status;

use super::super::errors::Failure;
use super::super::gate::RequestId;
use super::places::Place;
use crate::domain::EntryIndex;
use crate::limits::{MAX_WATCH_BATCH_BYTES, MAX_WATCH_QUEUE_MESSAGES};
use crate::wire::v1;

/// A message, and where a reader that did not get it goes on.
#[derive(Debug)]
pub struct Parcel {
    /// Where to go on without it.
    pub resume_from: EntryIndex,
    /// The message.
    pub message: v1::WatchEntriesResponse,
}

/// The writing end.
#[derive(Debug)]
pub struct Queue(Arc<Shared>);

/// The reading end: the stream of the answer. The watch's place is given back with it, and not
/// before: what the transport still holds for a reader that stopped counts, too.
#[derive(Debug)]
pub struct Watching {
    shared: Arc<Shared>,
    _place: Place,
}

#[derive(Debug)]
struct Shared {
    request: RequestId,
    state: Mutex<State>,
    /// The reader took something, or is gone.
    taken: Notify,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<(usize, Parcel)>,
    bytes: usize,
    end: Option<Failure>,
    has_ended: bool,
    is_gone: bool,
    reader: Option<Waker>,
}

impl Shared {
    /// Held for a moment only, never while anybody waits.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn has_room(&self, bytes: usize) -> bool {
        let fits = self.bytes.saturating_add(bytes) <= MAX_WATCH_BATCH_BYTES
            && self.waiting.len() < MAX_WATCH_QUEUE_MESSAGES;
        self.waiting.is_empty() || fits
    }

    fn wake(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }
}

impl Queue {
    /// An empty one, with both ends.
    pub fn new(request: RequestId, place: Place) -> (Self, Watching) {
        let (state, taken) = (Mutex::default(), Notify::new());
        let shared = Arc::new(Shared { request, state, taken });
        (Self(Arc::clone(&shared)), Watching { shared, _place: place })
    }

    /// Hands a message over when there is room, or gives it back.
    pub fn offer(&self, parcel: Parcel) -> Option<Parcel> {
        let bytes = parcel.message.encoded_len();
        let mut state = self.0.state();
        if !state.has_room(bytes) {
            return Some(parcel);
        }
        state.bytes += bytes;
        state.waiting.push_back((bytes, parcel));
        state.wake();
        None
    }

    /// Whether nobody reads any more.
    pub fn is_gone(&self) -> bool {
        self.0.state().is_gone
    }

    /// Whether everything was taken.
    pub fn is_empty(&self) -> bool {
        self.0.state().waiting.is_empty()
    }

    /// Resolves after the reader took something or went away since the last time.
    pub async fn taken(&self) {
        self.0.taken.notified().await;
    }

    /// Ends the stream behind what waits.
    pub fn end(&self, end: Failure) {
        let mut state = self.0.state();
        state.end = Some(end);
        state.has_ended = true;
        state.wake();
    }

    /// Drops what waits; answers where to go on, `next` when nothing waited.
    pub fn drop_waiting(&self, next: EntryIndex) -> EntryIndex {
        let mut state = self.0.state();
        let first = state.waiting.front().map(|(_, parcel)| parcel.resume_from);
        state.waiting.clear();
        state.bytes = 0;
        first.unwrap_or(next)
    }
}

impl Stream for Watching {
    type Item = Result<v1::WatchEntriesResponse, Status>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut state = self.shared.state();
        if let Some((bytes, parcel)) = state.waiting.pop_front() {
            state.bytes = state.bytes.saturating_sub(bytes);
            drop(state);
            self.shared.taken.notify_one();
            return Poll::Ready(Some(Ok(parcel.message)));
        }
        if let Some(end) = state.end.take() {
            drop(state);
            return Poll::Ready(Some(Err(end.into_status(self.shared.request))));
        }
        if state.has_ended {
            return Poll::Ready(None);
        }
        state.reader = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        state.is_gone = true;
        state.waiting.clear();
        drop(state);
        self.shared.taken.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use tokio_stream::StreamExt as _;

    use super::super::places::Places;
    use super::*;
    use crate::api::errors::WatchEnd;
    use crate::api::identity::CallerKey;

    fn parcel(index: u64, bytes: usize) -> Parcel {
        let entry = v1::WatchedEntry {
            entry_index: index,
            entry: vec![0; bytes].into(),
            ..v1::WatchedEntry::default()
        };
        let message = v1::WatchEntriesResponse {
            message: Some(v1::watch_entries_response::Message::Entry(entry)),
        };
        Parcel { resume_from: EntryIndex(index), message }
    }

    fn queue() -> (Queue, Watching) {
        let place = Places::new().take(CallerKey::Nowhere).unwrap();
        Queue::new(RequestId(1), place)
    }

    #[tokio::test]
    async fn it_is_bounded_by_count_and_by_bytes_and_takes_one_of_any_size() {
        let (full, _reader) = queue();
        assert!(full.offer(parcel(0, 2 * MAX_WATCH_BATCH_BYTES)).is_none());
        assert!(full.offer(parcel(1, 1)).is_some());
        let (full, mut reader) = queue();
        let mut index = 0;
        while full.offer(parcel(index, 1)).is_none() {
            index += 1;
        }
        assert_eq!(index, MAX_WATCH_QUEUE_MESSAGES as u64);
        reader.next().await.unwrap().unwrap();
        full.taken().await;
        assert!(full.offer(parcel(index, 1)).is_none(), "there is room again");
    }

    #[tokio::test]
    async fn what_waits_comes_before_the_end_unless_it_was_dropped() {
        let (sender, mut reader) = queue();
        assert!(sender.offer(parcel(5, 1)).is_none());
        sender.end(Failure::Watch { why: WatchEnd::Age, resume_from: EntryIndex(6) });
        assert!(reader.next().await.unwrap().is_ok());
        assert_eq!(reader.next().await.unwrap().unwrap_err().code(), tonic::Code::Unavailable);
        assert!(reader.next().await.is_none());

        let (sender, mut reader) = queue();
        assert!(sender.offer(parcel(5, 1)).is_none() && sender.offer(parcel(7, 1)).is_none());
        assert_eq!(sender.drop_waiting(EntryIndex(9)), EntryIndex(5));
        assert_eq!(sender.drop_waiting(EntryIndex(9)), EntryIndex(9));
        sender.end(Failure::Watch { why: WatchEnd::TooSlow, resume_from: EntryIndex(5) });
        assert_eq!(reader.next().await.unwrap().unwrap_err().code(), tonic::Code::Aborted);
        drop(reader);
        sender.taken().await;
        assert!(sender.is_gone());
    }
}
