//! The meaning of attention's gradients, query by query in f64. Scores are rounded as attention's are.

use super::reference::rounding;
use super::{Attention, AttentionShape, LENGTHS, MOST_LENGTH, NAME, OUTPUT, Unseen, WORTH};
use crate::error::Result;
use crate::graph::required;
use crate::tensor::{DType, Tensor, TensorType};

/// What the rows are made from.
struct Data<'a> {
    op: &'a Attention,
    g: AttentionShape,
    rounded: fn(f64) -> f64,
    query: Vec<f64>,
    key: Vec<f64>,
    value: Vec<f64>,
    /// Whether it is of bool, and its elements.
    mask: Option<(bool, Vec<f64>)>,
    lengths: Option<Vec<i64>>,
}

/// A score and how it changes with its product.
struct Score {
    value: f64,
    slope: f64,
}

impl Data<'_> {
    /// What becomes of the score of a key that is not seen.
    fn unseen(&self, score: Score) -> Score {
        match self.op.unseen {
            Unseen::Hidden => Score { value: f64::NEG_INFINITY, slope: 0.0 },
            Unseen::Replaced(fill) => Score { value: fill.into(), slope: 0.0 },
            Unseen::Added(fill) => Score { value: (self.rounded)(score.value + f64::from(fill)), ..score },
        }
    }

    /// The score of key `j` of a batch element for a query, whose row is `row` and index `i`.
    fn score(&self, batch: usize, row: usize, i: usize, j: usize, key_row: usize) -> Score {
        let size = self.g.size;
        let products = self.query[row * size..][..size].iter().zip(&self.key[key_row * size..][..size]).map(|(a, b)| a * b);
        let scale = f64::from(self.op.scale);
        let mut score = Score { value: (self.rounded)(products.sum::<f64>() * scale), slope: scale };
        if let Some(cap) = self.op.softcap.map(f64::from) {
            let bent = (score.value / cap).tanh();
            score = Score { value: (self.rounded)(cap * bent), slope: scale * (1.0 - bent * bent) };
        }
        match &self.mask {
            Some((true, seen)) if seen[row * self.g.keys + j] == 0.0 => score = self.unseen(score),
            Some((false, added)) => score.value = (self.rounded)(score.value + added[row * self.g.keys + j]),
            _ => {}
        }
        if self.op.causal && j as i64 > (i as i64).saturating_add(self.op.causal_offset).saturating_add(self.length(batch)) {
            score = self.unseen(score);
        }
        score
    }

    /// How many keys a batch element says to have; 0 where none says so.
    fn length(&self, batch: usize) -> i64 {
        self.lengths.as_ref().map_or(0, |lengths| lengths[batch].clamp(0, MOST_LENGTH))
    }

    /// How many keys count.
    fn keys(&self, batch: usize) -> usize {
        if self.lengths.is_some() { self.g.keys.min(self.length(batch) as usize) } else { self.g.keys }
    }
}

/// Adds a multiple of one row to another.
fn add(to: &mut [f64], factor: f64, from: &[f64]) {
    to.iter_mut().zip(from).for_each(|(to, from)| *to += factor * from);
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

pub(super) fn gradient(op: &Attention, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>> {
    let (query, key, value) = (required(NAME, inputs, 0)?, required(NAME, inputs, 1)?, required(NAME, inputs, 2)?);
    let (output, worth) = (required(NAME, inputs, OUTPUT)?.to_f64(), required(NAME, inputs, WORTH)?.to_f64());
    let mask = inputs.get(3).copied().flatten();
    let g = op.shape(query.shape(), key.shape(), value.shape(), mask.map(Tensor::shape))?;
    let (rows, key_rows) = ([g.batch, g.heads, g.queries], [g.batch, g.key_heads, g.keys]);
    let (size, value_size) = (g.size, g.value_size);
    let [width, value_width] = [size, value_size].map(|size| size.next_multiple_of(4));
    let (row_width, key_width) = (width + 4, width + value_width);
    let data = Data {
        op,
        rounded: rounding(query.dtype()),
        query: query.gather(&g.query).to_f64(),
        key: key.gather(&g.key).to_f64(),
        value: value.gather(&g.value).to_f64(),
        mask: mask.zip(g.mask.as_ref()).map(|(tensor, view)| (tensor.dtype() == DType::Bool, tensor.gather(view).to_f64())),
        lengths: inputs.get(LENGTHS).copied().flatten().map(Tensor::to_i64),
        g,
    };
    let mut of_rows = vec![0f64; rows.iter().product::<usize>() * row_width];
    let mut of_keys = vec![0f64; key_rows.iter().product::<usize>() * key_width];
    for row in 0..rows.iter().product() {
        let (batch, h, i) = (row / (rows[1] * rows[2]), row / rows[2] % rows[1], row % rows[2]);
        let first_key = (batch * key_rows[1] + h * key_rows[1] / rows[1]) * key_rows[2];
        let place = if op.interleaved { (batch * rows[2] + i) * rows[1] + h } else { row };
        let worth = &worth[place * value_size..][..value_size];
        let mean = dot(worth, &output[place * value_size..][..value_size]);
        let scores: Vec<Score> = (0..data.keys(batch)).map(|j| data.score(batch, row, i, j, first_key + j)).collect();
        let greatest = scores.iter().map(|score| score.value).fold(f64::NEG_INFINITY, f64::max);
        let peak = if greatest == f64::NEG_INFINITY { f64::from(f32::MIN) } else { greatest };
        let total: f64 = scores.iter().map(|score| (score.value - peak).exp()).sum();
        let zero_unseen = op.zero_unseen || data.lengths.is_some() || key_rows[2] == 0;
        let factor = if total == 0.0 && zero_unseen { 0.0 } else { 1.0 / total };
        let own = &mut of_rows[row * row_width..][..row_width];
        for (j, score) in scores.iter().enumerate() {
            let key_row = first_key + j;
            let weight = (score.value - peak).exp() * factor;
            let change = weight * (dot(worth, &data.value[key_row * value_size..][..value_size]) - mean) * score.slope;
            add(own, change, &data.key[key_row * size..][..size]);
            let target = &mut of_keys[key_row * key_width..][..key_width];
            add(&mut target[..size], change, &data.query[row * size..][..size]);
            add(&mut target[width..], weight, worth);
        }
        own[width..].copy_from_slice(&[peak, factor, mean, 0.0]);
    }
    let ty = |[batch, heads, length]: [usize; 3], width: usize| TensorType::new(query.dtype(), [batch, heads, length, width]);
    Ok(vec![Tensor::from_f64(ty(rows, row_width), &of_rows)?, Tensor::from_f64(ty(key_rows, key_width), &of_keys)?])
}
