//! The weights of a recurrent layer in the order in which its kernel reads them.
//!
//! Hidden units in groups of four, padded with zeros. Per direction, in groups: R as `[4 * units][gates][units]` (input of
//! the product outermost), then B as `[2][gates][units]`, then the peepholes as `[3][units]`; `units` counts groups.

use super::reference::Weights;
use super::{Cell, Geometry, Recurrent};
use crate::error::{Error, Result};
use crate::graph::{Fact, Io, Op, required};
use crate::kernel::{Access, Caps, Dispatch, Kernel, Lowering, Operand, params, shader};
use crate::tensor::{Scalar, Tensor, TensorType};

params! {
    /// Parameters of the kernel.
    struct PackParams {
        directions: u32,
        gates: u32,
        hidden: u32,
        units: u32,
        stride: u32,
    }
}

shader!(pub(super) static SHADER: PackParams = "recurrent_pack");

/// Groups of four hidden units.
pub(super) fn units(hidden: usize) -> usize {
    hidden.div_ceil(4)
}

/// Groups of four weights per direction.
pub(super) fn stride(cell: Cell, hidden: usize) -> usize {
    let units = units(hidden);
    units * (4 * units * cell.gates() + 2 * cell.gates() + 3)
}

/// Packs inputs R, B and P of a layer; made by its expansion where they are no constants.
#[derive(Clone, Debug)]
pub(super) struct Pack {
    pub cell: Cell,
    pub geometry: Geometry,
}

impl Pack {
    /// Calls `f` with the place of each weight among the packed ones, and which it is: R by gate row and column, then B
    /// and P by their index within a direction.
    fn places(&self, mut r: impl FnMut(usize, usize), mut b: impl FnMut(usize, usize), mut p: impl FnMut(usize, usize)) {
        let Geometry { hidden, directions, .. } = self.geometry;
        let (gates, units, stride) = (self.cell.gates(), units(hidden), stride(self.cell, hidden) * 4);
        for d in 0..directions {
            let biases = d * stride + units * 4 * 4 * units * gates;
            let peepholes = biases + 2 * gates * units * 4;
            for gate in 0..gates {
                for unit in 0..hidden {
                    for k in 0..hidden {
                        let at = d * stride + ((k * gates + gate) * units) * 4 + unit;
                        r(at, (d * gates * hidden + gate * hidden + unit) * hidden + k);
                    }
                    for half in 0..2 {
                        b(biases + (half * gates + gate) * units * 4 + unit, ((d * 2 + half) * gates + gate) * hidden + unit);
                    }
                }
            }
            for k in 0..3 {
                (0..hidden).for_each(|unit| p(peepholes + k * units * 4 + unit, (d * 3 + k) * hidden + unit));
            }
        }
    }

    fn ty(&self, like: &TensorType) -> TensorType {
        TensorType::new(like.dtype, [self.geometry.directions, stride(self.cell, self.geometry.hidden) * 4])
    }

    /// The weights as they were before packing.
    pub(super) fn unpack(&self, packed: &[f64]) -> Weights {
        let Geometry { hidden, directions, .. } = self.geometry;
        let gates = directions * self.cell.gates() * hidden;
        let (mut r, mut b, mut p) = (vec![0.0; gates * hidden], vec![0.0; 2 * gates], vec![0.0; 3 * directions * hidden]);
        self.places(|at, k| r[k] = packed[at], |at, k| b[k] = packed[at], |at, k| p[k] = packed[at]);
        Weights { r, b: Some(b), p: Some(p) }
    }
}

impl Op for Pack {
    fn name(&self) -> &'static str {
        "RecurrentPack"
    }

    fn infer(&self, inputs: &[Option<&Fact>]) -> Result<Vec<Fact>> {
        let ty = self.ty(&required(self.name(), inputs, 0)?.ty);
        Ok(vec![Fact::new(ty.dtype, ty.shape)])
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>> {
        let r = required(self.name(), inputs, 0)?;
        let ty = self.ty(r.ty());
        let mut out = std::cell::RefCell::new(vec![0f64; ty.elements()]);
        let optional = |k: usize| inputs.get(k).copied().flatten().map(Tensor::to_f64);
        let (r, b, p) = (r.to_f64(), optional(1), optional(2));
        let put = |at: usize, from: Option<&Vec<f64>>, k: usize| {
            if let Some(from) = from {
                out.borrow_mut()[at] = from[k];
            }
        };
        self.places(|at, k| put(at, Some(&r), k), |at, k| put(at, b.as_ref(), k), |at, k| put(at, p.as_ref(), k));
        Ok(vec![Tensor::from_f64(ty, out.get_mut())?])
    }

    fn candidates(&self, io: &Io, caps: &Caps) -> Result<Vec<Lowering>> {
        let r = io.input(0)?;
        if r.scalar() != Some(Scalar::F32) {
            return Err(Error::unsupported(format!("recurrent weights of {}", r.dtype())));
        }
        let Geometry { hidden, directions, .. } = self.geometry;
        let groups = directions * stride(self.cell, hidden);
        if groups == 0 {
            return Ok(vec![Lowering::empty()]);
        }
        // Where an input is left out, R stands in its place and the kernel does not look at it.
        let (b, p) = (io.optional(1), io.optional(2));
        let access = [Access::Read, Access::Read, Access::Read, Access::Write];
        let kernel = Kernel::new(&SHADER, &access, [64, 1, 1])
            .set("HAS_BIAS", u32::from(b.is_some()))
            .set("HAS_PEEPHOLES", u32::from(p.is_some()));
        let params = PackParams {
            directions: directions as u32,
            gates: self.cell.gates() as u32,
            hidden: hidden as u32,
            units: units(hidden) as u32,
            stride: stride(self.cell, hidden) as u32,
        };
        let input = |k: usize, there: bool| Operand::Input(if there { k } else { 0 });
        let bindings = vec![Operand::Input(0), input(1, b.is_some()), input(2, p.is_some()), Operand::Output(0)];
        let grid = Dispatch::linear_grid(groups.div_ceil(64) as u64, caps)?;
        let dispatch = Dispatch::new(kernel, params, bindings, grid).work(0, groups as u64 * 32);
        Ok(vec![Lowering::dispatches("pack", vec![dispatch])])
    }
}

impl Recurrent {
    /// The operator that packs this layer's weights.
    pub(super) fn packer(&self, geometry: Geometry) -> Pack {
        Pack { cell: self.cell, geometry }
    }
}
