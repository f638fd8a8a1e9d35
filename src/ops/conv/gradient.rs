//! Gradients of convolutions, which are convolutions again: that of the data is the transpose; that of the weights sums the products of the
//! data with what the outputs are worth, over all images.

use super::{ConvShape, SlidingWindow, WindowAxis, conv, conv_transpose};
use crate::error::Result;
use crate::graph::{Gradient, Node, ValueId, Writer};
use crate::ops::compose::Compose;
use crate::ops::reduce::Reduction;

/// The most spatial axes that convolutions have kernels for.
const MOST_AXES: usize = 3;

impl ConvShape {
    /// The gradients of data, weights and bias of this convolution, or of its transpose.
    pub(super) fn gradient(
        &self,
        transposed: bool,
        node: &Node,
        upstream: &[Option<ValueId>],
        wanted: &[bool],
        writer: &mut Writer,
    ) -> Result<Gradient> {
        let Some(worth) = upstream.first().copied().flatten() else { return Ok(Gradient::Zero) };
        if [self.batches, self.channels, self.filters, self.input_area(), self.output_area()].contains(&0) {
            return Ok(Gradient::Zero);
        }
        let (data, weights) = (node.needed(0)?, node.needed(1)?);
        let mut found = vec![None; wanted.len()];
        for (index, found) in found.iter_mut().enumerate().filter(|(index, _)| wanted[*index]) {
            *found = Some(match index {
                0 if !transposed && self.slides_back() => self.data_gradient(worth, weights, writer)?,
                0 => {
                    let (window, groups) = (SlidingWindow::exact(&self.axes), self.groups as i64);
                    let back = if transposed { conv(window, groups) } else { conv_transpose(window, groups, vec![], vec![]) };
                    writer.apply(back, &[worth, weights])?
                }
                1 if transposed => self.weights_gradient(worth, data, writer)?,
                1 => self.weights_gradient(data, worth, writer)?,
                _ => per_channel(worth, writer)?,
            });
        }
        Ok(Gradient::Inputs(found))
    }

    /// Whether the transpose of this convolution is one as well: it makes no steps, and pads no more than the kernel reaches.
    fn slides_back(&self) -> bool {
        self.axes.iter().all(|a| a.stride == 1 && back_pads(a).is_some())
    }

    /// The gradient of the data of a convolution without steps: one of what the outputs are worth, with filters and channels exchanged and taps
    /// in reverse.
    fn data_gradient(&self, worth: ValueId, weights: ValueId, writer: &mut Writer) -> Result<ValueId> {
        let kernel: Vec<usize> = self.axes.iter().map(|a| a.kernel).collect();
        let rank = kernel.len();
        let split = writer.reshape(weights, &[&[self.groups, self.filters, self.channels], &kernel[..]].concat())?;
        let order: Vec<usize> = [0, 2, 1].into_iter().chain(3..3 + rank).collect();
        let mut turned = writer.transposed(split, &order)?;
        for (k, extent) in kernel.iter().enumerate().filter(|(_, extent)| **extent > 1) {
            turned = writer.sliced(turned, 3 + k, extent - 1, *extent, -1)?;
        }
        let turned = writer.reshape(turned, &[&[self.groups * self.channels, self.filters], &kernel[..]].concat())?;
        let pads: Vec<[i64; 2]> = self.axes.iter().map(|a| back_pads(a).unwrap_or_default()).collect();
        let window = SlidingWindow {
            pads: [0, 1].into_iter().flat_map(|side| pads.iter().map(move |pads| pads[side])).collect(),
            dilations: SlidingWindow::exact(&self.axes).dilations,
            ..SlidingWindow::default()
        };
        writer.apply(conv(window, self.groups as i64), &[worth, turned])
    }

