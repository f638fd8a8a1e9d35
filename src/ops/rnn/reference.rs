//! The meaning of recurrent layers, step by step in f64 (equations: ONNX operators RNN, GRU and LSTM).

use super::{Cell, Geometry, Recurrent};
use crate::error::{Error, Result};
use crate::graph::{Op, required};
use crate::tensor::{Tensor, TensorType};

/// One direction of one layer.
struct Weights<'a> {
    w: &'a [f64],
    r: &'a [f64],
    /// Biases of the input product, then of the recurrent product.
    b: Option<&'a [f64]>,
    p: Option<&'a [f64]>,
}

pub(super) fn recurrent(op: &Recurrent, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>> {
    let name = op.name();
    let g = op.geometry(|k| inputs.get(k).copied().flatten().map(Tensor::shape))?;
    let Geometry { steps, batch, input, hidden, directions } = g;
    let gates = op.cell.gates() * hidden;
    let ty = required(name, inputs, 0)?.ty();
    let x = required(name, inputs, 0)?.to_f64();
    let (w, r) = (required(name, inputs, 1)?.to_f64(), required(name, inputs, 2)?.to_f64());
    let optional = |k: usize| inputs.get(k).copied().flatten().map(Tensor::to_f64);
    let (b, h0, c0, p) = (optional(3), optional(5), optional(6), optional(7));
    let lengths = match inputs.get(4).copied().flatten() {
        Some(lengths) => lengths.to_i64(),
        None => vec![steps as i64; batch],
    };
    if let Some(bad) = lengths.iter().find(|l| **l < 0 || **l > steps as i64) {
        return Err(Error::invalid_input(format!("{name} has {steps} steps, found a sequence length of {bad}")));
    }
    let mut y = vec![0f64; steps * directions * batch * hidden];
    let mut last_h = vec![0f64; directions * batch * hidden];
    let mut last_c = last_h.clone();
    for d in 0..directions {
        let weights = Weights {
            w: &w[d * gates * input..][..gates * input],
            r: &r[d * gates * hidden..][..gates * hidden],
            b: b.as_ref().map(|b| &b[d * 2 * gates..][..2 * gates]),
            p: p.as_ref().map(|p| &p[d * 3 * hidden..][..3 * hidden]),
        };
        for (n, length) in lengths.iter().enumerate() {
            let state = if op.batch_first { n * directions + d } else { d * batch + n } * hidden;
            let start = |s: &Option<Vec<f64>>| s.as_ref().map_or_else(|| vec![0f64; hidden], |s| s[state..][..hidden].to_vec());
            let (mut h, mut c) = (start(&h0), start(&c0));
            let length = *length as usize;
            for step in 0..length {
                let t = if op.reversed(d) { length - 1 - step } else { step };
                let at = if op.batch_first { n * steps + t } else { t * batch + n };
                op.step(d, &weights, &x[at * input..][..input], &mut h, &mut c);
                let at = if op.batch_first { (n * steps + t) * directions + d } else { (t * directions + d) * batch + n };
                y[at * hidden..][..hidden].copy_from_slice(&h);
            }
            last_h[state..][..hidden].copy_from_slice(&h);
            last_c[state..][..hidden].copy_from_slice(&c);
        }
    }
    let (all, last) = if op.batch_first {
        (vec![batch, steps, directions, hidden], vec![batch, directions, hidden])
    } else {
        (vec![steps, directions, batch, hidden], vec![directions, batch, hidden])
    };
    let mut outputs = vec![
        Tensor::from_f64(TensorType::new(ty.dtype, all), &y)?,
        Tensor::from_f64(TensorType::new(ty.dtype, last.clone()), &last_h)?,
    ];
    if matches!(op.cell, Cell::Lstm { .. }) {
        outputs.push(Tensor::from_f64(TensorType::new(ty.dtype, last), &last_c)?);
    }
    Ok(outputs)
}

/// Row `row` of a matrix times a vector.
fn product(matrix: &[f64], row: usize, vector: &[f64]) -> f64 {
    matrix[row * vector.len()..][..vector.len()].iter().zip(vector).map(|(a, b)| a * b).sum()
}

impl Recurrent {
    /// Takes the state one step further.
    fn step(&self, direction: usize, weights: &Weights<'_>, x: &[f64], h: &mut Vec<f64>, c: &mut [f64]) {
        let hidden = h.len();
        let gates = self.cell.gates() * hidden;
        let before = h.clone();
        let apply = |k: usize, v: f64| {
            let v = self.clip.map_or(v, |clip| v.clamp(-f64::from(clip), f64::from(clip)));
            self.activation(direction, k).apply(v)
        };
        let bias = |row: usize| weights.b.map_or((0.0, 0.0), |b| (b[row], b[gates + row]));
        let from_x = |row: usize| product(weights.w, row, x) + bias(row).0;
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
                    h[i] = output * {
                        // The cell state is not clipped on its way out.
                        self.activation(direction, 2).apply(c[i])
                    };
                }
            }
        }
    }
}
