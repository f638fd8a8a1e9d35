//! Values and futures whose types say by themselves that they may cross threads.
//!
//! The compiler otherwise proves it of all that a type holds, one within the other. A device holds so much that programs which hold
//! one in types and futures of their own would exceed the compiler's recursion limit.

use std::ops::{Deref, DerefMut};
use std::pin::Pin;
use std::sync::Arc;

/// A value that may cross threads, in a browser excepted.
trait Holds<T>: wgpu::WasmNotSendSync {
    fn held(&self) -> &T;
}

impl<T: wgpu::WasmNotSendSync> Holds<T> for T {
    fn held(&self) -> &T {
        self
    }
}

/// A shared value. Cloning shares it.
pub(crate) struct Opaque<T>(Arc<dyn Holds<T>>);

impl<T: wgpu::WasmNotSendSync + 'static> Opaque<T> {
    pub(crate) fn new(value: T) -> Self {
        Opaque(Arc::new(value))
    }

    /// Keeps the value alive.
    pub(crate) fn keeper(&self) -> Keeper {
        Keeper { _held: Arc::new(self.clone()) }
    }

    /// Whether both are one value.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// Keeps a value alive, whatever it is.
#[derive(Clone)]
pub(crate) struct Keeper {
    _held: Arc<dyn Lives>,
}

trait Lives: wgpu::WasmNotSendSync {}

impl<T: wgpu::WasmNotSendSync> Lives for T {}

impl<T> Clone for Opaque<T> {
    fn clone(&self) -> Self {
        Opaque(self.0.clone())
    }
}

impl<T> Deref for Opaque<T> {
    type Target = T;

    fn deref(&self) -> &T {
        Holds::<T>::held(&*self.0)
    }
}

/// A value that may cross threads and change, in a browser excepted.
trait HoldsMut<T>: wgpu::WasmNotSendSync {
    fn held(&self) -> &T;
    fn held_mut(&mut self) -> &mut T;
}

impl<T: wgpu::WasmNotSendSync> HoldsMut<T> for T {
    fn held(&self) -> &T {
        self
    }

    fn held_mut(&mut self) -> &mut T {
        self
    }
}

/// A value of one owner.
pub(crate) struct OpaqueBox<T>(Box<dyn HoldsMut<T>>);

impl<T: wgpu::WasmNotSendSync + 'static> OpaqueBox<T> {
    pub(crate) fn new(value: T) -> Self {
        OpaqueBox(Box::new(value))
    }
}

impl<T> Deref for OpaqueBox<T> {
    type Target = T;

    fn deref(&self) -> &T {
        HoldsMut::<T>::held(&*self.0)
    }
}

impl<T> DerefMut for OpaqueBox<T> {
    fn deref_mut(&mut self) -> &mut T {
        HoldsMut::<T>::held_mut(&mut *self.0)
    }
}

/// A future on the heap.
#[cfg(not(target_arch = "wasm32"))]
pub(crate) type BoxedFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A future on the heap.
#[cfg(target_arch = "wasm32")]
pub(crate) type BoxedFuture<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// Puts a future on the heap.
pub(crate) fn boxed<'a, T>(future: impl Future<Output = T> + wgpu::WasmNotSend + 'a) -> BoxedFuture<'a, T> {
    Box::pin(future)
}
