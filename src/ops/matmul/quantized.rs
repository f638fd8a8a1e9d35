//! MatMulNBits: products with a constant right operand of 4 or 8 bits, dequantised in registers where kernels read it.

use super::bits::{Quantized, unpack};
use super::bits_gradient;
use super::product::{self, Product};
use crate::error::{Error, Result};
use crate::graph::{Fact, Gradient, Io, Node, Op, ValueId, Writer, required};
use crate::kernel::Offers;
use crate::tensor::{DType, Shape, Tensor, TensorType, View};
use std::sync::Arc;

/// `com.microsoft` MatMulNBits: A times the transpose of an `n` by `k` matrix of unsigned integers, of which each `block`
/// neighbours in a row have a scale and a zero point.
///
/// Inputs: A `[..., k]`; the bits as bytes `[n, blocks, block * bits / 8]`, the first of two values of a byte in its lower
/// half; scales, `n * blocks` of them; optionally zero points, packed as bytes for each row likewise, or floats.
#[derive(Clone, Debug, PartialEq)]
pub struct MatMulNBits {
    /// Terms of each sum.
    pub k: usize,
    /// Columns of the output.
    pub n: usize,
    /// Bits of a weight: 4 or 8.
    pub bits: u32,
    /// Weights of one scale, a multiple of four.
    pub block: usize,
    /// How A is seen in input 0; `None` is the whole of it.
    pub a: Option<View>,
}

/// A MatMulNBits of a whole tensor.
///
/// # Errors
/// [`InvalidModel`](crate::ErrorKind::InvalidModel) for extents of 0 and blocks that are no multiple of four;
/// [`Unsupported`](crate::ErrorKind::Unsupported) for other than 4 or 8 bits.
pub fn matmul_nbits(k: usize, n: usize, bits: u32, block: usize) -> Result<Arc<dyn Op>> {
    if !matches!(bits, 4 | 8) {
        return Err(Error::unsupported(format!("weights of {bits} bits: 4 and 8 are implemented")));
    }
    if k == 0 || n == 0 || block == 0 || !block.is_multiple_of(4) {
        return Err(Error::invalid_model(format!(
            "MatMulNBits with K = {k}, N = {n}, block_size = {block}: expected extents of 1 and more, and blocks of a multiple of 4"
        )));
    }
    Ok(Arc::new(MatMulNBits { k, n, bits, block, a: None }))
}

impl MatMulNBits {
    /// Blocks of a row of weights.
    pub(super) fn blocks(&self) -> usize {
        self.k.div_ceil(self.block)
    }

    /// Bytes of a row of zero points.
    fn zero_bytes(&self) -> usize {
        self.blocks().saturating_mul(self.bits as usize).div_ceil(8)
    }

    fn view(&self, a: &TensorType) -> View {
        self.a.clone().unwrap_or_else(|| View::contiguous(&a.shape))
    }

    /// The weights as B of a product.
    fn weights(&self) -> View {
        View::contiguous(&[self.k, self.n].into())
    }

    /// The stored numbers in f64, `[n, blocks, block]`, the last of a row beyond its terms.
    pub(super) fn stored(&self, bits: &Tensor) -> Vec<f64> {
        let row = self.blocks() * self.block * self.bits as usize / 8;
        let rows = bits.bytes().chunks_exact(row.max(1));
        rows.flat_map(|row| (0..self.blocks() * self.block).map(|k| f64::from(self.unpack(row, k)))).collect()
    }

    /// Zero points that are packed as bytes, `[n, blocks]`.
    pub(super) fn zeros(&self, packed: &Tensor) -> Vec<f64> {
        let rows = packed.bytes().chunks_exact(self.zero_bytes().max(1));
        rows.flat_map(|row| (0..self.blocks()).map(|block| f64::from(self.unpack(row, block)))).collect()
    }

    /// The weights in f64, `[k, n]`.
    fn dequantize(&self, bits: &Tensor, scales: &Tensor, zero_points: Option<&Tensor>) -> Vec<f64> {
        let (bytes, scales, blocks) = (bits.bytes(), scales.to_f64(), self.blocks());
        let floats = zero_points.filter(|z| z.dtype() != DType::U8).map(Tensor::to_f64);
        let middle = f64::from(1u32 << (self.bits - 1));
        let mut weights = vec![0.0; self.k * self.n];
        for n in 0..self.n {
            for k in 0..self.k {
                let at = n * blocks + k / self.block;
                let zero_point = match (&floats, zero_points) {
                    (Some(floats), _) => floats[at],
                    (None, Some(packed)) => self.unpack(&packed.bytes()[n * self.zero_bytes()..], k / self.block).into(),
                    (None, None) => middle,
                };
                let stored = self.unpack(&bytes[at * self.block * self.bits as usize / 8..], k % self.block);
                weights[k * self.n + n] = (f64::from(stored) - zero_point) * scales[at];
            }
        }
        weights
    }

