//! Gradients of pooling: what a window is worth goes to the elements under it, and is summed where windows overlap.

use super::PoolShape;
use super::window_sum::window_sum;
use crate::error::{Error, Result};
use crate::graph::{Node, ValueId, Writer};
use crate::ops::compose::Compose;
use crate::ops::conv::WindowAxis;
use crate::ops::elementwise::select;
use crate::tensor::{DType, Tensor, TensorType};

/// For each output along an axis, how many taps of its window a rule counts by their places.
fn counts(axis: &WindowAxis, counted: impl Fn(i64) -> bool) -> Vec<f64> {
    let place = |o: usize, k: usize| (o * axis.stride + k * axis.dilation) as i64 - axis.begin;
    (0..axis.output).map(|o| (0..axis.kernel).filter(|k| counted(place(o, *k))).count() as f64).collect()
}

impl PoolShape {
    fn extents(&self, pick: fn(&WindowAxis) -> usize) -> Vec<usize> {
        self.axes.iter().map(pick).collect()
    }

    fn dtype(&self) -> DType {
        self.output.dtype
    }

    /// The shape of the input.
    fn input(&self) -> Vec<usize> {
        self.output.shape[..2].iter().copied().chain(self.extents(|a| a.input)).collect()
    }

    /// For each element of the input, the sum of what the windows over it hold.
    fn spread(&self, values: ValueId, writer: &mut Writer) -> Result<ValueId> {
        writer.apply(window_sum(self.input(), &self.axes), &[values])
    }

    /// What outputs are worth goes to where their maxima stand, `indices` in the whole input.
    pub(super) fn maximum_gradient(&self, worth: ValueId, indices: ValueId, writer: &mut Writer) -> Result<ValueId> {
        writer.apply(window_sum(self.input(), &self.axes), &[worth, indices])
    }

    /// What outputs are worth goes to all elements that their mean is of, in equal parts.
    pub(super) fn mean_gradient(&self, worth: ValueId, count_include_pad: bool, writer: &mut Writer) -> Result<ValueId> {
        let mut divisors = vec![1.0];
        for axis in &self.axes {
            let (first, end) = if count_include_pad { (i64::MIN, axis.input as i64 + axis.end) } else { (0, axis.input as i64) };
            let along = counts(axis, |place| (first..end).contains(&place));
            divisors = divisors.iter().flat_map(|all| along.iter().map(move |count| all * count)).collect();
        }
        divisors.iter_mut().for_each(|divisor| *divisor = f64::max(*divisor, 1.0));
        let ty = TensorType::new(self.dtype(), self.extents(|a| a.output));
        let divisors = writer.tensor(Tensor::from_f64(ty, &divisors)?);
        let parts = writer.function("Div", &[worth, divisors])?;
        self.spread(parts, writer)
    }

    /// The root `p` of a sum of powers changes with an element as the element to the power `p - 1` over the root to it; where the root
    /// is 0, not at all.
    pub(super) fn norm_gradient(&self, p: i64, node: &Node, worth: ValueId, writer: &mut Writer) -> Result<ValueId> {
        let x = node.needed(0)?;
        let sign = writer.function("Sign", &[x])?;
        if p == 1 {
            let spread = self.spread(worth, writer)?;
            return writer.function("Mul", &[sign, spread]);
        }
        let root = node.outputs.first().copied().flatten().ok_or_else(|| Error::internal("a pooling without an output"))?;
        let power = writer.with_number("Pow", root, (1 - p) as f64)?;
        let part = writer.function("Mul", &[worth, power])?;
        let zero = writer.number(self.dtype(), 0.0)?;
        let none = writer.function("Equal", &[root, zero])?;
        let part = writer.apply(select()?, &[none, zero, part])?;
        let spread = self.spread(part, writer)?;
        let magnitude = writer.function("Abs", &[x])?;
        let power = writer.with_number("Pow", magnitude, (p - 1) as f64)?;
        let power = writer.function("Mul", &[sign, power])?;
        writer.function("Mul", &[power, spread])
    }
}
