//! Lines of an image, padded and unfolded along the width of a window, so that each tap of four neighbouring outputs is one group
//! of four.

use super::super::row_kernel::{MOST_COLUMNS, columns};
use super::super::window_params::place;
use super::super::{ConvShape, check_scratch};
use super::exchange;
use crate::error::{Error, Result};
use crate::kernel::{Access, Caps, Dispatch, Kernel, Operand, params, preludes, shader, u32s};

params! {
    /// Parameters of the unfolding, an element per invocation.
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

params! {
    /// Parameters of the unfolding by rows.
    struct UnfoldRowsParams { planes: u32, input_height: u32, input_width: u32, output_width: u32, lines: u32 }
}

shader!(pub(in crate::ops::conv) static ELEMENTS: UnfoldParams = "software/conv_unfold");
shader!(pub(in crate::ops::conv) static ROWS: UnfoldRowsParams = "software/conv_unfold_rows");

/// What the lines of a convolution over at most two axes come to.
pub(super) struct UnfoldedLines {
    /// Lines of a plane: from the first that an output sees to the last.
    pub(super) lines: usize,
    /// Groups of four outputs of a line.
    pub(super) quads: usize,
    /// Groups of four pixels of a plane.
    pub(super) plane: usize,
    /// Input channels of the whole batch.
    planes: usize,
}

impl UnfoldedLines {
    pub(super) fn new(conv: &ConvShape) -> Result<Self> {
        let [height, width] = conv.plane()?;
        let lines = (height.output - 1) * height.stride + (height.kernel - 1) * height.dilation + 1;
        let quads = width.output.div_ceil(4);
        let plane = lines * width.kernel * quads;
        Ok(UnfoldedLines { lines, quads, plane, planes: conv.batches * conv.groups * conv.channels })
    }

    /// Groups of four pixels in all.
    fn groups(&self) -> u64 {
        self.planes as u64 * self.plane as u64
    }

    /// Bytes of all lines.
    pub(super) fn bytes(&self) -> u64 {
        16 * self.groups()
    }

    /// The dispatch that unfolds input 0 into temporary 0, a buffer.
    pub(super) fn to_buffer(&self, conv: &ConvShape, caps: &Caps) -> Result<Dispatch> {
        check_scratch("the unfolded lines", self.bytes(), caps)?;
        let kernel = Kernel::new(&ELEMENTS, &[Access::Read, Access::Write], [64, 1, 1]).prelude(&preludes::DIVIDE);
        self.by_elements(conv, kernel.prelude(&preludes::UNFOLDED_FLOATS), caps)
    }

    /// The dispatch that unfolds input 0 into temporary 0, a texture.
    pub(super) fn to_texture(&self, conv: &ConvShape, caps: &Caps) -> Result<Dispatch> {
        if !caps.texture_holds(self.bytes()) {
            return Err(Error::unsupported("a texture does not hold the unfolded lines"));
        }
        if columns(conv)? <= MOST_COLUMNS {
            return self.by_rows(conv, caps);
        }
        let kernel = Kernel::new(&ELEMENTS, &[Access::Read, Access::WriteTexture], [64, 1, 1]).prelude(&preludes::DIVIDE);
        self.by_elements(conv, kernel.texels().prelude(&preludes::UNFOLDED_TEXELS), caps)
    }

    /// The dispatch for windows of any width.
    fn by_elements(&self, conv: &ConvShape, kernel: Kernel, caps: &Caps) -> Result<Dispatch> {
        let [down, along] = conv.plane()?;
        let [width, height, quads, lines] = u32s([along.input, down.input, self.quads, self.lines])?;
        let [taps, stride, dilation, count] = u32s([along.kernel, along.stride, along.dilation, self.planes * self.plane])?;
        let (begin_x, begin_y) = (place(along.begin)?.cast_unsigned(), place(down.begin)?.cast_unsigned());
        let params = UnfoldParams { width, height, begin_x, begin_y, taps, stride, dilation, quads, lines, count };
        let grid = Dispatch::linear_grid(self.groups().div_ceil(64), caps)?;
        let dispatch = Dispatch::new(kernel, params, vec![Operand::Input(0), Operand::Temporary(0)], grid);
        Ok(dispatch.work(0, 20 * self.groups()))
    }

    /// The dispatch for narrow windows, which reads each pixel once.
    fn by_rows(&self, conv: &ConvShape, caps: &Caps) -> Result<Dispatch> {
        let [height, width] = conv.plane()?;
        let access = [Access::Read, Access::WriteTexture];
        let rows = exchange::rows_or_alone(&ROWS, &access, conv, [self.lines, self.planes], caps)?;
        let grid = rows.grid(self.lines, self.planes, caps)?;
        let [planes, lines] = u32s([self.planes, self.lines])?;
        let [input_height, input_width, output_width] = u32s([height.input, width.input, width.output])?;
        let params = UnfoldRowsParams { planes, input_height, input_width, output_width, lines };
        let dispatch = Dispatch::new(rows.kernel.texels(), params, vec![Operand::Input(0), Operand::Temporary(0)], grid);
        Ok(dispatch.work(0, 4 * (self.planes * conv.input_area()) as u64 + self.bytes()))
    }
}
