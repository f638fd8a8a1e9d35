//! Det: determinants of square matrices.

use super::Registration;
use super::compose::Compose;
use super::gather::gather;
use super::shared::WORKGROUP;
use crate::error::{Error, Result};
use crate::graph::{Fact, Gradient, Io, Node, Op, ValueId, Writer, required};
use crate::kernel::{Access, Dispatch, Kernel, Lowering, Offers, Operand, params, shader, u32s};
use crate::tensor::{Scalar, Shape, Tensor, TensorType};
use std::sync::Arc;

params! {
    /// Parameters of `det.wgsl`.
    struct DetParams {
        extent: u32,
        matrices: u32,
    }
}

shader!(static DET: DetParams = "det");

/// The operator of this file.
pub static REGISTRATION: Registration = Registration { operators: &["Det"], shaders: &[&DET] };

/// The most rows of a matrix whose cofactors are computed one by one: they are as many determinants as it has elements.
const MOST_COFACTORS: usize = 16;

/// ONNX Det: the last two axes are square matrices.
#[derive(Clone, Debug, PartialEq)]
pub struct Det;

/// The determinants of matrices.
pub fn det() -> Arc<dyn Op> {
    Arc::new(Det)
}

impl Det {
    /// The shape of the determinants, and the rows of a matrix.
    fn split(shape: &Shape) -> Result<(Shape, usize)> {
        match shape.dims() {
            [outer @ .., rows, columns] if rows == columns => Ok((outer.into(), *rows)),
            _ => Err(Error::invalid_model(format!("Det expects square matrices, found {shape}"))),
        }
    }
}

/// Gaussian elimination with the greatest element of a column as its pivot (Golub and Van Loan, "Matrix Computations", 3.4).
fn determinant(matrix: &mut [f64], extent: usize) -> f64 {
    let mut product = 1.0;
    for k in 0..extent {
        let greater = |a: &usize, b: &usize| matrix[a * extent + k].abs().total_cmp(&matrix[b * extent + k].abs());
        let pivot = (k..extent).max_by(greater).unwrap_or(k);
        if matrix[pivot * extent + k] == 0.0 {
            return 0.0;
        }
        if pivot != k {
            (k..extent).for_each(|column| matrix.swap(pivot * extent + column, k * extent + column));
            product = -product;
        }
        product *= matrix[k * extent + k];
        for row in k + 1..extent {
            let factor = matrix[row * extent + k] / matrix[k * extent + k];
            for column in k + 1..extent {
                matrix[row * extent + column] -= factor * matrix[k * extent + column];
            }
        }
    }
    product
}

impl Op for Det {
    fn name(&self) -> &'static str {
        "Det"
    }

    crate::attributes!();

    fn infer(&self, inputs: &[Option<&Fact>]) -> Result<Vec<Fact>> {
        let matrices = required(self.name(), inputs, 0)?;
        if !matrices.dtype().is_float() {
            return Err(Error::invalid_model(format!("Det expects floats, found {}", matrices.ty)));
        }
        Ok(vec![Fact::new(matrices.dtype(), Det::split(matrices.shape())?.0)])
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>> {
        let matrices = required(self.name(), inputs, 0)?;
        let (shape, extent) = Det::split(matrices.shape())?;
        let mut values = matrices.to_f64();
        let size = extent * extent;
        let determinants: Vec<f64> =
            (0..shape.elements()).map(|k| determinant(&mut values[k * size..(k + 1) * size], extent)).collect();
        Ok(vec![Tensor::from_f64(TensorType::new(matrices.dtype(), shape), &determinants)?])
    }

    /// An element is worth its cofactor (Jacobi's formula), also where the matrix has no inverse.
    fn gradient(&self, node: &Node, upstream: &[Option<ValueId>], _: &[bool], writer: &mut Writer) -> Result<Gradient> {
        let Some(worth) = upstream.first().copied().flatten() else { return Ok(Gradient::Zero) };
        let matrices = node.needed(0)?;
        let ty = writer.fact(matrices)?.ty.clone();
        let (outer, extent) = Det::split(&ty.shape)?;
        if extent > MOST_COFACTORS {
            return Ok(Gradient::Undefined("the cofactors of so large matrices take too long"));
        }
        let count = outer.elements();
        if count * extent == 0 {
            return Ok(Gradient::Zero);
        }
        let rest = extent - 1;
        let mut minors = Vec::with_capacity(extent * extent * rest * rest);
        let mut signs = Vec::with_capacity(extent * extent);
        for (row, column) in (0..extent).flat_map(|row| (0..extent).map(move |column| (row, column))) {
            let others = |own: usize| (0..extent).filter(move |k| *k != own);
            minors.extend(others(row).flat_map(|r| others(column).map(move |c| (r * extent + c) as i64)));
            signs.push(if (row + column) % 2 == 0 { 1.0 } else { -1.0 });
        }
        let flat = writer.reshape(matrices, &[count, extent * extent])?;
        let minors = writer.tensor(Tensor::vector(&minors));
        let minors = writer.apply(gather(1), &[flat, minors])?;
        let minors = writer.reshape(minors, &[count, extent * extent, rest, rest])?;
        let minors = writer.apply(det(), &[minors])?;
        let signs = writer.tensor(Tensor::from_f64(TensorType::new(ty.dtype, [extent * extent]), &signs)?);
        let cofactors = writer.function("Mul", &[minors, signs])?;
        let worth = writer.reshape(worth, &[count, 1])?;
        let found = writer.function("Mul", &[cofactors, worth])?;
        Ok(Gradient::Inputs(vec![Some(writer.reshape(found, ty.shape.dims())?)]))
    }

    fn lower(&self, io: &Io, offers: &mut Offers) -> Result<()> {
        let matrices = io.input(0)?;
        if matrices.scalar() != Some(Scalar::F32) {
            return Err(Error::unsupported(format!("Det of {}", matrices.dtype())));
        }
        let (shape, extent) = Det::split(matrices.shape())?;
        let (count, caps) = (shape.elements(), offers.caps());
        offers.only("elimination", || {
            let [extent_u32, matrices_u32] = u32s([extent, count])?;
            let params = DetParams { extent: extent_u32, matrices: matrices_u32 };
            let kernel = Kernel::new(&DET, &[Access::Read, Access::Write, Access::Write], [WORKGROUP, 1, 1]);
            let bindings = vec![Operand::Input(0), Operand::Output(0), Operand::Temporary(0)];
            let grid = Dispatch::linear_grid(count as u64, caps)?;
            // A lane brings elements of the matrix, then for each pivot looks at rows and updates elements below it.
            let elements = (extent * extent).div_ceil(WORKGROUP as usize);
            let turns = elements + extent.saturating_mul(elements + extent.div_ceil(WORKGROUP as usize) + WORKGROUP as usize);
            let flops = (count * extent).saturating_mul(extent * extent) as u64 * 2 / 3;
            let dispatch = Dispatch::new(kernel, params, bindings, grid).turns(turns);
            let bytes = matrices.gpu_bytes();
            Ok(Lowering::new(vec![dispatch.work(flops, bytes)]).temporaries(vec![bytes.max(4)]))
        });
        Ok(())
    }
}
