//! Attention found as MatMul, scale, mask, Softmax, MatMul and made one node, so that the matrix of scores is never in
//! memory ("FlashAttention", Dao et al. 2022).
//!
//! Around the four operators stand what exporters leave there: scales on queries or keys instead of scores, masks as
//! additions or as selects, keys repeated for grouped queries, heads split and merged by reshapes and transposes.

use super::common::{Surroundings, elementwise};
use crate::error::Result;
use crate::graph::{Edit, Fact, Graph, Node, OpExt, ValueId};
use crate::kernel::{Instruction, Program, ProgramOperand, Term};
use crate::ops::attention::Attention;
use crate::ops::elementwise::Map;
use crate::ops::matmul::MatMul;
use crate::ops::softmax::{Normalization, Softmax};
use crate::ops::view::strided_view;
use crate::tensor::{DType, Shape, Tensor, View};
use std::sync::Arc;

/// Scores below this are as good as masked: `exp` of them is 0 beside any unmasked score.
const MASKED: f64 = -1e4;

/// Replaces every attention that is found.
pub(crate) fn fuse(graph: &Graph) -> Result<Graph> {
    let around = Surroundings::new(graph);
    let mut edit = Edit::without_nodes(graph);
    let mut replaced = vec![false; graph.nodes().len()];
    for node in graph.nodes() {
        let Some(found) = Found::at(&around, node)? else { continue };
        found.emit(&around, &mut edit, &mut replaced)?;
    }
    for (node, replaced) in graph.nodes().iter().zip(replaced) {
        if !replaced {
            edit.push(node.clone());
        }
    }
    edit.finish()
}

/// What is added to the scores before the softmax.
enum Mask {
    None,
    Added {
        value: ValueId,
        view: View,
    },
    /// Scores are replaced by a number where the condition is not `keep`.
    Selected {
        condition: ValueId,
        view: View,
        keep: bool,
        fill: f64,
    },
}

/// A value read through a view.
type Seen = (ValueId, View);

/// An attention in a graph.
struct Found<'a> {
    name: &'a str,
    query: Seen,
    key: Seen,
    value: Seen,
    mask: Mask,
    scale: f64,
    /// Index of the second product, which the new node replaces.
    product: usize,
}

