//! Resize: images (or any axes) resampled to another size.

use super::Registration;
use super::copy::RUN;
use super::movement::no_scalar;
use super::pad::bits;
use super::resample::{Axis, Coordinates, Interpolation, Ratio, Rounding, Rules, Taps};
use crate::error::{Error, Result};
use crate::graph::{Fact, Io, Op, required};
use crate::kernel::{Access, AdapterClass, Caps, Dispatch, Kernel, Lowering, Operand, Packing, params, preludes, shader};
use crate::tensor::{Shape, Tensor, TensorType};
use std::sync::Arc;

params! {
    /// Parameters of `resize.wgsl`.
    struct ResizeParams {
        first_input: u32,
        first_output: u32,
        between: u32,
        second_input: u32,
        second_output: u32,
        inner: u32,
        second_table: u32,
        outside: u32,
        count: u32,
    }
}

shader!(static RESIZE: ResizeParams = "resize");

/// The operator of this file.
pub static REGISTRATION: Registration = Registration { operators: &["Resize"], shaders: &[&RESIZE] };

const WORKGROUP: u32 = 64;

/// What is done where the wanted sizes have another aspect ratio than the input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AspectRatio {
    /// The sizes hold.
    #[default]
    Stretch,
    /// The aspect ratio holds, and no size is exceeded.
    NotLarger,
    /// The aspect ratio holds, and no size is missed.
    NotSmaller,
}

impl AspectRatio {
    /// The policy that ONNX names.
    ///
    /// # Errors
    /// [`InvalidModel`](crate::ErrorKind::InvalidModel) when there is no such policy.
    pub fn from_name(name: &str) -> Result<Self> {
        Ok(match name {
            "stretch" => AspectRatio::Stretch,
            "not_larger" => AspectRatio::NotLarger,
            "not_smaller" => AspectRatio::NotSmaller,
            _ => return Err(Error::invalid_model(format!("the policy `{name}` for aspect ratios does not exist"))),
        })
    }
}

/// ONNX Resize: inputs 1 to 3 are the region, the scales and the sizes; one of the last two is given.
#[derive(Clone, Debug, PartialEq)]
pub struct Resize {
    /// How neighbours are weighed.
    pub interpolation: Interpolation,
    /// How output indices are mapped to coordinates of the input.
    pub coordinates: Coordinates,
    /// Widen the filter where the output is smaller.
    pub antialias: bool,
    /// Neighbours outside of the input weigh nothing, instead of as much as the last element.
    pub exclude_outside: bool,
    /// What stands where the region reaches out of the input.
    pub extrapolation: f32,
    /// What is done about aspect ratios.
    pub aspect_ratio: AspectRatio,
    /// The axes that the inputs speak of; `None` for all.
    pub axes: Option<Vec<i64>>,
}

impl Default for Resize {
    fn default() -> Self {
        Resize {
            interpolation: Interpolation::Nearest(Rounding::PreferFloor),
            coordinates: Coordinates::HalfPixel,
            antialias: false,
            exclude_outside: false,
            extrapolation: 0.0,
            aspect_ratio: AspectRatio::Stretch,
            axes: None,
        }
    }
}

/// Resize as its fields say.
pub fn resize(op: Resize) -> Arc<dyn Op> {
    Arc::new(op)
}

/// The contents of an optional input of floats or integers; an empty one counts as left out.
fn numbers(inputs: &[Option<&Fact>], index: usize) -> Result<Option<Vec<f64>>> {
    match inputs.get(index).copied().flatten() {
        None => Ok(None),
        Some(fact) if fact.ty.elements() == 0 => Ok(None),
        Some(fact) => fact.value.as_ref().map(|v| Some(v.to_f64())).ok_or_else(|| Error::needs_value(index)),
    }
}

impl Resize {
    fn rules(&self) -> Rules {
        let Resize { interpolation, coordinates, antialias, exclude_outside, .. } = *self;
        Rules { interpolation, coordinates, antialias, exclude_outside }
    }

