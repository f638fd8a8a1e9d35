//! Convolutions as matrix products of weights and the pixels under the window: filters by channels and taps, times
//! channels and taps by output pixels. "Anatomy of High-Performance Deep Learning Convolutions on SIMD Architectures"
//! (Georganas et al. 2018) and cuDNN's implicit GEMM (Chetlur et al. 2014) describe the family.

use super::software::texels as subgroup;
use super::software::unfold::{self, UnfoldedLines};
use super::{WindowAxis, ConvShape, extents, spatial, tiled, winograd};
use crate::error::{Error, ErrorKind, Result};
use crate::graph::Io;
use crate::kernel::{AdapterClass, Caps, Lowering, Offers, Operand, preludes};
use crate::ops::matmul;
use crate::tensor::View;

/// Operations below which a dispatch of its own for the unfolding costs more than gathering without it.
const UNFOLDED_FLOPS: u64 = 1 << 24;

impl ConvShape {
    /// Terms of each sum.
    fn terms(&self) -> usize {
        self.channels * self.taps()
    }

    /// True when each output pixel sees exactly the input pixel at its place.
    fn is_pointwise(&self) -> bool {
        self.axes.iter().all(|a| (a.kernel, a.stride, a.begin, a.end) == (1, 1, 0, 0))
    }

    /// True when the window is the whole input.
    fn is_whole(&self) -> bool {
        self.groups == 1 && self.axes.iter().all(|a| (a.kernel, a.dilation, a.begin, a.end) == (a.input, 1, 0, 0))
    }

    /// Weights `[groups, filters, terms]`, batched over images.
    fn weights(&self) -> View {
        View::contiguous(&[1, self.groups, self.filters, self.terms()].into())
    }

    /// The product, whose B has as many columns as there are pixels; its strides hold for pointwise windows only.
    fn product(&self, plane: usize) -> Result<matmul::Product> {
        let pixels = View {
            shape: [self.batches, self.groups, self.terms(), self.output_area()].into(),
            strides: vec![
                (self.groups * self.channels * plane) as i64,
                (self.channels * plane) as i64,
                self.output_area() as i64,
                1,
            ],
            offset: 0,
        };
        let mut product = matmul::Product::new(&self.weights(), &pixels)?;
        product.inputs = [1, 0];
        Ok(product)
    }
}

/// All kernels that make a product of this convolution, the best first.
pub(super) fn lower(conv: &ConvShape, io: &Io, caps: &Caps) -> Result<Vec<Lowering>> {
    if conv.is_whole() {
        let inputs = View::contiguous(&[conv.batches, conv.terms()].into());
        let weights = View::contiguous(&[conv.filters, conv.terms()].into()).transpose(&[1, 0]);
        return collect(caps, |offers| matmul::Product::new(&inputs, &weights)?.offer(io, offers));
    }
    if conv.is_pointwise() {
        let mut lowerings: Vec<_> = subgroup::lower(conv, io, caps)?.into_iter().collect();
        lowerings.extend(collect(caps, |offers| conv.product(conv.output_area())?.offer(io, offers))?);
        return Ok(lowerings);
    }
    let mut lowerings = Vec::new();
    if caps.class == AdapterClass::Cpu {
        lowerings.extend(unfolded(conv, io, caps)?);
        lowerings.extend(gathered_by_lanes(conv, io, caps)?);
        if conv.work().0 < UNFOLDED_FLOPS {
            lowerings.reverse();
        }
        let winograd = winograd::lower_texels(conv, io, caps)?;
        let (first, second) = if winograd::preferred(conv) { (winograd, None) } else { (None, winograd) };
        lowerings.splice(0..0, first.into_iter().chain(subgroup::lower(conv, io, caps)?).chain(second));
    }
    lowerings.extend(tiled::lower(conv, io, caps)?);
    lowerings.extend(winograd::lower(conv, io, caps)?);
    lowerings.extend(collect(caps, |offers| gathered(conv)?.offer_tiles(io, offers))?);
    Ok(lowerings)
}

/// The variants that are offered, the best first.
fn collect(caps: &Caps, offer: impl FnOnce(&mut Offers) -> Result<()>) -> Result<Vec<Lowering>> {
    let mut offers = Offers::new(caps);
    offer(&mut offers)?;
    Ok(offers.finish()?.0.into_iter().map(|offer| offer.lowering).collect())
}

/// A variant, where it fits.
pub(super) fn fitting(made: Result<Lowering>) -> Result<Option<Lowering>> {
    match made {
        Err(error) if matches!(error.kind(), ErrorKind::Unsupported | ErrorKind::Limit) => Ok(None),
        made => made.map(Some),
    }
}

/// Broadcasts within a subgroup, over pixels that each lane gathers from the input: one dispatch.
fn gathered_by_lanes(conv: &ConvShape, io: &Io, caps: &Caps) -> Result<Option<Lowering>> {
    let mut lowering = fitting(gathered(conv)?.by_broadcast(io, caps))?;
    if let Some(Lowering::Dispatches { variant, .. }) = &mut lowering {
        *variant = "subgroup_gathered";
    }
    Ok(lowering)
}

/// The product whose B is read straight from the input.
fn gathered(conv: &ConvShape) -> Result<matmul::Product> {
    let mut product = conv.product(conv.input_area())?;
    product.gather = Some(matmul::Gather {
        prelude: &preludes::CONV_GATHER,
        place: &preludes::PLACE_COLUMN,
        constants: extents(&spatial(conv)),
        operand: Operand::Input(0),
        columns: conv.output_area(),
        row_length: conv.output_area(),
    });
    Ok(product)
}

/// Broadcasts within a subgroup, over lines that a first dispatch pads and unfolds.
fn unfolded(conv: &ConvShape, io: &Io, caps: &Caps) -> Result<Option<Lowering>> {
    let [depth, height, width] = spatial(conv);
    if depth != WindowAxis::ABSENT {
        return Ok(None);
    }
    let unfolded = UnfoldedLines::new(conv);
    let UnfoldedLines { lines, quads, plane, groups } = unfolded;
    if groups * 16 > caps.max_storage_binding.min(u64::from(u32::MAX)) {
        return Ok(None);
    }
    let mut product = conv.product(plane)?;
    product.gather = Some(matmul::Gather {
        prelude: &preludes::CONV_UNFOLDED,
        place: &preludes::PLACE_PIXEL,
        constants: vec![
            ("TERMS", conv.terms() as u32),
            ("PADDED_HEIGHT", lines as u32),
            ("KERNEL_HEIGHT", height.kernel as u32),
            ("KERNEL_WIDTH", width.kernel as u32),
            ("QUADS", quads as u32),
            ("STRIDE_HEIGHT", height.stride as u32),
            ("DILATION_HEIGHT", height.dilation as u32),
            ("OUTPUT_HEIGHT", height.output as u32),
            ("OUTPUT_WIDTH", width.output as u32),
        ],
        operand: Operand::Temporary(0),
        columns: height.output * quads * 4,
        row_length: width.output,
    });
    let Some(mut lowering) = fitting(product.by_broadcast(io, caps))? else {
        return Ok(None);
    };
    let unfold = unfold::lower(conv, &unfolded, false, caps)?;
    match &mut lowering {
        Lowering::Dispatches { dispatches, temporaries, .. } => {
            dispatches.insert(0, unfold);
            temporaries.push(groups * 16);
        }
        Lowering::Alias { .. } => return Err(Error::internal("a matrix product that is no work")),
    }
    Ok(Some(lowering))
}
