//! The strided copy that every movement lowers to when it is not free: `destination[to(i)] = source[from(i)]`.

mod software;

use super::Registration;
use super::shared::{WORKGROUP, axis_parameters, in_units, one_each};
use crate::error::{Error, ErrorKind, Result};
use crate::kernel::{Access, Caps, Dispatch, Kernel, Lowering, Offers, Operand, Rank, Shader, params, preludes, shader, u32s};
use crate::tensor::{JoinedAxis, View, joined_axes};

params! {
    /// Parameters of the copy kernels, see the prelude `copy_axes`.
    struct CopyParams {
        extents: [u32; 8],
        from_strides: [i32; 8],
        to_strides: [i32; 8],
        from_offset: i32,
        to_offset: i32,
        from_step: i32,
        to_step: i32,
        count: u32,
        inner: u32,
    }
}

shader!(static COPY: CopyParams = "copy");
shader!(static GATHER: CopyParams = "copy_gather");
shader!(static BLOCKS: CopyParams = "copy_blocks");
shader!(static TILES: CopyParams = "copy_tiles");

/// The kernels of this file; they serve many operators and belong to none.
pub(super) static REGISTRATION: Registration = Registration { operators: &[], shaders: &[&COPY, &GATHER, &BLOCKS, &TILES] };

/// Side of a tile of `copy_tiles.wgsl`.
const TILE: usize = 32;
/// The least extent for which a tile is worth its idle lanes.
const WORTH_A_TILE: usize = 12;

/// Which of the two strides of an axis, and of the two offsets, is which.
const FROM: usize = 0;
const TO: usize = 1;

/// The order of preference among the kernels, the smallest rank first.
#[derive(Clone, Copy)]
struct Ranks {
    /// Serves every shape.
    plain: Rank,
    /// Transposes blocks of 4 by 4 in registers.
    blocks: Rank,
    /// Transposes tiles of 32 by 32 in workgroup memory.
    tiles: Rank,
}

/// The order on GPUs.
const RANKS: Ranks = Ranks { tiles: 0, plain: 1, blocks: 2 };

/// A copy of the elements that one view sees to where another of the same shape sees them, as the fewest axes. It works on any
/// scalar, as all are four bytes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Copy {
    axes: Vec<JoinedAxis<2>>,
    offsets: [i64; 2],
    bindings: [Operand; 2],
}

/// One of the kernels, for a copy that suits it.
type Make = fn(&Copy, &Caps) -> Result<Dispatch>;

impl Copy {
    /// The copy between two views, which have elements, of what is bound to `bindings`.
    pub(crate) fn new(from: &View, to: &View, bindings: [Operand; 2]) -> Self {
        let mut axes = joined_axes(&from.shape, [&from.strides, &to.strides]);
        if axes.is_empty() {
            axes.push(JoinedAxis { extent: 1, strides: [1, 1] });
        }
        Copy { axes, offsets: [from.offset, to.offset], bindings }
    }

    /// Whether all positions of a side but those along one axis are multiples of four.
    fn is_in_fours(&self, side: usize, except: usize) -> bool {
        let steps = self.axes.iter().enumerate().filter(|(k, _)| *k != except).map(|(_, axis)| axis.strides[side]);
        steps.chain([self.offsets[side]]).all(|step| step % 4 == 0)
    }

    /// Counts the positions of a side in fours, those along the innermost axes aside.
    fn count_in_fours(&mut self, side: usize, innermost: usize) {
        self.offsets[side] /= 4;
        let outer = self.axes.len() - innermost;
        self.axes[..outer].iter_mut().for_each(|axis| axis.strides[side] /= 4);
    }

    /// This copy with the axis along which source elements are neighbours last but one, where that differs from the
    /// axis along which destination elements are.
    fn transposing(&self) -> Result<Self> {
        let last = self.axes.len() - 1;
        let row = (0..last).find(|k| self.axes[*k].strides[FROM] == 1).filter(|_| self.axes[last].strides[TO] == 1);
        let row = row.ok_or_else(|| Error::unsupported("it does not exchange the innermost axis with another"))?;
        let mut copy = self.clone();
        let axis = copy.axes.remove(row);
        copy.axes.insert(last - 1, axis);
        Ok(copy)
    }

