//! TLS: both protocols over it, certificates that are renewed, and clients that speak something else.

use crate::client::{Answer, get, parse, request};
use crate::repositories::{doubling, empty};
use crate::support::{refused, start};
use gristmill_serve::grpc::{Empty, Live};
use gristmill_serve::{Code, Settings, TlsFiles};
use hyper_util::rt::TokioIo;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use tonic::transport::Endpoint;

fn certificate(name: &str, end: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tls").join(format!("{name}.{end}"))
}

/// Files that hold a certificate now, and may hold another later.
fn files(folder: &str) -> TlsFiles {
    let folder = empty(folder);
    TlsFiles { certificate: folder.join("certificate.pem"), key: folder.join("key.pem") }
}

fn put(files: &TlsFiles, name: &str) {
    fs::copy(certificate(name, "pem"), &files.certificate).expect("it can be copied");
    fs::copy(certificate(name, "key"), &files.key).expect("it can be copied");
}

/// A connection of whoever trusts one certificate alone.
async fn connect(address: SocketAddr, trusted: &str, protocol: &[u8]) -> io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    let certificate = CertificateDer::from_pem_file(certificate(trusted, "pem")).expect("it is a certificate");
    roots.add(certificate).expect("it can be trusted");
    let builder = ClientConfig::builder_with_provider(Arc::new(rustls_graviola::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().expect("there are versions");
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![protocol.to_vec()];
    let name = ServerName::try_from("localhost").expect("it is a name");
    TlsConnector::from(Arc::new(config)).connect(name, TcpStream::connect(address).await?).await
}

fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(work)
}

/// An answer over HTTP, or why there is none.
fn ask(address: SocketAddr, trusted: &str) -> io::Result<Answer> {
    run(async {
        let mut stream = connect(address, trusted, b"http/1.1").await?;
        stream.write_all(&request("GET", "/v2", &[], &[])).await?;
        let mut all = Vec::new();
        stream.read_to_end(&mut all).await?;
        Ok(parse(&all))
    })
}

/// A call of gRPC, whose answer is that the server lives.
fn call(address: SocketAddr) -> Live {
    run(async {
        let endpoint = Endpoint::from_static("http://localhost");
        let connector = tower::service_fn(move |_| async move { connect(address, "first", b"h2").await.map(TokioIo::new) });
        let channel = endpoint.connect_with_connector(connector).await.expect("the server listens");
        let mut grpc = tonic::client::Grpc::new(channel);
        grpc.ready().await.expect("it is connected");
        let codec = tonic_prost::ProstCodec::<Empty, Live>::default();
        let answer = grpc.unary(tonic::Request::new(Empty {}), crate::grpc::path("ServerLive"), codec).await;
        answer.expect("it is answered").into_inner()
    })
}

#[test]
fn both_protocols_are_encrypted() {
    let files = files("certificate");
    put(&files, "first");
    let server = start(&doubling("encrypted", ""), |settings| settings.tls = Some(files));
    assert_eq!(ask(server.http, "first").expect("it is answered").json()["name"], "gristmill");
    assert_eq!(call(server.grpc), Live { live: true });
    assert!(ask(server.http, "second").is_err(), "nobody trusts a certificate that they do not know");
    assert_eq!(get(server.http, "/v2").status, 0, "nothing is answered in the clear");
    // Each port has its protocol, and no client takes one for the other.
    assert!(run(connect(server.http, "first", b"h2")).is_err());
    assert!(run(connect(server.grpc, "first", b"http/1.1")).is_err());
}

#[test]
fn certificates_are_renewed_and_broken_ones_are_not_taken() {
    let files = files("renewed");
    put(&files, "first");
    let server = start(&doubling("renewed-models", ""), |settings| settings.tls = Some(files.clone()));
    assert!(ask(server.http, "first").is_ok());
    put(&files, "second");
    assert!(ask(server.http, "first").is_ok(), "nothing was said yet");
    server.service.reload();
    assert!(ask(server.http, "first").is_err() && ask(server.http, "second").is_ok());
    // The key of another certificate, and no key.
    fs::copy(certificate("first", "key"), &files.key).expect("it can be copied");
    server.service.reload();
    assert!(ask(server.http, "second").is_ok());
    fs::write(&files.key, "no key").expect("it can be written");
    server.service.reload();
    assert!(ask(server.http, "second").is_ok());
}

#[test]
fn a_server_does_not_start_without_a_certificate() {
    let files = files("missing-certificate");
    let failed = |says: &str| {
        let tls = Some(files.clone());
        let failure = refused(Settings { tls, ..Settings::new(doubling("unencrypted", "")) });
        assert!(failure.code() == Code::InvalidArgument && failure.message().contains(says), "{failure}");
    };
    failed("certificate.pem");
    put(&files, "first");
    fs::copy(certificate("second", "key"), &files.key).expect("it can be copied");
    failed("key.pem");
    fs::write(&files.certificate, "").expect("it can be written");
    failed("expected a certificate");
}

#[test]
fn handshakes_that_stand_still_end() {
    let files = files("still");
    put(&files, "first");
    let server = start(&doubling("still-models", ""), |settings| {
        settings.tls = Some(files.clone());
        settings.read_limit = Duration::from_millis(300);
    });
    let mut stream = crate::client::send(server.http, b"\x16\x03\x01");
    io::Read::read_to_end(&mut stream, &mut Vec::new()).ok();
    assert!(ask(server.http, "first").is_ok());
}
