//! How kernels read the image rows under the windows of four neighbouring outputs.

use super::ConvShape;
use crate::error::Result;
use crate::kernel::{Access, Caps, Dispatch, Grid, Kernel, Shader, preludes, u32s};

/// A kernel that reads rows, and how its work is divided.
pub(crate) struct RowKernel {
    /// The kernel with the preludes that read.
    pub(crate) kernel: Kernel,
    pub(super) division: Division,
}

/// Which invocation makes which groups of four outputs.
pub(super) enum Division {
    /// A row takes so many workgroups; the grid runs along the row, then over segments, then over planes.
    Workgroups(usize),
    /// A row takes so many invocations, which are numbered through.
    Invocations(usize),
}

/// Invocations of a workgroup that are numbered through.
const WORKGROUP: u32 = 64;

impl RowKernel {
    /// A kernel whose invocations read rows each by itself, in groups of four columns where they lie so.
    pub(crate) fn alone(shader: &'static Shader, access: &[Access], conv: &ConvShape, caps: &Caps) -> Result<RowKernel> {
        let [_, width] = conv.plane()?;
        let kernel = Kernel::new(shader, access, [WORKGROUP, 1, 1]).constant("LANES", WORKGROUP);
        let kernel = kernel.prelude(&preludes::DIVIDE).prelude(&preludes::CONV_ROW).prelude(&preludes::CONV_ROW_ALONE);
        let mut kernel = if width.input.is_multiple_of(4) && columns(conv)? <= MOST_COLUMNS {
            kernel.prelude(caps.fours()).prelude(&preludes::PLANE_FOURS).prelude(&preludes::CONV_ROW_FOURS)
        } else {
            kernel.prelude(&preludes::CONV_ROW_DIRECT)
        };
        kernel.constants.extend(conv.tap_constants()?);
        Ok(RowKernel { kernel, division: Division::Invocations(width.output.div_ceil(4)) })
    }

    /// Workgroups for so many rows of the whole batch.
    pub(crate) fn workgroups(&self, rows: usize) -> usize {
        match self.division {
            Division::Workgroups(along) => rows * along,
            Division::Invocations(along) => (rows * along).div_ceil(WORKGROUP as usize),
        }
    }

    /// The grid for so many segments of so many planes.
    ///
    /// # Errors
    /// [`Limit`](crate::ErrorKind::Limit) when it exceeds the adapter's.
    pub(crate) fn grid(&self, segments: usize, planes: usize, caps: &Caps) -> Result<Grid> {
        match self.division {
            Division::Workgroups(along) => u32s([along, segments, planes]),
            Division::Invocations(_) => Dispatch::linear_grid(self.workgroups(segments * planes) as u64, caps),
        }
    }
}

/// The most input columns of four outputs that are read one by one, or in groups that are, at places that a compiler knows.
pub(super) const MOST_COLUMNS: usize = 32;

/// Input columns that four neighbouring outputs see.
pub(super) fn columns(conv: &ConvShape) -> Result<usize> {
    let [_, width] = conv.plane()?;
    Ok(3 * width.stride + (width.kernel - 1) * width.dilation + 1)
}
