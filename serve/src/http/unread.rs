//! What nobody read of a body. A connection that is closed while bytes lie unread is reset, and the response that says why may be lost with it
//! (RFC 9112, 9.6); so as much as a client may have on its way is read and dropped.

use axum::body::{Body, Bytes};
use hyper::body::{Body as _, Frame, SizeHint};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

/// The most bytes that are read and dropped.
const MOST: usize = 1 << 20;

/// How long that may take.
const PATIENCE: Duration = Duration::from_secs(1);

/// A body that its handler shares with whoever drops the rest of it.
#[derive(Clone)]
pub(super) struct Shared(Arc<Mutex<Body>>);

impl Shared {
    pub(super) fn new(body: Body) -> Self {
        Shared(Arc::new(Mutex::new(body)))
    }

    /// Reads what the handler, which is done, has left.
    pub(super) async fn drop_rest(mut self) {
        let read = async {
            let mut left = MOST;
            while let Some(Ok(frame)) = std::future::poll_fn(|context| Pin::new(&mut self).poll_frame(context)).await {
                let length = frame.data_ref().map_or(0, Bytes::len);
                match left.checked_sub(length) {
                    Some(less) => left = less,
                    None => break,
                }
            }
        };
        // What comes more slowly is not waited for.
        tokio::time::timeout(PATIENCE, read).await.ok();
    }
}

impl hyper::body::Body for Shared {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner)).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).size_hint()
    }
}
