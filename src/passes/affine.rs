//! Per-channel scales and shifts after a convolution (batch norms above all) move into its weights and bias.

use super::common::Surroundings;
use crate::error::Result;
use crate::graph::{Edit, Graph, Node, OpExt, ValueId};
use crate::kernel::Term;
use crate::ops::conv::Conv;
use crate::ops::elementwise::Map;
use crate::tensor::{DType, Shape, Tensor, TensorType, View};

/// Folds every chain of scales and shifts that follows a convolution with constant weights.
pub(crate) fn fold(graph: &Graph) -> Result<Graph> {
    let around = Surroundings::new(graph);
    let mut edit = Edit::without_nodes(graph);
    let mut gone = vec![false; graph.nodes().len()];
    for (index, node) in graph.nodes().iter().enumerate() {
        if gone[index] {
            continue;
        }
        match Folded::chain(&around, node, &mut gone)? {
            Some(folded) => folded.emit(node, &mut edit)?,
            None => edit.push(node.clone()),
        }
    }
    edit.finish()
}

/// One factor and one addend for each output channel.
struct Folded {
    weights: Tensor,
    bias: Vec<f64>,
    scale: Vec<f64>,
    output: ValueId,
}

impl Folded {
    fn chain(around: &Surroundings, node: &Node, gone: &mut [bool]) -> Result<Option<Self>> {
        let (Some(_), Some(Some(mut output))) = (node.op.downcast::<Conv>(), node.outputs.first().copied()) else {
            return Ok(None);
        };
        let constant = |index: usize| node.inputs.get(index).copied().flatten().map(|id| around.graph.constant(id));
        let (Some(Some(weights)), false) = (constant(1), constant(2) == Some(None)) else { return Ok(None) };
        if weights.dtype() != DType::F32 || weights.shape().rank() < 3 {
            return Ok(None);
        }
        let channels = weights.shape()[0];
        let bias = constant(2).flatten().map_or(vec![0.0; channels], Tensor::to_f64);
        let mut folded = Folded { weights: weights.clone(), bias, scale: vec![1.0; channels], output };
        while let Some((index, next)) = around.only_consumer(output) {
            let (Some(map), Some(Some(result))) = (next.op.downcast::<Map>(), next.outputs.first().copied()) else { break };
            let [instruction] = map.program.instructions.as_slice() else { break };
            let (value, other, first) = match instruction.arguments.as_slice() {
                [Term::Operand(a), b] if next.inputs.get(*a) == Some(&Some(output)) => (*a, b, true),
                [a, Term::Operand(b)] if next.inputs.get(*b) == Some(&Some(output)) => (*b, a, false),
                _ => break,
            };
            let shape = around.fact(output)?.shape();
            if map.program.operands[value].view.is_some() || around.fact(result)?.shape() != shape {
                break;
            }
            let numbers = match other {
                Term::Literal(x) => Some(vec![*x; channels]),
                Term::Operand(k) if map.program.operands[*k].view.is_none() => next
                    .inputs
                    .get(*k)
                    .copied()
                    .flatten()
                    .and_then(|id| around.graph.constant(id))
                    .and_then(|t| per_channel(t, shape)),
                _ => None,
            };
            let Some(numbers) = numbers else { break };
            match (instruction.function.name, first) {
                ("Mul", _) => folded.each(|scale, bias, x| (scale * x, bias * x), &numbers),
                ("Add", _) => folded.each(|scale, bias, x| (scale, bias + x), &numbers),
                ("Sub", true) => folded.each(|scale, bias, x| (scale, bias - x), &numbers),
                ("Div", true) if numbers.iter().all(|x| *x != 0.0) => folded.each(|scale, bias, x| (scale / x, bias / x), &numbers),
                _ => break,
            }
            gone[index] = true;
            (output, folded.output) = (result, result);
        }
        Ok(Some(folded).filter(|f| node.outputs.first() != Some(&Some(f.output))))
    }

    fn each(&mut self, f: impl Fn(f64, f64, f64) -> (f64, f64), numbers: &[f64]) {
        for ((scale, bias), x) in self.scale.iter_mut().zip(&mut self.bias).zip(numbers) {
            (*scale, *bias) = f(*scale, *bias, *x);
        }
    }

    fn emit(self, node: &Node, edit: &mut Edit) -> Result<()> {
        let mut weights = self.weights.to_f64();
        let each = (weights.len() / self.scale.len().max(1)).max(1);
        for (channel, scale) in weights.chunks_mut(each).zip(&self.scale) {
            channel.iter_mut().for_each(|w| *w *= scale);
        }
        let name = node.path.split_once(':').map_or(node.path.as_str(), |(_, name)| name);
        let weights = edit.constant(&format!("{name}.weight"), Tensor::from_f64(self.weights.ty().clone(), &weights)?);
        let bias =
            edit.constant(&format!("{name}.bias"), Tensor::from_f64(TensorType::new(DType::F32, [self.bias.len()]), &self.bias)?);
        edit.push(Node {
            inputs: vec![node.inputs[0], Some(weights), Some(bias)],
            outputs: vec![Some(self.output)],
            ..node.clone()
        });
        Ok(())
    }
}

/// One number for each extent of axis 1, when a constant broadcast to `shape` varies along that axis at most.
fn per_channel(constant: &Tensor, shape: &Shape) -> Option<Vec<f64>> {
    let view = View::contiguous(constant.shape()).broadcast(shape)?;
    let still =
        view.strides.iter().zip(shape.iter()).enumerate().all(|(axis, (stride, extent))| axis == 1 || *extent == 1 || *stride == 0);
    let numbers = constant.to_f64();
    let channels = 0..*shape.get(1)? as i64;
    still.then(|| channels.map(|c| numbers.get((c * view.strides[1]) as usize).copied()).collect::<Option<Vec<_>>>())?
}