impl<'a> Found<'a> {
    /// The attention whose softmax is `node`.
    fn at(around: &Surroundings<'a>, node: &'a Node) -> Result<Option<Self>> {
        let Some(softmax) = node.op.downcast::<Softmax>() else { return Ok(None) };
        let (Some(Some(scores)), Some(Some(weights))) = (node.inputs.first(), node.outputs.first()) else { return Ok(None) };
        let shape = around.fact(*scores)?.shape();
        let exponential = softmax.normalization == Normalization::Softmax;
        if !exponential
            || around.fact(*scores)?.dtype() != DType::F32
            || shape.rank() < 2
            || shape.axis(softmax.axis)? != shape.rank() - 1
        {
            return Ok(None);
        }
        let Some((product, second)) = through_aliases(around, *weights) else { return Ok(None) };
        let Some((first, mask, scale)) = scored(around, *scores)? else { return Ok(None) };
        let (Some(scored), Some(summed)) = (first.op.downcast::<MatMul>(), second.op.downcast::<MatMul>()) else { return Ok(None) };
        let output = first.outputs.first().copied().flatten();
        let (Some(output), false) = (output, summed.a.as_ref().is_some_and(|v| !v.is_contiguous())) else { return Ok(None) };
        // The softmax weights must be the left factor alone.
        let left = second.inputs.first().copied().flatten();
        let right = second.inputs.get(1).copied().flatten();
        if left.is_none() || left == right || right == Some(*weights) {
            return Ok(None);
        }
        let batch = around.fact(output)?.shape().clone();
        let Some(layout) = heads(&batch) else { return Ok(None) };
        let (queries, keys) = (batch[batch.rank() - 2], batch[batch.rank() - 1]);
        let read = |node: &Node, index: usize, own: &Option<View>| -> Result<Option<Seen>> {
            let Some(id) = node.inputs.get(index).copied().flatten() else { return Ok(None) };
            Ok(Some((
                id,
                own.clone().unwrap_or_else(|| {
                    View::contiguous(around.graph.values()[id.index()].fact.as_ref().map_or(&batch, Fact::shape))
                }),
            )))
        };
        let (Some(a), Some(b), Some(v)) = (read(first, 0, &scored.a)?, read(first, 1, &scored.b)?, read(second, 1, &summed.b)?)
        else {
            return Ok(None);
        };
        if a.1.shape.rank() < 2 || b.1.shape.rank() < 2 || v.1.shape.rank() < 2 {
            return Ok(None);
        }
        let (a, scale) = unscaled(around, a, scale)?;
        let (b, scale) = unscaled(around, b, scale)?;
        let b = (b.0, swap(&b.1));
        let four = |(id, view): Seen, length: usize| -> Option<Seen> {
            let size = *view.shape.last()?;
            let mut wide = batch.to_vec();
            let rank = wide.len();
            (wide[rank - 2], wide[rank - 1]) = (length, size);
            let shape = [layout.0, layout.1, length, size].into();
            Some((id, view.broadcast(&wide.into())?.reshape(&shape)?))
        };
        let (Some(query), Some(key), Some(value)) = (four(a, queries), four(b, keys), four(v, keys)) else { return Ok(None) };
        let (key, value) = ungroup(around, key, value);
        let mask = match mask.over(&[layout.0, layout.1, queries, keys].into()) {
            Some(mask) => mask,
            None => return Ok(None),
        };
        let name = node.path.split_once(':').map_or(node.path.as_str(), |(_, name)| name);
        Ok(Some(Found { name, query, key, value, mask, scale, product }))
    }

    fn emit(self, around: &Surroundings, edit: &mut Edit, replaced: &mut [bool]) -> Result<()> {
        let node = &around.graph.nodes()[self.product];
        let Some(output) = node.outputs.first().copied().flatten() else { return Ok(()) };
        let dims = |view: &View| (view.shape[0], view.shape[1], view.shape[2], view.shape[3]);
        let (batch, heads, queries, _) = dims(&self.query.1);
        let (_, _, keys, size) = dims(&self.value.1);
        let (mask, causal) = self.mask.emit(around, edit, self.name, queries, keys)?;
        // Heads merged by a transpose right after: the kernel writes that order itself.
        let merged = around.only_consumer(output).and_then(|(index, consumer)| {
            let (_, view) = around.view(consumer, 0)?;
            let transposed = View::contiguous(&[batch, heads, queries, size].into()).transpose(&[0, 2, 1, 3]);
            (consumer.outputs.len() == 1 && view.same_elements(&transposed)).then_some((index, consumer.outputs[0]?))
        });
        let shape: Shape =
            if merged.is_some() { [batch, queries, heads, size].into() } else { [batch, heads, queries, size].into() };
        let result = edit.value(&format!("{}.attention", self.name), Some(Fact::new(DType::F32, shape)));
        let final_output = merged.map_or(output, |(_, value)| value);
        let op = Attention {
            scale: self.scale as f32,
            causal,
            causal_offset: keys as i64 - queries as i64,
            softcap: None,
            zero_unseen: false,
            query: Some(self.query.1),
            key: Some(self.key.1),
            value: Some(self.value.1),
            mask: mask.as_ref().map(|(_, view)| view.clone()),
            interleaved: merged.is_some(),
        };
        let mut inputs = vec![Some(self.query.0), Some(self.key.0), Some(self.value.0)];
        inputs.extend(mask.map(|(value, _)| Some(value)));
        edit.push(Node { path: format!("Attention:{}", self.name), op: Arc::new(op), inputs, outputs: vec![Some(result)] });
        edit.push(Node {
            path: format!("View:{}", self.name),
            op: strided_view(View::contiguous(around.fact(final_output)?.shape())),
            inputs: vec![Some(result)],
            outputs: vec![Some(final_output)],
        });
        replaced[self.product] = true;
        if let Some((index, _)) = merged {
            replaced[index] = true;
        }
        Ok(())
    }
}

