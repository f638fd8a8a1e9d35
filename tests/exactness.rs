//! Rewrites are exact for all finite inputs, or are not made.

use crate::cases::Random;
use crate::patterns::Pattern;
use crate::support::gpu;
use gristmill::internals::graph::{Builder, Dim, ValueId};
use gristmill::internals::ops::{conv, dequantize, elementwise, matmul, norm, reduce, softmax};
use gristmill::{DType, Model, Session, Tensor};
use std::collections::HashSet;

fn mean(p: &mut Pattern, x: ValueId, axis: i64, keepdims: bool) -> ValueId {
    p.apply(reduce::reduce(reduce::Reduction::Mean, Some(vec![axis]), keepdims, false), &[x])
}

/// Fault: a look-up of a value that the rewrite itself had made.
#[test]
fn gates_on_kernels_become_epilogues_of_another_shape() {
    for steps in 1..4 {
        let mut p = Pattern::new();
        let x = p.input(&[2, 3, 4, 5]);
        let pooled = p.apply(reduce::reduce(reduce::Reduction::Mean, Some(vec![2, 3]), false, false), &[x]);
        let (w, b) = (p.weights(&[3, 3]), p.weights(&[3]));
        let gate = p.apply(matmul::matmul(), &[pooled, w]);
        let mut gate = p.map("Add", &[gate, b]);
        gate = p.reshape(gate, &[2, 3, 1, 1]);
        for name in ["Sigmoid", "Tanh", "Exp"].into_iter().take(steps) {
            gate = p.map(name, &[gate]);
        }
        let y = p.map("Mul", &[x, gate]);
        assert_eq!(p.finish(y).iter().filter(|name| name.starts_with("MatMul")).count(), 1);

        let mut p = Pattern::new();
        let (x, wide) = (p.input(&[3]), p.input(&[4, 3]));
        let mut gate = p.apply(softmax::softmax(0), &[x]);
        gate = p.reshape(gate, &[1, 3]);
        for name in ["Sigmoid", "Neg", "Tanh"].into_iter().take(steps) {
            gate = p.map(name, &[gate]);
        }
        let y = p.map("Mul", &[wide, gate]);
        p.finish(y);
    }
    let mut p = Pattern::new();
    let x = p.input(&[7]);
    let total = mean(&mut p, x, 0, false);
    let one = p.ranked(1.5, 1);
    let shifted = p.map("Add", &[total, one]);
    let y = p.map("Mul", &[x, shifted]);
    p.finish(y);
}

#[test]
fn an_epilogue_does_not_wait_for_another_output_of_its_kernel() {
    let mut p = Pattern::new();
    let (x, w) = (p.input(&[4, 6]), p.weights(&[6]));
    let outputs: Vec<ValueId> = ["normal", "mean"].iter().map(|name| p.builder.value(name, None)).collect();
    let op = norm::layer_normalization(-1, 1e-5);
    p.builder.push("norm", op, vec![Some(x), Some(w)], outputs.iter().copied().map(Some).collect());
    let by_row = p.map("Exp", &[outputs[1]]);
    let y = p.map("Mul", &[outputs[0], by_row]);
    p.finish(y);
}

/// A mask before a softmax.
#[derive(Clone, Copy, Debug)]
enum Kind {
    /// The condition keeps scores.
    Kept,
    /// The condition replaces scores.
    Hidden,
    Added,
}

