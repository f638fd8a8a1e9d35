//! The strided copy that every movement lowers to when it is not free: `destination[to(i)] = source[from(i)]`.

use super::Registration;
use crate::error::{Error, Result};
use crate::kernel::{Access, AdapterClass, Caps, Dispatch, Kernel, Operand, Shader, params, preludes, shader};
use crate::tensor::{MAX_RANK, View};

params! {
    /// Parameters of the copy kernels; axes are joined where both sides walk on without a gap, innermost last.
    struct CopyParams {
        extents: [u32; 8],
        from_strides: [i32; 8],
        to_strides: [i32; 8],
        from_offset: i32,
        to_offset: i32,
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

const WORKGROUP: u32 = 64;
/// Elements of one invocation on adapters where index arithmetic costs more than loads and stores.
pub(super) const RUN: usize = 4;
/// Side of a tile of `copy_tiles.wgsl`.
const TILE: usize = 32;
/// The least extent for which a tile is worth its idle lanes.
const WORTH_A_TILE: usize = 12;

/// An axis that both sides walk: extent, stride of the source, stride of the destination.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Axis {
    extent: usize,
    from: i64,
    to: i64,
}

/// Two views of equal shape, as the fewest axes.
#[derive(Clone, Debug, PartialEq)]
struct Copy {
    axes: Vec<Axis>,
    from: i64,
    to: i64,
}

impl Copy {
    fn new(from: &View, to: &View) -> Self {
        let mut axes: Vec<Axis> = Vec::new();
        for (&extent, (&from, &to)) in from.shape.iter().zip(from.strides.iter().zip(&to.strides)).filter(|(d, _)| **d != 1) {
            match axes.last_mut() {
                Some(outer) if outer.from == from * extent as i64 && outer.to == to * extent as i64 => {
                    *outer = Axis { extent: outer.extent * extent, from, to };
                }
                _ => axes.push(Axis { extent, from, to }),
            }
        }
        if axes.is_empty() {
            axes.push(Axis { extent: 1, from: 1, to: 1 });
        }
        Copy { axes, from: from.offset, to: to.offset }
    }

    /// True when all source positions but those along the given axes are multiples of four.
    fn source_by_four(&self, except: &[usize]) -> bool {
        self.from % 4 == 0 && self.axes.iter().enumerate().all(|(k, a)| except.contains(&k) || a.from % 4 == 0)
    }

    /// The same for the destination.
    fn destination_by_four(&self, except: &[usize]) -> bool {
        self.to % 4 == 0 && self.axes.iter().enumerate().all(|(k, a)| except.contains(&k) || a.to % 4 == 0)
    }

    /// The same copy with the axis along which source elements are neighbours last but one, where that differs from the
    /// axis along which destination elements are.
    fn transposing(&self) -> Option<Self> {
        let last = self.axes.len() - 1;
        let row = (0..last).find(|k| self.axes[*k].from == 1)?;
        (self.axes[last].to == 1).then(|| {
            let mut copy = self.clone();
            let axis = copy.axes.remove(row);
            copy.axes.insert(last - 1, axis);
            copy
        })
    }

    /// Everything in units of four elements, where the innermost axis of a side allows it.
    fn in_fours(&mut self, source: bool, destination: bool) {
        let last = self.axes.len() - 1;
        self.axes[last].extent /= 4;
        if source {
            self.from /= 4;
            self.axes[..last].iter_mut().for_each(|a| a.from /= 4);
        }
        if destination {
            self.to /= 4;
            self.axes[..last].iter_mut().for_each(|a| a.to /= 4);
        }
    }

    /// Numbers for a kernel; the innermost extent counts runs of `run` elements, and `count` is what the grid covers.
    fn params(&self, run: usize, count: u64) -> Result<CopyParams> {
        let small = |n: i64| i32::try_from(n).map_err(|_| Error::limit(format!("a stride of {n} elements exceeds 32 bits")));
        let mut params = CopyParams {
            extents: [1; MAX_RANK],
            from_strides: [0; MAX_RANK],
            to_strides: [0; MAX_RANK],
            from_offset: small(self.from)?,
            to_offset: small(self.to)?,
            count: u32::try_from(count).map_err(|_| Error::limit(format!("a copy of {count} elements exceeds 32 bits")))?,
            inner: self.axes.last().map_or(1, |a| a.extent as u32),
        };
        for (k, axis) in self.axes.iter().enumerate() {
            params.extents[k] = if k + 1 == self.axes.len() { axis.extent.div_ceil(run) } else { axis.extent } as u32;
            params.from_strides[k] = small(axis.from)?;
            params.to_strides[k] = small(axis.to)?;
        }
        Ok(params)
    }

    /// A dispatch with an invocation for every run along the innermost axis.
    fn linear(&self, kernel: Kernel, run: usize, bindings: [Operand; 2], caps: &Caps) -> Result<Dispatch> {
        let last = self.axes.len() - 1;
        let rows: u64 = self.axes[..last].iter().map(|a| a.extent as u64).product();
        let count = rows * self.axes[last].extent.div_ceil(run) as u64;
        let grid = Dispatch::linear_grid(count.div_ceil(WORKGROUP.into()), caps)?;
        let kernel = kernel.set("AXES", self.axes.len() as u32);
        Ok(Dispatch::new(kernel, self.params(run, count)?, bindings.to_vec(), grid))
    }

    /// The kernel for any copy: four neighbours at a time where one side or both have them.
    fn plain(mut self, bindings: [Operand; 2], caps: &Caps) -> Result<Dispatch> {
        let last = self.axes.len() - 1;
        let inner = self.axes[last];
        let stores_four = inner.extent.is_multiple_of(4) && inner.to == 1 && self.destination_by_four(&[last]);
        let loads_four = stores_four && inner.from == 1 && self.source_by_four(&[last]);
        if stores_four {
            self.in_fours(loads_four, true);
        }
        // A software adapter divides once for several elements; a GPU wants neighbours in neighbouring lanes.
        let run = if !stores_four && caps.class == AdapterClass::Cpu { RUN } else { 1 };
        let kernel = match (stores_four, loads_four) {
            (true, false) => kernel(&GATHER, [WORKGROUP, 1, 1]),
            (true, true) => kernel(&COPY, [WORKGROUP, 1, 1]).prelude(&preludes::WIDTH4).set("RUN", 1),
            _ => kernel(&COPY, [WORKGROUP, 1, 1]).prelude(&preludes::WIDTH1).set("RUN", run as u32),
        };
        self.linear(kernel.prelude(&preludes::DIVIDE), run, bindings, caps)
    }

    /// The kernel for transposes in blocks, where all is in fours.
    fn blocks(&self, bindings: [Operand; 2], caps: &Caps) -> Option<Result<Dispatch>> {
        let mut copy = self.transposing()?;
        let (row, column) = (copy.axes.len() - 2, copy.axes.len() - 1);
        let whole = copy.axes[row..].iter().all(|a| a.extent.is_multiple_of(4));
        if !whole || !copy.source_by_four(&[row]) || !copy.destination_by_four(&[column]) {
            return None;
        }
        copy.from /= 4;
        copy.to /= 4;
        for (k, axis) in copy.axes.iter_mut().enumerate() {
            if k < row {
                (axis.from, axis.to) = (axis.from / 4, axis.to / 4);
            } else {
                // Four elements further is one vector further where they are neighbours, and four rows further where not.
                axis.extent /= 4;
            }
        }
        Some(copy.linear(kernel(&BLOCKS, [WORKGROUP, 1, 1]).prelude(caps.fours()).prelude(&preludes::DIVIDE), 1, bindings, caps))
    }

    /// The kernel for transposes through workgroup memory.
    fn tiles(&self, bindings: [Operand; 2], caps: &Caps) -> Option<Result<Dispatch>> {
        let copy = self.transposing()?;
        let (outer, inner) = copy.axes.split_at(copy.axes.len() - 2);
        if inner.iter().any(|a| a.extent < WORTH_A_TILE) {
            return None;
        }
        let tiles: u64 = inner.iter().map(|a| a.extent.div_ceil(TILE) as u64).product();
        let count = outer.iter().map(|a| a.extent as u64).product::<u64>() * tiles;
        let kernel = kernel(&TILES, [TILE as u32, 8, 1]).set("AXES", copy.axes.len() as u32);
        let dispatch = |params| Ok(Dispatch::new(kernel, params, bindings.to_vec(), Dispatch::linear_grid(count, caps)?));
        Some(copy.params(1, count).and_then(dispatch))
    }
}

fn kernel(shader: &'static Shader, workgroup: [u32; 3]) -> Kernel {
    Kernel::new(shader, &[Access::Read, Access::Write], workgroup)
}

/// Name of the variant that serves every shape.
pub(crate) const PLAIN: &str = "copy";

/// Variants by name, the preferred one first. Each copies the elements seen through `from` to where `to` sees them; both
/// have one shape, which has elements. Works on any scalar, as all are four bytes.
///
/// # Errors
/// [`Unsupported`](crate::ErrorKind::Unsupported) when more than eight axes are left after joining.
pub(crate) fn variants(from: &View, to: &View, bindings: [Operand; 2], caps: &Caps) -> Result<Vec<(&'static str, Dispatch)>> {
    let copy = Copy::new(from, to);
    if copy.axes.len() > MAX_RANK {
        return Err(Error::unsupported(format!("a copy over {} separate axes: expected at most {MAX_RANK}", copy.axes.len())));
    }
    let named = |name: &'static str, dispatch: Option<Result<Dispatch>>| {
        let work = |d: Result<Dispatch>| d.map(|d| (name, d.work(0, from.shape.elements() as u64 * 8)));
        dispatch.map(work).transpose()
    };
    let blocks = named("copy_blocks", copy.blocks(bindings, caps))?;
    let tiles = named("copy_tiles", copy.tiles(bindings, caps))?;
    let plain = named(PLAIN, Some(copy.plain(bindings, caps)))?;
    let ordered = match caps.class {
        AdapterClass::Cpu => [blocks, plain, tiles],
        AdapterClass::Integrated | AdapterClass::Discrete => [tiles, plain, blocks],
    };
    Ok(ordered.into_iter().flatten().collect())
}

/// The preferred one of [`variants`].
///
/// # Errors
/// As `variants`.
pub(crate) fn strided(from: &View, to: &View, bindings: [Operand; 2], caps: &Caps) -> Result<Dispatch> {
    variants(from, to, bindings, caps).map(|mut all| all.swap_remove(0).1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_without_gaps_are_joined() {
        let view = View::contiguous(&[2, 3, 4, 5].into()).transpose(&[1, 0, 2, 3]);
        let copy = Copy::new(&view, &View::contiguous(&view.shape));
        assert_eq!(
            copy.axes,
            [Axis { extent: 3, from: 20, to: 40 }, Axis { extent: 2, from: 60, to: 20 }, Axis { extent: 20, from: 1, to: 1 }]
        );
    }
}
