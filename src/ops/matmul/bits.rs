//! How a constant operand B of 4 or 8 bits is kept and packed.

use super::packing::PANEL_ROWS;
use crate::error::Result;
use crate::kernel::{Packing, Prelude, preludes, u32s};
use crate::tensor::Tensor;

/// How a constant operand B of few bits is kept: as the inputs of [`MatMulNBits`](super::MatMulNBits).
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Quantized {
    pub(super) bits: u32,
    pub(super) block: usize,
    /// True when input 3 holds zero points; else they are all in the middle.
    pub(super) zero_points: bool,
}

impl Quantized {
    /// Bytes of the weights and scales of a product of k terms and n columns.
    pub(super) fn bytes(&self, k: u64, n: u64) -> u64 {
        n * (k * u64::from(self.bits) / 8 + 4 * k.div_ceil(self.block as u64))
    }

    /// The prelude that reads the zero points.
    pub(super) fn zero(&self) -> &'static Prelude {
        if self.zero_points { &preludes::MATMUL_ZERO_POINTS } else { &preludes::MATMUL_ZERO_MIDDLE }
    }

    /// What the preludes count on.
    pub(super) fn constants(&self) -> Result<Vec<(&'static str, u32)>> {
        let [block] = u32s([self.block])?;
        let zero = (!self.zero_points).then_some(("ZERO", 1 << (self.bits - 1)));
        Ok([("BLOCK", block)].into_iter().chain(zero).collect())
    }

    /// Bytes of the weights in panels of so many columns.
    pub(super) fn panel_bytes(&self, [k, n]: [usize; 2], width: usize) -> u64 {
        (n.next_multiple_of(width) * k.next_multiple_of(PANEL_ROWS)) as u64 * u64::from(self.bits) / 8
    }

    /// The k by n weights by panels of so many columns, in groups of four columns of so many rows.
    pub(super) fn panels(&self, [k, n]: [u32; 2], width: u32, rows: u32) -> Result<Panels> {
        let [block] = u32s([self.block])?;
        let arguments = [k, n, width, self.bits, block, rows];
        let packing = |input, layout, pack| Packing { input, layout, arguments: arguments.to_vec(), pack };
        Ok(Panels {
            bits: packing(1, "matmul_bits", pack_bits as _),
            scales: packing(2, "matmul_bits_scales", pack_scales as _),
            zeros: self.zero_points.then(|| packing(3, "matmul_bits_zero_points", pack_zero_points as _)),
        })
    }
}

/// Quantized weights in panels.
pub(super) struct Panels {
    pub(super) bits: Packing,
    pub(super) scales: Packing,
    pub(super) zeros: Option<Packing>,
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
        let [k, n, width, block] = [0, 1, 2, 4].map(|i| arguments[i] as usize);
        let rows = k.next_multiple_of(PANEL_ROWS);
        let (panels, padded_blocks) = (n.div_ceil(width), rows.div_ceil(block));
        Extents { k, n, width, bits: arguments[3], block, panels, rows, padded_blocks }
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

/// Panels `[n / width, k / depth, width / 4]` of groups of `depth` rows by four columns, row by row, a byte for each column; rows of 4
/// bits take turns in the lower and upper halves of the bytes. The last argument is `depth`.
fn pack_bits(tensor: &Tensor, arguments: &[u32]) -> Vec<u8> {
    let e = Extents::new(arguments);
    let (bytes, bits, depth) = (tensor.bytes(), e.bits as usize, arguments[5] as usize);
    let row_bytes = e.blocks() * e.block * bits / 8;
    let mut packed = vec![0u8; e.panels * e.rows * e.width * bits / 8];
    for n in 0..e.n {
        // Blocks follow each other without gaps, so that a row is one run of values.
        let row = &bytes[n * row_bytes..][..row_bytes];
        for k in 0..e.k {
            let group = (n / e.width * (e.rows / depth) + k / depth) * (e.width / 4) + n % e.width / 4;
            let (line, shift) = if bits == 8 { (k % depth, 0) } else { (k % depth / 2, k % 2 * 4) };
            packed[group * depth * bits / 2 + line * 4 + n % 4] |= unpack(row, k, e.bits) << shift;
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

/// One value of 4 or 8 bits; of two in a byte, the first is the lower half.
pub(super) fn unpack(bytes: &[u8], index: usize, bits: u32) -> u8 {
    if bits == 8 { bytes[index] } else { (bytes[index / 2] >> (4 * (index % 2))) & 15 }
}
