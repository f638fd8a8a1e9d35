//! The meaning of linear attention: one token after another, in f64.

use super::{LinearAttention, NAME, input, state_dtype};
use crate::error::Result;
use crate::graph::required;
use crate::tensor::{Tensor, TensorType};

pub(super) fn linear_attention(op: &LinearAttention, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>> {
    let types: Vec<_> = inputs.iter().map(|tensor| tensor.map(Tensor::ty)).collect();
    let g = op.shape(&types)?;
    let query = required(NAME, inputs, input::QUERY)?;
    let optional = |k: usize| inputs.get(k).copied().flatten();
    let numbers = |k: usize| required(NAME, inputs, k).map(Tensor::to_f64);
    let (queries, keys, values) = (query.to_f64(), numbers(input::KEY)?, numbers(input::VALUE)?);
    let (decay, rates) = (optional(input::DECAY).map(Tensor::to_f64), optional(input::RATE).map(Tensor::to_f64));
    let given = optional(input::STATE);
    let mut states = given.map_or(vec![0.0; g.state().iter().product()], Tensor::to_f64);
    let mut output = vec![0.0; g.output().iter().product()];
    let scale = f64::from(op.scale(&g));
    for row in 0..g.batch * g.heads {
        let (batch, head) = (row / g.heads, row % g.heads);
        let state = &mut states[row * g.size * g.value_size..][..g.size * g.value_size];
        for token in batch * g.steps..(batch + 1) * g.steps {
            let token_row = token * g.heads + head;
            let key = &keys[token_row * g.size..][..g.size];
            for column in 0..g.value_size {
                let at = |d: usize| d * g.value_size + column;
                if let Some(decay) = &decay {
                    for d in 0..g.size {
                        state[at(d)] *= decay[token_row * g.decays + d.min(g.decays - 1)].exp();
                    }
                }
                let mut value = values[token_row * g.value_size + column];
                if let Some(rates) = &rates {
                    let held: f64 = key.iter().enumerate().map(|(d, k)| k * state[at(d)]).sum();
                    value = rates[token * g.rates + head.min(g.rates - 1)] * (value - held);
                }
                for (d, k) in key.iter().enumerate() {
                    state[at(d)] += k * value;
                }
                for query_row in token_row * g.shared_by..(token_row + 1) * g.shared_by {
                    let query = &queries[query_row * g.size..][..g.size];
                    let mixed: f64 = query.iter().enumerate().map(|(d, q)| q * state[at(d)]).sum();
                    output[query_row * g.value_size + column] = scale * mixed;
                }
            }
        }
    }
    let dtype = state_dtype(query.dtype(), given.map(Tensor::dtype));
    Ok(vec![
        Tensor::from_f64(TensorType::new(query.dtype(), g.output()), &output)?,
        Tensor::from_f64(TensorType::new(dtype, g.state()), &states)?,
    ])
}
