//! The way back through the steps of a recurrent layer on the GPU: all steps in one dispatch, or one dispatch for each.

use super::gradient_steps::RecurrentGradient;
use super::lower::MOST_STEPS;
use super::pack::units;
use super::{Cell, RecurrentShape, software};
use crate::error::{Error, Result};
use crate::graph::Io;
use crate::kernel::{
    Access, Caps, Dispatch, Grid, Kernel, Lowering, Offers, Operand, Rank, Shader, params, preludes, shader, u32s,
};
use crate::tensor::Scalar;

params! {
    /// Parameters of the kernels that go back.
    pub(super) struct GradientParams {
        steps: u32,
        batch: u32,
        hidden: u32,
        directions: u32,
        direction: u32,
        reversed: u32,
        batch_first: u32,
        first_step: u32,
        last_step: u32,
    }
}

shader!(pub(super) static SHADER: GradientParams = "recurrent_gradient");
shader!(pub(super) static TILED: GradientParams = "recurrent_gradient_tiled");

/// Side of a workgroup of `tiled`.
const SIDE: u32 = 8;
/// Batch elements that fill enough of a tile.
const ENOUGH: usize = 4;
/// Bytes of weights that one workgroup should not read for each step.
const LARGE: usize = 1 << 20;
/// Where the variants stand: what software adapters have beside these goes first.
const BETTER: Rank = 1;
const WORSE: Rank = 2;

pub(super) fn lower(op: &RecurrentGradient, io: &Io, offers: &mut Offers) -> Result<()> {
    for k in [0, 1, 3, 4, 5] {
        if io.optional(k).is_some_and(|f| f.scalar() != Some(Scalar::F32)) {
            return Err(Error::unsupported("gradients of a recurrent layer of other than 32-bit floats"));
        }
    }
    if io.optional(2).is_some_and(|f| f.scalar() != Some(Scalar::I32)) {
        return Err(Error::unsupported("sequence lengths that are not known to fit 32 bits"));
    }
    let back = Back { op, io, caps: offers.caps() };
    let weights = op.layer.cell.gates() * op.geometry.hidden * op.geometry.hidden * 4;
    let software = software::offer_back(&back, offers);
    let tiled_is_better = software.is_none() && op.geometry.batch >= ENOUGH && weights >= LARGE;
    let (walk, tiled) = if tiled_is_better { (WORSE, BETTER) } else { (BETTER, WORSE) };
    let sharing = software.unwrap_or_else(|| Walk::of_gpus(&back));
    offers.add("walk", walk, || sharing.lower(&back, &PRODUCTS));
    offers.add("tiled", tiled, || back.tiled());
    Ok(())
}

/// The operator on an adapter.
pub(super) struct Back<'a> {
    pub op: &'a RecurrentGradient,
    pub io: &'a Io<'a>,
    pub caps: &'a Caps,
}

/// How workgroups share the walk through the steps.
#[derive(Clone, Copy, Debug)]
pub(super) struct Walk {
    /// Lanes side by side, each with some groups of units.
    pub lanes: usize,
    /// Lanes that share a sum.
    pub slices: usize,
    /// Batch elements of a workgroup.
    pub tile: usize,
}

/// How its kernel multiplies.
pub(super) struct Products {
    /// The weights where all kernels of the way back bind them.
    pub weights: Operand,
    /// Them where another form of the kernel does.
    pub elsewhere: Option<(Access, Operand)>,
    /// The preludes that multiply.
    pub preludes: fn(Kernel) -> Kernel,
    /// Whether lanes add up parts of a sum in workgroup memory.
    pub in_slices: bool,
}

/// From a buffer, in slices.
const PRODUCTS: Products = Products {
    weights: Operand::Input(1),
    elsewhere: None,
    preludes: |kernel| kernel.prelude(&preludes::RECURRENT_GRADIENT_SUMS),
    in_slices: true,
};

impl Walk {
    /// On a GPU slices hide the time that weights take to arrive, and workgroups are wanted more than weights used again.
    fn of_gpus(back: &Back) -> Self {
        let RecurrentShape { batch, hidden, .. } = back.op.geometry;
        let lanes = units(hidden).next_power_of_two().clamp(8, 64);
        let slices = (back.caps.max_invocations.min(256) as usize / lanes).clamp(1, 8);
        Walk { lanes, slices, tile: if batch < 64 { 1 } else { 2 } }
    }

