//! Mesa's AMD driver as a compiler: a Vulkan device that stands for hardware which is not there.
//!
//! RADV reads `RADV_FORCE_FAMILY` when it looks for devices, so a process that uses this was started with it.

use crate::failure::{Failure, Result};
use crate::spirv::{Kind, Module};
use ash::{ext, khr, vk};
use std::collections::BTreeMap;
use std::ffi::{CStr, CString, c_char};

/// How to get what is missing.
pub(super) const ADVICE: &str = "install Mesa's AMD driver, RADV (Debian: libvulkan1 and mesa-vulkan-drivers)";

/// What the driver tells of a pipeline.
pub(super) struct Compiled {
    /// Its statistics by name.
    pub(super) statistics: BTreeMap<String, u64>,
    /// Lanes of its subgroups.
    pub(super) wave: u32,
    /// The disassembly.
    pub(super) assembly: String,
}

/// The driver with a device for one target.
pub(super) struct Driver {
    // Keeps the loader's library in memory.
    _entry: ash::Entry,
    instance: ash::Instance,
    device: ash::Device,
    executables: khr::pipeline_executable_properties::Device,
    /// Name and version, as the driver tells them.
    pub(super) name: String,
}

fn failed(doing: &str) -> impl Fn(vk::Result) -> Failure + '_ {
    move |e| Failure::message(format!("cannot {doing}: the driver answered {e:?}"))
}

fn text(characters: &[c_char]) -> String {
    let bytes = characters.iter().take_while(|c| **c != 0).map(|c| c.to_ne_bytes()[0]);
    String::from_utf8_lossy(&bytes.collect::<Vec<u8>>()).into_owned()
}

impl Driver {
    /// Opens the driver's device.
    #[allow(unsafe_code, reason = "Vulkan")]
    pub(super) fn open() -> Result<Driver> {
        // SAFETY: the loader's own initialization; all calls below keep to Vulkan's valid usage: structures chained are those
        // of features the device reports, and every handle is used while its parent lives.
        unsafe {
            let entry = ash::Entry::load().map_err(|e| Failure::message(format!("no Vulkan loader ({e}): {ADVICE}")))?;
            let application = vk::ApplicationInfo::default().api_version(vk::API_VERSION_1_3);
            let information = vk::InstanceCreateInfo::default().application_info(&application);
            let instance = entry.create_instance(&information, None).map_err(failed("make a Vulkan instance"))?;
            let devices = instance.enumerate_physical_devices().map_err(failed("list Vulkan devices"))?;
            let (physical, name) = devices
                .into_iter()
                .find_map(|physical| {
                    let mut driver = vk::PhysicalDeviceDriverProperties::default();
                    let mut properties = vk::PhysicalDeviceProperties2::default().push_next(&mut driver);
                    instance.get_physical_device_properties2(physical, &mut properties);
                    let name = text(&driver.driver_info);
                    (driver.driver_id == vk::DriverId::MESA_RADV).then_some((physical, name))
                })
                .ok_or_else(|| Failure::message(format!("no Vulkan device of RADV was found: {ADVICE}")))?;
            let device = device(&instance, physical)?;
            let executables = khr::pipeline_executable_properties::Device::new(&instance, &device);
            Ok(Driver { _entry: entry, instance, device, executables, name })
        }
    }

