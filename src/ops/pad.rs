//! Pad: elements added around a tensor, or taken away where a pad is negative.

use super::Registration;
use super::concat::union;
use super::copy::RUN;
use super::movement::{known, known_optional, no_scalar, pick, unravel};
use crate::error::{Error, Result};
use crate::graph::{Fact, Io, Op, required};
use crate::kernel::{Access, AdapterClass, Caps, Dispatch, Kernel, Lowering, Operand, params, preludes, shader};
use crate::tensor::{MAX_RANK, Scalar, Shape, Tensor, View};
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

const WORKGROUP: u32 = 64;

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

impl Pad {
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

/// An element as it stands in a storage buffer.
pub(super) fn bits(value: &Tensor, scalar: Scalar) -> u32 {
    match scalar {
        Scalar::F32 => value.to_f64().first().map_or(0, |v| (*v as f32).to_bits()),
        // Bounds were proven, so that nothing is cut off but the sign's extension.
        Scalar::I32 | Scalar::U32 => value.to_i128().first().map_or(0, |v| *v as u32),
    }
}

impl Op for Pad {
    fn name(&self) -> &'static str {
        "Pad"
    }

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
        let facts = super::movement::facts(inputs);
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

    fn candidates(&self, io: &Io, caps: &Caps) -> Result<Vec<Lowering>> {
        let (data, output) = (io.input(0)?, io.outputs[0]);
        let Some(scalar) = data.scalar().filter(|s| output.scalar() == Some(*s)) else { return Err(no_scalar(output)) };
        if output.ty.elements() == 0 {
            return Ok(vec![Lowering::empty()]);
        }
        let padding = self.padding(&io.inputs)?;
        if padding.shape == *data.shape() && padding.before.iter().all(|n| *n == 0) {
            return Ok(vec![Lowering::Alias { input: 0 }]);
        }
        let fill = io.optional(2);
        if fill.is_some_and(|f| f.scalar() != Some(scalar)) {
            return Err(Error::unsupported("the number to pad with lives on the host"));
        }
        let known = fill.and_then(|f| f.value.as_ref());
        let fill_is_input = fill.is_some() && known.is_none();
        let mut params = PadParams {
            extents: [1; MAX_RANK],
            source_extents: [1; MAX_RANK],
            strides: [0; MAX_RANK],
            before: [0; MAX_RANK],
            count: 0,
            fill: known.map_or(0, |value| bits(value, scalar)),
            fill_is_input: fill_is_input.into(),
        };
        // Neighbouring axes that are not padded are joined.
        let mut axes = 0;
        let mut joinable = false;
        let strides = data.shape().strides();
        for (k, &stride) in strides.iter().enumerate() {
            let (extent, source) = (padding.shape[k], data.shape()[k]);
            let plain = extent == source && padding.before[k] == 0;
            if plain && joinable {
                axes -= 1;
                params.extents[axes] *= extent as u32;
                params.source_extents[axes] *= source as i32;
            } else {
                params.extents[axes] = extent as u32;
                params.source_extents[axes] = source as i32;
                params.before[axes] = i32::try_from(padding.before[k]).map_err(|_| Error::limit("a pad exceeds 32 bits"))?;
            }
            params.strides[axes] = stride as u32;
            joinable = plain;
            axes += 1;
        }
        let run = if caps.class == AdapterClass::Cpu { RUN } else { 1 };
        let inner = params.extents[axes.max(1) - 1] as usize;
        params.count = (output.ty.elements() / inner * inner.div_ceil(run)) as u32;
        let kernel = Kernel::new(&PAD, &[Access::Read, Access::Read, Access::Write], [WORKGROUP, 1, 1])
            .prelude(&preludes::DIVIDE)
            .set("AXES", axes as u32)
            .set("RUN", run as u32)
            .set("MODE", self.mode as u32);
        let bindings = vec![Operand::Input(0), Operand::Input(if fill_is_input { 2 } else { 0 }), Operand::Output(0)];
        let grid = Dispatch::linear_grid(u64::from(params.count).div_ceil(WORKGROUP.into()), caps)?;
        let dispatch = Dispatch::new(kernel, params, bindings, grid).work(0, data.gpu_bytes() + output.gpu_bytes());
        Ok(vec![Lowering::dispatches("pad", vec![dispatch])])
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
