//! Attention found as MatMul, scale, mask, Softmax, MatMul and made one node, so that the matrix of scores is never in
//! memory ("FlashAttention", Dao et al. 2022).
//!
//! Around the four operators stand what exporters leave there: scales on queries or keys instead of scores, masks that are
//! added or that replace scores, keys repeated for grouped queries, heads split and merged by reshapes and transposes.

mod heads;
mod mask;
mod scale;

use self::heads::merge_heads;
use self::mask::{Mask, masked_scores};
use self::scale::{Seen, scaled_product, unscaled};
use super::common::read_as;
use super::{Options, Pass};
use crate::error::Result;
use crate::graph::{Node, NodeId, OpExt, ValueId, Writer};
use crate::ops::attention::Attention;
use crate::ops::elementwise::Map;
use crate::ops::gradient::Gradient;
use crate::ops::matmul::MatMul;
use crate::ops::softmax::{Normalization, Softmax};
use crate::ops::view::strided_view;
use crate::tensor::{DType, Shape, View};
use std::sync::Arc;

/// Makes one node of attention that is written out.
#[derive(Debug)]
pub(crate) struct AttentionPattern;

impl Pass for AttentionPattern {
    fn name(&self) -> &str {
        "attention"
    }

    fn visit(&self, writer: &mut Writer, id: NodeId, _: &Options) -> Result<()> {
        let Some(node) = writer.node(id) else { return Ok(()) };
        match WrittenAttention::at(writer, node)? {
            Some(attention) => attention.replace(writer),
            None => merge_heads(writer, id),
        }
    }
}

/// The same before gradients are written, in graphs that have some: the way back through one node stores no scores either.
#[derive(Debug)]
pub(crate) struct AttentionBack;

impl Pass for AttentionBack {
    fn name(&self) -> &str {
        "attention back"
    }

    fn visit(&self, writer: &mut Writer, id: NodeId, _: &Options) -> Result<()> {
        let Some(node) = writer.node(id) else { return Ok(()) };
        let attention = WrittenAttention::at(writer, node)?;
        let is_one = node.op.downcast::<Attention>().is_some();
        let has_gradients = |id: NodeId| writer.node(id).is_some_and(|node| node.op.downcast::<Gradient>().is_some());
        if !(is_one || attention.is_some()) || !writer.nodes().into_iter().any(has_gradients) {
            return Ok(());
        }
        match attention {
            Some(attention) => attention.replace(writer),
            None => merge_heads(writer, id),
        }
    }
}

/// An attention that is written out.
struct WrittenAttention {
    name: String,
    query: Seen,
    key: Seen,
    value: Seen,
    mask: Mask,
    scale: f32,
    /// The second product, which the new node replaces, and what it makes.
    product: NodeId,
    output: ValueId,
}

impl WrittenAttention {
    /// The attention whose softmax is `node`.
    fn at(writer: &Writer, node: &Node) -> Result<Option<Self>> {
        let Some((scores, weights)) = softmax(writer, node)? else { return Ok(None) };
        let Some(product) = through_aliases(writer, weights) else { return Ok(None) };
        let Some((first, mask, scale)) = scored(writer, scores)? else { return Ok(None) };
        let Some(second) = writer.node(product) else { return Ok(None) };
        let (Some(scored), Some(summed)) = (first.op.downcast::<MatMul>(), second.op.downcast::<MatMul>()) else { return Ok(None) };
        let (Some(made), Some(output)) = (first.only_output(), second.only_output()) else { return Ok(None) };
        let Some(layout) = Layout::of(writer.fact(made)?.shape()) else { return Ok(None) };
        let rows = writer.fact(scores)?.shape();
        if rows.last() != Some(&layout.keys) || !layout.weighs(writer, second, &summed.a, weights) {
            return Ok(None);
        }
        let (Some(a), Some(b)) = (factor(writer, first, 0, &scored.a)?, factor(writer, first, 1, &scored.b)?) else {
            return Ok(None);
        };
        let Some(v) = factor(writer, second, 1, &summed.b)? else { return Ok(None) };
        let (a, scale) = unscaled(writer, a, scale)?;
        let (b, scale) = unscaled(writer, b, scale)?;
        let scale = scale as f32;
        // Products that vanish or leave the range of 32-bit floats one way need not do so the other way.
        if !scale.is_normal() {
            return Ok(None);
        }
        let b = (b.0, swap(&b.1));
        let (queries, keys) = (layout.queries, layout.keys);
        let (Some(query), Some(key), Some(value)) = (layout.heads(a, queries), layout.heads(b, keys), layout.heads(v, keys)) else {
            return Ok(None);
        };
        if writer.fact(output)?.ty.elements() != layout.batch * layout.head_count * queries * value.1.shape[3] {
            return Ok(None);
        }
        let (key, value) = ungroup(writer, key, value);
        let Some(mask) = mask.over(&[layout.batch, layout.head_count, queries, keys].into()) else { return Ok(None) };
        Ok(Some(WrittenAttention { name: node.name().into(), query, key, value, mask, scale, product, output }))
    }

