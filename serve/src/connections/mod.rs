//! Connections of both protocols: so many at a time, encrypted or not, and none that keeps the server waiting.

mod listen;
mod pace;
#[cfg(all(feature = "tls", any(target_arch = "x86_64", target_arch = "aarch64")))]
mod tls;
#[cfg(not(all(feature = "tls", any(target_arch = "x86_64", target_arch = "aarch64"))))]
#[path = "plain.rs"]
mod tls;

pub(crate) use listen::{Bounds, Io, serve};
pub(crate) use tls::{Lock, Tls};