/// Attention of whole numbers, so that scores are exact and lie on either side of the fill.
fn masked(kind: Kind, fill: f32, seen: &dyn Fn(usize, usize) -> bool, constant: bool, fill_rank: usize) -> Vec<String> {
    let (queries, keys, size) = (5, 6, 4);
    let mut p = Pattern::new();
    let whole = |p: &mut Pattern, shape: &[usize], step: f32| {
        let numbers: Vec<f32> = (0..shape.iter().product()).map(|_| ((p.random.next() % 9) as f32 - 4.0) * step).collect();
        p.input_of(Tensor::new(shape, &numbers).expect("as many elements"))
    };
    let (q, k) = (whole(&mut p, &[2, 3, queries, size], 1e3), whole(&mut p, &[2, 3, size, keys], 1.0));
    let v = p.input(&[2, 3, keys, size]);
    let scores = p.apply(matmul::matmul(), &[q, k]);
    let place = |i: usize| seen(i / keys, i % keys);
    let condition: Vec<bool> = (0..queries * keys).map(|i| place(i) != matches!(kind, Kind::Hidden)).collect();
    let numbers: Vec<f32> = (0..queries * keys).map(|i| if place(i) { 0.0 } else { fill }).collect();
    let mask = match kind {
        Kind::Added => Tensor::new([queries, keys], &numbers),
        _ => Tensor::new([queries, keys], &condition),
    };
    let mask = mask.expect("as many elements");
    let mask = if constant { p.constant(mask) } else { p.input_of(mask) };
    let fill = p.ranked(fill, fill_rank);
    let scores = match kind {
        Kind::Kept => p.map("Where", &[mask, scores, fill]),
        Kind::Hidden => p.map("Where", &[mask, fill, scores]),
        Kind::Added => p.map("Add", &[scores, mask]),
    };
    let weights = p.apply(softmax::softmax(-1), &[scores]);
    let y = p.apply(matmul::matmul(), &[weights, v]);
    p.finish(y)
}

#[test]
fn masks_hide_by_the_number_that_the_model_has() {
    let shapes: [&dyn Fn(usize, usize) -> bool; 4] =
        [&|i, j| j <= i + 1, &|i, j| i != 2 && j != i, &|_, _| true, &|i, j| i == 0 && j < 2];
    for fill in [-3.0, -1e4, -1e5, -1e8, f32::MIN, f32::NEG_INFINITY, 7.0] {
        for seen in shapes {
            for constant in [true, false] {
                for kind in [Kind::Kept, Kind::Hidden, Kind::Added] {
                    let found = masked(kind, fill, seen, constant, 0);
                    assert_eq!(found.iter().filter(|name| *name != "Not").collect::<Vec<_>>(), ["Attention"], "{kind:?} {fill}");
                }
            }
        }
    }
}

#[test]
fn softmax_over_more_than_the_keys_is_no_attention() {
    let mut p = Pattern::new();
    let (q, k, v) = (p.input(&[2, 3, 4]), p.input(&[2, 4, 5]), p.input(&[2, 1, 6]));
    let scores = p.apply(matmul::matmul(), &[q, k]);
    let flat = p.reshape(scores, &[2, 15]);
    let weights = p.apply(softmax::softmax(-1), &[flat]);
    let weights = p.reshape(weights, &[2, 15, 1]);
    let y = p.apply(matmul::matmul(), &[weights, v]);
    assert!(!p.finish(y).contains(&"Attention".into()));
}

/// A pattern is looked for by loops: a model may be deeper than a thread's stack.
#[test]
fn a_long_chain_of_sums_before_a_softmax_is_looked_through() {
    let mut p = Pattern::new();
    let (x, mut y) = (p.input(&[2, 3]), p.input(&[2, 3]));
    for k in 0..8_000 {
        y = p.builder.node(&format!("sum{k}"), elementwise::binary("Add").expect("a function"), &[Some(y), Some(x)]);
    }
    let weights = p.apply(softmax::softmax(-1), &[y]);
    let v = p.input(&[3, 4]);
    let y = p.apply(matmul::matmul(), &[weights, v]);
    p.finish(y);
}

/// Constants of one element whose rank is that of the data, less, or more: the result has the rank that ONNX's broadcasting
/// gives it, and the pattern is found only where that changes nothing.
#[test]
fn norms_are_found_where_constants_do_not_raise_the_rank() {
    for rank in [1, 2, 3] {
        for (two, epsilon, half, one) in (0..4usize.pow(4)).map(|n| (n % 4, n / 4 % 4, n / 16 % 4, n / 64)) {
            let mut p = Pattern::new();
            let shape = &[2, 3, 6][3 - rank..];
            let x = p.input(shape);
            let m = mean(&mut p, x, -1, true);
            let d = p.map("Sub", &[x, m]);
            let two_ = p.ranked(2.0, two);
            let square = p.map("Pow", &[d, two_]);
            let variance = mean(&mut p, square, -1, true);
            let epsilon_ = p.ranked(1e-5, epsilon);
            let variance = p.map("Add", &[variance, epsilon_]);
            let half_ = p.ranked(0.5, half);
            let deviation = p.map("Pow", &[variance, half_]);
            let one_ = p.ranked(1.0, one);
            let inverse = p.map("Div", &[one_, deviation]);
            let y = p.map("Mul", &[d, inverse]);
            let plain = [two, epsilon, half, one].iter().all(|r| *r <= rank);
            assert_eq!(p.finish(y) == ["LayerNormalization"], plain, "rank {rank}: {two} {epsilon} {half} {one}");
        }
    }
}

