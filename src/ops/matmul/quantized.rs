//! MatMulNBits: products with a constant right operand of 4 or 8 bits, dequantised in registers where kernels read it.

use super::Problem;
use super::operands::PANEL_ROWS;
use super::problem;
use crate::error::{Error, Result};
use crate::graph::{Fact, Io, Op, required};
use crate::kernel::{Caps, Lowering, Packing, Prelude, preludes};
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
    fn blocks(&self) -> usize {
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

/// One value of 4 or 8 bits; of two in a byte, the first is the lower half.
fn unpack(bytes: &[u8], index: usize, bits: u32) -> u8 {
    if bits == 8 { bytes[index] } else { (bytes[index / 2] >> (4 * (index % 2))) & 15 }
}

impl Op for MatMulNBits {
    fn name(&self) -> &'static str {
        "MatMulNBits"
    }

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
        let shape = problem::output_shape(&self.view(&a.ty).shape, &Shape::from([self.k, self.n]))?;
        Ok(vec![Fact::new(a.dtype(), shape)])
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>> {
        let input = |index| required("MatMulNBits", inputs, index);
        let (a, bits, scales) = (input(0)?, input(1)?, input(2)?);
        let view = self.view(a.ty());
        let ty = TensorType::new(a.dtype(), problem::output_shape(&view.shape, &Shape::from([self.k, self.n]))?);
        let weights = self.dequantize(bits, scales, inputs.get(3).copied().flatten());
        let a = a.gather(&view);
        let problem = Problem::new(&View::contiguous(a.shape()), &self.weights())?;
        let product = problem.multiply(&a.to_f64(), &weights, |sum, a, b| sum + a * b);
        Ok(vec![Tensor::from_f64(ty, &product)?])
    }

    fn candidates(&self, io: &Io, caps: &Caps) -> Result<Vec<Lowering>> {
        if io.outputs[0].ty.elements() == 0 {
            return Ok(vec![Lowering::empty()]);
        }
        let constant = |index: usize| io.optional(index).is_some_and(|fact| fact.value.is_some());
        let zero_points = io.optional(3).map(Fact::dtype);
        if !constant(1) || !constant(2) || zero_points.is_some() && !constant(3) {
            return Err(Error::unsupported("quantized weights that are no constants"));
        }
        if zero_points.is_some_and(|dtype| dtype != DType::U8) {
            return Err(Error::unsupported("zero points that are no integers"));
        }
        let mut problem = Problem::new(&self.view(&io.input(0)?.ty), &self.weights())?;
        problem.quantized = Some(Quantized { bits: self.bits, block: self.block, zero_points: zero_points.is_some() });
        problem.lower(io, caps)
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

/// How a constant operand B of few bits is kept: as the inputs of [`MatMulNBits`].
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Quantized {
    pub(super) bits: u32,
    pub(super) block: usize,
    /// True when input 3 holds zero points; else they are all in the middle.
    zero_points: bool,
}

impl Quantized {
    /// Bytes of the weights and scales of a product of k terms and n columns.
    pub(super) fn bytes(&self, k: u64, n: u64) -> u64 {
        n * (k * u64::from(self.bits) / 8 + 4 * k.div_ceil(self.block as u64))
    }

    /// The preludes that read the zero points and scales, and the one that reads B.
    pub(super) fn preludes(&self) -> ([&'static Prelude; 2], &'static Prelude) {
        let zero = if self.zero_points { &preludes::MATMUL_ZERO_POINTS } else { &preludes::MATMUL_ZERO_MIDDLE };
        let bits = if self.bits == 4 { &preludes::MATMUL_B_BITS4 } else { &preludes::MATMUL_B_BITS8 };
        ([zero, &preludes::MATMUL_B_BITS], bits)
    }

    /// What the preludes count on.
    pub(super) fn constants(&self) -> Vec<(&'static str, u32)> {
        let zero = (!self.zero_points).then_some(("ZERO", 1 << (self.bits - 1)));
        [("BLOCK", self.block as u32)].into_iter().chain(zero).collect()
    }

    /// The weights by panels of so many columns, and likewise the scales and zero points.
    pub(super) fn packings(&self, problem: &Problem, width: u32) -> (Packing, Vec<Packing>) {
        let arguments = [problem.k as u32, problem.n as u32, width, self.bits, self.block as u32];
        let packing = |input, layout, pack| Packing { input, layout, arguments: arguments.to_vec(), pack };
        let zeros = self.zero_points.then(|| packing(3, "matmul_bits_zero_points", pack_zero_points as _));
        let scales = packing(2, "matmul_bits_scales", pack_scales as _);
        (packing(1, "matmul_bits", pack_bits as _), [scales].into_iter().chain(zeros).collect())
    }
}

/// The extents that all packings of quantized weights take from their arguments.
struct Extents {
    k: usize,
    n: usize,
    /// Columns of a panel.
    width: usize,
    bits: u32,
    block: usize,
    /// Panels, rows and blocks of them, padded.
    panels: usize,
    rows: usize,
    padded_blocks: usize,
}

impl Extents {
    fn new(arguments: &[u32]) -> Self {
        let [k, n, width, bits, block] = [0, 1, 2, 3, 4].map(|i| arguments[i] as usize);
        let rows = k.next_multiple_of(PANEL_ROWS);
        let (panels, padded_blocks) = (n.div_ceil(width), rows.div_ceil(block));
        Extents { k, n, width, bits: bits as u32, block, panels, rows, padded_blocks }
    }

    fn blocks(&self) -> usize {
        self.k.div_ceil(self.block)
    }

    /// Where the scale of a block of a column stands.
    fn level(&self, block: usize, n: usize) -> usize {
        (n / self.width * self.padded_blocks + block) * self.width + n % self.width
    }

    fn levels(&self) -> usize {
        self.panels * self.padded_blocks * self.width
    }
}

/// Panels `[n / width, k / 4, width / 4]` of four rows by four columns, row by row, a byte for each column; rows of 4 bits take
/// turns in the lower and upper halves of the bytes.
fn pack_bits(tensor: &Tensor, arguments: &[u32]) -> Vec<u8> {
    let e = Extents::new(arguments);
    let (bytes, bits) = (tensor.bytes(), e.bits as usize);
    let row_bytes = e.blocks() * e.block * bits / 8;
    let mut packed = vec![0u8; e.panels * e.rows * e.width * bits / 8];
    for n in 0..e.n {
        // Blocks follow each other without gaps, so that a row is one run of values.
        let row = &bytes[n * row_bytes..][..row_bytes];
        for k in 0..e.k {
            let group = ((n / e.width * e.rows + k / 4 * 4) * e.width + n % e.width / 4 * 16) / 16;
            let (line, shift) = if bits == 8 { (k % 4, 0) } else { (k % 4 / 2, k % 2 * 4) };
            packed[group * 2 * bits + line * 4 + n % 4] |= unpack(row, k, e.bits) << shift;
        }
    }
    packed
}

/// Panels `[n / width, blocks, width]` of scales, padded with zeros.
fn pack_scales(tensor: &Tensor, arguments: &[u32]) -> Vec<u8> {
    let e = Extents::new(arguments);
    let scales = tensor.to_f64();
    let mut packed = vec![0f32; e.levels()];
    for n in 0..e.n {
        for block in 0..e.blocks() {
            packed[e.level(block, n)] = scales[n * e.blocks() + block] as f32;
        }
    }
    bytemuck::cast_slice(&packed).to_vec()
}

/// The zero points where the scales stand, a byte each.
fn pack_zero_points(tensor: &Tensor, arguments: &[u32]) -> Vec<u8> {
    let e = Extents::new(arguments);
    let row_bytes = (e.blocks() * e.bits as usize).div_ceil(8);
    let mut packed = vec![0u8; e.levels()];
    for n in 0..e.n {
        let row = &tensor.bytes()[n * row_bytes..][..row_bytes];
        for block in 0..e.blocks() {
            packed[e.level(block, n)] = unpack(row, block, e.bits);
        }
    }
    packed
}
