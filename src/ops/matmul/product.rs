//! A matrix product as its kernels see it: strides instead of shapes, and as few batch axes as possible.

use super::bits::Quantized;
use crate::error::{Error, Result};
use crate::kernel::{Operand, Prelude, params, u32s};
use crate::tensor::{MAX_RANK, Shape, View, broadcast, joined_axes};

params! {
    /// Parameters of every matrix product kernel; strides in elements, negative ones as their two's complement.
    pub(super) struct MatMulParams {
        batch_extents: [u32; 8],
        a_batch_strides: [u32; 8],
        b_batch_strides: [u32; 8],
        m: u32,
        n: u32,
        k: u32,
        a_row_stride: u32,
        a_column_stride: u32,
        a_offset: u32,
        b_row_stride: u32,
        b_column_stride: u32,
        b_offset: u32,
        batches: u32,
        terms: u32,
    }
}

/// One operand: a strided matrix for each batch.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Matrix {
    /// Step from row to row.
    pub(super) row: i64,
    /// Step from column to column.
    pub(super) column: i64,
    /// First element of the first matrix.
    pub(super) offset: i64,
}

/// One axis of the batch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct BatchAxis {
    pub(super) extent: usize,
    pub(super) a: i64,
    pub(super) b: i64,
}

/// An operand B that no strides describe: the prelude that reads its blocks (the window of a convolution).
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Gather {
    /// Defines `b_block`.
    pub(crate) prelude: &'static Prelude,
    /// Defines `place`.
    pub(crate) place: &'static Prelude,
    /// What both count on.
    pub(crate) constants: Vec<(&'static str, u32)>,
    /// What stands behind B.
    pub(crate) operand: Operand,
    /// Columns that tiles must cover, rows of C that end within a group of four padded.
    pub(crate) columns: usize,
    /// Elements of C after which a group of four columns must not run on.
    pub(crate) row_length: usize,
}

/// `C[batch] = A[batch] * B[batch]` with C row-major `[batches, m, n]`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Product {
    /// Which inputs of the node A and B are.
    pub(crate) inputs: [usize; 2],
    /// How B is read, if not by the strides below.
    pub(crate) gather: Option<Gather>,
    /// How B is kept, where it is quantized; the strides below then mean nothing.
    pub(super) quantized: Option<Quantized>,
    pub(super) batch: Vec<BatchAxis>,
    pub(super) m: usize,
    pub(super) n: usize,
    pub(super) k: usize,
    pub(super) a: Matrix,
    pub(super) b: Matrix,
}

/// Shape of the product of two operands by numpy's rule, 1-D operands included.
pub(super) fn output_shape(a: &Shape, b: &Shape) -> Result<Shape> {
    if a.rank() == 0 || b.rank() == 0 {
        return Err(Error::invalid_model(format!("MatMul takes operands of rank 1 and more, found {a} and {b}")));
    }
    let (inner_a, inner_b) = (a[a.rank() - 1], b[b.rank().saturating_sub(2)]);
    if inner_a != inner_b {
        return Err(Error::invalid_model(format!(
            "the inner extents of a matrix product must be equal: expected {inner_a} as in {a}, found {inner_b} in {b}"
        )));
    }
    let outer = |s: &Shape| Shape::from(&s[..s.rank().saturating_sub(2)]);
    let mut dims = broadcast([&outer(a), &outer(b)])?.to_vec();
    if a.rank() > 1 {
        dims.push(a[a.rank() - 2]);
    }
    if b.rank() > 1 {
        dims.push(b[b.rank() - 1]);
    }
    Ok(dims.into())
}

