//! The meaning of recurrent layers, step by step in f64 (equations: ONNX operators RNN, GRU and LSTM).

use super::{Cell, Recurrent, RecurrentShape};
use crate::error::{Error, Result};
use crate::graph::Op;
use crate::tensor::{DType, Tensor, TensorType};

/// The weights that a step needs beside the product of input and W; each as ONNX lays it out.
pub(super) struct Weights {
    /// `[directions, gates * hidden, hidden]`.
    pub r: Vec<f64>,
    /// `[directions, 2 * gates * hidden]`: biases of the input product, then of the recurrent product.
    pub b: Option<Vec<f64>>,
    /// `[directions, 3 * hidden]`.
    pub p: Option<Vec<f64>>,
}

/// What a layer starts from.
pub(super) struct Start<'a> {
    pub lengths: Option<&'a Tensor>,
    pub h: Option<&'a Tensor>,
    pub c: Option<&'a Tensor>,
}

/// One direction of the weights.
struct Slice<'a> {
    r: &'a [f64],
    b: Option<&'a [f64]>,
    p: Option<&'a [f64]>,
}

/// The outputs of a layer, given the product of every input and W as `[rows, directions, gates * hidden]` (without
/// biases), a row being a step of a batch element in the order of X.
pub(super) fn steps(
    op: &Recurrent,
    g: RecurrentShape,
    dtype: DType,
    products: &[f64],
    weights: &Weights,
    start: &Start<'_>,
) -> Result<Vec<Tensor>> {
    let RecurrentShape { steps, batch, hidden, directions, .. } = g;
    let gates = op.cell.gates() * hidden;
    let lengths = g.lengths(op.name(), start.lengths)?;
    let (h0, c0) = (start.h.map(Tensor::to_f64), start.c.map(Tensor::to_f64));
    let mut y = vec![0f64; steps * directions * batch * hidden];
    let mut last_h = vec![0f64; directions * batch * hidden];
    let mut last_c = last_h.clone();
    for d in 0..directions {
        let slice = Slice {
            r: &weights.r[d * gates * hidden..][..gates * hidden],
            b: weights.b.as_ref().map(|b| &b[d * 2 * gates..][..2 * gates]),
            p: weights.p.as_ref().map(|p| &p[d * 3 * hidden..][..3 * hidden]),
        };
        for (n, length) in lengths.iter().enumerate() {
            let state = if op.batch_first { n * directions + d } else { d * batch + n } * hidden;
            let begin = |s: &Option<Vec<f64>>| s.as_ref().map_or_else(|| vec![0f64; hidden], |s| s[state..][..hidden].to_vec());
            let (mut h, mut c) = (begin(&h0), begin(&c0));
            let length = *length;
            for step in 0..length {
                let t = if op.reversed(d) { length - 1 - step } else { step };
                let row = if op.batch_first { n * steps + t } else { t * batch + n };
                op.step(d, &slice, &products[(row * directions + d) * gates..][..gates], &mut h, &mut c);
                let at = if op.batch_first { row * directions + d } else { (t * directions + d) * batch + n };
                y[at * hidden..][..hidden].copy_from_slice(&h);
            }
            last_h[state..][..hidden].copy_from_slice(&h);
            last_c[state..][..hidden].copy_from_slice(&c);
        }
    }
    let (all, last) = op.output_shapes(g);
    let mut outputs =
        vec![Tensor::from_f64(TensorType::new(dtype, all), &y)?, Tensor::from_f64(TensorType::new(dtype, last.clone()), &last_h)?];
    if matches!(op.cell, Cell::Lstm { .. }) {
        outputs.push(Tensor::from_f64(TensorType::new(dtype, last), &last_c)?);
    }
    Ok(outputs)
}

impl RecurrentShape {
    /// How many steps the sequence of each batch element has.
    pub(super) fn lengths(&self, name: &str, given: Option<&Tensor>) -> Result<Vec<usize>> {
        let Some(given) = given else { return Ok(vec![self.steps; self.batch]) };
        let length = |length: i64| usize::try_from(length).ok().filter(|length| *length <= self.steps);
        let refuse = |bad: i64| Error::invalid_input(format!("{name} has {} steps, found a sequence length of {bad}", self.steps));
        given.to_i64().into_iter().map(|found| length(found).ok_or_else(|| refuse(found))).collect()
    }
}

/// The product of inputs `[rows, input]` and W `[directions * gates * hidden, input]`.
pub(super) fn products(x: &[f64], w: &[f64], input: usize, columns: usize, rows: usize) -> Vec<f64> {
    let mut out = Vec::with_capacity(rows * columns);
    for row in 0..rows {
        out.extend((0..columns).map(|column| product(w, column, &x[row * input..][..input])));
    }
    out
}

/// Row `row` of a matrix times a vector.
fn product(matrix: &[f64], row: usize, vector: &[f64]) -> f64 {
    matrix[row * vector.len()..][..vector.len()].iter().zip(vector).map(|(a, b)| a * b).sum()
}

impl Recurrent {
    /// Takes the state one step further.
    fn step(&self, direction: usize, weights: &Slice<'_>, x: &[f64], h: &mut [f64], c: &mut [f64]) {
        let hidden = h.len();
        let gates = self.cell.gates() * hidden;
        let before = h.to_vec();
        let apply = |k: usize, v: f64| {
            let v = self.clip.map_or(v, |clip| v.clamp(-f64::from(clip), f64::from(clip)));
            self.activation(direction, k).apply(v)
        };
        let bias = |row: usize| weights.b.map_or((0.0, 0.0), |b| (b[row], b[gates + row]));
        let from_x = |row: usize| x[row] + bias(row).0;
        let from_h = |row: usize| product(weights.r, row, &before) + bias(row).1;
        let peep = |k: usize, i: usize| weights.p.map_or(0.0, |p| p[k * hidden + i]);
        match self.cell {
            Cell::Rnn => (0..hidden).for_each(|i| h[i] = apply(0, from_x(i) + from_h(i))),
            Cell::Gru { linear_before_reset } => {
                let reset: Vec<f64> = (0..hidden).map(|i| apply(0, from_x(hidden + i) + from_h(hidden + i))).collect();
                let scaled: Vec<f64> = reset.iter().zip(&before).map(|(r, h)| r * h).collect();
                for i in 0..hidden {
                    let row = 2 * hidden + i;
                    let update = apply(0, from_x(i) + from_h(i));
                    let recurrent =
                        if linear_before_reset { reset[i] * from_h(row) } else { product(weights.r, row, &scaled) + bias(row).1 };
                    let candidate = apply(1, from_x(row) + recurrent);
                    h[i] = (1.0 - update) * candidate + update * before[i];
                }
            }
            Cell::Lstm { input_forget } => {
                for i in 0..hidden {
                    let sum = |gate: usize| from_x(gate * hidden + i) + from_h(gate * hidden + i);
                    let input = apply(0, sum(0) + peep(0, i) * c[i]);
                    let forget = if input_forget { 1.0 - input } else { apply(0, sum(2) + peep(2, i) * c[i]) };
                    c[i] = forget * c[i] + input * apply(1, sum(3));
                    let output = apply(0, sum(1) + peep(1, i) * c[i]);
                    // The cell state is not clipped on its way out.
                    h[i] = output * self.activation(direction, 2).apply(c[i]);
                }
            }
        }
    }
}
