//! What the server holds under load, at full length. Each is ignored, since it takes minutes and wants a machine to itself: `scripts/test-serve proof`
//! runs them one after another. What must be so is asserted; how long things took is printed, a JSON line each, and held against its goal there.

mod batching;
mod leaving;
pub(crate) mod load;
mod overhead;
mod overload;
mod random;
mod reloading;
