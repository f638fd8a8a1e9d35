//! A compiled kernel.

use std::sync::atomic::{AtomicBool, Ordering};

/// A compiled kernel and the layout of its bindings.
pub(crate) struct Pipeline {
    pub(super) pipeline: wgpu::ComputePipeline,
    pub(super) layout: wgpu::BindGroupLayout,
    /// It ran once.
    dispatched: AtomicBool,
}

impl Pipeline {
    pub(super) fn new(pipeline: wgpu::ComputePipeline, layout: wgpu::BindGroupLayout) -> Self {
        Pipeline { pipeline, layout, dispatched: AtomicBool::new(false) }
    }

    /// Whether it never ran.
    pub(crate) fn is_new(&self) -> bool {
        !self.dispatched.load(Ordering::Relaxed)
    }

    /// It ran.
    pub(crate) fn has_run(&self) {
        self.dispatched.store(true, Ordering::Relaxed);
    }
}
