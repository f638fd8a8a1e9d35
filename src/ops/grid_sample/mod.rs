//! GridSample (Jaderberg et al., "Spatial Transformer Networks", 2015): an image read at the points of a grid.

mod gradient;

use super::Registration;
use super::resample::{Interpolation, cubic};
use super::shared::unravel;
use crate::error::{Error, Result};
use crate::graph::{Fact, Gradient, Io, Node, Op, ValueId, Writer, required};
use crate::kernel::{Access, Caps, Dispatch, Kernel, Lowering, Offers, Operand, params, preludes, shader, u32s};
use crate::tensor::{Scalar, Shape, Tensor, TensorType};
use std::sync::Arc;

params! {
    /// Parameters of `grid_sample.wgsl`.
    struct GridSampleParams {
        channels: u32,
        height: u32,
        width: u32,
        points: u32,
        count: u32,
    }
}

shader!(static GRID_SAMPLE: GridSampleParams = "grid_sample");

/// The operator of this file.
pub static REGISTRATION: Registration = Registration { operators: &["GridSample"], shaders: &[&GRID_SAMPLE] };

const WORKGROUP: u32 = 64;
/// The parameter of the cubic polynomial, which ONNX fixes.
const CUBIC: f64 = -0.75;

/// What stands outside of the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outside {
    /// Zeros.
    Zeros,
    /// The nearest pixel of the border.
    Border,
    /// The image mirrored.
    Reflection,
}

crate::attributes!(
    enum Outside {
        Zeros,
        Border,
        Reflection,
    }
);

impl Outside {
    /// What the ONNX attribute `padding_mode` names.
    ///
    /// # Errors
    /// [`InvalidModel`](crate::ErrorKind::InvalidModel) when there is no such mode.
    pub fn from_name(name: &str) -> Result<Self> {
        Ok(match name {
            "zeros" => Outside::Zeros,
            "border" => Outside::Border,
            "reflection" => Outside::Reflection,
            _ => return Err(Error::invalid_model(format!("expected padding mode zeros, border or reflection, found `{name}`"))),
        })
    }
}

/// ONNX GridSample: input 0 is the image, input 1 the points, from -1 to 1, the last axis of the image first.
#[derive(Clone, Debug, PartialEq)]
pub struct GridSample {
    /// How neighbours are weighed; the rounding of `Nearest` is always to even.
    pub interpolation: Interpolation,
    /// What stands outside of the image.
    pub outside: Outside,
    /// -1 and 1 are the centres of the outermost pixels, instead of their outer borders.
    pub align_corners: bool,
}

/// GridSample as its fields say.
pub fn grid_sample(op: GridSample) -> Arc<dyn Op> {
    Arc::new(op)
}

/// A coordinate mirrored at the borders of the image until it lies within.
fn reflect(x: f64, low: f64, high: f64) -> f64 {
    let range = high - low;
    if range <= 0.0 {
        return low;
    }
    let distance = if x < low { low - x } else { x - low };
    let phase = distance.rem_euclid(2.0 * range);
    low + phase.min(2.0 * range - phase)
}

impl GridSample {
    fn check(image: &Shape, grid: &Shape) -> Result<Shape> {
        let spatial = image.rank().saturating_sub(2);
        let fits = spatial > 0 && grid.rank() == image.rank() && grid[0] == image[0] && grid[grid.rank() - 1] == spatial;
        if !fits || (image[2..].contains(&0) && grid.elements() > 0) {
            return Err(Error::invalid_model(format!(
                "GridSample expects an image and a grid of as many axes, found {image} and {grid}"
            )));
        }
        Ok([&image[..2], &grid[1..grid.rank() - 1]].concat().into())
    }

    /// The pixels along one axis that make up a point, with their weights.
    fn taps(&self, point: f64, extent: usize) -> Vec<(usize, f64)> {
        let length = extent as f64;
        let (low, high) = if self.align_corners { (0.0, length - 1.0) } else { (-0.5, length - 0.5) };
        let x = if self.align_corners { (point + 1.0) / 2.0 * (length - 1.0) } else { ((point + 1.0) * length - 1.0) / 2.0 };
        let nearest = matches!(self.interpolation, Interpolation::Nearest(_));
        let mut x = if nearest { x.round_ties_even() } else { x };
        if x < low || x > high {
            x = match self.outside {
                Outside::Zeros => x,
                Outside::Border => x.clamp(0.0, length - 1.0),
                Outside::Reflection => reflect(x, low, high),
            };
        }
        let pixel = |place: f64| match self.outside {
            Outside::Zeros => (place >= 0.0 && place < length).then_some(place as usize),
            Outside::Border => Some(place.clamp(0.0, length - 1.0) as usize),
            Outside::Reflection if place < low || place > high => Some(reflect(place, low, high).clamp(0.0, length - 1.0) as usize),
            Outside::Reflection => Some(place.clamp(0.0, length - 1.0) as usize),
        };
        let first = x.floor();
        let all: Vec<(f64, f64)> = match self.interpolation {
            Interpolation::Nearest(_) => vec![(x.trunc(), 1.0)],
            Interpolation::Linear => vec![(first, 1.0 - (x - first)), (first + 1.0, x - first)],
            Interpolation::Cubic(_) => (-1..3).map(|k| first + f64::from(k)).map(|p| (p, cubic(p - x, CUBIC))).collect(),
        };
        all.into_iter().filter_map(|(place, weight)| Some((pixel(place)?, weight))).collect()
    }
}

