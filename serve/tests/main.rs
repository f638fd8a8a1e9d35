//! The server as clients use it, and the scheduler by its laws.
#![allow(unreachable_pub, reason = "a test binary exports nothing")]

mod admission;
mod client;
mod connections;
mod copies;
mod devices;
mod embeddings;
#[cfg(all(feature = "tls", any(target_arch = "x86_64", target_arch = "aarch64")))]
mod encrypted;
mod fuzz;
mod grpc;
mod keys;
mod life;
mod padding;
mod page;
mod proof;
mod repositories;
mod rest;
#[cfg(target_os = "linux")]
mod scarce;
mod schedule;
mod sequences;
mod support;