impl Mask {
    /// The mask seen as `[batch, heads, queries, keys]`.
    fn over(self, shape: &Shape) -> Option<Self> {
        Some(match self {
            Mask::None => Mask::None,
            Mask::Added { value, view } => Mask::Added { value, view: view.reshape(shape)? },
            Mask::Selected { condition, view, keep, fill } => Mask::Selected { condition, view: view.reshape(shape)?, keep, fill },
        })
    }

    /// The additive mask as a value, and whether it is the causal one (then there is no value).
    fn emit(self, around: &Surroundings, edit: &mut Edit, name: &str, queries: usize, keys: usize) -> Result<(Option<Seen>, bool)> {
        let (value, view) = match self {
            Mask::None => return Ok((None, false)),
            Mask::Added { value, view } => (value, view),
            Mask::Selected { condition, view, keep, fill } => match around.graph.constant(condition) {
                Some(tensor) => {
                    let added: Vec<f64> = tensor.to_f64().iter().map(|c| if (*c != 0.0) == keep { 0.0 } else { fill }).collect();
                    let added = Tensor::from_f64(crate::tensor::TensorType::new(DType::F32, tensor.shape().clone()), &added)?;
                    (edit.constant(&format!("{name}.mask"), added), view)
                }
                None => {
                    let shape = around.fact(condition)?.shape().clone();
                    let value = edit.value(&format!("{name}.mask"), Some(Fact::new(DType::F32, shape)));
                    let (yes, no) = if keep { (0.0, fill) } else { (fill, 0.0) };
                    let arguments = vec![Term::Operand(0), Term::Literal(yes), Term::Literal(no)];
                    let program = Program {
                        operands: vec![ProgramOperand::default()],
                        instructions: vec![Instruction { function: elementwise("Where")?, arguments, cast: None }],
                    };
                    let op = Arc::new(Map { program });
                    edit.push(Node {
                        path: format!("Where:{name}.mask"),
                        op,
                        inputs: vec![Some(condition)],
                        outputs: vec![Some(value)],
                    });
                    (value, view)
                }
            },
        };
        let constant = edit.get(value).constant.clone();
        if constant.as_ref().is_some_and(|tensor| tensor.to_f64().iter().all(|x| *x == 0.0)) {
            return Ok((None, false));
        }
        let causal = constant.is_some_and(|tensor| is_causal(&tensor, &view, queries, keys));
        Ok(if causal { (None, true) } else { (Some((value, view)), false) })
    }
}

/// True when a constant mask is 0 up to each query's own position (counted from the end of the keys) and masks the rest.
fn is_causal(mask: &Tensor, view: &View, queries: usize, keys: usize) -> bool {
    if queries > keys || view.strides.len() != 4 || queries * keys == 0 {
        return false;
    }
    let alike = |axis: usize| view.shape[axis] == 1 || view.strides[axis] == 0;
    let Ok(data) = mask.as_slice::<f32>() else { return false };
    let at =
        |i: usize, j: usize| data.get((view.offset + i as i64 * view.strides[2] + j as i64 * view.strides[3]) as usize).copied();
    let expected = |i: usize, j: usize| match at(i, j) {
        Some(x) if j <= i + (keys - queries) => x == 0.0,
        Some(x) => f64::from(x) <= MASKED,
        None => false,
    };
    alike(0) && alike(1) && (0..queries).all(|i| (0..keys).all(|j| expected(i, j)))
}