    /// Numbers for a kernel; the innermost extent counts runs of `run` elements, `steps` lead to the neighbours that one invocation
    /// copies, and `count` is what the grid covers.
    fn params(&self, run: usize, steps: [i64; 2], count: usize) -> Result<CopyParams> {
        let small = |n: i64| i32::try_from(n).map_err(|_| Error::limit(format!("a stride of {n} elements exceeds 32 bits")));
        let last = self.axes.len() - 1;
        let extents = self.axes.iter().enumerate().map(|(k, a)| if k == last { a.extent.div_ceil(run) } else { a.extent });
        let strides = |side: usize| axis_parameters(self.axes.iter().map(|axis| axis.strides[side]), 0);
        let [count, inner] = u32s([count, self.axes[last].extent])?;
        Ok(CopyParams {
            extents: axis_parameters(extents, 1)?,
            from_strides: strides(FROM)?,
            to_strides: strides(TO)?,
            from_offset: small(self.offsets[FROM])?,
            to_offset: small(self.offsets[TO])?,
            from_step: small(steps[FROM])?,
            to_step: small(steps[TO])?,
            count,
            inner,
        })
    }

    fn kernel(&self, shader: &'static Shader, workgroup: [u32; 3]) -> Result<Kernel> {
        let kernel = Kernel::new(shader, &[Access::Read, Access::Write], workgroup);
        let [axes] = u32s([self.axes.len()])?;
        Ok(kernel.prelude(&preludes::DIVIDE).prelude(&preludes::COPY_AXES).set("AXES", axes))
    }

    /// A dispatch with an invocation for every run along the innermost axis.
    fn linear(&self, kernel: Kernel, run: usize, steps: [i64; 2], caps: &Caps) -> Result<Dispatch> {
        let (inner, outer) = self.axes.split_last().ok_or_else(|| Error::internal("a copy without axes"))?;
        let count = outer.iter().map(|axis| axis.extent).product::<usize>() * inner.extent.div_ceil(run);
        one_each(kernel, self.params(run, steps, count)?, count, self.bindings.to_vec(), caps)
    }

    /// The kernel for any copy: four neighbours at a time where one side or both have them.
    fn plain(&self, caps: &Caps) -> Result<Dispatch> {
        let last = self.axes.len() - 1;
        let inner = self.axes[last];
        let stores_four = inner.extent.is_multiple_of(4) && inner.strides[TO] == 1 && self.is_in_fours(TO, last);
        if !stores_four {
            let kernel = in_units(self.kernel(&COPY, [WORKGROUP, 1, 1])?, 1);
            let [run] = u32s([caps.run()])?;
            return self.linear(kernel.set("RUN", run), caps.run(), inner.strides, caps);
        }
        let mut copy = self.clone();
        copy.axes[last].extent /= 4;
        copy.count_in_fours(TO, 1);
        if inner.strides[FROM] == 1 && self.is_in_fours(FROM, last) {
            copy.count_in_fours(FROM, 1);
            let kernel = in_units(self.kernel(&COPY, [WORKGROUP, 1, 1])?, 4);
            return copy.linear(kernel.set("RUN", 1), 1, [1, 1], caps);
        }
        copy.linear(self.kernel(&GATHER, [WORKGROUP, 1, 1])?, 1, inner.strides, caps)
    }

