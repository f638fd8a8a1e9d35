//! Connections of gRPC: HTTP/2, its calls, and when it is over.

use super::activity::{Activity, Sent, Verdict};
use super::router::route;
use crate::connections::{self, Bounds, Io, Lock};
use crate::service::Service;
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::sync::watch;

/// The most calls at a time of one connection.
const MAX_CALLS: u32 = 256;

/// The longest head of a call, in bytes.
const MAX_HEAD: u32 = 64 << 10;

/// The calls of a connection.
struct Calls {
    service: Arc<Service>,
    activity: Activity,
}

impl hyper::service::Service<Request<Incoming>> for Calls {
    type Response = Response<Sent<tonic::body::Body>>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let answering = self.activity.clone().call(route(self.service.clone(), request));
        Box::pin(async move { Ok(answering.await) })
    }
}

/// Serves until `end` is true, then until all calls are answered.
pub(crate) async fn serve(
    listener: TcpListener,
    lock: Option<Lock>,
    bounds: Bounds,
    service: Arc<Service>,
    end: watch::Receiver<bool>,
) {
    let ended = end.clone();
    let handle = move |io| connection(io, service.clone(), bounds.stall, ended.clone());
    connections::serve(listener, lock, bounds, end, handle).await;
}

/// Serves a connection until it ends, or is idle, or its client takes no answers. Clients that are gone without a word are found by pings.
async fn connection(io: Io, service: Arc<Service>, stall: Duration, mut end: watch::Receiver<bool>) {
    let (activity, idle) = (Activity::new(), service.settings.idle_limit);
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder.timer(TokioTimer::new()).max_concurrent_streams(MAX_CALLS).max_header_list_size(MAX_HEAD);
    builder.keep_alive_interval(stall).keep_alive_timeout(stall);
    let mut connection = pin!(builder.serve_connection(io, Calls { service, activity: activity.clone() }));
    let look = (stall.min(idle) / 4).clamp(Duration::from_millis(10), Duration::from_secs(1));
    let mut leaving: Option<Instant> = None;
    loop {
        tokio::select! {
            // A client that breaks the protocol, or leaves, ends its own connection.
            _ = connection.as_mut() => return,
            _ = end.wait_for(|end| *end), if leaving.is_none() => {
                connection.as_mut().graceful_shutdown();
                leaving = Some(Instant::now());
            }
            () = tokio::time::sleep(look) => match activity.verdict(Instant::now(), idle, stall) {
                Verdict::Fine => {}
                Verdict::Stalled => return,
                Verdict::Idle if leaving.is_none() => {
                    connection.as_mut().graceful_shutdown();
                    leaving = Some(Instant::now());
                }
                Verdict::Idle if leaving.is_some_and(|since| since.elapsed() > stall) => return,
                Verdict::Idle => {}
            }
        }
    }
}
