//! Which text a pipeline is compiled from, as data.

use super::Caps;
use super::dispatch::Operand;
use super::params::Field;
use super::preludes::{self, Prelude};
use super::program::Printed;
use std::fmt::Write;
use std::sync::Arc;

/// A hand-written kernel: one file under `shaders/` and the layout of its parameters.
#[derive(Debug)]
pub struct Shader {
    /// File name under `shaders/` or a folder of it, without its ending.
    pub name: &'static str,
    /// The text. It keeps its indices in range, and writes workgroup memory before it reads it.
    pub source: &'static str,
    /// The fields of its `struct Params` (binding 0).
    pub params: &'static [Field],
}

/// Declares a kernel: `shader!(static NAME: TheParams = "file");` reads `shaders/file.wgsl`.
macro_rules! shader {
    ($(#[$meta:meta])* $vis:vis static $name:ident: $params:ty = $file:literal) => {
        $(#[$meta])*
        $vis static $name: $crate::kernel::Shader = $crate::kernel::Shader {
            name: $crate::kernel::file_name($file),
            source: include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/shaders/", $file, ".wgsl")),
            params: <$params as $crate::kernel::Parameters>::FIELDS,
        };
    };
}
pub(crate) use shader;

impl PartialEq for Shader {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}
impl Eq for Shader {}
impl std::hash::Hash for Shader {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

/// How a kernel uses a storage binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Access {
    /// `var<storage, read>`.
    Read,
    /// `var<storage, read_write>`.
    Write,
    /// `texture_storage_2d<rgba32float, read>`: an array of groups of four floats, see the prelude `texels`.
    ReadTexture,
    /// `texture_storage_2d<rgba32float, write>`.
    WriteTexture,
    /// `var<uniform>`: the numbers of a generated function. It stands last.
    Numbers,
}

impl Access {
    /// Whether the kernel writes it.
    pub fn writes(self) -> bool {
        matches!(self, Access::Write | Access::WriteTexture)
    }

    /// Whether it is a texture, not a buffer.
    pub fn is_texture(self) -> bool {
        matches!(self, Access::ReadTexture | Access::WriteTexture)
    }

    /// Whether it is a storage buffer.
    pub fn is_storage(self) -> bool {
        matches!(self, Access::Read | Access::Write)
    }
}

/// Groups of four floats in a row of a texture that holds an array of them.
pub const TEXTURE_WIDTH: u32 = 2048;

/// Everything a pipeline is compiled from; equal kernels share one pipeline.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Kernel {
    /// The hand-written body.
    pub shader: &'static Shader,
    /// Whole files joined in front of it, in order.
    pub preludes: Vec<&'static Prelude>,
    /// `const NAME: u32` lines in front of it, where an `override` is not allowed (sizes of function-local arrays).
    pub constants: Vec<(&'static str, u32)>,
    /// Values of its `override` constants. Every one the body declares must be given.
    pub overrides: Vec<(&'static str, u32)>,
    /// A generated function that the body calls (see [`Program`](super::Program)), with the bindings it reads.
    pub generated: Option<Arc<str>>,
    /// The contents of the uniform `numbers` of `generated`: a [`Dispatch`](super::Dispatch) takes them over, so that kernels that
    /// differ in them alone are equal.
    pub numbers: Vec<u32>,
    /// Its storage bindings from binding 1 on: inputs, outputs, then what `generated` reads.
    pub storage: Vec<Access>,
    /// Its workgroup size, as the contract test finds it in the compiled module.
    pub workgroup: [u32; 3],
}

impl Kernel {
    /// A kernel with nothing but its body.
    pub fn new(shader: &'static Shader, storage: &[Access], workgroup: [u32; 3]) -> Self {
        Kernel {
            shader,
            preludes: vec![],
            constants: vec![],
            overrides: vec![],
            generated: None,
            numbers: vec![],
            storage: storage.to_vec(),
            workgroup,
        }
    }

    /// Joins one more prelude, unless it is there already.
    pub fn prelude(mut self, prelude: &'static Prelude) -> Self {
        if !self.preludes.contains(&prelude) {
            self.preludes.push(prelude);
        }
        self
    }

    /// Joins the preludes that say what a `Float` is, one value or four neighbours, and how storage holds them.
    pub fn width(self, width: u32, caps: &Caps) -> Self {
        if width == 4 {
            self.prelude(&preludes::WIDTH4).prelude(caps.fours()).prelude(&preludes::STORED_WIDTH4)
        } else {
            self.prelude(&preludes::WIDTH1).prelude(&preludes::STORED_WIDTH1)
        }
    }

    /// Joins a generated function, for which all that it reads is bound but its numbers.
    pub fn generate(mut self, function: Printed, bindings: &mut Vec<Operand>) -> Self {
        if !function.numbers.is_empty() {
            self = self.prelude(&preludes::DIVIDE);
            self.storage.push(Access::Numbers);
            bindings.push(Operand::Numbers);
        }
        self.numbers = function.numbers;
        self.generated = Some(function.text.into());
        self
    }

    /// Adds one more `const` line.
    pub fn constant(mut self, name: &'static str, value: u32) -> Self {
        self.constants.push((name, value));
        self
    }

    /// Adds one more `override` value.
    pub fn set(mut self, name: &'static str, value: u32) -> Self {
        self.overrides.push((name, value));
        self
    }

    /// Joins `texel`, which finds groups of four floats in the textures it binds.
    pub fn texels(self) -> Self {
        if self.preludes.contains(&&preludes::TEXELS) {
            return self;
        }
        self.constant("TEXTURE_WIDTH", TEXTURE_WIDTH).prelude(&preludes::TEXELS)
    }

    /// Joins `x_at`, which reads the rows that are bound so.
    pub fn reads_rows(self, x: Access) -> Self {
        if x.is_texture() { self.texels().prelude(&preludes::ROWS_TEXELS) } else { self.prelude(&preludes::ROWS_STORED) }
    }

    /// The text to compile: constants, preludes, the generated function, the body.
    pub fn source(&self) -> String {
        let mut text = String::new();
        for (name, value) in &self.constants {
            let _ = writeln!(text, "const {name}: u32 = {value}u;");
        }
        for prelude in &self.preludes {
            text.push_str(prelude.source);
            text.push('\n');
        }
        if let Some(generated) = &self.generated {
            text.push_str(generated);
            text.push('\n');
        }
        text.push_str(self.shader.source);
        text
    }
}
