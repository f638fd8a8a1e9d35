//! ONNX's Attention over a cache that is written outside of it, of which each sequence fills a part.

use super::super::compose::Compose;
use super::{Attention, attention};
use crate::error::{Error, Result};
use crate::graph::{Fact, Node, Op, ValueId, Writer, required};
use crate::tensor::{Shape, Tensor, TensorType, View};
use std::sync::Arc;

const NAME: &str = "Attention";

/// ONNX Attention with the input `nonpad_kv_seqlen`. Inputs: queries, keys and values as `[batch, heads, length, size]` or, where heads
/// are named, `[batch, length, heads * size]`; an optional mask, which may end before the keys do; how many keys each batch element
/// has, as integers `[batch]`.
#[derive(Clone, Debug)]
pub struct CachedAttention {
    /// The last query stands at the last key that its batch element has, and sees none after its own.
    pub causal: bool,
    /// What the product of query and key is multiplied with; one over the root of the size by default.
    pub scale: Option<f32>,
    /// `c` in `c * tanh(score / c)`.
    pub softcap: Option<f32>,
    /// Heads of queries, and of keys and values, where these are of rank 3.
    pub heads: Option<[usize; 2]>,
}

/// Attention over a cache.
pub fn cached_attention(attributes: CachedAttention) -> Arc<dyn Op> {
    Arc::new(attributes)
}

impl CachedAttention {
    /// The operator on heads that this one is, given the types of queries, keys, values and mask.
    fn on_heads(&self, inputs: &[Option<&TensorType>]) -> Result<Attention> {
        let [query, key, value] = [0, 1, 2].map(|k| required(NAME, inputs, k));
        let [query, key, value] = [(query?, 0), (key?, 1), (value?, 1)].map(|(ty, side)| self.split(&ty.shape, side));
        let (query, mut key, mut value) = (query?, key?, value?);
        // Keys past the mask's end are hidden: it is as if they were not there.
        let reach = inputs.get(3).copied().flatten().and_then(|mask| mask.shape.last().copied());
        if let Some(reach) = reach.filter(|reach| *reach < key.shape[2] && *reach < value.shape[2]) {
            (key, value) = (key.slice(2, 0, reach, 1), value.slice(2, 0, reach, 1));
        }
        let scale = self.scale.unwrap_or_else(|| 1.0 / (query.shape[3].max(1) as f32).sqrt());
        Ok(Attention {
            causal: self.causal,
            causal_offset: -(query.shape[2] as i64),
            softcap: self.softcap,
            zero_unseen: true,
            interleaved: query_is_joined(inputs),
            query: Some(query),
            key: Some(key),
            value: Some(value),
            ..Attention::new(scale)
        })
    }

    /// Queries (side 0), or keys or values (side 1), as `[batch, heads, length, size]`.
    fn split(&self, shape: &Shape, side: usize) -> Result<View> {
        match (shape.dims(), self.heads) {
            ([_, _, _, _], _) => Ok(View::contiguous(shape)),
            ([batch, length, joint], Some(heads)) if heads[side] > 0 && joint.is_multiple_of(heads[side]) => {
                let split = Shape::from([*batch, *length, heads[side], joint / heads[side]]);
                Ok(View::contiguous(&split).transpose(&[0, 2, 1, 3]))
            }
            _ => {
                let heads = self.heads;
                Err(Error::invalid_model(format!(
                    "{NAME} takes queries, keys and values of rank 4, or of rank 3 with heads that divide them, found {shape} and \
                     heads {heads:?}"
                )))
            }
        }
    }
}

fn query_is_joined(inputs: &[Option<&TensorType>]) -> bool {
    inputs.first().copied().flatten().is_some_and(|query| query.shape.rank() == 3)
}

/// `[batch, length, heads, size]` with the heads joined.
fn joined(shape: &Shape) -> [usize; 3] {
    [shape[0], shape[1], shape[2] * shape[3]]
}

fn types<'a>(inputs: &[Option<&'a Fact>]) -> Vec<Option<&'a TensorType>> {
    inputs.iter().map(|fact| fact.map(|fact| &fact.ty)).collect()
}

impl Op for CachedAttention {
    fn name(&self) -> &'static str {
        NAME
    }

    crate::attributes!(causal, scale, softcap, heads);

    fn infer(&self, inputs: &[Option<&Fact>]) -> Result<Vec<Fact>> {
        required(NAME, inputs, super::LENGTHS)?;
        let op = self.on_heads(&types(inputs))?;
        let mut outputs = op.infer(inputs)?;
        if let Some(output) = outputs.first_mut().filter(|_| op.interleaved) {
            *output = Fact::new(output.dtype(), joined(output.shape()));
        }
        Ok(outputs)
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>> {
        let types: Vec<_> = inputs.iter().map(|tensor| tensor.map(Tensor::ty)).collect();
        let op = self.on_heads(&types)?;
        let outputs = op.reference(inputs)?;
        if !op.interleaved {
            return Ok(outputs);
        }
        let rejoin = |y: &Tensor| Tensor::from_bytes(TensorType::new(y.dtype(), joined(y.shape())), y.bytes());
        outputs.iter().map(rejoin).collect()
    }

    fn expand(&self, node: &Node, inputs: &[Option<&Fact>], writer: &mut Writer) -> Result<Option<Vec<ValueId>>> {
        let op = self.on_heads(&types(inputs))?;
        let interleaved = op.interleaved;
        let mut outputs = writer.apply_all(attention(op), &node.inputs, 1)?;
        if let Some(output) = outputs.first_mut().filter(|_| interleaved) {
            let shape = joined(writer.fact(*output)?.shape());
            *output = writer.reshape(*output, &shape)?;
        }
        Ok(Some(outputs))
    }
}