    /// One value of a row of bytes.
    fn unpack(&self, bytes: &[u8], index: usize) -> u8 {
        unpack(bytes, index, self.bits)
    }
}

impl Op for MatMulNBits {
    fn name(&self) -> &'static str {
        "MatMulNBits"
    }

    crate::attributes!(k, n, bits, block, a);

    fn infer(&self, inputs: &[Option<&Fact>]) -> Result<Vec<Fact>> {
        let input = |index| required("MatMulNBits", inputs, index);
        let (a, bits, scales) = (input(0)?, input(1)?, input(2)?);
        if !a.dtype().is_float() || !scales.dtype().is_float() || bits.dtype() != DType::U8 {
            return Err(Error::invalid_model(format!(
                "MatMulNBits takes floats, weights of uint8 and scales of floats, found {}, {} and {}",
                a.dtype(),
                bits.dtype(),
                scales.dtype()
            )));
        }
        let expect = |what: &str, fact: &Fact, elements: usize| {
            if fact.ty.elements() == elements {
                return Ok(());
            }
            Err(Error::invalid_model(format!(
                "MatMulNBits with K = {}, N = {}, {} bits and block_size = {} takes {elements} {what}, found {}",
                self.k, self.n, self.bits, self.block, fact.ty
            )))
        };
        let count = self.n.saturating_mul(self.blocks());
        expect("bytes of weights", bits, count.saturating_mul(self.block).saturating_mul(self.bits as usize) / 8)?;
        expect("scales", scales, count)?;
        if let Some(zero_points) = inputs.get(3).copied().flatten() {
            match zero_points.dtype() {
                DType::U8 => expect("bytes of zero points", zero_points, self.n.saturating_mul(self.zero_bytes()))?,
                other if other.is_float() => expect("zero points", zero_points, count)?,
                other => return Err(Error::invalid_model(format!("zero points of {other}: expected uint8 or floats"))),
            }
        }
        let shape = product::output_shape(&self.view(&a.ty).shape, &Shape::from([self.k, self.n]))?;
        Ok(vec![Fact::new(a.dtype(), shape)])
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>> {
        let input = |index| required("MatMulNBits", inputs, index);
        let (a, bits, scales) = (input(0)?, input(1)?, input(2)?);
        let view = self.view(a.ty());
        let ty = TensorType::new(a.dtype(), product::output_shape(&view.shape, &Shape::from([self.k, self.n]))?);
        let weights = self.dequantize(bits, scales, inputs.get(3).copied().flatten());
        let a = a.gather(&view);
        let product = Product::new(&View::contiguous(a.shape()), &self.weights())?;
        let product = product.multiply(&a.to_f64(), &weights, |sum, a, b| sum + a * b);
        Ok(vec![Tensor::from_f64(ty, &product)?])
    }

    fn gradient(&self, node: &Node, upstream: &[Option<ValueId>], wanted: &[bool], writer: &mut Writer) -> Result<Gradient> {
        bits_gradient::gradient(self, node, upstream, wanted, writer)
    }

    fn lower(&self, io: &Io, offers: &mut Offers) -> Result<()> {
        let constant = |index: usize| io.optional(index).is_some_and(|fact| fact.value.is_some());
        let zero_points = io.optional(3).map(Fact::dtype);
        if !constant(1) || !constant(2) || zero_points.is_some() && !constant(3) {
            return Err(Error::unsupported("quantized weights that are no constants"));
        }
        if zero_points.is_some_and(|dtype| dtype != DType::U8) {
            return Err(Error::unsupported("zero points that are no integers"));
        }
        let mut product = Product::new(&self.view(&io.input(0)?.ty), &self.weights())?;
        product.quantized = Some(Quantized { bits: self.bits, block: self.block, zero_points: zero_points.is_some() });
        product.offer(io, offers)
    }

    fn absorb(&self, index: usize, view: &View, _base: &Fact) -> Option<Arc<dyn Op>> {
        if index != 0 {
            return None;
        }
        let a = match &self.a {
            Some(own) => own.of(view)?,
            None => view.clone(),
        };
        Some(Arc::new(MatMulNBits { a: Some(a), ..self.clone() }))
    }

    fn takes_epilogue(&self) -> bool {
        true
    }
}
