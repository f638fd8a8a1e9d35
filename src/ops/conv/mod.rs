//! Conv: sums of products of a sliding window with weights, in groups of channels.

mod bias;
mod depthwise;
mod direct;
mod fold;
mod gradient;
mod product;
mod reference;
mod row_kernel;
mod software;
mod tiled;
mod transpose;
mod window;
mod window_params;
mod winograd;

use super::Registration;
use crate::error::{Error, Result};
use crate::graph::{Fact, Gradient, Io, Node, Op, ValueId, Writer, required};
use crate::kernel::{Caps, Kernel, Offers, Operand, Rank, preludes};
use crate::tensor::{Scalar, Tensor, TensorType};
use std::borrow::Cow;
use std::sync::Arc;

pub(crate) use row_kernel::RowKernel;
pub(crate) use software::exchanged_rows;
pub use transpose::{ConvTranspose, conv_transpose};
pub use window::{AutoPad, SlidingWindow};
pub(crate) use window::{WindowAxis, taps};
pub(crate) use window_params::{WindowParams, axis_turns, tap_turns};

pub(super) static REGISTRATION: Registration = Registration {
    operators: &["Conv", "ConvTranspose"],
    shaders: &[
        &depthwise::SHADER,
        &direct::SHADER,
        &fold::SHADER,
        &software::packed::PACK,
        &software::packed::PRODUCT,
        &software::unfold::ELEMENTS,
        &software::unfold::ROWS,
        &software::unfolded_textures::SHADER,
        &software::winograd::PRODUCTS,
        &tiled::SHADER,
        &winograd::INPUT,
        &winograd::OUTPUT,
    ],
};

/// Filters of a group below which tiles of a matrix product stand empty for the most part.
const FEW_FILTERS: usize = 4;

/// Where each kernel stands in the order of preference.
struct Ranks {
    depthwise: Rank,
    direct: Rank,
    taps: Rank,
    winograd: Rank,
    product: Rank,
}

/// The order on GPUs.
const RANKS: Ranks = Ranks { depthwise: 0, taps: 1, winograd: 2, product: 3, direct: 4 };

/// The order for few filters, unless the convolution is depthwise.
const RANKS_OF_FEW_FILTERS: Ranks = Ranks { direct: 0, depthwise: 1, taps: 2, winograd: 3, product: 4 };

/// ONNX Conv over any number of spatial axes: data, weights, and an optional bias per output channel.
#[derive(Clone, Debug, PartialEq)]
pub struct Conv {
    /// The sliding window.
    pub window: SlidingWindow,
    /// Number of groups that channels are split into.
    pub group: i64,
}

/// A Conv with the given window and number of groups.
pub fn conv(window: SlidingWindow, group: i64) -> Arc<dyn Op> {
    Arc::new(Conv { window, group })
}

/// A convolution with its attributes resolved against shapes. For a transposed one, input and output of the axes and
/// channels are those of the convolution that it transposes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ConvShape {
    pub(crate) batches: usize,
    pub(crate) groups: usize,
    /// Input channels of one group.
    pub(crate) channels: usize,
    /// Output channels of one group.
    pub(crate) filters: usize,
    pub(crate) axes: Vec<WindowAxis>,
}

impl ConvShape {
    /// Elements of one input channel.
    pub(crate) fn input_area(&self) -> usize {
        self.axes.iter().map(|a| a.input).product()
    }

    /// Elements of one output channel.
    pub(crate) fn output_area(&self) -> usize {
        self.axes.iter().map(|a| a.output).product()
    }

    /// Taps of the kernel.
    pub(crate) fn taps(&self) -> usize {
        self.axes.iter().map(|a| a.kernel).product()
    }