    /// Compiles a kernel's module as wgpu would have it compiled.
    #[allow(unsafe_code, reason = "Vulkan")]
    pub(super) fn compile(&self, module: &Module) -> Result<Compiled> {
        let device = &self.device;
        let entry = CString::new(module.entry.as_str()).map_err(|e| Failure::message(e.to_string()))?;
        let binding = |(binding, kind): &(u32, Kind)| {
            let kind = match kind {
                Kind::Uniform => vk::DescriptorType::UNIFORM_BUFFER,
                Kind::Storage => vk::DescriptorType::STORAGE_BUFFER,
                Kind::StorageImage => vk::DescriptorType::STORAGE_IMAGE,
            };
            let layout = vk::DescriptorSetLayoutBinding::default().binding(*binding).descriptor_type(kind);
            layout.descriptor_count(1).stage_flags(vk::ShaderStageFlags::COMPUTE)
        };
        let bindings: Vec<_> = module.bindings.iter().map(binding).collect();
        // SAFETY: naga validated the module; handles are used before they are destroyed, and destroyed once.
        unsafe {
            let information = vk::ShaderModuleCreateInfo::default().code(&module.words);
            let shader = device.create_shader_module(&information, None).map_err(failed("make a shader module"))?;
            let information = vk::DescriptorSetLayoutCreateInfo::default().bindings(&bindings);
            let sets = [device.create_descriptor_set_layout(&information, None).map_err(failed("make a layout"))?];
            let information = vk::PipelineLayoutCreateInfo::default().set_layouts(&sets);
            let layout = device.create_pipeline_layout(&information, None).map_err(failed("make a layout"))?;
            let stage = vk::PipelineShaderStageCreateInfo::default()
                // wgpu sets it on devices with subgroup operations.
                .flags(vk::PipelineShaderStageCreateFlags::ALLOW_VARYING_SUBGROUP_SIZE)
                .stage(vk::ShaderStageFlags::COMPUTE)
                .module(shader)
                .name(&entry);
            let flags =
                vk::PipelineCreateFlags::CAPTURE_STATISTICS_KHR | vk::PipelineCreateFlags::CAPTURE_INTERNAL_REPRESENTATIONS_KHR;
            let information = [vk::ComputePipelineCreateInfo::default().stage(stage).layout(layout).flags(flags)];
            let made = device.create_compute_pipelines(vk::PipelineCache::null(), &information, None);
            let compiled = match made {
                Ok(pipelines) => {
                    let compiled = self.describe(pipelines[0]);
                    pipelines.into_iter().for_each(|p| device.destroy_pipeline(p, None));
                    compiled
                }
                Err((_, e)) => Err(failed("compile")(e)),
            };
            device.destroy_pipeline_layout(layout, None);
            sets.into_iter().for_each(|set| device.destroy_descriptor_set_layout(set, None));
            device.destroy_shader_module(shader, None);
            compiled
        }
    }

    /// # Safety
    /// The pipeline is one of this device, made with capture flags.
    #[allow(unsafe_code, reason = "Vulkan")]
    unsafe fn describe(&self, pipeline: vk::Pipeline) -> Result<Compiled> {
        let extension = &self.executables;
        let which = vk::PipelineInfoKHR::default().pipeline(pipeline);
        // SAFETY: the caller vouches for the pipeline.
        let executables = unsafe { extension.get_pipeline_executable_properties(&which) }.map_err(failed("read properties"))?;
        let wave = executables.first().map_or(0, |e| e.subgroup_size);
        let which = vk::PipelineExecutableInfoKHR::default().pipeline(pipeline);
        // SAFETY: as above; RADV's statistics are all 64-bit unsigned integers.
        let statistics = unsafe {
            let found = extension.get_pipeline_executable_statistics(&which).map_err(failed("read statistics"))?;
            found.iter().map(|s| (text(&s.name), s.value.u64)).collect()
        };
        // SAFETY: as above.
        let assembly = unsafe { self.assembly(&which) }?;
        if assembly.is_empty() {
            return Err(Failure::message("this build of RADV gives no assembly"));
        }
        Ok(Compiled { statistics, wave, assembly })
    }

    /// # Safety
    /// The executable is one of this device's pipelines, made with capture flags.
    #[allow(unsafe_code, reason = "Vulkan")]
    unsafe fn assembly(&self, which: &vk::PipelineExecutableInfoKHR<'_>) -> Result<String> {
        let get = self.executables.fp().get_pipeline_executable_internal_representations_khr;
        let failed = failed("read the assembly");
        let mut count = 0;
        // SAFETY: the count is asked for first, then the sizes, then the texts, into buffers of the sizes told.
        unsafe {
            let device = self.device.handle();
            get(device, which, &mut count, std::ptr::null_mut()).result().map_err(&failed)?;
            let mut found = vec![vk::PipelineExecutableInternalRepresentationKHR::default(); count as usize];
            get(device, which, &mut count, found.as_mut_ptr()).result().map_err(&failed)?;
            let mut buffers: Vec<Vec<u8>> = found.iter().map(|r| vec![0; r.data_size]).collect();
            for (representation, buffer) in found.iter_mut().zip(&mut buffers) {
                representation.p_data = buffer.as_mut_ptr().cast();
            }
            get(device, which, &mut count, found.as_mut_ptr()).result().map_err(&failed)?;
            let assembly = found.iter().zip(buffers).find(|(r, _)| text(&r.name).contains("Assembly"));
            Ok(assembly.map_or_else(String::new, |(_, b)| String::from_utf8_lossy(&b).trim_end_matches('\0').to_string()))
        }
    }
}

