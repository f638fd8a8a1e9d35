//! CausalConvWithState: a convolution of each channel along time that takes its past from the run before.

use super::Registration;
use super::compose::Compose;
use super::concat::concat;
use super::conv::{SlidingWindow, conv};
use super::shared::{WORKGROUP, one_each};
use super::view::strided_view;
use crate::error::{Error, Result};
use crate::graph::{Fact, Gradient, Io, Node, Op, ValueId, Writer, required};
use crate::kernel::{Access, Caps, Kernel, Lowering, Offers, Operand, params, preludes, shader, u32s};
use crate::tensor::{Scalar, Shape, Tensor, TensorType, View};
use std::sync::Arc;

params! {
    /// Parameters of `causal_conv.wgsl`.
    struct CausalConvParams {
        rows: u32,
        channels: u32,
        length: u32,
        taps: u32,
        kept: u32,
        quads: u32,
        states: u32,
    }
}

shader!(static CAUSAL_CONV: CausalConvParams = "causal_conv");

/// The operator of this file.
pub static REGISTRATION: Registration = Registration { operators: &[NAME], shaders: &[&CAUSAL_CONV] };

const NAME: &str = "CausalConvWithState";

/// ONNX CausalConvWithState without its activation, which is an operator by itself. Inputs: `[batch, channels, length]`, weights
/// `[channels, 1, taps]`, an optional bias `[channels]`, and optionally the past `[batch, channels, taps - 1]`, zero by default.
/// Outputs: as input 0, and the past of the next run.
#[derive(Clone, Debug, PartialEq)]
pub struct CausalConvWithState;

/// Each channel of input 0 convolved along time with its taps in input 1, with bias (input 2) and past (input 3); output 1 is the
/// past of the next run.
pub fn causal_conv_with_state() -> Arc<dyn Op> {
    Arc::new(CausalConvWithState)
}

struct CausalConvShape {
    batch: usize,
    channels: usize,
    length: usize,
    taps: usize,
}

impl CausalConvShape {
    fn new(inputs: &[Option<&TensorType>]) -> Result<Self> {
        let (x, w) = (required(NAME, inputs, 0)?, required(NAME, inputs, 1)?);
        let of_rank_3 = x.shape.rank() == 3 && w.shape.rank() == 3 && x.dtype.is_float();
        if !of_rank_3 || w.dtype != x.dtype || w.shape[0] != x.shape[1] || w.shape[1] != 1 || w.shape[2] == 0 {
            return Err(Error::invalid_model(format!(
                "{NAME} expects floats [batch,channels,length] and weights [channels,1,taps] of the same dtype, found {x} and {w}"
            )));
        }
        let (batch, channels, taps) = (x.shape[0], x.shape[1], w.shape[2]);
        for (index, what, expected) in [(2, "bias", &[channels][..]), (3, "past", &[batch, channels, taps - 1])] {
            if let Some(found) = inputs.get(index).copied().flatten()
                && (found.dtype != x.dtype || found.shape[..] != *expected)
            {
                let expected = TensorType::new(x.dtype, expected);
                return Err(Error::invalid_model(format!("{NAME} expects a {what} of {expected}, found {found}")));
            }
        }
        Ok(CausalConvShape { batch, channels, length: x.shape[2], taps })
    }

    fn of_facts(inputs: &[Option<&Fact>]) -> Result<Self> {
        Self::new(&inputs.iter().map(|fact| fact.map(|fact| &fact.ty)).collect::<Vec<_>>())
    }

    fn past(&self) -> [usize; 3] {
        [self.batch, self.channels, self.taps - 1]
    }

    /// The past and the input one after the other.
    fn sequence(&self) -> Shape {
        [self.batch, self.channels, self.taps - 1 + self.length].into()
    }

    /// The part of the sequence from a position on.
    fn part(&self, start: usize, count: usize) -> View {
        View::contiguous(&self.sequence()).slice(2, start, count, 1)
    }

    /// The gradients of weights and bias, and of the sequence, by what output 0 is worth: it is a convolution of the sequence, in which
    /// each channel is a group.
    fn convolution_gradient(
        &self,
        node: &Node,
        worth: ValueId,
        wanted: [bool; 3],
        writer: &mut Writer,
    ) -> Result<[Option<ValueId>; 3]> {
        let x = node.needed(0)?;
        let past = match node.input(3) {
            Some(past) => past,
            None => {
                let ty = TensorType::new(writer.fact(x)?.dtype(), self.past());
                writer.tensor(Tensor::zeros(ty))
            }
        };
        let sequence = writer.apply(concat(2), &[past, x])?;
        let op = conv(SlidingWindow::default(), self.channels as i64);
        let inputs = vec![Some(sequence), node.input(1), node.input(2)];
        let convolution = Node::new("convolution", op, inputs, Vec::new());
        match convolution.op.gradient(&convolution, &[Some(worth)], &wanted, writer)? {
            Gradient::Inputs(found) => Ok([0, 1, 2].map(|k| found.get(k).copied().flatten())),
            _ => Ok([None; 3]),
        }
    }

