//! The gradients of attention (Dao et al. 2022, "FlashAttention", appendix B.2): an operator of their own, or, where that of the mask is
//! wanted too, its parts made again one by one and gone back through.

use super::super::compose::Compose;
use super::super::elementwise::{cast, select};
use super::super::matmul::matmul;
use super::super::reduce::Reduction;
use super::super::softmax::softmax;
use super::super::view::strided_view;
use super::gradient_operator::attention_gradient;
use super::{Attention, AttentionShape, LENGTHS, MOST_LENGTH, OUTPUT, Unseen};
use crate::error::Result;
use crate::graph::{Fact, Gradient, Node, ValueId, Writer};
use crate::tensor::{DType, Tensor, TensorType, View};

/// Attention whose parts are written out.
struct Parts<'a> {
    op: &'a Attention,
    g: &'a AttentionShape,
    dtype: DType,
    /// How many keys each batch element has, `[batch, 1, 1, 1]` of i32.
    lengths: Option<ValueId>,
}

impl Attention {
    pub(super) fn gradients(
        &self,
        node: &Node,
        upstream: &[Option<ValueId>],
        wanted: &[bool],
        writer: &mut Writer,
    ) -> Result<Gradient> {
        let Some(worth) = upstream.first().copied().flatten() else { return Ok(Gradient::Zero) };
        let facts: Vec<Option<Fact>> = writer.input_facts(node)?.into_iter().map(Option::<&Fact>::cloned).collect();
        let facts: Vec<Option<&Fact>> = facts.iter().map(Option::as_ref).collect();
        let g = self.shape_of(&facts)?;
        let wants = |k: usize| wanted.get(k).copied().unwrap_or(false);
        let dtype = writer.fact(node.needed(0)?)?.dtype();
        let is_empty = [g.batch, g.heads, g.queries, g.keys, g.size, g.value_size].contains(&0);
        let found = if wants(3) || is_empty {
            let lengths = node.input(LENGTHS).map(|lengths| lengths_of(writer, lengths, g.batch)).transpose()?;
            Parts { op: self, g: &g, dtype, lengths }.gradients(writer, node, worth)?.map(Some)
        } else {
            self.without_scores(node, worth, &g, wants(1) || wants(2), writer)?
        };
        let views = [Some(&g.query), Some(&g.key), Some(&g.value), g.mask.as_ref()];
        let mut gradients = vec![None; wanted.len()];
        for (k, (found, view)) in found.into_iter().zip(views).enumerate() {
            let (Some(found), Some(view), Some(input), true) = (found, view, node.input(k), wants(k)) else { continue };
            let ty = writer.fact(input)?.ty.clone();
            let sum = writer.view_sum(found, view, &ty.shape)?;
            gradients[k] = Some(if ty.dtype == dtype { sum } else { writer.apply(cast(ty.dtype)?, &[sum])? });
        }
        Ok(Gradient::Inputs(gradients))
    }

    /// What changes of queries, keys and values are worth, as their views show them, without a matrix of scores.
    fn without_scores(
        &self,
        node: &Node,
        worth: ValueId,
        g: &AttentionShape,
        keys: bool,
        writer: &mut Writer,
    ) -> Result<[Option<ValueId>; 4]> {
        let output = match node.outputs.first().copied().flatten() {
            Some(output) => output,
            None => writer.apply_all(node.op.clone(), &node.inputs, 1)?[0],
        };
        let mut inputs = node.inputs.clone();
        inputs.resize(OUTPUT, None);
        inputs.extend([Some(output), Some(worth)]);
        let made = writer.apply_all(attention_gradient(self.clone()), &inputs, if keys { 2 } else { 1 })?;
        let width = g.size.next_multiple_of(4);
        let mut part = |made: Option<&ValueId>, first: usize, count: usize| {
            made.map(|made| writer.sliced(*made, 3, first, count, 1)).transpose()
        };
        Ok([part(made.first(), 0, g.size)?, part(made.get(1), 0, g.size)?, part(made.get(1), width, g.value_size)?, None])
    }
}

/// Lengths in the range that counts, to be compared with positions.
fn lengths_of(writer: &mut Writer, lengths: ValueId, batch: usize) -> Result<ValueId> {
    let lengths = writer.with_number("Max", lengths, 0.0)?;
    let lengths = writer.with_number("Min", lengths, MOST_LENGTH as f64)?;
    let lengths = writer.apply(cast(DType::I32)?, &[lengths])?;
    writer.reshape(lengths, &[batch, 1, 1, 1])
}

