//! The life of a server: from its start to the answer of the last request.

use crate::access::Door;
use crate::catalog::Catalog;
use crate::connections::{Bounds, Lock, Tls};
use crate::engine::{self, Dispatcher};
use crate::failure::{Code, Failure, Result};
use crate::metrics::Metrics;
use crate::repository::Device;
use crate::service::Service;
use crate::settings::Settings;
use crate::{grpc, http};
use gristmill::Options;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// How often the file of keys is looked at for changes.
const KEYS_INTERVAL: Duration = Duration::from_secs(1);

/// A server that listens. It answers from the start, and is ready once the models of its repository were loaded.
pub struct Server {
    service: Arc<Service>,
    http: (TcpListener, SocketAddr),
    grpc: Option<(TcpListener, SocketAddr)>,
}

impl Server {
    /// Listens.
    ///
    /// # Errors
    /// [`Unavailable`](Code::Unavailable) when an address cannot be listened on, [`InvalidArgument`](Code::InvalidArgument) for keys or a
    /// certificate that cannot be read.
    pub async fn bind(settings: Settings, device: Device, options: Options) -> Result<Server> {
        let door = Door::new(settings.keys.clone())?;
        let tls = settings.tls.clone().map(Tls::new).transpose()?;
        let http = listen(settings.http).await?;
        let grpc = match settings.grpc {
            Some(address) => Some(listen(address).await?),
            None => None,
        };
        let dispatcher = Dispatcher::new(&engine::Bounds { requests: settings.max_requests, bytes: settings.max_bodies });
        let metrics = Arc::<Metrics>::default();
        let models = settings.models.clone();
        let catalog = Catalog::new(models, device, options, dispatcher.clone(), metrics.clone());
        let service = Arc::new(Service::new(settings, door, tls, catalog, dispatcher, metrics));
        Ok(Server { service, http, grpc })
    }

    /// Where HTTP is listened for.
    pub fn http_address(&self) -> SocketAddr {
        self.http.1
    }

    /// Where gRPC is listened for.
    pub fn grpc_address(&self) -> Option<SocketAddr> {
        self.grpc.as_ref().map(|(_, address)| *address)
    }

    /// What it does, for programs that ask in other ways than by a protocol.
    pub fn service(&self) -> Arc<Service> {
        self.service.clone()
    }

    /// Serves until `end` is there, then until the requests that were taken are answered.
    ///
    /// # Errors
    /// [`Unavailable`](Code::Unavailable) when the model repository cannot be listed.
    pub async fn run(self, end: impl Future<Output = ()>) -> Result<()> {
        let Server { service, http, grpc } = self;
        let settings = service.settings.clone();
        let lock = |protocol: &[u8]| service.tls.as_ref().map(|tls| tls.lock(protocol)).transpose();
        let locks: (Option<Lock>, Option<Lock>) = (lock(b"http/1.1")?, lock(b"h2")?);
        let (stop, stopped) = watch::channel(false);
        let mut protocols = JoinSet::new();
        let (connections, stall, drain) = (settings.max_connections, settings.read_limit, settings.drain_limit);
        let bounds = Bounds { connections, stall, drain };
        let router = http::router(service.clone());
        protocols.spawn(http::serve(http.0, locks.0, bounds, router, stopped.clone()));
        if let Some((listener, _)) = grpc {
            protocols.spawn(grpc::serve(listener, locks.1, bounds, service.clone(), stopped.clone()));
        }
        let watching = tokio::spawn(watch_keys(service.clone()));
        let loading = tokio::spawn(load(service.clone(), stopped));
        tokio::pin!(end);
        let failed = tokio::select! {
            () = &mut end => None,
            Ok(Err(failure)) = loading => Some(failure),
        };
        tracing::info!(target: "gristmill_serve", "ending");
        service.draining.store(true, Ordering::Release);
        service.dispatcher.hurry();
        if failed.is_none() {
            tokio::time::sleep(settings.drain_delay).await;
        }
        stop.send_replace(true);
        while protocols.join_next().await.is_some() {}
        watching.abort();
        service.dispatcher.stop();
        // An engine that hangs ends with the process.
        let ended = tokio::task::spawn_blocking(move || service.dispatcher.join());
        tokio::time::timeout(settings.drain_limit, ended).await.ok();
        failed.map_or(Ok(()), Err)
    }
}

async fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr)> {
    let failed = |e| Failure::new(Code::Unavailable, format!("cannot listen on {address}: {e}"));
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, address))
}

/// Reads the keys again whenever their file changes, for ever.
async fn watch_keys(service: Arc<Service>) {
    loop {
        tokio::time::sleep(KEYS_INTERVAL).await;
        let service = service.clone();
        tokio::task::spawn_blocking(move || service.door.reload(true)).await.ok();
    }
}

/// Loads the repository, then looks for changes until the end.
async fn load(service: Arc<Service>, mut stopped: watch::Receiver<bool>) -> Result<()> {
    let again = service.clone();
    let refresh = move || {
        let service = again.clone();
        async move {
            let done = tokio::task::spawn_blocking(move || service.catalog.refresh()).await;
            done.unwrap_or_else(|_| Err(Failure::internal("loading ended in a panic; this is a defect of the server")))
        }
    };
    refresh().await?;
    service.started.store(true, Ordering::Release);
    tracing::info!(target: "gristmill_serve", models = service.catalog.served().len(), "ready");
    while let Some(poll) = service.settings.poll {
        tokio::select! {
            () = tokio::time::sleep(poll) => {}
            _ = stopped.wait_for(|stopped| *stopped) => break,
        }
        if let Err(failure) = refresh().await {
            tracing::warn!(target: "gristmill_serve", reason = failure.message(), "the repository was not read");
        }
    }
    std::future::pending().await
}
