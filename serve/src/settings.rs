//! How a server is set up.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Where a certificate lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The server's certificate in PEM, and behind it those that vouch for it.
    pub certificate: PathBuf,
    /// Its private key in PEM.
    pub key: PathBuf,
}

/// How a server is set up. [`new`](Settings::new) gives what suits most.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The model repository.
    pub models: PathBuf,
    /// Where HTTP is listened for; port 0 takes a free one.
    pub http: SocketAddr,
    /// Where gRPC is listened for, if at all.
    pub grpc: Option<SocketAddr>,
    /// The file of keys; without one, whoever comes may do everything. It is read again when it changes.
    pub keys: Option<PathBuf>,
    /// The certificate for both protocols; without one, nothing is encrypted. It is read again by [`Service::reload`](crate::Service::reload).
    pub tls: Option<TlsFiles>,
    /// How often the repository is looked at for changes; not at all by default.
    pub poll: Option<Duration>,
    /// The longest body of a request, in bytes, before and after decompression.
    pub max_body: usize,
    /// The most bytes of bodies that are in memory at a time, whether read, waiting or computed.
    pub max_bodies: usize,
    /// The most requests that wait, of all models together.
    pub max_requests: usize,
    /// The most connections of each protocol.
    pub max_connections: usize,
    /// How long a client may keep the server waiting: with a handshake, the head of a request, or its body, or by taking nothing of an
    /// answer. Over HTTP also how long a connection may be idle.
    pub read_limit: Duration,
    /// How long a connection of gRPC may be idle.
    pub idle_limit: Duration,
    /// How long one batch may take until the server says that it does not live.
    pub hang_limit: Duration,
    /// At the end: how long requests are still taken after the server said that it is not ready, for proxies to notice.
    pub drain_delay: Duration,
    /// At the end: how long requests that were taken may go on.
    pub drain_limit: Duration,
}

impl Settings {
    /// The usual settings for a repository: HTTP on port 8000 and gRPC on 8001 of the loopback address.
    pub fn new(models: impl Into<PathBuf>) -> Self {
        Settings {
            models: models.into(),
            http: SocketAddr::from(([127, 0, 0, 1], 8000)),
            grpc: Some(SocketAddr::from(([127, 0, 0, 1], 8001))),
            keys: None,
            tls: None,
            poll: None,
            max_body: 64 << 20,
            max_bodies: 1 << 30,
            max_requests: 4096,
            max_connections: 4096,
            read_limit: Duration::from_secs(30),
            idle_limit: Duration::from_secs(300),
            hang_limit: Duration::from_secs(120),
            drain_delay: Duration::from_secs(2),
            drain_limit: Duration::from_secs(30),
        }
    }
}