#[test]
fn scales_and_fills_that_raise_the_rank_stay_as_they_are() {
    for rank in 0..7 {
        let mut p = Pattern::new();
        let (x, w) = (p.input(&[1, 2, 4, 4]), p.weights(&[3, 2, 3, 3]));
        let y = p.apply(conv::conv(conv::SlidingWindow::default(), 1), &[x, w]);
        let (scale, shift) = (p.ranked(1.5, rank), p.ranked(0.5, rank));
        let y = p.map("Mul", &[y, scale]);
        let y = p.map("Sub", &[y, shift]);
        p.finish(y);

        let mut p = Pattern::new();
        let (q, k, v) = (p.input(&[2, 3, 5, 4]), p.input(&[2, 3, 4, 6]), p.input(&[2, 3, 6, 4]));
        let scale = p.ranked(0.5, rank);
        let q = p.map("Mul", &[q, scale]);
        let scores = p.apply(matmul::matmul(), &[q, k]);
        let scores = p.map("Div", &[scores, scale]);
        let weights = p.apply(softmax::softmax(-1), &[scores]);
        let y = p.apply(matmul::matmul(), &[weights, v]);
        p.finish(y);

        for kind in [Kind::Kept, Kind::Hidden] {
            masked(kind, -1e4, &|i, j| j < i, false, rank);
        }
    }
}

/// A vector times dequantized weights is a vector.
#[test]
fn products_with_quantized_weights_keep_the_rank() {
    for shape in [&[6][..], &[2, 6], &[2, 3, 6]] {
        let mut p = Pattern::new();
        let x = p.input(shape);
        let bits = p.random.integers(DType::I8, &[6, 4], -128, 128);
        let (bits, scale) = (p.constant(bits), p.ranked(0.1, 0));
        let w = p.apply(dequantize::dequantize_linear(1, None), &[bits, scale]);
        let y = p.apply(matmul::matmul(), &[x, w]);
        assert_eq!(p.finish(y), ["MatMulNBits"]);
    }
}

#[test]
fn scales_that_floats_cannot_hold_do_not_move_into_weights() {
    let mut p = Pattern::new();
    let (x, w) = (p.input(&[1, 2, 4, 4]), p.weights(&[3, 2, 3, 3]));
    let (large, small) = (p.ranked(1e30, 0), p.ranked(1e-30, 0));
    let x = p.map("Mul", &[x, small]);
    let x = p.map("Mul", &[x, small]);
    let y = p.apply(conv::conv(conv::SlidingWindow::default(), 1), &[x, w]);
    let y = p.map("Mul", &[y, large]);
    let y = p.map("Mul", &[y, large]);
    p.finish(y);
}

