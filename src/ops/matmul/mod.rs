//! MatMul: products of (batches of) matrices by numpy's rule, over operands seen through strided views.

mod bits;
mod bits_gradient;
mod direct;
mod gemv;
mod gradient;
mod integer;
mod operands;
mod packing;
mod product;
mod quantized;
mod ranks;
mod slices;
mod software;
mod split;
mod tiled;

use self::ranks::Ranks;
use super::Registration;
use crate::error::{Error, Result};
use crate::graph::{Fact, Gradient, Io, Node, Op, ValueId, Writer, required};
use crate::kernel::{Caps, Lowering, Offers};
use crate::tensor::{DType, Scalar, Tensor, TensorType, View};
use std::sync::Arc;

pub use gradient::exchanged_product;
pub use integer::{MatMulInteger, matmul_integer};
pub(crate) use product::{Gather, Product};
pub use quantized::{MatMulNBits, matmul_nbits};

pub(super) static REGISTRATION: Registration = Registration {
    operators: &["MatMul", "MatMulInteger", "MatMulNBits"],
    shaders: &[
        &direct::SHADER,
        &gemv::SHADER,
        &slices::SHADER,
        &split::SHADER,
        &software::broadcast::SHADER,
        &software::few_rows::SHADER,
        &software::packed::SHADER,
        &software::packed::PACK_A_SHADER,
        &software::packed::PACK_B_SHADER,
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

    crate::attributes!(a, b);

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
        let shape = product::output_shape(&view_a.shape, &view_b.shape)?;
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
        let ty = TensorType::new(a.dtype(), product::output_shape(&view_a.shape, &view_b.shape)?);
        let (a, b) = (seen(a, &view_a)?, seen(b, &view_b)?);
        let product = Product::new(&View::contiguous(a.shape()), &View::contiguous(b.shape()))?;
        let output = if ty.dtype.is_float() {
            Tensor::from_f64(ty, &product.multiply(&a.to_f64(), &b.to_f64(), |sum, a, b| sum + a * b))?
        } else {
            let add = |sum: i128, a: i128, b: i128| sum.wrapping_add(a.wrapping_mul(b));
            Tensor::from_i128(ty, &product.multiply(&a.to_i128(), &b.to_i128(), add))?
        };
        Ok(vec![output])
    }

    fn lower(&self, io: &Io, offers: &mut Offers) -> Result<()> {
        let (a, b) = (io.input(0)?, io.input(1)?);
        let scalar = io.outputs[0].scalar();
        if scalar.is_none() || a.scalar() != scalar || b.scalar() != scalar {
            return Err(Error::unsupported(format!("a product of {} and {} whose range is not known to fit 32 bits", a.ty, b.ty)));
        }
        let (view_a, view_b) = self.operands(&a.ty, &b.ty);
        Product::new(&view_a, &view_b)?.offer(io, offers)
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

    fn gradient(&self, node: &Node, upstream: &[Option<ValueId>], wanted: &[bool], writer: &mut Writer) -> Result<Gradient> {
        gradient::gradient(self, node, upstream, wanted, writer)
    }

    fn takes_epilogue(&self) -> bool {
        true
    }
}

impl Product {
    /// Offers all kernels that serve this product.
    pub(crate) fn offer(&self, io: &Io, offers: &mut Offers) -> Result<()> {
        let caps = offers.caps();
        if io.outputs[0].scalar() != Some(Scalar::F32) || self.k == 0 {
            offers.only("direct", || direct::lower(self, io, caps));
            return Ok(());
        }
        let (ranks, workgroup) = software::offer(self, io, offers).unwrap_or_else(|| (Ranks::on_gpus(self, io), gemv::WORKGROUP));
        offers.add("gemv", ranks.gemv, || gemv::lower(self, io, &workgroup, caps));
        offers.group(ranks.slices, |inner| slices::offer(self, io, inner))?;
        offers.group(ranks.tiles, |inner| tiled::offer(self, io, inner))?;
        offers.add("direct", ranks.direct, || direct::lower(self, io, caps));
        Ok(())
    }

    /// Offers the tile sizes of the kernel that takes any operand B.
    pub(crate) fn offer_tiles(&self, io: &Io, offers: &mut Offers) -> Result<()> {
        if self.k == 0 { Ok(()) } else { tiled::offer(self, io, offers) }
    }

    /// The best of all kernels, as a part of something larger.
    pub(crate) fn best(&self, io: &Io, caps: &Caps) -> Result<Lowering> {
        best(caps, |offers| self.offer(io, offers))
    }

    /// The best of the tile sizes, as a part of something larger.
    pub(crate) fn best_tiles(&self, io: &Io, caps: &Caps) -> Result<Lowering> {
        best(caps, |offers| self.offer_tiles(io, offers))
    }
}

/// The best of the variants that are offered.
fn best(caps: &Caps, offer: impl FnOnce(&mut Offers) -> Result<()>) -> Result<Lowering> {
    let mut offers = Offers::new(caps);
    offer(&mut offers)?;
    let (fitting, declined) = offers.finish()?;
    match (fitting.into_iter().next(), declined.into_iter().next_back()) {
        (Some(offer), _) => Ok(offer.lowering),
        (None, Some(declined)) => Err(declined.reason),
        (None, None) => Err(Error::unsupported("a matrix product of no terms")),
    }
}