    fn replace(self, writer: &mut Writer) -> Result<()> {
        let dims = |view: &View| (view.shape[0], view.shape[1], view.shape[2], view.shape[3]);
        let (batch, heads, queries, _) = dims(&self.query.1);
        let (_, _, keys, size) = dims(&self.value.1);
        let mask = self.mask.write(writer, &self.name, queries, keys)?;
        // Heads merged by a transpose right after: the kernel writes that order itself.
        let merged = writer.only_consumer(self.output).and_then(|id| {
            let consumer = writer.node(id)?;
            let (_, view) = writer.view(consumer, 0)?;
            let transposed = View::contiguous(&[batch, heads, queries, size].into()).transpose(&[0, 2, 1, 3]);
            Some((id, consumer.only_output()?)).filter(|_| view.same_elements(&transposed))
        });
        let (replaced, output) = merged.unwrap_or((self.product, self.output));
        let op = Attention {
            causal: mask.causal,
            causal_offset: keys as i64 - queries as i64,
            query: Some(self.query.1),
            key: Some(self.key.1),
            value: Some(self.value.1),
            mask: mask.input.as_ref().map(|(_, view)| view.clone()),
            unseen: mask.unseen,
            interleaved: merged.is_some(),
            ..Attention::new(self.scale)
        };
        let mut inputs = vec![Some(self.query.0), Some(self.key.0), Some(self.value.0)];
        inputs.extend(mask.input.map(|(value, _)| Some(value)));
        let result = writer.value(&format!("{}.attention", self.name), None);
        let path = format!("Attention:{}", self.name);
        writer.write(Node { path, op: Arc::new(op), inputs, outputs: vec![Some(result)] })?;
        let view = strided_view(View::contiguous(writer.fact(output)?.shape()));
        writer.replace(replaced, Node::new(&self.name, view, vec![Some(result)], vec![Some(output)]));
        Ok(())
    }
}

/// The extents of scores `[..., queries, keys]`.
struct Layout {
    shape: Shape,
    batch: usize,
    head_count: usize,
    queries: usize,
    keys: usize,
}

impl Layout {
    fn of(scores: &Shape) -> Option<Self> {
        let (batch, head_count, queries, keys) = match scores.dims() {
            [queries, keys] => (1, 1, *queries, *keys),
            [heads, queries, keys] => (1, *heads, *queries, *keys),
            [batch @ .., heads, queries, keys] => (batch.iter().product(), *heads, *queries, *keys),
            _ => return None,
        };
        Some(Layout { shape: scores.clone(), batch, head_count, queries, keys })
    }

    /// Whether the left factor of a product (read through its `own` view) is the weights alone, and whole: a row of weights for each
    /// query, as the softmax made them.
    fn weighs(&self, writer: &Writer, product: &Node, own: &Option<View>, weights: ValueId) -> bool {
        let (Some(left), Some(right)) = (product.input(0), product.input(1)) else { return false };
        let Ok(view) = read_as(writer, left, own) else { return false };
        let whole = view.is_contiguous() && view.shape.elements() == self.shape.elements();
        left != right && right != weights && whole && view.shape.ends_with(&[self.queries, self.keys])
    }

    /// Matrices of `length` rows seen as `[batch, heads, length, size]`.
    fn heads(&self, (id, view): Seen, length: usize) -> Option<Seen> {
        let size = *view.shape.last()?;
        let mut wide = self.shape.to_vec();
        let rank = wide.len();
        (wide[rank - 2], wide[rank - 1]) = (length, size);
        let shape = [self.batch, self.head_count, length, size].into();
        // A matrix has as many rows as it is read to have: only batches are broadcast.
        let rows = view.shape[view.shape.rank() - 2] == length;
        Some((id, view.broadcast(&wide.into())?.reshape(&shape)?)).filter(|_| rows)
    }
}