    /// Groups of units of a lane.
    fn owned(&self, back: &Back) -> usize {
        units(back.op.geometry.hidden).div_ceil(self.lanes)
    }

    /// Groups of workgroup memory for what goes into the gates, and for partial sums.
    fn groups(&self, back: &Back) -> [usize; 2] {
        let changes = self.tile * back.op.layer.cell.gates() * units(back.op.geometry.hidden);
        let parts = (self.slices - 1) * self.owned(back) * self.tile * self.lanes;
        [changes.max(1), parts.max(1)]
    }

    fn bytes(&self, back: &Back, products: &Products) -> usize {
        let [changes, parts] = self.groups(back);
        (changes + if products.in_slices { parts } else { 0 }) * 16
    }

    /// As wanted, or with fewer slices and smaller tiles where workgroup memory does not hold that.
    fn fitting(mut self, back: &Back, products: &Products) -> Result<Self> {
        let limit = back.caps.max_workgroup_storage as usize;
        while products.in_slices && self.bytes(back, products) > limit && (self.slices > 1 || self.tile > 1) {
            if self.slices > 1 { self.slices /= 2 } else { self.tile /= 2 }
        }
        let (found, hidden) = (self.bytes(back, products), back.op.geometry.hidden);
        if found > limit {
            return Err(Error::unsupported(format!("a state of {hidden} takes {found} bytes of workgroup memory of {limit}")));
        }
        Ok(self)
    }

    /// The variant: all steps in as few dispatches as their loops allow.
    pub(super) fn lower(self, back: &Back, products: &Products) -> Result<Lowering> {
        let walk = self.fitting(back, products)?;
        let RecurrentShape { steps, batch, hidden, .. } = back.op.geometry;
        let owned = walk.owned(back);
        let groups = (back.op.layer.cell.gates() * units(hidden)).div_ceil(walk.slices);
        // Of one step, generously: with run-time checks a compiler unrolls no loop over the units of a group.
        let most = groups * (5 + owned) + 24 * owned * walk.tile;
        let turns = groups * if products.in_slices { 1 } else { owned } + 2 * owned + 2;
        let together = back.caps.most_turns(most);
        if steps.div_ceil(together) > MOST_STEPS {
            return Err(Error::unsupported(format!("{steps} steps, of which a dispatch takes {together}")));
        }
        let [groups_x] = u32s([batch.div_ceil(walk.tile)])?;
        let parts: Vec<usize> = (0..steps).step_by(together).collect();
        let mut dispatches = vec![];
        for first in parts.into_iter().rev() {
            let part = [first, (first + together).min(steps)];
            let kernel = walk.kernel(back, products)?;
            let (taken, grid): (usize, Grid) = (part[1] - part[0], [groups_x, 1, 1]);
            dispatches.push(back.dispatch(kernel, part, grid, products)?.turns(taken * turns));
        }
        Ok(Lowering::new(dispatches))
    }

    fn kernel(&self, back: &Back, products: &Products) -> Result<Kernel> {
        let [changes, parts] = self.groups(back);
        let [workgroup, lanes, slices, tile] = u32s([self.lanes * self.slices, self.lanes, self.slices, self.tile])?;
        let [owned, changes, parts] = u32s([self.owned(back), changes, parts])?;
        let access = [back.access(), products.elsewhere.iter().map(|(access, _)| *access).collect()].concat();
        let mut kernel = (products.preludes)(back.kernel(&SHADER, &access, [workgroup, 1, 1])?);
        if products.in_slices {
            kernel = kernel.constant("SLICES", slices).constant("PARTS", parts);
        }
        let constants = [("WORKGROUP", workgroup), ("LANES", lanes), ("TILE", tile), ("OWNED", owned), ("CHANGES", changes)];
        Ok(constants.into_iter().fold(kernel, |kernel, (name, value)| kernel.constant(name, value)))
    }
}

