//! LinearAttention: attention without softmax, whose keys and values add up to a state of one size however many there are.

mod gradient;
mod lower;
mod reference;

pub use gradient::{LinearAttentionGradient, linear_attention_gradient};

use super::Registration;
use crate::error::{Error, Result};
use crate::graph::{Fact, Gradient, Io, Node, Op, ValueId, Writer, required};
use crate::kernel::Offers;
use crate::tensor::{DType, Tensor, TensorType};
use std::sync::Arc;

/// The operator of this folder.
pub(super) static REGISTRATION: Registration = Registration { operators: &[NAME, gradient::NAME], shaders: lower::SHADERS };

const NAME: &str = "LinearAttention";

/// How a token changes the state `S` of a head, given its key `k`, value `v`, decay `g` and update rate `b`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UpdateRule {
    /// `S + k v^T`.
    Linear,
    /// `exp(g) S + k v^T`.
    Gated,
    /// `S + b k (v - S^T k)^T`.
    Delta,
    /// `exp(g) S + b k (v - (exp(g) S)^T k)^T`.
    #[default]
    GatedDelta,
}

crate::attributes!(
    enum UpdateRule {
        Linear,
        Gated,
        Delta,
        GatedDelta,
    }
);

impl UpdateRule {
    /// The rule that ONNX's attribute `update_rule` names.
    ///
    /// # Errors
    /// [`InvalidModel`](crate::ErrorKind::InvalidModel) when there is no such rule.
    pub fn from_name(name: &str) -> Result<Self> {
        match name {
            "linear" => Ok(UpdateRule::Linear),
            "gated" => Ok(UpdateRule::Gated),
            "delta" => Ok(UpdateRule::Delta),
            "gated_delta" => Ok(UpdateRule::GatedDelta),
            _ => Err(Error::invalid_model(format!("expected update_rule linear, gated, delta or gated_delta, found `{name}`"))),
        }
    }

    fn is_gated(self) -> bool {
        matches!(self, UpdateRule::Gated | UpdateRule::GatedDelta)
    }

    fn is_delta(self) -> bool {
        matches!(self, UpdateRule::Delta | UpdateRule::GatedDelta)
    }
}

/// ONNX LinearAttention. Inputs: queries `[batch, steps, query heads * size]`, keys `[batch, steps, heads * size]`, values
/// `[batch, steps, heads * value size]`; optionally the state `[batch, heads, size, value size]` of the run before; where the rule wants
/// them, the logarithm of what the state fades by, `[batch, steps, heads * size]` or `[batch, steps, heads]`, and update rates
/// `[batch, steps, heads]` or `[batch, steps, 1]`. Outputs: `[batch, steps, query heads * value size]`, and the state after the last step.
#[derive(Clone, Debug, PartialEq)]
pub struct LinearAttention {
    /// How a token changes the state.
    pub rule: UpdateRule,
    /// Heads of queries, a multiple of those of keys and values; neighbouring ones share a state.
    pub query_heads: usize,
    /// Heads of keys and values.
    pub heads: usize,
    /// What the product of query and state is multiplied with; one over the root of the size by default.
    pub scale: Option<f32>,
}

/// Linear attention.
pub fn linear_attention(attributes: LinearAttention) -> Arc<dyn Op> {
    Arc::new(attributes)
}

/// What the inputs of linear attention are.
mod input {
    pub(super) const QUERY: usize = 0;
    pub(super) const KEY: usize = 1;
    pub(super) const VALUE: usize = 2;
    pub(super) const STATE: usize = 3;
    pub(super) const DECAY: usize = 4;
    pub(super) const RATE: usize = 5;
}

/// The extents of linear attention, once the types of its inputs are known.
struct LinearAttentionShape {
    batch: usize,
    steps: usize,
    heads: usize,
    /// Heads of queries that share a state.
    shared_by: usize,
    size: usize,
    value_size: usize,
    /// Decays of a token and head: none, one, or one for each row of the state.
    decays: usize,
    /// Update rates of a token: none, one, or one for each head.
    rates: usize,
}

