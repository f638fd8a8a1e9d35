//! ConvTranspose: the transpose of a convolution, which spreads each value over a window of the output.

use super::{
    ConvShape, SlidingWindow, bias, check_bias, check_gpu, check_types, direct, fold, reference, software, split_groups, types,
};
use crate::error::{Error, Result};
use crate::graph::{Fact, Gradient, Io, Node, Op, ValueId, Writer, required};
use crate::kernel::Offers;
use crate::tensor::{Tensor, TensorType};
use std::sync::Arc;

/// Floating-point operations below which one dispatch without a product wins.
const FEW_OPERATIONS: u64 = 1 << 16;

/// ONNX ConvTranspose: data, weights `[channels, filters per group, ..]`, and an optional bias per output channel.
#[derive(Clone, Debug, PartialEq)]
pub struct ConvTranspose {
    /// The sliding window, over the output.
    pub window: SlidingWindow,
    /// Number of groups that channels are split into.
    pub group: i64,
    /// Extra extent at the end of each output axis, 0 when empty.
    pub output_padding: Vec<i64>,
    /// Spatial extents of the output, from which padding follows; by the other attributes when empty.
    pub output_shape: Vec<i64>,
}

/// A ConvTranspose with the given attributes.
pub fn conv_transpose(window: SlidingWindow, group: i64, output_padding: Vec<i64>, output_shape: Vec<i64>) -> Arc<dyn Op> {
    Arc::new(ConvTranspose { window, group, output_padding, output_shape })
}

impl ConvTranspose {
    /// The convolution that this transposes: its input is our output.
    fn resolve(&self, inputs: &[Option<&TensorType>]) -> Result<ConvShape> {
        check_types("ConvTranspose", inputs)?;
        let (x, w) = (required("ConvTranspose", inputs, 0)?, required("ConvTranspose", inputs, 1)?);
        let (groups, filters) = split_groups(self.group, x.shape[1])?;
        if w.shape[0] != x.shape[1] {
            return Err(Error::invalid_model(format!("weights {w}: expected {} channels, as {x} has", x.shape[1])));
        }
        let channels = w.shape[1];
        check_bias("ConvTranspose", inputs.get(2).copied().flatten(), x, groups * channels)?;
        let rank = x.shape.rank() - 2;
        // Opset 1 allowed the whole output shape in the attribute.
        let shape = if self.output_shape.len() == rank + 2 { &self.output_shape[2..] } else { &self.output_shape };
        let axes = self.window.resolve_transposed(&x.shape[2..], &w.shape[2..], &self.output_padding, shape)?;
        Ok(ConvShape { batches: x.shape[0], groups, channels, filters, axes })
    }
}

/// Shape of the output of a transposed convolution.
fn output_shape(conv: &ConvShape) -> Vec<usize> {
    [conv.batches, conv.groups * conv.channels].into_iter().chain(conv.axes.iter().map(|a| a.input)).collect()
}

impl Op for ConvTranspose {
    fn name(&self) -> &'static str {
        "ConvTranspose"
    }

    crate::attributes!(window, group, output_padding, output_shape);

    fn infer(&self, inputs: &[Option<&Fact>]) -> Result<Vec<Fact>> {
        let conv = self.resolve(&types(inputs, |f| &f.ty))?;
        Ok(vec![Fact::new(required("ConvTranspose", inputs, 0)?.dtype(), output_shape(&conv))])
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>> {
        let conv = self.resolve(&types(inputs, |t| t.ty()))?;
        let (x, w) = (required("ConvTranspose", inputs, 0)?, required("ConvTranspose", inputs, 1)?);
        let sums = reference::convolve_transposed(&conv, &x.to_f64(), &w.to_f64());
        let ty = TensorType::new(x.dtype(), output_shape(&conv));
        Ok(vec![reference::with_bias(ty, &sums, inputs.get(2).copied().flatten())?])
    }

    fn lower(&self, io: &Io, offers: &mut Offers) -> Result<()> {
        let conv = self.resolve(&types(&io.inputs, |f| &f.ty))?;
        check_gpu(io, conv.axes.len())?;
        let caps = offers.caps();
        // Two dispatches cost more than few operations.
        let (product, direct) = if conv.work().0 < FEW_OPERATIONS { (2, 0) } else { (1, 2) };
        bias::with_bias(io, |io| {
            software::offer_transposed(&conv, io, offers);
            offers.add("product", product, || fold::lower(&conv, io, caps));
            offers.add("direct", direct, || direct::lower_transposed(&conv, io, caps));
            Ok(())
        })
    }

    fn gradient(&self, node: &Node, upstream: &[Option<ValueId>], wanted: &[bool], writer: &mut Writer) -> Result<Gradient> {
        let conv = self.resolve(&types(&writer.input_facts(node)?, |f| &f.ty))?;
        conv.gradient(true, node, upstream, wanted, writer)
    }

    fn takes_epilogue(&self) -> bool {
        true
    }
}