    /// Offers all kernels that serve this convolution.
    fn offer(&self, io: &Io, offers: &mut Offers) -> Result<()> {
        let caps = offers.caps();
        let ranks = match software::offer(self, io, offers) {
            Some(ranks) => ranks,
            None if self.filters < FEW_FILTERS && depthwise::check(self).is_err() => RANKS_OF_FEW_FILTERS,
            None => RANKS,
        };
        offers.add("depthwise", ranks.depthwise, || depthwise::lower(self, io, caps));
        offers.add("direct", ranks.direct, || direct::lower(self, io, caps));
        if self.channels == 0 {
            return Ok(());
        }
        if !self.is_whole() && !self.is_pointwise() {
            offers.add("taps64", ranks.taps, || tiled::lower(self, io, caps));
            offers.add("winograd", ranks.winograd, || winograd::lower(self, io, caps));
        }
        offers.group(ranks.product, |inner| product::offer(self, io, inner))
    }

    /// Floating-point operations and least bytes moved.
    pub(crate) fn work(&self) -> (u64, u64) {
        let (batches, groups) = (self.batches as u64, self.groups as u64);
        let (weights, outputs) = (
            groups * (self.filters * self.channels * self.taps()) as u64,
            batches * groups * (self.filters * self.output_area()) as u64,
        );
        let inputs = batches * groups * (self.channels * self.input_area()) as u64;
        (2 * outputs * (self.channels * self.taps()) as u64, 4 * (weights + inputs + outputs))
    }
}

/// The elements of constant weights.
fn floats(tensor: &Tensor) -> Cow<'_, [f32]> {
    match tensor.as_slice::<f32>() {
        Ok(data) => Cow::Borrowed(data),
        Err(_) => tensor.to_f64().iter().map(|x| *x as f32).collect(),
    }
}

/// Number of groups and channels per group, checked against the channels there are.
fn split_groups(group: i64, channels: usize) -> Result<(usize, usize)> {
    match usize::try_from(group) {
        Ok(groups) if groups > 0 && channels.is_multiple_of(groups) => Ok((groups, channels / groups)),
        _ => Err(Error::invalid_model(format!("group is {group}: expected a divisor of the {channels} channels"))),
    }
}

/// Checks that data, weights and bias are float tensors of one dtype and of ranks that fit.
fn check_types(name: &'static str, inputs: &[Option<&TensorType>]) -> Result<()> {
    let (x, w) = (required(name, inputs, 0)?, required(name, inputs, 1)?);
    if !x.dtype.is_float() || x.dtype != w.dtype {
        return Err(Error::invalid_model(format!("{name} takes data and weights of one float type, found {x} and {w}")));
    }
    if x.shape.rank() < 3 || x.shape.rank() != w.shape.rank() {
        return Err(Error::invalid_model(format!("{name} takes data and weights of one rank of at least 3, found {x} and {w}")));
    }
    Ok(())
}

/// Checks an optional bias against the number of output channels.
fn check_bias(name: &'static str, bias: Option<&TensorType>, x: &TensorType, filters: usize) -> Result<()> {
    match bias {
        Some(bias) if bias.dtype != x.dtype || bias.shape.dims() != [filters] => {
            Err(Error::invalid_model(format!("the bias of {name} is {bias}: expected {}[{filters}]", x.dtype)))
        }
        _ => Ok(()),
    }
}

/// Refuses what no kernel serves.
fn check_gpu(io: &Io, spatial: usize) -> Result<()> {
    if io.outputs[0].scalar() != Some(Scalar::F32) {
        return Err(Error::unsupported(format!("a convolution of {}: expected a float of at most 32 bits", io.outputs[0].ty)));
    }
    if spatial > 3 {
        return Err(Error::unsupported(format!("a convolution over {spatial} spatial axes: expected at most 3")));
    }
    Ok(())
}

/// Refuses weights that depend on a run, which cannot be packed when the model is loaded.
fn check_weights(io: &Io) -> Result<()> {
    match io.optional(1) {
        Some(weights) if weights.value.is_some() => Ok(()),
        _ => Err(Error::unsupported("the weights are not constant")),
    }
}

