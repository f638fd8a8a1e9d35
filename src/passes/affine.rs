//! Per-channel scales and shifts after a convolution (batch norms above all) move into its weights and bias.

use super::common::plain;
use super::{Options, Pass};
use crate::error::Result;
use crate::graph::{Node, NodeId, OpExt, Writer};
use crate::kernel::Term;
use crate::ops::conv::Conv;
use crate::ops::elementwise::Map;
use crate::tensor::{DType, Shape, Tensor, TensorType, View};

/// Folds every chain of scales and shifts that follows a convolution with constant weights.
#[derive(Debug)]
pub(crate) struct Affine;

impl Pass for Affine {
    fn name(&self) -> &str {
        "affine"
    }

    fn visit(&self, writer: &mut Writer, id: NodeId, _: &Options) -> Result<()> {
        let Some(node) = writer.node(id).cloned() else { return Ok(()) };
        let Some(mut scaled) = ScaledWeights::of(writer, &node) else { return Ok(()) };
        let mut chain = Vec::new();
        let mut last = node.clone();
        while let Some((next, node)) = scaled.next(writer, &last) {
            chain.push(next);
            last = node;
        }
        if chain.is_empty() {
            return Ok(());
        }
        let name = node.name();
        let (weights, bias) = scaled.constants()?;
        let weights = writer.constant(&format!("{name}.weight"), weights);
        let bias = writer.constant(&format!("{name}.bias"), bias);
        let inputs = vec![node.inputs[0], Some(weights), Some(bias)];
        writer.replace(id, Node { inputs, outputs: last.outputs.clone(), ..node });
        chain.into_iter().for_each(|id| writer.remove(id));
        Ok(())
    }
}

/// The weights of a convolution, with a factor and an addend for each output channel.
struct ScaledWeights {
    weights: Tensor,
    bias: Vec<f64>,
    scale: Vec<f64>,
    /// Least and greatest magnitude of each channel's weights, those near zero that have lost digits already left out.
    extremes: Vec<(f64, f64)>,
}

impl ScaledWeights {
    /// A convolution with constant weights, and bias if it has one.
    fn of(writer: &Writer, node: &Node) -> Option<Self> {
        node.op.downcast::<Conv>()?;
        let weights = writer.contents(node.input(1)?)?;
        let channels = *weights.shape().first()?;
        let bias = match node.input(2) {
            Some(bias) => writer.contents(bias)?.to_f64(),
            None => vec![0.0; channels],
        };
        let numbers = weights.as_slice::<f32>().ok()?;
        if weights.shape().rank() < 3 || bias.len() != channels || numbers.is_empty() {
            return None;
        }
        let magnitudes = |channel: &[f32]| {
            let normal = channel.iter().map(|w| w.abs()).filter(|w| !(*w == 0.0 || w.is_subnormal()));
            let (least, most) = normal.fold((f32::INFINITY, 0.0f32), |(least, most), w| (least.min(w), most.max(w)));
            (f64::from(if most == 0.0 { 0.0 } else { least }), f64::from(most))
        };
        let extremes = numbers.chunks(numbers.len() / channels).map(magnitudes).collect();
        Some(ScaledWeights { weights: weights.clone(), bias, scale: vec![1.0; channels], extremes })
    }

    /// Takes in the scale or shift that alone reads the output of `last`.
    fn next(&mut self, writer: &Writer, last: &Node) -> Option<(NodeId, Node)> {
        let output = last.only_output()?;
        let id = writer.only_consumer(output)?;
        let next = writer.node(id)?;
        let (map, result) = (next.op.downcast::<Map>()?, next.only_output()?);
        let [instruction] = map.program.instructions.as_slice() else { return None };
        let (value, other, first) = match instruction.arguments.as_slice() {
            [Term::Operand(a), b] if next.input(*a) == Some(output) => (*a, b, true),
            [a, Term::Operand(b)] if next.input(*b) == Some(output) => (*b, a, false),
            _ => return None,
        };
        let shape = writer.fact(output).ok()?.shape();
        if writer.fact(result).ok()?.shape() != shape || !plain(writer, next, &map.program, value, shape) {
            return None;
        }
        let numbers = match other {
            Term::Literal(x) => vec![*x; self.scale.len()],
            Term::Operand(k) if map.program.operands[*k].view.is_none() => per_channel(writer.contents(next.input(*k)?)?, shape)?,
            _ => return None,
        };
        let (scale, bias) = (self.scale.clone(), self.bias.clone());
        match (instruction.function.name, first) {
            ("Mul", _) => self.each(|scale, bias, x| (scale * x, bias * x), &numbers),
            ("Add", _) => self.each(|scale, bias, x| (scale, bias + x), &numbers),
            ("Sub", true) => self.each(|scale, bias, x| (scale, bias - x), &numbers),
            ("Div", true) => self.each(|scale, bias, x| (scale / x, bias / x), &numbers),
            _ => return None,
        }
        if !self.holds() {
            (self.scale, self.bias) = (scale, bias);
            return None;
        }
        Some((id, next.clone()))
    }

    /// Whether 32-bit floats hold the new constants: none is infinite, and none loses its digits near zero.
    fn holds(&self) -> bool {
        let held = |x: f64| x == 0.0 || (x as f32).is_normal();
        let scaled = self.extremes.iter().zip(&self.scale).all(|((least, most), scale)| held(least * scale) && held(most * scale));
        scaled && self.bias.iter().all(|b| held(*b))
    }

    fn each(&mut self, f: impl Fn(f64, f64, f64) -> (f64, f64), numbers: &[f64]) {
        for ((scale, bias), x) in self.scale.iter_mut().zip(&mut self.bias).zip(numbers) {
            (*scale, *bias) = f(*scale, *bias, *x);
        }
    }

    /// The weights and the bias.
    fn constants(&self) -> Result<(Tensor, Tensor)> {
        let mut weights = self.weights.to_f64();
        let each = (weights.len() / self.scale.len().max(1)).max(1);
        for (channel, scale) in weights.chunks_mut(each).zip(&self.scale) {
            channel.iter_mut().for_each(|w| *w *= scale);
        }
        let bias = TensorType::new(DType::F32, [self.bias.len()]);
        Ok((Tensor::from_f64(self.weights.ty().clone(), &weights)?, Tensor::from_f64(bias, &self.bias)?))
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
