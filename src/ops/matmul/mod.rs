//! MatMul: products of (batches of) matrices by numpy's rule, over operands seen through strided views.

mod direct;
mod gemv;
mod integer;
mod operands;
mod problem;
mod quantized;
mod slices;
mod split;
mod subgroup;
mod textures;
mod tiled;

use super::Registration;
use crate::error::{Error, Result};
use crate::graph::{Fact, Io, Op, required};
use crate::kernel::{AdapterClass, Caps, Lowering};
use crate::tensor::{DType, Scalar, Tensor, TensorType, View};
use std::sync::Arc;

pub use integer::{MatMulInteger, matmul_integer};
pub(crate) use problem::{Gather, Problem};
pub use quantized::{MatMulNBits, matmul_nbits};

pub(super) static REGISTRATION: Registration = Registration {
    operators: &["MatMul", "MatMulInteger", "MatMulNBits"],
    shaders: &[
        &direct::SHADER,
        &gemv::SHADER,
        &slices::SHADER,
        &split::SHADER,
        &subgroup::SHADER,
        &textures::SHADER,
        &textures::ROW_SHADER,
        &textures::PACK_A_SHADER,
        &textures::PACK_B_SHADER,
        &tiled::SHADER,
    ],
};

/// ONNX MatMul (numpy.matmul). Transposed operands, split heads and slices are read where they lie.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MatMul {
    /// How the left operand is seen in input 0; `None` is the whole of it.
    pub a: Option<View>,
    /// How the right operand is seen in input 1.
    pub b: Option<View>,
}

/// A MatMul of whole tensors.
pub fn matmul() -> Arc<dyn Op> {
    Arc::new(MatMul::default())
}

impl MatMul {
    /// Both operands as views of their inputs.
    fn operands(&self, a: &TensorType, b: &TensorType) -> (View, View) {
        let seen = |view: &Option<View>, ty: &TensorType| view.clone().unwrap_or_else(|| View::contiguous(&ty.shape));
        (seen(&self.a, a), seen(&self.b, b))
    }
}

/// A tensor seen through a view, copied only where the view is not the tensor itself.
fn seen(tensor: &Tensor, view: &View) -> Result<Tensor> {
    if view.is_contiguous() && view.shape.elements() == tensor.elements() {
        return tensor.reshape(view.shape.clone());
    }
    Ok(tensor.gather(view))
}

impl Op for MatMul {
    fn name(&self) -> &'static str {
        "MatMul"
    }

    fn infer(&self, inputs: &[Option<&Fact>]) -> Result<Vec<Fact>> {
        let (a, b) = (required("MatMul", inputs, 0)?, required("MatMul", inputs, 1)?);
        if a.dtype() != b.dtype() || a.dtype() == DType::Bool {
            return Err(Error::invalid_model(format!(
                "MatMul takes two operands of one number type, found {} and {}",
                a.dtype(),
                b.dtype()
            )));
        }
        let (view_a, view_b) = self.operands(&a.ty, &b.ty);
        let shape = problem::output_shape(&view_a.shape, &view_b.shape)?;
        let terms = view_a.shape[view_a.shape.rank() - 1] as i128;
        let bounds = a.bounds().zip(b.bounds()).map(|((a0, a1), (b0, b1))| {
            let products = [a0, a1].map(|a| [b0, b1].map(|b| a.saturating_mul(b).saturating_mul(terms)));
            let all = products.iter().flatten().copied();
            all.fold((0, 0), |(low, high), p| if terms == 0 { (0, 0) } else { (low.min(p), high.max(p)) })
        });
        let range = a.dtype().range();
        let fits = |(low, high): (i128, i128)| range.is_some_and(|(min, max)| low >= min && high <= max);
        Ok(vec![Fact::new(a.dtype(), shape).bounded(bounds.filter(|b| fits(*b)))])
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>> {
        let (a, b) = (required("MatMul", inputs, 0)?, required("MatMul", inputs, 1)?);
        let (view_a, view_b) = self.operands(a.ty(), b.ty());
        let ty = TensorType::new(a.dtype(), problem::output_shape(&view_a.shape, &view_b.shape)?);
        let (a, b) = (seen(a, &view_a)?, seen(b, &view_b)?);
        let problem = Problem::new(&View::contiguous(a.shape()), &View::contiguous(b.shape()))?;
        let output = if ty.dtype.is_float() {
            Tensor::from_f64(ty, &problem.multiply(&a.to_f64(), &b.to_f64(), |sum, a, b| sum + a * b))?
        } else {
            let add = |sum: i128, a: i128, b: i128| sum.wrapping_add(a.wrapping_mul(b));
            Tensor::from_i128(ty, &problem.multiply(&a.to_i128(), &b.to_i128(), add))?
        };
        Ok(vec![output])
    }

    fn candidates(&self, io: &Io, caps: &Caps) -> Result<Vec<Lowering>> {
        let (a, b) = (io.input(0)?, io.input(1)?);
        if io.outputs[0].ty.elements() == 0 {
            return Ok(vec![Lowering::empty()]);
        }
        let scalar = io.outputs[0].scalar();
        if scalar.is_none() || a.scalar() != scalar || b.scalar() != scalar {
            return Err(Error::unsupported(format!("a product of {} and {} whose range is not known to fit 32 bits", a.ty, b.ty)));
        }
        let (view_a, view_b) = self.operands(&a.ty, &b.ty);
        let problem = Problem::new(&view_a, &view_b)?;
        problem.lower(io, caps)
    }

    fn absorb(&self, index: usize, view: &View, _base: &Fact) -> Option<Arc<dyn Op>> {
        let mut op = self.clone();
        let operand = match index {
            0 => &mut op.a,
            1 => &mut op.b,
            _ => return None,
        };
        *operand = Some(match operand {
            Some(own) => own.of(view)?,
            None => view.clone(),
        });
        Some(Arc::new(op))
    }

    fn takes_epilogue(&self) -> bool {
        true
    }
}

