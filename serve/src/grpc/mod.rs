//! gRPC: `inference.GRPCInferenceService` and `grpc.health.v1.Health`. Messages are declared by hand, so that no compiler runs at build
//! time.

mod activity;
mod arriving;
mod connections;
mod contents;
mod convert;
mod health;
mod inference;
mod messages;
mod router;
mod statistics;

pub(crate) use connections::serve;
pub use messages::*;
