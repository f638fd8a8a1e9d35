//! How kernels read the image rows under the windows of four neighbouring outputs.

use super::{Problem, spatial, window};
use crate::error::Result;
use crate::kernel::{Access, AdapterClass, Caps, Dispatch, Grid, Kernel, Shader, preludes};

/// A kernel that reads rows, and how its work is split.
pub(super) struct Rows {
    /// The kernel with the preludes that read.
    pub(super) kernel: Kernel,
    split: Split,
}

/// Which invocation makes which groups of four outputs.
enum Split {
    /// So many subgroups along a row, then segments, then planes.
    Subgroups(usize),
    /// So many groups of a row; invocations are numbered through.
    Groups(usize),
}

/// Invocations of a workgroup that do not exchange.
const WORKGROUP: usize = 64;

impl Rows {
    /// Rows whose lanes exchange columns, where the adapter and the window suit that and a grid holds at most so many segments and
    /// planes.
    pub(super) fn exchanged(
        shader: &'static Shader,
        access: &[Access],
        problem: &Problem,
        [segments, planes]: [usize; 2],
        caps: &Caps,
    ) -> Option<Rows> {
        let [_, _, width] = spatial(problem);
        let own = 4 * width.stride;
        let reach = usize::try_from(width.begin).is_ok_and(|begin| begin <= own && columns(problem) <= begin + 2 * own);
        let lanes = caps.subgroup.filter(|lanes| (8..=64).contains(lanes) && reach && caps.class == AdapterClass::Cpu)?;
        if segments.max(planes) > caps.max_grid as usize {
            return None;
        }
        let kernel = Kernel::new(shader, access, [lanes, 1, 1]).constant("LANES", lanes);
        let kernel = if width.input.is_multiple_of(4) {
            kernel.prelude(caps.fours()).prelude(&preludes::PLANE_FOURS)
        } else {
            kernel.prelude(&preludes::PLANE_ELEMENTS)
        };
        let mut kernel = kernel.prelude(&preludes::DIVIDE).prelude(&preludes::CONV_ROW).prelude(&preludes::CONV_ROW_LANES);
        kernel.constants.extend(window(&spatial(problem)));
        // As the prelude has it: the first and last lane of a subgroup lack a neighbour.
        let (across, lanes) = (width.output.div_ceil(4).max(width.input.div_ceil(own)), lanes as usize);
        let chunks = if across <= lanes { 1 } else { (across - 2).div_ceil(lanes - 2) };
        Some(Rows { kernel, split: Split::Subgroups(chunks) })
    }

    /// Rows that each invocation reads by itself.
    pub(super) fn direct(shader: &'static Shader, access: &[Access], problem: &Problem) -> Rows {
        let kernel = Kernel::new(shader, access, [WORKGROUP as u32, 1, 1]).constant("LANES", WORKGROUP as u32);
        let mut kernel = kernel.prelude(&preludes::DIVIDE).prelude(&preludes::CONV_ROW).prelude(&preludes::CONV_ROW_DIRECT);
        kernel.constants.extend(window(&spatial(problem)));
        let quads = spatial(problem)[2].output.div_ceil(4);
        Rows { kernel, split: Split::Groups(quads) }
    }

    /// Workgroups for so many lines of the whole batch.
    pub(super) fn workgroups(&self, lines: usize) -> usize {
        match self.split {
            Split::Subgroups(along) => lines * along,
            Split::Groups(along) => (lines * along).div_ceil(WORKGROUP),
        }
    }

    /// The grid for so many segments of so many planes.
    ///
    /// # Errors
    /// [`Limit`](crate::ErrorKind::Limit) when it exceeds the adapter's.
    pub(super) fn grid(&self, segments: usize, planes: usize, caps: &Caps) -> Result<Grid> {
        match self.split {
            Split::Subgroups(along) => Ok([along, segments, planes].map(|n| n as u32)),
            Split::Groups(_) => Dispatch::linear_grid(self.workgroups(segments * planes) as u64, caps),
        }
    }
}

/// Input columns that four neighbouring outputs see.
pub(super) fn columns(problem: &Problem) -> usize {
    let [_, _, width] = spatial(problem);
    3 * width.stride + (width.kernel - 1) * width.dilation + 1
}