/// The node that alone consumes a value, past reshapes that copy nothing.
fn through_aliases<'a>(around: &Surroundings<'a>, mut id: ValueId) -> Option<(usize, &'a Node)> {
    loop {
        let (index, node) = around.only_consumer(id)?;
        match around.view(node, 0) {
            Some((input, view)) if view.is_contiguous() && node.outputs.len() == 1 => {
                let whole = around.fact(input).is_ok_and(|fact| fact.ty.elements() == view.shape.elements());
                id = node.outputs[0].filter(|_| whole)?;
            }
            Some(_) => return None,
            None => return Some((index, node)),
        }
    }
}

/// The product that scores come from, with the mask and scale met on the way back from the softmax.
fn scored<'a>(around: &Surroundings<'a>, mut id: ValueId) -> Result<Option<(&'a Node, Mask, f64)>> {
    let (mut mask, mut scale) = (Mask::None, 1.0);
    loop {
        let (Some((_, node)), Some(_)) = (around.producer(id), around.only_consumer(id)) else { return Ok(None) };
        if node.op.downcast::<MatMul>().is_some() {
            return Ok(Some((node, mask, scale)));
        }
        if let Some((input, view)) = around.moved(id) {
            if !view.is_contiguous() || around.fact(input)?.ty.elements() != view.shape.elements() {
                return Ok(None);
            }
            id = input;
            continue;
        }
        let Some(map) = node.op.downcast::<Map>() else { return Ok(None) };
        let shape = around.fact(id)?.shape();
        if let Some((operand, factor)) =
            scaling(around, node, &map.program).filter(|(k, _)| plain(around, node, &map.program, *k, shape))
        {
            scale *= factor;
            let Some(input) = node.inputs[operand] else { return Ok(None) };
            id = input;
            continue;
        }
        // A scale met before the mask, so applied after it, would scale the mask as well.
        if !matches!(mask, Mask::None) || scale != 1.0 {
            return Ok(None);
        }
        let Some((operand, found)) = masking(around, node, &map.program, shape)? else { return Ok(None) };
        mask = found;
        id = operand;
    }
}

/// The operand that a program multiplies by a number, and the number.
fn scaling(around: &Surroundings, node: &Node, program: &Program) -> Option<(usize, f64)> {
    let [instruction] = program.instructions.as_slice() else { return None };
    let number = |term: &Term| match term {
        Term::Literal(x) => Some(*x),
        Term::Operand(k) => around.scalar(node.inputs.get(*k).copied().flatten()?),
        _ => None,
    };
    match (instruction.function.name, instruction.arguments.as_slice()) {
        ("Mul", [Term::Operand(k), other]) if number(other).is_some() => Some((*k, number(other)?)),
        ("Mul", [other, Term::Operand(k)]) if number(other).is_some() => Some((*k, number(other)?)),
        ("Div", [Term::Operand(k), other]) if number(other).is_some_and(|x| x != 0.0) => Some((*k, 1.0 / number(other)?)),
        _ => None,
    }
}

/// True when operand `k` of an elementwise node is read element by element, in the output's order.
fn plain(around: &Surroundings, node: &Node, program: &Program, k: usize, shape: &Shape) -> bool {
    let fact = node.inputs.get(k).copied().flatten().and_then(|id| around.fact(id).ok());
    match &program.operands[k].view {
        Some(view) => view.is_contiguous() && &view.shape == shape,
        None => fact.is_some_and(|fact| fact.shape() == shape),
    }
}

