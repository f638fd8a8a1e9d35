//! TLS: the server's certificate, which can be renewed while it serves.

use crate::failure::{Code, Failure, Result};
use crate::settings::TlsFiles;
use std::io;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::CryptoProvider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{Error, ServerConfig};
use tokio_rustls::server::TlsStream;

/// A stream that is encrypted.
pub(super) type Encrypted = Box<TlsStream<TcpStream>>;

/// The certificate of the server.
pub(crate) struct Tls {
    files: TlsFiles,
    provider: Arc<CryptoProvider>,
    current: Arc<Current>,
}

/// The certificate as it is now.
#[derive(Debug)]
struct Current(RwLock<Arc<CertifiedKey>>);

/// What encrypts the connections of a protocol.
pub(crate) struct Lock(TlsAcceptor);

impl Tls {
    /// Reads the certificate and its key.
    ///
    /// # Errors
    /// [`InvalidArgument`](Code::InvalidArgument) when they cannot be read or do not belong together,
    /// [`Unimplemented`](Code::Unimplemented) on a processor that lacks what TLS needs.
    pub(crate) fn new(files: TlsFiles) -> Result<Self> {
        if let Some(missing) = missing_instructions() {
            let message = format!("TLS needs a processor with the instructions {missing}");
            return Err(Failure::new(Code::Unimplemented, message));
        }
        let provider = Arc::new(rustls_graviola::default_provider());
        let current = Arc::new(Current(RwLock::new(read(&files, &provider)?)));
        Ok(Tls { files, provider, current })
    }

    /// Reads the files again. What is wrong with them is said in the log, and the certificate stays as it was.
    pub(crate) fn reload(&self) {
        match read(&self.files, &self.provider) {
            Ok(read) => {
                *self.current.0.write().unwrap_or_else(PoisonError::into_inner) = read;
                tracing::info!(target: "gristmill_serve", "the certificate was read");
            }
            Err(failure) => {
                tracing::error!(target: "gristmill_serve", reason = failure.message(), "the certificate stays as it was");
            }
        }
    }

    /// What encrypts connections that carry a protocol, by the name that TLS has for it.
    ///
    /// # Errors
    /// [`Internal`](Code::Internal) when the provider and the versions of TLS do not fit.
    pub(crate) fn lock(&self, protocol: &[u8]) -> Result<Lock> {
        let builder = ServerConfig::builder_with_provider(self.provider.clone()).with_safe_default_protocol_versions();
        let builder = builder.map_err(|e| Failure::internal(format!("TLS cannot be set up: {e}")))?;
        let mut config = builder.with_no_client_auth().with_cert_resolver(self.current.clone());
        config.alpn_protocols = vec![protocol.to_vec()];
        Ok(Lock(TlsAcceptor::from(Arc::new(config))))
    }
}

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.read().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

impl Lock {
    /// Shakes hands with a client.
    pub(super) async fn accept(&self, stream: TcpStream) -> io::Result<Encrypted> {
        self.0.accept(stream).await.map(Box::new)
    }
}

/// The certificate with those that vouch for it, and its key.
fn read(files: &TlsFiles, provider: &CryptoProvider) -> Result<Arc<CertifiedKey>> {
    let TlsFiles { certificate, key } = files;
    let invalid = |path: &Path, e: &dyn std::fmt::Display| Failure::invalid(format!("TLS: {}: {e}", path.display()));
    let chain = CertificateDer::pem_file_iter(certificate).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let chain = chain.map_err(|e| invalid(certificate, &e))?;
    if chain.is_empty() {
        return Err(invalid(certificate, &"expected a certificate in PEM"));
    }
    let private = PrivateKeyDer::from_pem_file(key).map_err(|e| invalid(key, &e))?;
    let certified = CertifiedKey::from_der(chain, private, provider);
    certified.map(Arc::new).map_err(|e: Error| invalid(key, &e))
}

/// What the provider needs of a processor and this one has not. The provider itself ends the process then.
fn missing_instructions() -> Option<&'static str> {
    #[cfg(target_arch = "x86_64")]
    {
        let has = is_x86_feature_detected!("adx")
            && is_x86_feature_detected!("aes")
            && is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("bmi1")
            && is_x86_feature_detected!("bmi2")
            && is_x86_feature_detected!("pclmulqdq");
        (!has).then_some("ADX, AES, AVX2, BMI and PCLMULQDQ")
    }
    #[cfg(target_arch = "aarch64")]
    {
        use std::arch::is_aarch64_feature_detected;
        let has = is_aarch64_feature_detected!("aes")
            && is_aarch64_feature_detected!("neon")
            && is_aarch64_feature_detected!("pmull")
            && is_aarch64_feature_detected!("sha2");
        (!has).then_some("AES, NEON, PMULL and SHA2")
    }
}
