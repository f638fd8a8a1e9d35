//! From a kernel to what the driver is given for it, as wgpu makes it.
//!
//! wgpu compiles a pipeline's module by itself (`compile_stage` of wgpu-hal's Vulkan device), so all that it decides for a
//! kernel of `gpu/pipeline.rs` is known: without run-time checks there are no bounds checks, no bounded loops and no guarded
//! integer divisions; with them, indices into arrays of known size are clamped, storage buffers are left to the device's
//! robust access (RADV has it), and loops and divisions are guarded. Workgroup memory starts as zeros either way, by the
//! driver's own means.

use crate::failure::{Failure, Result};
use gristmill::internals::kernel::Kernel;
use naga::back::{pipeline_constants::process_overrides, spv};
use naga::proc::{BoundsCheckPolicies, BoundsCheckPolicy};
use naga::valid::{Capabilities, ValidationFlags, Validator};
use naga::{AddressSpace, ResourceBinding, ShaderStage, TypeInner};

/// A module for the driver.
pub(crate) struct Module {
    /// SPIR-V.
    pub(crate) words: Vec<u32>,
    /// Number and kind of each binding of group 0.
    #[cfg_attr(not(all(feature = "isa", target_os = "linux")), expect(dead_code, reason = "only a compiler wants to know"))]
    pub(crate) bindings: Vec<(u32, Kind)>,
    /// Name of the entry point.
    #[cfg_attr(not(all(feature = "isa", target_os = "linux")), expect(dead_code, reason = "only a compiler wants to know"))]
    pub(crate) entry: String,
}

/// What is bound.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Uniform,
    Storage,
    StorageImage,
}

fn checks(checked: bool) -> BoundsCheckPolicies {
    let index = if checked { BoundsCheckPolicy::Restrict } else { BoundsCheckPolicy::Unchecked };
    BoundsCheckPolicies { index, ..unchecked() }
}

/// What a device with robust access to buffers and images needs.
fn unchecked() -> BoundsCheckPolicies {
    let policy = BoundsCheckPolicy::Unchecked;
    BoundsCheckPolicies { index: policy, buffer: policy, image_load: policy, binding_array: policy }
}

fn bindings(module: &naga::Module) -> Vec<(ResourceBinding, Kind)> {
    let kind = |variable: &naga::GlobalVariable| match (variable.space, &module.types[variable.ty].inner) {
        (AddressSpace::Uniform, _) => Kind::Uniform,
        (_, TypeInner::Image { .. }) => Kind::StorageImage,
        _ => Kind::Storage,
    };
    module.global_variables.iter().filter_map(|(_, v)| Some((v.binding?, kind(v)))).collect()
}

/// What the driver is given for a kernel.
pub(crate) fn module(kernel: &Kernel, checked: bool) -> Result<Module> {
    let source = kernel.source();
    let failed = |what: String| Failure::message(format!("shader {}: {}", kernel.shader.name, what.trim()));
    let module = naga::front::wgsl::parse_str(&source).map_err(|e| failed(e.emit_to_string(&source)))?;
    let validated = Validator::new(ValidationFlags::all(), Capabilities::all()).validate(&module);
    let info = validated.map_err(|e| failed(e.emit_to_string(&source)))?;
    let entry = module.entry_points.first().map(|e| e.name.clone()).unwrap_or_default();
    let values = kernel.overrides.iter().map(|(name, value)| (name.to_string(), f64::from(*value))).collect();
    let processed = process_overrides(&module, &info, Some((ShaderStage::Compute, &entry)), &values);
    let (module, info) = processed.map_err(|e| failed(e.to_string()))?;
    let bindings = bindings(&module);
    let zeros = if checked { spv::ZeroInitializeWorkgroupMemoryMode::Native } else { spv::ZeroInitializeWorkgroupMemoryMode::None };
    let options = spv::Options {
        lang_version: (1, 6),
        flags: spv::WriterFlags::empty(),
        fake_missing_bindings: false,
        binding_map: bindings
            .iter()
            .map(|(b, _)| (*b, spv::BindingInfo { descriptor_set: b.group, binding: b.binding, binding_array_size: None }))
            .collect(),
        capabilities: None,
        bounds_check_policies: checks(checked),
        zero_initialize_workgroup_memory: zeros,
        force_loop_bounding: checked,
        emit_int_div_checks: checked,
        ..spv::Options::default()
    };
    let pipeline = spv::PipelineOptions { shader_stage: ShaderStage::Compute, entry_point: entry.clone() };
    let words = spv::write_vec(&module, &info, &options, Some(&pipeline)).map_err(|e| failed(e.to_string()))?;
    Ok(Module { words, bindings: bindings.into_iter().map(|(b, kind)| (b.binding, kind)).collect(), entry })
}