/// Rows up to which reading B but once, without tiles, is best on GPUs.
const MOST_ROWS_BY_SLICES: usize = 8;

impl Problem {
    /// All kernels that serve this product, the best first.
    pub(crate) fn lower(&self, io: &Io, caps: &Caps) -> Result<Vec<Lowering>> {
        if io.outputs[0].scalar() != Some(Scalar::F32) || self.k == 0 {
            return Ok(vec![direct::lower(self, io, caps)?]);
        }
        let (gemv, tiled, slices) = (gemv::lower(self, io, caps), tiled::lower(self, io, caps), slices::lower(self, io, caps));
        let gemv_first = gemv.is_some();
        let mut candidates: Vec<Result<Lowering>> = vec![];
        if caps.class == AdapterClass::Cpu {
            // Broadcasts win where workgroup memory is no faster than any other, and lose to it on GPUs.
            candidates.extend(gemv.into_iter().chain(subgroup::lower(self, io, caps)).chain(tiled).chain(slices));
            if let Some(textures) = textures::lower(self, io, caps) {
                let at = if textures::preferred(self, io) { 0 } else { candidates.len() };
                candidates.insert(at, textures);
            }
        } else if self.m > MOST_ROWS_BY_SLICES {
            candidates.extend(tiled.into_iter().chain(slices).chain(gemv));
        } else if self.b_by_columns() && !self.b_is_constant(io) {
            // Columns that lie where they are cannot be read four abreast without gaps.
            candidates.extend(gemv.into_iter().chain(slices).chain(tiled));
        } else {
            candidates.extend(slices.into_iter().chain(gemv).chain(tiled));
        }
        if self.quantized.is_none() {
            let few = candidates.len().min(usize::from(gemv_first));
            let at = if caps.avoids_barriers() { few } else { candidates.len() };
            candidates.insert(at, direct::lower(self, io, caps));
        }
        // One that does not fit the adapter leaves the others.
        let (fit, unfit): (Vec<_>, Vec<_>) = candidates.into_iter().partition(Result::is_ok);
        if fit.is_empty() { unfit.into_iter().collect() } else { fit.into_iter().collect() }
    }

    /// The kernels for GPUs alone.
    pub(crate) fn lower_tiled(&self, io: &Io, caps: &Caps) -> Result<Vec<Lowering>> {
        if self.k == 0 { Ok(vec![]) } else { Ok(tiled::lower(self, io, caps).into_iter().filter_map(Result::ok).collect()) }
    }

    /// The kernel for adapters that are a CPU, where it fits.
    pub(crate) fn lower_subgroup(&self, io: &Io, caps: &Caps) -> Option<Result<Lowering>> {
        subgroup::lower(self, io, caps).filter(|_| self.k > 0)
    }

    /// The product of host data, by naive loops.
    fn multiply<T: Copy + Default>(&self, a: &[T], b: &[T], add: impl Fn(T, T, T) -> T) -> Vec<T> {
        let axes: Vec<usize> = self.batch.iter().map(|axis| axis.extent).collect();
        let starts = |pick: fn(&problem::BatchAxis) -> i64, offset| {
            let strides = self.batch.iter().map(pick).collect();
            View { shape: axes.clone().into(), strides, offset }
        };
        let (starts_a, starts_b) = (starts(|axis| axis.a, self.a.offset), starts(|axis| axis.b, self.b.offset));
        let mut output = Vec::with_capacity(self.batches() * self.m * self.n);
        let mut row = vec![T::default(); self.n];
        for (start_a, start_b) in starts_a.positions().zip(starts_b.positions()) {
            for i in 0..self.m {
                row.fill(T::default());
                for k in 0..self.k {
                    let left = a[(start_a as i64 + i as i64 * self.a.row + k as i64 * self.a.column) as usize];
                    let right = &b[(start_b as i64 + k as i64 * self.b.row) as usize..][..self.n];
                    row.iter_mut().zip(right).for_each(|(sum, right)| *sum = add(*sum, left, *right));
                }
                output.extend_from_slice(&row);
            }
        }
        output
    }
}