    /// How each axis of the data is resampled.
    fn plan(&self, inputs: &[Option<&Fact>]) -> Result<Vec<Axis>> {
        let data = required("Resize", inputs, 0)?.shape();
        let axes: Vec<usize> = match &self.axes {
            None => (0..data.rank()).collect(),
            Some(axes) => axes.iter().map(|a| data.axis(*a)).collect::<Result<_>>()?,
        };
        let identity = |d: &usize| Axis { input: *d, output: *d, ratio: Ratio::new(1.0, 1.0), region: (0.0, 1.0) };
        let mut plan: Vec<Axis> = data.iter().map(identity).collect();
        let fits = |name: &str, found: usize, expected: usize| match found == expected {
            true => Ok(()),
            false => Err(Error::invalid_model(format!("Resize expects {expected} {name} for {} axes, found {found}", axes.len()))),
        };
        match (numbers(inputs, 2)?, numbers(inputs, 3)?) {
            (Some(scales), None) => {
                fits("scales", scales.len(), axes.len())?;
                for (&axis, &scale) in axes.iter().zip(&scales) {
                    if !(scale > 0.0 && scale.is_finite()) {
                        return Err(Error::invalid_model(format!("Resize expects positive scales, found {scales:?}")));
                    }
                    let scale = scale as f32;
                    plan[axis].ratio = Ratio::of_scale(scale);
                    // As exporters and shape inference compute it, in 32 bits: 10 * 0.7 is 7.
                    plan[axis].output = (scale * data[axis] as f32).floor() as usize;
                }
            }
            (None, Some(sizes)) => {
                fits("sizes", sizes.len(), axes.len())?;
                let ratios = || axes.iter().zip(&sizes).map(|(axis, size)| Ratio::new(*size, data[*axis] as f64));
                let by_scale = |a: &Ratio, b: &Ratio| a.scale().total_cmp(&b.scale());
                let common = match self.aspect_ratio {
                    AspectRatio::Stretch => None,
                    AspectRatio::NotLarger => ratios().min_by(by_scale),
                    AspectRatio::NotSmaller => ratios().max_by(by_scale),
                };
                for ((&axis, &size), ratio) in axes.iter().zip(&sizes).zip(ratios()) {
                    plan[axis].ratio = common.unwrap_or(ratio);
                    plan[axis].output = common.map_or(size, |c| (c.enlarge(data[axis] as f64) + 0.5).floor()) as usize;
                }
            }
            _ => return Err(Error::invalid_model("Resize expects either scales or sizes")),
        }
        if self.coordinates == Coordinates::CropAndResize {
            let region = numbers(inputs, 1)?.ok_or_else(|| Error::invalid_model("Resize of a region expects it as input 1"))?;
            fits("bounds of a region", region.len(), 2 * axes.len())?;
            for (k, &axis) in axes.iter().enumerate() {
                plan[axis].region = (region[k], region[axes.len() + k]);
            }
        }
        match plan.iter().find(|a| a.input == 0 && a.output > 0) {
            Some(axis) => Err(Error::invalid_model(format!("an axis without elements cannot be resized to {}", axis.output))),
            None => Ok(plan),
        }
    }
}

