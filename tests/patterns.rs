//! Patterns that the passes look for, as exporters write them: what they become, and that the meaning stays.

use crate::cases::Random;
use gristmill::Tensor;
use gristmill::internals::graph::{Builder, Dim, Fact, Graph, Node, Op, ValueId, evaluate};
use gristmill::internals::ops::attention::{Attention, attention};
use gristmill::internals::ops::concat::concat;
use gristmill::internals::ops::{conv, elementwise, matmul, norm, reduce, reshape, slice, softmax, transpose};
use gristmill::internals::passes::{Options, Specialized, optimize, specialize};
use gristmill::internals::tensor::View;
use std::sync::Arc;

/// A graph under construction with random inputs.
pub struct Pattern {
    pub builder: Builder,
    pub random: Random,
    inputs: Vec<Tensor>,
}

impl Pattern {
    pub fn new() -> Self {
        Pattern { builder: Builder::new("pattern"), random: Random::new(7), inputs: vec![] }
    }

    pub fn input(&mut self, shape: &[usize]) -> ValueId {
        let tensor = self.random.floats(shape);
        self.input_of(tensor)
    }

    /// An input of these numbers.
    pub fn input_of(&mut self, tensor: Tensor) -> ValueId {
        let dims: Vec<Dim> = tensor.shape().iter().map(|d| Dim::Known(*d)).collect();
        let id = self.builder.input("input", tensor.dtype(), &dims);
        self.inputs.push(tensor);
        id
    }

    pub fn constant(&mut self, tensor: Tensor) -> ValueId {
        self.builder.constant("constant", tensor)
    }

    /// A constant of one element and so many extents of 1.
    pub fn ranked(&mut self, value: f32, rank: usize) -> ValueId {
        self.constant(Tensor::new(vec![1; rank], &[value]).expect("one element"))
    }

    pub fn weights(&mut self, shape: &[usize]) -> ValueId {
        let tensor = self.random.floats(shape);
        self.builder.constant("weights", tensor)
    }

    pub fn integers(&mut self, values: &[i64]) -> ValueId {
        self.builder.constant("integers", Tensor::vector(values))
    }

    pub fn number(&mut self, value: f32) -> ValueId {
        self.builder.constant("number", Tensor::scalar(value))
    }

    pub fn apply(&mut self, op: Arc<dyn Op>, inputs: &[ValueId]) -> ValueId {
        let name = op.name();
        self.builder.node(name, op, &inputs.iter().copied().map(Some).collect::<Vec<_>>())
    }

    pub fn map(&mut self, name: &str, inputs: &[ValueId]) -> ValueId {
        let op = match inputs.len() {
            1 => elementwise::unary(name),
            2 => elementwise::binary(name),
            _ => elementwise::select(),
        };
        self.apply(op.expect("a scalar function"), inputs)
    }

    pub fn reshape(&mut self, x: ValueId, shape: &[i64]) -> ValueId {
        let shape = self.integers(shape);
        self.apply(reshape::reshape(false), &[x, shape])
    }

    pub fn transpose(&mut self, x: ValueId, permutation: &[i64]) -> ValueId {
        self.apply(transpose::transpose(Some(permutation.to_vec())), &[x])
    }

    /// The names of the operators after the passes, but for what costs nothing.
    pub fn finish(self, output: ValueId) -> Vec<String> {
        let graph = self.optimized(output);
        let costs = |node: &&Node| {
            let facts = graph.input_facts(node).expect("facts");
            let whole = |view: View| view.is_contiguous() && Some(view.shape.elements()) == facts[0].map(|f| f.ty.elements());
            !node.op.view(&facts, 0).is_some_and(whole)
        };
        graph.nodes().iter().filter(costs).map(|n| n.path.split(':').next().unwrap_or_default().to_string()).collect()
    }

    /// The graph after the passes, after a check that the outputs are as before.
    pub fn optimized(self, output: ValueId) -> Graph {
        self.optimized_by(output, &Options { strict: true, ..Options::default() })
    }

    /// The optimised graph, by such passes.
    pub fn optimized_by(mut self, output: ValueId, options: &Options) -> Graph {
        self.builder.output("output", output).expect("a fresh name");
        let graph = self.builder.finish().expect("a sound graph");
        let facts: Vec<Fact> = self.inputs.iter().map(|t| Fact::new(t.dtype(), t.shape().clone())).collect();
        let Specialized::Graph(plain) = specialize(&graph, &facts).expect("consistent shapes") else { panic!("it is blocked") };
        let optimized = optimize(&plain, options).expect("the passes keep the graph sound");
        let run = |graph: &Graph| {
            let values = evaluate(graph, &self.inputs).expect("the references run");
            values[graph.outputs()[0].index()].clone().expect("an output")
        };
        let (before, after) = (run(&plain), run(&optimized));
        assert_eq!(before.ty(), after.ty(), "{optimized}");
        for (b, a) in before.to_f64().iter().zip(after.to_f64()) {
            let near = *b == a || b.is_nan() && a.is_nan() || (b - a).abs() <= 1e-5 + 1e-4 * b.abs();
            assert!(near, "expected {before:?} {b}, found {a} by {optimized}");
        }
        optimized
    }
}

