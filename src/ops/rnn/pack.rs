//! The weights of a recurrent layer in the order in which its kernel reads them.
//!
//! Hidden units in groups of four, padded with zeros. Per direction, in groups: R as `[4 * units][gates][units]` (input of
//! the product outermost), then B as `[2][gates][units]`, then the peepholes as `[3][units]`; `units` counts groups.

use super::reference::Weights;
use super::{Cell, Recurrent, RecurrentShape, gradient};
use crate::error::{Error, Result};
use crate::graph::{Fact, Gradient, Io, Node, Op, ValueId, Writer, required};
use crate::kernel::{Access, Caps, Dispatch, Kernel, Lowering, Offers, Operand, params, shader, u32s};
use crate::tensor::{Scalar, Tensor, TensorType, View};

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
    pub geometry: RecurrentShape,
}

impl Pack {
    /// Calls `f` with the place of each weight among the packed ones, and which it is: R by gate row and column, then B
    /// and P by their index within a direction.
    fn places(&self, mut r: impl FnMut(usize, usize), mut b: impl FnMut(usize, usize), mut p: impl FnMut(usize, usize)) {
        let RecurrentShape { hidden, directions, .. } = self.geometry;
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

    /// Where R, B and P stand among packed weights: `[directions, gates, hidden, hidden]`, `[directions, 2, gates, hidden]` and
    /// `[directions, 3, hidden]`.
    pub(super) fn views(&self) -> [View; 3] {
        let RecurrentShape { hidden, directions, .. } = self.geometry;
        let (gates, width, stride) = (self.cell.gates(), 4 * units(hidden), stride(self.cell, hidden) * 4);
        let biases = width * width * gates;
        let view = |extents: &[usize], strides: &[usize], offset: usize| View {
            shape: extents.into(),
            strides: strides.iter().map(|stride| *stride as i64).collect(),
            offset: offset as i64,
        };
        [
            view(&[directions, gates, hidden, hidden], &[stride, width, 1, gates * width], 0),
            view(&[directions, 2, gates, hidden], &[stride, gates * width, width, 1], biases),
            view(&[directions, 3, hidden], &[stride, width, 1], biases + 2 * gates * width),
        ]
    }

    /// The weights as they were before packing.
    pub(super) fn unpack(&self, packed: &[f64]) -> Weights {
        let RecurrentShape { hidden, directions, .. } = self.geometry;
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

    crate::attributes!(cell, geometry);

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

    fn lower(&self, io: &Io, offers: &mut Offers) -> Result<()> {
        let r = io.input(0)?;
        if r.scalar() != Some(Scalar::F32) {
            return Err(Error::unsupported(format!("recurrent weights of {}", r.dtype())));
        }
        let caps = offers.caps();
        offers.only("pack", || self.dispatch(io, caps));
        Ok(())
    }

    fn gradient(&self, _: &Node, upstream: &[Option<ValueId>], wanted: &[bool], writer: &mut Writer) -> Result<Gradient> {
        gradient::unpacked(self, upstream.first().copied().flatten(), wanted, writer)
    }
}

impl Pack {
    fn dispatch(&self, io: &Io, caps: &Caps) -> Result<Lowering> {
        let RecurrentShape { hidden, directions, .. } = self.geometry;
        let stride = stride(self.cell, hidden);
        let [direction_count, gates, hidden, units] = u32s([directions, self.cell.gates(), hidden, units(hidden)])?;
        let [stride_count] = u32s([stride])?;
        let access = [Access::Read, Access::Read, Access::Read, Access::Write];
        let kernel = Kernel::new(&SHADER, &access, [64, 1, 1])
            .set("HAS_BIAS", u32::from(io.optional(1).is_some()))
            .set("HAS_PEEPHOLES", u32::from(io.optional(2).is_some()));
        let params = PackParams { directions: direction_count, gates, hidden, units, stride: stride_count };
        let optional = |k: usize| if io.optional(k).is_some() { Operand::Input(k) } else { Operand::Nothing };
        let bindings = vec![Operand::Input(0), optional(1), optional(2), Operand::Output(0)];
        let groups = (directions * stride) as u64;
        let grid = Dispatch::linear_grid(groups.div_ceil(64), caps)?;
        Ok(Lowering::new(vec![Dispatch::new(kernel, params, bindings, grid).work(0, groups * 32)]))
    }
}

impl Recurrent {
    /// The operator that packs this layer's weights.
    pub(super) fn packer(&self, geometry: RecurrentShape) -> Pack {
        Pack { cell: self.cell, geometry }
    }
}
