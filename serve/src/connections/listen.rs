//! Taking connections, until nobody listens any more.

use super::pace::Paced;
use super::tls::{Encrypted, Lock};
use hyper_util::rt::TokioIo;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::either::Either;

/// A connection's bytes, as hyper takes them.
pub(crate) type Io = TokioIo<Paced<Either<TcpStream, Encrypted>>>;

/// What bounds the connections of a protocol.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// The most at a time.
    pub(crate) connections: usize,
    /// How long a handshake may take, and how long a peer may take nothing of what is written.
    pub(crate) stall: Duration,
    /// At the end: how long requests that were taken may go on.
    pub(crate) drain: Duration,
}

/// Takes connections until `end` is true, and waits then for those that are open, `bounds.drain` at the longest. What `handle` makes of a
/// connection is to end it soon after `end` is true.
pub(crate) async fn serve<H>(
    listener: TcpListener,
    lock: Option<Lock>,
    bounds: Bounds,
    mut end: watch::Receiver<bool>,
    handle: impl Fn(Io) -> H + Send + Sync + 'static,
) where
    H: Future<Output = ()> + Send + 'static,
{
    let lock = lock.map(Arc::new);
    let handle = Arc::new(handle);
    let mut open = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = open.join_next() => continue,
            _ = end.wait_for(|end| *end) => break,
        };
        let Ok((stream, _)) = accepted else {
            // Out of file descriptors, mostly: others must end first.
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        while open.try_join_next().is_some() {}
        // Without a place the connection is closed at once.
        if open.len() >= bounds.connections {
            continue;
        }
        stream.set_nodelay(true).ok();
        let (lock, handle) = (lock.clone(), handle.clone());
        open.spawn(async move {
            let stream = match &lock {
                None => Some(Either::Left(stream)),
                Some(lock) => {
                    let shaken = tokio::time::timeout(bounds.stall, lock.accept(stream)).await;
                    shaken.ok().and_then(Result::ok).map(Either::Right)
                }
            };
            // A client that breaks the protocol, or leaves, ends its own connection.
            if let Some(stream) = stream {
                handle(TokioIo::new(Paced::new(stream, bounds.stall))).await;
            }
        });
    }
    drop(listener);
    let ended = async { while open.join_next().await.is_some() {} };
    if tokio::time::timeout(bounds.drain, ended).await.is_err() {
        tracing::warn!(target: "gristmill_serve", "requests were left without an answer at the end");
    }
}
