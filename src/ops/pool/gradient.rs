//! Gradients of pooling: what a window is worth is spread over its taps, and summed where windows overlap. That is a transposed convolution.

use super::PoolShape;
use crate::error::{Error, Result};
use crate::graph::{Node, ValueId, Writer};
use crate::ops::compose::Compose;
use crate::ops::conv::{SlidingWindow, WindowAxis, conv_transpose, taps};
use crate::ops::elementwise::select;
use crate::ops::scatter::{Combine, scatter_elements};
use crate::tensor::{DType, Tensor, TensorType, View};

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

    /// For each element of the input, the sum of what the windows over it hold for it: one number for all taps, or one for each, `count` in
    /// all, of each window of each plane.
    fn spread(&self, values: ValueId, count: usize, writer: &mut Writer) -> Result<ValueId> {
        let kernel = self.extents(|a| a.kernel);
        let taps: usize = kernel.iter().product();
        let weights: Vec<f64> = (0..count * taps).map(|k| f64::from(count == 1 || k / taps == k % taps)).collect();
        let ty = TensorType::new(self.dtype(), [&[count, 1], &kernel[..]].concat());
        let weights = writer.tensor(Tensor::from_f64(ty, &weights)?);
        let values = writer.reshape(values, &[&[self.planes, count], &self.extents(|a| a.output)[..]].concat())?;
        let transpose = conv_transpose(SlidingWindow::exact(&self.axes), 1, vec![], vec![]);
        let sums = writer.apply(transpose, &[values, weights])?;
        writer.reshape(sums, &self.input())
    }

    /// What outputs are worth goes to where their maxima stand, `indices` in the whole input.
    pub(super) fn maximum_gradient(&self, worth: ValueId, indices: ValueId, writer: &mut Writer) -> Result<ValueId> {
        let area: usize = self.extents(|a| a.input).iter().product();
        let outputs: usize = self.extents(|a| a.output).iter().product();
        let taps: usize = self.extents(|a| a.kernel).iter().product();
        let starts: Vec<i64> = (0..self.planes).map(|plane| (plane * area) as i64).collect();
        let starts = writer.tensor(Tensor::new([self.planes, 1], &starts)?);
        let indices = writer.reshape(indices, &[self.planes, outputs])?;
        let places = writer.function("Sub", &[indices, starts])?;
        // By scattering, each element looks at all outputs of its plane; by spreading, each output makes products of all its taps.
        if area <= taps.saturating_mul(taps) {
            let worth = writer.reshape(worth, &[self.planes, outputs])?;
            let zeros = writer.tensor(Tensor::zeros(TensorType::new(self.dtype(), [self.planes, area])));
            let sums = writer.apply(scatter_elements(1, Some(Combine::Add)), &[zeros, places, worth])?;
            return writer.reshape(sums, &self.input());
        }
        let tap_places = writer.tensor(Tensor::new([1, taps, outputs], &self.tap_places())?);
        let places = writer.reshape(places, &[self.planes, 1, outputs])?;
        let chosen = writer.function("Equal", &[places, tap_places])?;
        let worth = writer.reshape(worth, &[self.planes, 1, outputs])?;
        let zero = writer.number(self.dtype(), 0.0)?;
        let values = writer.apply(select()?, &[chosen, worth, zero])?;
        self.spread(values, taps, writer)
    }

    /// Where each tap of each window stands in a plane: taps by outputs, -1 beside the plane.
    fn tap_places(&self) -> Vec<i64> {
        let strides = View::contiguous(&self.extents(|a| a.input).into()).strides;
        let outputs = taps(&self.axes.iter().map(|a| WindowAxis { kernel: a.output, ..*a }).collect::<Vec<_>>());
        let mut places = Vec::new();
        for tap in taps(&self.axes) {
            for output in &outputs {
                let mut place = 0;
                for (axis, (stride, (o, k))) in self.axes.iter().zip(strides.iter().zip(output.iter().zip(&tap))) {
                    let at = (o * axis.stride + k * axis.dilation) as i64 - axis.begin;
                    place = if place < 0 || !(0..axis.input as i64).contains(&at) { -1 } else { place + at * stride };
                }
                places.push(place);
            }
        }
        places
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
        self.spread(parts, 1, writer)
    }

    /// The root `p` of a sum of powers changes with an element as the element to the power `p - 1` over the root to it; where the root
    /// is 0, not at all.
    pub(super) fn norm_gradient(&self, p: i64, node: &Node, worth: ValueId, writer: &mut Writer) -> Result<ValueId> {
        let x = node.needed(0)?;
        let sign = writer.function("Sign", &[x])?;
        if p == 1 {
            let spread = self.spread(worth, 1, writer)?;
            return writer.function("Mul", &[sign, spread]);
        }
        let root = node.outputs.first().copied().flatten().ok_or_else(|| Error::internal("a pooling without an output"))?;
        let power = writer.with_number("Pow", root, (1 - p) as f64)?;
        let part = writer.function("Mul", &[worth, power])?;
        let zero = writer.number(self.dtype(), 0.0)?;
        let none = writer.function("Equal", &[root, zero])?;
        let part = writer.apply(select()?, &[none, zero, part])?;
        let spread = self.spread(part, 1, writer)?;
        let magnitude = writer.function("Abs", &[x])?;
        let power = writer.with_number("Pow", magnitude, (p - 1) as f64)?;
        let power = writer.function("Mul", &[sign, power])?;
        writer.function("Mul", &[power, spread])
    }
}