/// Heads split from `[batch, length, heads * size]`.
fn split(p: &mut Pattern, x: ValueId, heads: i64, size: i64) -> ValueId {
    let x = p.reshape(x, &[0, -1, heads, size]);
    p.transpose(x, &[0, 2, 1, 3])
}

#[test]
fn attention_between_split_and_merged_heads_is_one_node() {
    let mut p = Pattern::new();
    let (q, k, v) = (p.input(&[2, 5, 12]), p.input(&[2, 7, 12]), p.input(&[2, 7, 12]));
    let (q, k, v) = (split(&mut p, q, 3, 4), split(&mut p, k, 3, 4), split(&mut p, v, 3, 4));
    let k = p.transpose(k, &[0, 1, 3, 2]);
    let scores = p.apply(matmul::matmul(), &[q, k]);
    let half = p.number(0.5);
    let scores = p.map("Mul", &[scores, half]);
    let mask = p.input(&[2, 1, 1, 7]);
    let scores = p.map("Add", &[scores, mask]);
    let weights = p.apply(softmax::softmax(-1), &[scores]);
    let y = p.apply(matmul::matmul(), &[weights, v]);
    let y = p.transpose(y, &[0, 2, 1, 3]);
    let y = p.reshape(y, &[0, 0, 12]);
    assert_eq!(p.finish(y), ["Attention"]);
}

#[test]
fn attention_that_is_one_node_merges_its_heads() {
    let mut p = Pattern::new();
    let heads = [5, 7, 7].map(|length| p.input(&[2, 3, length, 4]));
    let y = p.apply(attention(Attention::new(0.5)), &heads);
    let y = p.transpose(y, &[0, 2, 1, 3]);
    let y = p.reshape(y, &[0, 0, 12]);
    assert_eq!(p.finish(y), ["ScaledDotProductAttention"]);
}

#[test]
fn transposes_of_what_is_joined_from_views_are_joined() {
    let mut p = Pattern::new();
    let parts = [0, 1].map(|_| {
        let x = p.input(&[4, 3, 5]);
        p.transpose(x, &[1, 0, 2])
    });
    let joined = p.apply(concat(1), &parts);
    let y = p.transpose(joined, &[2, 1, 0]);
    assert_eq!(p.finish(y), ["Transpose"]);
}

#[test]
fn attention_scaled_on_queries_and_keys_of_one_product() {
    let mut p = Pattern::new();
    let qkv = p.input(&[1, 6, 24]);
    let sizes = p.integers(&[8, 8, 8]);
    let parts: Vec<ValueId> = (0..3).map(|k| p.builder.value(&format!("part{k}"), None)).collect();
    p.builder.push("split", slice::split(-1, 3), vec![Some(qkv), Some(sizes)], parts.iter().copied().map(Some).collect());
    let heads: Vec<ValueId> = parts.iter().map(|x| split(&mut p, *x, 2, 4)).collect();
    let scale = p.number(0.7);
    let q = p.map("Mul", &[heads[0], scale]);
    let k = p.transpose(heads[1], &[0, 1, 3, 2]);
    let k = p.map("Mul", &[k, scale]);
    let scores = p.apply(matmul::matmul(), &[q, k]);
    let causal: Vec<f32> = (0..36).map(|i| if i % 6 <= i / 6 { 0.0 } else { f32::NEG_INFINITY }).collect();
    let causal = p.builder.constant("causal", Tensor::new([6, 6], &causal).expect("36 numbers"));
    let scores = p.map("Add", &[scores, causal]);
    let weights = p.apply(softmax::softmax(3), &[scores]);
    let y = p.apply(matmul::matmul(), &[weights, heads[2]]);
    assert_eq!(p.finish(y), ["Attention"]);
}

#[test]
fn repeated_keys_and_values_are_not_copied() {
    let mut p = Pattern::new();
    let (q, k, v) = (p.input(&[1, 4, 5, 6]), p.input(&[1, 2, 5, 6]), p.input(&[1, 2, 5, 6]));
    let repeat = |p: &mut Pattern, x: ValueId| {
        let axis = p.integers(&[2]);
        let x = p.apply(reshape::unsqueeze(), &[x, axis]);
        let shape = p.integers(&[1, 2, 2, 5, 6]);
        let x = p.apply(gristmill::internals::ops::expand::expand(), &[x, shape]);
        p.reshape(x, &[1, 4, 5, 6])
    };
    let (k, v) = (repeat(&mut p, k), repeat(&mut p, v));
    let k = p.transpose(k, &[0, 1, 3, 2]);
    let scores = p.apply(matmul::matmul(), &[q, k]);
    let weights = p.apply(softmax::softmax(-1), &[scores]);
    let y = p.apply(matmul::matmul(), &[weights, v]);
    assert_eq!(p.finish(y), ["Attention"]);
}