    /// For each weight the sum of the products of all that it joins, of the larger and the smaller side of the convolution. The smaller
    /// one is the window that slides over the larger, in which strides are the distances of its elements. Images are summed as channels
    /// are in the convolution; or each is a group by itself, where the sums of all are no more than the data.
    fn weights_gradient(&self, larger: ValueId, smaller: ValueId, writer: &mut Writer) -> Result<ValueId> {
        let extents = |of: fn(&WindowAxis) -> usize| self.axes.iter().map(of).collect::<Vec<usize>>();
        let kernel = extents(|a| a.kernel);
        let (filters, weights) = (self.groups * self.filters, self.groups * self.filters * self.channels * self.taps());
        let data = (self.channels * self.input_area()).max(self.filters * self.output_area()) * self.batches * self.groups;
        if self.batches == 1 || weights.saturating_mul(self.batches) > data {
            let sums = self.slide(self.groups, self.batches, [larger, smaller], writer)?;
            return writer.reshape(sums, &[&[filters, self.channels], &kernel[..]].concat());
        }
        let sums = self.slide(self.batches * self.groups, 1, [larger, smaller], writer)?;
        let sums = writer.reshape(sums, &[self.batches, weights])?;
        let sums = writer.reduced(Reduction::Sum, sums, &[0])?;
        writer.reshape(sums, &[&[filters, self.channels], &kernel[..]].concat())
    }

    /// The smaller side slid over the larger in groups, each of which sums so many images: groups and filters by channels and taps. The
    /// channels of a group are one more axis to slide over, or what images are in a convolution.
    fn slide(&self, groups: usize, images: usize, [larger, smaller]: [ValueId; 2], writer: &mut Writer) -> Result<ValueId> {
        let extents = |of: fn(&WindowAxis) -> usize| self.axes.iter().map(of).collect::<Vec<usize>>();
        let (inputs, outputs) = (extents(|a| a.input), extents(|a| a.output));
        let (channels, filters, rank) = (self.channels, self.filters, self.axes.len());
        let order = |first: [usize; 3]| first.into_iter().chain(3..3 + rank).collect::<Vec<usize>>();
        // Images stand before groups.
        let larger = writer.reshape(larger, &[&[images, groups, channels], &inputs[..]].concat())?;
        let smaller = writer.reshape(smaller, &[&[images, groups, filters], &outputs[..]].concat())?;
        let smaller = writer.transposed(smaller, &order([1, 2, 0]))?;
        let SlidingWindow { strides, dilations, pads, auto_pad, .. } = SlidingWindow::exact(&self.axes);
        let window = SlidingWindow { kernel_shape: vec![], strides: dilations, dilations: strides, pads, auto_pad };
        if rank >= MOST_AXES {
            let larger = writer.transposed(larger, &order([2, 1, 0]))?;
            let larger = writer.reshape(larger, &[&[channels, groups * images], &inputs[..]].concat())?;
            let smaller = writer.reshape(smaller, &[&[groups * filters, images], &outputs[..]].concat())?;
            let sums = writer.apply(conv(window, groups as i64), &[larger, smaller])?;
            let exchanged: Vec<usize> = [1, 0].into_iter().chain(2..2 + rank).collect();
            return writer.transposed(sums, &exchanged);
        }
        let larger = writer.transposed(larger, &order([1, 0, 2]))?;
        let larger = writer.reshape(larger, &[&[1, groups * images, channels], &inputs[..]].concat())?;
        let smaller = writer.reshape(smaller, &[&[groups * filters, images, 1], &outputs[..]].concat())?;
        let window = SlidingWindow {
            strides: [&[1], &window.strides[..]].concat(),
            dilations: [&[1], &window.dilations[..]].concat(),
            pads: [&[0], &window.pads[..rank], &[0], &window.pads[rank..]].concat(),
            ..window
        };
        writer.apply(conv(window, groups as i64), &[larger, smaller])
    }
}

/// Padding at the start and the end of an axis for the convolution back over it.
fn back_pads(axis: &WindowAxis) -> Option<[i64; 2]> {
    let reach = (axis.dilation * (axis.kernel - 1)) as i64;
    let end = axis.input as i64 - axis.output as i64 + axis.begin;
    let pads = [reach - axis.begin, end];
    pads.iter().all(|pad| *pad >= 0).then_some(pads)
}

/// The sum for each channel.
fn per_channel(worth: ValueId, writer: &mut Writer) -> Result<ValueId> {
    let shape = writer.fact(worth)?.shape().clone();
    let others: Vec<usize> = [0].into_iter().chain(2..shape.rank()).collect();
    let sums = writer.reduced(Reduction::Sum, worth, &others)?;
    writer.reshape(sums, &[shape[1]])
}