/// Squares of 16-bit floats pass what such floats hold; the norm itself does not.
#[test]
fn norms_of_half_floats_are_computed_in_whole_ones() {
    for (dtype, centered) in [(DType::F16, true), (DType::F16, false), (DType::BF16, true)] {
        let mut b = Builder::new("half");
        let x = b.input("x", dtype, &[Dim::Known(2), Dim::Known(4)]);
        let number = |value: f64| Tensor::from_f64(gristmill::TensorType::new(dtype, []), &[value]).expect("one element");
        let (two, epsilon) = (b.constant("two", number(2.0)), b.constant("epsilon", number(1e-3)));
        let mean = || reduce::reduce(reduce::Reduction::Mean, Some(vec![-1]), true, false);
        let map = |name: &str| elementwise::binary(name).expect("a scalar function");
        let mut data = x;
        if centered {
            let m = b.node("mean", mean(), &[Some(x)]);
            data = b.node("centre", map("Sub"), &[Some(x), Some(m)]);
        }
        let square = b.node("square", map("Pow"), &[Some(data), Some(two)]);
        let variance = b.node("variance", mean(), &[Some(square)]);
        let sum = b.node("sum", map("Add"), &[Some(variance), Some(epsilon)]);
        let deviation = b.node("deviation", elementwise::unary("Sqrt").expect("a scalar function"), &[Some(sum)]);
        let y = b.node("y", map("Div"), &[Some(data), Some(deviation)]);
        b.output("y", y).expect("a fresh name");
        let model = Model::from_graph(b.finish().expect("a sound graph"));
        let numbers = [1000.0, -1000.0, 1000.0, -1000.0, 3000.0, 3000.0, -3000.0, -3000.0];
        let input = Tensor::from_f64(gristmill::TensorType::new(dtype, [2, 4]), &numbers).expect("8 numbers");
        let expected: Vec<f64> = numbers.iter().map(|x: &f64| x.signum()).collect();
        let options = gristmill::Options::default;
        for session in [Session::new_blocking(gpu(), &model, options()), Session::cpu(&model, options())] {
            let out = session.and_then(|s| s.run_blocking(&[("x", input.view())])).expect("it runs");
            let found = out["y"].to_f64();
            assert!(found.iter().zip(&expected).all(|(f, e)| (f - e).abs() < 0.01), "{dtype}: {found:?}");
        }
    }
}

/// A value of a random graph, and its shape.
type Shaped = (ValueId, Vec<usize>);

/// A random graph of the nodes that passes look for, over tensors of a few small shapes with constants of any rank.
struct Drawing {
    pattern: Pattern,
    values: Vec<Shaped>,
    /// What some node reads.
    read: HashSet<ValueId>,
}

impl Drawing {
    /// One of so many numbers.
    fn number(&mut self, count: usize) -> usize {
        self.pattern.random.next() as usize % count
    }

    fn flag(&mut self) -> bool {
        self.pattern.random.next() & 1 == 0
    }

    /// A value; the latest more often than others, so that chains come of it.
    fn pick(&mut self) -> Shaped {
        let last = self.values.len() - 1;
        let at = if self.pattern.random.next() & 3 > 0 { last } else { self.number(self.values.len()) };
        self.values[at].clone()
    }

    /// A node that reads `x`; none where the one drawn does not fit it.
    fn node(&mut self, x: ValueId, shape: Vec<usize>) -> Option<Shaped> {
        let rank = shape.len();
        Some(match self.number(16) {
            0..4 => {
                let name = ["Tanh", "Sigmoid", "Neg", "Abs"][self.number(4)];
                (self.pattern.map(name, &[x]), shape)
            }
            4..7 => self.with_constant(x, &shape),
            7..9 => {
                let (y, other) = self.pick();
                if other != shape {
                    return None;
                }
                let name = ["Add", "Mul", "Max"][self.number(3)];
                self.read.insert(y);
                (self.pattern.map(name, &[x, y]), shape)
            }
            9 if rank > 1 => {
                let mut order: Vec<i64> = (0..rank as i64).collect();
                order.swap(self.number(rank), self.number(rank));
                let shape = order.iter().map(|k| shape[*k as usize]).collect();
                (self.pattern.transpose(x, &order), shape)
            }
            10 => self.reshaped(x, &shape),
            11 if rank > 0 => (self.pattern.apply(softmax::softmax(-1), &[x]), shape),
            12 if rank > 0 => self.mean_or_centred(x, shape),
            13..15 if rank > 0 => {
                let w = self.pattern.weights(&[shape[rank - 1], 4]);
                (self.pattern.apply(matmul::matmul(), &[x, w]), [&shape[..rank - 1], &[4]].concat())
            }
            _ if rank > 0 && shape[0] > 1 => self.split(x, shape),
            _ => return None,
        })
    }