    fn lower(&self, io: &Io, caps: &Caps) -> Result<Lowering> {
        let optional = |k: usize| io.optional(k).map_or(Operand::Nothing, |_| Operand::Input(k));
        let bindings = [Operand::Input(0), Operand::Input(1), optional(2), optional(3), Operand::Output(0), Operand::Output(1)];
        let kept = self.taps - 1;
        let quads = self.length.div_ceil(4);
        let states = if io.used.get(1).copied().unwrap_or(false) { kept.div_ceil(4) } else { 0 };
        let count = self.batch * self.channels * (quads + states);
        let [rows, channels, length, taps] = u32s([self.batch * self.channels, self.channels, self.length, self.taps])?;
        let [kept, quads, states] = u32s([kept, quads, states])?;
        let params = CausalConvParams { rows, channels, length, taps, kept, quads, states };
        let access = [[Access::Read; 4].as_slice(), &[Access::Write; 2]].concat();
        let kernel = Kernel::new(&CAUSAL_CONV, &access, [WORKGROUP, 1, 1])
            .set("HAS_BIAS", io.optional(2).is_some().into())
            .set("HAS_PAST", io.optional(3).is_some().into());
        let mut bindings = bindings.to_vec();
        let kernel = if self.length.is_multiple_of(4) {
            io.attach_epilogue(kernel.prelude(&preludes::STORE_WIDTH4), &mut bindings, 4, caps)?
        } else {
            io.attach_epilogue(kernel.prelude(&preludes::STORE_WIDTH1), &mut bindings, 1, caps)?
        };
        let elements = self.batch * self.channels * self.length;
        let dispatch = one_each(kernel, params, count, bindings, caps)?.turns(self.taps);
        Ok(Lowering::new(vec![dispatch.work((2 * elements * self.taps) as u64, 8 * elements as u64)]))
    }
}

impl Op for CausalConvWithState {
    fn name(&self) -> &'static str {
        NAME
    }

    crate::attributes!();

    fn infer(&self, inputs: &[Option<&Fact>]) -> Result<Vec<Fact>> {
        let shape = CausalConvShape::of_facts(inputs)?;
        let x = required(NAME, inputs, 0)?;
        Ok(vec![Fact::new(x.dtype(), x.shape().clone()), Fact::new(x.dtype(), shape.past())])
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>> {
        let types: Vec<_> = inputs.iter().map(|tensor| tensor.map(Tensor::ty)).collect();
        let shape = CausalConvShape::new(&types)?;
        let CausalConvShape { channels, length, taps, .. } = shape;
        let kept = taps - 1;
        let (x, w) = (required(NAME, inputs, 0)?, required(NAME, inputs, 1)?);
        let optional = |k: usize| inputs.get(k).copied().flatten().map(Tensor::to_f64);
        let (input, weights, bias, past) = (x.to_f64(), w.to_f64(), optional(2), optional(3));
        let (mut output, mut present) = (Vec::with_capacity(input.len()), Vec::new());
        for row in 0..shape.batch * channels {
            let mut sequence = past.as_ref().map_or(vec![0.0; kept], |past| past[row * kept..][..kept].to_vec());
            sequence.extend_from_slice(&input[row * length..][..length]);
            let own = &weights[row % channels * taps..][..taps];
            let bias = bias.as_ref().map_or(0.0, |bias| bias[row % channels]);
            let sum = |window: &[f64]| bias + window.iter().zip(own).map(|(x, w)| x * w).sum::<f64>();
            output.extend(sequence.windows(taps).map(sum));
            present.extend_from_slice(&sequence[length..]);
        }
        let present = Tensor::from_f64(TensorType::new(x.dtype(), shape.past()), &present)?;
        Ok(vec![Tensor::from_f64(x.ty().clone(), &output)?, present])
    }

    fn lower(&self, io: &Io, offers: &mut Offers) -> Result<()> {
        let shape = CausalConvShape::of_facts(&io.inputs)?;
        let x = io.input(0)?;
        if x.scalar() != Some(Scalar::F32) {
            return Err(Error::unsupported(format!("{NAME} over {}", x.dtype())));
        }
        if shape.length == 0 {
            return Err(Error::unsupported("there is no position after the past"));
        }
        let caps = offers.caps();
        offers.only("causal_conv", || shape.lower(io, caps));
        Ok(())
    }

    fn gradient(&self, node: &Node, upstream: &[Option<ValueId>], wanted: &[bool], writer: &mut Writer) -> Result<Gradient> {
        let shape = CausalConvShape::of_facts(&writer.input_facts(node)?)?;
        let upstream = |k: usize| upstream.get(k).copied().flatten();
        let wanted = |k: usize| wanted.get(k).copied().unwrap_or(false);
        let [mut sequence, mut weights, mut bias] = [None; 3];
        if let Some(worth) = upstream(0).filter(|_| shape.length > 0) {
            let parts = [wanted(0) || wanted(3), wanted(1), wanted(2)];
            [sequence, weights, bias] = shape.convolution_gradient(node, worth, parts, writer)?;
        }
        let kept = shape.taps - 1;
        if let Some(worth) = upstream(1).filter(|_| kept > 0) {
            let last = writer.view_sum(worth, &shape.part(shape.length, kept), &shape.sequence())?;
            sequence = Some(match sequence {
                Some(sequence) => writer.function("Add", &[sequence, last])?,
                None => last,
            });
        }
        let [mut x, mut past] = [None; 2];
        if let Some(sequence) = sequence {
            x = Some(writer.apply(strided_view(shape.part(kept, shape.length)), &[sequence])?);
            if wanted(3) {
                past = Some(writer.apply(strided_view(shape.part(0, kept)), &[sequence])?);
            }
        }
        Ok(Gradient::Inputs([x, weights, bias, past].into_iter().take(node.inputs.len()).collect()))
    }

    fn takes_epilogue(&self) -> bool {
        true
    }
}