impl Product {
    /// The product of two operands seen through views whose shapes [`output_shape`] accepts.
    pub(crate) fn new(a: &View, b: &View) -> Result<Self> {
        let matrix = |v: &View, vector_is_row: bool| {
            let mut v = v.clone();
            if v.shape.rank() == 1 {
                let at = usize::from(!vector_is_row);
                let mut dims = v.shape.to_vec();
                dims.insert(at, 1);
                v.strides.insert(at, 0);
                v.shape = dims.into();
            }
            v
        };
        let (a, b) = (matrix(a, true), matrix(b, false));
        let (split_a, split_b) = (a.shape.rank() - 2, b.shape.rank() - 2);
        let (m, k, n) = (a.shape[split_a], a.shape[split_a + 1], b.shape[split_b + 1]);
        let outer = |v: &View, split: usize| View {
            shape: v.shape[..split].into(),
            strides: v.strides[..split].to_vec(),
            offset: v.offset,
        };
        let (outer_a, outer_b) = (outer(&a, split_a), outer(&b, split_b));
        let shape = broadcast([&outer_a.shape, &outer_b.shape])?;
        let internal = || Error::internal("operands of a matrix product that do not broadcast");
        let (outer_a, outer_b) = (outer_a.broadcast(&shape).ok_or_else(internal)?, outer_b.broadcast(&shape).ok_or_else(internal)?);

        let axes = joined_axes(&shape, [&outer_a.strides, &outer_b.strides]).into_iter();
        let batch = axes.map(|axis| BatchAxis { extent: axis.extent, a: axis.strides[0], b: axis.strides[1] }).collect();
        let mut product = Product {
            inputs: [0, 1],
            gather: None,
            quantized: None,
            batch,
            m,
            n,
            k,
            a: Matrix { row: a.strides[split_a], column: a.strides[split_a + 1], offset: a.offset },
            b: Matrix { row: b.strides[split_b], column: b.strides[split_b + 1], offset: b.offset },
        };
        // One B for neighbouring matrices of A: their rows are those of one taller matrix.
        while let Some(&last) = product.batch.last() {
            let taller = last.b == 0 && (m == 1 && product.m == 1 || last.a == product.m as i64 * product.a.row);
            if !taller {
                break;
            }
            if product.m == 1 {
                product.a.row = last.a;
            }
            product.m *= last.extent;
            product.batch.pop();
        }
        Ok(product)
    }

    /// Number of matrices.
    pub(super) fn batches(&self) -> usize {
        self.batch.iter().map(|axis| axis.extent).product()
    }

    /// Elements of C.
    pub(super) fn elements(&self) -> usize {
        self.batches() * self.m * self.n
    }

    /// Floating-point operations and least bytes moved.
    pub(super) fn work(&self) -> (u64, u64) {
        let (batches, m, n, k) = (self.batches() as u64, self.m as u64, self.n as u64, self.k as u64);
        let b = self.quantized.as_ref().map_or(4 * batches * k * n, |quantized| quantized.bytes(k, n));
        (2 * batches * m * n * k, 4 * batches * (m * n + m * k) + b)
    }

    /// The product of host data, by naive loops.
    pub(super) fn multiply<T: Copy + Default>(&self, a: &[T], b: &[T], add: impl Fn(T, T, T) -> T) -> Vec<T> {
        let axes: Vec<usize> = self.batch.iter().map(|axis| axis.extent).collect();
        let starts = |pick: fn(&BatchAxis) -> i64, offset| {
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

    /// The parameters of a dispatch.
    pub(super) fn params(&self) -> Result<MatMulParams> {
        if self.batch.len() > MAX_RANK {
            return Err(Error::unsupported(format!("a matrix product over {} separate batch axes", self.batch.len())));
        }
        let [m, n, k, batches, terms] = u32s([self.m, self.n, self.k, self.batches(), self.k.next_multiple_of(4)])?;
        let mut params = MatMulParams {
            batch_extents: [1; 8],
            a_batch_strides: [0; 8],
            b_batch_strides: [0; 8],
            m,
            n,
            k,
            a_row_stride: stride(self.a.row)?,
            a_column_stride: stride(self.a.column)?,
            a_offset: stride(self.a.offset)?,
            b_row_stride: stride(self.b.row)?,
            b_column_stride: stride(self.b.column)?,
            b_offset: stride(self.b.offset)?,
            batches,
            terms,
        };
        for (k, axis) in self.batch.iter().enumerate() {
            [params.batch_extents[k]] = u32s([axis.extent])?;
            params.a_batch_strides[k] = stride(axis.a)?;
            params.b_batch_strides[k] = stride(axis.b)?;
        }
        Ok(params)
    }
}

/// A step in elements as 32 bits of two's complement.
fn stride(n: i64) -> Result<u32> {
    i32::try_from(n).map(i32::cast_unsigned).map_err(|_| Error::limit(format!("a stride of {n} elements exceeds 32 bits")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn product(a: View, b: View) -> Product {
        Product::new(&a, &b).expect("the operands fit")
    }

    #[test]
    fn batches_over_one_weight_become_rows() {
        let p = product(View::contiguous(&[2, 3, 5, 7].into()), View::contiguous(&[7, 4].into()));
        assert_eq!((p.m, p.batch.len()), (30, 0));
    }

    #[test]
    fn heads_split_by_a_view_stay_a_batch() {
        let heads = View::contiguous(&[2, 10, 4, 8].into()).transpose(&[0, 2, 1, 3]);
        let p = product(heads.clone(), heads.transpose(&[0, 1, 3, 2]));
        assert_eq!(p.batch, [BatchAxis { extent: 2, a: 320, b: 320 }, BatchAxis { extent: 4, a: 8, b: 8 }]);
        assert_eq!((p.a.row, p.b.column), (32, 32));
    }
}
