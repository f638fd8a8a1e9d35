//! Serves models by the Open Inference Protocol, version 2, over HTTP and gRPC. ARCHITECTURE.md describes the rooms; each imports from
//! those before it.
//!
//! ```no_run
//! use gristmill::{Gpu, Options, Power};
//! use gristmill_serve::repository::Device;
//! use gristmill_serve::{Server, Settings};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let device = Device::Gpu(Gpu::new(Power::High).await?);
//! let server = Server::bind(Settings::new("models"), device, Options::default()).await?;
//! println!("listening on {}", server.http_address());
//! server.run(async { tokio::signal::ctrl_c().await.unwrap_or(()) }).await?;
//! # Ok(())
//! # }
//! ```
#![warn(missing_docs)]

mod access;
mod caller;
mod catalog;
mod connections;
mod describe;
mod embeddings;
pub mod engine;
mod failure;
pub mod grpc;
mod http;
mod metrics;
mod process;
pub mod protocol;
pub mod repository;
pub mod schedule;
mod server;
mod service;
mod settings;
mod trace;

pub use caller::Origin;
pub use catalog::{Catalog, IndexEntry, State};
pub use failure::{Code, Failure, Result};
pub use metrics::{Metrics, Protocol};
pub use process::{Format, Level, Log, serve_until_signal};
pub use server::Server;
pub use service::Service;
pub use settings::{Settings, TlsFiles};

#[cfg(target_endian = "big")]
compile_error!("tensors of the protocol are little-endian, and taken as they come");