impl LinearAttention {
    fn shape(&self, inputs: &[Option<&TensorType>]) -> Result<LinearAttentionShape> {
        let [query, key, value] = [input::QUERY, input::KEY, input::VALUE].map(|k| required(NAME, inputs, k));
        let (query, key, value) = (query?, key?, value?);
        let (heads, query_heads) = (self.heads, self.query_heads);
        if heads == 0 || query_heads == 0 || !query_heads.is_multiple_of(heads) {
            return Err(Error::invalid_model(format!(
                "{NAME} has {query_heads} query heads and {heads} heads: expected a multiple of one or more"
            )));
        }
        let alike = [query, key, value]
            .iter()
            .all(|ty| ty.shape.rank() == 3 && ty.dtype == query.dtype && ty.dtype.is_float() && ty.shape[..2] == query.shape[..2]);
        let size = if alike { query.shape[2] / query_heads } else { 0 };
        if !alike || query.shape[2] != size * query_heads || key.shape[2] != size * heads || !value.shape[2].is_multiple_of(heads) {
            return Err(Error::invalid_model(format!(
                "{NAME} expects floats [batch,steps,{query_heads} * size], [batch,steps,{heads} * size] and \
                 [batch,steps,{heads} * value size], found {query}, {key} and {value}"
            )));
        }
        let (batch, steps, value_size) = (query.shape[0], query.shape[1], value.shape[2] / heads);
        if let Some(state) = inputs.get(input::STATE).copied().flatten()
            && (!state.dtype.is_float() || state.shape[..] != [batch, heads, size, value_size])
        {
            let expected = TensorType::new(query.dtype, [batch, heads, size, value_size]);
            return Err(Error::invalid_model(format!("{NAME} expects a state like {expected}, found {state}")));
        }
        let each = |index: usize, what: &str, wanted: bool, counts: [usize; 2]| {
            let found = inputs.get(index).copied().flatten();
            match (found, wanted) {
                (None, false) => Ok(0),
                (Some(ty), true) if ty.dtype == query.dtype && ty.shape.rank() == 3 && ty.shape[..2] == [batch, steps] => {
                    Some(ty.shape[2]).filter(|count| counts.contains(count)).ok_or(Some(ty))
                }
                _ => Err(found),
            }
            .map_err(|found| {
                let found = found.map_or("none".into(), |ty| ty.to_string());
                let rule = self.rule;
                if !wanted {
                    return Error::invalid_model(format!("{NAME} by the rule {rule:?} takes no {what}, found {found}"));
                }
                let [one, other] = counts.map(|count| TensorType::new(query.dtype, [batch, steps, count]));
                Error::invalid_model(format!("{NAME} by the rule {rule:?} expects a {what} of {one} or {other}, found {found}"))
            })
        };
        let decays = each(input::DECAY, "decay", self.rule.is_gated(), [heads, heads * size])? / heads;
        let rates = each(input::RATE, "update rate", self.rule.is_delta(), [heads, 1])?;
        Ok(LinearAttentionShape { batch, steps, heads, shared_by: query_heads / heads, size, value_size, decays, rates })
    }

    fn shape_of(&self, inputs: &[Option<&Fact>]) -> Result<LinearAttentionShape> {
        self.shape(&inputs.iter().map(|fact| fact.map(|fact| &fact.ty)).collect::<Vec<_>>())
    }

    fn scale(&self, shape: &LinearAttentionShape) -> f32 {
        self.scale.unwrap_or_else(|| 1.0 / (shape.size.max(1) as f32).sqrt())
    }
}

impl LinearAttentionShape {
    fn state(&self) -> [usize; 4] {
        [self.batch, self.heads, self.size, self.value_size]
    }

    fn output(&self) -> [usize; 3] {
        [self.batch, self.steps, self.heads * self.shared_by * self.value_size]
    }
}

/// The dtype of the state that is left: that of the state that is given, or else that of the queries.
fn state_dtype(query: DType, state: Option<DType>) -> DType {
    state.unwrap_or(query)
}

impl Op for LinearAttention {
    fn name(&self) -> &'static str {
        NAME
    }

    crate::attributes!(rule, query_heads, heads, scale);

    fn infer(&self, inputs: &[Option<&Fact>]) -> Result<Vec<Fact>> {
        let shape = self.shape_of(inputs)?;
        let query = required(NAME, inputs, input::QUERY)?.dtype();
        let state = inputs.get(input::STATE).copied().flatten().map(Fact::dtype);
        Ok(vec![Fact::new(query, shape.output()), Fact::new(state_dtype(query, state), shape.state())])
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>> {
        reference::linear_attention(self, inputs)
    }

    fn gradient(&self, node: &Node, upstream: &[Option<ValueId>], _: &[bool], writer: &mut Writer) -> Result<Gradient> {
        gradient::gradient(self, node, upstream, writer)
    }

    fn lower(&self, io: &Io, offers: &mut Offers) -> Result<()> {
        lower::lower(self, io, offers)
    }
}
