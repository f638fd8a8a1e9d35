//! Part: a run of elements of a tensor, under a shape of its own.

use crate::error::{Error, Result};
use crate::graph::{Fact, Gradient, Io, Node, Op, ValueId, Writer, required};
use crate::kernel::{Lowering, Offers, Operand};
use crate::ops::compose::Compose;
use crate::ops::concat::concat;
use crate::ops::copy;
use crate::ops::shared::no_scalar;
use crate::tensor::{Shape, Tensor, TensorType, View};
use std::sync::Arc;

pub(super) const NAME: &str = "Part";

/// The elements of input 0 from one on, as many as the shape has. Unlike a view it is bound where it lies, and kernels read it as they read
/// any tensor.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// The element that it starts with.
    pub first: usize,
    /// The shape.
    pub shape: Shape,
}

/// The elements of a tensor from one on, under a shape.
pub fn part(first: usize, shape: impl Into<Shape>) -> Arc<dyn Op> {
    Arc::new(Part { first, shape: shape.into() })
}

impl Part {
    fn end(&self, whole: &TensorType) -> Result<usize> {
        let end = self.first.checked_add(self.shape.elements()).filter(|end| *end <= whole.elements());
        end.ok_or_else(|| Error::invalid_model(format!("{} from element {} on is no part of {whole}", self.shape, self.first)))
    }
}

impl Op for Part {
    fn name(&self) -> &'static str {
        NAME
    }

    crate::attributes!(first, shape);

    fn infer(&self, inputs: &[Option<&Fact>]) -> Result<Vec<Fact>> {
        let whole = required(NAME, inputs, 0)?;
        self.end(&whole.ty)?;
        Ok(vec![Fact { ty: TensorType::new(whole.dtype(), self.shape.clone()), value: None, bounds: whole.bounds() }])
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>> {
        let whole = required(NAME, inputs, 0)?;
        let (end, size) = (self.end(whole.ty())?, whole.dtype().size());
        let ty = TensorType::new(whole.dtype(), self.shape.clone());
        Ok(vec![Tensor::from_bytes(ty, &whole.bytes()[self.first * size..end * size])?])
    }

    fn lower(&self, io: &Io, offers: &mut Offers) -> Result<()> {
        let whole = io.input(0)?;
        if whole.scalar().is_none() {
            return Err(no_scalar(whole));
        }
        offers.window(0, self.first);
        let caps = offers.caps();
        offers.add("copy", 1, || {
            let to = View::contiguous(&self.shape);
            let from = View { offset: self.first as i64, ..to.clone() };
            Ok(Lowering::new(vec![copy::strided(&from, &to, [Operand::Input(0), Operand::Output(0)], caps)?]))
        });
        Ok(())
    }

    fn gradient(&self, node: &Node, upstream: &[Option<ValueId>], _: &[bool], writer: &mut Writer) -> Result<Gradient> {
        let Some(worth) = upstream.first().copied().flatten() else { return Ok(Gradient::Zero) };
        let whole = writer.fact(node.needed(0)?)?.ty.clone();
        let end = self.end(&whole)?;
        let before = writer.zeros(whole.dtype, &[self.first].into())?;
        let after = writer.zeros(whole.dtype, &[whole.elements() - end].into())?;
        let worth = writer.reshape(worth, &[self.shape.elements()])?;
        let found = writer.apply(concat(0), &[before, worth, after])?;
        Ok(Gradient::Inputs(vec![Some(writer.reshape(found, &whole.shape)?)]))
    }
}
