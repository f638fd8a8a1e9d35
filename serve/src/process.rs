//! A process that serves: its threads, its log, and the signals that end it.

use crate::failure::{Code, Failure, Result};
use crate::repository::Device;
use crate::server::Server;
use crate::service::Service;
use crate::settings::Settings;
use gristmill::Options;
use std::net::SocketAddr;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;
use tracing_subscriber::filter::LevelFilter;

/// What is written to stderr.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// What keeps the server from serving.
    Error,
    /// Also what keeps a model from it.
    Warn,
    /// Also a line for each request.
    Info,
}

/// How the log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Lines for people.
    Text,
    /// An object in JSON on each line.
    Json,
}

/// What is written to stderr, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Log {
    /// What.
    pub level: Level,
    /// How.
    pub format: Format,
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "text" => Ok(Format::Text),
            "json" => Ok(Format::Json),
            _ => Err("expected text or json".into()),
        }
    }
}

impl Log {
    /// Begins to write. A program that has a log of its own keeps it.
    fn begin(self) {
        let level = match self.level {
            Level::Error => LevelFilter::ERROR,
            Level::Warn => LevelFilter::WARN,
            Level::Info => LevelFilter::INFO,
        };
        let log = tracing_subscriber::fmt().with_writer(std::io::stderr).with_max_level(level).with_ansi(false);
        match self.format {
            Format::Text => log.try_init().ok(),
            Format::Json => log.json().flatten_event(true).with_current_span(false).with_span_list(false).try_init().ok(),
        };
    }
}

impl FromStr for Level {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "error" => Ok(Level::Error),
            "warn" => Ok(Level::Warn),
            "info" => Ok(Level::Info),
            _ => Err("expected error, warn or info".into()),
        }
    }
}

/// Serves until the process is told to end (SIGTERM, SIGINT, Ctrl-C), reading the keys and the certificate again at SIGHUP, and then until all requests that were taken are answered. `listening` is
/// given the addresses of HTTP and gRPC.
///
/// # Errors
/// [`Unavailable`](Code::Unavailable) when an address cannot be listened on or the repository cannot be listed,
/// [`InvalidArgument`](Code::InvalidArgument) for keys or a certificate that cannot be read.
pub fn serve_until_signal(
    settings: Settings,
    device: Device,
    options: Options,
    log: Log,
    listening: &mut dyn FnMut(SocketAddr, Option<SocketAddr>),
) -> Result<()> {
    log.begin();
    let unavailable = |what: &str, e: std::io::Error| Failure::new(Code::Unavailable, format!("{what}: {e}"));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|e| unavailable("threads cannot be started", e))?;
    let served = runtime.block_on(async {
        let end = end().map_err(|e| unavailable("signals cannot be waited for", e))?;
        let server = Server::bind(settings, device, options).await?;
        tokio::spawn(reload(server.service()).map_err(|e| unavailable("signals cannot be waited for", e))?);
        listening(server.http_address(), server.grpc_address());
        server.run(end).await
    });
    // A model that is still being loaded ends with the process.
    runtime.shutdown_timeout(Duration::from_millis(100));
    served
}

/// Reads the keys and the certificate again at each SIGHUP, for ever.
#[cfg(unix)]
fn reload(service: Arc<Service>) -> std::io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut hangup = signal(SignalKind::hangup())?;
    Ok(async move {
        while hangup.recv().await.is_some() {
            let service = service.clone();
            tokio::task::spawn_blocking(move || service.reload()).await.ok();
        }
    })
}

/// There is no such signal: keys are read again when their file changes.
#[cfg(not(unix))]
fn reload(_: Arc<Service>) -> std::io::Result<impl Future<Output = ()>> {
    Ok(std::future::ready(()))
}

/// What is there once the process is told to end.
#[cfg(unix)]
fn end() -> std::io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// What is there once the process is told to end.
#[cfg(not(unix))]
fn end() -> std::io::Result<impl Future<Output = ()>> {
    Ok(async {
        tokio::signal::ctrl_c().await.ok();
    })
}