    /// Arithmetic with a constant of one element, of a row, or of a column; of any rank.
    fn with_constant(&mut self, x: ValueId, shape: &[usize]) -> Shaped {
        let (rank, raised) = (shape.len(), self.number(5));
        let mut own = vec![1; raised];
        if raised > 0 && rank > 0 && self.flag() {
            own[raised - 1] = shape[rank - 1];
        }
        let tensor = self.pattern.random.floats(&own);
        let c = self.pattern.constant(tensor);
        let name = ["Mul", "Add", "Sub", "Min"][self.number(4)];
        let mut wide = vec![1; raised.saturating_sub(rank)];
        wide.extend(shape);
        for k in 0..raised.min(rank) {
            let at = wide.len() - 1 - k;
            wide[at] = wide[at].max(own[raised - 1 - k]);
        }
        let arguments = if self.flag() { [x, c] } else { [c, x] };
        (self.pattern.map(name, &arguments), wide)
    }

    fn reshaped(&mut self, x: ValueId, shape: &[usize]) -> Shaped {
        let elements: usize = shape.iter().product();
        let last = shape.last().copied().unwrap_or(1);
        let shapes = [vec![elements / last, last], vec![1, elements], vec![elements], [&[1], shape].concat()];
        let to = shapes[self.number(4)].clone();
        let extents: Vec<i64> = to.iter().map(|d| *d as i64).collect();
        (self.pattern.reshape(x, &extents), to)
    }

    /// The mean of rows, or the rows without it.
    fn mean_or_centred(&mut self, x: ValueId, shape: Vec<usize>) -> Shaped {
        let keep = self.flag();
        let m = mean(&mut self.pattern, x, -1, keep);
        let mut own = shape[..shape.len() - 1].to_vec();
        own.extend(keep.then_some(1));
        if keep && self.flag() { (self.pattern.map("Sub", &[x, m]), shape) } else { (m, own) }
    }

    /// Two parts along the first axis.
    fn split(&mut self, x: ValueId, shape: Vec<usize>) -> Shaped {
        let split = self.pattern.integers(&[1, shape[0] as i64 - 1]);
        let parts: Vec<ValueId> = (0..2).map(|_| self.pattern.builder.value("part", None)).collect();
        let outputs = parts.iter().copied().map(Some).collect();
        self.pattern.builder.push("split", gristmill::internals::ops::slice::split(0, 2), vec![Some(x), Some(split)], outputs);
        let mut own = shape.clone();
        own[0] = 1;
        self.values.push((parts[0], own.clone()));
        own[0] = shape[0] - 1;
        (parts[1], own)
    }

    /// Everything that was made and that nothing reads counts, each element differently, and has no other reader for that.
    fn finish(mut self) -> (Pattern, ValueId) {
        let p = &mut self.pattern;
        let mut total = p.number(0.0);
        for (id, shape) in self.values.into_iter().filter(|(id, _)| !self.read.contains(id)) {
            let weights = p.weights(&shape);
            let weighted = p.map("Mul", &[id, weights]);
            let sum = reduce::reduce(reduce::Reduction::Sum, None, false, false);
            let sum = if shape.is_empty() { weighted } else { p.apply(sum, &[weighted]) };
            total = p.map("Add", &[total, sum]);
        }
        (self.pattern, total)
    }
}

/// The random graph of a seed, and its output.
fn drawn(seed: u64) -> (Pattern, ValueId) {
    let mut drawing = Drawing { pattern: Pattern::new(), values: Vec::new(), read: HashSet::new() };
    drawing.pattern.random = Random::new(seed);
    for _ in 0..2 {
        let shape = [2, 3, 4, 4][drawing.number(3)..].to_vec();
        let input = drawing.pattern.input(&shape);
        drawing.values.push((input, shape));
    }
    for _ in 0..6 + drawing.number(14) {
        let (x, shape) = drawing.pick();
        if shape.len() > 6 {
            continue;
        }
        if let Some(made) = drawing.node(x, shape) {
            drawing.read.insert(x);
            drawing.values.push(made);
        }
    }
    drawing.finish()
}

#[test]
fn random_graphs_keep_their_meaning_and_fail_no_pass() {
    let count = std::env::var("GRAPHS").ok().and_then(|n| n.parse().ok()).unwrap_or(400);
    for seed in 0..count {
        let (p, y) = drawn(seed);
        if std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| p.optimized(y))).is_err() {
            panic!("graph {seed}: see above");
        }
    }
}
