//! Heads merged behind an attention that is one node already.

use crate::error::Result;
use crate::graph::{Node, NodeId, OpExt, Writer};
use crate::ops::attention::Attention;
use crate::ops::view::strided_view;
use crate::tensor::View;
use std::sync::Arc;

/// Lets an attention write its heads side by side where all that reads it is a transpose to that order.
pub(super) fn merge_heads(writer: &mut Writer, id: NodeId) -> Result<()> {
    let Some(node) = writer.node(id).cloned() else { return Ok(()) };
    let (Some(attention), Some(output)) = (node.op.downcast::<Attention>(), node.only_output()) else { return Ok(()) };
    let Some(reader) = writer.only_consumer(output).filter(|_| !attention.interleaved && !writer.is_output(output)) else {
        return Ok(());
    };
    let Some(transpose) = writer.node(reader).cloned() else { return Ok(()) };
    let transposed = View::contiguous(writer.fact(output)?.shape()).transpose(&[0, 2, 1, 3]);
    let is_transpose = writer.view(&transpose, 0).is_some_and(|(_, view)| view.same_elements(&transposed));
    let (true, Some(merged)) = (is_transpose, transpose.only_output()) else { return Ok(()) };
    let result = writer.value(&format!("{}.heads", node.name()), None);
    let op = Arc::new(Attention { interleaved: true, ..attention.clone() });
    writer.write(Node { op, outputs: vec![Some(result)], ..node.clone() })?;
    let view = strided_view(View::contiguous(writer.fact(merged)?.shape()));
    writer.replace(reader, Node::new(transpose.name(), view, vec![Some(result)], vec![Some(merged)]));
    Ok(())
}
