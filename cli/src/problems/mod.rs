//! Problems that kernels are looked at by: families, how a problem of each is written, and the rows that are looked at when none is
//! named.
//!
//! A problem is cheap until its data are drawn. Nothing here knows the rest of the command line, since the case table of the tests
//! (`tests/cases/named.rs`) takes its rows from here, too.

mod build;
mod shape;

use super::random::Random;
use gristmill::internals::graph::Op;
use gristmill::{DType, Error, Result, Tensor, TensorType};
use shape::Shape;
use std::sync::Arc;

/// How a family's shapes are written, and the rows that are timed when none is named.
pub(crate) struct Family {
    pub(crate) name: &'static str,
    pub(crate) form: &'static str,
    pub(crate) timed: &'static [&'static str],
    build: fn(&Shape, &mut Problem) -> Result<u64>,
}

/// What `gristmill bench` and `gristmill isa` look at, and the case table of the tests where a row is small enough for the references.
pub(crate) const FAMILIES: &[Family] = &[
    Family {
        name: "matmul",
        form: "N, MxKxN or BATCHxMxKxN; weights=0 makes the right operand an input, halves=1 weights of half floats",
        timed: &["512", "1024", "32x4096x4096", "1x4096x4096", "500x300x700", "1023", "512,weights=0", "12x128x64x128,weights=0"],
        build: build::matmul,
    },
    Family {
        name: "matmul_nbits",
        form: "MxKxN; bits=4 or 8, block=",
        timed: &["1x4096x4096", "32x4096x4096", "512x512x512", "1x4096x4096,bits=8"],
        build: build::matmul_nbits,
    },
    Family {
        name: "conv",
        form: "CHANNELSxHEIGHTxWIDTH-FILTERSxHEIGHTxWIDTH; stride=, pad=, group=, batch=",
        timed: &[
            "64x56x56-64x3x3,pad=1",
            "3x224x224-64x7x7,stride=2,pad=3",
            "128x56x56-128x3x3,pad=1,group=128",
            "256x28x28-256x1x1",
            "64x56x56-128x3x3,pad=1,stride=2",
        ],
        build: build::conv,
    },
    Family {
        name: "conv_transpose",
        form: "CHANNELSxHEIGHTxWIDTH-FILTERSxHEIGHTxWIDTH; stride=, pad=, group=, batch=",
        timed: &["64x28x28-32x4x4,stride=2,pad=1"],
        build: build::conv_transpose,
    },
    Family {
        name: "attention",
        form: "HEADSxQUERIESxKEYSxSIZE; causal=1, batch=, length= of the keys that count",
        timed: &["8x512x512x64", "8x1x2048x64"],
        build: build::attention,
    },
    Family {
        name: "linear_attention",
        form: "HEADSxSTEPSxSIZE by the gated delta rule; query_heads=, batch=",
        timed: &["16x1x128", "16x256x128"],
        build: build::linear_attention,
    },
    Family {
        name: "gru",
        form: "HIDDENxSTEPSxBATCH; input=; linear_before_reset=0 resets the state before its product",
        timed: &["256x100x1", "256x100x32", "512x20x64", "512x20x64,linear_before_reset=0"],
        build: build::gru,
    },
    Family { name: "lstm", form: "HIDDENxSTEPSxBATCH; input=", timed: &["256x100x1", "256x100x32"], build: build::lstm },
    Family { name: "softmax", form: "ROWSxCOLUMNS; axis=", timed: &["1024x1024", "1024x1024,axis=0"], build: build::softmax },
    Family { name: "layer_norm", form: "ROWSxCOLUMNS", timed: &["1024x768"], build: build::layer_norm },
    Family {
        name: "reduce",
        form: "ROWSxCOLUMNS; axis=",
        timed: &["1024x1024", "1024x1024,axis=0", "1x4194304"],
        build: build::reduce,
    },
    Family {
        name: "elementwise",
        form: "ELEMENTS of a chain of four operators, relu((x + y) * x - y)",
        timed: &["1048576"],
        build: build::elementwise,
    },
    Family { name: "transpose", form: "ROWSxCOLUMNS", timed: &["1024x1024", "1023x1025"], build: build::transpose },
];

/// Operators on operands of known shapes.
pub(crate) struct Problem {
    /// Its family's name.
    pub(crate) family: &'static str,
    /// As it is written.
    pub(crate) shape: String,
    /// What the operators read, inputs and weights.
    pub(crate) operands: Vec<Operand>,
    /// The operators in order; the last one's first output is the result.
    pub(crate) steps: Vec<Step>,
    /// Floating-point operations, a multiply-add counting two.
    pub(crate) flops: u64,
    /// Bytes of operands and result on the GPU.
    pub(crate) bytes: u64,
}

/// One operand: an input of the run, or a weight.
pub(crate) struct Operand {
    pub(crate) name: String,
    pub(crate) dims: Vec<usize>,
    pub(crate) is_weight: bool,
    fill: Fill,
}