/// The scores and the weights of a softmax of 32-bit floats over the last axis.
fn softmax(writer: &Writer, node: &Node) -> Result<Option<(ValueId, ValueId)>> {
    let Some(softmax) = node.op.downcast::<Softmax>() else { return Ok(None) };
    let (Some(scores), Some(weights)) = (node.input(0), node.only_output()) else { return Ok(None) };
    let rows = writer.fact(scores)?;
    let rank = rows.shape().rank();
    let exponential = softmax.normalization == Normalization::Softmax;
    let found = exponential && rows.dtype() == DType::F32 && rank >= 2 && rows.shape().axis(softmax.axis)? == rank - 1;
    Ok(found.then_some((scores, weights)))
}

/// A factor of a product, as matrices.
fn factor(writer: &Writer, node: &Node, index: usize, own: &Option<View>) -> Result<Option<Seen>> {
    let Some(id) = node.input(index) else { return Ok(None) };
    Ok(Some((id, read_as(writer, id, own)?)).filter(|(_, view)| view.shape.rank() >= 2))
}

/// The node that alone consumes a value, past reshapes that copy nothing.
fn through_aliases(writer: &Writer, mut id: ValueId) -> Option<NodeId> {
    loop {
        let consumer = writer.only_consumer(id)?;
        let node = writer.node(consumer)?;
        match node.outputs.as_slice() {
            [Some(output)] if writer.alias(*output) == Some(id) => id = *output,
            _ => return Some(consumer),
        }
    }
}

/// The product that scores come from, with the mask and scale met on the way back from the softmax. A mask is applied last: a
/// scale after it would scale it as well.
fn scored(writer: &Writer, scores: ValueId) -> Result<Option<(&Node, Mask, f64)>> {
    if let Some((product, scale)) = scaled_product(writer, scores)? {
        return Ok(Some((product, Mask::None, scale)));
    }
    let mut id = scores;
    while let Some(input) = writer.alias(id).filter(|_| writer.only_consumer(id).is_some()) {
        id = input;
    }
    let (Some(node), Some(_)) = (writer.maker(id), writer.only_consumer(id)) else { return Ok(None) };
    let Some(map) = node.op.downcast::<Map>() else { return Ok(None) };
    let Some((operand, mask)) = masked_scores(writer, node, &map.program, writer.fact(id)?.shape()) else { return Ok(None) };
    Ok(scaled_product(writer, operand)?.map(|(product, scale)| (product, mask, scale)))
}

/// The last two axes swapped.
fn swap(view: &View) -> View {
    let rank = view.shape.rank();
    let mut permutation: Vec<usize> = (0..rank).collect();
    permutation.swap(rank - 2, rank - 1);
    view.transpose(&permutation)
}

/// Keys and values without the copies that grouped queries make of them (heads repeated by Expand and Reshape).
fn ungroup(writer: &Writer, key: Seen, value: Seen) -> (Seen, Seen) {
    let single = |(id, view): &Seen| -> Option<Seen> {
        let (base, repeated) = writer.moved(writer.alias(*id).unwrap_or(*id))?;
        // [batch, key heads, repeats, length, size], repeats standing still.
        let [batch, heads, repeats, length, size] = *repeated.shape.dims() else { return None };
        let matches = view.is_contiguous()
            && view.shape.dims() == [batch, heads * repeats, length, size]
            && repeated.shape.elements() == writer.fact(*id).ok()?.ty.elements()
            && repeats > 1
            && repeated.strides[2] == 0;
        matches.then(|| {
            let keep = |i: &usize| *i != 2;
            let shape: Vec<usize> = (0..5).filter(keep).map(|i| repeated.shape[i]).collect();
            let strides = (0..5).filter(keep).map(|i| repeated.strides[i]).collect();
            (base, View { shape: shape.into(), strides, offset: repeated.offset })
        })
    };
    match (single(&key), single(&value)) {
        (Some(k), Some(v)) if k.1.shape[1] == v.1.shape[1] => (k, v),
        _ => (key, value),
    }
}
