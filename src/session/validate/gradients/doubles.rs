//! Tensors and graphs in double precision, where differences of neighbouring points still say something.

use crate::error::{Error, Result};
use crate::graph::{Dim, Graph, Node, Op, OpExt, ValueId, Writer};
use crate::ops::dequantize::DequantizeLinear;
use crate::ops::elementwise::Map;
use crate::tensor::{DType, Tensor, TensorType};
use std::sync::Arc;

/// A tensor whose elements, where they are floats, are doubles.
pub(super) fn doubled(tensor: &Tensor) -> Result<Tensor> {
    match tensor.dtype() {
        DType::F64 => Ok(tensor.clone()),
        dtype if dtype.is_float() => Tensor::from_f64(TensorType::new(DType::F64, tensor.shape().clone()), &tensor.to_f64()),
        _ => Ok(tensor.clone()),
    }
}

/// An operator that makes doubles of doubles: where it says which floats it makes, it says these.
pub(super) fn operator(op: &Arc<dyn Op>) -> Arc<dyn Op> {
    if let Some(map) = op.downcast::<Map>() {
        let mut map = map.clone();
        let casts = map.program.instructions.iter_mut().filter_map(|instruction| instruction.cast.as_mut());
        casts.filter(|dtype| dtype.is_float()).for_each(|dtype| *dtype = DType::F64);
        return Arc::new(map);
    }
    if let Some(op) = op.downcast::<DequantizeLinear>() {
        return Arc::new(DequantizeLinear { dtype: op.dtype.and(Some(DType::F64)), ..op.clone() });
    }
    op.clone()
}

/// A graph with all its floats as doubles, for inputs like these. Its inputs and outputs stand in the same order.
///
/// # Errors
/// [`Internal`](crate::ErrorKind::Internal) when the graph is broken.
pub(super) fn graph(graph: &Graph, inputs: &[Tensor]) -> Result<Graph> {
    let mut writer = Writer::new(graph.name());
    let mut ids: Vec<Option<ValueId>> = vec![None; graph.values().len()];
    for (input, tensor) in graph.inputs().iter().zip(inputs) {
        let ty = tensor.ty();
        let dtype = if ty.dtype.is_float() { DType::F64 } else { ty.dtype };
        let dims = ty.shape.iter().map(|extent| Dim::Known(*extent)).collect();
        ids[input.value.index()] = Some(writer.declare(&graph.value(input.value).name, dtype, Some(dims)));
    }
    for (index, value) in graph.values().iter().enumerate() {
        if ids[index].is_none() {
            ids[index] = Some(match &value.constant {
                Some(constant) => writer.constant(&value.name, doubled(constant)?),
                None => writer.value(&value.name, None),
            });
        }
    }
    let id = |value: &Option<ValueId>| value.and_then(|value| ids.get(value.index()).copied().flatten());
    for node in graph.nodes() {
        let (inputs, outputs) = (node.inputs.iter().map(id).collect(), node.outputs.iter().map(id).collect());
        writer.push(Node { path: node.path.clone(), op: operator(&node.op), inputs, outputs });
    }
    for output in graph.outputs() {
        let value = id(&Some(*output)).ok_or_else(|| Error::internal("an output that is no value"))?;
        writer.output(&graph.value(*output).name, value)?;
    }
    writer.finish()
}
