//! Connections: so many at a time, and none that keeps the server waiting.

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};

/// The longest head of a request, which hyper also takes for its buffer of a connection.
const MAX_HEAD: usize = 64 << 10;

/// Serves until `end` is true, then until all requests are answered, `drain_limit` at the longest.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    max_connections: usize,
    read_limit: Duration,
    mut end: watch::Receiver<bool>,
    drain_limit: Duration,
) {
    let graceful = GracefulShutdown::new();
    let places = Arc::new(Semaphore::new(max_connections.min(Semaphore::MAX_PERMITS)));
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = end.wait_for(|end| *end) => break,
        };
        let Ok((stream, _)) = accepted else {
            // Out of file descriptors, mostly: others must end first.
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        // Without a place the connection is closed at once.
        let Ok(place) = places.clone().try_acquire_owned() else { continue };
        stream.set_nodelay(true).ok();
        let mut builder = http1::Builder::new();
        builder.timer(TokioTimer::new()).header_read_timeout(read_limit).max_buf_size(MAX_HEAD);
        let connection = builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router.clone()));
        let watched = graceful.watch(connection);
        tokio::spawn(async move {
            // A client that breaks the protocol, or leaves, ends its own connection.
            watched.await.ok();
            drop(place);
        });
    }
    drop(listener);
    if tokio::time::timeout(drain_limit, graceful.shutdown()).await.is_err() {
        tracing::warn!(target: "gristmill_serve", "requests were left without an answer at the end");
    }
}
