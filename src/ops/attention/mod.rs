//! Scaled dot-product attention: softmax(scale * Q K^T + mask) V without the matrix of scores in memory.

mod cached;
mod convolutional;
mod gradient;
mod gradient_lower;
mod gradient_operator;
mod gradient_reference;
mod lower;
mod reference;
mod rotary;
mod software;
mod split;

pub use cached::{CachedAttention, cached_attention};
pub use convolutional::{ConvolutionalAttention, convolutional_attention};
pub use gradient_operator::attention_gradient;
pub use rotary::{RotaryEmbedding, rotary_embedding};

use super::Registration;
use crate::error::{Error, Result};
use crate::graph::{Fact, Gradient, Io, Node, Op, ValueId, Writer, required};
use crate::kernel::Offers;
use crate::tensor::{DType, Shape, Tensor, View};
use std::sync::Arc;

pub(super) static REGISTRATION: Registration = Registration {
    operators: &["Attention", "ScaledDotProductAttention", "AttentionGradient", "ConvolutionalAttention", "RotaryEmbedding"],
    shaders: lower::SHADERS,
};

const NAME: &str = "ScaledDotProductAttention";

/// The input that says how many keys each batch element has.
const LENGTHS: usize = 4;
/// The input of `AttentionGradient` that is what attention made of the others.
const OUTPUT: usize = 5;
/// The one that says what a change of that is worth.
const WORTH: usize = 6;
/// Longer than this is no sequence; kernels take it for as many keys as there are.
const MOST_LENGTH: i64 = 1 << 29;

/// Attention of queries (input 0) over keys (input 1) and values (input 2), with an optional mask (input 3).
///
/// Input 4, where it is given, says how many of its keys each batch element has, as integers `[batch]`: those beyond count for nothing,
/// whatever they hold, and cost nothing. So a cache has a fixed shape, and what it holds is data.
///
/// The heads of queries are a multiple of those of keys and values (grouped-query attention); head `h` reads
/// key head `h / (heads / key heads)`.
#[derive(Clone, Debug)]
pub struct Attention {
    /// What a score, the product of query and key, is multiplied with.
    pub scale: f32,
    /// Key `j` is seen by query `i` only when `j <= i + causal_offset`.
    pub causal: bool,
    /// How far a query sees past its own index; key length less query length where queries are the newest positions. Where lengths
    /// are given, that of the batch element is added: less query length is then the same.
    pub causal_offset: i64,
    /// `c` in `c * tanh(score / c)`, which is applied after `scale` and before the mask.
    pub softcap: Option<f32>,
    /// Input 0 as `[batch, heads, queries, size]`; `None` when it is that already.
    pub query: Option<View>,
    /// Input 1 as `[batch, key heads, keys, size]`.
    pub key: Option<View>,
    /// Input 2 as `[batch, key heads, keys, value size]`.
    pub value: Option<View>,
    /// Input 3, whose shape broadcasts to `[batch, heads, queries, keys]`: floats are added to the scores, bool says
    /// which keys are seen.
    pub mask: Option<View>,
    /// What becomes of the score of a key that is not seen, by a bool mask or by causality.
    pub unseen: Unseen,
    /// A query that sees no key yields zeros, as ONNX's Attention has it, instead of the NaN that Softmax makes. So it does where
    /// lengths are given.
    pub zero_unseen: bool,
    /// The output is `[batch, queries, heads, value size]` instead of `[batch, heads, queries, value size]`.
    pub interleaved: bool,
}

/// What becomes of the score of a key that is not seen.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Unseen {
    /// It is minus infinity: the key counts for nothing.
    #[default]
    Hidden,
    /// It is a number. A query that sees no key weighs all of them alike.
    Replaced(f32),
    /// A number is added to it.
    Added(f32),
}

crate::attributes!(
    enum Unseen {
        Hidden,
        Replaced(value),
        Added(value),
    }
);

impl Unseen {
    /// How kernels are told, and the number.
    fn code(self) -> (u32, f32) {
        match self {
            Unseen::Hidden => (0, 0.0),
            Unseen::Replaced(fill) => (1, fill),
            Unseen::Added(fill) => (2, fill),
        }
    }
}

impl Attention {
    /// Plain attention of contiguous inputs.
    pub fn new(scale: f32) -> Self {
        Attention {
            scale,
            causal: false,
            causal_offset: 0,
            softcap: None,
            query: None,
            key: None,
            value: None,
            mask: None,
            unseen: Unseen::Hidden,
            zero_unseen: false,
            interleaved: false,
        }
    }
}

/// An attention operator.
pub fn attention(attributes: Attention) -> Arc<dyn Op> {
    Arc::new(attributes)
}

/// Views and extents of one attention, once the types of its inputs are known.
struct AttentionShape {
    query: View,
    key: View,
    value: View,
    /// Broadcast to `[batch, heads, queries, keys]`.
    mask: Option<View>,
    batch: usize,
    heads: usize,
    key_heads: usize,
    queries: usize,
    keys: usize,
    size: usize,
    value_size: usize,
}

