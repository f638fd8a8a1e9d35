//! Pad: elements added around a tensor, or taken away where a pad is negative.

mod gradient;

use super::Registration;
use super::shared::{WORKGROUP, axis_parameters, bits, facts, known, known_optional, no_scalar, one_each, pick, union, unravel};
use crate::error::{Error, Result};
use crate::graph::{Fact, Gradient, Io, Node, Op, ValueId, Writer, required};
use crate::kernel::{Access, Caps, Dispatch, Kernel, Lowering, Offers, Operand, params, preludes, shader, u32s};
use crate::tensor::{Shape, Tensor, View};
use std::sync::Arc;

params! {
    /// Parameters of `pad.wgsl`.
    struct PadParams {
        extents: [u32; 8],
        source_extents: [i32; 8],
        strides: [u32; 8],
        before: [i32; 8],
        count: u32,
        fill: u32,
        fill_is_input: u32,
    }
}

shader!(static PAD: PadParams = "pad");

/// The operator of this file.
pub static REGISTRATION: Registration = Registration { operators: &["Pad"], shaders: &[&PAD] };

/// What is put around the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PadMode {
    /// One number: input 2, or zero.
    Constant,
    /// The data mirrored at its first and last element, which are not repeated.
    Reflect,
    /// The first and last element.
    Edge,
    /// The data over again.
    Wrap,
}

crate::attributes!(
    enum PadMode {
        Constant,
        Reflect,
        Edge,
        Wrap,
    }
);

impl PadMode {
    /// The mode that the ONNX attribute `mode` names.
    ///
    /// # Errors
    /// [`InvalidModel`](crate::ErrorKind::InvalidModel) when there is no such mode.
    pub fn from_name(name: &str) -> Result<Self> {
        Ok(match name {
            "constant" => PadMode::Constant,
            "reflect" => PadMode::Reflect,
            "edge" => PadMode::Edge,
            "wrap" => PadMode::Wrap,
            _ => return Err(Error::invalid_model(format!("expected pad mode constant, reflect, edge or wrap, found `{name}`"))),
        })
    }

    /// The element of the data that stands at `index`, counted from the data's start; `None` for the constant.
    fn source(self, index: i64, extent: i64) -> Option<usize> {
        let source = match self {
            PadMode::Constant => return (0..extent).contains(&index).then_some(index as usize),
            PadMode::Edge => index.clamp(0, extent - 1),
            PadMode::Wrap => index.rem_euclid(extent),
            PadMode::Reflect if extent == 1 => 0,
            PadMode::Reflect => {
                let period = 2 * (extent - 1);
                let phase = index.rem_euclid(period);
                phase.min(period - phase)
            }
        };
        Some(source as usize)
    }
}

/// ONNX Pad: input 1 holds the pads before, then after each axis (of those in input 3, or all), input 2 the constant.
#[derive(Clone, Debug, PartialEq)]
pub struct Pad {
    /// What is put around the data.
    pub mode: PadMode,
}

/// Pad by the numbers in input 1 (and the constant in input 2, along the axes in input 3).
pub fn pad(mode: PadMode) -> Arc<dyn Op> {
    Arc::new(Pad { mode })
}

/// Pads before each axis, and the output's shape.
struct Padding {
    before: Vec<i64>,
    shape: Shape,
}

/// An axis of the output, or neighbours that are not padded and so walked as one.
struct PaddedAxis {
    extent: usize,
    before: i64,
    /// Of the data.
    source_extent: usize,
    stride: usize,
}

impl Padding {
    /// The axes of the output, those that are not padded joined with their neighbours.
    fn axes(&self, data: &Shape) -> Vec<PaddedAxis> {
        let mut axes: Vec<PaddedAxis> = Vec::new();
        let is_plain = |axis: &PaddedAxis| axis.extent == axis.source_extent && axis.before == 0;
        for (k, stride) in data.strides().into_iter().enumerate() {
            let axis = PaddedAxis { extent: self.shape[k], before: self.before[k], source_extent: data[k], stride };
            match axes.last_mut() {
                Some(outer) if is_plain(outer) && is_plain(&axis) => {
                    let extent = outer.extent * axis.extent;
                    *outer = PaddedAxis { extent, source_extent: extent, ..axis };
                }
                _ => axes.push(axis),
            }
        }
        axes
    }
}

/// The number to pad with.
#[derive(Clone, Copy)]
enum Fill {
    /// Known, by its bits.
    Bits(u32),
    /// Input 2.
    Input,
}

impl Pad {
    /// The kernel over so many elements of the output.
    fn dispatch(&self, axes: &[PaddedAxis], fill: Fill, elements: usize, caps: &Caps) -> Result<Dispatch> {
        let inner = axes.last().map_or(1, |axis| axis.extent);
        let runs = elements / inner * inner.div_ceil(caps.run());
        let [count, axis_count, run] = u32s([runs, axes.len(), caps.run()])?;
        let (fill, fill_is_input, fill_binding) = match fill {
            Fill::Bits(bits) => (bits, 0, Operand::Nothing),
            Fill::Input => (0, 1, Operand::Input(2)),
        };
        let params = PadParams {
            extents: axis_parameters(axes.iter().map(|axis| axis.extent), 1)?,
            source_extents: axis_parameters(axes.iter().map(|axis| axis.source_extent), 1)?,
            strides: axis_parameters(axes.iter().map(|axis| axis.stride), 0)?,
            before: axis_parameters(axes.iter().map(|axis| axis.before), 0)?,
            count,
            fill,
            fill_is_input,
        };
        let kernel = Kernel::new(&PAD, &[Access::Read, Access::Read, Access::Write], [WORKGROUP, 1, 1])
            .prelude(&preludes::DIVIDE)
            .set("AXES", axis_count)
            .set("RUN", run)
            .set("MODE", self.mode as u32);
        one_each(kernel, params, runs, vec![Operand::Input(0), fill_binding, Operand::Output(0)], caps)
    }

