//! The preludes under `shaders/lib`.

/// A whole file that is joined in front of a kernel: element widths, reductions, index helpers.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Prelude {
    /// File name under `shaders/lib` or a folder of it, without its ending.
    pub name: &'static str,
    /// The text.
    pub source: &'static str,
}

/// A file name without the folder it lies in.
pub(crate) const fn file_name(path: &'static str) -> &'static str {
    let mut start = path.len();
    while start > 0 && path.as_bytes()[start - 1] != b'/' {
        start -= 1;
    }
    path.split_at(start).1
}

macro_rules! prelude {
    ($($(#[$meta:meta])* $name:ident = $file:literal;)*) => {
        $($(#[$meta])* pub static $name: Prelude = Prelude {
            name: file_name($file),
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
    /// Storage in groups of four floats, as pairs of 64-bit words.
    FOUR_WORDS = "four_words";
    /// Where the groups of four floats of an array stand in a texture. Wants `const TEXTURE_WIDTH`.
    TEXELS = "software/texels";
    /// What kernels of width 1 find in storage, `array<Stored>`. Goes with `WIDTH1`.
    STORED_WIDTH1 = "stored_width1";
    /// What kernels of width 4 find in storage. Goes with `WIDTH4` and the prelude of [`Caps::fours`](crate::kernel::Caps::fours).
    STORED_WIDTH4 = "stored_width4";
    /// Scalar functions that WGSL lacks, on `Float` of either width.
    MATH = "math";
    /// Sum, product, larger or smaller of two bit patterns of any scalar type.
    COMBINE = "combine";
    /// Parameters of the copy kernels, and where a walk over their outer axes leads. Wants `DIVIDE`.
    COPY_AXES = "copy_axes";
    /// Indices that come from data.
    INDEX = "index";
    /// Tuples of such indices. Wants `INDEX`, and parameters and bindings of the names that it reads.
    INDEX_TUPLES = "index_tuples";
    /// Parameters and bindings of the kernels of ScatterElements. Wants `INDEX`.
    SCATTER_ELEMENTS = "scatter_elements";
    /// Parameters and bindings of the kernels of ScatterND. Wants a width prelude.
    SCATTER_ND = "scatter_nd";
    /// Random words of a key and a counter.
    THREEFRY = "threefry";
    /// The random word of an element. Goes with `THREEFRY` and `WIDTH1`.
    RANDOM_WORDS1 = "random_words1";
    /// The random words of four elements. Goes with `THREEFRY` and `WIDTH4`.
    RANDOM_WORDS4 = "random_words4";
    /// Dropout leaves a mask, bound behind its values. Goes with a width prelude.
    DROPOUT_MASK = "dropout_mask";
    /// Dropout leaves no mask. Goes with a width prelude.
    DROPOUT_VALUES = "dropout_values";
    /// Parameters, bindings and the formula of the kernels of CrossEntropy.
    CROSS_ENTROPY = "cross_entropy";
    /// CrossEntropy leaves how losses change, too. Goes with `CROSS_ENTROPY`.
    CROSS_ENTROPY_SLOPES = "cross_entropy_slopes";
    /// CrossEntropy leaves losses alone. Goes with `CROSS_ENTROPY`.
    CROSS_ENTROPY_LOSSES = "cross_entropy_losses";
    /// Integer division by way of floats.
    DIVIDE = "divide";
    /// Sums and maxima over a workgroup through workgroup memory. Wants `const WORKGROUP`.
    REDUCE_SHARED = "reduce_shared";
    /// Sums and maxima over a workgroup by subgroup operations. Wants `const WORKGROUP` and `const SUBGROUP`.
    REDUCE_SUBGROUP = "reduce_subgroup";
    /// Rows that several workgroups share. Wants `params.chunk` and `params.chunks`.
    ROW_CHUNKS = "row_chunks";
    /// Where the search for a greatest value starts.
    LOWEST = "lowest";
    /// What the two kernels of softmax over long rows share. Goes with `ROW_CHUNKS` and the preludes of `Kernel::width`.
    SOFTMAX_CHUNKS = "softmax_chunks";
    /// What the kernels of normalization over long rows share. Goes with the preludes of `Kernel::width`.
    NORM_CHUNKS = "norm_chunks";
    /// A reduction's element type is f32.
    NUMBER_F32 = "number_f32";
    /// A reduction's element type is i32. Goes with `NUMBER_INTEGER`.
    NUMBER_I32 = "number_i32";
    /// A reduction's element type is u32. Goes with `NUMBER_INTEGER`.
    NUMBER_U32 = "number_u32";
    /// What both integers have in common as the element type of a reduction.
    NUMBER_INTEGER = "number_integer";
    /// Where the sets of a reduction and their values stand. Wants a load prelude.
    REDUCE_SETS = "reduce_sets";
    /// The ten reductions. Wants `const FOLD` and a number prelude.
    FOLD = "fold";
    /// Joins the states of a workgroup through workgroup memory. Wants `const WORKGROUP`.
    FOLD_SHARED = "fold_shared";
    /// Joins the states of a workgroup that is one subgroup.
    FOLD_SUBGROUP = "fold_subgroup";
    /// A reduction reads one value at a time.
    LOAD1 = "load1";
    /// A reduction reads four values at a time.
    LOAD4 = "load4";
    /// A reduction reads four floats at a time. Goes with the prelude of [`Caps::fours`](crate::kernel::Caps::fours).
    LOAD4_FLOATS = "load4_floats";
    /// A reduction reads one set at a time. Goes with `REDUCE_SETS`.
    SETS_SINGLE = "sets_single";
    /// A reduction reads four neighbouring sets at a time. Goes with `REDUCE_SETS` and `LOAD4_FLOATS`.
    SETS_FOUR = "sets_four";
    /// A reduction writes floats.
    EMIT_FLOAT = "emit_float";
    /// A reduction writes integers.
    EMIT_INTEGER = "emit_integer";
    /// A reduction writes states that another kernel joins.
    EMIT_STATE = "emit_state";
    /// Parameters, mask and scores of all attention kernels. Goes with `LOWEST`.
    ATTENTION = "attention";
    /// Where attention leaves its result. Goes with `ATTENTION`.
    ATTENTION_OUTPUT = "attention_output";
    /// What the kernels of attention's gradients share. Goes with `ATTENTION`.
    ATTENTION_GRADIENT = "attention_gradient";
    /// Those kernels pass columns through workgroup memory. Wants `const WORKGROUP`, and numbers and functions of the body that say what
    /// columns are.
    ATTENTION_COLUMNS_TILE = "attention_columns_tile";
    /// Those kernels read columns where they lie. Wants functions of the body likewise.
    ATTENTION_COLUMNS_DIRECT = "attention_columns_direct";
    /// Lanes of a subgroup of eight exchange the columns of those kernels. Wants functions of the body likewise.
    ATTENTION_COLUMNS_LANES = "software/attention_columns_lanes";
    /// Those kernels read what changes are worth four elements at a time. Goes with the prelude of [`Caps::fours`](crate::kernel::Caps::fours).
    ATTENTION_WORTH_VECTORS = "attention_worth_vectors";
    /// Those kernels read what changes are worth by single elements.
    ATTENTION_WORTH_SCALARS = "attention_worth_scalars";
    /// Attention takes four keys at a time. Goes with `ATTENTION`.
    ATTENTION_FOUR_KEYS = "attention_four_keys";
    /// Linear attention reads queries and keys four elements at a time. Goes with the prelude of [`Caps::fours`](crate::kernel::Caps::fours).
    LINEAR_ATTENTION_VECTORS = "linear_attention_vectors";
    /// Linear attention reads queries and keys by single elements. Wants `const SIZE`.
    LINEAR_ATTENTION_SCALARS = "linear_attention_scalars";
    /// What kernels of recurrent layers share. Wants `const UNITS`.
    RECURRENT = "recurrent";
    /// How the sums of one product become the next state. Wants `const PRODUCT`, `FIRST_GATE` and `SUMMED`, and functions that load,
    /// store and answer a state.
    RECURRENT_PRODUCTS = "recurrent_products";
    /// The first state of a recurrent layer, as it is given.
    RECURRENT_FIRST_STATE = "recurrent_first_state";
    /// What the kernels share that go back through the steps of a recurrent layer. Wants `const UNITS`, `CELL`, `GATES`, `SLOPES` and `MADE`.
    RECURRENT_GRADIENT = "recurrent_gradient";
    /// They read four hidden units at a time. Goes with the prelude of [`Caps::fours`](crate::kernel::Caps::fours).
    RECURRENT_GRADIENT_GROUPS = "recurrent_gradient_groups";
    /// They read single units.
    RECURRENT_GRADIENT_SCALARS = "recurrent_gradient_scalars";
    /// The products of the way back. Wants `const OWNED`, `TILE`, `LANES`, `SLICES` and `PARTS`.
    RECURRENT_GRADIENT_SUMS = "recurrent_gradient_sums";
    /// The same with weights from a texture. Goes with `ROW_SUMS` and `Kernel::texels`, wants `const OWNED`, `TILE` and `LANES`.
    RECURRENT_GRADIENT_SUMS_TEXELS = "software/recurrent_gradient_sums_texels";
    /// The packed weights of recurrent layers.
    RECURRENT_WEIGHTS = "recurrent_weights";
    /// The same from a texture. Goes with `Kernel::texels`.
    RECURRENT_WEIGHTS_TEXELS = "software/recurrent_weights_texels";
    /// Those weights in blocks, from a texture. Goes with `Kernel::texels`, wants `const LANES` and `SLOTS`.
    RECURRENT_WEIGHTS_BLOCKS = "software/recurrent_weights_blocks";
    /// Recurrent layers read four hidden units at a time.
    RECURRENT_GROUPS = "recurrent_groups";
    /// Recurrent layers read single units.
    RECURRENT_SCALARS = "recurrent_scalars";
    /// Parameters and inputs of the kernels that walk the extended targets of CTC.
    CTC = "ctc";
    /// Attention reads queries four elements at a time.
    ATTENTION_QUERY_VECTORS = "attention_query_vectors";
    /// Attention reads queries by single elements at any stride.
    ATTENTION_QUERY_SCALARS = "attention_query_scalars";
    /// Attention reads keys and values four elements at a time.
    ATTENTION_KEY_VECTORS = "attention_key_vectors";
    /// Kernels of rows read them from storage. Goes with the preludes of `Kernel::width`.
    ROWS_STORED = "rows_stored";
    /// Kernels of rows read them from a texture, at width 4. Wants `Kernel::texels`.
    ROWS_TEXELS = "software/rows_texels";
    /// Attention reads keys and values four elements at a time from textures. Wants `Kernel::texels`.
    ATTENTION_KEY_TEXELS = "software/attention_key_texels";
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
    /// Scale and bias of a normalization from textures, at width 4. Wants `Kernel::texels`.
    AFFINE_COLUMNS_TEXELS = "software/affine_columns_texels";
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
    /// Where an operand B in packed panels stands. Wants `const PANEL`.
    MATMUL_PANELS = "matmul_panels";
    /// Operand B in packed panels of floats. Goes with `MATMUL_PANELS`.
    MATMUL_B_PANELS = "matmul_b_panels";
    /// Eight rows of sums in the registers of a subgroup, one operand by broadcast.
    ROW_SUMS = "software/row_sums";
    /// A step of four terms of a tile of those rows, whose left operand lies in a texture. Goes with `ROW_SUMS`, wants `const ROWS`.
    ROW_STEPS = "software/row_steps";
    /// Four columns of four rows of a panel in a texture. Wants `const LANES`.
    PANEL_TEXELS = "software/panel_texels";
    /// Storing those rows through the epilogue. Goes with `ROW_SUMS` and a prelude that stores four neighbours; wants `const ROWS`.
    ROW_STORES = "software/row_stores";
    /// Winograd's tiles go to a texture.
    WINOGRAD_INPUT_TEXELS = "software/winograd_input_texels";
    /// Winograd's tiles go to a buffer.
    WINOGRAD_INPUT_FLOATS = "winograd_input_floats";
    /// Winograd's sums come from a texture. Wants `const LANES`.
    WINOGRAD_SUMS_TEXELS = "software/winograd_sums_texels";
    /// Winograd's sums come from a buffer.
    WINOGRAD_SUMS_FLOATS = "winograd_sums_floats";
    /// Both operands packed into textures, and their parameters. Wants `const ROWS`, `const LANES`.
    MATMUL_PACKED_OPERANDS = "software/matmul_packed_operands";
    /// Operand B of packed operands in floats. Goes with `MATMUL_PACKED_OPERANDS` and `PANEL_TEXELS`.
    MATMUL_PACKED_FLOATS = "software/matmul_packed_floats";
    /// Operand B of packed operands in few bits. Goes with `MATMUL_PACKED_OPERANDS` and `MATMUL_B_TEXELS_BITS`.
    MATMUL_PACKED_BITS = "software/matmul_packed_bits";
    /// Operand A in tiles packed into a texture. Wants `const ROWS`.
    MATMUL_A_TEXTURE = "software/matmul_a_texture";
    /// Operand B in packed panels in a texture. Goes with `MATMUL_PANELS`.
    MATMUL_B_TEXTURE = "software/matmul_b_texture";
    /// Operand B in packed panels of half floats. Goes with `MATMUL_PANELS`.
    MATMUL_B_PANELS_F16 = "matmul_b_panels_f16";
    /// Operand B in packed panels of few bits. Wants `const BLOCK`, `MATMUL_PANELS`, a prelude of zero points and one of the next two.
    MATMUL_B_BITS = "matmul_b_bits";
    /// Operand B in packed panels of 4 bits. Goes with `MATMUL_B_BITS`.
    MATMUL_B_BITS4 = "matmul_b_bits4";
    /// Operand B in packed panels of 8 bits. Goes with `MATMUL_B_BITS`.
    MATMUL_B_BITS8 = "matmul_b_bits8";
    /// Operand B in packed panels of few bits in textures. Wants `const LANES`, `BLOCK` and `TERMS`, `Kernel::texels`, a prelude of zero points, one
    /// of the next two and one that says where columns start.
    MATMUL_B_TEXELS_BITS = "software/matmul_b_texels_bits";
    /// Operand B in packed panels of 4 bits in a texture. Goes with `MATMUL_B_TEXELS_BITS`.
    MATMUL_B_TEXELS_BITS4 = "software/matmul_b_texels_bits4";
    /// Operand B in packed panels of 8 bits in a texture. Goes with `MATMUL_B_TEXELS_BITS`.
    MATMUL_B_TEXELS_BITS8 = "software/matmul_b_texels_bits8";
    /// Where columns of few bits in textures start. Goes with `MATMUL_PANELS`.
    MATMUL_B_TEXELS_PLACES = "software/matmul_b_texels_places";
    /// Operand B of floats eight rows at a time. Goes with `MATMUL_B_UNLEVELED`.
    MATMUL_B_PAIRS = "software/matmul_b_pairs";
    /// Operand B of floats, as one of few bits is read. Goes with any that defines `b_block`.
    MATMUL_B_UNLEVELED = "matmul_b_unleveled";
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
    /// Parameters of kernels where an invocation makes one element by walking a window.
    WINDOW_PARAMS = "window_params";
    /// Where an element of a batch of volumes stands.
    VOLUME_ELEMENT = "volume_element";
    /// Pooling keeps values alone.
    POOL_VALUES = "pool_values";
    /// Pooling keeps where the largest value stands, too.
    POOL_POSITIONS = "pool_positions";
    /// Operand B of a convolution as a matrix product, gathered from its input.
    CONV_GATHER = "conv_gather";
    /// Operand B of a convolution, read from rows that are unfolded along the kernel's width.
    CONV_UNFOLDED = "software/conv_unfolded";
    /// What kernels share that read image rows under the windows of four outputs. Wants `DIVIDE`, `fn segments`, `fn run` and a
    /// row prelude.
    CONV_ROW = "conv_row";
    /// Image rows under the windows of four outputs, shared within a subgroup, and the entry point. Wants `const LANES` and a
    /// plane prelude.
    CONV_ROW_EXCHANGE = "software/conv_row_exchange";
    /// The entry point of kernels whose invocations read image rows each for itself. Wants `const LANES` and `CONV_ROW`.
    CONV_ROW_ALONE = "conv_row_alone";
    /// Image rows under the windows of four outputs, read element by element. Goes with `CONV_ROW_ALONE`.
    CONV_ROW_DIRECT = "conv_row_direct";
    /// Image rows under the windows of four outputs, read in groups of four. Goes with `CONV_ROW_ALONE` and `PLANE_FOURS`.
    CONV_ROW_FOURS = "conv_row_fours";
    /// Weights of a depthwise convolution, shared within a subgroup. Wants `const LANES`.
    CONV_TAPS_EXCHANGE = "software/conv_taps_exchange";
    /// Weights of a depthwise convolution, read by each invocation for itself.
    CONV_TAPS_DIRECT = "conv_taps_direct";
    /// Rows of planes in groups of four.
    PLANE_FOURS = "plane_fours";
    /// Rows of planes element by element.
    PLANE_ELEMENTS = "software/plane_elements";
    /// Unfolded lines go to a buffer.
    UNFOLDED_FLOATS = "software/unfolded_floats";
    /// Unfolded lines go to a texture. Wants `Kernel::texels`.
    UNFOLDED_TEXELS = "software/unfolded_texels";
    /// Columns that are padded to groups of four within a row of pixels.
    PLACE_PIXEL = "software/place_pixel";
    /// Storing four neighbours that may end at an edge, element by element.
    STORE_WIDTH1 = "store_width1";
    /// Storing four values that stand apart, element by element. Wants `PHASES_X`.
    STORE_APART = "software/store_apart";
    /// Storing four neighbours at once.
    STORE_WIDTH4 = "store_width4";
}