/// The scores and the mask of an elementwise node that masks.
fn masking(around: &Surroundings, node: &Node, program: &Program, shape: &Shape) -> Result<Option<(ValueId, Mask)>> {
    let [instruction] = program.instructions.as_slice() else { return Ok(None) };
    let value = |k: usize| node.inputs.get(k).copied().flatten();
    let seen = |k: usize| -> Option<View> {
        let own = program.operands[k].view.clone();
        own.or_else(|| Some(View::contiguous(around.fact(value(k)?).ok()?.shape())))?.broadcast(shape)
    };
    let from_product =
        |k: usize| plain(around, node, program, k, shape) && value(k).is_some_and(|id| around.graph.constant(id).is_none());
    let number = |term: &Term| match term {
        Term::Literal(x) => Some(*x),
        Term::Operand(k) => around.scalar(value(*k)?),
        _ => None,
    };
    Ok(match (instruction.function.name, instruction.arguments.as_slice()) {
        ("Add", [Term::Operand(a), Term::Operand(b)]) if a != b => {
            // Scores are the operand that is no larger thing broadcast: a product's, of the full shape.
            let pick = [(*a, *b), (*b, *a)].into_iter().find(|(s, _)| from_product(*s) && leads_to_product(around, value(*s)));
            pick.and_then(|(s, m)| Some((value(s)?, Mask::Added { value: value(m)?, view: seen(m)? })))
        }
        ("Where", [Term::Operand(c), yes, no]) => {
            let split = match (yes, no) {
                (Term::Operand(s), fill) if from_product(*s) => Some((*s, fill, true)),
                (fill, Term::Operand(s)) if from_product(*s) => Some((*s, fill, false)),
                _ => None,
            };
            split.and_then(|(s, fill, keep)| {
                let fill = number(fill).filter(|fill| *fill <= MASKED)?;
                Some((value(s)?, Mask::Selected { condition: value(*c)?, view: seen(*c)?, keep, fill }))
            })
        }
        _ => None,
    })
}

/// True when a value comes from a matrix product through nothing but scales and reshapes.
fn leads_to_product(around: &Surroundings, id: Option<ValueId>) -> bool {
    id.and_then(|id| scored(around, id).ok().flatten()).is_some_and(|(_, mask, _)| matches!(mask, Mask::None))
}

/// A factor of a product without the number it was multiplied by, which joins the scale.
fn unscaled(around: &Surroundings, (mut id, mut view): Seen, mut scale: f64) -> Result<(Seen, f64)> {
    while let Some((_, node)) = around.producer(id) {
        let Some(map) = node.op.downcast::<Map>() else { break };
        let Some((operand, factor)) = scaling(around, node, &map.program) else { break };
        let Some(input) = node.inputs.get(operand).copied().flatten() else { break };
        let own = map.program.operands[operand]
            .view
            .clone()
            .unwrap_or_else(|| View::contiguous(around.graph.value(input).fact.as_ref().map_or(&view.shape, Fact::shape)));
        if &own.shape != around.fact(id)?.shape() {
            break;
        }
        let Some(composed) = view.of(&own) else { break };
        (id, view, scale) = (input, composed, scale * factor);
    }
    Ok(((id, view), scale))
}

/// The last two axes swapped.
fn swap(view: &View) -> View {
    let rank = view.shape.rank();
    let mut permutation: Vec<usize> = (0..rank).collect();
    permutation.swap(rank - 2, rank - 1);
    view.transpose(&permutation)
}

/// Batch and heads of scores `[..., queries, keys]`.
fn heads(scores: &Shape) -> Option<(usize, usize)> {
    match scores.dims() {
        [_, _] => Some((1, 1)),
        [heads, _, _] => Some((1, *heads)),
        [batch @ .., heads, _, _] => Some((batch.iter().product(), *heads)),
        _ => None,
    }
}

/// Keys and values without the copies that grouped queries make of them (heads repeated by Expand and Reshape).
fn ungroup(around: &Surroundings, key: Seen, value: Seen) -> (Seen, Seen) {
    let single = |(id, view): &Seen| -> Option<Seen> {
        let (mut base, mut repeated) = around.moved(*id)?;
        if repeated.is_contiguous() {
            (base, repeated) = around.moved(base)?;
        }
        // [batch, key heads, repeats, length, size], repeats standing still.
        let [batch, heads, repeats, length, size] = *repeated.shape.dims() else { return None };
        let matches = view.is_contiguous()
            && view.shape.dims() == [batch, heads * repeats, length, size]
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