    fn padding(&self, inputs: &[Option<&Fact>]) -> Result<Padding> {
        let data = required("Pad", inputs, 0)?.shape();
        let pads = known("Pad", inputs, 1)?;
        let axes = known_optional("Pad", inputs, 3)?.unwrap_or_else(|| (0..data.rank() as i64).collect());
        if pads.len() != 2 * axes.len() {
            return Err(Error::invalid_model(format!("expected {} pads for {} axes, found {pads:?}", 2 * axes.len(), axes.len())));
        }
        let mut before = vec![0; data.rank()];
        let mut dims = data.to_vec();
        for (k, axis) in axes.iter().enumerate() {
            let axis = data.axis(*axis)?;
            let extent = i128::from(pads[k]) + i128::from(pads[axes.len() + k]) + data[axis] as i128;
            before[axis] = pads[k];
            dims[axis] = usize::try_from(extent)
                .map_err(|_| Error::invalid_model(format!("pads {pads:?} take more away than {data} has along axis {axis}")))?;
            if data[axis] == 0 && extent > 0 && self.mode != PadMode::Constant {
                return Err(Error::invalid_model(format!(
                    "axis {axis} of {data} has no element to pad with: expected mode constant"
                )));
            }
        }
        Ok(Padding { before, shape: dims.into() })
    }
}

impl Op for Pad {
    fn name(&self) -> &'static str {
        "Pad"
    }

    crate::attributes!(mode);

    fn infer(&self, inputs: &[Option<&Fact>]) -> Result<Vec<Fact>> {
        let data = required("Pad", inputs, 0)?;
        let padding = self.padding(inputs)?;
        let mut bounds = data.bounds;
        if self.mode == PadMode::Constant {
            let fill = inputs.get(2).copied().flatten();
            if let Some(fill) = fill
                && (fill.dtype() != data.dtype() || fill.ty.elements() != 1)
            {
                return Err(Error::invalid_model(format!("expected one {} to pad with, found {}", data.dtype(), fill.ty)));
            }
            bounds = union(data.bounds(), fill.map_or(Some((0, 0)), Fact::bounds));
        }
        Ok(vec![Fact::new(data.dtype(), padding.shape).bounded(bounds)])
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>> {
        let data = required("Pad", inputs, 0)?;
        let facts = facts(inputs);
        let padding = self.padding(&facts.iter().map(Option::as_ref).collect::<Vec<_>>())?;
        let strides = data.shape().strides();
        let source = |place: usize| {
            let index = unravel(place, &padding.shape);
            (0..index.len()).try_fold(0, |position, k| {
                let at = self.mode.source(index[k] as i64 - padding.before[k], data.shape()[k] as i64)?;
                Some(position + at * strides[k])
            })
        };
        let fill = inputs.get(2).copied().flatten();
        Ok(vec![pick(data, fill, &padding.shape, (0..padding.shape.elements()).map(source))?])
    }

    fn lower(&self, io: &Io, offers: &mut Offers) -> Result<()> {
        let (data, output) = (io.input(0)?, io.outputs[0]);
        let Some(scalar) = data.scalar().filter(|s| output.scalar() == Some(*s)) else { return Err(no_scalar(output)) };
        let padding = self.padding(&io.inputs)?;
        if padding.shape == *data.shape() && padding.before.iter().all(|n| *n == 0) {
            offers.alias(0);
            return Ok(());
        }
        let fill = io.optional(2);
        if fill.is_some_and(|f| f.scalar() != Some(scalar)) {
            return Err(Error::unsupported("the number to pad with lives on the host"));
        }
        let known = fill.and_then(|f| f.value.as_ref());
        let fill = match (fill, known) {
            (_, Some(value)) => Fill::Bits(bits(value, scalar)),
            (Some(_), None) => Fill::Input,
            (None, None) => Fill::Bits(0),
        };
        let caps = offers.caps();
        offers.only("pad", || {
            let dispatch = self.dispatch(&padding.axes(data.shape()), fill, output.ty.elements(), caps)?;
            Ok(Lowering::new(vec![dispatch.work(0, data.gpu_bytes() + output.gpu_bytes())]))
        });
        Ok(())
    }

    fn gradient(&self, node: &Node, upstream: &[Option<ValueId>], wanted: &[bool], writer: &mut Writer) -> Result<Gradient> {
        gradient::gradient(self, node, upstream, wanted, writer)
    }

    fn view(&self, inputs: &[Option<&Fact>], _: usize) -> Option<View> {
        let padding = self.padding(inputs).ok()?;
        let data = required("Pad", inputs, 0).ok()?.shape();
        let mut view = View::contiguous(data);
        for k in 0..data.rank() {
            let start = usize::try_from(padding.before[k].checked_neg()?).ok()?;
            if start + padding.shape[k] > data[k] {
                return None;
            }
            view = view.slice(k, start, padding.shape[k], 1);
        }
        Some(view)
    }
}