impl GridSample {
    fn element_per_invocation(&self, image: &Fact, grid: &Fact, output: &Fact, caps: &Caps) -> Result<Lowering> {
        let elements = output.ty.elements();
        let [channels, height, width] = u32s([image.shape()[1], image.shape()[2], image.shape()[3]])?;
        let [points, count] = u32s([output.shape().product(2..4), elements])?;
        let taps = match self.interpolation {
            Interpolation::Nearest(_) => 1,
            Interpolation::Linear => 2,
            Interpolation::Cubic(_) => 4,
        };
        let kernel = Kernel::new(&GRID_SAMPLE, &[Access::Read, Access::Read, Access::Write], [WORKGROUP, 1, 1])
            .prelude(&preludes::DIVIDE)
            .set("TAPS", taps)
            .set("OUTSIDE", self.outside as u32)
            .set("ALIGN_CORNERS", self.align_corners.into());
        let params = GridSampleParams { channels, height, width, points, count };
        let workgroups = Dispatch::linear_grid(u64::from(count.div_ceil(WORKGROUP)), caps)?;
        let bindings = vec![Operand::Input(0), Operand::Input(1), Operand::Output(0)];
        let bytes = image.gpu_bytes() + grid.gpu_bytes() + output.gpu_bytes();
        let flops = elements as u64 * u64::from(2 * taps * taps);
        Ok(Lowering::new(vec![Dispatch::new(kernel, params, bindings, workgroups).work(flops, bytes)]))
    }
}

impl Op for GridSample {
    fn name(&self) -> &'static str {
        "GridSample"
    }

    crate::attributes!(interpolation, outside, align_corners);

    fn infer(&self, inputs: &[Option<&Fact>]) -> Result<Vec<Fact>> {
        let (image, grid) = (required("GridSample", inputs, 0)?, required("GridSample", inputs, 1)?);
        if !grid.dtype().is_float() {
            return Err(Error::invalid_model(format!("GridSample expects a grid of floats, found {}", grid.ty)));
        }
        Ok(vec![Fact::new(image.dtype(), Self::check(image.shape(), grid.shape())?)])
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>> {
        let (image, grid) = (required("GridSample", inputs, 0)?, required("GridSample", inputs, 1)?);
        let shape = Self::check(image.shape(), grid.shape())?;
        let extents = &image.shape()[2..];
        let strides = Shape::from(extents).strides();
        let plane: usize = extents.iter().product();
        let (pixels, grid) = (image.to_f64(), grid.to_f64());
        let points = shape.product(2..shape.rank());
        let value = |place: usize| {
            let index = unravel(place, &[shape[0], shape[1], points]);
            let at = (index[0] * points + index[2]) * extents.len();
            let base = (index[0] * shape[1] + index[1]) * plane;
            // The weighted neighbours of all axes so far; the grid names the last axis first.
            let mut terms = vec![(base, 1.0)];
            for (axis, (&extent, &stride)) in extents.iter().zip(&strides).enumerate() {
                let taps = self.taps(grid[at + extents.len() - 1 - axis], extent);
                terms = terms.iter().flat_map(|(p, w)| taps.iter().map(move |(t, v)| (p + t * stride, w * v))).collect();
            }
            terms.iter().map(|(p, w)| pixels[*p] * w).sum()
        };
        let ty = TensorType::new(image.dtype(), shape.clone());
        let values: Vec<f64> = (0..ty.elements()).map(value).collect();
        Ok(vec![Tensor::from_f64(ty, &values)?])
    }

    fn gradient(&self, node: &Node, upstream: &[Option<ValueId>], wanted: &[bool], writer: &mut Writer) -> Result<Gradient> {
        gradient::gradient(self, node, upstream, wanted, writer)
    }

    fn lower(&self, io: &Io, offers: &mut Offers) -> Result<()> {
        let (image, grid, output) = (io.input(0)?, io.input(1)?, io.outputs[0]);
        if image.shape().rank() != 4 || image.scalar() != Some(Scalar::F32) || grid.scalar() != Some(Scalar::F32) {
            return Err(Error::unsupported(format!("there is no kernel for GridSample of {} at {}", image.ty, grid.ty)));
        }
        let caps = offers.caps();
        offers.only("grid_sample", || self.element_per_invocation(image, grid, output, caps));
        Ok(())
    }
}
