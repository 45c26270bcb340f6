//! The reply of a streaming call as lines of JSON (NDJSON): one message a line, and an error, when
//! the stream ends with one, as the last line.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use hyper::body::Frame;
use prost_reflect::MessageDescriptor;
use tonic::Status;
use tonic::body::Body;

use super::encode;
use super::grpc::{status_of, take_message};
use super::refusal;

/// The lines. Holds at most one message and what came of the next: it asks for more only when the
/// client has taken what is there.
pub(super) struct Lines {
    descriptor: MessageDescriptor,
    body: Body,
    buffer: BytesMut,
    has_ended: bool,
}

impl Lines {
    pub(super) fn new(descriptor: MessageDescriptor, body: Body) -> Self {
        Self { descriptor, body, buffer: BytesMut::new(), has_ended: false }
    }

    fn line(&mut self) -> Result<Option<String>, Status> {
        let Some(message) = take_message(&mut self.buffer)? else { return Ok(None) };
        let line = encode::text(&self.descriptor, &message);
        line.map(Some).map_err(|fault| Status::internal(fault.to_string()))
    }

    fn last_line(&mut self, status: &Status) -> Frame<Bytes> {
        self.has_ended = true;
        Frame::data(format!("{}\n", refusal::text(status)).into())
    }
}

impl hyper::body::Body for Lines {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        // Each round takes a frame off the body, which ends.
        while !self.has_ended {
            match self.line() {
                Ok(Some(line)) => return Poll::Ready(Some(Ok(Frame::data((line + "\n").into())))),
                Ok(None) => {}
                Err(status) => return Poll::Ready(Some(Ok(self.last_line(&status)))),
            }
            match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.buffer.extend_from_slice(&data),
                    Err(frame) => {
                        if let Some(status) = frame.trailers_ref().and_then(status_of) {
                            return Poll::Ready(Some(Ok(self.last_line(&status))));
                        }
                    }
                },
                Some(Err(status)) => return Poll::Ready(Some(Ok(self.last_line(&status)))),
                None => self.has_ended = true,
            }
        }
        Poll::Ready(None)
    }
}
