//! Waiting on this thread.

/// Waits for a future; the blocking forms of the interface stand on it.
#[cfg(not(target_arch = "wasm32"))]
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    pollster::block_on(future)
}
