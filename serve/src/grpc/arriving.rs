//! The body of a call's request: it has so much time to come, and counts in the memory of bodies as it comes.

use super::convert::status;
use crate::access::Share;
use crate::failure::Failure;
use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Sleep, sleep};
use tonic::Status;

/// A body that arrives.
pub(super) struct Arriving<B = Incoming> {
    body: B,
    share: Share,
    limit: Duration,
    end: Pin<Box<Sleep>>,
}

impl<B> Arriving<B> {
    pub(super) fn new(body: B, share: Share, limit: Duration) -> Self {
        Arriving { body, share, limit, end: Box::pin(sleep(limit)) }
    }
}

impl<B> Body for Arriving<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::error::Error + Send + Sync + 'static,
{
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let Poll::Ready(polled) = Pin::new(&mut self.body).poll_frame(context) else {
            let late = |limit| Failure::invalid(format!("the request came too slowly: expected it within {limit:?}"));
            let limit = self.limit;
            return self.end.as_mut().poll(context).map(|()| Some(Err(status(&late(limit)))));
        };
        let counted = |frame: Frame<Bytes>| {
            let length = frame.data_ref().map_or(0, Bytes::len);
            self.share.grow(length).map(|()| frame).map_err(|failure| status(&failure))
        };
        let frame = polled.map(|frame| frame.map_err(|e| Status::from_error(Box::new(e))).and_then(counted));
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
