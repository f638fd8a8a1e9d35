//! Data movement: chains of movement become one view, and operators read through views instead of copies.

use super::common::Surroundings;
use crate::error::Result;
use crate::graph::{Edit, Graph, ValueId};
use crate::ops::view::strided_view;
use crate::tensor::View;
use std::collections::HashMap;

/// Values that are views of other values, followed back as far as strides can express.
struct Resolved(HashMap<ValueId, (ValueId, View)>);

impl Resolved {
    fn of(around: &Surroundings) -> Self {
        let mut resolved = Resolved(HashMap::new());
        for node in around.graph.nodes() {
            for (index, output) in node.outputs.iter().enumerate() {
                let (Some(output), Some((input, view))) = (output, around.view(node, index)) else { continue };
                let through = resolved.0.get(&input).and_then(|(base, earlier)| Some((*base, view.of(earlier)?)));
                resolved.0.insert(*output, through.unwrap_or((input, view)));
            }
        }
        resolved
    }
}

/// Every operator that can reads its inputs through views; the movement nodes left over are collapsed.
pub(crate) fn absorb(graph: &Graph) -> Result<Graph> {
    let around = Surroundings::new(graph);
    let resolved = Resolved::of(&around);
    let mut edit = Edit::without_nodes(graph);
    for node in graph.nodes() {
        let mut node = node.clone();
        let moves = node.outputs.iter().flatten().any(|o| resolved.0.contains_key(o));
        for index in 0..if moves { 0 } else { node.inputs.len() } {
            let Some((base, view)) = node.inputs[index].and_then(|id| resolved.0.get(&id)) else { continue };
            // A view that is the buffer itself costs nothing as it is, unless it ends a chain that would be copied.
            if view.is_contiguous() {
                continue;
            }
            if let Some(op) = node.op.absorb(index, view, around.fact(*base)?) {
                node.op = op;
                node.inputs[index] = Some(*base);
            }
        }
        edit.push(node);
    }
    collapse(&edit.finish()?)
}

/// Movement nodes read the farthest value that they are a view of, so that what lies between can go.
pub(crate) fn collapse(graph: &Graph) -> Result<Graph> {
    let around = Surroundings::new(graph);
    let resolved = Resolved::of(&around);
    let mut edit = Edit::without_nodes(graph);
    for node in graph.nodes() {
        let moved: Vec<_> = node.outputs.iter().flatten().filter_map(|o| Some((*o, resolved.0.get(o)?))).collect();
        if moved.is_empty() {
            edit.push(node.clone());
            continue;
        }
        for (output, (base, view)) in moved {
            let mut moving = node.clone();
            moving.op = strided_view(view.clone());
            moving.inputs = vec![Some(*base)];
            moving.outputs = vec![Some(output)];
            edit.push(moving);
        }
    }
    edit.finish()
}