impl Drop for Driver {
    #[allow(unsafe_code, reason = "Vulkan")]
    fn drop(&mut self) {
        // SAFETY: all that was made of them is destroyed, and nothing uses them after this.
        unsafe {
            self.device.destroy_device(None);
            self.instance.destroy_instance(None);
        }
    }
}

/// A device with the features that wgpu would turn on: those change how kernels are compiled, robust buffer access above all.
///
/// # Safety
/// The physical device is one of the instance.
#[allow(unsafe_code, reason = "Vulkan")]
unsafe fn device(instance: &ash::Instance, physical: vk::PhysicalDevice) -> Result<ash::Device> {
    // SAFETY: the features turned on are those that the device reports, by the extensions it reports.
    unsafe {
        let listed = instance.enumerate_device_extension_properties(physical).map_err(failed("list a device's extensions"))?;
        let offers = |name: &CStr| listed.iter().any(|e| e.extension_name_as_c_str() == Ok(name));
        if !offers(khr::pipeline_executable_properties::NAME) {
            return Err(Failure::message("this build of RADV tells nothing of its pipelines"));
        }
        let mut extensions = vec![khr::pipeline_executable_properties::NAME.as_ptr()];
        let mut robust = vk::PhysicalDeviceRobustness2FeaturesEXT::default();
        let mut v11 = vk::PhysicalDeviceVulkan11Features::default();
        let mut v12 = vk::PhysicalDeviceVulkan12Features::default();
        let mut v13 = vk::PhysicalDeviceVulkan13Features::default();
        let mut found = vk::PhysicalDeviceFeatures2::default().push_next(&mut v11).push_next(&mut v12).push_next(&mut v13);
        if offers(ext::robustness2::NAME) {
            extensions.push(ext::robustness2::NAME.as_ptr());
            found = found.push_next(&mut robust);
        }
        instance.get_physical_device_features2(physical, &mut found);
        let core = found.features;

        let mut executable = vk::PhysicalDevicePipelineExecutablePropertiesFeaturesKHR::default().pipeline_executable_info(true);
        let mut v11 = vk::PhysicalDeviceVulkan11Features::default()
            .storage_buffer16_bit_access(v11.storage_buffer16_bit_access != 0)
            .uniform_and_storage_buffer16_bit_access(v11.uniform_and_storage_buffer16_bit_access != 0);
        let mut v12 =
            vk::PhysicalDeviceVulkan12Features::default().shader_float16(v12.shader_float16 != 0).shader_int8(v12.shader_int8 != 0);
        let mut v13 = vk::PhysicalDeviceVulkan13Features::default()
            .subgroup_size_control(v13.subgroup_size_control != 0)
            .robust_image_access(v13.robust_image_access != 0)
            .shader_zero_initialize_workgroup_memory(v13.shader_zero_initialize_workgroup_memory != 0);
        let mut robust = vk::PhysicalDeviceRobustness2FeaturesEXT::default()
            .robust_buffer_access2(robust.robust_buffer_access2 != 0)
            .robust_image_access2(robust.robust_image_access2 != 0);
        let core = vk::PhysicalDeviceFeatures::default()
            .robust_buffer_access(core.robust_buffer_access != 0)
            .shader_int64(core.shader_int64 != 0)
            .shader_int16(core.shader_int16 != 0);
        let queues = [vk::DeviceQueueCreateInfo::default().queue_family_index(0).queue_priorities(&[1.0])];
        let mut information = vk::DeviceCreateInfo::default()
            .queue_create_infos(&queues)
            .enabled_extension_names(&extensions)
            .enabled_features(&core)
            .push_next(&mut executable)
            .push_next(&mut v11)
            .push_next(&mut v12)
            .push_next(&mut v13);
        if extensions.len() > 1 {
            information = information.push_next(&mut robust);
        }
        instance.create_device(physical, &information, None).map_err(failed("open a device"))
    }
}
