//! Connections of HTTP/1.

use crate::connections::{self, Bounds, Io, Lock};
use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::TokioTimer;
use hyper_util::service::TowerToHyperService;
use std::pin::pin;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// The longest head of a request, which hyper also takes for its buffer of a connection.
const MAX_HEAD: usize = 64 << 10;

/// Serves until `end` is true, then until all requests are answered.
pub(crate) async fn serve(listener: TcpListener, lock: Option<Lock>, bounds: Bounds, router: Router, end: watch::Receiver<bool>) {
    let ended = end.clone();
    let handle = move |io| connection(io, router.clone(), bounds.stall, ended.clone());
    connections::serve(listener, lock, bounds, end, handle).await;
}

/// Serves a connection until it ends. One that is idle, or sends the head of a request too slowly, is closed.
async fn connection(io: Io, router: Router, stall: Duration, mut end: watch::Receiver<bool>) {
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(stall).max_buf_size(MAX_HEAD);
    let mut connection = pin!(builder.serve_connection(io, TowerToHyperService::new(router)));
    tokio::select! {
        // A client that breaks the protocol, or leaves, ends its own connection.
        _ = connection.as_mut() => return,
        _ = end.wait_for(|end| *end) => {}
    }
    connection.as_mut().graceful_shutdown();
    connection.await.ok();
}
