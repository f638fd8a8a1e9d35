//! Gradients of convolutions, which are convolutions again: that of the data is the transpose; that of the weights sums the products of the
//! data with what the outputs are worth, over all images.

use super::{ConvShape, SlidingWindow, conv, conv_transpose};
use crate::error::Result;
use crate::graph::{Gradient, Node, ValueId, Writer};
use crate::ops::compose::Compose;
use crate::ops::reduce::Reduction;

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

    /// For each weight the sum of the products of all that it joins, of the larger and the smaller side of the convolution. The smaller
    /// one is the window that slides over the larger, in which strides are the distances of its elements. Images are summed, as channels
    /// are in the convolution; the channels of a group are what images were there.
    fn weights_gradient(&self, larger: ValueId, smaller: ValueId, writer: &mut Writer) -> Result<ValueId> {
        let extents = |of: fn(&super::WindowAxis) -> usize| self.axes.iter().map(of).collect::<Vec<usize>>();
        let (inputs, outputs) = (extents(|a| a.input), extents(|a| a.output));
        let (batches, groups, channels, filters) = (self.batches, self.groups, self.channels, self.filters);
        let order = |first: [usize; 3]| first.into_iter().chain(3..3 + self.axes.len()).collect::<Vec<usize>>();
        let larger = writer.reshape(larger, &[&[batches, groups, channels], &inputs[..]].concat())?;
        let larger = writer.transposed(larger, &order([2, 1, 0]))?;
        let larger = writer.reshape(larger, &[&[channels, groups * batches], &inputs[..]].concat())?;
        let smaller = writer.reshape(smaller, &[&[batches, groups, filters], &outputs[..]].concat())?;
        let smaller = writer.transposed(smaller, &order([1, 2, 0]))?;
        let smaller = writer.reshape(smaller, &[&[groups * filters, batches], &outputs[..]].concat())?;
        let window = SlidingWindow::exact(&self.axes);
        let window = SlidingWindow { kernel_shape: vec![], strides: window.dilations, dilations: window.strides, ..window };
        let sums = writer.apply(conv(window, groups as i64), &[larger, smaller])?;
        let exchanged: Vec<usize> = [1, 0].into_iter().chain(2..2 + self.axes.len()).collect();
        writer.transposed(sums, &exchanged)
    }
}

/// The sum for each channel.
fn per_channel(worth: ValueId, writer: &mut Writer) -> Result<ValueId> {
    let shape = writer.fact(worth)?.shape().clone();
    let others: Vec<usize> = [0].into_iter().chain(2..shape.rank()).collect();
    let sums = writer.reduced(Reduction::Sum, worth, &others)?;
    writer.reshape(sums, &[shape[1]])
}
