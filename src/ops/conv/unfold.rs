//! Lines of an image, padded and unfolded along the width of a window, so that each tap of four neighbouring outputs is one group
//! of four.

use super::{Problem, spatial};
use crate::error::Result;
use crate::kernel::{Access, Caps, Dispatch, Kernel, Operand, params, preludes, shader};

params! {
    /// Parameters of the unfolding.
    struct UnfoldParams {
        width: u32,
        height: u32,
        begin_x: u32,
        begin_y: u32,
        taps: u32,
        stride: u32,
        dilation: u32,
        quads: u32,
        lines: u32,
        count: u32,
    }
}

shader!(pub(super) static SHADER: UnfoldParams = "conv_unfold");

/// What the lines of a convolution over at most two axes come to.
pub(super) struct Lines {
    /// Lines of a plane: from the first that an output sees to the last.
    pub(super) lines: usize,
    /// Groups of four outputs of a line.
    pub(super) quads: usize,
    /// Groups of four pixels of a plane.
    pub(super) plane: usize,
    /// Groups of four pixels in all.
    pub(super) groups: u64,
}

impl Lines {
    pub(super) fn new(problem: &Problem) -> Self {
        let [_, height, width] = spatial(problem);
        let lines = (height.output - 1) * height.stride + (height.kernel - 1) * height.dilation + 1;
        let quads = width.output.div_ceil(4);
        let plane = lines * width.kernel * quads;
        let planes = problem.batches * problem.groups * problem.channels;
        Lines { lines, quads, plane, groups: planes as u64 * plane as u64 }
    }
}

/// The dispatch that unfolds input 0 into temporary 0, a texture or a buffer.
pub(super) fn lower(problem: &Problem, lines: &Lines, texture: bool, caps: &Caps) -> Result<Dispatch> {
    let [_, height, width] = spatial(problem);
    let to = if texture { Access::WriteTexture } else { Access::Write };
    let kernel = Kernel::new(&SHADER, &[Access::Read, to], [64, 1, 1]).prelude(&preludes::DIVIDE);
    let kernel =
        if texture { kernel.texels().prelude(&preludes::UNFOLDED_TEXELS) } else { kernel.prelude(&preludes::UNFOLDED_FLOATS) };
    let params = UnfoldParams {
        width: width.input as u32,
        height: height.input as u32,
        begin_x: width.begin as u32,
        begin_y: height.begin as u32,
        taps: width.kernel as u32,
        stride: width.stride as u32,
        dilation: width.dilation as u32,
        quads: lines.quads as u32,
        lines: lines.lines as u32,
        count: lines.groups as u32,
    };
    let grid = Dispatch::linear_grid(lines.groups.div_ceil(64), caps)?;
    let dispatch = Dispatch::new(kernel, params, vec![Operand::Input(0), Operand::Temporary(0)], grid);
    Ok(dispatch.work(0, lines.groups * 20))
}
