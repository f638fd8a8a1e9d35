//! What a device was opened with, as [`Caps`].

use crate::kernel::{AdapterClass, Caps};

/// Mesa's software Vulkan ends all loops of an invocation in silence once they went round 65,535 times together. A few of these are kept for
/// loops one after another, each of which goes round once more than it does something, and for those by which a workgroup agrees.
const SOFTWARE_LOOP: u32 = 65_535 - 63;

/// What kernels may count on, from what a device was opened with.
pub(super) fn caps(info: &wgpu::AdapterInfo, features: &wgpu::Features, limits: &wgpu::Limits) -> Caps {
    let class = match info.device_type {
        wgpu::DeviceType::Cpu => AdapterClass::Cpu,
        wgpu::DeviceType::IntegratedGpu => AdapterClass::Integrated,
        _ => AdapterClass::Discrete,
    };
    let one_size = features.contains(wgpu::Features::SUBGROUP) && info.subgroup_min_size == info.subgroup_max_size;
    Caps {
        name: info.name.clone(),
        driver: format!("{} {}", info.driver, info.driver_info).trim().to_string(),
        class,
        subgroup: one_size.then_some(info.subgroup_min_size),
        shader_f16: features.contains(wgpu::Features::SHADER_F16),
        shader_i64: features.contains(wgpu::Features::SHADER_INT64),
        timestamps: features.contains(wgpu::Features::TIMESTAMP_QUERY | wgpu::Features::TIMESTAMP_QUERY_INSIDE_PASSES),
        max_storage_binding: limits.max_storage_buffer_binding_size,
        max_buffer: limits.max_buffer_size,
        max_texture: limits.max_texture_dimension_2d,
        max_storage_buffers: limits.max_storage_buffers_per_shader_stage,
        max_workgroup_storage: limits.max_compute_workgroup_storage_size,
        max_invocations: limits.max_compute_invocations_per_workgroup,
        max_workgroup: [
            limits.max_compute_workgroup_size_x,
            limits.max_compute_workgroup_size_y,
            limits.max_compute_workgroup_size_z,
        ],
        max_grid: limits.max_compute_workgroups_per_dimension,
        uniform_alignment: limits.min_uniform_buffer_offset_alignment,
        max_loop: if class == AdapterClass::Cpu { SOFTWARE_LOOP } else { u32::MAX },
    }
}