impl Op for Resize {
    fn name(&self) -> &'static str {
        "Resize"
    }

    fn infer(&self, inputs: &[Option<&Fact>]) -> Result<Vec<Fact>> {
        let data = required("Resize", inputs, 0)?;
        let shape: Vec<usize> = self.plan(inputs)?.iter().map(|a| a.output).collect();
        let keeps = matches!(self.interpolation, Interpolation::Nearest(_)) && self.coordinates != Coordinates::CropAndResize;
        Ok(vec![Fact::new(data.dtype(), shape).bounded(data.bounds.filter(|_| keeps))])
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>> {
        let data = required("Resize", inputs, 0)?;
        let facts = super::movement::facts(inputs);
        let plan = self.plan(&facts.iter().map(Option::as_ref).collect::<Vec<_>>())?;
        let rules = self.rules();
        let mut dims = data.shape().to_vec();
        let mut values = data.to_f64();
        for (k, axis) in plan.iter().enumerate().filter(|(_, a)| !a.is_identity(&rules)) {
            if dims.contains(&0) {
                break;
            }
            let inner: usize = dims[k + 1..].iter().product();
            let outer: usize = dims[..k].iter().product();
            let taps = axis.taps(&rules);
            let mut next = Vec::with_capacity(outer * axis.output * inner);
            for row in 0..outer {
                for neighbours in &taps.neighbours {
                    for column in 0..inner {
                        let value = |(place, weight): &(usize, f64)| values[(row * axis.input + place) * inner + column] * weight;
                        next.push(neighbours.as_ref().map_or(self.extrapolation.into(), |n| n.iter().map(value).sum()));
                    }
                }
            }
            values = next;
            dims[k] = axis.output;
        }
        let ty = TensorType::new(data.dtype(), plan.iter().map(|a| a.output).collect::<Vec<_>>());
        if !data.dtype().is_float() {
            values.iter_mut().for_each(|v| *v = v.round_ties_even());
        }
        values.truncate(ty.elements());
        Ok(vec![Tensor::from_f64(ty, &values)?])
    }

    fn candidates(&self, io: &Io, caps: &Caps) -> Result<Vec<Lowering>> {
        let (data, output) = (io.input(0)?, io.outputs[0]);
        if output.ty.elements() == 0 {
            return Ok(vec![Lowering::empty()]);
        }
        let scalar = data.scalar().ok_or_else(|| no_scalar(data))?;
        let rules = self.rules();
        if !data.dtype().is_float() && !matches!(rules.interpolation, Interpolation::Nearest(_)) {
            return Err(Error::unsupported(format!("there is no kernel that interpolates {}", data.dtype())));
        }
        let plan = self.plan(&io.inputs)?;
        let resized: Vec<usize> = (0..plan.len()).filter(|k| !plan[*k].is_identity(&rules)).collect();
        if resized.is_empty() {
            return Ok(vec![Lowering::Alias { input: 0 }]);
        }
        let outside = Tensor::from_f64(TensorType::new(data.dtype(), Shape::scalar()), &[self.extrapolation.into()])?;
        // The tables hang onto the input that the sizes come from: it is known, so it is a constant.
        let constant = if numbers(&io.inputs, 2)?.is_some() { 2 } else { 3 };
        let (mut dispatches, mut packed, mut temporaries) = (Vec::new(), Vec::new(), Vec::new());
        let mut dims = data.shape().to_vec();
        let passes = resized.len().div_ceil(2);
        for (number, pair) in resized.chunks(2).enumerate() {
            let second = pair[pair.len() - 1];
            let first = Some(pair[0]).filter(|first| *first != second);
            let one = || Taps { count: 1, neighbours: vec![Some(vec![(0, 1.0)])] };
            let first_taps = first.map_or_else(one, |k| plan[k].taps(&rules));
            let second_taps = plan[second].taps(&rules);
            let work = first_taps.count.saturating_mul(second_taps.count + 1).saturating_mul(RUN);
            if work >= caps.max_loop as usize {
                return Err(Error::unsupported(format!("{work} taps exceed the longest loop of {}", caps.max_loop)));
            }
            let [first_input, first_output] = first.map_or([1, 1], |k| [dims[k], plan[k].output]);
            let between: usize = first.map_or(1, |k| dims[k + 1..second].iter().product());
            let [second_input, second_output] = [dims[second], plan[second].output];
            let inner: usize = dims[second + 1..].iter().product();
            pair.iter().for_each(|k| dims[*k] = plan[*k].output);
            let count = Shape::from(dims.as_slice()).elements();
            let mut table = table(&first_taps);
            let run = if caps.class == AdapterClass::Cpu { RUN } else { 1 };
            let invocations = count / second_output * second_output.div_ceil(run);
            let params = ResizeParams {
                first_input: first_input as u32,
                first_output: first_output as u32,
                between: between as u32,
                second_input: second_input as u32,
                second_output: second_output as u32,
                inner: inner as u32,
                second_table: table.len() as u32,
                outside: bits(&outside, scalar),
                count: u32::try_from(invocations).map_err(|_| Error::limit(format!("{count} elements exceed 32 bits")))?,
            };
            table.extend(self::table(&second_taps));
            let source = if number == 0 { Operand::Input(0) } else { Operand::Temporary(number - 1) };
            let destination = if number + 1 == passes { Operand::Output(0) } else { Operand::Temporary(number) };
            if number + 1 < passes {
                temporaries.push(count as u64 * 4);
            }
            let kernel = Kernel::new(&RESIZE, &[Access::Read, Access::Read, Access::Write], [WORKGROUP, 1, 1])
                .prelude(&preludes::DIVIDE)
                .set("RUN", run as u32)
                .set("FIRST_TAPS", first_taps.count as u32)
                .set("SECOND_TAPS", second_taps.count as u32);
            let grid = Dispatch::linear_grid((invocations as u64).div_ceil(WORKGROUP.into()), caps)?;
            let flops = 2 * (count * first_taps.count * second_taps.count) as u64;
            let dispatch = Dispatch::new(kernel, params, vec![source, Operand::Packed(number), destination], grid);
            dispatches.push(dispatch.work(flops, data.gpu_bytes() + count as u64 * 4));
            let pack = |_: &Tensor, table: &[u32]| bytemuck::cast_slice(table).to_vec();
            packed.push(Packing { input: constant, layout: "resize_taps", arguments: table, pack });
        }
        Ok(vec![Lowering::Dispatches { variant: "resize", dispatches, temporaries, packed, tables: vec![] }])
    }
}

/// A table as the kernel reads it: for each output element the input elements, then the bit patterns of their weights.
fn table(taps: &Taps) -> Vec<u32> {
    let mut table = Vec::with_capacity(taps.neighbours.len() * taps.count * 2);
    for neighbours in &taps.neighbours {
        match neighbours {
            Some(neighbours) => {
                table.extend(neighbours.iter().map(|(place, _)| *place as u32));
                table.extend(neighbours.iter().map(|(_, weight)| (*weight as f32).to_bits()));
            }
            None => table.extend(std::iter::repeat_n(u32::MAX, taps.count * 2)),
        }
    }
    table
}