/// What an operand holds.
#[derive(Clone, Copy)]
enum Fill {
    /// Seeded values in -scale..scale.
    Scaled(f64),
    /// Seeded values in -1..1 that half floats hold.
    Halves,
    /// Bytes of every value.
    Bytes,
    /// One integer of 32 bits everywhere.
    Number(i64),
}

/// One operator.
pub(crate) struct Step {
    pub(crate) name: &'static str,
    pub(crate) op: Arc<dyn Op>,
    /// Its operands, by their place among the problem's, or the results of steps, counted on from there; `None` for one left out.
    pub(crate) inputs: Vec<Option<usize>>,
}

impl Family {
    /// The family of a name.
    pub(crate) fn named(name: &str) -> Result<&'static Family> {
        FAMILIES.iter().find(|f| f.name == name).ok_or_else(|| {
            let known: Vec<&str> = FAMILIES.iter().map(|f| f.name).collect();
            Error::invalid_argument(format!("`{name}` is no kernel family: expected one of {}", known.join(", ")))
        })
    }

    /// The problem that a shape of this family names.
    pub(crate) fn problem(&self, text: &str) -> Result<Problem> {
        let wrong = || Error::invalid_argument(format!("`{}:{text}`: expected a shape like {}", self.name, self.form));
        let shape = Shape::parse(text).ok_or_else(wrong)?;
        let mut problem =
            Problem { family: self.name, shape: text.to_string(), operands: vec![], steps: vec![], flops: 0, bytes: 0 };
        problem.flops = (self.build)(&shape, &mut problem)?;
        Ok(problem)
    }
}

impl Problem {
    /// How it is named: `FAMILY:SHAPE`.
    pub(crate) fn name(&self) -> String {
        format!("{}:{}", self.family, self.shape)
    }

    /// The contents of its operands; those of floats in this type.
    pub(crate) fn data(&self, dtype: DType) -> Result<Vec<Tensor>> {
        let mut random = Random::new(3);
        self.operands.iter().map(|operand| operand.data(dtype, &mut random)).collect()
    }

    fn operand(&mut self, name: impl Into<String>, dims: &[usize], is_weight: bool, fill: Fill) -> usize {
        let elements: usize = dims.iter().product();
        // A GPU holds every float in four bytes, and bytes as they are.
        self.bytes += if matches!(fill, Fill::Bytes) { elements } else { 4 * elements } as u64;
        self.operands.push(Operand { name: name.into(), dims: dims.to_vec(), is_weight, fill });
        self.operands.len() - 1
    }

    fn input(&mut self, dims: &[usize]) -> usize {
        self.operand(format!("input{}", self.operands.len()), dims, false, Fill::Scaled(1.0))
    }

    fn weight(&mut self, name: &str, dims: &[usize]) -> usize {
        self.operand(name, dims, true, Fill::Scaled(1.0))
    }

    fn step(&mut self, name: &'static str, op: Arc<dyn Op>, inputs: &[usize]) -> usize {
        self.steps.push(Step { name, op, inputs: inputs.iter().copied().map(Some).collect() });
        self.operands.len() + self.steps.len() - 1
    }

    /// The last step, whose result has so many elements.
    fn finish(&mut self, op: Arc<dyn Op>, inputs: &[usize], elements: usize) {
        self.finish_some(op, &inputs.iter().copied().map(Some).collect::<Vec<_>>(), elements);
    }

    /// The last step likewise, with operands left out.
    fn finish_some(&mut self, op: Arc<dyn Op>, inputs: &[Option<usize>], elements: usize) {
        self.steps.push(Step { name: "node", op, inputs: inputs.to_vec() });
        self.bytes += 4 * elements as u64;
    }
}

impl Operand {
    fn data(&self, dtype: DType, random: &mut Random) -> Result<Tensor> {
        let elements: usize = self.dims.iter().product();
        let mut drawn = |dtype, scale: f64| {
            let values: Vec<f64> = (0..elements).map(|_| random.unit() * scale).collect();
            Tensor::from_f64(TensorType::new(dtype, self.dims.as_slice()), &values)
        };
        match self.fill {
            Fill::Scaled(scale) => drawn(dtype, scale),
            Fill::Halves => {
                let halves = drawn(DType::F16, 1.0)?;
                Tensor::from_f64(TensorType::new(dtype, self.dims.as_slice()), &halves.to_f64())
            }
            Fill::Number(number) => {
                Tensor::from_i128(TensorType::new(DType::I32, self.dims.as_slice()), &vec![number.into(); elements])
            }
            Fill::Bytes => {
                let bytes: Vec<u8> = (0..elements).map(|i| ((i * 2_654_435_761) >> 11) as u8).collect();
                Tensor::from_bytes(TensorType::new(DType::U8, self.dims.as_slice()), &bytes)
            }
        }
    }
}
