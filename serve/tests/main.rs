//! The server as clients use it, and the scheduler by its laws.
#![allow(unreachable_pub, reason = "a test binary exports nothing")]

mod admission;
mod client;
mod devices;
mod embeddings;
mod fuzz;
mod grpc;
mod life;
mod padding;
mod repositories;
mod rest;
mod schedule;
mod sequences;
mod support;
