//! Conv: sums of products of a sliding window with weights, in groups of channels.

mod bias;
mod depthwise;
mod direct;
mod fold;
mod product;
mod reference;
mod rows;
mod subgroup;
mod tiled;
mod transpose;
mod unfold;
mod window;
mod winograd;

use super::Registration;
use crate::error::{Error, Result};
use crate::graph::{Fact, Io, Op, required};
use crate::kernel::{Caps, Lowering};
use crate::tensor::{Scalar, Tensor, TensorType};
use std::borrow::Cow;
use std::sync::Arc;

pub use transpose::{ConvTranspose, conv_transpose};
pub(crate) use window::Axis;
pub use window::{AutoPad, Window};

pub(super) static REGISTRATION: Registration = Registration {
    operators: &["Conv", "ConvTranspose"],
    shaders: &[
        &depthwise::SHADER,
        &direct::SHADER,
        &direct::TRANSPOSED,
        &fold::SHADER,
        &subgroup::LINES,
        &subgroup::SHADER,
        &tiled::SHADER,
        &unfold::SHADER,
        &winograd::INPUT,
        &winograd::OUTPUT,
        &winograd::SUBGROUP,
    ],
};

/// Filters of a group below which a matrix product does not pay.
const FEW_FILTERS: usize = 4;

/// ONNX Conv over any number of spatial axes: data, weights, and an optional bias per output channel.
#[derive(Clone, Debug, PartialEq)]
pub struct Conv {
    /// The sliding window.
    pub window: Window,
    /// Number of groups that channels are split into.
    pub group: i64,
}

/// A Conv with the given window and number of groups.
pub fn conv(window: Window, group: i64) -> Arc<dyn Op> {
    Arc::new(Conv { window, group })
}

/// A convolution with its attributes resolved against shapes. For a transposed one, input and output of the axes and
/// channels are those of the convolution that it transposes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Problem {
    pub(crate) batches: usize,
    pub(crate) groups: usize,
    /// Input channels of one group.
    pub(crate) channels: usize,
    /// Output channels of one group.
    pub(crate) filters: usize,
    pub(crate) axes: Vec<Axis>,
}

impl Problem {
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

    /// All kernels that serve this convolution, the best first.
    fn candidates(&self, io: &Io, caps: &Caps) -> Result<Vec<Lowering>> {
        let direct = direct::lower(self, io, caps);
        let mut candidates = if self.channels == 0 { vec![] } else { product::lower(self, io, caps)? };
        let depthwise = depthwise::lower(self, io, caps)?;
        match direct {
            // A tile of a few filters would stand empty for the most part.
            Ok(direct) if (self.filters < FEW_FILTERS || caps.avoids_barriers()) && depthwise.is_empty() => {
                candidates.insert(0, direct)
            }
            Ok(direct) => candidates.push(direct),
            Err(error) if candidates.is_empty() => return Err(error),
            Err(_) => {}
        }
        candidates.splice(0..0, depthwise);
        Ok(candidates)
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

/// The three spatial axes, those that are not there of extent 1.
fn spatial(problem: &Problem) -> [Axis; 3] {
    let mut axes = [Axis::ABSENT; 3];
    axes[3 - problem.axes.len()..].copy_from_slice(&problem.axes);
    axes
}

/// The taps and steps of a window as the constants of a kernel; its extents are parameters, so that layers share kernels.
fn window(axes: &[Axis; 3]) -> Vec<(&'static str, u32)> {
    let [_, height, width] = axes;
    vec![
        ("KERNEL_HEIGHT", height.kernel as u32),
        ("KERNEL_WIDTH", width.kernel as u32),
        ("STRIDE_HEIGHT", height.stride as u32),
        ("STRIDE_WIDTH", width.stride as u32),
        ("DILATION_HEIGHT", height.dilation as u32),
        ("DILATION_WIDTH", width.dilation as u32),
        ("BEGIN_HEIGHT", height.begin as u32),
        ("BEGIN_WIDTH", width.begin as u32),
    ]
}

/// The extents and steps of a window as the constants of a kernel.
fn extents(axes: &[Axis; 3]) -> Vec<(&'static str, u32)> {
    let names: [[&'static str; 3]; 6] = [
        ["INPUT_DEPTH", "INPUT_HEIGHT", "INPUT_WIDTH"],
        ["OUTPUT_DEPTH", "OUTPUT_HEIGHT", "OUTPUT_WIDTH"],
        ["KERNEL_DEPTH", "KERNEL_HEIGHT", "KERNEL_WIDTH"],
        ["STRIDE_DEPTH", "STRIDE_HEIGHT", "STRIDE_WIDTH"],
        ["DILATION_DEPTH", "DILATION_HEIGHT", "DILATION_WIDTH"],
        ["BEGIN_DEPTH", "BEGIN_HEIGHT", "BEGIN_WIDTH"],
    ];
    let values = |a: &Axis| [a.input as u32, a.output as u32, a.kernel as u32, a.stride as u32, a.dilation as u32, a.begin as u32];
    let row = |(k, row): (usize, &[&'static str; 3])| [0, 1, 2].map(|axis| (row[axis], values(&axes[axis])[k]));
    names.iter().enumerate().flat_map(row).collect()
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

impl Conv {
    fn problem(&self, inputs: &[Option<&TensorType>]) -> Result<Problem> {
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
        Ok(Problem { batches: x.shape[0], groups, channels, filters, axes })
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

    fn infer(&self, inputs: &[Option<&Fact>]) -> Result<Vec<Fact>> {
        let problem = self.problem(&types(inputs, |f| &f.ty))?;
        let dims = [problem.batches, problem.groups * problem.filters].into_iter().chain(problem.axes.iter().map(|a| a.output));
        Ok(vec![Fact::new(required("Conv", inputs, 0)?.dtype(), dims.collect::<Vec<_>>())])
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>> {
        let problem = self.problem(&types(inputs, |t| t.ty()))?;
        let (x, w) = (required("Conv", inputs, 0)?, required("Conv", inputs, 1)?);
        let sums = reference::convolve(&problem, &x.to_f64(), &w.to_f64());
        let dims = [problem.batches, problem.groups * problem.filters].into_iter().chain(problem.axes.iter().map(|a| a.output));
        let ty = TensorType::new(x.dtype(), dims.collect::<Vec<_>>());
        Ok(vec![reference::with_bias(ty, &sums, inputs.get(2).copied().flatten())?])
    }

    fn candidates(&self, io: &Io, caps: &Caps) -> Result<Vec<Lowering>> {
        if io.outputs[0].ty.elements() == 0 {
            return Ok(vec![Lowering::empty()]);
        }
        let problem = self.problem(&types(&io.inputs, |f| &f.ty))?;
        check_gpu(io, problem.axes.len())?;
        bias::with_bias(io, |io| problem.candidates(io, caps))
    }

    fn takes_epilogue(&self) -> bool {
        true
    }
}