impl Back<'_> {
    /// A dispatch for each product of each step, as tiles of a matrix product.
    fn tiled(&self) -> Result<Lowering> {
        let RecurrentShape { steps, batch, hidden, .. } = self.op.geometry;
        let two = self.op.layer.cell.takes_two_products();
        let dispatches = (steps + 1) * if two { 2 } else { 1 };
        if steps == 0 || dispatches > MOST_STEPS {
            return Err(Error::unsupported(format!("{dispatches} dispatches of {MOST_STEPS}")));
        }
        let [x, y] = u32s([units(hidden).div_ceil(SIDE as usize), batch.div_ceil(4 * SIDE as usize)])?;
        let mut made = vec![];
        for turn in (0..=steps).rev() {
            let products: &[u32] = match turn {
                _ if !two => &[0],
                0 => &[1],
                _ => &[1, 2],
            };
            for product in products {
                let kernel = self.kernel(&TILED, &self.access(), [SIDE, SIDE, 1])?.constant("PRODUCT", *product);
                let terms = self.op.layer.cell.gates() * hidden;
                let dispatch = self.dispatch(kernel, [turn.saturating_sub(1), turn], [x, y, 1], &PRODUCTS)?;
                made.push(dispatch.turns(terms.div_ceil(16) * 96 + 32));
            }
        }
        Ok(Lowering::new(made))
    }

    fn access(&self) -> Vec<Access> {
        [[Access::Read; 6].as_slice(), &[Access::Write; 2]].concat()
    }

    fn optional(&self, k: usize) -> Operand {
        if self.io.optional(k).is_some() { Operand::Input(k) } else { Operand::Nothing }
    }

    /// What all kernels share.
    fn kernel(&self, shader: &'static Shader, access: &[Access], workgroup: [u32; 3]) -> Result<Kernel> {
        let (cell, hidden) = (self.op.layer.cell, self.op.geometry.hidden);
        let groups = hidden.is_multiple_of(4);
        let has = |k: usize| u32::from(self.io.optional(k).is_some());
        let kind = match cell {
            Cell::Rnn => 0,
            Cell::Gru { linear_before_reset } => 1 + u32::from(linear_before_reset),
            Cell::Lstm { .. } => 3,
        };
        let [units, gates, slopes, made] = u32s([units(hidden), cell.gates(), cell.slopes(), cell.blocks_made()])?;
        let constants = [("UNITS", units), ("CELL", kind), ("GATES", gates), ("SLOPES", slopes), ("MADE", made)];
        let mut kernel = Kernel::new(shader, access, workgroup).prelude(&preludes::RECURRENT_GRADIENT);
        kernel = match groups {
            true => kernel.prelude(self.caps.fours()).prelude(&preludes::RECURRENT_GRADIENT_GROUPS),
            false => kernel.prelude(&preludes::RECURRENT_GRADIENT_SCALARS),
        };
        let kernel = constants.into_iter().fold(kernel, |kernel, (name, value)| kernel.constant(name, value));
        let kernel = kernel.set("HAS_LENGTHS", has(2)).set("HAS_WORTH", has(3));
        Ok(kernel.set("HAS_END_STATE", has(4)).set("HAS_END_MEMORY", has(5)))
    }

    /// The dispatch that goes back through some steps.
    fn dispatch(&self, kernel: Kernel, [first, last]: [usize; 2], grid: Grid, products: &Products) -> Result<Dispatch> {
        let (layer, direction) = (&self.op.layer, self.op.direction);
        let RecurrentShape { steps, batch, hidden, directions, .. } = self.op.geometry;
        let weights = (layer.cell.gates() * hidden * hidden) as u64;
        let work = 2 * weights * (batch * (last - first)) as u64;
        let [steps, batch, hidden, directions] = u32s([steps, batch, hidden, directions])?;
        let [direction_number, first_step, last_step] = u32s([direction, first, last])?;
        let params = GradientParams {
            steps,
            batch,
            hidden,
            directions,
            direction: direction_number,
            reversed: u32::from(layer.reversed(direction)),
            batch_first: u32::from(layer.batch_first),
            first_step,
            last_step,
        };
        let mut bindings = vec![
            Operand::Input(0),
            products.weights,
            self.optional(2),
            self.optional(3),
            self.optional(4),
            self.optional(5),
            Operand::Output(0),
            Operand::Output(1),
        ];
        bindings.extend(products.elsewhere.map(|(_, weights)| weights));
        Ok(Dispatch::new(kernel, params, bindings, grid).work(work, 4 * weights))
    }
}
