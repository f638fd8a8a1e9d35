//! A server on free ports of the loopback address, in a thread of its own.

use crate::client::{Answer, get};
use gristmill::{Gpu, Options, Power};
use gristmill_serve::repository::Device;
use gristmill_serve::{Failure, Server, Service, Settings};
use serde_json::Value;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// A server that runs; it ends when this is dropped.
pub struct Running {
    pub http: SocketAddr,
    pub grpc: SocketAddr,
    pub service: Arc<Service>,
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<Result<(), String>>>,
}

/// The device, opened once.
pub fn gpu() -> Gpu {
    static GPU: OnceLock<Gpu> = OnceLock::new();
    GPU.get_or_init(|| Gpu::new_blocking(Power::High).expect("the tests need an adapter, if only a software one")).clone()
}

/// Starts a server without waiting for it to be ready.
pub fn start(models: &Path, change: impl FnOnce(&mut Settings)) -> Running {
    start_on(models, gpu(), change)
}

/// Starts a server on a device of its own, and waits until it is ready.
pub fn ready_on(models: &Path, gpu: Gpu) -> Running {
    let running = start_on(models, gpu, |_| {});
    until(|| get(running.http, "/v2/health/ready").status == 200);
    running
}

fn start_on(models: &Path, gpu: Gpu, change: impl FnOnce(&mut Settings)) -> Running {
    let mut settings = Settings::new(models);
    let free = SocketAddr::from(([127, 0, 0, 1], 0));
    (settings.http, settings.grpc) = (free, Some(free));
    settings.drain_delay = Duration::ZERO;
    change(&mut settings);
    let (end, ended) = oneshot::channel();
    let (addresses, found) = std::sync::mpsc::channel();
    let device = Device::Gpu(gpu);
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("threads");
        runtime.block_on(async {
            let server = Server::bind(settings, device, Options::default()).await.map_err(|e| e.to_string())?;
            let grpc = server.grpc_address().expect("it listens for gRPC");
            addresses.send((server.http_address(), grpc, server.service())).expect("the test waits for it");
            let end = async move { ended.await.unwrap_or(()) };
            server.run(end).await.map_err(|e| e.to_string())
        })
    });
    let (http, grpc, service) = found.recv().expect("the server listens");
    Running { http, grpc, service, end: Some(end), thread: Some(thread) }
}

/// Starts a server and waits until it is ready.
pub fn ready(models: &Path, change: impl FnOnce(&mut Settings)) -> Running {
    let running = start(models, change);
    until(|| get(running.http, "/v2/health/ready").status == 200);
    running
}

/// Why a server with these settings does not start.
pub fn refused(mut settings: Settings) -> Failure {
    let free = SocketAddr::from(([127, 0, 0, 1], 0));
    (settings.http, settings.grpc) = (free, Some(free));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let bound = runtime.block_on(Server::bind(settings, Device::Cpu, Options::default()));
    bound.err().expect("it does not start")
}

/// Waits for something to come true.
pub fn until(mut so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !so() {
        assert!(start.elapsed() < Duration::from_secs(120), "it does not come true");
        std::thread::sleep(Duration::from_millis(5));
    }
}

impl Running {
    pub fn get(&self, path: &str) -> Answer {
        get(self.http, path)
    }

    /// What is counted of a model.
    pub fn statistics(&self, model: &str) -> Value {
        self.get(&format!("/v2/models/{model}/stats")).json()["model_stats"][0].clone()
    }

    /// The value of a metric without labels.
    pub fn gauge(&self, name: &str) -> i64 {
        let text = self.get("/metrics").text();
        let line = text.lines().find_map(|line| line.strip_prefix(&format!("{name} ")));
        line.expect("the metric is there").parse().expect("it is a number")
    }

    /// Tells it to end, and does not wait.
    pub fn begin_end(&mut self) {
        self.end.take().expect("it ends once").send(()).expect("it runs");
    }

    /// Waits for its end, which must have begun.
    pub fn join(&mut self) -> Result<(), String> {
        self.thread.take().map_or(Ok(()), |thread| thread.join().expect("the server does not panic"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end.take();
        if let Some(thread) = self.thread.take()
            && !std::thread::panicking()
        {
            thread.join().expect("the server does not panic").expect("it ends well");
        }
    }
}