#[test]
fn bias_activation_and_residual_are_one_epilogue() {
    let mut p = Pattern::new();
    let x = p.input(&[2, 3, 8]);
    let w = p.weights(&[8, 5]);
    let b = p.weights(&[5]);
    let residual = p.input(&[2, 3, 5]);
    let flat = p.reshape(x, &[6, 8]);
    let y = p.apply(matmul::matmul(), &[flat, w]);
    let y = p.map("Add", &[b, y]);
    let y = p.reshape(y, &[2, 3, 5]);
    let y = p.map("Tanh", &[y]);
    let y = p.map("Add", &[residual, y]);
    assert_eq!(p.finish(y), ["MatMul"]);
}

#[test]
fn a_value_used_twice_in_one_chain_is_made_once_and_fused() {
    let mut p = Pattern::new();
    let x = p.input(&[3, 7]);
    let e = p.map("Exp", &[x]);
    let s = p.map("Sigmoid", &[e]);
    let y = p.map("Mul", &[e, s]);
    let y = p.map("Sub", &[y, e]);
    assert_eq!(p.finish(y).len(), 1);
}

#[test]
fn a_transpose_after_elementwise_work_is_written_by_it() {
    let mut p = Pattern::new();
    let x = p.input(&[3, 7]);
    let b = p.weights(&[7]);
    let y = p.map("Add", &[x, b]);
    let y = p.map("Tanh", &[y]);
    let y = p.transpose(y, &[1, 0]);
    assert_eq!(p.finish(y).len(), 1);
}

#[test]
fn written_out_normalizations_become_one_node() {
    for centered in [true, false] {
        let mut p = Pattern::new();
        let x = p.input(&[4, 6, 10]);
        let two = p.number(2.0);
        let epsilon = p.number(1e-5);
        let mean = |p: &mut Pattern, x| p.apply(reduce::reduce(reduce::Reduction::Mean, Some(vec![-1]), true, false), &[x]);
        let d = if centered {
            let m = mean(&mut p, x);
            p.map("Sub", &[x, m])
        } else {
            p.map("Tanh", &[x])
        };
        let square = p.map("Pow", &[d, two]);
        let variance = mean(&mut p, square);
        let variance = p.map("Add", &[variance, epsilon]);
        let deviation = p.map("Sqrt", &[variance]);
        let y = p.map("Div", &[d, deviation]);
        let (w, b) = (p.weights(&[10]), p.weights(&[10]));
        let y = p.map("Mul", &[y, w]);
        let y = p.map("Add", &[y, b]);
        let left: &[&str] = if centered { &["LayerNormalization"] } else { &["Tanh", "RMSNormalization"] };
        assert_eq!(p.finish(y), left);
    }
}

#[test]
fn repeated_nodes_are_dropped_and_norms_keep_their_scale() {
    let mut p = Pattern::new();
    let x = p.input(&[2, 5]);
    let (w, b) = (p.weights(&[5]), p.weights(&[5]));
    let one = p.apply(norm::layer_normalization(-1, 1e-5), &[x, w, b]);
    let two = p.apply(norm::layer_normalization(-1, 1e-5), &[x, w, b]);
    let y = p.map("Mul", &[one, two]);
    assert_eq!(p.finish(y), ["LayerNormalization"]);
}

#[test]
fn a_batch_norm_moves_into_the_convolution_before_it() {
    let mut p = Pattern::new();
    let x = p.input(&[2, 4, 5, 5]);
    let w = p.weights(&[6, 2, 3, 3]);
    let y = p.apply(conv::conv(conv::SlidingWindow::default(), 2), &[x, w]);
    let numbers: Vec<ValueId> = (0..3).map(|_| p.weights(&[6])).collect();
    let variance = p.builder.constant("variance", Tensor::vector(&[0.5f32, 1.0, 2.0, 0.1, 3.0, 0.7]));
    let y = p.apply(norm::batch_normalization(1e-5), &[y, numbers[0], numbers[1], numbers[2], variance]);
    let y = p.map("Relu", &[y]);
    let graph = p.optimized(y);
    // Data, weights and bias: no operand is left for an epilogue to read.
    assert_eq!(graph.nodes().iter().map(|n| n.inputs.len()).collect::<Vec<_>>(), [3], "{graph}");
}
