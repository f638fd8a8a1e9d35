//! Data movement: chains of movement become one view, and operators read through views instead of copies.

use super::{Options, Pass};
use crate::error::Result;
use crate::graph::{Node, NodeId, OpExt, ValueId, Writer};
use crate::ops::concat::Concat;
use crate::ops::view::{StridedView, strided_view};
use crate::tensor::{Shape, View};

/// Every operator that can reads its inputs through views; the movement nodes left over are collapsed.
#[derive(Debug)]
pub(crate) struct Views;

/// Movement nodes that other passes left read the farthest value that they are a view of.
#[derive(Debug)]
pub(crate) struct LastViews;

impl Pass for Views {
    fn name(&self) -> &str {
        "views"
    }

    fn visit(&self, writer: &mut Writer, id: NodeId, _: &Options) -> Result<()> {
        if !collapse(writer, id) {
            absorb(writer, id)?;
        }
        join_transposed(writer, id)
    }
}

impl Pass for LastViews {
    fn name(&self) -> &str {
        "last views"
    }

    fn visit(&self, writer: &mut Writer, id: NodeId, _: &Options) -> Result<()> {
        collapse(writer, id);
        Ok(())
    }
}

/// A movement node reads the farthest value that it is a view of, so that what lies between can go; the movements before it
/// do so already. False for a node that does not move data.
fn collapse(writer: &mut Writer, id: NodeId) -> bool {
    let Some(node) = writer.node(id).cloned() else { return false };
    let mut moved: Vec<(ValueId, ValueId, View)> = Vec::new();
    for (index, output) in node.outputs.iter().enumerate() {
        let Some(output) = *output else { continue };
        let Some((input, view)) = writer.view(&node, index) else { return false };
        let through = writer.moved(input).and_then(|(base, earlier)| Some((base, view.of(&earlier)?)));
        let (base, view) = through.unwrap_or((input, view));
        moved.push((output, base, view));
    }
    let own = node.op.downcast::<StridedView>().map(|op| &op.view);
    if let ([(_, base, view)], Some(own)) = (moved.as_slice(), own)
        && own == view
        && node.inputs == [Some(*base)]
    {
        return true;
    }
    let nodes: Vec<Node> = moved
        .into_iter()
        .map(|(output, base, view)| Node {
            path: node.path.clone(),
            op: strided_view(view),
            inputs: vec![Some(base)],
            outputs: vec![Some(output)],
        })
        .collect();
    let mut nodes = nodes.into_iter();
    match nodes.next() {
        Some(first) => writer.replace(id, first),
        None => return false,
    }
    nodes.for_each(|node| {
        writer.push(node);
    });
    true
}

/// An operator reads through views what movements before it would copy.
fn absorb(writer: &mut Writer, id: NodeId) -> Result<()> {
    let Some(mut node) = writer.node(id).cloned() else { return Ok(()) };
    let mut changed = false;
    for index in 0..node.inputs.len() {
        // A view that is the buffer itself costs nothing as it is, unless it ends a chain that would be copied.
        let moved = node.inputs[index].and_then(|id| writer.moved(id)).filter(|(_, view)| !view.is_contiguous());
        let Some((base, view)) = moved else { continue };
        if let Some(op) = node.op.absorb(index, &view, writer.fact(base)?) {
            node.op = op;
            node.inputs[index] = Some(base);
            changed = true;
        }
    }
    if changed {
        writer.replace(id, node);
    }
    Ok(())
}

/// A transpose of tensors joined along an axis joins their transposes, where each of them is copied by itself anyway.
fn join_transposed(writer: &mut Writer, id: NodeId) -> Result<()> {
    let Some(node) = writer.node(id) else { return Ok(()) };
    let (Some(view), Some(joined)) = (node.op.downcast::<StridedView>().map(|op| op.view.clone()), node.input(0)) else {
        return Ok(());
    };
    let only = writer.only_consumer(joined) == Some(id) && !writer.is_output(joined);
    let Some(maker) = writer.maker(joined).filter(|_| only).cloned() else { return Ok(()) };
    let Some(concat) = maker.op.downcast::<Concat>().filter(|concat| concat.views.len() == maker.inputs.len()) else {
        return Ok(());
    };
    let shape = writer.fact(joined)?.shape().clone();
    let (Some(order), axis) = (permutation(&view, &shape), shape.axis(concat.axis)?) else { return Ok(()) };
    let Some(axis) = order.iter().position(|from| *from == axis) else { return Ok(()) };
    let views = concat.views.iter().map(|(input, view)| (*input, view.transpose(&order))).collect();
    let op = std::sync::Arc::new(Concat { axis: axis as i64, views });
    let node = Node { op, inputs: maker.inputs.clone(), ..node.clone() };
    writer.replace(id, node);
    Ok(())
}

/// The axes of a tensor of this shape in the order in which a view of all of it shows them.
fn permutation(view: &View, shape: &Shape) -> Option<Vec<usize>> {
    let strides = View::contiguous(shape).strides;
    if view.offset != 0 || view.shape.rank() != shape.rank() || shape.iter().any(|extent| *extent < 2) {
        return None;
    }
    let find = |k: usize| (0..shape.rank()).find(|from| strides[*from] == view.strides[k] && shape[*from] == view.shape[k]);
    (0..shape.rank()).map(find).collect()
}
