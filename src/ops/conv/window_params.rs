//! A sliding window as kernels see it: three spatial axes, as parameters or as constants.

use super::{ConvShape, WindowAxis};
use crate::error::{Error, Result};
use crate::kernel::{params, u32s};

params! {
    /// Parameters of kernels where an invocation makes one element by walking a window, spatial axes last of three.
    pub(crate) struct WindowParams {
        input_extents: [u32; 4],
        output_extents: [u32; 4],
        kernel_extents: [u32; 4],
        strides: [u32; 4],
        dilations: [u32; 4],
        begins: [i32; 4],
        padded_extents: [i32; 4],
        count: u32,
        groups: u32,
        channels: u32,
        filters: u32,
        power: f32,
    }
}

/// Constants of a kernel.
pub(super) type Constants = Vec<(&'static str, u32)>;

/// The constants of a window: for each kind those of its depth, height and width.
const NAMES: [[&str; 3]; 6] = [
    ["INPUT_DEPTH", "INPUT_HEIGHT", "INPUT_WIDTH"],
    ["OUTPUT_DEPTH", "OUTPUT_HEIGHT", "OUTPUT_WIDTH"],
    ["KERNEL_DEPTH", "KERNEL_HEIGHT", "KERNEL_WIDTH"],
    ["STRIDE_DEPTH", "STRIDE_HEIGHT", "STRIDE_WIDTH"],
    ["DILATION_DEPTH", "DILATION_HEIGHT", "DILATION_WIDTH"],
    ["BEGIN_DEPTH", "BEGIN_HEIGHT", "BEGIN_WIDTH"],
];

/// The three spatial axes, those that are not there of extent 1.
fn three(axes: &[WindowAxis]) -> Result<[WindowAxis; 3]> {
    match *axes {
        [] => Ok([WindowAxis::ABSENT; 3]),
        [width] => Ok([WindowAxis::ABSENT, WindowAxis::ABSENT, width]),
        [height, width] => Ok([WindowAxis::ABSENT, height, width]),
        [depth, height, width] => Ok([depth, height, width]),
        _ => Err(Error::unsupported(format!("a window over {} spatial axes: expected at most 3", axes.len()))),
    }
}

/// A place in an image or beside it, in 32 bits.
pub(super) fn place(elements: i64) -> Result<i32> {
    i32::try_from(elements).map_err(|_| Error::limit(format!("padding by {elements} elements exceeds 32 bits")))
}

/// Iterations of the loops over the taps of a window, one loop for each axis.
pub(crate) fn tap_turns(axes: &[WindowAxis]) -> Result<usize> {
    axis_turns(axes, |axis| axis.kernel)
}

/// Iterations of three loops, one within the other, that go round so often for each axis, and once more to find that they are through.
pub(crate) fn axis_turns(axes: &[WindowAxis], rounds: impl Fn(&WindowAxis) -> usize) -> Result<usize> {
    let around = |inner: usize, axis: &WindowAxis| inner.saturating_add(1).saturating_mul(rounds(axis)).saturating_add(1);
    Ok(three(axes)?.iter().rev().fold(0, around))
}

impl WindowParams {
    /// The parameters of a window, and how many elements are made. What else there is stays zero.
    pub(crate) fn new(axes: &[WindowAxis], elements: usize) -> Result<Self> {
        let [depth, height, width] = three(axes)?;
        let axes = [depth, height, width, WindowAxis::ABSENT];
        let each = |pick: fn(&WindowAxis) -> usize| u32s(axes.each_ref().map(pick));
        let [count] = u32s([elements])?;
        let mut params = WindowParams {
            input_extents: each(|a| a.input)?,
            output_extents: each(|a| a.output)?,
            kernel_extents: each(|a| a.kernel)?,
            strides: each(|a| a.stride)?,
            dilations: each(|a| a.dilation)?,
            count,
            ..bytemuck::Zeroable::zeroed()
        };
        for (k, axis) in axes.iter().enumerate() {
            params.begins[k] = place(axis.begin)?;
            params.padded_extents[k] = place(axis.input as i64 + axis.end)?;
        }
        Ok(params)
    }
}

impl ConvShape {
    /// The three spatial axes, those that are not there of extent 1.
    ///
    /// # Errors
    /// [`Unsupported`](crate::ErrorKind::Unsupported) when there are more.
    fn spatial(&self) -> Result<[WindowAxis; 3]> {
        three(&self.axes)
    }

    /// Height and width of a convolution over at most two axes.
    ///
    /// # Errors
    /// [`Unsupported`](crate::ErrorKind::Unsupported) when there is a third.
    pub(crate) fn plane(&self) -> Result<[WindowAxis; 2]> {
        match self.spatial()? {
            [WindowAxis::ABSENT, height, width] => Ok([height, width]),
            _ => Err(Error::unsupported("a window over 3 spatial axes: expected at most 2")),
        }
    }

    /// The extents and steps of the window as the constants of a kernel.
    pub(super) fn window_constants(&self) -> Result<Constants> {
        let mut constants = Constants::new();
        for (kind, names) in NAMES.iter().enumerate() {
            for (name, axis) in names.iter().copied().zip(self.spatial()?) {
                let [input, output, kernel, stride, dilation] =
                    u32s([axis.input, axis.output, axis.kernel, axis.stride, axis.dilation])?;
                let begin = place(axis.begin)?.cast_unsigned();
                constants.push((name, [input, output, kernel, stride, dilation, begin][kind]));
            }
        }
        Ok(constants)
    }

    /// The taps and steps of a window over two axes as the constants of a kernel; its extents are parameters, so that layers share
    /// kernels.
    pub(super) fn tap_constants(&self) -> Result<Constants> {
        let all = self.window_constants()?;
        Ok(all.chunks(3).skip(2).flat_map(|kind| kind[1..].iter().copied()).collect())
    }
}
