//! `gristmill serve`.

use crate::Verdict;
use crate::device::{Device, DeviceArguments};
use crate::failure::{Failure, Result};
use crate::tune::TuneArguments;
use clap::Args;
use gristmill_serve::{Format, Level, Log, Settings, TlsFiles, repository, serve_until_signal};
use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// Serves the models of a folder over HTTP and gRPC, by the Open Inference Protocol
#[derive(Args)]
pub(crate) struct Serve {
    /// The model repository: NAME/[VERSION/]model.onnx, and perhaps NAME/model.toml
    models: PathBuf,
    /// Where to listen for HTTP
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8000")]
    http: SocketAddr,
    /// Where to listen for gRPC, or `off`
    #[arg(long, value_name = "ADDRESS|off", default_value = "127.0.0.1:8001")]
    grpc: Address,
    #[command(flatten)]
    device: DeviceArguments,
    #[command(flatten)]
    tune: TuneArguments,
    /// The certificate in PEM, with those that vouch for it: connections of both protocols are encrypted
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// The private key of the certificate, in PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Look for changes of the repository this often; without it, when a client asks
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    poll: Option<Duration>,
    /// A TOML file of tenants with the hashes of their keys and what is theirs; without it, whoever comes may do everything
    #[arg(long, value_name = "FILE")]
    keys: Option<PathBuf>,
    /// The longest body of a request, in MiB
    #[arg(long, value_name = "MIB", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=4096))]
    max_body: u32,
    /// The most connections of each protocol
    #[arg(long, value_name = "NUMBER", default_value_t = 4096)]
    max_connections: usize,
    /// How long a client may keep the server waiting: with a handshake, a request's head or its body, or by taking nothing of an answer
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = seconds)]
    read_limit: Duration,
    /// How long a connection of gRPC may be idle
    #[arg(long, value_name = "SECONDS", default_value = "300", value_parser = seconds)]
    idle_limit: Duration,
    /// How long one batch may take until the server says that it does not live
    #[arg(long, value_name = "SECONDS", default_value = "120", value_parser = seconds)]
    hang_limit: Duration,
    /// After SIGTERM: how long requests are still taken, for proxies to notice that the server is not ready
    #[arg(long, value_name = "SECONDS", default_value = "2", value_parser = seconds)]
    drain_delay: Duration,
    /// After that: how long requests that were taken may go on
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = seconds)]
    drain_limit: Duration,
    /// What to write to stderr: `info` has a line for each request
    #[arg(long, value_name = "error|warn|info", default_value = "info")]
    log: Level,
    /// How to write it: lines for people, or an object in JSON on each
    #[arg(long, value_name = "text|json", default_value = "text")]
    log_format: Format,
}

/// An address, or none.
#[derive(Clone, Copy, Debug)]
struct Address(Option<SocketAddr>);

impl FromStr for Address {
    type Err = std::net::AddrParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "off" { Ok(Address(None)) } else { text.parse().map(|address| Address(Some(address))) }
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    let number = text.parse::<f64>().ok().and_then(|number| Duration::try_from_secs_f64(number).ok());
    number.ok_or_else(|| "expected a number of seconds".into())
}

impl Serve {
    pub(crate) fn run(&self, out: &mut dyn Write) -> Result<Verdict> {
        let device = self.device.open()?;
        writeln!(out, "device: {}", device.name())?;
        let device = match device {
            Device::Gpu(gpu) => repository::Device::Gpu(gpu),
            Device::Cpu => repository::Device::Cpu,
        };
        let settings = Settings {
            http: self.http,
            grpc: self.grpc.0,
            keys: self.keys.clone(),
            tls: self.tls_cert.clone().zip(self.tls_key.clone()).map(|(certificate, key)| TlsFiles { certificate, key }),
            poll: self.poll.filter(|poll| !poll.is_zero()),
            max_body: self.max_body as usize * (1 << 20),
            max_connections: self.max_connections,
            read_limit: self.read_limit,
            idle_limit: self.idle_limit,
            hang_limit: self.hang_limit,
            drain_delay: self.drain_delay,
            drain_limit: self.drain_limit,
            ..Settings::new(&self.models)
        };
        let mut listening = |http: SocketAddr, grpc: Option<SocketAddr>| {
            // Whoever reads this may have gone; the server stays.
            writeln!(out, "http: {http}").ok();
            grpc.into_iter().for_each(|grpc| drop(writeln!(out, "grpc: {grpc}")));
            out.flush().ok();
        };
        let log = Log { level: self.log, format: self.log_format };
        let served = serve_until_signal(settings, device, self.tune.options(), log, &mut listening);
        served.map_err(|failure| Failure::message(failure.to_string()))?;
        Ok(Verdict::Good)
    }
}
