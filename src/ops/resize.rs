//! Resize: images (or any axes) resampled to another size.

use super::Registration;
use super::compose::Compose;
use super::gather::gather;
use super::reduce::Reduction;
use super::resample::{Coordinates, Interpolation, Ratio, ResampledAxis, Rounding, Rules, Taps};
use super::shared::{bits, facts, no_scalar};
use crate::error::{Error, Result};
use crate::graph::{Fact, Gradient, Io, Node, Op, ValueId, Writer, required};
use crate::kernel::{Access, Caps, Dispatch, Kernel, Lowering, Offers, Operand, Table, params, preludes, shader, u32s};
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

crate::attributes!(
    enum AspectRatio {
        Stretch,
        NotLarger,
        NotSmaller,
    }
);

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
    fn plan(&self, inputs: &[Option<&Fact>]) -> Result<Vec<ResampledAxis>> {
        let data = required("Resize", inputs, 0)?.shape();
        let axes: Vec<usize> = match &self.axes {
            None => (0..data.rank()).collect(),
            Some(axes) => axes.iter().map(|a| data.axis(*a)).collect::<Result<_>>()?,
        };
        let identity = |d: &usize| ResampledAxis { input: *d, output: *d, ratio: Ratio::new(1.0, 1.0), region: (0.0, 1.0) };
        let mut plan: Vec<ResampledAxis> = data.iter().map(identity).collect();
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

    crate::attributes!(interpolation, coordinates, antialias, exclude_outside, extrapolation, aspect_ratio, axes);

    fn infer(&self, inputs: &[Option<&Fact>]) -> Result<Vec<Fact>> {
        let data = required("Resize", inputs, 0)?;
        let shape: Vec<usize> = self.plan(inputs)?.iter().map(|a| a.output).collect();
        let keeps = matches!(self.interpolation, Interpolation::Nearest(_)) && self.coordinates != Coordinates::CropAndResize;
        Ok(vec![Fact::new(data.dtype(), shape).bounded(data.bounds.filter(|_| keeps))])
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>> {
        let data = required("Resize", inputs, 0)?;
        let facts = facts(inputs);
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

    fn lower(&self, io: &Io, offers: &mut Offers) -> Result<()> {
        let data = io.input(0)?;
        let scalar = data.scalar().ok_or_else(|| no_scalar(data))?;
        let rules = self.rules();
        if !data.dtype().is_float() && !matches!(rules.interpolation, Interpolation::Nearest(_)) {
            return Err(Error::unsupported(format!("there is no kernel that interpolates {}", data.dtype())));
        }
        let axes = self.plan(&io.inputs)?;
        if axes.iter().all(|axis| axis.is_identity(&rules)) {
            offers.alias(0);
            return Ok(());
        }
        let outside = Tensor::from_f64(TensorType::new(data.dtype(), Shape::scalar()), &[self.extrapolation.into()])?;
        let caps = offers.caps();
        offers.only("resize", || resample(data, &axes, &rules, bits(&outside, scalar), caps));
        Ok(())
    }

    fn gradient(&self, node: &Node, upstream: &[Option<ValueId>], wanted: &[bool], writer: &mut Writer) -> Result<Gradient> {
        let Some(worth) = upstream.first().copied().flatten() else { return Ok(Gradient::Zero) };
        let plan = self.plan(&writer.input_facts(node)?)?;
        if plan.iter().any(|axis| axis.output == 0) {
            return Ok(Gradient::Zero);
        }
        let rules = self.rules();
        let (mut sum, mut extents) = (worth, plan.iter().map(|a| a.output).collect::<Vec<_>>());
        for (k, axis) in plan.iter().enumerate().filter(|(_, a)| !a.is_identity(&rules)) {
            sum = gathered(sum, k, &axis.taps(&rules).transposed(axis.input), &mut extents, writer)?;
        }
        let mut found = vec![None; wanted.len()];
        found.iter_mut().take(1).for_each(|first| *first = Some(sum));
        Ok(Gradient::Inputs(found))
    }
}

/// Each element along an axis as the sum of the elements that its taps name, weighed. The extents become those of the result.
fn gathered(value: ValueId, axis: usize, taps: &Taps, extents: &mut [usize], writer: &mut Writer) -> Result<ValueId> {
    let (outer, inner) = (extents[..axis].iter().product(), extents[axis + 1..].iter().product());
    let (made, count) = (taps.neighbours.len(), taps.count);
    let all = || taps.neighbours.iter().flatten().flatten();
    let places: Vec<i64> = all().map(|(place, _)| *place as i64).collect();
    let weights: Vec<f64> = all().map(|(_, weight)| *weight).collect();
    let dtype = writer.fact(value)?.dtype();
    let places = writer.tensor(Tensor::vector(&places));
    let weights = writer.tensor(Tensor::from_f64(TensorType::new(dtype, [made, count, 1]), &weights)?);
    let lines = writer.reshape(value, &[outer, extents[axis], inner])?;
    let parts = writer.apply(gather(1), &[lines, places])?;
    let parts = writer.reshape(parts, &[outer, made, count, inner])?;
    let parts = writer.function("Mul", &[parts, weights])?;
    let sums = writer.reduced(Reduction::Sum, parts, &[2])?;
    extents[axis] = made;
    writer.reshape(sums, extents)
}

/// The variant: a dispatch for each two of the axes that change, with temporaries between them.
fn resample(data: &Fact, axes: &[ResampledAxis], rules: &Rules, outside: u32, caps: &Caps) -> Result<Lowering> {
    let changed: Vec<usize> = (0..axes.len()).filter(|k| !axes[*k].is_identity(rules)).collect();
    let last = changed.len().div_ceil(2) - 1;
    let mut extents = data.shape().to_vec();
    let (mut dispatches, mut tables, mut temporaries) = (Vec::new(), Vec::new(), Vec::new());
    for (number, pair) in changed.chunks(2).enumerate() {
        let pass = Pass::new(axes, pair, rules, &mut extents);
        let from = if number == 0 { Operand::Input(0) } else { Operand::Temporary(number - 1) };
        let to = if number == last { Operand::Output(0) } else { Operand::Temporary(number) };
        if number < last {
            temporaries.push(4 * pass.count() as u64);
        }
        let dispatch = pass.dispatch(vec![from, Operand::Table(number), to], outside, caps)?;
        dispatches.push(dispatch.work(pass.flops(), data.gpu_bytes() + 4 * pass.count() as u64));
        tables.push(Table { name: "resize_taps", numbers: [table(&pass.first_taps)?, table(&pass.second_taps)?].concat() });
    }
    Ok(Lowering::new(dispatches).temporaries(temporaries).tables(tables))
}

/// What one dispatch does: one axis is resampled, or two of them.
struct Pass {
    /// Extents of the first of two axes before and after; one where there is but the second.
    first: [usize; 2],
    /// Elements between both axes.
    between: usize,
    /// Extents of the second axis before and after.
    second: [usize; 2],
    /// Elements behind it.
    inner: usize,
    first_taps: Taps,
    second_taps: Taps,
    /// Lines along the second axis, of all elements that are made.
    lines: usize,
}

impl Pass {
    /// The pass over one or two axes of data of such extents, which become those after it.
    fn new(axes: &[ResampledAxis], pair: &[usize], rules: &Rules, extents: &mut [usize]) -> Self {
        let second = pair[pair.len() - 1];
        let first = pair.first().copied().filter(|first| *first != second);
        let alone = || Taps { count: 1, neighbours: vec![Some(vec![(0, 1.0)])] };
        let sides = [first.map_or([1, 1], |k| [extents[k], axes[k].output]), [extents[second], axes[second].output]];
        let between = first.map_or(1, |k| extents[k + 1..second].iter().product());
        pair.iter().for_each(|k| extents[*k] = axes[*k].output);
        let (outer, inner) = (extents[..second].iter().product::<usize>(), extents[second + 1..].iter().product());
        Pass {
            first: sides[0],
            between,
            second: sides[1],
            inner,
            first_taps: first.map_or_else(alone, |k| axes[k].taps(rules)),
            second_taps: axes[second].taps(rules),
            lines: outer * inner,
        }
    }

    /// Elements that are made.
    fn count(&self) -> usize {
        self.lines * self.second[1]
    }

    fn flops(&self) -> u64 {
        2 * (self.count() * self.first_taps.count * self.second_taps.count) as u64
    }

    fn dispatch(&self, bindings: Vec<Operand>, outside: u32, caps: &Caps) -> Result<Dispatch> {
        let run = caps.run();
        let invocations = self.lines * self.second[1].div_ceil(run);
        let [first_input, first_output] = u32s(self.first)?;
        let [second_input, second_output] = u32s(self.second)?;
        let [between, inner, count] = u32s([self.between, self.inner, invocations])?;
        let (first, second) = (self.first_taps.count, self.second_taps.count);
        let [second_table] = u32s([2 * first * self.first_taps.neighbours.len()])?;
        let params =
            ResizeParams { first_input, first_output, between, second_input, second_output, inner, second_table, outside, count };
        let [run_length, first_count, second_count] = u32s([run, first, second])?;
        let kernel = Kernel::new(&RESIZE, &[Access::Read, Access::Read, Access::Write], [WORKGROUP, 1, 1])
            .prelude(&preludes::DIVIDE)
            .set("RUN", run_length)
            .set("FIRST_TAPS", first_count)
            .set("SECOND_TAPS", second_count);
        let grid = Dispatch::linear_grid(u64::from(count.div_ceil(WORKGROUP)), caps)?;
        // Each loop goes round once more than it does something.
        let turns = first.saturating_mul(second + 2).saturating_add(2).saturating_mul(run);
        Ok(Dispatch::new(kernel, params, bindings, grid).turns(turns))
    }
}

/// A table as the kernel reads it: for each output element the input elements, then the bit patterns of their weights.
fn table(taps: &Taps) -> Result<Vec<u32>> {
    let mut table = Vec::with_capacity(taps.neighbours.len() * taps.count * 2);
    for neighbours in &taps.neighbours {
        match neighbours {
            Some(neighbours) => {
                for (place, _) in neighbours {
                    table.extend(u32s([*place])?);
                }
                table.extend(neighbours.iter().map(|(_, weight)| (*weight as f32).to_bits()));
            }
            None => table.extend(std::iter::repeat_n(u32::MAX, taps.count * 2)),
        }
    }
    Ok(table)
}
