//! The device's clock: timestamps before, between and behind dispatches.

use super::buffer::{GpuBuffer, Role};
use super::counters::Tally;
use super::device::Gpu;
use crate::error::{Error, Result};

/// A query set for the times between dispatches.
#[derive(Debug)]
pub(crate) struct Timestamps {
    set: wgpu::QuerySet,
    resolved: wgpu::Buffer,
    /// Where the host reads them.
    pub(super) staging: GpuBuffer,
    count: u32,
}

impl Gpu {
    /// Room for a timestamp before each of `dispatches` dispatches and one after the last.
    pub(crate) async fn timestamps(&self, dispatches: usize, tally: &Tally) -> Result<Timestamps> {
        if dispatches >= wgpu::QUERY_SET_MAX_QUERIES as usize {
            let limit = wgpu::QUERY_SET_MAX_QUERIES;
            return Err(Error::limit(format!(
                "{dispatches} dispatches cannot be timed at once: a device takes at most {limit} timestamps"
            )));
        }
        let count = dispatches as u32 + 1;
        let size = u64::from(count) * 8;
        let staging = self.buffer("timestamps", size, Role::Download, tally).await?;
        self.guarded("making a query set", || {
            let descriptor = wgpu::QuerySetDescriptor { label: None, ty: wgpu::QueryType::Timestamp, count };
            let usage = wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC;
            let resolved = wgpu::BufferDescriptor { label: None, size, usage, mapped_at_creation: false };
            let (device, staging) = (self.device(), staging);
            Timestamps { set: device.create_query_set(&descriptor), resolved: device.create_buffer(&resolved), staging, count }
        })
        .await
    }
}

impl Timestamps {
    /// Records that the time is taken between two dispatches.
    pub(super) fn stamp(&self, pass: &mut wgpu::ComputePass, index: usize) {
        pass.write_timestamp(&self.set, index as u32);
    }

    /// Records that all times go where the host can read them.
    pub(super) fn resolve(&self, encoder: &mut wgpu::CommandEncoder) {
        encoder.resolve_query_set(&self.set, 0..self.count, &self.resolved, 0);
        encoder.copy_buffer_to_buffer(&self.resolved, 0, &self.staging.buffer, 0, self.staging.size());
    }
}
