//! The families of kernels, how the shapes of each are written, and the rows that are looked at. Nothing here is computed.

use super::Problem;
use super::build::{images, movement, products, rows, sequences, windows};
use super::shape::Shape;
use gristmill::Result;

/// A family: what its problems are.
pub(crate) struct Family {
    pub(crate) name: &'static str,
    pub(crate) form: &'static str,
    /// The rows that are looked at when none is named.
    pub(crate) rows: &'static [NamedRow],
    pub(super) build: fn(&Shape, &mut Problem) -> Result<u64>,
}

/// A row that is looked at when none is named.
pub(crate) struct NamedRow {
    pub(crate) shape: &'static str,
    /// Whether its kernels are compared with committed figures of a GPU's compiler.
    #[allow(dead_code, reason = "the case table and `gristmill isa` read it, which is a feature")]
    pub(crate) is_compiled: bool,
}

/// A row that is timed.
const fn timed(shape: &'static str) -> NamedRow {
    NamedRow { shape, is_compiled: false }
}

/// A row that is timed, and whose kernels a GPU's compiler translates.
const fn compiled(shape: &'static str) -> NamedRow {
    NamedRow { shape, is_compiled: true }
}

/// What `gristmill bench` and `gristmill isa` look at, and the case table of the tests where a row is small enough for the references: of
/// each family some thousand elements, a hundred thousand and some million.
pub(crate) const FAMILIES: &[Family] = &[
    Family {
        name: "matmul",
        form: "N, MxKxN or BATCHxMxKxN; weights=0 makes the right operand an input, halves=1 weights of half floats",
        rows: &[
            compiled("512"),
            compiled("1024"),
            compiled("32x4096x4096"),
            compiled("1x4096x4096"),
            compiled("500x300x700"),
            compiled("1023"),
            compiled("512,weights=0"),
            compiled("12x128x64x128,weights=0"),
            timed("4x64x64"),
            timed("4x256x256"),
            timed("2x1024x1024"),
            timed("4x256x256,weights=0"),
            timed("16x256x1024"),
            timed("8x2048x4096"),
        ],
        build: products::matmul,
    },
    Family {
        name: "matmul_nbits",
        form: "MxKxN; bits=4 or 8, block=",
        rows: &[
            compiled("1x4096x4096"),
            compiled("1x4096x4096,bits=8"),
            timed("4x4096x4096"),
            compiled("32x4096x4096"),
            timed("32x4096x4096,bits=8"),
            timed("512x512x512"),
            timed("1x512x512"),
            timed("4x256x256,block=16"),
        ],
        build: products::matmul_nbits,
    },
    Family {
        name: "conv",
        form: "CHANNELSxHEIGHTxWIDTH-FILTERSxHEIGHTxWIDTH; stride=, pad=, group=, batch=",
        rows: &[
            compiled("64x56x56-64x3x3,pad=1"),
            compiled("3x224x224-64x7x7,stride=2,pad=3"),
            compiled("128x56x56-128x3x3,pad=1,group=128"),
            compiled("256x28x28-256x1x1"),
            compiled("64x56x56-128x3x3,pad=1,stride=2"),
            timed("64x128x128-32x3x3,pad=1"),
        ],
        build: windows::conv,
    },
    Family {
        name: "conv_transpose",
        form: "CHANNELSxHEIGHTxWIDTH-FILTERSxHEIGHTxWIDTH; stride=, pad=, group=, batch=",
        rows: &[compiled("64x28x28-32x4x4,stride=2,pad=1"), timed("16x16x16-16x2x2,stride=2"), timed("32x28x28-32x2x2,stride=2")],
        build: windows::conv_transpose,
    },
    Family {
        name: "attention",
        form: "HEADSxQUERIESxKEYSxSIZE; causal=1, batch=, length= of the keys that count",
        rows: &[compiled("8x512x512x64"), compiled("8x1x2048x64")],
        build: sequences::attention,
    },
    Family {
        name: "linear_attention",
        form: "HEADSxSTEPSxSIZE by the gated delta rule; query_heads=, batch=",
        rows: &[compiled("16x1x128"), compiled("16x256x128")],
        build: sequences::linear_attention,
    },
    Family {
        name: "gru",
        form: "HIDDENxSTEPSxBATCH; input=; linear_before_reset=0 resets the state before its product",
        rows: &[
            compiled("256x100x1"),
            timed("128x100x1"),
            timed("64x100x1,linear_before_reset=0"),
            compiled("256x100x32"),
            compiled("512x20x64"),
            compiled("512x20x64,linear_before_reset=0"),
        ],
        build: sequences::gru,
    },
    Family {
        name: "lstm",
        form: "HIDDENxSTEPSxBATCH; input=",
        rows: &[timed("256x100x1"), timed("64x100x1"), timed("256x100x32")],
        build: sequences::lstm,
    },
    Family {
        name: "softmax",
        form: "ROWSxCOLUMNS; axis=",
        rows: &[
            compiled("1024x1024"),
            compiled("1024x1024,axis=0"),
            timed("64x64"),
            timed("1568x64"),
            timed("4x25000"),
            timed("65536x64"),
            compiled("4x1048576"),
            timed("64x64,axis=0"),
            timed("320x320,axis=0"),
        ],
        build: rows::softmax,
    },
    Family {
        name: "layer_norm",
        form: "ROWSxCOLUMNS",
        rows: &[compiled("1024x768"), timed("32x128"), timed("128x768"), timed("8192x512")],
        build: rows::layer_norm,
    },
    Family {
        name: "reduce",
        form: "ROWSxCOLUMNS; axis=",
        rows: &[
            compiled("1024x1024"),
            compiled("1024x1024,axis=0"),
            compiled("1x4194304"),
            timed("64x64"),
            timed("64x64,axis=0"),
            timed("320x320"),
            timed("320x320,axis=0"),
            timed("4096x2048,axis=0"),
        ],
        build: rows::reduce,
    },
    Family {
        name: "elementwise",
        form: "ELEMENTS of a chain of four operators, relu((x + y) * x - y)",
        rows: &[compiled("1048576"), timed("4096"), timed("100000"), timed("4194304")],
        build: movement::elementwise,
    },
    Family {
        name: "transpose",
        form: "ROWSxCOLUMNS",
        rows: &[compiled("1024x1024"), compiled("1023x1025"), timed("64x64"), timed("320x320"), timed("2048x2048")],
        build: movement::transpose,
    },
    Family {
        name: "max_pool",
        form: "CHANNELSxHEIGHTxWIDTH-HEIGHTxWIDTH of the window; stride=, pad=",
        rows: &[
            timed("8x24x24-2x2,stride=2"),
            compiled("32x56x56-3x3,stride=2,pad=1"),
            compiled("128x28x28-2x2,stride=2"),
            timed("96x224x224-3x3,stride=2,pad=1"),
        ],
        build: windows::max_pool,
    },
    Family {
        name: "average_pool",
        form: "CHANNELSxHEIGHTxWIDTH-HEIGHTxWIDTH of the window; stride=, pad=",
        rows: &[
            timed("8x24x24-2x2,stride=2"),
            compiled("32x56x56-3x3,stride=2,pad=1"),
            compiled("128x28x28-2x2,stride=2"),
            timed("96x224x224-3x3,stride=2,pad=1"),
        ],
        build: windows::average_pool,
    },
    Family {
        name: "global_pool",
        form: "CHANNELSxHEIGHTxWIDTH; max=1 for the largest instead of the mean",
        rows: &[timed("64x8x8"), compiled("128x28x28"), timed("512x7x7,max=1"), timed("1280x64x64")],
        build: windows::global_pool,
    },
    Family {
        name: "lrn",
        form: "CHANNELSxHEIGHTxWIDTH; size=",
        rows: &[timed("16x16x16"), timed("96x32x32"), timed("96x208x208")],
        build: windows::lrn,
    },
    Family {
        name: "conv_1d",
        form: "CHANNELSxLENGTH-FILTERSxTAPS; stride=, pad=, group=",
        rows: &[
            timed("16x256-16x3,pad=1"),
            timed("64x1600-64x3,pad=1"),
            timed("64x16384-64x3,pad=1"),
            timed("256x400-256x5,pad=2,group=256"),
            timed("512x8192-512x31,pad=15,group=512"),
            timed("16x6400-16x129,pad=64"),
        ],
        build: windows::conv_1d,
    },
    Family {
        name: "pad",
        form: "CHANNELSxHEIGHTxWIDTH; pad= on each side, reflect=1",
        rows: &[timed("4x32x32"), timed("32x56x56"), timed("64x224x224"), timed("32x56x56,reflect=1")],
        build: movement::pad,
    },
    Family {
        name: "resize",
        form: "CHANNELSxHEIGHTxWIDTH; scale=, mode=0 for the nearest, 1 linear, 2 cubic",
        rows: &[
            timed("4x16x16,mode=0"),
            timed("32x28x28,mode=0"),
            timed("64x128x128,mode=0"),
            timed("4x16x16,mode=1"),
            timed("32x28x28,mode=1"),
            timed("64x128x128,mode=1"),
            timed("4x16x16,mode=2"),
            timed("32x28x28,mode=2"),
            timed("64x128x128,mode=2"),
        ],
        build: images::resize,
    },
    Family {
        name: "grid_sample",
        form: "CHANNELSxHEIGHTxWIDTH; mode=0 for the nearest, 1 linear, 2 cubic",
        rows: &[timed("4x32x32,mode=1"), timed("32x56x56,mode=1"), timed("64x256x256,mode=1")],
        build: images::grid_samples,
    },
    Family {
        name: "concat",
        form: "ROWSxCOLUMNSxPARTS, side by side",
        rows: &[timed("16x64x4"), compiled("1x25088x4"), timed("64x392x4"), timed("1x1048576x4"), timed("1024x1024x4")],
        build: movement::concat,
    },
    Family {
        name: "split",
        form: "ROWSxCOLUMNSxPARTS, of which one is asked for",
        rows: &[timed("16x256x4"), timed("64x1568x4"), timed("1024x4096x4")],
        build: movement::split,
    },
    Family {
        name: "gather",
        form: "ROWSxWIDTHxCOUNT of the rows",
        rows: &[timed("512x16x256"), timed("1000x256x400"), timed("8192x512x8192")],
        build: movement::gather,
    },
    Family {
        name: "gather_elements",
        form: "ROWSxCOLUMNS",
        rows: &[timed("64x64"), timed("320x320"), timed("2048x2048")],
        build: movement::gather_elements,
    },
    Family {
        name: "gather_nd",
        form: "ROWSxWIDTHxCOUNT of the rows",
        rows: &[timed("512x16x256"), timed("1000x256x400"), timed("8192x512x8192")],
        build: movement::gather_nd,
    },
    Family {
        name: "scatter_elements",
        form: "ROWSxCOLUMNS",
        rows: &[timed("64x64"), timed("320x320"), timed("2048x2048")],
        build: movement::scatter_elements,
    },
    Family {
        name: "scatter_nd",
        form: "ROWSxWIDTHxCOUNT of the rows",
        rows: &[timed("256x16x128"), timed("400x256x200"), timed("8192x512x4096")],
        build: movement::scatter_nd,
    },
    Family {
        name: "one_hot",
        form: "COUNTxDEPTH",
        rows: &[timed("64x64"), timed("100x1000"), timed("2048x4096")],
        build: movement::one_hot,
    },
    Family { name: "trilu", form: "BATCHxSIDE", rows: &[timed("1x64"), timed("1x320"), timed("4x1024")], build: movement::trilu },
    Family {
        name: "quantize",
        form: "ELEMENTS to 8 bits",
        rows: &[timed("4096"), timed("100000"), timed("4194304")],
        build: movement::quantize,
    },
    Family {
        name: "dequantize",
        form: "ELEMENTS from 8 bits",
        rows: &[timed("4096"), timed("100000"), timed("4194304")],
        build: movement::dequantize,
    },
    Family {
        name: "top_k",
        form: "ROWSxCOLUMNSxCOUNT of each row",
        rows: &[timed("64x64x5"), timed("100x1000x5"), timed("1500x4000x5")],
        build: rows::top_k,
    },
    Family {
        name: "arg_max",
        form: "ROWSxCOLUMNS; axis=",
        rows: &[timed("64x64"), timed("100x1000"), timed("320x320,axis=0"), timed("1500x4000")],
        build: rows::arg_max,
    },
    Family {
        name: "cum_sum",
        form: "ROWSxCOLUMNS; axis=",
        rows: &[timed("64x64"), timed("320x320"), timed("320x320,axis=0"), timed("2048x2048")],
        build: rows::cum_sum,
    },
    Family {
        name: "rms_norm",
        form: "ROWSxCOLUMNS",
        rows: &[timed("32x128"), timed("128x768"), timed("8192x512")],
        build: rows::rms_norm,
    },
    Family {
        name: "group_norm",
        form: "CHANNELSxHEIGHTxWIDTH; groups=",
        rows: &[timed("16x16x16"), timed("64x40x40"), timed("128x180x180")],
        build: rows::group_norm,
    },
    Family {
        name: "instance_norm",
        form: "CHANNELSxHEIGHTxWIDTH",
        rows: &[timed("16x16x16"), timed("64x40x40"), timed("128x180x180")],
        build: rows::instance_norm,
    },
    Family {
        name: "rotary_embedding",
        form: "HEADSxSTEPSxSIZE",
        rows: &[timed("4x16x64"), timed("12x128x64"), timed("32x2048x64")],
        build: sequences::rotary_embedding_of,
    },
];
