//! Replies on their way out: cut into pieces, counted until they are on the wire.
//!
//! A reply lies in memory until its caller has taken it, and callers may take their time. So a
//! piece owns what its bytes were set aside from, and gives it back when the transport has let go
//! of it, not when it was handed over; and every reply leaves a mark at its connection, which is
//! cut when nothing moves.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, SizeHint};

use super::line::{OpenCall, ReplyMark};
use crate::api::shares::{Keeping, NoRoom, Reserved};
use crate::limits::REPLY_PIECE_BYTES;

/// What carries a reply, whoever made it.
type Inner = axum::body::Body;

/// A reply's body.
pub struct Reply {
    inner: Inner,
    /// Set aside before the reply was made, for its first data.
    reserved: Reserved,
    /// Set aside for what the reply is made of, and held until the reply is gone.
    kept: Option<Reserved>,
    /// Cut off, not handed over yet.
    rest: Bytes,
    /// What comes after all data.
    trailers: Option<Frame<Bytes>>,
    /// Data that waits for its room.
    waiting: Option<(Bytes, Room)>,
    mark: Arc<ReplyMark>,
    /// The call is open as long as its reply.
    _call: OpenCall,
}

type Room = Pin<Box<dyn Future<Output = Result<Reserved, NoRoom>> + Send>>;

/// Bytes and what they were set aside from: both go together.
struct Owned {
    bytes: Box<[u8]>,
    _room: Reserved,
    _mark: Arc<ReplyMark>,
}

impl AsRef<[u8]> for Owned {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Reply {
    /// A body whose first data were reserved for.
    pub fn new(inner: Inner, reserved: Reserved, keeping: Keeping, call: OpenCall) -> Self {
        let mark = Arc::new(call.line().mark());
        let (reserved, kept) = match keeping {
            Keeping::ByItsBytes => (reserved, None),
            Keeping::ToItsEnd => (reserved.account().nothing(), Some(reserved)),
        };
        let (rest, trailers, waiting) = (Bytes::new(), None, None);
        Self { inner, reserved, kept, rest, trailers, waiting, mark, _call: call }
    }

    /// What data of so many bytes are set aside from, when that is there already. A reply that is
    /// made a piece at a time asks for no more than was kept for it: callers whose replies held
    /// all of a share, each waiting for a bit more of it, would wait for each other.
    fn room(&mut self, bytes: usize) -> Option<Reserved> {
        match self.kept {
            Some(_) => Some(self.reserved.account().nothing()),
            None => self.reserved.settle(bytes),
        }
    }

    fn own(&mut self, bytes: &Bytes, room: Reserved) {
        self.mark.begun();
        let mark = Arc::clone(&self.mark);
        // What a message was encoded into may be twice as large as the message, and is held as a
        // whole by any piece of it: so a copy that is exactly what was set aside for.
        let bytes = Box::from(bytes.as_ref());
        self.rest = Bytes::from_owner(Owned { bytes, _room: room, _mark: mark });
    }

    /// Holds data back until there is room for them.
    fn wait_with(&mut self, bytes: Bytes) {
        let (account, count) = (self.reserved.account().clone(), bytes.len());
        let room = Box::pin(async move { account.reserve(count).await });
        self.waiting = Some((bytes, room));
    }

    /// Lets go of what made the reply, when all of it is there: it keeps what it was encoded in.
    fn look_ahead(&mut self, cx: &mut Context<'_>) -> Result<(), axum::Error> {
        let Poll::Ready(frame) = Pin::new(&mut self.inner).poll_frame(cx) else { return Ok(()) };
        match frame.transpose()?.map(Frame::into_data) {
            Some(Ok(bytes)) => self.wait_with(bytes),
            Some(Err(trailers)) => {
                self.trailers = Some(trailers);
                self.inner = Inner::empty();
            }
            None => self.inner = Inner::empty(),
        }
        Ok(())
    }

    fn piece(&mut self) -> Bytes {
        self.mark.given();
        let count = self.rest.len().min(REPLY_PIECE_BYTES);
        let piece = self.rest.split_to(count);
        if self.rest.is_empty() {
            // An empty remainder would hold on to all of it.
            self.rest = Bytes::new();
        }
        piece
    }
}

impl HttpBody for Reply {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = &mut *self;
        if !this.rest.is_empty() {
            return Poll::Ready(Some(Ok(Frame::data(this.piece()))));
        }
        if let Some((_, room)) = &mut this.waiting {
            let room = ready!(room.as_mut().poll(cx));
            if let (Some((bytes, _)), Ok(room)) = (this.waiting.take(), room) {
                this.own(&bytes, room);
                return Poll::Ready(Some(Ok(Frame::data(this.piece()))));
            }
        }
        if let Some(trailers) = this.trailers.take() {
            return Poll::Ready(Some(Ok(trailers)));
        }
        let Poll::Ready(frame) = Pin::new(&mut this.inner).poll_frame(cx) else {
            // It is ours to go on, not its caller's.
            this.mark.ours();
            return Poll::Pending;
        };
        let Some(frame) = frame.transpose()? else { return Poll::Ready(None) };
        match frame.into_data() {
            Err(other) => Poll::Ready(Some(Ok(other))),
            Ok(bytes) if bytes.is_empty() => Poll::Ready(Some(Ok(Frame::data(bytes)))),
            Ok(bytes) => {
                let Some(room) = this.room(bytes.len()) else {
                    this.wait_with(bytes);
                    return self.poll_frame(cx);
                };
                this.own(&bytes, room);
                drop(bytes);
                if this.kept.is_none() {
                    this.look_ahead(cx)?;
                }
                Poll::Ready(Some(Ok(Frame::data(this.piece()))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        let has_more = !self.rest.is_empty() || self.waiting.is_some() || self.trailers.is_some();
        !has_more && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let held = self.rest.len() + self.waiting.as_ref().map_or(0, |(bytes, _)| bytes.len());
        let held = u64::try_from(held).unwrap_or(u64::MAX);
        let inner = self.inner.size_hint();
        let mut hint = SizeHint::new();
        if let Some(upper) = inner.upper() {
            hint.set_upper(upper.saturating_add(held));
        }
        hint.set_lower(inner.lower().saturating_add(held));
        hint
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply").finish_non_exhaustive()
    }
}
