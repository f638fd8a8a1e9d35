//! The table of cases: every kernel and operator has rows here, and every row serves every mode (reference against
//! golden numbers, GPU against reference with and without run-time checks, shader contract, benchmark).
//!
//! One file per operator family; a row names an operator and its inputs. Inputs are drawn from a seeded generator, so a
//! row is the same everywhere.

pub mod attention;
pub mod attention_gradient;
pub mod ceiling;
pub mod conv;
pub mod convolutional_attention;
mod cross_entropy;
pub mod ctc;
mod dropout;
pub mod einsum;
pub mod elementwise;
pub mod flow;
mod fused;
pub mod gather;
mod image;
pub mod linear_attention;
pub mod lrn;
pub mod matmul;
pub mod movement;
mod named;
pub mod norm;
pub mod optimizer;
pub mod pool;
mod quantization;
pub mod reduce;
pub mod resize;
pub mod rnn;
pub mod scatter;
pub mod sequence;
pub mod shape;
pub mod softmax;

#[path = "../../cli/src/problems/mod.rs"]
#[allow(dead_code, reason = "the command line reads more of the table")]
mod problems;
#[path = "../../cli/src/random.rs"]
mod random;

pub(crate) use random::Random;

use gristmill::internals::graph::{Builder, Dim, Op};
use gristmill::{DType, Model, Session, Tensor, TensorView};
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
    /// Names of the operators of the graph within `op` that the row is about.
    pub within: Vec<&'static str>,
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
            within: vec![],
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

    /// The model of the one node.
    pub fn model(&self) -> Model {
        let mut b = Builder::new(self.name.clone());
        let mut inputs = Vec::new();
        for (k, tensor) in self.inputs.iter().enumerate() {
            inputs.push(tensor.as_ref().map(|tensor| {
                let dims: Vec<Dim> = tensor.shape().iter().map(|d| Dim::Known(*d)).collect();
                let name = format!("input{k}");
                if self.weights.contains(&k) { b.constant(&name, tensor.clone()) } else { b.input(&name, tensor.dtype(), &dims) }
            }));
        }
        let outputs: Vec<_> = (0..self.outputs).map(|k| b.value(&format!("output{k}"), None)).collect();
        b.push("node", self.op.clone(), inputs, outputs.iter().copied().map(Some).collect());
        for (k, id) in outputs.iter().enumerate() {
            b.output(&format!("output{k}"), *id).expect("the name is free");
        }
        Model::from_graph(b.finish().expect("a case is a valid graph"))
    }

    /// The inputs of a session of that model.
    pub fn views<'a>(&'a self, session: &'a Session) -> Vec<(&'a str, TensorView<'a>)> {
        let view = |name: &'a str| {
            let k: usize = name.trim_start_matches("input").parse().ok()?;
            Some((name, self.inputs[k].as_ref()?.view()))
        };
        session.inputs().iter().filter_map(|input| view(&input.name)).collect()
    }
}

/// Test data.
impl Random {
    /// An f32 tensor of values in -1..1.
    pub fn floats(&mut self, shape: &[usize]) -> Tensor {
        let n: usize = shape.iter().product();
        let data: Vec<f32> = (0..n).map(|_| self.unit() as f32).collect();
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
        attention_gradient::cases(),
        ceiling::cases(),
        conv::cases(),
        convolutional_attention::cases(),
        ctc::cases(),
        cross_entropy::cases(),
        dropout::cases(),
        einsum::cases(),
        elementwise::cases(),
        flow::cases(),
        fused::cases(),
        gather::cases(),
        image::cases(),
        linear_attention::cases(),
        lrn::cases(),
        matmul::cases(),
        movement::cases(),
        named::cases(),
        norm::cases(),
        optimizer::cases(),
        pool::cases(),
        quantization::cases(),
        reduce::cases(),
        resize::cases(),
        rnn::cases(),
        scatter::cases(),
        sequence::cases(),
        shape::cases(),
        softmax::cases(),
    ];
    families.into_iter().flatten().collect()
}
