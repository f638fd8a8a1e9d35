//! The table of cases: every kernel and operator has rows here, and every row serves every mode (reference against
//! golden numbers, GPU against reference with and without run-time checks, shader contract, benchmark).
//!
//! One file per operator family; a row names an operator and its inputs. Inputs are drawn from a seeded generator, so a
//! row is the same everywhere.

pub mod attention;
pub mod branch;
pub mod ceiling;
pub mod conv;
pub mod einsum;
pub mod elementwise;
pub mod fused;
pub mod gather;
mod image;
pub mod lrn;
pub mod matmul;
pub mod movement;
pub mod norm;
pub mod pool;
mod quantization;
pub mod reduce;
pub mod resize;
pub mod rnn;
pub mod scatter;
pub mod shape;
pub mod softmax;

use gristmill::graph::Op;
use gristmill::{DType, Tensor};
use std::sync::Arc;

/// How far a GPU result may lie from the reference: `|a - b| <= absolute + relative * |b|`.
#[derive(Clone, Copy, Debug)]
pub struct Tolerance {
    pub relative: f64,
    pub absolute: f64,
}

/// What f32 arithmetic in another order may cost; a looser one stands beside its reason.
pub const F32: Tolerance = Tolerance { relative: 1e-4, absolute: 1e-5 };

/// One row.
pub struct Case {
    /// Family and row, for example `softmax/last_axis_odd`.
    pub name: String,
    pub op: Arc<dyn Op>,
    /// `None` for an optional input left out.
    pub inputs: Vec<Option<Tensor>>,
    /// Inputs that are constants of the graph (weights), by index; the others are run-time inputs.
    pub weights: Vec<usize>,
    pub outputs: usize,
    pub tolerance: Tolerance,
    /// Expected outputs from an independent source, where the row has them.
    pub golden: Option<Vec<Tensor>>,
}

impl Case {
    pub fn new(name: impl Into<String>, op: Arc<dyn Op>, inputs: Vec<Tensor>) -> Self {
        Case {
            name: name.into(),
            op,
            inputs: inputs.into_iter().map(Some).collect(),
            weights: vec![],
            outputs: 1,
            tolerance: F32,
            golden: None,
        }
    }

    pub fn weights(mut self, weights: &[usize]) -> Self {
        self.weights = weights.to_vec();
        self
    }

    pub fn outputs(mut self, outputs: usize) -> Self {
        self.outputs = outputs;
        self
    }

    pub fn tolerance(mut self, tolerance: Tolerance) -> Self {
        self.tolerance = tolerance;
        self
    }

    pub fn golden(mut self, golden: Vec<Tensor>) -> Self {
        self.golden = Some(golden);
        self
    }
}

/// A seeded generator of test data (SplitMix64, Steele et al. 2014).
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Random(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// An f32 tensor of values in -1..1.
    pub fn floats(&mut self, shape: &[usize]) -> Tensor {
        let n: usize = shape.iter().product();
        let data: Vec<f32> = (0..n).map(|_| (self.next() >> 40) as f32 / (1u64 << 23) as f32 - 1.0).collect();
        Tensor::new(shape, &data).expect("as many elements as the shape has")
    }

    /// A tensor of integers (or bool) in `low..high`.
    pub fn integers(&mut self, dtype: DType, shape: &[usize], low: i64, high: i64) -> Tensor {
        let n: usize = shape.iter().product();
        let data: Vec<i128> = (0..n).map(|_| i128::from(low + (self.next() % (high - low) as u64) as i64)).collect();
        Tensor::from_i128(gristmill::TensorType::new(dtype, shape), &data).expect("as many elements as the shape has")
    }
}

/// Every row of every family.
pub fn all() -> Vec<Case> {
    let families = [
        attention::cases(),
        branch::cases(),
        ceiling::cases(),
        conv::cases(),
        einsum::cases(),
        elementwise::cases(),
        fused::cases(),
        gather::cases(),
        image::cases(),
        lrn::cases(),
        matmul::cases(),
        movement::cases(),
        norm::cases(),
        pool::cases(),
        quantization::cases(),
        reduce::cases(),
        resize::cases(),
        rnn::cases(),
        scatter::cases(),
        shape::cases(),
        softmax::cases(),
    ];
    families.into_iter().flatten().collect()
}