    /// The kernel for transposes in blocks, where all is in fours.
    fn blocks(&self, caps: &Caps) -> Result<Dispatch> {
        let mut copy = self.transposing()?;
        let (row, column) = (copy.axes.len() - 2, copy.axes.len() - 1);
        let whole = copy.axes[row..].iter().all(|axis| axis.extent.is_multiple_of(4));
        if !whole || !copy.is_in_fours(FROM, row) || !copy.is_in_fours(TO, column) {
            return Err(Error::unsupported("it has rows or columns that are not whole fours"));
        }
        // Four elements further is one vector further where they are neighbours, and four rows further where not.
        copy.count_in_fours(FROM, 2);
        copy.count_in_fours(TO, 2);
        copy.axes[row..].iter_mut().for_each(|axis| axis.extent /= 4);
        let steps = [copy.axes[column].strides[FROM] / 4, copy.axes[row].strides[TO] / 4];
        let kernel = copy.kernel(&BLOCKS, [WORKGROUP, 1, 1])?.prelude(caps.fours());
        copy.linear(kernel, 1, steps, caps)
    }

    /// The kernel for transposes through workgroup memory.
    fn tiles(&self, caps: &Caps) -> Result<Dispatch> {
        let copy = self.transposing()?;
        let (outer, inner) = copy.axes.split_at(copy.axes.len() - 2);
        if inner.iter().any(|axis| axis.extent < WORTH_A_TILE) {
            return Err(Error::unsupported(format!("it has rows or columns of fewer than {WORTH_A_TILE} elements")));
        }
        let tiles: usize = inner.iter().map(|axis| axis.extent.div_ceil(TILE)).product();
        let count = outer.iter().map(|axis| axis.extent).product::<usize>() * tiles;
        let params = copy.params(1, [inner[1].strides[FROM], inner[0].strides[TO]], count)?;
        let grid = Dispatch::linear_grid(count as u64, caps)?;
        Ok(Dispatch::new(copy.kernel(&TILES, [TILE as u32, 8, 1])?, params, copy.bindings.to_vec(), grid))
    }

    /// The copy by one of the kernels.
    fn by(&self, make: Make, caps: &Caps) -> Result<Dispatch> {
        let elements: usize = self.axes.iter().map(|axis| axis.extent).product();
        make(self, caps).map(|dispatch| dispatch.work(0, elements as u64 * 8))
    }
}

/// The kernels by the names of their variants, with their ranks on an adapter.
fn kernels(caps: &Caps) -> [(&'static str, Rank, Make); 3] {
    let ranks = software::ranks(caps).unwrap_or(RANKS);
    [("copy", ranks.plain, Copy::plain), ("copy_tiles", ranks.tiles, Copy::tiles), ("copy_blocks", ranks.blocks, Copy::blocks)]
}

/// Offers every kernel that suits one of the copies; those that it does not suit are done by the plain one.
pub(crate) fn offer(copies: &[Copy], offers: &mut Offers) {
    let caps = offers.caps();
    for (variant, rank, make) in kernels(caps) {
        offers.add(variant, rank, || {
            let mut unfit = Vec::new();
            let mut dispatches = Vec::with_capacity(copies.len());
            for copy in copies {
                dispatches.push(match copy.by(make, caps) {
                    Err(reason) if reason.kind() == ErrorKind::Unsupported => {
                        unfit.push(reason);
                        copy.by(Copy::plain, caps)?
                    }
                    made => made?,
                });
            }
            match unfit.pop() {
                Some(reason) if unfit.len() + 1 == copies.len() => Err(reason),
                _ => Ok(Lowering::new(dispatches)),
            }
        });
    }
}

/// The copy by the kernel that is preferred of those that suit it.
///
/// # Errors
/// [`Unsupported`](crate::ErrorKind::Unsupported) when more than eight axes are left after joining.
pub(crate) fn strided(from: &View, to: &View, bindings: [Operand; 2], caps: &Caps) -> Result<Dispatch> {
    let copy = Copy::new(from, to, bindings);
    let mut kernels = kernels(caps);
    kernels.sort_by_key(|(_, rank, _)| *rank);
    let mut made =
        kernels.iter().map(|(.., make)| copy.by(*make, caps).and_then(|dispatch| dispatch.fits(caps).map(|()| dispatch)));
    let suited = made.find(|made| !made.as_ref().is_err_and(|reason| reason.kind() == ErrorKind::Unsupported));
    suited.unwrap_or_else(|| copy.by(Copy::plain, caps))
}