impl Attention {
    fn shape(&self, query: &Shape, key: &Shape, value: &Shape, mask: Option<&Shape>) -> Result<AttentionShape> {
        let view = |own: &Option<View>, shape: &Shape, what: &str| {
            let view = own.clone().unwrap_or_else(|| View::contiguous(shape));
            if view.shape.rank() == 4 {
                Ok(view)
            } else {
                Err(Error::invalid_model(format!("{NAME} takes {what} of rank 4, found {}", view.shape)))
            }
        };
        let (query, key, value) =
            (view(&self.query, query, "queries")?, view(&self.key, key, "keys")?, view(&self.value, value, "values")?);
        let (q, k, v) = (&query.shape, &key.shape, &value.shape);
        if q[0] != k[0] || q[3] != k[3] || k[..3] != v[..3] || (k[1] == 0 && q[1] != 0) || (k[1] != 0 && q[1] % k[1] != 0) {
            return Err(Error::invalid_model(format!(
                "{NAME} takes queries [batch,heads,queries,size], keys [batch,key heads,keys,size] and values [batch,key heads,keys,\
                 value size] with heads a multiple of key heads, found {q}, {k} and {v}"
            )));
        }
        let scores: Shape = [q[0], q[1], q[2], k[2]].into();
        let mask = match mask {
            None => None,
            Some(shape) => {
                let own = self.mask.clone().unwrap_or_else(|| View::contiguous(shape));
                let wide = own.broadcast(&scores).ok_or_else(|| {
                    Error::invalid_model(format!("the mask of {NAME} must broadcast to {scores}, found {}", own.shape))
                })?;
                Some(wide)
            }
        };
        Ok(AttentionShape {
            batch: q[0],
            heads: q[1],
            key_heads: k[1],
            queries: q[2],
            keys: k[2],
            size: q[3],
            value_size: v[3],
            query,
            key,
            value,
            mask,
        })
    }

    /// The same attention reading an input through one more view.
    fn absorbing(&self, index: usize, view: &View) -> Option<Self> {
        let compose = |own: &Option<View>| own.as_ref().map_or_else(|| Some(view.clone()), |own| own.of(view));
        let mut op = self.clone();
        match index {
            0 => op.query = Some(compose(&self.query)?),
            1 => op.key = Some(compose(&self.key)?),
            2 => op.value = Some(compose(&self.value)?),
            3 => op.mask = Some(compose(&self.mask)?),
            _ => return None,
        }
        Some(op)
    }

    fn shape_of(&self, inputs: &[Option<&Fact>]) -> Result<AttentionShape> {
        let shape = |k| required(NAME, inputs, k).map(Fact::shape);
        self.shape(shape(0)?, shape(1)?, shape(2)?, inputs.get(3).copied().flatten().map(Fact::shape))
    }
}

impl Op for Attention {
    fn name(&self) -> &'static str {
        NAME
    }

    crate::attributes!(scale, causal, causal_offset, softcap, query, key, value, mask, unseen, zero_unseen, interleaved);

    fn infer(&self, inputs: &[Option<&Fact>]) -> Result<Vec<Fact>> {
        let dtype = required(NAME, inputs, 0)?.dtype();
        for k in 0..3 {
            let found = required(NAME, inputs, k)?.dtype();
            if found != dtype || !dtype.is_float() {
                return Err(Error::invalid_model(format!(
                    "{NAME} takes queries, keys and values of one float dtype, found {found}"
                )));
            }
        }
        if let Some(mask) = inputs.get(3).copied().flatten()
            && mask.dtype() != DType::Bool
            && !mask.dtype().is_float()
        {
            return Err(Error::invalid_model(format!("{NAME} takes a mask of floats or bool, found {}", mask.dtype())));
        }
        let g = self.shape_of(inputs)?;
        if let Some(lengths) = inputs.get(LENGTHS).copied().flatten()
            && (!matches!(lengths.dtype(), DType::I32 | DType::I64) || lengths.shape()[..] != [g.batch])
        {
            let (batch, found) = (g.batch, &lengths.ty);
            return Err(Error::invalid_model(format!("{NAME} takes lengths of i32 or i64 [{batch}], found {found}")));
        }
        let shape = if self.interleaved {
            [g.batch, g.queries, g.heads, g.value_size]
        } else {
            [g.batch, g.heads, g.queries, g.value_size]
        };
        Ok(vec![Fact::new(dtype, shape)])
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>> {
        reference::attention(self, inputs)
    }

    fn lower(&self, io: &Io, offers: &mut Offers) -> Result<()> {
        lower::lower(self, io, offers)
    }

    fn gradient(&self, node: &Node, upstream: &[Option<ValueId>], wanted: &[bool], writer: &mut Writer) -> Result<Gradient> {
        self.gradients(node, upstream, wanted, writer)
    }

    fn absorb(&self, index: usize, view: &View, _base: &Fact) -> Option<Arc<dyn Op>> {
        self.absorbing(index, view).map(attention)
    }
}
