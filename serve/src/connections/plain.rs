//! In the place of TLS where it is not built in.

use crate::failure::{Code, Failure, Result};
use crate::settings::TlsFiles;
use std::io;
use tokio::net::TcpStream;

/// A stream that is encrypted, of which there are none.
pub(super) type Encrypted = TcpStream;

/// The certificate of the server.
pub(crate) enum Tls {}

/// What encrypts the connections of a protocol.
pub(crate) enum Lock {}

impl Tls {
    /// Fails.
    ///
    /// # Errors
    /// [`Unimplemented`](Code::Unimplemented).
    pub(crate) fn new(_: TlsFiles) -> Result<Self> {
        Err(Failure::new(Code::Unimplemented, "TLS is not built in: it needs the feature `tls`, and x86_64 or aarch64"))
    }

    pub(crate) fn reload(&self) {
        match *self {}
    }

    pub(crate) fn lock(&self, _protocol: &[u8]) -> Result<Lock> {
        match *self {}
    }
}

impl Lock {
    pub(super) async fn accept(&self, _: TcpStream) -> io::Result<Encrypted> {
        match *self {}
    }
}
