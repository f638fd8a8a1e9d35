//! Convolutions as matrix products of weights and the pixels under the window: filters by channels and taps, times
//! channels and taps by output pixels. "Anatomy of High-Performance Deep Learning Convolutions on SIMD Architectures"
//! (Georganas et al. 2018) and cuDNN's implicit GEMM (Chetlur et al. 2014) describe the family.

use super::{ConvShape, WindowAxis};
use crate::error::Result;
use crate::graph::Io;
use crate::kernel::{Offers, Operand, preludes};
use crate::ops::matmul;
use crate::tensor::View;

impl ConvShape {
    /// Terms of each sum.
    pub(super) fn terms(&self) -> usize {
        self.channels * self.taps()
    }

    /// True when each output pixel sees exactly the input pixel at its place.
    pub(super) fn is_pointwise(&self) -> bool {
        self.axes.iter().all(|a| (a.kernel, a.stride, a.begin, a.end) == (1, 1, 0, 0))
    }

    /// A pointwise convolution over a single axis.
    pub(super) fn flattened(&self) -> ConvShape {
        let area = self.output_area();
        ConvShape { axes: vec![WindowAxis { input: area, output: area, ..WindowAxis::ABSENT }], ..self.clone() }
    }

    /// True when the window is the whole input.
    pub(super) fn is_whole(&self) -> bool {
        self.groups == 1 && self.axes.iter().all(|a| (a.kernel, a.dilation, a.begin, a.end) == (a.input, 1, 0, 0))
    }

    /// Weights `[groups, filters, terms]`, batched over images.
    fn weights(&self) -> View {
        View::contiguous(&[1, self.groups, self.filters, self.terms()].into())
    }

    /// The product, whose B has as many columns as there are pixels; its strides hold for pointwise windows only.
    pub(super) fn product(&self, plane: usize) -> Result<matmul::Product> {
        let pixels = View {
            shape: [self.batches, self.groups, self.terms(), self.output_area()].into(),
            strides: vec![
                (self.groups * self.channels * plane) as i64,
                (self.channels * plane) as i64,
                self.output_area() as i64,
                1,
            ],
            offset: 0,
        };
        let mut product = matmul::Product::new(&self.weights(), &pixels)?;
        product.inputs = [1, 0];
        Ok(product)
    }
}

/// Offers the matrix products for all adapters that this convolution is.
pub(super) fn offer(conv: &ConvShape, io: &Io, offers: &mut Offers) -> Result<()> {
    if conv.is_whole() {
        let inputs = View::contiguous(&[conv.batches, conv.terms()].into());
        let weights = View::contiguous(&[conv.filters, conv.terms()].into()).transpose(&[1, 0]);
        matmul::Product::new(&inputs, &weights)?.offer(io, offers)
    } else if conv.is_pointwise() {
        conv.product(conv.output_area())?.offer(io, offers)
    } else {
        gathered(conv)?.offer_tiles(io, offers)
    }
}

/// The product whose B is read straight from the input.
pub(super) fn gathered(conv: &ConvShape) -> Result<matmul::Product> {
    let mut product = conv.product(conv.input_area())?;
    product.gather = Some(matmul::Gather {
        prelude: &preludes::CONV_GATHER,
        place: &preludes::PLACE_COLUMN,
        constants: conv.window_constants()?,
        operand: Operand::Input(0),
        columns: conv.output_area(),
        row_length: conv.output_area(),
    });
    Ok(product)
}
