//! The meaning of attention: products and sums in f64. Scores are rounded to f32 before a number is added to them and after, as they
//! are between the nodes that a model writes attention out in: a row that -1e9 hides throughout is uniform.

use super::{Attention, AttentionShape, LENGTHS, MOST_LENGTH, NAME, Unseen};
use crate::error::Result;
use crate::graph::required;
use crate::tensor::{DType, Tensor, TensorType};

/// The nearest f32, where what is computed are not doubles.
fn rounded(dtype: DType, x: f64) -> f64 {
    if dtype == DType::F64 { x } else { f64::from(x as f32) }
}

pub(super) fn attention(op: &Attention, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>> {
    let (query, key, value) = (required(NAME, inputs, 0)?, required(NAME, inputs, 1)?, required(NAME, inputs, 2)?);
    let mask = inputs.get(3).copied().flatten();
    let g = op.shape(query.shape(), key.shape(), value.shape(), mask.map(Tensor::shape))?;
    let AttentionShape { batch, heads, key_heads, queries, keys, size, value_size, .. } = g;
    let q = query.gather(&g.query).to_f64();
    let k = key.gather(&g.key).to_f64();
    let v = value.gather(&g.value).to_f64();
    let mask = mask.zip(g.mask.as_ref()).map(|(tensor, view)| (tensor.dtype() == DType::Bool, tensor.gather(view).to_f64()));
    let lengths = inputs.get(LENGTHS).copied().flatten().map(Tensor::to_i64);
    let zero_unseen = op.zero_unseen || lengths.is_some();
    let unseen = |score: f64| match op.unseen {
        Unseen::Hidden => f64::NEG_INFINITY,
        Unseen::Replaced(fill) => fill.into(),
        Unseen::Added(fill) => rounded(query.dtype(), score + f64::from(fill)),
    };
    let mut out = vec![0f64; batch * heads * queries * value_size];
    let mut scores = vec![0f64; keys];
    for b in 0..batch {
        let length = lengths.as_ref().map(|lengths| lengths[b].clamp(0, MOST_LENGTH));
        let causal_offset = op.causal_offset.saturating_add(length.unwrap_or(0));
        let scores = &mut scores[..length.map_or(keys, |length| keys.min(length as usize))];
        for h in 0..heads {
            let kv = (b * key_heads + h * key_heads / heads) * keys;
            for i in 0..queries {
                let row = (b * heads + h) * queries + i;
                for (j, score) in scores.iter_mut().enumerate() {
                    let products = q[row * size..][..size].iter().zip(&k[(kv + j) * size..][..size]).map(|(a, b)| a * b);
                    *score = rounded(query.dtype(), products.sum::<f64>() * f64::from(op.scale));
                    if let Some(cap) = op.softcap {
                        *score = rounded(query.dtype(), f64::from(cap) * (*score / f64::from(cap)).tanh());
                    }
                    match &mask {
                        Some((true, seen)) if seen[row * keys + j] == 0.0 => *score = unseen(*score),
                        Some((false, added)) => *score = rounded(query.dtype(), *score + added[row * keys + j]),
                        _ => {}
                    }
                    if op.causal && j as i64 > (i as i64).saturating_add(causal_offset) {
                        *score = unseen(*score);
                    }
                }
                let max = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let weights: Vec<f64> = scores.iter().map(|s| (s - max).exp()).collect();
                let total: f64 = weights.iter().sum();
                let at = if op.interleaved { (b * queries + i) * heads + h } else { row };
                if max == f64::NEG_INFINITY && zero_unseen {
                    continue;
                }
                let target = &mut out[at * value_size..][..value_size];
                for (j, weight) in weights.iter().enumerate() {
                    for (o, x) in target.iter_mut().zip(&v[(kv + j) * value_size..][..value_size]) {
                        *o += weight / total * x;
                    }
                }
            }
        }
    }
    let shape = if op.interleaved { [batch, queries, heads, value_size] } else { [batch, heads, queries, value_size] };
    Ok(vec![Tensor::from_f64(TensorType::new(query.dtype(), shape), &out)?])
}
