//! The steps of a recurrent layer, once the product of all inputs and W is there.

use super::reference::{self, Start};
use super::{Recurrent, RecurrentShape, gradient, lower};
use crate::error::Result;
use crate::graph::{Fact, Gradient, Io, Node, Op, ValueId, Writer, required};
use crate::kernel::Offers;
use crate::tensor::Tensor;

/// What a recurrent layer is after its expansion. Inputs: products `[steps * batch, directions * gates * hidden]` in the
/// order of X, packed weights, and optional sequence lengths, initial state and initial cell state. Outputs as the layer's.
#[derive(Clone, Debug)]
pub(super) struct Steps {
    pub layer: Recurrent,
    pub geometry: RecurrentShape,
}

impl Op for Steps {
    fn name(&self) -> &'static str {
        "RecurrentSteps"
    }

    crate::attributes!(layer, geometry);

    fn infer(&self, inputs: &[Option<&Fact>]) -> Result<Vec<Fact>> {
        let dtype = required(self.name(), inputs, 0)?.dtype();
        Ok(self.layer.output_facts(self.geometry, dtype))
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>> {
        let products = required(self.name(), inputs, 0)?;
        let packed = required(self.name(), inputs, 1)?;
        let weights = self.layer.packer(self.geometry).unpack(&packed.to_f64());
        let optional = |k: usize| inputs.get(k).copied().flatten();
        let start = Start { lengths: optional(2), h: optional(3), c: optional(4) };
        reference::steps(&self.layer, self.geometry, products.dtype(), &products.to_f64(), &weights, &start)
    }

    fn lower(&self, io: &Io, offers: &mut Offers) -> Result<()> {
        lower::lower(self, io, offers)
    }

    fn gradient(&self, node: &Node, upstream: &[Option<ValueId>], wanted: &[bool], writer: &mut Writer) -> Result<Gradient> {
        gradient::steps(self, node, upstream, wanted, writer)
    }
}
