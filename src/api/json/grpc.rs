//! Frames of gRPC: how a request goes in, and how the message of a reply comes out.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use http::HeaderMap;
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Frame;
use prost::Message;
use tonic::body::Body;
use tonic::{Code, Status};

use crate::limits::BUNDLE_REPLY_BYTES;

/// Not compressed 1, length 4.
pub(super) const FRAME_HEAD_BYTES: usize = 1 + 4;

/// A message as a request carries it.
pub(super) fn framed(message: &impl Message) -> Result<Bytes, Status> {
    let mut frame = BytesMut::new();
    let length = u32::try_from(message.encoded_len());
    frame.put_u8(0);
    frame.put_u32(length.map_err(|_| Status::internal("a message of 4 GiB"))?);
    message.encode(&mut frame).map_err(|_| Status::internal("a message is not written"))?;
    Ok(frame.freeze())
}

/// Takes the first whole message off what has come of a body, when there is one.
pub(super) fn take_message(buffer: &mut BytesMut) -> Result<Option<Bytes>, Status> {
    let Some((head, _)) = buffer.split_first_chunk::<FRAME_HEAD_BYTES>() else { return Ok(None) };
    let [compression, a, b, c, d] = *head;
    let length = usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(usize::MAX);
    if compression != 0 || length > BUNDLE_REPLY_BYTES {
        return Err(Status::internal("a frame of a reply is not one of ours"));
    }
    if buffer.len() < FRAME_HEAD_BYTES + length {
        return Ok(None);
    }
    buffer.advance(FRAME_HEAD_BYTES);
    Ok(Some(buffer.split_to(length).freeze()))
}

/// The one message of a unary reply.
pub(super) async fn unary_message(body: Body) -> Result<Bytes, Status> {
    let limited = Limited::new(body, FRAME_HEAD_BYTES + BUNDLE_REPLY_BYTES);
    let collected = limited.collect().await;
    let collected = collected.map_err(|_| Status::internal("a reply is longer than its limit"))?;
    if let Some(status) = collected.trailers().and_then(status_of) {
        return Err(status);
    }
    let mut buffer = BytesMut::from(collected.to_bytes());
    take_message(&mut buffer)?.ok_or_else(|| Status::internal("a reply has no message"))
}

/// The failure that headers or trailers tell.
pub(super) fn status_of(headers: &HeaderMap) -> Option<Status> {
    Status::from_header_map(headers).filter(|status| status.code() != Code::Ok)
}

/// A body that is made when the service asks for it: a caller that the gate refuses sends it to
/// nobody.
pub(super) struct Lazy<F> {
    frame: Option<Pin<Box<F>>>,
}

impl<F> Lazy<F> {
    pub(super) fn new(frame: F) -> Self {
        Self { frame: Some(Box::pin(frame)) }
    }
}

impl<F: Future<Output = Result<Bytes, Status>>> hyper::body::Body for Lazy<F> {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let Some(frame) = &mut self.frame else { return Poll::Ready(None) };
        let frame = ready!(frame.as_mut().poll(cx));
        self.frame = None;
        Poll::Ready(Some(frame.map(Frame::data)))
    }
}