/// `first`, `first + 1`, ... of i32 under a shape.
fn positions(writer: &mut Writer, first: i64, shape: &[usize]) -> Result<ValueId> {
    let ty = TensorType::new(DType::I32, shape.to_vec());
    let limit = i64::from(i32::MAX / 2);
    let numbers: Vec<f64> = (0..ty.elements() as i64).map(|k| first.saturating_add(k).clamp(-limit, limit) as f64).collect();
    Ok(writer.tensor(Tensor::from_f64(ty, &numbers)?))
}

/// The value where a condition holds, a number elsewhere.
fn where_seen(writer: &mut Writer, seen: ValueId, value: ValueId, number: f64) -> Result<ValueId> {
    let number = writer.number(writer.fact(value)?.dtype(), number)?;
    writer.apply(select()?, &[seen, value, number])
}

impl Parts<'_> {
    /// Matrices of as many heads as keys have: the queries of all heads that share one stand under each other.
    fn grouped(&self, writer: &mut Writer, value: ValueId, columns: usize) -> Result<ValueId> {
        let heads = self.g.key_heads;
        let rows = (self.g.heads * self.g.queries).checked_div(heads).unwrap_or(0);
        writer.reshape(value, &[self.g.batch, heads, rows, columns])
    }

    /// The same by heads of queries.
    fn ungrouped(&self, writer: &mut Writer, value: ValueId, columns: usize) -> Result<ValueId> {
        writer.reshape(value, &[self.g.batch, self.g.heads, self.g.queries, columns])
    }

    /// Input `index` as heads see it; of keys and values those beyond the lengths are zeros, whatever they hold.
    fn input(&self, writer: &mut Writer, node: &Node, index: usize, view: &View) -> Result<ValueId> {
        let value = writer.apply(strided_view(view.clone()), &[node.needed(index)?])?;
        match self.within(writer, &[1, 1, self.g.keys, 1])? {
            Some(within) if index > 0 => where_seen(writer, within, value, 0.0),
            _ => Ok(value),
        }
    }

    /// Which keys are there, of those that stand along an axis.
    fn within(&self, writer: &mut Writer, shape: &[usize]) -> Result<Option<ValueId>> {
        let Some(lengths) = self.lengths else { return Ok(None) };
        let keys = positions(writer, 0, shape)?;
        writer.function("Less", &[keys, lengths]).map(Some)
    }

    /// Which keys a query sees: by a bool mask, by causality.
    fn seen(&self, writer: &mut Writer, node: &Node) -> Result<Vec<ValueId>> {
        let mut conditions = Vec::new();
        if let (Some(mask), Some(view)) = (node.input(3), &self.g.mask)
            && writer.fact(mask)?.dtype() == DType::Bool
        {
            conditions.push(writer.apply(strided_view(view.clone()), &[mask])?);
        }
        if self.op.causal {
            let keys = positions(writer, 0, &[1, 1, 1, self.g.keys])?;
            let mut last = positions(writer, self.op.causal_offset, &[1, 1, self.g.queries, 1])?;
            if let Some(lengths) = self.lengths {
                last = writer.function("Add", &[last, lengths])?;
            }
            conditions.push(writer.function("LessOrEqual", &[keys, last])?);
        }
        Ok(conditions)
    }

    /// The scores that Softmax takes, from the products of queries and keys, and how each changes with its product where that is not by the
    /// scale alone.
    fn scores(&self, writer: &mut Writer, node: &Node, product: ValueId, seen: &[ValueId]) -> Result<(ValueId, Option<ValueId>)> {
        let product = self.ungrouped(writer, product, self.g.keys)?;
        let mut scores = writer.with_number("Mul", product, self.op.scale.into())?;
        let mut slope = None;
        if let Some(cap) = self.op.softcap.map(f64::from) {
            let inner = writer.with_number("Div", scores, cap)?;
            let bent = writer.function("Tanh", &[inner])?;
            scores = writer.with_number("Mul", bent, cap)?;
            let square = writer.function("Mul", &[bent, bent])?;
            let one = writer.number(self.dtype, 1.0)?;
            slope = Some(writer.function("Sub", &[one, square])?);
        }
        if let (Some(mask), Some(view)) = (node.input(3), &self.g.mask)
            && writer.fact(mask)?.dtype() != DType::Bool
        {
            let mut added = writer.apply(strided_view(view.clone()), &[mask])?;
            if writer.fact(added)?.dtype() != self.dtype {
                added = writer.apply(cast(self.dtype)?, &[added])?;
            }
            scores = writer.function("Add", &[scores, added])?;
        }
        for seen in seen {
            scores = match self.op.unseen {
                Unseen::Hidden => where_seen(writer, *seen, scores, f64::NEG_INFINITY)?,
                Unseen::Replaced(fill) => where_seen(writer, *seen, scores, fill.into())?,
                Unseen::Added(fill) => {
                    let zero = writer.number(self.dtype, 0.0)?;
                    let added = where_seen(writer, *seen, zero, fill.into())?;
                    writer.function("Add", &[scores, added])?
                }
            };
        }
        if let Some(within) = self.within(writer, &[1, 1, 1, self.g.keys])? {
            scores = where_seen(writer, within, scores, f64::NEG_INFINITY)?;
        }
        Ok((scores, slope))
    }

    /// Softmax of the scores, with zeros for a query that sees no key where the operator says so.
    fn probabilities(&self, writer: &mut Writer, scores: ValueId) -> Result<ValueId> {
        let probabilities = writer.apply(softmax(-1), &[scores])?;
        if !self.op.zero_unseen && self.lengths.is_none() {
            return Ok(probabilities);
        }
        let greatest = writer.reduced(Reduction::Max, scores, &[3])?;
        let sees = writer.with_number("Greater", greatest, f64::NEG_INFINITY)?;
        where_seen(writer, sees, probabilities, 0.0)
    }

    /// What changes of queries, keys, values and the mask are worth, each as its view shows it. With P the probabilities and dO what a change
    /// of the output is worth: dV = P^T dO, dP = dO V^T, dS = P (dP - the sum of dP P over keys), dQ = dS K, dK = dS^T Q.
    fn gradients(&self, writer: &mut Writer, node: &Node, worth: ValueId) -> Result<[ValueId; 4]> {
        let g = self.g;
        let query = self.input(writer, node, 0, &g.query)?;
        let query = self.grouped(writer, query, g.size)?;
        let key = self.input(writer, node, 1, &g.key)?;
        let value = self.input(writer, node, 2, &g.value)?;
        let product = |writer: &mut Writer, a, b| writer.apply(matmul(), &[a, b]);
        let turned = |writer: &mut Writer, a| writer.transposed(a, &[0, 1, 3, 2]);
        let key_turned = turned(writer, key)?;
        let scores = product(writer, query, key_turned)?;
        let seen = self.seen(writer, node)?;
        let (scores, slope) = self.scores(writer, node, scores, &seen)?;
        let probabilities = self.probabilities(writer, scores)?;

        let worth = if self.op.interleaved { writer.transposed(worth, &[0, 2, 1, 3])? } else { worth };
        let worth = self.grouped(writer, worth, g.value_size)?;
        let weights = self.grouped(writer, probabilities, g.keys)?;
        let weights_turned = turned(writer, weights)?;
        let of_value = product(writer, weights_turned, worth)?;
        let value_turned = turned(writer, value)?;
        let of_weights = product(writer, worth, value_turned)?;
        let of_weights = self.ungrouped(writer, of_weights, g.keys)?;
        let parts = writer.function("Mul", &[of_weights, probabilities])?;
        let common = writer.reduced(Reduction::Sum, parts, &[3])?;
        let differences = writer.function("Sub", &[of_weights, common])?;
        let mut of_scores = writer.function("Mul", &[differences, probabilities])?;
        if matches!(self.op.unseen, Unseen::Replaced(_)) {
            for seen in &seen {
                of_scores = where_seen(writer, *seen, of_scores, 0.0)?;
            }
        }
        let mut of_product = writer.with_number("Mul", of_scores, self.op.scale.into())?;
        if let Some(slope) = slope {
            of_product = writer.function("Mul", &[of_product, slope])?;
        }
        let of_product = self.grouped(writer, of_product, g.keys)?;
        let of_query = product(writer, of_product, key)?;
        let of_query = self.ungrouped(writer, of_query, g.size)?;
        let of_product_turned = turned(writer, of_product)?;
        let of_key = product(writer, of_product_turned, query)?;
        Ok([of_query, of_key, of_value, of_scores])
    }
}
