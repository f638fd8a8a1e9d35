//! AffineGrid (Jaderberg et al., "Spatial Transformer Networks", 2015): the points of an image under affine maps.

use super::Registration;
use super::compose::Compose;
use super::matmul::matmul;
use super::shared::{WORKGROUP, one_each};
use crate::error::{Error, Result};
use crate::graph::{Fact, Gradient, Io, Node, Op, ValueId, Writer, required};
use crate::kernel::{Access, Kernel, Lowering, Offers, Operand, params, shader, u32s};
use crate::tensor::{Scalar, Shape, Tensor, TensorType};
use std::sync::Arc;

params! {
    /// Parameters of `affine_grid.wgsl`.
    struct AffineGridParams {
        depth: u32,
        height: u32,
        width: u32,
        points: u32,
    }
}

shader!(static AFFINE_GRID: AffineGridParams = "affine_grid");

/// The operator of this file.
pub static REGISTRATION: Registration = Registration { operators: &["AffineGrid"], shaders: &[&AFFINE_GRID] };

/// ONNX AffineGrid: input 0 are the maps `[N, 2, 3]` or `[N, 3, 4]`, input 1 the extents `[N, C, H, W]` or `[N, C, D, H, W]` of the image.
/// The points `[N, H, W, 2]` or `[N, D, H, W, 3]` run from -1 to 1, the last axis of the image first.
#[derive(Clone, Debug, PartialEq)]
pub struct AffineGrid {
    /// -1 and 1 are the centres of the outermost pixels, instead of their outer borders. An axis of one pixel then has it at -1.
    pub align_corners: bool,
}

/// The points of an image under affine maps.
pub fn affine_grid(align_corners: bool) -> Arc<dyn Op> {
    Arc::new(AffineGrid { align_corners })
}

impl AffineGrid {
    /// The shape of the points, from that of the maps and the extents of the image.
    fn points(maps: &Shape, size: &[i64]) -> Result<Shape> {
        let spatial = size.len().saturating_sub(2);
        let dims: Vec<usize> = size.iter().filter_map(|extent| usize::try_from(*extent).ok()).collect();
        if !(2..=3).contains(&spatial) || dims.len() != size.len() || maps.dims() != [dims[0], spatial, spatial + 1] {
            return Err(Error::invalid_model(format!(
                "AffineGrid expects maps [N, 2, 3] of an image [N, C, H, W] or [N, 3, 4] of [N, C, D, H, W], found {maps} and {size:?}"
            )));
        }
        Ok([&dims[..1], &dims[2..], &[spatial]].concat().into())
    }

    /// Where the centre of a pixel lies along the axes, the innermost first, then 1 for the shift.
    fn centres(&self, pixel: usize, extents: &[usize]) -> Vec<f64> {
        let mut centres = Vec::with_capacity(extents.len() + 1);
        let mut rest = pixel;
        for extent in extents.iter().rev() {
            centres.push(self.centre(rest % extent, *extent));
            rest /= extent;
        }
        centres.push(1.0);
        centres
    }

    /// Where the centre of a pixel lies along an axis of so many.
    fn centre(&self, pixel: usize, extent: usize) -> f64 {
        match (self.align_corners, extent) {
            (true, 0 | 1) => -1.0,
            (true, _) => 2.0 * pixel as f64 / (extent - 1) as f64 - 1.0,
            (false, _) => (2 * pixel + 1) as f64 / extent as f64 - 1.0,
        }
    }
}

impl Op for AffineGrid {
    fn name(&self) -> &'static str {
        "AffineGrid"
    }

    crate::attributes!(align_corners);

    fn infer(&self, inputs: &[Option<&Fact>]) -> Result<Vec<Fact>> {
        let (maps, size) = (required(self.name(), inputs, 0)?, required(self.name(), inputs, 1)?);
        if !maps.dtype().is_float() {
            return Err(Error::invalid_model(format!("AffineGrid expects maps of floats, found {}", maps.ty)));
        }
        let size = size.value.as_ref().ok_or_else(|| Error::needs_value(1))?;
        Ok(vec![Fact::new(maps.dtype(), AffineGrid::points(maps.shape(), &size.to_i64())?)])
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>> {
        let (maps, size) = (required(self.name(), inputs, 0)?, required(self.name(), inputs, 1)?);
        let shape = AffineGrid::points(maps.shape(), &size.to_i64())?;
        let spatial = shape.rank() - 2;
        let extents = &shape[1..=spatial];
        let maps_of = maps.to_f64();
        let mut points = Vec::with_capacity(shape.elements());
        for map in maps_of.chunks_exact(spatial * (spatial + 1)) {
            for pixel in 0..extents.iter().product() {
                let centres = self.centres(pixel, extents);
                let along = |row: &[f64]| row.iter().zip(&centres).map(|(factor, centre)| factor * centre).sum::<f64>();
                points.extend(map.chunks_exact(spatial + 1).map(along));
            }
        }
        Ok(vec![Tensor::from_f64(TensorType::new(maps.dtype(), shape), &points)?])
    }

    fn lower(&self, io: &Io, offers: &mut Offers) -> Result<()> {
        let (maps, shape) = (io.input(0)?, io.outputs[0].shape());
        if maps.scalar() != Some(Scalar::F32) {
            return Err(Error::unsupported(format!("AffineGrid of {}", maps.dtype())));
        }
        let spatial = shape.rank() - 2;
        let caps = offers.caps();
        offers.only("affine_grid", || {
            let count = shape.elements() / spatial;
            let depth = if spatial == 3 { shape[1] } else { 1 };
            let [depth, height, width, points] = u32s([depth, shape[spatial - 1], shape[spatial], count])?;
            let params = AffineGridParams { depth, height, width, points };
            let kernel = Kernel::new(&AFFINE_GRID, &[Access::Read, Access::Write], [WORKGROUP, 1, 1])
                .set("SPATIAL", if spatial == 3 { 3 } else { 2 })
                .set("ALIGN_CORNERS", self.align_corners.into());
            let dispatch = one_each(kernel, params, count, vec![Operand::Input(0), Operand::Output(0)], caps)?;
            let flops = 2 * (shape.elements() * (spatial + 1)) as u64;
            Ok(Lowering::new(vec![dispatch.work(flops, maps.gpu_bytes() + io.outputs[0].gpu_bytes())]))
        });
        Ok(())
    }

    fn gradient(&self, _: &Node, upstream: &[Option<ValueId>], wanted: &[bool], writer: &mut Writer) -> Result<Gradient> {
        let Some(worth) = upstream.first().copied().flatten() else { return Ok(Gradient::Zero) };
        let (dtype, shape) = (writer.fact(worth)?.dtype(), writer.fact(worth)?.shape().clone());
        if shape.elements() == 0 {
            return Ok(Gradient::Zero);
        }
        let spatial = shape.rank() - 2;
        let extents = &shape[1..=spatial];
        let pixels: usize = extents.iter().product();
        let centres: Vec<f64> = (0..pixels).flat_map(|pixel| self.centres(pixel, extents)).collect();
        let centres = writer.tensor(Tensor::from_f64(TensorType::new(dtype, [pixels, spatial + 1]), &centres)?);
        let worth = writer.reshape(worth, &[shape[0], pixels, spatial])?;
        let worth = writer.transposed(worth, &[0, 2, 1])?;
        let mut found = vec![None; wanted.len()];
        found[0] = Some(writer.apply(matmul(), &[worth, centres])?);
        Ok(Gradient::Inputs(found))
    }
}