/// Refuses scratch of so many bytes where a binding, or indices of 32 bits, do not reach its end.
fn check_scratch(what: &str, bytes: u64, caps: &Caps) -> Result<()> {
    let limit = caps.max_storage_binding.min(u64::from(u32::MAX));
    if bytes > limit {
        return Err(Error::unsupported(format!("{what} take {bytes} bytes: expected at most {limit}")));
    }
    Ok(())
}

/// Gives a kernel that makes four neighbours at a time its epilogue, and `store_four` for rows of so many elements. Call it last, as
/// [`Io::attach_epilogue`].
pub(crate) fn with_stores(kernel: Kernel, bindings: &mut Vec<Operand>, row: usize, io: &Io, caps: &Caps) -> Result<Kernel> {
    if row.is_multiple_of(4) {
        io.attach_epilogue(kernel.prelude(&preludes::STORE_WIDTH4), bindings, 4, caps)
    } else {
        io.attach_epilogue(kernel.prelude(&preludes::STORE_WIDTH1), bindings, 1, caps)
    }
}

impl Conv {
    fn resolve(&self, inputs: &[Option<&TensorType>]) -> Result<ConvShape> {
        check_types("Conv", inputs)?;
        let (x, w) = (required("Conv", inputs, 0)?, required("Conv", inputs, 1)?);
        let (groups, channels) = split_groups(self.group, x.shape[1])?;
        let (_, filters) = split_groups(self.group, w.shape[0])?;
        if w.shape[1] != channels {
            return Err(Error::invalid_model(format!(
                "weights {w}: expected {channels} channels, as {x} has in each of {groups} groups"
            )));
        }
        check_bias("Conv", inputs.get(2).copied().flatten(), x, w.shape[0])?;
        let axes = self.window.resolve(&x.shape[2..], Some(&w.shape[2..]), false)?;
        Ok(ConvShape { batches: x.shape[0], groups, channels, filters, axes })
    }
}

/// The types behind facts or tensors.
fn types<'a, T>(inputs: &[Option<&'a T>], ty: impl Fn(&'a T) -> &'a TensorType) -> Vec<Option<&'a TensorType>> {
    inputs.iter().map(|i| i.map(&ty)).collect()
}

impl Op for Conv {
    fn name(&self) -> &'static str {
        "Conv"
    }

    crate::attributes!(window, group);

    fn infer(&self, inputs: &[Option<&Fact>]) -> Result<Vec<Fact>> {
        let conv = self.resolve(&types(inputs, |f| &f.ty))?;
        let dims = [conv.batches, conv.groups * conv.filters].into_iter().chain(conv.axes.iter().map(|a| a.output));
        Ok(vec![Fact::new(required("Conv", inputs, 0)?.dtype(), dims.collect::<Vec<_>>())])
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>> {
        let conv = self.resolve(&types(inputs, |t| t.ty()))?;
        let (x, w) = (required("Conv", inputs, 0)?, required("Conv", inputs, 1)?);
        let sums = reference::convolve(&conv, &x.to_f64(), &w.to_f64());
        let dims = [conv.batches, conv.groups * conv.filters].into_iter().chain(conv.axes.iter().map(|a| a.output));
        let ty = TensorType::new(x.dtype(), dims.collect::<Vec<_>>());
        Ok(vec![reference::with_bias(ty, &sums, inputs.get(2).copied().flatten())?])
    }

    fn lower(&self, io: &Io, offers: &mut Offers) -> Result<()> {
        let conv = self.resolve(&types(&io.inputs, |f| &f.ty))?;
        check_gpu(io, conv.axes.len())?;
        bias::with_bias(io, |io| conv.offer(io, offers))
    }

    fn gradient(&self, node: &Node, upstream: &[Option<ValueId>], wanted: &[bool], writer: &mut Writer) -> Result<Gradient> {
        let conv = self.resolve(&types(&writer.input_facts(node)?, |f| &f.ty))?;
        conv.gradient(false, node, upstream, wanted, writer)
    }

    fn takes_epilogue(&self) -> bool {
        true
    }
}
