//! What a kernel may count on: an adapter's class, limits and features as plain data.

use super::TEXTURE_WIDTH;
use std::fmt;

/// The kinds of adapter that want different kernels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AdapterClass {
    /// A Vulkan driver on the CPU: no workgroup memory tiles, no barriers, broadcasts within a subgroup.
    Cpu,
    /// A GPU that shares memory with the CPU.
    Integrated,
    /// A GPU with its own memory.
    Discrete,
}

/// Class, limits and features of an adapter. `gpu/` fills it in; [`Caps::portable`] stands in where there is none.
#[derive(Clone, Debug, PartialEq)]
pub struct Caps {
    /// The adapter's name, for messages.
    pub name: String,
    /// The driver and its version, as the driver tells them.
    pub driver: String,
    /// Which kernels suit it.
    pub class: AdapterClass,
    /// Lanes of a subgroup, when the adapter has subgroup operations and all its subgroups are of one size.
    pub subgroup: Option<u32>,
    /// True when shaders may use the type f16.
    pub shader_f16: bool,
    /// True when shaders may use the types i64 and u64.
    pub shader_i64: bool,
    /// True when the device can write timestamps inside a pass.
    pub timestamps: bool,
    /// Largest storage binding in bytes.
    pub max_storage_binding: u64,
    /// Largest buffer in bytes.
    pub max_buffer: u64,
    /// Most texels along a side of a texture.
    pub max_texture: u32,
    /// Most storage buffers of one dispatch.
    pub max_storage_buffers: u32,
    /// Bytes of workgroup memory.
    pub max_workgroup_storage: u32,
    /// Most invocations of a workgroup.
    pub max_invocations: u32,
    /// Most invocations of a workgroup along each dimension.
    pub max_workgroup: [u32; 3],
    /// Most workgroups along one dimension of a grid.
    pub max_grid: u32,
    /// Alignment in bytes of a uniform binding's offset.
    pub uniform_alignment: u32,
    /// The most iterations that all loops of one invocation, nested ones multiplied, may be relied on to run together:
    /// Mesa 22's lavapipe counts them in one counter and ends every loop in silence once it reaches 65,535. Loops that the
    /// compiler unrolls do not count.
    pub max_loop: u32,
}

impl Caps {
    /// The limits that every WebGPU adapter has (WebGPU specification, section 3.6.2), without optional features.
    pub fn portable() -> Self {
        Caps {
            name: "portable".into(),
            driver: String::new(),
            class: AdapterClass::Discrete,
            subgroup: None,
            shader_f16: false,
            shader_i64: false,
            timestamps: false,
            max_storage_binding: 128 << 20,
            max_buffer: 256 << 20,
            max_texture: 8192,
            max_storage_buffers: 8,
            max_workgroup_storage: 16384,
            max_invocations: 256,
            max_workgroup: [256, 256, 64],
            max_grid: 65535,
            uniform_alignment: 256,
            max_loop: 65535,
        }
    }

    /// Workgroups that keep the adapter busy; with fewer, it pays to split what one of them does.
    pub(crate) fn enough_workgroups(&self) -> usize {
        match self.class {
            AdapterClass::Discrete => 128,
            AdapterClass::Integrated => 32,
            AdapterClass::Cpu => 8,
        }
    }

    /// Whether a texture holds an array of so many bytes.
    pub(crate) fn texture_holds(&self, bytes: u64) -> bool {
        self.max_texture >= TEXTURE_WIDTH && bytes <= u64::from(self.max_texture) * u64::from(TEXTURE_WIDTH) * 16
    }

    /// Portable limits as a software adapter with subgroups of eight lanes.
    pub fn software() -> Self {
        Caps {
            name: "software".into(),
            class: AdapterClass::Cpu,
            subgroup: Some(8),
            shader_i64: true,
            max_workgroup_storage: 32768,
            ..Self::portable()
        }
    }
}

impl fmt::Display for Caps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({:?})", self.name, self.class)
    }
}
