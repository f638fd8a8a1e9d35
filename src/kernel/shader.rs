//! Which text a pipeline is compiled from, as data.

use super::Caps;
use super::dispatch::Operand;
use super::params::Field;
use super::program::Printed;
use std::fmt::Write;
use std::sync::Arc;

/// A whole file that is joined in front of a kernel: element widths, reductions, index helpers.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Prelude {
    /// File name under `shaders/lib` or a folder of it, without its ending.
    pub name: &'static str,
    /// The text.
    pub source: &'static str,
}

/// The preludes under `shaders/lib`.
pub mod preludes {
    use super::Prelude;

    macro_rules! prelude {
        ($($(#[$meta:meta])* $name:ident = $file:literal;)*) => {
            $($(#[$meta])* pub static $name: Prelude = Prelude {
                name: crate::kernel::file_name($file),
                source: include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/shaders/lib/", $file, ".wgsl")),
            };)*
            /// All of them.
            pub static ALL: &[&Prelude] = &[$(&$name),*];
        };
    }

    prelude! {
        /// `Float`, `Int`, `Uint` are scalars: a value at a time.
        WIDTH1 = "width1";
        /// `Float`, `Int`, `Uint` are vectors of four: four neighbours at a time.
        WIDTH4 = "width4";
        /// Storage in groups of four floats, as vectors.
        FOUR_VECTORS = "four_vectors";
        /// The same as 64-bit words.
        FOUR_WORDS = "four_words";
        /// Where the groups of four floats of an array stand in a texture. Wants `const TEXTURE_WIDTH`.
        TEXELS = "texels";
        /// What kernels of width 1 find in storage, `array<Stored>`. Goes with `WIDTH1`.
        STORED_WIDTH1 = "stored_width1";
        /// The same for width 4. Goes with `WIDTH4` and the prelude of [`Caps::fours`](crate::kernel::Caps::fours).
        STORED_WIDTH4 = "stored_width4";
        /// Scalar functions that WGSL lacks, on `Float` of either width.
        MATH = "math";
        /// Sum, product, larger or smaller of two bit patterns of any scalar type.
        COMBINE = "combine";
        /// Integer division by way of floats.
        DIVIDE = "divide";
        /// Sums and maxima over a workgroup through workgroup memory. Wants `const WORKGROUP`.
        REDUCE_SHARED = "reduce_shared";
        /// The same functions by subgroup operations. Wants `const WORKGROUP` and `const SUBGROUP`.
        REDUCE_SUBGROUP = "reduce_subgroup";
        /// A reduction's element type is f32.
        NUMBER_F32 = "number_f32";
        /// A reduction's element type is i32.
        NUMBER_I32 = "number_i32";
        /// A reduction's element type is u32.
        NUMBER_U32 = "number_u32";
        /// The ten reductions. Wants `const FOLD` and a number prelude.
        FOLD = "fold";
        /// Joins the states of a workgroup through workgroup memory. Wants `const WORKGROUP`.
        FOLD_SHARED = "fold_shared";
        /// The same for a workgroup that is one subgroup.
        FOLD_SUBGROUP = "fold_subgroup";
        /// A reduction reads one value at a time.
        LOAD1 = "load1";
        /// A reduction reads four values at a time.
        LOAD4 = "load4";
        /// A reduction reads four floats at a time. Goes with the prelude of [`Caps::fours`](crate::kernel::Caps::fours).
        LOAD4_FLOATS = "load4_floats";
        /// A reduction writes floats.
        EMIT_FLOAT = "emit_float";
        /// A reduction writes integers.
        EMIT_INTEGER = "emit_integer";
        /// A reduction writes states that another kernel joins.
        EMIT_STATE = "emit_state";
        /// Parameters, mask and scores of all attention kernels.
        ATTENTION = "attention";
        /// What kernels of recurrent layers share. Wants `const UNITS`.
        RECURRENT = "recurrent";
        /// The packed weights of recurrent layers.
        RECURRENT_WEIGHTS = "recurrent_weights";
        /// Recurrent layers read four hidden units at a time.
        RECURRENT_GROUPS = "recurrent_groups";
        /// Recurrent layers read single units.
        RECURRENT_SCALARS = "recurrent_scalars";
        /// Attention reads queries four elements at a time.
        ATTENTION_QUERY_VECTORS = "attention_query_vectors";
        /// Attention reads queries by single elements at any stride.
        ATTENTION_QUERY_SCALARS = "attention_query_scalars";
        /// Attention reads keys and values four elements at a time.
        ATTENTION_KEY_VECTORS = "attention_key_vectors";
        /// Kernels of rows read them from storage. Goes with the preludes of `Kernel::width`.
        ROWS_STORED = "rows_stored";
        /// The same from a texture, at width 4. Wants `Kernel::texels`.
        ROWS_TEXELS = "rows_texels";
        /// Attention reads keys and values four elements at a time from textures. Wants `Kernel::texels`.
        ATTENTION_KEY_TEXELS = "attention_key_texels";
        /// Attention reads keys and values by single elements at any stride.
        ATTENTION_KEY_SCALARS = "attention_key_scalars";
        /// The activation functions of recurrent layers.
        ACTIVATION = "activation";
        /// The equation of a plain recurrent cell.
        CELL_RNN = "cell_rnn";
        /// The equations of a gated recurrent unit. Wants `const LINEAR_BEFORE_RESET`.
        CELL_GRU = "cell_gru";
        /// The equations of a long short-term memory. Wants `const INPUT_FORGET`.
        CELL_LSTM = "cell_lstm";
        /// Scale and bias of a normalization, one element per column.
        AFFINE_COLUMNS = "affine_columns";
        /// The same from textures, at width 4. Wants `Kernel::texels`.
        AFFINE_COLUMNS_TEXELS = "affine_columns_texels";
        /// Scale and bias of a normalization, one element per channel.
        AFFINE_CHANNELS = "affine_channels";
        /// `Element` is f32; a generated epilogue goes with it.
        ELEMENT_F32 = "element_f32";
        /// `Element` is i32, without an epilogue.
        ELEMENT_I32 = "element_i32";
        /// `Element` is u32, without an epilogue.
        ELEMENT_U32 = "element_u32";
        /// Parameters of matrix products and where the matrices of a batch start.
        MATMUL = "matmul";
        /// Operand A by vectors of four along its rows.
        MATMUL_A_ROWS = "matmul_a_rows";
        /// Operand A by vectors of four along its columns.
        MATMUL_A_COLUMNS = "matmul_a_columns";
        /// Operand A with any strides.
        MATMUL_A_SCALAR = "matmul_a_scalar";
        /// Operand B by vectors of four along its rows.
        MATMUL_B_ROWS = "matmul_b_rows";
        /// Operand B by vectors of four along its columns.
        MATMUL_B_COLUMNS = "matmul_b_columns";
        /// Operand B with any strides.
        MATMUL_B_SCALAR = "matmul_b_scalar";
        /// Operand B in packed panels. Wants `const PANEL`.
        MATMUL_B_PANELS = "matmul_b_panels";
        /// Eight rows of sums in the registers of a subgroup, one operand by broadcast.
        ROW_SUMS = "row_sums";
        /// Storing those rows through the epilogue. Goes with `ROW_SUMS` and a prelude that stores four neighbours.
        ROW_STORES = "row_stores";
        /// Winograd's tiles go to a texture.
        WINOGRAD_INPUT_TEXELS = "winograd_input_texels";
        /// Winograd's tiles go to a buffer.
        WINOGRAD_INPUT_FLOATS = "winograd_input_floats";
        /// Winograd's sums come from a texture. Wants `const LANES`.
        WINOGRAD_SUMS_TEXELS = "winograd_sums_texels";
        /// Winograd's sums come from a buffer.
        WINOGRAD_SUMS_FLOATS = "winograd_sums_floats";
        /// Operand A in tiles packed into a texture. Wants `const ROWS`.
        MATMUL_A_TEXTURE = "matmul_a_texture";
        /// Operand B in panels packed into a texture. Wants `const PANEL`.
        MATMUL_B_TEXTURE = "matmul_b_texture";
        /// Operand B in packed panels of half floats. Wants `const PANEL`.
        MATMUL_B_PANELS_F16 = "matmul_b_panels_f16";
        /// Scales and places of an operand B in packed panels of few bits. Wants `const PANEL`, `const BLOCK`, a prelude of zero
        /// points and one of the next two.
        MATMUL_B_BITS = "matmul_b_bits";
        /// Operand B in packed panels of 4 bits. Goes with `MATMUL_B_BITS`.
        MATMUL_B_BITS4 = "matmul_b_bits4";
        /// Operand B in packed panels of 8 bits. Goes with `MATMUL_B_BITS`.
        MATMUL_B_BITS8 = "matmul_b_bits8";
        /// All zero points of a quantized operand B are `const ZERO`.
        MATMUL_ZERO_MIDDLE = "matmul_zero_middle";
        /// A quantized operand B with a zero point for each scale.
        MATMUL_ZERO_POINTS = "matmul_zero_points";
        /// An invocation of a tiled product brings four rows of B.
        MATMUL_SHARE_BLOCKS = "matmul_share_blocks";
        /// An invocation of a tiled product brings two rows of B.
        MATMUL_SHARE_HALVES = "matmul_share_halves";
        /// Columns of a matrix product as they are.
        PLACE_COLUMN = "place_column";
        /// Operand B of a convolution as a matrix product, gathered from its input.
        CONV_GATHER = "conv_gather";
        /// The same from rows that are unfolded along the kernel's width.
        CONV_UNFOLDED = "conv_unfolded";
        /// What kernels share that read image rows under the windows of four outputs. Wants `DIVIDE`, `fn segments`
        /// and a row prelude.
        CONV_ROW = "conv_row";
        /// Image rows under the windows of four outputs, shared within a subgroup. Wants `const LANES` and a plane prelude.
        CONV_ROW_LANES = "conv_row_lanes";
        /// The same, each invocation by itself. Wants `const LANES`.
        CONV_ROW_DIRECT = "conv_row_direct";
        /// Weights of a depthwise convolution, shared within a subgroup. Wants `const LANES`.
        CONV_TAPS_LANES = "conv_taps_lanes";
        /// The same, each invocation by itself.
        CONV_TAPS_DIRECT = "conv_taps_direct";
        /// Rows of planes in groups of four.
        PLANE_FOURS = "plane_fours";
        /// Rows of planes element by element.
        PLANE_ELEMENTS = "plane_elements";
        /// Unfolded lines go to a buffer.
        UNFOLDED_FLOATS = "unfolded_floats";
        /// Unfolded lines go to a texture. Wants `Kernel::texels`.
        UNFOLDED_TEXELS = "unfolded_texels";
        /// Columns that are padded to groups of four within a row of pixels.
        PLACE_PIXEL = "place_pixel";
        /// Storing four neighbours that may end at an edge, element by element.
        STORE_WIDTH1 = "store_width1";
        /// Storing four neighbours at once.
        STORE_WIDTH4 = "store_width4";
    }
}

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

/// A file name without the folder it lies in.
pub(crate) const fn file_name(path: &'static str) -> &'static str {
    let mut start = path.len();
    while start > 0 && path.as_bytes()[start - 1] != b'/' {
        start -= 1;
    }
    path.split_at(start).1
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

    /// The same with one more prelude, unless it is there already.
    pub fn prelude(mut self, prelude: &'static Prelude) -> Self {
        if !self.preludes.contains(&prelude) {
            self.preludes.push(prelude);
        }
        self
    }

    /// The same with the preludes that say what a `Float` is, one value or four neighbours, and how storage holds them.
    pub fn width(self, width: u32, caps: &Caps) -> Self {
        if width == 4 {
            self.prelude(&preludes::WIDTH4).prelude(caps.fours()).prelude(&preludes::STORED_WIDTH4)
        } else {
            self.prelude(&preludes::WIDTH1).prelude(&preludes::STORED_WIDTH1)
        }
    }

    /// The same with a generated function, for which all that it reads is bound but its numbers.
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

    /// The same with one more `const` line.
    pub fn constant(mut self, name: &'static str, value: u32) -> Self {
        self.constants.push((name, value));
        self
    }

    /// The same with one more `override` value.
    pub fn set(mut self, name: &'static str, value: u32) -> Self {
        self.overrides.push((name, value));
        self
    }

    /// The same with `texel`, which finds groups of four floats in the textures it binds.
    pub fn texels(self) -> Self {
        if self.preludes.contains(&&preludes::TEXELS) {
            return self;
        }
        self.constant("TEXTURE_WIDTH", TEXTURE_WIDTH).prelude(&preludes::TEXELS)
    }

    /// The same with `x_at`, which reads the rows that are bound so.
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
